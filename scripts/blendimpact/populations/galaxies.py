"""What samples of galaxies share: their columns, how targets are drawn from them, and the file of Buzzard."""

import numpy as np
from astropy.table import Table

from ..config.files import Problem
from ..config.options import Positive, Share
from ..data.catalogues import describe
from ..errors import StudyError
from . import buzzard
from .base import BANDS, Population
from .drawn import placed
from .galaxy_counts import COMPLETE, FAINTEST, SIZE_SLOPE, counts, magnitude_at
from .targets import described, place_targets

EARLY = 2.0
"""Sersic index from which a galaxy of one profile is no disk, and has no knots."""
_WINDOW = 40  # galaxies of the sample nearest in magnitude, of which one is taken
_WINDOW_CLUSTERED = 400  # and among which the one nearest in redshift to its cluster is


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
    """Galaxies of a sample as `sample` returns it.

    Parameters
    ----------
    size_factor : float
        Factor on all sizes.
    knots : float
        Part of the disk's light in 12 random knots (0: smooth); early types (`EARLY`) have none.
    """

    limits = (18.0, 28.0)
    """In i. Brighter galaxies saturate, are masked by surveys, and fill a small patch; the mean light of fainter ones
    is 29.1 mag/arcsec2, taken as part of the sky."""

    def __init__(self, size_factor: Positive = 1.0, knots: Share = 0.0):
        self.size_factor, self.knots = size_factor, knots

    def problems(self, settings):
        """Yield what a case that injects them does not allow."""
        yield from super().problems(settings)
        if self.knots:
            yield Problem(("inject", "knots"), "is for galaxies of simulated sky", "remove it")

    def sky_problems(self, settings, block):
        """Yield what a case whose sky has them does not allow."""
        yield from super().sky_problems(settings, block)
        if (block.mag_max or 0) > FAINTEST:
            yield Problem(("mag_max",), f"is {block.mag_max}: the galaxies end at {FAINTEST}", "give a brighter one")
        if settings.ring and self.knots:
            yield Problem(("knots",), "are not turned by `ring`", "set knots: 0, or ring: false")

    def scatter(self, field, tables):
        """Return the galaxies of a patch: counts of `galaxy_counts`; each looks as one of the sample of its magnitude.

        It has that one's colours and redshift, and its size scaled by `galaxy_counts.SIZE_SLOPE`.
        """
        galaxies = tables[self.name]
        places = field.candidates(float(counts(FAINTEST)) / 3600, clustered=True)
        # Magnitudes and profiles belong to the candidate, whatever the limits and the density.
        draws = field.stream("profiles").uniform(size=(len(places), 3))
        i = magnitude_at(np.maximum(draws[:, 0], 1e-12))
        keep = field.kept(places, i)
        i, draws = i[keep], draws[keep]
        pick = _pick(galaxies, i, draws[:, 1], places.cluster[keep], places.cluster, field)
        columns = self.looks(galaxies, pick, i - np.asarray(galaxies["mag_i"])[pick], np.pi * draws[:, 2], field.bands)
        if self.knots:
            columns["knots"] = np.where(columns["n_disk"] < EARLY, float(self.knots), 0.0)
            # Of every candidate, as all else: no limit or density moves the knots of a galaxy.
            columns["knots_seed"] = field.stream("knots").integers(2**31, size=len(places))[keep]
        return placed(places, keep, "galaxy", **columns)

    def looks(self, galaxies, pick, dimming, angle, bands):
        """Return the columns of galaxies of the sample that are ``dimming`` mag fainter, turned by ``angle``."""
        columns = {"redshift": np.asarray(galaxies["redshift"], float)[pick]}
        for band in bands:
            columns[f"mag_{band}"] = np.asarray(galaxies[f"mag_{band}"], float)[pick] + dimming
            columns[f"bulge_fraction_{band}"] = np.asarray(galaxies[f"bulge_fraction_{band}"], float)[pick]
        for part in ("bulge", "disk"):
            q = np.asarray(galaxies[f"q_{part}"], float)[pick]
            g = (1 - q) / (1 + q)
            size = self.size_factor * 10 ** (SIZE_SLOPE * dimming)
            columns[f"hlr_{part}"] = np.asarray(galaxies[f"hlr_{part}"], float)[pick] * size
            columns[f"n_{part}"] = np.asarray(galaxies[f"n_{part}"], float)[pick]
            columns[f"g1_{part}"], columns[f"g2_{part}"] = g * np.cos(2 * angle), g * np.sin(2 * angle)
        return columns

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
        out["source_type"] = "Galaxy"
        for name, values in self.looks(galaxies, pick, mag - known[pick], np.pi * draws[:, 2], bands).items():
            out[name] = values
        return described(out, bands)


def _pick(galaxies, i, draw, cluster, clusters, field):
    """Return for each source the row of a galaxy of about its magnitude, and its cluster's redshift."""
    magnitude, redshift = np.asarray(galaxies["mag_i"]), np.asarray(galaxies["redshift"])
    near = np.searchsorted(magnitude, i)

    def window(width):
        return np.clip(near - width // 2, 0, max(len(magnitude) - width, 0)), min(width, len(magnitude))

    start, width = window(_WINDOW)
    pick = start + (draw * width).astype(int)
    member = np.flatnonzero(cluster >= 0)
    if len(member):
        rng = field.stream("clusters")
        host = redshift[rng.integers(0, np.searchsorted(magnitude, COMPLETE) or 1, clusters.max() + 1)]
        start, width = window(_WINDOW_CLUSTERED)
        rows = start[member, None] + np.arange(width)
        away = np.abs(redshift[rows] - host[cluster[member], None])
        # Of the closest in redshift the draw chooses one, so that members are not copies.
        best = np.argsort(away, axis=1)[:, :4]
        pick[member] = np.take_along_axis(rows, best, axis=1)[
            np.arange(len(member)), (draw[member] * best.shape[1]).astype(int)
        ]
    return pick
