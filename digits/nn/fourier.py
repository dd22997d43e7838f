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

Only real numbers are multiplied. The frequencies f and -f of a real row are conjugates, so half of
them are enough: frequency 0 (and L / 2, if L is even) is real, for the others the real and the
imaginary part are two numbers. Along the second axis the rows that are real are treated alike;
those that are complex need all L frequencies, each a complex number. Two complex numbers are
multiplied with three products (Gauss):

    (a + bi)(c + di) = (m1 - m2) + (m3 - m1 - m2) i,    m1 = ac, m2 = bd, m3 = (a + b)(c + d)

So the spectrum of an image or a kernel has the three numbers a, b and a + b for each complex
frequency. These sums are in the matrices already, and so is what has to be done with m1, m2, m3. A
convolution then is y = C^T ((A W) (B x)): linear maps A, B, C^T, and products between them, one for
each number of the spectrum. Its gradients follow from the same maps, transposed: dy enters
as C dy, dx = B^T ((A W)^T (C dy)), dW = A^T ((B x)^T (C dy)).

After Mathieu, Henaff and LeCun, "Fast training of convolutional networks through FFTs", 2014.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import DTypeLike

from digits.compute.matmul import blocked_matmul
from digits.compute.threads import ELEMENTWISE, parallel_for
from digits.nn.activations import LINEAR, ActivationFunction
from digits.nn.geometry import Geometry
from digits.nn.workspace import ThreadCache
from digits.types import Array, Pair

AT_ONCE = 2**18
"""Numbers of the outputs' spectrum that are made at a time: they should still be in the processor's
cache when they are used."""


