"""What the command lines print where nobody reads it any more, and where it cannot be written."""

import errno
import io
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from nn.sequential import load_model
from terminal import ENDED_BY_A_CLOSED_PIPE, Nowhere, say, warn
from two_layer_net import TwoLayerNet

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = ["train_net", "evaluate_net", "predict_image", "draw_digit"]

pipes = pytest.mark.skipif(os.name == "nt", reason="needs POSIX pipes and devices")


@pytest.fixture
def nobody() -> Iterator[int]:
    """A pipe that nobody reads, as `head` leaves it behind."""
    ours, theirs = os.pipe()
    os.close(ours)
    yield theirs
    os.close(theirs)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A network that knows nothing, but answers."""
    path = tmp_path / "model.npz"
    TwoLayerNet(784, 8, 10, rng=np.random.default_rng(0)).save(path)
    return path


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    """Two pictures of a line."""
    paper = np.full((60, 60), 255, np.uint8)
    cv2.line(paper, (30, 10), (30, 50), 0, 4)
    paths = [tmp_path / f"{number}.png" for number in (1, 2)]
    for path in paths:
        path.write_bytes(bytes(cv2.imencode(".png", paper)[1]))
    return paths


def run(script: str, *words: object, stdout: int) -> tuple[int, str]:
    """The status of a command line whose lines go there, and what it says on stderr."""
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run(
        [sys.executable, "-W", "error", str(ROOT / f"{script}.py"), *map(str, words)],
        stdout=stdout, stderr=subprocess.PIPE, text=True, check=False, timeout=120, env=buffered,
    )  # fmt: skip
    return done.returncode, done.stderr


# --- nobody reads it ------------------------------------------------------------------------------


@pipes
@pytest.mark.parametrize("script", SCRIPTS)
def test_help_for_nobody(script: str, nobody: int) -> None:
    assert run(script, "--help", stdout=nobody) == (0, "")


@pipes
def test_an_evaluation_for_nobody_leaves_its_results(model: Path, data: Path, nobody: int) -> None:
    words = (model, "--dataset", "synthetic", "--dataset-dir", data)
    assert run("evaluate_net", *words, stdout=nobody) == (0, "")
    names = {path.name for path in model.parent.iterdir()}
    assert names == {
        *("model.npz", "evaluation.json"),
        *("confusion.png", "mistakes.png", "weights.png"),
    }


@pipes
@pytest.mark.parametrize("words", [(), ("--json",)])
def test_pictures_are_not_read_for_nobody(
    words: tuple[str, ...], pictures: list[Path], nobody: int
) -> None:
    status = run("predict_image", *pictures, *words, stdout=nobody)
    assert status == (ENDED_BY_A_CLOSED_PIPE, "")


@pipes
def test_drawings_are_worth_going_on_for(pictures: list[Path], tmp_path: Path, nobody: int) -> None:
    words = (*pictures, "--annotate", tmp_path / "seen.png")
    assert run("predict_image", *words, stdout=nobody) == (0, "")
    assert {path.name for path in tmp_path.glob("seen-*")} == {"seen-1.png", "seen-2.png"}


@pipes
def test_a_page_that_was_announced_to_nobody_is_there(nobody: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, str(ROOT / "draw_digit.py"), "--port", str(port)]
    with subprocess.Popen(command, stdout=nobody, stderr=subprocess.PIPE, text=True) as it:
        end = time.monotonic() + 60
        while it.poll() is None and time.monotonic() < end:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except ConnectionRefusedError:
                time.sleep(0.05)
        assert it.poll() is None
        it.terminate()
        _, err = it.communicate(timeout=60)
    assert (it.returncode, err) == (-signal.SIGTERM, "")


@pipes
def test_a_training_goes_on_when_nobody_reads_its_warnings(
    data: Path, tmp_path: Path, nobody: int
) -> None:
    """As in `python train_net.py 2>&1 | head -1`."""
    words = ["--dataset", "synthetic", "--dataset-dir", str(data), "--out", str(tmp_path)]
    words += ["--validation", "100", "--iterations", "1"]
    for _ in range(2):  # the second warns that there are results already
        done = subprocess.run(
            [sys.executable, str(ROOT / "train_net.py"), *words],
            stdout=nobody, stderr=nobody, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0
    assert load_model(tmp_path / "model.npz").about["dataset"] == "synthetic"
    assert (tmp_path / "before-1" / "model.npz").exists()


@pipes
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_answers_that_cannot_be_written_are_an_error(
    model: Path, data: Path, pictures: list[Path]
) -> None:
    commands = {
        "evaluate_net": (model, "--dataset", "synthetic", "--dataset-dir", data),
        "predict_image": (*pictures, "--json"),
    }
    for script, words in commands.items():
        full = os.open("/dev/full", os.O_WRONLY)
        status, err = run(script, *words, stdout=full)
        os.close(full)
        assert (status, err) == (1, f"{script}: [Errno 28] No space left on device\n")


class Closed(io.TextIOWrapper):
    """A stream that cannot be written to any more."""

    def __init__(self, number: int) -> None:
        super().__init__(io.BytesIO(), encoding="ascii")
        self.number = number

    def flush(self) -> None:
        raise OSError(self.number, os.strerror(self.number))


@pytest.mark.parametrize("number", [errno.EPIPE, errno.EINVAL])
def test_what_is_said_after_the_reader_left_goes_nowhere(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", Closed(number))
    assert not say("one")
    assert say("two")
    assert isinstance(sys.stdout, Nowhere)


def test_a_full_disk_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for stream in ("stdout", "stderr"):
        monkeypatch.setattr(sys, stream, Closed(errno.ENOSPC))
    with pytest.raises(OSError, match="No space"):
        say("one")
    assert say("two")
    warn("three")
    for file in (sys.stdout, sys.stderr):
        assert isinstance(file, Nowhere)
