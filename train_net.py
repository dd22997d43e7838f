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
import signal
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
from tqdm import tqdm

from digits import cli as terminal
from digits import plots
from digits.cli import Parser, printable, warn
from digits.compute.distributed import ALONE, Ranks, average, join
from digits.compute.threads import get_threads, set_threads
from digits.files.lock import FolderInUseError, hold
from digits.files.npz import StorageError, remove_unfinished, write_file
from digits.nn.network import Network
from digits.nn.optimizers import Optimizer
from digits.recipes import RECIPES
from digits.training.augmentation import prefetch
from digits.training.checkpoints import load_checkpoint, load_run, save_checkpoint
from digits.training.history import EpochRecord, History
from digits.types import Array
from functions import accuracy, cross_entropy_error, require_finite
from mnist_loader import DatasetError, load_mnist

Augment = Callable[[Array, np.random.Generator], Array]

RESULTS = ("checkpoint.npz", "model.npz", "history.csv", "report.json", "curves.png")
"""What a run leaves in its folder."""

DEFAULT = "two-layer"
"""The recipe that is trained when none is named."""

SAMPLE = 10_000
"""Loss and accuracy on training images are measured on this many, as many as MNIST tests with."""


class TrainingError(RuntimeError):
    """Training cannot go on; the message says where it stopped and what to change."""


# --- data -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Data:
    """Three sets that share no image: x float32 (n, 784) in [0, 1], t class indices (n,).

    Weights are fitted to the first, choices made on the second, the third is only looked at.
    """

    x_train: Array
    t_train: Array
    x_validation: Array
    t_validation: Array
    x_test: Array
    t_test: Array


def load_data(
    dataset: str,
    dataset_dir: Path | None,
    validation: int,
    seed: int,
    extend: Callable[[Array, Array, np.random.Generator], tuple[Array, Array]] | None = None,
) -> Data:
    """A data set in three parts, the second of them `validation` training images drawn by `seed`.

    extend: adds images to the first two parts, each from its own; the test images stay as they are.

    Raises DatasetError if the data cannot be had, ValueError if no image is left to train on.
    """
    (x, t), (x_test, t_test) = load_mnist(normalize=True, dataset=dataset, dataset_dir=dataset_dir)
    if not 0 <= validation < len(x):
        raise ValueError(
            f"expected a validation set of 0 to {len(x) - 1:,} images; received {validation:,}"
        )
    order = np.random.default_rng(seed).permutation(len(x))
    held_out, kept = order[:validation], order[validation:]
    train_part, held_out_part = (x[kept], t[kept]), (x[held_out], t[held_out])
    if extend is not None:
        train_part = extend(*train_part, np.random.default_rng((seed, 0)))
        if validation:
            held_out_part = extend(*held_out_part, np.random.default_rng((seed, 1)))
    return Data(*train_part, *held_out_part, x_test, t_test)


# --- the loop -------------------------------------------------------------------------------------


def train(
    network: Network,
    data: Data,
    optimizer: Optimizer,
    *,
    batch_size: int = 100,
    iterations: int = 10_000,
    seed: int = 0,
    augment: Augment | None = None,
    patience: int | None = None,
    history: History | None = None,
    save: Callable[[History], None] | None = None,
    quiet: bool = False,
    ranks: Ranks = ALONE,
) -> History:
    """Train until `iterations` batches have been seen, then leave the best epoch's weights in
    `network`.

    Every epoch visits every training image once, in an order that depends on `seed` and the epoch
    alone, and ends with a record in the history and a call of `save`.  To go on from a checkpoint,
    pass the network, optimizer and history that it held: the result is the same to the last bit.

    augment: changes a batch of images, given noise that depends on seed, epoch and batch alone.
    patience: stop after so many epochs without a better one; None never stops early.
    ranks: who trains together.  All start from what rank 0 was given and end with the same network
        and history; only rank 0 saves, and tells.

    Ctrl-C ends the training after the current batch, with everything saved and
    `history.interrupted` set.  Raises TrainingError when the loss is no longer finite, ValueError
    for data that cannot be trained on.
    """
    _require_trainable(data, batch_size)
    history = _start_together(ranks, network, optimizer, history or History())
    save, quiet = (save, quiet) if ranks.rank == 0 else (None, True)
    history.interrupted = False
    began, seconds = time.perf_counter(), history.seconds
    n = len(data.x_train)
    batches = math.ceil(n / batch_size)  # the last one takes what is left
    if save is not None and not history.losses:
        save(history)  # if that is not possible, better to learn it now
    with (
        ctrl_c() as pressed,
        Progress(iterations, batches, optimizer.iterations, quiet) as progress,
        np.errstate(over="ignore", invalid="ignore"),  # told in words by _require_finite_loss
    ):
        while optimizer.iterations < iterations and not history.interrupted:
            if patience is not None and history.epochs_since_best() >= patience:
                break
            epoch, done = divmod(optimizer.iterations, batches)
            if done and history.epochs and history.epochs[-1].epoch == epoch + 1:
                history.epochs.pop()  # the record of an epoch that ended early, and now goes on
            last = min(batches, done + iterations - optimizer.iterations)
            source = _batches(data, batch_size, seed, epoch, range(done, last), augment)
            for i, x, t in source if augment is None else prefetch(source):
                rate = optimizer.current_learning_rate()
                with ranks.share(len(x)) as rows:
                    loss, grads = network.loss_and_gradient(x[rows], t[rows])
                    average(grads.flat)
                    loss, stop = average(np.array([loss, pressed.is_set()])).tolist()
                _require_finite_loss(loss, rate, epoch, i, batches)
                optimizer.update(network.params, grads)
                history.losses.append(loss)
                progress.after_batch(history)
                history.interrupted = stop > 0  # at whichever rank
                if history.interrupted:
                    break
            if optimizer.iterations in (iterations, (epoch + 1) * batches):
                with averaged_weights(network, optimizer):
                    record = _measure(network, data, optimizer, epoch + 1, ranks)
                    _require_finite_loss(record.train_loss, rate, epoch, i, batches)
                    history.add(record, network.params.flat, network.buffers.flat)
                progress.after_epoch(record)
            history.seconds = seconds + time.perf_counter() - began
            if save is not None:
                save(history)
    if history.best_weights is not None:
        network.params.flat[...], network.buffers.flat[...] = history.best_weights
    return history


