"""Every recipe, interrupted and gone on with, ends in the same bytes as without the pause; and a
checkpoint that is damaged, or of something else, changes nothing.
"""

import errno
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike, DTypeLike
from tiny_data import digits, fit

from digits.files.npz import StorageError, load_arrays, save_arrays
from digits.nn.convolution import Conv2D
from digits.nn.layers import Activation, BatchNormalization, Dense, Dropout, Flatten, Reshape
from digits.nn.network import Network
from digits.nn.optimizers import SGD, Adam, AdamW, Optimizer, RMSprop
from digits.nn.parameters import Parameters
from digits.nn.pooling import MaxPooling2D
from digits.nn.schedules import OneCycle
from digits.nn.sequential import Sequential
from digits.recipes import RECIPES, Recipe
from digits.training.augmentation import Augmentation
from digits.training.callbacks import EarlyStopping
from digits.training.checkpoints import Checkpoint, load_checkpoint, load_run, save_checkpoint
from digits.training.history import History
from digits.types import Array
from train_net import Data
from two_layer_net import TwoLayerNet

RUN = {"recipe": "ours", "seed": 5}


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """Python's own Ctrl-C, also where the tests run in the background and it is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True)
def hasty_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """No waiting for the disk: it matters in a power cut only."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


# --- a training, in one go or with pauses ---------------------------------------------------------


def everything(
    rng: np.random.Generator, dtype: DTypeLike = np.float32, dropout: float = 0.3
) -> Sequential:
    """All that a network can carry from one batch to the next: a random state, moving averages."""
    return Sequential(
        [
            Reshape((28, 28, 1)),
            Conv2D(2, 5, strides=3),
            BatchNormalization(momentum=0.8),
            Activation("relu"),
            MaxPooling2D(2),
            Dropout(dropout),
            Flatten(),
            Dense(12, activation="relu"),
            Dropout(dropout),
            Dense(10),
        ],
        rng=rng,
        dtype=dtype,
    )


def _adamw_one_cycle(learning_rate: float, iterations: int) -> Optimizer:
    return AdamW(OneCycle(learning_rate, iterations), use_ema=True, global_clipnorm=1.0)


def _momentum(learning_rate: float, iterations: int) -> Optimizer:
    return SGD(learning_rate, momentum=0.9, nesterov=True, weight_decay=0.01)


def _rmsprop(learning_rate: float, iterations: int) -> Optimizer:
    return RMSprop(learning_rate, momentum=0.5)


BEND = Augmentation(rotation=10, scale=0.1, shift=1, elastic=1, noise=0.1, lighting=0.2)
OURS = {
    "everything": Recipe(everything, 0, _adamw_one_cycle, 0.01, batch_size=8, augment=BEND),
    "everything, nesterov": Recipe(everything, 0, _momentum, 0.01, batch_size=8, augment=BEND),
    "everything, rmsprop": Recipe(everything, 0, _rmsprop, 0.001, batch_size=8),
}


@dataclass(frozen=True)
class Plan:
    """What to train: n images in batches of the recipe's size, for so many batches."""

    name: str
    n: int
    iterations: int
    dtype: str = "float32"

    @property
    def recipe(self) -> Recipe:
        return (RECIPES | OURS)[self.name]

    @property
    def batches(self) -> int:
        """In an epoch."""
        return -(-self.n // self.recipe.batch_size)


def plan(name: str) -> Plan:
    """Two epochs and a half of three batches, the last of them shorter."""
    size = (RECIPES | OURS)[name].batch_size
    return Plan(name, 2 * size + size // 2, 8 if name != "conv" else 5)


@cache
def data(n: int) -> Data:
    return digits(n, 13, 11)


def fresh(plan: Plan) -> tuple[Network, Optimizer]:
    recipe = plan.recipe
    network = recipe.build(np.random.default_rng(5), plan.dtype)
    network.metadata = dict(RUN)
    return network, recipe.optimizer(recipe.learning_rate, plan.iterations)


def play(plan: Plan, folder: Path, stop_after: int | None = None) -> dict[str, bytes]:
    """Train, or go on if `folder` holds a checkpoint, until a Ctrl-C in batch `stop_after`; return
    all that there is at the end.
    """
    network, optimizer = fresh(plan)
    path, history = folder / "checkpoint.npz", None
    if path.exists():
        history = load_checkpoint(path, network, optimizer)
    step: Callable[[ArrayLike, ArrayLike], tuple[float, Parameters]] = network.loss_and_gradient

    def loss_and_gradient(x: ArrayLike, t: ArrayLike) -> tuple[float, Parameters]:
        if optimizer.iterations + 1 == stop_after:
            signal.raise_signal(signal.SIGINT)
        return step(x, t)

    network.loss_and_gradient = loss_and_gradient  # type: ignore[method-assign]
    history = fit(
        network,
        data(plan.n),
        optimizer,
        batch_size=plan.recipe.batch_size,
        iterations=plan.iterations,
        seed=5,
        augment=plan.recipe.augment,
        history=history,
        callbacks=[Checkpoint(path, RUN)],
    )
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
        "noise": repr(network.rng.bit_generator.state).encode(),
    }


@pytest.fixture(scope="module")
def in_one_go(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Plan], dict[str, bytes]]:
    """The end of an uninterrupted training."""
    return cache(lambda plan: play(plan, tmp_path_factory.mktemp("whole")))


