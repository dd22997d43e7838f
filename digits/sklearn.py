"""A network of this library as a scikit-learn estimator: it goes into pipelines, grid searches and
cross-validation. Arguments that scikit-learn's MLPClassifier has, too, mean the same, but for
`learning_rate`, which is called `learning_rate_init` there.
"""

import math
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from digits.cli import say
from digits.nn.layers import Dense, Dropout
from digits.nn.network import Network
from digits.nn.optimizers import SGD, Adam, Optimizer
from digits.nn.sequential import Input, Sequential
from digits.recipes import RECIPES
from digits.training import callbacks
from digits.training.batches import ShuffledBatches
from digits.types import Array
from digits.validation import check, positive_int
from functions import accuracy
from train_net import train_loop

OPTIMIZERS = ("adam", "sgd")
NAMES = {"logistic": "sigmoid", "identity": "linear"}
"""What MLPClassifier calls activations."""


@dataclass(eq=False, repr=False)
class DigitsClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A neural network that learns classes of rows of numbers.

    Parameters
    ----------
    hidden_layer_sizes : units of each hidden layer, or of the only one; or the name of a recipe,
        such as "lenet5", for rows of 784 pixels in [0, 1] and 10 classes
    activation : of the hidden layers: "relu", "tanh", "sigmoid" or "logistic", "identity", ...
    dropout : rate of dropout after each hidden layer, 0 to below 1
    solver : "adam" or "sgd"; a recipe has its own
    learning_rate : of the solver; None is 0.001 for Adam, 0.1 for SGD, or that of the recipe
    weight_decay : the fraction of a weight, times the learning rate, that each update takes away
    batch_size : samples in a batch
    max_iter : epochs
    early_stopping : hold `validation_fraction` of the samples out, stop when the network has not
        become better on them for `n_iter_no_change` epochs, and keep the best weights
    random_state : an int, a RandomState or None, as everywhere in scikit-learn
    verbose : print a line for each epoch

    Attributes
    ----------
    classes_ : the classes, sorted; the columns of `predict_proba` have their order
    network_ : the trained network
    loss_curve_ : mean loss of each epoch
    validation_scores_ : accuracy on what was held out, after each epoch, with early stopping
    n_iter_ : epochs trained; n_features_in_ : numbers in a row
    """

    hidden_layer_sizes: Sequence[int] | int | str = (100,)
    _: KW_ONLY
    activation: str = "relu"
    dropout: float = 0.0
    solver: str = "adam"
    learning_rate: float | None = None
    weight_decay: float = 0.0
    batch_size: int = 64
    max_iter: int = 50
    early_stopping: bool = False
    validation_fraction: float = 0.1
    n_iter_no_change: int = 5
    random_state: Any = None
    verbose: bool = False

    # --- learning ---------------------------------------------------------------------------------

    def fit(self, X: Any, y: Any) -> "DigitsClassifier":
        """Learn the classes y of the rows X from new weights."""
        X, t = self._begin(X, y, None)
        held_out: tuple[Array, Array] | None = None
        if self.early_stopping:
            fraction = self.validation_fraction
            check(0 < fraction < 1, "a validation_fraction in (0, 1)", fraction)
            stratify = t if np.bincount(t).min() > 1 else None  # as many of each class, if possible
            parts = train_test_split(
                X, t, test_size=fraction, stratify=stratify, random_state=self._seed
            )
            X, t, held_out = parts[0], parts[2], (parts[1], parts[3])
        self._train(X, t, self.max_iter, held_out)
        return self

    def partial_fit(self, X: Any, y: Any, classes: Any = None) -> "DigitsClassifier":
        """Go on learning for one epoch; the first call needs all `classes` there will be."""
        if not hasattr(self, "network_"):
            X, t = self._begin(X, y, y if classes is None else classes)
        else:
            X, y = validate_data(self, X, y, dtype=np.float32, reset=False)
            if classes is not None:
                same = np.array_equal(np.unique(classes), self.classes_)
                check(same, f"the classes of the first call, {self.classes_}", classes)
            t = self._indices(y)
        self._train(X, t, 1, None)
        return self

    def _begin(self, X: Any, y: Any, classes: Any) -> tuple[Array, Array]:
        """Check the data, learn the classes, make the network."""
        X, y = validate_data(self, X, y, dtype=np.float32)
        check_classification_targets(y)
        self.classes_ = np.unique(y if classes is None else classes)
        check(len(self.classes_) > 1, "at least 2 classes", f"{len(self.classes_)} class")
        self._seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        self.network_, self._optimizer = self._build(np.random.default_rng(self._seed))
        self.loss_curve_: list[float] = []
        self.n_iter_ = 0
        return X, self._indices(y)

    def _indices(self, y: Array) -> Array:
        unknown = ~np.isin(y, self.classes_)
        check(not unknown.any(), f"classes among {self.classes_}", y[unknown][:1])
        return np.searchsorted(self.classes_, y)

    def _build(self, rng: np.random.Generator) -> tuple[Network, Optimizer]:
        if isinstance(self.hidden_layer_sizes, str):
            known = self.hidden_layer_sizes in RECIPES
            check(known, f"a recipe among {', '.join(RECIPES)}", self.hidden_layer_sizes)
            shape = self.n_features_in_, len(self.classes_)
            check(shape == (784, 10), "784 pixels and 10 classes for a recipe", shape)
            recipe = RECIPES[self.hidden_layer_sizes]
            rate = recipe.learning_rate if self.learning_rate is None else self.learning_rate
            return recipe.build(rng), recipe.optimizer(rate, 10_000)
        check(self.solver in OPTIMIZERS, f"a solver among {', '.join(OPTIMIZERS)}", self.solver)
        layers: list[Any] = [Input((self.n_features_in_,))]
        activation = NAMES.get(self.activation, self.activation)
        for size in np.atleast_1d(np.array(self.hidden_layer_sizes, object)):
            units = positive_int(size, "hidden_layer_sizes")
            layers.append(Dense(units, activation, kernel_initializer="he_normal"))
            layers += [Dropout(self.dropout)] if self.dropout else []
        network = Sequential([*layers, Dense(len(self.classes_))], rng=rng)
        if self.solver == "adam":
            rate = 0.001 if self.learning_rate is None else self.learning_rate
            return network, Adam(rate, weight_decay=self.weight_decay)
        rate = 0.1 if self.learning_rate is None else self.learning_rate
        return network, SGD(rate, momentum=0.9, weight_decay=self.weight_decay)

    def _train(self, X: Array, t: Array, epochs: int, held_out: tuple[Array, Array] | None) -> None:
        seed = (self._seed + self.n_iter_) % 2**31
        size = min(positive_int(self.batch_size, "batch_size"), len(X))
        batches = ShuffledBatches(X, t, size, seed)
        monitor = EpochMonitor(self, held_out)
        iterations = positive_int(epochs, "max_iter") * len(batches)
        around = [callbacks.CtrlC(), callbacks.WarnIfUnscaled(X), monitor]
        train_loop(self.network_, batches, self._optimizer, iterations, around)

    # --- asking -----------------------------------------------------------------------------------

    def predict_proba(self, X: Any) -> Array:
        """Probabilities (n, classes), in the order of `classes_`."""
        check_is_fitted(self, "network_")
        X = validate_data(self, X, dtype=np.float32, reset=False)
        return self.network_.predict(X)

    def predict(self, X: Any) -> Array:
        """The most probable class of each row."""
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(axis=1)]


class EpochMonitor(callbacks.Callback):
    """What an estimator does after every epoch: remember the loss, look whether to stop."""

    def __init__(self, estimator: DigitsClassifier, held_out: tuple[Array, Array] | None) -> None:
        self.estimator, self.held_out = estimator, held_out
        self.best, self.best_weights, self.waited = -math.inf, None, 0
        if held_out is not None:
            estimator.validation_scores_ = []

    def on_epoch_end(self, training: callbacks.Training) -> None:
        estimator, network = self.estimator, training.network
        estimator.n_iter_ += 1
        estimator.loss_curve_.append(float(np.mean(training.history.losses[-training.batches :])))
        if not math.isfinite(estimator.loss_curve_[-1]):
            raise callbacks.TrainingError(
                f"the loss became {estimator.loss_curve_[-1]} in epoch {estimator.n_iter_}: use a "
                "lower learning_rate"
            )
        if self.held_out is not None:
            score = accuracy(network.predict(self.held_out[0]), self.held_out[1])
            estimator.validation_scores_.append(score)
            self.waited += 1
            if score > self.best:
                self.best, self.best_weights, self.waited = score, network.get_weights(), 0
            training.stop = self.waited >= estimator.n_iter_no_change
        if estimator.verbose:
            say(f"epoch {estimator.n_iter_}: loss {estimator.loss_curve_[-1]:.4f}")

    def on_train_end(self, training: callbacks.Training) -> None:
        if self.best_weights is not None:
            training.network.set_weights(self.best_weights)