def _start_together(
    ranks: Ranks, network: Network, optimizer: Optimizer, history: History
) -> History:
    """Bring network and optimizer to where those of rank 0 stand; its history."""
    params, state, noise, iterations, slots, history = ranks.first(
        lambda: (
            network.params.flat,
            network.buffers.flat,
            network.rng.bit_generator.state,
            optimizer.iterations,
            optimizer.slots,
            history,
        )
    )
    network.params.flat[...], network.buffers.flat[...] = params, state
    network.rng.bit_generator.state = noise
    optimizer.iterations, optimizer.slots = iterations, slots
    return history


def _batches(
    data: Data, batch_size: int, seed: int, epoch: int, numbers: range, augment: Augment | None
) -> Iterator[tuple[int, Array, Array]]:
    """The batches of an epoch with these numbers: (number, images, labels)."""
    order = np.random.default_rng((seed, epoch)).permutation(len(data.x_train))
    for i in numbers:
        batch = order[i * batch_size : (i + 1) * batch_size]
        x, t = data.x_train[batch], data.t_train[batch]
        if augment is not None:
            x = augment(x, np.random.default_rng((seed, epoch, i)))
        yield i, x, t


def _require_trainable(data: Data, batch_size: int) -> None:
    """What would be found out late, or never, is looked at before the first batch."""
    if batch_size < 1:
        raise ValueError(f"expected batches of at least 1 image; received {batch_size}")
    for name in ("train", "validation", "test"):
        x, t = getattr(data, f"x_{name}"), getattr(data, f"t_{name}")
        if len(x) != len(t):
            raise ValueError(
                f"expected a label for each of {len(x):,} {name} images; received {len(t):,}"
            )
        if len(x) == 0 and name != "validation":
            raise ValueError(f"expected at least 1 {name} image; received none: see `load_data`")
        require_finite(x)


def _require_finite_loss(loss: float, rate: float, epoch: int, i: int, batches: int) -> None:
    if not math.isfinite(loss):
        raise TrainingError(
            f"the loss became {loss} in epoch {epoch + 1}, batch {i + 1} of {batches}, at learning "
            f"rate {rate:g}: start again with a lower --learning-rate"
        )


def _measure(
    network: Network, data: Data, optimizer: Optimizer, epoch: int, ranks: Ranks
) -> EpochRecord:
    def measure(x: Array, t: Array) -> tuple[float, float]:
        y = ranks.gather(network.predict(x[ranks.part(len(x))]))  # once, for both figures
        return cross_entropy_error(y, t), accuracy(y, t)

    validation: tuple[float | None, float | None] = (None, None)
    if len(data.x_validation):
        validation = measure(data.x_validation, data.t_validation)
    return EpochRecord(
        epoch,
        optimizer.iterations,
        optimizer.current_learning_rate(),
        *measure(data.x_train[:SAMPLE], data.t_train[:SAMPLE]),
        *validation,
        *measure(data.x_test, data.t_test),
    )


