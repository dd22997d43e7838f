"""Looking inside, checked against what a changed network or image does to the logits."""

from base64 import b64decode
from typing import Any

import numpy as np
import pytest

from digits import RECIPES, AveragePooling2D, Conv2D, MaxPooling2D, Sequential, ZeroPadding2D
from digits.nn.layers import Activation, BatchNormalization, Dense, Flatten, Reshape
from digits.nn.network import Network
from digits.page.inspection import Inspector
from digits.types import Array
from functions import numerical_gradient
from two_layer_net import TwoLayerNet


@pytest.fixture
def image(rng: np.random.Generator) -> Array:
    return rng.random(784, dtype=np.float32)


def networks(rng: np.random.Generator) -> dict[str, Network]:
    return {
        "two-layer": TwoLayerNet(784, 20, 10, rng=rng),
        "padded": Sequential(
            [
                *(Reshape((28, 28, 1)), ZeroPadding2D(2), Conv2D(3, 5, padding="same", strides=2)),
                *(Activation("relu"), MaxPooling2D(2)),
                *(Conv2D(4, 3, padding="same", activation="tanh"), BatchNormalization()),
                *(AveragePooling2D(3, strides=2), Flatten(), Dense(12, activation="relu")),
                Dense(10),
            ],
            rng=rng,
        ),
        "lenet5-1998": RECIPES["lenet5-1998"].build(rng),
        "fast": RECIPES["fast"].build(rng),
    }


def values(tiles: dict[str, Any]) -> Array:
    """Tiles as (maps, height, width)."""
    steps = np.frombuffer(b64decode(tiles["values"]), np.int8) * tiles["largest"] / 127
    return steps.reshape(tiles["maps"], tiles["height"], tiles["width"])


