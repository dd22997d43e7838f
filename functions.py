"""The formulas that every network in this library is made of: activations, losses, label encodings
and scalings, each a plain function of NumPy arrays; and two gradient checks: `numerical_gradient`
(central differences, entry by entry) and `gradient_check` (a few random directions).

Notation is that of Saito, *Deep Learning from Scratch*: `x` is an input, `y` an output, `t` the
target, and the rows of a two-dimensional array are the samples of a batch.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from digits.types import Array
from digits.validation import check, generator, is_number

without_warnings = np.errstate(over="ignore", invalid="ignore")
"""Decorator: silence NumPy's warnings of overflow; callers see inf or nan instead."""

# --- activations ----------------------------------------------------------------------------------

LEAKY_SLOPE = 0.2
"""Of `leaky_relu` below 0; Keras' default."""

TANH_AMPLITUDE, TANH_STEEPNESS = 1.7159, 2 / 3
"""Of `scaled_tanh` (LeCun et al. 1998, appendix A)."""


@without_warnings
def sigmoid(x: ArrayLike) -> Array:
    """1 / (1 + exp(-x)), element by element, in [0, 1].

    For large -x the exponential overflows to inf, and the result is 0, as it should be. Small
    results before that keep their relative precision.
    """
    return 1 / (1 + np.exp(-unmasked(x)))


def sigmoid_grad(x: ArrayLike) -> Array:
    """Derivative of the sigmoid: y (1 - y), where 1 - sigmoid(x) = sigmoid(-x) loses no digits."""
    return sigmoid(x) * sigmoid(np.negative(x))


def tanh(x: ArrayLike) -> Array:
    """Hyperbolic tangent, in (-1, 1)."""
    return np.tanh(x)


def scaled_tanh(x: ArrayLike) -> Array:
    """1.7159 tanh(2x / 3), the activation of LeNet-5: 1 and -1 stay where they are."""
    return TANH_AMPLITUDE * np.tanh(unmasked(x) * TANH_STEEPNESS)


def relu(x: ArrayLike) -> Array:
    """max(x, 0), the rectified linear unit (Nair and Hinton 2010)."""
    return np.maximum(x, np.zeros_like(x))  # NumPy compares two arrays twice as fast as array and 0


def relu_grad(x: ArrayLike) -> Array:
    """Derivative of relu: 1 where x > 0, else 0; at x = 0 that of the left side is taken."""
    return np.greater(x, 0).astype(_float_dtype(x))


def leaky_relu(x: ArrayLike, negative_slope: float = LEAKY_SLOPE) -> Array:
    """x where x > 0, else negative_slope * x (Maas et al. 2013)."""
    x = unmasked(x)
    return np.where(x > 0, x, negative_slope * x)


def elu(x: ArrayLike, alpha: float = 1.0) -> Array:
    """x where x > 0, else alpha (exp(x) - 1), in (-alpha, inf) (Clevert et al. 2015)."""
    x = unmasked(x)
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def softmax(x: ArrayLike) -> Array:
    """exp(x) / sum(exp(x)) along the last axis: logits (..., k) become probabilities that sum to 1.

    Subtracting the largest logit changes nothing, as numerator and denominator shrink by the same
    factor, but then no exponent is above 0 and nothing can overflow.
    """
    e = np.exp(x - np.max(x, axis=-1, keepdims=True))
    return e / np.sum(e, axis=-1, keepdims=True)


# --- inputs and labels ----------------------------------------------------------------------------


def to_inputs(
    x: ArrayLike, input_size: int = 784, dtype: DTypeLike = np.float32, *, finite: bool = True
) -> Array:
    """A batch of inputs as an array (n, input_size) of the given dtype: every network passes its
    inputs through here.

    Raises TypeError for integers: raw pixels of 0 to 255 have to be divided by 255 first, or a
    network trained on [0, 1] predicts wrongly with great confidence. Raises ValueError for
    another shape, and for pixels that are NaN or infinite; with finite=False the caller promises to
    call `require_finite` when the loss is not finite.
    """
    x = unmasked(x)
    if x.dtype.kind != "f":
        raise TypeError(
            f"expected inputs of a float type, scaled to [0, 1]; received {x.dtype}; "
            "load them with load_mnist(normalize=True), divide raw pixels by 255, or convert other "
            "numbers with x.astype(float)"
        )
    if x.ndim != 2 or x.shape[1] != input_size:
        single = "; for a single sample pass x[np.newaxis]" if x.shape == (input_size,) else ""
        raise ValueError(
            f"expected inputs of shape (n, {input_size}), a row for each sample; "
            f"received shape {x.shape}{single}"
        )
    if x.dtype != dtype:
        with np.errstate(over="ignore"):  # what it cannot hold becomes inf, and is refused as such
            x = x.astype(dtype)
    if finite:
        require_finite(x)
    return x


