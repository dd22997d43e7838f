"""The training loop: what it visits, records and keeps, how it stops; the data and history."""

import csv
import math
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike
from tiny_data import TEST, TRAIN, digits, fit

from digits import CosineDecay, Dense, Dropout, Sequential
from digits.nn.network import Network
from digits.nn.optimizers import SGD, Adam, Optimizer
from digits.nn.parameters import Parameters
from digits.training.callbacks import EarlyStopping, Training
from digits.training.checkpoints import Checkpoint
from digits.training.history import EpochRecord, History
from digits.types import Array
from functions import cross_entropy_error
from train_net import Data, TrainingError, load_data, train, train_loop
from two_layer_net import TwoLayerNet

pytestmark = pytest.mark.usefixtures("interruptible")

Step = Callable[..., tuple[float, Parameters]]


def small_network(seed: int = 0) -> TwoLayerNet:
    return TwoLayerNet(784, 6, 10, 0.1, rng=np.random.default_rng(seed))


def numbered(n: int) -> Data:
    """Images whose first pixel is their number, divided by n."""
    x = np.zeros((n, 784), np.float32)
    x[:, 0] = np.arange(n) / n
    t = np.arange(n) % 10
    return Data(x, t, x[:3], t[:3], x[:4], t[:4])


class Saved(Checkpoint):
    """Tells what is in the history whenever a checkpoint would be saved."""

    def __init__(self, note: Callable[[History], None]) -> None:
        self.note = note

    def save(self, training: Training) -> None:
        self.note(training.history)


def before_each_step(network: Network, act: Callable[[int, Array], None]) -> None:
    """Have act(number of the step, images) called before each step of training."""
    step: Step = network.loss_and_gradient
    count = 0

    def loss_and_gradient(x: ArrayLike, t: ArrayLike, **s: float) -> tuple[float, Parameters]:
        nonlocal count
        count += 1
        act(count, np.asarray(x))
        return step(x, t, **s)

    network.loss_and_gradient = loss_and_gradient  # type: ignore[method-assign]


def visited(n: int, batch_size: int, iterations: int, seed: int = 0) -> list[list[int]]:
    """The numbers of the images in each batch of a training."""
    network, batches = small_network(), list[list[int]]()
    before_each_step(network, lambda _, x: batches.append((x[:, 0] * n + 0.5).astype(int).tolist()))
    fit(network, numbered(n), SGD(0.1), batch_size=batch_size, iterations=iterations, seed=seed)
    return batches


@pytest.mark.parametrize("batch_size", [1, 2, 3, 7, 10, 19, 20, 21, 1000])
def test_every_epoch_visits_every_image_once_and_ends_with_a_record(batch_size: int) -> None:
    n, epochs = 20, 3
    batches = math.ceil(n / batch_size)
    saved = list[int]()
    note = Saved(lambda h: saved.append(len(h.epochs)))
    options: Any = {"batch_size": batch_size, "iterations": epochs * batches, "callbacks": [note]}
    history = fit(small_network(), numbered(n), SGD(0.1), **options)
    assert [r.epoch for r in history.epochs] == [1, 2, 3]
    assert [r.iteration for r in history.epochs] == [batches, 2 * batches, 3 * batches]
    assert len(history.losses) == epochs * batches
    assert saved == [0, 1, 2, 3]

    seen = visited(n, batch_size, epochs * batches)
    for epoch in range(epochs):
        of_epoch = seen[epoch * batches : (epoch + 1) * batches]
        assert sorted(chain(*of_epoch)) == list(range(n))
        assert [len(batch) for batch in of_epoch[:-1]] == [batch_size] * (batches - 1)
        assert len(of_epoch[-1]) == n - (batches - 1) * batch_size


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    def orders(batch_size: int, seed: int) -> list[list[int]]:
        flat = list(chain(*visited(20, batch_size, 2 * math.ceil(20 / batch_size), seed)))
        return [flat[:20], flat[20:]]

    first, second = orders(5, seed=0)
    assert first != second and first != list(range(20))
    assert (orders(7, seed=0), orders(20, seed=0)) == ([first, second], [first, second])
    assert orders(5, seed=1)[0] not in (first, second)


