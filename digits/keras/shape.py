"""The shape of a tensor, as scripts for TensorFlow ask for it: a tuple with its methods; and a
shape with a dtype, which says what the elements of a data set are.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np


class TensorShape(tuple[int | None, ...]):
    """Sizes of axes; None for the number of samples of a model."""

    __slots__ = ()

    def as_list(self) -> list[int | None]:
        return list(self)

    @property
    def rank(self) -> int:
        return len(self)

    ndims = rank

    def num_elements(self) -> int | None:
        return None if None in self else math.prod(size or 0 for size in self)

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        return TensorShape(found) if isinstance(found, tuple) else found


@dataclass(frozen=True)
class TensorSpec:
    """The shape, dtype and name of tensors; None for a size that is not always the same."""

    shape: Any = None
    dtype: Any = np.float32
    name: str | None = None

    def __post_init__(self) -> None:
        shape = None if self.shape is None else TensorShape(self.shape)
        vars(self).update(shape=shape, dtype=np.dtype(self.dtype))
