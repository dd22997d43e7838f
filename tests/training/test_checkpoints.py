"""A training that goes on ends in the same bytes; a damaged checkpoint changes nothing."""

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike, DTypeLike
from tiny_data import digits, fit

from digits import Augmentation, Conv2D, History, MaxPooling2D, OneCycle, Sequential
from digits.files.npz import StorageError, load_arrays, save_arrays
from digits.nn.layers import Activation, BatchNormalization, Dense, Dropout, Flatten, Reshape
from digits.nn.network import Network
from digits.nn.optimizers import SGD, Adam, AdamW, Optimizer, RMSprop
from digits.nn.parameters import Parameters
from digits.training.checkpoints import Checkpoint, load_checkpoint, load_run, save_checkpoint
from digits.types import Array
from train_net import Data
from two_layer_net import TwoLayerNet

pytestmark = pytest.mark.usefixtures("interruptible")

RUN = {"recipe": "ours", "seed": 5}


@pytest.fixture(autouse=True)
def hasty_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """No waiting for the disk: it matters in a power cut only."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


def everything(rng: np.random.Generator, dtype: DTypeLike) -> Sequential:
    """All that a network can carry from one batch to the next: a random state, moving averages."""
    layers = [Reshape((28, 28, 1)), Conv2D(2, 5, strides=3), BatchNormalization(momentum=0.8)]
    layers += [Activation("relu"), MaxPooling2D(2), Dropout(0.3), Flatten()]
    layers += [Dense(12, activation="relu"), Dropout(0.3), Dense(10)]
    return Sequential(layers, rng=rng, dtype=dtype)


BEND = Augmentation(rotation=10, scale=0.1, shift=1, elastic=1, noise=0.1, lighting=0.2)
OPTIMIZERS: dict[str, Callable[[], Optimizer]] = {
    "AdamW": lambda: AdamW(OneCycle(0.01, 8), use_ema=True, global_clipnorm=1.0),
    "Nesterov": lambda: SGD(0.01, momentum=0.9, nesterov=True, weight_decay=0.01),
    "RMSprop": lambda: RMSprop(0.001, momentum=0.5),
}


@cache
def data(n: int) -> Data:
    return digits(n, 13, 11)


def play(
    name: str, folder: Path, stop_after: int | None = None, dtype: str = "float32"
) -> dict[str, bytes]:
    """All that there is after 8 batches, or a Ctrl-C; it goes on where a checkpoint is."""
    network, optimizer = everything(np.random.default_rng(5), dtype), OPTIMIZERS[name]()
    network.metadata = dict(RUN)
    path, history = folder / "checkpoint.npz", None
    if path.exists():
        history = load_checkpoint(path, network, optimizer)
    step: Callable[..., tuple[float, Parameters]] = network.loss_and_gradient

    def loss_and_gradient(x: ArrayLike, t: ArrayLike, **s: float) -> tuple[float, Parameters]:
        if optimizer.iterations + 1 == stop_after:
            signal.raise_signal(signal.SIGINT)
        return step(x, t, **s)

    network.loss_and_gradient = loss_and_gradient  # type: ignore[method-assign, assignment]
    options: dict[str, Any] = {"batch_size": 8, "iterations": 8, "seed": 5, "augment": BEND}
    options |= {"history": history, "callbacks": [Checkpoint(path, RUN)]}
    history = fit(network, data(20), optimizer, **options)
    assert history.interrupted is (stop_after is not None)
    network.save(folder / "model.npz")
    header, arrays = opened(path)
    header.pop("seconds", None)  # of no two runs alike
    return {
        "header": repr(header).encode(),
        **{name: array.tobytes() for name, array in arrays.items()},
        "model": (folder / "model.npz").read_bytes(),
        "csv": history.to_csv().encode(),
        "losses": np.array(history.losses).tobytes(),
        "kept": network.params.flat.tobytes() + network.buffers.flat.tobytes(),
        "rng": repr(network.rng.bit_generator.state).encode(),
    }


@pytest.mark.parametrize(
    ("name", "dtype"), [*((name, "float32") for name in OPTIMIZERS), ("AdamW", "float64")]
)
def test_a_pause_after_every_batch_changes_no_bit(name: str, dtype: str, tmp_path: Path) -> None:
    """Ctrl-C in the first batch, the last of an epoch, the middle of the next, and so on."""
    for stop in range(1, 9):
        play(name, tmp_path / "paused", stop, dtype)
    paused, whole = (play(name, tmp_path / folder, None, dtype) for folder in ("paused", "whole"))
    assert paused == whole


def opened(path: Path) -> tuple[dict[str, Any], dict[str, Array]]:
    """Header and arrays of a checkpoint, ready to be written again."""
    header, arrays = load_arrays(path, "checkpoint")
    return {k: v for k, v in header.items() if k not in ("format", "kind", "version")}, arrays


def trained(iterations: int = 6) -> tuple[TwoLayerNet, Adam, History]:
    network, optimizer = TwoLayerNet(784, 4, 10, 0.1, rng=np.random.default_rng(2)), Adam(0.01)
    history = fit(network, data(30), optimizer, batch_size=10, iterations=iterations)
    return network, optimizer, history


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "checkpoint.npz"
    network, optimizer, history = trained()
    save_checkpoint(path, network, optimizer, history, RUN)
    return path


def blank() -> tuple[TwoLayerNet, Adam]:
    return TwoLayerNet(784, 4, 10, 0.1, rng=np.random.default_rng(9)), Adam(0.01)


def test_everything_comes_back(checkpoint: Path) -> None:
    network, optimizer, history = trained()
    other, other_optimizer = blank()
    loaded = load_checkpoint(checkpoint, other, other_optimizer)
    same = replace(history, seconds=loaded.seconds, best_weights=loaded.best_weights)
    assert loaded == same
    assert history.best_weights is not None
    assert loaded.best_weights is not None
    for found, expected in zip(loaded.best_weights, history.best_weights, strict=True):
        np.testing.assert_array_equal(found, expected)
    assert other.rng.bit_generator.state == network.rng.bit_generator.state
    assert other_optimizer.iterations == 6 and sorted(other_optimizer.slots) == ["m", "v"]
    for name, slot in optimizer.slots.items():
        np.testing.assert_array_equal(other_optimizer.slots[name], slot)
        assert other_optimizer.slots[name].dtype == np.float32
    assert load_run(checkpoint) == RUN


def refused(path: Path, network: Network, optimizer: Optimizer) -> str:
    """The message; and nothing has changed."""
    params, rng_state = network.params.flat.copy(), network.rng.bit_generator.state
    with pytest.raises(StorageError) as caught:
        load_checkpoint(path, network, optimizer)
    np.testing.assert_array_equal(network.params.flat, params)
    assert network.rng.bit_generator.state == rng_state
    assert (optimizer.iterations, optimizer.slots) == (0, {})
    message = str(caught.value)
    assert str(path) in message and "\n" not in message
    return message


def test_of_another_network_or_optimizer(checkpoint: Path) -> None:
    message = refused(checkpoint, TwoLayerNet(784, 5, 10), Adam())
    assert "(3190,)" in message and "(3985,)" in message  # 784 x 4 + 4 + 4 x 10 + 10
    network = blank()[0]
    assert "slot_m" in refused(checkpoint, network, SGD(0.1))
    assert "slot_velocity" in refused(checkpoint, network, SGD(0.1, momentum=0.9))
    assert "slot_average" in refused(checkpoint, network, Adam(use_ema=True))


def edited(path: Path, change: Callable[[dict[str, Any], dict[str, Array]], object]) -> Path:
    header, arrays = opened(path)
    change(header, arrays)
    save_arrays(path, "checkpoint", header, arrays)
    return path


HOW: dict[str, Callable[[Array], Array]] = {
    "short": lambda array: array[:-1],
    "nan": lambda array: np.where(np.arange(array.size) == array.size // 2, np.nan, array),
    "whole numbers": lambda array: array.astype(np.int64),
    "another dtype": lambda array: array.astype("f4" if array.dtype == "f8" else "f8"),
}


@pytest.mark.parametrize("name", ["params", "best_params", "losses", "slot_v"])
@pytest.mark.parametrize("how", ["missing", *HOW])
def test_an_array_is_wrong(checkpoint: Path, name: str, how: str) -> None:
    def change(_: dict[str, Any], arrays: dict[str, Array]) -> None:
        array = arrays.pop(name)
        if how in HOW:
            arrays[name] = HOW[how](array)

    assert name in refused(edited(checkpoint, change), *blank())


WRONG = ["missing", None, "text", 6.0, [{"epoch": 1}], {"a": 1}]
WRONG_RECORDS: list[tuple[str, Any]] = [("iteration", 0), ("iteration", 10**6), ("epoch", 0)]
WRONG_RECORDS += [("train_loss", 1e308), ("train_loss", None), ("test_loss", "small")]


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        *(("header", name, v) for name in ("iterations", "noise", "epochs") for v in WRONG),
        *((part, *wrong) for part in ("epochs", "best") for wrong in WRONG_RECORDS),
        ("epochs", "iteration", 6),  # as the next
    ],
)
def test_header_or_epoch_is_wrong(checkpoint: Path, part: str, name: str, value: Any) -> None:
    def change(header: dict[str, Any], _: dict[str, Array]) -> None:
        place = {"header": header, "epochs": header["epochs"][0], "best": header["best"]}[part]
        place[name] = value
        if value == "missing":
            del place[name]

    refused(edited(checkpoint, change), *blank())
