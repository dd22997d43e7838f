"""A network as a stack of layers: what one gives, the next one takes, and the slopes go back the
same way.  It keeps the contract of `digits.nn.network.Network`, as `TwoLayerNet` does.

>>> from digits.nn.layers import Dense
>>> network = Sequential([Dense(300, activation="relu"), Dense(100, activation="relu"), Dense(10)])
>>> network.params.flat.size
266610
"""

import copy
import math
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from digits.compute.memory import keep_freed_memory
from digits.compute.threads import single_threaded_blas
from digits.nn.layers import Activation, Dense, Layer
from digits.nn.network import LayerArrays, NetworkMixin
from digits.nn.parameters import Parameters
from digits.types import Array, Shape
from digits.validation import check, positive_int
from functions import (
    accuracy,
    numerical_gradient,
    require_finite,
    softmax,
    softmax_cross_entropy,
    softmax_cross_entropy_with_grad,
    softmax_grad,
    squared_error,
    squared_error_grad,
    to_inputs,
    to_one_hot,
    without_warnings,
)

keep_freed_memory()  # once, for all the networks to come

LOSSES = ("cross_entropy", "squared_error")

PIECE = 250
"""Images that `predict` takes at a time, so that the memory it needs does not grow with their
number."""

MOST_OUTPUTS = 2**22
"""Numbers that a layer may make of one image.  More is a mistake, or a file that means harm."""


class Input:
    """The shape of one input, as the first entry of a stack; without it inputs are 784 pixels."""

    def __init__(self, shape: Sequence[int]) -> None:
        sizes = shape if isinstance(shape, tuple | list) else (shape,)
        self.shape = tuple(positive_int(size, "a size in the shape of an input") for size in sizes)
        check(len(self.shape) > 0, "a shape of at least one size", shape)


