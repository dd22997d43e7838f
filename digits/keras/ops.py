"""NumPy under the names of `keras.ops` and the old `keras.backend`: what NumPy has by the same name
is NumPy's, and arrays can be asked for `.numpy()`.
"""

import builtins
import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from digits.keras import activations, losses
from digits.keras.dispatch import OTHER_NAMES, of_tensors, on_arrays
from digits.keras.graph import KerasTensor
from digits.keras.tensor import Computes, Tensor, is_recorded, tensor
from digits.nn.losses import EPSILON


def __getattr__(name: str) -> Any:
    if name in (*activations.IN_NN, *activations.MORE, "erf", "swish"):
        return getattr(activations, name)
    found = FORMULAS.get(name, getattr(np, OTHER_NAMES.get(name, name), None))
    if name.startswith("_") or not callable(found) or isinstance(found, type):
        raise AttributeError(f"keras.ops.{name} is not there: use NumPy")
    return on_arrays(name, found)


def convert_to_tensor(x: Any, dtype: Any = None, **_: Any) -> Tensor:
    return tensor(x, _dtype(dtype))


def convert_to_numpy(x: Any) -> Any:
    return np.asarray(x)


def _dtype(dtype: Any) -> Any:
    return {"bool_": "bool", "string": "str"}.get(getattr(dtype, "name", dtype), dtype)


def cast(x: Any, dtype: Any = "float32", name: str | None = None) -> Any:
    return x if isinstance(x, KerasTensor) else tensor(x, _dtype(dtype))


def constant(value: Any, dtype: Any = None, shape: Any = None, name: Any = None) -> Tensor:
    made = tensor(value, _dtype(dtype))
    if isinstance(value, np.ndarray) and not is_recorded(value):
        made = made.copy()  # the array may be given other numbers
    return made if shape is None else tensor(np.broadcast_to(made, shape).copy())


def shape(x: Any) -> Any:
    return x.shape if isinstance(x, KerasTensor) else np.shape(x)


def index_of(function: Callable[..., Any], otherwise: Any = None) -> Callable[..., Tensor]:
    """A function (x, axis) that gives indices; `otherwise` is the axis unless one is named."""

    def call(x: Any = None, axis: Any = None, **options: Any) -> Tensor:
        axis = options.get("dimension", otherwise) if axis is None else axis
        found = function(options.get("input", x), axis, keepdims=bool(options.get("keepdims")))
        return tensor(found, options.get("dtype", options.get("output_type")))

    call.__name__ = call.__qualname__ = function.__name__
    return call


argmax, argmin = index_of(np.argmax), index_of(np.argmin)


@of_tensors
def one_hot(
    x: Any = None, num_classes: Any = None, axis: int = -1, dtype: Any = None, **options: Any
) -> Tensor:
    """1 in the place of each index; zeros for an index that is no class."""
    depth = int(options.pop("depth", num_classes))
    indices = np.asarray(options.pop("indices", x), int)
    found = indices[..., np.newaxis] == np.arange(depth)
    return tensor(np.moveaxis(found, -1, axis), _dtype(dtype) or np.float32)


