"""The color of ink: on a form or ruled paper, what has the color of the printed lines is print, and
what has another color was written.
"""

from itertools import combinations

import cv2
import numpy as np

from digits.photos.light import divide_light, odd, sheet_and_polarity
from digits.photos.lines import erase_lines
from digits.types import Array

COLOR_SIZE = 700
"""Colors are looked at in a picture no longer than this."""

MIN_DARKNESS = 60
"""Of 255: fainter ink has no color to go by."""

MIN_DIFFERENCE = 0.15
"""By so much of their darkness the inks of two colors differ, at least."""

MIN_BETWEEN = 0.75
"""Of the variance of colors, between two inks; of one normal distribution it is 0.64."""

MIN_LINES = 0.5
"""So much of an ink is lines where it is that of a form or of ruled paper."""


def erase_print(picture: Array, flat: Array) -> Array:
    """The evenly lit picture without the ink of printed lines, where there is ink of another color.

    The color of ink is by how much it is darker in one channel than in another, as a share of its
    darkness; two channels are compared, those in which two inks differ most. The inks are told
    apart by the threshold that leaves the least variance within both (Otsu 1979), and printed lines
    by how much of an ink is lines.

    Parameters
    ----------
    picture : uint8 (height, width, 3), the picture in blue, green and red, in any size.
    flat : uint8 (height, width), evenly lit, dark on white.
    """
    scale = min(1.0, COLOR_SIZE / max(flat.shape))
    size = tuple(max(1, round(side * scale)) for side in flat.shape[::-1])
    dark = 255 - cv2.resize(flat, size, interpolation=cv2.INTER_AREA)
    marked = dark > MIN_DARKNESS
    if not marked.any():
        return flat
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    lit = sheet_and_polarity(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY))
    channels = [255 - divide_light(one, *lit).astype(np.float32) for one in cv2.split(small)]
    near = (odd(max(size) / 250),) * 2
    darkest = np.maximum(cv2.blur(np.maximum.reduce(channels) * marked, near), 1)
    colors = [
        np.clip(cv2.blur((one - other) * marked, near) / darkest, -1, 1)
        for one, other in combinations(channels, 2)
    ]
    thresholds = [_threshold(color[marked]) for color in colors]
    best = int(np.argmax([difference for _, difference in thresholds]))
    color, (threshold, difference) = colors[best], thresholds[best]
    if difference < MIN_DIFFERENCE:
        return flat
    inks = [marked & (color <= threshold), marked & (color > threshold)]
    lines = [1 - erase_lines(ink, dark).sum() / ink.sum() for ink in inks]
    if max(lines) < MIN_LINES or min(lines) > MIN_LINES / 2:
        return flat
    color = cv2.resize(color, flat.shape[::-1], interpolation=cv2.INTER_LINEAR)
    is_print = (color > threshold) == (lines[1] > lines[0])
    return np.where(is_print, np.uint8(255), flat)


def _threshold(values: Array) -> tuple[float, float]:
    """The value in [-1, 1] that parts two inks, and by how much they differ; 0 where there seems to
    be but one: where little of the variance lies between them."""
    levels = np.rint(127 * (values + 1)).astype(np.uint8)
    level, _ = cv2.threshold(levels, 0, 1, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    threshold = (level + 0.5) / 127 - 1  # in the middle of two levels
    above = levels > level
    if not above.any() or above.all():
        return threshold, 0.0
    difference = float(values[above].mean() - values[~above].mean())
    share = float(above.mean())
    parted = share * (1 - share) * difference**2 > MIN_BETWEEN * float(values.var())
    return threshold, difference if parted else 0.0
