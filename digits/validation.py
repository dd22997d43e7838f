"""How arguments are checked: one way to say what was expected and what was received.  All errors
are ValueError with one sentence.
"""

from typing import Any

import numpy as np


def check(condition: bool, expected: str, received: object) -> None:
    """Raise ValueError unless the condition holds."""
    if not condition:
        raise ValueError(f"expected {expected}; received {received!r}")


def positive_int(value: Any, meaning: str) -> int:
    """The value as an int, if it is a whole number above 0; else ValueError."""
    good = isinstance(value, int | np.integer) and value > 0
    check(bool(good), f"{meaning} as a whole number above 0", value)
    return int(value)
