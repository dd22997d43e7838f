"""The gradient function of each function of NumPy: from dy, the gradient of a number with respect
to y = f(x1, x2, ...), to those with respect to x1, x2, ...

The rules call functions of NumPy alone, so that they can be differentiated again.
"""

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

Gradient = Callable[[Any], list[Any]]
"""From dy to the gradient for each array that the function was given; None for those without."""

OF_ONE: dict[Any, Callable[[Any, Any], Any]] = {
    np.positive: lambda x, y: 1.0,
    np.negative: lambda x, y: -1.0,
    np.exp: lambda x, y: y,
    np.expm1: lambda x, y: y + 1,
    np.log: lambda x, y: 1 / x,
    np.log2: lambda x, y: 1 / (x * float(np.log(2))),
    np.log10: lambda x, y: 1 / (x * float(np.log(10))),
    np.log1p: lambda x, y: 1 / (1 + x),
    np.sqrt: lambda x, y: 0.5 / y,
    np.square: lambda x, y: 2 * x,
    np.reciprocal: lambda x, y: -y * y,
    np.absolute: lambda x, y: np.sign(x),
    np.sin: lambda x, y: np.cos(x),
    np.cos: lambda x, y: -np.sin(x),
    np.tan: lambda x, y: 1 + y * y,
    np.arcsin: lambda x, y: 1 / np.sqrt(1 - x * x),
    np.arccos: lambda x, y: -1 / np.sqrt(1 - x * x),
    np.arctan: lambda x, y: 1 / (1 + x * x),
    np.sinh: lambda x, y: np.cosh(x),
    np.cosh: lambda x, y: np.sinh(x),
    np.tanh: lambda x, y: 1 - y * y,
}
"""Derivatives of functions of one number: of (x, y)."""

OF_TWO: dict[Any, tuple[Callable[..., Any], Callable[..., Any]]] = {
    np.add: (lambda x1, x2, y: 1.0, lambda x1, x2, y: 1.0),
    np.subtract: (lambda x1, x2, y: 1.0, lambda x1, x2, y: -1.0),
    np.multiply: (lambda x1, x2, y: x2, lambda x1, x2, y: x1),
    np.divide: (lambda x1, x2, y: 1 / x2, lambda x1, x2, y: -y / x2),
    np.power: (
        lambda x1, x2, y: x2 * np.power(x1, np.where(np.equal(x2, 0), 1, np.subtract(x2, 1))),
        lambda x1, x2, y: y * np.log(np.where(np.greater(x1, 0), x1, 1)),
    ),
    np.maximum: (lambda a, b, y: np.greater_equal(a, b), lambda a, b, y: np.less(a, b)),
    np.minimum: (lambda a, b, y: np.less_equal(a, b), lambda a, b, y: np.greater(a, b)),
    np.logaddexp: (lambda x1, x2, y: np.exp(x1 - y), lambda x1, x2, y: np.exp(x2 - y)),
    np.remainder: (lambda x1, x2, y: 1.0, lambda x1, x2, y: -np.floor_divide(x1, x2)),
    np.arctan2: (lambda a, b, y: b / (a * a + b * b), lambda a, b, y: -a / (a * a + b * b)),
}
"""Derivatives of functions of two numbers, by the first and by the second: of (x1, x2, y)."""

FLAT = (
    *(np.sign, np.floor, np.ceil, np.rint, np.trunc, np.round, np.floor_divide),
    *(np.zeros_like, np.ones_like, np.full_like),
)
"""Functions whose derivative is 0 wherever they have one."""


def gradient_of(
    function: Any, y: Any, args: tuple[Any, ...], kwargs: dict[str, Any], wanted: Any = (True, True)
) -> Gradient:
    """The gradient function of `y = function(*args, **kwargs)`; `wanted` says, for functions of two
    numbers, whether the gradient of each is asked for.

    Raises NotImplementedError for a function without a rule.
    """
    if function in OF_ONE:
        return lambda dy: [dy * OF_ONE[function](args[0], y)]
    if function in OF_TWO:
        first, second = args
        return lambda dy: [
            _summed_to(np.shape(x), dy * derivative(first, second, y)) if asked else None
            for x, derivative, asked in zip(args, OF_TWO[function], wanted, strict=True)
        ]
    if function not in RULES:
        name = getattr(function, "__name__", function)
        advice = "write it with functions that have one, such as those of keras.ops"
        raise NotImplementedError(f"there is no derivative of {name} here: {advice}")
    rule: Gradient = RULES[function](y, *args, **kwargs)
    return rule


