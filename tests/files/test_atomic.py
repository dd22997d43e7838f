"""Files appear all at once or not at all, whatever stops the writing, and whatever their names."""

import os
from pathlib import Path

import pytest
from programs import names_in

from digits.files.atomic import WriteError, remove_unfinished, replacing, write_file, write_new


def test_missing_folders_are_made(tmp_path: Path) -> None:
    write_file(tmp_path / "runs" / "første" / "a.bin", b"abc")
    assert (tmp_path / "runs" / "første" / "a.bin").read_bytes() == b"abc"


def test_an_old_file_is_replaced_whole(tmp_path: Path) -> None:
    for content in (b"a long content", b"short"):
        write_file(str(tmp_path / "a.bin"), content)
        assert (tmp_path / "a.bin").read_bytes() == content
    assert names_in(tmp_path) == ["a.bin"]


def test_new_files_replace_nothing(tmp_path: Path) -> None:
    (tmp_path / "a-3.x").symlink_to("nowhere")
    contents = (b"first", b"other", b"first", b"another", b"another")
    names = [write_new(tmp_path / "a.x", content).name for content in contents]
    assert names == ["a.x", "a-2.x", "a.x", "a-4.x", "a-4.x"]
    assert not (tmp_path / "nowhere").exists()


def test_a_file_is_on_disk_before_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or a power cut could leave the name of the new file on an empty one."""
    synced = []
    monkeypatch.setattr(os, "fsync", lambda number: synced.append(os.fstat(number).st_size))
    write_file(tmp_path / "a.bin", b"abc")
    assert synced == [3]


def test_an_interrupted_block_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), replacing(path) as temporary:
        temporary.write_bytes(b"half")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old"
    assert names_in(tmp_path) == ["a.bin"]


@pytest.mark.parametrize("name", ["n" * 251 + ".png", "数" * 80 + ".png", "[*?].png", "\udcff.png"])
def test_any_name_that_a_file_may_have(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    try:
        path.touch()
    except OSError:
        pytest.skip("not a name here")
    write_file(path, b"abc")
    assert path.read_bytes() == b"abc"
    assert names_in(tmp_path) == [name]


def test_only_what_kills_have_left_is_removed(tmp_path: Path) -> None:
    with replacing(tmp_path / "a.npz") as temporary:
        os.link(temporary, tmp_path / "kept")
    os.rename(tmp_path / "kept", temporary)  # as a kill leaves it
    (tmp_path / ".mine.part").touch()
    remove_unfinished(tmp_path, min_age=60)
    assert temporary.exists()
    remove_unfinished(tmp_path)
    assert names_in(tmp_path) == [".mine.part", "a.npz"]


def test_where_no_file_can_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "file" / "a.bin", tmp_path / "folder"):
        with pytest.raises(WriteError, match=r"cannot be written.*choose another folder"):
            write_file(path, b"abc")
    assert names_in(tmp_path) == ["file", "folder"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_a_pipe_or_a_device_is_never_replaced(tmp_path: Path) -> None:
    """As root, /dev/null would be a plain file from then on."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(WriteError, match="a pipe or a device has this name"):
        write_file(tmp_path / "pipe", b"abc")
    assert (tmp_path / "pipe").is_fifo() and names_in(tmp_path) == ["pipe"]
