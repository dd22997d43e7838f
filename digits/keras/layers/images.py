"""Layers for images (n, height, width, channels), or (n, channels, height, width) with
data_format="channels_first".
"""

import functools
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from digits.keras import config
from digits.keras.arguments import both
from digits.keras.layer import Layer, arguments
from digits.keras.layers.basic import KERAS_1, MoveAxis, Weighted, activation_core, fused
from digits.keras.layers.formula import Formula
from digits.keras.legacy import note
from digits.nn import convolution, pooling
from digits.nn import layers as nn
from digits.nn.layer import Layer as Core
from digits.types import Array, Pair, Shape
from digits.validation import check

IMAGE_ARGUMENTS: dict[str, str | None] = {
    "dim_ordering": "data_format",
    "border_mode": "padding",
    "subsample": "strides",
    "nb_filter": "filters",
    **{"filter_length": "kernel_size", "subsample_length": "strides"},
    **{"pool_length": "pool_size", "stride": "strides", "length": "size"},
}
"""What Keras 1 called the arguments of layers for images, and for rows."""


class ImageLayer(Layer):
    """A layer for images, or, where its rank is 1, for rows. A subclass gives `image_cores`, for
    images with their channels last; a row is one of height 1.
    """

    data_format: str | None = None

    def check_images(self, shape: Shape) -> None:
        """Raise ValueError for inputs that are no images."""
        what = "images such as (n, 28, 28, 1)" if self.rank == 2 else "rows such as (n, 28, 28)"
        expected = f"{what} for {type(self).__name__} {self.name}"
        advice = f"put Reshape({'(28, 28, 1)' if self.rank == 2 else '(28, 28)'}) before it"
        check(len(shape) == self.rank + 1, expected, (None, *shape), advice)

    def make(self, shape: Shape) -> list[Core]:
        self.check_images(shape)
        first = self.is_channels_first()
        shape = (*shape[1:], shape[0]) if first else shape
        image = (1, *shape) if self.rank == 1 else shape
        cores = self.image_cores(image)
        if self.rank == 1:
            channels = getattr(self, "filters", shape[-1])
            cores = [nn.Reshape(image), *cores, nn.Reshape((-1, channels))]
        return [MoveAxis(1, -1), *cores, MoveAxis(-1, 1)] if first else cores

    def is_channels_first(self) -> bool:
        """Whether the channels come before the pixels."""
        return config.standard_data_format(self.data_format) == "channels_first"

    @property
    def pixel_axes(self) -> tuple[int, ...]:
        """The axes along which the pixels lie."""
        first = 2 if self.is_channels_first() else 1
        return tuple(range(first, first + self.rank))

    def plane(self, size: Any) -> Any:
        """A size for height and width: that of a row has a height of 1."""
        return (1, *size) if self.rank == 1 else size

    def image_cores(self, shape: Shape) -> list[Core]:
        """The layers of digits.nn that do the work, for images of that shape, channels last."""
        raise NotImplementedError


def rows_and_columns(kind: Any) -> Any:
    """Decorates what takes Keras 1's Conv2D(32, 3, 3, border_mode="same"): a kernel of 3 x 3, where
    without such a spelling it is a kernel of 3 and strides of 3.
    """

    make = kind.__init__

    @functools.wraps(make)
    def call(self: Any, *args: Any, **options: Any) -> None:
        numbers = len(args) == 3 and all(isinstance(size, int) for size in args[1:])
        if numbers and options.keys() & {*KERAS_1, *IMAGE_ARGUMENTS}:
            note(f"Conv2D(n, {args[1]}, {args[2]}) is called Conv2D(n, {args[1:]}) today")
            args = (args[0], args[1:])
        make(self, *args, **options)

    kind.__init__ = call
    return kind


@rows_and_columns
@arguments(**KERAS_1, **IMAGE_ARGUMENTS)
class Conv2D(Weighted, ImageLayer):
    """Each filter is a small image that is compared with the inputs at every position."""

    filters: int
    kernel_size: Any
    strides: Any = (1, 1)
    padding: str = "valid"
    data_format: str | None = None
    activation: Any = None
    use_bias: bool = True

    def make(self, shape: Shape) -> list[Core]:
        untold = self.data_format is None and not self.is_channels_first()
        if untold and len(shape) == 3 and shape[0] in (1, 3) and min(shape[1:]) > 3:
            note(
                f"inputs {(None, *shape)} are taken for channels first; today that is "
                'keras.config.set_image_data_format("channels_first")'
            )
            config.set_image_data_format("channels_first")
        return super().make(shape)

    def image_cores(self, shape: Shape) -> list[Core]:
        activation, more = fused(self.activation)
        settings = (self.filters, self.kernel_size, self.strides, self.padding.lower())
        return [convolution.Conv2D(*settings, activation, self.use_bias), *more]


