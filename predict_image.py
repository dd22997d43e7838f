"""Read the handwritten digits in a photograph: find the ink, propose digits, let a network judge
every proposal, and keep the account of the ink that is most probable.

    python predict_image.py IMAGE [IMAGE ...] [--model M] [--json] [--annotate OUT] [--steps OUT]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from zlib import crc32

import numpy as np

from digits.cli import (
    DRAWN_BY,
    ENDED_BY_A_CLOSED_PIPE,
    Parser,
    is_drawing,
    is_replaceable,
    png_or_folder,
    printable,
    say,
    warn,
)
from digits.files.atomic import write_file
from digits.files.models import load_model
from digits.photos.reading import Digit, Reading
from digits.types import Array, Box

if TYPE_CHECKING:
    from digits.photos.classification import Reader
    from digits.photos.components import InkMap

SHIPPED_MODEL = Path(__file__).with_name("digits") / "models" / "photo.npz"
SOFTWARE = b"\0\0\0\x0f" + DRAWN_BY + crc32(DRAWN_BY).to_bytes(4, "big")
"""A chunk of a PNG that tells a drawing from a photograph; `digits.plots` writes one like it."""

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"}
PHONE_SUFFIXES = {".heic", ".heif", ".avif"}  # not decoded, which is said of each

ENOUGH_EVIDENCE = 12.0
"""A log-likelihood ratio: with more and no unsure digit, no other way up is tried."""

TURNING_EVIDENCE = 2.0
"""By so much a picture must say more when it is turned."""

# OpenCV loads when the first picture is read, hence the imports inside functions: who asks for help
# does not wait for it, and where it is missing one sentence says so.


def read_digits(
    image: str | Path | Array, model: Reader | str | Path | None = None, *, rotate: bool = True
) -> Reading:
    """Read every digit in one picture; one without digits gives a Reading without rows.

    Parameters
    ----------
    image : a file, or an array: uint8, (height, width) in gray or (height, width, 3) in OpenCV's
        order blue, green, red.
    model : a network, the file of one, or None for the one that is shipped.
    rotate : whether a picture that says little upright is also read on its sides, upside down, and
        turned until its lines are level.

    Raises
    ------
    digits.photos.decode.PictureError : there is no picture to read.
    ValueError : the network's answers are no probabilities of ten digits.
    FileNotFoundError, digits.files.npz.StorageError : there is no such model.
    """
    from digits.photos import color, components, decode, ink, light, turning  # noqa: PLC0415

    reader = load_reader(model)
    picture, decode_scale = decode.open_picture(image)
    gray, scale = light.working_copy(picture)
    flat = light.flatten_light(gray)
    if picture.ndim == 3:
        flat = color.erase_print(picture, flat)
    mask, density = ink.find_ink(flat)
    page = components.find_components(mask, density, flat)
    read = _read_page(page, reader)
    rotation = 0
    if rotate and (read.evidence < ENOUGH_EVIDENCE or any(digit.unsure for digit in read.digits)):
        least = max(read.evidence, 0) + TURNING_EVIDENCE
        for turned in turning.better_ways_up(page, mask, flat, reader):
            again = _read_page(turned.page, reader)
            if again.evidence > least:
                least, rotation = again.evidence, turned.angle
                back = [turning.turn_back(d.box, turned.matrix) for d in again.digits]
                boxed = [replace(d, box=b) for d, b in zip(again.digits, back, strict=True)]
                read = again._replace(digits=boxed)
    digits = [replace(d, box=d.box.scaled(decode_scale / scale)) for d in read.digits]
    return Reading(
        read.rows, digits, picture, flat, mask, decode_scale, rotation, rows_text=read.rows_text
    )


def read_drawing(drawing: Array, model: Reader | str | Path | None = None) -> Reading:
    """Read every digit that was drawn on a screen: uint8 (height, width), black ink on white.

    There is no light to divide away, no grain and no ruling, so every dark pixel is ink. Nothing
    is left out as no part of the writing: what is no digit is in `unread`. Raises what
    `read_digits` raises.
    """
    from digits.photos import components, decode, light  # noqa: PLC0415

    drawing = decode.check_picture(drawing)
    if drawing.ndim != 2:
        raise decode.PictureError(
            f"expected a drawing in gray, (height, width); received shape {drawing.shape}"
        )
    flat, scale = light.working_copy(drawing)
    density = 1 - flat.astype(np.float32) / 255
    mask = density > 0.4  # as in `ink.find_ink`
    page = components.find_components(mask, density, flat)
    read = _read_page(page, load_reader(model), drawn=True)
    digits = [replace(digit, box=digit.box.scaled(1 / scale)) for digit in read.digits]
    unread = [box.scaled(1 / scale) for box in read.unread]
    return Reading(read.rows, digits, drawing, flat, mask, unread=unread, rows_text=read.rows_text)


class _Page(NamedTuple):
    """What the ink says: rows, the same with what stands between, the digits; the evidence that it
    is digits, and what could not be read."""

    rows: list[str]
    rows_text: list[str]
    digits: list[Digit]
    evidence: float
    unread: list[Box]


def _read_page(page: InkMap, reader: Reader, drawn: bool = False) -> _Page:
    """Read the ink of a picture.

    drawn: whether all of it was drawn to be read; on a photograph there is other ink, too.
    """
    from digits.photos import candidates, decide, outliers, signs, slashes, writing  # noqa: PLC0415
    from digits.photos.classification import classify  # noqa: PLC0415
    from digits.photos.rows import in_rows, unread_boxes, unread_signs  # noqa: PLC0415

    proposals = candidates.propose(page)
    classify(reader, page, proposals)
    decide.exclude_signs(page, proposals)
    chosen = outliers.filter_unsure(decide.best_cover(page, proposals))
    certainty = dict.fromkeys(chosen, 1.0)  # how probable it is that these are digits at all
    if not drawn:
        chosen = outliers.filter_rings(chosen, page)
        chosen = outliers.filter_outliers(chosen, page)
        chosen = slashes.filter_signs(chosen, page, proposals)
        certainty = writing.filter_rows(chosen, page, proposals)
        chosen = outliers.filter_frame(list(certainty), page)
    digits = []
    found = in_rows(chosen)
    for row, members in enumerate(found):
        for digit in members:
            q = certainty[digit] * digit.p[:10]
            second, first = (int(number) for number in np.argsort(q, kind="stable")[-2:])
            confidence, other = float(q[first]), float(q[second])
            digits.append(Digit(first, confidence, digit.box, row, second, other, digit.image, q))
    rows = ["".join(str(digit.digit) for digit in row) for row in found]
    others = unread_signs(chosen, page)
    rows_text = [signs.text_of([(str(d.digit), d.box) for d in row], others) for row in found]
    unread = unread_boxes(chosen, page)
    evidence = writing.evidence_of_digits(chosen, others)
    return _Page(rows, rows_text, digits, evidence, unread)


def read_many(
    images: Sequence[str | Path | Array] | str | Path,
    model: Reader | str | Path | None = None,
    *,
    rotate: bool = True,
) -> Iterator[Reading | ValueError]:
    """Read many pictures: files and arrays of a sequence, those in a folder by name, or one file.

    Gives one answer for each, in order: its Reading, or the PictureError that says why there is
    none.
    """
    from digits.photos.decode import PictureError  # noqa: PLC0415

    reader = load_reader(model)
    for image in pictures_in(images) if isinstance(images, str | Path) else images:
        try:
            yield read_digits(image, reader, rotate=rotate)
        except PictureError as error:
            yield error


def pictures_in(folder: str | Path) -> list[Path]:
    """The picture files in a folder, by name, without those in folders inside it; or one file."""
    if Path(folder).is_file():
        return [Path(folder)]
    suffixes = SUFFIXES | PHONE_SUFFIXES
    return sorted(path for path in Path(folder).iterdir() if path.suffix.lower() in suffixes)


def load_reader(model: Reader | str | Path | None) -> Reader:
    """A network as it is, or from its file; None for the shipped one.

    Raises FileNotFoundError where there is no such file.
    """
    if model is not None and not isinstance(model, str | Path):
        return model
    return load_model(SHIPPED_MODEL if model is None else model)


# --- command line ---------------------------------------------------------------------------------


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    outs = {name: out for name in ("annotate", "steps") if (out := getattr(options, name))}
    used = {_same_file(image) for image in options.images}
    for name, out in outs.items():
        if _same_file(out) in used and not os.path.isdir(out):
            parser.error(f"--{name}: expected a file of its own, received {out} twice")
        used.add(_same_file(out))
    return parser.run(lambda: _answer(options, outs))


def _answer(options: argparse.Namespace, outs: dict[str, Path]) -> int:
    """Answer every image; 1 if there is one that could not be read. Where nobody reads the answers
    any more, only drawings are worth going on for."""
    images: list[Path] = []
    status = 0
    for path in options.images:
        found = [path]
        if os.path.isdir(path):  # which no name is too long for
            found = [picture for picture in pictures_in(path) if not is_drawing(picture)]
        images.extend(found)
        if not found:
            status = 1
            warn(f"{_name(path)}: no picture in this folder ({' '.join(sorted(SUFFIXES))})")
    drawings = _drawing_paths(images, outs)
    reader = load_reader(options.model)
    if getattr(reader, "metadata", {}).get("dataset") == "fashion":
        warn("predict_image: this network was trained on clothes: what it reads are no digits")
    answers = read_many(images, reader, rotate=not options.no_rotate)
    for image, paths, answer in zip(images, drawings, answers, strict=True):
        reading = answer if isinstance(answer, Reading) else None
        problems = [] if reading else [str(answer)]
        if reading:
            problems += _draw(reading, image, paths)
            if not reading.digits:
                problems.append("no digits were found in this picture")
        for problem in problems:
            status = 1
            warn(f"{_name(image)}: {problem}")
        is_open = True
        if options.json:
            is_open = say(_as_json(image, reading, "; ".join(problems)))
        elif reading and reading.digits:
            is_open = say(f"{_name(image)}: {_as_text(reading)}")
        if not (is_open or outs):
            return ENDED_BY_A_CLOSED_PIPE
    return status


def _name(image: Path) -> str:
    """What an image is called, on one line."""
    return printable(str(image))


def _as_text(reading: Reading) -> str:
    """The rows, the confidence of the least certain digit, what to look at again, and the rows with
    points and signs where there are some that are known."""
    doubts = [
        f"{digit.digit} may be {_alternative(digit)} (row {digit.row + 1}, {digit.confidence:.2f})"
        for digit in reading.digits
        if digit.unsure
    ]
    unsure = f"; unsure: {', '.join(doubts)}" if doubts else ""
    signs = set("".join(reading.rows_text)) - set("0123456789 ?")
    written = f"; as written: {' | '.join(reading.rows_text)}" if signs else ""
    return f"{' '.join(reading.rows)}  ({reading.confidence:.2f}{unsure}{written})"


def _alternative(digit: Digit) -> str:
    """The next best answer: another digit, or that it is none."""
    none = 1 - float(digit.probabilities.sum())
    return "no digit" if none > digit.second_confidence else str(digit.second)


def _as_json(image: Path, reading: Reading | None, problem: str) -> str:
    """One line of JSON in the letters of all languages, unless there are some that cannot be
    seen."""
    found = reading.to_dict() if reading else {"rows": [], "digits": []}
    answer: dict[str, Any] = {"image": str(image), **found}
    if problem:
        answer["error"] = problem
    line = json.dumps(answer, ensure_ascii=False)
    return line if line == printable(line) else json.dumps(answer)


def _drawing_paths(images: list[Path], outs: dict[str, Path]) -> list[dict[str, Path]]:
    """For each image the files of its drawings: OUT.png for one image, OUT-NAME.png for one of
    many, NAME.png in a folder OUT; in a folder with photographs NAME-annotate.png, NAME-steps.png.

    No drawing takes the name of an input, of another drawing, or of a file in a folder that is no
    drawing: a number makes it another.
    """
    taken = {_same_file(image) for image in images}
    places = {os.path.realpath(image.parent) for image in images}
    shared = len({_same_file(out) for out in outs.values()}) < len(outs)
    drawings = []
    for image in images:
        paths = {}
        for name, out in outs.items():
            if os.path.isdir(out):
                mixed = shared or os.path.realpath(out) in places
                path = out / (f"{image.stem}-{name}.png" if mixed else f"{image.stem}.png")
            elif len(images) == 1:
                path = out
            else:
                path = out.with_name(f"{out.stem}-{image.stem}{out.suffix}")
            stem, number = path.stem, 2
            while _same_file(path) in taken or (path != out and not is_replaceable(path)):
                path = path.with_name(f"{stem}-{number}{path.suffix}")
                number += 1
            taken.add(_same_file(path))
            paths[name] = path
        drawings.append(paths)
    return drawings


def _same_file(path: Path) -> str:
    """Equal for the names of one file, also on disks where capitals make no difference."""
    return os.path.realpath(path).casefold()


def _draw(reading: Reading, image: Path, paths: dict[str, Path]) -> list[str]:
    """Write the drawings that were asked for; what went wrong with them."""
    problems = []
    for name, path in paths.items():
        try:
            if name == "annotate":
                import cv2  # noqa: PLC0415

                from digits.photos.drawings import draw_annotated  # noqa: PLC0415

                png = cv2.imencode(".png", draw_annotated(reading))[1].tobytes()
                write_file(path, png[:33] + SOFTWARE + png[33:])  # behind the header
            else:
                from digits import plots  # noqa: PLC0415
                from digits.photos.drawings import draw_steps  # noqa: PLC0415

                text = " / ".join(reading.rows) or "no digits found"
                plots.save(draw_steps(reading, f"{image.name}: {text}"), path)
        except OSError as error:
            problems.append(str(error))
    return problems


def _parser() -> Parser:
    parser = Parser(
        prog="predict_image",
        description="Read the handwritten digits in photographs: one line an image.",
        epilog="With several images OUT.png becomes OUT-NAME.png for each; OUT may be a folder. "
        "No photograph is ever written to, and no drawing in a folder is read. "
        "Exit status: 0 all read, 1 some could not be read, 2 wrong usage.",
    )
    add = parser.add_argument
    add("images", nargs="+", type=Path, metavar="IMAGE", help="a picture, or a folder of pictures")
    add("--model", type=Path, metavar="M", help="a trained network (default: the shipped one)")
    add("--json", action="store_true", help="one JSON object a line instead of text")
    add("--no-rotate", action="store_true", help="read every picture as it stands")
    out: dict[str, Any] = {"type": png_or_folder, "metavar": "OUT.png"}
    add("--annotate", **out, help="draw the picture with what was read")
    add("--steps", **out, help="draw what the network saw, step by step")
    return parser


if __name__ == "__main__":
    sys.exit(main())
