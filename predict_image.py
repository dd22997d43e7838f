"""Read the handwritten digits in a photograph: `read_digits` finds the ink, proposes digits, lets a
network judge every proposal, and keeps the explanation of the ink that the network believes most.

    python predict_image.py IMAGE [IMAGE ...] [--model M] [--json] [--annotate OUT] [--steps OUT]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from digits.cli import ENDED_BY_A_CLOSED_PIPE, Parser, printable, say, warn
from digits.training.augmentation import looks
from digits.types import Array

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from digits.photos.photograph import Stroke


SHIPPED_MODEL = Path(__file__).with_name("digits") / "models" / "photo.npz"
SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"}
UNSURE = 0.77  # below this confidence a digit is marked; one digit in a hundred is, wrongly
LOOKS = 5  # at each digit: straight on, and from a pixel to each side


class Reader(Protocol):
    """What reads one digit: (n, 784) float32 in [0, 1] -> probabilities (n, 10), or (n, 11) where
    the last one says "no digit"."""

    def predict(self, x: Array) -> Array: ...


@dataclass(frozen=True)
class Digit:
    """One digit that was read."""

    digit: int
    confidence: float  # the network's probability, in [0, 1]
    box: tuple[int, int, int, int]  # x, y, width, height in pixels of the picture
    row: int
    second: int  # the next best digit ...
    second_confidence: float  # ... and its probability
    image: Array = field(repr=False)  # (28, 28) float32: what the network saw
    probabilities: Array = field(repr=False)  # (10,)

    @property
    def unsure(self) -> bool:
        """Whether a human should look again."""
        return self.confidence < UNSURE


@dataclass(frozen=True)
class Reading:
    """What a picture says: its rows from top to bottom, its digits in reading order, and the
    pictures on the way there."""

    rows: list[str]
    digits: list[Digit]
    picture: Array = field(repr=False)  # upright, as decoded: grey or blue-green-red
    flat: Array = field(repr=False)  # in grey, evenly lit, dark on white
    ink: Array = field(repr=False)  # bool: where ink was found
    shrink: int = 1  # pixels of the file for one pixel of `picture`
    unread: list[tuple[int, int, int, int]] = field(default_factory=list)
    """Boxes, as those of digits, around what was drawn on a screen and could not be read: digits
    that touch too closely, or things that are none.  Of a photograph, whose ink need not be digits,
    nothing is said."""

    @property
    def seen(self) -> Array:
        """(n, 28, 28): every digit as the network saw it."""
        return np.array([digit.image for digit in self.digits]).reshape(-1, 28, 28)

    @property
    def confidence(self) -> float:
        """That of the least certain digit."""
        return min((digit.confidence for digit in self.digits), default=0.0)


# --- reading --------------------------------------------------------------------------------------


def read_digits(image: str | Path | Array, model: Reader | str | Path | None = None) -> Reading:
    """Read every digit in one picture.

    `image` is a file, or an array as `photograph.read_picture` gives it: uint8, (height, width) in
    grey or (height, width, 3) in OpenCV's order blue, green, red.  `model` is a network, a file
    that `digits.files.models.load_model` understands, or None for the one that is shipped.

    A picture without digits gives a Reading without rows.  Raises photograph.PictureError where
    there is no picture to read, ValueError where the network's answers are no numbers, and what
    `load_model` raises where there is no model.
    """
    (answer,) = read_many([image], model)
    if isinstance(answer, Reading):
        return answer
    raise answer


def read_drawing(drawing: Array, model: Reader | str | Path | None = None) -> Reading:
    """Read every digit that was drawn on a screen: uint8 (height, width), black ink on white.

    There is no light to divide away, no grain and no ruling, so every dark pixel is ink: that is
    faster than `read_digits`, and a line from edge to edge stays a line.  Nor is there anything to
    be left out: what is no digit is in `unread`.  `model` as there.

    Raises photograph.PictureError for what is no such array.
    """
    from digits.photos import photograph  # noqa: PLC0415

    flat = photograph.check_picture(drawing)
    if flat.ndim != 2:
        raise photograph.PictureError(
            f"expected a drawing in grey, (height, width); received shape {flat.shape}"
        )
    amount = 1 - flat.astype(np.float32) / 255
    draft = _drafted(flat, 1, flat, amount > 0.4, amount, 1.0)  # 0.4 as in `find_ink`
    p = _judged(load_reader(model), draft.seen) if len(draft.seen) else np.zeros((0, 10))
    return _reading(draft, p, drawn=True)


def read_many(
    images: Sequence[str | Path | Array] | str | Path,
    model: Reader | str | Path | None = None,
    at_once: int = 8,
) -> Iterator[Reading | Exception]:
    """Read many pictures: the files and arrays of a sequence, or the pictures in a folder by name.

    Gives one answer for each, in order: its Reading, or the PictureError that says why there is
    none.  The digits of `at_once` pictures go through the network together.
    """
    if isinstance(images, str | Path):
        images = pictures_in(images)
    reader = load_reader(model)
    for start in range(0, len(images), at_once):
        drafts = [_draft(image) for image in images[start : start + at_once]]
        seen = [draft.seen for draft in drafts if isinstance(draft, _Draft)]
        stacked = np.concatenate([*seen, np.zeros((0, 784), np.float32)])
        p = _judged(reader, stacked) if len(stacked) else np.zeros((0, 10))
        for draft in drafts:
            if isinstance(draft, _Draft):
                yield _reading(draft, p[: len(draft.seen)])
                p = p[len(draft.seen) :]
            else:
                yield draft


def _judged(reader: Reader, x: Array) -> Array:
    """Probabilities for images x (n, 784): the mean over five looks at each."""
    seen = np.concatenate(list(looks(x, LOOKS)))
    p = np.asarray(reader.predict(seen))
    if p.ndim != 2 or p.shape[1] not in (10, 11):
        raise ValueError(
            "expected a model that gives the probabilities of ten digits, or of eleven answers; "
            f"received one of {p.shape[-1]}: use another model"
        )
    if not np.isfinite(p).all():
        raise ValueError(
            "expected probabilities; the model's are not finite, as its weights are too large: use "
            "another copy, or train it again with a lower --learning-rate"
        )
    return np.mean(p.reshape(LOOKS, len(x), -1), axis=0)


def pictures_in(folder: str | Path) -> list[Path]:
    """The picture files in a folder, by name, without those in folders inside it."""
    return sorted(path for path in Path(folder).iterdir() if path.suffix.lower() in SUFFIXES)


def load_reader(model: Reader | str | Path | None) -> Reader:
    """A network as it is, or from its file; None for the shipped one.

    Raises FileNotFoundError where there is no such file, saying how to make one.
    """
    if model is not None and not isinstance(model, str | Path):
        return model
    path = SHIPPED_MODEL if model is None else Path(model)
    if not path.exists():
        raise FileNotFoundError(
            f"there is no model {path}; train one (python train_net.py --recipe lenet5 --out "
            "runs/lenet5) and name it (--model runs/lenet5/model.npz)"
        )
    from digits.files.models import load_model  # noqa: PLC0415  unused with a reader of one's own

    return load_model(path)


# --- proposals ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Proposal:
    """Pieces of ink that may be one digit, and what the proposal costs before it is even looked at
    (a log-probability: strokes are rarely to be cut)."""

    pieces: tuple[int, ...]
    stroke: Stroke
    cost: float = 0.0


@dataclass
class _Draft:
    """A picture on its way: what is known of it before the network has looked."""

    picture: Array
    shrink: int
    flat: Array
    ink: Array
    scale: float  # size of `flat` over size of `picture`
    proposals: list[_Proposal]
    wholes: list[tuple[int, ...]]  # the pieces of every stroke
    boxes: list[tuple[int, int, int, int]]  # of every piece
    seen: Array  # (proposals, 784)


def _draft(image: str | Path | Array) -> _Draft | Exception:
    """Everything before the network; the exception where there is no picture."""
    from digits.photos import photograph  # noqa: PLC0415  (whoever asks for help only must not wait for OpenCV)

    try:
        if isinstance(image, str | Path):
            picture, shrink = photograph.read_picture(image)
        else:
            picture, shrink = photograph.check_picture(image), 1
    except photograph.PictureError as error:
        return error
    grey, scale = photograph.working_copy(picture)
    flat = photograph.flatten_light(grey)
    return _drafted(picture, shrink, flat, *photograph.find_ink(flat), scale)


def _drafted(
    picture: Array, shrink: int, flat: Array, ink: Array, amount: Array, scale: float
) -> _Draft:
    """The proposals for ink that was found, and what the network will see of them."""
    from digits.photos.photograph import find_strokes, normalise_digit  # noqa: PLC0415

    proposals, wholes, boxes = _propose(find_strokes(ink, amount, flat))
    seen = [normalise_digit(proposal.stroke.ink).ravel() for proposal in proposals]
    return _Draft(
        picture, shrink, flat, ink, scale, proposals, wholes, boxes,
        np.array(seen, np.float32).reshape(-1, 784),
    )  # fmt: skip


def _propose(
    strokes: list[Stroke],
) -> tuple[list[_Proposal], list[tuple[int, ...]], list[tuple[int, int, int, int]]]:
    """What may be a digit: every stroke; runs of the pieces of a stroke that may be digits which
    touch; two or three strokes beside each other, such as a 5 and its bar.

    Also the pieces of each stroke, and the boxes of all pieces.
    """
    from digits.photos.photograph import cut, join  # noqa: PLC0415

    proposals: list[_Proposal] = []
    wholes: list[tuple[int, ...]] = []
    boxes: list[tuple[int, int, int, int]] = []
    count = 0
    for stroke in strokes:
        parts = cut(stroke)
        boxes += [part.box for part in parts]
        wholes.append(tuple(range(count, count + len(parts))))
        for first in range(len(parts)):
            for last in range(first, len(parts)):
                cuts = (first > 0) + (last < len(parts) - 1)
                run = stroke if cuts == 0 else join(parts[first : last + 1])
                if cuts and run.box[2] > 1.5 * stroke.box[3]:
                    continue  # wider than any digit
                pieces = tuple(range(count + first, count + last + 1))
                proposals.append(_Proposal(pieces, run, cuts * CUT))
        count += len(parts)
    for group in _neighbours(strokes):
        pieces = tuple(sorted(piece for index in group for piece in wholes[index]))
        members = [strokes[index] for index in group]
        proposals.append(_Proposal(pieces, join(members), _worth_of_joining(members)))
    return proposals, wholes, boxes


def _worth_of_joining(strokes: list[Stroke]) -> float:
    """How likely strokes are to be one digit by their places alone: two of one size are rarely
    parts of one digit, unless their boxes share half of a width and a quarter of a height, which
    neighbours in a row and in a column do not."""
    (x, y, w, h), (u, v, s, t) = (stroke.box for stroke in strokes[:2])
    across, down = min(x + w, u + s) - max(x, u), min(y + h, v + t) - max(y, v)
    if 2 * across > min(w, s) and 4 * down > min(h, t):
        return ENTWINED
    return APART if min(w * h, s * t) > 0.6 * max(w * h, s * t) else 0.0


def _neighbours(strokes: list[Stroke], most: int = 400) -> list[tuple[int, ...]]:
    """Pairs and triples of strokes that are close enough to be one digit: a gap of less than three
    tenths of the larger one, the smaller at least an eighth of the larger, together no wider than
    one and a half times their height."""
    if len(strokes) < 2:
        return []
    x, y, w, h = np.array([stroke.box for stroke in strokes]).T
    longest = np.maximum(w, h)
    gap = np.maximum(
        np.maximum(x[:, None], x) - np.minimum(x[:, None] + w[:, None], x + w),
        np.maximum(y[:, None], y) - np.minimum(y[:, None] + h[:, None], y + h),
    )
    larger, smaller = np.maximum(longest[:, None], longest), np.minimum(longest[:, None], longest)
    near = (gap < 0.3 * larger) & (8 * smaller > larger)
    wide = np.maximum(x[:, None] + w[:, None], x + w) - np.minimum(x[:, None], x)
    tall = np.maximum(y[:, None] + h[:, None], y + h) - np.minimum(y[:, None], y)
    near &= (wide < 1.5 * tall) & (np.maximum(wide, tall) < 2 * larger)
    pairs = [(int(a), int(b)) for a, b in np.argwhere(np.triu(near, 1))]
    triples = {
        tuple(sorted((a, b, int(c))))
        for a, b in pairs
        for c in np.flatnonzero(near[a] | near[b])
        if c not in (a, b)
    }
    return [*pairs, *sorted(triples)][:most]


# --- decision -------------------------------------------------------------------------------------

# What is more or less likely than the network can know, as log-probabilities:
ENTWINED = float(np.log(5))  # that strokes in one place are one digit
APART = float(np.log(0.3))  # that strokes of one size in two places are one digit
CUT = float(np.log(0.7))  # that a digit ends at a cut
LIGATURE = float(np.log(0.1))  # that a piece between two cuts is part of no digit
NONE_OF_MANY = float(np.log(0.05))  # that a stroke wide enough for several digits holds none
IMPOSSIBLE = 1e-4  # no probability counts as less


def _reading(draft: _Draft, p: Array, drawn: bool = False) -> Reading:
    """The best explanation of the ink, given what the network thinks of every proposal.

    drawn: whether all of it was drawn to be read.
    """
    from digits.photos.photograph import as_box  # noqa: PLC0415

    chosen = _explain(draft.proposals, draft.wholes, p)
    chosen = _believable(chosen, p) if drawn else _plausible(chosen, draft, p)
    strokes = [draft.proposals[index].stroke for index in chosen]
    digits: list[Digit] = []
    lines = rows_of([stroke.box for stroke in strokes])
    for row, line in enumerate(lines):
        for member in line:
            q = p[chosen[member], :10]
            second, first = (int(digit) for digit in np.argsort(q, kind="stable")[-2:])
            digits.append(
                Digit(
                    digit=first,
                    confidence=float(q[first]),
                    box=as_box(strokes[member].box, draft.shrink / draft.scale),
                    row=row,
                    second=second,
                    second_confidence=float(q[second]),
                    image=draft.seen[chosen[member]].reshape(28, 28),
                    probabilities=q,
                )
            )
    rows = [
        "".join(str(digit.digit) for digit in digits if digit.row == row)
        for row in range(len(lines))
    ]
    unread = _left_over(chosen, draft) if drawn else []
    return Reading(rows, digits, draft.picture, draft.flat, draft.ink, draft.shrink, unread)


def _explain(proposals: list[_Proposal], wholes: list[tuple[int, ...]], p: Array) -> list[int]:
    """The proposals to believe.

    Each piece of ink is part of one digit, or of none; the most probable account of all ink wins.
    """
    if not proposals:
        return []
    digit = p[:, :10].max(axis=1)
    nothing = p[:, 10] if p.shape[1] > 10 else 1 - digit
    digit, nothing = (np.log(np.maximum(q, IMPOSSIBLE)) for q in (digit, nothing))
    index_of = {proposal.pieces: index for index, proposal in enumerate(proposals)}
    # an option: (pieces it accounts for, log-probability, the proposal or None for "no digit")
    options: list[tuple[frozenset[int], float, int | None]] = []
    for whole in wholes:
        rarity = 0.0 if len(whole) == 1 else NONE_OF_MANY
        options.append((frozenset(whole), float(nothing[index_of[whole]]) + rarity, None))
        if len(whole) > 1:
            options += [(frozenset([piece]), LIGATURE, None) for piece in whole]
    for index, proposal in enumerate(proposals):
        worth = float(digit[index]) + proposal.cost
        if worth > np.log(0.1):
            options.append((frozenset(proposal.pieces), worth, index))
    left_edge: dict[int, int] = {}
    for proposal in proposals:
        for piece in proposal.pieces:  # the smallest proposal starts where the piece does
            left_edge[piece] = max(left_edge.get(piece, 0), proposal.stroke.box[0])
    at: dict[int, list[tuple[frozenset[int], float, int | None]]] = {}
    for option in options:
        for piece in option[0]:
            at.setdefault(piece, []).append(option)

    @cache
    def best(remaining: frozenset[int]) -> tuple[float, tuple[int, ...]]:
        if not remaining:
            return 0.0, ()
        leftmost = min(remaining, key=lambda piece: (left_edge[piece], piece))
        found: tuple[float, tuple[int, ...]] = (-np.inf, ())
        for pieces, worth, index in at[leftmost]:
            if pieces <= remaining:
                rest, indices = best(remaining - pieces)
                if worth + rest > found[0]:
                    found = worth + rest, indices if index is None else (index, *indices)
        return found

    believed: list[int] = []
    for group in _groups([option[0] for option in options]):
        believed.extend(best(group)[1])
    return believed


def _groups(sets: list[frozenset[int]]) -> list[frozenset[int]]:
    """The pieces, in groups that no option spans: each can be explained on its own."""
    groups: list[frozenset[int]] = []
    for pieces in sets:
        touching = [group for group in groups if group & pieces]
        groups = [group for group in groups if not group & pieces]
        groups.append(pieces.union(*touching))
    return groups


def _believable(chosen: list[int], p: Array) -> list[int]:
    """The digits of which the network is not too unsure to say anything."""
    return [index for index in chosen if p[index, :10].max() > 0.3]


def _left_over(chosen: list[int], draft: _Draft) -> list[tuple[int, int, int, int]]:
    """Boxes around ink that is part of no digit, from left to right: of each stroke the pieces side
    by side.  What is a third as large as a typical digit or stroke is a dot or the end of a line.
    """
    used = {piece for index in chosen for piece in draft.proposals[index].pieces}
    runs = [
        _around([draft.boxes[piece] for piece in run])
        for whole in draft.wholes
        for free, run in groupby(whole, key=lambda piece: piece not in used)
        if free
    ]
    typical = np.median(
        [max(draft.proposals[index].stroke.box[2:]) for index in chosen]
        or [max(box[2:]) for box in runs]
        or [0]
    )
    return sorted(box for box in runs if max(box[2:]) > 0.35 * typical)


def _around(boxes: list[tuple[int, int, int, int]]) -> tuple[int, int, int, int]:
    """The smallest box that holds them all."""
    x, y, w, h = np.array(boxes).T
    left, top = int(x.min()), int(y.min())
    return left, top, int((x + w).max()) - left, int((y + h).max()) - top


def _plausible(chosen: list[int], draft: _Draft, p: Array) -> list[int]:
    """The digits that are of a kind with the others: one hand wrote them all with one pen.

    Left out is what is less than 0.35 times as high as a typical digit, a third as dark (writing
    that shines through), half as thick (remains of rulings), or cut by the edge of the picture and
    lower than the others.  "Typical" is a median weighted by ink and certainty.
    """
    from digits.photos.photograph import stroke_width  # noqa: PLC0415

    chosen = _believable(chosen, p)
    if not chosen:
        return []
    strokes = [draft.proposals[index].stroke for index in chosen]
    x, y, w, h = np.array([stroke.box for stroke in strokes]).T
    weight = p[chosen, :10].max(axis=1) * [float(stroke.ink.sum()) for stroke in strokes]
    darkness = np.array([stroke.darkness for stroke in strokes])
    pen = np.array([stroke_width(stroke.ink > 0) for stroke in strokes])
    typical = _weighted_median(h, weight)
    rows, columns = draft.ink.shape
    at_edge = (x <= 1) | (y <= 1) | (x + w >= columns - 1) | (y + h >= rows - 1)
    fits = h > np.where(at_edge, 0.75, 0.35) * typical
    fits &= darkness > _weighted_median(darkness, weight) / 3
    fits &= pen > _weighted_median(pen, weight) / 2
    return _in_company([index for index, fit in zip(chosen, fits, strict=True) if fit], draft, p)


def _in_company(chosen: list[int], draft: _Draft, p: Array) -> list[int]:
    """A row is writing of one kind.  Where three fifths of a row are digits, what else has their
    size is one too, if the network does not rule it out; where less than two fifths of at least
    three are, it is a row of words, and none is a digit."""
    used = {piece for index in chosen for piece in draft.proposals[index].pieces}
    h = np.array([draft.proposals[index].stroke.box[3] for index in chosen])
    if not chosen:
        return []
    typical = float(np.median(h))
    wholes = set(draft.wholes)
    others = [
        index
        for index, proposal in enumerate(draft.proposals)
        if proposal.pieces in wholes
        and not used.intersection(proposal.pieces)
        and 0.6 * typical < proposal.stroke.box[3] < 2 * typical
    ]
    everything = [*chosen, *others]
    boxes = [draft.proposals[index].stroke.box for index in everything]
    kept: list[int] = []
    for row in rows_of(boxes):
        digits = [everything[member] for member in row if member < len(chosen)]
        rest = [everything[member] for member in row if member >= len(chosen)]
        letters = sum(max(1.0, draft.proposals[index].stroke.box[2] / typical) for index in rest)
        share = len(digits) / (len(digits) + letters)
        if share >= 0.4 or len(digits) + letters < 3:
            kept += digits
        if share >= 0.6:
            kept += [index for index in rest if _may_be_digit(draft.proposals[index], p[index])]
    return kept


def _may_be_digit(proposal: _Proposal, p: Array) -> bool:
    """Whether something in a row of digits may be one of them: no wider than high, and not ruled
    out by the network."""
    _, _, w, h = proposal.stroke.box
    return w < 1.2 * h and float(p[:10].max()) > 0.02


def _weighted_median(values: Array, weights: Array) -> float:
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(total, total[-1] / 2)])


def rows_of(boxes: list[tuple[int, int, int, int]]) -> list[list[int]]:
    """Boxes (x, y, width, height) in reading order: the indices of every row from left to right,
    rows from top to bottom.

    The lines of writing may be tilted: the tilt is the median slope from each box to its next
    neighbour on the right.  A box joins the row whose last box it continues within half a height.
    """
    if not boxes:
        return []
    x, y, w, h = np.array(boxes, float).T
    centre_x, centre_y, typical = x + w / 2, y + h / 2, float(np.median(h))
    across = centre_x - centre_x[:, None]  # [i, j]: from i to j
    down = centre_y - centre_y[:, None]
    beside = (across > 0) & (np.abs(down) < 0.7 * typical) & (across < 6 * typical)
    distance = np.where(beside, across, np.inf)
    nearest = distance.argmin(axis=1)
    linked = np.flatnonzero(np.isfinite(distance.min(axis=1)))
    slopes = down[linked, nearest[linked]] / across[linked, nearest[linked]]
    tilt = float(np.median(slopes)) if len(slopes) else 0.0
    level = centre_y - tilt * centre_x
    rows: list[list[int]] = []
    for box in np.argsort(centre_x, kind="stable"):
        steps = [abs(level[box] - level[row[-1]]) for row in rows]
        if steps and min(steps) < 0.5 * max(typical, h[box]):
            rows[int(np.argmin(steps))].append(int(box))
        else:
            rows.append([int(box)])
    return sorted(rows, key=lambda row: float(np.mean(level[row])))


# --- drawings -------------------------------------------------------------------------------------

SURE, DOUBTFUL, FAINT = "#2c9f4b", "#e07b28", "#c9d9e8"


def draw_annotated(reading: Reading) -> Array:
    """The picture with a box around each digit and its reading above, uint8 (height, width, 3) in
    OpenCV's order: green, or orange with a question mark where the reading is unsure."""
    import cv2  # noqa: PLC0415

    picture = reading.picture
    canvas = cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR) if picture.ndim == 2 else picture.copy()
    line = max(1, round(max(canvas.shape[:2]) / 500))
    font = cv2.FONT_HERSHEY_SIMPLEX
    for digit in reading.digits:
        x, y, w, h = (round(side / reading.shrink) for side in digit.box)
        color = tuple(int(SURE[i : i + 2], 16) for i in (5, 3, 1))
        if digit.unsure:
            color = tuple(int(DOUBTFUL[i : i + 2], 16) for i in (5, 3, 1))
        cv2.rectangle(canvas, (x - line, y - line), (x + w + line, y + h + line), color, line)
        text = f"{digit.digit}?" if digit.unsure else str(digit.digit)
        size = max(min(h / 60, max(canvas.shape[:2]) / 400), line / 2.5, 0.4)
        (_, tall), _ = cv2.getTextSize(text, font, size, line)
        bottom = y - 3 * line if y - 4 * line > tall else y + h + tall + 4 * line
        bottom = min(bottom, canvas.shape[0] - line)
        cv2.putText(canvas, text, (x, bottom), font, size, (255, 255, 255), 3 * line, cv2.LINE_AA)
        cv2.putText(canvas, text, (x, bottom), font, size, color, line, cv2.LINE_AA)
    return canvas


