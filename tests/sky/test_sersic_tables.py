"""Sersic profiles against closed forms and GalSim."""

import galsim
import numpy as np
import pytest
from blendimpact.sky import sersic_tables
from scipy.integrate import quad


@pytest.mark.parametrize("n", [0.3, 0.5, 1.0, 1.35, 2.5, 4.0, 6.0])
def test_brightness_and_light_inside_are_galsims(n):
    profile = galsim.Sersic(n=n, half_light_radius=1.0)
    radius = np.array([0.01, 0.1, 0.5, 1.0, 2.0, 5.0])
    expected = [profile.xValue(r, 0.0) for r in radius]
    np.testing.assert_allclose(np.exp(sersic_tables.log_brightness(n, radius)), expected, rtol=2e-5, atol=1e-30)
    for r in (1.0, 2.0):
        light = quad(lambda r: 2 * np.pi * r * profile.xValue(r, 0), 0, r, limit=200, epsrel=1e-6)[0]
        assert sersic_tables.enclosed(n, r) == pytest.approx(light, abs=2e-4)
        assert sersic_tables.enclosing(n, sersic_tables.enclosed(n, r)) == pytest.approx(r, rel=1e-6)


def _closed(n, k):
    if n == 0.5:  # of a Gaussian
        return np.exp(-(k**2) / (4 * np.log(2)))
    scale = galsim.Exponential(half_light_radius=1.0).scale_radius
    return (1 + (k * scale) ** 2) ** -1.5


@pytest.mark.parametrize("n", [0.5, 1.0])
def test_transforms_have_their_closed_forms(n):
    nodes, values = sersic_tables.transform(n)
    np.testing.assert_allclose(values, _closed(n, np.sqrt(nodes)), atol=5e-6)
    k = np.random.default_rng(1).uniform(0, 30, 2000)
    np.testing.assert_allclose(np.interp(k**2, nodes, values), _closed(n, k), atol=1e-5)


@pytest.mark.parametrize("n", [0.3, 1.35, 2.5, 4.0, 6.0])
def test_transforms_are_galsims(n):
    """Whose own tables are good to 2e-4 here: a finer accuracy takes it a second per index."""
    nodes, values = sersic_tables.transform(n)
    k = np.geomspace(0.01, 100, 60)
    expected = [galsim.Sersic(n=n, half_light_radius=1.0).kValue(v, 0.0).real for v in k]
    np.testing.assert_allclose(np.interp(k**2, nodes, values), expected, atol=4e-4)
    assert values[0] == 1 and values[1] == pytest.approx(1, abs=1e-5)
