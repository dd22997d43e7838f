"""A run of `train_net.py`: what it trains and how, and what it leaves in its folder."""

import itertools
import json
import math
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from digits import plots
from digits.cli import MAX_INT
from digits.files.atomic import write_file
from digits.files.npz import StorageError
from digits.nn.network import Network
from digits.nn.optimizers import Optimizer
from digits.recipes import RECIPES
from digits.training.checkpoints import load_run
from digits.training.history import History
from digits.validation import check

RESULTS = ("checkpoint.npz", "model.npz", "history.csv", "report.json", "curves.png")
"""What a run leaves in its folder."""

FIXED = ("recipe", "dataset", "seed", "batch_size", "validation", "dtype")
"""What cannot change in a resumed run, or its first part would not be its own."""

DATASETS = ("auto", "mnist", "fashion", "synthetic")

LEAST = {"seed": 0, "validation": 0, "batch_size": 1, "patience": 1, "iterations": 1, "epochs": 1}
"""How small each integer may be; those of at least 1 may be up to MAX_INT."""


@dataclass(frozen=True)
class RunConfig:
    """What a run trains, and how. Raises ValueError for what cannot be trained."""

    recipe: str
    dataset: str
    """`auto` until it is known whether MNIST is available."""
    seed: int
    batch_size: int
    learning_rate: float
    dropout: float | None
    """None for a network without."""
    validation: int
    patience: int | None
    dtype: str
    iterations: int | None
    """None until the number of images is known, if `epochs` are planned."""
    epochs: int | None = None

    def __post_init__(self) -> None:
        check(self.recipe in RECIPES, f"a recipe out of {', '.join(RECIPES)}", self.recipe)
        check(self.dataset in DATASETS, f"a data set out of {', '.join(DATASETS)}", self.dataset)
        check(self.dtype in ("float32", "float64"), "dtype float32 or float64", self.dtype)
        for name, least in LEAST.items():
            value, most = getattr(self, name), MAX_INT if least else math.inf
            fits = type(value) is int and least <= value <= most
            missing = value is None and name in ("patience", "iterations", "epochs")
            check(fits or missing, f"{name} as a whole number of at least {least}", value)
        rate, dropout = self.learning_rate, self.dropout
        check(type(rate) is float and 0 < rate < math.inf, "a learning rate above 0", rate)
        if RECIPES[self.recipe].dropout is None:
            check(dropout is None, f"no dropout, as {self.recipe} has no such layer", dropout)
        else:
            check(type(dropout) is float and 0 <= dropout < 1, "a dropout rate in [0, 1)", dropout)
        if self.patience is not None:
            check(self.validation > 0, "validation images to tell a better epoch by", 0)

    @classmethod
    def of_recipe(cls, name: str) -> Self:
        """A run as the recipe describes it."""
        recipe = RECIPES[name]
        options: dict[str, Any] = {f.name: getattr(recipe, f.name, None) for f in fields(cls)}
        options |= {"recipe": name, "dataset": "auto", "seed": 0, "dtype": "float32"}
        return cls(**options)

    @classmethod
    def of_checkpoint(cls, path: Path) -> Self:
        """The run that wrote a checkpoint. Raises StorageError if it does not say."""
        run = load_run(path)
        if "keep_prob" in run:  # as dropout was called in earlier checkpoints
            keep = run.pop("keep_prob")
            run["dropout"] = 1 - keep if isinstance(keep, float) else keep
        try:
            return cls(**{f.name: run[f.name] for f in fields(cls) if f.name in run})
        except (TypeError, ValueError) as error:
            text = f"{path} does not say how its run was started ({error}); start a new run"
            raise StorageError(text) from error

    def changed(self, **given: Any) -> Self:
        """With those of the arguments that are not None; a new length replaces the old one."""
        given = {name: value for name, value in given.items() if value is not None}
        if "epochs" in given:
            given["iterations"] = None
        return replace(self, **given)

    def planned(self, images: int) -> Self:
        """With the number of iterations that the epochs are for so many images."""
        batches = -(-images // self.batch_size)
        return replace(self, iterations=self.iterations or (self.epochs or 1) * batches)

    def check_longer_than(self, history: History) -> None:
        """Raise ValueError for a resumed run that has more batches behind it than are planned."""
        done, planned = len(history.losses), self.iterations or 0
        enough = planned > done or (planned == done and history.best is not None)
        check(enough, f"a length above the {done:,} batches that this run has already", planned)

    def build(self) -> tuple[Network, Optimizer]:
        """A new network and its optimizer, once `iterations` are known."""
        recipe, rng = RECIPES[self.recipe], np.random.default_rng(self.seed)
        dropout = {} if self.dropout is None else {"dropout": self.dropout}
        network = recipe.build(rng, self.dtype, **dropout)
        network.metadata = {name: getattr(self, name) for name in ("recipe", "dataset", "seed")}
        return network, recipe.optimizer(self.learning_rate, self.iterations or 1)


def archive_previous(out: Path) -> Path | None:
    """Move the results of an earlier run into a folder of their own, and return it."""
    old = [out / name for name in RESULTS if (out / name).exists()]
    if not old:
        return None
    names = (out / f"before-{number}" for number in itertools.count(1))
    folder = next(path for path in names if not path.exists())
    folder.mkdir()
    for path in old:
        path.rename(folder / path.name)
    return folder


def write_results(
    out: Path, network: Network, history: History, config: RunConfig, images: int
) -> dict[str, Any]:
    """Write the model, the history, its curves and a report, which is returned.

    images: how many the network was trained on in each epoch.
    """
    best, seconds = history.best, history.seconds
    measured = ("train_accuracy", "validation_accuracy", "test_accuracy", "test_loss")
    seen = len(history.losses) * images / -(-images // config.batch_size)
    report = {
        "recipe": config.recipe,
        "dataset": config.dataset,
        "seed": config.seed,
        "epochs": len(history.epochs),
        "iterations": len(history.losses),
        "best_epoch": best and best.epoch,
        "parameters": network.params.flat.size,
        **{name: getattr(best, name, None) for name in measured},
        "seconds": round(seconds, 3),
        "images_per_second": round(seen / seconds, 1) if seconds else None,
        "interrupted": history.interrupted,
    }
    facts = ("best_epoch", "validation_accuracy", "test_accuracy")
    network.metadata |= {name: report[name] for name in facts}
    network.save(out / "model.npz")
    write_file(out / "history.csv", history.to_csv().encode())
    write_file(out / "report.json", (json.dumps(report, indent=1) + "\n").encode())
    title = f"{config.recipe} on {config.dataset}, seed {config.seed}"
    plots.save(plots.curves(history, title), out / "curves.png")
    return report
