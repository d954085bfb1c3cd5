"""From detections and truth to the outcome of each: the tables of the detection."""

import numpy as np
from astropy.table import Table

from . import outcomes

PURE = 0.99  # below this purity a source counts as overlapped (foreign light over 1 %)

DETECTION_COLUMNS = {
    "case": (None, "science case"),
    "scenario": (None, "scenario of the case"),
    "patch": (None, "index of the patch"),
    "twin": (None, "plus, minus: scene sheared by +g, -g; zero: not sheared"),
    "detector": (None, "detector"),
    "det_id": (None, "number of the detection in patch, twin and detector, from 1"),
    "x": ("pix", "centroid along axis 1, first pixel is 0"),
    "y": ("pix", "centroid along axis 2, first pixel is 0"),
    "npix": (None, "pixels above threshold"),
    "a": ("pix", "rms along the major axis above threshold"),
    "b": ("pix", "rms along the minor axis above threshold"),
    "theta": ("rad", "position angle of the major axis, from x towards y"),
    "peak_snr": (None, "peak of the filtered detection image in units of its noise; of a change with its sign"),
    "flag": (None, "flags of the detector"),
    "inside": (None, "inside the border once the scene's shear is undone: it is measured"),
    "n_members": (None, "truth sources assigned to the detection, |A(d)|"),
    "outcome": (None, "blend outcome of the detection"),
    "blend": (None, "number of the blend in the patch: connected sources and detections"),
}
ASSIGNMENT_COLUMNS = {
    **{k: DETECTION_COLUMNS[k] for k in ("case", "scenario", "patch", "twin", "detector")},
    "source_id": (None, "truth source; every source above the truth-side S/N cut has one row"),
    "det_id": (None, "detection that holds the source, 0 if none"),
    "distance": ("arcsec", "from the source to that detection"),
    "how": (None, "nearest: within the match radius; owner: by the footprint's pixel; none"),
    "dominant": (None, "the source is the brightest of its detection"),
    "found_alone": (
        None,
        "1 if the detector finds the source on empty sky with the same noise, else 0; -1: not "
        "tried (no target, or not the first twin of a patch)",
    ),
    "outcome": (None, "blend outcome of the source"),
    "blend": (None, "number of the blend in the patch: connected sources and detections"),
}


def classified(patch, detection, kept, pairs, reach, alone, settings, before=None):
    """Return the detections of a patch and the assignment of its truth sources, with the outcome of each.

    Parameters
    ----------
    patch : Patch
    detection : detect.base.Detection
    kept : Table
        N truth sources that can be detected.
    pairs : Table
        From `data.matching.assign`: the detection of each.
    reach : (N,) array
        Pixels within which a second detection is a piece of the source.
    alone : (N,) int8 array
        1 if the source is found on empty sky, 0 if not, -1 if that was not tried.
    settings : dict
        ``shape_band``.
    before : (M,) bool array, optional
        Detections that are there without the injected sources too.

    Returns
    -------
    detections, assignments : Table
        Columns of `DETECTION_COLUMNS` and `ASSIGNMENT_COLUMNS` without the ids.
    """
    table, det = detection.table, np.asarray(pairs["det"])
    scale = patch.pixel_scale
    purity = np.asarray(kept[f"purity_{settings['shape_band']}"], float)
    true_xy, found_xy = np.c_[kept["x"], kept["y"]], np.c_[table["x"], table["y"]]
    outcome = outcomes.classify(true_xy, found_xy, det, reach, purity < PURE, before=before)
    det_ids = np.append(np.asarray(table["det_id"], np.int64), 0)  # index -1: not detected
    assignments = Table(
        {
            "source_id": np.asarray(kept["source_id"], np.int64),
            "det_id": det_ids[det],
            "distance": np.asarray(pairs["distance"], float) * scale,
            "how": np.asarray(pairs["how"]),
            "dominant": np.asarray(pairs["dominant"]),
            "found_alone": alone,
            "outcome": outcome.truth,
            "blend": outcome.blend,
        }
    )
    table = table.copy()
    table["n_members"] = np.bincount(det[det >= 0], minlength=len(table)).astype(np.int32)
    table["outcome"] = outcome.detection
    table["blend"] = outcome.detection_blend
    table["inside"] = patch.inside_unsheared(table["x"], table["y"])
    return table, assignments
