"""Gradients of what tensors compute, against central differences in float64, and what scripts do
with them: loops, layers, losses and steps of one's own.
"""

import operator
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from digits import keras
from digits.keras import activations, layers, losses, ops
from digits.keras import tensorflow as tf
from digits.keras.tape import GradientTape
from digits.keras.tensor import Tensor, tensor
from digits.types import Array
from functions import numerical_gradient

RNG = np.random.default_rng(0)
X, POSITIVE = RNG.normal(size=(2, 3, 4)), RNG.uniform(0.2, 0.9, (2, 3, 4))
ONE_HOT = np.eye(4)[RNG.integers(0, 4, (2, 3))]


def check(f: Callable[..., Any], *arrays: Array) -> None:
    """Compare gradients of f, for a random gradient of its result, with central differences."""
    tensors = [array.copy().view(Tensor) for array in arrays]
    with GradientTape() as tape:
        tape.watch(tensors)
        y = f(*tensors)
    dy = RNG.normal(size=y.shape)
    for i, dx in enumerate(tape.gradient(y, tensors, output_gradients=dy)):

        def total(moved: Array, i: int = i) -> float:
            given = [moved if j == i else array for j, array in enumerate(arrays)]
            return float((np.asarray(f(*(array.view(Tensor) for array in given))) * dy).sum())

        expected = numerical_gradient(total, arrays[i].copy(), h=1e-6)
        np.testing.assert_allclose(np.asarray(dx), expected, rtol=1e-5, atol=1e-6)


def _in_place(x: Any) -> Any:
    y = x
    y += 2 * x
    y *= x
    return y - x


OF_ONE = (
    *("negative", "positive", "exp", "expm1", "log", "log2", "log10", "log1p", "sqrt", "square"),
    *("reciprocal", "absolute", "sin", "cos", "tan", "arcsin", "arccos", "arctan", "sinh", "cosh"),
    "tanh",
)
OF_TWO = (
    *("add", "subtract", "multiply", "divide", "power", "maximum", "minimum", "logaddexp"),
    "arctan2",
)


@pytest.mark.parametrize("name", OF_ONE)
def test_functions_of_one_number(name: str) -> None:
    check(getattr(np, name), POSITIVE)


@pytest.mark.parametrize("name", OF_TWO)
def test_functions_of_two_numbers_of_other_shapes(name: str) -> None:
    f, row = getattr(np, name), RNG.uniform(0.2, 0.9, 4)
    check(f, POSITIVE, row)
    check(f, row, POSITIVE[:, :1])
    check(lambda x: f(f(x, 0.7), f(0.4, x)), POSITIVE)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((2, 3), (3, 4)),
        ((5, 2, 3), (3, 4)),
        ((5, 2, 3), (5, 3, 4)),
        ((3,), (3, 4)),
        ((2, 3), (3,)),
        ((3,), (3,)),
        ((5, 2, 3), (3,)),
    ],
)
def test_products(first: Any, second: Any) -> None:
    check(np.matmul, RNG.normal(size=first), RNG.normal(size=second))


@pytest.mark.parametrize("name", ["sum", "mean", "max", "min", "prod", "var", "std"])
@pytest.mark.parametrize("axis", [None, 0, -1, (0, 2)])
def test_sums_and_the_like(name: str, axis: Any) -> None:
    check(lambda x: getattr(np, name)(x, axis=axis), X)
    check(lambda x: getattr(x, name)(axis=axis, keepdims=True), X)


