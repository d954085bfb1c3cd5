"""Scores of the cases on tables that are made by hand, with answers that can be counted."""

import warnings
from importlib import import_module
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.table import Table
from blendimpact.cases.two_point.foms import FIGURES_OF_MERIT
from blendimpact.data.facts import Facts
from blendimpact.detect.sep_detector import SepDetector
from blendimpact.ladder.aggregate import aggregate
from blendimpact.ladder.neighbours import nearest_neighbour
from blendimpact.ladder.rungs import REAL, RUNGS
from blendimpact.sky.adopt import stars
from blendimpact.stats.figures_of_merit import FigureOfMerit, Scores
from blendimpact.stats.statistic import Fraction

# The package exports the function `score`, which hides the module of that name.
shapes, detection = (import_module(f"blendimpact.cases.two_point.{name}") for name in ("score", "detection"))
LADDER = ("truth", *RUNGS)
SETTINGS = {
    "case": "two_point",
    "scenario": "fiducial",
    "bands": ["i"],
    "shape_band": "i",
    "shear": 0.05,
    "patch": {"size": 300},
    "match_radius": 1.0,
    "truth_snr": 5,
    "population": {"galaxies": {"density": 1.0}},
}
TWINS = ("plus", "plusflip", "minus", "minusflip")


def facts_of(patches=()):
    return Facts(0.2, 31.4, {"i": 0.8}, list(patches))


def scored(tables, settings):
    """Score tables of patches that are all in the truth."""
    rows = sorted({(int(r["patch"]), int(r["block"]), str(r["twin"])) for r in tables["truth"]})
    return shapes.score(tables, settings, facts_of(rows))


def sheared(rung, twin, k):
    """Return the shape of a round source that responds with 0.5."""
    return 0.5 * 0.05 * (twin.startswith("plus") - twin.startswith("minus"))


def made(sources, twins=TWINS, blocks=2, e1=None, stars=(), missed=(), merged=None, **columns):
    """Return the tables of ``blocks`` equal patches with ``sources`` galaxies 40 pixels apart.

    ``e1(rung, twin, k)`` is the weighted shape of source k; ``missed`` sources have no detection; ``merged``
    {k: j} have that of source j. ``columns`` are laid over the truth.
    """
    truth, links, found, rows = [], [], [], []
    for block in range(blocks):
        for twin in twins:
            for k in range(sources):
                star = k in stars
                det = 0 if k in missed else (merged or {}).get(k, k) + 1
                ids = {"patch": block, "twin": twin}
                truth.append(
                    {
                        **ids,
                        "block": block,
                        "source_id": k + 1,
                        "role": "scene" if star else "target",
                        "kind": "star" if star else "galaxy",
                        "x": 40.0 * k + 30,
                        "y": 30.0 + 7 * k,
                        "mag_i": 23.2,
                        "flux_i": 1000.0 - k,
                        "purity_i": 1.0,
                        "snr": 50.0,
                        "snr_i": 50.0,
                        "hlr": 0.4,
                        "ambiguous": False,
                        **{c: v[k] for c, v in columns.items()},
                    }
                )
                links.append(
                    {
                        **ids,
                        "source_id": k + 1,
                        "det_id": det,
                        "dominant": det == k + 1,
                        "found_alone": 1 if twin == twins[0] else -1,
                        "outcome": "missed"
                        if not det
                        else "unrecognised"
                        if merged and det in {j + 1 for j in merged.values()}
                        else "isolated",
                    }
                )
                members = 1 + sum(j == k for j in (merged or {}).values())
                if det == k + 1:
                    found.append(
                        {
                            **ids,
                            "det_id": det,
                            "x": truth[-1]["x"],
                            "y": truth[-1]["y"],
                            "inside": True,
                            "n_members": members,
                            "outcome": "isolated",
                        }
                    )
                for rung in LADDER:
                    if (rung in REAL and det != k + 1) or (rung not in REAL and star):
                        continue
                    shape = (e1 or sheared)(rung, twin, k)
                    rows.append(
                        {
                            **ids,
                            "rung": rung,
                            "det_id": det if rung in REAL else k + 1,
                            "band": "i",
                            "x": truth[-1]["x"],
                            "y": truth[-1]["y"],
                            "flux_ap": 800.0,
                            "flux_ap_err": 10.0,
                            "flux_kron": 1900.0,
                            "flux_kron_err": 20.0,
                            "e1": shape,
                            "e2": 0.0,
                            "shape_flag": 0,
                            "child_status": 0,
                            "sigma": 3.0,
                            "sigma_psf": 2.0,
                            "snr_shape": 20.0,
                            "resolution": 0.5,
                            "e1_weighted": shape,
                            "e2_weighted": 0.0,
                            "snr_weighted": 50.0,
                        }
                    )
    return {
        name: Table(rows=part)
        for name, part in (("truth", truth), ("assignments", links), ("detections", found), ("measurements", rows))
    }


