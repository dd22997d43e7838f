"""From the bytes of a picture file to pixels: every format, every orientation, every damage."""

import errno
import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from unittest.mock import Mock

import cv2
import numpy as np
import pytest
from PIL import Image
from rendered_photos import figure_seven

from digits.photos import decode
from digits.photos.decode import PictureError, check_picture, decode_picture, read_picture
from digits.types import Array


def encoded(picture: Array, suffix: str, *options: int) -> bytes:
    done, data = cv2.imencode(suffix, picture, list(options))
    assert done
    return data.tobytes()


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int, height: int, content: bytes = b"", exif: bytes = b"") -> bytes:
    """A PNG whose header says this size, whatever follows."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + (exif and chunk(b"eXIf", exif))
    return start + chunk(b"IDAT", zlib.compress(content)) + chunk(b"IEND", b"")


def jpeg_header(kind: int, width: int, height: int) -> bytes:
    frame = struct.pack(">BBHBHHB", 0xFF, kind, 11, 8, height, width, 1) + b"\1\x11\0"
    return b"\xff\xd8" + frame + b"\xff\xda\0\x08\1\1\0\0\0\0\xff\xd9"


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".bmp", ".tiff", ".gif"])
def test_every_format_shows_the_same_picture(suffix: str, tmp_path: Path) -> None:
    seven = cv2.cvtColor(figure_seven(), cv2.COLOR_GRAY2BGR)
    path = tmp_path / f"sieben → 7 é{suffix}"  # a name that cv2.imread cannot open everywhere
    path.write_bytes(encoded(seven, suffix))
    picture, shrink = read_picture(path)
    assert picture.dtype == np.uint8 and picture.shape == seven.shape
    assert shrink == 1
    assert np.abs(picture.astype(int) - seven).mean() < (30 if suffix == ".gif" else 4)  # dithered


MODES: dict[str, Callable[[Array], Array]] = {
    "gray": lambda seven: seven,
    "color": lambda seven: np.dstack([seven] * 3),
    "transparent": lambda seven: np.dstack([seven] * 3 + [128 + 127 * (seven < 200).astype("u1")]),
    "16 bits": lambda seven: seven.astype(np.uint16) * 256,
}
KINDS = [
    *[(".jpg", "gray"), (".jpg", "color"), (".tiff", "gray"), (".tiff", "color")],
    *[(".png", mode) for mode in MODES],
    *[(".webp", "color"), (".webp", "transparent")],
    *[(".tiff", "transparent"), (".tiff", "16 bits")],
]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("suffix", "mode"), KINDS)
def test_orientation_is_applied(suffix: str, mode: str, orientation: int) -> None:
    seven = figure_seven()
    mirrored = [seven, seven[:, ::-1], seven[::-1, ::-1], seven[::-1]]
    turned = [*mirrored, seven.T, np.rot90(seven, 1), np.rot90(seven, 2).T, np.rot90(seven, -1)]
    recorded = turned[orientation - 1]  # by the sensor, so that the instruction makes it upright
    stored = Image.fromarray(np.ascontiguousarray(MODES[mode](recorded)))
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    stored.save(file, suffix[1:].replace("jpg", "jpeg"), exif=exif, quality=95)
    picture, _ = decode_picture(file.getvalue())
    assert picture.shape[:2] == seven.shape
    ink = picture[..., 0] < 140
    assert (ink & (seven < 140)).sum() > 0.9 * (ink | (seven < 140)).sum()


@pytest.mark.parametrize("prefix", [b"", b"Exif\0\0"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_the_orientation_is_one_of_many_entries(order: str, prefix: bytes) -> None:
    """In either byte order, behind the directory's start; what follows the directory is none."""
    start = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "I", 10) + b"--"
    entry = struct.Struct(order + "HHII")
    others = [entry.pack(tag, 3, 1, 0x00060006) for tag in (256, 259, 273)]
    turned = [entry.pack(274, 3, 1, 3 * 0x00010001), entry.pack(274, 3, 1, 0x00010001)]
    for entries, behind, pixels in (([*others, *turned], b"", [2, 1]), (others, turned[0], [1, 2])):
        exif = prefix + start + struct.pack(order + "H", len(entries)) + b"".join(entries) + behind
        assert decode_picture(png(2, 1, b"\0\1\2", exif))[0][..., 0].tolist() == [pixels]


