"""Simultaneous PSF fitting: Fisher matrices, photutils, pulls, order, size, and every outcome as a flag."""

import time
import tracemalloc

import numpy as np
import pytest
from astropy.table import Table
from blendimpact.data.children import BITS
from blendimpact.data.psf_shift import ShiftedPsf, equivalent_fwhm, unit_psf
from blendimpact.deblend import DEBLENDERS
from blendimpact.errors import StudyError
from blendimpact.fitting.block_preconditioner import Blocks, Normal
from blendimpact.fitting.parents import halved
from blendimpact.fitting.stars import RADIUS, StarFit, StarOptions
from blendimpact.stats.streams import stream
from star_maker import KOLMOGOROV, random_field, snr_flux, star_field

SHAPE = (120, 160)


def fit(patch, stars, sky=None, **options):
    stars = np.asarray(stars, float)
    return StarFit(patch, sky or {}, stars[:, 0], stars[:, 1], StarOptions(**options))


def deblend(patch, stars, size=31, **options):
    stars = np.asarray(stars, float).reshape(-1, 3)
    table = Table({"det_id": np.arange(len(stars)) + 1, "x": stars[:, 0], "y": stars[:, 1]})
    return DEBLENDERS.create("psf_fit", options).deblend(patch, {}, table, size)


def names(status):
    return {name for name, _ in BITS.decode(status)}


def pair_covariance(patch, stars, fixed=False):
    """Inverse Fisher matrix of a pair's fluxes and positions (no prior), from all pixels of both discs, dense."""
    image = patch.bands["i"]
    ny, nx = patch.shape
    psf = ShiftedPsf(unit_psf(image, 161), 20)
    columns = []
    for x, y, flux in stars:
        cx, cy = int(np.floor(x + 0.5)), int(np.floor(y + 0.5))
        drawn = psf.draw([x - cx], [y - cy], derivatives=True)[0]
        for k in range(1 if fixed else 3):
            plane = np.zeros((ny, nx))
            plane[cy - 20 : cy + 21, cx - 20 : cx + 21] = drawn[k] * (flux if k else 1)
            columns.append(plane.ravel())
    design = np.array(columns).T
    return np.linalg.inv(design.T @ (design / image.variance.ravel()[:, None]))


# -------------------------------------------------------------------------------- closed forms


@pytest.mark.parametrize("separation", [2.5, 4.0, 7.0])
def test_the_errors_of_a_pair_are_those_of_its_fisher_matrix(separation):
    stars = np.array([(70.3, 60.1, snr_flux(80)), (70.3 + separation, 60.1, snr_flux(40))])
    patch = star_field(stars, gain=40)
    found = fit(patch, stars, position_spread=100.0)
    fitted = np.c_[found.positions, found.flux]
    covariance = pair_covariance(patch, fitted)
    for k in range(2):
        expected = np.sqrt(np.diag(covariance))[3 * k : 3 * k + 3]
        measured = np.sqrt(np.diag(found.covariance[k]))
        assert measured == pytest.approx(expected, rel=0.03)  # discs of 1.5 FWHM
        assert found.flux_err[k, 0] == pytest.approx(measured[0])
    # The nearer, the more the fluxes are exchanged: worse than alone by 1 / sqrt(1 - rho^2) at least.
    alone = np.sqrt(pair_covariance(patch, fitted[1:], fixed=True)[0, 0])
    rho = pair_covariance(patch, fitted, fixed=True)
    rho = -rho[0, 1] / np.sqrt(rho[0, 0] * rho[1, 1])
    assert found.flux_err[1, 0] >= 0.97 * alone / np.sqrt(1 - rho**2)


@pytest.mark.parametrize("fixed", [True, False])
def test_a_pair_is_unbiased_and_its_pulls_have_width_1(fixed):
    rng = stream(1, "pairs", int(fixed))
    lattice = np.array([(20 + 40 * i, 20 + 40 * j) for i in range(15) for j in range(10)])
    place = lattice + rng.uniform(-0.5, 0.5, lattice.shape)
    angle = rng.uniform(0, 2 * np.pi, len(place))
    other = place + 4.0 * np.c_[np.cos(angle), np.sin(angle)]  # 0.8 arcsec, about one FWHM
    stars = np.r_[np.c_[place, np.full(len(place), snr_flux(100))], np.c_[other, np.full(len(place), snr_flux(50))]]
    patch = star_field(stars, (400, 600), gain=40, key=int(fixed))
    found = fit(patch, stars, fixed=fixed)
    assert not any(found.flags[name].any() for name in found.flags)
    assert np.bincount(found.parent).tolist() == [2] * len(place)
    n = len(place)
    for half in (slice(0, n), slice(n, None)):
        pulls = [(found.flux[half, 0] - stars[half, 2]) / found.flux_err[half, 0]]
        if not fixed:
            errors = np.sqrt(np.einsum("nii->ni", found.covariance)[half, 1:])
            pulls += list(((found.positions - stars[:, :2])[half] / errors).T)
        for pull in pulls:
            assert abs(pull.mean()) < 4 / np.sqrt(n) + (0.0 if fixed else 0.03)  # free: second order in 1 / SNR
            assert pull.std() == pytest.approx(1, abs=4 / np.sqrt(2 * n))


