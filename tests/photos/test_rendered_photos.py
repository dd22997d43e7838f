"""How much of rendered photographs the shipped network reads."""

from difflib import SequenceMatcher

import numpy as np
import pytest
from rendered_photos import HABITS, Photo, render, render_habit, render_kind

from digits.photos.reading import Reading
from predict_image import read_digits


def places_right(reading: Reading, photo: Photo) -> set[int]:
    """Which of the digits read are those that were written."""
    read, written = "".join(reading.rows), "".join(photo.rows)
    matched = SequenceMatcher(None, read, written, autojunk=False).get_matching_blocks()
    return {block.a + i for block in matched for i in range(block.size)}


@pytest.mark.slow
def test_of_digits_called_sure_nearly_all_are_right() -> None:
    """99 %; and 96 % of all."""
    digits = read = sure = right = 0
    for seed in range(60):
        rng = np.random.default_rng([20, seed])
        photo = render(rng, int(rng.integers(1, 9)))
        reading = read_digits(photo.picture)
        places = places_right(reading, photo)
        confident = {i for i, digit in enumerate(reading.digits) if digit.confidence >= 0.95}
        digits, read = digits + len("".join(photo.rows)), read + len(places)
        sure, right = sure + len(confident), right + len(confident & places)
    assert read / digits >= 0.96
    assert right / sure >= 0.99


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "right"),
    [
        *[("single", 9), ("rows", 8), ("boxes", 4), ("turned", 6)],
        *[("clutter", 3), ("board", 7), ("words", 8), ("empty", 9)],
    ],
)
def test_photos_of_a_kind_without_a_mistake(kind: str, right: int) -> None:
    """So many of ten."""
    photos = [render_kind(kind, np.random.default_rng([30, seed])) for seed in range(10)]
    assert sum(read_digits(photo.picture).rows == photo.rows for photo in photos) >= right


@pytest.mark.slow
@pytest.mark.parametrize("habit", HABITS)
def test_a_habit_is_read(habit: str) -> None:
    """However a digit is written in a country, it is that digit: 8 of 10."""
    right = 0
    for seed in range(6):
        photo = render_habit(habit, np.random.default_rng([30, seed]))
        right += len(places_right(read_digits(photo.picture, rotate=False), photo))
    assert right >= 0.8 * 6 * 5
