"""A user's own pair of images: adopted with its template, injected into, differenced; or refused."""

import json

import numpy as np
import pytest
import sky_maker
from astropy.io import fits
from blendimpact.config import study
from blendimpact.config.real_image import image_files, load_image
from blendimpact.data.images import PatchFile, PatchWriter
from blendimpact.errors import StudyError
from blendimpact.populations.static_sky import place_in_light
from blendimpact.populations.supernova import NUCLEAR
from blendimpact.search.filters import forced
from blendimpact.sky.adopt.image import adopt
from blendimpact.sky.adopt.patches import CONTEXT_IDS, adopt_patches
from blendimpact.sky.adopt.template import WCS_TOLERANCE, wcs_offset
from blendimpact.sky.injection import inject
from blendimpact.sky.injection_flags import INJECTED_IDS
from blendimpact.subtract import SUBTRACTORS
from pages import directory, write_pair
from sky_maker import epoch
from target_maker import draw

SHAPE = sky_maker.PAIR
SETTINGS = {
    "case": "transients",
    "scenario": "mine",
    "bands": ["g"],
    "shape_band": "g",
    "truth_snr": 5,
    "match_radius": 1.0,
    "patch": {"size": 140, "border": 30},
    "inject": {
        "population": "transients",
        "per_patch": 6,
        "separation": 7,
        "snr": [20, 60],
        "kinds": {"supernova": 3, "nuclear": 1, "hostless": 1, "trail": 1, "comet": 1},
    },
}
TEMPLATE = {
    "zero_point": 29.0,
    "gain": 80.0,
    "saturation": None,
    "psf": {"kind": "measured", "size": 31},
    "variance": {"kind": "measured", "hdu": 0},
    "mask": None,
    "hdu": 0,
}


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """The files of a pair: the visit, and a sharper and deeper template on another zero point."""
    folder = tmp_path_factory.mktemp("pair")
    science = sky_maker.write(folder / "science.fits", epoch(1.1, 1.5, 1.0, 1), parity=-1, turn=10)
    template = epoch(0.9, 0.3, 10**-0.4, 2)
    template = sky_maker.write(folder / "template.fits", template, parity=-1, turn=10, MAGZERO=29.0)
    return folder, science, template


def spec_of(science, template, **changes):
    entry = {**TEMPLATE, "file": str(template), **changes}
    return sky_maker.spec_of(science, template={k: v for k, v in entry.items() if v is not ...})


@pytest.fixture(scope="module")
def pair(images):
    folder, science, template = images
    adopted = adopt(spec_of(science, template), folder)
    return adopted, list(adopt_patches(adopted, SETTINGS, 1, "transients", "mine"))


def test_each_epoch_is_measured_as_an_image_of_its_own(pair):
    adopted, patches = pair
    assert adopted.psf.report["fwhm_arcsec"] == pytest.approx(1.1, rel=0.03)
    assert adopted.template.psf.report["fwhm_arcsec"] == pytest.approx(0.9, rel=0.03)
    report = adopted.report["template"]
    assert json.loads(json.dumps(adopted.report, allow_nan=False))["template"]["pair"]["matched"] > 50
    assert report["sky"]["rms_median"] == pytest.approx(0.3, rel=0.03)
    agreement = report["pair"]
    assert np.all(np.abs(agreement["shift"]) < 5 * np.array(agreement["shift_error"]) + 0.01)
    assert agreement["flux_ratio"] == pytest.approx(1, abs=0.03)  # what counts as the aperture depends on the seeing
    for patch, _ in patches:
        band, template = patch.bands["g"], patch.templates["g"]
        assert template.science.shape == band.science.shape and (template.zero_point, template.gain) == (29.0, 80.0)
        assert set(template.planes) == set() and set(band.planes) == {"BASE", "SEG"}
        assert (template.psf**2).sum() > 1.2 * (band.psf**2).sum()  # sharper


def test_the_planes_of_the_template_are_kept_in_fits(pair, tmp_path):
    patch = pair[1][0][0]
    with PatchWriter(tmp_path / "p.fits") as writer:
        writer.write(patch)
    with fits.open(tmp_path / "p.fits") as hdus:
        assert {"P00000_ZERO_G_TPLSCI", "P00000_ZERO_G_TPLVAR", "P00000_ZERO_G_TPLMASK"} <= {h.name for h in hdus}
    with PatchFile(tmp_path / "p.fits") as file:
        again = file.read(0, "zero")
    for name in ("science", "variance", "mask", "psf"):
        assert np.array_equal(getattr(again.templates["g"], name), getattr(patch.templates["g"], name))