@contextmanager
def averaged_weights(network: Network, optimizer: Optimizer) -> Iterator[None]:
    """Inside, the network has the average of its weights, if the optimizer keeps one."""
    average = optimizer.slots.get("average")
    latest = network.params.flat.copy()
    if average is not None:
        network.params.flat[...] = average
    try:
        yield
    finally:
        network.params.flat[...] = latest


@contextmanager
def ctrl_c() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C sets, so that no update is torn in half; a second one raises.

    Signals belong to the main thread: in any other, Ctrl-C is left alone.
    """
    pressed = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield pressed
        return

    def press(_signal: int, _frame: FrameType | None) -> None:
        pressed.set()
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, press)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, before)


class Progress:
    """What a person sees of a training: a bar on a terminal, a line for each epoch elsewhere."""

    def __init__(self, iterations: int, batches: int, done: int, quiet: bool) -> None:
        terminal = sys.stderr.isatty()
        self.lines = not quiet and not terminal
        self.epochs = math.ceil(iterations / batches)
        self.accuracy = ""
        self.bar = tqdm(total=iterations, initial=done, unit="batch", disable=quiet or not terminal)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()

    def after_batch(self, history: History) -> None:
        """Move the bar; now and then renew its loss, a mean, as single batches jump too much."""
        if self.bar.disable:
            return
        self.bar.update()
        if len(history.losses) % 50 == 0:
            self.bar.set_postfix_str(
                f"loss {np.mean(history.losses[-100:]):.4f}{self.accuracy}", refresh=False
            )

    def after_epoch(self, record: EpochRecord) -> None:
        """Print the record of an epoch, or keep its accuracy for the bar."""
        shown = f"test accuracy {record.test_accuracy:.4f}"
        if record.validation_loss is not None:
            shown = f"validation accuracy {record.validation_accuracy:.4f}, {shown}"
        self.accuracy = f", {shown}"
        if self.lines:
            say(
                f"epoch {record.epoch:{len(str(self.epochs))}}/{self.epochs}: "
                f"loss {record.train_loss:.4f}, accuracy {record.train_accuracy:.4f}, {shown}"
            )


def say(text: str) -> None:
    """Print a line at once.  Training does not die of nobody reading it any more, or of a full disk
    under a log.
    """
    with suppress(OSError):
        terminal.say(text)


FAILURES = (
    *(DatasetError, FolderInUseError, StorageError, TrainingError),
    *(OSError, ValueError, MemoryError),
)
"""What can end a run, told in one line."""

# --- command line ---------------------------------------------------------------------------------


def main(arguments: list[str] | None = None) -> int:
    """Train as the command line says; the exit status is 0 done, 1 failed, 130 after Ctrl-C."""
    parser, ranks = _parser(), ALONE
    try:
        ranks = join()
        options = ranks.first(lambda: parser.parse_args(arguments))
        if options.list:
            ranks.first(_tell_recipes)
            return 0
        if options.threads or ranks.size > 1:
            set_threads(options.threads or min(get_threads(), ranks.cores()))
        return _train_as_told(parser, options, ranks)
    except KeyboardInterrupt:
        return ranks.leave("train_net: stopped; --resume goes on with a run that had begun", 130)
    except FAILURES as error:
        return ranks.leave(printable(f"train_net: {error}", keep="\n"), 1)


def _tell_recipes() -> None:
    for name, recipe in RECIPES.items():
        say(f"{name}\n{textwrap.indent(recipe.description(), '    ')}\n")


def _train_as_told(
    parser: argparse.ArgumentParser, options: argparse.Namespace, ranks: Ranks
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
    out: Path, parser: argparse.ArgumentParser, options: argparse.Namespace, ranks: Ranks
) -> int:
    """One run, from the choice of the recipe to the last file."""
    run = ranks.first(lambda: _run(parser, options))
    tell = (lambda _: None) if options.quiet or ranks.rank else say
    recipe, seed = RECIPES[run["recipe"]], run["seed"]
    run["dataset"], data = ranks.first(lambda: _load_or_make(run, options.dataset_dir))
    if options.show_samples:
        title = f"{run['dataset']}: the first images to train on"
        picture = plots.samples(data.x_train[:100], data.t_train[:100], title)
        ranks.first(lambda: plots.save(picture, options.show_samples))
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
        ranks.first(lambda: _set_aside(out))
    history = train(
        network,
        data,
        optimizer,
        batch_size=run["batch_size"],
        iterations=run["iterations"],
        seed=seed,
        augment=recipe.augment,
        patience=run["patience"],
        history=history,
        save=lambda h: save_checkpoint(out / "checkpoint.npz", network, optimizer, h, run),
        quiet=options.quiet,
        ranks=ranks,
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
