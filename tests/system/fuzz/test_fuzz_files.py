"""Hostile bytes in every file that is read back: IDX, the pickle cache, models, checkpoints."""

import codecs
import gzip
import pickle
import struct
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from fuzzer import Fuzzer
from guard import memory_for
from mutation import damaged, damaged_gzip, damaged_zip
from tiny_data import digits

import mnist_loader
from digits import Adam, Conv2D, EarlyStopping, Sequential, StorageError, load_model
from digits.nn import layers as nn
from digits.nn.network import Network
from digits.nn.pooling import AveragePooling2D, MaxPooling2D, ZeroPadding2D
from digits.training.checkpoints import load_checkpoint, save_checkpoint
from digits.types import Array
from train_net import TrainingError, train
from two_layer_net import TwoLayerNet


def idx(array: Array, code: int) -> bytes:
    header = bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.tobytes()


IDX = [
    idx(np.arange(2 * 28 * 28).reshape(2, 28, 28).astype(np.uint8), 0x08),
    idx(np.arange(300).astype(np.uint8), 0x08),
    idx(np.linspace(0, 1, 60).reshape(3, 4, 5).astype(">f4"), 0x0D),
]


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_idx(packed: bool, fuzz: Fuzzer) -> None:
    honest = [gzip.compress(data, mtime=0) for data in IDX] if packed else IDX
    path = fuzz.folder / "file"

    def read(data: bytes, _: object = None) -> None:
        path.write_bytes(data)
        array = mnist_loader.read_idx(path)
        assert array.nbytes <= mnist_loader.MAX_DEFLATE_RATIO * len(data)

    memory = memory_for(lambda: read(honest[0]), fuzz.folder)
    mutate = damaged_gzip if packed else damaged
    kind = "idx, gzip" if packed else "idx, plain"
    fuzz(kind, honest, mutate, read, (ValueError,), memory)


ARRAYS = [
    np.arange(3 * 784).reshape(3, 28, 28).astype(np.uint8),
    np.array([5, 0, 9], np.uint8),
    np.arange(2 * 784).reshape(2, 28, 28).astype(np.uint8),
    np.array([7, 2], np.uint8),
]


def test_cache(fuzz: Fuzzer, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever stands in the cache, the arrays are the right ones, or it is rebuilt."""
    caplog.set_level("CRITICAL", logger=mnist_loader.__name__)
    path, key = fuzz.folder / "mnist.pkl", mnist_loader._cache_key("mnist")
    mnist_loader._write_cache(path, key, ARRAYS)
    good = path.read_bytes()
    honest = [good, *(pickle.dumps(pickle.loads(good), protocol) for protocol in range(5))]

    def read(data: bytes, _: object = None) -> None:
        path.write_bytes(data)
        arrays = mnist_loader._read_cache(path, key)
        if arrays is not None:
            for array, expected in zip(arrays, ARRAYS, strict=True):
                np.testing.assert_array_equal(array, expected)

    codecs.lookup("raw_unicode_escape")  # Python imports it when the first pickle wants it
    memory = memory_for(lambda: read(good), fuzz.folder)
    fuzz("cache", honest, damaged, read, (), memory)


def models(folder: Path) -> list[bytes]:
    """Every layer that a file may name, in three small networks."""
    rng = np.random.default_rng(0)
    networks: list[Network] = [
        TwoLayerNet(784, 2, 10, rng=rng),
        Sequential(
            [
                *(nn.Normalization(0.1, 0.3), nn.Dense(6, "relu"), nn.BatchNormalization()),
                *(nn.Dropout(0.5), nn.Maxout(4, 3), nn.Rescaling(2, 1), nn.Dense(10)),
            ],
            rng=rng,
        ),
        Sequential(
            [
                *(nn.Reshape((28, 28, 1)), ZeroPadding2D(2)),
                *(Conv2D(2, 5, strides=2, activation="relu"), MaxPooling2D(2)),
                Conv2D(3, 3, padding="same", connections=[[1, 1, 0], [0, 1, 1]]),
                *(AveragePooling2D(2, padding="same"), nn.Flatten(), nn.Dense(10)),
            ],
            rng=rng,
        ),
    ]
    contents = []
    for network in networks:
        network.metadata = {"recipe": "lenet5", "dataset": "mnist", "test_accuracy": 0.98}
        network.save(folder / "model.npz")
        contents.append((folder / "model.npz").read_bytes())
    return contents


def test_models(fuzz: Fuzzer) -> None:
    """A model is refused, or it answers, the same to several threads at once, and can be saved."""
    honest = models(fuzz.folder)
    path, again = fuzz.folder / "model.npz", fuzz.folder / "again.npz"
    x = digits(1, 0, 1).x_train

    def read(data: bytes, _: object = None) -> None:
        path.write_bytes(data)
        network = load_model(path)
        with ThreadPoolExecutor(3) as threads:
            y, *others = threads.map(network.predict, [x] * 6)
        assert y.shape == (1, len(y[0]))
        assert all(np.array_equal(y, other, equal_nan=True) for other in others)
        network.save(again)

    memory = max(memory_for(partial(read, data), fuzz.folder) for data in honest)
    fuzz("model", honest, damaged_zip, read, (StorageError,), memory)


def test_checkpoints(fuzz: Fuzzer) -> None:
    """A checkpoint is refused, and has changed nothing, or the training goes on from it."""
    path, again = fuzz.folder / "checkpoint.npz", fuzz.folder / "again.npz"
    data, run = digits(8, 2, 2), {"recipe": "two-layer", "seed": 0, "keep_prob": None}
    network, optimizer = TwoLayerNet(784, 2, 10), Adam(use_ema=True)
    history = train(network, data, optimizer, batch_size=4, iterations=3, verbose=0)
    save_checkpoint(path, network, optimizer, history, run)
    honest = [path.read_bytes()]

    def read(content: bytes, _: object = None) -> None:
        path.write_bytes(content)
        network, optimizer = TwoLayerNet(784, 2, 10), Adam(use_ema=True)
        before = network.params.flat.copy()
        try:
            history = load_checkpoint(path, network, optimizer)
        except StorageError:
            np.testing.assert_array_equal(network.params.flat, before)
            assert optimizer.iterations == 0
            raise
        iterations = optimizer.iterations + 2
        train(
            network, data, optimizer, batch_size=4, iterations=iterations,
            history=history, callbacks=[EarlyStopping(3)], verbose=0,
        )  # fmt: skip
        history.to_csv()
        save_checkpoint(again, network, optimizer, history, run)

    memory = memory_for(lambda: read(honest[0]), fuzz.folder)
    fuzz("checkpoint", honest, damaged_zip, read, (StorageError, TrainingError), memory)
