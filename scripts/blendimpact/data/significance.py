"""From the bands of a patch to one image of significance, and its thresholding with SEP.

Sky estimation, detection and segmentation look at the same image, so it is made in one place.
"""

import numpy as np
import sep
from scipy import fft

from .images import AB_NANOJANSKY

KERNEL_3X3 = np.array([[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]]) / 16
KERNELS = ("psf", "3x3", None)
BAD = 1  # bit 0 of core.images.MASK_BITS
SUB_OBJECTS = 16384  # SEP numbers sub-objects with 16-bit integers; its own default is 1024


def coadd(patch, sky=None, bands=None, sed=None):
    """Combine bands into the best estimate of flux density in each pixel.

    For a source whose flux density in band b is a_b times its flux density f, each pixel's
    maximum-likelihood estimate is f = sum_b a_b I_b/V_b / sum_b a_b^2/V_b with variance
    1 / sum_b a_b^2/V_b, where I_b (sky-subtracted) and V_b are in nJy and nJy^2.

    Parameters
    ----------
    patch : Patch
        Science, variance and mask of its bands.
    sky : dict of str to (ny, nx) array, optional
        Sky to subtract from each band, in the band's unit. Absent bands: no sky.
    bands : sequence of str, optional
        Bands to combine; all by default.
    sed : dict of str to float, optional
        The weights a_b. Absent bands: 1, a flat spectrum in f_nu (AB colours of 0).

    Returns
    -------
    flux : (ny, nx) float64 array
        nJy per pixel; 0 where no band has data.
    variance : (ny, nx) float64 array
        nJy^2; infinite where no band has data (MASK bit BAD, or not finite).
    """
    bands = list(bands or patch.bands)
    top, weight = np.zeros(patch.shape), np.zeros(patch.shape)
    for band in bands:
        image = patch.bands[band]
        unit = 10 ** (0.4 * (AB_NANOJANSKY - image.zero_point))
        a = (sed or {}).get(band, 1.0) / unit  # both a_b and the change to nJy
        science = np.asarray(image.science, dtype=np.float64)
        variance = np.asarray(image.variance, dtype=np.float64)
        if sky is not None and band in sky:
            science = science - sky[band]
        with np.errstate(divide="ignore", invalid="ignore"):
            w = a / variance
        good = ((image.mask & BAD) == 0) & np.isfinite(science) & np.isfinite(w) & (variance > 0)
        if not good.all():
            w, science = np.where(good, w, 0.0), np.where(good, science, 0.0)
        top += w * science
        weight += a * w
    with np.errstate(divide="ignore"):
        variance = 1 / weight
    seen = weight > 0
    return np.divide(top, weight, out=np.zeros_like(top), where=seen), variance


def detection_image(patch, sky=None, bands=None, sed=None):
    """Return the `coadd` divided by its standard deviation.

    Returns
    -------
    (ny, nx) float32 array
        Unit variance in every pixel that has data (for noise that is not correlated between
        pixels, also of every sum over pixels); 0 in pixels without data.
    """
    flux, variance = coadd(patch, sky, bands, sed)
    return (flux / np.sqrt(variance)).astype(np.float32)


def kernel_pixels(kernel, patch, bands=None):
    """Return a smoothing kernel of unit sum, or None.

    Parameters
    ----------
    kernel : "psf", "3x3" or None
        "psf": the PSF of the band with the sharpest one, cut where its encircled light reaches
        98 %: the matched filter of a point source. "3x3": SExtractor's ``default.conv``.
    patch : Patch
        For the PSFs.
    bands : sequence of str, optional
        Bands whose PSFs are looked at; all by default.

    Raises
    ------
    ValueError
        If the kernel is none of `KERNELS`.
    """
    if kernel not in KERNELS:
        raise ValueError(f"unknown smoothing kernel {kernel!r}")
    if kernel is None:
        return None
    if kernel == "3x3":
        return KERNEL_3X3
    psf = max((patch.bands[b].psf for b in (bands or patch.bands)), key=lambda p: (p**2).sum() / p.sum() ** 2)
    half = psf.shape[0] // 2
    yy, xx = np.indices(psf.shape) - half
    radius = np.sqrt(xx**2 + yy**2).ravel()
    order = np.argsort(radius, kind="stable")
    inside = np.cumsum(psf.ravel()[order]) < 0.98 * psf.sum()
    reach = min(half, int(np.ceil(radius[order][inside].max(initial=1.0))))
    cut = psf[half - reach : half + reach + 1, half - reach : half + reach + 1]
    cut = np.where(
        (xx**2 + yy**2)[half - reach : half + reach + 1, half - reach : half + reach + 1] <= reach**2, cut, 0.0
    )
    return cut / cut.sum()


