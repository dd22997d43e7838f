"""A training step finds the memory that the step before it gave back."""

import platform
import subprocess
import sys

import pytest

STEPS = """
import resource
import numpy as np
from digits.compute.memory import keep_freed_memory

def pages():
    began = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        arrays = [np.ones((3 + i, 100_000), np.float32) for i in range(3)]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - began

before = pages()
keep_freed_memory()
pages()
print(before, pages())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is another one")
def test_memory_that_was_freed_is_not_asked_for_again() -> None:
    result = subprocess.run(
        [sys.executable, "-c", STEPS], capture_output=True, text=True, check=True, timeout=60
    )
    before, after = map(int, result.stdout.split())
    assert before > 1000  # without it, the arrays come page by page
    assert after < before / 20
