"""The programs in examples/ run to their end, learn, and draw what they promise."""

import re
import runpy
from pathlib import Path

import pytest

from digits.data import synthetic_digits

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

# What main is told, so that a test is short; what is left under runs/; the test accuracy that is
# surely reached in that time (guessing gives 0.1; twenty layers hardly begin to learn).
CASES: dict[str, tuple[dict[str, int], set[str], float]] = {
    "conv_dropout": ({"epochs": 1}, {"curves.png", "features.png"}, 0.3),
    "deep_mlp": ({"epochs": 2}, {"confusion.png", "mistakes.png", "model.npz"}, 0.0),
    "lenet5": ({"epochs": 5}, {"filters.png", "model.npz"}, 0.3),
    "mlp": ({"epochs": 5}, {"curves.png", "samples.png"}, 0.6),
    "quick_start": ({"epochs": 5}, {"first.png"}, 0.6),
}


@pytest.fixture
def small_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few synthetic digits in place of 70,000, and a folder to work in."""
    monkeypatch.setattr(synthetic_digits, "SIZES", (1_600, 200))
    monkeypatch.setenv("MNIST_DATASET_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("small_data")
@pytest.mark.parametrize("name", CASES)
def test_an_example_runs(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    told, files, least = CASES[name]
    runpy.run_path(str(EXAMPLES / f"{name}.py"))["main"](**told, dataset="synthetic")
    assert {file.name for file in Path("runs").glob("*/*")} == files
    accuracies = re.findall(r"test accuracy (\d\.\d+)", capsys.readouterr().out)
    assert accuracies
    assert float(accuracies[-1]) >= least


def test_every_example_is_here_and_short() -> None:
    sizes = {path.stem: len(path.read_text("utf-8").splitlines()) for path in EXAMPLES.glob("*.py")}
    assert sizes.keys() == CASES.keys()
    assert all(lines < 40 for lines in sizes.values()), sizes
