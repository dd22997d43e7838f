"""Pictures of a reading: the photograph with its digits framed, and the steps that led to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from digits import plots
from digits.photos.reading import Reading
from digits.types import Array

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SURE, UNSURE, FAINT = plots.BLUE, plots.ORANGE, plots.FAINT

LEGIBLE = 400
"""Pixels that the longer side must have for what is written into a picture to be read."""


def draw_annotated(reading: Reading) -> Array:
    """The picture with a box around each digit and its reading above, uint8 (height, width, 3) in
    OpenCV's order: blue, or orange with a question mark where the reading is unsure. A small
    picture is enlarged: one of its pixels becomes a square of them."""
    picture = reading.picture
    canvas = cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR) if picture.ndim == 2 else picture.copy()
    zoom = -(-LEGIBLE // max(canvas.shape[:2]))  # rounded up: at least 1
    canvas = canvas.repeat(zoom, axis=0).repeat(zoom, axis=1)
    line = max(1, round(max(canvas.shape[:2]) / 500))
    font = cv2.FONT_HERSHEY_SIMPLEX
    boxes = [digit.box.scaled(zoom / reading.decode_scale) for digit in reading.digits]
    for digit, box in zip(reading.digits, boxes, strict=True):
        x, y, w, h = box
        above = [b.bottom for b in boxes if b.bottom < y + h / 2 and b.overlap(box)[0] > 0]
        room = y - max(above, default=0) - 5 * line
        color = _blue_green_red(UNSURE if digit.unsure else SURE)
        cv2.rectangle(canvas, (x - line, y - line), (x + w + line, y + h + line), color, line)
        text = f"{digit.digit}?" if digit.unsure else str(digit.digit)
        size = max(min(h / 60, max(canvas.shape[:2]) / 400), line / 2.5, 0.4)
        (_, tall), _ = cv2.getTextSize(text, font, size, line)
        smaller = max(min(1.0, room / tall), 0.4 / size, line / 5 / size)
        if y > smaller * tall + line:
            size, weight = size * smaller, max(1, int(line * smaller))
            bottom = max(y - 3 * line, round(tall * smaller) + 1)
        else:
            weight, bottom = line, y + h + tall + 4 * line
        bottom = min(bottom, canvas.shape[0] - line)
        cv2.putText(canvas, text, (x, bottom), font, size, (255, 255, 255), 3 * line, cv2.LINE_AA)
        cv2.putText(canvas, text, (x, bottom), font, size, color, weight, cv2.LINE_AA)
    return canvas


def _blue_green_red(color: str) -> tuple[int, int, int]:
    """A color written as #rrggbb in OpenCV's order."""
    number = int(color[1:], 16)
    return number & 255, number >> 8 & 255, number >> 16


def draw_steps(reading: Reading, title: str = "", most: int = 40) -> Figure:
    """How the picture was read: as it came, evenly lit, its ink; then each digit as the network saw
    it above the probability of 0 to 9."""
    from matplotlib.figure import Figure  # noqa: PLC0415  (loading it makes files)

    digits = reading.digits[:most]
    columns = max(6, min(10, len(digits)))
    lines = -(-len(digits) // columns)
    height, width = reading.flat.shape
    tall = min(4.5, max(1.6, 3.6 * height / width))
    figure = Figure(figsize=(11, tall + 0.5 + 2.0 * lines), dpi=120, layout="constrained")
    heights = [tall + 0.5, 2.0 * lines] if lines else [1.0]
    parts = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)
    if title:
        plots.set_title(figure, title)
    upright = reading.picture[..., ::-1] if reading.picture.ndim == 3 else reading.picture
    ink = np.where(reading.ink, 0, 255)
    steps = {"the picture": upright, "light flattened": reading.flat, "ink": ink}
    for axes, (name, step) in zip(parts[0, 0].subplots(1, 3), steps.items(), strict=True):
        axes.imshow(step, cmap="gray", vmin=0, vmax=255, interpolation="antialiased")
        axes.set_title(name, fontsize=10)
        axes.set_xticks([])
        axes.set_yticks([])
    if not lines:
        return figure
    if len(reading.digits) > most:
        parts[1, 0].suptitle(f"the first {most} of {len(reading.digits)} digits", fontsize=10)
    cells = parts[1, 0].subplots(2 * lines, columns, squeeze=False, height_ratios=[1.6, 1] * lines)
    for axes in cells.ravel():
        axes.set_axis_off()
    for index, digit in enumerate(digits):
        line, column = divmod(index, columns)
        image, bars = cells[2 * line, column], cells[2 * line + 1, column]
        color = UNSURE if digit.unsure else SURE
        image.imshow(digit.image, cmap="gray_r", vmin=0, vmax=1)
        image.set_title(f"{digit.digit}  {digit.confidence:.0%}", fontsize=9, color=color)
        bars.set_axis_on()
        colors = [color if number == digit.digit else FAINT for number in range(10)]
        bars.bar(range(10), digit.probabilities, color=colors, width=0.85)
        bars.set_ylim(0, 1)
        bars.set_xlim(-0.6, 9.6)
        bars.set_xticks(range(10), [str(number) for number in range(10)], fontsize=6)
        bars.tick_params(length=0, pad=1)
        bars.set_yticks([])
        for side in ("top", "right", "left"):
            bars.spines[side].set_visible(False)
    return figure
