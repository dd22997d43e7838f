"""Layers for rows of numbers (n, length, channels), or (n, channels, length) with
data_format="channels_first": those for images, with one axis instead of height and width.
"""

from typing import Any

import numpy as np

from digits.keras.layer import arguments
from digits.keras.layers.basic import fused
from digits.keras.layers.images import (
    AveragePooling2D,
    Conv2D,
    Cropping2D,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    MaxPooling2D,
    UpSampling2D,
    ZeroPadding2D,
)
from digits.nn import convolution
from digits.nn.layer import Layer as Core
from digits.types import Array, Shape


class RowConvolution(convolution.Conv2D):
    """The convolution of images of height 1. W (length, channels, filters)."""

    before = 0
    """How many zeros come before the row."""

    def build(self, input_shape: Shape) -> None:
        height, length, channels = input_shape
        super().build((height, self.before + length, channels))
        self.weight_shapes["W"] = self.weight_shapes["W"][1:]

    def forward(self, x: Array, training: bool = False) -> Array:
        zeros = ((0, 0), (0, 0), (self.before, 0), (0, 0))
        return super().forward(np.pad(x, zeros) if self.before else x, training)

    def backward(self, dy: Array) -> Array | None:
        dx = super().backward(dy)
        return None if dx is None else dx[:, :, self.before :]


class Conv1D(Conv2D):
    """Each filter is a short row that is compared with the inputs at every position.

    padding="causal": zeros before the row, so that an output depends on no later input.
    """

    rank = 1

    def image_cores(self, shape: Shape) -> list[Core]:
        activation, more = fused(self.activation)
        causal, sizes = self.padding == "causal", (self.kernel_size, self.strides)
        padding = "valid" if causal else self.padding.lower()
        settings = (*map(self.plane, sizes), padding, activation, self.use_bias)
        core = RowConvolution(self.filters, *settings)
        core.before = self.kernel_size[0] - 1 if causal else 0
        return [core, *more]


Convolution1D = Conv1D


class MaxPooling1D(MaxPooling2D):
    """The largest number under a window."""

    rank = 1


class AveragePooling1D(AveragePooling2D):
    """The mean of the numbers under a window."""

    rank = 1


class GlobalAveragePooling1D(GlobalAveragePooling2D):
    """The mean of each channel."""

    rank = 1


class GlobalMaxPooling1D(GlobalMaxPooling2D):
    """The largest number of each channel; equals share the gradient."""

    rank = 1


class ZeroPadding1D(ZeroPadding2D):
    """Zeros at both ends of the row: p, or (before, after)."""

    rank = 1


@arguments()
class Cropping1D(Cropping2D):
    """The row without its ends: p, or (before, after)."""

    rank = 1
    cropping: Any = (1, 1)


class UpSampling1D(UpSampling2D):
    """Every number becomes `size` equal ones."""

    rank = 1
