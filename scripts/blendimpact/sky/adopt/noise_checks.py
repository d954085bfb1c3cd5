"""Is the noise of a real image right? Its measured variance beside a given plane, and beside the photons of its sky.

Three things can be known of the variance of an empty pixel: what the pixels themselves scatter (it has the light of
undetected sources in it), what a plane says that came with the image (of unknown kind and scale), and the photons of
the sky, sky / gain (a lower limit, and only where the image still has its sky). Where they disagree, one is wrong.
"""

from dataclasses import replace

import numpy as np
from scipy import ndimage

from ...errors import StudyError
from .noise import NoiseModel
from .planes import KINDS

WARN, REFUSE = 2.0, 3.0
"""Factors between variances beyond which the report warns, and beyond which an image is refused."""
CROWDED = 4.0, 9.0
"""The same for what is measured over the photons of the sky, in a crowd: factors 2 and 3 of the standard deviation."""
RESAMPLED = 9.0
"""Largest ratio of variances that is put down to resampling: drizzling to a third of a pixel."""
SKEWED = 0.15
"""`asymmetry` of noise from which it is light: 0.01 in white noise, 0.3 where stars have 10 pixels each, 0.7 with 2."""


def with_source_photons(variance, light, free, rms, gain):
    """Return sky variance and the slope x gain of a given variance against light (1: it has sources' photons).

    What the plane has of the light is taken off: the part of light / gain that the slope says, between none and all.

    Parameters
    ----------
    variance, light, rms : (ny, nx) array
    free : (ny, nx) bool array
        Pixels without sources.
    gain : float
    """
    bright = (light > 5 * rms) & np.isfinite(variance)
    if bright.sum() < 100:
        return variance, None
    level = np.median(variance[free]) if free.any() else np.median(variance)
    shine = light[bright].astype(float)
    slope = float((shine * (variance[bright] - level)).sum() / (shine**2).sum()) * gain
    share = min(max(slope, 0.0), 1.0)
    return np.maximum(variance - share * light / gain, 0.25 * level).astype(np.float32), slope


def asymmetry(residual):
    """Return (q97.5 + q2.5 - 2 median) / (q97.5 - q2.5) of pixels without sources: 0 for noise, up to 1 for light."""
    low, middle, high = np.percentile(residual, [2.5, 50, 97.5])
    return float((high + low - 2 * middle) / (high - low)) if high > low else 0.0


def from_photons(sky, data, bad, gain, read_noise):
    """Return a `Sky` whose noise is that of its photons and of reading out, white; sources are found with it.

    Parameters
    ----------
    sky : Sky
        Its level is used.
    data : (ny, nx) array
        The image with its sky.
    bad : (ny, nx) bool array
    gain : float
    read_noise : float
        Electrons, over all exposures.
    """
    rms = np.sqrt(np.maximum(sky.level, 0) / gain + (read_noise / gain) ** 2).astype(np.float32)
    width = 2.0
    smooth = ndimage.gaussian_filter(np.where(bad, 0, data - sky.level), width)
    sources = bad | (smooth > 3 * rms / np.sqrt(4 * np.pi) / width)
    limits = {f"rms_{name}": float(f(rms)) for name, f in (("median", np.median), ("min", np.min), ("max", np.max))}
    report = {**sky.report, **limits, "source_free_fraction": float((~sources).mean())}
    return replace(sky, rms=rms, sources=sources, noise=NoiseModel(), report=report)


def check_photons(sky, residual, gain, where):
    """Compare the measured noise with the photons of the sky. Return (facts for the report, warnings).

    Raises
    ------
    StudyError
        If what was measured is the light of a crowd: it is skewed, and many times the photons.
    """
    level = float(np.median(sky.level))
    facts = {
        "asymmetry": asymmetry(residual) if residual.size else None,
        "measured_over_photon_variance": float(np.median(np.square(sky.rms, dtype=float)) * gain / level)
        if level > 0
        else None,
    }
    skewed, ratio = (facts["asymmetry"] or 0.0) > SKEWED, facts["measured_over_photon_variance"]
    if not skewed:
        return facts, []
    known = f"{np.sqrt(level / gain):.4g} from the photons of a sky of {level:.4g}" if ratio else "not known otherwise"
    what = (
        f"pixels without detected sources scatter by {np.median(sky.rms):.4g}, skewed ({facts['asymmetry']:.2f}) as "
        f"light is and noise is not; the noise is {known}"
    )
    if ratio and ratio > CROWDED[1]:
        raise StudyError(
            what,
            where,
            "the crowd leaves no sky: give variance.kind: photons (with read_noise, and sky.level if the sky is "
            "known), or a variance plane",
        )
    return facts, [what] if not ratio or ratio > CROWDED[0] else []


def check_given(given, sky, kind, gain, factor, where):
    """Compare a given variance with the measured one. Return (their ratio, warnings).

    Noise of resampled images is correlated: their planes hold the variance of a pixel, or that of the pixels before,
    which is larger by up to the sum of the correlation. Anything between is right.

    Parameters
    ----------
    given : (ny, nx) array
    sky : Sky
    kind : str
        What the plane was said to hold.
    gain, factor : float
        Electrons per unit, and what the pixels of the file were multiplied with.
    where : str
        For messages.

    Raises
    ------
    StudyError
        Beyond a factor of `REFUSE`, with the likely mistake.
    """
    free = ~sky.sources
    if not free.any():
        return None, []
    pixel, measured = np.median(given[free].astype(float)), np.median(np.square(sky.rms[free], dtype=float))
    resampled = float(np.clip(sky.noise.correlation.sum(), 1.0, RESAMPLED))

    def off(variance):
        ratio = variance / measured
        return ratio / resampled if ratio > resampled else max(1 / ratio, 1.0)

    ratio, photons = float(pixel / measured), float(np.median(sky.level)) / gain
    if off(pixel) <= WARN:
        return ratio, []
    what = f"the variance of the {kind} plane is {ratio:.3g} times what is measured on the sky"
    if ratio < 1 and photons > 0 and 1 / WARN < pixel / photons < REFUSE:  # a second witness
        why = "what is measured has the light of a crowd in it"
        return ratio, [f"{what}, but {pixel / photons:.2f} times sky / gain: {why}"]
    likely = _likely(pixel / factor**2, kind, factor**2, gain * factor, off)
    if off(pixel) > REFUSE:
        remedy = likely or f"its scale is wrong by {1 / ratio:.3g} in variance, or use variance.kind: measured"
        raise StudyError(what, f"{where}: variance", remedy)
    return ratio, [what + (f": {likely}" if likely else "")]


def _likely(variance, kind, scale, electrons, off):
    """Return the mistake that explains a variance (in the unit of the file) that does not fit, or None."""
    plane = {"variance": variance, "weight": 1 / variance, "rms": np.sqrt(variance)}[kind]
    for other, meaning in KINDS.items():
        if other != kind and off(meaning(plane) * scale) <= WARN:
            return f"as the {other} it would fit: variance.kind: {other}"
    if off(variance * scale / electrons**2) <= WARN and electrons > WARN:
        return "it fits in electrons, the image is in another unit: divide the variance by the gain squared"
    return None
