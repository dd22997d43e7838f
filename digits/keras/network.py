"""A model as the training loop sees it: its layers in order, their weights gathered in one vector,
and the gradient of its loss by backpropagation through the graph.

The weights belong to the layers, which several models may share. A network that is about to train
moves them into a vector of its own; the layers look at them there until another network does.
"""

from typing import Any, NamedTuple

import numpy as np

from digits.compute.threads import adaptive_blas, single_threaded_blas
from digits.keras.custom import Run
from digits.keras.graph import KerasTensor, in_order
from digits.keras.layer import Layer
from digits.keras.objectives import Objective
from digits.keras.tensor import Tensor
from digits.keras.variable import Variable
from digits.nn.layers import Activation
from digits.nn.losses import Loss
from digits.nn.parameters import Parameters
from digits.types import Array


class Targets(NamedTuple):
    """What a batch should give: targets, and how much each sample counts (None: all the same)."""

    t: Any
    weight: Array | None = None


class Step(NamedTuple):
    """One call of a layer: the numbers of the values it reads, and of the one it makes; whether it
    is in training, if the call says so; and what it runs, if that is a call of one's own.
    """

    layer: Layer
    sources: tuple[int, ...]
    result: int
    training: bool | None
    run: Run | None


class Head(NamedTuple):
    """An output in training: the number of its value, its loss, how much that counts, and the
    activation that the loss has taken in.
    """

    result: int
    loss: Loss
    factor: float
    last: Activation | None


class Latest(NamedTuple):
    """What the latest step has computed: of n samples, for each output that has a loss."""

    n: int
    outputs: list[Array]
    targets: list[Targets]
    losses: list[float]


