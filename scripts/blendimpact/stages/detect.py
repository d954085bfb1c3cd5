"""Find sources in the patches of one chunk and say which truth each one holds."""

from itertools import zip_longest

from ..data import catalogues
from ..data.chunk import Chunk
from ..data.sky_maps import SkyWriter
from ..ladder.assignment import ASSIGNMENT_COLUMNS, DETECTION_COLUMNS
from ..ladder.kinds import ladder_of
from ..measure.sky import estimate_sky


def run(
    settings, seed, images, truth, detections_out, assignments_out, sky_out, separated=None, options=None, meta=None
):
    """Detect, assign and classify.

    Parameters
    ----------
    settings : dict
        Of the case and scenario.
    seed : int
    images, truth : path-like
    detections_out, assignments_out, sky_out : path-like
        Tables (`ladder.assignment`) and sky (`data.sky_maps`).
    separated : path-like, optional
        Differences, of a case that has them: from `stages.subtract`.
    options : dict, optional
        Of the detector or finder.
    meta : dict, optional
        Provenance of the tables.
    """
    ladder = ladder_of(settings, seed, finding=options)
    found, assigned, gains = [], [], []
    with Chunk(images, truth, separated=separated) as chunk, SkyWriter(sky_out) as skies:
        for data in chunk.patches("detect"):
            data.sky = estimate_sky(data.patch, settings["measure"].get("sky"))
            skies.write(data.patch, data.sky)
            detections, assignments, kept = ladder.detect(data)
            for name, table in kept.items():
                skies.add(data.patch, name, table)
            gains.append(detections.meta.get("gains", []))
            ids = ladder.detection_ids(data.patch)
            found.append(catalogues.with_ids(detections, ids, DETECTION_COLUMNS))
            assigned.append(catalogues.with_ids(assignments, ids, ASSIGNMENT_COLUMNS))
    if any(gains):
        added = ", ".join(str(sum(each)) for each in zip_longest(*gains, fillvalue=0))
        print(f"stars that each pass added: {added}; {sum(len(part['det_id']) for part in found)} of them were kept")
    catalogues.write(catalogues.join(found, DETECTION_COLUMNS), detections_out, meta)
    catalogues.write(catalogues.join(assigned, ASSIGNMENT_COLUMNS), assignments_out, meta)
