"""Where a run happens: full disks, read-only folders, no home, and other runs beside it."""

import ctypes
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from unittest.mock import Mock

import pytest
from programs import command, environment, names_in, wait_for
from tiny_data import TEST, TRAIN

import mnist_loader
import train_net
from digits.files.models import load_model
from digits.files.npz import load_arrays
from digits.runs import RESULTS
from mnist_loader import DatasetError

pytestmark = pytest.mark.skipif(os.name == "nt", reason="limits and permissions are POSIX's")

FILES = sorted(RESULTS)


TRAIN_NET = f"""
import sys
import train_net
from digits.data import synthetic_digits

synthetic_digits.SIZES = {TRAIN, TEST}
sys.exit(train_net.main())
"""


def start(
    *arguments: object, prepare: Callable[[], None] | None = None, **variables: str | None
) -> "subprocess.Popen[str]":
    """`train_net.py ARGUMENTS` with these environment variables, which draws 900 digits at most."""
    return subprocess.Popen(
        [sys.executable, "-c", TRAIN_NET, *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(**variables),
        preexec_fn=prepare,  # noqa: PLW1509  (for a function that takes no lock)
    )  # fmt: skip


def end(process: "subprocess.Popen[str]") -> tuple[int, str]:
    """The exit status and what was said on stderr, after the check that there is no traceback."""
    _, err = process.communicate(timeout=300)
    assert "Traceback" not in err
    return process.returncode, err


def new_run(data: Path, out: Path, batches: int = 3) -> tuple[object, ...]:
    return (
        *("--dataset", "synthetic", "--dataset-dir", data, "--out", out, "--quiet"),
        *("--validation", 100, "--iterations", batches),
    )


def obey_permissions() -> None:
    """Take from the superuser what lets it write everywhere (prctl, PR_CAPBSET_DROP)."""
    if os.geteuid() == 0:
        for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
            ctypes.CDLL(None).prctl(24, capability)


FULL_DISK = """
import contextlib, io, json, resource, shutil, sys
import digits.files.atomic, digits.files.npz, train_net
from digits import plots, runs

begun, here, arguments = sys.argv[1], sys.argv[2], sys.argv[3:]
write = digits.files.atomic.write_file
most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]

def write_file(path, content):
    global number
    number += 1
    if number == full:  # no file can grow beyond half of this one
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(content) // 2, most))
    try:
        write(path, content)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

for module in (digits.files.npz, plots, runs):
    module.write_file = write_file
status = full = 1
while status:
    folder, number = shutil.copytree(begun, f"{here}/{full}"), 0
    with contextlib.redirect_stderr(io.StringIO()) as said:
        status = train_net.main(["--resume", folder, *arguments])
    print(json.dumps([folder, status, said.getvalue()]))
    full += 1
"""


def test_a_disk_that_is_full_at_any_write(tmp_path: Path, data: Path) -> None:
    """What was there is whole, the message one sentence, and with room again the run goes on."""
    begun = tmp_path / "begun"
    assert end(start(*new_run(data, begun)))[0] == 0
    rest = ("--dataset-dir", data, "--iterations", 15, "--quiet")
    line = [sys.executable, "-c", FULL_DISK, *map(str, [begun, tmp_path, *rest])]
    told = subprocess.check_output(line, timeout=120, env=environment())
    *attempts, (whole, status, _) = map(json.loads, told.splitlines())
    assert status == 0
    failed = []
    for folder, status, said in attempts:
        out = Path(folder)
        assert status == 1
        (line,) = said.splitlines()
        (name,) = (name for name in FILES if name in line)
        failed.append(name)
        assert line.startswith(f"train_net: {out / name} cannot be written: File too large; ")
        assert names_in(out) == FILES
        if failed.count(name) == 1:
            assert (out / name).read_bytes() == (begun / name).read_bytes()
        load_model(out / "model.npz")
        assert train_net.main(["--resume", folder, *map(str, rest)]) == 0
        assert weights(out) == weights(Path(whole))
    assert failed.count("checkpoint.npz") == 3  # after two epochs, and at the end
    assert sorted(set(failed)) == FILES


def weights(out: Path) -> dict[str, bytes]:
    _, arrays = load_arrays(out / "checkpoint.npz", "checkpoint")
    contents = {name: array.tobytes() for name, array in arrays.items()}
    return contents | {name: (out / name).read_bytes() for name in ("model.npz", "history.csv")}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_log_on_a_full_disk_costs_no_training(tmp_path: Path, data: Path) -> None:
    words = [str(word) for word in new_run(data, tmp_path / "out") if word != "--quiet"]
    with open("/dev/full", "w") as full:
        subprocess.run(command("train_net", *words), stdout=full, check=True, timeout=120)
    assert names_in(tmp_path / "out") == FILES


def test_a_read_only_output_folder(tmp_path: Path, data: Path) -> None:
    out = tmp_path / "out"
    assert end(start(*new_run(data, out)))[0] == 0
    before = {name: (out / name).read_bytes() for name in FILES}
    out.chmod(0o555)
    try:
        for words in (new_run(data, out), ("--resume", out, "--dataset-dir", data)):
            status, err = end(start(*words, prepare=obey_permissions))
            assert (status, err.count("\n")) == (1, 1)
            assert err.startswith(f"train_net: {out} cannot be written: Permission denied; ")
    finally:
        out.chmod(0o755)
    assert {name: (out / name).read_bytes() for name in FILES} == before
    assert names_in(out) == FILES


@pytest.mark.parametrize("cached", [True, False])
def test_a_read_only_data_folder(cached: bool, tmp_path: Path, data: Path) -> None:
    """Read, if there is something to read; else the digits are drawn, and kept nowhere."""
    folder = tmp_path / "data" / "synthetic"
    folder.mkdir(parents=True)
    if cached:
        (folder / "synthetic.pkl").write_bytes((data / "synthetic" / "synthetic.pkl").read_bytes())
    before = names_in(folder)
    folder.chmod(0o555)
    try:
        words = new_run(tmp_path / "data", tmp_path / "out", 1)
        status, err = end(start(*words, prepare=obey_permissions))
        assert (status, "Drawing" in err) == (0, not cached)
    finally:
        folder.chmod(0o755)
    assert (names_in(folder), names_in(tmp_path / "out")) == (before, FILES)


@pytest.mark.parametrize("home", ["/proc/self", "/dev/null", None])
def test_a_home_missing_or_not_to_be_written(home: str | None, tmp_path: Path, data: Path) -> None:
    empty = dict.fromkeys(("MPLCONFIGDIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"))
    words = new_run(data, tmp_path / "out", 1)
    status, err = end(start(*words, prepare=obey_permissions, HOME=home, **empty))
    assert (status, names_in(tmp_path / "out")) == (0, FILES), err


def test_a_user_without_any_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pwd.getpwuid", Mock(side_effect=KeyError("getpwuid(): uid not found")))
    for name in ("HOME", "XDG_CACHE_HOME", "MNIST_DATASET_DIR"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(DatasetError, match=r"home folder(.|\n)*MNIST_DATASET_DIR"):
        mnist_loader.load_mnist(dataset_dir="~/data")
    # Installed from a wheel, where the user's cache folder is the default.
    monkeypatch.setattr(mnist_loader, "__file__", str(tmp_path / "mnist_loader.py"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DatasetError, match=r"home folder(.|\n)*MNIST_DATASET_DIR"):
        mnist_loader.load_mnist()
    assert not list(tmp_path.iterdir())


def test_trainings_that_share_an_empty_data_folder(tmp_path: Path) -> None:
    """Each draws the digits or finds them drawn; all train the same network, to the last bit."""
    runs = 4
    processes = [start(*new_run(tmp_path / "data", tmp_path / f"{i}")) for i in range(runs)]
    assert [end(process)[0] for process in processes] == [0] * runs
    assert names_in(tmp_path / "data" / "synthetic") == ["synthetic.pkl"]
    first, *others = (weights(tmp_path / f"{i}") for i in range(runs))
    assert all(other == first for other in others)


def test_two_runs_into_one_folder(tmp_path: Path, data: Path) -> None:
    """The second is refused, whatever it is, and the first never notices."""
    out = tmp_path / "out"
    assert end(start(*new_run(data, tmp_path / "alone", 120)))[0] == 0
    with start(*new_run(data, out, 120)) as first:
        wait_for(out / "checkpoint.npz", first)
        first.send_signal(signal.SIGSTOP)
        for words in (new_run(data, out), ("--resume", out, "--dataset-dir", data)):
            assert train_net.main(list(map(str, words))) == 1
        first.send_signal(signal.SIGCONT)
        assert end(first)[0] == 0
    assert names_in(out) == FILES
    assert weights(out) == weights(tmp_path / "alone")


def test_what_killed_runs_left_unfinished_is_removed(tmp_path: Path, data: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    for name in (".digits-77-0123abcd.part", ".mine.part"):
        (out / name).touch()
    assert train_net.main([str(word) for word in new_run(data, out, 1)]) == 0
    assert names_in(out) == [".mine.part", *FILES]