def unmasked(x: ArrayLike) -> Array:
    """x as an array. Raises ValueError for a masked array, whose mask arithmetic would ignore."""
    if isinstance(x, np.ma.MaskedArray) and np.ma.is_masked(x):
        masked = int(np.ma.getmaskarray(x).sum())
        raise ValueError(
            f"expected numbers everywhere; received a masked array with {masked:,} masked entries: "
            "fill them, as in x.filled(0)"
        )
    return np.asarray(x)


@without_warnings
def require_finite(x: Array, what: str = "inputs") -> None:
    """Raise ValueError, naming the first bad value, if an array (n, ...) is not finite."""
    # A nan or inf makes the sum of squares nan or inf: one quick test for all of them. (So do
    # enormous finite numbers, hence the closer look.)
    if x.dtype.kind != "f" or math.isfinite(np.vdot(x, x)):
        return
    x = x.reshape(len(x), -1)
    bad = np.argwhere(~np.isfinite(x))
    if len(bad):
        row, column = bad[0]
        raise ValueError(
            f"expected finite {what}; received {x[row, column]} in sample {row}, value {column}, "
            f"counted from 0, and {len(bad) - 1:,} more like it: correct or leave out such samples"
        )


def to_one_hot(labels: ArrayLike, classes: int = 10, dtype: DTypeLike = np.float32) -> Array:
    """Class indices (n,), checked by `to_labels`, as rows (n, classes) of zeros with a single 1."""
    return np.eye(classes, dtype=dtype)[to_labels(labels, classes)]


def to_labels(t: ArrayLike, classes: int = 10) -> NDArray[np.intp]:
    """The targets of a batch as class indices (n,), from indices (n,) or one-hot rows (n, classes).

    Every network passes its targets through here. Raises ValueError for anything else: a wrong
    shape, fractions, labels out of range, rows that are not one-hot.
    """
    t = unmasked(t)
    advice = "number them, as np.unique(t, return_inverse=True)[1] does"
    check(t.dtype.kind in "biuf", "labels that are numbers", t.dtype, advice)
    if t.ndim == 2 and t.shape[1] == classes:
        one_hot = np.isin(t, (0, 1)).all(axis=1) & (np.count_nonzero(t, axis=1) == 1)
        if not one_hot.all():
            raise ValueError(
                f"expected one-hot labels: a single 1 and {classes - 1} zeros in every row; "
                f"received row {t[~one_hot][0]}: others need loss='categorical_crossentropy'"
            )
        return np.argmax(t, axis=1)
    if t.ndim != 1:
        raise ValueError(
            f"expected labels of shape (n,), class indices, or (n, {classes}), one-hot; "
            f"received shape {t.shape}{': pass t.ravel()' if t.shape[1:] == (1,) else ''}"
        )
    if t.dtype.kind in "biu" and len(t):
        labels = t.astype(np.intp, copy=False)
        if np.maximum.reduce(labels.view(np.uintp)) < classes:  # unsigned, negative ones are huge
            return labels
    valid = (t >= 0) & (t < classes)
    if t.dtype.kind == "f":
        valid &= t == np.floor(t)
    if not valid.all():
        raise ValueError(
            f"expected labels that are integers 0 to {classes - 1}; received {t[~valid][0]}"
        )
    return t.astype(np.intp, copy=False)


# --- losses ---------------------------------------------------------------------------------------


def cross_entropy_error(y: ArrayLike, t: ArrayLike) -> float:
    """Mean of -log(probability of the target class): the textbook form of the loss.

    y: probabilities (n, k), or (k,) for a single sample. t: class indices (n,) or one-hot (n, k);
    for a single sample an index, or (k,). A probability of 0 counts as the smallest normal number
    of its dtype, so the loss is large but finite.

    Training uses `softmax_cross_entropy` instead: once softmax has rounded a probability to 0 or 1,
    what the gradient needs is lost.
    """
    y = np.asarray(y)
    if y.ndim == 1:  # one sample is a batch of one
        y, t = y[np.newaxis], np.asarray(t)[np.newaxis]
    labels = _labels_for(y, t)
    p = y[np.arange(len(y)), labels]
    check(not np.any((p < 0) | (p > 1.01)), "probabilities", p, "pass softmax(y) for logits y")
    return float(-np.mean(np.log(np.maximum(p, np.finfo(_float_dtype(y)).tiny))))


