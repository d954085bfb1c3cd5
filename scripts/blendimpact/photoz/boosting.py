"""Boosted trees that are fitted to quantiles of the redshift."""

import numpy as np

from ..config.options import Count, Positive
from . import ESTIMATORS
from .base import Estimator


@ESTIMATORS.register("boosting")
class Boosting(Estimator):
    """Gradient-boosted trees on histograms (scikit-learn), one set of trees for each quantile.

    Parameters
    ----------
    trees : int
    rate : float
        Learning rate.
    leaves : int
        Most leaves of a tree.
    least : int
        Training galaxies in a leaf, at least.
    """

    memory_mb = 1500

    def __init__(self, trees: Count = 80, rate: Positive = 0.07, leaves: Count = 31, least: Count = 20):
        self.trees, self.rate, self.leaves, self.least = trees, rate, leaves, least

    def estimate(self, training, redshift, objects, levels):
        """Return the quantiles that the trees predict."""
        from sklearn.ensemble import HistGradientBoostingRegressor  # here: a second that planning need not wait for

        known, asked = training.features(), objects.features()
        return np.column_stack(
            [
                HistGradientBoostingRegressor(
                    loss="quantile",
                    quantile=level,
                    max_iter=self.trees,
                    learning_rate=self.rate,
                    max_leaf_nodes=max(self.leaves, 2),
                    min_samples_leaf=self.least,
                    early_stopping=False,
                    random_state=0,
                )
                .fit(known, redshift)
                .predict(asked)
                for level in levels
            ]
        )
