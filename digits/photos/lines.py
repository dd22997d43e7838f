"""The printed lines in a picture: rulings of paper, boxes, tables and combs, found by their
straightness and told from strokes by where they end.
"""

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from digits.photos.light import odd
from digits.types import Array

MAX_FRAMES = 30
"""The largest components, among which boxes and tables are sought."""

MAX_FRAME_AREA = 2
"""Of these components' boxes together, in areas of the picture."""

MIN_SIDES = 3
"""So many lines between two others are the sides of cells; one or two may be strokes."""

GRID = 600
"""Lines are sought in a picture of so many cells along its longer side."""

MIN_DOTS = 8
"""In a dotted line."""

MAX_DOT = 0.03
"""How thick a dot may be, as a share of the picture's longer side."""


@dataclass(frozen=True, eq=False)
class _Line:
    """A line from left to right, or in a transposed picture from top to bottom, in cells."""

    start: Array  # (x, y) in the picture as it is, of one end ...
    end: Array  # ... and of the other
    thickness: float
    limit: float  # up to this darkness it may be the line, above it there is a stroke
    pixels: tuple[Array, Array]  # where it is: rows and columns, of the transposed picture if it is

    @property
    def length(self) -> float:
        return float(np.abs(self.end - self.start).max())


def erase_lines(marked: Array, darkness: Array) -> Array:
    """What is darker than paper, bool, without printed lines: dotted ones, those of the whole
    picture, then those of the boxes and tables in it, which are components with other ink inside.
    """
    kept = _erase(_erase_dotted(marked), darkness, slender=20, min_lines=1)
    _, labels, boxes, _ = cv2.connectedComponentsWithStats(kept.astype(np.uint8), connectivity=8)
    x, y, w, h = boxes[1:, :4].T
    area = 0
    for label in 1 + np.argsort(-w * h, kind="stable")[:MAX_FRAMES]:
        left, top, width, height = (int(side) for side in boxes[label, :4])
        inside = (x > left) & (x + w < left + width) & (y > top) & (y + h < top + height)
        if (h[inside] > 0.05 * height).any():
            area += width * height
            if area > MAX_FRAME_AREA * marked.size:
                break
            here = slice(top, top + height), slice(left, left + width)
            own = labels[here] == label
            kept[here] &= ~own | _erase(own, darkness[here], slender=8, min_lines=3)
    return kept


def _erase(marked: Array, darkness: Array, slender: float, min_lines: int) -> Array:
    """What is marked without lines.

    A stroke that crosses a line stays: there the ink reaches further up and down than the line is
    thick, is a third darker than most of the line, or joins what is above it to what is below.
    """
    step = max(1, round(max(marked.shape) / GRID))
    # a cell takes the darkest of its pixels, so that not even the thinnest line gets lost
    cells, shades = _cells(marked.astype(np.uint8), step), _cells(darkness, step)
    families = _find_lines(cells, shades, slender, min_lines)
    if not any(families):
        return marked.copy()
    across = _limits(families[0], cells.shape, step, marked.shape)
    down = _limits(families[1], cells.shape[::-1], step, marked.shape[::-1]).T
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
        for line in _straight(joined, joined, joined.shape[1] / 4, 8, turned):
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


# --- which lines are printed ----------------------------------------------------------------------


def _find_lines(
    cells: Array, shades: Array, slender: float, min_lines: int
) -> tuple[list[_Line], list[_Line]]:
    """The printed lines from left to right and those from top to bottom; where there are fewer than
    `min_lines`, as in a component that is no table, only those much longer than it is high.

    A line is `slender` times as long as thick, and each of its ends leaves the picture or meets
    another line; or it is one of three that leave the picture at one end, or that run over three
    fifths of it.
    """
    shape = cells.shape
    pictures = (cells, shades), (cells.T, shades.T)
    min_ratio = 0.6 if min_lines > 1 else 0.0  # the edge of a component is none of the picture
    level = _straight(*pictures[0], shape[1] / 4, slender, turned=False)
    upright = _straight(*pictures[1], shape[0] / 4, slender, turned=True)
    families = _anchored((level, upright), shape, min_ratio, together=True)
    parallel = max(
        sum(line.length > min_ratio * extent for line in lines)
        for lines, extent in zip(families, shape[::-1], strict=True)
    )
    if len(families[0]) + len(families[1]) < min_lines or parallel < min(2, min_lines):
        level, upright = (
            [line for line in lines if line.length > 2.5 * extent]
            for lines, extent in zip(families, shape, strict=True)
        )
        families = level, upright
    spacings = [_spacing(lines, shape[axis], axis) for axis, lines in enumerate(families)]
    for one, other in ((0, 1), (1, 0)):
        through = _leaving(families[other], shape).all(axis=0).sum()
        squared = min_ratio == 0 and 2 * through > max(4, len(families[other]))
        if spacings[one] > 0 and not squared:  # shorter lines between long ones: sides of cells
            sides = _straight(*pictures[other], 0.6 * spacings[one], slender, other == 1)
            sides = [side for side in sides if _may_be_side(side, families[one])]
            # longer ones were sought above
            sides = [side for side in sides if side.length < shape[1 - other] / 4]
            both = (families[one], sides) if other else (sides, families[one])
            sides = _anchored(both, shape, min_ratio, together=False)[other]
            if len(sides) >= MIN_SIDES:
                families[other].extend(sides)
    for axis, picture in enumerate((cells, cells.T)):
        families[axis].extend(_hidden(families[axis], picture, axis == 1))
    return families


