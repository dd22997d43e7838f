"""How the time and the memory of reading grow with what is on the paper: dashes, hatching, rings,
lines, specks, words and digits, as drawings and as photographs.

    python benchmarks/complexity.py [--kinds dashes rings] [--sizes 5]

The paper of each kind has one size, and more and more is drawn on it. Each reading is a process of
its own with one thread. Printed are the seconds of the processor, the memory above that of a blank
sheet, the slopes of straight lines through both on a log-log plot, and the most for a megapixel.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from digits.types import Array  # noqa: E402
from predict_image import read_digits, read_drawing  # noqa: E402


def paper(height: int, width: int) -> Array:
    return np.full((height, width), 255, np.uint8)


def dashes(count: int) -> Array:
    """One row of dashes, each close enough to the next two to be one digit with them."""
    drawing = paper(200, 4200)
    for number in range(count):
        x, long = 20 + 26 * number, 8 * (number % 2)
        cv2.line(drawing, (x, 100 - number % 5), (x + 12 + long, 100 - number % 5), 0, 5)
    return drawing


def hatching(count: int) -> Array:
    drawing = paper(1000, 1000)
    for number in range(count):
        x = 20 + 880 * number // count
        cv2.line(drawing, (x, 900), (x + 60, 100), 0, 2)
    return drawing


def rings(count: int) -> Array:
    drawing = paper(2000, 2000)
    for radius in np.linspace(20, 980, count):
        cv2.circle(drawing, (1000, 1000), int(radius), 0, 1)
    return drawing


def lines(count: int) -> Array:
    """Ruled paper, with gaps so that the lines are no rulings."""
    drawing = paper(1000, 1000)
    for y in np.linspace(10, 990, count):
        cv2.line(drawing, (20, int(y)), (980, int(y)), 0, 1)
    drawing[:, 480:520] = 255
    return drawing


def specks(count: int) -> Array:
    drawing = paper(1000, 1000)
    for x, y in np.random.default_rng(0).integers(0, 1000, (count, 2)):
        cv2.circle(drawing, (int(x), int(y)), 3, 0, -1)
    return drawing


def cursive(count: int) -> Array:
    """Words whose letters touch, ten in a line."""
    drawing = paper(1000, 1000)
    rng = np.random.default_rng(0)
    for number in range(count):
        x = np.arange(0, 75)
        wave = 10 * np.sin(x / rng.uniform(2, 3)) * rng.uniform(0.5, 1, len(x))
        points = np.stack([10 + 98 * (number % 10) + x, 20 + 30 * (number // 10) + wave], axis=1)
        cv2.polylines(drawing, [points.astype(np.int32)], False, 0, 2)
    return drawing


def digits(count: int) -> Array:
    drawing = paper(2000, 2000)
    for number in range(count):
        place = 20 + 64 * (number % 30), 60 + 64 * (number // 30)
        cv2.putText(drawing, str(number % 10), place, cv2.FONT_HERSHEY_SIMPLEX, 1.6, 0, 4)
    return drawing


KINDS: dict[str, tuple[Callable[[int], Array], int]] = {
    "dashes": (dashes, 160),
    "hatching": (hatching, 160),
    "rings": (rings, 320),
    "lines": (lines, 160),
    "specks": (specks, 8000),
    "cursive": (cursive, 320),
    "digits": (digits, 900),
}
"""Each kind of drawing, with the largest count."""


def measure(kind: str, count: int, photo: bool) -> tuple[float, float]:
    """Seconds of the processor and bytes of memory for one reading."""
    cv2.setNumThreads(1)
    draw, _ = KINDS[kind]
    read = read_digits if photo else read_drawing
    picture, blank = draw(count), draw(0)
    read(cv2.putText(blank.copy(), "7", (20, 90), cv2.FONT_HERSHEY_SIMPLEX, 2, 0, 5))  # imports
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    read(picture)
    seconds = time.process_time() - began
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return seconds, 1024.0 * (after - before)


def slope(counts: list[int], values: tuple[float, ...]) -> float:
    return float(np.polyfit(np.log(counts), np.log(np.maximum(values, 1e-2)), 1)[0])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument(
        "--sizes", type=int, default=4, help="counts of each kind, each twice the last"
    )
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        kind, count, photo = options.one
        print(json.dumps(measure(kind, int(count), photo == "photo")))
        return 0
    print("kind, paper; each count: seconds, MB; slopes of time and memory; most seconds for 1 MP")
    for kind in options.kinds:
        draw, most = KINDS[kind]
        counts = [most >> shift for shift in reversed(range(options.sizes))]
        megapixels = draw(0).size / 1e6
        for how in ("drawing", "photo"):
            found = []
            for count in counts:
                command = [sys.executable, __file__, "--one", kind, str(count), how]
                out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
                found.append(json.loads(out))
            seconds, memory = zip(*found, strict=True)
            each = zip(counts, seconds, memory, strict=True)
            print(
                f"{kind} {how}, {megapixels:.1f} MP;",
                ", ".join(f"{n:,}: {s:.2f} s {m / 1e6:.0f} MB" for n, s, m in each)
                + f"; {slope(counts, seconds):.1f}, {slope(counts, memory):.1f}; "
                f"{max(seconds) / megapixels:.2f}",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
