"""Losses: gradients against central differences, in float64, and values worked out by hand."""

import math
from typing import Any

import numpy as np
import pytest

from digits.nn import losses
from digits.types import Array
from functions import numerical_gradient, sigmoid, softmax


def some(rng: np.random.Generator, kind: str, shape: tuple[int, ...]) -> Array:
    """Outputs or targets of a kind that losses take."""
    return {
        "numbers": rng.normal(size=shape),
        "positive": rng.uniform(0.2, 3, shape),
        "probabilities": rng.uniform(0.05, 0.95, shape),
        "distributions": softmax(rng.normal(size=shape)),
        "one-hot": np.eye(shape[-1])[rng.integers(0, shape[-1], shape[:-1])],
        "signs": rng.choice([-1.0, 1.0], shape),
        "indices": rng.integers(0, shape[-1], shape[:-1]),
    }[kind]


CASES: list[tuple[losses.Loss, str, str]] = [
    (losses.CategoricalCrossentropy(), "probabilities", "distributions"),
    (losses.CategoricalCrossentropy(label_smoothing=0.2), "distributions", "one-hot"),
    (losses.CategoricalCrossentropy(from_logits=True), "numbers", "distributions"),
    (losses.CategoricalCrossentropy(True, label_smoothing=0.1), "numbers", "indices"),
    (losses.SparseCategoricalCrossentropy(), "distributions", "indices"),
    (losses.SparseCategoricalCrossentropy(from_logits=True), "numbers", "indices"),
    (losses.BinaryCrossentropy(label_smoothing=0.1), "probabilities", "probabilities"),
    (losses.BinaryCrossentropy(from_logits=True), "numbers", "probabilities"),
    (losses.MeanSquaredError(), "numbers", "numbers"),
    (losses.MeanAbsoluteError(), "numbers", "numbers"),
    (losses.MeanAbsolutePercentageError(), "numbers", "positive"),
    (losses.MeanSquaredLogarithmicError(), "positive", "positive"),
    (losses.Huber(delta=0.7), "numbers", "numbers"),
    (losses.LogCosh(), "numbers", "numbers"),
    (losses.Poisson(), "positive", "positive"),
    (losses.Hinge(), "numbers", "signs"),
    (losses.Hinge(), "numbers", "one-hot"),
    (losses.SquaredHinge(), "numbers", "signs"),
    (losses.CategoricalHinge(), "numbers", "one-hot"),
    (losses.KLDivergence(), "probabilities", "distributions"),
    (losses.CosineSimilarity(), "numbers", "numbers"),
]