def test_a_star_alone_is_its_weighted_mean():
    star = np.array([(80.2, 60.4, snr_flux(50))])
    patch = star_field(star, gain=40)
    found = fit(patch, star, fixed=True)
    psf = ShiftedPsf(unit_psf(patch.bands["i"], 161), 40).draw([0.2], [0.4])[0]
    yy, xx = np.indices(psf.shape) - 40
    disc = xx**2 + yy**2 <= (RADIUS * equivalent_fwhm(unit_psf(patch.bands["i"], 161))) ** 2
    data, variance = (a[20:101, 40:121].astype(float) for a in (patch.bands["i"].science, patch.bands["i"].variance))
    weight = disc / variance
    assert found.flux[0, 0] == pytest.approx((weight * psf * data).sum() / (weight * psf**2).sum(), rel=1e-4)
    assert found.flux_err[0, 0] == pytest.approx((weight * psf**2).sum() ** -0.5, rel=1e-4)


def test_fluxes_without_noise_are_exact_however_crowded():
    stars = random_field(60, (80, 80), "exact", faint=20)
    patch = star_field(stars, (80, 80), noise=1e-3)
    found = fit(patch, stars, fixed=True, iterations=40, tolerance=1e-4)
    np.testing.assert_allclose(found.flux[:, 0], stars[:, 2], rtol=2e-3, atol=0.02 * snr_flux(1))


def test_positions_are_common_to_bands_and_fluxes_are_not():
    psf = {"g": {"kind": "kolmogorov", "fwhm": 0.9}, "i": KOLMOGOROV, "z": {"kind": "moffat", "fwhm": 0.7, "beta": 3.0}}
    stars = np.array([(60.3, 50.2, snr_flux(150)), (64.4, 51.0, snr_flux(100)), (100.2, 80.3, snr_flux(120))])
    ratios = [[0.3, 1.2, 0.0], [1, 1, 1], [1.5, 0.8, 2.0]]
    patch = star_field(stars, psf=psf, bands="giz", ratios=ratios)
    found = fit(patch, stars + [0.3, -0.2, 0])
    assert found.width == 5 and found.positions.shape == (3, 2)
    pulls = (found.flux - np.array(ratios).T * stars[:, 2:]) / found.flux_err
    assert np.abs(pulls).max() < 4
    assert np.abs(found.positions - stars[:, :2]).max() < 0.06
    assert not found.flags["NO_FLUX"].any()


# ------------------------------------------------------------------------------ other programs


def test_the_same_fluxes_as_photutils_where_both_fit_all_neighbours():
    from photutils.psf import ImagePSF, PSFPhotometry, SourceGrouper

    shape = (100, 100)
    stars = random_field(25, shape, "photutils", faint=30)
    stars = stars[(stars[:, :2] > 8).all(axis=1) & (stars[:, :2] < 91).all(axis=1)]
    patch = star_field(stars, shape)
    found = fit(patch, stars, position_spread=100.0)
    image = patch.bands["i"]
    psf = ImagePSF(unit_psf(image, 81), x_0=0, y_0=0)
    theirs = PSFPhotometry(psf, (13, 13), grouper=SourceGrouper(14.0))(
        image.science,
        error=np.sqrt(image.variance),
        init_params=Table({"x": stars[:, 0], "y": stars[:, 1], "flux": stars[:, 2]}),
    )
    theirs.sort("id")
    difference = (np.asarray(theirs["flux_fit"]) - found.flux[:, 0]) / found.flux_err[:, 0]
    # Discs and squares hold different noise, and theirs leaves out the wings of stars in other groups.
    assert np.median(np.abs(difference)) < 0.3 and np.abs(difference).max() < 3
    # In a group photutils counts a pixel once for each star whose square has it, so its errors are too small there.
    alone = np.bincount(found.parent)[found.parent] == 1
    assert alone.sum() >= 5
    np.testing.assert_allclose(np.asarray(theirs["flux_err"])[alone], found.flux_err[alone, 0], rtol=0.01)
    assert (
        np.median(
            np.hypot(
                np.asarray(theirs["x_fit"]) - found.positions[:, 0], np.asarray(theirs["y_fit"]) - found.positions[:, 1]
            )
        )
        < 0.02
    )


