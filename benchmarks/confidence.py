"""Measures the confidence of a network for photographs: its calibration error, and how many
non-digits fall below the confidence that 99 % of the digits reach.

    python benchmarks/confidence.py [MODEL] [--dataset-dir DIR]

The threshold is found on validation images; everything else is measured on test images, on things
cut from them, and on letters of fonts that the network did not see.
"""

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from digits.data import non_digits
from digits.files.models import load_model
from digits.files.npz import StorageError
from digits.nn.network import Network
from digits.photos.classification import soften
from digits.photos.components import normalize_digit
from digits.types import Array
from mnist_loader import DatasetError
from train_net import load_data

FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_COMPLEX, cv2.FONT_HERSHEY_SCRIPT_COMPLEX)
LETTERS = "ACEFGHJKMNPQRTUVWXYacdefhijkmnpruvwx#%&?=+*@$"


def calibration_error(y: Array, t: Array, bins: int = 15) -> float:
    """Expected calibration error: the difference between confidence and accuracy, averaged over
    bins of confidence, for probabilities y (n, k) (Guo et al., "On calibration of modern neural
    networks", 2017).
    """
    confidence, right = y.max(axis=1), y.argmax(axis=1) == t
    of_bin = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = np.bincount(of_bin, right, bins) - np.bincount(of_bin, confidence, bins)
    return float(np.abs(gaps).sum() / len(t))


def confidence(network: Network, x: Array) -> Array:
    """The probability of the most probable digit, (n,): what `predict_image` reports."""
    return soften(network.predict(x))[:, :10].max(axis=1)


def typeset() -> Array:
    """Letters of three fonts in three weights, (n, 784)."""
    found = []
    for font in FONTS:
        for letter in LETTERS:
            for weight in (3, 6, 9):
                paper = np.zeros((140, 140), np.uint8)
                cv2.putText(paper, letter, (25, 95), font, 2.6, 255, weight, cv2.LINE_AA)
                found.append(normalize_digit(paper.astype(np.float32) / 255).ravel())
    return np.array(found)


def others(x: Array, t: Array, rng: np.random.Generator, n: int = 1000) -> dict[str, Array]:
    """Non-digits by kind: images (n, 784)."""
    drawn: dict[str, Callable[[], list[Array]]] = {
        "parts of digits": partial(non_digits.parts, n, x, t, rng),
        "touching digits": partial(non_digits.pairs, n, x, t, rng),
        "letters": lambda: [non_digits.letter(rng) for _ in range(n)],
        "scribbles": lambda: [non_digits.scribble(rng) for _ in range(n)],
        "lines": lambda: [non_digits.line(rng) for _ in range(n)],
        "blots": lambda: [non_digits.blot(rng) for _ in range(n)],
    }
    sets = {kind: non_digits.prepared(draw()) for kind, draw in drawn.items()}
    noise = rng.normal(0, rng.uniform(0, 0.1, (n, 1)), (n, 784))
    return sets | {"typeset letters": typeset(), "noisy paper": noise.clip(0, 1).astype(np.float32)}


def main() -> int:
    """Print the calibration error, the threshold, and a table of what falls below it."""
    shipped = Path(__file__).parent.parent / "digits" / "models" / "photo.npz"
    parser = argparse.ArgumentParser(prog="confidence", description="Measure confidence.")
    parser.add_argument("model", type=Path, nargs="?", default=shipped)
    parser.add_argument("--dataset-dir", type=Path)
    options = parser.parse_args()
    try:
        network = load_model(options.model)
        # The validation images of the training run, without those it added.
        data = load_data("mnist", options.dataset_dir, 5000, int(str(network.metadata["seed"])))
    except (DatasetError, StorageError, OSError, KeyError) as error:
        print(f"confidence: {error}", file=sys.stderr)
        return 1

    y = soften(network.predict(data.x_test))
    print(f"test accuracy {np.mean(y.argmax(axis=1) == data.t_test):.4f}")
    print(f"expected calibration error {calibration_error(y, data.t_test):.2%}")
    threshold = float(np.quantile(confidence(network, data.x_validation), 0.01))
    print(f"1 % of the validation digits are below {threshold:.3f}, and of")
    print(f"{'test digits':>16} {np.mean(confidence(network, data.x_test) < threshold):6.1%}")
    for kind, x in others(data.x_test, data.t_test, np.random.default_rng(0)).items():
        print(f"{kind:>16} {np.mean(confidence(network, x) < threshold):6.1%}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
