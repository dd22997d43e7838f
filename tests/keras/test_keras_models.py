"""Models of digits.keras: gradients against central differences, and the verbs that users know."""

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from keras_data import digits_data

import digits
from digits import keras
from digits.keras import layers
from digits.keras.network import Targets
from digits.types import Array

pytestmark = pytest.mark.usefixtures("seeded_keras")


def chain() -> Any:
    return [
        layers.Conv2D(3, 3, padding="same", activation="elu", kernel_regularizer="l2"),
        layers.BatchNormalization(),
        layers.LeakyReLU(),
        layers.MaxPooling2D(),
        layers.ZeroPadding2D(((1, 0), (0, 2))),
        layers.Conv2D(4, 2, activation="gelu"),
        layers.UpSampling2D(),
        layers.Conv2DTranspose(2, 3, strides=2, padding="same", activation="tanh"),
        layers.AveragePooling2D(),
        layers.GlobalAveragePooling2D(keepdims=True),
        layers.Permute((3, 1, 2)),
        layers.Dense(4, "elu"),
        layers.Flatten(),
        layers.Dense(6, "swish", kernel_regularizer=keras.regularizers.l1_l2(0.01, 0.02)),
        layers.Dense(5, "tanh", activity_regularizer="l2"),
        layers.Activation("mish"),
        layers.ELU(0.5),
        layers.Rescaling(2.0, 0.1),
        layers.Dense(3, "softmax"),
    ]


def branches(x: Any) -> Any:
    a = layers.Dense(5, "softplus")(x)
    b = layers.Dense(5, "selu")(x)
    c = layers.Multiply()([a, b]) + layers.Maximum()([a, b]) - layers.Average()([a, b])
    far = layers.Lambda(lambda v: np.square(v[0] - v[1]).sum(axis=-1, keepdims=True))([a, b])
    d = layers.Concatenate()([layers.Lambda(np.tanh)(c), x, 2 * a, far])
    inner = keras.Sequential([layers.Dense(4, "tanh"), layers.Dense(4, "hard_swish")])
    shared = layers.Dense(4, "gelu", kernel_regularizer="l2")
    twice = layers.Subtract()([shared(shared(x)), inner(x * 0.5)])
    both = inner(layers.Dense(4)(d))
    return layers.Dense(3)(layers.Add()([both, layers.Dense(4, "log_softmax")(d), twice]))


def check_gradient(model: Any, loss: str, x: Array, t: Array) -> None:
    """Compare the gradient with central differences along random directions."""
    model.compile("sgd", loss)
    network, rng = model.training_network, np.random.default_rng(0)
    network.prepare(model.objectives)
    targets = [Targets(t, np.linspace(0.5, 2, len(x)))]
    _, grads = network.loss_and_gradient([x], targets)
    gradient, start = grads.flat.copy(), network.params.flat.copy()
    _, quarter = network.loss_and_gradient([x], targets, scale=0.25)
    np.testing.assert_allclose(quarter.flat, 0.25 * gradient, rtol=1e-9, atol=1e-12)
    for _ in range(4):
        direction = rng.normal(size=start.shape)
        values = []
        for h in (1e-6, -1e-6):
            network.params.flat[...] = start + h * direction
            values.append(network.loss_and_gradient([x], targets)[0])
        numerical = (values[0] - values[1]) / 2e-6
        assert gradient @ direction == pytest.approx(numerical, rel=1e-5, abs=1e-7)
    network.params.flat[...] = start


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("loss", ["sparse_categorical_crossentropy", "mse"])
def test_gradient_of_a_chain(loss: str, data_format: str) -> None:
    keras.backend.set_floatx("float64")
    keras.backend.set_image_data_format(data_format)
    try:
        shape = (8, 6, 2) if data_format == "channels_last" else (2, 8, 6)
        model = keras.Sequential([keras.Input(shape), *chain()])
        rng = np.random.default_rng(0)
        x, t = rng.normal(size=(5, *shape)), rng.integers(0, 3, 5)
        check_gradient(model, loss, x, t if loss.startswith("sparse") else np.eye(3)[t])
    finally:
        keras.backend.set_floatx("float32")
        keras.backend.set_image_data_format("channels_last")


