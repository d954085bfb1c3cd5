"""PSFs from files: images of any sampling and size, models of PSFEx and Piff, and what is no PSF of the image."""

import sys
import types

import galsim
import numpy as np
import pytest
import sky_maker
import yaml
from astropy.io import fits
from astropy.wcs import WCS
from blendimpact.config.real_image import load_image
from blendimpact.errors import StudyError
from blendimpact.sky.adopt.checks import check_images
from blendimpact.sky.adopt.given_psf import check_stars, given_psf
from blendimpact.sky.adopt.image import adopt
from blendimpact.sky.adopt.noise import measure_sky
from blendimpact.sky.adopt.stars import find_objects, moments, select_stars

SCALE = sky_maker.SCALE
TRUE = galsim.Moffat(beta=sky_maker.BETA, fwhm=sky_maker.FWHM).shear(g1=0.1, g2=0.05)
ON_PIXELS = galsim.Convolve(TRUE, galsim.Pixel(SCALE))
SHAPE = (600, 520)
FILE = {"kind": "file"}


def samples(scale=SCALE, nx=31, ny=31, psf=ON_PIXELS, **where):
    """Return the PSF, with the response of the image's pixels, at points ``scale`` apart."""
    return psf.drawImage(nx=nx, ny=ny, scale=scale, method="no_pixel", dtype=float, **where).array


def error(psf, true=ON_PIXELS, place=(0, 0)):
    """Return the largest error of a PSF on the image's pixels, relative to its peak."""
    pixels = psf.pixels(*place)
    expected = samples(nx=len(pixels), ny=len(pixels), psf=true)
    return np.abs(pixels - expected / expected.sum()).max() / pixels.max()


@pytest.fixture
def given(tmp_path):
    """Return a function that writes arrays as the PSF of an image and reads it."""

    def read(array, header=None, **spec):
        fits.writeto(tmp_path / "psf.fits", np.asarray(array, dtype=">f4"), header, overwrite=True)
        return given_psf({**FILE, **spec}, SCALE, tmp_path / "psf.fits", "mine: psf", WCS(WHERE), SHAPE)

    return read


WHERE = sky_maker.tan_header(SHAPE[::-1], parity=-1)


def test_profiles():
    psf = given_psf({"kind": "moffat", "fwhm": 0.8, "beta": 2.5, "size": 25}, 0.2)
    assert psf.pixels(3, 4).shape == (25, 25) and psf.model == {"kind": "moffat", "fwhm": 0.8, "beta": 2.5}
    assert given_psf({"kind": "kolmogorov", "fwhm": 0.8}, 0.2).model == {"kind": "kolmogorov", "fwhm": 0.8}
    with pytest.raises(StudyError, match="beta"):
        given_psf({"kind": "moffat", "fwhm": 0.8}, 0.2)


def test_a_stamp_on_the_images_pixels_is_taken_as_it_is(given):
    psf = given(7 * samples())
    assert np.allclose(psf.pixels(0, 0), samples() / samples().sum(), atol=1e-7) and psf.model == {"kind": "pixels"}
    assert psf.report["fwhm_arcsec"] == pytest.approx(sky_maker.FWHM, rel=0.05) and "moved_by" not in psf.report


@pytest.mark.parametrize("size", [(30, 30), (31, 31), (40, 33), (31, 36)])
@pytest.mark.parametrize("offset", [(0.0, 0.0), (0.5, 0.5), (-1.3, 0.8)])
def test_stamps_of_any_size_are_centred_by_their_centroid(given, size, offset):
    psf = given(samples(nx=size[0], ny=size[1], offset=offset))
    assert error(psf) < 0.01
    moved = psf.report.get("moved_by", (0, 0))
    assert np.allclose(moved, [-v for v in offset], atol=0.01) and ("centroid" in psf.report.get("centred", "centroid"))
    assert psf.size % 2 and psf.size > min(size) - 2 * max(map(abs, offset)) - 3


