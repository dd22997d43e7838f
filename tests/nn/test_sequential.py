"""A stack of layers keeps the contract of all networks, and says what it cannot be given."""

import re
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike, DTypeLike, NDArray

import functions
from digits import Activation, BatchNormalization, Conv2D, Dense, Dropout, Flatten, Layer, Maxout
from digits.nn.layers import Reshape
from digits.nn.pooling import MaxPooling2D
from digits.nn.sequential import PREDICT_BATCH_SIZE as SIZE
from digits.nn.sequential import Input, Sequential
from digits.types import Array
from functions import gradient_check, softmax, to_one_hot
from two_layer_net import TwoLayerNet


def stack(*layers: Layer | Input, seed: int = 0, **options: Any) -> Sequential:
    return Sequential(layers, rng=np.random.default_rng(seed), **options)


def dense(dtype: DTypeLike = np.float64, **options: Any) -> Sequential:
    layers = Input((6,)), Dense(5, activation="tanh"), Dense(3)
    return stack(*layers, dtype=dtype, **options)


def convolutional(dtype: DTypeLike = np.float64, **options: Any) -> Sequential:
    """A little of everything, on images 6x6."""
    layers = [Conv2D(3, 3, padding="same", use_bias=False), BatchNormalization(momentum=0.8)]
    layers += [Activation("elu"), MaxPooling2D(2), Flatten(), Dropout(0.3), Dense(4)]
    return stack(Input((6, 6, 1)), *layers, dtype=dtype, **options)


def batch(n: int, features: int = 6, classes: int = 3) -> tuple[Array, NDArray[np.intp]]:
    rng = np.random.default_rng(1)
    return rng.random((n, features)), rng.integers(0, classes, n)


def test_layers_are_applied_one_after_the_other() -> None:
    network, (x, t) = dense(), batch(4)
    p = network.params
    assert p.shapes == {"W1": (6, 5), "b1": (5,), "W2": (5, 3), "b2": (3,)}
    p["b1"], p["b2"] = np.arange(5), np.arange(3)
    logits = np.tanh(x @ p["W1"] + p["b1"]) @ p["W2"] + p["b2"]
    np.testing.assert_allclose(network.predict(x), softmax(logits), rtol=1e-14)
    np.testing.assert_array_equal(network.predict_classes(x), logits.argmax(axis=1))
    assert network.loss(x, t) == pytest.approx(functions.softmax_cross_entropy(logits, t))
    assert network.accuracy(x, t) == np.mean(logits.argmax(axis=1) == t)


@pytest.mark.parametrize("make", [dense, convolutional])
@pytest.mark.parametrize("loss", ["cross_entropy", "squared_error"])
def test_numerical_gradient_equals_gradient(make: Callable[..., Sequential], loss: str) -> None:
    network = make(loss=loss)
    network.buffers.flat[...] = np.random.default_rng(4).uniform(0.5, 2, network.buffers.flat.size)
    x, t = batch(4, int(np.prod(network.input_shape)))
    analytic, numerical = network.gradient(x, t), network.numerical_gradient(x, t)
    assert analytic.shapes == numerical.shapes
    scale = np.abs(numerical.flat).max()
    np.testing.assert_allclose(analytic.flat, numerical.flat, rtol=0, atol=1e-7 * scale)
    assert gradient_check(network, x, t) < 1e-6
    assert network.params.dtype == network.numerical_gradient(x, t).dtype == np.float64


def test_loss_and_gradient_are_those_of_training() -> None:
    network, (x, t) = convolutional(), batch(8, 36)
    start = network.rng.bit_generator.state
    loss, grads = network.loss_and_gradient(x, t)
    network.rng.bit_generator.state = start
    assert loss == network.loss(x, t, training=True) != network.loss(x, t)
    network.rng.bit_generator.state = start
    np.testing.assert_array_equal(network.gradient(x, t, training=True).flat, grads.flat)
    kept = grads.flat.copy()
    network.rng.bit_generator.state = start
    scaled, quarter = network.loss_and_gradient(x, t, scale=0.25)
    assert scaled == loss
    np.testing.assert_allclose(quarter.flat, 0.25 * kept, rtol=1e-12, atol=1e-15)
    assert not np.array_equal(network.gradient(x, t).flat, kept), "that of inference"