def softmax_cross_entropy(x: Array, t: ArrayLike, label_smoothing: float = 0.0) -> float:
    """Cross-entropy of softmax(x) against t, computed from the logits x (n, k).

    -log(exp(x_t) / sum(exp(x))) = log(sum(exp(x))) - x_t: no probability is ever formed, so none
    can round to 0.

    With label_smoothing s every class gets s / k of the target, and t the other 1 - s besides,
    which keeps a network from growing ever more certain (Szegedy et al. 2016, section 7). In the
    formula x_t becomes (1 - s) x_t + s mean(x).
    """
    labels, n = _labels_for(x, t), len(x)
    x = x - np.max(x, axis=1, keepdims=True)
    x_t = x[np.arange(n), labels]
    if label_smoothing:
        x_t = (1 - label_smoothing) * x_t + label_smoothing * np.mean(x, axis=1)
    return float(np.mean(np.log(np.sum(np.exp(x), axis=1)) - x_t))


def softmax_cross_entropy_with_grad(
    x: Array, t: ArrayLike, label_smoothing: float = 0.0
) -> tuple[float, Array]:
    """`softmax_cross_entropy` and its gradient with respect to the logits x: (y - t) / n, with
    y = softmax(x) and t one-hot (and smoothed). The two share the exponentials.

    Softmax and logarithm cancel: the derivative of log(sum(exp(x))) with respect to x_j is
    exp(x_j) / sum(exp(x)) = y_j, that of -x_t is -1 for j = t and 0 for the others.
    """
    labels, n = _labels_for(x, t), len(x)
    at_target = labels, np.arange(n)  # the positions of the targets in an array (k, n)
    x = np.asarray(x).T.copy()  # (k, n): what follows goes over all samples of a class at once
    x -= np.maximum.reduce(x)  # np.max(x, axis=0), faster to call; np.add.reduce is np.sum
    x_t = x[at_target]  # (n,)
    if label_smoothing:
        x_t = (1 - label_smoothing) * x_t + label_smoothing * np.mean(x, axis=0)
    y = np.exp(x)
    total = np.add.reduce(y)
    loss = float(np.add.reduce(np.log(total) - x_t) / n)
    y /= n * total  # probabilities / n, from which t / n is taken away
    if label_smoothing:
        y -= label_smoothing / (n * len(y))  # len(y) is k, the number of classes
    y[at_target] -= (1 - label_smoothing) / n
    return loss, y.T


def squared_error(y: ArrayLike, t: ArrayLike) -> float:
    """Half the squared distance of outputs from targets, both (n, k), averaged over samples."""
    y, t = _same_shape(y, t)
    return float(0.5 * np.sum((y - t) ** 2) / len(y))


def squared_error_grad(y: ArrayLike, t: ArrayLike) -> Array:
    """Gradient of `squared_error` with respect to y: (y - t) / n."""
    y, t = _same_shape(y, t)
    return (y - t) / len(y)


def accuracy(y: ArrayLike, t: ArrayLike) -> float:
    """Ratio of the samples, 0 to 1, whose largest output in y (n, k) is that of the target; where
    an output is nan, none is the largest.
    """
    labels = _labels_for(y, t)
    return float(np.mean((np.argmax(y, axis=1) == labels) & ~np.isnan(y).any(axis=1)))


def _labels_for(y: ArrayLike, t: ArrayLike) -> NDArray[np.intp]:
    """Class indices from t, one for every row of y."""
    y = np.asarray(y)
    if y.ndim != 2 or y.size == 0 or y.dtype.kind not in "biuf":
        raise ValueError(
            "expected outputs that are real numbers of shape (n, classes) with n >= 1; "
            f"received {y.dtype} of shape {y.shape}"
        )
    labels = to_labels(t, y.shape[1])
    if len(labels) != len(y):
        raise ValueError(
            f"expected one label for each of {len(y)} samples; received {len(labels)} labels"
        )
    return labels


def _same_shape(y: ArrayLike, t: ArrayLike) -> tuple[Array, Array]:
    y, t = np.asarray(y), np.asarray(t)
    real = y.dtype.kind in "iuf" and t.dtype.kind in "biuf"
    if y.shape != t.shape or y.ndim != 2 or len(y) == 0 or not real:
        raise ValueError(
            "expected outputs and targets that are real numbers of one shape (n, k), n >= 1; "
            f"received {y.dtype} {y.shape} and {t.dtype} {t.shape}"
        )
    return y, t


# --- scaling --------------------------------------------------------------------------------------


@without_warnings
def min_max_scale(x: ArrayLike) -> Array:
    """x shifted and scaled to the range 0 to 1; a constant x becomes zeros."""
    x = _to_scale(x)
    low, high = np.min(x), np.max(x)
    return np.zeros_like(x) if low == high else (x - low) / (high - low)


@without_warnings
def z_score_scale(x: ArrayLike) -> Array:
    """x shifted and scaled to mean 0 and standard deviation 1; a constant x becomes zeros."""
    x = _to_scale(x)
    # A constant is recognized by its range, as rounding can give it a deviation that is not 0.
    return np.zeros_like(x) if np.min(x) == np.max(x) else (x - np.mean(x)) / np.std(x)


