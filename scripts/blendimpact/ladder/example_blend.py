"""Which blend is shown: one of the first patch, so that how the work is cut into chunks changes no picture."""

import numpy as np

PURITY = (0.4, 0.9)  # a blend that one can see, whose target is still the main object


def first_patch(truth):
    """Return the rows of the first patch of a truth table: the same whatever patches are in the chunk besides."""
    return truth[np.asarray(truth["patch"]) == min(truth["patch"])] if len(truth) else truth


def select_example_blend(truth, settings, assignments=None):
    """Return (patch, twin, source_id) of the target with the highest S/N among clear blends of the first patch.

    Targets whose stamp lies inside the patch, and that are the brightest member of a detection, come first: of them
    every rung has an image. None without target.

    Parameters
    ----------
    truth : Table
    settings : dict
    assignments : Table, optional
        Without it, nothing is known of detections.
    """
    band, truth = settings["shape_band"], first_patch(truth)
    rows = truth[(np.asarray(truth["role"]) == "target") & (np.asarray(truth["snr"], float) >= settings["truth_snr"])]
    if not len(rows):
        return None
    purity = np.nan_to_num(np.asarray(rows[f"purity_{band}"], float), nan=1.0)
    # A source of very high S/N fills its stamp; the eye wants a neighbour of the same kind.
    rank = np.where(np.asarray(rows["snr"]) < 300, np.asarray(rows["snr"], float), 0)
    clear = (purity > PURITY[0]) & (purity < PURITY[1])
    whole = _inside(rows, settings) & _found(rows, assignments)
    best = rows[np.lexsort((-rank, ~clear, ~whole))[0]]
    return int(best["patch"]), str(best["twin"]), int(best["source_id"])


def _inside(rows, settings):
    """Return of which sources the whole stamp lies in the image of its patch."""
    patch, half = settings["patch"], settings["stamp"] / settings["pixel_scale"] / 2
    ends = half, patch["size"] + 2 * patch["border"] - half
    return np.all([(np.asarray(rows[k]) >= ends[0]) & (np.asarray(rows[k]) <= ends[1]) for k in "xy"], axis=0)


def _found(rows, assignments):
    """Return which sources are the brightest member of a detection."""
    if assignments is None:
        return np.ones(len(rows), bool)
    keys = ("patch", "twin", "source_id")
    known = {tuple(map(str, row)) for row in assignments[np.asarray(assignments["dominant"], bool)].iterrows(*keys)}
    return np.array([tuple(map(str, row)) in known for row in rows.iterrows(*keys)])
