"""What Keras does around the steps of a training, as a callback of this library's own loop: keeping
the figures of the epoch, telling Keras' callbacks what happens.
"""

from typing import Any

import numpy as np

from digits.keras.callbacks import Callback, CallbackList
from digits.keras.legacy import Logs
from digits.keras.losses import fitted
from digits.keras.network import Latest, Targets
from digits.keras.objectives import Objective
from digits.training import callbacks
from digits.types import Array


class Measures:
    """The loss and the metrics of an epoch so far. Outputs wait until somebody asks, as a metric
    of many samples takes hardly more time than one of few.
    """

    MAX_WAITING = 2_000_000

    def __init__(self, found: list[Objective]) -> None:
        self.objectives = found
        self.metrics = [metric for objective in found for metric in objective.metrics]
        self.reset()

    def reset(self) -> None:
        self.loss_sum = self.count = 0.0
        self.loss_sums = [0.0] * len(self.objectives)
        self.waiting: list[tuple[list[Array], list[Targets]]] = []
        for metric in self.metrics:
            metric.reset_state()

    def add(self, loss: float, latest: Latest) -> None:
        n = latest.n
        self.loss_sum += loss * n
        self.loss_sums = [s + n * x for s, x in zip(self.loss_sums, latest.losses, strict=True)]
        self.count += n
        if self.metrics:
            self.waiting.append(([y.copy() for y in latest.outputs], latest.targets))
            if sum(y.size for y in latest.outputs) * len(self.waiting) > self.MAX_WAITING:
                self._measure()

    def _measure(self) -> None:
        waiting, self.waiting = self.waiting, []
        for i, objective in enumerate(self.objectives if waiting else []):
            parts = [(fitted(targets[i].t, outputs[i]), outputs[i]) for outputs, targets in waiting]
            whole = [tuple(map(np.concatenate, zip(*parts, strict=True)))]
            for metric in objective.metrics:
                for t, y in parts if metric.by_batch else whole:
                    metric.update_state(t, y)

    def logs(self, prefix: str = "") -> Logs:
        """The figures, by name, in alphabetical order as Keras 3 has them."""
        self._measure()
        figures = {"loss": self.loss_sum / max(self.count, 1)}
        for objective, loss_sum in zip(self.objectives, self.loss_sums, strict=True):
            if objective.name:
                figures[objective.figure("loss")] = loss_sum / max(self.count, 1)
            for metric in objective.metrics:
                figures[objective.figure(metric.name)] = float(np.mean(metric.result()))
        return Logs({f"{prefix}{name}": figures[name] for name in sorted(figures)})


class KerasMoments(callbacks.Callback):
    """Tells Keras' callbacks what the training loop tells, and validates every so many epochs."""

    def __init__(
        self,
        model: Any,
        measures: Any,
        told: CallbackList,
        bar: Any,
        validate: Any,
        every: int,
        first: int,
    ) -> None:
        self.model, self.measures, self.told, self.bar = model, measures, told, bar
        self.validate, self.every, self.first_epoch = validate, every, first
        begins = ("on_batch_begin", "on_train_batch_begin")
        ends = ("on_batch_end", "on_train_batch_end")
        self.tells_begin, self.tells_end = self._anybody_hears(begins), self._anybody_hears(ends)

    def _anybody_hears(self, names: tuple[str, ...]) -> bool:
        return any(
            getattr(type(callback), name, None) is not getattr(Callback, name)
            or name in getattr(callback, "__dict__", {})
            for callback in self.told.callbacks
            if callback is not self.bar
            for name in names
        )

    def on_train_begin(self, training: callbacks.Training) -> None:
        self.told.tell("on_train_begin", {})
        self.last_logs, self.within_epoch = Logs(), False

    def on_epoch_begin(self, training: callbacks.Training) -> None:
        self.measures.reset()
        self.within_epoch = True
        self.told.tell("on_epoch_begin", self._epoch(training), {})

    def on_batch_begin(self, training: callbacks.Training) -> None:
        if self.tells_begin:
            self.told.tell("on_train_batch_begin", training.batch, {})

    def on_batch_end(self, training: callbacks.Training) -> None:
        training.network.constrain()
        self.measures.add(training.history.losses[-1], training.network.latest)
        if self.tells_end or (self.bar is not None and self.bar.is_due()):
            self.told.tell("on_train_batch_end", training.batch, self.measures.logs())
        training.stop = self.model.stop_training

    def on_epoch_end(self, training: callbacks.Training) -> None:
        self.within_epoch = False
        logs, epoch = self.measures.logs(), self._epoch(training)
        if self.validate is not None and (epoch + 1) % self.every == 0:
            logs |= {f"val_{name}": value for name, value in self.validate().items()}
        logs = self.last_logs = Logs(logs)
        self.told.tell("on_epoch_end", epoch, logs)
        training.stop = self.model.stop_training

    def on_train_end(self, training: callbacks.Training) -> None:
        if self.within_epoch:  # stopped after a batch
            self.on_epoch_end(training)
        if training.optimizer.use_ema and "average" in training.optimizer.slots:
            training.network.params.flat[...] = training.optimizer.slots["average"]
        self.told.tell("on_train_end", self.last_logs)

    def _epoch(self, training: callbacks.Training) -> int:
        return self.first_epoch + training.epoch
