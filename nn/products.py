"""Stacks of matrix products of which one factor is thin, as convolutions ask for: few filters, many
places.  They are cut into pieces of the size at which the library behind NumPy is quickest.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

SMALL = 600_000
"""Multiplications.  OpenBLAS copies large factors into the order in which its innermost loop reads
them, which pays if it then reads each number often.  In a thin product it does not; up to about
this size it multiplies the numbers where they lie, half as fast again.
"""

THIN = 0.5
"""The time of such a multiplication, in those of a common product."""


def thin_products(a: Array, b: Array, out: Array, narrowest: int) -> None:
    """out = a @ b for stacks of matrices, (..., rows, inner) @ (..., inner, columns).

    The columns are cut into equal pieces, so that each product is SMALL; or not at all, if the
    pieces would be narrower than `narrowest`, as many little ones are no quicker.
    """
    columns = b.shape[-1]
    fewest = max(1, -(-columns * a.shape[-2] * a.shape[-1] // SMALL))  # rounded up
    pieces = (p for p in range(fewest, columns // narrowest + 1) if columns % p == 0)
    count = next(pieces, 1)
    np.matmul(a[..., np.newaxis, :, :], _cut(b, count), out=_cut(out, count))


def _cut(x: Array, pieces: int) -> Array:
    """(..., k, q) as (..., pieces, k, q / pieces).  Nothing is copied."""
    *stack, k, q = x.shape
    return x.reshape(*stack, k, pieces, q // pieces).swapaxes(-3, -2)
