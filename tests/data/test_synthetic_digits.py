"""Synthetic digits are reproducible, prepared as MNIST's are, and readable."""

import hashlib
import tracemalloc
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from digits.data import synthetic_digits
from digits.data.synthetic_digits import BOX, SIDE, generate, strokes
from digits.types import Array
from mnist_loader import read_idx

Digits = tuple[Array, Array]

# What generate(1000, default_rng(0)) returns, images and then labels.
GOLDEN = "73223a3f967663745e8982f61c50838ce994685515a2e62fbaa0d1a54f1e1dcb"


@pytest.fixture(scope="module")
def digits() -> Digits:
    return generate(3000, np.random.default_rng(0))


@pytest.mark.parametrize("n", [0, 1, 2, synthetic_digits.CHUNK, synthetic_digits.CHUNK + 1])
def test_any_number_of_images(n: int) -> None:
    images, labels = generate(n, np.random.default_rng(0))
    assert images.shape == (n, 28, 28)
    assert labels.shape == (n,)
    assert images.dtype == labels.dtype == np.uint8 and images.any(axis=(1, 2)).all()


def test_images_of_seed_0_are_these() -> None:
    """A change of styles or pen must raise VERSION, so that no old cache is used."""
    assert synthetic_digits.VERSION == 1
    images, labels = generate(1000, np.random.default_rng(0))
    assert hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest() == GOLDEN


def test_memory_is_bounded() -> None:
    generate(10, np.random.default_rng(0))  # the tables, once
    tracemalloc.start()
    images, _ = generate(4000, np.random.default_rng(0))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak - images.nbytes < 40e6


def test_they_are_prepared_as_those_of_mnist(digits: Digits) -> None:
    """Ink to 255 in a box of 20 pixels, its center of mass in the middle, on empty paper."""
    images = digits[0].astype(float)
    assert np.all(np.bincount(digits[1]) > 200)
    assert (images.max(axis=(1, 2)) == 255).all() and np.median(images, axis=0).min() == 0
    sides = np.array([cv2.boundingRect(image)[2:] for image in digits[0]])
    assert 18 <= sides.max(axis=1).min() <= sides.max() <= BOX
    for axis in (1, 2):
        profile = images.sum(axis=3 - axis)  # (n, 28)
        center = (profile * np.arange(SIDE)).sum(axis=1) / profile.sum(axis=1)
        # A box that would have to leave the frame stays in it, as in MNIST.
        off = np.abs(center - 14) > 0.5 + 1e-9
        assert off.mean() < 0.03
        assert profile[off][:, [0, 1, -2, -1]].any(axis=1).all()


@pytest.mark.parametrize("digit", range(10))
def test_strokes_are_one_high_and_start_at_the_left_edge(digit: int) -> None:
    for seed in range(5):
        written = strokes(digit, np.random.default_rng(seed))
        points = np.concatenate([points for points, _ in written])
        radii = np.concatenate([radii for _, radii in written])
        assert points.shape == (len(radii), 2) == (synthetic_digits.POINTS, 2)
        assert (points - radii[:, None]).min(axis=0) == pytest.approx([0, 0])
        assert 0.9 < (points[:, 1] + radii).max() <= 1 + 1e-9
        assert 0 < radii.min() <= radii.max() < 0.2


RNG = np.random.default_rng(0)


@pytest.mark.parametrize("rng", [0, None, np.random, np.random.RandomState(0)])
def test_rng_must_be_a_generator(rng: Any) -> None:
    for call in (lambda: generate(1, rng), lambda: strokes(1, rng)):
        with pytest.raises(TypeError, match=r"Generator|pass numpy\.random\.default_rng"):
            call()


@pytest.mark.parametrize("n", [-1, 1.0, True])
def test_no_such_number_of_digits(n: Any) -> None:
    with pytest.raises(ValueError, match=r"expected .*received"):
        generate(n, RNG)


def test_strokes_must_be_of_a_digit() -> None:
    with pytest.raises(ValueError, match="0 to 9"):
        strokes(10, RNG)


def test_real_digits_are_like_synthetic_ones(digits: Digits, real_data: Path) -> None:
    files = (f"train-{name}-ubyte.gz" for name in ("images-idx3", "labels-idx1"))
    unknown, classes = (read_idx(real_data / "mnist" / name)[:3000] for name in files)
    images, labels = generate(10_000, np.random.default_rng(0))
    known, query = (x.reshape(len(x), 784) / np.float32(255) for x in (images, unknown[:1000]))
    nearest = ((known**2).sum(axis=1) - 2 * query @ known.T).argmin(axis=1)
    assert (labels[nearest] == classes[:1000]).mean() > 0.88
    edges = [0, 1, 64, 128, 192, 256]  # of gray levels
    ratios = [np.histogram(some, edges)[0] / some.size for some in (unknown, digits[0])]
    assert ratios[0] == pytest.approx(ratios[1], abs=0.02)
