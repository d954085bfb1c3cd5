"""Deblending: who owns a pixel, what fills it, and that every centre gets a child."""

import time

import h5py
import numpy as np
import pytest
from astropy.table import Table
from blendimpact.data.children import BITS, DEBLEND_BITS, Children
from blendimpact.data.stamps import cut, origins
from blendimpact.deblend import DEBLENDERS
from blendimpact.errors import StudyError
from blendimpact.measure.photometry import circular
from blendimpact.stats.streams import stream
from patch_maker import PSF_SIGMA, gaussian, make_patch, peak_snr_flux, scene
from scipy.integrate import dblquad

SHAPE = (140, 200)
SIZE = 41
FLUX = peak_snr_flux(300)


def noise(*key, shape=SHAPE):
    return stream(1, "test_deblend", *key).normal(size=shape)


def centres(*xy):
    x, y = np.array(xy, dtype=float).reshape(-1, 2).T
    return Table({"det_id": np.arange(len(x)) * 10 + 3, "x": x, "y": y})


def flux(children, k, centre, radius=5.0):
    """Flux of child k in an aperture at the centre (x, y)."""
    x, y = (np.array([c - o]) for c, o in zip(centre, (children.x0[k], children.y0[k])))
    stamp = children.stamps[k : k + 1, 0]
    return circular(stamp, np.ones_like(stamp), x, y, radius)[0][0]


def names(status):
    return {name for name, _ in BITS.decode(status)}


@pytest.fixture(params=["none", "sep"])
def deblender(request):
    return DEBLENDERS.create(request.param)


def test_family_has_its_members():
    assert {"none", "sep"} <= set(DEBLENDERS.names())
    with pytest.raises(StudyError, match="kernel"):
        DEBLENDERS.create("sep", {"kernel": "7x7"})


def test_stamps_are_cut_around_the_pixel_of_the_centre():
    x0, y0 = origins([10.49, 10.5, 10.51, np.nan], [7.0, 7.2, 6.5, 3.0], 5)
    np.testing.assert_array_equal(x0[:3], [8, 9, 9])
    np.testing.assert_array_equal(y0[:3], [5, 5, 5])
    plane = np.arange(SHAPE[0] * SHAPE[1], dtype=">f4").reshape(SHAPE)
    stamps = cut(plane, [8, -2, SHAPE[1] - 3, -500], [5, -1, SHAPE[0] - 1, 4], 5, outside=-1)
    assert stamps.dtype == np.dtype("=f4")
    np.testing.assert_array_equal(stamps[0], plane[5:10, 8:13])
    np.testing.assert_array_equal(stamps[1][1:, 2:], plane[:4, :3])
    assert (stamps[1][0] == -1).all()
    assert (stamps[1][:, :2] == -1).all()
    np.testing.assert_array_equal(stamps[2][0, :3], plane[-1, -3:])
    assert (stamps[2][1:] == -1).all()
    assert (stamps[3] == -1).all()
    np.testing.assert_array_equal(cut(plane, [8], [5], 5), stamps[:1])  # none outside: no padding
    with pytest.raises(ValueError, match="odd"):
        origins([1.0], [1.0], 4)


def test_without_deblending_a_child_is_the_raw_pixels():
    planes = {"g": noise("g"), "r": 3 + noise("r")}
    sky = {"g": np.full(SHAPE, 0.5, np.float32), "r": np.full(SHAPE, 3.0, np.float32)}
    at = centres((60.2, 70.9), (120, 40))
    children = DEBLENDERS.create("none").deblend(make_patch(planes), sky, at, SIZE)
    assert children.stamps.shape == (2, 2, SIZE, SIZE)
    assert children.stamps.dtype == np.float32
    half = SIZE // 2
    for k, (x, y) in enumerate(((60, 71), (120, 40))):
        for b, band in enumerate(planes):
            raw = (planes[band] - sky[band])[y - half : y + half + 1, x - half : x + half + 1]
            np.testing.assert_array_equal(children.stamps[k, b], raw.astype(np.float32))
    np.testing.assert_array_equal(children.status, 0)
    np.testing.assert_array_equal(children.det_id, [3, 13])


