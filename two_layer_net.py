"""A network of two layers with every formula written out: a hidden layer of sigmoids, an output
layer of softmax, the gradient of the loss by backpropagation, and the numerical gradient to compare
it with. It is the network of Saito, *Deep Learning from Scratch*, chapters 4 and 5.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from digits.compute.threads import adaptive_blas, matmul
from digits.nn.network import LayerArrays, Network
from digits.nn.parameters import Parameters
from digits.types import Array
from digits.validation import check, generator, is_number
from functions import (
    accuracy,
    numerical_gradient,
    require_finite,
    sigmoid,
    softmax,
    softmax_cross_entropy,
    softmax_cross_entropy_with_grad,
    to_inputs,
    without_warnings,
)


class TwoLayerNet(Network):
    """x -> sigmoid(x W1 + b1) -> softmax(z1 W2 + b2) -> probabilities.

    Inputs x are floats (n, input_size), in [0, 1] for images; targets t are class indices (n,) or
    one-hot (n, output_size). A wrong shape or label or a pixel that is not finite raises
    ValueError, integer pixels TypeError. Weights too large for their dtype give a loss that is inf
    or nan, and no warning.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        output_size: int,
        weight_init_std: float = 0.01,
        *,
        rng: np.random.Generator | None = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        """Weights are drawn from a normal distribution of standard deviation `weight_init_std`;
        biases start at 0.
        """
        valid = is_number(weight_init_std) and 0 <= weight_init_std <= 1e6
        check(valid, "a weight_init_std from 0 to a million", weight_init_std)
        self.input_size, self.hidden_size, self.output_size = input_size, hidden_size, output_size
        self.rng = generator(rng)
        shapes = {
            "W1": (input_size, hidden_size),
            "b1": (hidden_size,),
            "W2": (hidden_size, output_size),
            "b2": (output_size,),
        }
        self.params = Parameters(shapes, dtype)
        self.params["W1"] = weight_init_std * self.rng.standard_normal((input_size, hidden_size))
        self.params["W2"] = weight_init_std * self.rng.standard_normal((hidden_size, output_size))
        self.buffers = Parameters({}, dtype)
        self.metadata: dict[str, Any] = {}

    def _inputs(self, x: ArrayLike, finite: bool = True) -> Array:
        return to_inputs(x, self.input_size, self.params.dtype, finite=finite)

    def _forward(self, x: Array) -> tuple[Array, Array]:
        """Hidden activations z1 and logits a2, before softmax; shapes here for 784-50-10."""
        params = self.params
        a1 = matmul(x, params["W1"])  # (n, 784) @ (784, 50)
        a1 += params["b1"]
        z1 = sigmoid(a1)  # (n, 50)
        a2 = z1 @ params["W2"]  # (n, 50) @ (50, 10)
        a2 += params["b2"]
        return z1, a2

    @adaptive_blas
    def _logits(self, x: ArrayLike) -> Array:
        """a2 alone."""
        _, a2 = self._forward(self._inputs(x))
        return a2

    @without_warnings
    def predict(self, x: ArrayLike) -> Array:
        """Probabilities (n, output_size); each row sums to 1."""
        return softmax(self._logits(x))

    @without_warnings
    def predict_classes(self, x: ArrayLike) -> NDArray[np.intp]:
        """The most probable class of each sample, (n,): that of the largest logit."""
        return np.argmax(self._logits(x), axis=1)

    @without_warnings
    def loss(self, x: ArrayLike, t: ArrayLike) -> float:
        """Mean cross-entropy of the predictions for x against the targets t."""
        return softmax_cross_entropy(self._logits(x), t)

    def accuracy(self, x: ArrayLike, t: ArrayLike) -> float:
        """Ratio of the samples, 0 to 1, whose most probable class is that of the target."""
        return accuracy(self.predict(x), t)

    def gradient(self, x: ArrayLike, t: ArrayLike) -> Parameters:
        """Gradient of the loss with respect to W1, b1, W2, b2, by backpropagation."""
        return self.loss_and_gradient(self._inputs(x), t)[1]

    @adaptive_blas
    @without_warnings
    def loss_and_gradient(
        self, x: ArrayLike, t: ArrayLike, *, scale: float = 1.0
    ) -> tuple[float, Parameters]:
        """The loss, and its gradient found by walking the forward pass backwards with the chain
        rule. The gradient is multiplied by `scale`: as all of it is proportional to da2, it is
        enough to multiply that.

        Write dv for the gradient of the loss with respect to v. Softmax and cross-entropy together
        give da2 = (y - t) / n. A layer a = z W + b passes on dW = z^T da, db = the sum of da over
        the samples, dz = da W^T. The sigmoid z = sigmoid(a) passes on da = dz z (1 - z).
        """
        x, W2 = self._inputs(x, finite=False), self.params["W2"]
        z1, a2 = self._forward(x)
        loss, da2 = softmax_cross_entropy_with_grad(a2, t)  # da2 = (y - t) / n
        da2 *= scale
        if not math.isfinite(loss):
            require_finite(x)  # only now that something is wrong, as it takes time

        # Each gradient is written into its place. ones @ da is the sum of da over the samples.
        grads, ones = self.params.empty_like(), np.ones(len(x), x.dtype)
        np.dot(z1.T, da2, out=grads["W2"])  # (50, n) @ (n, 10)
        np.dot(ones, da2, out=grads["b2"])  # (n,) @ (n, 10)
        dz1 = da2 @ W2.T  # (n, 10) @ (10, 50)
        da1 = dz1 * z1 * (1 - z1)
        matmul(x.T, da1, out=grads["W1"])  # (784, n) @ (n, 50)
        np.dot(ones, da1, out=grads["b1"])  # (n,) @ (n, 50)
        return loss, grads

    def activations(self, x: ArrayLike) -> list[tuple[str, Array]]:
        """The outputs of each layer for x: the hidden activations, and the logits."""
        z1, a2 = self._forward(self._inputs(x))
        return [("hidden", z1), ("logits", a2)]

    def numerical_gradient(self, x: ArrayLike, t: ArrayLike) -> Parameters:
        """The same gradient by central differences, in float64: the loss is evaluated twice for
        every weight. It shows what a gradient is, and checks backpropagation; for 784-50-10 and a
        batch of 100 it takes half a minute.
        """
        network = self.astype(np.float64)
        grads = network.params.zeros_like()
        for name, array in network.params.items():
            grads[name] = numerical_gradient(lambda _: network.loss(x, t), array)
        return grads

    def get_config(self) -> dict[str, Any]:
        """The architecture in plain values, as a model file holds it."""
        sizes = [self.input_size, self.hidden_size, self.output_size]
        return {"class": "TwoLayerNet", "sizes": sizes}

    def layer_arrays(self) -> list[LayerArrays]:
        """The two layers, as ONNX, Keras and PyTorch know them."""
        W1, b1, W2, b2 = self.params.values()
        hidden = {"class": "Dense", "units": self.hidden_size, "activation": "sigmoid"}
        output = {"class": "Dense", "units": self.output_size, "activation": "linear"}
        return [
            LayerArrays("dense", hidden, {"W": W1, "b": b1}, W1.shape[:1], b1.shape),
            LayerArrays("dense_1", output, {"W": W2, "b": b2}, W2.shape[:1], b2.shape),
        ]
