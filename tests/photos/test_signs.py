"""What stands between digits, from the boxes of the ink."""

import cv2
import numpy as np
import pytest

from digits.photos.signs import TIMES, shape_of, text_of
from digits.types import Box

POINT, COMMA = Box(0, 92, 8, 8), Box(0, 88, 8, 26)
MINUS, LETTER = Box(0, 50, 40, 6), Box(0, 20, 60, 80)


@pytest.mark.parametrize("scale", [0.3, 1, 4])
@pytest.mark.parametrize(
    ("written", "text"),
    [
        *((text, text) for text in ("12", "3", "3.14", "1,5", "2-4", "-27", "12 34", "3.14 -27")),
        *((text, text) for text in ("12:34", "3-1=2")),
        ("12xx", "12?"),
        (",,3..14", "3.14"),  # a point follows a digit
        (". 314", "314"),
    ],
)
def test_what_stands_between_digits(written: str, text: str, scale: float) -> None:
    digits, others, x = [], [], 0
    signs = {".": [POINT], ",": [COMMA], "-": [MINUS], "x": [LETTER]}
    signs |= {":": [POINT, POINT._replace(y=45)], "=": [MINUS, MINUS._replace(y=70)]}
    for character in written:
        if character in signs:
            boxes = [box._replace(x=x) for box in signs[character]]
            others += [box.scaled(scale) for box in boxes]
            box = boxes[0]
        elif character != " ":
            box = Box(x, 0, 60, 100)
            digits.append((character, box.scaled(scale)))
        x = x + 120 if character == " " else box.right + 15
    below = Box(0, 130, 400, 5).scaled(scale)
    assert text_of(digits, dict.fromkeys([*others, below], "")) == text


@pytest.mark.parametrize(
    ("box", "text"),
    [
        (Box(90, 92, 6, 6), "3.1"),
        (Box(90, 92, 5, 5), "31"),  # a speck
        (Box(88, 92, 8, 12), "3,1"),
        (Box(88, 103, 8, 8), "3,1"),  # below the line on which the digits stand
        (Box(88, 131, 8, 8), "31"),  # of another row
        (Box(75, 15, 40, 6), "31"),  # a line over the row
        (Box(75, 19, 40, 6), "3-1"),
        (Box(75, 78, 40, 6), "3?1"),
        (Box(75, 50, 40, 20), "3?1"),
        (Box(85, 20, 19, 19), "31"),
        (Box(85, 20, 20, 20), "3?1"),
        (Box(85, 52, 49, 49), "3.1"),
        (Box(85, 52, 50, 50), "3?1"),
        (Box(348, 92, 8, 8), "31."),
        (Box(351, 92, 8, 8), "31"),  # too far away
        (Box(50, 50, 40, 6), "3-1"),
        (Box(30, 50, 40, 6), "31"),  # in the digit, for the greater part
        (Box(62, 50, 200, 6), "31"),  # too long
    ],
)
def test_a_sign_is_told_by_shape_and_place(box: Box, text: str) -> None:
    boxes = [Box(0, 0, 60, 100), Box(140, 0, 60, 100), box, Box(500, 0, 400, 8)]
    for down in (0, 300):
        three, one, *others = (box._replace(y=box.y + down) for box in boxes)
        for beside in (others[:1], others):
            others_of = dict.fromkeys(beside, "")
            assert text_of([("3", three), ("1", one)], others_of).replace(" ", "") == text


@pytest.mark.parametrize(("gap", "text"), [(100, "31"), (101, "3 1")])
def test_a_gap_is_as_wide_as_a_digit_is_high(gap: int, text: str) -> None:
    assert text_of([("3", Box(0, 0, 60, 100)), ("1", Box(60 + gap, 0, 9, 100))], {}) == text
    places = ((0, "1"), (90, "2"), (222, "3"))
    three = [(digit, Box(x, 0, 40, 100)) for x, digit in places]
    assert text_of(three, {}) == "123"  # 92 is not 1.8 times the median, 71
    assert text_of([*three, ("4", Box(300, 0, 40, 100))], {}) == "12 34"  # now it is 50


@pytest.mark.parametrize("scale", [1, 3])
@pytest.mark.parametrize(
    ("strokes", "shape"),
    [
        ([[(8, 0), (8, 16)], [(0, 8), (16, 9)]], "+"),
        ([[(0, 1), (16, 15)], [(15, 0), (1, 16)]], TIMES),
        ([[(6, 0), (1, 8), (0, 16), (1, 24), (6, 32)]], "("),
        ([[(0, 0), (5, 8), (6, 16), (5, 24), (0, 32)]], ")"),
        ([[(0, 0), (8, 0), (8, 16)]], ""),
        ([[(0, 0), (0, 16)], [(0, 8), (10, 8)], [(10, 0), (10, 16)]], ""),  # H
        ([[(4, 0), (4, 30)], [(0, 8), (9, 8)]], ""),  # t
        ([[(0, 0), (0, 32)]], ""),
        ([[(6, 0), (3, 4), (3, 30)]], ""),  # a lean r, or an f
        ([[(0, 0), (14, 0), (14, 14), (0, 14), (0, 0)]], ""),
    ],
)
def test_signs_of_sums_are_known_by_their_shape(
    strokes: list[list[tuple[int, int]]], shape: str, scale: int
) -> None:
    ink = np.zeros((40 * scale, 30 * scale), np.float32)
    for points in strokes:
        cv2.polylines(ink, [4 * scale + scale * np.array(points)], False, 1.0, 3 * scale)
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    assert shape_of(ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]) == shape
    around = [("3", Box(0, 0, 60, 100)), ("1", Box(140, 0, 60, 100))]
    assert text_of(around, {Box(85, 30, 30, 40): shape}) == f"3{shape or '?'}1"
