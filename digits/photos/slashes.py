"""What is read as a digit but is a sign between digits: slashes, brackets and commas."""

import re
from collections.abc import Sequence
from itertools import combinations

import numpy as np

from digits.photos.candidates import Candidate
from digits.photos.components import InkMap
from digits.photos.ink import stroke_width
from digits.photos.rows import in_rows, unread_signs
from digits.types import Array, Box

SIGN_HEIGHT = 1.3
"""So many times as high as the other digits of its row, a straight 1 is a slash instead."""

BENT_SIGN_HEIGHT = 1.55
"""The same for a 1 that is not straight, which is a bracket instead: a flag makes a 1 higher."""

STRAIGHT = 0.6
"""A stroke is straight if the standard deviation of its pixels across its axis is less than so many
widths of the pen."""

BEND = 0.07
"""... or of the same along its axis, which is more for a thin pen."""

LEAN = 0.4
"""A slash is at least so wide, for a height of 1 ..."""

APART = 0.15
"""... and at least so far from the digits beside it."""

DATE_FORM = re.compile(r"\d\d?/\d\d?/(\d\d){1,2}|\d{4}/\d\d?/\d\d?")

_DAY, _MONTH = "(0[1-9]|[12][0-9]|3[01])", "(0[1-9]|1[0-2])"
DATE = re.compile(rf"({_DAY}/{_MONTH}|{_MONTH}/{_DAY})/\d+|\d+/{_MONTH}/{_DAY}")
"""A date that can be, of days and months of two digits."""


def filter_signs(
    chosen: list[Candidate], page: InkMap, candidates: Sequence[Candidate]
) -> list[Candidate]:
    """The digits without the slashes and brackets between them: what is read as a 1 and is much
    higher than the other digits of its row, and than the next ones on either side, as words have
    lower letters. A 1 with a flag may be higher than a straight one. Candidates with ink of the
    slashes of a date or a sum have no probability to be digits from then on."""
    signs: set[Candidate] = set()
    unread = unread_signs(chosen, page)
    for row in in_rows(chosen):
        ones = [digit for digit in row if digit.digit == 1]
        others = [digit.box for digit in row if digit.digit != 1]
        highest = max((other.height for other in others), default=0)
        tall = [other for other in others if other.height > 0.6 * highest]  # not letters of words
        others = tall if len(tall) > 1 else others
        if len(others) > 1:
            straight = [one for one in ones if _is_straight(page.ink(one.pieces))]
            for one in ones:
                before = [other.height for other in others if other.x < one.box.x]
                after = [other.height for other in others if other.x >= one.box.x]
                sides = [side for side in (before[-3:], after[:3]) if len(side) > 1]
                height = one.box.height / max(np.median(side) for side in (*sides, before + after))
                if height >= (SIGN_HEIGHT if one in straight else BENT_SIGN_HEIGHT):
                    signs.add(one)
            slashes = [*_date_slashes(row, straight), *_slashes(row, straight, unread)]
            ink = {piece for slash in slashes for piece in slash.pieces}
            for candidate in candidates:
                if not ink.isdisjoint(candidate.pieces):
                    candidate.p[:10] = 0
            signs.update(slashes)
        boxes = [digit.box for digit in row]
        signs.update(d for d in row if any(_is_comma(box, d.box) for box in boxes))
    return [digit for digit in chosen if digit not in signs]


def _slashes(row: list[Candidate], ones: list[Candidate], signs: dict[Box, str]) -> list[Candidate]:
    """The slashes among the straight ones of a row, if other signs show that it is a sum: they lean
    and stand apart, with a digit or a parenthesis on either side, as no two signs are neighbors."""
    least = 0.2 * float(np.median([digit.box.height for digit in row]))
    beside = {
        box: sign
        for box, sign in signs.items()
        if box.longest > least and any(0 < digit.box.level_of(box) < 1 for digit in row)
    }
    found = []
    for one in ones if any(beside.values()) else []:
        digits = [digit.box for digit in row if digit is not one]
        before = [box for box in [*digits, *beside] if box.x < one.box.x]
        after = [box for box in [*digits, *beside] if box.x > one.box.x]
        sides = [max(before, default=None), min(after, default=None)]  # by x, which comes first
        between = all(side and beside.get(side, "(") in ("(", ")") for side in sides)
        gap = min(-box.overlap(one.box)[0] for box in digits)
        if between and gap > APART * one.box.height and one.box.width > LEAN * one.box.height:
            found.append(one)
    return found


def _date_slashes(row: list[Candidate], ones: list[Candidate]) -> tuple[Candidate, ...]:
    """The two of these ones that are the slashes of a date: the rest of the row is day, month and
    year; they are no lower than its digits are, or higher than all if such a day cannot be."""
    for pair in combinations(ones, 2):
        text = "".join("/" if digit in pair else str(digit.digit) for digit in row)
        rest = [digit.box.height for digit in row if digit not in pair]
        least = np.median(rest) if DATE.fullmatch(text) else 1.1 * max(rest)
        if DATE_FORM.fullmatch(text) and min(slash.box.height for slash in pair) >= least:
            return pair
    return ()


def _is_comma(digit: Box, box: Box) -> bool:
    """Whether what is read as a digit beside another is a comma: low, and at its foot."""
    across, _ = digit.overlap(box)
    low = 2 * box.height < digit.height and digit.level_of(box) > 0.8
    return low and -2 * across < digit.height


def _is_straight(ink: Array) -> bool:
    """Whether ink is one straight stroke. The variance of its pixels across its axis is the smaller
    eigenvalue of their covariance matrix."""
    across, along = np.sqrt(np.linalg.eigvalsh(np.cov(np.argwhere(ink > 0).T)))
    return bool(across < max(STRAIGHT * stroke_width(ink > 0), BEND * along))