class Network:
    """The graph from `inputs` to `outputs`, models inside it opened.

    `latest` holds what the latest `loss_and_gradient` has computed, for the metrics.
    """

    def __init__(
        self,
        inputs: list[KerasTensor],
        outputs: list[KerasTensor],
        losses: list[KerasTensor],
        dtype: str,
    ) -> None:
        self.dtype = dtype
        self.params = self.grads = Parameters({}, dtype)
        self.wanted: set[Variable] | None = None
        self.steps: list[Step] = []
        self.copies: dict[Layer, Layer] = {}  # of layers at their second call and later: the layers
        self.inputs = list(range(len(inputs)))
        self._count = len(inputs)
        where = {id(tensor): number for number, tensor in enumerate(inputs)}
        ends = self._open(inputs, outputs + losses, where)
        self.outputs = ends[: len(outputs)]
        self.added = {number: np.zeros(()) for number in ends[len(outputs) :]}
        """Values that are added to the loss as they are, by their numbers: the latest ones."""
        own = (step.layer for step in self.steps if step.layer not in self.copies)
        self.layers = list(dict.fromkeys(own))
        shared = any(core.shares_work for layer in self.layers for core in layer.cores)
        self._products: Any = single_threaded_blas if shared else adaptive_blas
        self.heads: list[Head] = []
        self.taken_in: set[int] = set()  # the outputs whose last activation their loss has taken in
        self.regularized: list[Variable] = []
        self.constrained: list[Variable] = []
        self.runs = [step.run for step in self.steps if step.run]
        self.trained_values: set[int] = set()  # those on which weights that train have influence
        self.latest = Latest(0, [], [], [])

    def _open(
        self,
        inputs: list[KerasTensor],
        outputs: list[KerasTensor],
        where: dict[int, int],
        training: bool | None = None,
    ) -> list[int]:
        """Append the steps from inputs to outputs; the numbers of the outputs."""
        inner: dict[tuple[int, tuple[int, ...]], list[int]] = {}
        for tensor in in_order(outputs, inputs):
            if id(tensor) in where:
                continue
            sources = tuple(where[id(source)] for source in tensor.inputs)
            model, mode = tensor.layer, training if tensor.training is None else tensor.training
            if hasattr(model, "outputs") and tensor.run is None:
                call = id(model), sources
                if call not in inner:
                    within = {id(t): n for t, n in zip(model.inputs, sources, strict=True)}
                    inner[call] = self._open(model.inputs, model.outputs, within, mode)
                where[id(tensor)] = inner[call][tensor.index]
            else:
                layer = model if tensor.run else self._for_one_call(model)
                self.steps.append(Step(layer, sources, self._count, mode, tensor.run))
                where[id(tensor)] = self._count
                self._count += 1
        return [where[id(tensor)] for tensor in outputs]

    def _for_one_call(self, layer: Layer) -> Layer:
        """The layer, or, if it has been called before, a copy that remembers this call alone."""
        if all(step.layer is not layer for step in self.steps):
            return layer
        copied = layer.copy_for_call()
        self.copies[copied] = layer
        return copied

    # --- training ---------------------------------------------------------------------------------

    def prepare(self, objectives: list[Objective], wanted: set[Variable] | None = None) -> None:
        """Gather what is trained (None: all that may be), and take the last activation of an output
        into its loss where it can be.
        """
        self.wanted = wanted
        self._gather()
        self.heads = [self._head(objective) for objective in objectives]
        self.taken_in = {head.result for head in self.heads if head.last is not None}
        weights = [v for layer in self.layers for v in layer.weights]
        self.regularized = [v for v in weights if v.regularizer]
        changed = {v for layer in self.layers for v in self._trained(layer)}
        self.constrained = [v for v in weights if v.constraint and v in changed]
        trained: set[int] = set()
        for layer, sources, result, _, run in self.steps:
            needed = any(source in trained for source in sources)
            layer.set_needs_dx(needed)
            if run is not None:
                run.needs_dx = needed
            if needed or self._trained(self.copies.get(layer, layer)):
                trained.add(result)
        self.trained_values = trained

    def _head(self, objective: Objective) -> Head:
        result, loss = self.outputs[objective.output], objective.loss
        alone = self.outputs.count(result) == 1
        alone = alone and not any(result in step.sources for step in self.steps)
        for layer in (step.layer for step in self.steps if step.result == result and alone):
            core = layer.cores[-1] if layer.cores else None
            fits = isinstance(core, Activation) and core.activation == loss.activation
            if isinstance(core, Activation) and fits and not loss.from_logits:
                return Head(result, loss.with_logits(), objective.factor, core)
        return Head(result, loss, objective.factor, None)

    def _trained(self, layer: Layer) -> list[Variable]:
        if self.wanted is None:
            return layer.trained_variables()
        return [v for v in layer.weights if v.has_gradient and v in self.wanted]

    def _gather(self) -> None:
        """Move the weights that are trained into one vector."""
        owners = {
            f"{i}/{j}/{v.key}": v
            for i, layer in enumerate(self.layers)
            for j, v in enumerate(self._trained(layer))
        }
        gathered = self.params
        there = all(v.array is gathered.get(name) for name, v in owners.items())
        if list(gathered) == list(owners) and there:
            return
        self.params = Parameters({name: v.array.shape for name, v in owners.items()}, self.dtype)
        self.grads = self.params.zeros_like()
        for name, v in owners.items():
            self.params[name] = v.array
            v.core.weights[v.key], v.core.grads[v.key] = self.params[name], self.grads[name]

    def loss_and_gradient(
        self, x: list[Array], targets: list[Targets], *, scale: float = 1.0
    ) -> tuple[float, Parameters]:
        """The loss of a batch, penalties included, and its gradient times `scale`, in training
        mode."""
        with self._products:
            values = dict(zip(self.outputs, self.forward(x, True, logits=True), strict=True))
            outputs, losses, gradients = [], [], dict[int, Array]()
            for head, (t, weight) in zip(self.heads, targets, strict=True):
                y = values[head.result]
                loss, dy = head.loss.loss_and_grad(y, t, weight)
                dy = dy if scale * head.factor == 1 else scale * head.factor * dy
                _add(gradients, head.result, dy)
                outputs.append(y if head.last is None else head.last.forward(y))
                losses.append(loss)
            for number, value in self.added.items():
                _add(gradients, number, np.full_like(value, scale / value.size))
            for run in self.runs:
                run.scale = scale
                for variable in run.variables:
                    variable.gradient.fill(0)
            self._backward(gradients)
        for copied, layer in self.copies.items():
            for core, own in zip(layer.cores, copied.cores, strict=True):
                for key, gradient in own.grads.items():
                    core.grads[key] += gradient
        for v in self.regularized:
            np.add(v.gradient, scale * v.regularizer.gradient(v.array), out=v.gradient)
        self.latest = Latest(len(x[0]), outputs, targets, losses)
        total = sum(head.factor * loss for head, loss in zip(self.heads, losses, strict=True))
        return total + self.penalty() + self.activity_penalty(), self.grads

    def evaluate(
        self, x: list[Array], targets: list[Targets], objectives: list[Objective]
    ) -> float:
        """The loss of a batch, without the penalties on weights; `latest` holds the rest."""
        values = self.predict(x)
        self.latest = Latest(len(x[0]), [values[o.output] for o in objectives], targets, [])
        total = self.activity_penalty()
        for objective, y, t in zip(objectives, self.latest.outputs, targets, strict=True):
            self.latest.losses.append(objective.loss.loss_and_grad(y, t.t, t.weight)[0])
            total += objective.factor * self.latest.losses[-1]
        return total

    def constrain(self) -> None:
        """Bring the weights that have constraints, after a step, to what is allowed."""
        for v in self.constrained:
            v.assign(v.constraint(v.array.view(Tensor)))

    def penalty(self) -> float:
        """What regularizers add to the loss."""
        return sum(float(v.regularizer(v.array)) for v in self.regularized)

    def activity_penalty(self) -> float:
        """What the latest values of the model, and calls of layers, add to it."""
        values = sum(float(value.mean()) for value in self.added.values())
        return values + sum(run.penalty for run in self.runs)

    def _backward(self, gradients: dict[int, Array]) -> None:
        for layer, sources, result, _, run in reversed(self.steps):
            if result not in self.trained_values or result not in gradients:
                continue
            dy = gradients.pop(result)
            if run is not None:
                dx: Any = run.backward(dy)
            elif result in self.taken_in:
                dx = self._backward_without_last(layer, dy)
            else:
                dx = layer.backward(dy)
            if dx is None:
                continue
            for source, part in zip(sources, [dx] if run is None else dx, strict=True):
                if part is not None:
                    _add(gradients, source, part)

    @staticmethod
    def _backward_without_last(layer: Layer, dy: Array) -> Array | None:
        gradient: Array | None = dy
        for core in reversed(layer.cores[:-1]):
            if gradient is not None:
                gradient = core.backward(gradient)
        return gradient

    # --- computing --------------------------------------------------------------------------------

    def forward(self, x: list[Array], training: bool = False, logits: bool = False) -> list[Array]:
        """The outputs; with `logits` those before the activation that the loss has taken in."""
        values = dict(zip(self.inputs, x, strict=True))
        for layer, sources, result, mode, run in self.steps:
            given: Any = [values[source] for source in sources]
            trains = training if mode is None else bool(mode)
            if run is not None:
                values[result] = run.forward(given, trains)
                continue
            (given,) = given
            if logits and result in self.taken_in:
                for core in layer.cores[:-1]:
                    given = core.forward(given, trains)
                values[result] = given
            else:
                values[result] = layer.forward(given, trains)
        self.added = {number: values[number] for number in self.added}
        return [values[number] for number in self.outputs]

    def predict(self, x: list[Array], chunk: int = 256) -> list[Array]:
        """The outputs for all samples, computed some at a time."""
        n = len(x[0])
        outputs: list[Array] = []
        with np.errstate(over="ignore", invalid="ignore"), self._products:
            for start in range(0, max(n, 1), chunk):
                part = self.forward([array[start : start + chunk] for array in x])
                if not outputs:
                    outputs = [np.empty((n, *y.shape[1:]), y.dtype) for y in part]
                for whole, y in zip(outputs, part, strict=True):
                    whole[start : start + chunk] = y
        return outputs


def _add(gradients: dict[int, Array], value: int, dy: Array) -> None:
    """A value that is used several times has the sum of the gradients."""
    earlier = gradients.get(value)
    gradients[value] = dy if earlier is None else earlier + dy
