"""Matrix products in blocks of the size at which the library behind NumPy is fastest: those of
dense layers, and stacks with one skinny factor, as in convolutions: few filters, many positions.
"""

import functools
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

from digits.types import Array

SMALL = 600_000
"""Multiplications. OpenBLAS, the library behind NumPy, copies factors into the order in which its
innermost loop reads them. That pays if each number is then read often, which those of a skinny
product are not. Up to about this size some kernels multiply numbers where they lie: 33 % faster.
"""

SKINNY = 0.5
"""How much a multiplication of `blocked_matmul` counts where `threads.parallel_for` asks how much
there is to do: they are faster than others, so more of them are worth a second thread."""

IN_PLACE = 1_000_000
"""A product of at most so many multiplications is computed in place, its factors not copied first,
if OpenBLAS has kernels for that."""

KERNELS_IN_PLACE = ("SkylakeX", "Cooperlake", "SapphireRapids")
"""OpenBLAS' names of the sets that have them, for processors with AVX-512."""

MOST_BLOCKS = 64
"""Of rows: with 125 a product takes a quarter longer than as a whole."""


@functools.cache
def blas_libraries() -> list[Any]:
    """Handles of the BLAS libraries in this process, found when first needed."""
    np.ones((2, 2)) @ np.ones((2, 2))  # NumPy has loaded its own by now
    return list(ThreadpoolController().select(user_api="blas").lib_controllers)


@functools.cache
def _in_place() -> int:
    """Up to how many multiplications are done in place; 0 if never, and blocks do not pay."""
    kernels = [getattr(library, "architecture", None) for library in blas_libraries()]
    return IN_PLACE if any(kernel in KERNELS_IN_PLACE for kernel in kernels) else 0


def matmul_by_rows(a: Array, b: Array, out: Array) -> None:
    """out = a @ b, (rows, inner) @ (inner, columns), as many rows at a time as BLAS multiplies in
    place, or all at once.
    """
    (rows, inner), columns = a.shape, b.shape[1]
    blocks, size = _row_blocks(rows, inner * columns)
    whole = blocks * size
    if blocks:
        stack = a[:whole].reshape(blocks, size, inner)
        np.matmul(stack, b, out=out[:whole].reshape(blocks, size, columns))
    if whole < rows:
        np.matmul(a[whole:], b, out=out[whole:])


@functools.cache
def _row_blocks(rows: int, multiplications: int) -> tuple[int, int]:
    """Into how many blocks to cut so many rows, each of which takes `multiplications`, and their
    size: a multiple of 4, as BLAS takes 4 together. No blocks if a block would have no rows, or
    these were so many that copying the other factor first is faster.
    """
    most = _in_place() // max(1, multiplications) // 4 * 4
    if not most < rows <= MOST_BLOCKS * most:
        return 0, rows
    blocks = -(-rows // most)  # rounded up
    size = -(-rows // (4 * blocks)) * 4
    return rows // size, size


def blocked_matmul(a: Array, b: Array, out: Array, min_width: int) -> None:
    """out = a @ b for stacks of matrices, (..., rows, inner) @ (..., inner, columns).

    The columns are cut into equal blocks, as few as make each product at most SMALL; or not at all,
    if those would be narrower than `min_width`, as many small ones are no faster.
    """
    (rows, inner), columns = a.shape[-2:], b.shape[-1]
    blocks = _blocks(columns, rows * inner, min_width)
    # a meets every block: (..., 1, rows, inner) @ (..., blocks, inner, columns / blocks).
    np.matmul(a[..., np.newaxis, :, :], _cut(b, blocks), out=_cut(out, blocks))


def inner_blocks(a: Array, b: Array) -> tuple[Array, Array]:
    """For products (..., rows, inner) @ (..., inner, columns) that are summed in the end: the same
    matrices with the inner axis cut into blocks, as further members of the stack. Views.
    """
    (rows, inner), columns = a.shape[-2:], b.shape[-1]
    blocks = _blocks(inner, rows * columns, 100)
    return _cut(a, blocks), _cut(b.swapaxes(-1, -2), blocks).swapaxes(-1, -2)


@functools.cache
def _blocks(length: int, multiplications: int, shortest: int) -> int:
    """Into how many equal blocks to cut an axis, each unit of which takes `multiplications`."""
    fewest = max(1, -(-length * multiplications // SMALL))  # rounded up
    counts = range(fewest, length // shortest + 1) if _in_place() else ()
    return next((p for p in counts if length % p == 0), 1)


def _cut(x: Array, blocks: int) -> Array:
    """(..., k, q) as (..., blocks, k, q / blocks): a view, as splitting one axis in two never takes
    a copy.
    """
    *stack, k, q = x.shape
    return x.reshape(*stack, k, blocks, q // blocks).swapaxes(-3, -2)
