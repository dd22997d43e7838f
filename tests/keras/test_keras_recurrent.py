"""Recurrent layers and layers for sequences: values, gradients, training, files."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import functions
from digits import keras
from digits.types import Array

layers: Any = keras.layers
SHAPE = (4, 3)  # times, features

pytestmark = pytest.mark.usefixtures("seeded_keras")


def built(layer: Any, shape: tuple[int, ...] = SHAPE) -> Any:
    """The layer with weights that are random, those of the bias, too."""
    layer.build((None, *shape))
    rng = np.random.default_rng(2)
    layer.set_weights([rng.normal(size=v.shape) for v in layer.weights])
    return layer


# --- values, step by step -------------------------------------------------------------------------


def simple_rnn(x: Array, w: Array, u: Array, b: Array) -> list[Array]:
    h, found = np.zeros(len(u)), []
    for step in x:
        h = np.tanh(step @ w + h @ u + b)
        found.append(h)
    return found


def lstm(x: Array, w: Array, u: Array, b: Array) -> list[Array]:
    h, c, found = np.zeros(len(u)), np.zeros(len(u)), []
    for step in x:
        i, f, g, o = np.split(step @ w + h @ u + b, 4)
        c = functions.sigmoid(f) * c + functions.sigmoid(i) * np.tanh(g)
        h = functions.sigmoid(o) * np.tanh(c)
        found.append(h)
    return found


def gru(x: Array, w: Array, u: Array, b: Array) -> list[Array]:
    h, found, k = np.zeros(len(u)), [], len(u)
    for step in x:
        a, q = (step @ w + b[0], h @ u + b[1]) if b.ndim == 2 else (step @ w + b, h @ u)
        z, r = np.split(functions.sigmoid(a + q)[: 2 * k], 2)
        new = r * q[2 * k :] if b.ndim == 2 else (r * h) @ u[:, 2 * k :]
        h = z * h + (1 - z) * np.tanh(a[2 * k :] + new)
        found.append(h)
    return found


RECURRENT = [
    (layers.SimpleRNN, {}, simple_rnn),
    (layers.LSTM, {}, lstm),
    (layers.GRU, {}, gru),
    (layers.GRU, {"reset_after": False}, gru),
]


@pytest.mark.parametrize(("kind", "options", "plain"), RECURRENT)
def test_values_are_those_of_a_loop(kind: Any, options: Any, plain: Any) -> None:
    x = np.random.default_rng(0).normal(size=(2, *SHAPE))
    layer = built(kind(5, return_sequences=True, dtype="float64", **options))
    weights = layer.get_weights()
    expected = np.array([plain(sample, *weights) for sample in x])
    np.testing.assert_allclose(layer(x), expected, atol=1e-12)
    last = kind(5, weights=weights, dtype="float64", **options)
    np.testing.assert_allclose(last(x), expected[:, -1], atol=1e-12)
    back = kind(5, weights=weights, go_backwards=True, dtype="float64", **options)
    np.testing.assert_allclose(back(x[:, ::-1]), expected[:, -1], atol=1e-12)


@pytest.mark.parametrize("merge_mode", ["concat", "sum", "mul", "ave"])
@pytest.mark.parametrize("sequences", [False, True])
def test_bidirectional_reads_from_both_ends(merge_mode: str, sequences: bool) -> None:
    x = np.random.default_rng(0).normal(size=(2, *SHAPE))
    inner = layers.LSTM(5, return_sequences=sequences, dtype="float64")
    both = built(layers.Bidirectional(inner, merge_mode, dtype="float64"))
    weights = both.get_weights()
    first = np.array([lstm(sample, *weights[:3]) for sample in x])
    second = np.array([lstm(sample[::-1], *weights[3:])[::-1] for sample in x])
    y, z = (first, second) if sequences else (first[:, -1], second[:, 0])
    expected = {
        "concat": np.concatenate([y, z], -1),
        "sum": y + z,
        "mul": y * z,
        "ave": (y + z) / 2,
    }
    np.testing.assert_allclose(both(x), expected[merge_mode], atol=1e-12)
    again = layers.Bidirectional(inner, merge_mode, weights=weights, dtype="float64")
    np.testing.assert_array_equal(again(x), both(x))


def test_shapes_and_first_weights_are_those_of_keras() -> None:
    shapes = {
        layers.SimpleRNN(5): [(3, 5), (5, 5), (5,)],
        layers.CuDNNLSTM(5): [(3, 20), (5, 20), (20,)],
        layers.CuDNNGRU(5): [(3, 15), (5, 15), (2, 15)],
        layers.GRU(5, reset_after=False): [(3, 15), (5, 15), (15,)],
        layers.GRU(5, use_bias=False): [(3, 15), (5, 15)],
    }
    for layer, expected in shapes.items():
        layer.build((None, *SHAPE))
        assert [v.shape for v in layer.weights] == expected
    lstm = layers.LSTM(5)
    lstm.build((None, *SHAPE))
    kernel, recurrent, bias = lstm.get_weights()
    np.testing.assert_allclose(recurrent @ recurrent.T, np.eye(5), atol=1e-6)  # orthogonal
    np.testing.assert_array_equal(bias, np.repeat([0, 1, 0, 0], 5))  # unit_forget_bias
    assert [v.name for v in lstm.weights] == ["kernel", "recurrent_kernel", "bias"]
    assert abs(kernel).max() <= np.sqrt(6 / (3 + 20))


# --- gradients ------------------------------------------------------------------------------------


def check_gradients(layer: Any, shape: tuple[int, ...] = SHAPE) -> None:
    """Compare dx and the gradients of all weights with central differences along directions."""
    rng = np.random.default_rng(0)
    x = keras.ops.convert_to_tensor(rng.normal(size=(3, *shape)))
    arrays = [x.array, *(v.array for v in built(layer, shape).weights)]

    def forward() -> Any:
        for core in (core for part in (layer, *layer.sublayers) for core in part.cores):
            core.rng = np.random.default_rng(3)  # the same dropout, always
        return layer(x, training=True)

    with keras.tape.GradientTape() as tape:
        tape.watch(x)
        y = forward()
    dy = rng.normal(size=y.shape)
    gradients = tape.gradient(y, [x, *layer.weights], dy)
    for array, gradient in zip(arrays, gradients, strict=True):
        start, direction = array.copy(), rng.normal(size=array.shape)
        values = []
        for h in (1e-6, -1e-6):
            array[...] = start + h * direction
            values.append(np.sum(forward() * dy))
        array[...] = start
        numerical = (values[0] - values[1]) / 2e-6
        assert np.sum(gradient * direction) == pytest.approx(numerical, rel=1e-6, abs=1e-7)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"return_sequences": True, "dropout": 0.4, "recurrent_dropout": 0.4},
        {"return_sequences": True, "go_backwards": True, "use_bias": False},
        {"activation": "relu"},
        {"activation": "gelu", "return_sequences": True},
    ],
)
@pytest.mark.parametrize(("kind", "options", "plain"), RECURRENT)
def test_gradients(kind: Any, options: Any, plain: Any, settings: Any) -> None:
    check_gradients(kind(5, dtype="float64", **options, **settings))


def squashed(x: Any) -> Any:
    return 0.3 * keras.ops.tanh(x) + 0.5


@pytest.mark.parametrize("activation", ["hard_sigmoid", "linear", squashed])
@pytest.mark.parametrize("kind", [layers.LSTM, layers.GRU])
def test_gradients_of_other_gates(kind: Any, activation: Any) -> None:
    check_gradients(kind(5, recurrent_activation=activation, dtype="float64"))


@pytest.mark.parametrize("merge_mode", ["concat", "sum", "mul", "ave"])
@pytest.mark.parametrize("sequences", [False, True])
def test_gradients_of_both_directions(merge_mode: str, sequences: bool) -> None:
    inner = layers.GRU(5, return_sequences=sequences, recurrent_dropout=0.3, dtype="float64")
    check_gradients(layers.Bidirectional(inner, merge_mode, dtype="float64"))


def test_gradients_of_layers_within_and_repeated_vectors() -> None:
    inner = layers.LSTM(2, return_sequences=True, dtype="float64")
    check_gradients(layers.TimeDistributed(inner, dtype="float64"), (2, *SHAPE))
    dense = layers.Dense(2, "tanh", dtype="float64")
    check_gradients(layers.TimeDistributed(dense, dtype="float64"))
    check_gradients(layers.RepeatVector(3, dtype="float64"), (4,))
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, "tanh"), layers.Dense(2)])
    x = np.random.default_rng(0).random((2, 5, 4), dtype=np.float32)
    y = layers.TimeDistributed(model)(x)
    np.testing.assert_allclose(y[:, 3], model(x[:, 3]), atol=1e-6)


def test_dropout_is_the_same_at_all_times() -> None:
    layer = layers.SimpleRNN(50, "linear", dropout=0.5, return_sequences=True, use_bias=False)
    layer.set_up((2, 50))
    layer.set_weights([np.eye(50), 0 * np.eye(50)])
    y = np.asarray(layer(np.ones((4, 2, 50)), training=True))
    np.testing.assert_array_equal(y[:, 0], y[:, 1])
    assert {*y.flat} == {0.0, 2.0}
    np.testing.assert_array_equal(layer(np.ones((4, 2, 50))), 1)
    layer = layers.SimpleRNN(50, "linear", recurrent_dropout=0.5, use_bias=False)
    layer.set_up((3, 50))
    layer.set_weights([np.eye(50), np.eye(50)])
    y = np.asarray(layer(np.ones((4, 3, 50)), training=True))
    assert {*y.flat} == {1.0, 7.0}  # 1, or (1 * 2 + 1) * 2 + 1


# --- training and files ---------------------------------------------------------------------------


def rows(rng: np.random.Generator, n: int = 1000) -> tuple[Array, Array]:
    """Sequences of 8 rows of 6 numbers; one row is bright, and its quarter is the class."""
    x, t = 0.3 * rng.random((n, 8, 6), dtype=np.float32), rng.integers(0, 8, n)
    x[np.arange(n), t] += 1
    return x, t // 2


STACKS: list[Any] = [
    lambda: [layers.LSTM(16, return_sequences=True), layers.LSTM(16)],
    lambda: [layers.GRU(24, dropout=0.1, recurrent_dropout=0.1)],
    lambda: [
        layers.SimpleRNN(
            24,
            activation="relu",
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.1),
            recurrent_initializer=keras.initializers.Identity(1.0),
            recurrent_regularizer="l2",
            recurrent_constraint=keras.constraints.MaxNorm(3),
        )
    ],
    lambda: [layers.Bidirectional(layers.LSTM(12))],
    lambda: [
        layers.TimeDistributed(layers.Dense(8, "relu")),
        layers.Bidirectional(layers.GRU(8, return_sequences=True), merge_mode="sum"),
        layers.TimeDistributed(layers.BatchNormalization()),
        layers.LSTM(12),
        layers.RepeatVector(2),
        layers.Flatten(),
    ],
]


@pytest.mark.parametrize("stack", STACKS)
def test_models_learn_and_are_saved(stack: Any, tmp_path: Path, rng: np.random.Generator) -> None:
    x, t = rows(rng)
    model = keras.Sequential([*stack(), layers.Dense(4, activation="softmax")])
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", ["accuracy"])
    assert model.fit(x, t, epochs=8, verbose=0).history["accuracy"][-1] > 0.6  # by chance 0.25
    y = model.predict(x[:50], verbose=0)
    for name in ("model.keras", "model.h5"):
        model.save(tmp_path / name)
        again = keras.models.load_model(tmp_path / name)
        np.testing.assert_allclose(again.predict(x[:50], verbose=0), y, atol=1e-6)
    copied = keras.models.model_from_json(model.to_json())
    copied.set_weights(model.get_weights())
    np.testing.assert_allclose(copied.predict(x[:50], verbose=0), y, atol=1e-6)
    assert copied.to_json() == model.to_json()
    assert len(model.predict(x[:0], verbose=0)) == 0


def test_files_hold_weights_where_keras_3_looks_for_them(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    first, second = layers.LSTM(4, return_sequences=True), layers.TimeDistributed(layers.Dense(2))
    last = layers.Bidirectional(layers.GRU(3))
    model = keras.Sequential([keras.Input(SHAPE), first, second, last])
    model.save_weights(tmp_path / "model.weights.h5")
    with h5py.File(tmp_path / "model.weights.h5") as file:
        for group, shape in (
            ("lstm/cell/vars", (3, 16)),
            ("time_distributed/layer/vars", (4, 2)),
            ("bidirectional/forward_layer/cell/vars", (2, 9)),
            ("bidirectional/backward_layer/cell/vars", (2, 9)),
        ):
            assert file[f"layers/{group}/0"].shape == shape


def test_a_shared_layer_has_the_sum_of_its_gradients() -> None:
    """A layer that is called twice remembers each call, in a model as on a tape."""
    shared = layers.Bidirectional(layers.LSTM(3), merge_mode="mul")
    a, b = keras.Input(SHAPE), keras.Input(SHAPE)
    model = keras.Model([a, b], layers.Subtract()([shared(a), 2 * shared(b)]))
    model.compile(keras.optimizers.SGD(1.0), "mse")
    rng = np.random.default_rng(0)
    x, t = [rng.random((5, *SHAPE)) for _ in range(2)], rng.random((5, 3))
    before = model.get_weights()
    with keras.tape.GradientTape() as tape:
        y = shared(x[0]) - 2 * shared(x[1])
        loss = keras.ops.mean((y - t) ** 2)
    by_tape = tape.gradient(loss, shared.trainable_weights)
    dy, gradients = 2 / t.size * np.asarray(y - t), []
    for part, factor in zip(x, (1, -2), strict=True):
        with keras.tape.GradientTape() as tape:
            y = shared(part)
        gradients.append(tape.gradient(y, shared.trainable_weights, factor * dy))
    model.train_on_batch(x, t)
    whole = zip(before, model.get_weights(), by_tape, *gradients, strict=True)
    for old, new, recorded, first, second in whole:
        np.testing.assert_allclose(old - new, first + second, atol=1e-6)
        np.testing.assert_allclose(recorded, first + second, atol=1e-6)


def test_frozen_wrappers_keep_their_weights(rng: np.random.Generator) -> None:
    x, t = rows(rng, 64)
    both = layers.Bidirectional(layers.GRU(4), trainable=False)
    model = keras.Sequential([both, layers.Dense(4)])
    model.compile("adam", "mse")
    model.build((None, 8, 6))
    before = both.get_weights()
    model.fit(x, np.eye(4)[t], verbose=0)
    for old, new in zip(before, both.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert len(model.trainable_weights) == 2
    both.trainable = True
    assert len(model.trainable_weights) == 8
    frozen = layers.TimeDistributed(layers.Dense(4, trainable=False))
    model = keras.Sequential([keras.Input((8, 6)), frozen, layers.LSTM(4)])
    model.compile("adam", "mse")
    before = frozen.get_weights()
    model.fit(x, np.eye(4)[t], verbose=0)
    np.testing.assert_array_equal(before[0], frozen.get_weights()[0])


def test_each_step_has_a_class_of_its_own(rng: np.random.Generator) -> None:
    x = rng.random((200, 8, 6), dtype=np.float32)
    dense = layers.Dense(6, activation="softmax", input_shape=(6,))
    model = keras.Sequential([layers.TimeDistributed(dense)])
    model.compile(keras.optimizers.Adam(0.1), "sparse_categorical_crossentropy", ["accuracy"])
    assert model.fit(x, x.argmax(axis=-1), epochs=9, verbose=0).history["accuracy"][-1] > 0.6
    with pytest.raises(ValueError, match="a chain of layers"):
        model.save("model.npz")


# --- arguments ------------------------------------------------------------------------------------


def test_the_spellings_of_keras_1_work() -> None:
    layer = layers.LSTM(
        output_dim=4, inner_init="identity", inner_activation="hard_sigmoid", dropout_W=0.2
    )
    assert layer.recurrent_activation == "hard_sigmoid"
    assert (layer.units, layer.dropout) == (4, 0.2)


def test_the_first_data_tell_the_number_of_steps() -> None:
    model = keras.Sequential([layers.LSTM(4, input_shape=(None, 6)), layers.Dense(2)])
    assert not model.built
    assert model.predict(np.zeros((3, 8, 6)), verbose=0).shape == (3, 2)
    inner = layers.LSTM(4, input_shape=(8, 6))
    assert keras.Sequential([layers.Bidirectional(inner)]).output_shape == (None, 8)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: layers.LSTM(3, return_state=True), "return_state= .* return_sequences=True"),
        (lambda: layers.GRU(3, stateful=True), "stateful= .* every state begins at 0"),
        (lambda: layers.GRU(3, time_major=True), r"give arrays \(n, times, features\)"),
        (lambda: layers.LSTM(3)(np.ones((2, 5))), r"sequences .* put Reshape\(\(28, 28\)\)"),
        (lambda: layers.LSTM(3, dropout=1.5)(np.ones((2, 5, 4))), "a rate of dropout"),
        (lambda: layers.LSTM(3)(np.ones((2, 5, 4)), initial_state=[0]), "begins at 0"),
        (lambda: layers.LSTM(3)(np.ones((2, 5, 4)), mask=np.ones((2, 5))), "of one length"),
        (lambda: layers.Bidirectional(layers.LSTM(3), merge_mode=None), "merge_mode= among"),
        (lambda: layers.Bidirectional(layers.LSTM(3))(keras.Input((5, 4)), mask=1), "one length"),
        (lambda: layers.Bidirectional(layers.Dense(3)), "LSTM, GRU or SimpleRNN"),
        (
            lambda: layers.Bidirectional(layers.LSTM(3), backward_layer=layers.LSTM(3)),
            "differs in go_backwards",
        ),
        (lambda: layers.TimeDistributed(layers.Flatten())(np.ones((2, 5))), "sequences for"),
        (lambda: layers.RepeatVector(3)(np.ones((2, 5, 4))), "put Flatten before it"),
    ],
)
def test_what_is_refused_is_told(make: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()


@pytest.mark.parametrize("name", "RNN LSTMCell GRUCell SimpleRNNCell ConvLSTM2D".split())
def test_cells_are_absent_and_layers_named_instead(name: str) -> None:
    with pytest.raises(NotImplementedError, match="use LSTM, GRU or SimpleRNN"):
        getattr(layers, name)(3)
