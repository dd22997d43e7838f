"""The functions of `tf.nn`: networks without layers, whose weights are variables of one's own. What
digits.nn has a layer for is computed by it, and recorded.
"""

from typing import Any

import numpy as np

from digits.keras import ops
from digits.keras.activations import (
    elu,
    gelu,
    leaky_relu,
    log_softmax,
    relu,
    relu6,
    selu,
    sigmoid,
    silu,
    softmax,
    softplus,
    softsign,
    swish,
    tanh,
)
from digits.keras.dispatch import of_tensors, on_arrays
from digits.keras.graph import KerasTensor, refuse_to_follow
from digits.keras.layers.images import TransposedConvolution
from digits.keras.lookup import look_up
from digits.keras.ops import in_top_k, l2_normalize, top_k
from digits.keras.random import generator_of, of_op
from digits.keras.tensor import is_recorded, record, tensor
from digits.nn import convolution, pooling
from digits.nn.layer import Layer as Core
from digits.types import Array
from digits.validation import check

# fmt: off
__all__ = [
    "avg_pool", "avg_pool2d", "batch_normalization", "bias_add", "conv2d", "conv2d_transpose",
    "dropout", "elu", "embedding_lookup", "gelu", "in_top_k", "l2_loss", "l2_normalize",
    "leaky_relu", "log_softmax", "max_pool", "max_pool2d", "moments", "relu", "relu6", "selu",
    "sigmoid", "sigmoid_cross_entropy_with_logits", "silu", "softmax",
    "softmax_cross_entropy_with_logits", "softmax_cross_entropy_with_logits_v2", "softplus",
    "softsign", "sparse_softmax_cross_entropy_with_logits", "swish", "tanh", "top_k",
]
# fmt: on


def _by_core(core: Core, x: Any, **weights: Any) -> Any:
    """y of a layer of digits.nn with these weights, recorded with x and the weights as sources."""
    x = tensor(x)
    x = x if x.dtype.kind == "f" else tensor(x, np.float32)
    arrays = {name: np.array(weight, x.dtype) for name, weight in weights.items()}
    grads = {name: np.zeros_like(array) for name, array in arrays.items()}
    core.needs_dx = is_recorded(x)
    core.build(x.shape[1:])
    core.bind(arrays, grads, {}, core.rng, x.dtype)
    y = core.forward(x.array, training=True).copy()

    def backward(dy: Array) -> list[Any]:
        dx = core.backward(np.array(dy, x.dtype))
        return [dx if dx is None else dx.copy(), *(grad.copy() for grad in grads.values())]

    return record(y, [x, *weights.values()], backward)


def _pair(value: Any, data_format: str | None) -> Any:
    """Height and width of one number, of two, or of four in the order of the axes."""
    sizes = list(value) if isinstance(value, list | tuple) else [value]
    if len(sizes) == 4:
        return tuple(sizes[2:] if _channels_first(data_format) else sizes[1:3])
    return (sizes[0], sizes[-1])


def _channels_first(data_format: str | None) -> bool:
    return str(data_format).startswith("NC")


def _on_images(core: Core, x: Any, data_format: str | None, **weights: Any) -> Any:
    """The same, for images with their channels last or, by the data format, first."""
    if not _channels_first(data_format):
        return _by_core(core, x, **weights)
    return np.moveaxis(_by_core(core, np.moveaxis(tensor(x), 1, -1), **weights), -1, 1)


def _padding(padding: Any) -> str:
    check(str(padding).lower() in ("same", "valid"), "padding 'SAME' or 'VALID'", padding)
    return str(padding).lower()


# --- images ---------------------------------------------------------------------------------------


@of_tensors
def conv2d(
    x: Any,
    filters: Any = None,
    strides: Any = 1,
    padding: Any = "VALID",
    data_format: str | None = "NHWC",
    dilations: Any = None,
    filter: Any = None,
) -> Any:
    """Images compared with filters (height, width, channels, filters) at every position."""
    check(np.all(np.ravel(dilations or 1) == 1), "dilations of 1", dilations, "use strides")
    filters = filter if filters is None else filters
    *kernel, _, count = np.shape(filters)
    steps = _pair(strides, data_format)
    core = convolution.Conv2D(count, tuple(kernel), steps, _padding(padding), use_bias=False)
    return _on_images(core, x, data_format, W=filters)