@pytest.mark.slow
@pytest.mark.parametrize("name", [*RECIPES, *OURS])
def test_a_pause_changes_no_bit(
    name: str, in_one_go: Callable[[Plan], dict[str, bytes]], tmp_path: Path
) -> None:
    """Ctrl-C in the first batch, the last of an epoch, and the middle of the next."""
    chosen = plan(name)
    assert chosen.batches == 3
    for stop in (1, 3, 5) if name != "conv" else (4,):  # it has three million weights
        play(chosen, tmp_path, stop_after=stop)
    assert play(chosen, tmp_path) == in_one_go(chosen)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_pause_after_every_batch_changes_no_bit(
    dtype: str, in_one_go: Callable[[Plan], dict[str, bytes]], tmp_path: Path
) -> None:
    whole = Plan("everything", 30, 10, dtype)
    for stop in range(1, 11):
        play(whole, tmp_path, stop_after=stop)
    assert play(whole, tmp_path) == in_one_go(whole)


def test_what_is_compared_depends_on_the_random_state(
    in_one_go: Callable[[Plan], dict[str, bytes]], tmp_path: Path
) -> None:
    """With another random state the comparisons above must fail, or they would show nothing."""
    whole = plan("everything, rmsprop")
    play(whole, tmp_path, stop_after=4)
    path = tmp_path / "checkpoint.npz"
    header, arrays = opened(path)
    header["noise"] = np.random.default_rng(0).bit_generator.state
    save_arrays(path, "checkpoint", header, arrays)
    assert play(whole, tmp_path)["params"] != in_one_go(whole)["params"]  # the latest ones


def test_an_early_stop_stays_one(tmp_path: Path) -> None:
    """A run that patience ended has ended, also for --resume."""

    def go_on() -> tuple[int, str]:
        network, optimizer = TwoLayerNet(784, 3, 10, rng=np.random.default_rng(0)), SGD(1e-30)
        path, history = tmp_path / "checkpoint.npz", None
        if path.exists():
            history = load_checkpoint(path, network, optimizer)
        history = fit(
            network,
            data(20),
            optimizer,
            batch_size=10,
            iterations=40,
            history=history,
            callbacks=[EarlyStopping(2), Checkpoint(path, RUN)],
        )
        return len(history.epochs), history.to_csv()

    first = go_on()
    assert first[0] == 3
    assert go_on() == first


