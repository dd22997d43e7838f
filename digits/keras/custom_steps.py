"""Custom training steps: models with a `train_step` or `test_step` of their own take batches as
they come, take the steps themselves, and return their logs.
"""

from types import SimpleNamespace
from typing import Any

import numpy as np

from digits.keras.data import SourceBatches, is_source, parts_of, targets_of
from digits.keras.dataset import Dataset
from digits.keras.legacy import Logs
from digits.keras.losses import fitted
from digits.keras.metrics import Mean
from digits.keras.objectives import Objective
from digits.keras.tape import GradientTape
from digits.keras.tensor import tensor


class CustomBatches(SourceBatches):
    """Batches as a step of one's own is given them: (x, y), or x alone."""

    def __init__(self, x: Any, y: Any, weight: Any, size: int, steps: Any, rng: Any) -> None:
        """rng: what shuffles the samples of arrays; None leaves them in their order."""
        self.parts: tuple[Any, ...] = ()
        if not is_source(x):
            self.parts = tuple(np.asarray(part) for part in (x, y, weight) if part is not None)
            source = Dataset.from_tensor_slices(
                self.parts if len(self.parts) > 1 else self.parts[0]
            )
            x = (source if rng is None else source.shuffle(len(self.parts[0]))).batch(size)
        super().__init__(x, {}, [], "float32", None, steps, False, rng or np.random.default_rng(0))
        self.size, self.shuffled = size, rng

    def split(self, fraction: float) -> tuple["CustomBatches", tuple[Any, ...]]:
        """Batches of the first samples of arrays, and the last ones."""
        cut = int(len(self.parts[0]) * (1 - fraction))
        x, y, weight = (*(part[:cut] for part in self.parts), None, None)[:3]
        batches = CustomBatches(x, y, weight, self.size, None, self.shuffled)
        return batches, tuple(part[cut:] for part in self.parts)

    def _batch(self, batch: Any) -> Any:
        if isinstance(batch, tuple | list):
            return tuple(map(tensor, batch)), None
        return tensor(batch), None


class CustomNetwork:
    """Such a model in place of the network that `fit` would train, and of the running metrics:
    it takes its steps itself, and the logs of the latest are those of the epoch so far.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self.reset()

    def reset(self) -> None:
        self.latest = Logs()
        for metric in self.model.metrics:
            metric.reset_state()

    def step(self, data: Any) -> float:
        """The loss of a batch, by the `train_step` of the model."""
        self.latest = as_logs(self.model.train_step(data))
        return self.latest.get("loss", 0.0)

    def evaluate(self, x: Any, t: Any, objectives: Any) -> float:
        """The loss of a batch, by the `test_step` of the model."""
        self.latest = as_logs(self.model.test_step(x))
        return self.latest.get("loss", 0.0)

    def add(self, loss: float, latest: Logs) -> None:
        """The metrics of the model have done so."""

    def logs(self) -> Logs:
        return Logs(self.latest)


def as_logs(given: Any) -> Logs:
    """What a step returns, as plain numbers by name."""
    given = {} if given is None else given if isinstance(given, dict) else {"loss": given}
    return Logs({name: float(np.mean(given[name])) for name in sorted(given)})


class StepVerbs:
    """What a model takes a step with; a mixin of `Trainer`. A subclass may have others."""

    losses: Any
    objectives: Any
    objectives_of: Any
    _objectives: Any
    output_names: Any
    optimizer: Any
    trainable_variables: Any
    get_metrics_result: Any
    compiled: Any
    __call__: Any

    def has_own(self, verb: str) -> bool:
        """Whether the class of the model has a `verb` of its own, or what it calls."""
        verbs = (verb, "compute_loss", "compute_metrics")
        return any(getattr(type(self), name) is not getattr(StepVerbs, name) for name in verbs)

    def train_step(self, data: Any) -> dict[str, Any]:
        """One step on a batch (x, y); its logs. A subclass may have another one."""
        x, y, weight = parts_of(data)
        with GradientTape() as tape:
            outputs = self(x, training=True)
            loss = self.compute_loss(x, y, outputs, weight)
        variables = self.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return {"loss": loss, **self.compute_metrics(x, y, outputs, weight)}

    def test_step(self, data: Any) -> dict[str, Any]:
        """The logs of a batch (x, y) that is not trained on."""
        x, y, weight = parts_of(data)
        outputs = self(x, training=False)
        loss = self.compute_loss(x, y, outputs, weight)
        return {"loss": loss, **self.compute_metrics(x, y, outputs, weight)}

    def predict_step(self, data: Any) -> Any:
        """The outputs for a batch. A subclass may have another one."""
        return self(parts_of(data)[0], training=False)

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, **_: Any
    ) -> Any:
        """The loss of outputs, with what regularizers and layers add, as a tensor."""
        total = sum(self.losses, start=tensor(0.0))
        for objective, t, outputs in self._paired(y, y_pred):
            total = total + objective.factor * objective.loss(t, outputs, sample_weight)
        self._loss_mean.update_state(total)
        return total

    @property
    def _loss_mean(self) -> Mean:
        """The mean of the losses of an epoch so far, for steps of one's own."""
        return self.__dict__.setdefault("_mean_of_losses", Mean(name="loss"))

    def compute_metrics(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None
    ) -> dict[str, Any]:
        """The values of the metrics, these outputs taken in."""
        for objective, t, outputs in self._paired(y, y_pred):
            for metric in objective.metrics:
                metric.update_state(t, np.asarray(outputs))
        return self.get_metrics_result()

    def _paired(self, y: Any, y_pred: Any) -> list[tuple[Objective, Any, Any]]:
        """The objectives, each with its targets and outputs."""
        if y is None:
            return []
        found = y_pred if isinstance(y_pred, list | tuple) else [y_pred]
        names = [f"output_{number}" for number in range(1, len(found) + 1)]
        if hasattr(self, "outputs"):
            names = self.output_names
        elif self._objectives is None:  # a model that runs others, without a call of its own
            self._objectives = self.objectives_of(names, found)
        targets = targets_of(y, None, None, names)
        pairs = zip(self.objectives, targets, strict=True)
        return [(o, fitted(t.t, found[o.output]), found[o.output]) for o, t in pairs]

    def compiled_loss(self, y: Any, y_pred: Any, sample_weight: Any = None, **_: Any) -> Any:
        """The loss, as Keras 2 calls it."""
        return self.compute_loss(None, y, y_pred, sample_weight)

    @property
    def compiled_metrics(self) -> Any:
        """The metrics, as Keras 2 calls them."""
        return SimpleNamespace(
            update_state=lambda y, y_pred, weight=None: self.compute_metrics(None, y, y_pred),
            metrics=[
                metric for objective in self._objectives or [] for metric in objective.metrics
            ],
        )
