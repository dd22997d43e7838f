"""Learning rates that change during training, under Keras' names. A schedule is a function: number
of updates made so far -> learning rate of the next. A constant rate needs none: a plain number is
one.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from digits.validation import check, is_number


def check_rate(*rates: float) -> None:
    """Raise ValueError unless all are learning rates."""
    for rate in rates:
        check(is_number(rate) and 0 <= rate < math.inf, "a learning rate of 0 or more", rate)


@dataclass(frozen=True)
class PiecewiseConstantDecay:
    """values[i] until update boundaries[i], then the next value."""

    boundaries: Sequence[int]
    values: Sequence[float]

    def __post_init__(self) -> None:
        expected, received = len(self.boundaries) + 1, len(self.values)
        check(received == expected, f"{expected} values for {expected - 1} boundaries", received)
        check_rate(*self.values)

    def __call__(self, step: int) -> float:
        return self.values[sum(step > boundary for boundary in self.boundaries)]


@dataclass(frozen=True)
class ExponentialDecay:
    """initial_learning_rate * decay_rate ^ (step / decay_steps); in whole steps with staircase."""

    initial_learning_rate: float
    decay_steps: int
    decay_rate: float
    staircase: bool = False

    def __post_init__(self) -> None:
        check_rate(self.initial_learning_rate)
        check(self.decay_steps > 0, "decay_steps above 0", self.decay_steps)
        check(0 < self.decay_rate <= 1, "a decay_rate above 0 and at most 1", self.decay_rate)

    def __call__(self, step: int) -> float:
        power = step / self.decay_steps
        power = math.floor(power) if self.staircase else power
        return self.initial_learning_rate * self.decay_rate**power


@dataclass(frozen=True)
class CosineDecay:
    """Half a cosine from initial_learning_rate down to alpha times it (Loshchilov and Hutter 2017);
    with warmup_target, first a straight line up to it, and the cosine falls from there.
    """

    initial_learning_rate: float
    decay_steps: int
    alpha: float = 0.0
    warmup_target: float | None = None
    warmup_steps: int = 0

    def __post_init__(self) -> None:
        check_rate(self.initial_learning_rate, self.warmup_target or 0)
        check(self.decay_steps > 0, "decay_steps above 0", self.decay_steps)
        check(0 <= self.alpha <= 1, "an alpha in [0, 1]", self.alpha)

    def __call__(self, step: int) -> float:
        top = self.initial_learning_rate if self.warmup_target is None else self.warmup_target
        if self.warmup_target is not None:
            if step < self.warmup_steps:
                start = self.initial_learning_rate
                return start + (top - start) * step / self.warmup_steps
            step -= self.warmup_steps
        cosine = 0.5 * (1 + math.cos(math.pi * min(step, self.decay_steps) / self.decay_steps))
        return top * (self.alpha + (1 - self.alpha) * cosine)


@dataclass(frozen=True)
class OneCycle:
    """Once up and once down (Smith 2018), both along half a cosine: up from
    start * max_learning_rate to max_learning_rate in the fraction `warmup` of all steps, then to 0.
    """

    max_learning_rate: float
    total_steps: int
    warmup: float = 0.2
    start: float = 0.04

    def __post_init__(self) -> None:
        check_rate(self.max_learning_rate, self.start)
        check(self.total_steps > 0, "total_steps above 0", self.total_steps)
        check(0 <= self.warmup < 1, "a warm-up in [0, 1), a fraction of all steps", self.warmup)

    def __call__(self, step: int) -> float:
        done = min(step / self.total_steps, 1.0)
        if done < self.warmup:
            rising = 0.5 * (1 - math.cos(math.pi * done / self.warmup))
            return self.max_learning_rate * (self.start + (1 - self.start) * rising)
        falling = 0.5 * (1 + math.cos(math.pi * (done - self.warmup) / (1 - self.warmup)))
        return self.max_learning_rate * falling