def test_gradient_is_a_copy_that_the_next_call_leaves_alone() -> None:
    network, (x, t) = dense(), batch(4)
    gradient = network.gradient(x, t)
    kept = gradient.flat.copy()
    network.gradient(2 * x, t)
    network.loss_and_gradient(3 * x, t)
    np.testing.assert_array_equal(gradient.flat, kept)
    gradient.flat[...] = 0  # what the caller does to it
    assert network.gradient(x, t).flat.any()


def test_predicting_changes_nothing() -> None:
    network, (x, t) = convolutional(), batch(8, 36)
    before = network.params.flat.copy(), network.buffers.flat.copy()
    rng_state = network.rng.bit_generator.state
    x.flags.writeable = t.flags.writeable = False
    network.predict(x), network.predict_classes(x), network.loss(x, t), network.accuracy(x, t)
    network.gradient(x, t), network.activations(x), str(network)
    np.testing.assert_array_equal(network.params.flat, before[0])
    np.testing.assert_array_equal(network.buffers.flat, before[1])
    assert network.rng.bit_generator.state == rng_state
    network.loss_and_gradient(x, t)
    assert not np.array_equal(network.buffers.flat, before[1]), "training gathers averages"


def test_a_softmax_at_the_end_is_the_softmax_of_the_network() -> None:
    x, t = batch(5)
    plain = dense()
    for end in (
        [Dense(3, activation="softmax")],
        [Dense(3, activation=functions.softmax)],
        [Dense(3), Activation("softmax")],
    ):
        network = stack(Input((6,)), Dense(5, activation="tanh"), *end, dtype=np.float64)
        np.testing.assert_array_equal(network.params.flat, plain.params.flat)
        np.testing.assert_array_equal(network.predict(x), plain.predict(x))
        assert network.loss(x, t) == plain.loss(x, t)
        np.testing.assert_array_equal(network.gradient(x, t).flat, plain.gradient(x, t).flat)


def test_squared_error_is_that_of_the_probabilities() -> None:
    network, (x, t) = dense(loss="squared_error"), batch(5)
    y = network.predict(x)
    expected = 0.5 * np.mean(np.sum((y - to_one_hot(t, 3)) ** 2, axis=1))
    assert network.loss(x, t) == pytest.approx(expected, rel=1e-12)


def test_smoothed_labels_are_those_of_functions_and_stay_with_the_network(tmp_path: Path) -> None:
    network, (x, t) = dense(label_smoothing=0.2), batch(5)
    logits = np.log(network.predict(x))  # up to a constant, which no loss sees
    smoothed = functions.softmax_cross_entropy(logits, t, 0.2)
    assert smoothed != pytest.approx(functions.softmax_cross_entropy(logits, t), rel=0.01)

    network.save(tmp_path / "model.npz")
    copies = [network, network.astype(np.float64), Sequential.load(tmp_path / "model.npz")]
    for each in copies:
        assert each.loss(x, t) == pytest.approx(smoothed)
        assert each.loss_and_gradient(x, t)[0] == pytest.approx(smoothed)
        assert gradient_check(each, x, t) < 1e-8


def test_two_layers_equal_the_network_written_by_hand(rng: np.random.Generator) -> None:
    by_hand = TwoLayerNet(784, 50, 10, weight_init_std=0.3, rng=rng, dtype=np.float64)
    stacked = stack(Dense(50, activation="sigmoid"), Dense(10), dtype=np.float64)
    assert stacked.params.shapes == by_hand.params.shapes
    stacked.params.flat[...] = by_hand.params.flat
    x, t = rng.random((30, 784)), rng.integers(0, 10, 30)
    assert stacked.loss(x, t) == pytest.approx(by_hand.loss(x, t), rel=1e-13)
    expected = by_hand.gradient(x, t).flat
    np.testing.assert_allclose(stacked.gradient(x, t).flat, expected, rtol=1e-12, atol=1e-15)


