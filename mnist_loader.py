"""MNIST, Fashion-MNIST and synthetic digits as NumPy arrays: `load_mnist` returns them, `read_idx`
reads the format in which they are published, and a pickle cache makes the next start quick.
"""

import gzip
import hashlib
import io
import logging
import math
import os
import pickle
import pickletools
import struct
import zlib
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from digits.data import synthetic_digits
from digits.data.download import DATASETS, DatasetError, fetch_dataset
from digits.files.atomic import remove_unfinished, replacing
from digits.types import Array
from digits.validation import check

__all__ = ["DatasetError", "load_mnist", "read_idx"]

# What there is to say goes through logging: seen on stderr by default, under the control of those
# who configure logging, and never an exception, which `warnings` become under `python -W error`.
logger = logging.getLogger(__name__)

CACHE_VERSION = 2
STALE_AFTER = 3600.0  # seconds after which the process of a temporary file is taken for dead
MAX_CACHE_SIZE = 2**27  # bytes; that of MNIST takes 55 million


def load_mnist(
    normalize: bool = False,
    flatten: bool = True,
    one_hot_label: bool = False,
    *,
    dataset: str = "mnist",
    dataset_dir: str | os.PathLike[str] | None = None,
) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """(train_images, train_labels), (test_images, test_labels), as in Saito, *Deep Learning from
    Scratch*, chapter 3: 60,000 and 10,000 images, downloaded the first time and cached.

    Parameters
    ----------
    normalize : float32 pixels in [0, 1] instead of uint8 in [0, 255]
    flatten : images of shape (n, 784) instead of (n, 1, 28, 28)
    one_hot_label : float32 labels (n, 10) instead of uint8 class indices (n,)
    dataset : "mnist", "fashion" (Xiao et al., 2017, arXiv:1708.07747) or "synthetic"
    dataset_dir : the folder that holds one folder per data set; by default the environment
        variable MNIST_DATASET_DIR, else `dataset/` in a checkout, else the user's cache folder

    Returns
    -------
    Arrays that are the caller's own.

    Raises
    ------
    DatasetError : the data are not there and cannot be downloaded.
    ValueError : `dataset` is unknown.
    """
    names = (*DATASETS, "synthetic")
    check(dataset in names, f"a data set among {', '.join(names)}", dataset)
    arrays = _load_arrays(dataset, _dataset_dir(dataset_dir) / dataset)

    def prepare(images: Array, labels: Array) -> tuple[Array, Array]:
        images = images / np.float32(255) if normalize else images.copy()
        labels = np.eye(10, dtype=np.float32)[labels] if one_hot_label else labels.copy()
        return images.reshape((-1, 784) if flatten else (-1, 1, 28, 28)), labels

    return prepare(*arrays[:2]), prepare(*arrays[2:])


def _dataset_dir(dataset_dir: str | os.PathLike[str] | None) -> Path:
    chosen = dataset_dir or os.environ.get("MNIST_DATASET_DIR")
    root = Path(__file__).resolve().parent
    try:
        if chosen:
            return Path(chosen).expanduser()
        if (root / "pyproject.toml").is_file():
            return root / "dataset"
        import pooch  # noqa: PLC0415  as slow to import as NumPy, and seldom needed

        # Installed from a wheel, the folder beside this file is site-packages: not for data.
        folder = Path(pooch.os_cache("digits-from-scratch"))
        if folder.is_absolute():
            return folder
        reason = f"found {folder}"
    except RuntimeError as error:  # a user whom the system does not know, as in some containers
        reason = str(error)
    raise DatasetError(
        f"expected a home folder to keep data sets in; there is none ({reason}): name a folder as "
        "dataset_dir, or in the environment variable MNIST_DATASET_DIR"
    )


def _load_arrays(dataset: str, folder: Path) -> list[Array]:
    """Training images (n, 28, 28), training labels (n,), test images, test labels; all uint8."""
    cache, key = folder / f"{dataset}.pkl", _cache_key(dataset)
    remove_unfinished(folder, STALE_AFTER)
    arrays = _read_cache(cache, key)
    if arrays is None:
        if dataset == "synthetic":
            logger.warning("Drawing %s synthetic digits", f"{sum(synthetic_digits.SIZES):,}")
            arrays = synthetic_digits.generate_dataset()
        else:
            arrays = [read_idx(path) for path in fetch_dataset(dataset, folder)]
        _write_cache(cache, key, arrays)
    return arrays


# --- the IDX format -------------------------------------------------------------------------------

IDX_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
MAX_DEFLATE_RATIO = 1032  # no gzip file unpacks to more than this many times its size


