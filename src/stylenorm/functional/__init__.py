"""The mathematics of the normalization family, on torch tensors; no state, no modules.

Pictures and features are (N, C, *spatial). Every function says which axes it pools, which estimator of the
variance it uses and where it differs from its paper or from torch.
"""

from __future__ import annotations

from stylenorm.functional.conditional import conditional_instance_norm
from stylenorm.functional.instance_norm import instance_norm

__all__ = ["conditional_instance_norm", "instance_norm"]
