"""Layers that look at images (n, height, width, channels) through a small window that slides over
them: convolution, pooling, padding.  The window may step over pixels (strides), and the border may
be widened so that the output is as large as the input (padding="same").

In memory their numbers lie in another order, that of an array (height, channels, width, n), and
what layers pass on is its view with the axes transposed.  So a row of pixels, of all images, is one
long run of numbers, and so is what one place of the window meets at its steps along a row.  It
matters for speed only.  NumPy's arithmetic gives results the order in memory of what it is given,
so the layers between need not know.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from digits.compute.matmul import THIN, blocked_matmul
from digits.compute.threads import ELEMENTWISE, parallel_for
from digits.nn.fourier import FourierConvolution
from digits.nn.initializers import Initializer, get_initializer
from digits.nn.layers import (
    ACTIVATIONS,
    Layer,
    activate,
    activation_backward,
    activation_name,
)
from digits.types import Array, Pair, Shape
from digits.validation import check, positive_int

LARGEST_WINDOW = 256
"""Pixels along a side.  Pooling has no weights, so a model file of a few bytes could ask for a
window of any size, and for work without end."""


def black_images(n: int, shape: Shape, dtype: Any) -> Array:
    """n images of shape (height, width, channels), all zeros; in memory, the images innermost."""
    height, width, channels = shape
    return np.zeros((height, channels, width, n), dtype).transpose(3, 0, 2, 1)


def rows_seen(x: Array, high: int) -> Array:
    """What a window of `high` rows sees at each step down a stack x of rows, which are matrices
    themselves: the rows under it, one below the other in one larger matrix.

    (rows, k, q) makes (rows - high + 1, high * k, q), whose r-th matrix is
    np.concatenate(x[r : r + high]); but nothing is copied.  In x, which has to be contiguous, the
    first line of a row follows the last line of the row before, as lines within a row follow each
    other: going on for high * k lines, where a row has k, leads through `high` rows.
    """
    rows, k, q = x.shape
    shape = (rows - high + 1, high * k, q)
    return np.lib.stride_tricks.as_strided(x, shape, x.strides, writeable=False)


def pair(value: Any, meaning: str) -> Pair:
    """One number for both directions, or one each for height and width; whole and above 0."""
    both = tuple(value) if isinstance(value, tuple | list) else (value, value)
    check(len(both) == 2, f"{meaning} as one number, or one each for height and width", value)
    return positive_int(both[0], meaning), positive_int(both[1], meaning)


class Window(Layer):
    """What convolution and pooling share: where the window stands, and how wide the border is.

    padding="valid": the window stays inside, (size - window) // stride + 1 steps.
    padding="same": ceil(size / stride) steps; the border that this takes is split evenly between
    both sides, and an odd pixel goes to the right or bottom, as in Keras.
    """

    image_advice = "put Reshape((28, 28, 1)) before the first convolution"
    shares_work = True

    def __init__(self, window: Pair, strides: Pair, padding: str) -> None:
        super().__init__()
        check(padding in ("valid", "same"), "padding 'valid' or 'same'", padding)
        largest = f"a window and strides of at most {LARGEST_WINDOW} pixels"
        check(max(*window, *strides) <= LARGEST_WINDOW, largest, (window, strides))
        self.window, self.strides, self.padding = window, strides, padding
        self.border: tuple[Pair, Pair] = ((0, 0), (0, 0))

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        self._expect_rank(3, "(height, width, channels)", self.image_advice)
        *sizes, channels = input_shape
        steps, border = [], []
        for size, window, stride in zip(sizes, self.window, self.strides, strict=True):
            step = (size - window) // stride + 1
            before = after = 0
            if self.padding == "same":
                step = -(-size // stride)  # rounded up
                missing = max((step - 1) * stride + window - size, 0)
                before, after = missing // 2, missing - missing // 2
            if step < 1:
                raise ValueError(
                    f"{type(self).__name__} expected images of at least {self.window}; "
                    f"received {tuple(sizes)}: use padding='same', or fewer layers before it"
                )
            steps.append(step)
            border.append((before, after))
        self.border = (border[0], border[1])
        self.output_shape = (*steps, channels)

    def _pad(self, x: Array, value: float = 0.0) -> Array:
        """x with its border; x itself if there is none."""
        if not any(map(any, self.border)):
            return x
        padded = self._padded_zeros(len(x), x.dtype)
        if value:
            padded[...] = value
        self._unpad(padded)[...] = x
        return padded

    def _unpad(self, x: Array) -> Array:
        """The part of a padded array inside the border."""
        (top, _), (left, _) = self.border
        height, width, _ = self.input_shape
        return x[:, top : top + height, left : left + width]

    def _taps(self, padded: Array) -> Iterator[Array]:
        """For each place (i, j) in the window, in reading order, the pixels (n, rows, columns,
        channels) that it meets at all steps: a view, so that writing to it writes to the pixels.
        """
        (rows, columns), (down, right) = self.output_shape[:2], self.strides
        for i in range(self.window[0]):
            for j in range(self.window[1]):
                yield padded[:, i : i + rows * down : down, j : j + columns * right : right]

    def _padded_zeros(self, n: int, dtype: Any) -> Array:
        (top, bottom), (left, right) = self.border
        height, width, channels = self.input_shape
        return black_images(n, (top + height + bottom, left + width + right, channels), dtype)

    def _window_config(self) -> dict[str, Any]:
        return {"strides": list(self.strides), "padding": self.padding}


# --- convolution ----------------------------------------------------------------------------------


class Conv2D(Window):
    """Each filter is a small image W[:, :, :, f] that is compared with the inputs under the window,
    at every place (LeCun et al. 1998).  With steps of one pixel and no border

        y[p, q, f] = activation(sum over i, j, c of x[p + i, q + j, c] W[i, j, c, f] + b[f])

    Inputs (n, height, width, channels), outputs (n, rows, columns, filters);
    W (window height, window width, channels, filters), b (filters,).

    connections: (channels, filters) of 0 and 1, which input maps a filter sees; None means all.  W
    is then (window height, window width, number of ones): there are no weights for the zeros.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | tuple[int, int],
        strides: int | tuple[int, int] = 1,
        padding: str = "valid",
        activation: str | Callable[..., Array] | None = None,
        use_bias: bool = True,
        kernel_initializer: str | Initializer = "glorot_uniform",
        bias_initializer: str | Initializer = "zeros",
        connections: ArrayLike | None = None,
    ) -> None:
        super().__init__(pair(kernel_size, "a kernel_size"), pair(strides, "strides"), padding)
        self.filters, self.use_bias = positive_int(filters, "filters"), use_bias
        self.activation = activation_name(activation)
        self.kernel_initializer = get_initializer(kernel_initializer)
        self.bias_initializer = get_initializer(bias_initializer)
        self.connections: Array | None = None
        if connections is not None:
            table = np.asarray(connections)
            good = table.ndim == 2 and np.isin(table, (0, 1)).all() and table.any(axis=0).all()
            check(bool(good), "a table of 0 and 1 in which each filter sees a map", connections)
            self.connections = table.astype(bool)

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        channels = input_shape[2]
        self.output_shape = (*self.output_shape[:2], self.filters)
        self.weight_shapes = {"W": (*self.window, channels, self.filters)}
        if self.connections is not None:
            shape, expected = self.connections.shape, (channels, self.filters)
            check(shape == expected, f"a connection table of shape {expected}", shape)
            self.weight_shapes["W"] = (*self.window, int(self.connections.sum()))
        if self.use_bias:
            self.weight_shapes["b"] = (self.filters,)

    def bind(
        self,
        weights: dict[str, Array],
        grads: dict[str, Array],
        buffers: dict[str, Array],
        rng: np.random.Generator,
        dtype: DTypeLike,
    ) -> None:
        super().bind(weights, grads, buffers, rng, dtype)
        image, steps = self.input_shape[:2], self.output_shape[:2]
        self.waves = FourierConvolution(image, self.window, steps, self.border, dtype)

    def initialize(self) -> None:
        W, area = self.weights["W"], math.prod(self.window)
        fan_in, fan_out = area * self.input_shape[2], area * self.filters
        if self.connections is not None:  # filters see different numbers of maps: on average
            fan_in, fan_out = W.size // self.filters, W.size // self.input_shape[2]
        W[...] = self.kernel_initializer(W.shape, fan_in, fan_out, self.rng)
        if self.use_bias:
            b = self.weights["b"]
            b[...] = self.bias_initializer(b.shape, fan_in, fan_out, self.rng)

    def forward(self, x: Array, training: bool = False) -> Array:
        W, b = self._full(self.weights["W"]), self.weights.get("b")
        self.in_waves = self._waves_are_cheaper(len(x))
        way = self._forward_in_waves if self.in_waves else self._forward
        self.y = way(x, W, b)
        return self.y

    def backward(self, dy: Array) -> Array | None:
        way = self._backward_in_waves if self.in_waves else self._backward
        dW, db, dx = way(dy)
        self.grads["W"][...] = dW if self.connections is None else dW[:, :, self.connections]
        if self.use_bias:
            self.grads["b"][...] = db
        return dx

    def _full(self, W: Array) -> Array:
        """W of shape (window height, window width, channels, filters), with zeros for the weights
        that do not exist.
        """
        if self.connections is None:
            return W
        full = np.zeros((*self.window, *self.connections.shape), W.dtype)
        full[:, :, self.connections] = W
        return full

    def _waves_are_cheaper(self, n: int) -> bool:
        """Whether `FourierConvolution` saves more than a quarter of the multiplications.  For less
        it does not pay, as those of the plain way are quicker.
        """
        if self.strides != (1, 1) or n == 0:
            return False
        channels = self.input_shape[2]
        plain = n * math.prod((*self.output_shape, *self.window, channels))
        return 4 * self.waves.multiplications(n, channels, self.filters) < 3 * plain

    def _forward(self, x: Array, W: Array, b: Array | None) -> Array:
        """As a matrix product for each row of places p: every filter f is a row of weights, and
        every place q in that row, in every image, a column of the pixels the window sees there:

            a[p][f, (q n)] = sum over (i j c) of kernel[f, (i j c)] patches[p][(i j c), (q n)]

        where (i j c) is one axis that goes through all i, j and c, the last one fastest.

        Windows overlap, so pixels are copied, once for each column j of the window: memory is the
        price for doing the arithmetic in fast products (Chellapilla et al. 2006).  For its rows i
        nothing is copied.  With the copies of a row of pixels together in memory, what the window
        sees is a few such rows, one after the other: a matrix that is there already.
        """
        n, (rows, columns, filters) = len(x), self.output_shape
        (high, wide), (down, right) = self.window, self.strides
        padded = self._pad(x).transpose(1, 3, 2, 0)  # (height, channels, width, n)
        seen = np.lib.stride_tricks.sliding_window_view(padded, wide, axis=2)[:, :, ::right]
        columns_seen = seen.transpose(0, 4, 1, 2, 3)  # (height, j, channels, columns, n), a view
        height, _, channels, _, _ = columns_seen.shape
        copies = np.empty(columns_seen.shape, x.dtype)  # filled below, part by part
        patches = rows_seen(copies.reshape(height, wide * channels, columns * n), high)
        self.patches = patches[::down]  # (rows, (i j c), (columns n)), a view of the copies
        self.W = W
        kernel = W.reshape(-1, filters).T  # (filters, (i j c))
        a = np.empty((rows, filters, columns * n), x.dtype)
        y = a.reshape(rows, filters, columns, n).transpose(3, 0, 2, 1)  # a view of a

        def outputs_of_rows(part: slice) -> None:
            # Rows of pixels that two parts see are copied by both threads: the same numbers to the
            # same place, and neither has to wait for the other.
            pixels = slice(part.start * down, (part.stop - 1) * down + high)
            copies[pixels] = columns_seen[pixels]
            blocked_matmul(kernel, self.patches[part], a[part], narrowest=100)
            if b is not None:
                a[part] += b[:, np.newaxis]
            activate(self.activation, y[:, part])

        parallel_for(outputs_of_rows, rows, THIN * a.size * kernel.shape[1])
        return y

    def _backward(self, dy: Array) -> tuple[Array, Array, Array | None]:
        """a[p] = kernel patches[p] + b is a Dense layer with its factors in the other order.  So
        dW, as the transpose of dkernel, is the sum of patches[p] da[p]^T over all rows of places p,
        and db that of da[p].

        A row of pixels r was seen by the row i of the window from the row of places r - i (steps of
        one pixel), so with W[i] as a matrix of all (j c) by all f, its copies have the slopes

            dcopies[r] = sum over i of W[i] da[r - i],    da being 0 where there are no such places

        Again a window sees `high` rows, r - high + 1 to r of da, of which the first meets W's last.
        So it is one product of W upside down and the `rows_seen` of `spaced`, which is da with
        high - 1 rows of zeros above, zeros below, and zeros for the rows that strides leave out.
        A pixel was copied for several columns j, and its slope is the sum of theirs.
        """
        n, (rows, columns, filters), channels = len(dy), self.output_shape, self.input_shape[2]
        (high, wide), (down, right) = self.window, self.strides
        if self.needs_dx:
            height = self.border[0][0] + self.input_shape[0] + self.border[0][1]
            spaced = np.zeros((height + high - 1, filters, columns * n), dy.dtype)
            da = spaced[high - 1 : high - 1 + rows * down : down]  # a view, still to be filled
        else:
            da = np.empty((rows, filters, columns * n), dy.dtype)
        da_of_images = da.reshape(rows, filters, columns, n).transpose(3, 0, 2, 1)  # a view, too
        # One for each row of places, added up at the end: threads must not add to the same numbers.
        dW = np.empty((rows, self.patches.shape[1], filters), dy.dtype)
        db = np.empty((rows, filters), dy.dtype)
        ones = np.ones(columns * n, dy.dtype)  # a product with it is a sum along the rows

        def slopes_of_weights(part: slice) -> None:
            activation_backward(
                self.activation, dy[:, part], self.y[:, part], out=da_of_images[:, part]
            )
            # ((i j c), (columns n)) @ ((columns n), filters), of which the last are few:
            blocked_matmul(self.patches[part], da[part].swapaxes(1, 2), dW[part], narrowest=4)
            np.matmul(da[part], ones, out=db[part])

        parallel_for(slopes_of_weights, rows, THIN * da.size * self.patches.shape[1])
        dW, db = np.sum(dW, axis=0).reshape(self.W.shape), np.sum(db, axis=0)
        if not self.needs_dx:
            return dW, db, None

        dx = self._padded_zeros(n, dy.dtype)
        seen_by = rows_seen(spaced, high)  # (height, (i f), (columns n)), i from the last to 0
        # From (i, j, c, f) to ((j c), (i f)), with the rows i in the same order:
        upside_down = self.W[::-1].transpose(1, 2, 0, 3).reshape(wide * channels, high * filters)
        dcopies = np.empty((height, wide * channels, columns * n), dy.dtype)

        def slopes_of_pixels(part: slice) -> None:
            blocked_matmul(upside_down, seen_by[part], dcopies[part], narrowest=100)
            for j, dcopy in enumerate(np.split(dcopies[part], wide, axis=1)):
                # (rows of this part, channels, columns, n), a view of the pixels that column j met
                tap = dx[:, part, j : j + columns * right : right].transpose(1, 3, 2, 0)
                tap += dcopy.reshape(tap.shape)

        parallel_for(slopes_of_pixels, height, THIN * da.size * self.patches.shape[1])
        return dW, db, self._unpad(dx)

    def _forward_in_waves(self, x: Array, W: Array, b: Array | None) -> Array:
        """As products of waves, which are fewer: see `digits.nn.fourier`."""
        y = self.waves.forward(x, W, b)

        def activate_rows(part: slice) -> None:
            activate(self.activation, y[:, part])

        if self.activation != "linear":
            parallel_for(activate_rows, y.shape[1], 3 * ELEMENTWISE * y.size)
        return y

    def _backward_in_waves(self, dy: Array) -> tuple[Array, Array, Array | None]:
        da = np.empty_like(self.y)

        def slope_of_rows(part: slice) -> None:
            activation_backward(self.activation, dy[:, part], self.y[:, part], out=da[:, part])

        parallel_for(slope_of_rows, da.shape[1], 4 * ELEMENTWISE * da.size)
        return self.waves.backward(da, self.needs_dx)

    def get_config(self) -> dict[str, Any]:
        connections = None if self.connections is None else self.connections.astype(int).tolist()
        return {
            "filters": self.filters,
            "kernel_size": list(self.window),
            **self._window_config(),
            "activation": self.activation,
            "use_bias": self.use_bias,
            "connections": connections,
        }


