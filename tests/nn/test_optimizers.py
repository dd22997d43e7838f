"""Every rule against steps worked out by hand, and what all rules share; the schedules."""

import copy
import itertools
import math
import tracemalloc
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike

from digits.nn import optimizers
from digits.nn.optimizers import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop
from digits.nn.parameters import Parameters
from digits.nn.schedules import CosineDecay, ExponentialDecay, OneCycle, PiecewiseConstantDecay
from digits.types import Array

RULES: dict[str, Callable[..., Optimizer]] = {
    "SGD": partial(SGD, 0.1),
    "SGD with momentum": partial(SGD, 0.1, momentum=0.9),
    "SGD with Nesterov's momentum": partial(SGD, 0.1, momentum=0.9, nesterov=True),
    "Adagrad": partial(Adagrad, 0.1),
    "RMSprop": partial(RMSprop, 0.01),
    "RMSprop with momentum": partial(RMSprop, 0.01, momentum=0.9),
    "Adam": partial(Adam, 0.01),
    "AdamW": partial(AdamW, 0.01),
}


def vector(values: ArrayLike, dtype: Any = np.float64) -> Parameters:
    values = np.asarray(values, dtype=dtype)
    params = Parameters({"w": values.shape}, dtype)
    params["w"] = values
    return params


def path_of(
    optimizer: Optimizer, start: ArrayLike, gradients: ArrayLike, scaled: bool = False
) -> Array:
    """The weights after each update with one of the `gradients`, however long the vector."""
    params, path = vector(start), []
    for gradient in np.asarray(gradients, dtype=float):
        scale = optimizer.gradient_scale() if scaled else 1.0
        scaled_gradient = np.broadcast_to(scale * gradient, params.flat.shape)
        optimizer.update(params, vector(scaled_gradient), scale)
        path.append(params.flat.copy())
    return np.array(path)


@pytest.fixture
def gradients(rng: np.random.Generator) -> Array:
    return rng.normal(size=(10, 5))


@pytest.fixture
def start(rng: np.random.Generator) -> Array:
    return rng.normal(size=5)


# One weight that starts at 1 and has the gradients 2, then -1, then 0.5.

GRADIENTS = [[2.0], [-1.0], [0.5]]

