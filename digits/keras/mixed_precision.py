"""The dtype in which models compute: float32, or float64 after `set_floatx`; NumPy gains nothing by
a smaller one.
"""

from types import SimpleNamespace
from typing import Any

from digits.keras import config
from digits.keras.legacy import note


def set_global_policy(policy: Any) -> None:
    """Take any policy for float32."""
    if str(getattr(policy, "name", policy)) not in ("float32", config.floatx()):
        note("mixed precision has no effect: models compute in float32")


def Policy(name: str) -> SimpleNamespace:
    """A dtype by its name."""
    return SimpleNamespace(name=name, compute_dtype=name, variable_dtype=name)


def global_policy() -> SimpleNamespace:
    return Policy(config.floatx())


set_policy, experimental_policy = set_global_policy, Policy
