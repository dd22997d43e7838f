"""From ink to connected components: what belongs together, cut where digits may touch; and one of
them, prepared the way the makers of MNIST prepared their digits.
"""

from dataclasses import dataclass, field

import cv2
import numpy as np

from digits.photos.ink import stroke_width
from digits.photos.light import odd
from digits.types import Array, Box

MAX_COMPONENTS = 300
MAX_AREA = 10
"""Of the boxes of all components together, in areas of the picture: rings around rings."""

SLANTS = (-0.3, -0.15, 0.0, 0.15, 0.3, 0.45, 0.6)
"""By how much of a row's distance it is moved to the right before digits are cut apart."""

MAX_PIECES = 12
"""Of one component: a row of more touching digits is no longer cut everywhere."""


@dataclass
class Component:
    """Connected ink: its box, the pieces it may be cut into, from left to right, and how dark it is
    on average, in [0, 255]."""

    box: Box
    pieces: tuple[int, ...]
    darkness: float


@dataclass
class InkMap:
    """Which piece of ink each pixel of the working picture belongs to."""

    labels: Array  # int32 (height, width): the number of a piece, 0 for paper
    density: Array  # float32 (height, width) in [0, 1]
    components: list[Component]  # the longest first
    skipped: list[Box]  # of components that are too many, too large all together, or too thick
    boxes: dict[int, Box] = field(default_factory=dict)  # of each piece

    def box(self, pieces: tuple[int, ...]) -> Box:
        """The box around some pieces."""
        first, *others = (self.boxes[piece] for piece in pieces)
        return first.union(*others)

    def ink(self, pieces: tuple[int, ...]) -> Array:
        """The ink of some pieces in their box: its density, float32 in [0, 1]."""
        here = self.box(pieces).slices
        labels = self.labels[here]
        own = labels == pieces[0]
        for piece in pieces[1:]:
            own |= labels == piece
        return np.where(own, self.density[here], np.float32(0))


def find_components(ink: Array, density: Array, flat: Array) -> InkMap:
    """The connected components of the ink, without what no pen wrote, each cut into pieces.

    Left out are specks (shorter than 6 pixels or a 160th of the picture), blobs (thicker than three
    fifths of their length and than the pen, such as the corner of a dark table), lines around other
    ink, and what runs along the edge of the picture for more than half of its length.

    Parameters
    ----------
    ink : bool (height, width).
    density : float32 (height, width) in [0, 1], how much ink there is.
    flat : uint8 (height, width), the evenly lit picture.
    """
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(ink.astype(np.uint8), connectivity=8)
    area, longest = boxes[:, 4], boxes[:, 2:4].max(axis=1)
    marked = np.flatnonzero(labels)
    owner: Array = labels.ravel()[marked]
    depth = cv2.distanceTransform(np.pad(ink.astype(np.uint8), 1), cv2.DIST_L2, 3)[1:-1, 1:-1]
    deepest: Array = np.zeros(count)
    np.maximum.at(deepest, owner, depth.ravel()[marked])
    shade = np.bincount(owner, flat.ravel()[marked], count)
    edges = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    along_edge = np.bincount(edges, minlength=count)
    good = longest >= max(6, max(ink.shape) / 160)
    good &= 2 * along_edge <= longest
    good[0] = False  # the paper
    slender = good & (2 * deepest <= 0.6 * longest)
    pen = 2 * weighted_median(deepest[slender], longest[slender]) if slender.any() else 0.0
    good &= slender | (2 * deepest <= 1.6 * pen)  # the other strokes, and points
    good[good] = ~_surrounds(boxes[good])
    blobs = np.flatnonzero(~good[1:] & (longest[1:] >= max(ink.shape) / 20))[:MAX_COMPONENTS] + 1
    order = np.argsort(-longest, kind="stable")
    order = order[good[order]]
    total = np.cumsum(boxes[order, 2].astype(float) * boxes[order, 3])
    most = min(MAX_COMPONENTS, int(np.searchsorted(total, MAX_AREA * ink.size)))
    kept, left_out = order[:most], [*order[most:], *blobs]
    skipped = [Box(*map(int, boxes[label, :4])) for label in left_out]
    is_kept = np.zeros(count, bool)
    is_kept[kept] = True
    page = InkMap(np.where(is_kept[labels], labels, 0), density, [], skipped)
    unused = count
    for label in kept:
        box = Box(*map(int, boxes[label, :4]))
        pieces = split_touching(page, int(label), box, unused)
        unused += len(pieces)
        darkness = 255 - float(shade[label] / area[label])
        page.components.append(Component(box, tuple(pieces), darkness))
        page.boxes |= pieces
    return page


def weighted_median(values: Array, weights: Array) -> float:
    """The value with half of the weight on either side."""
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(total, total[-1] / 2)])


def _surrounds(boxes: Array) -> Array:
    """Whether a component lies around two others that are not much smaller, as lines of a form do:
    its box holds theirs."""
    x, y, w, h = (side.astype(np.int64) for side in boxes[:, :4].T)
    tall = 5 * h > h.max(initial=0) / 4  # specks surround nothing, and are nobody's contents
    if not 3 <= tall.sum() <= MAX_COMPONENTS:
        return np.zeros(len(boxes), bool)
    left, top, right, bottom, high = (side[tall] for side in (x, y, x + w, y + h, h))
    holds = (left[:, None] < left) & (right[:, None] > right)
    holds &= (top[:, None] < top) & (bottom[:, None] > bottom) & (5 * high > high[:, None])
    surrounds = np.zeros(len(boxes), bool)
    surrounds[tall] = holds.sum(axis=1) >= 2
    return surrounds


