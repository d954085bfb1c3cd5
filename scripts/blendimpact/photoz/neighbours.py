"""The redshifts of the training galaxies that look alike."""

import numpy as np

from ..config.options import Count, Positive
from . import ESTIMATORS
from .base import Estimator


@ESTIMATORS.register("neighbours")
class Neighbours(Estimator):
    """Quantiles of the redshifts of the nearest training galaxies in colours and magnitude.

    Parameters
    ----------
    number : int
        Neighbours of each object; all of the training if it has fewer.
    magnitude : float
        Weight of the magnitude among the colours.
    """

    def __init__(self, number: Count = 20, magnitude: Positive = 0.3):
        self.number, self.magnitude = number, magnitude

    def estimate(self, training, redshift, objects, levels):
        """Return weighted quantiles: a neighbour's weight falls as one over its distance."""
        from sklearn.neighbors import NearestNeighbors  # here: half a second that planning need not wait for

        known, asked = training.features(), objects.features()
        known[:, 0] *= self.magnitude
        asked[:, 0] *= self.magnitude
        number = min(self.number, len(known))
        distance, near = NearestNeighbors(n_neighbors=number).fit(known).kneighbors(asked)
        weight = 1 / (distance + 1e-3)
        return weighted_quantiles(redshift[near], weight, levels)


def weighted_quantiles(values, weights, levels):
    """Return quantiles of each row of values with weights, (N, Q): linear between the middles of the weights."""
    order = np.argsort(values, axis=1, kind="stable")
    values, weights = np.take_along_axis(values, order, 1), np.take_along_axis(weights, order, 1)
    places = (np.cumsum(weights, axis=1) - weights / 2) / weights.sum(axis=1, keepdims=True)
    return np.array([np.interp(levels, place, row) for place, row in zip(places, values)]).reshape(-1, len(levels))
