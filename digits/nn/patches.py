"""Convolution as matrix products: the pixels under the kernel at each position are copied into a
column of a matrix (im2col), which is multiplied by the matrix of all filters (Chellapilla et al.
2006). Positions overlap, so memory is the price for doing the arithmetic in fast products; but
pixels are copied for the columns j of the kernel only, not for its rows i (see `overlapping_rows`).
"""

import math
from typing import Any

import numpy as np

from digits.compute.matmul import SKINNY, blocked_matmul, inner_blocks
from digits.compute.threads import parallel_for
from digits.nn.activations import LINEAR, ActivationFunction
from digits.nn.geometry import Geometry, images
from digits.nn.workspace import ThreadCache
from digits.types import Array

MANY_FILTERS = 32
"""From here on a row of filters is long enough to be innermost in memory."""


def overlapping_rows(x: Array, height: int) -> Array:
    """What a kernel of `height` rows covers at each position along a stack x of rows, which are
    matrices themselves: the rows under it, one below the other in one larger matrix.

    (rows, k, q) makes (rows - height + 1, height * k, q), whose r-th matrix is
    np.concatenate(x[r : r + height]); but nothing is copied. In x, which has to be contiguous, the
    first line of a row follows the last line of the row before, as lines within a row follow each
    other: going on for height * k lines, where a row has k, leads through `height` rows.
    """
    rows, k, q = x.shape
    shape = (rows - height + 1, height * k, q)
    return np.lib.stride_tricks.as_strided(x, shape, x.strides, writeable=False)


