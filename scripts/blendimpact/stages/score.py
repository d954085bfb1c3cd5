"""Turn the tables of one chunk into sufficient statistics per block of sky."""

from ..cases.base import load_case
from ..data import catalogues
from ..data.facts import Facts


def run(settings, truth, detections, assignments, measurements, scores_out, meta=None, redshifts=None):
    """Score one chunk; the parameters are paths of its tables, ``measurements`` a folder."""
    paths = {"truth": truth, "detections": detections, "assignments": assignments, "redshifts": redshifts}
    tables = {name: catalogues.read(path) for name, path in paths.items() if path}
    tables |= catalogues.read_folder(measurements)
    scores = load_case(settings["case"]).score(tables, settings, Facts.of(tables))
    catalogues.write(scores.table(), scores_out, meta)
