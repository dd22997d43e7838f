"""Handwriting-like digits drawn from stroke templates, prepared exactly as MNIST's were: the data
set that needs no download. `generate` goes through these steps, one function each:

    styles ─ _pen_paths ─ _pen_radii ─ _fit_to_box ─ _draw ─ _center_by_mass ─► 28x28 gray levels

The same generator state gives the same images, bit for bit, on every processor: after
`Generator.random` every step is an elementwise ``+ - * / sqrt``, which IEEE 754 rounds the same way
everywhere, or arithmetic on integers small enough to be exact in any order. That is why there are
no sines, exponentials or floating-point sums.
"""

from functools import cache
from math import sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from digits.data import glyphs
from digits.types import Array
from digits.validation import check, check_generator

Floats = NDArray[np.float64]
Integers = NDArray[np.intp]

POINTS = 128  # positions along the pen's path at which ink is put down
BOX = 20  # MNIST fits the ink into a box of 20x20 pixels ...
SIDE = 28  # ... and centers it in an image of 28x28
CHUNK = 500  # images made at a time: bounds the memory

# How much writers differ: standard deviations, lengths in units of the digit's height.
POINT_JITTER = 0.030  # of every control point
WAVES = 0.030  # height of the smooth elastic waves that bend the digit
WOBBLE = 0.3, 1.4  # factor of these two: the neatest hand and the most careless
STROKE_SHIFT, STROKE_SCALE = 0.03, 0.08  # of every stroke, where a digit has several
END_LENGTH = 0.04  # strokes end early or late
MIDDLE, UPPER_HALF = 0.06, 0.08  # height of the middle; size of the upper half
TAPER, BEND = 0.36, 0.06  # one end wider than the other; ends to one side, middle to the other
WIDTH = 0.24  # of the logarithm of the aspect ratio
SLANT, MEAN_SLANT = 0.21, 0.14  # to the right
ROTATION = 0.11  # radians
PEN_RADIUS, PEN_SPREAD = 1.26, 0.28  # pixels of the final image; spread of its logarithm
MIN_RADIUS, MAX_RADIUS = 0.5, 2.7  # pixels
PRESSURE = 0.16  # relative change of the radius along the path
ROUGHNESS = 0.12  # pixels by which paper and pen fray the edge

_UNITS = 64  # drawing happens in 64ths of a pixel, see _draw

VERSION = 1
"""Part of the key of cached data sets: to be raised whenever the images of a seed change."""

SIZES = 60_000, 10_000
"""Images in `generate_dataset`, for training and for testing: as many as MNIST has."""


def generate_dataset() -> list[NDArray[np.uint8]]:
    """Training images (60,000, 28, 28) and labels, test images (10,000, 28, 28) and labels."""
    parts = (generate(size, np.random.default_rng(seed)) for seed, size in enumerate(SIZES))
    return [array for part in parts for array in part]


