"""The impact budget of a figure of merit: differences between the rungs of the ladder."""

import numpy as np

from ..stats.intervals import CONFIDENCE
from .rungs import REFERENCE, RUNGS

KEPT = "kept "
"""Before the name of a rung: F of that rung on the sample that detection keeps."""
TERMS = {
    "intrinsic": {"isolated": 1, "truth": -1},
    "photons": {"exact": 1, "isolated": -1},
    "sky": {"oracle": 1, "exact": -1},
    "measurement": {"oracle": 1, "isolated": -1},
    "deblending": {"deblended": 1, "oracle": -1},
    "survival": {"kept deblended": 1, "deblended": -1},
    "detection": {"kept pipeline": 1, "kept deblended": -1},
    "total": {"kept pipeline": 1, "truth": -1},
    "interaction": {"kept pipeline": 1, "kept deblended": -1, "kept merged": -1, "kept oracle": 1},
    "detection_swapped": {"kept merged": 1, "kept oracle": -1},
    "deblending_swapped": {"kept pipeline": 1, "kept merged": -1},
    "shapley_detection": {"kept pipeline": 0.5, "kept deblended": -0.5, "kept merged": 0.5, "kept oracle": -0.5},
    "shapley_deblending": {"kept deblended": 0.5, "kept oracle": -0.5, "kept pipeline": 0.5, "kept merged": -0.5},
    "no_deblending": {"undeblended": 1, "oracle": -1},
}
"""Each term as what it takes of each rung. Intrinsic, measurement (photons + sky), deblending, survival and detection
add up to the total. On the kept sample the swapped pair has the sum of deblending and detection, and so has the Shapley
pair, the means of both orders."""

DESCRIPTIONS = {
    "intrinsic": "the estimator's own bias on isolated sources; not blending",
    "photons": "neighbours' photon noise, where the sky is known",
    "sky": "the sky estimate in a crowded image, with the light below the truth cut that stays in it; in differences, "
    "where the sky is known, the noise of the template and the errors of measured PSFs",
    "measurement": "photons and sky together",
    "deblending": "the deblender, at the true positions",
    "survival": "what changes as sources that detection loses leave the sample",
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


def budget(values, kept=None, truth=None):
    """Return the terms of the budget of a figure of merit.

    Parameters
    ----------
    values : dict of str to float or array
        F on each rung (`RUNGS`): numbers, or resamples (B,) that share their blocks, so that the difference
        is taken inside each resample.
    kept : dict of str to float or array, optional
        The same on the sample that detection keeps, where that is another one; then the rungs with a real detector are
        needed here alone. Without it one sample serves all terms, and there is no survival.
    truth : float or array, optional
        F of the truth; under the name `REFERENCE` in ``values`` does as well.

    Returns
    -------
    dict of str to float or array
        The terms (`TERMS`) whose rungs are all there. With all rungs, intrinsic + photons + sky + deblending +
        survival + detection equals total to rounding.

    Raises
    ------
    ValueError
        If a rung is unknown.
    """
    values = {rung: np.asarray(value, dtype=float) for rung, value in values.items()}
    if truth is not None:
        values[REFERENCE] = np.asarray(truth, dtype=float)
    late = values if kept is None else {rung: np.asarray(value, dtype=float) for rung, value in kept.items()}
    unknown = sorted({*values, *late} - {*RUNGS, REFERENCE})
    if unknown:
        raise ValueError(f"unknown rungs: {', '.join(unknown)}")
    have = values | {KEPT + rung: value for rung, value in late.items()}
    return {
        term: sum(share * have[rung] for rung, share in parts.items())
        for term, parts in TERMS.items()
        if parts.keys() <= have.keys() and not (kept is None and term == "survival")
    }


def sample_of(term):
    """Return the sample that a term is measured on: "centres", "kept", or "both"."""
    late = {name.startswith(KEPT) for name in TERMS[term]}
    return "both" if len(late) == 2 else "kept" if late.pop() else "centres"


def split_meaningful(values, limit=INTERACTION_LIMIT):
    """Return whether the split of the blending impact into detection and deblending means something.

    Parameters
    ----------
    values : dict of str to float or (B,) array
        F on the rungs oracle, deblended, merged and pipeline, of one sample.
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
