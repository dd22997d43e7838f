"""From what the network makes of each candidate to digits: the most probable account of all ink."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from digits.photos.candidates import Candidate
from digits.photos.components import InkMap

MIN_PROBABILITY = 1e-4  # no probability counts as less
LOG_PRIOR_LIGATURE = float(np.log(0.1))  # that a piece between two cuts is part of no digit
LOG_PRIOR_WIDE_NONE = float(np.log(0.05))  # that a component of several pieces holds no digit

MAX_STATES = 256
"""Accounts of a group of pieces that are followed at once; the most probable ones."""

CORNER = 0.28
"""Of the sides of a plus sign's box: there is no ink in its corners."""


def exclude_signs(page: InkMap, candidates: Sequence[Candidate]) -> None:
    """Give the percent and plus signs among the candidates no probability to be digits."""
    signs = percent_signs(page, candidates) + plus_signs(page, candidates)
    for candidate in signs:
        candidate.p[:10] = 0


def plus_signs(page: InkMap, candidates: Sequence[Candidate]) -> list[Candidate]:
    """The candidates that are a plus sign or part of one: what is read as a 1, as one on a ruling
    would be, but is about as wide as high, and without ink in the corners of its box."""
    inside: set[int] = set()
    for candidate in candidates:
        is_wide = 2 * min(candidate.box[2:]) > candidate.box.longest
        if candidate.digit == 1 and not candidate.cuts and is_wide:
            ink = page.ink(candidate.pieces) > 0
            y, x = (round(CORNER * side) for side in ink.shape)
            upper, lower = ink[:y], ink[-y:]
            corners = upper[:, :x], upper[:, -x:], lower[:, :x], lower[:, -x:]
            if not any(corner.any() for corner in corners):
                inside.update(candidate.pieces)
    return [candidate for candidate in candidates if inside.issuperset(candidate.pieces)]


def percent_signs(page: InkMap, candidates: Sequence[Candidate]) -> list[Candidate]:
    """The candidates that are a percent sign or part of one: a slash with a ring or a dot at its
    upper left and another at its lower right, neither of them another digit than 0."""
    by_pieces = {candidate.pieces: candidate for candidate in candidates}
    whole = [by_pieces[component.pieces] for component in page.components]
    x, y, w, h = np.array([candidate.box for candidate in whole], float).reshape(-1, 4).T
    other = np.array([candidate.p[1:10].max() for candidate in whole])
    round_ = (0.4 < w / h) & (w / h < 2.5) & (other < 0.5)
    center_x, center_y, size = x + w / 2, y + h / 2, np.maximum(w, h)
    inside: set[int] = set()
    for slash in np.flatnonzero(h > w):
        across, down = (
            (center_x - center_x[slash]) / h[slash],
            (center_y - center_y[slash]) / h[slash],
        )
        small = round_ & (size > 0.2 * h[slash]) & (size < 0.6 * h[slash])
        small &= (np.abs(across) < 0.8) & (np.abs(down) < 0.6)
        rings = [
            np.flatnonzero(small & (side * across > 0) & (side * down > 0)) for side in (-1, 1)
        ]
        if all(len(ring) == 1 for ring in rings):
            for member in (slash, *rings[0], *rings[1]):
                inside.update(page.components[member].pieces)
    return [candidate for candidate in candidates if not inside.isdisjoint(candidate.pieces)]


class _Option(NamedTuple):
    """Pieces that are one digit, the candidate, or none, and how probable that is."""

    pieces: frozenset[int]
    log_p: float
    candidate: Candidate | None = None


