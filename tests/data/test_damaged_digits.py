"""Digits with flaws that leave them readable."""

import numpy as np
import pytest

from digits.data import damaged_digits, synthetic_digits
from digits.types import Array
from predict_image import load_reader


@pytest.fixture(scope="module")
def digits() -> tuple[Array, Array]:
    return synthetic_digits.generate_inputs(300, np.random.default_rng(4))


@pytest.mark.parametrize("flaw", ["damage", "shrink"])
def test_flaws_change_digits_and_leave_them_readable(
    digits: tuple[Array, Array], flaw: str
) -> None:
    x, t = digits
    rng = np.random.default_rng(1)
    flawed = damaged_digits.damage(x, t, rng) if flaw == "damage" else damaged_digits.shrink(x, rng)
    assert flawed.shape == x.shape and flawed.dtype == np.float32
    assert (flawed.min(), flawed.max()) == (0, 1)
    assert (np.abs(flawed - x).sum(axis=1) > 5).all()
    predicted = np.asarray(load_reader(None).predict(flawed))[:, :10].argmax(axis=1)
    assert np.mean(predicted == t) > 0.9


def test_no_digits_give_none(rng: np.random.Generator) -> None:
    none = np.zeros((0, 784), np.float32)
    assert len(damaged_digits.damage(none, np.zeros(0, int), rng)) == 0
    assert len(damaged_digits.shrink(none, rng)) == 0
