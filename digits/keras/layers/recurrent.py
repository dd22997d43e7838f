"""Layers that read a sequence step by step, such as the rows of an image, and keep a state: what
they know of the steps so far. Inputs (n, times, features).
"""

from collections.abc import Callable
from dataclasses import KW_ONLY
from typing import Any

import numpy as np

from digits.compute.distributed import global_batch
from digits.keras.activations import activated
from digits.keras.layer import arguments
from digits.keras.layers.basic import KERAS_1, Weighted
from digits.keras.variable import Variable
from digits.nn.layer import Layer as Core
from digits.types import Array, Shape
from digits.validation import check

RECURRENT_ARGUMENTS: dict[str, str | None] = {
    "inner_init": "recurrent_initializer",
    "inner_activation": "recurrent_activation",
    "U_regularizer": "recurrent_regularizer",
    "dropout_W": "dropout",
    "dropout_U": "recurrent_dropout",
    "forget_bias_init": None,
    "consume_less": None,
}
"""What Keras 1 called the arguments of recurrent layers."""

Backward = Callable[..., Any]
"""A gradient function: from the gradients of the results to those of the arguments."""


# --- how a state goes from step to step -----------------------------------------------------------


class Recurrence(Core):
    """Inputs (n, times, features); outputs (n, units), the last state h, or (n, times, units), all
    of them. A subclass gives `step`.

    W (features, gates units), U (units, gates units), b (gates units,): the gates side by side.
    """

    names = {"W": "kernel", "U": "recurrent_kernel", "b": "bias"}  # noqa: RUF012  the same for all
    gates = 1
    states = 1
    """How many arrays (n, units) go from step to step; the first one is h."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.units, self.use_bias = layer.units, layer.use_bias
        self.sequences = layer.return_sequences
        self.direction = -1 if layer.go_backwards else 1
        self.dropout, self.recurrent_dropout = layer.dropout, layer.recurrent_dropout
        self.activation, self.recurrent_activation = layer.activation, layer.recurrent_activation

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        (times, features), width = input_shape, self.gates * self.units
        self.output_shape = (times, self.units) if self.sequences else (self.units,)
        self.weight_shapes = {"W": (features, width), "U": (self.units, width)}
        if self.use_bias:
            self.weight_shapes["b"] = (width,)

    def step(self, a: Array, seen: Array, *states: Array) -> tuple[tuple[Array, ...], Backward]:
        """The next states, and the gradient function, from their gradients to da, dseen, dstates.

        a: x W + b, for the inputs of this step. seen: what dropout leaves of h, for the product
        with U.
        """
        raise NotImplementedError

    def forward(self, x: Array, training: bool = False) -> Array:
        cache, (times, features), n = self.cache, self.input_shape, len(x)
        cache.mask_x = self._mask(x, features, self.dropout, training)
        cache.mask_h = self._mask(x, self.units, self.recurrent_dropout, training)
        along = x.swapaxes(0, 1)[:: self.direction]  # (times, n, features)
        given = np.multiply(along, cache.mask_x, out=self.workspace("given", along.shape))
        a = self.workspace("a", (times, n, self.gates * self.units))
        np.matmul(given, self.weights["W"], out=a)
        if self.use_bias:
            a += self._rows_of_bias(self.weights)[0]
        h = self.workspace("h", (times + 1, n, self.units))  # before the first step, and after each
        h[0] = 0
        states: tuple[Array, ...] = (h[0], *[np.zeros_like(h[0])] * (self.states - 1))
        cache.given, cache.h, cache.backward = given, h, []
        for t in range(times):
            states, backward = self.step(a[t], h[t] * cache.mask_h, *states)
            h[t + 1] = states[0]
            cache.backward.append(backward)
        return h[1:].swapaxes(0, 1) if self.sequences else h[-1]

    def backward(self, dy: Array) -> Array | None:
        """Backpropagation through time (Graves 2012): a state has an effect on the loss through the
        output at its time and through the next state, so its gradient is the sum of both, gathered
        from the last step to the first. W, U and b are the same at all times: their gradients are
        sums over time, each one product of what all steps were given and `da` of all steps.
        """
        cache, (times, features), n = self.cache, self.input_shape, len(dy)
        dy = dy.swapaxes(0, 1) if self.sequences else dy[np.newaxis]
        da = self.workspace("da", (times, n, self.gates * self.units))
        dstates: tuple[Any, ...] = (0,) * self.states
        for t in reversed(range(times)):
            dh, *others = dstates
            if t >= times - len(dy):
                dh = dh + dy[t - times]
            da[t], dseen, dh, *others = cache.backward[t](dh, *others)
            dstates = (dh + dseen * cache.mask_h, *others)
        rows = da.reshape(times * n, -1)
        np.matmul(cache.given.reshape(times * n, -1).T, rows, out=self.grads["W"])
        if self.use_bias:
            np.sum(rows, axis=0, out=self._rows_of_bias(self.grads)[0])
        seen = cache.h[:-1] * cache.mask_h
        self.recurrent_gradient(seen.reshape(times * n, -1), rows)
        if not self.needs_dx:
            return None
        dx = (rows @ self.weights["W"].T).reshape(times, n, features) * cache.mask_x
        return dx[:: self.direction].swapaxes(0, 1)

    def recurrent_gradient(self, seen: Array, da: Array) -> None:
        """dU, from h and the gradient of all steps: as a' = a + seen U, dU = seen^T da."""
        np.matmul(seen.T, da, out=self.grads["U"])

    def _rows_of_bias(self, arrays: dict[str, Array]) -> Array:
        """The bias as rows; the first one goes with W."""
        return arrays["b"].reshape(-1, self.gates * self.units)

    def _mask(self, x: Array, width: int, rate: float, training: bool) -> Any:
        """What dropout multiplies with, at all times the same (Gal and Ghahramani 2016)."""
        if not training or rate == 0:
            return 1
        n, here = global_batch(x)
        kept = self.rng.random((n, width), dtype=np.float32)[here] >= rate
        return kept / np.asarray(1 - rate, self.dtype)


