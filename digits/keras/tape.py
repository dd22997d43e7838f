"""Gradients of whatever has been computed with tensors: `GradientTape`, as in TensorFlow. What is
recorded is a graph of nodes, and the gradient goes back from the latest to the earliest.
"""

import contextlib
import functools
import heapq
from collections.abc import Callable, Iterator
from typing import Any, Self

import numpy as np

from digits.keras.tensor import Node, Tensor, paused, record, tapes, tensor
from digits.types import Array
from digits.validation import check


class GradientTape:
    """Records what is computed with variables, and with watched tensors, in a `with` block.

    >>> x = tensor(3.0)
    >>> with GradientTape() as tape:
    ...     tape.watch(x)
    ...     y = x * x
    >>> float(tape.gradient(y, x))
    6.0
    """

    def __init__(self, persistent: bool = False, watch_accessed_variables: bool = True) -> None:
        """The arguments are Keras'; here every tape may be asked more than once."""

    def __enter__(self) -> Self:
        tapes.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        if self in tapes:
            tapes.remove(self)

    def watch(self, tensors: Any) -> None:
        """Make gradients with respect to these tensors possible."""
        for x in tensors if isinstance(tensors, list | tuple) else [tensors]:
            advice = "make it with tf.convert_to_tensor"
            check(hasattr(x, "node"), "a tensor to watch", type(x).__name__, advice)
            x.node = x.node or Node()

    @contextlib.contextmanager
    def stop_recording(self) -> Iterator[None]:
        """A block of which nothing is recorded."""
        on = self in tapes
        self.__exit__()
        try:
            yield
        finally:
            if on:
                self.__enter__()

    def reset(self) -> None:
        """Nothing to forget: a record lives as long as its tensors."""

    def gradient(
        self,
        target: Any,
        sources: Any,
        output_gradients: Any = None,
        unconnected_gradients: Any = None,
    ) -> Any:
        """The gradient of a tensor, or of the sum of several, with respect to each source, in a
        structure like `sources`; None for one that the target does not depend on.
        """
        wanted = _flat(sources)
        with self.stop_recording():  # it may be asked within its own block
            found = gradients(_flat(target), wanted, _flat(output_gradients))
        if str(getattr(unconnected_gradients, "value", unconnected_gradients)) == "zero":
            pairs = zip(found, wanted, strict=True)
            found = [tensor(np.zeros(x.shape, x.dtype)) if g is None else g for g, x in pairs]
        if isinstance(sources, dict):
            return dict(zip(sources, found, strict=True))
        return found[0] if hasattr(sources, "node") else found

    def jacobian(self, target: Any, sources: Any, **_: Any) -> Any:
        """The gradient of each number of the target, in the shape of the target and the source."""
        single = not isinstance(sources, list | tuple)
        ones = np.eye(target.size, dtype=target.dtype).reshape(-1, *target.shape)
        rows = [self.gradient(target, _flat(sources), output_gradients=one) for one in ones]
        found = [
            tensor(np.stack(parts).reshape(*target.shape, *parts[0].shape))
            for parts in zip(*rows, strict=True)
        ]
        return found[0] if single else found


def recorded(function: Any, x: Array) -> tuple[Tensor, Callable[..., Array | None]]:
    """y = function(x), and its gradient function, from dy (ones if it is given none) to dx (None if
    y does not depend on x). What is recorded around it is not concerned.
    """
    given = x.view(Tensor)
    given.node = Node()
    with paused(), GradientTape():
        y = tensor(function(given))

    def backward(dy: Array | None = None) -> Array | None:
        with paused():
            (dx,) = gradients([y], [given], None if dy is None else [dy])
        return None if dx is None else dx.array

    return y, backward


def custom_gradient(function: Any) -> Any:
    """A decorator for a function of tensors that gives a tensor and its own gradient function: from
    the gradient with respect to the tensor to those for the arguments.
    """

    @functools.wraps(function)
    def call(*args: Any) -> Tensor:
        with paused():
            y, backward = function(*map(tensor, args))
        return record(y, args, lambda dy: _flat(backward(tensor(dy))))

    return call


def _flat(value: Any) -> list[Any]:
    """One tensor, several, or several by name, as a list."""
    if isinstance(value, dict):
        return list(value.values())
    if value is None:
        return []
    single = hasattr(value, "node") or isinstance(value, np.ndarray)
    return list(value) if hasattr(value, "__iter__") and not single else [value]


def gradients(targets: list[Any], sources: list[Any], dy: list[Any] | None = None) -> list[Any]:
    """The gradient of the sum of the targets with respect to each source, or None.

    dy: the gradient of the result with respect to each target, 1 if it is not given.
    """
    found: dict[Node, Any] = {}
    for i, target in enumerate(targets):
        node = getattr(target, "node", None)
        if node is not None:
            one = np.asarray(dy[i]) if dy else np.ones(target.shape, target.dtype)
            found[node] = found[node] + one if node in found else one
    wanted = {source.node for source in sources if getattr(source, "node", None) is not None}
    _go_back(found, wanted)
    return [
        _as_tensor(found[source.node], source) if getattr(source, "node", None) in found else None
        for source in sources
    ]


def _as_tensor(dx: Any, source: Any) -> Tensor:
    whole = dx if isinstance(dx, Tensor) else np.asarray(dx).view(Tensor)
    return whole if whole.dtype == source.dtype else tensor(whole, source.dtype)


def _go_back(found: dict[Node, Any], wanted: set[Node]) -> None:
    """Add the gradients of all nodes that those in `found` were made of; keep the wanted ones."""
    waiting = [(-node.number, node) for node in found]
    heapq.heapify(waiting)
    while waiting:
        _, node = heapq.heappop(waiting)
        if node.backward is None:
            continue
        if tapes and node.once:
            raise NotImplementedError(
                "there is no gradient of a gradient through layers, losses and indices here: "
                "write the network with tf.matmul and functions of tf.math"
            )
        dy = found[node] if node in wanted else found.pop(node)
        for source, dx in zip(node.sources, node.backward(dy), strict=False):
            if source is None or dx is None:
                continue
            if source in found:
                found[source] = found[source] + dx
            else:
                found[source] = dx
                heapq.heappush(waiting, (-source.number, source))


def leaves(x: Tensor) -> set[Node]:
    """What a tensor was made of in the end: watched tensors and variables."""
    found, waiting = set[Node](), [x.node]
    seen = set(waiting)
    while waiting:
        node = waiting.pop()
        if node is not None and node.backward is None:
            found.add(node)
        for source in node.sources if node is not None else ():
            if source not in seen:
                seen.add(source)
                waiting.append(source)
    return found