ARRANGEMENTS: dict[str, Callable[[Any], Any]] = {
    "reshape": lambda x: x.reshape(6, -1) + np.reshape(x, (6, 4)),
    "ravel": np.ravel,
    "squeeze": lambda x: np.squeeze(x[:, :1]),
    "expand_dims": lambda x: np.expand_dims(x, 1),
    "transpose": lambda x: np.transpose(x, (1, 2, 0)) * x.T.sum(axis=(1, 2), keepdims=True)[:3],
    "swapaxes": lambda x: np.swapaxes(x, 0, 2),
    "moveaxis": lambda x: np.moveaxis(x, 0, -1),
    "flip": lambda x: np.flip(x, 1),
    "roll": lambda x: np.roll(x, (1, 2), (0, 1)),
    "broadcast_to": lambda x: np.broadcast_to(x, (5, 2, 3, 4)),
    "tile": lambda x: np.tile(x, (2, 1, 1, 3)),
    "repeat": lambda x: np.repeat(x, 2, -1),
    "pad": lambda x: np.pad(x, ((1, 0), (0, 2), (1, 1))),
    "concatenate": lambda x: np.concatenate([x[:1], x * 2], axis=0),
    "stack": lambda x: np.stack([x, x * x], axis=-1),
    "where": lambda x: np.where(X > 0, x, x * x),
    "clip": lambda x: np.clip(x, -0.5, 0.5) + np.clip(x, a_min=-0.5, a_max=None),
    "cumsum": lambda x: np.cumsum(x, 1),
    "slices": lambda x: x[:, 1:, ::2] + x[..., None, 0][:, 1:],
    "indices, one twice": lambda x: x[[0, 0, 1], [1, 1, 2]],
    "a mask": operator.itemgetter(X > 0),
    "take": lambda x: np.take(x, [0, 2, 2], axis=1) + np.take(x, 5),
    "einsum": lambda x: np.einsum("bij,jk->bk", x, X[0].T),
    "x += 1 makes another tensor": _in_place,
    "split": lambda x: tf.split(x, [1, 2], axis=1)[1],
    "gather": lambda x: ops.gather(x, [1, 1]),
    "a list is one tensor": lambda x: ops.reduce_mean([x, x * x], axis=0),
    "top_k": lambda x: ops.top_k(x, 2).values,
    "sort": lambda x: ops.sort(x, direction="DESCENDING"),
    "erf": ops.erf,
    "norm": lambda x: ops.norm(x, axis=-1),
    "l2_normalize": lambda x: ops.l2_normalize(x, axis=-1),
    "logsumexp": lambda x: ops.logsumexp(x, axis=-1),
    "clip_by_norm": lambda x: ops.clip_by_norm(x, 1.5),
    "clip_by_global_norm": lambda x: ops.clip_by_global_norm([x, x * x], 1.5)[0][1],
    "binary_crossentropy": lambda x: ops.binary_crossentropy(ONE_HOT, ops.sigmoid(x)),
    "from logits": lambda x: ops.binary_crossentropy(ONE_HOT, x, from_logits=True),
    "softmax along the first axis": lambda x: activations.softmax(x, axis=0),
}


@pytest.mark.parametrize("f", ARRANGEMENTS.values(), ids=ARRANGEMENTS)
def test_arrangements_and_choices(f: Callable[[Any], Any]) -> None:
    check(f, X)


@pytest.mark.parametrize("name", [*activations.IN_NN, *activations.MORE])
def test_activations(name: str) -> None:
    check(getattr(activations, name), X + 0.01)


LOSSES = (
    *("categorical_crossentropy", "binary_crossentropy", "mse", "mae", "huber", "log_cosh"),
    *("poisson", "hinge", "squared_hinge", "categorical_hinge", "kl_divergence", "msle"),
    "cosine_similarity",
)


@pytest.mark.parametrize("name", LOSSES)
def test_losses_are_of_vectors(name: str) -> None:
    y = POSITIVE / POSITIVE.sum(axis=-1, keepdims=True)
    assert getattr(losses, name)(ONE_HOT, y).shape == (2, 3)
    check(lambda x: getattr(losses, name)(ONE_HOT, x), y)
    weights = np.arange(6.0).reshape(2, 3)
    kind = losses.CategoricalCrossentropy(from_logits=True)
    check(lambda x: kind(ONE_HOT, x, sample_weight=weights), X)


