"""How far data parallelism would carry each recipe on more machines than there are here: the step
times that `benchmarks/ranks.py` measured, and the cost of the sums over a network by its published
latency and bandwidth.

    python -m benchmarks.projection benchmarks/ranks.json

A rank is a machine like the measured one.  A step of N ranks takes

    T(N) = C(n) + sum over the messages of min(doubling, Rabenseifner, ring),  n = ceil(batch / N)
    doubling     = ceil(log2 N) (a + M b)
    Rabenseifner = 2 ceil(log2 N) a + 2 (N - 1) / N M b
    ring         = 2 (N - 1) a + 2 (N - 1) / N M b

and no less than a second thread needs to change the images meanwhile, in recipes that do: every
rank changes the whole batch.  C(n) is the measured time of a step by one process on n images,
update included, M the bytes of a message, a the latency of the network and b its seconds a byte:
the costs of Thakur, Rabenseifner and Gropp (2005), where adding, which is done at the speed of
memory, costs nothing.  The efficiency is T(1) / (N T(N)).  Ranks that wait for a slow one, and
switches that carry less than all links at once, are not in it: these are upper bounds.
"""

import argparse
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from digits.recipes import RECIPES

RANKS = (8, 64, 1024)


@dataclass(frozen=True)
class Network:
    """Latency of a message in seconds, and bytes a second."""

    name: str
    latency: float
    bandwidth: float


NETWORKS = (
    Network("Gigabit Ethernet", 23.6e-6, 118.2e6),
    Network("40 Gb/s Ethernet, usNIC", 1.93e-6, 37.23e9 / 8),
    Network("200 Gb/s InfiniBand", 1.2e-6, 192e9 / 8),
)
"""As measured and published by: NW-GRID, http://www.nw-grid.ac.uk/LivMPI (Broadcom BCM5704, through
a switch); Cisco, "MPI over 40Gb Ethernet"; Microsoft, "HBv3-series performance"."""


def seconds_of_sum(size: int, ranks: int, network: Network) -> float:
    """A sum of `size` bytes over all ranks, by the algorithm that suits it best."""
    if ranks == 1:
        return 0.0
    rounds, a, transfer = math.ceil(math.log2(ranks)), network.latency, size / network.bandwidth
    both_ways = 2 * (ranks - 1) / ranks * transfer
    return min(rounds * (a + transfer), 2 * rounds * a + both_ways, 2 * (ranks - 1) * a + both_ways)


@dataclass(frozen=True)
class Measured:
    """A recipe: its batch, what a step takes by its number of images, the bytes of its messages."""

    recipe: str
    batch_size: int
    seconds_by_images: dict[int, float]
    messages: list[int]
    augment: float

    def compute(self, images: float) -> float:
        """Seconds of a step of one process: measured, straight lines between, and beyond the last
        size in the proportion of the last two.
        """
        sizes = sorted(self.seconds_by_images)
        seconds = [self.seconds_by_images[n] for n in sizes]
        if images <= sizes[-1]:
            return float(np.interp(images, sizes, seconds))
        slope = (seconds[-1] - seconds[0]) / (sizes[-1] - sizes[0])
        return seconds[-1] + slope * (images - sizes[-1])

    def step(self, ranks: int, network: Network, batch_size: int) -> float:
        """Seconds of a step of all ranks on a batch of this size."""
        sums = sum(seconds_of_sum(size, ranks, network) for size in self.messages)
        augment = self.augment * batch_size / self.batch_size
        return max(self.compute(math.ceil(batch_size / ranks)) + sums, augment)

    def efficiency(self, ranks: int, network: Network, batch_size: int | None = None) -> float:
        """Share of the ranks' time that one process would need for the same batch."""
        batch_size = batch_size or self.batch_size
        alone = self.step(1, network, batch_size)
        return alone / (ranks * self.step(ranks, network, batch_size))

    def local_steps(self, ranks: int, network: Network) -> int:
        """Steps that every rank takes by itself, each on a batch of its own, before the weights are
        averaged, for nine tenths of the time to be well spent.
        """
        sums = seconds_of_sum(max(self.messages), ranks, network)
        return max(1, math.ceil(9 * sums / self.compute(self.batch_size)))


def measured(path: Path) -> list[Measured]:
    """The figures in a file of `benchmarks/ranks.py`."""
    results = json.loads(path.read_text(encoding="utf-8"))
    of_one = {r["recipe"]: r for r in results if r["ranks"] == 1}
    of_two = {r["recipe"]: r for r in results if r["ranks"] == 2}
    return [
        Measured(
            name,
            r["batch_size"],
            {int(n): ms / 1000 for n, ms in r["by_batch"].items()},
            of_two[name]["messages"],
            r.get("augment", 0.0) / 1000,
        )
        for name, r in of_one.items()
    ]


def first_that(holds: Callable[[int], bool], among: range) -> int | None:
    """The first number for which it holds, if there is one."""
    return next((n for n in among if holds(n)), None)


def falls_short(recipe: Measured, network: Network, ranks: int) -> bool:
    """Whether more than half of the ranks' time is lost."""
    return recipe.efficiency(ranks, network) < 0.5


def smallest_batch(recipe: Measured, ranks: int, network: Network) -> int | None:
    """Images a rank, from which on half of the ranks' time is well spent."""
    return first_that(
        lambda n: recipe.efficiency(ranks, network, n * ranks) >= 0.5,
        range(1, 4097),
    )


def shown(value: Any) -> str:
    """A cell of a table."""
    return (
        "never"
        if value is None
        else f"{value:,}"
        if isinstance(value, int)
        else f"{100 * value:.1f} %"
    )


def table(recipes: list[Measured], network: Network) -> str:
    """What becomes of each recipe on a network, in Markdown."""
    title = f"{network.name}: {network.latency * 1e6:g} µs, {network.bandwidth / 1e9:.3g} GB/s"
    columns = ["recipe, batch", *(f"{n:,} ranks" for n in RANKS), "under 50 % from"]
    columns += [f"images a rank for 50 %, {n:,} ranks" for n in RANKS[1:]]
    columns += [f"steps between sums for 90 %, {n:,} ranks" for n in RANKS[1:]]
    lines = [f"**{title}**", "", f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for recipe in recipes:
        falls = first_that(partial(falls_short, recipe, network), range(2, 1025))
        cells = [f"`{recipe.recipe}`, {recipe.batch_size}"]
        cells += [shown(recipe.efficiency(n, network)) for n in RANKS]
        cells += [shown(falls) + (" ranks" if falls else "")]
        cells += [shown(smallest_batch(recipe, n, network)) for n in RANKS[1:]]
        cells += [shown(recipe.local_steps(n, network)) for n in RANKS[1:]]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> int:
    """Print a table for each network."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.projection")
    parser.add_argument("measured", type=Path, help="the JSON file of benchmarks.ranks")
    recipes = sorted(
        measured(parser.parse_args().measured), key=lambda m: list(RECIPES).index(m.recipe)
    )
    print("\n\n".join(table(recipes, network) for network in NETWORKS))
    return 0


if __name__ == "__main__":
    main()
