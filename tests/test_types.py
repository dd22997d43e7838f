"""Boxes: what they measure, and where they go when a picture is turned."""

import numpy as np
import pytest

from digits.types import Box


def test_what_a_box_measures() -> None:
    box, other = Box(2, 3, 4, 5), Box(9, 4, 2, 2)
    assert (box.right, box.bottom, box.area, box.longest) == (6, 8, 20, 5)
    assert box.overlap(other) == (-3, 2)
    assert box.gap(other) == 3
    assert box.union(other) == Box(2, 3, 9, 5)
    assert box.scaled(0.1) == Box(0, 0, 1, 1)
    assert np.zeros((20, 20))[box.slices].shape == (5, 4)


@pytest.mark.parametrize("turns", [-3, -1, 0, 1, 2, 3])
def test_a_box_turns_with_its_picture(turns: int) -> None:
    picture, box = np.zeros((7, 11)), Box(2, 1, 5, 3)
    picture[box.slices] = 1
    turned = np.rot90(picture, turns)
    assert turned[box.rotated(turns, *picture.shape).slices].all()
    assert turned.sum() == box.area
