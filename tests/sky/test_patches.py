"""A simulated patch: its noise, its twins, its truth, and what must not change what."""

from types import SimpleNamespace

import galsim
import numpy as np
import pytest
from astropy.table import Table
from blendimpact.data import catalogues
from blendimpact.data.images import BandImage, Patch, PatchFile, PatchWriter
from blendimpact.errors import StudyError
from blendimpact.sky import patches
from blendimpact.sky.patches import measure_depth, simulate_patch
from blendimpact.sky.profiles import Stamp, add_stamp, draw_source, photon_noise, wcs_for_patch
from blendimpact.stats.streams import stream
from synthetic import tables

SEED = 20181116
MOFFAT = {"kind": "moffat", "fwhm": 0.8, "beta": 3.5}


def survey(sky=2.0, gain=200.0, **psf):
    """Return the least that a survey must be."""
    bands = {
        b: SimpleNamespace(
            psf_model=psf.get(b, {"kind": "kolmogorov", "fwhm": fwhm}),
            sky_sigma=sky,
            gain=gain,
            zero_point=31.4,
            light=b,
        )
        for b, fwhm in (("g", 0.86), ("r", 0.81), ("i", 0.79))
    }
    return SimpleNamespace(name="test", pixel_scale=0.2, bands=bands)


@pytest.fixture(scope="module")
def galaxies():
    """Return a made population, in the columns of build_galaxies."""
    rng, n = np.random.default_rng(7), 3000
    i = np.linspace(16, 28.8, n)
    table = Table(
        {
            "redshift": rng.uniform(0.1, 2, n),
            **{f"mag_{b}": i + 0.4 * (3 - k) for k, b in enumerate("ugrizy")},
            **{f"bulge_fraction_{b}": rng.uniform(0, 0.5, n) for b in "ugrizy"},
        }
    )
    for part, n_sersic in (("bulge", 4.0), ("disk", 1.0)):
        table[f"hlr_{part}"] = 0.2 * 10 ** (-0.1 * (i - 25)) * rng.uniform(0.7, 1.3, n)
        table[f"q_{part}"], table[f"n_{part}"] = rng.uniform(0.3, 1, n), n_sersic
    return table


@pytest.fixture(scope="module")
def stars():
    return Table({f"mag_{b}": np.linspace(17, 27, 400) for b in "ugrizy"})


def test_stars_inside_the_border_are_targets_where_they_are_asked_for(galaxies, stars):
    made = {}
    for targets in (False, True):
        population = {"galaxies": {"density": 0.5, "mag_max": 25.0}, "stars": {"density": 4.0, "targets": targets}}
        patch, made[targets] = simulate_patch(
            settings(shear=0, population=population), 0, SEED, "crowded", "fiducial", survey(), tables(galaxies, stars)
        )[0]
    before, after = made[False], made[True]
    star = np.asarray(after["kind"]) == "star"
    inside = patch.inside(np.asarray(after["x"]), np.asarray(after["y"]))
    assert 0 < (star & inside).sum() < star.sum()
    assert set(before["role"][star]) == {"scene"}
    assert np.array_equal(after["role"] == "target", inside)
    assert np.array_equal(after["role"][~star], before["role"][~star]) and np.array_equal(after["x"], before["x"])


def settings(**changes):
    base = {
        "bands": ["g", "i"],
        "shape_band": "i",
        "shear": 0.02,
        "patch": {"size": 120, "border": 20, "margin": 8.0},
        "population": {
            "galaxies": {"density": 1.0, "mag_max": 27.0},
            "stars": {"density": 1.0},
            "positions": {"kind": "random"},
        },
    }
    for key, value in changes.items():
        base[key] = {**base[key], **value} if isinstance(value, dict) else value
    return base


@pytest.fixture(scope="module")
def draw(galaxies, stars):
    """Return a function that simulates a patch of the made population, kept for the module."""
    kept = {}

    def simulate(chosen=None, index=2, scenario="fiducial", of=None):
        key = repr((chosen, index, scenario, of))
        if key not in kept:
            kept[key] = simulate_patch(
                chosen or settings(), index, SEED, "case", scenario, of or survey(), tables(galaxies, stars)
            )
        return kept[key]

    return simulate


