"""The formulas against fifty digits of mpmath, gradients against numerical ones, bad inputs."""

import re
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import product
from typing import Any
from unittest.mock import Mock

import mpmath
import numpy as np
import pytest
from mpmath import mp, mpf
from numpy.typing import ArrayLike

import functions as F
from digits.nn.parameters import Parameters
from digits.types import Array
from two_layer_net import TwoLayerNet

FLOATS = (np.float32, np.float64)

mp.dps = 50


def exact_sigmoid(x: Any) -> Any:
    return 1 / (1 + mpmath.exp(-x))


Function = Callable[[Array], Array]
FORMULAS: dict[Function, Callable[[Any], Any]] = {
    F.sigmoid: exact_sigmoid,
    F.sigmoid_grad: lambda x: exact_sigmoid(x) * exact_sigmoid(-x),
    F.tanh: mpmath.tanh,
    F.scaled_tanh: lambda x: mpf("1.7159") * mpmath.tanh(2 * x / 3),
    F.relu: lambda x: max(x, mpf(0)),
    F.relu_grad: lambda x: mpf(x > 0),
    F.leaky_relu: lambda x: x if x > 0 else x / 5,
    F.elu: lambda x: x if x > 0 else mpmath.expm1(x),
}
every_formula = pytest.mark.parametrize("function", FORMULAS, ids=lambda f: f.__name__)

SMALL = np.logspace(-8, 0, 17)
LARGE = np.array([1.5, 2, 5, 10, 16.7, 36.8, 40, 60, 87, 89, 103.9, 104, 300, 708, 746, 1e3, 1e4])
POINTS = np.concatenate([-LARGE, -SMALL, [0.0], SMALL, LARGE, np.linspace(-3, 3, 25)])


@pytest.mark.parametrize("dtype", FLOATS)
@every_formula
def test_activation_is_right_to_the_last_digits(function: Function, dtype: Any) -> None:
    x = POINTS.astype(dtype)
    y = function(x)
    assert y.dtype == dtype
    limits = np.finfo(dtype)
    for x_i, y_i in zip(x.tolist(), y.tolist(), strict=True):
        exact = FORMULAS[function](mpf(x_i))
        # Below the smallest normal number there are fewer digits, and then none.
        allowed = 8 * float(limits.eps) * abs(exact) + float(limits.tiny)
        assert abs(y_i - exact) <= allowed, f"f({x_i!r}) is {mpmath.nstr(exact)}, not {y_i!r}"


def test_leaky_relu_and_elu_take_their_parameters() -> None:
    x = np.array([-2.0, 3.0])
    assert F.leaky_relu(x, 0.1).tolist() == [-0.2, 3]
    np.testing.assert_allclose(F.elu(x, 0.5), [0.5 * np.expm1(-2), 3], rtol=1e-15)


@pytest.mark.parametrize("shape", [(), (0,), (2, 3, 4, 5)])
@every_formula
def test_activations_keep_any_shape_and_leave_their_input_alone(
    function: Function, shape: tuple[int, ...], rng: np.random.Generator
) -> None:
    x = np.asarray(rng.normal(size=shape), dtype=np.float32)
    before = x.copy()
    y = function(x)
    assert np.shape(y) == shape and y.dtype == np.float32
    np.testing.assert_array_equal(x, before)


def exact_softmax(row: list[float]) -> list[Any]:
    e = [mpmath.exp(mpf(x)) for x in row]
    return [e_i / sum(e) for e_i in e]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("scale", [1e-3, 1, 30, 1e4])
def test_softmax_against_fifty_digits(scale: float, dtype: Any, rng: np.random.Generator) -> None:
    x = (scale * rng.normal(size=(20, 10))).astype(dtype)
    y = F.softmax(x)
    assert y.dtype == dtype
    limits = np.finfo(dtype)
    for x_row, y_row in zip(x.tolist(), y.tolist(), strict=True):
        for x_i, y_i, right in zip(x_row, y_row, exact_softmax(x_row), strict=True):
            # x - max(x) is rounded once, and exp turns that into so much relative error.
            roundings = 8 + abs(x_i - max(x_row))
            assert abs(y_i - right) <= roundings * float(limits.eps) * right + float(limits.tiny)


