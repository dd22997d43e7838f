"""The rows that digits stand in, and the ink beside them that is not read."""

from collections.abc import Sequence
from itertools import groupby

import numpy as np

from digits.photos.candidates import Candidate, encircles
from digits.photos.components import InkMap
from digits.photos.ink import stroke_width
from digits.photos.signs import shape_of
from digits.types import Array, Box

MAX_ROW_TILT = 0.2
"""A single row of digits up and down in their cells is at most so steep."""


def in_rows(digits: Sequence[Candidate]) -> list[list[Candidate]]:
    """Digits in reading order: those of every row from left to right, rows from top to bottom."""
    return [[digits[member] for member in row] for row in rows_of([d.box for d in digits])]


def rows_of(boxes: Sequence[Box]) -> list[list[int]]:
    """Boxes in reading order: the indices of every row from left to right, rows from top to bottom.

    The lines of writing may be tilted: the tilt is the median slope from each box to the nearest
    one on its right, where there are two or more; or none, or the slope of all boxes, where that
    makes fewer rows, as with digits up and down in their cells. A box joins the row whose last box
    it continues within half a height.
    """
    if not boxes:
        return []
    x, y, w, h = np.array(boxes, float).T
    center_x, center_y, typical = x + w / 2, y + h / 2, float(np.median(h))
    across = center_x - center_x[:, None]  # [i, j]: from i to j
    down = center_y - center_y[:, None]
    beside = (across > 0) & (np.abs(down) < 0.7 * np.maximum(typical, across))
    distance = np.where(beside & (across < 6 * typical), np.hypot(across, down), np.inf)
    nearest = distance.argmin(axis=1)
    linked = np.flatnonzero(np.isfinite(distance.min(axis=1)))
    slopes = down[linked, nearest[linked]] / across[linked, nearest[linked]]
    tilts = [0.0]
    if len(slopes) > 1:
        tilts = [float(np.median(slopes)), 0.0]
        through_all = float(np.polyfit(center_x, center_y, 1)[0])
        if abs(through_all) < MAX_ROW_TILT:
            tilts.append(through_all)
    return min((_rows_at(tilt, center_x, center_y, h) for tilt in tilts), key=len)


def _rows_at(tilt: float, x: Array, y: Array, height: Array) -> list[list[int]]:
    """The rows of boxes with these centers and heights, if the lines of writing are so steep."""
    level = y - tilt * x
    typical = float(np.median(height))
    rows: list[list[int]] = []
    for box in np.argsort(x, kind="stable"):
        steps = [abs(level[box] - level[row[-1]]) for row in rows]
        if steps and min(steps) < 0.5 * max(typical, height[box]):
            rows[int(np.argmin(steps))].append(int(box))
        else:
            rows.append([int(box)])
    return sorted(rows, key=lambda row: float(np.mean(level[row])))


def _unread_runs(chosen: list[Candidate], page: InkMap) -> list[tuple[int, ...]]:
    """The ink that is part of no digit: of each component the pieces side by side."""
    used = {piece for digit in chosen for piece in digit.pieces}
    return [
        tuple(run)
        for component in page.components
        for free, run in groupby(component.pieces, key=lambda piece: piece not in used)
        if free
    ]


def unread_signs(chosen: list[Candidate], page: InkMap) -> dict[Box, str]:
    """Boxes around letters and signs, with what their shape says: ink that is part of no digit,
    without rings around digits, underlines and combs, which are wide and have less ink than
    letters."""
    digits = [digit.box for digit in chosen]
    typical = float(np.median([box.height for box in digits] or [0]))
    found = {}
    for run in _unread_runs(chosen, page):
        box, ink = page.box(run), page.ink(run)
        is_wide = box.width > max(4 * box.height, 1.5 * typical)
        is_line = is_wide and _length(ink > 0) < 1.7 * box.width
        if not is_line and not any(encircles(box, digit) for digit in digits):
            found[box] = shape_of(ink)
    return found


def _length(ink: Array) -> float:
    """How long the strokes are, all together."""
    return float(ink.sum()) / max(1.0, stroke_width(ink))


def unread_boxes(chosen: list[Candidate], page: InkMap) -> list[Box]:
    """Boxes around ink that is part of no digit, from left to right, without dots and the ends of
    lines: what is a third as large as a typical digit or component."""
    runs = [page.box(run) for run in _unread_runs(chosen, page)] + page.skipped
    lengths = [digit.box.longest for digit in chosen] or [run.longest for run in runs]
    least = 0.35 * float(np.median(lengths)) if lengths else 0.0
    return sorted(run for run in runs if run.longest > least)