class Side:
    """The transforms along one side of an image: for each position, the numbers by which it enters
    the frequencies; or, for outputs, by which these enter it. Matrices (frequencies, positions):

    rows: of real numbers, where a complex frequency has two: its real and its imaginary part;
    real: the same, where it has three: see above;
    complex: of complex numbers, first all real parts, then all imaginary parts.
    """

    def __init__(self, length: int, positions: Array, dtype: DTypeLike, *, output: bool = False):
        angles = 2 * np.pi / length * np.outer(np.arange(length), positions)
        c, s = np.cos(angles), np.sin(angles)
        reals = [0, length // 2] if length % 2 == 0 else [0]
        k = slice(1, (length + 1) // 2)  # those of f and -f that are kept
        if output:
            # Real part of exp(i angle) (a + bi), doubled as frequency -f adds the same:
            rows = _by_turns(2 * c[k], -2 * s[k])
            real = _by_turns(2 * (c + s)[k], 2 * (s - c)[k], -2 * s[k])
            # The complex number itself, from m1, m2 and m3:
            complex_ = _by_turns(
                np.hstack([c + s, s - c]), np.hstack([s - c, -s - c]), np.hstack([-s, c])
            )
            scale = length
        else:
            rows, real = _by_turns(c[k], s[k]), _by_turns(c[k], s[k], (c + s)[k])
            # exp(i angle) (a + bi), and the sum of both parts:
            complex_ = _by_turns(np.hstack([c, -s]), np.hstack([s, c]), np.hstack([c + s, c - s]))
            scale = 1
        self.rows = (np.vstack([c[reals], rows]) / scale).astype(dtype)
        self.real = (np.vstack([c[reals], real]) / scale).astype(dtype)
        self.complex = (complex_ / scale).astype(dtype)


def _by_turns(*matrices: Array) -> Array:
    """The first row of each, then the second row of each, ..."""
    return np.stack(matrices, axis=1).reshape(-1, matrices[0].shape[1])


class Transform:
    """A linear map from numbers at positions (height, width, q) to their spectrum (numbers, q), and
    its transpose. `half` (length, width, q) is between: the first axis is done. All is done for
    some frequencies of the first axis at a time: the real ones are number 0, the complex ones
    follow.
    """

    def __init__(self, first: Side, second: Side) -> None:
        self.rows, self.real, self.complex = first.rows, second.real, second.complex
        length, self.width = len(self.rows), second.real.shape[1]
        self.reals, self.pairs = 2 - length % 2, (length - 1) // 2
        self.numbers = self.reals * len(self.real) + self.pairs * len(self.complex)

    def multiplications(self) -> int:
        """For one column q."""
        second = self.reals * self.real.size + self.pairs * self.complex.size
        return self.rows.size * self.width + second

    def rows_of(self, part: slice) -> slice:
        """Where these frequencies are in `half`."""
        start = self.reals + 2 * (part.start - 1) if part.start else 0
        return slice(start, self.reals + 2 * (part.stop - 1))

    def numbers_of(self, part: slice) -> slice:
        """Where these frequencies are in the spectrum."""
        real, each = self.reals * len(self.real), len(self.complex)
        start = real + each * (part.start - 1) if part.start else 0
        return slice(start, real + each * (part.stop - 1))

    def first_axis(self, x: Array, half: Array, part: slice) -> None:
        """From x (height, width, q) to these frequencies of `half`."""
        q, rows = self.width * x.shape[2], self.rows_of(part)
        blocked_matmul(self.rows[rows], x.reshape(-1, q), half[rows].reshape(-1, q), 100)

    def second_axis(self, half: Array, spectrum: Array, part: slice) -> None:
        """From `half` to the spectrum (numbers of this part, q)."""
        for matrix, between, numbers in self._stacks(half, spectrum, part):
            blocked_matmul(matrix, between, numbers, 100)

    def second_axis_transposed(self, spectrum: Array, half: Array, part: slice) -> None:
        """From the spectrum (numbers of this part, q) to `half`."""
        for matrix, between, numbers in self._stacks(half, spectrum, part):
            blocked_matmul(matrix.T, numbers, between, 100)

    def first_axis_transposed(self, half: Array, y: Array, part: slice) -> None:
        """From all of `half` to these rows of y (height, width, q)."""
        q = self.width * y.shape[2]
        blocked_matmul(self.rows.T[part], half.reshape(-1, q), y[part].reshape(-1, q), 100)

    def _stacks(
        self, half: Array, spectrum: Array, part: slice
    ) -> list[tuple[Array, Array, Array]]:
        """Stacks of the products along the second axis: matrix, `half`, spectrum."""
        q, stacks = half.shape[2], []
        real = self.reals * len(self.real) if part.start == 0 else 0
        if real:
            numbers = spectrum[:real].reshape(self.reals, -1, q)
            stacks.append((self.real, half[: self.reals], numbers))
        if part.stop > 1:
            pairs = self.rows_of(slice(max(part.start, 1), part.stop))
            between = half[pairs].reshape(-1, 2 * self.width, q)
            stacks.append((self.complex, between, spectrum[real:].reshape(len(between), -1, q)))
        return stacks


class FourierConvolution:
    """The convolution of `digits.nn.convolution` for strides of one pixel, with its activation.

    Images are (height, width, n, channels) in memory here, so that the products for each number of
    the spectrum have long rows, of channels.
    """

    def __init__(self, geometry: Geometry, filters: int, dtype: DTypeLike) -> None:
        self.geometry, self.filters, self.dtype = geometry, filters, np.dtype(dtype)
        inputs, kernels, outputs, lengths = [], [], [], []
        for size, kernel, output, (before, after) in zip(
            geometry.image[:2], geometry.kernel, geometry.output, geometry.padding, strict=True
        ):
            length = size + max(before, after)
            inputs.append(Side(length, -np.arange(size), dtype))
            kernels.append(Side(length, np.arange(kernel) - before, dtype))
            outputs.append(Side(length, np.arange(output), dtype, output=True))
            lengths.append(length)
        self.input, self.kernel, self.output = (
            Transform(*sides) for sides in (inputs, kernels, outputs)
        )
        self.lengths: Pair = (lengths[0], lengths[1])
        self.cache = ThreadCache()

    def multiplications(self, n: int) -> int:
        """Of a `forward` of n images."""
        channels, filters = self.geometry.image[2], self.filters
        for_kernel = self.kernel.multiplications() * channels * filters
        transforms = self.input.multiplications() * channels
        transforms += self.output.multiplications() * filters
        return for_kernel + n * (transforms + self.input.numbers * channels * filters)

    def forward(
        self, x: Array, W: Array, b: Array | None, activation: ActivationFunction = LINEAR
    ) -> Array:
        """y (n, rows, columns, filters) from x (n, height, width, channels), b (filters,) and
        W (kernel height, kernel width, channels, filters).
        """
        n, channels, filters = len(x), x.shape[3], self.filters
        self.cache.x = x
        x = np.ascontiguousarray(x.transpose(1, 2, 0, 3)).reshape(*x.shape[1:3], -1)
        x_hat = self._array("x_hat", (self.input.numbers, n, channels))
        W_hat = self._array("W_hat", (self.input.numbers, channels, filters))
        x_half = self._half("x", self.input, n * channels)
        y_half = self._half("y", self.output, n * filters)
        W_half = self._half("W", self.kernel, channels * filters)
        y = self._array("y", (*self.geometry.output, n, filters))
        kept = self.cache.array("kept", W.shape, self.dtype, fill=np.nan)
        W_is_new = not np.array_equal(W, kept)  # else, as in predictions, its spectrum is here
        if W_is_new:
            kept[...] = np.nan  # until the spectrum is complete
            W = np.ascontiguousarray(W)

        def products(part: slice) -> None:
            self.input.first_axis(x, x_half, part)
            if W_is_new:
                self.kernel.first_axis(W.reshape(*W.shape[:2], -1), W_half, part)
            for group in self._groups(part, n):
                numbers = self.input.numbers_of(group)
                y_hat = self._numbers("y_hat", numbers, (n, filters))
                if W_is_new:
                    self.kernel.second_axis(W_half, W_hat[numbers], group)
                self.input.second_axis(x_half, x_hat[numbers], group)
                # For each number of the spectrum, (n, channels) @ (channels, filters):
                np.matmul(x_hat[numbers], W_hat[numbers], out=y_hat)
                if b is not None and group.start == 0:
                    # The same number everywhere is frequency 0; outputs divide by the lengths.
                    y_hat[0] += self.lengths[0] * self.lengths[1] * b
                self.output.second_axis_transposed(y_hat, y_half, group)

        def outputs_of_rows(part: slice) -> None:
            self.output.first_axis_transposed(y_half, y.reshape(*y.shape[:2], -1), part)
            activation.apply(y[part])

        images = y.transpose(2, 0, 1, 3)
        parallel_for(products, 1 + self.input.pairs, self.multiplications(n))
        kept[...] = W
        parallel_for(outputs_of_rows, len(y), len(self.output.rows) * y.size)
        self.cache.x_hat, self.cache.W, self.cache.y = x_hat, kept, images
        return images

    def backward(
        self, dy: Array, activation: ActivationFunction = LINEAR, needs_dx: bool = True
    ) -> tuple[Array, Array, Array | None]:
        """dW, db, and dx unless it is not needed, for the latest `forward`."""
        x_hat, W, y = self.cache.x_hat, self.cache.W, self.cache.y
        if activation is not LINEAR:
            dy = self._activation_gradient(dy, y, activation)
        (_, n, channels), filters, image = x_hat.shape, self.filters, self.geometry.image
        dy = np.ascontiguousarray(dy.transpose(1, 2, 0, 3)).reshape(*dy.shape[1:3], -1)
        # In the memory of what `forward` needs no more:
        dy_half = self._half("y", self.output, n * filters)
        dx_half = self._half("x", self.input, n * channels)
        W_T_half = self._half("W", self.kernel, channels * filters)
        dW_half = self._half("dW", self.kernel, channels * filters)
        W_T = np.ascontiguousarray(W.swapaxes(2, 3)).reshape(*W.shape[:2], -1)
        dW, db = self._array("dW", W.shape), self._array("db", (filters,))
        dx = self._array("dx", (*image[:2], n, channels))
        dx_of_images, x = dx.transpose(2, 0, 1, 3), self.cache.x
        is_ordered = x.strides[3] == x.itemsize
        if not is_ordered:  # in the order that x has in memory
            dx_of_images = self.cache.array("dx of images", x.shape, x.dtype, like=x)

        def products(part: slice) -> None:
            self.output.first_axis(dy, dy_half, part)
            if needs_dx:
                self.kernel.first_axis(W_T, W_T_half, part)
            for group in self._groups(part, n):
                numbers = self.input.numbers_of(group)
                dy_hat = self._numbers("y_hat", numbers, (n, filters))
                dW_hat = self._numbers("dW_hat", numbers, (channels, filters))
                self.output.second_axis(dy_half, dy_hat, group)
                if group.start == 0:
                    np.sum(dy_hat[0], axis=0, out=db)
                # For each number of the spectrum, (channels, n) @ (n, filters):
                np.matmul(x_hat[numbers].swapaxes(1, 2), dy_hat, out=dW_hat)
                self.kernel.second_axis_transposed(dW_hat, dW_half, group)
                if needs_dx:  # (n, filters) @ (filters, channels), faster than by W_hat's transpose
                    W_T_hat = self._numbers("W_T_hat", numbers, (filters, channels))
                    dx_hat = self._numbers("dx_hat", numbers, (n, channels))
                    self.kernel.second_axis(W_T_half, W_T_hat, group)
                    np.matmul(dy_hat, W_T_hat, out=dx_hat)
                    self.input.second_axis_transposed(dx_hat, dx_half, group)

        def gradients_of_rows(part: slice) -> None:
            self.input.first_axis_transposed(dx_half, dx.reshape(*image[:2], -1), part)
            if not is_ordered:
                dx_of_images[:, part] = dx[part].transpose(2, 0, 1, 3)

        parallel_for(products, 1 + self.input.pairs, 2 * self.multiplications(n))
        self.kernel.first_axis_transposed(dW_half, dW.reshape(*dW.shape[:2], -1), slice(0, len(dW)))
        db *= self.lengths[0] * self.lengths[1]
        if not needs_dx:
            return dW, db, None
        parallel_for(gradients_of_rows, len(dx), len(self.input.rows) * dx.size)
        return dW, db, dx_of_images

    def _activation_gradient(self, dy: Array, y: Array, activation: ActivationFunction) -> Array:
        da = self.cache.array("da", y.shape, y.dtype, like=y)

        def backward_of_rows(part: slice) -> None:
            activation.apply_backward(dy[:, part], y[:, part], out=da[:, part])

        parallel_for(backward_of_rows, da.shape[1], 4 * ELEMENTWISE * da.size)
        return da

    def _array(self, name: str, shape: tuple[int, ...]) -> Array:
        return self.cache.array(name, shape, self.dtype)

    def _half(self, name: str, transform: Transform, q: int) -> Array:
        """An array for a transform along the first axis alone."""
        return self._array(f"{name}_half", (len(transform.rows), transform.width, q))

    def _groups(self, part: slice, n: int) -> Iterator[slice]:
        """These frequencies, as many at a time as fit into the processor's cache."""
        size = max(1, AT_ONCE // (len(self.input.complex) * n * self.filters))
        for start in range(part.start, part.stop, size):
            yield slice(start, min(start + size, part.stop))

    def _numbers(self, name: str, numbers: slice, q: Pair) -> Array:
        """An array, of the thread that asks, for these numbers of a spectrum: a view of one that is
        kept for as many as there may be.
        """
        count, each = numbers.stop - numbers.start, len(self.input.complex)
        return self._array(name, (-(-count // each) * each, *q))[:count]
