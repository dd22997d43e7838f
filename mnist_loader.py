"""MNIST, Fashion-MNIST and synthetic digits as NumPy arrays: download, verify, read the IDX
format, keep a pickle cache.  Nothing is believed before its SHA-256 is known, and nothing is
unpacked before it is believed, so a bad file costs a message and a minute, never a wrong result.
"""

import errno
import gzip
import hashlib
import importlib.util
import io
import logging
import math
import os
import pickle
import pickletools
import secrets
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np

from digits.cli import printable
from digits.types import Array

# What there is to say goes through logging: seen on stderr by default, under the control of whoever
# configures logging, and never an exception, which `warnings` become under `python -W error`.
logger = logging.getLogger(__name__)


class DatasetError(RuntimeError):
    """A data set cannot be had.  The text says what was tried, what came back, and how to put the
    files in place by hand; its first line alone says what happened.
    """


class Form(NamedTuple):
    size: int
    sha256: str


class Original(NamedTuple):
    """One published file, known in two forms: gzip as published, and unpacked."""

    name: str
    packed: Form
    unpacked: Form


ORIGINALS = {
    "mnist": (
        Original(
            "train-images-idx3-ubyte",
            Form(9_912_422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
            Form(47_040_016, "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
        ),
        Original(
            "train-labels-idx1-ubyte",
            Form(28_881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
            Form(60_008, "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
        ),
        Original(
            "t10k-images-idx3-ubyte",
            Form(1_648_877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
            Form(7_840_016, "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
        ),
        Original(
            "t10k-labels-idx1-ubyte",
            Form(4_542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
            Form(10_008, "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
        ),
    ),
    "fashion": (
        Original(
            "train-images-idx3-ubyte",
            Form(26_421_880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
            Form(47_040_016, "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"),
        ),
        Original(
            "train-labels-idx1-ubyte",
            Form(29_515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
            Form(60_008, "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"),
        ),
        Original(
            "t10k-images-idx3-ubyte",
            Form(4_422_102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
            Form(7_840_016, "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"),
        ),
        Original(
            "t10k-labels-idx1-ubyte",
            Form(5_148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
            Form(10_008, "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"),
        ),
    ),
}

# In the order they are asked.  The original host of MNIST has answered 403 and 404 for years: it
# would only cost everybody a failed try.
MIRRORS = {
    "mnist": (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    "fashion": (
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    ),
}
TIMEOUT = (10.0, 30.0)  # seconds to connect, seconds of silence
PATIENCE = 60.0  # seconds that any file may take, and more for a large one ...
SLOWEST = 20_000  # ... at so many bytes a second
USER_AGENT = "digits-from-scratch"

SYNTHETIC_SIZES = (60_000, 10_000)  # training, test: as MNIST

CACHE_VERSION = 1
STALE_AFTER = 3600.0  # seconds after which a temporary file's process is taken for dead


def load_mnist(
    normalize: bool = False,
    flatten: bool = True,
    one_hot_label: bool = False,
    *,
    dataset: str = "mnist",
    dataset_dir: str | os.PathLike[str] | None = None,
) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """(train_images, train_labels), (test_images, test_labels), as in Saito, *Deep Learning from
    Scratch*, chapter 3: 60,000 and 10,000 pictures, downloaded the first time and cached.

    Parameters
    ----------
    normalize : float32 pixels in [0, 1] instead of uint8 in [0, 255]
    flatten : images of shape (n, 784) instead of (n, 1, 28, 28)
    one_hot_label : float32 labels (n, 10) instead of uint8 class indices (n,)
    dataset : "mnist", "fashion" (Xiao et al., 2017, arXiv:1708.07747) or "synthetic"
    dataset_dir : the folder that holds one folder per data set; by default the environment
        variable MNIST_DATASET_DIR, else `dataset/` in a checkout, else the user's cache folder

    The arrays are the caller's own.  Raises DatasetError if the data can't be had, ValueError for
    an unknown `dataset`.
    """
    if dataset not in (*ORIGINALS, "synthetic"):
        raise ValueError(
            f"dataset is {dataset!r}, expected one of 'mnist', 'fashion', 'synthetic': choose one"
        )
    train_images, train_labels, test_images, test_labels = _load_arrays(
        dataset, _dataset_dir(dataset_dir) / dataset
    )

    def prepare(images: Array, labels: Array) -> tuple[Array, Array]:
        images = images / np.float32(255) if normalize else images.copy()
        labels = np.eye(10, dtype=np.float32)[labels] if one_hot_label else labels.copy()
        return images.reshape((-1, 784) if flatten else (-1, 1, 28, 28)), labels

    return prepare(train_images, train_labels), prepare(test_images, test_labels)


def _dataset_dir(dataset_dir: str | os.PathLike[str] | None) -> Path:
    chosen = dataset_dir or os.environ.get("MNIST_DATASET_DIR")
    root = Path(__file__).resolve().parent
    try:
        if chosen:
            return Path(chosen).expanduser()
        if (root / "pyproject.toml").is_file():
            return root / "dataset"
        import pooch  # noqa: PLC0415  as slow to import as NumPy, and seldom needed

        # Installed from a wheel, the folder beside this file is site-packages: nothing to write in.
        folder = Path(pooch.os_cache("digits-from-scratch"))
        if folder.is_absolute():
            return folder
        reason = f"found {folder}"
    except RuntimeError as error:  # a user whom the system does not know, as in some containers
        reason = str(error)
    raise DatasetError(
        f"expected a home folder to keep data sets in; there is none ({reason}): choose a folder "
        "with --dataset-dir or MNIST_DATASET_DIR"
    )


def _load_arrays(dataset: str, folder: Path) -> list[Array]:
    """Training images (n, 28, 28), training labels (n,), test images, test labels; all uint8."""
    _sweep(folder)
    cache, key = folder / f"{dataset}.pkl", _cache_key(dataset)
    arrays = _read_cache(cache, key)
    if arrays is None:
        if dataset == "synthetic":
            arrays = _synthesize()
        else:
            arrays = [read_idx(path) for path in _originals(dataset, folder)]
        _check_arrays(arrays)
        _write_cache(cache, key, arrays)
    return arrays


def _check_arrays(arrays: list[Array]) -> None:
    """Raise ValueError unless these are two pairs of images (n, 28, 28) and labels (n,) below 10,
    all uint8.
    """
    if len(arrays) != 4 or any(array.dtype != np.uint8 for array in arrays):
        raise ValueError(f"expected four uint8 arrays, found {[str(a.dtype) for a in arrays]}")
    for images, labels in (arrays[:2], arrays[2:]):
        n = len(labels)
        if images.shape != (n, 28, 28) or labels.shape != (n,):
            raise ValueError(
                f"expected images (n, 28, 28) and labels (n,), found {images.shape}, {labels.shape}"
            )
        if labels.max() > 9:
            raise ValueError(f"expected labels from 0 to 9, found {labels.max()}")


# --- Download ------------------------------------------------------------------------------------


def _originals(dataset: str, folder: Path) -> list[Path]:
    """The four verified files of a data set, those that `folder` lacks downloaded into it."""
    problems: list[str] = []
    mirrors = list(MIRRORS[dataset])
    try:
        found = {original: _find(original, folder, problems) for original in ORIGINALS[dataset]}
        missing = [original for original, path in found.items() if path is None]
        for original in missing:
            path = folder / f"{original.name}.gz"
            with _replacing(path) as temporary:
                if original is missing[0]:
                    logger.warning("Downloading %s from %s into %s", dataset, mirrors[0], folder)
                if not _download(original, mirrors, problems, temporary):
                    _give_up(dataset, folder, problems)
                _set_aside(path, original)
            found[original] = path
    except OSError as error:  # the network's own end in `problems`, so this is the folder's
        _give_up(dataset, folder, [*problems, f"the folder can't be used: {error}"])
    return [path for path in found.values() if path is not None]


def _find(original: Original, folder: Path, problems: list[str]) -> Path | None:
    """The file in `folder` that holds `original`, as published or unpacked (some unpackers write a
    dot for the dash before "idx").
    """
    name = original.name
    for path in (folder / f"{name}.gz", folder / name, folder / name.replace("-idx", ".idx")):
        if path.is_file():
            try:
                _verify(path, original)
                return path
            except (OSError, ValueError) as error:
                problems.append(f"{path}: {error}")
                logger.warning("%s is not the published file: %s", path, error)
    return None


def _download(original: Original, mirrors: list[str], problems: list[str], temporary: Path) -> bool:
    """Fill `temporary` from the first mirror that delivers.  One that fails is taken off the list,
    so that a dead host costs its time-out once, not once a file.
    """
    while mirrors:
        url = f"{mirrors[0]}{original.name}.gz"
        try:
            _fetch(url, original, temporary)
            _verify(temporary, original)
            return True
        except (OSError, ValueError) as error:
            problems.append(f"{url}: {_reason(error, original)}")
            mirrors.pop(0)
            logger.warning(
                "%s; %s", problems[-1], f"trying {mirrors[0]}" if mirrors else "giving up"
            )
    return False


def _fetch(url: str, original: Original, temporary: Path) -> None:
    import pooch  # noqa: PLC0415  most runs have the files
    from tqdm import tqdm  # noqa: PLC0415

    get = pooch.HTTPDownloader(
        chunk_size=1 << 16,
        timeout=TIMEOUT,
        # The file is compressed as it is; a second layer would only hide its size.
        headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
    )
    name, packed, unpacked = original
    with (
        tqdm(
            total=packed.size,
            desc=f"{name}.gz",
            unit="B",
            unit_scale=True,
            leave=False,
            disable=None,  # shown on a terminal only
        ) as bar,
        _Arrival(temporary, max(packed.size, unpacked.size), bar) as file,
    ):
        _in_time(lambda: get(url, file, None), PATIENCE + packed.size / SLOWEST)
        bar.leave = True  # a failure's bar goes, its reason is told instead


def _in_time(work: Callable[[], object], seconds: float) -> None:
    """Do the work in a thread, and raise TimeoutError if it takes longer: a server may send a byte
    now and then for ever, none of them late.  The thread ends when it finds its file closed.
    """
    errors: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, name="download", daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise TimeoutError(f"too slow: not complete after {seconds:,.0f} s")
    if errors:
        raise errors.pop()


class _Arrival(io.FileIO):
    """Where a download lands: a file that moves the progress bar and takes `limit` bytes at most,
    whatever the server sends.
    """

    def __init__(self, path: Path, limit: int, bar: Any) -> None:
        super().__init__(path, "wb")
        self.limit, self.bar = limit, bar

    def write(self, data: Any) -> int:
        if self.tell() + len(data) > self.limit:
            raise ValueError(f"too long: more than {self.limit:,} bytes")
        self.bar.update(len(data))
        return super().write(data)


def _reason(error: Exception, original: Original) -> str:
    """What went wrong with a download, in words."""
    if (response := getattr(error, "response", None)) is not None:
        return f"HTTP {response.status_code} {response.reason}"
    cause = error  # requests and urllib3 wrap it in up to four others, each with more to read
    while isinstance(
        inner := getattr(cause, "reason", None) or (cause.args or (None,))[-1], Exception
    ):
        cause = inner
    if isinstance(received := getattr(cause, "partial", None), int):
        return f"truncated: {received:,} of {original.packed.size:,} bytes"
    if "timed out" in str(cause):
        return "timed out ({:g} s for a connection, {:g} s of silence)".format(*TIMEOUT)
    return str(cause).rpartition("): ")[2] or type(cause).__name__


def _give_up(dataset: str, folder: Path, problems: list[str]) -> NoReturn:
    lines = [
        f"{dataset} is not in {folder} and can't be downloaded: {'; '.join(problems)}",
        f"Get these files elsewhere, unpacked or not, put them into {folder} and start again:",
    ]
    for name, packed, _ in ORIGINALS[dataset]:
        lines.append(f"  {name}.gz  {packed.size:,} bytes  SHA-256 {packed.sha256}")
    raise DatasetError("\n".join(lines))


# --- Verify --------------------------------------------------------------------------------------


def _verify(path: Path, original: Original) -> None:
    """Raise ValueError, saying what `path` is instead, unless it is `original` byte for byte."""
    with path.open("rb") as file:
        start = file.read(64)
        size = os.fstat(file.fileno()).st_size
        form = original.unpacked if start.startswith(b"\0\0") else original.packed
        if size == form.size:
            file.seek(0)
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            if sha256 == form.sha256:
                return
            raise ValueError(f"wrong contents: SHA-256 {sha256}, expected {form.sha256}")
    if start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        raise ValueError(f"an HTML page, not data: it begins with {start[:32]!r}")
    kind = "truncated" if size < form.size else "too long"
    raise ValueError(f"{kind}: {size:,} of {form.size:,} bytes, beginning with {start[:16]!r}")


def _set_aside(path: Path, original: Original) -> None:
    """Rename a wrong file that is in the way of a good one: it is the user's, who may want it."""
    with suppress(FileNotFoundError):
        try:
            _verify(path, original)
        except ValueError:
            aside = path.with_name(f"{path.name}.{secrets.token_hex(2)}.bad")
            path.rename(aside)
            logger.warning("%s is kept as %s", path, aside.name)


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A temporary file that takes the place of `path` if the block ends well, and else is gone.

    Both are in the same folder, so that the move is atomic: other processes see the old file or
    the whole new one.  Every process has its own temporary file, hence none waits for another.
    """
    existing = next(folder for folder in path.parents if folder.exists())
    if os.name == "posix" and not existing.stat().st_mode & 0o222:
        # The system would let root write here all the same.
        raise PermissionError(errno.EACCES, "the folder is marked read-only", str(existing))
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.part")
    temporary.touch(exist_ok=False)
    try:
        yield temporary
        try:
            temporary.replace(path)
        except PermissionError:  # on Windows, while another process reads the one it has put there
            if not path.exists():
                raise
    finally:
        temporary.unlink(missing_ok=True)


def _sweep(folder: Path) -> None:
    """Remove the temporary files of processes that were killed."""
    for temporary in folder.glob(".*-????????.part"):
        with suppress(OSError):
            if time.time() - temporary.stat().st_mtime > STALE_AFTER:
                temporary.unlink()


# --- IDX -----------------------------------------------------------------------------------------

IDX_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
DEFLATE_LIMIT = 1032  # no gzip file unpacks to more than this many times its size


def read_idx(path: str | os.PathLike[str]) -> Array:
    """The array in an IDX file, plain or gzip, in the machine's byte order.

    The format (LeCun, Cortes and Burges, *The MNIST database*): two zero bytes, one byte for the
    type, one for the number of dimensions, each dimension in four bytes, then the items; all big
    endian.  Raises ValueError, saying what was expected and found, if the file is anything else;
    memory is taken only for bytes that are really there.
    """
    with Path(path).open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        size = os.fstat(file.fileno()).st_size
        stream: io.BufferedIOBase = gzip.GzipFile(fileobj=file) if packed else file
        try:
            return _parse_idx(stream, size * DEFLATE_LIMIT if packed else size)
        except (ValueError, EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ValueError(f"{path} can't be read as IDX: {error}") from error


def _parse_idx(stream: io.BufferedIOBase, most: int) -> Array:
    """The array in `stream`, which holds at most `most` bytes."""
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in IDX_DTYPES:
        codes = ", ".join(f"{code:02X}" for code in IDX_DTYPES)
        raise ValueError(f"expected 00 00, a type of {codes}, a rank; found {magic.hex(' ')!r}")
    dtype, rank = np.dtype(IDX_DTYPES[magic[2]]), magic[3]
    if not 1 <= rank <= 64:
        raise ValueError(f"expected 1 to 64 dimensions (NumPy's most), found {rank}")
    dimensions = stream.read(4 * rank)
    if len(dimensions) < 4 * rank:
        raise ValueError(f"expected {4 * rank} bytes of dimensions, found {len(dimensions)}")
    shape = struct.unpack(f">{rank}I", dimensions)
    expected = math.prod(shape) * dtype.itemsize
    promise = f"the header promises {shape} items of {dtype.itemsize} bytes, {expected:,} in all"
    if expected > most - 4 - 4 * rank:
        raise ValueError(f"{promise}; the file can't hold more than {most - 4 - 4 * rank:,}")
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


# --- Synthetic digits ----------------------------------------------------------------------------


def _synthesize() -> list[Array]:
    """Training and test digits, the same whenever and wherever they are drawn."""
    try:
        from digits.data.synthetic_digits import generate  # noqa: PLC0415  seldom needed
    except ImportError as error:
        raise DatasetError(f"synthetic digits can't be drawn: {error}") from error
    logger.warning("Drawing %s synthetic digits", f"{sum(SYNTHETIC_SIZES):,}")
    arrays: list[Array] = []
    for seed, size in enumerate(SYNTHETIC_SIZES):
        arrays += generate(size, np.random.default_rng(seed))
    return arrays


# --- Pickle cache --------------------------------------------------------------------------------


def _cache_key(dataset: str) -> tuple[Any, ...]:
    """What a cache must have been made of to be used: these originals, or this very generator."""
    if dataset != "synthetic":
        sources = [original.unpacked.sha256 for original in ORIGINALS[dataset]]
    else:
        spec = importlib.util.find_spec("digits.data.synthetic_digits")
        if spec is None or spec.origin is None:
            raise DatasetError("synthetic digits can't be drawn: synthetic_digits.py is missing")
        sources = [hashlib.sha256(Path(spec.origin).read_bytes()).hexdigest()]
    return (CACHE_VERSION, dataset, *sources)


PLAIN_STEPS = frozenset(
    "PROTO FRAME MARK MEMOIZE STOP BININT BININT1 BININT2 BINUNICODE SHORT_BINUNICODE BINBYTES "
    "BINBYTES8 SHORT_BINBYTES TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_LIST APPENDS EMPTY_DICT SETITEMS "
    "BINGET".split()
)
"""What a pickle must do to make numbers, text and bytes and to put them into containers."""
MOST_STEPS = 1000  # ten times what a cache takes
LARGEST_CACHE = 2**27  # bytes; that of MNIST takes 55 million


def _unpickled(data: bytes) -> Any:
    """What a pickle of plain values holds.  A pickle is a program: this one is read before it runs.

    It may name no class and no function, so it can run none.  Nor may it say how much memory it
    wants: every length is found to be there first.
    """
    for count, (step, argument, _) in enumerate(pickletools.genops(data)):
        if step.name not in PLAIN_STEPS or count == MOST_STEPS:
            raise pickle.UnpicklingError(f"it asks for {step.name} {argument or ''}, and may not")
        if step.name == "FRAME" and not 0 <= (argument or 0) <= len(data):
            raise pickle.UnpicklingError(f"it promises {argument:,} bytes in {len(data):,}")
    return pickle.loads(data)


def _digest(arrays: list[Array]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _read_cache(path: Path, key: tuple[Any, ...]) -> list[Array] | None:
    """The arrays in the cache, read-only; None if it is missing, stale or damaged in any way."""
    try:
        if not path.is_file():
            return None
        if (size := path.stat().st_size) > LARGEST_CACHE:
            raise ValueError(f"it has {size:,} bytes, more than any data set")
        cache = _unpickled(path.read_bytes())
        if cache["key"] != key:
            raise ValueError("it was made of something else or by another version")
        arrays = [np.frombuffer(b, np.uint8).reshape(shape) for shape, b in cache["arrays"]]
        if _digest(arrays) != cache["sha256"]:
            raise ValueError("its contents are not what was written")
        _check_arrays(arrays)
        return arrays
    except Exception as error:  # a damaged pickle may raise anything
        why = printable(f"{type(error).__name__}: {error}")
        logger.warning("The cache %s is made anew: %s", path, why)
        return None


def _write_cache(path: Path, key: tuple[Any, ...], arrays: list[Array]) -> None:
    contents = [(array.shape, array.tobytes()) for array in arrays]
    try:
        with _replacing(path) as temporary, temporary.open("wb") as file:
            pickle.dump({"key": key, "sha256": _digest(arrays), "arrays": contents}, file, 5)
    except OSError as error:  # the arrays are there all the same, next time a little later
        logger.info("No cache: %s", error)
