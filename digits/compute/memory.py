"""What the C library does with memory that is given back.  A training step makes the same arrays
as the one before it, so what it frees should be kept at hand and not go back to the system, which
gives memory out again slowly, page by page, each filled with zeros first.
"""

import numpy as np

LARGEST = 31 * 1024 * 1024
"""Bytes.  Linux' C library learns from blocks of up to 32 MB: `man mallopt`, M_MMAP_THRESHOLD."""


def keep_freed_memory() -> None:
    """Let the C library keep blocks as large as this one, and twice as much in all.

    It takes the size of the largest block that has been freed as the size of those that come and
    go.  Without this lesson a step of LeNet-5 takes half as long again.  Nothing is written into
    the block, so it costs no memory; where the library learns in another way nothing changes.
    """
    np.empty(LARGEST, np.uint8)  # asked for, and freed at once
