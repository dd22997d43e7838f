"""Measures training steps and predictions of this library and of other frameworks side by side:
each system in a process of its own, one at a time, in turn, on the same images of MNIST.

    python benchmarks/speed.py                          all workloads, some minutes
    python benchmarks/speed.py --workloads mlp-adam     those whose name starts with this
    python benchmarks/speed.py --systems "this library" PyTorch --rounds 21

On a busy machine the results are not valid. So the benchmark also measures how much of the
processors other programs used, and says if it was too much.
"""

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from peers import SYSTEMS, Workload, build, torch_model

ROOT = Path(__file__).resolve().parent.parent

TRAINING = [
    Workload("two-layer", 100),
    Workload("mlp", 32),
    Workload("deep-mlp", 32),
    Workload("mlp-adam", 32),
    *(Workload("conv", size) for size in (10, 50, 128)),
    Workload("lenet5", 64),
]
NETWORKS = ("two-layer", "mlp", "deep-mlp", "mlp-adam", "conv", "lenet5")
PREDICTION = [Workload(name, n, training=False) for name in NETWORKS for n in (1, 1000, 10_000)]
WORKLOADS = {str(workload): workload for workload in [*TRAINING, *PREDICTION]}

REFERENCE, LIBRARY, FLOOR = "PyTorch", "this library", "matrix products"
CHUNK = 0.15
"""Seconds of work in one turn of a system."""
ROUNDS_OF_A_PROCESS = 3
"""Then all processes are restarted: memory addresses can make a process slow for its whole life
(PyTorch's LeNet-5 takes 3.9 or 8.2 ms a step)."""
REST = 0.1
"""Seconds before each turn: threads of the previous system keep spinning for a while."""
TOLERATED = 0.03
"""Fraction of the processors that other programs may use in a valid run."""


# --- one system, in a process of its own ----------------------------------------------------------


def serve(system: str, workload: Workload, images: str) -> None:
    """Answer every line of stdin with the seconds of a step and of the chunk, the processor time of
    other programs, and the megabytes that the first steps took beside network and images.

    The first answer is the number of steps in a chunk, or why the system cannot be measured.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a framework prints is not an answer

    def answer(**figures: Any) -> None:
        print(json.dumps(figures), file=answers, flush=True)

    with np.load(images) as file:
        x, t = file["x"], file["t"]
    try:
        run = SYSTEMS[system](workload, x, t)
    except ImportError as error:
        answer(missing=str(error))
        return
    before = memory_peak(reset=True)
    run(3)
    megabytes = memory_peak() - before
    steps, seconds = 1, 0.0
    while seconds < CHUNK / 3:
        steps *= 2
        began = time.perf_counter()
        run(steps)
        seconds = time.perf_counter() - began
    steps = max(1, round(steps * CHUNK / seconds))
    answer(steps=steps)
    for _ in sys.stdin:
        others, began = taken_by_others(), time.perf_counter()
        run(steps)
        seconds = time.perf_counter() - began
        others = taken_by_others() - others
        answer(seconds=seconds / steps, chunk=seconds, others=others, megabytes=megabytes)


def taken_by_others() -> float:
    """Processor seconds used so far by other processes, or stolen by other virtual machines; 0 on
    systems other than Linux.
    """
    if not Path("/proc/stat").exists():
        return 0.0
    with open("/proc/stat") as file:
        user, nice, system, _idle, _iowait, *rest = map(int, file.readline().split()[1:])
    interrupts_and_stolen = sum(rest[:3])
    ticks = user + nice + system + interrupts_and_stolen
    return ticks / os.sysconf("SC_CLK_TCK") - time.process_time()


def memory_peak(reset: bool = False) -> float:
    """The most megabytes this process has had, since the last reset; nan except on Linux."""
    status, forget = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    if not status.exists():
        return float("nan")
    if reset:
        forget.write_text("5")
    return int(status.read_text().split("VmHWM:")[1].split()[0]) / 1024


# --- all systems, in turn -------------------------------------------------------------------------


def measure(
    systems: list[str], workload: Workload, images: str, rounds: int
) -> dict[str, list[dict[str, float]]]:
    """The answers of each system, round by round, from new processes every few rounds."""
    results: dict[str, list[dict[str, float]]] = {system: [] for system in systems}
    for first in range(0, rounds, ROUNDS_OF_A_PROCESS):
        processes = _start(systems, workload, images)
        systems = list(processes)  # without those that cannot be measured
        for i in range(first, min(first + ROUNDS_OF_A_PROCESS, rounds)):
            start = i % len(systems)  # every round starts with another system
            for system in systems[start:] + systems[:start]:
                stdin = processes[system].stdin
                assert stdin is not None
                time.sleep(REST)
                print("go", file=stdin, flush=True)
                results[system].append(_answer(processes[system]))
        for process in processes.values():
            _end(process)
    return {system: results[system] for system in systems}


def _start(systems: list[str], workload: Workload, images: str) -> dict[str, subprocess.Popen[str]]:
    """A process for each available system, warmed up and waiting."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    processes: dict[str, subprocess.Popen[str]] = {}
    for system in systems:
        process = subprocess.Popen(
            [sys.executable, __file__, "--serve", system, str(workload), images],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )
        first = _answer(process)
        if "steps" in first:
            processes[system] = process
        else:
            _end(process)
            reason = first.get("missing", "it failed")
            print(f"{workload}: without {system} ({reason})", file=sys.stderr)
    return processes


