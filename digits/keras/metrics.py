"""Metrics under Keras' names: objects that take batches of (targets, outputs) and keep a running
result, and functions that give one number for each sample.
"""

from typing import Any

import numpy as np

from digits.keras import initializers, losses, ops
from digits.keras.config import new_name, snake_case
from digits.keras.serialization import Configured, from_table
from digits.keras.tensor import Tensor, tensor
from digits.types import Array
from digits.validation import check

# --- one number for each sample -------------------------------------------------------------------


def _labels(y_true: Any, y_pred: Any) -> Array:
    """Class indices, from indices (n,) or (n, 1)."""
    t = np.asarray(y_true)
    return t.reshape(np.asarray(y_pred).shape[:-1])


def categorical_accuracy(y_true: Any, y_pred: Any) -> Tensor:
    """1 where the largest output is that of the class in one-hot targets, else 0."""
    return tensor(np.argmax(y_true, axis=-1) == np.argmax(y_pred, axis=-1), np.float32)


def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> Tensor:
    """1 where the largest output is that of the class index, else 0."""
    return tensor(_labels(y_true, y_pred) == np.argmax(y_pred, axis=-1), np.float32)


def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> Tensor:
    """The fraction of outputs on the right side of the threshold."""
    y = np.asarray(y_pred)
    right = np.asarray(y_true).reshape(y.shape) == (y > threshold)
    return tensor(right.reshape(len(y), -1).mean(axis=1), np.float32)


def equal_accuracy(y_true: Any, y_pred: Any) -> Tensor:
    """1 where output and target are the same, else 0."""
    return tensor(np.asarray(y_true) == np.asarray(y_pred), np.float32)


def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Tensor:
    """1 where the right class is among the k largest outputs, else 0."""
    return sparse_top_k_categorical_accuracy(np.argmax(y_true, axis=-1), y_pred, k)


def sparse_top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Tensor:
    """1 where the class index is among the k largest outputs, else 0."""
    y = np.asarray(y_pred)
    of_class = np.take_along_axis(y, _labels(y_true, y)[..., np.newaxis].astype(int), -1)
    return tensor((y > of_class).sum(axis=-1) < k, np.float32)


def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Tensor:
    """The cosine of the angle between target and output: 1 for equal directions."""
    t, y = (tensor(x, np.float32) for x in (y_true, y_pred))
    return tensor(np.sum(ops.l2_normalize(t, axis) * ops.l2_normalize(y, axis), axis=axis))


# --- running results ------------------------------------------------------------------------------


class Metric(Configured):
    """A running result. A subclass gives `update_state`, `result` and `reset_state`."""

    module = "keras.metrics"
    by_batch = True  # whether several batches together would give another result

    def __init__(self, name: str | None = None, dtype: Any = None) -> None:
        self.name = name or new_name(snake_case(type(self).__name__))
        self.dtype = dtype
        self.variables: list[Tensor] = []

    def add_weight(
        self,
        name: Any = None,
        shape: Any = (),
        initializer: Any = "zeros",
        dtype: Any = None,
        **_: Any,
    ) -> Tensor:
        """A number, or an array, that is set back to 0 with the metric."""
        self.variables.append(tensor(initializers.get(initializer)(shape, dtype)))
        return self.variables[-1]

    add_variable = add_weight

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.update_state(*args, **kwargs)
        return self.result()

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError

    def result(self) -> Any:
        raise NotImplementedError

    def reset_state(self) -> None:
        """Forget all batches."""
        for variable in self.variables:
            variable.assign(0)

    def reset_states(self) -> None:
        self.reset_state()


class Mean(Metric):
    """The mean of all values taken in, each as often as its weight says."""

    by_batch = False
    total = count = 0.0

    def reset_state(self) -> None:
        self.total = self.count = 0.0

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        values = np.asarray(values, np.float64)
        values = values.reshape(len(values), -1).mean(axis=1) if values.ndim > 1 else values
        weight = np.asarray(1.0 if sample_weight is None else sample_weight, np.float64)
        self.total += float((values * weight).sum())
        self.count += float(np.broadcast_to(weight, values.shape).sum())

    def result(self) -> Tensor:
        return tensor(self.total / self.count if self.count else 0.0)


class MeanMetricWrapper(Mean):
    """The mean of a function (targets, outputs) over the samples."""

    def __init__(
        self, fn: Any, name: str | None = None, dtype: Any = None, **arguments: Any
    ) -> None:
        self.fn, self.arguments = fn, arguments
        super().__init__(name or getattr(fn, "__name__", None), dtype)

    def update_state(  # type: ignore[override]
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> None:
        super().update_state(
            self.fn(tensor(y_true), tensor(y_pred), **self.arguments), sample_weight
        )

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, **self.arguments}


