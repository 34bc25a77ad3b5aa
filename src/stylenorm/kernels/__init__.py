"""Fused kernels behind ``stylenorm.functional``: C for the CPU, Triton for CUDA devices, and plain torch.

``explain`` says which of them runs for a tensor, and why; ``use_kernels`` and the environment variable
``STYLENORM_KERNELS`` force one. docs/kernels.md has the table, what was measured, and how.
"""

from __future__ import annotations

from stylenorm.kernels.dispatch import Choice, explain, use_kernels

__all__ = ["Choice", "explain", "use_kernels"]
