"""Things that are no digit: parts of digits, digits that touch, letters, scribbles, lines, blots.

A network that has only ever seen digits calls everything a digit.  Whatever reads photographs
meets more than digits there, and learns from these pictures, as an eleventh answer, to say so.
They are cut from the images of digits that it is given, or drawn by a pen of its own, and prepared
as the digits in a photograph are.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from digits.data.synthetic_digits import strokes
from digits.types import Array

Path = NDArray[np.float64]  # (m, 2): points x, y that the pen passes, y downwards

# Letters and signs that are no digit even in a careless hand (O, I, S, Z, b, g, l, q and their like
# are), in strokes as `synthetic_digits` writes them down: "x,y" in hundredths of the height, "!"
# marks a sharp corner, "|" lifts the pen.
LETTERS = {
    "A": "0,100 33,0! 66,100 | 12,62 55,62",
    "C": "62,14 34,-4 0,18 -4,60 12,98 44,104 66,84",
    "E": "56,0 0,0! 0,100! 58,100 | 0,49 46,49",
    "F": "60,0 0,0! 0,100 | 0,48 44,48",
    "G": "64,16 36,-4 0,20 -4,66 18,102 52,102 66,80 64,56! 38,56",
    "H": "0,0 0,100 | 62,0 62,100 | 0,50 62,50",
    "J": "24,0 60,0! 58,60 52,96 26,104 4,88",
    "K": "0,0 0,100 | 58,0 2,56! 60,100",
    "M": "0,100 6,0! 40,70! 74,0! 80,100",
    "N": "0,100 0,0! 60,100! 60,0",
    "P": "0,100 0,0! 40,0 62,14 56,46 30,56 0,54",
    "Q": "36,0 4,14 -6,56 14,98 50,100 74,66 66,16 36,0 | 42,70 82,110",
    "R": "0,100 0,0! 40,-2 62,14 54,44 0,52! 26,52! 64,100",
    "T": "0,0 70,0 | 35,0 35,100",
    "U": "0,0 -2,60 12,100 44,102 60,64 60,0",
    "V": "0,0 32,100! 64,0",
    "W": "0,0 20,100! 44,24! 68,100! 90,0",
    "X": "0,0 64,100 | 64,0 0,100",
    "Y": "0,0 32,48! 64,0 | 32,48 32,100",
    "a": "58,30 34,10 4,28 0,70 22,100 48,84 60,30! 58,84 66,102 80,92",
    "c": "54,28 30,10 2,34 4,82 32,102 58,84",
    "d": "56,44 30,34 2,54 4,92 32,102 56,70 60,-10! 58,84 68,102",
    "e": "4,56 52,50! 50,18 24,6 0,40 8,90 36,102 62,84",
    "f": "56,8 38,-6 24,20 22,104 | 0,42 48,40",
    "h": "0,-6 0,100! 4,56 26,36 46,46 48,100 58,98",
    "i": "0,36 0,100 | 0,6 1,10",
    "j": "20,34 20,110 6,128 -12,116 | 20,6 21,10",
    "k": "0,-4 0,100 | 42,34 2,66! 46,100",
    "m": "0,20 0,100! 4,40 22,18 36,34 36,100! 40,40 58,18 72,34 74,100",
    "n": "0,20 0,100! 6,44 30,16 52,34 54,100",
    "p": "0,20 0,130! 0,40 28,10 56,36 52,80 26,100 0,82",
    "r": "0,20 0,100! 4,52 20,22 44,20",
    "t": "20,-4 20,80 32,102 52,92 | -4,30 48,28",
    "u": "0,20 0,76 18,100 42,90 52,20! 52,100",
    "v": "0,20 26,100! 52,20",
    "w": "0,20 18,100! 38,44! 58,100! 76,20",
    "x": "0,22 52,100 | 52,22 0,100",
    "ll": "0,80 24,30 18,0 6,10 8,80 26,96 50,40 44,2 32,10 34,80 54,98",
    "mm": "0,70 14,30 26,60 28,100 38,50 52,30 58,100 68,50 82,32 90,100 104,84",
    "plus": "0,50 80,50 | 40,10 40,90",
    "equals": "0,30 70,30 | 0,66 70,66",
    "star": "40,0 40,80 | 4,18 76,62 | 76,18 4,62",
    "hash": "24,0 14,100 | 62,0 52,100 | -4,32 80,32 | -8,68 76,68",
    "question mark": "2,22 22,-2 54,6 54,34 28,54 28,76 | 28,96 29,100",
    "ampersand": "74,100 14,30 14,6 36,-4 46,18 6,62 4,92 32,104 68,58",
    "percent": "12,0 0,16 12,32 24,16 12,0 | 70,0 6,100 | 66,66 54,82 66,100 78,82 66,66",
    "less": "70,10 0,50! 70,90",
    "greater": "0,10 70,50! 0,90",
    "arrow": "0,50 90,50 | 62,24 90,50! 62,76",
    "tick": "0,60 24,96! 84,0",
    "brace": "36,-4 16,8 22,40 4,50! 22,60 16,94 36,104",
    "tilde": "0,60 20,36 44,58 68,70 90,40",
    "spiral": "44,50 52,38 34,36 30,62 60,72 76,36 44,10 4,40 16,92 70,96",
}

# Of which digits a side alone is no digit: the right of a 7 is a 1, that of an 8 is a 3.
SIDES = {
    "left": (0, 2, 3, 4, 5, 7, 8, 9),
    "right": (0, 2, 5, 6),
    "upper": (0, 2, 3, 5),
    "lower": (0, 2, 3, 5),
}

SIZE = 80  # long side, in pixels, of what the pen draws before it is made small

# How much of what `generate` makes is of each kind.
SHARES = {"part": 0.26, "pair": 0.18, "letter": 0.26, "scribble": 0.14, "line": 0.09, "blot": 0.07}


def generate(n: int, x: Array, t: Array, rng: np.random.Generator) -> NDArray[np.float32]:
    """Make `n` images of things that are no digit.

    Parameters
    ----------
    n : how many images; 0 is allowed.
    x : digits to cut and to join, floats (m, 784) in [0, 1], ink 1 on paper 0.
    t : what they are, class indices (m,).
    rng : the source of randomness.

    Returns float32 (n, 784) in [0, 1], all kinds of things in turn, prepared by
    `photos.components.normalize_digit`.  Raises ValueError if `n` is negative.
    """
    _check_number(n)
    counts = dict(zip(SHARES, rng.multinomial(n, list(SHARES.values())), strict=True))
    things = parts(counts["part"], x, t, rng) + pairs(counts["pair"], x, t, rng)
    for name, draw in (("letter", letter), ("scribble", scribble), ("line", line), ("blot", blot)):
        things += [draw(rng) for _ in range(counts[name])]
    # More letters in place of what could not be cut, as there were no digits for it.
    things += [letter(rng) for _ in range(n - len(things))]
    return prepared(things)


def generate_digits(
    n: int, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Write `n` digits with the pen that writes the letters: images (n, 784) and labels (n,).

    A network that saw this pen write letters only would learn to tell pens apart.
    """
    _check_number(n)
    labels = rng.integers(0, 10, n)
    things = [_ink([path for path, _ in strokes(int(digit), rng)], rng) for digit in labels]
    return prepared(things), labels


