"""Draw an injection catalogue: where targets go, how bright they are, what they look like."""

import numpy as np
from astropy.table import Table

from ..data.catalogues import describe
from ..errors import StudyError
from ..sky.patches import pointing
from ..stats.streams import stream
from .catalogue import COLUMNS
from .isochrone import RED_CLUMP, Stars
from .population import SIZE_LUMINOSITY

_WINDOW = 40  # galaxies of the sample nearest in magnitude, of which one is taken
_SIZE_SCATTER = 0.2  # dex


def size_of_magnitude(mag):
    """Return the median half-light radius (arcsec) of galaxies of an AB magnitude, without a sample.

    log10 hlr = -0.2 - 0.075 (mag - 22): 0.63 arcsec at 22, 0.38 at 25. Our own rule of thumb for when no
    population is given, not a fit to data.
    """
    return 10 ** (-0.2 - 0.075 * (np.asarray(mag, float) - 22))


def lattice(number, side, separation, rng):
    """Return positions on a jittered lattice: no two closer than ``separation``.

    Parameters
    ----------
    number : int
        Of positions.
    side : float
        Side of the square, pixels.
    separation : float
        Pixels.
    rng : numpy.random.Generator
        As from `stats.streams.stream`.

    Returns
    -------
    (number, 2) array
        x, y from the square's corner.

    Raises
    ------
    StudyError
        If so many do not fit.
    """
    cells = int(np.ceil(np.sqrt(number)))
    pitch = side / cells
    if pitch < separation:
        fit = int(side // separation) ** 2
        raise StudyError(f"{number} targets {separation:.0f} pixels apart do not fit into a square of "
                         f"{side} pixels", "inject.per_patch",
                         f"per_patch: {fit} or fewer, or a smaller inject.separation")
    chosen = np.sort(rng.permutation(cells * cells)[:number])
    jitter = rng.uniform(-0.5, 0.5, (cells * cells, 2))[chosen] * (pitch - separation)
    corner = np.stack([chosen % cells, chosen // cells], axis=1) * pitch
    return corner + pitch / 2 + jitter


def draw_magnitudes(uniform, low, high, slope=0.0):
    """Return magnitudes with dN/dm ~ 10^(slope m) between two limits, from uniform numbers in [0, 1)."""
    if not slope:
        return low + (high - low) * uniform
    bright, faint = 10 ** (slope * low), 10 ** (slope * high)
    return np.log10(bright + uniform * (faint - bright)) / slope


def generate(settings, patch, seed, case, block, realisation, galaxies=None, stars=None):
    """Draw the targets of one patch.

    Parameters
    ----------
    settings : dict
        ``inject`` with ``per_patch``, ``mag`` ([brightest, faintest] in ``shape_band``), ``separation``
        (arcsec) and ``counts_slope`` (default 0: uniform in magnitude; 0.3: as galaxies are counted), and of
        stars ``red_clump``; ``bands``, ``shape_band``; ``population.stars`` for the distance and the reddening.
    patch : Patch
        Gives the square inside the border, WCS and pixel scale.
    seed : int
        Seed of the study.
    case : str
        Names the stream, with what follows.
    block, realisation : int
        Of a real image; of a simulated patch, its block and 0: visits of a block have the same targets at the same
        places of the sky (`sky.patches.pointing`).
    galaxies : Table, optional
        Population with ``mag_<band>``, ``bulge_fraction_<band>``, ``redshift``, and for bulge and disk
        ``hlr_``, ``n_`` and ``q_``. Each target is one of the galaxies nearest to it in magnitude, with its
        colours, its size scaled with luminosity to the power of `populations.population.SIZE_LUMINOSITY`,
        turned at random. Without it, and if ``inject.population`` is not "stars": Sersic profiles with
        `size_of_magnitude` and 0.2 dex of scatter, n of 1 or 4 (one in five), q uniform from 0.3 to 1, no colours.
    stars : Table, optional
        From `isochrone.build_isochrone`. With ``inject.population`` "stars" each target is a star of its magnitude
        (`isochrone.Stars.at_magnitude`), and the share ``red_clump`` of them, at random, are stars of the red clump
        at its own magnitudes. Without it stars have one magnitude in all bands.

    Returns
    -------
    Table
        As `read_catalogue` returns it, with the exact ``x``, ``y`` (pixels, before shear); ``source_type``
        Galaxy with the profile columns of the truth table, Star with its ``evolution``, or Sersic.
    """
    options, bands = settings["inject"], list(settings["bands"])
    reference = settings.get("shape_band", bands[0])
    image = patch.bands[bands[0]]
    number, (low, high) = int(options["per_patch"]), options["mag"]
    if not low <= high:
        raise StudyError(f"magnitudes {low} to {high}", "inject.mag", "give the brightest first")
    inside = min(patch.shape) - 2 * patch.border
    key = (case, "injection", int(block), int(realisation))
    place = lattice(number, inside, options["separation"] / image.pixel_scale,
                    stream(seed, *key, "positions")) + patch.border - 0.5
    place = place + pointing(settings, seed, case, patch.index)
    draws = stream(seed, *key, "profiles").uniform(size=(number, 4))
    mag = draw_magnitudes(draws[:, 0], low, high, options.get("counts_slope", 0.0))
    ra, dec = image.wcs.wcs_pix2world(place[:, 0], place[:, 1], 0)
    out = Table({"injection_id": np.arange(number), "ra": ra, "dec": dec, "x": place[:, 0], "y": place[:, 1]})
    if options.get("population") == "stars":
        _stars(out, mag, draws, bands, reference, stars, settings)
    elif galaxies is None:
        _sersics(out, mag, draws, bands, stream(seed, *key, "sizes").standard_normal(number))
    else:
        _galaxies(out, mag, draws, bands, reference, galaxies)
    return describe(out, {**COLUMNS, "x": ("pix", "position along axis 1"),
                          "y": ("pix", "position along axis 2"),
                          **{f"mag_{b}": ("mag", f"AB magnitude in {b}") for b in bands}})


def _stars(out, mag, draws, bands, reference, table, settings):
    out["source_type"] = "Star"
    if table is None:
        for band in bands:
            out[f"mag_{band}"] = mag
        return
    stars = Stars(table, settings.get("population", {}).get("stars", {}))
    magnitudes, stage = stars.at_magnitude(mag, reference, draws[:, 1], bands)
    share = settings["inject"].get("red_clump", 0.0)
    if share > 0:
        first, last = stars.stage(RED_CLUMP)
        clump, stages = stars.at_rank(first + (last - first) * draws[:, 3], bands)
        chosen = draws[:, 2] < share
        magnitudes = {band: np.where(chosen, clump[band], magnitudes[band]) for band in bands}
        stage = np.where(chosen, stages, stage)
    for band in bands:
        out[f"mag_{band}"] = magnitudes[band]
    out["evolution"] = stage


def _sersics(out, mag, draws, bands, scatter):
    out["source_type"] = "Sersic"
    for band in bands:
        out[f"mag_{band}"] = mag
    out["n"] = np.where(draws[:, 1] < 0.2, 4.0, 1.0)
    out["half_light_radius"] = size_of_magnitude(mag) * 10 ** (_SIZE_SCATTER * scatter)
    out["q"] = 0.3 + 0.7 * draws[:, 2]
    out["beta"] = 180.0 * draws[:, 3]


def _galaxies(out, mag, draws, bands, reference, galaxies):
    lacking = [n for b in bands for n in (f"mag_{b}", f"bulge_fraction_{b}") if n not in galaxies.colnames]
    if lacking:
        raise StudyError(f"the population has no {', '.join(lacking)}", "inject.population",
                         "use bands that it has, or leave inject.population out: then Sersic profiles "
                         "are drawn")
    known = np.asarray(galaxies[f"mag_{reference}"], float)
    order = np.argsort(known, kind="stable")
    order = order[np.isfinite(known[order])]
    width = min(_WINDOW, len(order))
    start = np.clip(np.searchsorted(known[order], mag) - width // 2, 0, len(order) - width)
    pick = order[start + (draws[:, 1] * width).astype(int)]
    dimming = mag - known[pick]
    factor = 10 ** (-0.4 * SIZE_LUMINOSITY * dimming)
    out["source_type"] = "Galaxy"
    out["redshift"] = np.asarray(galaxies["redshift"], float)[pick]
    for band in bands:
        out[f"mag_{band}"] = np.asarray(galaxies[f"mag_{band}"], float)[pick] + dimming
        out[f"bulge_fraction_{band}"] = np.asarray(galaxies[f"bulge_fraction_{band}"], float)[pick]
    for part in ("bulge", "disk"):
        q = np.asarray(galaxies[f"q_{part}"], float)[pick]
        g = (1 - q) / (1 + q)
        out[f"hlr_{part}"] = np.asarray(galaxies[f"hlr_{part}"], float)[pick] * factor
        out[f"n_{part}"] = np.asarray(galaxies[f"n_{part}"], float)[pick]
        out[f"g1_{part}"] = g * np.cos(2 * np.pi * draws[:, 2])
        out[f"g2_{part}"] = g * np.sin(2 * np.pi * draws[:, 2])
