"""What the page says when something cannot be done: a sentence for each code, in English and in
Chinese, from static/texts.json.
"""

import json
from pathlib import Path
from typing import Any

from digits.photos.decode import PictureError
from digits.training.callbacks import TrainingError
from mnist_loader import DatasetError

STATIC = Path(__file__).with_name("static")
TEXTS: dict[str, list[str]] = json.loads((STATIC / "texts.json").read_text(encoding="utf-8"))

CODES = {
    PictureError: "picture",
    DatasetError: "data",
    TrainingError: "diverged",
    MemoryError: "memory",
}
"""Errors of the library that a visitor may bring about."""


class PageError(ValueError):
    """A request that cannot be met: the sentence `error.CODE` with these values, and a status."""

    def __init__(self, code: str, *values: Any, status: int = 422) -> None:
        super().__init__(TEXTS[f"error.{code}"][0].format(*values))
        self.code, self.values, self.status = code, values, status


def require(condition: object, code: str, *values: Any, status: int = 422) -> None:
    """Raise a PageError unless the condition holds."""
    if not condition:
        raise PageError(code, *values, status=status)


def tell(error: Exception) -> dict[str, Any]:
    """An error as the page receives it: {"code", "values", "error"}, the last in English."""
    if isinstance(error, PageError):
        return {"code": error.code, "values": error.values, "error": str(error)}
    code = next((code for kind, code in CODES.items() if isinstance(error, kind)), "other")
    return {"code": code, "values": [str(error).rstrip(".")], "error": str(error)}
