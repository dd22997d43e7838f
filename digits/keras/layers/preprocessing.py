"""Layers that prepare images within a model: another range, random changes in training."""

from typing import Any

import numpy as np

from digits.keras.layer import Layer
from digits.keras.preprocessing.image import Change, change_images
from digits.keras.random import new_generator
from digits.nn import layers as nn
from digits.nn.layer import Layer as Core
from digits.types import Array, Shape


class Rescaling(Layer):
    """y = scale * x + offset."""

    def __init__(self, scale: float, offset: float = 0.0, **options: Any) -> None:
        super().__init__(**options)
        self.scale, self.offset = float(scale), float(offset)

    def make(self, shape: Shape) -> list[Core]:
        return [nn.Rescaling(self.scale, self.offset)]


class Normalization(Layer):
    """y = (x - mean) / sqrt(variance), given as numbers or found by `adapt` on training data."""

    def __init__(
        self,
        axis: Any = -1,
        mean: Any = None,
        variance: Any = None,
        invert: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if invert:
            raise ValueError("expected invert=False; received True: use Rescaling")
        self.axis, self.mean, self.variance, self.invert = axis, mean, variance, invert

    def adapt(self, data: Any) -> None:
        """Find mean and variance of the data, one for each entry of `axis`."""
        x = np.asarray(data, np.float64)
        kept = () if self.axis is None else np.atleast_1d(self.axis) % x.ndim
        others = tuple(i for i in range(x.ndim) if i not in kept)
        self.mean, self.variance = x.mean(axis=others), x.var(axis=others)
        self.built = False

    def make(self, shape: Shape) -> list[Core]:
        if self.mean is None or self.variance is None:
            raise ValueError(
                f"{self.name} has no mean and variance yet: call its adapt(data) first"
            )
        variance = np.maximum(np.asarray(self.variance, np.float64), 1e-7)
        return [nn.Normalization(np.squeeze(self.mean), np.squeeze(variance))]


class GaussianNoise(Layer):
    """In training, normally distributed numbers are added."""

    def __init__(self, stddev: float, seed: Any = None, **options: Any) -> None:
        super().__init__(**options)
        self.stddev, self.seed, self.rng = float(stddev), seed, new_generator(seed)

    def forward(self, x: Array, training: bool) -> Array:
        if not training:
            return x
        return x + (self.stddev * self.rng.standard_normal(x.shape)).astype(x.dtype)

    def backward(self, dy: Array) -> Array:
        return dy


class RandomChange(Layer):
    """Images that are changed at random in training; a subclass says how, as a `Change`. No layer
    before it can be trained.
    """

    change: Change

    def __init__(self, seed: Any = None, **options: Any) -> None:
        self.fill_mode = options.pop("fill_mode", "reflect")
        for unused in ("interpolation", "fill_value", "data_format", "value_range"):
            options.pop(unused, None)
        super().__init__(**options)
        self.seed, self.rng = seed, new_generator(seed)

    def __call__(self, inputs: Any, *args: Any, training: Any = True, **kwargs: Any) -> Any:
        return super().__call__(inputs, *args, training=training, **kwargs)

    def shape_of(self, shape: Shape) -> Shape:
        if len(shape) != 3:
            raise ValueError(f"{self.name} expected images (n, h, w, c); received {(None, *shape)}")
        return shape

    def forward(self, x: Array, training: bool) -> Array:
        return change_images(x, self.change, self.rng) if training else x

    def backward(self, dy: Array) -> None:
        return None


def _range(factor: Any) -> tuple[float, float]:
    low, high = factor if isinstance(factor, tuple | list) else (-factor, factor)
    return float(low), float(high)


class RandomRotation(RandomChange):
    """Turned by a share of a full circle, at most `factor` either way."""

    def __init__(self, factor: Any, seed: Any = None, **options: Any) -> None:
        super().__init__(seed, **options)
        self.factor = factor
        low, high = _range(factor)
        self.change = Change(rotation=(360 * low, 360 * high), fill_mode=self.fill_mode)


class RandomTranslation(RandomChange):
    """Shifted by a share of the height and of the width."""

    def __init__(
        self, height_factor: Any, width_factor: Any, seed: Any = None, **options: Any
    ) -> None:
        super().__init__(seed, **options)
        self.height_factor, self.width_factor = height_factor, width_factor
        self.change = Change(
            down=_range(height_factor), right=_range(width_factor), fill_mode=self.fill_mode
        )


class RandomZoom(RandomChange):
    """Smaller (above 0) or larger (below 0), by a share of the height and of the width."""

    def __init__(
        self, height_factor: Any, width_factor: Any = None, seed: Any = None, **options: Any
    ) -> None:
        super().__init__(seed, **options)
        self.height_factor, self.width_factor = height_factor, width_factor
        low, high = _range(height_factor)
        self.change = Change(
            zoom=(1 + low, 1 + high), zoom_alike=width_factor is None, fill_mode=self.fill_mode
        )


class RandomFlip(RandomChange):
    """Mirrored, one image in two."""

    def __init__(
        self, mode: str = "horizontal_and_vertical", seed: Any = None, **options: Any
    ) -> None:
        super().__init__(seed, **options)
        self.mode = mode
        self.change = Change(flip_columns="horizontal" in mode, flip_rows="vertical" in mode)
