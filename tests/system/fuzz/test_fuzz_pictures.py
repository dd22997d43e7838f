"""Hostile bytes in picture files, from the header to the last digit that is read in them."""

import os
import resource
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import numpy.polynomial  # NumPy loads it when the first picture wants it
import pytest
from fuzzer import Fuzzer
from guard import memory_for
from mutation import damaged_png
from programs import command, run

from digits.photos import decode
from digits.photos.decode import (
    MAX_PIXELS,
    WORKING_SIZE,
    PictureError,
    decode_picture,
    read_picture,
)
from digits.types import Array
from predict_image import read_digits, read_drawing


def seven(side: int = 40) -> Array:
    """A 7 with a bar, in color."""
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
    color = seven()
    gray = cv2.cvtColor(color, cv2.COLOR_BGR2GRAY)
    deep, alpha = gray.astype(np.uint16) * 200, np.dstack([color, 255 - gray])
    return [
        encoded(".png", color),
        encoded(".png", gray),
        encoded(".png", deep),
        encoded(".png", alpha),
        encoded(".jpg", color),
        encoded(".jpg", gray, cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
        encoded(".bmp", color),
        encoded(".bmp", gray),
        os2_bmp(30, 20),
        encoded(".webp", color, cv2.IMWRITE_WEBP_QUALITY, 80),
        encoded(".webp", alpha, cv2.IMWRITE_WEBP_QUALITY, 101),
        encoded(".gif", color),
        encoded(".tiff", color),
        encoded(".tiff", deep),
        encoded(".tiff", gray.astype(np.float32)),
    ]


MEMORY = 2 * 4 * 8 * MAX_PIXELS
"""Bytes: twice the largest picture that may be decoded, four channels of double precision."""


def test_decoding(fuzz: Fuzzer) -> None:
    def read(data: bytes, _: object = None) -> None:
        picture, shrink = decode_picture(data)
        assert picture.dtype == np.uint8 and picture.ndim == 3
        assert shrink in (1, 2, 4, 8)

    honest = pictures()
    for data in honest:
        read(data)
    fuzz("picture, decoded", honest, damaged_png, read, (PictureError,), lambda _: MEMORY)


def test_reading(fuzz: Fuzzer) -> None:
    path = fuzz.folder / "picture"

    def read(data: bytes, _: object = None) -> None:
        path.write_bytes(data)
        reading = read_digits(path)
        assert all(0 <= digit.confidence <= 1 for digit in reading.digits)

    honest = pictures()
    large = encoded(".png", seven(WORKING_SIZE))  # whatever its size, a picture is analyzed in this
    limit = memory_for(lambda: read(large), fuzz.folder)
    fuzz(
        "picture, read", honest, damaged_png, read, (PictureError,),
        lambda _: limit + MEMORY, few=12,
    )  # fmt: skip


def crowded(_: bytes, rng: np.random.Generator) -> bytes:
    """A sheet crowded with dashes in a row, hatching, rings, dots, waves, digits."""
    height, width = (int(side) for side in rng.integers(30, 1000, 2))
    sheet = np.full((height, width), 255, np.uint8)
    for kind in rng.integers(0, 6, int(rng.integers(1, 4))):
        count, pen = int(2 ** rng.uniform(3, 9)), int(rng.integers(1, 6))
        along, y = np.linspace(0, width, count).astype(int), int(rng.integers(height))
        for i, x in enumerate(along.tolist()):
            match kind:
                case 0:
                    cv2.line(sheet, (x, y + i % 3), (x + width // count // 2, y), 0, pen)
                case 1:
                    cv2.line(sheet, (x, height), (x + y, 0), 0, pen)
                case 2:
                    cv2.circle(sheet, (width // 2, y), x, 0, pen)
                case 3:
                    cv2.circle(sheet, (x * 7919 % width, x * i % height), pen, 0, -1)
                case 4:
                    cv2.line(sheet, (x, y + i * 37 % 50), (x + 9, y + (i + 1) * 37 % 50), 0, pen)
                case _:
                    place = x * 40 % width, x * 40 // width * 40 % height
                    cv2.putText(sheet, str(i % 10), place, 0, pen / 3, 0, pen)
    return encoded(".png", sheet)


def test_crowded_sheets(fuzz: Fuzzer) -> None:
    def read(data: bytes, _: object = None) -> None:
        sheet = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
        assert sheet is not None
        for reading in (read_drawing(sheet), read_digits(sheet)):
            assert all(0 <= digit.confidence <= 1 for digit in reading.digits)

    read(encoded(".png", cv2.cvtColor(seven(), cv2.COLOR_BGR2GRAY)))
    fuzz("crowded sheet", [b""], crowded, read, (PictureError,), 2**30, few=5)


def png(width: int, height: int) -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + bytes(4) + b"\0\0\0\0IEND"


def os2_bmp(width: int, height: int) -> bytes:
    header = struct.pack("<IHHHH", 12, width, height, 1, 24)
    return b"BM" + struct.pack("<IHHI", 0, 0, 0, 26) + header + bytes(2**20)


def tiff(*entries: tuple[int, int, int, int], after: bytes = b"") -> bytes:
    """A TIFF of these entries: tag, type, count, value."""
    directory = struct.pack("<H", len(entries))
    directory += b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0\x08\0\0\0" + directory + bytes(4) + after


def gray_tiff(*size: tuple[int, int, int, int], after: bytes = b"") -> bytes:
    """Of one strip that is not there."""
    rest = [(258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 8), (277, 3, 1, 1)]
    return tiff(*size, *rest, (278, 4, 1, 40_000), (279, 4, 1, 2**30), after=after)


def jpeg_behind_another(width: int, height: int) -> bytes:
    """A large frame behind a marker without a length (TEM), and a small one behind it."""
    small = encoded(".jpg", seven())
    frame = b"\xff\xc0" + struct.pack(">HBHHB", 11, 8, height, width, 1) + b"\x01\x11\0"
    return small[:2] + b"\xff\x01" + frame + small[2:]


BOMBS = {
    "JPEG with TEM": jpeg_behind_another(31_000, 65_000),
    "progressive JPEG": jpeg_behind_another(31_000, 65_000).replace(b"\xff\xc0", b"\xff\xc2", 1),
    "TIFF of two sizes": gray_tiff(
        *[(256, 4, 1, 40_000), (256, 4, 1, 10), (257, 4, 1, 40_000), (257, 4, 1, 10)]
    ),
    "TIFF of LONG8": gray_tiff(
        *[(256, 16, 1, 150), (257, 16, 1, 150)], after=struct.pack("<32Q", *[40_000] * 32)
    ),
    "BMP of OS/2": os2_bmp(30_000, 33_000),
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
def test_a_few_bytes_that_ask_for_gigabytes_are_refused(name: str) -> None:
    why = "million pixels" if name == "progressive JPEG" else "."
    with memory_limited_to(2**30), pytest.raises(PictureError, match=why):
        decode_picture(BOMBS[name])


def test_the_limit_holds_where_nobody_has_loaded_opencv_before(tmp_path: Path) -> None:
    large = gray_tiff((256, 4, 1, 20_000), (257, 4, 1, 20_000))
    (tmp_path / "large.tiff").write_bytes(large)
    environment = {name: text for name, text in os.environ.items() if "OPENCV" not in name}
    done = run(command("predict_image", tmp_path / "large.tiff"), env=environment, timeout=120)
    assert "120 million pixels" in done.stderr


@contextmanager
def memory_limited_to(size: int) -> Iterator[None]:
    """Asking for so many bytes more than there are now fails."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def test_what_has_no_end_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe")
    for endless in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(PictureError, match="device or a pipe"):
            read_picture(endless)
    (tmp_path / "large.png").write_bytes(encoded(".png", seven()))
    monkeypatch.setattr(decode, "MAX_BYTES", 100)
    with pytest.raises(PictureError, match="bytes are more than"):
        read_picture(tmp_path / "large.png")
