"""Sequences (n, times, ...) without a recurrence of their own: made of one vector, read in both
directions, or changed step by step by a layer within.
"""

from typing import Any

import numpy as np

from digits.keras.layer import Layer, arguments
from digits.keras.layers.formula import Formula
from digits.keras.layers.merging import Add, Average, Concatenate, Multiply
from digits.keras.layers.recurrent import Recurrent
from digits.keras.lookup import look_up
from digits.keras.variable import Variable
from digits.validation import check

MERGES: dict[str, Any] = {"concat": Concatenate, "sum": Add, "mul": Multiply, "ave": Average}


@arguments()
class RepeatVector(Formula):
    """The same vector n times: (features,) becomes (n, features)."""

    n: int

    def make_weights(self, shape: Any) -> None:
        check(len(shape) == 2, f"vectors for {self.name}", shape, "put Flatten before it")

    def call(self, inputs: Any, training: Any = None) -> Any:
        return np.repeat(np.expand_dims(inputs, 1), self.n, axis=1)


@arguments()
class Bidirectional(Formula):
    """Two recurrent layers, one that reads from the first step and one from the last, and their
    outputs as one (Schuster and Paliwal 1997).
    """

    layer: Any
    merge_mode: Any = "concat"
    backward_layer: Any = None

    def __post_init__(self) -> None:
        given, back = layer_of(self.layer), layer_of(self.backward_layer)
        for layer in (given, back or given):
            check(isinstance(layer, Recurrent), "LSTM, GRU or SimpleRNN in Bidirectional", layer)
        check(self.merge_mode in MERGES, f"merge_mode= among {', '.join(MERGES)}", self.merge_mode)
        self.declared_shape = self.declared_shape or given.declared_shape
        self.layer = _again(given, "forward_")
        self.backward_layer = back or _again(given, "backward_", go_backwards=True)
        both = (self.layer, self.backward_layer)
        fits = [layer.go_backwards for layer in both] == [False, True]
        fits = fits and len({layer.return_sequences for layer in both}) == 1
        expected = "a layer, and a backward_layer that differs in go_backwards alone"
        check(fits, expected, [layer.get_config() for layer in both])
        self.merge = MERGES[self.merge_mode](name=f"{self.name}_merge", dtype=self.dtype)

    def make_weights(self, shape: Any) -> None:
        self.layer.build(shape)
        self.backward_layer.build(shape)

    def call(self, inputs: Any, training: Any = None) -> Any:
        y, back = self.layer(inputs), self.backward_layer(inputs)
        back = np.flip(back, 1) if self.layer.return_sequences else back
        return self.merge([y, back])

    def stored(self) -> dict[str, list[Variable]]:
        parts = {"forward_layer": self.layer, "backward_layer": self.backward_layer}
        return {f"{name}/cell/vars": part.weights for name, part in parts.items()}


@arguments()
class TimeDistributed(Formula):
    """The same layer, or model, for every step of a sequence."""

    layer: Any

    def __post_init__(self) -> None:
        self.layer = layer_of(self.layer)
        check(isinstance(self.layer, Layer), "a layer in TimeDistributed", self.layer)

    def make_weights(self, shape: Any) -> None:
        expected = f"sequences for {self.name}"
        check(len(shape) > 2, expected, shape, "put Reshape((28, 28)) before it")
        self.layer.build((None, *shape[2:]))

    def call(self, inputs: Any, training: Any = None) -> Any:
        y = self.layer(np.reshape(inputs, (-1, *inputs.shape[2:])))
        return np.reshape(y, (*inputs.shape[:2], *y.shape[1:]))

    def stored(self) -> dict[str, list[Variable]]:
        return {f"layer/{path}": found for path, found in self.layer.stored().items()}


def layer_of(given: Any) -> Any:
    """A layer, given as itself or as the configuration in a file."""
    return look_up("structure.layer_from")(given) if isinstance(given, dict) else given


def _again(layer: Recurrent, prefix: str, **changes: Any) -> Recurrent:
    """Another layer with the same arguments."""
    name = prefix + layer.name.removeprefix(prefix)
    return type(layer).from_config(layer.get_config() | {"name": name} | changes)
