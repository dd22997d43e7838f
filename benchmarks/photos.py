"""How many photographs are read without a mistake: every digit right, none missing, none invented.

    python benchmarks/photos.py FOLDER [--annotate OUT] [--tesseract] [--rapidocr PYTHON]

FOLDER holds `labels.tsv` (columns kind, file, label, perhaps score, bulk and split) and for each
kind a folder of pictures. The rows of a picture's label are joined by "-"; "none" is a picture
without digits; where score is "set" the order of rows does not count; bulk marks many crops of one
source, and split the photographs held out, which are counted apart.

Beside this library's reading stand what a user might try: the two ways in which tutorials prepare
a photo of one digit, read by the same network; Tesseract, told that a picture is one block of
digits; and RapidOCR (PyPI `rapidocr-onnxruntime`) in an environment of its own, PYTHON being its
interpreter. Of what these two read the digits count, line by line.
"""

import argparse
import csv
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from difflib import SequenceMatcher
from pathlib import Path

import cv2
import numpy as np

from digits.photos.classification import Reader
from digits.photos.decode import PictureError, read_picture
from digits.photos.drawings import draw_annotated
from digits.types import Array
from predict_image import load_reader, read_digits

RAPIDOCR = """
import json, sys
from rapidocr_onnxruntime import RapidOCR
read = RapidOCR()
for path in map(str.rstrip, sys.stdin):
    found, _ = read(path)
    boxes = [[[float(y) for _, y in box], text] for box, text, _ in found or []]
    print(json.dumps(boxes), flush=True)
"""


def fixed_threshold(picture: Array) -> Array:
    """Reduce to 28x28, black or white at 127, erode so that dark strokes get thicker, invert."""
    small = cv2.resize(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), (28, 28))
    _, small = cv2.threshold(small, 127, 255, cv2.THRESH_BINARY)
    return 255 - cv2.erode(small, np.ones((2, 2), np.uint8))


def pixel_threshold(picture: Array) -> Array:
    """Reduce to 28x28, invert, and set what is below 75 to 0."""
    small = 255 - cv2.resize(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), (28, 28))
    return np.where(small < 75, 0, small)


def one_digit(image: Array, reader: Reader) -> str:
    """What the network makes of a 28x28 image with values up to 255."""
    x = image.reshape(1, 784).astype(np.float32) / 255
    return str(int(np.argmax(np.asarray(reader.predict(x))[0, :10])))


def tesseract(path: Path) -> str:
    """The rows that Tesseract reads, joined by "-"."""
    command = ["tesseract", str(path), "stdout", "--psm", "6"]
    command += ["-c", "tessedit_char_whitelist=0123456789"]
    text = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return "-".join(filter(None, (re.sub(r"\D", "", line) for line in text.splitlines())))


def rapidocr(python: str) -> Callable[[Path], str]:
    """What asks RapidOCR, in a process of its own, for the rows of a picture."""
    process = subprocess.Popen(
        [python, "-c", RAPIDOCR], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )

    def read(path: Path) -> str:
        assert process.stdin is not None and process.stdout is not None
        print(path, file=process.stdin, flush=True)
        rows: list[str] = []
        level = -np.inf  # of the row: boxes side by side are one
        for ys, text in json.loads(process.stdout.readline()):
            middle, height = np.mean(ys), np.ptp(ys)
            if abs(middle - level) > 0.5 * height:
                rows.append("")
                level = middle
            rows[-1] += re.sub(r"[^0-9]", "", text)
        return "-".join(filter(None, rows))

    return read


def is_right(answer: str, photo: dict[str, str]) -> bool:
    """Whether rows, joined by "-", are what is written on a photo."""
    label = "" if photo["label"] == "none" else photo["label"]
    if photo.get("score") == "set":
        return sorted(answer.split("-")) == sorted(label.split("-"))
    return answer == label


def main() -> int:
    """Print a table of photos read right, per kind, and every mistake."""
    parser = argparse.ArgumentParser(prog="photos", description="Count the photos read right.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--annotate", type=Path, metavar="OUT", help="folder for drawings")
    parser.add_argument("--tesseract", action="store_true", help="also ask Tesseract")
    parser.add_argument("--rapidocr", metavar="PYTHON", help="also ask RapidOCR")
    options = parser.parse_args()
    try:
        reader = load_reader(options.model)
        with (options.folder / "labels.tsv").open(encoding="utf-8", newline="") as table:
            photos = list(csv.DictReader(table, delimiter="\t"))
    except (OSError, ValueError) as error:
        print(f"photos: {error}", file=sys.stderr)
        return 1
    if options.annotate:
        options.annotate.mkdir(parents=True, exist_ok=True)
    peers: dict[str, Callable[[Path], str]] = {"Tesseract": tesseract} if options.tesseract else {}
    if options.rapidocr:
        peers["RapidOCR"] = rapidocr(options.rapidocr)

    right: dict[str, list[list[bool]]] = {}
    seconds: list[float] = []
    confident = np.zeros(2, int)  # digits that are sure, and those of them that are right
    for photo in photos:
        path = options.folder / photo["kind"] / photo["file"]
        begun = time.perf_counter()
        try:
            picture, _ = read_picture(path)
            reading = read_digits(path, reader)
        except PictureError as error:
            print(f"{path}: {error}", file=sys.stderr)
            continue
        seconds.append(time.perf_counter() - begun)
        answers = [
            "-".join(reading.rows),
            one_digit(fixed_threshold(picture), reader),
            one_digit(pixel_threshold(picture), reader),
            *(ask(path) for ask in peers.values()),
        ]
        read, written = ("".join(text.split("-")) for text in (answers[0], photo["label"]))
        matched = SequenceMatcher(None, read, written, autojunk=False).get_matching_blocks()
        hit = {block.a + i for block in matched for i in range(block.size)}
        sure = [i for i, digit in enumerate(reading.digits) if digit.confidence >= 0.95]
        confident += len(sure), len(hit.intersection(sure))
        kind = f"{photo['kind']}{'-bulk' if photo.get('bulk') else ''} {photo.get('split') or ''}"
        right.setdefault(kind, []).append([is_right(answer, photo) for answer in answers])
        if not is_right(answers[0], photo):
            print(f"{photo['kind']}/{photo['file']}: {photo['label']} read as {answers[0] or '-'}")
        if options.annotate:
            _, png = cv2.imencode(".png", draw_annotated(reading))
            png.tofile(options.annotate / f"{photo['kind']}-{path.stem}.png")

    names = ["this library", "threshold 127", "pixel 75", *peers]
    print(f"\n{'kind':20} {'photos':>6} " + " ".join(f"{name:>14}" for name in names))
    for kind, hits in right.items():
        counts = np.sum(hits, axis=0)
        shares = " ".join(f"{hit:5d} = {hit / len(hits):6.1%}" for hit in counts.tolist())
        print(f"{kind:20} {len(hits):6d} {shares}")
    print(f"\n{confident[1]} of {confident[0]} digits with a confidence of 0.95 and up are right")
    print(f"seconds a photo: median {np.median(seconds):.3f}, longest {max(seconds):.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
