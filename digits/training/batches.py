"""The images to train on, to choose the best epoch by and to test with, and batches of them."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from digits.types import Array
from digits.validation import check, positive_int
from functions import require_finite, unmasked

Augment = Callable[[Array, np.random.Generator], Array]
"""Returns a changed copy of a batch of images."""


@dataclass(frozen=True)
class Data:
    """Images to train on, to choose the best epoch by and to test with: x float (n, 784) in [0, 1],
    t class indices (n,). The second and third part may be empty.

    Raises ValueError if images and labels do not go together, or a pixel is not finite.
    """

    x_train: Array
    t_train: Array
    x_validation: Array = field(default_factory=lambda: np.zeros((0, 784), np.float32))
    t_validation: Array = field(default_factory=lambda: np.zeros(0, int))
    x_test: Array = field(default_factory=lambda: np.zeros((0, 784), np.float32))
    t_test: Array = field(default_factory=lambda: np.zeros(0, int))

    def __post_init__(self) -> None:
        for name in vars(self):
            object.__setattr__(self, name, unmasked(getattr(self, name)))
        for name, (x, t) in self.parts().items():
            kind = "training" if name == "train" else name
            advice = "join what a generator gives, as np.concatenate(list(batches)) does"
            check(x.ndim, f"an array of {kind} images", x.ndim or x.item(), advice)
            images, labels = len(x), len(t) if t.ndim else 0
            check(images == labels, f"{images:,} labels, one for each {kind} image", labels)
            n, size = self.x_train[:1].size or x[:1].size, x[:1].size
            check(size in (0, n), f"{kind} images of {n} numbers, as for training", x.shape)
            require_finite(x)
            require_finite(t, "targets")
        check(len(self.x_train) > 0, "at least 1 image to train on", 0)

    def parts(self) -> dict[str, tuple[Array, Array]]:
        """Images and labels by the name of their part, "train", "validation" or "test"."""
        return {
            "train": (self.x_train, self.t_train),
            "validation": (self.x_validation, self.t_validation),
            "test": (self.x_test, self.t_test),
        }


class Batches(Protocol):
    """A source of batches, as the training loop uses it."""

    def __len__(self) -> int:
        """Batches in an epoch."""

    def epoch(self, epoch: int, start: int = 0) -> Iterable[tuple[ArrayLike, ArrayLike]]:
        """The batches (x, t) of an epoch, counted from 0, from batch `start` on."""


@dataclass(frozen=True)
class ShuffledBatches:
    """Every image once in an epoch, in an order that depends on seed and epoch alone.

    `augment` changes each batch, with a random generator that depends on seed, epoch and batch
    alone.
    """

    x: Array
    t: Array
    batch_size: int = 100
    seed: int = 0
    augment: Augment | None = None

    def __post_init__(self) -> None:
        positive_int(self.batch_size, "a batch size")

    def __len__(self) -> int:
        return math.ceil(len(self.x) / self.batch_size)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[tuple[Array, Array]]:
        """The batches of an epoch from number `start` on."""
        order = np.random.default_rng((self.seed, epoch)).permutation(len(self.x))
        for i in range(start, len(self)):
            chosen = order[i * self.batch_size : (i + 1) * self.batch_size]
            x = self.x[chosen]
            if self.augment is not None:
                x = self.augment(x, np.random.default_rng((self.seed, epoch, i)))
            yield x, self.t[chosen]
