"""The routes behind the page: what they answer, and whom they refuse."""

import re
import threading
import time
from base64 import b64decode
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np
import pytest
from flask.testing import FlaskClient
from numpy.typing import ArrayLike

from digits import Dense, Input, Sequential, load_model
from digits.data.synthetic_digits import strokes
from digits.page.app import MAX_PHOTO, application
from digits.page.messages import STATIC, TEXTS
from digits.page.models import Model
from digits.types import Array
from predict_image import SHIPPED_MODEL, read_drawing
from two_layer_net import TwoLayerNet

ROUTES = (
    *("/drawing", "/photo", "/layers", "/unit", "/steps", "/reasons", "/neighbors"),
    *("/training", "/training/command", "/teach"),
)


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


def test_a_drawing_is_read(client: FlaskClient, rng: np.random.Generator) -> None:
    answer = client.post("/drawing", data=encoded(drawn(["314", "150"], rng))).get_json()
    assert (answer["rows"], answer["size"]) == (["314", "150"], [600, 360])
    assert (answer["classes"], answer["parameters"]) == (11, 81_211)
    digits = answer["digits"]
    assert [digit["digit"] for digit in digits] == [3, 1, 4, 1, 5, 0]
    assert [digit["row"] for digit in digits] == [0, 0, 0, 1, 1, 1]
    for digit in digits:
        x, y, width, height = digit["box"]
        assert 100 < height < 140
        assert abs(y + height / 2 - (85 + 150 * digit["row"])) < 10
        assert 0 <= x < x + width <= 600
        assert digit["confidence"] == digit["probabilities"][digit["digit"]]
        assert len(digit["probabilities"]) == 10
        image = np.frombuffer(b64decode(digit["image"]), np.uint8).reshape(28, 28)
        assert image.max() == 255 and not image[:, 0].any()  # ink on paper


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
    empty = {"rows": [], "rows_text": [], "rotation": 0, "unread": [], "digits": []}
    assert answer.get_json().items() >= (empty | {"size": [600, 300]}).items()


def test_a_photo_is_read(client: FlaskClient, rng: np.random.Generator) -> None:
    """Larger than what is analyzed, in uneven light: the boxes are in the pixels of `size`."""
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
    assert layers[1]["kind"] == "Conv2D"
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
    layers = client.post("/layers", data=bytes(784)).get_json()["layers"]
    assert [layer["maps"] for layer in layers] == [50, 10]
    page = client.get("/").text
    assert 'data-values="two-layer"' in page and 'data-values="39,760"' in page
    assert 'data-text="none"' not in page  # ten classes


def test_neighbors_are_the_nearest(client: FlaskClient) -> None:
    one = client.post("/neighbors", data=bytes(784)).get_json()["neighbors"][0]
    answer = client.post("/neighbors", data=b64decode(one["image"])).get_json()
    neighbors = answer["neighbors"]
    assert answer["images"] == 10_000
    assert neighbors[0]["image"] == one["image"] and neighbors[0]["distance"] < 1e-2
    distances = [neighbor["distance"] for neighbor in neighbors]
    assert distances == sorted(distances)
    first, second = (np.frombuffer(b64decode(n["image"]), np.uint8) / 255 for n in neighbors[:2])
    assert abs(np.linalg.norm(first - second) - distances[1]) < 1e-2
    assert client.post("/neighbors?data=x", data=bytes(784)).status_code == 422


class Careful(TwoLayerNet):
    """Notices when two threads use it at the same time."""

    def predict(self, x: ArrayLike) -> Array:
        self.__dict__["inside"] = self.__dict__.get("inside", 0) + 1
        time.sleep(0.02)
        assert self.__dict__["inside"] == 1
        self.__dict__["inside"] = 0
        return super().predict(x)


def test_one_request_at_a_time_uses_a_network(rng: np.random.Generator) -> None:
    """Networks calculate in arrays of their own, and the server answers in several threads."""
    app = application(Careful(784, 5, 10, rng=rng))
    png = encoded(drawn(["7"], rng))

    def ask(path: str) -> int:
        data = bytes(784) if path == "/layers" else png
        return app.test_client().post(path, data=data).status_code

    with ThreadPoolExecutor(5) as pool:
        assert set(pool.map(ask, ["/drawing", "/photo", "/layers"] * 4)) == {200}