BY_HAND: dict[str, tuple[Optimizer, list[float]]] = {
    # 1 - 0.1 * 2 = 0.8;  0.8 + 0.1 = 0.9;  0.9 - 0.05 = 0.85
    "SGD": (SGD(0.1), [0.8, 0.9, 0.85]),
    # v = -0.2, w = 0.8;  v = 0.5 * -0.2 + 0.1 = 0, w = 0.8;  v = -0.05, w = 0.75
    "momentum": (SGD(0.1, momentum=0.5), [0.8, 0.8, 0.75]),
    # The same v; w += 0.5 v - 0.1 g:  1 - 0.1 - 0.2 = 0.7;  0.7 + 0 + 0.1 = 0.8;
    # 0.8 - 0.025 - 0.05 = 0.725
    "Nesterov": (SGD(0.1, momentum=0.5, nesterov=True), [0.7, 0.8, 0.725]),
    # a = 5 + 4 = 9, w = 1 - 0.3 * 2 / 3 = 0.8;  a = 10, w = 0.8 + 0.3 / sqrt(10);
    # a = 10.25, w -= 0.15 / sqrt(10.25)
    "Adagrad": (
        Adagrad(0.3, initial_accumulator_value=5, epsilon=0),
        [0.8, 0.8 + 0.3 / 10**0.5, 0.8 + 0.3 / 10**0.5 - 0.15 / 10.25**0.5],
    ),
    # s = 4/4 = 1, w = 1 - 0.1 * 2 / 1 = 0.8;  s = 3/4 + 1/4 = 1, w = 0.8 + 0.1 = 0.9;
    # s = 3/4 + 1/16 = 13/16, w = 0.9 - 0.05 * 4 / sqrt(13)
    "RMSprop": (RMSprop(0.1, rho=0.75, epsilon=0), [0.8, 0.9, 0.9 - 0.2 / 13**0.5]),
    # The same steps 0.2, -0.1, 0.2 / sqrt(13), through a velocity that keeps half:
    # v = 0.2, w = 0.8;  v = 0.1 - 0.1 = 0, w = 0.8;  v = 0.2 / sqrt(13)
    "RMSprop with momentum": (
        RMSprop(0.1, rho=0.75, momentum=0.5, epsilon=0),
        [0.8, 0.8, 0.8 - 0.2 / 13**0.5],
    ),
    # m = 1, v = 1; corrected 1 / 0.5 = 2 and 1 / 0.25 = 4: w = 1 - 0.1 * 2 / 2 = 0.9
    # m = 0.5 - 0.5 = 0: w stays;  m = 0.25, corrected by 1 - 0.125: 2/7;
    # v = (1 * 0.75 + 0.25) * 0.75 + 0.0625 = 13/16, corrected by 1 - 27/64: 13/16 * 64/37 = 52/37
    "Adam": (
        Adam(0.1, beta_1=0.5, beta_2=0.75, epsilon=0),
        [0.9, 0.9, 0.9 - 0.1 * (2 / 7) / (52 / 37) ** 0.5],
    ),
    # Before each step of Adam's the weight loses 0.1 * 0.5 = 5 %: 0.95 - 0.1 = 0.85;  0.8075;
    # 0.767125 - Adam's third step
    "AdamW": (
        AdamW(0.1, weight_decay=0.5, beta_1=0.5, beta_2=0.75, epsilon=0),
        [0.85, 0.8075, 0.767125 - 0.1 * (2 / 7) / (52 / 37) ** 0.5],
    ),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_three_steps_worked_out_by_hand(name: str) -> None:
    optimizer, expected = BY_HAND[name]
    path = path_of(copy.deepcopy(optimizer), [1.0], GRADIENTS)
    np.testing.assert_allclose(path.ravel(), expected, rtol=1e-14)


@pytest.mark.parametrize("options", [{}, {"clipnorm": 0.5}, {"weight_decay": 0.1}])
@pytest.mark.parametrize("name", RULES)
def test_a_gradient_scaled_for_its_rule_gives_the_same_step(
    name: str, options: dict[str, float], start: Array, gradients: Array
) -> None:
    plain, scaled = (path_of(RULES[name](**options), start, gradients, s) for s in (False, True))
    np.testing.assert_allclose(scaled, plain, rtol=1e-12)


def test_epsilon_stands_where_keras_has_it() -> None:
    # A gradient of 3e-4, squared 9e-8, beside an epsilon of 1e-7: its position makes a difference.
    g, e = 3e-4, 1e-7
    steps = {
        Adagrad(1, initial_accumulator_value=0): g / math.sqrt(g**2 + e),
        RMSprop(1): g / math.sqrt(0.1 * g**2 + e),
        Adam(1): math.sqrt(1e-3) * g / (math.sqrt(1e-3) * g + e),
    }
    for optimizer, step in steps.items():
        assert path_of(optimizer, [0.0], [[g]]).item() == pytest.approx(-step, rel=1e-12)


def test_adam_forgets_a_gradient_that_is_0_for_long() -> None:
    optimizer, params = Adam(), vector([1.0, 1.0], np.float32)
    for t in range(900):  # m would be 0.9^900, with fewer digits than others
        optimizer.update(params, vector([t == 0, 1], np.float32))
    assert optimizer.slots["m"].tolist() == [0, pytest.approx(10)]


def test_arguments_not_given_are_those_of_keras() -> None:
    adam = {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7}
    defaults: list[tuple[Optimizer, dict[str, float]]] = [
        (SGD(), {"learning_rate": 0.01, "momentum": 0.0, "nesterov": False}),
        (Adam(), adam | {"weight_decay": 0.0, "use_ema": False, "ema_momentum": 0.99}),
        (AdamW(), adam | {"weight_decay": 0.004}),
        (RMSprop(), {"learning_rate": 0.001, "rho": 0.9, "momentum": 0.0, "epsilon": 1e-7}),
        (Adagrad(), {"learning_rate": 0.001, "initial_accumulator_value": 0.1, "epsilon": 1e-7}),
    ]
    for optimizer, expected in defaults:
        assert vars(optimizer).items() >= expected.items()


@pytest.mark.parametrize("block", [1, 7, 100, 1 << 30])
@pytest.mark.parametrize("name", RULES)
def test_blocks(
    name: str, block: int, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, grads = rng.normal(size=300).astype(np.float32), rng.normal(size=(3, 300))
    results = []
    for size in (300, block):
        monkeypatch.setattr(optimizers, "BLOCK", size)
        optimizer, params = RULES[name](use_ema=True), vector(start, np.float32)
        for g in grads:
            optimizer.update(params, gradient := vector(g, np.float32))
            np.testing.assert_array_equal(gradient.flat, g.astype(np.float32))  # left alone
        results.append([params.flat, *optimizer.slots.values()])
    for whole, blocks in zip(*results, strict=True):
        np.testing.assert_array_equal(whole, blocks)


@pytest.mark.parametrize("name", RULES)
def test_float32_stays_float32_in_every_slot(name: str, rng: np.random.Generator) -> None:
    params = vector(rng.normal(size=50), np.float32)
    flat = params.flat
    optimizer = RULES[name](use_ema=True, weight_decay=0.01, clipnorm=1.0, global_clipnorm=1.0)
    optimizer.learning_rate = CosineDecay(0.1, 100)
    for count in range(1, 4):
        optimizer.update(params, vector(rng.normal(size=50), np.float32))
        assert optimizer.iterations == count
    assert params.flat is flat and params.flat.dtype == np.float32
    assert set(optimizer.slots) == {*optimizer.slot_names, "average"}
    for slot in optimizer.slots.values():
        assert slot.dtype == np.float32 and slot.shape == flat.shape


@pytest.mark.parametrize("name", RULES)
def test_iterations_and_slots_are_all_to_remember(
    name: str, start: Array, gradients: Array
) -> None:
    """What a checkpoint keeps: a fresh optimizer that is given both goes on to the last bit."""
    options: dict[str, Any] = {"use_ema": True, "weight_decay": 0.01}
    whole = path_of(RULES[name](**options), start, gradients)

    first, params = RULES[name](**options), vector(start)
    for g in gradients[:4]:
        first.update(params, vector(g))
    second = RULES[name](**options)
    assert first.slots.keys() == second.empty_slots(params).keys()
    second.iterations = first.iterations
    second.slots = {key: slot.copy() for key, slot in first.slots.items()}
    np.testing.assert_array_equal(path_of(second, params.flat, gradients[4:]), whole[4:])


def test_slots_are_named_as_in_every_checkpoint_so_far() -> None:
    names = ["", "velocity", "velocity", "accumulator", "square", "square velocity", "m v", "m v"]
    for make, expected in zip(RULES.values(), names, strict=True):
        assert [*make().empty_slots(vector([1.0]))] == expected.split()
        assert [*make(use_ema=True).empty_slots(vector([1.0]))] == [*expected.split(), "average"]


@pytest.mark.parametrize("name", RULES)
def test_an_update_takes_no_memory_but_one_block(name: str) -> None:
    """New arrays between two operations would take as long as the arithmetic."""
    optimizer, size = RULES[name](use_ema=True), 4 * optimizers.BLOCK
    params, grads = (vector(np.ones(size), np.float32) for _ in range(2))
    optimizer.update(params, grads)
    tracemalloc.start()
    optimizer.update(params, grads)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.5 * optimizers.BLOCK * params.flat.itemsize


@pytest.mark.parametrize("name", RULES)
def test_weight_decay_shrinks_before_the_step(name: str, start: Array, gradients: Array) -> None:
    optimizer = RULES[name](weight_decay=0.5)
    rate = optimizer.current_learning_rate()
    decayed = path_of(optimizer, start, gradients[:1])
    plain = path_of(RULES[name](weight_decay=0.0), start * (1 - rate * 0.5), gradients[:1])
    np.testing.assert_array_equal(decayed, plain)


@pytest.mark.parametrize(
    ("options", "a", "b"),
    [
        ({"clipnorm": 6}, [3, 4], -6),  # only b is too long
        ({"clipnorm": 1}, [0.6, 0.8], -1),
        ({"clipnorm": 12}, [3, 4], -12),
        ({"global_clipnorm": 13}, [3, 4], -12),
        ({"global_clipnorm": 1.3}, [0.3, 0.4], -1.2),
        ({"clipnorm": 5, "global_clipnorm": 5 * 0.5**0.5}, [1.5, 2], -2.5),  # one after the other
        ({}, [3, 4], -12),
    ],
)
def test_clipped_gradients_keep_their_direction(
    options: dict[str, Any], a: list[float], b: float
) -> None:
    """Of weights of zero; the gradients have lengths of 5 and 12: 13 together."""
    params = Parameters({"a": (2,), "b": (3, 1)}, np.float64)
    grads = params.zeros_like()
    grads["a"], grads["b"] = [3, 4], [[0], [-12], [0]]
    SGD(1.0, **options).update(params, grads)
    np.testing.assert_allclose(-params["a"], a, rtol=1e-14)
    np.testing.assert_allclose(-params["b"], np.array([[0], [b], [0]]), rtol=1e-14)


def test_the_average_follows_the_weights(start: Array, gradients: Array) -> None:
    """Its memory grows with its age, (1 + t) / (10 + t), up to ema_momentum."""
    optimizer = SGD(0.1, use_ema=True, ema_momentum=0.4)
    params, average = vector(start), start.copy()
    for t, g in enumerate(gradients, start=1):
        optimizer.update(params, vector(g))
        keep = min(0.4, (1 + t) / (10 + t))
        average = keep * average + (1 - keep) * params.flat
        np.testing.assert_allclose(optimizer.slots["average"], average, rtol=1e-12)
    assert (1 + 10) / (10 + 10) > 0.4 > (1 + 1) / (10 + 1)  # both halves of the rule were seen


def test_piecewise_constant_decay_falls_after_its_boundaries() -> None:
    rate = PiecewiseConstantDecay([100, 200], [1.0, 0.5, 0.1])
    steps = {0: 1.0, 100: 1.0, 101: 0.5, 200: 0.5, 201: 0.1, 10_000: 0.1}
    assert {step: rate(step) for step in steps} == steps
    assert PiecewiseConstantDecay([], [0.3])(7) == 0.3


def test_exponential_decay_reaches_its_rate_after_its_steps() -> None:
    smooth = ExponentialDecay(0.8, 100, 0.25)
    assert [smooth(step) for step in (0, 50, 100, 200)] == pytest.approx([0.8, 0.4, 0.2, 0.05])
    stairs = ExponentialDecay(0.8, 100, 0.25, staircase=True)
    assert [stairs(step) for step in (0, 99, 100, 199, 200)] == [0.8, 0.8, 0.2, 0.2, 0.05]


def test_cosine_decay_is_half_a_period_after_a_line() -> None:
    rate = CosineDecay(0.8, 100, alpha=0.25)
    assert [rate(step) for step in (0, 50, 100, 500)] == pytest.approx([0.8, 0.5, 0.2, 0.2])
    assert rate(25) == pytest.approx(0.2 + 0.6 * (1 + 0.5**0.5) / 2)
    assert CosineDecay(0.8, 100)(100) == 0
    rate = CosineDecay(0.1, 100, alpha=0.5, warmup_target=0.5, warmup_steps=40)
    expected = {0: 0.1, 10: 0.2, 39: 0.49, 40: 0.5, 90: 0.375, 140: 0.25, 999: 0.25}
    assert {step: pytest.approx(rate(step)) for step in expected} == expected


def test_one_cycle_goes_up_and_down_once() -> None:
    rate = OneCycle(2.0, 100, warmup=0.2, start=0.1)
    expected = {0: 0.2, 10: 1.1, 20: 2.0, 60: 1.0, 100: 0.0, 500: 0.0}
    assert {step: pytest.approx(rate(step), abs=1e-15) for step in expected} == expected
    steps = np.diff([rate(step) for step in range(101)])
    assert (steps[:20] > 0).all() and (steps[20:] < 0).all()


def test_a_schedule_is_asked_for_the_updates_made_so_far() -> None:
    asked: list[int] = []

    def rate(step: int) -> float:
        asked.append(step)
        return 1.0 if step == 0 else 0.25

    path = path_of(SGD(rate), [0.0], [[1.0], [1.0], [1.0]]).ravel()
    assert path.tolist() == [-1, -1.25, -1.5]
    assert asked == [0, 1, 2]


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("rules", "arguments", "values"),
    [
        ([SGD, Adagrad, RMSprop, Adam, AdamW], "learning_rate", [-0.1, NAN, INF, "0.1"]),
        ([SGD, Adam], "weight_decay", [-0.1, NAN, INF]),
        ([SGD], "clipnorm global_clipnorm", [0, -1, NAN]),
        ([SGD, RMSprop], "momentum", [-0.1, 1, NAN]),
        ([RMSprop], "rho", [-0.1, 1, NAN]),
        ([RMSprop, Adagrad, Adam], "epsilon", [-1e-7, NAN, INF]),
        ([Adagrad], "initial_accumulator_value", [-0.1, NAN, INF]),
        ([Adam], "beta_1 beta_2 ema_momentum", [-0.1, 1, NAN]),
    ],
)
def test_bad_numbers(rules: list[Any], arguments: str, values: list[Any]) -> None:
    for rule, argument, value in itertools.product(rules, arguments.split(), values):
        with pytest.raises(ValueError, match=f"^expected .*; received .?{value}"):
            rule(**{argument: value})


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        (lambda: PiecewiseConstantDecay([1, 2], [1.0, 0.5]), "3 values for 2 boundaries"),
        (lambda: PiecewiseConstantDecay([1], [1.0, NAN]), "nan"),
        (lambda: ExponentialDecay(0.1, 0, 0.9), "decay_steps above 0; received 0"),
        (lambda: ExponentialDecay(-0.1, 10, 0.9), "received -0.1"),
        *((partial(ExponentialDecay, 0.1, 10, rate), f"received {rate}") for rate in (0, 1.1)),
        (lambda: CosineDecay(0.1, 0), "decay_steps above 0; received 0"),
        (lambda: CosineDecay(-0.1, 10), "received -0.1"),
        (lambda: CosineDecay(0.1, 10, warmup_target=-1), "received -1"),
        (lambda: CosineDecay(0.1, 10, alpha=1.1), r"an alpha in \[0, 1\]; received 1.1"),
        (lambda: OneCycle(0.1, 0), "total_steps above 0; received 0"),
        (lambda: OneCycle(0.1, 100, start=INF), "received inf"),
        *((partial(OneCycle, 0.1, 100, warmup=part), "a warm-up in") for part in (1, NAN)),
    ],
)
def test_schedules_that_cannot_be_are_refused(schedule: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        schedule()
