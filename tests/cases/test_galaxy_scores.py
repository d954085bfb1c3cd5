"""Scores of galaxies on tables that are made by hand, with answers that can be counted."""

from importlib import import_module

import numpy as np
import pytest
from astropy.table import Table, vstack
from blendimpact.cases.galaxies.foms import FIGURES_OF_MERIT
from blendimpact.ladder.aggregate import aggregate
from test_case_scores import SETTINGS, facts_of, made

scores_of = import_module("blendimpact.cases.galaxies.score")
SUM = ("intrinsic", "photons", "sky", "deblending", "survival", "detection")


def scored(tables, blocks=12):
    scores = scores_of.score(tables, {**SETTINGS, "case": "galaxies"}, facts_of())
    rows = aggregate(scores.table(), "galaxies", "fiducial", FIGURES_OF_MERIT, 50, 1)
    return {tuple(str(r[k]) for k in ("fom", "kind", "term", "population", "stratum")): r for r in rows}


def galaxies(**options):
    return made(4, twins=("zero",), blocks=12, **options)


def beside(tables, apart=2.0, brighter=1.0, of=2):
    """Put a brighter source that is no target ``apart`` arcsec from source ``of`` of each patch."""
    own = tables["truth"][tables["truth"]["source_id"] == of]
    rows = own.copy()
    rows["source_id"], rows["role"], rows["snr"] = 99, "scene", 300.0
    rows["x"] += apart / 0.2
    rows["flux_i"] *= 10 ** (0.4 * brighter)
    tables["truth"] = vstack([tables["truth"], rows])
    return tables


def test_what_is_lost_is_positive_and_the_detector_s():
    found = scored(galaxies(missed=(2,)))
    assert found["GA-D1", "impact", "detection", "all", "all"]["value"] == 0.25
    assert found["GA-D1", "value", "merged", "all", "all"]["value"] == 0.25
    for term in ("photons", "sky", "deblending"):
        row = found["GA-D1", "impact", term, "all", "all"]
        assert row["value"] == 0 and row["ci_low"] < 0 < row["ci_high"]
    assert found["GA-D1.all", "value", "alone", "all", "all"]["value"] == 1
    assert found["GA-D1.all", "value", "pipeline", "all", "all"]["value"] == 0.75
    assert found["GA-D2.shred", "value", "pipeline", "all", "all"]["value"] == 0


def test_weights_make_targets_a_sample_of_chance():
    """One of four is lost, and stands for a tenth of what the others stand for."""
    found = scored(galaxies(missed=(2,), chance_weight=[1.0, 1.0, 0.1, 1.0]))
    row = found["GA-D1", "impact", "detection", "all", "all"]
    assert row["value"] == pytest.approx(0.1 / 3.1) and row["n"] == 48


def test_shredding_of_one_in_four():
    tables = galaxies()
    tables["assignments"]["outcome"] = np.where(tables["assignments"]["source_id"] == 2, "shredded", "isolated")
    found = scored(tables)
    assert found["GA-D2.shred", "value", "pipeline", "all", "all"]["value"] == 0.25
    assert found["GA-D2.shred", "value", "oracle", "all", "all"]["value"] == 0


def test_the_worst_blends_count_in_completeness_and_merging():
    """Source 1 lies on a brighter one and shares its detection: it is lost, and no fraction of it is left out."""
    found = scored(beside(galaxies(merged={1: 0}), apart=0.4))
    assert found["GA-D1", "impact", "detection", "all", "all"]["value"] == 0.25
    assert found["GA-D1", "impact", "detection", "all", "separation:0-1"]["value"] == 1
    assert found["GA-D2.merge", "value", "pipeline", "all", "all"]["value"] == 0.5
    row = found["GA-B1", "impact", "deblending", "centres", "separation:0-1"]
    assert row["n"] == 12 and row["value"] == 0  # it has a magnitude wherever centres are true


def test_leakage_is_of_what_is_beside_a_brighter_source():
    """A tenth of a magnitude too bright with the deblender, beside a source that is 1 mag brighter."""
    tables = beside(galaxies())
    rows = tables["measurements"]
    rows["flux_ap"][(rows["rung"] == "deblended") & (rows["det_id"] == 2)] *= 10 ** (0.4 * 0.1)
    rows["flux_ap"][(rows["rung"] == "deblended") & (rows["det_id"] == 1)] *= 5
    found = scored(tables)
    for stratum in ("all", "separation:2-3", "brighter_by:1-2"):
        row = found["GA-B1", "impact", "deblending", "centres", stratum]
        assert row["value"] == pytest.approx(-0.1) and row["n"] == 12, stratum
    assert found["GA-B1", "impact", "deblending", "centres", "separation:8-1e+09"]["value"] == -0.5  # bound
    assert found["GA-B1.scatter", "impact", "deblending", "centres", "all"]["n"] == 12


def test_budgets_close():
    """Whatever the rungs are: intrinsic + photons + sky + deblending + survival + detection is the total."""
    rng = np.random.default_rng(3)
    tables = beside(galaxies(missed=(3,)), of=4)
    tables = beside({**tables, "truth": tables["truth"]}, of=2)
    rows = tables["measurements"]
    for column in ("flux_ap", "flux_kron", "sigma"):
        rows[column] *= rng.normal(1, 0.3, len(rows)).clip(-0.5)
    found = scored(tables)
    for fom in ("GA-B1", "GA-B1.size", "GA-M1"):
        terms = {k[2]: float(r["value"]) for k, r in found.items() if k[:2] == (fom, "impact") and k[4] == "all"}
        assert sum(terms[t] for t in SUM) == pytest.approx(terms["total"], abs=1e-12), fom
        assert terms["photons"] + terms["sky"] == pytest.approx(terms["measurement"], abs=1e-12)
        assert terms["survival"] != 0


def test_magnitudes_are_bounded_and_no_flux_is_lost_light():
    change = scores_of.magnitude_change(np.array([10.0, 1e3, 1e-3, 0.0, -5.0, np.nan]), np.full(6, 10.0))
    assert change[:5].tolist() == [0, -1, 1, 1, 1] and np.isnan(change[5])


def test_sizes_are_without_the_psf():
    """Moments add in quadrature: sizes of 3 and 4 behind a PSF of 4 are observed as 5 and 4 sqrt(2)."""
    sigma = np.array([5.0, 4 * np.sqrt(2), 3.0, 50.0, np.nan, 4.1])
    alone = np.array([5.0, 5.0, 5.0, 5.0, 5.0, 4.1])
    change = scores_of.size_change(sigma, alone, np.full(6, 4.0))
    assert change[:4] == pytest.approx([0, 1 / 3, -1, 1]) and np.isnan(change[4:]).all()  # the last is a point


def test_simulated_galaxies_have_equal_weights_and_faint_neighbours_hide_none():
    tables = beside(galaxies(), apart=3.0)
    own = Table(tables["truth"][tables["truth"]["source_id"] == 2])
    faint = []
    for k in range(20):
        row = own.copy()
        row["source_id"], row["role"], row["snr"], row["flux_i"] = 200 + k, "scene", 1.0, 1.0
        row["x"] += 0.1 * k
        faint.append(row)
    tables["truth"] = vstack([tables["truth"], *faint])
    found = scored(tables)
    assert found["GA-B1", "value", "oracle", "centres", "separation:3-4"]["n"] == 12
