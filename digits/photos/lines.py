"""What is darker than paper without printed lines: rulings, boxes, tables, combs and dotted lines
are taken out, and the strokes that cross them stay whole.
"""

import cv2
import numpy as np

from digits.photos.light import odd
from digits.photos.printed import MAX_DARKER, ends_leaving, find_lines
from digits.photos.straight import Line, straight_lines
from digits.types import Array

MAX_FRAMES = 30
"""The largest components, among which boxes and tables are sought."""

MAX_FRAME_AREA = 2
"""Of these components' boxes together, in areas of the picture."""

GRID = 600
"""Lines are sought in a picture of so many cells along its longer side."""

MIN_DOTS = 8
"""In a dotted line."""

MAX_DOT = 0.03
"""How thick a dot may be, as a share of the picture's longer side."""


def erase_lines(marked: Array, darkness: Array) -> Array:
    """What is darker than paper, bool, without printed lines: dotted ones, those of the whole
    picture, then those of the boxes and tables in it, which are components with other ink inside,
    and underlines that all digits above them touch."""
    kept = _erase(_erase_dotted(marked), darkness, slender=20, min_lines=1)
    _, labels, boxes, _ = cv2.connectedComponentsWithStats(kept.astype(np.uint8), connectivity=8)
    x, y, w, h = boxes[1:, :4].T
    area = 0
    for label in 1 + np.argsort(-w * h, kind="stable")[:MAX_FRAMES]:
        left, top, width, height = (int(side) for side in boxes[label, :4])
        inside = (x > left) & (x + w < left + width)
        inside &= (y + h / 2 > top) & (y + h / 2 < top + height)
        is_frame = (h[inside] > 0.05 * height).any()
        if is_frame or width > 3 * height:
            area += width * height
            if area > MAX_FRAME_AREA * marked.size:
                break
            here = slice(top, top + height), slice(left, left + width)
            own = labels[here] == label
            erased = _erase(own, darkness[here], slender=8, min_lines=3)
            if is_frame or 2 * erased.sum() > own.sum():
                kept[here] &= ~own | erased
    return kept


def _erase(marked: Array, darkness: Array, slender: float, min_lines: int) -> Array:
    """What is marked without lines.

    A stroke that crosses a line stays: there the ink reaches further up and down than the line is
    thick, is a third darker than most of the line, or joins what is above it to what is below.
    """
    step = max(1, round(max(marked.shape) / GRID))
    # a cell takes the darkest of its pixels, so that not even the thinnest line gets lost
    cells, shades = _cells(marked.astype(np.uint8), step), _cells(darkness, step)
    families = find_lines(cells, shades, slender, min_lines)
    if not any(families):
        return marked.copy()
    through = [np.all(ends_leaving(lines, cells.shape), axis=0) for lines in families]
    across = _limits(families[0], through[0], cells.shape, step, marked.shape)
    down = _limits(families[1], through[1], cells.shape[::-1], step, marked.shape[::-1]).T
    # where two lines cross, the second one darkens only what the first one left
    faint = darkness <= across + down - across * down / 255
    printed = [faint & (across > 0), faint & (down > 0)]
    kept = marked.copy()
    for lines, here, other, upright in zip(
        families, printed, printed[::-1], (True, False), strict=True
    ):
        if lines:
            reach = round(1.5 * step * np.median([line.thickness for line in lines])) + 3
            longer = np.ones((reach, 1) if upright else (1, reach), np.uint8)
            strokes = (marked & ~other).astype(np.uint8)
            # beyond the picture there is paper: a line along the edge of its box is no stroke
            crossing = cv2.morphologyEx(
                strokes, cv2.MORPH_OPEN, longer, borderType=cv2.BORDER_CONSTANT, borderValue=0
            )
            kept &= ~here | (crossing > 0)
    steps = round(max(line.thickness for lines in families for line in lines)) + 4
    for lines, here, axes in zip(families, printed, ((0, 1), (1, 0)), strict=True):
        if lines:
            erased = marked & here & ~kept
            left, gap = (
                _cells(pixels.astype(np.uint8), step).transpose(axes) for pixels in (kept, erased)
            )
            joined = _joined(left, gap, steps).transpose(axes)
            kept |= erased & (_enlarged(joined, step, marked.shape) > 0)
    return kept