# ----------------------------------------------------------------------------------- structure


def test_neither_the_order_of_the_centres_nor_repetition_matters():
    stars = random_field(80, SHAPE, "order")
    patch = star_field(stars)
    one, again = fit(patch, stars), fit(patch, stars)
    order = stream(2, "order").permutation(len(stars))
    other = fit(patch, stars[order])
    np.testing.assert_array_equal(one.flux, again.flux)
    np.testing.assert_array_equal(one.positions, again.positions)
    np.testing.assert_allclose(other.flux, one.flux[order], atol=0.02 * np.median(one.flux_err))
    np.testing.assert_array_equal(deblend(patch, stars).stamps, deblend(patch, stars).stamps)


def test_a_split_parent_has_the_fluxes_of_a_whole_one():
    stars = random_field(45, (70, 70), "split", faint=10)
    patch = star_field(stars, (70, 70))
    whole, split = fit(patch, stars, most=100, tolerance=1e-4), fit(patch, stars, most=7, tolerance=1e-4)
    assert not whole.flags["SPLIT"].any() and split.flags["SPLIT"].sum() > 30
    np.testing.assert_array_equal(whole.parent, split.parent)
    np.testing.assert_allclose(split.flux, whole.flux, atol=0.05 * np.median(whole.flux_err))
    assert (split.flux_err <= whole.flux_err * 1.05).all()  # correlations between tiles are not in them


def test_halves_are_halves():
    places = stream(3, "halves").uniform(0, [300, 50], (205, 2))
    parts = halved(np.arange(205), places, 20)
    assert sorted(np.concatenate(parts)) == list(range(205))
    assert max(map(len, parts)) <= 20 and min(map(len, parts)) >= 10


def test_blocks_are_the_blocks_of_a_dense_matrix():
    rng = stream(4, "blocks")
    normal = Normal(6, 2)
    templates = rng.normal(size=(6, 2, 9))
    pixels = np.arange(6)[:, None] * 3 + np.arange(9)
    weight, residual = (rng.uniform(1, 2, 30)[pixels], rng.normal(size=30)[pixels])
    normal.add(templates, pixels, weight, residual, np.array([0, 1]), 30)
    matrix = normal.matrix(np.full((6, 2), 0.1))
    design = np.zeros((30, 12))
    for k in range(6):
        design[pixels[k], 2 * k], design[pixels[k], 2 * k + 1] = templates[k]
    flat = np.zeros(30)
    flat[pixels.ravel()] = weight.ravel()
    dense = design.T @ (design * flat[:, None]) + 0.1 * np.eye(12)
    np.testing.assert_allclose(matrix.toarray(), dense, atol=1e-12)
    tile = np.array([1, 0, 1, 0, 0, 2])
    blocks = Blocks(matrix, tile, 2)
    mask = np.repeat(np.repeat(tile[:, None] == tile, 2, axis=0), 2, axis=1)
    expected = np.linalg.inv(np.where(mask, dense, 0))
    np.testing.assert_allclose(blocks.solve(np.ones(12)), expected @ np.ones(12), rtol=1e-4)
    np.testing.assert_allclose(blocks.covariance()[0][3], expected[6:8, 6:8], rtol=1e-4)
    np.testing.assert_allclose(
        blocks.improve(matrix, np.ones(12), blocks.solve(np.ones(12)), 1e-10),
        np.linalg.solve(dense, np.ones(12)),
        rtol=1e-6,
    )


def test_three_hundred_crowded_stars_stay_in_memory_and_end():
    stars = random_field(300, (117, 117), "many", faint=3)
    patch = star_field(stars, (117, 117))
    tracemalloc.start()
    clock = time.process_time()
    children = deblend(patch, stars)
    spent = time.process_time() - clock
    peak = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    assert np.isfinite(children.stamps).all() and len(children) == 300
    assert (children.status & BITS.SPLIT != 0).mean() > 0.5
    assert peak < 160 and spent < 60  # MB, s


