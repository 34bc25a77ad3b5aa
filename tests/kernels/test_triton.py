"""The Triton kernels without a GPU: interpreted, compiled for an H100, and their place in the table.

What runs on a GPU is ``test_triton_gpu.py``.
"""

from __future__ import annotations

import ast
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree as ET

import pytest
import torch

from stylenorm.kernels import dispatch, explain, triton_norm, use_kernels
from tests.requirements_met import need

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
INTERPRETED = HERE / "interpreted.py"
NAMES = [
    node.name
    for node in ast.parse(INTERPRETED.read_text()).body
    if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[str, str]]]:
    """What became of each case of each test of ``interpreted.py``: its name, and why it failed or ''."""
    version = need("triton").__version__
    if tuple(int(part) for part in version.split(".")[:2]) < (3, 7):
        pytest.skip(f"the interpreter of triton {version} fails with numpy 2.4; from 3.7 on it works")
    report = tmp_path_factory.mktemp("interpreted") / "report.xml"
    command = [
        sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}",
        str(INTERPRETED),
    ]  # fmt: skip
    environment = os.environ | {"TRITON_INTERPRET": "1", "STYLENORM_KERNELS": "auto"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=280)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    found: dict[str, list[tuple[str, str]]] = {}
    for case in ET.parse(report).iter("testcase"):  # noqa: S314 - pytest wrote it just now
        why = "".join(f"{part.get('message')}\n{part.text}" for part in case)
        found.setdefault(case.attrib["name"].partition("[")[0], []).append((case.attrib["name"], why))
    return found


@pytest.mark.parametrize("name", NAMES)
def test_interpreted(name: str, outcomes: dict[str, list[tuple[str, str]]]) -> None:
    assert outcomes[name], "it was not run"
    failed = [f"{case}: {why}" for case, why in outcomes[name] if why]
    assert not failed, "\n".join(failed)


# Of pointers and numbers, by name. What is not here are tensors of the features' type, or 32-bit integers.
WIDE = ("part_ptr", "total_ptr")
LANES = ("pivot_ptr", "mean_ptr", "inverse_ptr", "dw_ptr", "db_ptr", "weight_ptr", "bias_ptr")
REAL = ("root_eps", "factor", "slope")


def language_type(name: str, dtype: str) -> str:
    if name in WIDE:
        return "*fp64"
    if name in LANES:
        return "*fp64" if dtype == "fp64" else "*fp32"
    if name.endswith("_ptr"):
        return f"*{dtype}"
    return "fp64" if name in REAL else "i32"


@pytest.mark.skipif(triton_norm.interpreted(), reason="TRITON_INTERPRET is set: nothing is compiled")
@pytest.mark.parametrize(
    ("dtype", "act", "channels_last", "names"),
    [
        ("fp32", "relu", False, ["norm_whole", "norm_apply", "norm_backward_measure"]),
        ("bf16", "silu", True, ["norm_measure", "norm_backward_whole", "norm_backward_apply"]),
        ("fp64", "elu", True, ["norm_merge", "norm_backward_merge", "norm_whole"]),
        ("fp16", "gelu", False, ["norm_apply", "norm_backward_whole"]),
    ],
)
def test_compiles_for_an_h100(
    dtype: str, act: str | None, channels_last: bool, names: list[str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Down to machine code: the interpreter takes what the compiler refuses."""
    need("triton")
    import triton
    import triton.language as tl
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from stylenorm.kernels import triton_backward, triton_forward

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    options = {"num_warps": 4, **triton_norm.UNFUSED}
    for name in names:
        kernel = getattr(triton_backward if "backward" in name else triton_forward, name)
        arguments = list(inspect.signature(kernel.fn).parameters)
        constants = {
            "act": act, "small": False, "channels_last": channels_last, "parts": 4, "tile_p": 256,
            "tile_c": 8 if channels_last else 1, "kind": tl.float64 if dtype == "fp64" else tl.float32,
        }  # fmt: skip
        if not channels_last:
            constants |= {"residual_ptr": None, "dres_ptr": None}
        constants = {key: value for key, value in constants.items() if key in arguments}
        source = ASTSource(
            kernel,
            signature={a: "constexpr" if a in constants else language_type(a, dtype) for a in arguments},
            constexprs={(arguments.index(key),): value for key, value in constants.items()},
            attrs={},
        )
        compiled = triton.compile(source, target=GPUTarget("cuda", 90, 32), options=options)
        assert compiled.asm["cubin"][:4] == b"\x7fELF"
        assert not re.search(r"\b(atom|red)\.", compiled.asm["ptx"]), f"{name} has atomics"


class OnAGpu(SimpleNamespace):
    """What the table asks of a tensor, on a GPU that is not there."""

    dtype, layout, shape, is_cuda = torch.float32, torch.strided, (2, 3, 8, 8), True
    device = torch.device("cuda", 0)

    def dim(self) -> int:
        return 4

    def numel(self) -> int:
        return 384


def test_the_row_of_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triton_norm, "Tensor", OnAGpu)
    monkeypatch.setattr(triton_norm, "_lacking", lambda: None)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (9, 0))
    triton_norm._too_old.cache_clear()
    x = OnAGpu()
    assert explain(x).kernel == "torch"  # it has not run on hardware
    assert "experimental" in dict(explain(x).rejected)["triton"]
    with use_kernels("triton"):
        for act in (None, *triton_norm.ACTIVATIONS):
            assert explain(x, act=act).kernel == "triton"
        assert explain(x, act="prelu").kernel == "torch"
        assert "prelu" in dict(explain(x, act="prelu").rejected)["triton"]
        assert explain(x, weight=OnAGpu(device=torch.device("cuda", 1))).kernel == "torch"
        assert explain(x, residual=OnAGpu(dtype=torch.int8)).kernel == "torch"
        assert explain(OnAGpu(shape=(1, 1 << 17, 2, 2))).kernel == "torch"
    triton_norm._too_old.cache_clear()
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (6, 1))
    assert "6.1" in dict(explain(x).rejected)["triton"]
    triton_norm._too_old.cache_clear()
    monkeypatch.setattr(triton_norm, "_lacking", lambda: "triton is not installed")
    assert explain(x).kernel == "torch"
    assert dict(explain(x).rejected)["triton"] == "triton is not installed"
    triton_norm._too_old.cache_clear()


def test_the_table_has_the_functions_of_the_kernels() -> None:
    row = dispatch.KERNELS[0]
    assert (row.name, row.extended) == ("triton", False)
    assert row.covers is triton_norm.covers
    assert (row.forward, row.backward) == (triton_norm.norm_forward, triton_norm.norm_backward)


@pytest.mark.parametrize(("version", "served"), [("3.2.0", False), ("3.3.1", True), ("3.10.0+git1", True)])
def test_oldest_triton(version: str, served: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: object())
    monkeypatch.setattr("importlib.metadata.version", lambda _: version)
    reason = triton_norm._lacking.__wrapped__()
    assert (reason is None) == served
    assert served or "expected 3.3 or later" in reason


def test_on_a_cpu_nothing_imports_triton() -> None:
    """Neither does asking for the table, nor the operators."""
    code = (
        "import sys, torch, stylenorm.kernels.triton_ops as o; from stylenorm.kernels import explain;"
        "x = torch.rand(1, 2, 3, 4); explain(x); o.norm_act(x, None, None, None, 1e-5, 0, 'relu', 0.0);"
        "print([m for m in sys.modules if m.startswith('stylenorm.kernels.triton_') and 'device' in m])"
    )
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
