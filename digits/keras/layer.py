"""What all layers of digits.keras share: a name, a place in a model, weights that can be read and
written. The mathematics is done by layers of digits.nn, the `cores`.
"""

import copy
import functools
import weakref
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, TypeVar, dataclass_transform

import numpy as np

from digits.keras import config
from digits.keras.absent import INSTEAD
from digits.keras.arguments import ONLY_AT_DEFAULT, kept, sizes_of, take_options
from digits.keras.custom import AS_THE_MODEL, CustomCall, is_outermost, mode, mode_of, on_graph
from digits.keras.graph import KerasTensor
from digits.keras.legacy import renamed
from digits.keras.lookup import look_up
from digits.keras.random import new_generator
from digits.keras.resizing import is_resizing
from digits.keras.serialization import Configured, argument_names, plain
from digits.keras.tensor import Tensor, is_recorded, paused, record, tapes, tensor
from digits.keras.variable import Variable
from digits.nn.layer import Layer as Core
from digits.types import Array, Shape
from digits.validation import check

T = TypeVar("T")

WEIGHTS = (
    *("kernel", "bias", "recurrent_kernel", "gamma", "beta", "moving_mean", "moving_variance"),
    *("depthwise_kernel", "pointwise_kernel"),
)
"""Names of weights that scripts ask a layer for."""


@dataclass_transform()
def arguments(**old_names: str | None) -> Callable[[type[T]], type[T]]:
    """Decorates a layer whose annotated attributes are its arguments: a dataclass that also takes
    the arguments of every layer, and its own under the names that they had before.
    """

    def decorate(kind: type[T]) -> type[T]:
        dataclass(eq=False, repr=False)(kind)
        keep_own: Any = kind.__init__
        own = argument_names(kind)

        @renamed(**old_names)
        @functools.wraps(keep_own)
        def __init__(self: Any, *args: Any, **options: Any) -> None:
            mine = {name: options.pop(name) for name in own if name in options}
            Layer.__init__(self, **options)
            keep_own(self, *args, **mine)

        kind.__init__ = __init__  # type: ignore[method-assign]
        return kind

    return decorate


