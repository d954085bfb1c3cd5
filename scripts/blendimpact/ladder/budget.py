"""The impact budget of a figure of merit: differences between the rungs of the ladder."""

import numpy as np

from ..stats.intervals import CONFIDENCE
from .rungs import REFERENCE, RUNGS

TERMS = {
    "intrinsic": {"isolated": 1, "truth": -1},
    "measurement": {"oracle": 1, "isolated": -1},
    "deblending": {"deblended": 1, "oracle": -1},
    "detection": {"pipeline": 1, "deblended": -1},
    "total": {"pipeline": 1, "truth": -1},
    "interaction": {"pipeline": 1, "deblended": -1, "merged": -1, "oracle": 1},
    "detection_swapped": {"merged": 1, "oracle": -1},
    "deblending_swapped": {"pipeline": 1, "merged": -1},
    "shapley_detection": {"pipeline": 0.5, "deblended": -0.5, "merged": 0.5, "oracle": -0.5},
    "shapley_deblending": {"deblended": 0.5, "oracle": -0.5, "pipeline": 0.5, "merged": -0.5},
    "no_deblending": {"undeblended": 1, "oracle": -1},
}
"""Each term as what it takes of each rung. The first four add up to the total; so they do with the swapped
pair in place of deblending and detection, and with the Shapley pair, the means of both orders."""

DESCRIPTIONS = {
    "intrinsic": "the estimator's own bias on isolated sources; not blending",
    "measurement": "neighbours' photon noise and the sky estimate",
    "deblending": "the deblender, at the true positions",
    "detection": "the detector, given the deblender; with unrecognised blends",
    "total": "full pipeline against truth",
    "interaction": "what detection and deblending do only together",
    "detection_swapped": "the detector, with the perfect deblender",
    "deblending_swapped": "the deblender, given the detector",
    "shapley_detection": "detection, mean of both orders",
    "shapley_deblending": "deblending, mean of both orders",
    "no_deblending": "no deblender at all, at the true positions: an upper bound",
}
INTERACTION_LIMIT = 0.3
"""Above this part of |F(pipeline) - F(oracle)| the interaction makes the split meaningless (adopted)."""


def budget(values, truth=None):
    """Return the terms of the budget of a figure of merit.

    Parameters
    ----------
    values : dict of str to float or array
        F on each rung (`RUNGS`): numbers, or resamples (B,) that share their blocks, so that the difference
        is taken inside each resample.
    truth : float or array, optional
        F of the truth; under the name `REFERENCE` in ``values`` does as well.

    Returns
    -------
    dict of str to float or array
        The terms (`TERMS`) whose rungs are all there. With all rungs, intrinsic + measurement + deblending +
        detection equals total to rounding, in either order.

    Raises
    ------
    ValueError
        If a rung is unknown.
    """
    values = {rung: np.asarray(value, dtype=float) for rung, value in values.items()}
    if truth is not None:
        values[REFERENCE] = np.asarray(truth, dtype=float)
    unknown = sorted(set(values) - {*RUNGS, REFERENCE})
    if unknown:
        raise ValueError(f"unknown rungs: {', '.join(unknown)}")
    return {
        term: sum(share * values[rung] for rung, share in parts.items())
        for term, parts in TERMS.items()
        if parts.keys() <= values.keys()
    }


def split_meaningful(values, limit=INTERACTION_LIMIT):
    """Return whether the split of the blending impact into detection and deblending means something.

    Parameters
    ----------
    values : dict of str to float or (B,) array
        F on the rungs oracle, deblended, merged and pipeline.
    limit : float

    Returns
    -------
    bool or (B,) bool array
        |interaction| <= limit |F(pipeline) - F(oracle)|. A rung without a number makes it False.
    """
    interaction = budget(values)["interaction"]
    joint = np.asarray(values["pipeline"], dtype=float) - np.asarray(values["oracle"], dtype=float)
    return (np.abs(interaction) <= limit * np.abs(joint))[()]


def split_verdict(values, samples, confidence=CONFIDENCE):
    """Return "yes", "no" or "undetermined": whether the split is meaningful, given the resamples.

    "yes" or "no" when at least ``confidence`` of the resamples and the value itself say so.
    """
    agreeing = np.mean(split_meaningful(samples))
    if split_meaningful(values):
        return "yes" if agreeing >= confidence else "undetermined"
    return "no" if agreeing <= 1 - confidence else "undetermined"