def test_a_record_holds_what_the_network_measures() -> None:
    data, network = digits(50, 20, 30), small_network()
    (record,) = fit(network, data, SGD(0.5), batch_size=16, iterations=4).epochs
    for name, (x, t) in data.parts().items():
        assert getattr(record, f"{name}_loss") == pytest.approx(network.loss(x, t), rel=1e-6)
        assert getattr(record, f"{name}_accuracy") == network.accuracy(x, t)
    assert record.learning_rate == 0.5


def test_dropout_is_active_in_steps_and_not_in_records() -> None:
    data = digits(30, 10, 10)
    network = Sequential([Dense(20), Dropout(0.5), Dense(10)], rng=np.random.default_rng(0))
    history = fit(network, data, SGD(1e-12), batch_size=30, iterations=3)
    assert len(set(history.losses)) == 3  # the dropout differs, the weights hardly do
    assert np.ptp([r.train_loss for r in history.epochs]) < 1e-6


def test_augmentation_gets_a_generator_of_its_own_and_leaves_the_data_alone() -> None:
    data = digits(30, 5, 5)
    untouched = data.x_train.copy()

    def run() -> tuple[list[float], list[Array]]:
        drawn, shown = list[float](), list[Array]()

        def augment(x: Array, rng: np.random.Generator) -> Array:
            drawn.append(rng.random())
            return np.full_like(x, 0.5)

        network = small_network()
        before_each_step(network, lambda _, x: shown.append(x))
        fit(network, data, SGD(0.1), batch_size=10, iterations=6, augment=augment)
        return drawn, shown

    drawn, shown = run()
    assert len(set(drawn)) == 6
    assert run()[0] == drawn
    assert all(np.all(x == 0.5) for x in shown)
    np.testing.assert_array_equal(data.x_train, untouched)


class Source:
    """Three batches in an epoch; notes which are asked for."""

    def __init__(self, given: int = 3) -> None:
        self.given, self.asked = given, list[tuple[int, int]]()

    def __len__(self) -> int:
        return 3

    def epoch(self, epoch: int, start: int = 0) -> list[tuple[Array, Array]]:
        self.asked.append((epoch, start))
        return [(np.ones((2, 784)), np.zeros(2, int))] * (self.given - start)


class Recorder:
    """A callback that notes what it is told."""

    def __init__(self) -> None:
        self.moments = list[str]()

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_: self.moments.append(name)


def test_the_loop_tells_its_callbacks_and_goes_on_within_an_epoch() -> None:
    source, recorder, network = Source(), Recorder(), small_network()
    told: Any = recorder
    no_batches: Any = []
    history = train_loop(network, source, SGD(0.1), 5, [told])
    step = ["on_batch_begin", "on_batch_end"]
    epochs = [["on_epoch_begin", *step * n, "on_epoch_end"] for n in (3, 2)]
    assert recorder.moments == ["on_train_begin", *chain(*epochs), "on_train_end", "close"]
    train_loop(network, source, SGD(0.1), 8, history=history)
    assert source.asked == [(0, 0), (1, 0), (1, 2), (2, 0)]
    assert len(history.losses) == 8
    with pytest.raises(TrainingError, match="expected 3 batches; the source ended before"):
        train_loop(network, Source(given=2), SGD(0.1), 3, [told])
    with pytest.raises(ValueError, match=r"like ShuffledBatches\(x, t\); received 'list'"):
        train_loop(network, no_batches, SGD(0.1), 3)
    assert recorder.moments[-3:] == [*step, "close"]
    with pytest.raises(ValueError, match="epochs or iterations; received 'both'"):
        train(network, numbered(3), SGD(0.1), epochs=1, iterations=1)


BATCHES = 2


