"""Network folders and how styles are written down."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stylenorm.errors import InputError, StyleMismatchError, UnknownNameError
from stylenorm.style import Style
from stylenorm.zoo import NetworkFolder, parse_style, shipped_network
from stylenorm.zoo import network_folder as folder_module
from tests.engines.tiny_network import STYLES, tiny_network


@pytest.fixture(scope="module")
def network() -> NetworkFolder:
    return tiny_network()


@pytest.fixture
def copied(network: NetworkFolder, tmp_path: Path) -> Path:
    return Path(shutil.copytree(network.path, tmp_path / "copied"))


def test_a_folder_says_what_it_holds(network: NetworkFolder) -> None:
    assert network.style_names() == STYLES
    assert network.norm_sizes == (24, 24, 24, 8)
    assert network.style_length == 2 * 80 + 1
    assert dict(network.config) == {"family": "quarter", "width": 24, "num_blocks": 1}
    assert network.graph.is_file()
    assert network.thumbnail("scream") is None


def test_styles_load_and_fit(network: NetworkFolder) -> None:
    style = network.style("great-wave")
    assert (style.name, style.artist, style.network) == (
        "great-wave",
        "Artist of great-wave",
        network.identity,
    )
    assert style.vector().shape == (network.style_length,)
    assert network.style("identity").photo_gate == 1


def test_thumbnails(copied: Path) -> None:
    (copied / "thumbnails").mkdir()
    (copied / "thumbnails" / "scream.jpg").write_bytes(b"")
    assert NetworkFolder.open(copied).thumbnail("scream") == copied / "thumbnails" / "scream.jpg"


@pytest.mark.parametrize("name", ["scraem", "", ".", "../styles/scream", "all"])
def test_unknown_styles(network: NetworkFolder, name: str) -> None:
    with pytest.raises(UnknownNameError, match="Known: great-wave, scream, starry-night"):
        network.style(name)


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found no such folder"):
        NetworkFolder.open(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"found no network\.json in it"):
        NetworkFolder.open(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot be read"),
        ("[]", "lacks something"),
        (
            '{"format": "stylenorm-network-9"}',
            "of format stylenorm-network-1, got 'stylenorm-network-9'",
        ),
        ('{"format": "stylenorm-network-1", "identity": "x"}', "lacks something"),
        (
            '{"format": "stylenorm-network-1", "identity": "x", "norm_sizes": ["a"], "config": {}}',
            "lacks something",
        ),
    ],
)
def test_a_broken_description(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "network.json").write_text(content)
    with pytest.raises(InputError, match=message):
        NetworkFolder.open(tmp_path)


def test_a_style_of_another_network(copied: Path) -> None:
    description = json.loads((copied / "network.json").read_text())
    (copied / "network.json").write_text(json.dumps({**description, "identity": "0" * 16}))
    with pytest.raises(StyleMismatchError, match="use a style made for this network"):
        NetworkFolder.open(copied).style("scream")


def test_no_network_ships(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(folder_module, "_SHIPPED", tmp_path)
    with pytest.raises(InputError, match="ships no network: name a network folder"):
        shipped_network()


def test_the_shipped_network_is_a_network_folder(
    network: NetworkFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_module, "_SHIPPED", network.path)
    assert shipped_network().identity == network.identity


# --- how styles are written down ----------------------------------------------------------------------------


def test_a_name_and_a_file_are_the_same_style(network: NetworkFolder) -> None:
    by_name = parse_style("scream", network)
    by_file = parse_style(str(network.path / "styles" / "scream.safetensors"), network)
    assert np.array_equal(by_name.vector(), by_file.vector())


@pytest.mark.parametrize(
    ("text", "weights"),
    [
        ("scream:0.6,great-wave:0.4", (0.6, 0.4)),
        (" scream : 3 , great-wave:1 ", (0.75, 0.25)),
        ("scream,great-wave", (0.5, 0.5)),
        ("scream:1e-1,great-wave:.3", (0.25, 0.75)),
        ("{styles}/scream.safetensors:0.6,great-wave:0.4", (0.6, 0.4)),
    ],
)
def test_mixtures(network: NetworkFolder, text: str, weights: tuple[float, float]) -> None:
    mixed = parse_style(text.format(styles=network.path / "styles"), network).vector().astype(np.float64)
    scream, wave = (network.style(name).vector().astype(np.float64) for name in ("scream", "great-wave"))
    np.testing.assert_allclose(mixed, weights[0] * scream + weights[1] * wave, rtol=1e-5, atol=1e-6)


def test_a_file_whose_name_looks_like_a_mixture(network: NetworkFolder, tmp_path: Path) -> None:
    odd = tmp_path / "a,b:0.5.safetensors"
    shutil.copy(network.path / "styles" / "scream.safetensors", odd)
    assert parse_style(str(odd), network).name == "scream"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a name, a file, or a mixture"),
        ("scream,", "expected a name, a file, or a mixture"),
        ("scream:0.6", "for a weaker painting use strength 0.6"),
        ("scream:x,great-wave:1", "expected a number after the colon, got 'x'"),
        ("scream:0,great-wave:1", "expected a weight greater than 0, got 0"),
        ("scream:-1,great-wave:1", "expected a weight greater than 0, got -1"),
        ("scream:nan,great-wave:1", "expected a weight greater than 0, got nan"),
        ("scream:inf,great-wave:1", "expected a weight greater than 0, got inf"),
        ("scraem:1,great-wave:1", "unknown style 'scraem': did you mean 'scream'"),
        ("all", "unknown style 'all'"),
        ("my/own.safetensors", "cannot read it"),
        ("own.safetensors", "cannot read it"),
    ],
)
def test_what_is_no_style(network: NetworkFolder, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_style(text, network)


@pytest.mark.parametrize(
    ("named", "name"),
    [
        ("SCREAM", "scream"),
        ("Great Wave", "great-wave"),
        ("starry_night", "starry-night"),
        ("Artist of Scream", "scream"),
        ("artist-of-great-wave", "great-wave"),
    ],
)
def test_styles_are_found_as_people_write_them(network: NetworkFolder, named: str, name: str) -> None:
    assert network.style(named).name == name
    assert parse_style(named, network).name == name


def test_artists_and_titles_are_names_too(copied: Path) -> None:
    for name, artist, title in (
        ("scream", "Edvard Munch", "The Scream of Nature"),
        ("starry-night", "Vincent van Gogh", "Nuit étoilée"),
        ("great-wave", "Vincent van Gogh", "Not his"),
    ):
        path = copied / "styles" / f"{name}.safetensors"
        style = Style.load(path)
        path.write_bytes(dataclasses.replace(style, artist=artist, title=title).to_bytes())
    network = NetworkFolder.open(copied)
    assert network.style("munch").name == "scream"
    assert network.style("the scream of nature").name == "scream"
    assert network.style("NUIT ETOILEE").name == "starry-night"
    with pytest.raises(InputError, match="an artist of several: great-wave, starry-night; name one"):
        network.style("van-gogh")
    with pytest.raises(UnknownNameError):
        network.style("monet")


def test_a_folder_or_a_file_without_a_suffix_as_a_style(network: NetworkFolder, tmp_path: Path) -> None:
    (tmp_path / "folder.d").mkdir()
    for place in (tmp_path, tmp_path / "folder.d"):
        with pytest.raises(InputError, match="is a folder; name a style file or a picture in it"):
            parse_style(str(place), network)
    Image.new("RGB", (30, 30)).save(tmp_path / "art", "PNG")
    seen: list[Path] = []

    def predict(path: Path, network: NetworkFolder) -> Style:
        seen.append(path)
        return network.style("scream")

    parse_style(str(tmp_path / "art"), network, predict)
    assert seen == [tmp_path / "art"]
    (tmp_path / "text").write_text("no style")
    with pytest.raises(InputError, match="expected a style file"):
        parse_style(str(tmp_path / "text"), network, predict)


@pytest.mark.parametrize("text", ["", "  "])
def test_an_empty_style(network: NetworkFolder, text: str) -> None:
    with pytest.raises(InputError, match="got an empty one"):
        parse_style(text, network)
