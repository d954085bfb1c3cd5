"""Scores of supernovae on tables that are made by hand: what is lost goes to the stage that loses it."""

from importlib import import_module

import numpy as np
import pytest
from blendimpact.cases.transients.foms import BOUND, FIGURES_OF_MERIT
from blendimpact.ladder.aggregate import aggregate
from blendimpact.ladder.rungs import FIXED, ORDER
from blendimpact.sky.blends import ARCSEC2_PER_DEG2
from difference_tables import SCALE, SETTINGS, SIZE, facts_for, made, source

scoring = import_module("blendimpact.cases.transients.score")
HOSTED = source("supernova", 60, 60, snr=6.0, host_id=7, host_sb=22.3, static_mag=23.0)
LONE = source("hostless", 60, 160, snr=6.0)
REAL_ENGINE = ("deblended", "pipeline")


def scored(tables, of, patches=12, **facts):
    """Return {(fom, kind, term, stratum): value} of the figures whose ids begin as ``of``."""
    table = scoring.score(tables, SETTINGS, facts_for(patches, **facts)).table()
    foms = [f for f in FIGURES_OF_MERIT if f.id.startswith(of)]
    out = aggregate(table, "transients", "fiducial", foms, 20, 3)
    out = sorted(out, key=lambda row: row["population"] == "all")  # of several the whole one
    return {tuple(str(r[c]) for c in ("fom", "kind", "term", "stratum")): float(r["value"]) for r in out}


def budget(rows, fom, stratum="all"):
    terms = ("photons", "sky", "deblending", "detection", "interaction", "total")
    return {term: rows[fom, "impact", term, stratum] for term in terms}


def test_a_supernova_that_subtraction_hides_is_charged_to_it():
    """Two fifths of the flux are left of the hosted one: S/N 2.4, found by nobody."""
    hidden = made(
        [HOSTED, LONE],
        ratio=lambda rung, s: 0.4 if s is HOSTED and rung in REAL_ENGINE else 1.0,
        found=lambda rung, s: not (s is HOSTED and rung == "pipeline"),
    )
    rows = scored(hidden, "TR-D1")
    assert budget(rows, "TR-D1") == {
        "photons": 0,
        "sky": 0,
        "deblending": 0.5,
        "detection": 0,
        "interaction": 0,
        "total": 0.5,
    }
    assert (
        rows["TR-D1.at6", "value", "pipeline", "all"] == 0.5
        and rows["TR-D1.at6", "impact", "deblending", "all"] == -0.5
    )
    assert rows["TR-D1", "value", "pipeline", "place:hosted"] == 1
    assert rows["TR-D1", "value", "pipeline", "place:hostless"] == 0
    (name,) = {s for f, k, t, s in rows if f == "TR-D1" and s.startswith("contrast") and rows[f, k, t, s] == 1}
    low, high = map(float, name.removeprefix("contrast:").split("-"))
    assert low <= 10 ** (0.4 * (31.4 - 2.5 * np.log10(60) - 23.0)) < high


def test_what_only_the_search_of_the_engine_s_difference_loses_is_an_interaction():
    rows = scored(made([HOSTED, LONE], found=lambda rung, s: not (s is HOSTED and rung == "pipeline")), "TR-D1")
    assert budget(rows, "TR-D1") == {
        "photons": 0,
        "sky": 0,
        "deblending": 0,
        "detection": 0.5,
        "interaction": 0.5,
        "total": 0.5,
    }
    rows = scored(made([LONE], found=lambda rung, s: rung not in ("merged", "pipeline")), "TR-D1")
    assert rows["TR-D1", "impact", "detection", "all"] == 1 and rows["TR-D1", "impact", "interaction", "all"] == 0


def test_photon_noise_of_the_host_and_the_template_have_terms_of_their_own():
    """Each rung from the one on that has it."""
    for first, term in (("exact", "photons"), ("oracle", "sky")):
        late = ORDER[ORDER.index(first) :]
        weak = made(
            [HOSTED, LONE],
            ratio=lambda rung, s, late=late: 0.7 if s is HOSTED and rung in late else 1.0,
            found=lambda rung, s: s is LONE or rung == "isolated",
        )
        rows = scored(weak, "TR-D1")
        assert rows["TR-D1", "impact", term, "all"] == 0.5
        assert sum(abs(v) for k, v in budget(rows, "TR-D1").items() if k not in (term, "total")) == 0


