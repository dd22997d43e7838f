"""Functions of TensorFlow and Keras by value, where NumPy's of that name give something else."""

import time
from typing import Any

import numpy as np
import pytest

from digits import keras
from digits.keras import metrics, ops
from digits.keras import tensorflow as tf

tf_: Any = tf
ops_: Any = ops


def same(found: Any, expected: Any, dtype: Any = None) -> None:
    """Compare numbers, and their type if it is named."""
    np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-5, atol=1e-6)
    assert dtype is None or found.dtype == dtype


def slope(f: Any, *arrays: Any) -> Any:
    """Gradients of the sum of f."""
    tensors = [tf_.constant(x, tf.float64) for x in arrays]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        y = tf_.reduce_sum(f(*tensors))
    found = tape.gradient(y, tensors)
    return found[0] if len(found) == 1 else found


DRAWS = [
    lambda: tf.random.normal([1], seed=3),
    lambda: tf.random.uniform([1], seed=3),
    lambda: tf.random.truncated_normal([1], seed=3),
    lambda: tf.random.shuffle(np.arange(1000), seed=3),
    lambda: tf_.nn.dropout(np.ones(1000), 0.5, seed=3),
]


@pytest.mark.parametrize("draw", DRAWS)
def test_numbers_of_a_seed_go_on(draw: Any) -> None:
    tf.random.set_seed(0)
    drawn = [np.asarray(draw()) for _ in range(3)]
    assert not np.array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[1], drawn[2])
    tf.random.set_seed(0)
    assert np.array_equal(draw(), drawn[0])
    tf.random.set_seed(1)
    assert not np.array_equal(draw(), drawn[0])


def test_a_seed_generator_goes_on_a_number_does_not() -> None:
    seed = keras.random.SeedGenerator(1337)
    first = keras.random.normal([2], seed=seed)
    assert not np.array_equal(first, keras.random.normal([2], seed=seed))
    keras.random.set_seed(0)
    same(keras.random.normal([2], seed=seed), first)
    same(keras.random.normal([2], seed=3), keras.random.normal([2], seed=3))


def test_random_numbers_within_bounds_and_of_classes() -> None:
    z = np.asarray(tf.random.truncated_normal([5000], mean=1.0, stddev=3.0))
    assert 0.85 < z.max() / 7 < 1
    assert -5 < z.min() < -4
    assert (np.asarray(tf.random.categorical([[0.0, 50.0, 0.0]], 4)) == [[1, 1, 1, 1]]).all()


def test_functions_along_the_first_axis() -> None:
    x = [[1.0, 5.0], [4.0, 2.0]]
    same(tf.argmax(x), [1, 0], np.int64)
    same(tf_.math.argmin(x, output_type=tf.int32), [0, 1], np.int32)
    same(tf.argmax(x, 1), [1, 0])
    assert ops_.argmax(x) == 1
    same(tf_.math.cumsum(x), [[1, 5], [5, 7]])
    same(tf.cumsum(x, 1, exclusive=True), [[0, 1], [0, 4]])
    same(tf.cumsum(x, reverse=True), [[5, 7], [4, 2]])
    same(slope(ops_.cumsum, x), [[4, 3], [2, 1]])


def test_sums_and_quotients() -> None:
    assert [float(g) for g in slope(lambda a, b: tf_.add_n([a, b, b]), 1.0, 2.0)] == [1, 2]
    same(tf_.add_n([[1.0, 2.0], [3.0, 4.0]]), [4, 6])
    same(tf_.math.divide_no_nan([1.0, 2.0], [0.0, 4.0]), [0, 0.5])
    dx, dy = slope(tf_.math.divide_no_nan, [1.0, 2.0], [0.0, 4.0])
    same(dx, [0, 0.25])
    same(dy, [0, -0.125])


def test_one_hot_diag_and_unique() -> None:
    same(tf.one_hot([0, -1, 5, 1], 2), [[1, 0], [0, 0], [0, 0], [0, 1]], np.float32)
    same(tf.one_hot([1], 2, 0.9, 0.1), [[0.1, 0.9]], np.float32)
    same(ops_.one_hot([1, 7], 2), [[0, 1], [0, 0]])
    same(tf_.linalg.diag([[1.0, 2.0], [3.0, 4.0]]), [[[1, 0], [0, 2]], [[3, 0], [0, 4]]])
    y, idx = tf.unique([7, 2, 7, 1])
    same(y, [7, 2, 1])
    same(idx, [0, 1, 0, 2], np.int32)


