"""Scores of crowded fields on tables that are made by hand, with answers that can be counted."""

from importlib import import_module

import numpy as np
import pandas as pd
import pytest
from astropy.table import Table
from blendimpact.cases.crowded_fields import curve
from blendimpact.cases.crowded_fields.false import brought, is_true
from blendimpact.cases.crowded_fields.foms import FIGURES_OF_MERIT
from blendimpact.data.children import BITS
from blendimpact.data.facts import Facts
from blendimpact.ladder.aggregate import aggregate
from blendimpact.ladder.rungs import REAL, RUNGS
from blendimpact.measure.psf import response
from blendimpact.stats.crowding import GAUSSIAN_OVER_DISC, beam_area, crowding_error, crowding_limit, light_in_beams
from blendimpact.stats.statistic import quadrature

crowded = import_module("blendimpact.cases.crowded_fields.score")
LADDER = ("truth", *RUNGS)
ZERO_POINT = 31.4
SETTINGS = {
    "case": "crowded_fields",
    "scenario": "fiducial",
    "survey": "lsst_visit",
    "bands": ["g", "i"],
    "shape_band": "i",
    "patch": {"size": 300, "border": 0},
    "truth_snr": 5,
    "sky": "simulate",
    "population": {"stars": {"limit": 24.0}},
}
FITTED = ("deblended", "pipeline")


def made(
    stars=4,
    blocks=12,
    field=(),
    flux=None,
    lost=(),
    scatter=0.0,
    shift=0.0,
    mag=20.0,
    status=None,
    split=(),
    fitted=1.0,
):
    """Return the tables of ``blocks`` patches with ``stars`` artificial stars 60 pixels apart.

    Parameters
    ----------
    field : list of (x, y, mag)
        Stars of the field, which nobody detects.
    flux : callable
        ``flux(rung, block, k)``: measured over true flux; 1 by default.
    lost : tuple of int
        Artificial stars without a detection.
    scatter : float
        Standard deviation of the flux and of positions in units of their errors, the same on every rung.
    fitted : float
        Errors of the deblender's fit over those of a refit of its children.
    shift : float
        Pixels by which the detections lie off.
    """
    rng = np.random.default_rng(1)
    truth, links, found, rows = [], [], [], []
    for block in range(blocks):
        ids = {"patch": block, "twin": "zero"}

        def add(source_id, role, x, y, m, snr=100.0, ids=ids, block=block):
            truth.append(
                {
                    **ids,
                    "block": block,
                    "source_id": source_id,
                    "role": role,
                    "kind": "star",
                    "x": x,
                    "y": y,
                    "mag_i": m,
                    "mag_g": m + 1.0,
                    "flux_i": 10 ** (0.4 * (ZERO_POINT - m)),
                    "flux_g": 10 ** (0.4 * (ZERO_POINT - m - 1)),
                    "snr": snr,
                    "evolution": "red clump" if source_id == 1 else "",
                }
            )

        for number, (x, y, m) in enumerate(field):
            add(1000 + number, "scene", x, y, m)
        for k in range(stars):
            add(k + 1, "target", 60.0 * k + 30, 100.0, mag)
            x, y = truth[-1]["x"], truth[-1]["y"]
            noise = rng.normal(0, scatter, 4) if scatter else np.zeros(4)
            det = 0 if k in lost else k + 1
            links.append(
                {
                    **ids,
                    "source_id": k + 1,
                    "det_id": det,
                    "dominant": det > 0,
                    "found_alone": 1,
                    "distance": 0.2 * shift if det else np.nan,
                    "outcome": "isolated" if det else "missed",
                }
            )
            if det:
                found.append({**ids, "det_id": det, "x": x + shift, "y": y, "inside": True, "n_members": 1})
            for rung in LADDER:
                if rung in REAL and not det:
                    continue
                ratio = (flux or (lambda rung, block, k: 1.0))(rung, block, k)
                for band in "gi":
                    true = truth[-1][f"flux_{band}"]
                    rows.append(
                        {
                            **ids,
                            "rung": rung,
                            "det_id": k + 1,
                            "band": band,
                            "x": x,
                            "y": y,
                            "flux_psf": true * (ratio + (rung != "truth") * 0.01 * noise[0]),
                            "flux_psf_err": np.nan if rung == "truth" else 0.01 * true,
                            "x_psf": x + 0.02 * noise[1],
                            "y_psf": y + 0.02 * noise[2],
                            "x_psf_err": 0.02,
                            "y_psf_err": 0.02,
                            "chi2_psf": 1.0,
                            "flux_fitted_err": fitted * 0.01 * true if rung in FITTED else np.nan,
                            "x_fitted_err": fitted * 0.02 if rung in FITTED else np.nan,
                            "y_fitted_err": fitted * 0.02 if rung in FITTED else np.nan,
                            "child_status": BITS.SPLIT if k in split and rung in ("deblended", "pipeline") else 0,
                        }
                    )
    return {
        name: Table(rows=part)
        for name, part in (("truth", truth), ("assignments", links), ("detections", found), ("measurements", rows))
    }


