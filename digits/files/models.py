"""Every kind of network as a file, which holds the architecture as plain values and the weights as
arrays. Nothing in it is executed.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from digits.files.npz import StorageError, check_arrays, load_arrays, require, save_arrays
from digits.nn import convolution, layers, pooling
from digits.nn.geometry import KernelLayer
from digits.nn.layer import ActivatedLayer, Layer
from digits.nn.network import Network
from digits.nn.output import loss_from_config
from digits.nn.sequential import Input, Sequential, array_shapes
from digits.types import Shape
from digits.validation import check
from two_layer_net import TwoLayerNet

L = TypeVar("L", bound=type[Layer])

BASE_CLASSES = (ActivatedLayer, KernelLayer, Layer, pooling.Pooling)

LAYERS: dict[str, type[Layer]] = {
    name: value
    for module in (convolution, layers, pooling)
    for name, value in vars(module).items()
    if isinstance(value, type) and issubclass(value, Layer) and value not in BASE_CLASSES
}
"""The layers that a model file may name: those of this library, and those that were registered."""

FOREIGN_SUFFIXES = (".h5", ".hdf5", ".joblib", ".keras", ".onnx", ".pickle", ".pkl", ".pt", ".pth")
"""Names under which other programs would take a file for one of their own."""


def register_layer(layer: L) -> L:
    """Let model files name a layer class of your own, so that networks with it can be loaded. It
    can be used as a decorator; `get_config` of the class must give the arguments that build it.

    Raises ValueError if it is no layer, or if another layer of this library has its name.
    """
    check(isinstance(layer, type) and issubclass(layer, Layer), "a class derived from Layer", layer)
    known = LAYERS.get(layer.__name__, layer)
    free = known is layer or not known.__module__.startswith("digits.")
    check(free, "a name that no layer of this library has", layer.__name__, "rename the class")
    LAYERS[layer.__name__] = layer
    return layer


def save_model(network: Network, path: str | Path) -> None:
    """Write weights, buffers, architecture and `metadata` to a `.npz` file, all at once.

    Raises ValueError for a name that belongs to another format, WriteError (an OSError) if the file
    cannot be written; an older one is then untouched.
    """
    ours = Path(path).suffix.lower() not in FOREIGN_SUFFIXES
    advice = "other formats are written by export_onnx, and by models of digits.keras"
    check(ours, "a name ending in .npz, which is NumPy's format", str(path), advice)
    header = {"network": network.get_config(), "about": network.metadata}
    save_arrays(path, "model", header, {**network.params, **network.buffers})


def load_model(path: str | Path, kind: type[Network] | None = None) -> Network:
    """Read any network of this library, or only one of the class `kind`.

    Raises FileNotFoundError, or StorageError (a ValueError) that says what is wrong with the file.
    """
    header, arrays = load_arrays(path, "model")
    try:
        build, shapes = _described(header["network"])
        check_arrays(path, arrays, shapes)  # before any array is made
        network = build(dtype=next(iter(arrays.values())).dtype if arrays else np.float32)
    except StorageError:
        raise
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        reason = str(error) if type(error) is ValueError else f"{type(error).__name__}: {error}"
        raise StorageError(f"{path} describes a network that cannot be built: {reason}") from error
    if kind is not None:
        found = f"found a {type(network).__name__}: load_model reads any network"
        require(isinstance(network, kind), f"expected a {kind.__name__} in {path}; {found}")
    for target in (network.params, network.buffers):
        for name in target:
            target[name] = arrays[name]
            negative = name.startswith("moving_variance") and (arrays[name] < 0).any()
            require(not negative, f"{path}: array {name} holds variances below 0")
    network.metadata = header.get("about", {})
    return network


def _described(config: Any) -> tuple[Callable[..., Network], dict[str, Shape]]:
    """What builds the network, and the shapes of its arrays."""
    match config:
        case {"class": "TwoLayerNet", "sizes": [int(i), int(h), int(o)]} if min(i, h, o) > 0:
            shapes: dict[str, Shape] = {"W1": (i, h), "b1": (h,), "W2": (h, o), "b2": (o,)}
            return partial(TwoLayerNet, i, h, o, weight_init_std=0), shapes
        case {"class": "Sequential", "input_shape": shape, "layers": [*configs], "loss": loss}:
            stack: list[Layer | Input] = [Input(shape), *map(_layer, configs)]
            build = partial(Sequential, stack, loss=loss_from_config(loss), initialize=False)
            smoothing = config.get("label_smoothing", 0.0)
            return partial(build, label_smoothing=smoothing), array_shapes(stack)
    raise ValueError(f"expected a TwoLayerNet or a Sequential; found {config!r:.100}")


def _layer(config: dict[str, Any]) -> Layer:
    arguments = dict(config)
    name = arguments.pop("class")
    known = ", ".join(LAYERS)
    check(name in LAYERS, f"layers among {known}", name, "if it is your own, use register_layer")
    return LAYERS[name](**arguments)
