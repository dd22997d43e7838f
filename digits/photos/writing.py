"""Which of the digits found belong to the writing: none that another pen wrote, no signs, no
letters of words; and the rows that they stand in.
"""

import re
from collections.abc import Sequence
from itertools import combinations, groupby
from typing import NamedTuple

import numpy as np

from digits.photos.candidates import Candidate, encircles
from digits.photos.components import InkMap
from digits.photos.decide import MIN_PROBABILITY
from digits.photos.ink import stroke_width
from digits.photos.outliers import MIN_CONFIDENCE
from digits.types import Array, Box

MIN_CONFIDENCE_ALONE = 0.5  # of the surest digit in a row, unless it is the only one there is

IN_WORDS = np.array([0.03, 0.115, 0.016, 0.006, 0.013, 0.029, 0.015, 0.022, 0.011, 0.013])
"""How often the network takes a component of handwritten words for each digit."""

LOG_RATIO_DIGIT = np.log(0.1 / IN_WORDS)

ROW_WEIGHTS = np.array([0.62, 2.53, -0.93, 1.53])
"""Of the measures of a row: for the log-likelihood ratio of digits and words, by which it is kept;
fitted, with `IN_WORDS`, by benchmarks/evidence.py to pages of open handwriting fonts."""

LOG_PRIOR_DIGITS = 0.49

WORDS_ON_THEIR_SIDE = -3
"""With less evidence a page whose lines run from top to bottom has no digits, in spite of a row."""

EVIDENCE_OF_WORDS = 8
"""That a row of words gives. Each is one more chance that some of them look like a number."""

TURNED_LETTER = 0.4
"""Subtracted from the evidence of a digit that may be a letter upside down or on its side."""

SIGN_HEIGHT = 1.3
"""So many times as high as the other digits of its row, a straight 1 is a slash instead."""

BENT_SIGN_HEIGHT = 1.55
"""The same for a 1 that is not straight, which is a bracket instead: a flag makes a 1 higher."""

STRAIGHT = 0.6
"""A stroke is straight if the standard deviation of its pixels across its axis is less than so many
widths of the pen."""

BEND = 0.07
"""... or of the same along its axis, which is more for a thin pen."""

DATE_FORM = re.compile(r"\d\d?/\d\d?/(\d\d){1,2}|\d{4}/\d\d?/\d\d?")

_DAY, _MONTH = "(0[1-9]|[12][0-9]|3[01])", "(0[1-9]|1[0-2])"
DATE = re.compile(rf"({_DAY}/{_MONTH}|{_MONTH}/{_DAY})/\d+|\d+/{_MONTH}/{_DAY}")
"""A date that can be, of days and months of two digits."""

GROUP_GAP = 0.8
"""Of the height of a digit: wider gaps part the words and numbers of a row."""

NEIGHBORS = 0.35
"""So much the evidence of the others in its row counts for such a word or number."""

ALIKE = 0.5
"""So high, for a typical digit of 1, is at least what may be one more digit of a row."""

MAX_ROW_TILT = 0.2
"""A single row of digits up and down in their cells is at most so steep."""


def filter_signs(
    chosen: list[Candidate], page: InkMap, candidates: Sequence[Candidate]
) -> list[Candidate]:
    """The digits without the slashes and brackets between them: what is read as a 1 and is much
    higher than the other digits of its row, and than the next ones on either side, as words have
    lower letters. A 1 with a flag may be higher than a straight one. Candidates with ink of a
    date's slashes have no probability to be digits from then on."""
    signs: set[Candidate] = set()
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
            slashes = _date_slashes(row, straight)
            ink = {piece for slash in slashes for piece in slash.pieces}
            for candidate in candidates:
                if not ink.isdisjoint(candidate.pieces):
                    candidate.p[:10] = 0
            signs.update(slashes)
        boxes = [digit.box for digit in row]
        signs.update(d for d in row if any(_is_comma(box, d.box) for box in boxes))
    return [digit for digit in chosen if digit not in signs]


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


class Row(NamedTuple):
    """The digits of a row, boxes around the other ink in it, and what they say of it: see
    `measure_rows`."""

    digits: list[Candidate]
    others: list[Box]
    measures: Array


