"""Every recipe: its gradient is right, it can learn, and it is what its description says."""

import re
from typing import Any

import numpy as np
import pytest
from numpy.typing import DTypeLike, NDArray

from digits import Adam, OneCycle
from digits.data.synthetic_digits import generate
from digits.recipes import C3_SEES, MNIST_DEVIATION, MNIST_MEAN, RECIPES
from digits.types import Array
from functions import gradient_check
from train_net import main

every_recipe = pytest.mark.parametrize("name", RECIPES)


def built(name: str, dtype: DTypeLike = np.float32, **options: Any) -> Any:
    return RECIPES[name].build(np.random.default_rng(1), dtype, **options)


def batch(n: int, dtype: DTypeLike = np.float32) -> tuple[Array, NDArray[np.intp]]:
    """Blots of ink that no two samples share, with labels that cannot be told but learned."""
    rng = np.random.default_rng(2)
    x = rng.random((n, 784)) * (rng.random((n, 784)) < 0.3)
    return x.astype(dtype), rng.permutation(n) % 10


@every_recipe
def test_gradient(name: str) -> None:
    network = built(name, np.float64)
    weights = network.params.flat
    weights += 0.02 * np.random.default_rng(5).standard_normal(weights.shape)
    assert gradient_check(network, *batch(3, np.float64)) < 1e-6


@every_recipe
def test_a_step_of_its_own_optimizer_goes_down(name: str) -> None:
    recipe, network, (x, t) = RECIPES[name], built(name), batch(10)
    optimizer = recipe.optimizer(recipe.learning_rate, 100)
    schedule = optimizer.learning_rate
    rates = [schedule(step) for step in range(100)] if callable(schedule) else [schedule]
    assert max(rates) == pytest.approx(recipe.learning_rate)
    before = network.loss(x, t)
    for _ in range(3):
        optimizer.update(network.params, network.loss_and_gradient(x, t)[1])
    assert network.loss(x, t) < before


@every_recipe
def test_the_seed_decides(name: str) -> None:
    one, two = built(name), built(name)
    for network in (one, two):
        Adam().update(network.params, network.loss_and_gradient(*batch(4))[1])
    np.testing.assert_array_equal(one.params.flat, two.params.flat)
    other = RECIPES[name].build(np.random.default_rng(2), np.float32)
    assert not np.array_equal(other.params.flat, built(name).params.flat)


@every_recipe
def test_number_of_parameters(name: str) -> None:
    assert built(name).params.flat.size == RECIPES[name].parameters


def test_the_list_shows_every_description(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    text = capsys.readouterr().out
    for name, recipe in RECIPES.items():
        start = text.index(f"{name}\n")
        assert all(line in text[start:] for line in recipe.description().splitlines())


def test_initial_weights_are_those_of_the_sources() -> None:
    two_layer, conv = built("two-layer"), built("conv")
    assert two_layer.params["W1"].std() == pytest.approx(0.01, rel=0.02)
    assert not two_layer.params["b1"].any()
    # Keras' own, in the dense layer of 3,136 inputs and 1,024 units: uniform up to 0.03798.
    assert not conv.params["b3"].any()
    assert np.abs(conv.params["W3"]).max() == pytest.approx(np.sqrt(6 / 4160), rel=1e-4)
    assert conv.params["W3"].std() == pytest.approx(np.sqrt(2 / 4160), rel=0.01)


def test_pixels_are_standardized_by_the_first_layers() -> None:
    for name in ("mlp", "deep-mlp"):
        network = built(name)
        x = np.full((1, 784), MNIST_MEAN + MNIST_DEVIATION, np.float32)
        np.testing.assert_allclose(network.activations(x)[1][1], np.ones((1, 784)), rtol=1e-5)
    network = built("lenet5-1998")
    y = network.activations(np.ones((1, 784), np.float32))[2][1]
    assert y.shape == (1, 32, 32, 1)
    np.testing.assert_allclose(y[0, 0, :, 0], np.full(32, -0.1), rtol=1e-6)
    np.testing.assert_allclose(y[0, 2:-2, 2:-2], np.full((28, 28, 1), 1.175), rtol=1e-6)


def test_lenet5_of_1998_is_counted_as_in_its_paper() -> None:
    network = built("lenet5-1998")
    rows = re.findall(r"\((\w+)\)\s+\((.*?)\)\s+([\d,]+)", str(network))
    assert rows[3:] == [
        ("Conv2D", "None, 28, 28, 6", "156"),
        ("Subsampling2D", "None, 14, 14, 6", "12"),
        ("Conv2D", "None, 10, 10, 16", "1,516"),
        ("Subsampling2D", "None, 5, 5, 16", "32"),
        ("Conv2D", "None, 1, 1, 120", "48,120"),
        ("Flatten", "None, 120", "0"),
        ("Dense", "None, 84", "10,164"),
        ("Dense", "None, 10", "850"),
    ]


def test_the_connection_table_is_that_of_the_paper() -> None:
    # Table I of LeCun et al. 1998, read by its rows: which of the 16 maps see each map of S2.
    table = [
        "X   XXX  XXXX XX",
        "XX   XXX  XXXX X",
        "XXX   XXX  X XXX",
        " XXX  XXXX  X XX",
        "  XXX  XXXX XX X",
        "   XXX  XXXX XXX",
    ]
    network = built("lenet5-1998")
    connections = network.layers[5].get_config()["connections"]
    assert ["".join(" X"[seen] for seen in row) for row in connections] == table
    assert sum(map(len, C3_SEES)) == 60


def test_what_reads_photographs_has_an_eleventh_class() -> None:
    recipe, network = RECIPES["photo"], built("photo")
    assert network.classes == 11
    assert recipe.optimizer(0.006, 200).learning_rate == OneCycle(0.006, 200)
    digits, t = generate(100, np.random.default_rng(0))
    x = digits.reshape(-1, 784).astype(np.float32) / 255
    assert recipe.extend is not None and recipe.augment is not None
    images, labels = recipe.extend(x, t, np.random.default_rng(1))
    same = (images[:100] == x).all(axis=1)  # the others are made small and soft
    assert 0.75 < same.mean() < 1
    np.testing.assert_array_equal(labels[:100], t)
    assert images.shape[1:] == (784,) and len(images) == len(labels) >= 250
    assert images.dtype == np.float32
    assert (labels.dtype, labels.max()) == (t.dtype, 10)
    assert 90 <= (labels == 10).sum() <= 100
    changed = recipe.augment(images, np.random.default_rng(2))
    assert changed.dtype == np.float32
    assert 0 <= changed.min() <= changed.max() <= 1
