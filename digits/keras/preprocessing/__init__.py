"""Keras' helpers for data that has yet to be prepared: those for images."""

from digits.keras.preprocessing import image

__all__ = ["image"]
