"""Fashion-MNIST as Keras gives it: pictures (n, 28, 28) of 0 to 255, labels (n,)."""

from digits.keras.datasets import mnist
from digits.types import Array


def load_data() -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """(x_train, y_train), (x_test, y_test), uint8; downloaded the first time."""
    return mnist.load_data(dataset="fashion")
