"""Neural networks for handwritten digits in pure NumPy: `from digits import Dense, Sequential`.

All public names can be imported from here. The module behind a name is imported when the name is
first used, so that `import digits` takes no time.
"""

from importlib import import_module

__version__ = "0.1.0"

with open(__file__ + "i", encoding="utf-8") as _stub:  # lines "from MODULE import NAME as NAME"
    _WORDS = [line.split() for line in _stub if line.startswith("from ")]
_MODULES = {words[-1]: words[1] for words in _WORDS}

__all__ = sorted(_MODULES)  # noqa: PLE0605  (sorted gives a list)


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module 'digits' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_MODULES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
