"""Which way up a picture is: how much its lines of writing are askew, and to which side the network
reads most digits; the picture turned by any angle, and boxes turned back.
"""

from typing import NamedTuple

import cv2
import numpy as np

from digits.photos.classification import Reader
from digits.photos.components import InkMap, find_components, normalize_digit, weighted_median
from digits.photos.ink import find_ink
from digits.photos.writing import log_likelihood_ratio
from digits.types import Array, Box

SAMPLE = 40
"""So many components, the most typical in size, say which way up a picture is."""

MIN_MARGIN = 1.5
"""By so much must the evidence for digits be greater along lines of writing than across them."""

MAX_BEHIND = 4.0
"""By so much may that for one way up be less than for the opposite one, for both to be read."""

MIN_TILTED = 4
"""So many components show how far a picture is askew; fewer are read as they stand."""

CLEARER = 1.25
"""By so much rows must stand out more after turning than before."""


class Turned(NamedTuple):
    """A picture turned clockwise by so many degrees: its ink, and the matrix (2, 3) that brings
    points of the picture there."""

    angle: int
    page: InkMap
    matrix: Array


def better_ways_up(page: InkMap, ink: Array, flat: Array, reader: Reader) -> list[Turned]:
    """The picture turned so that most of its ink looks like digits, and upside down from there, if
    that is nearly as likely: whole rows tell the two apart. Empty where neither lines from left to
    right nor lines from top to bottom are more likely; the present way up is not among them.

    It is tried as it stands and with its lines level: few digits say little of a tilt.
    """
    if len(page.components) < MIN_TILTED:
        return []
    tilts = list(dict.fromkeys([tilt(ink), 0]))
    upright = _Sheet(flat, ink, page, np.eye(2, 3))
    sheets = [_tilted(flat, angle) if angle else upright for angle in tilts]
    evidence = np.array([evidence_by_turns(sheet.page, reader) for sheet in sheets])
    best, turns = divmod(int(evidence.argmax()), 4)
    angles = np.add.outer(tilts, [0, 90, 180, 270])
    away = np.abs((angles - angles[best, turns] + 180) % 360 - 180)
    if evidence.max() < evidence[(away > 45) & (away < 135)].max() + MIN_MARGIN:
        return []
    found = []
    for way in (turns, (turns + 2) % 4):
        angle = int(angles[best, way])
        if angle and evidence[best, way] > evidence.max() - MAX_BEHIND:
            found.append(Turned(angle % 360, *_quarter_turned(sheets[best], way)))
    return found


class _Sheet(NamedTuple):
    """An evenly lit picture that may be turned, its ink, and the matrix of the turn."""

    flat: Array
    ink: Array
    page: InkMap  # the same ink in components
    matrix: Array


def _tilted(flat: Array, angle: int) -> _Sheet:
    """The ink of an evenly lit picture that is turned clockwise."""
    darkness, matrix = turn(255 - flat, angle)
    flat = 255 - darkness
    ink, density = find_ink(flat)
    return _Sheet(flat, ink, find_components(ink, density, flat), matrix)


def _quarter_turned(sheet: _Sheet, turns: int) -> tuple[InkMap, Array]:
    """The ink of a sheet turned by so many times 90 degrees, which changes no pixel; the matrix."""
    if turns == 0:
        return sheet.page, sheet.matrix
    flat, matrix = turn(sheet.flat, 90 * turns)
    ink, density = (turn(pixels, 90 * turns)[0] for pixels in (sheet.ink, sheet.page.density))
    together = matrix @ np.vstack([sheet.matrix, [0, 0, 1]])
    return find_components(ink, density, flat), together


def tilt(ink: Array) -> int:
    """By how many degrees clockwise, from -45 to 45, the ink should be turned so that its lines run
    from left to right or from top to bottom; 0 where no angle is clearly better.

    The right angle is the one at which ink and gaps alternate most from row to row (Postl 1986).
    """
    scale = min(1.0, 300 / max(ink.shape))
    size = tuple(max(1, round(side * scale)) for side in ink.shape[::-1])
    small = cv2.resize(ink.astype(np.float32), size, interpolation=cv2.INTER_AREA)

    def contrast(angle: float) -> float:
        turned, _ = turn(small, angle)
        return float(np.square(np.diff(turned.sum(axis=1))).sum())

    level = contrast(0)
    coarse = max(range(-45, 46, 3), key=contrast)
    best = max(range(max(-45, coarse - 2), min(45, coarse + 2) + 1), key=contrast)
    return best if contrast(best) > CLEARER * level else 0


def evidence_by_turns(page: InkMap, reader: Reader) -> Array:
    """How much of the ink looks like digits, turned clockwise by 0, 90, 180 and 270 degrees: the
    sums of the log-likelihood ratios in favor of digits. Others are of words, any way up."""
    if not page.components:
        return np.zeros(4)
    length = np.array([component.box.longest for component in page.components], float)
    unlike = np.abs(np.log(length / weighted_median(length, length)))
    typical = np.argsort(unlike, kind="stable")[:SAMPLE]
    ink = [page.ink(page.components[index].pieces) for index in typical]
    x = np.array([normalize_digit(np.rot90(digit, -n)).ravel() for n in range(4) for digit in ink])
    ratios = log_likelihood_ratio(np.asarray(reader.predict(x))[:, :10])
    return np.maximum(ratios, 0).reshape(4, len(ink)).sum(axis=1)


def turn(picture: Array, angle: float) -> tuple[Array, Array]:
    """The picture turned clockwise by so many degrees, in a frame that holds all of it, with 0
    around it; and the matrix (2, 3) that brings points of the picture there."""
    height, width = picture.shape
    if angle % 90 == 0:  # no pixel is blended with another
        turns = round(angle / 90) % 4
        matrix = np.array(
            [
                [[1, 0, 0], [0, 1, 0]],
                [[0, -1, height], [1, 0, 0]],
                [[-1, 0, width], [0, -1, height]],
                [[0, 1, 0], [-1, 0, width]],
            ][turns],
            float,
        )
        return np.ascontiguousarray(np.rot90(picture, -turns)), matrix
    matrix = np.asarray(cv2.getRotationMatrix2D((width / 2, height / 2), -angle, 1))
    cosine, sine = np.abs(matrix[0, :2])
    size = round(height * sine + width * cosine), round(height * cosine + width * sine)
    matrix[:, 2] += (np.array(size) - (width, height)) / 2
    return cv2.warpAffine(picture, matrix, size), matrix


def turn_back(box: Box, matrix: Array) -> Box:
    """The box, in the picture before it was turned, around a box of the turned one."""
    x, y = [box.x, box.right, box.x, box.right], [box.y, box.y, box.bottom, box.bottom]
    back = cv2.invertAffineTransform(matrix) @ np.array([x, y, np.ones(4)])
    left, top = (round(float(side)) for side in back.min(axis=1))
    right, bottom = (round(float(side)) for side in back.max(axis=1))
    return Box(left, top, max(1, right - left), max(1, bottom - top))
