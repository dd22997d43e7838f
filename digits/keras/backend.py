"""The old `keras.backend`: settings, values of variables, functions of arrays and of models."""

from typing import Any

import numpy as np

from digits.keras import config, ops
from digits.keras.config import image_data_format, set_image_data_format
from digits.keras.custom import mode_of
from digits.keras.graph import KerasTensor, refuse_to_follow
from digits.keras.legacy import note, renamed
from digits.keras.lookup import look_up
from digits.keras.random import as_op, normal, uniform
from digits.keras.random import truncated_normal as draw_truncated
from digits.keras.tensor import Tensor, tensor
from digits.types import Array

__all__ = ["image_data_format", "set_image_data_format"]


truncated_normal = as_op(draw_truncated)
random_normal, random_uniform = renamed(std="stddev")(as_op(normal)), as_op(uniform)
argmax, argmin = ops.index_of(np.argmax, -1), ops.index_of(np.argmin, -1)


def image_dim_ordering() -> str:
    """The order of axes in images, as Keras 1 called it: "tf" or "th"."""
    note("image_dim_ordering() is called image_data_format() today")
    return "tf" if image_data_format() == "channels_last" else "th"


def set_image_dim_ordering(order: str) -> None:
    """Change the order of axes, as Keras 1 called it: "tf" or "th"."""
    note("set_image_dim_ordering is called set_image_data_format today")
    set_image_data_format(order)


def get_value(x: Any) -> Any:
    note("backend.get_value(x) is written x.numpy() today")
    return x.numpy() if hasattr(x, "numpy") else np.asarray(x)[()]


def set_value(x: Any, value: Any) -> None:
    note("backend.set_value(x, value) is written x.assign(value) today")
    x.assign(value)


def variable(value: Any, dtype: Any = None, name: str | None = None, **_: Any) -> Tensor:
    return tensor(np.array(value), dtype)


def eval(x: Any) -> Any:
    return x.numpy() if hasattr(x, "numpy") else np.asarray(x)


def int_shape(x: Any) -> tuple[int | None, ...]:
    return tuple(x.shape)


def dtype(x: Any) -> str:
    return str(x.dtype)


def is_keras_tensor(x: Any) -> bool:
    return isinstance(x, KerasTensor)


def cast_to_floatx(x: Any) -> Any:
    return np.asarray(x, config.floatx())


def switch(condition: Any, then_expression: Any, else_expression: Any) -> Any:
    """Numbers of one expression where a condition holds, else of another; either may be a function
    that gives them.
    """
    pair = then_expression, else_expression
    return ops.where(condition, *(part() if callable(part) else part for part in pair))


def in_train_phase(x: Any, alt: Any, training: Any = None) -> Any:
    """x in training, else alt; either may be a function that gives it."""
    refuse_to_follow("a choice by the phase")
    chosen = x if mode_of(training, False) else alt
    return chosen() if callable(chosen) else chosen


def update(x: Any, new_x: Any) -> Any:
    return x.assign(new_x)


def ndim(x: Any) -> int:
    return len(x.shape)


def count_params(x: Any) -> int:
    return int(np.prod(x.shape))


def learning_phase() -> int:
    """0: functions of a model compute as it does when it is not trained."""
    return 0


def set_learning_phase(value: Any) -> None:
    note("set_learning_phase has no effect: fit trains, predict does not")


def set_session(_: Any) -> None:
    note("set_session has no effect: there are no sessions")


def function(inputs: Any, outputs: Any, **_: Any) -> Any:
    """The outputs of some tensors of a model as a function of its inputs."""
    tensors = [t for t in _listed(inputs) if isinstance(t, KerasTensor)]
    model = look_up("model.Model")(tensors, _listed(outputs))

    def call(values: Any) -> Any:
        arrays = [v for v in _listed(values) if np.ndim(v) > 0][: len(tensors)]
        results: list[Array] = _listed(model.predict(arrays, verbose=0))
        return results if isinstance(outputs, list | tuple) else results[0]

    return call


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def __getattr__(name: str) -> Any:
    if name in ("dropout", "bias_add"):
        return look_up(f"nn.{name}")
    return getattr(config if name in vars(config) else ops, name)
