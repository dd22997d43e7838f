"""Objects as plain values and back, in the form of Keras 3: {"module": ..., "class_name": ...,
"config": ...}. What an object is made of again are the arguments of its `__init__`, kept under
their own names.
"""

import difflib
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from digits.validation import check

_custom: dict[str, Any] = {}
"""Classes and functions of the user, by the names that files may hold for them."""


def get_custom_objects() -> dict[str, Any]:
    """Names that files may hold besides Keras' own, and what they stand for; add to it."""
    return _custom


@contextmanager
def custom_object_scope(objects: Any = None) -> Iterator[None]:
    """A block in which files may hold other names: {"MyLayer": MyLayer}."""
    before = dict(_custom)
    _custom.update(objects or {})
    try:
        yield
    finally:
        _custom.clear()
        _custom.update(before)


def register_keras_serializable(
    package: str = "Custom", name: str | None = None
) -> Callable[[Any], Any]:
    """Decorates a class or function that files may name."""

    def decorate(kind: Any) -> Any:
        own = name or kind.__name__
        _custom.update(dict.fromkeys((own, kind.__name__, f"{package}>{own}"), kind))
        return kind

    return decorate


class Configured:
    """An object that keeps every argument of its `__init__` as an attribute of that name."""

    module = "keras"

    def get_config(self) -> dict[str, Any]:
        """The arguments that make this object again, as plain values."""
        return {name: plain(getattr(self, name)) for name in argument_names(type(self))}

    @classmethod
    def from_config(cls, config: dict[str, Any], **_: Any) -> Any:
        """The object that has this configuration; what is not set in it needs no argument."""
        if any(p.kind is p.VAR_KEYWORD for p in inspect.signature(cls).parameters.values()):
            return cls(**config)
        names = argument_names(cls)
        return cls(**{key: value for key, value in config.items() if key in names or value})

    def serialize(self) -> dict[str, Any]:
        """The configuration with the name of the class."""
        return {
            "module": self.module,
            "class_name": type(self).__name__,
            "config": self.get_config(),
            "registered_name": None,
        }

    def __repr__(self) -> str:
        names = [name for name in argument_names(type(self)) if hasattr(self, name)]
        arguments = (f"{name}={getattr(self, name)!r}" for name in names)
        return f"{type(self).__name__}({', '.join(arguments)})"


def with_side(side: type, kind: type) -> Any:
    """A class of digits.nn, `kind`, which does the work, with the arguments of Keras, `side`."""
    module = {"__doc__": kind.__doc__, "__module__": side.__module__}
    return type(kind.__name__, (side, kind), module)


def argument_names(kind: type) -> list[str]:
    """Names of the arguments of `__init__`, those of **options left out."""
    parameters = inspect.signature(kind.__init__).parameters.values()  # type: ignore[misc]
    variadic = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return [p.name for p in parameters if p.name != "self" and p.kind not in variadic]


def plain(value: Any) -> Any:
    """The value as JSON can hold it."""
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if hasattr(value, "serialize"):
        return value.serialize()
    if callable(value):
        return getattr(value, "__name__", type(value).__name__)
    return value


def from_table(identifier: Any, table: dict[str, Any], kind: type, meaning: str) -> Any:
    """An object of `kind`, given as itself, as its class, by name, or as a configuration."""
    if identifier is None or isinstance(identifier, kind):
        return identifier
    if isinstance(identifier, dict) and "class_name" in identifier:
        made = _found(identifier["class_name"], table, kind, meaning)
        config = identifier.get("config") or {}
        return made.from_config(config) if hasattr(made, "from_config") else made
    if isinstance(identifier, str):
        identifier = _found(identifier, table, kind, meaning)
    if isinstance(identifier, type) and issubclass(identifier, kind):
        return identifier()
    if callable(identifier):
        return identifier
    raise ValueError(f"expected {meaning}; received {identifier!r}")


def _found(name: str, table: dict[str, Any], kind: type, meaning: str) -> Any:
    known = {key: item for key, item in table.items() if is_public(key, item, kind)} | _custom
    lower = {key.lower().replace("_", ""): item for key, item in known.items()}
    item = known.get(name, lower.get(str(name).lower().replace("_", "")))
    close = difflib.get_close_matches(str(name), known, n=3) or sorted(known)
    check(item is not None, f"{meaning} such as {', '.join(close)}", name)
    return item


def is_public(key: str, item: Any, kind: type) -> bool:
    """Whether an entry of a module is one of its objects of that kind, or makes one."""
    if key.startswith("_"):
        return False
    return isinstance(item, kind) or (isinstance(item, type) and issubclass(item, kind))
