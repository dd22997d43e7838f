"""What the tests share: one BLAS thread, the same random numbers, a small model, real data."""

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before NumPy is imported, or it is too late
os.environ["OPENCV_IO_MAX_IMAGE_PIXELS"] = "120000000"  # so is this: tests import OpenCV themselves

import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from two_layer_net import TwoLayerNet


def pytest_addoption(parser: pytest.Parser) -> None:
    """What `tests/fuzz` is told: without these it tries a few inputs, always the same."""
    parser.addoption(
        "--fuzz-seconds", type=float, default=0, metavar="N", help="how long each fuzz test goes on"
    )
    parser.addoption(
        "--fuzz-seed", type=int, default=0, metavar="N", help="which inputs fuzz tests try"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first, or several processes end up waiting for one of them."""
    longest = ("test_rendered_photos.py", "test_page_in_browser.py")
    items.sort(
        key=lambda item: (
            item.path.name not in longest,
            not (item.get_closest_marker("slow") or "system" in item.path.parts),
        )
    )


@pytest.fixture
def seeded_keras() -> None:
    """The same random numbers for each test of digits.keras, and names that begin anew."""
    from digits import keras

    keras.utils.set_random_seed(1)
    keras.backend.clear_session()


@pytest.fixture
def rng() -> np.random.Generator:
    """A random generator of the test's own: what one test draws changes no other."""
    return np.random.default_rng(20_240_229)


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Python's own Ctrl-C, also where the tests run in the background and it is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def root() -> Path:
    return Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds 900 drawn digits, which `--dataset synthetic` takes for all there are."""
    from tiny_data import write_data_set

    return write_data_set(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder whose subfolders `mnist` and `fashion` hold the original files."""
    folder = os.environ.get("MNIST_DATASET_DIR")
    if not folder or not Path(folder, "mnist", "train-images-idx3-ubyte.gz").is_file():
        pytest.skip("needs the real data: MNIST_DATASET_DIR names no folder that holds it")
    return Path(folder)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.npz"
    TwoLayerNet(784, 8, 10, rng=np.random.default_rng(0)).save(path)
    return path
