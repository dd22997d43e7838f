"""Networks come back from files to the last bit; files that describe none are refused."""

import math
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import DTypeLike
from test_npz import good, write_zip

from digits import (
    ActivationFunction,
    BatchNormalization,
    Dense,
    Input,
    Layer,
    MeanSquaredError,
    Sequential,
)
from digits.files import models
from digits.files.models import load_model, register_layer, save_model
from digits.files.npz import StorageError, save_arrays
from digits.nn.losses import LOSSES
from digits.types import Array
from two_layer_net import TwoLayerNet


def small(*layers: Layer, dtype: DTypeLike = np.float32, **options: Any) -> Sequential:
    stack: list[Layer | Input] = [Input((6,)), *layers, BatchNormalization(), Dense(3)]
    return Sequential(stack, rng=np.random.default_rng(0), dtype=dtype, **options)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["model.npz", "model", "деление 模型.npz"])
def test_the_network_of_formulas_comes_back(
    dtype: DTypeLike, name: str, tmp_path: Path, rng: np.random.Generator
) -> None:
    network = TwoLayerNet(6, 5, 4, rng=rng, dtype=dtype)
    network.metadata = {"recipe": "two-layer", "seed": 7, "test_accuracy": 0.9471, "note": "é"}
    network.save(str(tmp_path / name))
    loaded = TwoLayerNet.load(tmp_path / name)
    assert type(loaded) is TwoLayerNet
    assert loaded.params.flat.tobytes() == network.params.flat.tobytes()
    assert loaded.metadata == network.metadata
    x = rng.random((5, 6))
    assert loaded.predict(x).tobytes() == network.predict(x).tobytes()
    assert loaded.gradient(x, [0, 1, 2, 3, 0]).dtype == dtype  # it can be trained further


def test_a_network_of_another_class_is_named(tmp_path: Path) -> None:
    TwoLayerNet(6, 5, 4).save(tmp_path / "two.npz")
    small().save(tmp_path / "stack.npz")
    assert isinstance(load_model(tmp_path / "two.npz"), TwoLayerNet)
    with pytest.raises(StorageError, match=r"expected a Sequential.* a TwoLayerNet.*load_model"):
        Sequential.load(tmp_path / "two.npz")
    with pytest.raises(StorageError, match=r"expected a TwoLayerNet.* a Sequential.*load_model"):
        TwoLayerNet.load(tmp_path / "stack.npz")


@pytest.mark.parametrize("name", ["m.h5", "m.hdf5", "m.pkl", "m.KERAS", "m.onnx", "m.pt"])
def test_a_name_of_another_format_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"ending in \.npz.*export_onnx.*digits\.keras"):
        small().save(tmp_path / name)
    assert not list(tmp_path.iterdir())


class Power(Layer):
    """y = x ** exponent"""

    def __init__(self, exponent: int) -> None:
        super().__init__()
        self.exponent = exponent

    def forward(self, x: Array, training: bool = False) -> Array:
        return x**self.exponent

    def get_config(self) -> dict[str, Any]:
        return {"exponent": self.exponent}


@pytest.fixture(autouse=True)
def same_layers_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "LAYERS", dict(models.LAYERS))


def test_a_layer_of_ones_own_is_loaded_once_it_is_registered(tmp_path: Path) -> None:
    network, x = small(Power(3)), np.random.default_rng(0).random((4, 6))
    save_model(network, tmp_path / "model.npz")
    with pytest.raises(StorageError, match=r"received 'Power': .*register_layer") as caught:
        load_model(tmp_path / "model.npz")
    assert "another copy" not in str(caught.value)  # there is nothing wrong with this one
    assert register_layer(Power) is Power
    register_layer(Power)  # a cell of a notebook that is run again
    np.testing.assert_array_equal(load_model(tmp_path / "model.npz").predict(x), network.predict(x))


