"""What every layer must be able to do, on one table of all layers, and values by hand."""

import copy
import json
import math
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from numpy.typing import ArrayLike, DTypeLike

import functions
from digits import Conv2D, Input, Layer, Sequential
from digits.files.models import LAYERS, load_model
from digits.nn.activations import ACTIVATIONS, ActivationFunction, get_activation
from digits.nn.layers import (
    Activation,
    BatchNormalization,
    Dense,
    Dropout,
    Flatten,
    Maxout,
    Normalization,
    Rescaling,
    Reshape,
)
from digits.nn.parameters import Parameters
from digits.nn.pooling import AveragePooling2D, MaxPooling2D, Subsampling2D, ZeroPadding2D
from digits.types import Array, Shape
from functions import numerical_gradient

L = TypeVar("L", bound=Layer)

# A new layer is tested by a line here: the layer, and the shape of one input.

TABLE = np.array([[1, 0, 1, 1], [0, 1, 1, 0], [1, 1, 0, 1]])
"""Which of three input maps each of four filters sees."""

Window = tuple[int | tuple[int, int], int | tuple[int, int] | None, str]
WINDOWS: list[tuple[Window, Shape]] = [
    ((2, None, "valid"), (4, 6, 2)),
    ((2, None, "valid"), (5, 3, 1)),
    ((3, 2, "valid"), (7, 5, 1)),
    ((2, 3, "valid"), (5, 8, 1)),
    (((3, 2), (1, 3), "valid"), (5, 6, 2)),
    ((1, None, "valid"), (2, 3, 2)),
    ((2, None, "same"), (5, 3, 2)),
    ((3, 2, "same"), (4, 5, 1)),
    (((2, 5), (3, 1), "same"), (5, 3, 1)),
]
"""Window, strides and padding of a pooling, and the shape of one image."""

CASES: list[tuple[Layer, Shape]] = [
    (Dense(4), (3,)),
    (Dense(1), (1,)),
    (Dense(2, use_bias=False), (5,)),
    *((Dense(4, activation=name), (3,)) for name in ACTIVATIONS),
    (Maxout(3), (4,)),
    (Maxout(1, pieces=4), (2,)),
    (Maxout(2, pieces=1), (3,)),
    *((Activation(name), (5,)) for name in ACTIVATIONS),
    *((Activation(name), (2, 3, 4)) for name in ("relu", "softmax")),
    (Flatten(), (2, 3, 2)),
    (Flatten(), (4,)),
    (Reshape((3, 2, 2)), (12,)),
    (Reshape((-1, 4)), (2, 3, 2)),
    (Reshape(6), (6,)),
    (Rescaling(2.5, offset=-1), (3,)),
    (Rescaling(-0.1), (2, 3, 1)),
    (Normalization(0.3, 0.25), (2, 3, 2)),
    (Normalization([0.1, -2, 0.3], [0.5, 2, 1]), (3,)),
    (Normalization([0.1, 5], [0.5, 2]), (3, 2, 2)),
    (Dropout(0), (6,)),
    (Dropout(0.4), (6,)),
    (Dropout(0.9), (3, 2, 2)),
    (BatchNormalization(), (4,)),
    (BatchNormalization(momentum=0.5, epsilon=0.1), (1,)),
    (BatchNormalization(momentum=0), (3, 2, 2)),
    (Conv2D(3, 3), (5, 4, 2)),
    (Conv2D(1, 1), (2, 3, 1)),
    (Conv2D(2, 2, strides=2), (5, 6, 1)),
    (Conv2D(2, (2, 3), strides=(3, 2)), (7, 6, 2)),
    (Conv2D(2, 2, strides=3), (8, 5, 1)),
    (Conv2D(2, 1, strides=(2, 3)), (4, 5, 2)),
    (Conv2D(2, 3, padding="same"), (4, 5, 1)),
    (Conv2D(2, 2, padding="same"), (3, 4, 2)),
    (Conv2D(2, (4, 3), strides=(2, 3), padding="same"), (5, 7, 1)),
    (Conv2D(2, 5, strides=2, padding="same"), (2, 3, 1)),
    (Conv2D(1, 2, strides=4, padding="same"), (6, 5, 1)),
    (Conv2D(2, 3, use_bias=False), (4, 3, 2)),
    (Conv2D(4, (2, 3), connections=TABLE), (4, 4, 3)),
    (Conv2D(4, 2, strides=2, padding="same", connections=TABLE, activation="tanh"), (3, 5, 3)),
    *((Conv2D(2, 2, activation=name), (3, 4, 2)) for name in ACTIVATIONS),
    *((MaxPooling2D(*geometry), shape) for geometry, shape in WINDOWS),
    *((AveragePooling2D(*geometry), shape) for geometry, shape in WINDOWS),
    (Subsampling2D(), (4, 6, 2)),
    (Subsampling2D((3, 2)), (7, 5, 1)),
    *((Subsampling2D(2, activation=name), (3, 4, 2)) for name in ACTIVATIONS),
    (ZeroPadding2D(), (2, 3, 2)),
    (ZeroPadding2D((1, 3)), (3, 2, 1)),
]


