"""What the command lines say to people. Text out of files does nothing to the terminal that shows
it, and a reader who goes away, as `head` does, is no error.
"""

import argparse
import errno
import io
import sys
from contextlib import suppress
from typing import NoReturn
from unicodedata import category

UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Categories of Unicode of which a terminal shows nothing, but may do something: controls, with
which escape sequences begin; formats, which turn the direction of writing; halves of characters, as
names that are no UTF-8 have them; ends of lines and paragraphs."""

NOBODY_READS = (errno.EPIPE, errno.EINVAL)
"""How a pipe that is closed is called; the second by Windows."""

ENDED_BY_A_CLOSED_PIPE = 141
"""The exit status that shells give a program whose reader went away before its work was done."""


def printable(text: str, keep: str = "") -> str:
    """The text with everything that cannot be seen, except for characters in `keep`, as Python
    writes it in a literal: `\\x1b` for the character that begins an escape sequence."""
    return "".join(
        repr(letter)[1:-1] if category(letter) in UNSEEN and letter not in keep else letter
        for letter in text
    )


def say(text: str) -> bool:
    """Print lines at once; False if whoever read them has just gone away.

    What else is said then goes nowhere, so that who has more to do than to talk need not care.
    Raises OSError where the lines cannot be written for another reason, such as a full disk.
    """
    return _print(text, "stdout")


def warn(text: str) -> None:
    """Print lines on stderr at once, if that is possible."""
    with suppress(OSError):
        _print(text, "stderr")


def _print(text: str, stream: str) -> bool:
    file = getattr(sys, stream)
    encoding = file.encoding or "utf-8"
    shown = printable(text, keep="\n").encode(encoding, "backslashreplace").decode(encoding)
    try:
        print(shown, file=file, flush=True)
    except OSError as error:
        setattr(sys, stream, Nowhere())  # or Python would try again when it ends, and complain
        if error.errno not in NOBODY_READS:
            raise
        return False
    return True


class Nowhere(io.TextIOBase):
    """Takes what nobody reads."""

    def write(self, text: str) -> int:
        return len(text)


class Parser(argparse.ArgumentParser):
    """Gives help and refuses words in the manner of this module."""

    def print_help(self, file: object = None) -> None:
        say(self.format_help().rstrip("\n"))

    def error(self, message: str) -> NoReturn:
        warn(f"{self.format_usage()}{self.prog}: error: {printable(message)}")
        sys.exit(2)
