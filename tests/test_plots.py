"""Every picture, of ordinary and of odd things, shows the numbers that it was given."""

import struct
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from tiny_data import digits

from digits import plots
from digits.training.history import EpochRecord, History
from digits.types import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def history(epochs: int, batches: int = 6, extra: int = 0, validation: bool = True) -> History:
    """Of a training that goes well, `extra` batches into the next epoch."""
    story, rng = History(), np.random.default_rng(0)
    count = epochs * batches + extra
    story.losses = (2.3 * np.exp(-np.arange(count) / 20) + 0.2 * rng.random(count)).tolist()
    for epoch in range(1, epochs + 1):
        loss, accuracy = 2.3 * 0.7**epoch, 1 - 0.5**epoch
        held_out = (loss * 1.1, accuracy * 0.9) if validation else (None, None)
        figures = loss, accuracy, *held_out, loss * 1.2, accuracy * 0.8
        story.add(EpochRecord(epoch, epoch * batches, 0.1, *figures), np.zeros(1), np.zeros(0))
    return story


def images(n: int) -> tuple[Array, Array]:
    data = digits(120, 0, 0)
    return data.x_train[:n], data.t_train[:n]


def predictions(t: Array, wrong: int, sure: float = 0.8) -> Array:
    """Probabilities that read the first `wrong` digits as the next one."""
    read = np.where(np.arange(len(t)) < wrong, (t + 1) % 10, t)
    y = np.full((len(t), 10), (1 - sure) / 9)
    y[np.arange(len(t)), read] = sure
    return y


def maps(*shapes: tuple[int, int, int]) -> list[tuple[str, Array]]:
    rng = np.random.default_rng(0)
    return [(f"layer {i}", rng.random(shape, np.float32)) for i, shape in enumerate(shapes)]


def cut_short() -> History:
    story = history(2, extra=3)
    story.add(EpochRecord(3, 15, 0.1, 0.5, 0.9, 0.6, 0.8, 0.7, 0.7), np.zeros(1), np.zeros(0))
    return story


def diverging() -> History:
    story = history(3)
    story.losses = [10.0**i for i in range(18)]
    return story


MAPS = maps((28, 28, 2), (5, 5, 3), (1, 1, 120))
GAUSS = np.random.default_rng(1).standard_normal((784, 300))
PICTURES: dict[str, Callable[[], "Figure"]] = {
    "curves, 20 epochs": lambda: plots.curves(history(20, batches=550), "two-layer, seed 0"),
    "curves, 1 epoch": lambda: plots.curves(history(1), "1 epoch"),
    "curves, 1 batch": lambda: plots.curves(history(1, batches=1)),
    "curves, no validation": lambda: plots.curves(history(3, validation=False)),
    "curves, before the first epoch": lambda: plots.curves(history(0, extra=4)),
    "curves, the last epoch cut short": lambda: plots.curves(cut_short()),
    "curves, nothing": lambda: plots.curves(History()),
    "curves, diverging": lambda: plots.curves(diverging()),
    "samples, 13": lambda: plots.samples(*images(13), "thirteen"),
    "samples, none": lambda: plots.samples(*images(0), "none"),
    "mistakes, none": lambda: plots.mistakes(*images(50), predictions(images(50)[1], 0)),
    "mistakes, 90": lambda: plots.mistakes(*images(90), predictions(images(90)[1], 90), most=12),
    "mistakes, of no images": lambda: plots.mistakes(*images(0), np.zeros((0, 10)), "nothing"),
    "confusion": lambda: plots.confusion(np.arange(100).reshape(10, 10) * 13, "two-layer"),
    "confusion, nothing": lambda: plots.confusion(np.zeros((10, 10), int)),
    "confusion, 1 class": lambda: plots.confusion(np.array([[7]])),
    "weights, 300 units": lambda: plots.weights(GAUSS, "mlp", most=12),
    "weights, 1 unit": lambda: plots.weights(GAUSS[:, :1]),
    "weights, all 0": lambda: plots.weights(np.zeros((784, 12))),
    "weights, filters of 3 channels": lambda: plots.weights(GAUSS[:75, :6].reshape(5, 5, 3, 6)),
    "maps": lambda: plots.feature_maps(images(1)[0][0], MAPS, np.eye(10)[8], "test 0", most=4),
    "maps, none": lambda: plots.feature_maps(images(1)[0][0], [], np.full(10, 0.1)),
}


@cache
def drawn(name: str) -> "Figure":
    return PICTURES[name]()


def panels(figure: "Figure") -> list["Axes"]:
    return [axes for axes in figure.axes if axes.images]


