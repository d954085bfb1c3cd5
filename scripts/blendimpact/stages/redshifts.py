"""Estimate the photometric redshifts of all objects of one chunk, on every rung in the same way."""

from ..data import catalogues
from ..ladder.friends import catalogue_blends, linked
from ..ladder.redshifts import FROZEN_META, estimated, objects_to_estimate
from ..photoz import ESTIMATORS


def run(settings, options, truth, measurements, training, redshifts_out, meta=None):
    """Estimate the redshifts of one chunk, those of catalogue blends among them.

    Parameters
    ----------
    settings, options : dict
        Of the scenario, and of the estimator.
    truth, measurements, training : path-like
        Of the chunk; from `stages.train`.
    redshifts_out : path-like
        Output: columns `ladder.redshifts.REDSHIFT_COLUMNS`.
    meta : dict, optional
        Provenance.
    """
    chosen, bands, band = settings["photo_z"], settings["bands"], settings["shape_band"]
    measured, training = catalogues.read_folder(measurements)["measurements"], catalogues.read(training)
    truth = catalogues.read(truth)
    truth["flux"] = truth[f"flux_{band}"]
    objects = objects_to_estimate(measured, settings, chosen["fluxes"])
    friends = linked(truth, settings["truth_snr"], truth.meta["pixel_scale"])
    objects = catalogues.stack([objects, catalogue_blends(friends, objects, bands)])
    estimator = ESTIMATORS.create(chosen["estimator"], options)
    found = estimated(objects, training, estimator, bands, band)
    catalogues.write(found, redshifts_out, {**(meta or {}), FROZEN_META: training.meta[FROZEN_META]})
