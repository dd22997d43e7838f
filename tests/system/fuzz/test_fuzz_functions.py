"""Arguments that nobody should pass, to every public function: labels that are text, images of no
shape, sizes that are enormous, rates that are no numbers.
"""

import math
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fuzzer import tally
from guard import Guard, guarded, is_ours
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tiny_data import digits

import functions as F
from digits.compute import threads as parallel
from digits.data.non_digits import generate as generate_others
from digits.data.synthetic_digits import generate, strokes
from digits.evaluate import evaluate
from digits.nn import convolution, layers, optimizers
from digits.nn.initializers import get_initializer
from digits.nn.parameters import Parameters
from digits.nn.sequential import Input, Sequential
from digits.training.augmentation import Augmentation, prefetch, step_generator
from digits.types import Array
from mnist_loader import load_mnist
from predict_image import read_digits
from train_net import Data, TrainingError, load_data, train
from two_layer_net import TwoLayerNet

Strategy = st.SearchStrategy[Any]
Draw = Callable[[Strategy], Any]

# --- what is passed -------------------------------------------------------------------------------

STRANGE = st.sampled_from(
    [
        0,
        1,
        -1,
        0.5,
        -0.0,
        1e-320,
        1e30,
        1e300,
        math.inf,
        -math.inf,
        math.nan,
        2**31,
        2**63,
        -(2**70),
    ]
)
WHOLE = st.one_of(st.integers(-3, 40), st.sampled_from([0, 2**31, 2**40, 2**63, 10**30, -(2**70)]))
REAL = st.one_of(WHOLE, st.floats(), STRANGE)
NAMES = st.one_of(
    st.text(max_size=5),
    st.sampled_from(["relu", "softmax", "same", "valid", "zeros", "he_normal", "squared_error"]),
)
ANYTHING = st.one_of(
    REAL, st.booleans(), st.none(), NAMES, st.lists(REAL, max_size=3), st.just(object())
)
PAIRS = st.one_of(WHOLE, st.lists(WHOLE, max_size=3), st.tuples(WHOLE, WHOLE))
SHAPES = st.one_of(
    st.sampled_from([(784,), (28, 28, 1), (4, 5, 2), (1, 1, 1)]),
    st.lists(WHOLE, max_size=4).map(tuple),
)
TYPES = st.one_of(
    hnp.floating_dtypes(),
    hnp.integer_dtypes(),
    hnp.unsigned_integer_dtypes(),
    st.sampled_from([np.dtype(name) for name in ("?", "c16", "U3", "S2", "M8[s]", "O")]),
)


@st.composite
def any_array(draw: Draw) -> Array:
    """An array of any type and shape, small enough to be made."""
    shape = tuple(draw(st.lists(st.sampled_from([0, 1, 2, 4, 10, 28, 784]), max_size=4)))
    if math.prod(shape) > 20_000:
        shape = shape[:1]
    array = np.zeros(shape, draw(TYPES))
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            array.fill(draw(ANYTHING if array.dtype.hasobject else STRANGE))
        except (OverflowError, TypeError, ValueError):
            return array  # zeros, where its type has no such thing
    return array


def floats(*shape: int) -> Strategy:
    """Numbers that are finite, in the shape that is expected or in another one."""
    shapes = st.sampled_from(
        [shape, shape, (), (0,), (3,), (2, 3), (0, 784), (2, 784), (2, 28, 28)]
    )
    kinds, values = st.sampled_from([np.float32, np.float64]), st.sampled_from([0, 0.5, 1, -3, 1e4])
    return st.builds(np.full, shapes, values, kinds)


X = st.one_of(floats(4, 784), floats(4, 784), any_array(), ANYTHING)
Y = st.one_of(floats(4, 10), any_array())
T = st.one_of(
    *(st.just(np.arange(4)), st.just(np.eye(10)[:4]), any_array(), ANYTHING),
    st.lists(st.integers(-1, 11), max_size=5),
)
ROWS = st.one_of(floats(4, 784), any_array()).filter(lambda array: array.ndim > 0)
LABELS = st.one_of(st.just(np.arange(4)), any_array().filter(lambda array: array.ndim > 0))

NETWORKS = st.sampled_from(
    [
        TwoLayerNet(784, 2, 10),
        Sequential([layers.Dense(3), layers.Dense(10)], label_smoothing=0.1),
        Sequential(
            [
                layers.Reshape((28, 28, 1)),
                convolution.Conv2D(1, 5, activation="relu"),
                layers.Flatten(),
                layers.Dense(10),
            ],
            loss="squared_error",
        ),
    ]
)
DIGITS = digits(6, 2, 2)
NOISE = np.random.default_rng(0)

# --- what is called -------------------------------------------------------------------------------


def try_layer(kind: type[layers.Layer], shape: Any, named: dict[str, Any]) -> None:
    network = Sequential([Input(shape), kind(**named), layers.Flatten(), layers.Dense(2)])
    network.loss_and_gradient(np.zeros((1, *network.input_shape), np.float32), [0])
    network.summary()


