"""The page as a WSGI application: its server, its routes, what each answers, and whom it refuses.

    GET  /                  the page
    POST /drawing           a PNG of black ink on white -> a reading
    POST /photo             any picture file -> a reading
    POST /layers            the 784 bytes of one digit -> the outputs of each layer
    POST /unit              the same, ?layer= map= row= column= -> one unit
    POST /steps             the same, ?target= -> the forward and the backward pass
    POST /reasons           the same -> saliency and occlusion
    POST /neighbors         the same -> the nearest training images
    POST /training          settings as JSON -> a training begins
    POST /training/command  {"command": pause, step, continue or stop}
    POST /teach             {"examples": [{"image", "label"}]} -> a training on these begins
    GET  /training/events   the state of the training, whenever it changes (server-sent events)
    GET  /training/model    the trained network as a model file

?network= chooses the network: "first", the one that the page was started with, or "trained". What
goes wrong is answered by {"error": a sentence, "code": its name in texts.json, "values"}.
"""

import io
import ipaddress
import json
import logging
import re
import socket
import tempfile
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, Response, abort, render_template, request, send_file
from waitress import create_server
from werkzeug.exceptions import HTTPException

from digits.files.models import save_model
from digits.nn.network import Network
from digits.page.messages import STATIC, PageError, require, tell
from digits.page.models import Model, Slots
from digits.page.neighbors import nearest
from digits.page.settings import LIMITS, TeachingSettings, TrainingSettings, to_image
from digits.page.training import Training
from digits.photos.decode import decode_picture
from digits.photos.reading import Reading
from mnist_loader import DatasetError
from predict_image import read_digits, read_drawing

MAX_PHOTO = 32 * 2**20
"""Bytes that are accepted: photos of phones have up to 15 million."""

MAX_DRAWING = 4_000_000
"""Pixels of a drawing: the page sends 600 x 300, a tall phone 600 x 1,200."""

MAX_STREAMS = 6
"""Pages that watch a training at the same time: each keeps a thread of the server."""

SERVER = {
    "threads": 20,  # more than the requests that may be answered or wait at a time
    "max_request_body_size": 128 * 2**20,  # so that it can be said that fewer are accepted
    "connection_limit": 500,
    "channel_timeout": 30,  # seconds after which an idle connection is closed ...
    "cleanup_interval": 5,  # ... give or take so many
}
"""Options of waitress. Idle connections do not keep others out."""

HEADERS = {
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'; form-action 'none'; "
    "base-uri 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
"""The page may load what this server gives, and nothing else; no other page may hold it."""


def application(network: Network, name: str = "", host: str = "127.0.0.1") -> Flask:
    """The page for a network that it calls `name`, on a server that is known as `host`.

    Raises ValueError for a network that does not tell ten digits apart in 784 pixels.
    """
    app = Flask(__name__, static_folder=STATIC, static_url_path="/page", template_folder=STATIC)
    app.config["MAX_CONTENT_LENGTH"] = MAX_PHOTO
    first = Model(network)
    training = app.extensions["training"] = Training()

    def model() -> Model:
        return first if request.args.get("network", "first") == "first" else training.model

    @app.get("/")
    def page() -> str:
        facts = {"name": name, "parameters": network.params.flat.size, "classes": first.classes}
        return render_template("index.html", max_photo=MAX_PHOTO, limits=LIMITS, **facts)

    _guard(app, host)
    _add_answers(app, model)
    _add_training(app, model, training)
    return app


def serve(app: Flask, listening: socket.socket) -> None:
    """Answer until Ctrl-C; then end the events, and wait for the other requests."""
    server = web_server(app, listening)
    with suppress(KeyboardInterrupt):
        server.asyncore.loop(server.adj.asyncore_loop_timeout, use_poll=True, map=server._map)
    app.extensions["training"].close()
    server.task_dispatcher.shutdown()


def web_server(app: Flask, listening: socket.socket) -> Any:
    """The server (waitress) of the page on a socket that listens."""
    # A request that waits a moment for a thread needs no report: `Slots` limit what may wait.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    return create_server(app, sockets=[listening], ident=None, asyncore_use_poll=True, **SERVER)


# --- routes ---------------------------------------------------------------------------------------


def _add_answers(app: Flask, model: Callable[[], Model]) -> None:
    drawing_slots, photo_slots, slots = Slots(3, 6), Slots(1, 3), Slots(2, 6)

    @app.post("/drawing")
    def drawing() -> dict[str, Any]:
        with drawing_slots.one():
            picture, _ = decode_picture(request.get_data())
            height, width = picture.shape[:2]
            fits = height * width <= MAX_DRAWING
            require(fits, "drawing_too_large", f"{MAX_DRAWING:,}", width, height)
            return _reading(model(), lambda network: read_drawing(picture[..., 0], network))

    @app.post("/photo")
    def photo() -> dict[str, Any]:
        with photo_slots.one():
            picture, _ = decode_picture(request.get_data())
            return _reading(model(), lambda network: read_digits(picture, network))

    @app.post("/<any(layers, unit, steps, reasons):question>")
    def inspect(question: str) -> dict[str, Any]:
        image = to_image(request.get_data())
        keys = {"unit": ("layer", "map", "row", "column"), "steps": ("target",)}.get(question, ())
        numbers = [_number(key) for key in keys]
        with slots.one():
            return model().ask(lambda copy: getattr(copy, question)(image, *numbers))

    @app.post("/neighbors")
    def neighbors() -> dict[str, Any]:
        image = to_image(request.get_data())
        with slots.one():
            return nearest(image, request.args.get("data", "synthetic"))


def _add_training(app: Flask, model: Callable[[], Model], training: Training) -> None:
    streams = Slots(MAX_STREAMS, 0)

    @app.post("/training")
    def start() -> dict[str, Any]:
        training.start(TrainingSettings.from_dict(_json()))
        return {}

    @app.post("/teach")
    def teach() -> dict[str, Any]:
        training.start(TeachingSettings.from_dict(_json(), model().network))
        return {}

    @app.post("/training/command")
    def command() -> dict[str, Any]:
        training.command(str(_json().get("command"))[:40])
        return {}

    @app.get("/training/events")
    def events() -> Response:
        stream = ExitStack()
        stream.enter_context(streams.one())
        states = training.events()
        lines = (f"data: {json.dumps(state)}" if state else ": no change" for state in states)
        response = Response((f"{line}\n\n" for line in lines), mimetype="text/event-stream")
        response.call_on_close(stream.close)
        return response

    @app.get("/training/model")
    def model_file() -> Response:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "model.npz")
            save_model(training.model.network, path)
            content = io.BytesIO(path.read_bytes())
        return send_file(content, download_name="model.npz", as_attachment=True)


