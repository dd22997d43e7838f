"""Arrays with the methods that scripts expect of TensorFlow's. While a tape is on, what functions
of NumPy make of them is recorded, so that it has a gradient.
"""

import contextlib
import itertools
import operator
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from digits.keras.derivatives import FLAT, ONLY_ONCE, gradient_of
from digits.keras.shape import TensorShape
from digits.types import Array

_numbers = itertools.count()


class Node:
    """A tensor in the record: the nodes that it was made of, and how a gradient goes back to them,
    from dy to one for each of them. A node without any is what gradients are asked for.
    """

    def __init__(
        self,
        sources: tuple["Node | None", ...] = (),
        backward: Callable[[Any], list[Any]] | None = None,
        once: bool = False,
    ) -> None:
        self.number = next(_numbers)  # always above those of its sources
        self.sources, self.backward, self.once = sources, backward, once
        self.trains = False  # whether it is a variable that training changes


tapes: list[Any] = []
"""The tapes that are on; without one nothing is recorded."""


@contextlib.contextmanager
def paused() -> Iterator[None]:
    """A block in which no tape is on that was on before."""
    on, tapes[:] = tapes[:], []
    try:
        yield
    finally:
        tapes[:] = on


def is_recorded(x: Any) -> bool:
    """Whether a tape is on and x leads back to something that is watched."""
    return bool(tapes) and getattr(x, "node", None) is not None


def record(
    y: Any, sources: Any, backward: Callable[[Any], list[Any]], once: bool = True
) -> "Tensor":
    """The array y as a tensor; if a tape is on, one made of these sources.

    backward: from dy to the gradient for each source, or None. once: whether it computes with
    arrays only, so that the gradient has no gradient itself.
    """
    made = np.asarray(y).view(Tensor)
    if made.dtype.kind == "f" and any(map(is_recorded, sources)):
        nodes = tuple(getattr(source, "node", None) for source in sources)
        made.node = Node(nodes, backward, once)
    return made


def parts_of(args: Any) -> list[Any]:
    """The arguments, and what lists among them hold."""
    return [part for a in args for part in (a if isinstance(a, list | tuple) else [a])]


