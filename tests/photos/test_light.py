"""A photograph as if evenly lit: its size, which way round it is, the sheet on a dark desk."""

import cv2
import numpy as np
import pytest

from digits.photos.light import (
    find_board,
    find_sheet,
    flatten_light,
    is_light_on_dark,
    working_copy,
)
from digits.types import Array


@pytest.mark.parametrize(
    ("shape", "scale"),
    [((1000, 2000, 3), 1), ((300, 200), 1), ((4000, 1000, 3), 0.5), ((100, 150), 2), ((1, 300), 1)],
)
def test_pictures_are_analyzed_in_one_range_of_sizes(shape: tuple[int, ...], scale: float) -> None:
    gray, factor = working_copy(np.full(shape, 80, np.uint8))
    assert factor == scale
    assert gray.shape == (round(shape[0] * scale), round(shape[1] * scale))
    assert (gray == 80).all()


def test_a_picture_is_averaged_down_and_smoothly_enlarged() -> None:
    stripes = np.tile(np.array([0, 200], np.uint8), (1000, 2000))
    assert np.abs(working_copy(stripes)[0] - 100.0).max() < 2
    ramp = np.tile(np.arange(0, 200, 4).astype(np.uint8), (50, 1))
    assert (np.diff(working_copy(ramp)[0][0, 12:-12].astype(int)) <= 2).all()


def test_glare_is_not_writing_in_light_ink() -> None:
    picture = np.full((600, 800), 120.0)
    cv2.line(picture, (0, 0), (330, 250), 255, 70)
    picture = cv2.GaussianBlur(picture, (0, 0), 15).astype(np.uint8)
    for box in ((350, 200), (450, 200), (550, 200)):
        cv2.rectangle(picture, box, (box[0] + 50, box[1] + 120), 85, 5, cv2.LINE_AA)
    assert not is_light_on_dark(picture)


@pytest.mark.parametrize("size", [200, 1600])
@pytest.mark.parametrize("paper", [40, 120, 220])
def test_thick_and_thin_strokes_tell_which_is_paper(paper: int, size: int) -> None:
    for width in (size // 100, size // 12):
        for ink, light in ((0, False), (255, True)):
            picture = np.full((size, size), paper, np.uint8)
            cv2.circle(picture, (size // 2, size // 2), size // 4, ink, width)
            assert is_light_on_dark(picture) is light


def test_paper_is_white_and_ink_as_dark_in_shadow_as_in_light() -> None:
    reflects = np.ones((900, 1200))
    reflects[300:600, 200:1000:100] = reflects[310:590, 205:1000:100] = 0.5
    light = np.linspace(230, 70, 1200) * np.linspace(1, 0.8, 900)[:, None]
    flat = flatten_light((light * reflects).astype(np.uint8)).astype(int)
    assert np.abs(flat - 255 * reflects).max() < 12


def test_light_ink_becomes_dark() -> None:
    reflects = np.full((600, 600), 0.2)
    reflects[200:400, 200:400:50] = 1
    flat = flatten_light((np.linspace(250, 150, 600) * reflects).astype(np.uint8))
    assert flat[200:400, 200:400:50].max() < 90
    assert np.delete(flat, np.s_[199:401], axis=0).min() > 240


def on_desk(*corners: tuple[int, int], desk: int = 30, stripe: int = 0) -> tuple[Array, Array]:
    """A sheet on a dark desk, with a pen's line across all of it; and where the sheet is."""
    picture, sheet = np.full((600, 800), desk, np.uint8), np.zeros((600, 800), np.uint8)
    for canvas, value in ((picture, 210), (sheet, 1)):
        cv2.fillPoly(canvas, [np.array(corners, np.int32)], value)
    picture[290 : 290 + stripe] = desk
    return picture, sheet > 0


@pytest.mark.parametrize("stripe", [0, 14])
@pytest.mark.parametrize(
    ("corners", "desk"),
    [
        ([(200, 100), (600, 100), (600, 500), (200, 500)], 130),
        ([(300, 60), (700, 200), (520, 550), (120, 400)], 30),
        ([(-10, 100), (500, 120), (500, 480), (-10, 500)], 30),  # one side is out of the picture
        ([(280, 150), (530, 150), (530, 430), (280, 430)], 30),
    ],
)
def test_a_sheet_on_a_desk_is_found(corners: list[tuple[int, int]], desk: int, stripe: int) -> None:
    for size in (0.2, 1, 3):
        picture, sheet = (
            cv2.resize(array.astype(np.uint8), None, fx=size, fy=size)
            for array in on_desk(*corners, desk=desk, stripe=stripe)
        )
        found = find_sheet(picture)
        assert found is not None
        assert not (found & (sheet == 0)).sum() > 0.02 * sheet.sum()  # nothing of the desk
        assert (found & (sheet > 0)).sum() > 0.85 * sheet.sum()
        assert (flatten_light(picture)[~found] == 255).all()
        board = find_board(255 - picture)  # is one only with something written on it
        assert (board is not None) == (stripe > 0)
        if corners[0] == (200, 100):
            two = find_sheet(np.hstack([picture, picture]))
            assert two is not None and abs(two.mean() - found.mean()) < 0.02


@pytest.mark.parametrize(
    ("corners", "desk"),
    [
        ([(-10, 100), (500, 100), (500, 500), (-10, 500)], 120),  # a shadow, no desk
        ([(350, 250), (450, 250), (450, 350), (350, 350)], 30),  # too small
        ([(100, 50), (700, 50), (700, 150), (200, 150), (200, 550), (100, 550)], 30),  # an L
        ([(-9, -9), (810, -9), (810, 400), (-9, 400)], 30),  # out of the picture on three sides
        ([(-9, -9), (810, -9), (810, 610), (-9, 610)], 30),
        (np.array(cv2.ellipse2Poly((400, 300), (170, 230), 0, 0, 360, 5)).tolist(), 0),  # a light 0
    ],
)
def test_what_is_no_sheet(corners: list[tuple[int, int]], desk: int) -> None:
    assert find_sheet(on_desk(*corners, desk=desk)[0]) is None
