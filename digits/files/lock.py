"""One run for each folder: a lock that the operating system keeps for as long as its process lives.
A kill, a crash or a power cut releases it, so that no lock is ever left over to be deleted by hand.
"""

import errno
import logging
import os
import platform
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from digits.files.atomic import WriteError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

logger = logging.getLogger(__name__)

NAME = ".lock"
FAR = 1 << 30
"""The byte that is locked on Windows, where nobody may read what is locked: far behind the text."""

CHANCES = 100
"""How often a run that ends may come between, before we give up."""

TAKEN = (errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK)


class FolderInUseError(RuntimeError):
    """Another run writes into the folder; the message says which one and what to do."""


@contextmanager
def hold(folder: Path) -> Iterator[bool]:
    """Keep every other run out of `folder` until the block ends.  A missing folder is made, and
    removed again if nothing has come into it.

    Yields whether there is a lock: on a file system that knows none the run goes on without, and a
    warning says so.  Raises FolderInUseError, or WriteError if nothing can be written there.
    """
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    path, (file, locked) = folder / NAME, _take(folder)
    try:
        file.truncate(0)
        began = time.strftime("%Y-%m-%d %H:%M:%S")
        with suppress(OSError):  # a full disk: the lock holds, though it cannot say whose it is
            file.write(f"process {os.getpid()} on {platform.node()} since {began}".encode())
        yield locked
    finally:
        # POSIX: removed while it is locked, or it might be another's.  Windows: an open file, one
        # that another run is opening as well, cannot be removed.
        if sys.platform == "win32":
            file.close()
        with suppress(OSError):
            path.unlink()
        file.close()
        with suppress(OSError):
            for empty in missing:
                empty.rmdir()


def _take(folder: Path) -> tuple[BinaryIO, bool]:
    """The lock file, open, and whether it is locked."""
    path = folder / NAME
    for chance in reversed(range(CHANCES)):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            file = path.open("ab", buffering=0)
        except OSError as error:
            # A run that ended has just removed the folder that it had made: before the file was
            # opened, or after mkdir had been told that it exists and before it looked what it is.
            if isinstance(error, FileNotFoundError | FileExistsError) and chance:
                continue
            raise WriteError(folder, error) from error
        try:
            locked = _lock(file, folder)
            if not locked or _is_at(path, file):
                return file, locked
        except BaseException:
            file.close()
            raise
        file.close()  # a run that ended has just removed the file
    raise FolderInUseError(f"{folder} cannot be locked: other runs come and go in it; try again")


def _is_at(path: Path, file: BinaryIO) -> bool:
    """Whether an open file is still the one at `path`."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _lock(file: BinaryIO, folder: Path) -> bool:
    """Lock an open file; False if the file system knows no locks."""
    try:
        if sys.platform == "win32":
            file.seek(FAR)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in TAKEN:
            owner = ""
            with suppress(OSError):  # that run may end at this very moment
                owner = (folder / NAME).read_text(errors="replace")
            owner = owner or "another process"
            raise FolderInUseError(
                f"expected a folder of its own for this run; {folder} is in use by {owner}: "
                "wait for its end, stop it, or choose another folder with --out"
            ) from error
        logger.warning(
            "%s is on a file system without locks (%s): see to it that no other run writes there",
            *(folder, error.strerror),
        )
        return False
    return True
