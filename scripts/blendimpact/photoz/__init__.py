"""Estimators of photometric redshifts: from fluxes in several bands to quantiles of p(z)."""

from ..config.plugins import Family

ESTIMATORS = Family("estimator", "blendimpact.photoz", "estimators", checked="estimate")
