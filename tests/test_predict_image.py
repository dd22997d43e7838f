"""From a picture to the digits on it: rows, boxes, broken and touching digits, the command line."""

import json
import os
from pathlib import Path
from unittest.mock import Mock

import cv2
import numpy as np
import pytest
from complexity import KINDS
from programs import command, names_in, run

import predict_image
from digits import Dense, Sequential
from digits.data import synthetic_digits
from digits.photos.classification import VIEWS
from digits.photos.components import normalize_digit
from digits.photos.decode import PictureError
from digits.photos.reading import Reading
from digits.photos.turning import turn
from digits.training.augmentation import tta_views
from digits.types import Array
from predict_image import load_reader, main, read_digits, read_drawing, read_many
from two_layer_net import TwoLayerNet


def write(picture: Array, text: str, x: int, y: int, size: float = 2.0, ink: int = 40) -> None:
    """Letters and digits in a plain typeface, their foot at y."""
    font = cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(picture, text, (x, y), font, size, (ink,) * 3, round(2.5 * size), cv2.LINE_AA)


def page(*rows: str, tilt: float = 0.0, size: float = 2.0, spacing: int = 70) -> Array:
    """White paper with rows of digits, tilted by so many pixels a pixel."""
    picture = np.full((120 + 110 * len(rows), 760, 3), 215, np.uint8)
    for row, text in enumerate(rows):
        for place, character in enumerate(text):
            x = 60 + spacing * place
            write(picture, character, x, round(110 + 110 * row + tilt * x), size)
    return picture


class Typist:
    """Reads the typeface above: the most similar of ten images, or nothing if none is similar."""

    def __init__(self, classes: int = 11) -> None:
        shapes = []
        for digit in range(10):
            canvas = np.full((120, 120, 3), 0, np.uint8)
            write(canvas, str(digit), 30, 90, ink=255)
            shape = normalize_digit(canvas[..., 0].astype(np.float32) / 255).reshape(1, 784)
            shapes += [look[0] for look in tta_views(shape, VIEWS)]
        self.shapes = np.array(shapes)
        self.shapes /= np.linalg.norm(self.shapes, axis=1, keepdims=True)
        self.classes = classes

    def predict(self, x: Array) -> Array:
        assert x.dtype == np.float32 and x.shape[1:] == (784,)
        assert 0 <= x.min() <= x.max() <= 1
        similar = x @ self.shapes.T / np.linalg.norm(x, axis=1, keepdims=True)
        similar = similar.reshape(len(x), 10, VIEWS).max(axis=2)
        logits = np.concatenate([similar, np.full((len(x), 1), 0.7)], axis=1)[:, : self.classes]
        p = np.exp(40 * (logits - logits.max(axis=1, keepdims=True)))
        return p / p.sum(axis=1, keepdims=True)


@pytest.fixture(scope="module")
def typist() -> Typist:
    return Typist()


@pytest.mark.parametrize("digit", "0123456789")
def test_every_digit(digit: str, typist: Typist) -> None:
    reading = read_digits(page(digit), typist)
    assert reading.rows == [digit]
    (found,) = reading.digits
    assert (found.digit, found.image.shape) == (int(digit), (28, 28))
    assert 0.6 < found.confidence <= 1  # how like a 5 a 0 is depends on OpenCV's typeface
    assert found.second != found.digit
    assert reading.seen.shape == (1, 28, 28)


@pytest.mark.parametrize("tilt", [-0.15, -0.05, 0.0, 0.08, 0.15])
def test_rows_are_read_from_top_to_bottom_and_left_to_right(tilt: float, typist: Typist) -> None:
    rows = ["2740", "91836", "505"]
    picture = page(*rows, tilt=tilt)
    picture = cv2.copyMakeBorder(picture, 100, 100, 0, 0, cv2.BORDER_REPLICATE)
    assert read_digits(picture, typist).rows == rows