def _check_number(n: int) -> None:
    if n < 0:
        raise ValueError(f"expected n >= 0 images, received {n}; ask for 0 or more")


def prepared(things: list[Array]) -> NDArray[np.float32]:
    """Ink of any size -> (n, 784), as the reader of photographs shows it to the network."""
    from digits.photos.components import normalize_digit  # noqa: PLC0415  (OpenCV loads when it is needed)

    images = [normalize_digit(thing).ravel() for thing in things]
    return np.array(images, np.float32).reshape(-1, 784)


# --- cut from digits ------------------------------------------------------------------------------


def parts(n: int, x: Array, t: Array, rng: np.random.Generator) -> list[Array]:
    """One side of a digit, of 30 to 55 percent of its width or height; up to `n` of them, as some
    sides need a digit that is not there.
    """
    with_side = {side: np.flatnonzero(np.isin(t, digits)) for side, digits in SIDES.items()}
    found = []
    for side in rng.choice(list(SIDES), n, p=[0.4, 0.4, 0.1, 0.1]):
        if not len(with_side[side]):
            continue
        digit = _cropped(x[rng.choice(with_side[side])])
        size = digit.shape[0 if side in ("upper", "lower") else 1]
        kept = max(1, round(size * rng.uniform(0.3, 0.55)))
        found.append(
            {
                "left": digit[:, :kept],
                "right": digit[:, -kept:],
                "upper": digit[:kept],
                "lower": digit[-kept:],
            }[side]
        )
    return found


