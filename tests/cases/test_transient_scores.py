"""Scores of difference imaging on tables that are made by hand, with answers that can be counted."""

from importlib import import_module
from math import comb

import numpy as np
import pandas as pd
import pytest
from astropy.table import vstack
from blendimpact.cases.transients import FIGURES_OF_MERIT
from blendimpact.cases.transients.hosts import light_radius
from blendimpact.cases.transients.places import apart, free_pixels
from blendimpact.data.coma import coma_share
from blendimpact.ladder.aggregate import aggregate
from blendimpact.ladder.rungs import FIXED, REAL
from blendimpact.sky.blends import ARCSEC2_PER_DEG2, false_alarm_density
from blendimpact.stats.detection_statistics import NIGHTS, AreaUnderCurve, Linking, Missed, TruePositives, linked
from blendimpact.stats.histogram_statistics import Rising
from blendimpact.stats.intervals import wilson
from blendimpact.stats.statistic import Blocks, Value
from difference_tables import ALARM_SIGMA, LADDER, SCALE, SETTINGS, SIZE, facts_for, made, source

scoring = import_module("blendimpact.cases.transients.score")
OF_SEARCHES = "isolated", "oracle", "undeblended", "deblended", "pipeline"
TWO_HOSTS = [
    dict(source_id=7, x=61.0, y=60.0, hlr=0.8, g1=0.1, g2=0.0),
    dict(source_id=8, x=120.0, y=60.0, hlr=0.8, g1=0.1, g2=0.0),
]
HOSTED = source("supernova", 60, 60, host_id=7, static_distance=0.2, host_sb=22.3)
LONE = source("hostless", 60, 160)
TRAIL = source("trail", 200, 120, trail_length=4.0, trail_angle=30.0, static_distance=0.4)
FAR_TRAIL = source("trail", 250, 250, trail_length=4.0, trail_angle=120.0)
REAL_COMA = source("coma_9p", 240, 40, coma_radius=4.0)
COMET = source("comet", 120, 240, nucleus_fraction=0.4, coma_radius=4.0)
ALL = [HOSTED, LONE, TRAIL, FAR_TRAIL, COMET]
EPOCHS = {str(p): {"r": {"fwhm": 0.8, "depth": 24.0, "template_depth": 26.0}} for p in range(12)}


def scored(tables, of="", patches=12, sky="simulate", **facts):
    """Return the rows of those figures of merit whose ids begin as one of the words of ``of`` (default: all)."""
    table = scoring.score(tables, {**SETTINGS, "sky": sky}, facts_for(patches, **facts)).table()
    foms = [f for f in FIGURES_OF_MERIT if f.id.startswith(tuple(of.split()) or "")]
    out = aggregate(table, "transients", "fiducial", foms, 20, 3)
    return {(str(r["fom"]), str(r["term"]), str(r["population"]), str(r["stratum"])): r for r in out}


def values(rows, fom, stratum="all", kind="value", population=None):
    return {
        term: float(r["value"])
        for (f, term, p, s), r in rows.items()
        if f == fom and s == stratum and r["kind"] == kind and population in (None, p)
    }


def test_a_perfect_study_has_no_impact_of_any_kind():
    rows = scored(
        made(
            ALL,
            noise=1.0,
            galaxies=TWO_HOSTS,
            objects=[(61, 60, 3, 2, 0), (120, 60, 3, 2, 0)],
            static=[(100, "galaxy", 22.0), (101, "star", 19.0)],
        )
    )
    none = {"intrinsic", "total"}  # noise, and the scatter that it makes, is intrinsic
    impacts = {key: r for key, r in rows.items() if r["kind"] == "impact" and key[1] not in none}
    assert len({key[0] for key in impacts}) > 25
    empty = {"TR-D1.snr50", "TR-D1.m50", "TR-D2.positive"}  # curves that do not cross, parts of nothing
    scatters = {
        "TR-M1.nmad": 1e-3,
        "MO-M1.added": 1.0,
        "CO-B1.nmad": 0.01,
        "CO-B1.afrho_nmad": 0.01,
    }  # no less than a bin tells apart
    assert {k[0] for k, r in impacts.items() if not abs(r["value"]) < scatters.get(k[0], 1e-12)} <= empty
    assert values(rows, "MO-D1") == values(rows, "CO-D1.lost") == dict.fromkeys(LADDER, 0.0)
    assert values(rows, "TR-D2") == dict.fromkeys(OF_SEARCHES, 0.0)
    assert values(rows, "TR-B1") == dict.fromkeys(FIXED, 0.0)
    assert values(rows, "TR-B2") == {"oracle": 0.0, "pipeline": 0.0}
    assert {f for f, *_ in rows} <= {f.id for f in FIGURES_OF_MERIT}


