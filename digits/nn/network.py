"""What every network promises, whether its formulas are written out by hand (`TwoLayerNet`) or
stacked from layers (`Sequential`). The training loop, the evaluation and the photo reader use
these members and no others, which is why one script trains everything.
"""

import copy
import html
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

import digits
from digits.cli import say
from digits.nn.parameters import Parameters
from digits.types import Array, Shape
from digits.validation import check
from functions import numerical_gradient


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


class Score(NamedTuple):
    """What `evaluate` returns."""

    loss: float
    accuracy: float | None  # None where the targets are no classes


class Network(ABC):
    """Inputs x: float (n, 784) in [0, 1]. Targets t: class indices (n,), or one-hot (n, 10).

    The code for training and for files stands further up, as it knows every kind of network, while
    a network knows neither. So `fit`, `save` and their like are looked up among the public names of
    the package when they are called: an import at the head of this file would make the networks
    depend on what is built on top of them.
    """

    params: Parameters
    """The trainable weights: named views of one flat vector."""

    buffers: Parameters
    """Numbers that training gathers but no gradient changes, such as the averages of batch
    normalization.
    """

    rng: np.random.Generator
    """Draws the initial weights and all that training leaves to chance; part of checkpoints."""

    output_activation: str = "softmax"
    """The activation that makes predictions from the logits of the last layer."""

    metadata: dict[str, Any]
    """Where the weights come from: recipe, data set, seed, accuracies. Saved with them."""

    optimizer: Any = None
    """What `fit` trains with, once it has."""

    # --- what each kind of network computes in its own way ----------------------------------------

    @abstractmethod
    def predict(self, x: ArrayLike) -> Array:
        """Probabilities (n, 10)."""

    @abstractmethod
    def activations(self, x: ArrayLike) -> list[tuple[str, Array]]:
        """What each layer makes of x: pairs of its name and its outputs, (n, ...)."""

    @abstractmethod
    def loss(self, x: ArrayLike, t: ArrayLike) -> float:
        """Mean cross-entropy over the batch."""

    @abstractmethod
    def accuracy(self, x: ArrayLike, t: ArrayLike) -> float:
        """Ratio of samples, 0 to 1, whose most probable class is their target."""

    @abstractmethod
    def gradient(self, x: ArrayLike, t: ArrayLike) -> Parameters:
        """Gradient of `loss` by backpropagation, under the names of `params`."""

    @abstractmethod
    def loss_and_gradient(
        self, x: ArrayLike, t: ArrayLike, *, scale: float = 1.0
    ) -> tuple[float, Parameters]:
        """One step of training needs both, from a single forward pass, in training mode (dropout
        awake); the gradient times `scale`, see `Optimizer.gradient_scale`.

        The gradient may be a buffer that the next call overwrites.
        """

    @abstractmethod
    def get_config(self) -> dict[str, Any]:
        """The architecture in plain values, the name of the class as "class"."""

    @abstractmethod
    def layer_arrays(self) -> list[LayerArrays]:
        """The layers in order, each with its configuration and its arrays."""

    # --- copies and checks ------------------------------------------------------------------------

    def __copy__(self) -> Self:
        """A copy shares nothing with the network: copy.copy and copy.deepcopy are the same."""
        return copy.deepcopy(self)

    def astype(self, dtype: DTypeLike) -> Self:
        """A copy with weights and arithmetic in another dtype: float32 trains, float64 checks."""
        network = copy.deepcopy(self)
        network.params, network.buffers = self.params.astype(dtype), self.buffers.astype(dtype)
        return network

    def numerical_gradient(self, x: ArrayLike, t: ArrayLike) -> Parameters:
        """Gradient of `loss` by central differences, in float64: slow, and right. `TwoLayerNet`
        writes it out for each of its arrays, as its page shows every formula."""
        network = self.astype(np.float64)
        grads = network.params.zeros_like()
        grads.flat[...] = numerical_gradient(lambda _: network.loss(x, t), network.params.flat)
        return grads

    # --- training -----------------------------------------------------------------------------

    def fit(self, x: ArrayLike, t: ArrayLike, **options: Any) -> Any:
        """Train on images and their labels: `digits.fit` names the options.

        >>> network.fit(x_train, t_train, epochs=5, batch_size=32, validation_split=0.1)
        """
        return digits.fit(self, x, t, **options)

    def evaluate(self, x: ArrayLike, t: ArrayLike) -> Score:
        """Loss and accuracy on images and their labels."""
        loss = self.loss(x, t)
        try:
            return Score(loss, self.accuracy(x, t))
        except ValueError:
            return Score(loss, None)

    # --- weights ------------------------------------------------------------------------------

    def count_params(self) -> int:
        """Numbers in all weights and buffers."""
        return int(self.params.flat.size + self.buffers.flat.size)

    def get_weights(self) -> list[Array]:
        """Copies of all arrays, layer by layer, weights before buffers."""
        return [a.copy() for layer in self.layer_arrays() for a in layer.arrays.values()]

    def set_weights(self, weights: Sequence[ArrayLike]) -> None:
        """Copy in what `get_weights` of such a network returned."""
        own = [a for layer in self.layer_arrays() for a in layer.arrays.values()]
        new = [np.asarray(a) for a in weights]
        shapes, expected = [a.shape for a in new], [a.shape for a in own]
        check(shapes == expected, f"arrays of shapes {expected}", shapes)
        for old, array in zip(own, new, strict=True):
            old[...] = array

    # --- showing ------------------------------------------------------------------------------

    def summary(self) -> None:
        """Print a table of the layers, their output shapes and numbers of parameters."""
        say(str(self))

    def __str__(self) -> str:
        rows = self._summary_rows()
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        head, *lines = (f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:>{widths[2]}}" for a, b, c in rows)
        trainable, other = self.params.flat.size, self.buffers.flat.size
        return "\n".join(
            [
                f'Model: "{type(self).__name__}"',
                *("─" * len(head), head, "═" * len(head), *lines, "─" * len(head)),
                f"Total params: {trainable + other:,}",
                f"Trainable params: {trainable:,}",
                f"Non-trainable params: {other:,}",
            ]
        )

    def __repr__(self) -> str:
        lines = []
        for layer in self.layer_arrays():
            arguments = ", ".join(f"{k}={v!r}" for k, v in layer.config.items() if k != "class")
            lines.append(f"    {layer.config['class']}({arguments}),")
        return "\n".join([f"{type(self).__name__}([", *lines, "])"])

    def _summary_rows(self) -> list[tuple[str, str, str]]:
        rows = [("Layer (type)", "Output Shape", "Param #")]
        for layer in self.layer_arrays():
            shape = ", ".join(map(str, ("None", *layer.output_shape)))
            size = sum(array.size for array in layer.arrays.values())
            rows.append((f"{layer.name} ({layer.config['class']})", f"({shape})", f"{size:,}"))
        return rows

    def _repr_html_(self) -> str:
        """The summary as a table, in a notebook."""
        head, *rows = (
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>"
            for row in self._summary_rows()
        )
        total = f"<caption>{type(self).__name__}, {self.count_params():,} parameters</caption>"
        return f"<table>{total}<thead>{head}</thead><tbody>{''.join(rows)}</tbody></table>"

    # --- files --------------------------------------------------------------------------------

    def save(self, path: str | Path) -> None:
        """Write weights, architecture and `metadata` to a file: `files.models.save_model`."""
        digits.save_model(self, path)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a network of this class: `files.models.load_model`, which reads any."""
        network: Any = digits.load_model(path, cls)
        return network

    def export_onnx(self, path: str | Path) -> None:
        """Write the network as an ONNX file: `files.models.export_onnx`."""
        digits.export_onnx(self, path)
