"""How many rows of digits are read in each of many scenes, with one thing in each that makes it
hard: a shadow, a desk, cells, a ring, a word beside them. The digits are MNIST's validation images.

    python benchmarks/scenes.py [SCENE ...] [--each 20] [--seed 0] [--dataset-dir D]

A scene counts if every digit is right, in its row, and none is invented.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from digits.types import Array
from mnist_loader import load_mnist
from predict_image import read_digits

VALIDATION = slice(55_000, 60_000)
"""Of the training images: those by which no network in this library is trained."""

PAPER, INK = (215.0, 225.0, 230.0), (60.0, 50.0, 45.0)  # blue, green, red


@dataclass
class Hand:
    """Digits (n, 28, 28) with their labels, and how thick a pen wrote each."""

    images: Array
    labels: Array
    pens: Array

    def write(
        self, count: int, height: float, pen: float, rng: np.random.Generator
    ) -> tuple[str, list[Array]]:
        """Digits of such a pen: what they are, and ink in [0, 1] of about this height."""
        alike = np.flatnonzero(np.abs(self.pens - pen) < 0.12 * pen)
        chosen = rng.choice(alike, count)
        drawn = [enlarged(self.images[i], height * np.exp(rng.normal(0, 0.08))) for i in chosen]
        return "".join(str(label) for label in self.labels[chosen]), drawn


def hand(dataset_dir: str | None) -> Hand:
    """The validation images of MNIST."""
    (images, labels), _ = load_mnist(flatten=False, dataset_dir=dataset_dir)
    images, labels = images[VALIDATION, 0], labels[VALIDATION]
    pens = []
    for image in images:
        mask = (image > 110).astype(np.uint8)
        outlines, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        pens.append(mask.sum() / max(1, sum(map(len, outlines))) / np.ptp(np.nonzero(mask)[0]))
    return Hand(images, labels, np.array(pens))


def enlarged(image: Array, height: float) -> Array:
    """The ink of an image without its margins, so high, with the edge of a stroke as sharp."""
    rows, columns = np.nonzero(image > 60)
    ink = image[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    ink = np.pad(ink.astype(np.float32) / 255, 1)
    scale = height / (len(ink) - 2)
    ink = cv2.resize(ink, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    if scale > 1:
        ink = (cv2.GaussianBlur(ink, (0, 0), 0.45 * scale) - 0.4) * min(scale, 4) + 0.5
    return np.clip(ink, 0, 1)


@dataclass
class Page:
    """Ink (height, width) in [0, 1], what is written, and a box around each row."""

    ink: Array
    rows: list[str]
    boxes: list[tuple[int, int, int, int]]


def page(
    digits: Hand,
    rng: np.random.Generator,
    rows: int = 1,
    height: float = 60,
    gap: tuple[float, float] = (0.25, 0.6),
    margin: float = 1.2,
    count: int = 0,
) -> Page:
    """Rows of digits; gaps and margins in heights of a digit."""
    count, pen = count or int(rng.integers(3, 8)), rng.choice(digits.pens)
    texts, boxes, edge = [], [], int(margin * height)
    ink = np.zeros((2 * edge + int(1.9 * rows * height), 2 * edge + int(3 * count * height)))
    right = 0
    for row in range(rows):
        text, drawn = digits.write(count, height, pen, rng)
        x, top = edge, edge + int(1.9 * row * height)
        for digit in drawn:
            y = top + int((1.2 * height - len(digit)) / 2 + rng.normal(0, 0.05) * height)
            put(ink, digit, x, y)
            x += digit.shape[1] + int(rng.uniform(*gap) * height)
        texts.append(text)
        boxes.append((edge, top, x - edge, int(1.2 * height)))
        right = max(right, x)
    return Page(ink[:, : right + edge].astype(np.float32), texts, boxes)


def put(ink: Array, digit: Array, x: int, y: int) -> None:
    """Draw a digit with its upper left corner at x, y, as far as it is on the page."""
    x, y = max(0, x), max(0, y)
    there = ink[y : y + len(digit), x : x + digit.shape[1]]
    np.maximum(there, digit[: len(there), : there.shape[1]], out=there)


def photograph(
    ink: Array,
    rng: np.random.Generator,
    paper: tuple[float, ...] = PAPER,
    pen: tuple[float, ...] = INK,
    strength: float = 1.0,
    grain: float = 2.5,
    light: float = 1.0,
) -> Array:
    """What a camera sees, uint8 (height, width, 3), in light that fades to one side."""
    y, x = np.mgrid[-1 : 1 : len(ink) * 1j, -1 : 1 : ink.shape[1] * 1j]
    angle = rng.uniform(0, 2 * np.pi)
    fades = light * (1 - 0.25 * (x * np.cos(angle) + y * np.sin(angle) + 1.4) / 2.8)
    share = strength * ink[..., None]
    scene = (np.array(paper) * (1 - share) + np.array(pen) * share) * fades[..., None]
    picture = np.clip(scene + rng.normal(0, grain, scene.shape), 0, 255)
    return compressed(picture.astype(np.uint8), 88)


def compressed(picture: Array, quality: int) -> Array:
    _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))


# --- what is done to a page, before and after it is photographed ----------------------------------


def ruled(paper: Page, rng: np.random.Generator, apart: float = 55, squared: bool = False) -> None:
    lines = np.zeros_like(paper.ink)
    for y in np.arange(rng.uniform(0, apart), len(lines), apart):
        cv2.line(lines, (0, int(y)), (lines.shape[1], int(y)), 0.35, 2, cv2.LINE_AA)
    for x in np.arange(rng.uniform(0, apart), lines.shape[1] if squared else 0, apart):
        cv2.line(lines, (int(x), 0), (int(x), len(lines)), 0.35, 1, cv2.LINE_AA)
    np.maximum(paper.ink, lines, out=paper.ink)


def underlined(paper: Page, rng: np.random.Generator, comb: bool = False) -> None:
    for x, y, width, height in paper.boxes:
        low = y + height + int(rng.integers(0, 8))
        cv2.line(paper.ink, (x - 10, low), (x + width, low), 0.9, 3, cv2.LINE_AA)
        for tick in np.linspace(x - 10, x + width, 7 if comb else 0):
            cv2.line(paper.ink, (int(tick), low), (int(tick), low - 20), 0.9, 2, cv2.LINE_AA)


def ringed(paper: Page, rng: np.random.Generator) -> None:
    for x, y, width, height in paper.boxes:
        center, axes = (x + width // 2 - 12, y + height // 2), (width // 2 + 16, height // 2 + 20)
        ends = 0, rng.uniform(340, 370)
        cv2.ellipse(paper.ink, center, axes, rng.uniform(-10, 10), *ends, 1, 4, cv2.LINE_AA)


def labeled(paper: Page, rng: np.random.Generator) -> None:
    """A word beside the digits."""
    word = str(rng.choice(["Total", "Room", "Date", "Nr.", "Sum"]))
    at = (10, paper.boxes[0][1] + paper.boxes[0][3] - 10)
    letters = np.zeros(paper.ink.shape, np.uint8)
    cv2.putText(letters, word, at, cv2.FONT_HERSHEY_SIMPLEX, 1.6, 255, 4, cv2.LINE_AA)
    np.maximum(paper.ink, letters / 255, out=paper.ink)


def in_cells(
    digits: Hand, rng: np.random.Generator, rows: int = 1, columns: int = 6, line: int = 2,
    share: float = 1.0,
) -> Page:  # fmt: skip
    """Digits in the cells of a table, some of which are empty where `share` is below 1."""
    cell, edge, pen = 80, 60, rng.choice(digits.pens)
    ink = np.zeros((2 * edge + rows * cell, 2 * edge + columns * cell), np.float32)
    texts = []
    for row in range(rows):
        text, drawn = digits.write(columns, 54, pen, rng)
        kept = [column for column in range(columns) if rng.random() < share]
        for column in kept:
            room = np.maximum(0, cell - np.array(drawn[column].shape[::-1]))
            x, y = (edge + np.array([column, row]) * cell + room * rng.uniform(0.2, 0.8, 2)).astype(
                int
            )
            put(ink, drawn[column], x, y)
        texts += ["".join(text[column] for column in kept)] if kept else []
    for y in range(rows + 1):
        ends = (edge, edge + y * cell), (edge + columns * cell, edge + y * cell)
        cv2.line(ink, *ends, 0.85, line, cv2.LINE_AA)
    for x in range(columns + 1):
        ends = (edge + x * cell, edge), (edge + x * cell, edge + rows * cell)
        cv2.line(ink, *ends, 0.85, line, cv2.LINE_AA)
    return Page(ink, texts, [])


def shadowed(picture: Array, rng: np.random.Generator) -> Array:
    y, x = np.mgrid[: len(picture), : picture.shape[1]]
    angle, middle = rng.uniform(0, np.pi), rng.uniform(0.3, 0.7, 2) * picture.shape[1::-1]
    dark = ((x - middle[0]) * np.cos(angle) + (y - middle[1]) * np.sin(angle) > 0) * 0.5
    dark = cv2.GaussianBlur(dark.astype(np.float32), (0, 0), rng.uniform(1, 6))
    return (picture * (1 - dark[..., None])).astype(np.uint8)


def on_table(picture: Array, rng: np.random.Generator, wall: bool = False) -> Array:
    """A sheet on a table of wood; or a board on a light wall."""
    height, width = picture.shape[:2]
    size = int(1.4 * width), int(1.5 * height)
    grain = cv2.GaussianBlur(rng.normal(0, 1, size[::-1]).astype(np.float32), (0, 0), 60, None, 2)
    table = np.array((50, 85, 125)) * (1 + 0.15 * grain / grain.std())[..., None]
    around = np.full_like(table, 215) if wall else table
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), rng.uniform(-8, 8), 1)
    matrix[:, 2] += 0.2 * width, 0.25 * height
    here = cv2.warpAffine(np.ones((height, width), np.float32), matrix, size)[..., None]
    scene = around * (1 - here) + cv2.warpAffine(picture, matrix, size) * here
    return np.clip(scene, 0, 255).astype(np.uint8)


def blurred(picture: Array, rng: np.random.Generator, along: int = 0) -> Array:
    """Out of focus; or moved, by so many pixels."""
    if not along:
        return cv2.GaussianBlur(picture, (0, 0), rng.uniform(2, 4))
    kernel = np.zeros((along, along), np.float32)
    step = along // 2 * np.array([np.cos(angle := rng.uniform(0, np.pi)), np.sin(angle)])
    ends = (along // 2 + np.rint([step, -step]).astype(int)).tolist()
    cv2.line(kernel, ends[0], ends[1], 1)
    return cv2.filter2D(picture, -1, kernel / kernel.sum())


def turned(picture: Array, rng: np.random.Generator, quarters: int = 0) -> Array:
    """By quarters; or by 6 to 28 degrees to either side."""
    if quarters:
        return np.ascontiguousarray(np.rot90(picture, quarters))
    angle = rng.uniform(6, 28) * rng.choice([-1, 1])
    side = int(np.hypot(*picture.shape[:2]))
    matrix = cv2.getRotationMatrix2D((picture.shape[1] / 2, len(picture) / 2), angle, 1)
    matrix[:, 2] = matrix[:, 2] + np.subtract(side, picture.shape[1::-1]) / 2
    return cv2.warpAffine(picture, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE)


def tiles(digits: Hand, rng: np.random.Generator, count: int, gap: int = 0) -> tuple[Array, str]:
    """MNIST's images as they are, light on dark, side by side; with a light gap between them."""
    chosen = rng.integers(0, len(digits.images), count)
    images = [np.pad(digits.images[i], gap, constant_values=255) for i in chosen]
    picture = cv2.resize(np.hstack(images), None, fx=4, fy=4, interpolation=cv2.INTER_NEAREST)
    return picture, "".join(str(label) for label in digits.labels[chosen])


