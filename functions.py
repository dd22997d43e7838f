"""The formulas that every network in this library is made of: activations and their gradients,
losses, label encodings and scalings, each a plain function of NumPy arrays.  Beside them stand the
two ways to doubt a gradient: `numerical_gradient` measures every slope by hand, `gradient_check`
measures a few random directions at once.

Notation is that of Saito, *Deep Learning from Scratch*: `x` is an input, `y` an output, `t` the
correct answer (the target), and the rows of a two-dimensional array are the samples of a batch.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from digits.types import Array

without_warnings = np.errstate(over="ignore", invalid="ignore")
"""Decorates what may meet numbers too large for their type: inf and nan tell of it, no warning
does, which would be an exception for those who run `python -W error`."""

# --- activations ----------------------------------------------------------------------------------


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), element by element, in (0, 1).

    Written with exp(-|x|), which can underflow but never overflow: for x < 0 numerator and
    denominator of the textbook formula are multiplied by exp(x).  So the tails keep their relative
    precision, without a warning.
    """
    z = np.exp(-np.abs(x))  # in [0, 1]
    # True counts as 1, False as 0: the numerator is 1 where x >= 0, elsewhere z, which is exp(x).
    return np.maximum(x >= 0, z) / (1 + z)


def sigmoid_grad(x: Array) -> Array:
    """Slope of the sigmoid: y (1 - y), with 1 - sigmoid(x) = sigmoid(-x), which loses no digits."""
    return sigmoid(x) * sigmoid(-x)


def tanh(x: Array) -> Array:
    """Hyperbolic tangent, in (-1, 1)."""
    return np.tanh(x)


def tanh_grad(x: Array) -> Array:
    """Slope of tanh: 1 - y^2 = 1 / cosh(x)^2, where 1 / cosh(x) = 2 z / (1 + z^2) with
    z = exp(-|x|), which cannot overflow.
    """
    z = np.exp(-np.abs(x))
    return (2 * z / (1 + z * z)) ** 2


def scaled_tanh(x: Array) -> Array:
    """1.7159 tanh(2x / 3), the squashing function of LeNet-5: it leaves 1 and -1 where they are
    (LeCun et al. 1998, appendix A).
    """
    return 1.7159 * np.tanh(x * (2 / 3))


def scaled_tanh_grad(x: Array) -> Array:
    """Slope of `scaled_tanh`, by the chain rule."""
    return 1.7159 * (2 / 3) * tanh_grad(x * (2 / 3))


def relu(x: Array) -> Array:
    """max(x, 0), the rectified linear unit (Nair and Hinton 2010)."""
    return np.maximum(x, np.zeros_like(x))  # NumPy compares two arrays twice as fast as array and 0


def relu_grad(x: Array) -> Array:
    """1 where x > 0, else 0; at the corner, x = 0, the slope from the left is taken: 0."""
    return np.greater(x, 0).astype(_float_dtype(x))


def leaky_relu(x: Array, negative_slope: float = 0.2) -> Array:
    """x where x > 0, else negative_slope * x (Maas et al. 2013; Keras' default slope)."""
    return np.where(x > 0, x, negative_slope * x)


def leaky_relu_grad(x: Array, negative_slope: float = 0.2) -> Array:
    """1 where x > 0, else negative_slope."""
    return np.where(x > 0, 1.0, negative_slope).astype(_float_dtype(x))


def elu(x: Array, alpha: float = 1.0) -> Array:
    """x where x > 0, else alpha (exp(x) - 1), in (-alpha, inf) (Clevert et al. 2015)."""
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def elu_grad(x: Array, alpha: float = 1.0) -> Array:
    """1 where x > 0, else alpha exp(x)."""
    e = np.exp(np.minimum(x, 0))
    return np.where(x > 0, np.ones_like(e), alpha * e)


def softmax(x: Array) -> Array:
    """exp(x) / sum(exp(x)) along the last axis: scores (..., k) become probabilities that sum to 1.

    Taking the largest score away first changes nothing, as numerator and denominator shrink by the
    same factor, but now no exponent is above 0 and nothing can overflow.
    """
    e = np.exp(x - np.max(x, axis=-1, keepdims=True))
    return e / np.sum(e, axis=-1, keepdims=True)


def softmax_grad(x: Array, dy: Array) -> Array:
    """Gradient with respect to x of any loss whose gradient with respect to y = softmax(x) is `dy`.

    Every output depends on every input, so the slope is a matrix for each sample: that of y_i by
    x_j is y_i ([i = j] - y_j), where [i = j] is 1 if i = j, else 0.  Its product with dy is all
    that backpropagation needs: dx_j = sum over i of dy_i y_i ([i = j] - y_j), which is
    dx = y * (dy - sum(dy * y)).
    """
    y = softmax(x)
    return y * (dy - np.sum(dy * y, axis=-1, keepdims=True))