def _to_scale(x: ArrayLike) -> Array:
    x = unmasked(x)
    if x.dtype.kind not in "biuf" or x.size == 0:
        raise ValueError(f"expected real numbers, at least one; received {x.dtype} {x.shape}")
    return x.astype(_float_dtype(x))


def _float_dtype(x: ArrayLike) -> np.dtype[Any]:
    """The dtype of x if it is a float, else float64: integers have no gradient."""
    dtype = np.asarray(x).dtype
    return dtype if np.issubdtype(dtype, np.floating) else np.dtype(np.float64)


# --- gradient checks ------------------------------------------------------------------------------


def numerical_gradient(
    f: Callable[[Array], float], x: Array, h: float = 1e-4, entries: Iterable[int] | None = None
) -> Array:
    """Gradient of f at x by central differences, for every entry of x:
    (f(x + h) - f(x - h)) / (2h).

    x: float64 array of any shape; each entry is changed in place and put back, also when f raises.
    `entries` restricts the work to some positions of x.ravel() (the others come back as nan),
    because the cost is two evaluations of f for every entry: good to learn from, too slow for a
    million weights.

    The error of a central difference is about h^2 f''' / 6 from the size of the step and 1e-16 f /
    h from rounding; h = 1e-4 makes these some 1e-9 and 1e-12. In float32 the rounding would be
    larger than the difference: anything but float64 raises TypeError. (Saito's book, chapter 4.)
    """
    _require_float64(x)
    grad = np.full(x.shape, np.nan)
    for i in range(x.size) if entries is None else entries:
        position = np.unravel_index(i, x.shape)
        value = x[position]
        try:
            x[position] = value + h
            above = f(x)
            x[position] = value - h
            below = f(x)
        finally:
            x[position] = value
        check(is_number(above), "f to return one number, as a loss is", above)
        grad[position] = (above - below) / (2 * h)
    return grad


def directional_error(
    f: Callable[[Array], float],
    x: Array,
    gradient: Array,
    directions: int = 3,
    h: float = 1e-4,
    rng: np.random.Generator | None = None,
) -> float:
    """Largest relative error of an analytic gradient of f at x, along random directions.

    Along a direction d of length 1 the derivative of f is the inner product gradient . d, and its
    numerical value takes two evaluations of f whatever the size of x. An error in any entry shows
    in almost every direction. The error is relative to the larger of both derivatives, or, where
    they happen to be small, to their typical size: |gradient| / sqrt(size), as the squares of d's
    entries are 1 / size on average.
    """
    _require_float64(x)
    check(gradient.shape == x.shape, f"a gradient of the shape of x, {x.shape}", gradient.shape)
    rng = generator(np.random.default_rng(0) if rng is None else rng)
    start, typical = x.copy(), float(np.linalg.norm(gradient)) / math.sqrt(max(1, x.size))
    worst = 0.0
    try:
        for _ in range(directions):
            d = rng.standard_normal(x.shape)
            d /= np.linalg.norm(d)
            x[...] = start + h * d
            above = f(x)
            x[...] = start - h * d
            below = f(x)
            check(is_number(above), "f to return one number, as a loss is", above)
            numerical, analytic = (above - below) / (2 * h), float(np.sum(gradient * d))
            scale = max(abs(numerical), abs(analytic), typical)
            error = abs(numerical - analytic) / scale if scale != 0 else 0.0
            worst = max(worst, error) if math.isfinite(error) else math.inf
    finally:
        x[...] = start
    return worst


def gradient_check(
    network: Any,
    x: Array,
    t: ArrayLike,
    directions: int = 3,
    h: float = 1e-4,
    rng: np.random.Generator | None = None,
) -> float:
    """Largest relative error of `network.gradient(x, t)` against the numerical derivative of
    `network.loss(x, t)`, for any `digits.nn.network.Network`.

    Works on a float64 copy of the network, over all its parameters as one vector: 2 * directions
    forward passes for a network of any size. A correct gradient gives about 1e-9, a formula that is
    1 % wrong somewhere 1e-4 to 1e-2.
    """
    network = network.astype(np.float64)
    gradient = network.gradient(x, t).flat
    # The loss need not look at the vector it is given: that is the network's own memory.
    return directional_error(
        lambda _: network.loss(x, t), network.params.flat, gradient, directions, h, rng
    )


def _require_float64(x: Array) -> None:
    if not (isinstance(x, np.ndarray) and x.dtype == np.float64):
        received = x.dtype if isinstance(x, np.ndarray) else type(x).__name__
        raise TypeError(
            "expected a float64 array, as differences are lost in the rounding of any other dtype; "
            f"received {received}; convert it with x.astype(numpy.float64)"
        )
