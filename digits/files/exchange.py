"""Weights to and from Keras and PyTorch, as NumPy arrays, so that neither of them is needed here.
They have the same weights as this library, under other names and with the axes in another order.

Keras lists arrays layer by layer (`get_weights()`, `set_weights()`), with the axes of this library.
PyTorch names them (`state_dict()`, `load_state_dict()`), and has the outputs of a layer before its
inputs and the channels of an image before its rows.

The other network has to be built from the same layers in the same order, with the same padding,
activations and epsilons, and to be shown the same pixels.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from digits.nn.network import LayerArrays, Network
from digits.types import Array, Shape
from digits.validation import check

NAMES = {
    "W": ("kernel", "weight"),
    "b": ("bias", "bias"),
    "gamma": ("gamma", "weight"),
    "beta": ("beta", "bias"),
    "moving_mean": ("moving_mean", "running_mean"),
    "moving_variance": ("moving_variance", "running_var"),
}
"""Of our arrays: what Keras calls them, and PyTorch."""

TORCH_COUNTER = "num_batches_tracked"
"""An array of PyTorch's batch normalization that is not needed to predict."""


class WeightView(NamedTuple):
    """An array of the other library in our memory. One view serves import and export, so the two
    cannot disagree.
    """

    name: str
    """Layer and array in the other's words: "dense_1.kernel", "dense_1.weight"."""
    view: Array
    """Our array with its axes in the other's order."""
    shape: Shape
    """That of the other's array, in which some of these axes may be one."""


# --- Keras ----------------------------------------------------------------------------------------


def to_keras(network: Network) -> list[Array]:
    """Copies of the arrays, in the order in which `set_weights` of a Keras model takes them.

    Raises ValueError if a layer has weights and no counterpart in Keras.
    """
    return [_copy(view) for view in _keras_views(network)]


def from_keras(network: Network, weights: Sequence[ArrayLike]) -> None:
    """Put into `network` what `get_weights()` of a Keras model gave.

    Raises ValueError, and changes nothing, unless number and shapes are as expected and all numbers
    finite; or if a layer has weights and no counterpart in Keras.
    """
    _fill(_keras_views(network), {f"number {i}": array for i, array in enumerate(weights)})


def _keras_views(network: Network) -> list[WeightView]:
    return [
        WeightView(f"{layer.name}.{NAMES[name][0]}", array, array.shape)
        for layer, _ in _layers_with_arrays(network, "Keras")
        for name, array in layer.arrays.items()
    ]


# --- PyTorch --------------------------------------------------------------------------------------


def to_torch(network: Network, names: Iterable[str] | None = None) -> dict[str, Array]:
    """Copies of the arrays under the names that `load_state_dict` of a PyTorch model expects, once
    they are tensors.

    names: those of the model, `model.state_dict()`, whose layers are in our order; without them,
    those of `network.summary()`: "conv2d.weight", "dense_1.bias".

    Raises ValueError if the names do not fit the arrays, or if a layer has weights and no
    counterpart in PyTorch.
    """
    views = _torch_views(network)
    names = [view.name for view in views] if names is None else _without_counters(names)
    _check_names(views, names)
    return {name: _copy(view) for name, view in zip(names, views, strict=True)}


def from_torch(network: Network, state_dict: Mapping[str, ArrayLike]) -> None:
    """Put into `network` what `state_dict()` of a PyTorch model gave, whose layers are in our
    order: arrays, or tensors on the processor.

    Raises ValueError, and changes nothing, unless names and shapes are as expected and all numbers
    finite; or if a layer has weights and no counterpart in PyTorch.
    """
    views, names = _torch_views(network), _without_counters(state_dict)
    _check_names(views, names)
    _fill(views, {name: state_dict[name] for name in names})


def _torch_views(network: Network) -> list[WeightView]:
    return [
        WeightView(f"{layer.name}.{NAMES[name][1]}", *_torch_axes(name, array, row))
        for layer, row in _layers_with_arrays(network, "PyTorch")
        for name, array in layer.arrays.items()
    ]


