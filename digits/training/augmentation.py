"""Random changes that leave a digit readable, applied to the images of a batch during training, so
that a network learns what a digit is instead of the training images by heart (Simard, Steinkraus
and Platt, "Best practices for convolutional neural networks applied to visual document analysis",
2003). `tta_views` shifts and turns images when they are to be classified.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cache

import numpy as np
from numpy.typing import NDArray

from digits.validation import check, check_generator

Images = NDArray[np.float32]

SIDE = 28
PIXELS = SIDE * SIDE
MIDDLE = (SIDE - 1) / 2


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """How strongly images are changed; 0, the default of every option, leaves that change out.

    Each image draws its own amounts. "Up to" means uniformly from minus to plus that amount, or
    from 0 where a negative amount has no meaning. Raises ValueError for an option that is negative,
    not finite or above its limit.

    Parameters
    ----------
    rotation : up to so many degrees.
    scale : width and height, each on its own, change by up to this fraction; below 1.
    shear : slant to either side by up to this fraction of the height.
    shift : up to so many pixels, in x and in y.
    elastic : standard deviation, in pixels, of a smooth random field by which ink is displaced.
    thickness : the pen becomes up to so many pixels wider or narrower on each side; at most 1.
    noise : up to this standard deviation of gray-level noise, the same for all pixels of an image.
    blur : up to this standard deviation, in pixels, of a Gaussian blur; at most 2.
    contrast : gray levels are raised to a power, whose logarithm is up to this.
    flaws : ratio of the images that get a piece of a ruling line, of those whose strokes get a gap,
        and of those that get a speck, each drawn on its own; at most 1.
    lighting : paper up to so much brighter, unevenly across the image, and ink up to so much
        fainter; below 1.
    """

    rotation: float = 0.0
    scale: float = 0.0
    shear: float = 0.0
    shift: float = 0.0
    elastic: float = 0.0
    thickness: float = 0.0
    noise: float = 0.0
    blur: float = 0.0
    contrast: float = 0.0
    flaws: float = 0.0
    lighting: float = 0.0

    def __post_init__(self) -> None:
        limits = {"scale": 0.9, "lighting": 0.9, "thickness": 1.0, "blur": 2.0, "flaws": 1.0}
        for option in fields(self):
            amount, limit = getattr(self, option.name), limits.get(option.name, np.inf)
            fits = 0 <= amount <= limit and amount < np.inf
            check(fits, f"{option.name} from 0 to {limit}", amount, "0 leaves this change out")

    def __call__(self, x: Images, rng: np.random.Generator) -> Images:
        """A changed copy of images `x`, float32 (n, 784) in [0, 1], 0 the paper.

        Raises TypeError if `x` is not float32 or `rng` is not a Generator, ValueError for another
        shape.
        """
        if getattr(x, "dtype", None) != np.float32:
            received = getattr(x, "dtype", type(x).__name__)
            raise TypeError(
                f"expected images as a float32 array; received {received}: "
                "convert them with .astype(np.float32)"
            )
        check(x.shape[1:] == (PIXELS,), f"images of shape (n, {PIXELS})", x.shape)
        check_generator(rng)
        images: Images = x.reshape(-1, SIDE, SIDE)
        if self.rotation or self.scale or self.shear or self.shift or self.elastic:
            images = self._affine_elastic(images, rng)
        if self.thickness:
            images = _thickened(images, _around(0, self.thickness, len(images), rng))
        if self.blur:
            images = _blurred(images, _up_to(self.blur, len(images), rng))
        if self.contrast:
            power = np.exp(_around(0, self.contrast, len(images), rng))[:, None, None]
            images = np.clip(images, 0, 1) ** power
        if self.flaws:
            images = _add_flaws(images, self.flaws, rng)
        if self.lighting:
            images = _relight(images, self.lighting, rng)
        if self.noise:
            amount = _up_to(self.noise, len(images), rng)[:, None, None]
            noise: Images = rng.standard_normal(images.shape, dtype=np.float32)
            images = np.clip(images + amount * noise, 0, 1)
        changed = images.reshape(x.shape)
        return changed.copy() if np.may_share_memory(changed, x) else changed

    def _affine_elastic(self, images: Images, rng: np.random.Generator) -> Images:
        """Rotate, scale, shear, shift and bend.

        Pixel (x, y) of the new image, measured from the middle, takes its ink from
        A (x, y) + t + d(x, y) in the old one, with a random matrix A and vector t for each image
        and a random field d of small displacements.
        """
        n = len(images)
        angle = _around(0, np.deg2rad(self.rotation), n, rng)
        stretch_x, stretch_y = _around(1, self.scale, n, rng), _around(1, self.scale, n, rng)
        slant = _around(0, self.shear, n, rng)
        t_x, t_y = _around(MIDDLE, self.shift, n, rng), _around(MIDDLE, self.shift, n, rng)
        cosine: Images = np.cos(angle)
        sine: Images = np.sin(angle)
        # A = [[cosine, -sine], [sine, cosine]] @ [[stretch_x, slant], [0, stretch_y]]
        a_xx, a_xy = cosine * stretch_x, cosine * slant - sine * stretch_y
        a_yx, a_yy = sine * stretch_x, sine * slant + cosine * stretch_y
        across = np.arange(SIDE, dtype=np.float32) - np.float32(MIDDLE)  # (28,), x as well as y
        from_x = _plane(a_xx, a_xy, t_x, across)
        from_y = _plane(a_yx, a_yy, t_y, across)
        if self.elastic:
            field = _smooth_fields(2 * n, np.float32(self.elastic), rng)
            from_x += field[:n]
            from_y += field[n:]
        return _bilinear(images, from_x, from_y)


def _around(middle: float, amount: float, n: int, rng: np.random.Generator) -> Images:
    """One number for each image, uniformly from middle - amount to middle + amount: (n,)."""
    return (2 * rng.random(n, dtype=np.float32) - 1) * np.float32(amount) + np.float32(middle)


def _up_to(amount: float, n: int, rng: np.random.Generator) -> Images:
    """One number for each image, uniformly from 0 to amount: (n,)."""
    return rng.random(n, dtype=np.float32) * np.float32(amount)


# --- geometry -------------------------------------------------------------------------------------

GRID = 7  # the elastic field is drawn on a grid of 7x7 points, 5 pixels apart ...
SMOOTHNESS = 4.0  # ... and smoothed by a Gaussian of this standard deviation in pixels


@cache
def _smoothing() -> Images:
    """The matrix (28, 7) that carries a row of the coarse grid to the pixels.

    Simard et al. blur one random displacement per pixel by a Gaussian of 4 pixels. Nothing finer
    than the grid survives that, so 49 numbers instead of 784 give the same kind of field. Rows have
    unit length, which keeps the standard deviation of the displacement.
    """
    points = np.linspace(-1.5, SIDE + 0.5, GRID)
    distance = np.arange(SIDE)[:, None] - points
    gaussian = np.exp(-0.5 * (distance / SMOOTHNESS) ** 2)
    return (gaussian / np.linalg.norm(gaussian, axis=1, keepdims=True)).astype(np.float32)


def _smooth_fields(n: int, deviation: np.float32, rng: np.random.Generator) -> Images:
    """Smooth random fields (n, 28, 28) with the given standard deviation at every pixel."""
    coarse = rng.standard_normal((n, GRID, GRID), dtype=np.float32) * deviation
    smoothing = _smoothing()
    return smoothing @ coarse @ smoothing.T


def _plane(per_x: Images, per_y: Images, offset: Images, across: Images) -> Images:
    """per_x * x + per_y * y + offset for each image and pixel: (n, 28, 28)."""
    along_row = per_x[:, None] * across
    down_column = per_y[:, None] * across + offset[:, None]
    return along_row[:, None, :] + down_column[:, :, None]


def _bilinear(images: Images, x: Images, y: Images) -> Images:
    """Images (n, 28, 28) at positions x, y (n, 28, 28), bilinearly, with paper (0) around them; x
    and y are overwritten, to save time.
    """
    n, wide = len(images), SIDE + 3  # one pixel of paper before, two behind
    paper = np.zeros((n, wide, wide), dtype=np.float32)
    paper[:, 1:-2, 1:-2] = images
    flat = paper.ravel()
    x += 1
    y += 1
    np.clip(x, 0, SIDE + 1, out=x)
    np.clip(y, 0, SIDE + 1, out=y)
    left, above = np.floor(x), np.floor(y)  # floats: arithmetic that mixes dtypes is slow
    x -= left  # now the fraction between the pixel to the left and the one to the right
    y -= above
    above *= wide
    above += left
    index = above.astype(np.intp)
    index += (np.arange(n) * (wide * wide))[:, None, None]
    upper = _between(flat, index, x)
    index += wide
    lower = _between(flat, index, x)
    lower -= upper
    lower *= y
    lower += upper
    return lower


def _between(flat: Images, index: NDArray[np.intp], fraction: Images) -> Images:
    """Values between flat[index] and its right neighbor."""
    here = flat.take(index)
    step = flat[1:].take(index)
    step -= here
    step *= fraction
    step += here
    return step


# --- pen and light --------------------------------------------------------------------------------


def _thickened(images: Images, amount: Images) -> Images:
    """Widen the pen by `amount` (n,) pixels, or narrow it where the amount is negative: a pixel
    moves towards the darkest of its 3x3 neighborhood (dilation), or the lightest (erosion).
    """
    framed = np.pad(images, ((0, 0), (1, 1), (1, 1)))
    changed = images.copy()
    for chosen, extreme in ((amount > 0, np.maximum), (amount < 0, np.minimum)):
        frame = framed[chosen]
        rows = extreme(extreme(frame[:, :-2], frame[:, 1:-1]), frame[:, 2:])
        target = extreme(extreme(rows[:, :, :-2], rows[:, :, 1:-1]), rows[:, :, 2:])
        changed[chosen] += np.abs(amount[chosen])[:, None, None] * (target - images[chosen])
    return changed


def _blurred(images: Images, deviation: Images) -> Images:
    """Blur each image by a Gaussian of its own standard deviation (n,), in pixels: by passes of the
    kernel (w, 1 - 2w, w), which has variance 2w, so many that w is at most 1/4.
    """
    passes = max(1, int(np.ceil(2 * float(deviation.max(initial=0)) ** 2)))
    w = (deviation**2 / np.float32(2 * passes))[:, None, None]
    for _ in range(passes):
        framed = np.pad(images, ((0, 0), (1, 1), (1, 1)))
        rows = images + w * (framed[:, :-2, 1:-1] + framed[:, 2:, 1:-1] - 2 * images)
        framed[:, 1:-1, 1:-1] = rows
        images = rows + w * (framed[:, 1:-1, :-2] + framed[:, 1:-1, 2:] - 2 * rows)
    return images


def _add_flaws(images: Images, ratio: float, rng: np.random.Generator) -> Images:
    """What goes wrong in photographs: pieces of ruling lines, gaps in strokes, specks."""
    n = len(images)
    level = rng.random(n, dtype=np.float32) < 0.75  # the other lines are upright
    length, width = _integers(4, 22, n, rng), _integers(1, 2, n, rng)
    height, breadth = np.where(level, width, length), np.where(level, length, width)
    speck, gap = _integers(1, 2, n, rng), _integers(1, 3, n, rng)
    flawed = images.copy()
    for high, wide, ink in ((height, breadth, True), (gap, gap, False), (speck, speck, True)):
        affected = rng.random(n, dtype=np.float32) < ratio
        where = _rectangles(high, wide, rng) & affected[:, None, None]
        gray = np.float32(0.3) + _up_to(0.7, n, rng)[:, None, None] if ink else np.float32(0)
        flawed = np.where(where, np.maximum(flawed, gray) if ink else gray, flawed)
    return flawed


def _rectangles(
    high: NDArray[np.intp], wide: NDArray[np.intp], rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Masks (n, 28, 28) of rectangles of the given sizes (n,), away from the edge."""
    along = np.arange(SIDE)
    inside = []
    for size in (high, wide):
        start = 3 + (rng.random(len(size), dtype=np.float32) * (SIDE - 5 - size)).astype(np.intp)
        inside.append((along >= start[:, None]) & (along < (start + size)[:, None]))
    return inside[0][:, :, None] & inside[1][:, None, :]


