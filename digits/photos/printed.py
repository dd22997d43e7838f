"""Which straight lines of a picture are printed: rulings, and the sides of boxes and tables, told
from strokes by where they end and by the size of their cells.
"""

import numpy as np

from digits.photos.straight import MAX_SLOPE, Line, straight_lines
from digits.types import Array

Families = tuple[list[Line], list[Line]]
"""The lines from left to right, and those from top to bottom."""

Pictures = tuple[tuple[Array, Array], tuple[Array, Array]]
"""Which cells are marked and how dark they are; and both transposed."""

MIN_SIDES = 3
"""So many lines between two others are the sides of cells; one or two may be strokes."""

MAX_SIDES = 50
"""More lines are those of squared paper, and one more or less of them does not matter."""

MIN_SIDE = 0.85
"""As a share of the longest one in its row of cells: a shorter side is a stroke."""

MIN_INKED = 0.96
"""The same of how much of their lengths has ink: a stroke ends short of the long lines."""

MAX_DARKER = 1.4
"""A printed line is at most so many times as dark as the others."""

MAX_SKEW = 0.1
"""The cosine of the angle at which the sides of cells meet: it is nearly a right one."""

REACH = 4
"""In cells: an end that is so near to another line meets it."""

FAINT_END = 0.1
"""As a share of its length: at each end so much of a line may be too faint to be seen."""


def find_lines(cells: Array, shades: Array, slender: float, min_lines: int) -> Families:
    """The printed lines from left to right and those from top to bottom; where there are fewer than
    `min_lines`, or no two long ones side by side, as in a component that is no table, only those
    much longer than it is high.

    A line is `slender` times as long as thick, and each of its ends leaves the picture or meets
    another line; or it is one of three that leave the picture at one end, or that run over three
    fifths of it, or of two that begin and end together, with the sides of cells between them.
    """
    shape = cells.shape
    pictures = (cells, shades), (cells.T, shades.T)
    min_ratio = 0.6 if min_lines > 1 else 0.0  # the edge of a component is none of the picture
    level = straight_lines(*pictures[0], shape[1] / 4, slender, turned=False)
    upright = straight_lines(*pictures[1], shape[0] / 4, slender, turned=True)
    families = _anchored((level, upright), shape, min_ratio, together=True)
    if not any(families):
        families = _small_boxes((level, upright), pictures, slender, min_ratio)
    side_by_side = max(
        sum(line.length > min_ratio * extent for line in lines)
        for lines, extent in zip(families, shape[::-1], strict=True)
    )
    enough = len(families[0]) + len(families[1]) >= min_lines
    if not enough or (min_lines > 1 and side_by_side < 2):
        level, upright = (
            [line for line in lines if line.length > 2.5 * extent]
            for lines, extent in zip(families, shape, strict=True)
        )
        families = level, upright
    _add_sides(families, pictures, slender, min_ratio)
    # the axis along which lines stand beside each other (0 for x), the lines, those that they meet
    both = (1, *families), (0, *families[::-1])
    for axis, lines, long in both:
        lines[:] = _without_dark_strokes(lines, long, axis, shape)
    for axis, lines, long in both:
        for row in _rows_of_cells(lines, axis):
            lines.extend(_hidden(row, long, pictures[1 - axis][0], axis))
    for axis, lines, long in both:
        lines[:] = _without_strokes(lines, long, axis)
    return families


def _add_sides(families: Families, pictures: Pictures, slender: float, min_ratio: float) -> None:
    """Add the shorter lines between long ones, sides of cells, unless the paper is squared."""
    shape = pictures[0][0].shape
    spacings = [_spacing(lines, shape[axis], axis) for axis, lines in enumerate(families)]
    for one, other in ((0, 1), (1, 0)):
        through = ends_leaving(families[other], shape).all(axis=0).sum()
        squared = min_ratio == 0 and 2 * through > max(4, len(families[other]))
        if spacings[one] > 0 and not squared:
            sides = _sides(pictures[other], spacings[one], slender / 2, other, families[one])
            sides = _new_lines(sides, families[other], 1 - other)
            both = (families[one], sides) if other else (sides, families[one])
            sides = _anchored(both, shape, min_ratio, together=False)[other]
            if len(sides) >= MIN_SIDES:
                families[other].extend(sides)


