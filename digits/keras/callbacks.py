"""Keras' callbacks: objects that are told what happens in a training, and may stop it."""

import csv
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from digits.keras.legacy import Logs, note, renamed
from digits.keras.progress import Progbar, show
from digits.validation import check

MOMENTS = (
    *("on_train_begin", "on_train_end", "on_epoch_begin", "on_epoch_end"),
    *("on_train_batch_begin", "on_train_batch_end", "on_batch_begin", "on_batch_end"),
    *("on_test_begin", "on_test_end", "on_test_batch_begin", "on_test_batch_end"),
    *("on_predict_begin", "on_predict_end", "on_predict_batch_begin", "on_predict_batch_end"),
)
"""What a callback is told of: with the number of the epoch or batch, if it is one, and the logs."""


class Callback:
    """Has a method for each of MOMENTS, which does nothing until a subclass gives another one."""

    model: Any = None
    params: dict[str, Any]

    def set_model(self, model: Any) -> None:
        self.model = model

    def set_params(self, params: dict[str, Any]) -> None:
        """Learn the number of epochs and steps, and how much is printed."""
        self.params = params

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Before a batch; `on_batch_begin` is the same moment under its old name."""
        self.on_batch_begin(batch, logs)  # type: ignore[attr-defined]

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """After a batch; `on_batch_end` is the same moment under its old name."""
        self.on_batch_end(batch, logs)  # type: ignore[attr-defined]


def _do_nothing(self: Callback, *_: Any, **__: Any) -> None:
    """Nothing to do at this moment."""


for _moment in MOMENTS:
    if not hasattr(Callback, _moment):
        setattr(Callback, _moment, _do_nothing)


class CallbackList:
    """Several callbacks, told one after another."""

    def __init__(self, callbacks: Any, model: Any, params: dict[str, Any]) -> None:
        self.callbacks = list(callbacks)
        for callback in self.callbacks:
            callback.set_model(model)
            callback.set_params(params)

    def tell(self, moment: str, *arguments: Any) -> None:
        """Tell all of them; one that is not derived from Callback may lack some moments."""
        for callback in self.callbacks:
            if hasattr(callback, moment):
                getattr(callback, moment)(*arguments)

    def begin_training(self) -> None:
        """Tell all of them that the training begins, and find out which act after batches."""
        self.tell("on_train_begin", {})
        self._acts_after_batches = any(map(_acts_after_batches, self.callbacks))
        self._bars = [bar for bar in self.callbacks if isinstance(bar, ProgbarLogger)]

    def needs_logs(self) -> bool:
        """Whether one of them acts at the end of this batch, and is given the logs."""
        return self._acts_after_batches or any(bar.is_due() for bar in self._bars)


def _acts_after_batches(callback: Any) -> bool:
    """Whether a callback has a method of its own for the end of a batch."""
    moments, own = ("on_batch_end", "on_train_batch_end"), getattr(callback, "__dict__", {})
    kind = ProgbarLogger if isinstance(callback, ProgbarLogger) else Callback
    changed = any(getattr(type(callback), m, None) is not getattr(kind, m) for m in moments)
    return changed or any(moment in own for moment in moments)


class History(Callback):
    """The logs of every epoch: `history["val_loss"]` is a list."""

    def __init__(self) -> None:
        self.history: Logs = Logs()
        self.epoch: list[int] = []

    def on_train_begin(self, logs: Any = None) -> None:
        self.epoch = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)

    def __repr__(self) -> str:
        last = ", ".join(f"{name} {values[-1]:.4f}" for name, values in self.history.items())
        return f"<History of {len(self.epoch)} epochs; the last: {last}>"


class _Monitor(Callback):
    """A callback that monitors one of the logs: whether it is better than the best so far."""

    monitor: str
    mode: str
    min_delta: float = 0

    def __post_init__(self) -> None:
        check(self.mode in ("auto", "min", "max"), "mode 'auto', 'min' or 'max'", self.mode)
        grows = any(word in self.monitor for word in ("acc", "auc", "precision", "recall", "f1"))
        self.sign = 1 if self.mode == "max" or (self.mode == "auto" and grows) else -1
        self.best: Any = -self.sign * math.inf
        self.wait = 0

    def get_monitor_value(self, logs: Any) -> Any:
        """The monitored value; None, with a line that says so, if the logs lack it."""
        value = Logs(logs or {}).get(self.monitor)
        if value is None:
            there = ", ".join(logs or {})
            note(f"{type(self).__name__} watches {self.monitor!r}, which is not among {there}")
        return value

    def is_better(self, value: float, best: float) -> bool:
        return self.sign * (value - best) > abs(self.min_delta)


@dataclass(eq=False, repr=False)
class EarlyStopping(_Monitor):
    """Stop when a value of the logs has not become better for `patience` epochs."""

    monitor: str = "val_loss"
    min_delta: float = 0
    patience: int = 0
    verbose: int = 0
    mode: str = "auto"
    baseline: float | None = None
    restore_best_weights: bool = False
    start_from_epoch: int = 0

    def on_train_begin(self, logs: Any = None) -> None:
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best, self.best_weights = -self.sign * math.inf, None

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        value = self.get_monitor_value(logs)
        if value is None or epoch < self.start_from_epoch:
            return
        if self.restore_best_weights and self.best_weights is None:
            self.best_weights, self.best_epoch = self.model.get_weights(), epoch
        self.wait += 1
        if self.is_better(value, self.best):
            self.best, self.best_epoch = value, epoch
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
            if self.baseline is None or self.is_better(value, self.baseline):
                self.wait = 0
            return
        if self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Any = None) -> None:
        if self.stopped_epoch and self.verbose:
            show(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.restore_best_weights and self.best_weights is not None:
            if self.verbose:
                best = self.best_epoch + 1
                show(f"Restoring model weights from the end of the best epoch: {best}.")
            self.model.set_weights(self.best_weights)


@renamed(options=None, save_format=None, load_weights_on_restart=None)
@dataclass(eq=False, repr=False)
class ModelCheckpoint(_Monitor):
    """Save the model, or its weights, after every epoch, or only after the best so far. The file
    name may hold {epoch} and names of logs, "{epoch:02d}-{val_loss:.2f}.keras".
    """

    filepath: Any
    monitor: str = "val_loss"
    verbose: int = 0
    save_best_only: bool = False
    save_weights_only: bool = False
    mode: str = "auto"
    save_freq: Any = "epoch"
    initial_value_threshold: float | None = None
    period: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.filepath, self.batches = str(self.filepath), 0
        if self.period is not None:
            note("period= is called save_freq= today, and counts batches")
        if self.initial_value_threshold is not None:
            self.best = self.initial_value_threshold

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.batches += 1
        if self.save_freq != "epoch" and self.batches % int(self.save_freq) == 0:
            self._save(self.epoch, logs)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch = epoch

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self.save_freq == "epoch" and (epoch + 1) % (self.period or 1) == 0:
            self._save(epoch, logs)

    def _save(self, epoch: int, logs: Any) -> None:
        said = f"\nEpoch {epoch + 1}: "
        if self.save_best_only:
            value = self.get_monitor_value(logs)
            if value is None:
                return
            if not self.is_better(value, self.best):
                if self.verbose:
                    show(f"{said}{self.monitor} did not improve from {self.best:.5f}")
                return
            said += f"{self.monitor} improved from {self.best:.5f} to {value:.5f}, "
            self.best = value
        path = self.filepath.format_map(Logs(logs or {}, epoch=epoch + 1, batch=self.batches))
        if self.verbose:
            show(f"{said}saving model to {path}")
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        if self.save_weights_only:
            self.model.save_weights(path, overwrite=True)
        else:
            self.model.save(path, overwrite=True)


@renamed(epsilon="min_delta")
@dataclass(eq=False, repr=False)
class ReduceLROnPlateau(_Monitor):
    """Multiply the learning rate by `factor` when a value of the logs has not become better."""

    monitor: str = "val_loss"
    factor: float = 0.1
    patience: int = 10
    verbose: int = 0
    mode: str = "auto"
    min_delta: float = 1e-4
    cooldown: int = 0
    min_lr: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check(0 <= self.factor < 1, "a factor in [0, 1)", self.factor)

    def on_train_begin(self, logs: Any = None) -> None:
        self.best = -self.sign * math.inf
        self.wait = self.cooldown_counter = 0

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        optimizer = self.model.optimizer
        if logs is not None:
            logs["learning_rate"] = optimizer.current_learning_rate()
        value = self.get_monitor_value(logs)
        if value is None:
            return
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.wait = 0
        if self.is_better(value, self.best):
            self.best, self.wait = value, 0
        elif self.cooldown_counter <= 0:
            self.wait += 1
            old = optimizer.current_learning_rate()
            if self.wait >= self.patience and old > np.float32(self.min_lr):
                new = max(old * self.factor, self.min_lr)
                optimizer.learning_rate = new
                if self.verbose:
                    show(f"\nEpoch {epoch + 1}: ReduceLROnPlateau reducing learning rate to {new}.")
                self.cooldown_counter, self.wait = self.cooldown, 0


class LearningRateScheduler(Callback):
    """The learning rate of every epoch from a function (epoch), or (epoch, rate so far)."""

    def __init__(self, schedule: Any, verbose: int = 0) -> None:
        self.schedule, self.verbose = schedule, verbose

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        optimizer = self.model.optimizer
        try:
            rate = self.schedule(epoch, optimizer.current_learning_rate())
        except TypeError:
            rate = self.schedule(epoch)
        optimizer.learning_rate = float(np.asarray(rate))
        if self.verbose:
            show(f"\nEpoch {epoch + 1}: LearningRateScheduler setting learning rate to {rate}.")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if logs is not None:
            logs["learning_rate"] = self.model.optimizer.current_learning_rate()


class LambdaCallback(Callback):
    """Functions of one's own, each for one moment: LambdaCallback(on_epoch_end=f)."""

    def __init__(self, **functions: Any) -> None:
        for moment, function in functions.items():
            if moment not in MOMENTS:
                raise TypeError(f"expected moments among {', '.join(MOMENTS)}; received {moment}")
            if function is not None:
                setattr(self, moment, function)


