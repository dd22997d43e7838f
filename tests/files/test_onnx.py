"""Networks as ONNX files: another runtime gives the same probabilities (the extra `onnx`)."""

import copy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import DTypeLike
from test_layers import CASES, title

from digits import RECIPES, Conv2D, Input, Layer, Sequential
from digits import evaluate as evaluate_net
from digits.data.synthetic_digits import generate
from digits.nn.activations import ACTIVATIONS
from digits.nn.layers import Activation, BatchNormalization, Dense, Dropout, Flatten, Rescaling
from digits.nn.network import LayerArrays, Network
from digits.nn.pooling import AveragePooling2D, MaxPooling2D, ZeroPadding2D
from digits.types import Array, Shape
from two_layer_net import TwoLayerNet


@pytest.fixture
def onnx() -> Any:
    return pytest.importorskip("onnx", reason="onnx is not installed (the extra `onnx`)")


@pytest.fixture
def runtime(onnx: Any) -> Any:
    return pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")


def run_onnx(runtime: Any, path: Path, x: Array) -> Array:
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (source,), (result,) = session.get_inputs(), session.get_outputs()
    assert (source.name, source.type) == ("images", "tensor(float)")
    assert (result.name, result.type) == ("probabilities", "tensor(float)")
    assert source.shape == ["n", *x.shape[1:]]
    return session.run(["probabilities"], {"images": x})[0]


def randomized(network: Sequential) -> Sequential:
    """The network with random numbers added to all of its arrays, as if trained."""
    rng = np.random.default_rng(3)
    network.params.flat[...] += 0.2 * rng.standard_normal(network.params.flat.shape)
    network.buffers.flat[...] = rng.uniform(0.3, 2, network.buffers.flat.shape)
    return network


@pytest.mark.parametrize(("layer", "shape"), CASES, ids=title)
def test_layers(layer: Layer, shape: Shape, runtime: Any, tmp_path: Path) -> None:
    stack: list[Layer | Input] = [Input(shape), copy.deepcopy(layer), Flatten(), Dense(7)]
    network = randomized(Sequential(stack, rng=np.random.default_rng(0)))
    x = np.random.default_rng(1).standard_normal((5, *shape)).astype(np.float32)
    network.export_onnx(tmp_path / "layer.onnx")
    y = run_onnx(runtime, tmp_path / "layer.onnx", x)
    np.testing.assert_allclose(y, network.predict(x), rtol=0, atol=1e-6)
    assert y.std() > 0.01  # so that the agreement says something


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_of_images_as_onnx_wants_them(name: str, runtime: Any, tmp_path: Path) -> None:
    """Between two layers with kernels nothing is transposed, and softmax has to know."""
    layers: list[Layer | Input] = [Input((8, 9, 2)), Conv2D(3, 2), Activation(name)]
    layers += [MaxPooling2D(2), Dropout(0.5)]
    layers += [Rescaling(0.5, 0.1), ZeroPadding2D((1, 2)), BatchNormalization()]
    layers += [Conv2D(4, 2, activation=name), AveragePooling2D((1, 2)), Flatten(), Dense(7)]
    network = randomized(Sequential(layers, rng=np.random.default_rng(0)))
    x = np.random.default_rng(1).standard_normal((3, 8, 9, 2)).astype(np.float32)
    network.export_onnx(tmp_path / "images.onnx")
    y = run_onnx(runtime, tmp_path / "images.onnx", x)
    np.testing.assert_allclose(y, network.predict(x), rtol=0, atol=1e-6)


def trained_a_little(name: str, dtype: DTypeLike = np.float32) -> Network:
    network = RECIPES[name].build(np.random.default_rng(0), dtype)
    rng = np.random.default_rng(1)
    network.params.flat[...] += 0.02 * rng.standard_normal(network.params.flat.shape)
    network.buffers.flat[...] += rng.uniform(0, 0.5, network.buffers.flat.shape)
    return network


@pytest.mark.parametrize("name", RECIPES)
def test_recipes(name: str, runtime: Any, tmp_path: Path) -> None:
    network = trained_a_little(name)
    images, _ = generate(40, np.random.default_rng(0))
    x = (images / np.float32(255)).reshape(-1, 784)
    network.export_onnx(tmp_path / "recipe.onnx")
    for n in (1, 2, 40):
        y = run_onnx(runtime, tmp_path / "recipe.onnx", x[:n])
        np.testing.assert_allclose(y, network.predict(x[:n]), rtol=0, atol=1e-5)


def test_what_a_file_says_of_itself(onnx: Any, tmp_path: Path) -> None:
    network = trained_a_little("lenet5")
    network.metadata = {"recipe": "lenet5", "dataset": "mnist", "test_accuracy": 0.99}
    network.export_onnx(tmp_path / "here" / "net.onnx")
    model = onnx.load(tmp_path / "here" / "net.onnx")
    onnx.checker.check_model(model, full_check=True)
    about = {entry.key: entry.value for entry in model.metadata_props}
    assert about == {"recipe": "lenet5", "dataset": "mnist", "test_accuracy": "0.99"}
    assert (model.graph.name, model.producer_name) == ("lenet5", "digits-from-scratch")
    weights = {entry.name: onnx.numpy_helper.to_array(entry) for entry in model.graph.initializer}
    np.testing.assert_array_equal(weights["dense_2.b"], network.params["b5"])
    operators = [node.op_type for node in model.graph.node]
    assert operators.count("Transpose") == 2  # there and back, once
    assert [op for op in operators if op in ("Conv", "AveragePool", "Gemm")] == [
        *["Conv", "AveragePool"] * 2,
        *["Gemm"] * 3,
    ]


def test_without_onnx_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    network = TwoLayerNet(4, 3, 2)
    with pytest.raises(ImportError, match=r"pip install onnx"):
        network.export_onnx(tmp_path / "net.onnx")
    network.save(tmp_path / "model.npz")
    arguments = [str(tmp_path / "model.npz"), "--export-onnx", str(tmp_path / "net.onnx")]
    assert evaluate_net.main(arguments) == 1
    assert "pip install onnx" in capsys.readouterr().err
    assert not (tmp_path / "net.onnx").exists()


def test_a_layer_of_ones_own_is_refused(tmp_path: Path) -> None:
    class Doubling(Layer):
        pass

    network = Sequential([Doubling(), Dense(10)])
    with pytest.raises(ValueError, match=r"expected layers that have ONNX.*received 'Doubling'"):
        network.export_onnx(tmp_path / "net.onnx")


def test_more_than_a_file_holds_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = TwoLayerNet(4, 3, 2)
    W = np.broadcast_to(np.float32(0), (2**15, 2**15))
    layers = [LayerArrays("dense", {"class": "Dense"}, {"W": W}, W.shape[:1], W.shape[1:])]
    monkeypatch.setattr(network, "layer_arrays", lambda: layers)
    with pytest.raises(ValueError, match=r"at most 2,147,483,647 bytes.*4,294,967,296"):
        network.export_onnx(tmp_path / "net.onnx")


def test_the_command_line(runtime: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    network = trained_a_little("mlp-adam")
    network.save(tmp_path / "model.npz")
    out = tmp_path / "net.onnx"
    assert evaluate_net.main([str(tmp_path / "model.npz"), "--export-onnx", str(out)]) == 0
    assert capsys.readouterr().out == f"wrote {out}\n"
    x = np.random.default_rng(0).random((3, 784)).astype(np.float32)
    np.testing.assert_allclose(run_onnx(runtime, out, x), network.predict(x), rtol=0, atol=1e-6)