def draw_steps(reading: Reading, title: str = "", most: int = 40) -> Figure:
    """How the picture was read: as it came, evenly lit, its ink; then each digit as the network saw
    it above the probability of 0 to 9."""
    from matplotlib.figure import Figure  # noqa: PLC0415  (most runs draw nothing)

    from digits import plots  # noqa: PLC0415

    digits = reading.digits[:most]
    columns = max(6, min(10, len(digits)))
    lines = -(-len(digits) // columns)
    height, width = reading.flat.shape
    tall = min(4.5, max(1.6, 3.6 * height / width))
    figure = Figure(figsize=(11, tall + 0.5 + 2.0 * lines), dpi=120, layout="constrained")
    heights = [tall + 0.5, 2.0 * lines] if lines else [1.0]
    parts = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)
    if title:
        plots.set_title(figure, title)
    colour = reading.picture[..., ::-1] if reading.picture.ndim == 3 else reading.picture
    steps = {"the picture": colour, "light flattened": reading.flat, "ink": ~reading.ink}
    for axes, (name, step) in zip(parts[0, 0].subplots(1, 3), steps.items(), strict=True):
        axes.imshow(step, cmap="gray", aspect="equal", interpolation="antialiased")
        axes.set_title(name, fontsize=10)
        axes.set_xticks([])
        axes.set_yticks([])
    if not lines:
        return figure
    cells = parts[1, 0].subplots(2 * lines, columns, squeeze=False, height_ratios=[1.6, 1] * lines)
    for axes in cells.ravel():
        axes.set_axis_off()
    for index, digit in enumerate(digits):
        line, column = divmod(index, columns)
        image, bars = cells[2 * line, column], cells[2 * line + 1, column]
        color = DOUBTFUL if digit.unsure else SURE
        image.imshow(digit.image, cmap="gray", vmin=0, vmax=1)
        image.set_title(f"{digit.digit}  {digit.confidence:.0%}", fontsize=9, color=color)
        bars.set_axis_on()
        colors = [color if number == digit.digit else FAINT for number in range(10)]
        bars.bar(range(10), digit.probabilities, color=colors, width=0.85)
        bars.set_ylim(0, 1)
        bars.set_xlim(-0.6, 9.6)
        bars.set_xticks(range(10), [str(number) for number in range(10)], fontsize=6)
        bars.tick_params(length=0, pad=1)
        bars.set_yticks([])
        for side in ("top", "right", "left"):
            bars.spines[side].set_visible(False)
    return figure


