"""DAOFIND with PSF fits between its passes: what it finds, what it does not, and where it must find nothing."""

from dataclasses import replace

import numpy as np
import pytest
from blendimpact.data.matching import assign
from blendimpact.detect import DETECTORS
from blendimpact.detect.base import BITS, detect_on_stamp
from blendimpact.detect.daofind import DaoFindDetector
from blendimpact.errors import StudyError
from blendimpact.stats.streams import stream
from patch_maker import make_patch
from star_maker import random_field, snr_flux, star_field

SHAPE = (120, 160)


def xy(table):
    return np.column_stack([table["x"], table["y"]])


def found(stars, table, radius=1.75):
    """Return which stars are the nearest of a detection of their own."""
    if not len(table):
        return np.zeros(len(stars), bool)
    pairs = assign(stars[:, :2], stars[:, 2], xy(table), None, radius, det_id=np.asarray(table["det_id"]))
    return (np.asarray(pairs["det"]) >= 0) & np.asarray(pairs["dominant"])


def test_isolated_stars_are_found_where_they_are():
    lattice = np.array([(20.0 + 30 * i, 20.0 + 30 * j) for i in range(10) for j in range(8)])
    stars = np.c_[lattice + stream(1, "lattice").uniform(-0.5, 0.5, lattice.shape), np.full(80, snr_flux(30))]
    patch = star_field(stars, (250, 310), gain=40)
    for passes, bound in ((1, 2.0), (2, 1.3)):
        table = DaoFindDetector(passes=passes, least=None if passes == 1 else 4.5).detect(patch, {}).table
        ok = found(stars, table)
        assert ok.all()
        near = [np.hypot(*(xy(table) - s[:2]).T).min() for s in stars]
        # Of a Gaussian of noise-equivalent width, sigma sqrt(2) / SNR per axis; DAOFIND's centroids are less exact.
        assert np.sqrt(np.mean(np.square(near))) < bound * 2 * 4.4 / 2.355 / 30
        assert len(table) - 80 <= 0.05 * len(table) + (10 if passes == 1 else 0)
    # S/N 30 at the peak of the matched filter, less the star's photon noise and what lies beyond 98 % of the light.
    assert np.median([table["peak_snr"][np.argmin(np.hypot(*(xy(table) - s[:2]).T))] for s in stars]) == pytest.approx(
        28, abs=1.5
    )


def test_the_second_pass_finds_faint_neighbours():
    bright = [(20 + 30 * i, 20 + 30 * j, snr_flux(300)) for i in range(8) for j in range(6)]
    angle = stream(2, "angle").uniform(0, 2 * np.pi, len(bright))
    faint = [(x + 4.5 * np.cos(a), y + 4.5 * np.sin(a), snr_flux(25)) for (x, y, _), a in zip(bright, angle)]
    stars = np.array(bright + faint)
    patch = star_field(stars, (200, 260), gain=40)
    share, gains = {}, {}
    for passes in (1, 2):
        table = DaoFindDetector(passes=passes).detect(patch, {}).table
        share[passes], gains[passes] = found(stars, table, 1.5)[len(bright) :].mean(), table.meta["gains"]
        assert found(stars, table)[: len(bright)].all()
        assert len(table) <= 1.03 * len(stars)
    assert share[2] > 0.9 and share[1] < 0.5
    assert gains[2][:1] == gains[1] and len(bright) <= gains[1][0] < 1.2 * len(bright)
    assert len(gains[2]) == 2 and gains[2][1] >= 0.9 * len(faint)  # noise too, which the last fit drops


def test_completeness_and_purity_in_a_crowded_field():
    stars = random_field(600, (300, 300), "crowded", faint=1.5)  # of S/N > 5: 9e5 stars per square degree
    patch = star_field(stars, (300, 300), gain=40)
    bright = stars[:, 2] > snr_flux(10)
    tables = {name: DETECTORS.create(name).detect(patch, {}).table for name in ("daofind", "sep", "peaks")}
    share = {name: found(stars, table)[bright].mean() for name, table in tables.items()}
    assert share["daofind"] > 0.93 and share["daofind"] > share["sep"] and share["daofind"] > share["peaks"]
    assert found(stars, tables["daofind"]).sum() > 0.93 * len(tables["daofind"])


def test_false_detections_of_empty_sky_are_rare():
    patch = make_patch(stream(3, "empty").normal(size=(400, 400)))
    assert len(DaoFindDetector().detect(patch, {}).table) <= 6
    assert len(DaoFindDetector(threshold=5.5).detect(patch, {}).table) == 0


