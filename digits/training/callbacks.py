"""What happens around the steps of a training, one concern to a callback: measuring, stopping,
showing progress. The loop itself, in train_net.py, only takes steps.
"""

import logging
import math
import signal
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from tqdm import tqdm

from digits.cli import say
from digits.compute.distributed import SINGLE_PROCESS, ProcessGroup
from digits.nn.layers import BatchNormalization, Normalization, Rescaling
from digits.nn.optimizers import Optimizer
from digits.nn.parameters import Parameters
from digits.training.batches import Data
from digits.training.history import EpochRecord, History
from digits.types import Array
from digits.validation import positive_int
from functions import accuracy, cross_entropy_error

logger = logging.getLogger(__name__)

SAMPLE = 10_000
"""Loss and accuracy on training images are measured on this many, as many as MNIST tests with."""


SCALING_LAYERS = (BatchNormalization, Normalization, Rescaling)


class TrainingError(RuntimeError):
    """Training cannot go on; the message says where it stopped and what to change."""


class Trainable(Protocol):
    """All that the loop itself needs of a network."""

    @property
    def params(self) -> Parameters: ...
    def loss_and_gradient(self, x: Any, t: Any, *, scale: float) -> tuple[float, Parameters]: ...


@dataclass
class Training:
    """A training as its callbacks see it; `stop = True` ends it after the current batch."""

    network: Any
    optimizer: Optimizer
    history: History
    iterations: int  # batches planned, those of a resumed history among them
    batches: int  # in an epoch
    epoch: int = 0  # the current one, from 0
    batch: int = 0  # the current one of this epoch, from 0
    stop: bool = False


class Callback:
    """Does nothing at each of these moments; a subclass overrides some."""

    def on_train_begin(self, training: Training) -> None:
        """Before the first batch."""

    def on_epoch_begin(self, training: Training) -> None:
        """Before an epoch, or the rest of one that a resumed training goes on with."""

    def on_batch_begin(self, training: Training) -> None:
        """Before a step."""

    def on_batch_end(self, training: Training) -> None:
        """After a step, whose loss is the last of `training.history.losses`."""

    def on_epoch_end(self, training: Training) -> None:
        """After an epoch, also one cut short by the number of iterations, but not by a stop."""

    def on_train_end(self, training: Training) -> None:
        """After the last batch, unless an exception ended the training."""

    def close(self) -> None:
        """After all else, and after an exception: give back what was taken."""


# --- measuring ------------------------------------------------------------------------------------


class Measure(Callback):
    """Add a record to the history after each epoch: loss and accuracy on every part of the data,
    with the averaged weights if the optimizer keeps them.
    """

    def __init__(self, data: Data) -> None:
        self.data = data

    def on_epoch_begin(self, training: Training) -> None:
        epochs = training.history.epochs
        if epochs and epochs[-1].epoch == training.epoch + 1:
            epochs.pop()  # of an epoch that had been cut short, and now goes on

    def on_epoch_end(self, training: Training) -> None:
        network, history = training.network, training.history
        with averaged_weights(network, training.optimizer):
            figures: dict[str, Any] = {}
            for part, (x, t) in self.data.parts().items():
                if len(x):
                    sample = slice(SAMPLE if part == "train" else None)
                    loss, correct = loss_and_accuracy(network, x[sample], t[sample])
                    figures |= {f"{part}_loss": loss, f"{part}_accuracy": correct}
            rate = training.optimizer.current_learning_rate()
            record = EpochRecord(training.epoch + 1, len(history.losses), rate, **figures)
            history.add(record, network.params.flat, network.buffers.flat)


def loss_and_accuracy(network: Any, x: Array, t: Array) -> tuple[float, float | None]:
    """Of a network on images and targets; the accuracy is None where targets are no classes."""
    y = network.predict(x)
    if getattr(network, "loss_name", "cross_entropy") == "cross_entropy" and y.shape[-1] > 1:
        return cross_entropy_error(y, t), accuracy(y, t)  # both from one forward pass
    return network.evaluate(x, t)


@contextmanager
def averaged_weights(network: Any, optimizer: Optimizer) -> Iterator[None]:
    """Inside, the network has the average of its weights, if the optimizer keeps one."""
    weights, average = network.params.flat, optimizer.slots.get("average")
    latest = weights.copy()
    weights[...] = latest if average is None else average
    try:
        yield
    finally:
        weights[...] = latest


class RequireFiniteLoss(Callback):
    """Raise TrainingError when a loss, of a batch or of an epoch's record, is inf or nan."""

    def on_batch_begin(self, training: Training) -> None:
        self.learning_rate = training.optimizer.current_learning_rate()

    def on_batch_end(self, training: Training) -> None:
        self._require(training.history.losses[-1], training)

    def on_epoch_end(self, training: Training) -> None:
        self._require(training.history.epochs[-1].train_loss, training)

    def _require(self, loss: float, training: Training) -> None:
        if not math.isfinite(loss):
            at = f"epoch {training.epoch + 1}, batch {training.batch + 1} of {training.batches}"
            at += f", at learning rate {self.learning_rate:g}"
            advice = "start again with a lower learning rate"
            raise TrainingError(f"the loss became {loss} in {at}: {advice}")


