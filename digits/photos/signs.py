"""What stands between the digits of a row: gaps, points, commas and minus signs by their shape
and position; everything else is marked as unknown.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from digits.types import Box

UNKNOWN = "?"
POINTS = (".", ",")


def text_of(row: Sequence[tuple[str, Box]], others: Sequence[Box]) -> str:
    """A row of digits with what stands between and close beside them.

    Parameters
    ----------
    row : each digit and its box, from left to right.
    others : the boxes of all ink that is no digit.
    """
    high = float(np.median([box.height for _, box in row]))
    items = list(row)
    for box in others:
        nearest = max((digit for _, digit in row), key=lambda digit: digit.overlap(box)[0])
        across, down = nearest.overlap(box)
        if -across < 1.5 * high and -down < 0.3 * high and across < 0.5 * box.width:
            sign = _sign(box, nearest, high)
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


def _sign(box: Box, digit: Box, high: float) -> str:
    """What a piece of ink beside a digit is; nothing where it is a speck or a line below the row.

    high: as high as a digit is.
    """
    middle = (box.y + box.height / 2 - digit.y) / digit.height  # 0 at the top of the digit
    flat = box.width > 2 * box.height
    if box.longest < 0.06 * high or (flat and box.width > 1.5 * high):
        return ""
    if flat and middle < 0.8:
        return "-" if middle > 0.2 else ""
    if box.longest < 0.4 * high and middle > 0.7:
        return "," if box.height > 1.4 * box.width or middle > 1.05 else "."
    return "" if box.longest < 0.2 * high else UNKNOWN