@pytest.mark.parametrize(
    "header, spec",
    [
        (sky_maker.tan_header((93, 93), SCALE / 3, parity=-1), {}),
        ({"PIXELSCL": SCALE / 3}, {}),
        (None, {"oversampling": 3}),
        (None, {"pixel_scale": SCALE / 3}),
    ],
    ids=["WCS", "PIXELSCL", "oversampling", "pixel_scale"],
)
def test_a_finer_stamp_is_resampled_to_the_pixels_of_the_image(given, header, spec):
    psf = given(samples(SCALE / 3, 93, 93), fits.Header(header) if header else None, **spec)
    assert error(psf) < 2e-3 and 27 <= psf.size <= 31
    assert max(abs(v) for v in psf.report["centroid_offset_pixels"]) < 0.01


def test_a_finer_stamp_of_the_optics_alone_is_convolved_with_the_pixel(given):
    psf = given(samples(SCALE / 4, 124, 124, TRUE), oversampling=4, includes_pixel=False)
    assert error(psf) < 5e-3


def test_the_orientation_of_the_psf_is_that_of_its_own_wcs(given):
    turned = given(
        samples(psf=ON_PIXELS.rotate(-90 * galsim.degrees)), sky_maker.tan_header((31, 31), parity=-1, turn=90)
    )
    mirrored = given(samples(psf=ON_PIXELS.transform(-1, 0, 0, 1)), sky_maker.tan_header((31, 31), parity=1))
    for psf in (turned, mirrored):
        assert psf.report["g1"] == pytest.approx(0.094, abs=0.01) and psf.report["g2"] == pytest.approx(0.047, abs=0.01)


def test_two_samplings_that_differ_are_refused(given):
    with pytest.raises(StudyError, match=r"0\.0877 arcsec .* its own WCS, and 0\.1315 .*(?s:.*)remove"):
        given(samples(SCALE / 3, 93, 93), sky_maker.tan_header((93, 93), SCALE / 3), oversampling=2)


@pytest.mark.parametrize(
    "array, message",
    [
        (np.ones((41, 41)), r"flat: its FWHM would be 27\.\d of 41"),
        (samples() + samples().max(), "flat"),
        (np.where(samples() > 0.01, np.nan, samples()), "not finite"),
        (np.zeros((31, 31)), "no light"),
        (-samples(), "no light"),
        (samples() - 0.02 * samples().max() * (np.indices((31, 31))[0] < 8), "negative"),
        (samples(SCALE / 20, 95, 95), "flat"),
    ],
)
def test_what_is_no_psf_is_refused(given, array, message):
    with pytest.raises(StudyError, match=message) as caught:
        given(array)
    assert "psf.fits" in str(caught.value)


def test_a_psf_of_few_pixels_of_the_image_is_refused(given):
    with pytest.raises(StudyError, match=r"covers 3\.\d pixels"):
        given(samples(nx=31, ny=31), oversampling=10)


def test_files_and_hdus_that_are_not_there(tmp_path):
    with pytest.raises(StudyError, match="cannot be read"):
        given_psf(FILE, SCALE, tmp_path / "none.fits")
    hdus = fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(samples(), name="KERNEL")])
    hdus.writeto(tmp_path / "psf.fits")
    assert given_psf({**FILE, "hdu": "KERNEL"}, SCALE, tmp_path / "psf.fits").size == 31
    for hdu, message in ((0, "HDU 0 holds no pixels"), ("PSF", "no HDU PSF .*KERNEL")):
        with pytest.raises(StudyError, match=message):
            given_psf({**FILE, "hdu": hdu}, SCALE, tmp_path / "psf.fits")


# --- models that change over the field ---------------------------------------------------------------


def field_psf(x):
    """The PSF at x (from 0) of a field whose FWHM grows along x; its light in each pixel is linear in x."""
    narrow, wide = (galsim.Moffat(beta=3, fwhm=f) for f in (1.0, 1.3))
    share = x / (SHAPE[0] - 1)
    return galsim.Convolve((1 - share) * narrow + share * wide, galsim.Pixel(SCALE))


