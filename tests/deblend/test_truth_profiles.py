"""The bound: amplitudes of the true profiles reach the Cramer-Rao bound, and nothing else is known."""

import numpy as np
import pytest
from astropy.table import Table, vstack
from blendimpact.data.stamps import cut
from blendimpact.deblend import DEBLENDERS
from blendimpact.deblend.base import BITS
from blendimpact.deblend.truth_profiles import TruthProfilesDeblender
from blendimpact.errors import StudyError
from blendimpact.sky.profiles import add_stamp, draw_source
from blendimpact.sky.profiles import cut as cut_stamp
from blendimpact.stats.streams import stream
from patch_maker import make_patch

SHAPE = (90, 110)
SIZE = 41
FLUXES = (4000.0, 1500.0, 2500.0)
PLACES = ((50.2, 44.6), (54.9, 46.8), (80.3, 20.1))
MODEL = {"kind": "kolmogorov", "fwhm": 0.8}


def truth(fluxes=FLUXES, places=PLACES, bands="i"):
    n = len(fluxes)
    table = Table(
        {
            "source_id": np.arange(n) + 5,
            "role": ["target"] * n,
            "kind": ["sersic"] * n,
            "x": [p[0] for p in places],
            "y": [p[1] for p in places],
            "hlr_disk": [0.4] * n,
            "n_disk": [1.0] * n,
            "g1_disk": [0.2] * n,
            "g2_disk": [-0.1] * n,
        }
    )
    for k, band in enumerate(bands):
        table[f"flux_{band}"] = np.array(fluxes) * (1 + k)
    return table


def patch_of(table, *key, variance=1.0, bands="i", noise=True):
    images = {}
    for band in bands:
        image = np.zeros(SHAPE)
        if noise:
            image += np.sqrt(variance) * stream(1, "truth_profiles", band, *key).normal(size=SHAPE)
        images[band] = image
    patch = make_patch(images, variance=variance)
    for image in patch.bands.values():
        image.psf_model = MODEL
        light = np.zeros(SHAPE)
        for row in table:
            add_stamp(light, draw_source(dict(zip(table.colnames, row)), image))
        image.science = (image.science + light).astype(np.float32)
    return patch


def centres(table):
    return Table({"det_id": table["source_id"], "x": table["x"], "y": table["y"]})


def alone(patch, table, children, k, band="i"):
    stamp = draw_source(dict(zip(table.colnames, table[k])), patch.bands[band])
    return cut_stamp(stamp, int(children.x0[k]), int(children.y0[k]), SIZE)


def test_without_noise_the_children_are_the_sources():
    table = truth(bands="gi")
    patch = patch_of(table, noise=False, bands="gi")
    for child in ("model", "residual"):
        children = TruthProfilesDeblender(child=child).deblend(patch, {}, centres(table), SIZE, truth=table)
        for k in range(3):
            for b, band in enumerate("gi"):
                np.testing.assert_allclose(children.stamps[k, b], alone(patch, table, children, k, band), atol=2e-3)
        assert (children.status & ~BITS.EDGE == 0).all()


def test_amplitudes_scatter_as_the_cramer_rao_bound_says():
    table = truth()
    profiles = []
    patch = patch_of(table, noise=False)
    for row in table:
        light = np.zeros(SHAPE)
        add_stamp(light, draw_source(dict(zip(table.colnames, row)), patch.bands["i"]))
        profiles.append(light.ravel())
    variance = 4.0
    bound = np.sqrt(np.diag(np.linalg.inv(np.array(profiles) @ np.array(profiles).T / variance)))
    got = []
    deblender = TruthProfilesDeblender(child="model")
    for k in range(150):
        patch = patch_of(table, k, variance=variance)
        children = deblender.deblend(patch, {}, centres(table), SIZE, truth=table)
        got.append([children.stamps[j, 0].sum() / alone(patch, table, children, j).sum() for j in range(3)])
    got = np.array(got)
    np.testing.assert_allclose(got.std(axis=0), bound, rtol=0.2)  # 150 draws: 6 % each
    assert (np.abs(got.mean(axis=0) - 1) < 4 * bound / np.sqrt(150)).all()
    assert bound[0] < 0.1


def test_an_unrecognised_blend_has_the_light_of_all_its_sources():
    table = truth()
    patch = patch_of(table, noise=False)
    merged = Table({"det_id": [1, 2], "x": [51.0, 80.3], "y": [45.0, 20.1]})
    children = TruthProfilesDeblender().deblend(patch, {}, merged, SIZE, truth=table)
    both = sum(
        cut_stamp(
            draw_source(dict(zip(table.colnames, table[k])), patch.bands["i"]),
            int(children.x0[0]),
            int(children.y0[0]),
            SIZE,
        )
        for k in (0, 1)
    )
    np.testing.assert_allclose(children.stamps[0, 0], both, atol=5e-3)


