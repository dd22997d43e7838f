"""Checks the answers to the guide's exercises, and says what is wrong with them."""

from typing import Any

import numpy as np


def check(name: str, yours: Any, expected: Any) -> str:
    """A sentence about your array or number, compared with the expected one."""
    try:
        a, b = np.asarray(yours), np.asarray(expected)
    except ValueError:
        return f"{name}: expected an array; received rows of different lengths"
    if a.dtype.kind == "c":
        return f"{name}: expected real numbers; received complex ones, whose real part is y.real"
    if a.dtype.kind not in "biuf":
        return f"{name}: expected numbers; received {type(yours).__name__}"
    if a.shape != b.shape:
        hint = "; it looks transposed" if a.shape == b.shape[::-1] else ""
        return f"{name} has the wrong shape: expected {b.shape}, received {a.shape}{hint}"
    if not np.all(np.isfinite(a)):
        return f"{name} contains nan or infinity: something overflows, or 0 is divided by 0"
    if same(a, b):
        return f"{name} is correct"
    if same(-a, b):
        return f"{name} has the right size and the wrong sign"
    if a.ndim == 2 and a.shape[0] == a.shape[1] and same(a.T, b):
        return f"{name} is transposed"
    if np.any(a) and np.any(b):
        ratio = float(np.sum(a * b) / np.sum(b * b))
        if ratio and same(a / ratio, b):
            return f"{name} is {ratio:.4g} times the expected array: look for a missing factor"
    if same(a - np.mean(a), b - np.mean(b)):
        return f"{name} is off by the constant {float(np.mean(a) - np.mean(b)):.4g}"
    wrong = ~np.isclose(a, b, rtol=1e-4, atol=1e-6)
    where = np.unravel_index(int(np.argmax(wrong)), a.shape) if a.ndim else ()
    position = f"[{', '.join(map(str, where))}]" if where else ""
    return (
        f"{name} is wrong in {np.count_nonzero(wrong):,} of {a.size:,} numbers: "
        f"{name}{position} is {a[where]:.4g}, expected {b[where]:.4g}"
    )


def same(a: Any, b: Any) -> bool:
    """Whether two arrays of one shape agree, apart from the rounding of float32."""
    scale = float(np.max(np.abs(b), initial=0.0))
    return bool(np.allclose(a, b, rtol=1e-3, atol=1e-4 * scale or 1e-6))