def _torch_axes(name: str, array: Array, row: Shape) -> tuple[Array, Shape]:
    """A view of the array with its axes in PyTorch's order, and the shape it has there.

    A flattened image is a row of numbers: here pixel by pixel, there channel by channel. So the
    weights of a layer that takes such rows are in another order, too.
    """
    if array.ndim == 4:  # of a convolution: (height, width, channels, filters)
        view = array.transpose(3, 2, 0, 1)
        return view, view.shape
    if name == "b" or not row:
        return array, array.shape
    # Of a layer that takes rows: W of Dense, (inputs, units), or batch normalization's (inputs,).
    view = array.reshape(*row, *array.shape[1:])
    if len(row) == 3:  # from (height, width, channels) to (channels, height, width)
        view = np.moveaxis(view, 2, 0)
    if array.ndim == 2:  # from (inputs, units) to (units, inputs)
        view = np.moveaxis(view, -1, 0)
    return view, array.shape[::-1]


def _without_counters(names: Iterable[str]) -> list[str]:
    return [name for name in names if not name.endswith(TORCH_COUNTER)]


def _check_names(views: Sequence[WeightView], names: Sequence[str]) -> None:
    _check_number(views, names)
    for view, name in zip(views, names, strict=True):
        kind = view.name.rpartition(".")[2]
        check(
            name.rpartition(".")[2] == kind,
            f"a {kind} for {view.name}",
            name,
            "define the layers of the PyTorch model in the order in which they are used",
        )


# --- both -----------------------------------------------------------------------------------------


def _layers_with_arrays(network: Network, other: str) -> Iterator[tuple[LayerArrays, Shape]]:
    """The layers that have arrays, each with the shape that the row it takes had before it was
    flattened, (4, 4, 50) or (784,); () if it takes images.
    """
    layers = network.layer_arrays()
    shape = layers[0].input_shape
    for layer in layers:
        kind = layer.config["class"]
        if layer.arrays:
            table = layer.config.get("connections") is not None
            check(
                kind in ("Dense", "Conv2D", "BatchNormalization") and not table,
                f"weights of layers that {other} has as well (Dense, BatchNormalization, Conv2D "
                "without connections)",
                layer.name,
                "use export_onnx for this network",
            )
            yield layer, shape if len(layer.input_shape) == 1 else ()
        if kind == "Reshape" and other == "PyTorch" and len(layer.output_shape) == 3:
            check(  # PyTorch would make other images of the same row
                layer.output_shape[2] == 1,
                f"images of one channel to be made of rows by {layer.name}",
                layer.output_shape,
                "begin with Input(...) of this shape",
            )
        if kind == "Dense" or len(layer.output_shape) > 1:  # others only pass a row on
            shape = layer.output_shape


def _copy(view: WeightView) -> Array:
    return view.view.reshape(view.shape).copy()


def _fill(views: Sequence[WeightView], values: Mapping[str, ArrayLike]) -> None:
    """Write all values, once all are known to be right."""
    _check_number(views, list(values))
    arrays = [np.asarray(value) for value in values.values()]
    for view, name, array in zip(views, values, arrays, strict=True):
        expected = f"{name} of shape {view.shape} for {view.name}"
        check(array.shape == view.shape, expected, array.shape)
        finite = array.dtype.kind in "fiu" and np.isfinite(array).all()
        check(finite, f"finite numbers for {view.name}", name)
        if view.name.endswith(("moving_variance", "running_var")):
            check((array >= 0).all(), f"variances of at least 0 for {view.name}", name)
    for view, array in zip(views, arrays, strict=True):
        view.view[...] = array.reshape(view.view.shape)


def _check_number(views: Sequence[WeightView], names: Sequence[str]) -> None:
    expected = f"{len(views)} arrays, {', '.join(view.name for view in views)}"
    check(len(names) == len(views), expected, list(names))