def _integers(least: int, most: int, n: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Random integers (n,) from `least` to `most`."""
    return least + (rng.random(n, dtype=np.float32) * (most + 1 - least)).astype(np.intp)


def _relight(images: Images, lighting: float, rng: np.random.Generator) -> Images:
    """Gray paper, brighter at one side, and fainter ink: paper takes at most `lighting` of the
    range [0, 1], and ink keeps at least 1 - `lighting` of the rest, so no digit disappears.
    """
    n = len(images)
    level = _up_to(lighting / 2, n, rng)
    along_x, along_y = _around(0, lighting / 4, n, rng), _around(0, lighting / 4, n, rng)
    across = np.linspace(-1, 1, SIDE, dtype=np.float32)
    paper = np.maximum(_plane(along_x, along_y, level, across), 0)
    contrast = 1 - _up_to(lighting, n, rng)
    return paper + contrast[:, None, None] * (1 - paper) * images


# --- test-time augmentation -----------------------------------------------------------------------

TTA_SHIFTS = ((0, 0, 0), (1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 8), (0, 0, -8))
"""Pixels to the right, pixels down, degrees counterclockwise: the first view is the image."""


def tta_views(x: Images, views: int) -> Iterator[Images]:
    """The images `x`, float32 (n, 784), as they are, then shifted by a pixel to each side, then
    turned by 8 degrees either way: the first `views` of these 7.

    The mean of a network's predictions for several views is right more often than one prediction
    (Krizhevsky, Sutskever and Hinton, "ImageNet classification with deep convolutional neural
    networks", 2012). Raises ValueError if `views` is not 1 to 7 or the shape is another.
    """
    check(1 <= views <= len(TTA_SHIFTS), f"1 to {len(TTA_SHIFTS)} views of an image", views)
    check(np.shape(x)[1:] == (PIXELS,), f"images of shape (n, {PIXELS})", np.shape(x))
    images = x.reshape(-1, SIDE, SIDE)
    middle = np.float32(MIDDLE)
    down_column, along_row = np.mgrid[:SIDE, :SIDE].astype(np.float32) - middle
    for right, down, degrees in TTA_SHIFTS[:views]:
        cosine, sine = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
        from_x = cosine * along_row - sine * down_column + (middle - right)
        from_y = sine * along_row + cosine * down_column + (middle - down)
        from_x, from_y = (np.tile(plane, (len(x), 1, 1)) for plane in (from_x, from_y))
        yield _bilinear(images, from_x, from_y).reshape(x.shape)
