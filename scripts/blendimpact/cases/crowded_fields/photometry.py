"""Photometry and astrometry of stars of known flux: both samples, and each rung's own."""

import numpy as np

from ...ladder.objects import samples
from ...ladder.paired import add_paired
from ...ladder.rungs import REFERENCE, rungs_of
from ...stats.figures_of_merit import strata
from .foms import (
    AXES,
    BOUND,
    BRIGHT_SNR,
    DM_EDGES,
    MAG,
    MAGNITUDE_STRATA,
    MAS_EDGES,
    METALLICITY,
    PULL_EDGES,
    RATIO_EDGES,
    SEPARATION_EDGES,
)

NEAR = 2.0  # FWHM: a star within this is a neighbour
KEY = ["patch", "twin", "source_id"]
RED_CLUMP = "stage:red clump"
METALLICITY_BANDS = "u", "i"


def with_truth(objects, targets, settings):
    """Return the measurements of targets on all rungs with their truth beside them.

    Parameters
    ----------
    objects : pandas.DataFrame
        From `blendimpact.ladder.objects.by_source`, with ``mag``.
    targets : pandas.DataFrame
        Their truth, with ``apart`` and ``brighter`` (FWHM) and ``ratio``.
    settings : dict

    Returns
    -------
    pandas.DataFrame
        With ``block``, ``snr``, ``magnitude`` (true, shape band), ``true_x``, ``true_y``, ``true_flux_<band>``,
        ``true_mag_<band>``; ``error``, 1.086 (F - F_true) / F_true in the shape band: bright is positive; and
        ``crowding``, the same against the flux on the isolated rung.
    """
    band = settings["shape_band"]
    columns = [*KEY, "block", "snr", "apart", "brighter", "ratio", "x", "y", "evolution"]
    targets = targets.assign(evolution=targets.get("evolution", ""))
    columns += [f"{name}_{b}" for b in settings["bands"] for name in ("mag", "flux")]
    true = targets[columns].rename(
        columns={c: f"true_{c}" for c in columns if c in AXES or c.startswith(("mag_", "flux_"))}
    )
    rows = objects.merge(true, on=KEY, validate="many_to_one")
    flux = rows[f"flux_psf_{band}"]
    alone = rows.loc[rows["rung"] == "isolated", KEY].assign(alone=flux[rows["rung"] == "isolated"])
    alone = rows[KEY].merge(alone, on=KEY, how="left", validate="many_to_one")["alone"].to_numpy()
    return rows.assign(
        magnitude=rows[f"true_mag_{band}"],
        error=MAG * (flux / rows[f"true_flux_{band}"] - 1),
        crowding=MAG * (flux / alone - 1),
    )


def by_magnitude(rows):
    """Return the strata of magnitude."""
    return strata("magnitude", rows["magnitude"], MAGNITUDE_STRATA)


def add(scores, rows, twins, settings, facts, simulated):
    """Add CF-B1, CF-B2, CF-M1 and CF-M2.

    Parameters
    ----------
    scores : Scores
    rows : pandas.DataFrame
        From `with_truth`.
    twins : list of str
    settings : dict
    facts : Facts
    simulated : bool
        On a real image the noise of the isolated rung is another draw: figures against it are left out.
    """
    bright = np.isfinite(rows["error"]) & (rows["snr"] >= BRIGHT_SNR)
    rungs = rungs_of(settings)
    both = samples(rows, bright, twins, rungs)
    for population, sample in both.items():
        for rung in (REFERENCE, *rungs):
            here = sample[sample["rung"] == rung]
            if len(here):
                _values(scores, rung, here, population, settings, facts, simulated)
    if simulated:
        add_paired(scores, "CF-B1", both, "error", DM_EDGES, by_magnitude)
    band = settings["shape_band"]
    own = rows[rows[f"flux_psf_{band}"] >= BRIGHT_SNR * rows[f"flux_psf_err_{band}"]]
    for rung in rungs:
        here = own[own["rung"] == rung]
        scores.add_mean("CF-M1.own", rung, here["block"], -here["error"], BOUND, population="own")


