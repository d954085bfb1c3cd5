"""Fields of stars, drawn by GalSim, for tests."""

from dataclasses import replace

import galsim
import numpy as np
from blendimpact.data.psf import psf_object, psf_pixels
from blendimpact.stats.streams import stream
from patch_maker import SCALE, make_patch

KOLMOGOROV = {"kind": "kolmogorov", "fwhm": 0.75}


def star_field(
    stars, shape=(120, 160), psf=None, key=0, bands=("i",), ratios=None, noise=1.0, gain=None, mask=None, sky=0.0
):
    """Return a patch of ``stars``, rows of (x, y, flux), with noise of variance ``noise``^2 and, with a gain, photons.

    ``ratios``: flux of each star in each band as a multiple of ``flux``, (bands, N); 1 by default.
    """
    model = psf or {band: KOLMOGOROV for band in bands}
    stars = np.asarray(stars, dtype=float).reshape(-1, 3)
    images, variances = {}, {}
    for b, band in enumerate(bands):
        image = galsim.ImageD(shape[1], shape[0], scale=SCALE, init_value=0)
        profile = psf_object(model[band])
        for k, (x, y, flux) in enumerate(stars):
            share = 1 if ratios is None else ratios[b][k]
            cx, cy = (int(np.floor(v + 0.5)) for v in (x, y))
            stamp = profile.withFlux(flux * share).drawImage(
                nx=161, ny=161, scale=SCALE, dtype=float, offset=(x - cx, y - cy)
            )
            stamp.setCenter(cx + 1, cy + 1)
            overlap = stamp.bounds & image.bounds
            image[overlap] += stamp[overlap]
        variance = noise**2 + (image.array / gain if gain else 0)
        rng = stream(11, "star_field", key, band)
        images[band] = sky + image.array + np.sqrt(variance) * rng.normal(size=shape)
        variances[band] = np.broadcast_to(variance, shape).astype(np.float32)
    patch = make_patch(images, psf=psf_pixels(KOLMOGOROV, SCALE), mask=mask)
    for band in bands:
        patch.bands[band] = replace(
            patch.bands[band],
            psf_model=dict(model[band]),
            variance=variances[band],
            psf=psf_pixels(model[band], SCALE),
            gain=gain or 1.0,
        )
    return patch


def snr_flux(snr, psf=KOLMOGOROV, noise=1.0):
    """Flux of a star of matched-filter signal-to-noise ratio ``snr`` in white noise."""
    return snr * noise / float(np.sqrt((psf_object(psf).drawImage(nx=81, ny=81, scale=SCALE).array ** 2).sum()))


def random_field(n, shape, key, faint=5.0, bright=300.0):
    """Rows (x, y, flux) of n random stars, brightest first, S/N from a power law."""
    rng = stream(12, "random_field", key)
    snr = (bright**-0.75 + rng.uniform(size=n) * (faint**-0.75 - bright**-0.75)) ** (-1 / 0.75)
    place = rng.uniform(-0.5, np.array(shape[::-1]) - 0.5, (n, 2))
    return np.column_stack([place, snr_flux(np.sort(snr)[::-1])])
