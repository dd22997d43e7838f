"""What Keras has in `keras.utils`: labels as one-hot rows, seeds, bars, pictures of models."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from digits.keras.config import clear_session
from digits.keras.data import parts_of
from digits.keras.drawing import model_to_dot, plot_model
from digits.keras.legacy import renamed
from digits.keras.lookup import look_up
from digits.keras.preprocessing.image import array_to_img, img_to_array, load_img, save_img
from digits.keras.progress import Progbar
from digits.keras.random import set_random_seed
from digits.keras.serialization import (
    custom_object_scope,
    get_custom_objects,
    register_keras_serializable,
)
from digits.types import Array
from digits.validation import check

# fmt: off
__all__ = [
    "Progbar", "PyDataset", "Sequence", "array_to_img", "clear_session", "custom_object_scope",
    "disable_interactive_logging", "enable_interactive_logging", "get_custom_objects",
    "img_to_array", "load_img", "model_to_dot", "normalize", "plot_model",
    "register_keras_serializable", "save_img", "set_random_seed", "to_categorical",
]
# fmt: on


@renamed(nb_classes="num_classes")
def to_categorical(x: Any, num_classes: int | None = None, dtype: Any = None) -> Array:
    """Class indices (n,) or (n, 1) as one-hot rows (n, classes)."""
    labels = np.asarray(x)
    if labels.ndim > 1 and labels.shape[-1] == 1:
        labels = labels[..., 0]
    whole = labels.astype(np.intp)
    classes = int(num_classes or (whole.max(initial=-1) + 1))
    low, high = labels.min(initial=0), labels.max(initial=0)
    good = low >= 0 and high < classes and (whole == labels).all()
    received, advice = f"values from {low} to {high}", f"pass num_classes={high + 1}"
    check(good, f"class indices 0 to {classes - 1}", received, advice)
    return np.eye(classes, dtype=dtype or np.float64)[whole]


def probas_to_classes(y_pred: Any) -> Array:
    """The number of the largest output, or whether the only one is above one half (Keras 1)."""
    y = np.asarray(y_pred)
    return y.argmax(axis=-1) if y.shape[-1] > 1 else (y > 0.5).astype(int)


def count_params(weights: Any) -> int:
    """How many numbers there are in these weights."""
    return sum(weight.array.size for weight in weights)


def normalize(x: Any, axis: int = -1, order: int = 2) -> Array:
    x = np.atleast_1d(np.asarray(x, np.float64))
    length = np.linalg.norm(x, order, axis, keepdims=True)
    return x / np.where(length == 0, 1, length)


def get_file(fname: Any = None, origin: Any = None, **_: Any) -> str:
    """The path of a file: mnist.npz, written from the data set that this library has."""
    name = Path(str(fname or origin)).name
    advice = "download it yourself and open it by its path"
    check(name == "mnist.npz", "mnist.npz", name, advice)
    (x, t), (x_test, t_test) = look_up("datasets.mnist").load_data()
    path = Path(tempfile.gettempdir(), name)
    np.savez(path, x_train=x, y_train=t, x_test=x_test, y_test=t_test)
    return str(path)


class PyDataset:
    """Batches by their number. A subclass gives `__len__` and `__getitem__`."""

    def __init__(self, workers: int = 1, use_multiprocessing: bool = False, **_: Any) -> None:
        self.workers, self.use_multiprocessing = workers, use_multiprocessing

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} needs a __len__: the number of batches")

    def __getitem__(self, index: int) -> Any:
        raise NotImplementedError(
            f"{type(self).__name__} needs a __getitem__: a batch by its number"
        )

    def on_epoch_end(self) -> None:
        """After an epoch."""


Sequence = PyDataset


plot = plot_model  # Keras 1
unpack_x_y_sample_weight = parts_of
CustomObjectScope = custom_object_scope


def enable_interactive_logging() -> None:
    """Nothing to do: pass verbose=."""


disable_interactive_logging = enable_interactive_logging
