"""Layers that make images larger or smaller, and those that change them at random in training: no
layer before these can be trained.
"""

from typing import Any

import numpy as np

from digits.keras.layer import arguments
from digits.keras.layers.formula import Formula
from digits.keras.preprocessing.image import Change, change_images
from digits.keras.random import new_generator
from digits.keras.tensor import tensor
from digits.types import Array
from digits.validation import check


@arguments(crop_to_aspect_ratio=None, data_format=None)
class Resizing(Formula):
    """Images (n, h, w, c) of another height and width."""

    height: int
    width: int
    interpolation: str = "bilinear"

    def make_weights(self, shape: Any) -> None:
        check(len(shape) == 4, f"images (n, h, w, c) for {self.name}", shape)
        kinds = ("bilinear", "nearest")
        check(self.interpolation in kinds, " or ".join(kinds), self.interpolation)

    def call(self, inputs: Any, training: Any = None) -> Any:
        _, height, width, _ = np.shape(inputs)
        rows, columns = self._shares(height, self.height), self._shares(width, self.width)
        return np.einsum("qw,npwc->npqc", columns, np.einsum("ph,nhwc->npwc", rows, inputs))

    def _shares(self, size: int, new_size: int) -> Array:
        """How much of each of `size` pixels in a row each new pixel has."""
        place = np.clip((np.arange(new_size) + 0.5) * size / new_size - 0.5, 0, size - 1)
        if self.interpolation == "nearest":
            place = np.floor(place + 0.5)
        distance = np.abs(place[:, np.newaxis] - np.arange(size))
        return np.maximum(1 - distance, 0).astype(self.dtype)


class RandomChange(Formula):
    """Images (n, h, w, c), each changed in its own way; a subclass says how, as a `Change`."""

    trains_alone = True
    change: Any
    seed: Any
    fill_mode: str

    def __post_init__(self) -> None:
        self.rng = new_generator(self.seed)

    def make_weights(self, shape: Any) -> None:
        check(len(shape) == 4, f"images (n, h, w, c) for {self.name}", shape)

    def call(self, inputs: Any, training: Any = None) -> Any:
        return tensor(self.changed(np.asarray(inputs))) if training else inputs

    def changed(self, x: Array) -> Array:
        """The images, each changed."""
        return change_images(x, self.change(), self.rng)


def _range(factor: Any) -> tuple[float, float]:
    low, high = factor if isinstance(factor, tuple | list) else (-factor, factor)
    return float(low), float(high)


UNUSED: dict[str, None] = dict.fromkeys(
    ("interpolation", "fill_value", "data_format", "value_range", "crop_to_aspect_ratio")
)
"""Arguments of Keras that are taken and not used."""


@arguments(**UNUSED)
class RandomRotation(RandomChange):
    """Turned by a fraction of a full circle, at most `factor` either way."""

    factor: Any
    fill_mode: str = "reflect"
    seed: Any = None

    def change(self) -> Change:
        low, high = _range(self.factor)
        return Change(rotation=(360 * low, 360 * high), fill_mode=self.fill_mode)


@arguments(**UNUSED)
class RandomTranslation(RandomChange):
    """Shifted by a fraction of the height and of the width."""

    height_factor: Any
    width_factor: Any
    fill_mode: str = "reflect"
    seed: Any = None

    def change(self) -> Change:
        down, right = _range(self.height_factor), _range(self.width_factor)
        return Change(down=down, right=right, fill_mode=self.fill_mode)


@arguments(**UNUSED)
class RandomZoom(RandomChange):
    """Smaller (above 0) or larger (below 0), by a fraction of the height and of the width."""

    height_factor: Any
    width_factor: Any = None
    fill_mode: str = "reflect"
    seed: Any = None

    def change(self) -> Change:
        low, high = _range(self.height_factor)
        alike = self.width_factor is None
        return Change(zoom=(1 + low, 1 + high), zoom_alike=alike, fill_mode=self.fill_mode)


@arguments(**UNUSED)
class RandomFlip(RandomChange):
    """Mirrored, one image in two."""

    mode: str = "horizontal_and_vertical"
    seed: Any = None

    def change(self) -> Change:
        return Change(flip_columns="horizontal" in self.mode, flip_rows="vertical" in self.mode)


@arguments(**UNUSED)
class RandomContrast(RandomChange):
    """Pixels further from or closer to the mean of their image, by at most a fraction `factor`."""

    factor: Any
    seed: Any = None

    def changed(self, x: Array) -> Array:
        less, more = self.factor if isinstance(self.factor, tuple | list) else [self.factor] * 2
        scale = self.rng.uniform(1 - less, 1 + more, (len(x), 1, 1, 1)).astype(x.dtype)
        mean = x.mean(axis=(1, 2), keepdims=True)
        return (x - mean) * scale + mean
