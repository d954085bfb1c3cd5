"""Joint fit: profiles against GalSim, fluxes against truth, children against isolated twins, outcomes as flags."""

import itertools

import galsim
import numpy as np
import pytest
from blendimpact.data.children import BITS
from blendimpact.data.psf import psf_pixels
from blendimpact.deblend import DEBLENDERS
from blendimpact.errors import StudyError
from blendimpact.fitting import newton, sersic
from blendimpact.fitting.scene import Options, SceneFit
from blendimpact.stats.streams import stream
from galaxy_maker import FWHM, PSF, SCALE, STAMP, aperture_errors, blend, centres, galaxy, pairs


def fit(patch, table, **options):
    return SceneFit(patch, {}, np.array(table["x"]), np.array(table["y"]), Options(**options))


@pytest.fixture(scope="module")
def box():
    return sersic.Box(96, np.stack([psf_pixels(PSF[band], SCALE, 95) for band in FWHM]))


@pytest.mark.parametrize("n", [0.5, 1.0, 2.5, 4.0])
@pytest.mark.parametrize("hlr", [0.05, 0.3, 0.9])
def test_profile_is_galsims(box, n, hlr):
    shear = galsim.Shear(g1=0.2, g2=-0.15)
    x, y = 48.3, 47.6
    parameters = np.array([x, y, np.log(hlr / SCALE), shear.eta1, shear.eta2, np.log(n)])
    drawn = box.draw(parameters)
    for k, band in enumerate(FWHM):
        body = galsim.Sersic(n=n, half_light_radius=hlr).shear(shear)
        exact = (
            galsim.Convolve(body, galsim.Kolmogorov(fwhm=FWHM[band]))
            .drawImage(galsim.ImageD(96, 96, scale=SCALE), center=galsim.PositionD(x + 1, y + 1))
            .array
        )
        # The PSF image ends at 9.5 arcsec and GalSim folds half a per cent: both move light at the edge only.
        core = np.s_[28:68, 28:68]
        assert np.abs(drawn[k] - exact)[core].max() < 0.005 * exact.max()
        assert drawn[k][core].sum() == pytest.approx(exact[core].sum(), rel=0.006)


def test_profile_s_derivatives(box):
    parameters = np.array([48.3, 47.6, np.log(2.0), 0.3, -0.2, np.log(1.5)])
    drawn = box.draw(parameters, derivatives=True)
    for k in range(6):
        step = np.zeros(6)
        step[k] = 0.02
        numeric = (box.draw(parameters + step) - box.draw(parameters - step)) / 0.04
        assert np.abs(drawn[:, 1 + k] - numeric).max() < 5e-4 * np.abs(numeric).max()
    # eta -> 0 takes the series
    round_one = box.draw(np.array([48.3, 47.6, 0.7, 1e-6, 0.0, 0.0]), derivatives=True)
    nearly = box.draw(np.array([48.3, 47.6, 0.7, 2e-3, 0.0, 0.0]), derivatives=True)
    assert np.abs(round_one - nearly).max() < 0.01 * np.abs(nearly).max()


def test_mixture_table_is_what_galsim_says():
    kappa = np.geomspace(0.02, 60, 25)
    for n in (0.6, 1.3, 3.3, 4.7):  # not indices of the fit
        amplitude, slope = sersic.amplitudes(np.log(n))
        ours = np.exp(-0.5 * np.outer(kappa, sersic.WIDTHS) ** 2) @ amplitude
        profile = galsim.Sersic(n=n, half_light_radius=1.0)
        assert np.abs(ours - [profile.kValue(k, 0).real for k in kappa]).max() < 0.003
        up, down = (sersic.amplitudes(np.log(n) + d)[0] for d in (1e-4, -1e-4))
        assert np.allclose(slope, (up - down) / 2e-4, atol=1e-3 * np.abs(slope).max())


def test_table_can_be_derived_again():
    assert np.allclose(sersic.derive_table(), np.loadtxt(sersic.TABLE), atol=1e-5)


def test_fluxes_and_their_covariance():
    """Over noise realisations fluxes scatter as the covariance says, around the truth."""
    sources = [galaxy(33, 35, 8.0, hlr=0.4, n=1.2, g1=0.2), galaxy(40.3, 36.2, 12.0, hlr=0.5, n=1.0, g2=-0.1)]
    pulls, relative = [], []
    for k in range(30):
        patch, table, _ = blend(sources, (71, 71), "covariance", k)
        result = fit(patch, table)
        assert not result.flags["NOT_CONVERGED"].any()
        truth = np.array([[s["flux"][b] for b in FWHM] for s in sources])
        sigma = np.sqrt(np.diagonal(result.flux_covariance, axis1=1, axis2=2))
        pulls.append((result.flux - truth) / sigma)
        relative.append(result.flux / truth - 1)
    pulls = np.array(pulls)
    # The PSF image holds half a per cent less light than the PSF, so fluxes come out as much too low or high.
    assert np.abs(np.mean(relative, axis=0)).max() < 0.03
    assert pulls.std(axis=0).min() > 0.6 and pulls.std(axis=0).max() < 1.5
    correlation = [c / np.sqrt(c[0, 0] * c[1, 1]) for c in result.flux_covariance[:, :2, :2]]
    assert correlation[0][0, 1] > 0.1  # size and shape are common to the bands


