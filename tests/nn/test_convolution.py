"""Convolution, pooling and padding against examples by hand and plain loops."""

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike
from test_layers import dx_of, ready, with_weights

from digits import Conv2D, Dense, Flatten, Input, Layer, Sequential
from digits.compute import threads as parallel
from digits.nn.geometry import KernelLayer
from digits.nn.pooling import AveragePooling2D, MaxPooling2D, Subsampling2D, ZeroPadding2D
from digits.types import Array, Shape


def image(rows: ArrayLike) -> Array:
    """One image of one channel, (1, height, width, 1)."""
    return np.asarray(rows, np.float64)[np.newaxis, :, :, np.newaxis]


def forward(layer: Layer, rows: ArrayLike) -> Array:
    """What the layer makes of one image of one channel: (rows, columns)."""
    x = image(rows)
    if not layer.bound:
        layer = ready(layer, x.shape[1:])
    return layer.forward(x)[0, :, :, 0]


def backward(layer: Layer, dy: ArrayLike) -> Array:
    return dx_of(layer, image(dy))[0, :, :, 0]


COUNTING = np.arange(16).reshape(4, 4)
#  0  1  2  3
#  4  5  6  7
#  8  9 10 11
# 12 13 14 15


def test_a_3x3_convolution_by_hand() -> None:
    W = np.array([[1, 0, 0], [0, 0, 2], [0, -1, 0]])[:, :, np.newaxis, np.newaxis]
    # At the first pixel: 1 * 0 + 2 * 6 - 1 * 9 = 3. One pixel further each is 1 more, and the sum
    # is 1 + 2 - 1 = 2 more; one row further 4 more, so 8. The bias adds 100.
    layer = with_weights(Conv2D(1, 3), (4, 4, 1), W=W, b=100)
    np.testing.assert_array_equal(forward(layer, COUNTING), [[103, 105], [111, 113]])

    dx = backward(layer, [[1, 0], [0, 10]])
    expected = [[1, 0, 0, 0], [0, 10, 2, 0], [0, -1, 0, 20], [0, 0, -10, 0]]
    np.testing.assert_array_equal(dx, expected)
    dW = COUNTING[:3, :3] + 10 * COUNTING[1:, 1:]
    np.testing.assert_array_equal(layer.grads["W"][:, :, 0, 0], dW)
    np.testing.assert_array_equal(layer.grads["b"], [11])


def test_pooling_by_hand() -> None:
    np.testing.assert_array_equal(forward(MaxPooling2D(), COUNTING), [[5, 7], [13, 15]])
    np.testing.assert_array_equal(forward(MaxPooling2D(), -COUNTING), [[0, -2], [-8, -10]])
    np.testing.assert_array_equal(forward(AveragePooling2D(), COUNTING), [[2.5, 4.5], [10.5, 12.5]])
    y = forward(MaxPooling2D(3, strides=1), COUNTING)
    np.testing.assert_array_equal(y, [[10, 11], [14, 15]])


def test_ties_with_the_padding_go_to_the_image() -> None:
    pooling = ready(MaxPooling2D(2, padding="same"), (3, 3, 1))
    forward(pooling, np.full((3, 3), np.finfo(np.float64).min))
    assert backward(pooling, [[1, 1], [1, 1]]).sum() == 4


def test_zero_padding_by_hand() -> None:
    padding = ready(ZeroPadding2D((1, 2)), (1, 2, 1))
    y = forward(padding, [[1, 2]])
    np.testing.assert_array_equal(y, [[0] * 6, [0, 0, 1, 2, 0, 0], [0] * 6])
    dx = backward(padding, np.arange(18).reshape(3, 6))
    np.testing.assert_array_equal(dx, [[8, 9]])


def test_subsampling_by_hand() -> None:
    # 4 means make the sum of the paper.
    layer = with_weights(Subsampling2D(2), (2, 2, 2), coefficient=[4, -1], b=[0.5, 10])
    x = np.array([[1.0, 2], [3, 4], [5, 6], [7, 8]]).reshape(1, 2, 2, 2)
    np.testing.assert_array_equal(layer.forward(x).ravel(), [16.5, 5])
    dx = dx_of(layer, np.array([2.0, 3]).reshape(1, 1, 1, 2))
    np.testing.assert_array_equal(dx[0, :, :, 0], np.full((2, 2), 2))
    np.testing.assert_array_equal(dx[0, :, :, 1], np.full((2, 2), -0.75))
    np.testing.assert_array_equal(layer.grads["coefficient"], [2 * 4, 3 * 5])
    np.testing.assert_array_equal(layer.grads["b"], [2, 3])


