"""The spellings of Keras 1 and 2. They work; each says once, in one line on stderr, what it is
called today.
"""

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

from digits.cli import warn

F = TypeVar("F", bound=Callable[..., Any])

_told: set[str] = set()


def note(text: str) -> None:
    """Say a line on stderr, the first time."""
    if text not in _told:
        _told.add(text)
        warn(f"digits.keras: {text}")


def renamed(**names: str | None) -> Callable[[F], F]:
    """Decorates a function, or a class, that takes arguments under old names,
    `renamed(lr="learning_rate")`; None stands for an argument that has no effect any more.
    """

    def decorate(function: F) -> F:
        if isinstance(function, type):
            function.__init__ = decorate(function.__init__)  # type: ignore[misc]
            return function

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            for old in names.keys() & kwargs.keys():
                value, today = kwargs.pop(old), names[old]
                if today is None:
                    note(f"{old}= has no effect")
                    continue
                note(f"{old}= is called {today}= today")
                kwargs.setdefault(today, value)
            return function(*args, **kwargs)

        return cast(F, call)

    return decorate


ALIASES = {"acc": "accuracy", "val_acc": "val_accuracy", "lr": "learning_rate"}
"""Old names of what training logs, and those of today."""
_OTHER_NAME = ALIASES | {today: old for old, today in ALIASES.items()}


class Logs(dict[str, Any]):
    """What training logs, by name; the accuracy is found as "acc" and as "accuracy"."""

    def __missing__(self, key: str) -> Any:
        other = _OTHER_NAME.get(key, key)
        if not super().__contains__(other):
            raise KeyError(f"{key}: there are {', '.join(self)}")
        note(f"the log {key!r} is called {other!r} today")
        return super().__getitem__(other)

    def __contains__(self, key: object) -> bool:
        return super().__contains__(key) or super().__contains__(_OTHER_NAME.get(str(key)))

    def get(self, key: str, default: Any = None) -> Any:
        """The value under either name, or the default."""
        return self[key] if key in self else default


def ask_for(value: Any, argument: str, advice: str) -> None:
    """Raise ValueError if an argument that this library takes at its default only is set."""
    if isinstance(value, list):
        value = tuple(value)
    default = (None, False, 0, 1, (1,), (1, 1), (), "sum_over_batch_size")
    if value is True or value not in default:
        raise ValueError(f"expected {argument} at its default; received {value!r}: {advice}")
