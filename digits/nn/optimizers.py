"""Optimizers: the rules by which a gradient changes the weights, each a formula on one flat vector
that knows nothing of layers. Names, arguments and defaults are those of Keras; the papers are named
with each rule.
"""

import copy
import math
from collections.abc import Callable
from typing import Any, Self

import numpy as np

from digits.compute.threads import ELEMENTWISE, parallel_for
from digits.nn.parameters import Parameters
from digits.nn.schedules import check_rate
from digits.types import Array
from digits.validation import check, check_type

Schedule = Callable[[int], float]
"""Number of updates made so far -> learning rate of the next: see `digits.nn.schedules`."""

Slots = dict[str, Array]
"""What a rule remembers of every weight, by name."""

BLOCK = 786_432
"""Vectors are updated in blocks of this many numbers, or of a third of it if a rule has two slots:
it reads a block several times, and all its arrays together, some megabytes, should stay in the
processor's cache while it does."""


class Optimizer:
    """What all rules share: counting the updates, the learning rate, clipping, decay, averaging.

    learning_rate: a number, or a schedule.
    weight_decay: before each update weights shrink by learning rate * weight_decay, apart from the
        gradient (Loshchilov and Hutter 2019).
    clipnorm: no parameter's gradient is longer than this; global_clipnorm: nor the gradient as a
        whole (Pascanu et al. 2013).
    use_ema: keep an average of the weights over the latest 1 / (1 - ema_momentum) updates or so,
        which is usually a better network than the last weights (Polyak and Juditsky 1992).

    Raises ValueError for a number outside its range: a rate below 0, a momentum of 1, a nan.
    """

    def __init__(
        self,
        learning_rate: float | Schedule,
        *,
        weight_decay: float = 0.0,
        clipnorm: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
    ) -> None:
        if not callable(learning_rate):
            check_rate(learning_rate)
        check(0 <= weight_decay < math.inf, "a weight decay of 0 or more", weight_decay)
        for norm in (clipnorm, global_clipnorm):
            check(norm is None or norm > 0, "a norm above 0 to clip at", norm)
        check(0 <= ema_momentum < 1, "an ema_momentum in [0, 1)", ema_momentum)
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.clipnorm, self.global_clipnorm = clipnorm, global_clipnorm
        self.use_ema, self.ema_momentum = use_ema, ema_momentum
        self.iterations = 0
        self.slot_names: tuple[str, ...] = ()
        """What the rule remembers of every weight."""
        self.slots: Slots = {}
        """These by name, and the average of the weights, each as long as the weights: they and
        `iterations` are all that a checkpoint has to keep."""

    def __copy__(self) -> Self:
        return copy.deepcopy(self)  # a shallow copy would share the slots

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        slots = state["slots"].items()  # from joblib they come as files that cannot be written
        self.slots = {name: np.require(slot, requirements=["W", "E"]) for name, slot in slots}

    def current_learning_rate(self) -> float:
        """The learning rate that the next update will use."""
        rate = self.learning_rate
        return float(rate(self.iterations)) if callable(rate) else rate

    def gradient_scale(self) -> float:
        """By what number a network should multiply the gradient for the next update. It does so at
        its output, where the gradient is a few numbers; here, it is one number for every weight.
        """
        return 1.0

    @np.errstate(over="ignore", invalid="ignore")  # the next loss tells, if weights overflow
    def update(self, params: Parameters, grads: Parameters, scale: float = 1.0) -> None:
        """Change `params` in place, one step against the gradient, which only clipping changes.

        grads: the gradient times `scale`, where this is not 1 but `gradient_scale()`.
        """
        for given in (params, grads):
            check_type(given, Parameters, "Parameters", "make them of {'W1': (784, 50), ...}")
        self.slots = self.slots or self.empty_slots(params)
        rate = self.current_learning_rate()
        self.iterations += 1
        self._clip(grads)

        # A young average would remember the initial, random weights: let it forget faster.
        keep = min(self.ema_momentum, (1 + self.iterations) / (10 + self.iterations))
        size = -(-BLOCK // (1 + len(self.slot_names)))  # rounded up

        def update_part(part: slice) -> None:
            scratch = np.empty(min(size, part.stop - part.start), params.dtype)
            for start in range(part.start, part.stop, size):
                block = slice(start, min(start + size, part.stop))
                slots = {name: slot[block] for name, slot in self.slots.items()}
                p, g = params.flat[block], grads.flat[block]
                if self.weight_decay:
                    p *= 1 - rate * self.weight_decay
                self._step(p, g, rate / scale, slots, scratch[: p.size])
                if self.use_ema:
                    _approach(slots["average"], p, 1 - keep, scratch[: p.size])

        passes = 2 + 5 * len(self.slot_names)  # over the vectors
        parallel_for(update_part, params.flat.size, ELEMENTWISE * passes * params.flat.size)

    def empty_slots(self, params: Parameters) -> Slots:
        """The slots as they are before the first update of `params`."""
        slots = {name: np.zeros_like(params.flat) for name in self.slot_names}
        return slots | {"average": params.flat.copy()} if self.use_ema else slots

    def _step(self, p: Array, g: Array, rate: float, slots: Slots, scratch: Array) -> None:
        """The rule itself, on one block of the vectors: change p, and the slots, in place.

        Formulas are taken apart so that what lies between two operations fits into `scratch`, an
        array as long as the others: making new ones would take as long as the arithmetic.
        """
        raise NotImplementedError

    def _clip(self, grads: Parameters) -> None:
        if self.clipnorm is not None:
            for g in grads.values():
                _shorten(g, self.clipnorm)
        if self.global_clipnorm is not None:
            _shorten(grads.flat, self.global_clipnorm)


def _shorten(g: Array, limit: float) -> None:
    length = float(np.linalg.norm(g))
    if length > limit:
        g *= limit / length


def _approach(average: Array, x: Array, weight: float, scratch: Array) -> None:
    """average += weight * (x - average); x may be the scratch itself."""
    np.subtract(x, average, out=scratch)
    scratch *= weight
    average += scratch


def _over_root(g: Array, square: Array, rate: float, epsilon: float, scratch: Array) -> Array:
    """rate * g / sqrt(square + epsilon), in the scratch."""
    np.add(square, epsilon, out=scratch)
    np.sqrt(scratch, out=scratch)
    np.divide(g, scratch, out=scratch)
    scratch *= rate
    return scratch


# --- rules, simplest first ------------------------------------------------------------------------


class SGD(Optimizer):
    """p -= rate * g. With momentum, a velocity remembers former gradients (Polyak 1964):
    velocity = momentum * velocity - rate * g, p += velocity. With nesterov, the gradient acts as
    if a step ahead (Sutskever et al. 2013): p += momentum * velocity - rate * g.
    """

    def __init__(
        self,
        learning_rate: float | Schedule = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(learning_rate, **options)
        check(0 <= momentum < 1, "a momentum in [0, 1)", momentum)
        self.momentum, self.nesterov = momentum, nesterov
        self.slot_names = ("velocity",) if momentum else ()

    def gradient_scale(self) -> float:
        """The learning rate: then the gradient is the step. 1 if it is clipped or the rate is 0."""
        clips = self.clipnorm is not None or self.global_clipnorm is not None
        return 1.0 if clips else float(self.current_learning_rate() or 1)

    def _step(self, p: Array, g: Array, rate: float, slots: Slots, scratch: Array) -> None:
        step = g if rate == 1 else np.multiply(g, rate, out=scratch)
        if not self.momentum:
            p -= step
            return
        velocity = slots["velocity"]
        velocity *= self.momentum
        velocity -= step
        if self.nesterov:
            p -= step
            p += np.multiply(velocity, self.momentum, out=scratch)
        else:
            p += velocity


class Adagrad(Optimizer):
    """Each weight has a rate of its own, which falls with its squared gradients so far
    (Duchi et al. 2011).
    """

    def __init__(
        self,
        learning_rate: float | Schedule = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        **options: Any,
    ) -> None:
        super().__init__(learning_rate, **options)
        first = initial_accumulator_value
        check(0 <= first < math.inf, "a value of 0 or more to start with", first)
        check(0 <= epsilon < math.inf, "an epsilon of 0 or more", epsilon)
        self.initial_accumulator_value, self.epsilon = first, epsilon
        self.slot_names = ("accumulator",)

    def empty_slots(self, params: Parameters) -> Slots:
        slots = super().empty_slots(params)
        slots["accumulator"].fill(self.initial_accumulator_value)
        return slots

    def _step(self, p: Array, g: Array, rate: float, slots: Slots, scratch: Array) -> None:
        accumulator = slots["accumulator"]
        accumulator += np.multiply(g, g, out=scratch)
        p -= _over_root(g, accumulator, rate, self.epsilon, scratch)


class RMSprop(Optimizer):
    """Adagrad that forgets: it averages squared gradients over the latest 1 / (1 - rho) updates
    (Tieleman and Hinton 2012, lecture 6.5).
    """

    def __init__(
        self,
        learning_rate: float | Schedule = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        **options: Any,
    ) -> None:
        super().__init__(learning_rate, **options)
        check(0 <= rho < 1, "a rho in [0, 1)", rho)
        check(0 <= momentum < 1, "a momentum in [0, 1)", momentum)
        check(0 <= epsilon < math.inf, "an epsilon of 0 or more", epsilon)
        self.rho, self.momentum, self.epsilon = rho, momentum, epsilon
        self.slot_names = ("square", "velocity") if momentum else ("square",)

    def _step(self, p: Array, g: Array, rate: float, slots: Slots, scratch: Array) -> None:
        square = slots["square"]
        np.multiply(g, g, out=scratch)
        _approach(square, scratch, 1 - self.rho, scratch)
        step = _over_root(g, square, rate, self.epsilon, scratch)
        if self.momentum:
            velocity = slots["velocity"]
            velocity *= self.momentum
            velocity += step
            step = velocity
        p -= step


class Adam(Optimizer):
    """Averages m of the gradients and v of their squares, both corrected for having started at 0;
    a weight moves by about the rate, where its gradient is steady (Kingma and Ba 2015). Update t:

        m = beta_1 m + (1 - beta_1) g,    v = beta_2 v + (1 - beta_2) g^2,
        p -= rate sqrt(1 - beta_2^t) / (1 - beta_1^t) m / (sqrt(v) + epsilon)

    where epsilon is the "epsilon hat" just before the paper's section 2.1, as in Keras. The slots
    keep m / (1 - beta_1) and v / (1 - beta_2), to which g and g^2 are added as they are: what is
    missing is the same for all weights, so it goes into the rate and epsilon, once.
    """

    def __init__(
        self,
        learning_rate: float | Schedule = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **options: Any,
    ) -> None:
        super().__init__(learning_rate, **options)
        check(0 <= beta_1 < 1, "a beta_1 in [0, 1)", beta_1)
        check(0 <= beta_2 < 1, "a beta_2 in [0, 1)", beta_2)
        check(0 <= epsilon < math.inf, "an epsilon of 0 or more", epsilon)
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon
        self.slot_names = ("m", "v")

    def _step(self, p: Array, g: Array, rate: float, slots: Slots, scratch: Array) -> None:
        m, v = slots["m"], slots["v"]
        m *= self.beta_1
        m += g
        v *= self.beta_2
        v += np.multiply(g, g, out=scratch)
        t, root = self.iterations, math.sqrt(1 - self.beta_2)
        if t % 20 == 0:  # where g is 0 for long, m would stay subnormal, which is slow to divide
            m *= np.abs(m, out=scratch) >= np.finfo(m.dtype).tiny
        rate *= (1 - self.beta_1) / (1 - self.beta_1**t) * math.sqrt(1 - self.beta_2**t) / root
        # p -= rate * m / (sqrt(v) + epsilon / root): the formula's sqrt(v) is root times this one
        step = np.sqrt(v, out=scratch)
        step += self.epsilon / root
        np.divide(m, step, out=step)
        step *= rate
        p -= step


class AdamW(Adam):
    """Adam with weight decay that bypasses its averages (Loshchilov and Hutter 2019)."""

    def __init__(
        self, learning_rate: float | Schedule = 0.001, weight_decay: float = 0.004, **options: Any
    ) -> None:
        super().__init__(learning_rate, weight_decay=weight_decay, **options)