def rows(truth):
    columns = [np.asarray(truth[name]).tolist() for name in truth.colnames]
    return [dict(zip(truth.colnames, values)) for values in zip(*columns)]


def test_planes_are_the_sum_of_their_parts(draw):
    """MODEL and SCI - NOISE can be had again from the rows; VAR is the sky's plus the sources'."""
    for patch, truth in draw():
        for band, image in patch.bands.items():
            model, photons = np.zeros(patch.shape), np.zeros(patch.shape)
            for row in rows(truth):
                stamp = draw_source(row, image, patch.shear)
                add_stamp(model, stamp)
                rng = stream(SEED, "case", 2, row["source_id"], band, "photons")
                add_stamp(photons, Stamp(photon_noise(stamp, image.gain, rng), stamp.x0, stamp.y0))
            assert np.array_equal(image.planes["MODEL"], model.astype(np.float32))
            np.testing.assert_allclose(image.science, model + photons + image.planes["NOISE"], rtol=1e-5, atol=1e-4)
            np.testing.assert_allclose(image.variance, 4.0 + np.maximum(model, 0) / 200.0, rtol=1e-6)
            assert image.unit == "nJy" and image.zero_point == 31.4 and not image.mask.any()


def test_variance_is_the_sum_of_variances(galaxies, stars):
    """Sky and photon noise are independent: the scatter of SCI - MODEL is VAR, to 1 %."""
    found, bright = [], []
    for index in range(6):
        chosen = settings(shear=0, patch={"size": 280}, bands=["i"])
        patch, _ = simulate_patch(
            chosen, index, SEED, "case", "fiducial", survey(sky=2.0, gain=1.0), tables(galaxies, stars)
        )[0]
        image = patch.bands["i"]
        scaled = (image.science - image.planes["MODEL"]) ** 2 / image.variance
        found.append(scaled.ravel())
        bright.append(scaled[image.variance > 2 * 4.0])
    assert np.concatenate(found).mean() == pytest.approx(1, abs=0.01)
    many = np.concatenate(bright)
    assert len(many) > 3000 and many.mean() == pytest.approx(1, abs=4 * np.sqrt(2 / len(many)))


def test_noise_is_white_and_of_the_survey(draw):
    patch, _ = draw()[0]
    noise = patch.bands["i"].planes["NOISE"]
    assert noise.std() == pytest.approx(2.0, rel=0.02) and abs(noise.mean()) < 0.05
    assert abs((noise[1:] * noise[:-1]).mean()) < 0.1
    other = patch.bands["g"].planes["NOISE"]
    assert abs(np.corrcoef(noise.ravel(), other.ravel())[0, 1]) < 0.03


def test_twins(draw):
    """Same sources, targets, noise; positions are the closed form of a shear about the centre."""
    (plus, plus_truth), (minus, minus_truth) = draw()
    assert (plus.twin, plus.shear, minus.twin, minus.shear) == ("plus", 0.02, "minus", -0.02)
    for name in ("source_id", "role", "kind", "flux_i", "hlr_disk", "g1_disk", "g2_bulge", "redshift"):
        same = plus_truth[name] == minus_truth[name]
        assert np.all(same | ((plus_truth[name] != plus_truth[name]) & (minus_truth[name] != minus_truth[name])))
    assert np.array_equal(plus.bands["i"].planes["NOISE"], minus.bands["i"].planes["NOISE"])
    centre = (patches_side() - 1) / 2
    dx, dy = plus_truth["x"] - centre, plus_truth["y"] - centre
    mx, my = minus_truth["x"] - centre, minus_truth["y"] - centre
    # S(+g) = diag(1 + g, 1 - g) / sqrt(1 - g^2) and S(-g) is its inverse
    np.testing.assert_allclose(dx / mx, 1.02 / 0.98, rtol=1e-9)
    np.testing.assert_allclose(dy / my, 0.98 / 1.02, rtol=1e-9)
    zero, zero_truth = draw(settings(shear=0))[0]
    assert zero.twin == "zero" and zero.shear == 0
    common = np.isin(plus_truth["source_id"], zero_truth["source_id"])
    order = np.searchsorted(zero_truth["source_id"], plus_truth["source_id"][common])
    np.testing.assert_allclose((dx * mx)[common], (zero_truth["x"][order] - centre) ** 2, rtol=1e-9)
    assert set(zero_truth["source_id"][zero_truth["role"] == "target"]) == set(
        plus_truth["source_id"][plus_truth["role"] == "target"]
    )