def test_no_transient_at_all_is_no_error():
    rows = scored(made([], static=[(100, "galaxy", 22.0)]))
    assert values(rows, "TR-B1")["deblended"] == 0
    assert "TR-D1" not in {f for f, *_ in rows}


def test_losses_go_to_the_stage_that_loses():
    """The search misses the trail; the comet stays."""
    tables = made(
        ALL,
        ratio=lambda rung, s: 0.4 if s is HOSTED and rung in ("deblended", "pipeline") else 1.0,
        found=lambda rung, s: not (s is TRAIL and rung in ("pipeline", "merged")),
    )
    rows = scored(tables, "CO-D1 MO-D1 MO-D2 TR-D1")
    assert values(rows, "MO-D1", kind="impact")["detection"] == 0.5
    assert values(rows, "MO-D1", "distance:0-1")["pipeline"] == 1
    assert values(rows, "MO-D1", "distance:5-1e+09")["pipeline"] == 0
    assert values(rows, "MO-D2", population="trail")["pipeline"] == pytest.approx(linked(0.5))
    assert values(rows, "CO-D1.lost", kind="impact")["detection"] == 0
    assert values(rows, "TR-D1.contrast")["pipeline"] == 0  # its candidates are there: only the flux is not
    rows = scored(made(ALL, found=lambda rung, s: s is not HOSTED), "TR-D1")
    assert values(rows, "TR-D1.contrast") == dict.fromkeys(OF_SEARCHES, -1.0)


def test_the_efficiency_rises_through_half_where_it_does():
    """Found from S/N 5 on in the pipeline, from 6 on with the template's noise of hosts."""
    many = [
        source(kind, 40 + 25 * k, y, snr=snr, host_id=7 if kind == "supernova" else -1)
        for kind, y in (("supernova", 60), ("hostless", 200))
        for k, snr in enumerate((3.5, 4.5, 5.5, 6.5, 7.5))
    ]
    rows = scored(
        made(many, found=lambda rung, s: s["snr"] > (6 if s["transient"] == "supernova" and rung == "pipeline" else 5)),
        "TR-D1",
    )
    assert values(rows, "TR-D1.snr50", population="hostless")["pipeline"] == pytest.approx(5.0)
    assert values(rows, "TR-D1.snr50", population="hosted")["pipeline"] == pytest.approx(6.0)
    assert values(rows, "TR-D1.snr50", population="hosted")["oracle"] == pytest.approx(5.0)
    assert values(rows, "TR-D1.m50", population="hostless")["pipeline"] == pytest.approx(27.25)  # S/N 4.5 and 5.5
    assert values(rows, "TR-D1.contrast")["pipeline"] == pytest.approx(-1 / 3)
    assert values(rows, "TR-D1.efficiency", "snr:5-6", population="all")["pipeline"] == 0.5
    assert values(rows, "TR-D1.bright", population="all")["pipeline"] == 1
    assert values(rows, "TR-D1.at6", population="all")["pipeline"] == pytest.approx(2 / 4)


def test_a_trail_is_found_anywhere_on_its_line():
    on, off = (200 + 8 * np.cos(np.radians(30)), 120 + 8 * np.sin(np.radians(30))), (200 + 14, 120 + 14)
    for (x, y), expected in ((on, 1.0), (off, 0.0)):
        tables = made([TRAIL], found=lambda rung, s: rung == "isolated", candidates=[("pipeline", x, y, 7.0)])
        assert values(scored(tables, "MO-D1"), "MO-D1.efficiency")["pipeline"] == expected
    distance = apart(
        pd.DataFrame([dict(x=200.0, y=120.0, half=10.0, angle=np.radians(30))]), *np.array([on, off, (200.0, 130.0)]).T
    )[0]
    assert distance == pytest.approx([0.0, np.hypot(14 - 10 * np.cos(np.pi / 6), 9.0), 10 * np.cos(np.pi / 6)])


