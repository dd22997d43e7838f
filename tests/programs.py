"""How the tests start the programs of this library, and what these leave."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from digits.files.lock import LOCK_FILE

ROOT = Path(__file__).resolve().parents[1]

PROGRAMS = {
    "train_net": [str(ROOT / "train_net.py")],
    "evaluate_net": ["-m", "digits.evaluate"],
    "predict_image": [str(ROOT / "predict_image.py")],
    "draw_digit": ["-m", "digits.page"],
}


def environment(**changes: str | Path | None) -> dict[str, str]:
    """That of the tests, in which the library is found, with these variables, or without (None)."""
    variables = {**os.environ, "PYTHONPATH": ROOT, **changes}
    return {name: str(value) for name, value in variables.items() if value is not None}


def command(program: str, *arguments: object) -> list[str]:
    """What starts a program with these arguments."""
    return [sys.executable, "-W", "error", *PROGRAMS[program], *map(str, arguments)]


def run(line: Sequence[object], **options: Any) -> "subprocess.CompletedProcess[str]":
    """A program that has ended, with what it said."""
    words = [str(word) for word in line]
    return subprocess.run(words, capture_output=True, text=True, check=False, **options)


def names_in(folder: Path) -> list[str]:
    """What is in a folder, sorted, without the lock file, which stays."""
    return sorted(path.name for path in folder.iterdir() if path.name != LOCK_FILE)


def wait_for(path: Path, process: "subprocess.Popen[str]") -> None:
    """Until a program has left this file."""
    end = time.monotonic() + 60
    while not path.exists():
        assert process.poll() is None, "it ended before it wrote anything"
        assert time.monotonic() < end
        time.sleep(0.001)
