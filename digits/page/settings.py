"""What the page may ask to be trained: data, network and optimizer, and the limits of all."""

import math
from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Self

import numpy as np

from digits.nn import layers as nn
from digits.nn.convolution import Conv2D
from digits.nn.layer import Layer
from digits.nn.network import Network
from digits.nn.optimizers import SGD, Adam, Optimizer, RMSprop
from digits.nn.pooling import AveragePooling2D, MaxPooling2D
from digits.nn.sequential import Sequential
from digits.page.messages import PageError, require
from digits.recipes import MNIST_DEVIATION, MNIST_MEAN, RECIPES
from digits.types import Array

LIMITS = {
    "images": 60_000,
    "epochs": 20,
    "batch_size": 1_000,
    "layers": 12,
    "parameters": 2_000_000,
    "numbers": 100_000_000,
    "minutes": 10,
    "examples": 50,
}
"""The most that a training on the page may take; the page states them."""

DATA = ("synthetic", "mnist")
NETWORKS = ("two-layer", "mlp", "mlp-adam", "lenet5", "fast", "layers")
"""Recipes, or layers of the visitor's own. The other recipes train for many minutes."""
OPTIMIZERS: dict[str, Callable[[float], Optimizer]] = {
    "sgd": SGD,
    "momentum": partial(SGD, momentum=0.9),
    "rmsprop": RMSprop,
    "adam": Adam,
}
KINDS = ("dense", "conv", "max_pool", "average_pool", "batch_norm", "dropout")
"""Layers of the visitor's own, which have these activations."""
ACTIVATIONS = ("relu", "sigmoid", "tanh", "elu")


@dataclass(frozen=True)
class TrainingSettings:
    """A training as the page asks for it."""

    kind: ClassVar[str] = "training"
    data: str
    images: int
    network: str
    layers: list[Any]
    """For the network "layers", as sent; the layers that shape and classify are added."""
    optimizer: str
    learning_rate: float
    batch_size: int
    epochs: int
    seed: int

    @classmethod
    def from_dict(cls, sent: dict[str, Any]) -> Self:
        """What the page sent, checked; raises PageError for anything outside of the limits."""
        layers = sent.get("layers", [])
        require(isinstance(layers, list), "request", "expected a list of layers")
        require(len(layers) <= LIMITS["layers"], "layers", LIMITS["layers"])
        settings = cls(
            data=_one_of(sent, "data", DATA),
            images=_number(sent, "images", 100, LIMITS["images"]),
            network=_one_of(sent, "network", NETWORKS),
            layers=layers,
            optimizer=_one_of(sent, "optimizer", tuple(OPTIMIZERS)),
            learning_rate=_number(sent, "learning_rate", 1e-6, 10.0),
            batch_size=_number(sent, "batch_size", 1, LIMITS["batch_size"]),
            epochs=_number(sent, "epochs", 1, LIMITS["epochs"]),
            seed=_number(sent, "seed", 0, 2**32 - 1),
        )
        if settings.network == "layers":
            _check_size(settings.build(initialize=False), settings.batch_size)
        return settings

    def build(self, initialize: bool = True) -> Network:
        """A fresh network."""
        rng = np.random.default_rng(self.seed)
        if self.network != "layers":
            return RECIPES[self.network].build(rng)
        stack = _stack(self.layers)
        try:
            return Sequential(stack, rng=rng, initialize=initialize)
        except ValueError as error:  # a kernel or a pooling window is larger than its image
            raise PageError("no_image_left") from error


