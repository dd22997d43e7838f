"""Names of Keras and TensorFlow that are not there, and what to use instead. Old scripts import
many names that they never use: a known one may be imported, and says what it is when it is used.
"""

import difflib
import re
import sys
from typing import Any

DATA = "only mnist and fashion_mnist are there"

GROUPS = {
    "use LSTM, GRU or SimpleRNN, which take whole sequences": (
        "RNN ConvLSTM2D LSTMCell GRUCell SimpleRNNCell StackedRNNCells"
    ),
    "give sequences of one length": "Masking",
    "text is not there: this library is for images": (
        "TextVectorization text sequence pad_sequences Tokenizer StringLookup Hashing "
        "IntegerLookup CategoryEncoding Discretization"
    ),
    DATA: "imdb reuters cifar10 cifar100 boston_housing california_housing",
    "use tf.GradientTape": "gradients grad AggregationMethod",
    "networks for large photographs are not there: stack Conv2D, MaxPooling2D and Dense": (
        "applications VGG16 VGG19 ResNet50 MobileNet MobileNetV2 InceptionV3 Xception"
    ),
    "models for other programs are not there: digits' networks have export_onnx": (
        "lite saved_model tpu TFSMLayer"
    ),
    "feed arrays to model.fit instead": "placeholder feed_dict get_session",
    "use a model of keras, its compile and fit": "estimator feature_column Estimator",
    "use model.save_weights and load_weights": "Saver",
    "use digits.sklearn.DigitsClassifier": "KerasRegressor",
    "use Conv2DTranspose": "Deconvolution2D",
    "use model_from_json": "model_from_yaml",
    "use to_json": "to_yaml",
    "pass metrics= to compile": "add_metric",
    "use concatenate, add or multiply": "Merge",
    "use kernel_regularizer=": "activity_l1 activity_l2",
    "use Conv2D": "LocallyConnected2D AtrousConvolution2D",
    "use MultiHeadAttention": "Attention AdditiveAttention",
    "use Dense": "MaxoutDense EinsumDense Highway",
    "use LeakyReLU or PReLU": "SReLU ParametricSoftplus",
    "use LayerNormalization": "SpectralNormalization RMSNormalization",
    "use RandomRotation, RandomTranslation, RandomZoom or RandomFlip": (
        "RandomBrightness RandomCrop RandomHeight RandomWidth RandomShear"
    ),
    "prepare the images before, with NumPy or OpenCV": "CenterCrop",
    "use preprocessing.image.ImageDataGenerator().flow_from_directory": (
        "image_dataset_from_directory"
    ),
    "use ModelCheckpoint, or a subclass of keras.callbacks.Callback": (
        "BackupAndRestore RemoteMonitor SwapEMAWeights"
    ),
    "it is no part of TensorFlow any more either": "contrib",
    "use keras.datasets.mnist.load_data()": "examples",
    "use a model of layers": "ActivityRegularization InputSpec Wrapper",
    "use the model itself: there is one processor": "multi_gpu_model",
    "open the file with h5py, and give arrays": "HDF5Matrix",
    "read arguments with argparse, and call main()": "app flags",
}
INSTEAD = {name: advice for advice, names in GROUPS.items() for name in names.split()}
"""Names that scripts ask for, and the advice."""

COMPANIONS = {
    "kerastuner": "write a loop over the settings, or use GridSearchCV with DigitsClassifier",
    "scikeras": "use keras.wrappers.scikit_learn.KerasClassifier",
    "tensorflow_addons": "use the layers, losses and optimizers of keras",
    "tensorflow_hub": "stack Conv2D, MaxPooling2D and Dense",
    "tensorflow_model_optimization": "train the model as it is",
    "tensorflowjs": "save the model as .keras, or use export_onnx of digits' networks",
    "tensorflow_probability": "use losses of your own",
    "tensorboard": "open epochs.csv, which the callback TensorBoard writes",
}
COMPANIONS |= dict.fromkeys(("keras_tuner", "hyperas", "talos"), COMPANIONS["kerastuner"])
COMPANIONS |= dict.fromkeys(("keras_cv", "keras_hub"), COMPANIONS["tensorflow_hub"])
"""Packages that are built on Keras or TensorFlow, and what to use instead."""

KINDS = (
    ("layers", "use Dense, Conv2D, MaxPooling2D and the like, or a model of them"),
    ("callbacks", "write it as a subclass of keras.callbacks.Callback"),
    ("metrics", "pass a function (y_true, y_pred) as a metric"),
    ("losses", "pass a function (y_true, y_pred) as the loss"),
    ("optimizers|train", "use Adam, SGD, RMSprop or another of keras.optimizers"),
    ("schedules", "use ExponentialDecay or keras.callbacks.LearningRateScheduler"),
    ("initializers", "use HeNormal, GlorotUniform or RandomNormal"),
    ("datasets", DATA),
    ("tensorflow_datasets", "use load, and matplotlib for pictures"),
    ("models", "use Sequential or Model"),
    ("image|preprocessing", "use load_img, img_to_array or ImageDataGenerator"),
    ("utils|ops|backend|tensorflow|math|nn|random", "use NumPy or matplotlib"),
)
"""What to use instead of other names, by the last part of the module's path."""


class Absent:
    """A known name that is not there: it can be imported, and each use of it says what it is."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __call__(self, *_: Any, **__: Any) -> Any:
        """Say that it is not there."""
        raise NotImplementedError(self._text)

    def __mro_entries__(self, bases: Any) -> Any:
        raise NotImplementedError(self._text)

    def __instancecheck__(self, value: Any) -> bool:
        return False

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Absent(self._text)


def is_known(name: str) -> bool:
    """Whether Keras or TensorFlow has, or had, such a name."""
    return name in INSTEAD or re.fullmatch(r"[A-Z]\w+(1D|3D)(Transpose)?", name) is not None


def tell(name_of_module: str) -> None:
    """Let a module of digits.keras say what to use instead of names that it does not have."""
    module, path = sys.modules[name_of_module], name_of_module.removeprefix("digits.")

    vars(module)["__getattr__"] = lambda name: stand_in(path, name, module)


def stand_in(module: str, name: str, target: Any) -> Absent:
    """What a known name that is not there is imported as; AttributeError for any other."""
    text = message(module, name, target)
    if not is_known(name):
        raise AttributeError(text) from None
    return Absent(text)


def message(module: str, name: str, target: Any) -> str:
    """That a name is not there, by its full name, and what is."""
    advice = INSTEAD.get(name)
    if advice is None and is_known(name):
        advice = "use the layers for images, such as Conv2D"
    there = [other for other in dir(target) if not other.startswith("_")]
    close = difflib.get_close_matches(name, there, n=3, cutoff=0.8)
    if advice is None and close:
        advice = f"there is {', '.join(close)}"
    if advice is None:
        last = module.rpartition(".")[2]
        found = [text for names, text in KINDS if last in names.split("|")]
        advice = found[0] if found else "see docs/coming-from.md for what is"
    return f"{module}.{name} is not there in digits.keras: {advice}"