def _convolve(array, kernel):
    if kernel is KERNEL_3X3:
        return _separable(array, 2.0) / 16
    # What scipy.signal.fftconvolve does: importing that takes half a second of every job.
    shape = [fft.next_fast_len(a + k - 1, real=True) for a, k in zip(array.shape, kernel.shape)]
    full = fft.irfft2(fft.rfft2(array, shape) * fft.rfft2(kernel, shape), shape)
    (j, ny), (i, nx) = (((k - 1) // 2, n) for k, n in zip(kernel.shape, array.shape))
    return full[j : j + ny, i : i + nx]


def _convolve_squared(array, kernel):
    if kernel is KERNEL_3X3:
        return _separable(array, 4.0) / 256
    return _convolve(array, kernel**2)


def _separable(array, middle):
    """Convolve with (1, middle, 1) along both axes; zero outside."""
    padded = np.pad(array, 1)
    rows = padded[:-2] + middle * padded[1:-1] + padded[2:]
    return rows[:, :-2] + middle * rows[:, 1:-1] + rows[:, 2:]


def smooth(flux, variance, kernel):
    """Smooth an image over the pixels that have data, and propagate white noise.

    Parameters
    ----------
    flux, variance : (ny, nx) array
        As `coadd` returns them.
    kernel : (k, k) array or None
        Symmetric, as `kernel_pixels` returns it.

    Returns
    -------
    flux, error : (ny, nx) float64 array
        sum k f / sum k and sqrt(sum k^2 V) / sum k over the pixels with data, so that
        flux / error has unit variance also at edges and beside masked pixels. Where less than a
        quarter of the kernel has data, and in pixels without data: 0 and infinity.
    """
    seen = np.isfinite(variance)
    if kernel is None:
        return np.where(seen, flux, 0.0), np.sqrt(variance)
    norm = _convolve(seen.astype(float), kernel)
    top = _convolve(np.where(seen, flux, 0.0), kernel)
    noise = _convolve_squared(np.where(seen, variance, 0.0), kernel)
    use = seen & (norm > 0.25) & (noise > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(use, top / norm, 0.0), np.where(use, np.sqrt(noise) / norm, np.inf)


def extract(flux, error, threshold, min_area=5, nthresh=32, contrast=0.005, clean=True):
    """Threshold an image with `sep.extract`, whatever is on it.

    SEP stops with an exception when one connected object has more sub-objects or pixels than
    its buffers hold. The pixel stack is therefore made as large as the image and the limit of
    sub-objects is raised. Should SEP give up all the same, the image is extracted once more without
    splitting, which needs neither; the third return value tells.

    Parameters
    ----------
    flux, error : (ny, nx) array
        As `smooth` returns them: SEP filters no more.
    threshold : float
        In units of ``error``.
    min_area : int
        Least number of connected (8-neighbour) pixels above the threshold.
    nthresh : int
        Number of levels at which SEP looks for sub-objects; 1 does not split.
    contrast : float
        Least share of an object's flux that a sub-object needs; 1 does not split.
    clean : bool
        SExtractor's cleaning of detections on the wings of brighter ones.

    Returns
    -------
    objects : structured array
        As `sep.extract` returns it.
    segmentation : (ny, nx) int32 array
        Row number + 1; 0 is sky.
    gave_up : bool
        SEP could not split: objects are unsplit footprints.
    """
    data = np.ascontiguousarray(flux, dtype=np.float64)
    error = np.where(np.isfinite(error), error, 1.0)  # there the flux is 0: no mask is needed
    sep.set_extract_pixstack(data.size + 1024)
    sep.set_sub_object_limit(SUB_OBJECTS)
    common = dict(err=error, minarea=int(min_area), filter_kernel=None, segmentation_map=True)
    try:
        objects, segmentation = sep.extract(
            data, threshold, deblend_nthresh=int(nthresh), deblend_cont=float(contrast), clean=bool(clean), **common
        )
        return objects, segmentation, False
    except Exception:  # sep raises bare Exception with its own text
        objects, segmentation = sep.extract(data, threshold, deblend_nthresh=1, deblend_cont=1.0, clean=False, **common)
        return objects, segmentation, True
