"""An image in several registered bands: read, checked, adopted, injected into; or refused before any job."""

import json

import band_maker
import numpy as np
import pytest
import sky_maker
import yaml
from blendimpact.config import study
from blendimpact.config.files import CONFIG_DIR
from blendimpact.config.real_image import bands_of, image_files, load_image
from blendimpact.data.images import AB_NANOJANSKY
from blendimpact.data.matching import match
from blendimpact.errors import StudyError
from blendimpact.report.study import data_used
from blendimpact.sky.adopt.checks import check_images
from blendimpact.sky.adopt.image import adopt
from blendimpact.sky.adopt.patches import adopt_patches
from blendimpact.sky.injection import inject
from blendimpact.stages.check_inputs import image_lines
from pages import directory, write_bands
from sky_maker import sources

SETTINGS = {"bands": ["g", "r", "i"], "scenario": "mine", "shape_band": "r", "truth_snr": 5, "match_radius": 1.0}
BASE = CONFIG_DIR / "config.yaml"
R_PSF = {"kind": "moffat", "beta": sky_maker.BETA, "size": 31, "fwhm": band_maker.BANDS["r"]["fwhm"]}


@pytest.fixture(scope="module")
def made():
    return band_maker.make()


@pytest.fixture(scope="module")
def folder(made, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bands")
    band_maker.write_one(folder / "mine.fits", made[0])
    return folder


def saved(folder, data):
    """Save an entry; return its path."""
    path = folder / f"{data['name']}.yaml"
    path.write_text(yaml.safe_dump(data, sort_keys=False))
    return str(path)


@pytest.fixture(scope="module")
def adopted(folder):
    return adopt(load_image(saved(folder, band_maker.entry(folder))), None)


@pytest.fixture(scope="module")
def patch(adopted):
    return next(iter(adopt_patches(adopted, SETTINGS, 1, "galaxies", "mine")))


# --- the entry -----------------------------------------------------------------------------------


def test_each_band_is_a_complete_entry_and_the_keys_above_are_shared(folder):
    image = load_image(saved(folder, band_maker.entry(folder)))
    assert image["size"] == [320, 300] and "psf" not in image and list(bands_of(image)) == ["g", "r", "i"]
    for band, spec in bands_of(image).items():
        assert (spec["band"], spec["hdu"], spec["zero_point_key"]) == (band, band.upper(), "MAGZERO")
        assert spec["psf"]["beta"] == 3.0 and spec["psf"]["fwhm"] == band_maker.BANDS[band]["fwhm"]
    assert image_files(image) == [str(folder / "mine.fits")]


def test_a_band_can_say_in_another_way_what_is_said_above(folder):
    entry = band_maker.entry(folder, saturation_key="SATURATE")
    entry["bands"]["g"] |= {"zero_point": 30.0, "saturation": None, "variance": {"kind": "rms", "hdu": 4}}
    image = load_image(saved(folder, entry))
    g, r = image["bands"]["g"], image["bands"]["r"]
    assert g["zero_point"] == 30.0 and "zero_point_key" not in g and g["saturation"] is None
    assert "saturation_key" not in g and r["saturation_key"] == "SATURATE"
    assert g["variance"]["kind"] == "rms" and r["variance"]["kind"] == "measured"


@pytest.mark.parametrize(
    "changes, says",
    [
        ({"band": "g"}, "has `band` and `bands`"),
        ({"bands": ...}, "the key 'band' is missing"),
        ({"psf": ...}, "psf: the key 'kind' is missing"),
        ({"bands": {"g": {}, "r_2": {}}}, "letters and digits"),
        ({"bands": {"g": {"zeropoint": 1}}}, "did you mean 'zero_point'"),
        ({"bands": {"g": {"zero_point": 1.0, "zero_point_key": "Z"}}}, "one of `zero_point`"),
        ({"bands": {}}, "at least 1"),
        ({"file": ...}, "needs `file`"),
        ({"template": {"file": "t.fits"}}, "images in one band"),
        ({"tiling": {"block": 300, "border": 36}}, "needs 372 x 372, there are 320 x 300"),
    ],
)
def test_a_wrong_entry_says_what_is_wrong(folder, changes, says):
    with pytest.raises(StudyError) as error:
        load_image(saved(folder, band_maker.entry(folder, name="wrong", **changes)))
    assert says in str(error.value) and "wrong.yaml" in str(error.value)


def test_the_bands_of_a_case_are_some_of_the_image(folder, tmp_path):
    path = saved(folder, band_maker.entry(folder))

    def settings(bands):
        overlay = tmp_path / "o.yaml"
        chosen = f"{{image: {path}, bands: {bands}, shape_band: r, stamp: 8, scenarios: {{simulated: null}}}}"
        overlay.write_text(f"cases: {{galaxies: {chosen}}}")
        config = study.validate(study.load_config([overlay]), [BASE, overlay])
        return study.case_settings(config, "galaxies")

    found = settings("[g, r]")
    assert found["zero_point"] == AB_NANOJANSKY and found["patch"]["count"] == 4
    assert "three bands (band g, r)" in data_used(found)  # what the board says
    check_images([found])
    with pytest.raises(StudyError, match="has no band 'R'") as error:
        settings("[g, r, R]")
    assert "did you mean 'r'? (known: g, r, i)" in str(error.value)


# --- before any job ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change, says",
    [
        (lambda images: {"shifts": {"r": 0.6}}, "the WCS of the band r is up to 0.60 pixels off that of the band g"),
        (
            lambda images: {"images": {**images, "r": images["r"][:280]}},
            "the band r has 320 x 280 pixels, the band g 320 x 300",
        ),
    ],
)
def test_bands_that_are_not_registered_are_refused_from_their_headers(made, tmp_path, change, says):
    changed = change(made[0])
    band_maker.write_one(tmp_path / "mine.fits", changed.pop("images", made[0]), **changed)
    path = saved(tmp_path, band_maker.entry(tmp_path))
    for bands in (["g", "r"], ["g", "r", "i"]):
        with pytest.raises(StudyError, match=says) as error:
            check_images([{"image": path, "sky": "adopt", "bands": bands}])
        assert "mine.fits" in str(error.value) and "bands.r in the entry mine" in str(error.value)
    check_images([{"image": path, "sky": "adopt", "bands": ["g", "i"]}])  # the band is not used