# --- pooling --------------------------------------------------------------------------------------


class Pooling(Window):
    """One number for all that is under the window, for each channel: the image shrinks, and what
    moves by less than a window hardly changes it.
    """

    def __init__(
        self,
        pool_size: int | tuple[int, int] = 2,
        strides: int | tuple[int, int] | None = None,
        padding: str = "valid",
    ) -> None:
        window = pair(pool_size, "a pool_size")
        super().__init__(window, window if strides is None else pair(strides, "strides"), padding)
        self.windows_overlap = any(s < w for s, w in zip(self.strides, window, strict=True))

    def _put(self, slopes: Array, pixels: Array) -> None:
        """Add slopes to pixels, which are still 0 if no other window sees them."""
        if self.windows_overlap:
            pixels += slopes
        else:  # the quicker
            pixels[...] = slopes

    def _share_windows(self, work: Callable[[slice], None], multiplications: float) -> None:
        """`parallel_for` work that writes to the pixels under rows of windows."""
        if self.strides[0] < self.window[0]:  # two threads would write to the same pixels
            work(slice(None))
        else:
            parallel_for(work, self.output_shape[0], multiplications)

    def get_config(self) -> dict[str, Any]:
        return {"pool_size": list(self.window), **self._window_config()}


class MaxPooling2D(Pooling):
    """y = the largest number under the window."""

    def forward(self, x: Array, training: bool = False) -> Array:
        self.padded = self._pad(x, -np.inf)  # a border that never wins
        self.y = np.empty_like(x, shape=(len(x), *self.output_shape))

        def highest_of_rows(part: slice) -> None:
            y = self.y[:, part]
            y[...] = first[:, part]
            for tap in others:
                np.maximum(y, tap[:, part], out=y)

        first, *others = self._taps(self.padded)
        parallel_for(highest_of_rows, self.output_shape[0], ELEMENTWISE * x.size)
        return self.y

    def backward(self, dy: Array) -> Array:
        """The slope goes where the maximum came from: the first place in reading order, if there
        are equals.
        """
        dx = np.zeros_like(self.padded, dy.dtype)
        unclaimed = np.empty_like(self.y)  # dy of windows whose maximum is still to be met, else 0

        def slopes_of_rows(part: slice) -> None:
            unclaimed[:, part] = dy[:, part]
            for x, slope in zip(taps_of_x, taps_of_dx, strict=True):
                found = unclaimed[:, part] * (x[:, part] == self.y[:, part])
                unclaimed[:, part] -= found
                self._put(found, slope[:, part])

        taps_of_x, taps_of_dx = list(self._taps(self.padded)), list(self._taps(dx))
        self._share_windows(slopes_of_rows, 5 * ELEMENTWISE * dx.size)
        return self._unpad(dx)