class Scripted(TwoLayerNet):
    """After k batches its weights are all k, and it reads right[set][epoch] of ten images right."""

    def __init__(self, validation: Sequence[int], test: Sequence[int]) -> None:
        super().__init__(784, 1, 10, 0)
        self.right = [[5] * len(test), validation, test]

    def loss_and_gradient(self, x: Any, t: Any, *, scale: float = 1) -> tuple[float, Parameters]:
        grads = self.params.zeros_like()
        grads.flat[...] = -scale
        return 1.0, grads

    def predict(self, x: ArrayLike) -> Array:
        which, epoch = int(np.asarray(x)[0, 0]), int(self.params.flat[0]) // BATCHES - 1
        classes, right = np.arange(10), self.right[which][epoch]
        classes[right:] = (classes[right:] + 1) % 10
        return 0.05 + np.eye(10)[classes] / 2

    def train(self, patience: int | None = None, validation: bool = True) -> History:
        sets = [np.full((10, 784), which, np.float32) for which in range(3)]
        t = np.arange(10)
        chosen_by = slice(None) if validation else slice(0)
        data = Data(sets[0], t, sets[1][chosen_by], t[chosen_by], sets[2], t)
        stopping = [EarlyStopping(patience)] if patience else []
        iterations, size = BATCHES * len(self.right[2]), 10 // BATCHES
        return fit(self, data, SGD(1.0), batch_size=size, iterations=iterations, callbacks=stopping)

    @property
    def kept(self) -> int:
        assert len(set(self.params.flat.tolist())) == 1
        return int(self.params.flat[0]) // BATCHES


def test_without_validation_images_the_last_epoch_is_kept(caplog: pytest.LogCaptureFixture) -> None:
    network = Scripted([0, 0, 0], [9, 5, 1])
    history = network.train(1, validation=False)
    assert network.kept == 3 and caplog.text.count("no validation images to go by") == 1
    assert all(r.validation_loss is r.validation_accuracy is None for r in history.epochs)


@pytest.mark.parametrize(
    ("patience", "epochs", "kept"), [(1, 3, 2), (2, 4, 2), (3, 7, 5), (None, 7, 5)]
)
def test_the_best_epoch_is_waited_for(patience: int | None, epochs: int, kept: int) -> None:
    network = Scripted(validation=[3, 7, 5, 6, 9, 1, 1], test=[9, 1, 1, 1, 1, 9, 9])
    history = network.train(patience)
    assert len(history.epochs) == epochs and history.best is history.epochs[kept - 1]
    assert network.kept == kept


def test_test_images_do_not_change_the_training() -> None:
    data = digits(60, 20, 20)

    def weights(data: Data) -> bytes:
        network = small_network()
        fit(network, data, Adam(0.01), batch_size=7, iterations=50, callbacks=[EarlyStopping(2)])
        return network.params.flat.tobytes()

    other_labels = replace(data, t_test=(data.t_test + 1) % 10)
    other_images = replace(data, x_test=1 - data.x_test)
    assert weights(data) == weights(other_labels) == weights(other_images)
    other_choice = replace(data, t_validation=(data.t_validation + 1) % 10)
    assert weights(data) != weights(other_choice)  # or the comparison would show nothing


