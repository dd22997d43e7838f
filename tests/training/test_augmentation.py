"""Augmented images are what the options promise, and reproducible."""

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from digits.training.augmentation import Augmentation, tta_views

Images = NDArray[np.float32]

EVERYTHING = Augmentation(
    rotation=10, scale=0.1, shear=0.1, shift=1.5, elastic=0.7, thickness=0.5,
    noise=0.1, blur=0.7, contrast=0.6, flaws=1, lighting=0.3,
)  # fmt: skip
each_option = pytest.mark.parametrize("option", [option.name for option in fields(Augmentation)])


class Extreme(np.random.Generator):
    """A generator whose uniform numbers are all the same: 1 gives every option's largest amount."""

    def __init__(self, uniform: float) -> None:
        super().__init__(np.random.PCG64(0))
        self.always = uniform

    def random(self, size: Any = None, dtype: Any = np.float64, out: Any = None) -> Any:
        return np.full(size, self.always, dtype=dtype)


@pytest.fixture
def x() -> Images:
    """Blobs of ink on empty paper, (20, 784), different at every pixel and away from the edge."""
    images = np.zeros((20, 28, 28), dtype=np.float32)
    images[:, 7:21, 7:21] = np.random.default_rng(0).random((20, 14, 14), dtype=np.float32)
    return images.reshape(20, 784)


def only(option: str) -> Augmentation:
    return replace(Augmentation(), **{option: getattr(EVERYTHING, option)})


def test_no_option_no_change(x: Images) -> None:
    unchanged = Augmentation()(x, np.random.default_rng(0))
    assert np.array_equal(unchanged, x) and not np.may_share_memory(unchanged, x)