@pytest.mark.parametrize("stop_after", [None, 7])
def test_a_longer_plan_for_a_run_that_ended_within_an_epoch(
    stop_after: int | None, tmp_path: Path
) -> None:
    """No epoch is there twice, and the best one found again is the one whose weights were kept:
    here one that was cut short after 6 batches of 4, 4, 4, ..., as all later steps go uphill.
    """
    path, rng = tmp_path / "checkpoint.npz", np.random.default_rng(0)
    classes = rng.standard_normal((10, 784), np.float32)  # at right angles: every step down helps
    sets = [(classes[t], t) for t in (np.arange(40) % 10, np.arange(13) % 10, np.arange(11) % 10)]
    easy = Data(*sets[0], *sets[1], *sets[2])

    def go_on(iterations: int, stop_after: int | None = None) -> History:
        network = Sequential([Dense(10, kernel_initializer="zeros")])
        optimizer = SGD(0.001)
        history = load_checkpoint(path, network, optimizer) if path.exists() else None
        step: Callable[[ArrayLike, ArrayLike], tuple[float, Parameters]] = network.loss_and_gradient

        def loss_and_gradient(x: ArrayLike, t: ArrayLike) -> tuple[float, Parameters]:
            if optimizer.iterations + 1 == stop_after:
                signal.raise_signal(signal.SIGINT)
            loss, grads = step(x, t)
            if optimizer.iterations >= 6:
                grads.flat *= -10
            return loss, grads

        network.loss_and_gradient = loss_and_gradient  # type: ignore[method-assign, assignment]
        history = fit(
            network,
            easy,
            optimizer,
            batch_size=10,
            iterations=iterations,
            history=history,
            callbacks=[Checkpoint(path, RUN)],
        )
        assert history.best is not None
        assert history.best.iteration == 6
        loss = network.loss(easy.x_validation, easy.t_validation)
        assert loss == pytest.approx(history.best.validation_loss, rel=1e-6)
        return history

    go_on(6)
    if stop_after:
        go_on(19, stop_after)
    history = go_on(19)
    assert [r.epoch for r in history.epochs] == [1, 2, 3, 4, 5]
    assert [r.iteration for r in history.epochs] == [4, 8, 12, 16, 19]
    again = go_on(19)
    assert again.best == history.best


# --- what a checkpoint holds ----------------------------------------------------------------------


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
    """Of a small network after two epochs with Adam."""
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
    assert loaded == History(
        history.losses, history.epochs, history.best, loaded.best_weights, *rest(loaded)
    )
    assert history.best_weights is not None
    assert loaded.best_weights is not None
    for found, expected in zip(loaded.best_weights, history.best_weights, strict=True):
        np.testing.assert_array_equal(found, expected)
    assert other.rng.bit_generator.state == network.rng.bit_generator.state
    assert other_optimizer.iterations == 6
    assert sorted(other_optimizer.slots) == ["m", "v"]
    for name, slot in optimizer.slots.items():
        np.testing.assert_array_equal(other_optimizer.slots[name], slot)
        assert other_optimizer.slots[name].dtype == np.float32
    assert load_run(checkpoint) == RUN


def rest(history: History) -> tuple[Any, ...]:
    """What a history holds beside losses, epochs and the best one."""
    return tuple(vars(history).values())[4:]


def test_the_latest_weights_are_kept_beside_the_best(tmp_path: Path) -> None:
    network, optimizer, history = trained(3)
    best = network.params.flat.copy()
    network.params.flat += 1
    path = tmp_path / "checkpoint.npz"
    save_checkpoint(path, network, optimizer, history, RUN)
    other, other_optimizer = blank()
    loaded = load_checkpoint(path, other, other_optimizer)
    np.testing.assert_array_equal(other.params.flat, best + 1)
    assert loaded.best_weights is not None
    np.testing.assert_array_equal(loaded.best_weights[0], best)


def test_before_the_first_epoch_there_is_no_best(tmp_path: Path) -> None:
    network, optimizer = blank()
    path = tmp_path / "checkpoint.npz"
    save_checkpoint(path, network, optimizer, History(), RUN)
    loaded = load_checkpoint(path, *blank())
    assert (loaded.best, loaded.best_weights, loaded.losses, loaded.epochs) == (None, None, [], [])


# --- what goes wrong ------------------------------------------------------------------------------


def test_a_full_disk_keeps_the_last_checkpoint(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = checkpoint.read_bytes()
    network, optimizer, history = trained(3)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(checkpoint, network, optimizer, history, RUN)
    assert checkpoint.read_bytes() == before
    assert [path.name for path in checkpoint.parent.iterdir()] == ["checkpoint.npz"]


def refused(path: Path, network: Network, optimizer: Optimizer) -> str:
    """The message; and nothing has changed."""
    params, noise = network.params.flat.copy(), network.rng.bit_generator.state
    with pytest.raises(StorageError) as caught:
        load_checkpoint(path, network, optimizer)
    np.testing.assert_array_equal(network.params.flat, params)
    assert network.rng.bit_generator.state == noise
    assert (optimizer.iterations, optimizer.slots) == (0, {})
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def test_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"checkpoint\.npz"):
        load_checkpoint(tmp_path / "checkpoint.npz", *blank())
    with pytest.raises(FileNotFoundError, match=r"checkpoint\.npz"):
        load_run(tmp_path / "checkpoint.npz")


