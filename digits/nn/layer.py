"""What all layers share. A layer computes y from a batch x, and on the way back, from the gradient
of the loss with respect to y, called dy, those with respect to its weights and to x.

Arrays have the samples first and the channels last: (n, features) or (n, height, width, channels).
"""

import copy
from collections.abc import Callable
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike

from digits.nn.activations import ACTIVATIONS, LINEAR, ActivationFunction, get_activation
from digits.nn.workspace import ThreadCache
from digits.types import Array, Shape


class Layer:
    """A layer is described (`__init__`), told the shape of its inputs (`build`), and given its
    arrays (`bind`). Then it can go forward and backward.

    A layer of your own derives from this class, calls `super().__init__()`, sets `weight_shapes`
    (what training fits) and `buffer_shapes` (what it merely gathers) in `build`, and returns its
    arguments from `get_config`, so that it can be saved.

    What `forward` leaves for `backward` goes into `cache`, and arrays made anew for every batch
    come from `workspace`: both belong to the thread that calls.
    """

    shares_work = False
    """Whether the layer uses the threads of `digits.compute.threads`."""

    def __init__(self) -> None:
        self.input_shape: Shape = ()
        self.output_shape: Shape = ()
        self.weight_shapes: dict[str, Shape] = {}
        self.buffer_shapes: dict[str, Shape] = {}
        self.needs_dx = True
        """False for the first layer with weights: the gradient with respect to pixels is unused."""
        self.gives_logits = False
        """True for a last layer whose activation the network computes together with the loss."""
        self.bound = False
        """Whether it has its arrays, as a part of a network."""
        self.weights: dict[str, Array] = {}
        self.grads: dict[str, Array] = {}
        self.buffers: dict[str, Array] = {}
        self.rng = np.random.default_rng(0)
        self.dtype: np.dtype[Any] = np.dtype(np.float32)
        self.cache = ThreadCache()

    def build(self, input_shape: Shape) -> None:
        """Learn the shape of one input; set that of one output and of the weights.

        Raises ValueError if the layer cannot take such inputs.
        """
        self.input_shape = self.output_shape = input_shape

    def bind(
        self,
        weights: dict[str, Array],
        grads: dict[str, Array],
        buffers: dict[str, Array],
        rng: np.random.Generator,
        dtype: DTypeLike,
    ) -> None:
        """Receive the arrays, views of the network's own, and its random generator."""
        self.weights, self.grads, self.buffers = weights, grads, buffers
        self.rng, self.dtype, self.bound = rng, np.dtype(dtype), True

    def unbound(self) -> Self:
        """The same layer without arrays, for a copy of its network."""
        layer = object.__new__(type(self))
        layer.__dict__.update(self.__dict__, weights={}, grads={}, buffers={}, cache=ThreadCache())
        return layer

    def __copy__(self) -> Self:
        return copy.deepcopy(self)  # a shallow copy would share its weights

    def initialize(self) -> None:
        """Fill weights and buffers with their initial values."""

    def forward(self, x: Array, training: bool = False) -> Array:
        """y from x; remembers what `backward` will need. x is never changed. y may be an array of
        the layer's own, which the next `forward` of this thread overwrites.
        """
        raise NotImplementedError

    def backward(self, dy: Array) -> Array | None:
        """dx from dy, for the latest `forward` of this thread; fills `grads`. None if not
        `needs_dx`.
        """
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """The arguments that build this layer again, as plain values; initializers are left out."""
        return {}

    def workspace(self, name: str, shape: Shape) -> Array:
        """An array to write into, the same for every batch of this shape: see `ThreadCache`."""
        return self.cache.array(name, shape, self.dtype)

    def _expect_rank(self, rank: int, meaning: str, advice: str) -> None:
        if len(self.input_shape) != rank:
            raise ValueError(
                f"{type(self).__name__} expected inputs of shape {meaning}; "
                f"received {self.input_shape}: {advice}"
            )

    def expect_images(self) -> None:
        """Raise ValueError if the inputs are not (height, width, channels)."""
        image = (*self.input_shape, 1) if len(self.input_shape) == 2 else (28, 28, 1)
        advice = f"put Reshape({image}) before the first layer for images"
        self._expect_rank(3, "(height, width, channels)", advice)

    def __repr__(self) -> str:
        arguments = [f"{name}={value!r}" for name, value in self.get_config().items()]
        return f"{type(self).__name__}({', '.join(arguments)})"


class ActivatedLayer(Layer):
    """A layer with an activation at its end. `activation` is its name."""

    def __init__(self, activation: str | Callable[..., Array] | ActivationFunction | None) -> None:
        super().__init__()
        self._activation = get_activation(activation)
        self.activation = self._activation.name

    @property
    def applied_activation(self) -> ActivationFunction:
        """The activation that the layer computes itself."""
        return LINEAR if self.gives_logits else self._activation

    def _activation_config(self) -> str | ActivationFunction:
        """Its name; an activation of your own as it is, which no file can hold."""
        known = ACTIVATIONS.get(self.activation) == self._activation
        return self.activation if known else self._activation