@each_option
def test_option_changes_each_image_on_its_own_and_reproducibly(x: Images, option: str) -> None:
    before = x.copy()
    first, again, other = (only(option)(x, np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert np.array_equal(x, before)
    assert not np.allclose(first, x, atol=1e-3)
    assert first.dtype == np.float32 and first.shape == x.shape
    assert 0 <= first.min() <= first.max() <= 1
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    alike = only(option)(np.tile(x[:1], (20, 1)), np.random.default_rng(0))
    assert len(np.unique(alike, axis=0)) == 20


@pytest.mark.parametrize("n", [0, 1, 7])
def test_any_batch_size(x: Images, n: int) -> None:
    changed = EVERYTHING(x[:n], np.random.default_rng(0))
    assert changed.shape == (n, 784) and changed.dtype == np.float32


@pytest.mark.parametrize(("uniform", "pixels"), [(1, -2), (0, 2), (0.5, 0)])
def test_shift_is_exact(x: Images, uniform: float, pixels: int) -> None:
    moved = Augmentation(shift=2)(x, Extreme(uniform)).reshape(-1, 28, 28)
    expected = np.roll(x.reshape(-1, 28, 28), (pixels, pixels), axis=(1, 2))
    assert moved == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("uniform", "quarters"), [(1, 1), (0, -1)])
def test_a_quarter_turn_is_exact(x: Images, uniform: float, quarters: int) -> None:
    turned = Augmentation(rotation=90)(x, Extreme(uniform)).reshape(-1, 28, 28)
    expected = np.rot90(x.reshape(-1, 28, 28), quarters, axes=(1, 2))
    assert turned == pytest.approx(expected, abs=1e-4)


def test_shear_leans_upright_bars() -> None:
    bar = np.zeros((1, 28, 28), dtype=np.float32)
    bar[:, 4:24, 13:15] = 1
    leaning = Augmentation(shear=0.3)(bar.reshape(1, 784), Extreme(1)).reshape(28, 28)
    center = (leaning * np.arange(28)).sum(axis=1)[5:23] / leaning.sum(axis=1)[5:23]
    assert np.diff(center) == pytest.approx(-0.3, abs=0.1)
    assert leaning[5:23].sum(axis=1) == pytest.approx(2, abs=0.05)


def test_shift_by_a_fraction_interpolates_between_neighbors(x: Images) -> None:
    moved = Augmentation(shift=0.25)(x, Extreme(1)).reshape(-1, 28, 28)  # looks down and right
    framed = np.pad(x.reshape(-1, 28, 28), ((0, 0), (0, 1), (0, 1)))
    across = 0.75 * framed[:, :, :-1] + 0.25 * framed[:, :, 1:]
    expected = 0.75 * across[:, :-1] + 0.25 * across[:, 1:]
    assert moved == pytest.approx(expected, abs=1e-5)


def test_elastic_field_is_smooth_and_as_strong_as_asked() -> None:
    """A ramp of ink shows by how much each of its pixels was displaced."""
    ramp = np.arange(28, dtype=np.float32) / 27
    fields = []
    for image in (np.tile(ramp, (28, 1)), np.tile(ramp[:, None], (1, 28))):
        images: Images = np.tile(image.reshape(1, 784), (3000, 1)).astype(np.float32)
        bent = Augmentation(elastic=1)(images, np.random.default_rng(0)) - images
        fields.append(27 * bent.reshape(-1, 28, 28)[:, 8:20, 8:20])
    for field in fields:
        assert field.std(axis=0) == pytest.approx(1, rel=0.06)
        assert field.mean(axis=0) == pytest.approx(0, abs=0.1)
    dx, dy = fields
    assert np.corrcoef(dx[:, 6, 6], dx[:, 6, 7])[0, 1] > 0.95  # neighbors move together
    assert abs(np.corrcoef(dx[:, 6, 6], dy[:, 6, 6])[0, 1]) < 0.1  # x and y do not


@pytest.mark.parametrize("uniform", [0, 1])
def test_a_whole_pixel_of_thickness_is_dilation_or_erosion(x: Images, uniform: float) -> None:
    changed = Augmentation(thickness=1)(x, Extreme(uniform)).reshape(-1, 28, 28)
    framed = np.pad(x.reshape(-1, 28, 28), ((0, 0), (1, 1), (1, 1)))
    shifted = [framed[:, i : i + 28, j : j + 28] for i in range(3) for j in range(3)]
    expected = np.max(shifted, axis=0) if uniform else np.min(shifted, axis=0)
    assert changed == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("deviation", [0.3, 0.7, 1.5])
def test_blur_spreads_a_point_as_a_gaussian_does(deviation: float) -> None:
    point = np.zeros((1, 28, 28), dtype=np.float32)
    point[0, 14, 14] = 1
    blurred = Augmentation(blur=deviation)(point.reshape(1, 784), Extreme(1)).reshape(28, 28)
    assert blurred.sum() == pytest.approx(1, abs=1e-5)
    for profile in (blurred.sum(axis=0), blurred.sum(axis=1)):
        variance = (profile * (np.arange(28) - 14.0) ** 2).sum()
        assert variance == pytest.approx(deviation**2, rel=1e-3)


def test_noise_is_as_strong_as_asked() -> None:
    gray = np.full((200, 784), 0.5, dtype=np.float32)
    noisy = Augmentation(noise=0.1)(gray, Extreme(1))
    assert noisy.std() == pytest.approx(0.1, rel=0.02)
    assert noisy.mean() == pytest.approx(0.5, abs=0.002)


@pytest.mark.parametrize(("uniform", "power"), [(1, np.e), (0, 1 / np.e), (0.5, 1)])
def test_contrast_raises_gray_levels_to_a_power(x: Images, uniform: float, power: float) -> None:
    changed = Augmentation(contrast=1)(x, Extreme(uniform))
    assert changed == pytest.approx(x**power, rel=1e-5)


@pytest.mark.parametrize(("paper", "most"), [(0.0, 22 * 2 + 4), (1.0, 9)])
def test_flaws_are_rectangles_of_ink_or_paper(paper: float, most: int) -> None:
    images = np.full((500, 784), paper, dtype=np.float32)
    changed = Augmentation(flaws=1)(images, np.random.default_rng(0)).reshape(-1, 28, 28)
    different = changed != paper
    assert set(different.sum(axis=(1, 2))) <= set(range(1, most + 1))
    assert not different[:, [0, 1, 2, -2, -1]].any()  # nothing at the edge


def test_as_many_images_are_flawed_as_asked(x: Images) -> None:
    many = np.zeros((2000, 784), dtype=np.float32)
    changed = Augmentation(flaws=0.2)(many, np.random.default_rng(0))
    # A gap in empty paper is not seen: two kinds of flaws remain.
    assert changed.any(axis=1).mean() == pytest.approx(1 - 0.8**2, abs=0.04)


def test_lighting_leaves_ink_darker_than_paper() -> None:
    digit = np.zeros((500, 28, 28), dtype=np.float32)
    digit[:, 10:18, 10:18] = 1
    lit = Augmentation(lighting=0.6)(digit.reshape(500, 784), np.random.default_rng(0))
    lit = lit.reshape(500, 28, 28)
    ink, edge = lit[:, 10, 10:18].mean(axis=1), lit[:, 9, 10:18].mean(axis=1)
    assert (ink - edge).min() > 0.4**2 - 0.05
    paper = lit[:, :9]
    assert 0 <= paper.min() <= paper.max() <= 0.6
    assert (np.ptp(paper, axis=(1, 2)) > 0.01).mean() > 0.8


@each_option
def test_amounts_are_limited_not_negative_and_finite(option: str) -> None:
    limited = option in ("scale", "thickness", "blur", "flaws", "lighting")
    for amount in (-0.1, float("nan"), float("inf"), *([2.5] if limited else [])):
        with pytest.raises(ValueError, match=f"expected {option} from 0 to .*received {amount}"):
            Augmentation(**{option: amount})


@pytest.mark.parametrize(
    ("images", "error"),
    [
        (np.zeros((2, 784)), TypeError),
        (np.zeros((2, 784), dtype=np.uint8), TypeError),
        ([[0.0] * 784], TypeError),
        (np.zeros((2, 28, 28), dtype=np.float32), ValueError),
        (np.zeros(784, dtype=np.float32), ValueError),
        (np.zeros((2, 783), dtype=np.float32), ValueError),
    ],
)
def test_images_must_be_a_float32_batch(images: Any, error: type[Exception], x: Images) -> None:
    with pytest.raises(error, match=r"expected images .*received"):
        EVERYTHING(images, np.random.default_rng(0))
    with pytest.raises(TypeError, match="received int"):
        EVERYTHING(x, 0)  # type: ignore[arg-type]


def test_first_five_views_are_the_images_and_shifts_by_a_pixel(x: Images) -> None:
    images = x.reshape(-1, 28, 28)
    shifts = [(0, 0), (0, 1), (0, -1), (1, 0), (-1, 0)]
    for view, shift in zip(tta_views(x, 5), shifts, strict=True):
        assert np.array_equal(view.reshape(-1, 28, 28), np.roll(images, shift, axis=(1, 2)))


def test_last_two_views_are_turned_to_either_side() -> None:
    bar = np.zeros((1, 28, 28), dtype=np.float32)
    bar[:, 13:15, 4:24] = 1
    views = [view.reshape(28, 28) for view in tta_views(bar.reshape(1, 784), 7)]
    for turned, degrees in ((views[5], 8), (views[6], -8)):
        heights = 13.5 - np.arange(28) @ turned[:, 4:24] / turned[:, 4:24].sum(axis=0)
        steepness = np.polyfit(np.arange(4, 24), heights, 1)[0]
        assert np.rad2deg(np.arctan(steepness)) == pytest.approx(degrees, abs=0.2)


@pytest.mark.parametrize("count", [-1, 0, 8])
def test_one_to_seven_views(x: Images, count: int) -> None:
    with pytest.raises(ValueError, match="1 to 7 views"):
        next(tta_views(x, count))
