"""The verbs of a model: compile, fit, evaluate, predict. A step of the training is that of this
library, `train_net.train_step`; around it callbacks learn what happens.
"""

import copy
from typing import Any

import numpy as np

from digits.keras import data, optimizers
from digits.keras.callbacks import CallbackList, History, ProgbarLogger
from digits.keras.custom_steps import CustomBatches, CustomNetwork, StepVerbs
from digits.keras.legacy import Logs, note, renamed
from digits.keras.metrics import Metric
from digits.keras.network import Targets
from digits.keras.objectives import Objective, listed, loss_objects, objectives
from digits.keras.progress import Progbar
from digits.keras.random import new_generator
from digits.keras.running_metrics import RunningMetrics
from digits.types import Array
from digits.validation import check
from train_net import train_step

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


NOT_COMPILED = (
    "expected a model that is compiled with a loss: call "
    'compile(optimizer="adam", loss="sparse_categorical_crossentropy") first'
)


class Trainer(StepVerbs):
    """What a model can do besides computing; a mixin of `Model`."""

    optimizer: Any = None
    loss: Any = None
    stop_training = False
    _wanted: Any = None
    history: Any = None
    training_network: Any
    trained_variables: Any
    set_up: Any
    outputs: list[Any]
    output_names: Any
    waits: Any
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
        self.loss, self._losses, self.loss_weights = loss, loss_objects(loss), loss_weights
        self.metrics_given = metrics
        if weighted_metrics is not None:
            self.metrics_given = listed(metrics) + listed(weighted_metrics)
        self._objectives: list[Objective] | None = None
        # What is frozen after this stays trainable for this model, until it is compiled again.
        self._wanted = set(self.trained_variables()) if hasattr(self, "outputs") else None

    @property
    def compiled(self) -> bool:
        return self.optimizer is not None

    @property
    def objectives(self) -> list[Objective]:
        """What the outputs are trained and measured by."""
        if self._objectives is None:
            self._objectives = self.objectives_of(self.output_names, self.outputs)
        return self._objectives

    def objectives_of(self, names: list[str], outputs: list[Any]) -> list[Objective]:
        """What `compile` asks of outputs by these names."""
        sizes = [tuple(output.shape)[1:] for output in outputs]
        every = self.loss is None and self.has_own("train_step")  # its metrics need no loss
        given = self._losses, self.loss_weights, self.metrics_given
        return objectives(names, sizes, *given, every)

    @property
    def metrics(self) -> list[Any]:
        """The metrics of `compile`, and those among the model's attributes."""
        own = [v for v in vars(self).values() if isinstance(v, Metric)]
        known = self.compiled and (hasattr(self, "outputs") or self._objectives is not None)
        found = [m for o in (self.objectives if known else []) for m in o.metrics]
        mean = [self._loss_mean] if known and self.loss and self.has_own("train_step") else []
        return list(dict.fromkeys([*mean, *own, *found]))

    @property
    def metrics_names(self) -> list[str]:
        several = [o.log_name("loss") for o in self.objectives if o.name]
        return ["loss", *several, *(o.log_name(m.name) for o in self.objectives for m in o.metrics)]

    def _require_compiled(self, show_accuracy: bool = False) -> None:
        if not self.compiled:
            raise RuntimeError(NOT_COMPILED)
        if show_accuracy and not self.metrics_given:
            note('show_accuracy=True is called compile(..., metrics=["accuracy"]) today')
            self.metrics_given, self._objectives = ["accuracy"], None

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
        """Train for `epochs` epochs; the history of their logs."""
        own = self.has_own("train_step")
        if not own:
            self._require_compiled(show_accuracy)
        options = {"shuffle": data.note_shuffle(shuffle), "steps": steps_per_epoch, "own": own}
        given = self._batches(x, y, sample_weight, class_weight, batch_size or 32, options)
        if validation_split and not data.is_source(x):
            given, held_out = given.split(validation_split)
            held_out = held_out if own else self._held_out(held_out, sample_weight)
            validation_data = validation_data or held_out
        network, running = self._at_work(own)
        verbose = 1 if verbose in ("auto", True) else int(verbose)
        self.history = History()
        bar = next((c for c in listed(callbacks) if isinstance(c, ProgbarLogger)), None)
        bar = bar or (ProgbarLogger() if verbose else None)
        # The user's come first: some add logs, which the history and the bar show.
        by_user = dict.fromkeys(callback for callback in listed(callbacks) if callback is not bar)
        params = {"verbose": verbose, "epochs": epochs, "steps": len(given)}
        callbacks = CallbackList([*by_user, self.history, *([bar] if bar else [])], self, params)
        self.stop_training = False
        validate = None
        if validation_data is not None:
            size = validation_batch_size or batch_size or 32
            while_validating = CallbackList(by_user, self, params)
            validate = self._validation(validation_data, validation_steps, size, while_validating)
        epoch_numbers = range(initial_epoch, epochs)
        self._train(network, given, running, callbacks, epoch_numbers, validate, validation_freq)
        return self.history

    def _train(
        self,
        network: Any,
        batches: Any,
        running: Any,
        callbacks: CallbackList,
        epochs: range,
        validate: Any,
        every: int,
    ) -> None:
        """A step for each batch of each epoch, until a callback stops it."""
        logs = Logs()
        callbacks.begin_training()
        for epoch in epochs:
            running.reset()
            callbacks.tell("on_epoch_begin", epoch, {})
            for number, (x, targets) in enumerate(batches.epoch(epoch)):
                callbacks.tell("on_train_batch_begin", number, {})
                running.add(self._step(network, x, targets), network.latest)
                if callbacks.needs_logs():
                    callbacks.tell("on_train_batch_end", number, running.logs())
                if self.stop_training:
                    break
            logs = running.logs()
            if validate is not None and (epoch + 1) % every == 0:
                logs |= {f"val_{name}": value for name, value in validate().items()}
            callbacks.tell("on_epoch_end", epoch, logs)
            if self.stop_training:
                break
        average = getattr(self.optimizer, "slots", {}).get("average")
        if average is not None and not isinstance(network, CustomNetwork):
            network.params.flat[...] = average
        callbacks.tell("on_train_end", logs)

    def _step(self, network: Any, x: Any, targets: Any) -> float:
        """One step of the optimizer, or of the model's own; the loss before it."""
        if isinstance(network, CustomNetwork):
            return network.step(x)
        with np.errstate(over="ignore", invalid="ignore"):
            loss = train_step(network, self.optimizer, x, targets)
        network.constrain()
        return loss

    def _at_work(self, own: bool) -> tuple[Any, Any]:
        """What takes the steps, and what computes the logs of the epoch so far."""
        if own:
            return (CustomNetwork(self),) * 2
        return self._prepare(), RunningMetrics(self.objectives)

    def _prepare(self) -> Any:
        network = self.training_network
        network.prepare(self.objectives, self._wanted)
        if not (network.heads or network.runs or network.added):
            raise RuntimeError(NOT_COMPILED)
        return network

    def _held_out(self, batches: data.ArrayBatches, sample_weight: Any) -> Any:
        """The samples of these batches, as `validation_data` is given."""
        names = [self.output_names[objective.output] for objective in self.objectives]
        parts = dict(zip(names, batches.targets, strict=True))
        t, weight = {name: part.t for name, part in parts.items()}, sample_weight
        if weight is not None and len(self.output_names) > 1:
            weight = {name: part.weight for name, part in parts.items()}
        elif weight is not None:  # without the weights of classes
            weight = np.asarray(weight)[-batches.n :]
        return batches.x, t, weight

    def _validation(self, given: Any, steps: int | None, size: int, callbacks: CallbackList) -> Any:
        if data.is_source(given):
            given = (given, None)
        pair = (isinstance(given, list | tuple) and len(given) > 1) or self.has_own("test_step")
        given = given if isinstance(given, list | tuple) else (given,)
        check(pair, "validation_data=(x, y), or (x, y, sample_weight)", type(given).__name__)
        x, y, weight = (*given, None, None)[:3]
        options = {"steps": steps, "own": self.has_own("test_step")}
        batches = self._batches(x, y, weight, None, self._at_once(size, steps, callbacks), options)
        return lambda: self._evaluate(batches, callbacks)

    def _at_once(self, size: int, steps: Any, callbacks: CallbackList) -> int:
        """How many samples to compute at once: more save time, where nobody counts the batches."""
        given = listed(self.metrics_given)
        own = any(getattr(m, "by_batch", not isinstance(m, str)) for m in given)
        return size if steps or callbacks.callbacks or own else max(size, 256)

    def _arrays(
        self, x: Any, y: Any, sample_weight: Any, class_weight: Any
    ) -> tuple[Any, list[Targets]]:
        """Inputs and targets as arrays; the model learns the shape of its inputs, if it has to."""
        inputs = self._as_inputs(x)
        check(y is not None or self.loss is None, "targets y", None)
        y = None if self.loss is None else y
        targets = data.targets_of(y, sample_weight, class_weight, self.output_names)
        n = len(inputs[0])
        for t, _ in targets:
            check(t.shape[:1] == (n,), f"a target for each of {n:,} inputs", t.shape)
        return inputs, targets

    def _as_inputs(self, x: Any) -> list[Array]:
        if self.waits or not hasattr(self, "outputs"):
            shapes = data.shapes_in(x, list(self._shapes()) if self.waits else [])
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
        if options.get("own"):
            return CustomBatches(x, y, weight, size, steps, rng if shuffle else None)
        if not data.is_source(x):
            inputs, targets = self._arrays(x, y, weight, class_weight)
            return data.ArrayBatches(inputs, targets, size, shuffle, rng, steps)
        if self.waits or not hasattr(self, "outputs"):
            batch, x = data.first_batch(x)
            self._as_inputs(data.parts_of(batch)[0])
        shapes, names = self._shapes(), self.output_names
        return data.SourceBatches(x, shapes, names, self.dtype, class_weight, steps, shuffle, rng)

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
        own = self.has_own("test_step")
        if not own:
            self._require_compiled(show_accuracy)
        bar, size = Progbar(None, verbose=2 if verbose == 2 else 1), batch_size or 32
        params = {"verbose": verbose, "epochs": 1, "steps": steps}
        callbacks = CallbackList(listed(callbacks), self, params)
        at_once = self._at_once(size, steps, callbacks)
        options = {"steps": steps, "own": own}
        batches = self._batches(x, y, sample_weight, None, at_once, options)
        whole = own or data.is_source(x)
        count = params["steps"] = len(batches) if whole else -(-batches.n // size)
        logs = self._evaluate(batches, callbacks)
        if verbose:
            bar.update(steps or count, logs, finalize=True)
        if own:
            return logs if return_dict else list(logs.values())
        return logs if return_dict else self._loss_and_metrics(logs)

    def _loss_and_metrics(self, logs: Logs) -> Any:
        """The loss and the metrics after it; the loss itself if there are none."""
        values = [logs[name] for name in self.metrics_names]
        return values if len(values) > 1 else values[0]

    def _evaluate(self, batches: Any, callbacks: CallbackList) -> Logs:
        own = isinstance(batches, CustomBatches)
        network, running = self._at_work(own)
        callbacks.tell("on_test_begin", {})
        for number, (x, targets) in enumerate(batches.epoch(0)):
            callbacks.tell("on_test_batch_begin", number, {})
            loss = network.evaluate(x, targets, [] if own else self.objectives)
            running.add(loss, network.latest)
            logs = running.logs() if callbacks.callbacks else Logs()
            callbacks.tell("on_test_batch_end", number, logs)
        logs = running.logs()
        if not own:
            logs["loss"] += network.penalty()
        callbacks.tell("on_test_end", logs)
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
        callbacks = CallbackList(listed(callbacks), self, {"verbose": verbose})
        bar, size = Progbar(None, verbose=2 if verbose == 2 else 1), batch_size or 32
        own = type(self).predict_step is not StepVerbs.predict_step
        if own or data.is_source(x):
            source = self._batches(x, None, None, None, size, {"steps": steps, "own": own})
            batches, count = (inputs for inputs, _ in source.epoch(0)), len(source)
        else:
            arrays = self._as_inputs(x)
            n = max(len(arrays[0]), 1)
            rows = size if callbacks.callbacks else n
            batches = ([a[i : i + rows] for a in arrays] for i in range(0, n, rows))
            count = -(-n // size)
        callbacks.tell("on_predict_begin", {})
        parts = []
        for number, inputs in enumerate(batches):
            callbacks.tell("on_predict_batch_begin", number, {})
            outputs = listed(self.predict_step(inputs)) if own else None
            parts.append(outputs or self.training_network.predict(inputs))
            callbacks.tell("on_predict_batch_end", number, {"outputs": parts[-1][0]})
        several = zip(*parts, strict=True) if len(parts) > 1 else ()
        results = [np.concatenate(each) for each in several] or [np.asarray(y) for y in parts[0]]
        if verbose:
            bar.update(count, finalize=True)
        callbacks.tell("on_predict_end", {})
        return results[0] if len(results) == 1 else results

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
        self._require_compiled()
        inputs, targets = self._arrays(x, y, sample_weight, class_weight)
        network, running = self._at_work(own=False)
        running.add(self._step(network, inputs, targets), network.latest)
        logs = running.logs()
        return logs if return_dict else self._loss_and_metrics(logs)

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
        return {o.log_name(m.name): m.result() for o in self.objectives for m in o.metrics}

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
