"""What a trained network is measured by, and the command line that writes what it prints."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_data import TEST, small_with_dropout

from digits import Conv2D, Dense, Flatten, Input, Sequential, plots
from digits import evaluate as evaluate_net
from digits.evaluate import evaluate
from digits.nn.network import Network
from digits.training.augmentation import tta_views
from digits.types import Array
from functions import cross_entropy_error
from mnist_loader import load_mnist
from two_layer_net import TwoLayerNet

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def network(rng: np.random.Generator) -> Sequential:
    """Untrained: it is wrong often, and every pixel counts."""
    network = small_with_dropout(rng)
    network.metadata = {"recipe": "small", "dataset": "synthetic"}
    return network


@pytest.fixture
def test_images(data: Path) -> tuple[Array, Array]:
    return load_mnist(normalize=True, dataset="synthetic", dataset_dir=data)[1]


class Says:
    """Stands in for a network that predicts this and nothing else."""

    def __init__(self, y: Array) -> None:
        self.y = y

    def predict(self, x: Array) -> Array:
        return self.y[: len(x)]


def test_figures_of_known_predictions() -> None:
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
    assert result.table().splitlines() == [
        "class  precision  recall      f1  images",
        "    0     1.0000  0.6667  0.8000       3",
        "    1     0.5000  1.0000  0.6667       1",
        "    2        nan     nan     nan       0",
        " mean     0.7500  0.8333  0.7333       4",
    ]


def test_several_views_give_their_mean(network: Network, test_images: tuple[Array, Array]) -> None:
    x, t = test_images
    once, several = evaluate(network, x, t), evaluate(network, x, t, 7)
    y = sum(network.predict(view).astype(float) for view in tta_views(x, 7)) / 7.0
    np.testing.assert_allclose(several.y, y, rtol=1e-5)
    assert several.loss == pytest.approx(cross_entropy_error(several.y, t))
    np.testing.assert_array_equal(once.y, network.predict(x))
    assert not np.allclose(once.y, several.y, rtol=1e-3)


NOTHING = np.zeros((0, 784)), np.zeros(0)


def two_layers(classes: int = 10) -> TwoLayerNet:
    network = TwoLayerNet(784, 20, classes, rng=np.random.default_rng(0))
    network.metadata = {"recipe": "small", "dataset": "synthetic"}
    return network


def convolutional() -> Sequential:
    layers = Input((28, 28, 1)), Conv2D(3, 5, strides=4), Flatten(), Dense(10)
    return Sequential(layers, rng=np.random.default_rng(0))


@pytest.fixture
def command(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Command:
    """`evaluate_net.main` in an empty folder; gives exit status, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MNIST_DATASET_DIR", str(data))

    def run(*arguments: object) -> tuple[int, str, str]:
        try:
            status = evaluate_net.main([str(argument) for argument in arguments])
        except SystemExit as end:
            status = int(end.code or 0)
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return status, out, err

    return run


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 5])
def test_the_command_writes_what_it_prints(
    count: int, network: Sequential, test_images: tuple[Array, Array], command: Command
) -> None:
    network.save("model.npz")
    Path("report.json").write_text("of the training", encoding="utf-8")
    _, printed, _ = command("model.npz", "--tta", count)
    expected = evaluate(network, *test_images, count)
    assert printed.startswith(f"small on synthetic: {TEST} test images")
    assert ("5 views of each" in printed) == (count == 5)
    assert f"accuracy {expected.accuracy:.4f}" in printed and expected.table() in printed
    report = json.loads(Path("evaluation.json").read_text("utf-8"))
    assert (report["recipe"], report["dataset"], report["looks"]) == ("small", "synthetic", count)
    assert report["parameters"] == network.params.flat.size
    assert report["test_accuracy"] == pytest.approx(expected.accuracy)
    assert report["test_loss"] == pytest.approx(expected.loss)
    assert report["confusion"] == expected.confusion.tolist()
    assert {path.stem for path in Path().glob("*.png")} == {"confusion", "mistakes", "weights"}
    assert Path("report.json").read_text("utf-8") == "of the training"


