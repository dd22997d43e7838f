"""Keras' verbs on every network: fit, evaluate, weights out and in, summaries."""

from functools import partial
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import DTypeLike
from tiny_data import digits, small_with_dropout

from digits import (
    SGD,
    Adam,
    BatchNormalization,
    Dense,
    History,
    Normalization,
    Rescaling,
    Sequential,
    gradient_check,
)
from digits.training.callbacks import Callback, EarlyStopping, Training
from train_net import train
from two_layer_net import TwoLayerNet

Network = Sequential | TwoLayerNet


def make(kind: str) -> Network:
    rng = np.random.default_rng(0)
    return small_with_dropout(rng) if kind == "sequential" else TwoLayerNet(784, 8, 10, rng=rng)


@pytest.fixture(params=["sequential", "two-layer"])
def network(request: pytest.FixtureRequest) -> Network:
    return make(request.param)


DATA = digits(120, 30, 0)
X, T = DATA.x_train, DATA.t_train


def test_fit_learns_and_reports_every_epoch(network: Network) -> None:
    held_out = DATA.x_validation, DATA.t_validation
    history = network.fit(
        X, T, epochs=12, batch_size=10, validation_data=held_out, optimizer=Adam(0.01), verbose=0
    )
    assert len(history.losses) == 12 * 12
    figures = history.history
    assert set(figures) == {"loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"}
    assert all(len(values) == 12 for values in figures.values())
    assert figures["loss"][-1] < figures["loss"][0]
    score = network.evaluate(*held_out)
    assert score.loss == pytest.approx(figures["val_loss"][-1], rel=1e-5)  # the last, not the best
    assert score.accuracy == figures["val_accuracy"][-1]
    assert figures["accuracy"][-1] > 0.5


def test_fit_takes_the_steps_of_the_training_loop() -> None:
    for kind in ("sequential", "two-layer"):
        one, other = make(kind), make(kind)
        history = one.fit(X, T, epochs=2, optimizer=SGD(0.1), verbose=0)
        seed = int(other.rng.integers(2**63))
        same = train(other, DATA, SGD(0.1), epochs=2, batch_size=32, seed=seed, verbose=0)
        assert history.losses == same.losses


def test_fit_of_two_classes_and_of_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    for loss in ("cross_entropy", "mean_squared_error"):
        binary = Sequential([Dense(1, activation="sigmoid")], loss=loss, rng=rng)
        history = binary.fit(X, T % 2, epochs=30, batch_size=10, optimizer=Adam(0.01), verbose=0)
        assert history.history["accuracy"][-1] == binary.accuracy(X, T % 2) > 0.8
    for targets in (T / np.float32(1), np.stack([T / 10, 1 - T / 10], axis=1)):
        numbers = Sequential([Dense(targets[0].size)], loss="mean_squared_error", rng=rng)
        history = numbers.fit(X, targets, epochs=20, validation_split=0.1, verbose=2)
        assert history.history["loss"][-1] == pytest.approx(numbers.loss(X[:108], targets[:108]))
        assert history.history["val_loss"][-1] < history.history["val_loss"][0]
        assert "accuracy" not in history.history
        assert numbers.evaluate(X, targets).accuracy is None
        assert "accuracy" not in capsys.readouterr().out


def test_the_validation_split_is_the_end_of_the_data(network: Network) -> None:
    seen = []

    class Look(Callback):
        def on_epoch_end(self, training: Training) -> None:
            x, t = X[90:], T[90:]
            seen.append((training.network.loss(x, t), training.network.accuracy(x, t)))

    history = network.fit(X, T, epochs=2, validation_split=0.25, callbacks=[Look()], verbose=0)
    assert len(history.losses) == 2 * 3  # 90 images in batches of 32
    losses, accuracies = zip(*seen, strict=True)
    assert history.history["val_loss"] == pytest.approx(losses, rel=1e-5)
    assert history.history["val_accuracy"] == list(accuracies)


def test_a_second_fit_goes_on(network: Network) -> None:
    network.fit(X, T, verbose=0)
    first = network.optimizer
    assert isinstance(first, Adam)
    assert len(network.fit(X, T, epochs=2, verbose=0).epochs) == 2
    assert network.optimizer is first
    assert first.iterations == 3 * 4
    network.fit(X, T, optimizer=SGD(), verbose=0)
    assert isinstance(network.optimizer, SGD)