def test_star_is_the_limit():
    patch, table, _ = blend([galaxy(35.2, 34.8, 30.0, hlr=0)], (71, 71), "star")
    result = fit(patch, table)
    assert np.exp(result.parameters[0, 2]) * SCALE < 0.12
    assert result.flux[0] == pytest.approx([18.0, 25.5, 30.0], rel=0.03)


def test_children_are_the_isolated_twins():
    blends = pairs(12, "quality")
    errors = aperture_errors(DEBLENDERS.create("joint_fit"), blends)
    undeblended = aperture_errors(DEBLENDERS.create("none"), blends)
    assert np.median(np.abs(errors)) < 0.02 and np.mean(np.abs(errors) > 0.2) < 0.05
    assert np.median(np.abs(errors)) < np.median(np.abs(undeblended)) / 5


def test_residual_child_is_data_without_the_other_models():
    sources = [galaxy(30, 35, 8.0), galaxy(38, 36, 12.0), galaxy(52, 33, 3.0)]
    patch, table, _ = blend(sources, (71, 81), "identity")
    child, model, shared = (
        DEBLENDERS.create("joint_fit", {"child": kind}).deblend(patch, {}, table, STAMP)
        for kind in ("residual", "model", "apportion")
    )
    canvas = np.zeros((3, 3, 71, 81))
    for k in range(3):
        x0, y0 = child.x0[k], child.y0[k]
        rows, columns = slice(max(0, y0), min(71, y0 + STAMP)), slice(max(0, x0), min(81, x0 + STAMP))
        inner = np.s_[:, rows.start - y0 : rows.stop - y0, columns.start - x0 : columns.stop - x0]
        canvas[k][:, rows, columns] = model.stamps[k][inner]
        unexplained = child.stamps[k][inner] - model.stamps[k][inner]
        for b, image in enumerate(patch.bands.values()):
            if k == 1:  # the middle source's stamp sees all of the others' light
                others = image.science[rows, columns] - child.stamps[k][inner][b]
                explained = others + model.stamps[k][inner][b]
                assert np.allclose(image.science[rows, columns] - explained, unexplained[b], atol=1e-5)
        # Apportioned: own model plus a share, between none and all, of what no model explains.
        gained = shared.stamps[k] - model.stamps[k]
        rest = child.stamps[k] - model.stamps[k]
        assert (np.abs(gained) <= np.abs(rest) * 1.001 + 1e-5).all()
        assert (gained * rest >= -1e-6).all()
    total = canvas.sum(axis=0)
    band = patch.reference
    near = np.s_[30:42, 34:44]
    assert np.abs(band.science - total[0])[near].std() < 0.03  # noise of g is 0.020


def test_results_do_not_depend_on_far_parents_or_order():
    sources = [galaxy(40, 60, 8.0), galaxy(47, 61, 5.0), galaxy(190, 60, 9.0), galaxy(197, 66, 20.0)]
    patch, table, _ = blend(sources, (121, 241), "far")
    deblender = DEBLENDERS.create("joint_fit")
    everything = deblender.deblend(patch, {}, table, STAMP)
    again = deblender.deblend(patch, {}, table, STAMP)
    alone = deblender.deblend(patch, {}, table[:2], STAMP)
    turned = deblender.deblend(patch, {}, table[[3, 1, 0, 2]], STAMP)
    assert everything.stamps.tobytes() == again.stamps.tobytes()
    assert everything.stamps[:2].tobytes() == alone.stamps.tobytes()
    assert np.array_equal(turned.det_id, [4, 2, 1, 3])
    assert everything.stamps[3].tobytes() == turned.stamps[0].tobytes()
    assert np.allclose(everything.stamps[[3, 1, 0, 2]], turned.stamps, atol=2e-3)


def test_more_iterations_are_never_worse():
    patch, table, _ = blend(pairs(1, "steps")[0], (71, 71), "steps")
    chi2 = [fit(patch, table, iterations=k, sweeps=1, tolerance=0.0).chi2[0] for k in (1, 2, 4, 8, 30)]
    assert all(b <= a + 0.5 for a, b in itertools.pairwise(chi2))
    assert chi2[-1] < chi2[0]


