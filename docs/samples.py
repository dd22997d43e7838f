"""Draw docs/digits.png for the README: handwritten digits of MNIST on the left, digits that
`synthetic_digits` drew on the right, a row for each digit.

    python docs/samples.py [--dataset-dir DIR]
"""

import argparse
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from digits.data import synthetic_digits
from digits.files.atomic import write_file
from mnist_loader import load_mnist

COLUMNS = 12


def grid(images: NDArray[Any], labels: NDArray[Any]) -> NDArray[np.uint8]:
    """The first images (n, 28, 28) of each digit in a row of their own, dark on white."""
    rows = [np.hstack(images[labels == digit][:COLUMNS]) for digit in range(10)]
    return 255 - np.vstack(rows).astype(np.uint8)


def main() -> None:
    """Write the picture beside this file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset-dir", type=Path)
    options = parser.parse_args()
    (x, t), _ = load_mnist(flatten=False, dataset_dir=options.dataset_dir)
    handwritten = grid(x.reshape(-1, 28, 28), t)
    drawn = grid(*synthetic_digits.generate(1000, np.random.default_rng(0)))
    gap = np.full((len(drawn), 28), 255, np.uint8)
    _, png = cv2.imencode(".png", np.hstack([handwritten, gap, drawn]))
    write_file(Path(__file__).with_name("digits.png"), png.tobytes())


if __name__ == "__main__":
    main()
