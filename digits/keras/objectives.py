"""What `compile` asks of each output of a model: a loss, how much it counts, and metrics."""

import copy
from typing import Any, NamedTuple

from digits.keras import losses, metrics
from digits.types import Shape
from digits.validation import check


class Objective(NamedTuple):
    """What one output, the one of that number, is trained and measured by.

    `name` is that of the output where there are several, and begins the names of its logs.
    """

    output: int
    name: str
    loss: Any
    factor: float
    metrics: list[metrics.Metric]

    def log_name(self, what: str) -> str:
        """The name of the loss, or of a metric, in the logs."""
        return f"{self.name}_{what}" if self.name else what


def objectives(
    names: list[str], sizes: list[Shape], loss: Any, weights: Any, wanted: Any, every: bool = False
) -> list[Objective]:
    """An objective for each output that has a loss, or `every` one, from the arguments of
    `compile`.
    """
    several = len(names) > 1
    factors = for_outputs(weights, names, "loss_weights")
    found = zip(for_outputs(loss, names, "loss"), factors, _metrics(wanted, names), strict=True)
    return [
        Objective(
            i,
            names[i] if several else "",
            objects,
            1.0 if factor is None else float(factor),
            [metrics.get(copy.copy(m), objects, sizes[i]) for m in asked],
        )
        for i, (objects, factor, asked) in enumerate(found)
        if every or objects is not None
    ]


def for_outputs(given: Any, names: list[str], what: str) -> list[Any]:
    """What is given for each output: by name, in their order, or one for all of them."""
    if is_dict(given):
        if len(names) == len(given) == 1:
            return list(given.values())
        unknown = ", ".join(map(str, given.keys() - set(names)))
        check(not unknown, f"{what} for outputs among {', '.join(names)}", unknown)
        return [given.get(name) for name in names]
    if isinstance(given, list | tuple):
        check(len(given) == len(names), f"{what} for each of {len(names)} outputs", len(given))
        return list(given)
    return [given] * len(names)


def _metrics(given: Any, names: list[str]) -> list[list[Any]]:
    """The metrics for each output; a list of another length than the outputs is for all of them."""
    if len(names) == 1:
        return [listed(given)]
    parts = isinstance(given, list | tuple) and (
        len(given) == len(names) or any(isinstance(part, list | tuple) for part in given)
    )
    if parts or is_dict(given):
        return [listed(part) for part in for_outputs(given, names, "metrics")]
    return [listed(given) for _ in names]


def loss_objects(loss: Any) -> Any:
    """The argument `loss` with an object for each loss in it."""
    if is_dict(loss):
        return {name: losses.get(part) for name, part in loss.items()}
    if isinstance(loss, list | tuple):
        return [losses.get(part) for part in loss]
    return losses.get(loss)


def is_dict(value: Any) -> bool:
    """Whether a value holds others by name, and is no configuration of one."""
    return isinstance(value, dict) and "class_name" not in value


def listed(value: Any) -> list[Any]:
    """One thing, several, or several by name, as a list."""
    if is_dict(value):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return [item for part in value for item in listed(part)]
    return [] if value is None else [value]
