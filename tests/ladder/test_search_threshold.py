"""The threshold that the detector of differences is configured with is that of the figures of the search."""

import json

import numpy as np
import pytest
from astropy.table import Table
from blendimpact.cases.base import case_names
from blendimpact.config import study as config
from blendimpact.data import catalogues
from blendimpact.data.facts import PATCHES_META, THRESHOLD_META
from blendimpact.data.transient_geometry import THRESHOLD
from blendimpact.errors import StudyError
from blendimpact.search import FINDERS
from blendimpact.sky.blends import ARCSEC2_PER_DEG2, false_alarm_density
from blendimpact.stages import detect, measure, score, subtract
from difference_tables import ALARM_SIGMA, SCALE, made, source
from test_transient_scores import scored, values
from visit_maker import SEED, visit, write

FAINT, BRIGHT = source("hostless", 60, 160, snr=5.8), source("hostless", 160, 160, snr=20.0)


def searched(**threshold):
    """Scores of two supernovae and of spurious candidates of 4.7, 5.2 and -7.5 on every patch."""
    loose = [("pipeline", 280, y, snr) for y, snr in ((280, 4.7), (240, 5.2), (200, -7.5))]
    return scored(made([FAINT, BRIGHT], candidates=loose), "TR-D1 TR-D2", **threshold)


@pytest.mark.parametrize("threshold, found, spurious", [(None, 1, 2), (5.0, 1, 2), (4.5, 1, 3), (7.0, 0, 1)])
def test_figures_of_the_search_are_those_of_its_threshold(threshold, found, spurious):
    rows = searched(**({"threshold": threshold} if threshold else {}))
    assert values(rows, "TR-D1.efficiency", "snr:5-6", population="hostless")["pipeline"] == found
    assert values(rows, "TR-D1.efficiency", "snr:15-25", population="hostless")["pipeline"] == 1
    assert rows["TR-D2", "pipeline", "all", "all"]["n"] == 12 * spurious
    assert rows["TR-D2", "pipeline", "all", "threshold:5"]["n"] == 24  # whatever is configured
    kaiser = 2 * false_alarm_density(threshold or THRESHOLD, ALARM_SIGMA * SCALE) * ARCSEC2_PER_DEG2
    assert values(rows, "TR-D2.kaiser")["pipeline"] == pytest.approx(kaiser)


@pytest.mark.parametrize("threshold", [3.0, 8.0])
def test_it_goes_with_what_was_measured(galaxies, stars, tmp_path, threshold):
    settings, *rest = made_visit = visit(galaxies, stars)
    images, truth = write(tmp_path, [made_visit])
    catalogues.write(catalogues.read(truth), truth, {PATCHES_META: json.dumps([[0, 0, "zero"]])})
    at = {
        name: tmp_path / name for name in ("detections", "assignments", "sky", "differences", "measurements", "scores")
    }
    options = {"threshold": threshold}
    subtract.run(settings, SEED, images, truth, at["differences"], options={"scale": "zero_points"})
    detect.run(
        settings, SEED, images, truth, at["detections"], at["assignments"], at["sky"], at["differences"], options
    )
    measure.run(
        settings,
        SEED,
        images,
        truth,
        at["detections"],
        at["assignments"],
        at["sky"],
        at["differences"],
        at["measurements"],
        options=options,
    )
    rows = catalogues.read_folder(at["measurements"])["peaks"]
    assert rows.meta[THRESHOLD_META] == threshold
    points = np.abs(rows["snr"])
    assert points.min() > min(threshold, 4) and (points.min() < 4) == (threshold < 4)
    score.run(settings, truth, at["detections"], at["assignments"], at["measurements"], at["scores"])
    scores = Table.read(at["scores"], format="parquet")
    number = {
        s: scores["s0"][(scores["fom"] == "TR-D2") & (scores["rung"] == "isolated") & (scores["stratum"] == s)]
        for s in ("all", "threshold:4", "threshold:6")
    }
    least, most = ("threshold:4", None) if threshold < 4 else (None, "threshold:6")
    assert least is None or number["all"] > number[least]
    assert most is None or number["all"] <= number[most]
    assert len(rest) == 2


def test_another_threshold_is_told_before_the_run_and_none_is_refused():
    names = {"families": {"finders": FINDERS}, "cases": case_names()}
    for chosen, said in ((4.5, True), (5.0, False)):
        study = config.validate(
            config.load_config(overrides={"finders": {"matched_filter": {"threshold": chosen}}}), **names
        )
        notes = [n for n in config.warnings(study) if "threshold is 4.5 sigma" in n]
        assert len(notes) == (len(study["cases"]["transients"]["scenarios"]) if said else 0)
        assert all("published values beside them are for 5" in n for n in notes)
    with pytest.raises(StudyError, match=r"finders\.matched_filter\.threshold: .*more than 0"):
        FINDERS.create("matched_filter", {"threshold": 0})