@pytest.mark.parametrize("shape", [(10,), (4, 10), (3, 4, 10)])
def test_softmax_rows_are_probabilities(shape: tuple[int, ...], rng: np.random.Generator) -> None:
    x = rng.normal(0, 5, shape)
    before = x.copy()
    y = F.softmax(x)
    assert y.shape == shape
    assert (y > 0).all()
    np.testing.assert_allclose(y.sum(axis=-1), 1, rtol=1e-15)
    np.testing.assert_array_equal(x, before)


def test_inputs_take_the_dtype_asked_for_and_are_copied_only_for_that() -> None:
    x = np.zeros((3, 784), dtype=np.float32)
    assert F.to_inputs(x) is x and F.to_inputs(x, dtype=np.float64).dtype == np.float64
    assert F.to_inputs([[0.5, 1.0]], input_size=2).shape == (1, 2)


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.bool_])
def test_raw_pixels_are_refused(dtype: Any) -> None:
    with pytest.raises(TypeError, match="divide raw pixels by 255"):
        F.to_inputs(np.zeros((3, 784), dtype=dtype))


@pytest.mark.parametrize("shape", [(784,), (3, 783), (784, 3), (3, 28, 28), ()])
def test_inputs_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected inputs of shape \(n, 784\).*received shape"):
        F.to_inputs(np.zeros(shape))


def test_the_first_pixel_that_is_no_number_is_named() -> None:
    x = np.full((1_300, 4), 1e30, np.float32)  # large, and finite: only its square is not
    assert F.to_inputs(x, 4) is x
    x[7, 3] = -np.inf
    x[8:] = np.nan
    with pytest.raises(ValueError, match="received -inf in sample 7, value 3, counted"):
        F.to_inputs(x, 4)
    with pytest.raises(ValueError, match="received -inf in sample 7, value 3"):
        F.require_finite(x.reshape(-1, 2, 2))
    assert F.to_inputs(x, 4, finite=False) is x  # the caller looks later


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int64, np.float32])
def test_labels_survive_the_way_to_one_hot_and_back(dtype: Any, rng: np.random.Generator) -> None:
    labels = rng.integers(0, 10, 200)
    rows = F.to_one_hot(labels.astype(dtype))
    assert rows.shape == (200, 10) and rows.dtype == np.float32
    assert (rows.sum(axis=1) == 1).all()
    for form in (rows, rows.astype(dtype), rows.astype(bool), rows.tolist(), labels.astype(dtype)):
        back = F.to_labels(form)
        assert back.dtype == np.intp
        np.testing.assert_array_equal(back, labels)


def test_one_hot_takes_the_classes_and_the_dtype_that_are_asked_for() -> None:
    rows = F.to_one_hot([2, 0], classes=3, dtype=np.float64)
    assert rows.dtype == np.float64 and rows.tolist() == [[0, 0, 1], [1, 0, 0]]
    with pytest.raises(ValueError, match="0 to 2; received 3"):
        F.to_one_hot([3], classes=3)


def test_ten_indices_are_never_read_as_one_hot() -> None:
    """The trap: with ten samples and ten classes, both forms have ten of something."""
    indices = np.arange(10)[::-1]
    for form in (indices, np.eye(10)[indices]):
        assert F.to_labels(form).tolist() == indices.tolist()
    # The one-hot row of class 3, or ten samples of classes 0 and 1? A vector is always indices.
    assert F.to_labels(np.eye(10)[3]).tolist() == [0, 0, 0, 1, 0, 0, 0, 0, 0, 0]
    with pytest.raises(ValueError, match="one-hot"):  # a square of indices is neither
        F.to_labels(np.tile(indices, (10, 1)))
    assert (F.to_labels([]).shape, F.to_labels(np.zeros((0, 10))).shape) == ((0,), (0,))
    assert F.to_one_hot([]).shape == (0, 10)


ROW = r"one-hot.*a single 1 and 9 zeros.*received row"