def measure_rows(chosen: list[Candidate], page: InkMap) -> list[Row]:
    """The rows of a page, each with four measures: how much rarer its digits are among what the
    network sees in words than among digits, and how sure it is of them, in logarithms; how many
    letters are beside them; and how many digits and letters the page has, in a logarithm of their
    ratio."""
    if not chosen:
        return []
    digit_boxes = [digit.box for digit in chosen]
    typical = float(np.median([box.height for box in digit_boxes]))
    signs = unread_signs(chosen, page)
    others, letters = [], []
    for box, height in zip(signs, _nearest_heights(signs, digit_boxes), strict=True):
        least = min(height, typical)
        if 0.4 * least < box.height < 2.5 * typical and box.width > 0.3 * least:
            others.append(box)
            letters.append(max(1.0, box.width / typical))
    boxes = digit_boxes + others
    balance = np.log((len(chosen) + 1) / (sum(letters) + 1))
    found = []
    for row in rows_of(boxes):
        digits = [chosen[member] for member in row if member < len(chosen)]
        rest = [member - len(chosen) for member in row if member >= len(chosen)]
        rare = LOG_RATIO_DIGIT[[digit.digit for digit in digits]].sum()
        sure = np.log([digit.confidence for digit in digits]).sum()
        beside = sum(letters[other] for other in rest)
        measures = np.array([rare, sure, beside, balance])
        found.append(Row(digits, [others[other] for other in rest], measures))
    return found


def _nearest_heights(boxes: list[Box], digits: list[Box]) -> list[float]:
    """For each box how high the nearest digit is."""
    x, y, w, h = np.array(boxes, float).reshape(-1, 1, 4).T
    left, top, width, height = np.array(digits, float).reshape(-1, 4, 1).swapaxes(0, 1)
    across = np.maximum(x, left) - np.minimum(x + w, left + width)  # (digits, boxes): gaps
    down = np.maximum(y, top) - np.minimum(y + h, top + height)
    nearest = np.hypot(np.maximum(0, across), np.maximum(0, down)).argmin(axis=0)
    return [float(found) for found in height[nearest, 0]]


def filter_rows(
    chosen: list[Candidate], page: InkMap, candidates: Sequence[Candidate]
) -> dict[Candidate, float]:
    """The digits in rows of digits, each with the probability that its row is one: a row is writing
    of one kind, as is each group in it that gaps set off.

    Evidence for digits is the log-likelihood ratio of what the network sees in a row if it is one
    of digits and if it is one of words, in which some letters look like digits. In a row of
    digits, what else has their size is one too, unless the network rules it out.
    """
    whole = {candidate.box: candidate for candidate in reversed(candidates)}
    typical = float(np.median([digit.box.height for digit in chosen] or [0]))
    kept: dict[Candidate, float] = {}
    total = of_numbers = of_words = 0.0
    rows = measure_rows(chosen, page)
    for digits, others, measures in rows:
        evidence = ROW_WEIGHTS * measures
        of_row, prior = float(evidence[:3].sum()), float(evidence[3]) + LOG_PRIOR_DIGITS
        total += of_row  # the rest of the page speaks for itself
        log_odds = of_row + prior
        if log_odds > 0:
            if 3 * len(others) < 2 * len(digits):
                alike = [whole[box] for box in others if box in whole]
                digits += [candidate for candidate in alike if _may_be_digit(candidate, typical)]
            in_words = _letters(digits, others, alone=len(rows) == 1)
            numbers = dict.fromkeys((d for d in digits if d not in in_words), log_odds)
        else:
            numbers = _numbers(digits, others, prior, of_row)
        sure = {digit: float(1 / (1 + np.exp(-odds))) for digit, odds in numbers.items()}
        best = max((q * digit.confidence for digit, q in sure.items()), default=0.0)
        if sure and (len(chosen) == 1 or best > MIN_CONFIDENCE_ALONE):
            kept |= sure
            of_numbers += max(numbers.values())
        else:
            of_words -= of_row
    by_chance = of_numbers < np.log(max(1.0, of_words / EVIDENCE_OF_WORDS))
    if by_chance or (total < WORDS_ON_THEIR_SIDE and _lines_run_down(page)):
        kept = {}
    return kept