def test_boxes_lie_around_the_digits_in_the_picture_that_was_given(typist: Typist) -> None:
    for scale in (0.35, 1, 6):  # enlarged, as it is, reduced
        picture = cv2.resize(page("38"), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        reading = read_digits(picture, typist)
        assert reading.rows == ["38"]
        assert read_digits(picture[:, reading.digits[0].box[0] :], typist).rows == ["38"]
        for digit, left in zip(reading.digits, (60, 130), strict=True):
            x, y, w, h = (side / scale for side in digit.box)
            assert left - 4 <= x <= left + 12 and 58 <= y <= 74
            assert 30 <= w <= 46 and 38 <= h <= 56


def test_light_on_dark_gray_and_sixteen_bits(typist: Typist) -> None:
    picture = page("4071")
    opaque = np.dstack([picture, np.full(picture.shape[:2], 255, np.uint8)])
    deep = picture[..., 0].astype(np.uint16) * 100
    for version in (255 - picture, picture[..., 0], picture[..., :1], deep, opaque):
        assert read_digits(version, typist).rows == ["4071"]


def test_a_broken_digit_is_one_digit(typist: Typist) -> None:
    picture = page("757")
    reading = read_digits(picture, typist)
    x, y, w, h = reading.digits[1].box
    picture[y + h // 3 : y + h // 3 + 4, x - 4 : x + w + 4] = 215  # the 5 loses its bar
    reading = read_digits(picture, typist)
    assert reading.rows == ["757"] and abs(reading.digits[1].box[3] - h) <= 4


def test_touching_digits_are_cut(typist: Typist) -> None:
    for text in ("6808", "80", "88"):
        closer = [page(text, spacing=spacing) for spacing in range(40, 30, -1)]
        picture = next(picture for picture in closer if strokes(picture) == 1)
        assert read_digits(picture, typist).rows == [text]


def strokes(picture: Array) -> int:
    """How many pieces of ink do not touch."""
    return cv2.connectedComponents((picture[..., 0] < 128).astype(np.uint8))[0] - 1


def test_what_is_no_digit_is_left_out(typist: Typist) -> None:
    picture = page("294")
    cv2.circle(picture, (400, 60), 3, (40,) * 3, -1)  # a speck
    cv2.line(picture, (300, 200), (600, 210), (40,) * 3, 4)  # a line below
    cv2.rectangle(picture, (600, 0), (760, 120), (20,) * 3, -1)  # the table
    write(picture, "=", 420, 110)
    assert read_digits(picture, typist).rows == ["294"]


def test_blank_paper_gives_an_empty_reading(typist: Typist) -> None:
    blank = [np.full((300, 400), shade, np.uint8) for shade in (0, 128, 255)]
    readings = [read_drawing(blank[2], typist), *(read_digits(paper, typist) for paper in blank)]
    for reading in readings:
        assert (reading.rows, reading.digits, reading.seen.shape) == ([], [], (0, 28, 28))
        assert reading.confidence == 0
    for shape in ((1, 1), (1, 500), (500, 1), (3, 3, 3)):
        assert read_digits(np.zeros(shape, np.uint8), typist).digits == []


def test_networks_without_an_eleventh_answer_work_too(typist: Typist) -> None:
    assert read_digits(page("2026"), Typist(classes=10)).rows == ["2026"]
    network = TwoLayerNet(784, 8, 10, rng=np.random.default_rng(0))
    assert isinstance(read_digits(page("2026"), network), Reading)


def test_a_drawing_is_read_as_a_photo_is(typist: Typist) -> None:
    drawing = page("42", "17")[..., 0].copy()
    drawing[drawing > 200] = 255
    reading = read_drawing(drawing, typist)
    assert reading.rows == ["42", "17"]
    photo = read_digits(drawing, typist)
    assert np.allclose([d.box for d in reading.digits], [d.box for d in photo.digits], atol=4)
    assert np.array_equal(reading.picture, drawing)


def test_in_a_drawing_every_dark_pixel_is_ink(typist: Typist) -> None:
    drawing = np.full((200, 300), 255, np.uint8)
    drawing[90:100] = 0  # to `read_digits` a ruling
    drawing[20:60, 40:48] = 140
    reading = read_drawing(drawing, typist)
    assert np.array_equal(reading.ink, drawing < 153)
    drawing[:, :200] = 0
    assert read_drawing(drawing, typist).ink[:, :200].all()


def touching(digits: str, gap: int, rng: np.random.Generator) -> Array:
    """A drawing of digits whose lines, of 13 pixels, have this much from middle to middle."""
    paths, left = [], 40.0
    for digit in digits:
        lines = [points * 110 for points, _ in synthetic_digits.strokes(int(digit), rng)]
        x = np.concatenate(lines)[:, 0]
        paths += [line + np.array([left - x.min(), 40]) for line in lines]
        left += float(np.ptp(x)) + gap
    drawing = np.full((200, int(left) + 60), 255, np.uint8)
    for path in paths:
        corners = [np.rint(16 * path).astype(np.int32)]
        cv2.polylines(drawing, corners, False, 0, 13, cv2.LINE_AA, 4)
    return drawing


@pytest.mark.parametrize("gap", [30, 8, 4, 0, -6])
def test_ink_in_a_drawing_is_read_or_reported(gap: int, rng: np.random.Generator) -> None:
    """Also of digits that touch, in whatever number: no large piece of ink is in no box."""
    model, right = load_reader(None), 0
    for _ in range(6):
        digits = "".join(map(str, rng.integers(0, 10, 4)))
        drawing = touching(digits, gap, rng)
        reading = read_drawing(drawing, model)
        right += (reading.rows, reading.unread) == ([digits], [])
        missing = drawing < 153
        for x, y, w, h in [*(digit.box for digit in reading.digits), *reading.unread]:
            missing[max(0, y - 2) : y + h + 2, max(0, x - 2) : x + w + 2] = False
        _, _, boxes, _ = cv2.connectedComponentsWithStats(missing.astype(np.uint8))
        assert (boxes[1:, 2:4].max(axis=1, initial=0) < 0.4 * 123).all()
    assert gap < 30 or right >= 5  # apart, nearly all are read: 98 of 100


def test_a_digit_among_scribbles_is_read(rng: np.random.Generator) -> None:
    """In a photograph it would be part of a row of words."""
    drawing = np.pad(touching("3", 0, rng), ((0, 0), (0, 600)), constant_values=255)
    for x in (250, 400, 550):
        for angle in range(0, 180, 36):
            cv2.ellipse(drawing, (x, 95), (50, 20), angle, 0, 360, 0, 9)
    reading = read_drawing(drawing)
    assert reading.rows == ["3"] and len(reading.unread) == 3
    assert not read_digits(drawing).unread  # of a photograph nothing is reported


def test_what_is_alone_on_a_drawing_is_reported() -> None:
    """A line from edge to edge, of pieces that are too wide for any digit; but no dot beside it."""
    drawing = np.full((200, 700), 255, np.uint8)
    drawing[90:100] = 0
    drawing[20:30, 20:30] = 0
    reading = read_drawing(drawing)
    assert (reading.rows, reading.unread) == ([], [(0, 90, 700, 10)])


def test_a_large_drawing_is_reduced(typist: Typist) -> None:
    drawing = cv2.resize(page("42")[..., 0], None, fx=6, fy=6, interpolation=cv2.INTER_NEAREST)
    drawing[drawing > 200] = 255
    reading = read_drawing(drawing, typist)
    assert reading.rows == ["42"]
    assert max(reading.flat.shape) < max(drawing.shape)
    assert reading.picture.shape == drawing.shape
    x, y, width, height = reading.digits[0].box
    assert (drawing[y : y + height, x : x + width] < 128).any(axis=1).mean() > 0.95


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "count"), [("rings", 40), ("dashes", 70), ("hatching", 60), ("specks", 2000)]
)
def test_no_drawing_takes_for_ever(kind: str, count: int) -> None:
    """With as many accounts of the ink as there are ways to join its pieces, these would."""
    drawing = KINDS[kind][0](count)
    reading = read_drawing(drawing)
    assert reading.digits or reading.unread
    read_digits(drawing)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_sheet_on_its_side_is_read(turns: int) -> None:
    upright = page("2740", "3583")
    picture = np.ascontiguousarray(np.rot90(upright, -turns))
    reading = read_digits(picture)
    assert (reading.rows, reading.rotation) == (["2740", "3583"], 360 - 90 * turns)
    assert read_digits(upright).rotation == 0
    dark = picture[..., 0] < 128
    assert all(dark[digit.box.slices].mean() > 0.1 for digit in reading.digits)
    boxes = np.zeros_like(dark)
    for digit in reading.digits:
        boxes[digit.box.slices] = True
    assert (boxes & dark).sum() > 0.9 * dark.sum()
    assert read_digits(picture, rotate=False).rows != ["2740", "3583"]


