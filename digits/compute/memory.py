"""What the C library does with freed memory. A training step makes the same arrays as the one
before it, so freed memory should be kept and not go back to the system, which gives memory out
again slowly, page by page, each filled with zeros first.
"""

import functools

import numpy as np

MAX_BLOCK = 31 * 1024 * 1024
"""Bytes. Linux' C library adapts to blocks of up to 32 MB: `man mallopt`, M_MMAP_THRESHOLD."""


@functools.cache  # once in a process is enough
def keep_freed_memory() -> None:
    """Let the C library keep freed blocks up to this size, and twice as much in all.

    It takes the size of the largest block that has been freed as the size of those that come and
    go. Without it distorting a batch of images takes two to four times as long. Nothing is written
    into the block, so it costs no memory; where the library adapts in another way nothing changes.
    """
    np.empty(MAX_BLOCK, np.uint8)  # asked for, and freed at once
