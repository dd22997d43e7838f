"""The names of `tensorflow_datasets` with which scripts for MNIST begin: `load` and `as_numpy`. The
images are those of this library's loader, in memory.
"""

import re
from types import SimpleNamespace
from typing import Any

import numpy as np

from digits.keras.absent import DATA
from digits.keras.dataset import Dataset
from digits.keras.datasets import mnist
from digits.keras.tensor import tensor
from digits.validation import check

CLASSES = {
    "mnist": "0,1,2,3,4,5,6,7,8,9".split(","),
    "fashion_mnist": (
        "T-shirt/top,Trouser,Pullover,Dress,Coat,Sandal,Shirt,Sneaker,Bag,Ankle boot".split(",")
    ),
}
"""The data sets, and the names of their classes."""

SPLIT = re.compile(r"(train|test)(?:\[(-?[\d_]+%?)?:(-?[\d_]+%?)?\])?")
Split = SimpleNamespace(TRAIN="train", TEST="test")


class Splits(dict[str, Any]):
    """The number of images in each split, and in parts of them: "train[:80%]"."""

    def __missing__(self, split: str) -> Any:
        sizes = {name: known.num_examples for name, known in self.items()}
        chosen = [range(sizes[name])[rows] for name, rows in _parts(split, sizes)]
        return SimpleNamespace(name=split, num_examples=sum(map(len, chosen)))


def load(
    name: str,
    *,
    split: Any = None,
    batch_size: int | None = None,
    as_supervised: bool = False,
    with_info: bool = False,
    **_: Any,
) -> Any:
    """The data set of a split, or of several in a list; by name, if no split is given. With
    batch_size=-1 tensors of all images and labels. with_info: what is known about it, too.
    """
    name = re.split("[:/]", name)[0]
    check(name in CLASSES, f"a data set among {', '.join(CLASSES)}", name, DATA)
    given = mnist.load_data(dataset="fashion" if name == "fashion_mnist" else "mnist")
    arrays = {
        part: (x[..., np.newaxis], t.astype(np.int64))
        for part, (x, t) in zip(("train", "test"), given, strict=True)
    }
    sizes = {part: len(t) for part, (_, t) in arrays.items()}

    def dataset(split: Any) -> Any:
        chosen = [[array[rows] for array in arrays[part]] for part, rows in _parts(split, sizes)]
        image, label = (tensor(np.concatenate(found)) for found in zip(*chosen, strict=True))
        found = (image, label) if as_supervised else {"image": image, "label": label}
        if batch_size == -1:
            return found
        made = Dataset.from_tensor_slices(found)
        return made.batch(batch_size) if batch_size else made

    if split is None:
        made: Any = {part: dataset(part) for part in arrays}
    else:
        several = isinstance(split, list | tuple)
        made = type(split)(map(dataset, split)) if several else dataset(split)
    return (made, _info(name, sizes)) if with_info else made


def _info(name: str, sizes: dict[str, int]) -> SimpleNamespace:
    names = CLASSES[name]
    label = SimpleNamespace(num_classes=len(names), names=names, shape=(), dtype=np.int64)
    label.int2str, label.str2int = names.__getitem__, names.index
    image = SimpleNamespace(shape=(28, 28, 1), dtype=np.uint8)
    splits = {part: SimpleNamespace(name=part, num_examples=n) for part, n in sizes.items()}
    features = {"image": image, "label": label}
    return SimpleNamespace(name=name, features=features, splits=Splits(splits))


def _parts(split: Any, sizes: dict[str, int]) -> list[tuple[str, slice]]:
    """The parts and rows that a split names: "train", "train[:80%]", "train[-1000:]+test"."""
    found = []
    for text in str(split).split("+"):
        known = SPLIT.fullmatch(text.strip())
        if known is None:
            raise ValueError(f'expected a split such as "train" or "test[:80%]"; received {split}')
        part, *ends = known.groups()
        found.append((part, slice(*(_position(end, sizes[part]) for end in ends))))
    return found


def _position(text: str | None, n: int) -> int | None:
    if text is None:
        return None
    return round(n * int(text[:-1]) / 100) if text.endswith("%") else int(text)


def as_numpy(dataset: Any) -> Any:
    """Data sets and tensors, also in tuples, lists and dicts, with NumPy's arrays."""
    if isinstance(dataset, Dataset):
        return dataset.as_arrays()
    if isinstance(dataset, dict):
        return {name: as_numpy(part) for name, part in dataset.items()}
    if isinstance(dataset, list | tuple):
        return type(dataset)(map(as_numpy, dataset))
    return np.asarray(dataset)


def disable_progress_bar() -> None:
    """Nothing to do: there is none."""
