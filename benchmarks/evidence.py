"""Fits what tells rows of digits from rows of words in `digits/photos/writing.py`: `IN_WORDS` and
`ROW_WEIGHTS`, by logistic regression on pages rendered with handwriting fonts.

    DIGITS_FONTS=fonts python benchmarks/evidence.py [--model M] [--pages N] [--test FONTS]

The digits are those of the fonts, of MNIST's training images, and of this library's pen; with signs
between some, in printed boxes, sharp or small and compressed. FONTS are kept for testing.
"""

import argparse
import os
import sys
from pathlib import Path

import cv2
import numpy as np

from digits.data import words
from digits.data.synthetic_digits import generate
from digits.photos import candidates, components, decide, ink, light, outliers, slashes, writing
from digits.photos.classification import Reader, classify
from digits.types import Array
from mnist_loader import load_mnist
from predict_image import load_reader

WIDTH, HEIGHT = 1300, 900
SIGNS = "+-=x/()×÷:."  # noqa: RUF001
Line = tuple[int, int, bool]
"""Top and bottom of a line of writing, and whether it is digits."""


def typed(text: str, font: str, rng: np.random.Generator) -> Array:
    """Text in a font, cropped: (height, width), 1 where there is ink."""
    return cropped(np.any(words.write(text, font, rng), axis=0).astype(np.float32))


def cropped(ink_: Array) -> Array:
    """The box around the ink."""
    rows, columns = np.flatnonzero(ink_.any(axis=1)), np.flatnonzero(ink_.any(axis=0))
    if not len(rows):
        return ink_[:1, :1]
    return ink_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def number(font: str, mnist: Array, rng: np.random.Generator) -> Array:
    """One to eight digits of one kind side by side, perhaps in boxes."""
    n, size = int(rng.integers(1, 9)), int(rng.integers(40, 80))
    kind = rng.integers(3)
    if kind == 0:
        line = typed("".join(map(str, rng.integers(0, 10, n))), font, rng)
    else:
        images = mnist[rng.integers(len(mnist), size=n)] if kind == 1 else generate(n, rng)[0] / 255
        line = np.zeros((size + 30, 2 * size * n), np.float32)
        x = 0
        for image in images.astype(np.float32):
            scale = size / 20 * rng.uniform(0.85, 1.15)
            small = cropped(image.reshape(28, 28))
            digit = cv2.resize(small, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
            digit = (digit > 0.4).astype(np.float32)
            y = int(rng.integers(0, max(1, len(line) - len(digit))))
            line[y : y + len(digit), x : x + digit.shape[1]] = digit[: len(line) - y]
            x += int(digit.shape[1] + size * rng.uniform(0.2, 0.7))
        line = cropped(line)
    if rng.random() < 0.25:
        line = np.pad(line, int(rng.integers(4, 14)))
        thick = int(rng.integers(1, 4))
        line[:thick] = line[-thick:] = 0.7
        for x in np.linspace(0, line.shape[1] - thick, n + 1).astype(int):
            line[:, x : x + thick] = np.maximum(line[:, x : x + thick], 0.7)
    return line


def page(fonts: list[str], mnist: Array, rng: np.random.Generator) -> tuple[Array, list[Line]]:
    """A photograph of one to five lines, and what they are."""
    latin = [font for font in fonts if "lower" in words.alphabets(font)]
    font = str(rng.choice(fonts if rng.random() < 0.7 else latin))
    kind = rng.choice(["digits", "words", "both"], p=[0.4, 0.4, 0.2])
    count, y = int(rng.integers(1, 6)), int(rng.integers(30, 120))
    which = rng.integers(count)
    paper: Array = np.zeros((HEIGHT, WIDTH), np.float32)
    lines: list[Line] = []
    for line in range(count):
        is_digits = kind == "digits" or (kind == "both" and line == which)
        if is_digits:
            hand = str(rng.choice(latin))
            parts = [number(hand, mnist, rng)]
            for _ in range(rng.integers(1, 4) if rng.random() < 0.25 else 0):
                parts += [typed(str(rng.choice(list(SIGNS))), hand, rng), number(hand, mnist, rng)]
        else:
            texts = [words.spell(font, rng) for _ in range(rng.integers(1, 5))]
            parts = [typed(text, font, rng) for text in texts if text]
        x, tallest = int(rng.integers(20, 200)), 0
        for part in parts:
            height, width = part.shape
            if x + width <= WIDTH and y + height <= HEIGHT:
                here = paper[y : y + height, x : x + width]
                np.maximum(here, part, out=here)
                x, tallest = x + width + int(rng.integers(15, 45)), max(tallest, height)
        lines.append((y, y + tallest, is_digits))
        y += tallest + int(rng.integers(15, 60))
    paper = cv2.GaussianBlur(paper, (0, 0), rng.uniform(0.6, 1.6))[: min(HEIGHT, y + 60)]
    light = np.linspace(240, 160, WIDTH, dtype=np.float32)
    seen = (1 - rng.uniform(0.3, 0.75) * paper) * light + rng.normal(0, 3, paper.shape)
    picture: Array = seen.clip(0, 255).astype(np.uint8)
    if rng.random() < 0.4:
        scale = rng.uniform(0.25, 0.6)
        picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 80))]
        data = cv2.imencode(".jpg", picture, quality)[1]
        picture = np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE))
        lines = [(int(top * scale), int(bottom * scale), is_) for top, bottom, is_ in lines]
    return picture, lines


