"""Adopting a real image: what is read, what is refused, and the patches that are cut from it."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import sky_maker
from astropy.io import fits
from astropy.wcs import WCS
from blendimpact.config.real_image import load_image
from blendimpact.data import catalogues
from blendimpact.data.images import PatchFile, PatchWriter
from blendimpact.data.light import real_light
from blendimpact.errors import StudyError
from blendimpact.sky.adopt.image import adopt
from blendimpact.sky.adopt.noise import NOISE_META
from blendimpact.sky.adopt.patches import CONTEXT_IDS, adopt_patches, cut_wcs

SETTINGS = {"bands": ["g"], "shape_band": "g", "patch": {"size": 150, "border": 30}}


@pytest.fixture(scope="module")
def sky(tmp_path_factory):
    """An image with parity and rotation, NaNs and a mask, adopted; with what went into it."""
    folder = tmp_path_factory.mktemp("sky")
    image, places, fluxes = sky_maker.make_sky((520, 600), galaxies=60)
    image[100:110, 300:340] = np.nan
    mask = np.zeros(image.shape, np.int16)
    mask[400:420, 100:140] = 4
    mask[300:310, 500:520] = 2
    path = sky_maker.write(folder / "sky.fits", image, parity=-1, turn=20.0)
    fits.writeto(folder / "mask.fits", mask)
    meaning = [{"value": 4, "flag": "BAD", "text": "bad"}, {"value": 2, "flag": "BRIGHT", "text": "halo"}]
    spec = sky_maker.spec_of(path, mask={"file": str(folder / "mask.fits"), "hdu": 0, "meaning": meaning})
    adopted = adopt(spec, folder)
    patches = list(adopt_patches(adopted, SETTINGS, 1, "galaxies", "fiducial"))
    return {
        "image": image,
        "places": places,
        "fluxes": fluxes,
        "spec": spec,
        "adopted": adopted,
        "patches": patches,
        "folder": folder,
    }


def test_what_the_header_says(sky):
    adopted = sky["adopted"]
    assert (adopted.zero_point, adopted.gain, adopted.unit, adopted.band) == (30.0, 50.0, "COUNTS/S", "g")
    assert adopted.pixel_scale == pytest.approx(sky_maker.SCALE, rel=1e-6)
    assert adopted.science.dtype == np.float32 and adopted.science.dtype.isnative
    assert np.isfinite(adopted.science).all()


def test_masks_and_missing_pixels(sky):
    mask, report = sky["adopted"].mask, sky["adopted"].report
    assert (mask[100:110, 300:340] == 1).all() and (mask[400:420, 100:140] == 1).all()
    assert (mask[300:310, 500:520] == 2).all()
    assert report["masked_pixels"] == {"BAD": 1200, "BRIGHT": 200, "CROSSTALK": 0}
    assert report["not_finite_fraction"] == pytest.approx(400 / mask.size)
    assert (sky["adopted"].science[100:110, 300:340] == 0).all()


def test_sky_is_subtracted(sky):
    adopted = sky["adopted"]
    true = 3.0 + (np.arange(600) / 600 - 0.5)
    excess = (sky["image"] - adopted.science - true)[adopted.mask == 0]
    assert abs(excess.mean()) < 0.06 * sky_maker.RMS and np.abs(excess).max() < 0.3 * sky_maker.RMS


def test_report_is_complete_and_deterministic(sky):
    report = sky["adopted"].report
    text = json.dumps(report, allow_nan=False, sort_keys=True)
    for key in ("sky", "noise", "psf", "depth", "blocks"):
        assert report[key]
    assert report["psf"]["fwhm_arcsec"] == pytest.approx(sky_maker.FWHM, rel=0.02)
    assert report["noise"]["correlation"][10][11] == pytest.approx(sky_maker.correlation()[2, 3], abs=0.03)
    again = adopt(sky["spec"], sky["folder"])
    list(adopt_patches(again, SETTINGS, 99, "galaxies", "fiducial"))
    assert json.dumps(again.report, sort_keys=True) == text
    assert report["depth"]["aperture"]["depth_5sigma"] < report["depth"]["aperture_depth_white"]


def test_blocks_tile_the_image(sky):
    patches = [patch for patch, _ in sky["patches"]]
    blocks = sky["adopted"].report["blocks"]
    assert len(patches) == blocks["used"] == 9 and blocks["excluded"] == []
    assert [p.index for p in patches] == list(range(9))
    assert all(p.twin == "zero" and p.shape == (210, 210) and p.border == 30 for p in patches)


def test_wcs_of_patches_is_the_parents(sky):
    adopted = sky["adopted"]
    for patch, _ in sky["patches"]:
        image = patch.bands["g"]
        y0, x0 = origin(adopted, image)
        x, y = np.array([0.0, 209, 37.3, 100]), np.array([0.0, 209, 150.7, 3])
        parent = adopted.wcs.all_pix2world(x + x0, y + y0, 0)
        child = image.wcs.all_pix2world(x, y, 0)
        assert np.allclose(parent, child, atol=1e-10, rtol=0)
        back = WCS(image.wcs.to_header()).all_pix2world(x, y, 0)
        assert np.allclose(parent, back, atol=1e-9, rtol=0)


def origin(adopted, image):
    """Return the (y0, x0) of a patch by looking for its pixels in the parent."""
    first = np.argwhere(adopted.science == image.science[50, 60])
    found = [
        (y - 50, x - 60)
        for y, x in first
        if np.array_equal(adopted.science[y - 50 : y + 160, x - 60 : x + 150], image.science)
    ]
    assert len(found) == 1
    return found[0]


def test_distorted_wcs_is_fitted():
    header = fits.Header.fromstring(sky_maker.tan_header((2000, 2000)).tostring())
    header["CTYPE1"], header["CTYPE2"] = "RA---TAN-SIP", "DEC--TAN-SIP"
    header["A_ORDER"], header["B_ORDER"], header["A_2_0"], header["B_0_2"] = 2, 2, 2e-6, -1e-6
    parent = WCS(header)
    assert parent.sip is not None
    cut = cut_wcs(parent, 1500, 300, (372, 372))
    assert cut.sip is None
    x, y = np.array([0.0, 371, 100, 200]), np.array([371.0, 0, 50, 200])
    ra, dec = parent.all_pix2world(x + 1500, y + 300, 0)
    off = np.hypot(*(np.array(WCS(cut.to_header()).all_world2pix(ra, dec, 0)) - (x, y)))
    assert off.max() < 0.05
    plain = np.hypot(
        *(np.array(WCS(sky_maker.tan_header((2000, 2000))).all_world2pix(ra, dec, 0)) - (x + 1500, y + 300))
    )
    assert plain.max() > 1  # without the distortion it would be off by pixels
    header["A_2_0"] = 3e-4
    with pytest.raises(StudyError, match="smaller blocks"):
        cut_wcs(WCS(header), 1500, 300, (372, 372))


def test_context_sources(sky):
    adopted, seen = sky["adopted"], 0
    for patch, truth in sky["patches"]:
        image = patch.bands["g"]
        y0, x0 = origin(adopted, image)
        assert set(truth["role"]) == {"context"} and set(truth["kind"]) == {"real"}
        assert (truth["patch"] == patch.index).all() and (truth["block"] == patch.index).all()
        seg = image.planes["SEG"]
        assert set(np.unique(seg)) - {0} == set(truth["source_id"].tolist())
        assert (truth["source_id"] > CONTEXT_IDS).all() and len(np.unique(truth["source_id"])) == len(truth)
        ra, dec = adopted.wcs.all_pix2world(truth["x"] + x0, truth["y"] + y0, 0)
        assert np.allclose(ra, truth["ra"], atol=1e-9) and np.allclose(dec, truth["dec"], atol=1e-9)
        for (x, y), flux in zip(sky["places"], sky["fluxes"]):
            if 10 < x - x0 < 200 and 10 < y - y0 < 200 and flux > 2e4:
                own = truth[truth["source_id"] == seg[round(y - y0), round(x - x0)]]
                assert len(own) == 1
                assert own["flux_g"][0] == pytest.approx(flux, rel=0.15)
                assert own["mag_g"][0] == pytest.approx(30 - 2.5 * np.log10(own["flux_g"][0]))
                assert np.hypot(own["x"][0] - (x - x0), own["y"][0] - (y - y0)) < 1
                seen += 1
    assert seen > 10


def test_planes_of_a_patch(sky):
    for patch, _ in sky["patches"]:
        image = patch.bands["g"]
        assert set(image.planes) == {"BASE", "SEG"}
        assert np.array_equal(image.planes["BASE"], image.science)
        light = real_light(image.planes["BASE"], image.planes["SEG"])
        rms2 = image.variance - light / image.gain
        assert np.median(rms2) == pytest.approx(sky_maker.RMS**2, rel=0.05) and rms2.min() > 1.0
        assert image.psf.shape == (31, 31) and image.psf.sum() == pytest.approx(1)
        assert image.zero_point == 30.0 and image.gain == 50.0


def test_patches_survive_the_disk(sky, tmp_path):
    with PatchWriter(tmp_path / "image.fits") as writer:
        for patch, _ in sky["patches"]:
            writer.write(patch)
    catalogues.write(catalogues.stack([truth for _, truth in sky["patches"]]), tmp_path / "truth.parquet")
    with PatchFile(tmp_path / "image.fits") as file:
        assert file.keys() == [(p.index, "zero") for p, _ in sky["patches"]]
        for patch, _ in sky["patches"]:
            before, after = patch.bands["g"], file.read(patch.index, "zero").bands["g"]
            assert np.array_equal(before.science, after.science) and np.array_equal(before.psf, after.psf)
            assert np.array_equal(before.planes["SEG"], after.planes["SEG"])
            assert after.planes["SEG"].dtype == np.int32 and after.psf_model == before.psf_model
    truth = catalogues.read(tmp_path / "truth.parquet")
    model = json.loads(truth.meta[NOISE_META])["g"]
    assert np.array(model["correlation"]).shape == (21, 21)


def test_masked_blocks_are_excluded_and_counted(sky):
    settings = {**SETTINGS, "max_masked": 0.01}
    patches = list(adopt_patches(sky["adopted"], settings, 1, "galaxies", "fiducial"))
    blocks = sky["adopted"].report["blocks"]
    assert len(patches) == blocks["used"] == blocks["tiled"] - len(blocks["excluded"]) < 9
    assert not {p.index for p, _ in patches} & set(blocks["excluded"])
    assert all((p.bands["g"].mask[30:180, 30:180] > 0).mean() <= 0.01 for p, _ in patches)
    with pytest.raises(StudyError, match="masked"):
        list(adopt_patches(sky["adopted"], {**SETTINGS, "max_masked": -1}, 1, "galaxies", "fiducial"))
    list(adopt_patches(sky["adopted"], SETTINGS, 1, "galaxies", "fiducial"))


def test_what_the_case_asks_for_must_be_there(sky):
    with pytest.raises(StudyError, match="band"):
        next(adopt_patches(sky["adopted"], {**SETTINGS, "bands": ["r"]}, 1, "galaxies", "fiducial"))
    with pytest.raises(StudyError, match="no block"):
        next(adopt_patches(sky["adopted"], {"patch": {"size": 600, "border": 30}}, 1, "galaxies", "fiducial"))


@pytest.mark.parametrize("with_sources", [False, True])
def test_given_variance_with_and_without_the_photons_of_sources(tmp_path, with_sources):
    image, _, _ = sky_maker.make_sky((400, 420), seed=3, level=0.0, slope=0.0)
    variance = np.full(image.shape, sky_maker.RMS**2)
    if with_sources:
        variance += np.maximum(image, 0) / sky_maker.GAIN
    path = sky_maker.write(tmp_path / "i.fits", image)
    spec = sky_maker.spec_of(
        path,
        variance={"kind": "variance", **sky_maker.plane(tmp_path, variance)},
        psf={"kind": "moffat", "fwhm": 1.1, "beta": 3.0, "size": 31},
    )
    adopted = adopt(spec, tmp_path)
    assert adopted.report["noise"]["variance_slope_times_gain"] == pytest.approx(float(with_sources), abs=0.1)
    assert np.median(adopted.sky_variance) == pytest.approx(sky_maker.RMS**2, rel=0.05)
    bright = adopted.science > 200
    assert np.median(adopted.sky_variance[bright]) == pytest.approx(sky_maker.RMS**2, rel=0.3)
    assert adopted.report["noise"]["given_over_measured_variance"] == pytest.approx(1, abs=0.12)


def test_a_crowded_image_is_adopted(tmp_path):
    rng = np.random.default_rng(4)
    image = sky_maker.correlated_noise((240, 240), rng)
    for x, y in rng.uniform(0, 239, (900, 2)):  # one in 64 pixels
        sky_maker.draw(image, sky_maker.psf_at(0, 0, (1, 1)).withFlux(10 ** rng.uniform(2, 4)), x, y)
    path = sky_maker.write(tmp_path / "i.fits", image)
    spec = sky_maker.spec_of(path, psf={"kind": "moffat", "fwhm": 1.1, "beta": 3.0, "size": 31})
    adopted = adopt(spec, tmp_path)
    (_, truth), *_ = adopt_patches(adopted, {"patch": {"size": 200, "border": 20}}, 1, "c", "s")
    assert len(truth) > 20 and np.isfinite(truth["flux_g"]).all()
    json.dumps(adopted.report, allow_nan=False)


def test_a_users_own_image_by_its_yaml_entry(tmp_path):
    image, _, _ = sky_maker.make_sky((400, 420))
    sky_maker.write(tmp_path / "mine.fits", image)
    (tmp_path / "mine.yaml").write_text(f"""
