"""Train a network on handwritten digits: the one training loop of this library, and its command
line. It trains every network that has the methods of `digits.nn.network.Network`. A run writes the
network (model.npz), learning curves (curves.png) and a state to continue from (checkpoint.npz).

    python train_net.py                                  the two-layer network on MNIST
    python train_net.py --list                           which networks there are
    python train_net.py --recipe two-layer --epochs 5    another length
    python train_net.py --resume runs/two-layer          go on where a run stopped
"""

import argparse
import math
import sys
import textwrap
from collections.abc import Callable, Sequence
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from digits import cli, plots
from digits.cli import Parser, printable, warn
from digits.compute.distributed import SINGLE_PROCESS, ProcessGroup, init
from digits.compute.threads import get_threads, set_threads
from digits.files.atomic import remove_unfinished
from digits.files.lock import FolderInUseError, folder_lock
from digits.nn.network import Network
from digits.nn.optimizers import Adam, Optimizer
from digits.recipes import RECIPES
from digits.runs import DATASETS, FIXED, RunConfig, archive_previous, write_results
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
    WarnIfUnscaled,
    WarnIfUntrained,
)
from digits.training.checkpoints import Checkpoint, load_checkpoint
from digits.training.history import History
from digits.types import Array
from digits.validation import check, check_type, positive_int
from functions import unmasked
from mnist_loader import DatasetError, load_mnist

__all__ = ["Data", "TrainingError", "fit", "load_data", "train", "train_loop", "train_step"]

DEFAULT = "two-layer"
"""The recipe that is trained when none is named."""