def test_spurious_candidates_are_those_that_nothing_explains():
    """Densities per area that is not near a transient or a variable star; both signs; Kaiser's rate beside."""
    loose = [("pipeline", 280, 280, 5.2), ("pipeline", 280, 30, -4.2), ("merged", 280, 280, -6.5)]
    near = [("pipeline", 60, 165, -8.0), ("pipeline", 150, 33, 9.0), ("pipeline", 120, 250, 5.0 + 1e-9)]
    rows = scored(made(ALL, candidates=loose + near, variable=[(150, 30)]), "TR-D2")
    reach = 8.0  # pixels: 2 FWHM
    covered = 3 * np.pi * reach**2 + 2 * (np.pi * reach**2 + 20 * 2 * reach) + np.pi * (reach + 20) ** 2
    area = (SIZE * SCALE) ** 2 * (1 - covered / SIZE**2) / ARCSEC2_PER_DEG2
    assert values(rows, "TR-D2")["pipeline"] == pytest.approx(1 / area, rel=2e-3)
    assert values(rows, "TR-D2", "threshold:4")["pipeline"] == pytest.approx(2 / area, rel=2e-3)
    assert values(rows, "TR-D2", "threshold:5.5")["pipeline"] == 0
    assert values(rows, "TR-D2", "threshold:6")["oracle"] == pytest.approx(1 / area, rel=2e-3)
    assert values(rows, "TR-D2.positive", "threshold:4")["pipeline"] == 0.5
    kaiser = 2 * false_alarm_density(4.5, ALARM_SIGMA * SCALE) * ARCSEC2_PER_DEG2
    assert values(rows, "TR-D2.kaiser", "threshold:4.5") == pytest.approx(dict.fromkeys(OF_SEARCHES, kaiser))
    none = rows["TR-D2", "isolated", "all", "all"]
    assert none["value"] == none["ci_low"] == 0 and none["ci_high"] == pytest.approx(3.689 / (12 * area), rel=3e-3)
    assert none["n"] == 0 and rows["TR-D2", "pipeline", "all", "all"]["n"] == 12


def test_a_candidate_trail_is_explained_by_what_its_line_touches():
    """The filter of a long trail finds a bright star from 5 arcsec away, along the line and not across it."""
    for angle, expected in ((0.0, 0), (np.pi / 2, 1)):
        tables = made([LONE])
        m = tables["candidates"]
        extra = m[m["rung"] == "pipeline"].copy()
        extra["x"] += 25.0
        extra["length"], extra["angle"] = 10.0, angle
        tables["candidates"] = vstack([m, extra])
        assert rows_n(scored(tables, "TR-D2"), "TR-D2.bank") == 12 * expected


def test_targets_at_the_border_are_not_asked_for():
    """Their candidates may lie beyond it."""
    edge = source("hostless", 20 + 1, 100)
    rows = scored(made([LONE, edge], found=lambda rung, s: s is not edge), "TR-D1")
    assert rows["TR-D1.bright", "pipeline", "all", "all"]["n"] == 12


def rows_n(rows, fom):
    return rows[fom, "pipeline", "all", "all"]["n"]


def test_the_open_share_of_a_patch_is_what_the_discs_leave():
    discs = pd.DataFrame(
        [
            dict(x=100.0, y=100.0, half=0.0, angle=0.0, reach=20.0),
            dict(x=200.0, y=200.0, half=30.0, angle=0.7, reach=10.0),
        ]
    )
    expected = 1 - (np.pi * 400 + np.pi * 100 + 60 * 20) / SIZE**2
    assert free_pixels(discs, SETTINGS).mean() == pytest.approx(expected, abs=1e-3)
    assert free_pixels(discs[:0], SETTINGS).all()


