"""From components to candidates: every way in which the pieces of ink may form one digit."""

from dataclasses import dataclass, field
from itertools import permutations

import numpy as np

from digits.photos.components import Component, InkMap, weighted_median
from digits.types import Array, Box

MAX_MERGES = 400
MAX_CANDIDATES = 1500
MAX_DENSITY = 800
"""Candidates for a megapixel ..."""

MIN_MEGAPIXELS = 0.4
"""... as which a smaller picture counts: a few digits need candidates, too."""

MAX_AREA = 40
"""Of the boxes of all candidates together, in areas of the picture."""

# What is more or less likely than a network that sees one normalized digit can know, as
# log-probabilities:
LOG_PRIOR_OVERLAPPING = float(np.log(5))  # that components in one place are one digit
LOG_PRIOR_SEPARATE = float(np.log(0.5))  # that components of one size in two places are one digit
LOG_PRIOR_SPLIT = float(np.log(0.7))  # that a digit ends at a cut
LOG_PRIOR_NEAR = float(np.log(3.3))  # that components far closer than others are are one digit

CLEAR_GAP = 0.3
"""Of a height: in rows with narrower gaps these say little of what belongs together."""


@dataclass(eq=False)
class Candidate:
    """Pieces of ink that may be one digit, and what the network makes of them."""

    pieces: tuple[int, ...]
    box: Box
    log_prior: float  # that they are one digit, by their positions alone
    darkness: float
    cuts: int = 0  # at how many of its sides it was cut from other ink
    image: Array = field(default_factory=lambda: np.zeros((28, 28), np.float32))
    p: Array = field(default_factory=lambda: np.eye(11)[10])  # of the ten digits, and of none

    @property
    def digit(self) -> int:
        """The most probable one."""
        return int(self.p[:10].argmax())

    @property
    def confidence(self) -> float:
        """The probability of that."""
        return float(self.p[:10].max())


def propose(page: InkMap) -> list[Candidate]:
    """What may be a digit: every component; runs of the pieces of a component that may be digits
    which touch; two or three components beside each other, such as a 5 and its bar.

    Where they are too many, or too large all together, those of many pieces are left out.
    """
    candidates = []
    for component in page.components:
        pieces = component.pieces
        for first in range(len(pieces)):
            for last in range(first, len(pieces)):
                run = pieces[first : last + 1]
                cuts = (first > 0) + (last < len(pieces) - 1)
                box = page.box(run) if cuts else component.box
                if cuts and box.width > 1.5 * component.box.height:
                    continue  # wider than any digit
                prior = cuts * LOG_PRIOR_SPLIT
                candidates.append(Candidate(run, box, prior, component.darkness, cuts))
    boxes = [component.box for component in page.components]
    typical_gap = _typical_gap(boxes)
    for group in _neighbors(boxes):
        members = [page.components[index] for index in group]
        pairs = [(a.box, b.box) for a, b in permutations(members, 2)]
        if any(encircles(a, b) or _is_point(a, b) for a, b in pairs):
            continue
        pieces = tuple(sorted(piece for member in members for piece in member.pieces))
        box = members[0].box.union(*(member.box for member in members[1:]))
        darkness = max(member.darkness for member in members)
        prior = _merge_prior(members[0], members[1], typical_gap)
        candidates.append(Candidate(pieces, box, prior, darkness))
    whole = {component.pieces for component in page.components}
    candidates.sort(key=lambda candidate: (candidate.pieces not in whole, len(candidate.pieces)))
    areas = np.cumsum([candidate.box.area for candidate in candidates])
    few = int(np.searchsorted(areas, MAX_AREA * page.labels.size, side="right"))
    megapixels = max(MIN_MEGAPIXELS, page.labels.size / 1e6)
    return candidates[: min(few, MAX_CANDIDATES, int(MAX_DENSITY * megapixels))]


def encircles(ring: Box, box: Box) -> bool:
    """Whether a box is in the middle of what may be a ring around it, neither as small as a dot in
    a 0 nor as high as a slash through it."""
    across = box.x + box.width / 2 - (ring.x + ring.width / 2)
    down = box.y + box.height / 2 - (ring.y + ring.height / 2)
    in_the_middle = 4 * abs(across) < ring.width and 4 * abs(down) < ring.height
    return in_the_middle and 0.3 * ring.height < box.height < 0.7 * ring.height


