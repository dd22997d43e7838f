"""Images from files, and images changed at random: shifted, turned, zoomed, slanted, mirrored."""

import io
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from digits.cli import say
from digits.keras import config
from digits.keras.random import new_generator
from digits.types import Array
from digits.validation import check

Range = tuple[float, float]
BORDERS = {
    "constant": cv2.BORDER_CONSTANT,
    "nearest": cv2.BORDER_REPLICATE,
    "reflect": cv2.BORDER_REFLECT,
    "wrap": cv2.BORDER_WRAP,
}
"""What Keras and OpenCV call the ways to fill what comes into view from outside an image."""


# --- random changes -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Change:
    """The ranges from which an image's change is drawn. Rotation and shear in degrees, shifts as
    fractions of the size (whole pixels from 1 on), zoom as a factor on what is seen of the image.
    """

    rotation: Range = (0.0, 0.0)
    right: Range = (0.0, 0.0)
    down: Range = (0.0, 0.0)
    shear: Range = (0.0, 0.0)
    zoom: Range = (1.0, 1.0)
    zoom_alike: bool = False
    flip_columns: bool = False
    flip_rows: bool = False
    fill_mode: str = "nearest"
    fill_value: float = 0.0

    def moves(self) -> bool:
        """Whether pixels change their position, beyond being mirrored."""
        still = (self.rotation, self.right, self.down, self.shear) == ((0, 0),) * 4
        return not still or self.zoom != (1, 1)


def change_images(x: Array, change: Change, rng: np.random.Generator) -> Array:
    """Images (n, height, width, channels), each changed in its own way."""
    return np.stack([_changed(image, change, rng) for image in x]) if len(x) else x


def _changed(image: Array, change: Change, rng: np.random.Generator) -> Array:
    """Every pixel of the new image, measured from the middle, asks where it comes from in the old
    one: at M (x, y) + shift, with M = rotation @ shear @ zoom.
    """
    if change.moves():
        height, width = image.shape[:2]
        angle, slant = np.deg2rad([rng.uniform(*change.rotation), rng.uniform(*change.shear)])
        zoom_y = rng.uniform(*change.zoom)
        zoom_x = zoom_y if change.zoom_alike else rng.uniform(*change.zoom)
        right, down = rng.uniform(*change.right), rng.uniform(*change.down)
        shift = [by * n if abs(by) < 1 else by for by, n in ((right, width), (down, height))]
        cos, sin = math.cos(angle), math.sin(angle)
        rotation = np.array([[cos, -sin], [sin, cos]])
        shear = np.array([[math.cos(slant), 0], [-math.sin(slant), 1]])
        matrix = rotation @ shear @ np.diag([zoom_x, zoom_y])
        middle = np.array([(width - 1) / 2, (height - 1) / 2])
        offset = middle - matrix @ (middle + shift)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        image = cv2.warpAffine(
            np.ascontiguousarray(image, np.float32),
            np.column_stack([matrix, offset]),
            (width, height),
            flags=flags,
            borderMode=BORDERS[change.fill_mode],
            borderValue=[change.fill_value] * 4,
        ).reshape(image.shape)
    if change.flip_columns and rng.random() < 0.5:
        image = image[:, ::-1]
    if change.flip_rows and rng.random() < 0.5:
        image = image[::-1]
    return image


