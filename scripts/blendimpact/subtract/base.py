"""What every engine of difference imaging returns, and what is asked of it."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np
from scipy.ndimage import distance_transform_edt

from ..data.brief import Brief
from ..data.flags import Bits
from ..data.images import MASK_BITS
from ..data.images import BandImage as BandImage
from ..errors import StudyError
from ..sky.blends import false_alarm_density
from .kernels import DELTA, Filter, odd_fast, reach, transform, trim, width

__all__ = [
    "BAD",
    "BITS",
    "SUBTRACTION_BITS",
    "Difference",
    "Noise",
    "Pair",
    "Subtractor",
    "failed",
    "finish",
    "prepare",
]

BITS = SUBTRACTION_BITS = Bits(
    {
        0: ("FEW_STAMPS", "too few stars and galaxies to measure on: the PSFs and zero points are taken instead"),
        1: ("SINGULAR", "the kernel could not be solved for: it is taken from the PSFs and zero points"),
        2: ("REJECTED", "more than a third of the stamps did not fit and were left out"),
        3: ("TEMPLATE_WORSE", "the template has the worse seeing"),
        4: ("MASKED", "more than half of the pixels have no data, or too near to one that has none"),
        5: ("NOT_FINITE", "pixels that are not marked as bad are not finite, or have no positive variance"),
        6: ("NO_DATA", "no pixel has data in both images: there is no difference"),
        7: ("FAILED", "the engine gave nothing that is finite: there is no difference"),
        8: ("SCALE", "the measured photometric scale is over 10 per cent off that of the zero points"),
    }
)
BAD = MASK_BITS.BAD


@dataclass
class Noise:
    """One source of the noise of a difference: white noise of known variance under a kernel.

    Attributes
    ----------
    kernel : (k, k) float64 array
        What the engine convolved it with, k odd.
    variance : (ny, nx) float32 array
        Variance before that, in the science image's unit squared; 0 in pixels without data.
    """

    kernel: np.ndarray
    variance: np.ndarray

    @cached_property
    def level(self):
        """Median of the variance over the pixels that have data."""
        seen = self.variance[self.variance > 0]
        return float(np.median(seen)) if seen.size else 0.0


@dataclass(repr=False)
class Difference(Brief):
    """Science minus template, on the photometric scale of the science image.

    Attributes
    ----------
    image : (ny, nx) float32 array
        In the science image's unit: a source that was not there before, of flux f in that unit, is f times
        ``psf``. 0 in pixels without data.
    variance : (ny, nx) float32 array
        Variance of each pixel of ``image``, its square unit. Neighbouring pixels are correlated: see ``noise``.
    mask : (ny, nx) uint8 array
        Bits of `data.images.MASK_BITS` of both images; BAD is grown by the reach of the kernels, edges
        of the image included.
    psf : (k, k) float64 array
        PSF of a transient on ``image``, k odd, unit sum.
    noise : tuple of Noise
        Independent terms; their sum is all of the noise. Correlation and varying depth follow from it.
    scale : float
        Flux of a constant source in the science image's unit over that in the template's. NaN: no template used.
    scale_error : float
        Its standard error; NaN if it was not measured.
    status : int
        Bits of `SUBTRACTION_BITS`.
    static : (ny, nx) float32 array or None
        The light of the template as it was subtracted, for the `registration` term.
    registration : float
        RMS error of the registration along each axis, in pixels; 0 leaves the term out.
    report : dict
        What else the engine measured: numbers by name.
    """

    image: np.ndarray
    variance: np.ndarray
    mask: np.ndarray
    psf: np.ndarray
    noise: tuple
    scale: float = float("nan")
    scale_error: float = float("nan")
    status: int = 0
    static: np.ndarray | None = None
    registration: float = 0.0
    report: dict = field(default_factory=dict)

    @property
    def good(self):
        """Which pixels have data: (ny, nx) bool array."""
        return (self.mask & BAD) == 0

    def grid(self):
        """Return the odd side of a square that holds PSF and noise kernels without wrapping."""
        return odd_fast(self.psf.shape[0] + 2 * max([n.kernel.shape[0] // 2 for n in self.noise], default=0))

    def power(self, size=None):
        """Return the power spectrum of the noise at its median depth, in the layout of a real FFT.

        sum_k |kernel_k|^2 median(variance_k) on a square grid of ``size``: its mean over the Fourier plane is
        the variance of a pixel.
        """
        size = size or self.grid()
        return sum(n.level * np.abs(transform(n.kernel, (size, size))) ** 2 for n in self.noise)

    def alarm_sigma(self, psf=None):
        """Return the sigma in pixels that `sky.blends.false_alarm_density` needs for this noise.

        Matched-filtered noise has the power |psf|^2 / P. Kaiser's rate is that of its peaks for a Gaussian,
        where the mean squared wave number along an axis is 1 / (2 sigma^2); so for any other, with the
        geometric mean of both axes, sigma^2 = 1 / (2 sqrt(det <k k^T>)).
        """
        size = self.grid()
        power, psf = self.power(size), self.psf if psf is None else psf
        weight = np.abs(transform(psf, (size, size))) ** 2 / np.maximum(power, 1e-3 * power.max())
        weight[:, 1 : (size + 1) // 2] *= 2  # the half of the plane that a real FFT leaves out
        ky = 2 * np.pi * np.fft.fftfreq(size)[:, None]
        kx = 2 * np.pi * np.fft.rfftfreq(size)
        xx, yy = (weight * kx**2).sum(), (weight * ky**2).sum()
        return float((2 * np.sqrt(xx * yy) / weight.sum()) ** -0.5)

    def false_alarms(self, threshold):
        """Return how many peaks of either sign pure noise is expected to have beyond ``threshold``."""
        return 2 * int(self.good.sum()) * false_alarm_density(threshold, self.alarm_sigma())

    def chi2(self, where):
        """Return (mean of image^2 / variance, number of pixels) over the pixels of ``where`` that have data."""
        use = np.asarray(where, dtype=bool) & self.good
        number = int(use.sum())
        return (float(np.mean(self.image[use].astype(float) ** 2 / self.variance[use])) if number else np.nan), number


class Subtractor(Protocol):
    """A member of the family: ``blendimpact.subtract.SUBTRACTORS.register(name)`` makes it one."""

    name: str

    def subtract(self, science, template, static=None):
        """Subtract a template from a science image.

        Parameters
        ----------
        science, template : BandImage
            The same sky on the same pixels, each sky-subtracted, with its own PSF, variance, mask and
            zero point.
        static : (ny, nx) array, optional
            Noiseless light of everything that has not changed, as it is in ``science``: in its unit, under
            its PSF. Only the bound "truth" looks at it.

        Returns
        -------
        Difference
            Trouble is in its ``status``.

        Raises
        ------
        StudyError
            Only for what a user can mend: images of different shape, a package that is not installed.
        """


@dataclass
class Pair:
    """Both images ready to be convolved.

    Attributes
    ----------
    science, template : (ny, nx) float64 array
        0 in pixels that have no data in one of them.
    science_variance, template_variance : (ny, nx) float32 array
        0 there too.
    mask : (ny, nx) uint8 array
        Union; BAD in all pixels without data.
    bad : (ny, nx) bool array
    science_psf, template_psf : (k, k) float64 array
        Unit sum.
    levels : tuple of float
        Median variance of each.
    zero_point_scale : float
        Flux of a source in the science image's unit over that in the template's, from the zero points.
    status : int
    """

    science: np.ndarray
    template: np.ndarray
    science_variance: np.ndarray
    template_variance: np.ndarray
    mask: np.ndarray
    bad: np.ndarray
    science_psf: np.ndarray
    template_psf: np.ndarray
    levels: tuple
    zero_point_scale: float
    status: int


def prepare(science, template):
    """Check two images and return them as a `Pair`; ``template`` may be None: then it is empty.

    Raises
    ------
    StudyError
        If their shapes differ.
    """
    images = [science] if template is None else [science, template]
    if science.science.shape != images[-1].science.shape:
        raise StudyError(
            f"the science image has shape {science.science.shape}, the template {template.science.shape}",
            "subtract",
            "resample the template to the science image's pixels",
        )
    status, mask, planes = 0, np.zeros(science.science.shape, np.uint8), []
    for image in images:
        with np.errstate(invalid="ignore"):
            usable = np.isfinite(image.science) & np.isfinite(image.variance) & (image.variance > 0)
        if not usable[(image.mask & BAD) == 0].all():
            status |= BITS.NOT_FINITE
        mask |= image.mask | np.where(usable, 0, BAD).astype(np.uint8)
    bad = (mask & BAD) > 0
    for image in images:
        planes += [np.where(bad, 0.0, image.science), np.where(bad, 0, image.variance).astype(np.float32)]
    if bad.all():
        return Pair(
            *[np.zeros(bad.shape)] * 4,
            mask,
            bad,
            science.psf,
            science.psf,
            (0.0, 0.0),
            np.nan,
            status | BITS.NO_DATA | BITS.MASKED,
        )
    if template is None:
        planes += [np.zeros(bad.shape), np.zeros(bad.shape, np.float32)]
    levels = tuple(float(np.median(p[~bad])) for p in planes[1::2])
    psfs = [np.asarray(i.psf, float) / np.sum(i.psf) for i in images]
    if width(psfs[-1]) > 1.001 * width(psfs[0]):
        status |= BITS.TEMPLATE_WORSE
    scale = 10 ** (0.4 * (science.zero_point - images[-1].zero_point))
    return Pair(planes[0], planes[2], planes[1], planes[3], mask, bad, psfs[0], psfs[-1], levels, scale, status)


def failed(pair, status):
    """Return the `Difference` of a pair that has none: no pixel has data."""
    empty = np.zeros(pair.bad.shape, np.float32)
    return Difference(
        empty,
        empty.copy(),
        pair.mask | np.uint8(BAD),
        pair.science_psf,
        (Noise(DELTA, empty.copy()),),
        status=pair.status | status | BITS.MASKED,
    )


def finish(pair, image, psf, noise, static=None, registration=0.0, edges=True, **measured):
    """Make a `Difference`: propagate the variance, grow the mask, set bits, trim kernels.

    Parameters
    ----------
    pair : Pair
    image : (ny, nx) array
    psf : (k, k) array
        Of a transient; trimmed and normalised here.
    noise : sequence of Noise
    static, registration
        As in `Difference`; the plane is dropped if the registration is exact.
    edges : bool
        Whether pixels whose kernel reaches over the edge of the image have no data.
    **measured
        Further fields of `Difference`; ``status`` is added to that of the pair.
    """
    status = pair.status | measured.pop("status", 0)
    noise = tuple(Noise(trim(np.asarray(n.kernel, float)), n.variance) for n in noise if n.variance.any())
    psf = trim(np.asarray(psf, float))
    if not (
        noise
        and np.isfinite(image).all()
        and np.isfinite(psf).all()
        and psf.sum() > 0
        and all(np.isfinite(n.kernel).all() for n in noise)
    ):
        return failed(pair, status | BITS.FAILED)
    half = max(n.kernel.shape[0] // 2 for n in noise)
    run = Filter(image.shape, half)
    variance = sum(run.convolve(n.variance, n.kernel**2) for n in noise)
    grow = max(reach(n.kernel) for n in noise)
    bad, mask = pair.bad, pair.mask.copy()
    if grow:
        pad = int(edges)
        lost = np.pad(bad, pad, constant_values=True)
        if lost.any():
            bad = (distance_transform_edt(~lost) <= grow)[pad : lost.shape[0] - pad, pad : lost.shape[1] - pad]
    bad = bad | (variance <= 0)
    mask[bad] |= BAD
    if bad.mean() > 0.5:
        status |= BITS.MASKED
    scale = measured.get("scale", np.nan)
    if np.isfinite(scale) and abs(scale / pair.zero_point_scale - 1) > 0.1:
        status |= BITS.SCALE
    return Difference(
        np.where(bad, 0, image).astype(np.float32),
        np.maximum(variance, 0).astype(np.float32),
        mask,
        psf / psf.sum(),
        noise,
        status=status,
        registration=registration,
        static=None if static is None or not registration else static.astype(np.float32),
        **measured,
    )


def checked(name, difference, science, *_, **__):
    """Return the difference that an engine made, if it is what the rest of the study can take.

    Raises
    ------
    StudyError
        That names the engine and what to mend: planes of another shape than the science image's, or pixels that are
        said to have data and are no numbers.
    """
    who, shape = f"the subtractor {name!r}", science.science.shape
    for name in ("image", "variance", "mask"):
        found = getattr(getattr(difference, name, None), "shape", None)
        if found != shape:
            raise StudyError(
                f"{who} returned a plane {name!r} of shape {found}, the science image has {shape}",
                None,
                "return a subtract.base.Difference on the pixels of the science image",
            )
    lost = difference.good & ~(np.isfinite(difference.image) & np.isfinite(difference.variance))
    if lost.any():
        raise StudyError(
            f"{who} returned {lost.sum()} pixels without a number that are not masked",
            None,
            "set BAD in the mask of pixels without data, and 0 in their image",
        )
    return difference
