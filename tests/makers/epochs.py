"""Two epochs of one synthetic sky, for tests of difference imaging: Gaussian sources under Gaussian PSFs."""

import numpy as np
from blendimpact.data.images import BandImage
from blendimpact.stats.streams import stream
from patch_maker import SCALE, gaussian_psf, scene, tan_wcs

SIZE = 384


def sigma_of(fwhm):
    return fwhm / SCALE / np.sqrt(8 * np.log(2))


def epoch(sky, fwhm, noise, key, zero_point=31.4, variance=None):
    """Return an image of a noiseless sky with Gaussian noise of its variance."""
    variance = np.full(sky.shape, noise**2) if variance is None else variance
    pixels = sky + np.sqrt(variance) * stream(7, "epochs", *key).standard_normal(sky.shape)
    return BandImage(
        "i",
        pixels.astype(np.float32),
        variance.astype(np.float32),
        np.zeros(sky.shape, np.uint8),
        gaussian_psf(fwhm),
        tan_wcs(),
        zero_point,
        1e9,
    )


def empty(fwhms=(0.8, 0.8), size=SIZE, noises=(1.0, 0.6), key=0):
    """Return science and template of an empty sky."""
    return [
        epoch(np.zeros((size, size)), f, n, (name, key)) for name, f, n in zip(("science", "template"), fwhms, noises)
    ]


def sources(key, size=SIZE, number=60):
    """Return x, y, flux, intrinsic sigma of stars (0) and galaxies."""
    rng = stream(7, "epochs", "sources", key)
    x, y = rng.uniform(8, size - 8, (2, number))
    return x, y, 10 ** rng.uniform(2.3, 4.3, number), np.where(np.arange(number) % 2, rng.uniform(1, 3, number), 0)


def draw(where, fwhm, size=SIZE, dx=0.0):
    """Return the noiseless sky under one PSF, moved by ``dx`` pixels."""
    image = np.zeros((size, size))
    for x, y, flux, own in zip(*where):
        image += scene(image.shape, [(x + dx, y, flux)], np.hypot(own, sigma_of(fwhm)))
    return image


def pair(
    key=0,
    fwhms=(1.0, 0.7),
    noises=(1.0, 0.5),
    scale=1.0,
    zero_point=31.4,
    dx=0.0,
    transients=(),
    photons=0.0,
    size=SIZE,
):
    """Return science, template, static sky under the science PSF.

    ``scale``: flux in the science image over that in the template. ``transients``: rows of (x, y, flux).
    ``photons``: variance per flux in the science image.
    """
    where = sources(key, size)
    static = draw(where, fwhms[0], size)
    new = scene(static.shape, transients, sigma_of(fwhms[0]))
    science = epoch(
        static + new, fwhms[0], noises[0], ("science", key), variance=noises[0] ** 2 + photons * (static + new)
    )
    template = epoch(
        draw(where, fwhms[1], size, dx) / scale, fwhms[1], noises[1] / scale, ("template", key), zero_point
    )
    return science, template, static


def free_places(key, size=SIZE, clear=26, apart=30, border=40):
    """Return x, y of places without sources, at random sub-pixel positions."""
    x, y, *_ = sources(key, size)
    rng = stream(7, "epochs", "places", key)
    grid = np.arange(border, size - border, 9)
    found = []
    for place in rng.permutation(np.array(np.meshgrid(grid, grid)).reshape(2, -1).T):
        if np.hypot(x - place[0], y - place[1]).min() > clear and all(
            np.hypot(*(place - other)) > apart for other in found
        ):
            found.append(place)
    found = np.array(found) + rng.uniform(-0.5, 0.5, (len(found), 2))
    return found.T
