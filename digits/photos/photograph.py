"""From a picture file to the ink on it: `read_picture` opens anything a camera or a scanner writes,
`flatten_light` divides the lighting away, `find_ink` marks the strokes, `find_strokes` takes them
apart, and `normalise_digit` prepares one of them the way the makers of MNIST prepared theirs.

Nothing here knows what a digit looks like; that is the network's business (`predict_image`).
Every length is a share of the picture or of a stroke, never a number of camera pixels.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from digits.types import Array

try:
    import cv2
except ImportError as error:  # the wheel opencv-python needs libGL, which servers seldom have
    raise ImportError(
        f"OpenCV does not load ({error}); on a machine without a screen this helps: "
        "pip uninstall -y opencv-python; pip install opencv-python-headless"
    ) from error


WORKING_SIZE = 2000  # long side, in pixels, of the picture that is analysed
SMALLEST_SIZE = 300  # smaller pictures are enlarged to this, so that strokes are a few pixels wide
MOST_PIXELS = 120_000_000  # what is decoded whole: 4 bytes a pixel stay well below 1 GB

MOST_BYTES = 1_000_000_000  # of a file: as many pixels in the largest type


class PictureError(ValueError):
    """A picture that cannot be read; the message is one sentence that says why and what to do."""


# --- opening --------------------------------------------------------------------------------------


def read_picture(path: str | Path) -> tuple[Array, int]:
    """The picture in a file: upright, uint8, (height, width, 3) in OpenCV's order blue, green, red;
    and how many pixels of the file one of its pixels stands for, along each side.

    PNG, JPEG, WebP, BMP, GIF (its first frame) and TIFF; grey, colour, CMYK, with transparency, 8
    or 16 bits or floating point.  The orientation that a camera notes in the file (EXIF) is
    applied.  Large JPEGs are reduced while they are decoded.

    Raises PictureError for a file that is missing, empty, cut off, too large, or no picture.
    """
    path = Path(path)
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            raise PictureError("this is a device or a pipe, not a file; save the picture first")
        if path.is_file() and (size := path.stat().st_size) > MOST_BYTES:
            raise PictureError(
                f"{size:,} bytes are more than the {MOST_BYTES // 10**6} million that are read; "
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
    if not data:
        raise PictureError("the file is empty (0 bytes); copy or download it again")
    return decode_picture(data)


def decode_picture(data: bytes) -> tuple[Array, int]:
    """The same for the bytes of a file."""
    width, height = _size_in_header(data)
    if width * height == 0:
        raise PictureError(f"its header says {width} x {height} pixels: nothing to see")
    is_jpeg = data[:2] == b"\xff\xd8"
    shrink = 1
    if is_jpeg:
        while shrink < 8 and max(width, height) >= 2 * shrink * WORKING_SIZE:
            shrink *= 2
    if width * height > MOST_PIXELS * (shrink * shrink if _is_baseline_jpeg(data) else 1):
        raise PictureError(
            f"{width} x {height} pixels are more than the {MOST_PIXELS // 10**6} million that are "
            "read; make the picture smaller, for example 4000 pixels wide"
        )
    if (is_jpeg and _jpeg_end(data) < 0) or (data[:4] == b"\x89PNG" and not _is_whole_png(data)):
        raise PictureError(
            f"the file is cut off: its {len(data):,} bytes stop before the end of the picture; "
            "copy or download it again"
        )
    turned = any(name in data for name in (b"Exif", b"EXIF", b"eXIf", b"II*\0", b"MM\0*"))
    reduced = {
        1: cv2.IMREAD_COLOR,
        2: cv2.IMREAD_REDUCED_COLOR_2,
        4: cv2.IMREAD_REDUCED_COLOR_4,
        8: cv2.IMREAD_REDUCED_COLOR_8,
    }
    picture = None if is_jpeg else _decode(data, cv2.IMREAD_UNCHANGED)
    if picture is None or (picture.dtype == np.uint8 and picture.shape[2:] != (4,) and turned):
        picture = _decode(data, reduced[shrink])  # the flags that turn the picture upright
    if picture is None:
        raise _no_picture(data)
    if picture.dtype != np.uint8:
        picture = _to_8_bits(picture)
    if picture.shape[2:] == (4,):
        picture = _flatten_transparency(picture)
    if picture.ndim == 2 or picture.shape[2] == 1:
        picture = cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR)
    return picture, shrink


def check_picture(picture: Array) -> Array:
    """An array that is to be read, as uint8 (height, width) or (height, width, 3); raises
    PictureError for anything that is no picture."""
    picture = np.asarray(picture)
    shape_fits = picture.ndim == 2 or (picture.ndim == 3 and picture.shape[2] in (1, 3, 4))
    if not shape_fits or 0 in picture.shape or picture.dtype.kind not in "biuf":
        raise PictureError(
            "expected an array of numbers (height, width) or (height, width, 3), received "
            f"{picture.dtype} of shape {picture.shape}"
        )
    if picture.dtype != np.uint8:
        picture = _to_8_bits(picture)
    if picture.shape[2:] == (4,):
        picture = _flatten_transparency(picture)
    return picture[..., 0] if picture.shape[2:] == (1,) else picture


def _decode(data: bytes, flags: int) -> Array | None:
    """`cv2.imdecode` with its two ways to fail, None and an exception, made one and silent."""
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        return None
    finally:
        cv2.utils.logging.setLogLevel(level)


def _to_8_bits(picture: Array) -> Array:
    """Deeper pixels, stretched from 0 ... their maximum to 0 ... 255: a 12-bit scan in a 16-bit
    file would be black otherwise.  What is no number, or is below 0, counts as black."""
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
    alpha = picture[..., 3:].astype(np.float32) / 255
    colour = picture[..., :3].astype(np.float32)
    visible = float((colour * alpha).sum() / max(3 * float(alpha.sum()), 1e-9))
    paper = 0.0 if visible > 128 and alpha.min() < 0.5 else 255.0
    return (colour * alpha + paper * (1 - alpha)).astype(np.uint8)


def _no_picture(data: bytes) -> PictureError:
    return PictureError(
        "this is not a picture that can be decoded (PNG, JPEG, WebP, BMP, GIF or TIFF were "
        f"expected; the file begins with {data[:8]!r})"
    )


def _size_in_header(data: bytes) -> tuple[int, int]:
    """Width and height as the file's header gives them, so that nothing huge is decoded first.  The
    decoder knows more formats, of which forty bytes may ask for 12 GB: they are refused."""
    try:
        if data[:4] == b"\x89PNG":
            width, height = struct.unpack(">II", data[16:24])
        elif data[:3] == b"GIF":
            width, height = struct.unpack("<HH", data[6:10])
        elif data[:2] == b"BM":
            width, height = struct.unpack("<ii", data[18:26])
        elif data[:2] == b"\xff\xd8":
            frame = _jpeg_frame(data)
            height, width = struct.unpack(">HH", data[frame + 5 : frame + 9])
        elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            width, height = _webp_size(data)
        elif data[:4] in (b"II*\0", b"MM\0*"):
            width, height = _tiff_size(data)
        else:
            raise _no_picture(data)
    except (struct.error, IndexError):
        raise PictureError(
            f"the file is cut off: its {len(data):,} bytes do not even hold the header of a "
            "picture; copy or download it again"
        ) from None
    return width, abs(height)  # a BMP that is stored top down has a negative height


def _jpeg_segments(data: bytes) -> list[tuple[int, int]]:
    """(marker, position) of the segments of a JPEG up to the start of its first scan."""
    segments, position = [], 2
    while position + 4 <= len(data):
        if data[position] != 0xFF:
            break
        marker = data[position + 1]
        if marker == 0xFF:  # a fill byte
            position += 1
            continue
        segments.append((marker, position))
        if marker == 0xDA:
            break
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return segments


def _jpeg_frame(data: bytes) -> int:
    """Position of the frame header (SOF): C0 to CF without DHT, JPG and DAC."""
    for marker, position in _jpeg_segments(data):
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return position
    raise IndexError("no frame header")


def _is_baseline_jpeg(data: bytes) -> bool:
    """Whether a JPEG can be reduced while it is decoded: a progressive one is held in memory
    whole."""
    if data[:2] != b"\xff\xd8":
        return False
    return data[_jpeg_frame(data) + 1] in (0xC0, 0xC1)


def _jpeg_end(data: bytes) -> int:
    """Position of the end-of-image marker after the first scan, or -1: a thumbnail inside the
    header has one too, and does not count."""
    segments = _jpeg_segments(data)
    if not segments or segments[-1][0] != 0xDA:
        return -1
    return data.find(b"\xff\xd9", segments[-1][1])


def _is_whole_png(data: bytes) -> bool:
    """Whether every chunk is there, up to the last one: for a chunk that says it has 4 GB, the
    decoder takes them first and looks afterwards.
    """
    position = 8
    while position + 12 <= len(data):  # each has a length, a name, as many bytes, a checksum
        name = data[position + 4 : position + 8]
        position += 12 + int.from_bytes(data[position : position + 4], "big")
        if name == b"IEND":
            return position <= len(data)
    return False


def _webp_size(data: bytes) -> tuple[int, int]:
    """The three kinds of WebP: lossy, lossless, extended (RFC 9649)."""
    kind = data[12:16]
    if kind == b"VP8 ":
        width, height = struct.unpack("<HH", data[26:30])
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L":
        (bits,) = struct.unpack("<I", data[21:25])
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width = int.from_bytes(data[24:27], "little") + 1
    return width, int.from_bytes(data[27:30], "little") + 1


def _tiff_size(data: bytes) -> tuple[int, int]:
    """Tags 256 and 257 of the first directory (TIFF 6.0)."""
    order = "<" if data[:2] == b"II" else ">"
    (directory,) = struct.unpack(order + "I", data[4:8])
    (entries,) = struct.unpack(order + "H", data[directory : directory + 2])
    size = {256: 1, 257: 1}
    for entry in range(entries):
        start = directory + 2 + 12 * entry
        tag, kind = struct.unpack(order + "HH", data[start : start + 4])
        if tag in size:
            layout, end = ("H", start + 10) if kind == 3 else ("I", start + 12)
            (size[tag],) = struct.unpack(order + layout, data[start + 8 : end])
    return size[256], size[257]


# --- light ----------------------------------------------------------------------------------------


def working_copy(picture: Array) -> tuple[Array, float]:
    """The picture in grey at the size it is analysed in, and that size over the original one."""
    longest = max(picture.shape[:2])
    scale = min(WORKING_SIZE, max(SMALLEST_SIZE, longest)) / longest
    if scale != 1:
        size = tuple(max(1, round(side * scale)) for side in picture.shape[1::-1])
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        picture = cv2.resize(picture, size, interpolation=how)
    if picture.ndim == 3:
        picture = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    return picture, scale


def is_light_on_dark(grey: Array) -> bool:
    """Whether the writing is lighter than what it is written on.

    Writing is the minority that departs from its surroundings: the sum of cubed departures from a
    median over a third of the picture has the sign of the ink.  A median follows shadows and the
    edges of a table, which therefore do not count.
    """
    small = _shrink(grey, 300)
    size = _odd(min(small.shape) / 3)
    padded = cv2.copyMakeBorder(small, size, size, size, size, cv2.BORDER_REPLICATE)
    paper = cv2.medianBlur(padded, size)[size:-size, size:-size]
    return bool(((small.astype(np.float64) - paper) ** 3).sum() > 0)


def flatten_light(grey: Array) -> Array:
    """The picture as if evenly lit, uint8: paper 255, ink darker, whichever way round it was.

    What a camera sees is light times reflectance, so the light divides away.  The light is what
    remains when everything dark and thinner than a sixth of the picture is filled in (a
    morphological closing), which leaves hard shadows and dark tables where they are.
    """
    if is_light_on_dark(grey):
        grey = 255 - grey
    small = cv2.medianBlur(_shrink(grey, 400), 3)
    size = _odd(min(small.shape) / 6)
    padded = cv2.copyMakeBorder(small, size, size, size, size, cv2.BORDER_REPLICATE)
    light = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, np.ones((size, size), np.uint8))
    light = cv2.medianBlur(light, 5)[size:-size, size:-size]
    light = cv2.resize(light, grey.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return cv2.divide(grey, np.maximum(light, 32), scale=255)


def _shrink(grey: Array, longest: int) -> Array:
    scale = longest / max(grey.shape)
    if scale >= 1:
        return grey
    size = tuple(max(1, round(side * scale)) for side in grey.shape[::-1])
    return cv2.resize(grey, size, interpolation=cv2.INTER_AREA)


def _odd(size: float) -> int:
    """The nearest odd number from 3 up: what a filter that has a middle needs."""
    return max(3, int(size) // 2 * 2 + 1)


# --- ink ------------------------------------------------------------------------------------------


def find_ink(flat: Array) -> tuple[Array, Array]:
    """Which pixels are ink, bool, and how much of it lies there, float32 in [0, 1].

    Ink is darker than paper is by chance (five standard deviations, measured on this paper in this
    light; as few as three where the darkest ink is faint), and more than two fifths as dark as the
    darkest within one and a half stroke widths.  So a stroke ends where its blurred edge fades, a
    pencil beside a marker keeps its width, and grey ruling under a pen counts as paper.  The lines
    of ruled or squared paper are taken out.
    """
    darkness = cv2.GaussianBlur(255 - flat, (0, 0), max(0.7, max(flat.shape) / WORKING_SIZE))
    paper, spread = _paper(darkness)
    if np.median(spread) > 6:  # coarse grain: look through a coarser lens
        darkness = cv2.GaussianBlur(darkness, (0, 0), 1.5)
        paper, spread = _paper(darkness)
    contrast = float(np.quantile(darkness[::2, ::2], 0.99)) - paper
    chance = np.maximum(3 * spread, np.minimum(5 * spread, 0.4 * contrast))
    marked = darkness > paper + np.maximum(chance, 12)
    reach = max(flat.shape) * 0.03
    for _ in range(2):  # the first pass finds how wide the strokes are
        size = _odd(reach)
        peak = cv2.dilate(darkness, np.ones((size, size), np.uint8))
        ink = marked & (darkness > 0.4 * peak)
        reach = max(reach, 3 * stroke_width(ink))
    amount = np.clip((darkness - paper) / np.maximum(peak - paper, 1.0), 0, 1).astype(np.float32)
    return erase_rulings(ink, marked, darkness), amount


def _paper(darkness: Array) -> tuple[float, Array]:
    """How dark the paper is, and by how much that varies, for every pixel: in deep shadow, where
    the light was divided by a small number, the grain is coarser."""
    sample = darkness[::2, ::2].astype(np.float32)
    paper = float(np.median(sample))
    overall = 1.4826 * float(np.median(np.abs(sample - paper)))  # as of a normal distribution
    grain = np.abs(sample - cv2.GaussianBlur(sample, (0, 0), 2))
    size = _odd(max(sample.shape) / 8)
    local = 1.6 * cv2.blur(grain, (size, size))
    # strokes and rulings are grain to this measure, so it is not believed beyond measure
    spread = cv2.resize(np.clip(local, overall, 2.5 * overall + 1), darkness.shape[::-1])
    return paper, spread


def stroke_width(ink: Array) -> float:
    """Typical width of the strokes, in pixels: twice the distance to the paper along their middle
    lines, weighted by ink; 0 without ink."""
    if not ink.any():
        return 0.0
    ink = np.pad(ink, 1)  # beyond the picture there is paper
    distance = cv2.distanceTransform(ink.astype(np.uint8), cv2.DIST_L2, 3)
    ridge = distance[(distance >= cv2.dilate(distance, np.ones((3, 3), np.uint8))) & ink]
    order = np.sort(ridge)
    heavy = np.searchsorted(np.cumsum(order), order.sum() / 2)
    return float(2 * order[min(heavy, len(order) - 1)])


def erase_rulings(ink: Array, marked: Array, darkness: Array) -> Array:
    """The ink without the lines of ruled or squared paper, which are sought in all that is darker
    than the paper (`marked`): there the lines have no gaps.

    A ruling is thinner than a twentieth of its length and leaves the picture at both ends; or it is
    one of three that leave it at one end, or that run over three fifths of it.  It is erased only
    where it stands alone.  A stroke that crosses it stays: there the ink reaches further up and
    down than the ruling is thick, or is a third darker than most of the ruling.
    """
    across, thickness_across = _rulings_across(marked, darkness)
    down, thickness_down = _rulings_across(marked.T, darkness.T)
    down = down.T
    # where two rulings cross, the second one swallows its share of what the first one left
    faint = darkness <= across + down - across * down / 255
    kept = ink.copy()
    if thickness_across:
        taller = np.ones((round(1.5 * thickness_across) + 3, 1), np.uint8)
        strokes = (ink & ~(faint & (down > 0))).astype(np.uint8)
        crossed = cv2.morphologyEx(strokes, cv2.MORPH_OPEN, taller).astype(bool)
        kept &= ~(faint & (across > 0)) | crossed
    if thickness_down:
        wider = np.ones((1, round(1.5 * thickness_down) + 3), np.uint8)
        strokes = (ink & ~(faint & (across > 0))).astype(np.uint8)
        crossed = cv2.morphologyEx(strokes, cv2.MORPH_OPEN, wider).astype(bool)
        kept &= ~(faint & (down > 0)) | crossed
    return kept


def _rulings_across(marked: Array, darkness: Array) -> tuple[Array, float]:
    """The rulings that run from left to right, up to 15 degrees askew: for every pixel the darkness
    up to which it may be ruling, 0 where there is none; and how thick the rulings are."""
    step = max(1, round(max(marked.shape) / 600))
    cell = np.ones((step, step), np.uint8)
    # a cell takes the darkest of its pixels, so that not even the thinnest line gets lost
    cells = cv2.dilate(marked.astype(np.uint8), cell)[::step, ::step]
    shades = cv2.dilate(darkness, cell)[::step, ::step]
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(_long_lines(cells), connectivity=8)
    columns = cells.shape[1]
    left, length, area = boxes[:, 0], boxes[:, 2], boxes[:, 4]
    thickness = area / length - 2  # the lines were thickened by two
    thin = thickness < np.maximum(2, length / 20)
    thin[0] = False  # the paper
    top, bottom = boxes[:, 1], boxes[:, 1] + boxes[:, 3]
    ends = (left <= 2).astype(int) + (left + length >= columns - 2)
    ends += ((top <= 2) | (bottom >= len(cells) - 2)) & (ends == 1)  # cut off at a corner
    is_ruling = thin & (ends == 2)
    for family in (thin & (ends > 0), thin & (length > 0.6 * columns)):
        if family.sum() >= 3:
            is_ruling |= family
    limit = np.zeros(count, np.float32)
    for line in np.flatnonzero(is_ruling):
        limit[line] = 1.3 * np.quantile(shades[labels == line], 0.75)
    if is_ruling.any():  # one press printed them all; what is darker has a stroke on it
        limit = np.minimum(limit, 1.2 * np.median(limit[is_ruling]))
    limits = cv2.dilate(limit[labels], np.ones((3, 3), np.uint8))
    limits = cv2.resize(limits, None, fx=step, fy=step, interpolation=cv2.INTER_NEAREST)
    limits = limits[: marked.shape[0], : marked.shape[1]]
    return limits, step * float(np.max(thickness[is_ruling], initial=0))


def _long_lines(cells: Array) -> Array:
    """Where a straight line at least a quarter of the picture long passes, uint8.

    The picture is sheared so that lines of one slope after the other become level; small gaps are
    closed, and everything that is no level run is taken away (a morphological closing and opening).
    """
    rows, columns = cells.shape
    margin = columns // 7  # room for what a shear moves out of the picture
    thickened = cv2.dilate(cells, np.ones((3, 1), np.uint8))  # a line bends a little
    thickened = np.pad(thickened, ((margin, margin), (0, 0)))
    size = columns, rows + 2 * margin
    run, gap = np.ones((1, max(15, columns // 4)), np.uint8), np.ones((1, 7))
    lines = np.zeros_like(thickened)
    for slope in np.linspace(-0.27, 0.27, 19):
        shear = np.array([[1, 0, 0], [-slope, 1, slope * columns / 2]])
        level = cv2.warpAffine(thickened, shear, size, flags=cv2.INTER_NEAREST)
        level = cv2.morphologyEx(level, cv2.MORPH_CLOSE, gap)
        level = cv2.morphologyEx(level, cv2.MORPH_OPEN, run)
        if level.any():
            shear[1] = slope, 1, -slope * columns / 2
            level = cv2.warpAffine(level, shear, size, flags=cv2.INTER_NEAREST)
            lines = np.maximum(lines, level)
    return np.ascontiguousarray(lines[margin : margin + rows])


# --- strokes --------------------------------------------------------------------------------------


@dataclass
class Stroke:
    """Connected ink: its box (x, y, width, height) in the working picture; for each pixel of the
    box, how much of the stroke's ink lies there, float32 in [0, 1]; and how dark it is on average,
    in [0, 255]."""

    box: tuple[int, int, int, int]
    ink: Array
    darkness: float

    @property
    def longest(self) -> int:
        """The longer side of the box."""
        return max(self.box[2:])


def find_strokes(ink: Array, amount: Array, flat: Array, most: int = 300) -> list[Stroke]:
    """The connected pieces of the ink, the longest first, without what no pen wrote.

    Left out are specks (shorter than 6 pixels or a 160th of the picture), blots (thicker than two
    fifths of their length, such as the corner of a dark table), and what runs along the edge of the
    picture for more than half of its length.
    """
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(ink.astype(np.uint8), connectivity=8)
    order = sorted(range(1, count), key=lambda piece: -max(boxes[piece, 2:4]))
    rows, columns = ink.shape
    strokes: list[Stroke] = []
    for piece in order:
        x, y, width, height, _ = (int(number) for number in boxes[piece])
        longest = max(width, height)
        if longest < max(6, max(ink.shape) / 160) or len(strokes) == most:
            break
        here = slice(y, y + height), slice(x, x + width)
        own = labels[here] == piece
        along_edge = (
            own[:, 0].sum() * (x == 0)
            + own[0].sum() * (y == 0)
            + own[:, -1].sum() * (x + width == columns)
            + own[-1].sum() * (y + height == rows)
        )
        if along_edge > longest / 2:
            continue
        depth = cv2.distanceTransform(np.pad(own.astype(np.uint8), 1), cv2.DIST_L2, 3)
        if 2 * depth.max() > max(0.4 * longest, 4):
            continue
        darkness = 255 - float(flat[here][own].mean())
        strokes.append(Stroke((x, y, width, height), np.where(own, amount[here], 0), darkness))
    return strokes


def as_box(box: tuple[int, int, int, int], scale: float) -> tuple[int, int, int, int]:
    """A box in a picture that is `scale` times as large."""
    x, y, width, height = (round(side * scale) for side in box)
    return x, y, max(1, width), max(1, height)


def join(strokes: list[Stroke]) -> Stroke:
    """Several strokes as one, such as a 5 and its bar."""
    left = min(stroke.box[0] for stroke in strokes)
    top = min(stroke.box[1] for stroke in strokes)
    right = max(stroke.box[0] + stroke.box[2] for stroke in strokes)
    bottom = max(stroke.box[1] + stroke.box[3] for stroke in strokes)
    ink = np.zeros((bottom - top, right - left), np.float32)
    for stroke in strokes:
        x, y, width, height = stroke.box
        here = ink[y - top : y - top + height, x - left : x - left + width]
        np.maximum(here, stroke.ink, out=here)
    darkest = max(stroke.darkness for stroke in strokes)
    return Stroke((left, top, right - left, bottom - top), ink, darkest)


def cut(stroke: Stroke) -> list[Stroke]:
    """A stroke that may be touching digits, cut from top to bottom where its ink is thinnest: the
    pieces from left to right, or the stroke alone where nothing suggests a cut.

    Cuts go through the columns with the least ink around them, never through more than half of the
    height; pieces are at least a sixth of the height wide, and there are no more than three for the
    width of a digit.
    """
    _, _, width, height = stroke.box
    if width < 0.7 * height:
        return [stroke]
    pen = stroke_width(stroke.ink > 0)
    column = cv2.blur(stroke.ink.sum(axis=0, keepdims=True), (_odd(pen / 2), 1))[0]
    narrowest, most = max(3.0, height / 6), min(12, round(3 * width / height))
    reach = round(narrowest / 2)
    found: list[int] = []
    for x in np.argsort(column, kind="stable"):
        if column[x] > height / 2 or len(found) == most:
            break
        around = column[max(0, x - reach) : x + reach + 1]
        if column[x] <= around.min() and all(
            abs(x - other) >= narrowest for other in (0, width, *found)
        ):
            found.append(int(x))
    edges = [0, *sorted(found), width]
    return [_part(stroke, left, right) for left, right in pairwise(edges)]


def _part(stroke: Stroke, left: int, right: int) -> Stroke:
    """The columns from left to right of a stroke, in the box of their own ink."""
    x, y, _, height = stroke.box
    ink = stroke.ink[:, left:right]
    rows = np.flatnonzero(ink.any(axis=1))
    top, bottom = (int(rows[0]), int(rows[-1]) + 1) if len(rows) else (0, height)
    return Stroke((x + left, y + top, right - left, bottom - top), ink[top:bottom], stroke.darkness)


def normalise_digit(ink: Array) -> Array:
    """One digit as MNIST shows its digits: float32 (28, 28) in [0, 1], ink 1 on paper 0.

    The recipe of MNIST's makers (LeCun et al. 1998, section III.A, in the details of their code as
    published with QMNIST by Yadav and Bottou 2019): the box around the ink, made square by paper on
    its short side, is averaged down to 20 x 20; the darkest pixel becomes 1; whole pixels of shift
    bring the centre of mass to pixel 14, 14 of 28 x 28, as far as the frame allows.

    A thin pen is thickened first, to a tenth of the box: MNIST's pens were 2 to 3 of the 20 pixels
    wide, and a hair line would fade to grey when it is averaged.
    """
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    image = np.zeros((28, 28), np.float32)
    if not len(rows):
        return image
    ink = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.float32)
    scale = 80 / max(ink.shape)  # four times the final size: enough to measure the pen
    size = tuple(max(1, round(side * scale)) for side in ink.shape[::-1])
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    ink = np.pad(cv2.resize(ink, size, interpolation=how), 8)
    missing = round(8 - stroke_width(ink > 0.5))
    if missing > 0:
        pen = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (missing + 1, missing + 1))
        ink = cv2.dilate(ink, pen)
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    ink = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    height, width = ink.shape
    side = max(height, width)
    square = np.zeros((side, side), np.float32)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = ink
    small = cv2.resize(square, (20, 20), interpolation=cv2.INTER_AREA)
    small = small / small.max()
    along = np.arange(20)
    y = round(14 - float(small.sum(axis=1) @ along / small.sum()))
    x = round(14 - float(small.sum(axis=0) @ along / small.sum()))
    y, x = min(max(y, 0), 8), min(max(x, 0), 8)
    image[y : y + 20, x : x + 20] = small
    return image
