"""What a reading says in JSON, and the pictures that are drawn of it."""

import json
from base64 import b64decode

import numpy as np
import pytest
from matplotlib.patches import Rectangle

from digits import Digit, Reading
from digits.photos.drawings import draw_annotated, draw_steps
from digits.types import Box

BLUE, ORANGE = (0, 2), (2, 0)  # the stronger and the weaker of the channels blue, green and red


def reading(*boxes: Box, confidence: float = 0.9, size: tuple[int, ...] = (120, 200)) -> Reading:
    """A page with a digit in each box: 7, and 3 with the rest of the probability."""
    p = np.zeros(10)
    p[7], p[3] = confidence, 1 - confidence
    image = np.linspace(0, 1, 784, dtype=np.float32).reshape(28, 28)
    digits = [Digit(7, confidence, box, 0, 3, 1 - confidence, image, p) for box in boxes]
    gray = np.full(size[:2], 200, np.uint8)
    picture = np.full(size, 200, np.uint8)
    return Reading(["7" * len(boxes)], digits, picture, gray, gray < 99, 2, 90, [Box(5, 6, 7, 8)])


def test_a_reading_in_json_says_all() -> None:
    boxes = Box(20, 40, 30, 60), Box(90, 40, 30, 60)
    found = reading(*boxes, confidence=0.52, size=(120, 200, 3))
    assert "array" not in repr(found)  # which is printed
    short = json.loads(json.dumps(found.to_dict()))
    assert set(short) == {"rows", "rows_text", "rotation", "digits"}
    assert (short["rows"], short["rotation"]) == (["77"], 90)
    first = {"digit": 7, "confidence": 0.52, "box": [20, 40, 30, 60], "row": 0}
    assert short["digits"][0] == first | {"second": 3, "second_confidence": 0.48, "unsure": True}
    long = json.loads(json.dumps(found.to_dict(images=True)))
    assert (long["size"], long["unread"]) == ([400, 240], [[5, 6, 7, 8]])  # in pixels of the file
    assert long["digits"][1]["probabilities"] == [0, 0, 0, 0.48, 0, 0, 0, 0.52, 0, 0]
    pixels = np.frombuffer(b64decode(long["digits"][0]["image"]), np.uint8)
    assert np.abs(pixels.reshape(28, 28) / 255 - found.digits[0].image).max() < 0.003
    assert found.seen.shape == (2, 28, 28)
    assert (found.confidence, reading().confidence, len(reading().seen)) == (0.52, 0, 0)


@pytest.mark.parametrize("size", [(120, 200), (120, 200, 3), (1200, 2000, 3)])
@pytest.mark.parametrize(("confidence", "color"), [(0.9, BLUE), (0.4, ORANGE)])
@pytest.mark.parametrize("place", [(90, 60), (90, 2)])
def test_a_digit_is_framed_and_named_in_the_picture(
    size: tuple[int, ...], confidence: float, color: tuple[int, int], place: tuple[int, int]
) -> None:
    """Its name stands above it or, where there is no room, below; nothing is drawn far away. A
    picture of 200 x 120 is enlarged to 400 x 240."""
    scale = size[0] / 120
    box = Box(*place, 24, 40)
    page = reading(box.scaled(2 * scale), confidence=confidence, size=size)
    drawn = draw_annotated(page).astype(int)
    assert drawn.shape == (max(240, size[0]), max(400, size[1]), 3)
    x, y, w, h = box.scaled(len(drawn) / 120)
    assert page.picture.min() == 200  # the picture itself stays
    colored = drawn[..., color[0]] - drawn[..., color[1]] > 60
    assert not (drawn[..., color[1]] - drawn[..., color[0]] > 60).any()
    line = len(drawn) // 120  # at least as thick as the lines that are drawn
    around = np.zeros(colored.shape, bool)
    around[y - 2 * line : y + h + 2 * line, x - 2 * line : x + w + 2 * line] = True
    around[y : y + h, x : x + w] = False
    assert not colored[y : y + h, x : x + w].any() and colored[around].mean() > 0.15
    above, below = colored[: max(0, y - 3 * line)], colored[y + h + 3 * line :]
    assert min(above.sum(), below.sum()) == 0 < max(above.sum(), below.sum())
    assert (above.sum() > below.sum()) == (place[1] == 60)
    tall, wide = map(np.ptp, np.nonzero(above if above.any() else below))
    assert (wide > tall) == (confidence == 0.4)  # with a question mark


def test_the_names_of_digits_in_close_rows_do_not_meet() -> None:
    rows = [Box(20, 24 + 54 * row, 30, 40) for row in range(4)]
    drawn = draw_annotated(reading(*[box.scaled(2) for box in rows], size=(250, 400))).astype(int)
    blue = drawn[..., 0] - drawn[..., 2] > 60
    for box in rows:
        assert blue[box.y - 8 : box.y - 2].any() and not blue[box.slices].any()


def test_the_name_of_a_digit_as_high_as_the_picture_stands_in_it() -> None:
    drawn = draw_annotated(reading(Box(20, 8, 300, 224))).astype(int)
    inside = drawn[16:228, 26:310]
    named = np.flatnonzero((inside[..., 0] - inside[..., 2] > 60).any(axis=1))
    assert 0 < np.ptp(named) < 30


@pytest.mark.parametrize(("count", "confidence"), [(0, 0.9), (13, 0.4)])
def test_the_steps_show_what_the_network_saw(count: int, confidence: float) -> None:
    page = reading(*[Box(9, 9, 9, 9)] * count, confidence=confidence, size=(120, 200, 3))
    page.picture[60:, :] = 250, 120, 30
    figure = draw_steps(page, "a title", most=12)
    every = figure.get_axes()
    assert figure.get_suptitle() == "a title"
    titles = [part.get_suptitle() for part in figure.subfigs]
    assert ("the first 12 of 13 digits" in titles) == (count == 13)
    shown = [axes for axes in every if axes.axison]
    assert [axes.get_title() for axes in shown[:3]] == ["the picture", "light flattened", "ink"]
    steps = [np.asarray(axes.get_images()[0].get_array()) for axes in shown[:3]]
    assert np.array_equal(steps[0], page.picture[..., ::-1])  # red, green and blue
    assert np.array_equal(steps[1], page.flat)
    assert np.array_equal(steps[2], 255 * ~page.ink)  # black on white
    assert all(axes.get_images()[0].get_clim() == (0, 255) for axes in shown[:3])  # also if blank
    assert not any(axes.get_xticklabels() or axes.get_yticklabels() for axes in shown[:3])
    wide = draw_steps(reading(*[Box(9, 9, 9, 9)] * count, size=(60, 400)), most=12)
    assert 0 < wide.get_figheight() < figure.get_figheight()
    bars = [[b.get_height() for b in a.patches if isinstance(b, Rectangle)] for a in shown[3:]]
    assert len(bars) == min(count, 12)
    assert all(len(heights) == 10 and heights[7] == confidence for heights in bars)
    seen = [axes for axes in every if axes.get_title() == f"7  {confidence:.0%}"]
    images = [np.asarray(axes.get_images()[0].get_array()) for axes in seen]
    assert [np.array_equal(image, page.digits[0].image) for image in images] == [True] * len(bars)
