"""Train a network on handwritten digits: the one training loop of this library, and its command
line. Whatever keeps the contract of `digits.nn.network.Network` trains here, and what a run writes
is enough to read digits with (model.npz), look at (curves.png) and go on from (checkpoint.npz).

    python train_net.py                                  the two-layer network on MNIST
    python train_net.py --list                           which networks there are
    python train_net.py --recipe two-layer --epochs 5    another length
    python train_net.py --resume runs/two-layer          go on where a run stopped
"""

import argparse
import itertools
import json
import math
import sys
import textwrap
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import numpy as np

from digits import cli, plots
from digits.cli import Parser, printable, warn
from digits.compute.distributed import SINGLE_PROCESS, ProcessGroup, init
from digits.compute.threads import get_threads, set_threads
from digits.files.lock import FolderInUseError, hold
from digits.files.npz import StorageError, remove_unfinished, write_file
from digits.nn.network import Network
from digits.nn.optimizers import Optimizer
from digits.recipes import RECIPES
from digits.training.batches import Augment, Batches, Data, ShuffledBatches
from digits.training.callbacks import (
    Callback,
    CtrlC,
    EarlyStopping,
    Measure,
    Progress,
    RequireFiniteLoss,
    RestoreBest,
    Stopwatch,
    Trainable,
    Training,
    TrainingError,
)
from digits.training.checkpoints import Checkpoint, load_checkpoint, load_run
from digits.training.history import History
from digits.types import Array
from digits.validation import check, positive_int
from mnist_loader import DatasetError, load_mnist

__all__ = ["Data", "TrainingError", "load_data", "train", "train_loop", "train_step"]

RESULTS = ("checkpoint.npz", "model.npz", "history.csv", "report.json", "curves.png")
"""What a run leaves in its folder."""

DEFAULT = "two-layer"
"""The recipe that is trained when none is named."""


def load_data(
    dataset: str,
    dataset_dir: Path | None,
    validation: int,
    seed: int,
    extend: Callable[[Array, Array, np.random.Generator], tuple[Array, Array]] | None = None,
) -> Data:
    """A data set in three parts, the second of them `validation` training images drawn by `seed`.

    extend: adds images to the first two parts, each from its own; the test images stay as they are.

    Raises DatasetError if the data is unavailable, ValueError if no image is left to train on.
    """
    (x, t), (x_test, t_test) = load_mnist(normalize=True, dataset=dataset, dataset_dir=dataset_dir)
    if not 0 <= validation < len(x):
        raise ValueError(
            f"expected a validation set of 0 to {len(x) - 1:,} images; received {validation:,}"
        )
    order = np.random.default_rng(seed).permutation(len(x))
    held_out, kept = order[:validation], order[validation:]
    train_part, validation_part = (x[kept], t[kept]), (x[held_out], t[held_out])
    if extend is not None:
        train_part = extend(*train_part, np.random.default_rng((seed, 0)))
        if validation:
            validation_part = extend(*validation_part, np.random.default_rng((seed, 1)))
    return Data(*train_part, *validation_part, x_test, t_test)


# --- the training loop ----------------------------------------------------------------------------


def train_step(network: Trainable, optimizer: Optimizer, x: Any, t: Any) -> float:
    """Take one step of gradient descent on a batch; the loss before it.

    A loss that is inf or nan has no gradient to follow: then no step is taken.
    """
    loss, grads = network.loss_and_gradient(x, t)
    if math.isfinite(loss):
        optimizer.update(network.params, grads)
    return loss


