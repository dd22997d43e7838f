"""Layers for images (n, height, width, channels), or (n, channels, height, width) with
data_format="channels_first".
"""

import functools
from typing import Any

import numpy as np

from digits.keras import config
from digits.keras.layer import Layer, resolve
from digits.keras.layers.basic import KERAS_1, MoveAxis, fused
from digits.keras.legacy import note, renamed
from digits.nn import convolution, pooling
from digits.nn.layer import Layer as Core
from digits.types import Array, Shape

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

    def make(self, shape: Shape) -> list[Core]:
        if len(shape) != 3:
            raise ValueError(
                f"{type(self).__name__} {self.name} expected images such as (n, 28, 28, 1); "
                f"received {(None, *shape)}: put Reshape((28, 28, 1)) before it"
            )
        cores = self.image_cores(shape)
        if self.is_channels_first():
            return [MoveAxis(1, -1), *cores, MoveAxis(-1, 1)]
        return cores

    def is_channels_first(self) -> bool:
        """Whether the channels come before the pixels."""
        return config.standard_data_format(self.data_format) == "channels_first"

    def image_cores(self, shape: Shape) -> list[Core]:
        """The layers of digits.nn that do the work."""
        raise NotImplementedError


def both(value: Any) -> tuple[int, int]:
    """One number for height and width, or one each."""
    first, second = value if isinstance(value, tuple | list) else (value, value)
    return int(first), int(second)


def rows_and_columns(make: Any) -> Any:
    """Decorates what takes Keras 1's Conv2D(32, 3, 3, border_mode="same"): a kernel of 3 x 3, where
    without such a spelling it is a kernel of 3 and strides of 3.
    """

    @functools.wraps(make)
    def call(self: Any, *args: Any, **options: Any) -> None:
        numbers = len(args) == 3 and all(isinstance(size, int) for size in args[1:])
        if numbers and options.keys() & {*KERAS_1, *IMAGE_ARGUMENTS}:
            note(f"Conv2D(n, {args[1]}, {args[2]}) is called Conv2D(n, {args[1:]}) today")
            args = (args[0], args[1:])
        make(self, *args, **options)

    return call


class Conv2D(ImageLayer):
    """Each filter is a small image that is compared with the inputs at every position."""

    @rows_and_columns
    @renamed(**KERAS_1, **IMAGE_ARGUMENTS)
    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: str = "valid",
        data_format: str | None = None,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.filters, self.kernel_size, self.strides = (
            int(filters),
            both(kernel_size),
            both(strides),
        )
        self.padding, self.data_format, self.use_bias = padding.lower(), data_format, use_bias
        resolve(self, activation=activation)
        resolve(self, kernel_initializer=kernel_initializer, bias_initializer=bias_initializer)
        resolve(self, kernel_regularizer=kernel_regularizer, bias_regularizer=bias_regularizer)

    def make(self, shape: Shape) -> list[Core]:
        if (
            self.data_format is None
            and not self.is_channels_first()
            and len(shape) == 3
            and shape[0] in (1, 3)
            and min(shape[1:]) > 3
        ):
            note(
                f"inputs {(None, *shape)} are taken for channels first; today that is "
                'keras.config.set_image_data_format("channels_first")'
            )
            config.set_image_data_format("channels_first")
        return super().make(shape)

    def image_cores(self, shape: Shape) -> list[Core]:
        activation, more = fused(self.activation)
        settings = (self.filters, self.kernel_size, self.strides, self.padding)
        return [convolution.Conv2D(*settings, activation=activation, use_bias=self.use_bias), *more]


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


