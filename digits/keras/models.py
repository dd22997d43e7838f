"""Models, and models in files and in text, under the name that Keras has for them."""

from digits.keras.layers import Input
from digits.keras.model import Functional, Model, Sequential
from digits.keras.saving import load_model, save_model
from digits.keras.structure import clone_model, model_from_json

# fmt: off
__all__ = [
    "Functional", "Input", "Model", "Sequential", "clone_model", "load_model", "model_from_json",
    "save_model",
]
# fmt: on
