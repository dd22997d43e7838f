"""What is not served, and what to use instead."""

import difflib
import re
from typing import Any

RECURRENT = (
    "recurrent layers are not there: take the rows of an image together, with Flatten or Conv2D"
)
TEXT = "text is not there: this library is for images"
GRADIENT = "there is no automatic differentiation here: use model.compile and model.fit"
PHOTOS = "networks for large photographs are not there: stack Conv2D, MaxPooling2D and Dense"
DATA = "only mnist and fashion_mnist are there"
ELSEWHERE = "models for other programs are not there: digits' networks have export_onnx"

INSTEAD = {
    **dict.fromkeys(
        ("LSTM", "GRU", "SimpleRNN", "RNN", "Bidirectional", "TimeDistributed"), RECURRENT
    ),
    **dict.fromkeys(("CuDNNLSTM", "CuDNNGRU", "ConvLSTM2D", "LSTMCell", "Masking"), RECURRENT),
    **dict.fromkeys(("Embedding", "TextVectorization", "text", "sequence", "pad_sequences"), TEXT),
    **dict.fromkeys(("Tokenizer", "imdb", "reuters"), TEXT),
    **dict.fromkeys(("cifar10", "cifar100", "boston_housing", "california_housing"), DATA),
    **dict.fromkeys(
        ("GradientTape", "gradients", "grad", "custom_gradient", "AggregationMethod"), GRADIENT
    ),
    **dict.fromkeys(("applications", "VGG16", "ResNet50", "MobileNet", "MobileNetV2"), PHOTOS),
    **dict.fromkeys(("lite", "saved_model", "tpu", "TFSMLayer"), ELSEWHERE),
    **dict.fromkeys(("placeholder", "feed_dict"), "feed arrays to model.fit instead"),
    **dict.fromkeys(("SeparableConv2D", "DepthwiseConv2D", "MaxoutDense"), "use Conv2D or Dense"),
    "PReLU": "use LeakyReLU",
    **dict.fromkeys(
        ("wrappers", "scikit_learn", "KerasClassifier"), "use digits.sklearn.DigitsClassifier"
    ),
    "constraints": "use regularizers",
    "contrib": "it is no part of TensorFlow any more either",
    "image_dataset_from_directory": "use preprocessing.image.load_img",
    "examples": "use keras.datasets.mnist.load_data()",
}
"""Names that scripts ask for, and the advice."""


KINDS = (
    ("layers", r".*(1D|3D|LSTM|GRU|RNN).*", "use the layers for images, such as Conv2D"),
    ("layers", r"Random.*", "use RandomRotation, RandomTranslation, RandomZoom or RandomFlip"),
    ("layers", r".*Dropout.*", "use Dropout"),
    ("layers", r".*Normalization", "use BatchNormalization"),
    ("layers", r".*Conv.*", "use Conv2D"),
    ("layers", r".*Attention.*", "use Conv2D"),
    ("layers", r".*", "use Dense, Conv2D, MaxPooling2D and the like, or a model of them"),
    ("callbacks", r".*", "write it as a subclass of keras.callbacks.Callback"),
    ("metrics", r".*", "pass a function (y_true, y_pred) as a metric"),
    ("losses", r".*", "pass a function (y_true, y_pred) as the loss"),
    ("optimizers|train", r".*", "use Adam, SGD, RMSprop or another of keras.optimizers"),
    ("schedules", r".*", "use ExponentialDecay or keras.callbacks.LearningRateScheduler"),
    ("initializers", r".*", "use HeNormal, GlorotUniform or RandomNormal"),
    ("datasets", r".*", DATA),
    ("models", r".*", "use Sequential or Model"),
    ("image|preprocessing", r".*", "use load_img, img_to_array or ImageDataGenerator"),
    ("utils|ops|backend|tensorflow|math|nn|random", r".*", "use NumPy or matplotlib"),
)
"""What to use instead of other names, by the end of the module's path and the name."""


def message(module: str, name: str, target: Any) -> str:
    """That a name is not there, by its full name, and what is."""
    advice = INSTEAD.get(name)
    there = [other for other in dir(target) if not other.startswith("_")]
    close = difflib.get_close_matches(name, there, n=3, cutoff=0.8)
    if advice is None and close:
        advice = f"there is {', '.join(close)}"
    if advice is None:
        last = module.rpartition(".")[2]
        found = (
            a for kind, names, a in KINDS if re.match(kind, last) and re.fullmatch(names, name)
        )
        advice = next(found, "see docs/coming-from.md for what is")
    return f"{module}.{name} is not there in digits.keras: {advice}"