def _lines_run_down(page: InkMap) -> bool:
    """Whether the ink makes far fewer lines from top to bottom than from left to right."""
    boxes = [component.box for component in page.components]
    lines = rows_of([Box(box.y, box.x, box.height, box.width) for box in boxes])
    return 2 * len(rows_of(boxes)) > 3 * len(lines)


def _numbers(
    digits: list[Candidate], others: list[Box], prior: float, evidence: float
) -> dict[Candidate, float]:
    """What in a row of words, which has such evidence, is a number beside them, with its log-odds:
    what stands side by side without letters, and is digits in spite of the others."""
    found: dict[Candidate, float] = {}
    groups = _groups(digits, others)
    for has_letters, run in groupby(groups, key=lambda group: group[1] > 0):
        inside = [digit for members, _ in run for digit in members]
        own = _evidence(inside)
        log_odds = prior + own + NEIGHBORS * (evidence - own)
        if not has_letters and log_odds > 0 and len(inside) < len(digits) + len(others):
            found |= dict.fromkeys(inside, log_odds)
    return found


def _letters(digits: list[Candidate], others: list[Box], alone: bool) -> set[Candidate]:
    """What in a row of digits is a word beside them: a group that is set off by gaps, has letters
    in it, and is more likely letters than digits."""
    groups = _groups(digits, others)
    if alone and len(groups) == 1:  # the row has been judged as a whole
        return set()
    found: set[Candidate] = set()
    for inside, letters in groups:
        evidence = _evidence(inside)
        if letters > 1:  # one may be a sign between digits
            evidence += ROW_WEIGHTS[2] * letters
        if evidence < 0 and (letters > 1 or (letters and len(inside) > 2)):
            found.update(inside)
    return found


def _groups(digits: list[Candidate], others: list[Box]) -> list[tuple[list[Candidate], int]]:
    """The words and numbers of a row, which gaps part: the digits of each, and how many letters it
    has, which are wider than brackets; a cut through ink counts as one."""
    others = [box for box in others if box.width > 0.5 * box.height]
    boxes = [digit.box for digit in digits] + others
    gap = GROUP_GAP * float(np.median([box.height for box in boxes] or [0]))
    groups: list[list[int]] = []
    end = -np.inf
    for member in sorted(range(len(boxes)), key=lambda member: boxes[member].x):
        if boxes[member].x > end + gap:
            groups.append([])
        groups[-1].append(member)
        end = max(end, boxes[member].right)
    found = []
    for group in groups:
        inside = [digits[member] for member in group if member < len(digits)]
        cuts = sum(digit.cuts for digit in inside) // 2  # a cut has two sides
        found.append((inside, len(group) - len(inside) + cuts))
    return found


def evidence_of_digits(digits: list[Candidate], signs: list[Box]) -> float:
    """That these are digits, and not letters upside down or on their side: a log-likelihood ratio.
    For each sign beside them, which may be a letter, one of them may be a letter, too."""
    return _evidence(digits) - TURNED_LETTER * min(len(digits), len(signs))


def _evidence(digits: list[Candidate]) -> float:
    """That these are digits: a log-likelihood ratio."""
    p = np.array([digit.p[:10] for digit in digits]).reshape(-1, 10)
    return float(log_likelihood_ratio(p).sum())


def log_likelihood_ratio(p: Array) -> Array:
    """Of pieces of ink, each to be a digit or a letter, by the probabilities (n, 10) of digits."""
    best = np.log(np.maximum(p.max(axis=1), MIN_PROBABILITY))
    ratio = ROW_WEIGHTS[0] * LOG_RATIO_DIGIT[p.argmax(axis=1)] + ROW_WEIGHTS[1] * best
    return np.maximum(ratio, ROW_WEIGHTS[2])


def _may_be_digit(candidate: Candidate, typical: float) -> bool:
    """Whether something in a row of digits, which are typically so high, may be one of them: no
    wider than high, not much lower, no 1 that is much higher, and not ruled out by the network."""
    box = candidate.box
    is_sign = candidate.digit == 1 and box.height > SIGN_HEIGHT * typical
    fits = ALIKE * typical < box.height and box.width < 1.2 * box.height
    return fits and not is_sign and candidate.confidence > MIN_CONFIDENCE