def test_residuals_are_weighted_by_pixels_and_told_apart_by_kind():
    def chi2(rung, kind, patch):
        return (
            1.0 if rung in ("isolated", "exact", "oracle") else (1.2 if kind == "galaxy" else 9.0) + (patch % 2) * 0.1
        )

    tables = made([], static=[(100, "galaxy", 22.0), (101, "star", 19.0)], chi2=chi2)
    rows = scored(tables, "TR-B1")
    assert values(rows, "TR-B1", kind="impact")["deblending"] == pytest.approx(0.25)
    assert values(rows, "TR-B1", "sb:22-23")["deblended"] == pytest.approx(0.25)
    assert values(rows, "TR-B1.stars", "sb:18-20")["deblended"] == pytest.approx(8.05)
    assert values(rows, "TR-B1.median")["deblended"] == pytest.approx(0.25, abs=0.07)
    assert rows["TR-B1", "deblended", "galaxies", "all"]["n"] == 12
    assert set(values(rows, "TR-B1", kind="impact")) == {"photons", "sky", "measurement", "deblending", "no_deblending"}
    tables["truth"]["variable"][tables["truth"]["source_id"] == 101] = True
    assert "TR-B1.stars" not in {f for f, *_ in scored(tables, "TR-B1")}


def test_the_directional_light_radius_is_that_of_the_ellipse():
    a, b, theta = 4.0, 2.0, 0.6
    for angle in (0.0, 0.5, 2.0):
        x, y = a * np.cos(angle), b * np.sin(angle)  # on the ellipse
        dx, dy = x * np.cos(theta) - y * np.sin(theta), x * np.sin(theta) + y * np.cos(theta)
        assert light_radius(a, b, theta, 2 * dx, 2 * dy) == pytest.approx(2.0)


def test_the_wrong_host_is_the_one_whose_light_reaches_further():
    """Beside a small galaxy, inside a large one that a shredded catalogue does not have."""
    supernova = source("supernova", 70, 60, host_id=7)
    small = dict(source_id=9, x=73.0, y=60.0, hlr=0.4, g1=0.0, g2=0.0)
    whole, piece = (61, 60, 6, 5, 0), (73, 60, 3, 3, 0)
    rows = scored(made([supernova], galaxies=[*TWO_HOSTS, small], objects=[whole, piece]), "TR-B2")
    assert values(rows, "TR-B2") == {"oracle": 1.0, "pipeline": 1.0}
    rows = scored(made([supernova], galaxies=[{**TWO_HOSTS[0], "hlr": 2.0}, small], objects=[whole]), "TR-B2")
    assert values(rows, "TR-B2") == {"oracle": 0.0, "pipeline": 0.0}
    rows = scored(made([supernova], galaxies=[{**TWO_HOSTS[0], "hlr": 0.1}], objects=[(61, 60, 1, 1, 0)]), "TR-B2")
    assert values(rows, "TR-B2.none") == {"oracle": 1.0, "pipeline": 1.0}  # farther than 4 light radii
    assert np.isnan(list(values(rows, "TR-B2").values())).all()


def test_hosts_of_a_real_image_have_no_oracle_and_an_empty_template_has_no_host():
    tables = made([HOSTED], galaxies=TWO_HOSTS, objects=[(61, 60, 3, 2, 0)])
    assert values(scored(tables, "TR-B2", sky="adopt"), "TR-B2") == {"pipeline": 0.0}
    empty = made([HOSTED], galaxies=TWO_HOSTS)
    rows = scored(empty, "TR-B2", epochs=EPOCHS)
    assert values(rows, "TR-B2.none") == {"oracle": 0.0, "pipeline": 1.0} and values(rows, "TR-B2") == {"oracle": 0.0}
    assert values(scored(empty, "TR-B2"), "TR-B2.none") == {"oracle": 0.0}  # no word of a template


def test_true_hosts_are_those_that_the_template_can_show():
    """A host of S/N 2 in the visit has 20 on a template that is 2.5 mag deeper."""
    tables = made([HOSTED], galaxies=TWO_HOSTS[:1], objects=[(61, 60, 3, 3, 0)])
    tables["truth"]["snr"][tables["truth"]["source_id"] == 7] = 2.0
    for deeper, expected in ((2.5, 0.0), (0.5, 1.0)):
        facts = {str(p): {"r": {"fwhm": 0.8, "depth": 24.0, "template_depth": 24.0 + deeper}} for p in range(12)}
        table = scoring.score(tables, SETTINGS, facts_for(epochs=facts)).table()
        rows = aggregate(table, "transients", "fiducial", [f for f in FIGURES_OF_MERIT if f.id == "TR-B2.none"], 20, 3)
        assert float(rows["value"][rows["term"] == "oracle"][0]) == expected


