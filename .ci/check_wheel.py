"""Check wheels: what an index shows of them, and what is in them. Usage: check_wheel.py WHEEL ..."""

import re
import sys
import tomllib
import zipfile
from email.parser import HeaderParser
from pathlib import Path

ROOT = Path(__file__).parents[1]
MOST_MB = 30


def check(path: Path) -> str:
    """Raise AssertionError with what is wrong; return a line about the wheel."""
    with zipfile.ZipFile(path) as wheel:
        names = wheel.namelist()
        (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        text = wheel.read(metadata).decode()
    fields = HeaderParser().parsestr(text)
    readme = fields.get_payload()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    tag = path.stem.split("-")[-1]
    kernels = [name for name in names if re.search(r"_c/stylenorm_norm\.(so|dylib)$", name)]
    assert (tag == "any") == (not kernels), f"tagged {tag}, but the kernels in it are {kernels}"
    assert not tag.startswith("linux_"), f"{tag}: an index takes manylinux; is auditwheel installed?"
    links = re.findall(r"\]\(([^)\s]+)\)", str(readme))
    inner = [link for link in links if not re.match(r"https?://|#", link)]
    assert links, "the description has no links"
    assert not inner, f"the description has links that lead nowhere on an index: {inner}"
    urls = dict(line.split(", ", 1) for line in fields.get_all("Project-URL"))
    assert urls == project["urls"]
    for needed in (
        "zoo/data/network.onnx",
        "zoo/data/model-card.md",
        "perceptual/data/vgg16.safetensors",
        "py.typed",
    ):
        assert f"stylenorm/{needed}" in names, f"{needed} is missing"
    foreign = [name for name in names if not re.match(r"stylenorm(-[^/]+\.(dist-info|data))?/", name)]
    assert not foreign, f"not ours to install: {foreign}"
    megabytes = path.stat().st_size / 1e6
    assert megabytes < MOST_MB, f"{megabytes:.1f} MB"
    manual = any(name.endswith("share/man/man1/stylenorm.1") for name in names)
    return f"{path.name}: {megabytes:.1f} MB, {len(names)} files, kernels {bool(kernels)}, manual {manual}"


for each in sys.argv[1:]:
    print(check(Path(each)))