# ------------------------------------------------------------------------------------ children


def test_a_child_is_the_star_and_the_noise_of_the_scene():
    stars = np.array([(60.3, 50.2, snr_flux(300)), (64.4, 51.0, snr_flux(200)), (100.2, 80.3, snr_flux(100))])
    patch = star_field(stars, key="child")
    children = {kind: deblend(patch, stars, child=kind) for kind in ("residual", "model", "apportion")}
    raw = DEBLENDERS.create("none").deblend(
        patch, {}, Table({"det_id": [1, 2, 3], "x": stars[:, 0], "y": stars[:, 1]}), 31
    )
    assert (children["residual"].status == 0).all()
    # Errors of the fit, which know that the neighbour was fitted too.
    np.testing.assert_array_equal(children["residual"].errors, fit(patch, stars).errors)
    for k in range(2):
        alone = star_field(stars[[k]], key="child").bands["i"].science
        x0, y0 = children["residual"].x0[k], children["residual"].y0[k]
        left = children["residual"].stamps[k, 0] - alone[y0 : y0 + 31, x0 : x0 + 31]
        assert np.abs(left).max() < 0.1 * np.abs(raw.stamps[k, 0] - alone[y0 : y0 + 31, x0 : x0 + 31]).max()
    # A star far from all others keeps its pixels but for their wings.
    np.testing.assert_allclose(children["residual"].stamps[2], raw.stamps[2], atol=0.3)
    assert children["model"].stamps[2].sum() == pytest.approx(stars[2, 2], rel=0.05)
    assert children["model"].stamps[2].std() < children["residual"].stamps[2].std()


# ------------------------------------------------------------------------------------ outcomes


def test_outcomes_are_bits_and_one_bad_star_disturbs_no_other():
    good = np.array([(30.2, 30.3, snr_flux(100)), (120.4, 90.1, snr_flux(100))])
    mask = np.zeros(SHAPE, np.uint8)
    mask[28:33, 90:95] = 1  # the core of a star
    mask[95:118, 20:50] = 1  # all of one
    lit = np.r_[
        good, [(92, 30, snr_flux(80)), (35, 106, snr_flux(80)), (70.6, 30.0, snr_flux(100)), (2.0, 60.0, snr_flux(100))]
    ]
    patch = star_field(lit, mask=mask)
    centres = np.r_[
        good,
        [
            (92, 30, 0),
            (35, 106, 0),  # masked
            (70.0, 80.0, 0),  # nothing there
            (75.5, 30.0, 0),  # 5 pixels beside a star that nobody knows
            (2.0, 60.0, 0),
            (np.nan, 5, 0),
            (500, 5, 0),
        ],
    ]
    children, alone = deblend(patch, centres), deblend(patch, good)
    status = [names(s) for s in children.status]
    assert status[0] == status[1] == set()
    np.testing.assert_allclose(children.stamps[:2], alone.stamps, atol=0.25)
    assert "MASKED" in status[2] and {"MASKED", "NO_FLUX"} <= status[3]
    assert "LIMIT" in status[5] and "EDGE" in status[6] and "OUTSIDE" in status[7] and "OUTSIDE" in status[8]
    assert np.isfinite(children.stamps).all() and not children.stamps[7:].any()

    hole = star_field(good)
    hole.bands["i"].science[76:85, 66:75] -= 5  # darker than the sky
    assert "NO_FLUX" in names(deblend(hole, [*good, (70, 80, 0)]).status[2])


def test_two_centres_in_one_place_share_the_light_and_say_so():
    star = (60.3, 50.2, snr_flux(100))
    stars = np.array([star, star, (110, 70, snr_flux(100))])
    patch = star_field(stars[[0, 2]])
    found = fit(patch, stars, fixed=True)
    assert found.flags["DEGENERATE"].tolist() == [True, True, False]
    assert found.flux[:2].sum() == pytest.approx(star[2], abs=4 * found.flux_err[2, 0])
    assert found.flux[0] == pytest.approx(found.flux[1], rel=1e-3)
    assert "DEGENERATE" in names(deblend(patch, stars, fixed=True).status[0])


def test_a_fit_that_is_stopped_says_so():
    stars = random_field(40, SHAPE, "stopped")
    patch = star_field(stars)
    assert fit(patch, stars + [0.8, 0.5, 0], iterations=2).flags["NOT_CONVERGED"].any()
    assert not fit(patch, stars, iterations=40).flags["NOT_CONVERGED"].any()


