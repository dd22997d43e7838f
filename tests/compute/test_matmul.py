"""Products in blocks are the products."""

from typing import Any

import numpy as np
import pytest

from digits.compute import matmul
from digits.compute.matmul import IN_PLACE, blocked_matmul, inner_blocks, matmul_by_rows


@pytest.fixture(autouse=True)
def kernels_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matmul, "_in_place", lambda: IN_PLACE)
    for cached in (matmul._blocks, matmul._row_blocks):
        monkeypatch.setattr(matmul, cached.__name__, cached.__wrapped__)


@pytest.mark.parametrize("columns", [0, 1, 7, 97, 640, 641, 1792])
@pytest.mark.parametrize("min_width", [1, 4, 100])
def test_blocks_make_the_whole_product(columns: int, min_width: int) -> None:
    rng = np.random.default_rng(columns)
    a = rng.normal(size=(3, 16, 150))
    b = rng.normal(size=(3, 150, columns))
    y = np.full((3, 16, columns), np.nan)
    blocked_matmul(a[:2], b[:2], y[:2], min_width)
    blocked_matmul(a[2], b[2], y[2], min_width)
    np.testing.assert_allclose(y, np.einsum("srk,skc->src", a, b), rtol=1e-12, atol=1e-12)


def test_one_matrix_meets_a_stack_of_views() -> None:
    rng = np.random.default_rng(0)
    a = rng.normal(size=(12, 90)).T  # neither lies in memory as it is read
    b = rng.normal(size=(5, 640, 12)).swapaxes(1, 2)
    y = np.empty((5, 640, 90)).swapaxes(1, 2)
    blocked_matmul(a, b, y, min_width=4)
    np.testing.assert_allclose(y, np.einsum("rk,skc->src", a, b), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("inner", [0, 99, 6144, 6145])
def test_blocks_of_the_inner_axis_sum_up_to_the_product(inner: int) -> None:
    rng = np.random.default_rng(inner)
    a, b = rng.normal(size=(3, 16, inner)), rng.normal(size=(3, inner, 32))
    left, right = inner_blocks(a, b)
    assert np.shares_memory(left, a) == np.shares_memory(right, b) == (inner > 0)
    assert (left.shape[1] > 1) == (inner == 6144)
    y = (left @ right).sum(axis=1)
    np.testing.assert_allclose(y, np.einsum("srk,skc->src", a, b), rtol=1e-12, atol=1e-11)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "shape", [(1, 784, 300), (101, 784, 50), (784, 33, 300), (9, 1500, 160), (3, 1000, 400)]
)
def test_a_product_by_rows_is_the_product(dtype: Any, shape: tuple[int, int, int]) -> None:
    rows, inner, columns = shape
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=size).astype(dtype) for size in ((rows, inner), (inner, columns)))
    for left in (a, np.asfortranarray(a)):
        y = np.full((rows, 2 * columns), np.nan, dtype)  # whose left half is not contiguous
        matmul_by_rows(left, b, y[:, :columns])
        np.testing.assert_allclose(y[:, :columns], a @ b, rtol=1e-4, atol=1e-3)
        assert np.isnan(y[:, columns:]).all()