def load_data(
    dataset: str,
    dataset_dir: Path | None,
    validation: int,
    seed: int,
    extend: Callable[[Array, Array, np.random.Generator], tuple[Array, Array]] | None = None,
) -> Data:
    """Training, validation and test images; `seed` chooses which training images are held out.

    extend: given the training images, then the validation images, adds more made of these.

    Raises DatasetError if the data is unavailable, ValueError if no image is left to train on.
    """
    (x, t), (x_test, t_test) = load_mnist(normalize=True, dataset=dataset, dataset_dir=dataset_dir)
    most = len(x) - 1
    check(0 <= validation <= most, f"a validation set of 0 to {most:,} images", validation)
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
    scale = optimizer.gradient_scale()
    loss, grads = network.loss_and_gradient(x, t, scale=scale)
    if math.isfinite(loss):
        optimizer.update(network.params, grads, scale)
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
    callback stops the training. It goes on where the history ends.
    """
    check(hasattr(batches, "epoch"), "batches like ShuffledBatches(x, t)", type(batches).__name__)
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
    verbose: int = 1,
    restore_best: bool = True,
    group: ProcessGroup = SINGLE_PROCESS,
) -> History:
    """Train for so many epochs, or batches, in all; then restore the weights of the best epoch.

    Every epoch visits every training image once, in an order that depends on `seed` and the epoch
    alone, and ends with a record in the history. To go on from a checkpoint, pass the network,
    optimizer and history that it held: the result is the same to the last bit.

    epochs, iterations: at most one of them; one epoch if neither is given.
    augment: changes a batch of images, with a generator that depends on seed, epoch and batch.
    callbacks: are told of every epoch after it is measured, and before the best one is restored.
    verbose: 0 prints nothing, 1 shows a bar on a terminal, 2 a line for each epoch everywhere.
    group: the processes that train together; all end with the same network and history.

    Ctrl-C ends the training after the current batch and sets `history.interrupted`. Pixels from 0
    to 255, where 0 to 1 are expected, give a UserWarning. Raises TrainingError when the loss is no
    longer finite.
    """
    check_type(data, Data, "the images as Data", "pass Data(x, t), or use fit(network, x, t)")
    _check_optimizer(optimizer, network)
    check_type(callbacks, Sequence, "a list of callbacks", "pass [EarlyStopping(5)]")
    for callback in callbacks:
        check_type(callback, Callback, "a Callback", "make one, such as EarlyStopping(5)")
    batches = ShuffledBatches(data.x_train, data.t_train, batch_size, seed, augment)
    check(epochs is None or iterations is None, "epochs or iterations", "both")
    if iterations is None:
        iterations = len(batches) * positive_int(1 if epochs is None else epochs, "epochs")
    history = group.synchronize(network, optimizer, history or History())
    every: list[Callback] = [CtrlC(group), Measure(data), RequireFiniteLoss(), Stopwatch()]
    every += [] if group.rank else [WarnIfUnscaled(data.x_train), WarnIfUntrained(data)]
    every += [Progress(bar=verbose == 1)] if verbose else []
    every += [*callbacks, RestoreBest()] if restore_best else callbacks
    return train_loop(group.parallel(network), batches, optimizer, iterations, every, history)


def _check_optimizer(optimizer: Optimizer, network: Network) -> None:
    check_type(optimizer, Optimizer, "an Optimizer", "pass Adam(), SGD(0.1) or the like")
    fits = all(slot.size == network.params.flat.size for slot in optimizer.slots.values())
    check(fits, "an optimizer of its own", "that of a network of another size", "make a new one")


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
    """Train for `epochs` more epochs, as in Keras; the weights of the last one are kept.

    validation_data: (x, t) to measure after each epoch, or validation_split: the fraction of x and
        t, taken from their end, that is measured instead of trained on.
    optimizer: Adam() if none was ever given; kept, so that a second `fit` goes on with it.
    verbose: 0 prints nothing, 1 shows a bar on a terminal, 2 a line for each epoch everywhere.

    The order of the images comes from `network.rng`. Raises ValueError for data that cannot be
    trained on, TrainingError when the loss is no longer finite.
    """
    x, t = unmasked(x), unmasked(t)
    check(0 <= validation_split < 1, "a validation_split in [0, 1)", validation_split)
    held_out = validation_data
    if held_out is None and validation_split and x.ndim:
        kept = len(x) - round(validation_split * len(x))
        check(0 < kept < len(x), f"a validation_split of {len(x)} in two parts", validation_split)
        held_out, x, t = (x[kept:], t[kept:]), x[:kept], t[:kept]
    if held_out is not None:
        pair = "validation_data as a pair of images and labels"
        check_type(held_out, Sequence, pair, "pass (x_test, t_test)")
        check(len(held_out) == 2, pair, f"{len(held_out)} of them", "pass (x_test, t_test)")
    data = Data(x, t, *map(unmasked, held_out or ()))
    optimizer = optimizer or network.optimizer or Adam()
    _check_optimizer(optimizer, network)
    network.optimizer = optimizer
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


# --- command line ---------------------------------------------------------------------------------


OPTIONS: dict[type[Exception], str] = {
    TrainingError: " (--learning-rate)",
    FolderInUseError: " (--out)",
    DatasetError: "",
}
"""Failures of a run beside the usual ones, with the option that helps."""


def main(arguments: list[str] | None = None) -> int:
    """Train as the command line says; the exit status is 0 done, 1 failed, 130 after Ctrl-C."""
    parser, group = _parser(), SINGLE_PROCESS
    try:
        group = init()
        options = group.broadcast(lambda: parser.parse_args(arguments))
        if options.list:
            group.broadcast(_list_recipes)
            return 0
        if options.threads or group.size > 1:
            set_threads(options.threads or min(get_threads(), group.cores()))
        config, data = group.broadcast(lambda: _load(_config(parser, options), parser, options))
        say = _say if group.rank == 0 and not options.quiet else lambda _: None
        if options.show_samples:
            group.broadcast(lambda: _draw_samples(config, data, options.show_samples))
            say(f"drew {options.show_samples}")
            return 0
        return _run(config, data, parser, options, group, say)
    except KeyboardInterrupt:
        why = "stopped; --resume goes on with a run that had begun"
        return group.abort(f"{parser.prog}: {why}", cli.INTERRUPTED)
    except (*OPTIONS, *cli.FAILURES) as error:
        option = OPTIONS.get(type(error), "")
        return group.abort(printable(f"{parser.prog}: {error}{option}", keep="\n"), 1)


def _list_recipes() -> None:
    for name, recipe in RECIPES.items():
        cli.say(f"{name}\n{textwrap.indent(recipe.description(), '    ')}\n")


def _say(text: str) -> None:
    with suppress(OSError):  # a full disk under a log does not stop the training
        cli.say(text)


def _draw_samples(config: RunConfig, data: Data, path: Path) -> None:
    title = f"{config.dataset}: the first images to train on"
    names = plots.class_names(config.dataset, 11)
    plots.save(plots.samples(data.x_train[:100], data.t_train[:100], title, names), path)


def _config(parser: Parser, options: argparse.Namespace) -> RunConfig:
    """What to do: as the user says, else as the recipe says, or the run that is resumed."""
    given = {f.name: getattr(options, f.name) for f in fields(RunConfig)}
    if options.resume is None:
        config = RunConfig.of_recipe(options.recipe or DEFAULT)
    else:
        config = RunConfig.of_checkpoint(options.resume / "checkpoint.npz")
        for name in FIXED:
            fixed = getattr(config, name)
            if given[name] not in (None, fixed):
                parser.error(
                    f"--{name.replace('_', '-')} cannot change in a resumed run: expected {fixed}, "
                    f"received {given[name]}; start a new run for that"
                )
    try:
        return config.changed(**given)
    except ValueError as error:
        parser.error(str(error))


def _load(config: RunConfig, parser: Parser, options: argparse.Namespace) -> tuple[RunConfig, Data]:
    """The data set of a run; for `auto` it is MNIST, or digits of our own, and then says so."""

    def load(dataset: str) -> tuple[RunConfig, Data]:
        extend = RECIPES[config.recipe].extend
        data = load_data(dataset, options.dataset_dir, config.validation, config.seed, extend)
        return config.changed(dataset=dataset).planned(len(data.x_train)), data

    if config.dataset != "auto":
        return load(config.dataset)
    try:
        return load("mnist")
    except DatasetError as error:
        warn(
            f"{parser.prog}: {error}\n{parser.prog}: MNIST IS UNAVAILABLE: training on SYNTHETIC "
            "digits, drawn by this library"
        )
        return load("synthetic")


def _run(
    config: RunConfig,
    data: Data,
    parser: Parser,
    options: argparse.Namespace,
    group: ProcessGroup,
    say: Callable[[str], None],
) -> int:
    """Train, and write the results into a folder that only this run uses."""
    out = options.out or options.resume or Path("runs", config.recipe)
    network, optimizer = config.build()
    n, parameters = len(data.x_train), network.params.flat.size
    say(
        f"{config.recipe}: {parameters:,} parameters; {config.dataset}: {n:,} training, "
        f"{len(data.x_validation):,} validation, {len(data.x_test):,} test images"
    )
    if options.dry_run:
        x, t = data.x_train[: config.batch_size], data.t_train[: config.batch_size]
        loss, _ = network.loss_and_gradient(x, t)
        say(f"ready for {config.iterations:,} batches, results in {out}; first loss {loss:.4f}")
        return 0
    callbacks: list[Callback] = [EarlyStopping(config.patience)] if config.patience else []
    with folder_lock(out) if group.rank == 0 else nullcontext(False) as locked:
        history = None
        if group.rank == 0:
            if locked:
                remove_unfinished(out)
            if options.resume:
                history = load_checkpoint(options.resume / "checkpoint.npz", network, optimizer)
                config.check_longer_than(history)
                if len(history.losses) == config.iterations:
                    warn(f"{parser.prog}: this run is complete: name more --epochs to go on")
            if not options.resume or out.resolve() != options.resume.resolve():
                archived = archive_previous(out)
                if archived:
                    warn(f"{parser.prog}: {out} held the results of an earlier run: see {archived}")
            callbacks.append(Checkpoint(out / "checkpoint.npz", asdict(config)))
        history = train(
            network,
            data,
            optimizer,
            iterations=config.iterations,
            batch_size=config.batch_size,
            seed=config.seed,
            augment=RECIPES[config.recipe].augment,
            callbacks=callbacks,
            history=history,
            verbose=0 if options.quiet or group.rank else 1,
            group=group,
        )
        if group.rank == 0:
            report = write_results(out, network, history, config, images=n)
    if history.interrupted:
        if group.rank == 0:
            warn(f"{parser.prog}: stopped; go on with --resume {out}")
        return cli.INTERRUPTED
    if group.rank == 0:
        say(
            f"trained on {config.dataset} in {history.seconds:.1f} s; best epoch "
            f"{report['best_epoch']}: test accuracy {report['test_accuracy']:.4f}, "
            f"loss {report['test_loss']:.4f}; results in {out}"
        )
    return 0


def _parser() -> Parser:
    parser = Parser(
        prog="train_net",
        description="Train a network on handwritten digits.",
        epilog="OUT receives model.npz (the network after its best epoch), checkpoint.npz (the "
        "latest state, to --resume from), history.csv, curves.png and report.json.",
    )
    add = parser.add_argument
    add("--recipe", choices=RECIPES, metavar="NAME", help=f"which network (default: {DEFAULT})")
    add("--list", action="store_true", help="describe the recipes, and exit")
    add(
        "--dataset",
        choices=DATASETS,
        help="default: auto, which is MNIST if it is available, else synthetic digits",
    )
    add("--dataset-dir", type=Path, metavar="DIR", help="where the data sets are")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--epochs", type=cli.positive, metavar="N", help="passes over the images")
    length.add_argument("--iterations", type=cli.positive, metavar="N", help="batches to train on")
    add("--batch-size", type=cli.positive, metavar="N", help="images in a batch")
    add("--learning-rate", type=cli.rate, metavar="X", help="size of a step")
    add("--dropout", type=cli.dropout, metavar="RATE", help="fraction of units that dropout drops")
    add("--keep-prob", type=cli.keep_prob, dest="dropout", metavar="P", help="1 - dropout rate")
    add("--validation", type=cli.count, metavar="N", help="images to choose the best epoch by")
    add("--patience", type=cli.positive, metavar="N", help="epochs to wait for a better one")
    add("--seed", type=cli.count, metavar="N", help="same seed, same network (default: 0)")
    add("--dtype", choices=["float32", "float64"], help="of the weights (default: float32)")
    add("--out", type=Path, metavar="DIR", help="where results go (default: runs/NAME)")
    add("--resume", type=Path, metavar="DIR", help="go on with the run whose results are in DIR")
    add("--show-samples", type=cli.png, metavar="PNG", help="draw some of the images, and exit")
    add("--dry-run", action="store_true", help="try one batch, write nothing, and exit")
    add("--threads", type=cli.positive, metavar="N", help="processors to use (default: all)")
    add("--quiet", action="store_true", help="print nothing but warnings and errors")
    return parser


if __name__ == "__main__":
    sys.exit(main())
