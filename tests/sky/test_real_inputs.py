"""Images as users have them: units, data, planes and headers in common forms; each is understood or refused."""

import numpy as np
import pytest
import sky_maker
import yaml
from astropy.io import fits
from astropy.table import Table
from blendimpact.config.real_image import load_image
from blendimpact.data.hdus import read_hdu
from blendimpact.errors import StudyError
from blendimpact.populations.catalogue import standardise
from blendimpact.sky.adopt.checks import check_images
from blendimpact.sky.adopt.image import adopt
from blendimpact.sky.adopt.patches import adopt_patches
from blendimpact.sky.adopt.planes import no_data, read_facts, read_mask, read_science
from blendimpact.sky.injection import inject
from blendimpact.sky.injection_flags import FLAG

SHAPE = (300, 320)
MOFFAT = {"kind": "moffat", "fwhm": sky_maker.FWHM, "beta": sky_maker.BETA, "size": 31}


@pytest.fixture(scope="module")
def image():
    return sky_maker.make_sky(SHAPE, level=3.0, slope=0.0)[0]


@pytest.fixture(scope="module")
def adopted(image, tmp_path_factory):
    """Return a function that writes pixels and cards as an image and adopts it."""
    folder = tmp_path_factory.mktemp("inputs")

    def make(pixels=image, changes=(), **cards):
        path = sky_maker.write(folder / "i.fits", pixels, dtype=cards.pop("dtype", ">f4"), **cards)
        return adopt(sky_maker.spec_of(path, psf=MOFFAT, **dict(changes)), folder)

    return make


@pytest.fixture(scope="module")
def plain(adopted):
    return adopted()


# --- pixels without data -----------------------------------------------------------------------------


def test_a_strip_of_zeros_is_no_sky(adopted, plain, image):
    image = image.copy()
    image[:, :60] = 0
    found = adopted(image)
    assert (found.mask[:, :60] == 1).all() and (found.mask[:, 60:] == 0).all()
    assert found.report["blank_fraction"] == pytest.approx(60 / 320) and found.report["not_finite_fraction"] == 0
    assert found.sky_variance.min() > 0 and found.report["sky"]["rms_min"] > 0
    depths = [one.report["depth"]["point_source_depth"] for one in (found, plain)]
    assert depths[0] == pytest.approx(depths[1], abs=0.05)


def test_values_that_are_no_sky_are_found():
    noise = np.random.default_rng(2).normal(3, 1.5, SHAPE).astype(np.float32)
    everywhere = np.ones(SHAPE, bool)
    assert not no_data(noise, everywhere).any()
    assert not no_data(np.round(noise).astype(np.int16), everywhere).any()  # few values, no areas
    spoilt = noise.copy()
    spoilt[40:200, 100:102] = 0  # a dead line of two columns
    spoilt[7, 9] = -32768
    spoilt[8, 9] = 3e37
    spoilt[150:154, 250:270] = 65535  # smaller than the window: part of a star as well as not
    wanted = spoilt != noise
    wanted[150:154, 250:270] = False
    assert np.array_equal(no_data(spoilt, everywhere), wanted)


def test_values_beyond_float32_are_bad(adopted, image):
    found = adopted(np.where(np.arange(SHAPE[1]) == 100, 1e300, image), dtype=">f8")
    assert (found.mask[:, 100] == 1).all() and found.report["masked_pixels"]["BAD"] == SHAPE[0]
    assert np.isfinite(found.science).all()


# --- units -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit, zero_point", [("nanomaggy", 22.5), ("MJy", -6.1), ("W m-2 Hz-1", -56.1)])
def test_the_same_image_in_other_units(adopted, plain, image, unit, zero_point):
    """Every S/N is the same; the zero point is that of the unit."""
    factor = 10 ** (0.4 * (zero_point - sky_maker.ZERO_POINT))
    changes = {"zero_point_key": ..., "gain": sky_maker.GAIN / factor, "gain_key": ...}
    found = adopted(image * factor, changes, dtype=">f8", BUNIT=unit)
    scaled = found.report["scaled"]
    assert (scaled or found.report)["zero_point"] == pytest.approx(zero_point, abs=1e-9)
    if scaled:
        assert found.unit.endswith(unit) and scaled["unit"] == unit
    first, second = (one.objects["flux"] / one.objects["flux_err"] for one in (plain, found))
    assert len(first) == len(second) > 15 and np.allclose(first, second, rtol=1e-3)
    assert plain.report["depth"]["point_source_depth"] == pytest.approx(
        found.report["depth"]["point_source_depth"], abs=2e-3
    )
    mags = [one.zero_point - 2.5 * np.log10(one.objects["flux"]) for one in (plain, found)]
    assert np.allclose(*mags, atol=2e-3)
    scale = 10 ** (0.4 * (found.zero_point - plain.zero_point))
    assert found.gain * scale == pytest.approx(plain.gain)


