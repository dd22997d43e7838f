"""How many photographs are read without a mistake: every digit right, none missing, none invented.

    python benchmarks/photos.py FOLDER --model M [--annotate OUT]

FOLDER holds `labels.tsv` (columns kind, file, label, perhaps score and bulk) and for each kind a
folder of pictures.  The rows of a picture's label are joined by "-"; "none" is a picture without
digits; where score is "set" the order of rows does not count; bulk marks many crops of one source,
which are counted apart.  Beside this library's reading stand the two ways in
which tutorials prepare a photo of one digit, read by the same network.
"""

import argparse
import csv
import sys
import time
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from digits.photos.decide import Reader
from digits.photos.decode import PictureError, read_picture
from digits.photos.drawings import draw_annotated
from digits.types import Array
from predict_image import load_reader, read_digits


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

    right: dict[str, NDArray[np.intp]] = {}
    seconds = []
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
        answers = (
            "-".join(reading.rows),
            one_digit(fixed_threshold(picture), reader),
            one_digit(pixel_threshold(picture), reader),
        )
        kind = photo["kind"] + ("-bulk" if photo.get("bulk") else "")
        hits = np.array([1, *(is_right(answer, photo) for answer in answers)])
        right[kind] = right.get(kind, 0) + hits
        if not is_right(answers[0], photo):
            print(f"{photo['kind']}/{photo['file']}: {photo['label']} read as {answers[0] or '-'}")
        if options.annotate:
            _, png = cv2.imencode(".png", draw_annotated(reading))
            png.tofile(options.annotate / f"{photo['kind']}-{path.stem}.png")

    print(
        f"\n{'kind':12} {'photos':>6} {'this library':>14} {'threshold 127':>14} {'pixel 75':>14}"
    )
    for kind, counts in right.items():
        number, *hits = counts.tolist()
        shares = " ".join(f"{hit:5d} = {hit / number:6.1%}" for hit in hits)
        print(f"{kind:12} {number:6d} {shares}")
    print(f"\nseconds a photo: median {np.median(seconds):.3f}, longest {max(seconds):.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
