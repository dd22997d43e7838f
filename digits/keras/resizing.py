"""Models whose Input leaves sizes open, Input((None, 10)). Their graph is made for PLACEHOLDER in
the place of None, and made anew, with the same weights, when the first data tell the sizes.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

from digits.keras.graph import in_order
from digits.types import Shape

PLACEHOLDER = 64
"""Large enough for some layers of convolution and pooling."""

_resizing: list[bool] = []


@contextlib.contextmanager
def resizing() -> Iterator[None]:
    """A block in which layers take inputs of other sizes than those they were made for."""
    _resizing.append(True)
    try:
        yield
    finally:
        _resizing.pop()


def is_resizing() -> bool:
    return bool(_resizing)


def resize(model: Any, sizes: list[Shape]) -> None:
    """Let a model, or a layer that is a graph of layers, take inputs of these sizes.

    Raises ValueError if a layer would be given inputs of several sizes.
    """
    with resizing():
        _follow(model, sizes)
    _follow(model, sizes)  # a layer with several calls has been made for the last of them


def _follow(model: Any, sizes: list[Shape]) -> None:
    """Compute the sizes of all tensors of a graph, from those of its inputs."""
    for tensor, size in zip(model.inputs, sizes, strict=True):
        tensor.sizes = size
        if not tensor.inputs:
            tensor.layer.learn(size)
    ends = [*model.outputs, *getattr(model, "_loss_tensors", [])]
    for tensor in in_order(ends, model.inputs)[len(model.inputs) :]:
        layer, given = tensor.layer, [source.sizes for source in tensor.inputs]
        if tensor.run is not None:
            zeros = [source.zeros() for source in tensor.inputs]
            tensor.sizes = tensor.run.forward(zeros, False).shape[1:]
            layer.input_sizes = given if len(given) > 1 else given[0]
        elif hasattr(layer, "outputs"):
            _follow(layer, given)
            tensor.sizes = layer.outputs[tensor.index].sizes
        else:
            layer.set_up(given[0])
            tensor.sizes = layer.output_sizes
        layer.output_sizes = tensor.sizes
    several = isinstance(model.input_sizes, list)
    model.input_sizes, model.output_sizes = sizes if several else sizes[0], model.outputs[0].sizes
    model.waits, model._network = False, None
