"""How much of rendered photographs the shipped network reads."""

from difflib import SequenceMatcher

import numpy as np
import pytest
from rendered_photos import HABITS, render, render_habit, render_kind

from digits.photos.reading import Reading
from predict_image import load_reader, read_digits, read_many


def mistakes(read: str, written: str) -> int:
    """Levenshtein's distance: digits wrong, missing or invented."""
    row = list(range(len(read) + 1))
    for i, character in enumerate(written, 1):
        above, row = row, [i]
        for j, other in enumerate(read, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (character != other)))
    return row[-1]


@pytest.mark.slow
def test_rendered_photos_are_read() -> None:
    """96 % of the digits, 90 % of the rows, and of the digits called sure 99 %."""
    photos = []
    for seed in range(60):
        rng = np.random.default_rng([20, seed])
        photos.append(render(rng, int(rng.integers(1, 9))))
    digits = wrong = rows = whole = sure = right = 0
    answers = read_many([photo.picture for photo in photos], load_reader(None))
    for photo, reading in zip(photos, answers, strict=True):
        assert isinstance(reading, Reading)
        read, written = "".join(reading.rows), "".join(photo.rows)
        digits += len(written)
        wrong += mistakes(read, written)
        rows += len(photo.rows)
        whole += sum(row in reading.rows for row in photo.rows)
        matched = SequenceMatcher(None, read, written, autojunk=False).get_matching_blocks()
        hit = {block.a + i for block in matched for i in range(block.size)}
        confident = {i for i, digit in enumerate(reading.digits) if digit.confidence >= 0.95}
        sure += len(confident)
        right += len(confident & hit)
    assert 1 - wrong / digits >= 0.96
    assert whole / rows >= 0.90
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
    wrong = written = 0
    for seed in range(6):
        photo = render_habit(habit, np.random.default_rng([30, seed]))
        reading = read_digits(photo.picture, load_reader(None), rotate=False)
        wrong += mistakes("".join(reading.rows), "".join(photo.rows))
        written += len(photo.rows[0])
    assert wrong <= 0.2 * written