def _mean_of(name: str, function: Any, first: str = "name") -> Any:
    """A class whose metric is the mean of a function; `first` is its first argument."""

    def __init__(self: Any, *args: Any, name: Any = None, dtype: Any = None, **given: Any) -> None:
        given |= {first: args[0]} if args else {}
        shown = given.pop("name", name) or snake_case(type(self).__name__)
        MeanMetricWrapper.__init__(self, function, shown, dtype, **given)

    doc = f"The mean of {function.__name__}."
    return type(name, (MeanMetricWrapper,), {"__init__": __init__, "__doc__": doc})


CategoricalAccuracy = _mean_of("CategoricalAccuracy", categorical_accuracy)
SparseCategoricalAccuracy = _mean_of("SparseCategoricalAccuracy", sparse_categorical_accuracy)
BinaryAccuracy = _mean_of("BinaryAccuracy", binary_accuracy, "threshold")
Accuracy = _mean_of("Accuracy", equal_accuracy)
TopKCategoricalAccuracy = _mean_of("TopKCategoricalAccuracy", top_k_categorical_accuracy, "k")
SparseTopKCategoricalAccuracy = _mean_of(
    "SparseTopKCategoricalAccuracy", sparse_top_k_categorical_accuracy, "k"
)
CosineSimilarity = _mean_of("CosineSimilarity", cosine_similarity)
MeanSquaredError = _mean_of("MeanSquaredError", losses.mean_squared_error)
MeanAbsoluteError = _mean_of("MeanAbsoluteError", losses.mean_absolute_error)


def __getattr__(name: str) -> Any:
    """Every loss is a metric, too: its function, and its class."""
    found = getattr(losses, name, None)
    if hasattr(found, "loss"):
        return found
    if isinstance(found, type) and issubclass(found, losses.Loss):
        return _mean_of(name, getattr(losses, losses.nn_name(found)))
    raise AttributeError(f"keras.metrics.{name} is not there")


class RootMeanSquaredError(MeanSquaredError):  # type: ignore[misc, valid-type]
    """The root of the mean of (y - t)^2."""

    def result(self) -> Tensor:
        return tensor(np.sqrt(np.asarray(super().result())))


