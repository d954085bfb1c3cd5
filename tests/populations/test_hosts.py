"""Hosts of supernovae: drawn from the whole sample by their light, added to the static sky of visit and template."""

import numpy as np
import pytest
from astropy.table import Table
from blendimpact.data.transient_geometry import REQUIRED_SNR
from blendimpact.ladder.differences import Differences
from blendimpact.populations.galaxy_counts import counts
from blendimpact.populations.hosts import PHASES, SCATTER, Hosts
from blendimpact.populations.static_sky import PLANTED_IDS
from blendimpact.populations.supernova import NUCLEAR, magnitudes_at
from blendimpact.sky.epochs import plant, without_transients
from blendimpact.sky.injection import inject
from blendimpact.sky.injection_flags import INJECTED_IDS
from blendimpact.sky.profiles import draw_source
from blendimpact.sky.true_scene import TruthScene
from blendimpact.subtract import SUBTRACTORS
from target_maker import draw
from visit_maker import CASE, SEED, visit

KINDS = {"supernova": 2, "nuclear": 1, "hostless": 1}


@pytest.fixture(scope="module")
def planted(galaxies, stars, supernovae):
    """Return settings, patch, truth and catalogue of a visit with supernovae, and the visit before."""
    settings, before, known = visit(galaxies, stars, inject=None)
    known.remove_column("injection_id")
    known.replace_column("trail_length", np.full(len(known), np.nan))
    targets = {"population": "transients", "per_patch": 6, "separation": 6, "snr": [20, 60], "required": 0.5}
    settings = {**settings, "inject": {**targets, "kinds": KINDS}}
    rows = draw(settings, before, known, SEED, CASE, 0, 0, supernova=supernovae, hst_cosmos=galaxies)
    patch, truth = inject(before, known, rows, SEED, CASE, settings)
    patch = plant(patch, truth, {"r": {"shift": [0.0, 0.0]}}, SEED, CASE)
    without_transients(truth)
    return settings, before, patch, truth, rows


def test_galaxies_are_drawn_by_their_luminosity_and_as_the_sky_has_them(galaxies, supernovae):
    """At one redshift the light in y, times the counts: exact frequencies, within their Poisson noise."""
    same = galaxies[::100]
    same["redshift"] = 0.3
    hosts, number = Hosts(same, supernovae, "r", 18.0), 4000
    rng, mag = np.random.default_rng(1), magnitudes_at(supernovae, 0.3, 0.0, "r")["r"]
    rows = np.bincount([hosts.draw(mag, rng)[0] for _ in range(number)], minlength=len(same))
    i = np.asarray(same["mag_i"])
    edges = np.concatenate([i[:1], (i[1:] + i[:-1]) / 2, i[-1:]])
    expected = np.where(i >= 18, np.diff(counts(edges)) * 10 ** (-0.4 * np.asarray(same["mag_y"])), 0)
    expected *= number / expected.sum()
    assert (rows[i < 18] == 0).all()
    pulls = (rows - expected)[expected > 5] / np.sqrt(expected[expected > 5])
    assert len(pulls) > 10 and np.mean(pulls**2) == pytest.approx(1, abs=5 * np.sqrt(2 / len(pulls)))


def test_brightness_goes_with_redshift_and_phase(galaxies, supernovae):
    hosts, rng = Hosts(galaxies, supernovae, "r", 18.0), np.random.default_rng(2)
    redshifts = {}
    for mag in (21.0, 24.0):
        drawn = [hosts.draw(mag, rng) for _ in range(400)]
        z = np.asarray(galaxies["redshift"])[[row for row, _ in drawn]]
        excess = np.array([mag - magnitudes_at(supernovae, *p, "r")["r"] for p in zip(z, [p for _, p in drawn])])
        assert np.sqrt(np.mean(excess**2)) == pytest.approx(SCATTER, rel=0.15)
        assert min(p for _, p in drawn) >= PHASES[0] - 0.25 and max(p for _, p in drawn) <= PHASES[-1] + 0.25
        redshifts[mag] = np.median(z)
    assert redshifts[24.0] > 2 * redshifts[21.0]
    few = Hosts(galaxies, supernovae, "r", 18.0, (20.0, 21.0))
    chosen = np.asarray(galaxies["mag_r"])[[few.draw(23.0, rng)[0] for _ in range(50)]]
    assert ((chosen >= 20) & (chosen < 21)).all()


