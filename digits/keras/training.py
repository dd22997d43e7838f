"""The verbs of a model: compile, fit, evaluate, predict. Training goes through the one loop of this
library, `train_net.train_loop`; what Keras does around the steps are callbacks of that loop.
"""

import copy
from typing import Any

import numpy as np

from digits.keras import data, losses, metrics, optimizers
from digits.keras.callbacks import CallbackList, History, ProgbarLogger
from digits.keras.legacy import Logs, note, renamed
from digits.keras.moments import KerasMoments, Measures
from digits.keras.network import Targets
from digits.keras.progress import Progbar
from digits.keras.random import new_generator
from digits.types import Array
from digits.validation import check
from train_net import train_loop, train_step

OLD_FIT = {
    "nb_epoch": "epochs",
    "samples_per_epoch": "steps_per_epoch",
    "nb_val_samples": "validation_steps",
    "nb_worker": None,
    "workers": None,
    "max_q_size": None,
    "max_queue_size": None,
    "use_multiprocessing": None,
    "pickle_safe": None,
}
"""What arguments of `fit` were called before."""


WITHOUT_EFFECT = {
    *("run_eagerly", "steps_per_execution", "jit_compile", "auto_scale_loss"),
    *("sample_weight_mode", "class_mode", "target_tensors"),
}
"""Arguments of `compile` that say how other libraries compute."""


