"""What tests of the C kernels share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from stylenorm.kernels import c_norm


@pytest.fixture
def avx2() -> Iterator[Any]:
    """The library, made to use AVX2 for as long as the test runs."""
    lib = c_norm._library()
    before = lib.sn_instructions()
    if lib.sn_use(b"avx2"):
        pytest.skip("this machine has no avx2")
    yield lib
    lib.sn_use(before)


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    """Sets torch's number of threads, which is put back afterwards."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)
