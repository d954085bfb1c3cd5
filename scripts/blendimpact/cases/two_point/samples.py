"""Objects of the lensing sample, and how blended they are."""

import numpy as np

from ...ladder.objects import by_source, samples, wide
from ...ladder.rungs import rungs_of
from ...stats.figures_of_merit import strata
from .foms import BLENDEDNESS_EDGES

CUTS = {"mag": 25.3, "snr": 10.0, "resolution": 0.1}
"""The weak-lensing sample: the LSST gold sample's limit and the usual S/N and size cuts."""


def objects_of(tables, truth, blocks, settings, zero_point):
    """Return what was measured of each object on each rung, with its truth: a pandas.DataFrame.

    Added to what `ladder.objects.by_source` gives are ``block``, ``true_mag``, ``true_snr``, ``purity``, ``role``,
    ``kind``, ``mag`` (Kron, shape band), and whether the object has adaptive and weighted moments.
    """
    band = settings["shape_band"]
    objects = by_source(wide(tables["measurements"], settings["bands"], band), tables["assignments"])
    objects["block"] = objects["patch"].map(blocks)
    known = truth[["patch", "twin", "source_id", f"mag_{band}", f"purity_{band}", "snr", "role", "kind"]]
    objects = objects.merge(
        known.rename(columns={f"mag_{band}": "true_mag", f"purity_{band}": "purity", "snr": "true_snr"}),
        on=["patch", "twin", "source_id"],
        how="left",
        validate="many_to_one",
    )
    objects["adaptive"] = (
        (objects["shape_flag"] == 0) & np.isfinite(objects["e1"]) & np.isfinite(objects["e2"])
    ).astype(bool)
    objects["weighted"] = (
        np.isfinite(objects["e1_weighted"])
        & np.isfinite(objects["e2_weighted"])
        & np.isfinite(objects[f"flux_ap_{band}"])
    ).astype(bool)
    with np.errstate(invalid="ignore", divide="ignore"):
        objects["mag"] = zero_point - 2.5 * np.log10(objects[f"flux_kron_{band}"])
    return objects


def lensing(objects, estimator, twins, settings):
    """Return the samples of sources that an estimator measures on every rung, cut on truth alone.

    Returns
    -------
    dict of str to pandas.DataFrame
        ``centres`` and, if there are rungs of a real detector, ``kept`` (`ladder.objects.samples`), with
        ``mean_purity`` of the twins.
    """
    bright = (objects["true_mag"] < CUTS["mag"]) & (objects["true_snr"] >= CUTS["snr"])
    bright &= (objects["role"] == "target") & (objects["kind"] == "galaxy")
    out = {}
    for name, rows in samples(objects, bright & objects[estimator], twins, rungs_of(settings)).items():
        rows = rows[rows[estimator]]  # on raw pixels some of the sources have no shape
        purity = rows.groupby(["patch", "source_id"])["purity"].mean().rename("mean_purity")
        out[name] = rows.merge(purity, on=["patch", "source_id"])
    return out


def blendedness(purity):
    """Return 1 - purity, not below 0: rounding of the light planes must not lose a pure source."""
    return np.clip(1 - np.asarray(purity, float), 0, None)


def by_blendedness(purity):
    """Return the strata of blendedness, "all" among them."""
    return list(strata("blendedness", blendedness(purity), BLENDEDNESS_EDGES))
