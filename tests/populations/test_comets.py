"""Comets: closed forms of the drawn profile, Afrho, and what a user's catalogue may hold."""

from dataclasses import replace

import galsim
import numpy as np
import pytest
from astropy.table import Table
from blendimpact.data.coma import coma_share
from blendimpact.data.psf import psf_pixels
from blendimpact.errors import StudyError
from blendimpact.populations.catalogue import standardise
from blendimpact.populations.comet import SUN, afrho, coma_mag
from blendimpact.sky.injection import inject
from blendimpact.sky.profiles import draw_source
from patch_maker import make_patch
from scipy.special import gamma
from test_inject_simulated import QUIET, simulated

SCALE, FLUX, RADIUS = 0.2, 1e4, 8.0
PSF = {"kind": "moffat", "fwhm": 0.7, "beta": 3.5}


@pytest.fixture(scope="module")
def image():
    patch = make_patch(np.zeros((201, 201)), psf=psf_pixels(PSF, SCALE, 41))
    return replace(patch.bands["i"], psf_model=dict(PSF))


def comet(**changes):
    row = {
        "source_id": 1,
        "kind": "comet",
        "x": 100.3,
        "y": 99.8,
        "flux_i": FLUX,
        "nucleus_fraction": 0.0,
        "coma_radius": RADIUS,
        "tail_fraction": np.nan,
        "tail_length": np.nan,
        "tail_angle": np.nan,
        "tail_width": np.nan,
    }
    return {**row, **changes}


def radii(stamp, row):
    yy, xx = np.indices(stamp.array.shape)
    return SCALE * np.hypot(xx + stamp.x0 - row["x"], yy + stamp.y0 - row["y"])


def test_flux_is_conserved_and_fades(image):
    """For any share of nucleus and tail; what lies beyond a radius is what the incomplete gamma function leaves."""
    for row in (
        comet(),
        comet(nucleus_fraction=0.4, coma_slope=-1.4, coma_asymmetry=0.5, coma_angle=70.0),
        comet(nucleus_fraction=0.2, tail_fraction=0.3, tail_length=10.0, tail_angle=40.0, tail_width=1.0),
    ):
        stamp = draw_source(row, image)
        assert stamp.array.sum() == pytest.approx(FLUX, rel=1e-9)
    stamp, row = draw_source(comet(), image), comet()
    for rho in (4.0, RADIUS, 1.5 * RADIUS):
        light = stamp.array[radii(stamp, row) < rho].sum()
        assert light == pytest.approx(FLUX * coma_share(rho, RADIUS, -1.0), rel=1e-2)  # the PSF moves some out


@pytest.mark.parametrize("slope", [-0.8, -1.0, -1.4])
def test_brightness_falls_as_the_power_law_that_fades(image, slope):
    row = comet(coma_slope=slope, coma_asymmetry=0.4, coma_angle=30.0)
    stamp = draw_source(row, image, size=141)
    rho = radii(stamp, row)
    yy, xx = np.indices(stamp.array.shape)
    phi = np.arctan2(yy + stamp.y0 - row["y"], xx + stamp.x0 - row["x"])
    law = np.where(rho > 0.1, rho, 1) ** slope * np.exp(-((rho / RADIUS) ** 2)) * (1 + 0.4 * np.cos(phi - np.pi / 6))
    total = np.pi * RADIUS ** (2 + slope) * gamma(1 + slope / 2)
    ring = (rho > 3) & (rho < RADIUS)
    assert np.abs(stamp.array[ring] / (FLUX * law[ring] / total * SCALE**2) - 1).max() < 0.05  # but for the PSF


def test_coma_agrees_with_galsim(image):
    """A table of the profile, finely sampled, convolved by GalSim."""
    fine = 0.02
    yy, xx = (np.indices((1601, 1601)) - 800) * fine
    rho = np.hypot(xx, yy)
    light = np.exp(-((rho / 5.0) ** 2)) / np.maximum(rho, 0.4 * fine)
    # the pixel at the centre holds int dA / rho = 8 (side / 2) asinh(1)
    light[800, 800] = 4 * fine * np.arcsinh(1.0) / fine**2
    coma = galsim.InterpolatedImage(galsim.Image(light, scale=fine), x_interpolant="linear", flux=FLUX)
    both = galsim.Convolve(coma, galsim.Moffat(beta=3.5, fwhm=0.7))
    row = comet(x=100.0, y=100.0, coma_radius=5.0)
    stamp = draw_source(row, image, size=61)
    theirs = both.drawImage(nx=61, ny=61, scale=SCALE, dtype=float).array
    assert np.abs(stamp.array - theirs).max() < 5e-3 * theirs.max()


