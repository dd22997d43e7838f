"""Checkpoints: weights, the optimizer's slots, the state of the random generator and the history in
one `.npz` file. A training that goes on from it ends, to the last bit, as without the pause.
"""

from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from digits.files.npz import StorageError, check_arrays, load_arrays, save_arrays
from digits.nn.network import Network
from digits.nn.optimizers import Optimizer
from digits.training.callbacks import Callback, Training
from digits.training.history import EpochRecord, History
from digits.validation import check

MAX_NUMBER = float(np.finfo(np.float32).max)
"""In a checkpoint: no loss can be more."""


class Checkpoint(Callback):
    """Save a checkpoint before the first batch, after each epoch and at the end of a training."""

    def __init__(self, path: Path, run: dict[str, Any]) -> None:
        self.path, self.run = path, run

    def on_train_begin(self, training: Training) -> None:
        self.saved = len(training.history.losses)
        if self.saved == 0:  # if that is not possible, better to learn it now
            self.save(training)

    def on_epoch_end(self, training: Training) -> None:
        self.saved = len(training.history.losses)
        self.save(training)

    def on_train_end(self, training: Training) -> None:
        if len(training.history.losses) > self.saved:  # stopped within an epoch
            self.save(training)

    def save(self, training: Training) -> None:
        """Write the state of the training, all at once."""
        network, optimizer, history = training.network, training.optimizer, training.history
        save_checkpoint(self.path, network, optimizer, history, self.run)


def save_checkpoint(
    path: Path, network: Network, optimizer: Optimizer, history: History, run: dict[str, Any]
) -> None:
    """Write everything that changes while `network` trains; `run` says how it was started."""
    best_params, best_state = history.best_weights or (network.params.flat, network.buffers.flat)
    header = {
        "run": run,
        "iterations": optimizer.iterations,
        "noise": network.rng.bit_generator.state,
        "epochs": [asdict(record) for record in history.epochs],
        "best": None if history.best is None else asdict(history.best),
        "seconds": history.seconds,
    }
    arrays = {
        "params": network.params.flat,
        "state": network.buffers.flat,
        "best_params": best_params,
        "best_state": best_state,
        "losses": np.array(history.losses, dtype=np.float64),
    }
    slots = optimizer.slots or optimizer.empty_slots(network.params)
    arrays |= {f"slot_{name}": slot for name, slot in slots.items()}
    save_arrays(path, "checkpoint", header, arrays)


def load_run(path: Path) -> dict[str, Any]:
    """The `run` that `save_checkpoint` was given: how the training was started."""
    run = load_arrays(path, "checkpoint")[0].get("run")
    if not isinstance(run, dict):
        raise StorageError(f"{path} does not say which run it belongs to; start a new run")
    return run


def load_checkpoint(path: Path, network: Network, optimizer: Optimizer) -> History:
    """Put a new network and optimizer back to where they were, and return the history.

    Raises FileNotFoundError, or StorageError if the file is damaged or of another network or
    optimizer; then nothing has been changed.
    """
    header, arrays = load_arrays(path, "checkpoint")
    slots = optimizer.empty_slots(network.params)
    size, state_size = network.params.flat.shape, network.buffers.flat.shape
    try:
        iterations = _number(header["iterations"], int)
        history = History(epochs=[_record(record) for record in header["epochs"]])
        history.best = None if header["best"] is None else _record(header["best"])
        history.seconds = _number(header["seconds"], float)
        best = 0 if history.best is None else history.best.iteration
        check((best == 0) == (not history.epochs) and best <= iterations, "a best epoch", best)
        ends = [0, *(record.iteration for record in history.epochs), iterations + 1]
        in_order = all(end < later for end, later in pairwise(ends))
        check(in_order, "epochs that end one after another", ends[1:-1])
        rng = np.random.default_rng()  # tries the state out, before the network's own is changed
        rng.bit_generator.state = header["noise"]
        for name, array in arrays.items():
            dtype = np.dtype(np.float64) if name == "losses" else network.params.dtype
            check(array.dtype == dtype, f"{name} of dtype {dtype}", array.dtype)
    except (KeyError, OverflowError, TypeError, ValueError) as error:
        raise StorageError(f"{path} cannot be resumed ({error}); start a new run") from error
    expected = {"params": size, "best_params": size, "state": state_size, "best_state": state_size}
    expected |= {"losses": (iterations,)} | {f"slot_{name}": size for name in slots}
    check_arrays(path, arrays, expected)

    network.params.flat[...], network.buffers.flat[...] = arrays["params"], arrays["state"]
    network.rng.bit_generator.state = rng.bit_generator.state
    optimizer.iterations = iterations
    optimizer.slots = {name: arrays[f"slot_{name}"] for name in slots}
    history.losses = arrays["losses"].tolist()
    if history.best is not None:
        history.best_weights = arrays["best_params"], arrays["best_state"]
    return history


def _record(values: dict[str, Any]) -> EpochRecord:
    record = EpochRecord(**values)
    for name, value in asdict(record).items():
        if value is not None or name in ("epoch", "iteration", "learning_rate", "train_loss"):
            _number(value, int if name in ("epoch", "iteration") else float)
    check(min(record.epoch, record.iteration) > 0, "epochs that are counted from 1", record)
    return record


def _number(value: Any, kind: type[int] | type[float]) -> Any:
    """The value if it is a finite number of this kind and not below 0; else ValueError."""
    fits = isinstance(value, int) or (kind is float and isinstance(value, float))
    if not fits or not 0 <= value <= MAX_NUMBER:
        raise ValueError(f"expected a finite {kind.__name__} of at least 0; found {value!r:.50}")
    return value
