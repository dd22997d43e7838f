"""Kill `train_net.py` at random moments of every phase, and count what does not survive: a start
that fails, a file that is not whole, a training that ends with another bit than it should.

    PYTHONPATH=. python benchmarks/interruptions.py FOLDER [--kills 200] [--seed 0]

FOLDER holds `mnist/*.gz`, the published files, and a server on this machine plays the mirror with
them.  A round begins on an empty disk and is killed (SIGKILL) while it downloads, caches, trains,
writes a checkpoint and writes the results, each start going on where the last one died.  The last
start of a round is left alone and must end as the training that nobody interrupted.
"""

import argparse
import functools
import http.server
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mnist_loader
from digits.files.models import load_model
from digits.files.npz import load_arrays
from digits.photos.photograph import read_picture

ORIGINALS = mnist_loader.ORIGINALS["mnist"]

TRAIN_NET = """
import io, pathlib, sys, time
import mnist_loader, train_net

class SlowDisk(io.FileIO):  # there must be time to die within a write, however short
    def write(self, data):
        piece = -(-len(data) // 20)
        for start in range(0, len(data), piece or 1):
            super().write(data[start : start + piece])
            time.sleep(0.001)
        return len(data)

fast = pathlib.Path.open
pathlib.Path.open = lambda path, mode="r", *rest, **more: (
    SlowDisk(path, mode) if mode == "wb" else fast(path, mode, *rest, **more)
)
mnist_loader.MIRRORS = {"mnist": (sys.argv.pop(1),)}
sys.exit(train_net.main())
"""

EPOCHS = 4
TRAINING = (
    "--recipe",
    "mlp-adam",
    "--dataset",
    "mnist",
    "--batch-size",
    "1000",
    "--epochs",
    EPOCHS,
)

PHASES = {"download": 0.4, "cache": 0.2, "training": 1.0, "checkpoint": 0.05, "results": 0.6}
"""After its beginning, the seconds within which a phase is killed, at a moment drawn evenly."""


class Mirror(http.server.SimpleHTTPRequestHandler):
    """Serves files at some 25 MB/s: there must be time to die."""

    def copyfile(self, source: Any, outputfile: Any) -> None:
        try:
            while piece := source.read(1 << 16):
                outputfile.write(piece)
                time.sleep(0.0025)
        except ConnectionError:
            pass  # the reader was killed

    def log_message(self, *_: Any) -> None:
        pass


def start(data: Path, out: Path, mirror: str, resume: bool) -> "subprocess.Popen[str]":
    """Train into `out`, or go on there."""
    words = ["--resume", str(out)] if resume else ["--out", str(out), *map(str, TRAINING)]
    return subprocess.Popen(
        [
            sys.executable,
            "-W",
            "error",
            "-c",
            TRAIN_NET,
            mirror,
            "--dataset-dir",
            str(data),
            *words,
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "NO_PROXY": "127.0.0.1"},
    )


def unfinished(folder: Path) -> set[str]:
    """The files that are being written, or were when their writer died."""
    try:
        return {name for name in os.listdir(folder) if name.endswith(".part")}
    except FileNotFoundError:
        return set()


def prepare(phase: str, data: Path) -> None:
    """Take away what would let a start skip the phase."""
    if phase in ("download", "cache"):
        (data / "mnist.pkl").unlink(missing_ok=True)
    if phase == "download":
        (data / f"{ORIGINALS[0].name}.gz").unlink(missing_ok=True)


def wait_for(phase: str, process: "subprocess.Popen[str]", folder: Path) -> None:
    """Return when the phase begins, or the process ends."""
    assert process.stdout is not None
    if phase in ("download", "cache"):
        known, name = unfinished(folder), "mnist.pkl" if phase == "cache" else ORIGINALS[0].name
        while process.poll() is None:
            if any(part.startswith(f".{name}") for part in unfinished(folder) - known):
                return
            time.sleep(0.0005)
    elif phase == "training" or (phase == "results" and (folder / "model.npz").exists()):
        process.stdout.readline()  # after a training that had ended only its results are written
    else:
        last = f"epoch {EPOCHS}/" if phase == "results" else "epoch "
        while (line := process.stdout.readline()) and not line.startswith(last):
            pass


def kill(process: "subprocess.Popen[str]", phase: str, folder: Path, chance: random.Random) -> bool:
    """Kill the process in this phase; whether it lived until then.  RuntimeError if it failed."""
    wait_for(phase, process, folder)
    time.sleep(chance.uniform(0, PHASES[phase]))
    process.send_signal(signal.SIGKILL)
    _, said = process.communicate()
    if process.returncode not in (0, -signal.SIGKILL):
        raise RuntimeError(said.strip() or f"exit status {process.returncode}")
    return process.returncode != 0


# --- is everything whole? -------------------------------------------------------------------------


def _require_cache(path: Path) -> None:
    if mnist_loader._read_cache(path, mnist_loader._cache_key("mnist")) is None:
        raise ValueError("it would have to be made anew")