def test_nucleus_is_a_star_and_tail_points_along_its_angle(image):
    star = draw_source({**comet(), "kind": "star"}, image, size=101)
    point = draw_source(comet(nucleus_fraction=1.0), image, size=101)
    # the same transform; the stamps differ in size, and so in the wing that is folded back
    assert np.abs(star.array - point.array).max() < 3e-4 * star.array.max()
    length, angle = 9.0, 30.0
    row = comet(tail_fraction=0.5, tail_length=length, tail_angle=angle, tail_width=0.8)
    stamp, bare = draw_source(row, image), comet()
    coma = draw_source({**bare, "flux_i": FLUX / 2}, image, size=len(stamp.array))
    tail = stamp.array - coma.array
    yy, xx = np.indices(tail.shape)
    x, y = (
        SCALE * (tail * (axis + first - centre)).sum() / tail.sum()
        for axis, first, centre in ((xx, stamp.x0, row["x"]), (yy, stamp.y0, row["y"]))
    )
    # a line that falls linearly to nothing has its centroid at a third
    assert np.hypot(x, y) == pytest.approx(length / 3, rel=0.03)
    assert np.degrees(np.arctan2(y, x)) == pytest.approx(angle, abs=1)


def test_afrho_of_a_perfect_reflector():
    """At 1 au, a disc that fills the aperture and scatters all its light has F = F_sun (rho / 2 delta)^2 A f."""
    delta, r_h, radius, af = 1.4, 2.0, 5.0, 0.03
    rho_cm = delta * 1.495978707e13 * np.radians(radius / 3600)
    ratio = af * (np.radians(radius / 3600) / 2 / r_h) ** 2
    mag = SUN["r"] - 2.5 * np.log10(ratio)
    assert afrho(mag, radius, delta, r_h, SUN["r"]) == pytest.approx(af * rho_cm, rel=1e-9)
    dust = af * rho_cm
    assert coma_mag(dust, radius, delta, r_h, SUN["r"]) == pytest.approx(mag, abs=1e-9)
    # of a steady outflow, the half of the light within half the radius says the same
    assert afrho(mag + 2.5 * np.log10(2), radius / 2, delta, r_h, SUN["r"]) == pytest.approx(af * rho_cm, rel=1e-9)


def given(**changes):
    row = {"ra": 58.4, "dec": -48.5, "source_type": "Comet", "mag": 20.0, "nucleus_fraction": 0.3, "coma_radius": 4.0}
    row.update(changes)
    return Table(rows=[{k: v for k, v in row.items() if v is not ...}])


@pytest.mark.parametrize(
    "changes, word",
    [
        ({"nucleus_fraction": 1.2}, "nucleus_fraction"),
        ({"nucleus_fraction": 0.8, "tail_fraction": 0.3, "tail_length": 3.0}, "nucleus_fraction"),
        ({"coma_radius": -1.0}, "coma_radius"),
        ({"coma_radius": np.nan}, "coma_radius"),
        ({"coma_slope": -2.5}, "coma_slope"),
        ({"coma_asymmetry": 1.5}, "coma_asymmetry"),
        ({"nucleus_fraction": ...}, "nucleus_fraction"),
        ({"tail_fraction": 0.2}, "tail_length"),
    ],
)
def test_wrong_comets_are_refused(changes, word):
    with pytest.raises(StudyError, match=word):
        standardise(given(**changes), ["g"], SCALE)


def test_a_comet_of_a_users_catalogue_reaches_the_truth():
    patch, truth = simulated()
    catalogue = standardise(given(), ["g", "r"], SCALE)
    catalogue["x"], catalogue["y"] = [80.0], [90.0]
    out, rows = inject(patch, truth, catalogue, 1, "two_point", {**QUIET, "bands": ["g", "r"]})
    row = dict(zip(rows.colnames, rows[-1]))
    assert row["kind"] == "comet" and row["coma_radius"] == 4.0 and row["tail_fraction"] == 0.0
    assert np.isnan(rows["coma_radius"][0]) and rows["coma_radius"].info.description
    # the truth draws again the bytes that were added
    stamp = draw_source(row, out.bands["g"])
    grown = out.bands["g"].planes["MODEL"].astype(float) - patch.bands["g"].planes["MODEL"]
    ny, nx = grown.shape
    inside = stamp.array[max(0, -stamp.y0) : ny - stamp.y0, max(0, -stamp.x0) : nx - stamp.x0]
    assert grown.sum() == pytest.approx(inside.sum(), rel=1e-4)
    assert "coma_radius" not in simulated()[1].colnames