def test_magnitudes_pulls_and_positions():
    """A tenth less on hosts after the real subtraction: 0.108 mag, pull of -2 at S/N 20."""
    tables = made(
        [HOSTED, LONE], ratio=lambda rung, s: 0.9 if s is HOSTED and rung in ("deblended", "pipeline") else 1.0
    )
    rows = scored(tables, "TR-M1")
    assert values(rows, "TR-M1", "place:hosted")["deblended"] == pytest.approx(0.1086, abs=2e-3)
    assert values(rows, "TR-M1", "place:hostless")["deblended"] == pytest.approx(0, abs=2e-3)
    assert values(rows, "TR-M1.pull", "place:hosted")["pipeline"] == pytest.approx(-2, abs=0.1)
    assert values(rows, "TR-M1.forced_pull", "place:hosted")["deblended"] == pytest.approx(-2, abs=0.1)
    assert set(values(rows, "TR-M1.forced_pull")) == set(FIXED)
    assert (
        values(rows, "TR-M1.astrometry")["isolated"]
        > 0
        == pytest.approx(values(rows, "TR-M1.astrometry")["truth"], abs=1)
    )
    # what a search loses leaves the kept sample alone
    rows = scored(made([HOSTED, LONE], found=lambda rung, s: s is LONE or rung == "isolated"), "TR-M1")
    assert (
        rows["TR-M1", "deblended", "kept", "all"]["n"] == 12 and rows["TR-M1", "deblended", "centres", "all"]["n"] == 24
    )
    assert rows["TR-M1.astrometry", "deblended", "kept", "all"]["n"] == 12  # sources, not axes
    assert rows["TR-M1.forced_pull", "deblended", "all", "all"]["n"] == 24


def test_a_fit_that_fails_on_one_rung_leaves_all_rungs():
    """So that a stage that fails on what is hard is not the better for it; what failed is counted apart."""
    tables = made([*ALL, source("comet", 60, 280, nucleus_fraction=0.5, coma_radius=4.0)])
    m = tables["transients"]
    odd = (m["rung"] == "deblended") & (m["patch"] % 2 == 1)
    for name in ("x_psf", "trail_x", "trail_length", "coma_flux"):
        m[name][odd] = np.nan
    rows = scored(tables, "TR-M1 MO-M1 MO-B1 CO-B1")
    for fom, n in (("MO-M1", 12), ("MO-B1", 12), ("MO-B1.length", 12), ("CO-B1", 12), ("CO-B1.afrho", 12)):
        found = {term: r["n"] for (f, term, p, s), r in rows.items() if (f, p, s) == (fom, "centres", "all")}
        assert {"isolated", "oracle", "undeblended", "deblended", "truth"} <= set(found), fom
        assert set(found.values()) == {n}, fom
    for fom in ("MO-B1.failed", "CO-B1.failed"):
        assert values(rows, fom)["deblended"] == 0.5 and values(rows, fom)["oracle"] == 0


@pytest.mark.slow
def test_noise_has_pulls_of_width_one_and_the_scatter_it_should():
    rows = scored(made([HOSTED, LONE], noise=1.0, patches=100), "TR-M1", patches=100)
    width = rows["TR-M1.pull_width", "isolated", "centres", "all"]
    assert width["value"] == pytest.approx(1, abs=0.2) and width["ci_low"] < 1 < width["ci_high"]
    assert values(rows, "TR-M1.nmad", kind="impact")["intrinsic"] == pytest.approx(1.0857 / 20, rel=0.2)


