"""Convolution in the frequency domain: the same sums as with patches, with a fraction of the
multiplications when there are many channels and filters and the kernel is large.

Why it works, for a row of pixels x and a kernel w of k weights whose outputs are

    y[p] = sum over j of x[p + j - before] w[j]

where x is 0 in the padding, that is for the `before` positions before the row and the `after` ones
behind it. Let the row be closed to a ring, with zeros between its end and its beginning, which are
the padding of both: L = size + the wider padding numbers in all. Its discrete Fourier transform
(DFT) writes the ring as a sum of L frequencies. A convolution changes the amplitude and phase of a
frequency, but never mixes two: it is one product for each frequency f, where a pixel needed k.

    X[f] = sum over q of exp(-2 pi i f q / L) x[q]                DFT of the row
    W[f] = sum over j of exp(+2 pi i f (j - before) / L) w[j]     DFT of the kernel
    y[p] = sum over f of exp(+2 pi i f p / L) W[f] X[f] / L       inverse DFT of their product

(Put the first two into the third: the sum of exp(2 pi i f (p + j - before - q) / L) over f is L for
q = p + j - before, counted round the ring, and 0 for any other q. Only x[p + j - before] w[j] is
left.) For images the same is done along both axes, and each frequency has a small matrix of filters
by channels. On a ring of 16 plain matrix products compute the DFT as fast as the fast Fourier
transform, and any L will do.

Two images at the price of one: as the weights are real, images a and b can be transformed as the
complex image a + bi, and come out as y_a + y_b i.

Backward, a small change u_a + u_b i of such an output changes the loss by dy_a u_a + dy_b u_b, the
real part of g u, where g = dy_a - dy_b i is the conjugate of dy. All steps above are sums of
products by constants, u = A v, and g . A v = A^T g . v: so g goes back through the same matrices,
transposed but not conjugated, and what arrives at x is the conjugate of dx. Of what arrives at the
weights, which are real, only the real part changes the loss.

After Mathieu, Henaff and LeCun, "Fast training of convolutional networks through FFTs", 2014.
"""

import math

import numpy as np
from numpy.typing import DTypeLike

from digits.compute.threads import ELEMENTWISE, parallel_for
from digits.nn.activations import LINEAR, ActivationFunction
from digits.nn.geometry import Geometry
from digits.nn.workspace import ThreadCache
from digits.types import Array, Pair


class DFT:
    """The transforms along one side of an image: three matrices, with a row or column for each
    frequency.
    """

    def __init__(self, size: int, kernel: int, output: int, padding: Pair, dtype: DTypeLike):
        before, after = padding
        self.length = size + max(before, after)
        frequencies = np.arange(self.length)[:, np.newaxis]

        def exponentials(positions: Array) -> Array:  # (length, positions)
            return np.exp(2j * np.pi / self.length * frequencies * positions).astype(dtype)

        self.input = exponentials(-np.arange(size))  # (length, size)
        self.kernel = exponentials(np.arange(kernel) - before)  # (length, kernel)
        self.inverse = exponentials(np.arange(output)).T / self.length  # (output, length)


