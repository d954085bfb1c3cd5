"""Clumpy galaxies: their knots against GalSim, their light, and that smooth galaxies stay what they were."""

from types import SimpleNamespace

import galsim
import numpy as np
import pytest
import synthetic
from blendimpact.sky import sersic_tables, spectra
from blendimpact.sky.patches import simulate_patch
from blendimpact.sky.profiles import add_stamp, draw_source, stamp_size
from blendimpact.sky.true_scene import TruthScene
from test_profiles import galaxy, image
from test_truth_scene import SEED, SETTINGS, SIZE


def clumpy(share=0.5, seed=7, **more):
    return galaxy(hlr_disk=0.6, knots=share, knots_seed=seed, **more)


def test_no_knots_is_the_smooth_galaxy_to_the_last_bit():
    smooth = draw_source(galaxy(hlr_disk=0.6), image(), 0.02)
    assert np.array_equal(draw_source(clumpy(0.0), image(), 0.02).array, smooth.array)
    assert np.array_equal(draw_source(clumpy(float("nan")), image(), 0.02).array, smooth.array)


@pytest.mark.parametrize("shear", [0.0, 0.05])
@pytest.mark.parametrize("share", [0.3, 1.0])
def test_the_image_is_galsim_s_of_the_same_components(shear, share):
    """Half of a disk as point sources at sheared places, drawn by GalSim."""
    row, frame = clumpy(share, bulge=0.25), image()
    stamp = draw_source(row, frame, shear)
    knots = spectra.Knots(1.0, 1.0, 0.6, spectra._matrix(0.2, -0.1, shear), 7)
    disk = galsim.Exponential(half_light_radius=0.6, flux=0.75 * (1 - share)).shear(g1=0.2, g2=-0.1)
    bulge = galsim.Sersic(4, half_light_radius=0.1, flux=0.25).shear(g1=0.05, g2=0.02)
    points = galsim.Add([galsim.DeltaFunction(0.75 * share / spectra.KNOTS).shift(x, y) for x, y in knots.places.T])
    parts = [bulge.shear(g1=shear), points, *([disk.shear(g1=shear)] if share < 1 else [])]
    whole = galsim.Convolve(galsim.Add(parts), galsim.Kolmogorov(fwhm=0.79)) * row["flux_i"]
    n = len(stamp.array)
    drawn = galsim.ImageD(n, n, xmin=stamp.x0, ymin=stamp.y0)
    whole.drawImage(drawn, center=galsim.PositionD(row["x"], row["y"]), scale=0.2)
    np.testing.assert_allclose(stamp.array, drawn.array, atol=2e-3 * drawn.array.max())


@pytest.mark.parametrize("share", [0.2, 0.5, 1.0])
def test_light_is_conserved_and_the_stamp_is_that_of_the_smooth_galaxy(share):
    row = clumpy(share)
    assert draw_source(row, image()).array.sum() == pytest.approx(row["flux_i"], rel=1e-9)
    assert stamp_size(row, image()) == stamp_size(galaxy(hlr_disk=0.6), image())


def test_knots_follow_the_disk_about_its_centre():
    """Means over many galaxies: no offset, and the second moments of the profile within its 95 %."""
    shape = spectra._matrix(0.3, 0.0, 0.0)
    places = np.array([spectra.Knots(1, 1.0, 0.5, shape, seed).places for seed in range(400)])
    assert np.abs(places.mean(axis=2)).max() < 1e-12
    u = (np.arange(20000) + 0.5) / 20000 * spectra.KNOTS_WITHIN
    expected = 0.5 * (0.5 * sersic_tables.enclosing(1.0, u)) ** 2  # per axis, of a circle
    lost = 1 - 1 / spectra.KNOTS  # to the common centre
    q = 0.7 / 1.3
    assert places[:, 0].var() == pytest.approx(expected.mean() * lost / q, rel=0.1)
    assert places[:, 1].var() == pytest.approx(expected.mean() * lost * q, rel=0.1)


def test_a_share_over_1_is_refused():
    with pytest.raises(spectra.StudyError, match="knots"):
        draw_source(clumpy(1.5), image())


@pytest.fixture(scope="module")
def skies():
    band = SimpleNamespace(
        psf_model={"kind": "moffat", "fwhm": 0.8, "beta": 3.5}, sky_sigma=2.0, gain=5.0, zero_point=31.4, light="i"
    )
    survey = SimpleNamespace(name="test", pixel_scale=0.2, bands={"g": band, "i": band})

    def draw(**more):
        chosen = SETTINGS["population"]
        population = {**chosen, "galaxies": {**chosen["galaxies"], **more}}
        settings = {**SETTINGS, "noise_pairs": False, "population": population}
        return simulate_patch(settings, 4, SEED, "demo", "x", survey, synthetic.tables())

    return draw(), draw(knots=0), draw(knots=0.5)


def test_0_changes_no_product_and_knots_change_the_light_of_galaxies_alone(skies):
    for (patch, truth), (none, none_truth), (clumps, clumpy_truth) in zip(*skies):
        assert truth.colnames == none_truth.colnames and "knots" not in truth.colnames
        for band, plane in patch.bands.items():
            assert np.array_equal(plane.science, none.bands[band].science)
            assert not np.array_equal(plane.science, clumps.bands[band].science)
            assert np.array_equal(plane.planes["NOISE"], clumps.bands[band].planes["NOISE"])
        for name in ("source_id", "x", "y", "flux_i", "hlr_disk"):
            assert np.array_equal(truth[name], clumpy_truth[name], equal_nan=truth[name].dtype.kind == "f")
        is_star = np.asarray(clumpy_truth["kind"]) == "star"
        assert set(clumpy_truth["knots"][is_star]) <= {0.0} and set(clumpy_truth["knots"][~is_star]) == {0.5}
        seeds = clumpy_truth["knots_seed"][~is_star]
        assert len(set(seeds)) == len(seeds)


def test_every_rung_draws_the_light_that_the_scene_has(skies):
    """The scene minus all other sources is the source, clumps and all; twins have the same clumps."""
    for patch, truth in skies[2]:
        scene = TruthScene(patch, truth, SEED, "demo")
        model = np.zeros(patch.shape)
        for source_id in scene.rows:
            add_stamp(model, scene.stamp(source_id, "i"))
        np.testing.assert_allclose(patch.bands["i"].planes["MODEL"], model, rtol=1e-6, atol=1e-5)
        ids = [i for i, row in scene.rows.items() if row["role"] == "target"][:2]
        assert scene.noiseless(ids, SIZE).stamps.any(axis=(1, 2, 3)).all()
