"""How much of rendered photographs the shipped network reads: gradients, shadows, ruling, blur,
noise, pencil, tilt, light on dark.
"""

import numpy as np
import pytest
from rendered_photos import render

from digits.photos.reading import Reading
from predict_image import SHIPPED_MODEL, load_reader, read_many

PHOTOS = 500


def mistakes(read: str, written: str) -> int:
    """Levenshtein's distance: digits wrong, missing or invented."""
    row = list(range(len(read) + 1))
    for i, character in enumerate(written, 1):
        above, row = row, [i]
        for j, other in enumerate(read, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (character != other)))
    return row[-1]


@pytest.mark.slow
@pytest.mark.skipif(not SHIPPED_MODEL.exists(), reason=f"there is no {SHIPPED_MODEL}")
def test_rendered_photos_are_read() -> None:
    """One to eight digits a photo: 97 % of the digits, 90 % of the rows."""
    photos = []
    for seed in range(PHOTOS):
        rng = np.random.default_rng([20, seed])
        photos.append(render(rng, int(rng.integers(1, 9))))
    digits = wrong = rows = whole = 0
    readings = read_many([photo.picture for photo in photos], load_reader(None))
    for photo, reading in zip(photos, readings, strict=True):
        assert isinstance(reading, Reading)
        digits += len("".join(photo.rows))
        wrong += mistakes("".join(reading.rows), "".join(photo.rows))
        rows += len(photo.rows)
        whole += sum(row in reading.rows for row in photo.rows)
    assert 1 - wrong / digits >= 0.97
    assert whole / rows >= 0.90