def scored(tables, **settings):
    patches = sorted({(int(r["patch"]), int(r["block"]), "zero") for r in tables["truth"]})
    facts = Facts(0.2, ZERO_POINT, dict.fromkeys("ugi", 0.8), patches)
    return crowded.score(tables, {**SETTINGS, **settings}, facts)


def values(tables, **settings):
    """Return {(fom, term, population, stratum): row}."""
    table = aggregate(scored(tables, **settings).table(), "crowded_fields", "fiducial", FIGURES_OF_MERIT, 40, 1)
    return {(str(r["fom"]), str(r["term"]), str(r["population"]), str(r["stratum"])): r for r in table}


# --- the analytic curve ---------------------------------------------------------------------------


def test_the_analytic_curve_is_the_scatter_of_poisson_stars_in_a_disc():
    """Campbell's theorem: light of random stars in a disc of the PSF's full width, by Monte Carlo to 3 %."""
    rng, fwhm, side = np.random.default_rng(3), 0.8, 40.0
    magnitudes = rng.uniform(20, 25, 6000) - 0.6 * rng.exponential(1, 6000)
    area = beam_area(fwhm)
    target = 20.0
    fainter = magnitudes[magnitudes > target]
    density = len(fainter) / side**2
    numbers = rng.poisson(density * area, 200000)
    light = 10 ** (-0.4 * rng.choice(fainter, numbers.sum()))
    sums = np.bincount(np.repeat(np.arange(len(numbers)), numbers), light, minlength=len(numbers))
    expected = crowding_error([target], magnitudes, side**2, fwhm)[0]
    assert sums.std() * 10 ** (0.4 * target) == pytest.approx(expected, rel=0.03)


def test_a_fit_of_a_gaussian_psf_is_a_fifth_worse_than_the_curve():
    """The square of exp(-r^2 / 4 sigma^2), integrated numerically, over the disc's area."""
    sigma = 0.8 / np.sqrt(8 * np.log(2))
    y, x = np.mgrid[-4:4:801j, -4:4:801j]
    beam = (np.exp(-(x**2 + y**2) / (4 * sigma**2)) ** 2).sum() * 0.01**2
    assert pytest.approx(np.sqrt(beam / beam_area(0.8)), rel=1e-4) == GAUSSIAN_OVER_DISC
    assert pytest.approx(1.2011, abs=1e-4) == GAUSSIAN_OVER_DISC


def test_the_beam_of_a_fit_of_a_gaussian_psf_is_a_gaussian_wider_by_the_root_of_two():
    sigma = 2.0
    y, x = np.mgrid[-20:21, -20:21]
    distance, weight = response(np.exp(-(x**2 + y**2) / (2 * sigma**2)))
    np.testing.assert_allclose(weight, np.exp(-(distance**2) / (4 * sigma**2)), atol=0.01)


