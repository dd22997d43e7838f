"""What the command lines share: printing, the types of arguments, exit statuses. Text out of files
does nothing to the terminal that shows it, and a closed pipe, as `head` leaves it, is no error.
"""

import argparse
import errno
import io
import math
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn
from unicodedata import category

from digits import __version__

# --- printing -------------------------------------------------------------------------------------

INVISIBLE = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Categories of Unicode of which a terminal shows nothing, but may do something: controls, with
which escape sequences begin; formats, which turn the direction of writing; halves of characters, as
names that are no UTF-8 have them; ends of lines and paragraphs."""

CLOSED_PIPE = (errno.EPIPE, errno.EINVAL)
"""The error numbers of a closed pipe; the second is that of Windows."""

DRAWN_BY: bytes = b"tEXtSoftware\0digits"
"""In the header of every PNG that this library draws; a photograph has none."""

INTERRUPTED = 130
"""The exit status after Ctrl-C."""

FAILURES: tuple[type[Exception], ...] = (OSError, ValueError, MemoryError, ImportError)
"""What may go wrong in every program, and is told in one line."""

ENDED_BY_A_CLOSED_PIPE = 141
"""The exit status that shells give a program whose reader went away before its work was done."""


def printable(text: str, keep: str = "") -> str:
    """The text with everything invisible, except for characters in `keep`, as Python writes it in a
    literal: `\\x1b` for the character that begins an escape sequence."""
    return "".join(
        repr(letter)[1:-1] if category(letter) in INVISIBLE and letter not in keep else letter
        for letter in text
    )


def say(text: str) -> bool:
    """Print lines at once; False if the pipe has just been closed. Further output is discarded.

    Raises OSError where the lines cannot be written for another reason, such as a full disk.
    """
    return _print(text, "stdout")


def warn(text: str) -> None:
    """Print lines on stderr at once, if that is possible."""
    with suppress(OSError):
        _print(text, "stderr")


def _print(text: str, stream: str) -> bool:
    file = getattr(sys, stream) or Nowhere()
    encoding = file.encoding or "utf-8"
    shown = printable(text, keep="\n").encode(encoding, "backslashreplace").decode(encoding)
    try:
        print(shown, file=file, flush=True)
    except OSError as error:
        setattr(sys, stream, Nowhere())  # or Python would try again when it ends, and complain
        if error.errno not in CLOSED_PIPE:
            raise
        return False
    return True


class Nowhere(io.TextIOBase):
    """A stream that discards what is written to it."""

    encoding = "utf-8"

    def write(self, text: str) -> int:
        return len(text)


def open_missing_streams() -> None:
    """Give a program that was started without stdin, stdout or stderr an empty one.

    Else the next file that is opened would take its number, and get what a C library prints.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            number = os.open(os.devnull, os.O_RDWR)  # the lowest that is free: that of the stream
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))


# --- the command line -----------------------------------------------------------------------------


class Parser(argparse.ArgumentParser):
    """Reads a command line, names the program as it was called, and ends it with a status: 0 done,
    1 failed with one line on stderr, 2 wrong usage, 130 after Ctrl-C.
    """

    def __init__(self, prog: str, **options: Any) -> None:
        open_missing_streams()
        super().__init__(prog=called_as(prog), **options)
        self.color = False  # as Python 3.14 would have it, in escape sequences
        version, text = f"{self.prog} {__version__}", "print the version, and exit"
        self.add_argument("--version", action="version", version=version, help=text)

    def _print_message(self, message: str, file: object = None) -> None:
        """Print the help, the version or an error; end the program where that is not possible."""
        text = message.rstrip("\n")
        try:
            warn(text) if file is sys.stderr else say(text)
        except OSError as error:
            warn(f"{self.prog}: {error}")
            sys.exit(1)

    def error(self, message: str) -> NoReturn:
        super().error(printable(message))

    def run(self, work: Callable[[], int], *failures: type[Exception]) -> int:
        """The exit status of work(), which may fail in the usual ways and those given."""
        try:
            return work()
        except KeyboardInterrupt:
            return INTERRUPTED
        except (*FAILURES, *failures) as error:
            warn(f"{self.prog}: {error}")
            return 1


def called_as(prog: str) -> str:
    """The name by which the user started this program; `prog` where nothing tells."""
    started = Path(sys.argv[0]).name.removesuffix(".exe")
    if started == prog.replace("_", "-") or started.startswith("digits "):
        return started
    main = getattr(sys.modules["__main__"], "__spec__", None)
    if main is not None and main.name.startswith("digits."):
        return f"python -m {main.name.removesuffix('.__main__')}"
    return prog


# --- types of arguments ---------------------------------------------------------------------------

MAX_INT = 10**18
"""Integers up to here keep their size, roughly, as floats and as lengths of arrays."""


def number(kind: type, expected: str, accept: Callable[[Any], bool]) -> Callable[[str], Any]:
    """A type of argument: numbers of this kind that are accepted; `expected` names them."""

    def read(text: str) -> Any:
        with suppress(ValueError):
            if accept(value := kind(text)):
                return value
        raise argparse.ArgumentTypeError(f"expected {expected}; received {text}")

    return read


_whole = f"a whole number of at least 1 and at most {MAX_INT:,}"
positive = number(int, _whole, lambda n: 1 <= n <= MAX_INT)
count = number(int, "a whole number of at least 0", lambda n: n >= 0)
rate = number(float, "a number above 0", lambda x: 0 < x < math.inf)
dropout = number(float, "a number of at least 0 and below 1", lambda p: 0 <= p < 1)
_kept = number(float, "a number above 0 and at most 1", lambda p: 0 < p <= 1)


def keep_prob(text: str) -> Any:
    """The dropout rate that goes with a fraction of units to keep."""
    return 1 - _kept(text)


def png(text: str) -> Path:
    """The path of a picture to draw."""
    if not text.lower().endswith(".png"):
        raise argparse.ArgumentTypeError(f"expected the name of a .png file; received {text}")
    if not is_replaceable(Path(text)):
        expected = "expected a new file, or a drawing of this program"
        raise argparse.ArgumentTypeError(f"{expected}; {text} is something else")
    return Path(text)


def png_or_folder(text: str) -> Path:
    """The same, or a folder for such pictures."""
    return Path(text) if os.path.isdir(text) else png(text)


def is_replaceable(path: Path) -> bool:
    """Whether a drawing may take this name: there is no such file, or it is a drawing itself."""
    return not os.path.exists(path) or is_drawing(path)


def is_drawing(path: Path) -> bool:
    """Whether a file is a PNG that this library drew, and no photograph."""
    try:
        if not path.is_file():  # a FIFO would be waited for
            return False
        with path.open("rb") as file:
            return DRAWN_BY in file.read(200)
    except OSError:
        return False
