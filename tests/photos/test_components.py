"""From ink to components, and one of them as the network sees it."""

import cv2
import numpy as np
import pytest
from rendered_photos import figure_seven

from digits.photos.components import MAX_COMPONENTS, InkMap, find_components, normalize_digit
from digits.photos.ink import stroke_width
from digits.types import Array, Box


def test_a_normalized_digit_is_centered_by_mass_in_twenty_pixels() -> None:
    ink = figure_seven(paper=0, ink=255).astype(np.float32) / 255
    image = normalize_digit(ink)
    assert image.shape == (28, 28) and image.dtype == np.float32 and image.max() == 1
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


def test_a_hair_line_is_thickened_and_nothing_stays_nothing() -> None:
    assert not normalize_digit(np.zeros((5, 5), np.float32)).any()
    hair = np.zeros((900, 700), np.float32)
    cv2.polylines(hair, [np.array([[50, 50], [650, 50], [300, 850]], np.int32)], False, 1, 5)
    image = normalize_digit(hair)
    assert 1.2 < stroke_width(cv2.resize(image, None, fx=4, fy=4) > 0.5) / 4 < 3


@pytest.mark.parametrize("turns", range(4))
def test_a_digit_that_is_heavy_at_one_end_stays_in_the_frame(turns: int) -> None:
    ink = np.zeros((100, 100), np.float32)
    ink[:12] = ink[:, 48:52] = 1
    image = np.rot90(normalize_digit(np.rot90(ink, turns)), -turns)
    assert len(np.flatnonzero(image.any(axis=1))) == len(np.flatnonzero(image.any(axis=0))) == 20
    assert np.flatnonzero(image.any(axis=1))[0] == 8


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


BAR = (300, 100, 8, 90)
"""An upright stroke, as (left, top, width, height)."""


def found(*boxes: tuple[int, int, int, int], shape: tuple[int, int] = (400, 600)) -> InkMap:
    """The components of a page with these rectangles full of ink, 1 unit darker each."""
    flat = np.full(shape, 255, np.uint8)
    for number, (x, y, w, h) in enumerate(boxes):
        flat[y : y + h, x : x + w] = max(0, 55 - number)
    ink = flat < 255
    return find_components(ink, ink.astype(np.float32), flat)


def test_components_come_with_box_and_darkness_the_longest_first() -> None:
    page = found((100, 100, 8, 60), BAR, (400, 100, 8, 70))
    assert [c.box for c in page.components] == [BAR, (400, 100, 8, 70), (100, 100, 8, 60)]
    assert [c.darkness for c in page.components] == [201, 202, 200]
    assert page.skipped == []
    (piece,) = page.components[0].pieces
    assert page.box((piece,)) == BAR
    assert (page.labels[Box(*BAR).slices] == piece).all()
    assert np.count_nonzero(page.labels == piece) == 8 * 90


@pytest.mark.parametrize(
    ("others", "shape", "kept", "skipped"),
    [
        ([(100, 100, 6, 3)], (400, 600), 2, 0),
        ([(100, 100, 5, 3)], (400, 600), 1, 0),  # a speck
        ([(100, 100, 10, 4)], (400, 1600), 2, 0),
        ([(100, 100, 9, 4)], (400, 1600), 1, 0),  # a speck on a large picture
        ([(100, 100, 90, 60)], (400, 600), 1, 1),  # a blob, and so large that it is reported
        ([(100, 100, 90, 50)], (400, 600), 2, 0),  # a thick pen
        ([(100, 100, 12, 12)], (400, 600), 2, 0),  # a point of the same pen
        ([(100, 100, 20, 20)], (400, 600), 1, 0),
        ([(0, 0, 100, 4)], (400, 600), 1, 1),  # along the edge
        ([(80, 0, 4, 100)], (400, 600), 2, 0),  # from the edge
        ([(80, 320, 4, 80)], (400, 600), 2, 0),
        ([(596, 150, 4, 100)], (400, 600), 1, 1),
        ([(100, 0, 4, 40), (80, 0, 24, 4)], (400, 600), 1, 1),  # and along it for more than half
    ],
)
def test_what_no_pen_wrote_is_left_out(
    others: list[tuple[int, int, int, int]], shape: tuple[int, int], kept: int, skipped: int
) -> None:
    page = found(BAR, *others, shape=shape)
    assert (len(page.components), len(page.skipped)) == (kept, skipped)
    assert page.components[0].box == BAR or kept == 2