name: mine
title: a field of my own
band: r
file: {tmp_path / "mine.fits"}
size: [420, 400]
pixel_scale: {sky_maker.SCALE}
zero_point: 30.0
gain: 50.0
psf: {{kind: measured, size: 31}}
tiling: {{block: 120, border: 30}}
reference: this test
""")
    adopted = adopt(load_image(tmp_path / "mine.yaml"), "nowhere")
    patches = list(adopt_patches(adopted, {"bands": ["r"]}, 1, "mine", "fiducial"))
    assert len(patches) == 6 and patches[0][0].shape == (180, 180)
    assert "flux_r" in patches[0][1].colnames and adopted.report["image"] == "mine"


# ------------------------------------------------------------------------------- real data


def real_inputs():
    """Return the folder of fetched inputs, or skip."""
    own = Path(__file__).resolve().parents[2] / "results" / "inputs"
    places = [os.environ.get("BLENDIMPACT_INPUTS"), own]
    for place in places:
        if place and (Path(place) / "des_dr2_g" / "example_decam.fits").is_file():
            return Path(place)
    pytest.skip("the DES tile is not here: fetch it (results/inputs/des_dr2_g) or set BLENDIMPACT_INPUTS")


@pytest.mark.slow
@pytest.mark.real
def test_the_des_tile():
    adopted = adopt(load_image("des_dr2_g"), real_inputs())
    settings = {"bands": ["g"], "patch": {"size": 300, "border": 36}}
    patches = list(adopt_patches(adopted, settings, 1, "galaxies", "fiducial"))
    report = adopted.report
    assert report["zero_point"] == 30.0 and report["gain"] == pytest.approx(52.369, abs=1e-3)
    assert 1.10 < report["psf"]["fwhm_arcsec"] < 1.16 and report["psf"]["stars"] > 100
    held = report["psf"]["held_out"][report["psf"]["chosen"]]
    assert held["dT_over_T"]["low"] < 0.004 and abs(held["dT_over_T"]["mean"]) < 0.012
    assert abs(held["dg1"]["mean"]) < 0.003 and abs(held["dg2"]["mean"]) < 0.003
    along = np.array(report["noise"]["correlation"])[10, 10:14]
    assert np.allclose(along, [1, 0.115, -0.07, 0.03], atol=0.02)  # LANCZOS3 resampling
    # DES DR2 states 24.7 at S/N = 10 in 1.95 arcsec for the survey's median g coadd: 25.45 at 5
    assert report["depth"]["aperture"]["depth_5sigma"] == pytest.approx(25.45, abs=0.15)
    assert len(patches) >= 90 and report["blocks"]["used"] == len(patches)
    assert 9000 < report["objects"] < 13000  # at 3 sigma of the smoothed image
