"""Shapes and sizes: adaptive moments (Bernstein & Jarvis 2002; Hirata & Seljak 2003), by GalSim's HSM."""

from dataclasses import dataclass

import galsim
import numpy as np

from ..config.options import NotNegative, Positive
from ..data.flags import Bits
from ..data.psf_shift import equivalent_fwhm
from . import MEASUREMENTS
from .base import Measurement
from .photometry import reaches_outside

BITS = SHAPE_BITS = Bits(
    {
        0: ("NOT_MEASURED", "shapes are measured in another band"),
        1: ("FAILED", "the moments did not converge to anything; another bit has the reason"),
        2: ("ITERATIONS", "too many iterations"),
        3: ("DIVERGED", "moments too large, or the centroid ran away"),
        4: ("SINGULAR", "moments collapsed or are not positive definite"),
        5: ("EMPTY", "the child image is 0 everywhere"),
        6: ("NOT_FINITE", "a pixel or a moment is not a finite number"),
        7: ("UNKNOWN_FAILURE", "HSM gave a reason that this table does not know"),
        8: ("CENTROID_SHIFT", "the centroid is further from the given centre than allowed: another source?"),
        9: ("SMALL", "smaller than half the PSF: a noise peak"),
        10: ("NEGATIVE", "the best-fitting Gaussian is negative"),
        11: ("EDGE", "three standard deviations of the Gaussian reach outside of the image or the stamp"),
        12: ("LOW_SNR", "signal-to-noise ratio below the configured least one"),
    }
)

# Texts of galsim.hsm's failures, and the bit that each sets.
_REASONS = (
    ("too many iterations", BITS.ITERATIONS),
    ("adaptive moment failed", BITS.DIVERGED),
    ("positive", BITS.SINGULAR),
    ("singular", BITS.SINGULAR),
    ("collapsed", BITS.SINGULAR),
    ("nan", BITS.NOT_FINITE),
    ("all 0", BITS.EMPTY),
)
# With this precision and guess, shapes agree with fully converged ones to 1e-6 (S/N 100) and 1e-5 (10).
PRECISION = 1e-5
MAX_ITERATIONS = 200
_PARAMETERS = galsim.hsm.HSMParams(max_mom2_iter=MAX_ITERATIONS)


@dataclass
class Shapes:
    """Adaptive moments of N images; NaN where ``flag`` has the bit FAILED.

    Attributes
    ----------
    g1, g2 : (N,) array
        Shape of the best-fitting elliptical Gaussian, |g| = (1-q)/(1+q), x axis towards y.
    sigma : (N,) array
        Its size, det(M)^(1/4), in pixels.
    rho4 : (N,) array
        Weighted radial fourth moment: 2 for a Gaussian.
    flux : (N,) array
        Its total flux.
    x, y : (N,) array
        Its centroid in pixels of the stamp, 0-based.
    flag : (N,) int32 array
        Bits of `SHAPE_BITS`.
    """

    g1: np.ndarray
    g2: np.ndarray
    sigma: np.ndarray
    rho4: np.ndarray
    flux: np.ndarray
    x: np.ndarray
    y: np.ndarray
    flag: np.ndarray


def adaptive_moments(stamps, x, y, guess):
    """Measure adaptive moments of many images.

    Pixels that are 0 count as not there: HSM's sums have no normalisation, so a weight of 0 and a
    value of 0 are the same, and a child's pixels without data need no mask.

    Parameters
    ----------
    stamps : (N, S, S) array
        Sky-subtracted images.
    x, y : (N,) array
        Where to start, in pixels of the stamp, 0-based.
    guess : float
        Standard deviation in pixels to start with: a little more than the PSF's.

    Returns
    -------
    Shapes
    """
    n = len(stamps)
    moments = np.full((n, 7), np.nan)
    flag = np.zeros(n, dtype=np.int32)
    finite = np.isfinite(stamps).all(axis=(1, 2)) & np.isfinite(x) & np.isfinite(y)
    for k in range(n):
        if not finite[k]:
            flag[k] = BITS.FAILED | BITS.NOT_FINITE
            continue
        image = galsim.Image(stamps[k], xmin=0, ymin=0)
        found = galsim.hsm.FindAdaptiveMom(
            image,
            guess_sig=guess,
            precision=PRECISION,
            guess_centroid=galsim.PositionD(x[k], y[k]),
            strict=False,
            check=False,
            hsmparams=_PARAMETERS,
        )
        if found.error_message:
            reason = found.error_message.lower()
            flag[k] = BITS.FAILED | next((bit for text, bit in _REASONS if text in reason), BITS.UNKNOWN_FAILURE)
            continue
        shape, centre = found.observed_shape, found.moments_centroid
        row = (shape.g1, shape.g2, found.moments_sigma, found.moments_rho4, found.moments_amp, centre.x, centre.y)
        if np.isfinite(row).all():
            moments[k] = row
        else:
            flag[k] = BITS.FAILED | BITS.NOT_FINITE
    return Shapes(*moments.T, flag)


