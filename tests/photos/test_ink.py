"""From a picture to ink: every kind of light, either way round, on ruled paper."""

import cv2
import numpy as np
import pytest
from rendered_photos import figure_seven

from digits.photos import ink, light
from digits.photos.components import find_components
from digits.types import Array


def found_in(picture: Array) -> Array:
    flat = light.flatten_light(picture)
    return ink.find_ink(flat)[0]


def stroke(picture: Array, points: list[list[int]], gray: int, width: int) -> Array:
    """Draw a line through the points; where it is, bool."""
    line, true = [np.array(points, np.int32)], np.zeros(picture.shape, np.uint8)
    cv2.polylines(picture, line, False, gray, width, cv2.LINE_AA)
    cv2.polylines(true, line, False, 1, width)
    return true > 0


def overlap(found: Array, true: Array) -> float:
    """Intersection over union."""
    return float((found & true).sum() / max(1, (found | true).sum()))


SEVEN = cv2.resize(figure_seven(), None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
TO_RIGHT = np.linspace(0.4, 1, SEVEN.shape[1])


@pytest.mark.parametrize(
    ("lit", "least"),
    [
        (SEVEN, 0.85),
        (255 - SEVEN, 0.85),
        *((SEVEN * np.where(TO_RIGHT > 0.7, shade, 1), 0.75) for shade in (0.25, 0.5, 0.8)),
        (SEVEN * TO_RIGHT * np.linspace(1, 0.2, len(SEVEN))[:, None], 0.75),
    ],
    ids=["paper", "board", "deep shadow", "shadow", "light shadow", "gradient"],
)
def test_ink_is_found_in_every_light(lit: Array, least: float) -> None:
    """A shadow goes right through the digit."""
    assert overlap(found_in(lit.astype(np.uint8)), SEVEN < 130) > least


def test_blank_paper_holds_no_ink() -> None:
    rng = np.random.default_rng(1)
    for grain in (0, 2, 8):
        paper = np.clip(180 + rng.normal(0, grain, (400, 500)), 0, 255).astype(np.uint8)
        flat = light.flatten_light(paper)
        mask, density = ink.find_ink(flat)
        assert find_components(mask, density, flat).components == []


def bars(*darkness: int, size: int = 600, width: float = 0.02) -> tuple[Array, list[Array]]:
    """An evenly lit page with upright strokes, blurred a little; and where each is."""
    flat, places = np.full((size, size), 255.0), []
    for number, dark in enumerate(darkness, 1):
        left = number * size // (len(darkness) + 1)
        place = np.zeros((size, size), bool)
        place[size // 4 : -size // 4, left : left + round(width * size)] = True
        flat[place] -= dark
        places.append(place)
    return cv2.GaussianBlur(flat, (0, 0), size / 600).astype(np.uint8), places


@pytest.mark.parametrize("size", [300, 600, 1800])
@pytest.mark.parametrize("dark", [60, 120, 240])
def test_ink_is_a_stroke_and_as_dense_as_it_is_dark(dark: int, size: int) -> None:
    flat, places = bars(dark, dark, dark, size=size)
    mask, density = ink.find_ink(flat)
    true = np.any(places, axis=0)
    assert overlap(mask, true) > 0.7
    core = cv2.erode(true.astype(np.uint8), np.ones((size // 100,) * 2, np.uint8)) > 0
    assert density.dtype == np.float32 and density[core].min() > 0.7
    assert np.quantile(density[core], 0.9) > 0.95
    far = cv2.dilate(true.astype(np.uint8), np.ones((size // 24,) * 2)) == 0
    assert density[far].max() < 0.1
    assert 0 <= density.min() <= density.max() == 1
    assert ((density > 0.2) & (density < 0.7)).any()  # at the edges


@pytest.mark.parametrize(("faint", "found"), [(24, 0), (36, 0), (90, 1), (160, 1)])
def test_what_shines_through_is_no_ink(faint: int, found: int) -> None:
    flat, (*dark, pale) = bars(220, 220, 220, 220, faint)
    mask, _ = ink.find_ink(flat)
    assert overlap(mask & np.any(dark, axis=0), np.any(dark, axis=0)) > 0.8
    assert mask[pale].mean() > 0.8 if found else not mask[pale].any()


@pytest.mark.parametrize(("grain", "dark"), [(3, 80), (8, 24), (8, 80), (14, 40), (22, 80)])
def test_grain_is_no_ink_and_a_pencil_is(grain: int, dark: int, rng: np.random.Generator) -> None:
    flat, places = bars(dark, dark, dark)
    grainy = np.clip(flat + rng.normal(-grain, grain, flat.shape), 0, 255)
    mask, _ = ink.find_ink(grainy.astype(np.uint8))
    true = np.any(places, axis=0)
    assert overlap(mask, true) > 0.6
    assert (mask & ~cv2.dilate(true.astype(np.uint8), np.ones((9, 9))).astype(bool)).mean() < 1e-4


def test_how_wide_strokes_are() -> None:
    for width in (2, 5, 12, 30):
        _, places = bars(1, 1, width=width / 600)
        assert abs(ink.stroke_width(np.any(places, axis=0)) - width) <= 1 + width / 20
    thick, thin = bars(1, width=0.05)[1][0], bars(1, 1, 1, width=0.01)[1]
    assert abs(ink.stroke_width(thick | thin[0]) - 30) <= 2  # most of the ink
    assert ink.stroke_width(np.ones((40, 9), bool)) == pytest.approx(9, abs=1.5)
    assert ink.stroke_width(np.zeros((9, 9), bool)) == 0


@pytest.mark.parametrize("slope", [-0.1, 0.0, 0.06])
@pytest.mark.parametrize("squared", [False, True])
def test_rulings_go_and_the_digit_stays(slope: float, squared: bool) -> None:
    picture = np.full((600, 800), 225, np.uint8)
    for y in range(-100, 700, 45):
        cv2.line(picture, (0, y), (799, round(y + slope * 800)), 150, 2, cv2.LINE_AA)
    if squared:
        for x in range(-100, 900, 45):
            cv2.line(picture, (x, 0), (round(x - slope * 600), 599), 150, 2, cv2.LINE_AA)
    true = stroke(picture, [[300, 210], [450, 200], [360, 430]], 60, 9)
    flat = light.flatten_light(picture)
    mask, density = ink.find_ink(flat)
    components = find_components(mask, density, flat).components
    (digit,) = (component for component in components if component.box.longest > 100)
    near = np.abs(np.array(digit.box) - (295, 195, 161, 241)).max()
    assert near < 6
    assert overlap(mask[180:450, 280:480], true[180:450, 280:480]) > 0.7
    assert len(components) <= 5  # a corner of the page may keep the end of a ruling


def test_a_digit_with_specks_around_it_is_no_frame() -> None:
    picture = np.full((500, 400), 225, np.uint8)
    two = [np.array([[80, 80], [300, 80], [90, 420], [310, 420]], np.int32)]
    cv2.polylines(picture, two, False, 60, 12, cv2.LINE_AA)
    true = picture < 130
    for x, y in ((130, 150), (150, 230), (250, 350)):
        cv2.circle(picture, (x, y), 5, 60, -1)
    assert overlap(found_in(picture), true) > 0.7
