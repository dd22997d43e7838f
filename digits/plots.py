"""Pictures of numbers, in one palette: learning curves, grids of digits, confusion, weights and
feature maps. Each function returns a Figure that belongs to no window; `save` writes it as a PNG.
"""

import io
import math
import textwrap
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from digits.files.atomic import write_file
from digits.types import Array
from digits.validation import check

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

BLUE, ORANGE, INK = "#1a66a8", "#b85200", "#22201c"
"""The palette of all pictures and of the page, which the color-blind can tell apart: blue is above
zero and right, orange below zero and wrong."""
SKY, FAINT, GRAY = "#62a8dc", "#c9d9e8", "#77736b"

SIGNED = (ORANGE, "#ffffff", BLUE)
"""Colors of numbers below zero, at zero and above; see `colors`."""

LINES = {"train": (BLUE, "-"), "validation": (ORANGE, "--"), "test": (INK, ":")}
"""A line for each part of the data, to be told apart also in print."""

DIGITS = (*map(str, range(10)), "none")
FASHION = "T-shirt/top, trouser, pullover, dress, coat, sandal, shirt, sneaker, bag, ankle boot"


def class_names(dataset: str, classes: int = 10) -> list[str]:
    """What to call the classes of a data set; of 11, the last is "none", no digit."""
    names = FASHION.split(", ") if dataset == "fashion" else DIGITS
    return [names[i] if i < len(names) else str(i) for i in range(classes)]


def save(figure: "Figure", path: str | Path) -> None:
    """Write a figure as a PNG, all at once: a failure leaves no half picture."""
    write_file(path, png(figure))


def png(figure: "Figure") -> bytes:
    """A figure as the content of a PNG file."""
    content = io.BytesIO()
    with warnings.catch_warnings():
        # A title in a script that the font does not have shows boxes, and needs no comment.
        warnings.filterwarnings("ignore", "Glyph")
        figure.savefig(content, format="png", metadata={"Software": "digits"})
    return content.getvalue()


def _figure(width: float, height: float, title: str = "") -> "Figure":
    from matplotlib.figure import Figure  # noqa: PLC0415  (most runs draw nothing)

    figure = Figure(figsize=(width, height), dpi=120, layout="constrained")
    if title:
        set_title(figure, title)
    return figure


def colors(*stops: str) -> "Colormap":
    """The colors from the first to the last of these."""
    from matplotlib.colors import LinearSegmentedColormap  # noqa: PLC0415

    return LinearSegmentedColormap.from_list("digits", stops)


def set_title(figure: "Figure", title: str) -> None:
    """A title, or what two lines hold of it: a $ begins no formula, half a character is a "?"."""
    shown = title.encode(errors="replace").decode()
    lines = textwrap.wrap(shown, int(10 * figure.get_figwidth()), max_lines=2, placeholder=" …")
    figure.suptitle("\n".join(lines), fontsize=11, parse_math=False)


# --- learning curves ------------------------------------------------------------------------------


def curves(history: Any, title: str = "") -> "Figure":
    """Loss and accuracy against epochs, of every part of the data that was measured; the loss on a
    logarithmic axis where it has fallen so far that a linear one would show a flat line.

    history: a `digits.training.history.History`.
    """
    figure = _figure(10, 4, title)
    left, right = figure.subplots(1, 2)
    records, losses = history.epochs, history.losses
    # Batches in an epoch, told by the first; before its end, all that there was counts as one.
    batches = records[0].iteration / records[0].epoch if records else max(1, len(losses))
    epochs = [record.iteration / batches for record in records]  # the last may be cut short
    if losses:
        times = np.arange(1, len(losses) + 1) / batches
        width = 0.6 if len(losses) > 500 else 1.2  # many lines make a band
        left.plot(times, losses, color=FAINT, linewidth=width, label="each batch")
    for axes, figure_of in ((left, "loss"), (right, "accuracy")):
        for name, (color, style) in LINES.items():
            values = [getattr(r, f"{name}_{figure_of}") for r in records]
            if values and values[0] is not None:
                axes.plot(epochs, values, style, marker=".", label=name, linewidth=1.4, color=color)
        axes.set(xlabel="epoch", xlim=(0, 1.02 * max(1.0, len(losses) / batches)))
        axes.locator_params("x", integer=True)
        axes.set_title(figure_of, fontsize=10)
        axes.grid(alpha=0.25)
        if history.best is not None and len(records) > 1:
            best = history.best.iteration / batches
            axes.axvline(best, color=GRAY, linewidth=0.8, linestyle=":")
        if axes.lines:  # the legend goes where the curves are not: losses fall, accuracies rise
            side = "right" if len(records) > 1 else "left"  # a single record is at the right end
            axes.legend(fontsize=8, loc="upper right" if axes is left else f"lower {side}")
    _set_loss_axis(left, losses)
    low, high = right.get_ylim()
    spare = max(0.0, 0.01 - (high - low)) / 2  # around one record the ticks would all be alike
    right.set_ylim(low - spare, high + spare)
    right.yaxis.set_major_formatter(lambda y, _: f"{y:.1%}" if y <= 1 else "")
    return figure


