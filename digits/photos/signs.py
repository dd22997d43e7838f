"""What stands between the digits of a row: gaps, points, commas, colons, minus and equals signs by
their position; plus and times signs and parentheses by the shape of their ink; everything else is
marked as unknown.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import numpy as np

from digits.types import Array, Box

UNKNOWN = "?"
POINTS = (".", ",")
TIMES = "\N{MULTIPLICATION SIGN}"

BULGE = 0.04
"""Of its height: so far at least the middle of a parenthesis is to one side of its ends."""


def shape_of(ink: Array) -> str:
    """The sign that ink, cropped to its box, is by its shape: "+", "(", ")", `TIMES`, or ""."""
    marked = ink > 0
    height, width = marked.shape
    if min(height, width) < 4 or width > 2 * height:
        return ""
    return _parenthesis(marked) if width < 0.45 * height else _crossing(marked)


def _parenthesis(marked: Array) -> str:
    """Which one a narrow stroke is: both of its ends are on the same side of its middle."""
    height = len(marked)
    x = np.array([np.flatnonzero(row).mean() for row in marked if row.any()])
    if len(x) < 3:
        return ""
    upper, middle, lower = (float(third.mean()) for third in np.array_split(x, 3))
    bulges = (upper - middle) / height, (lower - middle) / height
    return "(" if min(bulges) > BULGE else ")" if max(bulges) < -BULGE else ""


def _crossing(marked: Array) -> str:
    """Which sign of two strokes that cross it is: a plus leaves the corners of its box empty, a
    times sign the middle of each side."""
    corners = [(y, x) for y in (0, 1) for x in (0, 1)]
    sides = [(0, 0.5), (1, 0.5), (0.5, 0), (0.5, 1)]
    if not _has_ink(marked, 0.5, 0.5, 0.3):
        return ""
    if not any(_has_ink(marked, *at, 0.28) for at in corners):
        return "+" if all(_has_ink(marked, *at, 0.3) for at in sides) else ""
    if not any(_has_ink(marked, *at, 0.2) for at in sides):
        return TIMES if all(_has_ink(marked, *at, 0.35) for at in corners) else ""
    return ""


def _has_ink(marked: Array, y: float, x: float, share: float) -> bool:
    """Whether there is ink at a place, (0, 0) for the upper left corner and (1, 1) for the lower
    right one, in a part of such a share of the height and of the width."""
    height, width = marked.shape
    rows, columns = max(1, round(share * height)), max(1, round(share * width))
    top, left = round(y * (height - rows)), round(x * (width - columns))
    return bool(marked[top : top + rows, left : left + columns].any())


def text_of(row: Sequence[tuple[str, Box]], others: Mapping[Box, str]) -> str:
    """A row of digits with what stands between and close beside them.

    Parameters
    ----------
    row : each digit and its box, from left to right.
    others : the boxes of all ink that is no digit, and what `shape_of` says of it.
    """
    high = float(np.median([box.height for _, box in row]))
    items = list(row)
    near: dict[Box, Box] = {}  # each with the digit nearest to it
    for box in others:
        nearest = max((digit for _, digit in row), key=lambda digit: digit.overlap(box)[0])
        across, down = nearest.overlap(box)
        if -across < 1.5 * high and -down < 0.3 * high and across < 0.5 * box.width:
            near[box] = nearest
    halves = {box: _upper_half(box, near, high) for box in near}
    for box in (box for box in near if box not in halves.values()):
        sign, upper = others[box] or _sign(box, near[box], high), halves[box]
        if upper:
            sign = "=" if _is_flat(box) and _is_flat(upper) else ":"
        items += [(sign, box)] if sign else []
    items.sort(key=lambda item: item[1].x + item[1].width / 2)
    kept = items[:0]
    for sign, box in items:
        if sign not in POINTS or (kept and kept[-1][0].isdigit()):  # a point follows a digit
            kept.append((sign, box))
    gaps = [-one.overlap(other)[0] for (_, one), (_, other) in pairwise(kept)]
    wide = max(0.6 * high, 1.8 * float(np.median(gaps))) if len(gaps) > 1 else high
    text = kept[0][0]
    for (sign, _), gap in zip(kept[1:], gaps, strict=True):
        between = " " if gap > wide else ""
        if not (sign == UNKNOWN and not between and text.endswith(UNKNOWN)):
            text += between + sign
    return text


def _is_flat(box: Box) -> bool:
    return box.width > 2 * box.height


def _upper_half(box: Box, others: Iterable[Box], high: float) -> Box | None:
    """What is as large as this ink and above it, if both are a colon or an equals sign; digits are
    so high."""
    for other in others:
        across, down = box.overlap(other)
        large, small = max(box.longest, other.longest), min(box.longest, other.longest)
        alike = 0.06 * high < small and large < min(0.8 * high, 1.7 * small)
        if alike and other.y < box.y and -high < down < 0 < across:
            return other
    return None


def _sign(box: Box, digit: Box, high: float) -> str:
    """What a piece of ink beside a digit is; nothing where it is a speck or a line below the row.

    high: as high as a digit is.
    """
    middle = digit.level_of(box)
    flat = _is_flat(box)
    if box.longest < 0.06 * high or (flat and box.width > 1.5 * high):
        return ""
    if flat and middle < 0.8:
        return "-" if middle > 0.2 else ""
    if box.longest < 0.5 * high and middle > 0.7 and not flat:
        return "," if box.height > 1.4 * box.width or middle > 1.05 else "."
    return "" if box.longest < 0.2 * high else UNKNOWN