def test_subsampling_begins_as_a_plain_average() -> None:
    layer = ready(Subsampling2D(2), (4, 4, 3))
    layer.initialize()
    average, x = (
        ready(AveragePooling2D(2), (4, 4, 3)),
        np.random.default_rng(0).random((2, 4, 4, 3)),
    )
    np.testing.assert_array_equal(layer.forward(x), average.forward(x))


def test_softmax_is_taken_over_the_filters() -> None:
    layer = ready(Conv2D(3, 2, activation="softmax"), (3, 4, 2))
    y = layer.forward(np.random.default_rng(0).standard_normal((2, 3, 4, 2)))
    np.testing.assert_allclose(y.sum(axis=3), np.ones((2, 2, 3)))


def slow_positions(
    layer: KernelLayer, shape: Shape
) -> Iterator[tuple[int, int, list[tuple[int, int]]]]:
    """Row and column of each output, and the inputs under it; outside the image lies padding."""
    first, steps = [], []
    for size, kernel, stride in zip(shape, layer.kernel, layer.strides, strict=False):
        if layer.padding == "same":
            steps.append(math.ceil(size / stride))
            missing = kernel - (stride if size % stride == 0 else size % stride)
            first.append(-(max(missing, 0) // 2))
        else:
            steps.append(math.ceil((size - kernel + 1) / stride))
            first.append(0)
    for row, column in itertools.product(range(steps[0]), range(steps[1])):
        top, left = first[0] + row * layer.strides[0], first[1] + column * layer.strides[1]
        under = itertools.product(range(layer.kernel[0]), range(layer.kernel[1]))
        yield row, column, [(top + i, left + j) for i, j in under]


def slow_convolution(layer: Conv2D, x: Array, W: Array, b: Array) -> Array:
    n, height, width, _ = x.shape
    y = np.zeros((n, *layer.output_shape))
    for row, column, under in slow_positions(layer, (height, width)):
        for position, (r, c) in enumerate(under):
            if 0 <= r < height and 0 <= c < width:
                i, j = divmod(position, layer.kernel[1])
                y[:, row, column] += x[:, r, c] @ W[i, j]
    return y + b


def slow_pooling(layer: KernelLayer, x: Array, summary: Callable[[Array], Any]) -> Array:
    n, height, width, channels = x.shape
    y = np.full((n, *layer.output_shape), np.nan)
    for row, column, under in slow_positions(layer, (height, width)):
        inside = [(r, c) for r, c in under if 0 <= r < height and 0 <= c < width]
        for sample, channel in itertools.product(range(n), range(channels)):
            numbers = np.array([x[sample, r, c, channel] for r, c in inside])
            y[sample, row, column, channel] = summary(numbers)
    return y


@st.composite
def geometries(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, int], tuple[int, int], str]:
    """Shape of a batch, kernel, strides, padding: all that fit together, odd ones first of all."""
    n, channels = draw(st.integers(1, 2)), draw(st.integers(1, 3))
    height, width = draw(st.integers(1, 7)), draw(st.integers(1, 7))
    padding = draw(st.sampled_from(["valid", "same"]))
    largest = (5, 5) if padding == "same" else (min(height, 5), min(width, 5))
    kernel = draw(st.integers(1, largest[0])), draw(st.integers(1, largest[1]))
    strides = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    return (n, height, width, channels), kernel, strides, padding


Geometry = tuple[tuple[int, ...], tuple[int, int], tuple[int, int], str]


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(geometries(), st.integers(1, 3), st.integers(0, 99))
def test_convolution_is_what_loops_compute(geometry: Geometry, filters: int, seed: int) -> None:
    shape, kernel, strides, padding = geometry
    layer = ready(Conv2D(filters, kernel, strides, padding), shape[1:], seed=seed)
    x = np.random.default_rng(seed).standard_normal(shape)
    expected = slow_convolution(layer, x, layer.weights["W"], layer.weights["b"])
    np.testing.assert_allclose(layer.forward(x), expected, rtol=1e-10, atol=1e-12)


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(geometries(), st.integers(0, 99), st.booleans())
def test_pooling_is_what_loops_compute(geometry: Geometry, seed: int, ties: bool) -> None:
    shape, kernel, strides, padding = geometry
    rng = np.random.default_rng(seed)
    x = rng.integers(-3, 3, shape).astype(np.float64) if ties else rng.standard_normal(shape)
    for kind, summary in ((MaxPooling2D, np.max), (AveragePooling2D, np.mean)):
        layer = ready(kind(kernel, strides, padding), shape[1:])
        expected = slow_pooling(layer, x, summary)
        np.testing.assert_allclose(layer.forward(x), expected, rtol=1e-12, atol=1e-14)


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(geometries(), st.integers(0, 99))
def test_max_pooling_sends_the_gradient_to_the_first_maximum(geometry: Geometry, seed: int) -> None:
    shape, kernel, strides, padding = geometry
    rng = np.random.default_rng(seed)
    layer = ready(MaxPooling2D(kernel, strides, padding), shape[1:])
    x = rng.integers(0, 3, shape).astype(np.float64)  # many equals
    dy = rng.integers(1, 9, layer.forward(x).shape).astype(np.float64)

    expected = np.zeros(shape)
    n, height, width, channels = shape
    for row, column, under in slow_positions(layer, (height, width)):
        inside = [(r, c) for r, c in under if 0 <= r < height and 0 <= c < width]
        for sample, channel in itertools.product(range(n), range(channels)):
            r, c = max(inside, key=lambda position: x[sample, *position, channel])
            expected[sample, r, c, channel] += dy[sample, row, column, channel]
    np.testing.assert_array_equal(layer.backward(dy), expected)


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(geometries(), st.integers(0, 99))
def test_gradients_agree_with_plain_loops(geometry: Geometry, seed: int) -> None:
    # Convolution and averaging are linear: y = A x and dx = A^T dy, so <y, dy> = <x, dx>.
    shape, kernel, strides, padding = geometry
    rng = np.random.default_rng(seed)
    geometric = kernel, strides, padding
    for linear in (Conv2D(2, *geometric, use_bias=False), AveragePooling2D(*geometric)):
        layer, x = ready(linear, shape[1:], seed=seed), rng.standard_normal(shape)
        dy = rng.standard_normal((shape[0], *layer.output_shape))
        left, right = np.sum(layer.forward(x) * dy), np.sum(x * dx_of(layer, dy))
        np.testing.assert_allclose(left, right, rtol=1e-9, atol=1e-11)


TABLE = np.array([[1, 0, 1, 0], [1, 1, 0, 0], [0, 1, 1, 1]])


def test_missing_connections_are_weights_of_zero() -> None:
    shape, rng = (5, 6, 3), np.random.default_rng(0)
    wired = ready(Conv2D(4, (2, 3), connections=TABLE, activation="tanh"), shape)
    full = ready(Conv2D(4, (2, 3), activation="tanh"), shape)
    assert wired.weights["W"].shape == (2, 3, 7)

    full.weights["W"][...] = 0
    full.weights["W"][:, :, TABLE == 1] = wired.weights["W"]
    full.weights["b"][...] = wired.weights["b"]
    x, dy = rng.standard_normal((2, *shape)), rng.standard_normal((2, *wired.output_shape))
    np.testing.assert_array_equal(wired.forward(x), full.forward(x))
    np.testing.assert_array_equal(wired.backward(dy), full.backward(dy))
    np.testing.assert_array_equal(wired.grads["W"], full.grads["W"][:, :, TABLE == 1])
    np.testing.assert_array_equal(wired.grads["b"], full.grads["b"])


@pytest.mark.parametrize(
    "table",
    [[[0] * 4] * 3, [[1, 0], [1, 0], [1, 0]], [[2, 1]], [[0.5, 1]], [1, 1], 1, [[-1, 1]]],
    ids=str,
)
def test_tables_that_are_none(table: Any) -> None:
    with pytest.raises(ValueError, match=r"expected a table of 0 and 1 .*received"):
        Conv2D(4, 3, connections=table)


def test_a_table_for_other_maps() -> None:
    with pytest.raises(ValueError, match=r"expected a connection table of shape \(2, 4\); rec.*3"):
        Conv2D(4, 3, connections=TABLE).build((5, 5, 2))


def test_a_description_of_huge_images_costs_nothing_until_they_come() -> None:
    same: Any = {"padding": "same"}
    pools = [AveragePooling2D(200, **same), MaxPooling2D(200, **same), Subsampling2D(200)]
    for layer in (*pools, Conv2D(10**6, 200, **same), ZeroPadding2D(10**9)):
        layer.build((10**6, 10**6, 1000))  # would be 8 PB
        assert len(layer.output_shape) == 3
    huge = MaxPooling2D(2, padding="same")
    huge.build((10**400, 3, 1))  # more than a float can say
    assert huge.output_shape == (10**400 // 2, 2, 1)


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        (Conv2D, (3, (2, 257)), r"kernel .* at most 256 .*; received \(\(2, 257\), \(1, 1\)\)"),
        (MaxPooling2D, (2, 257), r"strides of at most 256 .*; received \(.*, \(257, 257\)\)"),
        (Conv2D, (0, 3), "expected filters .*; received 0"),
        (Conv2D, (3, 2.5), "expected a kernel_size .*; received 2.5"),
        (Conv2D, (3, (1, 2, 3)), r"expected a kernel_size .*; received \(1, 2, 3\)"),
        (Conv2D, (3, 3, "2"), "expected strides .*; received '2'"),
        (Conv2D, (3, 3, 1, "SAME"), "expected padding 'valid' or 'same'; received 'SAME'"),
        (MaxPooling2D, (0,), "expected a pool_size .*; received 0"),
        (AveragePooling2D, (2, 2, "full"), "expected padding .*; received 'full'"),
        (ZeroPadding2D, (-1,), "expected padding .*; received -1"),
    ],
)
def test_arguments_of_no_layer(kind: Any, arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kind(*arguments)


def test_numbers_of_numpy_are_numbers() -> None:
    two = np.int64(2)
    layer = Conv2D(two, (two, two), strides=two)  # type: ignore[arg-type]
    assert layer.get_config() == Conv2D(2, 2, strides=2).get_config()
    assert all(type(number) is int for number in layer.get_config()["kernel_size"])


@pytest.mark.parametrize("kind", [Conv2D, MaxPooling2D, AveragePooling2D, Subsampling2D])
def test_rows_of_pixels_have_to_be_made_images_first(kind: Any) -> None:
    for shape in ((784,), (28, 28)):
        for layer in (kind(3, 3) if kind is Conv2D else kind(), ZeroPadding2D()):
            with pytest.raises(ValueError, match=r"shape \(height.*Reshape\(\(28"):
                layer.build(shape)


@pytest.mark.parametrize("make", [lambda: Conv2D(3, 3), lambda: MaxPooling2D(3)])
def test_a_kernel_larger_than_the_image(make: Callable[[], Layer]) -> None:
    for shape in ((2, 5, 1), (5, 2, 1)):
        layer, sizes = make(), r"\(3, 3\); received \(\d, \d\): use padding='same'"
        message = f"^{type(layer).__name__} expected images of at least {sizes}"
        with pytest.raises(ValueError, match=message):
            layer.build(shape)


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = parallel.get_threads()
    monkeypatch.setattr(parallel, "WORTH_SHARING", 0)
    parallel.set_threads(request.param)
    yield
    parallel.set_threads(before)


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("pool_size", [(2, 3), 1])
@pytest.mark.parametrize("filters", [3, 40])
def test_fused_a_convolution_does_what_both_do(
    filters: int, pool_size: Any, training: bool
) -> None:
    layers: list[Layer | Input] = [Input((13, 11, 1))]
    for _ in range(2):
        convolution = Conv2D(filters, 4, padding="same", activation="relu")
        layers += [convolution, MaxPooling2D(pool_size)]
    network = Sequential([*layers, Flatten(), Dense(3)], rng=np.random.default_rng(0))
    rng = np.random.default_rng(1)
    x = rng.standard_normal((20, 13, 11, 1)).astype(np.float32)
    t = rng.integers(0, 3, 20)
    loss, grads = network.loss_and_gradient(x, t, training)
    fused = grads.flat.copy()

    y = x
    for layer in network.layers:
        y = layer.forward(y, training)
    plain_loss, dy = network.output.loss_and_grad(y, t)
    for layer in reversed(network.layers[network.first :]):
        dx = layer.backward(dy)
        dy = dy if dx is None else dx
    assert loss == plain_loss
    np.testing.assert_allclose(fused, grads.flat, rtol=1e-4, atol=1e-7)
