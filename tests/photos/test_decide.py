"""The most probable account of the ink, and the order of reading."""

from itertools import combinations

import numpy as np
import pytest

from digits.photos.candidates import Candidate
from digits.photos.components import Component, InkMap
from digits.photos.decide import best_cover, filter_rows, rows_of
from digits.types import Array, Box


def some_ink(pieces: int, rng: np.random.Generator) -> tuple[InkMap, list[Candidate], Array]:
    """Pieces in a row, candidates of one to three neighbors, and random probabilities."""
    boxes = {piece: Box(10 * piece, 0, 8, 20) for piece in range(pieces)}
    components = [Component(boxes[piece], (piece,), 200.0) for piece in range(pieces)]
    page = InkMap(np.zeros((20, 10 * pieces), np.int32), np.zeros((1, 1)), components, [], boxes)
    groups: list[tuple[int, ...]] = [(piece,) for piece in range(pieces)]
    groups += [pair for pair in combinations(range(pieces), 2) if pair[1] - pair[0] < 3]
    groups += [(piece, piece + 1, piece + 2) for piece in range(pieces - 2)]
    candidates = [Candidate(group, page.box(group), 0.0, 200.0) for group in groups]
    p = rng.dirichlet(np.full(11, 0.2), len(candidates))
    return page, candidates, p


def log_probability(
    chosen: list[int], page: InkMap, candidates: list[Candidate], p: Array
) -> float:
    """Of an account in which the chosen candidates are digits and all other ink is none."""
    digit = np.log(np.maximum(p[:, :10].max(axis=1), 1e-4))
    none = np.log(np.maximum(p[:, 10], 1e-4))
    used = {piece for index in chosen for piece in candidates[index].pieces}
    alone = [index for index in range(len(page.components)) if index not in used]
    return float(digit[chosen].sum() + none[alone].sum())


@pytest.mark.parametrize("seed", range(20))
def test_the_best_account_is_found(seed: int) -> None:
    """Against all of them, of few pieces."""
    page, candidates, p = some_ink(6, np.random.default_rng(seed))
    likely = [index for index in range(len(candidates)) if p[index, :10].max() > 0.1]
    best, best_log_p = [], -np.inf
    for size in range(7):
        for chosen in combinations(likely, size):
            pieces = [piece for index in chosen for piece in candidates[index].pieces]
            if len(pieces) == len(set(pieces)):
                log_p = log_probability(list(chosen), page, candidates, p)
                if log_p > best_log_p:
                    best, best_log_p = list(chosen), log_p
    assert sorted(best_cover(page, candidates, p)) == best


@pytest.mark.parametrize(
    ("row", "letters", "belief"),
    [("83625", 0, (0.99, 1)), ("83625", 1, (0.9, 1)), ("101", 9, (0, 0)), ("1", 4, (0, 0))],
)
def test_a_row_is_judged_as_a_whole(row: str, letters: int, belief: tuple[float, float]) -> None:
    """Digits of which the network is sure are digits, unless they are o and l among letters."""
    page, candidates, _ = some_ink(len(row) + letters, np.random.default_rng(0))
    p = np.full((len(candidates), 11), 0.002)
    p[:, 10] = 0.98
    p[range(len(row)), [int(digit) for digit in row]] = 0.98
    p[: len(row), 10] = 0.002
    kept, _ = filter_rows(list(range(len(row))), page, candidates, p)
    least, most = belief
    assert all(least <= kept.get(index, 0.0) <= most for index in range(len(row)))


def test_one_stroke_alone_is_less_certain_than_an_eight() -> None:
    page, candidates, _ = some_ink(1, np.random.default_rng(0))
    kept = [filter_rows([0], page, candidates, np.eye(11)[[digit]])[0][0] for digit in (1, 8)]
    assert 0.5 < kept[0] < kept[1] < 1


def test_each_piece_of_many_is_used_once(rng: np.random.Generator) -> None:
    page, candidates, p = some_ink(300, rng)
    chosen = best_cover(page, candidates, p)
    pieces = [piece for index in chosen for piece in candidates[index].pieces]
    assert len(pieces) == len(set(pieces)) > 100
    alone = log_probability([], page, candidates, p)
    assert log_probability(chosen, page, candidates, p) > alone


def test_rows_are_in_reading_order(rng: np.random.Generator) -> None:
    boxes = [Box(30 * x, 100 * y + 2 * x, 20, 40) for y in range(3) for x in range(5)]
    order = rng.permutation(len(boxes))
    rows = rows_of([boxes[index] for index in order])
    assert [[int(order[member]) for member in row] for row in rows] == [
        list(range(5 * y, 5 * y + 5)) for y in range(3)
    ]
    assert rows_of([]) == []