@pytest.mark.slow
def test_a_sheet_askew_is_read() -> None:
    angle = 40
    rows = ["274035", "358319", "690572"]
    flat = page(*rows)[..., 0]
    picture = 255 - turn(255 - flat, angle)[0]
    reading = read_digits(picture)
    assert reading.rows == rows and abs((reading.rotation + angle + 180) % 360 - 180) <= 2
    assert all(picture[digit.box.slices].min() < 128 for digit in reading.digits)


def test_words_are_not_digits() -> None:
    words = page("HANDWRITTEN", "WORDS ARE", spacing=60)
    assert not any(read_digits(np.rot90(words, turns)).rows for turns in range(4))
    assert read_digits(page("HANDWRITTEN", "27403", spacing=60)).rows == ["27403"]


@pytest.mark.parametrize("shape", [(0, 10), (10,), (10, 10, 3)])
def test_what_is_no_drawing_is_refused(shape: tuple[int, ...], typist: Typist) -> None:
    with pytest.raises(PictureError, match=r"received .*shape"):
        read_drawing(np.zeros(shape, np.uint8), typist)


def test_many_images_are_read(tmp_path: Path, typist: Typist) -> None:
    for number in range(5):
        cv2.imencode(".png", page(str(number)))[1].tofile(tmp_path / f"{number}.png")
    (tmp_path / "notes.txt").write_text("not a picture")
    (tmp_path / "broken.png").write_bytes(b"")
    answers = list(read_many(tmp_path, typist))
    assert [a.rows for a in answers if isinstance(a, Reading)] == [[str(n)] for n in range(5)]
    assert isinstance(answers[-1], PictureError)  # broken.png comes after the numbers
    (one,) = read_many(tmp_path / "3.png", typist)
    assert isinstance(one, Reading) and one.rows == ["3"]


