"""Images of things that are no digit: parts of digits, touching digits, letters, scribbles, lines,
blots. A network that has only seen digits calls everything a digit; one that reads photographs
learns from these images, as an eleventh class, to say that something is none.

They are cut from the images of digits that it is given, or drawn by a pen of its own, and prepared
as the digits in a photograph are.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from digits.data import glyphs
from digits.data.synthetic_digits import strokes
from digits.photos.components import normalize_digit
from digits.types import Array
from digits.validation import check

Path = NDArray[np.float64]  # (m, 2): points x, y that the pen passes, y downward

# The digits of which one side alone is no digit: the right of a 7 is a 1, that of an 8 is a 3.
SIDES = {
    "left": (0, 2, 3, 4, 5, 7, 8, 9),
    "right": (0, 2, 5, 6),
    "upper": (0, 2, 3, 5),
    "lower": (0, 2, 3, 5),
}

SIZE = 80  # long side, in pixels, of what the pen draws before it is made small

# The fraction of each kind in what `generate` makes.
FRACTIONS = {
    "part": 0.26,
    "pair": 0.18,
    "letter": 0.26,
    "scribble": 0.14,
    "line": 0.09,
    "blot": 0.07,
}


def generate(n: int, x: Array, t: Array, rng: np.random.Generator) -> NDArray[np.float32]:
    """Make `n` images of things that are no digit: float32 (n, 784) in [0, 1], one kind after
    another, prepared by `normalize_digit`.

    x, t: digits to cut and to join, floats (m, 784) in [0, 1] with ink 1 on paper 0, and their
    class indices (m,). Raises ValueError if `n` is negative.
    """
    check(n >= 0, "n of at least 0 images", n)
    counts = dict(zip(FRACTIONS, rng.multinomial(n, list(FRACTIONS.values())), strict=True))
    inks = parts(counts["part"], x, t, rng) + pairs(counts["pair"], x, t, rng)
    for name, draw in (("letter", letter), ("scribble", scribble), ("line", line), ("blot", blot)):
        inks += [draw(rng) for _ in range(counts[name])]
    # More letters in place of what could not be cut, as there were no digits for it.
    inks += [letter(rng) for _ in range(n - len(inks))]
    return prepared(inks)


def generate_digits(
    n: int, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Write `n` digits with the pen that writes the letters: images (n, 784) and labels (n,).

    Without them a network would learn to tell the pens apart, instead of digits from letters.
    """
    check(n >= 0, "n of at least 0 images", n)
    labels = rng.integers(0, 10, n)
    inks = []
    for digit in labels:
        habits = glyphs.habits()[int(digit)]
        if rng.random() < min(0.6, 0.12 * len(habits)):
            inks.append(_ink(_written(habits[rng.integers(len(habits))], rng, 0.6), rng))
        else:
            inks.append(_ink([path for path, _ in strokes(int(digit), rng)], rng))
    return prepared(inks), labels


def prepared(inks: list[Array]) -> NDArray[np.float32]:
    """Ink of any size -> (n, 784), as the reader of photographs shows it to the network."""
    images = [normalize_digit(ink).ravel() for ink in inks]
    return np.array(images, np.float32).reshape(-1, 784)


# --- cut from digits ------------------------------------------------------------------------------


def parts(n: int, x: Array, t: Array, rng: np.random.Generator) -> list[Array]:
    """One side of a digit, of 30 to 55 percent of its width or height; up to `n` of them, as some
    sides need a digit that is not there.
    """
    with_side = {side: np.flatnonzero(np.isin(t, digits)) for side, digits in SIDES.items()}
    found = []
    for side in rng.choice(list(SIDES), n, p=[0.4, 0.4, 0.1, 0.1]):
        if len(with_side[side]):
            digit = cropped(x[rng.choice(with_side[side])])
            across = digit.T if side in ("left", "right") else digit  # the side is its first rows
            kept = max(1, round(len(across) * rng.uniform(0.3, 0.55)))
            part = across[:kept] if side in ("left", "upper") else across[-kept:]
            found.append(part.T if side in ("left", "right") else part)
    return found