def _summed_to(shape: tuple[int, ...], dy: Any) -> Any:
    """What a number that was used several times gets: dy summed over the axes of broadcasting."""
    ahead = tuple(range(np.ndim(dy) - len(shape)))
    dy = np.sum(dy, axis=ahead) if ahead else dy
    stretched = tuple(i for i, n in enumerate(shape) if n == 1 and np.shape(dy)[i] != 1)
    return np.sum(dy, axis=stretched, keepdims=True) if stretched else dy


# --- products -------------------------------------------------------------------------------------


def _matmul(y: Any, x1: Any, x2: Any) -> Gradient:
    """Y = X1 X2 gives dX1 = dY X2^T and dX2 = X1^T dY; a vector is a matrix of one row, or one
    column.
    """
    row, column = np.ndim(x1) == 1, np.ndim(x2) == 1
    m1 = np.expand_dims(x1, 0) if row else x1
    m2 = np.expand_dims(x2, 1) if column else x2

    def gradient(dy: Any) -> list[Any]:
        dy = np.expand_dims(dy, -1) if column else dy
        dy = np.expand_dims(dy, -2) if row else dy
        d1 = np.matmul(dy, np.swapaxes(m2, -1, -2))
        if np.ndim(m2) == 2:  # the same for all matrices in m1: one product instead of a sum
            rows = np.reshape(m1, (-1, np.shape(m1)[-1])), np.reshape(dy, (-1, np.shape(dy)[-1]))
            d2 = np.matmul(np.transpose(rows[0]), rows[1])
        else:
            d2 = np.matmul(np.swapaxes(m1, -1, -2), dy)
        d1, d2 = _summed_to(np.shape(m1), d1), _summed_to(np.shape(m2), d2)
        return [np.reshape(d1, np.shape(x1)), np.reshape(d2, np.shape(x2))]

    return gradient


def _dot(y: Any, x1: Any, x2: Any) -> Gradient:
    if np.ndim(x1) == 0 or np.ndim(x2) == 0:
        return gradient_of(np.multiply, y, (x1, x2), {})
    if np.ndim(x2) > 2:
        raise NotImplementedError("there is no derivative of dot of such arrays here: use matmul")
    return _matmul(y, x1, x2)


def _einsum(y: Any, subscripts: str, *operands: Any) -> Gradient:
    """Each operand gets the product of dy and of the other operands, summed over what it lacks."""
    inputs, arrow, output = subscripts.replace(" ", "").partition("->")
    letters = inputs.split(",")
    if not arrow or "." in subscripts or any(len(set(part)) < len(part) for part in letters):
        raise NotImplementedError("expected einsum with ->, and no letter twice in an operand")

    def one(dy: Any, i: int) -> Any:
        others = [(part, x) for j, (part, x) in enumerate(zip(letters, operands, strict=True))]
        del others[i]
        known = set(output).union(*(part for part, _ in others))
        kept = "".join(letter for letter in letters[i] if letter in known)
        rule = ",".join([output, *(part for part, _ in others)]) + "->" + kept
        dx = np.einsum(rule, dy, *(x for _, x in others))
        missing = tuple(k for k, letter in enumerate(letters[i]) if letter not in known)
        return np.broadcast_to(np.expand_dims(dx, missing), np.shape(operands[i]))

    return lambda dy: [None, *(one(dy, i) for i in range(len(operands)))]


# --- sums -----------------------------------------------------------------------------------------


