"""The symmetric template: what it conserves, when it is exact, and its parts against plain references."""

import numpy as np
import pytest
from astropy.table import Table
from blendimpact.data.children import Children
from blendimpact.data.stamps import cut
from blendimpact.deblend import DEBLENDERS
from blendimpact.deblend.base import BITS
from blendimpact.deblend.footprints import find_parents
from blendimpact.deblend.linear import amplitudes
from blendimpact.deblend.symmetric import SymmetricDeblender, decrease
from blendimpact.errors import StudyError
from blendimpact.measure.photometry import circular
from blendimpact.stats.streams import stream
from patch_maker import PSF_SIGMA, gaussian, make_patch, peak_snr_flux, scene
from scipy.optimize import nnls
from scipy.sparse import csc_array

SHAPE = (130, 170)
SIZE = 61
FLUX = peak_snr_flux(300)


def noise(*key, shape=SHAPE):
    return stream(1, "test_symmetric", *key).normal(size=shape)


def centres(*xy):
    x, y = np.array(xy, dtype=float).reshape(-1, 2).T
    return Table({"det_id": np.arange(len(x)) * 7 + 2, "x": x, "y": y})


def flux(children, k, centre, band=0, radius=6.0):
    x, y = (np.array([c - o]) for c, o in zip(centre, (children.x0[k], children.y0[k])))
    stamp = children.stamps[k : k + 1, band]
    return circular(stamp, np.ones_like(stamp), x, y, radius)[0][0]


