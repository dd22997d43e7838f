"""What a layer with a `call` of one's own inherits: variables and losses that it adds, and a call
that is recorded, so that the gradient finds its way back through it.
"""

import contextlib
import inspect
from collections.abc import Iterator
from typing import Any

import numpy as np

from digits.keras import constraints, initializers, regularizers
from digits.keras.arguments import sizes_of
from digits.keras.config import snake_case
from digits.keras.graph import KerasTensor
from digits.keras.tape import GradientTape, gradients
from digits.keras.tensor import Node, Tensor, paused, tensor
from digits.keras.variable import Variable
from digits.types import Array

AS_THE_MODEL = "as the model"
"""What `training` is while a call of one's own is followed: true, so that layers which are only
there in training become part of the model; each of them knows itself when it computes what.
"""

_modes: list[bool] = []


@contextlib.contextmanager
def mode(training: bool) -> Iterator[None]:
    """A block in which layers compute as in training, or not, unless they are told."""
    _modes.append(training)
    try:
        yield
    finally:
        _modes.pop()


def mode_of(training: Any, otherwise: bool) -> bool:
    """Whether to compute as in training: what is said, or what the block says."""
    if training is None:
        return _modes[-1] if _modes else otherwise
    return bool(training)


def is_outermost() -> bool:
    """Whether no call of a layer or model is around."""
    return not _modes


class SeveralOutputs(ValueError):
    """A call of one's own has given something else than one tensor, which no graph can hold."""


class Holder:
    """An object with variables, and other such objects, among its attributes."""

    @property
    def own_variables(self) -> list[Variable]:
        """The variables of this object itself: those that were added, and its attributes."""
        found = (v for v in _attributes(self) if isinstance(v, Variable))
        own = [v for v in found if v.layer is None or v.layer is self]
        return list(dict.fromkeys([*self.added_variables, *own]))

    @property
    def added_variables(self) -> list[Variable]:
        return self.__dict__.setdefault("_added_variables", [])

    @property
    def sublayers(self) -> list[Any]:
        """The layers, and other holders, among its attributes."""
        return [v for v in dict.fromkeys(_attributes(self)) if isinstance(v, Holder)]


class Module(Holder):
    """TensorFlow's class for things with variables."""

    def __init__(self, name: str | None = None) -> None:
        self.name = name or snake_case(type(self).__name__)

    @property
    def variables(self) -> list[Variable]:
        below = [v for part in self.sublayers for v in part.variables]
        return list(dict.fromkeys([*self.own_variables, *below]))

    @property
    def trainable_variables(self) -> list[Variable]:
        return [variable for variable in self.variables if variable.trainable]

    submodules = Holder.sublayers


class OwnCall(Holder):
    """The part of a layer that is there for subclasses with a `call` of their own."""

    name: str
    dtype: str
    merges: bool
    call: Any
    weights: Any
    scale = 1.0
    """What the gradient of the loss is multiplied with, and so that of added losses."""

    def compute(self, inputs: Any, training: Any, *args: Any, **kwargs: Any) -> Any:
        """What `call` makes of tensors."""
        takes = inspect.signature(self.call).parameters
        if "training" in takes or any(p.kind is p.VAR_KEYWORD for p in takes.values()):
            kwargs["training"] = training
        return self.call(inputs, *args, **kwargs)

    def forward_by_tape(self, x: Any, training: bool) -> Array:
        """y from x, of which a record is kept."""
        self._x = [np.asarray(part).view(Tensor) for part in (x if self.merges else [x])]
        for part in self._x:
            part.node = Node()
        self.forget_losses()
        with GradientTape(), mode(training):
            self._y = self.compute(self._x if self.merges else self._x[0], training)
        if not isinstance(self._y, np.ndarray | Variable):
            what = type(self._y).__name__
            raise SeveralOutputs(f"expected one tensor from {self.name}; received {what}")
        return np.asarray(self._y, self.dtype)

    def backward_by_tape(self, dy: Array) -> Any:
        """dx from dy; adds to the gradients of the variables."""
        variables = [v for v in self.weights if v.key in v.core.grads]
        losses = self.losses_below()
        scales = [np.full(loss.shape, self.scale / loss.size) for loss in losses]
        with paused():
            found = gradients([self._y, *losses], [*self._x, *variables], [dy, *scales])
        dx, others = found[: len(self._x)], found[len(self._x) :]
        for variable, gradient in zip(variables, others, strict=True):
            if gradient is not None:
                variable.core.grads[variable.key] += gradient.array
        arrays = [None if part is None else part.array for part in dx]
        return arrays if self.merges else arrays[0]

    def __getstate__(self) -> dict[str, Any]:
        """What copies and pickles take along: not the record of the latest call."""
        forgotten = ("_x", "_y", "_added_losses")
        return {name: value for name, value in vars(self).items() if name not in forgotten}

    # --- variables --------------------------------------------------------------------------------

    def add_weight(
        self,
        name: Any = None,
        shape: Any = None,
        dtype: Any = None,
        initializer: Any = None,
        regularizer: Any = None,
        trainable: Any = True,
        constraint: Any = None,
        **_: Any,
    ) -> Variable:
        """A variable that is trained with the layer; `shape` may come first, as in Keras 3."""
        if isinstance(name, list | tuple):
            name, shape, initializer = None, name, shape if initializer is None else initializer
        initial = initializers.get("glorot_uniform" if initializer is None else initializer)
        value = initial(sizes_of(shape) if shape else (), dtype or self.dtype)
        made = Variable(value, bool(trainable in (None, True)), name=name)
        made.layer, made.path = self, f"{self.name}/{made.name}"
        made.regularizer = regularizers.get(regularizer)
        made.constraint = constraints.get(constraint)
        self.added_variables.append(made)
        return made

    add_variable = add_weight

    # --- losses -----------------------------------------------------------------------------------

    def add_loss(self, losses: Any, inputs: Any = None) -> None:
        """Add numbers to the loss of the batch that is being computed."""
        for loss in losses if isinstance(losses, list | tuple) else [losses]:
            self.added_losses.append(tensor(loss() if callable(loss) else loss))

    @property
    def added_losses(self) -> list[Any]:
        return self.__dict__.setdefault("_added_losses", [])

    def losses_below(self) -> list[Any]:
        """What this layer and those among its attributes have added."""
        return [*self.added_losses, *(x for part in self.sublayers for x in part.losses_below())]

    def forget_losses(self) -> None:
        """Forget what has been added: another batch begins."""
        self.added_losses.clear()
        for part in self.sublayers:
            part.forget_losses()

    @property
    def losses(self) -> list[Any]:
        """What the regularizers of the weights, and the layers, add to the loss, as tensors."""
        regularized = (v for v in self.weights if v.regularizer)
        return [*(tensor(v.regularizer(v.value)) for v in regularized), *self.losses_below()]

    @property
    def penalty(self) -> float:
        """What the latest call has added to the loss."""
        return sum(float(np.mean(loss.array)) for loss in self.losses_below())


def _attributes(owner: Any) -> list[Any]:
    """The holders and variables among the attributes, and in lists and dicts among them."""
    found: list[Any] = []
    for name, value in vars(owner).items():
        held = list(value.values()) if isinstance(value, dict) else value
        parts = held if isinstance(held, list | tuple) else [held]
        if name != "_graph_layers":
            found += [part for part in parts if isinstance(part, Holder | Variable)]
    return found


def on_graph(inputs: Any) -> bool:
    """Whether there are tensors of a model among the inputs."""
    parts = inputs if isinstance(inputs, list | tuple) else [inputs]
    return any(isinstance(part, KerasTensor) for part in parts)