# --- who is refused -------------------------------------------------------------------------------


def _guard(app: Flask, host: str) -> None:
    """Refuse what other web sites have the browser send, and tell every failure as JSON."""

    @app.before_request
    def refuse_cross_site() -> None:
        """Reject DNS rebinding (Host) and cross-site requests (Origin; where a browser sends none,
        as for pictures, Sec-Fetch-Site). A link to the page itself may stand anywhere."""
        if not _is_ours(request.host, host):
            address = request.headers.get("Host", "nowhere")
            abort(403, f"this page is not at {address}: open the address that the server printed")
        origin = request.headers.get("Origin")
        if origin is not None and origin != f"{request.scheme}://{request.host}":
            abort(403, f"{origin} may not use this server: open {request.host_url} itself")
        site = request.headers.get("Sec-Fetch-Site", "none")
        if site not in ("none", "same-origin") and request.path != "/":
            abort(403, f"another site may not use this server: open {request.host_url} itself")

    @app.after_request
    def protect(response: Response) -> Response:
        response.headers.update(HEADERS)
        return response

    @app.errorhandler(HTTPException)
    def refused(error: HTTPException) -> tuple[dict[str, Any], int]:
        if error.code == 413:
            return tell(PageError("file_too_large", MAX_PHOTO >> 20)), 413
        sentence = error.description
        return {"error": sentence, "code": "request", "values": [sentence]}, error.code or 500

    @app.errorhandler(DatasetError)
    @app.errorhandler(ValueError)  # PageError and PictureError, and what a network cannot answer
    def no_answer(error: Exception) -> tuple[dict[str, Any], int]:
        return tell(error), getattr(error, "status", 422)


def _is_ours(asked: str, host: str) -> bool:
    """Whether a request for `asked` (a host and perhaps a port) means this server: by an address,
    as localhost, or by the name it was started with. Any other name may have been made to point
    here by somebody else (DNS rebinding)."""
    with suppress(ValueError):
        name = urlsplit(f"//{asked}").hostname or ""
        return name in ("localhost", host.lower()) or bool(ipaddress.ip_address(name))
    return False


# --- what is received and sent --------------------------------------------------------------------


def _reading(model: Model, read: Callable[[Network], Reading]) -> dict[str, Any]:
    """What a network reads, and how large it is."""
    reading = model.ask(lambda copy: read(copy.network)).to_dict(images=True)
    return {**reading, "classes": model.classes, "parameters": model.network.params.flat.size}


def _number(key: str) -> int:
    text = request.args.get(key, "")
    sentence = f"expected {key} as a whole number of at least 0; received {text[:40]!r}"
    require(re.fullmatch("[0-9]{1,7}", text), "request", sentence)
    return int(text)


def _json() -> dict[str, Any]:
    """What was sent as application/json, which other sites cannot send unasked."""
    content = request.get_json()
    sentence = f"expected a JSON object; received {type(content).__name__}"
    require(isinstance(content, dict), "request", sentence)
    return content