# --- command line ---------------------------------------------------------------------------------


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    for name in ("annotate", "steps"):
        out = getattr(options, name)
        if out and not os.path.isdir(out) and out.suffix.lower() != ".png":
            parser.error(f"--{name}: expected the name of a .png or a folder, received {out}")
    try:
        return _answer(options)
    except KeyboardInterrupt:
        warn("stopped")
        return 130
    except (ImportError, OSError, ValueError, MemoryError) as error:
        warn(f"predict_image: {error}")
        return 1


def _answer(options: argparse.Namespace) -> int:
    """Answer every image; 1 if there is one that could not be read.  Where nobody reads the answers
    any more, only drawings are worth going on for."""
    images: list[Path] = []
    status = 0
    for path in options.images:
        found = pictures_in(path) if os.path.isdir(path) else [path]  # no name is too long for it
        images.extend(found)
        if not found:
            status = 1
            warn(f"{_name(path)}: no picture in this folder ({' '.join(sorted(SUFFIXES))})")
    reader = load_reader(options.model)
    names = _unique_names(images)
    for image, name, answer in zip(images, names, read_many(images, reader), strict=True):
        reading = answer if isinstance(answer, Reading) else None
        problem = None if reading else str(answer)
        if reading:
            _draw(reading, image, name if len(images) > 1 else None, options)
            if not reading.digits:
                problem = "no digits were found in this picture"
        if problem:
            status = 1
            warn(f"{_name(image)}: {problem}")
        heard = True
        if options.json:
            heard = say(_as_line(_as_json(image, reading, problem)))
        elif reading and not problem:
            heard = say(f"{_name(image)}: {_as_text(reading)}")
        if not (heard or options.annotate or options.steps):
            return ENDED_BY_A_CLOSED_PIPE
    return status


