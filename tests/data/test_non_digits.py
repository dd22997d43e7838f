"""Things that are no digit are images like those of digits, of all kinds, the same for one seed,
and not digits.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from digits.data import non_digits, synthetic_digits
from digits.types import Array

DRAWN = [non_digits.letter, non_digits.scribble, non_digits.line, non_digits.blot]


@pytest.fixture(scope="module")
def digits() -> tuple[Array, Array]:
    """A hundred digits, ten of each: images (100, 784) and labels."""
    images, labels = synthetic_digits.generate(
        100, np.random.default_rng(0), labels=np.arange(100) % 10
    )
    return images.reshape(-1, 784).astype(np.float32) / 255, labels


# --- all kinds together ---------------------------------------------------------------------------


def test_images_are_like_those_of_digits(digits: tuple[Array, Array]) -> None:
    x = non_digits.generate(200, *digits, np.random.default_rng(1))
    assert x.shape == (200, 784)
    assert x.dtype == np.float32
    assert x.min() == 0
    assert x.max() == 1
    with_ink = x[x.any(axis=1)]
    assert len(with_ink) > 190  # empty paper is no digit either
    np.testing.assert_allclose(with_ink.max(axis=1), 1, rtol=1e-5)  # the darkest ink is 1
    images = with_ink.reshape(-1, 28, 28)
    # A box of 20 x 20, as far towards the middle of the image as its ink's centre of mass asks.
    along = np.arange(28)
    for axis in (1, 2):
        profile = images.sum(axis=axis)
        first = np.argmax(profile > 0, axis=1)
        last = 27 - np.argmax(profile[:, ::-1] > 0, axis=1)
        assert (last - first).max() <= 19
        centre = profile @ along / profile.sum(axis=1)
        assert np.abs(centre - 14).max() < 4
        assert np.median(np.abs(centre - 14)) < 0.5


def test_same_seed_same_images(digits: tuple[Array, Array]) -> None:
    one, two, other = (
        non_digits.generate(50, *digits, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, other)


def test_no_two_are_alike(digits: tuple[Array, Array]) -> None:
    x = non_digits.generate(200, *digits, np.random.default_rng(3))
    assert len(np.unique(x, axis=0)) > 195  # empty paper is like empty paper


def test_the_digits_stay_as_they_are(digits: tuple[Array, Array]) -> None:
    x, t = digits
    x, t = x.copy(), t.copy()
    x.flags.writeable = t.flags.writeable = False
    non_digits.generate(100, x, t, np.random.default_rng(4))


def test_every_kind_has_its_share(
    digits: tuple[Array, Array], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = dict.fromkeys(non_digits.SHARES, 0)

    def counting(name: str, function: str) -> None:
        original = getattr(non_digits, function)

        def counted(*arguments: Any) -> Any:
            drawn[name] += arguments[0] if function.endswith("s") else 1
            return original(*arguments)

        monkeypatch.setattr(non_digits, function, counted)

    for name in ("letter", "scribble", "line", "blot"):
        counting(name, name)
    for name in ("part", "pair"):
        counting(name, f"{name}s")  # these make several at once
    assert len(non_digits.generate(600, *digits, np.random.default_rng(5))) == 600
    assert sum(non_digits.SHARES.values()) == pytest.approx(1)
    for name, share in non_digits.SHARES.items():
        assert drawn[name] / 600 == pytest.approx(share, abs=0.06)


def test_none_are_asked_for(digits: tuple[Array, Array]) -> None:
    assert non_digits.generate(0, *digits, np.random.default_rng(0)).shape == (0, 784)
    images, labels = non_digits.generate_digits(0, np.random.default_rng(0))
    assert images.shape == (0, 784)
    assert labels.shape == (0,)


def test_a_negative_number_is_refused(digits: tuple[Array, Array]) -> None:
    with pytest.raises(ValueError, match="expected n >= 0 images, received -1; ask for 0 or more"):
        non_digits.generate(-1, *digits, np.random.default_rng(0))
    with pytest.raises(ValueError, match="expected n >= 0 images, received -1; ask for 0 or more"):
        non_digits.generate_digits(-1, np.random.default_rng(0))


@pytest.mark.parametrize("kept", [[], [1], [1, 6, 9], [0]])
def test_any_digits_will_do(digits: tuple[Array, Array], kept: list[int]) -> None:
    x, t = digits
    some = np.isin(t, kept)
    for n in (0, 1, 60):
        images = non_digits.generate(n, x[some], t[some], np.random.default_rng(0))
        assert images.shape == (n, 784)


# --- parts and pairs ------------------------------------------------------------------------------


def test_parts_are_sides_of_digits_of_which_none_is_a_digit(digits: tuple[Array, Array]) -> None:
    x, t = digits
    found = dict.fromkeys(non_digits.SIDES, 0)
    whole = [(non_digits._cropped(image), label) for image, label in zip(x, t, strict=True)]
    for part in non_digits.parts(100, x, t, np.random.default_rng(6)):
        h, w = part.shape
        for digit, label in whole:
            sides = {
                "left": digit[:, :w],
                "right": digit[:, -w:],
                "upper": digit[:h],
                "lower": digit[-h:],
            }
            names = [name for name, side in sides.items() if np.array_equal(side, part)]
            if len(names) == 1:
                side = names[0]
                assert label in non_digits.SIDES[side]
                size = digit.shape[0 if side in ("upper", "lower") else 1]
                kept = h if side in ("upper", "lower") else w
                assert 0.3 - 0.5 / size <= kept / size <= 0.55 + 0.5 / size
                found[side] += 1
                break
        else:
            raise AssertionError("a part of no digit")
    assert found["left"] + found["right"] > found["upper"] + found["lower"] > 5
    assert min(found.values()) > 0


def test_what_alone_would_be_a_one_or_a_three_is_no_part() -> None:
    assert not {1, 3, 4, 7, 8, 9} & set(non_digits.SIDES["right"])
    assert not {1, 6} & set(non_digits.SIDES["left"])


def test_pairs_are_wider_than_a_digit_and_hold_the_first_one(digits: tuple[Array, Array]) -> None:
    x, t = digits
    whole = [non_digits._cropped(image) for image in x]
    for pair in non_digits.pairs(50, x, t, np.random.default_rng(7)):
        lefts = [
            digit
            for digit in whole
            if (pair[4 : 4 + len(digit), : digit.shape[1]] >= digit).all()
            and pair[:, digit.shape[1] :].any()
        ]
        assert lefts


# --- the pen --------------------------------------------------------------------------------------


@pytest.mark.parametrize("draw", DRAWN)
def test_what_is_drawn_is_ink_on_paper(draw: Callable[..., Array]) -> None:
    rng = np.random.default_rng(8)
    for _ in range(40):
        ink = draw(rng)
        assert ink.dtype == np.float32
        assert ink.min() >= 0
        assert 80 <= max(ink.shape) <= 120
        assert ink.any() or draw is non_digits.blot


def test_every_letter_can_be_written() -> None:
    class Chooses(np.random.Generator):
        """Picks the given number where it is asked for a whole one."""

        chosen = 0

        def integers(self, *_: Any, **__: Any) -> Any:
            return self.chosen

    rng = Chooses(np.random.PCG64(0))
    for rng.chosen in range(len(non_digits.LETTERS)):
        ink = non_digits.prepared([non_digits.letter(rng)]).reshape(28, 28)
        assert 15 < ink.sum() < 250
    assert not set("0123456789OISZlobqgsz") & non_digits.LETTERS.keys()


def test_dashes_lie_rather_than_stand() -> None:
    """An upright dash is a 1; half of all lines are dashes."""
    rng = np.random.default_rng(9)
    for _ in range(200):
        ink = non_digits.line(rng)
        rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
        width = columns[-1] - columns[0]
        assert width > 0.35 * (rows[-1] - rows[0])


def test_corners_are_cut_at_a_quarter_of_their_sides() -> None:
    corner = np.array([[0.0, 0], [4, 0], [4, 4]])
    expected = [[0, 0], [1, 0], [3, 0], [4, 1], [4, 3], [4, 4]]
    np.testing.assert_array_equal(non_digits._rounded(corner, times=1), expected)
    curve = non_digits._rounded(corner)
    np.testing.assert_array_equal(curve[[0, -1]], corner[[0, -1]])
    assert np.linalg.norm(curve - [4, 0], axis=1).min() > 0.7  # the corner itself is gone
    doubled = non_digits._rounded(corner[[0, 1, 1, 2]])
    assert np.linalg.norm(doubled - [4, 0], axis=1).min() == 0  # the pen meets it twice: it stays


def test_the_same_pen_writes_digits() -> None:
    x, t = non_digits.generate_digits(100, np.random.default_rng(10))
    again, _ = non_digits.generate_digits(100, np.random.default_rng(10))
    np.testing.assert_array_equal(x, again)
    assert x.shape == (100, 784)
    assert x.dtype == np.float32
    assert set(t) == set(range(10))
    ink = x.reshape(-1, 28, 28)
    widths = ink.any(axis=1).sum(axis=1)
    assert widths[t == 0].mean() > 1.5 * widths[t == 1].mean()
    holes = ink[:, 12:17, 12:17].min(axis=(1, 2))
    assert (holes[t == 0] < 0.5).mean() > 0.8
