"""Things that are no digit are images like those of digits, the same for one seed."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from digits.data import glyphs, non_digits, synthetic_digits
from digits.types import Array

DRAWN = [non_digits.letter, non_digits.scribble, non_digits.line, non_digits.blot]


@pytest.fixture(scope="module")
def digits() -> tuple[Array, Array]:
    """A hundred digits: images (100, 784) and labels."""
    return synthetic_digits.generate_inputs(100, np.random.default_rng(0))


def test_images_are_like_those_of_digits(digits: tuple[Array, Array]) -> None:
    x = non_digits.generate(200, *digits, np.random.default_rng(1))
    assert x.shape == (200, 784) and x.dtype == np.float32 and x.min() == 0
    with_ink = x[x.any(axis=1)]
    assert len(with_ink) > 190  # empty paper is no digit either
    np.testing.assert_allclose(with_ink.max(axis=1), 1, rtol=1e-5)  # the darkest ink is 1
    images = with_ink.reshape(-1, 28, 28)
    # A box of 20 x 20, as far towards the middle of the image as its ink's center of mass asks.
    along = np.arange(28)
    for axis in (1, 2):
        profile = images.sum(axis=axis)
        first = np.argmax(profile > 0, axis=1)
        last = 27 - np.argmax(profile[:, ::-1] > 0, axis=1)
        assert (last - first).max() <= 19
        center = profile @ along / profile.sum(axis=1)
        assert np.abs(center - 14).max() < 4 and np.median(np.abs(center - 14)) < 0.5


@pytest.mark.parametrize("kept", [[], [1], [1, 6, 9], [0]])
def test_any_digits_will_do_and_stay(digits: tuple[Array, Array], kept: list[int]) -> None:
    some = np.isin(digits[1], kept)
    x, t = digits[0][some], digits[1][some]
    x.flags.writeable = t.flags.writeable = False
    for n in (0, 1, 60):
        images, same = (non_digits.generate(n, x, t, np.random.default_rng(0)) for _ in range(2))
        assert images.shape == (n, 784)
        np.testing.assert_array_equal(images, same)
    with pytest.raises(ValueError, match="received -1"):
        non_digits.generate(-1, x, t, np.random.default_rng(0))


def cropped(image: Array) -> Array:
    """The image without the empty rows and columns around its ink."""
    image = image.reshape(28, 28)
    rows, columns = np.flatnonzero(image.any(axis=1)), np.flatnonzero(image.any(axis=0))
    return image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def side_of(part: Array, digit: Array) -> str | None:
    """Which side of the digit the part is, if it is exactly one."""
    h, w = part.shape
    sides = {"left": digit[:, :w], "right": digit[:, -w:], "upper": digit[:h], "lower": digit[-h:]}
    names = [name for name, side in sides.items() if np.array_equal(side, part)]
    return names[0] if len(names) == 1 else None


def test_parts_are_sides_of_digits_of_which_none_is_a_digit(digits: tuple[Array, Array]) -> None:
    x, t = digits
    found: list[tuple[str, int]] = []
    for part in non_digits.parts(100, x, t, np.random.default_rng(6)):
        sides = [(side_of(part, cropped(image)), label) for image, label in zip(x, t, strict=True)]
        (side,) = {(side, int(label)) for side, label in sides if side}
        found.append(side)
    assert {side for side, _ in found} == {"left", "right", "upper", "lower"}
    # The right of a 7 is a 1, that of an 8 is a 3.
    assert not {1, 3, 4, 7, 8, 9} & {label for side, label in found if side == "right"}
    assert not {1, 6} & {label for side, label in found if side == "left"}


def test_pairs_are_wider_than_a_digit_and_hold_the_first_one(digits: tuple[Array, Array]) -> None:
    x, t = digits
    for pair in non_digits.pairs(50, x, t, np.random.default_rng(7)):
        assert any(
            (pair[4 : 4 + len(digit), : digit.shape[1]] >= digit).all()
            and pair[:, digit.shape[1] :].any()
            for digit in map(cropped, x)
        )


@pytest.mark.parametrize("draw", DRAWN)
def test_what_is_drawn_is_ink_on_paper(draw: Callable[..., Array]) -> None:
    rng = np.random.default_rng(8)
    for _ in range(40):
        ink = draw(rng)
        assert ink.dtype == np.float32 and ink.min() >= 0
        assert 80 <= max(ink.shape) <= 120
        assert ink.any() or draw is non_digits.blot


def test_letters_differ_and_are_no_digits() -> None:
    rng = np.random.default_rng(11)
    ink = non_digits.prepared([non_digits.letter(rng) for _ in range(100)]).sum(axis=1)
    assert 15 < ink.min() < ink.max() - 40 < 210
    assert not set("0123456789OISZlobqgsz") & glyphs.letters().keys()


def test_dashes_lie_rather_than_stand() -> None:
    """An upright dash is a 1; half of all lines are dashes."""
    rng = np.random.default_rng(9)
    for _ in range(200):
        _, _, width, height = cv2.boundingRect((non_digits.line(rng) > 0).astype(np.uint8))
        assert width > 0.35 * height


def test_the_same_pen_writes_digits() -> None:
    x, t = non_digits.generate_digits(100, np.random.default_rng(10))
    again, _ = non_digits.generate_digits(100, np.random.default_rng(10))
    np.testing.assert_array_equal(x, again)
    assert x.shape == (100, 784) and x.dtype == np.float32
    assert set(t) == set(range(10))
    ink = x.reshape(-1, 28, 28)
    widths = ink.any(axis=1).sum(axis=1)
    assert widths[t == 0].mean() > 1.5 * widths[t == 1].mean()
    holes = ink[:, 12:17, 12:17].min(axis=(1, 2))
    assert (holes[t == 0] < 0.5).mean() > 0.8