def test_a_supernova_lies_in_the_light_of_its_host(planted):
    _, _, patch, truth, rows = planted
    still = {int(row["source_id"]): row for row in truth[truth["planted"] == 1]}
    targets = rows[rows["planted"] != 1]
    hosted = targets[targets["transient"] != "hostless"]
    assert len(still) == len(hosted) >= 3 and set(hosted["host_id"]) == set(still)
    assert (targets["host_id"][targets["transient"] == "hostless"] == -1).all()
    for row in hosted:
        host = still[row["host_id"]]
        away = np.hypot(row["x"] - host["x"], row["y"] - host["y"]) * 0.2
        assert row["host_distance"] == pytest.approx(away) and row["redshift"] == host["redshift"]
        assert row["transient"] != "nuclear" or away <= NUCLEAR
        stamp = draw_source(dict(zip(truth.colnames, host)), patch.bands["r"])
        own = stamp.array[round(float(row["y"])) - stamp.y0, round(float(row["x"])) - stamp.x0]
        assert row["host_sb"] <= 31.4 - 2.5 * np.log10(own / 0.04) + 1e-6  # of all static light there
        assert np.isfinite(row["static_mag"])
    snr = np.asarray(truth["snr"])[truth["injection_id"] >= 0]
    required = (snr > 0.97 * REQUIRED_SNR[0]) & (snr < 1.03 * REQUIRED_SNR[1])
    assert required.any() and ((snr[~required] > 19) & (snr[~required] < 62)).all()


def test_hosts_are_static_in_visit_and_template(planted):
    settings, before, patch, truth, _ = planted
    still = truth[truth["planted"] == 1]
    assert (still["injection_id"] == -1).all() and set(still["role"]) == {"scene"} and not still["variable"].any()
    assert still["source_id"].min() == INJECTED_IDS + PLANTED_IDS
    np.testing.assert_array_equal(still["template_flux_r"], still["flux_r"])
    for new, old in ((patch.templates["r"], before.templates["r"]), (patch.bands["r"], before.bands["r"])):
        added = new.planes["MODEL"] - old.planes["MODEL"]
        inside = added.sum() / still["flux_r"].sum()  # the visit has the supernovae too, the image an edge
        assert 0.5 < inside < 1.6
    sky = {"r": np.zeros(patch.shape, np.float32)}
    known = Differences(TruthScene(patch, truth, SEED, CASE), sky, settings)
    engine = SUBTRACTORS.create("zogy", {"scale": "zero_points"})
    bright = known.static > 3 * np.sqrt(np.median(known.image.variance))
    changed = known.light > 0.2 * np.sqrt(np.median(known.image.variance))
    for difference in (known.exact, known.clean_by(engine), known.made_by(engine)):
        chi2, number = difference.chi2(bright & ~changed)
        assert chi2 == pytest.approx(1, abs=5 * np.sqrt(2 / number))


def test_what_is_hostless_lies_anywhere(galaxies, stars, supernovae):
    """The static light under it is that of a random place, and no host is added."""
    settings, patch, truth = visit(galaxies, stars, inject=None)
    targets = {"population": "transients", "per_patch": 3, "separation": 6, "kinds": {"hostless": 1}, "snr": [5, 9]}
    places = []
    for realisation in range(60):
        here = {**settings, "inject": targets}
        rows = draw(here, patch, truth, SEED, CASE, 0, realisation, supernova=supernovae, hst_cosmos=galaxies)
        assert isinstance(rows, Table) and (rows["planted"] == -1).all() and (rows["host_id"] == -1).all()
        places += [(int(y + 0.5), int(x + 0.5)) for x, y in zip(rows["x"], rows["y"])]
    light, b = patch.bands["r"].planes["MODEL"], patch.border
    every = light[b:-b, b:-b]
    under = light[tuple(np.array(places).T)]
    above = np.mean(every > np.quantile(every, 0.8))
    assert np.mean(under > np.quantile(every, 0.8)) == pytest.approx(above, abs=4 * np.sqrt(0.16 / len(under)))
