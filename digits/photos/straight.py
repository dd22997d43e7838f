"""Thin straight lines in a picture: long level runs of the sheared picture, and a curve through
each of them.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from digits.types import Array

MAX_BEND = 0.08
"""How far the middle of a line may be from its chord, in lengths: the side of a ring is further."""


MAX_SLOPE = 0.27
"""Of a line to the edge of the picture: 15 degrees."""

SLOPE_STEP = 0.0245
"""Between the slopes that are tried."""


@dataclass(frozen=True, eq=False)
class Line:
    """A line from left to right, or in a transposed picture from top to bottom, in cells."""

    start: Array  # (x, y) in the picture as it is, of one end ...
    end: Array  # ... and of the other
    thickness: float
    limit: float  # up to this darkness it may be the line, above it there is a stroke
    pixels: tuple[Array, Array]  # where it is: rows and columns, of the transposed picture if it is
    inked: float = 1.0  # so much of its length is not in gaps

    @property
    def length(self) -> float:
        return float(np.abs(self.end - self.start).max())


def straight_lines(
    cells: Array,
    shades: Array,
    run: float,
    slender: float,
    turned: bool,
    slopes: tuple[float, float] = (-MAX_SLOPE, MAX_SLOPE),
) -> list[Line]:
    """The thin straight lines at least `run` long that go from left to right with such slopes.

    turned: whether the picture is transposed.
    """
    runs = _runs(cells, run, slopes)
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(runs, connectivity=8)
    lines = []
    for label in range(1, count):
        left, top, length, height, area = (int(side) for side in boxes[label])
        thickness = area / length - 2  # the lines were thickened by two
        thin = thickness <= max(2, length / slender, max(cells.shape) / (2 * slender))
        if not thin or 2 * length < run:
            continue
        rows, columns = np.nonzero(labels[top : top + height, left : left + length] == label)
        thickness = float(np.median(np.bincount(columns, minlength=length))) - 2
        (first, middle, last), near = _fit(columns, rows, length, thickness)
        if abs(middle - (first + last) / 2) > MAX_BEND * length:
            continue
        if near.mean() < 0.75:  # several lines, which a stroke joins
            near[:] = True
        rows, columns = rows[near] + top, columns[near] + left
        marked = cells[rows, columns] > 0
        own = np.sort(shades[rows, columns][marked])
        if not len(own):
            continue
        limit = 1.3 * float(own[3 * len(own) // 4])
        start, end = np.array([left, top + first]), np.array([left + length - 1, top + last])
        if turned:
            start, end = start[::-1], end[::-1]
        inked = (len(np.unique(columns[marked])) + 1) / length  # one end may be rounded off
        lines.append(Line(start, end, max(1.0, thickness), limit, (rows, columns), inked))
    return lines


def _fit(x: Array, y: Array, length: int, thickness: float) -> tuple[Array, Array]:
    """How high a line is at its first end, in the middle and at its last end, and which of the
    points are on it, bool.

    It bends a little, as a cubic does; a stroke that runs beside it for a while is none of it.
    Least squares by the normal equations (A^T A) w = A^T y, where A holds the powers of x.
    """
    powers = np.vander(2 * x / max(1, length - 1) - 1, 4, increasing=True)
    near = np.ones(len(x), bool)
    for terms in (2, 3, 4, 4):
        a = powers[near, :terms]
        w = np.linalg.lstsq(a.T @ a, a.T @ y[near])[0]
        off = np.abs(y - powers[:, :terms] @ w)
        near = off <= 0.75 * thickness + 1.5
        if near.mean() < 0.6:
            near = off <= np.quantile(off, 0.6)
    return np.vander([-1, 0, 1], 4, increasing=True) @ w, near


def _runs(cells: Array, run: float, slopes: tuple[float, float]) -> Array:
    """Where a straight line passes that is at least `run` cells long, uint8.

    The picture is sheared so that lines of one slope after the other become level; small gaps are
    closed, and everything that is no level run is taken away (a morphological closing and opening).
    """
    rows, columns = cells.shape
    margin = columns // 7 + 1  # room for what a shear moves out of the picture
    height, length = rows + 2 * margin, max(15, int(run))
    thickened = cv2.dilate(np.ascontiguousarray(cells), np.ones((3, 1), np.uint8))  # lines bend
    # one column after the other, so that to shear is to read each of them from another place on
    picture = np.pad(thickened.T, ((0, 0), (2 * margin, 2 * margin)))
    lines = np.zeros(picture.shape, np.uint8)
    read = sliding_window_view(picture.ravel(), height)
    write = sliding_window_view(lines.ravel(), height, writeable=True)
    for slope in np.linspace(*slopes, 1 + round((slopes[1] - slopes[0]) / SLOPE_STEP)):
        shift = np.rint(slope * (np.arange(columns) - columns / 2)).astype(int)
        start = np.arange(columns) * picture.shape[1] + margin + shift
        level = _of_neighbors(np.bitwise_or, read[start], 7, outside=0)  # the closing
        level = _of_neighbors(np.bitwise_and, level, 7, outside=1)
        level = _of_neighbors(np.bitwise_and, level, length, outside=1)  # the opening
        if level.any():
            write[start] |= _of_neighbors(np.bitwise_or, level, length, outside=0)
    return np.ascontiguousarray(lines[:, 2 * margin :][:, :rows].T)


def _of_neighbors(combine: np.ufunc, picture: Array, length: int, outside: int) -> Array:
    """The "and" or the "or" of each `length` neighbors along the first axis, in as many steps as
    `length` has bits."""
    before = length // 2
    picture = cv2.copyMakeBorder(
        picture, before, length - 1 - before, 0, 0, cv2.BORDER_CONSTANT, value=outside
    )
    known = 1
    while known < length:
        step = min(known, length - known)
        picture = combine(picture[:-step], picture[step:])
        known += step
    return picture
