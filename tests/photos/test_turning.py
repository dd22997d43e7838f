"""Pictures turned by any angle, and back."""

import cv2
import numpy as np
import pytest

from digits.photos.components import find_components
from digits.photos.turning import better_ways_up, evidence_by_turns, tilt, turn, turn_back
from digits.types import Array, Box


@pytest.mark.parametrize("angle", [0, 90, 180, 270, 30, -45])
def test_a_box_is_turned_back(angle: int) -> None:
    picture = np.zeros((200, 300), np.uint8)
    picture[40:60, 100:180] = 255
    turned, matrix = turn(picture, angle)
    box = turn_back(Box(*cv2.boundingRect(turned)), matrix)
    assert box.x <= 101 and box.right >= 179 and box.y <= 41 and box.bottom >= 59
    assert angle % 90 or box == (100, 40, 80, 20)


def test_a_picture_is_turned_clockwise() -> None:
    for angle in (30, 90, -45):  # in a frame that holds all of it, and no more
        turned = turn(np.full((200, 300), 255, np.uint8), angle)[0]
        assert abs(turned.sum() / (200 * 300 * 255) - 1) < 0.01
        assert all(edge.any() for edge in (turned[:2], turned[-2:], turned[:, :2], turned[:, -2:]))
    picture = np.zeros((200, 300), np.uint8)
    picture[:20] = 255
    assert (turn(picture, 90)[0][:, -20:] == 255).all()
    nearly = turn(picture, 89.999)[0][:300, :200]
    assert np.abs(turn(picture, 90)[0].astype(int) - nearly).mean() < 9


@pytest.mark.parametrize("angle", [-40, -12, 0, 7, 35])
def test_the_tilt_of_lines_of_writing_is_found(angle: int, rng: np.random.Generator) -> None:
    page = np.zeros((700, 900), np.uint8)
    for y in range(100, 600, 90):
        for x in np.cumsum(rng.integers(35, 60, 16)).tolist():
            cv2.ellipse(page, (x, y), (14, 22), 20, 0, 300, 255, 5)
    askew = turn(page, angle)[0] > 127
    assert abs(tilt(askew) + angle) <= 1


class KnowsT:
    """A network to which every upright T is a digit, and nothing else."""

    def predict(self, x: Array) -> Array:
        upright = x.reshape(-1, 28, 28).sum(axis=2).argmax(axis=1) < 10
        p = np.full((len(x), 11), 0.002)
        p[np.arange(len(x)), np.where(upright, 8, 10)] = 0.98
        return p


def rows_of_t(count: int, askew: float) -> Array:
    """White paper with so many T, turned clockwise."""
    upright = np.zeros((400, 600), np.uint8)
    for number in range(count):
        x, y = 60 + 120 * (number % 4), 40 + 120 * (number // 4)
        upright[y : y + 10, x : x + 60] = upright[y : y + 80, x + 25 : x + 35] = 255
    return 255 - turn(upright, askew)[0]


@pytest.mark.parametrize(
    ("count", "askew"),
    [(3, 0), (3, 90), (4, 0), (4, 90), (4, 180), (4, 270), (9, 90), (9, 20), (9, 260)],
)
def test_the_way_up_on_which_most_are_digits(count: int, askew: int) -> None:
    flat = rows_of_t(count, askew)
    ink = flat < 128
    page = find_components(ink, ink.astype(np.float32), flat)
    better = next(iter(better_ways_up(page, ink, flat, KnowsT())), None)
    if count < 4 or askew == 0:
        assert better is None  # of so few one cannot tell
    else:
        assert better is not None
        assert 0 <= better.angle < 360
        assert min((better.angle + askew) % 360, -(better.angle + askew) % 360) <= 1
        page = better.page
        assert len(page.components) == count
        first = turn_back(page.box(page.components[0].pieces), better.matrix)
        assert (flat[first.slices] == 0).sum() > 1100  # the ink of a T is where its box says
    if askew % 90 == 0:
        evidence = evidence_by_turns(page, KnowsT())
        assert evidence.argmax() == (0 if count > 3 else -askew // 90 % 4)
        assert evidence.min() == 0  # what is no digit may be a letter, which says nothing


@pytest.mark.parametrize("half", [np.full((400, 600), 255, np.uint8), rows_of_t(4, 0)])
def test_where_none_is_better_the_picture_stays(half: Array) -> None:
    """Without ink, and where as many digits stand on one way up as on the other."""
    flat = np.hstack([half, half.T[:400, ::-1]])
    ink = flat < 128
    page = find_components(ink, ink.astype(np.float32), flat)
    assert better_ways_up(page, ink, flat, KnowsT()) == []
    assert tilt(ink) == 0


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_a_tilt_with_fewer_digits_is_none(turns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Few digits in a slanted block can look like lines that are askew."""
    monkeypatch.setattr("digits.photos.turning.tilt", lambda ink: 40)
    flat = np.full((400, 600), 255, np.uint8)
    for x in range(60, 560, 120):
        flat[40:50, x : x + 60] = flat[40:120, x + 25 : x + 35] = 0
    flat = np.ascontiguousarray(np.rot90(flat, turns))
    page = find_components(flat < 128, (flat < 128).astype(np.float32), flat)
    better = next(iter(better_ways_up(page, flat < 128, flat, KnowsT())), None)
    assert (better.angle if better else 0) == 90 * turns
