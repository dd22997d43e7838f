"""Every recipe, trained for a few steps by the ranks of a run: batches that no number of ranks
divides, and a last one of a single image.  `mpiexec -n N python few_steps.py OUT.npz` writes what
came out, where the tests compare it with one process.
"""

import sys
from typing import Any

import numpy as np
from tiny_data import digits, fit

from digits.compute.distributed import SINGLE_PROCESS, ProcessGroup, init
from digits.nn.network import Network
from digits.recipes import RECIPES
from digits.training.history import History
from digits.types import Array


def trained(
    name: str, ranks: ProcessGroup = SINGLE_PROCESS, dtype: str = "float64"
) -> dict[str, Array]:
    """What four batches make of a recipe's network: weights, statistics, losses and figures."""
    recipe = RECIPES[name]
    network: Network = recipe.build(np.random.default_rng(0), dtype)
    history: History = fit(
        network,
        digits(17, 7, 5),
        recipe.optimizer(recipe.learning_rate, 4),
        batch_size=8,
        iterations=4,
        augment=recipe.augment,
        group=ranks,
    )
    figures = [
        (r.train_loss, r.train_accuracy, r.validation_loss, r.validation_accuracy, r.test_loss)
        for r in history.epochs
    ]
    return {
        "params": network.params.flat.copy(),
        "state": network.buffers.flat.copy(),
        "losses": np.array(history.losses),
        "figures": np.array(figures, np.float64),
    }


if __name__ == "__main__":
    everybody = init()
    results: dict[str, Any] = {
        f"{name} {key}": array
        for name in RECIPES
        for key, array in trained(name, everybody).items()
    }
    if everybody.rank == 0:
        np.savez(sys.argv[1], **results)