class AveragePooling2D(Pooling):
    """y = the mean of the numbers under the window, those of the border not counted."""

    def forward(self, x: Array, training: bool = False) -> Array:
        y = np.empty_like(x, shape=(len(x), *self.output_shape))
        first, *others = self._taps(self._pad(x))

        def sums_of_rows(part: slice) -> None:
            y[:, part] = first[:, part]
            for tap in others:
                y[:, part] += tap[:, part]

        parallel_for(sums_of_rows, self.output_shape[0], ELEMENTWISE * x.size)
        y /= self._count(x.dtype)
        return y

    def _count(self, dtype: Any) -> Array:
        """How many pixels lie under the window at each of its places, (rows, columns, 1); or one
        number, where there is no border.
        """
        if not any(map(any, self.border)):
            return np.array(math.prod(self.window), dtype)
        inside = []  # for each row of places the rows of pixels in the image; then for the columns
        for axis, (before, _) in enumerate(self.border):
            starts = np.arange(self.output_shape[axis]) * self.strides[axis] - before
            ends = np.minimum(starts + self.window[axis], self.input_shape[axis])
            inside.append(ends - np.maximum(starts, 0))
        return np.multiply.outer(*inside)[:, :, np.newaxis].astype(dtype)

    def backward(self, dy: Array) -> Array:
        """Each number under the window had the same share in the mean."""
        dx = self._padded_zeros(len(dy), dy.dtype)
        shares = dy / self._count(dy.dtype)

        def slopes_of_rows(part: slice) -> None:
            for tap in taps:
                self._put(shares[:, part], tap[:, part])

        taps = list(self._taps(dx))
        self._share_windows(slopes_of_rows, ELEMENTWISE * dx.size)
        return self._unpad(dx)


