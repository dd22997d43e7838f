"""The loader against mirrors that fail in every way, damaged caches, races, kills; real data."""

import gzip
import hashlib
import http.server
import itertools
import json
import os
import pickle
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from programs import names_in

import mnist_loader
from digits.data import download, synthetic_digits
from digits.data.download import Dataset, DatasetError, FileDigest, RemoteFile
from mnist_loader import load_mnist, read_idx

Handler = http.server.BaseHTTPRequestHandler
Answer = Callable[[Handler, bytes], None]
NAMES = tuple(file.name for file in download.DATASETS["mnist"].files)
CODES = {code: np.dtype(dtype) for code, dtype in mnist_loader.IDX_DTYPES.items()}


def to_idx(array: NDArray[Any]) -> bytes:
    dtype = array.dtype.newbyteorder(">")
    code = next(code for code, known in CODES.items() if known == dtype)
    header = bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.astype(dtype).tobytes()


def digest(data: bytes) -> FileDigest:
    return FileDigest(len(data), hashlib.sha256(data).hexdigest())


class Published:
    """A data set of five pictures, published like the real ones."""

    def __init__(self, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.arrays = [
            rng.integers(0, 256, (3, 28, 28), dtype=np.uint8),
            np.array([5, 0, 9], dtype=np.uint8),
            rng.integers(0, 256, (2, 28, 28), dtype=np.uint8),
            np.array([7, 2], dtype=np.uint8),
        ]
        self.unpacked = {n: to_idx(a) for n, a in zip(NAMES, self.arrays, strict=True)}
        self.packed = {n: gzip.compress(data, mtime=0) for n, data in self.unpacked.items()}
        self.files = tuple(
            RemoteFile(n, digest(self.packed[n]), digest(self.unpacked[n])) for n in NAMES
        )

    def put_into(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in self.packed.items():
            (folder / f"{name}.gz").write_bytes(data)
        return folder

    def check(self, loaded: Any) -> None:
        (train_images, train_labels), (test_images, test_labels) = loaded
        found = [train_images, train_labels, test_images, test_labels]
        for array, expected in zip(found, self.arrays, strict=True):
            assert array.dtype == np.uint8
            np.testing.assert_array_equal(array.reshape(expected.shape), expected)


class Server:
    """A mirror on this machine: `answer[prefix]` says how it behaves under /prefix/."""

    def __init__(self, data: Published, monkeypatch: pytest.MonkeyPatch) -> None:
        self.data, self.monkeypatch = data, monkeypatch
        self.answer: dict[str, Answer] = {"good": send}
        self.requests: list[tuple[str, str]] = []
        self.encodings: set[str] = set()
        server = self

        class Mirror(Handler):
            def do_GET(self) -> None:
                _, prefix, name = self.path.split("/")
                server.requests.append((self.path, self.headers["User-Agent"]))
                server.encodings.add(self.headers["Accept-Encoding"])
                try:
                    server.answer[prefix](self, data.packed[name.removesuffix(".gz")])
                except (BrokenPipeError, ConnectionResetError):
                    pass  # the loader has hung up, as it should

            def log_message(self, *_: Any) -> None:
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Mirror)
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    def url(self, prefix: str) -> str:
        return f"http://127.0.0.1:{self.http.server_port}/{prefix}/"

    def use(self, *prefixes: str) -> None:
        """Make these prefixes, in this order, the mirrors of MNIST."""
        urls = tuple(self.url(prefix) for prefix in prefixes)
        self.monkeypatch.setitem(download.DATASETS, "mnist", Dataset(urls, self.data.files))


def send(handler: Handler, body: bytes, promised: int | None = None, coding: str = "") -> None:
    handler.send_response(200)
    handler.send_header("Content-Encoding", coding)
    handler.send_header("Content-Length", str(len(body) if promised is None else promised))
    handler.end_headers()
    handler.wfile.write(body)
    handler.wfile.flush()


def send_endlessly(handler: Handler, body: bytes) -> None:
    handler.send_response(200)
    handler.end_headers()
    for _ in range(10_000):  # twenty megabytes for a file of two kilobytes
        handler.wfile.write(body)


def send_and_stall(handler: Handler, body: bytes) -> None:
    send(handler, body[:20], promised=len(body))
    time.sleep(1)


def send_slowly(handler: Handler, body: bytes) -> None:
    send(handler, b"", promised=len(body))
    for start in range(0, len(body), 200):
        time.sleep(0.03)
        handler.wfile.write(body[start : start + 200])


FAILURES: dict[str, tuple[Answer, str]] = {
    "403": (lambda h, _: h.send_error(403), "HTTP 403 Forbidden"),
    "404": (lambda h, _: h.send_error(404), "HTTP 404 Not Found"),
    "503": (lambda h, _: h.send_error(503), "HTTP 503 Service Unavailable"),
    "silent": (lambda _, __: time.sleep(1), "timed out"),
    "stalls": (send_and_stall, "timed out"),
    "hangs-up": (lambda h, body: send(h, body[:33], len(body)), "33 bytes read"),
    "truncated": (lambda h, body: send(h, body[:33]), "truncated: 33 of "),
    "wrong-bytes": (lambda h, body: send(h, body[:-1] + b"?"), "wrong contents: expected SHA-256"),
    "html": (lambda h, _: send(h, b"\n<!DOCTYPE html><p>Sign in"), "found an HTML page"),
    "too-long": (lambda h, body: send(h, body + b"?"), "too long"),
    "endless": (send_endlessly, "too long: more than "),
    "empty": (lambda h, _: send(h, b""), "truncated: 0 of "),
    "no-answer": (lambda h, _: h.connection.shutdown(2), "closed connection without response"),
}


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> Published:
    """Five pictures in the place of MNIST, and no mirror: a test can't reach the real ones."""
    data = Published()
    dataset = Dataset(("http://127.0.0.1:9/",), data.files)
    monkeypatch.setitem(download.DATASETS, "mnist", dataset)
    monkeypatch.setattr(download, "TIMEOUT", (0.3, 0.3))
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.delenv("MNIST_DATASET_DIR", raising=False)
    return data


@pytest.fixture
def server(published: Published, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    mirror = Server(published, monkeypatch)
    yield mirror
    mirror.http.shutdown()
    mirror.http.server_close()


COMPLETE = sorted([*(f"{name}.gz" for name in NAMES), "mnist.pkl"])


def test_the_books_return_value_and_options(published: Published, tmp_path: Path) -> None:
    published.put_into(tmp_path / "mnist")
    loaded = load_mnist(dataset_dir=tmp_path)
    shapes = [array.shape for pair in loaded for array in pair]
    assert shapes == [(3, 784), (3,), (2, 784), (2,)]
    published.check(loaded)
    (images, labels), (test_images, _) = load_mnist(True, False, True, dataset_dir=tmp_path)
    assert (images.shape, test_images.shape) == ((3, 1, 28, 28), (2, 1, 28, 28))
    assert images.dtype == labels.dtype == np.float32
    np.testing.assert_array_equal(images[:, 0], published.arrays[0] / np.float32(255))
    np.testing.assert_array_equal(labels, np.eye(10)[[5, 0, 9]])
    with pytest.raises(ValueError, match="among mnist, fashion, synthetic; received 'cifar'"):
        load_mnist(dataset="cifar", dataset_dir=tmp_path)


@pytest.mark.parametrize("normalize", [False, True])
def test_arrays_are_the_callers_own(published: Published, tmp_path: Path, normalize: bool) -> None:
    published.put_into(tmp_path / "mnist")
    for _ in range(3):  # the first time from the files, then from the cache
        for images, labels in load_mnist(normalize, dataset_dir=tmp_path):
            images[:] = 1
            labels[:] = 1
    published.check(load_mnist(dataset_dir=tmp_path))


def test_argument_before_environment_before_checkout(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MNIST_DATASET_DIR", str(tmp_path / "environment"))
    assert mnist_loader._dataset_dir(tmp_path / "argument") == tmp_path / "argument"
    assert mnist_loader._dataset_dir(None) == tmp_path / "environment"
    monkeypatch.setenv("MNIST_DATASET_DIR", "")
    monkeypatch.setattr(mnist_loader, "__file__", str(tmp_path / "mnist_loader.py"))
    (tmp_path / "pyproject.toml").touch()
    assert mnist_loader._dataset_dir(None) == tmp_path / "dataset"
    assert mnist_loader._dataset_dir("~/x") == Path.home() / "x"
    (tmp_path / "pyproject.toml").unlink()  # installed, it leaves site-packages alone
    folder = mnist_loader._dataset_dir(None)
    assert tmp_path not in folder.parents and "digits-from-scratch" in folder.parts


def test_files_put_there_by_hand(published: Published, tmp_path: Path) -> None:
    folder = tmp_path / "mnist"
    folder.mkdir()
    a, b, c, d = NAMES
    (folder / f"{a}.gz").write_bytes(published.packed[a])
    (folder / c.replace("-idx", ".idx")).write_bytes(published.unpacked[c])
    (folder / f"{d}.gz").write_bytes(published.unpacked[d])  # what some browsers save
    wrong = published.unpacked[b][:-1] + b"?"  # an unpacked file is verified, too
    (folder / b).write_bytes(wrong)
    with pytest.raises(DatasetError, match="wrong contents: expected SHA-256"):
        load_mnist(dataset_dir=tmp_path)
    assert (folder / b).read_bytes() == wrong
    (folder / b).write_bytes(published.unpacked[b])
    published.check(load_mnist(dataset_dir=tmp_path))


def test_a_folder_named_by_mistake(server: Server, tmp_path: Path) -> None:
    server.use("good")
    for name, advice in {"mnist": f"name {tmp_path} instead", "other": "move its files"}.items():
        folder = server.data.put_into(tmp_path / name)
        with pytest.raises(DatasetError, match=f"found it in {folder}: {advice}"):
            load_mnist(dataset_dir=folder)
    assert not server.requests


@pytest.mark.parametrize("wrong", [b"", b"<html>sign in</html>", b"\x1f\x8b half a file"])
def test_a_wrong_file_is_kept_and_a_good_one_downloaded(
    server: Server, tmp_path: Path, wrong: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    server.use("good")
    folder = server.data.put_into(tmp_path / "mnist")
    name = f"{NAMES[0]}.gz"
    (folder / name).write_bytes(wrong)
    server.data.check(load_mnist(dataset_dir=tmp_path))
    assert (folder / name).read_bytes() == server.data.packed[NAMES[0]]
    (kept,) = folder.glob("*.bad")
    assert kept.read_bytes() == wrong
    assert "is not the published file" in caplog.text and kept.name in caplog.text


def test_a_file_in_the_place_of_the_folder(server: Server, tmp_path: Path) -> None:
    server.use("good")
    (tmp_path / "mnist").write_text("not a folder")
    with pytest.raises(DatasetError, match="can't be used"):
        load_mnist(dataset_dir=tmp_path)
    assert not server.requests


def test_a_full_disk(published: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    published.put_into(tmp_path / "mnist")
    monkeypatch.setattr(pickle, "dump", Mock(side_effect=OSError(28, "No space left on device")))
    published.check(load_mnist(dataset_dir=tmp_path))
    assert names_in(tmp_path / "mnist") == [name for name in COMPLETE if name != "mnist.pkl"]


def test_download(server: Server, tmp_path: Path) -> None:
    server.use("good")
    server.data.check(load_mnist(dataset_dir=tmp_path / "new"))
    assert names_in(tmp_path / "new" / "mnist") == COMPLETE
    expected = [(f"/good/{name}.gz", "digits-from-scratch") for name in sorted(NAMES)]
    assert sorted(server.requests) == expected and server.encodings == {"identity"}
    server.data.check(load_mnist(dataset_dir=tmp_path / "new"))
    assert len(server.requests) == 4


@pytest.mark.parametrize("failure", FAILURES)
def test_when_the_first_mirror_fails_the_second_serves(
    server: Server, tmp_path: Path, failure: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer, said = FAILURES[failure]
    server.answer["bad"] = answer
    server.use("bad", "good")
    server.data.check(load_mnist(dataset_dir=tmp_path))
    assert names_in(tmp_path / "mnist") == COMPLETE
    assert said in caplog.text and f"trying {server.url('good')}" in caplog.text
    assert sum(path.startswith("/bad/") for path, _ in server.requests) == 1


def test_when_all_mirrors_fail_the_error_says_everything(server: Server, tmp_path: Path) -> None:
    server.answer["bad"] = lambda handler, _: handler.send_error(404)
    server.answer["gone"] = lambda handler, _: handler.send_error(410)
    server.use("bad", "gone")
    with pytest.raises(DatasetError) as error:
        load_mnist(dataset_dir=tmp_path)
    first_line = str(error.value).splitlines()[0]
    parts = (server.url("bad"), "HTTP 404 Not Found", server.url("gone"), "HTTP 410 Gone")
    assert all(part in first_line for part in parts)
    for name, packed, _ in server.data.files:
        assert f"{name}.gz  {packed.size:,} bytes  SHA-256 {packed.sha256}" in str(error.value)
    assert str(tmp_path / "mnist") in str(error.value)
    assert names_in(tmp_path / "mnist") == []


def test_a_server_that_is_too_slow(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never silent for as long as the time-out, and never done."""
    server.answer["slow"] = send_slowly
    server.use("slow")
    for name, value in {"CHUNK": 200, "MIN_TIME": 0}.items():
        monkeypatch.setattr(download, name, value)
    with pytest.raises(DatasetError, match=r"too slow: not complete after 0 s"):
        load_mnist(dataset_dir=tmp_path)
    assert names_in(tmp_path / "mnist") == []


def test_a_mirror_that_fails_half_way_keeps_what_it_gave(server: Server, tmp_path: Path) -> None:
    def only_the_first(handler: Handler, body: bytes) -> None:
        send(handler, body) if NAMES[0] in handler.path else handler.send_error(404)

    server.answer["half"] = only_the_first
    server.use("half")
    with pytest.raises(DatasetError, match=f"{NAMES[1]}.gz: HTTP 404"):
        load_mnist(dataset_dir=tmp_path)
    assert names_in(tmp_path / "mnist") == [f"{NAMES[0]}.gz"]
    server.use("good")
    server.data.check(load_mnist(dataset_dir=tmp_path))
    assert len(server.requests) == 2 + 3


def test_a_transfer_unpacked_on_the_way(server: Server, tmp_path: Path) -> None:
    """By a server that takes the compression of the file for that of the transfer."""
    server.answer["odd"] = partial(send, coding="gzip")
    server.use("odd")
    server.data.check(load_mnist(dataset_dir=tmp_path))


def test_the_published_table() -> None:
    readme = (Path(mnist_loader.__file__).parent / "dataset" / "README.md").read_text()
    for dataset in download.DATASETS.values():
        assert [file.name for file in dataset.files] == list(NAMES)
        assert all(f"<{mirror}>" in readme for mirror in dataset.mirrors)
        for file in dataset.files:
            for size, sha256 in (file.packed, file.unpacked):
                assert f"{size:,}" in readme and sha256 in readme


CHILD = """
import json, pickle, sys, time
import mnist_loader as m
given = json.loads(sys.argv[1])
from digits.data.download import DATASETS, Dataset, FileDigest, RemoteFile
DATASETS["mnist"] = Dataset((given["mirror"],), tuple(
    RemoteFile(n, FileDigest(*p), FileDigest(*u)) for n, p, u in given["files"]))
def dump(cache, file, protocol):
    file.write(pickle.dumps(cache, protocol)[:2000])
    file.flush()
    time.sleep(60)
m.pickle.dump = dump
m.load_mnist(dataset_dir=given["folder"])
"""


def start(server: Server, folder: Path) -> "subprocess.Popen[str]":
    """A process that loads the data and takes a minute to write the cache."""
    given = {"files": server.data.files, "mirror": server.url("slow"), "folder": str(folder)}
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, json.dumps(given)],
        env={**os.environ, "PYTHONPATH": str(Path(mnist_loader.__file__).parent), "NO_PROXY": "*"},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def writes_cache(folder: Path) -> bool:
    return len(list(folder.glob("*.gz"))) == 4 and any(folder.glob(".digits-*.part"))


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL is POSIX's")
@pytest.mark.parametrize("moment", [NAMES[0], NAMES[3], "mnist.pkl"])
def test_killed_at_any_moment_it_starts_again(server: Server, tmp_path: Path, moment: str) -> None:
    folder = tmp_path / "mnist"
    reached, killed = threading.Event(), threading.Event()

    def send_half(handler: Handler, body: bytes) -> None:
        if moment not in handler.path:
            send(handler, body)
        else:
            send(handler, body[: len(body) // 2], promised=len(body))
            reached.set()
            killed.wait(30)

    server.answer["slow"] = send_half
    with start(server, tmp_path) as process:
        try:
            deadline = time.monotonic() + 30
            while not (reached.is_set() or writes_cache(folder)):
                assert process.poll() is None, process.communicate()
                assert time.monotonic() < deadline
                time.sleep(0.005)
        finally:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            killed.set()
    assert not (folder / "mnist.pkl").exists()

    server.use("good")
    server.data.check(load_mnist(dataset_dir=tmp_path))
    (litter,) = set(names_in(folder)) - set(COMPLETE)
    server.data.check(load_mnist(dataset_dir=tmp_path))
    assert litter in names_in(folder)  # its process might be alive
    os.utime(folder / litter, (0, 0))
    server.data.check(load_mnist(dataset_dir=tmp_path))
    assert names_in(folder) == COMPLETE


@pytest.fixture
def cache(published: Published, tmp_path: Path) -> Path:
    published.put_into(tmp_path / "mnist")
    load_mnist(dataset_dir=tmp_path)
    return tmp_path / "mnist" / "mnist.pkl"


def test_the_cache_is_used(published: Published, cache: Path, tmp_path: Path) -> None:
    for path in cache.parent.glob("*.gz"):
        path.unlink()
    published.check(load_mnist(dataset_dir=tmp_path))


def test_a_damaged_cache(
    published: Published, cache: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    good = cache.read_bytes()
    flipped = (good[:i] + bytes([good[i] ^ 1]) + good[i + 1 :] for i in range(0, len(good), 97))
    for damaged in (b"", good[:-9], *flipped):
        cache.write_bytes(damaged)
        published.check(load_mnist(dataset_dir=tmp_path))
        assert cache.read_bytes() == good
        assert "is rebuilt" in caplog.text
        caplog.clear()


class Hostile:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("where", ["alone", "inside", "key"])
def test_a_hostile_pickle(
    published: Published, cache: Path, tmp_path: Path, protocol: int, where: str
) -> None:
    good = cache.read_bytes()
    hostile = Hostile(tmp_path / "owned")
    contents = {"alone": hostile, "inside": (*pickle.loads(good), hostile)}
    contents["key"] = (hostile, *pickle.loads(good)[1:])
    cache.write_bytes(pickle.dumps(contents[where], protocol))
    published.check(load_mnist(dataset_dir=tmp_path))
    assert not (tmp_path / "owned").exists()
    assert cache.read_bytes() == good


def with_arrays(good: bytes, arrays: list[NDArray[Any]]) -> bytes:
    sha256 = hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()
    return pickle.dumps((pickle.loads(good)[0], sha256, *(array.tobytes() for array in arrays)))


def nested(levels: int) -> bytes:
    """A dict whose key is x = (x, x), again and again: its hash takes 2 ** levels steps."""
    steps = b"".join(b"h%ch%c\x86\x94" % (level, level) for level in range(levels))
    return b"\x80\x04}(K\x01\x85\x94" + steps + b"K\x01u."


WRONG_CACHES: dict[str, Callable[[bytes, list[NDArray[Any]]], bytes]] = {
    "a list": lambda _, __: pickle.dumps([1, 2]),
    "other version": lambda good, _: pickle.dumps(("0 mnist", *pickle.loads(good)[1:])),
    "no images": lambda good, arrays: with_arrays(good, [a[:0] for a in arrays]),
    "a label of 10": lambda good, arrays: with_arrays(good, [*arrays[:3], arrays[3] + 8]),
    "half an image": lambda good, arrays: with_arrays(good, [arrays[0][0, :14], *arrays[1:]]),
    "a label too few": lambda good, arrays: with_arrays(good, [*arrays[:3], arrays[3][:1]]),
    "numbers for bytes": lambda good, _: pickle.dumps((*pickle.loads(good)[:5], 7)),
    "what hashes for hours": lambda _, __: nested(60),
    "an escape that warns": lambda _, __: b"S'\\]'\n.",
    "a million instructions": lambda _, __: b"\x80\x05" + b"\x94" * 10**6 + b".",
}


@pytest.mark.parametrize("wrong", WRONG_CACHES)
def test_a_pickle_of_the_wrong_thing(
    published: Published, cache: Path, tmp_path: Path, wrong: str
) -> None:
    good = cache.read_bytes()
    cache.write_bytes(WRONG_CACHES[wrong](good, published.arrays))
    published.check(load_mnist(dataset_dir=tmp_path))
    assert cache.read_bytes() == good


def test_synthetic_digits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(synthetic_digits, "SIZES", (30, 30))
    drawn = load_mnist(dataset="synthetic", dataset_dir=tmp_path)
    (train_images, train_labels), (test_images, test_labels) = drawn
    assert train_images.shape == test_images.shape == (len(train_labels), 784) == (30, 784)
    assert test_labels.dtype == test_images.dtype == np.uint8
    assert not np.array_equal(train_images, test_images)
    assert names_in(tmp_path / "synthetic") == ["synthetic.pkl"]
    monkeypatch.setattr(synthetic_digits, "generate", None)
    again = load_mnist(dataset="synthetic", dataset_dir=tmp_path)
    for part, same in zip(itertools.chain(*drawn), itertools.chain(*again), strict=True):
        np.testing.assert_array_equal(part, same)
    monkeypatch.undo()  # they follow their generator
    monkeypatch.setattr(synthetic_digits, "SIZES", (2, 2))
    monkeypatch.setattr(synthetic_digits, "VERSION", synthetic_digits.VERSION + 1)
    load_mnist(dataset="synthetic", dataset_dir=tmp_path)
    assert "is rebuilt" in caplog.text


numbers = st.sampled_from([dtype.newbyteorder("=") for dtype in CODES.values()]).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=1, max_dims=5, min_side=0))
)


@given(numbers, st.booleans())
def test_idx_round_trip(
    tmp_path_factory: pytest.TempPathFactory, array: NDArray[Any], packed: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "round-trip.idx"
    data = to_idx(array)
    path.write_bytes(gzip.compress(data, 1) if packed else data)
    found = read_idx(path)
    np.testing.assert_array_equal(found, array, strict=True)
    assert found.dtype.isnative and found.flags.writeable


IDX = to_idx(np.arange(6, dtype=np.int16).reshape(2, 3))  # 12 bytes of header, 12 of items
HUGE = bytes([0, 0, 8, 2]) + struct.pack(">2I", 1 << 20, 1 << 20)
BROKEN: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "expected 00 00, a dtype"),
    "magic cut": (IDX[:3], "expected 00 00, a dtype"),
    "text": (b"hello, world", "received '68 65 6c 6c'"),
    "html": (b"<!DOCTYPE html>", "expected 00 00, a dtype"),
    "unknown type": (b"\0\0\x0a" + IDX[3:], "08, 09, 0B, 0C, 0D, 0E"),
    "no dimension": (b"\0\0\x08\0" + b"1", "expected 1 to 64 dimensions"),
    "65 dimensions": (b"\0\0\x08\x41" + bytes(4 * 65), "expected 1 to 64 dimensions"),
    "dimensions cut": (IDX[:10], "expected 8 bytes of dimensions; received 6"),
    "items cut": (IDX[:-1], r"\(2, 3\) items of 2 bytes, 12 in all; .* 11"),
    "trailing byte": (IDX + b"?", r"12 in all; found more"),
    "2**40 items": (HUGE + b"1234", r"1,099,511,627,776 in all; .* more than 4"),
    "overflowing": (b"\0\0\x0e\x04" + b"\xff" * 16 + b"1", "can't hold more than"),
    "2**40 items, packed": (gzip.compress(HUGE + b"1234"), "can't hold more than"),
    "packed, items cut": (gzip.compress(IDX[:-1]), "12 in all; found 11"),
    "packed, trailing": (gzip.compress(IDX + b"?"), "12 in all; found more"),
    "packed, bomb": (gzip.compress(IDX + bytes(1 << 24)), "12 in all; found more"),
    "packed, truncated": (gzip.compress(IDX)[:-9], "breaks off after"),
    "packed, no check sum": (gzip.compress(IDX)[:-4], "breaks off after"),
    "packed, header cut": (gzip.compress(IDX)[:5], "can't be read as IDX"),
    "packed, wrong check sum": (gzip.compress(IDX)[:-8] + bytes(8), "CRC"),
    "packed, wrong bits": (gzip.compress(IDX)[:12] + b"????????????????", "can't be read as IDX"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_idx(name: str, tmp_path: Path) -> None:
    data, said = BROKEN[name]
    path = tmp_path / "broken.idx"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=said) as error:
        read_idx(path)
    assert str(path) in str(error.value)


@pytest.mark.slow
@pytest.mark.parametrize("dataset", ["mnist", "fashion"])
@pytest.mark.usefixtures("real_data")
def test_the_real_data(dataset: str) -> None:
    (images, labels), (test_images, test_labels) = load_mnist(dataset=dataset)
    assert (images.shape, test_images.shape) == ((60_000, 784), (10_000, 784))
    counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(labels).tolist() == (counts if dataset == "mnist" else [6000] * 10)
    assert len(test_labels) == 10_000
    # The mean and deviation that everybody standardizes with.
    mean, deviation = {"mnist": (0.1307, 0.3081), "fashion": (0.2860, 0.3530)}[dataset]
    assert images.mean() / 255 == pytest.approx(mean, abs=1e-4)
    assert images.std() / 255 == pytest.approx(deviation, abs=1e-4)