def injected(pair, supernovae):
    """Yield, for each block: before, after, truth."""
    for patch, truth in pair[1]:
        rows = draw(SETTINGS, patch, truth, 5, "transients", patch.index, 0, supernova=supernovae)
        after, table = inject(patch, truth, rows, 5, "transients", SETTINGS)
        yield patch, after, table


def test_transients_are_added_to_the_visit_alone_and_recovered(pair, supernovae):
    """Forced fluxes of points on the real difference are those of the truth; without injection they are 0."""
    engine = SUBTRACTORS.create("zogy", {})
    pulls, nulls, ratios, kinds = [], [], [], set()
    for before, after, table in injected(pair, supernovae):
        for name in ("science", "variance", "mask"):
            old, new = getattr(before.templates["g"], name), getattr(after.templates["g"], name)
            assert np.array_equal(old, new)
        rows = table[np.asarray(table["role"]) == "target"]
        kinds |= set(rows["transient"])
        rows = rows[np.isin(rows["transient"], ["supernova", "nuclear", "hostless"])]
        x, y, flux = (np.asarray(rows[n], float) for n in ("x", "y", "flux_g"))
        one, none = (forced(engine.subtract(p.bands["g"], p.templates["g"]), x, y) for p in (after, before))
        pulls.append((one["flux"] - flux) / one["flux_err"])
        nulls.append(none["snr"])
        ratios.append(one["flux"] / flux)
    pulls, nulls, ratios = (np.concatenate(v) for v in (pulls, nulls, ratios))
    assert kinds == {"supernova", "nuclear", "hostless", "trail", "comet"} and len(pulls) > 20
    assert np.median(ratios) == pytest.approx(1, abs=0.04)
    assert abs(np.median(pulls)) < 4 * 1.2533 / np.sqrt(len(pulls))
    assert np.median(np.abs(pulls)) < 2 * 0.6745  # hosts are subtracted with PSFs measured on stars
    assert np.median(np.abs(nulls)) < 2 * 0.6745


def test_hosts_are_the_extended_sources_of_the_image(pair, supernovae):
    hosted = 0
    for before, _, table in injected(pair, supernovae):
        places = {int(r["source_id"]): (float(r["x"]), float(r["y"])) for r in table if r["role"] == "context"}
        seg = before.bands["g"].planes["SEG"]
        rng = np.random.default_rng(11)
        stars = sky_maker.star_places(SHAPE, rng)[0]
        x0, y0 = before.bands["g"].wcs.wcs.crpix - pair[0].wcs.wcs.crpix
        for row in table[np.asarray(table["injection_id"]) >= 0]:
            assert row["source_id"] >= INJECTED_IDS
            if row["host_id"] < 0:
                assert row["transient"] not in ("supernova", "nuclear")
                continue
            hosted += 1
            assert row["host_id"] > CONTEXT_IDS and 0.05 <= row["redshift"] <= 1.0  # drawn: no image knows it
            far = np.hypot(row["x"] - places[row["host_id"]][0], row["y"] - places[row["host_id"]][1]) * sky_maker.SCALE
            assert row["host_distance"] == pytest.approx(far, abs=1e-6)
            if row["transient"] == "nuclear":
                assert far <= NUCLEAR + 1e-9
            else:
                assert seg[int(np.floor(row["y"] + 0.5)), int(np.floor(row["x"] + 0.5))] == row["host_id"]
                assert np.isfinite(row["host_sb"])
            host = np.array(places[row["host_id"]]) - (x0, y0)
            assert np.hypot(*(stars - host).T).min() > 1  # no star is a host
    assert hosted > 10


def test_places_follow_the_light_that_is_seen():
    light = np.zeros((20, 30))
    light[5, 7], light[6, 7], light[5, 8], light[10, 10] = 3.0, 1.0, -2.0, 50.0
    footprint = np.zeros(light.shape, bool)
    footprint[5:7, 7:9] = True
    rng = np.random.default_rng(1)
    places = np.array([place_in_light(light, footprint, rng) for _ in range(2000)])
    assert set(np.floor(places[:, 0] + 0.5)) == {7} and set(np.floor(places[:, 1] + 0.5)) == {5, 6}
    assert (places[:, 1] < 5.5).mean() == pytest.approx(0.75, abs=4 * np.sqrt(0.1875 / 2000))
    assert place_in_light(-light, footprint & (light > 0), rng) is None