class _Counts(Metric):
    """Counts of right and wrong outputs above and below a threshold."""

    by_batch = False

    def __init__(
        self,
        thresholds: float | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        self.thresholds, self.class_id = thresholds, class_id
        super().__init__(name, dtype)
        self.reset_state()

    def reset_state(self) -> None:
        self.true_positives = self.false_positives = 0.0
        self.true_negatives = self.false_negatives = 0.0

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y = np.asarray(y_pred, np.float64)
        y = y[:, np.newaxis] if y.ndim == 1 else y
        t = np.asarray(y_true, np.float64).reshape(y.shape) > 0.5
        if self.class_id is not None:
            y, t = y[..., [self.class_id]], t[..., [self.class_id]]
        weight = 1.0 if sample_weight is None else np.asarray(sample_weight).reshape(-1, 1)
        above = y > (0.5 if self.thresholds is None else self.thresholds)
        self.true_positives += float((weight * (above & t)).sum())
        self.false_positives += float((weight * (above & ~t)).sum())
        self.false_negatives += float((weight * (~above & t)).sum())
        self.true_negatives += float((weight * (~above & ~t)).sum())


def _ratio(part: float, whole: float) -> Tensor:
    return tensor(part / whole if whole else 0.0)


class Precision(_Counts):
    """The fraction of outputs above the threshold that are right to be there."""

    def result(self) -> Tensor:
        return _ratio(self.true_positives, self.true_positives + self.false_positives)


class Recall(_Counts):
    """The fraction of targets of 1 whose output is above the threshold."""

    def result(self) -> Tensor:
        return _ratio(self.true_positives, self.true_positives + self.false_negatives)


class TruePositives(_Counts):
    """How many targets of 1 have an output above the threshold."""

    counted = "true_positives"

    def result(self) -> Tensor:
        return tensor(getattr(self, self.counted))


class FalsePositives(TruePositives):
    """How many targets of 0 have an output above the threshold."""

    counted = "false_positives"


class TrueNegatives(TruePositives):
    """How many targets of 0 have no output above the threshold."""

    counted = "true_negatives"


class FalseNegatives(TruePositives):
    """How many targets of 1 have no output above the threshold."""

    counted = "false_negatives"


class F1Score(Metric):
    """The harmonic mean of precision and recall of each class, for one-hot targets; the class of an
    output is its largest, or each that is above the threshold.
    """

    by_batch = False
    counts: Array | float = 0.0

    def __init__(
        self,
        average: str | None = None,
        threshold: float | None = None,
        name: str | None = "f1_score",
        dtype: Any = None,
    ) -> None:
        known = (None, "micro", "macro", "weighted")
        check(average in known, f"an average among {', '.join(map(str, known))}", average)
        self.average, self.threshold = average, threshold
        super().__init__(name, dtype)

    def reset_state(self) -> None:
        self.counts = 0.0

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y, t = np.asarray(y_pred, np.float64), np.asarray(y_true, np.float64)
        least = y.max(axis=1, keepdims=True) if self.threshold is None else self.threshold
        said = y >= least if self.threshold is None else y > least
        weight = 1.0 if sample_weight is None else np.asarray(sample_weight).reshape(-1, 1)
        self.counts = self.counts + np.stack(
            [(weight * part).sum(axis=0) for part in (said * t, said, t)]
        )

    def result(self) -> Tensor:
        counts = np.zeros((3, 1)) if np.ndim(self.counts) == 0 else np.asarray(self.counts)
        if self.average == "micro":
            counts = counts.sum(axis=1, keepdims=True)
        right, said, there = counts
        scores = 2 * right / np.maximum(said + there, 1e-7)
        if self.average is None:
            return tensor(scores)
        weights = there if self.average == "weighted" else np.ones_like(there)
        return _ratio(float((scores * weights).sum()), float(weights.sum()))


class AUC(Metric):
    """The area under the ROC curve: how probably an output for a target of 1 is larger than one for
    a target of 0, equals counting half. For curve="PR" the area under precision over recall.
    """

    by_batch = False

    def __init__(
        self,
        num_thresholds: int = 200,
        curve: str = "ROC",
        name: str | None = None,
        dtype: Any = None,
        **_: Any,
    ) -> None:
        check(curve in ("ROC", "PR"), "the curve 'ROC' or 'PR'", curve)
        self.num_thresholds, self.curve = num_thresholds, curve
        super().__init__(name, dtype)
        self.reset_state()

    def reset_state(self) -> None:
        self.outputs: list[Array] = []
        self.targets: list[Array] = []

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        self.outputs.append(np.asarray(y_pred, np.float64).ravel())
        self.targets.append(np.asarray(y_true).ravel() > 0.5)

    def result(self) -> Tensor:
        y, t = np.concatenate(self.outputs), np.concatenate(self.targets)
        _, rank, count = np.unique(y, return_inverse=True, return_counts=True)
        if self.curve == "PR":
            said = count[::-1].cumsum()
            right = np.bincount(rank, weights=t)[::-1].cumsum()
            return _ratio(float((np.diff(right, prepend=0) * right / said).sum()), float(t.sum()))
        ranks = (np.cumsum(count) - (count - 1) / 2)[rank]  # mean rank of equals
        ones, zeros = int(t.sum()), int((~t).sum())
        return _ratio(float(ranks[t].sum()) - ones * (ones + 1) / 2, ones * zeros)


# --- by name --------------------------------------------------------------------------------------

acc = ACC = accuracy = Accuracy
mse = MSE = mean_squared_error = MeanSquaredError
mae = MAE = mean_absolute_error = MeanAbsoluteError
SHORT = ("acc", "accuracy", "mse", "mae")
"""Names under which a metric is logged as it is asked for."""


def get(identifier: Any, loss: Any = None, outputs: tuple[int, ...] = (1,)) -> Metric:
    """A metric by name, function, class or configuration. "accuracy" is the one that goes with the
    loss and the shape of the outputs.
    """
    if isinstance(identifier, dict) and identifier["class_name"] == "function":
        identifier = identifier["config"]
    ours = str(getattr(identifier, "__module__", "")).startswith("digits.")
    name = getattr(identifier, "__name__", identifier) if ours else identifier
    if name in ("accuracy", "acc", "crossentropy", "ce"):
        return _that_goes_with(name, loss, outputs)
    if name in SHORT:
        return globals()[name](name=name)
    function = globals().get(str(name), getattr(losses, str(name), None))
    if isinstance(identifier, str) and callable(function) and not isinstance(function, type):
        return MeanMetricWrapper(function, name)
    if isinstance(identifier, losses.Loss):
        return MeanMetricWrapper(type(identifier)(reduction="none"), identifier.name)
    found = from_table(identifier, globals(), Metric, "a metric")
    if isinstance(found, Metric):
        return found
    metric = MeanMetricWrapper(found)
    metric.by_batch = True
    return metric


def _that_goes_with(name: str, loss: Any, outputs: tuple[int, ...]) -> Metric:
    if isinstance(loss, losses.SparseCategoricalCrossentropy):
        kinds = sparse_categorical_accuracy, losses.sparse_categorical_crossentropy
    elif outputs[-1:] == (1,):
        kinds = binary_accuracy, losses.binary_crossentropy
    else:
        kinds = categorical_accuracy, losses.categorical_crossentropy
    return MeanMetricWrapper(kinds[name in ("crossentropy", "ce")], name)


deserialize = get
