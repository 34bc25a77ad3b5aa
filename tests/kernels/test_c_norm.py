"""The C kernels against float64 formulas: every type, layout, activation and instruction set."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from stylenorm.c_library import library_path
from stylenorm.functional import instance_norm
from stylenorm.kernels import c_norm, explain
from tests import reference as ref
from tests.tolerances import assert_close

if c_norm.reason_missing() is not None and shutil.which("cc") is None:
    pytest.skip("no C compiler here, so no C kernels", allow_module_level=True)

DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
SHAPES = [
    (2, 3, 8, 8),
    (1, 5, 7),
    (2, 19, 13, 11),
    (1, 4, 4161),
    (2, 6, 5, 3, 11),
    (3, 1, 600),
    (1, 33, 2, 2),
]


@pytest.fixture(params=["avx2", "baseline"])
def instructions(request: pytest.FixtureRequest):
    lib = c_norm._library()
    before = lib.sn_instructions()
    if lib.sn_use(request.param.encode()):
        pytest.skip(f"this machine has no {request.param}")
    yield request.param
    lib.sn_use(before)


def data(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 2 + 1


def channels_last(x: torch.Tensor) -> torch.Tensor:
    """The channels side by side in memory, whatever the number of axes."""
    return x.movedim(1, -1).contiguous().movedim(-1, 1)


def test_built_where_there_is_a_compiler() -> None:
    assert c_norm.reason_missing() is None, "run python hatch_build.py, or pip install the checkout"


def test_built_from_these_sources() -> None:
    root = Path(__file__).parents[2]
    code = "import sys; sys.path.insert(0, sys.argv[1]); import hatch_build as h, pathlib as p; "
    code += "print(h.digest(p.Path(sys.argv[2])))"
    folder = str(library_path().parent)
    found = subprocess.run(
        [sys.executable, "-c", code, str(root), folder], capture_output=True, text=True, check=True
    ).stdout.strip()
    assert c_norm._library().sn_sources().decode() == found, "run python hatch_build.py: the sources changed"


def test_threads_are_torchs() -> None:
    """One OpenMP runtime in the process: no second pool of threads that spins beside torch's."""
    if "OpenMP" not in torch.__config__.parallel_info():
        pytest.skip("this torch has no OpenMP")
    assert c_norm._library().sn_is_threaded() == 1
    instance_norm(torch.rand(4, 16, 128, 128))
    maps = Path("/proc/self/maps")
    if maps.exists():
        lines = [line.split()[-1] for line in maps.read_text().splitlines() if "/" in line]
        library = library_path().name
        assert any(line.endswith(library) for line in lines)
        needed = subprocess.run(["ldd", str(library_path())], capture_output=True, text=True).stdout
        assert "gomp" not in needed
        assert "torch" not in needed


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_forward(instructions: str, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    x, residual = data(*shape).to(dtype), data(*shape, seed=1).to(dtype)
    w, b = (
        data(*shape[:2], seed=2).to(torch.float64 if dtype == torch.float64 else torch.float32),
        data(shape[1], seed=3),
    )
    slopes = torch.linspace(0.1, 0.9, shape[1])
    for act, res, correction in itertools.product(
        (None, "relu", "leaky_relu", "silu", "elu", "prelu"), (None, residual), (0, 1)
    ):
        prelu = slopes if act == "prelu" else None
        options = {"weight": w, "bias": b, "residual": res, "act": act, "correction": correction}
        options |= {"negative_slope": 0.2, "alpha": 0.7, "act_weight": prelu}
        y = instance_norm(x, **options)
        expected = ref.instance_norm(
            x, w, b, residual=res, act=act, correction=correction, slope=0.2, alpha=0.7, act_weight=slopes
        )
        # Values of up to 10, and half precision is rounded once at their size.
        assert_close(y, expected, atol=2e-5 if dtype == torch.float32 else None)
        last = channels_last(x)
        options["residual"] = None if res is None else channels_last(res)
        z = instance_norm(last, **options)
        assert torch.equal(y, z), "the layout changed a bit of the result"
        assert z.stride() == last.stride() or last.is_contiguous()


def differentiate(x, w, b, r, act, slopes, given, g):
    """By torch, from the formula, in float64."""
    leaves = [None if v is None else v.detach().double().requires_grad_() for v in (x, w, b, r, slopes)]
    x, w, b, r, slopes = leaves
    if given is None:
        v = x.flatten(2)
        mean, var = v.mean(2), v.var(2, correction=0)
    else:
        mean, var = (s.double() for s in given)
    pad = (..., *(None,) * (x.dim() - 2))
    z = (x - mean[pad]) / (var + 1e-5).sqrt()[pad]
    z = z * w[pad] + b[pad]
    z = z if r is None else z + r
    acts = {
        None: lambda z: z,
        "relu": torch.relu,
        "leaky_relu": lambda z: torch.where(z > 0, z, 0.2 * z),
        "silu": lambda z: z * torch.sigmoid(z),
        "elu": lambda z: torch.where(z > 0, z, 0.7 * torch.expm1(z)),
        "prelu": lambda z: torch.where(z > 0, z, z * slopes.view(1, -1, *(1,) * (z.dim() - 2))),
    }
    wanted = [v for v in leaves if v is not None]
    return torch.autograd.grad(acts[act](z), wanted, g.double())


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(2, 3, 8, 9), (1, 5, 700), (2, 6, 5, 3, 11)], ids=str)
@pytest.mark.parametrize("frozen", [False, True])
def test_backward(instructions: str, shape: tuple[int, ...], dtype: torch.dtype, frozen: bool) -> None:
    compute = torch.float64 if dtype == torch.float64 else torch.float32
    x, g = data(*shape).to(dtype), data(*shape, seed=9).to(dtype)
    w, b = data(*shape[:2], seed=2).to(compute), data(*shape[:2], seed=3).to(compute)
    given = (data(*shape[:2], seed=5), data(*shape[:2], seed=6).abs() + 0.5) if frozen else None
    for act, with_residual in itertools.product(
        (None, "relu", "leaky_relu", "silu", "elu", "prelu"), (False, True)
    ):
        r = data(*shape, seed=4).to(dtype) if with_residual else None
        slopes = torch.linspace(0.1, 0.9, shape[1]) if act == "prelu" else None
        expected = differentiate(x, w, b, r, act, slopes, given, g)
        found = {}
        for lay in (torch.Tensor.contiguous, channels_last):
            leaves = [
                None if v is None else v.detach().clone().requires_grad_()
                for v in (lay(x), w, b, None if r is None else lay(r), slopes)
            ]
            y = instance_norm(
                leaves[0], weight=leaves[1], bias=leaves[2], residual=leaves[3], act=act,
                act_weight=leaves[4], negative_slope=0.2, alpha=0.7, statistics=given,
            )  # fmt: skip
            found[lay] = torch.autograd.grad(y, [v for v in leaves if v is not None], g)
        for one, other, true in zip(*found.values(), expected, strict=True):
            assert torch.equal(one, other), "the layout changed a bit of a gradient"
            scale = float(true.abs().max())  # sums of up to 700 terms
            assert_close(one, true, atol=scale * {torch.float32: 2e-6, torch.float64: 1e-12}.get(dtype, 8e-3))


