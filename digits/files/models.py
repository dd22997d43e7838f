"""Networks as files: saving and loading every kind of network, and exporting it as ONNX.

A model file holds the architecture as plain values and the weights as arrays (`files.npz`).
Nothing in it is executed: it can only name layers of this library and those that were registered.
"""

from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from digits.files import onnx
from digits.files.npz import StorageError, check_arrays, load_arrays, save_arrays
from digits.nn.convolution import (
    AveragePooling2D,
    Conv2D,
    MaxPooling2D,
    Subsampling2D,
    ZeroPadding2D,
)
from digits.nn.layers import (
    Activation,
    BatchNormalization,
    Dense,
    Dropout,
    Flatten,
    Layer,
    Maxout,
    Normalization,
    Rescaling,
    Reshape,
)
from digits.nn.network import Network
from digits.nn.sequential import LOSSES, Input, Sequential, array_shapes
from digits.types import Array
from two_layer_net import TwoLayerNet

L = TypeVar("L", bound=type[Layer])

LAYERS: dict[str, type[Layer]] = {
    layer.__name__: layer
    for layer in (
        Activation,
        AveragePooling2D,
        BatchNormalization,
        Conv2D,
        Dense,
        Dropout,
        Flatten,
        MaxPooling2D,
        Maxout,
        Normalization,
        Rescaling,
        Reshape,
        Subsampling2D,
        ZeroPadding2D,
    )
}
"""The layers that a model file may name."""


def register_layer(layer: L) -> L:
    """Let model files name a layer class of your own, so that networks with it can be loaded.

    Its `config` must give the arguments that build it again.  Can be used as a decorator.  Raises
    ValueError if the name is that of another layer of this library.
    """
    if not (isinstance(layer, type) and issubclass(layer, Layer)):
        raise ValueError(f"expected a class derived from Layer; received {layer!r}")
    known = LAYERS.get(layer.__name__, layer)
    if known is not layer and known.__module__.startswith("digits."):
        raise ValueError(
            f"expected a name that no layer of this library has; received {layer.__name__}: "
            "rename the class"
        )
    LAYERS[layer.__name__] = layer
    return layer


def save_model(network: Network, path: str | Path) -> None:
    """Write weights, buffers, architecture and `metadata` to a `.npz` file, all at once.

    Raises WriteError (an OSError) if it cannot be written; an older file is then untouched.
    """
    header = {"network": network.get_config(), "about": network.metadata}
    save_arrays(path, "model", header, {**network.params, **network.buffers})


def load_model(path: str | Path, kind: type[Network] | None = None) -> Network:
    """Read any network of this library, or only one of the class `kind`.

    Raises FileNotFoundError, or StorageError (a ValueError) that says what is wrong with the file.
    """
    header, arrays = load_arrays(path, "model")
    config = header["network"] if isinstance(header.get("network"), dict) else {}
    network: Network
    match config.get("class"):
        case "TwoLayerNet":
            network = _two_layer_net(path, config, arrays)
        case "Sequential":
            network = _sequential(path, config, arrays)
        case other:
            raise StorageError(f"expected a TwoLayerNet or a Sequential in {path}; found {other}")
    if kind is not None and not isinstance(network, kind):
        raise StorageError(
            f"expected a {kind.__name__} in {path}; found a {type(network).__name__}: "
            "read it with load_model, which reads any network"
        )
    network.metadata = header.get("about", {})
    return network


def export_onnx(network: Network, path: str | Path) -> None:
    """Write the network, from pixels to probabilities, for other runtimes (docs/exchange.md).

    Raises ImportError without the package `onnx`, ValueError for a layer that has no ONNX form.
    """
    layers = network.layer_arrays()
    described = [({"name": layer.name, **layer.config}, layer.arrays) for layer in layers]
    input_shape, output_shape = layers[0].input_shape, layers[-1].output_shape
    onnx.export_onnx(path, described, input_shape, output_shape[0], network.metadata)


def _two_layer_net(
    path: str | Path, config: dict[str, Any], arrays: dict[str, Array]
) -> TwoLayerNet:
    match config.get("sizes"):
        case [int(i), int(h), int(o)] if min(i, h, o) > 0:
            shapes = {"W1": (i, h), "b1": (h,), "W2": (h, o), "b2": (o,)}
        case other:
            raise StorageError(
                f"expected the three sizes of a TwoLayerNet in {path}; found {other}"
            )
    check_arrays(path, arrays, shapes)
    network = TwoLayerNet(i, h, o, weight_init_std=0, dtype=arrays["W1"].dtype)
    for name, array in arrays.items():
        network.params[name] = array
    return network


def _sequential(path: str | Path, config: dict[str, Any], arrays: dict[str, Array]) -> Sequential:
    try:
        layers: list[Layer | Input] = [Input(config["input_shape"])]
        for description in config["layers"]:
            arguments = dict(description)
            layers.append(LAYERS[arguments.pop("class")](**arguments))
        shapes = array_shapes(layers)  # before any array is made
        loss, smoothing = config["loss"], float(config.get("label_smoothing", 0.0))
        if loss not in LOSSES or not 0 <= smoothing < 1:
            raise ValueError(f"loss {loss!r}, label_smoothing {smoothing}")
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise StorageError(
            f"expected the description of a Sequential in {path}; found one that cannot be built "
            f"({type(error).__name__}: {error}); use another copy"
        ) from error
    check_arrays(path, arrays, shapes)
    dtype = next(iter(arrays.values())).dtype if arrays else np.dtype(np.float32)
    network = Sequential(
        layers, loss=loss, label_smoothing=smoothing, dtype=dtype, initialize=False
    )
    for name in network.params:
        network.params[name] = arrays[name]
    for name in network.buffers:
        if name.startswith("moving_variance") and (arrays[name] < 0).any():
            raise StorageError(f"{path}: array {name} holds variances below 0; use another copy")
        network.buffers[name] = arrays[name]
    return network