@pytest.mark.parametrize("inside", [1, 2, 3])
def test_lines_around_other_ink_are_left_out(inside: int) -> None:
    """Around one alone they may be a 0; the ink inside is kept."""
    frame = [(100, 50, 300, 4), (100, 50, 4, 200), (100, 246, 300, 4), (396, 50, 4, 200)]
    contents = [(150 + 60 * number, 100, 8, 90) for number in range(inside)]
    for outside in ([], [(500, 100, 8, 90)]):
        boxes = {c.box for c in found(*frame, *contents, *outside).components}
        assert {*contents, *outside} <= boxes
        assert ((100, 50, 300, 200) in boxes) is (inside == 1)


def test_too_many_components_are_reported() -> None:
    many = [(10 + 20 * (i % 29), 10 + 20 * (i // 29), 3, 12) for i in range(19 * 29)]
    page = found(*many)
    assert (len(page.components), len(page.skipped)) == (MAX_COMPONENTS, len(many) - MAX_COMPONENTS)


def pieces(*boxes: tuple[int, int, int, int]) -> list[Box]:
    """What the one component of these rectangles is cut into."""
    page = found(*boxes)
    (component,) = page.components
    assert set(np.unique(page.labels)) == {0, *component.pieces}
    for piece in component.pieces:
        assert page.boxes[piece] == cv2.boundingRect((page.labels == piece).astype(np.uint8))
        assert page.ink((piece,)).sum() == np.count_nonzero(page.labels == piece)
    whole = page.ink(component.pieces)
    assert whole.sum() == np.count_nonzero(page.labels)
    assert whole.shape == (component.box.height, component.box.width)
    return [page.boxes[piece] for piece in component.pieces]


def test_what_is_narrow_is_not_cut() -> None:
    assert pieces((100, 100, 10, 80)) == [(100, 100, 10, 80)]
    assert pieces((100, 100, 9, 80), (144, 100, 9, 80), (100, 138, 53, 5)) == [(100, 100, 53, 80)]


def test_what_is_thick_everywhere_is_not_cut() -> None:
    bars = [(105, y, 70, 15) for y in (100, 132, 165)]
    assert pieces((100, 100, 10, 80), (170, 100, 10, 80), *bars) == [(100, 100, 80, 80)]


def test_every_line_between_touching_digits_is_a_piece() -> None:
    """From left to right, though the thinnest is on the right."""
    uprights = [(100 + 71 * number, 100, 16, 80) for number in range(4)]
    joints = [(115 + 71 * number, 138, 57, 6 - number) for number in range(3)]
    cut = pieces(*uprights, *joints)
    assert [box.height for box in cut] == [80, 6, 80, 5, 80, 4, 80]
    assert [box.x for box in cut] == sorted(box.x for box in cut)


@pytest.mark.parametrize("joint", [(105, 138, 70, 4), (105, 100, 70, 4), (105, 150, 70, 9)])
def test_touching_strokes_are_cut_where_the_ink_is_thinnest(joint: tuple[int, ...]) -> None:
    """Not through a stroke, and not into slivers."""
    x, y, width, height = joint
    cut = pieces((100, 100, 10, 80), (170, 100, 10, 80), (x, y, width, height))
    assert [100, *(box.right for box in cut)] == [*(box.x for box in cut), 180]
    assert cut[0].right >= 110 and cut[-1].x <= 170
    assert cut[0].height == cut[-1].height == 80
    assert all(box.height == height for box in cut[1:-1])
    assert 2 <= len(cut) <= 4
    assert min(box.width for box in cut) >= 80 / 6