def _hidden(lines: list[_Line], cells: Array, turned: bool) -> list[_Line]:
    """The lines that strokes hide: where equal cells need one, and most of its length is dark.

    cells : the picture, transposed if it is `turned`.
    """
    ends = np.array([(line.start, line.end) for line in lines]).reshape(-1, 2, 2)  # of (x, y)
    ends = ends[..., ::-1] if turned else ends
    ends = ends[np.argsort(ends[..., 1].sum(axis=1), kind="stable")]
    level = ends[..., 1].mean(axis=1)
    thickness = float(np.median([line.thickness for line in lines] or [0]))
    apart = level - level[:, None]
    best: list[int] = []
    size = 0.0
    for gap in np.concatenate([apart.diagonal(step) for step in (1, 2, 3)]):
        if gap > 4 * thickness:
            off = np.abs(apart / gap - np.rint(apart / gap)) < 0.05
            on_grid = off[off.sum(axis=1).argmax()]
            if (on_grid.sum(), gap) > (len(best), size):
                best, size = np.flatnonzero(on_grid).tolist(), float(gap)
    if len(best) < max(MIN_SIDES, len(lines) / 2 + 1):
        return []
    limit = float(np.median([line.limit for line in lines]))
    found = []
    for one, other in pairwise(best):
        count = round((level[other] - level[one]) / size)
        for share in np.arange(1, count) / count:
            start, end = ends[one] + share * (ends[other] - ends[one])
            if np.abs(level - (start[1] + end[1]) / 2).min() < 0.3 * size:
                continue
            columns = np.arange(max(0, round(start[0])), min(cells.shape[1], round(end[0]) + 1))
            middle = np.interp(columns, (start[0], end[0]), (start[1], end[1]))
            across = np.arange(-thickness / 2, thickness / 2 + 1)[:, None]
            rows = np.rint(middle + across).astype(int).clip(0, len(cells) - 1)
            if cells[rows, columns].max(axis=0).mean() > 0.8:
                both = (start[::-1], end[::-1]) if turned else (start, end)
                pixels = rows.ravel(), np.broadcast_to(columns, rows.shape).ravel()
                found.append(_Line(*both, thickness, limit, pixels))
    return found


def _anchored(
    families: tuple[list[_Line], list[_Line]],
    shape: tuple[int, ...],
    min_ratio: float,
    together: bool,
) -> tuple[list[_Line], list[_Line]]:
    """The lines of both directions that end where lines end.

    min_ratio: of its length to that of the picture, for a line to leave it.
    together: whether three long lines of one direction, or three that leave the picture at one end,
        are accepted as they are.
    """
    longest = max(shape)
    lengths = [np.array([line.length for line in lines]) for lines in families]
    leaving = [
        _leaving(lines, shape) & (length > min_ratio * longest)
        for lines, length in zip(families, lengths, strict=True)
    ]
    meeting = [_meeting(*families, shape), _meeting(*families[::-1], shape)]
    accepted = [np.zeros(len(lines), bool) for lines in families]
    if together:
        for index, length in enumerate(lengths):
            for some in (length > 0.6 * longest, leaving[index].any(0) & (length > 0.25 * longest)):
                if some.sum() >= 3:
                    accepted[index] |= some
    good = [np.ones(len(lines), bool) for lines in families]
    changed = True
    while changed:
        changed = False
        for index in (0, 1):
            met = meeting[index][:, :, good[1 - index]].any(axis=2)
            fewer = good[index] & (accepted[index] | (leaving[index] | met).all(axis=0))
            changed |= bool(fewer.sum() < good[index].sum())
            good[index] = fewer
    for index in (0, 1):  # a stroke, too, may go from one ruling to the next
        between = good[index] & ~accepted[index] & ~leaving[index].any(axis=0)
        if between.sum() < MIN_SIDES and leaving[1 - index][:, good[1 - index]].all():
            good[index] &= ~between
    level, upright = (
        [line for line, is_good in zip(lines, mask, strict=True) if is_good]
        for lines, mask in zip(families, good, strict=True)
    )
    return level, upright


