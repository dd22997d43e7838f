"""Where a kernel stands on an image: how far apart its positions are (strides), how much padding
lies around the image, and how many positions there are along a row and a column.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from digits.nn.layer import ActivatedLayer
from digits.nn.workspace import ThreadCache
from digits.types import Array, Pair, Shape
from digits.validation import check, positive_int

MAX_KERNEL = 256
"""Pixels along a side. Pooling has no weights, so a model file of a few bytes could ask for a
kernel of any size, and for work without end."""


def images(memory: Array) -> Array:
    """Images (n, height, width, channels) in an array (height, channels, width, n): a view.

    That is how the layers for images keep their numbers. A row of pixels, of all images, is one
    long run of numbers, and so is what one pixel of a kernel meets at all positions along a row. It
    matters for speed only, and NumPy's arithmetic keeps the order in memory of what it is given, so
    the layers between need not know. (Convolutions with many filters may use another one.)
    """
    return memory.transpose(3, 0, 2, 1)


@dataclass(frozen=True)
class Geometry:
    """image: (height, width, channels) of an input; padding: ((top, bottom), (left, right)), pixels
    around it; output: rows and columns of positions.
    """

    image: Shape
    kernel: Pair
    strides: Pair
    padding: tuple[Pair, Pair]
    output: Pair

    @cached_property
    def padded(self) -> Shape:
        """(height, width, channels) with the padding."""
        (top, bottom), (left, right) = self.padding
        height, width, channels = self.image
        return top + height + bottom, left + width + right, channels

    @cached_property
    def has_padding(self) -> bool:
        return self.padded != self.image

    def pad(self, x: Array, cache: ThreadCache, fill: float = 0.0) -> Array:
        """Images x with their padding, in an array of the cache; x itself if there is none."""
        if not self.has_padding:
            return x
        height, width, channels = self.padded
        padded = images(
            cache.array("padded", (height, channels, width, len(x)), x.dtype, fill=fill)
        )
        self.inside(padded)[...] = x  # the padding keeps what it was filled with
        return padded

    def inside(self, padded: Array) -> Array:
        """The image in padded ones (n, height, width, channels): a view."""
        (top, _), (left, _) = self.padding
        height, width, _ = self.image
        return padded[:, top : top + height, left : left + width]

    def taps(self, padded: Array) -> Iterator[Array]:
        """For each pixel (i, j) of the kernel, in reading order, the pixels (n, rows, columns,
        channels) that it meets at all positions: a view, so that writing to it writes to them.
        """
        (rows, columns), (down, right) = self.output, self.strides
        for i in range(self.kernel[0]):
            for j in range(self.kernel[1]):
                yield padded[:, i : i + rows * down : down, j : j + columns * right : right]


def positions_along(size: int, kernel: int, stride: int, padding: str) -> tuple[int, Pair]:
    """How many positions a kernel has along one side of an image, and the padding at both ends.

    padding="valid": the kernel stays inside, (size - kernel) // stride + 1 positions.
    padding="same": ceil(size / stride) positions; the padding that this takes is split evenly
    between both ends, and an odd pixel goes to the right or bottom, as in Keras.
    """
    if padding == "valid":
        return (size - kernel) // stride + 1, (0, 0)
    positions = -(-size // stride)  # rounded up
    missing = max((positions - 1) * stride + kernel - size, 0)
    return positions, (missing // 2, missing - missing // 2)


def pair(value: Any, meaning: str) -> Pair:
    """One number for both directions, or one each for height and width; integers above 0."""
    both = tuple(value) if isinstance(value, tuple | list) else (value, value)
    check(len(both) == 2, f"{meaning} as one number, or one each for height and width", value)
    return positive_int(both[0], meaning), positive_int(both[1], meaning)


class KernelLayer(ActivatedLayer):
    """A layer that moves a kernel over images (n, height, width, channels)."""

    shares_work = True

    def __init__(self, kernel: Pair, strides: Pair, padding: str, activation: Any = None) -> None:
        super().__init__(activation)
        check(padding in ("valid", "same"), "padding 'valid' or 'same'", padding)
        limit = f"a kernel and strides of at most {MAX_KERNEL} pixels"
        check(max(*kernel, *strides) <= MAX_KERNEL, limit, (kernel, strides))
        self.kernel, self.strides, self.padding = kernel, strides, padding
        self.geometry = Geometry((), kernel, strides, ((0, 0), (0, 0)), (0, 0))

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        self.expect_images()
        sides = zip(input_shape[:2], self.kernel, self.strides, strict=True)
        (rows, above), (columns, beside) = (positions_along(*side, self.padding) for side in sides)
        if min(rows, columns) < 1:
            raise ValueError(
                f"{type(self).__name__} expected images of at least {self.kernel}; "
                f"received {input_shape[:2]}: use padding='same', or fewer layers before it"
            )
        padding, output = (above, beside), (rows, columns)
        self.geometry = Geometry(input_shape, self.kernel, self.strides, padding, output)
        self.output_shape = (rows, columns, input_shape[2])

    def _geometry_config(self) -> dict[str, Any]:
        return {"strides": list(self.strides), "padding": self.padding}