def found_in(value: Any, kind: Any) -> list[Any]:
    """What is of a kind in a value, or in the lists and dicts that it is made of."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return [item for part in value for item in found_in(part, kind)]
    return [value] if isinstance(value, kind) else []


def _plain(x: Any) -> Any:
    """x, or what a list holds, as plain arrays."""
    if type(x) in (list, tuple):
        return type(x)(map(_plain, x))
    return x.array if isinstance(x, Computes) else x


def _held(x: Any) -> Any:
    """x as it is now: a variable will be given other numbers."""
    if type(x) in (list, tuple):
        return type(x)(map(_held, x))
    if isinstance(x, Tensor) or not isinstance(x, Computes):
        return x
    held = x.array.copy().view(Tensor)
    held.node = x.node
    return held


def apply(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """function(*args, **kwargs), a function of NumPy; a tensor, if a gradient can go back."""
    plain = _plain(args)
    result = function(*plain, **{name: _plain(value) for name, value in kwargs.items()})
    sources = parts_of(args)
    changes = any(isinstance(x, Computes) and not isinstance(x, Tensor) for x in sources)
    if changes and isinstance(result, np.ndarray) and result.base is not None:
        result = result.copy()  # not a view of a variable, which will be given other numbers
    if not any(map(is_recorded, sources)) or function in FLAT:
        return result
    if not isinstance(result, list) and getattr(result, "dtype", np.dtype(int)).kind != "f":
        return result  # such as argmax, or a comparison
    if changes:
        args = _held(args)
        plain = _plain(args)
    wanted = [getattr(arg, "node", None) is not None for arg in args]
    known = gradient_of(function, result, plain, kwargs, wanted)

    def backward(dy: Any) -> list[Any]:
        if not tapes:
            return known(dy)
        y = np.asarray(result).view(Tensor)
        y.node = node()
        return gradient_of(function, y, args, kwargs, wanted)(dy)  # of tensors: recorded once more

    made = record(result, sources, backward, once=function in ONLY_ONCE)
    # Weak, or the node would keep itself alive, and all that leads to it.
    node: Any = weakref.ref(made.node) if made.node else None
    return made


class Computes:
    """What NumPy asks when one of its functions is given such an object."""

    node: Node | None = None

    @property
    def array(self) -> Array:
        """The numbers, as a plain array."""
        raise NotImplementedError

    def get_shape(self) -> TensorShape:
        return TensorShape(self.array.shape)

    def assign(self, value: Any) -> Any:
        """Put other numbers into the array."""
        raise NotImplementedError

    def assign_add(self, value: Any, *_: Any, **__: Any) -> Any:
        return self.assign(self.array + np.asarray(value))

    def assign_sub(self, value: Any, *_: Any, **__: Any) -> Any:
        return self.assign(self.array - np.asarray(value))

    def __array_ufunc__(
        self, ufunc: Any, method: str, *inputs: Any, out: Any = None, **kwargs: Any
    ) -> Any:
        if out is not None:
            getattr(ufunc, method)(*_plain(inputs), out=_plain(out), **kwargs)
            return out[0] if len(out) == 1 else out
        if any(type(x) is np.float64 for x in inputs):  # no reason for a tensor of float64
            inputs = tuple(float(x) if type(x) is np.float64 else x for x in inputs)
        if method != "__call__":
            y = getattr(ufunc, method)(*_plain(inputs), **kwargs)
        else:
            y = apply(ufunc, inputs, kwargs)
        return np.asarray(y).view(Tensor) if type(y) is np.ndarray or np.isscalar(y) else y

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        y = apply(func, args, kwargs)
        return y.view(Tensor) if type(y) is np.ndarray else y


def _in_place(name: str) -> Callable[..., Any]:
    """x += 1 makes another tensor, as in TensorFlow: what was recorded with x stays as it was."""
    function = getattr(operator, name)

    def call(self: Any, other: Any) -> Any:
        return function(self, other)

    return call


for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul"):
    setattr(Computes, f"__i{_name}__", _in_place(_name))


class Tensor(Computes, np.ndarray):
    """A NumPy array, which scripts may ask for `.numpy()`."""

    def numpy(self) -> Array:
        """The plain array; a plain number if there is just one without a shape."""
        return np.asarray(self)[()]

    def __getitem__(self, key: Any) -> "Tensor":
        found = apply(operator.getitem, (self, key), {}) if is_recorded(self) else None
        return np.asarray(np.asarray(self)[key]).view(Tensor) if found is None else found

    def __iter__(self) -> Any:
        return (self[i] for i in range(len(self)))

    def __setitem__(self, key: Any, value: Any) -> None:
        if is_recorded(self):
            raise TypeError("expected a variable to change; received a recorded tensor")
        super().__setitem__(key, value)

    @property
    def array(self) -> Array:
        """The same numbers as a plain array."""
        return np.asarray(self)

    @property
    def T(self) -> Any:
        return np.transpose(self)

    def eval(self, session: Any = None, feed_dict: Any = None) -> Array:
        return self.numpy()

    shape: Any = property(lambda self: TensorShape(np.asarray(self).shape))

    # scikit-learn makes sets of the labels it is given
    def __hash__(self) -> int:  # type: ignore[override]
        return hash(self.item())  # ValueError for more than one number

    def assign(self, value: Any) -> "Tensor":
        self[...] = value
        return self

    def set_shape(self, shape: Any) -> None:
        """Nothing to do: an array knows its shape."""

    def value(self) -> "Tensor":
        return self

    def __str__(self) -> str:
        return f"tf.Tensor({np.asarray(self)}, shape={self.shape}, dtype={self.dtype})"

    def __repr__(self) -> str:
        numbers = repr(np.asarray(self)) if self.ndim else self.numpy()
        return f"<tf.Tensor: shape={self.shape}, dtype={self.dtype}, numpy={numbers}>"

    def __format__(self, spec: str) -> str:
        return format(self.numpy(), spec) if self.ndim == 0 else super().__format__(spec)


def _method(name: str) -> Callable[..., Any]:
    function = getattr(np, name)

    def call(self: Tensor, *args: Any, **kwargs: Any) -> Any:
        if name in ("reshape", "transpose") and len(args) > 1:  # x.reshape(2, 3)
            args = (args,)
        return function(self, *args, **kwargs)

    return call


for _name in (
    *("sum", "mean", "prod", "var", "std", "max", "min", "cumsum", "clip", "round", "dot"),
    *("reshape", "transpose", "ravel", "squeeze", "swapaxes", "take", "repeat"),
):
    setattr(Tensor, _name, _method(_name))


def tensor(x: Any, dtype: Any = None) -> Tensor:
    """x as a Tensor; Python's floats become float32 and integers int32, as in TensorFlow."""
    if isinstance(x, list | tuple) and any(map(is_recorded, x)):
        x = np.stack(x)
    if is_recorded(x) and (dtype is None or x.dtype == dtype):
        return x if isinstance(x, Tensor) else apply(np.copy, (x,), {})
    array = np.asarray(x)
    if dtype is not None:
        array = array.astype(dtype)
    elif not hasattr(x, "dtype"):
        array = array.astype({"f": np.float32, "i": np.int32}.get(array.dtype.kind, array.dtype))
    if is_recorded(x):
        return record(array, [x], lambda dy: [dy.astype(x.dtype)])
    return array.view(Tensor)
