"""What happens inside a network with one image: the outputs of its layers, what a unit looks for
and adds to each class, the steps of backpropagation, and which pixels an answer rests on.
"""

from base64 import b64encode
from typing import Any

import numpy as np

from digits.nn.convolution import Conv2D, full_kernel
from digits.nn.geometry import KernelLayer
from digits.nn.layer import Layer
from digits.nn.layers import Dense
from digits.nn.network import Network
from digits.nn.pooling import ZeroPadding2D
from digits.nn.sequential import Sequential
from digits.page.messages import require
from digits.types import Array
from digits.validation import check
from functions import softmax, softmax_cross_entropy

RESHAPING = ("Reshape", "Flatten", "Dropout")
"""Layers that, outside of training, pass their inputs on."""

PER_NUMBER = (*RESHAPING, "Activation", "BatchNormalization", "Normalization", "Rescaling")
"""Layers that make one number of one number."""

PER_MAP = (*PER_NUMBER, "MaxPooling2D", "AveragePooling2D", "Subsampling2D", "ZeroPadding2D")
"""Layers that make one map of one map: map j shows what map j of the layer before found."""

PATCH = 5
"""Side of the square that occlusion covers with paper, in pixels."""


class Inspector:
    """Looks into a copy of one network, which only one thread may use at a time."""

    def __init__(self, network: Network) -> None:
        self.network = as_sequential(network)
        self.stack: list[Layer] = self.network.layers
        for layer in self.stack:
            layer.needs_dx = True  # down to the pixels
        self.names = [layer.name for layer in self.network.layer_arrays()]
        self.kinds = [type(layer).__name__ for layer in self.stack]
        self.shown = [i for i, kind in enumerate(self.kinds) if kind not in RESHAPING]
        self.classes: int = self.network.classes

    # --- forward and backward ---------------------------------------------------------------------

    def forward(self, x: Array) -> list[Array]:
        """The outputs of every layer for images x (n, 784); the last ones are the logits.

        Raises PageError for outputs that are not finite, which JSON does not know.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            layers = self.network.activations(x)
        for name, y in layers:
            require(np.isfinite(y).all(), "not_finite", name)
        return [y for _, y in layers]

    def backward(self, dy: Array) -> tuple[list[Array], Array]:
        """Gradients with respect to the outputs of every layer, and to the images (n, 784), from
        that with respect to the logits: for the latest `forward`."""
        gradients = []
        for layer in reversed(self.stack):
            gradients.append(np.array(dy))
            dy = np.array(layer.backward(dy))
        return gradients[::-1], dy.reshape(len(dy), -1)

    # --- what the page asks for -------------------------------------------------------------------

    def layers(self, image: Array) -> dict[str, Any]:
        """Each layer that changes its inputs: number, name, kind and `tiles` of its outputs."""
        outputs = self.forward(image[np.newaxis])
        return {"layers": [self._layer(i, outputs[i]) for i in self.shown]}

    def unit(self, image: Array, layer: int, map_: int, row: int, column: int) -> dict[str, Any]:
        """One unit: its output, what it sees of the image, its weights, and what it adds to each
        class: its output times the gradient of the logits with respect to it.

        That is exact where only sums follow, and elsewhere the first term of a Taylor series.
        Raises ValueError for a unit that there is not.
        """
        check(0 <= layer < len(self.stack), f"a layer from 0 to {len(self.stack) - 1}", layer)
        x = np.repeat(image[np.newaxis], self.classes, axis=0)
        outputs = self.forward(x)
        gradients, _ = self.backward(np.eye(self.classes, dtype=outputs[-1].dtype))
        y, dy = _maps(outputs[layer][0]), np.stack([_maps(dy) for dy in gradients[layer]])
        inside = all(0 <= i < n for i, n in zip((row, column, map_), y.shape, strict=True))
        check(inside, f"row, column and map within {y.shape}", (row, column, map_))
        weights, bias = self._weights(layer, map_)
        top, left, bottom, right = self.receptive_field(layer, row, column)
        return {
            "value": float(y[row, column, map_]),
            "bias": bias,
            "weights": None if weights is None else tiles(weights),
            "field": [left, top, right - left, bottom - top],
            "contributions": (y[row, column, map_] * dy[:, row, column, map_]).tolist(),
            "map_contributions": (y[..., map_] * dy[..., map_]).sum(axis=(1, 2)).tolist(),
        }

    def receptive_field(self, layer: int, row: int, column: int) -> tuple[int, int, int, int]:
        """The pixels that a unit depends on: top, left, and, beyond the last, bottom and right."""
        low, high = np.array([row, column]), np.array([row + 1, column + 1])
        for below in reversed(self.stack[: layer + 1]):
            if len(below.output_shape) == 1:
                if type(below).__name__ in PER_NUMBER and len(below.input_shape) == 1:
                    continue
                return (0, 0, 28, 28)
            if isinstance(below, KernelLayer | ZeroPadding2D):
                kernel, strides = np.array(below.geometry.kernel), np.array(below.geometry.strides)
                before, _ = np.transpose(below.geometry.padding)
                low, high = low * strides - before, (high - 1) * strides - before + kernel
        top, left, bottom, right = np.clip([*low, *high], 0, 28).tolist()
        return top, left, bottom, right

    def steps(self, image: Array, target: int) -> dict[str, Any]:
        """The forward pass, the loss of the class `target`, and the backward pass of one image."""
        check(0 <= target < self.classes, f"a class from 0 to {self.classes - 1}", target)
        outputs = self.forward(image[np.newaxis])
        logits = outputs[-1]
        probabilities = softmax(logits)
        dy = probabilities.copy()
        dy[0, target] -= 1  # (y - t) / n with n = 1
        gradients, dx = self.backward(dy)
        steps = [{"phase": "forward", **self._layer(i, outputs[i])} for i in self.shown]
        steps.append({"phase": "loss"})
        for i in reversed(self.shown):
            grads = self.stack[i].grads.items()
            norms = {name: float(np.linalg.norm(grad)) for name, grad in grads}
            steps.append({"phase": "backward", **self._layer(i, gradients[i]), "norms": norms})
        steps.append({"phase": "pixels", **tiles(_maps(dx[0]))})
        loss, y = softmax_cross_entropy(logits, np.array([target])), probabilities[0].tolist()
        return {"steps": steps, "target": target, "loss": loss, "probabilities": y}

    def reasons(self, image: Array) -> dict[str, Any]:
        """Why this class? `saliency`: the gradient of its logit with respect to the pixels.
        `occlusion`: what its probability loses when paper covers PATCH pixels around a pixel."""
        logits = self.forward(image[np.newaxis])[-1]
        answer = int(logits[0, :10].argmax())
        _, dx = self.backward(np.eye(self.classes, dtype=logits.dtype)[answer : answer + 1])
        middles, pixels = np.arange(0, 28, 2)[:, np.newaxis], np.arange(28)
        inside = np.abs(middles - pixels) <= PATCH // 2  # (14, 28)
        paper = inside[:, np.newaxis, :, np.newaxis] & inside[np.newaxis, :, np.newaxis, :]
        covered = np.where(paper, 0, image.reshape(28, 28))  # (14, 14, 28, 28)
        parts = np.split(covered.reshape(-1, 784), 7)  # small ones take less memory
        p = softmax(np.concatenate([self.forward(part)[-1] for part in parts]))[:, answer]
        lost = softmax(logits)[0, answer] - p
        shown = {"saliency": tiles(_maps(dx[0])), "occlusion": tiles(lost.reshape(14, 14, 1))}
        return {"answer": answer, "patch": PATCH, **shown}

    def _layer(self, i: int, values: Array) -> dict[str, Any]:
        """Layer i with its outputs, or the gradient with respect to them."""
        layer = {"layer": i, "name": self.names[i], "kind": self.kinds[i]}
        return layer | tiles(_maps(values[0]))

    def _weights(self, layer: int, map_: int) -> tuple[Array | None, float]:
        """The weights of a map as maps (height, width, channels) over its inputs, and its bias;
        those of the layer that feeds it, if it has none. None where they are no such maps."""
        while layer and self.kinds[layer] in PER_MAP:
            layer -= 1
        found = self.stack[layer]
        bias = float(found.weights["b"][map_]) if "b" in found.weights else 0.0
        if isinstance(found, Conv2D):
            return full_kernel(found.weights["W"], found.connections)[..., map_], bias
        if not isinstance(found, Dense):
            return None, bias
        column = found.weights["W"][:, map_]
        for below in reversed(self.stack[:layer]):
            if len(below.input_shape) == 3:
                return column.reshape(below.input_shape), bias
            if type(below).__name__ not in PER_NUMBER:
                return column.reshape(1, 1, -1), bias
        return _maps(column), bias


def as_sequential(network: Network) -> Sequential:
    """A copy of a network in float32 as a stack of layers that give logits."""
    if not isinstance(network, Sequential):  # a TwoLayerNet
        hidden, classes = network.params["b1"].size, network.params["b2"].size
        stack = Sequential([Dense(hidden, activation="sigmoid"), Dense(classes)])
        stack.params.flat[...] = network.params.flat
        return stack
    return network.astype(np.float32)


def tiles(maps: Array) -> dict[str, Any]:
    """Maps (height, width, count) for the page: `values`, one map after the other, are bytes from
    -127 to 127, where 127 stands for `largest`."""
    height, width, count = maps.shape
    largest = float(np.abs(maps).max()) or 1.0
    values = np.rint(127 / largest * maps.transpose(2, 0, 1)).astype(np.int8)
    shape = {"maps": count, "height": height, "width": width}
    return {**shape, "largest": largest, "values": b64encode(values.tobytes()).decode()}


def gray_levels(pixels: Array) -> str:
    """Pixels in [0, 1] for the page: bytes as text."""
    return b64encode(np.rint(255 * pixels).astype(np.uint8).tobytes()).decode()


def _maps(outputs: Array) -> Array:
    """The outputs for one image as maps (height, width, count); 784 numbers are an image."""
    if outputs.ndim == 3:
        return outputs
    return outputs.reshape((28, 28, 1) if outputs.size == 784 else (1, 1, -1))
