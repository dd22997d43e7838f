"""What is read is exactly what was written, or refused in one sentence."""

import io
import json
import os
import pickle
import time
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from programs import names_in

from digits.files.npz import FORMAT, VERSION, StorageError, check_arrays, load_arrays, save_arrays
from digits.types import Array

HEADER = {"note": "Ziffern, 数字", "sizes": [3, 4], "accuracy": 0.9471, "none": None}


@pytest.fixture
def arrays(rng: np.random.Generator) -> dict[str, Array]:
    return {
        "W1": rng.normal(size=(3, 4)).astype(np.float32),
        "b1": rng.normal(size=4).astype(np.float32),
    }


@pytest.fixture
def path(tmp_path: Path, arrays: dict[str, Array]) -> Path:
    path = tmp_path / "model.npz"
    save_arrays(path, "model", HEADER, arrays)
    return path


def is_what_was_written(path: Path, arrays: dict[str, Array]) -> bool:
    header, loaded = load_arrays(path, "model")
    bits = [
        [(name, a.dtype, a.shape, a.tobytes()) for name, a in each.items()]
        for each in (loaded, arrays)
    ]
    return header == good(**HEADER) and bits[0] == bits[1]


def test_arrays_and_header_come_back(path: Path, arrays: dict[str, Array]) -> None:
    assert is_what_was_written(path, arrays)
    assert names_in(path.parent) == ["model.npz"]
    for array in load_arrays(path, "model")[1].values():
        assert array.flags.writeable and array.flags.owndata


@pytest.mark.parametrize("dtype", ["?", "u1", "i4", "i8", "f2", "f4", "f8", ">f4"])
@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (1,), (7,), (2, 3), (2, 1, 3, 4)])
def test_arrays_of_every_dtype_and_shape_come_back(
    dtype: str, shape: tuple[int, ...], tmp_path: Path, rng: np.random.Generator
) -> None:
    array = np.asarray(rng.integers(0, 2, shape)).astype(dtype)
    save_arrays(tmp_path / "a.npz", "model", {}, {"a": array})
    loaded = load_arrays(tmp_path / "a.npz", "model")[1]["a"]
    assert (loaded.dtype, loaded.shape) == (array.dtype, array.shape)
    np.testing.assert_array_equal(loaded, array)


def test_the_same_content_gives_the_same_bytes(
    path: Path, arrays: dict[str, Array], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = path.read_bytes()
    monkeypatch.setattr(time, "time", lambda: 2e9)
    monkeypatch.setattr(time, "localtime", lambda *_: time.gmtime(2e9))
    other = path.with_name("other.npz")
    save_arrays(other, "model", HEADER, arrays)
    assert other.read_bytes() == first


@pytest.mark.parametrize(
    ("header", "array"),
    [
        ({"rate": float("nan")}, np.zeros(3)),  # no such number in JSON
        ({"path": Path("a")}, np.zeros(3)),
        ({}, np.array([{"a": 1}], dtype=object)),  # would have to be a pickle
    ],
)
def test_what_cannot_be_stored_is_refused_before_anything_is_written(
    header: dict[str, Any], array: Array, path: Path, arrays: dict[str, Array]
) -> None:
    with pytest.raises((TypeError, ValueError)):
        save_arrays(path, "model", header, {"a": array})
    assert is_what_was_written(path, arrays)
    assert names_in(path.parent) == ["model.npz"]


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.npz; there is none: check the path"):
        load_arrays(tmp_path / "none.npz", "model")
    with pytest.raises(StorageError, match="found a folder: name the file in it"):
        load_arrays(tmp_path, "model")
    (tmp_path / "digits.whl").touch()
    with pytest.raises(FileNotFoundError, match=r"digits\.whl is a file: name its folder"):
        load_arrays(tmp_path / "digits.whl" / "models" / "photo.npz", "model")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no FIFOs")
def test_a_fifo_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "model.npz")
    for path in (tmp_path / "model.npz", Path("/dev/zero")):
        with pytest.raises(StorageError, match="found a pipe or a device"):
            load_arrays(path, "model")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "damaged.*another copy"),
        (b"PK\x03\x04", "damaged.*another copy"),
        (b"Dear professor,", "another kind of file"),
        (b"\0" * 1000, "another kind of file"),
        (b"\x89HDF\r\n", "model of Keras.*keras.models.load_model"),
    ],
)
def test_a_file_of_something_else_is_refused(content: bytes, expected: str, tmp_path: Path) -> None:
    (tmp_path / "model.npz").write_bytes(content)
    with pytest.raises(StorageError, match=rf"model\.npz.*{expected}"):
        load_arrays(tmp_path / "model.npz", "model")


