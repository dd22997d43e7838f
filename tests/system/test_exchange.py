"""The examples in docs/exchange.md: the same predictions in NumPy, ONNX, Keras and PyTorch."""

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from digits.files.models import load_model
from digits.nn.network import Network
from digits.recipes import MNIST_DEVIATION, MNIST_MEAN, RECIPES
from digits.types import Array
from functions import softmax

PAGE = Path(__file__).resolve().parents[2] / "docs" / "exchange.md"


def examples(section: str) -> list[str]:
    _, _, rest = PAGE.read_text(encoding="utf-8").partition(f"\n## {section}\n")
    found = re.findall(r"```python\n(.*?)```", rest.partition("\n## ")[0], re.DOTALL)
    assert found, section
    return [str(code) for code in found]


def after(section: str) -> dict[str, Any]:
    """The names that the Python in a section leaves."""
    names: dict[str, Any] = {}
    exec("".join(examples(section)), names)
    return names


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
    assert "{'recipe': 'lenet5'}" in printed and "W1 (5, 5, 1, 6)" in printed


def test_onnx_on_the_page(trained: dict[str, Network]) -> None:
    for package in ("onnx", "onnxruntime"):
        pytest.importorskip(package, reason="needs the extra `onnx`")
    names = after("ONNX")
    expected = trained["lenet5"].predict(names["images"])
    np.testing.assert_allclose(names["probabilities"], expected, atol=1e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_keras_on_the_page(trained: dict[str, Network]) -> None:
    os.environ.setdefault("KERAS_BACKEND", "torch")
    for package in ("torch", "keras.layers"):  # `keras` alone is found as the folder tests/keras
        pytest.importorskip(package, reason="needs the extra `parity`")
    names = after("Keras")
    x = digits(5)
    expected = trained["lenet5"].predict(x)
    np.testing.assert_allclose(names["model"].predict(x, verbose=0), expected, atol=1e-5)
    np.testing.assert_array_equal(load_model("from_keras.npz").predict(x), expected)


@pytest.mark.slow
def test_pytorch_on_the_page(trained: dict[str, Network]) -> None:
    torch = pytest.importorskip("torch", reason="needs the extra `parity`")
    names = after("PyTorch")
    x = digits(5)
    expected = trained["lenet5"].predict(x)
    pixels = ((x - MNIST_MEAN) / MNIST_DEVIATION).astype(np.float32)
    with torch.no_grad():
        y = softmax(names["model"](torch.from_numpy(pixels)).numpy())
    np.testing.assert_allclose(y, expected, atol=1e-5)
    np.testing.assert_array_equal(load_model("from_torch.npz").predict(x), expected)
