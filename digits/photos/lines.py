"""The printed lines in a picture: rulings of paper, boxes, tables and combs, found by their
straightness and told from strokes by where they end.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from digits.types import Array

MAX_FRAMES = 30
"""The largest components, among which boxes and tables are sought."""

MIN_WALLS = 3
"""So many lines between two others are those of cells; one or two may be strokes."""

GRID = 600
"""Lines are sought in a picture of so many cells along its longer side."""


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
    """What is darker than paper, bool, without printed lines: those of the whole picture, then
    those of the boxes and tables in it, which are components with other ink inside.
    """
    kept = _erase(marked, darkness, slender=20, min_lines=1)
    _, labels, boxes, _ = cv2.connectedComponentsWithStats(kept.astype(np.uint8), connectivity=8)
    x, y, w, h = boxes[1:, :4].T
    for label in 1 + np.argsort(-w * h, kind="stable")[:MAX_FRAMES]:
        left, top, width, height = boxes[label, :4]
        inside = (x > left) & (x + w < left + width) & (y > top) & (y + h < top + height)
        if (h[inside] > 0.05 * height).any():
            here = slice(top, top + height), slice(left, left + width)
            own = labels[here] == label
            kept[here] &= ~own | _erase(own, darkness[here], slender=8, min_lines=3)
    return kept


def _erase(marked: Array, darkness: Array, slender: float, min_lines: int) -> Array:
    """What is marked without lines; where there are fewer than `min_lines`, as in a component that
    is no table, only without those that are much longer than it is high.

    A line is `slender` times as long as thick, and each of its ends leaves the picture or meets
    another line; or it is one of three that leave the picture at one end, or that run over three
    fifths of it.  A stroke that crosses a line stays: there the ink reaches further up and down
    than the line is thick, is a third darker than most of the line, or joins what is above it to
    what is below.
    """
    step = max(1, round(max(marked.shape) / GRID))
    cell = np.ones((step, step), np.uint8)
    # a cell takes the darkest of its pixels, so that not even the thinnest line gets lost
    cells = cv2.dilate(marked.astype(np.uint8), cell)[::step, ::step]
    shades = cv2.dilate(darkness, cell)[::step, ::step]
    pictures = (cells, shades), (cells.T, shades.T)
    min_ratio = 0.6 if min_lines > 1 else 0.0  # the edge of a component is none of the picture
    quarters = [cells.shape[1] / 4, cells.shape[0] / 4]
    families = [
        _straight(*picture, run, slender, turned)
        for picture, run, turned in zip(pictures, quarters, (False, True), strict=True)
    ]
    families = _anchored(families, cells.shape, min_ratio, together=True)
    if len(families[0]) + len(families[1]) < min_lines:
        families = [
            [line for line in lines if line.length > 2.5 * cells.shape[axis]]
            for axis, lines in enumerate(families)
        ]
    spacings = [_spacing(lines, cells.shape[axis], axis) for axis, lines in enumerate(families)]
    for (one, spacing), other in zip(enumerate(spacings), (1, 0), strict=True):
        squared = min_ratio == 0 and 2 * sum(
            _leaves(line.start, cells.shape) and _leaves(line.end, cells.shape)
            for line in families[other]
        ) > max(4, len(families[other]))
        if spacing > 0 and not squared:  # walls: shorter lines between long ones
            walls = _straight(*pictures[other], 0.6 * spacing, slender, other == 1)
            walls = [wall for wall in walls if _is_wall(wall, families[one])]
            between = [families[one], walls] if other else [walls, families[one]]
            walls = _anchored(between, cells.shape, min_ratio, together=False)[other]
            families[other] += walls if len(families[other]) + len(walls) >= MIN_WALLS else []
    across = _limits(families[0], cells.shape, step, marked.shape)
    down = _limits(families[1], cells.shape[::-1], step, marked.shape[::-1]).T
    # where two lines cross, the second one darkens only what the first one left
    faint = darkness <= across + down - across * down / 255
    kept = marked.copy()
    for lines, here, there, upright in (
        (families[0], across, down, True),
        (families[1], down, across, False),
    ):
        if lines:
            thickness = step * float(np.median([line.thickness for line in lines]))
            reach = round(1.5 * thickness) + 3
            longer = np.ones((reach, 1) if upright else (1, reach), np.uint8)
            strokes = (marked & ~(faint & (there > 0))).astype(np.uint8)
            padded = np.pad(strokes, reach)  # a line along the edge of its box is no stroke
            crossed = cv2.morphologyEx(padded, cv2.MORPH_OPEN, longer).astype(bool)
            crossed = crossed[reach:-reach, reach:-reach]
            kept &= ~(faint & (here > 0)) | crossed
    steps = round(max([line.thickness for line in families[0] + families[1]], default=0)) + 4
    for lines, here, axes in ((families[0], across, (0, 1)), (families[1], down, (1, 0))):
        if lines:
            erased = marked & faint & (here > 0) & ~kept
            left, gap = (
                cv2.dilate(pixels.astype(np.uint8), cell)[::step, ::step].transpose(axes)
                for pixels in (kept, erased)
            )
            bridges = _bridges(left, gap, steps).transpose(axes)
            bridges = cv2.resize(bridges, None, fx=step, fy=step, interpolation=cv2.INTER_NEAREST)
            kept |= erased & (bridges[: marked.shape[0], : marked.shape[1]] > 0)
    return kept


def _bridges(strokes: Array, gap: Array, steps: int) -> Array:
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
    bridges: Array = reached[0] & reached[1]
    return bridges


def _anchored(
    families: list[list[_Line]], shape: tuple[int, ...], min_ratio: float, together: bool
) -> list[list[_Line]]:
    """The lines of both directions that end where lines end.

    min_ratio: of its length to that of the picture, for a line to leave it.
    together: whether lines of one family may hold each other.
    """
    held: list[list[_Line]] = [[], []]
    if together:
        for index, lines in enumerate(families):
            long = [line for line in lines if line.length > 0.6 * max(shape)]
            leaving = [line for line in lines if line.length > 0.25 * max(shape)]
            leaving = [line for line in leaving if _ends(line, [], shape, min_ratio) > 0]
            for family in (long, leaving):
                if len(family) >= 3:
                    held[index] += [line for line in family if line not in held[index]]
    rest = [
        [line for line in lines if line not in known]
        for lines, known in zip(families, held, strict=True)
    ]
    changed = True
    while changed:
        changed = False
        for index in (0, 1):
            others = rest[1 - index] + held[1 - index]
            good = [line for line in rest[index] if _ends(line, others, shape, min_ratio) == 2]
            changed |= len(good) < len(rest[index])
            rest[index] = good
    for index in (0, 1):  # a stroke, too, may go from one ruling to the next
        rulings = rest[1 - index] + held[1 - index]
        between = [line for line in rest[index] if _ends(line, [], shape, min_ratio) == 0]
        if len(between) < MIN_WALLS and all(_ends(o, [], shape, min_ratio) == 2 for o in rulings):
            rest[index] = [line for line in rest[index] if line not in between]
    return [held[index] + rest[index] for index in (0, 1)]


def _ends(line: _Line, others: list[_Line], shape: tuple[int, ...], min_ratio: float) -> int:
    """How many ends of a line meet one of the others or, if it is at least such a ratio of the
    picture long, leave the picture.  Lines of a table by hand overshoot those that they meet."""
    count = 0
    for end in (line.start, line.end):
        count += (line.length > min_ratio * max(shape) and _leaves(end, shape)) or any(
            _distance(end, other)
            <= 4 + other.thickness + (0 if _leaves(other.start, shape) else 0.08 * line.length)
            for other in others
        )
    return count


def _leaves(end: Array, shape: tuple[int, ...]) -> bool:
    """Whether a line that ends there leaves the picture."""
    x, y = end
    return bool(min(x, y, shape[1] - 1 - x, shape[0] - 1 - y) <= 2)


def _is_wall(line: _Line, others: list[_Line]) -> bool:
    """Whether a line is as thin as others are, and at a right angle to them: a stroke between two
    lines is slanted, or thicker."""
    along = (line.end - line.start) / max(1.0, float(np.hypot(*(line.end - line.start))))
    skew = [along @ (other.end - other.start) / max(1.0, other.length) for other in others]
    thickness = max(other.thickness for other in others)
    return abs(float(np.median(skew))) < 0.1 and line.thickness <= 1.5 * thickness


def _distance(point: Array, line: _Line) -> float:
    """Of a point from a line, in cells."""
    along = line.end - line.start
    ratio = np.clip((point - line.start) @ along / max(1.0, along @ along), 0, 1)
    return float(np.hypot(*(line.start + ratio * along - point)))


def _spacing(lines: list[_Line], extent: int, axis: int) -> float:
    """How far lines of one direction are apart, at least; one line, from the edge of the picture.
    0 without lines."""
    if not lines:
        return 0.0
    positions = np.sort([(line.start[1 - axis] + line.end[1 - axis]) / 2 for line in lines])
    gaps = np.diff(positions)
    gaps = gaps[gaps > 4 * max(line.thickness for line in lines)]
    return float(gaps.min()) if len(gaps) else float(max(positions[0], extent - positions[-1]))


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
        across = np.bincount(columns, minlength=length)
        thickness = float(np.median(across)) - 2
        # a line bends a little; a stroke that runs beside it for a while is none of it
        near = np.ones(len(rows), bool)
        for degree in (1, 2, 3, 3):
            middle = np.polynomial.Polynomial.fit(columns[near], rows[near], degree)
            off = np.abs(rows - middle(columns))
            near = off <= max(0.75 * thickness + 1.5, np.quantile(off, 0.6))
        if near.mean() < 0.75:  # several lines, which a stroke joins
            near[:] = True
        rows, columns = rows[near], columns[near]
        ends = [np.array([left + x, top + middle(x)]) for x in (0, length - 1)]
        rows, columns = rows + top, columns + left
        own = shades[rows, columns][cells[rows, columns] > 0]
        if not len(own):
            continue
        limit = 1.3 * float(np.quantile(own, 0.75))
        start, end = (point[::-1] for point in ends) if turned else ends
        lines.append(_Line(start, end, max(1.0, thickness), limit, (rows, columns)))
    return lines


def _limits(lines: list[_Line], shape: tuple[int, ...], step: int, size: tuple[int, ...]) -> Array:
    """For every pixel the darkness up to which it may be a line, 0 where there is none."""
    limits: Array = np.zeros(shape, np.float32)
    # one press printed them all; what is darker has a stroke on it
    most = 1.2 * np.median([line.limit for line in lines]) if lines else 0
    for line in lines:
        limits[line.pixels] = np.maximum(limits[line.pixels], min(line.limit, most))
    limits = cv2.dilate(limits, np.ones((3, 3), np.uint8))
    limits = cv2.resize(limits, None, fx=step, fy=step, interpolation=cv2.INTER_NEAREST)
    return limits[: size[0], : size[1]]


def _runs(cells: Array, run: float) -> Array:
    """Where a straight line passes that is at least `run` cells long, uint8.

    The picture is sheared so that lines of one slope after the other become level; small gaps are
    closed, and everything that is no level run is taken away (a morphological closing and opening).
    """
    rows, columns = cells.shape
    margin = columns // 7  # room for what a shear moves out of the picture
    thickened = cv2.dilate(np.ascontiguousarray(cells), np.ones((3, 1), np.uint8))  # lines bend
    thickened = np.pad(thickened, ((margin, margin), (0, 0)))
    size = columns, rows + 2 * margin
    longest, gap = np.ones((1, max(15, int(run))), np.uint8), np.ones((1, 7))
    lines = np.zeros_like(thickened)
    for slope in np.linspace(-0.27, 0.27, 19):
        shear = np.array([[1, 0, 0], [-slope, 1, slope * columns / 2]])
        level = cv2.warpAffine(thickened, shear, size, flags=cv2.INTER_NEAREST)
        level = cv2.morphologyEx(level, cv2.MORPH_CLOSE, gap)
        level = cv2.morphologyEx(level, cv2.MORPH_OPEN, longest)
        if level.any():
            shear[1] = slope, 1, -slope * columns / 2
            level = cv2.warpAffine(level, shear, size, flags=cv2.INTER_NEAREST)
            lines = np.maximum(lines, level)
    return np.ascontiguousarray(lines[margin : margin + rows])
