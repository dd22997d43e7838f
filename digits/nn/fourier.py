"""Convolution through frequencies: the same sums as with patches, with a fraction of the
multiplications when there are many channels and filters and the window is large.

Why it works, for a row of pixels x and a window w of k weights whose outputs are

    y[p] = sum over j of x[p + j - before] w[j]

where x is 0 on the border, that is for the `before` positions before the row and the `after` ones
behind it.  Let the row be closed to a ring, with zeros between its end and its beginning, which are
the border of both: L = size + the wider border numbers in all.  Every ring is a sum of L waves.  A
convolution makes a wave weaker, stronger or later, but never another wave: in terms of waves it is
one product for each frequency f, where a pixel needed k of them.

    X[f] = sum over q of exp(-2 pi i f q / L) x[q]                which waves are in the row
    W[f] = sum over j of exp(+2 pi i f (j - before) / L) w[j]     what the window does to each
    y[p] = sum over f of exp(+2 pi i f p / L) W[f] X[f] / L       the waves added up again

(Put the first two into the third: the sum of exp(2 pi i f (p + j - before - q) / L) over f is L for
q = p + j - before, counted round the ring, and 0 for any other q.  Only x[p + j - before] w[j] is
left.)  For images the same is done along both axes, and each frequency has a small matrix of
filters by channels.  On a ring of 16 plain matrix products make waves as fast as the famous fast
algorithm, and any L will do.

Two images at the price of one: as the weights are real, images a and b can travel as the complex
image a + bi, and come out as y_a + y_b i.

Backward, a small change u_a + u_b i of such an output changes the loss by dy_a u_a + dy_b u_b, the
real part of g u, where g = dy_a - dy_b i is the conjugate of dy.  All steps above are sums of
products by constants, u = A v, and g . A v = A^T g . v: so g goes back through the same matrices,
transposed but not conjugated, and what arrives at x is the conjugate of dx.  Of what arrives at the
weights, which are real, only the real part changes the loss.

After Mathieu, Henaff and LeCun, "Fast training of convolutional networks through FFTs", 2014.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import DTypeLike

from digits.compute.threads import parallel_for
from digits.types import Array, Pair


class Waves:
    """The waves along one side of an image: three matrices, a row or column for each frequency."""

    def __init__(self, size: int, window: int, steps: int, border: Pair, dtype: DTypeLike) -> None:
        before, after = border
        self.length = size + max(before, after)
        frequencies = np.arange(self.length)[:, np.newaxis]

        def waves(positions: Array) -> Array:  # (length, positions)
            return np.exp(2j * np.pi / self.length * frequencies * positions).astype(dtype)

        self.of_image = waves(-np.arange(size))  # (length, size)
        self.of_window = waves(np.arange(window) - before)  # (length, window)
        self.to_output = waves(np.arange(steps)).T / self.length  # (steps, length)


class FourierConvolution:
    """The convolution of images of one size with windows of one size, in steps of one pixel.

    image, window, steps: height and width of what comes in, of the window, of what goes out;
    border: what is added (before, after) the image along both.
    """

    def __init__(
        self,
        image: Sequence[int],
        window: Sequence[int],
        steps: Sequence[int],
        border: Sequence[Pair],
        dtype: DTypeLike,
    ) -> None:
        self.image, self.window, self.steps = image, window, steps
        self.dtype = np.dtype(dtype)
        self.complex = np.result_type(self.dtype, np.complex64)
        self.rows, self.columns = (
            Waves(*side, self.complex) for side in zip(image, window, steps, border, strict=True)
        )
        self.frequencies = self.rows.length * self.columns.length

    def multiplications(self, n: int, channels: int, filters: int) -> int:
        """How many of real numbers a `forward` of n images takes, four for each complex one."""
        # As `transform` does it: first a matrix for all rows, then one for all columns.
        rows, columns = self.rows.length, self.columns.length
        of_window = rows * math.prod(self.window) + self.frequencies * self.window[1]
        of_image = rows * math.prod(self.image) + self.frequencies * self.image[1]
        to_output = self.steps[0] * self.frequencies + math.prod(self.steps) * columns
        a_pair = of_image * channels + self.frequencies * channels * filters + to_output * filters
        return 4 * (of_window * channels * filters + a_pair * ((n + 1) // 2))

    def forward(self, x: Array, W: Array, b: Array | None = None) -> Array:
        """y (n, rows, columns, filters) from x (n, height, width, channels), b (filters,) and
        W (window height, window width, channels, filters).
        """
        n, rows, columns = len(x), self.rows, self.columns
        x, W = self._paired(x), W.astype(self.complex)
        # Waves have the two frequencies first: then (channels, n / 2), (channels, filters), ...
        self.x_waves = self._empty_waves(x)
        self.W_waves = self._empty_waves(W)
        y_waves = np.empty((*self.x_waves.shape[:2], W.shape[3], x.shape[3]), self.complex)
        y = np.empty((*self.steps, *y_waves.shape[2:]), self.complex)

        def to_waves(part: slice) -> None:
            transform(rows.of_image[part], columns.of_image, x, out=self.x_waves[part])
            transform(rows.of_window[part], columns.of_window, W, out=self.W_waves[part])
            # For each frequency, (filters, channels) @ (channels, n / 2):
            transposed = self.W_waves[part].swapaxes(2, 3)
            np.matmul(transposed, self.x_waves[part], out=y_waves[part])

        def to_output(part: slice) -> None:
            transform(rows.to_output[part], columns.to_output, y_waves, out=y[part])

        parallel_for(to_waves, rows.length, 4 * self.W_waves.size * x.shape[3])
        if b is not None:
            # The same number everywhere, for both images of a pair, is a wave of frequency 0, which
            # `to_output` will divide by the number of frequencies.
            y_waves[0, 0] += self.frequencies * np.array(b + 1j * b, self.complex)[:, np.newaxis]
        parallel_for(to_output, len(y), 4 * len(y) * y_waves.size)
        return self._unpaired(y, n)

    def backward(self, dy: Array, needs_dx: bool = True) -> tuple[Array, Array, Array | None]:
        """dW, db, and dx unless it is not needed, for the latest `forward`."""
        n, rows, columns = len(dy), self.rows, self.columns
        dy = self._paired(dy)
        np.conjugate(dy, out=dy)  # from here on, all slopes are conjugates: dy is g
        dy_waves = self._empty_waves(dy)
        dW_waves, dx_waves = np.empty_like(self.W_waves), np.empty_like(self.x_waves)
        dW = np.empty((*self.window, *dW_waves.shape[2:]), self.complex)
        dx = np.empty((*self.image, *dx_waves.shape[2:]), self.complex)

        def to_waves(part: slice) -> None:
            transform(rows.to_output.T[part], columns.to_output.T, dy, out=dy_waves[part])
            # For each frequency, (channels, n / 2) @ (n / 2, filters):
            transposed = dy_waves[part].swapaxes(2, 3)
            np.matmul(self.x_waves[part], transposed, out=dW_waves[part])
            if needs_dx:  # (channels, filters) @ (filters, n / 2)
                np.matmul(self.W_waves[part], dy_waves[part], out=dx_waves[part])

        def to_window(part: slice) -> None:
            transform(rows.of_window.T[part], columns.of_window.T, dW_waves, out=dW[part])

        def to_image(part: slice) -> None:
            transform(rows.of_image.T[part], columns.of_image.T, dx_waves, out=dx[part])
            np.conjugate(dx[part], out=dx[part])  # the slope itself again

        parallel_for(to_waves, rows.length, 4 * self.W_waves.size * dy.shape[3])
        parallel_for(to_window, len(dW), 4 * len(dW) * dW_waves.size)
        # b comes in times (1 + i), and the real part of g (1 + i) is Re g - Im g.
        db = self.frequencies * np.sum(dy_waves[0, 0].real - dy_waves[0, 0].imag, axis=1)
        if not needs_dx:
            return dW.real, db, None
        parallel_for(to_image, len(dx), 4 * len(dx) * dx_waves.size)
        return dW.real, db, self._unpaired(dx, n)

    def _empty_waves(self, x: Array) -> Array:
        return np.empty((self.rows.length, self.columns.length, *x.shape[2:]), self.complex)

    def _paired(self, x: Array) -> Array:
        """Images (n, height, width, channels) as complex pairs (height, width, channels, n / 2); if
        n is odd, the last one has a partner of zeros.
        """
        n, *shape = x.shape
        pairs = np.zeros((*shape, (n + 1) // 2), self.complex)
        # Seen as real numbers, a row of complex ones is a, b, a, b, ...: the images in their order.
        pairs.view(self.dtype)[..., :n] = x.transpose(1, 2, 3, 0)
        return pairs

    def _unpaired(self, pairs: Array, n: int) -> Array:
        """The n images (n, height, width, channels) in pairs of them: a view."""
        return pairs.view(self.dtype)[..., :n].transpose(3, 0, 1, 2)


def transform(rows: Array, columns: Array, x: Array, out: Array) -> None:
    """out[a, c] = sum over b, d of rows[a, b] columns[c, d] x[b, d]: a matrix for the first axis of
    x, and one for the second; (a, b) and (c, d) make an array (a, c, ...) of one (b, d, ...).
    `out` is contiguous.
    """
    half = rows @ x.reshape(len(x), -1)  # (a, b) @ (b, d ...)
    half = half.reshape(len(rows), x.shape[1], -1)  # (a, d, ...)
    np.matmul(columns, half, out=out.reshape(len(rows), len(columns), -1))  # (c, d) @ (a, d, ...)