def test_astype_is_a_copy_with_nothing_shared() -> None:
    network, (x, t) = convolutional(np.float32), batch(4, 36)
    network.loss_and_gradient(x, t)
    network.metadata = {"seed": 3}
    double = network.astype(np.float64)
    assert double.params.dtype == double.buffers.dtype == double.grads.dtype == np.float64
    np.testing.assert_array_equal(double.params.flat, network.params.flat)
    np.testing.assert_array_equal(double.buffers.flat, network.buffers.flat)
    np.testing.assert_allclose(double.predict(x), network.predict(x), rtol=1e-5)
    same = network.loss(x, t, training=True)  # both draw the same random numbers
    assert double.loss(x, t, training=True) == pytest.approx(same, rel=1e-5)
    double.params.flat[...] = 0
    double.metadata["seed"] = 4
    assert network.params.flat.any() and network.metadata == {"seed": 3}


def test_without_input_inputs_are_784_pixels() -> None:
    assert stack(Dense(10)).input_shape == (784,)
    assert stack(Reshape((28, 28, 1)), Flatten(), Dense(10)).params["W1"].shape == (784, 10)
    assert stack(Input(6), Dense(3)).input_shape == (6,)
    network, (x, _) = dense(), batch(2)
    np.testing.assert_array_equal(network.predict(x.tolist()), network.predict(x))


def test_inputs_of_another_float_dtype_are_taken() -> None:
    network, (x, t) = dense(np.float32), batch(4)
    for dtype in (np.float64, np.float16):
        assert network.predict(x.astype(dtype)).dtype == np.float32
        assert network.gradient(x.astype(dtype), t).flat.dtype == np.float32


@pytest.mark.parametrize("n", [1, SIZE - 1, SIZE, SIZE + 1, 2 * SIZE + 37])
def test_predicting_in_batches_is_predicting_at_once(n: int) -> None:
    network, (x, t) = convolutional(), batch(n, 36)
    at_once = x.reshape(n, 6, 6, 1)
    for layer in network.layers:
        at_once = layer.forward(at_once)
    np.testing.assert_allclose(network.predict(x), softmax(at_once), rtol=1e-12)
    np.testing.assert_array_equal(network.predict_classes(x), at_once.argmax(axis=1))
    assert network.loss(x, t) == pytest.approx(functions.softmax_cross_entropy(at_once, t))
    assert network.predict(x).shape == (n, 4)


def test_memory_for_predicting_does_not_grow_with_the_number_of_images() -> None:
    network = stack(Reshape((28, 28, 1)), Conv2D(8, 5, activation="relu"), Flatten(), Dense(10))
    x = np.zeros((20 * SIZE, 784), np.float32)
    peaks = []
    for n in (2 * SIZE, 20 * SIZE):
        tracemalloc.start()
        network.predict(x[:n])
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]


@pytest.mark.parametrize("make", [dense, convolutional])
def test_no_images_no_predictions(make: Callable[..., Sequential]) -> None:
    network = make()
    for shape in ((0, int(np.prod(network.input_shape))), (0, *network.input_shape)):
        x = np.zeros(shape)
        assert network.predict(x).shape == (0, network.classes)
        assert network.predict_classes(x).shape == (0,)
        for ask in (network.loss, network.accuracy, network.gradient):
            with pytest.raises(ValueError, match="expected"):
                ask(x, [])


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (np.zeros((2, 36), np.uint8), TypeError, r"expected inputs of a float type.*uint8.*255"),
        ([["a"] * 36], TypeError, "expected inputs of a float type"),
        (np.zeros((2, 35)), ValueError, r" \(n, 6, 6, 1\) or \(n, 36\); received \(n, 35\)"),
        (np.zeros((2, 6, 5)), ValueError, r"received \(n, 6, 5\).*begin with Input\(\(6, 5\)\)"),
        (np.zeros((6, 6)), ValueError, r"received \(6, 6\): for a single .* x\[np.newaxis\]"),
        (np.zeros(36), ValueError, r"expected inputs .*received shape \(36,\)"),
        (3.0, ValueError, r"expected inputs .*received shape \(\)"),
    ],
    ids=repr,
)
def test_inputs_that_are_none(x: ArrayLike, error: type[Exception], message: str) -> None:
    network = convolutional()
    for name in ("predict", "predict_classes", "activations"):
        with pytest.raises(error, match=message):
            getattr(network, name)(x)
    for name in ("loss", "accuracy", "gradient", "loss_and_gradient"):
        with pytest.raises(error, match=message):
            getattr(network, name)(x, [0, 1])
    with pytest.raises(ValueError, match=r"pass x.transpose\(0, 2, 3, 1\)"):
        stack(Input((5, 6, 3)), Flatten(), Dense(2)).predict(np.zeros((2, 3, 5, 6)))