def test_what_a_band_lacks_is_said_with_its_name(made, tmp_path):
    band_maker.write_one(tmp_path / "mine.fits", made[0])
    entry = band_maker.entry(tmp_path)
    entry["bands"]["i"]["hdu"] = "J"
    with pytest.raises(StudyError, match="no HDU J") as error:
        check_images([{"image": saved(tmp_path, entry), "sky": "adopt", "bands": ["g", "i"]}])
    assert "bands.i" in str(error.value)


# --- adopted -------------------------------------------------------------------------------------


def test_sky_noise_and_psf_are_those_of_each_band_in_one_unit(adopted):
    assert json.loads(json.dumps(adopted.report, allow_nan=False))["registration"]["reference"] == "g"
    for band, facts in band_maker.BANDS.items():
        image, report = adopted.bands[band], adopted.report["bands"][band]
        unit = 10 ** (0.4 * (AB_NANOJANSKY - facts["zero_point"]))
        assert (image.zero_point, image.unit) == (AB_NANOJANSKY, "nJy")
        assert image.gain == pytest.approx(facts["gain"] / unit)
        assert report["sky"]["rms_median"] == pytest.approx(facts["rms"] * unit, rel=0.03)
        assert report["sky"]["sky_mean"] == pytest.approx(facts["level"] * unit, rel=0.1)
        assert report["scaled"]["zero_point"] == facts["zero_point"]
        assert image.psf.model["fwhm"] == facts["fwhm"]


def test_sources_are_found_once_and_have_fluxes_in_each_band(adopted, made):
    _, places, mags = made
    objects = adopted.objects
    assert adopted.report["objects"] == len(objects) > len(places)
    assert all(one.segmentation is adopted.segmentation for one in adopted.bands.values())
    pairs = match(places, np.c_[objects["x"], objects["y"]], 2.0)
    assert len(pairs) == len(places)
    for band, image in adopted.bands.items():
        mag = AB_NANOJANSKY - 2.5 * np.log10(np.asarray(image.objects["flux"])[pairs["detection"]])
        assert np.median(mag - mags[pairs["truth"]]) == pytest.approx(0.04, abs=0.05), band
    deepest = [int((np.asarray(o.objects["flux"]) > 5 * o.objects["flux_err"]).sum()) for o in adopted.bands.values()]
    assert len(objects) >= max(deepest)
    for found in adopted.report["registration"]["shifts"].values():
        assert found["matched"] >= 5 and np.hypot(*found["shift"]) < 0.1


def test_the_check_shows_each_band_and_how_they_are_registered(adopted):
    settings = {"patch": {"count": 4, "size": 100, "border": 24}, "max_masked": 0.1}
    text = "\n".join(image_lines("mine", [settings], adopted))
    for band, facts in band_maker.BANDS.items():
        assert f"HDU {band.upper()}: 320 x 300 pixels of 0.2630 arcsec, band {band}" in text
        assert f"PSF moffat FWHM {facts['fwhm']:.2f} arcsec" in text
    assert "unit nJy (the file: adu of zero point 31; " in text
    assert "bands shifted against g, pixels: r by (" in text and "objects found on all bands together" in text
    assert text.count("depth (5 sigma, point source)") == 3 and "4 of 4 blocks of 100 pixels are used" in text