def values(scores):
    """Return {(fom, term, population, stratum): row}."""
    table = aggregate(scores.table(), "two_point", "fiducial", FIGURES_OF_MERIT, 10, 1)
    return {(str(r["fom"]), str(r["term"]), str(r["population"]), str(r["stratum"])): r for r in table}


def test_completeness_of_three_in_four():
    found = values(scored(made(4, missed=(2,)), SETTINGS))
    recall = found["WL-D3.recall", "pipeline", "all", "all"]
    assert recall["value"] == 0.75
    assert found["WL-D3.missed", "pipeline", "all", "all"]["value"] == 0.25
    assert found["WL-D3.recall", "alone", "all", "all"]["value"] == 1
    assert found["WL-D3.precision", "pipeline", "all", "all"]["value"] == 1
    assert found["WL-D3.f1", "pipeline", "all", "all"]["value"] == pytest.approx(2 * 3 / (4 + 3))


@pytest.mark.parametrize("outcome, spurious", [("spurious", 0.2), ("unlisted", 0.0)])
def test_detections_on_a_real_image_that_nobody_can_judge_are_not_counted(outcome, spurious):
    tables = made(4)
    for row in [row for row in tables["detections"] if row["det_id"] == 1]:
        tables["detections"].add_row({**dict(row), "det_id": 9, "n_members": 0, "outcome": outcome})
    found = values(scored(tables, SETTINGS))
    assert found["WL-D3.spurious", "pipeline", "all", "all"]["value"] == pytest.approx(spurious)
    assert found["WL-D3.precision", "pipeline", "all", "all"]["value"] == pytest.approx(1 - spurious)
    assert found["WL-D3.f1", "pipeline", "all", "all"]["value"] == pytest.approx(8 / (8 + 5 * spurious))


def test_a_merged_source_is_one_detection_less():
    found = values(scored(made(4, merged={1: 0}), SETTINGS))
    assert found["WL-D3.recall", "pipeline", "all", "all"]["value"] == 0.75
    assert found["WL-D3.unrecognised", "pipeline", "all", "all"]["value"] == 0.5
    assert found["WL-D3.precision", "pipeline", "all", "all"]["value"] == 1


def test_stars_are_neither_missed_nor_spurious():
    """Four galaxies and a star, all found: recall, precision and their harmonic mean are 1."""
    found = values(scored(made(5, stars=(4,)), SETTINGS))
    assert found["WL-D3.recall", "pipeline", "all", "all"]["value"] == 1
    assert found["WL-D3.precision", "pipeline", "all", "all"]["value"] == 1
    assert found["WL-D3.f1", "pipeline", "all", "all"]["value"] == 1


@pytest.mark.parametrize("twins", [("zero",), ("plus", "minus"), TWINS])
def test_effective_density_of_known_sources(twins):
    """s_m = 1 / (20 x 0.5): four sources a patch of 1 arcmin2, whatever the number of twins."""
    settings = {**SETTINGS, "shear": 0.05 if len(twins) > 1 else 0.0}
    found = values(scored(made(4, twins=twins, purity_i=[1.0, 1.0, 0.7, 1.0]), settings))
    weight = 0.26**2 / (0.26**2 + 0.1**2)
    for rung in RUNGS:
        assert found["WL-M2", rung, "own", "all"]["value"] == pytest.approx(4 * weight)
        assert found["WL-M2.unblended", rung, "own", "all"]["value"] == pytest.approx(3 * weight)


def test_response_by_rung_and_noise_of_both_signs():
    """Shapes e0 + R g, and noise of opposite sign in the flips: R by rung, relative to isolated; c = mean e0."""
    response = {rung: 0.6 - 0.05 * k for k, rung in enumerate(LADDER)}
    rng = np.random.default_rng(1)
    shape, noise = rng.normal(0, 0.2, 30), rng.normal(0, 0.05, 30)

    def e1(rung, twin, k):
        g = 0.05 if twin.startswith("plus") else -0.05
        return shape[k] + response[rung] * g + (-1 if twin.endswith("flip") else 1) * noise[k]

    found = values(scored(made(30, e1=e1), SETTINGS))
    for rung in LADDER:
        want = response[rung] / response["isolated"] - 1
        for sample in ("centres", "kept") if rung not in REAL else ("kept",):
            assert found["WL-M1", rung, sample, "all"]["value"] == pytest.approx(want, abs=1e-12)
            assert found["WL-M1.trimmed", rung, sample, "all"]["value"] == pytest.approx(want, abs=0.02)
            assert found["WL-M1.c1", rung, sample, "all"]["value"] == pytest.approx(shape.mean(), abs=1e-12)
    assert found["WL-M1", "isolated", "centres", "all"]["n"] == 60  # one entry per source


