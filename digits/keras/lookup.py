"""Names of modules further up, found when they are needed: a model can be saved, but the code that
saves it knows models, and an import at the head of the model's file would go round in a circle.
"""

import importlib
from typing import Any


def look_up(path: str) -> Any:
    """What `path` names within digits.keras: "saving.save_model"."""
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(f"digits.keras.{module}"), name)
