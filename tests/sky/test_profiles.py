"""Drawing one source, against GalSim's own drawing and against closed forms."""

import hashlib
import json
import subprocess
import sys
from types import SimpleNamespace

import galsim
import numpy as np
import pytest
from astropy.io import fits
from blendimpact.data.frames import pixel_to_sky
from blendimpact.data.psf import psf_pixels
from blendimpact.errors import StudyError
from blendimpact.sky import profiles, sersic_tables, spectra
from blendimpact.sky.profiles import Stamp, add_stamp, cut, draw_source, photon_noise, stamp_size
from blendimpact.stats.streams import stream
from hypothesis import given, settings
from hypothesis import strategies as st

SKY = 2.15  # nJy per pixel: a ten-year LSST i coadd


def image(model=None, scale=0.2, psf=None):
    return SimpleNamespace(
        band="i", pixel_scale=scale, psf_model=model or {"kind": "kolmogorov", "fwhm": 0.79}, psf=psf, zero_point=31.4
    )


def gaussian_image(sigma=2.0, scale=0.2, size=41):
    """Return an image whose PSF is a Gaussian of ``sigma`` pixels, given as pixels."""
    r = np.arange(size) - size // 2
    psf = np.exp(-0.5 * (r[:, None] ** 2 + r[None, :] ** 2) / sigma**2)
    return image({"kind": "pixels"}, scale, psf / psf.sum())


def galaxy(
    mag=25.0, x=20.3, y=31.8, bulge=0.3, hlr_bulge=0.1, hlr_disk=0.2, g_bulge=(0.05, 0.02), g_disk=(0.2, -0.1), **more
):
    row = {
        "kind": "galaxy",
        "x": x,
        "y": y,
        "flux_i": 10 ** (-0.4 * (mag - 31.4)),
        "bulge_fraction_i": bulge,
        "n_bulge": 4.0,
        "hlr_bulge": hlr_bulge,
        "g1_bulge": g_bulge[0],
        "g2_bulge": g_bulge[1],
        "n_disk": 1.0,
        "hlr_disk": hlr_disk,
        "g1_disk": g_disk[0],
        "g2_disk": g_disk[1],
    }
    return {**row, **more}


def by_galsim(row, target, shear, shape=None):
    """Return a source drawn by GalSim's drawImage in a stamp's frame, and that stamp."""
    stamp = draw_source(row, target, shear)
    if row["kind"] == "star":
        source = galsim.DeltaFunction()
    elif row["kind"] == "trail":
        source = galsim.Box(row["trail_length"], 1e-4).rotate(row["trail_angle"] * galsim.degrees)
    else:
        disk = galsim.Sersic(row["n_disk"], half_light_radius=row["hlr_disk"]).shear(
            g1=row["g1_disk"], g2=row["g2_disk"]
        )
        source = disk
        if row["kind"] == "galaxy":
            bulge = galsim.Sersic(row["n_bulge"], half_light_radius=row["hlr_bulge"])
            bulge = bulge.shear(g1=row["g1_bulge"], g2=row["g2_bulge"])
            source = row["bulge_fraction_i"] * bulge + (1 - row["bulge_fraction_i"]) * disk
        source = source.shear(g1=shear)
    model = target.psf_model
    if model["kind"] == "pixels":
        psf = galsim.InterpolatedImage(
            galsim.Image(target.psf, scale=target.pixel_scale), x_interpolant=galsim.Lanczos(20)
        )
    elif model["kind"] == "moffat":
        psf = galsim.Moffat(beta=model["beta"], fwhm=model["fwhm"])
    else:
        psf = galsim.Kolmogorov(fwhm=model["fwhm"])
    fine = galsim.GSParams(folding_threshold=5e-4, maxk_threshold=1e-4, maximum_fft_size=16384)
    ny, nx = stamp.array.shape
    picture = galsim.ImageD(nx, ny, xmin=stamp.x0, ymin=stamp.y0)
    final = galsim.Convolve(source, psf, gsparams=fine) * row["flux_i"]
    final.drawImage(
        picture,
        center=galsim.PositionD(row["x"], row["y"]),
        scale=target.pixel_scale,
        method="no_pixel" if model["kind"] == "pixels" else "auto",
    )
    return picture.array, stamp