def test_functions_of_ones_own_are_shown_but_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = ActivationFunction("exp", np.exp, lambda dy, y: dy * y)
    network = small(Dense(4, own))
    assert "exp" in repr(network) and len(network.get_weights()) == 8
    with pytest.raises(ValueError, match=r"name='exp'.*a layer class of your own"):
        network.save(tmp_path / "model.npz")
    loss = type("Mine", (MeanSquaredError,), {})
    small(loss=loss()).save(tmp_path / "model.npz")
    with pytest.raises(StorageError, match=r"received 'Mine': .*LOSSES"):
        load_model(tmp_path / "model.npz")
    monkeypatch.setitem(LOSSES, "mine", loss)
    assert isinstance(Sequential.load(tmp_path / "model.npz").loss_name, loss)


def test_metadata_may_hold_numbers_of_numpy(tmp_path: Path) -> None:
    network = small()
    network.metadata = {"score": np.float32(0.5), "counts": np.arange(3)}
    network.save(tmp_path / "model.npz")
    assert load_model(tmp_path / "model.npz").metadata == {"score": 0.5, "counts": [0, 1, 2]}
    network.metadata["path"] = tmp_path
    with pytest.raises(ValueError, match=r"expected texts, numbers, .*received .*: make it one"):
        network.save(tmp_path / "model.npz")


def test_what_cannot_be_registered() -> None:
    for no_layer in (Dense(3), dict, "Dense"):
        with pytest.raises(ValueError, match="expected a class derived from Layer"):
            register_layer(no_layer)  # type: ignore[type-var]
    with pytest.raises(ValueError, match="received 'Dense': rename"):
        register_layer(type("Dense", (Layer,), {}))
    register_layer(Dense)
    assert models.LAYERS["Dense"] is Dense


DENSE: dict[str, Any] = {"class": "Dense", "units": 3}
GOOD: dict[str, Any] = {"class": "Sequential", "loss": "cross_entropy"}
GOOD |= {"input_shape": [6], "layers": [DENSE]}


def arrays(**changes: Array) -> dict[str, Array]:
    return {"W1": np.zeros((6, 3), np.float32), "b1": np.zeros(3, np.float32), **changes}


def written(
    folder: Path, network: Any = GOOD, numbers: dict[str, Array] | None = None, **header: Any
) -> Path:
    """A model file of which anything may be wrong."""
    path = folder / "model.npz"
    numbers = arrays() if numbers is None else numbers
    save_arrays(path, "model", {"network": network, "about": {}, **header}, numbers)
    return path


def refused(path: Path, message: str) -> None:
    """The file is refused in one sentence that names it, with little memory."""
    TwoLayerNet(1, 1, 1)  # takes memory once in a process
    tracemalloc.start()
    try:
        with pytest.raises(StorageError, match=message) as caught:
            load_model(path)
        assert tracemalloc.get_traced_memory()[1] < 5e6
    finally:
        tracemalloc.stop()
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_the_good_file_is_taken(tmp_path: Path) -> None:
    assert load_model(written(tmp_path)).predict(np.zeros((1, 6))).shape == (1, 3)


def test_arrays_that_do_not_fit_the_description(tmp_path: Path) -> None:
    refused(written(tmp_path, numbers={}), "expected arrays W1, b1; found none")
    refused(written(tmp_path, numbers=arrays(W2=np.zeros((3, 3)))), "found W1, W2, b1")
    network = {"class": "TwoLayerNet", "sizes": [6, 5, 4]}
    refused(written(tmp_path, network), "expected arrays W1, W2, b1, b2; found W1, b1")


def layered(*layers: Any, shape: Any = (6,)) -> dict[str, Any]:
    return {**GOOD, "layers": [*layers, {"class": "Flatten"}, DENSE], "input_shape": shape}