def test_sources_that_no_centre_stands_for_stay_and_spurious_centres_get_what_is_left():
    table = truth()
    patch = patch_of(table, "stay")
    some = vstack([centres(table)[[0, 1]], Table({"det_id": [99], "x": [30.0], "y": [70.0]})])
    children = TruthProfilesDeblender().deblend(patch, {}, some, SIZE, truth=table)
    left = np.asarray(patch.bands["i"].science, dtype=float)
    rows = [dict(zip(table.colnames, table[k])) for k in (0, 1)]
    own = [cut_stamp(draw_source(row, patch.bands["i"]), 0, 0, 110)[:90] for row in rows]
    amplitude = np.linalg.lstsq(np.array([p.ravel() for p in own]).T, left.ravel())[0]
    for a, profile in zip(amplitude, own):
        left = left - a * profile
    expected = cut(left, children.x0, children.y0, SIZE)[2]
    # Pixels below 1 % of the noise are left out of the fit.
    np.testing.assert_allclose(children.stamps[2, 0], expected, atol=0.02)
    assert children.status[2] & BITS.NO_FLUX == 0
    inside = cut(np.asarray(patch.bands["i"].science), [60], [0], SIZE)[0]
    third = cut(left, [60], [0], SIZE)[0]
    np.testing.assert_allclose(third[15:25, 15:25], inside[15:25, 15:25], atol=0.05)  # the third source is not modelled


def test_two_sources_in_one_place_are_told_apart_by_number():
    table = truth((3000.0, 3000.0), ((50.0, 45.0), (50.0, 45.0)))
    table["hlr_disk"] = [0.2, 1.0]
    patch = patch_of(table, noise=False)
    children = TruthProfilesDeblender(child="model").deblend(patch, {}, centres(table), SIZE, truth=table)
    for k in range(2):
        np.testing.assert_allclose(children.stamps[k, 0], alone(patch, table, children, k), atol=0.02)


def test_equal_profiles_share_their_light():
    table = truth((3000.0, 3000.0), ((50.0, 45.0), (50.0, 45.0)))
    patch = patch_of(table, noise=False)
    children = TruthProfilesDeblender(child="model").deblend(patch, {}, centres(table), SIZE, truth=table)
    np.testing.assert_allclose(children.stamps[0], children.stamps[1], rtol=1e-3, atol=1e-3)
    assert np.isfinite(children.stamps).all()


def test_it_is_never_worse_than_a_deblender_that_does_not_know():
    table = truth()
    errors = {"truth_profiles": [], "symmetric": []}
    for k in range(10):
        patch = patch_of(table, "worse", k, variance=4.0)
        for name, found in errors.items():
            extra = {"truth": table} if name == "truth_profiles" else {}
            children = DEBLENDERS.create(name).deblend(patch, {}, centres(table), SIZE, **extra)
            found += [
                (children.stamps[j, 0] * (a := alone(patch, table, children, j))).sum() / (a**2).sum() - 1
                for j in range(3)
            ]
    assert np.std(errors["truth_profiles"]) < 0.5 * np.std(errors["symmetric"])


def test_it_needs_the_truth_and_takes_only_light_that_is_known():
    table = truth()
    patch = patch_of(table, noise=False)
    deblender = DEBLENDERS.create("truth_profiles")
    assert deblender.needs_truth
    with pytest.raises(StudyError, match="needs the truth"):
        deblender.deblend(patch, {}, centres(table), SIZE)
    with pytest.raises(StudyError, match="child.*all.*\n.*residual"):
        DEBLENDERS.create("truth_profiles", {"child": "all"})
    real = table.copy()
    real["role"] = ["context", "target", "target"]
    real["flux_i"][0] = np.nan
    children = deblender.deblend(patch, {}, centres(real), SIZE, truth=real)
    assert np.isfinite(children.stamps).all()


def test_outcomes_at_edges_masks_and_off_the_image():
    table = truth((4000.0, 2000.0), ((1.0, 40.0), (50.0, 45.0)))
    patch = patch_of(table, "edges")
    patch.bands["i"].mask[44:47, 49:52] = 1
    patch.bands["i"].science[44:47, 49:52] = np.nan
    wanted = vstack([centres(table), Table({"det_id": [70, 71], "x": [-30.0, np.nan], "y": [10.0, 10.0]})])
    children = TruthProfilesDeblender().deblend(patch, {}, wanted, SIZE, truth=table)
    assert children.status.tolist() == [BITS.EDGE, BITS.MASKED, BITS.EDGE | BITS.OUTSIDE, BITS.EDGE | BITS.OUTSIDE]
    assert np.isfinite(children.stamps).all() and not children.stamps[2:].any()
    hole = children.stamps[1, 0][19:22, 19:22]  # masked pixels hold the model
    np.testing.assert_allclose(hole, alone(patch, table, children, 1)[19:22, 19:22], rtol=0.2)
    nothing = TruthProfilesDeblender().deblend(patch, {}, wanted[:0], SIZE, truth=table)
    assert len(nothing) == 0