def test_the_beam_of_the_survey_s_psf_is_a_third_worse_than_the_curve():
    """Kolmogorov PSF of 0.79 arcsec on pixels of 0.2 arcsec: the error of its fit is 1.32 times that in the disc."""
    facts = Facts(0.2, ZERO_POINT, {"i": 0.79}, [])
    r = np.linspace(0, 20, 20001)
    power = {k: (beam(r) ** 2 * 2 * np.pi * r).sum() * r[1] for k, beam in curve.beams(SETTINGS, facts).items()}
    assert power["analytic"] == pytest.approx(beam_area(0.79 / 0.2), rel=1e-3)
    assert np.sqrt(power["beam"] / power["analytic"]) == pytest.approx(1.32, abs=0.015)


def test_light_at_many_places_scatters_as_the_curve_says():
    """Campbell's theorem by the stars of one field at many places; a star does not count for itself or fainter ones."""
    rng, side, radius = np.random.default_rng(4), 400.0, 2.0
    stars = np.column_stack([rng.uniform(0, side, (8000, 2)), rng.uniform(21, 24, 8000)])
    places = np.stack(np.meshgrid(*[np.arange(10, side - 10, 5.0)] * 2), axis=-1).reshape(-1, 2)
    light = light_in_beams(np.array([20.5, 22.0]), stars, places, lambda r: (r <= radius).astype(float))
    expected = crowding_error([20.5, 22.0], stars[:, 2], side**2, 2 * radius)
    np.testing.assert_allclose(light.std(axis=1), expected, rtol=0.05)
    assert not light_in_beams(np.array([24.5]), stars, places, lambda r: 1.0 + 0 * r).any()


def test_the_curve_by_hand():
    """Three stars a magnitude below, one above that does not count: sqrt(A n 10^-0.8)."""
    got = crowding_error([20.0, 22.0], [21.0, 21.0, 21.0, 19.0], 100.0, 2.0)
    np.testing.assert_allclose(got, [np.sqrt(np.pi * 3 / 100 * 10**-0.8), 0.0])


@pytest.mark.parametrize("per_beam", [0.02, 0.1])
def test_the_limit_is_where_the_curve_reaches_the_level(per_beam):
    """Equal numbers per bin: sigma^2 = n sum of 10^(-0.8 dm) from half a bin below on."""
    edges = np.arange(10.0, 28.1, 0.5)
    counts = np.zeros(len(edges) - 1)
    counts[-9:] = per_beam  # 23.5 to 28
    limit = crowding_limit(edges, counts, 0.1)
    tail = per_beam * np.sum(10 ** (-0.8 * (np.arange(23.75, 28, 0.5) - limit)))
    assert np.sqrt(tail) == pytest.approx(0.1, rel=0.02)
    assert np.isnan(crowding_limit(edges, 0 * counts, 0.1))
    assert crowding_limit(edges, np.array([counts, 2 * counts]), 0.1)[1] < limit


# --- scores ---------------------------------------------------------------------------------------


def test_an_empty_field_has_no_impact():
    """No neighbours, the same flux on every rung: every impact is exactly 0, and no star is lost."""
    found = values(made(scatter=1.0))
    impacts = [r for r in found.values() if r["kind"] == "impact"]
    assert len(impacts) > 100
    for row in impacts:
        # Errors of a fit differ from those of a refit, and no curve of completeness falls.
        if row["term"] not in ("intrinsic", "total") and not str(row["fom"]).startswith(("CF-M1.pull", "CF-D1.m50")):
            assert abs(row["value"]) < 3e-4, (row["fom"], row["term"], row["stratum"])  # half a bin
    for rung in LADDER:
        assert found["CF-D1", rung, "all", "all"]["value"] == 0
    assert found["CF-D1.all", "pipeline", "all", "all"]["value"] == 1
    assert found["CF-D1.false", "pipeline", "own", "all"]["value"] == 0
    assert found["CF-Q1", "truth", "truth", "all"]["value"] == pytest.approx(4 * 3600)
    assert found["CF-Q2", "truth", "truth", "all"]["value"] == 0
    assert np.isnan(found["CF-D1.limit", "truth", "truth", "all"]["value"])