def train_loop(
    network: Trainable,
    batches: Batches,
    optimizer: Optimizer,
    iterations: int,
    callbacks: Sequence[Callback] = (),
    history: History | None = None,
) -> History:
    """Take a step on one batch after another until the history counts `iterations` of them, or a
    callback stops the training.  It goes on where the history ends.
    """
    history = history or History()
    training = Training(network, optimizer, history, iterations, len(batches))

    def notify(moment: str) -> None:
        for callback in callbacks:
            getattr(callback, moment)(training)

    with ExitStack() as stack, np.errstate(over="ignore", invalid="ignore"):
        for callback in callbacks:
            stack.callback(callback.close)
        notify("on_train_begin")
        while len(history.losses) < iterations and not training.stop:
            training.epoch, start = divmod(len(history.losses), len(batches))
            end = min(len(batches), start + iterations - len(history.losses))
            source = iter(batches.epoch(training.epoch, start))
            notify("on_epoch_begin")
            for training.batch in range(start, end):
                batch = next(source, None)
                if batch is None:
                    raise TrainingError(f"expected {end} batches; the source ended before that")
                notify("on_batch_begin")
                history.losses.append(train_step(network, optimizer, *batch))
                notify("on_batch_end")
                if training.stop:
                    break
            if training.batch == end - 1:
                notify("on_epoch_end")
        notify("on_train_end")
    return history


def train(
    network: Network,
    data: Data,
    optimizer: Optimizer,
    *,
    epochs: int | None = None,
    iterations: int | None = None,
    batch_size: int = 100,
    seed: int = 0,
    augment: Augment | None = None,
    callbacks: Sequence[Callback] = (),
    history: History | None = None,
    quiet: bool = False,
    group: ProcessGroup = SINGLE_PROCESS,
) -> History:
    """Train for so many epochs, or batches, in all; leave the weights of the best epoch in
    `network`.

    Every epoch visits every training image once, in an order that depends on `seed` and the epoch
    alone, and ends with a record in the history.  To go on from a checkpoint, pass the network,
    optimizer and history that it held: the result is the same to the last bit.

    epochs, iterations: at most one of them; one epoch if neither is given.
    augment: changes a batch of images, with a generator that depends on seed, epoch and batch.
    callbacks: are told of every epoch after it is measured, and before the best one is restored.
    group: the processes that train together; all end with the same network and history.

    Ctrl-C ends the training after the current batch and sets `history.interrupted`.  Raises
    TrainingError when the loss is no longer finite.
    """
    batches = ShuffledBatches(data.x_train, data.t_train, batch_size, seed, augment)
    check(epochs is None or iterations is None, "epochs or iterations", "both")
    if iterations is None:
        iterations = len(batches) * positive_int(1 if epochs is None else epochs, "epochs")
    history = group.synchronize(network, optimizer, history or History())
    before = [CtrlC(group), Measure(data), RequireFiniteLoss(), Stopwatch()]
    every = [*before, *([] if quiet else [Progress()]), *callbacks, RestoreBest()]
    return train_loop(group.parallel(network), batches, optimizer, iterations, every, history)


def say(text: str) -> None:
    """Print a line; a full disk under a log does not stop the training."""
    with suppress(OSError):
        cli.say(text)


FAILURES = (
    *(DatasetError, FolderInUseError, StorageError, TrainingError),
    *(OSError, ValueError, MemoryError),
)
"""What can end a run, told in one line."""

# --- command line ---------------------------------------------------------------------------------


def main(arguments: list[str] | None = None) -> int:
    """Train as the command line says; the exit status is 0 done, 1 failed, 130 after Ctrl-C."""
    parser, ranks = _parser(), SINGLE_PROCESS
    try:
        ranks = init()
        options = ranks.broadcast(lambda: parser.parse_args(arguments))
        if options.list:
            ranks.broadcast(_tell_recipes)
            return 0
        if options.threads or ranks.size > 1:
            set_threads(options.threads or min(get_threads(), ranks.cores()))
        return _train_as_told(parser, options, ranks)
    except KeyboardInterrupt:
        return ranks.abort("train_net: stopped; --resume goes on with a run that had begun", 130)
    except FAILURES as error:
        flag = " (--learning-rate)" if isinstance(error, TrainingError) else ""
        return ranks.abort(printable(f"train_net: {error}{flag}", keep="\n"), 1)


