"""The field as a whole: density, luminosity function, colour-magnitude diagram, analytic limit (simulated sky)."""

import numpy as np

from ...config.settings import FIDUCIAL
from ...ladder.rungs import REFERENCE
from ...sky.blends import ARCMIN2_PER_DEG2
from ...stats.crowding import beam_area
from ...stats.figures_of_merit import CELLS, strata
from .foms import CMD_EDGES, COLOUR_EDGES, MAGNITUDE_EDGES, MAGNITUDE_STRATA


def area(settings, facts):
    """Return the area inside the border of a patch in arcsec2."""
    return (settings["patch"]["size"] * facts.pixel_scale) ** 2


def inside(truth, settings):
    """Return which sources lie inside the border of their patch."""
    border, size = settings["patch"]["border"], settings["patch"]["size"]
    return np.all([(truth[k] >= border - 0.5) & (truth[k] < border + size - 0.5) for k in ("x", "y")], axis=0)


def counted(stars, settings):
    """Return which stars a density counts: those brighter than its limit, without one those above the S/N cut."""
    limit = settings["population"]["stars"].get("limit") if settings.get("sky") != "adopt" else None
    return stars["snr"] >= settings["truth_snr"] if limit is None else stars[f"mag_{settings['shape_band']}"] < limit


def add_artificial(scores, truth, settings):
    """Add CF-Q2: which part of the stars, and of their light, is artificial.

    Parameters
    ----------
    scores : Scores
    truth : pandas.DataFrame
        All stars that are known; of a real image the sources that were found on it are among them.
    settings : dict
    """
    stars = truth[inside(truth, settings)]
    stars = stars[counted(stars, settings)]
    artificial = (stars["injection_id"] >= 0 if "injection_id" in stars else False) & np.isfinite(stars["snr"])
    scores.add_fractions("CF-Q2", REFERENCE, stars["block"], artificial, population="truth")
    flux = np.nan_to_num(stars[f"flux_{settings['shape_band']}"])
    scores.add_sums(
        "CF-Q2.light", REFERENCE, stars["block"], [flux * artificial, flux * ~artificial], population="truth"
    )


def add(scores, pipeline, truth, blocks, settings, facts):
    """Add CF-Q1, CF-D1.limit, CF-D1.lf and CF-D1.cmd.

    Parameters
    ----------
    scores : Scores
    pipeline : pandas.DataFrame
        Detections inside the border as the pipeline measures them: ``block``, ``mag``, ``flux_psf_<band>``.
    truth : pandas.DataFrame
    blocks : pandas.Series
        Block of each patch, patches without a star too.
    settings : dict
    """
    band, size = settings["shape_band"], area(settings, facts)
    stars = true = truth[inside(truth, settings)]
    seen = stars[counted(stars, settings)].groupby("block").size()
    counts = {block: np.histogram(here[f"mag_{band}"], MAGNITUDE_EDGES)[0] for block, here in stars.groupby("block")}
    for block, patches in blocks.groupby(blocks):
        number, here = int(seen.get(block, 0)), size * len(patches)
        scores.add("CF-Q1", REFERENCE, block, [number, here / 3600 / ARCMIN2_PER_DEG2, number], "truth")
        beams = here / beam_area(facts.psf_fwhm[band])
        for cell, count in enumerate(counts.get(block, np.zeros(len(MAGNITUDE_EDGES) - 1))):
            scores.add("CF-D1.limit", REFERENCE, block, [count, beams], "truth", cell=cell)
    for rows, magnitude, each in ((true, true[f"mag_{band}"], [0, 1]), (pipeline, pipeline["mag"], [1, 0])):
        scores.add_sums("CF-D1.lf", "pipeline", rows["block"], each, strata("magnitude", magnitude, MAGNITUDE_STRATA))
    if settings["scenario"] == FIDUCIAL and len(settings["bands"]) > 1:
        _diagram(scores, pipeline, true, settings, facts)


def _diagram(scores, pipeline, true, settings, facts):
    """CF-D1.cmd: stars in cells of colour and magnitude; a stratum "cmd:<colour> <magnitude>" each."""
    band = settings["shape_band"]
    blue = next(b for b in settings["bands"] if b != band)
    with np.errstate(invalid="ignore", divide="ignore"):
        measured = facts.zero_point - 2.5 * np.log10(pipeline[f"flux_psf_{blue}"]) - pipeline["mag"]
    for rung, rows, colour, mag in (
        (REFERENCE, true, true[f"mag_{blue}"] - true[f"mag_{band}"], true[f"mag_{band}"]),
        ("pipeline", pipeline, measured, pipeline["mag"]),
    ):
        block = rows["block"].to_numpy()
        counts = {
            b: np.histogram2d(
                np.nan_to_num(colour[block == b], nan=-99.0),
                np.nan_to_num(mag[block == b], nan=-99.0),
                [COLOUR_EDGES, CMD_EDGES],
            )[0]
            for b in np.unique(block)
        }
        for number, here in counts.items():
            for i, j in zip(*np.nonzero(here)):
                scores.add(
                    "CF-D1.cmd",
                    rung,
                    number,
                    [here[i, j] / scores.copies],
                    "own",
                    f"{CELLS}{COLOUR_EDGES[i]:g} {CMD_EDGES[j]:g}",
                    copies=1,
                )