def test_metrics() -> None:
    metric = metrics.CosineSimilarity()
    same(metric([[1.0, 2.0]], [[2.0, 4.0]]), 1)
    same(metrics.get("cosine_similarity")([[1.0, 0.0]], [[-2.0, 0.0]]), -1)

    def accuracy(y_true: Any, y_pred: Any) -> Any:
        return ops_.mean(y_pred) * 0 + 42

    assert float(metrics.get(accuracy)([[1.0]], [[1.0]])) == 42
    assert isinstance(metrics.get(keras.losses.mse), metrics.Metric)


def test_numbers_and_lists_are_float32_and_int32() -> None:
    for y in (
        *(tf_.math.log(2.0), tf_.exp(1.0), tf_.reduce_mean([1.0, 2.0]), tf_.multiply(2.0, 3.0)),
        *(tf_.math.rsqrt(2.0), tf_.add(tf_.constant([1.0]), [2.0]), tf_.zeros([2])),
        tf_.range(2.0),
    ):
        assert y.dtype == np.float32
    assert tf_.multiply(tf_.constant([1.0]), np.sqrt(2.0)).dtype == np.float32
    wide = np.ones(2)
    for y in (tf_.exp(wide), tf_.zeros(2, tf.float64), tf_.zeros_like([1.0], tf.float64)):
        assert y.dtype == np.float64
    same(tf_.reduce_sum(tf_.constant([1, 2])), 3, np.int32)
    same(tf_.reduce_sum([1, 2]), 3, np.int32)
    same(tf.range(3), [0, 1, 2], np.int32)
    assert tf_.reduce_sum(np.array([1])).dtype == np.int64
    assert slope(lambda x: tf_.math.log(x) * [1.0], [2.0]).dtype == np.float64


def test_axes_as_lists_and_arguments_by_name() -> None:
    x = tf_.ones([1, 2, 3])
    same(tf_.reduce_sum(x, [0, 1]), [2, 2, 2], np.float32)
    assert tf_.reduce_mean(x, [0]).shape == (2, 3)
    assert tf_.reduce_sum(x, [1, 2], True).shape == (1, 1, 1)
    assert tf_.reduce_logsumexp(x, [1, 2]).shape == (1,)
    assert tf_.squeeze(x, [0]).shape == (2, 3)
    same(tf_.where(condition=[True, False], x=[1.0, 2.0], y=[3.0, 4.0]), [1, 4])
    same(tf_.where([True, False], x=1.0, y=2.0), [1, 2])
    same(tf_.multiply(x=2.0, y=3.0), 6)
    same(tf_.add(2.0, y=3.0), 5)
    same(tf_.maximum(x1=2.0, x2=3.0), 3)
    row = [1.0, 2.0, 3.0]
    same(tf_.pad(row, paddings=[[1, 0]], mode="CONSTANT"), [0, 1, 2, 3])
    same(tf_.pad(row, [[0, 1]], "CONSTANT", 7), [1, 2, 3, 7])
    same(tf_.pad(tensor=row, paddings=[[2, 1]], mode="REFLECT"), [3, 2, 1, 2, 3, 2])
    same(slope(lambda x: tf_.pad(x, [[2, 1]], "REFLECT"), row), [1, 3, 2])


def test_gradients_of_products() -> None:
    product = tf_.reduce_prod
    same(slope(product, [2.0, 0.0, 3.0]), [0, 6, 0])
    same(slope(product, [0.0, 0.0, 3.0]), [0, 0, 0])
    same(slope(lambda x: product(x, 1), [[2.0, 5.0], [0.0, 3.0]]), [[5, 2], [3, 0]])
    same(slope(tf_.math.cumprod, [2.0, 3.0]), [4, 2])
    dx, dy = slope(tf_.math.mod, [7.0], [3.0])
    same([*dx, *dy], [1, -2])
    a, b = np.arange(6.0).reshape(1, 2, 3), np.arange(12.0).reshape(3, 4)
    same(tf_.tensordot(a, b, 1), np.tensordot(a, b, 1))
    same(tf_.tensordot(a, b, [[2], [0]]), np.tensordot(a, b, 1))
    same(tf_.tensordot(a, b.T, axes=[-1, -1]), np.tensordot(a, b, 1))
    same(slope(lambda a, b: tf_.tensordot(a, b, 1), a, b)[0], np.tile([6, 22, 38], (1, 2, 1)))


