"""The dtype in which models compute: float32, or float64 after `set_floatx`; NumPy gains nothing by
a smaller one.
"""

from typing import Any

from digits.keras import config
from digits.keras.legacy import note


def set_global_policy(policy: Any) -> None:
    """Take any policy for float32."""
    if str(getattr(policy, "name", policy)) not in ("float32", config.floatx()):
        note("mixed precision has no effect: models compute in float32")


def global_policy() -> "Policy":
    return Policy(config.floatx())


class Policy:
    """A dtype by its name."""

    def __init__(self, name: str) -> None:
        self.name = self.compute_dtype = self.variable_dtype = name


set_policy, experimental_policy = set_global_policy, Policy
