"""Draws the pictures of the README: a photograph of a handwritten number (docs/photo.jpg), and how
it is read, digit by digit (docs/reading.webp). The photograph is rendered: it belongs to nobody.

    python docs/reading.py
"""

import io
import sys
from pathlib import Path

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import ConnectionPatch, FancyBboxPatch

from digits import plots
from digits.data.synthetic_digits import strokes
from digits.photos.reading import Digit, Reading
from digits.types import Array
from predict_image import read_digits

PHOTO = Path(__file__).with_name("photo.jpg")
MOVING = Path(__file__).with_name("reading.webp")
NUMBER, HAND = "31415926", 20

# Reflectance, in OpenCV's order blue, green, red:
PAPER = np.array([0.84, 0.93, 0.96])
INK = np.array([0.46, 0.22, 0.13])
RULING = np.array([0.88, 0.80, 0.72])


# --- a photograph that was never taken ------------------------------------------------------------


def paper_photo(text: str, seed: int, tall: int = 110) -> Array:
    """Digits `tall` pixels high, in ink on ruled paper, in the light of a window: uint8 (height,
    width, 3), blue-green-red. Same seed, same hand.
    """
    rng = np.random.default_rng(seed)
    x, base = 0.8 * tall, 1.68 * tall
    ink_path = []
    for character in text:
        size = tall * rng.uniform(0.9, 1.08)
        written = strokes(int(character), rng)
        base_here = base + rng.normal(0, 0.025) * tall
        for points, radius in written:
            pressure = radius / radius.mean()
            ink_path.append((points * size + [x, base_here - size], 0.05 * tall * pressure))
        x += size * max(float((p[:, 0] + r).max()) for p, r in written) + tall * rng.uniform(
            0.3, 0.45
        )
        base -= 0.012 * tall  # handwriting is never level
    height, width = round(2.2 * tall), round(x + 0.35 * tall)
    page = np.ones((height, width, 3)) * PAPER
    page *= 1 + 0.012 * _cloud(rng, height, width, 2.5)[..., None]
    for line in np.arange(0.66 * tall, height, 1.02 * tall):
        y = round(line)
        page[y : y + 2] *= RULING / PAPER
    ink = _ink(ink_path, height, width) * (0.94 + 0.05 * _cloud(rng, height, width, 6))
    page *= 1 - np.clip(ink, 0, 1)[..., None] * (1 - INK)
    across, down = np.linspace(-1, 1, width), np.linspace(-1, 1, height)[:, None]
    light = 0.84 - 0.2 * across - 0.07 * down
    shade = 1 / (1 + np.exp(-(across + 0.35 * down - 0.72) / 0.06))  # of whoever holds the camera
    picture = page * (light * (1 - 0.3 * shade))[..., None]
    picture = cv2.GaussianBlur(picture, (0, 0), 0.7) + rng.normal(0, 0.004, page.shape)
    return np.clip(255 * picture, 0, 255).astype(np.uint8)


def _ink(paths: list[tuple[Array, Array]], height: int, width: int) -> Array:
    """How much ink lies where, 0 to 1: discs along the pen's paths, drawn four times as large."""
    large = np.zeros((4 * height, 4 * width), np.uint8)
    for points, radius in paths:
        along = np.arange(len(points))
        fine = np.linspace(0, len(points) - 1, 30 * len(points))
        x, y, r = (np.interp(fine, along, values) for values in (*points.T, radius))
        for center_x, center_y, size in zip(x, y, r, strict=True):
            center = round(64 * center_x), round(64 * center_y)  # in sixteenths
            cv2.circle(large, center, round(64 * size), 255, -1, cv2.LINE_AA, 4)
    return cv2.resize(large, (width, height), interpolation=cv2.INTER_AREA) / 255


def _cloud(rng: np.random.Generator, height: int, width: int, blur: float) -> Array:
    """Noise of standard deviation 1, blurred by so many pixels."""
    noise = cv2.GaussianBlur(rng.normal(size=(height, width)), (0, 0), blur)
    return noise / noise.std()


