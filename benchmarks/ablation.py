"""An ablation study of a recipe: it is trained unchanged, and again with one ingredient removed or
changed, and measured on validation images. The test images are not used.

    python benchmarks/ablation.py fast                        3 seeds; some minutes
    python benchmarks/ablation.py best --epochs 3 --seeds 1   some more
"""

import argparse
import math
import statistics
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from digits.compute.threads import set_threads
from digits.nn.layers import BatchNormalization
from digits.nn.optimizers import Optimizer
from digits.nn.sequential import Sequential
from digits.recipes import RECIPES, Recipe
from digits.training.augmentation import tta_views
from digits.types import Array
from functions import accuracy
from mnist_loader import DatasetError
from train_net import Data, load_data, train

VARIANTS = (
    "nothing changed",
    "no augmentation",
    "no label smoothing",
    "no batch normalization, a tenth of the rate",
    "a constant rate, a tenth",
    "batches of twice the size",
    "half the rate",
    "twice the rate",
    "weights averaged, or not, unlike the recipe",
)


def changed(
    variant: str, recipe: Recipe, network: Sequential, optimizer: Optimizer, iterations: int
) -> tuple[Recipe, Sequential, Optimizer]:
    """What to train: the recipe, its fresh network and optimizer with one thing changed."""
    rate = recipe.learning_rate
    match variant:
        case "no augmentation":
            recipe = replace(recipe, augment=None)
        case "no label smoothing":
            network.label_smoothing = 0.0
        case "no batch normalization, a tenth of the rate":
            kept = [layer for layer in network.layers if not isinstance(layer, BatchNormalization)]
            copies = [type(layer)(**layer.get_config()) for layer in kept]
            network = Sequential(copies, label_smoothing=network.label_smoothing, rng=network.rng)
            optimizer = recipe.optimizer(rate / 10, iterations)
        case "a constant rate, a tenth":
            optimizer.learning_rate = rate / 10
        case "half the rate":
            optimizer = recipe.optimizer(rate / 2, iterations)
        case "twice the rate":
            optimizer = recipe.optimizer(rate * 2, iterations)
        case "weights averaged, or not, unlike the recipe":
            optimizer.use_ema, optimizer.ema_momentum = not optimizer.use_ema, 0.999
    return recipe, network, optimizer


def measure(recipe: Recipe, variant: str, data: Data, epochs: int, seed: int) -> dict[int, float]:
    """Validation accuracy after the last epoch, by the number of augmented views of each image."""
    size = recipe.batch_size * (2 if variant == "batches of twice the size" else 1)
    iterations = epochs * math.ceil(len(data.x_train) / size)
    network = recipe.build(np.random.default_rng(seed))
    assert isinstance(network, Sequential)
    optimizer = recipe.optimizer(recipe.learning_rate, iterations)
    recipe, network, optimizer = changed(variant, recipe, network, optimizer, iterations)
    # Without validation images of its own the training keeps its last epoch, as the recipes do.
    none = replace(data, x_validation=data.x_train[:0], t_validation=data.t_train[:0])
    train(
        network,
        replace(none, x_test=data.x_train[:1], t_test=data.t_train[:1]),
        optimizer,
        batch_size=size,
        iterations=iterations,
        seed=seed,
        augment=recipe.augment,
        verbose=0,
    )
    x, t = data.x_validation, data.t_validation
    predictions: list[Array] = [network.predict(view) for view in tta_views(x, 7)]
    return {count: accuracy(np.mean(predictions[:count], axis=0), t) for count in (1, 5, 7)}


def main() -> int:
    """Print a row for each variant, with the mean and each seed's accuracy."""
    parser = argparse.ArgumentParser(prog="ablation", description="What is each ingredient worth?")
    parser.add_argument("recipe", choices=["fast", "best"])
    parser.add_argument("--epochs", type=int, help="passes (default: the recipe's)")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=VARIANTS, metavar="V")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--dataset-dir", type=Path)
    options = parser.parse_args()
    if options.threads:
        set_threads(options.threads)
    recipe = RECIPES[options.recipe]
    epochs = options.epochs or recipe.epochs or 1
    print(f"| {options.recipe}, {epochs} epochs | one view | five | seven | each seed, one view |")
    print("|---|---|---|---|---|", flush=True)
    for variant in options.variants:
        try:
            found = [
                measure(
                    recipe,
                    variant,
                    load_data("mnist", options.dataset_dir, 5000, seed),
                    epochs,
                    seed,
                )
                for seed in range(options.seeds)
            ]
        except DatasetError as error:
            print(f"ablation: {error}", file=sys.stderr)
            return 1
        means = [f"{statistics.mean(one[count] for one in found):.4f}" for count in (1, 5, 7)]
        each = ", ".join(f"{one[1]:.4f}" for one in found)
        print(f"| {variant} | {' | '.join(means)} | {each} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
