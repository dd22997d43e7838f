"""What every network promises, whether its formulas are written out by hand (`TwoLayerNet`) or
stacked from layers (`Sequential`).  The training loop, the evaluation and the photo reader use
these members and no others, which is why one script trains everything.
"""

from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from digits.nn.parameters import Parameters
from digits.types import Array


class Network(Protocol):
    """Inputs x: float (n, 784) in [0, 1].  Answers t: class indices (n,), or one-hot (n, 10)."""

    params: Parameters
    """The trainable weights: named views of one flat vector."""

    state: Parameters
    """Numbers that training gathers but no gradient changes, such as the averages of batch
    normalization.
    """

    rng: np.random.Generator
    """Source of the first weights and of whatever noise training needs; part of every checkpoint.
    """

    about: dict[str, Any]
    """Where the weights come from: recipe, data set, seed, accuracies.  Saved with them."""

    def predict(self, x: ArrayLike) -> Array:
        """Probabilities (n, 10)."""
        ...

    def activations(self, x: ArrayLike) -> list[tuple[str, Array]]:
        """What each layer makes of x: pairs of its name and its outputs, (n, ...)."""
        ...

    def loss(self, x: ArrayLike, t: ArrayLike) -> float:
        """Mean cross-entropy over the batch."""
        ...

    def accuracy(self, x: ArrayLike, t: ArrayLike) -> float:
        """Share of samples, 0 to 1, whose most probable class is the right one."""
        ...

    def gradient(self, x: ArrayLike, t: ArrayLike) -> Parameters:
        """Gradient of `loss` by backpropagation, under the names of `params`."""
        ...

    def numerical_gradient(self, x: ArrayLike, t: ArrayLike) -> Parameters:
        """Gradient of `loss` by central differences, in float64: slow, and right."""
        ...

    def loss_and_gradient(self, x: ArrayLike, t: ArrayLike) -> tuple[float, Parameters]:
        """One step of training needs both, from a single forward pass, in training mode (dropout
        awake).

        The gradient may be a buffer that the next call overwrites.
        """
        ...

    def astype(self, dtype: DTypeLike) -> Self:
        """A copy in another type: float32 trains, float64 checks."""
        ...

    def save(self, path: str | Path) -> None:
        """Write weights, architecture and `about` to a `.npz` file."""
        ...

    def export_onnx(self, path: str | Path) -> None:
        """Write all of it, from pixels to probabilities, as an ONNX file for other runtimes."""
        ...
