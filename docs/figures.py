"""Draws the pictures of the guide into docs/guide/figures/. Every curve is measured on the spot,
with this library and MNIST; two minutes are enough for all of them.

    python docs/figures.py [NAME ...]
"""

import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import ConnectionPatch, FancyArrowPatch, Rectangle
from reading import paper_photo

from digits import plots
from digits.nn.optimizers import SGD, Adam, Optimizer
from digits.nn.parameters import Parameters
from digits.nn.sequential import Sequential
from digits.photos.drawings import draw_steps
from digits.types import Array
from functions import sigmoid, softmax
from mnist_loader import load_mnist
from predict_image import read_digits
from train_net import load_data, train
from two_layer_net import TwoLayerNet

FIGURES = Path(__file__).resolve().parent / "guide" / "figures"
BLUE, ORANGE, INK, SKY, GRAY = plots.BLUE, plots.ORANGE, plots.INK, plots.SKY, plots.GRAY
SIGNED = plots.colors(*plots.SIGNED)


def canvas(width: float, height: float) -> Figure:
    return Figure(figsize=(width, height), dpi=110, layout="constrained")


def bare(axes: Axes, title: str = "") -> None:
    """No ticks, no frame: a picture, not a diagram."""
    axes.set_xticks([])
    axes.set_yticks([])
    for side in axes.spines.values():
        side.set_visible(False)
    if title:
        axes.set_title(title, fontsize=9)


def show(axes: Axes, image: Array, title: str = "", **options: Any) -> None:
    axes.imshow(image, **({"cmap": "gray_r"} | options))
    bare(axes, title)


@cache
def digits() -> tuple[Array, Array]:
    """The training images (60,000, 784) and their labels."""
    return load_mnist(normalize=True)[0]


@cache
def trained() -> TwoLayerNet:
    """The network of chapter 2: one pass over the images."""
    x, t = digits()
    network = TwoLayerNet(784, 50, 10, rng=np.random.default_rng(0))
    for i in range(0, 60_000, 100):
        network.params.flat -= 0.5 * network.gradient(x[i : i + 100], t[i : i + 100]).flat
    return network


# --- chapters 1 to 4 ------------------------------------------------------------------------------


def pixels() -> Figure:
    """The 5, and the gray levels of a part of it."""
    image = np.rint(255 * digits()[0][0].reshape(28, 28)).astype(int)
    top, bottom, left, right = 5, 12, 10, 24  # as chapter 1 prints them
    figure = canvas(9, 3.5)
    image_axes, detail = figure.subplots(1, 2, width_ratios=[1, 1.75])
    show(image_axes, image)
    image_axes.set_xlabel("28 x 28 pixels", fontsize=9)
    image_axes.spines[:].set(visible=True, color=plots.FAINT)
    box = (left - 0.5, top - 0.5)
    image_axes.add_patch(
        Rectangle(box, right - left, bottom - top, fill=False, color=ORANGE, linewidth=1.6)
    )
    show(detail, image[top:bottom, left:right], vmin=0, vmax=330)
    detail.set_xlabel("0 is paper, 255 is ink", fontsize=9)
    for (row, column), level in np.ndenumerate(image[top:bottom, left:right]):
        color = "white" if level > 140 else "black"
        detail.text(column, row, str(level), ha="center", va="center", fontsize=7.5, color=color)
    for corner in (0, 1):
        line = ConnectionPatch(
            (right - 0.5, (top, bottom)[corner] - 0.5),
            (0, 1 - corner),
            "data",
            "axes fraction",
            axesA=image_axes,
            axesB=detail,
            color=ORANGE,
            linewidth=0.8,
        )
        figure.add_artist(line)
    return figure