def _unread_runs(chosen: list[Candidate], page: InkMap) -> list[tuple[int, ...]]:
    """The ink that is part of no digit: of each component the pieces side by side."""
    used = {piece for digit in chosen for piece in digit.pieces}
    return [
        tuple(run)
        for component in page.components
        for free, run in groupby(component.pieces, key=lambda piece: piece not in used)
        if free
    ]


def unread_signs(chosen: list[Candidate], page: InkMap) -> list[Box]:
    """Boxes around letters and signs: ink that is part of no digit, without rings around digits,
    underlines and combs, which are wide and have less ink than letters."""
    digits = [digit.box for digit in chosen]
    typical = float(np.median([box.height for box in digits] or [0]))
    found = []
    for run in _unread_runs(chosen, page):
        box = page.box(run)
        is_wide = box.width > max(4 * box.height, 1.5 * typical)
        is_line = is_wide and _length(page.ink(run) > 0) < 1.7 * box.width
        if not is_line and not any(encircles(box, digit) for digit in digits):
            found.append(box)
    return found


def _length(ink: Array) -> float:
    """How long the strokes are, all together."""
    return float(ink.sum()) / max(1.0, stroke_width(ink))


def unread_boxes(chosen: list[Candidate], page: InkMap) -> list[Box]:
    """Boxes around ink that is part of no digit, from left to right, without dots and the ends of
    lines: what is a third as large as a typical digit or component."""
    runs = [page.box(run) for run in _unread_runs(chosen, page)] + page.skipped
    lengths = [digit.box.longest for digit in chosen] or [run.longest for run in runs]
    least = 0.35 * float(np.median(lengths)) if lengths else 0.0
    return sorted(run for run in runs if run.longest > least)


def in_rows(digits: Sequence[Candidate]) -> list[list[Candidate]]:
    """Digits in reading order: those of every row from left to right, rows from top to bottom."""
    return [[digits[member] for member in row] for row in rows_of([d.box for d in digits])]


def rows_of(boxes: Sequence[Box]) -> list[list[int]]:
    """Boxes in reading order: the indices of every row from left to right, rows from top to bottom.

    The lines of writing may be tilted: the tilt is the median slope from each box to the nearest
    one on its right, where there are two or more; or none, or the slope of all boxes, where that
    makes fewer rows, as with digits up and down in their cells. A box joins the row whose last box
    it continues within half a height.
    """
    if not boxes:
        return []
    x, y, w, h = np.array(boxes, float).T
    center_x, center_y, typical = x + w / 2, y + h / 2, float(np.median(h))
    across = center_x - center_x[:, None]  # [i, j]: from i to j
    down = center_y - center_y[:, None]
    beside = (across > 0) & (np.abs(down) < 0.7 * np.maximum(typical, across))
    distance = np.where(beside & (across < 6 * typical), np.hypot(across, down), np.inf)
    nearest = distance.argmin(axis=1)
    linked = np.flatnonzero(np.isfinite(distance.min(axis=1)))
    slopes = down[linked, nearest[linked]] / across[linked, nearest[linked]]
    tilts = [0.0]
    if len(slopes) > 1:
        tilts = [float(np.median(slopes)), 0.0]
        through_all = float(np.polyfit(center_x, center_y, 1)[0])
        if abs(through_all) < MAX_ROW_TILT:
            tilts.append(through_all)
    return min((_rows_at(tilt, center_x, center_y, h) for tilt in tilts), key=len)


def _rows_at(tilt: float, x: Array, y: Array, height: Array) -> list[list[int]]:
    """The rows of boxes with these centers and heights, if the lines of writing are so steep."""
    level = y - tilt * x
    typical = float(np.median(height))
    rows: list[list[int]] = []
    for box in np.argsort(x, kind="stable"):
        steps = [abs(level[box] - level[row[-1]]) for row in rows]
        if steps and min(steps) < 0.5 * max(typical, height[box]):
            rows[int(np.argmin(steps))].append(int(box))
        else:
            rows.append([int(box)])
    return sorted(rows, key=lambda row: float(np.mean(level[row])))