@pytest.mark.parametrize("name", ["two-layer", "padded", "lenet5-1998", "fast"])
def test_receptive_fields(name: str, image: Array, rng: np.random.Generator) -> None:
    """Pixels outside of a receptive field change nothing; those of its edges may."""
    inspector = Inspector(networks(rng)[name])
    outputs = inspector.forward(image[np.newaxis])
    for layer, y in enumerate(outputs):
        if y.ndim != 4:
            continue
        for row, column in {(0, 0), (y.shape[1] // 2, y.shape[2] - 1)}:
            top, left, bottom, right = inspector.receptive_field(layer, row, column)
            noise = rng.random((28, 28), dtype=np.float32)
            noise[top:bottom, left:right] = image.reshape(28, 28)[top:bottom, left:right]
            outside = inspector.forward(noise.reshape(1, 784))[layer]
            assert np.allclose(outside[0, row, column], y[0, row, column], atol=1e-5)
    assert inspector.receptive_field(len(outputs) - 1, 0, 0) == (0, 0, 28, 28)


def test_the_receptive_field_of_a_stack(rng: np.random.Generator) -> None:
    """5x5, then pooling by 2, then 5x5: 5 + 1 + 4 * 2 = 14 pixels."""
    inspector = Inspector(RECIPES["fast"].build(rng))
    conv = [i for i, kind in enumerate(inspector.kinds) if kind == "Conv2D"]
    assert inspector.receptive_field(conv[0], 3, 4) == (3, 4, 8, 9)
    assert inspector.receptive_field(conv[1], 0, 2) == (0, 4, 14, 18)


@pytest.mark.parametrize("name", ["two-layer", "padded"])
def test_contributions_of_the_last_layer_are_exact(
    name: str, image: Array, rng: np.random.Generator
) -> None:
    network = networks(rng)[name]
    network.params.flat[...] += 0.01
    inspector = Inspector(network)
    hidden = len(inspector.stack) - 2
    count = inspector.stack[hidden].output_shape[0]
    told = [inspector.unit(image, hidden, unit, 0, 0) for unit in range(count)]
    added = np.sum([unit["contributions"] for unit in told], axis=0)
    bias = inspector.stack[-1].weights["b"]
    assert np.allclose(added + bias, inspector.forward(image[np.newaxis])[-1][0], atol=1e-4)


def test_contributions_are_a_taylor_series(image: Array, rng: np.random.Generator) -> None:
    """A little more of one unit changes the logits as its contributions say."""
    inspector = Inspector(networks(rng)["padded"])
    layer, place = 5, (3, 4, 2)  # a convolution with tanh
    told = inspector.unit(image, layer, place[2], place[0], place[1])
    y = inspector.forward(image[np.newaxis])[layer]
    logits = []
    for factor in (1.01, 0.99):
        changed = y.copy()
        changed[0, *place] *= factor
        for after in inspector.stack[layer + 1 :]:
            changed = after.forward(changed)
        logits.append(changed[0])
    assert np.allclose((logits[0] - logits[1]) / 0.02, told["contributions"], atol=2e-3)


def test_weights_of_a_unit(image: Array, rng: np.random.Generator) -> None:
    two = networks(rng)["two-layer"]
    shown = values(Inspector(two).unit(image, 0, 7, 0, 0)["weights"])
    assert np.allclose(shown[0].ravel(), two.params["W1"][:, 7], atol=1e-3)

    inspector = Inspector(networks(rng)["padded"])
    kernel = inspector.stack[5].weights["W"]
    for layer in (5, 6, 7):  # the convolution, and those that make map 2 of its map 2
        shown = values(inspector.unit(image, layer, 2, 0, 0)["weights"])
        assert np.allclose(shown, kernel[..., 2].transpose(2, 0, 1), atol=0.01)
    dense = inspector.stack[9].weights["W"][:, 3].reshape(inspector.stack[8].input_shape)
    shown = values(inspector.unit(image, 9, 3, 0, 0)["weights"])
    assert np.allclose(shown, dense.transpose(2, 0, 1), atol=0.01)


def test_weights_where_not_all_maps_are_seen(image: Array, rng: np.random.Generator) -> None:
    inspector = Inspector(RECIPES["lenet5-1998"].build(rng))
    c3 = [i for i, kind in enumerate(inspector.kinds) if kind == "Conv2D"][1]
    shown = values(inspector.unit(image, c3, 0, 0, 0)["weights"])
    assert shown.shape == (6, 5, 5)
    assert [bool(np.any(kernel)) for kernel in shown] == [True, True, True, False, False, False]


@pytest.mark.parametrize("name", ["two-layer", "padded"])
def test_steps_end_at_the_pixels(name: str, image: Array, rng: np.random.Generator) -> None:
    network = networks(rng)[name]
    told = Inspector(network).steps(image, 4)
    steps = told["steps"]
    assert [step["phase"] for step in steps].count("loss") == 1
    assert np.isclose(told["loss"], network.loss(image[np.newaxis], [4]), rtol=1e-4)
    shown = values(steps[-1])[0].ravel()
    exact = network.astype(np.float64)
    brightest = np.abs(shown).argsort()[-3:]
    x = image.astype(np.float64)[np.newaxis]
    slopes = numerical_gradient(lambda x: exact.loss(x, [4]), x, entries=brightest).ravel()
    assert np.allclose(slopes[brightest], shown[brightest], atol=steps[-1]["largest"] / 100)
    gradient = network.gradient(image[np.newaxis], [4])
    last = next(step for step in steps if step["phase"] == "backward")
    name_of_last = list(network.params)[-2]
    assert np.isclose(last["norms"]["W"], np.linalg.norm(gradient[name_of_last]), rtol=1e-3)


def test_reasons(image: Array, rng: np.random.Generator) -> None:
    """A network that looks at one corner: that is where its answer rests on."""
    network = TwoLayerNet(784, 2, 10, rng=rng)
    network.params.flat[...] = 0
    weights = network.params["W1"].reshape(28, 28, 2)
    weights[:4, :4, 0] = 0.3
    network.params["W2"][0, 6] = 5
    told = Inspector(network).reasons(image)
    assert told["answer"] == 6
    saliency, occlusion = values(told["saliency"])[0], values(told["occlusion"])[0]
    assert saliency[:4, :4].min() > 0
    assert np.abs(saliency).sum() == pytest.approx(saliency[:4, :4].sum())
    assert occlusion[:3, :3].min() > 0 and not occlusion[4:].any()


def test_the_network_itself_is_left_alone(image: Array, rng: np.random.Generator) -> None:
    network = networks(rng)["padded"]
    before, buffers = network.params.flat.copy(), network.buffers.flat.copy()
    inspector = Inspector(network)
    inspector.steps(image, 1)
    inspector.reasons(image)
    assert (network.params.flat == before).all()
    assert (network.buffers.flat == buffers).all()
