"""Stacks of matrix products of which one factor is thin, as convolutions ask for: few filters, many
places.  They are cut into pieces of the size at which the library behind NumPy is quickest.
"""

import numpy as np

from digits.types import Array

SMALL = 600_000
"""Multiplications.  OpenBLAS, the library behind NumPy, copies large factors into the order in
which its innermost loop reads them.  That pays if each number is then read often, which those of a
thin product are not.  Up to about this size it multiplies the numbers where they lie, and takes
two thirds of the time.
"""

THIN = 0.5
"""How much a multiplication of `blocked_matmul` counts where `threads.parallel_for` asks how
much there is to do: they are quicker than others, so more of them are worth a second thread."""


def blocked_matmul(a: Array, b: Array, out: Array, narrowest: int) -> None:
    """out = a @ b for stacks of matrices, (..., rows, inner) @ (..., inner, columns).

    The columns are cut into equal pieces, as few as make each product at most SMALL; or not at all,
    if those would be narrower than `narrowest`, as many little ones are no quicker.
    """
    (rows, inner), columns = a.shape[-2:], b.shape[-1]
    fewest = max(1, -(-columns * rows * inner // SMALL))  # rounded up
    divisors = (p for p in range(fewest, columns // narrowest + 1) if columns % p == 0)
    pieces = next(divisors, 1)
    # a meets every piece: (..., 1, rows, inner) @ (..., pieces, inner, columns / pieces).
    np.matmul(a[..., np.newaxis, :, :], _cut(b, pieces), out=_cut(out, pieces))


def _cut(x: Array, pieces: int) -> Array:
    """(..., k, q) as (..., pieces, k, q / pieces): a view, as splitting one axis in two never takes
    a copy.
    """
    *stack, k, q = x.shape
    return x.reshape(*stack, k, pieces, q // pieces).swapaxes(-3, -2)