def _erase_dotted(marked: Array) -> Array:
    """What is marked without dotted lines: spots of one size, evenly spaced along a straight line.
    At least over a quarter of the picture nothing is written on that line."""
    _, labels, boxes, _ = cv2.connectedComponentsWithStats(marked.astype(np.uint8), connectivity=8)
    step = max(1, round(max(marked.shape) / GRID))
    left, top, width, height, area = boxes.T
    x, y = left + width / 2, top + height / 2
    printed = np.zeros(len(boxes), bool)
    for turned, long, thick in ((False, width, height), (True, height, width)):
        spots = (thick < MAX_DOT * max(marked.shape)) & (2 * area > width * height)
        spots &= (long > 0.7 * thick) & (long < 5 * thick)
        if spots.sum() < MIN_DOTS:
            continue
        cells = _cells(spots[labels].astype(np.uint8), step)
        cells = cells.T if turned else cells
        reach = odd(3 * float(np.median(long[spots])) / step)
        joined = cv2.morphologyEx(cells, cv2.MORPH_CLOSE, np.ones((1, reach), np.uint8))
        for line in straight_lines(joined, joined, joined.shape[1] / 4, 8, turned):
            along = step * (line.end - line.start)
            from_start = x - step * line.start[0], y - step * line.start[1]
            away = (from_start[0] * along[1] - from_start[1] * along[0]) / np.hypot(*along)
            dots = spots & (np.abs(away) < np.maximum(thick, 2 * step))
            if dots.sum() >= MIN_DOTS and _is_even((y if turned else x)[dots], area[dots]):
                printed |= dots
    return marked & ~printed[labels] if printed.any() else marked


def _is_even(positions: Array, areas: Array) -> bool:
    """Whether most of these dots have the same distance to their neighbors, and the same size."""
    gaps = np.diff(np.sort(positions))
    spaced = np.abs(gaps - np.median(gaps)) < 0.3 * np.median(gaps)
    alike = np.abs(np.log(areas / np.median(areas))) < np.log(2)
    return bool(spaced.mean() > 0.5 and alike.mean() > 0.6)


def _cells(picture: Array, step: int) -> Array:
    """The greatest value in each square of `step` pixels."""
    return cv2.dilate(picture, np.ones((step, step), np.uint8))[::step, ::step]


def _enlarged(cells: Array, step: int, shape: tuple[int, ...]) -> Array:
    """The picture of this shape in which each cell is a square of `step` pixels."""
    pixels = cv2.resize(cells, None, fx=step, fy=step, interpolation=cv2.INTER_NEAREST)
    return pixels[: shape[0], : shape[1]]


def _joined(strokes: Array, gap: Array, steps: int) -> Array:
    """Where a stroke goes on through a gap that a level line left: what is reached from a stroke
    above and from one below, by steps of at most 45 degrees; uint8."""
    strokes, gap = np.ascontiguousarray(strokes), np.ascontiguousarray(gap)
    reached = []
    for rows in ([1, 0, 0], [0, 0, 1]):
        kernel = np.outer(rows, np.ones(3)).astype(np.uint8)
        way = strokes
        for _ in range(steps):
            way = strokes | (gap & cv2.dilate(way, kernel))
        reached.append(way)
    return reached[0] & reached[1]


def _limits(
    lines: list[Line], through: Array, shape: tuple[int, ...], step: int, size: tuple[int, ...]
) -> Array:
    """For every pixel the darkness up to which it may be a line, 0 where there is none. through:
    which lines leave the picture at both ends."""
    limits: Array = np.zeros(shape, np.float32)
    for chosen, share in ((through, 0.75), (~through, 0.25)):
        # one press printed them all; what is darker has a stroke on it, or is one, unless it is as
        # long as the picture, like the main lines between fainter ones
        usual = float(np.quantile([line.limit for line in lines], share)) if lines else 0.0
        most = min(255.0, MAX_DARKER * usual)
        for line in (line for line, is_one in zip(lines, chosen, strict=True) if is_one):
            limits[line.pixels] = np.maximum(limits[line.pixels], min(line.limit, most))
    return _enlarged(cv2.dilate(limits, np.ones((3, 3), np.uint8)), step, size)
