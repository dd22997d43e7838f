"""From ink to components, and one of them as the network sees it."""

import cv2
import numpy as np
import pytest
from rendered_photos import figure_seven

from digits.photos.components import normalize_digit
from digits.photos.ink import stroke_width
from digits.types import Array


def test_a_normalized_digit_is_centered_by_mass_in_twenty_pixels() -> None:
    ink = figure_seven(paper=0, ink=255).astype(np.float32) / 255
    image = normalize_digit(ink)
    assert image.shape == (28, 28)
    assert image.dtype == np.float32
    assert image.max() == 1
    rows, columns = np.flatnonzero(image.any(axis=1)), np.flatnonzero(image.any(axis=0))
    assert len(rows) == 20
    assert len(columns) <= 20
    along = np.arange(28)
    assert abs(image.sum(axis=1) @ along / image.sum() - 14) <= 0.5
    assert abs(image.sum(axis=0) @ along / image.sum() - 14) <= 0.5


def test_normalizing_does_not_depend_on_size_or_position() -> None:
    ink = figure_seven(paper=0, ink=255).astype(np.float32) / 255
    image = normalize_digit(ink)
    assert np.abs(normalize_digit(np.pad(ink, ((9, 50), (80, 3)))) - image).max() == 0
    larger = cv2.resize(ink, None, fx=5, fy=5, interpolation=cv2.INTER_LINEAR)
    assert np.abs(normalize_digit(larger) - image).mean() < 0.02


def test_a_hair_line_is_thickened() -> None:
    hair = np.zeros((900, 700), np.float32)
    cv2.polylines(hair, [np.array([[50, 50], [650, 50], [300, 850]], np.int32)], False, 1, 5)
    image = normalize_digit(hair)
    assert 1.2 < stroke_width(cv2.resize(image, None, fx=4, fy=4) > 0.5) / 4 < 3


def test_normalizing_nothing_gives_nothing() -> None:
    assert not normalize_digit(np.zeros((5, 5), np.float32)).any()
    assert normalize_digit(np.ones((1, 1), np.float32)).max() == 1


def test_normalizing_is_what_mnist_did(mnist_test: tuple[Array, Array]) -> None:
    """MNIST's own digits, enlarged and put somewhere on a page, come back as they were."""
    images, _ = mnist_test
    similar = 0
    for image in images[:200]:
        page = np.zeros((300, 300), np.float32)
        page[40:208, 70:238] = cv2.resize(
            image.reshape(28, 28).astype(np.float32) / 255, (168, 168), interpolation=cv2.INTER_AREA
        )
        again = normalize_digit(page)
        assert np.corrcoef(again.ravel(), image.ravel())[0, 1] > 0.7
        similar += np.corrcoef(again.ravel(), image.ravel())[0, 1] > 0.9
    assert similar > 180


@pytest.fixture(scope="session")
def mnist_test() -> tuple[Array, Array]:
    import os

    if "MNIST_DATASET_DIR" not in os.environ:
        pytest.skip("MNIST_DATASET_DIR does not point to MNIST")
    from mnist_loader import load_mnist

    return load_mnist()[1]
