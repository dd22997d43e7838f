"""The end of a network: how the outputs of the last layer become predictions, and how far these are
from the targets. A softmax or a sigmoid is computed together with its cross-entropy, from the
logits, so that no digit is lost between the two.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
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


@dataclass(frozen=True)
class Output:
    """What follows the last layer. Predictions are the activation of its outputs, the logits;
    loss(logits, t) -> the mean loss; loss_and_grad(logits, t) -> that and its gradient with respect
    to the logits.
    """

    activation: ActivationFunction
    loss: Callable[[Array, ArrayLike], float]
    loss_and_grad: Callable[[Array, ArrayLike], tuple[float, Array]]

    def predictions(self, logits: Array) -> Array:
        return self.activation.function(logits)

    def classes(self, logits: Array) -> NDArray[np.intp]:
        """The class of each sample, (n,): with a single output 1 where it is above one half."""
        if logits.shape[-1] > 1:
            return np.argmax(logits, axis=-1)
        return (self.predictions(logits)[..., 0] > 0.5).astype(np.intp)

    def accuracy(self, logits: Array, t: ArrayLike) -> float:
        """Ratio of the samples, 0 to 1, whose class is that of the target. With a single output
        only for targets of 0 and 1: others are numbers, no classes.
        """
        if logits.shape[-1] > 1:
            return accuracy(logits, t)
        classes = self.classes(logits).ravel()
        return float(np.mean(classes == _two_classes(logits, t).reshape(classes.shape)))


def cross_entropy(label_smoothing: float = 0.0) -> Output:
    """Classes, one output for each. Targets are class indices (n,) or one-hot (n, classes)."""
    return Output(
        SOFTMAX,
        partial(softmax_cross_entropy, label_smoothing=label_smoothing),
        partial(softmax_cross_entropy_with_grad, label_smoothing=label_smoothing),
    )


def _squared_error(logits: Array, t: ArrayLike) -> float:
    return squared_error(softmax(logits), to_one_hot(t, logits.shape[1], logits.dtype))


def _squared_error_with_grad(logits: Array, t: ArrayLike) -> tuple[float, Array]:
    y, target = softmax(logits), to_one_hot(t, logits.shape[1], logits.dtype)
    return squared_error(y, target), softmax_backward(squared_error_grad(y, target), y)


def _of_two_classes(loss: Callable[..., Any], logits: Array, t: ArrayLike) -> Any:
    """A loss of two classes and one output, the logit of class 1."""
    return loss(logits, _two_classes(logits, t))


def _two_classes(logits: Array, t: ArrayLike) -> NDArray[np.intp]:
    """A label for each single output, from targets of 0 and 1 or one-hot ones."""
    t = unmasked(t)
    return to_labels(t.ravel() if t.shape in (logits.shape, logits.shape[:-1]) else t, 2)


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
            binary = BinaryCrossentropy(True, label_smoothing)
            return Output(
                SIGMOID,
                partial(_of_two_classes, binary),
                partial(_of_two_classes, binary.loss_and_grad),
            )
        check(
            last.output_shape != (1,),
            "an output for each class, or one sigmoid",
            "a single output whose softmax would always be 1",
            "end with Dense(1, activation='sigmoid') for two classes, or use another loss for "
            "numbers, such as mean_squared_error",
        )
        last.gives_logits = activation == "softmax"
        if loss == "squared_error":
            return Output(SOFTMAX, _squared_error, _squared_error_with_grad)
        return cross_entropy(label_smoothing)
    known = f"a loss among cross_entropy, squared_error, {', '.join(LOSSES)}, or a Loss"
    check(isinstance(loss, Loss) or loss in LOSSES, known, loss)
    loss = loss if isinstance(loss, Loss) else LOSSES[loss]()
    check(label_smoothing == 0, "label_smoothing as an argument of the Loss", label_smoothing)
    after = LINEAR
    if isinstance(last, ActivatedLayer) and loss.activation == activation and not loss.from_logits:
        last.gives_logits = True
        loss, after = loss.with_logits(), SOFTMAX if activation == "softmax" else SIGMOID
    return Output(after, loss, loss.loss_and_grad)


def loss_config(loss: str | Loss) -> str | dict[str, Any]:
    """A loss in plain values."""
    return loss if isinstance(loss, str) else {"class": type(loss).__name__, **loss.get_config()}


def loss_from_config(config: Any) -> str | Loss:
    """What `loss_config` wrote; ValueError if there is no such loss of this library."""
    if isinstance(config, str):
        return config
    arguments = dict(config)
    name = arguments.pop("class")
    kinds = {kind.__name__: kind for kind in LOSSES.values()}
    advice = 'enter it in digits.nn.losses.LOSSES, as LOSSES["mine"] = MyLoss'
    check(name in kinds, "a loss of this library", name, f"if it is your own, {advice}")
    return kinds[name](**arguments)