class PatchConvolution:
    """The convolution of `digits.nn.convolution` for any geometry, with its activation.

    Its outputs lie in memory as `geometry.images` says; but (rows, columns, n, filters) where a
    first layer has many filters: a pixel with its channels, in all images, is one long run then,
    as pooling and the frequency domain like it. (dx needs the other order.)
    """

    def __init__(
        self, geometry: Geometry, filters: int, needs_dx: bool, dtype: np.dtype[Any]
    ) -> None:
        self.geometry, self.filters, self.dtype = geometry, filters, dtype
        self.channels_innermost = not needs_dx and filters >= MANY_FILTERS
        self.cache = ThreadCache()

    def multiplications(self, n: int) -> int:
        """Of a `forward` of n images."""
        patch_size = math.prod(self.geometry.kernel) * self.geometry.image[2]
        return n * math.prod(self.geometry.output) * patch_size * self.filters

    def _reserve(self, n: int) -> None:
        """Make the arrays that batches of n images are computed in, and the views of them."""
        cache, dtype, (high, wide) = self.cache, self.dtype, self.geometry.kernel
        (rows, columns), (height, _, channels) = self.geometry.output, self.geometry.padded
        cache.size, cache.da, cache.dx = n, None, None
        cache.work = SKINNY * self.multiplications(n)
        # What column j of the kernel meets at all columns of positions, for each row of pixels.
        cache.copies = np.empty((height, wide, channels, columns, n), dtype)
        copied_rows = cache.copies.reshape(height, wide * channels, columns * n)
        cache.patches = overlapping_rows(copied_rows, high)[:: self.geometry.strides[0]]
        cache.a, cache.bias = self._maps(rows, columns * n), self._maps(1, columns * n)
        cache.y = images(cache.a.reshape(rows, self.filters, columns, n))

    def _reserve_gradients(self, n: int, needs_dx: bool) -> None:
        """Those of `backward`, which predictions do not need."""
        cache, dtype, filters = self.cache, self.dtype, self.filters
        (rows, columns), (high, wide) = self.geometry.output, self.geometry.kernel
        (down, _), (height, width, channels) = self.geometry.strides, self.geometry.padded
        cache.ones = np.ones(columns * n, dtype)
        cache.db = np.empty((rows, filters), dtype)
        if needs_dx:
            # da, with rows of zeros around it, and for the rows that strides leave out.
            dilated = np.zeros((height + high - 1, filters, columns * n), dtype)
            cache.da = dilated[high - 1 : high - 1 + rows * down : down]
            cache.da_rows = overlapping_rows(dilated, high)  # (height, (i f), (columns n))
            cache.dx = np.empty((height, channels, width, n), dtype)
            cache.dcopies = np.empty((height, wide, channels, columns, n), dtype)
            cache.dx_of_images = self.geometry.inside(images(cache.dx))
        else:
            cache.da = self._maps(rows, columns * n)
        cache.da_of_images = images(cache.da.reshape(rows, filters, columns, n))

    def _maps(self, rows: int, positions: int) -> Array:
        """An array (rows, filters, positions)."""
        if self.channels_innermost:
            return np.empty((rows, positions, self.filters), self.dtype).swapaxes(1, 2)
        return np.empty((rows, self.filters, positions), self.dtype)

    def _maps_of(self, dy: Array) -> Array:
        """The same of images; a copy, unless they lie in memory as those of `forward`."""
        rows = dy.shape[1]
        if self.channels_innermost:
            return dy.transpose(1, 2, 0, 3).reshape(rows, -1, self.filters).swapaxes(1, 2)
        return dy.transpose(1, 3, 2, 0).reshape(rows, self.filters, -1)

    def forward(self, x: Array, W: Array, b: Array | None, activation: ActivationFunction) -> Array:
        """A matrix product for each row of positions p: every filter f is a row of weights, and
        every position q in that row, in every image, a column of the pixels under the kernel:

            a[p][f, (q n)] = sum over (i j c) of kernel[f, (i j c)] patches[p][(i j c), (q n)]

        where (i j c) is one axis that goes through all i, j and c, the last one fastest.
        """
        cache, filters = self.cache, self.filters
        if cache.size != len(x):
            self._reserve(len(x))
        (rows, columns), (high, wide) = self.geometry.output, self.geometry.kernel
        down, right = self.geometry.strides
        padded = self.geometry.pad(x, cache).transpose(1, 3, 2, 0)  # (height, channels, width, n)
        copies, patches, a, y, bias = cache.copies, cache.patches, cache.a, cache.y, cache.bias
        kernel = W.reshape(-1, filters).T  # (filters, (i j c))
        if not self.channels_innermost:
            kernel = np.ascontiguousarray(kernel)
        if b is not None:  # once for each position, as long runs of numbers are added faster
            bias[...] = b[:, np.newaxis]

        def outputs_of_rows(part: slice) -> None:
            # Rows of pixels under two parts are copied by both threads: the same numbers to the
            # same place, and neither has to wait for the other.
            pixels = slice(part.start * down, (part.stop - 1) * down + high)
            for j in range(wide):
                copies[pixels, j] = padded[pixels, :, j : j + columns * right : right]
            blocked_matmul(kernel, patches[part], a[part], min_width=100)
            if b is not None:
                a[part] += bias
            activation.apply(y[:, part] if activation.name == "softmax" else a[part])

        parallel_for(outputs_of_rows, rows, cache.work)
        cache.W = W
        return cache.y

    def backward(
        self, dy: Array, activation: ActivationFunction, needs_dx: bool
    ) -> tuple[Array, Array, Array | None]:
        """dW, db, and dx unless it is not needed, for the latest `forward`.

        a[p] = kernel patches[p] + b is a Dense layer with its factors in the other order. So dW, as
        the transpose of dkernel, is the sum of patches[p] da[p]^T over all rows of positions p, and
        db that of da[p].
        """
        cache = self.cache
        if cache.da is None or (needs_dx and cache.dx is None):
            self._reserve_gradients(len(dy), needs_dx)
        W, y, da_of_images, db, ones = cache.W, cache.y, cache.da_of_images, cache.db, cache.ones
        da_is_dy = activation is LINEAR and not needs_dx
        da = self._maps_of(dy) if da_is_dy else cache.da
        # For each row ((i j c), (columns n)) @ ((columns n), filters). Products are added up at the
        # end, as threads must not add to the same: so they may be of some positions each.
        patches, da_T = cache.patches, da.swapaxes(1, 2)
        if self.channels_innermost:
            patches, da_T = inner_blocks(patches, da_T)
        dW = cache.array("dW", (*patches.shape[:-1], self.filters), self.dtype)

        def weight_gradients_of_rows(part: slice) -> None:
            if not da_is_dy:
                activation.apply_backward(dy[:, part], y[:, part], out=da_of_images[:, part])
            blocked_matmul(patches[part], da_T[part], dW[part], min_width=4)
            np.matmul(da[part], ones, out=db[part])

        parallel_for(weight_gradients_of_rows, len(da), cache.work)
        dx = self._pixel_gradients() if needs_dx else None
        return np.add.reduce(dW.reshape(-1, *W.shape)), np.add.reduce(db), dx

    def _pixel_gradients(self) -> Array:
        """dx from da. A row of pixels r was under the row i of the kernel at the row of positions
        r - i (strides of one pixel), so with W[i] as a matrix of all (j c) by all f, its copies
        have the gradient

            dcopies[r] = sum over i of W[i] da[r - i],    da being 0 where there are no positions

        As in `forward`, `high` rows are used together, r - high + 1 to r of da, of which the first
        meets W's last: one product of the flipped kernel and the `overlapping_rows` of `dilated`,
        which is da with high - 1 rows of zeros above, zeros below, and zeros for the rows that
        strides leave out. A pixel was copied for several columns j: its gradient is their sum.
        """
        cache, (high, wide) = self.cache, self.geometry.kernel
        (_, columns), (_, right) = self.geometry.output, self.geometry.strides
        dx, dcopies, da_rows = cache.dx, cache.dcopies, cache.da_rows
        # From (i, j, c, f) to ((j c), (i f)), with i in the order of `da_rows`, last first:
        flipped = cache.W[::-1].transpose(1, 2, 0, 3).reshape(-1, high * self.filters)

        def gradients_of_rows(part: slice) -> None:
            copies = dcopies.reshape(len(dcopies), len(flipped), -1)[part]
            blocked_matmul(flipped, da_rows[part], copies, min_width=100)
            dx[part] = 0
            for j in range(wide):
                dx[part, :, j : j + columns * right : right] += dcopies[part, j]

        parallel_for(gradients_of_rows, len(dx), cache.work)
        return cache.dx_of_images
