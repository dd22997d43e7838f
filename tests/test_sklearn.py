"""DigitsClassifier: scikit-learn's own checks, and what people do with an estimator."""

import importlib.util
import io
import warnings
from typing import Any

import numpy as np
import pytest

sklearn: Any = pytest.importorskip("sklearn", reason="needs scikit-learn (the extra `sklearn`)")

from sklearn.base import clone  # noqa: E402
from sklearn.model_selection import GridSearchCV, cross_val_score  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402
from sklearn.utils.estimator_checks import check_estimator  # noqa: E402

from digits.sklearn import DigitsClassifier  # noqa: E402
from digits.types import Array  # noqa: E402

QUICK: dict[str, Any] = {"hidden_layer_sizes": (16,), "max_iter": 5, "batch_size": 20}


@pytest.fixture
def data(rng: np.random.Generator) -> tuple[Array, Array]:
    X = rng.normal(size=(200, 6))
    return X, np.array(["left", "middle", "right"])[X[:, :3].argmax(axis=1)]


@pytest.mark.slow
def test_scikit_learn_s_own_checks_pass() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(DigitsClassifier(), on_fail=None, on_skip=None)
    assert {r["status"] for r in results} <= {"passed", "skipped"}
    skipped = {r["check_name"] for r in results if r["status"] == "skipped"}
    allowed = {"check_array_api_input"}  # scikit-learn's MLPClassifier skips it, too
    if importlib.util.find_spec("pandas") is None:
        allowed.add("check_classifier_data_not_an_array")
    assert skipped <= allowed


def test_it_learns_and_gives_the_classes_back(data: tuple[Array, Array]) -> None:
    X, y = data
    model = DigitsClassifier(32, activation="logistic", learning_rate=0.01, max_iter=30)
    model.set_params(random_state=0).fit(X, y)
    assert model.score(X, y) > 0.9 and list(model.classes_) == ["left", "middle", "right"]
    probabilities = model.predict_proba(X)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(model.classes_[probabilities.argmax(axis=1)], model.predict(X))
    assert len(model.loss_curve_) == model.n_iter_ == 30
    assert model.loss_curve_[-1] < model.loss_curve_[0]


def test_a_random_state_repeats_a_training(data: tuple[Array, Array]) -> None:
    results = [DigitsClassifier(**QUICK, random_state=s).fit(*data) for s in (1, 1, 2)]
    first, again, other = (model.predict_proba(data[0]) for model in results)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_early_stopping_keeps_the_best_weights(data: tuple[Array, Array]) -> None:
    X, y = data
    model = DigitsClassifier(
        **QUICK | {"max_iter": 200}, early_stopping=True, validation_fraction=0.3, random_state=0
    ).fit(X, y)
    assert model.n_iter_ < 200
    scores = model.validation_scores_
    assert np.argmax(scores) == len(scores) - 1 - model.n_iter_no_change


def test_partial_fit_goes_on(data: tuple[Array, Array]) -> None:
    X, y = data
    model = DigitsClassifier(**QUICK, random_state=0)
    model.partial_fit(X[:20], y[:20], classes=["right", "left", "middle"])
    first = model.predict_proba(X)
    for _ in range(20):
        model.partial_fit(X, y)
    assert model.n_iter_ == 21
    assert not np.allclose(first, model.predict_proba(X))
    with pytest.raises(ValueError, match="classes among"):
        model.partial_fit(X[:1], ["top"])


@pytest.mark.slow
def test_it_works_in_pipelines_searches_and_files(data: tuple[Array, Array]) -> None:
    import joblib

    X, y = data
    pipeline = make_pipeline(StandardScaler(), DigitsClassifier(**QUICK, random_state=0))
    grid = {"digitsclassifier__learning_rate": [1e-5, 0.01]}
    search = GridSearchCV(pipeline, grid, n_jobs=2, cv=3).fit(X, y)
    assert search.best_params_ == {"digitsclassifier__learning_rate": 0.01}
    assert cross_val_score(pipeline, X, y, cv=3).mean() > 0.4
    file = io.BytesIO()
    joblib.dump(search.best_estimator_, file)
    file.seek(0)
    loaded = joblib.load(file)
    np.testing.assert_array_equal(loaded.predict_proba(X), search.predict_proba(X))
    loaded[-1].partial_fit(X, y)  # what was loaded can be trained
    fresh = clone(loaded[-1])
    assert fresh.get_params() == loaded[-1].get_params()
    assert not hasattr(fresh, "network_")


def test_a_recipe_is_a_network(rng: np.random.Generator) -> None:
    X, y = rng.random((60, 784)), np.arange(60) % 10
    model = DigitsClassifier("two-layer", max_iter=1, random_state=0).fit(X, y)
    assert type(model.network_).__name__ == "TwoLayerNet"
    assert model.predict(X).shape == (60,)
    with pytest.warns(UserWarning, match="divide them by 255"):
        model.fit(255 * X, y)
    with pytest.raises(ValueError, match="784 pixels and 10 classes"):
        DigitsClassifier("two-layer").fit(X, y % 9)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        *[({"solver": "lbfgs"}, "adam"), ({"activation": "no-such"}, "relu")],
        ({"hidden_layer_sizes": "no-such"}, "lenet5"),
        ({"early_stopping": True, "validation_fraction": 2}, "fraction"),
        ({"hidden_layer_sizes": (4, 3.7)}, "expected hidden_layer_sizes as a whole .*received 3.7"),
        *[({"max_iter": n}, f"max_iter as .*; received {n}") for n in (1.5, 0)],
        *[({"batch_size": "auto"}, "batch_size as"), ({"learning_rate": "adaptive"}, "a learning")],
    ],
)
def test_mistakes_are_named(options: Any, words: str, data: tuple[Array, Array]) -> None:
    with pytest.raises(ValueError, match=words):
        DigitsClassifier(**options).fit(*data)
