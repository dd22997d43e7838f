"""The logs of an epoch so far: the loss and the metrics of all its batches. They are computed when
somebody asks for them.
"""

import numpy as np

from digits.keras.legacy import Logs
from digits.keras.losses import fitted
from digits.keras.network import Latest, Targets
from digits.keras.objectives import Objective
from digits.types import Array


class RunningMetrics:
    """The loss and the metrics of an epoch so far. Outputs wait until somebody asks, as a metric
    of many samples takes hardly more time than one of few.
    """

    MAX_WAITING = 2_000_000

    def __init__(self, found: list[Objective]) -> None:
        self.objectives = found
        self.metrics = [metric for objective in found for metric in objective.metrics]
        self.reset()

    def reset(self) -> None:
        self.loss_sum = self.count = 0.0
        self.loss_sums = [0.0] * len(self.objectives)
        self.waiting: list[tuple[list[Array], list[Targets]]] = []
        for metric in self.metrics:
            metric.reset_state()

    def add(self, loss: float, latest: Latest) -> None:
        n = latest.n
        self.loss_sum += loss * n
        self.loss_sums = [s + n * x for s, x in zip(self.loss_sums, latest.losses, strict=True)]
        self.count += n
        if self.metrics:
            self.waiting.append(([y.copy() for y in latest.outputs], latest.targets))
            if sum(y.size for y in latest.outputs) * len(self.waiting) > self.MAX_WAITING:
                self._update_metrics()

    def _update_metrics(self) -> None:
        waiting, self.waiting = self.waiting, []
        for i, objective in enumerate(self.objectives if waiting else []):
            parts = [(fitted(targets[i].t, outputs[i]), outputs[i]) for outputs, targets in waiting]
            whole = [tuple(map(np.concatenate, zip(*parts, strict=True)))]
            for metric in objective.metrics:
                for t, y in parts if metric.by_batch else whole:
                    metric.update_state(t, y)

    def logs(self, prefix: str = "") -> Logs:
        """The values by name, in alphabetical order as Keras 3 has them."""
        self._update_metrics()
        values = {"loss": self.loss_sum / max(self.count, 1)}
        for objective, loss_sum in zip(self.objectives, self.loss_sums, strict=True):
            if objective.name:
                values[objective.log_name("loss")] = loss_sum / max(self.count, 1)
            for metric in objective.metrics:
                values[objective.log_name(metric.name)] = float(np.mean(metric.result()))
        return Logs({f"{prefix}{name}": values[name] for name in sorted(values)})