@pytest.mark.parametrize(
    ("t", "message"),
    [
        ([3, 10, 4], "0 to 9; received 10"),
        ([3, -1], "0 to 9; received -1"),
        ([1, 2.5], "0 to 9; received 2.5"),
        ([1, np.nan], "0 to 9; received nan"),
        ([1e300, 1], r"0 to 9; received 1e\+300"),
        ([2**63], "0 to 9; received 9223372036854775808"),
        *(([[0] * 9 + [1], row], ROW) for row in ([0] * 10, [1, 1] + [0] * 8, [0.1] * 10)),
        *(([[0] * 9 + [1], row], ROW) for row in ([2, -1] + [0] * 8, [1] + [0] * 8 + [np.nan])),
        *((t, "labels that are num") for t in (["7"], [2 + 1j], [["1"] * 10], [[None] * 10])),
        *(
            (np.zeros(shape, int), rf"\(n, 10\).*received shape {re.escape(str(shape))}")
            for shape in ((), (3, 1), (1, 3), (3, 9), (3, 11), (2, 3, 10))
        ),
    ],
    ids=str,
)
def test_labels_that_are_none_are_refused(t: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"expected.*{message}"):
        F.to_labels(t)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("scale", [0.1, 3, 100, 1e4])
@pytest.mark.parametrize("smoothing", [0, 0.05, 0.5, 0.99])
def test_cross_entropy_of_logits_and_smoothed_labels(
    smoothing: float, scale: float, dtype: Any, rng: np.random.Generator
) -> None:
    x, t = (scale * rng.normal(size=(25, 10))).astype(dtype), rng.integers(0, 10, 25)
    exact = mpf(0)
    for row, label in zip(x.tolist(), t.tolist(), strict=True):
        for j, y in enumerate(exact_softmax(row)):
            target = mpf(smoothing) / 10 + (1 - mpf(smoothing) if j == label else 0)
            exact -= target * mpmath.log(y) / len(x)
    together, gradient = F.softmax_cross_entropy_with_grad(x, t, smoothing)
    for loss in (F.softmax_cross_entropy(x, t, smoothing), together):
        assert isinstance(loss, float)
        assert abs(loss - exact) <= 20 * float(np.finfo(dtype).eps) * max(scale, 1)
    assert gradient.dtype == dtype


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(
    ("t", "loss", "gradient"),
    [([0, 1], 0, [[0, 0], [0, 0]]), ([1, 0], 2e4, [[0.5, -0.5], [-0.5, 0.5]])],
)
def test_cross_entropy_of_extreme_logits(
    t: list[int], loss: float, gradient: list[list[float]], dtype: Any
) -> None:
    x = np.array([[1e4, -1e4], [-1e4, 1e4]], dtype=dtype)
    assert F.softmax_cross_entropy(x, t) == loss
    together, dx = F.softmax_cross_entropy_with_grad(x, t)
    assert (together, dx.tolist()) == (loss, gradient)


def test_cross_entropy_error_by_hand() -> None:
    y = np.array([[0.5, 0.25, 0.25], [0.125, 0.125, 0.75]])
    # (-log 1/2 - log 1/8) / 2 = (1 + 3) log 2 / 2; and a single sample, as the book writes it
    for outputs, t in ((y, [0, 1]), (y[0], 1), (y[0], [0, 1, 0])):
        assert F.cross_entropy_error(outputs, t) == pytest.approx(2 * np.log(2), rel=1e-15)
    with pytest.raises(ValueError, match=r"probabilities.*softmax"):
        F.cross_entropy_error([[0, 3]], [1])  # logits


@pytest.mark.parametrize("dtype", FLOATS)
def test_probability_zero_costs_much_but_not_everything(dtype: Any) -> None:
    y = np.array([[1, 0]], dtype=dtype)
    assert F.cross_entropy_error(y, [0]) == 0
    loss = F.cross_entropy_error(y, [1])
    assert loss == pytest.approx(-np.log(float(np.finfo(dtype).tiny)), rel=1e-6)


Loss = Callable[[Any, ArrayLike], Any]
LOSSES: list[Loss] = [
    lambda x, t: F.cross_entropy_error(F.softmax(x), t),
    F.softmax_cross_entropy,
    lambda x, t: F.softmax_cross_entropy_with_grad(x, t)[1],
    F.accuracy,
]


