"""One training step, or one prediction, of each system that the speed benchmark compares: this
library, the frameworks, and the matrix products that no system can do without.

Every function here takes a workload, images (m, 784) and labels (m,), and returns `run(steps)`,
which takes so many steps, each on the next batch of a fixed random order.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:  # when this file is read, the library need not have been found yet
    from digits.types import Array

Run = Callable[[int], None]


@dataclass(frozen=True)
class Workload:
    """A network of recipes.py with a batch size, for training or for prediction."""

    network: str
    batch_size: int
    training: bool = True

    def __str__(self) -> str:
        n = self.batch_size
        if self.training:
            return f"{self.network}, batch {n}"
        return f"{self.network}, {n:,} image{'s' * (n > 1)}"


SIZES = {
    "two-layer": [784, 50, 10],
    "mlp": [784, 300, 100, 10],
    "deep-mlp": [784, *[100] * 20, 10],
    "mlp-adam": [784, 128, 10],
}
"""Layer widths of the dense networks; the others are `conv` and `lenet5`."""

LEARNING_RATES = {
    "two-layer": 0.1,
    "mlp": 0.01,
    "deep-mlp": 0.01,
    "mlp-adam": 0.001,
    "conv": 1e-4,
    "lenet5": 0.001,
}


def uses_adam(workload: Workload) -> bool:
    """The other networks use plain gradient descent."""
    return workload.network in ("mlp-adam", "conv", "lenet5")


def batches(size: int, count: int) -> Iterator[Array]:
    """Endless batches of row numbers, in the order of one shuffle."""
    order = np.random.default_rng(0).permutation(count)
    start = 0
    while True:
        if start + size > count:
            start = 0
        yield order[start : start + size]
        start += size


# --- this library ---------------------------------------------------------------------------------


def build(network: str) -> Any:
    """The network that `train_net.py --recipe` trains under this name."""
    from digits.recipes import RECIPES

    return RECIPES[network].build(np.random.default_rng(0))


def ours(workload: Workload, x: Array, t: Array) -> Run:
    """The step of train_net.train."""
    from digits.nn.optimizers import SGD, Adam
    from train_net import train_step

    network = build(workload.network)
    rate = LEARNING_RATES[workload.network]
    optimizer = Adam(rate) if uses_adam(workload) else SGD(rate)
    following = batches(workload.batch_size, len(x))

    def train(steps: int) -> None:
        for _ in range(steps):
            batch = next(following)
            train_step(network, optimizer, x[batch], t[batch])

    def predict(steps: int) -> None:
        for _ in range(steps):
            network.predict_classes(x[next(following)])

    return train if workload.training else predict


def matrix_products(workload: Workload, x: Array, t: Array) -> Run:
    """The floor: the matrix products of the textbook formulas and nothing else.

    A layer y = x W needs dW = x^T dy and, unless it is the first, dx = dy W^T; a convolution is
    the same with a row of x for each position of its kernel.
    """
    rng = np.random.default_rng(0)
    products: list[tuple[Array, Array, Array]] = []

    def add(rows: int, inner: int, columns: int, transposed: str = "") -> None:
        a = rng.random((inner, rows) if transposed == "first" else (rows, inner), np.float32)
        b = rng.random((columns, inner) if transposed == "second" else (inner, columns), np.float32)
        products.append(
            (
                a.T if transposed == "first" else a,
                b.T if transposed == "second" else b,
                np.empty((rows, columns), np.float32),
            )
        )

    parts = 1 if workload.training else -(-workload.batch_size // 100)  # to fit into memory
    layers = [layer for layer in build(workload.network).layer_arrays() if "W" in layer.arrays]
    for layer in layers:
        *kernel, units = layer.arrays["W"].shape
        inputs = int(np.prod(kernel))
        rows = workload.batch_size // parts * int(np.prod(layer.output_shape[:-1]))
        add(rows, inputs, units)
        if workload.training:
            add(inputs, rows, units, "first")
            if layer is not layers[0]:
                add(rows, units, inputs, "second")

    def run(steps: int) -> None:
        for _ in range(steps * parts):
            for a, b, out in products:
                np.matmul(a, b, out=out)

    return run


# --- PyTorch --------------------------------------------------------------------------------------


def torch_model(network: str) -> Any:
    """The same network as a torch.nn.Sequential; images for the convolutions are (n, 1, 28, 28)."""
    from torch import nn

    if network in SIZES:
        activation = nn.Sigmoid if network == "two-layer" else nn.ReLU
        sizes = SIZES[network]
        layers: list[Any] = []
        for inputs, units in pairwise(sizes):
            layers += [nn.Linear(inputs, units), activation()]
        return nn.Sequential(*layers[:-1])
    if network == "conv":
        return nn.Sequential(
            *(nn.Conv2d(1, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(32, 64, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Flatten(), nn.Linear(3136, 1024), nn.ReLU(), nn.Dropout(0.5)),
            nn.Linear(1024, 10),
        )
    return nn.Sequential(
        *(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.AvgPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.AvgPool2d(2)),
        *(nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU()),
        nn.Linear(84, 10),
    )


def torch_eager(workload: Workload, x: Array, t: Array, compiled: bool = False) -> Run:
    """The loop of PyTorch's tutorials."""
    import torch

    torch.set_num_threads(os.cpu_count() or 1)
    torch.manual_seed(0)
    model = torch_model(workload.network)
    rate = LEARNING_RATES[workload.network]
    kind = torch.optim.Adam if uses_adam(workload) else torch.optim.SGD
    optimizer = kind(model.parameters(), rate)
    shape = (784,) if workload.network in SIZES else (1, 28, 28)
    images = torch.from_numpy(x.reshape(-1, *shape))
    labels = torch.from_numpy(t.astype(np.int64))
    following = map(torch.from_numpy, batches(workload.batch_size, len(x)))
    forward = torch.compile(model) if compiled else model

    def train(steps: int) -> None:
        for _ in range(steps):
            batch = next(following)
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(forward(images[batch]), labels[batch])
            loss.backward()
            optimizer.step()

    def predict(steps: int) -> None:
        model.eval()
        with torch.inference_mode():
            for _ in range(steps):
                forward(images[next(following)]).argmax(1)

    return train if workload.training else predict


