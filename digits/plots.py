"""Pictures of numbers: learning curves, grids of digits, confusion, weights and feature maps. Each
function returns a Figure that belongs to no window; `save` writes it as a PNG.
"""

import io
import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from digits.files.atomic import write_file
from digits.training.history import History
from digits.types import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


TRAIN, VALIDATION, TEST, FAINT = "#1f6fb4", "#e07b28", "#2c9f4b", "#c9d9e8"


def class_name(index: int | np.integer) -> str:
    """The digit as text, or "none" for the eleventh class, "no digit"."""
    return "none" if index == 10 else str(index)


def save(figure: "Figure", path: str | Path) -> None:
    """Write a figure as a PNG, all at once: a failure leaves no half picture."""
    write_file(path, png(figure))


def png(figure: "Figure") -> bytes:
    """A figure as the content of a PNG file."""
    content = io.BytesIO()
    with warnings.catch_warnings():
        # A title in a script that the font does not have shows boxes, and needs no comment.
        warnings.filterwarnings("ignore", "Glyph")
        figure.savefig(content, format="png")
    return content.getvalue()


def _figure(width: float, height: float, title: str = "") -> "Figure":
    from matplotlib.figure import Figure  # noqa: PLC0415  (most runs draw nothing)

    figure = Figure(figsize=(width, height), dpi=120, layout="constrained")
    if title:
        set_title(figure, title)
    return figure


def set_title(figure: "Figure", title: str) -> None:
    """A title as it is: a $ in a file name begins no formula, and half a character becomes "?"."""
    figure.suptitle(title.encode(errors="replace").decode(), fontsize=11, parse_math=False)


# --- learning curves ------------------------------------------------------------------------------


def curves(history: History, title: str = "") -> "Figure":
    """Loss and accuracy against epochs: training, validation (if there was any) and test images."""
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415

    figure = _figure(10, 4, title)
    left, right = figure.subplots(1, 2)
    records = history.epochs
    # Batches in an epoch, told by the first; before its end, all that there was counts as one.
    batches = records[0].iteration / records[0].epoch if records else len(history.losses)
    epochs = [record.iteration / batches for record in records]  # the last may be cut short
    if history.losses:
        times = np.arange(1, len(history.losses) + 1) / batches
        width = 0.6 if len(history.losses) > 500 else 1.2  # many lines make a band
        left.plot(times, history.losses, color=FAINT, linewidth=width, label="each batch")
    for axes, figure_of in ((left, "loss"), (right, "accuracy")):
        for name, color in (("train", TRAIN), ("validation", VALIDATION), ("test", TEST)):
            values = [getattr(r, f"{name}_{figure_of}") for r in records]
            if values and values[0] is not None:
                axes.plot(
                    epochs, values, color=color, marker=".", label=name, alpha=0.9, linewidth=1.4
                )
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlim(0, 1.02 * max(1.0, len(history.losses) / max(1.0, batches)))
        axes.set_title(figure_of, fontsize=10)
        axes.grid(alpha=0.25)
        if history.best is not None and len(records) > 1:
            axes.axvline(
                history.best.iteration / batches, color="#999999", linewidth=0.8, linestyle=":"
            )
        if axes.lines:
            # Where these curves are not: losses fall, accuracies rise.
            axes.legend(fontsize=8, loc="upper right" if axes is left else "lower right")
    left.set_ylim(0, _loss_ceiling(history))
    right.yaxis.set_major_formatter(lambda y, _: f"{y:.1%}" if y <= 1 else "")
    return figure


def _loss_ceiling(history: History) -> float:
    """High enough for where training began, low enough to see where it went."""
    top = [r.train_loss for r in history.epochs] + [r.validation_loss or 0 for r in history.epochs]
    start = float(np.max(history.losses[:50])) if history.losses else 1.0
    return 1.1 * max(min(start, 2.5), *top, 1e-3)


# --- digits ---------------------------------------------------------------------------------------


def samples(x: Array, t: Array, title: str = "") -> "Figure":
    """A grid of images (n, 784) with their labels (n,), ten in a row."""
    return _grid(x, [str(label) for label in t], title)


def mistakes(x: Array, t: Array, y: Array, title: str = "", most: int = 60) -> "Figure":
    """The images that probabilities y (n, 10) get wrong, the most confident mistakes first.

    Each caption says the true digit, the predicted one and how sure the network was.
    """
    predicted, confidence = np.argmax(y, axis=1), np.max(y, axis=1)
    wrong = np.flatnonzero(predicted != t)
    wrong = wrong[np.argsort(-confidence[wrong], kind="stable")]
    captions = [
        f"{t[i]}, read as {class_name(predicted[i])}\n{confidence[i]:.0%}" for i in wrong[:most]
    ]
    title = f"{title}: " * bool(title) + f"{len(wrong):,} of {len(t):,} wrong"
    if len(wrong) > most:
        title += f", the {most} most confident"
    return _grid(x[wrong[:most]], captions, title, cell=(0.95, 1.17))


