"""What the network makes of each candidate: the probabilities that it is each of the ten digits, or
no digit.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from digits.photos.candidates import Candidate
from digits.photos.components import InkMap, normalize_digit
from digits.training.augmentation import tta_views
from digits.types import Array
from digits.validation import check

VIEWS = 5
"""Of each candidate: as it is, and moved by a pixel to each side."""

MIN_POSSIBLE = 0.02
"""With a lower probability of being a digit at all, one view of a candidate is enough."""

TEMPERATURE = 1.5
"""By this the network's logits are divided: photographs are less clear than what it was trained on
(temperature scaling; Guo et al., "On calibration of modern neural networks", 2017)."""


class Reader(Protocol):
    """What reads one digit: (n, 784) float32 in [0, 1] -> probabilities (n, 10), or (n, 11) where
    the last one says "no digit"."""

    def predict(self, x: Array) -> Array: ...


def classify(reader: Reader, page: InkMap, candidates: Sequence[Candidate]) -> None:
    """Give each candidate the image that the network sees, (28, 28), and its probabilities: the
    mean over five views, where the first shows that it may be a digit, with logits divided by
    `TEMPERATURE`. For a network of ten classes, "no digit" has what the likeliest one leaves.

    Raises ValueError for a model of other classes, or one whose answers are not finite.
    """
    if not candidates:
        return
    x = np.array([normalize_digit(page.ink(c.pieces)).ravel() for c in candidates])
    p = _probabilities(reader, x)
    possible = p[:, :10].sum(axis=1) > MIN_POSSIBLE
    if possible.any():
        views = list(tta_views(x[possible], VIEWS))[1:]
        more = _probabilities(reader, np.concatenate(views)).reshape(VIEWS - 1, -1, p.shape[1])
        p[possible] = (p[possible] + more.sum(axis=0)) / VIEWS
    p = soften(p)
    if p.shape[1] == 10:
        p = np.column_stack([p, 1 - p.max(axis=1)])
    for candidate, image, probabilities in zip(candidates, x, p, strict=True):
        candidate.image, candidate.p = image.reshape(28, 28), probabilities


def soften(p: Array) -> Array:
    """Probabilities (n, k) as they are with logits divided by `TEMPERATURE`."""
    root = p ** (1 / TEMPERATURE)
    softened: Array = root / root.sum(axis=1, keepdims=True)
    return softened


def _probabilities(reader: Reader, x: Array) -> Array:
    """What the network says of images (n, 784)."""
    p = np.asarray(reader.predict(x))
    expected = "a model that gives the probabilities of ten digits, or of eleven classes"
    fits, advice = p.ndim == 2 and p.shape[1] in (10, 11), "use another model"
    check(fits, expected, f"answers of shape {p.shape}", f"{advice}; of a classifier its network_")
    if not np.isfinite(p).all():
        raise ValueError(
            "expected probabilities; the model's are not finite, as its weights are too large: "
            "train it again with a lower learning rate"
        )
    check(0 <= p.min() <= p.max() <= 1.01, expected, f"{p.min():.3g} to {p.max():.3g}", advice)
    return p