def test_a_zip_of_something_else_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
        archive.writestr("config.json", "{}")
    with pytest.raises(StorageError, match="model of Keras"):
        load_arrays(tmp_path / "model.keras", "model")
    np.savez(tmp_path / "model.npz", W1=np.zeros(3))
    with pytest.raises(StorageError, match=r"found one without header\.json"):
        load_arrays(tmp_path / "model.npz", "model")


def test_a_file_cut_off_anywhere_is_refused(path: Path) -> None:
    whole = path.read_bytes()
    for length in [*range(0, len(whole), 7), *range(len(whole) - 30, len(whole))]:
        path.write_bytes(whole[:length])
        with pytest.raises(StorageError, match=r"damaged or cut off|another kind"):
            load_arrays(path, "model")


def test_a_changed_byte_is_noticed_or_does_no_harm(path: Path, arrays: dict[str, Array]) -> None:
    """Nearly every byte is under a checksum; the others (dates, say) say nothing about the data."""
    whole = path.read_bytes()
    noticed = 0
    for i, byte in enumerate(whole):
        changed = (byte ^ 1 << i % 8, byte ^ 0xFF)[i % 2]
        path.write_bytes(whole[:i] + bytes([changed]) + whole[i + 1 :])
        try:
            assert is_what_was_written(path, arrays), f"byte {i} changed what was read"
        except StorageError:
            noticed += 1
    assert noticed > len(whole) / 2


def good(**changes: Any) -> dict[str, Any]:
    """A header as it should be, or nearly."""
    return {"format": FORMAT, "kind": "model", "version": VERSION} | changes


def write_zip(path: Path, members: dict[str, bytes], header: Any = None, packed: int = 0) -> None:
    """A well-formed zip, its checksums right, with whatever content."""
    header = good() if header is None else header
    with zipfile.ZipFile(path, "w", packed) as archive:
        text = header if isinstance(header, bytes) else json.dumps(header).encode()
        archive.writestr("header.json", text)
        for name, content in members.items():
            archive.writestr(name, content)


def npy(header: str, content: bytes = b"", version: tuple[int, int] = (1, 0)) -> bytes:
    """An array file with whatever header."""
    text = header.encode("latin-1").ljust(117) + b"\n"
    size = len(text).to_bytes(2 if version == (1, 0) else 4, "little")
    return b"\x93NUMPY" + bytes(version) + size + text + content


def npy_of(array: Array) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


class Trap:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, sprung: Path) -> None:
        self.sprung = sprung

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.mkdir, (str(self.sprung),)


def test_a_pickle_inside_is_refused_and_never_opened(tmp_path: Path) -> None:
    path, sprung = tmp_path / "model.npz", tmp_path / "sprung"
    trap = np.array([Trap(sprung)], dtype=object)
    for name, content in {
        "W1.npy": npy_of(trap),
        "W2.npy": pickle.dumps(Trap(sprung)),
        "W3.pkl": pickle.dumps(Trap(sprung)),
    }.items():
        write_zip(path, {name: content})
        with pytest.raises(StorageError, match=r"model\.npz"):
            load_arrays(path, "model")
    path.write_bytes(pickle.dumps(Trap(sprung)))
    with pytest.raises(StorageError, match=r"model\.npz"):
        load_arrays(path, "model")
    assert not sprung.exists()

    pickle.loads(pickle.dumps(Trap(sprung)))
    assert sprung.exists(), "the trap itself does not work"


