"""Models: graphs of layers from inputs to outputs, with their weights; and stacks of layers, which
may learn the shape of their inputs only from the first data.
"""

import copy
import json
from typing import Any, Self

import numpy as np

from digits.keras import config
from digits.keras.arguments import sizes_of
from digits.keras.custom import AS_THE_MODEL, SeveralOutputs, is_outermost, mode, mode_of, on_graph
from digits.keras.graph import KerasTensor, layers_by_depth
from digits.keras.layer import Layer
from digits.keras.layers.basic import Input, InputLayer
from digits.keras.legacy import note, renamed
from digits.keras.lookup import look_up
from digits.keras.network import Network
from digits.keras.objectives import listed
from digits.keras.resizing import resize
from digits.keras.summary import print_summary
from digits.keras.tensor import Tensor, tapes, tensor
from digits.keras.training import Trainer
from digits.keras.variable import Variable
from digits.types import Array
from digits.validation import check


class Model(Trainer, Layer):
    """A graph of layers: `Model(inputs, outputs)`, or a subclass whose `call` applies layers.

    Raises ValueError for outputs that depend on an Input that is not among the inputs.
    """

    module = "keras"
    inputs: list[KerasTensor]
    outputs: list[KerasTensor]
    waits = False  # whether the first data tell sizes that an Input leaves open

    @renamed(input="inputs", output="outputs")
    def __init__(
        self, inputs: Any = None, outputs: Any = None, name: str | None = None, **options: Any
    ) -> None:
        kind = "functional" if type(self) is Model else config.snake_case(type(self).__name__)
        Layer.__init__(self, name or config.new_name(kind), **options)
        self._network: Network | None = None
        self._loss_tensors: list[KerasTensor] = []
        if outputs is not None:
            self._set_graph(listed(inputs) or [inputs], listed(outputs))

    def _set_graph(self, inputs: list[KerasTensor], outputs: list[KerasTensor]) -> None:
        for given in (*inputs, *outputs):
            advice = "call the layers on Input(shape=...)"
            made = isinstance(given, KerasTensor) and given.batched
            check(made, "tensors made by Input and layers", given, advice)
        self.inputs, self.outputs, self._network, self._wanted = inputs, outputs, None, None
        self.waits = any(getattr(tensor.layer, "waits", False) for tensor in inputs)
        self._graph_layers = layers_by_depth(inputs, outputs)
        names = [layer.name for layer in self._graph_layers]
        twice = {name for name in names if names.count(name) > 1}
        check(not twice, "a name of its own for every layer", f"{twice} twice")
        self.built = True
        self.input_sizes, self.output_sizes = inputs[0].sizes, outputs[0].sizes

    def __copy__(self) -> Self:
        return copy.deepcopy(self)  # a shallow copy would share the layers

    def __getstate__(self) -> dict[str, Any]:
        """What copies and pickles take along: the network is made anew, of the layers."""
        return super().__getstate__() | {"_network": None}

    # --- the graph --------------------------------------------------------------------------------

    @property
    def layers(self) -> list[Layer]:
        if hasattr(self, "outputs") and self.outputs[0].layer is not self:
            return list(self._graph_layers)
        return super().sublayers

    _layers = sublayers = layers

    @property
    def shown_layers(self) -> list[Layer]:
        """What a summary shows: of a subclass, the layers among its attributes."""
        return super().sublayers if self.by_tape else self.layers

    @property
    def training_network(self) -> Network:
        """The model as the training loop sees it."""
        if self._network is None:
            if not hasattr(self, "outputs"):
                raise ValueError(
                    f"model {self.name} does not know the shape of its inputs yet: begin with "
                    "Input(shape=...), or call build((None, ...)) or fit first"
                )
            self._network = Network(self.inputs, self.outputs, self._loss_tensors, self.dtype)
        return self._network

    def set_up(self, shape: Any) -> None:
        """Find the graph for inputs of that shape; a list of shapes, if there are several."""
        shapes = shape if isinstance(shape, list) else [shape]
        if hasattr(self, "outputs"):
            if self.waits:
                check(len(shapes) == len(self.inputs), f"{len(self.inputs)} inputs", len(shapes))
                pairs = zip(self.inputs, shapes, strict=True)
                resize(self, [tensor.layer.sizes_for(sizes) for tensor, sizes in pairs])
            return
        inputs = [Input(sizes) for sizes in shapes]
        outputs = self._trace(inputs[0] if len(inputs) == 1 else inputs)
        self._set_graph(inputs, listed(outputs))

    def _trace(self, inputs: Any) -> Any:
        """The outputs that the model's own `call` makes of tensors: of its layers, or, where it
        computes with numbers, in one step.
        """
        kind = type(self).__name__
        check(self.by_tape, "Model(inputs, outputs), or a subclass of Model with a call", kind)
        return self._follow(inputs, None)

    @property
    def by_tape(self) -> bool:
        return type(self).call is not Model.call

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        check(not self.by_tape, "a call that does not need that of Model", type(self).__name__)
        return self(inputs, training=training)

    def build(self, input_shape: Any) -> None:
        """Find the graph for inputs (None, ...)."""
        several = isinstance(input_shape, list) and isinstance(input_shape[0], list | tuple)
        shapes = [sizes_of(s[1:]) for s in (input_shape if several else [input_shape])]
        try:
            self.set_up(shapes if several else shapes[0])
        except SeveralOutputs:
            self.built = True  # the layers are; the model is called, but has no graph

    def __call__(self, inputs: Any, *args: Any, training: Any = None, **kwargs: Any) -> Any:
        """The outputs for tensors, as part of another model; for arrays, arrays."""
        parts: list[Any] = [inputs] if isinstance(inputs, np.ndarray) else listed(inputs)
        if on_graph([parts, args, kwargs]):
            if args or kwargs:
                return self._follow(inputs, training, *args, **kwargs)
            sizes = [part.sizes for part in parts]
            if not hasattr(self, "outputs") or sizes != [tensor.sizes for tensor in self.inputs]:
                self.set_up(sizes if len(sizes) > 1 else sizes[0])
            said = None if training is AS_THE_MODEL else training
            results: list[Any] = [
                KerasTensor(output.sizes, self, tuple(parts), index, training=said)
                for index, output in enumerate(self.outputs)
            ]
            self.call_results.append(results[0])
        else:
            if is_outermost():
                self.forget_losses()
            training, x = mode_of(training, False), self._inputs_of_graph(inputs)
            if x is not None and not tapes and not (self.by_tape and (args or kwargs)):
                arrays = self.training_network.forward(x, training)
                results = [y.copy().view(Tensor) for y in arrays]
                return results[0] if len(results) == 1 else results
            given = [tensor(part, self.dtype) for part in parts]
            if x is not None:
                pairs = zip(given, x, strict=True)
                given = [tensor(np.reshape(part, array.shape)) for part, array in pairs]
            if self.by_tape:
                with mode(training):
                    several = isinstance(inputs, list | tuple)
                    return self.compute(given if several else given[0], training, *args, **kwargs)
            with mode(training):
                results = self._recorded_graph(given, training)
        return results[0] if len(results) == 1 else results

    def _inputs_of_graph(self, inputs: Any) -> list[Array] | None:
        """The inputs as the graph takes them; None for a call of one's own that has no graph."""
        try:
            return self._as_inputs(inputs)
        except Exception:
            if not self.by_tape:
                raise
            return None

    def _recorded_graph(self, x: list[Any], training: bool) -> list[Tensor]:
        """The outputs, layer by layer, so that a tape records each of them."""
        network = self.training_network
        values = dict(zip(network.inputs, x, strict=True))
        for step in network.steps:
            given = [values[source] for source in step.sources]
            said = training if step.training is None else step.training
            layer = network.copies.get(step.layer, step.layer)
            found = step.run.now(given, said) if step.run else layer(given[0], training=said)
            values[step.result] = found
        self.added_losses.extend(values[number] for number in network.added)
        return [values[number] for number in network.outputs]

    @property
    def input(self) -> Any:
        """The tensor that the model begins with; a list of them, if there are several."""
        self._require_graph("input")
        return self.inputs[0] if len(self.inputs) == 1 else self.inputs

    @property
    def output(self) -> Any:
        """The tensor that the model ends with; a list of them, if there are several."""
        self._require_graph("output")
        return self.outputs[0] if len(self.outputs) == 1 else self.outputs

    @property
    def output_names(self) -> list[str]:
        """The names of the layers that make the outputs, or numbers where there are none."""
        self._require_graph("output")
        names = [tensor.layer.name for tensor in self.outputs]
        if type(self).call is Model.call and len(set(names)) == len(names):
            return names
        return [f"output_{number}" for number in range(1, len(names) + 1)]

    @property
    def input_names(self) -> list[str]:
        self._require_graph("input")
        return [tensor.layer.name for tensor in self.inputs]

    def add_loss(self, losses: Any, inputs: Any = None) -> None:
        """Add to the loss: numbers of the batch that is computed, or tensors of the model."""
        self._network = None
        for loss in listed(losses):
            if isinstance(loss, KerasTensor):
                self._loss_tensors.append(loss)
            else:
                super().add_loss(loss)

    def _require_graph(self, what: str) -> None:
        if not hasattr(self, "outputs"):
            raise AttributeError(
                f"model {self.name} has no {what} yet: begin with Input(shape=...)"
            )

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """A layer by its name or number; ValueError if there is none."""
        if index is not None:
            return self.layers[index]
        found = {layer.name: layer for layer in self.layers}
        check(name in found, f"a layer among {', '.join(found)}", name)
        return found[str(name)]

    # --- weights ----------------------------------------------------------------------------------

    @property
    def weights(self) -> list[Variable]:
        below = [variable for layer in self.layers for variable in layer.weights]
        return list(dict.fromkeys([*self.own_variables, *below]))

    variables = weights

    def trained_variables(self) -> list[Variable]:
        own = [v for v in self.own_variables if v.trainable]
        return [*own, *(v for layer in self.layers for v in layer.trained_variables())]

    def count_params(self) -> int:
        if not self.built:
            self._require_graph("number of parameters")
        return super().count_params()

    # --- looking inside, files --------------------------------------------------------------------

    def summary(self, line_length: int | None = None, print_fn: Any = None, **_: Any) -> None:
        """Print a table of the layers, their output shapes and numbers of parameters."""
        print_summary(self, print_fn)

    def get_config(self) -> dict[str, Any]:
        return look_up("structure.functional_config")(self)

    @classmethod
    def from_config(cls, config: dict[str, Any], **_: Any) -> Any:
        return look_up("structure.model_from")(config)

    def serialize(self) -> dict[str, Any]:
        kind = "Sequential" if isinstance(self, Sequential) else "Functional"
        module = "keras" if kind == "Sequential" else "keras.src.models.functional"
        return {"module": module, "class_name": kind, "config": self.get_config()}

    def to_json(self, **options: Any) -> str:
        """The architecture as text, which `model_from_json` reads."""
        return json.dumps(self.serialize() | {"registered_name": None}, **options)

    def save(self, filepath: Any, overwrite: bool = True, **_: Any) -> None:
        """Write the model: .keras or .h5 as Keras does, .npz as digits.load_model reads it."""
        look_up("saving.save_model")(self, filepath, overwrite)

    def save_weights(self, filepath: Any, overwrite: bool = True, **_: Any) -> None:
        look_up("saving.save_weights")(self, filepath, overwrite)

    def load_weights(self, filepath: Any, by_name: bool = False, **_: Any) -> None:
        """Read weights that `save_weights` or `save` wrote, here or in Keras."""
        look_up("saving.load_weights")(self, filepath, by_name)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"


