"""Layers for images (n, height, width, channels), or (n, channels, height, width) with
data_format="channels_first".
"""

import functools
import math
from typing import Any, Self

import numpy as np

from digits.keras import config
from digits.keras.arguments import both
from digits.keras.layer import Layer, arguments
from digits.keras.layers.basic import KERAS_1, MoveAxis, Weighted, activation_core, fused
from digits.keras.legacy import note
from digits.nn import convolution, pooling
from digits.nn.layer import Layer as Core
from digits.types import Array, Pair, Shape
from digits.validation import check

IMAGE_ARGUMENTS: dict[str, str | None] = {
    "dim_ordering": "data_format",
    "border_mode": "padding",
    "subsample": "strides",
    "nb_filter": "filters",
}
"""What Keras 1 called the arguments of layers for images."""


class ImageLayer(Layer):
    """A layer for images; a subclass gives `image_cores`, for images with their channels last."""

    data_format: str | None = None

    def check_images(self, shape: Shape) -> None:
        """Raise ValueError for inputs that are no images."""
        what = "images such as (n, 28, 28, 1)" if self.rank == 2 else "rows such as (n, 28, 28)"
        expected = f"{what} for {type(self).__name__} {self.name}"
        advice = f"put Reshape({'(28, 28, 1)' if self.rank == 2 else '(28, 28)'}) before it"
        check(len(shape) == self.rank + 1, expected, (None, *shape), advice)

    def make(self, shape: Shape) -> list[Core]:
        self.check_images(shape)
        if self.is_channels_first():
            return [MoveAxis(1, -1), *self.image_cores((*shape[1:], shape[0])), MoveAxis(-1, 1)]
        return self.image_cores(shape)

    def is_channels_first(self) -> bool:
        """Whether the channels come before the pixels."""
        return config.standard_data_format(self.data_format) == "channels_first"

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
        return [convolution.Conv2D(*settings, activation=activation, use_bias=self.use_bias), *more]


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


@arguments(**KERAS_1, **IMAGE_ARGUMENTS)
class DepthwiseConv2D(ImageLayer):
    """Each channel is compared with filters of its own."""

    kernel_size: Any
    strides: Any = (1, 1)
    padding: str = "valid"
    depth_multiplier: int = 1
    data_format: str | None = None
    activation: Any = None
    use_bias: bool = True
    depthwise_initializer: Any = "glorot_uniform"
    bias_initializer: Any = "zeros"
    depthwise_regularizer: Any = None
    bias_regularizer: Any = None

    def image_cores(self, shape: Shape) -> list[Core]:
        core = ChannelConvolution(shape[2], self.depth_multiplier, self, self.use_bias)
        return [core, activation_core(self.activation)]


@arguments(**KERAS_1, **IMAGE_ARGUMENTS)
class SeparableConv2D(ImageLayer):
    """A DepthwiseConv2D, then filters of one pixel that combine its channels (Chollet 2017)."""

    filters: int
    kernel_size: Any
    strides: Any = (1, 1)
    padding: str = "valid"
    data_format: str | None = None
    depth_multiplier: int = 1
    activation: Any = None
    use_bias: bool = True
    depthwise_initializer: Any = "glorot_uniform"
    pointwise_initializer: Any = "glorot_uniform"
    bias_initializer: Any = "zeros"
    depthwise_regularizer: Any = None
    pointwise_regularizer: Any = None
    bias_regularizer: Any = None

    def image_cores(self, shape: Shape) -> list[Core]:
        first = ChannelConvolution(shape[2], self.depth_multiplier, self, False)
        second: Any = convolution.Conv2D(self.filters, 1, use_bias=self.use_bias)
        second.names = {"W": "pointwise_kernel"}
        return [first, second, activation_core(self.activation)]


