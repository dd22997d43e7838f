"""A page to draw digits on, in the browser: while one draws, it shows what the network reads, what
it saw of each digit, how sure it is, and what each of its layers makes of it.

    python -m digits.page [--model M] [--host HOST] [--port PORT]

The page is served to this machine alone, unless --host says otherwise, and loads nothing from
anywhere else.
"""

from __future__ import annotations

import argparse
import errno
import ipaddress
import socket
import sys
from base64 import b64encode
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np

from digits.cli import Parser, say, warn
from digits.files.models import load_model
from digits.nn.network import Network
from digits.types import Array
from predict_image import SHIPPED_MODEL, read_digits, read_drawing

if TYPE_CHECKING:
    from flask import Flask


PAGE = Path(__file__).with_name("static")
PORT = 8028
LARGEST_PHOTO = 32 * 2**20
"""Bytes that are accepted: photographs of telephones have up to 15 million."""

REARRANGE = ("reshape", "flatten", "dropout")
"""Layers that, outside of training, give the numbers they were given."""

HEADERS = {
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'; form-action 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
"""The page may load what this server gives, and nothing else; no other page may hold it."""


# --- answers --------------------------------------------------------------------------------------


def layers_as_json(network: Network, image: Array) -> list[dict[str, Any]]:
    """What each layer makes of one image (784,) in [0, 1].

    A layer has `maps` pictures of `height` x `width` numbers, or of 1 x 1 where it knows no places:
    `values`, one picture after the other, in bytes from -127 to 127, where 127 is `largest`.
    Raises ValueError for numbers that are not finite, which JSON does not know.
    """
    layers = []
    for name, outputs in network.activations(image[np.newaxis]):
        if name.startswith(REARRANGE):
            continue
        if not np.isfinite(outputs).all():
            raise ValueError(
                f"expected numbers in layer {name}; they are not finite, as its weights are too "
                "large: use another copy, or train it again with a lower --learning-rate"
            )
        maps = outputs[0] if outputs.ndim == 4 else outputs.reshape(1, 1, -1)
        height, width, count = maps.shape
        largest = float(np.abs(maps).max()) or 1.0
        values = np.rint(127 / largest * maps.transpose(2, 0, 1)).astype(np.int8)
        layers.append(
            {
                "name": name,
                "maps": count,
                "height": height,
                "width": width,
                "largest": largest,
                "values": _base64(values),
            }
        )
    return layers


def _base64(values: Array) -> str:
    return b64encode(values.tobytes()).decode()


# --- the server -----------------------------------------------------------------------------------


def application(network: Network, name: str = "", host: str = "127.0.0.1") -> Flask:
    """The page and what it asks for, as a WSGI application.

        GET  /         the page
        POST /drawing  a PNG of black ink on white -> a reading
        POST /photo    any picture file -> a reading
        POST /layers   the 784 bytes of one digit -> what each layer makes of it

    `name` is how the page calls the network, `host` the name that the server is known by.  What
    goes wrong is answered by {"error": a sentence}.  Raises ValueError for a network that does not
    tell ten digits apart in 784 pixels, ImportError where Flask is not installed.
    """
    from flask import Flask, Response, abort, render_template, request  # noqa: PLC0415
    from werkzeug.exceptions import HTTPException  # noqa: PLC0415

    from digits.photos.decode import decode_picture  # noqa: PLC0415

    answers = _answers(network)
    app = Flask(__name__, static_folder=PAGE, static_url_path="/page", template_folder=PAGE)
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_PHOTO
    one_at_a_time = Lock()  # a network calculates in arrays of its own

    @app.before_request
    def refuse_strangers() -> None:
        """Any web site can have a browser send requests here: it cannot have them say that they
        come from this page (Origin), nor go to an address (Host) instead of a name of its own."""
        if not _is_ours(request.host, host):
            asked = request.headers.get("Host", "nowhere")
            abort(403, f"this page is not at {asked}: open the address that the server printed")
        origin = request.headers.get("Origin")
        if origin is not None and origin != f"{request.scheme}://{request.host}":
            abort(403, f"{origin} may not use this server: open {request.host_url} itself")

    @app.after_request
    def guard(response: Response) -> Response:
        response.headers.update(HEADERS)
        return response

    @app.errorhandler(HTTPException)
    def refused(error: HTTPException) -> tuple[dict[str, Any], int]:
        return {"error": error.description}, error.code or 500

    @app.errorhandler(413)
    def too_large(error: HTTPException) -> tuple[dict[str, Any], int]:
        return {"error": f"the file is larger than {LARGEST_PHOTO >> 20} MB; make it smaller"}, 413

    @app.errorhandler(ValueError)  # PictureError is one, and what a network cannot answer another
    def no_answer(error: ValueError) -> tuple[dict[str, Any], int]:
        return {"error": str(error)}, 422

    @app.get("/")
    def page() -> str:
        return render_template(
            "index.html",
            name=name,
            weights=network.params.flat.size,
            answers=answers,
            largest_photo=LARGEST_PHOTO,
        )

    @app.post("/drawing")
    def drawing() -> dict[str, Any]:
        picture, _ = decode_picture(request.get_data())
        with one_at_a_time:
            return read_drawing(picture[..., 0], network).to_dict(images=True)

    @app.post("/photo")
    def photo() -> dict[str, Any]:
        picture, _ = decode_picture(request.get_data())
        with one_at_a_time:
            return read_digits(picture, network).to_dict(images=True)

    @app.post("/layers")
    def layers() -> dict[str, Any]:
        pixels = np.frombuffer(request.get_data(), np.uint8)
        if pixels.size != 784:
            abort(422, f"expected the 784 bytes of an image of 28 x 28; received {pixels.size:,}")
        with one_at_a_time:
            return {"layers": layers_as_json(network, pixels.astype(np.float32) / 255)}

    return app


def _answers(network: Network) -> int:
    """How many answers the network has: ten digits, and perhaps "no digit"."""
    try:
        answers = network.predict(np.zeros((1, 784), np.float32)).shape[1]
    except ValueError as error:
        raise ValueError(f"expected a network for images of 784 pixels: {error}") from error
    if answers not in (10, 11):
        raise ValueError(
            f'expected a network with 10 answers, or 11 of which the last is "no digit"; '
            f"this one has {answers}"
        )
    return answers


def _is_ours(asked: str, host: str) -> bool:
    """Whether a request for `asked` (a host and perhaps a port) means this server: by an address,
    as localhost, or by the name it was started with.  Any other name may belong to somebody who has
    it point here (DNS rebinding)."""
    try:
        name = urlsplit(f"//{asked}").hostname or ""
        if name in ("localhost", host.lower()):
            return True
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


# --- command line ---------------------------------------------------------------------------------


def main(arguments: list[str] | None = None) -> int:
    """Run the command line until Ctrl-C; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        return _serve(options)
    except KeyboardInterrupt:
        return 0
    except (ImportError, OSError, ValueError) as error:
        warn(f"draw_digit: {error}")
        return 1


def _serve(options: argparse.Namespace) -> int:
    try:
        import flask  # noqa: F401, PLC0415
        import waitress  # noqa: PLC0415
    except ImportError as error:
        raise ImportError(
            f"{error}: the page needs Flask and waitress; pip install -e '.[web]'"
        ) from error

    network = load_model(options.model)
    name = str(network.metadata.get("recipe", options.model.name))
    app = application(network, name, options.host)
    # The first reading takes longer: OpenCV and NumPy get ready.
    paper = np.full((100, 100), 255, np.uint8)
    paper[20:80, 45:55] = 0
    read_drawing(paper, network)
    with _listening_at(options.host, options.port) as listening:
        server = waitress.create_server(
            app,
            sockets=[listening],
            threads=4,
            ident=None,
            max_request_body_size=4 * LARGEST_PHOTO,  # up to here it is said in a sentence
        )
        host = f"[{options.host}]" if ":" in options.host else options.host
        port = listening.getsockname()[1]
        say(f"draw digits at http://{host}:{port}/ (Ctrl-C ends it)")
        server.run()
    return 0


def _listening_at(host: str, port: int) -> socket.socket:
    """A socket at this address; OSError says why there is none, and what to do."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            why = (
                f"port {port} of {host} is taken: by another one? Use that one, or "
                "another port (--port 0 finds a free one)"
            )
        elif error.errno == errno.EACCES:
            why = f"port {port} is not for everyone; choose one from 1024 on (--port {PORT})"
        else:
            why = (
                f"cannot listen on port {port} of {host} ({error}); --host takes an address of "
                "this machine: 127.0.0.1 for this machine alone, 0.0.0.0 for its whole network"
            )
        raise OSError(why) from error


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="draw_digit",
        description="Draw digits in the browser and watch a network read them.",
        epilog="Exit status: 0 after Ctrl-C, 1 failed, 2 wrong usage.",
    )
    add = parser.add_argument
    add(
        "--model",
        type=Path,
        default=SHIPPED_MODEL,
        metavar="M",
        help="a trained network (default: the shipped one)",
    )
    add(
        "--host",
        default="127.0.0.1",
        help="the address to be found at (default: 127.0.0.1, from this machine alone; 0.0.0.0: "
        "from every machine that reaches this one)",
    )
    add("--port", type=_port, default=PORT, help=f"its port (default: {PORT}; 0: any that is free)")
    return parser


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"expected a port, 0 to 65535; received {text}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
