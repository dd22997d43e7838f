"""The tensors of a model before there are numbers: each knows its shape, the layer that will make
it and the tensors which that layer will be given.
"""

import contextlib
import operator
from collections.abc import Iterator
from typing import Any

import numpy as np

from digits.keras import config
from digits.keras.lookup import look_up
from digits.keras.shape import TensorShape
from digits.keras.tensor import Computes, Tensor, found_in
from digits.types import Array, Shape
from digits.validation import check

_followed: list[bool] = []


@contextlib.contextmanager
def following() -> Iterator[bool]:
    """A block in which a `call` of one's own is followed once, to be repeated from then on; whether
    no other is around.
    """
    _followed.append(True)
    try:
        yield len(_followed) == 1
    finally:
        _followed.pop()


def is_followed() -> bool:
    """Whether there is such a block around."""
    return bool(_followed)


def refuse_to_follow(what: str) -> None:
    """Raise RuntimeError, in such a block, for what would be another one at each call."""
    if _followed:
        raise RuntimeError(f"{what} cannot be followed")


class KerasTensor:
    """One output of one call of a layer; `sizes` is its shape without the batch. One that is not
    `batched` is one number for the whole batch, such as a loss.

    training: True or False, if the call said so. run: what the call does, where that is not the
    layer's own formula: a function of arrays with a
    gradient function.
    """

    __array_priority__ = 100  # so that NumPy leaves `array + tensor` to this class

    def __init__(
        self,
        sizes: Shape,
        layer: Any,
        inputs: tuple["KerasTensor", ...] = (),
        index: int = 0,
        batched: bool = True,
        training: Any = None,
        run: Any = None,
    ) -> None:
        self.sizes, self.layer, self.inputs, self.index = sizes, layer, inputs, index
        self.batched, self.training, self.run = batched, training, run
        self.name = f"{layer.name}/output" if inputs else layer.name
        self.dtype = config.floatx()

    @property
    def shape(self) -> TensorShape:
        return TensorShape((None, *self.sizes) if self.batched else ())

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def zeros(self) -> Array:
        """Numbers that it could stand for, of two samples."""
        return np.zeros((2, *self.sizes) if self.batched else (), self.dtype)

    def get_shape(self) -> TensorShape:
        return self.shape

    def __repr__(self) -> str:
        return f"<KerasTensor shape={self.shape}, made by {self.layer.name}>"

    def __add__(self, other: Any) -> "KerasTensor":
        return combine("Add", self, other, offset=1)

    def __sub__(self, other: Any) -> "KerasTensor":
        return combine("Subtract", self, other, offset=-1)

    def __mul__(self, other: Any) -> "KerasTensor":
        return combine("Multiply", self, other, scale=True)

    def __truediv__(self, other: Any) -> "KerasTensor":
        return combine("Divide", self, 1 / other, scale=True)

    __radd__, __rmul__ = __add__, __mul__

    def __rsub__(self, other: Any) -> "KerasTensor":
        return self * -1 + other

    def __neg__(self) -> "KerasTensor":
        return self * -1

    def __rtruediv__(self, other: Any) -> "KerasTensor":
        return _between(operator.truediv, other, self)

    def __pow__(self, other: Any) -> "KerasTensor":
        return _between(operator.pow, self, other)

    def __getitem__(self, key: Any) -> "KerasTensor":
        def part(x: Any) -> Any:
            return x[key]

        return _between(part, self)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise TypeError(
            f"expected numbers; received {self!r}, which has none yet: within a model use layers "
            "and functions of tf or keras.ops; a loss is an argument of compile"
        )


def refuse_variables(values: Any) -> None:
    """The same for variables: their numbers would be taken once, and not trained."""
    if any(not isinstance(x, Tensor) for x in found_in(values, Computes)):
        refuse_to_follow("a variable")


def tensors_in(value: Any) -> list[KerasTensor]:
    """The tensors of a model in a value, or in the lists and dicts that it is made of."""
    return found_in(value, KerasTensor)


def filled(value: Any, numbers: Iterator[Any]) -> Any:
    """The same value with the next of these numbers for each tensor of a model."""
    if isinstance(value, dict):
        return {name: filled(part, numbers) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(filled(part, numbers) for part in value)
    return next(numbers) if isinstance(value, KerasTensor) else value


def _between(function: Any, *args: Any) -> KerasTensor:
    return look_up("dispatch.between")(function, args)


OPERATORS = {
    **{"Add": operator.add, "Subtract": operator.sub},
    **{"Multiply": operator.mul, "Divide": operator.mul},
}
"""What the layers that merge do to numbers; for a quotient 1 / x is given."""


def combine(
    kind: str, x: KerasTensor, other: Any, offset: int = 0, scale: bool = False
) -> KerasTensor:
    """Two tensors through a layer that merges them; a tensor and a number through Rescaling."""
    refuse_variables([other])
    if not (x.batched and getattr(other, "batched", True)):
        return _between(OPERATORS[kind], x, other)
    if isinstance(other, KerasTensor):
        return look_up(f"layers.{kind}")()([x, other])
    numbers = (float(other),) if scale else (1.0, offset * float(other))
    return look_up("layers.Rescaling")(*numbers)(x)


def in_order(outputs: list[KerasTensor], stop: list[KerasTensor]) -> list[KerasTensor]:
    """All tensors that lead to `outputs`, each behind those it is made of; nothing before `stop`.

    Raises ValueError if they depend on an Input that is not in `stop`.
    """
    order: list[KerasTensor] = []
    seen = {id(tensor) for tensor in stop}
    order += stop
    waiting = [(tensor, False) for tensor in reversed(outputs)]
    while waiting:
        tensor, ready = waiting.pop()
        if ready:
            order.append(tensor)
        elif id(tensor) not in seen:
            seen.add(id(tensor))
            expected = "outputs that depend on the inputs alone"
            check(tensor.inputs, expected, tensor, "add it to the inputs")
            waiting.append((tensor, True))
            waiting += [(source, False) for source in reversed(tensor.inputs)]
    return order


def layers_by_depth(inputs: list[KerasTensor], outputs: list[KerasTensor]) -> list[Any]:
    """The layers between, those that are furthest from the outputs first; of those equally far,
    the one that is first met from the outputs. Files of Keras count on this order.
    """
    order, given = in_order(outputs, inputs), set(map(id, inputs))
    depths = {id(tensor): 0 for tensor in order}
    for tensor in reversed(order):
        for source in () if id(tensor) in given else tensor.inputs:
            depths[id(source)] = max(depths[id(source)], depths[id(tensor)] + 1)
    met: dict[Any, int] = {}
    seen: set[int] = set()
    waiting = outputs[::-1]
    while waiting:
        tensor = waiting.pop()
        if id(tensor) not in seen:
            seen.add(id(tensor))
            met.setdefault(tensor.layer, len(met))
            waiting += () if id(tensor) in given else tensor.inputs[::-1]
    far: dict[Any, int] = {}
    for tensor in order:
        far[tensor.layer] = max(far.get(tensor.layer, 0), depths[id(tensor)])
    return sorted(far, key=lambda layer: (-far[layer], met.get(layer, -1)))
