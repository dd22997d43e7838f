"""A network as an ONNX file, which runs where this library does not: in browsers, on phones, from
C++.  ONNX is a standard for networks as graphs of operators; here each layer becomes a few of them,
and the table of `OPERATORS` says which.

A graph takes `images`, float32 (n, 784) with pixels from 0 to 1, for any n, and gives
`probabilities`, float32 (n, classes).  https://onnx.ai/onnx/operators describes every operator.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from digits.files.atomic import write_file
from digits.types import Array

Description = Mapping[str, Any]
"""A layer as a model file describes it: its class, its name, and the arguments that build it."""

OPSET, IR_VERSION = 17, 8
"""Versions of the operators and of the file, of 2022: what all runtimes have learned since."""

LARGEST = 2**31 - 1
"""Bytes in an ONNX file, which counts them in 32 bits."""


class Graph:
    """The operators so far; the next one takes `tensor`, what the latest of them gives.

    Samples are rows of numbers (rank 1) or images (rank 3).  Images lie as in this library,
    (n, height, width, channels), or as ONNX wants them to look at through a window, (n, channels,
    height, width); they are turned when a layer needs them otherwise than the layer before.
    """

    def __init__(self, rank: int) -> None:
        self.nodes: list[tuple[str, list[str], str, dict[str, Any]]] = []
        self.constants: dict[str, Array] = {}
        self.tensor, self.rank, self.channels_first = "images", rank, False
        self.layer = ""

    def add(
        self, operator: str, constants: Mapping[str, Array] | None = None, **attributes: Any
    ) -> None:
        """Append operator(tensor, *constants); names begin with that of the layer."""
        inputs = [self.tensor]
        for name, array in (constants or {}).items():
            inputs.append(f"{self.layer}.{name}")
            self.constants[inputs[-1]] = array
        self.tensor = f"{self.layer}.{operator}_{len(self.nodes)}"
        self.nodes.append((operator, inputs, self.tensor, attributes))

    def turn_channels_first(self) -> None:
        if self.rank > 1 and not self.channels_first:
            self.add("Transpose", perm=[0, self.rank, *range(1, self.rank)])
        self.channels_first = True

    def turn_channels_last(self) -> None:
        if self.rank > 1 and self.channels_first:
            self.add("Transpose", perm=[0, *range(2, self.rank + 1), 1])
        self.channels_first = False


# --- from layers to operators ---------------------------------------------------------------------
# Each takes the graph, the layer's description and its arrays, and adds what the layer does when it
# predicts.  An operator knows its inputs by their order: `arrays` come in it already, W before b,
# and gamma, beta, mean, variance.


def activate(graph: Graph, name: str) -> None:
    match name:
        case "linear":
            pass
        case "sigmoid" | "tanh" | "relu":
            graph.add(name.capitalize())
        case "scaled_tanh":
            graph.add("Mul", {"inner": np.array(2 / 3)})
            graph.add("Tanh")
            graph.add("Mul", {"outer": np.array(1.7159)})
        case "leaky_relu":
            graph.add("LeakyRelu", alpha=0.2)
        case "elu":
            graph.add("Elu", alpha=1.0)
        case "softmax":
            graph.add("Softmax", axis=1 if graph.channels_first else -1)
        case _:
            raise ValueError(
                f"expected an activation that has ONNX operators; received {name!r}: "
                "give it some in `activate` in digits/files/onnx.py"
            )


def activation(graph: Graph, layer: Description, arrays: Mapping[str, Array]) -> None:
    activate(graph, layer["activation"])


def dense(graph: Graph, layer: Description, arrays: Mapping[str, Array]) -> None:
    graph.add("Gemm", arrays)  # x W + b
    activate(graph, layer["activation"])


def maxout(graph: Graph, layer: Description, arrays: Mapping[str, Array]) -> None:
    graph.add("Gemm", arrays)
    graph.add("Reshape", {"shape": np.array([0, layer["units"], layer["pieces"]])})
    graph.add("ReduceMax", axes=[2], keepdims=0)


def conv2d(graph: Graph, layer: Description, arrays: Mapping[str, Array]) -> None:
    W = arrays["W"]
    if layer["connections"] is not None:  # zeros for the weights that do not exist
        table = np.array(layer["connections"], bool)
        W = np.zeros((*W.shape[:2], *table.shape), W.dtype)
        W[:, :, table] = arrays["W"]
    graph.turn_channels_first()
    graph.add("Conv", {**arrays, "W": W.transpose(3, 2, 0, 1)}, **steps(layer))
    activate(graph, layer["activation"])


def max_pooling2d(graph: Graph, layer: Description, arrays: Mapping[str, Array]) -> None:
    graph.turn_channels_first()
    graph.add("MaxPool", kernel_shape=layer["pool_size"], **steps(layer))


def average_pooling2d(graph: Graph, layer: Description, arrays: Mapping[str, Array]) -> None:
    graph.turn_channels_first()
    graph.add("AveragePool", kernel_shape=layer["pool_size"], **steps(layer))


def subsampling2d(graph: Graph, layer: Description, arrays: Mapping[str, Array]) -> None:
    average_pooling2d(graph, {**layer, "strides": layer["pool_size"], "padding": "valid"}, {})
    for operator, name in (("Mul", "coefficient"), ("Add", "b")):
        graph.add(operator, {name: arrays[name].reshape(-1, 1, 1)})  # one for each channel
    activate(graph, layer["activation"])


def steps(layer: Description) -> dict[str, Any]:
    """How a window goes over the images; with SAME_UPPER an odd pixel of border is the last one."""
    border = {"same": "SAME_UPPER", "valid": "VALID"}[layer["padding"]]
    return {"strides": layer["strides"], "auto_pad": border}


def zero_padding2d(graph: Graph, layer: Description, arrays: Mapping[str, Array]) -> None:
    graph.turn_channels_first()
    border = [0, 0, *layer["padding"]]  # along n, channels, height, width; before and after alike
    graph.add("Pad", {"border": np.array([*border, *border])})


def batch_normalization(graph: Graph, layer: Description, arrays: Mapping[str, Array]) -> None:
    graph.turn_channels_first()
    graph.add("BatchNormalization", arrays, epsilon=layer["epsilon"])


def normalization(graph: Graph, layer: Description, arrays: Mapping[str, Array]) -> None:
    graph.turn_channels_last()
    graph.add("Sub", {"mean": np.array(layer["mean"])})
    graph.add("Div", {"deviation": np.sqrt(layer["variance"])})


def rescaling(graph: Graph, layer: Description, arrays: Mapping[str, Array]) -> None:
    graph.add("Mul", {"scale": np.array(layer["scale"])})
    graph.add("Add", {"offset": np.array(layer["offset"])})


def reshape(graph: Graph, layer: Description, arrays: Mapping[str, Array]) -> None:
    graph.turn_channels_last()  # numbers are counted in this library's order
    shape = layer["target_shape"]
    graph.add("Reshape", {"shape": np.array([0, *shape])})  # 0: as many samples as there are
    graph.rank = len(shape)


def flatten(graph: Graph, layer: Description, arrays: Mapping[str, Array]) -> None:
    reshape(graph, {**layer, "target_shape": [-1]}, arrays)


def dropout(graph: Graph, layer: Description, arrays: Mapping[str, Array]) -> None:
    """Nothing: it is awake in training only."""


OPERATORS: dict[str, Callable[[Graph, Description, Mapping[str, Array]], None]] = {
    "Activation": activation,
    "AveragePooling2D": average_pooling2d,
    "BatchNormalization": batch_normalization,
    "Conv2D": conv2d,
    "Dense": dense,
    "Dropout": dropout,
    "Flatten": flatten,
    "MaxPooling2D": max_pooling2d,
    "Maxout": maxout,
    "Normalization": normalization,
    "Rescaling": rescaling,
    "Reshape": reshape,
    "Subsampling2D": subsampling2d,
    "ZeroPadding2D": zero_padding2d,
}


# --- the file -------------------------------------------------------------------------------------


def export_onnx(
    path: str | Path,
    layers: Iterable[tuple[Description, Mapping[str, Array]]],
    input_shape: tuple[int, ...],
    classes: int,
    about: Mapping[str, Any],
) -> None:
    """Write layers and a softmax after them as an ONNX file, checked by `onnx` itself; `about`
    becomes its metadata.

    layers: for each its description and its arrays under their short names ("W", "b"), which are
    written as float32.

    Raises ImportError without the package `onnx`; ValueError for a layer that has no operators
    here, or for 2 GB of weights; OSError if the file cannot be written, and the old one is kept.
    """
    graph = _graph_of(layers, len(input_shape))
    try:
        import onnx  # noqa: PLC0415 -- optional
    except ImportError as error:
        raise ImportError(
            "expected the package onnx, which writes ONNX files; it is not installed: "
            "pip install onnx, or this library with its extra: pip install -e '.[onnx]'"
        ) from error
    model = onnx.helper.make_model(
        onnx.helper.make_graph(
            [
                onnx.helper.make_node(operator, inputs, [output], output, **attributes)
                for operator, inputs, output, attributes in graph.nodes
            ],
            about.get("recipe", "network"),
            [_tensor(onnx, "images", ("n", *input_shape))],
            [_tensor(onnx, "probabilities", ("n", classes))],
            [
                onnx.numpy_helper.from_array(_as_onnx_counts(array), name)
                for name, array in graph.constants.items()
            ],
        ),
        producer_name="digits-from-scratch",
        opset_imports=[onnx.helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        doc_string="Pixels from 0 (paper) to 1 (ink), a row for each image; probabilities of the "
        "classes, a column for each.",
    )
    onnx.helper.set_model_props(model, {name: str(value) for name, value in about.items()})
    onnx.checker.check_model(model, full_check=True)
    write_file(path, model.SerializeToString())


def _graph_of(layers: Iterable[tuple[Description, Mapping[str, Array]]], rank: int) -> Graph:
    graph = Graph(rank)
    for layer, arrays in layers:
        if layer["class"] not in OPERATORS:
            raise ValueError(
                f"expected layers among {', '.join(OPERATORS)}; received {layer['class']}: "
                "give it operators in the table of digits/files/onnx.py"
            )
        graph.layer = layer["name"]
        OPERATORS[layer["class"]](graph, layer, arrays)
    graph.layer = "network"
    activate(graph, "softmax")  # what it gives is what the file promises, so it gets that name
    operator, inputs, _, attributes = graph.nodes.pop()
    graph.nodes.append((operator, inputs, "probabilities", attributes))

    size = sum(array.size * 4 for array in graph.constants.values())
    if size > LARGEST:
        raise ValueError(
            f"expected weights of at most {LARGEST:,} bytes in float32, as an ONNX file cannot be "
            f"larger; received {size:,}: use a smaller network"
        )
    return graph


def _tensor(onnx: Any, name: str, shape: tuple[int | str, ...]) -> Any:
    return onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)


def _as_onnx_counts(array: Array) -> Array:
    """float32 for numbers that are computed with, int64 for shapes."""
    dtype = np.float32 if array.dtype.kind == "f" else np.int64
    return np.ascontiguousarray(array, dtype).reshape(array.shape)