def test_isolated_stars_reach_the_noise():
    """Errors that are right give a pull of mean 0 and width 1, in flux and position, and their size in mas and mag."""
    found = values(made(stars=5, blocks=120, scatter=1.0, fitted=2.0))
    width = 3 * 1.17 / np.sqrt(600)  # of the NMAD of a Gaussian, three standard deviations
    for fom, scale in (
        ("CF-M1.pull_width", 1),
        ("CF-M1.pull_xy_width", 1),
        ("CF-M1.nmad", 0.01 * 1.0857),
        ("CF-M1.astrometry", 0.02 * 200),
    ):
        row = found[fom, "isolated", "centres", "all"]
        assert row["value"] == pytest.approx(scale, rel=width), fom
        assert row["ci_low"] < scale * 1.05 and row["ci_high"] > scale * 0.95
    assert abs(found["CF-M1.pull", "isolated", "centres", "all"]["value"]) < width
    # The error that the deblender's fit has is taken where there is one.
    assert found["CF-M1.pull_width", "deblended", "centres", "all"]["value"] == pytest.approx(0.5, rel=width)
    assert found["CF-M1.pull_xy_width", "pipeline", "kept", "all"]["value"] == pytest.approx(0.5, rel=width)
    for fom in ("CF-M1.pull", "CF-M1.astrometry", "CF-M1.pull_xy"):  # stars, not axes
        assert found[fom, "isolated", "centres", "all"]["n"] == 600


def test_completeness_of_three_in_four():
    found = values(made(lost=(2,)))
    assert found["CF-D1", "pipeline", "all", "all"]["value"] == 0.25
    assert found["CF-D1", "merged", "all", "magnitude:20-21"]["value"] == 0.25
    assert found["CF-D1", "deblended", "all", "all"]["value"] == found["CF-D1", "oracle", "all", "all"]["value"] == 0
    assert found["CF-D1", "detection", "all", "all"]["value"] == 0.25  # a loss is positive
    assert found["CF-D1", "deblending", "all", "all"]["value"] == 0
    assert found["CF-D1.all", "alone", "all", "all"]["value"] == 1


def test_a_star_with_a_wrong_magnitude_or_place_is_not_recovered():
    """0.76 mag off on one rung is lost by that stage; 0.74 is kept; 0.6 arcsec off is lost by the detector."""

    def off(rung, block, k):
        return 10 ** (0.4 * (0.76 if k == 0 else 0.74)) if rung in ("deblended", "pipeline") else 1.0

    found = values(made(flux=off))
    assert found["CF-D1", "deblending", "all", "all"]["value"] == 0.25
    assert found["CF-D1", "detection", "all", "all"]["value"] == 0
    assert values(made(shift=3.0))["CF-D1", "pipeline", "all", "all"]["value"] == 1
    assert values(made(shift=2.4))["CF-D1", "pipeline", "all", "all"]["value"] == 0


def test_the_magnitude_of_half_completeness():
    """All of 20-20.5 found, none of 20.5-21: between the middles of the bins."""
    tables = made(stars=4)
    tables["truth"]["mag_i"][tables["truth"]["source_id"] > 2] = 20.7
    flux = 10 ** (0.4 * (ZERO_POINT - 20.7))
    tables["truth"]["flux_i"][tables["truth"]["source_id"] > 2] = flux
    tables["assignments"]["det_id"][tables["assignments"]["source_id"] > 2] = 0
    assert values(tables)["CF-D1.m50", "pipeline", "all", "all"]["value"] == pytest.approx(20.5)


