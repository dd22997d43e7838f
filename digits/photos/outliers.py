"""Which of the digits found are ink of another kind: specks, rings, remains of lines, and what
another pen wrote.
"""

import numpy as np

from digits.photos.candidates import Candidate, encircles
from digits.photos.components import InkMap, weighted_median
from digits.photos.ink import stroke_width

MIN_CONFIDENCE = 0.25
MIN_PIXELS = 8  # in the height of a digit: what is smaller has no shape

LINE_HEIGHT = 1.3
"""So many times as high as all digits, a 1 from the edge of the picture is a line."""

LOW = 0.75
"""So high, for a typical digit of 1, is at least a digit that the edge of the picture cuts."""

NEAR_SIDE = 0.06
"""Of the picture's width: what is as near to its left or right side may be a frame."""


def filter_unsure(chosen: list[Candidate]) -> list[Candidate]:
    """The digits that are no specks, and of which the network is not too unsure to say anything."""
    return [c for c in chosen if c.box.height >= MIN_PIXELS and c.confidence > MIN_CONFIDENCE]


def filter_rings(chosen: list[Candidate], page: InkMap) -> list[Candidate]:
    """The digits without rings around other ink, which are read as a 0."""

    def is_ring(candidate: Candidate) -> bool:
        own = set(candidate.pieces)
        others = [other.box for other in page.components if own.isdisjoint(other.pieces)]
        return any(encircles(candidate.box, box) for box in others)

    return [candidate for candidate in chosen if candidate.digit != 0 or not is_ring(candidate)]


def filter_outliers(chosen: list[Candidate], page: InkMap) -> list[Candidate]:
    """The digits that are like the others: one hand wrote them all with one pen.

    Left out is what is less than 0.35 times as high as a typical digit, 0.4 times as dark (writing
    that shines through), 0.6 times as thick (remains of rulings), or cut by the edge of the picture
    and lower than the others. "Typical" is a median weighted by ink and certainty. Lines that begin
    at the edge do not count for it, and are left out, too.
    """
    if not chosen:
        return []
    chosen = _without_lines(chosen, page)
    rows, columns = page.labels.shape
    x, y, w, h = np.array([candidate.box for candidate in chosen]).T
    ink = [page.ink(candidate.pieces) for candidate in chosen]
    weight = np.array(
        [c.confidence * density.sum() for c, density in zip(chosen, ink, strict=True)]
    )
    darkness = np.array([candidate.darkness for candidate in chosen])
    pen = np.array([stroke_width(density > 0) for density in ink])
    typical = weighted_median(h, weight)
    at_edge = (x <= 1) | (y <= 1) | (x + w >= columns - 1) | (y + h >= rows - 1)
    fits = h > np.where(at_edge, LOW, 0.35) * typical
    fits &= darkness > 0.4 * weighted_median(darkness, weight)
    fits &= pen > 0.6 * weighted_median(pen, weight)
    return [candidate for candidate, fit in zip(chosen, fits, strict=True) if fit]


def _without_lines(chosen: list[Candidate], page: InkMap) -> list[Candidate]:
    """The digits without lines: what is read as a 1, begins at the upper or lower edge of the
    picture, and is much higher than all others, if these are not tiny."""
    _, y, _, h = np.array([candidate.box for candidate in chosen]).T
    is_one = np.array([candidate.digit == 1 for candidate in chosen])
    from_edge = is_one & ((y <= 1) | (y + h >= len(page.labels) - 1))
    highest = h[~from_edge].max(initial=0)
    lines = from_edge & (LINE_HEIGHT * highest < h) & (0.35 * h < highest)
    return [candidate for candidate, line in zip(chosen, lines, strict=True) if not line]


def filter_frame(chosen: list[Candidate], page: InkMap) -> list[Candidate]:
    """The digits without remains of a frame along the left or the right side of the picture: what
    is read as a 1 there, and is low or cut by the upper or lower edge, while others are not."""
    rows, columns = page.labels.shape
    x, y, w, h = np.array([candidate.box for candidate in chosen]).reshape(-1, 4).T
    is_one = np.array([candidate.digit == 1 for candidate in chosen], bool)
    margin = NEAR_SIDE * columns
    along = is_one & ((x + w <= margin) | (x >= columns - margin))
    cut = (y <= 1) | (y + h >= rows - 1)
    typical = float(np.median(h[~along & ~cut])) if (~along & ~cut).any() else 0.0
    frame = along & (typical > 0) & (cut | (h < LOW * typical))
    return [candidate for candidate, remains in zip(chosen, frame, strict=True) if not remains]