@dataclass(eq=False, repr=False)
class ImageDataGenerator:
    """Images that are scaled, standardized and changed at random as training asks for them.

    Arguments are Keras': shifts are fractions of the size, or pixels from 1 on; zoom_range is a
    fraction, or the smallest and largest factor; rotation_range and shear_range are degrees.
    """

    featurewise_center: bool = False
    samplewise_center: bool = False
    featurewise_std_normalization: bool = False
    samplewise_std_normalization: bool = False
    zca_whitening: bool = False
    zca_epsilon: float = 1e-6
    rotation_range: float = 0
    width_shift_range: float = 0.0
    height_shift_range: float = 0.0
    brightness_range: Any = None
    shear_range: float = 0.0
    zoom_range: Any = 0.0
    channel_shift_range: float = 0.0
    fill_mode: str = "nearest"
    cval: float = 0.0
    horizontal_flip: bool = False
    vertical_flip: bool = False
    rescale: float | None = None
    preprocessing_function: Callable[[Array], Array] | None = None
    data_format: str | None = None
    validation_split: float = 0.0
    dtype: Any = None

    def __post_init__(self) -> None:
        self.channels_first = config.standard_data_format(self.data_format) == "channels_first"
        self.mean: Any = 0.0
        self.std: Any = 1.0
        self.zca: Array | None = None
        zoom, right, down = self.zoom_range, self.width_shift_range, self.height_shift_range
        low, high = zoom if isinstance(zoom, tuple | list) else (1 - zoom, 1 + zoom)
        self.change = Change(
            rotation=(-self.rotation_range, self.rotation_range),
            right=(-right, right),
            down=(-down, down),
            shear=(-self.shear_range, self.shear_range),
            zoom=(low, high),
            flip_columns=self.horizontal_flip,
            flip_rows=self.vertical_flip,
            fill_mode=self.fill_mode,
            fill_value=self.cval,
        )

    def fit(self, x: Any, augment: bool = False, rounds: int = 1, seed: Any = None) -> None:
        """Find mean and standard deviation of each channel of training images."""
        images, x = x, self._scaled(np.asarray(x, np.float32))
        axes = (0, 2, 3) if self.channels_first else (0, 1, 2)
        self.mean = x.mean(axis=axes, keepdims=True)[0]
        self.std = x.std(axis=axes, keepdims=True)[0] + config.epsilon()
        if self.zca_whitening:  # pixels without correlation, as near to the image as they can be
            rows = self.standardize(images).reshape(len(x), -1).astype(np.float64)
            squares, u = np.linalg.eigh(rows.T @ rows)
            there = squares > 1e-12 * squares[-1]
            scale = math.sqrt(len(x)) / (np.sqrt(squares[there]) + self.zca_epsilon)
            self.zca = ((u[:, there] * scale) @ u[:, there].T).astype(np.float32)

    def flow(
        self,
        x: Any,
        y: Any = None,
        batch_size: int = 32,
        shuffle: bool = True,
        sample_weight: Any = None,
        seed: Any = None,
        subset: str | None = None,
        save_to_dir: Any = None,
        save_prefix: str = "",
        save_format: str = "png",
        **_: Any,
    ) -> "NumpyArrayIterator":
        """Batches of changed images, without end; subset "training" or "validation"."""
        x = np.asarray(x)
        advice = "use x.reshape(-1, 28, 28, 1)"
        check(x.ndim == 4, "images of four axes, such as (n, 28, 28, 1)", x.shape, advice)
        given = (x, y, sample_weight)
        x, y, w = (None if a is None else self._subset(np.asarray(a), subset) for a in given)
        flow = NumpyArrayIterator(self, x, y, w, batch_size, shuffle, seed)
        if save_to_dir is not None:
            flow.save_as = f"{save_to_dir}/{save_prefix}_{{}}_{{}}.{save_format}"
        return flow

    def flow_from_directory(self, directory: Any, **options: Any) -> "NumpyArrayIterator":
        """Batches of the pictures in a folder that has a folder for each class. Options are Keras':
        target_size, color_mode, classes, class_mode, batch_size, shuffle, seed, subset.
        """
        subset, color_mode = options.get("subset"), options.get("color_mode", "rgb")
        folders = sorted(path for path in Path(directory).iterdir() if path.is_dir())
        names = list(options.get("classes") or [path.name for path in folders])
        found = [
            (label, path)
            for label, name in enumerate(names)
            for path in self._subset(_pictures(Path(directory, name)), subset)
        ]
        check(found, f"a folder with pictures for each class in {directory}", "no pictures")
        size = options.get("target_size", (256, 256))
        pictures = [load_img(path, color_mode=color_mode, target_size=size) for _, path in found]
        t = np.array([label for label, _ in found])
        mode = options.get("class_mode", "categorical")
        y = np.eye(len(names))[t] if mode == "categorical" else None if mode is None else t
        x, shuffle = np.stack([img_to_array(p) for p in pictures]), options.get("shuffle", True)
        size, seed = options.get("batch_size", 32), options.get("seed")
        flow = NumpyArrayIterator(self, x, y, None, size, shuffle, seed)
        flow.class_indices = {name: label for label, name in enumerate(names)}
        flow.classes, flow.filenames = t, [str(path.relative_to(directory)) for _, path in found]
        say(f"Found {len(found)} images belonging to {len(names)} classes.")
        return flow

    def _subset(self, items: Any, subset: str | None) -> Any:
        """Those for training or for validation; all if there is no subset."""
        cut = int(len(items) * self.validation_split)
        return {"training": items[cut:], "validation": items[:cut], None: items}[subset]

    def random_transform(self, x: Any, seed: Any = None) -> Array:
        return self._change(np.asarray(x, np.float32)[np.newaxis], new_generator(seed))[0]

    def standardize(self, x: Any) -> Array:
        """Images scaled and standardized, but not changed at random."""
        x = self._scaled(np.asarray(x, np.float32))
        if self.samplewise_center:
            x = x - x.mean(axis=(-1, -2, -3), keepdims=True)
        if self.samplewise_std_normalization:
            x = x / (x.std(axis=(-1, -2, -3), keepdims=True) + 1e-6)
        if self.featurewise_center:
            x = x - self.mean
        if self.featurewise_std_normalization:
            x = x / self.std
        if self.zca is not None:
            x = (x.reshape(-1, len(self.zca)) @ self.zca).reshape(x.shape)
        return x

    def _scaled(self, x: Array) -> Array:
        return x * np.float32(self.rescale) if self.rescale else x

    def _change(self, x: Array, rng: np.random.Generator) -> Array:
        if self.channels_first:
            x = x.transpose(0, 2, 3, 1)
        x = change_images(x, self.change, rng)
        if self.brightness_range is not None:
            low, high = self.brightness_range
            x = x * rng.uniform(low, high, (len(x), 1, 1, 1)).astype(np.float32)
        if self.channel_shift_range:
            shift = rng.uniform(-1, 1, (len(x), 1, 1, 1)) * self.channel_shift_range
            ends = [f(x, axis=(1, 2, 3), keepdims=True) for f in (np.min, np.max)]
            x = np.clip(x + shift, *ends).astype(np.float32)
        if self.preprocessing_function is not None:
            x = np.stack([np.asarray(self.preprocessing_function(image)) for image in x])
        return x.transpose(0, 3, 1, 2) if self.channels_first else x

    def batch(self, x: Array, rng: np.random.Generator) -> Array:
        """A batch of images, ready for training."""
        return self.standardize(self._change(x.astype(np.float32), rng)).astype(np.float32)


