"""The studio's server: who is answered, what is painted, and where files may go."""

from __future__ import annotations

import io
import json
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

from stylenorm import Stylizer
from stylenorm.errors import OutputError
from stylenorm.films import PRESETS
from stylenorm.studio import Studio, site_files
from tests.requirements_met import need
from tests.studio.asking import ask, body_of, token_of
from tests.tolerances import assert_close

need("starlette")
need("uvicorn")

NETWORK = PRESETS["live"].open_network()
SCREAM = NETWORK.style("scream").vector()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("paintings")


@pytest.fixture(scope="module")
def studio(folder: Path) -> Iterator[Studio]:
    with Studio(engine="openvino", save_to=folder, max_megapixels=1) as page:
        yield page


def picture(kind: str = "PNG", size: tuple[int, int] = (46, 30), **saving: object) -> bytes:
    ramp = np.linspace(0, 255, size[0] * size[1] * 3).astype(np.uint8).reshape(size[1], size[0], 3)
    file = io.BytesIO()
    Image.fromarray(ramp[::-1]).save(file, kind, **saving)
    return file.getvalue()


def pixels_of(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)))


def test_the_page(studio: Studio) -> None:
    status, headers, content = ask(studio, "/", token=None)
    assert status == 200
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert b'name="stylenorm-native" content="yes"' in content
    assert token_of(studio).encode() not in content  # it is in the link's fragment, and nowhere else
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "'unsafe-inline'" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cross-origin-embedder-policy"] == "require-corp"
    assert headers["x-content-type-options"] == "nosniff"
    status, again, _ = ask(studio, "/", token=None, If_None_Match=headers["etag"])
    assert (status, again["etag"]) == (304, headers["etag"])


def test_the_runtime_is_sent_as_it_is_kept(studio: Studio) -> None:
    path = "/runtime/ort-wasm-simd-threaded.jspi.wasm"
    _, plain_headers, plain = ask(studio, path, token=None)
    _, headers, packed = ask(studio, path, token=None, Accept_Encoding="gzip, br")
    assert headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain_headers
    assert plain[:4] == b"\0asm"
    assert zlib.decompress(packed, 31) == plain


@pytest.mark.parametrize("path", ["/../pyproject.toml", "/%2e%2e/%2e%2e/etc/passwd", "/etc/passwd", "/js/"])
def test_nothing_but_the_page_is_served(studio: Studio, path: str) -> None:
    assert ask(studio, path)[0] == 404


@pytest.mark.parametrize("token", [None, "wrong", "wröng".encode().decode("latin-1")])
@pytest.mark.parametrize("route", ["about", "paint", "render", "decode"])
def test_without_the_secret_nothing_is_done(studio: Studio, route: str, token: str | None) -> None:
    assert ask(studio, f"/api/{route}", b"", token=token)[0] == 403


@pytest.mark.parametrize("path", ["/", "/api/about"])
def test_a_hostile_host_or_origin(studio: Studio, path: str) -> None:
    address = urlsplit(studio.url).netloc
    port = urlsplit(studio.url).port
    for host in ("evil.example", f"evil.example:{port}", f"127.0.0.1.evil.example:{port}", "127.0.0.1:1"):
        assert ask(studio, path, b"", Host=host)[0] == 403, host
    for origin in ("http://evil.example", "null", f"https://{address}", f"http://{address}.evil.example"):
        assert ask(studio, path, b"", Origin=origin)[0] == 403, origin
    if path != "/":
        assert ask(studio, path, b"", Origin=f"http://{address}")[0] == 200
        assert ask(studio, path, b"", Host=f"localhost:{port}", Origin=f"http://localhost:{port}")[0] == 200


def test_pixels_are_painted_as_by_a_stylizer(studio: Studio) -> None:
    image = np.random.default_rng(0).integers(0, 256, (30, 46, 4), np.uint8)
    image[..., 3] = 255
    body = body_of(SCREAM, image.tobytes(), width=46, height=30, keepColors=True, strokeSize=2)
    status, headers, content = ask(studio, "/api/paint", body)
    assert (status, headers["cache-control"]) == (200, "no-store")
    painted = np.frombuffer(content, np.uint8).reshape(30, 46, 4)
    expected = Stylizer("scream", network=NETWORK)(image[..., :3], keep_colors=True, stroke_size=2)
    assert_close(painted[..., :3], expected)
    assert (painted[..., 3] == 255).all()


