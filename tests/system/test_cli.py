"""What the command lines print: into closed pipes, onto full disks, and out of hostile files."""

import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from programs import PROGRAMS, command, names_in
from tiny_data import TEST, TRAIN

import mnist_loader
import predict_image
import train_net
from digits import __version__, load_model
from digits import evaluate as evaluate_net
from digits.__main__ import main as digits_main
from digits.cli import ENDED_BY_A_CLOSED_PIPE, printable, say
from digits.data import synthetic_digits
from digits.page import server as draw_digit
from two_layer_net import TwoLayerNet

pipes = pytest.mark.skipif(os.name == "nt", reason="needs POSIX pipes and devices")


@pytest.fixture
def closed_pipe() -> Iterator[int]:
    """A pipe without a reader, as `head` leaves it behind."""
    ours, theirs = os.pipe()
    os.close(ours)
    yield theirs
    os.close(theirs)


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    """Two pictures of a line."""
    paper = np.full((60, 60), 255, np.uint8)
    cv2.line(paper, (30, 10), (30, 50), 0, 4)
    paths = [tmp_path / f"{number}.png" for number in (1, 2)]
    for path in paths:
        cv2.imencode(".png", paper)[1].tofile(path)
    return paths


def run(script: str, *words: object, stdout: int) -> tuple[int, str]:
    """The status of a command line whose lines go there, and what it says on stderr."""
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run(
        command(script, *words),
        stdout=stdout, stderr=subprocess.PIPE, text=True, check=False, timeout=120, env=buffered,
    )  # fmt: skip
    return done.returncode, done.stderr


DRAWN = "confusion.png mistakes.png weights.png"


