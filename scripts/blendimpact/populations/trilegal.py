"""Stars of a high Galactic latitude: the TRILEGAL sample that skycatalogs ships."""

from astropy.table import Table

from ..data.catalogues import describe
from . import POPULATIONS
from .base import BANDS, Population
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

    @classmethod
    def build(cls, folders):
        """Return the sample: see `build_stars`."""
        return build_stars(folders["skycatalogs"].glob("*.parquet"))


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
