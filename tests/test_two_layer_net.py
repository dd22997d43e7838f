"""The network with every formula written out, against fifty digits and central differences."""

from typing import Any

import mpmath
import numpy as np
import pytest
from mpmath import mpf
from numpy.typing import ArrayLike

from digits.types import Array
from functions import directional_error, gradient_check, softmax, to_one_hot
from two_layer_net import TwoLayerNet

NAMES = ["W1", "b1", "W2", "b2"]


@pytest.fixture
def network(rng: np.random.Generator) -> TwoLayerNet:
    """6-5-4 in float64, with weights and biases large enough to bend every sigmoid."""
    network = TwoLayerNet(6, 5, 4, weight_init_std=1, rng=rng, dtype=np.float64)
    network.params["b1"] = rng.normal(size=5)
    network.params["b2"] = rng.normal(size=4)
    return network


@pytest.fixture
def batch(rng: np.random.Generator) -> tuple[Array, Array]:
    return rng.random((9, 6)), rng.integers(0, 4, 9)


def relative_errors(network: TwoLayerNet, x: Array, t: ArrayLike) -> dict[str, float]:
    """|numerical - backpropagated| / |numerical|, for each array of parameters."""
    backpropagated, numerical = network.gradient(x, t), network.numerical_gradient(x, t)
    assert list(backpropagated) == list(numerical) == list(network.params) == NAMES
    norm = np.linalg.norm
    return {n: float(norm(numerical[n] - backpropagated[n]) / norm(numerical[n])) for n in NAMES}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("sizes", [(6, 5, 4), (3, 7, 10), (1, 1, 2), (2, 1, 3)])
