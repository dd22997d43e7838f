"""Which networks there are, and how each is trained: a function that builds the network, and a
`Recipe` of what its source prescribes.  `python train_net.py --list` prints their descriptions.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike

from digits.data import non_digits, synthetic_digits
from digits.nn.convolution import (
    AveragePooling2D,
    Conv2D,
    MaxPooling2D,
    Subsampling2D,
    ZeroPadding2D,
)
from digits.nn.layers import (
    Activation,
    BatchNormalization,
    Dense,
    Dropout,
    Flatten,
    Layer,
    Normalization,
    Rescaling,
    Reshape,
)
from digits.nn.network import Network
from digits.nn.optimizers import SGD, Adam, CosineDecay, OneCycle, Optimizer
from digits.nn.sequential import Sequential
from digits.training.augmentation import Augmentation
from digits.types import Array
from two_layer_net import TwoLayerNet

MNIST_MEAN, MNIST_DEVIATION = 0.1307, 0.3081
"""Of all pixels of the 60,000 training images, scaled to [0, 1]."""


@dataclass(frozen=True)
class Recipe:
    """A network and its training; of `epochs` and `iterations` one is given, the other None."""

    build: Callable[..., Network]
    """(rng, dtype) -> a fresh network; those with dropout also take keep_prob."""
    optimizer: Callable[[float, int], Optimizer]
    """(learning rate, iterations planned) -> a fresh optimizer."""
    learning_rate: float
    batch_size: int
    epochs: int | None = None
    iterations: int | None = None
    validation: int = 5000
    """Training images held out to choose the best epoch by."""
    augment: Callable[[Array, np.random.Generator], Array] | None = None
    """Changes a batch of images while it is trained on."""
    extend: Callable[[Array, Array, np.random.Generator], tuple[Array, Array]] | None = None
    """(images, labels, noise) -> these and more of them, to train on and to choose by."""

    def keep_prob(self) -> float | None:
        """Share of units that dropout keeps, None for a network without dropout."""
        parameter = inspect.signature(self.build).parameters.get("keep_prob")
        return None if parameter is None else float(parameter.default)

    def description(self) -> str:
        """The docstring of the network."""
        return inspect.getdoc(self.build) or ""


# --- the networks ---------------------------------------------------------------------------------


def two_layer(rng: np.random.Generator, dtype: DTypeLike = np.float32) -> TwoLayerNet:
    """784-50-10 with sigmoid: the network whose every formula is written out in two_layer_net.py.

    39,760 parameters.  Saito, *Deep Learning from Scratch*, chapters 4 and 5: SGD 0.1, batches of
    100, 10,000 of them.  Test accuracy 0.9465 ± 0.0011 (5 seeds).
    """
    return TwoLayerNet(784, 50, 10, rng=rng, dtype=dtype)


def mlp(rng: np.random.Generator, dtype: DTypeLike = np.float32) -> Sequential:
    """784-300-100-10 with relu, on standardised pixels.

    266,610 parameters.  The first network of the Keras tutorials (Géron, *Hands-On Machine
    Learning*, chapter 10): SGD 0.01, batches of 32, 10 epochs.  Test accuracy 0.9759 ± 0.0016 (5
    seeds; published 0.9756).
    """
    return Sequential(
        [
            Flatten(),
            Normalization(MNIST_MEAN, MNIST_DEVIATION**2),
            Dense(300, activation="relu"),
            Dense(100, activation="relu"),
            Dense(10, activation="softmax"),
        ],
        rng=rng,
        dtype=dtype,
    )


def deep_mlp(rng: np.random.Generator, dtype: DTypeLike = np.float32) -> Sequential:
    """Twenty hidden layers of 100 relu units, on standardised pixels: how deep can it be?

    271,410 parameters.  The deep network of the Keras tutorials: SGD 0.01, batches of 32, 10
    epochs.  Test accuracy 0.9655 ± 0.0012 (5 seeds; published 0.9652).
    """
    return Sequential(
        [
            Flatten(),
            Normalization(MNIST_MEAN, MNIST_DEVIATION**2),
            *(Dense(100, activation="relu") for _ in range(20)),
            Dense(10, activation="softmax"),
        ],
        rng=rng,
        dtype=dtype,
    )


def mlp_adam(rng: np.random.Generator, dtype: DTypeLike = np.float32) -> Sequential:
    """784-128-10 with relu, trained with Adam.

    101,770 parameters.  TensorFlow's beginner tutorial: Adam 0.001, batches of 32, 10 epochs of
    all 60,000 images, the last of which counts.  Test accuracy 0.9785 ± 0.0019 (5 seeds; published
    0.9789, one run within the spread).
    """
    return Sequential(
        [Flatten(), Dense(128, activation="relu"), Dense(10, activation="softmax")],
        rng=rng,
        dtype=dtype,
    )


def conv(
    rng: np.random.Generator, dtype: DTypeLike = np.float32, keep_prob: float = 0.5
) -> Sequential:
    """Two convolutions with max pooling, 1,024 dense units, dropout: TensorFlow's "MNIST for
    experts".

    3,274,634 parameters.  Adam 1e-4, batches of 10, 10,000 of them; dropout keeps half the units.
    Ours are the standardised pixels and Keras' first weights: those of the tutorial, two to five
    times as wide, cost a percent of accuracy in runs as short as these.  Test accuracy 0.9885 ±
    0.0012 (3 seeds; published 0.9872).
    """
    return Sequential(
        [
            Reshape((28, 28, 1)),
            Normalization(MNIST_MEAN, MNIST_DEVIATION**2),
            Conv2D(32, 5, padding="same", activation="relu"),
            MaxPooling2D(2),
            Conv2D(64, 5, padding="same", activation="relu"),
            MaxPooling2D(2),
            Flatten(),
            Dense(1024, activation="relu"),
            Dropout(1 - keep_prob),
            Dense(10, activation="softmax"),
        ],
        rng=rng,
        dtype=dtype,
    )


def lenet5(rng: np.random.Generator, dtype: DTypeLike = np.float32) -> Sequential:
    """LeNet-5 as tutorials build it today: relu, average pooling, softmax.

    61,706 parameters.  After LeCun et al., "Gradient-based learning applied to document
    recognition", 1998: Adam 0.001, batches of 64, 5 epochs.  Ours are the standardised pixels, and
    that the weights which count are an average over the latest 1,000 batches.  Test accuracy
    0.9913 ± 0.0003 (5 seeds; a tutorial reports 0.9926 for one run).
    """
    return Sequential(
        [
            Reshape((28, 28, 1)),
            Normalization(MNIST_MEAN, MNIST_DEVIATION**2),
            ZeroPadding2D(2),
            Conv2D(6, 5, activation="relu"),
            AveragePooling2D(2),
            Conv2D(16, 5, activation="relu"),
            AveragePooling2D(2),
            Flatten(),
            Dense(120, activation="relu"),
            Dense(84, activation="relu"),
            Dense(10, activation="softmax"),
        ],
        rng=rng,
        dtype=dtype,
    )


# Which maps of S2 each map of C3 sees (LeCun et al. 1998, table I): six see three neighbours, six
# see four neighbours, three see two pairs, the last sees all.
C3_SEES = [
    *[(i, (i + 1) % 6, (i + 2) % 6) for i in range(6)],
    *[(i, (i + 1) % 6, (i + 2) % 6, (i + 3) % 6) for i in range(6)],
    *[(0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5)],
    (0, 1, 2, 3, 4, 5),
]


def lenet5_1998(rng: np.random.Generator, dtype: DTypeLike = np.float32) -> Sequential:
    """LeNet-5 as its paper draws it: scaled tanh, pooling with weights, C3 wired by a table.

    60,850 parameters, of which C3 has 1,516, S2 12 and S4 32.  LeCun et al. 1998, section II.B,
    with pixels from -0.1 to 1.175 as there; a softmax stands in for the distances to drawn digits
    of its last layer, and the training is ours: SGD 0.01 with momentum 0.9, falling along a cosine,
    batches of 32, 10 epochs.  Test accuracy 0.9892 ± 0.0010 (5 seeds; the paper's, after 20 epochs,
    0.9905).
    """
    connections = np.zeros((6, 16), int)
    for filter_, seen in enumerate(C3_SEES):
        connections[list(seen), filter_] = 1
    return Sequential(
        [
            Reshape((28, 28, 1)),
            ZeroPadding2D(2),
            Rescaling(1.275, offset=-0.1),
            Conv2D(6, 5, activation="scaled_tanh"),
            Subsampling2D(2, activation="scaled_tanh"),
            Conv2D(16, 5, activation="scaled_tanh", connections=connections),
            Subsampling2D(2, activation="scaled_tanh"),
            Conv2D(120, 5, activation="scaled_tanh"),
            Flatten(),
            Dense(84, activation="scaled_tanh"),
            Dense(10, activation="softmax"),
        ],
        rng=rng,
        dtype=dtype,
    )


def fast(rng: np.random.Generator, dtype: DTypeLike = np.float32) -> Sequential:
    """What a quarter of a minute can reach: two convolutions, batch normalisation after each.

    80,378 parameters.  Ours, in the form of LeNet-5: Adam in one cycle up to 0.01 and down (Smith
    2018), batches of 64, 1 epoch of all 60,000 images, slightly turned and shifted, label smoothing
    0.05.  Test accuracy 0.9940 ± 0.0004, with --epochs 2 0.9950 ± 0.0003 (5 seeds each).
    """
    return Sequential(
        [
            Reshape((28, 28, 1)),
            Normalization(MNIST_MEAN, MNIST_DEVIATION**2),
            Conv2D(16, 5, use_bias=False),
            MaxPooling2D(2),
            *_normalized_relu(),
            Conv2D(32, 5, use_bias=False),
            MaxPooling2D(2),
            *_normalized_relu(),
            Flatten(),
            Dense(128, use_bias=False),
            *_normalized_relu(),
            Dense(10, activation="softmax"),
        ],
        label_smoothing=0.05,
        rng=rng,
        dtype=dtype,
    )


def best(rng: np.random.Generator, dtype: DTypeLike = np.float32) -> Sequential:
    """The most accurate: five convolutions, on images that are bent anew in every epoch.

    298,602 parameters.  Ours: a stem of 5x5 and pairs of 3x3 (Simonyan and Zisserman 2015), batch
    normalisation before each relu.  Adam in one cycle up to 0.004 and down, batches of 128, 15
    epochs of all 60,000 images, label smoothing 0.05; the weights that count are an average over
    the latest 1,000 batches.  Test accuracy 0.9969 ± 0.0003, with five looks at each image 0.9971
    (3 seeds).
    """
    return Sequential(_stem_and_pairs(32, answers=10), label_smoothing=0.05, rng=rng, dtype=dtype)


def photo(rng: np.random.Generator, dtype: DTypeLike = np.float32) -> Sequential:
    """What reads photographs: five convolutions, and an eleventh answer, "no digit".

    81,211 parameters.  The network of `best` at half its width.  Adam in one cycle up to 0.006 and
    down, batches of 128, 10 epochs of MNIST, digits that this library draws, and things that are no
    digit, all of them turned, bent, blurred and damaged as in photographs.
    """
    return Sequential(_stem_and_pairs(16, answers=11), rng=rng, dtype=dtype)


def _stem_and_pairs(width: int, answers: int) -> list[Layer]:
    """A stem of 5x5 that sees strokes, a pair of 3x3 for their joints, a pair for whole digits."""
    return [
        Reshape((28, 28, 1)),
        Normalization(MNIST_MEAN, MNIST_DEVIATION**2),
        Conv2D(width, 5, use_bias=False),
        MaxPooling2D(2),
        *_normalized_relu(),
        Conv2D(2 * width, 3, padding="same", use_bias=False),
        *_normalized_relu(),
        Conv2D(2 * width, 3, padding="same", use_bias=False),
        MaxPooling2D(2),
        *_normalized_relu(),
        Conv2D(4 * width, 3, padding="same", use_bias=False),
        *_normalized_relu(),
        Conv2D(4 * width, 3, use_bias=False),
        *_normalized_relu(),
        Flatten(),
        Dense(answers, activation="softmax"),
    ]


def _normalized_relu() -> list[Layer]:
    """With the defaults of PyTorch: running means that fit trainings of a few hundred batches."""
    return [BatchNormalization(momentum=0.9, epsilon=1e-5), Activation("relu")]


# --- how each is trained --------------------------------------------------------------------------


def _sgd(learning_rate: float, iterations: int) -> Optimizer:
    return SGD(learning_rate)


def _adam(learning_rate: float, iterations: int) -> Optimizer:
    return Adam(learning_rate)


def _first_adam(learning_rate: float, iterations: int) -> Optimizer:
    # TensorFlow 1 had a smaller epsilon, which these small slopes feel.
    return Adam(learning_rate, epsilon=1e-8)


def _averaged_adam(learning_rate: float, iterations: int) -> Optimizer:
    return Adam(learning_rate, use_ema=True, ema_momentum=0.999)


def _adam_in_one_cycle(learning_rate: float, iterations: int) -> Optimizer:
    return Adam(OneCycle(learning_rate, iterations), beta_2=0.99)


def _averaged_adam_in_one_cycle(learning_rate: float, iterations: int) -> Optimizer:
    rate = OneCycle(learning_rate, iterations)
    return Adam(rate, beta_2=0.99, use_ema=True, ema_momentum=0.999)


def _momentum_with_cosine(learning_rate: float, iterations: int) -> Optimizer:
    return SGD(CosineDecay(learning_rate, iterations), momentum=0.9)


def _what_photographs_show(x: Array, t: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """The digits, half as many drawn by pens of this library, and, labelled 10, things that are
    none.
    """
    n = len(x)
    clean, clean_labels = synthetic_digits.generate(round(0.35 * n), rng)
    drawn, drawn_labels = non_digits.generate_digits(round(0.15 * n), rng)
    others = non_digits.generate(round(0.6 * n), x, t, rng)
    images = [x, clean.reshape(-1, 784).astype(x.dtype) / 255, drawn, others]
    labels = [t, clean_labels, drawn_labels, np.full(len(others), 10)]
    return np.concatenate(images), np.concatenate(labels).astype(t.dtype)


SLIGHTLY_MOVED = Augmentation(rotation=4, shift=1)
GENTLY_BENT = Augmentation(rotation=8, scale=0.08, shear=0.1, shift=1.2, elastic=0.7)
BENT = Augmentation(rotation=11, scale=0.12, shear=0.2, shift=1.5, elastic=0.7)
WORN = Augmentation(thickness=0.6, noise=0.08, blur=0.7, contrast=0.6, flaws=0.12, lighting=0.12)


def _as_in_photographs(x: Array, rng: np.random.Generator) -> Array:
    """Every hand is another, and half of the pictures are badly taken."""
    x = BENT(x, rng)
    half = len(x) // 2
    x[:half] = WORN(x[:half], rng)
    return x


RECIPES = {
    "two-layer": Recipe(two_layer, _sgd, 0.1, batch_size=100, iterations=10_000),
    "mlp": Recipe(mlp, _sgd, 0.01, batch_size=32, epochs=10),
    "deep-mlp": Recipe(deep_mlp, _sgd, 0.01, batch_size=32, epochs=10),
    "mlp-adam": Recipe(mlp_adam, _adam, 0.001, batch_size=32, epochs=10, validation=0),
    "conv": Recipe(conv, _first_adam, 1e-4, batch_size=10, iterations=10_000),
    "lenet5": Recipe(lenet5, _averaged_adam, 0.001, batch_size=64, epochs=5),
    "lenet5-1998": Recipe(lenet5_1998, _momentum_with_cosine, 0.01, batch_size=32, epochs=10),
    "fast": Recipe(
        fast,
        _adam_in_one_cycle,
        0.01,
        batch_size=64,
        epochs=1,
        validation=0,
        augment=SLIGHTLY_MOVED,
    ),
    "best": Recipe(
        best,
        _averaged_adam_in_one_cycle,
        0.004,
        batch_size=128,
        epochs=15,
        validation=0,
        augment=GENTLY_BENT,
    ),
    "photo": Recipe(
        photo,
        _adam_in_one_cycle,
        0.006,
        batch_size=128,
        epochs=10,
        augment=_as_in_photographs,
        extend=_what_photographs_show,
    ),
}