def patches_side():
    return 120 + 2 * 20


def test_a_patch_says_what_its_bands_share(draw):
    for patch, _ in draw():
        assert patch.reference is patch.bands[next(iter(patch.bands))] and patch.shape == patch.reference.science.shape
        assert all(image.pixel_scale == pytest.approx(patch.pixel_scale) for image in patch.bands.values())
        assert patch.first_twin == (patch.twin in ("plus", "zero"))


def test_roles(draw):
    """Targets are the galaxies inside the border before shear; nothing else is."""
    zero, truth = draw(settings(shear=0))[0]
    inside = zero.inside(truth["x"], truth["y"])
    galaxy = np.asarray(truth["kind"]) == "galaxy"
    assert np.array_equal(truth["role"] == "target", inside & galaxy)
    assert (~inside & galaxy).sum() > 10 and (~galaxy).sum() >= 1
    assert len(np.unique(truth["source_id"])) == len(truth) and truth["source_id"].min() > 0
    outside = (truth["x"] < -0.5) | (truth["y"] < -0.5) | (truth["x"] > 159.5) | (truth["y"] > 159.5)
    assert outside.any()  # their light reaches in


def test_truth_is_complete(draw):
    """Every column of the data model, described; sky and pixel positions, fluxes and magnitudes agree."""
    patch, truth = draw()[0]
    wanted = [
        "case",
        "scenario",
        "patch",
        "block",
        "twin",
        "source_id",
        "role",
        "kind",
        "x",
        "y",
        "ra",
        "dec",
        "redshift",
        "snr",
        "hlr",
        "hlr_bulge",
        "n_bulge",
        "g1_bulge",
        "g2_bulge",
        "hlr_disk",
        "n_disk",
        "g1_disk",
        "g2_disk",
        "trail_length",
        "trail_angle",
        "stamp",
    ]
    wanted += [f"{n}_{b}" for n in ("flux", "mag", "snr", "purity", "bulge_fraction") for b in ("g", "i")]
    assert set(wanted) <= set(truth.colnames)
    assert all(truth[name].info.description for name in truth.colnames)
    x, y = patch.bands["g"].wcs.wcs_world2pix(truth["ra"], truth["dec"], 0)
    np.testing.assert_allclose([x, y], [truth["x"], truth["y"]], atol=1e-6)
    np.testing.assert_allclose(truth["flux_i"], 10 ** (-0.4 * (truth["mag_i"] - 31.4)))
    np.testing.assert_allclose(truth["snr"], np.hypot(truth["snr_g"], truth["snr_i"]))
    assert truth["mag_i"].min() > 18 and truth["mag_i"][truth["kind"] == "galaxy"].max() < 27
    rho = np.asarray(truth["purity_i"])[np.asarray(truth["role"]) == "target"]
    assert (rho > 0).all() and (rho <= 1 + 1e-6).all() and (rho < 0.99).mean() > 0.2
    ellipticity = np.hypot(truth["g1_disk"], truth["g2_disk"])[truth["kind"] == "galaxy"]
    assert ellipticity.max() < (1 - 0.3) / 1.3 + 1e-9


def same_rows(truth, other, names=("x", "y", "flux_i", "hlr_disk", "g1_disk", "redshift")):
    """Return how many sources two truths share, having checked that these are the same to the bit."""
    _, a, b = np.intersect1d(truth["source_id"], other["source_id"], return_indices=True)
    for name in names:
        left, right = np.asarray(truth[name])[a], np.asarray(other[name])[b]
        assert np.array_equal(left, right, equal_nan=True), name
    return len(a)


def test_adding_a_band_changes_no_other(draw):
    two, three = draw(), draw(settings(bands=["g", "r", "i"]))
    for (patch, truth), (more, more_truth) in zip(two, three):
        assert list(more.bands) == ["g", "r", "i"]
        for band in ("g", "i"):
            a, b = patch.bands[band], more.bands[band]
            assert np.array_equal(a.planes["NOISE"], b.planes["NOISE"])
            assert np.array_equal(a.science, b.science) and np.array_equal(a.planes["MODEL"], b.planes["MODEL"])
        assert same_rows(truth, more_truth) == len(truth)