def try_rule(kind: type[optimizers.Optimizer], named: dict[str, Any]) -> None:
    params = Parameters({"W": (3,)})
    grads = params.zeros_like()
    grads.flat[...] = 1
    kind(**named).update(params, grads)


def try_schedule(kind: Callable[..., Any], step: int, named: dict[str, Any]) -> None:
    float(kind(**named)(step))


def try_training(x: Array, t: Array, batch_size: int, iterations: int) -> None:
    data = Data(x, t, x[:1], t[:1], x[:1], t[:1])
    network, rule = TwoLayerNet(784, 2, 10), optimizers.SGD()
    train(network, data, rule, batch_size=batch_size, iterations=iterations, quiet=True)


def try_stack(loss: str, share: float) -> None:
    network = Sequential([layers.Dense(10)], loss=loss, label_smoothing=share)
    network.loss_and_gradient(DIGITS.x_train, DIGITS.t_train)


LAYERS: dict[type[layers.Layer], dict[str, Strategy]] = {
    layers.Dense: {"units": WHOLE, "activation": NAMES, "kernel_initializer": NAMES},
    layers.Maxout: {"units": WHOLE, "pieces": WHOLE, "kernel_initializer": NAMES},
    layers.Activation: {"activation": NAMES},
    layers.Reshape: {"target_shape": st.lists(WHOLE, max_size=4)},
    layers.Rescaling: {"scale": REAL, "offset": REAL},
    layers.Normalization: {"mean": X, "variance": X},
    layers.Dropout: {"rate": REAL},
    layers.BatchNormalization: {"momentum": REAL, "epsilon": REAL},
    convolution.Conv2D: {
        **{"filters": WHOLE, "kernel_size": PAIRS, "strides": PAIRS, "padding": NAMES},
        **{"activation": NAMES, "connections": st.one_of(st.none(), any_array())},
    },
    convolution.MaxPooling2D: {"pool_size": PAIRS, "strides": PAIRS, "padding": NAMES},
    convolution.AveragePooling2D: {"pool_size": PAIRS, "strides": PAIRS, "padding": NAMES},
    convolution.Subsampling2D: {"pool_size": PAIRS, "activation": NAMES},
    convolution.ZeroPadding2D: {"padding": PAIRS},
}
OPTIONS = {"weight_decay": REAL, "clipnorm": REAL, "global_clipnorm": REAL, "ema_momentum": REAL}
RULES: dict[type[optimizers.Optimizer], dict[str, Strategy]] = {
    optimizers.SGD: {"learning_rate": REAL, "momentum": REAL, "nesterov": st.booleans()},
    optimizers.Adagrad: {"initial_accumulator_value": REAL, "epsilon": REAL},
    optimizers.RMSprop: {"learning_rate": REAL, "rho": REAL, "momentum": REAL, "epsilon": REAL},
    optimizers.Adam: {"learning_rate": REAL, "beta_1": REAL, "beta_2": REAL, "epsilon": REAL},
    optimizers.AdamW: {"learning_rate": REAL, "use_ema": st.booleans()},
}
SCHEDULES: dict[Callable[..., Any], dict[str, Strategy]] = {
    optimizers.PiecewiseConstantDecay: {
        "boundaries": st.lists(WHOLE, max_size=3),
        "values": st.lists(REAL, max_size=4),
    },
    optimizers.ExponentialDecay: {
        **{"initial_learning_rate": REAL, "decay_steps": WHOLE, "decay_rate": REAL},
        "staircase": st.booleans(),
    },
    optimizers.CosineDecay: {
        **{"initial_learning_rate": REAL, "decay_steps": WHOLE, "alpha": REAL},
        **{"warmup_target": st.one_of(st.none(), REAL), "warmup_steps": WHOLE},
    },
    optimizers.OneCycle: {
        **{"max_learning_rate": REAL, "total_steps": WHOLE, "warmup": REAL, "start": REAL},
    },
}
CHANGES = st.dictionaries(st.sampled_from(sorted(Augmentation.__dataclass_fields__)), REAL)


def calls(function: Callable[..., Any], *arguments: Strategy) -> st.SearchStrategy[partial[Any]]:
    return st.builds(partial, st.just(function), *arguments)