# --- the picture ----------------------------------------------------------------------------------


def compose(reading: Reading, shown: int) -> Figure:
    """The photograph with the boxes of the first digits, what the network saw of each, and the ten
    probabilities.
    """
    digits = reading.digits
    height, width = reading.picture.shape[:2]
    figure = Figure(figsize=(10, 2.55 + 10 * height / width), dpi=100)
    inch = 1 / figure.get_figheight()
    photo = figure.add_axes((0, 2.55 * inch, 1, 1 - 2.55 * inch))
    photo.imshow(reading.picture[..., ::-1], aspect="auto", interpolation="antialiased")
    photo.set_axis_off()
    wide = 0.96 / len(digits)
    for i, digit in enumerate(digits[:shown]):
        left = 0.02 + i * wide
        _box(photo, digit)
        seen = figure.add_axes((left + 0.1 * wide, 0.95 * inch, 0.8 * wide, 8 * wide * inch))
        seen.imshow(digit.image, cmap="gray_r", vmin=0, vmax=1)
        seen.set_xticks([])
        seen.set_yticks([])
        x, y, w, h = digit.box
        line = ConnectionPatch(
            (x + w / 2, y + h + 6), (0.5, 1), "data", "axes fraction",
            axesA=photo, axesB=seen, color=plots.BLUE, linewidth=1, alpha=0.8,
        )  # fmt: skip
        figure.add_artist(line)
        _answers(figure.add_axes((left + 0.06 * wide, 0.38 * inch, 0.88 * wide, 0.5 * inch)), digit)
        figure.text(
            left + wide / 2,
            0.07 * inch,
            f"{digit.confidence:.1%}",
            ha="center",
            fontsize=10,
            color=plots.BLUE,
        )
    return figure


def frame(figure: Figure) -> Array:
    """The figure as pixels, in OpenCV's order."""
    png = io.BytesIO()
    figure.savefig(png, format="png")
    pixels = cv2.imdecode(np.frombuffer(png.getvalue(), np.uint8), cv2.IMREAD_COLOR)
    return np.asarray(pixels)


def _box(axes: Axes, digit: Digit) -> None:
    x, y, w, h = digit.box
    frame = FancyBboxPatch(
        (x, y), w, h, boxstyle="round,pad=6,rounding_size=7", fill=False, ec=plots.BLUE, lw=1.8
    )
    axes.add_patch(frame)
    axes.text(
        x + w / 2, y - 14, str(digit.digit), ha="center", va="bottom",
        fontsize=17, color=plots.BLUE, fontweight="bold",
    )  # fmt: skip


def _answers(axes: Axes, digit: Digit) -> None:
    """Ten bars, the answer in blue."""
    colors = [plots.BLUE if number == digit.digit else plots.FAINT for number in range(10)]
    axes.bar(range(10), np.maximum(digit.probabilities, 0.02), color=colors, width=0.8)
    axes.set_ylim(0, 1)
    axes.set_xlim(-0.6, 9.6)
    axes.set_yticks([])
    axes.set_xticks(
        range(10), [str(number) for number in range(10)], fontsize=6.5, color=plots.GRAY
    )
    axes.tick_params(length=0, pad=1)
    axes.spines[:].set_visible(False)


def main() -> int:
    cv2.imwrite(str(PHOTO), paper_photo(NUMBER, HAND))
    reading = read_digits(PHOTO)
    if reading.rows != [NUMBER]:
        print(f"read {reading.rows}, not {NUMBER}: choose another HAND", file=sys.stderr)
        return 1
    animation = cv2.Animation()
    animation.frames = [frame(compose(reading, shown)) for shown in range(len(NUMBER) + 1)]
    animation.durations = [1200, *[500] * (len(NUMBER) - 1), 3500]  # milliseconds
    cv2.imwriteanimation(str(MOVING), animation, [cv2.IMWRITE_WEBP_QUALITY, 75])
    for path in (PHOTO, MOVING):
        print(f"{path}: {path.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