CONV = {"class": "Conv2D", "filters": 2}
SIZES = ([6, 5], ["6", "5", "4"], [6.0, 5.0, 4.0], [-6, -5, 4], [6, 0, 4], [10**9, 10**9, 10])
BAD_DESCRIPTIONS: dict[str, Any] = {
    **{f"sizes {sizes}": {"class": "TwoLayerNet", "sizes": sizes} for sizes in SIZES},
    **{f"no {key}": {k: GOOD[k] for k in GOOD if k != key} for key in GOOD},
    **{f"layers {some}": {**GOOD, "layers": some} for some in ([], ["Dense"], [{"units": 3}])},
    **{f"inputs {shape}": {**GOOD, "input_shape": [shape]} for shape in (6.0, -6, 10**12)},
    "empty": {},
    "another class": {**GOOD, "class": "Network"},
    "unknown loss": {**GOOD, "loss": "mse"},
    "unknown layer": layered({"class": "Lambda", "function": "os.system('true')"}),
    "base class": layered({"class": "Layer"}),
    "class of builtins": layered({"class": "eval"}),
    "unknown argument": layered({**DENSE, "hidden": 1}),
    "argument of another kind": layered({**DENSE, "units": "3"}),
    "fractional units": layered({**DENSE, "units": 3.0}),
    "units missing": layered({"class": "Dense"}),
    "unknown activation": layered({**DENSE, "activation": "__import__"}),
    "unknown initializer": layered({**DENSE, "kernel_initializer": "x"}),
    "rate": layered({"class": "Dropout", "rate": 2}),
    "scale too large": layered({"class": "Rescaling", "scale": 10**400}),
    "mean too large": layered({"class": "Normalization", "mean": 10**400}),
    "target": layered({"class": "Reshape", "target_shape": [-2, -3]}),
    "images from rows": layered({**CONV, "kernel_size": 3}),
    "connections": layered({**CONV, "kernel_size": 1, "connections": [[1], [2]]}, shape=(4, 4, 1)),
    "huge units": layered({**DENSE, "units": 10**12}),
    "huge pieces": layered({"class": "Maxout", "units": 10**6, "pieces": 10**6}),
    "huge images": layered(
        {"class": "AveragePooling2D", "pool_size": [2, 20_000], "padding": "same"},
        shape=(20_000, 20_000, 1),
    ),
    "huge kernel": layered({**CONV, "kernel_size": 10**5, "padding": "same"}, shape=(28, 28, 1)),
    "huge padding": layered({"class": "ZeroPadding2D", "padding": 10**6}, shape=(28, 28, 1)),
    "huge normalization": layered({"class": "BatchNormalization"}, shape=(2, 10**12)),
    "larger than a float": layered(
        {"class": "MaxPooling2D", "padding": "same"}, shape=(10**400, 2, 1)
    ),
    "71 dimensions": layered({"class": "Reshape", "target_shape": [1] * 70 + [6]}),
}


@pytest.mark.parametrize("network", BAD_DESCRIPTIONS.values(), ids=BAD_DESCRIPTIONS)
def test_descriptions_that_do_not_fit(network: Any, tmp_path: Path) -> None:
    refused(written(tmp_path, network), "expected|cannot be built")


@pytest.mark.parametrize(
    "layer",
    [
        {"class": "Rescaling", "scale": 1, "offset": math.inf},
        *({"class": "Rescaling", "scale": math.nan}, {"class": "Normalization", "mean": math.nan}),
        {"class": "BatchNormalization", "epsilon": math.inf},
        {"class": "Dropout", "rate": math.nan},
    ],
    ids=lambda layer: layer["class"],
)
def test_numbers_in_a_description_that_are_not_finite(layer: Any, tmp_path: Path) -> None:
    # What Python writes as JSON may hold NaN; `save_arrays` itself would refuse to.
    write_zip(tmp_path / "model.npz", {}, good(network=layered(layer), about={}))
    refused(tmp_path / "model.npz", "expected")


@pytest.mark.parametrize("about", [5, "mine", [1], None])
def test_metadata_that_are_none(about: Any, tmp_path: Path) -> None:
    refused(written(tmp_path, about=about), "expected .*header")


def test_variances_below_0(tmp_path: Path) -> None:
    names = ("gamma1", "beta1", "moving_mean1", "moving_variance1")
    numbers = {**{name: -np.ones(6) for name in names}, "W2": np.zeros((6, 3)), "b2": np.zeros(3)}
    network = {**GOOD, "layers": [{"class": "BatchNormalization"}, DENSE]}
    refused(written(tmp_path, network, numbers), "moving_variance1 holds variances below 0")
