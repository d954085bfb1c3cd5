"""Bad pixels and hard scenes for the deblenders that fit models: flags, never exceptions, and nobody else pays."""

import numpy as np
import pytest
from blendimpact.deblend import DEBLENDERS
from blendimpact.deblend.base import BITS
from galaxy_maker import STAMP, blend, centres, galaxy

FITS = ("joint_fit", "scarlet2_sersic", "scarlet2_free")
SHAPE = (121, 241)
# The blend on the left is spoilt; the one on the right is far enough to share no pixel with it.
SOURCES = [galaxy(40, 60, 12.0), galaxy(47, 61, 8.0), galaxy(196, 60, 9.0), galaxy(203, 57, 7.0)]
LEFT, RIGHT = slice(0, 2), slice(2, 4)
NEAR = np.s_[30:91, 10:78]


@pytest.fixture(scope="module", params=FITS)
def deblender(request, tmp_path_factory):
    if request.param == "joint_fit":
        return DEBLENDERS.create("joint_fit")
    pytest.importorskip("scarlet2", reason="scarlet2 is not installed")
    return DEBLENDERS.create(request.param, {"cache": str(tmp_path_factory.mktemp("jax"))})


@pytest.fixture(scope="module")
def clean(deblender):
    patch, table, _ = blend(SOURCES, SHAPE, "outcomes")
    return deblender.deblend(patch, {}, table, STAMP)


def nan_pixels(image):
    image.science[55:66, 36:40] = np.nan


def nan_without_mask_in_variance(image):
    image.variance[58:63, 30:60] = np.nan


def all_masked(image):
    image.mask[NEAR] = 1


def saturated(image):
    core = image.science > 0.15
    core[:, 100:] = False
    image.science[core] = 1e4
    image.mask[core] = 1


def zero_variance(image):
    image.variance[NEAR] = 0


def negative(image):
    image.science[NEAR] *= -1


def infinite(image):
    image.science[60, 40] = np.inf


def huge(image):
    image.science[58:63, 38:43] = 1e30


SPOILS = (nan_pixels, nan_without_mask_in_variance, all_masked, saturated, zero_variance, negative, infinite, huge)


@pytest.mark.filterwarnings("ignore:overflow encountered")
@pytest.mark.parametrize("spoil", SPOILS)
def test_a_spoilt_blend_has_flags_and_leaves_the_others_alone(deblender, clean, spoil):
    patch, table, _ = blend(SOURCES, SHAPE, "outcomes")
    for image in patch.bands.values():
        spoil(image)
    children = deblender.deblend(patch, {}, table, STAMP)
    assert np.isfinite(children.stamps).all()
    if spoil is not nan_without_mask_in_variance:  # pixels without weight: the child has them all the same
        assert children.status[0] != 0, "nobody is told"
    assert (children.status[RIGHT] == clean.status[RIGHT]).all()
    noise = np.sqrt([np.nanmedian(image.variance) for image in patch.bands.values()])[:, None, None]
    # The detection image is normalised over the patch, so that parents' windows may move by a pixel.
    assert (np.abs(children.stamps[RIGHT] - clean.stamps[RIGHT]) / noise).max() < 0.5


def test_what_has_no_light_is_said_to_have_none(deblender):
    patch, table, _ = blend(SOURCES, SHAPE, "outcomes")
    for image in patch.bands.values():
        image.science[NEAR] = -np.abs(image.science[NEAR])
    assert (deblender.deblend(patch, {}, table, STAMP).status[LEFT] & BITS.NO_FLUX).all()


def test_identical_centres_share_the_light(deblender):
    patch, _, _ = blend([galaxy(60, 60, 15.0)], SHAPE, "same")
    x = np.array([60.0, 60.0])
    fit = deblender.fit(patch, {}, x, x)
    assert np.isfinite(fit.flux).all() and fit.flux.min() >= 0
    assert fit.flux.sum(axis=0)[2] == pytest.approx(15.0, rel=0.1)


@pytest.mark.parametrize(
    ("xy", "bits"),
    [
        ((-0.4, 60.0), BITS.EDGE),
        ((240.4, 120.4), BITS.EDGE),
        ((-3.0, 60.0), BITS.OUTSIDE),
        ((1e9, 5.0), BITS.OUTSIDE),
        ((np.nan, 5.0), BITS.OUTSIDE),
        ((np.inf, -np.inf), BITS.OUTSIDE),
    ],
)
def test_at_the_edge_and_outside(deblender, clean, xy, bits):
    patch, table, _ = blend(SOURCES, SHAPE, "outcomes")
    more = centres([*zip(table["x"], table["y"]), xy])
    children = deblender.deblend(patch, {}, more, STAMP)
    assert children.status[-1] & bits
    assert np.isfinite(children.stamps).all()
    if bits == BITS.OUTSIDE:
        assert not children.stamps[-1].any()
        assert children.stamps[:4].tobytes() == clean.stamps.tobytes()


@pytest.mark.slow
def test_three_hundred_centres_in_one_parent(deblender):
    rng = np.random.default_rng(5)
    xy = rng.uniform(30, 90, (300, 2))
    patch, _, _ = blend([galaxy(60, 60, 900.0, hlr=4.0)], (121, 121), "crowd")
    children = deblender.deblend(patch, {}, centres(xy), STAMP)
    assert np.isfinite(children.stamps).all()
    assert (children.status & BITS.SPLIT).any()