def test_constants_tensors_and_blocks() -> None:
    a = np.zeros(2)
    constant = tf_.constant(a)
    a[0] = 5
    same(constant, [0, 0])
    assert tf_.is_tensor(tf.Variable(1.0))
    with tf.name_scope("x"), tf.init_scope():
        same(tf.cond(tf_.constant(1) > 0, lambda: 1, lambda: 2), 1)
    same(tf.while_loop(lambda i, s: i < 4, lambda i, s: (i + 1, s + i), (0, 0)), [4, 6])
    same(tf.while_loop(lambda i: True, lambda i: [i * 2], [1], maximum_iterations=3), [8])
    same(tf.map_fn(lambda x: x * 2, np.ones(2)), [2, 2])
    same(tf.map_fn(lambda x: x[0] - x[1], (np.ones(2), np.ones(2))), [0, 0])
    same(slope(lambda x: tf.map_fn(lambda row: row * row, x), [1.0, 2.0]), [2, 4])
    tf.group(1, 2)
    assert tf.UnconnectedGradients.ZERO == "zero"
    assert abs(float(tf.timestamp()) - time.time()) < 60


def test_parts_and_functions_of_numbers() -> None:
    x = np.arange(6.0).reshape(2, 3)
    same(tf_.gather_nd(x, [[0, 1], [1, 2]]), [1, 5])
    same(tf_.gather_nd(x, [[1]]), [[3, 4, 5]])
    same(tf_.slice(x, [0, 1], [-1, 2]), [[1, 2], [4, 5]])
    same(slope(lambda x: tf_.slice(x, begin=[1, 0], size=[1, 2]), x), [[0, 0, 0], [1, 1, 0]])
    values = [np.nan, np.inf, 1.0]
    assert tf_.math.is_nan(values).tolist() == [True, False, False]
    assert tf_.math.is_inf(values).tolist() == [False, True, False]
    assert tf_.math.is_finite(values).tolist() == [False, False, True]
    same(tf_.math.xlogy([0.0, 2.0], [0.0, np.e]), [0, 2])
    same(tf_.math.log_sigmoid([0.0, -1000.0]), [-np.log(2), -1000], np.float32)
    same(slope(tf_.math.log_sigmoid, [0.0]), [0.5])
    backend: Any = keras.backend
    a, b = np.ones((2, 3, 4)), np.ones((2, 4, 5))
    same(backend.batch_dot(a, b), np.matmul(a, b))
    same(backend.batch_dot(a, np.ones((2, 4)), axes=(2, 1)), np.full((2, 3), 4))
    same(backend.batch_dot(x, x, axes=1), [[5], [50]])


def test_assertions() -> None:
    same(tf.debugging.check_numerics([1.0], "x"), [1])
    tf.debugging.assert_equal([1, 2], [1, 2], message="same")
    tf_.assert_less(1, y=2)
    tf_.Assert(True, [1])
    assert tf.ensure_shape(np.ones((2, 3)), [None, 3]).shape == (2, 3)
    wrongs: list[Any] = [
        lambda: tf.debugging.check_numerics([np.nan], "x"),
        lambda: tf.debugging.assert_equal(1, 2, "other"),
        lambda: tf_.debugging.assert_greater_equal([1, 3], [2, 2]),
        lambda: tf_.debugging.assert_positive([0]),
        lambda: tf_.debugging.assert_rank([0], 2),
        lambda: tf.ensure_shape(np.ones((2, 3)), (3, 3)),
    ]
    for wrong in wrongs:
        with pytest.raises(ValueError, match="expected"):
            wrong()


def test_cosine_decay_with_restarts() -> None:
    rate = keras.optimizers.schedules.CosineDecayRestarts(1.0, 10, m_mul=0.5, alpha=0.1)
    expected = [1, 0.55, 0.55, 0.325, 0.325]
    same([rate(step) for step in (0, 5, 10, 20, 30)], expected)
