"""Attention: each step of a sequence takes from the steps of another one what it asks for. A step
is a row of numbers, such as a row of pixels of an image.
"""

import math
from typing import Any

import numpy as np

from digits.keras import activations
from digits.keras.layer import arguments
from digits.keras.layers.basic import Weighted
from digits.keras.layers.formula import Formula
from digits.keras.random import new_generator
from digits.keras.variable import Variable
from digits.validation import check


@arguments()
class MultiHeadAttention(Weighted, Formula):
    """softmax(Q K^T / sqrt(key_dim)) V in each head, the heads side by side times a matrix (Vaswani
    et al. 2017). Q, K, V: the query, the key and the value, each times a matrix of the head.

    It is called on (n, steps, features), as `layer(query, value)` or `layer(query, value, key)`.
    """

    num_heads: int
    key_dim: int
    value_dim: int | None = None
    dropout: float = 0.0
    use_bias: bool = True
    seed: Any = None

    def __call__(  # type: ignore[override]
        self, query: Any, value: Any = None, key: Any = None, *, training: Any = None
    ) -> Any:
        parts = query if value is None else [query, value, *([] if key is None else [key])]
        return super().__call__(list(parts), training=training)

    def make_weights(self, shape: Any) -> None:
        sequences = all(len(sizes) == 3 for sizes in shape)
        check(sequences, f"inputs (n, steps, features) for {self.name}", shape)
        (*_, query), (*_, value), (*_, key) = shape[0], shape[1], shape[-1]
        heads, outputs = self.num_heads, self.value_dim or self.key_dim
        sizes = {
            "query": (query, heads, self.key_dim),
            "key": (key, heads, self.key_dim),
            "value": (value, heads, outputs),
            "attention_output": (heads, outputs, query),
        }
        self.kernels: dict[str, Any] = {}
        self.biases: dict[str, Any] = dict.fromkeys(sizes, 0.0)
        for name, size in sizes.items():
            self.kernels[name] = self.variable(f"{name}/kernel", size)
            if self.use_bias:
                bias = size[2:] if name == "attention_output" else size[1:]
                self.biases[name] = self.variable(f"{name}/bias", bias)
        self.rng = new_generator(self.seed)

    def stored(self) -> dict[str, list[Variable]]:
        found: dict[str, list[Variable]] = {}
        for variable in self.weights:
            part = variable.name.partition("/")[0].removeprefix("attention_")
            found.setdefault(f"{part}_dense/vars", []).append(variable)
        return found

    def call(self, inputs: Any, training: Any = None) -> Any:
        query, value, key = inputs[0], inputs[1], inputs[-1]  # of two inputs, the value is the key
        q, k, v = self._heads("query", query), self._heads("key", key), self._heads("value", value)
        scores = np.matmul(q, np.swapaxes(k, 2, 3)) / math.sqrt(self.key_dim)
        shares = activations.softmax(scores)  # (n, heads, steps of the query, steps of the value)
        if training:
            left = self.rng.random(shares.shape) >= self.dropout
            shares = shares * (left / (1 - self.dropout)).astype(shares.dtype)
        y = np.transpose(np.matmul(shares, v), (0, 2, 1, 3))
        kernel, bias = self.kernels["attention_output"], self.biases["attention_output"]
        matrix = np.reshape(kernel, (-1, kernel.shape[-1]))
        return np.matmul(np.reshape(y, (*np.shape(query)[:2], -1)), matrix) + bias

    def _heads(self, name: str, x: Any) -> Any:
        """x times the matrix of each head: (n, heads, steps, size)."""
        kernel = self.kernels[name]
        y = np.matmul(x, np.reshape(kernel, (kernel.shape[0], -1)))
        y = np.reshape(y, (*np.shape(x)[:2], *kernel.shape[1:])) + self.biases[name]
        return np.transpose(y, (0, 2, 1, 3))
