"""From a picture file to pixels: anything that a camera or a scanner writes, upright, in 8 bits.

What the file claims is checked before memory is spent on it.
"""

import os
import sys
from pathlib import Path

import numpy as np

from digits.types import Array

MAX_PIXELS = 120_000_000
"""Of a decoded picture: 4 bytes a pixel stay well below 1 GB."""

MAX_BYTES = 1_000_000_000
"""Of a file: as many pixels in the largest format."""

WORKING_SIZE = 2000
"""Long side, in pixels, of the picture that is analyzed."""

PIXEL_LIMIT = "OPENCV_IO_MAX_IMAGE_PIXELS"
# OpenCV takes its limit from the environment while it loads, for the whole process. A limit that
# the user has set is kept, and the environment is left as it was.
limit_before = os.environ.get(PIXEL_LIMIT)
if "cv2" not in sys.modules:
    os.environ.setdefault(PIXEL_LIMIT, str(MAX_PIXELS))
try:
    import cv2
except ImportError as error:  # the wheel opencv-python needs libGL, which servers seldom have
    raise ImportError(
        f"OpenCV does not load ({error}); on a machine without a screen this helps: "
        "pip uninstall -y opencv-python; pip install opencv-python-headless"
    ) from error
finally:
    if limit_before is None:
        os.environ.pop(PIXEL_LIMIT, None)


class PictureError(ValueError):
    """A picture that cannot be read; the message is one sentence that says why and what to do."""


def open_picture(image: str | Path | Array) -> tuple[Array, int]:
    """A file or an array as a picture, and its scale, as `read_picture` gives them."""
    if isinstance(image, str | Path):
        return read_picture(image)
    return check_picture(image), 1


def read_picture(path: str | Path) -> tuple[Array, int]:
    """The picture in a file, upright.

    PNG, JPEG, WebP, BMP, GIF (its first frame) and TIFF; gray, color, CMYK, with transparency, 8 or
    16 bits or floating point. The orientation that a camera notes in the file (EXIF) is applied.

    Returns
    -------
    picture : uint8 (height, width, 3), in OpenCV's order blue, green, red.
    scale : how many pixels of the file one of its pixels stands for, along each side: large JPEGs
        are reduced while they are decoded.

    Raises
    ------
    PictureError : the file is missing, empty, cut off, too large, or no picture.
    """
    path = Path(path)
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            raise PictureError("this is a device or a pipe, not a file; save the picture first")
        if path.is_file() and (size := path.stat().st_size) > MAX_BYTES:
            raise PictureError(
                f"{size:,} bytes are more than the {MAX_BYTES // 10**6} million that are read; "
                "save it as JPEG or PNG"
            )
        data = path.read_bytes()
    except FileNotFoundError:
        raise PictureError("there is no such file; check the path") from None
    except IsADirectoryError:
        raise PictureError("this is a folder, not a picture") from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise PictureError(f"the file cannot be read: {reason}") from None
    return decode_picture(data)


def decode_picture(data: bytes) -> tuple[Array, int]:
    """The picture in the bytes of a file, as `read_picture` gives it."""
    if not data:
        raise PictureError("the file is empty (0 bytes); copy or download it again")
    scale = 1
    if data[:2] == b"\xff\xd8":
        scale = _jpeg_scale(data)
        reduced = 0 if scale == 1 else getattr(cv2, f"IMREAD_REDUCED_GRAYSCALE_{scale}")
        picture = _decode(data, reduced | cv2.IMREAD_COLOR)  # which applies the orientation
    elif data[:4] == b"\x89PNG":
        chunks = _png_chunks(data)
        if b"IEND" not in chunks:
            raise _cut_off(data)
        picture = _turn_upright(_decode(data, cv2.IMREAD_UNCHANGED), chunks.get(b"eXIf", b""))
    elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        exif = _webp_chunks(data).get(b"EXIF", b"")
        picture = _turn_upright(_decode(data, cv2.IMREAD_UNCHANGED), exif)
    elif data[:4] in (b"II*\0", b"MM\0*", b"GIF8") or data[:2] == b"BM":
        picture = _decode(data, cv2.IMREAD_UNCHANGED)
    else:  # OpenCV knows more formats, in some of which forty bytes ask for 12 GB
        raise _no_picture(data)
    if picture.dtype != np.uint8:
        picture = _to_8_bits(picture)
    if picture.shape[2:] == (4,):
        picture = _flatten_transparency(picture)
    if picture.ndim == 2 or picture.shape[2] == 1:
        picture = cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR)
    return picture, scale


