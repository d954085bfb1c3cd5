"""Null tests of the ladder: detect, deblend, measure and score on tiny patches whose answer is known."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.table import Table
from blendimpact.cases.two_point.foms import FIGURES_OF_MERIT
from blendimpact.data import catalogues
from blendimpact.data.images import PatchWriter
from blendimpact.ladder.aggregate import aggregate
from blendimpact.ladder.rungs import FIXED, RUNGS
from blendimpact.sky import patches
from blendimpact.stages import deblend, detect, measure, score
from blendimpact.stages.simulate import image_facts
from measured import asked

SEED = 11
LADDER = ("truth", *RUNGS)
SETTINGS = {
    "case": "two_point",
    "scenario": "fiducial",
    "sky": "simulate",
    "bands": ["i"],
    "shape_band": "i",
    "shear": 0.05,
    "noise_pairs": True,
    "patch": {"size": 56, "border": 24, "margin": 2.0},
    "population": {"galaxies": {"density": 1.0}},
    "truth_snr": 5,
    "match_radius": 1.0,
    "stamp": 9.0,
    "detector": "sep",
    "deblender": "sep",
    "inject": None,
    "swapped": ["oracle", "undeblended", "merged", "pipeline"],
    "measure": {**asked(), "sky": {"known": True}},
}


def survey(gain=1e12, sky=1.0):
    facts = {"psf_model": {"kind": "moffat", "fwhm": 0.8, "beta": 3.5}, "sky_sigma": sky, "gain": gain}
    bands = {band: SimpleNamespace(**facts, zero_point=31.4, light=band) for band in "ri"}
    return SimpleNamespace(name="test", pixel_scale=0.2, bands=bands)


def sources(rows):
    """Return a scene: ``rows`` of (dx, dy in arcsec, flux, g1), disks of 0.4 arcsec."""
    n = len(rows)
    dx, dy, flux, g1 = np.array(rows, float).reshape(n, 4).T
    columns = {
        "source_id": np.arange(1, n + 1),
        "kind": np.full(n, "galaxy"),
        "evolution": np.full(n, ""),
        "dx": dx,
        "dy": dy,
        "cluster": np.full(n, -1),
        "redshift": np.ones(n),
        "hlr": np.full(n, 0.4),
        "hlr_bulge": np.full(n, 0.2),
        "n_bulge": np.full(n, 4.0),
        "g1_bulge": np.zeros(n),
        "g2_bulge": np.zeros(n),
        "hlr_disk": np.full(n, 0.4),
        "n_disk": np.ones(n),
        "g1_disk": g1,
        "g2_disk": np.zeros(n),
        "trail_length": np.full(n, np.nan),
        "trail_angle": np.full(n, np.nan),
        "stamp": np.full(n, ""),
        "target": np.full(n, True),
    }
    for band, factor in (("r", 0.8), ("i", 1.0)):
        columns |= {
            f"flux_{band}": factor * flux,
            f"mag_{band}": 31.4 - 2.5 * np.log10(factor * flux),
            f"bulge_fraction_{band}": np.zeros(n),
        }
    return Table(columns)


def crowd(index):
    """Return a crowded scene of its own for each patch."""
    rng = np.random.default_rng([5, index])
    rows = [(*rng.uniform(-6, 6, 2), 10 ** rng.uniform(1.6, 3.6), rng.uniform(-0.3, 0.3)) for _ in range(22)]
    return sources(rows)


@pytest.fixture
def climb(tmp_path, monkeypatch):
    """Return a function that takes scenes, one per patch, through all stages: (tables, scores)."""

    def run(scenes, of=None, **changes):
        settings = {**SETTINGS, **changes}
        monkeypatch.setattr(patches, "draw_scene", lambda options, half, seed, case, index, *_: scenes[index].copy())
        names = ("images.fits", "truth", "detections", "assignments", "sky.h5", "children.h5", "measurements", "scores")
        paths = {name: str(tmp_path / f"{name}{'' if '.' in name else '.parquet'}") for name in names}
        truths, twins = [], []
        with PatchWriter(paths["images.fits"]) as writer:
            for index in range(len(scenes)):
                for patch, truth in patches.simulate_patch(
                    settings, index, SEED, "two_point", "fiducial", of or survey(), {}
                ):
                    writer.write(patch)
                    truths.append(truth)
                    twins.append((index, index, patch.twin))
        catalogues.write(
            catalogues.stack(truths),
            paths["truth"],
            {**image_facts(patch), "depth": "{}", "patches": json.dumps(twins)},
        )
        images, truth = paths["images.fits"], paths["truth"]
        found = {name: paths[name] for name in ("detections", "assignments")}
        detect.run(settings, SEED, images, truth, *found.values(), paths["sky.h5"])
        deblend.run(settings, images, truth, paths["detections"], paths["sky.h5"], paths["children.h5"])
        measure.run(
            settings,
            SEED,
            images,
            truth,
            **found,
            sky=paths["sky.h5"],
            separated=paths["children.h5"],
            measurements_out=paths["measurements"],
        )
        score.run(settings, truth, **found, measurements=paths["measurements"], scores_out=paths["scores"])
        tables = {name: catalogues.read(paths[name]) for name in ("truth", "detections", "assignments", "scores")}
        return SimpleNamespace(**tables, **catalogues.read_folder(paths["measurements"]))

    return run


def on(made, rung, band="i", twin=None):
    """Return the measurements of a rung in one band, by twin, patch and source."""
    rows = made.measurements
    keep = (rows["rung"] == rung) & (rows["band"] == band)
    if twin:
        keep &= rows["twin"] == twin
    rows = rows[keep]
    rows.sort(["patch", "twin", "det_id"])
    return rows


SHAPES = ("e1", "e2", "e1_weighted", "e2_weighted")


def test_oracle_is_isolated_when_noise_is_sky_only(climb):
    """N1: neighbours without photon noise, removed exactly, under a known sky, leave nothing."""
    made = climb([crowd(0)], bands=["r", "i"])
    for band in ("r", "i"):
        alone, oracle = on(made, "isolated", band), on(made, "oracle", band)
        assert len(alone) > 40 and np.array_equal(alone["det_id"], oracle["det_id"])
        np.testing.assert_allclose(alone["flux_ap"], oracle["flux_ap"], rtol=1e-5, atol=2e-3)
    alone, oracle, raw = on(made, "isolated"), on(made, "oracle"), on(made, "undeblended")
    for name in SHAPES[2:]:
        np.testing.assert_allclose(alone[name], oracle[name], atol=1e-4)
        assert np.nanmax(np.abs(alone[name] - raw[name])) > 0.05  # the neighbours are there


def test_photon_noise_of_neighbours_is_all_that_oracle_adds(climb):
    """With photons and a known sky, oracle minus isolated has mean 0, and only where neighbours shine."""
    made = climb([crowd(0)], of=survey(gain=2.0))
    alone, oracle = on(made, "isolated"), on(made, "oracle")
    change = np.asarray(oracle["flux_ap"] - alone["flux_ap"])
    assert 0.01 < np.std(change) < 30
    # Flips have the opposite of it, so the mean over each pair vanishes.
    flip = np.asarray(["flip" in t for t in alone["twin"]])
    keys = [(p, t.replace("flip", ""), d) for p, t, d in zip(alone["patch"], map(str, alone["twin"]), alone["det_id"])]
    first = {k: c for k, c, f in zip(keys, change, flip) if not f}
    assert flip.sum() == len(first)
    np.testing.assert_allclose([first[k] + c for k, c, f in zip(keys, change, flip) if f], 0, atol=5e-3)


def test_one_galaxy_alone_is_the_same_on_every_rung(climb):
    """N2 at its end: nothing overlaps, so every impact is 0 (detection: to the centroid's noise)."""
    made = climb([sources([(0.13, -0.21, 3000.0, 0.2)]) for _ in range(2)])
    alone = on(made, "isolated")
    assert len(alone) == 8
    for rung in LADDER[1:]:
        rows = on(made, rung)
        assert len(rows) == 8, rung
        fixed = rung in FIXED
        np.testing.assert_allclose(rows["flux_ap"], alone["flux_ap"], rtol=1e-5 if fixed else 1e-3)
        for name in SHAPES[:2]:
            np.testing.assert_allclose(rows[name], alone[name], atol=1e-4, err_msg=rung)
        for name in SHAPES[2:]:
            np.testing.assert_allclose(rows[name], alone[name], atol=1e-4 if fixed else 3e-3, err_msg=rung)
    assert set(made.assignments["outcome"]) == {"isolated"}
    assert (made.detections["n_members"] == 1).all()
    wanted = {"WL-M1.mean", "WL-B3", "WL-B1.tail"}
    table = aggregate(made.scores, "two_point", "fiducial", [f for f in FIGURES_OF_MERIT if f.id in wanted], 50, 1)
    impacts = table[(table["kind"] == "impact") & (table["stratum"] == "all")]
    small = impacts[np.isin(impacts["term"], ["measurement", "deblending", "no_deblending"])]
    values = np.asarray(small["value"], float)
    assert len(values) and (np.abs(values[np.isfinite(values)]) < 1e-4).all()


def test_impact_on_flux_falls_with_the_separation(climb):
    """N2: the neighbour leaves, the impacts of all stages go."""
    impacts = []
    for distance in (0.9, 3.0, 6.0):
        made = climb(
            [sources([(-distance / 2, 0.1, 2000.0, 0.0), (distance / 2, 0.1, 2000.0, 0.0)])],
            shear=0.0,
            noise_pairs=False,
            swapped=[],
        )
        alone = on(made, "isolated")
        row = [
            np.abs(np.asarray(on(made, r)["flux_ap"]) / np.asarray(alone["flux_ap"]) - 1).max()
            for r in ("oracle", "undeblended", "deblended")
        ]
        impacts.append(row)
    impacts = np.array(impacts)
    assert (impacts[:, 0] < 1e-5).all()
    assert impacts[0, 1] > 0.1 > impacts[1, 1] > impacts[2, 1]
    assert impacts[2, 2] < 2e-3


def test_twins_without_shear_are_one_image(climb):
    """N3: g = 0 draws one twin, and what a sheared pair adds to c is 0 to second order."""
    made = climb([crowd(1)], shear=0.0, noise_pairs=False, swapped=[])
    assert set(made.truth["twin"]) == {"zero"}
    assert not {"WL-M1", "WL-M1.mean", "WL-D2"} & set(made.scores["fom"]) and not hasattr(made, "swapped")
    assert {"WL-M1.c1", "WL-D1", "WL-M2"} <= set(made.scores["fom"])


def swapped(made, rung):
    """Return the swapped rows of a rung: {(twin of the list, image, det_id): row}."""
    rows = made.swapped[made.swapped["rung"] == rung]
    return {(str(r["list"]), str(r["twin"]), int(r["det_id"])): r for r in rows}


def test_a_detector_that_is_blind_to_the_shear_has_no_shear_bias(climb):
    """Carried centres of the truth are the centres of the other twin: WL-D2 is 0 with any children and any noise."""
    made = climb([crowd(k) for k in range(2)], of=survey(gain=2.0), detector="truth", noise_pairs=False)
    for rung in ("merged", "oracle", "undeblended", "pipeline"):
        rows = swapped(made, rung)
        assert len(rows) > 40, rung
        for (one, image, det_id), row in rows.items():
            other = rows[{"plus": "minus", "minus": "plus"}[one], image, det_id]
            assert row["e1_weighted"] == pytest.approx(other["e1_weighted"], abs=1e-5), rung
    table = aggregate(made.scores, "two_point", "fiducial", FIGURES_OF_MERIT, 20, 1)
    found = {str(r["fom"]): r["value"] for r in table if str(r["fom"]).startswith("WL-D2")}
    assert {"WL-D2", "WL-D2.bright", "WL-D2.deblended", "WL-D2.raw", "WL-D2.merging"} <= set(found)
    # One source per detection, so its brightest source alone is all of it.
    for name, value in found.items():
        if name != "WL-D2.cuts":  # S/N is measured, and noise selects by it
            assert value == pytest.approx(0, abs=1e-4), name


def test_both_lists_are_measured_on_both_images_without_neighbours(climb):
    """Own and carried members lie on the same sky; an exact child of the own list is that of the rung merged."""
    made = climb([crowd(0)], noise_pairs=False)
    rows = swapped(made, "merged")
    lists = {(key[0], key[2]) for key in rows}
    assert all((one, image, det_id) in rows for one, det_id in lists for image in ("plus", "minus"))
    inside = made.detections[made.detections["inside"]]
    assert lists == {(str(r["twin"]), int(r["det_id"])) for r in inside}
    stretch = (1.05 / 0.95, 0.95 / 1.05)
    centre = (56 + 2 * 24 - 1) / 2
    for one, det_id in lists:
        plus, minus = (rows[one, image, det_id] for image in ("plus", "minus"))
        for axis, factor in zip("xy", stretch):
            assert plus[axis] - centre == pytest.approx(factor * (minus[axis] - centre), abs=1e-9)
    own = made.measurements[(made.measurements["rung"] == "merged") & (made.measurements["band"] == "i")]
    for row in own:  # photons and sky are known here, and every source is above the cut
        found = rows[str(row["twin"]), str(row["twin"]), int(row["det_id"])]
        if (made.assignments["det_id"] > 0).all():
            assert found["e1_weighted"] == pytest.approx(row["e1_weighted"], abs=1e-6)


def test_ring_pairs_turn_each_shape_and_cancel_what_is_added(climb):
    """Lone galaxies: the shape of the turned twin is the opposite, and the slope of half-differences is exact."""
    scene = [sources([(0.0, 0.0, 4000.0, 0.3)]), sources([(0.0, 0.0, 4000.0, -0.2)])]
    made = climb(scene, shear=0.0, ring=True, noise_pairs=False, swapped=[])
    zero, turned = on(made, "truth", twin="zero"), on(made, "truth", twin="turned")
    np.testing.assert_allclose(zero["e1"], -np.asarray(turned["e1"]), atol=1e-4)
    assert np.abs(zero["e1"]).min() > 0.05
    noisy = [np.asarray(on(made, "isolated", twin=t)["e1"]) for t in ("zero", "turned")]
    half = (noisy[0] - noisy[1]) / 2
    scores = made.scores[(made.scores["fom"] == "WL-B3") & (made.scores["rung"] == "isolated")]
    scores = scores[(scores["population"] == "centres") & (scores["stratum"] == "all")]
    assert list(scores["s0"]) == [2, 2] and list(scores["copies"]) == [2, 2]
    np.testing.assert_allclose(
        scores["s2"],
        half
        + (np.asarray(on(made, "isolated", twin="zero")["e2"]) - np.asarray(on(made, "isolated", twin="turned")["e2"]))
        / 2,
        atol=1e-9,
    )


def test_round_lone_galaxies_have_no_c(climb):
    """Round sources under +g and -g: mean e1 and e2 of the noiseless image are 0 to rounding of the pixels."""
    made = climb([sources([(0.07 * k, 0.05 * k, 2000.0, 0.0)]) for k in range(2)])
    truth = on(made, "truth")
    np.testing.assert_allclose(np.mean(truth["e1_weighted"]), 0, atol=2e-4)
    np.testing.assert_allclose(truth["e2_weighted"], 0, atol=2e-4)
    flipped = np.asarray([t.startswith("plus") for t in truth["twin"]])
    assert (truth["e1_weighted"][flipped] > 0.01).all() and (truth["e1_weighted"][~flipped] < -0.01).all()


def test_noise_of_both_signs_averages_to_the_noiseless_shape(climb):
    """First order in the noise cancels in each pair; one sign alone is off by much more."""
    made = climb([sources([(0.1, 0.2, 500.0, 0.2)]) for _ in range(2)], of=survey(gain=3.0))
    for name in ("e1_weighted", "e2_weighted", "flux_ap"):
        true = np.asarray(on(made, "truth", twin="plus")[name])
        one, two = (np.asarray(on(made, "isolated", twin=t)[name]) for t in ("plus", "plusflip"))
        if name == "flux_ap":
            np.testing.assert_allclose((one + two) / 2, true, rtol=1e-5)
        else:
            assert np.abs((one + two) / 2 - true).max() < 0.2 * np.abs(one - true).max()


def test_order_of_the_ladder_does_not_change_the_total(climb):
    """N6, N7: both orders add up to pipeline minus truth for every figure that has a ladder."""
    made = climb([crowd(k) for k in range(2)])
    table = aggregate(made.scores, "two_point", "fiducial", FIGURES_OF_MERIT, 40, 1)
    seen = 0
    for key in {(r["fom"], r["stratum"]) for r in table if r["kind"] == "impact" and r["term"] == "total"}:
        rows = [r for r in table if (r["fom"], r["stratum"]) == key]
        value = {(str(r["population"]), str(r["term"])): r["value"] for r in rows if r["kind"] == "value"}
        term = {str(r["term"]): r["value"] for r in rows if r["kind"] == "impact"}
        if not np.isfinite(list(value.values())).all():
            continue
        seen += 1
        first, last = ("centres", "kept") if ("kept", "pipeline") in value else 2 * (min(value)[0],)
        ends = value[last, "pipeline"] - value[first, "truth"]
        stages = sum(term[t] for t in ("intrinsic", "measurement", "deblending", "detection"))
        assert stages + term.get("survival", 0) == pytest.approx(ends, abs=1e-12)
        assert term["photons"] + term["sky"] == pytest.approx(term["measurement"], abs=1e-12)
        later = value[last, "pipeline"] - value[last, "oracle"]
        assert term["shapley_deblending"] + term["shapley_detection"] == pytest.approx(later, abs=1e-12)
    assert seen > 5


def test_scores_do_not_depend_on_the_chunk(climb):
    """Blocks of a chunk of two are those of two chunks of one."""
    scenes = [crowd(0), crowd(1)]
    together, apart = (climb(s, noise_pairs=False).scores for s in (scenes, scenes[:1]))
    names = [c for c in together.colnames if c.startswith("s")]
    one = {
        tuple(r[c] for c in ("fom", "rung", "population", "stratum", "cell")): tuple(r[c] for c in names)
        for r in together
        if r["block"] == 0
    }
    two = {
        tuple(r[c] for c in ("fom", "rung", "population", "stratum", "cell")): tuple(r[c] for c in names) for r in apart
    }
    assert one == two


def test_nothing_detected_in_a_chunk(climb):
    """Sources that no detector finds: outcomes are "missed", the real rungs are empty, nothing is raised."""
    made = climb([sources([(0.0, 0.0, 9.0, 0.0)])], truth_snr=0.1)
    assert len(made.detections) == 0 or (made.detections["n_members"] == 0).all()
    assert set(made.assignments["outcome"]) == {"missed"}
    assert not len(on(made, "pipeline")) or (on(made, "pipeline")["det_id"] > 0).all()
    assert len(on(made, "isolated")) == 4


def test_a_patch_without_sources_beside_one_with(climb):
    """An empty patch adds area, not objects: densities are per area that was searched."""
    made = climb([sources([(0.0, 0.0, 3000.0, 0.2)]), sources([])])
    rows = made.scores[(made.scores["fom"] == "WL-M2") & (made.scores["rung"] == "isolated")]
    assert sorted(rows["block"]) == [0, 1]


def test_a_chunk_without_any_source(climb):
    """Density 0 is a setting that is allowed; it ends in empty tables, not in a traceback."""
    made = climb([sources([])])
    assert len(made.truth) == 0


def test_a_single_band_has_no_colour(climb):
    made = climb([crowd(0)], noise_pairs=False)
    assert "WL-B1.colour" not in set(made.scores["fom"]) and "WL-B1" in set(made.scores["fom"])


def test_the_truth_detector_can_be_the_studied_one(climb):
    """``detector: truth`` is a member of the family: then pipeline is deblended and detection costs nothing."""
    made = climb([crowd(0)], detector="truth", shear=0.0, noise_pairs=False, swapped=[])
    one, two = on(made, "deblended"), on(made, "pipeline")
    two = two[np.isin(two["det_id"], one["det_id"])]
    np.testing.assert_array_equal(one["flux_ap"], two["flux_ap"])


def test_ids_are_not_cut(climb):
    """Names of scenarios longer than 16 characters survive in the measurements: tables are joined on ids."""
    made = climb([sources([(0.0, 0.0, 3000.0, 0.2)])], scenario="twice_the_density_and_clustered")
    assert set(made.measurements["scenario"]) == {"twice_the_density_and_clustered"}
