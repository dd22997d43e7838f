"""Initial weights have the spread that each rule prescribes, with the fans of Keras."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from digits import Conv2D, Dense, Flatten, Input, Layer, Maxout, Sequential
from digits.nn.initializers import (
    INITIALIZERS,
    Constant,
    Initializer,
    RandomNormal,
    TruncatedNormal,
    get_initializer,
)
from digits.types import Array, Shape

FAN_IN, FAN_OUT = 30, 20
MANY = (400, 500)  # the spread of 200,000 numbers is known to 0.2 %


def drawn(initializer: str | Initializer, shape: Shape = MANY, seed: int = 0) -> Array:
    return get_initializer(initializer)(shape, FAN_IN, FAN_OUT, np.random.default_rng(seed))


# name: standard deviation, largest magnitude
SPREAD = {
    "random_normal": (0.05, math.inf),
    # Without its tails beyond 2 a normal distribution has 0.8796 of its spread.
    "truncated_normal": (0.05 * 0.8796256610342398, 0.1),
    "glorot_uniform": (math.sqrt(2 / 50), math.sqrt(6 / 50)),
    "glorot_normal": (math.sqrt(2 / 50), 2 * math.sqrt(2 / 50) / 0.8796256610342398),
    "he_uniform": (math.sqrt(2 / 30), math.sqrt(6 / 30)),
    "he_normal": (math.sqrt(2 / 30), 2 * math.sqrt(2 / 30) / 0.8796256610342398),
}


def test_every_initializer_is_tested() -> None:
    assert SPREAD.keys() | {"zeros", "ones"} == INITIALIZERS.keys()


@pytest.mark.parametrize("name", SPREAD)
def test_spread_and_limits(name: str) -> None:
    values, (deviation, largest) = drawn(name), SPREAD[name]
    assert values.shape == MANY
    assert abs(values.mean()) < 5 * deviation / math.sqrt(values.size)
    assert values.std() == pytest.approx(deviation, rel=0.01)
    least = 0.99 * largest if largest < math.inf else 4 * deviation
    assert least < np.abs(values).max() <= largest


@pytest.mark.parametrize("name", SPREAD)
def test_shape_of_the_distribution(name: str) -> None:
    # Kurtosis: 1.8 for a uniform distribution, 3 for a normal one, 2.37 for one cut off at 2.
    values = drawn(name) / SPREAD[name][0]
    kurtosis = 1.8 if "uniform" in name else 3.0 if name == "random_normal" else 2.37
    assert float(np.mean(values**4)) == pytest.approx(kurtosis, rel=0.02)


def test_constants() -> None:
    assert not drawn("zeros").any()
    np.testing.assert_array_equal(drawn("ones"), np.ones(MANY))
    np.testing.assert_array_equal(drawn(Constant(0.1), (2, 3)), np.full((2, 3), 0.1))


def test_center_and_spread_can_be_chosen() -> None:
    assert drawn(RandomNormal(3, 0.5)).mean() == pytest.approx(3, rel=0.01)
    assert drawn(RandomNormal(3, 0.5)).std() == pytest.approx(0.5, rel=0.01)
    truncated = drawn(TruncatedNormal(3, 0.5))
    assert truncated.mean() == pytest.approx(3, rel=0.01)
    assert 2 <= truncated.min() < truncated.max() <= 4


@pytest.mark.parametrize("name", INITIALIZERS)
def test_the_generator_decides(name: str) -> None:
    one, two, other = drawn(name, (5, 7)), drawn(name, (5, 7)), drawn(name, (5, 7), seed=1)
    np.testing.assert_array_equal(one, two)
    assert np.array_equal(one, other) == (name in ("zeros", "ones"))


def test_by_name_or_as_it_is() -> None:
    mine = TruncatedNormal(stddev=0.1)
    assert get_initializer(mine) is mine
    assert get_initializer("he_normal") is INITIALIZERS["he_normal"]
    with pytest.raises(ValueError, match=r"expected an initializer among .*glorot.*; received 'x'"):
        get_initializer("x")
    with pytest.raises(ValueError, match="or a function; received array"):
        get_initializer(np.ones((4, 3)))  # type: ignore[arg-type]


TABLE = np.array([[1, 0], [1, 1], [1, 0]])
FANS: list[tuple[Callable[[Initializer], Layer], Shape, tuple[int, int]]] = [
    (lambda init: Dense(20, kernel_initializer=init), (30,), (30, 20)),
    (lambda init: Maxout(20, pieces=3, kernel_initializer=init), (30,), (30, 20)),
    (lambda init: Conv2D(8, (3, 5), kernel_initializer=init), (9, 9, 2), (30, 120)),
    # Four connections: two inputs a filter, one and a third filters a map.
    (lambda i: Conv2D(2, 3, connections=TABLE, kernel_initializer=i), (9, 9, 3), (18, 12)),
]


@pytest.mark.parametrize(("make", "shape", "fans"), FANS)
def test_fans(make: Callable[[Initializer], Layer], shape: Shape, fans: tuple[int, int]) -> None:
    seen = []

    def spy(shape: Shape, fan_in: int, fan_out: int, rng: np.random.Generator) -> Array:
        seen.append((shape, (fan_in, fan_out)))
        return np.full(shape, 0.25)

    layer = make(spy)
    network = Sequential([Input(shape), layer, Flatten(), Dense(2)])
    assert seen == [(layer.weight_shapes["W"], fans)]
    assert (network.params["W1"] == 0.25).all()
    assert not network.params["b1"].any()


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (Dense(3, kernel_initializer="zeros", bias_initializer=Constant(0.1)), (4,)),
        (Conv2D(3, 2, kernel_initializer="zeros", bias_initializer=Constant(0.1)), (4, 4, 1)),
    ],
)
def test_weights_and_biases_have_initializers_of_their_own(layer: Layer, shape: Shape) -> None:
    network = Sequential([Input(shape), layer, Flatten(), Dense(2)])
    assert not network.params["W1"].any()
    np.testing.assert_array_equal(network.params["b1"], np.full(3, 0.1, np.float32))


def test_the_default_is_that_of_keras() -> None:
    network = Sequential([Dense(200)], rng=np.random.default_rng(0))
    limit = math.sqrt(6 / 984)
    assert 0.99 * limit < np.abs(network.params["W1"]).max() <= limit * (1 + 1e-6)
    assert not network.params["b1"].any()