class ChannelConvolution(convolution.Conv2D):
    """Filters of its own for each channel. W (height, width, channels, filters of a channel)."""

    names = {"W": "depthwise_kernel"}  # noqa: RUF012  the same for all

    def __init__(self, channels: int, multiplier: int, layer: Any, use_bias: bool) -> None:
        table = np.repeat(np.eye(channels, dtype=int), multiplier, axis=1)
        size = (channels * multiplier, layer.kernel_size, layer.strides, layer.padding.lower())
        super().__init__(*size, use_bias=use_bias, connections=table)

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        multiplier = self.filters // input_shape[2]
        self.weight_shapes["W"] = (*self.kernel, input_shape[2], multiplier)


@dataclass(kw_only=True, eq=False, repr=False)
class _ChannelWise(ImageLayer):
    """Arguments of layers with filters of its own for each channel."""

    data_format: str | None = None
    activation: Any = None
    use_bias: bool = True
    depthwise_initializer: Any = "glorot_uniform"
    bias_initializer: Any = "zeros"
    depthwise_regularizer: Any = None
    bias_regularizer: Any = None


@arguments(**KERAS_1, **IMAGE_ARGUMENTS)
class DepthwiseConv2D(_ChannelWise):
    """Each channel is compared with filters of its own."""

    kernel_size: Any
    strides: Any = (1, 1)
    padding: str = "valid"
    depth_multiplier: int = 1

    def image_cores(self, shape: Shape) -> list[Core]:
        core = ChannelConvolution(shape[2], self.depth_multiplier, self, self.use_bias)
        return [core, activation_core(self.activation)]


@arguments(**KERAS_1, **IMAGE_ARGUMENTS)
class SeparableConv2D(_ChannelWise):
    """A DepthwiseConv2D, then filters of one pixel that combine its channels (Chollet 2017)."""

    filters: int
    kernel_size: Any
    strides: Any = (1, 1)
    padding: str = "valid"
    depth_multiplier: int = 1
    pointwise_initializer: Any = "glorot_uniform"
    pointwise_regularizer: Any = None

    def image_cores(self, shape: Shape) -> list[Core]:
        first = ChannelConvolution(shape[2], self.depth_multiplier, self, False)
        second: Any = convolution.Conv2D(self.filters, 1, use_bias=self.use_bias)
        second.names = {"W": "pointwise_kernel"}
        return [first, second, activation_core(self.activation)]


class TransposedConvolution(Core):
    """The gradient function of a convolution as a layer: what is its dx is the output here, so that
    images grow by the strides. W (height, width, outputs, inputs).
    """

    shares_work = True

    def __init__(self, filters: int, kernel: Pair, strides: Pair, padding: str) -> None:
        super().__init__()
        self.filters, self.kernel, self.strides, self.padding = filters, kernel, strides, padding

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        valid = self.padding == "valid"
        sizes = zip(input_shape[:2], self.kernel, self.strides, strict=True)
        grown = [size * s + (max(k - s, 0) if valid else 0) for size, k, s in sizes]
        self.output_shape = (*grown, self.filters)
        settings = (input_shape[2], self.kernel, self.strides, self.padding)
        self.straight = convolution.Conv2D(*settings, use_bias=False)
        self.straight.build(self.output_shape)
        self.weight_shapes = {**self.straight.weight_shapes, "b": (self.filters,)}

    def unbound(self) -> Self:
        other = super().unbound()
        other.build(self.input_shape)
        return other

    def forward(self, x: Array, training: bool = False) -> Array:
        if self.straight.weights.get("W") is not self.weights["W"]:
            shared = {"W": self.weights["W"]}, {"W": self.grads["W"]}
            self.straight.bind(*shared, {}, self.rng, self.dtype)
        self.x = x
        self.straight.forward(np.zeros((len(x), *self.output_shape), self.dtype))
        return self.straight.backward(x) + self.weights["b"]

    def backward(self, dy: Array) -> Array:
        np.sum(dy, axis=(0, 1, 2), out=self.grads["b"])
        dx = self.straight.forward(dy).copy()
        self.straight.backward(self.x)  # for the gradient of the kernel
        return dx