# --- what enters a network ------------------------------------------------------------------------


@without_warnings  # what the type cannot hold becomes inf, and is refused as that
def to_inputs(
    x: ArrayLike, input_size: int = 784, dtype: DTypeLike = np.float32, *, finite: bool = True
) -> Array:
    """A batch of inputs as an array (n, input_size) of the given type: the one door by which images
    enter a network.

    Raises TypeError for integers: raw pixels of 0 to 255 have to be divided by 255 first, or a
    network trained on [0, 1] answers nonsense with great confidence.  Raises ValueError for another
    shape, and for pixels that are NaN or infinite; with finite=False the caller promises to call
    `require_finite` when the result is strange.
    """
    x = np.asarray(x)
    if not np.issubdtype(x.dtype, np.floating):
        raise TypeError(
            f"expected inputs of a float type, scaled to [0, 1]; received {x.dtype}; "
            "load them with load_mnist(normalize=True) or divide raw pixels by 255"
        )
    if x.ndim != 2 or x.shape[1] != input_size:
        raise ValueError(
            f"expected inputs of shape (n, {input_size}), a row for each sample; "
            f"received shape {x.shape}"
        )
    x = x.astype(dtype, copy=False)
    if finite:
        require_finite(x)
    return x


@without_warnings
def require_finite(x: Array) -> None:
    """Raise ValueError if inputs (n, ...) are not all finite numbers, saying which is the first
    that is not.
    """
    # A nan or inf would make the sum of squares nan or inf: a quick glance at all of them at once.
    # (So would enormous finite numbers, hence the closer look.)  Integers are always finite; other
    # types are refused by `to_inputs`.
    if x.dtype.kind != "f" or math.isfinite(np.vdot(x, x)):
        return
    x = x.reshape(len(x), -1)
    strange = np.argwhere(~np.isfinite(x))
    if len(strange):
        image, pixel = strange[0]
        raise ValueError(
            f"expected finite inputs; received {x[image, pixel]} in image {image}, pixel {pixel}, "
            f"counted from 0, and {len(strange) - 1:,} more like it: mend or leave out such images"
        )


def to_one_hot(labels: ArrayLike, classes: int = 10, dtype: DTypeLike = np.float32) -> Array:
    """Class indices (n,) become rows (n, classes) of zeros with a single 1.

    Raises ValueError when a label is not an integer in 0 .. classes - 1.
    """
    labels = to_labels(labels, classes)
    return np.eye(classes, dtype=dtype)[labels]


def to_labels(t: ArrayLike, classes: int = 10) -> NDArray[np.intp]:
    """The answers of a batch as class indices (n,), whether they came as indices (n,) or as one-hot
    rows (n, classes).

    This is the one door by which labels enter a network; behind it there are only indices.

    Raises ValueError for anything else: a wrong shape, fractions, labels out of range, rows that
    are not one-hot.
    """
    t = np.asarray(t)
    if t.dtype.kind not in "biuf":
        raise ValueError(f"expected labels that are numbers; received type {t.dtype}")
    if t.ndim == 2 and t.shape[1] == classes:
        one_hot = np.isin(t, (0, 1)).all(axis=1) & (np.count_nonzero(t, axis=1) == 1)
        if not one_hot.all():
            raise ValueError(
                f"expected one-hot labels: a single 1 and {classes - 1} zeros in every row; "
                f"received row {t[~one_hot][0]}"
            )
        return np.argmax(t, axis=1)
    if t.ndim != 1:
        raise ValueError(
            f"expected labels of shape (n,), class indices, or (n, {classes}), one-hot; "
            f"received shape {t.shape}"
        )
    right = (t >= 0) & (t < classes)
    if t.dtype.kind == "f":
        right &= t == np.floor(t)
    if not right.all():
        raise ValueError(
            f"expected labels that are integers 0 to {classes - 1}; received {t[~right][0]}"
        )
    return t.astype(np.intp)


# --- losses ---------------------------------------------------------------------------------------