@pytest.mark.parametrize(
    "entry, cards, spoil, message",
    [
        ({}, {}, lambda a: a[:, :-1], "599 x 520 pixels"),
        ({}, {"CRVAL1": 58.4 + 0.4 * sky_maker.SCALE / 3600}, None, "pixels off"),
        ({}, {"CRVAL1": 258.4}, None, "pixels off"),
        ({"zero_point": ...}, {"BUNIT": None}, None, "no zero point"),
        ({"zero_point": ..., "zero_point_key": "MAGZPT"}, {}, None, "MAGZPT"),
        ({}, {}, lambda a: a * np.nan, "no pixel of the template is finite"),
        ({}, {}, lambda a: np.where(np.arange(600) < 400, np.nan, a), "not finite"),
        ({"gain": ...}, {}, None, "no positive gain"),
        ({"hdu": 2}, {}, None, "HDU 2"),
        ({"file": "none.fits"}, {}, None, "not there"),
        ({"variance": {"kind": "variance", "hdu": 0}}, {}, lambda a: a - 4, "are negative"),
        ({"psf": {"kind": "moffat", "fwhm": 1.0}}, {}, None, "needs beta"),
        ({}, {}, lambda a: np.roll(a, 2, axis=1), "shifted by 2.0"),
    ],
)
def test_templates_that_cannot_be_used_are_refused(images, tmp_path, entry, cards, spoil, message):
    folder, science, template = images
    path = template
    if cards or spoil:
        array = fits.getdata(template).astype(float)
        path = sky_maker.write(
            tmp_path / "t.fits", spoil(array) if spoil else array, parity=-1, turn=10, **{"MAGZERO": 29.0, **cards}
        )
    with pytest.raises(StudyError, match=message) as caught:
        adopt(spec_of(science, path, **entry), folder)
    assert "Remedy" in str(caught.value) and ("template" in str(caught.value) or str(path) in str(caught.value))


def test_tolerance_of_the_wcs():
    from astropy.wcs import WCS

    one, other = WCS(sky_maker.tan_header(SHAPE)), WCS(sky_maker.tan_header(SHAPE))
    other.wcs.crpix = np.array(other.wcs.crpix) + (0.06, 0.08)
    assert wcs_offset(one, other, SHAPE) == pytest.approx(0.1, abs=1e-6) and WCS_TOLERANCE == 0.1


TEXT = """
name: mine
title: t
band: r
file: mine.fits
size: [1000, 1000]
pixel_scale: 0.2
gain: 10
psf: {kind: measured}
reference: none
template:
"""


@pytest.mark.parametrize(
    "template, message",
    [
        ("  file: t.fits\n  gain: 5\n  psf: {kind: moffat, fwhm: 1.0}", "of kind moffat needs `beta`"),
        ("  gain: 5\n  psf: {kind: measured}", "template: needs one of `file` and `member`"),
        ("  file: t.fits\n  gain: 5\n  zero_point: 3\n  zero_point_key: ZP\n  psf: {kind: measured}", "`zero_point`"),
        ("  file: t.fits\n  gain: 5\n  psf: {kind: file}", "template.psf: a PSF of kind file needs `file`"),
        ("  member: t.fits\n  gain: 5\n  psf: {kind: measured}", "needs an `input`"),
        ("  file: t.fits\n  gain: 5\n  psf: {kind: measured}\n  variance: {file: v.fits}", "is measured, but names"),
        ("  file: t.fits\n  gain: 5\n  psf: {kind: measured}\n  seeing: 1", "seeing"),
    ],
)
def test_what_no_file_is_needed_for_is_refused_with_the_configuration(tmp_path, template, message):
    (tmp_path / "mine.yaml").write_text(TEXT + template)
    with pytest.raises(StudyError) as caught:
        load_image(tmp_path / "mine.yaml")
    assert message in str(caught.value)


