"""Photometric redshifts on the rungs: one training on isolated galaxies, the same estimate for every rung."""

import json
from dataclasses import dataclass

import numpy as np
from astropy.table import Table
from scipy.stats import median_abs_deviation

from ..data import catalogues
from ..errors import StudyError
from ..photoz.base import LEVELS, Photometry, cross_validated, estimate
from .objects import wide

FROZEN_META = "frozen"
"""Key of the metadata of training and redshifts, of JSON: see `Frozen`."""
N_BINS = 5
"""Tomographic bins, as many as the DESC SRD's for sources."""
QUANTILES = tuple(f"z_p{100 * level:g}".replace(".", "_") for level in LEVELS)
"""Columns of the quantiles."""
POINT_ESTIMATE = "z_p50"
FRIENDS = "friends"
"""In place of a rung: catalogue blends (`friends.catalogue_blends`)."""
TRAINING_COLUMNS = {
    "patch": (None, "index of the patch"),
    "source_id": (None, "number of the source in its patch"),
    "redshift": (None, "true redshift"),
    "z_cross": (None, "point estimate by the estimator trained on the galaxies of the other folds"),
}
REDSHIFT_COLUMNS = {
    "patch": (None, "index of the patch"),
    "twin": (None, "twin of the patch"),
    "rung": (None, f"rung of the ladder; {FRIENDS}: blends of the catalogue, fluxes summed"),
    "det_id": (None, "detection; the source_id where the centres are true"),
    **{name: (None, f"{100 * level:g} % quantile of p(z)") for name, level in zip(QUANTILES, LEVELS)},
    "n_bands": (None, "bands that had data"),
}


@dataclass(frozen=True)
class Frozen:
    """What the isolated training galaxies fix for all rungs, from their cross-validated estimates.

    Attributes
    ----------
    scatter : float
        NMAD of dz / (1 + z).
    edges : list of float
        Between tomographic bins of the estimate that hold as many galaxies each, `N_BINS` - 1.
    mean : list of float
        Mean true redshift of each bin.
    softening : list of float
        By band: see `photoz.base.Photometry`.
    count : int
        Training galaxies.
    """

    scatter: float
    edges: list
    mean: list
    softening: list
    count: int

    def bins(self, estimate):
        """Return the number of the tomographic bin of each estimate, from 0 on."""
        return np.searchsorted(self.edges, estimate, side="right")

    @classmethod
    def of(cls, table):
        """Return what the metadata of a table hold."""
        return cls(**json.loads(table.meta[FROZEN_META]))

    def meta(self):
        """Return the metadata that hold it."""
        return {FROZEN_META: json.dumps(self.__dict__)}


def training_table(truths, measured, settings, limit, fluxes):
    """Return fluxes and redshifts of the isolated galaxies of a training.

    Parameters
    ----------
    truths, measured : sequence of Table
        Truth and measurements of each chunk.
    settings : dict
        ``bands`` and ``shape_band``.
    limit : float
        Faintest true magnitude in the shape band.
    fluxes : str
        As `config.photo_z.PhotoZ`.

    Returns
    -------
    Table
        Columns patch, source_id, redshift, and flux_<band>, error_<band>; sorted by patch and source.

    Raises
    ------
    StudyError
        If there is no such flux, or no galaxy.
    """
    bands, rows = settings["bands"], []
    for truth, table in zip(truths, measured):
        require_fluxes(table.colnames, fluxes)
        objects = wide(catalogues.rows_of(table, rung="isolated"), bands, settings["shape_band"])
        known = truth.to_pandas()
        known = known[(known["role"] == "target") & (known["kind"] == "galaxy")]
        known = known[known[f"mag_{settings['shape_band']}"] < limit]
        twin = min(known["twin"], default="")
        objects = objects[objects["twin"] == twin].rename(columns={"det_id": "source_id"})
        found = objects.merge(known[["patch", "twin", "source_id", "redshift"]], on=["patch", "twin", "source_id"])
        rows.append(found.sort_values(["patch", "source_id"]))
    if not sum(map(len, rows)):
        raise StudyError("there is no isolated galaxy", "photo_z.training", "give that scenario more patches")
    names = ("patch", "source_id", "redshift", *flux_columns(bands, fluxes))
    new = (*names[:3], *plain_columns(bands))
    return Table({to: np.concatenate([part[name].to_numpy() for part in rows]) for name, to in zip(names, new)})