def test_a_detection_of_nothing_is_false():
    """A detection whose star is 0.8 mag off, and one 0.6 arcsec away from it."""
    found = values(made(flux=lambda rung, block, k: 10**0.32 if rung == "pipeline" and k == 1 else 1.0))
    assert found["CF-D1.false", "pipeline", "own", "all"]["value"] == 0.25
    frame = pd.DataFrame({"patch": [0, 0, 1], "twin": "zero", "x": [3.1, 2.9, 0.0], "y": 0.0, "mag": 20.0})
    truth = pd.DataFrame({"patch": [0], "twin": ["zero"], "x": [0.0], "y": [0.0], "mag": [20.0]})
    assert is_true(frame, truth, 3.0).tolist() == [False, True, False]


def test_what_an_artificial_star_brings_about_is_what_other_realisations_do_not_have():
    """Three realisations of a block: a star of the frame, the artificial star of one, and a piece beside it."""
    places = [
        (0, 10.0, 20.0),  # the frame's, seen in all three
        (1, 10.5, 20.0),
        (2, 10.0, 20.0),
        (0, 14.0, 21.0),  # the artificial star of the first, and what it breaks into
        (0, 17.0, 22.0),
        (1, 60.0, 21.0),  # of the frame but seen once: no artificial star is near
    ]
    patch, x, mag = (np.array(c) for c in zip(*places))
    found = pd.DataFrame({"patch": patch, "twin": "zero", "x": x, "y": 0.0, "mag": mag})
    targets = pd.DataFrame({"patch": [0], "twin": ["zero"], "x": [14.1], "y": [0.0]})
    facts = Facts(0.2, ZERO_POINT, {}, [(k, 0, "zero") for k in range(3)])
    settings = {"sky": "adopt", "patch": {}}
    assert brought(found, targets, settings, facts).tolist() == [False, False, False, True, True, False]
    alone = Facts(0.2, ZERO_POINT, {}, [(0, 0, "zero")])
    assert not brought(found[:1], targets, settings, alone).any(), "nothing to compare with"


def test_split_parents_are_counted():
    found = values(made(split=(0,)))
    assert found["CF-D2", "deblended", "own", "all"]["value"] == 0.25
    assert found["CF-D2", "oracle", "own", "all"]["value"] == 0


def test_failed_fluxes_are_counted_and_not_recovered():
    tables = made()
    rows = tables["measurements"]
    rows["flux_psf"][(rows["rung"] == "deblended") & (rows["det_id"] == 1)] = np.nan
    found = values(tables)
    assert found["CF-B1.failed", "deblended", "own", "all"]["value"] == 0.25
    assert found["CF-D1", "deblending", "all", "all"]["value"] == 0.25
    assert found["CF-M1", "isolated", "centres", "all"]["n"] == 3 * 12


def test_crowding_error_of_known_scatter():
    """Fluxes that the deblender spreads by 5 %: NMAD 0.0543 mag there, 0 before, the noise common to both."""
    rng = np.random.default_rng(2)
    by = rng.normal(0, 0.05, (100, 5))
    found = values(
        made(
            stars=5,
            blocks=100,
            scatter=1.0,
            flux=lambda rung, block, k: 1 + by[block, k] * (rung in ("deblended", "pipeline")),
        )
    )
    expected = pytest.approx(0.05 * 1.0857, rel=0.1)
    assert found["CF-B1", "deblending", "centres", "all"]["value"] == expected
    for term, population in (("photons", "centres"), ("sky", "centres"), ("detection", "kept")):
        assert found["CF-B1", term, population, "all"]["value"] == pytest.approx(0, abs=2.5e-4)  # half a bin
    assert ("CF-B1", "oracle", "centres", "all") not in found, "of differences per star: no value on rungs"
    # In quadrature beyond the noise of 1 %.
    assert found["CF-B1.excess", "deblended", "centres", "all"]["value"] == expected
    assert found["CF-B1.excess", "isolated", "centres", "all"]["value"] == 0
    np.testing.assert_allclose(quadrature(np.array([5.0, 3.0]), np.array([4.0, 5.0])), [3.0, -4.0])


