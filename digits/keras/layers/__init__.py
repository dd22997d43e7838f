"""Keras' layers, by the names that Keras has for them."""

# isort: skip_file
# fmt: off
from digits.keras.layer import Layer
from digits.keras.layers.attention import MultiHeadAttention
from digits.keras.layers.basic import (
    BatchNormalization, Dense, Dropout, Flatten, Input, InputLayer, Lambda, Permute, Reshape,
)
from digits.keras.layers.elementwise import (
    ELU, Activation, AlphaDropout, GaussianDropout, GaussianNoise, Identity, LeakyReLU,
    Normalization, ReLU, Rescaling, Softmax, SpatialDropout1D, SpatialDropout2D, ThresholdedReLU,
)
from digits.keras.layers.formulas import (
    Dot, Embedding, GroupNormalization, LayerNormalization, PReLU, UnitNormalization, dot,
)
from digits.keras.layers.images import (
    AveragePooling2D, Conv2D, Conv2DTranspose, Convolution2D, Cropping2D, DepthwiseConv2D,
    GlobalAveragePooling2D, GlobalMaxPooling2D, MaxPooling2D, SeparableConv2D, UpSampling2D,
    ZeroPadding2D,
)
from digits.keras.layers.merging import (
    Add, Average, Concatenate, Maximum, Minimum, Multiply, Subtract, add, average, concatenate,
    maximum, merge, minimum, multiply, subtract,
)
from digits.keras.layers.preprocessing import (
    RandomContrast, RandomFlip, RandomRotation, RandomTranslation, RandomZoom, Resizing,
)
from digits.keras.layers.recurrent import GRU, LSTM, SimpleRNN
from digits.keras.layers.rows import (
    AveragePooling1D, Conv1D, Convolution1D, Cropping1D, GlobalAveragePooling1D,
    GlobalMaxPooling1D, MaxPooling1D, UpSampling1D, ZeroPadding1D,
)
from digits.keras.layers.sequences import Bidirectional, RepeatVector, TimeDistributed

CuDNNGRU, CuDNNLSTM = GRU, LSTM
MaxPool2D, AvgPool2D = MaxPooling2D, AveragePooling2D
GlobalAvgPool2D, GlobalMaxPool2D = GlobalAveragePooling2D, GlobalMaxPooling2D
MaxPool1D, AvgPool1D = MaxPooling1D, AveragePooling1D
GlobalAvgPool1D, GlobalMaxPool1D = GlobalAveragePooling1D, GlobalMaxPooling1D

__all__ = [
    "ELU", "GRU", "LSTM", "Activation", "Add", "AlphaDropout", "Average", "AveragePooling1D",
    "AveragePooling2D", "AvgPool1D", "AvgPool2D", "BatchNormalization", "Bidirectional",
    "Concatenate", "Conv1D", "Conv2D", "Conv2DTranspose", "Convolution1D", "Convolution2D",
    "Cropping1D", "Cropping2D", "CuDNNGRU", "CuDNNLSTM", "Dense", "DepthwiseConv2D", "Dot",
    "Dropout", "Embedding", "Flatten", "GaussianDropout", "GaussianNoise", "GlobalAveragePooling1D",
    "GlobalAveragePooling2D", "GlobalAvgPool1D", "GlobalAvgPool2D", "GlobalMaxPool1D",
    "GlobalMaxPool2D", "GlobalMaxPooling1D", "GlobalMaxPooling2D", "GroupNormalization", "Identity",
    "Input", "InputLayer", "Lambda", "Layer", "LayerNormalization", "LeakyReLU", "MaxPool1D",
    "MaxPool2D", "MaxPooling1D", "MaxPooling2D", "Maximum", "Minimum", "MultiHeadAttention",
    "Multiply", "Normalization", "PReLU", "Permute", "RandomContrast", "RandomFlip",
    "RandomRotation", "RandomTranslation", "RandomZoom", "ReLU", "RepeatVector", "Rescaling",
    "Reshape", "Resizing", "SeparableConv2D", "SimpleRNN", "Softmax", "SpatialDropout1D",
    "SpatialDropout2D", "Subtract", "ThresholdedReLU", "TimeDistributed", "UnitNormalization",
    "UpSampling1D", "UpSampling2D", "ZeroPadding1D", "ZeroPadding2D", "add", "average",
    "concatenate", "dot", "maximum", "merge", "minimum", "multiply", "subtract",
]
# fmt: on
