"""Convolution through frequencies gives what its definition says, forward and backward."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_layers import dx_of, ready

from digits.nn.convolution import Conv2D
from digits.nn.fourier import FourierConvolution
from digits.nn.geometry import Geometry
from digits.types import Array, Pair, Shape


def convolution_of(
    image: Shape, kernel: Pair, padding: tuple[Pair, Pair], filters: int, dtype: Any
) -> FourierConvolution:
    rows, columns = (
        size + sum(both) - length + 1
        for size, both, length in zip(image[:2], padding, kernel, strict=True)
    )
    geometry = Geometry(image, kernel, (1, 1), padding, (rows, columns))
    return FourierConvolution(geometry, filters, dtype)


def by_definition(
    x: Array, W: Array, b: Array, dy: Array, padding: tuple[tuple[int, int], ...]
) -> tuple[Array, Array, Array, Array]:
    """y, dW, db and dx, with the sums written out."""
    padded = np.pad(x, ((0, 0), *padding, (0, 0)))
    rows, columns = dy.shape[1:3]
    y, dW, dpadded = np.zeros(dy.shape) + b, np.zeros(W.shape), np.zeros(padded.shape)
    for i in range(W.shape[0]):
        for j in range(W.shape[1]):
            seen = np.s_[:, i : i + rows, j : j + columns]
            y += padded[seen] @ W[i, j]
            dW[i, j] = np.einsum("nrci,nrcf->if", padded[seen], dy)
            dpadded[seen] += dy @ W[i, j].T
    (top, _), (left, _) = padding
    dx = dpadded[:, top : top + x.shape[1], left : left + x.shape[2]]
    return y, dW, dy.sum(axis=(0, 1, 2)), dx


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 5),
    size=st.tuples(st.integers(1, 11), st.integers(1, 11)),
    kernel=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    padding=st.tuples(*[st.tuples(st.integers(0, 3), st.integers(0, 3))] * 2),
    channels=st.integers(1, 4),
    filters=st.integers(1, 4),
    dtype=st.sampled_from([np.float32, np.float64]),
    seed=st.integers(0, 2**32 - 1),
)
def test_it_is_the_sum_it_stands_for(
    n: int, size: Pair, kernel: Pair, padding: tuple[Pair, Pair], channels: int, filters: int,
    dtype: Any, seed: int,
) -> None:  # fmt: skip
    output = [s + sum(b) - w + 1 for s, b, w in zip(size, padding, kernel, strict=True)]
    if min(output) < 1:
        return
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, *size, channels)).astype(dtype)
    W = rng.standard_normal((*kernel, channels, filters)).astype(dtype)
    b = rng.standard_normal(filters).astype(dtype)
    dy = rng.standard_normal((n, *output, filters)).astype(dtype)
    convolution = convolution_of((*size, channels), kernel, padding, filters, dtype)
    found = (convolution.forward(x, W, b), *convolution.backward(dy))
    exact = [array.astype(np.float64) for array in (x, W, b, dy)]
    expected = by_definition(exact[0], exact[1], exact[2], exact[3], padding)
    for array, right in zip(found, expected, strict=True):
        assert array is not None
        assert (array.dtype, array.shape) == (dtype, right.shape)
        tolerance = (2e-5 if dtype == np.float32 else 1e-12) * (1 + np.abs(right).max())
        np.testing.assert_allclose(array, right, atol=tolerance)


def test_without_bias_and_without_dx() -> None:
    rng = np.random.default_rng(0)
    convolution = convolution_of((6, 5, 2), (3, 2), ((0, 0), (0, 0)), 4, np.float64)
    x, W = rng.standard_normal((3, 6, 5, 2)), rng.standard_normal((3, 2, 2, 4))
    y = convolution.forward(x, W, None).copy()
    np.testing.assert_allclose(y, convolution.forward(x, W, np.zeros(4)))
    assert convolution.backward(y, needs_dx=False)[2] is None


def test_weights_that_change_in_place_are_noticed() -> None:
    rng = np.random.default_rng(0)
    convolution = convolution_of((6, 5, 2), (3, 2), ((0, 0), (0, 0)), 4, np.float64)
    x, W = rng.standard_normal((3, 6, 5, 2)), rng.standard_normal((3, 2, 2, 4))
    first = convolution.forward(x, W, None).copy()
    np.testing.assert_array_equal(convolution.forward(x, W, None), first)
    W[1, 1, 0, 2] += 1
    changed = convolution.forward(x, W, None) - first
    np.testing.assert_allclose(changed[..., 2], x[:, 1:5, 1:, 0], atol=1e-12)
    np.testing.assert_allclose(changed[..., [0, 1, 3]], 0, atol=1e-12)


CONNECTIONS = np.random.default_rng(3).integers(0, 2, (3, 4)) | np.eye(3, 4, dtype=int)
CONNECTIONS[0, 3] = 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("activation", [None, "relu", "softmax", "tanh"])
@pytest.mark.parametrize("connections", [None, CONNECTIONS])
@pytest.mark.parametrize(
    ("size", "kernel"), [((9, 6), (4, 3)), ((5, 11), (5, 2)), ((7, 7), (1, 6))]
)
def test_both_ways_of_a_layer_agree(
    dtype: Any, padding: str, activation: str | None, connections: Any, size: Pair, kernel: Pair,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    results: list[list[Array]] = []
    for fourier in (False, True):
        rng = np.random.default_rng(1)
        layer = Conv2D(4, kernel, padding=padding, activation=activation, connections=connections)
        layer = ready(layer, (*size, 3), dtype)
        algorithm = layer.fourier if fourier else layer.patches
        monkeypatch.setattr(layer, "algorithm", lambda n, algorithm=algorithm: algorithm)
        y = layer.forward(rng.standard_normal((5, *size, 3)).astype(dtype))
        dx = dx_of(layer, rng.standard_normal(y.shape).astype(dtype))
        results.append([y, dx, *layer.grads.values()])
    for plain, in_frequencies in zip(*results, strict=True):
        assert plain.dtype == in_frequencies.dtype == dtype
        tolerance = (2e-5 if dtype == np.float32 else 1e-12) * (1 + np.abs(plain).max())
        np.testing.assert_allclose(plain, in_frequencies, atol=tolerance)


@pytest.mark.parametrize(
    ("layer", "shape", "n", "fourier"),
    [
        (Conv2D(64, 5, padding="same"), (14, 14, 32), 10, True),
        (Conv2D(64, 5, padding="same"), (14, 14, 32), 1, False),  # W is transformed for one image
        (Conv2D(64, 9, padding="same", strides=2), (14, 14, 64), 10, False),
        (Conv2D(16, 5), (14, 14, 6), 64, False),  # a tenth less to multiply is not enough
        (Conv2D(32, 5, padding="same"), (28, 28, 1), 50, False),
        (Conv2D(64, 1), (14, 14, 32), 50, False),
    ],
)
def test_the_shorter_way(layer: Conv2D, shape: tuple[int, int, int], n: int, fourier: bool) -> None:
    layer = ready(layer, shape, np.float32)
    assert (layer.algorithm(n) is layer.fourier) == fourier or layer.fourier is None
