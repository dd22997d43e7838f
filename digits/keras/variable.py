"""Weights as Keras shows them: with a name, a shape and `assign`. The numbers are in an array of
the layer of digits.nn that computes with them, the `core`, or in one of the variable's own.
"""

from typing import Any, Self

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from digits.keras import initializers
from digits.keras.config import new_name
from digits.keras.shape import TensorShape
from digits.keras.tensor import Computes, Node, Tensor, tensor
from digits.nn.layer import Layer as Core
from digits.types import Array
from digits.validation import check

KERAS_NAMES = {"W": "kernel", "b": "bias"}
"""Names of the book, and Keras' names for the same weights."""


class Variable(Computes, NDArrayOperatorsMixin):
    """An array that training changes: a window on one, which may be moved elsewhere.

    initial_value: numbers, or a function without arguments that gives them; with `shape`, as in
    Keras 3, an initializer.
    """

    layer: Any = None
    constraint: Any = None
    regularizer: Any = None

    def __init__(
        self,
        initial_value: Any = None,
        trainable: Any = True,
        *_: Any,
        shape: Any = None,
        dtype: Any = None,
        name: str | None = None,
        initializer: Any = None,
        **__: Any,
    ) -> None:
        if isinstance(trainable, list | tuple):  # keras.Variable(initializer, shape)
            shape, trainable = trainable, True
        value = initializer if initial_value is None else initial_value
        if isinstance(value, str):
            value = initializers.get(value)
        if callable(value):
            value = value() if shape is None else value(shape)
        array = np.array(tensor(value, dtype))
        self.core, self.key, self.name = Core(), "value", name or new_name("variable")
        if trainable and array.dtype.kind == "f":
            self.core.weights, self.core.grads = {"value": array}, {"value": np.zeros_like(array)}
        else:
            self.core.buffers = {"value": array}
        self.path = self.argument = self.name
        self.node = Node()
        self.node.trains = "value" in self.core.weights

    @classmethod
    def of(cls, layer: Any, core: Core, key: str) -> Self:
        """The weight of a layer that is kept in `core` under that key."""
        self = cls.__new__(cls)
        self.layer, self.core, self.key, self.node = layer, core, key, Node()
        self.node.trains = key in core.weights
        self.name = getattr(core, "names", KERAS_NAMES).get(key, KERAS_NAMES.get(key, key))
        self.path = f"{layer.name}/{self.name}"
        self.argument = self.name.removesuffix("_kernel")  # as in depthwise_initializer=
        return self

    @property
    def trainable(self) -> bool:
        whole = self.layer is None or bool(self.layer.trainable)
        return whole and self.has_gradient

    @property
    def has_gradient(self) -> bool:
        """Whether training could change it."""
        return self.key in self.core.weights

    @property
    def gradient(self) -> Array:
        """The gradient of the loss of the latest batch."""
        return self.core.grads[self.key]

    @property
    def array(self) -> Array:
        """The numbers themselves."""
        weights = self.core.weights
        return weights[self.key] if self.key in weights else self.core.buffers[self.key]

    @property
    def value(self) -> Tensor:
        """The numbers as they are now, as a tensor."""
        return tensor(np.positive(self))

    @property
    def shape(self) -> Any:
        return TensorShape(self.array.shape)

    @property
    def dtype(self) -> Any:
        return self.array.dtype

    @property
    def ndim(self) -> int:
        return self.array.ndim

    def numpy(self) -> Any:
        return self.array.copy()[()]

    def read_value(self) -> Tensor:
        return self.value

    def assign(self, value: Any, *_: Any, **__: Any) -> "Variable":
        """Put other numbers into the array; ValueError for another shape."""
        value = np.asarray(value)
        check(value.shape == self.shape, f"{self.path} of shape {self.shape}", value.shape)
        self.array[...] = value
        return self

    def __array__(self, dtype: Any = None, copy: Any = None) -> Array:
        return np.array(self.array, dtype)

    def __getitem__(self, key: Any) -> Tensor:
        return self.value[key]

    def __len__(self) -> int:
        return len(self.array)

    def __float__(self) -> float:
        return float(self.array)

    def __int__(self) -> int:
        return int(self.array)

    __index__ = __int__

    def __bool__(self) -> bool:
        return bool(self.array)

    __hash__ = object.__hash__

    def __format__(self, spec: str) -> str:
        return format(self.numpy(), spec)

    def __repr__(self) -> str:
        settings = f"path={self.path}, shape={self.shape}, dtype={self.dtype}"
        return f"<Variable {settings}, numpy={self.numpy()!r}>"