def blended(n=12, key="blended", size=2.2, separation=8.0):
    """Pairs of elliptical galaxies on a lattice: an image per source."""
    rng = stream(5, key)
    places, images = [], []
    shape = (50 * int(np.ceil(n / 3)), 150)
    for k in range(n):
        x, y = 25 + 50 * (k % 3) + rng.uniform(-0.5, 0.5), 25 + 50 * (k // 3) + rng.uniform(-0.5, 0.5)
        angle = rng.uniform(0, 2 * np.pi)
        for dx, dy, ratio in ((0, 0, 1.0), (separation * np.cos(angle), separation * np.sin(angle), 0.4)):
            g1, g2 = rng.uniform(-0.2, 0.2, 2)
            places.append((x + dx, y + dy))
            images.append(gaussian(shape, x + dx, y + dy, 20 * FLUX * ratio, size, g1, g2))
    return shape, places, images


# ------------------------------------------------------------------------------------ conservation


@pytest.mark.parametrize(
    "options", [{}, {"monotonic": False}, {"weights": False}, {"smoothing": "3x3"}, {"template": "coadd"}]
)
def test_the_light_of_a_parent_is_divided_without_loss_and_the_sky_is_left(options):
    shape, places, images = blended(6)
    image = sum(images) + noise("conserve", shape=shape)
    patch = make_patch({"r": image, "i": 2 * image + noise("i", shape=shape)})
    table = centres(*places)
    size = 2 * max(shape) + 1
    children = SymmetricDeblender(**options).deblend(patch, {}, table, size)
    blank = Children.blank(patch, table, size)
    label = find_parents(patch, {}, blank, np.asarray(table["x"]), np.asarray(table["y"])).label
    for band in range(2):
        planes = [
            child[max(0, -y) :, max(0, -x) :][: shape[0], : shape[1]]
            for child, x, y in zip(children.stamps[:, band], children.x0, children.y0)
        ]
        truth = np.asarray(list(patch.bands.values())[band].science)
        parent, sky = label > 0, label == 0
        np.testing.assert_allclose(np.sum(planes, axis=0)[parent], truth[parent], rtol=1e-4, atol=2e-3)
        for plane in planes:
            np.testing.assert_allclose(plane[sky], truth[sky], rtol=1e-6)
    # Nobody gets light of another parent: pairs lie 50 pixels apart.
    first = children.stamps[0, 0]
    x, y = (round(c) for c in places[4])
    assert first[y - children.y0[0], x - children.x0[0]] == 0 and label[y, x] > 0


def test_a_source_alone_keeps_its_pixels():
    image = gaussian(SHAPE, 80.3, 60.8, 3 * FLUX, 3.0, 0.3, -0.2) + noise("alone")
    children = SymmetricDeblender().deblend(make_patch(image), {}, centres((80.3, 60.8)), SIZE)
    np.testing.assert_allclose(
        children.stamps[0, 0], cut(image, children.x0, children.y0, SIZE)[0], rtol=1e-5, atol=1e-3
    )
    assert children.status[0] == 0


# --------------------------------------------------------------------------------------- accuracy


def test_point_symmetric_sources_that_hardly_overlap_are_separated_exactly():
    stars = [(60.0, 60.0, FLUX), (60.0 + 7 * PSF_SIGMA, 60.0, 0.3 * FLUX)]
    patch = make_patch(scene(SHAPE, stars), variance=1e-4)
    children = SymmetricDeblender().deblend(patch, {}, centres(*[s[:2] for s in stars]), SIZE)
    for k, star in enumerate(stars):
        assert flux(children, k, star[:2]) == pytest.approx(star[2], rel=0.01)


def test_galaxies_of_a_blend_are_separated_far_better_than_by_segments_or_not_at_all():
    shape, places, images = blended(12, separation=6.0)
    patch = make_patch(sum(images) + noise("galaxies", shape=shape))
    errors = {}
    for name in ("none", "sep", "symmetric"):
        children = DEBLENDERS.create(name).deblend(patch, {}, centres(*places), SIZE)
        alone = Children(
            children.det_id,
            children.x0,
            children.y0,
            np.stack([cut(image, [x], [y], SIZE)[0][None] for image, x, y in zip(images, children.x0, children.y0)]),
            children.status,
        )
        errors[name] = np.array(
            [flux(children, k, place) / flux(alone, k, place) - 1 for k, place in enumerate(places)]
        )
    rms = {name: np.sqrt(np.mean(value**2)) for name, value in errors.items()}
    assert rms["symmetric"] < 0.06 and 4 * rms["symmetric"] < rms["sep"] < 0.5 * rms["none"]
    assert abs(np.median(errors["symmetric"])) < 0.02


def test_the_centre_may_lie_anywhere_in_its_pixel():
    for shift in (-0.5, -0.25, 0.0, 0.24, 0.49):
        stars = [(60 + shift, 60 - shift, FLUX), (70.0 + shift, 60 - shift, FLUX)]
        patch = make_patch(scene(SHAPE, stars) + noise("shift"))
        children = SymmetricDeblender().deblend(patch, {}, centres(*[s[:2] for s in stars]), SIZE)
        for k, star in enumerate(stars):
            assert flux(children, k, star[:2]) == pytest.approx(FLUX, rel=0.03)


def test_colours_stay_with_their_sources():
    red, blue = gaussian(SHAPE, 70, 60, FLUX, 2.5), gaussian(SHAPE, 78, 62, FLUX, 2.0)
    patch = make_patch({"g": red + 4 * blue + noise("g"), "i": 3 * red + blue + noise("c")})
    children = SymmetricDeblender().deblend(patch, {}, centres((70, 60), (78, 62)), SIZE)
    colour = [
        flux(children, k, place, 1, 4) / flux(children, k, place, 0, 4) for k, place in enumerate([(70, 60), (78, 62)])
    ]
    assert colour[0] == pytest.approx(3.0, rel=0.15) and colour[1] == pytest.approx(0.25, rel=0.15)


# ------------------------------------------------------------------------------------------ parts


def slowly_decreasing(template):
    """Plain-loop reference of `decrease`."""
    out, half = template.copy(), len(template) // 2
    offsets = [(dy, dx) for dy in range(-half, half + 1) for dx in range(-half, half + 1)]
    for dy, dx in sorted(offsets, key=lambda o: max(abs(o[0]), abs(o[1]))):
        r = max(abs(dy), abs(dx))
        if r == 0:
            continue
        y, x = half + dy * (r - 1) / r, half + dx * (r - 1) / r
        j, i = int(np.floor(y + 1e-9)), int(np.floor(x + 1e-9))
        v, u = y - j, x - i
        value = 0.0
        for a, b, w in ((0, 0, (1 - v) * (1 - u)), (0, 1, (1 - v) * u), (1, 0, v * (1 - u)), (1, 1, v * u)):
            if w > 1e-9:
                value += w * out[j + a, i + b]
        out[half + dy, half + dx] = min(out[half + dy, half + dx], value)
    return out


def test_monotonic_templates_are_those_of_a_plain_loop():
    rng = stream(6, "rays")
    cube = rng.uniform(0, 1, (4, 15, 15)) + gaussian((15, 15), 7, 7, 60, 3.0)
    expected = np.stack([slowly_decreasing(template) for template in cube])
    got = cube.copy()
    decrease(got)
    np.testing.assert_allclose(got, expected, rtol=1e-12)
    assert (got < cube).any() and (got[:, 7, 7] == cube[:, 7, 7]).all()
    again = got.copy()
    decrease(again)
    np.testing.assert_allclose(again, got, rtol=1e-12)
    smooth = gaussian((15, 15), 7, 7, 60, 3.0)[None].copy()
    decrease(smooth)
    # Linear interpolation between two pixels of a convex wing lies above it: nothing is cut far out.
    np.testing.assert_allclose(smooth[0], gaussian((15, 15), 7, 7, 60, 3.0), rtol=0.02)


@pytest.mark.parametrize("non_negative", [True, False])
def test_amplitudes_are_the_weighted_least_squares_solution(non_negative):
    rng = stream(7, "linear")
    template = rng.uniform(0, 1, (200, 6)) * (rng.uniform(size=(200, 6)) < 0.4)
    template[:100, 3:] = 0  # two sets that do not overlap
    template[100:, :3] = 0
    weight = rng.uniform(0.5, 2, 200)
    data = template @ np.array([2.0, -1.0, 0.5, 3.0, 1.0, -0.2]) + rng.normal(size=200)
    got, solved = amplitudes(csc_array(template), data, weight, non_negative)
    rows, right = template * np.sqrt(weight)[:, None], data * np.sqrt(weight)
    expected = nnls(rows, right)[0] if non_negative else np.linalg.lstsq(rows, right)[0]
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-7)
    assert solved.all() and ((got < 0).any() or non_negative)


