"""From a picture to the ink on it: the light divided away, then everything much darker than paper,
without the lines of ruled paper.

Every length is a fraction of the picture or of a pen's width, never a number of camera pixels.
"""

import cv2
import numpy as np

from digits.photos.decode import WORKING_SIZE
from digits.types import Array

MIN_SIZE = 300
"""Smaller pictures are enlarged to this, so that lines are a few pixels wide."""

MAX_FRAMES = 30
"""The largest components, among which boxes and tables are sought."""


def working_copy(picture: Array) -> tuple[Array, float]:
    """The picture in gray at the size it is analyzed in, and that size over the original one."""
    longest = max(picture.shape[:2])
    scale = min(WORKING_SIZE, max(MIN_SIZE, longest)) / longest
    if scale != 1:
        size = tuple(max(1, round(side * scale)) for side in picture.shape[1::-1])
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        picture = cv2.resize(picture, size, interpolation=how)
    if picture.ndim == 3:
        picture = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    return picture, scale


def is_light_on_dark(gray: Array) -> bool:
    """Whether the writing is lighter than what it is written on.

    Writing is the minority that departs from its surroundings: the sum of cubed departures from a
    median over a third of the picture has the sign of the ink.  A median follows shadows and the
    edges of a table, which therefore do not count.
    """
    small = _reduce(gray, 300)
    size = _odd(min(small.shape) / 3)
    padded = cv2.copyMakeBorder(small, size, size, size, size, cv2.BORDER_REPLICATE)
    paper = cv2.medianBlur(padded, size)[size:-size, size:-size]
    return bool(((small.astype(np.float64) - paper) ** 3).sum() > 0)


