"""A model as a table: its layers, their output shapes and numbers of parameters."""

from typing import Any

from digits.keras.progress import show


def print_summary(model: Any, print_fn: Any = None) -> None:
    """Print the table, or give its lines to `print_fn`."""
    rows = [("Layer (type)", "Output Shape", "Param #")]
    for layer in model.layers:
        shape = str((None, *layer.output_sizes)) if layer.built else "?"
        count = f"{layer.count_params():,}" if layer.built else "0 (unbuilt)"
        rows.append((f"{layer.name} ({type(layer).__name__})", shape, count))
    widths = [max(28, *(len(row[0]) for row in rows)), 24, 12]
    rule = "─" * (sum(widths) + 4)
    lines = [f'Model: "{model.name}"', rule]
    for row in rows:
        lines.append(f"{row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]:>{widths[2]}}")
        if row is rows[0]:
            lines.append("═" * len(rule))
    numbers = {v.path + str(id(v.core)): v for v in model.weights}.values()
    trained = sum(v.array.size for v in numbers if v.trainable)
    total = sum(v.array.size for v in numbers)
    lines += [
        rule,
        f"Total params: {total:,} ({size_of(total)})",
        f"Trainable params: {trained:,} ({size_of(trained)})",
        f"Non-trainable params: {total - trained:,} ({size_of(total - trained)})",
    ]
    for line in lines:
        (print_fn or show)(line)


def size_of(numbers: int) -> str:
    """The memory that so many float32 numbers take."""
    power = min(3, max(0, (4 * numbers).bit_length() - 1) // 10)
    return f"{4 * numbers / 1024**power:.2f} {('B', 'KB', 'MB', 'GB')[power]}"