@pytest.mark.parametrize("loss", LOSSES)
def test_both_forms_of_labels(loss: Loss, rng: np.random.Generator) -> None:
    x, t = rng.normal(size=(10, 10)), rng.integers(0, 10, 10)
    np.testing.assert_array_equal(loss(x, t), loss(x, F.to_one_hot(t)))
    np.testing.assert_array_equal(loss(x, t), loss(x.tolist(), t.tolist()))


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(
    ("t", "message"),
    [
        ([0, 1], "one label for each of 3 samples; received 2"),
        ([0, 1, 2, 3], "one label for each of 3 samples; received 4"),
        ([0, 1, 4], "0 to 3; received 4"),
        ([[0], [1], [2]], r"received shape \(3, 1\): pass t.ravel\(\)"),
        (np.eye(4)[:2], "received 2 labels"),
        (np.full((3, 4), 0.25), "one-hot.*categorical_crossentropy"),
    ],
)
def test_misfitting_labels(loss: Loss, t: ArrayLike, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        loss(np.zeros((3, 4)), t)


@pytest.mark.parametrize("loss", LOSSES[1:])
@pytest.mark.parametrize(
    ("y", "t"),
    [
        *((np.zeros((2, 3), complex), [0, 1]), (np.full((2, 3), "a"), [0, 1])),
        *((np.zeros((2, 0)), [0, 1]), (np.zeros((0, 10)), [])),
    ],
)
def test_outputs_that_are_no_real_numbers_are_refused(loss: Loss, y: Array, t: list[int]) -> None:
    with pytest.raises(ValueError, match=rf"n >= 1; received {y.dtype}"):
        loss(y, t)


@pytest.mark.parametrize("smoothing", [0, 0.1])
def test_the_gradient_of_cross_entropy(smoothing: float, rng: np.random.Generator) -> None:
    x, t = rng.normal(0, 2, (7, 10)), rng.integers(0, 10, 7)
    numerical = F.numerical_gradient(lambda x: F.softmax_cross_entropy(x, t, smoothing), x)
    _, analytic = F.softmax_cross_entropy_with_grad(x, t, smoothing)
    np.testing.assert_allclose(analytic, numerical, rtol=1e-7, atol=1e-10)


def test_accuracy_is_the_ratio_of_samples_whose_largest_output_is_the_target() -> None:
    y = np.array([[0.1, 0.7, 0.2], [0.5, 0.2, 0.3], [0.4, 0.3, 0.3], [0, 0, 1]])
    assert (F.accuracy(y, [1, 0, 2, 2]), F.accuracy(y, [0, 1, 1, 0])) == (0.75, 0)
    assert isinstance(F.accuracy(y, [1, 0, 2, 2]), float)
    assert F.accuracy(np.where(y == 0.7, np.nan, y), [1, 0, 2, 2]) == 0.5


def test_squared_error_and_its_gradient(rng: np.random.Generator) -> None:
    y, t = rng.normal(size=(6, 4)), rng.normal(size=(6, 4))
    right = sum((mpf(a) - mpf(b)) ** 2 for a, b in zip(y.flat, t.flat, strict=True)) / 12
    assert F.squared_error(y, t) == pytest.approx(float(right), rel=1e-15)
    numerical = F.numerical_gradient(lambda y: F.squared_error(y, t), y)
    np.testing.assert_allclose(F.squared_error_grad(y, t), numerical, rtol=1e-8, atol=1e-11)
    assert F.squared_error_grad(y.astype(np.float32), F.to_one_hot([1] * 6, 4)).dtype == np.float32


@pytest.mark.parametrize("function", [F.squared_error, F.squared_error_grad])
def test_squared_error_never_broadcasts_nor_is_complex(
    function: Callable[[Array, Array], Any],
) -> None:
    for y, t in (((3, 1), (1, 3)), ((3, 2), (3,)), ((0, 2), (0, 2)), ((), ()), ((3,), (3,))):
        with pytest.raises(ValueError, match="one shape"):
            function(np.zeros(y), np.zeros(t))
    for dtypes in ((complex, float), (float, complex), (object, float), (float, object)):
        with pytest.raises(ValueError, match="expected outputs and targets that are real"):
            function(*(np.zeros((1, 2), dtype) for dtype in dtypes))


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_scaling(dtype: Any, rng: np.random.Generator) -> None:
    x = rng.integers(3, 200, (20, 30)).astype(dtype)
    before = x.copy()
    y, z = F.min_max_scale(x), F.z_score_scale(x)
    assert (y.min(), y.max()) == (0, 1)
    assert z.mean() == pytest.approx(0, abs=1e-6)
    assert z.std() == pytest.approx(1, abs=1e-6)
    for scaled in (y, z):
        assert scaled.dtype == (np.float64 if dtype is np.uint8 else dtype)
        assert np.corrcoef(x.ravel(), scaled.ravel())[0, 1] == pytest.approx(1)
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("scale", [F.min_max_scale, F.z_score_scale])
def test_scaling_of_what_is_constant_or_no_number(scale: Callable[[ArrayLike], Array]) -> None:
    for value in (0, 0.1, 1e30):  # the mean of a thousand times 0.1 is not 0.1
        assert not scale(np.full(1_000, value, np.float32)).any()
    assert np.isnan(scale([0.0, np.nan, 1.0])).any()
    x: Any
    for x in ([], ["a"], [1j], [None]):
        with pytest.raises(ValueError, match="expected real numbers, at least one"):
            scale(x)


def test_numerical_gradient_of_known_functions(rng: np.random.Generator) -> None:
    A, b = rng.normal(size=(6, 6)), rng.normal(size=6)
    x = rng.normal(size=6)
    quadratic = F.numerical_gradient(lambda x: float(x @ A @ x / 2 + b @ x), x)
    np.testing.assert_allclose(quadratic, (A + A.T) @ x / 2 + b, rtol=1e-9, atol=1e-9)

    x = rng.normal(size=(2, 3, 4))
    gradient = F.numerical_gradient(lambda x: float(np.sum(np.sin(3 * x))), x)
    np.testing.assert_allclose(gradient, 3 * np.cos(3 * x), rtol=0, atol=27 * 1e-8 / 6 + 1e-10)

    x = np.array(0.7)  # a number is an array too
    assert F.numerical_gradient(lambda x: float(x**3), x) == pytest.approx(3 * 0.49, abs=2e-8)


def test_numerical_gradient_of_a_view_nudges_the_view(rng: np.random.Generator) -> None:
    whole = rng.normal(size=(6, 8))
    before = whole.copy()
    part = whole[::2, 1::3].T
    gradient = F.numerical_gradient(lambda _: float(np.sum(whole**2)), part)
    np.testing.assert_allclose(gradient, 2 * part, rtol=1e-8)
    np.testing.assert_array_equal(whole, before)


@pytest.mark.parametrize("calls_survived", [0, 1, 4, 6])
def test_values_are_put_back_to_the_last_bit_also_when_f_raises(calls_survived: int) -> None:
    x = np.array([0.1, 2e-12, 3e11])
    before = x.tobytes()
    f = Mock(side_effect=[*[1.0] * calls_survived, *[RuntimeError] * (6 - calls_survived)])
    with suppress(RuntimeError):
        F.numerical_gradient(f, x)
    assert x.tobytes() == before


def test_only_the_entries_asked_for_are_measured() -> None:
    x = np.arange(12.0).reshape(3, 4)
    f = Mock(side_effect=lambda x: float(np.sum(x**2)))
    grad = F.numerical_gradient(f, x, entries=[0, 5, 11])
    assert f.call_count == 6
    np.testing.assert_allclose(grad.ravel()[[0, 5, 11]], [0, 10, 22], atol=1e-8)
    assert np.isnan(grad).sum() == 9


@pytest.mark.parametrize("x", [np.zeros(3, np.float32), np.zeros(3, int), [0.0, 1.0], 1.0])
def test_differences_are_taken_in_float64_alone(x: Any) -> None:
    with pytest.raises(TypeError, match="expected a float64 array"):
        F.numerical_gradient(lambda x: 0.0, x)
    with pytest.raises(TypeError, match="expected a float64 array"):
        F.directional_error(lambda x: 0.0, x, np.zeros(3))


def sum_of_cubes(x: Array) -> float:
    return float(np.sum(x**3))


def test_right_gradients_pass_and_wrong_ones_do_not(rng: np.random.Generator) -> None:
    x = rng.normal(size=(20, 30))
    before, right = x.tobytes(), 3 * x**2
    assert F.directional_error(sum_of_cubes, x, right) < 1e-8
    assert x.tobytes() == before
    assert F.directional_error(sum_of_cubes, x, 1.01 * right) == pytest.approx(0.01, rel=0.02)
    assert F.directional_error(sum_of_cubes, x, -right) > 1
    assert F.directional_error(sum_of_cubes, x, np.zeros_like(right)) == pytest.approx(1)
    one_entry = right.copy()
    one_entry[7, 3] *= 1.01
    assert F.directional_error(sum_of_cubes, x, one_entry) > 1e-6


def along(*direction: float) -> Any:
    """A random generator that draws one direction, again and again."""
    return Mock(np.random.Generator, standard_normal=lambda _: np.array(direction, float))


def test_error_is_relative_to_the_largest_derivative() -> None:
    # Along (0, 1): analytic 2, numerical 0; the other way round; 2 for 1.
    for derivative, analytic, error in [(0.0, 2.0, 1), (2.0, 0.0, 1), (1.0, 2.0, 1 / 2)]:
        f = partial(np.dot, np.array([0.0, derivative]))
        found = F.directional_error(f, np.ones(2), np.array([0.0, analytic]), rng=along(0, 1))
        assert found == pytest.approx(error)


def test_gradients_of_constants_and_of_no_numbers() -> None:
    assert F.directional_error(lambda x: 1.0, np.ones(5), np.zeros(5)) == 0  # no division by zero
    one_entry = np.array([3, 3, np.nan, 3, 3])
    assert not F.directional_error(sum_of_cubes, np.ones(5), one_entry) < 1
    assert not F.directional_error(lambda x: float("nan"), np.ones(5), np.full(5, 3.0)) < 1
    x = np.arange(5.0)
    with pytest.raises(RuntimeError):
        F.directional_error(Mock(side_effect=RuntimeError), x, np.ones(5))
    assert x.tolist() == [0, 1, 2, 3, 4]  # put back
    forgotten: list[Any] = [np.square, lambda x: None]  # a sum, a return
    ways: list[Any] = [F.numerical_gradient, partial(F.directional_error, gradient=x)]
    for f, differences in product(forgotten, ways):
        with pytest.raises(ValueError, match="f to return one number"):
            differences(f, x)
    with pytest.raises(ValueError, match=r"shape of x, \(3, 4\); received \(4, 3\)"):
        F.directional_error(sum_of_cubes, np.zeros((3, 4)), np.zeros((4, 3)))


class Planted(TwoLayerNet):
    """A network whose gradient is 1 % wrong in one of its arrays, or in its largest entry."""

    array = ""
    single = False

    def gradient(self, x: ArrayLike, t: ArrayLike) -> Parameters:
        grads = super().gradient(x, t)
        if self.array:
            wrong = grads[self.array]
            position = np.unravel_index(np.argmax(np.abs(wrong)), wrong.shape)
            wrong[position if self.single else ...] *= 1.01
        return grads


@pytest.fixture
def batch(rng: np.random.Generator) -> tuple[Array, Array]:
    return rng.normal(size=(8, 6)), rng.integers(0, 4, 8)


def planted(array: str = "", single: bool = False) -> Planted:
    kind = type("Network", (Planted,), {"array": array, "single": single})
    return kind(6, 5, 4, weight_init_std=1, rng=np.random.default_rng(1))


def test_gradient_check_passes_what_is_right(batch: tuple[Array, Array]) -> None:
    network = planted()
    before = network.params.flat.tobytes()
    assert F.gradient_check(network, *batch) < 1e-8
    assert network.params.flat.tobytes() == before and network.params.dtype == np.float32


@pytest.mark.parametrize(("single", "least"), [(False, 1e-4), (True, 1e-5)])
@pytest.mark.parametrize("array", ["W1", "b1", "W2", "b2"])
def test_gradient_check_finds_one_percent(
    array: str, single: bool, least: float, batch: tuple[Array, Array]
) -> None:
    assert F.gradient_check(planted(array, single), *batch) > least


def test_masked_arrays_are_refused_and_not_read_through_the_mask() -> None:
    x = np.ma.masked_array(np.ones((2, 6)), mask=np.eye(2, 6, dtype=bool))
    network = TwoLayerNet(6, 3, 2)
    for call in (network.predict, lambda x: network.loss(x, [0, 1]), F.sigmoid, F.leaky_relu):
        with pytest.raises(ValueError, match=r"masked array with 2 masked.*filled"):
            call(x)
    assert network.predict(np.ma.masked_array(np.ones((2, 6)))).shape == (2, 2)  # nothing masked
