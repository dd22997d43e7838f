"""The training images that look most like a digit: nearest neighbors by the distance of pixels."""

from functools import cache
from typing import Any

import numpy as np

from digits.data.synthetic_digits import generate_inputs
from digits.page.inspection import gray_levels
from digits.page.messages import require
from digits.page.settings import DATA
from digits.types import Array
from mnist_loader import load_mnist

IMAGES = 10_000
COUNT = 8


def nearest(image: Array, data: str) -> dict[str, Any]:
    """The COUNT nearest of IMAGES training images, of "synthetic" or "mnist", to an image (784,)
    in [0, 1].

    Raises PageError for other data, DatasetError where MNIST is unavailable.
    """
    images, labels = _training_images(data)
    # |a - x|^2 = |a|^2 - 2 a x + |x|^2
    squares = np.einsum("ij,ij->i", images, images) - 2 * (images @ image) + image @ image
    return {
        "images": len(images),
        "neighbors": [
            {
                "image": gray_levels(images[i]),
                "label": int(labels[i]),
                "distance": float(np.sqrt(max(squares[i], 0))),
            }
            for i in np.argsort(squares)[:COUNT]
        ],
    }


@cache
def _training_images(data: str) -> tuple[Array, Array]:
    require(data in DATA, "choice", "data", ", ".join(DATA), data[:40])
    if data == "synthetic":
        return generate_inputs(IMAGES, np.random.default_rng(0))
    (images, labels), _ = load_mnist(normalize=True)
    return images[:IMAGES].copy(), labels[:IMAGES]
