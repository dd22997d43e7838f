"""Augmented images are what the options promise, reproducible, and prepared ahead of time."""

import itertools
import threading
from collections.abc import Iterator
from dataclasses import FrozenInstanceError, fields, replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from digits.training import augmentation
from digits.training.augmentation import Augmentation, tta_views
from digits.training.prefetch import prefetch

Images = NDArray[np.float32]

EVERYTHING = Augmentation(
    rotation=10,
    scale=0.1,
    shear=0.1,
    shift=1.5,
    elastic=0.7,
    thickness=0.5,
    noise=0.1,
    blur=0.7,
    contrast=0.6,
    flaws=1,
    lighting=0.3,
)
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


# --- What every option keeps --------------------------------------------------------------------


def test_no_option_no_change(x: Images) -> None:
    rng = np.random.default_rng(0)
    state = rng.bit_generator.state
    unchanged = Augmentation()(x, rng)
    assert np.array_equal(unchanged, x)
    assert not np.may_share_memory(unchanged, x)
    assert rng.bit_generator.state == state


@each_option
def test_every_option_changes_the_images_and_keeps_their_form(x: Images, option: str) -> None:
    before = x.copy()
    changed = only(option)(x, np.random.default_rng(0))
    assert np.array_equal(x, before)
    assert not np.may_share_memory(changed, x)
    assert not np.allclose(changed, x, atol=1e-3)
    assert changed.dtype == np.float32
    assert changed.shape == x.shape
    assert 0 <= changed.min()
    assert changed.max() <= 1


@pytest.mark.parametrize("n", [0, 1, 7])
def test_any_batch_size(x: Images, n: int) -> None:
    changed = EVERYTHING(x[:n], np.random.default_rng(0))
    assert changed.shape == (n, 784)
    assert changed.dtype == np.float32


def test_images_need_not_lie_side_by_side_in_memory(x: Images) -> None:
    frozen = np.asfortranarray(x)
    frozen.flags.writeable = False
    assert np.array_equal(
        EVERYTHING(frozen, np.random.default_rng(0)), EVERYTHING(x, np.random.default_rng(0))
    )


