"""From a picture file to ink: every kind of file, every kind of light."""

import errno
import io
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from digits.photos import photograph
from digits.photos.photograph import (
    PictureError,
    check_picture,
    decode_picture,
    normalise_digit,
    read_picture,
)
from digits.types import Array


def figure_seven(height: int = 120, width: int = 90, paper: int = 220, ink: int = 40) -> Array:
    """A 7 with its bar at the top: not symmetric in any way."""
    picture = np.full((height, width), paper, np.uint8)
    corners = np.array([[20, 20], [70, 20], [40, 100]], np.int32)
    cv2.polylines(picture, [corners], False, ink, 7, cv2.LINE_AA)
    return picture


def encoded(picture: Array, suffix: str, *options: int) -> bytes:
    done, data = cv2.imencode(suffix, picture, list(options))
    assert done
    return data.tobytes()


def png(width: int, height: int, content: bytes = b"") -> bytes:
    """A PNG whose header says this size, whatever follows."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(content))
        + chunk(b"IEND", b"")
    )


def with_orientation(jpeg: bytes, orientation: int) -> bytes:
    """The JPEG with an EXIF segment that tells how the camera was held."""
    tiff = b"MM\0*\0\0\0\x08" + struct.pack(">HHHIHHI", 1, 0x0112, 3, 1, orientation, 0, 0)
    body = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + jpeg[2:]


# --- files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".bmp", ".tiff", ".gif"])
def test_every_format_shows_the_same_picture(suffix: str, tmp_path: Path) -> None:
    seven = cv2.cvtColor(figure_seven(), cv2.COLOR_GRAY2BGR)
    path = tmp_path / f"sieben → 7 é{suffix}"  # a name that cv2.imread cannot open everywhere
    path.write_bytes(encoded(seven, suffix))
    picture, shrink = read_picture(path)
    assert picture.dtype == np.uint8
    assert picture.shape == seven.shape
    assert shrink == 1
    assert np.abs(picture.astype(int) - seven).mean() < (30 if suffix == ".gif" else 4)  # dithered


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied(orientation: int) -> None:
    seven = figure_seven()
    turned = {  # what the sensor recorded, so that the instruction makes it upright
        1: seven,
        2: seven[:, ::-1],
        3: seven[::-1, ::-1],
        4: seven[::-1],
        5: seven.T,
        6: np.rot90(seven, 1),
        7: np.rot90(seven, 2).T,
        8: np.rot90(seven, -1),
    }[orientation]
    jpeg = encoded(np.ascontiguousarray(turned), ".jpg", cv2.IMWRITE_JPEG_QUALITY, 95)
    picture, _ = decode_picture(with_orientation(jpeg, orientation))
    assert np.abs(picture[..., 0].astype(int) - seven).mean() < 4


def test_sixteen_bits_are_stretched() -> None:
    scan = figure_seven().astype(np.uint16) * 16  # a 12-bit scanner
    picture, _ = decode_picture(encoded(scan, ".png"))
    assert picture.dtype == np.uint8
    assert picture.max() == 255
    assert picture.min() < 60


@pytest.mark.parametrize("ink", [0, 255])
def test_transparent_paper_is_the_opposite_of_the_ink(ink: int) -> None:
    drawn = np.full((60, 60, 4), ink, np.uint8)
    drawn[..., 3] = 0
    drawn[10:50, 25:35, 3] = 255
    picture, _ = decode_picture(encoded(drawn, ".png"))
    assert picture.shape == (60, 60, 3)
    assert (picture[30, 30] == ink).all()
    assert (picture[5, 5] == 255 - ink).all()


def test_the_first_picture_of_an_animation() -> None:
    animation = cv2.Animation() if hasattr(cv2, "Animation") else None
    if animation is None:
        pytest.skip("this OpenCV writes no animations")
    frames = [cv2.cvtColor(figure_seven(ink=ink), cv2.COLOR_GRAY2BGR) for ink in (0, 200)]
    animation.frames, animation.durations = frames, [100, 100]
    done, data = cv2.imencodeanimation(".gif", animation)
    assert done
    picture, _ = decode_picture(data.tobytes())
    assert picture.min() < 60


def test_printers_colours_are_understood() -> None:
    """A CMYK JPEG holds how much ink there is, not how much light."""
    drawn, file = figure_seven(), io.BytesIO()
    Image.fromarray(drawn).convert("CMYK").save(file, "JPEG", quality=95)
    picture, _ = decode_picture(file.getvalue())
    assert picture.shape == (*drawn.shape, 3)
    assert np.abs(picture.astype(int) - drawn[..., np.newaxis]).mean() < 5


def test_large_jpegs_are_reduced_and_say_so() -> None:
    large = np.full((4100, 8200), 200, np.uint8)
    large[:, :4100] = 90
    picture, shrink = decode_picture(encoded(large, ".jpg"))
    assert shrink == 4
    assert picture.shape[:2] == (1025, 2050)
    assert abs(int(picture[500, 100, 0]) - 90) < 3


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"hello, I am text", "not a picture"),
        (encoded(figure_seven(), ".jpg")[:700], "cut off"),
        (encoded(figure_seven(), ".jpg")[:30], "cut off"),
        (encoded(figure_seven(), ".png")[:-20], "cut off"),
        (png(20_000, 20_000), "20000 x 20000 pixels"),
        (png(0, 10), "nothing to see"),
        (b"II*\0\x08\0\0\0", "cut off"),
        (b"GIF89a\x01", "cut off"),
        (b"BM" + bytes(60), "nothing to see"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(
    content: bytes, says: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "picture.jpg"
    path.write_bytes(content)
    with pytest.raises(PictureError, match=says) as caught:
        read_picture(path)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""  # OpenCV is not to print its own opinion


def test_numbers_that_no_picture_has() -> None:
    strange = np.array([[0, 1e300], [-np.inf, 1e-320], [np.nan, -3e38], [2, 1]])
    assert check_picture(strange).tolist() == [[0, 0], [0, 0], [0, 0], [255, 127]]
    with pytest.raises(PictureError, match="array of numbers"):
        check_picture(np.full((4, 4), "ink"))


def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match="no such file"):
        read_picture(tmp_path / "nothing.png")
    with pytest.raises(PictureError, match="folder"):
        read_picture(tmp_path)


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(path: Path) -> bytes:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuses)  # root may read everything
    with pytest.raises(PictureError, match=r"^the file cannot be read: Permission denied$"):
        read_picture(tmp_path / "secret.png")


@pytest.mark.parametrize(("kind", "quality"), [(b"VP8 ", 80), (b"VP8L", 101)])
def test_sizes_of_both_kinds_of_webp(
    kind: bytes, quality: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    webp = encoded(np.zeros((300, 200, 3), np.uint8), ".webp", cv2.IMWRITE_WEBP_QUALITY, quality)
    assert webp[12:16] == kind
    assert decode_picture(webp)[0].shape == (300, 200, 3)
    monkeypatch.setattr(photograph, "MOST_PIXELS", 59_999)
    with pytest.raises(PictureError, match="200 x 300 pixels are more than"):
        decode_picture(webp)


def test_bytes_that_fill_a_jpeg_up_are_passed_over() -> None:
    jpeg = encoded(figure_seven(), ".jpg")
    filled = jpeg[:2] + b"\xff\xff\xff" + jpeg[2:]
    np.testing.assert_array_equal(decode_picture(filled)[0], decode_picture(jpeg)[0])


def test_a_thumbnail_does_not_hide_a_missing_end() -> None:
    jpeg = encoded(figure_seven(), ".jpg")
    thumbnail = b"\xff\xe1" + struct.pack(">H", len(jpeg) + 2) + jpeg
    whole = jpeg[:2] + thumbnail + jpeg[2:]
    assert decode_picture(whole)[0].shape == (120, 90, 3)
    with pytest.raises(PictureError, match="cut off"):
        decode_picture(whole[:-40])


def test_damaged_bytes_never_do_worse_than_an_error() -> None:
    rng = np.random.default_rng(0)
    for suffix in (".jpg", ".png", ".bmp", ".webp", ".tiff", ".gif"):
        whole = encoded(cv2.cvtColor(figure_seven(), cv2.COLOR_GRAY2BGR), suffix)
        for _ in range(40):
            data = bytearray(whole)
            for place in rng.integers(0, min(len(data), 400), 3):
                data[place] = rng.integers(256)
            try:
                picture, _ = decode_picture(bytes(data))
            except PictureError:
                continue
            assert picture.dtype == np.uint8


@pytest.mark.parametrize("shape", [(5,), (5, 5, 2), (0, 5), (2, 5, 5, 3)])
def test_arrays_that_are_no_pictures(shape: tuple[int, ...]) -> None:
    with pytest.raises(PictureError, match="expected an array"):
        photograph.check_picture(np.zeros(shape, np.uint8))


# --- light and ink --------------------------------------------------------------------------------


def found_in(picture: Array) -> Array:
    flat = photograph.flatten_light(picture)
    return photograph.find_ink(flat)[0]


def overlap(found: Array, true: Array) -> float:
    """Shared pixels over all pixels of the two."""
    return float((found & true).sum() / max(1, (found | true).sum()))


def test_ink_is_found_either_way_round() -> None:
    seven = cv2.resize(figure_seven(), None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
    true = seven < 130
    assert overlap(found_in(seven), true) > 0.85
    assert overlap(found_in(255 - seven), true) > 0.85
    assert photograph.is_light_on_dark(255 - seven)
    assert not photograph.is_light_on_dark(seven)


@pytest.mark.parametrize("shade", [0.25, 0.5, 0.8])
def test_a_hard_shadow_is_not_ink(shade: float) -> None:
    seven = cv2.resize(figure_seven(), None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
    light = np.ones(seven.shape)
    light[:, 180:] = shade  # right through the digit
    found = found_in((seven * light).astype(np.uint8))
    assert overlap(found, seven < 130) > 0.75


def test_a_gradient_is_not_ink() -> None:
    seven = cv2.resize(figure_seven(), None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
    light = np.linspace(1, 0.2, seven.shape[0])[:, None] * np.linspace(0.4, 1, seven.shape[1])
    assert overlap(found_in((seven * light).astype(np.uint8)), seven < 130) > 0.75


def test_blank_paper_holds_no_ink() -> None:
    rng = np.random.default_rng(1)
    for grain in (0, 2, 8):
        paper = np.clip(180 + rng.normal(0, grain, (400, 500)), 0, 255).astype(np.uint8)
        flat = photograph.flatten_light(paper)
        ink, amount = photograph.find_ink(flat)
        assert photograph.find_strokes(ink, amount, flat) == []


@pytest.mark.parametrize("slope", [-0.1, 0.0, 0.06])
@pytest.mark.parametrize("squared", [False, True])
def test_rulings_go_and_the_digit_stays(slope: float, squared: bool) -> None:
    picture = np.full((600, 800), 225, np.uint8)
    for y in range(-100, 700, 45):
        cv2.line(picture, (0, y), (799, round(y + slope * 800)), 150, 2, cv2.LINE_AA)
    if squared:
        for x in range(-100, 900, 45):
            cv2.line(picture, (x, 0), (round(x - slope * 600), 599), 150, 2, cv2.LINE_AA)
    seven = np.array([[300, 210], [450, 200], [360, 430]], np.int32)
    cv2.polylines(picture, [seven], False, 60, 9, cv2.LINE_AA)
    true = np.zeros(picture.shape, np.uint8)
    cv2.polylines(true, [seven], False, 1, 9)
    flat = photograph.flatten_light(picture)
    ink, amount = photograph.find_ink(flat)
    strokes = photograph.find_strokes(ink, amount, flat)
    (digit,) = (stroke for stroke in strokes if stroke.longest > 100)
    near = np.abs(np.array(digit.box) - (295, 195, 161, 241)).max()
    assert near < 6
    assert overlap(ink[180:450, 280:480], true[180:450, 280:480] > 0) > 0.7
    assert len(strokes) <= 5  # a corner of the page may keep the end of a ruling


# --- normalisation --------------------------------------------------------------------------------


def test_a_normalised_digit_is_centred_by_mass_in_twenty_pixels() -> None:
    ink = figure_seven(paper=0, ink=255).astype(np.float32) / 255
    image = normalise_digit(ink)
    assert image.shape == (28, 28)
    assert image.dtype == np.float32
    assert image.max() == 1
    rows, columns = np.flatnonzero(image.any(axis=1)), np.flatnonzero(image.any(axis=0))
    assert len(rows) == 20
    assert len(columns) <= 20
    along = np.arange(28)
    assert abs(image.sum(axis=1) @ along / image.sum() - 14) <= 0.5
    assert abs(image.sum(axis=0) @ along / image.sum() - 14) <= 0.5


def test_normalising_does_not_depend_on_size_or_place() -> None:
    ink = figure_seven(paper=0, ink=255).astype(np.float32) / 255
    image = normalise_digit(ink)
    assert np.abs(normalise_digit(np.pad(ink, ((9, 50), (80, 3)))) - image).max() == 0
    larger = cv2.resize(ink, None, fx=5, fy=5, interpolation=cv2.INTER_LINEAR)
    assert np.abs(normalise_digit(larger) - image).mean() < 0.02


def test_a_hair_line_is_thickened() -> None:
    hair = np.zeros((900, 700), np.float32)
    cv2.polylines(hair, [np.array([[50, 50], [650, 50], [300, 850]], np.int32)], False, 1, 5)
    image = normalise_digit(hair)
    assert 1.2 < photograph.stroke_width(cv2.resize(image, None, fx=4, fy=4) > 0.5) / 4 < 3


def test_normalising_nothing_gives_nothing() -> None:
    assert not normalise_digit(np.zeros((5, 5), np.float32)).any()
    assert normalise_digit(np.ones((1, 1), np.float32)).max() == 1


def test_normalising_is_what_mnist_did(mnist_test: tuple[Array, Array]) -> None:
    """MNIST's own digits, enlarged and put somewhere on a page, come back as they were."""
    images, _ = mnist_test
    similar = 0
    for image in images[:200]:
        page = np.zeros((300, 300), np.float32)
        page[40:208, 70:238] = cv2.resize(
            image.reshape(28, 28).astype(np.float32) / 255, (168, 168), interpolation=cv2.INTER_AREA
        )
        again = normalise_digit(page)
        assert np.corrcoef(again.ravel(), image.ravel())[0, 1] > 0.7
        similar += np.corrcoef(again.ravel(), image.ravel())[0, 1] > 0.9
    assert similar > 180


@pytest.fixture(scope="session")
def mnist_test() -> tuple[Array, Array]:
    import os

    if "MNIST_DATASET_DIR" not in os.environ:
        pytest.skip("MNIST_DATASET_DIR does not point to MNIST")
    from mnist_loader import load_mnist

    return load_mnist()[1]


def test_no_import_of_io_is_needed() -> None:
    """Bytes from anywhere can be read, not just files."""
    stream = io.BytesIO(encoded(figure_seven(), ".png"))
    assert decode_picture(stream.read())[0].shape == (120, 90, 3)