def test_two_separated_stars_keep_their_fluxes(deblender):
    at = (60.3, 70.8), (100.6, 55.2)
    image = scene(SHAPE, [(*at[0], FLUX), (*at[1], 0.3 * FLUX)])
    children = deblender.deblend(make_patch(image + noise("two")), {}, centres(*at), SIZE)
    for k, share in enumerate((1.0, 0.3)):
        expected = share * FLUX * (1 - np.exp(-((5.0 / PSF_SIGMA) ** 2) / 2))
        assert flux(children, k, at[k]) == pytest.approx(expected, rel=0.01, abs=4 * np.sqrt(np.pi) * 5)
        noiseless = deblender.deblend(make_patch(image), {}, centres(*at), SIZE)
        assert flux(noiseless, k, at[k]) == pytest.approx(expected, rel=0.002)


@pytest.mark.parametrize("separation", [1.5, 3.0, 4.5, 6.0, 9.0])
@pytest.mark.parametrize("radius", [3.0, 5.0])
def test_leakage_into_an_undeblended_aperture_is_the_integral(separation, radius):
    image = scene(SHAPE, [(90.0, 70.0, FLUX), (90.0 + separation, 70.0, FLUX)])
    children = DEBLENDERS.create("none").deblend(make_patch(image), {}, centres((90.0, 70.0)), SIZE)
    # An aperture with exact overlaps takes each sample as the value of a square pixel: the Gaussian,
    # convolved with a pixel of variance 1/12.
    variance = PSF_SIGMA**2 + 1 / 12
    leakage = dblquad(
        lambda r, phi: (
            r
            * np.exp(-((r * np.cos(phi) - separation) ** 2 + (r * np.sin(phi)) ** 2) / (2 * variance))
            / (2 * np.pi * variance)
        ),
        0,
        2 * np.pi,
        0,
        radius,
    )[0]
    alone = DEBLENDERS.create("none").deblend(
        make_patch(scene(SHAPE, [(90.0, 70.0, FLUX)])), {}, centres((90.0, 70.0)), SIZE
    )
    measured = [flux(child, 0, (90.0, 70.0), radius) / FLUX for child in (children, alone)]
    assert measured[0] - measured[1] == pytest.approx(leakage, abs=3e-3)


@pytest.mark.parametrize("separation", [5.0, 6.0, 7.0])
def test_segmentation_removes_most_of_what_leaks(separation):
    at = (90.0, 70.0), (90.0 + separation, 70.0)
    patch = make_patch(scene(SHAPE, [(*at[0], FLUX), (*at[1], FLUX)]))
    alone = flux(
        DEBLENDERS.create("none").deblend(make_patch(scene(SHAPE, [(*at[0], FLUX)])), {}, centres(at[0]), SIZE),
        0,
        at[0],
    )
    error = {
        name: abs(flux(DEBLENDERS.create(name).deblend(patch, {}, centres(*at), SIZE), 0, at[0]) - alone)
        for name in ("none", "sep")
    }
    assert error["sep"] < 0.3 * error["none"]


@pytest.mark.parametrize("axis", ["x", "y", "diagonal"])
def test_equal_stars_get_equal_fluxes(axis):
    step = {"x": (5, 0), "y": (0, 5), "diagonal": (4, 4)}[axis]
    at = (90.0, 70.0), (90.0 + step[0], 70.0 + step[1])
    image = scene(SHAPE, [(*at[0], FLUX), (*at[1], FLUX)])
    children = DEBLENDERS.create("sep").deblend(make_patch(image), {}, centres(*at), SIZE)
    one, two = (flux(children, k, at[k]) for k in (0, 1))
    # Pixels on the line of symmetry, which only the diagonal pair has, belong to one of the two.
    assert one == pytest.approx(two, rel=0.02 if axis == "diagonal" else 1e-5)


def test_the_scene_and_its_mirror_image_give_mirrored_children():
    at = (90.2, 70.4), (96.7, 66.1), (84.3, 63.0)
    image = scene(SHAPE, [(*at[0], FLUX), (*at[1], 0.4 * FLUX), (*at[2], 0.2 * FLUX)]) + noise("mirror")
    deblender = DEBLENDERS.create("sep")
    children = deblender.deblend(make_patch(image), {}, centres(*at), SIZE)
    flipped = deblender.deblend(make_patch(image[:, ::-1]), {}, centres(*((SHAPE[1] - 1 - x, y) for x, y in at)), SIZE)
    np.testing.assert_allclose(flipped.stamps, children.stamps[..., ::-1], atol=1e-4)