@dataclass(frozen=True)
class TeachingSettings:
    """A short training of a network on digits that a visitor drew and labeled."""

    kind: ClassVar[str] = "teaching"
    network: Network
    images: Array
    """(n, 784), float32 in [0, 1]."""
    labels: Array
    rehearse: bool
    """Whether digits that the network knows are trained on, too, so that they are not forgotten."""

    @classmethod
    def from_dict(cls, sent: dict[str, Any], network: Network) -> Self:
        """What the page sent, checked; raises PageError for what are no labeled digits."""
        examples = sent.get("examples")
        count_fits = isinstance(examples, list) and 1 <= len(examples) <= LIMITS["examples"]
        require(count_fits, "examples", LIMITS["examples"])
        images, labels = [], []
        for example in examples or []:
            require(isinstance(example, dict), "request", "expected an image and its label")
            images.append(to_image(b64decode(str(example.get("image", "")), validate=True)))
            labels.append(_number(example, "label", 0, 9))
        return cls(network, np.array(images), np.array(labels), bool(sent.get("rehearse", True)))


def to_image(data: bytes) -> Array:
    """The 784 bytes of an image as float32 in [0, 1]."""
    sentence = f"expected the 784 bytes of an image of 28 x 28; received {len(data):,}"
    require(len(data) == 784, "request", sentence)
    return np.frombuffer(data, np.uint8).astype(np.float32) / 255


def _stack(layers: list[Any]) -> list[Layer]:
    """Pixels to mean 0 and variance 1, the layers {"kind", "units", "kernel", "activation",
    "rate"} as sent, and ten classes; an image or a row of numbers as each layer needs it."""
    stack: list[Layer] = [nn.Reshape((28, 28, 1)), nn.Normalization(MNIST_MEAN, MNIST_DEVIATION**2)]
    is_image = True
    for sent in layers:
        require(isinstance(sent, dict), "request", "expected each layer as its kind and its size")
        kind = _one_of(sent, "kind", KINDS)
        require(is_image or kind not in ("conv", "max_pool", "average_pool"), "before_dense")
        if kind == "dense":
            stack += [nn.Flatten()] if is_image else []
            stack.append(nn.Dense(_number(sent, "units", 1, 1024), activation=_activation(sent)))
            is_image = False
        elif kind == "conv":
            filters, kernel = _number(sent, "units", 1, 64), _number(sent, "kernel", 1, 9)
            stack.append(Conv2D(filters, kernel, activation=_activation(sent)))
        elif kind == "batch_norm":
            stack += [nn.BatchNormalization(momentum=0.9, epsilon=1e-5), nn.Activation("relu")]
        elif kind == "dropout":
            stack.append(nn.Dropout(_number(sent, "rate", 0.0, 0.9)))
        else:
            stack.append(MaxPooling2D(2) if kind == "max_pool" else AveragePooling2D(2))
    stack += [nn.Flatten()] if is_image else []
    return [*stack, nn.Dense(10, activation="softmax")]


def _check_size(network: Network, batch_size: int) -> None:
    """Raise ValueError for a network that would take too much memory or time."""
    numbers = 0
    for layer in network.layer_arrays():
        outputs = math.prod(layer.output_shape)
        if layer.config["class"] == "Conv2D":  # a convolution copies the patches under its kernel
            *kernel, channels, filters = layer.arrays["W"].shape
            outputs = max(outputs, outputs // filters * channels * math.prod(kernel))
        numbers += outputs * batch_size
    size = network.params.flat.size
    most, most_numbers = LIMITS["parameters"], LIMITS["numbers"]
    require(size <= most, "too_many_weights", f"{most:,}", f"{size:,}")
    require(numbers <= most_numbers, "too_many_numbers", f"{most_numbers:,}", f"{numbers:,}")


def _one_of(sent: dict[str, Any], key: str, among: tuple[str, ...]) -> str:
    value = sent.get(key)
    require(value in among, "choice", key, ", ".join(among), f"{value!s:.40}")
    return str(value)


def _activation(sent: dict[str, Any]) -> str:
    return _one_of(sent, "activation", ACTIVATIONS)


def _number(sent: dict[str, Any], key: str, least: float, most: float) -> Any:
    """A number within limits; an integer where these are integers."""
    value: Any = sent.get(key)
    kind = type(least)
    is_number = isinstance(value, kind | int) and not isinstance(value, bool)
    limits = f"{least:,}", f"{most:,}"
    require(is_number and least <= value <= most, "range", key, *limits, f"{value!s:.40}")
    return kind(value)
