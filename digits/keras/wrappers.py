"""Models as estimators of scikit-learn, as Keras 2 had them in `keras.wrappers.scikit_learn`."""

import inspect
from typing import Any

import numpy as np

from digits.keras.model import Model
from digits.keras.utils import to_categorical
from digits.types import Array
from digits.validation import check


class KerasClassifier:
    """A classifier whose model `build_fn` makes and compiles; the other arguments are those of
    build_fn, of `fit` and of `predict`.
    """

    _estimator_type = "classifier"

    def __init__(self, build_fn: Any = None, **sk_params: Any) -> None:
        self.build_fn, self.sk_params = build_fn, sk_params
        wrong = sk_params.keys() - {*_of(build_fn), *_of(Model.fit), *_of(Model.predict)}
        check(not wrong, "arguments of build_fn, fit or predict", ", ".join(wrong))

    def __sklearn_tags__(self) -> Any:
        from sklearn.base import BaseEstimator, ClassifierMixin  # noqa: PLC0415  who asks has it

        return type("Estimator", (ClassifierMixin, BaseEstimator), {})().__sklearn_tags__()

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        return {**self.sk_params, "build_fn": self.build_fn}

    def set_params(self, **params: Any) -> "KerasClassifier":
        self.__init__(**(self.get_params() | params))  # type: ignore[misc]
        return self

    def _for(self, function: Any) -> dict[str, Any]:
        """Those of the arguments that a function takes."""
        return {name: self.sk_params[name] for name in _of(function) if name in self.sk_params}

    def fit(self, x: Any, y: Any, **kwargs: Any) -> Any:
        """Train a new model; the history of its logs."""
        t = np.asarray(y)
        one_hot = t.ndim == 2 and t.shape[1] > 1
        self.classes_ = np.arange(t.shape[1]) if one_hot else np.unique(t)
        t = t if one_hot else np.searchsorted(self.classes_, np.ravel(t))
        self.model = self.build_fn(**self._for(self.build_fn))
        name = getattr(self.model.loss, "name", self.model.loss)
        if name == "categorical_crossentropy" and not one_hot:
            t = to_categorical(t, len(self.classes_))
        return self.model.fit(x, t, **(self._for(Model.fit) | kwargs))

    def predict_proba(self, x: Any, **kwargs: Any) -> Array:
        """The probability of each class."""
        y = np.asarray(self.model.predict(x, **(self._for(Model.predict) | kwargs)))
        return np.hstack([1 - y, y]) if y.shape[1] == 1 else y

    def predict(self, x: Any, **kwargs: Any) -> Array:
        """The most likely class of each sample."""
        return self.classes_[self.predict_proba(x, **kwargs).argmax(axis=1)]

    def score(self, x: Any, y: Any, **kwargs: Any) -> float:
        """The fraction of samples whose class is found."""
        t = np.asarray(y)
        t = self.classes_[t.argmax(axis=1)] if t.ndim == 2 and t.shape[1] > 1 else np.ravel(t)
        return float(np.mean(self.predict(x, **kwargs) == t))


def _of(function: Any) -> list[str]:
    """The names of the arguments of a function."""
    return [] if function is None else list(inspect.signature(function).parameters)
