"""From ink to connected components: what belongs together, cut where digits may touch; and one of
them, prepared the way the makers of MNIST prepared their digits.
"""

from dataclasses import dataclass, field
from itertools import pairwise

import cv2
import numpy as np

from digits.photos.ink import stroke_width
from digits.types import Array, Box

MAX_COMPONENTS = 300
MAX_AREA = 10
"""Of the boxes of all components together, in areas of the picture: rings around rings."""

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

    Left out are specks (shorter than 6 pixels or a 160th of the picture), blobs (thicker than two
    fifths of their length, such as the corner of a dark table), and what runs along the edge of the
    picture for more than half of its length.

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
    good &= 2 * deepest <= np.maximum(0.4 * longest, 4)
    good[0] = False  # the paper
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


def split_touching(page: InkMap, label: int, box: Box, unused: int) -> dict[int, Box]:
    """Cut a component that may be touching digits from top to bottom where its ink is thinnest.

    Cuts go through the columns with the least ink around them, never through more than half of the
    height; pieces are at least a sixth of the height wide, and there are no more than three for the
    width of a digit.

    Returns the boxes of the pieces from left to right, by their numbers in `page.labels`: `unused`
    and the following; or the component's own label where nothing suggests a cut.
    """
    width, height = box.width, box.height
    if width < 0.7 * height:
        return {label: box}
    here = box.slices
    own = page.labels[here] == label
    ink = np.where(own, page.density[here], np.float32(0))
    pen = stroke_width(ink > 0)
    column = cv2.blur(ink.sum(axis=0, keepdims=True), (max(3, int(pen / 2) // 2 * 2 + 1), 1))[0]
    narrowest, most = max(3.0, height / 6), min(MAX_PIECES, round(3 * width / height))
    reach = round(narrowest / 2)
    edges = [0, width]
    for x in np.argsort(column, kind="stable"):
        if column[x] > height / 2 or len(edges) == most + 2:
            break
        around = column[max(0, x - reach) : x + reach + 1]
        if column[x] <= around.min() and all(abs(x - edge) >= narrowest for edge in edges):
            edges.append(int(x))
    if len(edges) == 2:
        return {label: box}
    edges.sort()
    pieces = {}
    for number, (left, right) in enumerate(pairwise(edges), unused):
        part = own[:, left:right]
        rows = np.flatnonzero(part.any(axis=1))
        top, bottom = (int(rows[0]), int(rows[-1]) + 1) if len(rows) else (0, height)
        pieces[number] = Box(box.x + left, box.y + top, right - left, bottom - top)
        page.labels[here][:, left:right][part] = number
    return pieces


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
    ink = np.pad(cv2.resize(ink, size, interpolation=how), 8)
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
