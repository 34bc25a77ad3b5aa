"""What every test needs of the process, tests and doctests of the sources alike."""

import importlib.util
import os
import shutil
import signal
import tempfile
from pathlib import Path

import pytest

# The GPU kernels' doctests run only where Triton is.
collect_ignore_glob = [] if importlib.util.find_spec("triton") else ["src/stylenorm/kernels/triton_*.py"]

# Processes that tests start must run these sources, not an installed copy, and may need the tests' modules.
_ROOT = Path(__file__).parent
os.environ["PYTHONPATH"] = os.pathsep.join([str(_ROOT / "src"), str(_ROOT)])

# A shell without job control starts its background jobs deaf to Ctrl-C, and they their children.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Several processes that use all cores each would wait for each other.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

_RUN = "STYLENORM_TEST_RUN"  # where the processes of a run find what one of them has made for all
_MOST_PROCESSES = 8  # each takes about a gigabyte


def pytest_configure(config: pytest.Config) -> None:
    """The first process of a run makes its folder; the others, and what they start, inherit its name."""
    if _RUN not in os.environ:
        os.environ[_RUN] = folder = tempfile.mkdtemp(prefix="stylenorm-tests-")
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that take longest go first: at the end a process would work on one while the others wait."""
    first = [_ROOT / "tests" / area for area in ("training", "lab", "studio")]
    items.sort(key=lambda item: not any(folder in item.path.parents for folder in first))


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """The whole suite runs in a process a core, what is named on the command line in this one."""
    if config.args_source is not pytest.Config.ArgsSource.TESTPATHS:
        return 0
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, _MOST_PROCESSES)
