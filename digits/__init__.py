"""Neural networks for handwritten digits in pure NumPy: `from digits import Dense, Sequential`.

All public names can be imported from here. The module behind a name is imported when the name is
first used, so that `import digits` takes no time.
"""

from importlib import import_module
from pkgutil import get_data

__version__ = "0.1.0"

_STUB = (get_data(__name__, "__init__.pyi") or b"").decode()  # "from MODULE import NAME as NAME"
_WORDS = [line.split() for line in _STUB.splitlines() if line.startswith("from ")]
_MODULES = {words[-1]: words[1] for words in _WORDS}

__all__ = sorted(_MODULES)  # noqa: PLE0605  (sorted gives a list)


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module 'digits' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_MODULES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
