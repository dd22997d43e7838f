"""The arguments of layers as they are kept: names turned into what they stand for, one number for
height and width into two, shapes without the batch.
"""

from typing import Any

import numpy as np

from digits.keras import activations, config, constraints, initializers, regularizers
from digits.keras.legacy import ask_for
from digits.keras.serialization import argument_names
from digits.types import Shape
from digits.validation import check

ONLY_AT_DEFAULT = {
    "groups": "use several layers and Concatenate",
    "dilation_rate": "use strides or pooling",
    "output_padding": "use padding='same'",
    "sparse": "give arrays",
    "ragged": "give arrays of one shape",
    "return_state": "the last state is the output; of all times, with return_sequences=True",
    "stateful": "every state begins at 0; put all steps into one sequence",
    "initial_state": "every state begins at 0",
    "mask": "give sequences of one length",
    "time_major": "give arrays (n, times, features)",
    **dict.fromkeys(
        (
            *("noise_shape", "renorm", "renorm_clipping"),
            *("attention_axes", "flash_attention", "output_shape", "rms_scaling"),
            *("virtual_batch_size", "adjustment", "quantization_config", "lora_rank"),
            *("lora_alpha", "optional"),
        ),
        "leave it out",
    ),
}
"""Arguments that are taken at their default only, and what to do instead."""
WITHOUT_EFFECT = (
    *("implementation", "unroll", "renorm_momentum", "tensor", "type_spec", "autocast"),
    *("fused", "synchronized", "use_cudnn", "zero_output_for_mask"),
)


def sizes_of(shape: Any) -> Shape:
    """The shape of one sample, from a number, a list or a tuple."""
    sizes = tuple(shape) if isinstance(shape, tuple | list) else (shape,)
    whole = all(isinstance(size, int | np.integer) and size > 0 for size in sizes)
    check(whole, "a shape of whole numbers above 0, such as (28, 28, 1)", shape)
    return tuple(map(int, sizes))


def dtype_name(dtype: Any) -> str:
    """The dtype of a layer's weights: float32, or float64 where that is asked for."""
    if isinstance(dtype, dict):
        dtype = dtype.get("config", {}).get("name")
    name = getattr(dtype, "name", dtype) or config.floatx()
    return "float64" if str(name) == "float64" else config.floatx()


def kept(name: str, value: Any, rank: int = 2) -> Any:
    """An argument as a layer keeps it: a name turned into the object that it stands for, one number
    for height and width into two (for rank 1, the length, into a tuple of one).
    """
    if name.endswith("_initializer"):
        return initializers.get(value)
    if name.endswith("_regularizer"):
        return regularizers.get(value)
    if name in ("activation", "recurrent_activation"):
        return activations.name_of(value)
    if name in ("units", "filters"):
        number = int(value) if isinstance(value, str) and value.isdigit() else value
        good = not isinstance(number, str) and number >= 1
        check(good, f"a number of {name} above 0", value)
        return int(number)
    if name in ("kernel_size", "pool_size", "strides", "size") and value is not None:
        return both(value) if rank == 2 else (int(np.ravel(value)[0]),)
    return value


def both(value: Any) -> tuple[int, int]:
    """One number for height and width, or one each."""
    first, second = value if isinstance(value, tuple | list) else (value, value)
    return int(first), int(second)


def take_options(layer: Any, options: dict[str, Any]) -> None:
    """Read the arguments that every layer has; refuse those that none has."""
    shape = options.pop("input_shape", None)
    for batched in ("batch_input_shape", "batch_shape"):
        if options.get(batched) is not None:
            shape = options[batched][1:]
        options.pop(batched, None)
    length, size = options.pop("input_length", None), options.pop("input_dim", None)
    shape = tuple(n for n in (length, size) if n is not None) or shape
    several = isinstance(shape, tuple | list)
    if shape is not None and not (several and None in shape):  # else the first data tell it
        layer.declared_shape = sizes_of(shape)
    layer.first_weights = options.pop("weights", None)
    layer.activity_regularizer = regularizers.get(options.pop("activity_regularizer", None))
    given = {name: options.pop(name) for name in [*options] if name.endswith("_constraint")}
    layer.constraints = {name: constraints.get(value) for name, value in given.items()}
    layer.dtype = dtype_name(options.pop("dtype", None))
    options.pop("batch_size", None)
    for option, value in options.items():
        if option in ONLY_AT_DEFAULT:
            ask_for(value, f"{option}= of {type(layer).__name__}", ONLY_AT_DEFAULT[option])
        elif option not in WITHOUT_EFFECT:
            names = ", ".join(argument_names(type(layer)))
            raise TypeError(
                f"{type(layer).__name__} has no argument {option}={value!r}; it takes {names}"
            )
