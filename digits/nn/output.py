"""The end of a network: how the outputs of the last layer become predictions, and how far these are
from the targets. A softmax or a sigmoid is computed together with its cross-entropy, from the
logits, so that no digit is lost between the two.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from digits.nn.activations import LINEAR, SIGMOID, SOFTMAX, ActivationFunction, softmax_backward
from digits.nn.layer import ActivatedLayer, Layer
from digits.nn.losses import LOSSES, BinaryCrossentropy, Loss
from digits.types import Array
from digits.validation import check
from functions import (
    accuracy,
    softmax,
    softmax_cross_entropy,
    softmax_cross_entropy_with_grad,
    squared_error,
    squared_error_grad,
    to_labels,
    to_one_hot,
    unmasked,
)


class Output:
    """Classes, one output for each: predictions are the softmax of the logits, and the loss is the
    cross-entropy. Targets are class indices (n,) or one-hot (n, classes).
    """

    activation: ActivationFunction = SOFTMAX

    def __init__(self, label_smoothing: float = 0.0) -> None:
        self.label_smoothing = label_smoothing

    def predictions(self, logits: Array) -> Array:
        return self.activation.function(logits)

    def classes(self, logits: Array) -> NDArray[np.intp]:
        """The class of each sample, (n,)."""
        return np.argmax(logits, axis=-1)

    def accuracy(self, logits: Array, t: ArrayLike) -> float:
        """Ratio of the samples, 0 to 1, whose class is that of the target."""
        return accuracy(logits, t)

    def loss(self, logits: Array, t: ArrayLike) -> float:
        return softmax_cross_entropy(logits, t, self.label_smoothing)

    def loss_and_grad(self, logits: Array, t: ArrayLike) -> tuple[float, Array]:
        """The loss, and its gradient with respect to the logits."""
        return softmax_cross_entropy_with_grad(logits, t, self.label_smoothing)


class SquaredErrorOutput(Output):
    """The same predictions, with half their squared distance from one-hot targets as the loss."""

    def loss(self, logits: Array, t: ArrayLike) -> float:
        return squared_error(softmax(logits), to_one_hot(t, logits.shape[1], logits.dtype))

    def loss_and_grad(self, logits: Array, t: ArrayLike) -> tuple[float, Array]:
        y, target = softmax(logits), to_one_hot(t, logits.shape[1], logits.dtype)
        return squared_error(y, target), softmax_backward(squared_error_grad(y, target), y)


class LossOutput(Output):
    """Any loss of `digits.nn.losses`: predictions are the outputs of the last layer as they are."""

    def __init__(self, loss: Loss, activation: ActivationFunction = LINEAR) -> None:
        super().__init__()
        self.loss_function, self.activation = loss, activation

    def targets(self, t: ArrayLike) -> ArrayLike:
        """What the loss is given."""
        return t

    def loss(self, logits: Array, t: ArrayLike) -> float:
        return self.loss_function(logits, self.targets(t))

    def loss_and_grad(self, logits: Array, t: ArrayLike) -> tuple[float, Array]:
        return self.loss_function.loss_and_grad(logits, self.targets(t))

    def classes(self, logits: Array) -> NDArray[np.intp]:
        """With a single output for each sample 1 where it is above one half, else 0."""
        if logits.shape[-1] > 1:
            return super().classes(logits)
        return (self.predictions(logits)[..., 0] > 0.5).astype(np.intp)

    def accuracy(self, logits: Array, t: ArrayLike) -> float:
        """With a single output only for targets of 0 and 1: others are numbers, no classes."""
        if logits.shape[-1] > 1:
            return super().accuracy(logits, t)
        labels = to_labels(np.reshape(unmasked(self.targets(t)), logits[..., 0].size), 2)
        return float(np.mean(self.classes(logits).ravel() == labels))


class BinaryOutput(LossOutput):
    """Two classes and one output, the probability of class 1. Targets: 0 and 1, (n,) or (n, 1)."""

    def __init__(self, label_smoothing: float = 0.0) -> None:
        super().__init__(BinaryCrossentropy(True, label_smoothing), SIGMOID)

    def targets(self, t: ArrayLike) -> ArrayLike:
        t = unmasked(t)
        return to_labels(t[:, 0] if t.ndim == 2 and t.shape[1] == 1 else t, 2)


def make_output(loss: str | Loss, label_smoothing: float, layers: Sequence[Layer]) -> Output:
    """The end of a stack of layers. The last layer leaves its activation to the network where both
    are computed together.

    Raises ValueError for an unknown loss, and for a last layer that does not go with it.
    """
    last = layers[-1]
    activation = last.activation if isinstance(last, ActivatedLayer) else "linear"
    if loss in ("cross_entropy", "squared_error"):
        check(0 <= label_smoothing < 1, "a label_smoothing in [0, 1)", label_smoothing)
        check(
            len(last.output_shape) == 1,
            "a last layer that gives one logit for each class",
            last.output_shape,
            "end with Flatten() and Dense(10)",
        )
        if last.output_shape == (1,) and loss == "cross_entropy" and activation == "sigmoid":
            last.gives_logits = True
            return BinaryOutput(label_smoothing)
        check(
            last.output_shape != (1,),
            "an output for each class, or one sigmoid",
            "a single output whose softmax would always be 1",
            "end with Dense(1, activation='sigmoid') for two classes, or use another loss for "
            "numbers, such as mean_squared_error",
        )
        last.gives_logits = activation == "softmax"
        return (SquaredErrorOutput if loss == "squared_error" else Output)(label_smoothing)
    known = f"a loss among cross_entropy, squared_error, {', '.join(LOSSES)}, or a Loss"
    check(isinstance(loss, Loss) or loss in LOSSES, known, loss)
    loss = loss if isinstance(loss, Loss) else LOSSES[loss]()
    check(label_smoothing == 0, "label_smoothing as an argument of the Loss", label_smoothing)
    if isinstance(last, ActivatedLayer) and loss.activation == activation and not loss.from_logits:
        last.gives_logits = True
        return LossOutput(loss.with_logits(), SOFTMAX if activation == "softmax" else SIGMOID)
    return LossOutput(loss)


def loss_config(loss: str | Loss) -> str | dict[str, Any]:
    """A loss in plain values."""
    return loss if isinstance(loss, str) else {"class": type(loss).__name__, **loss.get_config()}


def loss_from_config(config: Any) -> str | Loss:
    """What `loss_config` wrote; ValueError if there is no such loss of this library."""
    if isinstance(config, str):
        return config
    arguments = dict(config)
    name = arguments.pop("class")
    for kind in LOSSES.values():
        if kind.__name__ == name:
            return kind(**arguments)
    raise ValueError(f"expected a loss of this library; received {name!r}")
