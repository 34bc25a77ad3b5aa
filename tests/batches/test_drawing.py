"""What chance draws: the same everywhere, evenly spread, and known from outside."""

from __future__ import annotations

import hashlib
import random
import subprocess
import sys
import unicodedata
from collections import Counter
from pathlib import Path

import pytest

from stylenorm.batches import RandomStyles, Shard, StrengthRange, drawn_number, parse_random_styles
from stylenorm.errors import InputError
from stylenorm.zoo import shipped_network
from tests.cli.conftest import write_photo

KEYS = [f"class{i % 10}/{i}.jpg" for i in range(4000)]


def test_a_number_is_the_hash_of_its_arguments() -> None:
    digest = hashlib.sha256(b"7\0style\0cats/1.jpg\0" + b"0").digest()
    assert drawn_number(7, "style", "cats/1.jpg") == pytest.approx(
        int.from_bytes(digest[:8], "big") / 2**64, abs=1e-15
    )


def test_another_process_draws_the_same() -> None:
    code = "from stylenorm.batches import drawn_number; print(repr(drawn_number(3, 'style', 'ä/b.jpg', 1)))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert float(said) == drawn_number(3, "style", "ä/b.jpg", 1)


def test_both_spellings_of_an_accent_draw_the_same() -> None:
    composed, apart = (unicodedata.normalize(form, "é.jpg") for form in ("NFC", "NFD"))
    assert composed != apart
    assert drawn_number(0, "style", composed) == drawn_number(0, "style", apart)


def test_styles_are_even_independent_of_order_and_of_the_seed() -> None:
    draw = RandomStyles(("a", "b", "c", "d"), seed=1)
    drawn = {key: draw.styles(key) for key in KEYS}
    shuffled = KEYS[:]
    random.Random(0).shuffle(shuffled)  # noqa: S311
    assert all(draw.styles(key) == drawn[key] for key in shuffled)
    counts = Counter(style for (style,) in drawn.values())
    assert all(abs(count - 1000) < 5 * (1000 * 0.75) ** 0.5 for count in counts.values())  # 5 deviations
    other = RandomStyles(("a", "b", "c", "d"), seed=2)
    same = sum(other.styles(key) == drawn[key] for key in KEYS)
    assert abs(same - 1000) < 5 * (1000 * 0.75) ** 0.5


def test_several_styles_differ_and_begin_with_those_of_fewer() -> None:
    names = ("a", "b", "c", "d")
    for key in KEYS[:200]:
        three = RandomStyles(names, 5, 3).styles(key)
        assert len(set(three)) == 3
        assert three[:2] == RandomStyles(names, 5, 2).styles(key)
        assert set(RandomStyles(names, 5, 4).styles(key)) == set(names)


def test_strengths_fill_their_range() -> None:
    drawn = [StrengthRange(0.4, 0.9, seed=3).strength(key, "scream") for key in KEYS]
    assert 0.4 <= min(drawn) < 0.41
    assert 0.89 < max(drawn) <= 0.9
    assert sum(drawn) / len(drawn) == pytest.approx(0.65, abs=5 * 0.5 / 12**0.5 / len(KEYS) ** 0.5)
    assert len(set(drawn)) > 2000
    assert StrengthRange(0.7, 0.7).strength("a", "b") == 0.7


def test_shards_are_a_partition_of_even_parts() -> None:
    parts = [[key for key in KEYS if Shard(i, 8).has(key)] for i in range(1, 9)]
    assert sorted(key for part in parts for key in part) == sorted(KEYS)
    assert all(abs(len(part) - 500) < 5 * (500 * 7 / 8) ** 0.5 for part in parts)


@pytest.mark.parametrize("text", ["0/4", "5/4", "3", "a/b", "1/0", "-1/3"])
def test_shards_that_are_none(text: str) -> None:
    with pytest.raises(InputError, match="expected i/n"):
        Shard.parse(text)


def test_what_random_draws_from(tmp_path: Path) -> None:
    network = shipped_network()
    assert parse_random_styles("scream", network) is None
    assert parse_random_styles("random", network) == network.style_names()
    assert parse_random_styles("random:scream, great-wave", network) == ("scream", "great-wave")
    for name in ("b.png", "deep/a.jpg"):
        write_photo(tmp_path / name)
    (tmp_path / "own.safetensors").touch()
    (tmp_path / "notes.txt").touch()
    found = parse_random_styles(f"random:{tmp_path}", network)
    assert found == tuple(str(tmp_path / name) for name in ("b.png", "deep/a.jpg", "own.safetensors"))


@pytest.mark.parametrize("text", ["random:", "random: , "])
def test_nothing_to_draw_from(text: str) -> None:
    with pytest.raises(InputError, match="something to draw from"):
        parse_random_styles(text, shipped_network())


def test_more_styles_than_there_are() -> None:
    with pytest.raises(InputError, match="expected 1 to 2"):
        RandomStyles(("a", "b"), per_picture=3)
