"""Scores of photometric redshifts on tables that are made by hand, with answers that can be counted."""

import numpy as np
import pandas as pd
import pytest
from astropy.table import Table
from blendimpact.cases.two_point import blends, photo_z
from blendimpact.cases.two_point.photo_z_foms import FIGURES_OF_MERIT
from blendimpact.ladder.aggregate import aggregate
from blendimpact.ladder.friends import catalogue_blends, linked
from blendimpact.ladder.redshifts import FRIENDS, QUANTILES, Frozen, estimated, train, training_table
from blendimpact.ladder.rungs import REAL, RUNGS
from blendimpact.photoz import ESTIMATORS
from blendimpact.stats.figures_of_merit import Scores
from test_estimators import galaxies

LADDER = ("truth", *RUNGS)
BANDS = ["g", "r", "i"]
SETTINGS = {
    "case": "two_point",
    "scenario": "photo_z",
    "bands": BANDS,
    "shape_band": "i",
    "truth_snr": 5,
    "photo_z": {"fluxes": "matched"},
}
FROZEN = Frozen(0.03, [0.6, 0.9, 1.2, 1.5], [0.4, 0.75, 1.05, 1.35, 1.7], [1.0, 1.0, 1.0], 100)
N, BLOCKS = 20, 12


def made(redshift=1.0, moved=None, colour=None, merged=()):
    """Return objects, tables and truth of ``BLOCKS`` equal patches of ``N`` galaxies at one redshift.

    ``moved(rung, k)`` is dz' of galaxy k, ``colour(rung, k)`` what is added to g - i, mag. ``merged`` galaxies share
    the detection of the one before; they have twice its redshift and a quarter of its flux.
    """
    truth, links, found, rows, estimates = [], [], [], [], []
    for block in range(BLOCKS):
        for k in range(N):
            ids, faint = {"patch": block, "twin": "zero", "source_id": k + 1}, k in merged
            det = k if faint else k + 1
            z = 2 * redshift if faint else redshift
            flux = 250.0 if faint else 1000.0
            known = {"redshift": z, "flux_i": flux, "mag_i": 31.4 - 2.5 * np.log10(flux) - 1.0}
            place = {"x": 100.0 * (k - 0.97 * faint), "y": 50.0}
            truth.append({**ids, **known, **place, "role": "target", "kind": "galaxy", "snr": 50.0, "block": block})
            links.append(
                {**ids, "det_id": det, "dominant": not faint, "outcome": "unrecognised" if faint else "isolated"}
            )
            if not faint:
                found.append({"patch": block, "twin": "zero", "det_id": det, "inside": True, **place})
            for rung in LADDER:
                if rung in REAL and faint:
                    continue
                dz, red = (f(rung, k) if f else 0.0 for f in (moved, colour))
                at = {"patch": block, "twin": "zero", "rung": rung, "det_id": k + 1}
                point = z + (1 + z) * dz
                estimates.append({**at, **{q: point + 0.05 * j for q, j in zip(QUANTILES, range(-2, 3))}, "n_bands": 3})
                light = {f"flux_matched_{b}": 900.0 * 10 ** (-0.4 * red * (b == "g")) for b in BANDS}
                light |= {f"flux_matched_err_{b}": 1.0 for b in BANDS}
                own = {"block": block, "true_mag": known["mag_i"], "true_snr": 50.0, "purity": 1.0, "n_members": 1}
                rows.append({**at, "source_id": k + 1, **light, **own, "role": "target", "kind": "galaxy"})
    tables = {
        name: Table(rows=part)
        for name, part in (("truth", truth), ("assignments", links), ("detections", found), ("redshifts", estimates))
    }
    tables["redshifts"].meta.update(FROZEN.meta())
    return pd.DataFrame(rows), tables, pd.DataFrame(truth)


def values(objects, tables, truth):
    """Return {(fom, term, population, stratum): value}, and how many there are."""
    scores = Scores("two_point", "photo_z")
    samples = photo_z.add_photo_z(scores, objects, tables, truth, ["zero"], SETTINGS)
    blends.add_blends(scores, tables, truth, {b: b for b in range(BLOCKS)}, samples, SETTINGS, 0.2)
    table = aggregate(scores.table(), "two_point", "photo_z", FIGURES_OF_MERIT, 20, 1)
    return {tuple(str(r[k]) for k in ("fom", "term", "population", "stratum")): float(r["value"]) for r in table}


