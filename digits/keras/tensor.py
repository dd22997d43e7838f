"""Arrays with the method that scripts expect of TensorFlow's: `.numpy()`."""

from typing import Any

import numpy as np

from digits.types import Array


class Tensor(np.ndarray):
    """A NumPy array, which scripts may ask for `.numpy()`."""

    def numpy(self) -> Array:
        """The plain array; a plain number if there is just one without a shape."""
        return np.asarray(self)[()]

    def __getitem__(self, key: Any) -> "Tensor":
        return np.asarray(super().__getitem__(key)).view(Tensor)

    def eval(self, session: Any = None, feed_dict: Any = None) -> Array:
        return self.numpy()

    def get_shape(self) -> tuple[int, ...]:
        return self.shape

    def assign(self, value: Any) -> "Tensor":
        self[...] = value
        return self

    def assign_add(self, value: Any) -> "Tensor":
        return self.assign(self.numpy() + np.asarray(value))

    def assign_sub(self, value: Any) -> "Tensor":
        return self.assign(self.numpy() - np.asarray(value))

    def set_shape(self, shape: Any) -> None:
        """Nothing to do: an array knows its shape."""

    def value(self) -> "Tensor":
        return self

    def __str__(self) -> str:
        return f"tf.Tensor({np.asarray(self)}, shape={self.shape}, dtype={self.dtype})"

    def __repr__(self) -> str:
        numbers = repr(np.asarray(self)) if self.ndim else self.numpy()
        return f"<tf.Tensor: shape={self.shape}, dtype={self.dtype}, numpy={numbers}>"

    def __format__(self, spec: str) -> str:
        return format(self.numpy(), spec) if self.ndim == 0 else super().__format__(spec)


def tensor(x: Any, dtype: Any = None) -> Tensor:
    """x as a Tensor; Python's floats become float32 and integers int32, as in TensorFlow."""
    array = np.asarray(x)
    if dtype is not None:
        array = array.astype(dtype)
    elif not hasattr(x, "dtype"):
        array = array.astype({"f": np.float32, "i": np.int32}.get(array.dtype.kind, array.dtype))
    return array.view(Tensor)