# --- scenes ---------------------------------------------------------------------------------------

CHALK = {"paper": (60, 75, 55), "pen": (210, 215, 215)}

PAGES: dict[str, dict[str, Any]] = {  # arguments of `page`
    "plain": {},
    "one digit": {"count": 1, "margin": 3},
    "small": {"height": 15, "margin": 3},
    "large": {"height": 400, "count": 3},
    "far away": {"height": 30, "margin": 14},
    "close": {"gap": (0.03, 0.1)},
    "touching": {"gap": (-0.1, 0.02), "count": 4},
    "column": {"count": 1, "rows": 5},
    "page": {"rows": 8, "count": 6},
    "ring": {"count": 1, "margin": 3},
    "word": {"margin": 3},
    "sideways": {"rows": 2, "count": 6},
    "upside down": {"rows": 2, "count": 6},
}

MARKS: dict[str, Callable[[Page, np.random.Generator], None]] = {  # on the page
    "ring": ringed,
    "word": labeled,
    "ruled": ruled,
    "squared": partial(ruled, apart=28, squared=True),
    "underlined": underlined,
    "comb": partial(underlined, comb=True),
}

CAMERAS: dict[str, dict[str, Any]] = {  # arguments of `photograph`
    "brown paper": {"paper": (110, 160, 195)},
    "red ink": {"pen": (60, 60, 200)},
    "yellow ink": {"pen": (90, 220, 230)},
    "faint": {"strength": 0.16},
    "grainy": {"grain": 22},
    "dark": {"light": 0.25},
    "chalk": CHALK,
    "board": CHALK,
}