def test_arrays_that_are_not_numbers_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.npz"
    for dtype in ("U1", "S1", "M8[s]", "c8", "f4, i4"):
        write_zip(path, {"W1.npy": npy_of(np.zeros(2, dtype))})
        with pytest.raises(StorageError, match=r"expected plain numbers in W1\.npy"):
            load_arrays(path, "model")


def peak_memory(path: Path, message: str) -> int:
    tracemalloc.start()
    try:
        with pytest.raises(StorageError, match=message):
            load_arrays(path, "model")
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_compressed_bomb_is_refused_unopened(tmp_path: Path) -> None:
    path = tmp_path / "model.npz"
    zeros = npy("{'descr': '<f4', 'fortran_order': False, 'shape': (10000000,)}", bytes(40_000_000))
    write_zip(path, {"W1.npy": zeros}, packed=zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 50_000
    assert peak_memory(path, "compressed") < 1_000_000

    # The same with a good header in front: only the array is compressed.
    write_zip(path, {})
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("W1.npy", zeros)
    assert peak_memory(path, "compressed") < 1_000_000


def write_nested_arrays(path: Path, members: int, core: int) -> None:
    """Uncompressed arrays within each other like Russian dolls, `core` bytes in the innermost."""
    write_zip(path, {})
    content, dolls = bytes(core), []
    for number in range(members):
        array = npy(
            f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({len(content)},)}}", content
        )
        info = zipfile.ZipInfo(f"a{number}.npy")
        info.CRC, info.file_size, info.compress_size = zlib.crc32(array), len(array), len(array)
        content = info.FileHeader() + array
        dolls.append((info, len(content)))
    with path.open("r+b") as file, zipfile.ZipFile(file, "a") as archive:
        start = archive.start_dir
        file.seek(start)
        file.write(content)
        for info, length in dolls:
            info.header_offset = start + len(content) - length
            archive.filelist.append(info)
            archive.NameToInfo[info.filename] = info
        archive.start_dir = file.tell()
        archive.comment = b"."  # has the directory written anew


def test_arrays_within_arrays_are_refused_before_they_fill_the_memory(tmp_path: Path) -> None:
    path = tmp_path / "model.npz"
    write_nested_arrays(path, members=100, core=400_000)  # 40 MB in a file of 0.4
    assert path.stat().st_size < 500_000
    assert peak_memory(path, r"model\.npz") < 5_000_000


@pytest.mark.parametrize("shape", ["(1099511627776,)", "(1048576, 1048576)", "(2, 549755813888)"])
def test_a_promise_of_a_million_million_numbers_costs_nothing(shape: str, tmp_path: Path) -> None:
    path = tmp_path / "model.npz"
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}}}"
    write_zip(path, {"W1.npy": npy(header, bytes(16))})
    assert peak_memory(path, "expected 8796093022208 bytes") < 1_000_000


HOSTILE_HEADERS = [
    *("", "(", "'''", "[" * 100, "1-", "\x00", "{[]: 1}", "{**1}", "{'a': 1}", "[1, 2]"),
    "__import__('os').getcwd()",
    *(
        f"{{'descr': {descr}, 'fortran_order': False, 'shape': (1,)}}"
        for descr in ("()", "[]", "{}", "None", "'O'", "'|V4'", "'<f3'", "'<U1'", "['a']", "[()]")
    ),
    *(
        f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}}}"
        for shape in "1 (-1,) (-1,-1) (1.0,) (True,) ('1',) None (2,) ()+()".split()
    ),
    "{'descr': '<f4', 'fortran_order': 'False', 'shape': (1,)}",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 1152921504606846976)}",
]


