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


def is_number(value: Any) -> bool:
    """Whether it is one real number."""
    return np.ndim(value) == 0 and np.asarray(value).dtype.kind in "iuf"


def check_type(value: object, kind: type, expected: str, advice: str) -> None:
    """Raise TypeError "expected ...; received ...: advice" unless the value is of that class."""
    if not isinstance(value, kind):
        received = (
            f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__
        )
        raise TypeError(f"expected {expected}; received {received}: {advice}")


def check_generator(rng: object) -> None:
    """Raise TypeError unless it is a numpy.random.Generator."""
    advice = "pass numpy.random.default_rng(seed)"
    check_type(rng, np.random.Generator, "rng as a numpy.random.Generator", advice)


def generator(rng: np.random.Generator | None) -> np.random.Generator:
    """The one that was passed in, or one with a seed of its own for None."""
    rng = np.random.default_rng() if rng is None else rng
    check_generator(rng)
    return rng
