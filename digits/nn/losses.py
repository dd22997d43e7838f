"""Losses: how far the outputs y of a network are from the targets t, as one number, and the
gradient of that number with respect to y. Names, arguments and defaults are those of Keras.

A loss is the mean over the samples of a batch, and the loss of a sample is the mean over its
outputs (a sum over classes for the cross-entropies). With weights w, sample i counts w_i times:
sum(w_i loss_i) / n.
"""

import copy
import math
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from digits.types import Array
from digits.validation import check
from functions import sigmoid, softmax, softmax_cross_entropy_with_grad, to_labels, without_warnings

EPSILON = 1e-7
"""Probabilities are kept this far from 0 and 1 before their logarithm is taken."""


class Loss:
    """What all losses share; a subclass gives `per_sample`.

    activation: the last activation of a network that this loss can take into its own formula, so
        that no digit is lost between the two: "softmax", "sigmoid", or None.
    from_logits: whether it has, so that y are what the activation would be given.

    Raises ValueError for targets or weights whose shape does not go with the outputs.
    """

    activation: str | None = None
    from_logits = False

    def __call__(self, y: Array, t: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """The mean loss of outputs y (n, ...) for targets t."""
        losses, _ = self.per_sample(y, t)
        return float(np.mean(losses * _weights(sample_weight, losses)))

    def loss_and_grad(
        self, y: Array, t: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> tuple[float, Array]:
        """The mean loss, and its gradient with respect to y, which has the shape of y."""
        losses, dy = self.per_sample(y, t)
        weights = _weights(sample_weight, losses)
        loss = float(np.mean(losses * weights))
        return loss, dy * (weights / len(y)).reshape(-1, *[1] * (y.ndim - 1))

    def per_sample(self, y: Array, t: ArrayLike) -> tuple[Array, Array]:
        """The loss of each sample, (n,), and its gradient with respect to y, of the shape of y."""
        raise NotImplementedError

    def with_logits(self) -> Self:
        """The same loss of what enters `activation`, instead of what leaves it."""
        other = copy.copy(self)
        other.from_logits = True
        return other

    def get_config(self) -> dict[str, Any]:
        """The arguments that make this loss again."""
        return dict(vars(self))

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.get_config().items())
        return f"{type(self).__name__}({arguments})"


def _weights(sample_weight: ArrayLike | None, losses: Array) -> Array:
    if sample_weight is None:
        return np.ones_like(losses)
    weights: Array = np.asarray(sample_weight, losses.dtype)
    n = len(losses)
    check(weights.shape in ((n,), (n, 1)), f"a weight for each of {n} samples", weights.shape)
    return weights.reshape(n)


# --- classes --------------------------------------------------------------------------------------


class CategoricalCrossentropy(Loss):
    """-sum over classes of t log(p), for one class of several.

    Outputs y (n, k): probabilities, or logits with from_logits. Targets t: probabilities (n, k),
    one-hot as a rule, or class indices (n,). label_smoothing s: every class gets s / k of the
    target, the classes of t share the other 1 - s (Szegedy et al. 2016, section 7).
    """

    activation = "softmax"

    def __init__(self, from_logits: bool = False, label_smoothing: float = 0.0) -> None:
        check(0 <= label_smoothing < 1, "a label_smoothing in [0, 1)", label_smoothing)
        self.from_logits, self.label_smoothing = from_logits, label_smoothing

    def loss_and_grad(
        self, y: Array, t: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> tuple[float, Array]:
        if self.from_logits and sample_weight is None and y.ndim == 2 and np.ndim(t) == 1:
            return softmax_cross_entropy_with_grad(y, t, self.label_smoothing)
        return super().loss_and_grad(y, t, sample_weight)

    @without_warnings
    def per_sample(self, y: Array, t: ArrayLike) -> tuple[Array, Array]:
        """From logits x: the loss is log(sum(exp(x))) sum(t) - sum(t x), whose derivative with
        respect to x_i is softmax(x)_i sum(t) - t_i.

        From outputs y, with p_j = y_j / sum(y): g_j = -t_j / p_j is the derivative with respect to
        p_j, and that of p_j with respect to y_i is ([i = j] - p_j) / sum(y). So the one with
        respect to y_i is (g_i - sum over j of g_j p_j) / sum(y).
        """
        target = self._target(y, np.asarray(t))
        mass = target.sum(axis=-1, keepdims=True)
        if self.from_logits:
            x = y - y.max(axis=-1, keepdims=True)
            loss = np.log(np.exp(x).sum(axis=-1)) * mass[..., 0] - (target * x).sum(axis=-1)
            dy = softmax(y) * mass - target
        else:
            total = y.sum(axis=-1, keepdims=True)
            p = y / total
            inside, clipped = _clipped(p, EPSILON, 1 - EPSILON)
            loss = -(target * np.log(clipped)).sum(axis=-1)
            g = -target / clipped * inside
            dy = (g - (g * p).sum(axis=-1, keepdims=True)) / total
        return _over_positions(loss, dy)

    def _target(self, y: Array, t: Array) -> Array:
        """Targets as probabilities of the shape of y."""
        classes = y.shape[-1]
        if t.shape != y.shape:
            check(
                t.size == y.size // classes and t.shape[: y.ndim - 1] == y.shape[:-1],
                f"targets of shape {y.shape}, or indices of shape {y.shape[:-1]}",
                t.shape,
                "is the last layer as wide as there are classes?",
            )
            t = np.eye(classes, dtype=y.dtype)[to_labels(t.ravel(), classes)].reshape(y.shape)
        smoothing = self.label_smoothing
        return t.astype(y.dtype, copy=False) * (1 - smoothing) + smoothing / classes


class SparseCategoricalCrossentropy(CategoricalCrossentropy):
    """The categorical cross-entropy for targets that are class indices, (n,) or (n, 1)."""

    def __init__(self, from_logits: bool = False) -> None:
        super().__init__(from_logits)

    def get_config(self) -> dict[str, Any]:
        return {"from_logits": self.from_logits}

    def _target(self, y: Array, t: Array) -> Array:
        check(
            t.size == y.size // y.shape[-1],
            f"class indices of shape {y.shape[:-1]}",
            t.shape,
            "one-hot targets need the categorical cross-entropy",
        )
        return super()._target(y, t.reshape(y.shape[:-1]))


# --- numbers, one by one --------------------------------------------------------------------------


class Elementwise(Loss):
    """A loss that compares each output with its own target, both of one shape, and takes the mean;
    a subclass gives `elements`.
    """

    @without_warnings
    def per_sample(self, y: Array, t: ArrayLike) -> tuple[Array, Array]:
        return _over_positions(*self.elements(y, _targets_like(t, y)))

    def elements(self, y: Array, t: Array) -> tuple[Array, Array]:
        """The loss of each output and its derivative, both of the shape of y."""
        raise NotImplementedError


class BinaryCrossentropy(Elementwise):
    """-t log(p) - (1 - t) log(1 - p), for each output a probability p (a logit, with from_logits).

    label_smoothing s: targets of 0 and 1 become s / 2 and 1 - s / 2.
    """

    activation = "sigmoid"

    def __init__(self, from_logits: bool = False, label_smoothing: float = 0.0) -> None:
        check(0 <= label_smoothing < 1, "a label_smoothing in [0, 1)", label_smoothing)
        self.from_logits, self.label_smoothing = from_logits, label_smoothing

    def per_sample(self, y: Array, t: ArrayLike) -> tuple[Array, Array]:
        target = np.asarray(t)  # integers are classes, and only those of 0 and 1 have a loss >= 0
        known = target.dtype.kind not in "iu" or ((target == 0) | (target == 1)).all()
        check(known, "targets of 0 and 1", target, "for more classes use another loss")
        return super().per_sample(y, target)

    def elements(self, y: Array, t: Array) -> tuple[Array, Array]:
        """From logits x, with p = 1 / (1 + exp(-x)), the formula is log(1 + exp(x)) - t x, written
        so that nothing overflows; as the derivative of log(1 + exp(x)) is p, its own is p - t.
        From probabilities: -t / p + (1 - t) / (1 - p).
        """
        t = t * (1 - self.label_smoothing) + self.label_smoothing / 2
        if self.from_logits:
            loss = np.maximum(y, 0) - y * t + np.log1p(np.exp(-np.abs(y)))
            return loss, sigmoid(y) - t
        inside, p = _clipped(y, EPSILON, 1 - EPSILON)
        loss = -t * np.log(p) - (1 - t) * np.log(1 - p)
        return loss, ((1 - t) / (1 - p) - t / p) * inside


class MeanSquaredError(Elementwise):
    """(y - t)^2."""

    def elements(self, y: Array, t: Array) -> tuple[Array, Array]:
        error = y - t
        return error * error, 2 * error


class MeanAbsoluteError(Elementwise):
    """|y - t|; its derivative is 1 or -1, and 0 where y = t."""

    def elements(self, y: Array, t: Array) -> tuple[Array, Array]:
        error = y - t
        return np.abs(error), np.sign(error)


class MeanAbsolutePercentageError(Elementwise):
    """100 |y - t| / |t|."""

    def elements(self, y: Array, t: Array) -> tuple[Array, Array]:
        scale = 100 / np.maximum(np.abs(t), EPSILON)
        return np.abs(y - t) * scale, np.sign(y - t) * scale


class MeanSquaredLogarithmicError(Elementwise):
    """(log(1 + y) - log(1 + t))^2, outputs and targets below 0 taken for 0."""

    def elements(self, y: Array, t: Array) -> tuple[Array, Array]:
        inside, y = _clipped(y, EPSILON, math.inf)
        error = np.log1p(y) - np.log1p(np.maximum(t, EPSILON))
        return error * error, 2 * error / (1 + y) * inside


class Huber(Elementwise):
    """e^2 / 2 for errors e up to delta, further out the straight line that goes on from there:
    delta |e| - delta^2 / 2 (Huber 1964).
    """

    def __init__(self, delta: float = 1.0) -> None:
        check(delta > 0, "a delta above 0", delta)
        self.delta = delta

    def elements(self, y: Array, t: Array) -> tuple[Array, Array]:
        error, d = y - t, self.delta
        size = np.abs(error)
        return np.where(size <= d, error * error / 2, d * size - d * d / 2), np.clip(error, -d, d)


class LogCosh(Elementwise):
    """log(cosh(y - t)), about the squared error near 0 and the absolute error far away. With
    e = |y - t| it is e + log(1 + exp(-2 e)) - log(2), where nothing overflows.
    """

    def elements(self, y: Array, t: Array) -> tuple[Array, Array]:
        error = y - t
        size = np.abs(error)
        return size + np.log1p(np.exp(-2 * size)) - math.log(2), np.tanh(error)


class Poisson(Elementwise):
    """y - t log(y): how unlikely the counts t are where y are expected."""

    def elements(self, y: Array, t: Array) -> tuple[Array, Array]:
        return y - t * np.log(y + EPSILON), 1 - t / (y + EPSILON)


class Hinge(Elementwise):
    """max(1 - t y, 0)^power, for targets -1 and 1; targets 0 and 1 are taken for these."""

    power = 1

    def elements(self, y: Array, t: Array) -> tuple[Array, Array]:
        t = 2 * t - 1 if np.isin(t, (0, 1)).all() else t
        margin = np.maximum(1 - t * y, 0)
        if self.power == 1:
            return margin, -t * (margin > 0)
        return margin * margin, -2 * t * margin


class SquaredHinge(Hinge):
    """The square of the hinge loss."""

    power = 2


# --- the outputs of a sample together -------------------------------------------------------------


class CategoricalHinge(Loss):
    """max(1 + highest output of the other classes - output of the right class, 0), for t one-hot;
    the derivative is 1 at the former and -1 at the latter, while the loss is above 0.
    """

    def per_sample(self, y: Array, t: ArrayLike) -> tuple[Array, Array]:
        target = _targets_like(t, y)
        others = (1 - target) * y
        is_highest = np.arange(y.shape[-1]) == np.argmax(others, axis=-1)[..., np.newaxis]
        loss = 1 + others.max(axis=-1) - (target * y).sum(axis=-1)
        dy = is_highest * (1 - target) - target
        return _over_positions(np.maximum(loss, 0), dy * (loss > 0)[..., np.newaxis])


class KLDivergence(Loss):
    """sum of t log(t / y), both probabilities; its derivative with respect to y is -t / y."""

    def per_sample(self, y: Array, t: ArrayLike) -> tuple[Array, Array]:
        target = np.clip(_targets_like(t, y), EPSILON, 1)
        inside, p = _clipped(y, EPSILON, 1)
        return _over_positions((target * np.log(target / p)).sum(axis=-1), -target / p * inside)


class CosineSimilarity(Loss):
    """Minus the cosine of the angle between y and t, from -1 (same direction) to 1.

    With unit vectors u = y / |y| and v = t / |t| it is -u v. Only the part of v across u turns y,
    so the gradient is -(v - (u v) u) / |y|.
    """

    def per_sample(self, y: Array, t: ArrayLike) -> tuple[Array, Array]:
        target = _targets_like(t, y)
        u, length = _unit(y)
        v, _ = _unit(target)
        cosine = (u * v).sum(axis=-1, keepdims=True)
        return _over_positions(-cosine[..., 0], (cosine * u - v) / length)


# --- what they have in common ---------------------------------------------------------------------


def _targets_like(t: ArrayLike, y: Array) -> Array:
    """Targets of the shape and dtype of the outputs; (n,) will do for outputs (n, 1)."""
    target = np.asarray(t)
    if target.shape == y.shape[:-1] and y.shape[-1] == 1:
        target = target[..., np.newaxis]
    advice = "to_one_hot makes them of class indices" if y.shape[-1] > 1 else ""
    check(target.shape == y.shape, f"targets of shape {y.shape}", target.shape, advice)
    return target.astype(y.dtype, copy=False)


def _clipped(y: Array, low: float, high: float) -> tuple[Array, Array]:
    """Where y lies between the bounds, beyond which the derivative is 0; and y within them."""
    return (y >= low) & (y <= high), np.clip(y, low, high)


def _unit(x: Array) -> tuple[Array, Array]:
    """x divided by its length along the last axis, and that length; a vector of 0 stays one."""
    length = np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-6).astype(x.dtype)
    return x / length, length


def _over_positions(loss: Array, dy: Array) -> tuple[Array, Array]:
    """Losses (n, ...) as means (n,) over the positions of a sample, and the gradient of these."""
    return loss.reshape(len(loss), -1).mean(axis=1), dy / math.prod(loss.shape[1:])


LOSSES: dict[str, type[Loss]] = {
    "categorical_crossentropy": CategoricalCrossentropy,
    "sparse_categorical_crossentropy": SparseCategoricalCrossentropy,
    "binary_crossentropy": BinaryCrossentropy,
    "mean_squared_error": MeanSquaredError,
    "mean_absolute_error": MeanAbsoluteError,
    "mean_absolute_percentage_error": MeanAbsolutePercentageError,
    "mean_squared_logarithmic_error": MeanSquaredLogarithmicError,
    "huber": Huber,
    "log_cosh": LogCosh,
    "poisson": Poisson,
    "hinge": Hinge,
    "squared_hinge": SquaredHinge,
    "categorical_hinge": CategoricalHinge,
    "kl_divergence": KLDivergence,
    "cosine_similarity": CosineSimilarity,
}
"""Losses by the names that Keras gives them."""