def pairs(n: int, x: Array, t: Array, rng: np.random.Generator) -> list[Array]:
    """Two digits that touch or nearly do, or a digit with a part of its neighbor; `n` of them, if
    there are digits.
    """
    # A 1 beside a digit soon looks like another digit: fewer of them.
    candidates = np.flatnonzero((t != 1) | (rng.random(len(t)) < 0.3))
    found = []
    for first, second in rng.choice(candidates, (n if len(candidates) else 0, 2)):
        left, right = cropped(x[first]), cropped(x[second])
        if rng.random() < 0.3:
            right = right[:, : max(1, round(right.shape[1] * rng.uniform(0.35, 0.8)))]
        start = max(0, left.shape[1] + int(rng.integers(-3, 2)))
        both = np.zeros((36, start + max(right.shape[1], left.shape[1])), np.float32)
        both[4 : 4 + len(left), : left.shape[1]] = left
        top = 4 + int(rng.integers(-4, 5)) + (len(left) - len(right)) // 2
        top = min(max(top, 0), len(both) - len(right))
        beside = both[top : top + len(right), start : start + right.shape[1]]
        np.maximum(beside, right, out=beside)
        found.append(both)
    return found


def cropped(image: Array) -> Array:
    """An image (784,) without the empty paper around its ink."""
    image = image.reshape(28, 28)
    if not image.any():
        return image
    rows, columns = np.flatnonzero(image.any(axis=1)), np.flatnonzero(image.any(axis=0))
    return image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


# --- drawn with a pen -----------------------------------------------------------------------------


def letter(rng: np.random.Generator) -> Array:
    """A letter or another sign, in a hand of its own."""
    drawings = list(glyphs.letters().values())
    return _ink(_written(drawings[rng.integers(len(drawings))], rng), rng)


def _written(
    strokes: list[glyphs.Stroke], rng: np.random.Generator, freedom: float = 1.0
) -> list[Path]:
    """What a pen makes of a template: jittered, slanted, stretched and turned."""
    polygons = []
    for points, corners in strokes:
        met = np.repeat(points, np.add(corners, 1), axis=0)  # a point met twice is a corner
        polygons.append(met + rng.normal(0, 0.03, met.shape))
    wide, tall = np.exp(rng.normal(0, 0.2 * freedom, 2))
    hand = np.array([[wide, 0], [freedom * rng.uniform(-0.3, 0.3), tall]])  # an upright pen slants
    turn = freedom * rng.uniform(-0.2, 0.2)
    return [_turned(_rounded(points) @ hand, turn) for points in polygons]


def scribble(rng: np.random.Generator) -> Array:
    """A pen that wanders between 4 to 9 points, in curves or straight."""
    points = rng.random((rng.integers(4, 10), 2))
    return _ink([_rounded(points) if rng.random() < 0.7 else points], rng)


def line(rng: np.random.Generator) -> Array:
    """A piece of a line: a dash, a corner, a piece of a grid, or a cross."""
    kind = rng.choice(["dash", "corner", "grid", "cross"], p=[0.5, 0.2, 0.15, 0.15])
    if kind == "dash":  # more level than upright, or it were a 1
        middle, end = _direction(np.pi / 2) * rng.normal(0, 0.1), _direction(0)
        return _ink([_turned(_rounded(np.array([-end, middle, end])), rng.uniform(-0.6, 0.6))], rng)
    if kind == "corner":  # one that points up and to the right were a 7
        points_to = -np.pi / 4 + rng.uniform(0.8, 2 * np.pi - 0.8)
        half_open = rng.uniform(0.6, 1.0)
        arms = (_direction(points_to + np.pi + turn) for turn in (-half_open, half_open))
        one, other = (arm * rng.uniform(0.5, 1) for arm in arms)
        return _ink([np.array([one, [0, 0], other])], rng)
    if kind == "cross":
        first = rng.uniform(0, np.pi)
        arms = (_direction(angle) for angle in (first, first + rng.uniform(0.5, np.pi / 2)))
        return _ink([np.array([-arm, arm]) for arm in arms], rng)
    gap = rng.uniform(0.3, 0.6)
    lines = [np.array([[0, y], [1, y + rng.uniform(-0.06, 0.06)]]) for y in (0, gap)]
    if rng.random() < 0.6:
        x = rng.uniform(0.2, 0.8)
        lines.append(np.array([[x, -0.3], [x + rng.uniform(-0.06, 0.06), gap + 0.3]]))
    return _ink(lines, rng)


