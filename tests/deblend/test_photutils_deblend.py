"""photutils' segments given to centres."""

import numpy as np
import pytest
from astropy.table import Table
from blendimpact.data.children import Children
from blendimpact.data.significance import coadd, kernel_pixels, smooth
from blendimpact.data.stamps import cut
from blendimpact.deblend import DEBLENDERS
from blendimpact.deblend.base import BITS
from blendimpact.deblend.photutils_segmentation import PhotutilsDeblender
from blendimpact.measure.photometry import circular
from blendimpact.stats.streams import stream
from patch_maker import make_patch, peak_snr_flux, scene
from photutils.segmentation import deblend_sources, detect_sources

SHAPE = (120, 170)
SIZE = 41
FLUX = peak_snr_flux(200)
FAR, NEAR = [(50.0, 60.0), (62.0, 60.0)], [(110.0, 50.0), (113.0, 50.0)]


def centres(*xy):
    x, y = np.array(xy, dtype=float).reshape(-1, 2).T
    return Table({"det_id": np.arange(len(x)) + 11, "x": x, "y": y})


def patch_of(*stars, key="noise", mask=None):
    image = scene(SHAPE, [(x, y, FLUX) for x, y in stars]) + stream(1, "photutils", key).normal(size=SHAPE)
    return make_patch(image, mask=mask)


def flux(children, k, centre):
    x, y = (np.array([c - o]) for c, o in zip(centre, (children.x0[k], children.y0[k])))
    stamp = children.stamps[k : k + 1, 0]
    return circular(stamp, np.ones_like(stamp), x, y, 6.0)[0][0]


def test_segments_are_those_of_photutils_itself():
    patch = patch_of(*FAR, *NEAR)
    light, error = smooth(*coadd(patch, {}), kernel_pixels("3x3", patch))
    found = detect_sources(light / error, 2.0, 5)
    expected = deblend_sources(light / error, found, 5, n_levels=32, contrast=0.001, progress_bar=False).data
    np.testing.assert_array_equal(PhotutilsDeblender().segments(patch, {}), expected)
    assert expected.max() >= 3


def test_a_pair_that_photutils_splits_has_a_segment_each():
    patch = patch_of(*FAR)
    children = PhotutilsDeblender().deblend(patch, {}, centres(*FAR), SIZE)
    assert not (children.status & (BITS.UNSPLIT | BITS.NO_FOOTPRINT)).any()
    assert (children.status & BITS.MIRRORED == 0).all()  # the neighbour is beyond the core
    for k, place in enumerate(FAR):
        assert flux(children, k, place) == pytest.approx(FLUX, rel=0.05)
    segments = PhotutilsDeblender().segments(patch, {})
    other = cut(segments, children.x0, children.y0, SIZE)[0] == segments[60, 62]
    raw = cut(patch.bands["i"].science, children.x0, children.y0, SIZE)[0]
    child = children.stamps[0, 0]
    # Pixels of the other segment are those opposite to the centre, everything else is untouched.
    opposite = raw[::-1, ::-1]
    np.testing.assert_allclose(child[~other], raw[~other], rtol=1e-6)
    np.testing.assert_allclose(child[other], opposite[other], rtol=1e-5)


def test_a_pair_that_photutils_does_not_split_is_flagged_and_shared():
    patch = patch_of(*NEAR)
    children = PhotutilsDeblender().deblend(patch, {}, centres(*NEAR), SIZE)
    assert (children.status & BITS.UNSPLIT).all()
    for k, place in enumerate(NEAR):
        raw = cut(patch.bands["i"].science, children.x0, children.y0, SIZE)[k]
        np.testing.assert_allclose(children.stamps[k, 0], raw, rtol=1e-6)
        assert flux(children, k, place) > 1.7 * FLUX


def test_a_centre_without_a_segment_owns_a_disc_that_its_neighbours_lose():
    patch = patch_of((50.0, 60.0))
    table = centres((50.0, 60.0), (100.0, 60.0), (103.0, 60.0), (100.0, 60.4))
    children = PhotutilsDeblender().deblend(patch, {}, table, SIZE)
    assert [bool(s & BITS.NO_FOOTPRINT) for s in children.status] == [False, True, True, True]
    # The last centre lies in the disc of the second one, the third one's is beside it.
    assert [bool(s & BITS.UNSPLIT) for s in children.status] == [False, True, True, True]
    far = PhotutilsDeblender().deblend(patch, {}, centres((100.0, 60.0), (112.0, 60.0)), SIZE)
    assert not (far.status & BITS.UNSPLIT).any()


def test_segments_without_a_centre_stay_in_the_image():
    patch = patch_of(*FAR)
    children = PhotutilsDeblender().deblend(patch, {}, centres(FAR[0]), SIZE)
    raw = cut(patch.bands["i"].science, children.x0, children.y0, SIZE)[0]
    np.testing.assert_allclose(children.stamps[0, 0], raw, rtol=1e-6)
    assert children.status[0] == 0


def test_nothing_found_nothing_given_nothing_usable():
    flat = make_patch(np.zeros(SHAPE))
    children = PhotutilsDeblender().deblend(flat, {}, centres((50.0, 60.0), (-30.0, 10.0), (np.nan, 1.0)), SIZE)
    assert [bool(s & BITS.NO_FOOTPRINT) for s in children.status] == [True, False, False]
    assert [bool(s & BITS.OUTSIDE) for s in children.status] == [False, True, True]
    assert len(PhotutilsDeblender().deblend(flat, {}, centres(), SIZE)) == 0
    dead = make_patch(np.full(SHAPE, np.nan), mask=np.ones(SHAPE, np.uint8))
    children = PhotutilsDeblender().deblend(dead, {}, centres((50.0, 60.0)), SIZE)
    assert not children.stamps.any() and children.status[0] & BITS.MASKED


def test_masked_pixels_are_in_no_segment_and_filled_from_the_other_side():
    mask = np.zeros(SHAPE, np.uint8)
    mask[61, 47:50] = 1
    patch = patch_of(*FAR, mask=mask)
    patch.bands["i"].science[mask > 0] = 1e7
    assert not PhotutilsDeblender().segments(patch, {})[mask > 0].any()
    children = PhotutilsDeblender().deblend(patch, {}, centres(*FAR), SIZE)
    assert children.status[0] & BITS.MASKED
    assert flux(children, 0, FAR[0]) == pytest.approx(FLUX, rel=0.05)


def test_all_bands_share_one_segmentation_and_runs_repeat():
    image = np.asarray(patch_of(*FAR).bands["i"].science)
    patch = make_patch({"g": image, "i": 3 * image})
    deblender = DEBLENDERS.create("photutils", {"contrast": 0.01, "mode": "sinh"})
    children = deblender.deblend(patch, {}, centres(*FAR), SIZE)
    np.testing.assert_allclose(children.stamps[:, 1], 3 * children.stamps[:, 0], rtol=1e-5)
    again = deblender.deblend(patch, {}, centres(*FAR), SIZE)
    assert isinstance(again, Children)
    np.testing.assert_array_equal(again.stamps, children.stamps)
