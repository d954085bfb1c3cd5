"""PSF photometry: shifts against GalSim, fluxes and positions against closed forms, errors that are the scatter."""

from dataclasses import replace

import numpy as np
import pytest
from astropy.table import Table
from blendimpact.data.psf import psf_object, psf_pixels
from blendimpact.data.psf_shift import ShiftedPsf, dirichlet, equivalent_fwhm, unit_psf
from blendimpact.deblend import DEBLENDERS
from blendimpact.measure import photometry
from blendimpact.measure.psf import PsfPhotometry, PsfWindow
from blendimpact.stats.streams import stream
from measured import measured
from patch_maker import PSF_SIGMA, SCALE, gaussian, gaussian_psf, make_patch, peak_snr_flux, scene

SHAPE = (150, 220)
COLUMNS = list(PsfPhotometry.columns)


def model(kind, fwhm):
    return {"kind": kind, "fwhm": fwhm, "beta": 2.5}


def star(psf, dx, dy, size=61, scale=SCALE, flux=1.0):
    """A star dx, dy pixels from the middle, drawn by GalSim."""
    drawn = psf_object(psf).withFlux(flux).drawImage(nx=size, ny=size, scale=scale, dtype=float, offset=(dx, dy))
    return drawn.array


def measure(images, x, y, psf=True, noiseless=False, shape_band=None, **patch):
    patch = images if hasattr(images, "bands") else make_patch(images, **patch)
    x, y = np.atleast_1d(np.asarray(x, float)), np.atleast_1d(np.asarray(y, float))
    children = DEBLENDERS.create("none").deblend(
        patch, {}, Table({"det_id": np.arange(len(x)) + 1, "x": x, "y": y}), 31
    )
    return measured(children, x, y, patch, ("psf",) if psf else (), shape_band, noiseless)


def flags(value):
    return {name for name, _ in photometry.BITS.decode(value)}


# -------------------------------------------------------------------------------------- shifts


@pytest.mark.parametrize(
    ("kind", "fwhm", "scale", "peak", "flux"),
    [
        ("kolmogorov", 0.7, 0.2, 1e-4, 1e-6),
        ("moffat", 0.7, 0.2, 2e-4, 1e-6),
        ("moffat", 0.51, 0.148, 2e-4, 1e-6),
        ("kolmogorov", 0.5, 0.2, 3e-3, 2e-4),
    ],
)
def test_a_shifted_psf_is_galsims_for_the_sampling_of_lsst_and_isaac(kind, fwhm, scale, peak, flux):
    psf = model(kind, fwhm)
    pixels = psf_object(psf).drawImage(nx=41, ny=41, scale=scale, dtype=float).array
    rng = stream(1, "shift")
    shifted = ShiftedPsf(pixels, 8)
    for dx, dy in [(0.0, 0.0), (0.5, -0.5), *rng.uniform(-1.5, 1.5, (4, 2))]:
        exact = star(psf, dx, dy, 41, scale)[12:29, 12:29]
        drawn = shifted.draw(np.array([dx]), np.array([dy]))[0]
        assert np.abs(drawn - exact).max() < peak * exact.max()
        assert (drawn * exact).sum() / (drawn**2).sum() == pytest.approx(1, abs=flux)


def test_derivatives_are_those_by_the_position():
    shifted, step = ShiftedPsf(gaussian_psf(), 9), 1e-4
    dx, dy = np.array([0.31, -0.2]), np.array([-0.44, 0.0])
    whole = shifted.draw(dx, dy, derivatives=True)
    np.testing.assert_allclose(whole[:, 0], shifted.draw(dx, dy), atol=1e-15)
    for k, (a, b) in ((1, (step, 0)), (2, (0, step))):
        numeric = (shifted.draw(dx + a, dy + b) - shifted.draw(dx - a, dy - b)) / (2 * step)
        np.testing.assert_allclose(whole[:, k], numeric, atol=1e-8)
    np.testing.assert_allclose(dirichlet(np.array([0.0, 1.0, 1e-7, 41.0]), 41)[0], [1, 0, 1, 1], atol=1e-9)


def test_a_batch_is_its_members():
    shifted, rng = ShiftedPsf(gaussian_psf(size=61), 30), stream(2, "batch")
    dx, dy = rng.uniform(-0.5, 0.5, (2, 400))
    whole = shifted.draw(dx, dy)
    np.testing.assert_allclose(whole[[0, 399]], shifted.draw(dx[[0, 399]], dy[[0, 399]]), atol=1e-15)


