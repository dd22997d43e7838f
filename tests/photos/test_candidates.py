"""Which pieces of ink may form one digit, and how likely their positions alone make that."""

import numpy as np
import pytest

from digits.photos.candidates import (
    LOG_PRIOR_OVERLAPPING,
    LOG_PRIOR_SEPARATE,
    LOG_PRIOR_SPLIT,
    MAX_DENSITY,
    propose,
)
from digits.photos.components import Component, InkMap
from digits.types import Box


def page_of(*components: list[Box]) -> InkMap:
    """Components of these pieces, numbered from left to right and in this order."""
    boxes, made = dict[int, Box](), list[Component]()
    for pieces in components:
        numbers = tuple(range(len(boxes), len(boxes) + len(pieces)))
        boxes |= dict(zip(numbers, pieces, strict=True))
        made.append(Component(pieces[0].union(*pieces[1:]), numbers, 100.0 + len(made)))
    return InkMap(np.zeros((1000, 1000), np.int32), np.zeros((1, 1)), made, [], boxes)


def priors(page: InkMap) -> dict[tuple[int, ...], float]:
    """Of all candidates, by their pieces; their boxes are right."""
    candidates = propose(page)
    assert all(candidate.box == page.box(candidate.pieces) for candidate in candidates)
    return {candidate.pieces: candidate.log_prior for candidate in candidates}


def test_a_ring_and_the_digit_in_it_are_two() -> None:
    """But a dot or a slash in it may be part of a 0."""
    for box, together in ((Box(45, 35, 20, 50), False), (Box(47, 50, 16, 20), True)):
        assert ((0, 1) in priors(page_of([Box(0, 0, 110, 120)], [box]))) is together


def test_runs_of_pieces_of_a_component() -> None:
    one_cut, two_cuts = LOG_PRIOR_SPLIT, 2 * LOG_PRIOR_SPLIT
    touching = [Box(100, 100, 45, 60), Box(145, 100, 45, 60), Box(190, 100, 45, 60)]
    found = priors(page_of(touching))
    assert next(iter(found)) == (0, 1, 2)  # whole components come first
    runs = {(0,): one_cut, (1,): two_cuts, (2,): one_cut, (0, 1): one_cut, (1, 2): one_cut}
    assert found == {(0, 1, 2): 0, **runs}
    wide = [Box(100, 100, 46, 60), Box(146, 100, 46, 60), Box(192, 100, 46, 60)]
    assert priors(page_of(wide)).keys() == {(0, 1, 2), (0,), (1,), (2,)}  # two are no digit


@pytest.mark.parametrize(
    ("other", "prior"),
    [
        (Box(145, 100, 24, 60), 0),
        (Box(145, 100, 30, 60), LOG_PRIOR_SEPARATE),  # beside it, and as large
        (Box(158, 100, 40, 60), None),  # 18 pixels away, which is three tenths of 60
        (Box(100, 177, 40, 60), None),  # below it: together twice as long as either
        (Box(110, 144, 30, 60), LOG_PRIOR_OVERLAPPING),
        (Box(110, 145, 30, 60), LOG_PRIOR_SEPARATE),  # sharing a quarter of the height, no more
        (Box(124, 130, 30, 60), LOG_PRIOR_OVERLAPPING),
        (Box(126, 130, 30, 60), LOG_PRIOR_SEPARATE),  # sharing less than half of the width
        (Box(150, 100, 20, 20), 0),  # a bar of it
        (Box(150, 100, 8, 8), 0),
        (Box(145, 110, 20, 20), None),  # a point, as high as that of a colon
        (Box(150, 100, 7, 7), None),  # a speck
        (Box(130, 155, 20, 20), 0),  # below and beside, sharing half of the width
        (Box(142, 100, 60, 40), None),  # together wider than 1.5 heights
    ],
)
def test_two_components_in_one_place(other: Box, prior: float | None) -> None:
    boxes = [Box(100, 100, 40, 60), other]
    mirrored = [box._replace(x=900 - box.right) for box in boxes]
    for one, two in (boxes, boxes[::-1], mirrored, mirrored[::-1]):
        found = priors(page_of([one], [two]))
        assert found.get((0, 1)) == prior and found[(0,)] == found[(1,)] == 0


ROW = [Box(100 + 70 * number, 100, 40, 60) for number in range(6)]
"""With gaps of 30."""


@pytest.mark.parametrize(
    ("others", "evidence"),
    [
        (ROW, 1),
        ([*ROW, *[Box(144 + 70 * i, 120, 20, 20) for i in range(6)]], 1),  # and specks between
        ([*ROW, *[Box(144 + 70 * i, 165, 30, 60) for i in range(6)]], 1),  # and another row
        ([box._replace(x=100 + 45 * i) for i, box in enumerate(ROW)], -1),  # closer than the two
        (ROW[:2], 0),  # of so few one cannot tell
        ([box._replace(y=100 + 70 * i) for i, box in enumerate(ROW)], 0),  # no row
        ([], 0),
    ],
)
def test_in_a_row_with_gaps_what_is_closer_is_one_digit(others: list[Box], evidence: int) -> None:
    """Two parts beside each other, but not one above the other."""
    beside = [Box(800, 100, 25, 60), Box(835, 100, 25, 60)]
    above = [Box(800, 300, 40, 25), Box(800, 335, 40, 25)]
    found = priors(page_of(*([box] for box in [*beside, *above, *others])))
    assert np.sign(round(found[0, 1] - LOG_PRIOR_SEPARATE, 2)) == evidence
    assert found[2, 3] == LOG_PRIOR_SEPARATE


def test_three_components_in_one_place_are_as_dark_as_the_darkest() -> None:
    page = page_of([Box(100, 100, 30, 60)], [Box(135, 100, 20, 16)], [Box(135, 120, 26, 16)])
    assert priors(page).keys() == {(0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)}
    assert max(candidate.darkness for candidate in propose(page)) == 102
    assert propose(page)[-1].darkness == 102
    chain = page_of([Box(100, 100, 12, 60)], [Box(126, 100, 12, 60)], [Box(152, 100, 12, 60)])
    assert priors(chain).keys() == {(0,), (1,), (2,), (0, 1), (1, 2), (0, 1, 2)}


def test_candidates_are_limited_those_of_many_pieces_first() -> None:
    rows = [[Box(10 * i, 20 * j, 6, 18) for i in range(8)] for j in range(60)]
    page = page_of(*rows)
    found = propose(page)
    assert len(found) == MAX_DENSITY  # for a megapixel
    simplest = [8] * 60 + [1] * 480 + [2] * 420
    assert [len(c.pieces) for c in found] == simplest[:MAX_DENSITY]
    page.labels = np.zeros((1200, 1200), np.int32)
    assert len(propose(page)) > MAX_DENSITY and propose(page_of()) == []
