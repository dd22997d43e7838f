"""What every network promises, whether its formulas are written out by hand (`TwoLayerNet`) or
stacked from layers (`Sequential`).  The training loop, the evaluation and the photo reader use
these members and no others, which is why one script trains everything.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from digits.nn.parameters import Parameters
from digits.types import Array, Shape


class LayerArrays(NamedTuple):
    """One layer of a network: all that a file format needs to know about it."""

    name: str
    """As `summary` prints it: "dense_1"."""
    config: dict[str, Any]
    """The name of its class as "class", and the arguments that build it."""
    arrays: dict[str, Array]
    """The network's own arrays under their short names, "W" and "b": weights before buffers."""
    input_shape: Shape
    output_shape: Shape


class Network(Protocol):
    """Inputs x: float (n, 784) in [0, 1].  Answers t: class indices (n,), or one-hot (n, 10)."""

    params: Parameters
    """The trainable weights: named views of one flat vector."""

    buffers: Parameters
    """Numbers that training gathers but no gradient changes, such as the averages of batch
    normalization.
    """

    rng: np.random.Generator
    """Source of the first weights and of whatever noise training needs; part of every checkpoint.
    """

    metadata: dict[str, Any]
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

    def get_config(self) -> dict[str, Any]:
        """The architecture in plain values, the name of the class as "class"."""
        ...

    def layer_arrays(self) -> list[LayerArrays]:
        """The layers in order, each with its configuration and its arrays."""
        ...

    def save(self, path: str | Path) -> None:
        """Write weights, architecture and `metadata` to a `.npz` file."""
        ...

    def export_onnx(self, path: str | Path) -> None:
        """Write all of it, from pixels to probabilities, as an ONNX file for other runtimes."""
        ...


class NetworkMixin:
    """What users call on a network although the code for it stands further up: files are written
    by `digits.files`, which knows every kind of network, while a network knows no files.
    """

    # Each function is looked up among the public names of the package when it is called: an import
    # at the head of this file would make the networks depend on what is built on top of them.

    def save(self, path: str | Path) -> None:
        """Write weights, architecture and `metadata` to a file: `files.models.save_model`."""
        _public("save_model")(self, path)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a network of this class: `files.models.load_model`, which reads any."""
        return _public("load_model")(path, cls)

    def export_onnx(self, path: str | Path) -> None:
        """Write the network as an ONNX file: `files.models.export_onnx`."""
        _public("export_onnx")(self, path)


def _public(name: str) -> Callable[..., Any]:
    """A public function of this package, see `digits/__init__.py`."""
    function: Callable[..., Any] = getattr(sys.modules["digits"], name)
    return function