def test_a_planted_error_is_found_in_the_stage_that_makes_it():
    """Each tenth galaxy goes astray at deblending, and all are off by 0.01 from there on."""
    late = ("deblended", "pipeline")
    got = values(*made(moved=lambda rung, k: (0.3 if k % 10 == 0 else 0.01) if rung in late else 0.0))
    assert got["PZ-M1.outliers", "deblending", "centres", "all"] == pytest.approx(0.1)
    assert got["PZ-M1.frozen", "deblending", "centres", "all"] == pytest.approx(0.1)
    assert got["PZ-M1.bias", "deblending", "centres", "all"] == pytest.approx(0.01, abs=2e-3)
    assert got["PZ-M1.mean", "deblending", "centres", "all"] == pytest.approx(0.1 * 0.3 + 0.9 * 0.01)
    for term in ("measurement", "photons", "sky"):
        for fom in ("PZ-M1.outliers", "PZ-M1.bias", "PZ-M1.mean"):
            assert got[fom, term, "centres", "all"] == pytest.approx(0.0, abs=1e-9)
    assert got["PZ-M1.outliers", "detection", "kept", "all"] == pytest.approx(0.0)
    assert got["PZ-M1.outliers", "isolated", "centres", "all"] == 0
    assert got["PZ-M1.covered", "isolated", "centres", "all"] == 1


def test_no_neighbours_no_impact_of_any_stage():
    got = values(*made())
    terms = ("measurement", "deblending", "detection", "interaction")
    found = {key: value for key, value in got.items() if key[1] in terms and key[0].startswith("PZ")}
    limits = {"PZ-M1.added": 1e-3, "PZ-B1.scatter": 2e-3}  # the width of a bin
    assert len(found) > 100
    for key, value in found.items():
        assert abs(value) < limits.get(key[0], 1e-9) or np.isnan(value), key
    assert got["PZ-D1", "pipeline", "all", "all"] == 0
    assert all(got[f"PZ-D2{s}", "pipeline", "all", "all"] == 0 for s in ("", ".pixels", ".invented", ".missed"))


def test_a_colour_that_leaks_is_the_bias_of_that_colour():
    got = values(*made(colour=lambda rung, k: 0.02 if rung in ("deblended", "pipeline") else 0.0))
    for stratum in ("all", "colour:g-r"):
        assert got["PZ-B1", "deblending", "centres", stratum] == pytest.approx(0.02, abs=1e-4)
    assert got["PZ-B1", "deblending", "centres", "colour:r-i"] == pytest.approx(0.0, abs=1e-9)
    assert got["PZ-B1", "isolated", "centres", "all"] == 0


def test_unrecognised_blends_mix_redshifts_and_shift_the_mean_of_their_members():
    merged = tuple(range(1, N, 4))  # a quarter of the galaxies are under the one before
    got = values(*made(redshift=1.0, merged=merged))
    assert got["PZ-D1", "pipeline", "all", "all"] == pytest.approx(len(merged) / (N - len(merged)))
    # Of 5 in 15 detections the mean is (1000 x 1 + 250 x 2) / 1250 = 1.2.
    dominant, members = (got[fom, "detection", "kept", "bin:3"] for fom in ("PZ-M2", "PZ-M2.members"))
    assert dominant == pytest.approx(0.0, abs=1e-9)
    assert members == pytest.approx(len(merged) / (N - len(merged)) * 0.2 / (1 + FROZEN.mean[2]))
    # Both of each pair are blended, by both accounts: they are 0.6 arcsec apart.
    for fom in ("PZ-D2", "PZ-D2.pixels"):
        assert got[fom, "pipeline", "all", "all"] == pytest.approx(2 * len(merged) / N)
    assert got["PZ-D2.invented", "pipeline", "all", "all"] == got["PZ-D2.missed", "pipeline", "all", "all"] == 0


