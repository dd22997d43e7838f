"""Settings that hold for the whole program, and the counters behind names such as dense_1."""

import re
from typing import Any

from digits.keras.legacy import note
from digits.validation import check

_settings: dict[str, Any] = {
    "floatx": "float32",
    "epsilon": 1e-7,
    "image_data_format": "channels_last",
}
_names: dict[str, int] = {}


def backend() -> str:
    """The name of what computes."""
    return "numpy"


def floatx() -> str:
    """The dtype of weights: "float32" or "float64"."""
    return str(_settings["floatx"])


def set_floatx(dtype: str) -> None:
    """Make new layers float32 or float64; float16 is taken for float32."""
    if dtype == "float16":
        note("float16 is taken for float32: NumPy computes no faster in it")
        dtype = "float32"
    check(dtype in ("float32", "float64"), "'float32' or 'float64'", dtype)
    _settings["floatx"] = dtype


def epsilon() -> float:
    """What is added so that nothing is divided by 0."""
    return float(_settings["epsilon"])


def set_epsilon(value: float) -> None:
    _settings["epsilon"] = value


def image_data_format() -> str:
    """The order of axes in images: "channels_last" or "channels_first"."""
    return str(_settings["image_data_format"])


def set_image_data_format(data_format: str) -> None:
    """Change the order of axes for layers that are not told one."""
    _settings["image_data_format"] = standard_data_format(data_format)


def standard_data_format(data_format: str | None) -> str:
    """One of the two names of today, the setting for None; Keras 1 called them "tf" and "th"."""
    names = {"tf": "channels_last", "th": "channels_first", None: image_data_format()}
    data_format = names.get(data_format, data_format)
    formats = ("channels_last", "channels_first")
    check(data_format in formats, f"data_format {' or '.join(formats)}", data_format)
    return str(data_format)


def snake_case(name: str) -> str:
    """Conv2D -> conv2d, MaxPooling2D -> max_pooling2d, as Keras names layers."""
    name = re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def new_name(kind: str) -> str:
    """dense, dense_1, dense_2, ...: no two alike until `clear_session`."""
    count = _names[kind] = _names.get(kind, -1) + 1
    return kind if count == 0 else f"{kind}_{count}"


def clear_session(free_memory: bool = True) -> None:
    """Start counting names anew; a model keeps its weights as long as somebody holds it."""
    _names.clear()
