"""Printed lines are taken out of a sheet, and what is written on it stays."""

import cv2
import numpy as np
import pytest

from digits.photos.lines import erase_lines
from digits.types import Array

Paths = list[Array]

SEVEN, ONE = [(0, 0), (30, 0), (8, 50)], [(15, 0), (15, 50)]
FOUR, BAR = [(20, 0), (0, 32), (40, 32)], [(0, 0), (54, 0), (30, 50)]


def grid(rows: range, columns: range, left: int, top: int, right: int, bottom: int) -> Paths:
    """Lines from left to right and from top to bottom."""
    level = [np.array([(left, y), (right, y)]) for y in rows]
    return level + [np.array([(x, top), (x, bottom)]) for x in columns]


def boxes(columns: range, top: int, width: int, height: int, lean: int = 0) -> Paths:
    corners = [(0, 0), (width, lean), (width - lean, height + lean), (-lean, height), (0, 0)]
    return [np.add(corners, (x, top)) for x in columns]


def row(start: int, y: int, apart: int, *strokes: list[tuple[int, int]]) -> Paths:
    return [np.add(path, (start + apart * n, y)) for n, path in enumerate(strokes)]


NONE, PAGE = range(0), (-100, -100, 700, 500)
DIGITS = row(70, 165, 70, SEVEN, ONE, FOUR, SEVEN, FOUR)
BETWEEN = [np.array([(x, 160), (x, 238)]) for x in (200, 330)]
DASH = [np.array([(150, 100), (420, 103)])]
SHEETS: dict[str, tuple[Paths, Paths]] = {
    "blank": ([], DIGITS + DASH + row(100, 300, 45, *[ONE] * 9)),
    "one ruling": (grid(range(240, 241), NONE, *PAGE), DIGITS + DASH),
    "ruled": (grid(range(-80, 500, 80), NONE, *PAGE), DIGITS + row(100, 225, 70, SEVEN, FOUR)),
    "ruled, with a margin": (grid(range(-80, 500, 80), range(50, 51), *PAGE), DIGITS + BETWEEN),
    "rulings within the page": (grid(range(110, 351, 120), NONE, 40, 0, 560, 0), DIGITS),
    "rulings that begin at its edge": (grid(range(110, 351, 120), NONE, -100, 0, 360, 0), DIGITS),
    "an angle around digits": ([], [*DIGITS, np.array([(40, 60), (40, 340), (520, 340)])]),
    "dotted": (
        [np.array([(x, y), (x + 4, y)]) for y in range(-90, 500, 75) for x in range(-99, 700, 14)],
        DIGITS + row(100, 225, 70, SEVEN, FOUR),
    ),
    "circles": (
        [],
        row(70, 165, 110, SEVEN, ONE, FOUR, SEVEN, FOUR)
        + [
            np.array(cv2.ellipse2Poly((85 + 110 * n, 190), (46, 46), 0, 0, 360, 5))
            for n in range(5)
        ],
    ),
    "squared": (grid(range(-80, 480, 40), range(-80, 700, 40), *PAGE), DIGITS),
    "a box": (boxes(range(40, 41), 40, 520, 320), DIGITS + DASH),
    "a box full of digits": (
        boxes(range(20, 21), 20, 560, 360),
        [path for y in (40, 125, 215, 300) for path in row(50, y, 52, *[SEVEN, FOUR] * 5)],
    ),
    "five boxes by hand": (
        boxes(range(50, 500, 100), 130, 80, 120, 4),
        row(70, 165, 100, SEVEN, FOUR, SEVEN, ONE, FOUR) + row(30, 275, 16, *[ONE] * 34),
    ),
    "a comb": (
        grid(range(140, 241, 100), range(50, 600, 70), 50, 140, 540, 240),
        row(70, 165, 70, SEVEN, ONE, SEVEN, ONE),
    ),
    "cells open at both ends": (
        grid(range(140, 241, 100), range(120, 480, 70), 50, 140, 540, 240),
        row(70, 165, 70, SEVEN, FOUR, SEVEN, FOUR),
    ),
    "a comb with ink beside its sides": (
        grid(range(140, 241, 100), range(50, 600, 70), 50, 140, 540, 240),
        row(58, 165, 70, BAR) + row(184, 165, 140, *[[(0, -40), (20, 90)]] * 2),
    ),
    "a comb over the page": (
        grid(range(155, 229, 73), range(-90, 700, 70), -100, 155, 700, 228),
        row(70, 165, 70, SEVEN, ONE, SEVEN, ONE),
    ),
    "half a comb": (
        grid(range(300, 301), range(-90, 700, 70), -100, 300, 700, 500),
        DIGITS + row(70, 325, 70, SEVEN, ONE, SEVEN, ONE),
    ),
    "a table": (
        grid(range(50, 400, 75), range(30, 600, 90), 30, 50, 570, 350),
        row(65, 135, 90, SEVEN, ONE, SEVEN, FOUR),
    ),
}