def moments(array):
    """Return sum, centroid (x, y) and second moments (xx, yy, xy)."""
    y, x = np.indices(array.shape)
    total = array.sum()
    cx, cy = (array * x).sum() / total, (array * y).sum() / total
    return (
        total,
        (cx, cy),
        [(array * a * b).sum() / total for a, b in ((x - cx, x - cx), (y - cy, y - cy), (x - cx, y - cy))],
    )


@pytest.mark.parametrize(
    "psf",
    [
        image(),
        image({"kind": "moffat", "fwhm": 0.8, "beta": 2.5}),
        gaussian_image(),
        image({"kind": "kolmogorov", "fwhm": 0.25}),
        image({"kind": "kolmogorov", "fwhm": 1.1}, 0.263),
    ],
    ids=["kolmogorov", "moffat", "pixels", "undersampled", "des"],
)
@pytest.mark.parametrize(
    "row",
    [
        galaxy(),
        galaxy(27, bulge=1.0),
        galaxy(22, bulge=0.0, hlr_disk=0.6),
        {**galaxy(), "kind": "star"},
        {**galaxy(23, hlr_disk=0.4), "kind": "sersic", "n_disk": 2.3},
        {**galaxy(), "kind": "trail", "trail_length": 3.0, "trail_angle": 30.0},
    ],
    ids=["galaxy", "bulge", "disk", "star", "sersic", "trail"],
)
def test_agrees_with_galsim(row, psf):
    """To 1e-3 of the peak and 3 % of the sky's rms: the folded wings, and the interpolated transforms."""
    expected, stamp = by_galsim(row, psf, 0.02)
    difference = np.abs(stamp.array - expected).max()
    assert difference < 1e-3 * expected.max()
    assert difference < 0.03 * SKY or psf.psf_model["kind"] == "pixels"  # there, of the interpolants


@pytest.mark.parametrize("mag, hlr", [(27, 0.06), (25, 0.15), (23, 0.3), (21, 0.6), (19, 1.2)])
def test_stamp_holds_the_source(mag, hlr):
    """The sum is the flux; what the edge cuts and folds back is far below the sky noise."""
    row = galaxy(mag, hlr_bulge=hlr, hlr_disk=1.5 * hlr)
    expected, stamp = by_galsim(row, image(), 0.0)
    assert stamp.array.sum() == pytest.approx(row["flux_i"], rel=1e-12)
    outside = 1 - expected.sum() / row["flux_i"]
    assert outside < 6e-3  # a point source has 4e-3 outside of 50 pixels: the wings of a Kolmogorov PSF
    edge = np.concatenate([stamp.array[0], stamp.array[-1], stamp.array[:, 0], stamp.array[:, -1]])
    assert np.abs(edge).max() < 0.05 * SKY
    assert np.abs(stamp.array - expected).max() < 0.02 * SKY


def test_largest_stamp_of_a_bright_galaxy():
    row = galaxy(18, hlr_bulge=2.0, hlr_disk=3.0)
    expected, stamp = by_galsim(row, image(), 0.0)
    assert stamp.array.shape == (profiles.MAX_STAMP, profiles.MAX_STAMP)
    assert 0 < 1 - expected.sum() / row["flux_i"] < 5e-3  # folded back
    assert np.abs(stamp.array - expected).max() < 0.05 * SKY


def test_brighter_sources_have_larger_stamps():
    sizes = [stamp_size(galaxy(mag), image()) for mag in (27, 24, 21, 18)]
    assert sizes == sorted(sizes) and sizes[-1] > 2 * sizes[0]
    assert all(size % 2 == 0 for size in sizes)


def test_position_and_axes():
    """Off centre on an image that is not square: x is along axis 1, and g1 > 0 is elongated along x."""
    target = gaussian_image()
    row = {**galaxy(x=70.3, y=25.6, hlr_disk=0.6, g_disk=(0.3, 0.0)), "kind": "sersic", "n_disk": 0.5}
    canvas = np.zeros((60, 110))
    add_stamp(canvas, draw_source(row, target))
    total, (cx, cy), (xx, yy, xy) = moments(canvas)
    assert total == pytest.approx(row["flux_i"], rel=1e-9)
    assert (cx, cy) == pytest.approx((70.3, 25.6), abs=1e-6)
    assert xx > 1.5 * yy and abs(xy) < 1e-6
    add_stamp(canvas * 0, draw_source({**row, "g1_disk": 0.0, "g2_disk": 0.3}, target))
    _, _, (xx, yy, xy) = moments(draw_source({**row, "g1_disk": 0.0, "g2_disk": 0.3}, target).array)
    assert xy > 0.2 * xx and xx == pytest.approx(yy)


