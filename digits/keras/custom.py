"""Custom layers: what a layer with a `call` of one's own inherits. It adds variables and losses,
and its call is recorded, so that it has a gradient.
"""

import contextlib
import functools
import inspect
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from digits.keras import constraints, initializers, regularizers
from digits.keras.arguments import sizes_of
from digits.keras.config import snake_case
from digits.keras.graph import KerasTensor, filled, following, in_order, is_followed, tensors_in
from digits.keras.lookup import look_up
from digits.keras.tape import GradientTape, gradients
from digits.keras.tensor import Node, Tensor, found_in, paused, tensor
from digits.keras.variable import Variable
from digits.types import Array
from digits.validation import check

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


class Module(Holder):
    """TensorFlow's class for things with variables."""

    def __init__(self, name: str | None = None) -> None:
        self.name = name or snake_case(type(self).__name__)

    @property
    def variables(self) -> list[Variable]:
        below = [v for part in self.sublayers for v in part.variables]
        return list(dict.fromkeys([*self.own_variables, *below]))

    weights = variables

    @property
    def trainable_variables(self) -> list[Variable]:
        return [variable for variable in self.variables if variable.trainable]

    submodules = Holder.sublayers


class CustomCall(Holder):
    """The part of a layer that is there for subclasses with a `call` of their own."""

    name: str
    dtype: str
    call: Any
    make: Any
    weights: Any
    trainable: Any
    built: bool
    output_sizes: Any
    _place: Any

    def compute(self, inputs: Any, training: Any, *args: Any, **kwargs: Any) -> Any:
        """What `call` makes of tensors."""
        if _takes_training(type(self).call):
            kwargs["training"] = training
        return self.call(inputs, *args, **kwargs)

    def _follow(self, inputs: Any, training: Any, *args: Any, **kwargs: Any) -> Any:
        """A layer made of other layers alone has these within; in a call that is followed itself,
        it becomes what it calls. Any other one is a step of its own.
        """
        if not self.trainable:
            self.trainable = False  # for the layers made since
        kind, is_model = type(self), hasattr(type(self), "training_network")
        has_layers = is_model or self.sublayers or kind.make is not look_up("layer.Layer").make
        if not self.own_variables and (has_layers or is_followed()):
            followed = AS_THE_MODEL if training is None else training
            # It may compute with numbers; a mistake of the user will show in the next line, too.
            with contextlib.suppress(Exception), following() as outermost:
                if outermost and self.sublayers and not (is_model or args or kwargs):
                    return self._with_layers_within(inputs, training)
                y = self.compute(inputs, followed, *args, **kwargs)
                self.built, self.output_sizes = True, getattr(y, "sizes", ())
                return y
        return self._as_step(inputs, training, *args, **kwargs)

    def _with_layers_within(self, inputs: Any, training: Any) -> Any:
        """The outputs of a graph of its own, from `inputs` to `outputs`, which models open."""
        several = isinstance(inputs, list | tuple)
        sources, make = tuple(inputs) if several else (inputs,), look_up("layers.Input")
        if not hasattr(self, "outputs"):
            own = [make(x.sizes, name=f"{self.name}_{i}") for i, x in enumerate(sources)]
            y = self.compute(own if several else own[0], AS_THE_MODEL)
            self.single, outputs = not isinstance(y, list | tuple), tensors_in(y)
            made_here = all(t.layer is not self for t in in_order(outputs, own))
            check(made_here, f"layers within {self.name}", "the layer itself")
            self.inputs, self.outputs = own, outputs
            self.input_sizes = [x.sizes for x in own] if several else own[0].sizes
        if [x.sizes for x in self.inputs] != [x.sizes for x in sources]:
            return self.compute(inputs, AS_THE_MODEL if training is None else training)
        ends = enumerate(self.outputs)
        made = [self._place(sources, training, y.sizes, y.batched, index=i) for i, y in ends]
        return made[0] if self.single else made

    def _as_step(self, inputs: Any, training: Any, *args: Any, **kwargs: Any) -> Any:
        """A step of a model that runs the call of one's own."""
        run = Run(self, (inputs, *args), kwargs)
        try:
            with np.errstate(all="ignore"):
                y = run.forward([source.zeros() for source in run.sources], False)
        except ValueError as error:
            if "broadcast" in str(error):
                advice = "take the number of samples from tf.shape(x)[0], not as a constant"
                error.add_note(f"{self.name} is tried with 2 samples first: {advice}")
            raise
        good = y.shape in ((), (2, *y.shape[1:]))
        check(good, f"an output for each sample from {self.name}", y.shape)
        if run.parts is not None:
            return self._as_several(run, training, y.shape[1:])
        return self._place(run.sources, training, y.shape[1:], y.shape != (), run)

    def _as_several(self, run: "Run", training: Any, sizes: Any) -> list[Any]:
        """The outputs of a step that has given several: a graph of the step, and of their numbers
        in what it gives, which models open.
        """
        if run.kwargs or not all(map(tensors_in, run.args)):
            what = f"several outputs of {self.name}"
            raise SeveralOutputs(f"expected tensors as the only arguments for {what}")
        make = look_up("layers.Input")
        self.inputs = [make(x.sizes, name=f"{self.name}_{i}") for i, x in enumerate(run.sources)]
        whole = KerasTensor(sizes, self, tuple(self.inputs), training=None, run=run)
        ends = np.cumsum([0, *map(math.prod, run.parts)])
        cuts = zip(ends, ends[1:], run.parts, strict=False)
        reshape = look_up("layers.Reshape")
        self.outputs = [reshape(part)(whole[:, start:end]) for start, end, part in cuts]
        numbered = enumerate(run.parts)
        return [self._place(run.sources, training, part, index=i) for i, part in numbered]

    def __getstate__(self) -> dict[str, Any]:
        """What copies and pickles take along: not what the latest call has left."""
        return {k: v for k, v in vars(self).items() if k not in ("_added_losses", "_call_copies")}

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
    def losses(self) -> list[Any]:
        """What the regularizers of the weights, and the layers, add to the loss, as tensors."""
        regularized = (v for v in self.weights if v.regularizer)
        return [*(tensor(v.regularizer(v.value)) for v in regularized), *self.losses_below()]


