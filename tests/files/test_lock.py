"""One run for each folder: a second one is refused as long as the first one lives, however it ends,
and whatever the system calls its locks.
"""

import errno
import importlib
import os
import signal
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path

import pytest

from digits.files import lock
from digits.files.atomic import WriteError
from digits.files.lock import FolderInUseError, hold


def start(root: Path, code: str, *arguments: object) -> "subprocess.Popen[str]":
    """A process that runs `code`, which finds the library."""
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    )


HOLDER = """
import sys
from pathlib import Path
from digits.files.lock import hold

with hold(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_the_second_is_refused_and_told_by_whom(tmp_path: Path, root: Path) -> None:
    with start(root, HOLDER, tmp_path) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(FolderInUseError) as caught, hold(tmp_path):
            pass
        for part in (str(tmp_path), f"process {process.pid} on ", "--out"):
            assert part in str(caught.value)
        process.communicate("")
    with hold(tmp_path) as locked:
        assert locked
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL is POSIX's")
def test_a_kill_releases_it(tmp_path: Path, root: Path) -> None:
    with start(root, HOLDER, tmp_path) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert [path.name for path in tmp_path.iterdir()] == [lock.NAME]
    with hold(tmp_path) as locked:
        assert locked
    assert not list(tmp_path.iterdir())


def test_within_one_process_too(tmp_path: Path) -> None:
    with hold(tmp_path), pytest.raises(FolderInUseError), hold(tmp_path):
        pass
    with pytest.raises(KeyError), hold(tmp_path):
        raise KeyError
    with hold(tmp_path):
        pass


RACE = """
import os, sys, time
from pathlib import Path
from digits.files.lock import FolderInUseError, hold

folder, claim, turns = Path(sys.argv[1]), Path(sys.argv[2]), 0
while turns < 40:
    try:
        with hold(folder):
            os.close(os.open(claim, os.O_CREAT | os.O_EXCL))  # fails if another one is inside
            claim.unlink()
            turns += 1
    except FolderInUseError:
        pass
"""


def test_never_two_inside_though_folder_and_lock_come_and_go(tmp_path: Path, root: Path) -> None:
    processes = [start(root, RACE, tmp_path / "a" / "b", tmp_path / "claim") for _ in range(4)]
    # All are waited for before any is judged, or a failure here would leave some to later tests.
    told = [process.communicate(timeout=60) for process in processes]
    for process, (out, err) in zip(processes, told, strict=True):
        assert (process.returncode, out, err) == (0, "", "")
    assert not list(tmp_path.rglob(".lock"))


def test_a_folder_that_goes_while_it_is_being_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """mkdir finds it there, another run removes it, and mkdir finds that it is no folder."""
    folder = tmp_path / "a"
    folder.mkdir()
    is_dir_as_before = Path.is_dir

    def is_dir_of_another(path: Path, **options: bool) -> bool:
        if path == folder and not list(folder.iterdir()):
            monkeypatch.undo()
            folder.rmdir()
        return is_dir_as_before(path, **options)

    monkeypatch.setattr(Path, "is_dir", is_dir_of_another)
    with hold(folder) as locked:
        assert locked


def test_refused_by_one_that_ends_at_this_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with hold(tmp_path):
        (tmp_path / lock.NAME).rename(tmp_path / "gone")
        open_as_before: Callable[..., object] = Path.open

        def open_gone(path: Path, mode: str = "r", *rest: object, **options: object) -> object:
            where = tmp_path / "gone" if "a" in mode else path
            return open_as_before(where, mode, *rest, **options)

        monkeypatch.setattr(Path, "open", open_gone)
        with pytest.raises(FolderInUseError, match="another process"), hold(tmp_path):
            pass


def test_a_folder_is_made_and_removed_if_nothing_comes_of_it(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    with hold(folder):
        assert folder.is_dir()
    assert not (tmp_path / "a").exists()
    with hold(folder):
        (folder / "model.npz").touch()
    assert [path.name for path in folder.iterdir()] == ["model.npz"]
    (tmp_path / "mine").mkdir()
    with hold(tmp_path / "mine"):
        pass
    assert (tmp_path / "mine").is_dir()


def test_where_no_folder_can_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/nowhere")):
        with pytest.raises(WriteError, match=folder.name), hold(folder):
            pass


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_locks(
    code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def flock(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(pytest.importorskip("fcntl"), "flock", flock)
    with hold(tmp_path) as locked:
        assert not locked
    (record,) = caplog.records
    assert str(tmp_path) in record.getMessage()
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_no_reason_to_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock needs no room; only the name of its owner does."""
    monkeypatch.setattr(lock, "os", types.SimpleNamespace(**{**vars(os), "getpid": full}))
    with hold(tmp_path):
        with pytest.raises(FolderInUseError, match="in use by another process"), hold(tmp_path):
            pass


def full() -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """The lock as it is on Windows: `msvcrt` locks a byte that others may then not read, and an
    open file cannot be removed.
    """
    opened, locked = dict[int, int](), dict[tuple[int, int], int]()

    def locking(descriptor: int, mode: int, size: int) -> None:
        assert (mode, size) == (2, 1)
        inode, place = os.fstat(descriptor).st_ino, os.lseek(descriptor, 0, os.SEEK_CUR)
        if (inode, place) in locked and is_open(locked[inode, place], inode):
            raise PermissionError(errno.EACCES, "Permission denied")
        locked[inode, place] = opened[descriptor] = descriptor

    def is_open(descriptor: int, inode: int) -> bool:
        try:
            return os.fstat(descriptor).st_ino == inode
        except OSError:
            return False

    def unlink(path: Path, missing_ok: bool = False) -> None:
        inode = path.stat().st_ino
        if any(is_open(descriptor, inode) for descriptor in opened):
            raise PermissionError(errno.EACCES, "it is open")
        remove(path)

    remove = os.unlink
    monkeypatch.setitem(sys.modules, "msvcrt", types.SimpleNamespace(locking=locking, LK_NBLCK=2))
    monkeypatch.setattr(Path, "unlink", unlink)
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(sys, "platform", "win32")
        specification = importlib.util.find_spec("digits.files.lock")
        assert specification is not None
        assert specification.loader is not None
        module = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(module)
    return module


@pytest.mark.skipif(os.name == "nt", reason="the other tests show it there")
def test_on_windows(
    tmp_path: Path, windows: types.ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    with windows.hold(tmp_path) as locked:
        assert locked
        assert (tmp_path / ".lock").read_text().startswith(f"process {os.getpid()} on ")
        with pytest.raises(windows.FolderInUseError, match=f"process {os.getpid()} on "):
            with windows.hold(tmp_path):
                pass
    assert not list(tmp_path.iterdir())
