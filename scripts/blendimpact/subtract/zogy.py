"""Proper image subtraction (Zackay, Ofek & Gal-Yam 2016), background-limited."""

from typing import Literal

import numpy as np
from scipy import fft

from ..config.options import Count, NotNegative, Positive
from . import SUBTRACTORS
from .base import BITS, Noise, failed, finish, prepare
from .kernels import kernel_of, odd_fast, transform
from .stamps import MIN_STAMPS, choose, offset, photometric_scale

# Where both PSFs are below it, their ratio is that of errors and would ring over the image; there both are given this
# much more, so that the images are subtracted as they are. Elsewhere it adds the cube of this.
_FLOOR = 1e-3


@SUBTRACTORS.register("zogy")
class ZogySubtractor:
    """The difference whose noise is white and which loses no information, for known PSFs and white noise.

    Each image is convolved with the other's PSF, the difference is whitened (their equation 13):

        D = (P_t S - P_s F T) / sqrt(sigma_s^2 |P_t|^2 + F^2 sigma_t^2 |P_s|^2)

    in Fourier space, P the PSFs, F the photometric scale, sigma^2 the median variances. It is divided by
    its flux zero point 1 / sqrt(sigma_s^2 + F^2 sigma_t^2), so that it is in the science image's unit. Neither image
    is deconvolved, so the template may have the worse seeing. Their S is the matched filter of
    `blendimpact.search.filters`, their S_corr the same with the noise of the sources and
    the ``registration`` term, both of which it has.

    Parameters
    ----------
    scale : "measure" or "zero_points"
        "measure": on bright sources, where there are enough.
    registration : float
        RMS registration error along each axis, in pixels, that the search is to allow for.
    align : bool
        Measure the offset of this template on bright sources and take it away; ``registration`` is then what is
        expected of it before, and the search allows for what is not known after.
    stamp_snr : float
        Least signal-to-noise ratio of the sources that scale and offset are measured on, in both images.
    stamp : int
        Side of a stamp in pixels, odd.
    background : "median" or "none"
        "median": that of the difference is taken away, with some of the light of comae in it; "none": both images have
        no sky.
    """

    def __init__(
        self,
        scale: Literal["measure", "zero_points"] = "measure",
        registration: NotNegative = 0.0,
        stamp_snr: Positive = 30.0,
        stamp: Count = 31,
        align: bool = False,
        background: Literal["median", "none"] = "median",
    ):
        self.background = background
        self.align = align
        self.scale, self.registration, self.stamp_snr, self.stamp = scale, registration, stamp_snr, int(stamp) | 1

    def subtract(self, science, template, static=None):
        """Return the proper `Difference`."""
        pair = prepare(science, template)
        if pair.status & BITS.NO_DATA:
            return failed(pair, 0)
        status, scale, error = 0, pair.zero_point_scale, np.nan
        shift, registration = np.zeros(2), self.registration
        if self.align or self.scale == "measure":
            places = choose(pair, self.stamp, self.stamp_snr)
        if self.align:
            shift, registration = aligned(*offset(pair, places, self.stamp), registration)
        if self.scale == "measure":
            measured, measured_error, fit = photometric_scale(pair, places, self.stamp)
            if np.isfinite(measured):
                scale, error = measured, measured_error
                status |= BITS.REJECTED if fit.kept.mean() < 2 / 3 else 0
            else:
                status |= BITS.FEW_STAMPS if len(places) < MIN_STAMPS else BITS.SINGULAR
        sigma2 = pair.levels[0], scale**2 * pair.levels[1]

        def operators(shape):
            ps, pt = transform(pair.science_psf, shape), transform(pair.template_psf, shape)
            light = np.abs(ps) ** 2 + np.abs(pt) ** 2
            floor = _FLOOR**3 / (_FLOOR**2 + light)
            qs, qt = ps + floor, pt + floor
            root = np.sqrt((sigma2[0] * np.abs(qt) ** 2 + sigma2[1] * np.abs(qs) ** 2) / (sigma2[0] + sigma2[1]))
            back = np.exp(2j * np.pi * (fft.fftfreq(shape[0])[:, None] * shift[1] + fft.rfftfreq(shape[1]) * shift[0]))
            # What the floor adds is no PSF: moved by part of a pixel it would ring.
            return qt / root, (ps * back + floor) / root, ps * qt / root

        ny, nx = pair.bad.shape
        half = max(p.shape[0] for p in (pair.science_psf, pair.template_psf))
        shape = tuple(fft.next_fast_len(n + half, real=True) for n in (ny, nx))
        a, b, _ = operators(shape)
        below = b * fft.rfft2(scale * pair.template, s=shape)
        image = fft.irfft2(a * fft.rfft2(pair.science, s=shape) - below, s=shape)[:ny, :nx]
        background = float(np.median(image[~pair.bad])) if self.background == "median" else 0.0
        image -= background
        moved = fft.irfft2(below, s=shape)[:ny, :nx] if registration else None

        size = odd_fast(2 * half)
        a, b, psf = (kernel_of(k, size) for k in operators((size, size)))
        noise = [Noise(a, pair.science_variance), Noise(scale * b, pair.template_variance)]
        return finish(
            pair,
            image,
            psf,
            noise,
            static=moved,
            registration=registration,
            scale=scale,
            scale_error=error,
            status=status,
            report={"background": background, "offset_x": float(shift[0]), "offset_y": float(shift[1])},
        )


def aligned(shift, error, expected):
    """Return the offset to take away and the rms that stays, of one that was measured.

    Parameters
    ----------
    shift : (2,) array
    error : float
        Of each axis; NaN if it was not measured.
    expected : float
        RMS of offsets; 0: nothing is known of them.
    """
    if not np.isfinite(error):
        return np.zeros(2), expected
    weight = expected**2 / (expected**2 + error**2) if expected else 1.0
    return weight * shift, float(np.sqrt(weight)) * error
