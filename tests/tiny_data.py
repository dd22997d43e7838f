"""Things to train in a moment: a few drawn digits, in arrays or on disk, and a small network."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import DTypeLike

import mnist_loader
from digits import Dense, Dropout, Sequential
from digits.data import download, synthetic_digits
from train_net import Data, train

fit = partial(train, verbose=0)

TRAIN, TEST = 700, 200
"""Images in the data set that `write_data_set` puts on disk."""


def digits(train: int, validation: int, test: int) -> Data:
    """Drawn digits in three sets of these sizes, always the same."""
    images, labels = synthetic_digits.generate(train + validation + test, np.random.default_rng(0))
    x = (images / np.float32(255)).reshape(-1, 784)
    a, b = train, train + validation
    return Data(x[:a], labels[:a], x[a:b], labels[a:b], x[b:], labels[b:])


def write_data_set(folder: Path) -> Path:
    """Leave 700 and 200 digits in `folder`, which `--dataset synthetic` takes for the whole set."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(synthetic_digits, "SIZES", (TRAIN, TEST))
        mnist_loader.load_mnist(dataset="synthetic", dataset_dir=folder)
    return folder


def without_mirrors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every data set has one mirror, where nobody answers."""
    for name, dataset in download.DATASETS.items():
        unreachable = dataset._replace(mirrors=("http://127.0.0.1:9/",))
        monkeypatch.setitem(download.DATASETS, name, unreachable)


def small_with_dropout(
    rng: np.random.Generator, dtype: DTypeLike = np.float32, dropout: float = 0.5
) -> Sequential:
    """Builds what a recipe asks for: a network whose training draws random numbers."""
    return Sequential(
        [Dense(20, activation="relu"), Dropout(dropout), Dense(10)], rng=rng, dtype=dtype
    )