class TransposedConvolution(Core):
    """The way back through a convolution: what was the gradient with respect to its inputs is the
    output here, so that images grow by the strides. W (height, width, outputs, inputs).
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
    """The way back through a Conv2D: images grow by the strides."""

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
        return [self.core(self.pool_size, self.strides, self.padding.lower())]


class MaxPooling2D(_Pooling):
    """The largest number under a window."""

    core = pooling.MaxPooling2D


class AveragePooling2D(_Pooling):
    """The mean of the numbers under a window."""

    core = pooling.AveragePooling2D


@arguments()
class _GlobalPooling(ImageLayer):
    """One number for each channel."""

    data_format: str | None = None
    keepdims: bool = False

    @property
    def axes(self) -> tuple[int, ...]:
        first = 2 if self.is_channels_first() else 1
        return tuple(range(first, first + self.rank))

    def make(self, shape: Shape) -> list[Core]:
        self.check_images(shape)
        return []

    def shape_of(self, shape: Shape) -> Shape:
        sizes = [1 if i in self.axes else size for i, size in enumerate(shape, 1)]
        pixels = () if self.keepdims else self.axes
        return tuple(size for i, size in enumerate(sizes, 1) if i not in pixels)

    def backward(self, dy: Array) -> Array:
        return self.derivative * (dy if self.keepdims else np.expand_dims(dy, self.axes))


class GlobalAveragePooling2D(_GlobalPooling):
    """The mean of each channel."""

    def elements(self, x: Array) -> tuple[Array, Array]:
        pixels = math.prod(x.shape[axis] for axis in self.axes)
        return x.mean(axis=self.axes, keepdims=self.keepdims), np.full_like(x, 1 / pixels)


class GlobalMaxPooling2D(_GlobalPooling):
    """The largest number of each channel; equals share the gradient."""

    def elements(self, x: Array) -> tuple[Array, Array]:
        y = x.max(axis=self.axes, keepdims=True)
        largest = (x == y).astype(x.dtype)
        share = largest / largest.sum(axis=self.axes, keepdims=True)
        return (y if self.keepdims else y.squeeze(self.axes)), share


@arguments(**IMAGE_ARGUMENTS)
class ZeroPadding2D(ImageLayer):
    """Zeros around the image, as Keras is told: p, (rows, columns) or ((top, bottom), ...)."""

    padding: Any = (1, 1)
    data_format: str | None = None

    def image_cores(self, shape: Shape) -> list[Core]:
        rows, columns = both_sides(self.padding)
        return [Frame(both(rows), both(columns))]


def both_sides(value: Any) -> Any:
    """What is meant for rows, and what for columns."""
    return value if isinstance(value, tuple | list) else (value, value)


class Frame(Core):
    """Zeros around the image, in so many (before, after) rows and columns."""

    def __init__(self, rows: tuple[int, int], columns: tuple[int, int]) -> None:
        super().__init__()
        self.padding = ((0, 0), rows, columns, (0, 0))

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        self.output_shape = tuple(
            size + sum(both) for size, both in zip(input_shape, self.padding[1:], strict=True)
        )

    def forward(self, x: Array, training: bool = False) -> Array:
        return np.pad(x, self.padding)

    def backward(self, dy: Array) -> Array:
        (top, _), (left, _) = self.padding[1:3]
        height, width, _ = self.input_shape
        return dy[:, top : top + height, left : left + width]


@arguments()
class Cropping2D(ImageLayer):
    """The image without its border, given as the padding of ZeroPadding2D."""

    cropping: Any = ((0, 0), (0, 0))
    data_format: str | None = None

    def image_cores(self, shape: Shape) -> list[Core]:
        rows, columns = both_sides(self.cropping)
        return [Crop(both(rows), both(columns))]


class Crop(Core):
    """The way back through a Frame: the image without so many (before, after) rows and columns."""

    def __init__(self, rows: tuple[int, int], columns: tuple[int, int]) -> None:
        super().__init__()
        self.border = ((0, 0), rows, columns, (0, 0))

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        pairs = zip(input_shape, self.border[1:], strict=True)
        self.output_shape = tuple(size - sum(both) for size, both in pairs)
        left = min(self.output_shape) > 0
        check(left, "a border smaller than the images", self.border[1:3], f"they are {input_shape}")

    def forward(self, x: Array, training: bool = False) -> Array:
        (top, _), (left, _) = self.border[1:3]
        height, width, _ = self.output_shape
        return x[:, top : top + height, left : left + width]

    def backward(self, dy: Array) -> Array:
        return np.pad(dy, self.border)


@arguments()
class UpSampling2D(ImageLayer):
    """Every pixel becomes a block of `size` equal ones."""

    size: Any = (2, 2)
    data_format: str | None = None
    interpolation: str = "nearest"

    def image_cores(self, shape: Shape) -> list[Core]:
        check(self.interpolation == "nearest", "interpolation='nearest'", self.interpolation)
        return [Repeat(self.size)]


class Repeat(Core):
    """Every pixel becomes a block of equal ones; its gradient is the sum of theirs."""

    def __init__(self, block: tuple[int, int]) -> None:
        super().__init__()
        self.block = block

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        height, width, channels = input_shape
        self.output_shape = (height * self.block[0], width * self.block[1], channels)

    def forward(self, x: Array, training: bool = False) -> Array:
        return x.repeat(self.block[0], axis=1).repeat(self.block[1], axis=2)

    def backward(self, dy: Array) -> Array:
        height, width, channels = self.input_shape
        blocks = dy.reshape(len(dy), height, self.block[0], width, self.block[1], channels)
        return blocks.sum(axis=(2, 4))
