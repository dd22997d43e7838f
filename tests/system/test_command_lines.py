"""`train_net.py` as people use it: options, mistakes, Ctrl-C, and kills at any moment."""

import csv
import io
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from numpy.typing import ArrayLike, DTypeLike
from programs import names_in, wait_for
from tiny_data import TRAIN, small_with_dropout, without_mirrors

import mnist_loader
import train_net
from digits import Dropout, Sequential, load_model, plots
from digits.compute import threads as parallel
from digits.files.npz import load_arrays, save_arrays
from digits.nn.parameters import Parameters
from digits.recipes import RECIPES, Recipe
from digits.runs import RESULTS
from digits.types import Array
from two_layer_net import TwoLayerNet

FILES = sorted(RESULTS)
REPORT = {
    *("recipe", "dataset", "seed", "epochs", "parameters", "train_accuracy"),
    *("validation_accuracy", "test_accuracy", "test_loss", "seconds", "images_per_second"),
}
EPOCH = (TRAIN - 100) // 100  # batches of 100, when 100 images are held out


@dataclass
class Outcome:
    status: int
    out: str
    err: str

    @property
    def why(self) -> str:
        """The last line on stderr, after the check that there is no traceback."""
        assert "Traceback" not in self.err
        return self.err.splitlines()[-1]


