"""Where randomness comes from: one seed for the program, from which every layer and every training
draws a seed of its own. Without `set_seed` the seeds are drawn from `numpy.random`, so that old
scripts repeat themselves after `np.random.seed(1337)`.
"""

import functools
import inspect
import random as python_random
import weakref
from typing import Any

import numpy as np

from digits.keras.graph import refuse_to_follow
from digits.keras.tensor import Tensor, tensor

_seeds: dict[str, np.random.Generator] = {}


def set_seed(seed: int) -> None:
    """Make what is drawn from here on depend on the seed alone."""
    _seeds["all"] = np.random.default_rng(seed)
    _ops.clear()
    _drawing.clear()


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


_ops: dict[int, SeedGenerator] = {}
"""What the seeds of TensorFlow's functions stand for."""

_drawing: weakref.WeakKeyDictionary[SeedGenerator, np.random.Generator] = (
    weakref.WeakKeyDictionary()
)
"""What each SeedGenerator draws from."""


def of_op(seed: Any) -> Any:
    """The seed of a function of TensorFlow, whose numbers go on from call to call."""
    if seed is None or isinstance(seed, SeedGenerator):
        return seed
    start = [_seeds["all"].bit_generator.seed_seq.entropy] if "all" in _seeds else []  # type: ignore[attr-defined]
    if int(seed) not in _ops:
        _ops[int(seed)] = SeedGenerator(int(seed))
        rng = np.random.default_rng([*start, abs(int(seed))])
        _drawing[_ops[int(seed)]] = rng
    return _ops[int(seed)]


def generator_of(seed: Any) -> np.random.Generator:
    """A new generator for a number; that of a SeedGenerator goes on from call to call."""
    if not isinstance(seed, SeedGenerator):
        return new_generator(seed)
    if seed not in _drawing:
        _drawing[seed] = new_generator(seed)
    return _drawing[seed]


def as_op(draw: Any) -> Any:
    """A function of this file as TensorFlow has it: with a seed it goes on from call to call."""
    signature = inspect.signature(draw)

    @functools.wraps(draw)
    def call(*args: Any, **kwargs: Any) -> Tensor:
        given = signature.bind(*args, **kwargs)
        given.arguments["seed"] = of_op(given.arguments.get("seed"))
        made: Tensor = draw(*given.args, **given.kwargs)
        return made

    return call


def normal(
    shape: Any, mean: float = 0, stddev: float = 1, dtype: Any = None, seed: Any = None, **_: Any
) -> Tensor:
    refuse_to_follow("a random tensor")
    return tensor(generator_of(seed).normal(mean, stddev, shape), dtype or "float32")


def uniform(
    shape: Any, minval: float = 0, maxval: float = 1, dtype: Any = None, seed: Any = None, **_: Any
) -> Tensor:
    refuse_to_follow("a random tensor")
    return tensor(generator_of(seed).uniform(minval, maxval, shape), dtype or "float32")


def gamma(shape: Any, alpha: Any, dtype: Any = None, seed: Any = None, **_: Any) -> Tensor:
    refuse_to_follow("a random tensor")
    return tensor(generator_of(seed).gamma(alpha, size=shape), dtype or "float32")


def shuffle(x: Any, axis: int = 0, seed: Any = None) -> Tensor:
    return tensor(generator_of(seed).permutation(np.asarray(x), axis=axis))


def truncated_normal(
    shape: Any, mean: float = 0, stddev: float = 1, dtype: Any = None, seed: Any = None, **_: Any
) -> Tensor:
    """Normal numbers, those beyond two standard deviations drawn again."""
    refuse_to_follow("a random tensor")
    rng = generator_of(seed)
    z = np.asarray(rng.normal(size=shape))
    while (far := np.abs(z) > 2).any():
        z[far] = rng.normal(size=int(far.sum()))
    return tensor(mean + stddev * z, dtype or "float32")


def categorical(
    logits: Any, num_samples: int, dtype: Any = None, seed: Any = None, **_: Any
) -> Tensor:
    """Class indices (rows, num_samples), as likely as the softmax of each row of logits says."""
    refuse_to_follow("a random tensor")
    x = np.asarray(logits, np.float64)[:, np.newaxis]
    noise = generator_of(seed).gumbel(size=(len(x), int(num_samples), x.shape[-1]))
    return tensor(np.argmax(x + noise, axis=-1), dtype or "int64")
