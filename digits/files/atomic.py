"""Files that appear all at once: they are written under a temporary name in the same folder and
renamed when complete, so that a reader sees the old file or the whole new one.
"""

import errno
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


class WriteError(OSError):
    """A file that cannot be written; the message names it, says why and what to do."""

    def __init__(self, path: Path, reason: OSError) -> None:
        super().__init__(reason.errno, reason.strerror, str(path))

    def __str__(self) -> str:
        advice = "what was there before is untouched: make room or choose another folder"
        return f"{self.filename} cannot be written: {self.strerror}; {advice}"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary file that takes the place of `path` if the block ends well, and else is removed.

    Every process has its own, so none waits for another. Missing folders are made.

    Raises OSError where a folder, a pipe or a device is, such as /dev/null: it is never replaced.
    """
    if path.exists() and not path.is_file():
        raise FileExistsError(errno.EEXIST, "a folder, a pipe or a device has this name")
    path.parent.mkdir(parents=True, exist_ok=True)
    # Two machines that share the folder may have processes of the same number, hence the token.
    temporary = path.with_name(f".digits-{os.getpid()}-{secrets.token_hex(4)}.part")
    temporary.touch(exist_ok=False)
    try:
        yield temporary
        temporary.replace(path)
    finally:
        with suppress(OSError):
            temporary.unlink()


def write_file(path: str | Path, content: bytes) -> None:
    """Put `content` at `path` all at once.

    Raises WriteError, an OSError, where that fails (a full disk, no right to); the old file stays.
    """
    path = Path(path)
    try:
        with replacing(path) as temporary, temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # or a power cut could leave a complete name on an empty file
    except OSError as error:
        raise WriteError(path, error) from error


def write_new(path: Path, content: bytes) -> Path:
    """Put `content` at `path`, or under its name with a number if something else stands there.

    Returns where it is now. Raises WriteError.
    """
    stem, number = path.stem, 2
    while os.path.lexists(path):
        if path.is_file() and path.read_bytes() == content:
            return path
        path, number = path.with_stem(f"{stem}-{number}"), number + 1
    write_file(path, content)
    return path


def remove_unfinished(folder: Path, min_age: float = 0.0) -> None:
    """Remove the temporary files that killed processes left in a folder, if they are at least
    `min_age` seconds old: 0 is for a process that alone writes there.
    """
    for temporary in folder.glob(".digits-*.part"):
        with suppress(OSError):
            if time.time() - temporary.stat().st_mtime >= min_age:
                temporary.unlink()