def test_no_pixel_is_owned_twice_and_every_footprint_pixel_with_a_centre_once():
    rng = stream(3, "owners")
    at = np.column_stack([rng.uniform(5, 195, 60), rng.uniform(5, 135, 60)])
    image = scene(SHAPE, [(x, y, peak_snr_flux(s)) for (x, y), s in zip(at, 10 ** rng.uniform(1, 2.5, 60))])
    patch, table = make_patch(image + noise("owners")), centres(*at)
    deblender = DEBLENDERS.create("sep")
    children = Children.blank(patch, table, SIZE)
    owner, label = deblender.segment(patch, {}, children, at[:, 0], at[:, 1])
    assert owner.shape == SHAPE
    assert len(set(label)) == len(label) == 60  # no two centres in one pixel here: labels are unique
    at_centre = owner[np.rint(at[:, 1]).astype(int), np.rint(at[:, 0]).astype(int)]
    np.testing.assert_array_equal(at_centre, label)
    # One label per pixel is the map's nature; that children obey it: their own pixels are the image's and
    # a pixel that belongs to another is the image's in no other child unless by chance.
    children = deblender.deblend(patch, {}, table, SIZE)
    raw = DEBLENDERS.create("none").deblend(patch, {}, table, SIZE)
    window = cut(owner, children.x0, children.y0, SIZE, -1)
    mine = (window == label[:, None, None]) | (window == 0)
    np.testing.assert_array_equal(children.stamps[:, 0][mine], raw.stamps[:, 0][mine])
    taken = (window > 0) & ~mine
    assert taken.any()
    assert not np.any(children.stamps[:, 0][taken] == raw.stamps[:, 0][taken])


def test_a_replaced_pixel_is_the_opposite_one_through_the_centre():
    at = (90.0, 70.0), (97.0, 70.0)
    image = scene(SHAPE, [(*at[0], FLUX), (*at[1], FLUX)]) + noise("opposite")
    patch = make_patch(image)
    deblender = DEBLENDERS.create("sep")
    owner, label = deblender.segment(patch, {}, Children.blank(patch, centres(*at), SIZE), *np.transpose(at))
    children = deblender.deblend(patch, {}, centres(*at), SIZE)
    half = SIZE // 2
    checked = 0
    for j, i in np.ndindex(SIZE, SIZE):
        y, x = 70 - half + j, 90 - half + i
        if owner[y, x] == label[1]:
            opposite = owner[140 - y, 180 - x]
            expected = 0.0 if opposite == label[1] else image[140 - y, 180 - x]
            assert children.stamps[0, 0, j, i] == np.float32(expected)
            checked += 1
    assert checked > 20
    assert names(children.status[0]) == {"MIRRORED"}


def test_half_pixel_centres_are_mirrored_through_the_half_pixel():
    # The neighbour hides the right side; the source is symmetric about x = 90.5.
    at = (90.5, 70.5), (98.0, 70.5)
    image = scene(SHAPE, [(*at[0], FLUX), (*at[1], FLUX)])
    children = DEBLENDERS.create("sep").deblend(make_patch(image), {}, centres(*at), SIZE)
    alone = gaussian(SHAPE, *at[0], FLUX, PSF_SIGMA)
    assert (children.x0[0], children.y0[0]) == (91 - 20, 71 - 20)
    near = np.hypot(*np.ogrid[-20.5:20.5, -20.5:20.5]) < 6  # about (90.5, 70.5)
    alone = alone[71 - 20 : 71 + 21, 91 - 20 : 91 + 21]
    # What is left of the neighbour is its light on this side of the ridge, once and mirrored.
    assert children.stamps[0, 0][near].sum() == pytest.approx(alone[near].sum(), rel=0.02)