def _crossentropy(kind: Any) -> Any:
    """The loss of each sample as a function (target, output)."""

    def call(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Any:
        return kind(from_logits, reduction="none")(target, output)

    return call


categorical_crossentropy = _crossentropy(losses.CategoricalCrossentropy)
sparse_categorical_crossentropy = _crossentropy(losses.SparseCategoricalCrossentropy)


@of_tensors
def binary_crossentropy(target: Any, output: Any, from_logits: bool = False) -> Any:
    """-t log(y) - (1 - t) log(1 - y) of each number; of logits x, max(x, 0) - x t + log(1 +
    exp(-|x|)).
    """
    if from_logits:
        x = output
        return np.maximum(x, 0) - x * target + np.log1p(np.exp(-np.abs(x)))
    y = np.clip(output, EPSILON, 1 - EPSILON)
    return -target * np.log(y) - (1 - target) * np.log(1 - y)


FORMULAS: dict[str, Callable[..., Any]] = {
    "identity": np.copy,
    "add_n": lambda inputs: functools.reduce(np.add, inputs),
    "gather": lambda params, indices, axis=0: np.take(params, np.asarray(indices), axis),
    "log_sigmoid": lambda x: -np.logaddexp(0, np.negative(x)),
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "repeat_elements": np.repeat,
    "scalar_mul": np.multiply,
    "zero_fraction": lambda value: np.mean(np.equal(value, 0)),
    "squared_difference": lambda x, y: np.square(np.subtract(x, y)),
    "reverse": lambda tensor, axis: np.flip(tensor, tuple(axis) if np.ndim(axis) else axis),
}
"""Functions of one line."""


@of_tensors
def batch_flatten(x: Any) -> Any:
    """The numbers of each sample in a row."""
    return np.reshape(x, (np.shape(x)[0], -1))


def while_loop(
    cond: Any, body: Any, loop_vars: Any, maximum_iterations: Any = None, **_: Any
) -> Any:
    """What the variables become, as long as cond(*variables) holds."""
    rounds = 0
    while (maximum_iterations is None or rounds < maximum_iterations) and cond(*loop_vars):
        found = body(*loop_vars)
        loop_vars = found if isinstance(found, list | tuple) else [found]
        rounds += 1
    return loop_vars


def map_fn(fn: Any, elems: Any, *_: Any, **__: Any) -> Any:
    """fn of each element along the first axis; of several tensors, of a tuple of their elements."""
    several = isinstance(elems, list | tuple)
    made = [fn(each) for each in (zip(*elems, strict=True) if several else tensor(elems))]
    stack = on_arrays("stack", np.stack)
    if isinstance(made[0], list | tuple):
        return tuple(stack(part) for part in zip(*made, strict=True))
    return stack(made)


vectorized_map = map_fn


def cond(pred: Any, true_fn: Any = None, false_fn: Any = None, name: Any = None) -> Any:
    """What one of two functions gives."""
    return true_fn() if np.asarray(pred) else false_fn()


@of_tensors
def divide_no_nan(x: Any, y: Any) -> Any:
    """x / y, and 0 where y is 0."""
    zero = np.equal(y, 0)
    return np.where(zero, 0, x / np.where(zero, 1, y))


@of_tensors
def gather_nd(params: Any, indices: Any) -> Any:
    """What each row of indices says: a number, or a part of params."""
    return convert_to_tensor(params)[tuple(np.moveaxis(np.asarray(indices, int), -1, 0))]


@of_tensors
def slice(x: Any, begin: Any = None, size: Any = None, **other: Any) -> Any:
    """A part of that size from `begin` on; up to the end for a size of -1."""
    begin, size = other.get("start_indices", begin), other.get("shape", size)
    pairs = [(int(b), int(s)) for b, s in zip(begin, size, strict=True)]
    parts = tuple(builtins.slice(b, None if s == -1 else b + s) for b, s in pairs)
    return convert_to_tensor(x)[parts]


@of_tensors
def xlogy(x: Any, y: Any) -> Any:
    """x log(y), and 0 where x is 0."""
    zero = np.equal(x, 0)
    return np.where(zero, 0, x * np.log(np.where(zero, 1, y)))


@of_tensors
def batch_dot(x: Any, y: Any, axes: Any = None) -> Any:
    """Sums of products along one axis of each, for each sample."""
    if axes is None:
        axes = (np.ndim(x) - 1, max(np.ndim(y) - 2, 1))
    i, j = (axes, axes) if np.ndim(axes) == 0 else axes
    a, b = np.moveaxis(x, i, -1), np.moveaxis(y, j, 1)
    n, *left, count = np.shape(a)
    right = np.shape(b)[2:]
    z = np.matmul(np.reshape(a, (n, -1, count)), np.reshape(b, (n, count, -1)))
    return np.reshape(z, (n, *left, *right) if left or right else (n, 1))


@of_tensors
def unstack(value: Any, num: int | None = None, axis: int = 0) -> Any:
    return [np.take(value, i, axis) for i in builtins.range(np.shape(value)[axis])]


@of_tensors
def where(condition: Any, x1: Any = None, x2: Any = None, x: Any = None, y: Any = None) -> Any:
    """x1 where the condition holds, else x2; without them, the indices where it does."""
    x1, x2 = (x if x1 is None else x1), (y if x2 is None else x2)
    return np.argwhere(condition) if x1 is None else np.where(condition, x1, x2)


@of_tensors
def pad(
    x: Any,
    pad_width: Any = None,
    mode: str = "constant",
    constant_values: Any = None,
    paddings: Any = None,
) -> Any:
    """More numbers around x: constant ones, or those of x again from its borders inwards."""
    widths = np.asarray(paddings if pad_width is None else pad_width, int)
    widths, mode = np.broadcast_to(widths, (np.ndim(x), 2)), mode.lower()
    if mode == "constant":
        return np.pad(x, widths, constant_values=constant_values or 0)
    for axis, width in enumerate(widths):
        if width.any():
            x = np.take(x, np.pad(np.arange(np.shape(x)[axis]), width, mode), axis)  # type: ignore[call-overload]
    return x


@of_tensors
def tensordot(x1: Any, x2: Any, axes: Any = 2) -> Any:
    """Sums of products along the last axes of x1 and the first of x2, or along those named."""
    if np.ndim(axes) == 0:
        axes = [*builtins.range(-int(axes), 0)], [*builtins.range(int(axes))]
    first, second = (
        [int(i) % np.ndim(x) for i in np.ravel(a)] for a, x in zip(axes, (x1, x2), strict=True)
    )
    left = [i for i in builtins.range(np.ndim(x1)) if i not in first]
    right = [i for i in builtins.range(np.ndim(x2)) if i not in second]
    sizes = [np.shape(x1)[i] for i in left] + [np.shape(x2)[i] for i in right]
    count = math.prod(np.shape(x1)[i] for i in first)
    a = np.reshape(np.transpose(x1, left + first), (-1, count))
    return np.reshape(
        np.matmul(a, np.reshape(np.transpose(x2, second + right), (count, -1))), sizes
    )


@of_tensors
def matmul(a: Any, b: Any, transpose_a: bool = False, transpose_b: bool = False) -> Any:
    x = np.swapaxes(a, -1, -2) if transpose_a else a
    return np.matmul(x, np.swapaxes(b, -1, -2) if transpose_b else b)


@of_tensors
def l2_normalize(x: Any, axis: Any = None, epsilon: float = 1e-12) -> Any:
    length = np.sum(np.square(x), axis=axis, keepdims=True)
    return x / np.sqrt(np.maximum(length, epsilon))


def argsort(values: Any, axis: int = -1, direction: str = "ASCENDING", **_: Any) -> Tensor:
    down = direction == "DESCENDING"
    x = np.asarray(values)
    return tensor(np.argsort(-x if down else x, axis, kind="stable"), np.int32)


def sort(values: Any, axis: int = -1, direction: str = "ASCENDING", **_: Any) -> Tensor:
    order = np.asarray(argsort(values, axis, direction))
    return tensor(np.take_along_axis(tensor(values), order, axis))


class TopK(NamedTuple):
    """The largest numbers of each row, and where they are."""

    values: Tensor
    indices: Tensor


def top_k(input: Any, k: int = 1, sorted: bool = True, name: Any = None) -> TopK:
    x = tensor(input)
    indices = argsort(x, direction="DESCENDING")[..., :k]
    return TopK(tensor(np.take_along_axis(x, np.asarray(indices), -1)), indices)


def in_top_k(targets: Any, predictions: Any, k: int = 1, name: Any = None) -> Tensor:
    """Whether the right class is among the k most likely ones of each row."""
    return tensor((top_k(predictions, k).indices == np.reshape(targets, (-1, 1))).any(axis=1))


def is_tensor(x: Any) -> bool:
    """Whether x is a tensor of TensorFlow, with numbers or without."""
    return isinstance(x, Computes | KerasTensor)


@of_tensors
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """The length of vectors; the sum or the largest of absolute values for ord 1 or inf."""
    if ord in (1, np.inf):
        whole = np.sum if ord == 1 else np.max
        return whole(np.abs(x), axis=axis, keepdims=keepdims)
    if ord not in (None, 2, "euclidean", "fro"):
        raise ValueError(f"expected ord 'euclidean', 1, 2 or inf; received {ord!r}")
    return np.sqrt(np.sum(np.square(x), axis=axis, keepdims=keepdims))


def clip_by_norm(t: Any, clip_norm: float, axes: Any = None, name: Any = None) -> Tensor:
    """t, made shorter if it is longer than clip_norm."""
    t = tensor(t)
    length = np.maximum(norm(t, axis=axes, keepdims=True), clip_norm)
    return tensor(t * (clip_norm / length))


def global_norm(t_list: Any, name: Any = None) -> Tensor:
    """The length of several tensors as one vector."""
    return tensor(np.sqrt(sum(np.sum(np.square(t)) for t in t_list if t is not None)))


def clip_by_global_norm(t_list: Any, clip_norm: float, **_: Any) -> tuple[list[Any], Tensor]:
    """Tensors, made shorter together if they are longer than clip_norm; and how long they were."""
    length = global_norm(t_list)
    scale = clip_norm / np.maximum(length, clip_norm)
    return [None if t is None else tensor(t * scale) for t in t_list], length


def boolean_mask(tensor: Any, mask: Any, **_: Any) -> Any:
    return convert_to_tensor(tensor)[np.asarray(mask, bool)]


@of_tensors
def logsumexp(x: Any, axis: Any = None, keepdims: Any = False) -> Any:
    """log(sum(exp(x))), of numbers from which the largest is taken first, so that none is inf."""
    largest = np.max(np.asarray(x), axis=axis, keepdims=True)
    y = np.log(np.sum(np.exp(x - largest), axis=axis, keepdims=True)) + largest
    return y if keepdims else np.squeeze(y, axis)


reduce_logsumexp = logsumexp


def confusion_matrix(labels: Any, predictions: Any, num_classes: Any = None, **_: Any) -> Tensor:
    """How often each class (row) is taken for each class (column)."""
    t, y = np.asarray(labels, int).ravel(), np.asarray(predictions, int).ravel()
    size = int(num_classes or max(t.max(initial=0), y.max(initial=0)) + 1)
    return tensor(np.bincount(t * size + y, minlength=size * size).reshape(size, size))
