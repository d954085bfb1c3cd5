"""Small patches made with NumPy and GalSim alone, for tests."""

import galsim
import numpy as np
from astropy.wcs import WCS
from blendimpact.data.images import BandImage, Patch

SCALE = 0.2
FWHM = 0.8


def tan_wcs(scale=SCALE):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval, wcs.wcs.crpix = [150.0, 2.0], [1.0, 1.0]
    wcs.wcs.cd = [[-scale / 3600, 0.0], [0.0, scale / 3600]]
    return wcs


def gaussian_psf(fwhm=FWHM, size=41, scale=SCALE):
    """A Gaussian sampled at pixel centres, so that its moments and sums have closed forms."""
    sigma = fwhm / scale / np.sqrt(8 * np.log(2))
    yy, xx = np.indices((size, size)) - size // 2
    psf = np.exp(-(xx**2 + yy**2) / (2 * sigma**2))
    return psf / psf.sum()


def gaussian(shape, x, y, flux, sigma, g1=0.0, g2=0.0):
    """Sample an elliptical Gaussian (size det^(1/4), reduced-shear shape) at pixel centres."""
    covariance = galsim.Shear(g1=g1, g2=g2).getMatrix() @ galsim.Shear(g1=g1, g2=g2).getMatrix().T * sigma**2
    inverse = np.linalg.inv(covariance)
    yy, xx = np.indices(shape)
    dx, dy = xx - x, yy - y
    exponent = inverse[0, 0] * dx**2 + 2 * inverse[0, 1] * dx * dy + inverse[1, 1] * dy**2
    return flux * np.exp(-0.5 * exponent) / (2 * np.pi * np.sqrt(np.linalg.det(covariance)))


PSF_SIGMA = FWHM / SCALE / np.sqrt(8 * np.log(2))


def make_patch(images, variance=1.0, mask=None, border=0, psf=None, zero_point=31.4):
    """Return a patch of the images by band (dict), or of one image in band i."""
    if not isinstance(images, dict):
        images = {"i": images}
    bands = {}
    for band, image in images.items():
        image = np.asarray(image)
        sigma2 = variance[band] if isinstance(variance, dict) else variance
        bands[band] = BandImage(
            band=band,
            science=image,
            variance=np.full(image.shape, sigma2, dtype=np.float32),
            mask=np.zeros(image.shape, np.uint8) if mask is None else mask.copy(),
            psf=gaussian_psf() if psf is None else psf,
            wcs=tan_wcs(),
            zero_point=zero_point,
            gain=1.0,
        )
    return Patch(0, "zero", 0.0, bands, border)


def scene(shape, stars, sigma=PSF_SIGMA):
    """Sum of round Gaussians out to 7 sigma; ``stars``: rows of (x, y, flux)."""
    image = np.zeros(shape)
    reach = int(7 * sigma) + 1
    for x, y, flux in stars:
        column, row = (max(0, int(c) - reach) for c in (x, y))
        part = image[row : max(0, int(y) + reach + 1), column : max(0, int(x) + reach + 1)]
        part += gaussian(part.shape, x - column, y - row, flux, sigma)
    return image


def peak_snr_flux(snr, sigma=PSF_SIGMA, noise=1.0):
    """Flux of a Gaussian star of matched-filter signal-to-noise ratio ``snr`` in white noise."""
    return snr * noise * 2 * np.sqrt(np.pi) * sigma