def test_the_multiplicative_bias_counts_the_sources_that_lose_their_response():
    """Four in a hundred blends respond with 0 instead of 0.5 on the pipeline rung: m = -0.04, all of it."""

    def e1(rung, twin, k):
        lost = rung == "pipeline" and k % 25 == 0
        return (0.0 if lost else 0.5) * (0.05 if twin.startswith("plus") else -0.05)

    found = values(scored(made(50, blocks=1, e1=e1), SETTINGS))
    assert found["WL-M1", "pipeline", "kept", "all"]["value"] == pytest.approx(-0.04, abs=1e-12)


def test_samples_are_those_of_all_twins_and_of_their_rungs():
    """A source that one twin of a rung of the real detector loses stays among the centres, and is not kept."""
    tables = made(4)
    rows = tables["measurements"]
    gone = (rows["rung"] == "merged") & (rows["twin"] == "minusflip") & (rows["det_id"] == 2)
    rows["e1_weighted"][gone] = np.nan
    scores = values(scored(tables, SETTINGS))
    assert scores["WL-M1", "isolated", "centres", "all"]["n"] == 8
    assert scores["WL-M1", "isolated", "kept", "all"]["n"] == 6
    assert ("WL-M1", "pipeline", "centres", "all") not in scores


def test_ring_slope_is_that_of_half_differences():
    """Shapes e0 (1 + mu) of either sign plus what leaks in: the slope is mu, whatever the leak; N counts sources."""
    shape, leak = np.linspace(-0.3, 0.3, 30), np.random.default_rng(3).normal(0, 0.3, 30)

    def e1(rung, twin, k):
        mu = {"truth": 0.0, "oracle": 0.02}.get(rung, -0.05)
        sign = -1 if twin == "turned" else 1
        return sign * shape[k] * (1 + mu) + (0 if rung == "truth" else leak[k])

    found = values(scored(made(30, twins=("zero", "turned"), e1=e1), {**SETTINGS, "shear": 0.0, "ring": True}))
    assert found["WL-B3", "deblended", "centres", "all"]["value"] == pytest.approx(-0.05, abs=1e-12)
    assert found["WL-B3", "deblending", "centres", "all"]["value"] == pytest.approx(-0.07, abs=1e-12)
    assert found["WL-B3", "deblended", "centres", "all"]["n"] == 60


def test_swapped_lists_by_hand():
    """WL-D2 of tables: what a reader computes from means of the rows, with the twins' lists of different members."""
    tables, rng, rows = made(6, twins=("plus", "minus")), np.random.default_rng(4), []
    for block in range(2):
        for one in ("plus", "minus"):
            for image in ("plus", "minus"):
                for det_id in range(1, 7):
                    for rung in ("merged", "oracle"):
                        if one == "plus" and det_id == 3:
                            continue  # found on -g alone
                        shape = rng.normal(0, 0.1) + (0.03 if image == "plus" else -0.03)
                        shape = np.nan if (one, image, det_id) == ("minus", "plus", 5) else shape
                        rows.append({"patch": block, "twin": image, "list": one, "rung": rung, "det_id": det_id})
                        rows[-1] |= {"band": "i", "e1_weighted": shape, "snr_weighted": 20.0}
    tables["swapped"] = Table(rows=rows)
    frame = tables["swapped"].to_pandas().query("not (list == 'minus' and det_id == 5)")

    def mean(rung, one, image):
        return frame.query("rung == @rung and list == @one and twin == @image")["e1_weighted"].mean()

    def fixed(rung):
        return sum(mean(rung, one, "plus") - mean(rung, one, "minus") for one in ("plus", "minus")) / 2

    found = values(scored(tables, SETTINGS))
    again = mean("merged", "plus", "plus") - mean("merged", "minus", "minus")
    for name in ("WL-D2", "WL-D2.cuts", "WL-D2.bright"):
        row = found[name, "detection", "all", "all"]
        assert row["value"] == pytest.approx(again / fixed("merged") - 1) and row["n"] == 10
    true = frame.query("rung == 'oracle'")
    sides = [true[true["twin"] == image]["e1_weighted"].mean() for image in ("plus", "minus")]
    merging = found["WL-D2.merging", "detection", "all", "all"]["value"]
    assert merging == pytest.approx(fixed("merged") / (sides[0] - sides[1]) - 1)


