"""Stamps around bright sources, and linear least squares on them with a noisy regressor."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import maximum_filter

from .kernels import Filter

MIN_STAMPS = 3
ROUNDS = 4  # of leaving out stamps that do not fit
_NSIGMA = 4.0  # how far off a stamp may be


@dataclass
class Fit:
    """Solution of a least-squares problem on stamps.

    Attributes
    ----------
    coefficients : (m,) array or None
        None: the stamps do not determine them.
    kept : (n,) bool array
        Stamps that were used.
    rank : int
        Combinations of coefficients that the stamps determine; the others are 0.
    chi2 : float
        Median over the kept stamps of the mean squared residual in units of its variance.
    """

    coefficients: np.ndarray | None
    kept: np.ndarray
    rank: int = 0
    chi2: float = np.nan


def choose(pair, size, snr=20.0, most=100):
    """Find the sources that an engine may measure on: bright in both images, whole, apart.

    Stars, galaxies and blends all serve: what is compared is the same light under two PSFs. What is bright in
    one of the images alone (a transient) is not chosen; variable sources are found later, by their residuals.

    Parameters
    ----------
    pair : Pair
    size : int
        Side of a stamp, odd; no pixel of it may lack data or lie outside of the image.
    snr : float
        Least matched-filter signal-to-noise ratio in each image.
    most : int
        The brightest so many.

    Returns
    -------
    (n, 2) int array
        Row and column of the central pixels, brightest first.
    """
    half, shape = size // 2, pair.bad.shape
    if min(shape) < size or min(pair.levels) <= 0:
        return np.zeros((0, 2), dtype=int)
    run = Filter(shape, max(p.shape[0] // 2 for p in (pair.science_psf, pair.template_psf)))
    height = np.minimum(
        *(
            run.correlate(image, psf) / np.sqrt(level * (psf**2).sum())
            for image, psf, level in (
                (pair.science, pair.science_psf, pair.levels[0]),
                (pair.template, pair.template_psf, pair.levels[1]),
            )
        )
    )
    whole = _sums(~pair.bad, size) == size**2
    peaks = whole & (height > snr)
    peaks[:half], peaks[shape[0] - half :], peaks[:, :half], peaks[:, shape[1] - half :] = False, False, False, False
    peaks &= height == maximum_filter(height, size=3, mode="nearest")
    found = np.argwhere(peaks)
    found = found[np.argsort(-height[tuple(found.T)], kind="stable")]
    apart, keep = size // 2, []
    for place in found:  # at most ``most`` are kept, so this is short
        if len(keep) == most:
            break
        if not keep or np.abs(np.array(keep) - place).max(axis=1).min() > apart:
            keep.append(place)
    return np.array(keep, dtype=int).reshape(-1, 2)


def _sums(array, size):
    """Return sums over squares of odd ``size`` about each pixel, as far as they lie inside of the image."""
    half = size // 2
    total = np.pad(np.pad(array.astype(np.int64), half).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    return total[size:, size:] - total[:-size, size:] - total[size:, :-size] + total[:-size, :-size]


def cut(plane, places, size):
    """Return (n, size, size) stamps of a plane about the central pixels; 0 outside of the image."""
    half = size // 2
    padded = np.pad(plane, half)
    return np.lib.stride_tricks.sliding_window_view(padded, (size, size))[places[:, 0], places[:, 1]]


def solve(target, design, variance, bias=None, rcond=1e-13):
    """Solve ``target`` = coefficients . ``design`` on stamps, leaving out those that do not fit.

    The design is made of a noisy image. Its noise adds to the sums of squares and would pull the coefficients to
    0: the expected addition, ``bias``, is taken off. Combinations of coefficients for which what is left is less than
    a tenth of what is taken off (or ``rcond`` of the largest) are not determined and set to 0.

    Parameters
    ----------
    target : (n, p) array
    design : (m, n, p) array
    variance : (n, p) array
        Of ``target - coefficients . design``, about.
    bias : (n, m, m) array, optional
        Expected sum over the pixels of a stamp of noise_i noise_j / variance of the design's rows.
    rcond : float

    Returns
    -------
    Fit
    """
    weight = 1 / variance
    weighted = design * weight
    gram = np.matmul(weighted.transpose(1, 0, 2), design.transpose(1, 2, 0))
    right = np.einsum("mnp,np->nm", weighted, target)
    bias = np.zeros_like(gram) if bias is None else bias
    kept = np.ones(len(target), dtype=bool)
    fit = Fit(None, kept)
    for number in range(ROUNDS):
        coefficients, rank = _solve(gram[kept].sum(0), bias[kept].sum(0), right[kept].sum(0), rcond)
        if coefficients is None:
            return Fit(None, kept)
        residual = target - np.tensordot(coefficients, design, 1)
        chi2 = np.mean(residual**2 * weight, axis=1)
        middle = np.median(chi2[kept])
        fit = Fit(coefficients, kept, rank, float(middle))
        # The noise of chi2 itself, and the scatter of how well the model describes sources.
        spread = max(1.4826 * np.median(np.abs(chi2[kept] - middle)), middle * np.sqrt(2 / target.shape[1]))
        use = kept & (chi2 <= middle + _NSIGMA * spread)
        if use.sum() < MIN_STAMPS or (use == kept).all() or number == ROUNDS - 1:
            break
        kept = use
    return fit


def _solve(gram, bias, right, rcond):
    """Return the coefficients and how many combinations of them are determined; None if none is."""
    norm = np.sqrt(np.diag(gram))
    if not (np.isfinite(gram).all() and np.isfinite(right).all() and (norm > 0).all()):
        return None, 0
    scale = 1 / norm
    a, b = (m * scale[:, None] * scale for m in (gram - bias, bias))
    values, vectors = np.linalg.eigh(a)
    noise = np.einsum("ij,ik,kj->j", vectors, b, vectors)
    use = values > np.maximum(0.1 * noise, rcond * values.max())
    if not use.any():
        return None, 0
    vectors = vectors[:, use]
    return scale * (vectors @ ((vectors.T @ (scale * right)) / values[use])), int(use.sum())


def photometric_scale(pair, places, size):
    """Measure the flux of constant sources in the science image over that in the template.

    Each image is convolved with the other's PSF; the slope between the two is fitted on the stamps, each stamp with a
    constant of its own, so that no sky matters.

    Parameters
    ----------
    pair : Pair
    places : (n, 2) int array
        From `choose`.
    size : int

    Returns
    -------
    scale, error : float
        NaN if there are fewer than `MIN_STAMPS`, or no slope. The error is from the scatter of the stamps.
    fit : Fit
    """
    none = np.nan, np.nan, Fit(None, np.zeros(len(places), dtype=bool))
    if len(places) < MIN_STAMPS:
        return none
    run = Filter(pair.bad.shape, max(p.shape[0] // 2 for p in (pair.science_psf, pair.template_psf)))
    science = run.convolve(pair.science, pair.template_psf)
    template = run.convolve(pair.template, pair.science_psf)
    s, t = (cut(p, places, size).reshape(len(places), -1) for p in (science, template))
    vs, vt = (
        cut(v, places, size).reshape(len(places), -1) * (psf**2).sum()
        for v, psf in ((pair.science_variance, pair.template_psf), (pair.template_variance, pair.science_psf))
    )
    s, t = (x - x.mean(axis=1, keepdims=True) for x in (s, t))
    variance = vs + pair.zero_point_scale**2 * vt
    bias = (vt / variance).sum(axis=1)[:, None, None]
    fit = solve(s, t[None], variance, bias)
    if fit.coefficients is None or fit.coefficients[0] <= 0:
        return none
    scale = float(fit.coefficients[0])
    top = (s * t / variance).sum(axis=1)[fit.kept]
    bottom = ((t**2 - vt) / variance).sum(axis=1)[fit.kept]
    error = float(np.sqrt(np.sum((top - scale * bottom) ** 2)) / bottom.sum())
    return scale, error, fit


def offset(pair, places, size):
    """Measure by how much the template is displaced.

    Each image is convolved with the other's PSF; the science image is fitted on the stamps by the template and its
    gradients, as for an offset that is small against the PSF. Light that is in one of the images alone pulls at it.

    Parameters
    ----------
    pair : Pair
    places : (n, 2) int array
        From `choose`.
    size : int

    Returns
    -------
    shift : (2,) array
        Place (x, y) of a source on the template minus that in the science image, pixels; 0 if it is not known.
    error : float
        Standard error along each axis, from the scatter of the stamps; NaN if there are fewer than `MIN_STAMPS`.
    """
    if len(places) < MIN_STAMPS:
        return np.zeros(2), np.nan
    run = Filter(pair.bad.shape, max(p.shape[0] // 2 for p in (pair.science_psf, pair.template_psf)))
    template = run.convolve(pair.template, pair.science_psf)
    planes = run.convolve(pair.science, pair.template_psf), template, *np.gradient(template)[::-1]
    science, *design = (cut(plane, places, size).reshape(len(places), -1) for plane in planes)
    science, *design = (x - x.mean(axis=1, keepdims=True) for x in (science, *design))
    variance = sum(
        share * cut(v, places, size).reshape(len(places), -1) * (psf**2).sum()
        for v, psf, share in (
            (pair.science_variance, pair.template_psf, 1.0),
            (pair.template_variance, pair.science_psf, pair.zero_point_scale**2),
        )
    )
    design = np.array(design)
    fit = solve(science, design, variance)
    if fit.coefficients is None or fit.coefficients[0] <= 0:
        return np.zeros(2), np.nan
    residual = (science - np.tensordot(fit.coefficients, design, 1))[fit.kept]
    weighted = design[:, fit.kept] / variance[fit.kept]
    inverse = np.linalg.inv(np.einsum("inp,jnp->ij", weighted, design[:, fit.kept]))
    pulls = inverse @ np.einsum("inp,np->in", weighted, residual)
    errors = np.sqrt((pulls[1:] ** 2).sum(axis=1))
    return fit.coefficients[1:] / fit.coefficients[0], float(np.sqrt(np.mean(errors**2)) / fit.coefficients[0])