def test_bias_of_magnitude_and_colour():
    """The deblender takes 10 % of the light: +0.1086 mag to first order, no colour."""
    found = values(made(flux=lambda rung, block, k: 0.9 if rung in ("deblended", "pipeline") else 1.0))
    assert found["CF-M1", "deblending", "centres", "all"]["value"] == pytest.approx(0.1086, abs=1e-4)
    assert found["CF-M1", "measurement", "centres", "all"]["value"] == pytest.approx(0, abs=1e-12)
    assert found["CF-M1", "deblending", "centres", "magnitude:20-21"]["n"] == 48
    assert found["CF-B1.bias", "deblending", "centres", "all"]["value"] == pytest.approx(-0.1086, abs=2e-3)
    assert found["CF-M2", "pipeline", "kept", "all"]["value"] == pytest.approx(0, abs=1e-12)
    tables = made()
    rows = tables["measurements"]
    rows["flux_psf"][(rows["rung"] == "pipeline") & (rows["band"] == "g")] *= 0.9
    found = values(tables)
    assert found["CF-M2", "detection", "kept", "all"]["value"] == pytest.approx(0.1144, abs=1e-4)
    assert found["CF-M2", "isolated", "centres", "stage:red clump"]["n"] == 12


def test_no_star_counts_for_more_than_the_bound_and_the_budget_closes():
    """A star that the deblender makes ten times too bright is 0.75 mag too bright, and the terms add up."""
    found = values(made(flux=lambda rung, block, k: 10.0 if rung in ("deblended", "pipeline") and k == 0 else 1.0))
    assert found["CF-M1", "deblending", "centres", "all"]["value"] == pytest.approx(-0.75 / 4)
    terms = [("intrinsic", "centres"), ("measurement", "centres"), ("deblending", "centres"), ("survival", "both")]
    parts = [found["CF-M1", term, sample, "all"]["value"] for term, sample in [*terms, ("detection", "kept")]]
    assert sum(parts) == pytest.approx(found["CF-M1", "total", "both", "all"]["value"], abs=1e-12)


def test_a_colour_of_the_red_clump_in_dex():
    """The pipeline loses a tenth of the light in u: u-i is 0.114 mag too large, [Fe/H] 0.0644 dex too high."""
    tables = made()
    for name in ("measurements", "truth"):
        if name == "measurements":
            band = tables[name]["band"]
            tables[name]["flux_psf"][(tables[name]["rung"] == "pipeline") & (band == "g")] *= 0.9
            band[band == "g"] = "u"
        else:
            tables[name].rename_columns(["mag_g", "flux_g"], ["mag_u", "flux_u"])
    found = values(tables, bands=["u", "i"])
    row = found["CF-M2.feh", "detection", "kept", "all"]
    assert row["value"] == pytest.approx(0.563 * 0.1144, abs=1e-3)
    # Of the red clump alone: as many as in its stratum of the colour.
    assert row["n"] == found["CF-M2", "detection", "kept", "stage:red clump"]["n"] == 12
    assert not any(key[0] == "CF-M2.feh" for key in values(made()))  # no other colour has this relation


def test_partition_by_the_nearest_comparable_star():
    """A star of half the flux 1 FWHM from the first star takes a tenth; a faint one nearer does not count."""
    field = [(34.0, 100.0, 20.75), (32.0, 100.0, 24.0)]
    found = values(made(field=field, flux=lambda rung, block, k: 0.9 if k == 0 and rung == "deblended" else 1.0))
    assert found["CF-B2", "deblended", "centres", "all"]["n"] == 12
    assert found["CF-B2", "deblending", "centres", "all"]["value"] == pytest.approx(-0.1086, abs=2e-3)
    assert found["CF-B2", "deblended", "centres", "ratio:0.3-0.6"]["n"] == 12
    assert found["CF-B2.all", "deblended", "centres", "separation:1-1.5"]["n"] == 12