def cross_entropy_error(y: Array, t: ArrayLike) -> float:
    """Mean of -log(probability given to the correct class): the loss as it is taught.

    y: probabilities (n, k), or (k,) for a single sample.  t: class indices (n,) or one-hot (n, k);
    for a single sample an index, or (k,).  A probability of 0 counts as the smallest number that
    its type holds in full precision, so the loss is large but finite.

    Training uses `softmax_cross_entropy` instead: once softmax has rounded a probability to 0 or 1,
    what the gradient needs is lost.
    """
    y = np.asarray(y)
    if y.ndim == 1:  # one sample is a batch of one
        y, t = y[np.newaxis], np.asarray(t)[np.newaxis]
    labels = _labels_for(y, t)
    p = y[np.arange(len(y)), labels]
    return float(-np.mean(np.log(np.maximum(p, np.finfo(_float_dtype(y)).tiny))))


def softmax_cross_entropy(x: Array, t: ArrayLike, label_smoothing: float = 0.0) -> float:
    """Cross-entropy of softmax(x) against t, straight from the scores x (n, k), called logits.

    -log(exp(x_t) / sum(exp(x))) = log(sum(exp(x))) - x_t: no probability is ever formed, so none
    can round to 0.

    With label_smoothing s the answer is not all t's: every class gets s / k of it, and t the other
    1 - s besides, which keeps a network from growing ever more certain (Szegedy et al. 2016,
    section 7).  In the formula x_t becomes (1 - s) x_t + s mean(x).
    """
    labels, n = _labels_for(x, t), len(x)
    x = x - np.max(x, axis=1, keepdims=True)
    answer = x[np.arange(n), labels]
    if label_smoothing:
        answer = (1 - label_smoothing) * answer + label_smoothing * np.mean(x, axis=1)
    return float(np.mean(np.log(np.sum(np.exp(x), axis=1)) - answer))


def softmax_cross_entropy_grad(x: Array, t: ArrayLike, label_smoothing: float = 0.0) -> Array:
    """Gradient of `softmax_cross_entropy` with respect to the scores: (y - t) / n, with t one-hot
    (and smoothed).

    Softmax and logarithm undo each other: the slope of log(sum(exp(x))) by x_j is
    exp(x_j) / sum(exp(x)) = y_j, that of -x_t is -1 for j = t and 0 for the others.
    """
    return softmax_cross_entropy_with_grad(x, t, label_smoothing)[1]


def softmax_cross_entropy_with_grad(
    x: Array, t: ArrayLike, label_smoothing: float = 0.0
) -> tuple[float, Array]:
    """`softmax_cross_entropy` and its gradient, which have the exponentials in common."""
    labels, n = _labels_for(x, t), len(x)
    right = labels, np.arange(n)  # where the answers stand in an array (k, n)
    x = np.ascontiguousarray(x.T)  # (k, n): what follows goes over all samples of a class at once
    x = x - x.max(axis=0)
    answer = x[right]  # (n,)
    if label_smoothing:
        answer = (1 - label_smoothing) * answer + label_smoothing * np.mean(x, axis=0)
    y = np.exp(x)
    total = y.sum(axis=0)
    loss = float((np.log(total) - answer).sum() / n)
    y /= n * total  # probabilities / n, from which t / n is taken away
    if label_smoothing:
        y -= label_smoothing / (n * len(y))  # len(y) is k, the number of classes
    y[right] -= (1 - label_smoothing) / n
    return loss, y.T


def squared_error(y: Array, t: Array) -> float:
    """Half the squared distance of outputs from targets, both (n, k), averaged over samples."""
    _same_shape(y, t)
    return float(0.5 * np.sum((y - t) ** 2) / len(y))


def squared_error_grad(y: Array, t: Array) -> Array:
    """Gradient of `squared_error` with respect to y: (y - t) / n."""
    _same_shape(y, t)
    return (y - t) / len(y)


def accuracy(y: Array, t: ArrayLike) -> float:
    """Share of the samples, 0 to 1, whose largest output in y (n, k) is that of the right class."""
    labels = _labels_for(y, t)
    return float(np.mean(np.argmax(y, axis=1) == labels))


def _labels_for(y: Array, t: ArrayLike) -> NDArray[np.intp]:
    """Class indices from t, one for every row of y."""
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


def _same_shape(y: Array, t: Array) -> None:
    real = y.dtype.kind in "iuf" and t.dtype.kind in "biuf"
    if y.shape != t.shape or y.ndim != 2 or len(y) == 0 or not real:
        raise ValueError(
            "expected outputs and targets that are real numbers of one shape (n, k), n >= 1; "
            f"received {y.dtype} {y.shape} and {t.dtype} {t.shape}"
        )


# --- scaling --------------------------------------------------------------------------------------