def _set_loss_axis(axes: "Axes", losses: Sequence[float]) -> None:
    """High enough for where training began, low enough to see where it went."""
    lines = [line.get_ydata() for line in axes.lines if line.get_label() in LINES]
    measured = [float(loss) for line in lines for loss in np.asarray(line)]
    start = max(losses[:50], default=1.0)
    top = 1.1 * max(min(start, 2.5), *measured, 1e-3)
    lowest = min(measured, default=top)
    if 0 < lowest < top / 20:
        axes.set_yscale("log")
        axes.set_ylim(lowest / 2, top)
    else:
        axes.set_ylim(0, top)


# --- images ---------------------------------------------------------------------------------------


def samples(
    x: ArrayLike, t: Iterable[int], title: str = "", names: Sequence[str] | None = None
) -> "Figure":
    """A grid of images with their labels (n,), or the `names` of these classes, ten in a row.

    x: (n, pixels) of square images, (n, height, width) or (n, height, width, 1 or 3).
    """
    captions = [str(label) if names is None else names[label] for label in t]
    return _grid(np.asarray(x), captions, title)


def mistakes(
    x: Array,
    t: Array,
    y: Array,
    title: str = "",
    names: Sequence[str] | None = None,
    most: int = 60,
) -> "Figure":
    """The images that probabilities y (n, k) get wrong, the most confident mistakes first, each
    with its class, the predicted one and how sure the network was.
    """
    names = names or class_names("", y.shape[1])
    predicted, confidence = np.argmax(y, axis=1), np.max(y, axis=1)
    wrong = np.flatnonzero(predicted != t)
    wrong = wrong[np.argsort(-confidence[wrong], kind="stable")]
    captions = [
        f"{names[t[i]]}, read as {names[predicted[i]]}\n{confidence[i]:.0%}" for i in wrong[:most]
    ]
    found = f"{len(wrong):,} of {len(t):,} wrong"
    if len(wrong) > most:
        found += f", the {most} most confident"
    width = 1.58 if any(len(caption) > 24 for caption in captions) else 0.95
    title = f"{title}: {found}" if title else found
    return _grid(x[wrong[:most]], captions, title, cell=(width, 1.17))


def _grid(
    x: Array,
    captions: Sequence[str],
    title: str,
    cell: tuple[float, float] = (0.95, 1.03),
    **image_options: Any,
) -> "Figure":
    """Images in a grid 9.5 inches wide, captions under them; `cell` is the size of one."""
    columns = min(int(9.5 / cell[0]), max(1, len(x)))
    rows = max(1, math.ceil(len(x) / columns))
    figure = _figure(max(3.0, columns * cell[0]), rows * cell[1] + 0.5, title)
    for i, axes in enumerate(figure.subplots(rows, columns, squeeze=False).flat):
        axes.axis("off")
        if i < len(x):
            options = {"cmap": "gray_r", "vmin": 0, "vmax": 1, **image_options}
            axes.imshow(_as_image(x[i]), **options)
            axes.set_title(captions[i], fontsize=7, y=-0.03, pad=0, va="top")
    return figure


