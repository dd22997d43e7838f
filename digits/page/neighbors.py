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
    """The COUNT nearest of IMAGES images of "synthetic" or "mnist" to an image (784,) in [0, 1].

    Raises PageError for other data, DatasetError where MNIST is unavailable.
    """
    images, labels = _training_images(data)
    distances = np.linalg.norm(images - image, axis=1)
    neighbors = []
    for i in np.argsort(distances)[:COUNT]:
        known = {"image": gray_levels(images[i]), "label": int(labels[i])}
        neighbors.append(known | {"distance": float(distances[i])})
    return {"images": len(images), "neighbors": neighbors}


@cache
def _training_images(data: str) -> tuple[Array, Array]:
    require(data in DATA, "choice", "data", ", ".join(DATA), data[:40])
    if data == "synthetic":
        return generate_inputs(IMAGES, np.random.default_rng(0))
    (images, labels), _ = load_mnist(normalize=True)
    return images[:IMAGES].copy(), labels[:IMAGES]
