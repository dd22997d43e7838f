"""Which networks there are, and how each is trained: a function that builds the network, and a
`Recipe` of what its source prescribes. `python train_net.py --list` prints their descriptions.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import DTypeLike

from digits.data.synthetic_digits import generate_inputs
from digits.nn.convolution import Conv2D
from digits.nn.layer import Layer
from digits.nn.layers import (
    Activation,
    BatchNormalization,
    Dense,
    Dropout,
    Flatten,
    Normalization,
    Rescaling,
    Reshape,
)
from digits.nn.network import Network
from digits.nn.optimizers import SGD, Adam, Optimizer, Schedule
from digits.nn.pooling import AveragePooling2D, MaxPooling2D, Subsampling2D, ZeroPadding2D
from digits.nn.schedules import CosineDecay, OneCycle
from digits.nn.sequential import Sequential
from digits.training.augmentation import Augmentation
from digits.training.batches import Augment
from digits.types import Array
from two_layer_net import TwoLayerNet

Rng = np.random.Generator

MNIST_MEAN, MNIST_DEVIATION = 0.1307, 0.3081
"""Of all pixels of the 60,000 training images, scaled to [0, 1]."""


@dataclass(frozen=True)
class Recipe:
    """A network and its training; of `epochs` and `iterations` one is given, the other None."""

    build: Callable[..., Network]  # (rng, dtype) -> a new network; and dropout, if it has that
    parameters: int
    rule: Callable[..., Optimizer]  # (learning rate or schedule) -> a new optimizer
    learning_rate: float
    batch_size: int
    schedule: Callable[[float, int], Schedule] | None = None  # (highest rate, iterations) -> one
    epochs: int | None = None
    iterations: int | None = None
    dropout: float | None = None  # the rate, which the user may change; None for a network without
    validation: int = 5000  # training images held out to choose the best epoch by
    augment: Augment | None = None  # changes a batch of images while it is trained on
    extend: Callable[[Array, Array, Rng], tuple[Array, Array]] | None = None
    """(images, labels, rng) -> these and more of them, to train on and to choose by."""

    def optimizer(self, learning_rate: float, iterations: int) -> Optimizer:
        """A new optimizer for so many iterations."""
        if self.schedule is None:
            return self.rule(learning_rate)
        return self.rule(self.schedule(learning_rate, iterations))

    def description(self) -> str:
        """What the network is, and how it is trained."""
        length = f"{self.iterations:,} of them" if self.iterations else f"epochs: {self.epochs}"
        return (
            f"{inspect.getdoc(self.build) or ''}\n\n{self.parameters:,} parameters, learning rate "
            f"{self.learning_rate:g}, batches of {self.batch_size}, {length}"
        )


# --- the networks ---------------------------------------------------------------------------------


def two_layer(rng: Rng, dtype: DTypeLike = np.float32) -> TwoLayerNet:
    """784-50-10 with sigmoid: the network whose every formula is written out in two_layer_net.py.

    Saito, *Deep Learning from Scratch*, chapters 4 and 5: SGD. Test accuracy 0.9465 ± 0.0011 (5
    seeds).
    """
    return TwoLayerNet(784, 50, 10, rng=rng, dtype=dtype)


def mlp(rng: Rng, dtype: DTypeLike = np.float32) -> Sequential:
    """784-300-100-10 with relu, on standardized pixels.

    The first network of the Keras tutorials (Géron, *Hands-On Machine Learning*, chapter 10): SGD.
    Test accuracy 0.9759 ± 0.0016 (5 seeds; published 0.9756).
    """
    layers = [
        Flatten(),
        Normalization(MNIST_MEAN, MNIST_DEVIATION**2),
        Dense(300, activation="relu"),
        Dense(100, activation="relu"),
        Dense(10, activation="softmax"),
    ]
    return Sequential(layers, rng=rng, dtype=dtype)


def deep_mlp(rng: Rng, dtype: DTypeLike = np.float32) -> Sequential:
    """Twenty hidden layers of 100 relu units, on standardized pixels: how deep can it be?

    The deep network of the Keras tutorials: SGD. Test accuracy 0.9655 ± 0.0012 (5 seeds; published
    0.9652).
    """
    layers = [
        Flatten(),
        Normalization(MNIST_MEAN, MNIST_DEVIATION**2),
        *(Dense(100, activation="relu") for _ in range(20)),
        Dense(10, activation="softmax"),
    ]
    return Sequential(layers, rng=rng, dtype=dtype)


def mlp_adam(rng: Rng, dtype: DTypeLike = np.float32) -> Sequential:
    """784-128-10 with relu, trained with Adam.

    TensorFlow's beginner tutorial: all 60,000 images, and the last epoch counts. Test accuracy
    0.9785 ± 0.0019 (5 seeds; published 0.9789, one run within the spread).
    """
    return Sequential(
        [Flatten(), Dense(128, activation="relu"), Dense(10, activation="softmax")],
        rng=rng,
        dtype=dtype,
    )


def conv(rng: Rng, dtype: DTypeLike = np.float32, dropout: float = 0.5) -> Sequential:
    """Two convolutions with max pooling, 1,024 dense units, dropout: TensorFlow's "MNIST for
    experts".

    Adam. Ours are the standardized pixels and Keras' initial weights: those of the tutorial, two
    to five times as wide, cost a percent of accuracy in runs as short as these. Test accuracy
    0.9885 ± 0.0012 (3 seeds; published 0.9872).
    """
    layers = [
        Reshape((28, 28, 1)),
        Normalization(MNIST_MEAN, MNIST_DEVIATION**2),
        Conv2D(32, 5, padding="same", activation="relu"),
        MaxPooling2D(2),
        Conv2D(64, 5, padding="same", activation="relu"),
        MaxPooling2D(2),
        Flatten(),
        Dense(1024, activation="relu"),
        Dropout(dropout),
        Dense(10, activation="softmax"),
    ]
    return Sequential(layers, rng=rng, dtype=dtype)


def lenet5(rng: Rng, dtype: DTypeLike = np.float32) -> Sequential:
    """LeNet-5 as tutorials build it today: relu, average pooling, softmax.

    After LeCun et al., "Gradient-based learning applied to document recognition", 1998, with Adam.
    Ours are the standardized pixels, and that the weights are averaged over the latest 1,000
    batches. Test accuracy 0.9913 ± 0.0003 (5 seeds; a tutorial reports 0.9926 for one run).
    """
    layers = [
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
    ]
    return Sequential(layers, rng=rng, dtype=dtype)


# Which maps of S2 each map of C3 sees (LeCun et al. 1998, table I): six see three neighbors, six
# see four neighbors, three see two pairs, the last sees all.
C3_SEES = [
    *[(i, (i + 1) % 6, (i + 2) % 6) for i in range(6)],
    *[(i, (i + 1) % 6, (i + 2) % 6, (i + 3) % 6) for i in range(6)],
    *[(0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5)],
    (0, 1, 2, 3, 4, 5),
]


def lenet5_1998(rng: Rng, dtype: DTypeLike = np.float32) -> Sequential:
    """LeNet-5 as its paper draws it: scaled tanh, pooling with weights, C3 wired by a table.

    LeCun et al. 1998, section II.B, with pixels from -0.1 to 1.175 as there; C3 has 1,516
    parameters, S2 12 and S4 32. A softmax replaces the distances to drawn digits of its last
    layer, and the training is ours: SGD with momentum 0.9, the learning rate falling along a
    cosine. Test accuracy 0.9892 ± 0.0010 (5 seeds; the paper's, after 20 epochs, 0.9905).
    """
    connections = np.zeros((6, 16), int)
    for filter_, seen in enumerate(C3_SEES):
        connections[list(seen), filter_] = 1
    layers = [
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
    ]
    return Sequential(layers, rng=rng, dtype=dtype)


def fast(rng: Rng, dtype: DTypeLike = np.float32) -> Sequential:
    """What a quarter of a minute can reach: two convolutions, batch normalization after each.

    Ours, in the form of LeNet-5: Adam, its learning rate in one cycle up and down (Smith 2018), on
    all 60,000 images, slightly turned and shifted, with label smoothing 0.05. Test accuracy 0.9940
    ± 0.0004, in two epochs 0.9950 ± 0.0003 (5 seeds each).
    """
    layers = [
        Reshape((28, 28, 1)),
        Normalization(MNIST_MEAN, MNIST_DEVIATION**2),
        *_convolution(16, 5, pooled=True),
        *_convolution(32, 5, pooled=True),
        Flatten(),
        Dense(128, use_bias=False),
        *_normalized_relu(),
        Dense(10, activation="softmax"),
    ]
    return Sequential(layers, label_smoothing=0.05, rng=rng, dtype=dtype)


def best(rng: Rng, dtype: DTypeLike = np.float32) -> Sequential:
    """The most accurate: five convolutions, on images that are distorted anew in every epoch.

    Ours: a stem of 5x5 and pairs of 3x3 (Simonyan and Zisserman 2015), batch normalization before
    each relu. Adam, its learning rate in one cycle, on all 60,000 images, with label smoothing
    0.05; the weights are averaged over the latest 1,000 batches. Test accuracy 0.9969 ± 0.0003,
    with test-time augmentation (five views) 0.9971 (3 seeds).
    """
    return Sequential(_stem_and_pairs(32, classes=10), label_smoothing=0.05, rng=rng, dtype=dtype)


def photo(rng: Rng, dtype: DTypeLike = np.float32) -> Sequential:
    """What reads photographs: five convolutions, and an eleventh class, "no digit".

    The network of `best` at half its width. Adam, its learning rate in one cycle, on MNIST, digits
    that this library draws, and things that are no digit, among them words in the fonts of the
    folders that DIGITS_FONTS names; all turned, distorted, blurred and damaged as in photographs.
    The weights are averaged over the latest 1,000 batches.
    """
    return Sequential(_stem_and_pairs(16, classes=11), rng=rng, dtype=dtype)


def _stem_and_pairs(width: int, classes: int) -> list[Layer]:
    """A stem of 5x5 for strokes, a pair of 3x3 for their joints, a pair for whole digits."""
    return [
        Reshape((28, 28, 1)),
        Normalization(MNIST_MEAN, MNIST_DEVIATION**2),
        *_convolution(width, 5, pooled=True),
        *_convolution(2 * width, 3, padding="same"),
        *_convolution(2 * width, 3, padding="same", pooled=True),
        *_convolution(4 * width, 3, padding="same"),
        *_convolution(4 * width, 3),
        Flatten(),
        Dense(classes, activation="softmax"),
    ]


def _convolution(
    filters: int, kernel: int, padding: str = "valid", pooled: bool = False
) -> list[Layer]:
    """A convolution, its maxima in windows of 2x2 if `pooled`, and what `_normalized_relu` adds."""
    pooling = [MaxPooling2D(2)] if pooled else []
    layer = Conv2D(filters, kernel, padding=padding, use_bias=False)
    return [layer, *pooling, *_normalized_relu()]


def _normalized_relu() -> list[Layer]:
    """With the defaults of PyTorch: running means that fit trainings of a few hundred batches."""
    return [BatchNormalization(momentum=0.9, epsilon=1e-5), Activation("relu")]


# --- how each is trained --------------------------------------------------------------------------


def _with_non_digits(x: Array, t: Array, rng: Rng) -> tuple[Array, Array]:
    """The digits, half as many drawn by this library, some as damaged as photographs show them, and
    things that are no digit, labeled 10."""
    # OpenCV: no other recipe needs it
    from digits.data import damaged_digits, non_digits, words  # noqa: PLC0415

    n = len(x)
    clean, clean_labels = generate_inputs(round(0.25 * n), rng)
    drawn, drawn_labels = non_digits.generate_digits(round(0.25 * n), rng)
    printed, printed_labels = words.digits(round(0.15 * n), rng)  # none without fonts
    chosen = rng.choice(n, round(0.15 * n), replace=False)
    damaged = damaged_digits.damage(x[chosen], t[chosen], rng)
    written = words.words(round(0.5 * n), rng)
    others = non_digits.generate(round(0.95 * n) - len(written), x, t, rng)
    images = np.concatenate([x, clean, drawn, printed, damaged, written, others])
    none = np.full(len(written) + len(others), 10)
    labels = np.concatenate([t, clean_labels, drawn_labels, printed_labels, t[chosen], none])
    small = rng.random(len(images)) < 0.1
    images[small] = damaged_digits.shrink(images[small], rng)
    return images, labels.astype(t.dtype)


SLIGHT = Augmentation(rotation=4, shift=1)
MODERATE = Augmentation(rotation=8, scale=0.08, shear=0.1, shift=1.2, elastic=0.7)
STRONG = Augmentation(rotation=11, scale=0.12, shear=0.2, shift=1.5, elastic=0.7)
DAMAGE = Augmentation(thickness=0.8, noise=0.08, blur=0.7, contrast=0.6, flaws=0.12, lighting=0.12)


def _as_in_photographs(x: Array, rng: Rng) -> Array:
    """Distort all images, and damage half of them as bad photographs do."""
    x = STRONG(x, rng)
    half = len(x) // 2
    x[:half] = DAMAGE(x[:half], rng)
    return x


FAST_ADAM = partial(Adam, beta_2=0.99)
"""It forgets squared gradients ten times as fast, as suits a learning rate that changes fast."""
AVERAGED = partial(FAST_ADAM, use_ema=True, ema_momentum=0.999)
"""The weights are averaged over the latest 1,000 batches."""

RECIPES = {  # network, number of parameters, optimizer, learning rate, batch size, schedule
    "two-layer": Recipe(two_layer, 39_760, SGD, 0.1, 100, iterations=10_000),
    "mlp": Recipe(mlp, 266_610, SGD, 0.01, 32, epochs=10),
    "deep-mlp": Recipe(deep_mlp, 271_410, SGD, 0.01, 32, epochs=10),
    "mlp-adam": Recipe(mlp_adam, 101_770, Adam, 0.001, 32, epochs=10, validation=0),
    # TensorFlow 1 had a smaller epsilon, which matters for gradients as small as these.
    "conv": Recipe(
        conv, 3_274_634, partial(Adam, epsilon=1e-8), 1e-4, 10, iterations=10_000, dropout=0.5
    ),
    "lenet5": Recipe(
        lenet5, 61_706, partial(Adam, use_ema=True, ema_momentum=0.999), 0.001, 64, epochs=5
    ),
    "lenet5-1998": Recipe(
        lenet5_1998, 60_850, partial(SGD, momentum=0.9), 0.01, 32, CosineDecay, epochs=10
    ),
    "fast": Recipe(
        fast, 80_378, FAST_ADAM, 0.01, 64, OneCycle, epochs=1, validation=0, augment=SLIGHT
    ),
    "best": Recipe(
        best, 298_602, AVERAGED, 0.004, 128, OneCycle, epochs=15, validation=0, augment=MODERATE
    ),
    "photo": Recipe(
        photo,
        81_211,
        AVERAGED,
        0.006,
        128,
        OneCycle,
        epochs=8,
        augment=_as_in_photographs,
        extend=_with_non_digits,
    ),
}
