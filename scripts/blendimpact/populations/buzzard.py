"""Magnitudes, colours and redshifts of galaxies: 100,000 of the Buzzard simulation, as pzflow ships them.

DeRose et al. 2019; ugrizy, z < 2.3.
"""

import numpy as np

from ..data import pickles
from ..errors import StudyError
from .base import BANDS
from .galaxy_counts import COMPLETE, FAINTEST

FILE = "galaxy-data.pkl"
COLUMNS = {
    "galaxy": (None, "row number"),
    "redshift": (None, "redshift (Buzzard)"),
    **{f"mag_{b}": ("mag", f"AB magnitude in {b} (Buzzard)") for b in BANDS},
    **{f"bulge_fraction_{b}": (None, f"part of the light that is in the bulge, in {b}") for b in BANDS},
    "hlr_bulge": ("arcsec", "half-light radius of the bulge, circularised"),
    "q_bulge": (None, "axis ratio of the bulge"),
    "n_bulge": (None, "Sersic index of the bulge"),
    "hlr_disk": ("arcsec", "half-light radius of the disk, circularised"),
    "q_disk": (None, "axis ratio of the disk"),
    "n_disk": (None, "Sersic index of the disk"),
    "origin": (None, "observed: magnitudes as in the catalogue; dimmed: of a galaxy at the catalogue's limit"),
    "template": (None, "id of the galaxy whose structure this one has, in the catalogue of structures"),
}
"""Of a built sample of galaxies, whichever catalogue their structure is from."""


def photometry(path):
    """Return redshifts and magnitudes to `FAINTEST`, sorted by i.

    Galaxies fainter than `COMPLETE` are those of the last half magnitude before it, dimmed: *colours and redshifts
    therefore do not evolve beyond i = 25.5* (the true population gets bluer and more distant).

    Parameters
    ----------
    path : path-like
        ``pzflow/example_files/galaxy-data.pkl``.

    Returns
    -------
    dict of str to (N,) array
        ``redshift``, the magnitudes by band, and ``dimmed``.

    Raises
    ------
    StudyError
        If the file is another one.
    """
    import pandas as pd  # here, so that jobs that only draw need not load it

    frame = pickles.load(path, "pzflow's table of galaxies")
    try:
        frame = frame[["redshift", *BANDS]].astype(float)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise StudyError(
            f"not pzflow's table of galaxies ({error})", str(path), "delete it and fetch it again"
        ) from error
    frame = frame[np.isfinite(frame).all(axis=1)]
    bright = frame[frame["i"] < COMPLETE]
    parents = bright[bright["i"] >= COMPLETE - 0.5].sort_values("i", kind="stable")
    # Two copies of each, spread evenly over the fainter magnitudes by a golden-ratio sequence.
    order = np.arange(2 * len(parents))
    faint = parents.iloc[order % max(len(parents), 1)].copy()
    i = COMPLETE + (FAINTEST + 0.3 - COMPLETE) * ((order + 0.5) * 0.6180339887498949 % 1.0)
    faint[list(BANDS)] = faint[list(BANDS)].add(i - faint["i"].to_numpy(), axis=0)
    both = pd.concat([bright.assign(dimmed=False), faint.assign(dimmed=True)])
    both = both.sort_values("i", kind="stable")
    return {name: both[name].to_numpy() for name in both.columns}


def redness(colour, redshift, bins=40):
    """Return the rank (0 to 1) of each colour among galaxies of about the same redshift."""
    order = np.argsort(redshift, kind="stable")
    rank = np.empty(len(order))
    for group in np.array_split(order, min(bins, max(1, len(order) // 50))):
        rank[group[np.argsort(colour[group], kind="stable")]] = (np.arange(len(group)) + 0.5) / len(group)
    return rank
