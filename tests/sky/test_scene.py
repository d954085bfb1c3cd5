"""The sources of a patch before shear: what must not change what, and their statistics."""

from itertools import pairwise

import numpy as np
import pytest
import synthetic
from blendimpact.errors import StudyError
from blendimpact.populations import galaxy_counts
from blendimpact.populations.drawn import STAR_IDS
from blendimpact.populations.trilegal import STAR_DENSITY
from blendimpact.sky.scene import draw_scene

HALF = 30.0  # arcsec
AREA = (2 * HALF / 60) ** 2  # arcmin2


@pytest.fixture(scope="module")
def draw(galaxies, stars):
    """Return a function that draws a scene of the made population."""

    def scene(index=0, positions=None, bands=("g", "i"), of_stars=None, **of_galaxies):
        options = {"galaxies": of_galaxies, "stars": of_stars or {}, "positions": positions or {"kind": "random"}}
        return draw_scene(options, HALF, 5, "case", index, synthetic.tables(galaxies, stars), list(bands), "i")

    return scene


def shared(scene, other):
    """Return how many sources two scenes share, having checked that these are the same to the bit."""
    _, a, b = np.intersect1d(scene["source_id"], other["source_id"], return_indices=True)
    for name in set(scene.colnames) & set(other.colnames):
        left, right = np.asarray(scene[name])[a], np.asarray(other[name])[b]
        assert np.array_equal(left, right, equal_nan=left.dtype.kind == "f"), name
    return len(a)


@pytest.mark.parametrize(
    "positions", [{"kind": "random"}, {"kind": "clustered", "amplitude": 1.0}], ids=["random", "clustered"]
)
def test_a_sparser_sky_is_a_subset(draw, positions):
    scenes = [draw(positions=positions, density=f) for f in (0.5, 1.0, 2.0, 4.0)]
    for low, high in pairwise(scenes):
        assert shared(low, high) == len(low) < len(high)


def test_magnitude_limits_keep_the_other_sources(draw):
    wide, deep, bright = draw(), draw(mag_max=28.5), draw(mag_min=16.0)
    for other in (deep, bright):
        assert shared(wide, other) == len(wide) <= len(other)
    assert wide["mag_i"].max() < 28.0 < deep["mag_i"].max() and wide["mag_i"].min() >= 18.0


def test_bands_and_star_density_change_no_galaxy(draw):
    two, three = draw(), draw(bands=("g", "r", "i"))
    assert shared(two, three) == len(two) == len(three)
    dense = draw(of_stars={"density": 4.0})
    assert shared(two, dense) == len(two) < len(dense)


def test_ids_are_unique_and_tell_the_kind(draw):
    scene = draw(density=4.0, of_stars={"density": 4.0})
    assert len(np.unique(scene["source_id"])) == len(scene) and scene["source_id"].min() >= 1
    assert np.array_equal(scene["source_id"] > STAR_IDS, scene["kind"] == "star")


@pytest.mark.parametrize("kind", ["random", "clustered"])
def test_counts_follow_the_formula(draw, kind):
    """Galaxies per arcmin2 in four ranges of magnitude, within the scatter from patch to patch."""
    edges = np.array([20.0, 23.0, 25.0, 26.0, 27.0])
    scenes = [draw(index=k, positions={"kind": kind}) for k in range(60)]
    found = np.array([np.histogram(s["mag_i"][s["kind"] == "galaxy"], edges)[0] for s in scenes])
    expected = AREA * np.diff(galaxy_counts.counts(edges))
    error = found.std(axis=0) / np.sqrt(len(scenes))
    assert (np.abs(found.mean(axis=0) - expected) < 4 * error).all()


def test_density_of_stars(draw):
    scenes = [draw(index=k, density=0.0) for k in range(60)]
    found = np.mean([(s["mag_i"] < 25).sum() for s in scenes])
    expected = STAR_DENSITY * AREA * (25 - 18) / (25 - 17)  # of the made stars, flat from 17
    assert found == pytest.approx(expected, abs=4 * np.sqrt(expected / 60))
    assert np.isnan(scenes[0]["hlr_disk"]).all() and (scenes[0]["hlr"] == 0).all()


def test_profiles_are_those_of_catalogue_galaxies(draw, galaxies):
    """Colours and axis ratios are some galaxy's of nearly that magnitude; sizes follow the small shift."""
    scene = draw()
    scene = scene[scene["kind"] == "galaxy"]
    g = np.hypot(scene["g1_disk"], scene["g2_disk"])
    q = (1 - g) / (1 + g)
    row = np.array([np.abs(galaxies["q_disk"] - value).argmin() for value in q])
    np.testing.assert_allclose(galaxies["q_disk"][row], q, rtol=1e-9)
    shift = scene["mag_i"] - galaxies["mag_i"][row]
    assert np.abs(shift).max() < 0.2
    np.testing.assert_allclose(scene["hlr_disk"] / galaxies["hlr_disk"][row], 10 ** (-0.135 * shift))
    np.testing.assert_allclose(scene["mag_g"] - scene["mag_i"], 0.8)
    doubled = draw(size_factor=2.0)
    np.testing.assert_allclose(doubled["hlr_bulge"][doubled["kind"] == "galaxy"], 2 * scene["hlr_bulge"])


def test_orientations_are_isotropic(draw):
    scene = draw(density=4.0)
    g1, g2 = (np.asarray(scene[f"g{k}_disk"])[scene["kind"] == "galaxy"] for k in (1, 2))
    error = g1.std() / np.sqrt(len(g1))
    assert len(g1) > 1000 and abs(g1.mean()) < 4 * error and abs(g2.mean()) < 4 * error
    assert abs((g1 * g2).mean()) < 4 * error * g1.std()
    assert g1.std() == pytest.approx(g2.std(), rel=0.1)
    bulge = np.asarray(scene["g2_bulge"] / scene["g1_bulge"])[scene["kind"] == "galaxy"]
    np.testing.assert_allclose(bulge, g2 / g1)  # bulge and disk are aligned


def test_members_of_a_cluster_share_their_redshift(draw):
    scene = draw(density=2.0, positions={"kind": "clustered", "amplitude": 3.0, "theta_max": 10.0})
    z, cluster = np.asarray(scene["redshift"]), np.asarray(scene["cluster"])
    within = [np.std(z[cluster == c]) for c in np.unique(cluster[cluster >= 0]) if (cluster == c).sum() > 3]
    assert len(within) > 5 and np.median(within) < 0.1 * np.std(z[cluster >= 0])


@pytest.mark.parametrize(
    "change, text",
    [({"density": 9.0}, "density"), ({"mag_min": 28.0}, "magnitudes"), ({"of_stars": {"density": -1.0}}, "density")],
)
def test_refuses_what_cannot_be_drawn(draw, change, text):
    with pytest.raises(StudyError, match=text):
        draw(**change)