def test_averaged_weights_are_measured_while_training_goes_on_with_the_latest() -> None:
    data = digits(60, 20, 20)

    def run(optimizer: Optimizer) -> tuple[TwoLayerNet, History, list[bytes], list[Array]]:
        network, latest, averages = small_network(), list[bytes](), list[Array]()

        def save(history: History) -> None:
            if history.epochs:
                latest.append(network.params.flat.tobytes())
                averages.append(optimizer.slots.get("average", np.zeros(0)).copy())

        options: Any = {"batch_size": 20, "iterations": 12, "callbacks": [Saved(save)]}
        history = fit(network, data, optimizer, **options)
        return network, history, latest, averages

    _, _, plain, _ = run(SGD(0.5))
    network, history, latest, averages = run(SGD(0.5, use_ema=True, ema_momentum=0.9))
    assert latest == plain
    assert history.best is not None
    best = history.best.epoch - 1
    np.testing.assert_array_equal(network.params.flat, averages[best])
    assert averages[best].tobytes() != latest[best]
    for record, average in zip(history.epochs, averages, strict=True):
        network.params.flat[...] = average
        expected = cross_entropy_error(network.predict(data.x_test), data.t_test)
        assert record.test_loss == expected


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_stops_training(loss: float) -> None:
    network, saved, weights = small_network(), list[int](), list[bytes]()
    step: Step = network.loss_and_gradient

    def loss_and_gradient(x: ArrayLike, t: ArrayLike, **s: float) -> tuple[float, Parameters]:
        weights.append(network.params.flat.tobytes())
        true_loss, grads = step(x, t, **s)
        return (loss if len(weights) == 6 else true_loss), grads

    network.loss_and_gradient = loss_and_gradient  # type: ignore[method-assign]
    note = Saved(lambda h: saved.append(len(h.losses)))
    message = f"{loss}.* epoch 2, batch 2 of 4.* learning rate 0.25.*lower learning rate"
    with pytest.raises(TrainingError, match=message):
        fit(network, numbered(20), SGD(0.25), batch_size=5, iterations=12, callbacks=[note])
    assert saved[-1] == 4  # what was saved before stays the latest
    assert network.params.flat.tobytes() == weights[5]  # no step was taken on it


@pytest.mark.parametrize("learning_rate", [0.25, CosineDecay(0.25, 4)])
def test_weights_that_the_last_step_ruins_are_an_error_and_not_saved(
    learning_rate: float | CosineDecay,
) -> None:
    network, saved = small_network(), list[int]()
    step: Step = network.loss_and_gradient

    def loss_and_gradient(x: ArrayLike, t: ArrayLike, **s: float) -> tuple[float, Parameters]:
        loss, grads = step(x, t, **s)
        if len(x) == 10:  # type: ignore[arg-type]
            grads.flat[...] = np.inf
        return loss, grads

    network.loss_and_gradient = loss_and_gradient  # type: ignore[method-assign]
    note = Saved(lambda h: saved.append(len(h.losses)))
    options: Any = {"batch_size": 15, "iterations": 4, "callbacks": [note]}
    with pytest.raises(TrainingError, match=r"nan.* epoch 1, batch 4 of 4, at learning rate 0\.\d"):
        fit(network, digits(55, 5, 5), SGD(learning_rate), **options)
    assert 4 not in saved


def press_ctrl_c(now: bool) -> None:
    if now:  # a real signal, as the terminal sends it
        signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize(("batch_size", "step"), [(5, 4), (5, 8), (20, 1), (100, 2)])
def test_ctrl_c_in_the_last_batch_of_an_epoch_keeps_its_record(batch_size: int, step: int) -> None:
    network = small_network()
    before_each_step(network, lambda count, _: press_ctrl_c(count == step))
    history = fit(network, numbered(20), SGD(0.1), batch_size=batch_size, iterations=16)
    assert len(history.losses) == step and history.epochs
    assert history.epochs[-1].iteration == step


def test_a_second_ctrl_c_stops_at_once() -> None:
    network = small_network()
    for _ in range(2):
        before_each_step(network, lambda step, _: press_ctrl_c(step == 2))
    with pytest.raises(KeyboardInterrupt):
        fit(network, numbered(20), SGD(0.1), batch_size=5, iterations=20)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_training_in_a_thread_leaves_ctrl_c_to_the_main_one() -> None:
    handlers, network, same = list[Any](), small_network(), small_network()
    before_each_step(network, lambda *_: handlers.append(signal.getsignal(signal.SIGINT)))
    options: Any = {"batch_size": 5, "iterations": 8}
    with ThreadPoolExecutor(1) as pool:
        history = pool.submit(fit, network, numbered(20), SGD(0.1), **options).result(30)
    assert len(history.epochs) == 2
    assert set(handlers) == {signal.default_int_handler}
    fit(same, numbered(20), SGD(0.1), **options)
    np.testing.assert_array_equal(network.params.flat, same.params.flat)


def labeled(x: Array, t: Array) -> set[tuple[bytes, int]]:
    return {(image.tobytes(), int(label)) for image, label in zip(x, t, strict=True)}


