"""One run for each folder: a lock that the operating system keeps for as long as its process lives.
A kill, a crash or a power cut releases it, so no lock has ever to be deleted by hand.
"""

import errno
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from digits.files.atomic import WriteError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

logger = logging.getLogger(__name__)

LOCK_FILE = ".digits.lock"
"""It is empty, and stays in the folder. Whatever else has this name is neither written nor removed:
the lock is on the file, not in it."""


class FolderInUseError(RuntimeError):
    """Another run writes into the folder; the message says what to do."""


@contextmanager
def folder_lock(folder: Path) -> Iterator[bool]:
    """Keep every other run out of `folder`, which is made if it is missing, until the block ends.

    Yields whether there is a lock: on a file system without locks a run goes on, with a warning.

    Raises FolderInUseError if another run is there, WriteError if nothing can be written there.
    """
    path, flags = folder / LOCK_FILE, os.O_RDWR | os.O_CREAT
    for name in ("O_NOFOLLOW", "O_NONBLOCK"):  # no link is followed, and no FIFO waited for
        flags |= getattr(os, name, 0)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        descriptor = os.open(path, flags, 0o666)
    except OSError as error:
        raise WriteError(path if path.is_symlink() else folder, error) from error
    try:
        yield _lock(descriptor, folder)
    finally:
        os.close(descriptor)


def _lock(descriptor: int, folder: Path) -> bool:
    """Lock an open file; False if the file system knows no locks."""
    try:
        if sys.platform == "win32":
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError) as error:  # the second on Windows
        raise FolderInUseError(
            f"expected a folder of its own for this run; {folder} is in use by another process: "
            "wait for its end, stop it, or choose another folder"
        ) from error
    except OSError as error:
        unsure = (
            "%s is on a file system without locks (%s): make sure that no other run writes there"
        )
        logger.warning(unsure, folder, error.strerror)
        return False
    return True