def test_unit_psf_knows_what_lies_outside_of_its_stamp():
    psf = model("kolmogorov", 0.7)
    image = replace(make_patch(np.zeros((50, 50)), psf=psf_pixels(psf, SCALE)).bands["i"], psf_model=psf)
    assert image.psf.sum() == pytest.approx(1)
    assert unit_psf(image).sum() == pytest.approx(0.99595, abs=2e-4)
    assert unit_psf(image, 161).sum() == pytest.approx(1, abs=1e-3)
    measured = replace(image, psf_model={"kind": "pixels"}, psf=2 * image.psf)
    assert unit_psf(measured).sum() == pytest.approx(1)
    assert not unit_psf(replace(measured, psf=np.full((5, 5), np.nan))).any()
    assert equivalent_fwhm(gaussian_psf()) == pytest.approx(0.8 / SCALE, rel=1e-4)


# -------------------------------------------------------------------------- fluxes and positions


@pytest.mark.parametrize("phase", [(0.0, 0.0), (0.5, 0.5), (-0.37, 0.21)])
def test_noiseless_stars_have_their_flux_and_place_at_any_phase(phase):
    psf = model("kolmogorov", 0.7)
    image = star(psf, *phase, size=151, flux=5000.0)
    patch = make_patch(image, psf=psf_pixels(psf, SCALE))
    patch.bands["i"] = replace(patch.bands["i"], psf_model=psf)
    row = measure(patch, 75.3, 74.6, noiseless=True)[0]
    assert row["flux_psf"] == pytest.approx(5000, rel=1e-4)
    assert (row["x_psf"], row["y_psf"]) == pytest.approx((75 + phase[0], 75 + phase[1]), abs=1e-3)
    assert np.isnan([row["flux_psf_err"], row["x_psf_err"], row["y_psf_err"], row["chi2_psf"]]).all()
    assert flags(row["flux_flag"]) == set()


def test_errors_have_their_closed_forms():
    # White noise of variance V: 1 / sqrt(sum P^2 / V), and sigma_psf sqrt(2) / SNR for the position of a Gaussian.
    flux = peak_snr_flux(80, noise=2.0)
    row = measure(scene(SHAPE, [(100.3, 70.2, flux)]), 100, 70, variance=4.0)[0]
    assert row["flux_psf_err"] == pytest.approx(2 / np.sqrt((gaussian_psf() ** 2).sum()), rel=2e-3)
    assert row["flux_psf"] / row["flux_psf_err"] == pytest.approx(80, rel=2e-3)
    for name in ("x_psf_err", "y_psf_err"):
        assert row[name] == pytest.approx(np.sqrt(2) * PSF_SIGMA / 80, rel=5e-3)
    double = measured(
        DEBLENDERS.create("none").deblend(
            make_patch(np.ones(SHAPE)), {}, Table({"det_id": [1], "x": [100.0], "y": [70.0]}), 31
        ),
        [100.0],
        [70.0],
        make_patch(np.ones(SHAPE)),
        ("psf",),
        noise_correlation=2.0,
    )
    single = measure(np.ones(SHAPE), 100, 70)
    assert double["flux_psf_err"][0] == pytest.approx(2 * single["flux_psf_err"][0])


@pytest.mark.parametrize(("snr", "photons"), [(20, False), (200, True)])
def test_pulls_of_isolated_stars_have_mean_0_and_width_1(snr, photons):
    rng = stream(3, "pulls", snr)
    n = 900
    lattice = np.array([(25 + 30 * i, 25 + 30 * j) for i in range(30) for j in range(30)])
    place = lattice + rng.uniform(-0.5, 0.5, (n, 2))
    flux = peak_snr_flux(snr)
    light = scene((930, 930), [(x, y, flux) for x, y in place])
    variance = 1 + light * (0.05 if photons else 0)
    patch = make_patch(light + np.sqrt(variance) * rng.normal(size=light.shape))
    patch.bands["i"] = replace(patch.bands["i"], variance=variance.astype(np.float32))
    centre = place + rng.normal(0, 0.2, place.shape)
    table = measure(patch, *centre.T)
    assert (table["flux_flag"] & (photometry.BITS.PSF_LEFT | photometry.BITS.PSF_NOT_CONVERGED) == 0).all()
    pulls = {
        "flux": (table["flux_psf"] - flux) / table["flux_psf_err"],
        "x": (table["x_psf"] - place[:, 0]) / table["x_psf_err"],
        "y": (table["y_psf"] - place[:, 1]) / table["y_psf_err"],
    }
    for name, pull in pulls.items():
        assert abs(np.mean(pull)) < 4 / np.sqrt(n) + (1 / snr if name == "flux" else 0)  # free positions: + 1 / SNR
        assert np.std(pull) == pytest.approx(1, abs=4 / np.sqrt(2 * n) + 1 / snr**2)
    assert np.mean(table["chi2_psf"]) == pytest.approx(1, abs=0.02)


