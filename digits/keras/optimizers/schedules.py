"""Learning rates that change with the number of updates, under Keras' names."""

import math
from dataclasses import dataclass
from typing import Any

from digits.keras.serialization import Configured, from_table, plain
from digits.nn import schedules as nn


class LearningRateSchedule(Configured):
    """The number of updates made so far -> the rate of the next. A subclass gives `__call__`."""

    module = "keras.optimizers.schedules"

    def __call__(self, step: Any) -> float:
        raise NotImplementedError


@dataclass(frozen=True)
class ExponentialDecay(nn.ExponentialDecay, LearningRateSchedule):
    """initial_learning_rate * decay_rate ^ (step / decay_steps)."""

    name: str | None = None


@dataclass(frozen=True)
class PiecewiseConstantDecay(nn.PiecewiseConstantDecay, LearningRateSchedule):
    """values[i] until update boundaries[i], then the next."""

    name: str | None = None


@dataclass(frozen=True)
class CosineDecay(nn.CosineDecay, LearningRateSchedule):
    """Half a cosine wave from initial_learning_rate down to alpha times it, after a warm-up."""

    name: str | None = None


@dataclass(frozen=True)
class CosineDecayRestarts(LearningRateSchedule):
    """Half a cosine wave again and again: each t_mul times as long and m_mul times as high as the
    one before (Loshchilov and Hutter 2017).
    """

    initial_learning_rate: float
    first_decay_steps: int
    t_mul: float = 2.0
    m_mul: float = 1.0
    alpha: float = 0.0
    name: str | None = None

    def __call__(self, step: Any) -> float:
        done, length, height = float(step), float(self.first_decay_steps), 1.0
        while done >= length:
            done, length, height = done - length, length * self.t_mul, height * self.m_mul
        wave = 0.5 * height * (1 + math.cos(math.pi * done / length))
        return self.initial_learning_rate * (self.alpha + (1 - self.alpha) * wave)


@dataclass(frozen=True)
class InverseTimeDecay(LearningRateSchedule):
    """initial_learning_rate / (1 + decay_rate * step / decay_steps)."""

    initial_learning_rate: float
    decay_steps: float
    decay_rate: float
    staircase: bool = False
    name: str | None = None

    def __call__(self, step: Any) -> float:
        time = int(step) / self.decay_steps
        time = math.floor(time) if self.staircase else time
        return self.initial_learning_rate / (1 + self.decay_rate * time)


@dataclass(frozen=True)
class PolynomialDecay(LearningRateSchedule):
    """From initial_learning_rate to end_learning_rate, as (1 - step / decay_steps) ^ power."""

    initial_learning_rate: float
    decay_steps: int
    end_learning_rate: float = 0.0001
    power: float = 1.0
    cycle: bool = False
    name: str | None = None

    def __call__(self, step: Any) -> float:
        rounds = max(1, math.ceil(int(step) / self.decay_steps)) if self.cycle else 1
        done = min(int(step) / (self.decay_steps * rounds), 1.0)
        above = self.initial_learning_rate - self.end_learning_rate
        return self.end_learning_rate + above * (1 - done) ** self.power


def deserialize(config: Any) -> Any:
    return from_table(config, globals(), LearningRateSchedule, "a schedule")


serialize = plain
