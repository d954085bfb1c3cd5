"""Photometry and astrometry of artificial stars: the common sample, and each rung's own."""

import numpy as np

from ...ladder.objects import common_sources, select
from ...ladder.rungs import ORDER, REFERENCE
from ...stats.figures_of_merit import strata
from .foms import (
    AXES,
    BRIGHT_SNR,
    DM_EDGES,
    FEH_EDGES,
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
    """Return the measurements of artificial stars on all rungs with their truth beside them.

    Parameters
    ----------
    objects : pandas.DataFrame
        From `blendimpact.ladder.objects.by_source`, with ``mag``.
    targets : pandas.DataFrame
        Truth of the artificial stars, with ``apart`` and ``brighter`` (FWHM), ``ratio`` and ``sigma_c`` (mag).
    settings : dict

    Returns
    -------
    pandas.DataFrame
        With ``block``, ``snr``, ``magnitude`` (true, shape band), ``true_x``, ``true_y``, ``true_flux_<band>``,
        ``true_mag_<band>``.
    """
    columns = [*KEY, "block", "snr", "apart", "brighter", "ratio", "sigma_c", "x", "y", "evolution"]
    targets = targets.assign(evolution=targets.get("evolution", ""))
    columns += [f"{name}_{b}" for b in settings["bands"] for name in ("mag", "flux")]
    true = targets[columns].rename(
        columns={c: f"true_{c}" for c in columns if c in AXES or c.startswith(("mag_", "flux_"))}
    )
    rows = objects.merge(true, on=KEY, validate="many_to_one")
    return rows.assign(magnitude=rows[f"true_mag_{settings['shape_band']}"])


def add(scores, rows, twins, settings, facts, simulated):
    """Add CF-B1, CF-B2, CF-M1 and CF-M2.

    Parameters
    ----------
    scores : Scores
    rows : pandas.DataFrame
        From `with_truth`.
    twins : list of str
    settings : dict
    simulated : bool
        On a real image the noise of the isolated rung is another draw: figures against it are left out.
    """
    band = settings["shape_band"]
    rows = rows.copy()
    rows["error"] = MAG * (rows[f"flux_psf_{band}"] / rows[f"true_flux_{band}"] - 1)
    rows["dm"] = rows["mag"] - rows[f"true_mag_{band}"]
    usable = np.isfinite(rows["mag"])
    common = select(rows[usable], common_sources(rows, usable & (rows["snr"] >= BRIGHT_SNR), twins)).copy()
    common = _with_alone(common, band)
    own = rows[usable & (rows[f"flux_psf_{band}"] >= BRIGHT_SNR * rows[f"flux_psf_err_{band}"])]
    for rung in ORDER:
        here = common[common["rung"] == rung]
        by = list(strata("magnitude", here[f"true_mag_{band}"], MAGNITUDE_STRATA))
        scores.add_histogram("CF-M1", rung, here["block"], here["dm"], DM_EDGES, by)
        scores.add_histogram("CF-B1.excess", rung, here["block"], here["error"], DM_EDGES)
        _colours(scores, rung, here, settings)
        _positions(scores, rung, here, facts.pixel_scale)
        if rung == REFERENCE:
            continue
        _pulls(scores, rung, here, band)
        scores.add_histogram(
            "CF-M1.own", rung, own["block"], own["dm"], DM_EDGES, [("all", own["rung"] == rung)], population="own"
        )
        if simulated:
            scores.add_histogram("CF-B1", rung, here["block"], here["crowding"], DM_EDGES, by)
            _partition(scores, rung, here)
    if simulated:
        _analytic(scores, rows[usable & (rows["snr"] >= BRIGHT_SNR)], band)


def _with_alone(rows, band):
    """Return rows with ``crowding``: relative change of the flux against the isolated rung, in magnitudes."""
    alone = rows.loc[rows["rung"] == "isolated", [*KEY, f"flux_psf_{band}"]].rename(
        columns={f"flux_psf_{band}": "flux_alone"}
    )
    rows = rows.merge(alone, on=KEY, how="left", validate="many_to_one")
    rows["crowding"] = MAG * (rows[f"flux_psf_{band}"] / rows["flux_alone"] - 1)
    return rows


def _partition(scores, rung, rows):
    """CF-B2: by the distance to the nearest comparable star, and by its flux where it is near."""
    scores.add_histogram(
        "CF-B2.all",
        rung,
        rows["block"],
        rows["crowding"],
        DM_EDGES,
        strata("separation", rows["apart"], SEPARATION_EDGES),
    )
    near = rows[rows["apart"] < NEAR]
    scores.add_histogram(
        "CF-B2", rung, near["block"], near["crowding"], DM_EDGES, strata("ratio", near["ratio"], RATIO_EDGES)
    )


def _analytic(scores, rows, band):
    """CF-B1.rms: raw pixels of stars without a brighter neighbour, and the analytic curve for the same stars."""
    rows = rows[(rows["brighter"] > NEAR) & np.isfinite(rows["sigma_c"])]
    raw = _with_alone(rows[rows["rung"].isin(["isolated", "undeblended"])], band)
    raw = raw[(raw["rung"] == "undeblended") & np.isfinite(raw["crowding"])]
    for rung, x, square in (
        ("undeblended", raw["crowding"], raw["crowding"] ** 2),
        ("analytic", 0 * raw["crowding"], raw["sigma_c"] ** 2),
    ):
        scores.add_sums(
            "CF-B1.rms",
            rung,
            raw["block"],
            [1, x, square],
            strata("magnitude", raw[f"true_mag_{band}"], MAGNITUDE_STRATA),
            "raw",
        )


def _colours(scores, rung, rows, settings):
    """CF-M2: first band minus last band."""
    blue, red = settings["bands"][0], settings["bands"][-1]
    if blue == red:
        return
    ratio = rows[f"flux_psf_{blue}"] / rows[f"flux_psf_{red}"]
    ratio *= rows[f"true_flux_{red}"] / rows[f"true_flux_{blue}"]
    # No flux in one band is a colour beyond the last bin, not a missing one: a median must not lose its tail.
    no_blue, no_red = rows[f"flux_psf_{blue}"] <= 0, rows[f"flux_psf_{red}"] <= 0
    colour = -2.5 * np.log10(ratio.mask(no_blue | no_red))
    colour = colour.mask(no_blue & ~no_red, DM_EDGES[-1]).mask(no_red & ~no_blue, DM_EDGES[0])
    clump = rows["evolution"] == "red clump"
    scores.add_histogram("CF-M2", rung, rows["block"], colour, DM_EDGES, [("all", True), (RED_CLUMP, clump)])
    if (blue, red) == METALLICITY_BANDS:
        scores.add_histogram("CF-M2.feh", rung, rows["block"], METALLICITY * colour, FEH_EDGES, [("all", clump)])


def _positions(scores, rung, rows, pixel_scale):
    """CF-M1.astrometry: both axes of each star enter."""
    for axis in AXES:
        offset = 1000 * pixel_scale * (rows[f"{axis}_psf"] - rows[f"true_{axis}"])
        scores.add_histogram(
            "CF-M1.astrometry", rung, rows["block"], offset, MAS_EDGES, copies=len(AXES) * scores.copies
        )


def _pulls(scores, rung, rows, band):
    """CF-M1.pull and CF-M1.pull_xy."""
    with np.errstate(invalid="ignore", divide="ignore"):
        pull = (rows[f"flux_psf_{band}"] - rows[f"true_flux_{band}"]) / rows[f"flux_psf_err_{band}"]
        placed = [(rows[f"{axis}_psf"] - rows[f"true_{axis}"]) / rows[f"{axis}_psf_err"] for axis in AXES]
    scores.add_histogram("CF-M1.pull", rung, rows["block"], pull, PULL_EDGES)
    for axis_pull in placed:
        scores.add_histogram(
            "CF-M1.pull_xy", rung, rows["block"], axis_pull, PULL_EDGES, copies=len(AXES) * scores.copies
        )