def test_a_gradient_has_a_gradient() -> None:
    x = tensor(3.0)
    with GradientTape() as outer:
        outer.watch(x)
        with GradientTape() as inner:
            inner.watch(x)
            y = tf.exp(2 * x) + x**3 / (1 + x)
        slope = inner.gradient(y, x)
    second = 4 * np.exp(6.0) + 2 * 3 * (9 + 9 + 3) / 64
    assert float(outer.gradient(slope, x)) == pytest.approx(second, rel=1e-5)
    dense = layers.Dense(1)
    with GradientTape() as outer:
        outer.watch(x)
        with GradientTape() as inner:
            inner.watch(x)
            y = dense(tf.reshape(x, (1, 1)))
        with pytest.raises(NotImplementedError, match="gradient of a gradient through layers"):
            inner.gradient(y, x)


def test_what_has_no_gradient_says_so() -> None:
    x, other = tensor([1.0, 2.0]), tf.Variable([1.0, 2.0])
    with GradientTape(persistent=True) as tape:
        tape.watch(x)
        kept = tf.stop_gradient(x) * 2 + tf.cast(tf.argmax(x), tf.float32) + tf.sign(x) * 0
        assert tape.gradient(kept, other) is None
        with pytest.raises(NotImplementedError, match="no derivative of sinc here"):
            np.sinc(x)
        with tape.stop_recording():
            assert np.sinc(x).shape == (2,)
    zeros = tape.gradient(x, {"w": other}, unconnected_gradients="zero")
    assert zeros["w"].numpy().tolist() == [0, 0]
    with pytest.raises(ValueError, match="a gradient for at least one variable"):
        keras.optimizers.SGD().apply_gradients([(None, other)])
    with pytest.raises(ValueError, match=r"a tensor to watch; received .ndarray"):
        tape.watch(np.ones(2))


def test_a_variable_may_change_before_the_gradient_is_asked_for() -> None:
    w, x = tf.Variable([[2.0]]), tf.constant([[3.0]])
    dense = layers.Dense(1, kernel_initializer="ones")
    with GradientTape(persistent=True) as tape:
        y = dense(tf.matmul(x, w) * w)
    seen = tf.reshape(w, [1])
    w.assign([[5.0]])
    assert seen == 2
    dense.kernel.assign([[7.0]])
    assert tape.gradient(y, w).numpy() == 2 * 2 * 3
    assert tape.gradient(y, dense.kernel).numpy() == 12


def test_a_layer_called_twice_remembers_both_calls() -> None:
    model = keras.Sequential([keras.Input((3,)), layers.Dense(4, "tanh"), layers.Dense(2)])
    one, two = RNG.normal(size=(2, 5, 3)).astype(np.float32)
    with GradientTape(persistent=True) as tape:
        both = tf.reduce_sum(tf.square(model(one)) - tf.square(model(two)))
        first = tf.reduce_sum(tf.square(model(one)))
        second = tf.reduce_sum(tf.square(model(two)))
    parts = [tape.gradient(y, model.trainable_variables) for y in (both, first, second)]
    for whole, a, b in zip(*parts, strict=True):
        np.testing.assert_allclose(whole, a - b, atol=1e-5)


def test_one_step_by_the_tape_is_one_step_of_fit() -> None:
    x, t = RNG.normal(size=(20, 6, 6, 1)).astype(np.float32), RNG.integers(0, 3, 20)
    kinds = [keras.Input((6, 6, 1)), layers.Conv2D(2, 3, activation="relu")]
    kinds += [layers.MaxPooling2D(), layers.Flatten(), layers.BatchNormalization()]
    made = keras.Sequential([*kinds, layers.Dense(3, "softmax", kernel_regularizer="l2")])
    other = keras.models.clone_model(made)
    other.set_weights(made.get_weights())
    for model in (made, other):
        model.compile(keras.optimizers.Adam(0.1), "sparse_categorical_crossentropy")
    loss = made.train_on_batch(x, t)
    assert float(other.train_step((x, t))["loss"]) == pytest.approx(loss, rel=1e-5)
    for a, b in zip(made.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=2e-3)


