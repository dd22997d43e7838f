"""Stacks of matrix products with one skinny factor, as in convolutions: few filters, many
positions. They are cut into blocks of the size at which the library behind NumPy is fastest.
"""

import numpy as np

from digits.types import Array

SMALL = 600_000
"""Multiplications. OpenBLAS, the library behind NumPy, copies large factors into the order in which
its innermost loop reads them. That pays if each number is then read often, which those of a skinny
product are not. Up to about this size it multiplies the numbers where they lie, and is 33 % faster.
"""

SKINNY = 0.5
"""How much a multiplication of `blocked_matmul` counts where `threads.parallel_for` asks how much
there is to do: they are faster than others, so more of them are worth a second thread."""


def blocked_matmul(a: Array, b: Array, out: Array, min_width: int) -> None:
    """out = a @ b for stacks of matrices, (..., rows, inner) @ (..., inner, columns).

    The columns are cut into equal blocks, as few as make each product at most SMALL; or not at all,
    if those would be narrower than `min_width`, as many small ones are no faster.
    """
    (rows, inner), columns = a.shape[-2:], b.shape[-1]
    blocks = _blocks(columns, rows * inner, min_width)
    # a meets every block: (..., 1, rows, inner) @ (..., blocks, inner, columns / blocks).
    np.matmul(a[..., np.newaxis, :, :], _cut(b, blocks), out=_cut(out, blocks))


def inner_blocks(a: Array, b: Array, min_length: int = 100) -> tuple[Array, Array]:
    """For products (..., rows, inner) @ (..., inner, columns) that are summed in the end: the same
    matrices with the inner axis cut into blocks, as further members of the stack. Views.
    """
    (rows, inner), columns = a.shape[-2:], b.shape[-1]
    blocks = _blocks(inner, rows * columns, min_length)
    return _cut(a, blocks), _cut(b.swapaxes(-1, -2), blocks).swapaxes(-1, -2)


def _blocks(length: int, multiplications: int, shortest: int) -> int:
    """Into how many equal blocks to cut an axis, each unit of which takes `multiplications`."""
    fewest = max(1, -(-length * multiplications // SMALL))  # rounded up
    return next((p for p in range(fewest, length // shortest + 1) if length % p == 0), 1)


def _cut(x: Array, blocks: int) -> Array:
    """(..., k, q) as (..., blocks, k, q / blocks): a view, as splitting one axis in two never takes
    a copy.
    """
    *stack, k, q = x.shape
    return x.reshape(*stack, k, blocks, q // blocks).swapaxes(-3, -2)