def _meeting(lines: list[_Line], others: list[_Line], shape: tuple[int, ...]) -> Array:
    """Whether each end of a line meets one of the others, bool (2, lines, others). Lines of a
    table by hand overshoot those that they meet."""
    if not lines or not others:
        return np.zeros((2, len(lines), len(others)), bool)
    ends = np.array([[line.start for line in lines], [line.end for line in lines]])[:, :, None]
    start = np.array([other.start for other in others])
    along = np.array([other.end for other in others]) - start
    # the nearest point of the other line, by its share of the way along it: (2, lines, others)
    share = ((ends - start) * along).sum(axis=-1) / np.maximum(1, np.square(along).sum(axis=-1))
    away = start + np.clip(share, 0, 1)[..., None] * along - ends
    overshoot = np.outer([0.08 * line.length for line in lines], ~_leaving(others, shape)[0])
    reach = 4 + np.array([other.thickness for other in others]) + overshoot
    return np.hypot(away[..., 0], away[..., 1]) <= reach


def _leaving(lines: list[_Line], shape: tuple[int, ...]) -> Array:
    """Whether each end of a line leaves the picture, bool (2, lines)."""
    ends = np.array([(line.start, line.end) for line in lines]).reshape(-1, 2, 2)  # of (x, y)
    far = np.array(shape[::-1]) - 1 - ends
    left: Array = (np.minimum(ends, far).min(axis=2) <= 2).T
    return left


def _may_be_side(line: _Line, others: list[_Line]) -> bool:
    """Whether a line is as thin as others are, and at a right angle to them: a stroke between two
    lines is slanted, or thicker."""
    along = (line.end - line.start) / max(1.0, float(np.hypot(*(line.end - line.start))))
    skew = [along @ (other.end - other.start) / max(1.0, other.length) for other in others]
    thickness = max(other.thickness for other in others)
    return abs(float(np.median(skew))) < 0.1 and line.thickness <= 1.5 * thickness


def _spacing(lines: list[_Line], extent: int, axis: int) -> float:
    """How far lines of one direction are apart, at least; one line, from the edge of the picture.
    0 without lines."""
    if not lines:
        return 0.0
    positions = np.sort([(line.start[1 - axis] + line.end[1 - axis]) / 2 for line in lines])
    gaps = np.diff(positions)
    gaps = gaps[gaps > 4 * max(line.thickness for line in lines)]
    return float(gaps.min()) if len(gaps) else float(max(positions[0], extent - positions[-1]))


# --- straight lines -------------------------------------------------------------------------------


def _straight(cells: Array, shades: Array, run: float, slender: float, turned: bool) -> list[_Line]:
    """The thin straight lines at least `run` long that go from left to right, up to 15 degrees
    askew.

    turned: whether the picture is transposed.
    """
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(_runs(cells, run), connectivity=8)
    lines = []
    for label in range(1, count):
        left, top, length, height, area = (int(side) for side in boxes[label])
        thickness = area / length - 2  # the lines were thickened by two
        thin = thickness <= max(2, length / slender, max(cells.shape) / (2 * slender))
        if not thin or 2 * length < run:
            continue
        rows, columns = np.nonzero(labels[top : top + height, left : left + length] == label)
        thickness = float(np.median(np.bincount(columns, minlength=length))) - 2
        ends, near = _fit(columns, rows, length, thickness)
        if near.mean() < 0.75:  # several lines, which a stroke joins
            near[:] = True
        rows, columns = rows[near] + top, columns[near] + left
        own = np.sort(shades[rows, columns][cells[rows, columns] > 0])
        if not len(own):
            continue
        limit = 1.3 * float(own[3 * len(own) // 4])
        start, end = np.array([left, top + ends[0]]), np.array([left + length - 1, top + ends[1]])
        if turned:
            start, end = start[::-1], end[::-1]
        lines.append(_Line(start, end, max(1.0, thickness), limit, (rows, columns)))
    return lines


def _fit(x: Array, y: Array, length: int, thickness: float) -> tuple[Array, Array]:
    """How high a line is at both its ends, and which of the points are on it, bool.

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
    return np.vander([-1, 1], 4, increasing=True) @ w, near


def _limits(lines: list[_Line], shape: tuple[int, ...], step: int, size: tuple[int, ...]) -> Array:
    """For every pixel the darkness up to which it may be a line, 0 where there is none."""
    limits: Array = np.zeros(shape, np.float32)
    # one press printed them all; what is darker has a stroke on it, or is one
    usual = float(np.quantile([line.limit for line in lines], 0.25)) if lines else 0.0
    most = min(255.0, 1.4 * usual)
    for line in lines:
        limits[line.pixels] = np.maximum(limits[line.pixels], min(line.limit, most))
    return _enlarged(cv2.dilate(limits, np.ones((3, 3), np.uint8)), step, size)


def _runs(cells: Array, run: float) -> Array:
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
    for slope in np.linspace(-0.27, 0.27, 23):
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