class Scale(layers.Layer):
    """y = x W * s, with a penalty on y."""

    def build(self, input_shape: Any) -> None:
        self.w = self.add_weight(shape=(input_shape[-1], 4), regularizer="l2", name="w")
        self.s = tf.Variable(np.ones(4, np.float32))
        self.inner = layers.Dense(4)

    def call(self, x: Any, training: bool = False) -> Any:
        y = self.inner(tf.matmul(x, self.w)) * self.s
        self.add_loss(0.1 * tf.reduce_mean(tf.square(y)))
        return y * (2.0 if training else 1.0)


def test_the_gradient_of_a_layer_of_ones_own() -> None:
    inputs = keras.Input((3,))
    hidden = layers.Dense(3, "tanh")(inputs)
    model = keras.Model(inputs, layers.Dense(1)(Scale()(hidden)))
    model.compile("sgd", "mse")
    x, t = RNG.normal(size=(7, 3)), RNG.normal(size=(7, 1))
    network = model.training_network
    model._prepare()
    batch = [x.astype(np.float32)], keras.data.targets_of(t, None, None, ["t"])
    loss, grads = network.loss_and_gradient(*batch)
    assert len(model.trainable_variables) == 8
    assert loss == pytest.approx(
        float(network.penalty() + network.activity_penalty()) + sum(network.latest.losses)
    )
    analytic, step = grads.flat.copy(), 1e-2
    for _ in range(5):
        way = RNG.normal(size=analytic.shape).astype(np.float32)
        way /= np.linalg.norm(way)
        network.params.flat += step * way
        up = network.loss_and_gradient(*batch)[0]
        network.params.flat -= 2 * step * way
        down = network.loss_and_gradient(*batch)[0]
        network.params.flat += step * way
        assert (up - down) / (2 * step) == pytest.approx(float(analytic @ way), abs=2e-3)


def test_the_first_data_say_how_long_sequences_are() -> None:
    model = keras.Sequential([keras.Input((None, 3)), layers.GRU(4), layers.Dense(1)])
    assert model.predict(np.ones((2, 5, 3)), verbose=0).shape == (2, 1)
    assert keras.Variable(shape=(2, 3), initializer="ones").numpy().sum() == 6


class Held(layers.Layer):
    """A layer that holds a module with a variable."""

    def __init__(self) -> None:
        super().__init__()
        self.held = tf.Module()
        self.held.scale = tf.Variable(2.0)  # type: ignore[attr-defined]

    def call(self, x: Any, training: Any = None) -> Any:
        return x * self.held.scale  # type: ignore[attr-defined]


def test_a_layer_trains_what_a_module_in_it_holds() -> None:
    model = keras.Sequential([keras.Input((1,)), Held()])
    model.compile("sgd", "mse")
    model.fit(np.ones((1, 1)), np.zeros((1, 1)), verbose=0)
    assert model.get_weights()[0] == pytest.approx(2 - 0.01 * 2 * 2)


def test_losses_of_a_layer_are_those_of_its_latest_call() -> None:
    layer = Scale()
    layer(np.ones((2, 3)))
    assert len(layer(np.ones((2, 3))).shape) == len(layer.losses) == 2


def test_a_layer_of_ones_own_is_saved(tmp_path: Any) -> None:
    model = keras.Sequential([keras.Input((3,)), Scale(name="scale"), layers.Dense(2)])
    x = RNG.normal(size=(5, 3))
    for name in ("model.keras", "model.h5"):
        model.save(tmp_path / name)
        again = keras.models.load_model(tmp_path / name, custom_objects={"Scale": Scale})
        np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))
    copied = pickle.loads(pickle.dumps(model))
    copied.layers[0].s.assign(np.zeros(4))
    assert np.abs(copied.predict(x, verbose=0) - model.predict(x, verbose=0)).max() > 0