def test_equal_templates_share_and_empty_ones_get_nothing():
    column = np.array([0.0, 1.0, 2.0, 1.0])
    template = csc_array(np.column_stack([column, column, np.zeros(4)]))
    got, solved = amplitudes(template, 3 * column, np.ones(4), False)
    assert got == pytest.approx([1.5, 1.5, 0.0], rel=1e-5) and solved.all()


# ------------------------------------------------------------------------------------------ outcomes


def test_masked_pixels_come_from_the_opposite_side():
    stars = [(60.0, 60.0, FLUX), (68.0, 60.0, FLUX)]
    image = scene(SHAPE, stars)
    mask = np.zeros(SHAPE, np.uint8)
    mask[61:63, 57:60] = 1
    broken = np.where(mask, np.nan, image)
    children = SymmetricDeblender().deblend(make_patch(broken, mask=mask), {}, centres(*[s[:2] for s in stars]), SIZE)
    assert children.status[0] & BITS.MASKED and not children.status[1] & BITS.MASKED
    assert np.isfinite(children.stamps).all()
    assert flux(children, 0, (60, 60)) == pytest.approx(FLUX, rel=0.03)


def test_every_centre_has_a_child_whatever_it_is():
    stars = [(60.0, 60.0, FLUX), (3.0, 100.0, FLUX)]
    image = scene(SHAPE, stars) + noise("flags")
    image[18:31, 138:151] = -50.0
    table = centres(
        (60.0, 60.0), (60.2, 59.9), (3.0, 100.0), (120.0, 100.0), (-40.0, 20.0), (np.nan, 3.0), (144.0, 24.0)
    )
    children = SymmetricDeblender().deblend(make_patch(image), {}, table, SIZE)
    status = [int(s) for s in children.status]
    assert status[0] & BITS.SHARED and status[1] & BITS.SHARED
    np.testing.assert_array_equal(children.stamps[0], children.stamps[1])
    assert flux(children, 0, (60, 60)) == pytest.approx(FLUX, rel=0.03)
    assert status[2] == BITS.EDGE
    assert status[3] & BITS.NO_FOOTPRINT
    assert status[4] & BITS.OUTSIDE and status[5] & BITS.OUTSIDE
    assert not children.stamps[4].any() and not children.stamps[5].any()
    assert status[6] & BITS.NO_FLUX and status[6] & BITS.NO_FOOTPRINT
    assert children.det_id.tolist() == table["det_id"].tolist()
    assert np.isfinite(children.stamps).all()


def test_no_centres_and_no_data():
    deblender = SymmetricDeblender()
    assert len(deblender.deblend(make_patch(np.zeros(SHAPE)), {}, centres(), SIZE)) == 0
    dead = make_patch(np.zeros(SHAPE), mask=np.ones(SHAPE, np.uint8))
    children = deblender.deblend(dead, {}, centres((40, 40)), SIZE)
    assert not children.stamps.any() and children.status[0] & BITS.NO_FLUX


def test_the_order_of_the_centres_does_not_matter_and_runs_repeat_to_the_bit():
    shape, places, images = blended(6)
    patch = make_patch(sum(images) + noise("order", shape=shape))
    table = centres(*places)
    one = SymmetricDeblender().deblend(patch, {}, table, SIZE)
    np.testing.assert_array_equal(one.stamps, SymmetricDeblender().deblend(patch, {}, table, SIZE).stamps)
    order = stream(8, "order").permutation(len(table))
    other = SymmetricDeblender().deblend(patch, {}, table[order], SIZE)
    np.testing.assert_allclose(other.stamps, one.stamps[order], atol=0.05)


@pytest.mark.slow
def test_a_parent_of_a_thousand_sources_ends():
    rng = stream(9, "cluster")
    x, y = np.clip(rng.normal(85, 25, 1000), 0, 169), np.clip(rng.normal(65, 20, 1000), 0, 129)
    image = scene(SHAPE, np.column_stack([x, y, rng.exponential(FLUX, 1000)])) + noise("cluster")
    children = SymmetricDeblender().deblend(make_patch(image), {}, centres(*zip(x, y)), 21)
    assert np.isfinite(children.stamps).all() and len(children) == 1000


def test_options_are_checked():
    for key in ("kernel", "smoothing"):
        with pytest.raises(StudyError, match=f"{key}.*gauss.*\n.*psf"):
            DEBLENDERS.create("symmetric", {key: "gauss"})
    with pytest.raises(StudyError, match="template.*mean.*\n.*coadd"):
        DEBLENDERS.create("symmetric", {"template": "mean"})
