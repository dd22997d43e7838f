"""What tutorials of 2018 to 2024 count on."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from digits import keras
from digits.keras import tensorflow as tf
from digits.keras.wrappers import KerasClassifier

layers: Any = keras.layers
tf_: Any = tf
K: Any = keras.backend


class Shares(layers.Layer):  # type: ignore[misc]
    """Which part each input has in a sum, and the sum: two outputs of a layer with weights."""

    def build(self, input_shape: Any) -> None:
        self.w = self.add_weight(name="w", shape=(input_shape[0][-1], 1))

    def call(self, inputs: Any) -> Any:
        shares = keras.ops.softmax(keras.ops.stack([x @ self.w for x in inputs]), axis=0)
        return [shares[0] * inputs[0] + shares[1] * inputs[1], shares[0]]


def test_a_layer_with_weights_gives_several_outputs(tmp_path: Path) -> None:
    a, b = keras.Input((3,)), keras.Input((3,))
    total, share = Shares(name="shares")([a, b])
    model = keras.Model([a, b], [layers.Dense(1)(total), share])
    x = list(np.random.default_rng(0).random((2, 40, 3)).astype(np.float32))
    w = model.layers[2].get_weights()[0]
    expected = 1 / (1 + np.exp((x[1] - x[0]) @ w))
    np.testing.assert_allclose(model.predict(x, verbose=0)[1], expected, rtol=1e-5)
    with tf.GradientTape() as tape:
        total, share = model.get_layer("shares")(x)
        loss = tf_.reduce_mean(model.layers[3](total) ** 2) + tf_.reduce_mean(share**2)
    gradient = tape.gradient(loss, model.layers[2].w)
    model.compile(keras.optimizers.SGD(0.1), ["mse", "mse"])
    model.fit(x, [np.zeros((40, 1))] * 2, batch_size=40, verbose=0)
    np.testing.assert_allclose(model.layers[2].w, w - 0.1 * gradient, rtol=1e-4)
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras", custom_objects={"Shares": Shares})
    np.testing.assert_array_equal(again.predict(x, verbose=0)[1], model.predict(x, verbose=0)[1])


class Shifted(layers.Layer):  # type: ignore[misc]
    def call(self, inputs: Any) -> Any:
        return K.batch_flatten(K.in_train_phase(lambda: inputs + 5, inputs))


def test_a_layer_without_weights_keeps_its_name() -> None:
    inputs = keras.Input((2, 3))
    outputs = [Shifted(name="shifted")(inputs), layers.Flatten(name="flat")(inputs)]
    model = keras.Model(inputs, outputs)
    model.compile("sgd", {"shifted": "mse", "flat": "mae"}, metrics={"shifted": "mae"})
    assert model.get_layer("shifted").output.shape == (None, 6)
    assert "shifted_mae" in model.metrics_names
    with pytest.raises(ValueError, match="broadcast") as raised:
        layers.Lambda(lambda x: x + np.ones((9, 2, 3)))(inputs)
    assert "tf.shape(x)[0]" in raised.value.__notes__[0]


def test_tensors_as_labels() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    t, y = tf_.constant([0, 1, 2, 1]), tf_.argmax(np.eye(3)[[0, 1, 2, 2]], axis=1)
    assert metrics.accuracy_score(t, y) == 0.75
    assert metrics.confusion_matrix([0, 1, 2, 1], y)[1, 2] == 1


def test_functions_of_the_backend() -> None:
    x = np.ones((3, 2, 2), np.float32)
    model = keras.Sequential([keras.Input((2, 2)), Shifted()])
    np.testing.assert_array_equal(model.predict(x, verbose=0), np.ones((3, 4)))
    np.testing.assert_array_equal(model(x, training=True), np.full((3, 4), 6))
    chosen = K.switch(tf_.constant([True, False]), tf_.constant([1.0, 2.0]), lambda: [3.0, 4.0])
    np.testing.assert_array_equal(chosen, [1, 4])
    assert [K.is_keras_tensor(value) for value in (model.output, chosen)] == [True, False]


def test_pictures_of_another_size() -> None:
    x = np.random.default_rng(0).random((2, 5, 7, 1)).astype(np.float32)
    y = np.stack([cv2.resize(image, (4, 9)) for image in x])[..., np.newaxis]
    np.testing.assert_allclose(layers.Resizing(9, 4)(x), y, atol=1e-6)
    padded = np.asarray(tf_.image.resize_with_pad(x, 14, 14))
    assert padded[:, 2:12].all()
    assert not padded[:, [0, 1, 12, 13]].any()


def build(units: int = 4) -> Any:
    model = keras.Sequential([layers.Dense(units, "relu"), layers.Dense(3, "softmax")])
    model.compile(keras.optimizers.Adam(0.1), "categorical_crossentropy")
    return model


def test_a_grid_search() -> None:
    selection = pytest.importorskip("sklearn.model_selection")
    keras.utils.set_random_seed(1)
    x = np.random.default_rng(0).random((90, 3))
    t = np.array(["a", "b", "c"])[x.argmax(axis=1)]
    search = selection.GridSearchCV(KerasClassifier(build, verbose=0), {"epochs": [1, 40]}, cv=3)
    assert search.fit(x, t).best_params_ == {"epochs": 40}
    assert search.score(x, t) > 0.8
    with pytest.raises(ValueError, match="unit"):
        KerasClassifier(build, unit=3)
