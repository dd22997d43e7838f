"""The real Keras beside ours: the same loss, batch after batch, from the same weights; and models
that go from one to the other in files. Optional: it needs the extra `parity`.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from digits import keras as ours
from digits.types import Array

os.environ.setdefault("KERAS_BACKEND", "torch")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def theirs() -> Any:
    pytest.importorskip("torch", reason="needs PyTorch (the extra `parity`)")
    pytest.importorskip("keras.models", reason="needs Keras (the extra `parity`)")
    keras = pytest.importorskip("keras")
    pytest.importorskip("h5py", reason="needs h5py (the extra `keras-files`)")
    return keras


def data(n: int = 640) -> tuple[Array, Array]:
    rng = np.random.default_rng(0)
    t = rng.integers(0, 5, n)
    images = rng.random((n, 10, 10, 1)) * 0.5
    for i, label in enumerate(t):  # something to learn: a bright row
        images[i, 2 * label] += 0.5
    return images.astype(np.float32), t


def network(k: Any, last: str | None) -> Any:
    return k.Sequential(
        [
            k.Input((10, 10, 1)),
            k.layers.Conv2D(4, 3, activation="relu", kernel_regularizer=k.regularizers.L2(1e-3)),
            k.layers.MaxPooling2D(),
            k.layers.SeparableConv2D(4, 2, depth_multiplier=2, pointwise_regularizer="l2"),
            k.layers.BatchNormalization(),
            k.layers.Flatten(),
            k.layers.Dense(8, "tanh", kernel_regularizer=k.regularizers.L1(1e-4)),
            k.layers.Dense(8, activity_regularizer=k.regularizers.L1L2(1e-3, 1e-2)),
            k.layers.Dense(5, activation=last),
        ]
    )


COMBINATIONS: dict[str, Any] = {
    "sgd": (lambda k: k.optimizers.SGD(0.05), "categorical_crossentropy", "softmax"),
    "nesterov": (
        lambda k: k.optimizers.SGD(0.02, momentum=0.9, nesterov=True),
        "sparse_categorical_crossentropy",
        "softmax",
    ),
    "rmsprop": (lambda k: k.optimizers.RMSprop(), "mean_squared_error", "softmax"),
    "adam": (
        lambda k: k.optimizers.Adam(),
        lambda k: k.losses.SparseCategoricalCrossentropy(from_logits=True),
        None,
    ),
    "adamw": (lambda k: k.optimizers.AdamW(clipnorm=0.5), "binary_crossentropy", "sigmoid"),
    "adamax": (lambda k: k.optimizers.Adamax(), "mean_absolute_error", "sigmoid"),
    "nadam": (lambda k: k.optimizers.Nadam(), "kl_divergence", "softmax"),
    "adagrad": (lambda k: k.optimizers.Adagrad(0.02), "huber", None),
    "adadelta": (
        lambda k: k.optimizers.Adadelta(1.0),
        lambda k: k.losses.CategoricalCrossentropy(label_smoothing=0.1),
        "softmax",
    ),
    "ftrl": (lambda k: k.optimizers.Ftrl(0.01), "poisson", "softmax"),
    "schedule": (
        lambda k: k.optimizers.Adam(k.optimizers.schedules.ExponentialDecay(0.01, 20, 0.5)),
        "squared_hinge",
        "tanh",
    ),
    "clipvalue": (lambda k: k.optimizers.SGD(0.1, clipvalue=0.01), "log_cosh", None),
}


@pytest.mark.parametrize("name", COMBINATIONS)
def test_losses_of_a_hundred_steps_agree(name: str, theirs: Any) -> None:
    optimizer, loss, last = COMBINATIONS[name]
    x, t = data()
    curves, weights = [], None
    for k in (ours, theirs):
        k.utils.set_random_seed(1)
        model = network(k, last)
        if weights is None:
            weights = model.get_weights()
        model.set_weights(weights)
        wanted = loss(k) if callable(loss) else loss
        model.compile(optimizer(k), wanted)
        sparse = "sparse" in str(loss) or name == "adam"
        y = t if sparse else np.eye(5, dtype=np.float32)[t]
        curve = []
        for step in range(100):
            rows = slice(step % 10 * 64, step % 10 * 64 + 64)
            model.reset_metrics()
            curve.append(float(np.ravel(model.train_on_batch(x[rows], y[rows]))[0]))
        curves.append(curve)
    assert curves[0][-1] < curves[0][0]
    np.testing.assert_allclose(curves[0], curves[1], rtol=1e-5, atol=1e-5)


def graph(k: Any) -> Any:
    inputs = k.Input((10, 10, 1), name="pixels")
    x = k.layers.Conv2D(3, 3, padding="same", use_bias=False)(inputs)
    x = k.layers.BatchNormalization(scale=False)(x)
    x = k.layers.LeakyReLU()(x)
    inner = k.Sequential(
        [k.Input((10, 10, 3)), k.layers.Conv2D(3, 3, padding="same", activation="gelu")]
    )
    x = k.layers.Add()([x, inner(x)])
    x = k.layers.GlobalAveragePooling2D()(x)
    flat = k.layers.Dropout(0.2)(k.layers.Flatten()(inputs))
    x = k.layers.Concatenate()([x, k.layers.Dense(4, "selu", kernel_regularizer="l2")(flat)])
    return k.Model(inputs, k.layers.Dense(5, "softmax")(x))


def lean(k: Any) -> Any:
    layers = k.layers
    return k.Sequential(
        [
            layers.Input((10, 10, 1)),
            layers.Rescaling(2.0, 0.1),
            layers.ZeroPadding2D(2),
            layers.Conv2D(3, 3, strides=2, kernel_initializer=k.initializers.HeNormal(seed=1)),
            layers.ReLU(max_value=2.0, negative_slope=0.1),
            layers.SeparableConv2D(3, 3, padding="same"),
            layers.DepthwiseConv2D(3, padding="same", activation="relu"),
            layers.UpSampling2D(),
            layers.AveragePooling2D(3, 2, padding="same"),
            layers.Permute((2, 1, 3)),
            layers.Reshape((-1, 6)),
            layers.Dense(4, activation="elu"),
            layers.Flatten(),
            layers.Dense(5),
            layers.Softmax(),
        ]
    )


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("build", [graph, lean], ids=["graph", "chain"])
@pytest.mark.parametrize("way", ["to Keras", "from Keras"])
def test_files_go_to_and_from_keras(
    way: str, build: Any, suffix: str, theirs: Any, tmp_path: Path
) -> None:
    writer, reader = (ours, theirs) if way == "to Keras" else (theirs, ours)
    x, t = data()
    model = build(writer)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, t, verbose=0)
    path = str(tmp_path / f"model{suffix}")
    model.save(path)
    loaded = reader.models.load_model(path)
    expected = model.predict(x, verbose=0)
    np.testing.assert_allclose(loaded.predict(x, verbose=0), expected, atol=1e-5)
    results = [m.evaluate(x, t, verbose=0) for m in (model, loaded)]
    np.testing.assert_allclose(results[0], results[1], atol=1e-4)
    loaded.fit(x, t, verbose=0)  # it is compiled, and can go on
    again = reader.models.model_from_json(model.to_json())
    assert [layer.name for layer in again.layers] == [layer.name for layer in model.layers]


@pytest.mark.parametrize("rule", ["sgd", "nesterov", "rmsprop", "adam", "adamw", "nadam", "adamax"])
@pytest.mark.parametrize("way", ["to Keras", "from Keras"])
def test_a_training_goes_on_in_the_other(way: str, rule: str, theirs: Any, tmp_path: Path) -> None:
    writer, reader = (ours, theirs) if way == "to Keras" else (theirs, ours)
    x, t = data()
    model = network(writer, "softmax")
    sgd = writer.optimizers.SGD(0.02, momentum=0.9, nesterov=rule == "nesterov")
    optimizer = sgd if rule in ("sgd", "nesterov") else rule
    model.compile(optimizer, "sparse_categorical_crossentropy")
    model.fit(x, t, shuffle=False, verbose=0)
    path = str(tmp_path / "model.keras")
    model.save(path)
    loaded = reader.models.load_model(path)
    losses = [m.fit(x, t, shuffle=False, verbose=0).history["loss"] for m in (model, loaded)]
    np.testing.assert_allclose(losses[0], losses[1], atol=1e-4)


@pytest.mark.parametrize("way", ["to Keras", "from Keras"])
def test_weights_go_to_and_from_keras(way: str, theirs: Any, tmp_path: Path) -> None:
    writer, reader = (ours, theirs) if way == "to Keras" else (theirs, ours)
    x, _ = data()
    model, other = graph(writer), graph(reader)
    path = str(tmp_path / "model.weights.h5")
    model.save_weights(path)
    other.load_weights(path)
    y = model.predict(x, verbose=0)
    np.testing.assert_allclose(other.predict(x, verbose=0), y, atol=1e-5)
