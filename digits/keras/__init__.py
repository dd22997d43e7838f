"""Keras' names and verbs on the networks of this library, in NumPy alone.

    from digits import keras

    model = keras.Sequential([keras.Input((784,)), keras.layers.Dense(10, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x_train, y_train, epochs=5)

`python -m digits.keras script.py` runs a script that imports `keras` or `tensorflow.keras`, as it
is; `install()` serves these names within a running Python. What is where, from a script down:

    install, absent, legacy        names that are served, refused, or called otherwise today
    tensorflow, nn, backend, ops   functions of arrays, and of TensorFlow 1 and 2
    dataset, tensorflow_datasets   tf.data in memory, and MNIST as tensorflow_datasets gives it
    model, training, callbacks     compile, fit, evaluate, predict: what users see
    objectives, data               losses, metrics and batches for the loop of `fit`
    running_metrics                the loss and the metrics of the batches so far
    graph, layer, layers           tensors without numbers; layers of digits.nn, and formulas
    resizing                       graphs of which the first data tell the sizes
    tensor, derivatives, tape      arrays of which is recorded what they were made of; gradients
    network                        a graph as that loop sees it: one vector of weights, gradients
    losses, metrics, optimizers    those of digits.nn with Keras' arguments
    saving, structure              .keras, .h5 and .npz files; architectures as plain values

A name that Keras or NumPy documents is documented here only where it differs from theirs.
"""

from digits.keras import (
    activations,
    backend,
    callbacks,
    config,
    constraints,
    datasets,
    initializers,
    layers,
    losses,
    metrics,
    mixed_precision,
    models,
    ops,
    optimizers,
    preprocessing,
    random,
    regularizers,
    saving,
    utils,
    wrappers,
)
from digits.keras.absent import tell
from digits.keras.graph import KerasTensor
from digits.keras.initializers import Initializer
from digits.keras.install import install, uninstall
from digits.keras.layer import Layer
from digits.keras.layers import Input
from digits.keras.losses import Loss
from digits.keras.metrics import Metric
from digits.keras.model import Model, Sequential
from digits.keras.optimizers import Optimizer
from digits.keras.regularizers import Regularizer
from digits.keras.saving import VERSION as __version__
from digits.keras.variable import Variable

# fmt: off
__all__ = [
    "Initializer", "Input", "KerasTensor", "Layer", "Loss", "Metric", "Model", "Optimizer",
    "Regularizer", "Sequential", "Variable", "__version__", "activations", "backend", "callbacks",
    "config", "constraints", "datasets", "initializers", "install", "layers", "losses", "metrics",
    "mixed_precision", "models", "ops", "optimizers", "preprocessing", "random", "regularizers",
    "saving", "uninstall", "utils", "wrappers",
]
# fmt: on

for _module in ("", ".datasets", ".layers", ".models", ".preprocessing"):
    tell(__name__ + _module)
