"""Memory that is freed stays: the kernel clears no pages for it a second time."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys, torch
from stylenorm.allocation import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.zeros(1 << 24).add_(1)  # 64 MB
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults()
without = faults()
print(keep_freed_memory())
faults()
print(without, faults())
"""


@pytest.mark.skipif(
    not sys.platform.startswith("linux") or platform.libc_ver()[0] != "glibc", reason="glibc's allocator"
)
def test_pages_are_not_asked_for_again() -> None:
    pytest.importorskip("torch")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        check=True,
    )
    kept, counts = done.stdout.splitlines()
    without, within = (int(count) for count in counts.split())
    assert kept == "True"
    assert within < without / 5