def test_long_trails_are_measured_as_lines_and_short_ones_as_points():
    short = source("trail", 100, 60, trail_length=0.3, trail_angle=0.0)
    tables = made([TRAIL, short])
    m, at = tables["transients"], lambda s: tables["transients"]["x"] == s["x"]
    late = m["rung"] == "deblended"
    m["trail_flux"][late & at(TRAIL)] *= 0.8
    m["trail_length"][late & at(TRAIL)] = 3.2
    m["trail_x"][late & at(TRAIL)] += 1.0
    m["flux_psf"][late & at(short)] *= 0.9
    m["trail_flux"][late & at(short)] = m["trail_length"][late & at(short)] = 7.0  # nobody asks for the line of a point
    rows = scored(tables, "MO-B1 MO-M1")
    flux, length, place = (
        values(rows, fom, kind="impact", population="centres")["deblending"]
        for fom in ("MO-B1", "MO-B1.length", "MO-M1")
    )
    assert flux == pytest.approx(1.0857 * 0.15, abs=1e-3) and length == pytest.approx(-0.8, abs=1e-3)
    assert place == pytest.approx(1000 * SCALE * 1.0 / 2)
    assert rows["MO-B1.length", "deblended", "centres", "all"]["n"] == 12
    assert values(rows, "MO-M1.added", kind="impact", population="centres")["deblending"] == pytest.approx(0, abs=2)
    m["trail_flux"][late] = np.nan
    assert values(scored(tables, "MO-B1"), "MO-B1.failed")["deblended"] == 0.5


def test_the_point_filter_alone_loses_trails():
    """Peaks are its candidates; lengths are in FWHM of the visit."""
    tables = made([TRAIL, FAR_TRAIL])
    peaks = tables["peaks"]
    tables["peaks"] = peaks[~((peaks["rung"] == "pipeline") & (peaks["x"] == TRAIL["x"]))]
    rows = scored(tables, "MO-D1")
    assert values(rows, "MO-D1.point")["pipeline"] == 0.5 and values(rows, "MO-D1.efficiency")["pipeline"] == 1
    assert rows["MO-D1.point", "pipeline", "all", "length:4-1e+09"]["n"] == 24
    assert set(values(rows, "MO-D1.efficiency", "standing:15-25")) == {"isolated", "merged", "undeblended", "pipeline"}


def test_comets_are_told_from_asteroids_of_the_same_rung():
    """Asteroids with light that no line explains, as residuals give it, raise the threshold of their rung alone."""
    many = [source("trail", 30 + 12 * k, 30, trail_length=0.3, trail_angle=0.0) for k in range(20)]
    tables = made([*many, COMET, LONE])
    m = tables["transients"]
    m["line_activity"][(m["rung"] == "deblended") & (m["det_id"] < 1002)] = (
        0.9  # two in twenty are above the comet's 0.6
    )
    rows = scored(tables, "CO-D1")
    told = values(rows, "CO-D1", population="centres")
    assert told["oracle"] == 0 and told["deblended"] == 1  # the fraction that is taken for asteroids
    assert values(rows, "CO-D1.fpr20", population="centres")["deblended"] == 1
    assert values(rows, "CO-D1.auc", population="centres")["deblended"] == pytest.approx(18 / 20)
    assert values(rows, "CO-D1", "nucleus:0.2-0.5", population="centres")["oracle"] == 0
    assert rows["CO-D1", "oracle", "centres", "all"]["n"] == 12
    assert all(r["ci_high"] <= 1 for r in rows.values() if r["fom"] == "CO-D1.auc" and r["kind"] == "value")
    assert values(rows, "CO-D1.negatives", population="kept") == dict.fromkeys(LADDER, 240.0)  # no supernova
    assert "240 negatives" in rows["CO-D1", "pipeline", "kept", "all"]["note"]


def test_comets_beside_sources_are_held_against_asteroids_beside_sources():
    beside = source("beside", 60, 60, trail_length=0.3, trail_angle=0.0)
    tables = made([TRAIL, beside, COMET, {**COMET, "transient": "comet_beside", "x": 60.0, "y": 200.0}])
    m = tables["transients"]
    m["line_activity"][(m["rung"] == "deblended") & (m["x"] == 60.0) & (m["y"] == 60.0)] = 0.9
    rows = scored(tables, "CO-D1")
    assert values(rows, "CO-D1", "place:comet_beside", population="centres")["deblended"] == 1
    assert values(rows, "CO-D1", population="centres")["deblended"] == 0


