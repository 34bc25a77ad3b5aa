"""Style and Statistics: arithmetic, files, and what they refuse."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save, save_file

from stylenorm import Statistics, Style
from stylenorm.errors import InputError, ShapeError, StyleMismatchError
from tests.tolerances import assert_close

SIZES = (3, 2)


def make_style(name: str, seed: int, *, gate: float = 0.0, network: str = "net") -> Style:
    vector = np.random.default_rng(seed).normal(size=2 * sum(SIZES) + 1).astype(np.float32)
    vector[-1] = gate
    return Style.from_vector(
        vector, SIZES, name=name, artist="A. Painter", licence="public domain", network=network
    )


A, B, IDENTITY = make_style("a", 0), make_style("b", 1), make_style("identity", 2, gate=1.0)


def test_vector_is_gamma_then_beta_of_each_norm_then_the_gate() -> None:
    style = Style(
        (np.float32([1, 2, 3]), np.float32([7, 8])),
        (np.float32([4, 5, 6]), np.float32([9, 10])),
        photo_gate=11.0,
    )
    assert style.vector().tolist() == list(range(1, 12))
    assert style.sizes == SIZES


def test_file_gives_back_everything(tmp_path: Path) -> None:
    style = Style.from_vector(
        A.vector(), SIZES, name="a", artist="X", title="T", year="1889", network="n", licence="l"
    )
    style = Style(**{**vars(style), "record": {"seed": "0", "steps": "12"}})
    (tmp_path / "a.safetensors").write_bytes(style.to_bytes())
    loaded = Style.load(tmp_path / "a.safetensors")
    np.testing.assert_array_equal(loaded.vector(), style.vector())
    for field in ("name", "artist", "title", "year", "licence", "network", "record"):
        assert getattr(loaded, field) == getattr(style, field)


def test_a_style_file_is_a_few_kb() -> None:
    sizes = (48,) * 11 + (16,)
    style = Style.from_vector(np.zeros(2 * sum(sizes) + 1, np.float32), sizes, name="x")
    assert len(style.to_bytes()) < 8_000


@given(st.floats(0, 1))
def test_mixture_is_the_mean_of_the_vectors(t: float) -> None:
    mixed = (t * A + (1 - t) * B).vector()
    assert_close(mixed, t * A.vector().astype(float) + (1 - t) * B.vector().astype(float))


def test_a_mixture_has_a_licence_only_if_all_have_the_same() -> None:
    for theirs, expected in (("public domain", "public domain"), ("CC BY 4.0", ""), ("", "")):
        other = replace(B, licence=theirs)
        assert (0.5 * A + 0.5 * other).licence == expected
        assert (0.5 * other + 0.5 * A).licence == expected


def test_mixture_that_does_not_add_up_is_refused_and_can_be_normalized() -> None:
    half = 0.3 * A + 0.2 * B
    with pytest.raises(InputError, match=r"add up to 1, got 0\.5"):
        half.vector()
    assert_close(half.normalized().vector(), 0.6 * A.vector() + 0.4 * B.vector())
    with pytest.raises(InputError, match="expected more"):
        (A + -1 * B).normalized()


def test_weaken() -> None:
    assert A.weaken(1.0, IDENTITY) is A
    assert_close(A.weaken(0.0, IDENTITY).vector(), IDENTITY.vector())
    assert_close(A.weaken(0.25, IDENTITY).vector(), 0.25 * A.vector() + 0.75 * IDENTITY.vector())
    for bad in (-0.1, 1.1, float("nan")):
        with pytest.raises(InputError, match="strength"):
            A.weaken(bad, IDENTITY)


def test_styles_of_two_networks_do_not_mix() -> None:
    with pytest.raises(StyleMismatchError, match="belongs to network other"):
        A + make_style("c", 3, network="other")


@pytest.mark.parametrize("factor", ["2", None, float("inf"), float("nan")])
def test_only_finite_numbers_scale(factor: object) -> None:
    with pytest.raises(TypeError):
        A * factor  # type: ignore[operator]


def test_wrong_shapes() -> None:
    with pytest.raises(ShapeError, match=rf"style vector: expected \({2 * sum(SIZES) + 1},\), got \(5,\)"):
        Style.from_vector(np.zeros(5, np.float32), SIZES)
    with pytest.raises(ShapeError, match="norm 0"):
        Style((np.zeros(3, np.float32),), (np.zeros(2, np.float32),))
    with pytest.raises(ShapeError, match="a beta for each gamma"):
        Style((np.zeros(3, np.float32),), ())


def bad_files(folder: Path) -> dict[str, Path]:
    (folder / "text.safetensors").write_text("no tensors here")
    (folder / "cut.safetensors").write_bytes(A.to_bytes()[:-10])
    save_file({"x": np.zeros(2)}, folder / "other.safetensors")
    save_file({"gamma.00": np.zeros(2)}, folder / "half.safetensors", {"format": "stylenorm-style-1"})
    return {p.stem: p for p in folder.glob("*.safetensors")} | {"missing": folder / "none", "folder": folder}


@pytest.mark.parametrize("name", ["text", "cut", "other", "half", "missing", "folder"])
def test_bad_style_files(name: str, tmp_path: Path) -> None:
    path = bad_files(tmp_path)[name]
    with pytest.raises(InputError, match="expected a") as caught:
        Style.load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def features(seed: int, width: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.normal(100, 1, size=(c, 5, width)).astype(np.float32) for c in SIZES]


@given(st.lists(st.integers(0, 6), min_size=1, max_size=4))
def test_merged_statistics_are_those_of_the_whole(widths: list[int]) -> None:
    parts = [features(i, w) for i, w in enumerate(widths)]
    whole = [np.concatenate(layer, axis=2).astype(np.float64) for layer in zip(*parts, strict=True)]
    if whole[0].size == 0:
        return
    measured = [Statistics.measure(p) for p in parts if p[0].size]
    merged = measured[0]
    for other in measured[1:]:
        merged = merged.merge(other)
    for i, layer in enumerate(whole):
        assert merged.counts[i] == layer[0].size
        assert_close(merged.means[i], layer.mean(axis=(1, 2)))
        assert_close(merged.variances()[i], layer.var(axis=(1, 2)), rtol=1e-8)


def test_frozen_scale_and_shift_are_the_norm() -> None:
    layers = features(0, 7)
    for x, (scale, shift), gamma, beta in zip(
        layers, Statistics.measure(layers).freeze(A), A.gammas, A.betas, strict=True
    ):
        x64 = x.astype(np.float64)
        mean, var = x64.mean(axis=(1, 2), keepdims=True), x64.var(axis=(1, 2), keepdims=True)
        expected = (x64 - mean) / np.sqrt(var + 1e-5) * gamma[:, None, None] + beta[:, None, None]
        # shift is rounded to float32 at about 100 x scale: 1e-5 absolute
        assert_close(x64 * scale[:, None, None] + shift[:, None, None], expected, atol=5e-5)


def test_statistics_file(tmp_path: Path) -> None:
    statistics = Statistics.measure(features(0, 3))
    (tmp_path / "s.safetensors").write_bytes(statistics.to_bytes())
    loaded = Statistics.load(tmp_path / "s.safetensors")
    assert loaded.counts == statistics.counts
    for mine, theirs in zip(loaded.means + loaded.m2s, statistics.means + statistics.m2s, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    with pytest.raises(InputError, match="statistics file"):
        Statistics.load(tmp_path / "none")
    (tmp_path / "style.safetensors").write_bytes(A.to_bytes())
    with pytest.raises(InputError, match="expected a statistics file"):
        Statistics.load(tmp_path / "style.safetensors")


def test_statistics_of_other_networks_do_not_merge() -> None:
    with pytest.raises(ShapeError, match="same norms"):
        Statistics.measure([np.zeros((2, 3))]).merge(Statistics.measure([np.zeros((3, 3))]))
    with pytest.raises(ShapeError, match="expected norms"):
        Statistics.measure([np.zeros((2, 3))]).freeze(A)


def test_a_file_that_is_all_header_is_told_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "none").write_bytes(save({}, {"format": "stylenorm-statistics-1"}))
    with pytest.raises(InputError, match="expected whole statistics, but tensor 'counts' is missing"):
        Statistics.load(tmp_path / "none")