@pytest.mark.parametrize("header", HOSTILE_HEADERS)
def test_a_hostile_array_header_is_refused_in_one_sentence(header: str, tmp_path: Path) -> None:
    """A good checksum says nothing about good will."""
    path = tmp_path / "model.npz"
    for version in ((1, 0), (2, 0), (3, 0), (9, 9)):
        write_zip(path, {"W1.npy": npy(header, bytes(4), version)})
        with pytest.raises(StorageError, match=r"model\.npz"):
            load_arrays(path, "model")


@pytest.mark.parametrize("name", ["W1.txt", "W1", "W1.npy/", "../W1", "header.json.bak"])
def test_a_member_that_is_no_array_is_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "model.npz"
    write_zip(path, {name: npy_of(np.zeros(3))})
    with pytest.raises(StorageError, match=r"model\.npz"):
        load_arrays(path, "model")
    assert names_in(tmp_path) == ["model.npz"]


HEADERS: dict[str, tuple[Any, str]] = {
    "another format": (good(format="keras"), "expected a file of this library"),
    "no format": ({"kind": "model", "version": VERSION}, "expected a file of this library"),
    "a list": ([good()], "expected a file of this library"),
    "a future version": (good(version=VERSION + 1), f"found {VERSION + 1}: update the library"),
    "version 0": (good(version=0), "format version 1 to 1; found 0"),
    "a version in words": (good(version="1"), "format version 1"),
    "no version": (good(version=None), "found None"),
    "another kind": (good(kind="checkpoint"), "found a checkpoint file"),
    "no kind": (good(kind=None), "expected a model file"),
    "not JSON": (b"{'format': 1}", "damaged"),
    "not text": (b"\xff\xfe\x00\xd8", "damaged"),
    "empty": (b"", "damaged"),
    "a tower of brackets": (b"[" * 200_000, "damaged"),
    "a number of a million digits": (b"1" * 1_000_000, "damaged"),
}


@pytest.mark.parametrize("name", HEADERS)
def test_a_wrong_header_is_refused(name: str, tmp_path: Path, arrays: dict[str, Array]) -> None:
    header, message = HEADERS[name]
    path = tmp_path / "model.npz"
    write_zip(path, {"W1.npy": npy_of(arrays["W1"])}, header)
    with pytest.raises(StorageError, match=message):
        load_arrays(path, "model")


SHAPES = {"W1": (3, 4), "b1": (4,)}
MISFITS: dict[str, dict[str, Array | None]] = {
    "expected arrays W1, b1; found W1": {"b1": None},
    "expected arrays W1, b1; found none": {"b1": None, "W1": None},
    "expected arrays W1, b1; found W1, W3, b1": {"W3": np.zeros(1, np.float32)},
    r"array W1 of shape \(3, 4\); found shape \(4, 3\)": {"W1": np.zeros((4, 3), np.float32)},
    r"array b1 of shape \(4,\); found shape \(1, 4\)": {"b1": np.zeros((1, 4), np.float32)},
    "array b1 of dtype float32 or float64; found int64": {"b1": np.zeros(4, np.int64)},
    "array b1 of dtype float32 or float64; found float16": {"b1": np.zeros(4, np.float16)},
    "array b1 of finite numbers": {"b1": np.array([0, np.nan, 0, 0])},
    "array W1 of finite numbers": {"W1": np.full((3, 4), -np.inf)},
}


@pytest.mark.parametrize("message", MISFITS)
def test_arrays_that_do_not_fit_are_named(message: str, arrays: dict[str, Array]) -> None:
    changed = {k: v for k, v in (arrays | MISFITS[message]).items() if v is not None}
    with pytest.raises(StorageError, match=message) as error:
        check_arrays("runs/model.npz", changed, SHAPES)
    assert "runs/model.npz" in str(error.value)