def _name(image: Path) -> str:
    """What an image is called, on one line."""
    return printable(str(image))


def _as_text(reading: Reading) -> str:
    """The rows, the confidence of the least certain digit, and what to look at again."""
    doubts = [
        f"{digit.digit} may be {digit.second} (row {digit.row + 1}, {digit.confidence:.2f})"
        for digit in reading.digits
        if digit.unsure
    ]
    unsure = f"; unsure: {', '.join(doubts)}" if doubts else ""
    return f"{' '.join(reading.rows)}  ({reading.confidence:.2f}{unsure})"


def _as_json(image: Path, reading: Reading | None, problem: str | None) -> dict[str, Any]:
    digits = [
        {
            "digit": digit.digit,
            "confidence": round(digit.confidence, 4),
            "box": list(digit.box),
            "row": digit.row,
            "second": digit.second,
            "second_confidence": round(digit.second_confidence, 4),
            "unsure": digit.unsure,
        }
        for digit in (reading.digits if reading else [])
    ]
    answer: dict[str, Any] = {
        "image": str(image), "rows": reading.rows if reading else [], "digits": digits
    }  # fmt: skip
    return answer | {"error": problem} if problem else answer


def _as_line(answer: dict[str, Any]) -> str:
    """JSON in the letters of all languages, unless there are some that cannot be seen."""
    line = json.dumps(answer, ensure_ascii=False)
    return line if line == printable(line) else json.dumps(answer)


