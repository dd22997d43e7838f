"""What stands between digits, from the boxes of the ink."""

import pytest

from digits.photos.signs import text_of
from digits.types import Box

POINT, COMMA, MINUS, LETTER = (
    Box(0, 92, 8, 8),
    Box(0, 88, 8, 26),
    Box(0, 50, 40, 6),
    Box(0, 20, 60, 80),
)


@pytest.mark.parametrize("scale", [0.3, 1, 4])
@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("12", "12"),
        ("3", "3"),
        ("3.14", "3.14"),
        ("1,5", "1,5"),
        ("2-4", "2-4"),
        ("-27", "-27"),
        ("12 34 56", "12 34 56"),
        ("3.14 -27", "3.14 -27"),
        ("12xx", "12?"),
    ],
)
def test_what_stands_between_digits(written: str, text: str, scale: float) -> None:
    digits, others, x = [], [], 0
    signs = {".": POINT, ",": COMMA, "-": MINUS, "x": LETTER}
    for character in written:
        if character in signs:
            box = signs[character]._replace(x=x)
            others.append(box.scaled(scale))
        elif character != " ":
            box = Box(x, 0, 60, 100)
            digits.append((character, box.scaled(scale)))
        x = x + 120 if character == " " else box.right + 15
    below = Box(0, 130, 400, 5).scaled(scale)
    assert text_of(digits, [*others, below]) == text
