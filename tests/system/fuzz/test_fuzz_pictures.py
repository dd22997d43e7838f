"""Hostile bytes in picture files, from the header to the last digit that is read in them."""

import os
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from fuzzer import Fuzzer
from guard import memory_for
from mutation import damaged_png

from digits.photos import photograph
from digits.photos.photograph import (
    MOST_PIXELS,
    WORKING_SIZE,
    PictureError,
    _size_in_header,
    decode_picture,
    read_picture,
)
from digits.types import Array
from predict_image import read_digits


def seven(side: int = 40) -> Array:
    """A 7 with a bar, in colour."""
    picture = np.full((side, side, 3), (200, 220, 230), np.uint8)
    corners = np.array([[10, 10], [30, 10], [17, 33]]) * side // 40
    cv2.polylines(picture, [corners], False, (60, 30, 20), max(1, side // 13))
    cv2.line(picture, (15, 21), (27, 21), (60, 30, 20), 2)
    return picture


def encoded(suffix: str, picture: Array, *options: int) -> bytes:
    good, data = cv2.imencode(suffix, picture, list(options))
    assert good
    return bytes(data)


def pictures() -> list[bytes]:
    """The same picture in every format that is read, and in several kinds of most."""
    colour = seven()
    grey = cv2.cvtColor(colour, cv2.COLOR_BGR2GRAY)
    deep, alpha = grey.astype(np.uint16) * 200, np.dstack([colour, 255 - grey])
    return [
        encoded(".png", colour),
        encoded(".png", grey),
        encoded(".png", deep),
        encoded(".png", alpha),
        encoded(".jpg", colour),
        encoded(".jpg", grey, cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
        encoded(".bmp", colour),
        encoded(".bmp", grey),
        encoded(".webp", colour, cv2.IMWRITE_WEBP_QUALITY, 80),
        encoded(".webp", alpha, cv2.IMWRITE_WEBP_QUALITY, 101),
        encoded(".gif", colour),
        encoded(".tiff", colour),
        encoded(".tiff", deep),
        encoded(".tiff", grey.astype(np.float32)),
    ]


def memory(data: bytes) -> int:
    """Twice the picture that the header announces, with its copies, if it may be read at all."""
    try:
        width, height = _size_in_header(data)
    except PictureError:
        width, height = 1, 1
    announced = width * height if width * height <= MOST_PIXELS else 0
    return 2 * 4 * 8 * announced + 16_000_000


def test_decoding(fuzz: Fuzzer) -> None:
    def read(data: bytes, _: object = None) -> None:
        picture, shrink = decode_picture(data)
        assert picture.dtype == np.uint8
        assert picture.ndim == 3
        assert shrink in (1, 2, 4, 8)

    honest = pictures()
    for data in honest:
        read(data)
    fuzz("picture, decoded", honest, damaged_png, read, (PictureError,), memory)


def test_reading(fuzz: Fuzzer) -> None:
    path = fuzz.folder / "picture"

    def read(data: bytes, _: object = None) -> None:
        path.write_bytes(data)
        reading = read_digits(path)
        assert all(0 <= digit.confidence <= 1 for digit in reading.digits)

    honest = pictures()
    large = encoded(".png", seven(WORKING_SIZE))  # whatever its size, a picture is analysed in this
    limit = memory_for(lambda: read(large), fuzz.folder)
    fuzz(
        "picture, read", honest, damaged_png, read, (PictureError,),
        lambda data: limit + memory(data), few=20,
    )  # fmt: skip


# --- bombs ----------------------------------------------------------------------------------------


def png(width: int, height: int) -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + bytes(4) + b"\0\0\0\0IEND"


BOMBS = {
    "65,000 x 65,000 PNG": png(65_000, 65_000),
    "a chunk of 4 GB": png(40, 40)[:33] + b"\xff\xff\xff\xf0IDAT" + bytes(40) + b"IEND",
    "the largest PNG": png(2**31 - 1, 2**31 - 1),
    "the largest GIF": b"GIF89a" + struct.pack("<HH", 65_535, 65_535) + bytes(20),
    "the largest BMP": b"BM" + bytes(16) + struct.pack("<ii", 2**31 - 1, -(2**31)) + bytes(30),
    "the largest WebP": b"RIFF\0\0\0\0WEBPVP8X" + b"\xff" * 20,
    "PPM": b"P6 30000 30000 255\n" + bytes(100),
    "PGM": b"P5\n1000000 1000\n65535\n",
    "PAM": b"P7\nWIDTH 30000\nHEIGHT 30000\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\n",
    "PFM": b"PF\n30000 30000\n-1.0\n",
    "HDR": b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 30000 +X 30000\n",
    "Sun raster": struct.pack(">8I", 0x59A66A95, 30_000, 30_000, 24, 0, 1, 0, 0),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_few_bytes_that_ask_for_gigabytes_never_reach_a_decoder(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached: list[bytes] = []
    monkeypatch.setattr(photograph, "_decode", lambda data, _: reached.append(data))
    with pytest.raises(PictureError):
        decode_picture(BOMBS[name])
    assert not reached


def test_what_has_no_end_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe")
    for endless in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(PictureError, match="device or a pipe"):
            read_picture(endless)
    (tmp_path / "large.png").write_bytes(encoded(".png", seven()))
    monkeypatch.setattr(photograph, "MOST_BYTES", 100)
    with pytest.raises(PictureError, match="bytes are more than"):
        read_picture(tmp_path / "large.png")