class WarnIfUnscaled(Callback):
    """Warn of images with pixels from 0 to 255, unless a layer of the network scales them."""

    def __init__(self, x: Array) -> None:
        self.pixels = np.asarray(x[:SAMPLE])

    def on_train_begin(self, training: Training) -> None:
        layers = getattr(training.network, "layers", ())
        scales = any(isinstance(layer, SCALING_LAYERS) for layer in layers)
        if self.pixels.dtype.kind == "f" and not scales:
            least, most = self.pixels.min(), self.pixels.max()
            if least >= 0 and 128 <= most <= 255:
                text = f"expected pixels from 0 to 1; received up to {most:g}: divide them by 255"
                warnings.warn(text, stacklevel=5)  # the line that calls `train`


class WarnIfUntrained(Callback):
    """Say so, through logging, if the network is no better than chance or its loss has grown."""

    def __init__(self, data: Data) -> None:
        self.t = data.t_train

    def on_train_end(self, training: Training) -> None:
        history = training.history
        if history.best is None or history.best.train_accuracy is None:
            return  # no epoch has ended, or the targets are no classes
        reached, first = history.best.train_accuracy, history.losses[0]
        last = history.epochs[-1].train_loss
        if len(history.losses) < 100 and last < 2 * first:
            return  # it is too early to tell
        labels = np.argmax(self.t, axis=1) if self.t.ndim == 2 and self.t.shape[1] > 1 else self.t
        chance = float(np.unique(labels, return_counts=True)[1].max() / len(labels))
        if reached < min(1, 1.05 * chance) or last > first:
            text = "the training went wrong: accuracy %.3f, where chance is %.3f; loss %.3g, at "
            text += "first %.3g: try another learning rate"
            logger.warning(text, reached, chance, last, first)


class Stopwatch(Callback):
    """Count the seconds that the training takes, those of a resumed history among them."""

    def on_train_begin(self, training: Training) -> None:
        self.began = time.perf_counter() - training.history.seconds

    def on_batch_end(self, training: Training) -> None:
        training.history.seconds = time.perf_counter() - self.began

    on_epoch_end = on_batch_end


# --- ending ---------------------------------------------------------------------------------------


class EarlyStopping(Callback):
    """Stop after `patience` epochs without a better one on the validation images."""

    def __init__(self, patience: int) -> None:
        self.patience = positive_int(patience, "a number of epochs to wait for a better one")

    def on_train_begin(self, training: Training) -> None:
        self.on_epoch_end(training)  # a resumed training may have stopped early

    def on_epoch_end(self, training: Training) -> None:
        history = training.history
        if history.epochs_since_best() >= self.patience:
            training.stop = True
        if len(history.epochs) == 1 and history.epochs[0].validation_loss is None:
            logger.warning("early stopping has no validation images to go by: hold some out")


class RestoreBest(Callback):
    """Leave the network, at the end, with the weights of its best epoch."""

    def on_train_end(self, training: Training) -> None:
        if training.history.best_weights is not None:
            params, state = training.history.best_weights
            training.network.params.flat[...], training.network.buffers.flat[...] = params, state


class CtrlC(Callback):
    """Stop after the current batch at the first Ctrl-C; a second one raises KeyboardInterrupt.
    Outside the main thread, Ctrl-C is left alone.
    """

    def __init__(self, group: ProcessGroup = SINGLE_PROCESS) -> None:
        self.group, self.pressed = group, False
        self.before: Any = None

    def on_train_begin(self, training: Training) -> None:
        training.history.interrupted = False
        with suppress(ValueError):  # outside the main thread
            self.before = signal.signal(signal.SIGINT, self._press)

    def _press(self, *_: object) -> None:
        self.pressed = True
        self.close()

    def on_batch_end(self, training: Training) -> None:
        if self.group.any(self.pressed):
            training.stop = training.history.interrupted = True

    def close(self) -> None:
        if self.before is not None:
            signal.signal(signal.SIGINT, self.before)
            self.before = None


# --- telling --------------------------------------------------------------------------------------


class Progress(Callback):
    """Show a bar on a terminal; print a line for each epoch elsewhere, or if no bar is wanted."""

    def __init__(self, bar: bool = True) -> None:
        self.wants_bar, self.accuracy = bar, ""
        self.bar: tqdm[Any] | None = None

    def on_train_begin(self, training: Training) -> None:
        if self.wants_bar and sys.stderr is not None and sys.stderr.isatty():
            done = len(training.history.losses)
            self.bar = tqdm(total=training.iterations, initial=done, unit="batch")

    def on_batch_end(self, training: Training) -> None:
        if self.bar is not None:
            losses = training.history.losses
            self.bar.update()
            if len(losses) % 50 == 0:  # a mean, as the losses of single batches jump too much
                text = f"loss {np.mean(losses[-100:]):.4f}{self.accuracy}"
                self.bar.set_postfix_str(text, refresh=False)

    def on_epoch_end(self, training: Training) -> None:
        record, epochs = training.history.epochs[-1], -(-training.iterations // training.batches)

        def text(what: str, value: float | None) -> str:
            return "" if value is None else f", {what} {value:.4f}"

        self.accuracy = text("validation accuracy", record.validation_accuracy)
        self.accuracy += text("test accuracy", record.test_accuracy)
        if self.bar is None:
            loss = f"epoch {record.epoch:{len(str(epochs))}}/{epochs}: loss {record.train_loss:.4f}"
            with suppress(OSError):  # a full disk under a log does not stop the training
                say(loss + text("accuracy", record.train_accuracy) + self.accuracy)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
