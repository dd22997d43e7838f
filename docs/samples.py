"""Draw docs/digits.png: digits that `synthetic_digits` drew, a row for each digit.

python docs/samples.py
"""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from digits.data import synthetic_digits
from digits.files.atomic import write_file

COLUMNS = 24


def grid(images: NDArray[Any], labels: NDArray[Any]) -> NDArray[np.uint8]:
    """The first images (n, 28, 28) of each digit in a row of their own, dark on white."""
    rows = [np.hstack(images[labels == digit][:COLUMNS]) for digit in range(10)]
    return 255 - np.vstack(rows).astype(np.uint8)


def main() -> None:
    """Write the picture beside this file."""
    drawn = grid(*synthetic_digits.generate(1000, np.random.default_rng(0)))
    _, png = cv2.imencode(".png", drawn)
    write_file(Path(__file__).with_name("digits.png"), png.tobytes())


if __name__ == "__main__":
    main()