@of_tensors
def conv2d_transpose(
    x: Any,
    filters: Any,
    output_shape: Any,
    strides: Any,
    padding: Any = "SAME",
    data_format: str | None = "NHWC",
) -> Any:
    """The gradient function of conv2d, by its x; filters (height, width, outputs, channels)."""
    *kernel, count, _ = np.shape(filters)
    steps = _pair(strides, data_format)
    core = TransposedConvolution(count, (kernel[0], kernel[1]), steps, _padding(padding))
    y = _on_images(core, x, data_format, W=filters, b=np.zeros(count))
    fits = tuple(map(int, output_shape))[1:] == y.shape[1:]
    check(fits, f"output_shape {y.shape}, of these strides and this padding", output_shape)
    return y


def _pool(kind: str) -> Any:
    """The pooling of that kind as a function; ksize and strides as one number, two or four."""

    def call(
        x: Any,
        ksize: Any = 2,
        strides: Any = None,
        padding: Any = "VALID",
        data_format: str | None = "NHWC",
    ) -> Any:
        window = _pair(ksize, data_format)
        steps = window if strides is None else _pair(strides, data_format)
        core = getattr(pooling, kind)(window, steps, _padding(padding))
        return _on_images(core, x, data_format)

    return on_arrays(kind, call)


max_pool = max_pool2d = _pool("MaxPooling2D")
avg_pool = avg_pool2d = _pool("AveragePooling2D")


@of_tensors
def bias_add(value: Any, bias: Any, data_format: str | None = None) -> Any:
    """A number added to each channel."""
    if not _channels_first(data_format):
        return np.add(value, bias)
    return np.add(value, np.reshape(bias, (-1, *[1] * (np.ndim(value) - 2))))


# --- normalization, noise, sums -------------------------------------------------------------------


def moments(
    x: Any, axes: Any, shift: Any = None, keepdims: bool = False, name: Any = None, **old: Any
) -> tuple[Any, Any]:
    """Mean and variance along axes."""
    axes = tuple(axes) if isinstance(axes, list) else axes
    keepdims, x = old.get("keep_dims", keepdims), tensor(x)
    return tensor(np.mean(x, axes, keepdims=keepdims)), tensor(np.var(x, axes, keepdims=keepdims))


@of_tensors
def batch_normalization(
    x: Any, mean: Any, variance: Any, offset: Any, scale: Any, variance_epsilon: float
) -> Any:
    """scale (x - mean) / sqrt(variance + epsilon) + offset (Ioffe and Szegedy 2015)."""
    y = np.subtract(x, mean) / np.sqrt(np.add(variance, variance_epsilon))
    y = y if scale is None else y * scale
    return y if offset is None else y + offset


def dropout(
    x: Any,
    rate: Any = None,
    noise_shape: Any = None,
    seed: Any = None,
    name: Any = None,
    keep_prob: Any = None,
) -> Any:
    """A random fraction `rate` of x becomes 0, the others 1 / (1 - rate) times as large (Srivastava
    et al. 2014). keep_prob: what is left, as TensorFlow 1 says it.
    """
    rate = float(1 - keep_prob if rate is None else rate)
    if isinstance(x, KerasTensor):
        return look_up("layers.Dropout")(rate, seed=seed)(x)
    if rate == 0:
        return x
    refuse_to_follow("a random tensor")
    x = tensor(x)
    shape = x.shape if noise_shape is None else noise_shape
    left = generator_of(of_op(seed)).random(shape) >= rate
    return x * (left / (1 - rate)).astype(x.dtype)


@of_tensors
def l2_loss(t: Any) -> Any:
    """sum(t^2) / 2."""
    return np.sum(np.square(t)) / 2


@of_tensors
def embedding_lookup(params: Any, ids: Any) -> Any:
    """A row of a table for each index."""
    return np.take(params, np.asarray(ids, int), axis=0)


# --- losses of each sample ------------------------------------------------------------------------


def _of_logits(loss: Any) -> Any:
    """The loss of each sample as a function (labels, logits)."""

    def call(labels: Any = None, logits: Any = None, axis: int = -1, name: Any = None) -> Any:
        return loss(labels, logits, from_logits=True)

    return call


softmax_cross_entropy_with_logits = _of_logits(ops.categorical_crossentropy)
softmax_cross_entropy_with_logits_v2 = softmax_cross_entropy_with_logits
sigmoid_cross_entropy_with_logits = _of_logits(ops.binary_crossentropy)
sparse_softmax_cross_entropy_with_logits = _of_logits(ops.sparse_categorical_crossentropy)