def test_errors_are_raised_for_a_single_picture(typist: Typist, tmp_path: Path) -> None:
    with pytest.raises(PictureError, match="no such file"):
        read_digits(tmp_path / "nothing.png", typist)
    with pytest.raises(FileNotFoundError, match="train a network"):
        read_digits(page("1"), tmp_path / "model.npz")


@pytest.fixture
def reading_typist(monkeypatch: pytest.MonkeyPatch, typist: Typist) -> None:
    monkeypatch.setattr(predict_image, "load_reader", lambda model: typist)


def save(picture: Array, path: Path) -> str:
    cv2.imencode(path.suffix, picture)[1].tofile(path)
    return str(path)


@pytest.mark.usefixtures("reading_typist")
def test_one_line_an_image(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = save(page("4-2", "17"), tmp_path / "one.png")
    two = save(page("5"), tmp_path / "zwei é.jpg")
    for paths in ([one, two], [str(tmp_path)]):
        assert main(paths) == 0
        first, second = capsys.readouterr().out.splitlines()
        assert first.startswith(f"{one}: 42 17  (") and first.endswith("as written: 4-2 | 17)")
        assert second.startswith(f"{two}: 5  (")
    (tmp_path / "empty").mkdir()
    assert main([str(tmp_path / "empty")]) == 1
    assert "no picture" in capsys.readouterr().err


@pytest.mark.usefixtures("reading_typist")
def test_json_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, missing = save(page("42", "17"), tmp_path / "one.png"), str(tmp_path / "none.png")
    blank = save(page(""), tmp_path / "blank.png")
    assert main([missing, one, blank, "--json"]) == 1
    captured = capsys.readouterr()
    first, second, third = (json.loads(line) for line in captured.out.splitlines())
    assert first["image"] == missing and "no such file" in first["error"]
    assert second["rows"] == ["42", "17"] and "error" not in second
    digits = [(digit["digit"], digit["row"], len(digit["box"])) for digit in second["digits"]]
    assert digits == [(4, 0, 4), (2, 0, 4), (1, 1, 4), (7, 1, 4)]
    assert "no digits" in third["error"]
    assert len(captured.err.splitlines()) == 2


@pytest.mark.slow
@pytest.mark.usefixtures("reading_typist")
def test_every_drawing_has_a_name_of_its_own(tmp_path: Path) -> None:
    images = []
    for folder, name in (("x", "a"), ("y", "a"), ("z", "a-2"), ("z", "A")):
        (tmp_path / folder).mkdir(exist_ok=True)
        images.append(save(page("3"), tmp_path / folder / f"{name}.png"))
    out = tmp_path / "out"
    out.mkdir()
    assert main([images[0], "--annotate", f"{out}/one.png", "--steps", f"{out}/s.png"]) == 0
    assert main([*images[1:3], "--annotate", f"{out}/b.png"]) == 0
    assert names_in(out) == ["b-a-2.png", "b-a.png", "one.png", "s.png"]
    assert all(cv2.imdecode(np.fromfile(path, np.uint8), 1) is not None for path in out.iterdir())
    assert main([*images, "--annotate", str(out), "--steps", str(out)]) == 0
    assert len({name.casefold() for name in names_in(out)}) == len(names_in(out)) == 12


@pytest.mark.slow
@pytest.mark.usefixtures("reading_typist")
def test_no_picture_that_is_read_is_written_to(tmp_path: Path) -> None:
    """Nor the file of another drawing: a folder of photographs may be the one for drawings too."""
    names = ["a.png", "b.png", "b-annotate.png", "sub/a.png", "sub/a-2.png", "sub/A.png"]
    for number, name in enumerate(names):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        save(page(str(number)), tmp_path / name)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.png")}
    paths = [str(path) for path in before]
    for out in (tmp_path, tmp_path / "sub", tmp_path / "all.png"):
        assert main([*paths, "--annotate", str(out)]) == 0
    assert main([*paths, "--annotate", str(tmp_path), "--steps", str(tmp_path)]) == 0
    assert main([str(tmp_path / "sub" / "a.png"), "--annotate", str(tmp_path)]) == 0
    drawings = len(list(tmp_path.iterdir()))
    for _ in range(2):  # the drawings in a folder are not read
        assert main([str(tmp_path), "--annotate", str(tmp_path)]) == 0
        assert len(list(tmp_path.iterdir())) == drawings
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.usefixtures("reading_typist")
def test_an_input_as_output_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = save(page("3"), tmp_path / "in.png")
    before = (tmp_path / "in.png").read_bytes()
    (tmp_path / "other.png").write_bytes(before)
    (tmp_path / "link.png").symlink_to("in.png")
    for arguments in (
        ["--annotate", picture],
        ["--steps", str(tmp_path / "link.png")],
        ["--annotate", str(tmp_path / "other.png")],  # as --annotate *.png would be understood
        ["--annotate", str(tmp_path / "o.png"), "--steps", str(tmp_path / "o.png")],
    ):
        with pytest.raises(SystemExit) as caught:
            main([picture, *arguments])
        assert caught.value.code == 2
        assert "expected a" in capsys.readouterr().err
    assert (tmp_path / "in.png").read_bytes() == (tmp_path / "other.png").read_bytes() == before


@pytest.mark.usefixtures("reading_typist")
def test_a_drawing_that_cannot_be_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A name of 246 letters is legal, and too long with anything added to it."""
    images = [save(page("3"), tmp_path / f"{'n' * 246}.png"), save(page("4"), tmp_path / "z.png")]
    assert main([*images, "--annotate", str(tmp_path / "drawn.png")]) == 1
    captured = capsys.readouterr()
    assert [line.split(": ")[1][0] for line in captured.out.splitlines()] == ["3", "4"]
    assert "cannot be written" in captured.err
    assert (tmp_path / "drawn-z.png").exists()


@pytest.mark.usefixtures("reading_typist")
@pytest.mark.parametrize("name", ["cost $x_$ 5.png", "数字.png", os.fsdecode(b"s\xe9pt.png")])
def test_any_name_is_drawn(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Though it looks like a formula, the font does not have it, or it is no UTF-8."""
    path, out = tmp_path / name, tmp_path / "steps.png"
    path.write_bytes(Path(save(page("5"), tmp_path / "five.png")).read_bytes())
    assert main([str(path), "--steps", str(out)]) == 0
    assert ": 5  (" in capsys.readouterr().out
    assert out.exists()


@pytest.mark.parametrize("outputs", [1, 3, 12])
def test_a_network_of_other_answers_is_refused(outputs: int) -> None:
    with pytest.raises(
        ValueError, match=rf"eleven classes; received .*, {outputs}\).*: use another"
    ):
        read_digits(page("5"), TwoLayerNet(784, 3, outputs))
    with pytest.raises(ValueError, match=r"eleven classes; received '-.* to .*: use another"):
        read_digits(page("5"), Sequential([Dense(10)], loss="mean_squared_error"))


def test_a_network_of_clothes_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    network = TwoLayerNet(784, 3, 10)
    network.metadata = {"dataset": "fashion"}
    network.save(tmp_path / "model.npz")
    picture = save(page("5"), tmp_path / "five.png")
    main([picture, "--model", str(tmp_path / "model.npz")])
    assert "trained on clothes" in capsys.readouterr().err


def test_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], ["a.png", "--annotate", "out.txt"], ["a.png", "--nonsense"]):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 2
    capsys.readouterr()
    picture = save(page("1"), tmp_path / "one.png")
    assert main([picture, "--model", str(tmp_path / "none.npz")]) == 1
    assert "train a network" in capsys.readouterr().err
    (tmp_path / "text.npz").write_text("no model")
    assert main([picture, "--model", str(tmp_path / "text.npz")]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_ctrl_c(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predict_image, "load_reader", Mock(side_effect=KeyboardInterrupt))
    assert main(["one.png"]) == 130
    assert capsys.readouterr() == ("", "")


def test_without_opencv_a_picture_explains_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "cv2.py").write_text("raise ImportError('libGL.so.1: cannot open shared object')")
    variables = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = run(command("predict_image", tmp_path / "a.png"), env=variables, timeout=120)
    assert done.returncode == 1 and "pip install opencv-python-headless" in done.stderr
    assert len(done.stderr.splitlines()) == 1