def title(case: Any) -> str:
    """How pytest shows an entry of the table: the layer with its arguments, the shape."""
    if not isinstance(case, Layer):
        return "x".join(map(str, case)) if isinstance(case, tuple) else str(case)
    told = [f"{name}={value}" for name, value in case.get_config().items() if value is not None]
    return f"{type(case).__name__}({', '.join(told)})".replace(" ", "")


every_layer = pytest.mark.parametrize(("layer", "shape"), CASES, ids=title)
every_training = pytest.mark.parametrize("training", [False, True], ids=["inference", "training"])


def ready(layer: L, shape: Shape, dtype: DTypeLike = np.float64, seed: int = 0) -> L:
    """A copy of the layer with random arrays of its own: gradients at a random point."""
    rng = np.random.default_rng(seed)
    layer = copy.deepcopy(layer)
    layer.build(shape)
    weights, buffers = (Parameters(s, dtype) for s in (layer.weight_shapes, layer.buffer_shapes))
    weights.flat[...] = rng.standard_normal(weights.flat.shape)
    buffers.flat[...] = rng.uniform(0.3, 2, buffers.flat.shape)  # variances are above 0
    grads = weights.zeros_like()
    grads.flat[...] = np.nan  # what is not written stays visible
    layer.bind(dict(weights), dict(grads), dict(buffers), rng, dtype)
    return layer


def random_array(n: int, shape: Shape, dtype: DTypeLike = np.float64, seed: int = 1) -> Array:
    return np.random.default_rng(seed).standard_normal((n, *shape)).astype(dtype)


def frozen(layer: Layer) -> Callable[[Array, bool], Array]:
    """The forward pass with the same dropout at every call."""
    start = layer.rng.bit_generator.state

    def forward(x: Array, training: bool) -> Array:
        layer.rng.bit_generator.state = start
        return layer.forward(x, training)

    return forward


def dx_of(layer: Layer, dy: ArrayLike) -> Array:
    dx = layer.backward(np.asarray(dy))
    assert dx is not None
    return dx


def relative_error(numerical: Array, analytic: Array) -> float:
    """The largest difference, in parts of the largest gradient."""
    assert numerical.shape == analytic.shape
    if numerical.size == 0:
        return 0.0
    return float(np.max(np.abs(numerical - analytic)) / max(np.max(np.abs(numerical)), 1e-3))


LIBRARY_LAYERS = {layer for layer in LAYERS.values() if layer.__module__.startswith("digits.")}
"""Without those that other tests have registered."""


def test_the_table_holds_every_layer() -> None:
    assert {type(layer) for layer, _ in CASES} == LIBRARY_LAYERS


@every_layer
@every_training
def test_gradients(layer: Layer, shape: Shape, training: bool) -> None:
    n = 3 if training else 1
    layer, x = ready(layer, shape), random_array(n, shape)
    forward = frozen(layer)
    w = random_array(n, layer.output_shape, seed=2)

    def loss(_: Array) -> float:
        return float(np.sum(w * forward(x, training)))

    loss(x)
    dx = dx_of(layer, w)
    analytic = {name: grad.copy() for name, grad in layer.grads.items()}
    assert relative_error(numerical_gradient(loss, x, h=1e-5), dx) < 1e-6, "dx"
    for name, array in layer.weights.items():
        numerical = numerical_gradient(loss, array, h=1e-5)
        assert relative_error(numerical, analytic[name]) < 1e-6, f"d{name}"