def _grid(
    x: Array,
    captions: Sequence[str],
    title: str,
    cell: tuple[float, float] = (0.95, 1.03),
    **image_options: Any,
) -> "Figure":
    """Images (n, 784) or (n, height, width), ten in a row, with captions under them; `cell` is the
    width and height of one, in inches.
    """
    columns = min(10, max(1, len(x)))
    rows = max(1, math.ceil(len(x) / columns))
    figure = _figure(max(3.0, columns * cell[0]), rows * cell[1] + 0.5, title)
    for i, axes in enumerate(figure.subplots(rows, columns, squeeze=False).flat):
        axes.axis("off")
        if i < len(x):
            image = x[i].reshape(28, 28) if x[i].ndim == 1 else x[i]
            axes.imshow(image, **{"cmap": "gray_r", "vmin": 0, "vmax": 1, **image_options})
            axes.set_title(captions[i], fontsize=7, y=-0.06, va="top")
    return figure


# --- how good a network is ------------------------------------------------------------------------


def confusion(counts: Array, title: str = "") -> "Figure":
    """How often the digit of a row (counts (k, k)) was read as that of a column; the colors leave
    out the diagonal, where the right answers would outshine everything.
    """
    figure = _figure(6.4, 6, title)
    axes = figure.subplots()
    wrong = counts * (1 - np.eye(len(counts)))
    axes.imshow(wrong, cmap="Oranges", vmin=0, vmax=max(1, wrong.max()))
    for row, column in np.ndindex(*counts.shape):
        if counts[row, column]:
            dark = wrong[row, column] > 0.6 * wrong.max() > 0
            axes.text(
                column,
                row,
                f"{counts[row, column]:,}",
                ha="center",
                va="center",
                fontsize=8,
                color="white" if dark else "#1a5fa0" if row == column else "black",
                fontweight="bold" if row == column else "normal",
            )
    names = [class_name(index) for index in range(len(counts))]
    axes.set_xticks(range(len(counts)), names)
    axes.set_yticks(range(len(counts)), names)
    axes.set_xlabel("read as")
    axes.set_ylabel("true digit")
    return figure


# --- inside a network -----------------------------------------------------------------------------


def weights(W: Array, title: str = "", most: int = 64) -> "Figure":
    """What the units of the first layer respond to: red positive weights, blue negative ones.

    W: a dense layer's weights (784, units), each unit drawn as an image, or a convolution's kernels
    (height, width, channels, filters), each filter drawn as the mean over its channels.
    """
    if W.ndim == 2:
        side = math.isqrt(W.shape[0])
        images = W[: side * side].reshape(side, side, -1)
    else:
        images = W.mean(axis=2)
    reach = float(np.abs(images).max()) or 1.0
    shown = np.moveaxis(images, 2, 0)[:most]
    colors = {"cmap": "RdBu_r", "vmin": -reach, "vmax": reach}
    return _grid(shown, [""] * len(shown), title, cell=(0.9, 0.9), **colors)


def feature_maps(
    image: Array, maps: Sequence[tuple[str, Array]], y: Array, title: str = "", most: int = 16
) -> "Figure":
    """What each layer makes of one image: a row of maps for each (layer name, (height, width,
    channels)), the image itself above, and the probabilities y (k,) below.
    """
    rows = len(maps) + 2
    figure = _figure(11, 0.95 * rows + 0.6, title)
    grid = figure.add_gridspec(rows, most)
    _tile(figure.add_subplot(grid[0, 0]), image.reshape(28, 28), "input")
    for row, (name, activation) in enumerate(maps, start=1):
        scale = float(activation.min()), float(activation.max())  # one for all maps of a layer
        for channel in range(min(most, activation.shape[2])):
            axes = figure.add_subplot(grid[row, channel])
            _tile(axes, activation[:, :, channel], name if channel == 0 else "", scale)
    bars = figure.add_subplot(grid[rows - 1, :])
    bars.bar(range(len(y)), y, color=TRAIN)
    bars.set_xticks(range(len(y)), [class_name(index) for index in range(len(y))])
    bars.set_ylim(0, 1)
    bars.set_ylabel("probability", fontsize=7)
    bars.tick_params(labelsize=7)
    return figure


def _tile(axes: "Axes", image: Array, name: str, scale: tuple[float, float] = (0.0, 1.0)) -> None:
    axes.axis("off")
    axes.imshow(image, cmap="viridis", vmin=scale[0], vmax=scale[1])
    if name:
        axes.set_title(name, fontsize=7, loc="left")
