"""Mutant after mutant is read under guard; what is neither answer nor refusal is reported."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from guard import Guard, guarded, is_ours
from mutation import Mutator, mutants

FEW = 150
"""Inputs of each kind that are tried when no time is given."""

tally: Counter[str] = Counter()
"""How many inputs of each kind were answered and refused, for the summary at the end."""


@dataclass
class Fuzzer:
    """A test's own: how long to go on, where to begin, and where files may be written."""

    folder: Path
    seconds: float
    seed: int
    found: list[str] = field(default_factory=list)

    def __call__(
        self, kind: str, honest: Sequence[bytes], mutate: Mutator,
        read: Callable[[bytes, np.random.Generator], object],
        documented: tuple[type[BaseException], ...], memory: int | Callable[[bytes], int],
        few: int = FEW,
    ) -> None:  # fmt: skip
        """Read mutants until the time is up; fail if any did what it may not.

        kind: what they are, for the summary.  documented: the exceptions that `read` may raise.
        memory: how many bytes reading may take, if need be for each mutant on its own.
        """
        end = time.monotonic() + self.seconds
        for number in count():
            if number >= few and time.monotonic() >= end:
                break
            data, rng = mutants(honest, mutate, self.seed, number)
            limit = memory(data) if callable(memory) else memory
            guard = Guard(self.folder, limit)
            outcome = "answered"
            try:
                with guarded(guard):
                    read(data, rng)
            except Exception as error:
                outcome = "refused"
                if not is_ours(error, documented):
                    guard.faults.append(f"{type(error).__name__}: {error}")
            tally[f"{kind}: {outcome}"] += 1
            if guard.faults:
                self._keep(kind, number, data, guard.faults)
                if len(self.found) >= 20:
                    break
        if self.found:
            pytest.fail("\n".join(self.found), pytrace=False)

    def _keep(self, kind: str, number: int, data: bytes, faults: list[str]) -> None:
        path = self.folder / f"{kind.replace(' ', '-')}-{self.seed}-{number}"
        path.write_bytes(data)
        self.found.append(f"{path}: {'; '.join(faults)}")
