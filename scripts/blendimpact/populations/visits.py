"""Visits of a simulated survey: the seeing and depth of each."""

import sqlite3

import numpy as np
from astropy.table import Table

from ..data.catalogues import describe
from . import POPULATIONS
from .base import Population

FWHM_MAX = 2.0
"""Arcsec: visits in worse seeing are not in the table; 0.4 % of the simulated ones, which no search would use."""


@POPULATIONS.register("visits")
class Visits(Population):
    """Visits, of which simulated patches are one each."""

    inputs = ("sorcha",)
    memory_mb = 700

    @classmethod
    def build(cls, folders):
        """Return the seeing and depth of each visit: see `build_visits`."""
        (path,) = folders["sorcha"].glob("*.db")
        return build_visits(path)


def build_visits(path):
    """Return the seeing and depth of simulated visits.

    Parameters
    ----------
    path : path-like
        SQLite file of a strategy simulation with a table ``observations``.

    Returns
    -------
    astropy.table.Table
        ``band``; ``fwhm`` (arcsec), of the profile (``seeingFwhmGeom``); ``depth``, the 5-sigma AB magnitude of a
        point source (``fiveSigmaDepth``). In the order of the visits.
    """
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
        rows = database.execute(
            'SELECT "filter", seeingFwhmGeom, fiveSigmaDepth FROM observations ORDER BY observationId'
        ).fetchall()
    band, fwhm, depth = (np.array(column) for column in zip(*rows))
    good = (fwhm > 0) & (fwhm < FWHM_MAX) & np.isfinite(depth)
    table = Table(
        {
            "band": band[good].astype("U1"),
            "fwhm": fwhm[good].astype(np.float32),
            "depth": depth[good].astype(np.float32),
        }
    )
    return describe(
        table,
        {
            "band": (None, "band"),
            "fwhm": ("arcsec", "FWHM of the PSF"),
            "depth": ("mag", "5-sigma depth of a point source, AB"),
        },
    )
