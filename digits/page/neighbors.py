"""The training images that look most like a digit: nearest neighbors by the distance of pixels."""

from __future__ import annotations

from threading import Lock
from typing import Any

import numpy as np

from digits.data.synthetic_digits import generate
from digits.page.inspection import as_base64
from digits.page.messages import PageError
from digits.types import Array
from mnist_loader import load_mnist

IMAGES = 10_000
COUNT = 8


class Neighbors:
    """Training images of "synthetic" digits or of "mnist"; they are loaded when first asked for."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._loaded: dict[str, tuple[Array, Array]] = {}

    def nearest(self, image: Array, data: str) -> dict[str, Any]:
        """The COUNT nearest of IMAGES training images to an image (784,) in [0, 1].

        Raises PageError for other data, DatasetError where MNIST is unavailable.
        """
        with self._lock:
            if data not in self._loaded:
                self._loaded[data] = _load(data)
        images, labels = self._loaded[data]
        # |a - x|^2 = |a|^2 - 2 a x + |x|^2
        squares = np.einsum("ij,ij->i", images, images) - 2 * (images @ image) + image @ image
        nearest = np.argsort(squares)[:COUNT]
        return {
            "images": len(images),
            "neighbors": [
                {
                    "image": as_base64(np.rint(255 * images[i]).astype(np.uint8)),
                    "label": int(labels[i]),
                    "distance": float(np.sqrt(max(squares[i], 0))),
                }
                for i in nearest
            ],
        }


def _load(data: str) -> tuple[Array, Array]:
    if data == "synthetic":
        images, labels = generate(IMAGES, np.random.default_rng(0))
        return images.reshape(-1, 784).astype(np.float32) / 255, labels
    if data == "mnist":
        (images, labels), _ = load_mnist(normalize=True)
        return images[:IMAGES].copy(), labels[:IMAGES]
    raise PageError("choice", "data", "synthetic, mnist", data[:40])