@functools.cache
def _takes_training(call: Any) -> bool:
    """Whether a `call` of one's own has an argument `training`."""
    takes = inspect.signature(call).parameters
    return "training" in takes or any(p.kind is p.VAR_KEYWORD for p in takes.values())


class Run:
    """A call of one's own as a step of a model: its arguments, and the record of the latest time.

    sources: the tensors of the model among the arguments. scale: what the gradient of the loss is
    multiplied with, and so that of added losses. needs_dx: whether somebody asks for the gradient
    with respect to the inputs.
    """

    scale = 1.0
    needs_dx = True

    def __init__(self, layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.layer, self.args, self.kwargs = layer, args, kwargs
        self.sources = tuple(tensors_in([args, kwargs]))
        self.x: list[Tensor] = []
        self.y: Any = None
        self.parts: Any = None  # the shapes of several outputs, whose numbers are side by side
        self.losses: list[Any] = []

    def forward(self, x: list[Array], training: bool) -> Array:
        """y from x, of which a record is kept."""
        self.y, self.losses = None, []
        self.x = [np.asarray(part).view(Tensor) for part in x]
        for part in self.x:
            part.node = Node() if self.needs_dx else None
        self.layer.forget_losses()
        with paused(), GradientTape():
            self.y = self.now(self.x, training)
        self.losses = self.layer.losses_below()
        if not isinstance(self.y, np.ndarray | Variable):
            what = type(self.y).__name__
            raise SeveralOutputs(f"expected one tensor from {self.layer.name}; received {what}")
        return np.asarray(self.y, self.layer.dtype)

    def now(self, x: list[Any], training: bool) -> Any:
        """What the call gives for these tensors."""
        numbers = iter(x)
        (inputs, *args), kwargs = filled(self.args, numbers), filled(self.kwargs, numbers)
        with mode(training):
            y = self.layer.compute(inputs, training, *args, **kwargs)
        if not isinstance(y, list | tuple) or hasattr(type(self.layer), "training_network"):
            return y
        self.parts, n = [np.shape(part)[1:] for part in y], len(y[0])
        return np.concatenate([np.reshape(tensor(part), (n, -1)) for part in y], axis=1)

    @functools.cached_property
    def variables(self) -> list[Variable]:
        """The weights of the layer that have gradients."""
        return [v for v in self.layer.weights if v.has_gradient]

    def backward(self, dy: Array) -> list[Array | None]:
        """dx for each input from dy; adds to the gradients of the variables."""
        scales = [np.full(loss.shape, self.scale / loss.size) for loss in self.losses]
        with paused():
            found = gradients([self.y, *self.losses], [*self.x, *self.variables], [dy, *scales])
        for variable, gradient in zip(self.variables, found[len(self.x) :], strict=True):
            if gradient is not None:
                np.add(variable.gradient, gradient.array, out=variable.gradient)
        return [None if part is None else part.array for part in found[: len(self.x)]]

    @property
    def penalty(self) -> float:
        """What the latest call has added to the loss."""
        return sum(float(np.mean(loss.array)) for loss in self.losses)

    def __getstate__(self) -> dict[str, Any]:
        """What copies and pickles take along: not the record."""
        return vars(self) | {"x": [], "y": None, "losses": []}


def _attributes(owner: Any) -> list[Any]:
    """The holders and variables among the attributes, and in lists and dicts among them."""
    hidden = ("_graph_layers", "_call_copies", "call_results", "inputs", "outputs", "_loss_tensors")
    kinds = (Holder, Variable, list, tuple, dict)
    values = [v for k, v in vars(owner).items() if isinstance(v, kinds) and k not in hidden]
    return found_in(values, (Holder, Variable))


def on_graph(inputs: Any) -> bool:
    """Whether there are tensors of a model among the inputs."""
    return bool(tensors_in(inputs))
