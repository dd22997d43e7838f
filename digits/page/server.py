"""The command line of the page: it loads a model, finds an address, and serves until Ctrl-C.

    python -m digits.page [--model M] [--host HOST] [--port PORT]

It is served to this machine alone, unless --host says otherwise, and loads nothing from elsewhere.
"""

import argparse
import errno
import io
import socket
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np

from digits.cli import INTERRUPTED, Parser, number, say, warn
from digits.files.models import load_model
from predict_image import SHIPPED_MODEL, read_drawing

PORT = 8028


def main(arguments: list[str] | None = None) -> int:
    """Run the command line until Ctrl-C; returns the exit status."""
    parser = Parser(
        prog="draw_digit",
        description="Draw digits in the browser and watch a network read them.",
        epilog="Exit status: 0 after Ctrl-C, 1 failed, 2 wrong usage.",
    )
    add = parser.add_argument
    text = "a trained network (default: the shipped one)"
    add("--model", type=Path, default=SHIPPED_MODEL, metavar="M", help=text)
    text = "the address to be found at (default: 127.0.0.1, from this machine alone; 0.0.0.0: from "
    add("--host", default="127.0.0.1", help=f"{text}every machine that reaches this one)")
    port = number(int, "a port, 0 to 65535", range(65536).__contains__)
    add("--port", type=port, default=PORT, help=f"its port (default: {PORT}; 0: any that is free)")
    options = parser.parse_args(arguments)
    status = parser.run(lambda: _serve(options))
    return 0 if status == INTERRUPTED else status


def _serve(options: argparse.Namespace) -> int:
    try:  # here, as Flask, waitress and segno belong to the extra `web`
        from digits.page.app import application, serve  # noqa: PLC0415
    except ImportError as error:
        advice = "the page needs Flask, waitress and segno; install digits-from-scratch[web]"
        raise ImportError(f"{error}: {advice}") from error

    network = load_model(options.model)
    name = str(network.metadata.get("recipe", options.model.name))
    app = application(network, name, options.host)
    # The first reading takes longer: OpenCV and NumPy get ready.
    paper = np.full((100, 100), 255, np.uint8)
    paper[20:80, 45:55] = 0
    read_drawing(paper, network)
    with _listening_at(options.host, options.port) as listening:
        _tell_address(options.host, listening.getsockname()[1])
        serve(app, listening)
    return 0


def _tell_address(host: str, port: int) -> None:
    """Say where the page is; for phones an address in their network, and as a QR code."""
    everywhere = host in ("0.0.0.0", "::")
    here = "127.0.0.1" if everywhere else f"[{host}]" if ":" in host else host
    say(f"draw digits at http://{here}:{port}/ (Ctrl-C ends it)")
    if not everywhere:
        return
    address = _address_in_network()
    if address is None:
        warn("draw_digit: this machine is in no network; only it can open the page")
        return
    url = f"http://{address}:{port}/"
    say(f"on a phone in the same network: {url}")
    if sys.stdout.isatty():
        import segno  # noqa: PLC0415  of the extra `web`

        code = io.StringIO()
        segno.make(url, error="l").terminal(code, compact=True, border=2)
        say(code.getvalue().rstrip("\n"))


def _address_in_network() -> str | None:
    """The address of this machine in its network: that from which it would send."""
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # of a network for examples: no byte is sent
        address = str(probe.getsockname()[0])
        return None if address.startswith(("0.", "127.")) else address
    return None


def _listening_at(host: str, port: int) -> socket.socket:
    """A socket at this address; OSError says why there is none, and what to do."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        why = (
            f"cannot listen on port {port} of {host} ({error}); --host takes an address of this "
            "machine: 127.0.0.1 for this machine alone, 0.0.0.0 for its whole network"
        )
        if error.errno == errno.EADDRINUSE:
            why = f"port {port} of {host} is taken: choose another one (--port 0 finds one)"
        elif error.errno == errno.EACCES:
            why = f"port {port} is not for everyone; choose one from 1024 on (--port {PORT})"
        raise OSError(why) from error
