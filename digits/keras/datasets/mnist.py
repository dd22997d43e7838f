"""MNIST as Keras gives it: pictures (n, 28, 28) of 0 to 255, labels (n,)."""

from typing import Any

from digits.types import Array
from mnist_loader import load_mnist


def load_data(
    path: Any = None, dataset: str = "mnist"
) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """(x_train, y_train), (x_test, y_test), uint8; downloaded the first time. `path` is not used:
    the files are where `mnist_loader` keeps them.
    """
    (x, t), (x_test, t_test) = load_mnist(dataset=dataset)
    return (x.reshape(-1, 28, 28), t), (x_test.reshape(-1, 28, 28), t_test)
