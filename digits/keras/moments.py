"""What Keras does around the steps of a training, as a callback of this library's own loop: keeping
the figures of the epoch, telling Keras' callbacks what happens.
"""

from typing import Any

import numpy as np

from digits.keras import metrics
from digits.keras.callbacks import Callback, CallbackList
from digits.keras.legacy import Logs
from digits.keras.network import Targets
from digits.training import callbacks
from digits.types import Array


class Measures:
    """The loss and the metrics of an epoch so far. Outputs wait until somebody asks, as a metric
    of many samples takes hardly more time than one of few.
    """

    MAX_WAITING = 2_000_000

    def __init__(self, found: list[metrics.Metric]) -> None:
        self.metrics = found
        self.reset()

    def reset(self) -> None:
        self.loss_sum = self.count = 0.0
        self.waiting: list[tuple[Array, Targets]] = []
        for metric in self.metrics:
            metric.reset_state()

    def add(self, loss: float, y: Array, targets: Targets) -> None:
        self.loss_sum += loss * len(y)
        self.count += len(y)
        if self.metrics:
            self.waiting.append((y.copy(), targets))
            if y.size * len(self.waiting) > self.MAX_WAITING:
                self._measure()

    def _measure(self) -> None:
        if not self.waiting:
            return
        y = np.concatenate([y for y, _ in self.waiting])
        t = np.concatenate([np.asarray(targets.t) for _, targets in self.waiting])
        for metric in self.metrics:
            if metric.by_batch:
                for part, targets in self.waiting:
                    metric.update_state(targets.t, part)
            else:
                metric.update_state(t, y)
        self.waiting = []

    def logs(self, prefix: str = "") -> Logs:
        """The figures, by name, in alphabetical order as Keras 3 has them."""
        self._measure()
        figures = {"loss": self.loss_sum / max(self.count, 1)}
        figures |= {metric.name: float(np.asarray(metric.result())) for metric in self.metrics}
        return Logs({f"{prefix}{name}": figures[name] for name in sorted(figures)})


class KerasMoments(callbacks.Callback):
    """Tells Keras' callbacks what the training loop tells, and validates every so many epochs."""

    def __init__(
        self, model: Any, told: CallbackList, bar: Any, validate: Any, every: int, first: int
    ) -> None:
        self.model, self.told, self.bar = model, told, bar
        self.validate, self.every, self.first_epoch = validate, every, first
        self.measures = Measures(model.metrics)
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
        y, targets = training.network.latest
        self.measures.add(training.history.losses[-1], y, targets)
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
