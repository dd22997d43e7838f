"""The named arrays and the flat vector are the same memory, whatever is done to either."""

import copy
import pickle
from typing import Any

import numpy as np
import pytest

from digits.nn.parameters import Parameters

SHAPES = {"W1": (3, 4), "b1": (4,), "kernel": (2, 2, 1, 5), "scale": ()}
NAMES = list(SHAPES)
SIZE = 12 + 4 + 20 + 1


@pytest.fixture
def params() -> Parameters:
    """0, 1, 2, ... in the order of the vector."""
    params = Parameters(SHAPES)
    params.flat[...] = np.arange(SIZE)
    return params


def is_tied(params: Parameters) -> bool:
    """Whether the arrays still lie in the vector one behind the other, without gap or overlap."""
    params.flat[...] = np.arange(params.flat.size)
    views = np.concatenate([np.ravel(array) for array in params.values()])
    if views.tolist() != params.flat.tolist():
        return False
    for number, array in enumerate(params.values()):
        array[...] = number
    written = [number for number, array in enumerate(params.values()) for _ in range(array.size)]
    return written == params.flat.tolist()


def test_new_parameters_are_float32_zeros() -> None:
    shapes = dict(SHAPES)
    params = Parameters(shapes)
    shapes.clear()  # the shapes are its own
    assert params.flat.shape == (SIZE,) and params.dtype == params.flat.dtype == np.float32
    assert not params.flat.any()
    assert {name: array.shape for name, array in params.items()} == params.shapes == SHAPES
    assert all(array.dtype == np.float32 for array in params.values())


def test_it_is_a_mapping_in_the_order_it_was_given(params: Parameters) -> None:
    assert list(params) == list(params.keys()) == NAMES and len(params) == 4
    assert "W1" in params and "W2" not in params
    assert params.get("W2") is None
    with pytest.raises(KeyError, match="among W1, b1, kernel, scale; received 'W2'"):
        params["W2"]
    with pytest.raises(KeyError, match="among W1, b1, kernel, scale; received 'W2'"):
        params["W2"] = np.zeros(3)


def test_the_line_of_the_book_works_in_place(params: Parameters) -> None:
    view, before = params["W1"], params["W1"].copy()
    params["W1"] -= np.float32(0.5) * np.ones((3, 4), dtype=np.float32)
    assert params["W1"] is view
    np.testing.assert_array_equal(params["W1"], before - 0.5)
    with pytest.raises(TypeError, match="operand 'Parameters' does not"):
        params.flat -= params
    assert is_tied(params)


def test_assigning_copies_into_the_view(params: Parameters) -> None:
    view, W = params["W1"], np.full((3, 4), 7.0)
    params["W1"] = W
    assert params["W1"] is view
    assert (params.flat[:12] == 7).all() and params["W1"].dtype == np.float32 != W.dtype
    W[...] = 0
    assert (params["W1"] == 7).all()
    params["b1"] = [1, 2, 3, 4]
    assert params.flat[12:16].tolist() == [1, 2, 3, 4]
    params["scale"] = 9
    assert params.flat[-1] == 9
    assert is_tied(params)


def test_assigning_a_part_of_the_same_memory_reads_before_it_writes() -> None:
    square = Parameters({"A": (3, 3)})
    square.flat[...] = np.arange(9)
    square["A"] = square["A"].T
    assert square["A"].tolist() == [[0, 3, 6], [1, 4, 7], [2, 5, 8]]


@pytest.mark.parametrize("shape", [(), (1,), (4,), (1, 4), (3, 1), (4, 3), (12,), (3, 4, 1)])
def test_assigning_never_broadcasts(params: Parameters, shape: tuple[int, ...]) -> None:
    before = params.flat.copy()
    with pytest.raises(ValueError, match=r"expected W1 of shape \(3, 4\); received shape"):
        params["W1"] = np.zeros(shape)
    np.testing.assert_array_equal(params.flat, before)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_copies_share_no_memory(params: Parameters, dtype: Any) -> None:
    for other in (params.astype(dtype), params.copy(), params.zeros_like()):
        assert other.shapes == params.shapes
        assert not np.shares_memory(other.flat, params.flat)
        assert is_tied(other)
    assert params.astype(dtype).dtype == dtype
    twin = params.astype(dtype)
    assert twin.copy().dtype == twin.zeros_like().dtype == dtype


@pytest.mark.parametrize("way", [copy.deepcopy, lambda p: pickle.loads(pickle.dumps(p))])
def test_the_tie_survives_deepcopy_and_pickle(params: Parameters, way: Any) -> None:
    """Both are ways to copy a network, and both copy each array by itself unless told not to."""
    other = way(params)
    np.testing.assert_array_equal(other.flat, params.flat)
    assert not np.shares_memory(other.flat, params.flat)
    assert is_tied(other)
