"""What a picture says: the digits that were read, their rows, and the pictures on the way there."""

from base64 import b64encode
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from digits.types import Array, Box

UNSURE = 0.53
"""Below this confidence a digit is marked; one digit in a hundred is, wrongly."""


@dataclass(frozen=True)
class Digit:
    """One digit that was read."""

    digit: int
    confidence: float  # the network's probability, in [0, 1]
    box: Box  # in pixels of the file
    row: int
    second: int  # the next best digit ...
    second_confidence: float  # ... and its probability
    image: Array = field(repr=False)  # (28, 28) float32: what the network saw
    probabilities: Array = field(repr=False)  # (10,)

    @property
    def unsure(self) -> bool:
        """Whether a human should look again."""
        return self.confidence < UNSURE

    def to_dict(self) -> dict[str, Any]:
        """The digit in values that JSON knows, without the image."""
        return {
            "digit": self.digit,
            "confidence": round(self.confidence, 4),
            "box": list(self.box),
            "row": self.row,
            "second": self.second,
            "second_confidence": round(self.second_confidence, 4),
            "unsure": self.unsure,
        }


@dataclass(frozen=True)
class Reading:
    """The rows of a picture from top to bottom, and its digits in reading order."""

    rows: list[str]
    digits: list[Digit]
    picture: Array = field(repr=False)  # upright, as decoded: gray or blue-green-red
    flat: Array = field(repr=False)  # in gray, evenly lit, dark on white
    ink: Array = field(repr=False)  # bool: where ink was found
    decode_scale: int = 1  # pixels of the file for one pixel of `picture`
    rotation: int = 0  # degrees clockwise by which the picture had to be turned, in [0, 360)
    unread: list[Box] = field(default_factory=list)
    """Boxes, as those of digits, around what was drawn on a screen and could not be read: digits
    that touch too closely, or things that are none. Empty for photographs, whose ink need not be
    digits."""
    rows_text: list[str] = field(default_factory=list)
    """The rows with what stands between the digits: gaps, `.`, `,`, `-`, and `?` for all else."""

    @property
    def seen(self) -> Array:
        """(n, 28, 28): every digit as the network saw it."""
        return np.array([digit.image for digit in self.digits]).reshape(-1, 28, 28)

    @property
    def confidence(self) -> float:
        """That of the least certain digit; 0 without digits."""
        return min((digit.confidence for digit in self.digits), default=0.0)

    def to_dict(self, images: bool = False) -> dict[str, Any]:
        """The reading in values that JSON knows.

        images: also the size of the picture, the boxes of what could not be read, and of each digit
            all probabilities and what the network saw (784 bytes in base64, paper 0, ink 255).
        """
        digits = [digit.to_dict() for digit in self.digits]
        said = {"rows": self.rows, "rows_text": self.rows_text, "rotation": self.rotation}
        if not images:
            return {**said, "digits": digits}
        for digit, entry in zip(self.digits, digits, strict=True):
            pixels = np.rint(255 * digit.image).astype(np.uint8)
            entry["probabilities"] = [round(float(q), 4) for q in digit.probabilities]
            entry["image"] = b64encode(pixels.tobytes()).decode()
        height, width = self.picture.shape[:2]
        return {
            **said,
            "digits": digits,
            "unread": [list(box) for box in self.unread],
            "size": [width * self.decode_scale, height * self.decode_scale],
        }
