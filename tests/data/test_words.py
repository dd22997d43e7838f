"""Words and digits in the fonts that a folder holds."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest

from digits.data import words
from digits.types import Array


@pytest.fixture
def fonts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = "DejaVuSans-Oblique.ttf"
    (tmp_path / name).write_bytes((Path(mpl.get_data_path()) / "fonts/ttf" / name).read_bytes())
    monkeypatch.setenv("DIGITS_FONTS", str(tmp_path))
    return str(tmp_path / name)


def is_normalized(images: Array) -> bool:
    return images.dtype == np.float32 and images.min() == 0 and (images.max(axis=1) == 1).all()


def test_words_and_digits_of_a_font(fonts: str, rng: np.random.Generator) -> None:
    images = words.words(30, rng)
    assert images.shape == (30, 784)
    assert is_normalized(images)
    images, labels = words.digits(20, rng)
    assert images.shape == (20, 784)
    assert is_normalized(images)
    assert set(labels) <= set(range(10))
    first, second = (words.digits(5, np.random.default_rng(1))[0] for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_a_font_knows_what_it_can_write(fonts: str) -> None:
    known = words.alphabets(fonts)
    assert {"lower", "upper", "cyrillic"} <= set(known)
    assert "hangul" not in known


def test_no_words_without_fonts(monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator) -> None:
    monkeypatch.delenv("DIGITS_FONTS", raising=False)
    assert (words.words(5, rng).shape, words.digits(5, rng)[0].shape) == ((0, 784), (0, 784))
