"""Weights for Keras and PyTorch without either of them: the order of axes in examples small enough
to be written out, what is refused and how, and the examples in docs/exchange.md. That the others
predict the same with these weights is tested in test_parity_exchange.py.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import DTypeLike

from digits.files.exchange import from_keras, from_torch, to_keras, to_torch
from digits.nn.convolution import Conv2D
from digits.nn.layer import Layer
from digits.nn.layers import (
    Activation,
    BatchNormalization,
    Dense,
    Dropout,
    Flatten,
    Maxout,
    Reshape,
)
from digits.nn.network import Network
from digits.nn.pooling import MaxPooling2D, Subsampling2D
from digits.nn.sequential import Input, Sequential
from digits.recipes import RECIPES
from digits.types import Array
from two_layer_net import TwoLayerNet

PAGE = Path(__file__).resolve().parents[2] / "docs" / "exchange.md"


def example(dtype: DTypeLike = np.float32, seed: int = 0) -> Sequential:
    """A bit of everything; the first dense layer has as many units as inputs, so that
    sizes cannot tell what was an image.
    """
    network = Sequential(
        [
            *(Input((5, 4, 2)), Conv2D(3, 2), BatchNormalization(), MaxPooling2D((2, 1))),
            *(Flatten(), Dropout(0.5), BatchNormalization(), Activation("relu")),
            *(Dense(18, activation="tanh"), BatchNormalization(), Dense(18), Dense(10)),
        ],
        dtype=dtype,
    )
    rng = np.random.default_rng(seed)
    network.params.flat[...] = rng.standard_normal(network.params.flat.shape)
    network.buffers.flat[...] = rng.random(network.buffers.flat.shape)
    return network


# --- axes -----------------------------------------------------------------------------------------


def test_a_flattened_image_is_sorted_by_channels_for_pytorch() -> None:
    network = Sequential([Input((1, 2, 3)), Flatten(), Dense(2)])
    network.params["W1"] = [
        [10, 20],  # first pixel: red,
        [11, 21],  # green,
        [12, 22],  # blue
        [13, 23],  # second pixel
        [14, 24],
        [15, 25],
    ]
    weight = to_torch(network)["dense.weight"]
    np.testing.assert_array_equal(weight, [[10, 13, 11, 14, 12, 15], [20, 23, 21, 24, 22, 25]])


def test_only_what_meets_the_image_is_sorted() -> None:
    network = example()
    given = to_torch(network)
    image = [3 * pixel + channel for channel in range(3) for pixel in range(6)]
    np.testing.assert_array_equal(
        given["batch_normalization_1.weight"], network.params["gamma3"][image]
    )
    np.testing.assert_array_equal(
        given["batch_normalization_1.running_var"], network.buffers["moving_variance3"][image]
    )
    np.testing.assert_array_equal(given["dense.weight"], network.params["W4"][image].T)
    for theirs, ours in {
        "batch_normalization.weight": network.params["gamma2"],
        "dense.bias": network.params["b4"],
        "batch_normalization_2.bias": network.params["beta5"],
        "dense_1.weight": network.params["W6"].T,
        "dense_1.bias": network.params["b6"],
    }.items():
        np.testing.assert_array_equal(given[theirs], ours)


def test_a_filter_in_pytorch() -> None:
    network = example()
    weight = to_torch(network)["conv2d.weight"]
    assert weight.shape == (3, 2, 2, 2)
    assert weight[2, 1, 0, 1] == network.params["W1"][0, 1, 1, 2]


def test_keras_has_our_axes() -> None:
    network = example()
    given = to_keras(network)
    assert len(given) == len(network.params) + len(network.buffers)
    expected = ["W1", "b1", "gamma2", "beta2", "moving_mean2", "moving_variance2", "gamma3"]
    for array, name in zip(given, expected, strict=False):
        np.testing.assert_array_equal(array, {**network.params, **network.buffers}[name])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_there_and_back(dtype: DTypeLike) -> None:
    network = example(dtype)
    for other in (example(dtype, seed=1), example(np.float32, seed=2)):
        weights = to_torch(network)
        assert {array.dtype for array in weights.values()} == {np.dtype(dtype)}
        from_torch(other, weights)
        np.testing.assert_allclose(other.params.flat, network.params.flat, rtol=1e-6)
        np.testing.assert_allclose(other.buffers.flat, network.buffers.flat, rtol=1e-6)
    other = example(dtype, seed=3)
    from_keras(other, to_keras(network))
    np.testing.assert_array_equal(other.params.flat, network.params.flat)
    np.testing.assert_array_equal(other.buffers.flat, network.buffers.flat)


def test_the_network_of_formulas() -> None:
    network, other = TwoLayerNet(6, 4, 3), TwoLayerNet(6, 4, 3)
    assert [array.shape for array in to_keras(network)] == [(6, 4), (4,), (4, 3), (3,)]
    assert {name: array.shape for name, array in to_torch(network).items()} == {
        "dense.weight": (4, 6),
        "dense.bias": (4,),
        "dense_1.weight": (3, 4),
        "dense_1.bias": (3,),
    }
    from_torch(other, to_torch(network, ["fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"]))
    np.testing.assert_array_equal(other.params.flat, network.params.flat)


def test_names_of_the_other_model_and_its_counters() -> None:
    network = Sequential([Input((3,)), BatchNormalization(), Dense(2)])
    names = ["norm.weight", "norm.bias", "norm.running_mean", "norm.running_var"]
    counted = [*names, "norm.num_batches_tracked", "out.weight", "out.bias"]
    given: dict[str, Any] = dict(to_torch(network, counted))
    assert list(given) == [*names, "out.weight", "out.bias"]
    given["norm.num_batches_tracked"] = np.array(7)
    from_torch(network, given)


# --- what is refused ------------------------------------------------------------------------------


def small() -> Sequential:
    return Sequential([Input((2, 2, 1)), Conv2D(3, 2), BatchNormalization(), Flatten(), Dense(2)])


def keras_weights(**changed: Any) -> list[Array]:
    weights = dict(zip("kbGBmvWc", to_keras(small()), strict=True))
    return [changed.get(name, array) for name, array in weights.items()]


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([], r"expected 8 arrays, conv2d.kernel, conv2d.bias, .*; received \[\]"),
        (keras_weights()[:-1], r"expected 8 arrays.*dense.bias; received \['number 0', 'number 1'"),
        (
            keras_weights(k=np.zeros((3, 1, 2, 2))),
            r"number 0 of shape \(2, 2, 1, 3\) for conv2d.kernel; received \(3, 1, 2, 2\)",
        ),
        (keras_weights(c=np.zeros(1)), r"of shape \(2,\) for dense.bias; received \(1,\)"),
        (keras_weights(b=[0, np.nan, 0]), r"expected finite numbers for conv2d.bias"),
        (keras_weights(b=["a", "b", "c"]), r"expected finite numbers for conv2d.bias"),
        (keras_weights(v=[1, -1, 1]), r"expected variances of at least 0 for .*moving_variance"),
    ],
)
def test_weights_that_are_not_its_own_change_nothing(weights: list[Array], message: str) -> None:
    network = small()
    before = network.params.flat.copy(), network.buffers.flat.copy()
    with pytest.raises(ValueError, match=message):
        from_keras(network, weights)
    np.testing.assert_array_equal(network.params.flat, before[0])
    np.testing.assert_array_equal(network.buffers.flat, before[1])


def test_a_pytorch_model_of_another_order() -> None:
    network = TwoLayerNet(3, 3, 3)
    names = ["a.weight", "a.bias", "b.weight", "b.bias"]
    with pytest.raises(ValueError, match=r"a bias for dense.bias; received 'b.weight': define the"):
        to_torch(network, ["a.weight", "b.weight", "a.bias", "b.bias"])
    with pytest.raises(ValueError, match="expected 4 arrays"):
        to_torch(network, names[:-1])
    state = dict(zip(names, to_torch(network).values(), strict=True))
    with pytest.raises(ValueError, match=r"expected a weight for dense\.weight"):
        from_torch(network, dict(sorted(state.items())))
    with pytest.raises(ValueError, match=r"b.weight of shape \(3, 3\) for dense_1.weight"):
        from_torch(network, state | {"b.weight": np.zeros((3, 4))})


@pytest.mark.parametrize(
    ("layers", "name"),
    [
        ([Maxout(3)], "maxout"),
        ([Reshape((28, 28, 1)), Subsampling2D(2), Flatten()], "subsampling2d"),
        (
            [Reshape((28, 28, 1)), Conv2D(2, 9, strides=9, connections=[[1, 1]]), Flatten()],
            "conv2d",
        ),
    ],
)
def test_layers_that_only_we_have(layers: list[Layer], name: str) -> None:
    network = Sequential([*layers, Dense(10)])
    with pytest.raises(ValueError, match=f"Keras has as well.*received '{name}': use export_onnx"):
        to_keras(network)
    with pytest.raises(ValueError, match="PyTorch has as well"):
        to_torch(network)


def test_a_row_that_becomes_images_of_several_channels() -> None:
    network = Sequential([Reshape((14, 14, 4)), Conv2D(2, 3), Flatten(), Dense(10)])
    assert len(to_keras(network)) == 4
    with pytest.raises(ValueError, match=r"one channel.*by reshape; received \(14, 14, 4\)"):
        to_torch(network)


# --- the page -------------------------------------------------------------------------------------


def examples(section: str) -> list[str]:
    """The Python in a section of docs/exchange.md."""
    _, _, rest = PAGE.read_text(encoding="utf-8").partition(f"\n## {section}\n")
    found = re.findall(r"```python\n(.*?)```", rest.partition("\n## ")[0], re.DOTALL)
    assert found, section
    return [str(code) for code in found]


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Network]:
    """Stand in a folder in which both networks of the page were trained."""
    networks = {}
    for name in ("two-layer", "lenet5"):
        network = networks[name] = RECIPES[name].build(np.random.default_rng(0))
        noise = np.random.default_rng(1).standard_normal(network.params.flat.shape)
        network.params.flat[...] += np.float32(0.05) * noise
        network.metadata = {"recipe": name}
        network.save(tmp_path / "runs" / name / "model.npz")
    monkeypatch.chdir(tmp_path)
    return networks


def digits(n: int) -> Array:
    return np.random.default_rng(2).random((n, 784), np.float32)


def test_numpy_on_the_page(trained: dict[str, Network], capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    by_hand, by_header = examples("NumPy alone")
    exec(by_hand, names)
    x = digits(5)
    np.testing.assert_allclose(names["predict"](x), trained["two-layer"].predict(x), atol=1e-6)
    exec(by_header, names)
    names["model"].close()
    printed = capsys.readouterr().out
    assert "{'class': 'Conv2D', 'filters': 6, 'kernel_size': [5, 5]" in printed
    assert "{'recipe': 'lenet5'}" in printed
    assert "W1 (5, 5, 1, 6)" in printed


def test_onnx_on_the_page(trained: dict[str, Network]) -> None:
    for package in ("onnx", "onnxruntime"):
        pytest.importorskip(package, reason="needs the extra `onnx`")
    names: dict[str, Any] = {}
    (code,) = examples("ONNX")
    exec(code, names)
    expected = trained["lenet5"].predict(names["images"])
    np.testing.assert_allclose(names["probabilities"], expected, atol=1e-5)