@pipes
@pytest.mark.parametrize(
    ("line", "status", "left"),
    [
        *((f"{script} --help", 0, "") for script in PROGRAMS),
        ("evaluate_net model.npz --dataset synthetic", 0, f"evaluation.json {DRAWN}"),
        ("predict_image 1.png 2.png", ENDED_BY_A_CLOSED_PIPE, ""),
        ("predict_image 1.png 2.png --json", ENDED_BY_A_CLOSED_PIPE, ""),
        ("predict_image 1.png 2.png --annotate seen.png", 0, "seen-1.png seen-2.png"),
    ],
)
@pytest.mark.usefixtures("model", "pictures")
def test_closed_stdout(
    line: str, status: int, left: str, data: Path, tmp_path: Path, closed_pipe: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """What leaves files goes on; what would only print ends."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MNIST_DATASET_DIR", str(data))
    assert run(*line.split(), stdout=closed_pipe) == (status, "")
    assert names_in(tmp_path) == sorted(["1.png", "2.png", "model.npz", *left.split()])


@pipes
def test_training_goes_on_with_closed_stderr(data: Path, tmp_path: Path, closed_pipe: int) -> None:
    """As in `python train_net.py 2>&1 | head -1`."""
    words = ["--dataset", "synthetic", "--dataset-dir", data, "--out", tmp_path]
    words += ["--validation", 100, "--iterations", 1]
    for _ in range(2):  # the second warns that there are results already
        subprocess.run(
            command("train_net", *words), stdout=closed_pipe, stderr=closed_pipe,
            check=True, timeout=120,
        )  # fmt: skip
    assert load_model(tmp_path / "model.npz").metadata["dataset"] == "synthetic"
    assert (tmp_path / "before-1" / "model.npz").exists()


@pipes
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_answers_that_cannot_be_written_fail(model: Path, data: Path, pictures: list[Path]) -> None:
    commands = {
        "evaluate_net": (model, "--dataset", "synthetic", "--dataset-dir", data),
        "predict_image": (*pictures, "--json"),
        "train_net": ("--version",),
        "draw_digit": ("--help",),
    }
    for script, words in commands.items():
        full = os.open("/dev/full", os.O_WRONLY)
        status, err = run(script, *words, stdout=full)
        os.close(full)
        assert (status, err.count("\n")) == (1, 1)
        assert err.endswith(": [Errno 28] No space left on device\n")


ABOVE_STREAMS = "import os; assert os.open('.', os.O_RDONLY) > 2"


@pipes
@pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-"])
def test_without_standard_streams(closed: str, model: Path, data: Path, tmp_path: Path) -> None:
    """As some service managers start programs: no file takes the place of a stream."""
    train = ["--dataset", "synthetic", "--dataset-dir", data, "--validation", 100]
    for words in (
        command("train_net", *train, "--iterations", 1, "--out", tmp_path / "out"),
        command("train_net", "--list"),
        command("evaluate_net", model, "--dataset", "synthetic", "--dataset-dir", data),
        [sys.executable, "-c", f"from digits.cli import Parser; Parser('x'); {ABOVE_STREAMS}"],
    ):
        done = subprocess.run(
            ["sh", "-c", f'exec "$@" {closed}', "sh", *words],
            capture_output=True, check=False, timeout=120,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, b"")
    assert load_model(tmp_path / "out" / "model.npz").metadata["recipe"] == "two-layer"


def test_one_command_for_all_programs(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["digits"])
    assert digits_main(["list"]) == 0
    assert "lenet5-1998" in capsys.readouterr().out
    for name in ("train", "evaluate", "read", "draw"):
        with pytest.raises(SystemExit, match="0"):
            digits_main([name, "--version"])
        assert capsys.readouterr().out == f"digits {name} {__version__}\n"
        with pytest.raises(SystemExit, match="2"):
            digits_main([name, "--nonsense"])
        assert capsys.readouterr().err.startswith(f"usage: digits {name} ")
    refused = (["list", "--recipe", "lenet5"], 2), (["dance"], 2)
    for words, status in (([], 0), (["--help"], 0), (["--version"], 0), *refused):
        with pytest.raises(SystemExit, match=str(status)):
            digits_main(words)
    assert "train, evaluate, read, draw, list; received dance" in capsys.readouterr().err


# A title, an empty screen, the line from its beginning, writing that turns round, a line more.
HOSTILE = "\x1b]0;title\x07\x9b2J\r\x7f\u202e\u2028\nforged:7"
HARMLESS = r"\x1b]0;title\x07\x9b2J\r\x7f\u202e\u2028\nforged:7"

MAINS = {
    "evaluate_net": (evaluate_net.main, []),
    "predict_image": (predict_image.main, ["none.png", "--model"]),
    "draw_digit": (draw_digit.main, ["--port", "0", "--model"]),
    "train_net": (train_net.main, ["--resume"]),
}


def test_what_can_be_seen_stays_as_it_is() -> None:
    for text in ("plain", "数字 é.png", "11.30.07\u202fPM.png", "C:\\new", "\N{GRINNING FACE}"):
        assert printable(text) == text
    assert printable(HOSTILE) == HARMLESS
    assert printable("a\nb\tc\udce9", keep="\n") == "a\nb\\tc\\udce9"


def test_letters_that_the_terminal_has_not(monkeypatch: pytest.MonkeyPatch) -> None:
    latin = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(latin, encoding="latin-1"))
    assert say("é 数")
    assert latin.getvalue().decode("latin-1").splitlines() == ["é \\u6570"]


def test_what_a_model_says(model: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    network = load_model(model)
    network.metadata = {"recipe": HOSTILE, "dataset": "synthetic"}
    network.save(model)
    for words in ([], ["--show", "3"]):
        assert evaluate_net.main([str(model), "--dataset-dir", str(data), *words]) == 0
        told = capsys.readouterr().out
        assert told.startswith(f"{HARMLESS} on synthetic: ")
        assert_harmless(told)
    network.metadata = {"dataset": HOSTILE}
    network.save(model)
    assert evaluate_net.main([str(model), "--dataset-dir", str(data)]) == 1
    assert_harmless(capsys.readouterr().err)


@pytest.mark.parametrize("script", MAINS)
def test_what_an_archive_says(
    script: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / ("checkpoint.npz" if script == "train_net" else "model.npz")
    genuine = tmp_path / "genuine.npz"
    TwoLayerNet(784, 2, 10).save(genuine)
    with zipfile.ZipFile(genuine) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".json"))
        header = json.loads(archive.read(name)) | {"kind": HOSTILE}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, json.dumps(header))
    main, words = MAINS[script]
    assert main([*words, str(tmp_path if script == "train_net" else path)]) == 1
    told = capsys.readouterr().err
    assert HARMLESS.replace(r"\n", "\n") in told
    assert all(line == printable(line) for line in told.splitlines())


def test_what_a_cache_says(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(synthetic_digits, "SIZES", (TRAIN, TEST))
    cache = tmp_path / "synthetic" / "synthetic.pkl"
    cache.parent.mkdir()
    cache.write_bytes(b"c\x1b]0;title\x07\nname\n.")  # imports a name from a module
    mnist_loader.load_mnist(dataset="synthetic", dataset_dir=tmp_path)
    (told,) = (line for line in caplog.messages if "rebuilt" in line)
    assert told == printable(told)


@pytest.mark.skipif(os.name == "nt", reason="no file can be called that")
def test_what_pictures_are_called(
    pictures: list[Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(pictures[0].parent)
    pictures[0].rename(HOSTILE)
    Path("2" + HOSTILE).touch()
    assert predict_image.main([HOSTILE, "2" + HOSTILE, "no" + HOSTILE]) == 1
    told = capsys.readouterr()
    assert told.out.startswith(f"{HARMLESS}: 1")
    seen = HARMLESS.partition(":")[0]
    assert [line.split(":")[0] for line in told.err.splitlines()] == [f"2{seen}", f"no{seen}"]
    assert_harmless(told.out + told.err)
    assert predict_image.main([HOSTILE, "--json"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["image"] == HOSTILE
    assert_harmless(told.out)


@pytest.mark.parametrize("script", MAINS)
def test_words_of_a_command_line(script: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A shell may have put the names of files there."""
    main, _ = MAINS[script]
    with pytest.raises(SystemExit, match="2"):
        main([f"--{HOSTILE}", "one", "two"])
    told = capsys.readouterr().err
    assert told.startswith(f"usage: {script} ") and f"{script}: error: " in told
    assert_harmless(told)


def assert_harmless(told: str) -> None:
    """Lines of what can be seen, and none that a file has forged."""
    lines = told.split("\n")
    assert lines.pop() == ""
    assert all(line == printable(line) and line for line in lines)
    assert not any(line.startswith("forged") for line in lines)