def _require_rows(path: Path) -> None:
    *rows, rest = path.read_text().split("\n")
    if rest or len({row.count(",") for row in rows}) != 1:
        raise ValueError("a row is not whole")


READERS: dict[str, Callable[[Path], Any]] = {
    **{f"{o.name}.gz": functools.partial(mnist_loader._verify, original=o) for o in ORIGINALS},
    "mnist.pkl": _require_cache,
    "checkpoint.npz": functools.partial(load_arrays, kind="checkpoint"),
    "model.npz": load_model,
    "history.csv": _require_rows,
    "report.json": lambda path: json.loads(path.read_text()),
    "curves.png": read_picture,
}


def damaged(folder: Path) -> Iterator[str]:
    """The files below `folder` that bear their final name and are not whole."""
    for path in folder.rglob("*"):
        if path.name in READERS:
            try:
                READERS[path.name](path)
            except Exception as error:  # whatever is wrong is to be counted
                yield f"{path.name}: {type(error).__name__}: {error}"


def results(out: Path) -> dict[str, bytes]:
    """All that a training decides, to the last bit."""
    header, arrays = load_arrays(out / "checkpoint.npz", "checkpoint")
    del header["seconds"], header["run"]
    return {
        "header": json.dumps(header).encode(),
        **{name: array.tobytes() for name, array in arrays.items()},
        **{name: (out / name).read_bytes() for name in ("model.npz", "history.csv")},
    }


# --- the count ------------------------------------------------------------------------------------


def play_round(
    folder: Path, mirror: str, kills: int, chance: random.Random, expected: dict[str, bytes]
) -> Counter[tuple[str, str]]:
    """Kill so often in each phase; how often what happened, by phase and event."""
    data, out = folder / "data", folder / "out"
    happened: Counter[tuple[str, str]] = Counter()

    def note(phase: str, event: str, text: str = "") -> None:
        happened[phase, event] += 1
        if text:
            print(f"{phase}: {event}: {text}", flush=True)

    for phase in PHASES:
        place = data / "mnist" if phase in ("download", "cache") else out
        done = 0
        while done < kills:
            # A training that has reached its end writes no more checkpoints: a new one begins.
            ended = (out / "model.npz").exists() and phase != "results"
            resume = (out / "checkpoint.npz").exists() and not ended
            prepare(phase, data / "mnist")
            before = unfinished(place)
            try:
                killed = kill(start(data, out, mirror, resume), phase, place, chance)
            except RuntimeError as error:
                note(phase, "a start failed", str(error))
                return happened
            for text in damaged(folder):
                note(phase, "a file is not whole", text)
            if killed:
                done += 1
                note(phase, "kills")
                happened[phase, "within a write"] += bool(unfinished(place) - before)
    last = start(data, out, mirror, resume=(out / "checkpoint.npz").exists())
    _, said = last.communicate()
    if last.returncode:
        note("results", "a start failed", said)
    elif results(out) != expected:
        note("results", "another end", "weights, losses or history differ")
    elif unfinished(out):
        note("results", "a file was left over", str(unfinished(out)))
    else:
        note("results", "rounds that ended to the bit")
    return happened


def main() -> int:
    """Print how often a process was killed in each phase, and what came of it."""
    parser = argparse.ArgumentParser(prog="interruptions", description="Kill, restart, compare.")
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--in-a-row", type=int, default=4, help="kills of a phase in a round")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chance, total = random.Random(options.seed), Counter[tuple[str, str]]()
    handler = functools.partial(Mirror, directory=options.folder / "mnist")
    with (
        http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server,
        tempfile.TemporaryDirectory() as temporary,
    ):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        mirror = f"http://127.0.0.1:{server.server_port}/"
        whole = Path(temporary, "whole")
        process = start(whole / "data", whole / "out", mirror, resume=False)
        _, said = process.communicate()
        if process.returncode:
            sys.exit(f"interruptions: the training does not even work undisturbed: {said}")
        expected = results(whole / "out")
        rounds = 0
        while sum(n for (_, event), n in total.items() if event == "kills") < options.kills:
            with tempfile.TemporaryDirectory(dir=temporary) as folder:
                rounds += 1
                total += play_round(Path(folder), mirror, options.in_a_row, chance, expected)
                print(f"round {rounds}: {dict(total)}", flush=True)
        server.shutdown()

    events = ("kills", "within a write", "a start failed", "a file is not whole")
    print(f"\n{'phase':12}" + "".join(f"{event:>21}" for event in events))
    for phase in PHASES:
        print(f"{phase:12}" + "".join(f"{total[phase, event]:21}" for event in events))
    equal = total["results", "rounds that ended to the bit"]
    print(f"\n{equal} of {rounds} rounds ended with the weights of the uninterrupted training")
    bad = sum(total[phase, event] for phase in PHASES for event in events[2:])
    return 0 if equal == rounds and not bad else 1


if __name__ == "__main__":
    sys.exit(main())