def test_scenarios_share_the_sky_and_patches_do_not(draw):
    first, other = draw()[0][0], draw(scenario="another")[0][0]
    assert np.array_equal(first.bands["i"].science, other.bands["i"].science)
    assert set(draw(scenario="another")[0][1]["scenario"]) == {"another"}
    elsewhere = draw(index=3)[0]
    assert same_noise(first, elsewhere[0]) < 0.03
    assert tuple(first.bands["i"].wcs.wcs.crval) != tuple(elsewhere[0].bands["i"].wcs.wcs.crval)


def same_noise(a, b):
    return abs(np.corrcoef(a.bands["i"].planes["NOISE"].ravel(), b.bands["i"].planes["NOISE"].ravel())[0, 1])


def test_noise_pairs(draw):
    """Each twin is followed by the same scene with the opposite noise, photons and sky."""
    pairs = draw(settings(noise_pairs=True))
    assert [patch.twin for patch, _ in pairs] == ["plus", "plusflip", "minus", "minusflip"]
    for (patch, truth), (flip, flip_truth) in zip(pairs[::2], pairs[1::2]):
        image, other = patch.bands["i"], flip.bands["i"]
        assert np.array_equal(other.planes["NOISE"], -image.planes["NOISE"])
        np.testing.assert_allclose(other.science + image.science, 2 * image.planes["MODEL"], atol=1e-3)
        assert flip.shear == patch.shear and len(truth) == len(flip_truth)


