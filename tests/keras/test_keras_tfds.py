"""tensorflow_datasets: the splits, forms and facts of MNIST that public scripts ask for."""

from typing import Any

import numpy as np
import pytest

from digits.keras import tensorflow, tensorflow_datasets
from digits.keras.datasets import mnist
from digits.types import Array

tf: Any = tensorflow
tfds: Any = tensorflow_datasets


def arrays(dataset: str) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """30 and 10 images, each full of its number; those of Fashion-MNIST begin at 100."""
    x = np.arange(40, dtype=np.uint8)[:, np.newaxis].repeat(784, axis=1) + 100 * (
        dataset != "mnist"
    )
    t = np.arange(40, dtype=np.uint8) % 10
    return (x[:30], t[:30]), (x[30:], t[30:])


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mnist, "load_mnist", arrays)


def numbers(dataset: Any) -> list[int]:
    """The number that each image is full of."""
    return [int(image[0, 0, 0]) for image, _ in tfds.as_numpy(dataset)]


@pytest.mark.parametrize(
    ("split", "expected"),
    [
        ("train", range(30)),
        ("test", range(30, 40)),
        ("train[:80%]", range(24)),
        ("train[80%:]", range(24, 30)),
        ("train[-3:]", range(27, 30)),
        ("train[5:1_0]+test[:10%]", [5, 6, 7, 8, 9, 30]),
    ],
)
def test_a_split_names_its_images(split: str, expected: Any) -> None:
    dataset, info = tfds.load("mnist", split=split, as_supervised=True, with_info=True)
    assert numbers(dataset) == list(expected)
    assert info.splits[split].num_examples == len(expected) == len(dataset)


def test_several_splits_come_in_a_list_and_all_by_name() -> None:
    train, test = tfds.load("fashion_mnist:3.0.1", split=["train", "test[:2]"], as_supervised=True)
    assert len(numbers(train)) == 30
    assert numbers(test) == [130, 131]
    assert {name: len(part) for name, part in tfds.load("mnist").items()} == {
        "train": 30,
        "test": 10,
    }


def test_elements_are_pairs_or_dicts_one_by_one_or_in_batches() -> None:
    image, label = next(iter(tfds.load("mnist", split="test", as_supervised=True)))
    assert image.numpy().shape == (28, 28, 1)
    assert (image.dtype, label.dtype, label.numpy()) == (tf.uint8, tf.int64, 0)
    assert tfds.load("mnist", split="test", batch_size=4).element_spec == {
        "image": tf.TensorSpec((None, 28, 28, 1), tf.uint8),
        "label": tf.TensorSpec((None,), tf.int64),
    }
    x, t = tfds.as_numpy(tfds.load("mnist", split="test", batch_size=-1, as_supervised=True))
    assert type(x) is np.ndarray
    assert x.shape == (10, 28, 28, 1)
    np.testing.assert_array_equal(t, np.arange(10))


def test_what_is_known_about_a_data_set() -> None:
    _, info = tfds.load("fashion_mnist", with_info=True)
    label = info.features["label"]
    assert (info.name, label.num_classes, info.splits["train"].num_examples) == (
        *("fashion_mnist", 10, 30),
    )
    assert info.features["image"].shape == (28, 28, 1)
    assert label.int2str(np.int64(9)) == label.names[9] == "Ankle boot"
    assert label.str2int("Trouser") == 1


def test_what_is_not_there_is_named() -> None:
    with pytest.raises(
        ValueError, match="a data set among mnist, fashion_mnist; received 'cifar10'"
    ):
        tfds.load("cifar10")
    with pytest.raises(ValueError, match=r'such as "train" or "test\[:80%\]"; received validation'):
        tfds.load("mnist", split="validation")