class FourierConvolution:
    """The convolution of `digits.nn.convolution` for strides of one pixel, with its activation."""

    def __init__(self, geometry: Geometry, filters: int, dtype: DTypeLike) -> None:
        self.geometry, self.filters = geometry, filters
        self.dtype = np.dtype(dtype)
        self.complex = np.result_type(self.dtype, np.complex64)
        self.rows, self.columns = (
            DFT(size, kernel, output, padding, self.complex)
            for size, kernel, output, padding in zip(
                geometry.image[:2], geometry.kernel, geometry.output, geometry.padding, strict=True
            )
        )
        self.frequencies = self.rows.length * self.columns.length
        self.cache = ThreadCache()

    def multiplications(self, n: int) -> int:
        """How many of real numbers a `forward` of n images takes, four for each complex one."""
        # As `transform` does it: first a matrix for all rows, then one for all columns.
        channels, filters = self.geometry.image[2], self.filters
        kernel, output = self.geometry.kernel, self.geometry.output
        rows, columns = self.rows.length, self.columns.length
        for_kernel = rows * math.prod(kernel) + self.frequencies * kernel[1]
        for_image = rows * math.prod(self.geometry.image[:2])
        for_image += self.frequencies * self.geometry.image[1]
        for_output = output[0] * self.frequencies + math.prod(output) * columns
        a_pair = for_image * channels + self.frequencies * channels * filters + for_output * filters
        return 4 * (for_kernel * channels * filters + a_pair * ((n + 1) // 2))

    def forward(
        self, x: Array, W: Array, b: Array | None, activation: ActivationFunction = LINEAR
    ) -> Array:
        """y (n, rows, columns, filters) from x (n, height, width, channels), b (filters,) and
        W (kernel height, kernel width, channels, filters).
        """
        n, rows, columns = len(x), self.rows, self.columns
        pairs, W = self._paired("x", x), W.astype(self.complex)
        # Spectra have the two frequencies first: then (channels, n / 2), (channels, filters), ...
        x_hat, W_hat = self._spectrum("x_hat", pairs), self._spectrum("W_hat", W)
        y_hat = self._array("y_hat", (*x_hat.shape[:2], W.shape[3], pairs.shape[3]))
        y = self._array("y", (*self.geometry.output, *y_hat.shape[2:]))

        def forward_transforms(part: slice) -> None:
            transform(rows.input[part], columns.input, pairs, out=x_hat[part])
            transform(rows.kernel[part], columns.kernel, W, out=W_hat[part])
            # For each frequency, (filters, channels) @ (channels, n / 2):
            np.matmul(W_hat[part].swapaxes(2, 3), x_hat[part], out=y_hat[part])

        def inverse_transform(part: slice) -> None:
            transform(rows.inverse[part], columns.inverse, y_hat, out=y[part])
            activation.apply(images[:, part])

        images = self._unpaired(y, n)
        parallel_for(forward_transforms, rows.length, 4 * W_hat.size * pairs.shape[3])
        if b is not None:
            # The same number everywhere, for both images of a pair, has frequency 0 only, which
            # the inverse transform will divide by the number of frequencies.
            y_hat[0, 0] += self.frequencies * np.array(b + 1j * b, self.complex)[:, np.newaxis]
        parallel_for(inverse_transform, len(y), 4 * len(y) * y_hat.size)
        self.cache.x_hat, self.cache.W_hat, self.cache.y = x_hat, W_hat, images
        return images

    def backward(
        self, dy: Array, activation: ActivationFunction = LINEAR, needs_dx: bool = True
    ) -> tuple[Array, Array, Array | None]:
        """dW, db, and dx unless it is not needed, for the latest `forward`."""
        n, rows, columns = len(dy), self.rows, self.columns
        x_hat, W_hat, y = self.cache.x_hat, self.cache.W_hat, self.cache.y
        if activation is not LINEAR:
            dy = self._activation_gradient(dy, y, activation)
        pairs = self._paired("dy", dy)
        np.conjugate(pairs, out=pairs)  # from here on, all gradients are conjugates: g
        dy_hat = self._spectrum("dy_hat", pairs)
        dW_hat, dx_hat = self._array("dW_hat", W_hat.shape), self._array("dx_hat", x_hat.shape)
        dW = self._array("dW", (*self.geometry.kernel, *dW_hat.shape[2:]))
        dx = self._array("dx", (*self.geometry.image[:2], *dx_hat.shape[2:]))

        def transforms(part: slice) -> None:
            transform(rows.inverse.T[part], columns.inverse.T, pairs, out=dy_hat[part])
            # For each frequency, (channels, n / 2) @ (n / 2, filters):
            np.matmul(x_hat[part], dy_hat[part].swapaxes(2, 3), out=dW_hat[part])
            if needs_dx:  # (channels, filters) @ (filters, n / 2)
                np.matmul(W_hat[part], dy_hat[part], out=dx_hat[part])

        def kernel_gradient(part: slice) -> None:
            transform(rows.kernel.T[part], columns.kernel.T, dW_hat, out=dW[part])

        def input_gradient(part: slice) -> None:
            transform(rows.input.T[part], columns.input.T, dx_hat, out=dx[part])
            np.conjugate(dx[part], out=dx[part])  # the gradient itself again

        parallel_for(transforms, rows.length, 4 * W_hat.size * pairs.shape[3])
        parallel_for(kernel_gradient, len(dW), 4 * len(dW) * dW_hat.size)
        # b comes in times (1 + i), and the real part of g (1 + i) is Re g - Im g.
        db = self.frequencies * np.sum(dy_hat[0, 0].real - dy_hat[0, 0].imag, axis=1)
        if not needs_dx:
            return dW.real, db, None
        parallel_for(input_gradient, len(dx), 4 * len(dx) * dx_hat.size)
        return dW.real, db, self._unpaired(dx, n)

    def _activation_gradient(self, dy: Array, y: Array, activation: ActivationFunction) -> Array:
        da = np.empty_like(y)

        def backward_of_rows(part: slice) -> None:
            activation.apply_backward(dy[:, part], y[:, part], out=da[:, part])

        parallel_for(backward_of_rows, da.shape[1], 4 * ELEMENTWISE * da.size)
        return da

    def _array(self, name: str, shape: tuple[int, ...]) -> Array:
        return self.cache.array(name, shape, self.complex)

    def _spectrum(self, name: str, x: Array) -> Array:
        return self._array(name, (self.rows.length, self.columns.length, *x.shape[2:]))

    def _paired(self, name: str, x: Array) -> Array:
        """Images (n, height, width, channels) as complex pairs (height, width, channels, n / 2); if
        n is odd, the last one has a partner of zeros.
        """
        n, *shape = x.shape
        pairs = self._array(name, (*shape, (n + 1) // 2))
        # Seen as real numbers, a row of complex ones is a, b, a, b, ...: the images in their order.
        real = pairs.view(self.dtype)
        real[..., :n] = x.transpose(1, 2, 3, 0)
        real[..., n:] = 0
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
