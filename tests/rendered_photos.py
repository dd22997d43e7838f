"""Photographs of handwriting that were never taken: digits from pen strokes, on paper with ruling,
under uneven light, through a lens that blurs and a sensor that is noisy.

What is written is known, so the tests can count how much of it is read.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from digits.data.synthetic_digits import strokes
from digits.types import Array


@dataclass(frozen=True)
class Photo:
    """A picture, uint8 (height, width, 3), what is written on it, row by row, and how it was
    made."""

    picture: Array
    rows: list[str]
    made_with: list[str]


def render(rng: np.random.Generator, digits: int) -> Photo:
    """A random photograph of so many digits, in one row or two."""
    made: list[str] = []

    def happens(name: str, chance: float) -> bool:
        if rng.random() >= chance:
            return False
        made.append(name)
        return True

    text = "".join(str(digit) for digit in rng.integers(0, 10, digits))
    rows = [text]
    if digits >= 4 and happens("two rows", 0.3):
        rows = [text[: digits // 2], text[digits // 2 :]]
    size = float(np.exp(rng.uniform(np.log(35), np.log(220))))  # the height of a digit, in pixels
    paths, ink_box = _write(rng, rows, size)
    margin = size * rng.uniform(0.5, 2.5, 4)
    width, height = np.ceil(ink_box + margin[:2] + margin[2:]).astype(int)
    if happens("tilted", 0.5):
        paths = _turn(paths, rng.uniform(-0.12, 0.12), ink_box / 2)
    corner = margin[:2]

    # the pen: its width as a share of a digit's height, how much of the light it swallows
    pen = size * float(np.exp(rng.uniform(np.log(0.035), np.log(0.16))))
    faint = happens("pencil", 0.25)
    depth = rng.uniform(0.25, 0.4) if faint else rng.uniform(0.45, 0.85)
    ink = _draw(paths, corner, max(pen, 1.3), (height, width))
    if faint:
        ink = ink * np.clip(1 + rng.normal(0, 0.25, ink.shape), 0, 1.2).astype(np.float32)

    paper = np.ones((height, width), np.float32)
    if happens("ruled", 0.3):
        paper -= _ruling(rng, paper.shape, size * rng.uniform(0.6, 1.6)) * depth * 0.5
    elif happens("squared", 0.15):
        paper -= _ruling(rng, paper.shape, size * rng.uniform(0.4, 0.9)) * depth * 0.35
        columns = _ruling(rng, paper.shape[::-1], size * rng.uniform(0.4, 0.9)).T
        paper -= columns * depth * 0.35
    tint = np.array([rng.uniform(0.75, 1), rng.uniform(0.85, 1), 1.0])
    absorbed = np.clip(rng.uniform(0.5, 1.2, 3), 0, 1)
    if rng.random() < 0.6:
        absorbed[:] = 1
    light = _light(rng, paper.shape, happens)
    scene = light[..., None] * (paper[..., None] * tint) * (1 - depth * ink[..., None] * absorbed)

    if happens("blurred", 0.4):
        scene = cv2.GaussianBlur(scene, (0, 0), max(0.3, pen * rng.uniform(0.1, 0.5)))
    scene = 255 * scene * rng.uniform(0.45, 1.0)
    if happens("light on dark", 0.12):
        scene = 255 - scene
    scene = scene + rng.normal(0, rng.uniform(0.5, 5), scene.shape)
    picture = np.clip(scene, 0, 255).astype(np.uint8)
    if happens("compressed", 0.5):
        quality = int(rng.integers(30, 95))
        _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
        picture = cv2.imdecode(data, cv2.IMREAD_COLOR)
    return Photo(picture, rows, made)


def _write(rng: np.random.Generator, rows: list[str], size: float) -> tuple[list[Array], Array]:
    """The pen's paths for rows of digits, and the width and height they take."""
    paths: list[Array] = []
    right = top = 0.0
    for row in rows:
        x = 0.0
        for character in row:
            tall = size * float(np.exp(rng.normal(0, 0.08)))
            drawn = [path for path, _ in strokes(int(character), rng)]
            points = np.concatenate(drawn)
            low, high = points.min(axis=0), points.max(axis=0)
            scale = tall / max(high[1] - low[1], 0.4)
            place = np.array([x, top + rng.normal(0, 0.05) * size])
            paths += [(path - low) * scale + place for path in drawn]
            x += (high[0] - low[0]) * scale + size * rng.uniform(0.3, 0.9)
        right, top = max(right, x), top + size * rng.uniform(1.4, 2.0)
    return paths, np.array([right, top])


def _turn(paths: list[Array], angle: float, center: Array) -> list[Array]:
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return [(path - center) @ turn.T + center for path in paths]


def _draw(paths: list[Array], corner: Array, pen: float, shape: tuple[int, int]) -> Array:
    """Ink in [0, 1] along the paths, anti-aliased."""
    ink = np.zeros(shape, np.uint8)
    for path in paths:
        points = np.round((path + corner) * 16).astype(np.int32)
        cv2.polylines(ink, [points], False, 255, max(1, round(pen)), cv2.LINE_AA, 4)
    return ink.astype(np.float32) / 255


def _ruling(rng: np.random.Generator, shape: tuple[int, int], apart: float) -> Array:
    """Nearly level lines across the whole picture, 1 where a line is."""
    lines = np.zeros(shape, np.uint8)
    slope = rng.uniform(-0.08, 0.08)
    for y in np.arange(-shape[0], 2 * shape[0], max(apart, 12)):
        ends = np.array([[0, y], [shape[1], y + slope * shape[1]]]) * 16
        thick = max(1, round(apart / 30))
        cv2.polylines(lines, [ends.astype(np.int32)], False, 255, thick, cv2.LINE_AA, 4)
    return lines.astype(np.float32) / 255


def _light(rng: np.random.Generator, shape: tuple[int, int], happens: Any) -> Array:
    """How much light falls where: a gradient, perhaps a hard shadow with a soft edge."""
    y, x = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    angle = rng.uniform(0, 2 * np.pi)
    light = 1 - rng.uniform(0, 0.5) * (x * np.cos(angle) + y * np.sin(angle) + 1.42) / 2.84
    if happens("shadow", 0.35):
        angle = rng.uniform(0, 2 * np.pi)
        across = x * np.cos(angle) + y * np.sin(angle) - rng.uniform(-0.6, 0.6)
        edge = rng.uniform(0.01, 0.15)
        light = light * (1 - rng.uniform(0.2, 0.6) / (1 + np.exp(-np.clip(across / edge, -50, 50))))
    return light.astype(np.float32)


def figure_seven(height: int = 120, width: int = 90, paper: int = 220, ink: int = 40) -> Array:
    """A 7 with its bar at the top: not symmetric in any way."""
    picture = np.full((height, width), paper, np.uint8)
    corners = np.array([[20, 20], [70, 20], [40, 100]], np.int32)
    cv2.polylines(picture, [corners], False, ink, 7, cv2.LINE_AA)
    return picture