def flux_columns(bands, fluxes):
    """Return the columns of `objects.wide` with flux and error in each band, alternating."""
    return [f"flux_{fluxes}{kind}_{band}" for band in bands for kind in ("", "_err")]


def require_fluxes(columns, fluxes, where="photo_z.fluxes"):
    """Raise a `StudyError` if there are no such fluxes with errors among the columns of measurements."""
    if lacking := [name for name in (f"flux_{fluxes}", f"flux_{fluxes}_err") if name not in columns]:
        known = sorted(name.removeprefix("flux_").removesuffix("_err") for name in columns if name.endswith("_err"))
        raise StudyError(
            f"nothing measures {' and '.join(lacking)} for the photometric redshifts",
            where,
            f"ask for the measurement in measure.measurements, or set photo_z.fluxes to one of {', '.join(known)}",
        )


def train(table, estimator, bands, shape_band):
    """Return the table of a training with ``z_cross``, described, and what is `Frozen` by it."""
    errors = np.column_stack([np.asarray(table[f"error_{band}"], float) for band in bands])
    softening = [float(value) for value in np.nanmedian(errors, axis=0)]
    redshift = np.asarray(table["redshift"], float)
    table["z_cross"] = cross_validated(estimator, photometry_of(table, bands, softening, shape_band), redshift)
    found = np.asarray(table["z_cross"])
    edges = [float(edge) for edge in np.quantile(found, np.arange(1, N_BINS) / N_BINS)]
    number = np.searchsorted(edges, found, side="right")
    parts = [redshift[number == k] for k in range(N_BINS)]
    mean = [float((part if len(part) else redshift).mean()) for part in parts]
    columns = {name: (None, name.replace("_", " in ")) for name in plain_columns(bands)}
    scatter = float(median_abs_deviation((found - redshift) / (1 + redshift), scale="normal"))
    return catalogues.describe(table, {**TRAINING_COLUMNS, **columns}), Frozen(
        scatter, edges, mean, softening, len(table)
    )


def photometry_of(table, bands, softening, reference):
    """Return the `Photometry` of a table with flux_<band> and error_<band>; noiseless fluxes have the usual errors."""
    fluxes, errors = (
        np.column_stack([np.asarray(table[f"{kind}_{band}"], float) for band in bands]) for kind in ("flux", "error")
    )
    softening = np.asarray(softening, float)
    errors = np.where(np.isfinite(errors), errors, softening)
    errors = np.where(np.isfinite(fluxes), errors, np.nan)
    return Photometry(tuple(bands), np.where(np.isfinite(fluxes), fluxes, np.nan), errors, softening, reference)


def objects_to_estimate(measured, settings, fluxes):
    """Return the fluxes of all objects on all rungs: patch, twin, rung, det_id, flux_<band> and error_<band>."""
    require_fluxes(measured.colnames, fluxes)
    bands = settings["bands"]
    objects = wide(measured, bands, settings["shape_band"])
    names = ("patch", "twin", "rung", "det_id", *flux_columns(bands, fluxes))
    out = Table({to: objects[name].to_numpy() for name, to in zip(names, (*names[:4], *plain_columns(bands)))})
    for name in ("twin", "rung"):
        out[name] = np.asarray(out[name], str)
    return out


def plain_columns(bands):
    """Return flux_<band> and error_<band>, alternating."""
    return [f"{kind}_{band}" for band in bands for kind in ("flux", "error")]


def estimated(objects, training, estimator, bands, shape_band):
    """Return the redshifts of objects.

    Parameters
    ----------
    objects : Table
        patch, twin, rung, det_id, and flux_<band>, error_<band>.
    training : Table
        From `train`, with its metadata.
    estimator : photoz.base.Estimator
    bands, shape_band

    Returns
    -------
    Table
        Columns `REDSHIFT_COLUMNS`.
    """
    frozen = Frozen.of(training)
    known, asked = (photometry_of(table, bands, frozen.softening, shape_band) for table in (training, objects))
    found = estimate(estimator, known, np.asarray(training["redshift"], float), asked)
    out = Table({name: objects[name] for name in ("patch", "twin", "rung", "det_id")})
    for name, values in zip(QUANTILES, found.T):
        out[name] = values
    out["n_bands"] = np.isfinite(asked.fluxes).sum(axis=1).astype(np.int32)
    return catalogues.describe(out, REDSHIFT_COLUMNS)