def pairs(n: int, x: Array, t: Array, rng: np.random.Generator) -> list[Array]:
    """Two digits that touch or nearly do, or a digit with a part of its neighbour; `n` of them, if
    there are digits.
    """
    # A 1 beside a digit soon looks like another digit: fewer of them.
    candidates = np.flatnonzero((t != 1) | (rng.random(len(t)) < 0.3))
    found = []
    for first, second in rng.choice(candidates, (n if len(candidates) else 0, 2)):
        left, right = _cropped(x[first]), _cropped(x[second])
        if rng.random() < 0.3:
            right = right[:, : max(1, round(right.shape[1] * rng.uniform(0.35, 0.8)))]
        place = max(0, left.shape[1] + int(rng.integers(-3, 2)))
        both = np.zeros((36, place + max(right.shape[1], left.shape[1])), np.float32)
        both[4 : 4 + len(left), : left.shape[1]] = left
        top = 4 + int(rng.integers(-4, 5)) + (len(left) - len(right)) // 2
        top = min(max(top, 0), len(both) - len(right))
        beside = both[top : top + len(right), place : place + right.shape[1]]
        np.maximum(beside, right, out=beside)
        found.append(both)
    return found


def _cropped(image: Array) -> Array:
    """An image (784,) without the empty paper around its ink."""
    image = image.reshape(28, 28)
    rows, columns = np.flatnonzero(image.any(axis=1)), np.flatnonzero(image.any(axis=0))
    if not len(rows):
        return image
    return image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


# --- drawn with a pen -----------------------------------------------------------------------------


def letter(rng: np.random.Generator) -> Array:
    """A letter or another sign, in a hand of its own: jittered, slanted, stretched, turned."""
    names = list(LETTERS)
    drawing = LETTERS[names[rng.integers(len(names))]]
    corners = []
    for stroke in drawing.split("|"):
        points = [
            [float(number) / 100 for number in word.rstrip("!").split(",")]
            for word in stroke.split()
            for _ in range(1 + word.endswith("!"))  # a point met twice is a corner
        ]
        corners.append(np.array(points) + rng.normal(0, 0.03, (len(points), 2)))
    wide, tall = np.exp(rng.normal(0, 0.2, 2))
    hand = np.array([[wide, 0], [rng.uniform(-0.3, 0.3), tall]])  # an upright pen slants
    turn = rng.uniform(-0.2, 0.2)
    return _ink([_turned(_rounded(points) @ hand, turn) for points in corners], rng)


def scribble(rng: np.random.Generator) -> Array:
    """A pen that wanders between 4 to 9 places, in curves or straight."""
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
    import cv2  # noqa: PLC0415  (it loads when it is needed)

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
    """Where an angle, clockwise from the right, points to: a place at distance 1, or several."""
    return np.stack([np.cos(angle), np.sin(angle)], axis=-1)


def _turned(points: Path, angle: float) -> Path:
    """The points, turned clockwise about (0, 0)."""
    return points @ np.array([_direction(angle), _direction(angle + np.pi / 2)])


def _rounded(points: Path, times: int = 4) -> Path:
    """A smooth curve from the first point to the last, drawn towards those between.

    Every corner is cut off at a quarter of its sides, again and again (Chaikin 1974).
    """
    for _ in range(times):
        a, b = points[:-1], points[1:]
        cut = np.stack([0.75 * a + 0.25 * b, 0.25 * a + 0.75 * b], axis=1).reshape(-1, 2)
        points = np.concatenate([points[:1], cut, points[-1:]])
    return points


def _ink(paths: list[Path], rng: np.random.Generator) -> Array:
    """Ink in [0, 1] along the paths, SIZE pixels long, of a pen of random width."""
    import cv2  # noqa: PLC0415  (it loads when it is needed)

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
