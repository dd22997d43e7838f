"""Layers by formulas, layers for rows, and the functions of tf.nn."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from digits import keras
from digits.keras import nn
from digits.keras import tensorflow as tf
from digits.types import Array

L: Any = keras.layers
tf_: Any = tf  # whose names are found when they are asked for
EPSILON = 1e-6


def differences(f: Callable[[], float], x: Array) -> Array:
    """The derivative of f with respect to each number of x, which f reads."""
    found = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        kept = x[i]
        x[i] = kept + EPSILON
        above = f()
        x[i] = kept - EPSILON
        found[i] = (above - f()) / (2 * EPSILON)
        x[i] = kept
    return found


def check_gradients(f: Callable[..., Any], inputs: list[Array], variables: list[Any]) -> None:
    """Compare the gradients of f(*inputs) with differences, for a random gradient that comes in."""
    rng = np.random.default_rng(1)
    arrays = [*inputs, *(variable.array for variable in variables)]
    for variable in variables:
        variable.assign(rng.normal(size=variable.shape))
    tensors = [tf_.constant(x) for x in inputs]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        y = f(*tensors)
    dy = rng.normal(size=y.shape)
    assert y.dtype == np.float64
    found = tape.gradient(y, [*tensors, *variables], output_gradients=dy)
    for array, gradient in zip(arrays, found, strict=True):
        expected = differences(lambda: float(np.sum(dy * np.asarray(f(*inputs)))), array)
        np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-7)


LAYERS = [
    (L.LayerNormalization, {}, [(2, 3, 4)]),
    (L.LayerNormalization, {"axis": [1, 2]}, [(2, 3, 4)]),
    (L.GroupNormalization, {"groups": 2}, [(2, 3, 4)]),
    (L.UnitNormalization, {}, [(2, 3)]),
    (L.PReLU, {"shared_axes": [1]}, [(2, 3, 4)]),
    (L.ThresholdedReLU, {"theta": 0.2}, [(2, 5)]),
    (L.Dot, {"axes": (2, 1), "normalize": True}, [(2, 3, 4), (2, 4, 2)]),
    (L.MultiHeadAttention, {"num_heads": 2, "key_dim": 3}, [(2, 3, 4), (2, 5, 4)]),
    (L.Cropping2D, {"cropping": ((1, 0), (0, 2))}, [(2, 4, 4, 2)]),
    (L.Conv1D, {"filters": 3, "kernel_size": 2, "padding": "same"}, [(2, 5, 2)]),
    (L.Conv1D, {"filters": 3, "kernel_size": 3, "padding": "causal"}, [(2, 5, 2)]),
    (L.Conv1D, {"filters": 3, "kernel_size": 2, "data_format": "channels_first"}, [(2, 2, 5)]),
    (L.DepthwiseConv2D, {"kernel_size": 2, "data_format": "channels_first"}, [(2, 3, 4, 5)]),
    (L.MaxPooling1D, {}, [(2, 5, 2)]),
    (L.AveragePooling1D, {"pool_size": 3, "strides": 2, "padding": "same"}, [(2, 5, 2)]),
    (L.GlobalAveragePooling1D, {}, [(2, 5, 2)]),
    (L.GlobalMaxPooling1D, {}, [(2, 5, 2)]),
    (L.ZeroPadding1D, {"padding": (1, 2)}, [(2, 3, 2)]),
    (L.Cropping1D, {"cropping": (1, 2)}, [(2, 5, 2)]),
    (L.UpSampling1D, {}, [(2, 3, 2)]),
]


@pytest.mark.parametrize(("kind", "arguments", "shapes"), LAYERS)
def test_gradients_of_layers(kind: Any, arguments: Any, shapes: Any) -> None:
    rng = np.random.default_rng(0)
    layer, inputs = kind(**arguments, dtype="float64"), [rng.normal(size=s) for s in shapes]

    def f(*given: Any) -> Any:
        return layer(list(given) if len(given) > 1 else given[0])

    f(*inputs)
    check_gradients(f, inputs, layer.weights)


def test_the_gradient_of_an_embedding_counts_each_use() -> None:
    layer = L.Embedding(3, 2, dtype="float64")
    indices = np.array([[0.0, 2.0], [2.0, 2.0]])
    layer(indices)
    check_gradients(lambda: layer(indices), [], layer.weights)


@pytest.mark.parametrize(
    "f",
    [
        lambda x, w: nn.conv2d(x, w, [1, 2, 2, 1], "SAME"),
        lambda x, w: nn.conv2d(x, w, 1, "VALID", data_format="NCHW"),
        lambda x, w: nn.conv2d_transpose(
            nn.conv2d(x, w, 1, "VALID"), w, (2, 4, 4, 4), strides=1, padding="VALID"
        ),
        lambda x, w: nn.max_pool2d(x, [1, 2, 2, 1], [1, 1, 1, 1], "SAME") * w[0, 0, 0, 0],
        lambda x, w: nn.avg_pool2d(x, 2, 2, "VALID") * w[0, 0, 0, 0],
        lambda x, w: nn.batch_normalization(x, *nn.moments(x, [0, 1, 2]), w[0, 0, 0], 2.0, 1e-3),
        lambda x, w: nn.bias_add(x, w[0, 0, 0], "NCHW") * nn.l2_loss(w),
        lambda x, w: (
            tf_.image.extract_patches(x, [1, 2, 2, 1], [1, 2, 2, 1], [1] * 4, "SAME")
            + tf_.einsum("ijkl->", w)
        ),
    ],
)
def test_gradients_of_functions(f: Any) -> None:
    rng = np.random.default_rng(0)
    w = tf.Variable(rng.normal(size=(2, 2, 4, 4)), dtype="float64")
    check_gradients(lambda x: f(x, w), [rng.normal(size=(2, 4, 4, 4))], [w])


def test_values_worked_out_by_hand() -> None:
    rows = np.array([[1.0, 3.0], [2.0, 2.0]], np.float32)
    np.testing.assert_allclose(L.LayerNormalization(epsilon=3)(rows)[0], [-0.5, 0.5])
    np.testing.assert_allclose(L.UnitNormalization()([3.0, 4.0] * np.ones((1, 1))), [[0.6, 0.8]])
    np.testing.assert_allclose(
        L.PReLU("ones")(rows - 2) + L.ThresholdedReLU(2.5)(rows), [[-1, 4], [0, 0]]
    )
    np.testing.assert_allclose(L.dot([rows, rows], axes=1), [[10], [8]])
    table = np.arange(6.0).reshape(3, 2)
    np.testing.assert_allclose(L.Embedding(3, 2, weights=[table])([2, 0] * np.ones(2, int)), [
        [4, 5], [0, 1],
    ])  # fmt: skip
    row = np.array([[[1.0], [2.0], [4.0]]], np.float32)
    ones = {"filters": 1, "kernel_size": 2, "kernel_initializer": "ones"}
    np.testing.assert_allclose(np.ravel(L.Conv1D(**ones)(row)), [3, 6])
    np.testing.assert_allclose(np.ravel(L.Conv1D(padding="causal", **ones)(row)), [1, 3, 6])
    np.testing.assert_allclose(L.GlobalAveragePooling1D()(row), [[7 / 3]], rtol=1e-6)
    image = np.arange(16.0).reshape(1, 4, 4, 1)
    patches = tf_.image.extract_patches(image, [1, 2, 2, 1], [1, 2, 2, 1], [1, 1, 1, 1], "VALID")
    np.testing.assert_allclose(patches[0, 1, 0], [8, 9, 12, 13])
    np.testing.assert_allclose(nn.dropout(np.ones((2, 2)), keep_prob=1.0), np.ones((2, 2)))


def test_equal_scores_give_the_mean_of_the_values() -> None:
    layer = L.MultiHeadAttention(1, 2, use_bias=False, kernel_initializer="ones")
    layer(np.zeros((1, 2, 1)), np.zeros((1, 2, 1)))
    layer.set_weights([np.zeros((1, 1, 2)), *layer.get_weights()[1:]])
    found = layer(np.ones((1, 3, 1)), np.array([[[1.0], [3.0]]]))
    np.testing.assert_allclose(found, np.full((1, 3, 1), 4.0))


def rows_model() -> Any:
    """A model of most of these layers."""
    x = L.Input((8, 6))
    y = L.LayerNormalization()(L.Conv1D(8, 3, padding="causal", activation="relu")(x))
    y = L.PReLU(shared_axes=[1])(L.MultiHeadAttention(2, 4, dropout=0.1)(y, y))
    y = L.ZeroPadding1D(1)(L.GroupNormalization(2, beta_regularizer="l2")(L.MaxPool1D()(y)))
    y = L.Cropping1D((1, 0))(L.UpSampling1D(2)(nn.leaky_relu(y)))
    a, b = L.GlobalAveragePooling1D()(y), L.GlobalMaxPool1D()(y)
    y = L.UnitNormalization()(L.concatenate([a, b, L.Dot(1, normalize=True)([a, b])]))
    return keras.Model(x, L.Dense(2, activation="softmax")(nn.dropout(y, 0.1)))


@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_a_model_learns_and_is_saved(tmp_path: Path, suffix: str) -> None:
    pytest.importorskip("h5py")
    keras.utils.set_random_seed(1)
    x = np.random.default_rng(0).normal(size=(64, 8, 6)).astype("float32")
    t = (x[:, :, 0].sum(axis=1) > 0).astype(int)
    model = rows_model()
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    losses = model.fit(x, t, epochs=10, verbose=0).history["loss"]
    assert losses[-1] < 0.8 * losses[0]
    model.save(tmp_path / f"model.{suffix}")
    loaded: Any = keras.models.load_model(tmp_path / f"model.{suffix}")
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))
    assert [layer.get_config() for layer in loaded.layers] == [
        layer.get_config() for layer in model.layers
    ]
    again = keras.models.model_from_json(model.to_json())
    assert [w.shape for w in again.weights] == [w.shape for w in model.weights]


def test_an_embedding_with_a_length_begins_a_model() -> None:
    model = keras.Sequential([L.Embedding(20, 4, input_length=7), L.Flatten(), L.Dense(1)])
    assert model.output_shape == (None, 1)
    before = model.layers[0].get_weights()[0].copy()
    model.compile("sgd", "mse")
    model.fit(np.full((10, 7), 3), np.ones(10), verbose=0)
    changed = (model.layers[0].get_weights()[0] != before).any(axis=1)
    np.testing.assert_array_equal(np.flatnonzero(changed), [3])
    assert L.Embedding(20, 4).compute_output_shape((None, 7)) == (None, 7, 4)


def test_constraints_and_penalties_of_formulas() -> None:
    table = L.Embedding(
        3,
        2,
        embeddings_constraint="non_neg",
        embeddings_regularizer="l2",
        activity_regularizer="l1",
    )
    model = keras.Sequential([L.Input((2,)), table, L.Flatten(), L.Dense(1)])
    model.compile(keras.optimizers.SGD(1.0), "mse")
    x, before = np.zeros((4, 2)), table.get_weights()[0]
    model.layers[-1].set_weights([np.zeros((4, 1)), np.zeros(1)])
    loss = model.train_on_batch(x, np.zeros(4))
    assert loss == pytest.approx(0.01 * np.sum(before**2) + 0.01 * 2 * np.abs(before[0]).sum())
    assert np.asarray(table.embeddings).min() >= 0


def test_shapes_are_tuples_with_methods() -> None:
    x = tf_.zeros((2, 3))
    assert (x.shape, x.shape.as_list(), x.get_shape().rank) == ((2, 3), [2, 3], 2)
    assert tf.TensorShape([None, 3])[1:].num_elements() == 3
    assert L.Input((4,)).shape.as_list() == [None, 4]
    assert tf_.one_hot([0, 1], 3, axis=0).shape == (3, 2)
    assert [part.shape for part in tf_.unstack(x, axis=1)] == [(2,)] * 3
    assert tf_.random_normal_initializer(stddev=0.1)((2, 3)).shape == (2, 3)


@pytest.mark.parametrize(
    ("layer", "shape", "text"),
    [
        (L.Conv1D(2, 3), (5,), "expected rows such as"),
        (L.Cropping2D(3), (6, 6, 1), "expected a border smaller than the images"),
        (L.LayerNormalization(axis=1), (3, 4), "expected the last axes"),
        (lambda x: L.MultiHeadAttention(1, 2)(x, x), (4,), "inputs .n, steps, features."),
        (L.GroupNormalization(3), (3, 4), "expected groups that divide the 4 channels"),
    ],
)
def test_what_does_not_fit_is_refused(layer: Any, shape: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        layer(L.Input(shape))


def test_files_of_keras_3_hold_the_matrices_of_attention_apart(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    x = L.Input((3, 4))
    layer = L.MultiHeadAttention(2, 5, name="attention")
    model = keras.Model(x, layer(x, x))
    model.save_weights(tmp_path / "attention.weights.h5")
    with h5py.File(tmp_path / "attention.weights.h5") as file:
        group = file["layers/multi_head_attention"]
        assert group["query_dense/vars/0"].shape == (4, 2, 5)
        assert group["output_dense/vars/1"].shape == (4,)
    before = layer.get_weights()
    layer.set_weights([0 * weight for weight in before])
    model.load_weights(tmp_path / "attention.weights.h5")
    for found, expected in zip(layer.get_weights(), before, strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        (L.Conv1D, {"filters": 2, "kernel_size": [3], "dilation_rate": [1], "groups": 1}),
        (L.MultiHeadAttention, {"num_heads": 2, "key_dim": 3, "attention_axes": [1], "seed": None}),
        (L.Cropping2D, {"cropping": [[1, 0], [0, 2]], "data_format": "channels_last"}),
        (L.ZeroPadding1D, {"padding": [1, 1]}),
        (L.Embedding, {"input_dim": 3, "output_dim": 2, "embeddings_constraint": None}),
    ],
)
def test_configurations_as_keras_3_writes_them(kind: Any, config: dict[str, Any]) -> None:
    found = kind.from_config(config).get_config()
    expected = {key: value for key, value in config.items() if key in found}
    assert {key: found[key] for key in expected} == expected