@given(
    shear=st.floats(-0.1, 0.1),
    g1=st.floats(-0.5, 0.5),
    g2=st.floats(-0.5, 0.5),
    x=st.floats(30, 31),
    y=st.floats(30, 31),
)
@settings(max_examples=25, deadline=None)
def test_shape_in_closed_form(shear, g1, g2, x, y):
    """A Gaussian source (n = 0.5) in a Gaussian PSF: second moments add, the source's are A A^T."""
    sigma = 0.5 / np.sqrt(2 * np.log(2)) / 0.2  # pixels, of hlr 0.5 arcsec
    row = {**galaxy(x=x, y=y, hlr_disk=0.5, g_disk=(g1, g2)), "kind": "sersic", "n_disk": 0.5}
    _, _, (xx, yy, xy) = moments(draw_source(row, gaussian_image(), shear).array)
    a = galsim.Shear(g1=shear).getMatrix() @ galsim.Shear(g1=g1, g2=g2).getMatrix()
    expected = 4.0 * np.eye(2) + sigma**2 * a @ a.T
    assert [xx, yy, xy] == pytest.approx([expected[0, 0], expected[1, 1], expected[0, 1]], abs=1e-3 * expected.max())


def test_shear_of_a_round_source():
    """E = (Ixx - Iyy) / (Ixx + Iyy) of a round source after shear g is 2g / (1 + g^2); twins are opposite."""
    row = {**galaxy(x=30.2, y=30.7, hlr_disk=0.5, g_disk=(0.0, 0.0)), "kind": "sersic", "n_disk": 0.5}

    def shape(g):
        _, _, (xx, yy, _) = moments(draw_source(row, gaussian_image(), g).array)
        return (xx - yy) / (xx + yy - 2 * 4.0)  # the PSF's moments subtracted

    assert shape(0.05) == pytest.approx(2 * 0.05 / (1 + 0.05**2), rel=1e-4)
    assert shape(0.05) == pytest.approx(-shape(-0.05), rel=1e-6)


def test_shear_leaves_stars_and_sizes_alone():
    star = {**galaxy(), "kind": "star"}
    assert np.array_equal(draw_source(star, image(), 0.1).array, draw_source(star, image(), 0.0).array)
    plus, minus = draw_source(galaxy(21), image(), 0.1), draw_source(galaxy(21), image(), -0.1)
    assert plus.array.shape == minus.array.shape and not np.array_equal(plus.array, minus.array)


@pytest.mark.parametrize("angle", [0.0, 30.0, 135.0])
def test_trail_moments(angle):
    """A line of length L adds L^2 / 12 along its direction."""
    row = {**galaxy(x=60.4, y=60.1), "kind": "trail", "trail_length": 4.0, "trail_angle": angle}
    _, _, (xx, yy, xy) = moments(draw_source(row, gaussian_image()).array)
    c, s, along = np.cos(np.radians(angle)), np.sin(np.radians(angle)), (4.0 / 0.2) ** 2 / 12
    assert [xx, yy, xy] == pytest.approx([4 + along * c * c, 4 + along * s * s, along * s * c], abs=0.02)


