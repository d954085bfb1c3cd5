"""The analytic crowding error beside that on raw pixels, for the same stars (simulated sky)."""

import numpy as np

from ...config.surveys import survey_of
from ...data.psf import psf_pixels
from ...measure.psf import response
from ...stats.crowding import light_in_beams
from .foms import BRIGHT_SNR, CURVE_BOUND, MAG
from .photometry import NEAR, by_magnitude

PLACES = 16
"""Places along each side of a patch at which the light in a beam is summed."""


def add(scores, rows, truth, settings, facts):
    """Add CF-B1.rms and CF-B1.curve: stars without a brighter neighbour.

    What the curve promises is taken at a lattice of places in the same patch: the light that the very stars of the
    field have there in a disc of the PSF's full width (``analytic``), or in the beam of the PSF fit (``beam``), less
    its mean, which the sky estimate takes.

    Parameters
    ----------
    scores : Scores
    rows : pandas.DataFrame
        From `photometry.with_truth`.
    truth : pandas.DataFrame
        All stars.
    settings : dict
    facts : Facts
    """
    raw = rows[
        (rows["rung"] == "undeblended")
        & (rows["snr"] >= BRIGHT_SNR)
        & (rows["brighter"] > NEAR)
        & np.isfinite(rows["crowding"])
    ]
    if not len(raw):
        return
    by = list(by_magnitude(raw))
    bounded = np.clip(raw["crowding"].to_numpy(), -CURVE_BOUND, CURVE_BOUND)
    measured = [np.ones(len(raw)), bounded, bounded**2]
    expected = {name: _expected(raw, truth, beam, settings) for name, beam in beams(settings, facts).items()}
    for rung, sums in {"undeblended": measured, **{k: [measured[0], *v] for k, v in expected.items()}}.items():
        scores.add_sums("CF-B1.rms", rung, raw["block"], sums, by, "raw")
    scores.add_sums("CF-B1.curve", "undeblended", raw["block"], [*measured, *expected["beam"]], by, "raw")


def beams(settings, facts):
    """Return the part of a star's light that a beam has at a distance in pixels: ``analytic`` and ``beam``."""
    band, scale = settings["shape_band"], facts.pixel_scale
    radius = facts.psf_fwhm[band] / scale / 2
    distance, weight = response(psf_pixels(survey_of(settings["survey"]).bands[band].psf_model, scale))
    return {
        "analytic": lambda r: (r <= radius).astype(float),
        "beam": lambda r: np.interp(r, distance, weight, right=0.0),
    }


def _expected(raw, truth, beam, settings):
    """Return the mean over the places of the light in a beam, bounded as the errors are, and of its square."""
    band, border, size = settings["shape_band"], settings["patch"]["border"], settings["patch"]["size"]
    steps = border - 0.5 + size * (np.arange(PLACES) + 0.5) / PLACES
    places = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)
    out = np.empty((2, len(raw)))
    keys = ["patch", "twin"]
    stars = {key: here[["x", "y", f"mag_{band}"]].to_numpy(float) for key, here in truth.groupby(keys)}
    for key, index in raw.groupby(keys).indices.items():
        light = MAG * light_in_beams(raw["magnitude"].to_numpy(float)[index], stars[key], places, beam)
        light = np.clip(light - light.mean(axis=1, keepdims=True), -CURVE_BOUND, CURVE_BOUND)
        out[:, index] = light.mean(axis=1), (light**2).mean(axis=1)
    return list(out)
