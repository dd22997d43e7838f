"""The process in which a training of the page runs: `train_net.train` with one callback, which
receives the page's commands and sends what the page shows.
"""

import os
import signal
import time
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from digits.compute.threads import set_threads
from digits.data.synthetic_digits import generate_inputs
from digits.nn.network import Network
from digits.nn.optimizers import Adam
from digits.page.inspection import gray_levels, tiles
from digits.page.messages import tell
from digits.page.settings import LIMITS, OPTIMIZERS, TeachingSettings, TrainingSettings
from digits.training.augmentation import Augmentation
from digits.training.batches import Data
from digits.training.callbacks import Callback, Training, averaged_weights
from digits.types import Array
from functions import numerical_gradient
from mnist_loader import load_mnist
from train_net import train

UPDATE_INTERVAL = (0.25, 2.0)
"""Seconds, at least and at most; in between three times as long as an update takes to gather."""

TEST_IMAGES = 500
"""The accuracy that the page shows while it trains is measured on this many."""

POINTS, WEIGHTS, MISREAD = 150, 24, 12
"""Of a curve, of the first layer and of the misread digits, how many the page shows."""

COPIES, REHEARSED = 400, 600
"""Of the visitor's digits, and of known ones, how many an epoch of teaching has."""

SLIGHTLY_MOVED = Augmentation(rotation=6, scale=0.06, shift=1)


