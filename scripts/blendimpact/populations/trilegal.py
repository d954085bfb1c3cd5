"""Stars of a high Galactic latitude: the TRILEGAL sample that skycatalogs ships."""

import numpy as np
from astropy.table import Table

from ..data.catalogues import describe
from . import POPULATIONS
from .base import BANDS, Population
from .drawn import placed
from .skycatalogs import read_skycatalogs

STAR_DENSITY = 2.6
"""Stars per arcmin^2 to i = 25, at high Galactic latitude (b = -60 to -50 deg). The sample itself is
thinned at random, so its density is not known. Obtained by scaling its counts to the 5,834 Gaia DR2
stars over 2.95 deg^2 at b = -60 that skycatalogs ships: G < 18, 19 and 20 give 2.6, 2.7 and 2.7."""


@POPULATIONS.register("trilegal")
class Trilegal(Population):
    """Stars of the TRILEGAL sample."""

    inputs = ("skycatalogs",)
    memory_mb = 1500
    limits = (18.0, 28.0)  # in i: brighter stars saturate, fill a small patch, and are masked by surveys

    @classmethod
    def build(cls, folders):
        """Return the sample: see `build_stars`."""
        return build_stars(folders["skycatalogs"].glob("*.parquet"))

    def scatter(self, field, tables):
        """Return stars of the sample, Poisson; with a density of 1 there are `STAR_DENSITY` per arcmin2 to i = 25."""
        magnitude = np.asarray(tables[self.name]["mag_i"])
        to_25 = np.count_nonzero(magnitude < 25.0)
        places = field.candidates(STAR_DENSITY * len(magnitude) / max(to_25, 1) / 3600)
        pick = (field.stream("profiles").uniform(size=len(places)) * len(magnitude)).astype(int)
        keep = field.kept(places, magnitude[pick] if len(magnitude) else np.zeros(0))
        mags = {f"mag_{b}": np.asarray(tables[self.name][f"mag_{b}"])[pick[keep]] for b in field.bands}
        return placed(places, keep, "star", **mags)


def build_stars(trilegal_files):
    """Build the sample of stars: TRILEGAL magnitudes (AB, ugrizy) as shipped in skycatalogs.

    Parameters
    ----------
    trilegal_files : iterable of path-like
        The ``trilegal_*.parquet`` files; flux files among them are passed over.
    """
    parts = read_skycatalogs(trilegal_files, "trilegal_", ["id", *(f"{b}mag" for b in BANDS)])
    stars = parts.drop_duplicates("id").sort_values(["imag", "id"])
    table = Table({f"mag_{b}": stars[f"{b}mag"].to_numpy(dtype=float) for b in BANDS})
    table.meta["sources"] = "skycatalogs ci_sample (TRILEGAL)"
    return describe(table, {f"mag_{b}": ("mag", f"AB magnitude in {b} (TRILEGAL)") for b in BANDS})