def best_cover(page: InkMap, candidates: Sequence[Candidate]) -> list[Candidate]:
    """The candidates to believe: each piece of ink is part of one digit, or of none, and the most
    probable account of all ink wins.

    Pieces that no candidate joins are independent. The accounts of a group of joined pieces are
    built from left to right; of those that differ in the pieces they have used beyond that point,
    the `MAX_STATES` most probable are kept, so that the time grows with the number of candidates
    and not with that of accounts (beam search).
    """
    log_none = {c.pieces: float(np.log(max(c.p[10], MIN_PROBABILITY))) for c in candidates}
    options = []
    no_digit: dict[int, float] = {}  # by the first piece of a component
    for component in page.components:
        pieces = component.pieces
        log_p = log_none[pieces] + (LOG_PRIOR_WIDE_NONE if len(pieces) > 1 else 0)
        no_digit[pieces[0]] = log_p
        options.append(_Option(frozenset(pieces), log_p))
        if len(pieces) > 1:
            options += [_Option(frozenset([piece]), LOG_PRIOR_LIGATURE) for piece in pieces]
    for candidate in candidates:
        log_p = float(np.log(max(candidate.confidence, MIN_PROBABILITY))) + candidate.log_prior
        if log_p > np.log(0.1):
            parts = [no_digit[piece] for piece in candidate.pieces if piece in no_digit]
            if len(parts) > 1:  # no part of a digit is one, so that says nothing against the whole
                log_p += max(0.0, sum(parts) - log_none[candidate.pieces])
            options.append(_Option(frozenset(candidate.pieces), log_p, candidate))
    chosen: list[Candidate] = []
    for group in _groups(options):
        chosen += _best_account(group, page)
    return chosen


def _groups(options: list[_Option]) -> list[list[_Option]]:
    """The options in groups that share no piece (union-find)."""
    parent: dict[int, int] = {}

    def root(piece: int) -> int:
        while parent.setdefault(piece, piece) != piece:
            parent[piece] = piece = parent[parent[piece]]
        return piece

    for option in options:
        first, *others = option.pieces
        for other in others:
            parent[root(other)] = root(first)
    groups: dict[int, list[_Option]] = {}
    for option in options:
        groups.setdefault(root(next(iter(option.pieces))), []).append(option)
    return list(groups.values())


def _best_account(options: list[_Option], page: InkMap) -> list[Candidate]:
    """The candidates of the most probable account of one group of pieces."""
    bound: dict[int, float] = {}  # the best that one piece can add to any account
    for option in options:
        for piece in option.pieces:
            bound[piece] = max(bound.get(piece, -np.inf), option.log_p / len(option.pieces))
    order = sorted(bound, key=lambda piece: (page.boxes[piece].x, piece))
    position = {piece: place for place, piece in enumerate(order)}
    starting: dict[int, list[_Option]] = {piece: [] for piece in order}
    for option in options:
        starting[min(option.pieces, key=position.__getitem__)].append(option)
    states = {frozenset[int](): _Account(0.0, 0.0, None, None)}  # by the pieces used further right
    for piece in order:
        following: dict[frozenset[int], _Account] = {}
        for used, account in states.items():
            if piece in used:
                behind = account._replace(advance=account.advance + bound[piece])
                _keep_better(following, used - {piece}, behind)
                continue
            for option in starting[piece]:
                if not used & option.pieces:
                    ahead = option.pieces - {piece}
                    advance = account.advance - sum(bound[other] for other in ahead)
                    log_p = account.log_p + option.log_p
                    longer = _Account(log_p, advance, option.candidate, account)
                    _keep_better(following, used | ahead, longer)
        best = sorted(following.items(), key=lambda state: -(state[1].log_p + state[1].advance))
        states = dict(best[:MAX_STATES])
    chosen = []
    last: _Account | None = states[frozenset()]
    while last is not None:
        if last.candidate is not None:
            chosen.append(last.candidate)
        last = last.before
    return chosen[::-1]


class _Account(NamedTuple):
    """What some pieces are: how probable that is; what the pieces used ahead of the others could
    have added at best, so that accounts of different pieces compare; and the way to get here."""

    log_p: float
    advance: float
    candidate: Candidate | None
    before: "_Account | None"


def _keep_better(
    states: dict[frozenset[int], _Account], used: frozenset[int], account: _Account
) -> None:
    if used not in states or account.log_p > states[used].log_p:
        states[used] = account
