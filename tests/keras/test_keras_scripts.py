"""Scripts in the styles of Keras 1, 2 and 3 run as they are: some of our own, and public ones where
their folder is found beside the repository.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
PUBLIC = HERE.parent.parent.parent / "shared" / "keras_scripts"
NEED_MORE = {
    "07__fchollet_deep-learning-with-python-notebooks__chapter05_fundamentals-of-ml": "imdb",
    "46__Gogul09_digit-recognizer-live__mnist_cnn": "tensorflowjs",
}
"""Public scripts that cannot end here, and what they need: another data set, another package."""


KERAS = ("-m", "digits.keras")


def run(*arguments: Any, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run Python with this repository's modules."""
    environment = os.environ | {"PYTHONPATH": str(HERE.parent.parent), "MPLBACKEND": "Agg"}
    command = [sys.executable, *map(str, arguments)]
    options: Any = {"cwd": folder, "env": environment, "capture_output": True, "text": True}
    return subprocess.run(command, check=False, **options)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str | None]:
    """The error of each script of ours, None if it ended well."""
    pytest.importorskip("h5py", reason="needs h5py (the extra `keras-files`)")
    folder = tmp_path_factory.mktemp("scripts")
    done = run(HERE / "run_texts.py", HERE / "scripts.txt", folder=folder)
    found = [json.loads(x[7:]) for x in done.stdout.splitlines() if x.startswith("RESULT ")]
    return {result["name"]: result["error"] for result in found}


NAMES = [
    line[5:]
    for line in (HERE / "scripts.txt").read_text(encoding="utf-8").splitlines()
    if line.startswith("#### ")
]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_script_of_ours_ends_well(name: str, results: dict[str, str | None]) -> None:
    assert name in results, "the run ended before this script"
    assert results[name] is None, results[name]


@pytest.mark.slow
@pytest.mark.usefixtures("real_data")
@pytest.mark.parametrize("script", sorted(PUBLIC.glob("*.py")) or [None], ids=str)
def test_public_script_ends_well(script: Path | None, tmp_path: Path) -> None:
    if script is None:
        pytest.skip(f"needs public Keras scripts in {PUBLIC}")
    done = run(HERE / "short_run.py", script, folder=tmp_path)
    if script.stem in NEED_MORE:
        assert NEED_MORE[script.stem] in done.stderr
        assert done.returncode == 1
    else:
        if "No module named" in done.stderr and "digits" not in done.stderr:
            pytest.skip(done.stderr.splitlines()[-1])
        assert "SCRIPT ENDED WELL" in done.stdout, done.stderr[-2000:]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("from keras.layers import RNN; RNN(None)", "keras.layers.RNN is not there"),
        ("import keras.applications.vgg16 as v; v.VGG16()", "keras.applications is not there"),
        ("import tensorflow as tf; tf.gradients([], [])", "tensorflow.gradients is not there"),
        ("import keras; keras.layers.Dens", "there is Dense"),
        ("import keras, keras_tuner", "keras_tuner is not there in digits.keras: write a loop"),
        ("import keras; keras.Model().add_metric(0)", "Model.add_metric is not there"),
    ],
)
def test_what_is_absent_is_named_in_full(line: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(line, encoding="utf-8")
    done = run(*KERAS, "script.py", folder=tmp_path)
    assert done.returncode == 1
    assert words in done.stderr


@pytest.mark.slow
def test_the_command_runs_a_script_with_its_arguments(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import sys, tensorflow as tf\nfrom neighbor import x\n"
        "print(sys.argv, __name__, x, tf.keras.layers.Dense(3))\nsys.exit(7)",
        encoding="utf-8",
    )
    (tmp_path / "neighbor.py").write_text("x = 5", encoding="utf-8")
    done = run(*KERAS, script, "--epochs", "3", folder=HERE)
    assert done.stdout.split("]")[0].endswith("script.py', '--epochs', '3'")
    assert "__main__ 5 <Dense" in done.stdout
    assert done.returncode == 7
    assert run(*KERAS, "no-such.py", folder=HERE).returncode == 2
