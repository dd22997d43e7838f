"""Photographs of handwriting that were never taken, on which what is written is known."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from digits.data import glyphs
from digits.data.synthetic_digits import catmull_rom, strokes
from digits.types import Array

KINDS = ("single", "rows", "boxes", "turned", "clutter", "board", "words", "empty")

WORDS = (
    "Please call me when the parcel is here|milk bread tea apples|Yours truly Anna Hall|Meeting at "
    "noon in the garden|the quick brown fox jumps over the lazy dog|Remember the keys|Total amount "
    "due|Name and address|What shall we do tomorrow|Happy birthday dear Maria"
).split("|")

LIKE_DIGITS = {"o": 0, "l": 1, "I": 1, "z": 2, "s": 5, "b": 6, "B": 8, "g": 9, "q": 9, "y": 4}
"""Letters, and the digits that they look like."""

SIGNS = ("plus", "equals", "less", "divided by", "x", "question mark", "percent", "hash")

HABITS = {  # strokes of hands that no network was trained on, in the form of digits/data/habits.txt
    "1, one stroke": "1: 2,0 0,100",
    "1, short flag": "1: -18,22 3,0! 4,52 2,100",
    "1, long flag": "1: -40,50 4,2! 0,100",
    "1, flag and foot": "1: -26,34 -2,2! -2,98 | -26,98 24,99",
    "7, plain": "7: -44,2 14,0! -16,50 -26,100",
    "7, bar": "7: -40,4 18,2! -2,54 -8,102 | -24,48 22,50",
    "7, hook and bar": "7: -42,20 -38,4! 20,0! 0,60 -4,100 | -24,56 20,54",
    "2, straight diagonal": "2: -2,16 18,-2 44,10 42,28! -2,98! 54,99",
    "2, loop": "2: 0,14 24,-2 42,18 30,60 4,96 8,80 30,88 58,100",
    "0, slash": "0: 30,0 2,20 0,76 28,100 56,78 56,20 30,0 | 50,14 8,88",
    "4, open": "4: 4,2 -2,54 42,58 | 42,12 38,100",
    "4, closed": "4: 34,0 -4,60! 52,62 | 36,0 36,100",
    "9, straight stem": "9: 42,10 18,0 0,24 18,46 42,24! 42,4! 41,100",
    "9, curved stem": "9: 42,16 20,0 0,24 20,48 44,24! 40,76 14,102 -8,88",
    "3, flat top": "3: 0,0 44,2! 18,40! 46,56 44,84 20,102 -6,90",
    "6, straight": "6: 34,0 4,58 4,90 28,102 46,80 30,58 4,70",
    "8, two rings": "8: 24,2 4,24 24,46 44,24 24,2 | 24,46 -2,72 24,100 50,74 24,46",
    "5, two strokes": "5: 6,0 2,42! 36,40 46,74 22,100 -4,88 | 6,0 48,2",
}


@dataclass(frozen=True)
class Photo:
    """A picture, uint8 (height, width, 3), the rows written on it, and how it was made."""

    picture: Array
    rows: list[str]
    made_with: list[str]


def render(rng: np.random.Generator, digits: int) -> Photo:
    """A random photograph of so many digits, in one row or two."""
    text = "".join(str(digit) for digit in rng.integers(0, 10, digits))
    two = digits >= 4 and rng.random() < 0.3
    rows = [text[: digits // 2], text[digits // 2 :]] if two else [text]
    size = float(np.exp(rng.uniform(np.log(35), np.log(220))))  # the height of a digit, in pixels
    return _photograph(rng, rows, *_write(rng, rows, size), size)


def render_kind(kind: str, rng: np.random.Generator) -> Photo:
    """A random photograph of one of `KINDS`."""
    size = float(np.exp(rng.uniform(np.log(40), np.log(120))))
    count = {"single": 1, "turned": 8, "words": 0, "empty": 0}.get(kind, int(rng.integers(3, 9)))
    text = "".join(str(digit) for digit in rng.integers(0, 10, count))
    rows = [text[:4], text[4:]] if kind == "turned" else [text] if count else []
    if kind == "boxes":
        paths, box, lines = _write_in_boxes(rng, text, size)
        return _photograph(rng, rows, paths, box, size, lines=lines, paper=False)
    if kind == "clutter":
        return _photograph(rng, rows, *_write_in_signs(rng, text, size), size)
    if kind == "words":
        lines_of_text = [str(line) for line in rng.choice(WORDS, rng.integers(1, 6))]
        return _photograph(rng, [], *_spell(rng, lines_of_text, size), size)
    if kind == "empty":
        box = size * rng.uniform(3, 8, 2)
        lines = _grid(box, *rng.integers(1, 6, 2)) if rng.random() < 0.6 else []
        return _photograph(rng, [], [], box, size, lines=lines, paper=not lines)
    photo = _photograph(rng, rows, *_write(rng, rows, size), size, board=kind == "board")
    if kind == "turned":
        turned = np.ascontiguousarray(np.rot90(photo.picture, int(rng.integers(1, 4))))
        return Photo(turned, rows, photo.made_with)
    return photo


def render_habit(name: str, rng: np.random.Generator, digits: int = 5) -> Photo:
    """A row of one digit, written again and again with the habit of this name."""
    digit, _, drawing = HABITS[name].partition(": ")
    size = float(rng.uniform(60, 140))
    paths: list[Array] = []
    x = 0.0
    for _ in range(digits):
        slant, turn = rng.uniform(-0.1, 0.25), rng.uniform(-0.08, 0.08)
        hand = size * np.array([[rng.uniform(0.85, 1.15), turn], [-slant, 1]])
        drawn = [_pen(stroke, rng) @ hand for stroke in glyphs.read_strokes(drawing)]
        points = np.concatenate(drawn)
        low, high = points.min(axis=0), points.max(axis=0)
        paths += [path - low + (x, 0) for path in drawn]
        x += high[0] - low[0] + size * rng.uniform(0.3, 0.8)
    return _photograph(rng, [digit * digits], paths, np.array([x, 1.2 * size]), size)


def _pen(stroke: glyphs.Stroke, rng: np.random.Generator) -> Array:
    """A stroke as a hand draws it: points (m, 2), y downward, in heights."""
    points = stroke.points + rng.normal(0, 0.02, stroke.points.shape)
    knots, weights = catmull_rom(stroke.corners, 24 * len(points))
    return np.einsum("mk,mkd->md", weights, points[knots])


def _photograph(
    rng: np.random.Generator, rows: list[str], paths: list[Array], ink_box: Array, size: float,
    lines: list[Array] | None = None, paper: bool = True, board: bool = False,
) -> Photo:  # fmt: skip
    """What a camera sees of paths, of printed lines, and of ruled or squared paper or a board."""
    made: list[str] = []

    def happens(name: str, chance: float) -> bool:
        if rng.random() >= chance:
            return False
        made.append(name)
        return True

    margin = size * rng.uniform(0.5, 2.5, 4)
    width, height = np.ceil(ink_box + margin[:2] + margin[2:]).astype(int)
    lines = list(lines or [])
    if happens("tilted", 0.5):
        angle = rng.uniform(-0.12, 0.12)
        paths, lines = (_turn(drawn, angle, ink_box / 2) for drawn in (paths, lines))
    corner = margin[:2]

    # the pen: its width as a share of a digit's height, how much of the light it swallows
    pen = size * float(np.exp(rng.uniform(np.log(0.035), np.log(0.16))))
    faint = happens("pencil", 0.25)
    depth = rng.uniform(0.25, 0.4) if faint else rng.uniform(0.45, 0.85)
    ink = _draw(paths, corner, max(pen, 1.3), (height, width))
    if faint or board:  # lead and chalk are as rough as what they are written on
        ink = ink * np.clip(1 + rng.normal(0, 0.25, ink.shape), 0, 1.2).astype(np.float32)
    if lines:
        printed = _draw(lines, corner, max(1.0, size * rng.uniform(0.01, 0.04)), (height, width))
        ink = np.maximum(ink, printed * np.float32(rng.uniform(0.4, 1)))

    sheet = np.ones((height, width), np.float32)
    if paper and not board and happens("ruled", 0.3):
        sheet -= _ruling(rng, sheet.shape, size * rng.uniform(0.6, 1.6)) * depth * 0.5
    elif paper and not board and happens("squared", 0.15):
        sheet -= _ruling(rng, sheet.shape, size * rng.uniform(0.4, 0.9)) * depth * 0.35
        columns = _ruling(rng, sheet.shape[::-1], size * rng.uniform(0.4, 0.9)).T
        sheet -= columns * depth * 0.35
    tint = np.array([rng.uniform(0.75, 1), rng.uniform(0.85, 1), 1.0])
    absorbed = np.clip(rng.uniform(0.5, 1.2, 3), 0, 1)
    if rng.random() < 0.6:
        absorbed[:] = 1
    light = _light(rng, sheet.shape, happens)
    scene = light[..., None] * (sheet[..., None] * tint) * (1 - depth * ink[..., None] * absorbed)

    if happens("blurred", 0.4):
        scene = cv2.GaussianBlur(scene, (0, 0), max(0.3, pen * rng.uniform(0.1, 0.5)))
    scene = 255 * scene * rng.uniform(0.45, 1.0)
    if happens("light on dark", 0.5 if board else 0.12):
        scene = 255 - scene
    elif board and happens("glare", 0.6):
        y, x = np.mgrid[: scene.shape[0], : scene.shape[1]] / size
        spot = rng.random(2) * scene.shape[:2] / size
        glare = np.exp(-((y - spot[0]) ** 2 + (x - spot[1]) ** 2) / rng.uniform(0.3, 3))
        scene = scene + (255 - scene) * 0.7 * glare[..., None]
    scene = scene + rng.normal(0, rng.uniform(0.5, 5), scene.shape)
    picture = np.clip(scene, 0, 255).astype(np.uint8)
    if happens("compressed", 0.5):
        quality = int(rng.integers(30, 95))
        _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
        picture = cv2.imdecode(data, cv2.IMREAD_COLOR)
    return Photo(picture, rows, made)


def _write_in_boxes(
    rng: np.random.Generator, text: str, size: float
) -> tuple[list[Array], Array, list[Array]]:
    """A digit in each printed box of a row; a few touch their box."""
    cell = size * rng.uniform(1.2, 1.8)
    paths: list[Array] = []
    for number, character in enumerate(text):
        drawn, box = _write(rng, [character], size)
        extent = np.array([np.concatenate(drawn)[:, 0].max(), size])
        room = np.maximum(cell - extent, 0) * rng.uniform(0.15, 0.85, 2)
        paths += [path + room + (number * cell, 0) for path in drawn]
    box = np.array([len(text) * cell, cell])
    return paths, box, _grid(box, len(text), 1)


def _grid(box: Array, columns: int, rows: int) -> list[Array]:
    """The lines of a table that fills a box."""
    width, height = box
    level = [np.array([[0, y], [width, y]]) for y in np.linspace(0, height, rows + 1)]
    return level + [np.array([[x, 0], [x, height]]) for x in np.linspace(0, width, columns + 1)]


def _write_in_signs(rng: np.random.Generator, text: str, size: float) -> tuple[list[Array], Array]:
    """Digits with a sign, which is none, between some of them."""
    paths: list[Array] = []
    x = 0.0
    for character in text:
        drawn, box = _write(rng, [character], size)
        paths += [path + np.array([x, 0]) for path in drawn]
        x += box[0]
        if rng.random() < 0.4:
            sign = glyphs.letters()[str(rng.choice(SIGNS))]
            shapes = [0.7 * size * _pen(stroke, rng) + (x, 0.15 * size) for stroke in sign]
            paths += shapes
            x = float(np.concatenate(shapes)[:, 0].max()) + size * rng.uniform(0.3, 0.6)
    return paths, np.array([x, 1.4 * size])


def _spell(rng: np.random.Generator, lines: list[str], size: float) -> tuple[list[Array], Array]:
    """Lines of words; some of their letters are drawn as the digits that they look like."""
    paths: list[Array] = []
    y = right = 0.0
    for line in lines:
        x = 0.0
        for character in line:
            if character in LIKE_DIGITS:
                digit = strokes(LIKE_DIGITS[character], rng)
                shapes = [path * (0.6, 0.6) + (0, 0.3) for path, _ in digit]
            elif character in glyphs.letters():
                shapes = [_pen(stroke, rng) for stroke in glyphs.letters()[character]]
            else:
                x += 0.5 * size
                continue
            shapes = [0.8 * size * shape + (x, y) for shape in shapes]
            paths += shapes
            x = float(np.concatenate(shapes)[:, 0].max()) + size * rng.uniform(0.05, 0.2)
        right, y = max(right, x), y + size * rng.uniform(1.6, 2.0)
    return paths, np.array([right, y])


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
