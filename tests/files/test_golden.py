"""Files that earlier versions wrote load for ever: they are never made anew."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_layers import LIBRARY_LAYERS
from tiny_data import digits, fit, small_with_dropout

from digits import Adam, Sequential, load_model
from digits.files.npz import VERSION
from digits.runs import RunConfig
from digits.training.checkpoints import load_checkpoint

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
VERSIONS = [GOLDEN / f"version-{number}" for number in range(1, VERSION + 1)]

versions = pytest.mark.parametrize("folder", VERSIONS, ids=lambda folder: folder.name)


def test_every_version_of_the_format_has_its_files() -> None:
    assert sorted(GOLDEN.glob("version-*")) == VERSIONS


@versions
@pytest.mark.parametrize(
    ("name", "dtype"),
    [("every-layer", "float32"), ("every-layer-float64", "float64"), ("two-layer", "float32")],
)
def test_a_model_predicts_as_it_did(folder: Path, name: str, dtype: str) -> None:
    network = load_model(folder / f"{name}.npz")
    with np.load(folder / "expected.npz") as expected:
        x, y = expected["x"].astype(dtype), expected[name]
    assert network.params.dtype == dtype
    assert np.ptp(y, axis=0).max() > 0.05  # different outputs for different inputs
    np.testing.assert_allclose(network.predict(x), y, rtol=0, atol=1e-6)


def test_the_newest_model_holds_every_layer() -> None:
    network = load_model(VERSIONS[-1] / "every-layer.npz")
    assert isinstance(network, Sequential)
    assert {type(layer) for layer in network.layers} == LIBRARY_LAYERS
    assert network.metadata == {"recipe": "every layer", "note": "数字"}
    assert network.label_smoothing == 0.1


@versions
def test_a_checkpoint_is_what_it_was_and_goes_on(folder: Path) -> None:
    path = folder / "checkpoint.npz"
    run = RunConfig.of_checkpoint(path)
    assert (run.recipe, run.dropout) == ("conv", 0.5)
    network, optimizer = small_with_dropout(np.random.default_rng()), Adam(0.01)
    history = load_checkpoint(path, network, optimizer)
    with np.load(folder / "expected.npz") as expected:
        x, y, losses = (expected[n] for n in ("digits", "checkpoint", "checkpoint losses"))
    assert optimizer.iterations == len(losses) == 12
    np.testing.assert_array_equal(history.losses, losses)
    assert [record.epoch for record in history.epochs] == [1, 2, 3]

    latest, rng_state = network.params.flat.copy(), network.rng.bit_generator.state
    assert history.best_weights is not None
    network.params.flat[...], network.buffers.flat[...] = history.best_weights
    np.testing.assert_allclose(network.predict(x), y, rtol=0, atol=1e-6)

    network.params.flat[...] = latest
    options: dict[str, Any] = {"batch_size": 20, "iterations": 20, "seed": 3}
    fit(network, digits(100, 20, 30), optimizer, history=history, **options)
    assert network.rng.bit_generator.state != rng_state
    assert [record.epoch for record in history.epochs] == [1, 2, 3, 4]
    assert history.losses[:12] == losses.tolist()
