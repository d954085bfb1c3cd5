"""What is asked of every estimator of photometric redshifts, and the photometry that it is given."""

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from ..errors import StudyError

LEVELS = (0.025, 0.16, 0.5, 0.84, 0.975)
"""Levels of the quantiles of p(z) that are kept; the median is the point estimate."""
POINT = LEVELS.index(0.5)


@dataclass(frozen=True)
class Photometry:
    """Fluxes of N objects in B bands.

    Attributes
    ----------
    bands : tuple of str
        In the order of wavelength.
    fluxes, errors : (N, B) array
        In one unit for all bands; a band without data is NaN.
    softening : (B,) array
        Flux at which `magnitudes` turn linear: the usual error of each band.
    reference : str
        Band whose magnitude stands beside the colours among the `features`.
    """

    bands: tuple
    fluxes: np.ndarray
    errors: np.ndarray
    softening: np.ndarray
    reference: str

    def __len__(self):
        return len(self.fluxes)

    def magnitudes(self):
        """Return asinh magnitudes (Lupton et al. 1999), (N, B): of any flux, negative ones too.

        -2.5 / ln 10 (asinh(f / 2 b) + ln b), of which only the zero point is left out.
        """
        scaled = self.fluxes / (2 * self.softening)
        return -2.5 / np.log(10) * (np.arcsinh(scaled) + np.log(self.softening))

    def features(self):
        """Return the magnitude in the reference band (without it the middle one) and B - 1 colours, (N, B)."""
        magnitudes = self.magnitudes()
        middle = self.bands.index(self.reference) if self.reference in self.bands else len(self.bands) // 2
        return np.column_stack([magnitudes[:, middle], magnitudes[:, :-1] - magnitudes[:, 1:]])

    def at(self, rows):
        """Return the photometry of some objects."""
        return replace(self, fluxes=self.fluxes[rows], errors=self.errors[rows])

    def only(self, chosen):
        """Return the photometry in some of the bands, a (B,) bool array."""
        return replace(
            self,
            bands=tuple(band for band, kept in zip(self.bands, chosen) if kept),
            fluxes=self.fluxes[:, chosen],
            errors=self.errors[:, chosen],
            softening=self.softening[chosen],
        )


class Estimator(Protocol):
    """A member of the family: ``blendimpact.photoz.ESTIMATORS.register(name)`` makes it one.

    The same objects give the same numbers, whatever others are estimated with them.
    """

    name: str

    @abstractmethod
    def estimate(self, training, redshift, objects, levels):
        """Return quantiles of the p(z) of objects.

        Parameters
        ----------
        training : Photometry
            M isolated galaxies of other patches.
        redshift : (M,) array
            Their true redshifts.
        objects : Photometry
            N objects, in the same bands. No band of either is without data.
        levels : sequence of float
            Of the Q quantiles, ascending.

        Returns
        -------
        (N, Q) array
        """


def checked(name, quantiles, training, redshift, objects, levels):
    """Return what an estimator has found as an array, ascending along the levels.

    Raises
    ------
    StudyError
        If it has another shape, or what is no number.
    """
    quantiles, shape = np.asarray(quantiles, float), (len(objects), len(levels))
    if quantiles.shape != shape or not np.isfinite(quantiles).all():
        found = "numbers that are not finite" if quantiles.shape == shape else f"shape {quantiles.shape}"
        raise StudyError(
            f"the estimator {name} returns {found}", "photo_z.estimator", f"return finite numbers of shape {shape}"
        )
    return np.sort(quantiles, axis=1)


def estimate(estimator, training, redshift, objects, levels=LEVELS):
    """Return the quantiles of all objects, (N, Q), whichever bands each of them has.

    Those that share their bands are estimated together, trained on these bands alone. Of an object without any band
    the photometry says nothing: it has the quantiles of the redshifts of the training.

    Parameters
    ----------
    estimator : Estimator
    training, redshift, objects, levels
        As in `Estimator.estimate`; bands may be without data.
    """
    known, out = np.isfinite(training.fluxes), np.empty((len(objects), len(levels)))
    there = np.isfinite(objects.fluxes)
    for pattern in np.unique(there, axis=0):
        rows = np.flatnonzero((there == pattern).all(axis=1))
        usable = known[:, pattern].all(axis=1)
        if pattern.any():
            learnt = training.only(pattern).at(usable)
            out[rows] = estimator.estimate(learnt, redshift[usable], objects.only(pattern).at(rows), levels)
        else:
            out[rows] = np.quantile(redshift, levels)
    return out


def cross_validated(estimator, training, redshift, folds=3):
    """Return the point estimates of the training galaxies, (M,), each from those of the other folds."""
    fold = np.arange(len(training)) % folds
    found = np.empty(len(training))
    for k in range(folds):
        others = fold != k
        found[~others] = estimate(estimator, training.at(others), redshift[others], training.at(~others), (0.5,))[:, 0]
    return found