def test_a_threshold_of_too_few_asteroids_says_so():
    rows = scored(made([TRAIL, COMET]), "CO-D1")
    said = "12 negatives: fewer than 20, so the threshold is at their largest"
    assert rows["CO-D1", "pipeline", "kept", "all"]["note"].endswith(said)
    assert rows["CO-D1.fpr10", "pipeline", "kept", "all"]["note"].endswith("12 negatives")


def test_a_real_coma_is_a_comet_whose_nucleus_nobody_knows():
    """It is active, its light reaches far, it is no supernova; its parts are held against its noiseless image's."""
    inside = [("pipeline", REAL_COMA["x"] + 25, REAL_COMA["y"], 6.0)]  # 5 arcsec: PSF and coma
    tables = made([LONE, COMET, REAL_COMA], candidates=inside)
    m = tables["transients"]
    m["coma_flux"][(m["rung"] == "deblended") & (m["x"] == REAL_COMA["x"])] *= 1.2
    rows = scored(tables)
    assert rows["CO-D1.lost", "pipeline", "all", "place:coma_9p"]["n"] == 12
    assert rows["CO-D1.lost", "pipeline", "all", "all"]["n"] == 12
    assert values(rows, "TR-D2")["pipeline"] == 0
    assert rows["TR-D1", "pipeline", "all", "snr:15-25"]["n"] == 12
    parts = values(rows, "CO-B1.afrho", "place:coma_9p", "impact", "centres")
    assert parts["deblending"] == pytest.approx(0.2) and parts["intrinsic"] == pytest.approx(0)


def test_nucleus_and_coma():
    tables = made([COMET])
    m = tables["transients"]
    here = m["rung"] == "deblended"
    m["nucleus_flux"][here] *= 1.3
    m["coma_flux"][here] *= 0.7
    m["fit_slope"][here] = -1.3
    inner = 0.6 * coma_share(3.0, 4.0, -1.0)
    rows = scored(tables, "CO-B1")
    impact = {f: values(rows, f, kind="impact")["deblending"] for f in ("CO-B1", "CO-B1.afrho", "CO-B1.slope")}
    expected = {"CO-B1": 0.3 * 0.4 / (0.4 + inner), "CO-B1.afrho": -0.3, "CO-B1.slope": -0.3}
    assert impact == pytest.approx(expected)
    assert values(rows, "CO-B1.nmad", kind="impact")["deblending"] == pytest.approx(0, abs=5e-3)  # all alike
    m["coma_flux"][here] = np.nan
    assert values(scored(tables, "CO-B1"), "CO-B1.failed")["deblended"] == 1


def test_rungs_with_a_real_search_have_only_what_it_finds():
    rows = scored(made(ALL, found=lambda rung, s: rung not in REAL))
    lost = values(rows, "TR-D1", "snr:15-25")
    assert lost["deblended"] == 0 and lost["pipeline"] == 1
    assert {p for f, _, p, _ in rows if f == "TR-M1"} == {"centres"}


def test_linking_is_that_of_independent_nights():
    for efficiency in (0.0, 0.3, 0.9, 1.0):
        q = efficiency**2
        expected = sum(comb(NIGHTS, k) * q**k * (1 - q) ** (NIGHTS - k) for k in range(3, NIGHTS + 1))
        assert linked(efficiency) == pytest.approx(expected)
    assert np.all(np.diff(linked(np.linspace(0, 1, 50))) >= 0)
    # what the page says of a mean: convex below sqrt(5) / 3, and a half of never and always found at 0.84
    bend = np.diff(linked(np.linspace(0, 1, 3001)), 2) > 0
    assert np.flatnonzero(np.diff(bend.astype(int)))[-1] / 3000 == pytest.approx(np.sqrt(5) / 3, abs=2e-3)
    assert linked(0.83) < 0.83 and linked(0.84) > 0.84