def test_sixteen_bits_are_stretched() -> None:
    scan = figure_seven().astype(np.uint16) * 16  # a 12-bit scanner
    picture, _ = decode_picture(encoded(scan, ".png"))
    assert picture.dtype == np.uint8 and picture.max() == 255
    assert picture.min() < 60


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize(("ink", "paper"), [(0, 255), (90, 255), (170, 0), (255, 0)])
def test_transparent_paper_is_the_opposite_of_the_ink(ink: int, paper: int, kind: type) -> None:
    drawn: Array = np.full((60, 60, 4), ink, kind)
    drawn[..., 3] = 0
    drawn[0, 0] = drawn[10:50, 25:35, 3] = 255
    drawn[0, 0, 3] = 1  # so faint that it hardly counts, and the lightest of all
    for picture in (decode_picture(encoded(drawn, ".png"))[0], check_picture(drawn)):
        assert picture.shape == (60, 60, 3)
        assert (picture[30, 30] == ink).all() and (picture[5, 5] == paper).all()


def test_the_first_picture_of_an_animation() -> None:
    animation = cv2.Animation()
    frames = [cv2.cvtColor(figure_seven(ink=ink), cv2.COLOR_GRAY2BGR) for ink in (0, 200)]
    animation.frames, animation.durations = frames, [100, 100]
    done, data = cv2.imencodeanimation(".gif", animation)
    assert done
    picture, _ = decode_picture(data.tobytes())
    assert picture.min() < 60


def test_printers_colors_are_understood() -> None:
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
        (b"\0\0\0\x18ftypheic", "HEIC .* save it as JPEG"),
        (b"hello, I am text", "not a picture .* begins with hello, I"),
        (encoded(figure_seven(), ".jpg")[:700], "cut off"),
        (encoded(figure_seven(), ".jpg")[:30], "cut off"),
        (encoded(figure_seven(), ".png")[:-20], "cut off"),
        (png(20_000, 20_000), "120 million pixels"),
        (jpeg_header(0xC2, 20_000, 20_000), "120 million pixels"),
        (b"II*\0\x08\0\0\0", "not a picture"),
        (b"GIF89a\x01", "not a picture"),
        (b"BM" + bytes(60), "not a picture"),
        (b"P5 2 2 255 \0\0\0\0", "not a picture .* begins with P5 2 2"),  # though OpenCV knows it
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
    nonfinite = np.array([[0, 1e300], [-np.inf, 1e-320], [np.nan, -3e38], [2, 1]])
    assert check_picture(nonfinite).tolist() == [[0, 0], [0, 0], [0, 0], [255, 127]]
    assert check_picture(np.array([[0.01, 0.04]]).T).tolist() == [[63], [255]]  # of 0 to 1, or less
    column = np.arange(6, dtype=np.uint8).reshape(2, 3, 1)
    picture, scale = decode.open_picture(column)
    assert (picture.tolist(), scale) == (column[..., 0].tolist(), 1)
    with pytest.raises(PictureError, match=r"array of numbers.*pass one picture, or the path"):
        check_picture(np.full((4, 4), "ink"))


def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match="no such file"):
        read_picture(tmp_path / "nothing.png")
    with pytest.raises(PictureError, match="folder"):
        read_picture(tmp_path)


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse = Mock(side_effect=PermissionError(errno.EACCES, "Permission denied"))
    monkeypatch.setattr(Path, "read_bytes", refuse)  # root may read everything
    with pytest.raises(PictureError, match=r"^the file cannot be read: Permission denied$"):
        read_picture(tmp_path / "secret.png")


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


@pytest.mark.parametrize("shape", [(5,), (5, 5, 2), (0, 5), (2, 5, 5, 3)])
def test_arrays_that_are_no_pictures(shape: tuple[int, ...]) -> None:
    with pytest.raises(PictureError, match="expected an array"):
        decode.check_picture(np.zeros(shape, np.uint8))