def generate(n: int, rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Write `n` random digits and prepare them as MNIST's were: uint8 images (n, 28, 28), white ink
    (255) on black, and uint8 labels (n,).

    Raises TypeError if `rng` is not a Generator, ValueError if `n` is no whole number from 0 on.
    """
    check_generator(rng)
    whole = isinstance(n, int | np.integer) and not isinstance(n, bool)
    check(whole and n >= 0, "n as a whole number of images, 0 or more", n)
    digits = rng.integers(0, 10, n)
    images = np.zeros((n, SIDE, SIDE), dtype=np.uint8)
    for start in range(0, n, CHUNK):
        chunk = slice(start, start + CHUNK)
        style = _choose_styles(digits[chunk], rng)
        x, y = _pen_paths(style, rng)
        radius = _pen_radii(len(style), rng)
        x, y = _fit_to_box(np.stack([x, y]), radius, rng)
        images[chunk] = _center_by_mass(_draw(x, y, radius, rng))
    return images, digits.astype(np.uint8)


def generate_inputs(n: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """`n` digits as a network takes them: float32 (n, 784) in [0, 1], and labels (n,)."""
    images, labels = generate(n, rng)
    return images.reshape(n, 784) / np.float32(255), labels.astype(np.intp)


def strokes(digit: int, rng: np.random.Generator) -> list[tuple[Floats, Floats]]:
    """Write one digit, and return the pen's path, to be drawn at any size: for each stroke its
    points (m, 2) as (x, y), and the pen's radius (m,) at each of them.

    The unit is the height of the digit, ink included; the ink begins at x = 0 and y = 0. Raises
    ValueError if `digit` is not 0 to 9, TypeError if `rng` is not a Generator.
    """
    check_generator(rng)
    check(digit in range(10), "a digit from 0 to 9", digit)
    styles, style = _compiled_styles(), _choose_styles(np.array([digit]), rng)
    x, y = _pen_paths(style, rng)
    radius = _pen_radii(1, rng) / BOX
    height = np.ptp(y) / (1 - 2 * radius.max())  # so that path and pen together are 1 high
    x, y, radius = x[0] / height, y[0] / height, radius[0]
    points = np.stack([x - np.min(x - radius), y - np.min(y - radius)], axis=1)
    stroke = styles.own_stroke[style[0]][styles.knots[style[0], :, 1]]  # of each point
    lifts = np.flatnonzero(np.diff(stroke)) + 1
    return list(zip(np.split(points, lifts), np.split(radius, lifts), strict=True))


# --- the styles as arrays -------------------------------------------------------------------------


class _Styles(NamedTuple):
    """All S styles as arrays: at most K control points each, POINTS points along the path."""

    first: Integers  # (11,)  styles first[d] to first[d + 1] - 1 write digit d
    cumulative: Floats  # (S,)  cumulative probability within the digit
    control: Floats  # (S, K, 2)  control points, in heights, the middle of the digit at (0, 0)
    neighbor: Integers  # (S, K)  of a stroke's end the point before it, else the point itself
    own_stroke: Integers  # (S, K)  which stroke a control point belongs to
    center: Floats  # (S, K, 2)  middle of that stroke
    knots: Integers  # (S, POINTS, 4)  the control points that a point of the path depends on ...
    weights: Floats  # (S, POINTS, 4)  ... and how much on each


@cache
def _compiled_styles() -> _Styles:
    """Turn the styles into arrays, once, when the first digit is written."""
    entries = glyphs.digit_styles()
    # Around the middle of the digit, which is about 0.6 wide.
    written = [[(s.points - (0.3, 0.5), s.corners) for s in e.strokes] for e in entries]
    count, most = len(entries), max(sum(len(s[0]) for s in strokes) for strokes in written)
    styles = _Styles(
        first=np.searchsorted([entry.digit for entry in entries], np.arange(11)),
        cumulative=np.zeros(count),
        control=np.zeros((count, most, 2)),
        neighbor=np.tile(np.arange(most), (count, 1)),
        own_stroke=np.zeros((count, most), dtype=np.intp),
        center=np.zeros((count, most, 2)),
        knots=np.zeros((count, POINTS, 4), dtype=np.intp),
        weights=np.zeros((count, POINTS, 4)),
    )
    for digit in range(10):
        total = np.cumsum([entry.frequency for entry in entries if entry.digit == digit])
        styles.cumulative[styles.first[digit] : styles.first[digit + 1]] = total / total[-1]
    for s, strokes in enumerate(written):
        # Each stroke gets a part of the POINTS points in proportion to its length.
        lengths = [np.sqrt((np.diff(p, axis=0) ** 2).sum(axis=1)).sum() for p, _ in strokes]
        path_ends = np.rint(POINTS * np.cumsum(lengths) / np.sum(lengths)).astype(int)
        begin = path_begin = 0
        for number, (points, corner) in enumerate(strokes):
            end, path_end = begin + len(points), int(path_ends[number])
            knots, weights = catmull_rom(corner, path_end - path_begin)
            styles.control[s, begin:end] = points
            styles.neighbor[s, [begin, end - 1]] = begin + 1, end - 2
            styles.own_stroke[s, begin:end] = number
            styles.center[s, begin:end] = (points.min(axis=0) + points.max(axis=0)) / 2
            styles.knots[s, path_begin:path_end] = begin + knots
            styles.weights[s, path_begin:path_end] = weights
            begin, path_begin = end, path_end
    return styles


def catmull_rom(corner: list[bool], m: int) -> tuple[Integers, Floats]:
    """Catmull-Rom spline through k control points at m positions: knots and weights, each (m, 4).

    Between points b and c, with neighbors a and d, the curve at 0 <= f <= 1 is
    ((-f + 2f² - f³) a + (2 - 5f² + 3f³) b + (f + 4f² - 3f³) c + (-f² + f³) d) / 2
    (Catmull and Rom, 1974). At an end or a corner 2b - c stands in for the neighbor beyond.
    """
    k = len(corner)
    position = np.linspace(0, k - 1, m)
    segment = np.minimum(position.astype(np.intp), k - 2)
    f = position - segment
    ff, fff = f * f, f * f * f
    a, b = -f + 2 * ff - fff, 2 - 5 * ff + 3 * fff
    c, d = f + 4 * ff - 3 * fff, -ff + fff
    sharp = np.array([True, *corner[1:-1], True])
    left, right = sharp[segment], sharp[segment + 1]
    a, b, c = np.where(left, 0, a), np.where(left, b + 2 * a, b), np.where(left, c - a, c)
    d, c, b = np.where(right, 0, d), np.where(right, c + 2 * d, c), np.where(right, b - d, b)
    knots = np.clip(segment[:, None] + np.arange(-1, 3), 0, k - 1)
    return knots, np.stack([a, b, c, d], axis=1) / 2


# --- random numbers and curves that are the same on every machine --------------------------------


def _normal(rng: np.random.Generator, deviation: float, *shape: int) -> Floats:
    """Nearly normal random numbers of mean 0 and the given standard deviation: the sum of four
    uniform numbers (Irwin-Hall), which needs no logarithm and has no long tails. These are
    multiples of 2^-24, so that their sum is exact.
    """
    uniform = rng.random((4, *shape), dtype=np.float32).astype(np.float64)
    return (uniform.sum(axis=0) - 2) * (deviation * sqrt(3))


def _between(rng: np.random.Generator, low: float, high: float, *shape: int) -> Floats:
    """Uniform random numbers from `low` to `high`."""
    return low + (high - low) * rng.random(shape)


def _approx_exp(x: Floats) -> Floats:
    """Like exp(x): value and derivative 1 at 0, and f(-x) = 1 / f(x)."""
    return (2 + x) / (2 - x)


def _approx_sin(x: Floats) -> Floats:
    """Like sin(2 pi x): two parabolas a period, smooth, from -1 to 1."""
    x = x - np.floor(x) - 0.5
    return 8 * x * (2 * np.abs(x) - 1)


# --- writing --------------------------------------------------------------------------------------


def _choose_styles(digits: Integers, rng: np.random.Generator) -> Integers:
    """Pick a style (n,) for each digit (n,), frequent ones more often."""
    styles = _compiled_styles()
    style = styles.first[digits]
    pick = rng.random(len(digits))
    # A digit has a few tens of styles: step on until the cumulative probability exceeds the pick.
    while (too_low := styles.cumulative[style] <= pick).any():
        style = style + too_low
    return style


def _pen_paths(style: Integers, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Write each style (n,) in a hand of its own: x and y, (n, POINTS), of the pen's path."""
    styles, n = _compiled_styles(), len(style)
    control = styles.control[style]  # (n, K, 2)
    k = control.shape[1]
    wobble = _between(rng, *WOBBLE, n, 1)
    # Errors of neighboring points are correlated: a hand that is off comes back slowly.
    error = _normal(rng, POINT_JITTER, n, k + 2, 2)
    error = (error[:, :-2] + 2 * error[:, 1:-1] + error[:, 2:]) / sqrt(6)
    control = control + wobble[:, :, None] * error

    # Where a digit has several strokes, each is placed and sized on its own.
    most = int(styles.own_stroke.max()) + 1
    pen, own = np.arange(n)[:, None], styles.own_stroke[style]
    several = own.max(axis=1)[:, None, None] > 0
    sizes = (_normal(rng, STROKE_SCALE, n, most, 2) * several)[pen, own]
    shifts = (_normal(rng, STROKE_SHIFT, n, most, 2) * several)[pen, own]
    control = control + sizes * (control - styles.center[style]) + shifts

    # Ends move along the stroke; for all other points the direction is zero.
    direction = control - control[pen, styles.neighbor[style]]
    length = np.sqrt(direction[..., 0] ** 2 + direction[..., 1] ** 2)[..., None]
    control = control + direction * (_normal(rng, END_LENGTH, n, k, 1) / np.maximum(length, 0.05))

    knots, weights = styles.knots[style], styles.weights[style]  # (n, POINTS, 4)
    x, y = (
        sum(weights[..., j] * control[pen, knots[..., j], axis] for j in range(4))
        for axis in (0, 1)
    )
    return _warp(x, y, wobble, rng)


def _warp(x: Floats, y: Floats, wobble: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Deform whole digits, x and y (n, POINTS) around (0, 0), as different hands would."""
    n = len(x)
    arch = 1 - 4 * y**2  # 1 in the middle of the digit, 0 at its top and foot
    y = y + arch * (_normal(rng, MIDDLE, n, 1) + y * _normal(rng, UPPER_HALF, n, 1))
    x = x * (1 + _normal(rng, TAPER, n, 1) * y) + _normal(rng, BEND, n, 1) * (0.5 - arch)
    for _ in range(2):  # elastic waves, little more than one across the digit
        fast, slow = _between(rng, 0.3, 1.2, n, 1), _between(rng, -1, 1, n, 1)
        phase_x, phase_y = rng.random((n, 1)), rng.random((n, 1))
        shift_x = wobble * _normal(rng, WAVES, n, 1) * _approx_sin(slow * x + fast * y + phase_x)
        shift_y = wobble * _normal(rng, WAVES, n, 1) * _approx_sin(fast * x + slow * y + phase_y)
        x, y = x + shift_x, y + shift_y
    x = x * _approx_exp(_normal(rng, WIDTH, n, 1) + 0.07)
    x = x - y * (_normal(rng, SLANT, n, 1) + MEAN_SLANT)
    half = _normal(rng, ROTATION / 2, n, 1)  # the tangent of half the angle gives sine and cosine
    sine, cosine = 2 * half / (1 + half**2), (1 - half**2) / (1 + half**2)
    return x * cosine - y * sine, x * sine + y * cosine


def _pen_radii(n: int, rng: np.random.Generator) -> Floats:
    """The pen's radius (n, POINTS) in pixels: a pen for each digit, pressed unevenly."""
    pen = PEN_RADIUS * _approx_exp(_normal(rng, PEN_SPREAD, n, 1))
    along = np.arange(POINTS) / POINTS
    swing = _approx_sin(along * _between(rng, 0.5, 3, n, 1) + rng.random((n, 1)))
    return np.clip(pen * (1 + _normal(rng, PRESSURE, n, 1) * swing), MIN_RADIUS, MAX_RADIUS)


# --- MNIST's preparation (LeCun, Bottou, Bengio, Haffner 1998, section III.A) --------------------


def _fit_to_box(paths: Floats, radius: Floats, rng: np.random.Generator) -> Floats:
    """Scale paths (2, n, POINTS) so that the ink's longer side fills the box around (0, 0)."""
    size, pen = np.ptp(paths, axis=2), 2 * radius.max(axis=1)  # (2, n), (n,)
    scale = (BOX - pen) / np.maximum(size.max(axis=0), 0.1)
    paths = (paths - (paths.min(axis=2) + size / 2)[..., None]) * scale[:, None]
    # The shorter side lies anywhere on the pixel grid.
    margin = BOX - pen - size * scale
    return paths + (np.minimum(margin, 1) * _between(rng, -0.5, 0.5, *size.shape))[..., None]


def _draw(x: Floats, y: Floats, radius: Floats, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Put down ink along paths in a box: gray levels (n, 20, 20), the darkest ink 255.

    The ink is the union of discs along the path. A pixel center g is |g - p| - r away from the disc
    at p with radius r, and the nearest disc is the minimum over the path of

        |g - p|² - r²  =  |g|²  +  (-2 px, -2 py, |p|² - r²) · (gx, gy, 1)

    which is one matrix product for many images. Everything in it is an integer number of 64ths of a
    pixel and below 2^24, so float32 holds it exactly and the order of summation is immaterial.
    """
    n = len(x)
    box = (np.arange(BOX) * _UNITS - (BOX - 1) * _UNITS // 2).astype(np.float32)
    grid_y, grid_x = (axis.ravel() for axis in np.meshgrid(box, box, indexing="ij"))
    grid = np.stack([grid_x, grid_y, np.ones_like(grid_x)])  # (3, 400)
    whole_x, whole_y, whole_r = (np.rint(a * _UNITS).astype(np.float32) for a in (x, y, radius))
    power = whole_x * whole_x + whole_y * whole_y - whole_r * whole_r
    discs = np.stack([-2 * whole_x, -2 * whole_y, power], axis=2)  # (n, POINTS, 3)
    nearest = np.empty((n, BOX * BOX), dtype=np.float32)
    step = 16  # few enough for (step, POINTS, 400) to stay in the processor's cache
    for i in range(0, n, step):
        np.min(discs[i : i + step] @ grid, axis=1, out=nearest[i : i + step])
    nearest += grid_x * grid_x + grid_y * grid_y

    mean_r = (np.rint(whole_r.sum(axis=1, keepdims=True) / POINTS)).astype(np.float32)
    distance = np.sqrt(np.maximum(nearest + mean_r * mean_r, 0)) - mean_r
    distance = (distance / _UNITS).reshape(n, BOX, BOX) + _frayed_edge(n, rng)
    softness = _between(rng, 0.8, 1.6, n, 1, 1).astype(np.float32)  # width of the gray edge
    ink = np.clip(0.5 - distance / softness, 0, 1)
    ink = ink * ink * (3 - 2 * ink)  # the S-curve of a scanner's lens rather than a ramp
    ink /= np.maximum(ink.max(axis=(1, 2), keepdims=True), 0.1)
    return np.rint(255 * ink).astype(np.uint8)


def _frayed_edge(n: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Smoothed noise (n, 20, 20), in pixels, by which the edge of the ink is off."""
    noise = rng.random((n, BOX + 1, BOX + 1), dtype=np.float32) - np.float32(0.5)
    smooth = noise[:, 1:, 1:] + noise[:, :-1, 1:] + noise[:, 1:, :-1] + noise[:, :-1, :-1]
    amount = _between(rng, 0, 3 * ROUGHNESS, n, 1, 1)
    return smooth * amount.astype(np.float32)


def _center_by_mass(boxes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Move boxes (n, 20, 20) by whole pixels so that the center of mass is mid-image."""
    weight = boxes.astype(np.int64)
    mass = weight.sum(axis=(1, 2))
    # The center of mass, rounded by whole-number arithmetic, goes to pixel 14.
    moments = np.stack([weight.sum(axis=2), weight.sum(axis=1)]) @ np.arange(BOX)  # (2, n): y, x
    top, left = np.clip(SIDE // 2 - (2 * moments + mass) // (2 * mass), 0, SIDE - BOX)
    images = np.zeros((len(boxes), SIDE, SIDE), dtype=np.uint8)
    for image, box, y, x in zip(images, boxes, top, left, strict=True):
        image[y : y + BOX, x : x + BOX] = box
    return images
