"""Where randomness comes from: one seed for the program, from which every layer and every training
draws a seed of its own. Without `set_seed` the seeds are drawn from `numpy.random`, so that old
scripts repeat themselves after `np.random.seed(1337)`.
"""

import random as python_random
from typing import Any

import numpy as np

from digits.keras.graph import refuse_to_follow
from digits.keras.tensor import Tensor, tensor

_seeds: dict[str, np.random.Generator] = {}


def set_seed(seed: int) -> None:
    """Make what is drawn from here on depend on the seed alone."""
    _seeds["all"] = np.random.default_rng(seed)


def set_random_seed(seed: int) -> None:
    """The same, and the generators of Python and NumPy besides."""
    python_random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  the one that the user's own lines draw from
    set_seed(seed)


def new_generator(seed: Any = None) -> np.random.Generator:
    """A generator with a seed of its own."""
    if isinstance(seed, SeedGenerator):
        seed = seed.seed
    if seed is None:
        draw = _seeds["all"].integers if "all" in _seeds else np.random.randint
        seed = int(draw(2**31 - 1))
    return np.random.default_rng(abs(int(seed)))


class SeedGenerator:
    """A seed as an object, as newer scripts pass it."""

    def __init__(self, seed: int | None = None, **_: Any) -> None:
        self.seed = seed


def normal(
    shape: Any, mean: float = 0, stddev: float = 1, dtype: Any = None, seed: Any = None, **_: Any
) -> Tensor:
    refuse_to_follow("a random tensor")
    return tensor(new_generator(seed).normal(mean, stddev, shape), dtype or "float32")


def uniform(
    shape: Any, minval: float = 0, maxval: float = 1, dtype: Any = None, seed: Any = None, **_: Any
) -> Tensor:
    refuse_to_follow("a random tensor")
    return tensor(new_generator(seed).uniform(minval, maxval, shape), dtype or "float32")


def shuffle(x: Any, axis: int = 0, seed: Any = None) -> Tensor:
    return tensor(new_generator(seed).permutation(np.asarray(x), axis=axis))