@every_layer
@every_training
def test_gradients_replace_those_of_before(layer: Layer, shape: Shape, training: bool) -> None:
    def after(*batches: int) -> list[Array]:
        one = ready(layer, shape)
        forward = frozen(one)
        for n in batches:
            forward(random_array(n, shape, seed=n), training)
            dx = dx_of(one, random_array(n, one.output_shape, seed=10 + n))
        return [dx, *one.grads.values()]

    for replaced, alone in zip(after(4, 2), after(2), strict=True):
        np.testing.assert_array_equal(replaced, alone)


@every_layer
def test_the_first_layer_computes_no_dx(layer: Layer, shape: Shape) -> None:
    complete, spared = ready(layer, shape), ready(layer, shape)
    spared.needs_dx = False
    dy = random_array(2, complete.output_shape, seed=4)
    for one in (complete, spared):
        one.forward(random_array(2, shape), training=True)
        one.backward(dy)
    for name, grad in complete.grads.items():
        np.testing.assert_array_equal(spared.grads[name], grad)


@every_layer
@every_training
@pytest.mark.parametrize(("n", "dtype"), [(1, np.float32), (5, np.float64)])
def test_shapes_are_as_built_and_the_dtype_is_kept(
    layer: Layer, shape: Shape, training: bool, n: int, dtype: DTypeLike
) -> None:
    layer = ready(layer, shape, dtype)
    assert layer.input_shape == shape
    y = layer.forward(random_array(n, shape, dtype), training)
    dx = dx_of(layer, random_array(n, layer.output_shape, dtype))
    assert (y.shape, dx.shape) == ((n, *layer.output_shape), (n, *shape))
    assert y.dtype == dx.dtype == dtype
    arrays = (*layer.weights.values(), *layer.grads.values(), *layer.buffers.values())
    assert all(array.dtype == dtype for array in arrays)
    assert all(np.isfinite(array).all() for array in (y, dx, *arrays))


@every_layer
@every_training
def test_nothing_is_written_to_what_was_given(layer: Layer, shape: Shape, training: bool) -> None:
    layer, x = ready(layer, shape), random_array(3, shape)
    dy = random_array(3, layer.output_shape, seed=5)
    weights, buffers = copy.deepcopy((layer.weights, layer.buffers))
    x.flags.writeable = dy.flags.writeable = False

    layer.forward(x, training)
    layer.backward(dy)

    np.testing.assert_array_equal(x, random_array(3, shape))
    np.testing.assert_array_equal(dy, random_array(3, layer.output_shape, seed=5))
    np.testing.assert_equal(layer.weights, weights)
    if not training:
        np.testing.assert_equal(layer.buffers, buffers)


@every_layer
def test_an_output_does_not_depend_on_the_rest_of_the_batch(layer: Layer, shape: Shape) -> None:
    layer, x = ready(layer, shape), random_array(5, shape)
    together = layer.forward(x)
    for image, y in zip(x, together.copy(), strict=True):
        np.testing.assert_allclose(layer.forward(image[None])[0], y, rtol=1e-10, atol=1e-12)


@every_layer
def test_a_description_builds_an_equal_layer(layer: Layer, shape: Shape) -> None:
    config = json.loads(json.dumps(layer.get_config(), allow_nan=False))  # as a model file keeps it
    again = type(layer)(**config)
    assert again.get_config() == layer.get_config()

    one, two = ready(layer, shape), ready(again, shape)
    assert (one.output_shape, one.weight_shapes) == (two.output_shape, two.weight_shapes)
    assert one.buffer_shapes == two.buffer_shapes
    for training in (False, True):
        y = one.forward(random_array(3, shape), training)
        np.testing.assert_array_equal(two.forward(random_array(3, shape), training), y)