class SimpleStep(Recurrence):
    """h' = f(x W + h U + b) (Elman 1990)."""

    def step(self, a: Array, seen: Array, *states: Array) -> tuple[tuple[Array, ...], Backward]:
        """With da = dh' f', what comes back to h is da U^T."""
        a += seen @ self.weights["U"]
        h, backward_h = activated(self.activation, a)

        def backward(dh: Array) -> tuple[Any, ...]:
            da = backward_h(dh)
            return da, da @ self.weights["U"].T, 0

        return (h,), backward


class LSTMStep(Recurrence):
    """Gates i, f, o in (0, 1) say what enters a cell c, what stays in it and what is shown of it
    (Hochreiter and Schmidhuber 1997; the gate f: Gers et al. 2000). In W the order is i, f, g, o.

    c' = f c + i g and h' = o tanh(c'), where g = tanh(...) is what may enter.
    """

    gates = 4
    states = 2

    def step(self, a: Array, seen: Array, *states: Array) -> tuple[tuple[Array, ...], Backward]:
        """By the product rule do = dh' tanh(c'). To c' comes dc' from the next step, and
        dh' o (1 - tanh(c')^2) from h'. Of this sum, s: di = s g, dg = s i, df = s c, and dc = s f,
        which fades only where f does: this is why an LSTM can remember.
        """
        a += seen @ self.weights["U"]
        (_, c), parts = states, np.split(a, 4, axis=1)
        i, backward_i = activated(self.recurrent_activation, parts[0])
        f, backward_f = activated(self.recurrent_activation, parts[1])
        g, backward_g = activated(self.activation, parts[2])
        o, backward_o = activated(self.recurrent_activation, parts[3])
        new_c = f * c + i * g
        shown, backward_shown = activated(self.activation, new_c)

        def backward(dh: Array, dc: Array) -> tuple[Any, ...]:
            s = backward_shown(dh * o) + dc
            parts = backward_i(s * g), backward_f(s * c), backward_g(s * i), backward_o(dh * shown)
            da = np.concatenate(parts, axis=1)
            return da, da @ self.weights["U"].T, 0, s * f

        return (o * shown, new_c), backward