class Conv2DTranspose(Conv2D):
    """The gradient function of a Conv2D as a layer: images grow by the strides."""

    def image_cores(self, shape: Shape) -> list[Core]:
        self.unused = ("b",) * (not self.use_bias)
        settings = (self.filters, self.kernel_size, self.strides, self.padding.lower())
        return [TransposedConvolution(*settings), activation_core(self.activation)]


def Convolution2D(filters: int = 0, *sizes: Any, **options: Any) -> Conv2D:
    """Conv2D as Keras 1 called it: Convolution2D(32, 3, 3) has a kernel of 3 x 3."""
    if "nb_row" in options:
        sizes = (options.pop("nb_row"), options.pop("nb_col"))
    if len(sizes) == 2 and all(isinstance(size, int) for size in sizes):
        note(f"Convolution2D(n, {sizes[0]}, {sizes[1]}) is called Conv2D(n, {sizes}) today")
        sizes = (sizes,)
    else:
        note("Convolution2D is called Conv2D today")
    return Conv2D(options.pop("nb_filter", filters), *sizes, **options)


@arguments(**IMAGE_ARGUMENTS)
class _Pooling(ImageLayer):
    """One number for every window."""

    pool_size: Any = (2, 2)
    strides: Any = None
    padding: str = "valid"
    data_format: str | None = None
    core = pooling.Pooling

    def image_cores(self, shape: Shape) -> list[Core]:
        self.strides = self.pool_size if self.strides is None else self.strides
        sizes = self.plane(self.pool_size), self.plane(self.strides)
        return [self.core(*sizes, self.padding.lower())]


class MaxPooling2D(_Pooling):
    """The largest number under a window."""

    core = pooling.MaxPooling2D


class AveragePooling2D(_Pooling):
    """The mean of the numbers under a window."""

    core = pooling.AveragePooling2D


# --- formulas -------------------------------------------------------------------------------------


class ImageFormula(Formula, ImageLayer):
    """A layer for images that is a formula."""

    def make_weights(self, shape: Any) -> None:
        self.check_images(tuple(shape[1:]))

    def around(self, given: Any) -> list[Any]:
        """What is (before, after) the pixels along each axis, as Keras is told for rows and columns
        together, for each of them, or for both sides of each.
        """
        sides = given if self.rank == 2 and isinstance(given, tuple | list) else [given] * self.rank
        found = [(0, 0)] * (self.rank + 2)
        for axis, side in zip(self.pixel_axes, sides, strict=True):
            found[axis] = both(side)
        return found


@arguments()
class GlobalAveragePooling2D(ImageFormula):
    """The mean of each channel."""

    data_format: str | None = None
    keepdims: bool = False

    def call(self, inputs: Any, training: Any = None) -> Any:
        return np.mean(inputs, axis=self.pixel_axes, keepdims=self.keepdims)


class GlobalMaxPooling2D(GlobalAveragePooling2D):
    """The largest number of each channel; equals share the gradient."""

    def call(self, inputs: Any, training: Any = None) -> Any:
        return np.max(inputs, axis=self.pixel_axes, keepdims=self.keepdims)


@arguments(**IMAGE_ARGUMENTS)
class ZeroPadding2D(ImageFormula):
    """Zeros around the image, as Keras is told: p, (rows, columns) or ((top, bottom), ...)."""

    padding: Any = (1, 1)
    data_format: str | None = None

    def call(self, inputs: Any, training: Any = None) -> Any:
        return np.pad(inputs, self.around(self.padding))


@arguments()
class Cropping2D(ImageFormula):
    """The image without its border, given as the padding of ZeroPadding2D."""

    cropping: Any = ((0, 0), (0, 0))
    data_format: str | None = None

    def call(self, inputs: Any, training: Any = None) -> Any:
        pairs = list(zip(inputs.shape, self.around(self.cropping), strict=True))
        left, given = all(size > sum(border) for size, border in pairs), self.cropping
        check(left, f"a border smaller than the images {inputs.shape[1:]}", given)
        return inputs[tuple(slice(before, size - after) for size, (before, after) in pairs)]


@arguments(**IMAGE_ARGUMENTS)
class UpSampling2D(ImageFormula):
    """Every pixel becomes a block of `size` equal ones."""

    size: Any = (2, 2)
    data_format: str | None = None
    interpolation: str = "nearest"

    def call(self, inputs: Any, training: Any = None) -> Any:
        check(self.interpolation == "nearest", "interpolation='nearest'", self.interpolation)
        for axis, times in zip(self.pixel_axes, self.size, strict=True):
            inputs = np.repeat(inputs, times, axis)
        return inputs