def blot(rng: np.random.Generator) -> Array:
    """Ink without a stroke: a filled spot, what is left of a shadow, a few specks, or nothing."""
    kind = rng.choice(["spot", "shadow", "specks"], p=[0.5, 0.3, 0.2])
    if kind == "shadow":
        cloud: Array = rng.standard_normal((SIZE, SIZE), dtype=np.float32)
        cloud = cv2.GaussianBlur(cloud, (0, 0), rng.uniform(3, 10))
        return cloud * (cloud > cloud.std() * rng.uniform(0.5, 1.5))
    ink = np.zeros((SIZE, SIZE), np.float32)
    if kind == "spot":
        corners = int(rng.integers(5, 10))
        around = _direction(2 * np.pi * np.arange(corners) / corners)
        around *= rng.uniform(0.5, 1, (corners, 1)) * np.exp(rng.normal(0, 0.2, 2))
        outline = _rounded(np.concatenate([around, around[:2]]))  # beyond its beginning: no corner
        outline = SIZE * (outline - outline.min(axis=0)) / np.ptp(outline, axis=0).max()
        cv2.fillPoly(ink, [np.round(outline * 16).astype(np.int32)], 1.0, cv2.LINE_8, 4)
        return ink
    for x, y in rng.integers(8, SIZE - 8, (rng.integers(0, 7), 2)):
        cv2.circle(ink, (int(x), int(y)), int(rng.integers(1, 7)), 1.0, -1)
    return ink


def _direction(angle: Any) -> Array:
    """Where an angle, clockwise from the right, points to: a point at distance 1, or several."""
    return np.stack([np.cos(angle), np.sin(angle)], axis=-1)


def _turned(points: Path, angle: float) -> Path:
    """The points, turned clockwise about (0, 0)."""
    return points @ np.array([_direction(angle), _direction(angle + np.pi / 2)])


def _rounded(points: Path) -> Path:
    """A smooth curve from the first point to the last, drawn toward those between.

    Every corner is cut off at a quarter of its sides, four times over (Chaikin 1974).
    """
    for _ in range(4):
        a, b = points[:-1], points[1:]
        cut = np.stack([0.75 * a + 0.25 * b, 0.25 * a + 0.75 * b], axis=1).reshape(-1, 2)
        points = np.concatenate([points[:1], cut, points[-1:]])
    return points


def _ink(paths: list[Path], rng: np.random.Generator) -> Array:
    """Ink in [0, 1] along the paths, SIZE pixels long, of a pen of random width."""
    points = np.concatenate(paths)
    corner, extent = points.min(axis=0), max(float(np.ptp(points, axis=0).max()), 1e-6)
    width = max(1, round(SIZE * np.exp(rng.uniform(np.log(0.06), np.log(0.22)))))
    ink = np.zeros((SIZE + 2 * width, SIZE + 2 * width), np.uint8)
    for path in paths:
        pixels = (path - corner) * (SIZE / extent) + width
        cv2.polylines(
            ink, [np.round(pixels * 16).astype(np.int32)], False, 255, width, cv2.LINE_AA, 4
        )
    return ink.astype(np.float32) / 255
