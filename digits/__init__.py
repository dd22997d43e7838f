"""Neural networks for handwritten digits in pure NumPy: `from digits import Dense, Sequential`.

All public names can be imported from here. The module behind a name is imported when the name is
first used, so that `import digits` takes no time.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the same names, for type checkers and editors
    from digits.files.models import export_onnx as export_onnx
    from digits.files.models import load_model as load_model
    from digits.files.models import register_layer as register_layer
    from digits.files.models import save_model as save_model
    from digits.files.npz import StorageError as StorageError
    from digits.nn.convolution import AveragePooling2D as AveragePooling2D
    from digits.nn.convolution import Conv2D as Conv2D
    from digits.nn.convolution import MaxPooling2D as MaxPooling2D
    from digits.nn.convolution import Subsampling2D as Subsampling2D
    from digits.nn.convolution import ZeroPadding2D as ZeroPadding2D
    from digits.nn.layers import Activation as Activation
    from digits.nn.layers import BatchNormalization as BatchNormalization
    from digits.nn.layers import Dense as Dense
    from digits.nn.layers import Dropout as Dropout
    from digits.nn.layers import Flatten as Flatten
    from digits.nn.layers import Layer as Layer
    from digits.nn.layers import Maxout as Maxout
    from digits.nn.layers import Normalization as Normalization
    from digits.nn.layers import Rescaling as Rescaling
    from digits.nn.layers import Reshape as Reshape
    from digits.nn.losses import BinaryCrossentropy as BinaryCrossentropy
    from digits.nn.losses import CategoricalCrossentropy as CategoricalCrossentropy
    from digits.nn.losses import Huber as Huber
    from digits.nn.losses import MeanAbsoluteError as MeanAbsoluteError
    from digits.nn.losses import MeanSquaredError as MeanSquaredError
    from digits.nn.losses import SparseCategoricalCrossentropy as SparseCategoricalCrossentropy
    from digits.nn.optimizers import SGD as SGD
    from digits.nn.optimizers import Adagrad as Adagrad
    from digits.nn.optimizers import Adam as Adam
    from digits.nn.optimizers import AdamW as AdamW
    from digits.nn.optimizers import CosineDecay as CosineDecay
    from digits.nn.optimizers import ExponentialDecay as ExponentialDecay
    from digits.nn.optimizers import OneCycle as OneCycle
    from digits.nn.optimizers import PiecewiseConstantDecay as PiecewiseConstantDecay
    from digits.nn.optimizers import RMSprop as RMSprop
    from digits.nn.sequential import Input as Input
    from digits.nn.sequential import Sequential as Sequential
    from digits.photos.reading import Digit as Digit
    from digits.photos.reading import Reading as Reading
    from digits.recipes import RECIPES as RECIPES
    from digits.training.augmentation import Augmentation as Augmentation
    from digits.training.batches import Data as Data
    from digits.training.callbacks import Callback as Callback
    from digits.training.callbacks import EarlyStopping as EarlyStopping
    from digits.training.callbacks import TrainingError as TrainingError
    from digits.training.history import History as History
    from functions import gradient_check as gradient_check
    from functions import numerical_gradient as numerical_gradient
    from mnist_loader import DatasetError as DatasetError
    from mnist_loader import load_mnist as load_mnist
    from predict_image import read_digits as read_digits
    from predict_image import read_drawing as read_drawing
    from predict_image import read_many as read_many
    from train_net import load_data as load_data
    from train_net import train as train
    from two_layer_net import TwoLayerNet as TwoLayerNet

__version__ = "0.1.0"

_NAMES = {
    "digits.files.models": "export_onnx load_model register_layer save_model",
    "digits.files.npz": "StorageError",
    "digits.nn.convolution": "AveragePooling2D Conv2D MaxPooling2D Subsampling2D ZeroPadding2D",
    "digits.nn.layers": "Activation BatchNormalization Dense Dropout Flatten Layer Maxout "
    "Normalization Rescaling Reshape",
    "digits.nn.losses": "BinaryCrossentropy CategoricalCrossentropy Huber MeanAbsoluteError "
    "MeanSquaredError SparseCategoricalCrossentropy",
    "digits.nn.optimizers": "Adagrad Adam AdamW CosineDecay ExponentialDecay OneCycle "
    "PiecewiseConstantDecay RMSprop SGD",
    "digits.nn.sequential": "Input Sequential",
    "digits.photos.reading": "Digit Reading",
    "digits.recipes": "RECIPES",
    "digits.training.augmentation": "Augmentation",
    "digits.training.batches": "Data",
    "digits.training.callbacks": "Callback EarlyStopping TrainingError",
    "digits.training.history": "History",
    "functions": "gradient_check numerical_gradient",
    "mnist_loader": "DatasetError load_mnist",
    "predict_image": "read_digits read_drawing read_many",
    "train_net": "load_data train",
    "two_layer_net": "TwoLayerNet",
}
_MODULE = {name: module for module, names in _NAMES.items() for name in names.split()}

__all__ = sorted(_MODULE)  # noqa: PLE0605  (sorted gives a list)


def __getattr__(name: str) -> Any:
    if name not in _MODULE:
        raise AttributeError(f"module 'digits' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_MODULE[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
