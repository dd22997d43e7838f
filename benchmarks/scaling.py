"""Plots the time of a training step against the batch size and the width of the network.

python -m benchmarks.scaling docs/scaling.png
"""

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from digits import plots
from digits.nn.layers import Dense
from digits.nn.optimizers import SGD
from digits.nn.sequential import Sequential

BATCHES = [2**i for i in range(13)]
WIDTHS = [2**i for i in range(4, 13)]


def step(width: int, batch_size: int) -> Callable[[], None]:
    """A step of training of a network 784-width-10 on noise."""
    rng = np.random.default_rng(0)
    network = Sequential([Dense(width, activation="relu"), Dense(10)], rng=rng)
    optimizer = SGD(0.01)
    x = rng.random((batch_size, 784), np.float32)
    t = rng.integers(0, 10, batch_size)

    def take() -> None:
        _, grads = network.loss_and_gradient(x, t)
        optimizer.update(network.params, grads)

    return take


def milliseconds(take: Callable[[], None]) -> float:
    """Median over at least 7 calls and half a second, after a warm-up of the same length."""
    for _ in range(2):
        seconds: list[float] = []
        while len(seconds) < 7 or sum(seconds) < 0.5:
            began = time.perf_counter()
            take()
            seconds.append(time.perf_counter() - began)
    return 1000 * statistics.median(seconds)


def main() -> int:
    """Measure, print the figures and draw them."""
    if len(sys.argv) != 2:
        print("usage: python -m benchmarks.scaling PICTURE.png", file=sys.stderr)
        return 2
    figure = Figure(figsize=(10, 4), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    of_batch = [milliseconds(step(100, n)) for n in BATCHES]
    of_width = [milliseconds(step(width, 32)) for width in WIDTHS]
    for ax, sizes, times, label in (
        (axes[0], BATCHES, of_batch, "images in a batch, width 100"),
        (axes[1], WIDTHS, of_width, "width, 32 images in a batch"),
    ):
        ax.loglog(sizes, times, "o-", color=plots.BLUE, label="measured")
        proportional = [times[-1] * size / sizes[-1] for size in sizes]
        ax.loglog(sizes, proportional, ":", color=plots.GRAY, label="in proportion")
        ax.set_xlabel(label)
        ax.set_xticks(sizes[::2], [f"{size:,}" for size in sizes[::2]])
        ax.set_xticks([], minor=True)
        ax.yaxis.set_major_formatter("{x:g}")
        ax.legend(loc="lower right")
        for size, ms in zip(sizes, times, strict=True):
            print(f"{label.split(',')[0]}: {size:5,}  {ms:9.3f} ms")
    axes[0].set_ylabel("milliseconds a step")
    figure.savefig(Path(sys.argv[1]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