class Trainer:
    """What a model can do besides computing; a mixin of `Model`."""

    optimizer: Any = None
    loss: Any = None
    stop_training = False
    _wanted: Any = None
    history: Any = None
    training_network: Any
    trained: Any
    set_up: Any
    outputs: list[Any]
    name: str
    dtype: str

    # --- compile ----------------------------------------------------------------------------------

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        metrics: Any = None,
        loss_weights: Any = None,
        weighted_metrics: Any = None,
        **options: Any,
    ) -> None:
        if unknown := options.keys() - WITHOUT_EFFECT:
            raise TypeError(f"compile has no argument {', '.join(unknown)}")
        self.optimizer = optimizers.get(optimizer)
        if getattr(self.optimizer, "owner", self) is not self:  # one model's memory is its own
            self.optimizer = copy.copy(self.optimizer)
            self.optimizer.slots, self.optimizer.iterations = {}, 0
        self.optimizer.owner = self
        self.loss_given = loss
        self.metrics_given = _listed(metrics) + _listed(weighted_metrics)
        self.loss = losses.get(_only(loss, "loss"))
        self._factor = 1.0 if loss_weights is None else float(_only(loss_weights, "loss_weights"))
        self._metrics: list[Any] | None = None
        # What is frozen after this stays trainable for this model, until it is compiled again.
        self._wanted = set(self.trained()) if hasattr(self, "outputs") else None

    @property
    def compiled(self) -> bool:
        return self.optimizer is not None

    @property
    def metrics(self) -> list[Any]:
        if self._metrics is None:
            shape = self.outputs[0].sizes
            self._metrics = [metrics.get(m, self.loss, shape) for m in self.metrics_given]
        return self._metrics

    @property
    def metrics_names(self) -> list[str]:
        return ["loss", *(metric.name for metric in self.metrics)]

    def _require_compiled(self, verb: str, show_accuracy: bool = False) -> None:
        if not self.compiled or self.loss is None:
            raise RuntimeError(
                f"expected a compiled model with a loss for {verb}: call "
                'compile(optimizer="adam", loss="sparse_categorical_crossentropy") first'
            )
        if show_accuracy and not self.metrics_given:
            note('show_accuracy=True is called compile(..., metrics=["accuracy"]) today')
            self.metrics_given, self._metrics = ["accuracy"], None

    # --- fit --------------------------------------------------------------------------------------

    @renamed(**OLD_FIT)
    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: Any = True,
        class_weight: Any = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int = 1,
        show_accuracy: bool = False,
    ) -> History:
        """Train for `epochs` epochs; the history of their figures."""
        self._require_compiled("fit", show_accuracy)
        if hasattr(type(self), "train_step"):
            raise NotImplementedError(
                f"{type(self).__name__}.train_step is not used: there is no automatic "
                "differentiation here; compile with a loss instead"
            )
        options = {"shuffle": data.note_shuffle(shuffle), "steps": steps_per_epoch}
        given = self._batches(x, y, sample_weight, class_weight, batch_size or 32, options)
        if validation_split and not data.is_source(x):
            given, held_out = given.split(validation_split)
            rows = None if sample_weight is None else np.asarray(sample_weight)[-held_out.n :]
            validation_data = validation_data or (held_out.x, held_out.targets.t, rows)
        batches: Any = given
        self._prepare()
        verbose = 1 if verbose in ("auto", True) else int(verbose)
        self.history = History()
        bar = next((c for c in _listed(callbacks) if isinstance(c, ProgbarLogger)), None)
        bar = bar or (ProgbarLogger() if verbose else None)
        # The user's come first: some add figures, which the history and the bar show.
        own = dict.fromkeys(callback for callback in _listed(callbacks) if callback is not bar)
        params = {"verbose": verbose, "epochs": epochs, "steps": len(batches)}
        told = CallbackList([*own, self.history, *([bar] if bar else [])], self, params)
        self.stop_training = False
        validate = None
        if validation_data is not None:
            size = validation_batch_size or batch_size or 32
            hearers = CallbackList(own, self, params)
            validate = self._validation(validation_data, validation_steps, size, hearers)
        iterations = max(0, epochs - initial_epoch) * len(batches)
        around = KerasMoments(self, told, bar, validate, validation_freq, initial_epoch)
        train_loop(self.training_network, batches, self.optimizer, iterations, [around])
        return self.history

    def _prepare(self) -> None:
        self.training_network.prepare(self.loss, self._wanted)
        self.training_network.factor = self._factor

    def _validation(self, given: Any, steps: int | None, size: int, told: CallbackList) -> Any:
        if data.is_source(given):
            given = (given, None)
        pair = isinstance(given, list | tuple) and len(given) > 1
        check(pair, "validation_data=(x, y), or (x, y, sample_weight)", type(given).__name__)
        x, y, weight = (*given, None)[:3]
        batches = self._batches(
            x, y, weight, None, self._at_once(size, steps, told), {"steps": steps}
        )
        return lambda: self._evaluate(batches.epoch(0), told)

    def _at_once(self, size: int, steps: Any, told: CallbackList) -> int:
        """How many samples to compute at once: more save time, where nobody counts the batches."""
        own = any(getattr(m, "by_batch", not isinstance(m, str)) for m in self.metrics_given)
        return size if steps or told.callbacks or own else max(size, 256)

    def _arrays(self, x: Any, y: Any, sample_weight: Any, class_weight: Any) -> tuple[Any, Targets]:
        """Inputs and targets as arrays; the model learns the shape of its inputs, if it has to."""
        inputs = self._as_inputs(x)
        check(y is not None, "targets y", None)
        y = _only(y, "array of targets") if isinstance(y, dict) else y
        t = np.asarray(y[0] if isinstance(y, list) and len(y) == 1 else y)
        weight = None if sample_weight is None else np.asarray(sample_weight)
        if class_weight is not None:
            by_class = data.class_weights(class_weight, t)
            weight = by_class if weight is None else weight * by_class
        check(len(t) == len(inputs[0]), f"a target for each of {len(inputs[0]):,} inputs", len(t))
        return inputs, Targets(t, weight)

    def _as_inputs(self, x: Any) -> list[Array]:
        if not hasattr(self, "outputs"):
            shapes = data.shapes_in(x)
            self.set_up(shapes if len(shapes) > 1 else shapes[0])
        return data.as_inputs(x, self._shapes(), self.dtype)

    def _shapes(self) -> dict[str, Any]:
        return {tensor.layer.name: tensor.sizes for tensor in self.inputs}  # type: ignore[attr-defined]

    def _batches(
        self, x: Any, y: Any, weight: Any, class_weight: Any, size: int, options: dict[str, Any]
    ) -> Any:
        """Arrays, or a source of batches, as batches of the shapes that this model takes."""
        steps = None if options.get("steps") is None else max(1, int(options["steps"]))
        shuffle, rng = options.get("shuffle", False), new_generator()
        if not data.is_source(x):
            inputs, targets = self._arrays(x, y, weight, class_weight)
            return data.ArrayBatches(inputs, targets, size, shuffle, rng, steps)
        if not hasattr(self, "outputs"):
            batch, x = data.first_batch(x)
            self._as_inputs(data.parts_of(batch)[0])
        return data.SourceBatches(x, self._shapes(), self.dtype, class_weight, steps, shuffle, rng)

    # --- evaluate, predict ------------------------------------------------------------------------

    @renamed(val_samples="steps", workers=None, max_queue_size=None, use_multiprocessing=None)
    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: Any = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
        show_accuracy: bool = False,
    ) -> Any:
        """The loss, and the metrics after it, on data that the model is not trained on."""
        self._require_compiled("evaluate", show_accuracy)
        bar, size = Progbar(None, verbose=2 if verbose == 2 else 1), batch_size or 32
        params = {"verbose": verbose, "epochs": 1, "steps": steps}
        told = CallbackList(_listed(callbacks), self, params)
        at_once = self._at_once(size, steps, told)
        batches = self._batches(x, y, sample_weight, None, at_once, {"steps": steps})
        count = params["steps"] = len(batches) if data.is_source(x) else -(-batches.n // size)
        self._prepare()
        logs = self._evaluate(batches.epoch(0), told)
        if verbose:
            bar.update(steps or count, logs, finalize=True)
        return logs if return_dict else self._figures(logs)

    def _figures(self, logs: Logs) -> Any:
        """The loss and the metrics after it; the loss itself if there are none."""
        values = [logs["loss"], *(logs[metric.name] for metric in self.metrics)]
        return values if len(values) > 1 else values[0]

    def _evaluate(self, batches: Any, told: CallbackList) -> Logs:
        told.tell("on_test_begin", {})
        measures = Measures(self.metrics)
        for number, (x, targets) in enumerate(batches):
            told.tell("on_test_batch_begin", number, {})
            (y,) = self.training_network.predict(x)
            loss, _ = self.loss.loss_and_grad(y, targets.t, targets.weight)
            loss = loss * self._factor + self.training_network.activity_penalty()
            measures.add(loss, y, targets)
            told.tell("on_test_batch_end", number, measures.logs() if told.callbacks else {})
        logs = measures.logs()
        logs["loss"] += self.training_network.penalty()
        told.tell("on_test_end", logs)
        return logs

    @renamed(workers=None, max_queue_size=None, use_multiprocessing=None, val_samples="steps")
    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: Any = "auto",
        steps: int | None = None,
        callbacks: Any = None,
    ) -> Any:
        told, size = CallbackList(_listed(callbacks), self, {"verbose": verbose}), batch_size or 32
        bar = Progbar(None, verbose=2 if verbose == 2 else 1)
        if data.is_source(x):
            source = self._batches(x, None, None, None, 0, {"steps": steps})
            batches, count = (inputs for inputs, _ in source.epoch(0)), len(source)
        else:
            arrays = self._as_inputs(x)
            n = max(len(arrays[0]), 1)
            rows = size if told.callbacks else n
            batches = ([a[i : i + rows] for a in arrays] for i in range(0, n, rows))
            count = -(-n // size)
        told.tell("on_predict_begin", {})
        parts = []
        for number, inputs in enumerate(batches):
            told.tell("on_predict_batch_begin", number, {})
            parts.append(self.training_network.predict(inputs))
            told.tell("on_predict_batch_end", number, {"outputs": parts[-1][0]})
        results = parts[0]
        if len(parts) > 1:
            results = [np.concatenate(outputs) for outputs in zip(*parts, strict=True)]
        if verbose:
            bar.update(count, finalize=True)
        told.tell("on_predict_end", {})
        return results[0] if self._single_output else results

    _single_output = True

    # --- one batch --------------------------------------------------------------------------------

    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: Any = None,
        return_dict: bool = False,
        **_: Any,
    ) -> Any:
        self._require_compiled("train_on_batch")
        inputs, targets = self._arrays(x, y, sample_weight, class_weight)
        self._prepare()
        with np.errstate(over="ignore", invalid="ignore"):
            loss = train_step(self.training_network, self.optimizer, inputs, targets)
        measures = Measures(self.metrics)
        measures.add(loss, *self.training_network.latest)
        logs = measures.logs()
        return logs if return_dict else self._figures(logs)

    def test_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False, **_: Any
    ) -> Any:
        return self.evaluate(x, y, sample_weight=sample_weight, verbose=0, return_dict=return_dict)

    def predict_on_batch(self, x: Any) -> Any:
        return self.predict(x, verbose=0)

    def reset_metrics(self) -> None:
        for metric in self.metrics:
            metric.reset_state()

    def get_metrics_result(self) -> dict[str, Any]:
        return {metric.name: metric.result() for metric in self.metrics}

    # --- as it was called before ------------------------------------------------------------------

    def fit_generator(
        self, generator: Any, steps_per_epoch: Any = None, *args: Any, **kwargs: Any
    ) -> Any:
        note("fit_generator is called fit today")
        old = kwargs.pop("samples_per_epoch", None)
        if old is not None:
            note("samples_per_epoch= is called steps_per_epoch= today, and counts batches")
            steps_per_epoch = -(-old // getattr(generator, "batch_size", 32))
        if args:
            kwargs["epochs"] = args[0]
        return self.fit(generator, steps_per_epoch=steps_per_epoch, **kwargs)

    def evaluate_generator(self, generator: Any, steps: Any = None, *_: Any, **kwargs: Any) -> Any:
        note("evaluate_generator is called evaluate today")
        return self.evaluate(generator, steps=steps, **kwargs)

    def predict_generator(self, generator: Any, steps: Any = None, *_: Any, **kwargs: Any) -> Any:
        note("predict_generator is called predict today")
        return self.predict(generator, steps=steps, **kwargs)


def _listed(value: Any) -> list[Any]:
    """One thing, several, or several by name, as a list."""
    if isinstance(value, dict) and "class_name" not in value:
        value = list(value.values())
    if isinstance(value, list | tuple):
        return [item for part in value for item in _listed(part)]
    return [] if value is None else [value]


def _only(value: Any, argument: str) -> Any:
    """The one entry of a list or a dict of one."""
    values = (
        list(value.values()) if isinstance(value, dict) and "class_name" not in value else value
    )
    if not isinstance(values, list | tuple):
        return value
    check(len(values) == 1, f"one {argument}", len(values), "models of one output can be trained")
    return values[0]