class _Pooling2D(ImageLayer):
    core: type[pooling.Pooling]

    @renamed(**IMAGE_ARGUMENTS)
    def __init__(
        self,
        pool_size: Any = (2, 2),
        strides: Any = None,
        padding: str = "valid",
        data_format: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.pool_size = both(pool_size)
        self.strides = self.pool_size if strides is None else both(strides)
        self.padding, self.data_format = padding.lower(), data_format

    def image_cores(self, shape: Shape) -> list[Core]:
        return [self.core(self.pool_size, self.strides, self.padding)]


class MaxPooling2D(_Pooling2D):
    """The largest number under a window."""

    core = pooling.MaxPooling2D


class AveragePooling2D(_Pooling2D):
    """The mean of the numbers under a window."""

    core = pooling.AveragePooling2D


class _GlobalPooling2D(ImageLayer):
    """One number for each channel."""

    def __init__(
        self, data_format: str | None = None, keepdims: bool = False, **options: Any
    ) -> None:
        super().__init__(**options)
        self.data_format, self.keepdims = data_format, keepdims

    def make(self, shape: Shape) -> list[Core]:
        self.axes = (2, 3) if self.is_channels_first() else (1, 2)
        return []

    def set_up(self, shape: Any) -> None:
        self.make(shape)
        super().set_up(shape)

    def shape_of(self, shape: Shape) -> Shape:
        if self.keepdims:
            return tuple(1 if i + 1 in self.axes else size for i, size in enumerate(shape))
        return tuple(size for i, size in enumerate(shape) if i + 1 not in self.axes)


class GlobalAveragePooling2D(_GlobalPooling2D):
    """The mean of each channel."""

    def forward(self, x: Array, training: bool) -> Array:
        self.shape = x.shape
        return x.mean(axis=self.axes, keepdims=self.keepdims)

    def backward(self, dy: Array) -> Array:
        if not self.keepdims:
            dy = np.expand_dims(dy, self.axes)
        share = dy / (self.shape[self.axes[0]] * self.shape[self.axes[1]])
        return np.broadcast_to(share, self.shape)


class GlobalMaxPooling2D(_GlobalPooling2D):
    """The largest number of each channel; equals share the gradient."""

    def forward(self, x: Array, training: bool) -> Array:
        y = x.max(axis=self.axes, keepdims=True)
        largest = x == y
        self.share = largest / largest.sum(axis=self.axes, keepdims=True).astype(x.dtype)
        return y if self.keepdims else y.squeeze(self.axes)

    def backward(self, dy: Array) -> Array:
        return self.share * (dy if self.keepdims else np.expand_dims(dy, self.axes))


class ZeroPadding2D(ImageLayer):
    """A border of zeros, as wide as Keras is told: p, (rows, columns) or ((top, bottom), ...)."""

    @renamed(**IMAGE_ARGUMENTS)
    def __init__(
        self, padding: Any = (1, 1), data_format: str | None = None, **options: Any
    ) -> None:
        super().__init__(**options)
        rows, columns = padding if isinstance(padding, tuple | list) else (padding, padding)
        self.padding, self.data_format = (both(rows), both(columns)), data_format

    def image_cores(self, shape: Shape) -> list[Core]:
        return [Frame(*self.padding)]


class Frame(Core):
    """A border of zeros, of so many (before, after) rows and columns."""

    def __init__(self, rows: tuple[int, int], columns: tuple[int, int]) -> None:
        super().__init__()
        self.border = ((0, 0), rows, columns, (0, 0))

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        self.output_shape = tuple(
            size + sum(border) for size, border in zip(input_shape, self.border[1:], strict=True)
        )

    def forward(self, x: Array, training: bool = False) -> Array:
        return np.pad(x, self.border)

    def backward(self, dy: Array) -> Array:
        (top, _), (left, _) = self.border[1:3]
        height, width, _ = self.input_shape
        return dy[:, top : top + height, left : left + width]


class UpSampling2D(ImageLayer):
    """Every pixel becomes a block of `size` equal ones."""

    def __init__(
        self,
        size: Any = (2, 2),
        data_format: str | None = None,
        interpolation: str = "nearest",
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if interpolation != "nearest":
            raise ValueError(f"expected interpolation='nearest'; received {interpolation!r}")
        self.size, self.data_format, self.interpolation = both(size), data_format, interpolation

    def image_cores(self, shape: Shape) -> list[Core]:
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
