"""Attention: each step of a sequence takes from the steps of another one what it asks for. A step
is a row of numbers, such as a row of pixels of an image.
"""

import math
from typing import Any

import numpy as np

from digits.keras import activations, nn
from digits.keras.layer import arguments
from digits.keras.layers.formulas import Formula
from digits.keras.random import new_generator


@arguments()
class MultiHeadAttention(Formula):
    """softmax(Q K^T / sqrt(key_dim)) V in each head, the heads side by side times a matrix (Vaswani
    et al. 2017). Q, K, V: the query, the key and the value, each times a matrix of the head.

    It is called on (n, steps, features), as `layer(query, value)` or `layer(query, value, key)`.
    """

    stored_under = {  # noqa: RUF012  the same for all
        **{name: f"{name}_dense" for name in ("query", "key", "value")},
        "attention_output": "output_dense",
    }

    num_heads: int
    key_dim: int
    value_dim: int | None = None
    dropout: float = 0.0
    use_bias: bool = True
    kernel_initializer: Any = "glorot_uniform"
    bias_initializer: Any = "zeros"
    kernel_regularizer: Any = None
    bias_regularizer: Any = None
    seed: Any = None

    def __call__(  # type: ignore[override]
        self, query: Any, value: Any = None, key: Any = None, *, training: Any = None
    ) -> Any:
        parts = query if value is None else [query, value, *([] if key is None else [key])]
        return super().__call__(list(parts), training=training)

    def make_weights(self, shape: Any) -> None:
        query, value, key = (shapes[-1] for shapes in (shape[0], shape[1], shape[-1]))
        outputs = self.value_dim or self.key_dim
        self.rng = new_generator(self.seed)
        heads = [("query", query, self.key_dim), ("key", key, self.key_dim)]
        self.parts: dict[str, Any] = {}
        for name, features, size in (*heads, ("value", value, outputs)):
            self._matrix(name, (features, self.num_heads, size), (self.num_heads, size))
        self._matrix("attention_output", (self.num_heads, outputs, query), (query,))

    def _matrix(self, name: str, shape: Any, bias: Any) -> None:
        """The variables of one matrix."""
        self.parts[f"{name}/kernel"] = self.variable(f"{name}/kernel", shape)
        if self.use_bias:
            self.parts[f"{name}/bias"] = self.variable(f"{name}/bias", bias)

    def _heads(self, name: str, x: Any) -> Any:
        """x times the matrix of each head: (n, heads, steps, size)."""
        kernel = self.parts[f"{name}/kernel"]
        y = np.matmul(x, np.reshape(kernel, (kernel.shape[0], -1)))
        y = np.reshape(y, (*np.shape(x)[:2], *kernel.shape[1:])) + self._bias(name)
        return np.transpose(y, (0, 2, 1, 3))

    def _bias(self, name: str) -> Any:
        return self.parts[f"{name}/bias"] if self.use_bias else 0.0

    def call(self, inputs: Any, training: Any = None) -> Any:
        query, value, key = (
            inputs[0],
            inputs[1],
            inputs[-1],
        )  # the value is the key if there is none
        q, k, v = self._heads("query", query), self._heads("key", key), self._heads("value", value)
        scores = np.matmul(q, np.swapaxes(k, 2, 3)) / math.sqrt(self.key_dim)
        shares = activations.softmax(scores)  # of each step (n, heads, steps, steps of the value)
        if training:
            shares = nn.dropout(shares, self.dropout, seed=self.rng.integers(2**31))
        y = np.transpose(np.matmul(shares, v), (0, 2, 1, 3))
        y = np.reshape(y, (*np.shape(query)[:2], -1))
        kernel = self.parts["attention_output/kernel"]
        matrix = np.reshape(kernel, (-1, kernel.shape[-1]))
        return np.matmul(y, matrix) + self._bias("attention_output")