def test_a_template_is_read_and_measured_as_its_image_unless_it_says_otherwise(tmp_path):
    mask = "mask: {hdu: 2, meaning: [{value: 4, flag: BAD, text: bad}]}\nsky: {mesh: 64, level: 3.0}\ntemplate:\n"
    text = TEXT.replace("template:\n", mask).replace("{kind: measured}", "{kind: measured, size: 21}")
    (tmp_path / "mine.yaml").write_text(text + "  file: t.fits\n  gain: 5")
    image = load_image(tmp_path / "mine.yaml")
    template = image["template"]
    assert template["psf"] == image["psf"] and template["mask"] == image["mask"]
    assert template["sky"] == {"mesh": 64, "grow": 2.0}  # the level is that of the image alone
    own = "  file: t.fits\n  gain: 5\n  mask: null\n  sky: {grow: 1.0}\n  psf: {kind: moffat, fwhm: 1.0, beta: 3}"
    (tmp_path / "mine.yaml").write_text(text + own)
    template = load_image(tmp_path / "mine.yaml")["template"]
    assert template["mask"] is None and template["sky"] == {"mesh": 256, "grow": 1.0}
    assert template["psf"]["kind"] == "moffat"
    given = text.replace("{kind: measured, size: 21}", "{kind: moffat, fwhm: 1.0, beta: 3}")
    (tmp_path / "mine.yaml").write_text(given + "  file: t.fits\n  gain: 5")
    with pytest.raises(StudyError, match="add template.psf: each epoch has its own"):
        load_image(tmp_path / "mine.yaml")


def test_an_error_in_a_template_names_its_keys(images):
    folder, science, template = images
    with pytest.raises(StudyError, match="no zero point") as caught:
        adopt(spec_of(science, template, zero_point=..., zero_point_key=...), folder)
    assert "under `template`" in str(caught.value)


@pytest.mark.parametrize(
    "engine, template, refused",
    [("zogy", False, True), ("zogy", True, False), ("none", False, False), ("truth", False, False)],
)
def test_an_engine_that_needs_a_template_is_refused_where_there_is_none(tmp_path, engine, template, refused):
    entry = "  file: t.fits\n  gain: 5\n  psf: {kind: measured}"
    (tmp_path / "mine.yaml").write_text(TEXT + entry if template else TEXT.replace("template:", ""))
    case = {
        "sky": "adopt",
        "image": str(tmp_path / "mine.yaml"),
        "bands": ["r"],
        "shape_band": "r",
        "epochs": None,
        "patch": {"size": None, "border": None, "count": None},
        "subtractor": engine,
        "stamp": 5.0,
        "inject": {"per_patch": 1},
        "scenarios": {"dense_stars": None},
    }
    found = study.read(
        study.merged_settings(study.load_config(overrides={"cases": {"transients": case}}), "transients", "fiducial"),
        study.Settings,
    )[1]
    assert [p.key for p in found] == ([("subtractor",)] if refused else [])


def test_the_files_of_both_epochs_are_inputs_of_the_rule(tmp_path):
    (tmp_path / "mine.yaml").write_text(
        TEXT + "  file: t.fits\n  gain: 5\n  psf: {kind: file, file: p.fits}\n"
        "  variance: {kind: weight, file: w.fits}\n  mask: {file: t.fits, hdu: 1, meaning: []}"
    )
    assert image_files(load_image(tmp_path / "mine.yaml")) == ["mine.fits", "t.fits", "p.fits", "w.fits"]
    (tmp_path / "mine.yaml").write_text(TEXT.replace("template:", "template: null"))
    assert image_files(load_image(tmp_path / "mine.yaml")) == ["mine.fits"]


def test_the_pair_of_the_page_is_adopted(tmp_path):
    """docs/add-a-real-image.md: its entry loads, its files are adopted, its report is what the page names."""
    with directory(tmp_path, "docs/add-a-real-image.md"):
        write_pair(tmp_path)
        spec = load_image("my_pair")
        assert image_files(spec) == ["my_visit.fits", "my_template.fits"]
        adopted = adopt(spec, "unused")
    patches = list(adopt_patches(adopted, {"bands": ["r"]}, 1, "transients", "mine"))
    assert len(patches) == 9 and all(list(patch.templates) == ["r"] for patch, _ in patches)
    pair = adopted.report["template"]["pair"]
    assert np.hypot(*pair["shift"]) < 0.05 and pair["flux_ratio"] == pytest.approx(1, abs=0.03)
