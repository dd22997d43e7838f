"""Measures the test accuracy of every recipe, mean and spread over several seeds. Each row is
trained by the command that it shows.

    python benchmarks/accuracy.py                     all rows, 5 seeds (conv, best: 3); some hours
    python benchmarks/accuracy.py --rows mlp --seeds 2
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Row:
    """Options of train_net, and the accuracy that the source reports for one run of it."""

    options: str
    published: float | None
    seeds: int = 5


ROWS = {
    "two-layer": Row("--recipe two-layer", None),
    "mlp": Row("--recipe mlp", 0.9756),
    "deep-mlp": Row("--recipe deep-mlp", 0.9652),
    "mlp-adam": Row("--recipe mlp-adam", 0.9789),
    "lenet5": Row("--recipe lenet5", None),
    "lenet5-1998": Row("--recipe lenet5-1998", 0.9905),
    "conv-1": Row(
        "--recipe conv --iterations 1000 --batch-size 50 --keep-prob 1.0", 0.9704, seeds=3
    ),
    "conv-2": Row(
        "--recipe conv --iterations 2000 --batch-size 20 --keep-prob 0.5", 0.9736, seeds=3
    ),
    "conv-3": Row(
        "--recipe conv --iterations 5000 --batch-size 10 --keep-prob 0.5", 0.9824, seeds=3
    ),
    "conv-4": Row(
        "--recipe conv --iterations 10000 --batch-size 10 --keep-prob 0.5", 0.9872, seeds=3
    ),
    "fast-1": Row("--recipe fast", None),
    "fast-2": Row("--recipe fast --epochs 2", None),
    "best": Row("--recipe best", None, seeds=3),
}


def measure(row: Row, seed: int) -> dict[str, float]:
    """The report of one training."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(ROOT / "train_net.py"), *row.options.split()]
        command += ["--seed", str(seed), "--out", folder, "--dataset", "mnist", "--quiet"]
        subprocess.run(command, check=True)
        report: dict[str, float] = json.loads(Path(folder, "report.json").read_text("utf-8"))
    return report


def main() -> int:
    """Print a line for each training, and a table of the rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS), metavar="ROW")
    parser.add_argument(
        "--seeds", type=int, help="trainings for each row (default: 5, conv and best 3)"
    )
    options = parser.parse_args()
    table = [
        "| command | parameters | test accuracy | lowest to highest | published | seconds |",
        "|---|---|---|---|---|---|",
    ]
    for name in options.rows:
        row = ROWS[name]
        reports = []
        for seed in range(options.seeds or row.seeds):
            reports.append(measure(row, seed))
            print(f"{name}, seed {seed}: {reports[-1]['test_accuracy']:.4f}", flush=True)
        accuracies = [report["test_accuracy"] for report in reports]
        spread = statistics.stdev(accuracies) if len(accuracies) > 1 else 0.0
        table.append(
            f"| `{row.options}` | {reports[0]['parameters']:,} "
            f"| {statistics.mean(accuracies):.4f} ± {spread:.4f} ({len(accuracies)} seeds) "
            f"| {min(accuracies):.4f} to {max(accuracies):.4f} "
            f"| {row.published or ''} "
            f"| {statistics.median(report['seconds'] for report in reports):.0f} |"
        )
    print("\n".join(table))
    return 0


if __name__ == "__main__":
    sys.exit(main())
