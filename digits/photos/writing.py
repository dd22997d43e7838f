"""Which of the digits found are writing of digits and not letters of words that look like them: the
evidence that rows, and the words and numbers in them, give.
"""

from collections.abc import Collection, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np

from digits.photos.candidates import Candidate
from digits.photos.components import InkMap
from digits.photos.decide import MIN_PROBABILITY
from digits.photos.outliers import MIN_CONFIDENCE
from digits.photos.rows import rows_of, unread_signs
from digits.photos.slashes import SIGN_HEIGHT
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

GROUP_GAP = 0.8
"""Of the height of a digit: wider gaps part the words and numbers of a row."""

NEIGHBORS = 0.35
"""So much the evidence of the others in its row counts for such a word or number."""

ALIKE = 0.5
"""So high, for a typical digit of 1, is at least what may be one more digit of a row."""


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
    signs = [box for box, sign in unread_signs(chosen, page).items() if not sign]
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


def evidence_of_digits(digits: list[Candidate], signs: Collection[Box]) -> float:
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
