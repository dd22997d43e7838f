"""Words in open handwriting fonts: what a page holds beside digits, rendered and taken apart as the
reader of photographs takes ink apart.

The fonts are the user's: the environment variable DIGITS_FONTS names their folders, and without it
there are no words. `digits/models/README.md` lists the fonts that the shipped network has seen.
"""

import json
import os
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont  # comes with matplotlib

from digits.data.non_digits import prepared
from digits.types import Array

SIZE = 56  # of the type, in pixels


def words(n: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Images (n, 784) of letters, signs and joined letters, prepared as candidates for digits are;
    none where DIGITS_FONTS names no fonts.
    """
    fonts = [path for path in fonts_in() if alphabets(path)]  # not of symbols only
    inks: list[Array] = []
    while fonts and len(inks) < n:
        inks += _components(fonts[rng.integers(len(fonts))], rng)
    return prepared(inks[:n])


def digits(n: int, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Images (n, 784) of the digits of the same fonts, and their labels; none without fonts."""
    fonts = [path for path in fonts_in() if "lower" in alphabets(path)]
    labels = rng.integers(0, 10, n if fonts else 0)
    inks = [write(str(label), fonts[rng.integers(len(fonts))], rng)[0] for label in labels]
    return prepared(inks), labels


def fonts_in(folders: str | None = None) -> list[str]:
    """The font files in some folders, joined as in PATH, and below them; else in DIGITS_FONTS."""
    found: list[str] = []
    named = os.environ.get("DIGITS_FONTS", "") if folders is None else folders
    for folder in filter(None, named.split(os.pathsep)):
        for kind in ("ttf", "otf", "woff"):
            found += map(str, Path(folder).rglob(f"*.{kind}"))
    return sorted(found)


@cache
def _letters() -> dict[str, Any]:
    """By "scripts", the letters that words are made of, frequent ones repeated; by "like digits",
    those that alone are read as digits by people too, or are part of one."""
    return dict(json.loads((files("digits.data") / "alphabets.json").read_text(encoding="utf-8")))


@cache
def alphabets(path: str) -> dict[str, str]:
    """What a font can write: of each script the letters that it has, if it has most of them."""
    font = ImageFont.truetype(path, SIZE)
    missing = bytes(font.getmask("\U0010fffd"))
    found = {}
    for name, letters in _letters()["scripts"].items():
        available = "".join(c for c in letters if bytes(font.getmask(c)) not in (missing, b""))
        if 2 * len(available) > len(letters):
            found[name] = available
    return found


def spell(path: str, rng: np.random.Generator) -> str:
    """A word that nobody knows, in one of the scripts of a font."""
    known = alphabets(path)
    script = str(rng.choice(list(known)))
    letters = rng.choice(list(known[script]), rng.integers(1, 9))
    if script == "lower" and "upper" in known and rng.random() < 0.3:
        letters[0] = rng.choice(list(known["upper"]))
    return "".join(letters)


def write(text: str, path: str, rng: np.random.Generator) -> list[Array]:
    """The glyphs of a text, each alone on the same paper: masks (height, width), bool; with a pen
    of random width, slanted and turned."""
    font = ImageFont.truetype(path, SIZE)
    width = int(font.getlength(text)) + 2 * SIZE
    slant, turn = rng.uniform(-0.25, 0.25), rng.uniform(-0.12, 0.12)
    warp = np.array([[1, slant, -slant * SIZE], [turn, 1, 0.5 * SIZE - turn * width / 2]])
    pen = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (int(rng.integers(1, 5)),) * 2)
    glyphs, x = [], float(SIZE)
    spacing = rng.uniform(0, 0.12) * SIZE
    for letter in text:
        paper = Image.new("L", (width, 2 * SIZE))
        ImageDraw.Draw(paper).text((x, 0.3 * SIZE), letter, font=font, fill=255)
        shape = (width + round(0.12 * width), 3 * SIZE)
        ink = cv2.warpAffine(np.asarray(paper), warp, shape, flags=cv2.INTER_LINEAR)
        glyphs.append(cv2.dilate(ink, pen) > 128)
        x += font.getlength(letter) + spacing
    return glyphs


def _components(path: str, rng: np.random.Generator) -> Iterator[Array]:
    """The components of a word that are no digit, and its letters of several components."""
    text = spell(path, rng)
    glyphs = write(text, path, rng)
    ink = np.any(glyphs, axis=0)
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(ink.astype(np.uint8))
    areas: Array = np.array([np.bincount(labels[glyph], minlength=count) for glyph in glyphs])
    for label in range(1, count):
        _, _, width, height, area = boxes[label]
        members = np.flatnonzero(areas[:, label] > 0.1 * area)
        if len(members) == 1 and area < 0.7 * areas[members[0]].sum():
            continue  # a part of a letter, such as the rings of %
        if max(width, height) > 0.25 * SIZE and 3 * width > height and _no_digit(text, members):
            yield (labels == label).astype(np.float32)
    for index, glyph in enumerate(glyphs):
        own = np.flatnonzero(areas[index])
        alone = not areas[np.arange(len(text)) != index][:, own].any()
        if len(own) > 1 and alone and _no_digit(text, [index]):
            yield glyph.astype(np.float32)
    middles = [int(np.median(np.nonzero(glyph)[1])) for glyph in glyphs if glyph.any()]
    for left, right in pairwise(middles):  # what a cut through joined letters gives
        between = ink[:, left:right]
        if between.any() and rng.random() < 0.25 and right - left > 0.3 * SIZE:
            yield between.astype(np.float32)


def _no_digit(text: str, members: Sequence[int] | Array) -> bool:
    """Whether the letters that a component is made of are no digit to anybody."""
    return len(members) > 1 or (
        len(members) == 1 and text[members[0]] not in _letters()["like digits"]
    )