def _values(scores, rung, rows, population, settings, facts, simulated):
    """Add what each rung of a sample has."""
    by = list(by_magnitude(rows))
    scores.add_mean("CF-M1", rung, rows["block"], -rows["error"], BOUND, by, population)
    scores.add_histogram("CF-M1.nmad", rung, rows["block"], rows["error"], DM_EDGES, by, population)
    _colours(scores, rung, rows, population, settings)
    _positions(scores, rung, rows, population, facts.pixel_scale)
    if rung == REFERENCE:
        return
    _pulls(scores, rung, rows, population, settings["shape_band"])
    if simulated:
        _partition(scores, rung, rows, population)


def _partition(scores, rung, rows, population):
    """CF-B2: by the distance to the nearest comparable star, and by its flux where it is near."""
    apart = strata("separation", rows["apart"], SEPARATION_EDGES)
    scores.add_mean("CF-B2.all", rung, rows["block"], rows["crowding"], BOUND, apart, population)
    near = rows[rows["apart"] < NEAR]
    ratio = strata("ratio", near["ratio"], RATIO_EDGES)
    scores.add_mean("CF-B2", rung, near["block"], near["crowding"], BOUND, ratio, population)


def _colours(scores, rung, rows, population, settings):
    """CF-M2: first band minus last band."""
    blue, red = settings["bands"][0], settings["bands"][-1]
    if blue == red:
        return
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = rows[f"flux_psf_{blue}"] / rows[f"flux_psf_{red}"]
        ratio *= rows[f"true_flux_{red}"] / rows[f"true_flux_{blue}"]
        # No flux in one band is a colour beyond the bound, not a missing one.
        no_blue, no_red = rows[f"flux_psf_{blue}"] <= 0, rows[f"flux_psf_{red}"] <= 0
        colour = -2.5 * np.log10(ratio.mask(no_blue | no_red))
    colour = colour.mask(no_blue & ~no_red, DM_EDGES[-1]).mask(no_red & ~no_blue, DM_EDGES[0])
    clump = rows["evolution"] == "red clump"
    by = [("all", np.isfinite(colour)), (RED_CLUMP, clump)]
    scores.add_mean("CF-M2", rung, rows["block"], colour, BOUND, by, population)
    scores.add_histogram("CF-M2.nmad", rung, rows["block"], colour, DM_EDGES, by, population)
    if (blue, red) == METALLICITY_BANDS:
        by = [("all", clump)]
        scores.add_mean("CF-M2.feh", rung, rows["block"], METALLICITY * colour, METALLICITY * BOUND, by, population)


def _positions(scores, rung, rows, population, pixel_scale):
    """CF-M1.astrometry: both axes of each star enter."""
    for axis in AXES:
        offset = 1000 * pixel_scale * (rows[f"{axis}_psf"] - rows[f"true_{axis}"])
        scores.add_histogram(
            "CF-M1.astrometry",
            rung,
            rows["block"],
            offset,
            MAS_EDGES,
            population=population,
            copies=len(AXES) * scores.copies,
        )


def error_of(rows, what, band=""):
    """Return errors of ``flux`` (in a band), ``x`` or ``y``: of the deblender's fit where there are, else of the refit.

    The refit of a child takes its neighbours as known; the fit of the deblender has the uncertainty of theirs in it.
    """
    refit = rows[f"flux_psf_err_{band}" if band else f"{what}_psf_err"]
    fitted = rows[f"flux_fitted_err_{band}" if band else f"{what}_fitted_err"]
    return fitted.where(np.isfinite(fitted), refit)


def _pulls(scores, rung, rows, population, band):
    """CF-M1.pull and CF-M1.pull_xy."""
    by = list(by_magnitude(rows))
    with np.errstate(invalid="ignore", divide="ignore"):
        pull = (rows[f"flux_psf_{band}"] - rows[f"true_flux_{band}"]) / error_of(rows, "flux", band)
        placed = [(rows[f"{axis}_psf"] - rows[f"true_{axis}"]) / error_of(rows, axis) for axis in AXES]
    scores.add_histogram("CF-M1.pull", rung, rows["block"], pull, PULL_EDGES, by, population)
    for axis_pull in placed:
        scores.add_histogram(
            "CF-M1.pull_xy",
            rung,
            rows["block"],
            axis_pull,
            PULL_EDGES,
            population=population,
            copies=len(AXES) * scores.copies,
        )
