"""Build the C kernels into the wheel, or into a checkout: ``python hatch_build.py``.

Where there is no C compiler, or it fails, the package is built without them and runs plain torch operations;
``stylenorm doctor`` says so. ``STYLENORM_BUILD_KERNELS=0`` leaves them out, ``=1`` makes a failure an error.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # run as a script, where hatchling need not be installed
    BuildHookInterface = object  # type: ignore[assignment, misc]

FOLDER = Path("src/stylenorm/kernels/_c")
# No contraction: a multiplication and an addition are fused where the source says so, in all layouts alike.
FLAGS = [
    "-std=gnu11", "-O2", "-ftree-vectorize", "-fPIC", "-fvisibility=hidden", "-ffp-contract=off",
    "-fno-math-errno", "-fno-trapping-math",
]  # fmt: skip


def compiler() -> list[str] | None:
    """The command of a C compiler of the GCC or Clang family; None where there is none."""
    asked = shlex.split(os.environ.get("CC", ""))
    for command in [asked] if asked else [["cc"], ["gcc"], ["clang"]]:
        if shutil.which(command[0]):
            return command
    return None


def digest(folder: Path) -> str:
    """A digest of the sources, so that a library can be told from one of older sources."""
    content = b"".join(path.read_bytes() for path in sorted(folder.glob("*.[ch]")))
    return hashlib.sha256(content).hexdigest()[:16]


def build(root: Path) -> Path | None:
    """Compile the library beside its sources; its path, or None with the reason on standard error."""
    wish = os.environ.get("STYLENORM_BUILD_KERNELS", "")
    folder = root / FOLDER
    library = folder / ("stylenorm_norm" + (".dylib" if sys.platform == "darwin" else ".so"))
    if wish == "0":
        library.unlink(missing_ok=True)
        return None
    reason = "no C compiler was found (cc, gcc, clang)"
    command = compiler()
    if sys.platform == "win32":
        reason = "the C kernels need GCC's vector types and POSIX threads"
    elif command is not None:
        try:
            compile_library(command, folder, library)
            return library
        except (subprocess.CalledProcessError, OSError) as error:
            output = getattr(error, "stderr", None) or str(error)
            reason = f"{shlex.join(command)} failed: {output.strip()[-2000:]}"
    library.unlink(missing_ok=True)
    if wish == "1":
        raise RuntimeError(f"STYLENORM_BUILD_KERNELS=1, but the C kernels were not built: {reason}")
    print(f"stylenorm: the C kernels are left out: {reason}", file=sys.stderr)  # noqa: T201
    return None


def compile_library(command: list[str], folder: Path, library: Path) -> None:
    """Compile for each instruction set, side by side, and put the library in its place at once."""
    x86 = platform.machine().lower() in ("x86_64", "amd64") and sys.maxsize > 2**32
    with tempfile.TemporaryDirectory() as scratch:
        parts = {
            "norm": [f'-DSOURCES="{digest(folder)}"', str(folder / "norm.c")],
            "baseline": ["-DINSTRUCTIONS=sn_baseline", str(folder / "kernels.c")],
        }
        if x86:
            avx2 = ["-mavx2", "-mfma", "-mf16c"]
            parts["avx2"] = ["-DINSTRUCTIONS=sn_avx2", *avx2, str(folder / "kernels.c")]
            parts["avx2_conv"] = ["-DINSTRUCTIONS=sn_convs_avx2", *avx2, str(folder / "conv.c")]
            parts["avx2_spatial"] = [*avx2, str(folder / "spatial.c")]
            parts["avx2_noise"] = [*avx2, str(folder / "noise.c")]
            parts["avx2_paint"] = [*avx2, str(folder / "paint.c")]

        def compile_part(name: str) -> str:
            out = str(Path(scratch) / f"{name}.o")
            run([*command, *FLAGS, *parts[name], "-c", "-o", out])
            return out

        with ThreadPoolExecutor(len(parts)) as pool:
            objects = list(pool.map(compile_part, parts))
        linked = library.with_suffix(f".{os.getpid()}.part")
        try:
            run([*command, "-shared", "-o", str(linked), *objects, "-lm", "-pthread"])
            linked.replace(library)
        finally:
            linked.unlink(missing_ok=True)


def run(command: list[str]) -> None:
    """Run a compiler's command; what it says belongs to the error."""
    subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603


class KernelBuildHook(BuildHookInterface):  # type: ignore[misc]
    """Compile before the wheel is put together; a wheel with the library is for one platform."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling; ``version`` is "standard" or "editable"."""
        manual = Path(self.root) / "build" / "stylenorm.1"  # .ci/manual.py writes it
        if manual.is_file():
            build_data["shared_data"][str(manual)] = "share/man/man1/stylenorm.1"
        library = build(Path(self.root))
        if library is None or version == "editable":
            return  # an editable install finds the library in the checkout
        build_data["pure_python"] = False
        tag = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        tag = tag.replace("universal2", platform.machine())  # one architecture was compiled
        build_data["tag"] = f"py3-none-{tag}"  # any Python: the library does not know of it
        build_data["artifacts"].append(str(library.relative_to(self.root)))


if __name__ == "__main__":
    built = build(Path(__file__).parent)
    print(built or "not built")  # noqa: T201
