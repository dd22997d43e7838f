"""A network as a stack of layers: the outputs of one are the inputs of the next, and gradients go
back the same way. It keeps the contract of `digits.nn.network.Network`, as `TwoLayerNet` does.

>>> from digits.nn.layers import Dense
>>> network = Sequential([Dense(300, activation="relu"), Dense(100, activation="relu"), Dense(10)])
>>> network.params.flat.size
266610
"""

import math
import threading
from collections.abc import Iterator, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from digits.compute.threads import WORTH_SHARING, adaptive_blas, parallel_for, single_threaded_blas
from digits.nn.fusion import fused
from digits.nn.layer import Layer
from digits.nn.losses import Loss
from digits.nn.network import LayerArrays, Network
from digits.nn.output import cross_entropy, loss_config, make_output
from digits.nn.parameters import Parameters
from digits.types import Array, Shape
from digits.validation import check, generator, positive_int
from functions import require_finite, to_inputs, unmasked, without_warnings

PREDICT_BATCH_SIZE = 250
"""Images that `predict` takes at a time, so that the memory it needs does not grow with their
number; twice as many if all layers are dense."""

MAX_OUTPUTS = 2**22
"""Numbers that a layer may make of one image. More is a mistake, or a file that means harm."""

MAX_RANK = 16
"""Dimensions of one input or output. NumPy's arrays have 64, some of which a layer adds."""


class Input:
    """The shape of one input, as the first entry of a stack; without it inputs are 784 pixels."""

    def __init__(self, shape: int | Sequence[int]) -> None:
        sizes = np.atleast_1d(shape).tolist()
        self.shape = tuple(positive_int(size, "a size in the shape of an input") for size in sizes)
        check(len(self.shape) > 0, "a shape of at least one size", shape)


