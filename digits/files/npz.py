"""Arrays on disk as `.npz` files: a zip of plain `.npy` arrays and one readable `header.json`,
never a pickle. Files are written beside their place and moved into it when complete, and nothing in
them is trusted when read.
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
from digits.types import Array

FORMAT = "digits-from-scratch"
VERSION = 1
HEADER = "header.json"


class StorageError(ValueError):
    """A file that cannot be what it should be; the message names the file, what was found and what
    to do.
    """


def save_arrays(
    path: str | Path, kind: str, header: Mapping[str, Any], arrays: Mapping[str, Array]
) -> None:
    """Write named arrays and a header that JSON can hold; `kind` says what the file is, "model" or
    "checkpoint".

    The same arrays and header give the same bytes, on any day: the zip carries no time stamps.
    """
    header = {"format": FORMAT, "kind": kind, "version": VERSION, **header}
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(_member(HEADER), json.dumps(header, indent=1, allow_nan=False))
        for name, array in arrays.items():
            npy = io.BytesIO()
            np.lib.format.write_array(npy, np.asarray(array), allow_pickle=False)
            archive.writestr(_member(f"{name}.npy"), npy.getbuffer())
    write_file(path, content.getvalue())


def load_arrays(path: str | Path, kind: str) -> tuple[dict[str, Any], dict[str, Array]]:
    """Read back the header and the arrays of a file that `save_arrays` wrote.

    Raises FileNotFoundError if there is no such file, and StorageError if it is damaged, of another
    kind, from a newer version of this library, or holds anything but plain numbers.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"expected a {kind} file at {path}; there is none: check the path")
    try:
        return _read(path, kind)
    except StorageError:
        raise
    except Exception as error:  # damage surfaces anywhere in the reading, as anything
        raise StorageError(
            f"{path} is not a readable {kind} file: it is damaged, cut off or something else "
            f"({error}); use another copy"
        ) from error


def check_arrays(
    path: str | Path, arrays: Mapping[str, Array], shapes: Mapping[str, tuple[int, ...]]
) -> None:
    """Raise StorageError unless `arrays` are exactly the ones named in `shapes`: real, finite and
    of those shapes.

    Called before a network is built, so that a header that promises a billion weights costs
    nothing.
    """
    missing, surplus = sorted(shapes.keys() - arrays.keys()), sorted(arrays.keys() - shapes.keys())
    if missing or surplus:
        raise StorageError(
            f"{path} does not fit its own description: "
            f"arrays missing: {', '.join(missing) or 'none'}; "
            f"arrays not expected: {', '.join(surplus) or 'none'}"
        )
    for name, shape in shapes.items():
        array = arrays[name]
        if array.shape != tuple(shape):
            raise StorageError(
                f"{path}: expected array {name} of shape {tuple(shape)}; found shape {array.shape}"
            )
        if array.dtype not in (np.float32, np.float64):
            raise StorageError(
                f"{path}: expected array {name} of type float32 or float64; found {array.dtype}"
            )
        if not np.isfinite(array).all():
            raise StorageError(
                f"{path}: array {name} holds values that are not finite: "
                "the training that made it failed; use another copy"
            )


def _member(name: str) -> zipfile.ZipInfo:
    return zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))


def _read(path: Path, kind: str) -> tuple[dict[str, Any], dict[str, Array]]:
    size = path.stat().st_size
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        promised = sum(info.file_size for info in members)
        # Nothing compressed, and no two names for the same bytes: so the arrays cannot take more
        # memory than the file has bytes.
        plain = all(
            info.compress_type == zipfile.ZIP_STORED
            and info.compress_size == info.file_size
            and not info.comment
            for info in members
        )
        if not plain or promised > size:
            raise StorageError(
                f"{path} is not a plain .npz: of its {size:,} bytes, {promised:,} are promised to "
                "be arrays, or they are compressed; use another copy"
            )
        contents = {info.filename: archive.read(info) for info in members}
    if HEADER not in contents:
        raise StorageError(f"{path} is not a file of this library: it holds no {HEADER}")
    header = _checked_header(path, kind, contents.pop(HEADER))
    arrays = {name.removesuffix(".npy"): _read_npy(path, name, contents[name]) for name in contents}
    return header, arrays


def _checked_header(path: Path, kind: str, content: bytes) -> dict[str, Any]:
    header = json.loads(content.decode(), parse_constant=_finite, parse_float=_finite)
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise StorageError(
            f"{path} is not a file of this library: its header does not say {FORMAT!r}"
        )
    if header.get("kind") != kind:
        raise StorageError(f"expected a {kind} file; {path} is a {header.get('kind')} file")
    version = header.get("version")
    if not isinstance(version, int) or not 1 <= version <= VERSION:
        raise StorageError(
            f"{path} has format version {version}, and this library reads versions 1 to {VERSION}: "
            "update the library"
        )
    if not isinstance(header.get("about", {}), dict):
        raise StorageError(f"{path}: expected a table of facts in its header; found something else")
    return header


def _finite(text: str) -> float:
    number = float(text)  # 1e999 is infinite, too
    if not math.isfinite(number):
        raise ValueError(f"its header holds {text}, which no setting of a network can be")
    return number


def _read_npy(path: Path, name: str, content: bytes) -> Array:
    """One `.npy` array, its size checked against its header before any memory is asked for."""
    if not name.endswith(".npy"):
        raise StorageError(f"{path}: expected .npy arrays and {HEADER}; found {name}")
    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    read_header = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    shape, fortran_order, dtype = read_header(file)
    if dtype.kind not in "biuf":
        raise StorageError(
            f"{path}: expected plain numbers in {name}; found type {dtype}, which is never read"
        )
    size = math.prod(shape) * dtype.itemsize
    if size != len(content) - file.tell():
        raise StorageError(
            f"{path}: {name} promises {size} bytes of numbers; found {len(content) - file.tell()}"
        )
    array = np.frombuffer(content, dtype, offset=file.tell()).reshape(
        shape, order="F" if fortran_order else "C"
    )
    return array.copy()  # writable, and free of the file's bytes