def flatten_light(gray: Array) -> Array:
    """The picture as if evenly lit, uint8: paper 255, ink darker, whichever way round it was.

    What a camera sees is light times reflectance, so the light divides away.  The light is what
    remains when everything dark and thinner than a sixth of the picture is filled in (a
    morphological closing), which leaves hard shadows and dark tables where they are.
    """
    if is_light_on_dark(gray):
        gray = 255 - gray
    small = cv2.medianBlur(_reduce(gray, 400), 3)
    size = _odd(min(small.shape) / 6)
    padded = cv2.copyMakeBorder(small, size, size, size, size, cv2.BORDER_REPLICATE)
    light = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, np.ones((size, size), np.uint8))
    light = cv2.medianBlur(light, 5)[size:-size, size:-size]
    light = cv2.resize(light, gray.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return cv2.divide(gray, np.maximum(light, 32), scale=255)


def _reduce(gray: Array, longest: int) -> Array:
    scale = longest / max(gray.shape)
    if scale >= 1:
        return gray
    size = tuple(max(1, round(side * scale)) for side in gray.shape[::-1])
    return cv2.resize(gray, size, interpolation=cv2.INTER_AREA)


def _odd(size: float) -> int:
    """The nearest odd number from 3 up: what a filter that has a middle needs."""
    return max(3, int(size) // 2 * 2 + 1)


def find_ink(flat: Array) -> tuple[Array, Array]:
    """Which pixels are ink, bool, and the density of the ink there, float32 in [0, 1].

    Ink is darker than paper is by chance (five standard deviations, measured on this paper in this
    light; as few as three where the darkest ink is faint), and more than two fifths as dark as the
    darkest within one and a half stroke widths.  So a stroke ends where its blurred edge fades, a
    pencil beside a marker keeps its width, and gray ruling under a pen counts as paper.  The lines
    of ruled or squared paper are taken out.
    """
    darkness = cv2.GaussianBlur(255 - flat, (0, 0), max(0.7, max(flat.shape) / WORKING_SIZE))
    paper, spread = _paper(darkness)
    if np.median(spread) > 6:  # coarse grain: blur more
        darkness = cv2.GaussianBlur(darkness, (0, 0), 1.5)
        paper, spread = _paper(darkness)
    contrast = float(np.quantile(darkness[::2, ::2], 0.99)) - paper
    chance = np.maximum(3 * spread, np.minimum(5 * spread, 0.4 * contrast))
    marked = darkness > paper + np.maximum(chance, 12)
    reach = max(flat.shape) * 0.03
    for _ in range(2):  # the first pass finds how wide the strokes are
        size = _odd(reach)
        peak = cv2.dilate(darkness, np.ones((size, size), np.uint8))
        ink = marked & (darkness > 0.4 * peak)
        reach = max(reach, 3 * stroke_width(ink))
    density = np.clip((darkness - paper) / np.maximum(peak - paper, 1.0), 0, 1).astype(np.float32)
    ink = erase_rulings(ink, marked, darkness)
    return erase_frames(ink, darkness), density


def _paper(darkness: Array) -> tuple[float, Array]:
    """How dark the paper is, and by how much that varies, for every pixel: in deep shadow, where
    the light was divided by a small number, the grain is coarser."""
    sample = darkness[::2, ::2].astype(np.float32)
    paper = float(np.median(sample))
    overall = 1.4826 * float(np.median(np.abs(sample - paper)))  # as of a normal distribution
    grain = np.abs(sample - cv2.GaussianBlur(sample, (0, 0), 2))
    size = _odd(max(sample.shape) / 8)
    local = 1.6 * cv2.blur(grain, (size, size))
    # strokes and rulings are grain to this measure, so it is bounded
    spread = cv2.resize(np.clip(local, overall, 2.5 * overall + 1), darkness.shape[::-1])
    return paper, spread


def stroke_width(ink: Array) -> float:
    """Typical width of the strokes, in pixels: twice the distance to the paper along their middle
    lines, weighted by ink; 0 without ink."""
    if not ink.any():
        return 0.0
    ink = np.pad(ink, 1)  # beyond the picture there is paper
    distance = cv2.distanceTransform(ink.astype(np.uint8), cv2.DIST_L2, 3)
    ridge = distance[(distance >= cv2.dilate(distance, np.ones((3, 3), np.uint8))) & ink]
    order = np.sort(ridge)
    heavy = np.searchsorted(np.cumsum(order), order.sum() / 2)
    return float(2 * order[min(heavy, len(order) - 1)])


def erase_rulings(ink: Array, marked: Array, darkness: Array, slender: float = 20) -> Array:
    """The ink without the lines of ruled or squared paper, which are sought in all that is darker
    than the paper (`marked`): there the lines have no gaps.

    A ruling is `slender` times as long as thick and leaves the picture at both ends; or it is
    one of three that leave it at one end, or that run over three fifths of it.  It is erased only
    where it stands alone.  A stroke that crosses it stays: there the ink reaches further up and
    down than the ruling is thick, or is a third darker than most of the ruling.
    """
    across, thickness_across = _rulings_across(marked, darkness, slender)
    down, thickness_down = _rulings_across(marked.T, darkness.T, slender)
    down = down.T
    # where two rulings cross, the second one darkens only what the first one left
    faint = darkness <= across + down - across * down / 255
    kept = ink.copy()
    if thickness_across:
        taller = np.ones((round(1.5 * thickness_across) + 3, 1), np.uint8)
        strokes = (ink & ~(faint & (down > 0))).astype(np.uint8)
        crossed = cv2.morphologyEx(strokes, cv2.MORPH_OPEN, taller).astype(bool)
        kept &= ~(faint & (across > 0)) | crossed
    if thickness_down:
        wider = np.ones((1, round(1.5 * thickness_down) + 3), np.uint8)
        strokes = (ink & ~(faint & (across > 0))).astype(np.uint8)
        crossed = cv2.morphologyEx(strokes, cv2.MORPH_OPEN, wider).astype(bool)
        kept &= ~(faint & (down > 0)) | crossed
    return kept


def erase_frames(ink: Array, darkness: Array) -> Array:
    """The ink without the lines of boxes and tables.

    A frame is connected ink with other ink inside, and lines from end to end at two opposite sides;
    within its box, its lines are rulings.
    """
    _, labels, boxes, _ = cv2.connectedComponentsWithStats(ink.astype(np.uint8), connectivity=8)
    x, y, w, h = boxes[1:, :4].T
    kept = ink.copy()
    for label in 1 + np.argsort(-w * h, kind="stable")[:MAX_FRAMES]:
        left, top, width, height = boxes[label, :4]
        inside = (x > left) & (x + w < left + width) & (y > top) & (y + h < top + height)
        here = slice(top, top + height), slice(left, left + width)
        own = labels[here] == label
        if (h[inside] > 0.05 * height).any() and (_has_sides(own) or _has_sides(own.T)):
            rest = erase_rulings(own, own, darkness[here], slender=8)
            _, parts, sizes, _ = cv2.connectedComponentsWithStats(rest.astype(np.uint8))
            sides = sizes[:, 2:4]
            is_stroke = sides.min(axis=1) > 0.25 * sides.max(axis=1)  # no end of a line
            kept[here] &= ~own | (rest & is_stroke[parts])
    return kept


def _has_sides(own: Array) -> bool:
    """Whether a line runs along the upper edge of a box and another along its lower edge."""
    band = -(-len(own) // 7)
    return bool(min(own[:band].any(axis=0).mean(), own[-band:].any(axis=0).mean()) > 0.85)


def _rulings_across(marked: Array, darkness: Array, slender: float) -> tuple[Array, float]:
    """The rulings that run from left to right, up to 15 degrees askew: for every pixel the darkness
    up to which it may be ruling, 0 where there is none; and how thick the rulings are."""
    step = max(1, round(max(marked.shape) / 600))
    cell = np.ones((step, step), np.uint8)
    # a cell takes the darkest of its pixels, so that not even the thinnest line gets lost
    cells = cv2.dilate(marked.astype(np.uint8), cell)[::step, ::step]
    shades = cv2.dilate(darkness, cell)[::step, ::step]
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(_long_lines(cells), connectivity=8)
    columns = cells.shape[1]
    left, length, area = boxes[:, 0], boxes[:, 2], boxes[:, 4]
    thickness = area / length - 2  # the lines were thickened by two
    thin = thickness < np.maximum(2, length / slender)
    thin[0] = False  # the paper
    top, bottom = boxes[:, 1], boxes[:, 1] + boxes[:, 3]
    ends = (left <= 2).astype(int) + (left + length >= columns - 2)
    ends += ((top <= 2) | (bottom >= len(cells) - 2)) & (ends == 1)  # cut off at a corner
    is_ruling = thin & (ends == 2)
    for family in (thin & (ends > 0), thin & (length > 0.6 * columns)):
        if family.sum() >= 3:
            is_ruling |= family
    limit = np.zeros(count, np.float32)
    for line in np.flatnonzero(is_ruling):
        limit[line] = 1.3 * np.quantile(shades[labels == line], 0.75)
    if is_ruling.any():  # one press printed them all; what is darker has a stroke on it
        limit = np.minimum(limit, 1.2 * np.median(limit[is_ruling]))
    limits = cv2.dilate(limit[labels], np.ones((3, 3), np.uint8))
    limits = cv2.resize(limits, None, fx=step, fy=step, interpolation=cv2.INTER_NEAREST)
    limits = limits[: marked.shape[0], : marked.shape[1]]
    return limits, step * float(np.max(thickness[is_ruling], initial=0))


def _long_lines(cells: Array) -> Array:
    """Where a straight line at least a quarter of the picture long passes, uint8.

    The picture is sheared so that lines of one slope after the other become level; small gaps are
    closed, and everything that is no level run is taken away (a morphological closing and opening).
    """
    rows, columns = cells.shape
    margin = columns // 7  # room for what a shear moves out of the picture
    thickened = cv2.dilate(cells, np.ones((3, 1), np.uint8))  # a line bends a little
    thickened = np.pad(thickened, ((margin, margin), (0, 0)))
    size = columns, rows + 2 * margin
    run, gap = np.ones((1, max(15, columns // 4)), np.uint8), np.ones((1, 7))
    lines = np.zeros_like(thickened)
    for slope in np.linspace(-0.27, 0.27, 19):
        shear = np.array([[1, 0, 0], [-slope, 1, slope * columns / 2]])
        level = cv2.warpAffine(thickened, shear, size, flags=cv2.INTER_NEAREST)
        level = cv2.morphologyEx(level, cv2.MORPH_CLOSE, gap)
        level = cv2.morphologyEx(level, cv2.MORPH_OPEN, run)
        if level.any():
            shear[1] = slope, 1, -slope * columns / 2
            level = cv2.warpAffine(level, shear, size, flags=cv2.INTER_NEAREST)
            lines = np.maximum(lines, level)
    return np.ascontiguousarray(lines[margin : margin + rows])