def test_a_file_is_painted_upright_at_its_full_size(studio: Studio) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    photo = picture("JPEG", quality=95, exif=exif)
    status, headers, content = ask(studio, "/api/render", body_of(SCREAM, photo, format="png"))
    assert (status, headers["content-type"]) == (200, "image/png")
    upright = np.rot90(pixels_of(photo), -1)
    assert_close(pixels_of(content), Stylizer("scream", network=NETWORK)(np.ascontiguousarray(upright)))


def test_saving_in_the_folder(studio: Studio, folder: Path) -> None:
    names = []
    for _ in range(2):
        body = body_of(SCREAM, picture(), format="png", name="photo.scream.png")
        status, headers, _ = ask(studio, "/api/render", body)
        assert status == 201
        names.append(headers["x-saved-as"])
    assert names == ["photo.scream.png", "photo.scream-2.png"]  # nothing is overwritten
    assert (folder / names[0]).read_bytes() == (folder / names[1]).read_bytes()


@pytest.mark.parametrize(
    "name",
    ["../out.png", "/out.png", "a\\b.png", "c:out.png", ".hidden.png", "out.sh", ".png", "a\0.png"],
)
def test_no_name_leads_out_of_the_folder(studio: Studio, folder: Path, name: str) -> None:
    before = sorted(folder.parent.rglob("*"))
    body = body_of(SCREAM, picture(), format="png", name=name)
    status, _, content = ask(studio, "/api/render", body)
    assert (status, content.count(b"\n")) == (400, 0)
    assert sorted(folder.parent.rglob("*")) == before


def test_without_a_folder_nothing_is_written() -> None:
    with Studio(engine="fake") as page:
        told = json.loads(ask(page, "/api/about", b"")[2])
        assert told["folder"] == ""
        body = body_of(SCREAM, picture(), format="png", name="photo.png")
        status, _, content = ask(page, "/api/render", body)
    assert status == 400
    assert b"--save-to" in content


def bomb() -> bytes:
    """A PNG that says it is 50000 x 50000, in a few bytes."""
    content = bytearray(picture())
    content[16:24] = (50_000).to_bytes(4, "big") * 2
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    return bytes(content)


@pytest.mark.parametrize(
    ("route", "body", "said"),
    [
        ("render", body_of(SCREAM, bomb()), "megapixels"),
        ("decode", bomb(), "megapixels"),
        ("decode", b"no picture", "picture"),
        ("render", body_of(SCREAM, picture("BMP")[:900]), "truncated"),
        ("render", body_of(SCREAM, b"/etc/passwd"), "picture"),
        ("render", body_of(SCREAM[:-9], b""), "request"),
        ("render", body_of(SCREAM * np.nan, picture()), "finite"),
        ("render", body_of(SCREAM, picture(), format="svg"), "png or jpeg"),
        ("render", body_of(SCREAM, picture(), preset="../live"), "request"),
        ("render", body_of(SCREAM, picture(), strokeSize=1e9), "stroke size"),
        ("paint", body_of(SCREAM, b"", width=1, height=1), "bytes"),
        ("paint", body_of(SCREAM, b"", width=60_000, height=60_000), "megapixels"),
        ("paint", b"\xff\xff\xff\xff", "request"),
        ("paint", b"", "request"),
    ],
)
def test_what_is_wrong_is_one_sentence(studio: Studio, route: str, body: bytes, said: str) -> None:
    status, _, content = ask(studio, f"/api/{route}", body)
    text = content.decode()
    assert status == 400, text
    assert said in text
    assert "<bytes>" not in text
    assert "\n" not in text
    assert not re.search(r"Traceback|site-packages", text)


def test_a_request_that_is_too_large(studio: Studio) -> None:
    status, _, content = ask(studio, "/api/decode", bytes(6_000_000))
    assert (status, b"MB" in content) == (400, True)


def test_no_folder_to_save_to(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="make it first"):
        Studio(save_to=tmp_path / "none")


def test_the_page_can_be_had_only_by_reading_its_own_files() -> None:
    html = site_files()["index.html"].content.decode()
    assert 'content="no"' in html  # the exported page asks no server for an engine
    assert not re.search(r"(?:src|href)=\"(?:https?:)?//", html)