def test_other_bands_are_fitted_at_the_place_of_the_shape_band():
    stars = [(60.3, 70.1, peak_snr_flux(100)), (150.4, 80.3, peak_snr_flux(100))]
    images = {"g": scene(SHAPE, [(x + 1, y, 0.5 * f) for x, y, f in stars]), "i": scene(SHAPE, stars)}
    table = measure(images, [60, 150], [70, 80], shape_band="i", noiseless=True)
    i, g = table[table["band"] == "i"], table[table["band"] == "g"]
    np.testing.assert_allclose(i["x_psf"], [60.3, 150.4], atol=1e-3)
    assert np.isnan(g["x_psf"]).all()
    # The product of two Gaussians a pixel apart: exp(-d^2 / 4 sigma^2).
    np.testing.assert_allclose(g["flux_psf"] / i["flux_psf"], 0.5 * np.exp(-1 / (4 * PSF_SIGMA**2)), rtol=5e-3)


def test_it_adds_columns_and_flags_and_changes_no_other():
    image = scene(SHAPE, [(60.3, 70.1, 500.0)]) + stream(4, "off").normal(size=SHAPE)
    off, on = measure(image, [60, 3], [70, 3], psf=False), measure(image, [60, 3], [70, 3])
    assert COLUMNS == ["flux_psf", "flux_psf_err", "x_psf", "y_psf", "x_psf_err", "y_psf_err", "chi2_psf"]
    assert on.colnames == [*off.colnames, *COLUMNS]
    assert all(np.isfinite(on[name][0]) for name in COLUMNS)
    for name in off.colnames:
        if name != "flux_flag":
            np.testing.assert_array_equal(off[name], on[name])
    assert off["flux_flag"].max() < photometry.BITS.PSF_NOT_CONVERGED


def test_what_cannot_be_fitted_is_flagged_and_disturbs_nobody():
    good = peak_snr_flux(50)
    image = scene(SHAPE, [(60, 70, good), (104.7, 70, good), (150, 70, good), (1, 100, good), (190, 40, good)])
    image[100:110, 40:50] = 0
    mask = np.zeros(SHAPE, np.uint8)
    mask[36:45, 192:194] = 1
    image[36:45, 192:194] = 1e6
    mask[120:150, 100:140] = 1  # all of a disc
    x = [60.2, 100.0, 150.3, 1.0, 190.0, 120.0, np.nan, 1e4, 200.0]
    y = [70.1, 70.0, 70.0, 100.0, 40.0, 135.0, 5.0, 5.0, 100.0]
    table = measure(make_patch(image, mask=mask), x, y)
    alone = measure(make_patch(image, mask=mask), x[:1], y[:1])
    for name in COLUMNS:
        np.testing.assert_allclose(table[name][0], alone[name][0], rtol=1e-9)
    assert "PSF_LEFT" in flags(table["flux_flag"][1])  # a star 4.7 pixels away: not this one
    assert np.isnan(table["x_psf"][1])
    here = gaussian((1, 1), 4.7, 0, good, PSF_SIGMA * np.sqrt(2))[0, 0] * 4 * np.pi * PSF_SIGMA**2
    assert table["flux_psf"][1] == pytest.approx(here, rel=0.05)  # flux at the given centre
    for k in (0, 2, 3, 4):
        assert table["flux_psf"][k] == pytest.approx(good, rel=1e-3)
    assert [("PSF_EDGE" in flags(table["flux_flag"][k])) for k in range(5)] == [False, False, False, True, True]
    assert np.isnan(table["flux_psf"][5:8]).all()
    for k in (5, 6, 7, 8):
        assert "PSF_NOT_CONVERGED" in flags(table["flux_flag"][k])
    assert table["flux_psf"][8] == 0 and table["flux_psf_err"][8] > 0  # empty sky has a flux with an error


def test_nothing_is_fitted_to_nothing():
    assert len(measure(np.zeros(SHAPE), [], [])) == 0
    window = PsfWindow(
        np.zeros((2, 31, 31)),
        make_patch(np.zeros(SHAPE), psf=np.zeros((41, 41))).bands["i"],
        np.array([50, 60]),
        np.array([50, 60]),
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        assert window.fit([15, 15], [15, 15]).failed.all()


def test_a_measured_psf_is_unbiased_but_for_the_light_outside_of_its_stamp():
    psf = model("moffat", 0.51)
    pixels = psf_pixels(psf, 0.148)
    patch = make_patch(np.zeros((60, 60)), psf=pixels)
    rng = stream(5, "moffat")
    stamps = np.stack([star(psf, dx, dy, 31, 0.148, 2000.0) for dx, dy in rng.uniform(-0.5, 0.5, (200, 2))])
    noise = rng.normal(size=stamps.shape)
    window = PsfWindow(stamps + noise, patch.bands["i"], np.full(200, 10), np.full(200, 10))
    fit = window.fit(np.full(200, 15.0), np.full(200, 15.0))
    ratio = 2000.0 * psf_object(psf).drawImage(nx=41, ny=41, scale=0.148, dtype=float).array.sum()
    pull = (fit.flux - ratio) / fit.flux_err
    assert abs(pull.mean()) < 4 / np.sqrt(200) and pull.std() == pytest.approx(1, abs=0.2)