# The formulas are arithmetic: of infinities they make NaN, and NumPy may warn.  Networks do not.
CALLS: dict[str, st.SearchStrategy[partial[Any]]] = {
    "to_inputs": calls(F.to_inputs, X),
    "to_one_hot": calls(F.to_one_hot, T),
    "to_labels": calls(F.to_labels, T),
    "cross_entropy_error": calls(F.without_warnings(F.cross_entropy_error), Y, T),
    "softmax_cross_entropy": calls(F.without_warnings(F.softmax_cross_entropy), Y, T),
    "softmax_cross_entropy_with_grad": calls(
        F.without_warnings(F.softmax_cross_entropy_with_grad), Y, T
    ),
    "squared_error": calls(F.without_warnings(F.squared_error), Y, Y),
    "squared_error_grad": calls(F.without_warnings(F.squared_error_grad), Y, Y),
    "accuracy": calls(F.without_warnings(F.accuracy), Y, T),
    "min_max_scale": calls(F.min_max_scale, X),
    "z_score_scale": calls(F.z_score_scale, X),
    "numerical_gradient": calls(lambda x: F.numerical_gradient(lambda _: 0.0, x), X),
    "gradient_check": calls(F.gradient_check, NETWORKS, X, T),
    "a network's predict": calls(lambda network, x: network.predict(x), NETWORKS, X),
    "a network's loss": calls(lambda network, x, t: network.loss(x, t), NETWORKS, X, T),
    "a network's accuracy": calls(lambda network, x, t: network.accuracy(x, t), NETWORKS, X, T),
    "a network's gradient": calls(lambda network, x, t: network.gradient(x, t), NETWORKS, X, T),
    "a network's step": calls(
        lambda network, x, t: network.loss_and_gradient(x, t), NETWORKS, X, T
    ),
    "TwoLayerNet": calls(TwoLayerNet, WHOLE, WHOLE, WHOLE, REAL),
    "Sequential": calls(try_stack, NAMES, REAL),
    "a list of layers": calls(
        Sequential, st.lists(st.one_of(ANYTHING, st.builds(layers.Dense, st.just(3))), max_size=3)
    ),
    **{
        kind.__name__: calls(try_layer, st.just(kind), SHAPES, st.fixed_dictionaries(named))
        for kind, named in LAYERS.items()
    },
    **{
        kind.__name__: calls(
            try_rule, st.just(kind), st.fixed_dictionaries({}, optional=OPTIONS | named)
        )
        for kind, named in RULES.items()
    },
    **{
        kind.__name__: calls(
            try_schedule, st.just(kind), st.integers(0, 10**6), st.fixed_dictionaries(named)
        )
        for kind, named in SCHEDULES.items()
    },
    "Parameters": calls(
        lambda shape, dtype: Parameters({"W": shape}, dtype),
        SHAPES,
        st.sampled_from(["f4", "f8", "i4", "c8"]),
    ),
    "get_initializer": calls(get_initializer, NAMES),
    "set_threads": calls(parallel.set_threads, WHOLE),
    "Augmentation": calls(lambda named, x: Augmentation(**named)(x, NOISE), CHANGES, X),
    "step_generator": calls(step_generator, WHOLE, WHOLE),
    "prefetch": calls(lambda depth: list(prefetch([1, 2, 3], depth)), WHOLE),
    "synthetic digits": calls(
        lambda n, rng, t: generate(n, rng, labels=t),
        st.one_of(st.integers(-2, 5), NAMES, st.floats(-2, 5)),
        st.one_of(st.just(NOISE), st.just(NOISE), ANYTHING),
        st.one_of(st.none(), T),
    ),
    "strokes": calls(strokes, ANYTHING, st.just(NOISE)),
    "things that are no digit": calls(
        lambda n: generate_others(n, DIGITS.x_train, DIGITS.t_train, NOISE), st.integers(-2, 5)
    ),
    "evaluate": calls(evaluate, NETWORKS, X, T),
    "train": calls(try_training, ROWS, LABELS, WHOLE, st.integers(-2, 3)),
    "load_mnist": calls(lambda dataset: load_mnist(dataset=dataset), ANYTHING),
    "load_data": calls(lambda v, seed: load_data("none", None, v, seed), WHOLE, WHOLE),
    "read_digits": calls(
        lambda picture: read_digits(picture, TwoLayerNet(784, 2, 10)),
        any_array().filter(lambda array: array.size < 2000),
    ),
}
"""Calls with arguments that are drawn, by the name of what is called."""


@pytest.mark.parametrize("name", CALLS)
def test_arguments_of(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """An answer, or ValueError or TypeError with a sentence of ours; and no warning."""
    seconds, threads = request.config.getoption("--fuzz-seconds"), parallel.threads()

    @settings(
        max_examples=int(20 + 20 * seconds),
        deadline=None,
        derandomize=not seconds,
        database=None,
        phases=[Phase.generate],  # what fails is shown as it is: making it small takes minutes
        suppress_health_check=list(HealthCheck),
    )
    @given(CALLS[name])
    def try_it(call: partial[Any]) -> None:
        guard = Guard(tmp_path, 500_000_000, may_run=True)
        outcome = "answered"
        try:
            with guarded(guard):
                call()
        except Exception as error:
            outcome = "refused"
            if not is_ours(error, (ValueError, TypeError, TrainingError)):
                raise
        tally[f"arguments: {outcome}"] += 1
        assert not guard.faults

    try:
        try_it()
    finally:
        parallel.set_threads(threads)
