"""Programs with streams closed, full or without a reader, on files that may be damaged."""

import os
import subprocess
import time
from itertools import count
from pathlib import Path

import cv2
import numpy as np
import pytest
from fuzzer import Fuzzer, tally
from mutation import damaged, damaged_png, damaged_zip
from programs import command

from two_layer_net import TwoLayerNet

TRAIN = "--dataset synthetic --validation 100 --iterations 3"
LINES = (
    *("train_net --list", "evaluate_net --version", "predict_image --nonsense"),
    *(f"train_net {TRAIN} --out out", f"train_net {TRAIN} --dry-run", "train_net --resume out"),
    *("evaluate_net model.npz --dataset synthetic", "evaluate_net model.npz --show 3"),
    *("predict_image 7.png", "predict_image 7.png none.png --json"),
    *("predict_image 7.png --steps drawn.png --model model.npz", "predict_image ."),
)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_streams(fuzz: Fuzzer, data: Path) -> None:
    paper = np.full((60, 60), 255, np.uint8)
    cv2.polylines(paper, [np.array([[15, 12], [45, 12], [25, 50]])], False, 0, 4)
    TwoLayerNet(784, 8, 10, rng=np.random.default_rng(0)).save("model.npz")
    honest = {"7.png": bytes(cv2.imencode(".png", paper)[1])}
    honest["model.npz"] = Path("model.npz").read_bytes()
    ours, nobody = os.pipe()
    os.close(ours)
    full = os.open("/dev/full", os.O_WRONLY)
    ends = {"read": subprocess.PIPE, "closed": subprocess.PIPE, "full": full, "nobody": nobody}
    environment = {**os.environ, "MNIST_DATASET_DIR": str(data)}
    end = time.monotonic() + fuzz.seconds
    for number in count():
        if number >= 8 and time.monotonic() >= end:
            break
        rng = np.random.default_rng((fuzz.seed, number))
        files = dict(honest)
        for name, mutate in (("7.png", damaged_png), ("model.npz", damaged_zip)):
            if rng.random() < 0.3:
                files[name] = (mutate if rng.random() < 0.8 else damaged)(files[name], rng)
            Path(name).write_bytes(files[name])
        program, *words = str(rng.choice(LINES)).split()
        out, err = (str(end) for end in rng.choice(list(ends), 2))
        closing = " ".join(f"{n}>&-" for n, end in ((1, out), (2, err)) if end == "closed")
        closing += str(rng.choice(["", " <&-"]))
        done = subprocess.run(
            ["sh", "-c", f'exec "$@" {closing}', "sh", *command(program, *words)],
            stdout=ends[out], stderr=ends[err], check=False, timeout=120, env=environment,
        )  # fmt: skip
        told, case = (done.stderr or b"").decode(errors="replace"), (program, words, out, err)
        assert done.returncode in (0, 1, 2, 141), (case, done.returncode, told)
        assert "Traceback" not in told and "Exception" not in told, (case, told)
        assert {name: Path(name).read_bytes() for name in files} == files, (case, number)
        tally[f"streams: status {done.returncode}"] += 1
    os.close(nobody)
    os.close(full)