def test_a_faint_companion_mixes_nothing():
    rows = {"patch": 0, "twin": "zero", "det_id": 1}
    for flux, away, expected in ((100.0, 0.5, False), (120.0, 0.5, True), (120.0, 0.15, False)):
        members = pd.DataFrame(
            [{**rows, "flux": 1000.0, "redshift": 1.0}, {**rows, "flux": flux, "redshift": 1 + away}]
        )
        assert bool(blends.mixed(members).iloc[0]) is expected
    frame = pd.DataFrame({"group": [0, 0, 0, 1], "flux": [10.0, 4.0, 1.0, 7.0]})
    np.testing.assert_allclose(blends.partner(frame, ["group"]), [0.4, 2.5, 10.0, 0.0])


def test_catalogue_blends_have_the_summed_flux_at_the_brightest_member():
    ids = {"patch": 0, "twin": "zero", "kind": "galaxy", "snr": 50.0, "role": "target"}
    truth = Table(
        rows=[
            {**ids, "source_id": 1, "x": 10.0, "y": 10.0, "flux": 100.0},
            {**ids, "source_id": 2, "x": 14.0, "y": 10.0, "flux": 40.0},
            {**ids, "source_id": 3, "x": 60.0, "y": 10.0, "flux": 80.0},
            {**ids, "source_id": 4, "x": 100.0, "y": 10.0, "flux": 80.0},
            {**ids, "source_id": 5, "x": 103.0, "y": 10.0, "flux": 20.0, "role": "scene"},
        ]
    )
    friends = linked(truth, 5, 0.2)
    assert list(friends["n_friends"]) == [2, 2, 1, 2, 2] and list(friends["brightest"]) == [
        True,
        False,
        True,
        True,
        False,
    ]
    light = {1: 100.0, 2: 40.0, 3: 80.0, 4: 80.0}
    objects = Table(
        rows=[
            {"patch": 0, "twin": "zero", "rung": rung, "det_id": k, "flux_i": f + (rung == "isolated"), "error_i": 2.0}
            for rung in ("truth", "isolated")
            for k, f in light.items()
        ]
    )
    found = catalogue_blends(friends, objects, ["i"])
    assert set(found["rung"]) == {FRIENDS}
    assert dict(zip(found["det_id"], found["flux_i"])) == {1: 141.0, 3: 81.0}  # of the last one member is no target
    assert len(catalogue_blends(linked(truth[:0], 5, 0.2), objects, ["i"])) == 0


def test_a_training_is_of_isolated_galaxies_and_freezes_what_other_folds_say():
    light, z = galaxies(600)
    ids = {"patch": np.arange(600) // 20, "twin": np.full(600, "zero"), "source_id": np.arange(600) + 1}
    truth = Table({**ids, "redshift": z, "role": np.full(600, "target"), "kind": np.full(600, "galaxy")})
    truth["mag_i"] = np.where(np.arange(600) < 590, 24.0, 26.0)  # ten are too faint
    rows = []
    for rung, factor in (("isolated", 1.0), ("truth", 3.0)):
        for k, band in enumerate(BANDS):
            flux = factor * light.fluxes[:, k]
            at = {"patch": ids["patch"], "twin": ids["twin"], "det_id": ids["source_id"], "band": np.full(600, band)}
            rows.append(pd.DataFrame({**at, "rung": rung, "flux_matched": flux, "flux_matched_err": 0.1}))
    measured = Table.from_pandas(pd.concat(rows))
    table = training_table([truth], [measured], SETTINGS, 25.3, "matched")
    assert len(table) == 590
    np.testing.assert_allclose(table["flux_i"], light.fluxes[:590, 2])
    table, frozen = train(table, ESTIMATORS.create("neighbours"), BANDS, "i")
    assert 0 < frozen.scatter < 0.05 and frozen.count == 590
    counts = np.bincount(frozen.bins(np.asarray(table["z_cross"])), minlength=5)
    assert counts.min() > 100 and (np.diff(frozen.mean) > 0).all()
    table.meta.update(frozen.meta())
    objects = Table({"patch": [0], "twin": ["zero"], "rung": ["oracle"], "det_id": [7]})
    for k, band in enumerate(BANDS):
        objects[f"flux_{band}"], objects[f"error_{band}"] = light.fluxes[:1, k], [0.1]
    objects["flux_g"][0] = np.nan
    found = estimated(objects, table, ESTIMATORS.create("neighbours"), BANDS, "i")
    assert found["n_bands"][0] == 2 and abs(found["z_p50"][0] - z[0]) < 0.3
