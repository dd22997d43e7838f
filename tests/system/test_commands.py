"""Every command of README.md and the how-to pages, run as it stands, or EXCEPTED says why not."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import programs
import pytest

from predict_image import SHIPPED_MODEL

ROOT = Path(__file__).resolve().parents[2]
PLACES = ("README.md", "docs/*.md", "docs/guide/README.md", "examples/README.md")
RESULTS = ("records", "reliability", "speed")
"""Pages of figures, which say how each was measured."""

PROGRAMS = ("python ", "digits ", "mpiexec ")
EXCEPTED = {
    "pytest": "tests that run anyway",
    "benchmarks/": "measures for minutes or hours",
    "examples/": "test_examples runs each of them",
    "docs/figures.py": "trains for two minutes; the figures are kept",
    "docs/chinese.py": "writes into this checkout",
    "-hosts": "needs four machines",
    "--resume runs/photo": "goes on with what they have trained",
    "C:\\": "a path of Windows",
    "keras script.py [arguments]": "the same is shown without arguments",
}


def commands() -> dict[str, str]:
    """Every command, in a block or within a line, and a page that shows it."""
    found: dict[str, str] = {}
    for page in [path for place in PLACES for path in sorted(ROOT.glob(place))]:
        text = page.read_text("utf-8") if page.stem not in RESULTS else ""
        blocks = re.findall(r"^```(?:sh)?\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
        prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
        lines = [line for block in blocks for line in block.splitlines()]
        lines += re.findall(r"^    (\S.*)$", prose, re.MULTILINE)
        lines += [" ".join(code.split()) for code in re.findall(r"(?<!`)`([^`]+)`(?!`)", prose)]
        for part in [part.strip() for line in lines for part in line.split("#")[0].split("&&")]:
            if part.startswith(PROGRAMS):
                found.setdefault(part, page.stem)
    return {
        line: page for line, page in found.items() if not any(mark in line for mark in EXCEPTED)
    }


COMMANDS = commands()


@pytest.fixture(scope="module")
def lenet5(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Path:
    """The folder of a short training, as the commands before this one have left it."""
    out = tmp_path_factory.mktemp("runs") / "lenet5"
    run(["python", "train_net.py", "--recipe", "lenet5", "--out", str(out)], out.parent, data)
    return out


@pytest.fixture
def folder(tmp_path: Path, lenet5: Path) -> Path:
    """Where a reader stands: with photographs, a trained network and a script for Keras."""
    for name in ("IMAGE", "photo.jpg", "docs/photo.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / "docs/photo.jpg", tmp_path / name)
    shutil.copytree(lenet5, tmp_path / "runs/lenet5")
    shutil.copy(SHIPPED_MODEL, tmp_path / "M")
    (tmp_path / "script.py").write_text("import keras\nprint(keras.Sequential)\n")
    return tmp_path


def run(words: list[str], folder: Path, data: Path) -> str:
    line = " ".join(words)
    if "train" in line and "--list" not in line:
        words += ["--dataset-dir", str(data)]
        if "--resume" not in line:
            words += ["--dataset", "synthetic", "--validation", "100", "--iterations", "3"]
    if "evaluate" in line:
        words += ["--dataset-dir", str(data)]
    if line in ("digits evaluate", "digits read"):  # where the text names them
        words.append("--help")
    if words[0] == "digits":
        words[:1] = ["python", "-m", "digits"]
    words = [
        str(ROOT / word) if word.endswith(".py") and (ROOT / word).exists() else word
        for word in words
    ]
    words[words.index("python")] = sys.executable
    if "digits.page" in line or line == "digits draw":
        return serve([*words, "--port", "0"], folder)
    done = programs.run(words, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def serve(words: list[str], folder: Path) -> str:
    with subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        said = server.stdout.readline()
        server.terminate()
    return said


@pytest.mark.slow
@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_does_what_the_page_says(
    line: str, folder: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    if line.startswith("mpiexec") and not shutil.which("mpiexec"):
        pytest.skip("needs MPI: pip install -e '.[mpi]' mpich")
    if "--export-onnx" in line:
        pytest.importorskip("onnx")
    options = re.sub(r"\[IMAGE \.\.\.\]|[\[\]]", "", line).replace("HOST", "127.0.0.1")
    before = set(folder.iterdir())
    said = run(shlex.split(options.replace("PORT", "0")), folder, data)
    assert said or set(folder.iterdir()) > before
    text = (ROOT / "README.md").read_text("utf-8")
    if f"\n{line}\n```\n\n```\n" in text and "train_net" not in line:
        assert f"```\n{said}```" in text
    for word in shlex.split(options):
        assert not word.endswith((".png", ".onnx")) or (folder / word).stat().st_size


def test_the_pages_show_commands() -> None:
    assert len(COMMANDS) >= 20
