"""What pytest must know of the sources: their doctests run, the GPU kernels' only where Triton is."""

import importlib.util

collect_ignore_glob = [] if importlib.util.find_spec("triton") else ["src/stylenorm/kernels/triton_*.py"]
