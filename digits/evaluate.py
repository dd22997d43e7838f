"""Measure a trained network on images it has never seen: loss, accuracy, precision and recall of
each class, and pictures of its mistakes and feature maps.

    python -m digits.evaluate runs/two-layer/model.npz
    python -m digits.evaluate runs/lenet5/model.npz --show 7       the feature maps of test image 7
    python -m digits.evaluate runs/lenet5/model.npz --export-onnx lenet5.onnx     for other runtimes
    python -m digits.evaluate runs/best/model.npz --tta 5          the mean prediction of five views
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from digits import plots
from digits.cli import Parser, count, number, printable, say
from digits.files.atomic import write_new
from digits.files.models import load_model
from digits.nn.network import Network
from digits.runs import DATASETS
from digits.training.augmentation import TTA_SHIFTS, tta_views
from digits.types import Array
from digits.validation import check
from functions import accuracy, cross_entropy_error, to_inputs, to_labels
from mnist_loader import DatasetError, load_mnist


@dataclass(frozen=True)
class Evaluation:
    """How a network did on n images: its probabilities y (n, k), and all that follows from them."""

    loss: float
    accuracy: float
    confusion: Array
    """(k, k) counts: row the true digit, column the predicted one."""
    y: Array

    def precision(self) -> Array:
        """For each class: the ratio of the images read as it that are it; nan if none was."""
        return _ratio(self.confusion.diagonal(), self.confusion.sum(axis=0))

    def recall(self) -> Array:
        """For each class: the ratio of its images that were read as it; nan if there are none."""
        return _ratio(self.confusion.diagonal(), self.confusion.sum(axis=1))

    def f1(self) -> Array:
        """For each class: the harmonic mean of precision and recall, 2 hits / (read as it + is)."""
        read, images = self.confusion.sum(axis=0), self.confusion.sum(axis=1)
        return _ratio(2 * self.confusion.diagonal(), read + images)

    def table(self, names: Sequence[str] | None = None) -> str:
        """Precision, recall, F1 and number of images by class; the mean of those with images."""
        names = names or plots.class_names("", len(self.confusion))
        images = self.confusion.sum(axis=1)
        figures = np.stack([self.precision(), self.recall(), self.f1()], axis=1)
        known = (images > 0)[:, np.newaxis] & ~np.isnan(figures)
        mean = _ratio(figures.sum(axis=0, where=known), known.sum(axis=0))
        width = max(5, *map(len, names))
        lines = [f"{'class':>{width}}  precision  recall      f1  images"]
        rows = [*zip(names, figures, images, strict=True), ("mean", mean, images.sum())]
        for name, (precision, recall, f1), n in rows:
            lines.append(f"{name:>{width}}  {precision:9.4f}  {recall:6.4f}  {f1:6.4f}  {n:6,}")
        return "\n".join(lines)


def evaluate(network: Network, x: Array, t: Array, views: int = 1) -> Evaluation:
    """Measure a network on images x (n, 784) in [0, 1] and their class indices t (n,).

    views: predict by the mean over so many views of each image (`augmentation.tta_views`).

    Raises ValueError if its predictions are not finite or do not go with the labels.
    """
    y = np.mean([network.predict(view) for view in tta_views(to_inputs(x), views)], axis=0)
    advice = "the weights are too large; use another model, or train with a lower learning rate"
    check(np.isfinite(y).all(), "finite probabilities", float(y.max()), advice)
    loss = cross_entropy_error(y, t)  # which checks the labels
    confusion = np.zeros((y.shape[1], y.shape[1]), np.int64)
    np.add.at(confusion, (to_labels(t, y.shape[1]), np.argmax(y, axis=1)), 1)
    return Evaluation(loss, accuracy(y, t), confusion, y)


def _ratio(part: Array, whole: Array) -> Array:
    return np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)


def main(arguments: list[str] | None = None) -> int:
    """Evaluate as the command line says; the exit status is 0 done, 1 failed, 130 after Ctrl-C."""
    parser = Parser(
        prog="evaluate_net",
        description="Measure a trained network on the test images.",
        epilog="Draws confusion.png, mistakes.png and weights.png; the figures go to report.json "
        "in OUT, or, without --out, to evaluation.json beside the model. Where another file has "
        "such a name, a number makes it another.",
    )
    add = parser.add_argument
    add("model", type=Path, metavar="MODEL", help="a model.npz that a training wrote")
    text = "test images to use (default: of the data set the network was trained on)"
    add("--dataset", choices=DATASETS[1:], help=text)
    add("--dataset-dir", type=Path, metavar="DIR", help="where the data sets are")
    add("--out", type=Path, metavar="DIR", help="where results go (default: beside the model)")
    most = len(TTA_SHIFTS)
    views = number(int, f"a whole number of 1 to {most}", lambda n: 1 <= n <= most)
    text = "test-time augmentation: predict by the mean over N views of an image that is moved a "
    text += f"little; at most {most} (default: 1)"
    add("--tta", type=views, default=1, metavar="N", help=text)
    add("--show", type=count, metavar="INDEX", help="only draw the feature maps of a test image")
    text = "only write the network as an ONNX file, which other runtimes read"
    add("--export-onnx", type=Path, metavar="FILE", help=text)
    options = parser.parse_args(arguments)
    return parser.run(lambda: _run(options), DatasetError)


def _run(options: argparse.Namespace) -> int:
    network = load_model(options.model)
    if options.export_onnx is not None:
        network.export_onnx(options.export_onnx)
        say(f"wrote {options.export_onnx}")
        return 0
    # A network is tested on what it was trained on, unless the user says otherwise.
    dataset = options.dataset or network.metadata.get("dataset", "mnist")
    _, (x, t) = load_mnist(normalize=True, dataset=dataset, dataset_dir=options.dataset_dir)
    out: Path = options.out or options.model.parent
    name = printable(f"{network.metadata.get('recipe', options.model.name)} on {dataset}")
    names = plots.class_names(dataset, network.predict(x[:1]).shape[1])
    if options.show is not None:
        return _show(network, x, t, options.show, name, names, out)

    result = evaluate(network, x, t, options.tta)
    several = f", {options.tta} views of each" if options.tta > 1 else ""
    figures = f"loss {result.loss:.4f}, accuracy {result.accuracy:.4f}"
    say(f"{name}: {len(x):,} test images{several}, {figures}")
    say(result.table(names))
    pictures = {
        "confusion.png": plots.confusion(result.confusion, name, names),
        "mistakes.png": plots.mistakes(x, t, result.y, name, names),
    }
    first = next((W for W in network.params.values() if W.ndim in (2, 4)), None)
    if first is not None:
        pictures["weights.png"] = plots.weights(first, f"{name}: first layer")
    drawn = [write_new(out / file, plots.png(figure)).name for file, figure in pictures.items()]
    report = {
        "model": options.model.name,
        "recipe": network.metadata.get("recipe"),
        "dataset": dataset,
        "parameters": network.params.flat.size,
        "looks": options.tta,
        "test_accuracy": result.accuracy,
        "test_loss": result.loss,
        "precision": _json_numbers(result.precision()),
        "recall": _json_numbers(result.recall()),
        "f1": _json_numbers(result.f1()),
        "confusion": result.confusion.tolist(),
    }
    path = out / ("report.json" if options.out else "evaluation.json")
    path = write_new(path, (json.dumps(report, indent=1) + "\n").encode())
    say(f"drew {', '.join(drawn)} in {out}; figures in {path.name}")
    return 0


def _show(
    network: Network, x: Array, t: Array, index: int, name: str, names: list[str], out: Path
) -> int:
    """Draw what each layer of a convolutional network makes of one test image."""
    check(index < len(x), f"a test image from 0 to {len(x) - 1:,} (--show)", index)
    image = x[index : index + 1]
    y = network.predict(image)[0]
    layers = network.activations(image)
    maps = [(title, a[0]) for title, a in layers if a.ndim == 4 and a.shape[3] > 1]
    predicted = f"{names[int(np.argmax(y))]} ({np.max(y):.0%})"
    title = f"{name}: test image {index}, {names[t[index]]}, read as {predicted}"
    picture = plots.png(plots.feature_maps(image[0], maps, y, title, names))
    path = write_new(out / f"features-{index}.png", picture)
    say(f"{title}\ndrew {path}")
    return 0


def _json_numbers(values: Array) -> list[float | None]:
    """JSON has no nan."""
    return [None if np.isnan(value) else float(value) for value in values]


if __name__ == "__main__":
    sys.exit(main())
