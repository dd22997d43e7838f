"""Layers for rows of numbers (n, length, channels), or (n, channels, length) with
data_format="channels_first": a row is an image of height 1, and computed as one.
"""

from typing import Any

import numpy as np

from digits.keras.arguments import both
from digits.keras.layer import arguments
from digits.keras.layers.basic import KERAS_1, SpatialDropout2D, Weighted, fused
from digits.keras.layers.images import (
    Crop,
    Frame,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    ImageLayer,
    Repeat,
)
from digits.nn import convolution, pooling
from digits.nn.layer import Layer as Core
from digits.types import Array, Shape

ROW_ARGUMENTS: dict[str, str | None] = {
    "border_mode": "padding",
    "nb_filter": "filters",
    "filter_length": "kernel_size",
    "subsample_length": "strides",
    "pool_length": "pool_size",
    "stride": "strides",
    "length": "size",
}
"""What Keras 1 called the arguments of layers for rows."""


class AsImages(Core):
    """Rows as images of height 1."""

    def build(self, input_shape: Shape) -> None:
        self.input_shape, self.output_shape = input_shape, (1, *input_shape)

    def forward(self, x: Array, training: bool = False) -> Array:
        return x[:, np.newaxis]

    def backward(self, dy: Array) -> Array:
        return dy[:, 0]


class AsRows(Core):
    """Images of height 1 as rows."""

    def build(self, input_shape: Shape) -> None:
        self.input_shape, self.output_shape = input_shape, input_shape[1:]

    def forward(self, x: Array, training: bool = False) -> Array:
        return x[:, 0]

    def backward(self, dy: Array) -> Array:
        return dy[:, np.newaxis]


class RowLayer(ImageLayer):
    """A layer for rows; a subclass gives `row_cores`, for images of height 1."""

    rank = 1

    def image_cores(self, shape: Shape) -> list[Core]:
        return [AsImages(), *self.row_cores(), AsRows()]

    def row_cores(self) -> list[Core]:
        """The layers of digits.nn that do the work."""
        raise NotImplementedError


class RowConvolution(convolution.Conv2D):
    """The convolution of images of height 1. W (length, channels, filters)."""

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        self.weight_shapes["W"] = self.weight_shapes["W"][1:]


@arguments(**KERAS_1, **ROW_ARGUMENTS)
class Conv1D(Weighted, RowLayer):
    """Each filter is a short row that is compared with the inputs at every position.

    padding="causal": zeros before the row, so that an output depends on no later input.
    """

    filters: int
    kernel_size: Any
    strides: Any = 1
    padding: str = "valid"
    data_format: str | None = None
    activation: Any = None
    use_bias: bool = True

    def row_cores(self) -> list[Core]:
        activation, more = fused(self.activation)
        (length,), (stride,), padding = self.kernel_size, self.strides, self.padding.lower()
        before: list[Core] = []
        if padding == "causal":
            before, padding = [Frame((0, 0), (length - 1, 0))], "valid"
        sizes = (1, length), (1, stride)
        core = RowConvolution(self.filters, *sizes, padding, activation, self.use_bias)
        return [*before, core, *more]


Convolution1D = Conv1D


@arguments(**ROW_ARGUMENTS)
class _Pooling1D(RowLayer):
    """One number for every window."""

    pool_size: Any = 2
    strides: Any = None
    padding: str = "valid"
    data_format: str | None = None
    core = pooling.Pooling

    def row_cores(self) -> list[Core]:
        self.strides = self.pool_size if self.strides is None else self.strides
        return [self.core((1, *self.pool_size), (1, *self.strides), self.padding.lower())]


class MaxPooling1D(_Pooling1D):
    """The largest number under a window."""

    core = pooling.MaxPooling2D


class AveragePooling1D(_Pooling1D):
    """The mean of the numbers under a window."""

    core = pooling.AveragePooling2D


class GlobalAveragePooling1D(GlobalAveragePooling2D):
    """The mean of each channel."""

    rank = 1


class GlobalMaxPooling1D(GlobalMaxPooling2D):
    """The largest number of each channel; equals share the gradient."""

    rank = 1


class SpatialDropout1D(SpatialDropout2D):
    """In training a random fraction `rate` of the channels becomes 0 (Tompson et al. 2015)."""


@arguments(**ROW_ARGUMENTS)
class ZeroPadding1D(RowLayer):
    """Zeros at both ends of the row: p, or (before, after)."""

    padding: Any = 1
    data_format: str | None = None

    def row_cores(self) -> list[Core]:
        return [Frame((0, 0), both(self.padding))]


@arguments()
class Cropping1D(RowLayer):
    """The row without its ends: p, or (before, after)."""

    cropping: Any = (1, 1)
    data_format: str | None = None

    def row_cores(self) -> list[Core]:
        return [Crop((0, 0), both(self.cropping))]


@arguments(**ROW_ARGUMENTS)
class UpSampling1D(RowLayer):
    """Every number becomes `size` equal ones."""

    size: Any = 2
    data_format: str | None = None

    def row_cores(self) -> list[Core]:
        return [Repeat((1, *self.size))]
