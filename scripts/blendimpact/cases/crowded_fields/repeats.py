"""Repeat visits of artificial stars: what a survey measures without knowing the truth, beside the error that it has.

Errors that all visits of a star share, such as most of crowding, are in the scatter about the truth and not in the
repeatability. Both are of the same stars, measured in all visits on all rungs.
"""

import numpy as np

from ...config.settings import visits_of
from ...ladder.rungs import BOUND, REFERENCE, rungs_of
from ...stats.figures_of_merit import strata
from .foms import AXES, BRIGHT_SNR, MAG, MAGNITUDE_STRATA, PULL_EDGES
from .photometry import error_of
from .repeat_foms import REPEAT_MAS_EDGES, REPEAT_MMAG_EDGES

STAR = ["block", "source_id"]
MMAG = 1000 * MAG  # per relative error


def add(scores, rows, settings, facts):
    """Add CF-M1.repeat and what stands beside it, and CF-D1.repeat.

    Parameters
    ----------
    scores : Scores
    rows : pandas.DataFrame
        From `blendimpact.cases.crowded_fields.photometry.with_truth`.
    settings : dict
        With one visit per block nothing is added.
    """
    visits, band = visits_of(settings), settings["shape_band"]
    if visits == 1:
        return
    bright = rows["snr"] >= BRIGHT_SNR
    good = rows[bright & np.isfinite(rows["mag"]) & np.isfinite(rows["x_psf"]) & np.isfinite(rows["y_psf"])]
    rungs = rungs_of(settings)
    each = _everywhere(good, visits, (REFERENCE, *rungs))
    _counts(scores, rows[bright], each, rungs)
    common = set.intersection(*(each[rung] for rung in (REFERENCE, *rungs) if rung != BOUND))
    for rung in rungs:
        here = good[(good["rung"] == rung) & _is_in(good, common & each[rung])]
        if len(here):
            _fluxes(scores, rung, here, band, visits)
            _positions(scores, rung, here, facts.pixel_scale, visits)


def residuals(values, stars, visits):
    """Return deviations from the mean over a star's visits, so scaled that their variance is that of one visit.

    Parameters
    ----------
    values : pandas.Series
        One per star and visit.
    stars : list of pandas.Series
        What names the star of each value.
    visits : int
        How many values each star has, K. The variance of a deviation is (K - 1) / K of that of a value; deviations of
        Gaussian values are Gaussian, so that any measure of their width is right for any K >= 2.

    Returns
    -------
    pandas.Series
    """
    return (values - values.groupby(stars).transform("mean")) * np.sqrt(visits / (visits - 1))


def _everywhere(good, visits, rungs):
    """Return {rung: set of (block, source_id)} of the stars that are measured in all visits."""
    seen = good.groupby(["rung", *STAR]).size()
    seen = seen[seen == visits].index
    return {rung: {(block, star) for r, block, star in seen if r == rung} for rung in rungs}


def _is_in(rows, stars):
    return np.array([key in stars for key in zip(rows["block"], rows["source_id"])], bool)


def _counts(scores, bright, each, rungs):
    """CF-D1.repeat: of all bright stars, those that are measured in every visit."""
    stars = bright.drop_duplicates(STAR)
    for rung in rungs:
        scores.add_fractions(
            "CF-D1.repeat",
            rung,
            stars["block"],
            _is_in(stars, each[rung]),
            strata("magnitude", stars["magnitude"], MAGNITUDE_STRATA),
            copies=1,
        )


def _fluxes(scores, rung, rows, band, visits):
    """CF-M1.repeat and .repeat_true (of one histogram each), .repeat_rms, .repeat_error, .repeat_pull."""
    flux, error = rows[f"flux_psf_{band}"], error_of(rows, "flux", band)
    stars = [rows[name] for name in STAR]
    mean = flux.groupby(stars).transform("mean")
    deviation = residuals(flux, stars, visits)
    _pair(
        scores,
        "CF-M1.repeat",
        rung,
        rows,
        MMAG * deviation / mean,
        MMAG * (flux / rows[f"true_flux_{band}"] - 1),
        REPEAT_MMAG_EDGES,
        visits,
    )
    # Sums over the visits of one star, so that N counts stars: each is a mean of K.
    for fom, square in (
        ("CF-M1.repeat_rms", (MMAG * deviation / mean) ** 2),
        ("CF-M1.repeat_error", (MMAG * error / mean) ** 2),
    ):
        star = (
            rows.assign(square=square)
            .groupby(STAR, as_index=False)
            .agg(square=("square", "mean"), magnitude=("magnitude", "first"))
        )
        scores.add_sums(
            fom,
            rung,
            star["block"],
            [1, 0, star["square"]],
            strata("magnitude", star["magnitude"], MAGNITUDE_STRATA),
            "common",
            copies=1,
        )
    scores.add_histogram("CF-M1.repeat_pull", rung, rows["block"], deviation / error, PULL_EDGES, copies=visits)


def _positions(scores, rung, rows, pixel_scale, visits):
    """CF-M1.repeat_xy, .repeat_xy_true and .repeat_xy_pull; both axes of each star enter.

    The true place on each image is the same place of the sky, which cancels in the deviations from the mean: they
    need no truth but how the visits lie on each other.
    """
    stars = [rows[name] for name in STAR]
    for axis in AXES:
        offset = rows[f"{axis}_psf"] - rows[f"true_{axis}"]
        deviation = residuals(offset, stars, visits)
        _pair(
            scores,
            "CF-M1.repeat_xy",
            rung,
            rows,
            1000 * pixel_scale * deviation,
            1000 * pixel_scale * offset,
            REPEAT_MAS_EDGES,
            len(AXES) * visits,
        )
        scores.add_histogram(
            "CF-M1.repeat_xy_pull",
            rung,
            rows["block"],
            deviation / error_of(rows, axis),
            PULL_EDGES,
            copies=len(AXES) * visits,
        )


def _pair(scores, fom, rung, rows, deviation, error, edges, copies):
    """Add the histogram of the deviations as first sum and that of the errors, of the same rows, as second."""
    scores.add_histogram(
        fom,
        rung,
        rows["block"],
        (deviation, error),
        edges,
        strata("magnitude", rows["magnitude"], MAGNITUDE_STRATA),
        copies=copies,
    )
