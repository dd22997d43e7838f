"""Pictures turned by any angle, and back."""

import cv2
import numpy as np
import pytest

from digits.photos.turning import tilt, turn, turn_back
from digits.types import Box


@pytest.mark.parametrize("angle", [0, 90, 180, 270, 30, -45])
def test_a_box_is_turned_back(angle: int) -> None:
    picture = np.zeros((200, 300), np.uint8)
    picture[40:60, 100:180] = 255
    turned, matrix = turn(picture, angle)
    box = turn_back(Box(*cv2.boundingRect(turned)), matrix)
    assert box.x <= 101
    assert box.right >= 179
    assert box.y <= 41
    assert box.bottom >= 59
    assert angle % 90 or np.abs(np.array(box) - (100, 40, 80, 20)).max() <= 1


def test_a_picture_is_turned_clockwise() -> None:
    picture = np.zeros((200, 300), np.uint8)
    picture[:20] = 255
    assert (turn(picture, 90)[0][:, -20:] == 255).all()
    assert (
        np.abs(turn(picture, 90)[0].astype(int) - turn(picture, 89.999)[0][:300, :200]).mean() < 9
    )


@pytest.mark.parametrize("angle", [-40, -12, 0, 7, 35])
def test_the_tilt_of_lines_of_writing_is_found(angle: int, rng: np.random.Generator) -> None:
    page = np.zeros((700, 900), np.uint8)
    for y in range(100, 600, 90):
        for x in np.cumsum(rng.integers(35, 60, 16)).tolist():
            cv2.ellipse(page, (x, y), (14, 22), 20, 0, 300, 255, 5)
    askew = turn(page, angle)[0] > 127
    assert abs(tilt(askew) + angle) <= 1