def check_picture(picture: Array) -> Array:
    """An array that is to be read, as uint8 (height, width) or (height, width, 3).

    Raises PictureError for anything that is no picture.
    """
    picture = np.asarray(picture)
    shape_fits = picture.ndim == 2 or (picture.ndim == 3 and picture.shape[2] in (1, 3, 4))
    if not shape_fits or 0 in picture.shape or picture.dtype.kind not in "biuf":
        raise PictureError(
            "expected an array of numbers (height, width) or (height, width, 3), received "
            f"{picture.dtype} of shape {picture.shape}; pass one picture, or the path of its file"
        )
    if picture.dtype != np.uint8:
        picture = _to_8_bits(picture)
    if picture.shape[2:] == (4,):
        picture = _flatten_transparency(picture)
    return picture[..., 0] if picture.shape[2:] == (1,) else picture


def _decode(data: bytes, flags: int) -> Array:
    """`cv2.imdecode`, without its words on stderr, and with PictureError for its ways to fail."""
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        if "CV_IO_MAX_IMAGE" in str(error):
            raise _too_large() from None
        picture = None
    finally:
        cv2.utils.logging.setLogLevel(level)
    if picture is None or 0 in picture.shape:
        raise _no_picture(data)
    return picture


def _to_8_bits(picture: Array) -> Array:
    """Deeper pixels, stretched from 0 ... their maximum to 0 ... 255: a 12-bit scan in a 16-bit
    file would be black otherwise. What is no number, or is below 0, counts as black."""
    with np.errstate(over="ignore"):
        light = np.nan_to_num(picture.astype(np.float32), posinf=0, neginf=0)
    light = np.maximum(light, 0)
    if picture.shape[2:] == (4,):  # the transparency has a scale of its own
        top = np.array([max(light[..., :3].max(), 1e-9)] * 3 + [max(light[..., 3].max(), 1e-9)])
    else:
        top = np.array(max(light.max(), 1e-9))
    return np.minimum(light * (255 / top.astype(np.float32)), 255).astype(np.uint8)


def _flatten_transparency(picture: Array) -> Array:
    """Blue, green, red, alpha -> blue, green, red on white, or on black where what is visible is
    light: white ink on a transparent ground must not vanish."""
    if picture[..., 3].min() == 255:  # opaque, as most are: ten times as fast
        return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGRA2BGR))
    alpha = picture[..., 3:].astype(np.float32) / 255
    color = picture[..., :3].astype(np.float32)
    visible = float((color * alpha).sum() / max(3 * float(alpha.sum()), 1e-9))
    paper = 0.0 if visible > 128 and alpha.min() < 0.5 else 255.0
    return (color * alpha + paper * (1 - alpha)).astype(np.uint8)


# --- headers --------------------------------------------------------------------------------------


