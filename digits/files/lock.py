"""One run for each folder: a lock that the operating system keeps for as long as its process lives.
A kill, a crash or a power cut releases it, so no lock has ever to be deleted by hand.
"""

import errno
import logging
import os
import platform
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from digits.files.atomic import WriteError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

logger = logging.getLogger(__name__)

LOCK_FILE = ".digits.lock"
"""It stays in the folder, unless nothing else has come into a folder that was made for it."""
SIGNATURE = b"digits-from-scratch: "
LOCK_OFFSET = 1 << 30
"""The byte that is locked on Windows, where nobody may read what is locked: far behind the text."""

LOCKED_ERRNOS = (errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK)


class FolderInUseError(RuntimeError):
    """Another run writes into the folder, or something else has the name of the lock file; the
    message says what to do.
    """


@contextmanager
def folder_lock(folder: Path) -> Iterator[bool]:
    """Keep every other run out of `folder` until the block ends. A missing folder is made, and
    removed again if nothing has come into it.

    Yields whether there is a lock: on a file system without locks the run goes on without one, and
    a warning says so.

    Raises
    ------
    FolderInUseError : another run is there, or a file of the user's has the name of the lock file.
    WriteError : nothing can be written there.
    """
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    descriptor = _open_lock_file(folder)
    try:
        locked = _lock(descriptor, folder)
        _sign(descriptor, folder)
        try:
            yield locked
        finally:
            _remove_empty(missing)
    finally:
        os.close(descriptor)


def _open_lock_file(folder: Path) -> int:
    path = folder / LOCK_FILE
    # No symbolic link is followed, and no FIFO waited for.
    flags = os.O_RDWR | os.O_CREAT
    for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"):
        flags |= getattr(os, name, 0)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        descriptor = os.open(path, flags, 0o666)
    except OSError as error:
        if path.is_symlink() or path.is_dir():
            raise _foreign(path) from error
        raise WriteError(folder, error) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _foreign(path)
    return descriptor


def _lock(descriptor: int, folder: Path) -> bool:
    """Lock an open file; False if the file system knows no locks."""
    try:
        if sys.platform == "win32":
            os.lseek(descriptor, LOCK_OFFSET, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in LOCKED_ERRNOS:
            owner = _text(descriptor).removeprefix(SIGNATURE).decode(errors="replace")
            raise FolderInUseError(
                f"expected a folder of its own for this run; {folder} is in use by "
                f"{owner or 'another process'}: wait for its end, stop it, or choose another folder"
            ) from error
        logger.warning(
            "%s is on a file system without locks (%s): make sure that no other run writes there",
            folder,
            error.strerror,
        )
        return False
    return True


def _sign(descriptor: int, folder: Path) -> None:
    """Write into the file who holds it, if it is empty or ours."""
    path, text = folder / LOCK_FILE, _text(descriptor)
    if text and not text.startswith(SIGNATURE):
        raise _foreign(path)
    if not path.exists() or not os.path.samestat(os.fstat(descriptor), path.stat()):
        raise FolderInUseError(f"another run has just removed {folder}: start again")
    began = time.strftime("%Y-%m-%d %H:%M:%S")
    owner = f"process {os.getpid()} on {platform.node()} since {began}"
    with suppress(OSError):  # a full disk: the lock holds, though it cannot say whose it is
        os.ftruncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, SIGNATURE + owner.encode())


def _remove_empty(folders: list[Path]) -> None:
    """Remove folders, the innermost first, in which there is nothing but the lock file."""
    with suppress(OSError):  # among others, that of a folder with something in it
        if folders and os.listdir(folders[0]) == [LOCK_FILE]:
            (folders[0] / LOCK_FILE).unlink()
            for folder in folders:
                folder.rmdir()


def _text(descriptor: int) -> bytes:
    os.lseek(descriptor, 0, os.SEEK_SET)
    return os.read(descriptor, 500)


def _foreign(path: Path) -> FolderInUseError:
    return FolderInUseError(
        f"expected the lock file of this library at {path}; found something else, which is left "
        "as it is: rename it, or choose another folder"
    )
