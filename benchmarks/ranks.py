"""What a step of training takes with 1, 2 and 4 ranks on this machine, computing and communicating
apart, and what it takes one process for smaller and smaller batches: `benchmarks/projection.py`
continues these figures to more ranks than there are here.

    python -m benchmarks.ranks benchmarks/ranks.json                   two minutes for all recipes
    python -m benchmarks.ranks benchmarks/ranks.json --recipes conv    renew the figures of one
    mpiexec -n 2 python -m benchmarks.ranks --overlap                  send while still computing

A rank waits for the slowest one inside the call that averages, so its communication contains that
waiting; the same call with nothing to wait for is measured beside it.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from digits.compute.distributed import Communicator, Ranks, average, join
from digits.compute.threads import set_threads, threads
from digits.nn.optimizers import Optimizer
from digits.nn.sequential import Sequential
from digits.recipes import RECIPES
from digits.types import Array

RANKS = (1, 2, 4)
SECONDS = 0.5
"""How long a recipe is measured for."""


class Clocked:
    """A communicator that notes the bytes of every sum and how long it took."""

    def __init__(self, communicator: Communicator) -> None:
        self.communicator = communicator
        self.sums: list[tuple[int, float]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.communicator, name)

    def Allreduce(self, sendbuf: None, recvbuf: Array) -> None:
        began = time.perf_counter()
        self.communicator.Allreduce(sendbuf, recvbuf)
        self.sums.append((recvbuf.nbytes, time.perf_counter() - began))


def step_of(name: str, batch_size: int, ranks: Ranks) -> Callable[[], None]:
    """A step of training of a recipe on noise, as `train_net.train` takes it."""
    rng = np.random.default_rng(0)
    recipe = RECIPES[name]
    network = recipe.build(rng)
    optimizer: Optimizer = recipe.optimizer(recipe.learning_rate, 10_000)
    x, t = rng.random((batch_size, 784), np.float32), rng.integers(0, 10, batch_size)

    def take() -> None:
        with ranks.share(batch_size) as rows:
            loss, grads = network.loss_and_gradient(x[rows], t[rows])
            average(grads.flat)
            average(np.array([loss, False]))
        optimizer.update(network.params, grads)

    return take


def times(take: Callable[[], object], ranks: Ranks) -> list[float]:
    """Seconds of each step, as many steps at every rank as fill SECONDS at the first."""
    for _ in range(3):
        take()
    began = time.perf_counter()
    for _ in range(5):
        take()
    count = ranks.first(lambda: max(7, int(SECONDS * 5 / (time.perf_counter() - began))))
    seconds = []
    for _ in range(count):
        began = time.perf_counter()
        take()
        seconds.append(time.perf_counter() - began)
    return seconds


def measure(name: str, ranks: Ranks) -> dict[str, Any]:
    """Milliseconds of a step of a recipe, and of its parts, by the middle one of many steps."""
    batch_size = RECIPES[name].batch_size
    figures: dict[str, Any] = {"recipe": name, "batch_size": batch_size, "ranks": ranks.size}
    if ranks.communicator is None:
        figures["step"] = 1000 * statistics.median(times(step_of(name, batch_size, ranks), ranks))
        sizes = [2**i for i in range(12) if 2**i < batch_size] + [batch_size]
        figures["by_batch"] = {
            n: 1000 * statistics.median(times(step_of(name, n, ranks), ranks)) for n in sizes
        }
        augment = RECIPES[name].augment
        if augment is not None:
            rng = np.random.default_rng(0)
            x = rng.random((batch_size, 784), np.float32)
            figures["augment"] = 1000 * statistics.median(times(lambda: augment(x, rng), ranks))
        return figures
    clocked = Clocked(ranks.communicator)
    seconds = times(step_of(name, batch_size, Ranks(clocked)), ranks)
    per_step = len(clocked.sums) // (8 + len(seconds))
    sums = np.array(clocked.sums[8 * per_step :]).reshape(len(seconds), per_step, 2)
    communication = sums[:, :, 1].sum(axis=1)
    figures["messages"] = sums[0, :, 0].astype(int).tolist()
    figures["step"] = 1000 * statistics.median(seconds)
    figures["communication"] = 1000 * statistics.median(communication.tolist())
    figures["compute"] = 1000 * statistics.median((np.array(seconds) - communication).tolist())
    buffers = [np.zeros(size // 4, np.float32) for size in figures["messages"]]

    def sums_alone() -> None:
        assert ranks.communicator is not None
        for buffer in buffers:
            ranks.communicator.Allreduce(None, buffer)

    figures["sums_alone"] = 1000 * statistics.median(times(sums_alone, ranks))
    return figures


def work(names: list[str]) -> None:
    """One rank: measure with the others, and let the first one print what came out."""
    ranks = join()
    set_threads(min(threads(), ranks.cores()))
    for name in names:
        figures = measure(name, ranks)
        figures["threads"] = threads()
        if ranks.rank == 0:
            print(json.dumps(figures), flush=True)


# --- communicating during the backward pass -------------------------------------------------------


def overlapped(network: Sequential, x: Array, t: Array, world: Any) -> None:
    """Loss and averaged gradient, where a layer's slopes set out as soon as they are known."""
    under_way, stop = [], network.params.flat.size
    with network._products():
        scores = network._scores(network._inputs(x), training=True)
        _, dy = network._loss_and_slope(scores, t)
        for layer in reversed(network.layers[network.first :]):
            slope = layer.backward(dy)
            dy = dy if slope is None else slope
            start = stop - sum(grad.size for grad in layer.grads.values())
            if start < stop:
                part = network.grads.flat[start:stop]
                part *= 1 / world.Get_size()
                under_way.append(world.Iallreduce(None, part))
                stop = start
    for request in under_way:
        request.Wait()


