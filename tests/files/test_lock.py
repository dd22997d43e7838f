"""One run for each folder: a second one is refused as long as the first one lives, however it ends,
and no file of the user's is harmed by it.
"""

import errno
import importlib.util
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest
from programs import names_in

from digits.files.atomic import WriteError
from digits.files.lock import LOCK_FILE, FolderInUseError, folder_lock


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
from digits.files.lock import folder_lock

with folder_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("ending", ["done", "killed"])
def test_the_second_is_refused_until_the_first_ends(
    ending: str, tmp_path: Path, root: Path
) -> None:
    with start(root, HOLDER, tmp_path) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(FolderInUseError) as caught, folder_lock(tmp_path):
            pass
        for part in (str(tmp_path), f"process {process.pid} on ", "another folder"):
            assert part in str(caught.value)
        if ending == "killed":
            process.kill()
        process.communicate("")
    with folder_lock(tmp_path) as locked:
        assert locked


def test_within_one_process_too(tmp_path: Path) -> None:
    with folder_lock(tmp_path), pytest.raises(FolderInUseError), folder_lock(tmp_path):
        pass
    with pytest.raises(KeyError), folder_lock(tmp_path):
        raise KeyError
    with folder_lock(tmp_path):
        pass


RACE = """
import os, sys, time
from pathlib import Path
from digits.files.lock import FolderInUseError, folder_lock

folder, claim, turns = Path(sys.argv[1]), Path(sys.argv[2]), 0
while turns < 40:
    try:
        with folder_lock(folder):
            os.close(os.open(claim, os.O_CREAT | os.O_EXCL))  # fails if another one is inside
            claim.unlink()
            turns += 1
    except (FolderInUseError, OSError):  # the folder may go while it is being made
        pass
"""


def test_never_two_inside(tmp_path: Path, root: Path) -> None:
    processes = [start(root, RACE, tmp_path / "a" / "b", tmp_path / "claim") for _ in range(4)]
    # All are waited for before any is judged, or a failure here would leave some to later tests.
    told = [process.communicate(timeout=60) for process in processes]
    for process, (out, err) in zip(processes, told, strict=True):
        assert (process.returncode, out, err) == (0, "", "")


def test_a_folder_is_made_and_removed_if_nothing_comes_of_it(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    with folder_lock(folder):
        assert folder.is_dir()
    assert not (tmp_path / "a").exists()
    with pytest.raises(KeyError), folder_lock(folder):
        raise KeyError
    assert not (tmp_path / "a").exists()
    with folder_lock(folder):
        (folder / "model.npz").touch()
    assert {path.name for path in folder.iterdir()} == {"model.npz", LOCK_FILE}
    (tmp_path / "mine").mkdir()
    for _ in range(2):
        with folder_lock(tmp_path / "mine"):
            pass
        assert (tmp_path / "mine").is_dir()


def test_a_folder_that_is_removed_at_this_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the opening of the lock file and the lock: nobody is in a folder that is gone."""
    fcntl = pytest.importorskip("fcntl")
    flock = fcntl.flock

    def flock_late(descriptor: int, operation: int) -> None:
        (tmp_path / "a" / LOCK_FILE).unlink()
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", flock_late)
    with pytest.raises(FolderInUseError, match="start again"), folder_lock(tmp_path / "a"):
        pass


# --- what is not ours -----------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["notes", "link", "link to nothing", "FIFO"])
def test_what_is_not_ours_is_left_as_it_is(what: str, tmp_path: Path) -> None:
    """And a FIFO is not waited for."""
    path, thesis = tmp_path / LOCK_FILE, tmp_path / "thesis.txt"
    thesis.write_text("")
    match what:
        case "notes":
            path.write_text("my notes")
        case "FIFO" if hasattr(os, "mkfifo"):
            os.mkfifo(path)
        case _:
            path.symlink_to(thesis if what == "link" else "none.txt")
    before = path.lstat()[:7]  # all but times
    with pytest.raises(FolderInUseError, match="found something else"), folder_lock(tmp_path):
        pass
    assert path.lstat()[:7] == before
    assert names_in(tmp_path) == ["thesis.txt"]
    assert thesis.read_text() == ""


def test_other_files_called_lock_are_no_concern_of_ours(tmp_path: Path) -> None:
    (tmp_path / ".lock").write_text("my notes")
    (tmp_path / LOCK_FILE).touch()  # as a full disk leaves it
    with folder_lock(tmp_path) as locked:
        assert locked
    assert (tmp_path / ".lock").read_text() == "my notes"


# --- where there can be no lock -------------------------------------------------------------------


def test_where_no_folder_can_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/nowhere")):
        with pytest.raises(WriteError, match=folder.name), folder_lock(folder):
            pass


def test_a_folder_that_cannot_be_written_though_its_lock_file_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with folder_lock(tmp_path):
        pass
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # as root may write everywhere
    with pytest.raises(WriteError, match="Permission denied"), folder_lock(tmp_path):
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
    with folder_lock(tmp_path) as locked:
        assert not locked
    (record,) = caplog.records
    assert str(tmp_path) in record.getMessage()


@pytest.mark.skipif(os.name == "nt", reason="the other tests show it there")
def test_on_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There `msvcrt` locks a byte, which nobody may then read."""
    locked = dict[int, int]()

    def locking(descriptor: int, mode: int, size: int) -> None:
        assert (mode, size) == (2, 1)
        offset = os.lseek(descriptor, 0, os.SEEK_CUR)
        assert offset > 500
        if offset in locked:
            raise PermissionError(errno.EACCES, "Permission denied")
        locked[offset] = descriptor

    stand_in = types.SimpleNamespace(locking=locking, LK_NBLCK=2)
    monkeypatch.setitem(sys.modules, "msvcrt", stand_in)
    monkeypatch.setattr(sys, "platform", "win32")
    specification = importlib.util.find_spec("digits.files.lock")
    assert specification is not None
    assert specification.loader is not None
    windows = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(windows)
    with windows.folder_lock(tmp_path) as held:
        assert held
        with pytest.raises(windows.FolderInUseError, match=f"process {os.getpid()} on "):
            with windows.folder_lock(tmp_path):
                pass
