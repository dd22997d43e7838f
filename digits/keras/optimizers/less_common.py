"""Optimizers that few networks need today: Adadelta, Adamax, Nadam, FTRL. Names, arguments and
defaults are those of Keras. Formulas are written as they are read, not as they are quickest.
"""

import math
from typing import Any

import numpy as np

from digits.nn.optimizers import Adam, Optimizer, Schedule
from digits.types import Array
from digits.validation import check

Slots = dict[str, Array]


class Adadelta(Optimizer):
    """Steps whose size is that of former steps over that of former gradients, so that no learning
    rate would be needed (Zeiler 2012):

        delta = -sqrt(d + epsilon) / sqrt(s + epsilon) g,    p += rate delta

    where s and d are averages of g^2 and of delta^2 over the latest 1 / (1 - rho) updates.
    """

    def __init__(
        self,
        learning_rate: float | Schedule = 0.001,
        rho: float = 0.95,
        epsilon: float = 1e-7,
        **options: Any,
    ) -> None:
        super().__init__(learning_rate, **options)
        check(0 <= rho < 1, "a rho in [0, 1)", rho)
        check(0 <= epsilon < math.inf, "an epsilon of 0 or more", epsilon)
        self.rho, self.epsilon = rho, epsilon
        self.slot_names = ("square", "square_delta")

    def _step(self, p: Array, g: Array, rate: float, slots: Slots, scratch: Array) -> None:
        s, d = slots["square"], slots["square_delta"]
        s += (1 - self.rho) * (g * g - s)
        delta = -np.sqrt((d + self.epsilon) / (s + self.epsilon)) * g
        d += (1 - self.rho) * (delta * delta - d)
        p += rate * delta


class Adamax(Adam):
    """Adam with the largest gradient, slowly forgotten, instead of the root of the mean square
    (Kingma and Ba 2015, section 7.1): u = max(beta_2 u, |g|).
    """

    def _step(self, p: Array, g: Array, rate: float, slots: Slots, scratch: Array) -> None:
        m, u = slots["m"], slots["v"]
        m += (1 - self.beta_1) * (g - m)
        np.maximum(self.beta_2 * u, np.abs(g), out=u)
        p -= rate / (1 - self.beta_1**self.iterations) * m / (u + self.epsilon)


class Nadam(Adam):
    """Adam with Nesterov's momentum: the average of the gradients is taken a step ahead, with a
    weight mu that grows to beta_1 (Dozat 2016). With M the product of all mu so far, and mu' the mu
    of the next update:

        n = mu' m / (1 - M mu') + (1 - mu) g / (1 - M)
        p -= rate n / (sqrt(v / (1 - beta_2^t)) + epsilon)
    """

    _product = (0, 1.0)
    """A number of updates, and the product of all mu up to it."""

    def _mu(self, t: int) -> float:
        return self.beta_1 * (1 - 0.5 * 0.96**t)

    def _product_of_mu(self, t: int) -> float:
        done, product = self._product if self._product[0] <= t else (0, 1.0)
        for i in range(done + 1, t + 1):
            product *= self._mu(i)
        self._product = (t, product)
        return product

    def _step(self, p: Array, g: Array, rate: float, slots: Slots, scratch: Array) -> None:
        m, v, t = slots["m"], slots["v"], self.iterations
        m += (1 - self.beta_1) * (g - m)
        v += (1 - self.beta_2) * (g * g - v)
        product = self._product_of_mu(t)
        ahead = self._mu(t + 1)
        m_ahead = ahead * m / (1 - product * ahead) + (1 - self._mu(t)) * g / (1 - product)
        p -= rate * m_ahead / (np.sqrt(v / (1 - self.beta_2**t)) + self.epsilon)


class Ftrl(Optimizer):
    """Follow the regularized leader: the weights that would have been best so far, with penalties
    on their absolute values and squares that make many of them 0 (McMahan et al. 2013).
    """

    def __init__(
        self,
        learning_rate: float | Schedule = 0.001,
        learning_rate_power: float = -0.5,
        initial_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        beta: float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(learning_rate, **options)
        check(learning_rate_power <= 0, "a learning_rate_power of 0 or less", learning_rate_power)
        self.learning_rate_power, self.beta = learning_rate_power, beta
        self.initial_accumulator_value = initial_accumulator_value
        self.l1_regularization_strength = l1_regularization_strength
        self.l2_regularization_strength = l2_regularization_strength
        self.slot_names = ("accumulator", "linear")

    def empty_slots(self, params: Any) -> Slots:
        slots = super().empty_slots(params)
        slots["accumulator"][...] = self.initial_accumulator_value
        return slots

    def _step(self, p: Array, g: Array, rate: float, slots: Slots, scratch: Array) -> None:
        accumulator, linear = slots["accumulator"], slots["linear"]
        before = accumulator**-self.learning_rate_power
        accumulator += g * g
        after = accumulator**-self.learning_rate_power
        linear += g - (after - before) / rate * p
        l1 = self.l1_regularization_strength
        l2 = self.l2_regularization_strength + self.beta / (2 * rate)
        p[...] = (np.clip(linear, -l1, l1) - linear) / (after / rate + 2 * l2)