OTHERS = Adam()
Sequential([Dense(10)]).fit(X, T, optimizer=OTHERS, verbose=0)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"validation_split": 1.0}, r"validation_split in \[0, 1\); received 1.0"),
        ({"epochs": 0}, "epochs"),
        ({"batch_size": 0}, "batch size"),
        ({"validation_data": (X, T * np.nan)}, "finite targets; received nan in sample 0, value 0"),
        ({"validation_data": (X, T[:3])}, "120 labels, one for each validation image; received 3"),
        ({"validation_split": 0.001}, "a validation_split of 120 in two parts; received 0.001"),
        ({"validation_data": (X[:, 1:], T)}, r"validation images of 784 .*received \(120, 783\)"),
        ({"optimizer": OTHERS}, "an optimizer of its own; .*make a new one"),
        ({"validation_data": X}, "a pair of images and labels; received ndarray"),
        ({"validation_data": (X, T, T)}, "a pair of images and labels; received '3"),
        ({"validation_data": (X, np.ma.masked_less(T, 1))}, r"x.filled\(0\)"),
        ({"optimizer": "adam"}, r"received str: pass Adam\(\)"),
        ({"optimizer": Adam}, r"the class Adam: pass Adam\(\)"),
        ({"callbacks": EarlyStopping(5)}, r"a list of callbacks; .*pass \[EarlyStopping\(5\)\]"),
        ({"callbacks": [EarlyStopping]}, r"the class EarlyStopping: make one"),
    ],
)
def test_wrong_arguments(options: dict[str, object], expected: str) -> None:
    network = make("two-layer")
    before = network.params.flat.copy()
    with pytest.raises((TypeError, ValueError), match=expected):
        network.fit(X, T, verbose=0, **options)
    np.testing.assert_array_equal(network.params.flat, before)
    network.fit(X, T, verbose=0)  # a bad optimizer is not kept


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_raw_pixels_are_warned_of_unless_a_layer_scales_them(
    dtype: DTypeLike, recwarn: pytest.WarningsRecorder
) -> None:
    raw = (255 * X).astype(dtype)
    for first in (Rescaling(1 / 255), Normalization(33, 6000), BatchNormalization()):
        Sequential([first, Dense(10)]).fit(raw, T, verbose=0)
    for x in (X, raw / 2, raw - 1, 2 * raw):  # no pixels, of whatever they are
        Sequential([Dense(10)]).fit(x, T, verbose=0)
    assert not recwarn.list
    with pytest.warns(UserWarning, match=r"from 0 to 1; received up to 255: divide them by 255"):
        make("two-layer").fit(raw, T, verbose=0)


def test_words_of_others_say_what_is_meant() -> None:
    network, seed, pair = make("two-layer"), cast(Any, 0), cast(Any, (X, T))
    check = partial(gradient_check, network, X[:2], T[:2])
    for build in (partial(TwoLayerNet, 6, 5, 4), partial(Sequential, [Dense(4)]), check):
        with pytest.raises(TypeError, match=r"int: pass numpy.random.default_rng\(seed\)"):
            build(rng=seed)
    with pytest.raises(TypeError, match=r"pass Data\(x, t\)"):
        train(network, pair, Adam())
    with pytest.raises(TypeError, match=r"expected Parameters; received tuple: make them"):
        SGD().update(network.params, pair)


def test_weights_out_and_in(network: Network) -> None:
    weights = network.get_weights()
    assert sum(w.size for w in weights) == network.count_params()
    expected = network.predict(X)
    network.params.flat[...] += 1
    assert not np.array_equal(network.predict(X), expected)
    network.set_weights(weights)
    np.testing.assert_array_equal(network.predict(X), expected)
    with pytest.raises(ValueError, match=r"expected arrays of shapes .*784.*received"):
        network.set_weights(weights[1:])


def test_networks_show_themselves(network: Network, capsys: pytest.CaptureFixture[str]) -> None:
    network.fit(X, T, epochs=2, verbose=2)
    assert [line[:9] for line in capsys.readouterr().out.splitlines()] == ["epoch 1/2", "epoch 2/2"]
    network.summary()
    told = capsys.readouterr().out
    assert f"Total params: {network.count_params():,}" in told and "dense_1 (Dense)" in told
    assert repr(network).startswith(f"{type(network).__name__}([\n    Dense(units=")
    page = network._repr_html_()
    assert page.count("<tr>") == 1 + len(network.layer_arrays())

    history = network.fit(X, T, epochs=2, verbose=0)
    assert capsys.readouterr() == ("", "")
    assert "2 epochs" in repr(history) and len(repr(history).splitlines()) == 1
    assert history._repr_png_()[:4] == b"\x89PNG"
    assert "0 epochs" in repr(History())