def compare_overlap(names: list[str]) -> None:
    """Gradients by the two ways, in turns; the first rank prints the milliseconds of each."""
    ranks = join()
    set_threads(min(threads(), ranks.cores()))
    world: Any = ranks.communicator
    for name in names:
        network = RECIPES[name].build(np.random.default_rng(0))
        if world is None or not isinstance(network, Sequential) or network.state.flat.size:
            continue  # a hand-written backward pass, or one that communicates by itself
        rng, n = np.random.default_rng(0), RECIPES[name].batch_size // ranks.size
        x, t = rng.random((n, 784), np.float32), rng.integers(0, 10, n)

        def at_the_end(network: Sequential = network, x: Array = x, t: Array = t) -> None:
            _, grads = network.loss_and_gradient(x, t)
            grads.flat *= 1 / ranks.size
            world.Allreduce(None, grads.flat)

        def during(network: Sequential = network, x: Array = x, t: Array = t) -> None:
            overlapped(network, x, t, world)

        figures: dict[str, list[float]] = {"at the end": [], "during": []}
        for _ in range(3):
            figures["at the end"] += times(at_the_end, ranks)
            figures["during"] += times(during, ranks)
        if ranks.rank == 0:
            shown = [f"{way} {1000 * statistics.median(s):.3f} ms" for way, s in figures.items()]
            print(f"{name}: {', '.join(shown)}", flush=True)


# --- the table ------------------------------------------------------------------------------------


def table(results: list[dict[str, Any]]) -> str:
    """The figures in Markdown, a line for each recipe and number of ranks."""
    lines = [
        "| recipe, batch | ranks x threads | step, ms | speed-up | compute, ms | communication, ms "
        "| sums alone, ms | sums, KB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    alone = {r["recipe"]: r["step"] for r in results if r["ranks"] == 1}
    for r in sorted(results, key=lambda r: (list(RECIPES).index(r["recipe"]), r["ranks"])):
        title = f"`{r['recipe']}`, {r['batch_size']}" if r["ranks"] == 1 else ""
        cells = [f"{r['ranks']} x {r['threads']}", f"{r['step']:.2f}"]
        cells += [f"{alone[r['recipe']] / r['step']:.2f}"]
        if r["ranks"] == 1:
            cells += [f"{r['step']:.2f}", "", "", ""]
        else:
            cells += [f"{r[part]:.2f}" for part in ("compute", "communication", "sums_alone")]
            cells += [f"{len(r['messages'])}: {sum(r['messages']) / 1000:,.1f}"]
        lines.append(f"| {' | '.join([title, *cells])} |")
    return "\n".join(lines)


def main() -> int:
    """Measure here, with as many ranks as were started, or start them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ranks")
    parser.add_argument("out", nargs="?", type=Path, help="where the figures go, as JSON")
    parser.add_argument("--recipes", nargs="+", choices=RECIPES, default=list(RECIPES))
    parser.add_argument("--overlap", action="store_true", help="compare two ways to communicate")
    parser.add_argument("--mpiexec", default="mpiexec", help="what starts the ranks")
    options = parser.parse_args()
    if options.overlap:
        compare_overlap(options.recipes)
        return 0
    if options.out is None:
        work(options.recipes)
        return 0
    nearby = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    mpiexec = shutil.which(options.mpiexec, path=nearby)
    if mpiexec is None:
        parser.error(f"expected {options.mpiexec} beside Python or on the PATH: install an MPI")
    results = json.loads(options.out.read_text("utf-8")) if options.out.exists() else []
    results = [figures for figures in results if figures["recipe"] not in options.recipes]
    for ranks in RANKS:
        command = [sys.executable, "-m", "benchmarks.ranks", "--recipes", *options.recipes]
        started = [mpiexec, "-n", str(ranks), *command] if ranks > 1 else command
        done = subprocess.run(started, stdout=subprocess.PIPE, text=True, check=True)
        results += [json.loads(line) for line in done.stdout.splitlines()]
    options.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(table(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