@pytest.mark.parametrize("name", PICTURES)
def test_every_picture_becomes_a_file(name: str, tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "图.png"
    plots.save(drawn(name), path)
    content = path.read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", content[16:24])
    assert 300 <= width <= 2000 and 100 <= height <= 2000


def curve(axes: "Axes", name: str) -> tuple[list[float], list[float]]:
    (line,) = [line for line in axes.lines if line.get_label() == name]
    return np.asarray(line.get_xdata()).tolist(), np.asarray(line.get_ydata()).tolist()


def test_curves_show_the_history() -> None:
    story = history(4)
    loss, accuracy = plots.curves(story, "a title").axes
    assert (loss.get_title(), accuracy.get_title()) == ("loss", "accuracy")
    assert loss.get_xlabel() == accuracy.get_xlabel() == "epoch"
    for name in ("train", "validation", "test"):
        for axes, figure_of in ((loss, "loss"), (accuracy, "accuracy")):
            epochs, values = curve(axes, name)
            assert epochs == [1, 2, 3, 4]
            assert values == [getattr(r, f"{name}_{figure_of}") for r in story.epochs]
    times, losses = curve(loss, "each batch")
    assert losses == story.losses
    assert times == pytest.approx(np.arange(1, 25) / 6)
    assert plots.curves(story, "a title").get_suptitle() == "a title"


@pytest.mark.parametrize("name", ["curves, 20 epochs", "curves, diverging", "curves, 1 epoch"])
def test_every_epoch_is_inside_the_picture(name: str) -> None:
    drawn(name).draw_without_rendering()
    for axes in drawn(name).axes:
        (low, high), legend = axes.get_ylim(), axes.get_legend().get_window_extent()  # type: ignore[union-attr]
        for of_set in ("train", "validation", "test"):
            epochs, values = curve(axes, of_set)
            assert low <= min(values) <= max(values) <= high
            assert legend.count_contains(axes.transData.transform(np.c_[epochs, values])) == 0
    assert drawn(name).axes[0].get_ylim()[1] < 4  # one wild batch does not flatten the rest


def test_odd_curves() -> None:
    """An epoch cut short is shown where it ended; a loss that falls far has a logarithmic axis."""
    assert curve(drawn("curves, the last epoch cut short").axes[0], "test")[0] == [1, 2, 2.5]
    assert drawn("curves, 20 epochs").axes[0].get_yscale() == "log"
    assert drawn("curves, no validation").axes[0].get_yscale() == "linear"


def test_samples_of_other_sizes_and_classes() -> None:
    """Rows of squares, gray and colored images; anything else is refused in a sentence."""
    for shape in ((4, 1024), (4, 20, 30), (4, 9, 9, 1), (4, 8, 8, 3)):
        x = np.random.default_rng(0).random(shape)
        figure = plots.samples(x, np.arange(4), names=plots.class_names("fashion"))
        assert [axes.get_title() for axes in panels(figure)][3] == "dress"
    with pytest.raises(ValueError, match="rows of square images"):
        plots.samples(np.zeros((2, 30)), np.zeros(2, int))


def test_samples_show_the_images_with_their_labels() -> None:
    x, t = images(13)
    shown = panels(plots.samples(x.tolist(), t))
    assert [axes.get_title() for axes in shown] == [str(label) for label in t]
    for axes, image in zip(shown, x, strict=True):
        np.testing.assert_array_equal(axes.images[0].get_array(), image.reshape(28, 28))


def test_mistakes_start_with_the_most_confident() -> None:
    x, t = images(30)
    y = predictions(t, 0)
    for i, sure in ((4, 0.6), (7, 0.9), (20, 0.7)):
        y[i] = (1 - sure) / 9
        y[i, (t[i] + 3) % 10] = sure
    figure = plots.mistakes(x, t, y, "two-layer")
    shown = panels(figure)
    read = [f"{t[i]}, read as {(t[i] + 3) % 10}\n{p}0%" for i, p in ((7, 9), (20, 7), (4, 6))]
    assert [axes.get_title() for axes in shown] == read
    np.testing.assert_array_equal(shown[0].images[0].get_array(), x[7].reshape(28, 28))
    assert figure.get_suptitle() == "two-layer: 3 of 30 wrong"

    figure = drawn("mistakes, 90")
    assert len(panels(figure)) == 12
    assert figure.get_suptitle() == "90 of 90 wrong, the 12 most confident"
    assert "0 of 50 wrong" in drawn("mistakes, none").get_suptitle()


def test_confusion_writes_true_digits_in_rows() -> None:
    counts = np.zeros((10, 10), int)
    counts[3, 8], counts[5, 5] = 17, 1234
    (axes,) = plots.confusion(counts).axes
    texts = {text.get_text(): text.get_position() for text in axes.texts}
    assert texts == {"17": (8, 3), "1,234": (5, 5)}
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("read as", "true class")
    colors = np.asarray(axes.images[0].get_array())
    assert colors[3, 8] == colors.max() == 17
    assert colors[5, 5] == 0  # correct predictions would outshine the mistakes


def test_weights_show_one_unit_in_one_image() -> None:
    shown = panels(plots.weights(GAUSS[:, :7]))
    assert len(shown) == 7
    most = np.abs(GAUSS[:, :7]).max()
    for unit, axes in enumerate(shown):
        np.testing.assert_array_equal(axes.images[0].get_array(), GAUSS[:, unit].reshape(28, 28))
        assert axes.images[0].get_clim() == (-most, most)  # nothing is white
    assert len(panels(drawn("weights, 300 units"))) == 12


def test_feature_maps_show_each_layer_in_a_row() -> None:
    x = images(1)[0][0]
    figure = drawn("maps")
    shown = panels(figure)
    assert len(shown) == 1 + 2 + 3 + 4
    np.testing.assert_array_equal(shown[0].images[0].get_array(), x.reshape(28, 28))
    np.testing.assert_array_equal(shown[1].images[0].get_array(), MAPS[0][1][:, :, 0])
    names = [axes.get_title(loc="left") for axes in shown if axes.get_title(loc="left")]
    assert names == ["input", *(name for name, _ in MAPS)]
    heights = [bar.get_height() for bar in figure.axes[-1].patches]  # type: ignore[attr-defined]
    assert heights == np.eye(10)[8].tolist()
