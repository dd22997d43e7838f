"""The command line of the page, and its server under many connections."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from programs import run

from digits.page import server
from digits.page.app import application, web_server
from digits.page.server import main
from two_layer_net import TwoLayerNet


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
    assert told.startswith("draw_digit: ") and "none.npz" in told


@pytest.fixture
def no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("digits.page.app.serve", lambda *_: None)


@pytest.mark.usefixtures("no_server")
def test_a_phone_address(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """0.0.0.0 is no address that anyone could open."""
    monkeypatch.setattr(server, "_address_in_network", lambda: "192.168.7.5")
    assert main(["--host", "0.0.0.0", "--port", "0"]) == 0
    told = capsys.readouterr().out
    assert "0.0.0.0" not in told
    assert re.search(r"draw digits at http://127\.0\.0\.1:\d+/", told)
    assert re.search(r"on a phone in the same network: http://192\.168\.7\.5:\d+/", told)
    assert "█" not in told  # a QR code is for terminals
    monkeypatch.setattr(server, "_address_in_network", lambda: None)
    assert main(["--host", "0.0.0.0", "--port", "0"]) == 0
    assert "in no network" in capsys.readouterr().err


@pytest.mark.usefixtures("no_server")
def test_a_qr_code(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(server, "_address_in_network", lambda: "192.168.7.5")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert main(["--host", "0.0.0.0", "--port", "0"]) == 0
    code = [line for line in capsys.readouterr().out.splitlines() if set(line) & set("█▄▀")]
    assert len(code) >= 12
    assert len(set(map(len, code))) == 1  # a square


def test_flask_is_missing(root: Path, tmp_path: Path) -> None:
    (tmp_path / "flask.py").write_text("raise ImportError('No module named flask')\n")
    variables = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{root}"}
    result = run([sys.executable, "-m", "digits.page"], env=variables)
    assert (result.returncode, result.stderr.count("\n")) == (1, 1)
    assert "the page needs Flask, waitress and segno; install digits-from-" in result.stderr


def test_idle_connections_do_not_block_others() -> None:
    """Many of them, whether they say nothing or begin a request and never end it."""
    app = application(TwoLayerNet(784, 5, 10, rng=np.random.default_rng(0)))
    listening = socket.create_server(("127.0.0.1", 0))
    page_server = web_server(app, listening)
    threading.Thread(target=page_server.run, daemon=True).start()
    port = listening.getsockname()[1]
    idle = []
    try:
        for i in range(400):
            idle.append(socket.create_connection(("127.0.0.1", port)))
            if i % 2:
                idle[-1].sendall(b"POST /drawing HTTP/1.1\r\nContent-Length: 900\r\n\r\n12")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
            assert answer.status == 200
    finally:
        for connection in idle:
            connection.close()
        page_server.task_dispatcher.shutdown()
        page_server.close()


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_ends_it(root: Path) -> None:
    command = [sys.executable, "-m", "digits.page", "--port", "0"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, cwd=root) as it:
        assert it.stdout
        line = it.stdout.readline()
        found = re.fullmatch(r"draw digits at (http://127.0.0.1:\d+/) \(Ctrl-C ends it\)\n", line)
        assert found
        with urllib.request.urlopen(f"{found[1]}training/events", timeout=10) as watching:
            assert watching.readline() == b'data: {"state": "none"}\n'  # as an open page does
            it.send_signal(signal.SIGINT)
            assert b"data" not in watching.read()
        out, err = it.communicate(timeout=60)
        assert (it.returncode, out, err) == (0, "", "")
