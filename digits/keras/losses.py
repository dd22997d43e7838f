"""Losses under Keras' names: objects and functions that are called with (targets, outputs), where
those of digits.nn.losses, which do the work, are called with (outputs, targets).
"""

import functools
from types import SimpleNamespace
from typing import Any

import numpy as np

from digits.keras.config import snake_case
from digits.keras.graph import KerasTensor
from digits.keras.legacy import ask_for
from digits.keras.lookup import look_up
from digits.keras.serialization import Configured, from_table, plain, with_side
from digits.keras.tape import leaves, recorded
from digits.keras.tensor import Tensor, record, tensor
from digits.nn import losses as nn
from digits.types import Array
from digits.validation import check


class Loss(nn.Loss, Configured):
    """Keras' side of a loss; the other base of every class here does the work."""

    module = "keras.losses"

    def __init__(self, *args: Any, **options: Any) -> None:
        reduction = options.pop("reduction", "sum_over_batch_size")
        self.name = options.pop("name", None) or nn_name(type(self))
        for unused in ("dtype", "fn"):
            options.pop(unused, None)
        for option in ("axis", "ignore_class"):
            value = options.pop(option, None)
            ask_for(None if value == -1 else value, f"{option}= of a loss", "leave it out")
        super().__init__(*args, **options)
        self.reduction = {"auto": "sum_over_batch_size", None: "none"}.get(reduction, reduction)
        known = ("sum_over_batch_size", "sum", "none", "mean_with_sample_weight")
        check(self.reduction in known, f"a reduction among {', '.join(known)}", reduction)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """The loss of outputs y_pred for targets y_true, as a tensor."""
        if any(isinstance(part, KerasTensor) for part in (y_true, y_pred)):
            weights = () if sample_weight is None else (sample_weight,)
            return look_up("dispatch.between")(self, (y_true, y_pred, *weights))
        y = tensor(y_pred)
        y = y if y.dtype.kind == "f" else tensor(y, np.float32)
        if hasattr(self, "call"):  # a loss of one's own
            losses: Any = tensor(self.call(tensor(y_true), y))
        else:
            losses = self._of_vectors(y, y_true)
        if sample_weight is not None:
            losses = losses * np.asarray(sample_weight, losses.dtype).reshape(losses.shape)
        if self.reduction == "none":
            return losses
        return tensor(np.sum(losses) if self.reduction == "sum" else np.mean(losses))

    def _of_vectors(self, y: Tensor, y_true: Any) -> Tensor:
        """The loss of each vector along the last axis of y."""
        vectors, t = y.array.reshape(-1, y.shape[-1] if y.ndim else 1), np.asarray(y_true)
        t = t.reshape(vectors.shape) if t.size == y.size else t.reshape(len(vectors))
        losses, dy = self.per_sample(vectors, t)

        def backward(dlosses: Array) -> list[Array]:
            column = np.reshape(dlosses, (-1, 1))
            found = [(dy * column).reshape(y.shape)]
            if getattr(y_true, "node", None) is not None:
                found.append((self._gradient_of_targets(vectors, t) * column).reshape(y_true.shape))
            return found

        return record(losses.reshape(y.shape[:-1]), [y, y_true], backward)

    def _gradient_of_targets(self, y: Array, t: Array) -> Array:
        """By central differences in float64: it is asked for where both sides of a loss come out of
        networks, which is rare."""
        wide, target, dt = y.astype(np.float64), t.astype(np.float64), np.empty(t.shape)
        for j, step in enumerate(1e-6 * np.eye(t.shape[1])):
            up, down = (self.per_sample(wide, target + s)[0] for s in (step, -step))
            dt[:, j] = (up - down) / 2e-6
        return dt

    def loss_and_grad(self, y: Array, t: Any, sample_weight: Any = None) -> tuple[float, Array]:
        """As in digits.nn.losses, with (outputs, targets); a sum where that is the reduction."""
        loss, dy = super().loss_and_grad(y, t, sample_weight)
        return (loss * len(y), dy * len(y)) if self.reduction == "sum" else (loss, dy)


def fitted(y_true: Any, y: Any) -> Array:
    """Targets (n,) of outputs (n, 1) as a column, which a formula does not combine with all."""
    t = np.asarray(y_true)
    return t.reshape(np.shape(y)) if t.size == np.size(y) else t


class FunctionLoss(Loss):
    """A function (targets, outputs) of one's own, recorded so that it has a gradient. It gives the
    loss of each sample, or one number for all of them.
    """

    def __init__(self, function: Any, name: str | None = None) -> None:
        self.function, self.reduction = function, "sum_over_batch_size"
        self.name = name or getattr(function, "__name__", type(function).__name__)

    def call(self, y_true: Any, y_pred: Tensor) -> Tensor:
        """The loss of each sample."""
        t, n = fitted(y_true, y_pred), len(y_pred)
        t = t.astype(y_pred.dtype) if t.shape == y_pred.shape else t
        values = tensor(self.function(tensor(t), y_pred))
        if values.shape[:1] != (n,):  # one number: that of each sample
            values = tensor(np.broadcast_to(values, (n,)))
        return tensor(np.mean(np.reshape(values, (n, -1)), axis=1))

    def per_sample(self, y: Array, t: Any) -> tuple[Array, Array]:
        losses, backward = recorded(functools.partial(self.call, t), y)
        dy = backward()
        if any(leaf.trains for leaf in leaves(losses)):
            raise NotImplementedError(
                f"the loss {self.name} depends on weights, too: put that part into add_loss, or "
                "use kernel_regularizer="
            )
        expected = f"a loss {self.name} that is computed from the outputs by functions of tf"
        check(dy is not None, expected, None, "as np.asarray(y) and y.numpy() have no gradient")
        return losses.array, np.asarray(dy)