def test_unrecognised_blends_on_constructed_positions():
    """Within r = 5: two sources and one detection; the same resolved; too faint by 3 mag; alone; too far."""
    objects = np.array([[10.0, 10.0], [50.0, 10.0], [90.0, 10.0], [130.0, 10.0], [170.0, 10.0]])
    sources = np.array(
        [
            [10.0, 10.0],
            [13.0, 10.0],
            [50.0, 10.0],
            [53.0, 10.0],
            [90.0, 10.0],
            [92.0, 10.0],
            [130.0, 10.0],
            [170.0, 10.0],
            [175.5, 10.0],
        ]
    )
    magnitudes = np.array([23.5, 25.0, 23.5, 25.0, 23.5, 26.5, 24.0, 24.0, 24.0])
    detections = np.vstack([objects, [[53.0, 10.0]]])
    blended = detection.is_unrecognised(objects, sources, magnitudes, detections, 5.0)
    assert blended.tolist() == [True, False, False, False, False]
    assert detection.is_unrecognised(objects[:0], sources, magnitudes, detections, 5.0).tolist() == []
    assert not detection.is_unrecognised(objects, sources[:0], magnitudes[:0], detections, 5.0).any()


def test_an_interval_counts_a_source_once_however_many_twins_it_has():
    """0 of 8 distinct objects is not 0 of 32: twins are copies, and a design effect of no events is unknown."""
    one = values(scored(made(4, twins=("zero",)), {**SETTINGS, "shear": 0.0}))
    four = values(scored(made(4), SETTINGS))
    key = "WL-D1", "pipeline", "all", "all"
    assert one[key]["value"] == four[key]["value"] == 0
    assert four[key]["ci_high"] == pytest.approx(one[key]["ci_high"], rel=1e-6)


@pytest.mark.parametrize("spread", [0.05, 0.15, 0.4])
def test_a_fraction_that_differs_between_blocks_has_an_interval(spread):
    """Blocks of 240 with 0.5 +- spread: the interval widens with the spread, and nothing is raised."""
    scores = Scores("demo", "fiducial")
    for block in range(30):
        scores.add("X", "pipeline", block, [round(240 * (0.5 + spread * (-1) ** block)), 240])
    fom = FigureOfMerit("X", "detection", "x", "x", "1", Fraction())
    row = aggregate(scores.table(), "demo", "fiducial", [fom], 50, 1)[0]
    half = (row["ci_high"] - row["ci_low"]) / 2
    assert half == pytest.approx(1.96 * spread / np.sqrt(30), rel=0.15)


def test_a_response_of_zero_has_no_ratio():
    """A sparse stratum whose isolated response is exactly 0 gives NaN, as an empty one does."""
    found = values(scored(made(2, e1=lambda rung, twin, k: 0.0), SETTINGS))
    assert np.isnan(found["WL-M1", "pipeline", "kept", "all"]["value"])


def test_nearest_brighter_is_in_arcsec_and_looks_at_brighter_ones_only():
    frame = Table(
        {
            "patch": [0, 0, 0],
            "twin": ["zero"] * 3,
            "x": [0.0, 10.0, 100.0],
            "y": [0.0, 0.0, 0.0],
            "flux_i": [5.0, 1.0, 9.0],
        }
    ).to_pandas()
    distance, ratio = nearest_neighbour(frame, "i", 0.2)
    np.testing.assert_allclose(distance, [20.0, 2.0, np.inf])
    np.testing.assert_allclose(ratio, [9 / 5, 5.0, np.nan])
    # Of at least a tenth of its flux, the source itself left out.
    np.testing.assert_allclose(nearest_neighbour(frame, "i", 0.2, ratio=0.1)[0], [2.0, 2.0, 18.0])


def test_real_sources_are_known_as_deep_as_the_detector_sees():
    """A real source that the detector finds and the truth lacks would be a piece of, or stand for, a target."""
    assert SepDetector().threshold >= stars.THRESHOLD


def test_scores_raise_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sums = scored(made(3), SETTINGS).table()
    assert all(np.isfinite(sums[f"s{k}"]).all() for k in range(5))
    assert {"WL-M1", "WL-B3", "WL-B1"} <= set(sums["fom"])


def test_helpers_are_consistent():
    tables = SimpleNamespace(**made(4, missed=(0,), merged={1: 2}))
    assert len(tables.detections) == 2 * 4 * 2 and tables.detections["n_members"].max() == 2