def test_a_shift_of_the_pixels_that_the_headers_hide_is_said(made, tmp_path):
    images = {**made[0], "i": np.roll(made[0]["i"], 3, axis=1)}
    band_maker.write_one(tmp_path / "mine.fits", images)
    with pytest.raises(StudyError, match="band i are shifted by 2.98"):
        adopt(load_image(saved(tmp_path, band_maker.entry(tmp_path))), None)


def test_three_files_are_the_same_as_one(made, adopted, tmp_path):
    entry = band_maker.write_three(tmp_path, made[0])
    spec = load_image(saved(tmp_path, entry))
    assert image_files(spec, ["g", "i"]) == [str(tmp_path / "g.fits"), str(tmp_path / "i.fits")]
    again = adopt(spec, None, ["g", "r", "i"])
    assert np.array_equal(again.segmentation, adopted.segmentation)
    for band in band_maker.BANDS:
        assert np.array_equal(again.bands[band].science, adopted.bands[band].science)


def test_an_entry_of_one_band_and_one_of_several_have_the_same_image_of_it(folder, adopted):
    """Up to the unit, which is that of the file in the one and nJy in the other."""
    facts = band_maker.BANDS["r"]
    path = saved(
        folder, {**band_maker.entry(folder, name="alone", bands=...), "band": "r", "hdu": "R"} | {"psf": R_PSF}
    )
    alone, unit = adopt(load_image(path), None), 10 ** (0.4 * (AB_NANOJANSKY - facts["zero_point"]))
    assert np.allclose(alone.science * unit, adopted.bands["r"].science, rtol=1e-5, atol=1e-5 * facts["rms"] * unit)
    assert alone.bands == {"r": alone} and alone.unit == "adu"


# --- patches and injection -----------------------------------------------------------------------


def test_a_patch_has_all_bands_and_one_truth(patch):
    patch, truth = patch
    assert list(patch.bands) == ["g", "r", "i"]
    for band in patch.bands.values():
        assert set(band.planes) == {"BASE", "SEG"} and band.science.shape == (148, 148)
        assert np.array_equal(band.planes["SEG"], patch.reference.planes["SEG"])
        assert np.array_equal(band.wcs.wcs.crpix, patch.reference.wcs.wcs.crpix)
    assert {f"{what}_{band}" for what in ("flux", "mag", "snr") for band in "gri"} <= set(truth.colnames)
    bright = np.asarray(truth["snr_r"]) > 20
    assert bright.any() and (np.asarray(truth["snr"])[bright] > np.asarray(truth["snr_r"])[bright]).all()


def test_a_case_takes_the_bands_of_the_image_that_it_names(folder):
    spec = load_image(saved(folder, band_maker.entry(folder)))
    two = adopt(spec, None, ["g", "i"])
    patch, truth = next(iter(adopt_patches(two, {**SETTINGS, "bands": ["g", "i"]}, 1, "galaxies", "mine")))
    assert list(patch.bands) == ["g", "i"] and "flux_r" not in truth.colnames
    with pytest.raises(StudyError, match="has no band 'u'"):
        adopt(spec, None, ["u"])


def test_a_source_is_injected_with_its_magnitude_in_each_band(patch):
    before, truth = patch
    row = {"x": 70.0, "y": 75.0, "mag_g": 22.0, "mag_r": 21.0, "mag_i": 20.5}
    catalogue = sources(before, [row])
    after, table = inject(before, truth, catalogue, 5, "galaxies", {**SETTINGS, "inject": {"photon_noise": False}})
    (target,) = table[table["role"] == "target"]
    for band, mag in (("g", 22.0), ("r", 21.0), ("i", 20.5)):
        light = (after.bands[band].science - before.bands[band].science).sum()
        assert light == pytest.approx(10 ** (0.4 * (AB_NANOJANSKY - mag)), rel=0.03)
        assert target[f"mag_{band}"] == mag and target[f"snr_{band}"] > 0
    noise = [after.bands[band].planes["NOISE"] for band in after.bands]
    assert abs(np.corrcoef(noise[0].ravel(), noise[1].ravel())[0, 1]) < 0.05  # streams of their own


