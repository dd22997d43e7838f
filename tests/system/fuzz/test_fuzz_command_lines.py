"""Words that nobody should type, to the three scripts: they end with a status and a sentence."""

import io
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from fuzzer import tally
from guard import Guard, guarded
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tiny_data import write_data_set

import mnist_loader
import predict_image
import train_net
from digits import evaluate as evaluate_net
from digits import plots
from digits.compute import threads as parallel
from digits.nn.layers import Dense
from digits.nn.sequential import Sequential
from two_layer_net import TwoLayerNet

FILES = [
    "good.npz",
    "hostile.npz",
    "text.npz",
    "digit.png",
    "数字 $x_$ 7.png",
    "empty.png",
    "folder",
]
LATIN = os.fsdecode(b"s\xe9pt.png")
"""A name that is no UTF-8, as old disks have them."""

NUMBERS = ["0", "1", "3", "-1", "1e999", "nan", "1e-400", "0x10", "1_0", "٣", "9" * 30, "9" * 5000]
PLACES = ["", " ", "/", ".", "..", "/dev/null", "missing", "missing/x.png", "$\\frac$", "a" * 300]
WORDS = st.one_of(
    st.sampled_from([*NUMBERS, *PLACES, *FILES, LATIN, "-", "--"]),
    st.integers(-(10**6), 10**20).map(str),
    st.floats().map(str),
    st.text(st.characters(exclude_characters="\0/~", codec="utf-8"), max_size=6),
)
RELATIVE = st.sampled_from(
    ["out", "folder", "a/b/c", "text.npz", "good.npz/x", "é", "x" * 300, "."]
)

TRAIN: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(
        ["--epochs", "--iterations", "--batch-size", "--learning-rate", "--seed"], WORDS
    ),
    **dict.fromkeys(["--keep-prob", "--validation", "--patience", "--dtype", "--threads"], WORDS),
    **dict.fromkeys(["--out", "--dataset-dir", "--show-samples"], RELATIVE),
    "--resume": WORDS,
    "--recipe": st.one_of(WORDS, st.sampled_from(["two-layer", "mlp", "lenet5"])),
    "--dataset": st.one_of(WORDS, st.sampled_from(["synthetic", "mnist", "fashion", "auto"])),
    "--quiet": st.none(),
    "--list": st.none(),
}
EVALUATE: dict[str, st.SearchStrategy[Any]] = {
    "--dataset": st.sampled_from(["synthetic", "mnist", "x"]),
    "--dataset-dir": RELATIVE,
    "--out": RELATIVE,
    "--show": WORDS,
}
PREDICT: dict[str, st.SearchStrategy[Any]] = {
    "--model": WORDS,
    "--json": st.none(),
    "--annotate": RELATIVE,
    "--steps": RELATIVE,
}


@st.composite
def command_lines(
    draw: Callable[[st.SearchStrategy[Any]], Any], options: Mapping[str, Any], least: int
) -> list[str]:
    """Some words that stand alone, and some options with a word each."""
    words = [str(draw(WORDS)) for _ in range(draw(st.integers(least, 3 * least)))]
    for name in draw(st.lists(st.sampled_from(sorted(options)), max_size=4)):
        words.append(name)
        if (value := draw(options[name])) is not None:
            words.append(str(value))
    return words


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a data set, two models and a few pictures."""
    folder = tmp_path_factory.mktemp("workshop")
    write_data_set(folder / "dataset")
    (folder / "folder").mkdir()
    good = Sequential([Dense(3, activation="relu"), Dense(10)], rng=np.random.default_rng(0))
    good.about = {"dataset": "synthetic", "recipe": "mlp"}
    good.save(folder / "good.npz")
    hostile = TwoLayerNet(784, 2, 3)
    hostile.about = {"dataset": ["synthetic"], "recipe": {"$\\frac": 10**400}, "seed": "\x1b[2J"}
    hostile.save(folder / "hostile.npz")
    (folder / "text.npz").write_text("no model")
    (folder / "empty.png").touch()
    picture = np.full((60, 60), 255, np.uint8)
    cv2.line(picture, (30, 10), (30, 50), 0, 4)
    png = bytes(cv2.imencode(".png", picture)[1])
    for name in ("digit.png", "数字 $x_$ 7.png", LATIN):
        (folder / name).write_bytes(png)
    return folder


SCRIPTS: dict[str, tuple[Callable[[list[str]], int], st.SearchStrategy[list[str]], list[str]]] = {
    "train_net": (
        train_net.main,
        command_lines(TRAIN, 0),
        ["--dataset", "synthetic", "--dataset-dir", "dataset", "--dry-run"],
    ),
    "evaluate_net": (
        evaluate_net.main,
        command_lines(EVALUATE, 1),
        ["--dataset", "synthetic", "--dataset-dir", "dataset"],
    ),
    "predict_image": (predict_image.main, command_lines(PREDICT, 1), []),
}


@pytest.mark.parametrize("script", SCRIPTS)
def test_words_for(
    script: str,
    workshop: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    main, lines, before = SCRIPTS[script]
    seconds, threads = request.config.getoption("--fuzz-seconds"), parallel.threads()
    monkeypatch.chdir(workshop)
    monkeypatch.delenv("MNIST_DATASET_DIR", raising=False)
    monkeypatch.setattr(mnist_loader, "SYNTHETIC_SIZES", (700, 200))
    monkeypatch.setattr(
        mnist_loader, "MIRRORS", dict.fromkeys(mnist_loader.MIRRORS, ("http://127.0.0.1:9/",))
    )
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr.reconfigure(errors="backslashreplace")  # as it is outside of tests
    plots.save(plots.samples(np.zeros((1, 784)), np.zeros(1)), workshop / "warm.png")

    @settings(
        max_examples=int(20 + 20 * seconds),
        deadline=None,
        derandomize=not seconds,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(lines)
    def try_it(words: list[str]) -> None:
        guard, status = Guard(workshop, 2_000_000_000, may_run=True), 2
        try:
            with guarded(guard):
                status = main([*before, *words])
        except SystemExit as end:
            status = int(end.code or 0)
        said = capsys.readouterr().err
        assert not guard.faults
        tally[f"command lines: status {status}"] += 1
        assert status in (0, 1, 2)
        assert "Traceback" not in said
        assert status == 0 or len(said.split()) >= 3, said

    try:
        try_it()
    finally:
        parallel.set_threads(threads)
