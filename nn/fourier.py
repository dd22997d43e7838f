"""Convolution through frequencies: the same sums as with patches, with a fraction of the
multiplications when there are many channels and filters and the window is large.

Why it works, for a row of pixels x and a window w of k weights whose outputs are

    y[p] = sum over j of x[p + j - before] w[j]

Let the row be closed to a ring of L places, with zeros between its end and its beginning, so many
that the window never touches both: L = size + the wider border.  Every row on a ring is a sum of L
waves.  A convolution makes a wave weaker, stronger or later, but never another wave: in terms of
waves it is one product for each frequency f, where a pixel needed k of them.

    X[f] = sum over p of exp(-2 pi i f p / L) x[p]                which waves are in the row
    W[f] = sum over j of exp(+2 pi i f (j - before) / L) w[j]     what the window does to each
    y[p] = sum over f of exp(+2 pi i f p / L) W[f] X[f] / L       the waves added up again

(Put the first two into the third: the sum over f is L at the position p + j - before, and 0
elsewhere.)  For images the same is done along both axes, and each frequency has a small matrix of
filters by channels.  On a ring of 16 plain matrix products make waves as fast as the famous fast
algorithm, and any L will do.

Two images at the price of one: as the weights are real, images a and b can travel as the complex
image a + bi, and come out as y_a + y_b i.

Backward, everything above is a sum of products by constants, so the slopes take the same way in
the opposite direction, through the same matrices transposed; with the conjugate of dy, as the
slope of a real loss by a complex number asks for.

After Mathieu, Henaff and LeCun, "Fast training of convolutional networks through FFTs", 2014.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

Array = NDArray[Any]
Pair = tuple[int, int]


class Waves:
    """The waves along one side of an image: three matrices, a row or column for each frequency."""

    def __init__(self, size: int, window: int, steps: int, border: Pair, dtype: DTypeLike) -> None:
        before, after = border
        self.length = size + max(before, after)
        angles = 2j * np.pi / self.length * np.arange(self.length)[:, np.newaxis]

        def waves(positions: Array) -> Array:
            return np.exp(angles * positions).astype(dtype)

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
        self.places = self.rows.length * self.columns.length

    def multiplications(self, n: int, channels: int, filters: int) -> int:
        """How many real ones a `forward` of n images takes."""
        rows, columns = self.rows.length, self.columns.length
        of_window = rows * math.prod(self.window) + self.places * self.window[1]
        of_image = rows * math.prod(self.image) + self.places * self.image[1]
        to_output = self.steps[0] * self.places + math.prod(self.steps) * columns
        a_pair = of_image * channels + self.places * channels * filters + to_output * filters
        return 4 * (of_window * channels * filters + a_pair * ((n + 1) // 2))

    def forward(self, x: Array, W: Array, b: Array | None = None) -> Array:
        """y (n, rows, columns, filters) from x (n, height, width, channels), b (filters,) and
        W (window height, window width, channels, filters).
        """
        rows, columns = self.rows, self.columns
        self.x_waves = transform(rows.of_image, columns.of_image, self._paired(x))
        self.W_waves = transform(rows.of_window, columns.of_window, W.astype(self.complex))
        # For each frequency, (filters, channels) @ (channels, n / 2):
        y_waves = self.W_waves.swapaxes(2, 3) @ self.x_waves
        if b is not None:  # what is the same everywhere is the wave of frequency 0
            y_waves[0, 0] += self.places * np.array(b + 1j * b, self.complex)[:, np.newaxis]
        return self._unpaired(transform(rows.to_output, columns.to_output, y_waves), len(x))

    def backward(self, dy: Array, needs_dx: bool = True) -> tuple[Array, Array, Array | None]:
        """dW, db, and dx unless it is not needed, for the latest `forward`."""
        rows, columns = self.rows, self.columns
        dy_waves = self._paired(dy)
        np.conjugate(dy_waves, out=dy_waves)
        dy_waves = transform(rows.to_output.T, columns.to_output.T, dy_waves)
        # For each frequency, (channels, n / 2) @ (n / 2, filters):
        dW_waves = self.x_waves @ dy_waves.swapaxes(2, 3)
        dW = transform(rows.of_window.T, columns.of_window.T, dW_waves).real
        db = self.places * np.sum(dy_waves[0, 0].real - dy_waves[0, 0].imag, axis=1)
        if not needs_dx:
            return dW, db, None
        # For each frequency, (channels, filters) @ (filters, n / 2):
        dx_waves = self.W_waves @ dy_waves
        dx = transform(rows.of_image.T, columns.of_image.T, dx_waves)
        np.conjugate(dx, out=dx)
        return dW, db, self._unpaired(dx, len(dy))

    def _paired(self, x: Array) -> Array:
        """Images (n, height, width, channels) as complex pairs (height, width, channels, n / 2); if
        n is odd, the last one has a partner of zeros.
        """
        n, *shape = x.shape
        pairs = np.zeros((*shape, (n + 1) // 2), self.complex)
        pairs.view(self.dtype)[..., :n] = x.transpose(1, 2, 3, 0)
        return pairs

    def _unpaired(self, pairs: Array, n: int) -> Array:
        return pairs.view(self.dtype)[..., :n].transpose(3, 0, 1, 2)


def transform(rows: Array, columns: Array, x: Array) -> Array:
    """A matrix for the first axis of x, and one for the second: (a, b) and (c, d) make an array
    (a, c, ...) of one (b, d, ...).
    """
    _, width, *rest = x.shape
    x = rows @ x.reshape(len(x), -1)
    x = columns @ x.reshape(len(rows), width, -1)
    return x.reshape(len(rows), len(columns), *rest)
