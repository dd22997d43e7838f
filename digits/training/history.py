"""The course of a training: the loss of every batch, a record of every epoch, and the weights of
the best one. It is what the curves are drawn from, and what a claim can be checked against later.
"""

import copy
import csv
import io
from dataclasses import asdict, dataclass, field, fields
from typing import Self

from digits import plots
from digits.types import Array


@dataclass(frozen=True)
class EpochRecord:
    """How good a network was after an epoch; figures of a part without images are None."""

    epoch: int
    iteration: int
    learning_rate: float
    train_loss: float
    train_accuracy: float | None
    validation_loss: float | None = None
    validation_accuracy: float | None = None
    test_loss: float | None = None
    test_accuracy: float | None = None

    def is_better_than(self, other: "EpochRecord") -> bool:
        """More validation images right, or as many with less loss; without any, later is better.

        The test images have no say in it, or they would no longer test anything.
        """
        if self.validation_loss is None or other.validation_loss is None:
            return self.iteration >= other.iteration
        own = self.validation_accuracy or 0, -self.validation_loss
        return own > (other.validation_accuracy or 0, -other.validation_loss)


@dataclass(repr=False)
class History:
    """Grows while a network trains; `best_weights` are its parameters and state as flat vectors,
    `seconds` the time that all of it took.
    """

    losses: list[float] = field(default_factory=list)
    epochs: list[EpochRecord] = field(default_factory=list)
    best: EpochRecord | None = None
    best_weights: tuple[Array, Array] | None = None
    seconds: float = 0.0
    interrupted: bool = False

    def add(self, record: EpochRecord, params: Array, state: Array) -> None:
        """Append an epoch, and keep a copy of its weights if it is the best so far."""
        self.epochs.append(record)
        if self.best is None or record.is_better_than(self.best):
            self.best, self.best_weights = record, (params.copy(), state.copy())

    def __copy__(self) -> Self:
        return copy.deepcopy(self)  # a shallow copy would share the lists

    def epochs_since_best(self) -> int:
        """How long ago the best epoch was; 0 before the first."""
        return self.epochs[-1].epoch - self.best.epoch if self.best else 0

    @property
    def history(self) -> dict[str, list[float]]:
        """The figures of all epochs under Keras' names: loss, accuracy, val_loss, val_accuracy."""
        names = {"loss": "train_loss", "accuracy": "train_accuracy"}
        names |= {f"val_{name}": f"validation_{name}" for name in ("loss", "accuracy")}
        names |= {name: name for name in ("test_loss", "test_accuracy", "learning_rate")}
        figures = {key: [getattr(r, name) for r in self.epochs] for key, name in names.items()}
        return {key: values for key, values in figures.items() if None not in values}

    def __repr__(self) -> str:
        last = "".join(
            f", {key}={values[-1]:.4g}" for key, values in self.history.items() if values
        )
        return f"<History of {len(self.epochs)} epochs, {len(self.losses)} batches{last}>"

    def _repr_png_(self) -> bytes:
        """The curves, in a notebook."""
        return plots.png(plots.curves(self))

    def to_csv(self) -> str:
        """A line of names, then a line for each epoch; a figure that does not exist is empty."""
        text = io.StringIO()
        names = [f.name for f in fields(EpochRecord)]
        writer = csv.DictWriter(text, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(record) for record in self.epochs)
        return text.getvalue()
