"""The shape of a tensor, as scripts for TensorFlow ask for it: a tuple with its methods."""

import math
from typing import Any


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
