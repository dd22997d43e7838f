"""A model as a table, as Keras 3 prints it: its layers, their output shapes and numbers of
parameters; what each is called on, where the layers are no chain.
"""

from itertools import zip_longest
from typing import Any

from digits.keras.graph import in_order
from digits.keras.legacy import note
from digits.keras.progress import show
from digits.keras.resizing import PLACEHOLDER

TITLES = ("Layer (type)", "Output Shape", "Param #", "Connected to")
LEAST = (31, 22, 13, 17)
"""How wide the columns are, unless an entry is wider."""


def print_summary(model: Any, print_fn: Any = None) -> None:
    """Print the table, or give its lines to `print_fn`."""
    if getattr(model, "waits", False):
        note(f"what Input leaves open is shown as {PLACEHOLDER} until the first data tell it")
    layers = model.shown_layers
    sources = _sources(model) if hasattr(model, "outputs") and layers == model.layers else {}
    chain = all(len(found) < 2 for found in sources.values())
    rows = [_row(layer, ", ".join(sources.get(layer, "-"))) for layer in layers]
    rows = [row[: 3 if chain else 4] for row in (TITLES, *rows)]
    widths = [max(least, *map(len, part)) for least, *part in zip(LEAST, *rows, strict=False)]

    def rule(left: str, fill: str, between: str, right: str) -> str:
        return left + between.join(fill * (width + 2) for width in widths) + right

    lines = [f'Model: "{model.name}"', rule("┏", "━", "┳", "┓")]
    ends = [rule("┡", "━", "╇", "┩"), *[rule("├", "─", "┼", "┤")] * (len(rows) - 2)]
    for row, end in zip_longest(rows, ends, fillvalue=rule("└", "─", "┴", "┘")):
        side = "┃" if row is rows[0] else "│"
        cells = [f"{cell:{'<<><'[i]}{widths[i]}}" for i, cell in enumerate(row)]
        lines += [f"{side} {f' {side} '.join(cells)} {side}", end]
    numbers = {v.path + str(id(v.core)): v for v in model.weights}.values()
    trained = sum(v.array.size for v in numbers if v.trainable)
    total = sum(v.array.size for v in numbers)
    counts = {"Total": total, "Trainable": trained, "Non-trainable": total - trained}
    for line in [*lines, *(f" {k} params: {n:,} ({size_of(n)})" for k, n in counts.items())]:
        (print_fn or show)(line)


def _row(layer: Any, sources: str) -> tuple[str, ...]:
    """The entries of a layer."""
    kind = "Functional" if type(layer).__name__ == "Model" else type(layer).__name__
    shapes = [str((None, *t.sizes)) for t in getattr(layer, "outputs", ())]
    shape = shapes[0] if len(shapes) == 1 else f"[{', '.join(shapes)}]"
    shape = shape if shapes else str((None, *layer.output_sizes)) if layer.built else "?"
    count = f"{layer.count_params():,}" if layer.built else "0 (unbuilt)"
    return f"{layer.name} ({kind})", shape, count, sources


def _sources(model: Any) -> dict[Any, list[str]]:
    """The tensors that each layer is called on: name of a layer, number of its call and output."""
    found: dict[Any, list[str]] = {}
    for made in in_order(model.outputs, model.inputs)[len(model.inputs) :]:
        for source in made.inputs:
            calls = source.layer.call_results
            call = calls.index(source) if source in calls else 0
            name = f"{source.layer.name}[{call}][{source.index}]"
            found[made.layer] = [*dict.fromkeys([*found.get(made.layer, []), name])]
    return found


def size_of(numbers: int) -> str:
    """The memory that so many float32 numbers take."""
    power = min(3, max(0, (4 * numbers).bit_length() - 1) // 10)
    return f"{4 * numbers / 1024**power:.2f} {('B', 'KB', 'MB', 'GB')[power]}"
