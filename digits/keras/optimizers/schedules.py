"""Learning rates that change with the number of updates, under Keras' names."""

import math
from typing import Any

from digits.keras.serialization import Configured, from_table
from digits.nn import schedules as nn


class LearningRateSchedule(Configured):
    """The number of updates made so far -> the rate of the next. A subclass gives `__call__`."""

    module = "keras.optimizers.schedules"

    def __call__(self, step: Any) -> float:
        raise NotImplementedError


class ExponentialDecay(LearningRateSchedule):
    """initial_learning_rate * decay_rate ^ (step / decay_steps)."""

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        decay_rate: float,
        staircase: bool = False,
        name: str | None = None,
    ) -> None:
        self.initial_learning_rate, self.decay_steps = initial_learning_rate, decay_steps
        self.decay_rate, self.staircase, self.name = decay_rate, staircase, name
        self._rule = nn.ExponentialDecay(initial_learning_rate, decay_steps, decay_rate, staircase)

    def __call__(self, step: Any) -> float:
        return self._rule(int(step))


class InverseTimeDecay(LearningRateSchedule):
    """initial_learning_rate / (1 + decay_rate * step / decay_steps)."""

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str | None = None,
    ) -> None:
        self.initial_learning_rate, self.decay_steps = initial_learning_rate, decay_steps
        self.decay_rate, self.staircase, self.name = decay_rate, staircase, name

    def __call__(self, step: Any) -> float:
        time = int(step) / self.decay_steps
        time = math.floor(time) if self.staircase else time
        return self.initial_learning_rate / (1 + self.decay_rate * time)


class PiecewiseConstantDecay(LearningRateSchedule):
    """values[i] until update boundaries[i], then the next."""

    def __init__(self, boundaries: Any, values: Any, name: str | None = None) -> None:
        self.boundaries, self.values, self.name = list(boundaries), list(values), name
        self._rule = nn.PiecewiseConstantDecay(self.boundaries, self.values)

    def __call__(self, step: Any) -> float:
        return self._rule(int(step))


class PolynomialDecay(LearningRateSchedule):
    """From initial_learning_rate to end_learning_rate in decay_steps, as (1 - step share)^power."""

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
        name: str | None = None,
    ) -> None:
        self.initial_learning_rate, self.decay_steps = initial_learning_rate, decay_steps
        self.end_learning_rate, self.power, self.cycle, self.name = (
            end_learning_rate,
            power,
            cycle,
            name,
        )

    def __call__(self, step: Any) -> float:
        rounds = max(1, math.ceil(int(step) / self.decay_steps)) if self.cycle else 1
        done = min(int(step) / (self.decay_steps * rounds), 1.0)
        above = self.initial_learning_rate - self.end_learning_rate
        return self.end_learning_rate + above * (1 - done) ** self.power


class CosineDecay(LearningRateSchedule):
    """Half a cosine wave from initial_learning_rate down to alpha times it, after a warm-up."""

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        alpha: float = 0.0,
        name: str | None = None,
        warmup_target: float | None = None,
        warmup_steps: int = 0,
    ) -> None:
        self.initial_learning_rate, self.decay_steps, self.alpha = (
            initial_learning_rate,
            decay_steps,
            alpha,
        )
        self.warmup_target, self.warmup_steps, self.name = warmup_target, warmup_steps, name
        self._rule = nn.CosineDecay(
            initial_learning_rate, decay_steps, alpha, warmup_target, warmup_steps
        )

    def __call__(self, step: Any) -> float:
        return self._rule(int(step))


def deserialize(config: Any) -> Any:
    """The schedule that has this configuration."""
    return from_table(config, globals(), LearningRateSchedule, "a schedule")
