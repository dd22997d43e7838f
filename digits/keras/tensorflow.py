"""The names of TensorFlow, besides tf.keras, that scripts for MNIST use, on NumPy's arrays."""

import contextlib
import logging as python_logging
import sys
import time
from types import SimpleNamespace
from typing import Any, NamedTuple, Self

import numpy as np

from digits import keras
from digits.keras import activations, nn, ops
from digits.keras import random as draws
from digits.keras.checkpoints import Checkpoint, CheckpointManager, latest_checkpoint
from digits.keras.custom import Module
from digits.keras.dataset import Dataset
from digits.keras.dispatch import as_tensor, of_tensors
from digits.keras.graph import KerasTensor
from digits.keras.images import image, io
from digits.keras.legacy import note
from digits.keras.random import as_op, of_op, set_seed
from digits.keras.shape import TensorShape, TensorSpec
from digits.keras.tape import GradientTape, custom_gradient
from digits.keras.tensor import Tensor, tensor
from digits.keras.variable import Variable
from digits.validation import check

# fmt: off
__all__ = [
    "GradientTape", "Module", "TensorShape", "TensorSpec", "Variable", "custom_gradient", "image",
    "io", "nn",
]
# fmt: on
__version__ = "2.21.0"
newaxis = None
float16, float32, float64 = np.float16, np.float32, np.float64
int8, int16, int32, int64, uint8 = np.int8, np.int16, np.int32, np.int64, np.uint8
bool, string = np.bool_, np.str_
pi = np.pi


optimizers, losses, metrics = keras.optimizers, keras.losses, keras.metrics
initializers = keras.initializers


def print(*values: Any, output_stream: Any = None, end: str = "\n", **_: Any) -> None:
    """Print values, to stderr as TensorFlow does, or where `output_stream` says."""
    stream = sys.stdout if output_stream is sys.stdout else sys.stderr
    stream.write(
        " ".join(str(np.asarray(v)) if isinstance(v, Tensor) else str(v) for v in values) + end
    )


def function(func: Any = None, **_: Any) -> Any:
    """A decorator that changes nothing: every function runs at once."""
    return func if func is not None else lambda wrapped: wrapped


