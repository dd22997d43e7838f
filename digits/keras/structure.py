"""The architecture of a model as plain values, in the form in which Keras 3 writes it into files;
and models from such values, also in the forms of Keras 1 and 2.
"""

import json
from typing import Any

from digits.keras import layers as layer_kinds
from digits.keras.graph import KerasTensor, in_order
from digits.keras.layer import Layer
from digits.keras.layers.basic import InputLayer
from digits.keras.model import Model, Sequential
from digits.keras.serialization import custom_object_scope, get_custom_objects
from digits.validation import check


def sequential_config(model: Sequential) -> dict[str, Any]:
    built = hasattr(model, "outputs")
    entries = [*([model.inputs[0].layer] if built else []), *model.layers]
    config = {
        "name": model.name,
        "trainable": model.trainable,
        "dtype": model.dtype,
        "layers": [layer.serialize() for layer in entries],
    }
    return config | ({"build_input_shape": [None, *model.inputs[0].sizes]} if built else {})


def functional_config(model: Model) -> dict[str, Any]:
    seen = hasattr(model, "outputs")
    check(seen, "a model that has seen its inputs", model.name, "build it")
    tensors = in_order(model.outputs, model.inputs)
    calls: dict[int, int] = {}
    numbers: dict[str, int] = {}
    nodes: dict[str, list[Any]] = {layer.name: [] for layer in model.layers}
    for tensor in tensors:
        name = tensor.layer.name
        calls[id(tensor)] = numbers[name] = numbers.get(name, -1) + 1
        if tensor.inputs and not any(tensor is source for source in model.inputs):
            sources = [_reference(source, calls[id(source)]) for source in tensor.inputs]
            args = [sources] if tensor.layer.merges else sources
            nodes[name].append({"args": args, "kwargs": {}})
    entries = []
    for layer in model.layers:
        entries.append(layer.serialize() | {"name": layer.name, "inbound_nodes": nodes[layer.name]})
    ends = {
        key: [[t.layer.name, calls[id(t)], t.index] for t in found]
        for key, found in (("input_layers", model.inputs), ("output_layers", model.outputs))
    }
    return {"name": model.name, "trainable": model.trainable, "layers": entries, **ends}


def _reference(tensor: KerasTensor, call: int) -> dict[str, Any]:
    position = {"keras_history": [tensor.layer.name, call, tensor.index]}
    config = {"shape": list(tensor.shape), "dtype": tensor.dtype, **position}
    return {"class_name": "__keras_tensor__", "config": config}


def model_from(config: Any) -> Model:
    """The model that has this configuration, with new weights."""
    if isinstance(config, list):  # Sequential in Keras 1 and early 2
        return _stack_from({"layers": config})
    if "class_name" in config:
        return model_from(config["config"])
    graph = any("inbound_nodes" in entry for entry in config.get("layers", []))
    return (_graph_from if graph else _stack_from)(config)


def layer_from(entry: dict[str, Any]) -> Any:
    """A layer, or a model that serves as one, from its entry in a configuration."""
    name, config = entry["class_name"], entry["config"]
    if name in ("Sequential", "Functional", "Model"):
        return model_from(config)
    kind: Any = get_custom_objects().get(name) or getattr(layer_kinds, name, None)
    known = isinstance(kind, type) and issubclass(kind, Layer)
    check(known, "layers that keras.layers has", name, f"pass custom_objects={{'{name}': {name}}}")
    return kind.from_config(dict(config))


def _stack_from(config: dict[str, Any]) -> Sequential:
    model = Sequential(name=config.get("name"))
    for entry in config["layers"]:
        model.add(layer_from(entry))
    if not model.built and config.get("build_input_shape"):
        model.build(tuple(config["build_input_shape"]))
    return model


def _graph_from(config: dict[str, Any]) -> Model:
    outputs: dict[tuple[str, int, int], KerasTensor] = {}
    waiting = []
    for entry in config["layers"]:
        layer = layer_from(entry)
        if isinstance(layer, InputLayer):
            outputs[(layer.name, 0, 0)] = layer.output
        waiting += [(layer, number, node) for number, node in enumerate(entry["inbound_nodes"])]
    while waiting:  # until no call waits for the output of another
        ready = [call for call in waiting if all(s in outputs for s in _sources(call[2]))]
        check(ready, "layers of which one can be the first", "a circle of them")
        for layer, number, node in ready:
            tensors = [outputs[source] for source in _sources(node)]
            results = layer(tensors if layer.merges or len(tensors) > 1 else tensors[0])
            for index, result in enumerate(results if isinstance(results, list) else [results]):
                outputs[(layer.name, number, index)] = result
        waiting = [call for call in waiting if not any(call is other for other in ready)]
    ends = [
        [outputs[position] for position in _positions(config[key])]
        for key in ("input_layers", "output_layers")
    ]
    single = len(ends[1]) == 1
    return Model(ends[0], ends[1][0] if single else ends[1], name=config.get("name"))


def _positions(given: Any) -> list[tuple[str, int, int]]:
    """Names, calls and numbers of tensors: one, or a list of them."""
    found = [given] if given and isinstance(given[0], str) else given
    return [(str(name), int(call), int(index)) for name, call, index in found]


def _sources(node: Any) -> list[tuple[str, int, int]]:
    """Where the inputs of a call come from, in the form of Keras 3 or of Keras 2."""
    if not isinstance(node, dict):
        return [(position[0], position[1], position[2]) for position in node]
    found: list[tuple[str, int, int]] = []
    waiting = list(node["args"]) + list(node.get("kwargs", {}).values())
    while waiting:
        item = waiting.pop(0)
        if isinstance(item, list):
            waiting = item + waiting
        elif isinstance(item, dict) and item.get("class_name") == "__keras_tensor__":
            name, call, index = item["config"]["keras_history"]
            found.append((name, call, index))
    return found


def model_from_json(text: str, custom_objects: Any = None) -> Model:
    """The model whose architecture `to_json` has written, with new weights."""
    with custom_object_scope(custom_objects):
        return model_from(json.loads(text))


def clone_model(model: Model, **_: Any) -> Model:
    with custom_object_scope({type(layer).__name__: type(layer) for layer in model.layers}):
        return model_from(model.get_config())
