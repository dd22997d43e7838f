"""Optimizers under Keras' names and arguments; the rules are those of digits.nn."""

from typing import Any

import numpy as np

from digits.keras.legacy import ask_for, note
from digits.keras.optimizers import less_common as more
from digits.keras.optimizers import schedules
from digits.keras.serialization import Configured, argument_names, from_table, plain, with_side
from digits.keras.tape import GradientTape
from digits.keras.tensor import tensor
from digits.nn import optimizers as nn
from digits.nn.parameters import Parameters
from digits.validation import check

LOWER_TODAY = {"adadelta": 1.0, "adagrad": 0.01}
"""Learning rates that are 0.001 unless told otherwise, and what they were in old scripts."""
AT_DEFAULT = ("amsgrad", "centered", "ema_overwrite_frequency", "loss_scale_factor")
WITHOUT_EFFECT = ("jit_compile", "is_legacy_optimizer", "use_locking", "schedule_decay")


class Rate(float):
    """A learning rate: a number that can be asked for `.numpy()` and told to be another."""

    optimizer: "Optimizer"

    def numpy(self) -> Any:
        return np.float32(self)

    value = read_value = numpy

    def assign(self, value: Any) -> None:
        self.optimizer.learning_rate = value


class Optimizer(nn.Optimizer, Configured):
    """Keras' side of an optimizer; the other base of every class here does the work."""

    module = "keras.optimizers"

    def __init__(self, *args: Any, **options: Any) -> None:
        self.name = options.pop("name", None) or type(self).__name__.lower()
        self.slots_of: dict[tuple[Any, ...], Any] = {}
        """What is remembered of each group of variables that had a step together."""
        self.restored: list[Any] = []
        """The same out of a file, for groups that have not had a step since."""
        if "lr" in options:
            note("lr= is called learning_rate= today")
            options.setdefault("learning_rate", options.pop("lr"))
        if not args and "learning_rate" not in options and self.name in LOWER_TODAY:
            before = LOWER_TODAY[self.name]
            note(f"{type(self).__name__}() learns at 0.001 today; until Keras 2.3 it was {before}")
        decay = options.pop("decay", 0.0)
        self.clipvalue = options.pop("clipvalue", None)
        for option in (*AT_DEFAULT, "gradient_accumulation_steps"):
            ask_for(
                options.pop(option, None), f"{option}= of {type(self).__name__}", "leave it out"
            )
        options = {
            name: value
            for name, value in options.items()
            if value is not None and name not in WITHOUT_EFFECT
        }
        for name in ("learning_rate", "weight_decay"):
            if isinstance(options.get(name), dict):
                options[name] = schedules.deserialize(options[name])
        try:
            super().__init__(*args, **options)
        except TypeError as error:
            raise TypeError(f"{type(self).__name__}: {error}") from None
        if decay:
            note("decay= is called learning_rate=InverseTimeDecay(...) today")
            self.learning_rate = schedules.InverseTimeDecay(float(self._rate), 1, decay)

    @property
    def learning_rate(self) -> Any:
        rate = Rate(self.current_learning_rate())
        rate.optimizer = self
        return rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        self._rate: Any = value if callable(value) else float(np.asarray(value))

    @property
    def lr(self) -> Any:
        note("optimizer.lr is called optimizer.learning_rate today")
        return self.learning_rate

    @lr.setter
    def lr(self, value: Any) -> None:
        note("optimizer.lr is called optimizer.learning_rate today")
        self.learning_rate = value

    def current_learning_rate(self) -> float:
        return float(self._rate(self.iterations) if callable(self._rate) else self._rate)

    def gradient_scale(self) -> float:
        return super().gradient_scale() if self.clipvalue is None else 1.0

    def update(self, params: Parameters, grads: Parameters, scale: float = 1.0) -> None:
        if self.clipvalue is not None:
            np.clip(grads.flat, -self.clipvalue, self.clipvalue, out=grads.flat)
        super().update(params, grads, scale)

    # --- for a loop of one's own ------------------------------------------------------------------

    def apply_gradients(self, grads_and_vars: Any, *_: Any, **__: Any) -> None:
        """One step for variables, each of which comes with its gradient."""
        pairs = [(gradient, v) for gradient, v in grads_and_vars if gradient is not None]
        advice = "compute the loss within the tape, from outputs of the model"
        check(pairs, "a gradient for at least one variable", None, advice)
        variables = tuple(v for _, v in pairs)
        shapes = {f"gradient {i}, of {v.path}": v.shape for i, v in enumerate(variables)}
        params, grads = Parameters(shapes, variables[0].dtype), Parameters(shapes)
        for name, (gradient, v) in zip(shapes, pairs, strict=True):
            params[name], grads[name] = v.array, np.asarray(gradient)
        slots, self.slots = self.slots, self._slots_for(variables)
        self.update(params, grads)
        self.slots_of[variables], self.slots = self.slots, slots
        for name, v in zip(shapes, variables, strict=True):
            v.assign(params[name] if v.constraint is None else v.constraint(tensor(params[name])))

    def _slots_for(self, variables: tuple[Any, ...]) -> Any:
        if variables not in self.slots_of and self.restored:
            return self.restored.pop(0)
        return self.slots_of.get(variables, {})

    def get_state(self) -> dict[str, Any]:
        """All that the optimizer remembers, as arrays by name."""
        groups = enumerate(self.slots_of.values())
        slots = {f"{i}/{name}": slot for i, group in groups for name, slot in group.items()}
        return {"iterations": np.array(self.iterations), **slots}

    def set_state(self, state: dict[str, Any]) -> None:
        """Remember that: groups of variables, in the order in which they have their steps."""
        self.iterations = int(state["iterations"])
        groups: dict[str, Any] = {}
        for key, slot in state.items():
            number, _, name = key.partition("/")
            if name:
                groups.setdefault(number, {})[name] = slot
        self.slots_of.clear()
        self.restored = list(groups.values())

    def memory(self, params: Parameters, order: list[int]) -> list[Any]:
        """What the optimizer remembers of a training by `fit`, as Keras' files have it: the number
        of steps, the rate, and the slots of each of the weights in that order.
        """
        slots = (part * factor for part, factor in self._parts(params, order))
        rate = np.float32(self.current_learning_rate())
        known = [np.int64(self.iterations), rate, *slots]
        if isinstance(self, more.Nadam):
            known.append(np.float32(self._product_of_mu(self.iterations)))
        return known

    def remember(self, memory: list[Any], params: Parameters, order: list[int]) -> None:
        """Take that back, but for what another rule, or Keras 2, has written."""
        parts = self._parts(params, order)
        slots = memory[2 : 2 + len(parts)]
        if [array.shape for array in slots] == [part.shape for part, _ in parts]:
            self.iterations = int(memory[0])
            for (part, factor), array in zip(parts, slots, strict=True):
                part[...] = array / factor

    def _parts(self, params: Parameters, order: list[int]) -> list[tuple[Any, float]]:
        """The slots of each weight, in the order of Keras, and what they are times in its files."""
        self.slots, found = self.slots or self.empty_slots(params), []
        kind, ends = type(self).__name__, np.cumsum([w.size for w in params.values()])
        # Adam's slots are sums here, averages in Keras.
        rates = {"m": "beta_1", "v": "beta_2"} if kind in ("Adam", "AdamW") else {}
        for name, slot in self.slots.items():
            factor = 1 - vars(self)[rates[name]] if name in rates else 1.0
            pairs = zip(np.split(slot, ends[:-1]), params.values(), strict=True)
            parts = [part.reshape(w.shape) for part, w in pairs]
            found.append([(parts[i], factor) for i in order])
        groups = found if kind == "RMSprop" else zip(*found, strict=True)
        return [part for group in groups for part in group]

    def apply(self, grads: Any, trainable_variables: Any = None) -> None:
        """The same, as Keras 3 calls it."""
        self.apply_gradients(zip(grads, trainable_variables, strict=True))

    def minimize(self, loss: Any, var_list: Any, tape: Any = None, **_: Any) -> None:
        """One step that makes a loss smaller: a tensor of a tape, or a function that gives it."""
        recorded = tape or GradientTape()
        if callable(loss):
            with recorded:
                loss = loss()
        variables = list(var_list() if callable(var_list) else var_list)
        self.apply_gradients(zip(recorded.gradient(loss, variables), variables, strict=True))

    def get_config(self) -> dict[str, Any]:
        """The arguments that make this optimizer again, as plain values."""
        work = next(kind for kind in type(self).__mro__ if kind.__module__.startswith("digits.nn."))
        names = dict.fromkeys(
            [*argument_names(work), "weight_decay", "clipnorm", "global_clipnorm"]
        )
        config = {"name": self.name, "clipvalue": self.clipvalue}
        config |= {name: plain(getattr(self, name)) for name in names}
        return config | {
            "learning_rate": plain(self._rate),
            "weight_decay": self.weight_decay or None,
        }

    def __repr__(self) -> str:
        return f"{type(self).__name__}(learning_rate={self._rate!r})"


SGD = with_side(Optimizer, nn.SGD)
RMSprop = with_side(Optimizer, nn.RMSprop)
Adagrad = with_side(Optimizer, nn.Adagrad)
Adadelta = with_side(Optimizer, more.Adadelta)
Adam = with_side(Optimizer, nn.Adam)
AdamW = with_side(Optimizer, nn.AdamW)
Adamax = with_side(Optimizer, more.Adamax)
Nadam = with_side(Optimizer, more.Nadam)
Ftrl = with_side(Optimizer, more.Ftrl)

sgd, adam, rmsprop, nadam = SGD, Adam, RMSprop, Nadam  # Keras 1 and 2
adagrad, adadelta, adamax = Adagrad, Adadelta, Adamax


def get(identifier: Any) -> Any:
    """An optimizer by name, class or configuration."""
    if isinstance(identifier, nn.Optimizer) and not isinstance(identifier, Optimizer):
        return identifier  # one of digits.nn
    found = from_table(identifier, globals(), Optimizer, "an optimizer")
    check(isinstance(found, Optimizer), "an optimizer such as Adam()", identifier)
    return found


serialize, deserialize = plain, get
