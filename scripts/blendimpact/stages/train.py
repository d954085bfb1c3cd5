"""Train the estimator of photometric redshifts on the isolated rung of a scenario of its own."""

from ..data import catalogues
from ..ladder.redshifts import train, training_table
from ..photoz import ESTIMATORS


def run(settings, options, truth, measurements, training_out, meta=None):
    """Gather the training galaxies of all chunks, and what they fix for every rung.

    The estimator itself is not stored: it is a function of this table, and is fitted anew by each job that uses it.

    Parameters
    ----------
    settings : dict
        Of the scenario whose redshifts will be estimated.
    options : dict
        Of the estimator.
    truth, measurements : list of path-like
        Of the chunks of the training.
    training_out : path-like
        Output: see `ladder.redshifts.train`.
    meta : dict, optional
        Provenance.
    """
    chosen, bands, band = settings["photo_z"], settings["bands"], settings["shape_band"]
    truths = [catalogues.read(path) for path in sorted(map(str, truth))]
    measured = [catalogues.read_folder(path)["measurements"] for path in sorted(map(str, measurements))]
    table = training_table(truths, measured, settings, chosen["limit"], chosen["fluxes"])
    table, frozen = train(table, ESTIMATORS.create(chosen["estimator"], options), bands, band)
    print(f"{frozen.count} galaxies; scatter of dz / (1 + z), cross-validated: {frozen.scatter:.4f}")
    catalogues.write(table, training_out, {**(meta or {}), **frozen.meta()})