def split_touching(page: InkMap, label: int, box: Box, unused: int) -> dict[int, Box]:
    """Cut a component that may be touching digits where its ink is thinnest, along its slant.

    The slant is the one along which ink and paper differ most from column to column (Vinciarelli
    and Luettin 2001). Cuts go through the columns with the least ink around them, never through
    more than half of the height; pieces are at least a sixth of the height wide, and there are no
    more than three for the width of a digit. A line that only joins two digits is a piece itself.

    Returns the boxes of the pieces from left to right, by their numbers in `page.labels`: `unused`
    and the following; or the component's own label where nothing suggests a cut.
    """
    width, height = box.width, box.height
    if width < 0.7 * height:
        return {label: box}
    own = page.labels[box.slices] == label
    rows, columns = np.nonzero(own)
    density = page.density[box.slices][own]
    profiles = []
    for slope in SLANTS:
        place = np.rint(columns + slope * (rows - height / 2)).astype(int)
        place -= place.min()
        profiles.append((np.bincount(place, density), place))
    column, place = max(profiles, key=lambda profile: float(np.square(profile[0]).sum()))
    pen = stroke_width(own)
    smooth = cv2.blur(column[None], (odd(pen / 2), 1))[0]
    edges = _cuts(smooth, pen, height)
    if len(edges) == 2:
        return {label: box}
    edges.sort()
    _, piece = np.unique(np.searchsorted(edges[1:-1], place, side="right"), return_inverse=True)
    piece += unused
    pieces = {}
    for number in range(unused, int(piece.max()) + 1):
        y, x = rows[piece == number], columns[piece == number]
        left, top = int(x.min()), int(y.min())
        size = int(x.max()) + 1 - left, int(y.max()) + 1 - top
        pieces[number] = Box(box.x + left, box.y + top, *size)
    page.labels[box.slices][own] = piece
    return pieces


def _cuts(column: Array, pen: float, height: int) -> list[int]:
    """Where to cut, with both ends, from the ink of each column."""
    width = len(column)
    narrowest, most = max(3.0, height / 6), min(MAX_PIECES, round(3 * width / height))
    reach = round(narrowest / 2)
    edges = [0, width]
    for x in np.argsort(column, kind="stable"):
        if column[x] > height / 2 or len(edges) >= most + 2:
            break
        around = column[max(0, x - reach) : x + reach + 1]
        if column[x] <= around.min() and all(abs(x - edge) >= narrowest for edge in edges):
            thick = np.flatnonzero(column > max(1.5 * column[x], pen))
            left = int(thick[thick < x].max(initial=0)) + 1
            right = int(thick[thick > x].min(initial=width - 1))
            joins = pen < right - left < height and left > narrowest and width - right > narrowest
            cuts = [left, right] if joins else [int(x)]
            edges += [edge for edge in cuts if edge not in edges]  # a line is found again and again
    return edges


def normalize_digit(ink: Array) -> Array:
    """One digit as MNIST shows its digits: float32 (28, 28) in [0, 1], ink 1 on paper 0.

    The recipe of MNIST's makers (LeCun et al. 1998, section III.A, in the details of their code as
    published with QMNIST by Yadav and Bottou 2019): the box around the ink, made square by paper on
    its short side, is averaged down to 20 x 20; the darkest pixel becomes 1; whole pixels of shift
    bring the center of mass to pixel 14, 14 of 28 x 28, as far as the frame allows.

    A thin pen is thickened first, to a tenth of the box: MNIST's pens were 2 to 3 of the 20 pixels
    wide, and a hair line would fade to gray when it is averaged.
    """
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    image = np.zeros((28, 28), np.float32)
    if not len(rows):
        return image
    ink = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.float32)
    scale = 80 / max(ink.shape)  # four times the final size: enough to measure the pen
    size = tuple(max(1, round(side * scale)) for side in ink.shape[::-1])
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    ink = cv2.resize(ink, size, interpolation=how)
    ink = cv2.copyMakeBorder(ink, 8, 8, 8, 8, cv2.BORDER_CONSTANT)  # room for a thicker pen
    missing = round(8 - stroke_width(ink > 0.5))
    if missing > 0:
        pen = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (missing + 1, missing + 1))
        ink = cv2.dilate(ink, pen)
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    ink = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    height, width = ink.shape
    side = max(height, width)
    square = np.zeros((side, side), np.float32)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = ink
    small = cv2.resize(square, (20, 20), interpolation=cv2.INTER_AREA)
    small = small / small.max()
    along = np.arange(20)
    y = round(14 - float(small.sum(axis=1) @ along / small.sum()))
    x = round(14 - float(small.sum(axis=0) @ along / small.sum()))
    y, x = min(max(y, 0), 8), min(max(x, 0), 8)
    image[y : y + 20, x : x + 20] = small
    return image