class Sequential(Network):
    """A stack of layers.

    Inputs are floats (n, 784), or (n, *shape) after `Input(shape)`; targets t are class indices
    (n,) or one-hot (n, classes). The last layer gives a logit for each class and the network itself
    takes their softmax; a softmax at the end of `layers` is understood as that one. Two classes
    need only one output, `Dense(1, activation="sigmoid")`: then predictions are (n, 1).

    loss: "cross_entropy"; "squared_error" of the probabilities; or a loss of `digits.nn.losses` (or
        its name), with which predictions are the outputs of the last layer as they are, and targets
        whatever it takes.
    label_smoothing: fraction of the cross-entropy's target that is spread over all classes.

    Raises ValueError if a layer cannot take what the one before it gives, for a wrong shape or
    label or a pixel that is not finite; TypeError for integer pixels. Weights too large for their
    dtype give a loss that is inf or nan, and no warning.

    Several threads may call `predict`, `loss`, `accuracy` and `gradient` at once. Training, with
    `loss_and_gradient`, is for one thread at a time.
    """

    def __init__(
        self,
        layers: Sequence[Layer | Input] = (),
        *,
        loss: str | Loss = "cross_entropy",
        label_smoothing: float = 0.0,
        rng: np.random.Generator | None = None,
        dtype: DTypeLike = np.float32,
        initialize: bool = True,
    ) -> None:
        self.loss_name, self.label_smoothing = loss, label_smoothing
        self.rng = generator(rng)
        self.input_shape, self.layers = ((784,), []) if layers == () else _built(layers)
        self.params, self.buffers = Parameters({}, dtype), Parameters({}, dtype)
        self.metadata: dict[str, Any] = {}
        self.output = cross_entropy()
        self.unfinished = "expected at least one layer; received none: add(Dense(10))"
        """Why the stack cannot compute before the next `add`; "" once it can."""
        if self.layers:
            self._set_output()
        self._make_arrays()
        if initialize:
            for layer in self.layers:
                layer.initialize()

    def add(self, layer: Layer | Input) -> None:
        """Append a layer, or tell an empty stack the shape of its inputs with `Input`. The layers
        before it keep their weights; the next `fit` begins with a new optimizer.

        >>> network = Sequential()
        >>> network.add(Dense(50, activation="relu"))
        >>> network.add(Dense(10))
        """
        if isinstance(layer, Input):
            check(not self.layers, "Input as the first entry of a stack", "one after layers")
            self.input_shape = layer.shape
            return
        shape = self.layers[-1].output_shape if self.layers else self.input_shape
        _built([Input(shape), layer])
        if self.layers:
            self.layers[-1].gives_logits = False  # it is the last no more
        self.layers.append(layer)
        try:
            self._set_output()
        except ValueError as error:  # it cannot be the last layer, so another one will follow
            self.unfinished = str(error)
        self._make_arrays()
        layer.initialize()
        self.optimizer = None

    def _set_output(self) -> None:
        """Let the network compute what stands behind the last layer."""
        self.output = make_output(self.loss_name, self.label_smoothing, self.layers)
        self.output_activation = self.output.activation.name
        self.classes = self.layers[-1].output_shape[-1]
        self.unfinished = ""

    def _require_finished(self) -> None:
        if self.unfinished:
            raise ValueError(self.unfinished)
        own, advice = "the network's own params", "copy into them: params.flat = other.params.flat"
        check(self.params is self._bound, own, "others in their place", advice)

    def _make_arrays(self) -> None:
        """Make room for the arrays of all layers, and keep the numbers that are there already."""
        before = self.params.flat, self.buffers.flat
        weights, buffers = _array_shapes(self.layers)
        self.params = Parameters(weights, self.params.dtype)
        self.buffers = Parameters(buffers, self.params.dtype)
        self.params.flat[: before[0].size] = before[0]
        self.buffers.flat[: before[1].size] = before[1]
        # The first layer with weights, where `backward` may end.
        self.first = next((i for i, layer in enumerate(self.layers) if layer.weight_shapes), 0)
        self._bind()

    def _bind(self) -> None:
        """Give the layers their views of `params`, of `buffers`, and of new gradients."""
        self.grads, self._bound = self.params.zeros_like(), self.params
        self._gradient_lock = threading.Lock()
        views = (self.params, self.grads, self.buffers)
        params, grads, buffers = (iter(arrays.values()) for arrays in views)
        for i, layer in enumerate(self.layers):
            layer.needs_dx = i > self.first
            layer.bind(
                {name: next(params) for name in layer.weight_shapes},
                {name: next(grads) for name in layer.weight_shapes},
                {name: next(buffers) for name in layer.buffer_shapes},
                self.rng,
                self.params.dtype,
            )
        self._steps = fused(self.layers)  # those before `first` stay: they have no weights
        # Threads of ours and those of BLAS would stand in each other's way.
        shared = any(layer.shares_work for layer in self.layers)
        self._blas = single_threaded_blas if shared else adaptive_blas
        # More rows at a time are faster in dense layers, and take little memory there.
        self._predict_batch_size = (1 if shared else 2) * PREDICT_BATCH_SIZE

    # --- the contract -----------------------------------------------------------------------------

    @without_warnings
    def predict(self, x: ArrayLike) -> Array:
        """Probabilities (n, classes), whose rows sum to 1; the outputs themselves with a Loss."""
        return self.output.predictions(self._all_logits(x))

    def predict_classes(self, x: ArrayLike) -> NDArray[np.intp]:
        """The most probable class of each sample, (n,)."""
        return self.output.classes(self._all_logits(x))

    @without_warnings
    def loss(self, x: ArrayLike, t: ArrayLike, training: bool = False) -> float:
        """Mean loss over the samples; `training` turns on dropout and batch statistics."""
        logits = self._logits(self._inputs(x), training) if training else self._all_logits(x)
        return self.output.loss(logits, t)

    def accuracy(self, x: ArrayLike, t: ArrayLike) -> float:
        """Ratio of the samples, 0 to 1, whose most probable class is that of the target."""
        return self.output.accuracy(self._all_logits(x), t)

    def gradient(self, x: ArrayLike, t: ArrayLike, training: bool = False) -> Parameters:
        """Gradient of `loss` by backpropagation, under the names of `params`."""
        with self._gradient_lock:
            return self.loss_and_gradient(self._inputs(x), t, training)[1].copy()

    @without_warnings
    def loss_and_gradient(
        self, x: ArrayLike, t: ArrayLike, training: bool = True, *, scale: float = 1.0
    ) -> tuple[float, Parameters]:
        """Both from one forward pass, the gradient times `scale`; the next call overwrites it."""
        x = self._inputs(x, finite=False)
        with self._blas:
            logits = self._logits(x, training)
            loss, dy = self.output.loss_and_grad(logits, t)
            if scale != 1:
                dy = dy * scale
            if not math.isfinite(loss):
                require_finite(x)  # only now that something is wrong, as it takes time
            for step in reversed(self._steps[self.first :]):
                dx = step.backward(dy)
                if dx is not None:  # as it may be for the last of them, self.first
                    dy = dx
        return loss, self.grads

    def _inputs(self, x: ArrayLike, finite: bool = True) -> Array:
        """Inputs in the shape that the first layer takes; rows of as many numbers will do, and
        images with or without an axis for their only channel.
        """
        self._require_finished()
        x, shape, size = unmasked(x), self.input_shape, math.prod(self.input_shape)
        if x.ndim > 2:
            given = _squeezed(x.shape[1:])
            images_as_rows = len(shape) == 1 and len(given) == 2 and math.prod(given) == size
            if given == _squeezed(shape) or images_as_rows:
                x = x.reshape(len(x), size)
        if x.ndim > 1 and x.shape[1:] != (size,):  # `to_inputs` refuses what has one dimension
            wanted = f"{('n', *shape)} or (n, {size})" if len(shape) > 1 else f"(n, {size})"
            received = x.shape if x.size == size else ("n", *x.shape[1:])
            text = f"expected inputs of shape {wanted}; received {received}".replace("'", "")
            advice = f"the network has to begin with Input({x.shape[1:]}) for these"
            single = "for a single sample pass x[np.newaxis]"
            if x.ndim == 4 and (*x.shape[2:], x.shape[1]) == shape:
                advice = "channels come last here: pass x.transpose(0, 2, 3, 1)"
            raise ValueError(f"{text}: {single if x.size == size else advice}")
        x = to_inputs(x, size, self.params.dtype, finite=finite)
        return x if len(shape) == 1 else x.reshape(len(x), *shape)

    def _logits(self, x: Array, training: bool) -> Array:
        for step in self._steps:
            x = step.forward(x, training)
        return x

    @without_warnings
    def _all_logits(self, x: ArrayLike) -> Array:
        x = self._inputs(x)
        logits = np.empty((len(x), *self.layers[-1].output_shape), self.params.dtype)
        size = self._predict_batch_size

        def logits_of(part: slice) -> None:
            for start in range(part.start, part.stop, size):
                batch = slice(start, min(start + size, part.stop))
                logits[batch] = self._logits(x[batch], training=False)

        # Several batches are shared among our threads, each with its own; one among those of BLAS.
        with self._blas if len(x) <= size else single_threaded_blas:
            parallel_for(logits_of, len(x), (len(x) - 1) // size * WORTH_SHARING)
        return logits

    # --- looking inside ---------------------------------------------------------------------------

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """A layer by its name in `summary`, "dense_1", or by its number."""
        if index is not None:
            return self.layers[index]
        layers = dict(_named(self.layers))
        check(name in layers, f"a name of a layer, one of {', '.join(layers)}", name)
        return layers[str(name)]

    @without_warnings
    def activations(self, x: ArrayLike) -> list[tuple[str, Array]]:
        """The outputs of each layer for x, with its name in `summary`; the last gives logits."""
        y, outputs = self._inputs(x), []
        for name, layer in _named(self.layers):
            y = layer.forward(y)
            outputs.append((name, y.copy()))
        return outputs

    # --- copies and files -------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """The architecture in plain values, enough to build it again."""
        self._require_finished()
        layers = [{"class": type(layer).__name__, **layer.get_config()} for layer in self.layers]
        return {
            "class": "Sequential",
            "input_shape": list(self.input_shape),
            "loss": loss_config(self.loss_name),
            "label_smoothing": self.label_smoothing,
            "layers": layers,
        }

    def astype(self, dtype: DTypeLike) -> Self:
        """A copy with weights and arithmetic in another dtype: float32 trains, float64 checks."""
        network = super().astype(dtype)
        network._bind()
        return network

    def __getstate__(self) -> dict[str, Any]:
        """What copying and pickling take along: the vectors, not the layers' views of them, which
        would come back as arrays of their own.
        """
        layers = [layer.unbound() for layer in self.layers]
        state = {**self.__dict__, "layers": layers}
        for name in ("grads", "_bound", "_gradient_lock", "_blas", "_steps"):
            del state[name]  # `_bind` makes new ones
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._bind()

    def layer_arrays(self) -> list[LayerArrays]:
        """Each layer with its configuration and its arrays, which are the network's own. A softmax
        that the network computes itself is not part of the last layer here.
        """
        found = []
        for name, layer in _named(self.layers):
            config = {"class": type(layer).__name__, **layer.get_config()}
            if layer.gives_logits:
                config["activation"] = "linear"
            arrays = {**layer.weights, **layer.buffers}
            found.append(LayerArrays(name, config, arrays, layer.input_shape, layer.output_shape))
        return found


# --- assembling -----------------------------------------------------------------------------------


def _built(entries: Sequence[Layer | Input]) -> tuple[Shape, list[Layer]]:
    """The input shape, and the layers, each told the shape that the one before it gives."""
    check(not isinstance(entries, Layer), "a list of layers", entries, "put it into [ ]")
    entries = list(entries)
    shape: Shape = (784,)
    if entries and isinstance(entries[0], Input):
        shape = entries[0].shape
        entries = entries[1:]
    layers = [entry for entry in entries if isinstance(entry, Layer)]
    others = [entry for entry in entries if not isinstance(entry, Layer)]
    check(layers and not others, "a list of layers, at least one", others)
    if len(set(map(id, layers))) != len(layers):
        raise ValueError("expected different layers; received the same one twice: make a second")
    input_shape = shape
    _check_rank("inputs", shape)
    for layer in layers:
        kind, advice = type(layer).__name__, "call super().__init__() first in its __init__"
        check("bound" in vars(layer), "a layer that is made by Layer.__init__, too", kind, advice)
        if layer.bound:
            raise ValueError(f"{type(layer).__name__} is part of another network: make a new one")
    for layer in layers:
        layer.build(shape)
        shape = layer.output_shape
        _check_rank(f"outputs of {type(layer).__name__}", shape)
        if math.prod(shape) > MAX_OUTPUTS:
            raise ValueError(
                f"expected layers of at most {MAX_OUTPUTS:,} outputs; received a "
                f"{type(layer).__name__} of {shape}, which would take "
                f"{4 * PREDICT_BATCH_SIZE * math.prod(shape) / 1e9:,.1f} GB for "
                f"{PREDICT_BATCH_SIZE} images: make it smaller"
            )
    return input_shape, layers


def _check_rank(meaning: str, shape: Shape) -> None:
    check(len(shape) <= MAX_RANK, f"{meaning} of at most {MAX_RANK} dimensions", len(shape))


def _squeezed(shape: Shape) -> Shape:
    """A shape without its axes of length 1."""
    return tuple(size for size in shape if size != 1)


def array_shapes(entries: Sequence[Layer | Input]) -> dict[str, Shape]:
    """The full names and shapes of the arrays that a stack would have; no array is made."""
    weights, buffers = _array_shapes(_built(entries)[1])
    return weights | buffers


def _array_shapes(layers: Sequence[Layer]) -> tuple[dict[str, Shape], dict[str, Shape]]:
    """Those of weights and of buffers, by full names: the W of the first layer that has arrays is
    W1.
    """
    weights, buffers, number = dict[str, Shape](), dict[str, Shape](), 0
    for layer in layers:
        number += bool(layer.weight_shapes or layer.buffer_shapes)
        weights |= {f"{name}{number}": shape for name, shape in layer.weight_shapes.items()}
        buffers |= {f"{name}{number}": shape for name, shape in layer.buffer_shapes.items()}
    return weights, buffers


def _named(layers: Sequence[Layer]) -> Iterator[tuple[str, Layer]]:
    """Layers by the names that Keras gives them: dense, dense_1, conv2d, max_pooling2d, ..."""
    seen: dict[str, int] = {}
    for layer in layers:
        kind = type(layer).__name__
        words = "".join(f"_{c.lower()}" if c.isupper() else c for c in kind).lstrip("_")
        words = words.replace("2_d", "2d")  # max_pooling2_d
        count = seen[words] = seen.get(words, -1) + 1
        yield words if count == 0 else f"{words}_{count}", layer
