"""Errors of sums of pixels whose noise is correlated: those of white noise, times what the correlation adds."""

import json

import numpy as np

from ..errors import StudyError
from ..sky.adopt.noise import NOISE_META, NoiseModel

RADIUS_STEP = 0.5  # pixels: radii of apertures are rounded to this for their factors


class Correlation:
    """By how much the errors of one band are larger than those for white noise.

    The variance of sum w n is sum_ij w_i w_j C(i - j) over sum_i w_i^2 times that of white noise of the same rms
    (`sky.adopt.noise.NoiseModel.variance_factor`). The photon noise of sources is white: only the sky's share of a
    variance is multiplied.

    Parameters
    ----------
    noise : float or NoiseModel
        A number multiplies all errors.
    image : BandImage
        The faint end of its variance is that of empty sky.
    """

    def __init__(self, noise, image):
        self.noise, self._factors = noise, {}
        good = image.variance[np.isfinite(image.variance) & (image.variance > 0)]
        self.sky = float(np.quantile(good, 0.1)) if good.size else 0.0

    def _share(self, error, square):
        """Return the sky's share, at most 1, of a white error's square; ``square`` is the sky alone."""
        with np.errstate(invalid="ignore", divide="ignore"):
            share = np.minimum(1, square / np.asarray(error) ** 2)
        return np.where(np.isfinite(share), share, 0)

    def apertures(self, error, radius):
        """Return the errors of fluxes in apertures of ``radius`` pixels (of the circle of equal area)."""
        if not isinstance(self.noise, NoiseModel):
            return error * self.noise
        radius = np.broadcast_to(np.asarray(radius, float), np.shape(error))
        steps = np.maximum(np.round(np.nan_to_num(radius) / RADIUS_STEP).astype(int), 1)
        factor = np.ones(np.shape(error))
        for step in np.unique(steps):
            if step not in self._factors:
                self._factors[step] = self.noise.aperture_factor(step * RADIUS_STEP)
            factor[steps == step] = self._factors[step]
        return error * np.sqrt(1 + (factor**2 - 1) * self._share(error, self.sky * np.pi * radius**2))

    def point_sources(self, window, flux_error, *errors):
        """Return the errors of PSF fluxes, and of positions in x and y if given.

        Parameters
        ----------
        window : PsfWindow
        flux_error, *errors : (N,) array
            For white noise.
        """
        if not isinstance(self.noise, NoiseModel):
            return tuple(error * self.noise for error in (flux_error, *errors))
        templates = window.templates()
        share = self._share(flux_error, self.sky / (templates[0] ** 2).sum())
        return tuple(
            error * np.sqrt(1 + (self.noise.variance_factor(template) - 1) * share)
            for template, error in zip(templates, (flux_error, *errors))
        )

    def sums(self, error, weights):
        """Return the errors of sums of pixels that are weighted by ``weights``, (k, k)."""
        if not isinstance(self.noise, NoiseModel):
            return error * self.noise
        share = self._share(error, self.sky * (weights**2).sum())
        return error * np.sqrt(1 + (self.noise.variance_factor(weights) - 1) * share)


def noise_of(option, meta, bands):
    """Return what the option ``measure.noise_correlation`` means, {band: number or `NoiseModel`}.

    Parameters
    ----------
    option : float or "image"
    meta : dict
        Of the truth table; that of an adopted image holds the correlations that were measured on it.
    bands : sequence of str

    Raises
    ------
    StudyError
        If it is "image" and the image has no noise model.
    """
    if option != "image":
        return dict.fromkeys(bands, float(option))
    models = json.loads(meta.get(NOISE_META) or "{}")
    lacking = [band for band in bands if band not in models]
    if lacking:
        raise StudyError(
            f"the noise of {', '.join(lacking)} was not measured",
            "measure.noise_correlation: image",
            "give a number: only adopted images (sky: adopt) have a noise model",
        )
    return {band: NoiseModel(np.asarray(models[band]["correlation"], float)) for band in bands}
