"""Writes the golden files of the present format: models that hold every layer, and a checkpoint,
with what they answered on the day they were made.

    PYTHONPATH=.:tests python tests/golden/make.py

Files of a format that has been published are never made anew: a new format gets a new folder, and
the old ones must load for ever (tests/test_golden.py).
"""

from pathlib import Path

import numpy as np
from tiny_data import digits, small_with_dropout

from digits.files.npz import VERSION
from digits.nn.convolution import Conv2D
from digits.nn.layers import (
    Activation,
    BatchNormalization,
    Dense,
    Dropout,
    Flatten,
    Maxout,
    Normalization,
    Rescaling,
    Reshape,
)
from digits.nn.optimizers import Adam
from digits.nn.pooling import AveragePooling2D, MaxPooling2D, Subsampling2D, ZeroPadding2D
from digits.nn.sequential import Input, Sequential
from digits.training.checkpoints import Checkpoint
from digits.types import Array
from train_net import train
from two_layer_net import TwoLayerNet

FOLDER = Path(__file__).resolve().parent / f"version-{VERSION}"

RUN = {
    "recipe": "conv",
    "dataset": "synthetic",
    "seed": 3,
    "batch_size": 20,
    "learning_rate": 0.01,
    "keep_prob": 0.5,
    "validation": 20,
    "patience": None,
    "dtype": "float32",
    "iterations": 12,
}


def every_layer(rng: np.random.Generator) -> Sequential:
    """Each of the layers once or more; its connections, strides and borders are not the usual."""
    connections = [[1, 0, 1, 1, 0], [1, 1, 0, 1, 0], [0, 1, 1, 1, 1]]
    return Sequential(
        [
            Input((100,)),
            Rescaling(2.0, -1.0),
            Normalization(0.1, 0.9),
            Reshape((10, 10, 1)),
            ZeroPadding2D(1),
            Conv2D(3, 3, activation="relu"),
            BatchNormalization(),
            MaxPooling2D(2),
            Conv2D(5, 3, padding="same", use_bias=False, connections=connections),
            Activation("tanh"),
            Conv2D(4, (2, 3), strides=(1, 2), padding="same", activation="leaky_relu"),
            AveragePooling2D(2, strides=1, padding="same"),
            Subsampling2D(2, activation="sigmoid"),
            Flatten(),
            Maxout(6, pieces=3),
            Dropout(0.25),
            Dense(7, activation="elu", use_bias=False),
            Dense(10, activation="softmax"),
        ],
        label_smoothing=0.1,
        rng=rng,
    )


def main() -> None:
    """Write all of the files."""
    FOLDER.mkdir()
    rng = np.random.default_rng(0)
    expected: dict[str, Array] = {}

    network = every_layer(rng)
    x = rng.random((40, 100), dtype=np.float32)
    for _ in range(20):
        _, grads = network.loss_and_gradient(x, np.arange(40) % 10)  # moves the statistics, too
        network.params.flat[...] -= 0.5 * grads.flat
    network.params.flat[...] *= 4  # or its answers would hardly depend on the input
    network.metadata = {"recipe": "every layer", "note": "数字"}
    network.save(FOLDER / "every-layer.npz")
    double = network.astype(np.float64)
    double.loss_name = "squared_error"
    double.save(FOLDER / "every-layer-float64.npz")
    expected |= {"x": x[:5], "every-layer": network.predict(x[:5])}
    expected["every-layer-float64"] = double.predict(x[:5])

    two_layers = TwoLayerNet(100, 8, 10, weight_init_std=1.0, rng=rng)
    two_layers.save(FOLDER / "two-layer.npz")
    expected["two-layer"] = two_layers.predict(x[:5])

    data, trained, optimizer = digits(100, 20, 30), small_with_dropout(rng), Adam(0.01)
    history = train(
        trained,
        data,
        optimizer,
        batch_size=20,
        iterations=12,
        seed=3,
        verbose=0,
        callbacks=[Checkpoint(FOLDER / "checkpoint.npz", RUN)],
    )
    expected |= {"digits": data.x_test[:5], "checkpoint": trained.predict(data.x_test[:5])}
    expected["checkpoint losses"] = np.array(history.losses)
    np.savez(FOLDER / "expected.npz", allow_pickle=False, **expected)


if __name__ == "__main__":
    main()