def _sides(
    picture: tuple[Array, Array], gap: float, slender: float, axis: int, long: list[Line]
) -> list[Line]:
    """The lines that may be sides of cells between long lines which are so far apart; axis 1 for
    sides from top to bottom."""
    along = np.array([line.end - line.start for line in long])
    slope = -float(np.median(along[:, axis] / along[:, 1 - axis]))  # at a right angle to them
    low, high = np.clip([slope - MAX_SKEW, slope + MAX_SKEW], -MAX_SLOPE, MAX_SLOPE).tolist()
    sides = straight_lines(*picture, 0.6 * gap, slender, axis == 1, (low, high))
    return [side for side in sides if _may_be_side(side, long)]


def _new_lines(sides: list[Line], lines: list[Line], axis: int) -> list[Line]:
    """The sides that are part of none of these lines, which are told apart by their place along the
    axis: 0 for x, 1 for y."""
    start = np.array([line.start for line in lines]).reshape(-1, 2)
    end = np.array([line.end for line in lines]).reshape(-1, 2)
    level = (start[:, axis] + end[:, axis]) / 2
    thickness = np.array([line.thickness for line in lines])
    found = []
    for side in sides:
        middle = (side.start + side.end) / 2
        along = (start[:, 1 - axis] <= middle[1 - axis]) & (middle[1 - axis] <= end[:, 1 - axis])
        near = np.abs(level - middle[axis]) <= thickness + side.thickness
        if not (along & near).any():
            found.append(side)
    return found


def _small_boxes(
    families: Families, pictures: Pictures, slender: float, min_ratio: float
) -> Families:
    """The lines of boxes side by side whose sides are too short to be found without the long ones;
    a single box may be a 0, and smaller ones the curves of an 8."""
    shape = pictures[0][0].shape
    for axis in (0, 1):
        long = families[1 - axis]
        gap = _spacing(long, shape[1 - axis], 1 - axis)
        near = 3 * (REACH + max([line.thickness for line in long], default=0.0))
        if len(long) > 1 and gap > near and 0.6 * gap < shape[1 - axis] / 4:
            sides = _sides(pictures[axis], gap, slender, axis, long)
            both = (long, sides) if axis else (sides, long)
            found = _anchored(both, shape, min_ratio, together=True)
            if len(found[axis]) >= MIN_SIDES:
                return found
    return [], []


def _hidden(lines: list[Line], long: list[Line], cells: Array, axis: int) -> list[Line]:
    """The lines that strokes hide: where equal cells need one, as far as the long sides reach, and
    most of its length is dark.

    axis : along which the lines stand beside each other, 0 for x, 1 for y.
    cells : the picture, transposed for axis 0.
    """
    if not MIN_SIDES <= len(lines) <= MAX_SIDES:
        return []
    turned = axis == 0
    level, on_grid, size = _equal_cells(lines, axis)
    if len(on_grid) < max(MIN_SIDES, len(lines) / 2 + 1):
        return []
    ends = np.array([(line.start, line.end) for line in lines])  # (n, 2, 2): of (x, y)
    ends = ends[..., ::-1] if turned else ends
    thickness = float(np.median([line.thickness for line in lines]))
    limit = float(np.median([line.limit for line in lines]))
    origin = level[on_grid[0]]
    number = np.rint((level[on_grid] - origin) / size)
    step, first = np.polyfit(number, ends[on_grid].reshape(-1, 4), 1)
    near = np.abs(_crossings(lines[:1], long, axis)[0] - 0.5) < 0.75
    ends_of_long = [(line.start[axis], line.end[axis]) for line in long]
    reach = np.array(ends_of_long).reshape(-1, 2)[near] if near.any() else level[on_grid]
    low, high = np.rint((reach.min() - origin) / size), np.rint((reach.max() - origin) / size)
    found = []
    for place in range(int(low), int(max(high, number[-1])) + 1):
        start, end = (first + place * step).reshape(2, 2)
        if np.abs(level - (start[1] + end[1]) / 2).min() < 0.3 * size:
            continue
        columns = np.arange(max(0, round(start[0])), min(cells.shape[1], round(end[0]) + 1))
        middle = np.interp(columns, (start[0], end[0]), (start[1], end[1]))
        across = np.arange(-thickness / 2, thickness / 2 + 1)[:, None]
        rows = np.rint(middle + across).astype(int).clip(0, len(cells) - 1)
        if len(columns) and cells[rows, columns].max(axis=0).mean() > 0.8:
            both = (start[::-1], end[::-1]) if turned else (start, end)
            pixels = rows.ravel(), np.broadcast_to(columns, rows.shape).ravel()
            found.append(Line(*both, thickness, limit, pixels))
    return found


