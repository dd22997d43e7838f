"""What boxes measure."""

import numpy as np

from digits.types import Box


def test_what_a_box_measures() -> None:
    box, other = Box(2, 3, 4, 5), Box(9, 4, 2, 2)
    assert (box.right, box.bottom, box.area, box.longest) == (6, 8, 20, 5)
    assert (box.overlap(other), box.union(other)) == ((-3, 2), Box(2, 3, 9, 5))
    assert box.scaled(0.1) == Box(0, 0, 1, 1)
    assert np.zeros((20, 20))[box.slices].shape == (5, 4)