@each_option
def test_same_generator_state_same_images(x: Images, option: str) -> None:
    first, second, other = (only(option)(x, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


@each_option
def test_every_image_has_an_amount_of_its_own(x: Images, option: str) -> None:
    same = np.tile(x[:1], (20, 1))
    changed = only(option)(same, np.random.default_rng(0))
    assert len(np.unique(changed, axis=0)) == 20


# --- Geometry -----------------------------------------------------------------------------------


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


def test_half_the_size() -> None:
    bar = np.zeros((1, 28, 28), dtype=np.float32)
    bar[:, 4:24, 10:18] = 1
    larger = Augmentation(scale=0.5)(bar.reshape(1, 784), Extreme(0)).reshape(28, 28)
    smaller = Augmentation(scale=0.5)(bar.reshape(1, 784), Extreme(1)).reshape(28, 28)
    assert larger[14].sum() == pytest.approx(16, abs=0.1)
    assert smaller[14].sum() == pytest.approx(8 / 1.5, abs=0.5)
    assert smaller[:, 14].sum() == pytest.approx(20 / 1.5, abs=0.5)


def test_shear_leans_upright_bars() -> None:
    bar = np.zeros((1, 28, 28), dtype=np.float32)
    bar[:, 4:24, 13:15] = 1
    leaning = Augmentation(shear=0.3)(bar.reshape(1, 784), Extreme(1)).reshape(28, 28)
    centre = (leaning * np.arange(28)).sum(axis=1)[5:23] / leaning.sum(axis=1)[5:23]
    assert np.diff(centre) == pytest.approx(-0.3, abs=0.1)
    assert leaning[5:23].sum(axis=1) == pytest.approx(2, abs=0.05)


def test_turning_comes_before_slanting_and_stretching(x: Images) -> None:
    at_once = Augmentation(rotation=90, shear=0.3, scale=0.2)(x, Extreme(1))
    turned = Augmentation(rotation=90)(x, Extreme(1))
    one_by_one = Augmentation(shear=0.3, scale=0.2)(turned, Extreme(1))
    assert at_once == pytest.approx(one_by_one, abs=1e-3)


def test_interpolation_against_its_definition(x: Images) -> None:
    rng = np.random.default_rng(0)
    places = rng.uniform(-4, 32, (2, 20, 28, 28)).astype(np.float32)
    read = augmentation._interpolated(x.reshape(-1, 28, 28), *places.copy())
    framed = np.pad(x.reshape(-1, 28, 28), ((0, 0), (5, 6), (5, 6))).astype(np.float64)
    for image, row, column in itertools.product((0, 19), range(0, 28, 3), range(0, 28, 3)):
        p_x, p_y = places[:, image, row, column].astype(np.float64) + 5
        i, j = int(p_y), int(p_x)
        (a, b), (c, d) = framed[image, i : i + 2, j : j + 2]
        upper, lower = a + (b - a) * (p_x - j), c + (d - c) * (p_x - j)
        expected = upper + (lower - upper) * (p_y - i)
        assert read[image, row, column] == pytest.approx(expected, abs=1e-5)


def test_elastic_field_is_smooth_and_as_strong_as_asked() -> None:
    field = augmentation._smooth_fields(6000, np.float32(1.5), np.random.default_rng(0))
    assert field.dtype == np.float32
    assert field.std(axis=0) == pytest.approx(1.5, rel=0.06)
    assert field.mean(axis=0) == pytest.approx(0, abs=0.1)
    centre = field[:, 14, 14]
    near, far = np.corrcoef(centre, field[:, 14, 15])[0, 1], np.corrcoef(centre, field[:, 14, 27])
    assert near > 0.95
    assert abs(far[0, 1]) < 0.2


def test_x_and_y_are_bent_independently(x: Images) -> None:
    still = x[:1]
    bent = Augmentation(elastic=1)(np.tile(still, (400, 1)), np.random.default_rng(0))
    images = bent.reshape(-1, 28, 28)
    mass = images.sum(axis=(1, 2))
    shift_x = (images.sum(axis=1) * np.arange(28)).sum(axis=1) / mass
    shift_y = (images.sum(axis=2) * np.arange(28)).sum(axis=1) / mass
    assert abs(np.corrcoef(shift_x, shift_y)[0, 1]) < 0.2
    assert shift_x.std() > 0.1
    assert shift_y.std() > 0.1


# --- Pen and light ------------------------------------------------------------------------------


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
    grey = np.full((200, 784), 0.5, dtype=np.float32)
    noisy = Augmentation(noise=0.1)(grey, Extreme(1))
    assert noisy.std() == pytest.approx(0.1, rel=0.02)
    assert noisy.mean() == pytest.approx(0.5, abs=0.002)


@pytest.mark.parametrize(("uniform", "power"), [(1, np.e), (0, 1 / np.e), (0.5, 1)])
def test_contrast_raises_grey_levels_to_a_power(x: Images, uniform: float, power: float) -> None:
    changed = Augmentation(contrast=1)(x, Extreme(uniform))
    assert changed == pytest.approx(x**power, rel=1e-5)


def test_flaws_are_rectangles_of_ink_or_paper() -> None:
    for paper, most in ((0.0, 22 * 2 + 4), (1.0, 9)):
        images = np.full((500, 784), paper, dtype=np.float32)
        changed = Augmentation(flaws=1)(images, np.random.default_rng(0)).reshape(-1, 28, 28)
        different = changed != paper
        assert 1 <= different.sum(axis=(1, 2)).min()
        assert different.sum(axis=(1, 2)).max() <= most
        assert not different[:, :3].any()  # nothing at the edge
        assert not different[:, -2:].any()
        drawn = changed[different]
        assert drawn.min() >= (0.3 if paper == 0 else 0)
    empty = np.zeros((500, 784), dtype=np.float32)
    rules = Augmentation(flaws=1)(empty, np.random.default_rng(1)).reshape(-1, 28, 28)
    along, down = ((rules > 0).sum(axis=axis).max(axis=1) for axis in (2, 1))
    assert np.mean(along > 4) == pytest.approx(0.75 * 18 / 19, abs=0.08)  # most lines are level
    assert np.mean(down > 4) == pytest.approx(0.25 * 18 / 19, abs=0.08)


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
    assert 0 <= paper.min()
    assert paper.max() <= 0.6
    assert (np.ptp(paper, axis=(1, 2)) > 0.01).mean() > 0.8


# --- Wrong arguments ----------------------------------------------------------------------------


@each_option
@pytest.mark.parametrize("amount", [-0.1, float("nan"), float("inf")])
def test_amounts_are_not_negative_and_finite(option: str, amount: float) -> None:
    with pytest.raises(ValueError, match=f"expected {option} from 0 to .*received {amount}; "):
        Augmentation(**{option: amount})


@pytest.mark.parametrize("option", ["scale", "thickness", "blur", "flaws", "lighting"])
def test_amounts_are_limited(option: str) -> None:
    with pytest.raises(ValueError, match=f"expected {option} from 0 to"):
        Augmentation(**{option: 2.5})


def test_augmentation_is_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        EVERYTHING.noise = 0.5  # type: ignore[misc]


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
def test_images_must_be_a_float32_batch(images: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"expected images .*received .*; "):
        EVERYTHING(images, np.random.default_rng(0))


def test_rng_must_be_a_generator(x: Images) -> None:
    with pytest.raises(TypeError, match=r"received int; pass numpy\.random\.default_rng"):
        EVERYTHING(x, 0)  # type: ignore[arg-type]


# --- Looking more than once -----------------------------------------------------------------------


def test_five_looks_are_the_images_and_a_pixel_to_each_side(x: Images) -> None:
    seen = [look.reshape(-1, 28, 28) for look in tta_views(x, 5)]
    images = x.reshape(-1, 28, 28)
    assert np.array_equal(seen[0], images)
    assert np.array_equal(seen[1][:, :, 1:], images[:, :, :-1])
    assert np.array_equal(seen[2][:, :, :-1], images[:, :, 1:])
    assert np.array_equal(seen[3][:, 1:], images[:, :-1])
    assert np.array_equal(seen[4][:, :-1], images[:, 1:])


def test_the_last_two_looks_are_turned_to_either_side() -> None:
    bar = np.zeros((1, 28, 28), dtype=np.float32)
    bar[:, 13:15, 4:24] = 1
    _, _, _, _, _, left, right = (
        look.reshape(28, 28) for look in tta_views(bar.reshape(1, 784), 7)
    )
    for turned, degrees in ((left, 8), (right, -8)):
        heights = 13.5 - np.arange(28) @ turned[:, 4:24] / turned[:, 4:24].sum(axis=0)
        slope = np.polyfit(np.arange(4, 24), heights, 1)[0]
        assert np.rad2deg(np.arctan(slope)) == pytest.approx(degrees, abs=0.2)
    assert right == pytest.approx(left[:, ::-1], abs=1e-6)


@pytest.mark.parametrize("n", [0, 1, 7])
def test_looks_keep_the_form_of_the_images(x: Images, n: int) -> None:
    before = x.copy()
    seen = list(tta_views(x[:n], 7))
    assert [look.shape for look in seen] == [(n, 784)] * 7
    assert {look.dtype for look in seen} == {np.dtype(np.float32)}
    assert np.array_equal(x, before)
    assert len(list(tta_views(x, 3))) == 3


@pytest.mark.parametrize("count", [-1, 0, 8])
def test_one_to_seven_views(x: Images, count: int) -> None:
    with pytest.raises(ValueError, match="expected 1 to 7 views of an image; received"):
        next(tta_views(x, count))


# --- Prefetching --------------------------------------------------------------------------------


def running() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "prefetch"]


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    assert running() == []


@pytest.mark.parametrize("depth", [1, 2, 5])
@pytest.mark.parametrize("n", [0, 1, 2, 3, 50])
def test_prefetch_keeps_items_and_order(n: int, depth: int) -> None:
    assert list(prefetch(range(n), depth)) == list(range(n))


def test_items_are_prepared_in_another_thread() -> None:
    def names() -> Iterator[str]:
        for _ in range(3):
            yield threading.current_thread().name

    assert list(prefetch(names())) == ["prefetch"] * 3


@pytest.mark.parametrize("depth", [1, 3])
def test_prefetch_runs_ahead_by_depth_and_not_further(depth: int) -> None:
    prepared = 0
    full = threading.Event()

    def items() -> Iterator[int]:
        nonlocal prepared
        for item in range(100):
            prepared += 1
            if prepared == depth + 2:  # one taken, depth waiting, one in hand
                full.set()
            yield item

    ahead = prefetch(items(), depth)
    assert next(ahead) == 0
    assert full.wait(10)
    for taken in range(2, 20):
        assert next(ahead) == taken - 1
        assert prepared <= taken + depth + 1
    ahead.close()


def test_an_error_of_the_thread_is_raised_in_its_place() -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise OSError("disk on fire")

    ahead = prefetch(items())
    assert next(ahead) == 1
    assert next(ahead) == 2
    with pytest.raises(OSError, match="disk on fire") as caught:
        next(ahead)
    assert any(entry.name == "items" for entry in caught.traceback)
    with pytest.raises(StopIteration):
        next(ahead)


@pytest.mark.parametrize("depth", [1, 2, 5])
@pytest.mark.parametrize("taken", [1, 2, 10])
def test_stopping_early_ends_the_thread(depth: int, taken: int) -> None:
    ahead = prefetch(itertools.count(), depth)
    assert list(itertools.islice(ahead, taken)) == list(range(taken))
    assert len(running()) == 1
    ahead.close()
    assert running() == []


def test_leaving_the_loop_ends_the_thread() -> None:
    def first_above(limit: int) -> int | None:
        for item in prefetch(itertools.count()):
            if item > limit:
                return item
        return None

    assert first_above(5) == 6
    assert running() == []


def test_an_error_of_the_consumer_ends_the_thread() -> None:
    with pytest.raises(KeyboardInterrupt):
        for _ in prefetch(itertools.count()):
            raise KeyboardInterrupt
    assert running() == []


def test_nothing_starts_before_the_first_item_is_asked_for() -> None:
    def items() -> Iterator[int]:
        raise AssertionError("asked for")
        yield

    prefetch(items())
    assert running() == []


@pytest.mark.parametrize("depth", [0, -1])
def test_depth_is_at_least_one(depth: int) -> None:
    with pytest.raises(ValueError, match="number of items to prepare ahead"):
        prefetch(range(3), depth)
