"""Templates of digits and letters: how a pen writes them, stroke by stroke. They are kept in text
files that a person can read and extend, `digits.txt`, `habits.txt` and `letters.txt`.
"""

from functools import cache
from importlib.resources import files
from typing import NamedTuple

import numpy as np

from digits.types import Array


class Stroke(NamedTuple):
    """What the pen writes without being lifted."""

    points: Array
    """float64 (k, 2): x, y in units of the height, y downward."""
    corners: list[bool]
    """Which of the points are sharp."""


class DigitStyle(NamedTuple):
    """One way of writing a digit."""

    digit: int
    frequency: float
    """Relative to the other styles of the same digit."""
    strokes: list[Stroke]


def digit_styles() -> list[DigitStyle]:
    """All styles, in the order of the digits."""
    styles = []
    for head, strokes in _read("digits.txt"):
        digit, frequency, _ = head.split(maxsplit=2)
        styles.append(DigitStyle(int(digit), float(frequency), strokes))
    return styles


@cache
def letters() -> dict[str, list[Stroke]]:
    """Letters and signs that are no digit, by name."""
    return dict(_read("letters.txt"))


@cache
def habits() -> list[list[list[Stroke]]]:
    """Of each digit the ways of writing that are common in many countries and rare in MNIST."""
    found = _read("habits.txt")
    return [[strokes for head, strokes in found if head == str(digit)] for digit in range(10)]


def _read(name: str) -> list[tuple[str, list[Stroke]]]:
    """What stands before and behind the colon in each line of a data file."""
    text = (files("digits.data") / name).read_text(encoding="utf-8")
    lines = (line.partition(":") for line in text.splitlines() if line and line[0] != "#")
    return [(head, read_strokes(strokes)) for head, _, strokes in lines]


def read_strokes(text: str) -> list[Stroke]:
    """Read the strokes of one template: "0,6 60,3! 22,100 | 10,50 40,52"."""
    strokes = []
    for words in map(str.split, text.split("|")):
        points = [word.rstrip("!").split(",") for word in words]
        strokes.append(Stroke(np.array(points, float) / 100, [word[-1] == "!" for word in words]))
    return strokes