def test_centres_in_the_same_pixel_share_their_pixels():
    at = (90.1, 70.2), (90.3, 69.9), (120.0, 40.0)
    image = scene(SHAPE, [(90.2, 70.0, FLUX), (120.0, 40.0, FLUX)]) + noise("same")
    children = DEBLENDERS.create("sep").deblend(make_patch(image), {}, centres(*at), SIZE)
    assert names(children.status[0]) == names(children.status[1]) == {"SHARED"}
    assert children.status[2] == 0
    np.testing.assert_array_equal(children.stamps[0], children.stamps[1])


def test_a_centre_without_footprint_owns_a_disc():
    image = scene(SHAPE, [(60.0, 70.0, FLUX)]) + noise("lonely")
    at = (60.0, 70.0), (120.4, 70.0), (123.4, 70.0)
    patch = make_patch(image)
    deblender = DEBLENDERS.create("sep", {"threshold": 5.0, "disc": 0.8})
    children = Children.blank(patch, centres(*at), SIZE)
    owner, label = deblender.segment(patch, {}, children, *np.transpose(at))
    assert [names(s) for s in children.status] == [set(), {"NO_FOOTPRINT"}, {"NO_FOOTPRINT"}]
    yy, xx = np.indices(SHAPE)
    for k, other in ((1, 2), (2, 1)):
        mine, theirs = (np.hypot(xx - at[j][0], yy - at[j][1]) for j in (k, other))
        np.testing.assert_array_equal(owner == label[k], (mine <= 4.0) & (mine < theirs))
    children = deblender.deblend(patch, {}, centres(*at), SIZE)
    assert np.isfinite(children.stamps).all()


def test_a_footprint_without_a_centre_stays_where_it_is():
    image = scene(SHAPE, [(60.0, 70.0, FLUX), (75.0, 70.0, FLUX)])
    patch = make_patch(image)
    real, raw = (DEBLENDERS.create(name).deblend(patch, {}, centres((60.0, 70.0)), SIZE) for name in ("sep", "none"))
    np.testing.assert_array_equal(real.stamps, raw.stamps)