Reduction = SimpleNamespace(
    AUTO="auto", NONE="none", SUM="sum", SUM_OVER_BATCH_SIZE="sum_over_batch_size"
)
"""Names of reductions (Keras 2)."""


def nn_name(kind: type) -> str:
    """The name of a loss in digits.nn.losses, such as "huber"."""
    names = {work.__name__: name for name, work in nn.LOSSES.items()}
    return names.get(kind.__name__, snake_case(kind.__name__))


class CategoricalCrossentropy(Loss, nn.CategoricalCrossentropy):
    """-sum of t log(p), for one-hot targets (n, classes)."""

    def loss_and_grad(self, y: Array, t: Any, sample_weight: Any = None) -> tuple[float, Array]:
        _require_one_hot(y, np.asarray(t))
        return super().loss_and_grad(y, t, sample_weight)

    def _target(self, y: Array, t: Array) -> Array:
        _require_one_hot(y, t)
        return super()._target(y, t)


def _require_one_hot(y: Array, t: Array) -> None:
    advice = "call to_categorical(y), or use loss='sparse_categorical_crossentropy'"
    check(t.shape == y.shape, f"one-hot targets of shape {y.shape}", t.shape, advice)


SparseCategoricalCrossentropy = with_side(Loss, nn.SparseCategoricalCrossentropy)
BinaryCrossentropy = with_side(Loss, nn.BinaryCrossentropy)
MeanSquaredError = with_side(Loss, nn.MeanSquaredError)
MeanAbsoluteError = with_side(Loss, nn.MeanAbsoluteError)
MeanAbsolutePercentageError = with_side(Loss, nn.MeanAbsolutePercentageError)
MeanSquaredLogarithmicError = with_side(Loss, nn.MeanSquaredLogarithmicError)
Huber = with_side(Loss, nn.Huber)
LogCosh = with_side(Loss, nn.LogCosh)
Poisson = with_side(Loss, nn.Poisson)
Hinge = with_side(Loss, nn.Hinge)
SquaredHinge = with_side(Loss, nn.SquaredHinge)
CategoricalHinge = with_side(Loss, nn.CategoricalHinge)
KLDivergence = with_side(Loss, nn.KLDivergence)
CosineSimilarity = with_side(Loss, nn.CosineSimilarity)


def _per_sample(kind: Any) -> Any:
    def function(y_true: Any, y_pred: Any, **options: Any) -> Any:
        return kind(reduction="none", **options)(y_true, y_pred)

    function.__name__ = function.__qualname__ = nn_name(kind)
    function.__doc__ = f"The loss of each sample: {kind.__doc__}"
    function.loss = kind  # type: ignore[attr-defined]
    return function


categorical_crossentropy = _per_sample(CategoricalCrossentropy)
sparse_categorical_crossentropy = _per_sample(SparseCategoricalCrossentropy)
binary_crossentropy = _per_sample(BinaryCrossentropy)
mean_squared_error = mse = MSE = _per_sample(MeanSquaredError)
mean_absolute_error = mae = MAE = _per_sample(MeanAbsoluteError)
mean_absolute_percentage_error = mape = MAPE = _per_sample(MeanAbsolutePercentageError)
mean_squared_logarithmic_error = msle = MSLE = _per_sample(MeanSquaredLogarithmicError)
huber = _per_sample(Huber)
log_cosh = logcosh = _per_sample(LogCosh)
poisson = _per_sample(Poisson)
hinge = _per_sample(Hinge)
squared_hinge = _per_sample(SquaredHinge)
categorical_hinge = _per_sample(CategoricalHinge)
kl_divergence = kullback_leibler_divergence = kld = KLD = _per_sample(KLDivergence)
cosine_similarity = cosine_proximity = _per_sample(CosineSimilarity)


def deserialize(identifier: Any) -> Any:
    """A loss by name, function, class or configuration, as it was given to `compile`."""
    if identifier is None or (isinstance(identifier, dict) and "class_name" not in identifier):
        return identifier
    if isinstance(identifier, str) and hasattr(globals().get(identifier), "loss"):
        identifier = globals()[identifier]
    if isinstance(identifier, dict) and identifier.get("class_name") == "function":
        identifier = globals()[identifier["config"]]
    if hasattr(identifier, "loss") and isinstance(identifier.loss, type):
        return identifier.loss()
    return from_table(identifier, globals(), Loss, "a loss")


def get(identifier: Any) -> Any:
    """A loss object that has a gradient."""
    found = deserialize(identifier)
    if found is None or isinstance(found, FunctionLoss):
        return found
    if hasattr(found, "call"):
        made = FunctionLoss(found.call, found.name)
        made.reduction = found.reduction
        return made
    return found if isinstance(found, Loss) else FunctionLoss(found)


serialize = plain