def measured(
    picture: Array, lines: list[Line], reader: Reader
) -> tuple[list[Array], list[bool], Array]:
    """The measures of the rows that are found, whether these are digits, and how often each digit
    was read in those that are not; the last number is of what was read as none."""
    gray, scale = light.working_copy(picture)
    flat = light.flatten_light(gray)
    inked = components.find_components(*ink.find_ink(flat), flat)
    proposals = candidates.propose(inked)
    classify(reader, inked, proposals)
    decide.exclude_signs(inked, proposals)
    chosen = outliers.filter_unsure(decide.best_cover(inked, proposals))
    chosen = outliers.filter_rings(chosen, inked)
    chosen = outliers.filter_outliers(chosen, inked)
    chosen = slashes.filter_signs(chosen, inked, proposals)
    measures, labels, counts = [], [], np.zeros(11)
    for row in writing.measure_rows(chosen, inked):
        boxes = [digit.box for digit in row.digits] + row.others
        middle = np.mean([box.y + box.height / 2 for box in boxes]) / scale
        of_line = [is_ for top, bottom, is_ in lines if top - 10 <= middle <= bottom + 10]
        if not of_line:
            continue
        if not of_line[0]:
            read = np.array([digit.digit for digit in row.digits], int)
            counts[:10] += np.bincount(read, minlength=10)
            counts[10] += row.measures[2]
        if row.digits:
            measures.append(row.measures)
            labels.append(of_line[0])
    return measures, labels, counts


def logistic(x: Array, t: Array, ridge: float = 0.1) -> Array:
    """Weights and bias of a logistic regression, both classes of equal weight (Newton's method)."""
    x = np.column_stack([x, np.ones(len(x))])
    share = np.where(t, 0.5 / t.mean(), 0.5 / (1 - t.mean()))
    w = np.zeros(x.shape[1])
    for _ in range(50):
        y = 1 / (1 + np.exp(-np.clip(x @ w, -30, 30)))
        gradient = x.T @ (share * (y - t)) + ridge * w
        hessian = (x.T * (share * y * (1 - y))) @ x + ridge * np.eye(len(w))
        w = w - np.linalg.solve(hessian, gradient)
    return w


def main() -> int:
    """Print the constants, and how well they tell rows apart."""
    parser = argparse.ArgumentParser(prog="evidence", description="Tell digits from words.")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--pages", type=int, default=300)
    parser.add_argument("--test", default="", metavar="FONTS", help="folder of other fonts")
    options = parser.parse_args()
    reader = load_reader(options.model)
    (mnist, _), _ = load_mnist(normalize=True)
    both = {"as they are": np.append(writing.ROW_WEIGHTS, writing.LOG_PRIOR_DIGITS)}
    for seed, folder in enumerate([os.environ.get("DIGITS_FONTS", ""), options.test]):
        fonts = words.fonts_in(folder)
        if not fonts:
            print("no fonts" if folder else "expected DIGITS_FONTS and --test", file=sys.stderr)
            return 1
        rows: list[Array] = []
        labels: list[bool] = []
        counts = np.zeros(11)
        for number_ in range(options.pages):
            rng = np.random.default_rng([seed, number_])
            found = measured(*page(fonts, mnist, rng), reader)
            rows, labels, counts = rows + found[0], labels + found[1], counts + found[2]
        x, t = np.array(rows), np.array(labels)
        print(f"{folder}: {t.sum()} rows of digits, {(~t).sum()} rows of words with a digit")
        if not seed:
            both["fitted"] = logistic(x, t)
            print("IN_WORDS", np.round(counts[:10] / counts.sum(), 3).tolist())
            print("ROW_WEIGHTS and bias", np.round(both["fitted"], 2).tolist())
        for name, w in both.items():
            z = x @ w[:-1] + w[-1]
            print(f"  {name:12} lost {np.mean(z[t] <= 0):.1%}, kept {np.mean(z[~t] > 0):.1%}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
