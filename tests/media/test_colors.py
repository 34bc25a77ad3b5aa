"""Profiles: 16 bits against the formulas, 8 bits against LittleCMS."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from stylenorm.media import encode_picture, read_picture
from tests.media.odd_pictures import chunk, photo, png_file, saved
from tests.media.odd_profiles import (
    WIDE_GAMMA,
    WIDE_MATRIX,
    cmyk_profile,
    gamma_curve,
    grey_profile,
    rgb_profile,
)

# IEC 61966-2-1 primaries under D65, and the Bradford adaptation to D50 (Lindbloom), multiplied out here
SRGB_D65 = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
BRADFORD = np.array(
    [
        [1.0478112, 0.0228866, -0.0501270],
        [0.0295424, 0.9904844, -0.0170491],
        [-0.0092345, 0.0150436, 0.7521316],
    ]
)


def srgb_encoded(linear: np.ndarray) -> np.ndarray:
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def with_profile(values: np.ndarray, profile: bytes) -> bytes:
    extra = chunk(b"iCCP", b"p\0\0" + zlib.compress(profile))
    return png_file(values, bits=values.dtype.itemsize * 8, extra=extra)


@pytest.mark.parametrize("deep", [False, True])
def test_wide_gamut_by_formula(deep: bool) -> None:
    values = photo(40, 30, deep=deep)
    top = 65535 if deep else 255
    linear = (values / top) ** WIDE_GAMMA
    expected = srgb_encoded(linear @ (np.linalg.inv(BRADFORD @ SRGB_D65) @ WIDE_MATRIX).T) * top
    picture = read_picture(with_profile(values, rgb_profile()))
    assert picture.notes == ()
    # the profile's matrix has steps of 1/65536, which sRGB's slope of 12.92 makes larger near black
    error = np.abs(picture.pixels - expected)
    assert error.max() <= (60 if deep else 0.75)
    if deep:
        assert len(np.unique(picture.pixels)) > 1000  # not 8 bits in disguise


def test_wide_gamut_agrees_with_littlecms() -> None:
    values = photo(40, 30)
    srgb = ImageCms.createProfile("sRGB")
    expected = ImageCms.profileToProfile(
        Image.fromarray(values),
        io.BytesIO(rgb_profile()),
        srgb,
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
    )
    picture = read_picture(with_profile(values, rgb_profile()))
    assert (
        np.abs(picture.pixels.astype(int) - np.asarray(expected)).max() <= 2
    )  # LittleCMS interpolates tables
    assert np.abs(picture.pixels.astype(int) - np.asarray(expected)).mean() < 0.2


PARAMETRIC = {
    0: ([2.2], lambda x: x**2.2),
    1: ([2.0, 0.9, 0.1], lambda x: (0.9 * x + 0.1) ** 2.0),
    2: ([2.0, 0.8, 0.1, 0.05], lambda x: (0.8 * x + 0.1) ** 2.0 + 0.05),
    3: ([2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045], None),
    4: (
        [2.0, 0.9, 0.0, 0.5, 0.2, 0.02, 0.01],
        lambda x: np.where(x >= 0.2, (0.9 * x) ** 2 + 0.02, 0.5 * x + 0.01),
    ),
}


@pytest.mark.parametrize("kind", PARAMETRIC)
def test_parametric_curves(kind: int) -> None:
    numbers, formula = PARAMETRIC[kind]
    formula = formula or (lambda x: np.where(x >= 0.04045, ((x + 0.055) / 1.055) ** 2.4, x / 12.92))
    curve = b"para" + bytes(4) + struct.pack(">HH", kind, 0)
    curve += struct.pack(f">{len(numbers)}i", *(round(v * 65536) for v in numbers))
    values = photo(20, 20, deep=True)
    expected = srgb_encoded(formula(values / 65535)) * 65535
    picture = read_picture(with_profile(values, rgb_profile(BRADFORD @ SRGB_D65, curve)))
    assert np.abs(picture.pixels - expected).max() <= 65535 * 1.5e-3  # the profile's own steps of 1/65536


def test_table_curve() -> None:
    entries = (np.linspace(0, 1, 64) ** 2 * 65535).round().astype(">u2")
    curve = b"curv" + bytes(4) + struct.pack(">I", 64) + entries.tobytes()
    values = photo(20, 20, deep=True)
    expected = srgb_encoded(np.interp(values / 65535, np.linspace(0, 1, 64), entries / 65535)) * 65535
    picture = read_picture(with_profile(values, rgb_profile(BRADFORD @ SRGB_D65, curve)))
    assert np.abs(picture.pixels - expected).max() <= 65535 * 1.5e-3


@pytest.mark.parametrize("deep", [False, True])
def test_grey_profile(deep: bool) -> None:
    values = photo(20, 20, 1, deep=deep)
    top = 65535 if deep else 255
    picture = read_picture(with_profile(values, grey_profile(1.0)))
    assert np.abs(picture.pixels[..., :1] - srgb_encoded(values / top) * top).max() <= 0.51
    assert picture.grey


def test_srgb_changes_nothing() -> None:
    values = photo(40, 30)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    np.testing.assert_array_equal(read_picture(with_profile(values, profile)).pixels, values)


def test_inks_by_their_profile() -> None:
    inks = np.zeros((4, 4, 4), np.uint8)
    inks[1], inks[2], inks[3] = (255, 255, 255, 255), (255, 0, 0, 0), (0, 255, 0, 0)
    source = Image.frombytes("CMYK", (4, 4), inks.tobytes())
    with_it = read_picture(saved(source, "TIFF", icc_profile=cmyk_profile())).pixels[:, 0]
    assert (with_it[0] >= 254).all()  # paper is white
    assert (with_it[1] <= 3).all()  # all inks leave L* 12, which black point compensation makes black
    assert with_it[2, 0] < with_it[2, 1]  # cyan is green rather than red
    assert with_it[3, 0] > with_it[3, 1]  # magenta is red rather than green
    plain = read_picture(saved(source, "TIFF"))
    np.testing.assert_array_equal(plain.pixels[:, 0], [[255] * 3, [0] * 3, [0, 255, 255], [255, 0, 255]])
    assert "CMYK without" in plain.notes[0]


def test_adobe_inks_are_not_inverted() -> None:
    inks = np.full((8, 8, 4), (0, 0, 0, 230), np.uint8)
    dark = read_picture(saved(Image.frombytes("CMYK", (8, 8), inks.tobytes()), "JPEG", quality=100))
    assert dark.pixels.max() < 30


def test_lab() -> None:
    lab = np.full((2, 2, 3), (128, 0, 0), np.uint8)  # L* 50, a* and b* 0, signed in the file
    picture = read_picture(saved(Image.frombytes("LAB", (2, 2), lab.tobytes()), "TIFF"))
    assert np.abs(picture.pixels.astype(int) - 119).max() <= 2  # L* 50.2 is 119 or 120 in sRGB


@pytest.mark.parametrize("profile", [b"x", b"\xa5" * 300, rgb_profile()[:200], cmyk_profile()])
def test_a_broken_profile_is_noted_and_ignored(profile: bytes) -> None:
    values = photo(8, 8)
    picture = read_picture(with_profile(values, profile))
    np.testing.assert_array_equal(picture.pixels, values)
    assert len(picture.notes) == 1
    assert "profile" in picture.notes[0]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF"])
def test_srgb_is_written(kind: str) -> None:
    data = encode_picture(read_picture(png_file(photo(9, 9))), kind, strip=True)
    assert data == encode_picture(read_picture(png_file(photo(9, 9))), kind, strip=True)
    profile = Image.open(io.BytesIO(data)).info["icc_profile"]
    opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    assert "sRGB" in ImageCms.getProfileName(opened)
    values = Image.fromarray(photo(40, 30))
    same = ImageCms.profileToProfile(values, opened, ImageCms.createProfile("sRGB"))
    assert np.abs(np.asarray(same, int) - photo(40, 30)).max() <= 1


def test_gamma_of_one_value() -> None:
    values = photo(16, 16)
    picture = read_picture(with_profile(values, rgb_profile(BRADFORD @ SRGB_D65, gamma_curve(1.0))))
    assert np.abs(picture.pixels - srgb_encoded(values / 255) * 255).max() <= 1
