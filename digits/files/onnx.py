"""A network as an ONNX file, which runs where this library does not: in browsers, on phones, from
C++. ONNX describes networks as graphs of operators (https://onnx.ai/onnx/operators).

A graph takes `images`, float32 (n, 784) with pixels from 0 to 1, or (n, *shape) after an `Input` of
that shape, for any n, and gives `probabilities`, float32 (n, classes), or whatever its outputs are.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from digits.files.atomic import write_file
from digits.nn.convolution import full_kernel
from digits.nn.network import LayerArrays, Network
from digits.types import Array
from digits.validation import check
from functions import LEAKY_SLOPE, TANH_AMPLITUDE, TANH_STEEPNESS

OPSET, IR_VERSION = 17, 8
"""Versions of the operators and of the file, of 2022: runtimes since then read them."""

MAX_SIZE = 2**31 - 1
"""Bytes in an ONNX file, which counts them in 32 bits."""


def export_onnx(network: Network, path: str | Path) -> None:
    """Write a network, from pixels to probabilities, as an ONNX file that `onnx` has checked.

    Weights are written as float32; the network's `metadata` goes with them.

    Raises
    ------
    ImportError : the package `onnx` is not installed.
    ValueError : a layer has no ONNX operators here, the weights take 2 GB, or the file would not
        be called .onnx.
    WriteError : the file cannot be written; an older one is kept.
    """
    check(Path(path).suffix.lower() == ".onnx", "a name ending in .onnx", str(path))
    layers = network.layer_arrays()
    graph = _graph_of(layers, network.output_activation)
    try:
        import onnx  # noqa: PLC0415  optional
    except ImportError as error:
        missing = "expected the package onnx, which writes ONNX files; it is not installed"
        advice = "pip install onnx, or this library with its extra `onnx`"
        raise ImportError(f"{missing}: {advice}") from error
    make, real = onnx.helper, onnx.TensorProto.FLOAT
    nodes = [make.make_node(**node) for node in graph.nodes]
    name = network.metadata.get("recipe", "network")
    x = make.make_tensor_value_info("images", real, ("n", *layers[0].input_shape))
    y = make.make_tensor_value_info("probabilities", real, ("n", *layers[-1].output_shape))
    weights = [onnx.numpy_helper.from_array(array, key) for key, array in graph.constants.items()]
    model = make.make_model(
        make.make_graph(nodes, name, [x], [y], weights),
        producer_name="digits-from-scratch",
        opset_imports=[make.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        doc_string="Pixels from 0 (paper) to 1 (ink), a row for each image; probabilities of the "
        "classes, a column for each.",
    )
    make.set_model_props(model, {name: str(value) for name, value in network.metadata.items()})
    onnx.checker.check_model(model, full_check=True)
    write_file(path, model.SerializeToString())


class Graph:
    """The operators so far; the next one takes `tensor`, what the latest of them gives.

    Samples are rows of numbers (rank 1) or images (rank 3). Images are stored as in this library,
    (n, height, width, channels), or as ONNX's convolutions want them, (n, channels, height, width);
    they are transposed when a layer needs them otherwise than the layer before.
    """

    def __init__(self, rank: int) -> None:
        self.nodes: list[dict[str, Any]] = []
        self.constants: dict[str, Array] = {}
        self.tensor, self.rank, self.channels_first = "images", rank, False
        self.layer = ""

    def add(
        self, operator: str, constants: Mapping[str, Array] | None = None, **attributes: Any
    ) -> None:
        """Append operator(tensor, *constants); names begin with that of the layer."""
        inputs = [self.tensor]
        for name, array in (constants or {}).items():
            dtype = np.float32 if array.dtype.kind == "f" else np.int64  # int64 for shapes
            inputs.append(f"{self.layer}.{name}")
            self.constants[inputs[-1]] = np.ascontiguousarray(array, dtype).reshape(array.shape)
        self.tensor = f"{self.layer}.{operator}_{len(self.nodes)}"
        node = {"op_type": operator, "inputs": inputs, "outputs": [self.tensor]}
        self.nodes.append({**node, "name": self.tensor, **attributes})

    def to_channels_first(self) -> None:
        if self.rank > 1 and not self.channels_first:
            self.add("Transpose", perm=[0, self.rank, *range(1, self.rank)])
        self.channels_first = True

    def to_channels_last(self) -> None:
        if self.rank > 1 and self.channels_first:
            self.add("Transpose", perm=[0, *range(2, self.rank + 1), 1])
        self.channels_first = False


def _graph_of(layers: list[LayerArrays], activation: str) -> Graph:
    size = 4 * sum(array.size for layer in layers for array in layer.arrays.values())
    limit = f"weights of at most {MAX_SIZE:,} bytes in float32, as an ONNX file can hold"
    check(size <= MAX_SIZE, limit, f"{size:,}", "use a smaller network")
    graph = Graph(len(layers[0].input_shape))
    for layer in layers:
        graph.layer = layer.name
        _add_layer(graph, layer.config, layer.arrays)
    graph.layer = "network"
    _add_activation(graph, activation)
    graph.nodes[-1] |= {"outputs": ["probabilities"], "name": "probabilities"}
    return graph


def _add_layer(  # noqa: PLR0912  a table with an entry for each layer
    graph: Graph, config: Mapping[str, Any], arrays: Mapping[str, Array]
) -> None:
    """What a layer does when it predicts. An operator knows its inputs by their order: `arrays`
    come in it already, W before b, and gamma, beta, mean, variance.
    """
    match config["class"]:
        case "Dropout":
            pass  # active in training only
        case "Activation":
            _add_activation(graph, config["activation"])
        case "Dense":
            graph.add("Gemm", arrays)  # x W + b
            _add_activation(graph, config["activation"])
        case "Maxout":
            graph.add("Gemm", arrays)
            graph.add("Reshape", {"shape": np.array([0, config["units"], config["pieces"]])})
            graph.add("ReduceMax", axes=[2], keepdims=0)
        case "Conv2D":
            W = full_kernel(arrays["W"], config["connections"])
            graph.to_channels_first()
            graph.add("Conv", {**arrays, "W": W.transpose(3, 2, 0, 1)}, **_strides(config))
            _add_activation(graph, config["activation"])
        case "MaxPooling2D" | "AveragePooling2D" as kind:
            graph.to_channels_first()
            operator = kind.removesuffix("ing2D")  # MaxPool, AveragePool
            graph.add(operator, kernel_shape=config["pool_size"], **_strides(config))
        case "Subsampling2D":
            graph.to_channels_first()
            pool = config["pool_size"]
            graph.add("AveragePool", kernel_shape=pool, strides=pool, auto_pad="VALID")
            for operator, name in (("Mul", "coefficient"), ("Add", "b")):
                graph.add(operator, {name: arrays[name].reshape(-1, 1, 1)})  # one per channel
            _add_activation(graph, config["activation"])
        case "ZeroPadding2D":
            graph.to_channels_first()
            padding = [0, 0, *config["padding"]]  # of n, channels, height, width, on both sides
            graph.add("Pad", {"padding": np.array([*padding, *padding])})
        case "BatchNormalization":
            graph.to_channels_first()
            graph.add("BatchNormalization", arrays, epsilon=config["epsilon"])
        case "Normalization":
            graph.to_channels_last()
            graph.add("Sub", {"mean": np.array(config["mean"])})
            graph.add("Div", {"deviation": np.sqrt(config["variance"])})
        case "Rescaling":
            graph.add("Mul", {"scale": np.array(config["scale"])})
            graph.add("Add", {"offset": np.array(config["offset"])})
        case "Reshape" | "Flatten":
            graph.to_channels_last()  # numbers are counted in this library's order
            shape = config.get("target_shape", [-1])
            graph.add("Reshape", {"shape": np.array([0, *shape])})  # 0: the number of samples
            graph.rank = len(shape)
        case other:
            advice = "use layers of this library for a network to export"
            check(False, "layers that have ONNX operators here", other, advice)


def _add_activation(graph: Graph, name: str) -> None:
    match name:
        case "linear":
            pass
        case "sigmoid" | "tanh" | "relu":
            graph.add(name.capitalize())
        case "scaled_tanh":
            graph.add("Mul", {"inner": np.array(TANH_STEEPNESS)})
            graph.add("Tanh")
            graph.add("Mul", {"outer": np.array(TANH_AMPLITUDE)})
        case "leaky_relu":
            graph.add("LeakyRelu", alpha=LEAKY_SLOPE)
        case "elu":
            graph.add("Elu", alpha=1.0)
        case "softmax":
            graph.add("Softmax", axis=1 if graph.channels_first else -1)
        case other:
            check(False, "an activation that has ONNX operators here", other)


def _strides(config: Mapping[str, Any]) -> dict[str, Any]:
    """How a kernel moves over the images; with SAME_UPPER an odd pixel of padding is the last."""
    padding = {"same": "SAME_UPPER", "valid": "VALID"}[config["padding"]]
    return {"strides": config["strides"], "auto_pad": padding}
