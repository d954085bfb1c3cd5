"""What samples of galaxies share: their columns, how targets are drawn from them, and the file of Buzzard."""

import numpy as np
from astropy.table import Table

from ..data.catalogues import describe
from ..errors import StudyError
from . import buzzard
from .base import BANDS, Population
from .beside import WEIGHT
from .galaxy_counts import SIZE_SLOPE
from .targets import described, place_targets

_WINDOW = 40  # galaxies of the sample nearest in magnitude, of which one is taken


def sample(photometry, structure, fractions, template, sources):
    """Return the table that galaxies are drawn from.

    Parameters
    ----------
    photometry : dict of str to (N,) array
        From `buzzard.photometry`.
    structure : dict of str to (N,) array
        ``hlr``, ``q`` and ``n`` of ``_bulge`` and ``_disk``.
    fractions : dict of str to (N,) array
        Bulge fraction by band.
    template : (N,) int array
        Ids of the galaxies that the structure is from.
    sources : str
        For the table's meta.
    """
    columns = {
        "galaxy": np.arange(len(template)),
        "redshift": photometry["redshift"],
        **{f"mag_{b}": photometry[b] for b in BANDS},
        **{f"bulge_fraction_{b}": fractions[b] for b in BANDS},
        **{f"{key}_{part}": structure[f"{key}_{part}"] for part in ("bulge", "disk") for key in ("hlr", "q", "n")},
        "origin": np.where(photometry["dimmed"], "dimmed", "observed"),
        "template": template,
    }
    table = Table(columns)
    table.meta["sources"] = sources
    return describe(table, buzzard.COLUMNS)


class SampledGalaxies(Population):
    """Galaxies of a sample as `sample` returns it."""

    beside = True
    columns = WEIGHT
    memory_mb = 1500

    def draw(self, settings, patch, truth, seed, case, block, realisation, tables):
        """Return galaxies: each is one of those of the sample nearest to it in magnitude, turned at random.

        It has that one's colours, and its size scaled by `galaxy_counts.SIZE_SLOPE`.
        """
        bands, galaxies = list(settings["bands"]), tables[self.name]
        lacking = [n for b in bands for n in (f"mag_{b}", f"bulge_fraction_{b}") if n not in galaxies.colnames]
        if lacking:
            raise StudyError(
                f"the population has no {', '.join(lacking)}",
                "inject.population",
                "use bands that it has, or population: sersic",
            )
        out, mag, draws, _ = place_targets(settings, patch, seed, case, block, realisation, truth)
        known = np.asarray(galaxies[f"mag_{settings.get('shape_band', bands[0])}"], float)
        order = np.argsort(known, kind="stable")
        order = order[np.isfinite(known[order])]
        width = min(_WINDOW, len(order))
        start = np.clip(np.searchsorted(known[order], mag) - width // 2, 0, len(order) - width)
        pick = order[start + (draws[:, 1] * width).astype(int)]
        dimming = mag - known[pick]
        out["source_type"] = "Galaxy"
        out["redshift"] = np.asarray(galaxies["redshift"], float)[pick]
        for band in bands:
            out[f"mag_{band}"] = np.asarray(galaxies[f"mag_{band}"], float)[pick] + dimming
            out[f"bulge_fraction_{band}"] = np.asarray(galaxies[f"bulge_fraction_{band}"], float)[pick]
        for part in ("bulge", "disk"):
            q = np.asarray(galaxies[f"q_{part}"], float)[pick]
            g = (1 - q) / (1 + q)
            out[f"hlr_{part}"] = np.asarray(galaxies[f"hlr_{part}"], float)[pick] * 10 ** (SIZE_SLOPE * dimming)
            out[f"n_{part}"] = np.asarray(galaxies[f"n_{part}"], float)[pick]
            out[f"g1_{part}"] = g * np.cos(2 * np.pi * draws[:, 2])
            out[f"g2_{part}"] = g * np.sin(2 * np.pi * draws[:, 2])
        return described(out, bands)