def forward() -> Figure:
    """One digit on its way through the two-layer network."""
    x, network = digits()[0][:1], trained()
    W1, b1, W2, b2 = network.params.values()
    z1 = sigmoid(x @ W1 + b1)
    a2 = z1 @ W2 + b2
    figure = canvas(10, 3.6)
    widths = [1, 2.1, 1.25, 1.25]
    start, units, logits, probabilities = figure.subfigures(
        1, 4, squeeze=False, width_ratios=widths
    )[0]
    show(start.subplots(), x.reshape(28, 28), "x\n784 pixels")
    units.suptitle("six of fifty hidden units: the weights, and z", fontsize=9)
    order = np.argsort(-z1[0])
    reach = float(np.abs(W1).max())
    for axes, unit in zip(units.subplots(2, 3).flat, [*order[:3], *order[-3:]], strict=True):
        weights = W1[:, unit].reshape(28, 28)
        show(axes, weights, f"z = {z1[0, unit]:.2f}", cmap=SIGNED, vmin=-reach, vmax=reach)
    colors = [BLUE if digit == np.argmax(a2) else plots.FAINT for digit in range(10)]
    for part, values, title in (
        (logits, a2[0], "logits a"),
        (probabilities, softmax(a2)[0], "probabilities y"),
    ):
        axes = part.subplots()
        axes.barh(range(10), values, color=colors)
        axes.set_yticks(range(10), [str(digit) for digit in range(10)], fontsize=8)
        axes.invert_yaxis()
        axes.axvline(0, color=GRAY, linewidth=0.8)
        axes.tick_params(axis="x", labelsize=7)
        axes.set_title(title, fontsize=9)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def loss() -> Figure:
    """The negative logarithm of a probability."""
    figure = canvas(6, 3)
    axes = figure.subplots()
    p = np.linspace(0.004, 1, 500)
    axes.plot(p, -np.log(p), color=BLUE, linewidth=2)
    y = float(trained().predict(digits()[0][:1])[0, 5])
    for value, text in (
        (0.1, "untrained: log 10"),
        (y, "our 5, after one epoch"),
        (1.0, "confident\nand right"),
    ):
        axes.plot(value, -np.log(value), "o", color=ORANGE)
        axes.annotate(
            text,
            (value, -np.log(value)),
            xytext=(8, 10) if value < 1 else (2, 10),
            textcoords="offset points",
            fontsize=9,
            ha="left" if value < 1 else "right",
        )
    axes.set_xlabel("probability given to the target")
    axes.set_ylabel("loss")
    axes.set_ylim(0, 5.6)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def backward() -> Figure:
    """The steps of the backward pass, below those of the forward pass."""
    figure = canvas(10, 2.4)
    axes = figure.subplots()
    bare(axes)
    names = ["x", "a1", "z1", "a2", "loss"]
    shapes = ["(n, 784)", "(n, 50)", "(n, 50)", "(n, 10)", "one number"]
    operations = ["· W1 + b1", "sigmoid", "· W2 + b2", "softmax and -log"]
    gradients = ["dW1 = xᵀ da1\ndb1 = Σ da1", "da1 = dz1 z1 (1 - z1)"]
    gradients += ["dz1 = da2 W2ᵀ\ndW2 = z1ᵀ da2\ndb2 = Σ da2", "da2 = (y - t) / n"]
    for i, (name, shape) in enumerate(zip(names, shapes, strict=True)):
        box = Rectangle((3 * i - 0.62, -0.32), 1.24, 0.64, color=plots.FAINT, ec=BLUE)
        axes.add_patch(box)
        axes.text(3 * i, 0.08, name, ha="center", va="center", fontsize=12, family="monospace")
        axes.text(3 * i, -0.18, shape, ha="center", va="center", fontsize=8, color=GRAY)
    for i, (operation, gradient) in enumerate(zip(operations, gradients, strict=True)):
        left, right = 3 * i + 0.66, 3 * i + 2.34
        end = left + 0.55 if i == 0 else left  # dx is not needed
        for y, ends, color in ((0.16, (left, right), BLUE), (-0.16, (right, end), ORANGE)):
            arrow = FancyArrowPatch(
                (ends[0], y), (ends[1], y), arrowstyle="-|>", mutation_scale=13, color=color
            )
            axes.add_patch(arrow)
        middle = (left + right) / 2
        axes.text(middle, 0.26, operation, ha="center", va="bottom", fontsize=10, color=BLUE)
        axes.text(
            middle,
            -0.4,
            gradient,
            ha="center",
            va="top",
            fontsize=10,
            color=ORANGE,
            linespacing=1.5,
        )
    axes.set_xlim(-0.8, 12.8)
    axes.set_ylim(-1.12, 0.6)
    return figure


# --- chapter 5 ------------------------------------------------------------------------------------


def differences() -> Figure:
    """Error of a numerical derivative against h: one-sided and central, float64 and float32."""
    x, t = digits()[0][:10].astype(np.float64), digits()[1][:10]
    exact_network = TwoLayerNet(784, 50, 10, 0.1, rng=np.random.default_rng(0), dtype=np.float64)
    exact = float(exact_network.gradient(x, t)["W2"][0, 1])

    def numerical(network: TwoLayerNet, h: float, central: bool) -> float:
        W2 = network.params["W2"]
        value = W2[0, 1]
        W2[0, 1] = value + h
        above, up = network.loss(x, t), float(W2[0, 1])
        W2[0, 1] = value - h if central else value
        below, down = network.loss(x, t), float(W2[0, 1])
        W2[0, 1] = value
        return (above - below) / (up - down) if up != down else 0.0

    figure = canvas(7, 3.8)
    axes = figure.subplots()
    steps = np.logspace(0, -13, 131)
    rough = exact_network.astype(np.float32)
    for name, network, central, color in (
        ("float64, one side", exact_network, False, ORANGE),
        ("float32, both sides", rough, True, SKY),
        ("float64, both sides", exact_network, True, BLUE),
    ):
        reachable = steps if network is exact_network else steps[steps > 1e-7]
        errors = [abs(numerical(network, h, central) - exact) / abs(exact) for h in reachable]
        axes.loglog(reachable, np.maximum(errors, 1e-13), color=color, linewidth=1.6, label=name)
    axes.axvline(1e-4, color=GRAY, linewidth=0.8, linestyle=":")
    axes.text(1.2e-4, 3e-13, "h of the library", fontsize=8, color=GRAY)
    axes.text(0.9, 1e-7, "h too large:\ntruncation error", fontsize=8, color=GRAY, ha="right")
    axes.text(3e-13, 3e-7, "h too small:\nrounding error", fontsize=8, color=GRAY, ha="left")
    axes.set_xlabel("h")
    axes.set_ylabel("relative error")
    axes.set_ylim(1e-13, 30)
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8, loc="lower left")
    return figure