def test_raw_pixels_and_the_analytic_curve_are_of_the_same_stars():
    """A brighter star beside the first one leaves it out of all; the curve is that of the fainter stars."""
    rng = np.random.default_rng(5)
    field = [(34.0, 100.0, 19.0), *zip(rng.uniform(5, 295, 3000), rng.uniform(5, 295, 3000), 24.0 * np.ones(3000))]
    found = values(made(field=field, flux=lambda rung, block, k: 1 + 0.1 * (-1) ** k * (rung == "undeblended")))
    row = {term: found["CF-B1.rms", term, "raw", "all"] for term in ("undeblended", "analytic", "beam")}
    assert {r["n"] for r in row.values()} == {36}
    assert row["undeblended"]["value"] == pytest.approx(0.1 * 1.0857 * np.sqrt(8 / 9), rel=1e-3)
    curve = crowding_error([20.0], 24.0 * np.ones(3000), 58.0**2, 0.8)[0] * 1.0857
    assert row["analytic"]["value"] == pytest.approx(curve, rel=0.1)  # 256 places
    ratio = row["undeblended"]["value"] / row["beam"]["value"]
    assert found["CF-B1.curve", "undeblended", "raw", "all"]["value"] == pytest.approx(ratio)


def test_the_field_is_counted():
    """In 1 arcmin2 a star above the limit, one below and four that are targets, of which three are found."""
    found = values(made(field=[(250.0, 250.0, 20.2), (250.0, 280.0, 25.0)], lost=(0,)))
    assert found["CF-Q1", "truth", "truth", "all"]["value"] == pytest.approx(5 * 3600)
    assert found["CF-D1.lf", "pipeline", "all", "magnitude:20-21"]["value"] == pytest.approx(3 / 5)
    assert found["CF-D1.cmd", "truth", "own", "cmd:1 20"]["value"] == 12 * 5
    assert found["CF-D1.cmd", "pipeline", "own", "cmd:1 20"]["value"] == 12 * 3


def test_artificial_stars_are_counted_beside_those_of_the_field():
    tables = made(field=[(250.0, 250.0, 19.0)])
    tables["truth"]["injection_id"] = np.where(tables["truth"]["source_id"] <= 2, tables["truth"]["source_id"], -1)
    found = values(tables)
    assert found["CF-Q2", "truth", "truth", "all"]["value"] == 2 / 5
    assert found["CF-Q2.light", "truth", "truth", "all"]["value"] == pytest.approx(2 / (2 + 10**0.4))
    assert found["CF-Q1", "truth", "truth", "all"]["value"] == pytest.approx(5 * 3600)  # all of them


def test_a_real_image_has_no_figures_that_need_all_of_the_truth():
    found = values(made(), sky="adopt")
    names = {key[0] for key in found}
    assert {"CF-D1", "CF-M1", "CF-B1.excess"} <= names
    assert not names & {
        "CF-D1.false",
        "CF-B1.curve",
        "CF-D1.lf",
        "CF-D1.cmd",
        "CF-Q1",
        "CF-B1",
        "CF-B2",
        "CF-B1.rms",
        "CF-D1.limit",
    }


def test_scores_do_not_depend_on_the_chunks():
    tables = made(field=[(100.0, 200.0, 21.0)], scatter=1.0)
    whole = scored(tables).table()
    halves = [scored({n: t[(np.asarray(t["patch"]) % 2) == k] for n, t in tables.items()}).table() for k in (0, 1)]
    names = ("block", "fom", "rung", "population", "stratum", "cell")

    def rows(table):
        return {tuple(str(r[n]) for n in names): tuple(r[f"s{k}"] for k in range(5)) for r in table}

    assert rows(whole) == rows(halves[0]) | rows(halves[1])