def surrounded(
    layer: Layer, shape: Shape, dtype: DTypeLike = np.float64, loss: str = "cross_entropy"
) -> Sequential:
    """A small network with the layer in its middle, all weights random."""
    before: Layer = Dense(shape[0], activation="tanh")
    if len(shape) == 3:
        before = Conv2D(shape[2], 2, padding="same", activation="tanh")
    layers: list[Layer | Input] = [Input(shape), before, copy.deepcopy(layer), Flatten(), Dense(3)]
    rng = np.random.default_rng(3)
    network = Sequential(layers, rng=rng, dtype=dtype, loss=loss)
    network.params.flat[...] = rng.standard_normal(network.params.flat.shape)
    network.buffers.flat[...] = rng.uniform(0.3, 2, network.buffers.flat.shape)
    return network


@every_layer
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_saved_and_loaded(layer: Layer, shape: Shape, dtype: DTypeLike, tmp_path: Path) -> None:
    network, x = surrounded(layer, shape, dtype, loss="squared_error"), random_array(3, shape)
    network.loss_and_gradient(x, [0, 1, 2])  # moving averages move
    network.save(tmp_path / "model.npz")
    loaded = load_model(tmp_path / "model.npz")
    assert isinstance(loaded, Sequential)
    assert (loaded.get_config(), loaded.params.dtype) == (network.get_config(), dtype)
    np.testing.assert_array_equal(loaded.params.flat, network.params.flat)
    np.testing.assert_array_equal(loaded.buffers.flat, network.buffers.flat)
    np.testing.assert_array_equal(loaded.predict(x), network.predict(x))
    assert loaded.loss(x, [0, 1, 2]) == network.loss(x, [0, 1, 2])


def with_weights(layer: L, shape: Shape, **weights: ArrayLike) -> L:
    """The layer with these weights, and buffers as it begins."""
    layer = ready(layer, shape)
    for array in (*layer.weights.values(), *layer.buffers.values()):
        array[...] = 0  # as those of a network begin
    layer.initialize()
    for name, value in weights.items():
        layer.weights[name][...] = value
    return layer


def test_dense_by_hand() -> None:
    layer = with_weights(Dense(2), (3,), W=[[1, 2], [3, 4], [5, 6]], b=[10, 20])
    x = np.array([[1.0, 0, 2], [0, -1, 1]])
    np.testing.assert_array_equal(layer.forward(x), [[21, 34], [12, 22]])
    dx = dx_of(layer, np.array([[1.0, 0], [1, 1]]))
    np.testing.assert_array_equal(dx, [[1, 3, 5], [3, 7, 11]])
    np.testing.assert_array_equal(layer.grads["W"], [[1, 0], [-1, -1], [3, 1]])
    np.testing.assert_array_equal(layer.grads["b"], [2, 1])


def test_maxout_by_hand() -> None:
    # Unit 0 chooses between x and -x (it is |x|), unit 1 between 2x and 1.
    layer = with_weights(Maxout(2, pieces=2), (1,), W=[[1, -1, 2, 0]], b=[0, 0, 0, 1])
    x = np.array([[3.0], [-2], [0.25]])
    np.testing.assert_array_equal(layer.forward(x), [[3, 6], [2, 1], [0.25, 1]])
    dx = dx_of(layer, np.array([[1.0, 10], [1, 10], [1, 10]]))
    np.testing.assert_array_equal(dx, [[21], [-1], [1]])
    np.testing.assert_array_equal(layer.grads["W"], [[3.25, -2, 30, -17.5]])
    np.testing.assert_array_equal(layer.grads["b"], [2, 1, 10, 20])


def test_maxout_gives_the_gradient_of_a_tie_to_one_piece() -> None:
    layer = with_weights(Maxout(1, pieces=3), (1,), W=[[1, 1, 1]], b=[0, 0, 0])
    layer.forward(np.array([[2.0]]))
    layer.backward(np.array([[5.0]]))
    np.testing.assert_array_equal(layer.grads["W"], [[10, 0, 0]])


@pytest.mark.parametrize("name", sorted(ACTIVATIONS.keys() - {"linear"}))
def test_activations_are_those_of_functions(name: str) -> None:
    layer, x = ready(Activation(name), (41,)), np.linspace(-4, 4, 41)[np.newaxis]
    np.testing.assert_array_equal(layer.forward(x), getattr(functions, name)(x))


