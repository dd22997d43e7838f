"""What is not served, and what to use instead."""

import difflib
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
    "Conv2DTranspose": "use UpSampling2D and Conv2D",
    "SeparableConv2D": "use DepthwiseConv2D and Conv2D of kernel size 1",
    "LayerNormalization": "use BatchNormalization",
    "PReLU": "use LeakyReLU",
    "scikit_learn": "use digits.sklearn.DigitsClassifier",
    "KerasClassifier": "use digits.sklearn.DigitsClassifier",
    "constraints": "use regularizers",
    "contrib": "it is no part of TensorFlow any more either",
    "MultiHeadAttention": "use Conv2D",
    "image_dataset_from_directory": "use preprocessing.image.load_img",
    "examples": "use keras.datasets.mnist.load_data()",
}
"""Names that scripts ask for, and the advice."""


def message(module: str, name: str, target: Any) -> str:
    """That a name is not there, by its full name, and what is."""
    advice = INSTEAD.get(name)
    if advice is None:
        there = [other for other in dir(target) if not other.startswith("_")]
        close = difflib.get_close_matches(name, there, n=3, cutoff=0.7)
        advice = f"there is {', '.join(close)}" if close else "see docs/coming-from.md for what is"
    return f"{module}.{name} is not there in digits.keras: {advice}"