@pytest.mark.parametrize(
    "unit, zero_point",
    [
        ("nJy", 31.4),
        ("uJy", 23.9),
        ("mJy", 16.4),
        ("MJy", -6.1),
        ("Jy", 8.9),
        ("JY", 8.9),
        ("1e-9 Jy", 31.4),
        ("10 uJy", 21.4),
        ("nanomaggies", 22.5),
        ("nmgy", 22.5),
        ("erg s-1 cm-2 Hz-1", -48.6),
        ("MJy/sr", -6.1 - 2.5 * np.log10((sky_maker.SCALE / 206264.806) ** 2)),
    ],
)
def test_units_that_know_their_zero_point(tmp_path, unit, zero_point):
    path = sky_maker.write(tmp_path / "i.fits", np.eye(64), BUNIT=unit)
    _, facts = read_facts(sky_maker.spec_of(path, zero_point_key=...), tmp_path)
    assert facts["zero_point"] == pytest.approx(zero_point, abs=1e-6) and facts["unit"] == unit


@pytest.mark.parametrize(
    "cards, changes, gain",
    [
        ({"BUNIT": "ELECTRONS"}, {}, 1.0),
        ({"BUNIT": "e-/s", "EXPTIME": 90.0}, {}, 90.0),
        ({"BUNIT": "electron/s", "TOTEXP": 60.0}, {"exposure_key": "TOTEXP"}, 60.0),
        ({"BUNIT": "DN/s", "TOTEXP": 60.0}, {"exposure_key": "TOTEXP", "gain": 1.6}, 96.0),
        ({"BUNIT": "counts/s"}, {"gain": 1.6}, 1.6),
        ({"BUNIT": "adu"}, {"gain": 1.6, "exposure": 3.0}, "not per second"),
        ({"BUNIT": "e-/s"}, {}, "no EXPTIME"),
        ({"BUNIT": "adu"}, {}, "no positive gain"),
        ({"BUNIT": "MJy/sr", "MAGZERO": 22.0, "PIXAR_SR": 1e-12}, {"gain": 1.0}, "PIXAR_SR"),
        ({"BUNIT": "Jy/beam"}, {"gain": 1.0}, "cannot be summed"),
    ],
)
def test_electrons_per_unit(tmp_path, cards, changes, gain):
    path = sky_maker.write(tmp_path / "i.fits", np.eye(64), **cards)
    spec = sky_maker.spec_of(path, **{"gain_key": ..., **changes})
    if isinstance(gain, float):
        assert read_facts(spec, tmp_path)[1]["gain"] == pytest.approx(gain)
    else:
        with pytest.raises(StudyError, match=gain):
            read_facts(spec, tmp_path)


# --- saturation and masks ----------------------------------------------------------------------------


def test_saturation_is_a_raw_pixel_value(adopted, image):
    """On a sky of 20,000 with saturation at 23,000 a star of 5,800 in its peak is none; one of 2,500 is."""
    found = adopted(image + 20000.0, {"saturation_key": "SATURATE"}, SATURATE=23000.0)
    settings = {"bands": ["g"], "patch": {"size": 150, "border": 30}}
    patch, truth = next(iter(adopt_patches(found, settings, 1, "galaxies", "mine")))
    psf = found.psf.pixels(160, 150).max()
    x, y = np.array([70.0, 140.0]), np.array([100.0, 100.0])
    ra, dec = (np.asarray(v) for v in patch.bands["g"].wcs.all_pix2world(x, y, 0))
    mag = sky_maker.ZERO_POINT - 2.5 * np.log10(np.array([5800.0, 1500.0]) / psf)
    rows = Table({"injection_id": [1, 2], "ra": ra, "dec": dec, "source_type": ["Star", "Star"], "mag": mag})
    settings |= {"shape_band": "g", "match_radius": 1.0, "truth_snr": 5, "scenario": "mine"}
    _, table = inject(patch, truth, standardise(rows, ["g"], sky_maker.SCALE), 1, "galaxies", settings)
    flags = np.asarray(table["injection_flag"])[-2:] & FLAG.TOO_BRIGHT
    assert flags.tolist() == [FLAG.TOO_BRIGHT, 0]


def test_no_saturation_is_zero_in_headers(tmp_path):
    path = sky_maker.write(tmp_path / "i.fits", np.eye(64) + 1, SATURATE=0.0)
    read = read_science(sky_maker.spec_of(path, saturation_key="SATURATE"), tmp_path)
    assert read["saturation"] is None and not read["saturated"].any()


@pytest.mark.parametrize(
    "dtype, value, bit",
    [
        (np.int16, -32768, 32768),
        (np.int32, -(2**31), 2**31),
        (np.uint16, 32768, 32768),
        (np.uint8, 128, 128),
        (np.float32, 32768, 32768),
        (np.uint8, 1, 256),
        (np.int16, 1, 65536),
    ],
)
def test_every_bit_of_a_mask(tmp_path, dtype, value, bit):
    path = sky_maker.write(tmp_path / "i.fits", np.random.default_rng(1).normal(size=(64, 80)))
    array = np.zeros((64, 80), dtype)
    array[10, 12] = value
    entry = {**sky_maker.plane(tmp_path, array), "meaning": [{"value": bit, "flag": "BAD", "text": "bad"}]}
    spec = sky_maker.spec_of(path, mask=entry)
    if value == 1:
        with pytest.raises(StudyError, match=f"bits, none of them is {bit}"):
            read_mask(spec, read_science(spec, tmp_path), tmp_path)
        return
    flags = read_mask(spec, read_science(spec, tmp_path), tmp_path)
    assert flags[10, 12] == 1 and flags.sum() == 1