def _as_image(x: Array) -> Array:
    """A row of pixels as a square; a channel axis of 1 is dropped."""
    if x.ndim > 1:
        return x[:, :, 0] if x.ndim == 3 and x.shape[2] == 1 else x
    side = math.isqrt(len(x))
    check(side * side == len(x), "rows of square images, or images", x.shape)
    return x.reshape(side, side)


def confusion(counts: Array, title: str = "", names: Sequence[str] | None = None) -> "Figure":
    """How often the class of a row (counts (k, k)) was read as that of a column, in numbers; the
    colors leave out the diagonal, where correct predictions would outshine everything.
    """
    names = names or class_names("", len(counts))
    figure = _figure(6.4, 6, title)
    axes = figure.subplots()
    wrong = counts * (1 - np.eye(len(counts)))
    axes.imshow(wrong, cmap=colors("#ffffff", ORANGE), vmin=0, vmax=max(1, wrong.max()))
    for row, column in np.argwhere(counts):
        dark = wrong[row, column] > 0.6 * wrong.max() > 0
        color = BLUE if row == column else "white" if dark else INK
        text = axes.text(column, row, f"{counts[row, column]:,}", ha="center", va="center")
        text.set(color=color, fontsize=8, weight="bold" if row == column else "normal")
    tilt = 45 if max(map(len, names), default=0) > 4 else 0
    axes.set_xticks(range(len(counts)), names, rotation=tilt, ha="right" if tilt else "center")
    axes.set_yticks(range(len(counts)), names)
    axes.set(xlabel="read as", ylabel="true class")
    return figure


# --- inside a network -----------------------------------------------------------------------------


def weights(W: Array, title: str = "", most: int = 64) -> "Figure":
    """What the units of the first layer respond to: blue positive weights, orange negative ones.

    W: a dense layer's weights (784, units), each unit drawn as an image, or a convolution's kernels
    (height, width, channels, filters), each filter drawn as the mean over its channels.
    """
    if W.ndim == 2:
        side = math.isqrt(W.shape[0])
        images = W[: side * side].reshape(side, side, -1)
    else:
        images = W.mean(axis=2)
    shown = np.moveaxis(images, 2, 0)[:most]
    return _grid(shown, [""] * len(shown), title, cell=(0.9, 0.9), **_signed(images))


def _signed(values: Array) -> dict[str, Any]:
    """Options of `imshow` that give zero no color, and the largest of these the strongest."""
    reach = float(np.abs(values).max()) or 1.0
    return {"cmap": colors(*SIGNED), "vmin": -reach, "vmax": reach}


def feature_maps(
    image: Array,
    maps: Sequence[tuple[str, Array]],
    y: Array,
    title: str = "",
    names: Sequence[str] | None = None,
    most: int = 16,
) -> "Figure":
    """What each layer makes of one image: the image, a row of maps for each (layer name, (height,
    width, channels)), blue above zero and orange below, and the probabilities y (k,).
    """
    rows = len(maps) + 2
    figure = _figure(11, 0.95 * rows + 0.6, title)
    grid = figure.add_gridspec(rows, most)
    gray = {"cmap": "gray_r", "vmin": 0, "vmax": 1}
    _tile(figure.add_subplot(grid[0, 0]), _as_image(image), "input", gray)
    for row, (name, activation) in enumerate(maps, start=1):
        scale = _signed(activation)  # one for all maps of a layer
        for channel in range(min(most, activation.shape[2])):
            axes = figure.add_subplot(grid[row, channel])
            _tile(axes, activation[:, :, channel], name if channel == 0 else "", scale)
    bars = figure.add_subplot(grid[rows - 1, :])
    bars.bar(range(len(y)), y, color=[BLUE if p == max(y) else FAINT for p in y])
    bars.set_xticks(range(len(y)), names or class_names("", len(y)))
    bars.set_ylim(0, 1)
    bars.set_ylabel("probability", fontsize=7)
    bars.tick_params(labelsize=7)
    return figure


def _tile(axes: "Axes", image: Array, name: str, options: dict[str, Any]) -> None:
    axes.axis("off")
    axes.imshow(image, **options)
    axes.set_title(name, fontsize=7, loc="left")