def psfex(path, name="PSF_DATA", n=65, step=0.5, about=(300.0, 260.0)):
    """Write `field_psf` as PSFEx does: samples per half a pixel, polynomials of FITS pixels."""
    ends = [samples(step * SCALE, n, n, field_psf(x)) for x in (about[0] - 301, about[0] - 1, about[0] + 299)]
    basis = np.array([ends[1], ends[2] - ends[0], np.zeros((n, n))])  # over 600 pixels
    column = fits.Column("PSF_MASK", f"{basis.size}E", dim=f"({n},{n},3)", array=basis[None].astype("f4"))
    table = fits.BinTableHDU.from_columns([column], name=name)
    cards = {"POLNAXIS": 2, "POLNGRP": 1, "POLDEG1": 1, "PSFNAXIS": 3, "PSFAXIS1": n, "PSFAXIS2": n, "PSFAXIS3": 3}
    for k, axis in enumerate("XY"):
        cards |= {f"POLGRP{k + 1}": 1, f"POLNAME{k + 1}": f"{axis}_IMAGE", f"POLZERO{k + 1}": about[k]}
        cards[f"POLSCAL{k + 1}"] = 600.0
    table.header.update(cards, PSF_SAMP=step)
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.zeros((2, 2))), table]).writeto(path, overwrite=True)
    return path


@pytest.mark.parametrize(
    "name, hdu", [("PSF_DATA", 0), ("PSF_DATA", "PSF_DATA"), ("ccd07_data", "ccd07_data"), ("X", 2)]
)
def test_a_psfex_model_is_evaluated_over_the_field(tmp_path, name, hdu):
    path = psfex(tmp_path / "model.psf", name)
    psf = given_psf({**FILE, "hdu": hdu}, SCALE, path, "psf", None, SHAPE)
    assert psf.report["format"] == "PSFEx" and psf.order == 1 and psf.report["largest_error_of_peak"] < 1e-3
    for place in ((0, 0), (130, 400), (300, 260), (599, 519)):
        assert error(psf, field_psf(place[0]), place) < 4e-3
    assert moments(psf.pixels(599, 0))[0] / moments(psf.pixels(0, 0))[0] > 1.3


def test_a_psfex_model_of_another_frame_is_refused(tmp_path):
    with pytest.raises(StudyError, match="made about x = 3000, over 600 pixels; the image has its middle at 300"):
        given_psf(FILE, SCALE, psfex(tmp_path / "model.psf", about=(3000.0, 260.0)), "psf", None, SHAPE)
    path = psfex(tmp_path / "model.psf")
    fits.setval(path, "POLNAME1", value="MAG_AUTO", ext=2)
    with pytest.raises(StudyError, match="X_IMAGE"):
        given_psf(FILE, SCALE, path, "psf", None, SHAPE)


def piff_file(path):
    table = fits.BinTableHDU.from_columns([fits.Column("type", "10A", array=["SimplePSF"])], name="psf")
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(path)
    return path


def test_a_piff_model_is_drawn_by_its_package(tmp_path, monkeypatch):
    """The package stands in: what it is asked for is its documented call."""

    class Model:
        def draw(self, x, y, stamp_size, center):
            return galsim.Image(samples(nx=stamp_size, ny=stamp_size, psf=field_psf(x - 1)))

    path = piff_file(tmp_path / "model.piff")
    monkeypatch.setitem(sys.modules, "piff", types.SimpleNamespace(read=lambda name: Model()))
    psf = given_psf({**FILE, "size": 31}, SCALE, path, "psf", None, SHAPE)
    assert psf.report["format"] == "Piff" and psf.order == 1 and psf.size == 31
    assert error(psf, field_psf(400), (400, 100)) < 2e-3
    monkeypatch.setitem(sys.modules, "piff", None)
    with pytest.raises(StudyError, match="pip install piff"):
        given_psf(FILE, SCALE, path, "psf", None, SHAPE)


# --- against the stars of the image ------------------------------------------------------------------


@pytest.fixture(scope="module")
def sky(tmp_path_factory):
    """The file of an image of stars of FWHM 1.1 arcsec."""
    folder = tmp_path_factory.mktemp("sky")
    return sky_maker.write(folder / "sky.fits", sky_maker.make_sky((420, 500))[0], parity=-1)


@pytest.fixture(scope="module")
def stars():
    image = sky_maker.make_sky((420, 500))[0]
    bad = np.zeros(image.shape, bool)
    level = measure_sky(image, bad, SCALE)
    science = image - level.level
    return select_stars(science, bad, *find_objects(science, level.rms, bad), 41)


