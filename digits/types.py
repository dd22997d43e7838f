"""The types that most modules name in their signatures: arrays, shapes, and boxes in a picture."""

from typing import Any, NamedTuple

from numpy.typing import NDArray

Array = NDArray[Any]
"""A NumPy array; the docstring of a function says of which shape and dtype."""

Shape = tuple[int, ...]
Pair = tuple[int, int]


class Box(NamedTuple):
    """A rectangle of pixels: its left and top edge, its width and height."""

    x: int
    y: int
    width: int
    height: int

    @property
    def right(self) -> int:
        """The first column beyond it."""
        return self.x + self.width

    @property
    def bottom(self) -> int:
        """The first row beyond it."""
        return self.y + self.height

    @property
    def area(self) -> int:
        return self.width * self.height

    @property
    def longest(self) -> int:
        """The longer side."""
        return max(self.width, self.height)

    @property
    def slices(self) -> tuple[slice, slice]:
        """The index of its pixels in an array (height, width)."""
        return slice(self.y, self.bottom), slice(self.x, self.right)

    def overlap(self, other: "Box") -> Pair:
        """How many columns and how many rows two boxes share; negative numbers are gaps."""
        return (
            min(self.right, other.right) - max(self.x, other.x),
            min(self.bottom, other.bottom) - max(self.y, other.y),
        )

    def level_of(self, other: "Box") -> float:
        """How far down this box the middle of another is: 0 at its top, 1 at its foot."""
        return (other.y + other.height / 2 - self.y) / self.height

    def union(self, *others: "Box") -> "Box":
        """The smallest box that holds them all."""
        boxes = (self, *others)
        x, y = min(box.x for box in boxes), min(box.y for box in boxes)
        right, bottom = max(box.right for box in boxes), max(box.bottom for box in boxes)
        return Box(x, y, right - x, bottom - y)

    def scaled(self, factor: float) -> "Box":
        """The box in a picture that is `factor` times as large; at least one pixel wide."""
        x, y, width, height = (round(side * factor) for side in self)
        return Box(x, y, max(1, width), max(1, height))