class Workshop:
    """A folder to run in, the data set, and `train_net.main` in this process."""

    def __init__(self, folder: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.data, self.capsys = folder, data, capsys
        self.out = folder / "out"

    def __call__(self, *arguments: object) -> Outcome:
        self.capsys.readouterr()
        try:
            status = train_net.main([str(argument) for argument in arguments])
        except SystemExit as end:
            assert isinstance(end.code, int)
            status = end.code
        captured = self.capsys.readouterr()
        return Outcome(status, captured.out, captured.err)

    def start(self, *arguments: object) -> Outcome:
        """A new run on the tiny data set, with results in `out`, 100 images held out."""
        words = [str(argument) for argument in arguments]
        defaults = ["--dataset", "synthetic", "--dataset-dir", self.data, "--out", self.out]
        if "--validation" not in words:
            defaults += ["--validation", "100"]
        if not {"--epochs", "--iterations"} & set(words):
            defaults += ["--epochs", "2"]
        return self(*defaults, *words)

    def train(self, *arguments: object) -> Outcome:
        outcome = self.start(*arguments)
        assert outcome.status == 0, outcome.err
        return outcome

    def resume(self, *arguments: object, folder: Path | None = None) -> Outcome:
        return self("--resume", folder or self.out, "--dataset-dir", self.data, *arguments)

    def report(self, folder: Path | None = None) -> dict[str, Any]:
        return dict(json.loads(((folder or self.out) / "report.json").read_text()))

    def rows(self, folder: Path | None = None) -> list[dict[str, str]]:
        text = ((folder or self.out) / "history.csv").read_text()
        return list(csv.DictReader(io.StringIO(text)))


@pytest.fixture
def run(
    tmp_path: Path,
    data: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    interruptible: None,
) -> Workshop:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MNIST_DATASET_DIR", raising=False)
    without_mirrors(monkeypatch)
    # Most of the time would go into waiting for the disk and drawing curves that nobody looks at.
    monkeypatch.setattr(os, "fsync", lambda _: None)
    monkeypatch.setattr(plots, "curves", lambda _, title: plots.samples(NONE[0], NONE[1], title))
    return Workshop(tmp_path, data, capsys)


CURVES, NONE = plots.curves, (np.zeros((0, 784)), np.zeros(0))


def results(folder: Path) -> dict[str, bytes]:
    """What must be the same after the same training: all but times."""
    header, arrays = load_arrays(folder / "checkpoint.npz", "checkpoint")
    header.pop("seconds", None)
    header["run"].pop("epochs", None)  # the number of iterations says it, too
    return {
        "checkpoint header": json.dumps(header).encode(),
        **{name: array.tobytes() for name, array in arrays.items()},
        **{name: (folder / name).read_bytes() for name in ("model.npz", "history.csv")},
    }


@pytest.fixture
def dropout(monkeypatch: pytest.MonkeyPatch) -> Recipe:
    """`--recipe conv` becomes a small network with dropout: this is no test of convolutions."""
    small = replace(RECIPES["conv"], build=small_with_dropout, batch_size=100, learning_rate=0.001)
    monkeypatch.setitem(RECIPES, "conv", small)
    return small


def test_what_a_run_leaves(run: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plots, "curves", CURVES)
    outcome = run.train("--recipe", "mlp-adam", "--epochs", "3", "--seed", "7")
    assert outcome.err == ""
    assert names_in(run.out) == FILES
    assert (run.out / "curves.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"

    report, rows = run.report(), run.rows()
    assert report.keys() >= REPORT
    assert (report["epochs"], report["parameters"]) == (3, 101_770)
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3]
    best = rows[report["best_epoch"] - 1]
    for name in ("train_accuracy", "validation_accuracy", "test_accuracy", "test_loss"):
        assert report[name] == float(best[name])
    assert report["validation_accuracy"] == max(float(row["validation_accuracy"]) for row in rows)
    assert report["test_accuracy"] > 0.5

    lines = outcome.out.splitlines()
    assert all(part in lines[0] for part in ("mlp-adam", "101,770", "synthetic", "600", "100"))
    assert [line.split(":")[0] for line in lines[1:4]] == ["epoch 1/3", "epoch 2/3", "epoch 3/3"]
    assert f"{report['test_accuracy']:.4f}" in lines[-1] and str(run.out) in lines[-1]

    model = load_model(run.out / "model.npz")
    test = train_net.load_data("synthetic", run.data, 100, seed=7)
    assert model.accuracy(test.x_test, test.t_test) == report["test_accuracy"]
    assert model.accuracy(test.x_validation, test.t_validation) == report["validation_accuracy"]
    for name, value in (("recipe", "mlp-adam"), ("dataset", "synthetic"), ("seed", 7)):
        assert model.metadata[name] == report[name] == value


def test_earlier_results_are_archived_and_files_of_the_user_stay(run: Workshop) -> None:
    run.out.mkdir()
    (run.out / "notes.txt").write_text("mine")
    runs = []
    for seed in range(3):
        outcome = run.train("--seed", seed, "--iterations", "3")
        assert ("before" in outcome.out + outcome.err) is (seed > 0)  # and it says so
        runs.append({name: (run.out / name).read_bytes() for name in FILES})
    kept = [run.out, *run.out.glob("*/")]
    found = [{name: (folder / name).read_bytes() for name in FILES} for folder in kept]
    assert len(kept) == 3
    assert all(known in found for known in runs)
    assert (run.out / "notes.txt").read_text() == "mine"


def test_nothing_is_archived_for_a_run_that_cannot_start(run: Workshop) -> None:
    run.train("--iterations", "1")
    before = results(run.out)
    assert run.start("--validation", "700").status == 1
    assert run.start("--dataset", "fashion").status == 1
    assert results(run.out) == before


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), {"seed": 0, "dtype": "float32", "learning_rate": 0.1, "patience": None}),
        (("--epochs", "4"), {"iterations": 4 * EPOCH}),
        (("--epochs", "4", "--batch-size", "7"), {"batch_size": 7, "iterations": 4 * 86}),
        (("--batch-size", 10**18, "--epochs", "1"), {"iterations": 1}),
        (("--seed", 2**70), {"seed": 2**70}),
        (("--learning-rate", "0.25"), {"learning_rate": 0.25}),
        (("--recipe", "conv"), {"dropout": 0.5}),
        (("--recipe", "conv", "--dropout", "0.3"), {"dropout": 0.3}),
        (("--recipe", "conv", "--keep-prob", "0.75"), {"dropout": 0.25}),
        (("--recipe", "mlp-adam", "--dtype", "float64"), {"dtype": "float64"}),
        (("--patience", "3", "--validation", "50"), {"patience": 3, "validation": 50}),
    ],
)
def test_options(
    options: tuple[str, ...], expected: dict[str, Any], run: Workshop, dropout: Recipe
) -> None:
    run.train(*options)
    header, arrays = load_arrays(run.out / "checkpoint.npz", "checkpoint")
    assert header["run"].items() >= expected.items()
    assert arrays["params"].dtype == header["run"]["dtype"]
    assert len(arrays["losses"]) == header["run"]["iterations"]
    model = load_model(run.out / "model.npz")
    layers = model.layers if isinstance(model, Sequential) else []
    rates = [layer.rate for layer in layers if isinstance(layer, Dropout)]
    assert rates == [rate for rate in [header["run"]["dropout"]] if rate is not None]


