"""Weights to and from Keras and PyTorch, as NumPy arrays, so that neither of them is needed here.
Both have the numbers that this library has; they differ in names, and in the order of axes.

Keras lists arrays layer by layer, as its `get_weights()` and `set_weights()` do, with the axes of
this library.  PyTorch names them ("conv1.weight"), as its `state_dict()` and `load_state_dict()`
do, and has the outputs of a layer before its inputs and the channels of an image before its rows.

Only weights are exchanged.  The other network has to be built from the same layers in the same
order, with the same borders, activations and epsilons, and to be shown the same pixels.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from digits.nn.convolution import Conv2D
from digits.nn.layers import BatchNormalization, Dense, Layer, Reshape
from digits.nn.network import Network
from digits.nn.sequential import Sequential, layer_names
from digits.types import Array, Shape
from two_layer_net import TwoLayerNet

WORDS = {
    "W": ("kernel", "weight"),
    "b": ("bias", "bias"),
    "gamma": ("gamma", "weight"),
    "beta": ("beta", "bias"),
    "moving_mean": ("moving_mean", "running_mean"),
    "moving_variance": ("moving_variance", "running_var"),
}
"""What our arrays are called in Keras, and in PyTorch."""

COUNTER = "num_batches_tracked"
"""What PyTorch's batch normalization has beside its numbers, and nobody needs to predict."""


@dataclass(frozen=True)
class Place:
    """Where an array of the other network stands in ours.  It is taken by writing to `view`, and
    given by reading from it: there are not two translations that could differ.
    """

    name: str
    """Layer and array in the other's words: "dense_1.kernel", "dense_1.weight"."""
    view: Array
    """Our own memory, with its axes in the other's order."""
    shape: Shape
    """That of the other's array, which may have some of these axes as one."""


# --- Keras ----------------------------------------------------------------------------------------


def to_keras(network: Network) -> list[Array]:
    """Copies of the arrays, in the order in which `set_weights` of a Keras model takes them.

    Raises ValueError if a layer has weights and no counterpart in Keras.
    """
    return [_copy(place) for place in _places_in_keras(network)]


def from_keras(network: Network, weights: Sequence[ArrayLike]) -> None:
    """Put into `network` what `get_weights()` of a Keras model gave.

    Raises ValueError, and changes nothing, unless they are as many finite arrays as expected, each
    of the expected shape; or if a layer has weights and no counterpart in Keras.
    """
    _fill(_places_in_keras(network), {f"number {i}": array for i, array in enumerate(weights)})


def _places_in_keras(network: Network) -> list[Place]:
    return [
        Place(f"{title}.{WORDS[name][0]}", array, array.shape)
        for title, arrays, _ in _layers_with_arrays(network, "Keras")
        for name, array in arrays.items()
    ]


# --- PyTorch --------------------------------------------------------------------------------------


def to_torch(network: Network, names: Iterable[str] | None = None) -> dict[str, Array]:
    """Copies of the arrays under the names that `load_state_dict` of a PyTorch model expects, once
    they are tensors.

    names: those of the model, `model.state_dict()`, whose layers are in our order; without them,
    those of `network.summary()`: "conv2d.weight", "dense_1.bias".

    Raises ValueError if there are more or fewer names than arrays, or a weight where a bias should
    be; or if a layer has weights and no counterpart in PyTorch.
    """
    places = _places_in_torch(network)
    names = [place.name for place in places] if names is None else _without_counters(names)
    _check_names(places, names)
    return {name: _copy(place) for name, place in zip(names, places, strict=True)}


def from_torch(network: Network, state_dict: Mapping[str, ArrayLike]) -> None:
    """Put into `network` what `state_dict()` of a PyTorch model gave, whose layers are in our
    order: arrays, or tensors on the processor.

    Raises ValueError, and changes nothing, unless they are as many finite arrays as expected, each
    of the expected kind and shape; or if a layer has weights and no counterpart in PyTorch.
    """
    places, names = _places_in_torch(network), _without_counters(state_dict)
    _check_names(places, names)
    _fill(places, {name: state_dict[name] for name in names})


def _places_in_torch(network: Network) -> list[Place]:
    return [
        Place(f"{title}.{WORDS[name][1]}", *_as_in_torch(name, array, row))
        for title, arrays, row in _layers_with_arrays(network, "PyTorch")
        for name, array in arrays.items()
    ]


