"""The server behind the page: what it answers, whom it refuses, and its command line."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from base64 import b64decode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from flask.testing import FlaskClient
from numpy.typing import ArrayLike

from digits.data.synthetic_digits import strokes
from digits.files.models import load_model
from digits.nn.layers import Dense
from digits.nn.sequential import Input, Sequential
from digits.page.server import LARGEST_PHOTO, PAGE, application, main
from digits.types import Array
from predict_image import SHIPPED_MODEL
from two_layer_net import TwoLayerNet


def drawn(rows: list[str], rng: np.random.Generator, size: int = 110, pen: int = 13) -> Array:
    """A drawing as the page sends it: rows of digits in one hand, black on white."""
    paper = np.full((60 + 150 * len(rows), 600), 255, np.uint8)
    for row, digits in enumerate(rows):
        left = 30.0
        for digit in digits:
            right = left
            for points, _ in strokes(int(digit), rng):
                path = points * size + [left, 30 + 150 * row]
                right = max(right, float(path[:, 0].max()))
                corners = [np.rint(16 * path).astype(np.int32)]
                cv2.polylines(paper, corners, False, 0, pen, cv2.LINE_AA, 4)
            left = right + 40
    return paper


def encoded(picture: Array, kind: str = ".png") -> bytes:
    return bytes(cv2.imencode(kind, picture)[1])


@pytest.fixture(scope="module")
def network() -> Any:
    return load_model(SHIPPED_MODEL)


@pytest.fixture(scope="module")
def client(network: Any) -> FlaskClient:
    return application(network, "photo").test_client()


# --- answers --------------------------------------------------------------------------------------


def test_a_drawing_is_read(client: FlaskClient, rng: np.random.Generator) -> None:
    answer = client.post("/drawing", data=encoded(drawn(["314", "159"], rng))).get_json()
    assert answer["rows"] == ["314", "159"]
    assert answer["size"] == [600, 360]
    digits = answer["digits"]
    assert [digit["digit"] for digit in digits] == [3, 1, 4, 1, 5, 9]
    assert [digit["row"] for digit in digits] == [0, 0, 0, 1, 1, 1]
    for digit in digits:
        x, y, width, height = digit["box"]
        assert 100 < height < 140
        assert abs(y + height / 2 - (85 + 150 * digit["row"])) < 10
        assert 0 <= x < x + width <= 600
        assert digit["confidence"] == digit["probabilities"][digit["digit"]]
        assert len(digit["probabilities"]) == 10
        image = np.frombuffer(b64decode(digit["image"]), np.uint8)
        assert image.shape == (784,)
        assert image.max() == 255  # ink
        assert image.reshape(28, 28)[:, 0].max() == 0  # paper


def test_what_cannot_be_read_is_framed(client: FlaskClient, rng: np.random.Generator) -> None:
    paper = drawn(["31"], rng)
    cv2.ellipse(paper, (450, 90), (60, 20), 0, 0, 360, 0, 13)
    cv2.line(paper, (380, 60), (560, 120), 0, 13)
    answer = client.post("/drawing", data=encoded(paper)).get_json()
    assert answer["rows"] == ["31"]
    ((x, y, width, height),) = answer["unread"]
    ink = cv2.boundingRect((paper[:, 370:] < 153).astype(np.uint8))
    assert (x, y, width, height) == (ink[0] + 370, *ink[1:])


def test_an_empty_paper_is_no_error(client: FlaskClient) -> None:
    answer = client.post("/drawing", data=encoded(np.full((300, 600), 255, np.uint8)))
    assert answer.status_code == 200
    assert answer.get_json() == {"rows": [], "unread": [], "size": [600, 300], "digits": []}


def test_a_photo_is_read(client: FlaskClient, rng: np.random.Generator) -> None:
    """Larger than what is analysed, in uneven light: the boxes are in the pixels of `size`."""
    paper = cv2.resize(drawn(["2026"], rng), (4800, 1680), interpolation=cv2.INTER_AREA)
    light = np.linspace(0.5, 0.95, 4800)
    photo = np.repeat((paper * light).astype(np.uint8)[..., np.newaxis], 3, axis=2)
    answer = client.post("/photo", data=encoded(photo, ".jpg")).get_json()
    assert answer["rows"] == ["2026"]
    width, height = answer["size"]
    assert width < 4800  # reduced while it was decoded
    boxes = np.array([digit["box"] for digit in answer["digits"]])
    assert (boxes[:, 0] + boxes[:, 2] <= width).all()
    assert np.allclose(boxes[:, 3] / height, 115 / 210, atol=0.08)


def test_each_layer_is_told(client: FlaskClient, network: Any, rng: np.random.Generator) -> None:
    seen = client.post("/drawing", data=encoded(drawn(["4"], rng))).get_json()["digits"][0]["image"]
    layers = client.post("/layers", data=b64decode(seen)).get_json()["layers"]
    image = np.frombuffer(b64decode(seen), np.uint8).astype(np.float32) / 255
    outputs = dict(network.activations(image[np.newaxis]))
    assert [layer["name"] for layer in layers] == [
        name for name in outputs if name not in ("reshape", "flatten")
    ]
    for layer in layers:
        shape = (layer["maps"], layer["height"], layer["width"])
        steps = np.frombuffer(b64decode(layer["values"]), np.int8).reshape(shape)
        values = steps.transpose(1, 2, 0) * layer["largest"] / 127
        expected = outputs[layer["name"]][0]
        assert np.allclose(values.reshape(expected.shape), expected, atol=layer["largest"] / 250)
    assert layers[1]["name"] == "conv2d"
    assert (layers[1]["maps"], layers[1]["height"], layers[1]["width"]) == (16, 24, 24)
    assert np.frombuffer(b64decode(layers[-1]["values"]), np.int8)[:10].argmax() == 4


def test_a_layer_of_zeros_has_a_scale(client: FlaskClient) -> None:
    dark = Sequential([Dense(5, activation="relu"), Dense(10)], rng=np.random.default_rng(0))
    dark.params.flat[...] = 0
    layers = application(dark).test_client().post("/layers", data=bytes(784)).get_json()["layers"]
    assert [b64decode(layer["values"]) for layer in layers] == [bytes(5), bytes(10)]


def test_the_network_of_the_book_has_layers_too(rng: np.random.Generator) -> None:
    network = TwoLayerNet(784, 50, 10, rng=rng)
    client = application(network, "two-layer").test_client()
    layers = client.post("/layers", data=bytes(range(196)) * 4).get_json()["layers"]
    assert [(layer["name"], layer["maps"]) for layer in layers] == [("hidden", 50), ("scores", 10)]
    assert "<i>two-layer</i>" in client.get("/").text
    assert "39,760 weights" in client.get("/").text
    assert ">none<" not in client.get("/").text  # ten answers


def test_one_answer_at_a_time(rng: np.random.Generator) -> None:
    """Networks calculate in arrays of their own, the server answers in several threads."""

    class Careful(TwoLayerNet):
        inside = 0

        def predict(self, x: ArrayLike) -> Array:
            self.inside += 1
            assert self.inside == 1
            time.sleep(0.02)
            self.inside -= 1
            return super().predict(x)

        def activations(self, x: ArrayLike) -> list[tuple[str, Array]]:
            self.predict(x)
            return super().activations(x)

    app = application(Careful(784, 5, 10, rng=rng))
    png = encoded(drawn(["7"], rng))

    def ask(path: str) -> int:
        data = bytes(784) if path == "/layers" else png
        return app.test_client().post(path, data=data).status_code

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(ask, ["/drawing", "/photo", "/layers"] * 4)) == {200}


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/drawing", "/photo"])
@pytest.mark.parametrize("data", [b"", b"# no picture", b"\x89PNG\r\n\x1a\n" + bytes(40)])
def test_what_is_no_picture(client: FlaskClient, path: str, data: bytes) -> None:
    answer = client.post(path, data=data)
    assert answer.status_code == 422
    assert len(answer.get_json()["error"].split()) > 3


def test_what_is_no_image_of_the_network(client: FlaskClient) -> None:
    answer = client.post("/layers", data=bytes(783))
    assert answer.status_code == 422
    assert "784 bytes" in answer.get_json()["error"]
    assert "783" in answer.get_json()["error"]


@pytest.mark.parametrize("path", ["/drawing", "/photo", "/layers"])
def test_what_is_too_large(client: FlaskClient, path: str) -> None:
    answer = client.post(path, data=bytes(LARGEST_PHOTO + 1))
    assert answer.status_code == 413
    assert answer.get_json() == {"error": "the file is larger than 32 MB; make it smaller"}


def test_what_is_not_there(client: FlaskClient) -> None:
    for answer, status in [
        (client.get("/page/../draw_digit.py"), 404),
        (client.get("/nothing"), 404),
        (client.get("/drawing"), 405),
    ]:
        assert answer.status_code == status
        assert answer.get_json()["error"]


@pytest.mark.filterwarnings("error")
def test_a_network_whose_numbers_are_too_large(rng: np.random.Generator) -> None:
    """Neither JSON nor a browser knows inf and nan."""
    network = Sequential([Dense(20), Dense(10)], rng=rng)
    client = application(network).test_client()
    network.params.flat[...] = 3e38
    png = encoded(drawn(["7"], rng))
    for path, data in [("/drawing", png), ("/photo", png), ("/layers", bytes(range(196)) * 4)]:
        answer = client.post(path, data=data)
        assert answer.status_code == 422, path
        assert "not finite, as its weights are too large" in answer.get_json()["error"]


def test_a_fault_is_a_sentence_too(rng: np.random.Generator) -> None:
    network = TwoLayerNet(784, 5, 10, rng=rng)
    client = application(network).test_client()
    network.params = None  # type: ignore[assignment]
    answer = client.post("/layers", data=bytes(784))
    assert answer.status_code == 500
    assert answer.get_json()["error"]


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8028", 200),
        ("localhost", 200),
        ("[::1]:8028", 200),
        ("192.168.1.7:8028", 200),
        ("evil.example", 403),
        ("127.0.0.1.evil.example:8028", 403),
        ("localhost.evil.example", 403),
        ("evil.example@127.0.0.1", 403),
        ("[::1", 403),
        ("2130706433", 403),
    ],
)
def test_no_other_name_leads_here(client: FlaskClient, host: str, status: int) -> None:
    """A name that somebody has point at 127.0.0.1 would make this page theirs."""
    answer = client.get("/", headers={"Host": host})
    assert answer.status_code == status
    if status != 200:
        assert "the server printed" in answer.get_json()["error"]


def test_the_name_it_was_started_with_leads_here(network: Any) -> None:
    client = application(network, host="Lecture.local").test_client()
    assert client.get("/", headers={"Host": "lecture.local:8028"}).status_code == 200
    assert client.get("/", headers={"Host": "other.local:8028"}).status_code == 403


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://127.0.0.1:8028", 200),
        (None, 200),
        ("http://evil.example", 403),
        ("http://127.0.0.1:8029", 403),
        ("https://127.0.0.1:8028", 403),
        ("null", 403),
        ("", 403),
    ],
)
def test_no_other_page_may_ask(client: FlaskClient, origin: str | None, status: int) -> None:
    headers = {"Host": "127.0.0.1:8028"} | ({} if origin is None else {"Origin": origin})
    data = encoded(np.full((300, 600), 255, np.uint8))
    assert client.post("/drawing", data=data, headers=headers).status_code == status


def test_every_answer_is_guarded(client: FlaskClient) -> None:
    for path in ["/", "/page/draw.js", "/page/style.css", "/page/icon.svg", "/nothing"]:
        with client.get(path) as answer:
            headers = answer.headers
        assert headers["Content-Security-Policy"].startswith("default-src 'self';")
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "Access-Control-Allow-Origin" not in headers


def test_the_page_asks_nobody_else() -> None:
    for file in PAGE.iterdir():
        addresses = re.findall(r"https?://[^\s\"')]+", file.read_text(encoding="utf-8"))
        assert set(addresses) <= {"http://www.w3.org/2000/svg"}, file.name


def test_networks_of_something_else(rng: np.random.Generator) -> None:
    with pytest.raises(ValueError, match="this one has 5"):
        application(TwoLayerNet(784, 20, 5, rng=rng))
    with pytest.raises(ValueError, match="784 pixels"):
        application(Sequential([Input((100,)), Dense(10)], rng=rng))


# --- command line ---------------------------------------------------------------------------------


def test_a_port_that_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["--port", str(port)]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith(f"draw_digit: port {port} of 127.0.0.1 is taken")
    assert "--port 0" in told.err


def test_a_host_that_is_somewhere_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--host", "192.0.2.1"]) == 1  # an address that no machine has
    assert "--host takes an address of this machine" in capsys.readouterr().err


@pytest.mark.parametrize("port", ["65536", "-1", "http", "80.5", ""])
def test_no_port(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([f"--port={port}"])
    assert f"expected a port, 0 to 65535; received {port}" in capsys.readouterr().err


def test_no_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--model", str(tmp_path / "none.npz")]) == 1
    told = capsys.readouterr().err
    assert told.startswith("draw_digit: ")
    assert "none.npz" in told


def test_flask_is_missing(root: Path, tmp_path: Path) -> None:
    (tmp_path / "flask.py").write_text("raise ImportError('No module named flask')\n")
    result = subprocess.run(
        [sys.executable, "-m", "digits.page"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert result.stderr == (
        "draw_digit: No module named flask: the page needs Flask and waitress; "
        "pip install -e '.[web]'\n"
    )


@pytest.fixture
def ctrl_c_is_heard() -> Iterator[None]:
    """Programs that are started in the background would otherwise be told to ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
@pytest.mark.usefixtures("ctrl_c_is_heard")
def test_ctrl_c_ends_it(root: Path) -> None:
    command = [sys.executable, "-m", "digits.page", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as it:
        assert it.stdout
        line = it.stdout.readline()
        assert re.fullmatch(r"draw digits at http://127.0.0.1:\d+/ \(Ctrl-C ends it\)\n", line)
        it.send_signal(signal.SIGINT)
        out, err = it.communicate(timeout=60)
        assert (it.returncode, out, err) == (0, "", "")
