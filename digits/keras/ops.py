"""NumPy under the names of `keras.ops` and the old `keras.backend`: what NumPy has by the same name
is NumPy's, and arrays can be asked for `.numpy()`.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from digits.keras import activations, losses
from digits.keras.graph import KerasTensor
from digits.keras.tensor import Tensor, tensor

OTHER_NAMES = {
    **{
        f"reduce_{name}": name
        for name in ("sum", "mean", "max", "min", "prod", "any", "all", "std")
    },
    **{"reduce_variance": "var", "pow": "power", "concat": "concatenate", "add_n": "sum"},
    **{"acos": "arccos", "asin": "arcsin", "atan": "arctan", "range": "arange", "fill": "full"},
    **{"divide_no_nan": "divide", "floordiv": "floor_divide", "truediv": "true_divide"},
    **{"clip_by_value": "clip", "gather": "take", "rank": "ndim", "stop_gradient": "asarray"},
    **{"flatten": "ravel", "batch_flatten": "ravel", "permute_dimensions": "transpose"},
}
"""Names of Keras and TensorFlow, and what NumPy calls the same."""

ARGUMENTS = {
    **{"keep_dims": "keepdims", "reduction_indices": "axis", "dimension": "axis", "dim": "axis"},
    **{"perm": "axes", "input": "a", "input_tensor": "a"},
    **{"clip_value_min": "a_min", "clip_value_max": "a_max", "multiples": "reps"},
}
"""Names of arguments in TensorFlow, and NumPy's."""


def _on_arrays(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function, assigned=("__name__", "__doc__"))
    def call(*args: Any, **kwargs: Any) -> Any:
        kwargs.pop("name", None)
        kwargs = {ARGUMENTS.get(key, key): value for key, value in kwargs.items()}
        if isinstance(kwargs.get("axis"), list):
            kwargs["axis"] = tuple(kwargs["axis"])
        for unnamed in ("input", "x", "tensor", "values", "t"):
            if unnamed in kwargs and not args:
                args = (kwargs.pop(unnamed),)
        if "a" in kwargs and not args:
            args = (kwargs.pop("a"),)
        if any(isinstance(argument, KerasTensor) for argument in args):
            raise TypeError(f"{name} is not there for tensors of a model: use layers")
        result = function(*args, **kwargs)
        return tensor(result) if isinstance(result, np.ndarray | np.generic) else result

    call.__name__ = call.__qualname__ = name
    return call


def __getattr__(name: str) -> Any:
    if name in (*activations.IN_NN, *activations.MORE, "swish"):
        return getattr(activations, name)
    found = getattr(np, OTHER_NAMES.get(name, name), None)
    if name.startswith("_") or not callable(found) or isinstance(found, type):
        raise AttributeError(f"keras.ops.{name} is not there: use NumPy")
    return _on_arrays(name, found)


def convert_to_tensor(x: Any, dtype: Any = None, **_: Any) -> Tensor:
    return tensor(x, _dtype(dtype))


def convert_to_numpy(x: Any) -> Any:
    return np.asarray(x)


def _dtype(dtype: Any) -> Any:
    return {"bool_": "bool", "string": "str"}.get(getattr(dtype, "name", dtype), dtype)


def cast(x: Any, dtype: Any = "float32", name: str | None = None) -> Any:
    return x if isinstance(x, KerasTensor) else tensor(np.asarray(x).astype(_dtype(dtype)))


def constant(value: Any, dtype: Any = None, shape: Any = None, name: Any = None) -> Tensor:
    made = tensor(value, _dtype(dtype))
    return made if shape is None else tensor(np.broadcast_to(made, shape).copy())


def shape(x: Any) -> Any:
    return x.shape if isinstance(x, KerasTensor) else np.shape(x)


def argmax(x: Any = None, axis: Any = None, dimension: Any = None, **options: Any) -> Tensor:
    x = options.pop("input", x)
    found = np.argmax(x, axis=dimension if axis is None else axis)
    return tensor(found, options.get("output_type"))


def one_hot(
    x: Any, num_classes: Any = None, axis: int = -1, dtype: Any = None, **options: Any
) -> Tensor:
    depth = options.pop("depth", num_classes)
    return tensor(np.eye(int(depth), dtype=_dtype(dtype) or np.float32)[np.asarray(x, int)])


def _crossentropy(kind: Any) -> Any:
    """The loss of each sample as a function (target, output)."""

    def call(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Any:
        return kind(from_logits, reduction="none")(target, output)

    return call


categorical_crossentropy = _crossentropy(losses.CategoricalCrossentropy)
sparse_categorical_crossentropy = _crossentropy(losses.SparseCategoricalCrossentropy)
binary_crossentropy = _crossentropy(losses.BinaryCrossentropy)


def rsqrt(x: Any, name: str | None = None) -> Tensor:
    return tensor(1 / np.sqrt(x))


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Tensor:
    return tensor(np.linalg.norm(np.asarray(x), ord, axis, keepdims))


def boolean_mask(tensor: Any, mask: Any, **_: Any) -> Any:
    return convert_to_tensor(np.asarray(tensor)[np.asarray(mask, bool)])


def logsumexp(x: Any, axis: Any = None, keepdims: Any = False) -> Tensor:
    return tensor(np.logaddexp.reduce(np.asarray(x), axis=axis, keepdims=keepdims))


reduce_logsumexp = logsumexp


def confusion_matrix(labels: Any, predictions: Any, num_classes: Any = None, **_: Any) -> Tensor:
    """How often each class (row) is taken for each class (column)."""
    t, y = np.asarray(labels, int).ravel(), np.asarray(predictions, int).ravel()
    size = int(num_classes or max(t.max(initial=0), y.max(initial=0)) + 1)
    return tensor(np.bincount(t * size + y, minlength=size * size).reshape(size, size))
