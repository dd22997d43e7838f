"""The names of `tf.image` and `tf.io`: pictures read from files, and changed, as arrays."""

import functools
import io as io_
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from digits.keras.dispatch import of_tensors
from digits.keras.preprocessing import image as _images
from digits.keras.random import generator_of, of_op
from digits.keras.tensor import Tensor, tensor
from digits.nn.geometry import positions_along


def _convert_image_dtype(image: Any, dtype: Any = np.float32, saturate: Any = False) -> Tensor:
    """Pixels of another type, whole numbers of 0 to 255 becoming numbers of 0 to 1."""
    x = np.asarray(image)
    scale = np.iinfo(x.dtype).max if x.dtype.kind in "ui" and np.dtype(dtype).kind == "f" else 1
    return tensor((x / scale).astype(dtype))


def _read_file(filename: Any, name: str | None = None) -> bytes:
    return Path(str(np.asarray(filename))).read_bytes()


def _decode(
    contents: bytes, channels: int = 0, dtype: Any = np.uint8, *_: Any, **__: Any
) -> Tensor:
    """The picture in a file as an array (height, width, channels)."""
    modes = {0: None, 1: "grayscale", 3: "rgb", 4: "rgba"}
    picture = _images.load_img(io_.BytesIO(contents), color_mode=modes[int(channels or 0)])
    return tensor(_images.img_to_array(picture, "channels_last", "uint8"), dtype)


def _resize(images: Any, size: Any, *_: Any, **__: Any) -> Tensor:
    x = np.asarray(images, np.float32)
    if x.ndim == 3:
        return tensor(_images.smart_resize(x, size))
    return tensor(np.stack([_images.smart_resize(image, size) for image in x]))


def _rgb_to_grayscale(images: Any) -> Tensor:
    """One channel of three, weighted as the eye does (ITU-R BT.601)."""
    return tensor(
        (np.asarray(images) @ np.array([0.2989, 0.587, 0.114]))[..., np.newaxis], np.float32
    )


def _crop_or_pad(image: Any, target_height: int, target_width: int) -> Tensor:
    """The middle of an image (..., h, w, channels), or the image in the middle of zeros."""
    x = np.asarray(image)
    for axis, size in ((-3, target_height), (-2, target_width)):
        more = size - x.shape[axis]
        border = [(0, 0)] * x.ndim
        border[axis] = (max(more, 0) // 2, max(more, 0) - max(more, 0) // 2)
        begin = max(-more, 0) // 2
        x = np.pad(x, border).take(np.arange(begin, begin + size), axis)
    return tensor(x)


def _resize_with_pad(image: Any, target_height: int, target_width: int, *_: Any) -> Tensor:
    """An image as large as fits, in the middle of zeros."""
    height, width = np.shape(image)[-3:-1]
    scale = min(target_height / height, target_width / width)
    size = max(1, round(height * scale)), max(1, round(width * scale))
    return _crop_or_pad(_resize(image, size), target_height, target_width)


def _random_crop(value: Any, size: Any, seed: Any = None) -> Tensor:
    """A part of that size at a random place."""
    x, rng = np.asarray(value), generator_of(of_op(seed))
    begins = [int(rng.integers(n - s + 1)) for n, s in zip(x.shape, size, strict=True)]
    return tensor(x[tuple(slice(b, b + s) for b, s in zip(begins, size, strict=True))])


def _random_brightness(image: Any, max_delta: float, seed: Any = None) -> Tensor:
    return tensor(
        np.asarray(image) + generator_of(of_op(seed)).uniform(-max_delta, max_delta), np.float32
    )


def _random_contrast(image: Any, lower: float, upper: float, seed: Any = None) -> Tensor:
    return _adjust_contrast(image, generator_of(of_op(seed)).uniform(lower, upper))


def _adjust_contrast(images: Any, contrast_factor: float) -> Tensor:
    mean = np.mean(images, axis=(-3, -2), keepdims=True)
    return tensor((np.asarray(images) - mean) * contrast_factor + mean, np.float32)


def _random_flip(image: Any, seed: Any = None, axis: int = -2) -> Tensor:
    return tensor(np.flip(image, axis) if generator_of(of_op(seed)).random() < 0.5 else image)


def _per_image_standardization(image: Any) -> Tensor:
    """Pixels of mean 0 and variance 1 in every image."""
    x, axes = np.asarray(image, np.float32), (-3, -2, -1)
    least = 1 / np.sqrt(np.prod(x.shape[-3:]))
    deviation = np.maximum(x.std(axis=axes, keepdims=True), least)
    return tensor((x - x.mean(axis=axes, keepdims=True)) / deviation)


@of_tensors
def _extract_patches(
    images: Any, sizes: Any, strides: Any, rates: Any = None, padding: str = "VALID"
) -> Any:
    """The pixels under a window at every position, as one row: (n, rows, columns, pixels)."""
    (_, *window, _), (_, down, right, _), border = sizes, strides, []
    positions = []
    for size, kernel, stride in zip(np.shape(images)[1:3], window, (down, right), strict=True):
        found = positions_along(size, kernel, stride, padding.lower())
        positions.append(found[0])
        border.append(found[1])
    rows, columns = positions
    x = np.pad(images, ((0, 0), *border, (0, 0)))
    taps = [
        x[:, i : i + (rows - 1) * down + 1 : down, j : j + (columns - 1) * right + 1 : right]
        for i, j in np.ndindex(*window)
    ]
    return np.concatenate(taps, axis=-1)


_decoders = dict.fromkeys(("decode_image", "decode_jpeg", "decode_png", "decode_bmp"), _decode)
io = SimpleNamespace(read_file=_read_file, **_decoders)
image = SimpleNamespace(
    **_decoders,
    convert_image_dtype=_convert_image_dtype,
    resize=_resize,
    rgb_to_grayscale=_rgb_to_grayscale,
    extract_patches=_extract_patches,
    grayscale_to_rgb=lambda x: tensor(np.repeat(np.asarray(x), 3, axis=-1)),
    flip_left_right=lambda x: tensor(np.flip(np.asarray(x), -2)),
    flip_up_down=lambda x: tensor(np.flip(np.asarray(x), -3)),
    resize_with_crop_or_pad=_crop_or_pad,
    random_brightness=_random_brightness,
    random_contrast=_random_contrast,
    random_crop=_random_crop,
    random_flip_left_right=_random_flip,
    random_flip_up_down=functools.partial(_random_flip, axis=-3),
    resize_with_pad=_resize_with_pad,
    adjust_brightness=lambda image, delta: tensor(np.asarray(image) + delta, np.float32),
    adjust_contrast=_adjust_contrast,
    rot90=lambda image, k=1: tensor(np.rot90(image, k, (-3, -2))),
    transpose=lambda image: tensor(np.swapaxes(image, -3, -2)),
    ResizeMethod=SimpleNamespace(BILINEAR="bilinear", NEAREST_NEIGHBOR="nearest"),
    per_image_standardization=_per_image_standardization,
)
