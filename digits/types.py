"""The types that most modules name in their signatures.  They say what an argument is; nothing is
computed here.
"""

from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]
"""A NumPy array; the docstring of a function says of which shape and dtype."""

Shape = tuple[int, ...]
Pair = tuple[int, int]