def test_edges_are_zero_and_flagged(deblender):
    at = (3.0, 70.0), (100.0, 70.0), (SHAPE[1] + 5.0, 20.0), (np.nan, 40.0)
    image = np.full(SHAPE, 2.0)
    children = deblender.deblend(make_patch(image, variance=1e6), {}, centres(*at), SIZE)
    assert "EDGE" in names(children.status[0])
    assert (children.stamps[0, 0][:, : SIZE // 2 - 3] == 0).all()
    assert (children.stamps[0, 0][:, SIZE // 2 - 3 :] == 2).all()
    assert "EDGE" not in names(children.status[1])
    for k in (2, 3):
        assert {"EDGE", "OUTSIDE"} <= names(children.status[k])
    assert (children.stamps[3] == 0).all()
    assert np.isfinite(children.stamps).all()


def test_pixels_without_data_are_filled_or_zero_and_flagged():
    image = scene(SHAPE, [(90.0, 70.0, FLUX)])
    truth = image.copy()
    mask = np.zeros(SHAPE, np.uint8)
    mask[:, 92] = 1
    mask[10, 10] = 1
    image[:, 92] = np.nan
    patch = make_patch(image, mask=mask)
    at = centres((90.0, 70.0), (150.0, 70.0))
    raw = DEBLENDERS.create("none").deblend(patch, {}, at, SIZE)
    half = SIZE // 2
    assert (raw.stamps[0, 0][:, half + 2] == 0).all()
    assert names(raw.status[0]) == {"MASKED"}
    assert raw.status[1] == 0
    filled = DEBLENDERS.create("sep").deblend(patch, {}, at, SIZE)
    assert names(filled.status[0]) == {"MASKED", "MIRRORED"}
    whole = truth[70 - half : 71 + half, 90 - half : 91 + half]
    np.testing.assert_allclose(filled.stamps[0, 0], whole, atol=1e-3)


def test_crowded_children_are_flagged():
    at = [(90.0 + 5 * i, 70.0 + 5 * j) for j in (-1, 0, 1) for i in (-1, 0, 1)]
    image = scene(SHAPE, [(x, y, FLUX) for x, y in at])
    children = DEBLENDERS.create("sep", {"core": 1.2}).deblend(make_patch(image), {}, centres(*at), SIZE)
    assert "CROWDED" in names(children.status[4])
    assert "CROWDED" not in names(
        DEBLENDERS.create("sep").deblend(make_patch(image), {}, centres(at[4]), SIZE).status[0]
    )


def test_a_very_crowded_patch_gets_every_child():
    rng = stream(4, "crowded")
    n = 700
    at = np.column_stack([rng.uniform(-0.4, 199, n), rng.uniform(-0.4, 139, n)])
    image = noise("very crowded")
    for x, y in at:
        image[int(y + 0.5), int(x + 0.5)] += 10 ** rng.uniform(1, 4)
    start = time.process_time()
    children = DEBLENDERS.create("sep").deblend(make_patch(image), {}, centres(*at), SIZE)
    assert len(children) == n
    assert np.isfinite(children.stamps).all()
    assert time.process_time() - start < 10


def test_children_do_not_depend_on_the_batch_or_on_the_order_of_the_centres(monkeypatch):
    rng = stream(5, "order")
    at = np.column_stack([rng.uniform(5, 195, 40), rng.uniform(5, 135, 40)])
    image = scene(SHAPE, [(x, y, peak_snr_flux(50)) for x, y in at]) + noise("order")
    deblender, table = DEBLENDERS.create("sep"), centres(*at)
    children = deblender.deblend(make_patch(image), {}, table, SIZE)
    monkeypatch.setattr("blendimpact.deblend.segmentation._BATCH", 7)
    order = rng.permutation(40)
    again = deblender.deblend(make_patch(image), {}, table[order], SIZE)
    np.testing.assert_array_equal(again.det_id, children.det_id[order])
    np.testing.assert_array_equal(again.stamps, children.stamps[order])
    np.testing.assert_array_equal(again.status, children.status[order])


def test_no_centres_give_no_children(deblender):
    children = deblender.deblend(make_patch(noise("none")), {}, centres()[:0], SIZE)
    assert len(children) == 0
    assert children.stamps.shape == (0, 1, SIZE, SIZE)


@pytest.mark.parametrize("compression", [None, "lzf"])
def test_children_come_back_from_hdf5_and_their_bytes_repeat(tmp_path, compression):
    image = {b: scene(SHAPE, [(60, 70, FLUX)]) + noise(b) for b in "gr"}
    at = centres((60, 70), (3, 4), (63, 70))
    children = DEBLENDERS.create("sep").deblend(make_patch(image), {}, at, SIZE)
    assert children.errors is None
    children.errors = np.arange(12.0).reshape(3, 4)
    paths = [tmp_path / "a.h5", tmp_path / "b.h5"]
    for path in paths:
        with h5py.File(path, "w", libver=("v110", "v110")) as file:
            children.write(file.create_group("00001/plus/real"), compression)
            children.select(slice(0, 0)).write(file.create_group("00001/plus/truth"), compression)
        time.sleep(1.1)  # a time of writing in the file would differ
    assert paths[0].read_bytes() == paths[1].read_bytes()
    with h5py.File(paths[0]) as file:
        back = Children.read(file["00001/plus/real"])
        assert len(Children.read(file["00001/plus/truth"])) == 0
        with pytest.raises(StudyError, match="not child images"):
            Children.read(file["00001"])
    for name in ("det_id", "x0", "y0", "stamps", "status", "errors"):
        np.testing.assert_array_equal(getattr(back, name), getattr(children, name))
        assert getattr(back, name).dtype == getattr(children, name).dtype
    assert back.size == SIZE
    chosen = back.select(np.array([True, False, True]))
    np.testing.assert_array_equal(chosen.det_id, children.det_id[[0, 2]])


def test_every_bit_has_a_text():
    everything = (1 << len(DEBLEND_BITS)) - 1
    assert [name for name, _ in BITS.decode(everything)] == [name for name, _ in DEBLEND_BITS.values()]
    assert BITS.decode(0) == []
    assert BITS.decode(BITS.SHARED) == [DEBLEND_BITS[4]]
    with pytest.raises(ValueError, match="does not know"):
        BITS.decode(everything + 1)
