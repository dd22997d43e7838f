"""Requests that no browser sends, to the server of the page."""

import io
import json
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import cv2
import numpy as np
from fuzzer import Fuzzer, tally
from guard import Guard, guarded, memory_for
from mutation import TOKENS, damaged, damaged_png, mutants
from werkzeug.test import run_wsgi_app

from digits.files.models import load_model
from digits.page.app import MAX_PHOTO, application
from digits.page.messages import STATIC
from predict_image import SHIPPED_MODEL

INSIDE = (
    *("/layers", "/unit?layer=2&map=2&row=3&column=4", "/steps?target=3", "/reasons"),
    "/neighbors",
)
METHODS = ("GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "get", "", "\xff")
PATHS = (
    *("/", "/drawing", "/photo", "/layers", "/page/paper.js", "/page/", "/page", "//drawing", ""),
    *("/page/../draw_digit.py", "/page/..%2fdraw_digit.py", "/page//etc/passwd", "/page/%00"),
    *("/page/../../../../../../etc/passwd", "/page/index.html", "/page/\0", "/page/\\..\\x"),
    *("http://evil.example/", "/drawing?", "/drawing/", "/\xff\xfe", "/{{7*7}}", "*", "/" * 3000),
    *("/training", "/training/command", "/training/model", "/teach", *INSIDE),
)
HEADERS = (
    *("Host", "Origin", "Content-Length", "Content-Type", "Content-Encoding", "Range"),
    *("Transfer-Encoding", "X-Forwarded-Host", "If-Modified-Since", "If-None-Match", "Cookie"),
    *("Accept-Encoding", "If-Range", "Expect", "Accept"),
)
VALUES = (
    *TOKENS,
    *("", "127.0.0.1", "localhost:8028", "[::1", "evil.example", "127.0.0.1:x", "a@127.0.0.1"),
    *("http://127.0.0.1", "http://evil.example", "\xff\xfe", "\0", "a" * 3000, "chunked", "gzip"),
    *("bytes=0-", "bytes=9-1", "bytes=-1", "bytes=0-0,1-1,2-2", 'W/"x"', "Thu, 99 Foo 9999"),
    *("application/json", "multipart/form-data; boundary=x", "multipart/form-data", "text/\xff"),
    *("application/x-www-form-urlencoded", f"{MAX_PHOTO + 1}", "784", "3.0", "+3", "\u0663"),
)


def request(method: str, path: str, body: bytes = b"") -> bytes:
    """A request as it is written, but for the ends of its lines."""
    head = f"{method} {path}\nHost: 127.0.0.1\nContent-Length: {len(body)}\n\n"
    return head.encode("latin-1") + body


def honest() -> list[bytes]:
    """What the page asks for."""
    paper = np.full((120, 200), 255, np.uint8)
    cv2.line(paper, (60, 20), (60, 100), 0, 10)
    cv2.line(paper, (120, 20), (140, 100), 0, 10)
    png, jpg = (bytes(cv2.imencode(kind, paper)[1]) for kind in (".png", ".jpg"))
    return [
        request("GET", "/"),
        request("GET", "/page/paper.js"),
        request("POST", "/drawing", png),
        request("POST", "/photo", jpg),
        *(request("POST", path, bytes(range(196)) * 4) for path in INSIDE),
    ]


def damaged_request(data: bytes, rng: np.random.Generator) -> bytes:
    """Another method, address or header, or another body; at times both."""
    head, _, body = data.partition(b"\n\n")
    lines = head.decode("latin-1").split("\n")
    how = rng.random()
    if how < 0.6:
        body = damaged_png(body, rng) if rng.random() < 0.8 else damaged(body, rng)
        lines[-1] = f"Content-Length: {len(body)}"
    if how > 0.4:
        for _ in range(int(rng.integers(1, 4))):
            method, path = lines[0].split(" ", 1)
            which = rng.random()
            if which < 0.2:
                lines[0] = f"{rng.choice(METHODS)} {path}"
            elif which < 0.5:
                lines[0] = f"{method} {rng.choice(PATHS)}"
            elif which < 0.9:
                lines.append(f"{rng.choice(HEADERS)}: {rng.choice(VALUES)}")
            else:
                path = damaged(path.encode("latin-1"), rng).decode("latin-1").replace("\n", "")
                lines[0] = f"{method} {path}"
    return "\n".join(lines).encode("latin-1", "replace") + b"\n\n" + body


def environment(data: bytes) -> dict[str, Any]:
    """What a server makes of the request for an application (PEP 3333)."""
    head, _, body = data.partition(b"\n\n")
    first, *lines = head.decode("latin-1").split("\n")
    method, _, address = first.partition(" ")
    path, _, query = address.partition("?")
    variables: dict[str, Any] = {
        **{"REQUEST_METHOD": method, "SCRIPT_NAME": "", "PATH_INFO": path, "QUERY_STRING": query},
        **{"SERVER_NAME": "127.0.0.1", "SERVER_PORT": "8028", "SERVER_PROTOCOL": "HTTP/1.1"},
        **{"wsgi.version": (1, 0), "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO(body)},
        **{"wsgi.errors": io.StringIO(), "wsgi.multithread": True, "wsgi.multiprocess": False},
        **{"wsgi.run_once": False},
    }
    for line in lines:
        name, _, value = line.partition(": ")
        name = name.upper().replace("-", "_")
        variables[name if name in ("CONTENT_LENGTH", "CONTENT_TYPE") else f"HTTP_{name}"] = value
    return variables


def test_requests(fuzz: Fuzzer) -> None:
    """An answer or {"error": a sentence}, never a fault, nor for who asks honestly meanwhile."""
    app = application(load_model(SHIPPED_MODEL))

    def ask(data: bytes) -> tuple[int, str, bytes]:
        answer, status, headers = run_wsgi_app(app, environment(data), buffered=True)
        return int(status.split()[0]), headers.get("Content-Type", ""), b"".join(answer)

    def work() -> None:
        for data in honest():
            assert ask(data)[0] == 200
        assert ask(request("GET", "/nowhere"))[0] == 404

    files = {path.read_bytes() for path in STATIC.iterdir() if path.is_file()}
    files |= {ask(request("GET", "/"))[2], b""}
    limit = memory_for(work, fuzz.folder) + 4 * MAX_PHOTO
    answers = {"rows", "layers", "contributions", "steps", "saliency", "neighbors", "digits"}
    right = [ask(data) for data in honest()]
    end, others = time.monotonic() + fuzz.seconds, ThreadPoolExecutor(1)
    for number in count():
        if number >= 120 and time.monotonic() >= end:
            break
        data, _ = mutants(honest(), damaged_request, fuzz.seed, number)
        guard, which = Guard(fuzz.folder, limit), number % len(right)
        with guarded(guard):
            other = others.submit(ask, honest()[which])
            status, kind, body = ask(data)
            assert other.result(60) == right[which]
        head = data.partition(b"\n\n")[0]
        assert not guard.faults, (head, guard.faults)
        tally[f"requests: status {status}"] += 1
        assert 200 <= status < 500, (status, head)
        method = head.split(b" ")[0]
        if method == b"HEAD":
            assert body == b"", head
        elif status >= 400:
            assert kind == "application/json", head
            assert len(json.loads(body)["error"].split()) >= 3, body
        elif status == 200 and kind == "application/json":
            assert answers & json.loads(body).keys(), body
        elif status == 200:
            assert body in files, head
