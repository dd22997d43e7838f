"""A model as a picture: its layers as boxes, one below the other."""

import io
from pathlib import Path
from typing import Any

from digits import plots


class Drawing:
    """A model as a figure; `create` and `write_png` are those of a drawing by Graphviz."""

    def __init__(self, figure: Any) -> None:
        self.figure = figure

    def create(self, prog: Any = None, format: str = "svg", **_: Any) -> bytes:
        buffer = io.BytesIO()
        self.figure.savefig(buffer, format=format)
        return buffer.getvalue()

    def write_png(self, path: Any, **_: Any) -> None:
        self.figure.savefig(Path(path))


def plot_model(model: Any, to_file: Any = "model.png", **options: Any) -> None:
    """Draw the layers of a model as boxes, one below the other, into a picture file."""
    model_to_dot(model, **options).write_png(to_file)


def model_to_dot(
    model: Any, show_shapes: bool = False, show_layer_names: bool = False, **_: Any
) -> Drawing:
    """The layers of a model as boxes, one below the other; a notebook shows them by
    `SVG(model_to_dot(model).create())`."""
    # Loaded when there is something to draw: matplotlib takes as long as the rest of the library.
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    lines = []
    for layer in model.layers:
        line = type(layer).__name__
        line = f"{layer.name} ({line})" if show_layer_names else line
        shape = (None, *layer.output_sizes) if layer.built else "?"
        lines.append(f"{line}\n{shape}" if show_shapes else line)
    figure = Figure(figsize=(4, 0.3 + 0.8 * len(lines)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.set(xlim=(-1, 1), ylim=(-len(lines) + 0.5, 0.5))
    axes.axis("off")
    for row, line in enumerate(lines):
        box = {"boxstyle": "round", "facecolor": plots.FAINT, "edgecolor": plots.INK}
        axes.text(0, -row, line, ha="center", va="center", fontsize=9, bbox=box)
        if row:
            arrow = {"arrowstyle": "->", "color": plots.INK}
            axes.annotate("", (0, -row + 0.24), (0, -row + 0.76), arrowprops=arrow)
    return Drawing(figure)