def test_activation_by_name_function_or_object() -> None:
    relu = ACTIVATIONS["relu"]
    assert get_activation("relu") is get_activation(functions.relu) is get_activation(relu) is relu
    assert get_activation(None) is get_activation("linear") is ACTIVATIONS["linear"]
    assert Dense(3, activation=functions.tanh).get_config()["activation"] == "tanh"
    for wrong in ("rleu", 3):
        with pytest.raises(ValueError, match=f"an activation among linear.*received {wrong!r}"):
            get_activation(wrong)  # type: ignore[arg-type]


def test_a_function_of_the_users_own_is_never_replaced() -> None:
    def relu(x: Array) -> Array:
        return np.minimum(x, 0)

    with pytest.raises(ValueError, match="pass an ActivationFunction"):
        Dense(3, activation=relu)
    own = ActivationFunction("relu", relu, lambda dy, y: dy * (y < 0))
    check_gradient_of(ready(Dense(4, activation=own), (3,)))
    check_gradient_of(ready(Activation(own), (3,)))
    assert Dense(4, activation=own).get_config()["activation"] is own


def check_gradient_of(layer: Layer) -> None:
    x, w = random_array(5, layer.input_shape), random_array(5, layer.output_shape, seed=2)
    assert (layer.forward(x) <= 0).all()
    dx = dx_of(layer, w).copy()
    numerical = numerical_gradient(lambda x: float(np.sum(w * layer.forward(x))), x, h=1e-5)
    assert relative_error(numerical, dx) < 1e-6


def test_reshape_and_flatten_read_row_by_row() -> None:
    x = np.arange(24.0).reshape(2, 12)
    image = ready(Reshape((2, 3, 2)), (12,)).forward(x)
    assert (image[0, 0, 1, 0], image[0, 1, 0, 1], image[1, 0, 0, 0]) == (2, 7, 12)
    np.testing.assert_array_equal(ready(Flatten(), (2, 3, 2)).forward(image), x)


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        ([(5, 3), (-1, 5)], "a shape of 12 numbers for inputs (12,); received ("),
        ([(-1, 3, -1)], "at most one -1 in a shape; received (-1, 3, -1)"),
        ([(0, -1), (-2, -6), (12.0,)], "a dimension as a whole number above 0; received "),
    ],
)
def test_reshape_refuses_a_shape_of_other_numbers(targets: list[Any], expected: str) -> None:
    for target in targets:
        with pytest.raises(ValueError, match=re.escape(f"expected {expected}")):
            Reshape(target).build((12,))


def test_rescaling_and_normalization_by_hand() -> None:
    x = np.array([[0.0, 0.5, 1]])
    layer: Layer = ready(Rescaling(1.275, offset=-0.1), (3,))
    np.testing.assert_allclose(layer.forward(x), [[-0.1, 0.5375, 1.175]], rtol=1e-15)
    np.testing.assert_array_equal(dx_of(layer, x), 1.275 * x)
    for nothing in (Rescaling(1), Normalization()):
        np.testing.assert_array_equal(ready(nothing, (3,)).forward(x), x)

    layer = ready(Normalization([0, 0.5, 3], [4, 0.25, 1]), (3,))
    np.testing.assert_allclose(layer.forward(x), [[0, 0, -2]])
    np.testing.assert_allclose(dx_of(layer, np.ones((1, 3))), [[0.5, 2, 1]])


@pytest.mark.parametrize(("mean", "shape"), [(5, (1,)), (4, (3,)), ((2, 3), (3,))])
def test_normalization_refuses_features_that_are_not_there(mean: Any, shape: Shape) -> None:
    wanted = f"expected one number, or one for each of the features {shape}; received "
    with pytest.raises(ValueError, match=re.escape(wanted + str(np.zeros(mean).shape))):
        Normalization(np.zeros(mean)).build(shape)