class Quiet:
    """Settings that mean nothing here: whatever is asked for takes anything and does nothing."""

    def __init__(self, **names: Any) -> None:
        self.__dict__.update(names)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Quiet()

    def __call__(self, *_: Any, **__: Any) -> Any:
        return Quiet()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to close."""


def _no_devices(*_: Any, **__: Any) -> list[Any]:
    return []


def executing_eagerly() -> Any:
    return True


def split(value: Any, num_or_size_splits: Any, axis: int = 0, *_: Any, **__: Any) -> list[Tensor]:
    """So many equal parts, or parts of these sizes."""
    x, sizes = np.moveaxis(tensor(value), axis, 0), num_or_size_splits
    if np.ndim(sizes) == 0:
        sizes = [len(x) // int(sizes)] * int(sizes)
    ends = np.cumsum(sizes)
    return [
        np.moveaxis(x[end - size : end], 0, axis) for size, end in zip(sizes, ends, strict=True)
    ]


def range(start: Any, limit: Any = None, delta: Any = 1, dtype: Any = None, **_: Any) -> Tensor:
    first, end = (0, start) if limit is None else (start, limit)
    made = np.arange(first, end, delta)
    return as_tensor(made, (first, end, delta)) if dtype is None else tensor(made, dtype)


def numpy_function(func: Any, inp: Any, Tout: Any = None, **_: Any) -> Any:
    """func(*inp): here every function is one of arrays."""
    found = func(*inp)
    return tuple(map(tensor, found)) if isinstance(found, tuple | list) else tensor(found)


py_function = numpy_function


argmax, argmin = ops.index_of(np.argmax, 0), ops.index_of(np.argmin, 0)


@of_tensors
def cumsum(x: Any, axis: int = 0, exclusive: Any = False, reverse: Any = False) -> Any:
    """Sums of all numbers up to each; without itself, or from the end."""
    given = np.flip(x, axis) if reverse else x
    sums = np.cumsum(given, axis)
    sums = np.subtract(sums, given) if exclusive else sums
    return np.flip(sums, axis) if reverse else sums


@of_tensors
def one_hot(
    indices: Any,
    depth: Any,
    on_value: Any = None,
    off_value: Any = None,
    axis: int | None = None,
    dtype: Any = None,
    name: Any = None,
) -> Tensor:
    """on_value in the place of each index, off_value elsewhere."""
    on, off = (1 if on_value is None else on_value), (0 if off_value is None else off_value)
    if dtype is None:
        given = [value for value in (on_value, off_value) if value is not None]
        dtype = tensor(given[0]).dtype if given else np.float32
    found = ops.one_hot(indices, depth, axis=-1 if axis is None else axis, dtype=np.bool_)
    return tensor(np.where(found, on, off), dtype)


@of_tensors
def diag(diagonal: Any, k: int = 0) -> Any:
    """A matrix with these numbers on its diagonal, for each row of a batch."""
    check(k == 0, "k=0, the main diagonal", k)
    return np.expand_dims(diagonal, -1) * np.eye(np.shape(diagonal)[-1], dtype=np.bool_)


class Unique(NamedTuple):
    """The numbers in the order they first come in, and the index of each in them."""

    y: Tensor
    idx: Tensor


def unique(x: Any, out_idx: Any = int32, name: Any = None) -> Unique:
    """Every number of x once."""
    x = tensor(x).array
    values, first, indices = np.unique(x, return_index=True, return_inverse=True)
    order = np.argsort(first)
    return Unique(tensor(values[order]), tensor(np.argsort(order)[indices], out_idx))


# --- blocks, choices and loops --------------------------------------------------------------------


@contextlib.contextmanager
def name_scope(name: Any = None, *_: Any, **__: Any) -> Any:
    """A block like any other: names, and devices, mean nothing here."""
    yield name


device = init_scope = control_dependencies = name_scope


def group(*_: Any, **__: Any) -> None:
    """Nothing to do: what is given has run already."""


def ensure_shape(x: Any, shape: Any, name: Any = None) -> Any:
    """x itself; ValueError if it has another shape, None being any size."""
    sizes = tuple(x.shape)
    fits = len(sizes) == len(shape) and all(
        None in pair or pair[0] == pair[1] for pair in zip(sizes, shape, strict=True)
    )
    check(fits, f"a tensor of shape {tuple(shape)}", sizes)
    return x


def timestamp(name: Any = None) -> Tensor:
    """Seconds since 1970."""
    return tensor(time.time(), float64)


# --- namespaces -----------------------------------------------------------------------------------


math = linalg = sys.modules[__name__]
confusion_matrix = ops.confusion_matrix
sigmoid, tanh = activations.sigmoid, activations.tanh
set_random_seed = set_seed


def _shuffle(value: Any, seed: Any = None, name: Any = None) -> Tensor:
    """The rows in another order."""
    return draws.shuffle(value, seed=of_op(seed))


random_normal, random_uniform = as_op(draws.normal), as_op(draws.uniform)
truncated_normal = as_op(draws.truncated_normal)
random = SimpleNamespace(
    set_seed=set_seed,
    set_random_seed=set_seed,
    normal=random_normal,
    uniform=random_uniform,
    shuffle=_shuffle,
    truncated_normal=truncated_normal,
    categorical=as_op(draws.categorical),
    gamma=as_op(draws.gamma),
)
random_shuffle = _shuffle

_devices = {"list_physical_devices": _no_devices, "list_logical_devices": _no_devices}
config = Quiet(**_devices, experimental=Quiet(**_devices))
logging = Quiet(DEBUG=10, INFO=20, WARN=30, ERROR=40, FATAL=50)
autograph = summary = profiler = Quiet()
UnconnectedGradients = SimpleNamespace(NONE="none", ZERO="zero")


def check_numerics(tensor: Any, message: str = "", name: Any = None) -> Any:
    """The tensor itself; ValueError if a number of it is nan or inf."""
    if not isinstance(tensor, KerasTensor):
        check(np.isfinite(np.asarray(tensor)).all(), f"finite numbers: {message}", tensor)
    return tensor


def _assertion(expected: str, holds: Any) -> Any:
    """A function that raises ValueError for arguments of which `holds` is not true everywhere."""

    def call(x: Any, *args: Any, message: str | None = None, **kwargs: Any) -> None:
        given = [x, *args[: holds.__code__.co_argcount - 1]]
        given += [kwargs[key] for key in ("y", "rank") if key in kwargs]
        if not any(isinstance(part, KerasTensor) for part in given):
            given = [np.asarray(part) for part in given]
            check(np.all(holds(*given)), message or expected, ", ".join(map(str, given)))

    return call


_asserts = {
    "assert_equal": _assertion("equal numbers", lambda x, y: x == y),
    "assert_none_equal": _assertion("other numbers", lambda x, y: x != y),
    "assert_less": _assertion("x < y", lambda x, y: x < y),
    "assert_less_equal": _assertion("x <= y", lambda x, y: x <= y),
    "assert_greater": _assertion("x > y", lambda x, y: x > y),
    "assert_greater_equal": _assertion("x >= y", lambda x, y: x >= y),
    "assert_near": _assertion("x near y", lambda x, y: np.isclose(x, y, 1e-5, 1e-5)),
    "assert_positive": _assertion("numbers above 0", lambda x: x > 0),
    "assert_negative": _assertion("numbers below 0", lambda x: x < 0),
    "assert_non_negative": _assertion("numbers of 0 or more", lambda x: x >= 0),
    "assert_non_positive": _assertion("numbers of 0 or less", lambda x: x <= 0),
    "assert_rank": _assertion("as many axes as said", lambda x, rank: x.ndim == rank),
    "Assert": _assertion("what is asserted", lambda condition: condition),
}
debugging = Quiet(check_numerics=check_numerics, assert_all_finite=check_numerics, **_asserts)
test = SimpleNamespace(
    is_gpu_available=lambda *_, **__: False,
    is_built_with_cuda=lambda: False,
    gpu_device_name=lambda: "",
)
python = SimpleNamespace(
    client=SimpleNamespace(device_lib=SimpleNamespace(list_local_devices=_no_devices)),
    framework=SimpleNamespace(
        ops=SimpleNamespace(
            reset_default_graph=keras.backend.clear_session, disable_eager_execution=Quiet()
        )
    ),
)
version = SimpleNamespace(VERSION=__version__)
sysconfig = SimpleNamespace(get_build_info=dict)
errors = SimpleNamespace(
    InvalidArgumentError=ValueError, NotFoundError=FileNotFoundError, OutOfRangeError=StopIteration
)
data = SimpleNamespace(
    Dataset=Dataset,
    Options=Quiet,
    AUTOTUNE=-1,
    experimental=SimpleNamespace(AUTOTUNE=-1, cardinality=Dataset.cardinality),
)


def get_logger() -> Any:
    return python_logging.getLogger("tensorflow")


class _Strategy:
    """One processor as a strategy."""

    num_replicas_in_sync = 1

    def __init__(self, *_: Any, **__: Any) -> None:
        note("tf.distribute has no effect: a script trains in one process")

    def scope(self) -> Any:
        return contextlib.nullcontext()


def _no_tpu(*_: Any, **__: Any) -> Any:
    """What scripts catch, to go on with what is there."""
    raise ValueError("expected a TPU; there is none")


distribute = SimpleNamespace(
    cluster_resolver=SimpleNamespace(TPUClusterResolver=_no_tpu),
    MirroredStrategy=_Strategy,
    OneDeviceStrategy=_Strategy,
    get_strategy=_Strategy,
)


# --- TensorFlow 1, where lines ran in a session ---------------------------------------------------


class Session(Quiet):
    """A session: what it is to run has been computed already."""

    def __init__(self, *_: Any, **__: Any) -> None:
        note("tf.Session is not needed today: every line computes at once")

    def run(self, fetches: Any, feed_dict: Any = None, **_: Any) -> Any:
        if isinstance(fetches, list | tuple):
            return type(fetches)(self.run(fetch) for fetch in fetches)
        return fetches.numpy() if hasattr(fetches, "numpy") else fetches


def get_variable(
    name: str, shape: Any = None, dtype: Any = None, initializer: Any = None, **_: Any
) -> Variable:
    if initializer is None or callable(initializer):
        initializer = (initializer or keras.initializers.GlorotUniform())(shape)
    return Variable(initializer, dtype=dtype)


InteractiveSession = Session


train = SimpleNamespace(
    AdamOptimizer=optimizers.Adam,
    AdagradOptimizer=optimizers.Adagrad,
    AdadeltaOptimizer=optimizers.Adadelta,
    RMSPropOptimizer=optimizers.RMSprop,
    GradientDescentOptimizer=optimizers.SGD,
    MomentumOptimizer=optimizers.SGD,
    latest_checkpoint=latest_checkpoint,
    Checkpoint=Checkpoint,
    CheckpointManager=CheckpointManager,
)
global_variables_initializer = initialize_all_variables = Quiet()
ConfigProto = GPUOptions = Quiet
disable_eager_execution = enable_eager_execution = disable_v2_behavior = Quiet()
reset_default_graph = keras.backend.clear_session
compat = SimpleNamespace()
compat.v1 = compat.v2 = sys.modules[__name__]


def __getattr__(name: str) -> Any:
    if name.endswith("_initializer"):
        return getattr(initializers, name.removesuffix("_initializer"))
    return _asserts[name] if name in _asserts else getattr(ops, name)