def test_data_in_three_sets_that_share_no_image(data: Path) -> None:
    three, whole = load_data("synthetic", data, 100, seed=3), load_data("synthetic", data, 0, 0)
    sizes = {name: (len(x), len(t)) for name, (x, t) in three.parts().items()}
    assert sizes == {"train": (TRAIN - 100,) * 2, "validation": (100,) * 2, "test": (TEST,) * 2}
    assert three.x_train.dtype == three.x_validation.dtype == three.x_test.dtype == np.float32
    assert (three.x_train.min(), three.x_train.max()) == (0, 1)
    assert len(whole.x_validation) == 0
    kept, held_out = labeled(three.x_train, three.t_train), validation_part(data, seed=3)
    assert not kept & held_out and kept | held_out == labeled(whole.x_train, whole.t_train)
    assert held_out == validation_part(data, seed=3) != validation_part(data, seed=4)


def validation_part(folder: Path, seed: int) -> set[tuple[bytes, int]]:
    return labeled(*load_data("synthetic", folder, 100, seed).parts()["validation"])


def test_images_of_our_own_are_added_to_two_of_the_sets(data: Path) -> None:
    def extend(x: Array, t: Array, rng: np.random.Generator) -> tuple[Array, Array]:
        more = rng.random((len(x) // 2, 784), np.float32)
        return np.concatenate([x, more]), np.concatenate([t, np.full(len(more), 10, t.dtype)])

    plain = load_data("synthetic", data, 100, seed=3)
    more, again, other = (load_data("synthetic", data, 100, s, extend) for s in (3, 3, 4))
    assert (len(more.x_train), len(more.x_validation), len(more.x_test)) == (900, 150, TEST)
    for name, array in vars(plain).items():
        np.testing.assert_array_equal(getattr(more, name)[: len(array)], array)
        np.testing.assert_array_equal(getattr(more, name), getattr(again, name))
    assert set(more.t_train[600:]) == set(more.t_validation[100:]) == {10}
    added = more.x_train[600:650]  # each part has a generator of its own
    assert not np.array_equal(added, more.x_validation[100:])
    assert not np.array_equal(added, other.x_train[600:650])


@pytest.mark.parametrize("validation", [-1, TRAIN, 10**9])
def test_an_image_must_be_left_to_train_on(data: Path, validation: int) -> None:
    with pytest.raises(ValueError, match=rf"0 to {TRAIN - 1}.*received {validation}"):
        load_data("synthetic", data, validation, seed=0)


def record(epoch: int, accuracy: float | None, loss: float | None) -> EpochRecord:
    return EpochRecord(epoch, 10 * epoch, 0.1, 1.0, 0.5, loss, accuracy, 1.0, 0.5)


@pytest.mark.parametrize(
    ("one", "other", "better"),
    [
        ((0.9, 0.5), (0.8, 0.1), True),  # more right beats less loss
        ((0.8, 0.1), (0.9, 0.5), False),
        ((0.9, 0.1), (0.9, 0.5), True),
        ((0.9, 0.5), (0.9, 0.5), False),
        ((0.0, 0.1), (0.0, 0.5), True),  # nothing right is a number too
    ],
)
def test_better_epoch(one: tuple[float, float], other: tuple[float, float], better: bool) -> None:
    assert record(2, *one).is_better_than(record(1, *other)) is better


def test_history_as_csv_gives_every_figure_to_the_last_bit() -> None:
    history = fit(small_network(), digits(30, 10, 10), SGD(0.1), batch_size=7, iterations=10)
    rows = list(csv.DictReader(history.to_csv().splitlines()))
    assert len(rows) == 2
    for row, known in zip(rows, history.epochs, strict=True):
        assert list(row) == list(vars(known))
        assert {name: float(text) for name, text in row.items()} == vars(known)
    assert History().to_csv().splitlines() == [",".join(rows[0])]
    history.add(record(3, None, None), np.zeros(1), np.zeros(1))
    assert history.to_csv().splitlines()[-1] == "3,30,0.1,1.0,0.5,,,1.0,0.5"
