"""Models of several outputs: what each is trained and measured by."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from digits import keras
from digits.keras.objectives import for_outputs

layers: Any = keras.layers


def two_outputs() -> Any:
    """A model whose first output is also an input of the layer that makes the second."""
    inputs = keras.Input((4,))
    h = layers.Dense(5, "tanh")(inputs)
    a = layers.Dense(3, "softmax", name="a")(h)
    b = layers.Dense(1, "sigmoid", name="b")(layers.Concatenate()([h, a]))
    return keras.Model(inputs, [a, b])


def data(n: int = 20) -> tuple[Any, dict[str, Any]]:
    rng = np.random.default_rng(0)
    x = rng.random((n, 4))
    return x, {"a": rng.integers(0, 3, n), "b": rng.random(n)}


def test_gradient_of_two_losses_is_that_of_their_weighted_sum() -> None:
    keras.utils.set_random_seed(0)
    keras.backend.set_floatx("float64")
    try:
        model = two_outputs()
    finally:
        keras.backend.set_floatx("float32")
    losses = {"a": "sparse_categorical_crossentropy", "b": "binary_crossentropy"}
    model.compile("sgd", losses, loss_weights={"a": 0.5, "b": 2.0})
    x, y = data()
    batch = model._arrays(x, y, None, None)
    model._prepare()
    network, h = model.training_network, 1e-6
    gradient = network.loss_and_gradient(*batch)[1].flat.copy()
    for k in range(0, gradient.size, 3):
        kept, found = network.params.flat[k], []
        for step in (h, -h):
            network.params.flat[k] = kept + step
            found.append(network.loss_and_gradient(*batch)[0])
        network.params.flat[k] = kept
        assert gradient[k] == pytest.approx((found[0] - found[1]) / (2 * h), abs=1e-7)


def test_metrics_of_each_output_are_logged_by_its_name() -> None:
    model, (x, y) = two_outputs(), data()
    losses = ["sparse_categorical_crossentropy", "mse"]
    model.compile("adam", losses, loss_weights=[0.5, 2], metrics={"a": "accuracy", "b": ["mae"]})
    history = model.fit(x, y, epochs=2, validation_split=0.5, verbose=0).history
    names = ["loss", "a_loss", "b_loss", "a_accuracy", "b_mae"]
    assert {*history} == {*names, *(f"val_{name}" for name in names)}
    loss, a, b, accuracy, mae = model.evaluate(x, [y["a"], y["b"]], verbose=0)
    assert model.metrics_names == names
    p, q = model.predict(x, verbose=0)
    assert loss == pytest.approx(0.5 * a + 2 * b, rel=1e-5)
    assert a == pytest.approx(-np.log(p[np.arange(20), y["a"]]).mean(), rel=1e-5)
    assert b == pytest.approx(np.square(q[:, 0] - y["b"]).mean(), rel=1e-5)
    assert accuracy == pytest.approx((p.argmax(axis=1) == y["a"]).mean())
    assert mae == pytest.approx(np.abs(q[:, 0] - y["b"]).mean(), rel=1e-5)


def test_an_output_without_a_loss_needs_no_targets() -> None:
    model, (x, y) = two_outputs(), data()
    model.compile("adam", {"b": "mse"}, metrics=["mae"])
    assert len(model.train_on_batch(x, {"b": y["b"]})) == 3


def test_weights_of_samples_of_each_output_are_split_with_them() -> None:
    model, (x, y) = two_outputs(), data()
    model.compile("sgd", ["sparse_categorical_crossentropy", "mse"])
    weight = {"b": np.repeat([1.0, 0.0], 10)}
    history = model.fit(x, y, sample_weight=weight, validation_split=0.5, verbose=0).history
    assert history["val_b_loss"] == [0] and history["b_loss"] > [0] and history["val_a_loss"] > [0]


def test_a_file_holds_what_the_outputs_are_trained_by(tmp_path: Path) -> None:
    pytest.importorskip("h5py")
    model, (x, y) = two_outputs(), data()
    losses = {"a": "sparse_categorical_crossentropy", "b": "mse"}
    model.compile("adam", losses, loss_weights={"b": 0.1}, metrics=[["accuracy"], []])
    model.save(tmp_path / "two.keras")
    loaded = keras.models.load_model(tmp_path / "two.keras")
    assert loaded.loss == losses
    np.testing.assert_allclose(loaded.evaluate(x, y, verbose=0), model.evaluate(x, y, verbose=0))


def test_an_unknown_output_is_named_beside_those_that_are_there() -> None:
    with pytest.raises(ValueError, match="loss for outputs among a, b; received 'c'"):
        for_outputs({"c": "mse"}, ["a", "b"], "loss")


def test_loss_is_what_compile_was_given() -> None:
    class Own(keras.losses.Loss):
        threshold = 2.0

        def call(self, y_true: Any, y_pred: Any) -> Any:
            return np.square(y_true - y_pred)

    model = keras.Sequential([keras.Input((2,)), layers.Dense(1)])
    model.compile("sgd", Own())
    assert model.loss.threshold == 2
