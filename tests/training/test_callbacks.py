"""What happens around the steps of a training: measuring, telling, stopping, warning."""

import io
import sys
from typing import Any

import numpy as np
import pytest
from tiny_data import digits, fit

from digits import SGD, BatchNormalization, Dense, Sequential
from digits.training import callbacks
from digits.training.callbacks import EarlyStopping, Training, WarnIfUntrained
from digits.training.history import EpochRecord, History
from train_net import Data, train
from two_layer_net import TwoLayerNet

DATA = digits(30, 10, 10)


def network() -> TwoLayerNet:
    return TwoLayerNet(784, 6, 10, 0.1, rng=np.random.default_rng(0))


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_bar(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """How far, how long still, mean loss and accuracy; one that goes on begins where it stopped."""
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    history = train(network(), DATA, SGD(0.1), batch_size=1, iterations=100)
    told = terminal.getvalue()
    accuracy = f"validation accuracy {history.epochs[2].validation_accuracy:.4f}, test accuracy"
    assert "100/100 [00:00<00:00" in told
    assert f"loss {np.mean(history.losses):.4f}, {accuracy}" in told
    assert told.count("\n") == 1
    train(network(), DATA, SGD(0.1), batch_size=1, iterations=160, history=history)
    assert "100/160" in terminal.getvalue()
    assert f"loss {np.mean(history.losses[50:150]):.4f}" in terminal.getvalue()
    assert capsys.readouterr().out == ""
    train(network(), DATA, SGD(0.1), batch_size=10, verbose=2)
    assert capsys.readouterr().out.startswith("epoch 1/1: loss ")
    monkeypatch.setattr(sys, "stderr", None)  # as some service managers start programs
    train(network(), DATA, SGD(0.1), batch_size=20, iterations=3)
    assert [line[:9] for line in capsys.readouterr().out.splitlines()] == ["epoch 1/2", "epoch 2/2"]


def test_the_time_of_all_parts_of_a_training_is_counted() -> None:
    history = fit(network(), DATA, SGD(0.1), batch_size=10, iterations=2)
    assert 0 < history.seconds < 1000
    history.seconds = 1000.0
    fit(network(), DATA, SGD(0.1), batch_size=10, iterations=4, history=history)
    assert 1000 < history.seconds < 2000


def test_an_epoch_that_was_cut_short_goes_on_in_one_record() -> None:
    history = fit(network(), DATA, SGD(0.1), batch_size=10, iterations=4)
    assert [(r.epoch, r.iteration) for r in history.epochs] == [(1, 3), (2, 4)]
    fit(network(), DATA, SGD(0.1), batch_size=10, iterations=7, history=history)
    assert [(r.epoch, r.iteration) for r in history.epochs] == [(1, 3), (2, 6), (3, 7)]


def test_training_images_are_measured_on_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callbacks, "SAMPLE", 7)
    net = network()
    (record,) = fit(net, DATA, SGD(0.1), batch_size=10).epochs
    assert record.train_loss == pytest.approx(net.loss(DATA.x_train[:7], DATA.t_train[:7]))
    assert record.test_loss == pytest.approx(net.loss(DATA.x_test, DATA.t_test))


def test_a_history_that_had_stopped_early_takes_no_step() -> None:
    net = network()
    history = fit(net, DATA, SGD(1e-30), batch_size=30, iterations=9, callbacks=[EarlyStopping(2)])
    assert len(history.losses) == 3
    fit(net, DATA, SGD(1.0), iterations=9, history=history, callbacks=[EarlyStopping(2)])
    assert len(history.losses) == 3
    with pytest.raises(ValueError, match=r"epochs to wait.*received 0"):
        EarlyStopping(0)


class Ruin(callbacks.Callback):
    """All that a network has learned is lost before the last epoch."""

    def on_epoch_begin(self, training: Training) -> None:
        if training.epoch == 3:
            training.network.params.flat[...] = training.network.buffers.flat[...] = 1


@pytest.mark.parametrize("restore_best", [True, False])
def test_weights_and_moving_averages_of_the_best_epoch(restore_best: bool) -> None:
    net = Sequential([Dense(5), BatchNormalization(), Dense(10)], rng=np.random.default_rng(0))
    data = Data(DATA.x_train, DATA.t_train, DATA.x_train, DATA.t_train)
    history = fit(net, data, SGD(0.1), epochs=4, callbacks=[Ruin()], restore_best=restore_best)
    assert history.best is not history.epochs[-1] and history.best_weights is not None
    for kept, best in zip((net.params, net.buffers), history.best_weights, strict=True):
        assert np.array_equal(kept.flat, best) is restore_best


LABELS = np.array([0, 0, 0, 1])


@pytest.mark.parametrize(
    ("t", "losses", "last", "accuracy", "warned"),
    [
        (LABELS, 100, 0.9, 0.75, True),  # no better than the most frequent class
        (LABELS, 100, 0.9, 0.80, False),
        (LABELS, 100, 1.1, 0.80, True),  # the loss has grown
        (LABELS, 99, 1.9, 0.75, False),  # too early to tell
        (LABELS, 99, 2.0, 0.75, True),  # but not here
        (np.eye(2)[LABELS], 100, 0.9, 0.75, True),
        (LABELS[:, None], 100, 0.9, 0.75, True),
        (LABELS[:, None], 100, 0.9, 0.80, False),
        (np.zeros(4, int), 100, 0.9, 1.0, False),  # nothing can be better
        (LABELS / 3, 100, 2.0, None, False),  # no classes
        (LABELS, 100, 0.9, "no epoch", False),
    ],
)
def test_a_training_that_taught_nothing_says_so(
    t: Any, losses: int, last: float, accuracy: Any, warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    history = History(losses=[2.0] * losses)
    if accuracy != "no epoch":
        record = EpochRecord(1, losses, 0.1, 2 * last, accuracy)
        history.add(record, np.zeros(1), np.zeros(1))
    training = Training(None, SGD(), history, losses, losses)
    WarnIfUntrained(Data(np.zeros((4, 784)), t)).on_train_end(training)
    assert ("the training went wrong" in caplog.text) is warned