@pytest.mark.parametrize("shape", [(5, 4), (3, 2, 4)], ids=str)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("loss", "outputs", "targets"), CASES, ids=str)
def test_gradients(
    loss: losses.Loss, outputs: str, targets: str, weighted: bool, shape: tuple[int, ...]
) -> None:
    rng = np.random.default_rng(0)
    y, t = some(rng, outputs, shape), some(rng, targets, shape)
    weight = rng.uniform(0, 2, shape[0]) if weighted else None
    value, dy = loss.loss_and_grad(y, t, weight)
    assert value == pytest.approx(loss(y, t, weight))
    expected = numerical_gradient(lambda y: loss(y, t, weight), y, h=1e-6)
    np.testing.assert_allclose(dy, expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(
    ("loss", "y", "t", "expected"),
    [
        (losses.CategoricalCrossentropy(), [[0.5, 0.25, 0.25]], [[0, 1, 0]], math.log(4)),
        (losses.SparseCategoricalCrossentropy(), [[0.5, 0.25, 0.25]], [[1]], math.log(4)),
        (losses.BinaryCrossentropy(), [[0.5], [0.25]], [1, 0], math.log(2 / 0.75) / 2),
        (losses.MeanSquaredError(), [[1.0, 3.0]], [[0, 0]], 5),
        (losses.MeanAbsoluteError(), [[1.0, -3.0]], [[0, 0]], 2),
        (losses.MeanAbsolutePercentageError(), [[1.0, 3.0]], [[2, 2]], 50),
        (losses.MeanSquaredLogarithmicError(), [[0.0, math.e - 1]], [[0, 0]], 0.5),
        (losses.Huber(), [[0.5, 3.0]], [[0, 0]], (0.125 + 2.5) / 2),
        (losses.LogCosh(), [[800.0]], [[0]], 800 - math.log(2)),
        (losses.Poisson(), [[math.e]], [[2]], math.e - 2),
        (losses.Hinge(), [[0.5, -2.0]], [[1, 0]], 0.25),
        (losses.SquaredHinge(), [[0.5, 2.0]], [[1, -1]], (0.25 + 9) / 2),
        (losses.CategoricalHinge(), [[0.5, 2.0, 1.0]], [[0, 1, 0]], 0),
        (losses.CategoricalHinge(), [[0.5, 2.0, 1.0]], [[0, 0, 1]], 2),
        (losses.KLDivergence(), [[0.25, 0.75]], [[0.5, 0.5]], 0.5 * math.log(0.25 / 0.1875)),
        (losses.CosineSimilarity(), [[3.0, 4.0]], [[30, 40]], -1),
    ],
    ids=str,
)
def test_value_is_that_of_the_formula(loss: losses.Loss, y: Any, t: Any, expected: float) -> None:
    assert loss(np.array(y), t) == pytest.approx(expected, abs=1e-6)


def test_loss_from_logits_is_that_of_the_activation() -> None:
    rng = np.random.default_rng(1)
    x, t = rng.normal(size=(6, 3)), some(rng, "one-hot", (6, 3))
    softmax_loss, sigmoid_loss = losses.CategoricalCrossentropy(), losses.BinaryCrossentropy()
    assert softmax_loss.with_logits()(x, t) == pytest.approx(softmax_loss(softmax(x), t))
    assert sigmoid_loss.with_logits()(x, t) == pytest.approx(sigmoid_loss(sigmoid(x), t))
    assert not softmax_loss.from_logits  # with_logits is a copy


@pytest.mark.parametrize("from_logits", [False, True])
@pytest.mark.parametrize(
    ("kind", "t"),
    [
        (losses.CategoricalCrossentropy, [[1, 0]]),
        (losses.SparseCategoricalCrossentropy, [0]),
        (losses.BinaryCrossentropy, [[1, 0]]),
    ],
)
def test_cross_entropies_of_wrong_outputs_stay_finite(kind: Any, t: Any, from_logits: bool) -> None:
    y = np.array([[-1e4, 1e4] if from_logits else [0, 1]], np.float32)
    value, dy = kind(from_logits=from_logits).loss_and_grad(y, t)
    assert np.isfinite([value, *dy.flat]).all() and dy.dtype == np.float32


def test_a_weight_of_two_counts_a_sample_twice() -> None:
    y, t = np.array([[1.0], [2.0], [2.0]]), np.zeros(3)
    weighted = losses.MeanSquaredError()(y[:2], t[:2], [1, 2])
    assert weighted == pytest.approx(losses.MeanSquaredError()(y, t) * 3 / 2)


@pytest.mark.parametrize(
    ("loss", "t"),
    [
        (losses.SparseCategoricalCrossentropy(), np.eye(3)),
        (losses.CategoricalCrossentropy(), np.eye(4)[:3]),
        (losses.MeanSquaredError(), np.zeros(3)),
    ],
)
def test_targets_of_another_shape_are_refused_with_both_shapes(loss: losses.Loss, t: Array) -> None:
    with pytest.raises(ValueError, match=r"expected .*\(3.*received") as error:
        loss(np.full((3, 3), 1 / 3), t)
    assert str(t.shape) in str(error.value)


def test_weights_and_classes_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="a weight for each of 3 samples"):
        losses.MeanSquaredError()(np.zeros((3, 2)), np.zeros((3, 2)), [1, 2])
    with pytest.raises(ValueError, match=r"targets of 0 and 1; received array\(\[1, 2\]\)"):
        losses.BinaryCrossentropy()(np.full((2, 1), 0.5), [1, 2])


def test_a_loss_shows_what_makes_it_again() -> None:
    assert repr(losses.Huber(2.0)) == "Huber(delta=2.0)"
    again = losses.CategoricalCrossentropy(**losses.CategoricalCrossentropy(True, 0.1).get_config())
    assert (again.from_logits, again.label_smoothing) == (True, 0.1)