def psf_sigma(patch):
    """Return the adaptive-moment size of each band's PSF in pixels, {band: float}.

    The Gaussian that adaptive moments fit needs a FWHM of about 1.8 pixels. Of narrower PSFs it is the size of the
    Gaussian with the same noise-equivalent area.

    Raises
    ------
    ValueError
        If a PSF cannot be measured.
    """
    sizes = {}
    for band, image in patch.bands.items():
        psf = np.ascontiguousarray(image.psf, dtype=float)
        centre = np.array([psf.shape[0] // 2])
        found = adaptive_moments(psf[None], centre, centre, guess=0.1 * psf.shape[0])
        sizes[band] = float(found.sigma[0])
        if found.flag[0] or found.flux[0] <= 0:
            sizes[band] = equivalent_fwhm(psf) / 2.3548
            if not 0 < sizes[band] < 1:
                reasons = [name for name, _ in BITS.decode(found.flag[0])] or ["NEGATIVE"]
                raise ValueError(f"the PSF of band {band} has no moments: {', '.join(reasons)}")
    return sizes


@MEASUREMENTS.register("moments")
class AdaptiveMoments(Measurement):
    """Shape, size and centroid of the elliptical Gaussian that fits best, in the shape band.

    Parameters
    ----------
    min_snr : float
        Least signal-to-noise ratio of a shape without a flag.
    max_shift : float
        Largest distance in arcsec from the given centre to the centroid without one.
    """

    columns = {
        "e1": (None, "shape of the adaptive moments, |e| = (1-q)/(1+q), along the x axis; not PSF-corrected"),
        "e2": (None, "the same along the diagonal y = x"),
        "sigma": ("pix", "size det(M)^(1/4) of the adaptive moments"),
        "resolution": (None, "1 - sigma_psf^2 / sigma^2"),
        "snr_shape": (
            None,
            "signal-to-noise ratio of the adaptive Gaussian; 1 / snr_shape is the standard "
            "deviation of e1 and of e2 for a Gaussian source in white noise",
        ),
        "rho4": (None, "weighted radial fourth moment: 2 for a Gaussian"),
        "flux_hsm": (None, "flux of the adaptive Gaussian, unit of the image"),
        "x_hsm": ("pix", "adaptive centroid along axis 1, 0-based"),
        "y_hsm": ("pix", "adaptive centroid along axis 2, 0-based"),
        "shape_flag": (None, "bits of blendimpact.measure.shapes.SHAPE_BITS"),
    }

    def __init__(self, min_snr: NotNegative = 0.0, max_shift: Positive = 1.0):
        self.min_snr, self.max_shift = min_snr, max_shift

    def measure(self, objects):
        """Return the columns of `columns`."""
        found, children = objects.moments, objects.children
        _, error = objects.aperture(objects.shape)
        noise = error / np.sqrt(np.pi * objects.radius**2)  # per pixel, correlations included
        snr = found.flux / (2 * np.sqrt(np.pi) * found.sigma * noise)
        x, y = found.x + children.x0, found.y + children.y0
        reach, size = 3 * found.sigma, children.stamps.shape[-1]
        outside = reaches_outside(x, y, reach, reach, 0.0, objects.patch.shape)
        outside |= reaches_outside(found.x, found.y, reach, reach, 0.0, (size, size))
        flag = found.flag.copy()
        for bit, condition in (
            (BITS.CENTROID_SHIFT, np.hypot(x - objects.x, y - objects.y) * objects.scale > self.max_shift),
            (BITS.SMALL, found.sigma < 0.5 * objects.psf_sigma),
            (BITS.NEGATIVE, found.flux <= 0),
            (BITS.EDGE, outside & np.isfinite(found.sigma)),
            (BITS.LOW_SNR, snr < self.min_snr),
        ):
            flag |= np.where(condition, bit, 0).astype(np.int32)
        flags = np.full((len(objects), len(objects.bands)), BITS.NOT_MEASURED, dtype=np.int32)
        flags[:, objects.shape] = flag
        return {
            "e1": found.g1,
            "e2": found.g2,
            "sigma": found.sigma,
            "resolution": 1 - objects.psf_sigma**2 / found.sigma**2,
            "snr_shape": snr,
            "rho4": found.rho4,
            "flux_hsm": found.flux,
            "x_hsm": x,
            "y_hsm": y,
            "shape_flag": flags,
        }
