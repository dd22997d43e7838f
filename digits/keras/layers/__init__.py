"""Keras' layers, by the names that Keras has for them."""

# isort: skip_file
# fmt: off
from digits.keras.layer import Layer
from digits.keras.layers.basic import (
    BatchNormalization, Dense, Dropout, Flatten, Input, InputLayer, Lambda, Permute, Reshape,
    SpatialDropout2D,
)
from digits.keras.layers.elementwise import (
    ELU, Activation, AlphaDropout, GaussianDropout, GaussianNoise, LeakyReLU, Normalization, ReLU,
    Rescaling, Softmax,
)
from digits.keras.layers.images import (
    AveragePooling2D, Conv2D, Conv2DTranspose, Convolution2D, DepthwiseConv2D,
    GlobalAveragePooling2D, GlobalMaxPooling2D, MaxPooling2D, SeparableConv2D, UpSampling2D,
    ZeroPadding2D,
)
from digits.keras.layers.merging import (
    Add, Average, Concatenate, Maximum, Minimum, Multiply, Subtract, add, average, concatenate,
    maximum, merge, minimum, multiply, subtract,
)
from digits.keras.layers.preprocessing import (
    RandomContrast, RandomFlip, RandomRotation, RandomTranslation, RandomZoom,
)

MaxPool2D, AvgPool2D = MaxPooling2D, AveragePooling2D
GlobalAvgPool2D, GlobalMaxPool2D = GlobalAveragePooling2D, GlobalMaxPooling2D

__all__ = [
    "ELU", "Activation", "Add", "AlphaDropout", "Average", "AveragePooling2D", "AvgPool2D",
    "BatchNormalization", "Concatenate", "Conv2D", "Conv2DTranspose", "Convolution2D", "Dense",
    "DepthwiseConv2D", "Dropout", "Flatten", "GaussianDropout", "GaussianNoise",
    "GlobalAveragePooling2D", "GlobalAvgPool2D", "GlobalMaxPool2D", "GlobalMaxPooling2D",
    "Input", "InputLayer", "Lambda", "Layer", "LeakyReLU", "MaxPool2D", "MaxPooling2D",
    "Maximum", "Minimum", "Multiply", "Normalization", "Permute", "RandomContrast",
    "RandomFlip", "RandomRotation", "RandomTranslation", "RandomZoom", "ReLU", "Rescaling",
    "Reshape", "SeparableConv2D", "Softmax", "SpatialDropout2D", "Subtract", "UpSampling2D",
    "ZeroPadding2D", "add", "average", "concatenate", "maximum", "merge", "minimum", "multiply",
    "subtract",
]
# fmt: on