# --- files -------------------------------------------------------------------------------------------


@pytest.fixture
def extensions(tmp_path):
    """A file of extensions with names; zero point and gain stand in the primary header."""
    header = sky_maker.tan_header((64, 80))
    names = [("SCI", 1), ("ERR", 1), ("SCI", 2)]
    hdus = [
        fits.ImageHDU(np.full((64, 80), k, "f4"), header, name=name, ver=ver) for k, (name, ver) in enumerate(names)
    ]
    cube = fits.ImageHDU(np.ones((1, 64, 80), "f4"), header, name="CUBE")
    table = fits.BinTableHDU(Table({"a": [1]}), name="TABLE")
    primary = fits.PrimaryHDU()
    primary.header["MAGZERO"], primary.header["GAIN"] = 27.5, 3.0
    path = tmp_path / "mef.fits"
    fits.HDUList([primary, *hdus, cube, fits.ImageHDU(np.ones((2, 64, 80), "f4"), name="TWO"), table]).writeto(path)
    return path


@pytest.mark.parametrize("hdu, value", [(1, 0), ("SCI", 0), ("sci", 0), ("ERR", 1), ("SCI,2", 2), ("CUBE", 1)])
def test_an_hdu_by_number_or_name(extensions, hdu, value):
    found = read_hdu(extensions, hdu, "image")
    assert found.data.shape == (64, 80) and (found.data == value).all()
    assert read_hdu(extensions, hdu, "image", pixels=False).shape == (64, 80)


@pytest.mark.parametrize(
    "hdu, says",
    [(0, "no pixels"), ("IVAR", "1 SCI, 2 ERR"), (9, "has 7"), ("TWO", "80 x 64 x 2"), ("TABLE", "a table")],
)
def test_an_hdu_that_is_no_image(extensions, hdu, says):
    with pytest.raises(StudyError, match=says):
        read_hdu(extensions, hdu, "image", pixels=False)


def test_keywords_of_the_primary_header(extensions):
    spec = sky_maker.spec_of(extensions, hdu="CUBE")
    _, facts = read_facts(spec, ".")
    assert (facts["zero_point"], facts["gain"]) == (27.5, 3.0)


ENTRY = {
    "name": "mine",
    "title": "t",
    "band": "g",
    "zero_point": 30.0,
    "gain": 50.0,
    "psf": MOFFAT,
    "tiling": {"block": 150, "border": 30},
    "reference": "this test",
}


def entry(folder, **changes):
    data = {**ENTRY, "file": str(folder / "mine.fits"), **changes}
    (folder / "mine.yaml").write_text(yaml.safe_dump({k: v for k, v in data.items() if v is not ...}))
    return str(folder / "mine.yaml")


def test_size_and_pixel_scale_come_from_the_file(tmp_path, image):
    sky_maker.write(tmp_path / "mine.fits", image)
    found = load_image(entry(tmp_path))
    assert found["size"] == [320, 300] and found["pixel_scale"] == pytest.approx(sky_maker.SCALE, rel=1e-6)
    sky_maker.write(tmp_path / "mine.fits", image[:250])  # another file under the same name
    assert load_image(entry(tmp_path))["size"] == [320, 250]
    with pytest.raises(StudyError, match="no block fits"):
        load_image(entry(tmp_path, tiling={"block": 300, "border": 0}))


@pytest.mark.parametrize(
    "changes, cards, says",
    [
        ({"file": "nowhere.fits", "size": [320, 300], "pixel_scale": 0.263}, {}, "nowhere.fits is not there"),
        ({"file": "nowhere.fits"}, {}, "nowhere.fits is not there"),
        ({"mask": {"file": "nomask.fits", "meaning": []}}, {}, "nomask.fits is not there"),
        ({"mask": {"hdu": 1, "meaning": []}}, {}, "no HDU 1 for the mask"),
        ({"variance": {"kind": "rms", "hdu": "ERR"}}, {}, "no HDU ERR for the rms plane"),
        ({"zero_point": ...}, {}, "no zero point"),
        ({"gain": ...}, {}, "no positive gain"),
        ({"size": [300, 300]}, {}, "320 x 300"),
        ({"hdu": 1}, {}, "no HDU 1"),
        ({}, {"CTYPE1": None}, "WCS"),
    ],
)
def test_what_a_header_tells_is_refused_before_any_job(tmp_path, image, changes, cards, says):
    sky_maker.write(tmp_path / "mine.fits", image, **cards)
    with pytest.raises(StudyError, match=says) as caught:
        check_images([{"image": entry(tmp_path, **changes), "sky": "adopt"}])
    assert "Remedy" in str(caught.value)