def test_every_centre_gets_a_child_whatever_it_is():
    sources = [galaxy(40, 40, 20.0), galaxy(3, 40, 15.0), galaxy(70, 70, 10.0)]
    patch, _, _ = blend(sources, (121, 121), "odd")
    for image in patch.bands.values():
        image.mask[66:75, 66:75] = 1
        image.science[66:75, 66:75] = np.nan
    xy = [(40, 40), (3, 40), (-30, 5), (np.nan, 3), (40, 40), (40.2, 40.1), (70, 70), (100, 20), (120.4, 120.4)]
    children = DEBLENDERS.create("joint_fit").deblend(patch, {}, centres(xy), STAMP)
    assert len(children) == len(xy) and np.isfinite(children.stamps).all()
    names = [{name for name, _ in BITS.decode(s)} for s in children.status]
    assert "EDGE" in names[1] and "OUTSIDE" in names[2] and "OUTSIDE" in names[3] and "MASKED" in names[6]
    assert not children.stamps[2].any() and not children.stamps[3].any()
    assert DEBLENDERS.create("joint_fit").deblend(patch, {}, centres([]), STAMP).stamps.shape == (0, 3, 61, 61)


def test_patches_that_are_all_wrong():
    patch, table, _ = blend([galaxy(35, 35, 9.0), galaxy(40, 38, 9.0)], (71, 71), "wrong")
    for image in patch.bands.values():
        image.science[:] = np.nan
    children = DEBLENDERS.create("joint_fit").deblend(patch, {}, table, STAMP)
    assert not children.stamps.any() and (children.status & BITS.NO_FLUX).all()
    patch, table, _ = blend([galaxy(35, 35, 9.0), galaxy(40, 38, 9.0)], (71, 71), "wrong")
    for image in patch.bands.values():
        image.psf[:] = np.nan
    children = DEBLENDERS.create("joint_fit").deblend(patch, {}, table, STAMP)
    assert (children.status & BITS.NO_FLUX).all() and np.isfinite(children.stamps).all()


def test_crowd_is_split_and_flagged():
    rng = stream(1, "crowd")
    sources = [galaxy(*rng.uniform(20, 100, 2), flux=8.0, hlr=0.3) for _ in range(40)]
    patch, table, _ = blend(sources, (121, 121), "crowd")
    result = fit(patch, table)
    assert result.flags["SPLIT"].mean() > 0.5
    assert np.bincount(result.parent).max() <= Options.most
    unblended = (
        np.array([min(np.hypot(s["x"] - t["x"], s["y"] - t["y"]) for t in sources if t is not s) for s in sources]) > 8
    )
    assert np.median(np.abs(result.flux[unblended, 2] / 8.0 - 1)) < 0.06


def test_source_where_there_is_nothing_has_no_flux_to_speak_of():
    patch, _, _ = blend([galaxy(30, 35, 9.0)], (71, 71), "nothing")
    result = fit(patch, centres([(30, 35), (55, 20)]))
    assert result.flux[1, 2] < 0.05 * result.flux[0, 2]


def test_clump_beside_the_centre_is_a_poor_fit():
    patch, table, _ = blend([galaxy(35, 35, 30.0, hlr=0.6), galaxy(38, 35, 12.0, hlr=0)], (71, 71), "poor")
    assert fit(patch, table[:1]).flags["POOR_FIT"][0]
    assert not fit(patch, table).flags["POOR_FIT"].any()


def test_coincident_sources_share_the_light():
    gram = np.array([[1.0, 1.0], [1.0, 1.0]])
    blocks = {(0, 0): np.array([[[1.0]]]), (1, 0): np.array([[[1.0]]]), (1, 1): np.array([[[1.0]]])}
    flux = newton._fluxes(blocks, np.array([[2.0, 2.0]]))
    assert flux[0] == pytest.approx(1.0, rel=1e-4) and (gram @ flux[0] == pytest.approx(2.0, rel=1e-4))


def test_fluxes_are_the_non_negative_least_squares():
    blocks = {(0, 0): np.array([[[1.0]]]), (1, 0): np.array([[[0.6]]]), (1, 1): np.array([[[1.0]]])}
    flux = newton._fluxes(blocks, np.array([[1.0, 0.3]]))  # unconstrained: 1.28, -0.47
    assert flux[0] == pytest.approx([1.0, 0.0], abs=1e-4)


def test_unknown_child_is_an_error():
    with pytest.raises(StudyError, match="residual, apportion, model"):
        DEBLENDERS.create("joint_fit", {"child": "half"})
