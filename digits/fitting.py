"""Keras' verb `fit` for any network of this library, on the training loop of train_net.py: users
call it as a method, `network.fit(x, t, epochs=5)`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from digits.nn.optimizers import Adam, Optimizer
from digits.training.batches import Augment, Data
from digits.training.callbacks import Callback
from digits.training.history import History
from digits.validation import check
from train_net import train


def fit(
    network: Any,
    x: ArrayLike,
    t: ArrayLike,
    *,
    epochs: int = 1,
    batch_size: int = 32,
    validation_data: tuple[ArrayLike, ArrayLike] | None = None,
    validation_split: float = 0.0,
    optimizer: Optimizer | None = None,
    augment: Augment | None = None,
    callbacks: Sequence[Callback] = (),
    verbose: int = 1,
) -> History:
    """Train for so many epochs more; the weights of the last one stay.

    validation_data: (x, t) to measure after each epoch, or validation_split: the fraction of x and
        t, taken from their end, that is measured instead of trained on.
    optimizer: Adam() if none was ever given; kept, so that a second `fit` goes on with it.
    verbose: 0 prints nothing, 1 shows a bar on a terminal, 2 a line for each epoch everywhere.

    The order of the images comes from `network.rng`. Raises ValueError for data that cannot be
    trained on, TrainingError when the loss is no longer finite.
    """
    x, t = np.asarray(x), np.asarray(t)
    check(0 <= validation_split < 1, "a validation_split in [0, 1)", validation_split)
    held_out = validation_data
    if held_out is None and validation_split:
        kept = len(x) - round(validation_split * len(x))
        held_out, x, t = (x[kept:], t[kept:]), x[:kept], t[:kept]
    data = Data(x, t, *map(np.asarray, held_out or ()))
    if optimizer is not None or network.optimizer is None:
        network.optimizer = Adam() if optimizer is None else optimizer
    return train(
        network,
        data,
        network.optimizer,
        epochs=epochs,
        batch_size=batch_size,
        seed=int(network.rng.integers(2**63)),
        augment=augment,
        callbacks=callbacks,
        verbose=verbose,
        restore_best=False,
    )