def work(pipe: Connection, settings: TrainingSettings | TeachingSettings) -> None:
    """Train, and send through the pipe the network, and dicts that update the page's state."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which ends this
    with suppress(AttributeError, OSError):
        os.nice(15)  # readings first
    set_threads(1)
    try:
        if isinstance(settings, TrainingSettings):
            _train(pipe, settings)
        else:
            _teach(pipe, settings)
    except EOFError:
        return  # the server is gone
    except (ArithmeticError, OSError, MemoryError, RuntimeError, ValueError) as error:
        pipe.send({"state": "failed", **tell(error)})


def _train(pipe: Connection, settings: TrainingSettings) -> None:
    network, seed = settings.build(), settings.seed
    name = settings.network if settings.network != "layers" else "own layers"
    network.metadata = {"recipe": name, "dataset": settings.data, "seed": seed}
    data, optimizer = _data(settings), OPTIMIZERS[settings.optimizer](settings.learning_rate)
    reporter = Reporter(pipe, data)
    length: dict[str, Any] = {"epochs": settings.epochs, "batch_size": settings.batch_size}
    train(network, data, optimizer, seed=seed, callbacks=[reporter], verbose=0, **length)
    pipe.send({"state": reporter.ended})


def _data(settings: TrainingSettings) -> Data:
    rng = np.random.default_rng(settings.seed)
    if settings.data == "mnist":
        (x, t), (x_test, t_test) = load_mnist(normalize=True)
        chosen = rng.permutation(len(x))[: settings.images]
        return Data(x[chosen], t[chosen], x_test=x_test[:TEST_IMAGES], t_test=t_test[:TEST_IMAGES])
    x, t = generate_inputs(settings.images, rng)
    x_test, t_test = generate_inputs(TEST_IMAGES, np.random.default_rng((settings.seed, 1)))
    return Data(x, t, x_test=x_test, t_test=t_test)


def _teach(pipe: Connection, settings: TeachingSettings) -> None:
    """Fine-tune on the visitor's digits, slightly moved in each epoch, and, with `rehearse`, on
    others; then measure on both what was gained and what was forgotten."""
    network, rng = settings.network, np.random.default_rng(0)
    known, known_labels = generate_inputs(REHEARSED, rng)
    x_test, t_test = generate_inputs(TEST_IMAGES, np.random.default_rng(1))
    before = _measured(settings, x_test, t_test)
    repeated = rng.permutation(np.resize(np.arange(len(settings.labels)), COPIES))
    x, t = settings.images[repeated], settings.labels[repeated]
    if settings.rehearse:
        x, t = np.concatenate([x, known]), np.concatenate([t, known_labels])
    data = Data(x, t, x_test=x_test, t_test=t_test)
    network.metadata = {**network.metadata, "taught": len(settings.labels)}
    reporter = Reporter(pipe, data)
    options: dict[str, Any] = {"epochs": 3, "batch_size": 32, "augment": SLIGHTLY_MOVED}
    train(network, data, Adam(5e-4), callbacks=[reporter], verbose=0, **options)
    pipe.send(network)
    after = _measured(settings, x_test, t_test)
    taught = {"examples": len(settings.labels), "before": before, "after": after}
    pipe.send({"state": reporter.ended, "taught": taught})


def _measured(settings: TeachingSettings, x_test: Array, t_test: Array) -> dict[str, Any]:
    answers = settings.network.predict(x_test).argmax(axis=1)
    return {
        "own": settings.network.accuracy(settings.images, settings.labels),
        "others": float((answers == t_test).mean()),
        "each": [float((answers[t_test == digit] == digit).mean()) for digit in range(10)],
    }


class Reporter(Callback):
    """Sends losses, accuracies, the first weights, misread digits and a gradient check a few times
    a second, and does what the page commands: pause, step, continue, stop."""

    def __init__(self, pipe: Connection, data: Data) -> None:
        self.pipe, self.data = pipe, data
        self.rng = np.random.default_rng(0)
        self.paused, self.ended = False, "training"
        self.accuracies: list[tuple[int, float, float]] = []
        self.seconds, self.since, self.next_update = 0.0, 0.0, 0.0

    def on_train_begin(self, training: Training) -> None:
        self.since = time.perf_counter()
        self._send(training, "training")

    def on_batch_end(self, training: Training) -> None:
        now = time.perf_counter()
        self.seconds += now - self.since
        if self.paused or now > self.next_update:
            self._send(training, "paused" if self.paused else "training")
        while self.paused or self.pipe.poll():
            command = self.pipe.recv()
            if command == "pause" and not self.paused:
                self._send(training, "paused")
            self.paused = command in ("pause", "step")
            training.stop = command == "stop"
            if command in ("step", "stop"):
                break
        if self.seconds > 60 * LIMITS["minutes"]:
            training.stop = True
        self.since = time.perf_counter()

    def on_train_end(self, training: Training) -> None:
        finished = len(training.history.losses) >= training.iterations
        self.ended = "done" if finished else "stopped"
        self._send(training, "training")

    def _send(self, training: Training, state: str) -> None:
        began = time.perf_counter()
        with averaged_weights(training.network, training.optimizer):
            self.pipe.send({"state": state, **self._figures(training)})
            self.pipe.send(training.network)
        now = time.perf_counter()
        self.next_update = now + float(np.clip(3 * (now - began), *UPDATE_INTERVAL))

    def _figures(self, training: Training) -> dict[str, Any]:
        network, data, done = training.network, self.data, len(training.history.losses)
        rows = self.rng.integers(0, len(data.x_train), 250)
        seen = network.accuracy(data.x_train[rows], data.t_train[rows])
        p = network.predict(data.x_test)
        wrong = np.flatnonzero(p.argmax(axis=1) != data.t_test)
        self.accuracies.append((done, seen, 1 - len(wrong) / len(p)))
        if len(self.accuracies) > 2 * POINTS:
            del self.accuracies[1::2]
        losses, misread = np.array(training.history.losses), []
        for i in wrong[:MISREAD]:
            digit = {"image": gray_levels(data.x_test[i]), "label": int(data.t_test[i])}
            misread.append(digit | {"answer": int(p[i].argmax())})
        return {
            "iteration": done,
            "iterations": training.iterations,
            "seconds": round(self.seconds, 1),
            "loss": [float(part.mean()) for part in np.array_split(losses, POINTS) if len(part)],
            "accuracy": self.accuracies,
            "weights": _first_weights(network),
            "misread": misread,
            "check": self._gradient_check(network),
        }

    def _gradient_check(self, network: Network) -> list[dict[str, Any]]:
        """The gradient with respect to the weight that matters most of each of three arrays, by
        backpropagation and by central differences, in float64."""
        exact = network.astype(np.float64)
        rows = self.rng.integers(0, len(self.data.x_train), 4)
        x, t = self.data.x_train[rows].astype(np.float64), self.data.t_train[rows]
        grads = exact.gradient(x, t)
        checks = []
        for name in map(str, self.rng.permutation(list(exact.params))[:3]):
            weights, i = exact.params[name], int(np.abs(grads[name]).argmax())
            found = numerical_gradient(lambda _: exact.loss(x, t), weights, h=1e-6, entries=[i])
            analytic, numerical = float(grads[name].flat[i]), float(found.flat[i])
            checks.append({"name": name, "analytic": analytic, "numerical": numerical})
        return checks


def _first_weights(network: Network) -> dict[str, Any] | None:
    """The weights of the first layer that has some, as images."""
    W = next(W for W in network.params.values() if W.ndim > 1)
    if W.ndim == 4:
        return tiles(W[:, :, 0, :WEIGHTS])
    return tiles(W[:, :WEIGHTS].reshape(28, 28, -1)) if len(W) == 784 else None