class Layer(CustomCall, Configured):
    """A layer: called on a tensor it becomes part of a model, called on an array it computes.

    A subclass gives `make`, the layers of digits.nn that do its work, or `call`, a formula.
    """

    module = "keras.layers"
    rank = 2  # how many axes strides and the like are for
    merges = False  # whether files hold its inputs as a list
    trains_alone = False  # whether it computes as in training when it is called on arrays
    unused: tuple[str, ...] = ()  # weights of cores that this layer does not have
    declared_shape: Shape | None = None
    activation: Any  # of layers that have one
    input_sizes: Any = ()  # the shape of an input without the batch; a list of them, if several
    output_sizes: Shape = ()

    def __init__(self, name: str | None = None, trainable: bool = True, **options: Any) -> None:
        self.trainable = trainable
        kind = config.snake_case(type(self).__name__)
        self.name = name if name is not None else config.new_name(kind)
        self.cores: list[Core] = []
        self._windows: dict[tuple[Core, str], Variable] = {}
        self.built = False
        self.call_results: list[KerasTensor] = []
        take_options(self, options)

    def __post_init__(self) -> None:
        """Turn names among the arguments into what they stand for."""
        for field in fields(self):  # type: ignore[arg-type]
            setattr(self, field.name, kept(field.name, getattr(self, field.name), self.rank))

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)
        if name == "activation" and vars(self).get("cores"):
            vars(self)["activation"] = kept("activation", value)
            self._compute_anew(self.input_sizes)

    def _compute_anew(self, sizes: Any) -> None:
        """Compute from here on with another activation, or on inputs of other sizes, with the same
        weights where they have the same shapes.
        """
        weights, before, self.built = self.get_weights(), self.cores, False
        for earlier in ("_call_copies", "_for_shapes"):
            vars(self).pop(earlier, None)
        self.set_up(sizes)
        for i, (core, made) in enumerate(zip(before, self.cores, strict=False)):
            if type(core) is type(made):  # models and optimizers know the weights by their core
                vars(core).update(vars(made))
                self.cores[i] = core
        if [array.shape for array in weights] == [v.shape for v in self.weights]:
            self.set_weights(weights)

    # --- in a model -------------------------------------------------------------------------------

    def __call__(self, inputs: Any, *args: Any, training: Any = None, **kwargs: Any) -> Any:
        """The tensor that the layer makes of a tensor; of an array, an array."""
        several = isinstance(inputs, list | tuple)
        if not self.by_tape:
            self._refuse(kwargs)
            return self.call(inputs, training)
        if type(self).build is not Layer.build and not self.built:
            self.build([x.shape for x in inputs] if several else inputs.shape)
            self.built = True
        if on_graph([inputs, args, kwargs]):
            return self._follow(inputs, training, *args, **kwargs)
        tensors = [tensor(part, self.dtype) for part in (inputs if several else [inputs])]
        if is_outermost():
            self.forget_losses()
        with mode(training := mode_of(training, self.trains_alone)):
            y = self.compute(tensors if several else tensors[0], training, *args, **kwargs)
        self.built, self.output_sizes = True, getattr(y, "shape", ())[1:]
        return y

    def _refuse(self, options: dict[str, Any]) -> None:
        """Raise ValueError for options of a call that this library takes at their default only."""
        for name in options.keys() & ONLY_AT_DEFAULT.keys():
            expected, given = f"no {name}= for {self.name}", options[name]
            check(given is None, expected, type(given).__name__, ONLY_AT_DEFAULT[name])

    @property
    def by_tape(self) -> Any:
        """Whether the layer runs a `call` of one's own."""
        return type(self).call is not Layer.call

    @property
    def trainable(self) -> bool:
        """Whether training changes the weights, those of the layers among the attributes, too."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = value
        for part in self.sublayers:
            part.trainable = value

    def _place(
        self,
        sources: tuple[Any, ...],
        training: Any,
        sizes: Shape,
        batched: bool = True,
        run: Any = None,
        index: int = 0,
    ) -> KerasTensor:
        """The output of a call, as a tensor of a model."""
        self.built, self.output_sizes = True, sizes
        training = None if training is AS_THE_MODEL else training
        made = KerasTensor(sizes, self, sources, index, batched, training, run)
        self.call_results.append(made)
        return made

    def call(self, inputs: Any, training: Any = None) -> Any:
        """What `__call__` does; a formula, or a layer of one's own, has another one."""
        source = inputs[0] if isinstance(inputs, list | tuple) else inputs
        numbers = not isinstance(source, KerasTensor)
        x = np.asarray(source, self.dtype) if numbers else source.zeros()
        shape = x.shape[1:]
        if self.built and self.cores and shape != self.input_sizes and not self.weights:
            return self._for_shape(shape).call(source, training)
        self.set_up(shape)
        if not numbers and self.activity_regularizer:
            return self._as_step(source, training)
        if not numbers:
            return self._place((source,), training, self.output_sizes)
        training = mode_of(training, self.trains_alone)
        if tapes:
            return self._recorded(source, x, training)
        return self.forward(x, training).copy().view(Tensor)

    def _for_shape(self, shape: Any) -> Any:
        """The same layer, without weights, for inputs of another shape."""
        others = vars(self).setdefault("_for_shapes", {})
        if shape not in others:
            other = others[shape] = copy.copy(self)
            other.built, other.cores, other.call_results = False, [], []
            other.name = config.new_name(config.snake_case(type(self).__name__))
        return others[shape]

    def _recorded(self, source: Any, x: Array, training: bool) -> Tensor:
        """y of an array by a copy, whose weights stay as they are now."""
        copied = self._free_copy()
        copied.set_needs_dx(is_recorded(source))
        with paused():
            y = copied.forward(x, training)
        variables = [v for v in self.weights if v.has_gradient]
        numbers = {core: number for number, core in enumerate(self.cores)}

        def backward(dy: Array) -> list[Any]:
            dx = copied.backward(np.array(dy, self.dtype))
            return [dx, *(copied.cores[numbers[v.core]].grads[v.key].copy() for v in variables)]

        made = record(y.copy(), [source, *variables], backward)
        self._call_copies.append((copied, weakref.ref(made.node) if made.node else lambda: None))
        if self.activity_regularizer:
            self.add_loss(self.activity_regularizer(made) / len(made))
        return made

    def _free_copy(self) -> "Layer":
        """A copy of the layer, with the weights of now, which no record needs any more."""
        made: list[tuple[Layer, Any]] = self.__dict__.setdefault("_call_copies", [])
        free = next((entry for entry in made if entry[1]() is None), None)
        if free is None:
            return self.copy_for_call(copy_weights=True)
        made.remove(free)
        for core, own in zip(self.cores, free[0].cores, strict=True):
            own.rng = core.rng
            for key, array in core.weights.items():
                own.weights[key][...] = array
        return free[0]

    def set_up(self, shape: Any) -> None:
        """Learn the shape of one input and make the weights."""
        if self.built and not self.cores:
            self.built = False  # nothing in it depends on the shape
        if self.built and shape != self.input_sizes and is_resizing():
            self._compute_anew(shape)
        if self.built:
            expected = f"inputs of shape {(None, *self.input_sizes)} for {self.name}"
            check(shape == self.input_sizes, expected, (None, *shape), "make a second layer")
            return
        self.input_sizes = shape
        self.cores = self.make(shape)
        rng = new_generator(getattr(self, "seed", None))
        for core in self.cores:
            core.build(shape)
            shape = core.output_shape
            arrays: list[dict[str, Array]] = [
                {key: np.zeros(size, self.dtype) for key, size in shapes.items()}
                for shapes in (core.weight_shapes, core.weight_shapes, core.buffer_shapes)
            ]
            core.bind(arrays[0], arrays[1], arrays[2], rng, self.dtype)
            core.initialize()
        self.output_sizes = shape
        self.built = True
        for variable in self.weights:
            draw = getattr(self, f"{variable.argument}_initializer", None)
            if draw is not None:
                variable.assign(draw(variable.shape))
        if self.first_weights is not None:
            self.set_weights(self.first_weights)

    def copy_for_call(self, copy_weights: bool = False) -> "Layer":
        """A layer of the same weights, or of a copy of them, with a memory and gradients of its
        own."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other._windows, other.cores = {}, [core.unbound() for core in self.cores]
        for core, own in zip(self.cores, other.cores, strict=True):
            grads = {key: np.zeros_like(array) for key, array in core.grads.items()}
            weights = core.weights
            if copy_weights:
                weights = {key: array.copy() for key, array in weights.items()}
            own.bind(weights, grads, core.buffers, core.rng, self.dtype)
        return other

    def make(self, shape: Shape) -> list[Core]:
        """The layers of digits.nn that do the work, for inputs of that shape; none by default."""
        return []

    def build(self, input_shape: Any) -> None:
        if not self.by_tape:
            self.set_up(sizes_of(input_shape[1:]))
        self.built = True

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        other, make = copy.copy(self), look_up("layers.Input")
        other.built, other.call_results = self.built and not self.cores, []
        several = isinstance(input_shape[0], list | tuple)
        shapes = input_shape if several else [input_shape]
        inputs = [make(sizes_of(shape[1:]), name="input") for shape in shapes]
        return tuple(other(inputs if several else inputs[0]).shape)

    def __getattr__(self, name: str) -> Any:
        if name in WEIGHTS:
            found = [v for v in self.weights if v.name.endswith(name)]
            if found:
                return found[0]
        if name in INSTEAD:
            kind = type(self).__name__
            raise AttributeError(f"{kind}.{name} is not there in digits.keras: {INSTEAD[name]}")
        return object.__getattribute__(self, name)  # fails, and says why

    # --- computing --------------------------------------------------------------------------------

    def forward(self, x: Array, training: bool) -> Array:
        """y from x; remembers what `backward` will need."""
        for core in self.cores:
            x = core.forward(x, training)
        return x

    def backward(self, dy: Array) -> Array | None:
        """dx from dy, for the latest `forward`."""
        dx: Array | None = dy
        for core in reversed(self.cores):
            if dx is None:
                return None
            dx = core.backward(dx)
        return dx

    def set_needs_dx(self, needed: bool) -> None:
        """Whether somebody asks for the gradient with respect to the inputs."""
        for core in self.cores:
            core.needs_dx = needed
            needed = needed or bool(core.weight_shapes)

    def trained_variables(self) -> list[Variable]:
        """The weights that training changes."""
        return self.trainable_weights if self.trainable else []

    # --- looking inside ---------------------------------------------------------------------------

    @property
    def weights(self) -> list[Variable]:
        """All weights, those that training changes first."""
        below = [v for layer in self.sublayers for v in layer.weights] if self.by_tape else []
        own = self.own_variables if self.by_tape else []
        kinds = ("weight_shapes", "buffer_shapes")
        return [*dict.fromkeys([*own, *below])] + [
            self._window(core, key)
            for kind in kinds
            for core in self.cores
            for key in getattr(core, kind)
            if key not in self.unused
        ]

    def _window(self, core: Core, key: str) -> Variable:
        """The same variable for the same weight, always."""
        if (core, key) not in self._windows:
            made = self._windows[core, key] = Variable.of(self, core, key)
            made.regularizer = getattr(self, f"{made.argument}_regularizer", None)
            made.constraint = self.constraints.get(f"{made.argument}_constraint")
        return self._windows[core, key]

    @property
    def trainable_weights(self) -> list[Variable]:
        return [variable for variable in self.weights if variable.trainable]

    @property
    def non_trainable_weights(self) -> list[Variable]:
        return [variable for variable in self.weights if not variable.trainable]

    variables = weights
    trainable_variables = trainable_weights

    def get_weights(self) -> list[Array]:
        return [variable.numpy() for variable in self.weights]

    def set_weights(self, weights: Any) -> None:
        """Replace all weights; ValueError, before any is changed, if a shape is another."""
        variables, arrays = self.weights, [np.asarray(array) for array in weights]
        own, given = [v.shape for v in variables], [array.shape for array in arrays]
        check(own == given, f"weights of shapes {own} for {self.name}", given)
        for variable, array in zip(variables, arrays, strict=True):
            variable.assign(array)

    def stored(self) -> dict[str, list[Variable]]:
        """The weights by the groups of a file of Keras 3 that hold them."""
        return {"vars": self.weights}

    def count_params(self) -> int:
        return sum(variable.array.size for variable in self.weights)

    @property
    def output(self) -> KerasTensor:
        """What the layer made when it was first called."""
        if not self.call_results:
            raise AttributeError(
                f"layer {self.name} has no output yet: give the first layer an input_shape"
            )
        return self.call_results[0]

    @property
    def input(self) -> Any:
        """What the layer was first called on; of an Input, itself."""
        sources = self.output.inputs or (self.output,)
        return sources[0] if len(sources) == 1 else list(sources)

    @property
    def output_shape(self) -> tuple[int | None, ...]:
        return (None, *self.output_sizes)

    @property
    def input_shape(self) -> Any:
        sizes = self.input_sizes
        several = isinstance(sizes, list)
        return [(None, *each) for each in sizes] if several else (None, *sizes)

    def get_config(self) -> dict[str, Any]:
        names = [n for n in argument_names(type(self)) if n not in ("name", "trainable")]
        settings = {name: plain(getattr(self, name)) for name in names if hasattr(self, name)}
        settings |= {name: plain(value) for name, value in self.constraints.items()}
        if self.activity_regularizer:
            settings["activity_regularizer"] = plain(self.activity_regularizer)
        return {"name": self.name, "trainable": self.trainable, "dtype": self.dtype, **settings}

    @classmethod
    def from_config(cls, config: dict[str, Any], **_: Any) -> Any:
        return cls(**config)

    def serialize(self) -> dict[str, Any]:
        """The configuration with the name of the class, and the shape of inputs if it is known."""
        if not (self.built and self.cores):
            return super().serialize()
        return super().serialize() | {"build_config": {"input_shape": [None, *self.input_sizes]}}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"