def test_what_is_drawn_in_a_band_does_not_depend_on_the_other_bands(folder, patch):
    """Noise of the sky and photons are keyed by the band."""
    spec = load_image(saved(folder, band_maker.entry(folder)))
    alone = adopt(spec, None, ["r"])
    one, truth = next(iter(adopt_patches(alone, {**SETTINGS, "bands": ["r"]}, 1, "galaxies", "mine")))
    settings = {**SETTINGS, "inject": {}}
    row = {"x": 70.0, "y": 75.0, "mag_r": 21.0}
    few, _ = inject(one, truth, sources(one, [row]), 5, "galaxies", {**settings, "bands": ["r"]})
    row |= {"mag_g": 22.0, "mag_i": 20.5}
    all_three, _ = inject(*patch, sources(patch[0], [row]), 5, "galaxies", settings)
    added = [
        after.bands["r"].science - before.bands["r"].science for after, before in ((few, one), (all_three, patch[0]))
    ]
    assert np.allclose(added[0], added[1], atol=1e-3 * np.abs(added[0]).max())


def test_one_band_of_several_is_the_same_to_the_bit_as_an_image_in_one_band(folder):
    """In nJy, which an image in several bands is brought to: pixels, noise, mask and PSF of a patch."""
    facts = band_maker.BANDS["r"]
    single = {"hdu": "R", "zero_point": AB_NANOJANSKY, "psf": R_PSF}
    one = {**band_maker.entry(folder, name="one", bands=..., zero_point_key=...), **single, "band": "r"}
    several = {**band_maker.entry(folder, name="several", zero_point_key=..., psf=...), "bands": {"r": single}}
    made = []
    for entry in (one, several):
        adopted = adopt(load_image(saved(folder, entry)), None)
        patch, truth = next(iter(adopt_patches(adopted, {**SETTINGS, "bands": ["r"]}, 1, "galaxies", "mine")))
        row = {"x": 70.0, "y": 75.0, "mag_r": 25.0}
        made.append(inject(patch, truth, sources(patch, [row]), 5, "galaxies", {**SETTINGS, "bands": ["r"]}))
    (first, ours), (second, theirs) = made
    assert facts["rms"] == pytest.approx(np.sqrt(np.median(first.bands["r"].variance)), rel=0.05)
    for plane in ("science", "variance", "mask", "psf"):
        assert np.array_equal(getattr(first.bands["r"], plane), getattr(second.bands["r"], plane)), plane
    for plane in ("BASE", "SEG", "MODEL", "NOISE"):
        assert np.array_equal(first.bands["r"].planes[plane], second.bands["r"].planes[plane]), plane
    for column in ("x", "y", "flux_r", "snr_r", "snr", "source_id"):
        assert np.allclose(ours[column], theirs[column], rtol=1e-6), column


def test_the_bands_of_the_page_are_adopted(tmp_path):
    """docs/add-a-real-image.md: its entry loads, its file is adopted, its report is what the page names."""
    with directory(tmp_path, "docs/add-a-real-image.md"):
        write_bands(tmp_path)
        adopted = adopt(load_image("my_bands"), "unused", ["g", "r"])
    assert set(adopted.report["registration"]["shifts"]) == {"r"}
    for band in "gr":
        assert {"sky", "noise", "psf", "depth"} <= set(adopted.report["bands"][band])
    assert adopted.bands["r"].saturation == pytest.approx(60000 * 10 ** (0.4 * (AB_NANOJANSKY - 31)))


# --- small images --------------------------------------------------------------------------------


def test_a_small_cut_out_is_one_block_with_all_its_bands(tmp_path):
    images = band_maker.make((60, 64), pitch=200, galaxies=3)[0]
    band_maker.write_one(tmp_path / "mine.fits", images)
    small = load_image(saved(tmp_path, band_maker.entry(tmp_path, tiling={"block": 32, "border": 14})))
    adopted = adopt(small, None)
    ((patch, truth),) = adopt_patches(adopted, SETTINGS, 1, "galaxies", "mine")
    assert patch.shape == (60, 60) and len(truth) == adopted.report["objects"] > 0
    for band, facts in band_maker.BANDS.items():
        unit = 10 ** (0.4 * (AB_NANOJANSKY - facts["zero_point"]))
        assert adopted.report["bands"][band]["sky"]["rms_median"] == pytest.approx(facts["rms"] * unit, rel=0.15)
        assert adopted.report["bands"][band]["sky"]["sky_mean"] == pytest.approx(
            facts["level"] * unit, abs=facts["rms"] * unit
        )


@pytest.mark.parametrize(
    "shape, says",
    [
        ((48, 58), "needs 372 x 372, there are 58 x 48"),
        ((48, 58), "block + 2 border at most 48, block at least 16"),
        ((12, 58), "the least is 16 x 16"),
    ],
)
def test_an_image_that_is_too_small_is_refused_with_the_least_size(tmp_path, shape, says):
    images = {band: np.zeros(shape) for band in band_maker.BANDS}
    band_maker.write_one(tmp_path / "mine.fits", images)
    with pytest.raises(StudyError) as error:
        load_image(saved(tmp_path, band_maker.entry(tmp_path, tiling={"block": 300, "border": 36})))
    assert says in str(error.value) and "tiling" in str(error.value)