class Subsampling2D(AveragePooling2D):
    """y = activation(coefficient * mean + b): pooling as in LeNet-5, with two weights to train for
    each channel (LeCun et al. 1998, section II.B).

    The paper takes the sum of the window, of which the mean is a part: here the coefficient is as
    many times larger as the window has pixels.
    """

    def __init__(
        self,
        pool_size: int | tuple[int, int] = 2,
        activation: str | Callable[..., Array] | None = None,
    ) -> None:
        super().__init__(pool_size)
        self.activation = activation_name(activation)

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        self.weight_shapes = {"coefficient": input_shape[2:], "b": input_shape[2:]}

    def initialize(self) -> None:
        self.weights["coefficient"][...] = 1
        self.weights["b"][...] = 0

    def forward(self, x: Array, training: bool = False) -> Array:
        self.mean = super().forward(x, training)
        a = self.mean * self.weights["coefficient"] + self.weights["b"]
        self.y = ACTIVATIONS[self.activation][0](a)
        return self.y

    def backward(self, dy: Array) -> Array:
        """The two weights of a channel meet every place of it in every image, so their slopes are
        sums over all of these; what is left is the slope of the mean.
        """
        da = ACTIVATIONS[self.activation][1](dy, self.y)
        np.sum(da * self.mean, axis=(0, 1, 2), out=self.grads["coefficient"])
        np.sum(da, axis=(0, 1, 2), out=self.grads["b"])
        return super().backward(da * self.weights["coefficient"])

    def get_config(self) -> dict[str, Any]:
        return {"pool_size": list(self.window), "activation": self.activation}


# --- padding --------------------------------------------------------------------------------------


class ZeroPadding2D(Layer):
    """A border of zeros: padding=2 makes 28x28 images 32x32."""

    def __init__(self, padding: int | tuple[int, int] = 1) -> None:
        super().__init__()
        self.rows, self.columns = pair(padding, "padding")

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        self._expect_rank(3, "(height, width, channels)", Window.image_advice)
        height, width, channels = input_shape
        self.output_shape = (height + 2 * self.rows, width + 2 * self.columns, channels)

    def forward(self, x: Array, training: bool = False) -> Array:
        y = black_images(len(x), self.output_shape, x.dtype)
        y[:, self.rows : -self.rows, self.columns : -self.columns] = x
        return y

    def backward(self, dy: Array) -> Array:
        return dy[:, self.rows : -self.rows, self.columns : -self.columns]

    def get_config(self) -> dict[str, Any]:
        return {"padding": [self.rows, self.columns]}