def _answer(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    line = process.stdout.readline()
    return dict(json.loads(line)) if line else {}


def _end(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None and process.stdout is not None
    process.stdin.close()
    process.stdout.close()
    process.wait()


def row(workload: str, system: str, results: dict[str, list[dict[str, float]]]) -> str:
    """A row of the table. Ratios are taken within each round, under the same conditions."""
    own = [chunk["seconds"] for chunk in results[system]]
    cells = [workload, system, f"{1e6 * statistics.median(own):,.0f}"]
    cells.append(f"{1e6 * min(own):,.0f} to {1e6 * max(own):,.0f}")
    for other, faster in ((REFERENCE, True), (FLOOR, False)):
        if other not in results:
            cells.append("")
            continue
        theirs = [chunk["seconds"] for chunk in results[other]]
        pairs = zip(theirs, own, strict=True)
        cells.append(f"{statistics.median(b / a if faster else a / b for b, a in pairs):.2f}")
    cells.append(f"{results[system][0]['megabytes']:,.1f}")
    return f"| {' | '.join(cells)} | {disturbance(results[system]):.1%} |"


def disturbance(chunks: list[dict[str, float]]) -> float:
    """Fraction of the processors that other programs used."""
    seconds = sum(chunk["chunk"] for chunk in chunks) * (os.cpu_count() or 1)
    return max(0.0, sum(chunk["others"] for chunk in chunks) / seconds)


# --- cold start -----------------------------------------------------------------------------------

COLD_START = {
    LIBRARY: """
import sys
import numpy as np
from digits.files.models import load_model
network = load_model(sys.argv[1])
print(int(np.argmax(network.predict(np.load(sys.argv[2])))))
""",
    REFERENCE: """
import sys
import numpy as np
import torch
from peers import torch_model
model = torch_model("lenet5")
model.load_state_dict(torch.load(sys.argv[1]))
model.eval()
with torch.inference_mode():
    x = torch.from_numpy(np.load(sys.argv[2])).reshape(1, 1, 28, 28)
    print(int(model(x).argmax()))
""",
}
MEMORY = """
from pathlib import Path
status = Path("/proc/self/status")
if status.exists():
    print(next(line.split()[1] for line in status.open() if line.startswith("VmHWM")))
"""


def cold_start(folder: Path, x: Any, rounds: int) -> dict[str, tuple[float, float]]:
    """Median seconds and peak megabytes of a process that loads a LeNet-5, classifies one image and
    exits.
    """
    image, models = folder / "image.npy", {LIBRARY: folder / "model.npz"}
    np.save(image, x[:1])
    build("lenet5").save(models[LIBRARY])
    if importlib.util.find_spec("torch"):
        import torch

        models[REFERENCE] = folder / "model.pt"
        torch.save(torch_model("lenet5").state_dict(), models[REFERENCE])
    path = os.pathsep.join([str(ROOT), str(ROOT / "benchmarks")])
    environment = {**os.environ, "PYTHONPATH": path}
    seconds: dict[str, list[float]] = {system: [] for system in models}
    memory = dict.fromkeys(models, 0.0)
    for _ in range(rounds):
        for system, model in models.items():
            script = COLD_START[system] + MEMORY
            command = [sys.executable, "-c", script, str(model), str(image)]
            began = time.perf_counter()
            result = subprocess.run(
                command, env=environment, check=True, capture_output=True, text=True
            )
            seconds[system].append(time.perf_counter() - began)
            _, *kilobytes = result.stdout.split()
            memory[system] = float(kilobytes[0]) / 1024 if kilobytes else float("nan")
    return {name: (statistics.median(seconds[name]), memory[name]) for name in models}


# --- command line ---------------------------------------------------------------------------------


def main() -> int:
    """Print the tables; the exit status is 1 if the machine was too busy for them to count."""
    if sys.argv[1:2] == ["--serve"]:
        serve(sys.argv[2], WORKLOADS[sys.argv[3]], sys.argv[4])
        return 0
    if importlib.util.find_spec("digits") is None:  # not installed: this checkout's own
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.call([sys.executable, *sys.argv], env=environment)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workloads", nargs="+", default=[""], metavar="NAME")
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=list(SYSTEMS))
    parser.add_argument("--rounds", type=int, default=12, help="at least 7 (default: 12)")
    parser.add_argument("--dataset-dir", type=Path, help="where mnist/ is (default: dataset)")
    parser.add_argument("--no-cold-start", action="store_true", help="only the steps")
    options = parser.parse_args()
    chosen = [name for name in WORKLOADS if name.startswith(tuple(options.workloads))]
    if options.rounds < 7 or not chosen:
        parser.error(f"expected at least 7 rounds, and workloads among: {'; '.join(WORKLOADS)}")

    from mnist_loader import load_mnist

    (x, t), _ = load_mnist(normalize=True, dataset="mnist", dataset_dir=options.dataset_dir)
    x, t = x[:12_800], t[:12_800]
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.2f}, NumPy {np.__version__}")
    busy: list[str] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        images = folder / "images.npz"
        np.savez(images, x=x, t=t)
        names = "workload | system | microseconds | from - to | PyTorch / it | it / floor | MB"
        print(f"| {names} | others |")
        print("|---|---|---|---|---|---|---|---|", flush=True)
        for name in chosen:
            results = measure(options.systems, WORKLOADS[name], str(images), options.rounds)
            for system, chunks in results.items():
                print(row(name, system, results), flush=True)
                if disturbance(chunks) > TOLERATED:
                    busy.append(f"{name}, {system}: {disturbance(chunks):.0%}")
        if not options.no_cold_start:
            print("\nLoad a LeNet-5, classify one image, exit:")
            for system, (seconds, megabytes) in cold_start(folder, x, options.rounds).items():
                print(f"{system}: {1000 * seconds:,.0f} ms, {megabytes:,.0f} MB")
    print(f"load {os.getloadavg()[0]:.2f}")
    if busy:
        print(
            "NOT VALID: other programs used too much of the "
            f"processors ({'; '.join(busy)}); try again when it is idle",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