def test_gradient_of_branches() -> None:
    keras.backend.set_floatx("float64")
    try:
        inputs = keras.Input((4,))
        model = keras.Model(inputs, branches(inputs))
        rng = np.random.default_rng(0)
        x, t = rng.normal(size=(6, 4)), rng.normal(size=(6, 3))
        check_gradient(model, "huber", x, t)
    finally:
        keras.backend.set_floatx("float32")


def test_a_frozen_layer_keeps_its_weights(rng: np.random.Generator) -> None:
    x, t = digits_data(rng)
    base = keras.Sequential([layers.Dense(8, "relu"), layers.BatchNormalization()])
    model = keras.Sequential([keras.Input((12,)), base, layers.Dense(3, "softmax")])
    base.trainable = False
    before, last = base.get_weights(), model.layers[-1].get_weights()
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(x, t, verbose=0)
    for old, new in zip(before, base.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert not np.array_equal(last[0], model.layers[-1].get_weights()[0])
    assert sum(w.value.size for w in model.trainable_weights) == 8 * 3 + 3


def test_models_share_layers(rng: np.random.Generator) -> None:
    x, t = digits_data(rng)
    inputs = keras.Input((12,))
    hidden = layers.Dense(8, "relu", name="hidden")(inputs)
    model = keras.Model(inputs, layers.Dense(3, "softmax")(hidden))
    features = keras.Model(model.input, model.get_layer("hidden").output)
    everything = keras.Model(model.inputs, [layer.output for layer in model.layers])
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(x, t, verbose=0, epochs=2)
    y = features.predict(x, verbose=0)
    kernel, bias = model.layers[1].get_weights()
    np.testing.assert_allclose(y, np.maximum(x @ kernel + bias, 0), atol=1e-5)
    np.testing.assert_array_equal(everything.predict(x, verbose=0)[1], y)
    other = keras.Model(inputs, layers.Dense(3)(hidden))
    other.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    before = model.predict(x, verbose=0)
    other.fit(x, t, verbose=0)  # moves the weights of the layer that both have
    assert not np.allclose(before, model.predict(x, verbose=0))
    model.fit(x, t, verbose=0)
    kernel, bias = model.layers[1].get_weights()
    y = features.predict(x, verbose=0)
    np.testing.assert_allclose(y, np.maximum(x @ kernel + bias, 0), atol=1e-5)


def test_fit_measures_what_evaluate_measures(rng: np.random.Generator) -> None:
    x, t = digits_data(rng, 300)
    model = keras.Sequential([layers.Dense(16, "relu", input_dim=12), layers.Dense(3, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(x, t, epochs=3, validation_data=(x, t), verbose=0)
    assert list(history.history) == ["accuracy", "loss", "val_accuracy", "val_loss"]
    loss, accuracy = model.evaluate(x, t, verbose=0)
    assert history.history["val_loss"][-1] == pytest.approx(loss)
    assert history.history["val_acc"][-1] == pytest.approx(accuracy)
    assert accuracy == pytest.approx((model.predict(x, verbose=0).argmax(1) == t).mean())
    assert history.history["loss"][-1] < history.history["loss"][0]
    model.compile("adam", "sparse_categorical_crossentropy", metrics=[lambda t, y: len(y)])
    settings: Any = {"validation_split": 0.25, "class_weight": {1: 9.0}, "verbose": 0}
    history = model.fit(x, t, **settings)  # the last quarter is not weighted
    expected = model.evaluate(x[225:], t[225:], verbose=0)[0]
    assert history.history["val_loss"][0] == pytest.approx(expected)
    assert history.history["<lambda>"][0] == pytest.approx(225 / 8)  # the mean over the batches


def test_who_is_compiled_before_layers_freeze_trains_them(rng: np.random.Generator) -> None:
    """As the two networks of a GAN do it."""
    (x, t), loss = digits_data(rng), "sparse_categorical_crossentropy"
    judge = keras.Sequential([layers.Dense(3, "softmax", input_dim=12)])
    judge.compile("sgd", loss)
    judge.trainable = False
    both = keras.Sequential([layers.Dense(12, input_dim=12), judge])
    both.compile("sgd", loss)
    for model, changes in ((both, False), (judge, True)):
        before = judge.get_weights()[0]
        model.train_on_batch(x, t)
        assert np.array_equal(before, judge.get_weights()[0]) != changes


def test_weights_of_classes_and_samples_agree(rng: np.random.Generator) -> None:
    x, t = digits_data(rng)
    weights = np.where(t == 1, 3.0, 1.0)
    losses = []
    for options in ({"class_weight": {1: 3.0}}, {"sample_weight": weights}):
        keras.utils.set_random_seed(5)
        model = keras.Sequential([layers.Dense(3, "softmax", input_dim=12)])
        model.compile("sgd", "categorical_crossentropy")
        losses.append(model.fit(x, np.eye(3)[t], verbose=0, **options).history["loss"])
    assert losses[0] == pytest.approx(losses[1])


def test_a_subclass_of_model_is_traced(rng: np.random.Generator) -> None:
    x, t = digits_data(rng)

    class Net(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.hidden = layers.Dense(8, activation="relu")
            self.blocks = [layers.Dropout(0.1), layers.Dense(3)]

        def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
            x = self.hidden(inputs)
            for block in self.blocks:
                x = block(x, training=training)
            return keras.activations.softmax(x)

    model = Net()
    model.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
    model.fit(x, t, epochs=2, verbose=0)
    assert model.predict(x, verbose=0).sum(axis=1) == pytest.approx(1)
    assert len(model.get_weights()) == 4


def test_batches_come_from_generators_and_sequences(rng: np.random.Generator) -> None:
    x, t = digits_data(rng)

    class Batches(keras.utils.Sequence):
        def __len__(self) -> int:
            return 10

        def __getitem__(self, index: int) -> Any:
            return x[20 * index : 20 * index + 20], t[20 * index : 20 * index + 20]

    def forever() -> Any:
        while True:
            yield x[:20], t[:20]

    model = keras.Sequential([layers.Dense(3, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(Batches(), verbose=0, validation_data=Batches())
    assert model.evaluate(Batches(), verbose=0) == pytest.approx(model.evaluate(x, t, verbose=0))
    assert len(model.fit(forever(), steps_per_epoch=3, epochs=2, verbose=0).history["loss"]) == 2
    with pytest.raises(ValueError, match="steps_per_epoch"):
        model.fit(forever(), verbose=0)


def test_a_loss_of_ones_own_trains_as_the_one_that_it_repeats(rng: np.random.Generator) -> None:
    x, t = digits_data(rng)

    def mine(y_true: Any, y_pred: Any) -> Any:
        return keras.ops.mean(keras.ops.square(y_true - y_pred), axis=-1)

    weights = []
    for loss in (mine, "mse"):
        keras.utils.set_random_seed(3)
        model = keras.Sequential([layers.Dense(3, "sigmoid", input_dim=12)])
        model.compile("sgd", loss)
        model.fit(x, np.eye(3)[t], epochs=2, verbose=0)
        weights.append(model.get_weights()[0])
    np.testing.assert_allclose(weights[0], weights[1], atol=1e-6)


def test_seeds_repeat_a_training(rng: np.random.Generator) -> None:
    x, t = digits_data(rng)

    def train(seed: Any) -> Array:
        seed(7)
        model = keras.Sequential([layers.Dense(8, "relu"), layers.Dropout(0.5), layers.Dense(3)])
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        model.fit(x, t, verbose=0)
        return model.get_weights()[0]

    seed = keras.utils.set_random_seed
    np.testing.assert_array_equal(train(seed), train(seed))


def test_copies_and_pickles_train_alone(rng: np.random.Generator) -> None:
    x, t = digits_data(rng)
    model = keras.Sequential([layers.Dense(8, "relu", input_dim=12), layers.Dense(3, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, t, verbose=0)
    y = model.predict(x, verbose=0)
    for other in (copy.copy(model), copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(other.predict(x, verbose=0), y)
        losses = other.fit(x, t, epochs=5, verbose=0).history["loss"]
        assert losses[-1] < losses[0]
    np.testing.assert_array_equal(model.predict(x, verbose=0), y)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: layers.Dense(3, units_=4), "no argument units_"),
        (lambda: layers.Dense(3, "no_such"), "no_such"),
        (lambda: layers.Conv2D(3, 3, dilation_rate=2), "dilation_rate"),
        (lambda: layers.Dense(3, kernel_constraint="max"), "constraint such as"),
        (lambda: keras.Sequential([layers.Conv2D(3, 3, input_shape=(784,))]), "put Reshape"),
        (lambda: keras.optimizers.get("adamm"), "such as adam"),
        (lambda: layers.Dense(-1), "units above 0"),
        (lambda: keras.losses.get("cross"), "a loss such as"),
        (lambda: keras.Sequential([keras.Input((4,))]).get_layer("x"), "received 'x'"),
        (lambda: keras.utils.to_categorical([0, 3], 3), "num_classes=4"),
    ],
)
def test_mistakes_are_named(build: Any, words: str) -> None:
    with pytest.raises((TypeError, ValueError), match=words):
        build()


def test_wrong_data_is_named(rng: np.random.Generator) -> None:
    x, t = digits_data(rng)
    model = keras.Sequential([keras.Input((12,)), layers.Dense(3, "softmax")])
    with pytest.raises(RuntimeError, match="call compile"):
        model.fit(x, t)
    model.compile("sgd", "categorical_crossentropy")
    with pytest.raises(ValueError, match="sparse_categorical_crossentropy"):
        model.fit(x, t, verbose=0)
    with pytest.raises(ValueError, match=r"\(200, 3, 4\): reshape them with x.reshape\(-1, 12\)"):
        model.fit(x.reshape(-1, 3, 4), np.eye(3)[t], verbose=0)
    with pytest.raises(ValueError, match=r"\(200, 11\): bring all to that shape"):
        model.fit(x[:, :11], np.eye(3)[t], verbose=0)
    with pytest.raises(ValueError, match="a target for each of 200"):
        model.fit(x, np.eye(3)[t[:7]], verbose=0)


def test_inputs_and_shapes_that_keras_accepts(rng: np.random.Generator) -> None:
    model = keras.Sequential([layers.Flatten(input_shape=[4, 4, 1]), layers.Dense(2, "softmax")])
    images = rng.integers(0, 255, (6, 4, 4), dtype=np.uint8)
    y = model.predict(images, verbose=0)
    np.testing.assert_array_equal(y, model.predict(images[..., np.newaxis], verbose=0))
    np.testing.assert_allclose(y[:1], model(images[:1]).numpy(), rtol=1e-6)
    assert keras.Sequential([layers.Dense(5)]).compute_output_shape((None, 3)) == (None, 5)


def test_npz_files_are_read_by_the_library(rng: np.random.Generator, tmp_path: Path) -> None:
    x = rng.random((5, 8, 8, 1), dtype=np.float32)
    first = [layers.Conv2D(3, 3, input_shape=(8, 8, 1)), layers.BatchNormalization()]
    last = [layers.MaxPooling2D(), layers.Flatten(), layers.Dense(10, activation="softmax")]
    model = keras.Sequential([*first, *last])
    model.save(tmp_path / "model.npz")
    network = digits.load_model(tmp_path / "model.npz")
    again = keras.models.load_model(tmp_path / "model.npz")
    for reader in (network, again):
        np.testing.assert_allclose(reader.predict(x), model.predict(x, verbose=0), atol=1e-6)
    branched = keras.Sequential([layers.Dense(3, "gelu", input_dim=4)])
    with pytest.raises(ValueError, match="expected a chain of layers"):
        branched.save(tmp_path / "other.npz")


def test_what_is_taken_at_its_default_only_is_refused_as_true() -> None:
    with pytest.raises(ValueError, match=r"expected sparse= of InputLayer .* True: give arrays"):
        keras.Input((3,), sparse=True)
    with pytest.raises(ValueError, match=r"expected no mask= for dense; received 'list'"):
        layers.Dense(2)(np.ones((4, 3)), mask=[1])
    layers.BatchNormalization(fused=True)
    deferred = layers.Dense(2, input_shape=(None, 3))
    assert not keras.Sequential([deferred]).built


def test_names_that_are_absent_are_told_without_install() -> None:
    for module, name in ((layers, "RNN"), (keras.datasets, "cifar10"), (keras, "applications")):
        with pytest.raises(NotImplementedError, match=rf"^keras\..*{name} is not there .*: "):
            getattr(module, name).whatever()


def test_files_that_are_no_models_are_named(tmp_path: Path) -> None:
    (tmp_path / "model.keras").write_text("<html>")
    with pytest.raises(ValueError, match=r"expected a \.keras or \.h5 file"):
        keras.models.load_model(tmp_path / "model.keras")
    np.savez(tmp_path / "model.npz", x=1)
    with pytest.raises(ValueError, match="found other contents"):
        keras.models.load_model(tmp_path / "model.npz")
    with pytest.raises(FileNotFoundError):
        keras.models.load_model(tmp_path / "none.keras")
