"""Importing a module costs little and does nothing: no file, thread, word or setting changed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from programs import PROGRAMS, environment

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(
    ".".join(file.relative_to(ROOT).with_suffix("").parts)
    for file in [*ROOT.glob("*.py"), *(ROOT / "digits").rglob("*.py")]
    if file.name not in ("__init__.py", "__main__.py")
)
HEAVY = {"cv2", "matplotlib", "torch", "scipy", "onnx", "keras"}
NEEDS_OPENCV = ("digits.data", "digits.keras", "digits.page", "digits.photos")
"""Folders of modules that import OpenCV, which changes the environment. What the others import of
them must not."""
NEEDS_SCIPY = "digits.sklearn"

PROBE = """
import importlib, json, logging, os, signal, sys, threading
import numpy as np

def surroundings():
    return {
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "import path": list(sys.path),
        "arguments": list(sys.argv),
        "random numbers": repr(np.random.get_state()),
        "numerical errors": np.geterr(),
        "printing": repr(np.get_printoptions()),
        "threads": threading.active_count(),
        "log": [logging.root.level, len(logging.root.handlers)],
        "signals": [repr(signal.getsignal(s)) for s in (signal.SIGINT, signal.SIGTERM)],
        "recursion": sys.getrecursionlimit(),
        "excepthook": sys.excepthook is sys.__excepthook__,
    }

before = surroundings()
for module in sys.argv[1:]:
    importlib.import_module(module)
    after = surroundings()
    changed = [name for name in before if before[name] != after[name]]
    print(json.dumps({"module": module, "changed": changed, "modules": sorted(sys.modules)}))
"""


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """An empty folder to stand in; the home folder is another empty one beside it."""
    for name in ("here", "home"):
        (tmp_path / name).mkdir()
    return tmp_path / "here"


def run(folder: Path, *arguments: str, path: str = "") -> subprocess.CompletedProcess[str]:
    """A fresh Python that stands in `folder`, finds the library and leaves no compiled files."""
    nowhere = dict.fromkeys(("MPLCONFIGDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "DISPLAY"))
    return subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        cwd=folder, capture_output=True, text=True, check=False,
        env=environment(
            HOME=folder.parent / "home",
            PYTHONPATH=os.pathsep.join([path, str(ROOT)] if path else [str(ROOT)]),
            PYTHONDONTWRITEBYTECODE="1",
            **nowhere,
        ),
    )  # fmt: skip


def files_in(folder: Path) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file()]


def test_importing_does_nothing_but_define(elsewhere: Path) -> None:
    """One process imports the light modules, another those that need OpenCV, SciPy's last."""
    heavy_ones = [name for name in MODULES if name.startswith(NEEDS_OPENCV)]
    light = [name for name in MODULES if name not in (*heavy_ones, NEEDS_SCIPY)]
    for modules in (light, [*heavy_ones, NEEDS_SCIPY]):
        result = run(elsewhere, "-c", PROBE, *modules)
        assert (result.returncode, result.stderr) == (0, "")
        probes = [json.loads(line) for line in result.stdout.splitlines()]
        assert [probe["module"] for probe in probes] == modules  # and not a word beside them
        for probe in probes:
            changed, heavy = set(probe["changed"]), HEAVY.intersection(probe["modules"])
            if modules is not light:
                changed -= {"environment"}
                heavy -= {"cv2"} | ({"scipy"} if probe["module"] == NEEDS_SCIPY else set())
            assert not changed, probe["module"]
            assert not heavy, probe["module"]
            assert "matplotlib.pyplot" not in probe["modules"]
    assert files_in(elsewhere.parent) == []


@pytest.mark.parametrize("script", PROGRAMS)
def test_help_without_opencv_and_matplotlib(script: str, elsewhere: Path, tmp_path: Path) -> None:
    """Run as a user would, on a machine where neither of them can be imported."""
    broken = tmp_path / "broken"
    broken.mkdir()
    for name in ("cv2", "matplotlib"):
        (broken / f"{name}.py").write_text(f"raise SystemExit('{name} was imported')\n")
    result = run(elsewhere, *PROGRAMS[script], "--help", path=str(broken))
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("usage: ")
    assert (files_in(elsewhere), files_in(tmp_path / "home")) == ([], [])

    # The trap itself works.
    trapped = run(elsewhere, "-c", "import cv2", path=str(broken))
    assert "cv2 was imported" in trapped.stderr