def test_a_plane_that_is_cut_has_the_same_bits() -> None:
    """Planes shared out among threads, against each one alone on one thread."""
    x = data(1, 3, 300_000)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(4)
        shared = instance_norm(x, act="silu")
        last = instance_norm(channels_last(x), act="silu")
        torch.set_num_threads(1)
        apart = torch.cat([instance_norm(x[:, i : i + 1], act="silu") for i in range(3)], 1)
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(shared, apart)
    assert torch.equal(last, apart)
    assert_close(shared, ref.instance_norm(x, act="silu"))


@pytest.mark.parametrize("layout", [torch.Tensor.contiguous, channels_last])
def test_a_pivot_far_from_the_mean_is_corrected(layout) -> None:
    """All of the positions that the pivot is taken from lie: 2 of 3 planes have them 1e4 deviations away."""
    x = torch.randn(1, 3, 16000, generator=torch.Generator().manual_seed(0))
    x[:, :2, ::1000] += 1e4
    # Without a second look the error is 1e-3.
    assert_close(instance_norm(layout(x)), ref.instance_norm(x), rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("layout", [torch.Tensor.contiguous, channels_last])
@pytest.mark.parametrize("inplace", [False, True])
def test_planes_that_leave_the_range(layout, inplace: bool) -> None:
    """Huge, tiny, constant and NaN planes beside an ordinary one, each as if it were alone."""
    x = data(1, 6, 40)
    x[:, 1] *= 1e30
    x[:, 2] *= 1e-30
    x[:, 3] = 7.25
    x[:, 4, 5] = float("nan")
    expected = ref.instance_norm(x, eps=0.0, act="leaky_relu")
    y = instance_norm(layout(x), eps=0.0, act="leaky_relu", inplace=inplace)
    assert bool(y[:, 4].isnan().all())
    keep = [0, 1, 2, 3, 5]
    assert_close(y[:, keep], expected[:, keep])
    w = torch.full((6,), 1e38)  # scale times reciprocal deviation overflows
    y = instance_norm(layout(data(1, 6, 40) * 1e-6), weight=w, eps=0.0)
    assert not bool(y.isnan().any())


def test_forked_child_works() -> None:
    """A child process has none of torch's threads; waiting for them would never end."""
    code = """
import os, torch
from stylenorm.c_library import library_path
from stylenorm.functional import instance_norm
torch.set_num_threads(4)
x = torch.rand(8, 16, 128, 128)
y = instance_norm(x)
child = os.fork()
if child == 0:
    z = instance_norm(x)
    torch.set_num_threads(1)  # torch's own comparison would wait for the threads
    os._exit(0 if torch.equal(z, y) else 3)
os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], timeout=100, check=False)
    assert done.returncode == 0


def test_which_kernel_runs() -> None:
    choice = explain(torch.rand(1, 2, 4, 4), act="relu")
    assert choice.kernel == "c"
    assert "baseline" in choice.about or "avx2" in choice.about
    assert dict(choice.rejected)["torch"] == "it is not the first that serves this call"
