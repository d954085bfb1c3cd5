"""Targets beside brighter sources: weights give back what evenly spread targets would say."""

from dataclasses import replace

import numpy as np
import pytest
import sky_maker
from blendimpact.config.sky import Inject
from blendimpact.populations import beside
from blendimpact.populations.beside import MOST, WEIGHT, Counts, Hosts, place_beside
from blendimpact.populations.sersic import Sersic
from blendimpact.populations.source_types import completed
from blendimpact.sky.injection import inject, patch_number
from blendimpact.sky.profiles import add_stamp, draw_source
from blendimpact.stats.streams import stream
from scipy.spatial.distance import pdist

SIDE, SCALE, CORNER, NUMBER = 200.0, 0.25, 30.0, 9  # a square of 50 arcsec
BESIDE = {"factor": 30.0, "separation": [0, 4], "brighter_by": [0, 10]}
OPTIONS = {"separation": 8.0, "mag": [20, 25], "counts_slope": 0.3, "beside": BESIDE}
SETTINGS = {"scenario": "fiducial", "bands": ["g"], "shape_band": "g", "match_radius": 1.0, "truth_snr": 5}
NOBODY = Hosts(np.empty((0, 2)), np.empty(0))


def many(hosts, options=OPTIONS, patches=800, number=NUMBER):
    """Places relative to the square, magnitudes and weights of the targets of many patches."""
    drawn = [place_beside(number, SIDE, CORNER, SCALE, options, hosts, stream(1, "p", k)) for k in range(patches)]
    place, mag, weight = (np.concatenate(parts) for parts in zip(*drawn))
    return place - CORNER, mag, weight


@pytest.fixture(scope="module")
def two_hosts():
    """Two hosts whose discs of 4 arcsec overlap, and one on the edge of the square."""
    return Hosts(np.array([[90.0, 100.0], [102.0, 100.0], [CORNER, 150.0]]), np.array([21.0, 23.0, 19.0]))


def test_weights_give_the_chance_of_a_brighter_neighbour(two_hosts):
    """Within r of one host of magnitude h: pi r^2 / area times the share of targets that are fainter."""
    place, mag, weight = many(two_hosts)
    assert weight.mean() == pytest.approx(1, abs=0.04) and weight.max() <= 1 + MOST
    distance = np.hypot(*(place[:, None] + CORNER - two_hosts.place).T).T * SCALE
    counts, area = Counts(20, 25, 0.3), (SIDE * SCALE) ** 2
    for host, part in ((0, 1.0), (1, 1.0), (2, 0.5)):
        for reach in (1.5, 3.0, 4.0):
            near = (distance[:, host] < reach) & (mag > two_hosts.mag[host])
            chance = part * np.pi * reach**2 / area * (1 - counts.below(two_hosts.mag[host]))
            few = 4 / np.sqrt(near.sum()) + 0.03  # 0.03: the grid
            assert (weight * near).mean() == pytest.approx(chance, rel=few)
            assert near.mean() > 2 * chance
    drawn = Counts(20, 25, 0.3).magnitude(stream(2, "u").uniform(size=40000))
    assert np.average(mag, weights=weight) == pytest.approx(drawn.mean(), abs=0.03)
    assert np.average(place[:, 0], weights=weight) == pytest.approx(SIDE / 2, rel=0.03)


def test_targets_lie_inside_and_do_not_crowd_each_other(two_hosts):
    for k in range(50):
        place, mag, weight = place_beside(NUMBER, SIDE, CORNER, SCALE, OPTIONS, two_hosts, stream(1, "p", k))
        assert ((place >= CORNER) & (place < CORNER + SIDE)).all()
        assert pdist(place).min() * SCALE >= OPTIONS["separation"] - 1e-9
        assert ((mag >= 20) & (mag <= 25)).all() and (weight > 0).all()


def test_separation_and_magnitude_difference_are_design_variables(monkeypatch):
    """Beside one host all that are beside it have what was asked for."""
    monkeypatch.setattr(beside, "MOST", 1e9)
    host = Hosts(np.array([[130.0, 130.0]]), np.array([21.0]))
    wanted = {"factor": 1e9, "separation": [1, 3], "brighter_by": [1, 2.5]}
    place, mag, _ = many(host, {**OPTIONS, "separation": 0, "beside": wanted}, 300, number=1)
    distance = np.hypot(*(place + CORNER - host.place).T) * SCALE
    assert ((mag >= 22) & (mag < 23.5)).all()
    assert ((distance > 0.8) & (distance < 3.2)).all()  # the grid's half pitch on either side
    assert np.mean(distance < 2) == pytest.approx(3 / 8, abs=0.08)


def test_without_a_host_targets_are_spread_evenly():
    place, mag, weight = many(NOBODY, patches=300)
    assert (weight == 1).all() and mag.mean() > 23
    assert np.histogram2d(*place.T, bins=2, range=[[0, SIDE]] * 2)[0] / len(place) == pytest.approx(0.25, abs=0.03)


def test_counts_are_inverted():
    for counts in (Counts(20, 25), Counts(20, 25, 0.3)):
        assert counts.below(counts.magnitude(np.linspace(0, 1, 7))) == pytest.approx(np.linspace(0, 1, 7))
        assert counts.below(np.array([3, 30])).tolist() == [0, 1]


def test_what_cannot_be_is_said():
    problems = [p for p in Inject(population="sersic", beside={"separation": [3, 1]}).beside.problems()]
    assert [p.key for p in problems] == [("separation",)]


def test_half_as_many_targets_see_the_same_sky():
    """In the aperture of a galaxy, those that were injected 8 arcsec and more away have next to no light."""
    patch, truth = sky_maker.real_patch("moffat")
    options = {"population": "sersic", "per_patch": 9, "mag": [20, 24.5], "counts_slope": 0.3, "separation": 8}
    settings = {**SETTINGS, "inject": {**options, "beside": BESIDE}}
    share = []
    for k in range(6):
        here = replace(patch, index=patch_number(7, k))
        drawn = Sersic().draw(settings, here, truth, 1, "galaxies", 7, k, {})
        out, rows = inject(here, truth, completed(drawn, "sersic"), 1, "galaxies", settings, WEIGHT)
        image = out.bands["g"]
        for row in rows[np.asarray(rows["injection_id"]) >= 0]:
            own = np.zeros(image.science.shape)
            add_stamp(own, draw_source(dict(zip(rows.colnames, row)), image))
            y, x = np.indices(own.shape)
            inside = np.hypot(x - row["x"], y - row["y"]) < 0.6 / sky_maker.SCALE
            share.append((image.planes["MODEL"] - own)[inside].sum() / own[inside].sum())
    assert len(share) == 54 and np.isfinite(rows["chance_weight"]).sum() == 9
    assert np.quantile(np.abs(share), 0.9) < 2e-3 and np.mean(share) < 2e-3
