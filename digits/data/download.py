"""Published data sets, downloaded and verified: where they are, and what size and SHA-256 each of
their files has, stands in `datasets.json`. A file is verified before it is unpacked.
"""

import hashlib
import io
import json
import logging
import os
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from digits.files.atomic import replacing

logger = logging.getLogger(__name__)

TIMEOUT = (10.0, 30.0)  # seconds to connect, seconds of silence
MIN_TIME = 60.0  # seconds that any file may take, and more for a large one ...
MIN_SPEED = 20_000  # ... at so many bytes per second
CHUNK = 1 << 12  # bytes after which size and time are looked at
# The files are compressed as they are; a second layer would only hide their size.
HEADERS = {"User-Agent": "digits-from-scratch", "Accept-Encoding": "identity"}


class DatasetError(RuntimeError):
    """A data set is unavailable. The text says what was tried, what came back, and how to put the
    files in place by hand; its first line alone says what happened.
    """


class FileDigest(NamedTuple):
    size: int
    sha256: str


class RemoteFile(NamedTuple):
    """One published file: gzip as published, and unpacked."""

    name: str
    packed: FileDigest
    unpacked: FileDigest


class Dataset(NamedTuple):
    mirrors: tuple[str, ...]
    """In the order in which they are asked."""
    files: tuple[RemoteFile, ...]
    """Training images, training labels, test images, test labels."""


def _remote_file(name: str, packed: dict[str, Any], unpacked: dict[str, Any]) -> RemoteFile:
    return RemoteFile(name, FileDigest(**packed), FileDigest(**unpacked))


_TABLE = json.loads((resources.files("digits.data") / "datasets.json").read_text(encoding="utf-8"))
DATASETS = {
    name: Dataset(tuple(entry["mirrors"]), tuple(_remote_file(**file) for file in entry["files"]))
    for name, entry in _TABLE.items()
}


def fetch_dataset(dataset: str, folder: Path) -> list[Path]:
    """The four verified files of a data set; those that `folder` lacks are downloaded into it.

    Raises DatasetError if one is missing and no mirror has it, or if the folder cannot be used.
    """
    problems: list[str] = []
    mirrors = list(DATASETS[dataset].mirrors)
    try:
        found = {file: _find(file, folder, problems) for file in DATASETS[dataset].files}
        missing = [file for file, path in found.items() if path is None]
        parent = folder.parent  # of all data sets; or of this one, by mistake
        misplaced = (path for file in missing for path in parent.glob(f"{file.name}.gz"))
        if {path.stat().st_size for path in misplaced} & {file.packed.size for file in missing}:
            advice = f"name {parent.parent} instead" if parent.name == dataset else "move its files"
            raise DatasetError(f"expected {dataset} in {folder}; found it in {parent}: {advice}")
        if missing:
            logger.warning("Downloading %s from %s into %s", dataset, mirrors[0], folder)
        for file in missing:
            path = folder / f"{file.name}.gz"
            try:
                with replacing(path) as temporary:
                    if not _download(file, mirrors, problems, temporary):
                        raise _unavailable(dataset, folder, problems)
                    _keep_wrong_file(path, file)
            except PermissionError:  # on Windows, while another process reads the one it put there
                if not path.is_file():
                    raise
            found[file] = path
    except OSError as error:  # the folder cannot be written or entered
        problems.append(f"the folder can't be used: {error}")
        raise _unavailable(dataset, folder, problems) from error
    return [path for path in found.values() if path is not None]


def _find(file: RemoteFile, folder: Path, problems: list[str]) -> Path | None:
    """The file in `folder`, as published or unpacked (by some programs with a dot before "idx")."""
    name = file.name
    for path in (folder / f"{name}.gz", folder / name, folder / name.replace("-idx", ".idx")):
        if path.is_file():
            try:
                verify(path, file)
                return path
            except (OSError, ValueError) as error:
                problems.append(f"{path}: {error}")
                logger.warning("%s is not the published file: %s", path, error)
    return None