def test_adding_layers_builds_what_a_list_of_them_builds() -> None:
    def entries() -> list[Any]:
        shape, last = Input((6, 6, 1)), Dense(3, activation="softmax")
        return [shape, Conv2D(2, 3, activation="relu"), Flatten(), BatchNormalization(), last]

    listed = Sequential(entries(), rng=np.random.default_rng(0))
    grown = Sequential(rng=np.random.default_rng(0))
    x = np.random.default_rng(1).random((5, 6, 6, 1), np.float32)
    for missing, entry in zip(["at least one layer"] * 2 + ["one logit"], entries(), strict=False):
        with pytest.raises(ValueError, match=missing):
            grown.predict(x)
        grown.add(entry)
    for entry in entries()[3:]:
        grown.add(entry)
    assert grown.get_config() == listed.get_config()
    np.testing.assert_array_equal(grown.predict(x), listed.predict(x))
    assert grown.get_layer("conv2d") is grown.get_layer(index=0) is grown.layers[0]
    with pytest.raises(ValueError, match=r"conv2d, flatten, batch_normalization, dense; received"):
        grown.get_layer("dense_1")


def test_an_added_layer_leaves_the_weights_before_it_and_is_trained() -> None:
    x, t = np.random.default_rng(1).random((40, 4), np.float32), np.arange(40) % 2
    layers: list[Layer | Input] = [Input((4,)), Dense(3, activation="softmax")]
    network = Sequential(layers, rng=np.random.default_rng(0))
    network.fit(x, t, verbose=0)
    before, first = network.get_weights(), network.predict(x)
    network.add(Dense(2))
    for old, new in zip(before, network.get_weights(), strict=False):
        np.testing.assert_array_equal(old, new)
    np.testing.assert_allclose(network.activations(x)[0][1], first, rtol=1e-6)
    history = network.fit(x, t, epochs=3, verbose=0)
    assert history.losses[-1] < history.losses[0]
    with pytest.raises(ValueError, match="received \\(2,\\)"):
        network.add(Conv2D(2, 3))
    assert network.predict(x).shape == (40, 2)