EFFECTS: dict[str, Callable[[Array, np.random.Generator], Array]] = {  # on the picture
    "board": partial(on_table, wall=True),
    "desk": on_table,
    "shadow": shadowed,
    "blurred": blurred,
    "moved": partial(blurred, along=9),
    "compressed": lambda picture, rng: compressed(picture, 12),
    "askew": turned,
    "sideways": partial(turned, quarters=1),
    "upside down": partial(turned, quarters=2),
}

CELLS: dict[str, dict[str, Any]] = {  # arguments of `in_cells`
    "cells": {},
    "thick cells": {"line": 5},
    "table": {"rows": 4, "columns": 4},
    "sudoku": {"rows": 9, "columns": 9, "share": 0.4},
}

TILES: dict[str, dict[str, Any]] = {  # arguments of `tiles`
    "image": {"count": 1},
    "images": {"count": 4},
    "figure": {"count": 4, "gap": 6},
}

SCENES = list(dict.fromkeys([*PAGES, *MARKS, *CAMERAS, *EFFECTS, *CELLS, *TILES]))


def scene(name: str, digits: Hand, rng: np.random.Generator) -> tuple[Array, list[str]]:
    """A picture, and the rows written on it."""
    if name in TILES:
        picture, text = tiles(digits, rng, **TILES[name])
        return picture, [text]
    if name in CELLS:
        sheet = in_cells(digits, rng, **CELLS[name])
    else:
        sheet = page(digits, rng, **PAGES.get(name, {}))
    if name in MARKS:
        MARKS[name](sheet, rng)
    picture = photograph(sheet.ink, rng, **CAMERAS.get(name, {}))
    return EFFECTS[name](picture, rng) if name in EFFECTS else picture, sheet.rows


def main() -> None:
    """Print a line for each scene."""
    parser = argparse.ArgumentParser(prog="scenes", description="Read rows of digits in scenes.")
    parser.add_argument("scenes", nargs="*", metavar="SCENE", help=", ".join(SCENES))
    parser.add_argument("--each", type=int, default=20, help="pictures of a scene (20)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dataset-dir", metavar="D")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="also write the pictures there")
    options = parser.parse_args()
    if unknown := set(options.scenes) - set(SCENES):
        parser.error(f"expected scenes among {', '.join(SCENES)}; received {', '.join(unknown)}")
    digits = hand(options.dataset_dir)
    total = 0
    for name in options.scenes or SCENES:
        right = 0
        for number in range(options.each):
            rng = np.random.default_rng([options.seed, SCENES.index(name), number])
            picture, rows = scene(name, digits, rng)
            right += read_digits(picture).rows == rows
            if options.out:
                options.out.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(options.out / f"{name} {number} {'-'.join(rows)}.png"), picture)
        total += right
        print(f"{name:12} {right:3} of {options.each}", flush=True)
    print(f"{'all':12} {total:3} of {options.each * len(options.scenes or SCENES)}")


if __name__ == "__main__":
    main()