def _tell_recipes() -> None:
    for name, recipe in RECIPES.items():
        say(f"{name}\n{textwrap.indent(recipe.description(), '    ')}\n")


def _train_as_told(
    parser: argparse.ArgumentParser, options: argparse.Namespace, ranks: ProcessGroup
) -> int:
    """One run, alone in the folder of its results, which rank 0 writes."""
    out = options.out or options.resume or Path("runs", options.recipe or DEFAULT)
    if options.dry_run or options.show_samples or ranks.rank:  # nothing will be written from here
        return _train_into(out, parser, options, ranks)
    with hold(out) as alone:
        if alone:
            for name in RESULTS:
                remove_unfinished(out / name)
        return _train_into(out, parser, options, ranks)


def _train_into(
    out: Path, parser: argparse.ArgumentParser, options: argparse.Namespace, ranks: ProcessGroup
) -> int:
    """One run, from the choice of the recipe to the last file."""
    run = ranks.broadcast(lambda: _run(parser, options))
    tell = (lambda _: None) if options.quiet or ranks.rank else say
    recipe, seed = RECIPES[run["recipe"]], run["seed"]
    run["dataset"], data = ranks.broadcast(lambda: _load_or_make(run, options.dataset_dir))
    if options.show_samples:
        title = f"{run['dataset']}: the first images to train on"
        picture = plots.samples(data.x_train[:100], data.t_train[:100], title)
        ranks.broadcast(lambda: plots.save(picture, options.show_samples))
        tell(f"drew {options.show_samples}")
        return 0

    n = len(data.x_train)
    batches = math.ceil(n / run["batch_size"])
    run["iterations"] = run["iterations"] or run["epochs"] * batches
    dropout = {} if run["keep_prob"] is None else {"keep_prob": run["keep_prob"]}
    network = recipe.build(np.random.default_rng(seed), run["dtype"], **dropout)
    network.metadata = {name: run[name] for name in ("recipe", "dataset", "seed")}
    optimizer = recipe.optimizer(run["learning_rate"], run["iterations"])
    history = None
    if options.resume and ranks.rank == 0:
        history = load_checkpoint(options.resume / "checkpoint.npz", network, optimizer)
    tell(
        f"{run['recipe']}: {network.params.flat.size:,} parameters; {run['dataset']}: {n:,} images "
        f"to train on, {len(data.x_validation):,} to choose by, {len(data.x_test):,} to test with"
    )
    if options.dry_run:
        batch = slice(run["batch_size"])
        loss, _ = network.loss_and_gradient(data.x_train[batch], data.t_train[batch])
        tell(f"ready for {run['iterations']:,} batches, results in {out}; first loss {loss:.4f}")
        return 0

    if options.resume is None or out.resolve() != options.resume.resolve():
        ranks.broadcast(lambda: _set_aside(out))
    callbacks: list[Callback] = [EarlyStopping(run["patience"])] if run["patience"] else []
    if ranks.rank == 0:
        callbacks.append(Checkpoint(out / "checkpoint.npz", run))
    history = train(
        network,
        data,
        optimizer,
        batch_size=run["batch_size"],
        iterations=run["iterations"],
        seed=seed,
        augment=recipe.augment,
        callbacks=callbacks,
        history=history,
        quiet=options.quiet or ranks.rank > 0,
        group=ranks,
    )
    if ranks.rank:
        return 130 if history.interrupted else 0
    report = _report(network, history, run, images=len(history.losses) * n / batches)
    _write_results(out, network, history, report)
    if history.interrupted:
        warn(f"train_net: stopped; go on with --resume {out}")
        return 130
    tell(
        f"trained on {run['dataset']} in {history.seconds:.1f} s; best epoch "
        f"{report['best_epoch']}: test accuracy {report['test_accuracy']:.4f}, "
        f"loss {report['test_loss']:.4f}; results in {out}"
    )
    return 0


def _whole(least: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, int) and value >= least