def test_dropout_keeps_its_rate_and_the_sum() -> None:
    layer, x = ready(Dropout(0.3), (1000,)), np.ones((100, 1000))
    y = layer.forward(x, training=True).copy()
    assert set(np.unique(y)) == {0, np.float64(1 / 0.7)}
    # 100,000 coins: the rate is known to 0.0015, one standard deviation.
    assert abs(np.mean(y == 0) - 0.3) < 0.006 and abs(np.mean(y) - 1) < 0.01
    # Each number has a coin of its own: no row or column falls as one.
    assert 600 < np.count_nonzero(y[0]) < 800
    assert not np.array_equal(y[0], y[1])

    np.testing.assert_array_equal(dx_of(layer, x), y)
    assert not np.array_equal(layer.forward(x, training=True), y), "new coins for every batch"


def test_dropout_is_awake_in_training_only() -> None:
    layer, x = ready(Dropout(0.9), (4,)), random_array(3, (4,))
    before = layer.rng.bit_generator.state
    layer.forward(x, training=True)
    drawn = layer.rng.bit_generator.state
    assert drawn != before
    np.testing.assert_array_equal(layer.forward(x), x)
    np.testing.assert_array_equal(dx_of(layer, x), x)  # the mask of before is forgotten
    assert layer.rng.bit_generator.state == drawn


def test_batch_normalization_by_hand() -> None:
    layer = with_weights(BatchNormalization(momentum=0.75, epsilon=7), (1,))
    x = np.array([[1.0], [7]])  # mean 4, variance 9: divided by sqrt(9 + 7) = 4
    np.testing.assert_allclose(layer.forward(x, training=True), [[-0.75], [0.75]])
    # A quarter of the way from 0 to 4, and from 1 to 9.
    np.testing.assert_allclose(layer.buffers["moving_mean"], [1])
    np.testing.assert_allclose(layer.buffers["moving_variance"], [3])
    layer.forward(x, training=True)
    np.testing.assert_allclose(layer.buffers["moving_mean"], [1.75])
    np.testing.assert_allclose(layer.buffers["moving_variance"], [4.5])
    y = layer.forward(x)
    np.testing.assert_allclose(y, (x - 1.75) / math.sqrt(4.5 + 7))
    np.testing.assert_allclose(layer.buffers["moving_mean"], [1.75])


def test_batch_normalization_begins_as_in_keras() -> None:
    layer = with_weights(BatchNormalization(), (1,))
    begin = {name: array.item() for name, array in {**layer.weights, **layer.buffers}.items()}
    assert begin == {"gamma": 1, "beta": 0, "moving_mean": 0, "moving_variance": 1}
    assert (layer.get_config()["momentum"], layer.get_config()["epsilon"]) == (0.99, 1e-3)


DENSE: Any = Dense  # with arguments of any kind


@pytest.mark.parametrize(
    ("make", "message"),
    [
        *((partial(DENSE, units), "expected units .*; received") for units in (0, 2.5, -3, [3])),
        *((partial(DENSE, 3, name), "expected an activation among") for name in ("rleu", ["relu"])),
        (partial(Dense, 3, kernel_initializer="glort"), "expected an initializer among"),
        (partial(Dense, 3, bias_initializer="glort"), "expected an initializer among"),
        (partial(Maxout, 0), "expected units .*; received 0"),
        (partial(Maxout, 3, pieces=0), "expected pieces .*; received 0"),
        *((partial(Dropout, rate), "expected a rate in .*; rec") for rate in (1, -0.1, math.nan)),
        *((partial(Normalization, 0, v), "expected a .*variance above 0") for v in (0, [1, -1])),
        (partial(Normalization, "a"), "^expected real numbers; received 'a'"),
        (partial(Normalization, 0, [1j]), r"^expected real numbers; received \[1j\]"),
        (partial(Normalization, math.nan), "^expected a finite mean; received nan"),
        (partial(Rescaling, math.inf), r"^expected finite numbers; received \(inf, 0.0\)"),
        (partial(Rescaling, 1, math.nan), r"^expected finite numbers; received \(1, nan\)"),
        (partial(BatchNormalization, 1), r"expected a momentum in \[0, 1\); received 1"),
        *((partial(BatchNormalization, epsilon=e), "an epsilon") for e in (0, 1e-50, math.inf)),
    ],
)
def test_arguments_that_make_no_layer(make: Callable[[], Layer], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_a_layer_belongs_to_one_network() -> None:
    with pytest.raises(ValueError, match="Dense is part of another network: make a new one"):
        Sequential([ready(Dense(2), (3,))])