@pytest.mark.slow
def test_reports_and_models_are_not_overwritten(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plots, "mistakes", lambda *_, **__: plots.samples(*NOTHING))  # for speed
    two_layers().save("model.npz")
    convolutional().save("other.npz")
    model = Path("model.npz").read_bytes()
    for text in ('{"recipe": "mlp"}', "no JSON"):
        Path("report.json").write_text(text, encoding="utf-8")
        assert command("model.npz", "--out", ".")[0] == 0
        assert Path("report.json").read_text(encoding="utf-8") == text
    assert not Path("report-3.json").exists()  # the same figures are written once
    first = {path: path.read_bytes() for path in (*Path().glob("*.png"), *Path().glob("*.json"))}
    assert command("other.npz", "--dataset", "synthetic", "--out", ".")[0] == 0
    assert all(path.read_bytes() == content for path, content in first.items())
    Path("link.npz").symlink_to("model.npz")
    for path in ("model.npz", "./model.npz", "link.npz"):
        status, _, err = command("model.npz", "--export-onnx", path)
        assert (status, "a name ending in .onnx" in err) == (1, True)
    assert Path("model.npz").read_bytes() == model


@pytest.mark.slow
def test_fashion_has_names(command: Command, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        evaluate_net, "load_mnist", lambda **_: load_mnist(normalize=True, dataset="synthetic")
    )
    convolutional().save("model.npz")
    status, out, _ = command("model.npz", "--dataset", "fashion")
    assert status == 0
    assert out.count("ankle boot") == 1
    assert "read as" in command("model.npz", "--dataset", "fashion", "--show", "0")[1]


@pytest.mark.parametrize("make", [two_layers, convolutional])
def test_show_draws_what_the_layers_make(
    make: Callable[[], Network], command: Command, data: Path
) -> None:
    network = make()
    network.save("model.npz")
    status, out, err = command("model.npz", "--dataset", "synthetic", "--show", TEST - 1)
    assert (status, err) == (0, "")

    _, (x, t) = load_mnist(normalize=True, dataset="synthetic", dataset_dir=data)
    y = network.predict(x)[-1]
    said = rf"test image {TEST - 1}, {t[-1]}, read as {y.argmax()} \({y.max():.0%}\)"
    assert re.search(rf"{said}\ndrew features-{TEST - 1}.png$", out)
    assert Path(f"features-{TEST - 1}.png").read_bytes()[:4] == b"\x89PNG"
    assert not Path("confusion.png").exists()


def test_one_line_says_what_is_wrong(command: Command, data: Path) -> None:
    two_layers().save("good.npz")
    two_layers(classes=3).save("three.npz")
    Path("bad.npz").write_bytes(b"PK no model")
    wrong: list[tuple[list[object], str]] = [
        (["none.npz"], "none.npz"),
        (["bad.npz"], "bad.npz"),
        (["three.npz"], "expected labels that are integers 0 to 2; received"),
        (["good.npz", "--show", TEST], f"a test image from 0 to {TEST - 1} .*; received {TEST}"),
    ]
    for arguments, why in wrong:
        status, out, err = command(*arguments)
        assert (status, out) == (1, "")
        assert re.fullmatch(f"evaluate_net: .*{why}.*\n", err)


def test_wrong_usage(command: Command) -> None:
    for arguments, why in [
        ([], "MODEL"),
        (["model.npz", "--show", "-1"], "expected a whole number of at least 0; received -1"),
        (["model.npz", "--show", "1.5"], "received 1.5"),
        (["model.npz", "--dataset", "letters"], "letters"),
    ]:
        status, out, err = command(*arguments)
        assert (status, out) == (2, "")
        assert why in err
