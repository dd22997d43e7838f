"""How arguments are checked: one way to say what was expected, what was received and what to do."""

from typing import Any

import numpy as np


def check(condition: object, expected: str, received: object, advice: str = "") -> None:
    """Raise ValueError "expected ...; received ...: advice" unless the condition holds."""
    if not condition:
        text = f"expected {expected}; received {received!r:.200}"
        raise ValueError(f"{text}: {advice}" if advice else text)


def positive_int(value: Any, meaning: str) -> int:
    """The value as an int, if it is an integer above 0; else ValueError."""
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    check(whole and value > 0, f"{meaning} as a whole number above 0", value)
    return int(value)


def check_generator(rng: object) -> None:
    """Raise TypeError unless it is a numpy.random.Generator."""
    if not isinstance(rng, np.random.Generator):
        raise TypeError(
            f"expected rng as a numpy.random.Generator; received {type(rng).__name__}: "
            "pass numpy.random.default_rng(seed)"
        )