def _is_point(digit: Box, box: Box) -> bool:
    """Whether a box may be a point, a comma or half a colon beside a digit: small, not flat as the
    bar of a 5 is, nor as high as that."""
    across, _ = digit.overlap(box)
    small = 2 * box.height < digit.height and box.width < 1.5 * box.height
    return small and digit.level_of(box) > 0.2 and 2 * across < box.width


def _typical_gap(boxes: list[Box]) -> float:
    """Between neighbors of one size in a row, in heights; 0 where there are too few to tell."""
    if len(boxes) < 2:
        return 0.0
    x, y, w, h = np.array(boxes, float).T
    gap = x - (x + w)[:, None]  # [i, j]: from i to j on its right
    low, high = np.minimum(h[:, None], h), np.maximum(h[:, None], h)
    shared = np.minimum((y + h)[:, None], y + h) - np.maximum(y[:, None], y)
    beside = (x > x[:, None]) & (2 * shared > low) & (3 * low > 2 * high) & (gap < 3 * high)
    nearest = np.where(beside, gap / high, np.inf).min(axis=1)
    nearest = nearest[np.isfinite(nearest) & (2 * h > weighted_median(h, h))]
    return max(0.0, float(np.median(nearest))) if len(nearest) > 3 else 0.0


def _merge_prior(one: Component, other: Component, typical_gap: float) -> float:
    """How likely two components are one digit by their positions alone: two of one size rarely are,
    unless their boxes share half of a width and a quarter of a height, which neighbors in a row and
    in a column do not; in a row with clear gaps, by how much they are closer than its digits."""
    across, down = one.box.overlap(other.box)
    narrow, low = min(one.box.width, other.box.width), min(one.box.height, other.box.height)
    if 2 * across > narrow and 4 * down > low:
        return LOG_PRIOR_OVERLAPPING
    areas = one.box.area, other.box.area
    prior = LOG_PRIOR_SEPARATE if min(areas) > 0.6 * max(areas) else 0.0
    if 2 * down > low:  # side by side
        gap = -across / max(one.box.height, other.box.height)
        nearer = min(1.0, max(-1.0, (typical_gap / 2 - gap) / CLEAR_GAP))
        prior += LOG_PRIOR_NEAR * nearer * min(1.0, typical_gap / CLEAR_GAP)
    return prior


def _neighbors(boxes: list[Box]) -> list[tuple[int, ...]]:
    """Pairs and triples of boxes that are close enough to be one digit: a gap of less than three
    tenths of the larger one, the smaller at least an eighth of the larger, together no wider than
    one and a half times their height."""
    if len(boxes) < 2:
        return []
    x, y, w, h = np.array(boxes).T
    longest = np.maximum(w, h)
    gap = np.maximum(
        np.maximum(x[:, None], x) - np.minimum(x[:, None] + w[:, None], x + w),
        np.maximum(y[:, None], y) - np.minimum(y[:, None] + h[:, None], y + h),
    )
    larger, smaller = np.maximum(longest[:, None], longest), np.minimum(longest[:, None], longest)
    near = (gap < 0.3 * larger) & (8 * smaller > larger)
    wide = np.maximum(x[:, None] + w[:, None], x + w) - np.minimum(x[:, None], x)
    tall = np.maximum(y[:, None] + h[:, None], y + h) - np.minimum(y[:, None], y)
    near &= (wide < 1.5 * tall) & (np.maximum(wide, tall) < 2 * larger)
    groups = [(int(a), int(b)) for a, b in np.argwhere(np.triu(near, 1))][:MAX_MERGES]
    triples: set[tuple[int, ...]] = set()
    for a, b in groups:
        if len(groups) + len(triples) >= MAX_MERGES:
            break
        both = np.flatnonzero(near[a] | near[b])
        triples |= {tuple(sorted((a, b, int(c)))) for c in both if c not in (a, b)}
    return [*groups, *sorted(triples)][:MAX_MERGES]