def test_kinds_of_curves_have_closed_forms():
    edges = tuple(np.arange(-1.0, 12.0))  # the outermost bins are open: nothing is in them
    sums = np.zeros((12, 5))
    sums[1:-1, 0] = 10  # negatives uniform between 0 and 10: what 10 per cent exceed is 9
    sums[6:-1, 1] = 4
    assert TruePositives(edges, 0.1).of(sums) == pytest.approx(1 / 5)
    assert TruePositives(edges, 0.5).of(sums) == pytest.approx(1.0) and Missed(edges, 0.1).of(sums) == pytest.approx(
        0.8
    )
    assert AreaUnderCurve(edges).of(sums) == pytest.approx(0.75)
    sums[:, 0], sums[:, 1] = [0, 0, 0, 1, 2, 3, 8, 9, 9, 9, 9, 10], 10
    assert Rising(edges, 0.5).of(sums) == pytest.approx(4.5 + 0.2 / 0.5)
    sums[:, 0] = 10
    assert np.isnan(Rising(edges, 0.5).of(sums))


def test_chances_of_objects_are_averaged_and_not_their_efficiencies():
    """Half of the bright ones and none of the faint are lost: a mean of two chances, and an interval that holds it."""
    edges = (0.0, 10.0, 100.0)
    sums = np.zeros((12, 2, 5))
    sums[:, 0, :2], sums[:, 1, :2] = (1, 2), (2, 2)
    statistic, blocks = Linking(edges), Blocks(12, 12)
    whole = statistic.of(sums.sum(axis=0))
    assert whole == pytest.approx((linked(0.5) + 1) / 2) and whole < linked(0.75)
    value = Value(whole, np.full(50, whole), sums, 48, 1)
    low, high = statistic.ends(value, blocks)[:2]
    assert low < whole < high <= 1
    sure = np.zeros((12, 2, 5))
    sure[:, 1, :2] = 2
    low, high = statistic.ends(Value(np.float64(1), np.ones(50), sure, 24, 1), blocks)[:2]
    assert low == pytest.approx(linked(wilson(24, 24).low)) and high == 1
    none = statistic.difference_ends(0.0, np.zeros(50), 24, statistic.least_trials({}), blocks)
    assert none.low < 0 < none.high and none.high == pytest.approx(1 - linked(1 - wilson(0, 24).high))


def test_a_change_of_the_part_told_that_is_seen_in_one_direction_alone_may_be_in_the_other_too():
    """One comet of 24 is told better on one rung: no resample has a worse one, and the interval has both signs."""
    statistic, blocks = Missed((0.0, 1.0, 2.0), 0.5), Blocks(12, 12)
    sums = np.ones((12, 2, 2))
    sums[:, 1, 0] = 1
    rung = Value(np.float64(0.1), np.full(50, 0.1), sums, 24, 1)
    samples = np.random.default_rng(1).choice([-0.08, -0.04, 0.0], 400)
    trials = statistic.least_trials({"deblended": rung, "pipeline": rung})
    assert trials == [24]
    low, high, method, _ = statistic.difference_ends(-0.04, samples, 24, trials, blocks)
    assert low < -0.04 and high == pytest.approx(wilson(0, 24).high) and "an end of 0" in method


def test_trails_that_were_put_beside_sources_are_in_no_figure_of_all_trails():
    placed = source("beside", 60, 60, trail_length=4.0, trail_angle=0.0, static_distance=0.4)
    tables = made(
        [FAR_TRAIL, placed],
        ratio=lambda rung, s: 0.8 if s is placed and rung == "deblended" else 1.0,
        found=lambda rung, s: s is FAR_TRAIL or rung not in ("pipeline", "merged"),
    )
    rows, plain = (
        {key: row for kind in ("MO-", "TR-M1") for key, row in scored(t, kind).items()}
        for t in (tables, made([FAR_TRAIL]))
    )
    impact = values(rows, "MO-B1", "place:beside", "impact", "centres")
    assert impact["deblending"] == pytest.approx(0.217, abs=3e-3)
    assert values(rows, "MO-D1", "distance:0-1")["pipeline"] == values(rows, "MO-D1", "place:beside")["pipeline"] == 1
    assert values(rows, "MO-B1.failed", "place:beside")["deblended"] == 0
    for (fom, term, population, stratum), row in plain.items():
        same = rows[fom, term, population, stratum]
        assert (same["n"], same["value"]) == pytest.approx((row["n"], row["value"]), nan_ok=True), (fom, term, stratum)