def _with_axes(x: Any, reduced: Any, axis: Any) -> Any:
    """What a function has made of the axes of x, with these axes again, of size 1."""
    axes = range(np.ndim(x)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    ones = {a % np.ndim(x) for a in axes}
    shape = tuple(1 if i in ones else n for i, n in enumerate(np.shape(x)))
    return np.reshape(reduced, shape)


def _sum(y: Any, a: Any, axis: Any = None, keepdims: bool = False) -> Gradient:
    return lambda dy: [np.broadcast_to(_with_axes(a, dy, axis), np.shape(a))]


def _mean(y: Any, a: Any, axis: Any = None, keepdims: bool = False) -> Gradient:
    count = np.size(a) / max(np.size(y), 1)
    return lambda dy: [np.broadcast_to(_with_axes(a, dy, axis), np.shape(a)) / count]


def _extreme(y: Any, a: Any, axis: Any = None, keepdims: bool = False) -> Gradient:
    """All that are equally large, or small, share the gradient."""
    found = np.equal(a, _with_axes(a, y, axis))
    return lambda dy: [
        _with_axes(a, dy, axis) * found / _with_axes(a, np.sum(found, axis=axis), axis)
    ]


def _prod(y: Any, a: Any, axis: Any = None, keepdims: bool = False) -> Gradient:
    """Each gets the product of the others: 0 for all but the zero, if there is one, among them."""
    zero = np.equal(a, 0)
    count = np.sum(zero, axis=axis, keepdims=True)
    others = np.where(zero, 1, a)
    product = np.prod(others, axis=axis, keepdims=True) / others
    return lambda dy: [_with_axes(a, dy, axis) * product * np.equal(count, zero)]


def _var(y: Any, a: Any, axis: Any = None, keepdims: bool = False) -> Gradient:
    """The mean of (a - mean)^2 moves with a by 2 (a - mean) / n: that the mean moves adds 0."""
    count = np.size(a) / max(np.size(y), 1)
    centered = a - np.mean(a, axis=axis, keepdims=True)
    return lambda dy: [_with_axes(a, dy, axis) * (2 / count) * centered]


def _std(y: Any, a: Any, axis: Any = None, keepdims: bool = False) -> Gradient:
    rule = _var(y, a, axis)
    return lambda dy: rule(dy / (2 * y))


def _cumsum(y: Any, a: Any, axis: int | None = None) -> Gradient:
    def gradient(dy: Any) -> list[Any]:
        return [np.reshape(np.flip(np.cumsum(np.flip(dy, axis), axis), axis), np.shape(a))]

    return gradient


def _cumprod(y: Any, a: Any, axis: int | None = None) -> Gradient:
    rule = _cumsum(y, a, axis)
    return lambda dy: [rule(dy * y)[0] / a]


# --- other arrangements of the same numbers -------------------------------------------------------


def _reshape(y: Any, a: Any, *_: Any, **__: Any) -> Gradient:
    return lambda dy: [np.reshape(dy, np.shape(a))]


def _transpose(y: Any, a: Any, axes: Any = None) -> Gradient:
    back = None if axes is None else tuple(int(i) for i in np.argsort(axes))
    return lambda dy: [np.transpose(dy, back)]


def _tile(y: Any, A: Any, reps: Any) -> Gradient:
    """Each number of A is there once for each repetition, of which there is an axis before its."""
    reps = (reps,) if np.ndim(reps) == 0 else tuple(map(int, reps))
    rank = max(len(reps), np.ndim(A))
    sizes = (1,) * (rank - np.ndim(A)) + np.shape(A)
    reps = (1,) * (rank - len(reps)) + reps
    both = [n for pair in zip(reps, sizes, strict=True) for n in pair]
    repeated = tuple(range(0, 2 * rank, 2))
    return lambda dy: [np.reshape(np.sum(np.reshape(dy, both), axis=repeated), np.shape(A))]


def _repeat(y: Any, a: Any, repeats: int, axis: int | None = None) -> Gradient:
    shape = (np.size(a),) if axis is None else np.shape(a)
    after = (axis or 0) % len(shape) + 1
    split = (*shape[:after], repeats, *shape[after:])
    return lambda dy: [np.reshape(np.sum(np.reshape(dy, split), axis=after), np.shape(a))]


def _pad(y: Any, array: Any, pad_width: Any, mode: str = "constant", **_: Any) -> Gradient:
    if mode != "constant":
        raise NotImplementedError(f"there is no derivative of pad with mode {mode!r} here")
    widths = np.broadcast_to(pad_width, (np.ndim(array), 2))
    inner = tuple(slice(w[0], w[0] + n) for w, n in zip(widths, np.shape(array), strict=True))
    return lambda dy: [operator.getitem(dy, inner)]


def _concatenate(y: Any, arrays: Any, axis: int = 0) -> Gradient:
    ends = np.cumsum([np.shape(a)[axis] for a in arrays])
    axis %= np.ndim(y)

    def gradient(dy: Any) -> list[Any]:
        starts = [0, *ends[:-1]]
        parts = (slice(start, end) for start, end in zip(starts, ends, strict=True))
        return [operator.getitem(dy, (slice(None),) * axis + (part,)) for part in parts]

    return gradient


def _stack(y: Any, arrays: Any, axis: int = 0) -> Gradient:
    axis %= np.ndim(y)
    return lambda dy: [
        operator.getitem(dy, (slice(None),) * axis + (i,)) for i in range(len(arrays))
    ]


# --- choices --------------------------------------------------------------------------------------


def _where(y: Any, condition: Any, x1: Any, x2: Any) -> Gradient:
    return lambda dy: [
        None,
        None if np.isscalar(x1) else _summed_to(np.shape(x1), np.where(condition, dy, 0)),
        None if np.isscalar(x2) else _summed_to(np.shape(x2), np.where(condition, 0, dy)),
    ]


def _clip(y: Any, a: Any, a_min: Any = None, a_max: Any = None) -> Gradient:
    low, high = (-np.inf if a_min is None else a_min), (np.inf if a_max is None else a_max)
    inside = np.greater_equal(a, low) & np.less_equal(a, high)
    return lambda dy: [dy * inside, None, None]


def _getitem(y: Any, x: Any, key: Any) -> Gradient:
    """Numbers that were not chosen get 0; one that was chosen twice gets both gradients."""

    def gradient(dy: Any) -> list[Any]:
        dx = np.zeros(np.shape(x), np.asarray(dy).dtype)
        if all(isinstance(part, slice) for part in (key if isinstance(key, tuple) else [key])):
            dx[key] = np.asarray(dy)
        else:
            np.add.at(dx, key, np.asarray(dy))
        return [dx]

    return gradient


def _take(y: Any, a: Any, indices: Any, axis: int | None = None) -> Gradient:
    if axis is None:
        rule = _getitem(y, np.ravel(a), np.asarray(indices))
        return lambda dy: [np.reshape(rule(dy)[0], np.shape(a))]
    return _getitem(y, a, (slice(None),) * (axis % np.ndim(a)) + (np.asarray(indices),))


def _take_along_axis(y: Any, arr: Any, indices: Any, axis: int) -> Gradient:
    key = list(np.indices(np.shape(indices), sparse=True))
    key[axis % np.ndim(arr)] = np.asarray(indices)
    return _getitem(y, arr, tuple(key))


RULES: dict[Any, Callable[..., Gradient]] = {
    **{np.matmul: _matmul, np.dot: _dot, np.einsum: _einsum},
    **{np.sum: _sum, np.mean: _mean, np.prod: _prod, np.var: _var, np.std: _std},
    **{np.max: _extreme, np.min: _extreme, np.amax: _extreme, np.amin: _extreme},
    **{np.cumsum: _cumsum, np.cumprod: _cumprod, np.copy: _reshape},
    **dict.fromkeys((np.reshape, np.ravel, np.squeeze, np.expand_dims), _reshape),
    np.transpose: _transpose,
    np.swapaxes: lambda y, a, axis1, axis2: lambda dy: [np.swapaxes(dy, axis1, axis2)],
    np.moveaxis: lambda y, a, source, destination: (
        lambda dy: [np.moveaxis(dy, destination, source)]
    ),
    np.flip: lambda y, m, axis=None: lambda dy: [np.flip(dy, axis)],
    np.roll: lambda y, a, shift, axis=None: lambda dy: [np.roll(dy, np.negative(shift), axis)],
    np.broadcast_to: lambda y, array, shape: lambda dy: [_summed_to(np.shape(array), dy)],
    **{np.tile: _tile, np.repeat: _repeat, np.pad: _pad},
    **{np.concatenate: _concatenate, np.stack: _stack, np.where: _where, np.clip: _clip},
    **{operator.getitem: _getitem, np.take: _take, np.take_along_axis: _take_along_axis},
}
"""What takes y and the arguments of the function, and gives its gradient function."""

ONLY_ONCE = (operator.getitem, np.take, np.take_along_axis)
"""Functions whose rule cannot be differentiated again."""