@without_warnings
def min_max_scale(x: ArrayLike) -> Array:
    """Shift and stretch x to reach from 0 to 1; a constant x becomes zeros."""
    x = _to_scale(x)
    low, high = np.min(x), np.max(x)
    return np.zeros_like(x) if low == high else (x - low) / (high - low)


@without_warnings
def z_score_scale(x: ArrayLike) -> Array:
    """Shift and stretch x to mean 0 and standard deviation 1; a constant x becomes zeros."""
    x = _to_scale(x)
    # A constant is recognized by its range, as rounding can give it a deviation that is not 0.
    return np.zeros_like(x) if np.min(x) == np.max(x) else (x - np.mean(x)) / np.std(x)


def _to_scale(x: ArrayLike) -> Array:
    x = np.asarray(x)
    if x.dtype.kind not in "biuf" or x.size == 0:
        raise ValueError(f"expected real numbers, at least one; received {x.dtype} {x.shape}")
    return x.astype(_float_dtype(x))


def _float_dtype(x: ArrayLike) -> np.dtype[Any]:
    """The type of x if it holds real numbers already, else float64: integers have no gradient."""
    dtype = np.asarray(x).dtype
    return dtype if np.issubdtype(dtype, np.floating) else np.dtype(np.float64)


# --- gradients, measured --------------------------------------------------------------------------


def numerical_gradient(
    f: Callable[[Array], float], x: Array, h: float = 1e-4, entries: Iterable[int] | None = None
) -> Array:
    """Slope of f at x along every entry of x, by central differences: (f(x + h) - f(x - h)) / (2h).

    x: float64 array of any shape; each entry is nudged in place and put back, also when f raises.
    `entries` restricts the work to some positions of x.ravel() (the others come back as nan),
    because the cost is two evaluations of f for every entry: right to learn from, hopeless for a
    million weights.

    The error of a central difference is about h^2 f''' / 6 from the width of the step and
    1e-16 f / h from rounding; h = 1e-4 makes these some 1e-9 and 1e-12.  In float32 rounding would
    drown the slope, so anything but float64 is refused with a TypeError.  (*Deep Learning from
    Scratch*, chapter 4.)
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
    """How far a claimed gradient of f at x is from the truth: the largest relative error along
    random directions.

    Along a direction d of length 1 the slope of f is the inner product gradient . d, and it can be
    measured with two evaluations of f whatever the size of x.  An error in any entry shows in
    almost every direction.  The error is relative to the larger of both slopes, or, where they
    happen to be small, to their typical size: |gradient| / sqrt(size), as the squares of d's
    entries are 1 / size on average.
    """
    _require_float64(x)
    if gradient.shape != x.shape:
        raise ValueError(
            f"expected a gradient of the shape of x, {x.shape}; received {gradient.shape}"
        )
    rng = np.random.default_rng(0) if rng is None else rng
    start, typical = x.copy(), float(np.linalg.norm(gradient)) / max(1.0, np.sqrt(x.size))
    worst = 0.0
    try:
        for _ in range(directions):
            d = rng.standard_normal(x.shape)
            d /= np.linalg.norm(d)
            x[...] = start + h * d
            above = f(x)
            x[...] = start - h * d
            below = f(x)
            measured, claimed = (above - below) / (2 * h), float(np.sum(gradient * d))
            scale = max(abs(measured), abs(claimed), typical)
            error = abs(measured - claimed) / scale if scale != 0 else 0.0
            worst = max(worst, error) if math.isfinite(error) else math.inf
    finally:
        x[...] = start
    return worst


class Differentiable(Protocol):
    """What `gradient_check` asks of a network; every network of this library has it."""

    @property
    def params(self) -> Any: ...

    def astype(self, dtype: DTypeLike) -> "Differentiable": ...

    def loss(self, x: Array, t: ArrayLike) -> float: ...

    def gradient(self, x: Array, t: ArrayLike) -> Any: ...


def gradient_check(
    network: Differentiable,
    x: Array,
    t: ArrayLike,
    directions: int = 3,
    h: float = 1e-4,
    rng: np.random.Generator | None = None,
) -> float:
    """Largest relative error of `network.gradient(x, t)` against the measured slope of
    `network.loss(x, t)`.

    Works on a float64 copy of the network, over all its parameters as one vector: 2 * directions
    forward passes for a network of any size.  A correct gradient gives about 1e-9, a formula that
    is 1 % wrong somewhere 1e-4 to 1e-2.
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
            "expected a float64 array, as differences drown in the rounding of any other type; "
            f"received {received}; convert it with x.astype(numpy.float64)"
        )