class Sequential(Model):
    """A stack of layers: what one gives, the next one takes."""

    def __init__(
        self, layers: Any = None, name: str | None = None, trainable: bool = True, **options: Any
    ) -> None:
        self._stack: list[Layer] = []
        super().__init__(name=name, **options)
        for layer in layers or []:
            self.add(layer)
        if not trainable:
            self.trainable = False

    def add(self, layer: Any, rebuild: bool = True) -> None:
        if isinstance(layer, KerasTensor):
            layer = layer.layer
        if not isinstance(layer, Layer):
            raise TypeError(f"expected a layer, such as Dense(10); received {layer!r}")
        if isinstance(layer, InputLayer):
            check(not self._stack, "Input as the first layer", "it after others")
            if not layer.waits:
                self._begin(layer.output)
            return
        if any(layer is other for other in self._stack):
            raise ValueError(f"expected another layer; {layer.name} is in the stack: make a second")
        if not self._stack and not hasattr(self, "outputs"):
            if layer.declared_shape is not None:
                self._begin(Input(layer.declared_shape))
            elif isinstance(layer, Model) and hasattr(layer, "outputs"):
                self._begin(Input(layer.inputs[0].sizes))
        self._stack.append(layer)
        if hasattr(self, "outputs"):
            try:
                self._set_graph(self.inputs, [layer(self.outputs[0])])
            except Exception:
                self._stack.pop()
                raise

    def _begin(self, tensor: KerasTensor) -> None:
        self.inputs, self.outputs = [tensor], [tensor]
        self.input_sizes = self.output_sizes = tensor.sizes
        self._graph_layers, self._network = [tensor.layer], None

    def pop(self, rebuild: bool = True) -> Layer:
        check(self._stack, "at least 1 layer", "an empty stack")
        layer = self._stack.pop()
        if hasattr(self, "outputs"):
            (before,) = self.outputs[0].inputs
            layer.call_results = [
                call for call in layer.call_results if call is not self.outputs[0]
            ]
            self._set_graph(self.inputs, [before])
        return layer

    @property
    def layers(self) -> list[Layer]:
        return list(self._stack)

    _layers = sublayers = shown_layers = layers

    def _trace(self, inputs: Any) -> Any:
        check(self._stack, f"layers in model {self.name}", "none yet", "add some")
        for layer in self._stack:
            inputs = layer(inputs)
        return inputs

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        return self._trace(inputs)

    def get_config(self) -> dict[str, Any]:
        return look_up("structure.sequential_config")(self)

    def predict_classes(self, x: Any, batch_size: int = 32, verbose: int = 0) -> Array:
        """The number of the largest output, or whether the only one is above one half."""
        note("predict_classes(x) is called predict(x).argmax(axis=-1) today")
        y = np.asarray(self.predict(x, verbose=verbose))
        return (y > 0.5).astype("int32") if y.shape[-1] == 1 else y.argmax(axis=-1)

    def predict_proba(self, x: Any, batch_size: int = 32, verbose: int = 0) -> Array:
        note("predict_proba is called predict today")
        return self.predict(x, verbose=verbose)


Functional = Model