@pytest.mark.parametrize(
    "model",
    [{"kind": "kolmogorov", "fwhm": fwhm} for fwhm in (0.6, 0.79, 1.1)]
    + [{"kind": "moffat", "fwhm": 0.9, "beta": 3.0}],
    ids=lambda m: f"{m['kind']}{m['fwhm']}",
)
def test_fwhm_of_a_star(model):
    """The FWHM of a rendered star, and of the PSF image given to later stages, are the model's."""
    target, n = image(model), 5
    row = {**galaxy(18), "kind": "star"}
    fine = np.zeros((51 * n, 51 * n))  # odd, so that the star is centred on a pixel
    for i in range(n):
        for j in range(n):
            moved = draw_source({**row, "x": 25.0 - (i - n // 2) / n, "y": 25.0 - (j - n // 2) / n}, target)
            fine[j::n, i::n] = cut(moved, 0, 0, 51)
    measured = galsim.Image(fine, scale=0.2 / n).calculateFWHM()
    psf = (
        galsim.Kolmogorov(fwhm=model["fwhm"])
        if model["kind"] == "kolmogorov"
        else galsim.Moffat(beta=model["beta"], fwhm=model["fwhm"])
    )
    assert measured == pytest.approx(
        galsim.Convolve(psf, galsim.Pixel(0.2)).calculateFWHM(scale=0.01, size=200), rel=1e-3
    )
    assert measured == pytest.approx(np.hypot(model["fwhm"], 0.2 * np.sqrt(8 * np.log(2) / 12)), rel=0.03)
    centred = draw_source({**row, "x": 60.0, "y": 60.0}, target, size=41).array
    given = psf_pixels(model, 0.2)
    assert np.abs(centred / centred.sum() - given).max() < 3e-3 * given.max()


def test_redraw_is_identical():
    """To the last bit: after other draws, with empty caches, and in another process."""
    rows = [galaxy(24, x=10.1, y=5.7), galaxy(22, hlr_disk=0.5), {**galaxy(20), "kind": "star"}]
    first = [draw_source(row, image(), 0.02).array for row in rows]
    for cache in (spectra.grid, sersic_tables.transform, sersic_tables.profile):
        cache.cache_clear()
    spectra._PSFS.clear()
    again = [draw_source(row, image(), 0.02).array for row in reversed(rows)][::-1]
    assert all(np.array_equal(a, b) for a, b in zip(first, again))
    code = (
        "import sys, json, hashlib; sys.path[:0] = json.loads(sys.argv[1])\n"
        "from types import SimpleNamespace\n"
        "from blendimpact.sky.profiles import draw_source\n"
        "image = SimpleNamespace(band='i', pixel_scale=0.2 + 1e-13, psf=None, zero_point=31.4,\n"
        "                        psf_model={'kind': 'kolmogorov', 'fwhm': 0.79})\n"
        "print(hashlib.sha256(draw_source(json.loads(sys.argv[2]), image, 0.02).array.tobytes()).hexdigest())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(sys.path), json.dumps(rows[0])],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == hashlib.sha256(first[0].tobytes()).hexdigest()


@given(
    x0=st.integers(-70, 70),
    y0=st.integers(-70, 70),
    size=st.integers(1, 40),
    nx=st.integers(5, 40),
    ny=st.integers(5, 40),
)
@settings(max_examples=80, deadline=None)
def test_add_and_cut(x0, y0, size, nx, ny):
    """Adding is what indexing into a large canvas does; cutting is reading that canvas."""
    part = Stamp(np.arange(1.0, 13 * 9 + 1).reshape(13, 9), x0, y0)
    large = np.zeros((400, 400))
    large[y0 + 150 : y0 + 163, x0 + 150 : x0 + 159] = part.array
    canvas = np.zeros((ny, nx))
    add_stamp(canvas, part)
    assert np.array_equal(canvas, large[150 : 150 + ny, 150 : 150 + nx])
    assert np.array_equal(cut(part, 3, -4, size), large[146 : 146 + size, 153 : 153 + size])


def test_size_reframes():
    row = galaxy(x=20.3, y=31.8)
    natural, framed = draw_source(row, image()), draw_source(row, image(), size=31)
    assert framed.array.shape == (31, 31) and (framed.x0 + 15, framed.y0 + 15) == (20, 32)
    assert np.array_equal(framed.array, cut(natural, framed.x0, framed.y0, 31))


def test_photon_noise_is_of_the_source():
    """Variance s / gain; independent of the sky's stream, with which it adds up."""
    flat = Stamp(np.full((600, 600), 30.0), 0, 0)
    gain, sky = 5.0, 2.0
    photons = photon_noise(flat, gain, stream(1, "case", 0, 7, "i", "photons"))
    background = sky * stream(1, "case", 0, "i", "sky").standard_normal((600, 600))
    assert photons.var() == pytest.approx(30.0 / gain, rel=0.01)
    assert (photons + background).var() == pytest.approx(30.0 / gain + sky**2, rel=0.01)
    assert abs(np.corrcoef(photons.ravel(), background.ravel())[0, 1]) < 0.01


def test_twins_share_the_deviates_of_photon_noise():
    plus, minus = (Stamp(np.abs(draw_source(galaxy(22), image(), g).array), 0, 0) for g in (0.02, -0.02))
    a, b = (photon_noise(s, 100.0, stream(1, 2)) / np.sqrt(s.array) for s in (plus, minus))
    np.testing.assert_allclose(a, b, rtol=1e-9)


def test_negative_light_has_no_photon_noise():
    assert not photon_noise(Stamp(np.full((4, 4), -1.0), 0, 0), 10.0, stream(1)).any()


def test_stamp_from_a_file(tmp_path):
    """A Gaussian at another pixel scale, off-centre: flux, place, and moments that add to the PSF's."""
    path, scale, sigma = tmp_path / "stamp.fits", 0.1, 4.0
    y, x = np.indices((61, 61)) - 30
    header = fits.Header(
        {
            "CTYPE1": "RA---TAN",
            "CTYPE2": "DEC--TAN",
            "CRPIX1": 31,
            "CRPIX2": 31,
            "CRVAL1": 10,
            "CRVAL2": -20,
            "CDELT1": -scale / 3600,
            "CDELT2": scale / 3600,
        }
    )
    fits.PrimaryHDU(7 * np.exp(-0.5 * ((x - 3) ** 2 + (y + 2) ** 2 / 4) / sigma**2), header).writeto(path)
    row = {"kind": "stamp", "stamp": str(path), "x": 50.25, "y": 40.5, "flux_i": 1000.0}
    stamp = draw_source(row, gaussian_image(size=61))
    total, (cx, cy), (xx, yy, xy) = moments(stamp.array)
    assert total == pytest.approx(1000.0)
    assert (cx + stamp.x0, cy + stamp.y0) == pytest.approx((50.25 + 1.5, 40.5 - 1.0), abs=0.02)
    assert [xx, yy, xy] == pytest.approx([4 + 4.0, 4 + 16.0, 0.0], abs=0.25)


@pytest.mark.parametrize(
    "change, text",
    [
        ({"n_disk": 8.0}, "Sersic index"),
        ({"hlr_disk": 0.0}, "half-light radius"),
        ({"hlr_disk": np.nan}, "half-light"),
        ({"g1_disk": 1.0}, "half-light radius"),
        ({"kind": "blob"}, "cannot be drawn"),
        ({"flux_i": np.nan}, "flux"),
        ({"bulge_fraction_i": np.nan}, "half-light"),
        ({"kind": "trail", "trail_length": 0.0, "trail_angle": 0.0}, "trail"),
        ({"kind": "stamp", "stamp": "no/such.fits"}, "not an image"),
    ],
)
def test_refuses_what_cannot_be_drawn(change, text):
    with pytest.raises(StudyError, match=text):
        draw_source({**galaxy(), **change, "source_id": 12}, image())


def test_refuses_a_stamp_without_wcs(tmp_path):
    fits.PrimaryHDU(np.ones((5, 5))).writeto(tmp_path / "bare.fits")
    with pytest.raises(StudyError, match="WCS"):
        draw_source({"kind": "stamp", "stamp": str(tmp_path / "bare.fits"), "x": 1, "y": 1, "flux_i": 1.0}, image())


def test_wcs_of_patches():
    """North up, east left, the scale asked for, the centre at the reference point, no two in one place."""
    wcs = profiles.wcs_for_patch(3, (200, 300), 0.2)
    ra, dec = pixel_to_sky(wcs, np.array([149.5, 150.5, 149.5]), np.array([99.5, 99.5, 100.5]))
    assert (ra[0], dec[0]) == pytest.approx(tuple(wcs.wcs.crval), abs=1e-9)
    assert (ra[1] - ra[0]) * np.cos(np.radians(dec[0])) * 3600 == pytest.approx(-0.2, rel=1e-6)
    assert (dec[2] - dec[0]) * 3600 == pytest.approx(0.2, rel=1e-6)
    places = np.array([profiles.wcs_for_patch(k, (300, 300), 0.2).wcs.crval for k in range(300)])
    gap = np.abs(places[:, None] - places[None]).max(axis=2)[~np.eye(300, dtype=bool)]
    assert gap.min() > 0.1 and places[:, 1].min() >= -60 and places[:, 1].max() <= 0
