"""What a trained network is measured by: figures that are counted right, from one look or several,
and a command line that writes what it prints.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tiny_data import TEST, small_with_dropout, write_data_set

import evaluate_net
from augmentation import looks
from evaluate_net import evaluate
from functions import cross_entropy_error
from mnist_loader import load_mnist
from nn.network import Network
from nn.sequential import Sequential

Array = NDArray[Any]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data_set(tmp_path_factory.mktemp("data"))


@pytest.fixture
def network(rng: np.random.Generator) -> Sequential:
    """Untrained: it is wrong often, and every pixel counts."""
    network = small_with_dropout(rng)
    network.about = {"recipe": "small", "dataset": "synthetic"}
    return network


@pytest.fixture
def test_images(data: Path) -> tuple[Array, Array]:
    return load_mnist(normalize=True, dataset="synthetic", dataset_dir=data)[1]


class Says:
    """Stands in for a network that has these answers and no others."""

    def __init__(self, y: Array) -> None:
        self.y = y

    def predict(self, x: Array) -> Array:
        return self.y[: len(x)]


def test_figures_of_answers_that_are_known() -> None:
    # Three classes; of three zeros one is read as 1, the one is read right, nobody is a 2.
    y = np.array([[0.8, 0.1, 0.1], [0.5, 0.3, 0.2], [0.1, 0.9, 0.0], [0.2, 0.7, 0.1]])
    network: Any = Says(y)
    result = evaluate(network, np.zeros((4, 784), np.float32), np.array([0, 0, 0, 1]))
    assert result.accuracy == 0.75
    assert result.loss == pytest.approx(-np.log([0.8, 0.5, 0.1, 0.7]).mean(), rel=1e-6)
    np.testing.assert_array_equal(result.confusion, [[2, 1, 0], [0, 1, 0], [0, 0, 0]])
    np.testing.assert_allclose(result.precision(), [1, 1 / 2, np.nan])
    np.testing.assert_allclose(result.recall(), [2 / 3, 1, np.nan])
    np.testing.assert_allclose(result.f1(), [4 / 5, 2 / 3, np.nan])
    assert result.table().splitlines()[-1].split() == ["mean", "0.7500", "0.8333", "0.7333", "4"]


def test_several_looks_give_their_mean_answer(
    network: Network, test_images: tuple[Array, Array]
) -> None:
    x, t = test_images
    once, several = evaluate(network, x, t), evaluate(network, x, t, 7)
    y = sum(network.predict(look).astype(float) for look in looks(x, 7)) / 7.0
    np.testing.assert_allclose(several.y, y, rtol=1e-5)
    assert several.loss == pytest.approx(cross_entropy_error(several.y, t))
    np.testing.assert_array_equal(once.y, network.predict(x))
    assert not np.allclose(once.y, several.y, rtol=1e-3)


@pytest.mark.parametrize("count", [1, 5])
def test_the_command_writes_what_it_prints(
    count: int,
    network: Sequential,
    data: Path,
    tmp_path: Path,
    test_images: tuple[Array, Array],
    capsys: pytest.CaptureFixture[str],
) -> None:
    model, out = tmp_path / "model.npz", tmp_path / "out"
    network.save(model)
    command = [str(model), "--dataset-dir", str(data), "--looks", str(count)]
    assert evaluate_net.main(command) == 0
    expected = evaluate(network, *test_images, count)
    printed = capsys.readouterr().out
    assert printed.startswith(f"small on synthetic: {TEST} test images")
    assert ("5 looks at each" in printed) == (count == 5)
    assert f"accuracy {expected.accuracy:.4f}" in printed
    assert expected.table() in printed
    report = json.loads((tmp_path / "evaluation.json").read_text("utf-8"))
    assert report["looks"] == count
    assert report["dataset"] == "synthetic"
    assert report["parameters"] == network.params.flat.size
    assert report["test_accuracy"] == pytest.approx(expected.accuracy)
    assert report["test_loss"] == pytest.approx(expected.loss)
    assert report["confusion"] == expected.confusion.tolist()
    assert {"confusion.png", "mistakes.png", "weights.png"} <= {
        path.name for path in tmp_path.iterdir()
    }
    assert evaluate_net.main([*command, "--out", str(out)]) == 0
    assert json.loads((out / "report.json").read_text("utf-8")) == report


@pytest.mark.parametrize("count", ["0", "8", "many"])
def test_looks_that_nobody_has(count: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        evaluate_net.main(["model.npz", "--looks", count])
    assert end.value.code == 2
    assert "--looks" in capsys.readouterr().err


def test_a_model_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate_net.main([str(tmp_path / "model.npz")]) == 1
    assert capsys.readouterr().err.startswith("evaluate_net: ")
