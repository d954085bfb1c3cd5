"""The noise of a difference as it is: its correlation and its scale, measured on the difference itself.

What an engine says of its noise follows from the variances of two images whose noise it takes for white. That of
resampled images is not. Everything that is found or measured on a difference takes its errors from
`subtract.base.Difference.noise`, so that is what is mended.
"""

from dataclasses import replace

import numpy as np
from scipy.ndimage import maximum_filter

from ..sky.adopt.noise import measure_correlation
from ..subtract.base import Noise
from ..subtract.kernels import kernel_of, odd_fast, reach, transform, trim
from .filters import matched_filter

LAG = 10
"""Largest distance in pixels over which the correlation is measured."""
CHANGED, ROUNDS = 4.0, 4
"""Height of the matched filter, in units of its own scatter, about which pixels are not noise; how often that scatter
is measured again without them."""
LEAST_PIXELS = 20 * (2 * LAG + 1) ** 2
"""Pixels of noise that a correlation needs: below it only the scale is measured."""
FLOOR = 1e-3  # of the power's maximum


def own_noise(difference, like=None):
    """Return a difference whose noise is the one that it has.

    The correlation of its pixels is measured where nothing has changed, and the kernels of all terms of the noise are
    given what is lacking: they are convolved with a kernel of the spectrum sqrt(P_measured / P_expected). Then they are
    multiplied by a number, so that the middle 68 per cent of the S/N of point sources lies within -1 and 1. How
    the depth varies over the image stays as the engine says.

    Parameters
    ----------
    difference : Difference
    like : Difference, optional
        Measured is the noise of this one, which has the same terms; the difference's own by default.

    Returns
    -------
    Difference
    """
    like = difference if like is None else like
    if not like.good.any():
        return difference
    noise = _unchanged(like, matched_filter(like))
    lacking = _lacking(like, noise) if noise.sum() >= LEAST_PIXELS else np.ones((1, 1))
    scale = _scatter(matched_filter(_under(like, lacking)).snr[noise])
    return _under(difference, lacking * scale)


def _unchanged(difference, filtered):
    """Return the pixels that have nothing but noise: no light of a source that stands out of it."""
    here = np.isfinite(filtered.error)
    noise = here & difference.good
    for _ in range(ROUNDS):
        changed = here & (np.abs(filtered.snr) > CHANGED * _scatter(filtered.snr[noise]))
        noise = here & difference.good & ~maximum_filter(changed, 2 * reach(difference.psf, 0.99) + 1)
    return noise


def _scatter(snr):
    """Return half of the width of the middle 68 per cent of the signal-to-noise ratio; 1 if it has none."""
    low, high = np.percentile(snr, [15.87, 84.13]) if snr.size else (0, 0)
    return float((high - low) / 2) or 1.0


def _lacking(difference, use):
    """Return the kernel that the noise of a difference lacks, from its pixels that are noise."""
    pulls = np.zeros(difference.image.shape)
    pulls[use] = difference.image[use] / np.sqrt(difference.variance[use])
    found, _ = measure_correlation(pulls, use, LAG)
    grid = odd_fast(max(difference.grid(), 4 * LAG + 1))
    middle = slice(grid // 2 - LAG, grid // 2 + LAG + 1)
    expected = kernel_of(difference.power(grid), grid)[middle, middle]
    found, expected = (np.abs(transform(c / c[LAG, LAG], (grid, grid)).real) for c in (found, expected))
    ratio = np.maximum(found, FLOOR * found.max()) / np.maximum(expected, FLOOR * expected.max())
    return trim(kernel_of(np.sqrt(ratio), grid)[middle, middle], 1e-2)


def _under(difference, kernel):
    """Return a difference all of whose noise went through one more kernel."""
    noise = []
    for term in difference.noise:
        size = odd_fast(term.kernel.shape[0] + kernel.shape[0])
        both = kernel_of(transform(term.kernel, (size, size)) * transform(kernel, (size, size)), size)
        noise.append(Noise(trim(both, 1e-3), term.variance))
    after, before = (sum(n.level * (n.kernel**2).sum() for n in terms) for terms in (noise, difference.noise))
    return replace(difference, noise=tuple(noise), variance=difference.variance * np.float32(after / before))
