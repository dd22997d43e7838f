"""The data sets that this library has, under Keras' names."""

from digits.keras.datasets import fashion_mnist, mnist

__all__ = ["fashion_mnist", "mnist"]