def _crossings(sides: list[Line], long: list[Line], axis: int) -> Array:
    """Where along each side of a cell each long line crosses it, (sides, long): 0 at its start and
    1 at its end. axis: along which sides stand beside each other, 0 for x, 1 for y."""
    first = np.array([side.start for side in sides]).reshape(-1, 2)
    last = np.array([side.end for side in sides]).reshape(-1, 2)
    start = np.array([line.start for line in long]).reshape(-1, 2)
    along = np.array([line.end for line in long]).reshape(-1, 2) - start
    from_start = ((first + last) / 2)[:, None, axis] - start[:, axis]
    level = start[:, 1 - axis] + from_start * along[:, 1 - axis] / along[:, axis]
    length = np.array([side.length for side in sides])[:, None]
    share: Array = (level - first[:, None, 1 - axis]) / length
    return share


def _are_in_cells(lines: list[Line], long: list[Line], axis: int) -> Array:
    """Which lines are no longer than a cell, bool (lines,): no long line crosses their middle."""
    if len(long) < 2:
        return np.zeros(len(lines), bool)
    from_middle: Array = np.abs(_crossings(lines, long, axis) - 0.5)  # (lines, long)
    return np.asarray((from_middle > 0.25).all(axis=1))


def _without_dark_strokes(
    lines: list[Line], long: list[Line], axis: int, shape: tuple[int, ...]
) -> list[Line]:
    """The lines without those that are darker than the long lines, in a cell; or, one or two of
    them that leave the picture nowhere, in as many as a digit on ruled paper has."""
    if len(long) < 2:
        return lines
    darkest = MAX_DARKER * max(line.limit for line in long)
    dark = np.array([line.limit > darkest for line in lines], bool)
    in_cell, at = _are_in_cells(lines, long, axis), _crossings(lines, long, axis)
    crossed = ((at > FAINT_END) & (at < 1 - FAINT_END)).sum(axis=1)
    low = dark & ~in_cell & (crossed < MIN_SIDES) & ~ends_leaving(lines, shape).any(axis=0)
    strokes = dark & in_cell | (low if low.sum() < MIN_SIDES else False)
    return [line for line, stroke in zip(lines, strokes, strict=True) if not stroke]


def _without_strokes(lines: list[Line], long: list[Line], axis: int) -> list[Line]:
    """The lines without those that are shorter than the other sides of a row of cells, or further
    from the long lines."""
    in_cell = _are_in_cells(lines, long, axis)
    found = [line for line, is_in in zip(lines, in_cell, strict=True) if not is_in]
    sides = [line for line, is_in in zip(lines, in_cell, strict=True) if is_in]
    for row in _rows_of_cells(sides, axis):
        some = len(row) >= MIN_SIDES
        length = MIN_SIDE * max(line.length for line in row) if some else 0.0
        inked = MIN_INKED * max(line.inked for line in row) if some else 0.0
        found += [line for line in row if line.length > length and line.inked > inked]
    return found


def _rows_of_cells(sides: list[Line], axis: int) -> list[list[Line]]:
    """The sides of cells by the rows of cells that they are in, each in order along the axis."""
    middles = np.array([(side.start + side.end) / 2 for side in sides]).reshape(-1, 2)
    rows: list[list[int]] = []
    last = -np.inf
    for number in middles[:, 1 - axis].argsort():
        if middles[number, 1 - axis] > last + sides[number].length / 2:
            rows.append([])
        rows[-1].append(int(number))
        last = middles[number, 1 - axis]
    return [[sides[n] for n in sorted(row, key=lambda n: middles[n, axis])] for row in rows]


def _equal_cells(lines: list[Line], axis: int) -> tuple[Array, list[int], float]:
    """Where lines are along the axis, by which they are in order; which of them are sides
    of cells of one size; and that size: the one with the most lines where it needs them, less those
    that are missing."""
    level = np.array([(line.start[axis] + line.end[axis]) / 2 for line in lines])
    narrowest = 4 * float(np.median([line.thickness for line in lines]))
    apart = level - level[:, None]
    best: list[int] = []
    size, most = 0.0, -np.inf
    for gap in np.concatenate([apart.diagonal(step) for step in (1, 2, 3)]):
        if gap > narrowest:
            fits = np.abs(apart / gap - np.rint(apart / gap)) < 0.05
            on_grid = np.flatnonzero(fits[fits.sum(axis=1).argmax()])
            missing = round(apart[on_grid[0], on_grid[-1]] / gap) + 1 - len(on_grid)
            if len(on_grid) - missing > most:
                best, size, most = on_grid.tolist(), float(gap), len(on_grid) - missing
    return level, best, size


