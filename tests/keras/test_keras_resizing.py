"""Inputs with sizes that the first data tell, and layers that compute otherwise from then on."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from digits import keras
from digits.keras import tensorflow

layers: Any = keras.layers
tf: Any = tensorflow

pytestmark = pytest.mark.usefixtures("seeded_keras")


@pytest.mark.parametrize(
    "make",
    [
        lambda x: layers.LSTM(4)(layers.Conv1D(5, 3)(x)),
        lambda x: layers.Bidirectional(layers.GRU(4))(layers.MaxPooling1D()(x)),
        lambda x: layers.Lambda(lambda h: h[:, -1])(layers.TimeDistributed(layers.Dense(4))(x)),
    ],
)
def test_an_open_length_in_a_graph_is_that_of_the_first_data(
    make: Any, rng: np.random.Generator
) -> None:
    model = keras.Model(given := keras.Input((None, 6)), layers.Dense(2)(make(given)))
    weights = model.get_weights()
    model.compile("adam", "sparse_categorical_crossentropy")
    inner = layers.Dense(1)(model(outer_input := keras.Input((None, 6))))
    outer = keras.Model(outer_input, inner)
    x, t = rng.normal(size=(30, 9, 6)), np.arange(30) % 2
    y = model.predict(x, verbose=0)
    assert model.input_shape == (None, 9, 6)
    for ours, before in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(ours, before)
    fixed = keras.Model(same := keras.Input((9, 6)), layers.Dense(2)(make(same)))
    fixed.set_weights(weights)
    np.testing.assert_array_equal(fixed.predict(x, verbose=0), y)
    loss = model.fit(x, t, epochs=2, verbose=0).history["loss"]
    assert np.all(np.isfinite(loss))
    assert outer.predict(x, verbose=0).shape == (30, 1)
    with pytest.raises(
        ValueError, match=r"inputs of shape \(None, 9, 6\).* bring all to that shape"
    ):
        model.predict(x[:, :8])


def test_open_sizes_come_from_dicts_batches_and_files(tmp_path: Path) -> None:
    first, second = keras.Input((None, 6), name="first"), keras.Input((None,), name="second")
    states = [layers.LSTM(4)(first), layers.LSTM(4)(layers.Embedding(9, 3)(second))]
    model = keras.Model([first, second], layers.Dense(1)(layers.concatenate(states)))
    model.compile("sgd", "mse")
    model.save(tmp_path / "model.keras")
    data = {"second": np.ones((5, 7)), "first": np.ones((5, 3, 6))}
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.predict(data, verbose=0), model.predict(data, verbose=0))
    assert model.input_names == ["first", "second"]
    assert [tensor.shape for tensor in model.inputs] == [(None, 3, 6), (None, 7)]
    image = keras.Input((None, None, 1))
    pooled = layers.GlobalAveragePooling2D()(layers.Conv2D(3, 3)(image))
    model = keras.Model(image, pooled)
    model.compile("sgd", "mse")
    batches = tf.data.Dataset.from_tensor_slices((np.ones((5, 8, 9)), np.ones((5, 3)))).batch(2)
    model.fit(batches, verbose=0)
    assert model.input_shape == (None, 8, 9, 1)


def test_a_layer_takes_one_length_at_all_its_calls() -> None:
    first, second, layer = keras.Input((None, 6)), keras.Input((None, 6)), layers.GRU(4)
    model = keras.Model([first, second], layers.add([layer(first), layer(second)]))
    with pytest.raises(ValueError, match=r"\(None, 5, 6\) .* make a second layer"):
        model.predict([np.ones((2, 7, 6)), np.ones((2, 5, 6))])


def test_a_new_activation_counts_in_calls_on_a_tape_too() -> None:
    layer, x = layers.Dense(3, "relu"), tf.constant(np.ones((2, 4), np.float32))
    for activation in ("relu", "tanh"):
        layer.activation = activation
        with tf.GradientTape() as tape:
            y = layer(x)
        (_, db) = tape.gradient(y, layer.trainable_variables)
        np.testing.assert_array_equal(y, layer(x))
        del y, tape
    assert np.all(db < 2)  # tanh' < 1, for each of two samples