def test_dataset(run: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, load = list[str](), mnist_loader.load_mnist

    def load_mnist(*_: object, dataset: str, **options: Any) -> Any:
        asked.append(dataset)
        return load(dataset="synthetic", **options)

    monkeypatch.setattr(train_net, "load_mnist", load_mnist)
    for option, dataset in (("fashion", "fashion"), ("auto", "mnist")):
        outcome = run.train("--dataset", option, "--iterations", "1")
        assert set(asked) == {dataset}
        assert run.report()["dataset"] == dataset
        assert load_model(run.out / "model.npz").metadata["dataset"] == dataset
        assert "SYNTHETIC" not in outcome.err
        asked.clear()


def test_validation(run: Workshop) -> None:
    run.train("--validation", "0")
    assert run.report()["validation_accuracy"] is None
    assert {row["validation_accuracy"] for row in run.rows()} == {""}
    assert run.report()["best_epoch"] == 2
    for name in (name for name in RECIPES if RECIPES[name].extend):
        run.train("--recipe", name, "--validation", "0", "--dry-run")
    assert "1 training, 699 validation" in run.train("--validation", "699", "--iterations", "1").out


def test_patience(run: Workshop) -> None:
    run.train("--learning-rate", "1e-30", "--patience", "2", "--epochs", "9")
    assert len(run.rows()) == 3 and run.report()["best_epoch"] == 1
    ended = results(run.out)
    assert run.resume().status == 0
    assert results(run.out) == ended


def test_out(run: Workshop) -> None:
    deep = run.folder / "new" / "ünï 字"
    run.train("--out", deep, "--iterations", "1")
    assert names_in(deep) == FILES
    arguments = ("--dataset", "synthetic", "--dataset-dir", run.data, "--validation", "100")
    assert run(*arguments, "--recipe", "mlp-adam", "--iterations", "1").status == 0
    assert names_in(Path("runs", "mlp-adam")) == FILES


def test_resume_for_longer(run: Workshop) -> None:
    whole = run.folder / "whole"
    run.train("--epochs", "5", "--out", whole)
    run.train("--epochs", "2")
    assert run.resume("--epochs", "4").status == 0
    before, other = results(run.out), run.folder / "other"
    assert run.resume("--epochs", "6", "--learning-rate", "0.01", "--out", other).status == 0
    assert [float(row["learning_rate"]) for row in run.rows(other)] == [0.1] * 4 + [0.01] * 2
    assert results(run.out) == before
    for times in range(2):  # the second time it is there already
        outcome = run.resume("--iterations", 5 * EPOCH)
        assert outcome.status == 0 and ("name more --epochs" in outcome.err) == (times == 1)
        assert results(run.out) == results(whole)
    assert names_in(run.out) == names_in(other) == FILES  # nothing was archived
    assert run.resume("--iterations", 5 * EPOCH + 2).status == 0
    assert run.resume("--epochs", "7").status == 0
    assert [int(row["epoch"]) for row in run.rows()] == [1, 2, 3, 4, 5, 6, 7]  # no 6 twice


def test_show_samples(run: Workshop) -> None:
    picture = run.folder / "pictures" / "samples.png"
    outcome = run.train("--show-samples", picture)
    assert picture.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert str(picture) in outcome.out
    assert not run.out.exists()  # it drew, and trained nothing
    run.train("--show-samples", picture)  # a drawing takes the place of a drawing
    picture.write_bytes(b"a photograph")
    assert "something else" in run.start("--show-samples", picture).err
    assert picture.read_bytes() == b"a photograph"


def test_dry_run(run: Workshop) -> None:
    outcome = run.train("--dry-run", "--epochs", "3")
    assert f"{3 * EPOCH}" in outcome.out and str(run.out) in outcome.out
    assert not list(run.folder.iterdir())
    run.train("--epochs", "2")
    before, report = results(run.out), run.report()
    run.train("--dry-run")
    assert run.resume("--dry-run", "--epochs", "5").status == 0
    assert (results(run.out), run.report()) == (before, report)
    assert names_in(run.out) == FILES


def test_threads(run: Workshop) -> None:
    before = parallel.get_threads()
    try:
        weights = []
        for threads in (3, 1):
            run.train("--recipe", "mlp", "--epochs", "1", "--threads", threads)
            assert parallel.get_threads() == threads
            weights.append(load_model(run.out / "model.npz").params.flat)
        np.testing.assert_allclose(weights[0], weights[1], rtol=1e-3, atol=1e-5)
    finally:
        parallel.set_threads(before)


def test_quiet(run: Workshop) -> None:
    for words in (["--dry-run"], ["--show-samples", run.folder / "samples.png"], ["--epochs", "2"]):
        assert run.train("--quiet", *words) == Outcome(0, "", "")
    assert run.resume("--quiet", "--epochs", "3") == Outcome(0, "", "")
    outcome = run.train("--quiet")
    assert outcome.out == ""
    assert "before-1" in outcome.err  # a warning is none the less given


WRONG_USAGE: list[tuple[tuple[str, ...], str]] = [
    (("--recipe", "nonsense"), "two-layer"),
    (("--recipe",), "--recipe"),
    (("--dataset", "cifar"), "mnist"),
    (("--epochs", "0"), "received 0"),
    (("--epochs", "1.5"), "received 1.5"),
    (("--epochs", "2", "--iterations", "5"), "not allowed with"),
    (("--iterations", "1" + "0" * 400), "at most"),
    (("--batch-size", "-1"), "received -1"),
    (("--learning-rate", "nan"), "received nan"),
    (("--learning-rate", "0"), "received 0"),
    (("--keep-prob", "0"), "received 0"),
    (("--keep-prob", "0.5"), "no dropout, as two-layer"),
    (("--dropout", "1"), "received 1"),
    (("--validation", "-1"), "received -1"),
    (("--patience", "0"), "received 0"),
    (("--patience", "2", "--validation", "0"), "validation images"),
    (("--seed", "-1"), "received -1"),
    (("--dtype", "float16"), "float32"),
    (("--unknown",), "--unknown"),
    (("surplus",), "surplus"),
]


@pytest.mark.parametrize(("arguments", "expected"), WRONG_USAGE)
def test_wrong_usage(arguments: tuple[str, ...], expected: str, run: Workshop) -> None:
    defaults = ("--dataset", "synthetic", "--dataset-dir", run.data, "--out", run.out)
    outcome = run(*defaults, *arguments)
    assert (outcome.status, outcome.out, run.out.exists()) == (2, "", False)
    assert outcome.why.startswith("train_net: error: ") and expected in outcome.why


def test_resume_of_nothing(run: Workshop) -> None:
    (run.folder / "empty").mkdir()
    (run.folder / "damaged").mkdir()
    (run.folder / "damaged" / "checkpoint.npz").write_text("hello")
    (run.folder / "file").write_text("")
    for folder in ("nowhere", "empty", "damaged", "file"):
        outcome = run.resume(folder=run.folder / folder)
        assert (outcome.status, outcome.err.count("\n")) == (1, 1)
        assert str(run.folder / folder) in outcome.why


def test_resume_with_an_option_that_contradicts_the_run(run: Workshop) -> None:
    run.train("--iterations", "3")
    before = results(run.out)
    others = {"recipe": "mlp", "dataset": "fashion", "seed": 1, "batch-size": 99}
    others |= {"validation": 101, "dtype": "float64", "dropout": 0.5}
    for name, value in others.items():
        outcome = run.resume(f"--{name}", value)
        assert outcome.status == 2 and name in outcome.why
        assert results(run.out) == before


def save_checkpoint(run: Workshop, header: dict[str, Any], arrays: dict[str, Array]) -> None:
    header = {k: v for k, v in header.items() if k not in ("format", "kind", "version")}
    save_arrays(run.out / "checkpoint.npz", "checkpoint", header, arrays)


def test_a_checkpoint_that_was_edited_is_refused_in_a_line(run: Workshop) -> None:
    run.train("--epochs", "1")
    header, arrays = load_arrays(run.out / "checkpoint.npz", "checkpoint")
    wrong: list[dict[str, Any]] = [{"iterations": 10**400}, {"best": None}, {"seconds": -1}]
    wrong += [{"run": {}}, {"run": header["run"] | {"recipe": ["mlp"]}}]
    wrong += [{"run": header["run"] | {"batch_size": size}} for size in (0, 10**400, None, True)]
    wrong += [{"run": header["run"] | {"learning_rate": rate}} for rate in (0, "fast")]
    wrong += [{"run": header["run"] | {"iterations": steps}} for steps in (0, 10**400)]
    wrong += [{"run": header["run"] | {"dtype": dtype}} for dtype in ("float64", 7)]
    wrong += [{"run": header["run"] | {"dataset": "letters"}}]
    for changes in wrong:
        save_checkpoint(run, header | changes, arrays)
        outcome = run.resume("--epochs", "2")
        assert (outcome.status, outcome.err.count("\n")) == (1, 1), changes
        assert "start a new run" in outcome.why, changes


def test_a_run_that_took_no_time(run: Workshop) -> None:
    run.train("--epochs", "1")
    header, arrays = load_arrays(run.out / "checkpoint.npz", "checkpoint")
    save_checkpoint(run, header | {"seconds": 0}, arrays)
    assert run.resume("--epochs", "1").status == 0
    assert run.report()["images_per_second"] is None


def test_resume_to_a_length_that_is_behind(run: Workshop) -> None:
    run.train("--epochs", "2")
    outcome = run.resume("--iterations", "3")
    assert outcome.status == 1 and f"above the {2 * EPOCH} batches" in outcome.why


def test_out_that_is_a_file(run: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Known before anything is trained, not after an epoch."""
    run.out.write_text("mine")
    steps = list[int]()
    before_each_step(monkeypatch, lambda: steps.append(1))
    for out in (run.out, run.out / "below"):
        outcome = run.start("--out", out)
        assert (outcome.status, outcome.err.count("\n")) == (1, 1)
        assert str(run.out) in outcome.why
    assert (steps, run.out.read_text()) == ([], "mine")


def before_each_step(monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]) -> None:
    """Have `act` called before each batch that the two-layer network is trained on."""

    def build(rng: np.random.Generator, dtype: DTypeLike = np.float32) -> TwoLayerNet:
        network = TwoLayerNet(784, 50, 10, rng=rng, dtype=dtype)
        step = network.loss_and_gradient

        def loss_and_gradient(x: ArrayLike, t: ArrayLike, **s: float) -> tuple[float, Parameters]:
            act()
            return step(x, t, **s)

        network.loss_and_gradient = loss_and_gradient  # type: ignore[method-assign]
        return network

    monkeypatch.setitem(RECIPES, "two-layer", replace(RECIPES["two-layer"], build=build))


@pytest.mark.parametrize("recipe", ["two-layer", "mlp", "lenet5-1998"])
def test_a_training_that_diverges(recipe: str, run: Workshop) -> None:
    """One line, without NumPy's warnings; and the last good checkpoint is there."""
    outcome = run.start("--recipe", recipe, "--learning-rate", "3e38", "--validation", "500")
    assert (outcome.status, outcome.err.count("\n")) == (1, 1)
    assert re.search(r"epoch 1, batch \d of .* rate [23].*e\+38.*--learning-rate", outcome.why)


def test_what_learns_nothing_says_so(run: Workshop, caplog: pytest.LogCaptureFixture) -> None:
    words = ("--batch-size", "5", "--epochs", "1", "--quiet")
    run.train(*words, "--recipe", "mlp")
    assert not caplog.messages
    run.train(*words, "--learning-rate", "1000")
    assert "the training went wrong" in caplog.text


def test_auto_falls_back_to_synthetic_digits(
    run: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    titles, save = list[str](), plots.save

    def remember(figure: Any, path: Any) -> None:
        titles.append(figure.get_suptitle())
        save(figure, path)

    monkeypatch.setattr(plots, "save", remember)
    for arguments in ((), ("--quiet",)):
        outcome = run.start("--dataset", "auto", *arguments)
        assert (outcome.status, "Traceback" in outcome.err) == (0, False)
        assert "SYNTHETIC" in outcome.err
        assert "http://127.0.0.1:9/" in outcome.err  # what was tried
    assert run.report()["dataset"] == "synthetic"
    assert load_model(run.out / "model.npz").metadata["dataset"] == "synthetic"
    assert "synthetic" in titles[-1]
    run.start("--dataset", "auto", "--show-samples", run.folder / "samples.png")
    assert "synthetic" in titles[-1]

    # What was trained on drawn digits goes on with them, also when MNIST is back.
    assert (run.resume("--epochs", "3").status, run.report()["dataset"]) == (0, "synthetic")


def test_ctrl_c_saves_what_resume_wants(run: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = list[int]()

    def press() -> None:
        steps.append(1)
        if len(steps) == EPOCH + 3:
            signal.raise_signal(signal.SIGINT)

    before_each_step(monkeypatch, press)
    outcome = run.start("--epochs", "4")
    assert outcome.status == 130 and f"--resume {run.out}" in outcome.why
    assert names_in(run.out) == FILES
    report = run.report()
    assert (report["interrupted"], report["iterations"], report["epochs"]) == (True, EPOCH + 3, 1)
    assert run.resume().status == 0 and run.report()["interrupted"] is False


def test_ctrl_c_before_the_training(run: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_net, "load_mnist", Mock(side_effect=KeyboardInterrupt))
    outcome = run.start()
    assert (outcome.status, outcome.err.count("\n")) == (130, 1) and outcome.why


def new_run(data: Path, out: Path) -> tuple[object, ...]:
    """An epoch of 30 batches takes some 10 ms: a checkpoint is written more often than not."""
    return (
        *("--recipe", "conv", "--dataset", "synthetic", "--dataset-dir", data, "--out", out),
        *("--validation", 100, "--batch-size", 20, "--epochs", 60),
    )


@pytest.fixture(scope="session")
def script(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Path:
    """`train_net.py` as it is, but with a small network with dropout in the place of conv."""
    path = tmp_path_factory.mktemp("script") / "train.py"
    path.write_text(
        f"""
import sys
sys.path[:0] = [{str(root)!r}, {str(root / "tests")!r}]
from dataclasses import replace
import train_net
from digits.recipes import RECIPES
from tiny_data import small_with_dropout

RECIPES["conv"] = replace(RECIPES["conv"], build=small_with_dropout, learning_rate=0.001)
sys.exit(train_net.main())
"""
    )
    return path


@pytest.fixture(scope="session")
def uninterrupted(
    tmp_path_factory: pytest.TempPathFactory, data: Path, script: Path
) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("uninterrupted") / "out"
    subprocess.run(
        [sys.executable, script, *map(str, new_run(data, out)), "--quiet"], check=True, timeout=100
    )
    return results(out)


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
def test_killed_at_any_moment_the_next_start_ends_equal(
    tmp_path: Path, data: Path, script: Path, uninterrupted: dict[str, bytes]
) -> None:
    out, chance = tmp_path / "out", random.Random()
    words: tuple[object, ...] = new_run(data, out)
    kills = 0
    for attempt in range(12):
        line, pipe = [sys.executable, str(script), *map(str, words)], subprocess.PIPE
        with subprocess.Popen(line, stdout=pipe, stderr=pipe, text=True) as process:
            wait_for(out / "checkpoint.npz", process)
            assert process.stdout is not None
            if attempt:  # the checkpoint is there already: it trains once it says something
                process.stdout.readline()
            if kills < 4:
                time.sleep(chance.uniform(0, 0.15))
                process.kill()
            process.communicate(timeout=100)
        kills += process.returncode == -signal.SIGKILL
        words = ("--resume", out, "--dataset-dir", data)
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL
    assert kills >= 3
    assert results(out) == uninterrupted