def _anchored(
    families: Families, shape: tuple[int, ...], min_ratio: float, together: bool
) -> Families:
    """The lines of both directions that end where lines end.

    min_ratio: of its length to that of the picture, for a line to leave it.
    together: whether three long lines of one direction, or three that leave the picture at one end,
        are accepted as they are.
    """
    longest = max(shape)
    lengths = [np.array([line.length for line in lines]) for lines in families]
    leaving = [
        ends_leaving(lines, shape) & (length > min_ratio * longest)
        for lines, length in zip(families, lengths, strict=True)
    ]
    meeting = [_meeting(*families, shape), _meeting(*families[::-1], shape)]
    accepted = [np.zeros(len(lines), bool) for lines in families]
    if together:
        for index, length in enumerate(lengths):
            for some in (length > 0.6 * longest, leaving[index].any(0) & (length > 0.25 * longest)):
                if some.sum() >= 3:
                    accepted[index] |= some
    twins = [_twins(lines, index) for index, lines in enumerate(families)]
    good = [np.ones(len(lines), bool) for lines in families]
    changed = True
    while changed:
        changed = False
        for index in (0, 1):
            met = meeting[index][:, :, good[1 - index]].any(axis=2)
            touched = meeting[1 - index][:, good[1 - index]].any(axis=0).astype(int)
            ladders = twins[index] & good[index] & (touched.T @ touched >= MIN_SIDES)
            fine = accepted[index] | (leaving[index] | met).all(axis=0) | ladders.any(axis=1)
            fewer = good[index] & fine
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


def _meeting(lines: list[Line], others: list[Line], shape: tuple[int, ...]) -> Array:
    """Whether each end of a line meets one of the others, bool (2, lines, others). Lines of a
    table by hand overshoot those that they meet."""
    if not lines or not others:
        return np.zeros((2, len(lines), len(others)), bool)
    ends = np.array([[line.start for line in lines], [line.end for line in lines]])[:, :, None]
    start = np.array([other.start for other in others])
    along = np.array([other.end for other in others]) - start
    # the nearest point of the other line, by its share of the way along it: (2, lines, others)
    share = ((ends - start) * along).sum(axis=-1) / np.maximum(1, np.square(along).sum(axis=-1))
    away = start + np.clip(share, -FAINT_END, 1 + FAINT_END)[..., None] * along - ends
    overshoot = np.outer([0.08 * line.length for line in lines], ~ends_leaving(others, shape)[0])
    reach = REACH + np.array([other.thickness for other in others]) + overshoot
    return np.hypot(away[..., 0], away[..., 1]) <= reach


def _twins(lines: list[Line], axis: int) -> Array:
    """Which lines begin and end beside each other, bool (lines, lines), as the long sides of a row
    of cells do. axis: 0 for level lines, 1 for upright ones."""
    ends = np.array([(line.start[axis], line.end[axis]) for line in lines]).reshape(-1, 2)
    reach = REACH + np.array([line.thickness for line in lines])
    twins: Array = (np.abs(ends[:, None] - ends) <= reach[:, None, None]).all(axis=2)
    np.fill_diagonal(twins, False)
    return twins


def ends_leaving(lines: list[Line], shape: tuple[int, ...]) -> Array:
    """Whether each end of a line leaves the picture, bool (2, lines)."""
    ends = np.array([(line.start, line.end) for line in lines]).reshape(-1, 2, 2)  # of (x, y)
    far = np.array(shape[::-1]) - 1 - ends
    left: Array = (np.minimum(ends, far).min(axis=2) <= 2).T
    return left


def _may_be_side(line: Line, others: list[Line]) -> bool:
    """Whether a line is as thin as others are, and at a right angle to them: a stroke between two
    lines is slanted, or thicker."""
    along = (line.end - line.start) / max(1.0, float(np.hypot(*(line.end - line.start))))
    skew = [along @ (other.end - other.start) / max(1.0, other.length) for other in others]
    thickness = max(other.thickness for other in others)
    return abs(float(np.median(skew))) < MAX_SKEW and line.thickness <= 1.5 * thickness


def _spacing(lines: list[Line], extent: int, axis: int) -> float:
    """How far lines of one direction are apart, at least; one line, from the edge of the picture.
    0 without lines."""
    if not lines:
        return 0.0
    positions = np.sort([(line.start[1 - axis] + line.end[1 - axis]) / 2 for line in lines])
    gaps = np.diff(positions)
    gaps = gaps[gaps > 4 * max(line.thickness for line in lines)]
    return float(gaps.min()) if len(gaps) else float(max(positions[0], extent - positions[-1]))