def test_ring_pairs(draw):
    """The same places, light and sky noise; every shape is turned by 90 degrees about its own centre."""
    (zero, truth), (turned, turned_truth) = draw(settings(shear=0, ring=True))
    assert (zero.twin, turned.twin, zero.shear, turned.shear) == ("zero", "turned", 0, 0)
    for name in ("source_id", "role", "x", "y", "flux_i", "snr_i", "hlr_disk"):
        np.testing.assert_array_equal(truth[name], turned_truth[name])
    for name in ("g1_bulge", "g2_bulge", "g1_disk", "g2_disk"):
        np.testing.assert_array_equal(turned_truth[name], -np.asarray(truth[name]))
    assert np.array_equal(zero.bands["i"].planes["NOISE"], turned.bands["i"].planes["NOISE"])
    # A source whose light is turned back about its centre is the source: on the pixels of a centred stamp exactly.
    galaxies = [k for k, row in enumerate(truth) if row["kind"] == "galaxy" and abs(row["g1_disk"]) > 0.2]
    one, other = ({**rows(t)[galaxies[0]], "x": 30.0, "y": 30.0} for t in (truth, turned_truth))
    first, second = (draw_source(row, zero.bands["i"]).array for row in (one, other))
    half = min(first.shape[0] // 2, second.shape[0] // 2, 20)
    first, second = (
        a[len(a) // 2 - half :, :][: 2 * half + 1, len(a) // 2 - half :][:, : 2 * half + 1] for a in (first, second)
    )
    np.testing.assert_allclose(second, np.rot90(first), atol=1e-6 * first.max())
    assert not np.allclose(first, np.rot90(first), atol=1e-3 * first.max())


def test_places_are_carried_from_twin_to_twin(draw):
    (plus, truth), (minus, other) = draw()
    for patch, rows_, to, there in ((plus, truth, minus, other), (minus, other, plus, truth)):
        x, y = patch.carried(rows_["x"], rows_["y"], to.shear)
        np.testing.assert_allclose(x, there["x"], atol=1e-9)
        np.testing.assert_allclose(y, there["y"], atol=1e-9)
        inside = patch.inside_unsheared(rows_["x"], rows_["y"])
        assert np.array_equal(inside, to.inside_unsheared(x, y))


def test_again_is_identical_and_survives_fits(draw, galaxies, stars, tmp_path):
    """The same bits when simulated again, and when drawn from what was written and read."""
    again = simulate_patch(settings(), 2, SEED, "case", "fiducial", survey(), tables(galaxies, stars))
    with PatchWriter(tmp_path / "p.fits") as writer:
        for patch, _ in draw():
            writer.write(patch)
    for (patch, truth), (same, same_truth) in zip(draw(), again):
        catalogues.write(truth, tmp_path / "t.parquet")
        read = catalogues.read(tmp_path / "t.parquet", truth.colnames)
        with PatchFile(tmp_path / "p.fits") as file:
            stored = file.read(patch.index, patch.twin)
        assert np.array_equal(patch.bands["i"].science, same.bands["i"].science)
        assert np.array_equal(np.asarray(truth["snr"]), np.asarray(same_truth["snr"]))
        assert np.array_equal(stored.bands["i"].science, patch.bands["i"].science)
        for old, new in zip(rows(truth), rows(read)):
            a, b = (draw_source(old, patch.bands["i"], patch.shear), draw_source(new, stored.bands["i"], stored.shear))
            assert np.array_equal(a.array, b.array) and (a.x0, a.y0) == (b.x0, b.y0)


def test_empty_sky_is_noise(galaxies, stars):
    population = {"galaxies": {"density": 0.0}, "stars": {"density": 0.0}, "positions": {"kind": "random"}}
    for patch, truth in simulate_patch(
        settings(population=population), 0, SEED, "case", "f", survey(), tables(galaxies, stars)
    ):
        assert len(truth) == 0 and not patch.bands["i"].planes["MODEL"].any()
        assert np.array_equal(patch.bands["i"].science, patch.bands["i"].planes["NOISE"])
        assert "purity_i" in truth.colnames


def test_snr_of_a_star_in_closed_form(galaxies):
    """F / (sigma sqrt(A)), with A = 1 / int P^2 = pi r^2 (2 beta - 1) / (beta - 1)^2 of a Moffat.

    The pixel widens it as it would a Gaussian of the same FWHM: by its variance of 1 / 12.
    """
    one = Table({f"mag_{b}": np.full(3, 22.0) for b in "ugrizy"})
    chosen = settings(shear=0, bands=["i"], population={"galaxies": {"density": 0.0}, "stars": {"density": 4.0}})
    truth = simulate_patch(chosen, 1, SEED, "case", "f", survey(i=MOFFAT), tables(galaxies, one))[0][1]
    assert len(truth) > 3
    fwhm, beta = 0.8 / 0.2, 3.5
    r = 0.5 * fwhm / np.sqrt(2 ** (1 / beta) - 1)
    area = np.pi * r**2 * (2 * beta - 1) / (beta - 1) ** 2 * (1 + 8 * np.log(2) / 12 / fwhm**2)
    expected = 10 ** (0.4 * (31.4 - 22)) / (2.0 * np.sqrt(area))
    np.testing.assert_allclose(truth["snr_i"], expected, rtol=0.005)


@pytest.mark.parametrize("separation", [0.0, 2.0, 4.0, 8.0])
def test_purity_of_two_gaussians(separation):
    """Rho = 1 / (1 + r exp(-d^2 / 4 s^2)) for sources of flux ratio r and the same s."""
    s, ratio = 2.0, 0.5
    x = np.arange(121) - 60.0
    line = np.exp(-0.5 * x**2 / s**2)
    first = np.outer(line, line)
    second = ratio * np.outer(line, np.exp(-0.5 * (x - separation) ** 2 / s**2))
    purity = patches._purity(Stamp(first, 5, 7), np.pad(first + second, ((7, 3), (5, 9))), 1e-9)
    assert purity == pytest.approx(1 / (1 + ratio * np.exp(-(separation**2) / (4 * s**2))), rel=1e-6)


def test_purity_at_the_threshold_and_the_edge():
    """Light below the threshold does not count; nor do pixels outside of the image; none at all is NaN."""
    source = np.array([[1.0, 1.0, 0.01]])
    visible = np.array([[1.0, 3.0, 9.0]])
    assert patches._purity(Stamp(source, 0, 0), visible, 0.05) == pytest.approx(2.0 / 4.0)
    assert patches._purity(Stamp(source, 0, 0), visible, 0.001) == pytest.approx(2.0001 / 4.09)
    # nowhere above the threshold: it is not in the visible light, so its own is added
    assert patches._purity(Stamp(source, 0, 0), visible, 50.0) == pytest.approx(2.0001 / (4.09 + 2.0001))
    assert patches._purity(Stamp(source, -1, 0), np.array([[2.0]]), 0.05) == pytest.approx(1.0 / 2.0)
    assert np.isnan(patches._purity(Stamp(source, 40, 0), visible, 0.05))


def test_purity_of_a_patch(draw):
    """Of drawn sources, each truncated at 0.05 sky sigma; an isolated one has 1."""
    patch, truth = draw()[0]
    image, light = patch.bands["i"], {}
    visible = np.zeros(patch.shape)
    for row in rows(truth):
        stamp = draw_source(row, image, patch.shear)
        stamp.array[stamp.array <= 0.05 * 2.0] = 0
        light[row["source_id"]] = stamp
        add_stamp(visible, stamp)
    checked = 0
    for row in rows(truth):
        own = np.zeros(patch.shape)
        add_stamp(own, light[row["source_id"]])
        if own.any():
            assert row["purity_i"] == pytest.approx((own**2).sum() / (own * visible).sum(), rel=1e-9)
            checked += 1
    assert checked > 50


def noise_patch(noise, s=2.0):
    size = 31
    r = np.arange(size) - size // 2
    psf = np.exp(-0.5 * (r[:, None] ** 2 + r[None] ** 2) / s**2)
    blank = np.zeros(noise.shape, np.float32)
    image = BandImage(
        "i",
        noise,
        blank + 1,
        blank.astype(np.uint8),
        psf / psf.sum(),
        wcs_for_patch(0, noise.shape, 0.2),
        31.4,
        100.0,
        planes={"NOISE": noise},
    )
    return Patch(0, "zero", 0.0, {"i": image}, 0)


@pytest.mark.parametrize("kernel", [0.0, 1.5], ids=["white", "correlated"])
def test_depth_in_closed_form(kernel):
    """White noise: sigma_f = sigma sqrt(4 pi) s.

    Noise smoothed by a Gaussian of k pixels and unit sum: sqrt(s^2 / (s^2 + k^2)) of that.
    """
    sigma, s = 3.0, 2.0
    noise = sigma * stream(SEED, "depth").standard_normal((900, 1000))
    if kernel:
        k = np.exp(
            -0.5 * (np.fft.fftfreq(900, 1 / 900)[:, None] ** 2 + np.fft.fftfreq(1000, 1 / 1000)[None] ** 2) / kernel**2
        )
        noise = np.fft.irfft2(np.fft.rfft2(noise) * np.fft.rfft2(k / k.sum()), noise.shape)
    # f = sum p n / sum p^2; Var = sigma^2 int p*k^2 / (int p^2)^2, of Gaussians
    flux = sigma * np.sqrt(4 * np.pi) * s * np.sqrt(s**2 / (s**2 + kernel**2))
    depth, error = measure_depth(noise_patch(noise.astype(np.float32), s))["i"]
    assert depth == pytest.approx(31.4 - 2.5 * np.log10(5 * flux), abs=5 * error + 2e-3)
    assert 0.0005 < error < 0.01


def test_depth_of_a_patch_is_that_of_its_stars(draw):
    """The depth measured on the noise is the magnitude at which a star has S/N = 5 in the truth."""
    patch, truth = draw(settings(shear=0, patch={"size": 300}))[0]
    for band, (depth, error) in measure_depth(patch).items():
        star = truth[truth["kind"] == "star"][0]
        expected = star[f"mag_{band}"] + 2.5 * np.log10(star[f"snr_{band}"] / 5)
        assert depth == pytest.approx(expected, abs=4 * error + 0.02)


def test_galsim_shear_is_the_matrix_that_is_used():
    """Positions move as GalSim moves the light of a sheared object."""
    moved = galsim.Gaussian(sigma=1.0).shift(3.0, -2.0).shear(g1=0.05).centroid
    assert patches._sheared(3.0, -2.0, 0.05) == pytest.approx((moved.x, moved.y))


@pytest.mark.parametrize("change, text", [({"bands": ["g", "w"]}, "band 'w'"), ({"shear": 0.9}, "shear")])
def test_refuses_what_cannot_be_simulated(change, text, galaxies, stars):
    with pytest.raises(StudyError, match=text):
        simulate_patch(settings(**change), 0, SEED, "case", "f", survey(), tables(galaxies, stars))
