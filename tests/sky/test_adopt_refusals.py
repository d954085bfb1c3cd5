"""Real images that cannot be used are refused, with file, key and remedy; what can be mended is."""

import numpy as np
import pytest
import sky_maker
from astropy.io import fits
from blendimpact.data.hdus import read_hdu
from blendimpact.errors import StudyError
from blendimpact.sky.adopt.planes import count_flags, read_mask, read_science, read_variance


def small(path, **cards):
    return sky_maker.write(path, np.arange(64 * 80, dtype=float).reshape(64, 80), **cards)


@pytest.mark.parametrize(
    "cards, changes, message",
    [
        ({"CTYPE1": None, "CTYPE2": None}, {}, "WCS"),
        ({"MAGZERO": None}, {}, "MAGZERO"),
        ({}, {"zero_point_key": ...}, "no zero point"),
        ({"MAGZERO": "thirty"}, {}, "zero_point is not a finite number"),
        ({"GAIN": None}, {}, "GAIN"),
        ({}, {"gain_key": ...}, "gain"),
        ({"GAIN": -1.0}, {}, "gain"),
        ({}, {"band": ...}, "band"),
        ({"BUNIT": "MJy/sr"}, {}, "but zero_point is 30.0"),
        ({"BUNIT": "mag"}, {}, "cannot be summed"),
        ({"BUNIT": "nJy"}, {}, "31.4"),
        ({}, {"hdu": 3}, "HDU 3"),
        ({}, {"size": [81, 64]}, "80 x 64"),
        ({}, {"pixel_scale": 0.2}, "arcsec per pixel"),
    ],
)
def test_unusable_images_are_refused(tmp_path, cards, changes, message):
    path = small(tmp_path / "i.fits", **cards)
    with pytest.raises(StudyError, match=message) as caught:
        read_science(sky_maker.spec_of(path, **changes), tmp_path)
    assert "Remedy" in str(caught.value)


def test_units_that_know_their_zero_point(tmp_path):
    path = small(tmp_path / "i.fits", BUNIT="nJy")
    assert read_science(sky_maker.spec_of(path, zero_point_key=...), tmp_path)["zero_point"] == 31.4
    read = read_science(sky_maker.spec_of(path, zero_point_key=..., zero_point=31.4), tmp_path)
    assert read["unit"] == "nJy"


def test_files_that_are_not_whole(tmp_path):
    path = small(tmp_path / "i.fits")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StudyError, match="truncated"):
        read_science(sky_maker.spec_of(path), tmp_path)
    path.write_bytes(b"not fits at all" * 400)
    with pytest.raises(StudyError, match="cannot be read"):
        read_science(sky_maker.spec_of(path), tmp_path)
    with pytest.raises(StudyError, match="not there"):
        read_science(sky_maker.spec_of(tmp_path / "none.fits"), tmp_path)
    fits.PrimaryHDU().writeto(tmp_path / "empty.fits")
    with pytest.raises(StudyError, match="no pixels"):
        read_science(sky_maker.spec_of(tmp_path / "empty.fits"), tmp_path)
    fits.writeto(tmp_path / "cube.fits", np.zeros((2, 5, 5)))
    with pytest.raises(StudyError, match="two-dimensional"):
        read_hdu(tmp_path / "cube.fits", 0, "image")


def test_missing_pixels(tmp_path):
    image = np.random.default_rng(1).normal(10, 1, (64, 80))
    image[:20] = np.nan
    image[20, 0] = np.inf
    read = read_science(sky_maker.spec_of(sky_maker.write(tmp_path / "i.fits", image)), tmp_path)
    assert read["bad"].sum() == 20 * 80 + 1 and np.isfinite(read["science"]).all()
    image[:40] = np.nan
    with pytest.raises(StudyError, match="not finite"):
        read_science(sky_maker.spec_of(sky_maker.write(tmp_path / "j.fits", image)), tmp_path)


@pytest.mark.parametrize("dtype", [">f4", ">f8", ">i2", ">i4"])
def test_any_byte_order_and_type(tmp_path, dtype):
    path = small(tmp_path / "i.fits", dtype=dtype)
    read = read_science(sky_maker.spec_of(path), tmp_path)["science"]
    assert read.dtype.isnative and np.array_equal(read, np.arange(64 * 80).reshape(64, 80))


@pytest.fixture
def plain(tmp_path):
    path = small(tmp_path / "i.fits")
    return tmp_path, sky_maker.spec_of(path), read_science(sky_maker.spec_of(path), tmp_path)


def test_masks_are_checked(plain):
    folder, spec, read = plain
    meaning = [{"value": 2, "flag": "BAD", "text": "x"}]
    for array, message in ((np.zeros((10, 80), np.int16), "80 x 10"), (np.full((64, 80), 0.5), "whole numbers")):
        with pytest.raises(StudyError, match=message):
            read_mask({**spec, "mask": {**sky_maker.plane(folder, array), "meaning": meaning}}, read, folder)
    array = np.zeros((64, 80))
    array[3, 4], array[5, 6] = 3, 1  # bit 1 has no meaning: ignored
    flags = read_mask({**spec, "mask": {**sky_maker.plane(folder, array), "meaning": meaning}}, read, folder)
    assert flags[3, 4] == 1 and flags.sum() == 1 and count_flags(flags)["BAD"] == 1
    saturating = {**spec, "saturation": 5000.0}
    flags = read_mask(saturating, read_science(saturating, folder), folder)
    assert count_flags(flags)["BAD"] == (read["science"] >= 5000).sum() == 120


def test_variance_planes_are_checked(plain):
    folder, spec, read = plain
    good = np.full((64, 80), 4.0)
    flags = np.zeros((64, 80), np.uint8)
    for spoil in (np.nan, np.inf, -1.0, 0.0):  # one such pixel has no data, and the image is used
        array = good.copy()
        array[7, 8] = spoil
        entry, masked = {"kind": "variance", **sky_maker.plane(folder, array)}, flags.copy()
        assert (read_variance({**spec, "variance": entry}, read, masked, folder) == 4).all()
        assert masked[7, 8] == 1 and masked.sum() == 1
    entry = {"kind": "variance", **sky_maker.plane(folder, np.where(np.arange(80) % 2, 4.0, -4.0) + 0 * good)}
    with pytest.raises(StudyError, match="50 % of the variance plane are negative"):
        read_variance({**spec, "variance": entry}, read, flags.copy(), folder)
    with pytest.raises(StudyError, match="80 x 10"):
        read_variance(
            {**spec, "variance": {"kind": "variance", **sky_maker.plane(folder, good[:10])}}, read, flags, folder
        )
    array = good.copy()
    array[7, 8] = 0
    entry = {"kind": "weight", **sky_maker.plane(folder, array)}
    found = read_variance({**spec, "variance": entry}, read, flags, folder)
    assert flags[7, 8] == 1 and np.allclose(found, 0.25)
    entry = {"kind": "rms", **sky_maker.plane(folder, good)}
    assert np.allclose(read_variance({**spec, "variance": entry}, read, flags, folder), 16)
