"""The same weights and the same inputs give the same answers, losses, gradients and updates as in
PyTorch. Optional: it needs the extra `parity`, and is skipped without.
"""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike, DTypeLike, NDArray
from test_layers import CASES, LIBRARY_LAYERS, random_array, ready, title

from digits.nn.convolution import Conv2D
from digits.nn.geometry import KernelLayer
from digits.nn.layer import Layer
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
from digits.nn.network import Network
from digits.nn.optimizers import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop
from digits.nn.output import make_output
from digits.nn.parameters import Parameters
from digits.nn.pooling import AveragePooling2D, MaxPooling2D, Subsampling2D, ZeroPadding2D
from digits.nn.sequential import Sequential
from digits.recipes import RECIPES
from digits.types import Array, Shape
from functions import to_one_hot
from two_layer_net import TwoLayerNet

torch: Any = pytest.importorskip("torch", reason="PyTorch is not installed (the extra `parity`)")
pytestmark = pytest.mark.slow

Tensor = Any
Weights = dict[str, Tensor]

every_precision = pytest.mark.parametrize(
    ("dtype", "tolerance"), [(np.float32, 1e-5), (np.float64, 1e-10)], ids=["float32", "float64"]
)
every_training = pytest.mark.parametrize("training", [False, True], ids=["inference", "training"])


def tensor(array: ArrayLike, *, requires_grad: bool = False) -> Tensor:
    """The same numbers in PyTorch; with `requires_grad`, for a gradient."""
    return torch.tensor(np.array(array, order="C")).requires_grad_(requires_grad)


def agree(ours: Array, theirs: Tensor, tolerance: float, what: str) -> None:
    """Equal to so many parts of the largest number."""
    expected = theirs.detach().numpy()
    assert ours.shape == expected.shape, what
    assert ours.dtype == expected.dtype, what
    difference = np.max(np.abs(ours - expected), initial=0)
    assert difference <= tolerance * max(np.max(np.abs(expected), initial=0), 1e-3), what


# --- our layers in PyTorch's words ----------------------------------------------------------------


def activated(name: str, x: Tensor) -> Tensor:
    functional = torch.nn.functional
    formulas: dict[str, Callable[[Tensor], Tensor]] = {
        "linear": lambda x: x,
        "sigmoid": torch.sigmoid,
        "tanh": torch.tanh,
        "scaled_tanh": lambda x: 1.7159 * torch.tanh(2 * x / 3),
        "relu": torch.relu,
        "leaky_relu": lambda x: functional.leaky_relu(x, 0.2),
        "elu": functional.elu,
        "softmax": lambda x: functional.softmax(x, dim=-1),
    }
    return formulas[name](x)