def _as_in_torch(name: str, array: Array, row: Shape) -> tuple[Array, Shape]:
    """A view of the array with its axes in PyTorch's order, and the shape it has there.

    An image that was flattened is a row of numbers: here pixel by pixel, there channel by channel.
    So the weights of a layer that takes such rows are in another order, too.
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
    return [name for name in names if not name.endswith(COUNTER)]


def _check_names(places: Sequence[Place], names: Sequence[str]) -> None:
    _check_number(places, names)
    for place, name in zip(places, names, strict=True):
        expected = place.name.rpartition(".")[2]
        if name.rpartition(".")[2] != expected:
            raise ValueError(
                f"expected a {expected} for {place.name}; received {name}: define the layers of "
                "the PyTorch model in the order in which they are used"
            )


# --- both -----------------------------------------------------------------------------------------


def _layers_with_arrays(
    network: Network, other: str
) -> Iterator[tuple[str, dict[str, Array], Shape]]:
    """Title and arrays of the layers that have any.  The shape is that of a row that the layer
    takes, which was an image before it was flattened: (4, 4, 50), or (784,); () if it takes images.
    """
    if isinstance(network, TwoLayerNet):
        W1, b1, W2, b2 = network.params.values()
        yield "dense", {"W": W1, "b": b1}, W1.shape[:1]
        yield "dense_1", {"W": W2, "b": b2}, W2.shape[:1]
        return
    if not isinstance(network, Sequential):
        raise TypeError(
            f"expected a Sequential or a TwoLayerNet; received {type(network).__name__}"
        )
    shape = network.input_shape
    for title, layer in zip(layer_names(network.layers), network.layers, strict=True):
        arrays = {**layer.weights, **layer.buffers}
        if arrays:
            _require_counterpart(title, layer, other)
            yield title, arrays, shape if len(layer.input_shape) == 1 else ()
        if isinstance(layer, Reshape):
            _require_same_pixels(title, layer, other)
        if isinstance(layer, Dense) or len(layer.output_shape) > 1:  # others only pass a row on
            shape = layer.output_shape


def _require_counterpart(title: str, layer: Layer, other: str) -> None:
    table = isinstance(layer, Conv2D) and layer.connections is not None
    if table or not isinstance(layer, Dense | Conv2D | BatchNormalization):
        kind = type(layer).__name__ + (" with a connection table" if table else "")
        raise ValueError(
            f"expected weights of Dense, Conv2D and BatchNormalization, which {other} has as well; "
            f"received {title}, a {kind}: use export_onnx for this network"
        )


def _require_same_pixels(title: str, layer: Reshape, other: str) -> None:
    """PyTorch would make other images of the same row, if they have several channels."""
    if other == "PyTorch" and len(layer.output_shape) == 3 and layer.output_shape[2] > 1:
        raise ValueError(
            f"expected images of one channel to be made of rows; received {title}, to "
            f"{layer.output_shape}, whose pixels {other} would find elsewhere: "
            "begin with Input(...) of this shape"
        )


def _copy(place: Place) -> Array:
    return place.view.reshape(place.shape).copy()


def _fill(places: Sequence[Place], values: Mapping[str, ArrayLike]) -> None:
    """Write all values, once all are known to be right."""
    _check_number(places, list(values))
    arrays = [np.asarray(value) for value in values.values()]
    for place, name, array in zip(places, values, arrays, strict=True):
        if array.shape != place.shape:
            raise ValueError(
                f"expected {place.name} of shape {place.shape}; "
                f"received {name} of shape {array.shape}"
            )
        if array.dtype.kind not in "fiu" or not np.isfinite(array).all():
            raise ValueError(f"expected finite numbers for {place.name}; received others in {name}")
        if place.name.endswith(("moving_variance", "running_var")) and (array < 0).any():
            raise ValueError(
                f"expected variances for {place.name}; received some below 0 in {name}"
            )
    for place, array in zip(places, arrays, strict=True):
        place.view[...] = array.reshape(place.view.shape)


def _check_number(places: Sequence[Place], names: Sequence[str]) -> None:
    if len(names) != len(places):
        raise ValueError(
            f"expected {len(places)} arrays, {', '.join(place.name for place in places)}; "
            f"received {len(names)}: {', '.join(names)}"
        )