def test_nothing_to_see():
    for patch in (
        make_patch(np.zeros((40, 50))),
        make_patch(np.full((40, 50), np.nan)),
        make_patch(np.zeros((40, 50)), mask=np.ones((40, 50), np.uint8)),
        make_patch(np.ones((40, 50)), psf=np.zeros((41, 41))),
    ):
        detection = DaoFindDetector().detect(patch, {})
        assert len(detection.table) == 0 and not detection.segmentation.any()
        assert detection.segmentation.dtype == np.int32


def test_masked_and_edge_pixels_flag_and_do_not_detect():
    stars = [(60, 70, snr_flux(80)), (0, 90, snr_flux(80)), (110, 60, snr_flux(80))]
    mask = np.zeros(SHAPE, np.uint8)
    mask[70:73, 62:70] = 1
    mask[30:34, 120:124] = 1
    patch = star_field(stars, mask=mask)
    patch.bands["i"].science[30:34, 120:124] = 1e6
    patch.bands["i"].science[100, 40] = np.nan
    table = DaoFindDetector().detect(patch, {}).table
    order = [int(np.argmin(np.hypot(table["x"] - x, table["y"] - y))) for x, y, _ in stars]
    assert [int(table["flag"][k]) & (BITS.MASKED | BITS.EDGE) for k in order] == [BITS.MASKED, BITS.EDGE, 0]
    column, row = np.floor(xy(table) + 0.5).astype(int).T
    assert ((column >= 0) & (row >= 0) & (column < SHAPE[1]) & (row < SHAPE[0])).all()
    assert not np.hypot(table["x"] - 121.5, table["y"] - 31.5).min() < 3


def test_table_and_segmentation_belong_together_and_repeat():
    stars = random_field(60, SHAPE, "table", faint=8)
    patch = star_field(stars)
    detector = DaoFindDetector()
    one, two = detector.detect(patch, {}), detector.detect(patch, {})
    assert (one.table == two.table).all() and (one.segmentation == two.segmentation).all()
    assert one.table["det_id"].tolist() == list(range(1, len(one.table) + 1))
    np.testing.assert_array_equal(
        np.bincount(one.segmentation.ravel(), minlength=len(one.table) + 1)[1:], one.table["npix"]
    )
    here = detector.positions(patch, {})
    assert sorted(here[0].tolist()) == sorted(one.table["x"].tolist())


def test_bands_and_the_sky():
    stars = random_field(25, SHAPE, "bands", faint=3, bright=5)
    patch = star_field(stars, bands="gri", sky=25.0)
    sky = {band: np.full(SHAPE, 25.0) for band in "gri"}
    three, one = (DaoFindDetector(bands=b).detect(patch, sky).table for b in (None, ["r"]))
    assert found(stars, three).sum() > found(stars, one).sum()
    assert found(stars, three).mean() > 0.8


def test_limits_on_sharpness_reject_a_cosmic_ray():
    patch = star_field([(60, 70, snr_flux(80))])
    patch.bands["i"].science[30, 100] += 150
    plain = {"least": None, "passes": 1, "threshold": 6}
    assert len(DaoFindDetector(**plain).detect(patch, {}).table) == 2
    table = DaoFindDetector(sharpness=[0.2, 1.0], **plain).detect(patch, {}).table
    assert len(table) == 1 and table["x"][0] == pytest.approx(60, abs=0.3)


def test_a_source_alone_on_its_stamp_is_found():
    patch = star_field([], (150, 150))
    stamp = star_field([(20.2, 19.9, snr_flux(15))], (41, 41)).bands["i"].science
    assert detect_on_stamp(DaoFindDetector(), patch, {"i": stamp}, 30, 40, 50.2, 59.9, 3.0)
    assert not detect_on_stamp(DaoFindDetector(threshold=30), patch, {"i": stamp}, 30, 40, 50.2, 59.9, 3.0)


def test_a_wrong_psf_makes_no_crowd_of_false_neighbours():
    star = star_field([(80.2, 60.3, snr_flux(3000))], gain=40)
    wrong = {"kind": "kolmogorov", "fwhm": 0.76}
    star.bands["i"] = replace(star.bands["i"], psf_model=wrong)
    with_floor, without = (len(DaoFindDetector(floor=f).detect(star, {}).table) for f in (0.01, 0.0))
    assert with_floor <= 2 and with_floor <= without


def test_options_are_checked():
    for options, word in (
        ({"sharpness": [1, 0]}, "sharpness"),
        ({"roundness": [0.5]}, "roundness"),
        ({"passes": 0}, "passes"),
        ({"threshold": 0}, "threshold"),
    ):
        with pytest.raises(StudyError, match=word):
            DETECTORS.create("daofind", options)
    with pytest.raises(StudyError, match="no option 'thresh'"):
        DETECTORS.create("daofind", {"thresh": 1})