def _jpeg_scale(data: bytes) -> int:
    """By how much a JPEG is to be reduced while it is decoded: 1, 2, 4 or 8.

    Raises PictureError for a file without an end, and for a picture that the decoder would have to
    hold in memory whole (one that is not baseline) and that is too large.
    """
    position, frame = 2, b""
    while True:  # from marker to marker, as libjpeg goes, up to the first scan
        position = data.find(b"\xff", position)
        if position < 0 or position + 4 > len(data):
            raise _cut_off(data)
        marker = data[position + 1]
        if marker in (0x00, 0x01, 0xFF) or 0xD0 <= marker <= 0xD8:  # these have no length
            position += 1 if marker == 0xFF else 2
            continue
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC) and not frame:
            frame = data[position : position + 9]
        if marker in (0xD9, 0xDA):
            break
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    # a thumbnail inside the header has an end, too, which does not count
    if len(frame) < 9 or data.find(b"\xff\xd9", position) < 0:
        raise _cut_off(data)
    height, width = int.from_bytes(frame[5:7], "big"), int.from_bytes(frame[7:9], "big")
    scale = 1
    while scale < 8 and max(width, height) >= 2 * scale * WORKING_SIZE:
        scale *= 2
    if frame[1] not in (0xC0, 0xC1) and width * height > MAX_PIXELS:
        raise _too_large()
    return scale


def _png_chunks(data: bytes) -> dict[bytes, bytes]:
    """The chunks of a PNG that are there from end to end, by name.

    For a chunk that says it has 4 GB, the decoder takes them first and looks afterwards.
    """
    chunks: dict[bytes, bytes] = {}
    position = 8
    while position + 12 <= len(data):  # each has a length, a name, as many bytes, a checksum
        name, start = data[position + 4 : position + 8], position + 8
        position = start + int.from_bytes(data[position : position + 4], "big") + 4
        if position <= len(data):
            chunks[name] = data[start : position - 4] if name == b"eXIf" else b""
    return chunks


def _webp_chunks(data: bytes) -> dict[bytes, bytes]:
    """The chunks of a WebP by name (RFC 9649): a name, a length, as many bytes, made even."""
    chunks: dict[bytes, bytes] = {}
    position = 12
    while position + 8 <= len(data):
        name, start = data[position : position + 4], position + 8
        length = int.from_bytes(data[position + 4 : start], "little")
        chunks[name] = data[start : start + length] if name == b"EXIF" else b""
        position = start + length + length % 2
    return chunks


def _turn_upright(picture: Array, exif: bytes) -> Array:
    """The picture turned and mirrored as its EXIF orientation (tag 274, EXIF 2.32) says."""
    exif = exif.removeprefix(b"Exif\0\0")
    order = "little" if exif[:2] == b"II" else "big"

    def number(start: int, size: int) -> int:
        return int.from_bytes(exif[start : start + size], order)  # type: ignore[arg-type]

    directory, orientation = number(4, 4), 1
    for entry in range(number(directory, 2) if len(exif) >= 8 else 0):
        start = directory + 2 + 12 * entry
        if number(start, 2) == 274:
            orientation = number(start + 8, 2)
            break
    if 5 <= orientation <= 8:
        picture = picture.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        picture = picture[:, ::-1]
    if orientation in (3, 4, 7, 8):
        picture = picture[::-1]
    return np.ascontiguousarray(picture)


def _no_picture(data: bytes) -> PictureError:
    if data[4:8] == b"ftyp":  # of the MPEG family
        return PictureError(
            "this kind of picture, such as HEIC or AVIF, is not decoded here: save it as JPEG or "
            "PNG first, or let the phone take photographs as JPEG"
        )
    begins = "".join(c if " " <= c <= "~" else "?" for c in data[:8].decode("latin-1"))
    return PictureError(
        "this is not a picture that can be decoded (PNG, JPEG, WebP, BMP, GIF or TIFF were "
        f"expected; the file begins with {begins})"
    )


def _cut_off(data: bytes) -> PictureError:
    return PictureError(
        f"the file is cut off: its {len(data):,} bytes stop before the end of the picture; "
        "copy or download it again"
    )


def _too_large() -> PictureError:
    return PictureError(
        f"the picture has more than the {MAX_PIXELS // 10**6} million pixels that are read; make "
        "it smaller, for example 4000 pixels wide"
    )
