"""Print told from handwriting by the color of its lines."""

import cv2
import numpy as np
import pytest

from digits.photos.color import erase_print
from digits.photos.light import flatten_light
from digits.types import Array

BLACK, BLUE, RED, PAPER = (40, 40, 40), (190, 80, 40), (50, 40, 200), (235, 235, 235)


def form(lines: tuple[int, ...], print_: tuple[int, ...], pen: tuple[int, ...]) -> Array:
    page = np.full((600, 900, 3), 235, np.uint8)
    for y in range(60, 600, 120):
        cv2.line(page, (0, y), (900, y + 8), lines, 3)
    for x in range(90, 900, 180):
        cv2.line(page, (x, 0), (x + 4, 600), lines, 3)
    cv2.putText(page, "7", (130, 150), cv2.FONT_HERSHEY_SIMPLEX, 2, print_, 5)
    cv2.putText(page, "5", (500, 290), cv2.FONT_HERSHEY_SIMPLEX, 3, pen, 7)
    return page


def ink_of(flat: Array) -> tuple[float, float, float]:
    """How dark the 7, the 5 and the rest of the page are."""
    dark = 255.0 - flat
    seven, five = dark[105:155, 125:170].mean(), dark[225:295, 500:560].mean()
    return seven, five, dark[:, 600:].mean()


@pytest.mark.parametrize("factor", [0.4, 1, 2.5])
@pytest.mark.parametrize(
    ("lines", "pen"), [(BLACK, BLUE), (BLACK, RED), ((43, 46, 44), RED), (BLUE, BLACK), (RED, BLUE)]
)
def test_color_of_the_lines(lines: tuple[int, ...], pen: tuple[int, ...], factor: float) -> None:
    page = cv2.resize(form(lines, lines, pen), None, fx=factor, fy=factor)
    flat = flatten_light(cv2.cvtColor(page, cv2.COLOR_BGR2GRAY))
    left = cv2.resize(erase_print(page, flat), (900, 600), interpolation=cv2.INTER_AREA)
    before = ink_of(cv2.resize(flat, (900, 600), interpolation=cv2.INTER_AREA))
    seven, five, lines_left = ink_of(left)
    assert seven < 0.2 * before[0]
    assert lines_left < 0.2 * before[2]
    assert five > 0.7 * before[1]


PALE = (216, 169, 153)
"""Blue ink, diluted: in each channel 0.42 times as dark."""


@pytest.mark.parametrize(
    ("lines", "print_", "pen"),
    [
        (PAPER, PAPER, PAPER),
        (BLACK, BLACK, BLACK),
        (BLUE, BLUE, BLUE),
        (PALE, PALE, BLUE),  # of one color, though not as dark
        (PAPER, BLACK, BLUE),  # no lines
    ],
)
def test_ink_of_one_color_and_two_pens_on_blank_paper_stay(
    lines: tuple[int, ...], print_: tuple[int, ...], pen: tuple[int, ...]
) -> None:
    page = form(lines, print_, pen)
    flat = flatten_light(cv2.cvtColor(page, cv2.COLOR_BGR2GRAY))
    assert np.array_equal(erase_print(page, flat), flat)


def test_tables_of_two_colors_stay() -> None:
    page = form(BLACK, BLACK, BLUE)
    page[:, 450:] = form(BLUE, BLUE, BLUE)[:, 450:]
    flat = flatten_light(cv2.cvtColor(page, cv2.COLOR_BGR2GRAY))
    assert np.array_equal(erase_print(page, flat), flat)