ONE = Dense(4)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([], r"expected a list of layers, at least one; received \[\]"),
        ([Input((4,))], r"expected a list of layers, at least one; received \[\]"),
        (Dense(4), r"a list of layers; received Dense.*: put it into \[ \]"),
        ([Dense], r"expected a list of layers.*received \[<class 'digits.nn.layers.Dense'>\]"),
        ([Dense(4), "relu", Dense(10)], r"expected a list of layers.*received \['relu'\]"),
        ([Dense(4), Input((4,)), Dense(10)], "expected a list of layers"),
        ([ONE, ONE], "expected different layers; received the same one twice: make a second"),
        ([Dense(4), Reshape((2, 2))], r"one logit for each class; received \(2, 2\): end with"),
        ([Input((4, 4, 1)), Conv2D(3, 2)], r"one logit for each class; received \(3, 3, 3\)"),
        ([Input((4, 4, 1)), Dense(10)], r"Dense expected .*received \(4, 4, 1\): put Flatten"),
        ([Input((9, 9, 1)), Conv2D(3, 2), Maxout(10)], r"received \(8, 8, 3\): put Flatten"),
        ([Conv2D(3, 3)], r"Conv2D expected .*received \(784,\): put Reshape\(\(28, 28, 1\)\)"),
        ([Input((8, 9)), Conv2D(3, 3)], r"Conv2D .*: put Reshape\(\(8, 9, 1\)\)"),
        ([object.__new__(Dense)], r"received 'Dense': call super\(\).__init__\(\) first"),
        ([MaxPooling2D(2)], r"MaxPooling2D expected .*received \(784,\): put Reshape"),
        ([Input((3, 4, 1)), Conv2D(3, 5)], r"Conv2D expected images of at least \(5, 5\)"),
        ([Reshape((28, 29)), Flatten(), Dense(10)], "Reshape expected a shape of 784 numbers"),
        ([Input((1,) * 71), Flatten(), Dense(2)], "at most 16 dimensions; received 71"),
    ],
)
def test_stacks_that_are_none(layers: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Sequential(layers)


@pytest.mark.parametrize("shape", [(0,), (-3,), (2.5,), (None, 784), "784", (True, "a")], ids=str)
def test_shapes_that_are_none(shape: Any) -> None:
    with pytest.raises(ValueError, match=r"expected a size in the shape of an input.*; received"):
        Input(shape)


@pytest.mark.parametrize(
    ("option", "values", "message"),
    [
        ("loss", ["crossentropy", "mse", None], "expected a loss among cross_entropy, squared_"),
        ("dtype", [int, np.uint8, bool, complex, str], "expected .*float"),
        ("label_smoothing", [-0.1, 1, np.nan], r"expected a label_smoothing in \[0, 1\)"),
    ],
)
def test_options_that_are_none(option: str, values: list[Any], message: str) -> None:
    for value in values:
        with pytest.raises((TypeError, ValueError), match=f"{message}.*; received"):
            Sequential([Dense(10)], **{option: value})


def test_other_params_are_copied_into_those_of_the_network_or_refused() -> None:
    network, (x, t) = convolutional(), batch(4, 36)
    other = convolutional()
    network.params.flat = 2 * other.params.flat
    np.testing.assert_array_equal(network.get_weights()[0], 2 * other.params["W1"])
    with pytest.raises(ValueError, match="expected a vector"):
        network.params.flat = 1.0
    network.params = other.params
    with pytest.raises(ValueError, match=r"the network's own params; .*: copy into them"):
        network.loss_and_gradient(x, t)


def test_layers_of_a_network_cannot_be_taken_from_it() -> None:
    network, (x, t) = convolutional(), batch(4, 36)
    before = network.predict(x), network.gradient(x, t).flat
    stolen: list[list[Layer | Input]]
    stolen = [[*network.layers], [Input((8, 8, 1)), *network.layers[:-1], Dense(3)]]
    for entries in stolen:
        with pytest.raises(ValueError, match="part of another network: make a new one"):
            Sequential(entries)
        np.testing.assert_array_equal(network.predict(x), before[0])
        np.testing.assert_array_equal(network.gradient(x, t).flat, before[1])


def test_summary_is_a_table_of_layers_shapes_and_parameters() -> None:
    layers = [Reshape((28, 28, 1)), Conv2D(32, 5, padding="same"), BatchNormalization()]
    layers += [MaxPooling2D(2), Conv2D(64, 3, strides=2, use_bias=False), Flatten()]
    text = str(stack(*layers, Dropout(0.5), Dense(10)))
    rows = re.findall(r"^(\S+) \((\w+)\) +\(None, (.*?)\) +([\d,]+)$", text, re.MULTILINE)
    assert rows == [
        ("reshape", "Reshape", "28, 28, 1", "0"),
        ("conv2d", "Conv2D", "28, 28, 32", "832"),
        ("batch_normalization", "BatchNormalization", "28, 28, 32", "128"),
        ("max_pooling2d", "MaxPooling2D", "14, 14, 32", "0"),
        ("conv2d_1", "Conv2D", "6, 6, 64", "18,432"),
        ("flatten", "Flatten", "2304", "0"),
        ("dropout", "Dropout", "2304", "0"),
        ("dense", "Dense", "10", "23,050"),
    ]
    for total in ("Total params: 42,442", "Trainable params: 42,378", "Non-trainable params: 64"):
        assert total in text.splitlines()
    assert len(set(map(len, text.split("\n")[1:-3]))) == 1, "every line as wide as the others"


def test_activations_are_named_as_in_the_summary() -> None:
    network, (x, _) = convolutional(), batch(3, 36)
    outputs = network.activations(x)
    names = "conv2d batch_normalization activation max_pooling2d flatten dropout dense"
    assert [name for name, _ in outputs] == names.split()
    for layer, (_, y) in zip(network.layers, outputs, strict=True):
        assert y.shape == (3, *layer.output_shape)
    np.testing.assert_allclose(softmax(outputs[-1][1]), network.predict(x), rtol=1e-13)
