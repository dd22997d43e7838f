"""Training on the page: what may be asked for, how a training is commanded, and what it sends."""

import re
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask import Flask
from flask.testing import FlaskClient

from digits.data.synthetic_digits import generate
from digits.files.models import load_model
from digits.page.app import application
from digits.page.messages import TEXTS, PageError
from digits.page.models import Slots
from digits.page.settings import LIMITS, TeachingSettings, TrainingSettings
from digits.page.training import Training
from two_layer_net import TwoLayerNet

SETTINGS: dict[str, Any] = {
    **{"data": "synthetic", "images": 2000, "network": "layers", "optimizer": "adam"},
    **{"learning_rate": 0.003, "batch_size": 50, "epochs": 3, "seed": 0},
    "layers": [{"kind": "dense", "units": 30, "activation": "relu"}],
}
CONV = {"kind": "conv", "units": 4, "kernel": 3, "activation": "relu"}

PATIENCE = 60


@pytest.fixture
def app() -> Iterator[Flask]:
    app = application(TwoLayerNet(784, 5, 10, rng=np.random.default_rng(0)))
    yield app
    training: Training = app.extensions["training"]
    if training.state["state"] in ("preparing", "training", "paused"):
        training.command("stop")


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def wait_until(app: Flask, is_reached: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    end = time.monotonic() + PATIENCE
    for state in app.extensions["training"].events():
        assert time.monotonic() < end, "too late"
        if state is not None:
            assert state["state"] != "failed", state["error"]
            if is_reached(state):
                return dict(state)
    raise AssertionError


def test_a_training_from_start_to_end(app: Flask, client: FlaskClient, tmp_path: Path) -> None:
    assert client.post("/training", json=SETTINGS).status_code == 200
    state = wait_until(app, lambda state: state["state"] == "done")
    assert state["iteration"] == state["iterations"] == 3 * 40
    assert state["loss"][0] > 2 * state["loss"][-1] > 0
    iterations, train, test = zip(*state["accuracy"], strict=True)
    assert iterations[0] == 0 and list(iterations) == sorted(iterations)
    assert (test[0] < 0.3, min(train[-1], test[-1]) > 0.7) == (True, True)
    assert (state["weights"]["maps"], state["weights"]["height"]) == (24, 28)
    assert state["misread"]
    for wrong in state["misread"]:
        assert wrong["label"] != wrong["answer"]
        assert len(b64decode(wrong["image"])) == 784
    for check in state["check"]:
        assert check["analytic"] == pytest.approx(check["numerical"], rel=1e-4, abs=1e-9)

    # It reads, it can be looked into, and it is a model file.
    x, t = generate(300, np.random.default_rng(9))
    (tmp_path / "model.npz").write_bytes(client.get("/training/model").data)
    network = load_model(tmp_path / "model.npz")
    assert network.accuracy(x.reshape(-1, 784).astype(np.float32) / 255, t) > 0.7
    assert network.metadata["dataset"] == "synthetic"
    digit = x[0].tobytes()
    layers = client.post("/layers?network=trained", data=digit).get_json()["layers"]
    assert [layer["maps"] for layer in layers] == [1, 30, 10]

    # The same again gives the same.
    client.post("/training", json=SETTINGS)
    wait_until(app, lambda state: state["state"] == "done" and state["iteration"] == 120)
    assert (app.extensions["training"].model.network.params.flat == network.params.flat).all()


@pytest.mark.slow
def test_pause_step_continue_stop(app: Flask, client: FlaskClient) -> None:
    def command(name: str) -> int:
        return client.post("/training/command", json={"command": name}).status_code

    client.post("/training", json={**SETTINGS, "images": 20_000, "epochs": 20, "batch_size": 8})
    wait_until(app, lambda state: state["state"] == "training")
    assert command("pause") == 200
    paused = wait_until(app, lambda state: state["state"] == "paused")
    time.sleep(0.3)
    assert app.extensions["training"].state["iteration"] == paused["iteration"]
    for steps in (1, 2):
        command("step")
        expected = paused["iteration"] + steps
        wait_until(app, lambda state, expected=expected: state["iteration"] == expected)  # type: ignore[misc]
    answer = client.post("/training", json=SETTINGS)  # two at once
    assert (answer.status_code, "running already" in answer.get_json()["error"]) == (503, True)
    answer = client.post("/teach", json={"examples": [{"image": b64(bytes(784)), "label": 1}]})
    assert answer.status_code == 503
    command("continue")
    wait_until(app, lambda state: state["iteration"] > paused["iteration"] + 3)
    assert command("pause") == 200
    wait_until(app, lambda state: state["state"] == "paused")
    assert command("stop") == 200
    stopped = wait_until(app, lambda state: state["state"] == "stopped")
    assert stopped["iteration"] < stopped["iterations"]
    assert client.get("/training/model").status_code == 200
    assert (command("continue"), command("rm -rf")) == (422, 422)


def b64(data: bytes) -> str:
    return b64encode(data).decode()


@pytest.mark.slow
def test_teaching(app: Flask, client: FlaskClient) -> None:
    """A pattern that no digit has, called a 3, is a 3 afterwards."""
    client.post("/training", json=SETTINGS)
    wait_until(app, lambda state: state["state"] == "done")
    stripes = np.zeros((28, 28), np.uint8)
    stripes[4:24:6, 4:24] = 255
    examples = [{"image": b64(stripes.tobytes()), "label": 3}]
    results = []
    for rehearse in (True, False):
        sent = {"examples": examples, "rehearse": rehearse}
        assert client.post("/teach?network=trained", json=sent).status_code == 200
        state = wait_until(app, lambda state: "taught" in state)
        assert state["kind"] == "teaching"
        results.append(state["taught"])
        network = app.extensions["training"].model.network
        assert network.predict(stripes.reshape(1, 784) / np.float32(255)).argmax() == 3
    rehearsed, alone = results
    assert rehearsed["before"]["own"] <= rehearsed["after"]["own"] == 1
    assert rehearsed["before"]["others"] > 0.7
    assert rehearsed["after"]["others"] > 0.7  # little was forgotten
    assert alone["after"]["others"] < rehearsed["after"]["others"]
    assert len(alone["after"]["each"]) == 10


def test_a_training_that_fails_says_why(app: Flask, client: FlaskClient) -> None:
    deep = {"layers": 6 * SETTINGS["layers"], "optimizer": "momentum", "learning_rate": 10}
    client.post("/training", json={**SETTINGS, **deep})
    with pytest.raises(AssertionError, match="start again with a lower learning rate"):
        wait_until(app, lambda _: False)
    assert client.post("/training", json=SETTINGS).status_code == 200  # the next one may begin


def test_events_are_streamed(app: Flask, client: FlaskClient) -> None:
    with client.get("/training/events") as answer:
        assert answer.mimetype == "text/event-stream"
        assert next(answer.response) == b'data: {"state": "none"}\n\n'  # type: ignore[call-overload]
    streams = [client.get("/training/events") for _ in range(6)]
    assert client.get("/training/events").status_code == 503  # each keeps a thread
    for stream in streams:
        stream.close()
    with client.get("/training/events") as answer:
        assert answer.status_code == 200


@pytest.mark.parametrize(
    "change",
    [
        *({"images": number} for number in (LIMITS["images"] + 1, 0, 1000.5, "1000", True)),
        *({name: LIMITS[name] + 1} for name in ("epochs", "batch_size")),
        *({"learning_rate": rate} for rate in (float("nan"), float("inf"), -1)),
        *({"network": name} for name in ("conv", ["mlp"])),
        *({"data": "/etc/passwd"}, {"optimizer": "__import__"}, {"seed": -1}, {"batch_size": None}),
        {"layers": [CONV] * 13},
        {"layers": [{"kind": "dense", "units": 1025, "activation": "relu"}]},
        {"layers": [{"kind": "dense", "units": 5, "activation": "eval"}]},
        {"layers": [{"kind": "dropout", "rate": 1}]},
        *({"layers": layers} for layers in (["dense"], "dense")),
        {"layers": [SETTINGS["layers"][0], CONV]},  # a convolution of no image
        {"layers": [{"kind": "max_pool"}] * 6},  # nothing would be left of the image
        {"layers": [{**CONV, "units": 64}, {"kind": "dense", "units": 999, "activation": "relu"}]},
        {"layers": [{**CONV, "units": 64}, {**CONV, "units": 64}], "batch_size": 1000},
    ],
)
def test_what_is_no_training(change: dict[str, Any], client: FlaskClient) -> None:
    answer = client.post("/training", json={**SETTINGS, **change})
    assert answer.status_code == 422, answer.get_json()
    told = answer.get_json()
    sentences = [text.format(*told["values"]) for text in TEXTS[f"error.{told['code']}"]]
    assert sentences[0] == told["error"] and sentences[1] != told["error"]


@pytest.mark.parametrize("json", [[], 1, "x"])
def test_settings_that_are_no_object(json: Any, client: FlaskClient) -> None:
    for path in ("/training", "/teach", "/training/command"):
        answer = client.post(path, json=json)
        assert answer.status_code == 422, path
        assert "JSON object" in answer.get_json()["error"]


BLACK = b64(bytes(784))


@pytest.mark.parametrize(
    "examples",
    [
        *(None, [], [BLACK], [{"image": BLACK, "label": 1}] * (LIMITS["examples"] + 1)),
        *([{"image": image, "label": 1}] for image in ("", "!")),
        *([{"image": BLACK, "label": label}] for label in (10, "1")),
    ],
)
def test_what_cannot_be_taught(examples: Any, client: FlaskClient) -> None:
    answer = client.post("/teach", json={"examples": examples})
    assert answer.status_code == 422 and answer.get_json()["error"]


def test_every_network_of_the_page_can_be_built() -> None:
    for network in ("two-layer", "mlp", "mlp-adam", "lenet5", "fast", "layers"):
        settings = TrainingSettings.from_dict({**SETTINGS, "network": network})
        assert settings.build().params.flat.size <= LIMITS["parameters"]
    kinds = [CONV, {"kind": "batch_norm"}, {"kind": "average_pool"}, {"kind": "max_pool"}]
    kinds += [{"kind": "dropout", "rate": 0.3}, *SETTINGS["layers"], {"kind": "batch_norm"}]
    built = TrainingSettings.from_dict({**SETTINGS, "layers": kinds}).build()
    assert built.predict(np.zeros((2, 784), np.float32)).shape == (2, 10)
    examples = [{"image": b64(b"\xff" * 784), "label": 2}]
    taught = TeachingSettings.from_dict({"examples": examples}, built)
    assert taught.images.tolist() == [[1.0] * 784] and taught.rehearse


def test_the_page_states_every_limit(client: FlaskClient) -> None:
    page = client.get("/").text
    assert [limit for limit in LIMITS.values() if not re.search(rf"\b{limit:,}\b", page)] == []


def test_slots() -> None:
    slots = Slots(running=1, waiting=1, patience=0.05)
    with slots.one():
        with pytest.raises(PageError, match="too much to do"), slots.one():
            pass
    with slots.one():
        pass
