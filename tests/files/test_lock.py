"""One run for each folder: a second one is refused while the first lives; no file is harmed."""

import errno
import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from unittest.mock import Mock

import pytest
from programs import environment

from digits.files.atomic import WriteError
from digits.files.lock import LOCK_FILE, FolderInUseError, folder_lock


def start(code: str, *arguments: object) -> "subprocess.Popen[str]":
    """A process that runs `code`, which finds the library."""
    line, pipe = [sys.executable, "-W", "error", "-c", code, *map(str, arguments)], subprocess.PIPE
    return subprocess.Popen(
        line, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=environment()
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
def test_the_second_is_refused_until_the_first_ends(ending: str, tmp_path: Path) -> None:
    with start(HOLDER, tmp_path) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        with pytest.raises(FolderInUseError, match="another folder") as caught:
            with folder_lock(tmp_path):
                pass
        assert str(tmp_path) in str(caught.value)
        if ending == "killed":
            process.kill()
        process.communicate("")
    with folder_lock(tmp_path) as locked:
        assert locked


def test_within_one_process_too(tmp_path: Path) -> None:
    folder = tmp_path / "made" / "for it"
    with folder_lock(folder), pytest.raises(FolderInUseError), folder_lock(folder):
        pass
    with pytest.raises(KeyError), folder_lock(folder):
        raise KeyError
    with folder_lock(folder):
        pass


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
    refused = pytest.raises(WriteError, match=LOCK_FILE) if "link" in what else nullcontext()
    with refused, folder_lock(tmp_path):
        pass
    assert path.lstat()[:7] == before
    assert sorted(os.listdir(tmp_path)) == [LOCK_FILE, "thesis.txt"]
    assert thesis.read_text() == ""


def test_where_no_folder_can_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/nowhere")):
        with pytest.raises(WriteError, match=folder.name), folder_lock(folder):
            pass


def test_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with folder_lock(tmp_path):
        pass
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # as root may write everywhere
    with pytest.raises(WriteError, match="Permission denied"), folder_lock(tmp_path):
        pass


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_locks(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    refuse = Mock(side_effect=OSError(code, os.strerror(code)))
    monkeypatch.setattr(pytest.importorskip("fcntl"), "flock", refuse)
    with folder_lock(tmp_path) as locked:
        assert not locked
    assert [str(tmp_path) in message for message in caplog.messages] == [True]
