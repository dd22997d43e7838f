"""How a function of NumPy takes the names and arguments of TensorFlow, and the tensors of a model:
of these it makes a layer.
"""

import functools
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from digits.keras.graph import KerasTensor, filled, refuse_variables, tensors_in
from digits.keras.lookup import look_up
from digits.keras.tensor import Computes, Tensor, found_in, is_recorded, parts_of, tensor

OTHER_NAMES = {
    **{
        f"reduce_{name}": name
        for name in ("sum", "mean", "max", "min", "prod", "any", "all", "std")
    },
    **{"reduce_variance": "var", "pow": "power", "concat": "concatenate"},
    **{"acos": "arccos", "asin": "arcsin", "atan": "arctan", "range": "arange", "fill": "full"},
    **{"floordiv": "floor_divide", "truediv": "true_divide"},
    **{"is_nan": "isnan", "is_inf": "isinf", "is_finite": "isfinite"},
    **{"clip_by_value": "clip", "rank": "ndim", "stop_gradient": "asarray"},
    **{"flatten": "ravel", "permute_dimensions": "transpose"},
}
"""Names of Keras and TensorFlow, and what NumPy calls the same."""

ARGUMENTS = {
    **{"keep_dims": "keepdims", "reduction_indices": "axis", "dimension": "axis", "dim": "axis"},
    **{"perm": "axes", "input": "a", "input_tensor": "a"},
    **{"clip_value_min": "a_min", "clip_value_max": "a_max", "multiples": "reps"},
}
"""Names of arguments in TensorFlow, and NumPy's."""


def between(function: Any, args: Any, kwargs: dict[str, Any] | None = None) -> Any:
    """What a function of arrays makes of the tensors of a model among its arguments: a Lambda."""
    refuse_variables([args, kwargs])
    tensors = tensors_in(args)

    def run(given: Any) -> Any:
        numbers = iter(given if len(tensors) > 1 else [given])
        return function(*filled(args, numbers), **kwargs or {})

    zeros = [part.zeros().view(Tensor) for part in tensors]
    with np.errstate(all="ignore"):
        shape = np.shape(run(zeros if len(zeros) > 1 else zeros[0]))
    run.__name__ = getattr(function, "__name__", type(function).__name__)
    if shape not in ((), (2, *shape[1:])):
        raise TypeError(
            f"expected a result for each sample of {tensors[0]!r}; {run.__name__} mixes "
            "samples: give it an axis above 0, or put it into the loss"
        )
    return look_up("layers.Lambda")(run)(tensors if len(tensors) > 1 else tensors[0])


def _reshaped(x: KerasTensor, sizes: Any) -> Any:
    return look_up("layers.Reshape")(tuple(int(size) for size in sizes))(x)


def _reshape(x: KerasTensor, shape: Any = None, newshape: Any = None) -> Any:
    sizes = tuple(newshape if shape is None else shape)
    return _reshaped(x, sizes[1:]) if isinstance(sizes[0], int) and sizes[0] == -1 else None


def _expand_dims(x: KerasTensor, axis: int = -1) -> Any:
    return _reshaped(x, np.expand_dims(np.empty((0, *x.sizes)), axis).shape[1:])


def _squeeze(x: KerasTensor, axis: Any = None) -> Any:
    return _reshaped(x, np.squeeze(np.empty((0, *x.sizes)), axis).shape[1:])


def _concatenate(values: Any, axis: int = -1) -> Any:
    if not all(isinstance(value, KerasTensor) for value in values):
        return None
    return look_up("layers.Concatenate")(axis)(list(values))


def _transpose(x: KerasTensor, axes: Any = None) -> Any:
    return look_up("layers.Permute")(tuple(axes[1:]))(x) if axes and axes[0] == 0 else None


def _batch_flatten(x: KerasTensor) -> Any:
    return look_up("layers.Flatten")()(x)