class Sequential(NetworkMixin):
    """A stack of layers that ends in probabilities.

    Inputs are floats (n, 784), or (n, *shape) after `Input(shape)`; answers t are class indices
    (n,) or one-hot (n, classes).  The last layer gives a score for each class and the network
    itself takes their softmax; a softmax at the end of `layers` is understood as that one.

    loss: "cross_entropy", or "squared_error" of the probabilities.
    label_smoothing: share of the cross-entropy's answer that is spread over all classes.

    Raises ValueError if a layer cannot take what the one before it gives, for a wrong shape or
    label or a pixel that is not finite; TypeError for integer pixels.  Weights too large for their
    type give a loss that is inf or nan, and no warning.
    """

    def __init__(
        self,
        layers: Sequence[Layer | Input],
        *,
        loss: str = "cross_entropy",
        label_smoothing: float = 0.0,
        rng: np.random.Generator | None = None,
        dtype: DTypeLike = np.float32,
        initialize: bool = True,
    ) -> None:
        if loss not in LOSSES:
            raise ValueError(f"expected a loss among {', '.join(LOSSES)}; received {loss!r}")
        check(0 <= label_smoothing < 1, "a label_smoothing in [0, 1)", label_smoothing)
        self.loss_name, self.label_smoothing = loss, label_smoothing
        self.rng = np.random.default_rng() if rng is None else rng
        self.input_shape, self.layers = _built(layers)
        self.classes = self.layers[-1].output_shape[0]
        names = _names(self.layers)
        self.params = Parameters(_shapes(names, "weight_shapes"), dtype)
        self.buffers = Parameters(_shapes(names, "buffer_shapes"), dtype)
        self.grads = self.params.zeros_like()
        self.metadata: dict[str, Any] = {}
        # Threads of ours and NumPy's own would stand in each other's way.
        shared = any(layer.shares_work for layer in self.layers)
        self._products = single_threaded_blas if shared else nullcontext

        # The first layer with weights, where `backward` may end.
        self.first = next((i for i, layer in enumerate(self.layers) if layer.weight_shapes), 0)
        for i, (layer, own) in enumerate(names):
            layer.needs_dx = i > self.first
            layer.bind(
                {name: self.params[own[name]] for name in layer.weight_shapes},
                {name: self.grads[own[name]] for name in layer.weight_shapes},
                {name: self.buffers[own[name]] for name in layer.buffer_shapes},
                self.rng,
                self.params.dtype,
            )
            if initialize:
                layer.initialize()

    # --- the contract -----------------------------------------------------------------------------

    @without_warnings
    def predict(self, x: ArrayLike) -> Array:
        """Probabilities (n, classes); each row sums to 1."""
        return softmax(self._all_scores(x))

    def predict_classes(self, x: ArrayLike) -> NDArray[np.intp]:
        """The most probable class of each sample, (n,)."""
        return np.argmax(self._all_scores(x), axis=1)

    @without_warnings
    def loss(self, x: ArrayLike, t: ArrayLike, training: bool = False) -> float:
        """Mean loss over the samples; with `training`, dropout and batch statistics are at work."""
        scores = self._scores(self._inputs(x), training) if training else self._all_scores(x)
        return self._loss(scores, t)

    def accuracy(self, x: ArrayLike, t: ArrayLike) -> float:
        """Share of the samples, 0 to 1, whose most probable class is the right one."""
        return accuracy(self._all_scores(x), t)

    def gradient(self, x: ArrayLike, t: ArrayLike, training: bool = False) -> Parameters:
        """Gradient of `loss` by backpropagation, under the names of `params`."""
        return self.loss_and_gradient(self._inputs(x), t, training)[1].copy()

    @without_warnings
    def loss_and_gradient(
        self, x: ArrayLike, t: ArrayLike, training: bool = True
    ) -> tuple[float, Parameters]:
        """Both from one forward pass; the next call overwrites the gradient."""
        x = self._inputs(x, finite=False)
        with self._products():
            scores = self._scores(x, training)
            loss, dy = self._loss_and_slope(scores, t)
            if not math.isfinite(loss):
                require_finite(x)  # only now that something is wrong, as it takes time
            for layer in reversed(self.layers[self.first :]):
                slope = layer.backward(dy)
                if slope is not None:  # as it may be for the last of them, self.first
                    dy = slope
        return loss, self.grads

    def numerical_gradient(self, x: ArrayLike, t: ArrayLike) -> Parameters:
        """The same gradient by central differences, in float64: two forward passes a weight."""
        network = self.astype(np.float64)
        grads = network.params.zeros_like()
        for name, array in network.params.items():
            grads[name] = numerical_gradient(lambda _: network.loss(x, t), array)
        return grads

    def _inputs(self, x: ArrayLike, finite: bool = True) -> Array:
        """Inputs in the shape that the first layer takes; rows of as many numbers are welcome."""
        x, size = np.asarray(x), math.prod(self.input_shape)
        if x.shape[1:] == self.input_shape:
            x = x.reshape(len(x), size)
        elif len(self.input_shape) > 1 and x.shape[1:] != (size,):
            raise ValueError(
                f"expected inputs of shape {('n', *self.input_shape)} or (n, {size}); "
                f"received shape {x.shape}"
            )
        x = to_inputs(x, size, self.params.dtype, finite=finite)
        return x.reshape(len(x), *self.input_shape)

    def _scores(self, x: Array, training: bool) -> Array:
        for layer in self.layers:
            x = layer.forward(x, training)
        return x

    @without_warnings
    def _all_scores(self, x: ArrayLike) -> Array:
        x = self._inputs(x)
        scores = np.empty((len(x), self.classes), self.params.dtype)
        with self._products():
            for start in range(0, len(x), PIECE):
                piece = slice(start, start + PIECE)
                scores[piece] = self._scores(x[piece], training=False)
        return scores

    def _loss(self, scores: Array, t: ArrayLike) -> float:
        if self.loss_name == "cross_entropy":
            return softmax_cross_entropy(scores, t, self.label_smoothing)
        return squared_error(softmax(scores), to_one_hot(t, self.classes, scores.dtype))

    def _loss_and_slope(self, scores: Array, t: ArrayLike) -> tuple[float, Array]:
        if self.loss_name == "cross_entropy":
            return softmax_cross_entropy_with_grad(scores, t, self.label_smoothing)
        dy = squared_error_grad(softmax(scores), to_one_hot(t, self.classes, scores.dtype))
        return self._loss(scores, t), softmax_grad(scores, dy)

    # --- looking inside ---------------------------------------------------------------------------

    @without_warnings
    def activations(self, x: ArrayLike) -> list[tuple[str, Array]]:
        """What each layer makes of x: pairs of its name in `summary` and its outputs."""
        y, outputs = self._inputs(x), []
        for name, layer in zip(layer_names(self.layers), self.layers, strict=True):
            y = layer.forward(y)
            outputs.append((name, y))
        return outputs

    # --- copies and files -------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """The architecture in plain values, enough to build it again."""
        layers = [{"class": type(layer).__name__, **layer.get_config()} for layer in self.layers]
        return {
            "class": "Sequential",
            "input_shape": list(self.input_shape),
            "loss": self.loss_name,
            "label_smoothing": self.label_smoothing,
            "layers": layers,
        }

    def astype(self, dtype: DTypeLike) -> Self:
        """A copy with weights and arithmetic in another type: float32 trains, float64 checks."""
        layers = [type(layer)(**layer.get_config()) for layer in self.layers]
        network = type(self)(
            [Input(self.input_shape), *layers],
            loss=self.loss_name,
            label_smoothing=self.label_smoothing,
            rng=copy.deepcopy(self.rng),
            dtype=dtype,
            initialize=False,
        )
        network.params.flat[...], network.buffers.flat[...] = self.params.flat, self.buffers.flat
        network.metadata = dict(self.metadata)
        return network

    def layer_arrays(self) -> list[LayerArrays]:
        """Each layer with its configuration and its arrays, which are the network's own."""
        return [
            LayerArrays(
                name,
                {"class": type(layer).__name__, **layer.get_config()},
                {**layer.weights, **layer.buffers},
                layer.input_shape,
                layer.output_shape,
            )
            for name, layer in zip(layer_names(self.layers), self.layers, strict=True)
        ]


