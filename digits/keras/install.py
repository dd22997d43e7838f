"""Serves `keras`, `tensorflow` and `tensorflow_datasets` from this library: whoever imports them
gets the names of digits.keras, under the paths of Keras 1, 2 and 3. A name that is not there is
refused by its full name, with what to use instead.
"""

import importlib
import importlib.abc
import importlib.machinery
import os
import re
import sys
from collections.abc import Sequence
from types import ModuleType, SimpleNamespace
from typing import Any

from digits.keras.absent import COMPANIONS, Absent, is_known, message, stand_in
from digits.keras.legacy import note

ROOTS = {
    "keras": "digits.keras",
    "keras_core": "digits.keras",
    "tensorflow": "digits.keras.tensorflow",
    "tensorflow_datasets": "digits.keras.tensorflow_datasets",
    "tf_keras": "digits.keras",
}
"""What is served, and from where."""

KERAS_PATHS = re.compile(
    r"^(tf_keras|keras_core|keras\.(src|api|_tf_keras)(\._v\d)?(\.keras)?|tensorflow_core\.keras"
    r"|tensorflow\.(compat\.v\d\.|python\.|contrib\.|_api\.v\d\.)?keras"
    r"(\.(api|src|_tf_keras)(\._v\d)?(\.keras)?)?)(?=\.|$)"
)
"""Where Keras has been found over the years."""

LAYER_FILES = (
    "core|convolutional|pooling|normalization|advanced_activations|activation|activations|merge|"
    "merging|noise|local|reshaping|regularization|attention|recurrent|wrappers|embeddings|rnn|"
    "convolutional_recurrent|experimental|preprocessing|normalization_v2|serialization"
)
UTILS_FILES = (
    "np_utils|vis_utils|generic_utils|data_utils|visualize_util|layer_utils|io_utils|conv_utils|"
    "training_utils|tf_utils|all_utils|losses_utils|numerical_utils|model_visualization"
)
MOVED = (
    (rf"keras\.layers\.({LAYER_FILES})(\.[a-z_0-9]+)*", "keras.layers"),
    (r"keras\.legacy\.layers", "keras.layers"),
    (r"keras\.engine\.(topology|base_layer|input_layer|node|base_layer_v1)", "keras.layers"),
    (r"keras\.engine\.(training|sequential|functional|network|saving)", "keras.models"),
    (r"keras\.engine", "keras"),
    (r"keras\.models\.(sequential|functional|model)", "keras.models"),
    (r"keras\.utils\.image_utils", "keras.preprocessing.image"),
    (r"keras\.preprocessing\.image_dataset", "keras.preprocessing.image"),
    (rf"keras\.utils\.({UTILS_FILES})", "keras.utils"),
    (r"keras\.optimizers\.schedules\.[a-z_]+", "keras.optimizers.schedules"),
    (r"keras\.optimizers\.(legacy|experimental|optimizer_v\d)(\.[a-z_]+)*", "keras.optimizers"),
    (r"keras\.(optimizer_v\d|legacy\.optimizers)(\.[a-z_]+)*", "keras.optimizers"),
    (r"keras\.objectives", "keras.losses"),
    (r"keras\.wrappers\.scikit_learn", "keras.wrappers"),
    (r"keras\.backend\.(tensorflow_backend|theano_backend|common)", "keras.backend"),
    (r"keras\.callbacks\.(callbacks|legacy|experimental)", "keras.callbacks"),
    (r"keras\.mixed_precision\.(experimental|policy)", "keras.mixed_precision"),
    (r"keras\.saving\.[a-z_]+(\.[a-z_]+)*", "keras.models"),
    (r"keras\.initializations", "keras.initializers"),
)
"""Paths of former versions, and those of today."""


class Served(ModuleType):
    """A module under another name; it looks its names up in `target`."""

    def __init__(self, name: str, target: Any) -> None:
        super().__init__(name, getattr(target, "__doc__", None))
        self.__dict__["_target"] = target
        self.__path__: list[str] = []
        self.__version__ = getattr(target, "__version__", "")
        self.__all__ = [n for n in getattr(target, "__all__", dir(target)) if not n.startswith("_")]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        try:
            value = getattr(self._target, name)
        except AttributeError:
            path = f"{self.__name__}.{name}"
            if any(re.fullmatch(old, KERAS_PATHS.sub("keras", path)) for old, _ in MOVED):
                return importlib.import_module(path)
            return stand_in(self.__name__, name, self._target)
        return importlib.import_module(f"{self.__name__}.{name}") if is_module(value) else value

    def __dir__(self) -> list[str]:
        return sorted({*dir(self._target), *self.__dict__})


def is_module(value: Any) -> bool:
    """Whether a value has names of its own to import."""
    return isinstance(value, ModuleType | SimpleNamespace)


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds what is served before Python looks for them on the disk."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The module of that name, if it is one of those that are served."""
        root = fullname.partition(".")[0]
        if root in COMPANIONS:
            text = f"{root} is not there in digits.keras: {COMPANIONS[root]}"
            raise ModuleNotFoundError(text, name=root)
        if root not in ROOTS:
            return None
        found = resolve(fullname)
        spec = importlib.machinery.ModuleSpec(
            fullname, self, origin="digits.keras", is_package=True
        )
        spec.loader_state = found
        return spec

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return Served(spec.name, spec.loader_state)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing to run."""


def resolve(fullname: str) -> Any:
    """What a path stands for; ImportError, with advice, if there is no such thing."""
    path = _path_of_today(fullname)
    root, *names = path.split(".")
    target: Any = importlib.import_module(ROOTS[root])
    walked = root
    for name in names:
        try:
            value = getattr(target, name)
        except AttributeError:
            text = message(walked, name, target)
            if not is_known(name):
                raise ImportError(text, name=fullname) from None
            value = Absent(text)
        if not is_module(value) and not isinstance(value, Absent):
            raise ImportError(f"{walked}.{name} is no module: write `from {walked} import {name}`")
        target, walked = value, f"{walked}.{name}"
    return target


def _path_of_today(fullname: str) -> str:
    """The path without the detours of former versions; a line says so."""
    if fullname in ("tensorflow.python", "tensorflow.contrib", "tensorflow._api"):
        return "tensorflow"
    path = KERAS_PATHS.sub("keras", fullname)
    parent, _, name = path.rpartition(".")
    for old, new in MOVED:
        if re.fullmatch(old, path):
            note(f"{fullname} is called {new} today")
            return new
        if re.fullmatch(old, parent):  # a name that Python could not find in a module that moved
            return f"{new}.{name}"
    return path


def install() -> None:
    """Serve `keras`, `tensorflow` and `tensorflow_datasets` from here on. Windows of
    matplotlib become pictures in memory where there is no display.

    Raises RuntimeError if the real ones have been imported already.
    """
    loaded = [n for n in ROOTS if n in sys.modules and not isinstance(sys.modules[n], Served)]
    if loaded:
        raise RuntimeError(
            f"expected a Python in which {' and '.join(loaded)} is not imported yet: call "
            "digits.keras.install() first"
        )
    if not any(isinstance(finder, Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, Finder())
    if sys.platform.startswith("linux") and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    ):
        os.environ.setdefault("MPLBACKEND", "Agg")


def uninstall() -> None:
    """Let Python find `keras` and the like where they are, if they are."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, Finder)]
    for name in list(sys.modules):
        if isinstance(sys.modules[name], Served):
            del sys.modules[name]
