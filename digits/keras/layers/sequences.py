"""Sequences (n, times, ...) without a recurrence of their own: made of one vector, read in both
directions, or changed step by step by a layer within.
"""

import copy
from typing import Any

from digits.keras.layer import Layer, arguments
from digits.keras.layers.merging import Add, Average, Concatenate, Multiply
from digits.keras.layers.recurrent import Recurrent
from digits.keras.lookup import look_up
from digits.keras.variable import Variable
from digits.nn.layer import Layer as Core
from digits.types import Array, Shape
from digits.validation import check

MERGES: dict[str, Any] = {"concat": Concatenate, "sum": Add, "mul": Multiply, "ave": Average}


@arguments()
class RepeatVector(Layer):
    """The same vector n times: (features,) becomes (n, features)."""

    n: int

    def shape_of(self, shape: Shape) -> Shape:
        check(len(shape) == 1, f"vectors for {self.name}", (None, *shape), "put Flatten before it")
        return (self.n, *shape)

    def forward(self, x: Array, training: bool) -> Array:
        return x[:, None].repeat(self.n, axis=1)

    def backward(self, dy: Array) -> Array:
        return dy.sum(axis=1)


class Within(Core):
    """Stands behind the cores of layers within another one: that one runs them, in its own way."""


class Wrapper(Layer):
    """A layer that works with others, its `parts`; their weights are its own."""

    parts: dict[str, Layer]

    def hold(self, parts: dict[str, Layer]) -> None:
        """Take these layers, under Keras' names for them."""
        advice = "give it to the layer within"
        check(self.activity_regularizer is None, "no activity_regularizer", "one", advice)
        self.parts = parts
        self.cores = [core for part in parts.values() for core in part.cores] + [Within()]
        for part in parts.values():
            part.trainable = part.trainable and self.trainable

    def set_up(self, shape: Shape) -> None:
        self.input_sizes, self.output_sizes = shape, self.shape_of(shape)
        self.hold(self.parts)
        if not self.built and self.first_weights is not None:
            self.set_weights(self.first_weights)
        self.built = True

    def twin(self, frozen: bool = False) -> Layer:
        other = copy.copy(self)
        other.hold({name: part.twin(frozen) for name, part in self.parts.items()})
        return other

    def set_needs_dx(self, needed: bool) -> None:
        for part in self.parts.values():
            part.set_needs_dx(needed)

    @property
    def weights(self) -> list[Variable]:
        return [variable for part in self.parts.values() for variable in part.weights]

    def stored(self) -> dict[str, list[Variable]]:
        return {
            f"{name}/{path}": variables
            for name, part in self.parts.items()
            for path, variables in part.stored().items()
        }

    def trained(self) -> list[tuple[Core, str]]:
        return [pair for part in self.parts.values() for pair in part.trained()]


@arguments()
class Bidirectional(Wrapper):
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
        self.merge = MERGES[self.merge_mode](name=f"{self.name}_merge")
        self.hold({"forward_layer": self.layer, "backward_layer": self.backward_layer})

    def shape_of(self, shape: Shape) -> Shape:
        for part in self.parts.values():
            part.set_up(shape)
        return self.merge.shape_of([part.output_sizes for part in self.parts.values()])

    def forward(self, x: Array, training: bool) -> Array:
        first, second = (part.forward(x, training) for part in self.parts.values())
        return self.merge.forward([first, self._in_order(second)], training)

    def backward(self, dy: Array) -> Array | None:
        first, second = self.merge.backward(dy)
        there, back = self.parts.values()
        dx, other = there.backward(first), back.backward(self._in_order(second))
        return None if dx is None else dx + other

    def twin(self, frozen: bool = False) -> Layer:
        other: Any = super().twin(frozen)
        other.merge = copy.copy(self.merge)
        return other

    def _in_order(self, y: Array) -> Array:
        """What the second layer gives, from the first step to the last; or the other way round."""
        return y[:, ::-1] if self.layer.return_sequences else y


@arguments()
class TimeDistributed(Wrapper):
    """The same layer for every step of a sequence."""

    layer: Any

    def __post_init__(self) -> None:
        self.layer = layer = layer_of(self.layer)
        plain = isinstance(layer, Layer) and not (layer.by_tape or hasattr(layer, "layers"))
        advice = "put each layer of a model into a TimeDistributed of its own"
        check(plain, "a layer of keras.layers in TimeDistributed", layer, advice)
        self.hold({"layer": layer})

    def shape_of(self, shape: Shape) -> Shape:
        expected = f"sequences for {self.name}"
        check(len(shape) > 1, expected, (None, *shape), "put Reshape((28, 28)) before it")
        self.layer.set_up(shape[1:])
        return (shape[0], *self.layer.output_sizes)

    def forward(self, x: Array, training: bool) -> Array:
        y = self.parts["layer"].forward(x.reshape(-1, *x.shape[2:]), training)
        return y.reshape(*x.shape[:2], *y.shape[1:])

    def backward(self, dy: Array) -> Array | None:
        dx = self.parts["layer"].backward(dy.reshape(-1, *dy.shape[2:]))
        return None if dx is None else dx.reshape(len(dy), *self.input_sizes)


def layer_of(given: Any) -> Any:
    """A layer, given as itself or as the configuration in a file."""
    return look_up("structure.layer_from")(given) if isinstance(given, dict) else given


def _again(layer: Recurrent, prefix: str, **changes: Any) -> Recurrent:
    """Another layer with the same arguments."""
    name = prefix + layer.name.removeprefix(prefix)
    return type(layer).from_config(layer.get_config() | {"name": name} | changes)