@pytest.mark.parametrize(
    ("gray", "tilt", "scale", "turned"),
    [(90, 0.0, 1, False), (255, 0.0, 1, True), (90, 0.05, 0.75, True), (90, -0.08, 1.6, False)],
)
@pytest.mark.parametrize("name", SHEETS)
def test_lines_go_and_ink_stays(
    name: str, gray: int, tilt: float, scale: float, turned: bool
) -> None:
    """On lines paler than the strokes, or as dark as they are."""
    masks = []
    for paths, width in zip(SHEETS[name], (2, 6), strict=True):
        mask = np.zeros((round(400 * scale), round(600 * scale)), np.uint8)
        for path in paths:
            points = np.rint(scale * path @ np.array([[1, tilt], [-tilt, 1]])).astype(np.int32)
            cv2.polylines(mask, [points], False, 1, round(width * scale))
        masks.append(np.ascontiguousarray(mask.T if turned else mask) > 0)
    lines, strokes = masks
    darkness = np.where(strokes, max(180, gray), np.where(lines, gray, 0)).astype(np.uint8)
    kept = erase_lines(darkness > 60, darkness)
    assert kept[strokes].mean() > 0.98
    assert not lines.any() or kept[lines & ~strokes].mean() < 0.04
    assert not kept[~lines & ~strokes].any()


@pytest.mark.parametrize("up", [10, 0])
def test_an_underline_that_digits_stand_on_goes(up: int) -> None:
    strokes = np.zeros((400, 600), np.uint8)
    for n, path in enumerate(row(70, 165, 70, SEVEN, ONE, SEVEN)):
        cv2.polylines(strokes, [path - (0, up * (n % 2))], False, 180, 6)
    line = cv2.line(np.zeros_like(strokes), (60, 217), (330, 217), 180, 3) > 0
    kept = erase_lines((strokes > 0) | line, np.where(line, np.uint8(180), strokes))
    assert kept[strokes > 0].mean() > 0.98 and kept[line & (strokes == 0)].mean() < 0.08


@pytest.mark.parametrize(
    ("tops", "width", "down"), [([140], 80, 10), ([30, 180], 80, 10), ([40], 480, 18)]
)
def test_strokes_between_the_sides_of_cells_stay(tops: list[int], width: int, down: int) -> None:
    """Though they are as thick as the lines and go from one to the other."""
    darkness, strokes = np.zeros((2, tops[-1] + 160, 600), np.uint8)
    for n, y in enumerate(tops):
        for path in grid(range(y, y + 101, 100), range(50, 600, width), 50, y, 530, y + 100):
            cv2.polylines(darkness, [np.add(path, (20 * n, 0))], False, 90, 5)
        cv2.line(strokes, (85, y + down), (85, y + 91), 90, 5)
    kept = erase_lines(np.maximum(darkness, strokes) > 60, np.maximum(darkness, strokes))
    assert kept[strokes > 0].mean() > 0.9
    assert kept[strokes == 0].mean() < 0.01


def test_dark_main_lines_go_and_a_dark_straight_stroke_on_pale_rulings_stays() -> None:
    """The stroke goes from one ruling to the next but one, as that of a 4 may."""
    lines, strokes = np.zeros((2, 400, 600), np.uint8)
    for n, y in enumerate(range(20, 400, 40)):
        cv2.line(lines, (0, y), (599, y), 45 if n % 3 else 110, 3)
    for path in row(70, 185, 70, SEVEN, FOUR):
        cv2.polylines(strokes, [path], False, 200, 6)
    kept = erase_lines(np.maximum(lines, strokes) > 20, np.maximum(lines, strokes))
    assert kept[strokes > 0].mean() > 0.98 and kept[strokes == 0].mean() < 0.01
    lines[lines == 110] = 45
    for x, foot in ((400, 140), (440, 100), (480, 100)):  # three may be the sides of cells
        cv2.line(strokes, (x, 60), (x, foot), 200, 3)
    kept = erase_lines(np.maximum(lines, strokes) > 20, np.maximum(lines, strokes))
    assert kept[strokes > 0].mean() > 0.98 and kept[strokes == 0].mean() < 0.01
