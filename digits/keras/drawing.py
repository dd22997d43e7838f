"""A model as a picture: its layers as boxes, one below the other."""

from pathlib import Path
from typing import Any


def plot_model(
    model: Any,
    to_file: Any = "model.png",
    show_shapes: bool = False,
    show_layer_names: bool = False,
    **_: Any,
) -> None:
    """Draw the layers of a model as boxes, one below the other, into a picture file."""
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
        box = {"boxstyle": "round", "facecolor": "#e8eef7", "edgecolor": "#34495e"}
        axes.text(0, -row, line, ha="center", va="center", fontsize=9, bbox=box)
        if row:
            axes.annotate(
                "",
                (0, -row + 0.24),
                (0, -row + 0.76),
                arrowprops={"arrowstyle": "->", "color": "#34495e"},
            )
    figure.savefig(Path(to_file))