def adopted(sky, folder, array, header=None, **psf):
    fits.writeto(folder / "psf.fits", array, header, overwrite=True)
    return adopt(sky_maker.spec_of(sky, psf={**FILE, "file": str(folder / "psf.fits"), **psf}), folder)


def test_a_psf_three_times_finer_is_resampled_and_agrees_with_the_stars(sky, tmp_path):
    round_psf = galsim.Moffat(beta=3, fwhm=1.1)
    array = round_psf.drawImage(nx=93, ny=93, scale=SCALE / 3).array
    found = adopted(sky, tmp_path, array, sky_maker.tan_header(array.shape, SCALE / 3))
    facts = found.report["psf"]["against_stars"]
    assert facts["fwhm_over_stars"] == pytest.approx(1, abs=0.03) and facts["stars"] > 20
    assert facts["light_over_stars"] == pytest.approx(1, abs=0.05) and found.report["warnings"] == []
    with pytest.raises(
        StudyError, match=r"the PSF has a FWHM of 3\.\d+ arcsec .*stars of the image have 1\.\d+ arcsec"
    ):
        adopted(sky, tmp_path, array)  # nothing says that it is finer


@pytest.mark.parametrize(
    "fwhm, outcome", [(1.1, "accepted"), (1.3, "warned"), (0.9, "warned"), (1.7, "refused"), (0.7, "refused")]
)
def test_a_psf_that_disagrees_with_the_stars_is_warned_of_and_refused(stars, fwhm, outcome):
    psf = given_psf({"kind": "moffat", "fwhm": fwhm, "beta": 3.0, "size": 41}, SCALE)
    if outcome == "refused":
        with pytest.raises(StudyError, match="mine: psf"):
            check_stars(psf, stars, "mine: psf")
        return
    facts, warnings = check_stars(psf, stars, "mine: psf")
    assert facts["stars"] == len(stars) and len(warnings) == (outcome == "warned")
    assert all("FWHM of" in sentence and "stars of the image have" in sentence for sentence in warnings)


def test_few_stars_and_galaxies_that_pass_for_stars_refuse_no_psf(stars):
    narrow = given_psf({"kind": "moffat", "fwhm": 0.7, "beta": 3.0, "size": 41}, SCALE)
    assert check_stars(narrow, stars[:7], "") == ({"stars": 7}, [])
    galaxies = stars[:]
    galaxies.counts = {**stars.counts, "locus_scatter_pixels": 0.05 * stars.counts["locus_hlr_pixels"]}
    assert len(check_stars(narrow, galaxies, "")[1]) == 1
    wide = given_psf({"kind": "moffat", "fwhm": 1.7, "beta": 3.0, "size": 41}, SCALE)
    with pytest.raises(StudyError):  # nothing is narrower than the PSF
        check_stars(wide, galaxies, "")


def test_a_flat_psf_is_refused_before_any_job(sky, tmp_path):
    fits.writeto(tmp_path / "psf.fits", np.ones((41, 41)))
    entry = {"name": "mine", "title": "t", "reference": "r", "band": "g", "file": str(sky)}
    entry |= {"zero_point_key": "MAGZERO", "gain_key": "GAIN", "psf": {**FILE, "file": str(tmp_path / "psf.fits")}}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(entry))
    with pytest.raises(StudyError, match="flat"):
        check_images([{"sky": "adopt", "image": str(tmp_path / "mine.yaml")}])


@pytest.mark.parametrize(
    "psf, message",
    [
        ("{kind: measured, size: 40}", "psf.size: is 40, but must be odd"),
        ("{kind: measured, size: 401}", "psf.size: is the number 401, but must be at most 201"),
        ("{kind: file, file: p.fits, oversampling: 2, pixel_scale: 0.1}", "psf: has `oversampling` and `pixel_scale`"),
    ],
)
def test_entries_that_are_refused(tmp_path, psf, message):
    (tmp_path / "mine.yaml").write_text(
        f"{{name: mine, title: t, reference: r, band: g, file: x.fits, zero_point: 3, gain: 3, psf: {psf}}}"
    )
    with pytest.raises(StudyError, match=message):
        load_image(tmp_path / "mine.yaml")
