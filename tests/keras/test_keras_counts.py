"""Metrics that count right and wrong outputs."""

from typing import Any

import numpy as np
import pytest

from digits import keras

metrics: Any = keras.metrics


def test_counts_of_right_and_wrong_outputs() -> None:
    t, y = np.array([1, 1, 1, 0, 0]), np.array([0.9, 0.8, 0.1, 0.7, 0.2])
    kinds = ("TruePositives", "FalseNegatives", "FalsePositives", "TrueNegatives")
    found = [float(getattr(metrics, kind)()(t, y)) for kind in kinds]
    assert found == [2, 1, 1, 1]


@pytest.mark.parametrize(
    ("average", "expected"),
    [(None, [0.8, 1 / 3, 0.4]), ("macro", 23 / 45), ("micro", 0.5), ("weighted", 29 / 60)],
)
def test_f1_score(average: Any, expected: Any) -> None:
    """Precision and recall: 2/3 and 1 for class 0, 1/4 and 1/2 for 1, 1 and 1/4 for 2."""
    t = np.eye(3)[[0, 0, 2, 2, 2, 2, 1, 1]]
    y = np.eye(3)[[0, 0, 2, 1, 1, 1, 0, 1]] + 0.1
    metric = metrics.F1Score(average)
    for part in (slice(3), slice(3, None)):
        metric.update_state(t[part], y[part])
    np.testing.assert_allclose(metric.result(), expected, rtol=1e-5)


def test_a_threshold_says_which_classes_an_output_has() -> None:
    metric = metrics.F1Score("micro", threshold=0.5)
    assert float(metric([[1, 1], [0, 1]], [[0.9, 0.6], [0.7, 0.2]])) == pytest.approx(4 / 6)


def test_area_under_precision_and_recall() -> None:
    t, y = [1, 0, 1, 1, 0], [0.9, 0.8, 0.7, 0.4, 0.4]
    expected = (1 + 2 / 3 + 3 / 5) / 3
    assert float(metrics.AUC(curve="PR")(t, y)) == pytest.approx(expected)
    with pytest.raises(ValueError, match="'ROC' or 'PR'"):
        metrics.AUC(curve="pr")


def test_a_score_of_each_class_is_logged_as_their_mean() -> None:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, "softmax")])
    model.compile("sgd", "categorical_crossentropy", metrics=[metrics.F1Score()])
    x, t = np.random.default_rng(0).random((9, 2)), np.eye(3)[np.arange(9) % 3]
    score = model.evaluate(x, t, verbose=0)[1]
    best = model.predict(x, verbose=0).argmax(axis=1)
    right = np.array([(best[t[:, k] == 1] == k).sum() for k in range(3)])
    assert score == pytest.approx(np.mean(2 * right / (np.bincount(best, minlength=3) + 3)))