def _unique_names(images: list[Path]) -> list[str]:
    """A name for the drawings of each image: its own, numbered where two are called the same."""
    seen: dict[str, int] = {}
    names = []
    for image in images:
        seen[image.stem] = seen.get(image.stem, 0) + 1
        names.append(image.stem if seen[image.stem] == 1 else f"{image.stem}-{seen[image.stem]}")
    return names


def _draw(reading: Reading, image: Path, name: str | None, options: argparse.Namespace) -> None:
    """Write the drawings that were asked for."""
    if options.annotate:
        import cv2  # noqa: PLC0415

        from digits.files.npz import write_file  # noqa: PLC0415

        _, png = cv2.imencode(".png", draw_annotated(reading))
        write_file(_drawing(options.annotate, image, name), png.tobytes())
    if options.steps:
        from digits import plots  # noqa: PLC0415

        said = " / ".join(reading.rows) or "no digits found"
        plots.save(
            draw_steps(reading, f"{image.name}: {said}"), _drawing(options.steps, image, name)
        )


def _drawing(out: Path, image: Path, name: str | None) -> Path:
    """OUT.png for one image, OUT-NAME.png for one of many; in a folder OUT, NAME.png."""
    if os.path.isdir(out):
        return out / f"{name or image.stem}.png"
    return out if name is None else out.with_name(f"{out.stem}-{name}{out.suffix}")


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="predict_image",
        description="Read the handwritten digits in photographs: one line an image.",
        epilog="With several images OUT.png becomes OUT-NAME.png for each; OUT may be a folder. "
        "Exit status: 0 all read, 1 some could not be read, 2 wrong usage.",
    )
    add = parser.add_argument
    add("images", nargs="+", type=Path, metavar="IMAGE", help="a picture, or a folder of pictures")
    add("--model", type=Path, metavar="M", help="a trained network (default: the shipped one)")
    add("--json", action="store_true", help="one JSON object a line instead of text")
    add("--annotate", type=Path, metavar="OUT.png", help="draw the picture with what was read")
    add("--steps", type=Path, metavar="OUT.png", help="draw what the network saw, step by step")
    return parser


if __name__ == "__main__":
    sys.exit(main())
