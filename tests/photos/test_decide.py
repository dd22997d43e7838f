"""The most probable account of the ink, and the order of reading."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import combinations

import cv2
import numpy as np
import pytest

from digits.photos.candidates import Candidate
from digits.photos.classification import TEMPERATURE, classify, soften
from digits.photos.components import Component, InkMap
from digits.photos.decide import best_cover, percent_signs, plus_signs
from digits.photos.outliers import filter_frame, filter_outliers, filter_rings, filter_unsure
from digits.photos.rows import rows_of, unread_boxes, unread_signs
from digits.photos.slashes import filter_signs
from digits.photos.writing import evidence_of_digits, filter_rows
from digits.types import Array, Box
from functions import softmax


def some_ink(pieces: int, rng: np.random.Generator) -> tuple[InkMap, list[Candidate]]:
    """Pieces in a row, candidates of one to three neighbors, and random probabilities."""
    boxes = {piece: Box(10 * piece, 0, 8, 20) for piece in range(pieces)}
    components = [Component(boxes[piece], (piece,), 200.0) for piece in range(pieces)]
    ink = np.zeros((20, 10 * pieces))
    page = InkMap(ink.astype(np.int32), ink, components, [], boxes)
    groups: list[tuple[int, ...]] = [(piece,) for piece in range(pieces)]
    groups += [pair for pair in combinations(range(pieces), 2) if pair[1] - pair[0] < 3]
    groups += [(piece, piece + 1, piece + 2) for piece in range(pieces - 2)]
    candidates = [Candidate(group, page.box(group), 0.0, 200.0) for group in groups]
    return page, with_p(candidates, rng.dirichlet(np.full(11, 0.2), len(candidates)))


def with_p(candidates: list[Candidate], p: Array) -> list[Candidate]:
    """The candidates, of which the network gave these probabilities."""
    for candidate, probabilities in zip(candidates, p, strict=True):
        candidate.p = probabilities.copy()
    return candidates


def places(found: Iterable[Candidate], candidates: list[Candidate]) -> list[int]:
    """Which of the candidates were found."""
    return [candidates.index(candidate) for candidate in found]


def page_of(boxes: list[Box], darkness: int = 200) -> tuple[InkMap, list[Candidate]]:
    """Bars on a page of 300 x 1000, each a candidate of its own; the last one as dark as this."""
    labels = np.zeros((300, 1000), np.int32)
    for number, box in enumerate(boxes):
        labels[box.slices] = number + 1
    shades = [200.0] * (len(boxes) - 1) + [darkness]
    components = [Component(b, (n + 1,), shades[n]) for n, b in enumerate(boxes)]
    pieces = {number + 1: box for number, box in enumerate(boxes)}
    page = InkMap(labels, (labels > 0).astype(np.float32), components, [], pieces)
    return page, [Candidate(c.pieces, c.box, 0.0, c.darkness) for c in components]


def log_p_of(chosen: list[int], page: InkMap, candidates: list[Candidate]) -> float:
    """Of an account in which the chosen candidates are digits and all other ink is none."""
    p = np.array([candidate.p for candidate in candidates])
    digit = np.log(np.maximum(p[:, :10].max(axis=1), 1e-4))
    none = np.log(np.maximum(p[:, 10], 1e-4))
    for index, candidate in enumerate(candidates):  # of several, that they are none counts once
        digit[index] += max(0, none[list(candidate.pieces)].sum() - none[index])
    used = {piece for index in chosen for piece in candidates[index].pieces}
    alone = [index for index in range(len(page.components)) if index not in used]
    return float(digit[chosen].sum() + none[alone].sum())


@pytest.mark.parametrize("seed", range(20))
def test_the_best_account_is_found(seed: int) -> None:
    """Against all of them, of few pieces."""
    page, candidates = some_ink(6, np.random.default_rng(seed))
    likely = [index for index, candidate in enumerate(candidates) if candidate.confidence > 0.1]
    best, best_log_p = [], -np.inf
    for size in range(7):
        for chosen in combinations(likely, size):
            pieces = [piece for index in chosen for piece in candidates[index].pieces]
            if len(pieces) == len(set(pieces)):
                log_p = log_p_of(list(chosen), page, candidates)
                if log_p > best_log_p:
                    best, best_log_p = list(chosen), log_p
    assert sorted(places(best_cover(page, candidates), candidates)) == best


def test_parts_of_a_digit_are_joined_though_each_alone_is_none() -> None:
    page, candidates = some_ink(2, np.random.default_rng(0))
    p = np.eye(11)[[10, 10, 10]] * 0.99
    p[2, [7, 10]] = 0.9, 0.1  # both together
    assert best_cover(page, with_p(candidates, p)) == candidates[2:]
    p[2, [7, 10]] = 0.1, 0.9
    assert best_cover(page, with_p(candidates, p)) == []


@pytest.mark.parametrize(
    ("row", "letters", "belief"),
    [("83625", 0, (0.99, 1)), ("83625", 1, (0.9, 1)), ("101", 9, (0, 0)), ("1", 4, (0, 0))],
)
def test_a_row_is_judged_as_a_whole(row: str, letters: int, belief: tuple[float, float]) -> None:
    """Digits of which the network is sure are digits, unless they are o and l among letters."""
    page, candidates = some_ink(len(row) + letters, np.random.default_rng(0))
    p = np.full((len(candidates), 11), 0.002)
    p[:, 10] = 0.98
    p[range(len(row)), [int(digit) for digit in row]] = 0.98
    p[: len(row), 10] = 0.002
    digits = with_p(candidates, p)[: len(row)]
    kept = filter_rows(digits, page, candidates)
    least, most = belief
    assert all(least <= kept.get(digit, 0.0) <= most for digit in digits)


@pytest.mark.parametrize(
    ("whole", "parts", "believed"),
    [(0.9, 0.3, [0]), (0.3, 0.9, [0]), (0.05, 0.5, []), (0.05, 0.9, [1, 2]), (0.2, 0.05, [0])],
)
def test_a_component_is_one_digit_or_two(whole: float, parts: float, believed: list[int]) -> None:
    page, _ = page_of([Box(100, 100, 40, 60), Box(140, 130, 20, 4), Box(160, 100, 40, 60)])
    page.components = [Component(Box(100, 100, 100, 60), (1, 2, 3), 200.0)]
    groups: list[tuple[int, ...]] = [(1, 2, 3), (1,), (3,)]
    candidates = [Candidate(group, page.box(group), 0.0, 200.0) for group in groups]
    p = np.zeros((3, 11))
    p[:, 4] = whole, parts, parts
    p[:, 10] = 1 - p[:, 4]
    with_p(candidates, p)
    assert sorted(places(best_cover(page, candidates), candidates)) == believed
    cuts = [replace(candidate, log_prior=-9.0) for candidate in candidates[1:]]
    assert best_cover(page, [candidates[0], *cuts]) in (candidates[:1], [])


def test_the_answer_is_the_mean_over_the_same_digit_a_little_moved() -> None:
    class Shifts:
        """A network that tells in which column most ink is, of ten or so."""

        def predict(self, x: Array) -> Array:
            columns = x.reshape(-1, 28, 28).sum(axis=1).argmax(axis=1)
            return np.eye(28)[columns][:, 9:19] / 1.0

    page, candidates = page_of([Box(100, 100, 6, 60), Box(300, 100, 6, 60)])
    classify(Shifts(), page, candidates)
    classify(Shifts(), page, [])
    one, other = candidates
    mean = np.array([[0.2, 0.2, 0.6] + 7 * [0]])
    assert np.allclose(np.sort(one.p[:10]), np.sort(soften(mean)[0]))
    assert np.isclose(one.p[10], 1 - one.confidence)  # of a network without an eleventh class
    assert np.array_equal(one.p, other.p) and one.image.shape == (28, 28)


@pytest.mark.parametrize(("possible", "images"), [(0.0, 2), (0.5, 10)])
def test_what_is_clearly_no_digit_is_looked_at_once(possible: float, images: int) -> None:
    class Counts:
        """A network that is as sure of every image."""

        seen = 0

        def predict(self, x: Array) -> Array:
            self.seen += len(x)
            return np.tile(np.append(np.full(10, possible / 10), 1 - possible), (len(x), 1))

    page, candidates = page_of([Box(100, 100, 6, 60), Box(300, 100, 6, 60)])
    reader = Counts()
    classify(reader, page, candidates)
    assert reader.seen == images
    assert np.allclose(
        [c.p[10] for c in candidates], soften(reader.predict(np.zeros((1, 784))))[0, 10]
    )


def test_softened_probabilities_are_those_of_smaller_logits(rng: np.random.Generator) -> None:
    logits = rng.normal(0, 5, (4, 11))
    smaller = logits / TEMPERATURE
    assert np.allclose(soften(softmax(logits)), softmax(smaller))
    sure = np.eye(11)[:3]
    assert np.array_equal(soften(sure), sure)


HAND = [Box(100 + 50 * number, 100, 10, 60) for number in range(5)]


@pytest.mark.parametrize(
    ("odd", "darkness", "stays"),
    [
        (Box(500, 100, 10, 18), 200, False),  # too low
        (Box(500, 100, 10, 25), 200, True),
        (Box(500, 100, 12, 120), 200, True),
        (Box(500, 100, 10, 60), 70, False),  # it shines through
        (Box(500, 100, 10, 60), 95, True),
        (Box(500, 100, 4, 60), 200, False),  # what is left of a line
        (Box(500, 100, 7, 60), 200, True),
        *[(Box(*xy, 10, 40), 200, False) for xy in ((500, 0), (0, 90), (990, 90), (500, 260))],
        *[(Box(*xy, 10, 50), 200, True) for xy in ((500, 0), (0, 90), (990, 90), (500, 250))],
        (Box(500, 4, 10, 40), 200, True),
        (Box(500, 256, 10, 40), 200, True),
        (Box(500, 20, 10, 120), 200, True),
        (Box(500, 180, 10, 120), 200, True),
        (Box(500, 100, 10, 200), 200, True),
    ],
)
def test_what_another_hand_wrote_is_left_out(odd: Box, darkness: int, stays: bool) -> None:
    page, candidates = page_of([*HAND, odd], darkness)
    p = np.tile(np.eye(11)[3], (6, 1))
    assert filter_outliers(with_p(candidates, p), page) == candidates[: 5 + stays]
    p[5] = np.eye(11)[1]  # from the edge of the page a high 1 is a line
    high = odd.height == 120 and odd.bottom == 300  # but with 200 the others were tiny
    assert len(filter_outliers(with_p(candidates, p), page)) == 5 + (stays and not high)
    assert filter_outliers([], page) == []


def test_a_bar_along_a_side_is_of_a_frame() -> None:
    low, cut, whole = Box(984, 110, 10, 40), Box(6, 0, 10, 90), Box(984, 100, 10, 60)
    for box, digit in ((low, 1), (cut, 1), (whole, 1), (low, 5), (low._replace(x=900), 1)):
        page, candidates = page_of([*HAND, box])
        with_p(candidates, np.eye(11)[[3, 4, 5, 8, 1, digit]])
        stays = digit == 5 or box not in (low, cut)
        assert filter_frame(candidates, page) == candidates[: 5 + stays]
        assert filter_frame(candidates[5:], page) == candidates[5:]  # all there is


@pytest.mark.parametrize(
    ("digit", "flag", "height", "below", "stays"),
    [
        (1, 0, 70, 0, True),
        (1, 0, 85, 0, False),
        (1, 20, 85, 0, True),
        (1, 20, 110, 0, False),
        (8, 0, 110, 0, True),
        (1, 0, 85, 120, True),
    ],
)
def test_a_high_one_is_a_slash(digit: int, flag: int, height: int, below: int, stays: bool) -> None:
    """But not alone in its row or beside one other digit; with a flag it may be a bit higher. What
    looks like zeros and is half as high is letters. Those of a date need not be high."""
    letters = [Box(312 + 4 * n, 130, 3, 30) for n in range(6)]
    page, candidates = page_of([*letters, *HAND, Box(360 - flag, 95 + below, 10 + flag, height)])
    page.labels[105 + below :, 360 - flag : 360] = 0
    p = np.eye(11)[[0] * 6 + [3, 4, 5, 6, 1, digit]]
    for first in (6, 0):
        kept = filter_signs(with_p(candidates, p)[first:], page, candidates)
        assert kept == candidates[first : 11 + stays]
    two = [candidates[9], candidates[11]]
    assert filter_signs(two, page, candidates) == two
    page, candidates = page_of([*HAND, Box(360, 95, 6, 85)])  # of a thin pen, bent by a twentieth
    y = np.arange(85)
    page.labels[95:180, 360:366] = 6 * (
        np.abs(np.arange(6) - 4 * np.sin(y / 27)[:, None] - 0.5) < 1
    )
    kept = filter_signs(with_p(candidates, p[6:]), page, candidates)
    assert kept == candidates[: 5 + (digit == 8)]
    page, candidates = page_of([Box(60 * n, 100, 10, 70) for n in range(10)])
    with_p(candidates, np.eye(11)[[1, 2, 1, 0, 5, 1, 2, 0, 2, 4]])
    kept = filter_signs(candidates, page, candidates)
    assert places(kept, candidates) == [0, 1, 3, 4, 6, 7, 8, 9]
    assert candidates[2].confidence == candidates[5].confidence == 0


@pytest.mark.parametrize(
    ("lean", "gap", "plus_at", "stays"),
    [
        (45, 20, (40, 120), False),
        (10, 20, (40, 120), True),
        (45, 4, (40, 120), True),
        (45, 20, (400, 120), True),
        (45, 20, (40, 220), True),
    ],
)
def test_a_leaning_one_in_a_sum_is_a_slash(
    lean: int, gap: int, plus_at: tuple[int, int], stays: bool
) -> None:
    """It stands apart, and between digits; a plus or another sign in the row shows the sum."""
    slash, last = Box(310 + gap, 100, lean, 70), Box(460, 100, 10, 60)
    plus = Box(*plus_at, 30, 30)
    page, candidates = page_of([*HAND, slash, last, plus])
    page.labels[slash.slices] = page.labels[plus.slices] = 0
    cv2.line(page.labels, (slash.x, slash.bottom - 1), (slash.right - 1, slash.y), 6, 3)
    x, y = plus.x + 15, plus.y + 15
    cv2.line(page.labels, (x - 15, y), (x + 14, y), 8, 3)
    cv2.line(page.labels, (x, y - 15), (x, y + 14), 8, 3)
    candidates = with_p(candidates, np.eye(11)[[3, 4, 5, 6, 2, 1, 8, 10]])
    kept = filter_signs(candidates[:7], page, candidates)
    assert (candidates[5] in kept) is stays and len(kept) == 6 + stays
    assert (candidates[5].confidence == 0) is not stays  # nor is it one by being like the others


@pytest.mark.parametrize(
    ("lower_ring", "read_as", "is_sign"),
    [
        (Box(130, 90, 15, 18), 0, True),
        (Box(130, 90, 15, 18), 10, True),
        (Box(130, 90, 15, 18), 2, False),  # one half
        (Box(130, 52, 15, 18), 0, False),  # the upper right: no percent sign
        (Box(200, 90, 15, 18), 0, False),  # far away
        (Box(120, 90, 40, 50), 0, False),  # as large as a digit
    ],
)
def test_a_slash_between_rings_is_percent(lower_ring: Box, read_as: int, is_sign: bool) -> None:
    page, candidates = page_of([Box(20, 45, 40, 70), Box(90, 50, 15, 18), lower_ring])
    slash = Component(Box(100, 50, 35, 60), (4,), 200.0)
    page.components.append(slash)
    candidates.append(Candidate(slash.pieces, slash.box, 0.0, 200.0))
    candidates.append(Candidate((2, 4), slash.box, 0.0, 200.0))
    p = np.full((5, 11), 0.01)
    p[[0, 1, 2, 3, 4], [7, 0, read_as, 1, 6]] = 0.9
    found = percent_signs(page, with_p(candidates, p))
    assert found == (candidates[1:] if is_sign else [])


def test_a_plus_is_no_one_on_a_ruling() -> None:
    page, candidates = page_of([Box(20, 45, 40, 70), Box(100, 60, 50, 50), Box(200, 60, 50, 50)])
    page.labels[np.ix_(np.r_[60:82, 88:110], np.r_[100:122, 128:150])] = 0
    for digit, found in ((1, candidates[1:2]), (4, [])):
        assert plus_signs(page, with_p(candidates, np.eye(11)[3 * [digit]])) == found


def test_a_digit_of_which_nothing_is_known_is_none() -> None:
    p = np.array([[0.2] * 5 + [0] * 6, [0.9] + [0.1] + [0] * 9, [0] * 9 + [0.4, 0.6]])
    _, candidates = page_of([Box(50, 100, 9, 30), Box(90, 100, 9, 30), Box(130, 100, 9, 8)])
    assert filter_unsure(with_p(candidates, p)) == candidates[1:]
    candidates[2].box = Box(130, 100, 9, 7)  # a speck
    assert filter_unsure(candidates) == candidates[1:2]


@pytest.mark.parametrize(
    ("inside", "read_as", "is_ring"),
    [
        (Box(150, 130, 30, 50), 7, True),
        (Box(150, 148, 10, 14), 8, False),  # a dot
        (Box(145, 110, 40, 90), 1, False),  # a slash
        (Box(190, 130, 30, 50), 7, False),  # not in the middle
    ],
)
def test_a_ring_around_a_digit_is_no_zero(inside: Box, read_as: int, is_ring: bool) -> None:
    page, candidates = page_of([Box(100, 100, 130, 110), inside])
    kept = filter_rings(with_p(candidates, np.eye(11)[[0, read_as]]), page)
    assert kept == candidates[is_ring:]
    assert not unread_signs(kept, page)  # nor is it a letter
    assert len(unread_signs([], page)) == 2


def test_what_is_not_read_is_reported_from_left_to_right_but_no_dots() -> None:
    boxes = [Box(20, 90, 30, 60), Box(600, 100, 10, 25), Box(800, 200, 100, 40)]
    page, candidates = page_of([*HAND, *boxes[1::-1], Box(700, 9, 9, 9)])
    page.skipped.append(boxes[2])
    assert unread_boxes(candidates[:5], page) == boxes
    assert unread_boxes([], page) == sorted([*boxes, *HAND])
    page.components = [Component(Box(100, 100, 110, 60), (1, 2, 3), 200.0)]  # 1 and 3 are read
    page.skipped.clear()
    assert unread_boxes([candidates[0], candidates[2]], page) == [HAND[1]]


@pytest.mark.parametrize(
    ("box", "seen", "kept"),
    [
        (Box(350, 100, 30, 60), (8, 0.3), True),  # as large as they are, so one of them
        (Box(350, 100, 20, 60), (1, 0.3), True),
        (Box(350, 100, 30, 60), (8, 0.2), False),
        (Box(350, 100, 90, 60), (8, 0.3), False),  # too wide
        (Box(350, 130, 28, 29), (8, 0.3), False),  # a small letter
        (Box(350, 90, 10, 100), (1, 0.3), False),  # a slash
        (Box(350, 200, 30, 60), (8, 0.3), False),  # in another row
    ],
)
def test_doubtful_ones_among_digits(box: Box, seen: tuple[int, float], kept: bool) -> None:
    page, candidates = page_of([*HAND, box])
    p = np.eye(11)[[3, 4, 5, 8, 2, 10]] * 0.98 + 0.0002
    p[5, seen[0]] = seen[1]
    found = filter_rows(with_p(candidates, p)[:5], page, candidates)
    assert set(found) == set(candidates[: 5 + kept])


@pytest.mark.parametrize("first", [4, 0])
@pytest.mark.parametrize("gap", [80, 160])
def test_a_word_beside_a_number_is_none(gap: int, first: int) -> None:
    """What looks like a 1 and a 0 in it is an l and an o; a 1 apart from it stays one."""
    letters = [Box(200 + gap + 50 * number, 105, 35, 50) for number in range(5)]
    boxes = [Box(100 - gap, 100, 10, 60), *HAND[:3], *letters]
    kinds = [1, 3, 4, 5, None, 1, None, 0, None]
    order = [*range(first, 9), *range(first)]
    page, candidates = page_of([boxes[place] for place in order])
    likely = {at: kinds[place] for at, place in enumerate(order) if kinds[place] is not None}
    p = np.full((9, 11), 0.0001)
    p[list(likely), list(likely.values())] = 0.98
    with_p(candidates, p)
    kept = filter_rows([candidates[at] for at in likely], page, candidates)
    assert sorted(order[at] for at in places(kept, candidates)) == [0, 1, 2, 3]


@pytest.mark.parametrize(("letters", "numbers"), [(4, [0, 1]), (5, [0, 1]), (40, [])])
@pytest.mark.parametrize("gap", [20, 60])
def test_a_number_after_a_word_is_read(gap: int, letters: int, numbers: list[int]) -> None:
    """Though the word is longer; but no two letters that look like digits, in a text."""
    word = [Box(300 + 50 * (n % 12), 100 + 70 * (n // 12 % 3), 35, 50) for n in range(letters)]
    page, candidates = page_of([Box(130 - gap, 95, 30, 60), Box(160, 95, 30, 60), *word])
    p = np.eye(11)[[4, 2] + [10] * letters] * 0.98 + 0.0002
    kept = filter_rows(with_p(candidates, p)[:2], page, candidates)
    assert sorted(places(kept, candidates)) == numbers
    for letter in candidates[2:]:  # m is read as 111
        letter.p, letter.cuts = np.eye(11)[1], 2
    kept = filter_rows(candidates, page, candidates)
    assert set(kept) == set(candidates[:2])


@pytest.mark.parametrize(
    "signs",
    [
        [Box(415, 95, 25, 70), Box(470, 95, 25, 70)],  # brackets
        [Box(480, 130, 300, 8)],  # a dash
        [Box(90, 150, 400, 30)],  # a comb, of which most is empty
        [Box(500, 130, 8, 8), Box(530, 130, 8, 8)],  # dots
    ],
)
def test_signs_beside_digits_are_no_letters(signs: list[Box]) -> None:
    page, candidates = page_of([*HAND, Box(446, 100, 10, 60), *signs])
    page.labels[150:176, 95:485] = 0
    p = np.eye(11)[[3, 4, 5, 8, 2, 1] + [10] * len(signs)] * 0.98 + 0.0002
    kept = filter_rows(with_p(candidates, p)[:6], page, candidates)
    assert set(kept) == set(candidates[:6])
    assert min(kept.values()) > 0.9
    digits, beside = list(kept), unread_signs(list(kept), page)
    assert evidence_of_digits(digits, beside) > 0
    letters = [box for box in HAND for _ in range(2)]
    assert evidence_of_digits(digits, letters) < evidence_of_digits(digits, letters[:2])


def test_what_is_typical_is_what_most_ink_is() -> None:
    small = [Box(300 + 20 * number, 100, 10, 20) for number in range(8)]
    page, candidates = page_of([*HAND[:3], *small])
    p = np.tile(np.eye(11)[3], (11, 1))
    assert filter_outliers(with_p(candidates, p), page) == candidates[:3]


def test_each_piece_of_many_is_used_once(rng: np.random.Generator) -> None:
    page, candidates = some_ink(300, rng)
    chosen = best_cover(page, candidates)
    pieces = [piece for candidate in chosen for piece in candidate.pieces]
    assert len(pieces) == len(set(pieces)) > 100
    log_p = log_p_of(places(chosen, candidates), page, candidates)
    assert log_p > log_p_of([], page, candidates)


@pytest.mark.parametrize("up", [range(0, -55, -11), (2,) * 5, range(0, 55, 11), (0, 9, 18, 0, 9)])
def test_rows_are_in_reading_order(up: Sequence[int], rng: np.random.Generator) -> None:
    boxes = [Box(40 * x, 100 + 100 * y + up[x], 20, 40) for y in range(3) for x in range(5)]
    order = rng.permutation(len(boxes))
    rows = rows_of([boxes[index] for index in order])
    assert [[int(order[member]) for member in row] for row in rows] == [
        list(range(5 * y, 5 * y + 5)) for y in range(3)
    ]
    assert rows_of([]) == []