def read_idx(path: str | os.PathLike[str]) -> Array:
    """The array in an IDX file, plain or gzip, in the machine's byte order.

    The format (LeCun, Cortes and Burges, *The MNIST database*): two zero bytes, one byte for the
    dtype, one for the number of dimensions, each dimension in four bytes, then the items; all big
    endian. Memory is taken only for bytes that are really there.

    Raises
    ------
    ValueError
        The file is anything else; the message says what was expected and found.
    """
    with Path(path).open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        size = os.fstat(file.fileno()).st_size
        stream: io.BufferedIOBase = gzip.GzipFile(fileobj=file) if packed else file
        try:
            return _parse_idx(stream, size * MAX_DEFLATE_RATIO if packed else size)
        except (ValueError, EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ValueError(f"{path} can't be read as IDX: {error}") from error


def _parse_idx(stream: io.BufferedIOBase, limit: int) -> Array:
    """The array in `stream`, which holds at most `limit` bytes."""
    magic = stream.read(4)
    known = len(magic) == 4 and magic[:2] == b"\0\0" and magic[2] in IDX_DTYPES
    codes = ", ".join(f"{code:02X}" for code in IDX_DTYPES)
    check(known, f"00 00, a dtype of {codes}, a rank", magic.hex(" "))
    dtype, rank = np.dtype(IDX_DTYPES[magic[2]]), magic[3]
    check(1 <= rank <= 64, "1 to 64 dimensions (NumPy's limit)", rank)
    dimensions = stream.read(4 * rank)
    check(len(dimensions) == 4 * rank, f"{4 * rank} bytes of dimensions", len(dimensions))
    shape = struct.unpack(f">{rank}I", dimensions)
    expected = math.prod(shape) * dtype.itemsize
    promise = f"the header promises {shape} items of {dtype.itemsize} bytes, {expected:,} in all"
    if expected > limit - 4 - 4 * rank:
        raise ValueError(f"{promise}; the file can't hold more than {limit - 4 - 4 * rank:,}")
    items = bytearray()
    try:
        while len(items) <= expected and (chunk := stream.read(1 << 20)):
            items += chunk
    except EOFError as error:
        raise ValueError(f"{promise}; the gzip stream breaks off after {len(items):,}") from error
    if len(items) != expected:
        found = f"{len(items):,}" if len(items) < expected else "more"
        raise ValueError(f"{promise}; found {found}")
    return np.frombuffer(items, dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)


# --- the pickle cache -----------------------------------------------------------------------------

VALUES = {"SHORT_BINUNICODE", "BINUNICODE", "SHORT_BINBYTES", "BINBYTES"}
OPCODES = VALUES | {"PROTO", "FRAME", "MARK", "MEMOIZE", "TUPLE", "STOP"}
"""The instructions of a cache: texts and bytes, and what makes a tuple of them."""


def _cache_key(dataset: str) -> str:
    """What a cache must have been made of to be used: these files, or this generator."""
    files = DATASETS[dataset].files if dataset in DATASETS else ()
    sources = [file.unpacked.sha256 for file in files] or [str(synthetic_digits.VERSION)]
    return " ".join([str(CACHE_VERSION), dataset, *sources])


def _digest(arrays: list[Array]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _read_cache(path: Path, key: str) -> list[Array] | None:
    """The arrays in the cache, read-only; None if it is missing, stale or damaged in any way."""
    try:
        if not path.is_file():
            return None
        if (size := path.stat().st_size) > MAX_CACHE_SIZE:
            raise ValueError(f"it has {size:,} bytes, more than any data set")
        found_key, sha256, *contents = _parse_cache(path.read_bytes())
        check(found_key == key, "a cache of the same data and version", "another")
        flat = [np.frombuffer(content, np.uint8) for content in contents]
        arrays = [flat[0].reshape(-1, 28, 28), flat[1], flat[2].reshape(-1, 28, 28), flat[3]]
        check(_digest(arrays) == sha256, "the contents that were written", "others")
        for images, labels in (arrays[:2], arrays[2:]):
            check(len(images) == len(labels), "a label for each image", len(labels))
            check(labels.max() <= 9, "labels from 0 to 9", int(labels.max()))
        return arrays
    except (OSError, ValueError, Warning) as error:  # a damaged text may warn, under -W error
        logger.warning("The cache %s is rebuilt: %s", path, error)
        return None


def _parse_cache(data: bytes) -> list[Any]:
    """The key, the SHA-256 and the four arrays in the pickle that `_write_cache` writes.

    A pickle is a program for a small machine. This one is never run: its instructions are read,
    and must be those of a tuple of two texts and four byte strings.
    """
    steps = [(opcode.name, value) for opcode, value, _ in islice(pickletools.genops(data), 64)]
    values = [value for name, value in steps if name in VALUES]
    known = all(name in OPCODES for name, _ in steps) and steps[-1][0] == "STOP"
    if not known or [type(value) for value in values] != [str] * 2 + [bytes] * 4:
        raise ValueError("expected the instructions of a cache; found others")
    return values


def _write_cache(path: Path, key: str, arrays: list[Array]) -> None:
    try:
        with replacing(path) as temporary, temporary.open("wb") as file:
            contents = (key, _digest(arrays), *(array.tobytes() for array in arrays))
            pickle.dump(contents, file, protocol=5)
    except OSError as error:  # the arrays are there all the same, next time a little later
        logger.info("No cache: %s", error)
