"""Which blend of a chunk is shown."""

import numpy as np

PURITY = (0.4, 0.9)  # a blend that one can see, whose target is still the main object


def select_example_blend(truth, settings):
    """Return (patch, twin, source_id) of the target with the highest S/N among clear blends, None without target."""
    band = settings["shape_band"]
    rows = truth[(np.asarray(truth["role"]) == "target") & (np.asarray(truth["snr"], float) >= settings["truth_snr"])]
    if not len(rows):
        return None
    purity = np.nan_to_num(np.asarray(rows[f"purity_{band}"], float), nan=1.0)
    # A source of very high S/N fills its stamp; the eye wants a neighbour of the same kind.
    rank = np.where(np.asarray(rows["snr"]) < 300, np.asarray(rows["snr"], float), 0)
    clear = (purity > PURITY[0]) & (purity < PURITY[1])
    order = np.lexsort((-rank, ~clear))
    best = rows[order[0]]
    return int(best["patch"]), str(best["twin"]), int(best["source_id"])