def test_gradients_agree_for_any_sizes_and_data(sizes: tuple[int, int, int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    network = TwoLayerNet(*sizes, weight_init_std=1, rng=rng, dtype=np.float64)
    n = int(rng.integers(1, 12))
    x, t = rng.random((n, sizes[0])), rng.integers(0, sizes[2], n)
    errors = relative_errors(network, x, t)
    assert max(errors.values()) < 1e-7, errors


def test_gradients_agree_along_random_directions(rng: np.random.Generator) -> None:
    """39,760 weights are too many to nudge one by one; every array is tried along directions."""
    network = TwoLayerNet(784, 50, 10, rng=rng, dtype=np.float64)
    x, t = rng.random((100, 784)), rng.integers(0, 10, 100)
    grads = network.gradient(x, t)
    for name, array in network.params.items():
        assert directional_error(lambda _: network.loss(x, t), array, grads[name], rng=rng) < 1e-7
    assert gradient_check(network, x, t) < 1e-7


def test_loss_and_gradient(network: TwoLayerNet, batch: tuple[Array, Array]) -> None:
    loss, grads = network.loss_and_gradient(*batch)
    assert loss == network.loss(*batch)
    np.testing.assert_array_equal(grads.flat, network.gradient(*batch).flat)
    scaled, quarter = network.loss_and_gradient(*batch, scale=0.25)
    assert scaled == loss
    np.testing.assert_allclose(quarter.flat, 0.25 * grads.flat, rtol=1e-12)


def test_predicting_changes_nothing(network: TwoLayerNet, batch: tuple[Array, Array]) -> None:
    x, t = batch
    before = network.params.flat.tobytes(), x.tobytes(), t.tobytes()
    network.predict(x), network.loss(x, t), network.accuracy(x, t)
    network.gradient(x, t), network.numerical_gradient(x, t)
    assert (network.params.flat.tobytes(), x.tobytes(), t.tobytes()) == before


def test_predictions_and_loss_to_fifty_digits(
    network: TwoLayerNet, batch: tuple[Array, Array]
) -> None:
    x, t = batch
    W1, b1, W2, b2 = (network.params[name].tolist() for name in NAMES)

    def layer(x: list[Any], W: list[list[float]], b: list[float]) -> list[Any]:
        columns = zip(*W, strict=True)
        return [mpmath.fdot(x, column) + mpf(b_j) for column, b_j in zip(columns, b, strict=True)]

    y, losses = network.predict(x), []
    with mpmath.workdps(50):
        for row, label, probabilities in zip(x.tolist(), t.tolist(), y.tolist(), strict=True):
            z1 = [1 / (1 + mpmath.exp(-a)) for a in layer([mpf(v) for v in row], W1, b1)]
            e = [mpmath.exp(a) for a in layer(z1, W2, b2)]
            right = [v / sum(e) for v in e]
            np.testing.assert_allclose(probabilities, np.array(right, dtype=float), rtol=1e-14)
            losses.append(-mpmath.log(right[label]))
        assert network.loss(x, t) == pytest.approx(float(sum(losses) / len(losses)), rel=1e-14)


def test_activations_lead_to_probabilities(network: TwoLayerNet, rng: np.random.Generator) -> None:
    x = rng.random((7, network.input_size))
    (hidden, z1), (last, a2) = network.activations(x)
    assert (hidden, last) == ("hidden", "logits")
    assert z1.shape == (7, network.hidden_size) and ((z1 > 0) & (z1 < 1)).all()
    np.testing.assert_allclose(z1 @ network.params["W2"] + network.params["b2"], a2)
    np.testing.assert_allclose(softmax(a2), network.predict(x))
    np.testing.assert_array_equal(network.predict_classes(x), np.argmax(a2, axis=1))


def test_the_network_of_the_book() -> None:
    network = TwoLayerNet(784, 50, 10, rng=np.random.default_rng(0))
    assert network.params.shapes == {"W1": (784, 50), "b1": (50,), "W2": (50, 10), "b2": (10,)}
    assert network.params.flat.size == 39_760
    assert network.params["W1"].std() == pytest.approx(0.01, rel=0.02)
    assert abs(network.params["W1"].mean()) < 3e-4
    assert network.params["W2"].std() == pytest.approx(0.01, rel=0.15)
    assert not network.params["b1"].any() and not network.params["b2"].any()


def test_the_same_seed_makes_the_same_network() -> None:
    one, same, other = (
        TwoLayerNet(6, 5, 4, rng=np.random.default_rng(seed)).params.flat for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()
    # Without a seed no two are alike.
    assert (TwoLayerNet(6, 5, 4).params.flat != TwoLayerNet(6, 5, 4).params.flat).any()


@pytest.mark.parametrize("spread", [-0.01, np.nextafter(1e6, np.inf), np.nan, "he"])
def test_a_spread_that_no_weights_can_have(spread: Any) -> None:
    TwoLayerNet(6, 5, 4, weight_init_std=1e6)
    with pytest.raises(ValueError, match="expected a weight_init_std from 0 to a million; rec"):
        TwoLayerNet(6, 5, 4, weight_init_std=spread)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_array_has_the_dtype_of_the_network(dtype: Any, rng: np.random.Generator) -> None:
    network = TwoLayerNet(6, 5, 4, rng=rng, dtype=dtype)
    for x_dtype in (np.float32, np.float64):
        x, t = rng.random((9, 6)).astype(x_dtype), to_one_hot(rng.integers(0, 4, 9), 4, np.float64)
        loss, grads = network.loss_and_gradient(x, t)
        assert isinstance(loss, float)
        assert isinstance(network.accuracy(x, t), float)
        assert network.predict(x).dtype == dtype
        assert [array.dtype for array in grads.values()] == [dtype] * 4
        assert [array.dtype for _, array in network.activations(x)] == [dtype, dtype]
    assert (dict(network.buffers), network.buffers.dtype) == ({}, dtype)
    assert network.numerical_gradient(x, t).dtype == np.float64


X, T = np.zeros((3, 6)), [0, 1, 2]


@pytest.mark.parametrize(
    ("x", "t", "message"),
    [
        (X, [0, 1], "one label for each of 3 samples"),
        (X, [0, 1, 4], "0 to 3; received 4"),
        (X, [0, 0.5, 2], "0 to 3; received 0.5"),
        (X, [[0], [1], [2]], r"received shape \(3, 1\)"),
        (X, np.full((3, 4), 0.25), "one-hot"),
        (X[0], T, r"expected inputs of shape \(n, 6\)"),
        (X[:, :5], T, r"expected inputs of shape \(n, 6\)"),
        (X.astype(np.uint8), T, "divide raw pixels by 255"),
        (X[:0], [], r"at least one sample|n >= 1"),
    ],
    ids=str,
)
def test_bad_inputs_are_refused(x: Array, t: ArrayLike, message: str, network: TwoLayerNet) -> None:
    for method in ("loss", "accuracy", "gradient", "loss_and_gradient", "numerical_gradient"):
        with pytest.raises((TypeError, ValueError), match=message):
            getattr(network, method)(x, t)
    if t is T:
        with pytest.raises((TypeError, ValueError), match=message):
            network.predict(x)