BY_LAYERS: dict[str, Callable[..., Any]] = {
    **{"add": operator.add, "multiply": operator.mul, "subtract": operator.sub},
    **{"reshape": _reshape, "expand_dims": _expand_dims, "squeeze": _squeeze},
    **{"concat": _concatenate, "concatenate": _concatenate},
    **{"transpose": _transpose, "permute_dimensions": _transpose},
    "batch_flatten": _batch_flatten,
}
"""Functions that are layers, which files can hold; None where the arguments are of another kind."""


MAKE = {"zeros": 1, "ones": 1, "empty": 1, "eye": 3, "full": 2, "fill": 2, "linspace": 3}
"""Functions that make numbers, float32 unless they are told, and how many arguments they have
before the dtype."""

TAKE_LISTS = ("concat", "concatenate", "stack", "einsum", "add_n")
"""Functions that take several tensors as a list; for others a list is one tensor."""

WITH_AXIS = (
    *("sum", "mean", "max", "min", "prod", "any", "all", "std", "var", "amax", "amin"),
    *("squeeze", "logsumexp", "expand_dims", "flip"),
)
"""Functions whose second argument is an axis, or a list of them; the third of most is keepdims."""


def _axis(axis: Any) -> Any:
    """Axes as NumPy takes them: a number, or a tuple of numbers."""
    return tuple(map(int, axis)) if np.ndim(axis) == 1 else axis


def _dtypes(args: Any, kind: Any = object) -> list[Any]:
    """The dtypes of the arrays of that kind among the arguments, and within lists."""
    return [value.dtype for value in found_in(args, kind) if hasattr(value, "dtype")]


def as_tensor(result: Any, args: Any) -> Tensor:
    """A result as TensorFlow types it: float32 and int32, unless an argument has more bits."""
    given = _dtypes(args, np.ndarray | Computes) or _dtypes(args)
    wide = {"f": np.float64, "i": np.int64}.get(result.dtype.kind)
    if result.dtype != wide or wide in given or any(isinstance(a, type | np.dtype) for a in args):
        return tensor(result)
    if wide == np.float64:
        return tensor(result, np.float32)
    whole = np.int32 in given or found_in(args, int)
    return tensor(result, np.int32) if whole else tensor(result)


def on_arrays(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    axes = OTHER_NAMES.get(name, name) in WITH_AXIS

    @functools.wraps(function, assigned=("__name__", "__doc__"))
    def call(*args: Any, **kwargs: Any) -> Any:
        kwargs.pop("name", None)
        kwargs = {ARGUMENTS.get(key, key): value for key, value in kwargs.items()}
        if "axis" in kwargs:
            kwargs["axis"] = _axis(kwargs["axis"])
        for unnamed in ("x", "tensor", "value", "values", "t", "a", "x1", "inputs"):
            if unnamed in kwargs and not args and "condition" not in kwargs:
                args = (kwargs.pop(unnamed),)
        if getattr(function, "nin", 1) == 2 and len(args) == 1:
            args += tuple(kwargs.pop(key) for key in ("y", "x2", "b") if key in kwargs)
        if axes and len(args) > 1:
            kwargs |= {"keepdims": args[2]} if len(args) > 2 else {}
            args = (args[0], _axis(args[1]))
        if any(isinstance(part, KerasTensor) for part in parts_of(args)):
            made = BY_LAYERS[name](*args, **kwargs) if name in BY_LAYERS else None
            return made if made is not None else between(call, args, kwargs)
        if name not in TAKE_LISTS and args and isinstance(args[0], list | tuple):
            if any(map(is_recorded, args[0])):
                args = (np.stack(args[0]), *args[1:])
        result = function(*args, **kwargs)
        if not isinstance(result, np.ndarray | np.generic):
            return result
        has_dtype = "dtype" in kwargs or len(args) > MAKE.get(name, len(args))
        return tensor(result) if has_dtype else as_tensor(result, [*args, *kwargs.values()])

    call.__name__ = call.__qualname__ = name
    return call


def of_tensors(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of arrays, for tensors of a model, too."""
    return on_arrays(function.__name__, function)
