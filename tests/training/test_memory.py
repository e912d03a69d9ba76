"""What a step of training gives back to the allocator is there for the next one."""

import platform
import subprocess
import sys

import pytest

PAGES_OF_FIVE_PIECES = """
import resource, sys
from stillspeak.training.memory import keep_memory

if sys.argv[1] == "kept":
    keep_memory()
bytearray(b"1") * 40_000_000
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    bytearray(b"1") * 40_000_000
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library than glibc")
def test_large_pieces_are_made_where_the_last_ones_were():
    pages = {
        how: int(subprocess.check_output([sys.executable, "-c", PAGES_OF_FIVE_PIECES, how])) for how in ("kept", "not")
    }
    assert pages["kept"] < pages["not"] / 10
