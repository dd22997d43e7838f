"""How the tests start the programs of this library, each as a process of its own."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

PROGRAMS = {
    "train_net": [str(ROOT / "train_net.py")],
    "evaluate_net": ["-m", "digits.evaluate"],
    "predict_image": [str(ROOT / "predict_image.py")],
    "draw_digit": ["-m", "digits.page"],
}


def command(program: str, *arguments: object) -> list[str]:
    """What starts a program with these arguments."""
    return [sys.executable, "-W", "error", *PROGRAMS[program], *map(str, arguments)]