RUN: dict[str, Callable[[Any], bool]] = {
    "recipe": lambda name: isinstance(name, str) and name in RECIPES,
    "dataset": lambda name: name in ("mnist", "fashion", "synthetic"),
    "seed": _whole(0),
    "batch_size": _whole(1),
    "learning_rate": lambda rate: isinstance(rate, float) and rate > 0,
    "keep_prob": lambda p: p is None or (isinstance(p, float) and 0 < p <= 1),
    "validation": _whole(0),
    "patience": lambda epochs: epochs is None or _whole(1)(epochs),
    "dtype": lambda name: name in ("float32", "float64"),
    "iterations": _whole(1),
}
"""What a checkpoint says of the run that wrote it, and what can be believed."""

FIXED = ("recipe", "dataset", "seed", "batch_size", "validation", "dtype")
"""What cannot change in a resumed run, or its first part would not be its own."""


def _run(parser: argparse.ArgumentParser, options: argparse.Namespace) -> dict[str, Any]:
    """What to do: as the user says, else as the recipe says, or the run that is resumed."""
    given = vars(options)
    if options.resume:
        path = options.resume / "checkpoint.npz"
        run = load_run(path)
        wrong = [name for name, good in RUN.items() if name not in run or not good(run[name])]
        if wrong:
            raise StorageError(
                f"{path} does not say how its run was started ({', '.join(wrong)}); start a new run"
            )
        for name in FIXED:
            if given[name] not in (None, run[name]):
                parser.error(
                    f"--{name.replace('_', '-')} cannot change in a resumed run: expected "
                    f"{run[name]}, received {given[name]}; start a new run for that"
                )
    else:
        name = options.recipe or DEFAULT
        recipe = RECIPES[name]
        run = {
            "recipe": name,
            "dataset": "auto",
            "seed": 0,
            "batch_size": recipe.batch_size,
            "learning_rate": recipe.learning_rate,
            "keep_prob": recipe.keep_prob(),
            "validation": recipe.validation,
            "patience": None,
            "dtype": "float32",
            "iterations": recipe.iterations,
            "epochs": recipe.epochs,
        }
    if options.keep_prob is not None and run["keep_prob"] is None:
        parser.error(f"--keep-prob is for networks with dropout; {run['recipe']} has none")
    if options.epochs:
        run["iterations"] = None
    run |= {name: given[name] for name in (*run, "epochs") if given.get(name) is not None}
    if run["patience"] and not run["validation"]:
        parser.error("--patience needs validation images to tell a better epoch; see --validation")
    return run


def _load_or_make(run: dict[str, Any], folder: Path | None) -> tuple[str, Data]:
    """The data set that was asked for; `auto` is MNIST, or digits of our own, and then says so."""
    dataset, validation, seed = run["dataset"], run["validation"], run["seed"]
    extend = RECIPES[run["recipe"]].extend
    if dataset != "auto":
        return dataset, load_data(dataset, folder, validation, seed, extend)
    try:
        return "mnist", load_data("mnist", folder, validation, seed, extend)
    except DatasetError as error:
        warn(
            f"train_net: {error}\ntrain_net: MNIST CANNOT BE HAD: training on SYNTHETIC digits, "
            "drawn by this library"
        )
        return "synthetic", load_data("synthetic", folder, validation, seed, extend)


def _set_aside(out: Path) -> None:
    """Move the results of an earlier run out of the way: nobody loses trained weights here.

    They get their folder's name last: what a kill interrupts is ended by the next start.
    """
    old = [out / name for name in RESULTS if (out / name).exists()]
    on_the_way = out / ".before.part"
    if not old and not on_the_way.exists():
        return
    on_the_way.mkdir(exist_ok=True)
    for path in old:
        path.rename(on_the_way / path.name)
    names = (out / f"before-{number}" for number in itertools.count(1))
    aside = on_the_way.rename(next(path for path in names if not path.exists()))
    warn(f"train_net: {out} held the results of an earlier run; they are now in {aside}")


