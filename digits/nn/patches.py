"""Convolution as matrix products: the pixels under the kernel at each position are copied into a
column of a matrix (im2col), which is multiplied by the matrix of all filters (Chellapilla et al.
2006). Positions overlap, so memory is the price for doing the arithmetic in fast products; but
pixels are copied for the columns j of the kernel only, not for its rows i (see `overlapping_rows`).
"""

import numpy as np
from numpy.typing import DTypeLike

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

    def __init__(self, geometry: Geometry, filters: int, needs_dx: bool = True) -> None:
        self.geometry, self.filters = geometry, filters
        self.channels_innermost = not needs_dx and filters >= MANY_FILTERS
        self.cache = ThreadCache()

    def multiplications(self, n: int) -> int:
        """Of a `forward` of n images."""
        rows, columns = self.geometry.output
        return n * rows * columns * self._patch_size() * self.filters

    def _patch_size(self) -> int:
        return self.geometry.kernel[0] * self.geometry.kernel[1] * self.geometry.image[2]

    def _maps(self, name: str, rows: int, positions: int, dtype: DTypeLike) -> Array:
        """An array (rows, filters, positions)."""
        if self.channels_innermost:
            return self.cache.array(name, (rows, positions, self.filters), dtype).swapaxes(1, 2)
        return self.cache.array(name, (rows, self.filters, positions), dtype)

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
        cache, n, filters = self.cache, len(x), self.filters
        (rows, columns), (high, wide) = self.geometry.output, self.geometry.kernel
        down, right = self.geometry.strides
        padded = self.geometry.pad(x, cache).transpose(1, 3, 2, 0)  # (height, channels, width, n)
        height, channels, _, _ = padded.shape
        # What column j of the kernel meets at all columns of positions, a view:
        row, channel, pixel, image = padded.strides
        taps = np.lib.stride_tricks.as_strided(
            padded,
            (height, wide, channels, columns, n),
            (row, pixel, channel, right * pixel, image),
            writeable=False,
        )
        copies = cache.array("copies", taps.shape, x.dtype)  # filled below, part by part
        patches = overlapping_rows(copies.reshape(height, wide * channels, columns * n), high)
        patches = patches[::down]  # (rows, (i j c), (columns n)), a view of the copies
        kernel = W.reshape(-1, filters).T  # (filters, (i j c))
        if not self.channels_innermost:
            kernel = np.ascontiguousarray(kernel)
        a = self._maps("a", rows, columns * n, x.dtype)
        if b is not None:  # once for each position, as long runs of numbers are added faster
            bias = self._maps("b", 1, columns * n, x.dtype)
            bias[...] = b[:, np.newaxis]

        def outputs_of_rows(part: slice) -> None:
            # Rows of pixels under two parts are copied by both threads: the same numbers to the
            # same place, and neither has to wait for the other.
            pixels = slice(part.start * down, (part.stop - 1) * down + high)
            copies[pixels] = taps[pixels]
            blocked_matmul(kernel, patches[part], a[part], min_width=100)
            if b is not None:
                a[part] += bias
            activation.apply(y[:, part] if activation.name == "softmax" else a[part])

        y = images(a.reshape(rows, filters, columns, n))
        parallel_for(outputs_of_rows, rows, SKINNY * self.multiplications(n))
        cache.patches, cache.W, cache.y = patches, W, y
        return y

    def backward(
        self, dy: Array, activation: ActivationFunction, needs_dx: bool
    ) -> tuple[Array, Array, Array | None]:
        """dW, db, and dx unless it is not needed, for the latest `forward`.

        a[p] = kernel patches[p] + b is a Dense layer with its factors in the other order. So dW, as
        the transpose of dkernel, is the sum of patches[p] da[p]^T over all rows of positions p, and
        db that of da[p].

        A row of pixels r was under the row i of the kernel at the row of positions r - i (strides
        of one pixel), so with W[i] as a matrix of all (j c) by all f, its copies have the gradient

            dcopies[r] = sum over i of W[i] da[r - i],    da being 0 where there are no positions

        Again `high` rows are used together, r - high + 1 to r of da, of which the first meets W's
        last. So it is one product of the flipped kernel and the `overlapping_rows` of `dilated`,
        which is da with high - 1 rows of zeros above, zeros below, and zeros for the rows that
        strides leave out. A pixel was copied for several columns j, and its gradient is the sum of
        theirs.
        """
        cache, n, filters, dtype = self.cache, len(dy), self.filters, dy.dtype
        (rows, columns), (high, wide) = self.geometry.output, self.geometry.kernel
        (down, right), (height, width, channels) = self.geometry.strides, self.geometry.padded
        patches, W, y = cache.patches, cache.W, cache.y
        da_is_dy = activation is LINEAR and not needs_dx
        if needs_dx:
            around = height + high - 1, filters, columns * n
            dilated = cache.array("dilated", around, dtype, fill=0)  # the zeros stay
            da = dilated[high - 1 : high - 1 + rows * down : down]  # a view
        elif da_is_dy:
            da = self._maps_of(dy)
        else:
            da = self._maps("da", rows, columns * n, dtype)
        da_of_images = images(da.reshape(rows, filters, columns, n))
        # For each row ((i j c), (columns n)) @ ((columns n), filters). Products are added up at the
        # end, as threads must not add to the same: so they may be of some positions each.
        factors = patches, da.swapaxes(1, 2)
        if self.channels_innermost:
            factors = inner_blocks(*factors)
        dW = cache.array("dW", (*factors[0].shape[:-1], filters), dtype)
        db = cache.array("db", (rows, filters), dtype)
        ones = cache.array("ones", (columns * n,), dtype, fill=1)  # sums the rows, in a product

        def weight_gradients_of_rows(part: slice) -> None:
            if not da_is_dy:
                activation.apply_backward(dy[:, part], y[:, part], out=da_of_images[:, part])
            blocked_matmul(factors[0][part], factors[1][part], dW[part], min_width=4)
            np.matmul(da[part], ones, out=db[part])

        work = SKINNY * self.multiplications(n)
        parallel_for(weight_gradients_of_rows, rows, work)
        total_dW, total_db = np.sum(dW.reshape(-1, *W.shape), axis=0), np.sum(db, axis=0)
        if not needs_dx:
            return total_dW, total_db, None

        dx = cache.array("dx", (height, channels, width, n), dtype)
        da_rows = overlapping_rows(dilated, high)  # (height, (i f), (columns n)), last i first
        # From (i, j, c, f) to ((j c), (i f)), with the rows i in the same order:
        flipped = W[::-1].transpose(1, 2, 0, 3).reshape(wide * channels, high * filters)
        dcopies = cache.array("dcopies", (height, wide * channels, columns * n), dtype)

        def pixel_gradients_of_rows(part: slice) -> None:
            blocked_matmul(flipped, da_rows[part], dcopies[part], min_width=100)
            dx[part] = 0
            for j, dcopy in enumerate(np.split(dcopies[part], wide, axis=1)):
                # (rows of this part, channels, columns, n), the pixels under column j: a view
                tap = dx[part, :, j : j + columns * right : right]
                tap += dcopy.reshape(tap.shape)

        parallel_for(pixel_gradients_of_rows, height, work)
        return total_dW, total_db, self.geometry.inside(images(dx))