class TerminateOnNaN(Callback):
    """Stop when the loss is no longer a finite number."""

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if not math.isfinite((logs or {}).get("loss", 0.0)):
            show(f"Batch {batch}: Invalid loss, terminating training")
            self.model.stop_training = True


class CSVLogger(Callback):
    """A line of a CSV file for every epoch."""

    def __init__(self, filename: Any, separator: str = ",", append: bool = False) -> None:
        self.filename, self.separator, self.append = Path(filename), separator, append

    def on_train_begin(self, logs: Any = None) -> None:
        self.begun = self.append and self.filename.exists() and self.filename.stat().st_size > 0
        self.filename.parent.mkdir(parents=True, exist_ok=True)
        if not self.append:
            self.filename.write_text("", encoding="utf-8")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        row = {"epoch": epoch, **(logs or {})}
        with self.filename.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(row), delimiter=self.separator, lineterminator="\n")
            if not self.begun:
                writer.writeheader()
                self.begun = True
            writer.writerow(row)


class TensorBoard(CSVLogger):
    """There is no TensorBoard here: the logs are written as CSV, `epochs.csv` in its folder."""

    def __init__(self, log_dir: Any = "logs", **_: Any) -> None:
        super().__init__(Path(log_dir, "epochs.csv"))
        note(f"TensorBoard is served by a CSV file, {self.filename}")


class ProgbarLogger(Callback):
    """The progress of a training as it is printed: verbose=1 a bar, verbose=2 a line an epoch."""

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if self.params["verbose"] and self.params["epochs"] > 1:
            show(f"Epoch {epoch + 1}/{self.params['epochs']}")
        self.bar = Progbar(self.params["steps"], verbose=self.params["verbose"])

    def is_due(self) -> bool:
        """Whether it is time to show the logs of the epoch so far."""
        return self.params["verbose"] == 1 and self.bar.is_due()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if self.is_due():
            self.bar.update(batch + 1, logs, finalize=False)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.bar.update(self.params["steps"], logs, finalize=True)