def torch_compiled(workload: Workload, x: Array, t: Array) -> Run:
    """The same, compiled."""
    return torch_eager(workload, x, t, compiled=True)


# --- the others -----------------------------------------------------------------------------------


def keras(workload: Workload, x: Array, t: Array) -> Run:
    """`train_on_batch` of a compiled model, on the backend that is installed."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    k: Any = importlib.import_module("keras")  # whose names are loaded lazily

    kl = k.layers
    options = {"activation": "relu"}
    if workload.network in SIZES:
        if workload.network == "two-layer":
            options = {"activation": "sigmoid"}
        layers = [kl.Dense(units, **options) for units in SIZES[workload.network][1:-1]]
    else:
        x = x.reshape(-1, 28, 28, 1)
        if workload.network == "conv":
            layers = [
                *(kl.Conv2D(32, 5, padding="same", **options), kl.MaxPooling2D(2)),
                *(kl.Conv2D(64, 5, padding="same", **options), kl.MaxPooling2D(2)),
                *(kl.Flatten(), kl.Dense(1024, **options), kl.Dropout(0.5)),
            ]
        else:
            layers = [
                *(kl.Conv2D(6, 5, padding="same", **options), kl.AveragePooling2D(2)),
                *(kl.Conv2D(16, 5, **options), kl.AveragePooling2D(2)),
                *(kl.Flatten(), kl.Dense(120, **options), kl.Dense(84, **options)),
            ]
    model = k.Sequential([k.Input(x.shape[1:]), *layers, kl.Dense(10)])
    rate = LEARNING_RATES[workload.network]
    kind = k.optimizers.Adam if uses_adam(workload) else k.optimizers.SGD
    loss = k.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=kind(rate), loss=loss)
    following = batches(workload.batch_size, len(x))

    def train(steps: int) -> None:
        for _ in range(steps):
            batch = next(following)
            model.train_on_batch(x[batch], t[batch])

    def predict(steps: int) -> None:
        for _ in range(steps):
            np.argmax(model.predict_on_batch(x[next(following)]), axis=1)

    return train if workload.training else predict


def jax(workload: Workload, x: Array, t: Array) -> Run:
    """A step of plain JAX, compiled as a whole."""
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    import jax as j
    import jax.numpy as jnp

    rng, rate = np.random.default_rng(0), LEARNING_RATES[workload.network]

    def weights(*shape: int) -> tuple[Any, Any]:
        deviation = np.sqrt(2 / np.prod(shape[:-1]))
        W = rng.standard_normal(shape, np.float32) * np.float32(deviation)
        return jnp.asarray(W), jnp.zeros(shape[-1])

    if workload.network in SIZES:
        sizes = SIZES[workload.network]
        pairs = pairwise(sizes)
        params = [weights(inputs, units) for inputs, units in pairs]
        activation = j.nn.sigmoid if workload.network == "two-layer" else j.nn.relu
        convolutions, padding, dropout = 0, [], False
    else:
        x, activation = x.reshape(-1, 28, 28, 1), j.nn.relu
        convolutions, dropout = 2, workload.network == "conv"
        if dropout:
            shapes = [(5, 5, 1, 32), (5, 5, 32, 64), (3136, 1024), (1024, 10)]
            padding = ["SAME", "SAME"]
        else:
            shapes = [(5, 5, 1, 6), (5, 5, 6, 16), (400, 120), (120, 84), (84, 10)]
            padding = ["SAME", "VALID"]
        params = [weights(*shape) for shape in shapes]

    def pool(y: Any) -> Any:
        first, rule, scale = (-jnp.inf, j.lax.max, 1.0) if dropout else (0.0, j.lax.add, 0.25)
        return scale * j.lax.reduce_window(y, first, rule, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")

    def forward(params: Any, y: Any, key: Any) -> Any:
        for (W, b), around in zip(params[:convolutions], padding, strict=True):
            order = ("NHWC", "HWIO", "NHWC")
            y = j.lax.conv_general_dilated(y, W, (1, 1), around, dimension_numbers=order)
            y = pool(j.nn.relu(y + b))
        y = y.reshape(len(y), -1)
        for W, b in params[convolutions:-1]:
            y = activation(y @ W + b)
        if dropout and key is not None:
            y = jnp.where(j.random.bernoulli(key, 0.5, y.shape), 2 * y, 0)
        return y @ params[-1][0] + params[-1][1]

    def loss(params: Any, y: Any, labels: Any, key: Any) -> Any:
        log_p = j.nn.log_softmax(forward(params, y, key))
        return -jnp.take_along_axis(log_p, labels[:, None], 1).mean()

    def step(state: Any, y: Any, labels: Any) -> Any:
        params, m, v, count, key = state
        key, noise = j.random.split(key)
        grads = j.grad(loss)(params, y, labels, noise)
        each = j.tree_util.tree_map
        if not uses_adam(workload):
            return each(lambda p, g: p - rate * g, params, grads), m, v, count, key
        count += 1
        m = each(lambda m, g: 0.9 * m + 0.1 * g, m, grads)
        v = each(lambda v, g: 0.999 * v + 0.001 * g * g, v, grads)
        a = rate * jnp.sqrt(1 - 0.999**count) / (1 - 0.9**count)
        params = each(lambda p, m, v: p - a * m / (jnp.sqrt(v) + 1e-7), params, m, v)
        return params, m, v, count, key

    zeros = j.tree_util.tree_map(jnp.zeros_like, params)
    state = (params, zeros, j.tree_util.tree_map(jnp.copy, zeros), jnp.float32(0), j.random.key(0))
    compiled_step = j.jit(step, donate_argnums=0)
    ask = j.jit(lambda params, y: forward(params, y, None).argmax(1))
    following = batches(workload.batch_size, len(x))

    def train(steps: int) -> None:
        nonlocal state
        for _ in range(steps):
            batch = next(following)
            state = compiled_step(state, x[batch], t[batch])
        j.block_until_ready(state[0])

    def predict(steps: int) -> None:
        for _ in range(steps):
            np.asarray(ask(params, x[next(following)]))

    return train if workload.training else predict


def scikit_learn(workload: Workload, x: Array, t: Array) -> Run:
    """`MLPClassifier.partial_fit`, which has dense layers alone, walks over the batches itself."""
    from sklearn.neural_network import MLPClassifier

    if workload.network not in SIZES:
        raise ImportError("it has no convolution")
    size = workload.batch_size
    model = MLPClassifier(
        tuple(SIZES[workload.network][1:-1]),
        activation="logistic" if workload.network == "two-layer" else "relu",
        solver="adam" if uses_adam(workload) else "sgd",
        alpha=0.0,
        batch_size=min(size, 200),
        learning_rate_init=LEARNING_RATES[workload.network],
        momentum=0.0,
        nesterovs_momentum=False,
    )
    model.partial_fit(x[:200], t[:200], classes=np.arange(10))
    following = batches(size, len(x))

    def train(steps: int) -> None:
        whole = len(x) // size
        while steps > 0:
            count = min(steps, whole)
            model.partial_fit(x[: count * size], t[: count * size])
            steps -= count

    def predict(steps: int) -> None:
        for _ in range(steps):
            model.predict(x[next(following)])

    return train if workload.training else predict


SYSTEMS: dict[str, Callable[[Workload, Array, Array], Run]] = {
    "PyTorch": torch_eager,
    "this library": ours,
    "torch.compile": torch_compiled,
    "Keras": keras,
    "JAX": jax,
    "scikit-learn": scikit_learn,
    "matrix products": matrix_products,
}
