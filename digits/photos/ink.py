"""From an evenly lit picture to the ink on it: everything much darker than paper, without the lines
of ruled paper, boxes and tables.

Every length is a fraction of the picture or of a pen's width, never a number of camera pixels.
"""

import cv2
import numpy as np

from digits.photos.decode import WORKING_SIZE
from digits.photos.light import odd
from digits.photos.lines import erase_lines
from digits.types import Array

MIN_DARKNESS = 0.25
"""Of the ink's typical darkness: what is fainter shines through or is a wrinkle."""


def find_ink(flat: Array) -> tuple[Array, Array]:
    """Which pixels are ink, bool, and the density of the ink there, float32 in [0, 1], else 0.

    Ink is darker than paper is by chance (five standard deviations, measured on this paper in this
    light; as few as three where the darkest ink is faint), a quarter as dark as ink typically is
    here, and more than two fifths as dark as the darkest within one and a half stroke widths. So a
    stroke ends where its blurred edge fades, a pencil beside a marker keeps its width, and gray
    ruling under a pen counts as paper. The lines of ruled or squared paper are taken out.
    """
    darkness = cv2.GaussianBlur(255 - flat, (0, 0), max(0.7, max(flat.shape) / WORKING_SIZE))
    paper, spread = _paper(darkness)
    if np.median(spread) > 6:  # coarse grain: blur more
        darkness = cv2.GaussianBlur(darkness, (0, 0), 1.5)
        paper, spread = _paper(darkness)
    contrast = float(np.quantile(darkness[::2, ::2], 0.99)) - paper
    chance = np.clip(0.4 * contrast, 3 * spread, 5 * spread)
    marked = darkness > paper + np.maximum(chance, 12)
    total = np.cumsum(np.bincount(darkness[marked], minlength=256) * np.arange(256))
    typical = float(np.searchsorted(total, total[-1] / 2))  # half of the ink is darker
    marked &= darkness > paper + MIN_DARKNESS * (typical - paper)
    # what a blurred stroke spreads around it is none of it
    marked &= darkness > _two_fifths(_darkest_near(darkness, stroke_width(marked)))
    marked = erase_lines(marked, darkness)
    darkness = np.where(marked, darkness, np.minimum(darkness, np.uint8(paper)))
    reach = max(flat.shape) * 0.03
    for _ in range(2):  # the first pass finds how wide the strokes are
        peak = _darkest_near(darkness, reach)
        ink = marked & (darkness > _two_fifths(peak))
        reach = max(reach, 3 * stroke_width(ink))
    density = np.zeros(ink.shape, np.float32)
    density[ink] = np.clip((darkness[ink] - paper) / np.maximum(peak[ink] - paper, 1.0), 0, 1)
    return ink, density


def _two_fifths(darkness: Array) -> Array:
    """0.4 times the darkness, uint8, rounded down: no whole number lies between that and the exact
    product, so comparing with either is the same, and this needs no array of floats."""
    return cv2.LUT(darkness, (0.4 * np.arange(256)).astype(np.uint8))


def _darkest_near(darkness: Array, reach: float) -> Array:
    """The greatest darkness in a square of this size around each pixel."""
    size = odd(reach)
    return cv2.dilate(darkness, np.ones((size, size), np.uint8))


def _paper(darkness: Array) -> tuple[float, Array]:
    """How dark the paper is, and by how much that varies, for every pixel: in deep shadow, where
    the light was divided by a small number, the grain is coarser.

    What is darker than three standard deviations is no paper and does not count, until nothing more
    is left out (clipping, as in Bertin and Arnouts 1996).
    """
    sample = darkness[::2, ::2]
    bound = 256
    while True:
        values = sample[sample < bound]
        paper = float(np.median(values))
        overall = 1.4826 * float(np.median(np.abs(values - paper)))  # as of a normal distribution
        clipped = int(paper + 3 * overall) + 2
        if clipped >= bound:
            break
        bound = clipped
    blank = cv2.erode((sample < bound).astype(np.float32), np.ones((5, 5), np.uint8))
    grain = blank * np.abs(sample - cv2.GaussianBlur(sample.astype(np.float32), (0, 0), 2))
    size = odd(max(sample.shape) / 8)
    local = 1.6 * cv2.blur(grain, (size, size)) / np.maximum(cv2.blur(blank, (size, size)), 0.05)
    # faint strokes and rulings are grain to this measure, so it is bounded
    spread = cv2.resize(np.clip(local, overall, 2.5 * overall + 1), darkness.shape[::-1])
    return paper, spread


def stroke_width(ink: Array) -> float:
    """Typical width of the strokes, in pixels: twice the distance to the paper along their middle
    lines, weighted by ink; 0 without ink."""
    if not ink.any():
        return 0.0
    # beyond the picture there is paper
    bordered = cv2.copyMakeBorder(ink.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT)
    distance = cv2.distanceTransform(bordered, cv2.DIST_L2, 3)
    middle = (distance >= cv2.dilate(distance, np.ones((3, 3), np.uint8))) & (bordered > 0)
    ridge = distance[middle]
    order = np.sort(ridge)
    heavy = np.searchsorted(np.cumsum(order), order.sum() / 2)
    return float(2 * order[min(heavy, len(order) - 1)])
