"""Digits as the ink of a photograph shows them when not all went well: with the remains of a line
or of a neighbor, with a gap where a line was taken out, or from a picture too small to be sharp.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from digits.data.non_digits import cropped, prepared
from digits.types import Array

MARGIN = 12  # pixels of paper around a digit, room for what is added


def damage(x: Array, t: Array, rng: np.random.Generator) -> NDArray[np.float32]:
    """Digits (m, 784) in [0, 1] of classes `t` (m,), each with a flaw that leaves it readable,
    prepared as candidates for digits are."""
    inks = []
    for image, digit in zip(x, t, strict=True):
        paper = np.pad(cropped(image).astype(np.float32), MARGIN)
        kind = rng.choice(["line", "gap", "neighbor"], p=[0.5, 0.25, 0.25])
        if kind == "line":
            _add_line(paper, int(digit), rng)
        elif kind == "gap":
            height, width = paper.shape
            level, thick = rng.random() < 0.6, int(rng.integers(1, 3))
            at = int(rng.uniform(0.3, 0.7) * (height if level else width))
            (paper if level else paper.T)[at : at + thick] = 0
        else:
            _add_neighbor(paper, cropped(x[rng.integers(len(x))]), rng)
        inks.append(paper)
    return prepared(inks)


def shrink(x: Array, rng: np.random.Generator) -> NDArray[np.float32]:
    """Images (m, 784) of anything, as they come out of a picture in which they are 9 to 15 pixels
    high, out of focus and compressed."""
    inks = []
    for image in x:
        paper = np.pad(cropped(image).astype(np.float32), 4)
        scale = rng.uniform(9, 15) / (max(paper.shape) - 8)
        size = tuple(max(3, round(side * scale)) for side in paper.shape[::-1])
        small = cv2.resize(paper, size, interpolation=cv2.INTER_AREA)
        small = cv2.GaussianBlur(small, (0, 0), rng.uniform(0.2, 0.6))
        gray = 210 - rng.uniform(90, 170) * small + rng.normal(0, 3, small.shape)
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 80))]
        coded = cv2.imencode(".jpg", gray.clip(0, 255).astype(np.uint8), quality)[1]
        seen = np.asarray(cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE))
        large = 255 - cv2.resize(seen, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
        ink = large - float(np.median(large[:4]))
        inks.append((ink / max(float(ink.max()), 1)) * (ink > 0.4 * ink.max()))
    return prepared(inks)


def _add_line(paper: Array, digit: int, rng: np.random.Generator) -> None:
    """A line along one side, longer than it, or a short end of one; none makes another digit."""
    height, width = (side - 2 * MARGIN for side in paper.shape)
    sides = {0: ("top", "bottom"), 1: ("bottom",), 7: ("left",)}
    side = rng.choice(sides.get(digit, ("top", "bottom", "left", "right")))
    along, across = (width, height) if side in ("top", "bottom") else (height, width)
    whole = rng.random() < 0.6
    length = along * rng.uniform(1.1, 1.8) if whole else max(3.0, along * rng.uniform(0.1, 0.3))
    start = rng.uniform(-0.3, 1.0) * along if not whole else (along - length) * rng.random()
    begin, end = MARGIN + start, MARGIN + start + length
    level = MARGIN + rng.uniform(-1, 1) + (across if side in ("bottom", "right") else 0)
    slope = rng.uniform(-0.05, 0.05) * length
    points: Array = np.array([[begin, level], [end, level + slope]])
    if side in ("left", "right"):
        points = points[:, ::-1]
    one, other = ((int(x), int(y)) for x, y in np.round(16 * points))
    line = np.zeros(paper.shape, np.uint8)
    cv2.line(line, one, other, 255, int(rng.integers(1, 3)), cv2.LINE_AA, 4)
    np.maximum(paper, line * np.float32(rng.uniform(0.5, 1) / 255), out=paper)


def _add_neighbor(paper: Array, other: Array, rng: np.random.Generator) -> None:
    """The edge of another digit, touching at the left or the right."""
    width = paper.shape[1] - 2 * MARGIN
    kept = max(1, round(other.shape[1] * rng.uniform(0.08, 0.2)))
    right = rng.random() < 0.5
    edge = other[:, :kept] if right else other[:, -kept:]
    left = MARGIN + width if right else MARGIN - kept
    top = max(0, MARGIN + int(rng.integers(-3, 4)))
    edge = edge[: len(paper) - top]
    beside = paper[top : top + len(edge), left : left + kept]
    np.maximum(beside, edge[:, : beside.shape[1]], out=beside)
