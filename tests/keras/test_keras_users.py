"""What users of Keras see and count on: tables and lines as it prints them, files that go on where
the training has ended, functions of their own that get targets in the shape of the outputs.
"""

import functools
import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from digits import keras
from digits.keras import tensorflow as tf
from digits.types import Array

layers: Any = keras.layers
tf_: Any = tf

pytestmark = pytest.mark.usefixtures("seeded_keras")


def rows(n: int = 60) -> tuple[Array, Array]:
    """Rows of 6 numbers, whose class is the largest of the first three."""
    x = np.random.default_rng(0).random((n, 6)).astype(np.float32)
    return x, x[:, :3].argmax(axis=1)


def small(*more: Any) -> Any:
    return keras.Sequential([keras.Input((6,)), layers.Dense(5, "tanh"), *more])


# --- what is printed ------------------------------------------------------------------------------


def test_summary_of_a_chain_is_the_table_of_keras() -> None:
    lines: list[str] = []
    model = small()
    model.add(layers.Dense(3))
    model.summary(print_fn=lines.append)
    assert (
        "\n".join(lines)
        == """Model: "sequential"
┏━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━┓
┃ Layer (type)                    ┃ Output Shape           ┃       Param # ┃
┡━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━┩
│ dense (Dense)                   │ (None, 5)              │            35 │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ dense_1 (Dense)                 │ (None, 3)              │            18 │
└─────────────────────────────────┴────────────────────────┴───────────────┘
 Total params: 53 (212.00 B)
 Trainable params: 53 (212.00 B)
 Non-trainable params: 0 (0.00 B)"""
    )


def test_summary_of_a_subclass_has_the_layers_among_its_attributes() -> None:
    class Encoder(layers.Layer):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.inner = layers.Dense(4)

        def call(self, x: Any) -> Any:
            return self.inner(x)

    class Net(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.encoder, self.last = Encoder(), layers.Dense(3)

        def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
            return self.last(self.encoder(inputs))

    model, lines = Net(), list[str]()
    model.build((None, 10))
    model.summary(print_fn=lines.append)
    rows = [line.split("│")[1:4] for line in lines if line.startswith("│")]
    assert [[cell.strip() for cell in row] for row in rows] == [
        ["encoder (Encoder)", "(None, 4)", "44"],
        ["dense_1 (Dense)", "(None, 3)", "15"],
    ]


def test_summary_of_branches_says_what_is_connected() -> None:
    inputs = keras.Input((4,), name="x")
    shared = layers.Dense(3, name="shared")
    pair = keras.Model(inputs, [shared(inputs), layers.Dense(2, name="b")(inputs)], name="pair")
    outer = keras.Input((4,), name="outer")
    first, second = pair(outer)
    lines: list[str] = []
    keras.Model(outer, layers.Concatenate(name="c")([first, second])).summary(print_fn=lines.append)
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines if "│" in line]
    assert cells == [
        ["outer (InputLayer)", "(None, 4)", "0", "-"],
        ["pair (Functional)", "[(None, 3), (None, 2)]", "25", "outer[0][0]"],
        ["c (Concatenate)", "(None, 5)", "0", "pair[0][0], pair[0][1]"],
    ]


def test_one_epoch_has_no_heading_and_small_losses_an_exponent(capsys: Any) -> None:
    x, t = rows()
    model = small(layers.Dense(3, "softmax"))
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, 0 * t, validation_data=(x[:1], np.array([2])))
    assert "Epoch" not in (shown := capsys.readouterr().out)
    assert "val_accuracy: 0.0000e+00" in shown
    model.fit(x, t, epochs=2)
    assert "Epoch 2/2" in capsys.readouterr().out


# --- training goes on -----------------------------------------------------------------------------


RULES: list[Any] = [
    *("adam", "adamw", "sgd", "rmsprop", "nadam"),
    functools.partial(keras.optimizers.SGD, 0.1, 0.9),
    functools.partial(keras.optimizers.RMSprop, 0.01, momentum=0.5),
]


@pytest.mark.parametrize("end", ["keras", "h5"])
@pytest.mark.parametrize("rule", RULES, ids=str)
def test_a_loaded_model_is_trained_on_as_if_it_had_not_been_saved(
    tmp_path: Path, rule: Any, end: str
) -> None:
    x, t = rows()
    model = small(layers.BatchNormalization(), layers.Dense(3, "softmax"))
    rule = rule if isinstance(rule, str) else rule()
    model.compile(rule, "sparse_categorical_crossentropy")
    model.fit(x, t, epochs=3, shuffle=False, verbose=0)
    model.save(tmp_path / f"model.{end}")
    again = keras.models.load_model(tmp_path / f"model.{end}")
    assert again.optimizer.iterations == model.optimizer.iterations == 6
    for each in (model, again):
        each.fit(x, t, epochs=3, shuffle=False, verbose=0)
    for own, other in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-6, atol=1e-8)