def test_of_another_network(checkpoint: Path) -> None:
    message = refused(checkpoint, TwoLayerNet(784, 5, 10), Adam())
    assert "(3190,)" in message  # 784 x 4 + 4 + 4 x 10 + 10
    assert "(3985,)" in message


def test_of_another_optimizer(checkpoint: Path) -> None:
    network = blank()[0]
    assert "slot_m" in refused(checkpoint, network, SGD(0.1))
    assert "slot_velocity" in refused(checkpoint, network, SGD(0.1, momentum=0.9))
    assert "slot_average" in refused(checkpoint, network, Adam(use_ema=True))


def test_a_model_is_no_checkpoint(checkpoint: Path) -> None:
    blank()[0].save(checkpoint)
    assert "model" in refused(checkpoint, *blank())
    with pytest.raises(StorageError, match="model"):
        load_run(checkpoint)


@pytest.mark.parametrize("name", ["params", "best_params", "losses", "slot_v"])
@pytest.mark.parametrize("how", ["missing", "short", "nan", "whole numbers"])
def test_an_array_is_wrong(checkpoint: Path, name: str, how: str) -> None:
    header, arrays = opened(checkpoint)
    array = arrays.pop(name)
    match how:
        case "short":
            arrays[name] = array[:-1]
        case "nan":
            arrays[name] = np.where(np.arange(array.size) == array.size // 2, np.nan, array)
        case "whole numbers":
            arrays[name] = array.astype(np.int64)
    save_arrays(checkpoint, "checkpoint", header, arrays)
    assert name in refused(checkpoint, *blank())


@pytest.mark.parametrize("name", ["iterations", "noise", "epochs"])
@pytest.mark.parametrize("value", ["missing", None, "text", [{"epoch": 1}], {"a": 1}])
def test_the_header_is_wrong(checkpoint: Path, name: str, value: Any) -> None:
    header, arrays = opened(checkpoint)
    del header[name]
    if value != "missing":
        header[name] = value
    save_arrays(checkpoint, "checkpoint", header, arrays)
    refused(checkpoint, *blank())


@pytest.mark.parametrize("run", [None, [], "two-layer", 3])
def test_a_checkpoint_that_does_not_know_its_run(checkpoint: Path, run: Any) -> None:
    header, arrays = opened(checkpoint)
    save_arrays(checkpoint, "checkpoint", header | {"run": run}, arrays)
    with pytest.raises(StorageError, match="start a new run"):
        load_run(checkpoint)


@pytest.mark.parametrize("content", [b"", b"PK", os.urandom(5000)])
def test_anything_but_a_checkpoint(checkpoint: Path, content: bytes) -> None:
    checkpoint.write_bytes(content)
    refused(checkpoint, *blank())


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(place=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255), near_end=st.booleans())
def test_a_byte_is_wrong(
    place: float, flip: int, near_end: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Refused, or, where the byte means nothing, read as it was written."""
    path = tmp_path_factory.getbasetemp() / "flipped.npz"
    network, optimizer, history = _once_trained()
    save_checkpoint(path, network, optimizer, history, RUN)
    content = bytearray(path.read_bytes())
    # The table of contents at the end is the part that a random place seldom hits.
    span = min(800, len(content)) if near_end else len(content)
    content[len(content) - span + int(place * span)] ^= flip
    path.write_bytes(content)
    other, other_optimizer = blank()
    try:
        loaded = load_checkpoint(path, other, other_optimizer)
    except StorageError:
        return
    np.testing.assert_array_equal(other.params.flat, network.params.flat)
    assert loaded.losses == history.losses
    assert loaded.epochs == history.epochs


@cache
def _once_trained() -> tuple[TwoLayerNet, Adam, History]:
    network, optimizer, history = trained()
    return network, optimizer, history