class GRUStep(Recurrence):
    """Gates z, r in (0, 1) say what of h stays, and what of it counts for the new g (Cho et al.
    2014): h' = z h + (1 - z) g, where g = tanh(x W + q + b). In W the order is z, r, g.

    q is (r h) U; with reset_after r (h U + b'), and b (2, 3 units) holds b and b'.
    """

    gates = 3

    def __init__(self, layer: Any) -> None:
        super().__init__(layer)
        self.reset_after = layer.reset_after

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        if self.use_bias and self.reset_after:
            self.weight_shapes["b"] = (2, self.gates * self.units)

    def forward(self, x: Array, training: bool = False) -> Array:
        self.cache.r = []  # of all steps, for the gradient of U
        return super().forward(x, training)

    def step(self, a: Array, seen: Array, *states: Array) -> tuple[tuple[Array, ...], Backward]:
        """By the product rule dz = dh' (h - g) and dg = dh' (1 - z); h has dh' z directly."""
        (h,), u, U = states, self.units, self.weights["U"]
        a[:, : 2 * u] += seen @ U[:, : 2 * u]
        if self.use_bias and self.reset_after:
            a[:, : 2 * u] += self.weights["b"][1, : 2 * u]
        z, backward_z = activated(self.recurrent_activation, a[:, :u])
        r, backward_r = activated(self.recurrent_activation, a[:, u : 2 * u])
        self.cache.r.append(r)
        q, backward_q = self._reset(r, seen)
        g, backward_g = activated(self.activation, a[:, 2 * u :] + q)

        def backward(dh: Array) -> tuple[Any, ...]:
            da_g = backward_g(dh * (1 - z))
            dr, dseen = backward_q(da_g)
            da = np.concatenate([backward_z(dh * (h - g)), backward_r(dr), da_g], axis=1)
            return da, dseen + da[:, : 2 * u] @ U[:, : 2 * u].T, dh * z

        return (z * h + (1 - z) * g,), backward

    def _reset(self, r: Array, seen: Array) -> tuple[Array, Backward]:
        """q, and its gradient function, from dq to dr and dh. Of q = r p with p = h U + b'
        they are dq p and (dq r) U^T; of q = (r h) U, where p = dq U^T comes to r h, p h and p r.
        """
        new = self.weights["U"][:, 2 * self.units :]
        if not self.reset_after:
            return (r * seen) @ new, lambda dq: ((p := dq @ new.T) * seen, p * r)
        p = seen @ new
        if self.use_bias:
            p += self.weights["b"][1, 2 * self.units :]
        return r * p, lambda dq: (dq * p, (dq * r) @ new.T)

    def recurrent_gradient(self, seen: Array, da: Array) -> None:
        """For z and r as for others; for g, r stands before the product with U, or behind it."""
        dU, u, r = self.grads["U"], self.units, np.concatenate(self.cache.r)
        if self.reset_after:
            da = np.concatenate([da[:, : 2 * u], r * da[:, 2 * u :]], axis=1)
            np.matmul(seen.T, da, out=dU)
            if self.use_bias:
                np.sum(da, axis=0, out=self.grads["b"][1])
        else:
            np.matmul(seen.T, da[:, : 2 * u], out=dU[:, : 2 * u])
            np.matmul((r * seen).T, da[:, 2 * u :], out=dU[:, 2 * u :])


# --- the layers -----------------------------------------------------------------------------------


@arguments(**KERAS_1, **RECURRENT_ARGUMENTS)
class Recurrent(Weighted):
    """What recurrent layers share."""

    core = Recurrence

    units: int
    activation: Any = "tanh"
    _: KW_ONLY
    use_bias: bool = True
    recurrent_initializer: Any = "orthogonal"
    recurrent_regularizer: Any = None
    dropout: float = 0.0
    recurrent_dropout: float = 0.0
    seed: Any = None
    return_sequences: bool = False
    go_backwards: bool = False

    def make(self, shape: Shape) -> list[Core]:
        expected = f"sequences such as (n, 28, 28) for {type(self).__name__} {self.name}"
        check(len(shape) == 2, expected, (None, *shape), "put Reshape((28, 28)) before it")
        for rate in (self.dropout, self.recurrent_dropout):
            check(0 <= rate < 1, "a rate of dropout in [0, 1)", rate)
        return [self.core(self)]

    def stored(self) -> dict[str, list[Variable]]:
        return {"cell/vars": self.weights}


class SimpleRNN(Recurrent):
    """The state is a dense layer of the inputs and of the state before (Elman 1990)."""

    core = SimpleStep
    recurrent_activation = None


@arguments(**KERAS_1, **RECURRENT_ARGUMENTS)
class LSTM(Recurrent):
    """A state that gates let in, keep and show (Hochreiter and Schmidhuber 1997)."""

    core = LSTMStep
    recurrent_activation: Any = "sigmoid"
    _: KW_ONLY
    unit_forget_bias: bool = True

    def set_up(self, shape: Any) -> None:
        fresh = not self.built and self.first_weights is None
        super().set_up(shape)
        if fresh and self.unit_forget_bias and self.use_bias:
            self.bias.array[self.units : 2 * self.units] = 1  # at first the cell forgets little


@arguments(**KERAS_1, **RECURRENT_ARGUMENTS)
class GRU(Recurrent):
    """A state that two gates renew (Cho et al. 2014)."""

    core = GRUStep
    recurrent_activation: Any = "sigmoid"
    _: KW_ONLY
    reset_after: bool = True