def test_brighter_ones_have_strata_and_no_part_in_the_headline():
    bright = source("hostless", 160, 160, snr=30.0)
    rows = scored(made([LONE, bright], found=lambda rung, s: s is LONE or rung != "pipeline"), "TR-D1")
    assert rows["TR-D1", "value", "pipeline", "all"] == 0
    assert rows["TR-D1", "value", "pipeline", "snr:25-50"] == 1
    assert rows["TR-D1", "value", "pipeline", "snr:6-7"] == 0
    assert rows["TR-D1.bright", "value", "pipeline", "all"] == 0.5


def test_magnitudes_are_paired_and_bounded():
    """A tenth of the flux less where the engine subtracts; one outlier of 2 mag counts as the bound."""
    bright = [source("supernova", 60, 60, snr=20.0), source("hostless", 60, 160, snr=20.0)]
    tables = made(bright, noise=1.0, ratio=lambda rung, s: 0.9 if s is bright[0] and rung in REAL_ENGINE else 1.0)
    rows = scored(tables, "TR-M1")
    tenth = 2.5 / np.log(10) / 10
    assert rows["TR-M1", "impact", "deblending", "place:hosted"] == pytest.approx(tenth, abs=1e-3)
    assert rows["TR-M1", "impact", "deblending", "place:hostless"] == 0
    assert rows["TR-M1.median", "impact", "deblending", "place:hosted"] == pytest.approx(tenth, abs=4e-3)
    assert rows["TR-M1.nmad", "impact", "deblending", "place:hosted"] < 0.01  # the noise is that of the oracle
    assert rows["TR-M1", "impact", "total", "all"] == pytest.approx(
        sum(
            rows["TR-M1", "impact", term, "all"]
            for term in ("intrinsic", "photons", "sky", "deblending", "survival", "detection")
        ),
        abs=1e-12,
    )
    rows = scored(made(bright[1:], ratio=lambda rung, s: 3.0 if rung in REAL_ENGINE else 1.0), "TR-M1")
    assert rows["TR-M1", "impact", "deblending", "all"] == pytest.approx(-BOUND)


def test_the_hostless_can_be_given_a_host():
    host = dict(source_id=7, x=61.0, y=160.0, hlr=0.8, g1=0.0, g2=0.0)
    beside, far = source("hostless", 60, 160), source("hostless", 160, 60)
    rows = scored(made([beside, far], galaxies=[host], objects=[(61, 160, 3, 3, 0)]), "TR-B2")
    assert rows["TR-B2.given", "value", "oracle", "all"] == rows["TR-B2.given", "value", "pipeline", "all"] == 0.5


def test_spurious_candidates_are_told_by_the_source_they_lie_beside():
    """Rates per area: beside a star of 16 mag, beside one of 23, beside nothing; they add up to all."""
    stars = [(80, 80, 1e7), (200, 200, 2500.0)]
    tables = made([], static=[(100 + k, "star", 22.0) for k in range(2)], candidates=[
        ("pipeline", 82, 80, 7.0), ("pipeline", 80, 83, -6.0), ("pipeline", 201, 200, 5.5), ("pipeline", 250, 100, 6.0),
    ])  # fmt: skip
    truth = tables["truth"]
    for number, (x, y, flux) in enumerate(stars):
        rows = truth["source_id"] == 100 + number
        truth["x"][rows], truth["y"][rows], truth["mag_r"][rows] = x, y, 31.4 - 2.5 * np.log10(flux)
    rows = scored(tables, "TR-D2")
    reach = 1.6 / SCALE  # 2 FWHM
    disc = np.pi * reach**2 * SCALE**2 / ARCSEC2_PER_DEG2
    whole = (SIZE * SCALE) ** 2 / ARCSEC2_PER_DEG2
    got = {s: v for (f, _, t, s), v in rows.items() if f == "TR-D2" and t == "pipeline"}
    assert got["beside:10-18"] == pytest.approx(2 / disc, rel=0.05)
    assert got["beside:22-24"] == pytest.approx(1 / disc, rel=0.05)
    assert got["beside:24-99"] == pytest.approx(1 / (whole - 2 * disc), rel=0.01)
    assert got["all"] == pytest.approx(4 / whole)
    assert set(FIXED) and ("TR-D2", "value", "isolated", "beside:24-99") in rows