def bordered(layer: KernelLayer, x: Tensor, value: float = 0.0) -> Tensor:
    """x (n, channels, height, width) with the border of padding="same" as Keras defines it, the odd
    pixel last; PyTorch's own border is even.
    """
    if layer.padding == "valid":
        return x
    sides: list[int] = []
    for size, window, stride in zip(x.shape[2:], layer.kernel, layer.strides, strict=True):
        missing = max((-(-size // stride) - 1) * stride + window - size, 0)
        sides = [missing // 2, missing - missing // 2, *sides]  # PyTorch begins with the last axis
    return torch.nn.functional.pad(x, sides, value=value)


def convolved(layer: Conv2D, w: Weights, x: Tensor) -> Tensor:
    W = w["W"]
    if layer.connections is not None:
        full = torch.zeros((*layer.kernel, *layer.connections.shape), dtype=W.dtype)
        full[:, :, torch.tensor(layer.connections)] = W
        W = full
    x, W = bordered(layer, x.permute(0, 3, 1, 2)), W.permute(3, 2, 0, 1)
    a = torch.nn.functional.conv2d(x, W, w.get("b"), stride=layer.strides)
    return activated(layer.applied_activation.name, a.permute(0, 2, 3, 1))


def averaged(layer: AveragePooling2D, x: Tensor) -> Tensor:
    def mean(x: Tensor) -> Tensor:
        x = bordered(layer, x.permute(0, 3, 1, 2))
        return torch.nn.functional.avg_pool2d(x, layer.kernel, layer.strides).permute(0, 2, 3, 1)

    return mean(x) / mean(torch.ones_like(x))  # the border does not count


def normalized(layer: BatchNormalization, w: Weights, x: Tensor, training: bool) -> Tensor:
    y = torch.nn.functional.batch_norm(
        x.movedim(-1, 1),
        None if training else tensor(layer.buffers["moving_mean"]),
        None if training else tensor(layer.buffers["moving_variance"]),
        w["gamma"],
        w["beta"],
        training,
        eps=layer.epsilon,
    )
    return y.movedim(1, -1)


def pooled(layer: MaxPooling2D, x: Tensor) -> Tensor:
    x = bordered(layer, x.permute(0, 3, 1, 2), -np.inf)
    return torch.nn.functional.max_pool2d(x, layer.kernel, layer.strides).permute(0, 2, 3, 1)


def standardized(layer: Normalization, x: Tensor) -> Tensor:
    mean, variance = (torch.tensor(numbers).to(x.dtype) for numbers in (layer.mean, layer.variance))
    return (x - mean) / torch.sqrt(variance)


def framed(layer: ZeroPadding2D, x: Tensor) -> Tensor:
    sides = (0, 0, layer.columns, layer.columns, layer.rows, layer.rows)
    return torch.nn.functional.pad(x, sides)


# (our layer, its weights, inputs, training) -> outputs
IN_TORCH: dict[type[Layer], Callable[[Any, Weights, Tensor, bool], Tensor]] = {
    Dense: lambda layer, w, x, _: activated(
        layer.applied_activation.name, torch.nn.functional.linear(x, w["W"].T, w.get("b"))
    ),
    Maxout: lambda layer, w, x, _: (
        (x @ w["W"] + w["b"]).reshape(len(x), layer.units, layer.pieces).max(dim=2).values
    ),
    Activation: lambda layer, w, x, _: activated(layer.applied_activation.name, x),
    Flatten: lambda layer, w, x, _: torch.flatten(x, 1),
    Reshape: lambda layer, w, x, _: x.reshape(len(x), *layer.output_shape),
    Rescaling: lambda layer, w, x, _: layer.scale * x + layer.offset,
    Normalization: lambda layer, w, x, _: standardized(layer, x),
    Dropout: lambda layer, w, x, training: torch.nn.functional.dropout(x, layer.rate, training),
    BatchNormalization: normalized,
    Conv2D: lambda layer, w, x, _: convolved(layer, w, x),
    MaxPooling2D: lambda layer, w, x, _: pooled(layer, x),
    AveragePooling2D: lambda layer, w, x, _: averaged(layer, x),
    Subsampling2D: lambda layer, w, x, _: activated(
        layer.applied_activation.name, w["coefficient"] * averaged(layer, x) + w["b"]
    ),
    ZeroPadding2D: lambda layer, w, x, _: framed(layer, x),
}


# --- layers ---------------------------------------------------------------------------------------


def test_every_layer_is_told_in_torch() -> None:
    assert set(IN_TORCH) == LIBRARY_LAYERS


@pytest.mark.parametrize(("layer", "shape"), CASES, ids=title)
@every_training
@every_precision
def test_layers(
    layer: Layer, shape: Shape, training: bool, dtype: DTypeLike, tolerance: float
) -> None:
    if isinstance(layer, Dropout) and training:
        layer = Dropout(0)  # PyTorch draws other random_array
    layer, x = ready(layer, shape, dtype), random_array(4, shape, dtype)
    theirs = {name: tensor(array, requires_grad=True) for name, array in layer.weights.items()}
    x_theirs = tensor(x, requires_grad=True)
    y_theirs = IN_TORCH[type(layer)](layer, theirs, x_theirs, training)

    y = layer.forward(x, training)
    agree(y, y_theirs, tolerance, "y")
    dy = random_array(4, layer.output_shape, dtype, seed=3)
    dx = layer.backward(dy)
    assert dx is not None
    y_theirs.backward(tensor(dy))
    agree(dx, x_theirs.grad, tolerance, "dx")
    for name, grad in layer.grads.items():
        agree(grad, theirs[name].grad, tolerance, f"d{name}")


@pytest.mark.parametrize("shape", [(3,), (4, 5, 3)])
@every_precision
def test_moving_averages(shape: Shape, dtype: DTypeLike, tolerance: float) -> None:
    layer, n = ready(BatchNormalization(momentum=0.9), shape, dtype), 6
    theirs = torch.nn.BatchNorm1d(3, momentum=0.1).to(torch.tensor(np.zeros(1, dtype)).dtype)
    theirs.running_mean[...] = tensor(layer.buffers["moving_mean"])
    theirs.running_var[...] = variance = tensor(layer.buffers["moving_variance"])
    for batch in range(3):
        x = random_array(n, shape, dtype, seed=batch)
        layer.forward(x, training=True)
        before = variance.clone()
        theirs(tensor(x).reshape(-1, 3))
        # PyTorch keeps the variance of the samples, Keras and we that of the batch: N - 1 and N.
        count = x.size // 3
        batch_variance = (theirs.running_var - 0.9 * variance) / 0.1 * (count - 1) / count
        variance = 0.9 * before + 0.1 * batch_variance
        theirs.running_var[...] = variance
    agree(layer.buffers["moving_mean"], theirs.running_mean, tolerance, "mean")
    agree(layer.buffers["moving_variance"], variance, 10 * tolerance, "variance")


# --- networks -------------------------------------------------------------------------------------


def scores_in_torch(network: Network, w: Weights, x: Tensor, training: bool) -> Tensor:
    if isinstance(network, TwoLayerNet):
        return torch.sigmoid(x @ w["W1"] + w["b1"]) @ w["W2"] + w["b2"]
    assert isinstance(network, Sequential)
    x, number = x.reshape(len(x), *network.input_shape), 0
    for layer in network.layers:
        number += bool(layer.weight_shapes)
        own = {name: w[f"{name}{number}"] for name in layer.weight_shapes}
        x = IN_TORCH[type(layer)](layer, own, x, training)
    return x


def digits(n: int, dtype: DTypeLike) -> tuple[Array, NDArray[np.intp]]:
    rng = np.random.default_rng(6)
    x = rng.random((n, 784)) * (rng.random((n, 784)) < 0.3)
    return x.astype(dtype), rng.integers(0, 10, n)


@pytest.mark.parametrize(
    ("name", "loss"),
    [
        *((name, "cross_entropy") for name in RECIPES),
        *((name, "squared_error") for name in RECIPES if name != "two-layer"),
    ],
)
@every_precision
def test_recipes(name: str, loss: str, dtype: DTypeLike, tolerance: float) -> None:
    network = RECIPES[name].build(np.random.default_rng(0), dtype)
    network.params.flat[...] += 0.01 * np.random.default_rng(1).standard_normal(
        network.params.flat.size
    )
    if loss == "squared_error":
        assert isinstance(network, Sequential)
        network.output = make_output(loss, 0.0, network.layers)
    x, t = digits(6, dtype)
    theirs = {name: tensor(array, requires_grad=True) for name, array in network.params.items()}
    logits = scores_in_torch(network, theirs, tensor(x), training=False)
    y_theirs = torch.softmax(logits, dim=1)
    smoothing = getattr(network, "label_smoothing", 0.0)  # TwoLayerNet has none
    loss_theirs = torch.nn.functional.cross_entropy(
        logits, torch.tensor(t), label_smoothing=smoothing
    )
    if loss == "squared_error":
        loss_theirs = (
            0.5
            * torch.sum((y_theirs - tensor(to_one_hot(t, y_theirs.shape[1], dtype))) ** 2)
            / len(t)
        )
    loss_theirs.backward()

    agree(network.predict(x), y_theirs, tolerance, "predict")
    assert network.loss(x, t) == pytest.approx(loss_theirs.item(), rel=tolerance)
    for part, grad in network.gradient(x, t).items():
        agree(grad, theirs[part].grad, tolerance, f"d{part}")


@every_precision
def test_a_network_with_batch_normalization_in_training(dtype: DTypeLike, tolerance: float) -> None:
    network = Sequential(
        [
            Reshape((28, 28, 1)),
            Conv2D(4, 5, strides=2, padding="same", use_bias=False),
            BatchNormalization(),
            Activation("relu"),
            MaxPooling2D(3, strides=2, padding="same"),
            Flatten(),
            Dense(20, use_bias=False),
            BatchNormalization(epsilon=1e-5),
            Activation("elu"),
            Dense(10),
        ],
        rng=np.random.default_rng(0),
        dtype=dtype,
    )
    x, t = digits(16, dtype)
    theirs = {name: tensor(array, requires_grad=True) for name, array in network.params.items()}
    logits = scores_in_torch(network, theirs, tensor(x), training=True)
    loss_theirs = torch.nn.functional.cross_entropy(logits, torch.tensor(t))
    loss_theirs.backward()

    loss, grads = network.loss_and_gradient(x, t)
    assert loss == pytest.approx(loss_theirs.item(), rel=tolerance)
    for name, grad in grads.items():
        agree(grad, theirs[name].grad, tolerance, f"d{name}")


# --- optimizers -----------------------------------------------------------------------------------
# PyTorch adds epsilon to the root and elsewhere than Keras, so it is made too small to matter.

TINY = 1e-30
OPTIMIZERS: list[tuple[Optimizer, str, dict[str, Any]]] = [
    (SGD(0.1), "SGD", {"lr": 0.1}),
    (SGD(0.1, momentum=0.9), "SGD", {"lr": 0.1, "momentum": 0.9}),
    (
        SGD(0.1, momentum=0.9, nesterov=True),
        "SGD",
        {"lr": 0.1, "momentum": 0.9, "nesterov": True},
    ),
    (Adam(0.01, epsilon=TINY), "Adam", {"lr": 0.01, "eps": TINY}),
    (
        Adam(0.01, beta_1=0.5, beta_2=0.9, epsilon=TINY),
        "Adam",
        {"lr": 0.01, "betas": (0.5, 0.9), "eps": TINY},
    ),
    (
        AdamW(0.01, weight_decay=0.1, epsilon=TINY),
        "AdamW",
        {"lr": 0.01, "weight_decay": 0.1, "eps": TINY},
    ),
    (RMSprop(0.01, epsilon=TINY), "RMSprop", {"lr": 0.01, "alpha": 0.9, "eps": TINY}),
    (
        RMSprop(0.01, rho=0.8, momentum=0.7, epsilon=TINY),
        "RMSprop",
        {"lr": 0.01, "alpha": 0.8, "momentum": 0.7, "eps": TINY},
    ),
    (
        Adagrad(0.1, initial_accumulator_value=0.1, epsilon=TINY),
        "Adagrad",
        {"lr": 0.1, "initial_accumulator_value": 0.1, "eps": TINY},
    ),
]


@pytest.mark.parametrize(
    ("optimizer", "name", "options"), OPTIMIZERS, ids=[f"{o[1]}-{o[2]}" for o in OPTIMIZERS]
)
@every_precision
def test_optimizers(
    optimizer: Optimizer, name: str, options: dict[str, Any], dtype: DTypeLike, tolerance: float
) -> None:
    rng, optimizer = np.random.default_rng(0), copy.deepcopy(optimizer)
    params = Parameters({"W1": (7, 5), "b1": (5,)}, dtype)
    params.flat[...] = rng.standard_normal(params.flat.size)
    theirs = {name: tensor(array, requires_grad=True) for name, array in params.items()}
    optimizer_theirs = getattr(torch.optim, name)(theirs.values(), **options)
    for _ in range(20):
        grads = params.zeros_like()
        grads.flat[...] = rng.standard_normal(params.flat.size)
        for part, grad in grads.items():
            theirs[part].grad = tensor(grad)
        optimizer.update(params, grads)
        optimizer_theirs.step()
        for part, array in params.items():
            agree(array, theirs[part], tolerance, part)


def test_epsilon_of_adam_stands_where_keras_has_it() -> None:
    # Ours is the paper's "epsilon hat": with one step it equals PyTorch's times sqrt(1 - beta_2).
    params = Parameters({"W1": (3,)}, np.float64)
    theirs = tensor(params["W1"], requires_grad=True)
    grads = params.zeros_like()
    grads["W1"] = theirs.grad = tensor([1e-7, -3e-7, 1e-6])
    epsilon = 1e-7
    Adam(0.1, epsilon=epsilon).update(params, grads)
    torch.optim.Adam([theirs], 0.1, eps=epsilon / np.sqrt(1 - 0.999)).step()
    agree(params["W1"], theirs, 1e-10, "one step")
