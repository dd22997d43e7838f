"""What `pip install` puts on a machine: the wheel, used from elsewhere, and the sdist."""

import importlib.util
import os
import sys
import sysconfig
import tarfile
from pathlib import Path

import programs
import pytest

ROOT = Path(__file__).resolve().parents[2]
NAMES = {"digits", "functions", "mnist_loader", "predict_image", "train_net", "two_layer_net"}
KINDS = {".py", ".md", ".npz", ".txt", ".mjs", ".png", ".svg", ".jpg"}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("build") is None, reason="needs the package build"),
]


def run(*command: object, folder: Path, **environment: str) -> str:
    # Neither this checkout nor the environment that runs the tests is to be found.
    variables = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = programs.run(command, cwd=folder, env={**variables, **environment})
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source distribution and the wheel that is built from it."""
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, ROOT, folder=out)
    return out


@pytest.fixture(scope="module")
def installed(archives: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel; NumPy and the others are those of this one."""
    venv = tmp_path_factory.mktemp("venv")
    run(sys.executable, "-m", "venv", "--without-pip", venv, folder=venv)
    scheme = {"base": str(venv), "platbase": str(venv)}
    site = Path(sysconfig.get_path("purelib", "venv", vars=scheme))
    (wheel,) = archives.glob("*.whl")
    pip = [sys.executable, "-m", "pip", "--python", venv, "install", "--no-deps", "--quiet"]
    run(*pip, "--no-index", wheel, folder=venv)
    (site / "others.pth").write_text(sysconfig.get_path("purelib"))
    return venv


@pytest.fixture
def python(installed: Path) -> Path:
    return installed / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def test_six_names_and_their_types_are_installed(installed: Path) -> None:
    (site,) = installed.glob("Lib/site-packages" if os.name == "nt" else "lib/*/site-packages")
    ours = {path.name.partition(".")[0] for path in site.iterdir() if path.suffix != ".dist-info"}
    assert ours - {"others", "__pycache__"} == NAMES
    assert {"py.typed", "__init__.pyi"} <= {path.name for path in (site / "digits").iterdir()}


def test_the_installed_library_reads_and_trains(python: Path, tmp_path: Path) -> None:
    """A user's own files beside the script have the names of modules of ours."""
    for name in ("plots", "recipes", "terminal", "cli", "types_", "models", "photograph"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the wrong module')\n")
    (tmp_path / "nn").mkdir()
    (tmp_path / "nn" / "__init__.py").write_text("raise SystemExit('the wrong package')\n")
    script = tmp_path / "script.py"
    script.write_text(
        "import numpy as np, digits\n"
        "assert 'site-packages' in digits.__file__, digits.__file__\n"
        "network = digits.Sequential([digits.Dense(20, activation='relu'), digits.Dense(10)])\n"
        "x, t = np.eye(10, 784, dtype=np.float32), np.arange(10)\n"
        "optimizer = digits.Adam(0.01)\n"
        "for _ in range(100):\n"
        "    loss, grads = network.loss_and_gradient(x, t)\n"
        "    optimizer.update(network.params, grads)\n"
        "print(network.accuracy(x, t))\n"
        "paper = np.full((60, 60), 255, np.uint8)\n"
        "paper[10:50, 28:32] = 0\n"
        "print(digits.read_digits(paper).rows)\n"
    )
    assert run(python, script, folder=tmp_path).split() == ["1.0", "['1']"]


def test_the_command_digits_reads_and_trains(installed: Path, tmp_path: Path, data: Path) -> None:
    program = installed / ("Scripts/digits" if os.name == "nt" else "bin/digits")
    photo = ROOT / "docs" / "photo.jpg"
    assert run(program, "read", photo, folder=tmp_path).startswith(f"{photo}: 31415926 ")
    words = ("--dataset", "synthetic", "--dataset-dir", data, "--iterations", 3)
    run(program, "train", *words, "--validation", 100, folder=tmp_path)
    model = tmp_path / "runs" / "two-layer" / "model.npz"
    told = run(program, "evaluate", model, "--dataset-dir", data, folder=tmp_path)
    assert "accuracy" in told


@pytest.mark.parametrize("program", ["train-net", "evaluate-net", "predict-image", "draw-digit"])
def test_the_programs_start(program: str, installed: Path, tmp_path: Path) -> None:
    folder = installed / ("Scripts" if os.name == "nt" else "bin")
    assert run(folder / program, "--help", folder=tmp_path).startswith("usage: ")


def test_the_source_distribution_holds_its_tests(archives: Path, tmp_path: Path) -> None:
    (archive,) = archives.glob("*.tar.gz")
    with tarfile.open(archive) as file:  # Python 3.11.3 has no filters yet
        file.extraction_filter = getattr(tarfile, "data_filter", None)
        file.extractall(tmp_path)
    (source,) = tmp_path.iterdir()
    for folder in ("tests", "docs", "examples", "benchmarks"):
        files = {path for path in (ROOT / folder).rglob("*") if path.suffix in KINDS}
        assert {path for path in files if not (source / path.relative_to(ROOT)).exists()} == set()
    pytest_ = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    run(*pytest_, "tests/files/test_golden.py", "tests/nn/test_parameters.py", folder=source)