def _pictures(folder: Path) -> list[Path]:
    kinds = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".ppm")
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in kinds)


class NumpyArrayIterator:
    """What `flow` gives: a number of batches, each by its number, or one after another for ever."""

    class_indices: dict[str, int]
    classes: Array
    filenames: list[str]
    save_as = ""

    def __init__(
        self,
        generator: Any,
        x: Array,
        y: Any,
        weight: Any,
        batch_size: int,
        shuffle: bool,
        seed: Any,
    ) -> None:
        self.generator, self.x, self.y, self.weight = generator, x, y, weight
        self.batch_size, self.shuffle, self.n = batch_size, shuffle, len(x)
        self.rng = new_generator(seed)
        self.position = 0
        self.on_epoch_end()

    @property
    def num_classes(self) -> int:
        return len(self.class_indices)

    @property
    def samples(self) -> int:
        return self.n

    def __len__(self) -> int:
        return math.ceil(self.n / self.batch_size)

    def on_epoch_end(self) -> None:
        """Draw another order."""
        self.order = self.rng.permutation(self.n) if self.shuffle else np.arange(self.n)

    def __getitem__(self, number: int) -> Any:
        rows = self.order[number * self.batch_size : (number + 1) * self.batch_size]
        x = self.generator.batch(self.x[rows], self.rng)
        for row, picture in zip(rows, x if self.save_as else [], strict=False):
            save_img(self.save_as.format(row, self.rng.integers(10**7)), picture)
        parts = [part[rows] for part in (self.y, self.weight) if part is not None]
        return (x, *parts) if parts else x

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if self.position == len(self):
            self.reset()
        self.position += 1
        return self[self.position - 1]

    next = __next__

    def reset(self) -> None:
        self.position = 0
        self.on_epoch_end()


# --- files ----------------------------------------------------------------------------------------


def load_img(
    path: Any,
    grayscale: bool = False,
    color_mode: str | None = "rgb",
    target_size: Any = None,
    interpolation: str = "nearest",
    **_: Any,
) -> Any:
    """A picture from a file, as a PIL image; target_size is (height, width), color_mode None the
    picture's own.
    """
    from PIL import Image  # noqa: PLC0415  comes with matplotlib; few scripts open pictures

    data = path.read() if hasattr(path, "read") else Path(path).read_bytes()
    image: Any = Image.open(io.BytesIO(data))
    mode = color_mode or (image.mode if image.mode in ("L", "RGBA") else "RGB")
    mode = "L" if grayscale or mode == "grayscale" else mode.upper()
    image = image.convert(mode)
    if target_size is None:
        return image
    height, width = target_size
    ways = {"nearest": Image.Resampling.NEAREST, "bilinear": Image.Resampling.BILINEAR}
    return image.resize((width, height), ways.get(interpolation, Image.Resampling.BICUBIC))


def img_to_array(img: Any, data_format: str | None = None, dtype: Any = None) -> Array:
    """A picture as an array (height, width, channels)."""
    x = np.asarray(img, dtype or config.floatx())
    x = x[..., np.newaxis] if x.ndim == 2 else x
    first = config.standard_data_format(data_format) == "channels_first"
    return x.transpose(2, 0, 1) if first else x


def array_to_img(
    x: Any, data_format: str | None = None, scale: bool = True, dtype: Any = None
) -> Any:
    """An array (height, width, channels) as a PIL image, its range stretched if `scale`."""
    from PIL import Image  # noqa: PLC0415  as in load_img

    x = np.asarray(x, np.float32)
    if config.standard_data_format(data_format) == "channels_first":
        x = x.transpose(1, 2, 0)
    if scale and (high := (x - x.min()).max()) > 0:
        x = 255 * (x - x.min()) / high
    return Image.fromarray(np.clip(x, 0, 255).astype(np.uint8).squeeze())


def save_img(
    path: Any, x: Any, data_format: str | None = None, scale: bool = True, **_: Any
) -> None:
    array_to_img(x, data_format, scale).save(path)


def smart_resize(x: Any, size: Any, interpolation: str = "bilinear", **_: Any) -> Array:
    x, (height, width) = np.asarray(x, np.float32), size
    return cv2.resize(x, (width, height)).reshape(height, width, -1)
