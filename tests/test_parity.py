"""The same outputs, losses and gradients as in PyTorch (the extra `parity`)."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike, DTypeLike, NDArray
from test_layers import CASES, LIBRARY_LAYERS, random_array, ready, title

from digits import RECIPES, Conv2D, Layer, Sequential
from digits.nn.geometry import KernelLayer
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
from digits.nn.pooling import AveragePooling2D, MaxPooling2D, Subsampling2D, ZeroPadding2D
from digits.types import Array, Shape
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
    expected = theirs.detach().numpy()
    assert ours.shape == expected.shape, what
    assert ours.dtype == expected.dtype, what
    difference = np.max(np.abs(ours - expected), initial=0)
    assert difference <= tolerance * max(np.max(np.abs(expected), initial=0), 1e-3), what


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


def padded(layer: KernelLayer, x: Tensor, value: float = 0.0) -> Tensor:
    """x (n, channels, height, width) padded as by Keras, the odd pixel last."""
    if layer.padding == "valid":
        return x
    sides: list[int] = []
    for size, kernel, stride in zip(x.shape[2:], layer.kernel, layer.strides, strict=True):
        missing = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        sides = [missing // 2, missing - missing // 2, *sides]  # PyTorch begins with the last axis
    return torch.nn.functional.pad(x, sides, value=value)


def convolved(layer: Conv2D, w: Weights, x: Tensor) -> Tensor:
    W = w["W"]
    if layer.connections is not None:
        full = torch.zeros((*layer.kernel, *layer.connections.shape), dtype=W.dtype)
        full[:, :, torch.tensor(layer.connections)] = W
        W = full
    x, W = padded(layer, x.permute(0, 3, 1, 2)), W.permute(3, 2, 0, 1)
    a = torch.nn.functional.conv2d(x, W, w.get("b"), stride=layer.strides)
    return activated(layer.applied_activation.name, a.permute(0, 2, 3, 1))


def averaged(layer: AveragePooling2D, x: Tensor) -> Tensor:
    def mean(x: Tensor) -> Tensor:
        x = padded(layer, x.permute(0, 3, 1, 2))
        return torch.nn.functional.avg_pool2d(x, layer.kernel, layer.strides).permute(0, 2, 3, 1)

    return mean(x) / mean(torch.ones_like(x))  # the padding does not count


def normalized(layer: BatchNormalization, w: Weights, x: Tensor, training: bool) -> Tensor:
    mean, variance = (tensor(layer.buffers[f"moving_{name}"]) for name in ("mean", "variance"))
    given = (None, None) if training else (mean, variance)
    scale, norm = (w["gamma"], w["beta"]), torch.nn.functional.batch_norm
    return norm(x.movedim(-1, 1), *given, *scale, training, eps=layer.epsilon).movedim(1, -1)


def pooled(layer: MaxPooling2D, x: Tensor) -> Tensor:
    x = padded(layer, x.permute(0, 3, 1, 2), -np.inf)
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


def test_every_layer_is_told_in_torch() -> None:
    assert set(IN_TORCH) == LIBRARY_LAYERS


@pytest.mark.parametrize(("layer", "shape"), CASES, ids=title)
@every_training
@every_precision
def test_layers(
    layer: Layer, shape: Shape, training: bool, dtype: DTypeLike, tolerance: float
) -> None:
    if isinstance(layer, Dropout) and training:
        layer = Dropout(0)  # PyTorch draws other numbers
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


def logits_in_torch(network: Network, w: Weights, x: Tensor) -> Tensor:
    if isinstance(network, TwoLayerNet):
        return torch.sigmoid(x @ w["W1"] + w["b1"]) @ w["W2"] + w["b2"]
    assert isinstance(network, Sequential)
    x, number = x.reshape(len(x), *network.input_shape), 0
    for layer in network.layers:
        number += bool(layer.weight_shapes)
        own = {name: w[f"{name}{number}"] for name in layer.weight_shapes}
        x = IN_TORCH[type(layer)](layer, own, x, False)
    return x


def digits(n: int, dtype: DTypeLike) -> tuple[Array, NDArray[np.intp]]:
    rng = np.random.default_rng(6)
    x = rng.random((n, 784)) * (rng.random((n, 784)) < 0.3)
    return x.astype(dtype), rng.integers(0, 10, n)


@pytest.mark.parametrize("name", RECIPES)
@every_precision
def test_recipes(name: str, dtype: DTypeLike, tolerance: float) -> None:
    network = RECIPES[name].build(np.random.default_rng(0), dtype)
    rng = np.random.default_rng(1)
    network.params.flat[...] += 0.01 * rng.standard_normal(network.params.flat.size)
    x, t = digits(6, dtype)
    theirs = {name: tensor(array, requires_grad=True) for name, array in network.params.items()}
    logits = logits_in_torch(network, theirs, tensor(x))
    loss_theirs = torch.nn.functional.cross_entropy(
        logits, torch.tensor(t), label_smoothing=getattr(network, "label_smoothing", 0.0)
    )
    loss_theirs.backward()

    agree(network.predict(x), torch.softmax(logits, dim=1), tolerance, "predict")
    assert network.loss(x, t) == pytest.approx(loss_theirs.item(), rel=tolerance)
    for part, grad in network.gradient(x, t).items():
        agree(grad, theirs[part].grad, tolerance, f"d{part}")