@pytest.mark.parametrize("beside, most", [((-5, 0), 1.0), ((-3, 3), 0.5)])
def test_a_star_at_its_limit_slides_along_it_and_its_parent_converges(beside, most):
    """The fit ends at the least chi^2 that the limit lets it have: all that is left is a pull straight outwards."""
    stars = np.array([(x, 60.0, 3e4) for x in (50, 56, 62, 68)])
    patch, given = star_field(stars), stars.copy()
    given[0, :2] += beside
    found = fit(patch, given, iterations=30, max_shift=most, tolerance=1e-5)  # chi^2 is large here
    assert not found.flags["NOT_CONVERGED"].any() and (found.iterations < 25).all()
    assert found.flags["LIMIT"].tolist() == [True, False, False, False]
    normal, _, _ = found._equations(np.arange(4))
    pull = normal.right * np.sqrt(np.einsum("nii->ni", found.covariance))  # in standard deviations of each unknown
    outwards = found.positions[0] - given[0, :2]
    outwards /= np.hypot(*outwards)
    pulled, along = pull[0, 1:] @ outwards, pull[0, 1:] @ (-outwards[1], outwards[0])
    assert pulled > 100 and abs(along) < 0.01 * pulled
    assert np.abs(pull[1:]).max() < 2 and np.abs(pull[:, 0]).max() < 2


def test_only_the_stars_that_still_move_are_not_converged():
    stars = np.array([(20.0 + 7 * k, 60.0, snr_flux(200)) for k in range(14)])
    patch, given = star_field(stars), stars.copy()
    given[0, 0] -= 3.5
    flagged = fit(patch, given, iterations=5).flags["NOT_CONVERGED"]
    assert flagged[0] and not flagged[7:].any()
    assert not fit(patch, given, iterations=30).flags["NOT_CONVERGED"].any()


def test_what_is_no_star_is_a_poor_fit():
    stars = np.array([(60.3, 50.2, snr_flux(300)), (110, 70, snr_flux(300))])
    wide = star_field(stars[:1], psf={"i": {"kind": "kolmogorov", "fwhm": 1.6}}, noise=0.01)
    patch = star_field(stars[1:])
    patch.bands["i"].science += wide.bands["i"].science
    assert fit(patch, stars).flags["POOR_FIT"].tolist() == [True, False]


def test_overflow_is_an_outcome():
    stars = np.array([(40.3, 50.2, snr_flux(100)), (110, 70, snr_flux(100))])
    patch = star_field(stars)
    patch.bands["i"].science = patch.bands["i"].science.astype(np.float64)
    patch.bands["i"].science[50, 40] = 1e300
    with np.errstate(all="ignore"):
        children = deblend(patch, stars)
    assert "NOT_FINITE" in names(children.status[0])
    assert names(children.status[1]) == set()
    assert np.isfinite(children.stamps[1]).all()


def test_bands_and_patches_without_data():
    stars = np.array([(60.3, 50.2, snr_flux(100)), (110, 70, snr_flux(100))])
    patch = star_field(stars, bands="gi")
    patch.bands["g"].mask[:] = 1
    found = fit(patch, stars)
    assert (found.flux[:, 0] == 0).all() and np.isinf(found.flux_err[:, 0]).all()
    assert found.flux[:, 1] == pytest.approx(stars[:, 2], abs=5 * snr_flux(1))
    patch.bands["i"].mask[:] = 1
    children = deblend(patch, stars)
    assert all({"MASKED", "NO_FLUX"} <= names(s) for s in children.status) and not children.stamps.any()
    assert deblend(patch, np.zeros((0, 3))).stamps.shape == (0, 2, 31, 31)


def test_the_sky_is_subtracted():
    stars = np.array([(60.3, 50.2, snr_flux(100))])
    patch = star_field(stars, sky=25.0)
    assert fit(patch, stars, sky={"i": np.full(SHAPE, 25.0)}).flux[0, 0] == pytest.approx(
        stars[0, 2], abs=5 * snr_flux(1)
    )


def test_options_are_checked():
    for options, word in (
        ({"child": "half"}, "child"),
        ({"most": 0}, "most"),
        ({"iterations": 0}, "iterations"),
        ({"position_spread": 0}, "position_spread"),
        ({"max_shift": -1}, "max_shift"),
    ):
        with pytest.raises(StudyError, match=word):
            DEBLENDERS.create("psf_fit", options)
    with pytest.raises(StudyError, match="no option 'sharing'"):
        DEBLENDERS.create("psf_fit", {"sharing": 1})