# --- chapter 6 ------------------------------------------------------------------------------------


def smooth(losses: list[float], width: int = 50) -> Array:
    """Means over so many batches."""
    return np.convolve(losses, np.ones(width) / width, mode="valid")


def losses_of(network: TwoLayerNet | Sequential, optimizer: Optimizer, batches: int) -> list[float]:
    """The loss of each batch of 100 that is trained on, as far as it stays finite."""
    (x, t), losses = digits(), []
    for batch in _order(batches):
        loss, grads = network.loss_and_gradient(x[batch], t[batch])
        optimizer.update(network.params, grads)
        losses.append(loss)
    return losses


def _order(batches: int) -> list[Array]:
    rng = np.random.default_rng(1)
    epochs = [rng.permutation(60_000).reshape(600, 100) for _ in range(-(-batches // 600))]
    return list(np.concatenate(epochs)[:batches])


def learning_rates() -> Figure:
    figure = canvas(7, 3.4)
    axes = figure.subplots()
    colors = [plots.FAINT, SKY, BLUE, INK, ORANGE]
    for rate, color in zip((0.01, 0.1, 1, 10, 20), colors, strict=True):
        network = TwoLayerNet(784, 50, 10, rng=np.random.default_rng(0))
        losses = smooth(losses_of(network, SGD(rate), 2_000))
        axes.plot(
            np.arange(len(losses)) + 25, losses, color=color, label=f"{rate:g}", linewidth=1.6
        )
    axes.set_ylim(0, 4.2)
    axes.set_xlim(0, 2_000)
    axes.set_xlabel("batches")
    axes.set_ylabel("loss, mean of 50 batches")
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8, title="learning rate", title_fontsize=8, loc="upper center", ncols=5)
    return figure


def curves() -> Figure:
    """What `python train_net.py` draws."""
    data = load_data("mnist", None, 5_000, 0)
    network = TwoLayerNet(784, 50, 10, rng=np.random.default_rng(0))
    history = train(network, data, SGD(0.1), iterations=10_000, verbose=0)
    return plots.curves(history, "two-layer on mnist, seed 0")


def paths() -> Figure:
    """Three rules on their way down a narrow valley, f = (u / 7)^2 / 2 + v^2 / 2."""
    figure = canvas(9, 2.5)
    u, v = np.meshgrid(np.linspace(-8.6, 1.6, 160), np.linspace(-1.7, 1.7, 120))
    rules = {
        "gradient descent": (SGD(1.75), BLUE),
        "momentum 0.9": (SGD(0.25, momentum=0.9), ORANGE),
        "Adam": (Adam(0.5, beta_2=0.99), INK),
    }
    for axes, (name, (optimizer, color)) in zip(figure.subplots(1, 3), rules.items(), strict=True):
        axes.contour(
            u, v, (u / 7) ** 2 / 2 + v**2 / 2, levels=9, colors=plots.FAINT, linewidths=0.8
        )
        params = Parameters({"w": (2,)}, np.float64)
        grads = params.zeros_like()
        params["w"] = np.array([-7.5, 1.3])
        path = [params.flat.copy()]
        for _ in range(30):
            grads["w"] = params["w"] * np.array([1 / 49, 1])
            optimizer.update(params, grads)
            path.append(params.flat.copy())
        axes.plot(*np.array(path).T, ".-", color=color, linewidth=1.1, markersize=4)
        axes.plot(0, 0, "+", color="black", markersize=9)
        axes.set_xlim(-8.6, 1.6)
        axes.set_ylim(-1.7, 1.7)
        bare(axes, f"{name}, 30 steps")
    return figure


def optimizers() -> Figure:
    figure = canvas(7, 3.4)
    axes = figure.subplots()
    rules = {
        "gradient descent, 0.1": (SGD(0.1), BLUE),
        "with momentum 0.9": (SGD(0.1, momentum=0.9), ORANGE),
        "Adam, 0.003": (Adam(0.003), INK),
    }
    for name, (optimizer, color) in rules.items():
        network = TwoLayerNet(784, 50, 10, rng=np.random.default_rng(0))
        losses = smooth(losses_of(network, optimizer, 3_000))
        axes.plot((np.arange(len(losses)) + 25) / 600, losses, color=color, label=name)
    axes.set_ylim(0, 2.4)
    axes.set_xlim(0, 5)
    axes.set_xlabel("epoch")
    axes.set_ylabel("loss, mean of 50 batches")
    axes.grid(alpha=0.25)
    axes.legend(fontsize=9)
    return figure


# --- chapters 7 and 8 -----------------------------------------------------------------------------


def im2col() -> Figure:
    """Three patches of the 5 become rows; with a column of weights they give three pixels."""
    image = digits()[0][0].reshape(28, 28)
    edge = np.tile([-1.0, -1.0, 0.0, 1.0, 1.0], (5, 1)) / 10
    windows = np.lib.stride_tricks.sliding_window_view(image, (5, 5))
    answer = np.einsum("pqij,ij->pq", windows, edge)
    positions = {(6, 12): ORANGE, (12, 13): INK, (19, 15): SKY}
    figure = canvas(10.5, 3.3)
    left, rows, kernel, result = figure.subplots(1, 4, width_ratios=[1, 1.5, 0.42, 1])
    show(left, image, "the image, and three of\nits 24 x 24 windows")
    for (row, column), color in positions.items():
        corner = (column - 0.5, row - 0.5)
        left.add_patch(Rectangle(corner, 5, 5, fill=False, color=color, linewidth=2))
    bare(rows, "each window is a row of 25 numbers")
    for i, ((row, column), color) in enumerate(positions.items()):
        patch = image[row : row + 5, column : column + 5].reshape(1, 25)
        y = 2.2 - 1.1 * i
        rows.imshow(
            patch, cmap="gray_r", extent=(0, 25, y, y + 0.62), aspect="auto", vmin=0, vmax=1
        )
        rows.add_patch(Rectangle((0, y), 25, 0.62, fill=False, color=color, linewidth=2))
    rows.set_xlim(-0.5, 25.5)
    rows.set_ylim(-0.6, 3.3)
    kernel.imshow(edge.reshape(25, 1), cmap=SIGNED, aspect="auto", extent=(0, 1, 0, 25))
    kernel.set_xlim(-0.8, 1.8)
    bare(kernel, "times the filter,\na column")
    reach = float(np.abs(answer).max())
    show(
        result,
        answer,
        "one number for each:\nink right of paper, and left",
        cmap=SIGNED,
        vmin=-reach,
        vmax=reach,
    )
    for (row, column), color in positions.items():
        corner = (column - 0.5, row - 0.5)
        result.add_patch(Rectangle(corner, 1, 1, fill=False, color=color, linewidth=2))
    return figure


def fourier() -> Figure:
    """The 5, reconstructed from its lowest frequencies."""
    image = digits()[0][0].reshape(28, 28)
    spectrum = np.fft.fft2(image)
    frequency = np.abs(np.fft.fftfreq(28) * 28)
    figure = canvas(10, 2.2)
    first, *others = figure.subplots(1, 6)
    brightness = np.log1p(np.abs(np.fft.fftshift(spectrum)))
    show(first, brightness, "amplitudes", cmap=plots.colors("#ffffff", BLUE))
    for axes, fastest in zip(others, (1, 2, 4, 7, 14), strict=True):
        kept = np.maximum(frequency[:, None], frequency) <= fastest
        part = np.fft.ifft2(spectrum * kept).real
        show(axes, part, f"{np.count_nonzero(kept)} frequencies", vmin=0, vmax=1)
    return figure


# --- chapter 10 -----------------------------------------------------------------------------------


def photo() -> Figure:
    figure = draw_steps(read_digits(paper_photo("271828", seed=3)))
    figure.set_size_inches(8.6, 3.6)
    return figure


DRAWINGS: dict[str, Callable[[], Figure]] = {
    "pixels": pixels,
    "forward": forward,
    "loss": loss,
    "backward": backward,
    "differences": differences,
    "learning-rates": learning_rates,
    "curves": curves,
    "paths": paths,
    "optimizers": optimizers,
    "im2col": im2col,
    "fourier": fourier,
    "photo": photo,
}


def main(names: list[str]) -> None:
    for name in names or DRAWINGS:
        path = FIGURES / f"{name}.png"
        plots.save(DRAWINGS[name](), path)
        print(f"{path}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(sys.argv[1:])
