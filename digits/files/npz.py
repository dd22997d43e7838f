"""Arrays on disk as `.npz` files: a zip of plain `.npy` arrays and one readable `header.json`,
never a pickle. Nothing in them is trusted when read.
"""

import io
import json
import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from digits.files.atomic import write_file
from digits.types import Array, Shape

FORMAT = "digits-from-scratch"
VERSION = 1
HEADER = "header.json"
KERAS = "found a model of Keras: read it with digits.keras.models.load_model"


class StorageError(ValueError):
    """A file that is not what it should be; the message says which, what it is and what to do."""


def save_arrays(
    path: str | Path, kind: str, header: Mapping[str, Any], arrays: Mapping[str, Array]
) -> None:
    """Write named arrays and a header of plain values; `kind` is "model" or "checkpoint".

    The same arrays and header give the same bytes, on any day: the zip carries no time stamps.
    """
    header = {"format": FORMAT, "kind": kind, "version": VERSION, **header}
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:
        text = json.dumps(header, indent=1, allow_nan=False, default=_plain)
        archive.writestr(_member(HEADER), text)
        for name, array in arrays.items():
            npy = io.BytesIO()
            np.lib.format.write_array(npy, np.asarray(array), allow_pickle=False)
            archive.writestr(_member(f"{name}.npy"), npy.getbuffer())
    write_file(path, content.getvalue())


def _plain(value: object) -> Any:
    """A number of NumPy, or an array, as JSON knows it."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    advice = "make it one of these; a function of your own belongs into a layer class of your own"
    raise ValueError(f"expected texts, numbers, lists or dicts; received {value!r:.200}: {advice}")


def _member(name: str) -> zipfile.ZipInfo:
    return zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))


def load_arrays(path: str | Path, kind: str) -> tuple[dict[str, Any], dict[str, Array]]:
    """Read back the header and the arrays of a file that `save_arrays` wrote.

    Raises FileNotFoundError if there is no such file, and StorageError if it is damaged, of another
    kind, from a newer version of this library, or holds anything but plain numbers.
    """
    path = Path(path)
    if not path.is_file():
        raise _no_file(path, kind)
    try:
        return _read(path, kind)
    except StorageError as error:
        raise StorageError(f"{path}: {error}") from None
    except Exception as error:  # damage surfaces anywhere in the reading, as anything
        with path.open("rb") as file:
            start = file.read(4)
        found = f"found another kind of file ({error})"
        if start[:2] == b"PK" or not start:
            found = f"it is damaged or cut off ({error}): use another copy"
        elif start == b"\x89HDF":
            found = KERAS
        raise StorageError(f"{path}: expected a {kind} file; {found}") from error


def check_arrays(
    path: str | Path, arrays: Mapping[str, Array], shapes: Mapping[str, Shape]
) -> None:
    """Raise StorageError unless `arrays` are exactly the ones named in `shapes`: real, finite and
    of those shapes. It is called before memory is taken for a network as large as a header says.
    """
    names, found = ", ".join(sorted(shapes)), ", ".join(sorted(arrays))
    require(names == found, f"{path}: expected arrays {names}; found {found or 'none'}")
    for name, shape in shapes.items():
        array, expected = arrays[name], f"{path}: expected array {name} of"
        same, known = array.shape == tuple(shape), array.dtype in (np.float32, np.float64)
        require(same, f"{expected} shape {tuple(shape)}; found shape {array.shape}")
        require(known, f"{expected} dtype float32 or float64; found {array.dtype}")
        finite = np.isfinite(array).all()
        require(finite, f"{expected} finite numbers; found others: train it again")


def require(condition: object, text: str) -> None:
    """Raise StorageError with this text unless the condition holds."""
    if not condition:
        raise StorageError(text)


def _no_file(path: Path, kind: str) -> FileNotFoundError | StorageError:
    """What there is instead of a file."""
    if path.exists():
        found = "a folder: name the file in it" if path.is_dir() else "a pipe or a device"
        return StorageError(f"{path}: expected a {kind} file; found {found}")
    archive = next((parent for parent in path.parents if parent.is_file()), None)
    found = "there is none: check the path, or train a network"
    if archive is not None:
        found = f"{archive} is a file: name its folder, or unpack an archive"
    return FileNotFoundError(f"expected a {kind} file at {path}; {found}")


def _read(path: Path, kind: str) -> tuple[dict[str, Any], dict[str, Array]]:
    size = path.stat().st_size
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        require("config.json" not in archive.namelist(), f"expected a {kind} file; {KERAS}")
        # Nothing compressed, and no two names for the same bytes: so the arrays cannot take more
        # memory than the file has bytes.
        plain = all(
            info.compress_type == zipfile.ZIP_STORED
            and info.compress_size == info.file_size
            and not info.comment
            for info in members
        )
        promised = sum(info.file_size for info in members)
        found = f"found compressed arrays, or {promised:,} bytes of them"
        expected = f"expected an .npz without compression of at most {size:,} bytes"
        require(plain and promised <= size, f"{expected}; {found}")
        contents = {info.filename: archive.read(info) for info in members}
    require(HEADER in contents, f"expected a file of this library; found one without {HEADER}")
    header = _checked_header(kind, contents.pop(HEADER))
    return header, {name.removesuffix(".npy"): _read_npy(name, contents[name]) for name in contents}


def _checked_header(kind: str, content: bytes) -> dict[str, Any]:
    header = json.loads(content.decode(), parse_constant=_finite, parse_float=_finite)
    ours = isinstance(header, dict) and header.get("format") == FORMAT
    other = f"found a header that does not say {FORMAT!r}"
    require(ours, f"expected a file of this library; {other}")
    found, version = header.get("kind"), header.get("version")
    require(found == kind, f"expected a {kind} file; found a {found} file")
    known, newer = range(1, VERSION + 1), f"found {version}: update the library"
    require(version in known, f"expected format version 1 to {VERSION}; {newer}")
    require(isinstance(header.get("about", {}), dict), "expected a table of facts in its header")
    return header


def _finite(text: str) -> float:
    number = float(text)  # 1e999 is infinite, too
    require(math.isfinite(number), f"expected finite numbers in its header; found {text:.40}")
    return number


def _read_npy(name: str, content: bytes) -> Array:
    """One `.npy` array, its size checked against its header before any memory is asked for."""
    require(name.endswith(".npy"), f"expected .npy arrays and {HEADER}; found {name}")
    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    require(version == (1, 0), f"expected {name} in .npy version 1.0; found {version}")
    shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(file)
    require(dtype.kind in "biuf", f"expected plain numbers in {name}; found dtype {dtype}")
    size, found = math.prod(shape) * dtype.itemsize, len(content) - file.tell()
    require(size == found, f"expected {size} bytes of numbers in {name}; found {found}")
    flat = np.frombuffer(content, dtype, offset=file.tell())
    # A copy is writable, and free of the file's bytes.
    return flat.reshape(shape, order="F" if fortran_order else "C").copy()