# --- assembling -----------------------------------------------------------------------------------


def _built(entries: Sequence[Layer | Input]) -> tuple[Shape, list[Layer]]:
    """The input shape, and the layers, each told the shape that the one before it gives."""
    entries = list(entries)
    shape: Shape = (784,)
    if entries and isinstance(entries[0], Input):
        shape = entries[0].shape
        entries = entries[1:]
    layers = [entry for entry in entries if isinstance(entry, Layer)]
    if not layers or len(layers) != len(entries):
        strange = [entry for entry in entries if not isinstance(entry, Layer)]
        raise ValueError(f"expected a list of layers, at least one; received {strange or entries}")
    if len(set(map(id, layers))) != len(layers):
        raise ValueError("expected different layers; received the same one twice: make a second")
    input_shape = shape
    for layer in layers:
        layer.require_free()
    for layer in layers:
        layer.build(shape)
        shape = layer.output_shape
        check(len(shape) < 64, "outputs of at most 63 dimensions, NumPy's limit", len(shape))
        if math.prod(shape) > MOST_OUTPUTS:
            raise ValueError(
                f"expected layers of at most {MOST_OUTPUTS:,} outputs; received a "
                f"{type(layer).__name__} of {shape}, which would take "
                f"{4 * PIECE * math.prod(shape) / 1e9:,.1f} GB for {PIECE} images: make it smaller"
            )
    if len(shape) != 1:
        raise ValueError(
            f"expected a last layer that gives one score for each class; received {shape}: "
            "end with Flatten() and Dense(10)"
        )
    last = layers[-1]
    if isinstance(last, Dense | Activation) and last.activation == "softmax":
        last.activation = "linear"  # the network takes the softmax itself, together with the loss
    return input_shape, layers


def array_shapes(entries: Sequence[Layer | Input]) -> dict[str, Shape]:
    """The full names and shapes of the arrays that a stack would have; no array is made."""
    names = _names(_built(entries)[1])
    return _shapes(names, "weight_shapes") | _shapes(names, "buffer_shapes")


def _names(layers: Sequence[Layer]) -> list[tuple[Layer, dict[str, str]]]:
    """Each layer with the full names of its arrays, {"W": "W1", "b": "b1"}: only layers that have
    arrays are counted.
    """
    named, number = [], 0
    for layer in layers:
        own = (*layer.weight_shapes, *layer.buffer_shapes)
        number += bool(own)
        named.append((layer, {name: f"{name}{number}" for name in own}))
    return named


def _shapes(named: list[tuple[Layer, dict[str, str]]], kind: str) -> dict[str, Shape]:
    """All full names with their shapes; kind: "weight_shapes" or "buffer_shapes"."""
    return {
        own[name]: shape for layer, own in named for name, shape in getattr(layer, kind).items()
    }


def layer_names(layers: Sequence[Layer]) -> Iterator[str]:
    """Names as Keras gives them: dense, dense_1, conv2d, max_pooling2d, ..."""
    seen: dict[str, int] = {}
    for layer in layers:
        kind = type(layer).__name__
        words = "".join(f"_{c.lower()}" if c.isupper() else c for c in kind).lstrip("_")
        words = words.replace("2_d", "2d")  # max_pooling2_d
        count = seen[words] = seen.get(words, -1) + 1
        yield words if count == 0 else f"{words}_{count}"