def test_a_copy_is_always_asked_in_the_same_thread(rng: np.random.Generator) -> None:
    """In every other one its layers would make their arrays again: gigabytes after a while."""
    model = Model(TwoLayerNet(784, 5, 10, rng=rng))
    asked = []
    for _ in range(3):
        with ThreadPoolExecutor(1) as visitor:
            asked.append(visitor.submit(model.ask, lambda _: threading.get_ident()).result())
    assert len(set(asked)) == 1


def test_a_slow_drawing_stops_no_other(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor do many: those that come too late are told so at once."""
    hostile, held = threading.Event(), threading.Event()
    app = application(TwoLayerNet(784, 5, 10, rng=rng))

    def read(picture: Array, network: Any) -> Any:
        if picture.shape == (7, 7):
            hostile.set()
            assert held.wait(30)
        return read_drawing(picture, network)

    monkeypatch.setattr("digits.page.app.read_drawing", read)
    slow = encoded(np.full((7, 7), 255, np.uint8))
    quick = encoded(drawn(["7"], rng))
    with ThreadPoolExecutor(16) as pool:
        try:
            answers = [pool.submit(app.test_client().post, "/drawing", data=slow)]
            assert hostile.wait(10)
            assert app.test_client().post("/drawing", data=quick).status_code == 200
            for _ in range(12):
                answers.append(pool.submit(app.test_client().post, "/drawing", data=slow))
            time.sleep(0.5)
            refused = [answer.result() for answer in answers if answer.done()]
        finally:
            held.set()
    assert [answer.status_code for answer in refused] == [503] * 4  # three are read, six may wait
    assert "try again" in refused[0].get_json()["error"]


@pytest.mark.parametrize("path", ["/drawing", "/photo"])
@pytest.mark.parametrize("data", [b"", b"# no picture\x00\xff'", b"\x89PNG\r\n\x1a\n" + bytes(40)])
def test_what_is_no_picture(client: FlaskClient, path: str, data: bytes) -> None:
    answer = client.post(path, data=data)
    assert answer.status_code == 422
    told = answer.get_json()
    assert told["code"] == "picture" and len(told["error"].split()) > 3
    assert not re.search(r"""b['"]|\\x""", told["error"])  # nothing of Python


@pytest.mark.parametrize("path", ["/drawing", "/photo", "/layers", "/training", "/teach"])
def test_what_is_too_large(client: FlaskClient, path: str) -> None:
    answer = client.post(path, data=bytes(MAX_PHOTO + 1), content_type="application/json")
    assert answer.status_code == 413
    assert answer.get_json()["error"] == "The file is larger than 32 MB; make it smaller."


def test_a_drawing_of_too_many_pixels(client: FlaskClient) -> None:
    """Reading takes time for every pixel; a photo of as many is made smaller first."""
    large = encoded(np.full((2100, 2000), 255, np.uint8))
    answer = client.post("/drawing", data=large)
    assert answer.status_code == 422
    assert "at most 4,000,000 pixels" in answer.get_json()["error"]
    assert client.post("/photo", data=large).status_code == 200


@pytest.mark.parametrize(
    "query",
    [
        *("", "layer=0", "layer=99&map=0&row=0&column=0", "layer=0&map=x&row=0&column=0"),
        *("layer=1&map=9999&row=0&column=0", "layer=1&map=0&row=-1&column=0", "layer=1e3&map=0"),
    ],
)
def test_no_such_unit(client: FlaskClient, query: str) -> None:
    answer = client.post(f"/unit?{query}", data=bytes(784))
    assert answer.status_code == 422 and "expected " in answer.get_json()["error"]


def test_nothing_has_been_trained(client: FlaskClient) -> None:
    paper = encoded(np.full((300, 600), 255, np.uint8))
    drawing = client.post("/drawing?network=trained", data=paper)
    for answer in (drawing, client.get("/training/model")):
        assert answer.status_code == 404
        assert "start a training first" in answer.get_json()["error"]
    answer = client.post("/training/command", json={"command": "pause"})
    assert answer.status_code == 422
    assert "No training is running" in answer.get_json()["error"]


def test_what_is_not_there(client: FlaskClient) -> None:
    for path, status in (("/page/../draw_digit.py", 404), ("/nothing", 404), ("/drawing", 405)):
        answer = client.get(path)
        assert answer.status_code == status and answer.get_json()["error"]


@pytest.mark.filterwarnings("error")
def test_a_network_whose_numbers_are_too_large(rng: np.random.Generator) -> None:
    network = Sequential([Dense(20), Dense(10)], rng=rng)
    network.params.flat[...] = 3e38
    client = application(network).test_client()
    png = encoded(drawn(["7"], rng))
    for path, data in [("/drawing", png), ("/photo", png), ("/layers", bytes(range(196)) * 4)]:
        answer = client.post(path, data=data)
        assert answer.status_code == 422, path
        assert "not finite, as its weights are too large" in answer.get_json()["error"]


def test_a_fault_is_a_sentence_too(rng: np.random.Generator) -> None:
    network = TwoLayerNet(784, 5, 10, rng=rng)
    client = application(network).test_client()
    del network.params
    answer = client.post("/layers", data=bytes(784))
    assert answer.status_code == 500 and answer.get_json()["error"]


@pytest.mark.parametrize(
    ("host", "status"),
    [
        *((name, 200) for name in ("127.0.0.1:8028", "localhost", "[::1]:8028", "10.0.0.7")),
        *((name, 403) for name in ("evil.example", "127.0.0.1.evil.example:8028", "[::1")),
        *((name, 403) for name in ("localhost.evil.example", "evil@127.0.0.1", "2130706433")),
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
        *(("http://127.0.0.1:8028", 200), (None, 200), ("null", 403), ("", 403)),
        *(("http://evil.example", 403), ("http://127.0.0.1:8029", 403)),
        ("https://127.0.0.1:8028", 403),
    ],
)
def test_no_other_page_may_ask(client: FlaskClient, origin: str | None, status: int) -> None:
    headers = {"Host": "127.0.0.1:8028"} | ({} if origin is None else {"Origin": origin})
    data = encoded(np.full((300, 600), 255, np.uint8))
    assert client.post("/drawing", data=data, headers=headers).status_code == status
    if status == 403:
        for path in ROUTES:
            assert client.post(path, json={}, headers=headers).status_code == 403, path
        assert client.get("/training/events", headers=headers).status_code == 403


def test_no_route_is_left_out_above(client: FlaskClient) -> None:
    rules = client.application.url_map
    asked = {rules.bind("").match(path, "POST")[0] for path in ROUTES}
    assert asked == {rule.endpoint for rule in rules.iter_rules() if "POST" in (rule.methods or ())}


@pytest.mark.parametrize("site", ["cross-site", "same-site", "x"])
def test_no_other_page_may_embed(client: FlaskClient, site: str) -> None:
    """A browser sends no Origin with what a picture or a script asks for."""
    headers = {"Host": "127.0.0.1:8028", "Sec-Fetch-Site": site}
    assert client.get("/", headers=headers).status_code == 200  # a link to the page
    for path in ("/training/events", "/training/model", "/page/sample.jpg"):
        assert client.get(path, headers=headers).status_code == 403, path


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_a_form_starts_no_training(client: FlaskClient, content_type: str) -> None:
    """Other sites can have forms sent without asking, but not JSON."""
    for path in ("/training", "/training/command", "/teach"):
        answer = client.post(path, data=b'{"command": "stop"}', content_type=content_type)
        assert answer.status_code == 415, path


def test_every_answer_is_guarded(client: FlaskClient) -> None:
    for path in ["/", "/page/page.js", "/page/style.css", "/page/sample.jpg", "/nothing"]:
        with client.get(path) as answer:
            headers = answer.headers
        assert headers["Content-Security-Policy"].startswith("default-src 'self';")
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "Access-Control-Allow-Origin" not in headers


def test_every_text_is_in_both_languages() -> None:
    for name, texts in TEXTS.items():
        english, chinese = ([*re.findall(r"\{\d\}", text)] for text in texts)
        assert len(texts) == 2
        assert all(texts), name
        # An error's Chinese sentence may leave out the English one of the library.
        assert set(chinese) <= set(english), name
        assert name.startswith("error.") or set(chinese) == set(english), name


def test_the_page_makes_no_outside_requests() -> None:
    for file in STATIC.iterdir():
        addresses = re.findall(rb"https?://[^\s\"')]+", file.read_bytes())
        assert set(addresses) <= {b"http://www.w3.org/2000/svg"}, file.name
    assert sum(file.stat().st_size for file in STATIC.glob("*.js")) < 60_000


def test_networks_of_something_else(rng: np.random.Generator) -> None:
    with pytest.raises(ValueError, match=r"received .5 classes"):
        application(TwoLayerNet(784, 20, 5, rng=rng))
    with pytest.raises(ValueError, match="784 pixels"):
        application(Sequential([Input((100,)), Dense(10)], rng=rng))