def verify(path: Path, file: RemoteFile) -> None:
    """Raise ValueError, saying what `path` is instead, unless it is `file` byte for byte."""
    with path.open("rb") as stream:
        start = stream.read(64)
        size = os.fstat(stream.fileno()).st_size
        expected = file.unpacked if start.startswith(b"\0\0") else file.packed
        if size == expected.size:
            stream.seek(0)
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
            if sha256 == expected.sha256:
                return
            raise ValueError(f"wrong contents: expected SHA-256 {expected.sha256}; found {sha256}")
    if start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        raise ValueError("expected data; found an HTML page")
    kind = "truncated" if size < expected.size else "too long"
    raise ValueError(f"{kind}: {size:,} of {expected.size:,} bytes")


def _keep_wrong_file(path: Path, file: RemoteFile) -> None:
    """Rename a wrong file that is in the way of a good one: it is the user's, who may want it."""
    with suppress(FileNotFoundError):
        try:
            verify(path, file)
        except ValueError:
            kept = path.with_name(f"{path.name}.{secrets.token_hex(2)}.bad")
            path.rename(kept)
            logger.warning("%s is kept as %s", path, kept.name)


def _unavailable(dataset: str, folder: Path, problems: list[str]) -> DatasetError:
    lines = [
        f"{dataset} is not in {folder} and can't be downloaded: {'; '.join(problems)}",
        f"Get these files elsewhere, unpacked or not, put them into {folder} and start again:",
    ]
    for name, packed, _ in DATASETS[dataset].files:
        lines.append(f"  {name}.gz  {packed.size:,} bytes  SHA-256 {packed.sha256}")
    return DatasetError("\n".join(lines))


# --- one file over HTTP ---------------------------------------------------------------------------


def _download(file: RemoteFile, mirrors: list[str], problems: list[str], path: Path) -> bool:
    """Fill `path` from the first mirror that delivers. One that fails is taken off the list, so
    that a dead host costs its time-out once, not once per file.
    """
    while mirrors:
        url = f"{mirrors[0]}{file.name}.gz"
        try:
            _get(url, file, path)
            verify(path, file)
            return True
        except (OSError, ValueError) as error:
            problems.append(f"{url}: {_reason(error)}")
            mirrors.pop(0)
            advice = f"trying {mirrors[0]}" if mirrors else "giving up"
            logger.warning("%s; %s", problems[-1], advice)
    return False


def _get(url: str, file: RemoteFile, path: Path) -> None:
    import pooch  # noqa: PLC0415  slow to import, and most runs have the files
    from tqdm import tqdm  # noqa: PLC0415

    get = pooch.HTTPDownloader(chunk_size=CHUNK, timeout=TIMEOUT, headers=HEADERS)
    name, size = f"{file.name}.gz", file.packed.size
    # disable=None: shown on a terminal only
    bar = tqdm(total=size, desc=name, unit="B", unit_scale=True, leave=False, disable=None)
    limit = max(size, file.unpacked.size)
    with bar, LimitedWriter(path, limit, MIN_TIME + size / MIN_SPEED, bar.update) as stream:
        get(url, stream, None)
        bar.leave = True  # the bar of a failure goes, its reason is told instead


class LimitedWriter(io.FileIO):
    """A file that takes `limit` bytes within `seconds` at most, whatever the server sends."""

    def __init__(
        self, path: Path, limit: int, seconds: float, progress: Callable[[int], object]
    ) -> None:
        super().__init__(path, "wb")
        self.limit, self.seconds, self.progress = limit, seconds, progress
        self.began = time.monotonic()

    def write(self, data: Any) -> int:
        if self.tell() + len(data) > self.limit:
            raise ValueError(f"too long: more than {self.limit:,} bytes")
        if time.monotonic() > self.began + self.seconds:
            raise TimeoutError(f"too slow: not complete after {self.seconds:,.0f} s")
        self.progress(len(data))
        return super().write(data)


def _reason(error: Exception) -> str:
    """What went wrong with a download, in words."""
    if (response := getattr(error, "response", None)) is not None:
        return f"HTTP {response.status_code} {response.reason}"
    # requests and urllib3 wrap the cause in up to four others, each with more to read
    inner = getattr(error, "reason", None) or (error.args[-1] if error.args else None)
    if isinstance(inner, Exception):
        return _reason(inner)
    return str(error).rpartition("): ")[2] or type(error).__name__