def test_the_memory_in_a_file_is_that_of_keras(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    x, t = rows()
    model = small(layers.Dense(3, "softmax"))
    model.compile("adam", "sparse_categorical_crossentropy")
    before = model.get_weights()
    model.fit(x, t, batch_size=len(x), shuffle=False, verbose=0)
    model.save(tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        weights = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(weights) as file:
        group = file["optimizer/vars"]
        memory = [group[str(number)][()] for number in range(len(group))]
    assert memory[0] == 1
    assert memory[1] == np.float32(0.001)
    # After one step m is 0.1 g and v 0.001 g^2; the step is 0.001 along the sign of g.
    for i, (old, new) in enumerate(zip(before, model.get_weights(), strict=True)):
        m, v = memory[2 + 2 * i : 4 + 2 * i]
        np.testing.assert_allclose(v, 0.1 * m**2, rtol=1e-4)
        moved = np.abs(m) > 1e-5
        np.testing.assert_allclose((new - old)[moved], -0.001 * np.sign(m[moved]), rtol=1e-2)


def test_a_file_of_another_rule_begins_anew(tmp_path: Path) -> None:
    x, t = rows()
    model = small(layers.Dense(3, "softmax"))
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(x, t, verbose=0)
    model.optimizer.remember([np.int64(9), np.float32(1)], model.training_network.params, [0])
    assert model.optimizer.iterations == 2


def test_the_activation_of_a_layer_can_be_another() -> None:
    x, t = rows()
    model = small(layers.Dense(3, "softmax"))
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(x, t, verbose=0)
    probabilities, weights = model.predict(x, verbose=0), model.get_weights()
    model.layers[-1].activation = keras.activations.linear
    logits = np.exp(model.predict(x, verbose=0))
    np.testing.assert_allclose(logits / logits.sum(axis=1, keepdims=True), probabilities, rtol=1e-5)
    model.layers[-1].activation = "softmax"
    model.fit(x, t, verbose=0)
    assert not np.array_equal(weights[2], model.get_weights()[2])
    model.layers[0].activation = tf_.nn.relu
    x0 = np.maximum(x @ model.get_weights()[0] + model.get_weights()[1], 0)
    np.testing.assert_allclose(np.asarray(model.layers[0](x)), x0, rtol=1e-5)
    assert model.layers[0].get_config()["activation"] == "relu"


# --- functions and steps of one's own -------------------------------------------------------------


def near(y_true: Any, y_pred: Any) -> Any:
    assert y_true.shape == y_pred.shape
    return tf_.reduce_mean(tf_.cast(tf_.abs(y_true - y_pred) < 0.5, tf.float32))


class Near(keras.metrics.Metric):
    def __init__(self, name: str = "near") -> None:
        super().__init__(name)
        self.right = self.add_weight(name="right")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        self.right.assign(near(y_true, y_pred))

    def result(self) -> Any:
        return self.right


@pytest.mark.parametrize("metric", [near, Near()])
def test_targets_come_in_the_shape_of_the_outputs(metric: Any) -> None:
    x, t = rows()
    model = small(layers.Dense(1))
    model.compile("adam", "mse", metrics=[metric])
    _, found = model.evaluate(x, t, batch_size=len(x), verbose=0)
    y = model.predict(x, verbose=0)[:, 0]
    assert found == pytest.approx((np.abs(t - y) < 0.5).mean())


def test_class_weights_of_each_output() -> None:
    inputs = keras.Input((6,))
    outputs = [layers.Dense(3, "softmax")(inputs), layers.Dense(1, "sigmoid")(inputs)]
    model, (x, t) = keras.Model(inputs, outputs), rows()
    model.compile("sgd", ["sparse_categorical_crossentropy", "binary_crossentropy"])
    weights = [{0: 2.0, 1: 0.5}, {0: 1.0, 1: 3.0}]
    by_class = model.train_on_batch(x, [t, t > 0], class_weight=weights)
    model.set_weights([w * 0 for w in model.get_weights()])
    by_class = model.train_on_batch(x, [t, t > 0], class_weight=weights)
    first = np.log(3) * np.select([t == 0, t == 1], [2.0, 0.5], 1.0).mean()
    second = np.log(2) * np.where(t > 0, 3.0, 1.0).mean()
    assert by_class == pytest.approx([first + second, first, second], rel=1e-5)
    with pytest.raises(ValueError, match="class_weight"):
        model.train_on_batch(x, [t, t > 0], class_weight={0: 1.0})


class Distilled(keras.Model):
    """A model that takes its loss elsewhere, and is compiled without one."""

    def __init__(self, student: Any) -> None:
        super().__init__()
        self.student = student

    def train_step(self, data: Any) -> Any:
        x, y = data
        with tf.GradientTape() as tape:
            outputs = self.student(x, training=True)
            loss = tf_.reduce_mean(keras.losses.sparse_categorical_crossentropy(y, outputs))
        variables = self.student.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        self.compiled_metrics.update_state(y, outputs)
        return {"student_loss": loss, **{m.name: m.result() for m in self.metrics}}

    def predict_step(self, data: Any) -> Any:
        return tf_.argmax(self.student(data), axis=1)


def test_metrics_without_a_loss_and_a_predict_step() -> None:
    x, t = rows()
    model = Distilled(small(layers.Dense(3, "softmax")))
    model.compile("adam", metrics=[keras.metrics.SparseCategoricalAccuracy(name="hit")])
    history = model.fit(x, t, epochs=2, shuffle=False, verbose=0).history
    assert list(history) == ["hit", "student_loss"]
    expected = model.student.predict(x, verbose=0).argmax(axis=1)
    np.testing.assert_array_equal(model.predict(x, batch_size=25, verbose=0), expected)
    np.testing.assert_array_equal(model.predict(x[:1], verbose=0), expected[:1])


def test_inputs_that_are_single_numbers() -> None:
    label, noise = keras.Input((), dtype="int32"), keras.Input((2,))
    model = keras.Model(
        [label, noise], tf_.concat([tf_.one_hot(label, depth=3), noise], 1), name="g"
    )
    expected = np.hstack([np.eye(3)[[2, 0]], np.ones((2, 2))])
    np.testing.assert_array_equal(model.predict([np.array([2, 0]), np.ones((2, 2))]), expected)
    found = model.call([np.array([2, 0]), np.ones((2, 2))], training=False)
    np.testing.assert_array_equal(np.asarray(found), expected)


def test_parts_of_a_data_set() -> None:
    numbers = tf_.data.Dataset.range(7)
    assert [int(n) for n in numbers.shard(3, 1)] == [1, 4]
    assert [len(numbers.shard(3, i)) for i in range(3)] == [3, 2, 2]
    twice = numbers.take(2).flat_map(lambda n: tf_.data.Dataset.from_tensor_slices([n, n]))
    assert [int(n) for n in twice] == [0, 0, 1, 1]
    np.testing.assert_array_equal(numbers.batch(7).get_single_element(), np.arange(7))
    with pytest.raises(ValueError, match="unpack"):
        numbers.get_single_element()


def test_elements_of_a_data_set_are_tensors_with_a_spec() -> None:
    def spec(*shape: Any, dtype: Any = tf.float32) -> Any:
        return tf.TensorSpec(shape, dtype)

    x, t = np.zeros((7, 5), np.float32), np.arange(7)
    pairs = tf.data.Dataset.from_tensor_slices((x, t))
    assert [t.numpy() for _, t in pairs.take(2)] == [0, 1]
    label = spec(dtype=tf.int64)
    assert pairs.element_spec == (spec(5), label)
    assert pairs.element_spec[0].shape.as_list() == [5]
    several = spec(None, dtype=tf.int64)
    assert pairs.shuffle(7).repeat(2).batch(3).element_spec == (spec(None, 5), several)
    assert pairs.batch(3, drop_remainder=True).element_spec[0] == spec(3, 5)
    assert pairs.batch(3).map(lambda x, _: x[:, :2]).take(1).element_spec == spec(None, 2)
    assert pairs.batch(3).unbatch().element_spec == (spec(5), label)
    named = tf.data.Dataset.from_tensor_slices({"x": x}).batch(2)
    assert named.element_spec == {"x": spec(None, 5)}
    assert [str(name) for name in tf.data.Dataset.from_tensor_slices(["a", "b"])] == ["a", "b"]
    with pytest.raises(ValueError, match="at least 1 element"):
        _ = pairs.take(0).element_spec


class Called(keras.Model):
    """A model that says itself what a call is, and so has no graph."""

    def __init__(self) -> None:
        super().__init__()
        self.out, self.unused = layers.Dense(2), layers.Dense(3)

    def __call__(self, x: Any) -> Any:  # type: ignore[override]
        return self.out(x)


def test_weights_of_a_model_without_a_graph(tmp_path: Path) -> None:
    x, model, again = np.ones((3, 4)), Called(), Called()
    with pytest.raises(ValueError, match="shape of its inputs"):
        model.save_weights(tmp_path / "model.weights.h5")
    expected = np.asarray(model(x))
    model.save_weights(tmp_path / "model.weights.h5")
    assert not np.array_equal(np.asarray(again(x)), expected)
    again.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(np.asarray(again(x)), expected)


def test_normal_numbers_as_keras_1_asks_for_them() -> None:
    backend: Any = keras.backend
    drawn = backend.random_normal((20_000,), mean=1.0, std=3.0)
    assert np.std(np.asarray(drawn)) == pytest.approx(3, rel=0.05)


def test_gamma_numbers() -> None:
    drawn = np.asarray(tf_.random.gamma([20_000], 3.0, seed=1))
    assert drawn.mean() == pytest.approx(3, rel=0.05)
    assert drawn.var() == pytest.approx(3, rel=0.1)


# --- layers made of layers ------------------------------------------------------------------------


class Block(layers.Layer):  # type: ignore[misc]
    def __init__(self, units: int, **options: Any) -> None:
        super().__init__(**options)
        self.units = units
        self.first, self.noise = layers.Dense(units, "relu"), layers.Dropout(0.5)
        self.norm, self.last = layers.BatchNormalization(), layers.Dense(units)

    def call(self, x: Any, training: Any = None) -> Any:
        y = self.noise(self.norm(self.first(x)), training=training)
        return layers.add([x, self.last(y)])

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"units": self.units}


class Halves(layers.Layer):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.parts = [layers.Dense(2, name="up"), layers.Dense(3)]

    def call(self, inputs: Any) -> Any:
        return [part(x) for part, x in zip(self.parts, inputs, strict=True)]


def test_a_layer_made_of_layers_stays_one(tmp_path: Path) -> None:
    inputs, block = keras.Input((6,)), Block(5, name="block")
    h = block(block(layers.Dense(5)(inputs)))
    model = keras.Model(inputs, layers.Dense(3, "softmax")(Block(5, name="second")(h)))
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds == ["InputLayer", "Dense", "Block", "Block", "Dense"]
    model.compile("adam", "sparse_categorical_crossentropy")
    (x, t), before = rows(), model.get_weights()
    model.fit(x, t, verbose=0)
    assert not any(map(np.array_equal, before, model.get_weights()))
    expected = model.predict(x, verbose=0)
    for end in ("keras", "h5"):
        model.save(tmp_path / f"model.{end}")
        path, known = tmp_path / f"model.{end}", {"Block": Block}
        again = keras.models.load_model(path, custom_objects=known)
        np.testing.assert_array_equal(again.predict(x, verbose=0), expected)
    copied = keras.models.clone_model(model)
    copied.set_weights(model.get_weights())
    np.testing.assert_array_equal(copied.predict(x, verbose=0), expected)
    with tf.GradientTape() as tape:
        loss = tf_.reduce_sum(model(x, training=False) ** 2)
    gradients = tape.gradient(loss, model.trainable_variables)
    assert all(gradient is not None for gradient in gradients)
    second = keras.Model(inputs, model.get_layer("second").output)
    assert second.predict(x, verbose=0).shape == (len(x), 5)


def test_what_is_frozen_within_a_layer_stays_as_it_is() -> None:
    block, (x, t) = Block(6), rows()
    model = keras.Sequential([keras.Input((6,)), block, layers.Dense(3, "softmax")])
    block.first.trainable = False
    model.compile("adam", "sparse_categorical_crossentropy")
    before = [layer.get_weights()[0].copy() for layer in (block.first, block.last)]
    model.fit(x, t, verbose=0)
    after = [layer.get_weights()[0] for layer in (block.first, block.last)]
    assert [np.array_equal(*pair) for pair in zip(before, after, strict=True)] == [True, False]


def test_a_layer_of_several_inputs_and_outputs_stays_one() -> None:
    a, b = keras.Input((2,), name="a"), keras.Input((4,), name="b")
    first, second = Halves()([a, b])
    model = keras.Model([a, b], [first, layers.Dense(1)(second)])
    assert [type(layer).__name__ for layer in model.layers][2:] == ["Halves", "Dense"]
    y, z = model.predict([np.ones((5, 2)), np.ones((5, 4))], verbose=0)
    assert (y.shape, z.shape) == ((5, 2), (5, 1))


def test_layers_in_an_attribute_of_any_name_are_found() -> None:
    class Mine(layers.Layer):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.calls, self.trained = [layers.Dense(4), layers.Dense(3)], False

        def call(self, x: Any) -> Any:
            return self.calls[1](self.calls[0](x))

    model = keras.Sequential([keras.Input((3,)), Mine(), layers.Dense(2)])
    assert model.count_params() == 16 + 15 + 8
    model.compile("sgd", "mse")
    model.fit(np.ones((8, 3)), np.ones((8, 2)), verbose=0)
    assert model.layers[0].trained is False
