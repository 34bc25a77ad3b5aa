"""What every test needs of the process, tests and doctests of the sources alike."""

import importlib.util
import os
import signal
from pathlib import Path

# The GPU kernels' doctests run only where Triton is.
collect_ignore_glob = [] if importlib.util.find_spec("triton") else ["src/stylenorm/kernels/triton_*.py"]

# Processes that tests start must run these sources, not an installed copy, and may need the tests' modules.
_ROOT = Path(__file__).parent
os.environ["PYTHONPATH"] = os.pathsep.join([str(_ROOT / "src"), str(_ROOT)])

# A shell without job control starts its background jobs deaf to Ctrl-C, and they their children.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