def _report(
    network: Network, history: History, run: dict[str, Any], images: float
) -> dict[str, Any]:
    best = history.best
    return {
        "recipe": run["recipe"],
        "dataset": run["dataset"],
        "seed": run["seed"],
        "epochs": len(history.epochs),
        "iterations": len(history.losses),
        "best_epoch": best and best.epoch,
        "parameters": network.params.flat.size,
        "train_accuracy": best and best.train_accuracy,
        "validation_accuracy": best and best.validation_accuracy,
        "test_accuracy": best and best.test_accuracy,
        "test_loss": best and best.test_loss,
        "seconds": round(history.seconds, 3),
        "images_per_second": round(images / history.seconds, 1),
        "interrupted": history.interrupted,
    }


def _write_results(out: Path, network: Network, history: History, report: dict[str, Any]) -> None:
    facts = ("best_epoch", "validation_accuracy", "test_accuracy")
    network.metadata |= {name: report[name] for name in facts}
    network.save(out / "model.npz")
    write_file(out / "history.csv", history.to_csv().encode())
    write_file(out / "report.json", (json.dumps(report, indent=1) + "\n").encode())
    title = f"{report['recipe']} on {report['dataset']}, seed {report['seed']}"
    plots.save(plots.curves(history, title), out / "curves.png")


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="train_net",
        description="Train a network on handwritten digits.",
        epilog="OUT receives model.npz (the network after its best epoch), checkpoint.npz (the "
        "latest state, to --resume from), history.csv, curves.png and report.json.",
    )
    add = parser.add_argument
    add("--recipe", choices=RECIPES, metavar="NAME", help="which network (default: two-layer)")
    add("--list", action="store_true", help="describe the recipes, and exit")
    add(
        "--dataset",
        choices=["auto", "mnist", "fashion", "synthetic"],
        help="default: auto, which is MNIST if it can be had, else synthetic digits",
    )
    add(
        "--dataset-dir", type=Path, metavar="DIR", help="where the data sets are (default: dataset)"
    )
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--epochs", type=_positive, metavar="N", help="passes over the images")
    length.add_argument("--iterations", type=_positive, metavar="N", help="batches to train on")
    add("--batch-size", type=_positive, metavar="N", help="images in a batch")
    add("--learning-rate", type=_rate, metavar="X", help="size of a step")
    add("--keep-prob", type=_probability, metavar="P", help="share of units that dropout keeps")
    add("--validation", type=_count, metavar="N", help="images to choose the best epoch by")
    add("--patience", type=_positive, metavar="N", help="stop after N epochs without a better one")
    add("--seed", type=_count, metavar="N", help="same seed, same network (default: 0)")
    add("--dtype", choices=["float32", "float64"], help="type of the weights (default: float32)")
    add("--out", type=Path, metavar="DIR", help="where results go (default: runs/NAME)")
    add("--resume", type=Path, metavar="DIR", help="go on with the run whose results are in DIR")
    add("--show-samples", type=Path, metavar="PNG", help="draw some of the images, and exit")
    add("--dry-run", action="store_true", help="try one batch, write nothing, and exit")
    add("--threads", type=_positive, metavar="N", help="processors to use (default: all)")
    add("--quiet", action="store_true", help="print nothing but warnings and errors")
    return parser


def _number(text: str, kind: type, expected: str, accept: Callable[[Any], bool]) -> Any:
    try:
        value = kind(text)
    except ValueError:
        value = None
    if value is None or not accept(value):
        raise argparse.ArgumentTypeError(f"expected {expected}; received {text}")
    return value


def _positive(text: str) -> Any:
    return _number(text, int, "a whole number of at least 1", lambda n: n >= 1)


def _count(text: str) -> Any:
    return _number(text, int, "a whole number of at least 0", lambda n: n >= 0)


def _rate(text: str) -> Any:
    return _number(text, float, "a number above 0", lambda x: 0 < x < math.inf)


def _probability(text: str) -> Any:
    return _number(text, float, "a number above 0 and at most 1", lambda p: 0 < p <= 1)


if __name__ == "__main__":
    sys.exit(main())
