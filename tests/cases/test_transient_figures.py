"""Figures of difference imaging: drawn from scores, the same each time, and what they show."""

from importlib import import_module

import numpy as np
import pytest
from astropy.table import Table
from blendimpact.cases.external_checks import load_external_checks
from blendimpact.cases.transients import CASE, drawing
from blendimpact.ladder.aggregate import aggregate
from blendimpact.report.external import external_checks, measured_values
from blendimpact.report.figures import CaseFoms, save
from blendimpact.stages.figures import draw
from difference_tables import SETTINGS, facts_for, made, source

scoring = import_module("blendimpact.cases.transients.score")
SOURCES = [
    source(kind, 40 + 30 * k, 40 + 30 * row, snr=snr, static_distance=0.3 + row, host_sb=20.5 + row, host_id=-1, **more)
    for k, (kind, more) in enumerate(
        (
            ("supernova", {}),
            ("nuclear", {}),
            ("hostless", {}),
            ("trail", {"trail_length": 3.0, "trail_angle": 20.0}),
            ("comet", {"nucleus_fraction": 0.4, "coma_radius": 3.0}),
            ("beside", {"trail_length": 0.3, "trail_angle": 20.0}),
            ("comet_beside", {"nucleus_fraction": 0.4, "coma_radius": 3.0}),
        )
    )
    for row, snr in enumerate((4.5, 6.2, 20.0, 40.0))
]


@pytest.fixture(scope="module")
def foms():
    tables = made(
        SOURCES,
        noise=1.0,
        static=[(100, "galaxy", 22.0), (101, "galaxy", 20.5), (102, "star", 19.0)],
        found=lambda rung, s: s["snr"] > (10 if rung == "pipeline" else 5),
        chi2=lambda rung, kind, patch: 1.5 if rung == "deblended" else 1.0,
        candidates=[("pipeline", 270, 250, 4.7), ("pipeline", 270, 290, -4.2), ("merged", 270, 290, 4.2)],
    )
    scores = scoring.score(tables, SETTINGS, facts_for()).table()
    return aggregate(scores, "transients", "fiducial", CASE.figures_of_merit, 20, 1)


@pytest.mark.slow
def test_every_figure_of_the_row_draws_and_is_the_same_each_time(foms, tmp_path):
    """Only the one against density has nothing to draw: there is one scenario."""
    for spec in CASE.figures:
        for name in "ab":
            figure = draw(spec, CaseFoms(foms, "transients"))
            save(figure, tmp_path / f"{spec.name}_{name}.png")
        assert bool(figure.axes) == (spec.name != "trails_density"), spec.name
        assert (tmp_path / f"{spec.name}_a.png").read_bytes() == (tmp_path / f"{spec.name}_b.png").read_bytes()
        nothing = draw(spec, CaseFoms(foms[:0], "transients"))
        assert not nothing.axes and "nothing to draw" in nothing.texts[0].get_text()


def test_panels_show_the_values_of_their_strata_in_order(foms):
    panel = {"fom": "TR-D1.efficiency", "population": "hosted", "title": "", "ylabel": ""}
    figure = drawing.side_by_side(CaseFoms(foms, "transients"), [panel], "snr", ("oracle", "pipeline"), "x")
    (axis,) = figure.axes
    labels = [t.get_text().split("\n") for t in axis.get_xticklabels()]
    assert [name for name, _ in labels] == ["4–5", "6–7", "15–25", "25–50"] and all(int(n) > 0 for _, n in labels)
    np.testing.assert_array_equal(axis.containers[0].lines[0].get_ydata(), [0, 1, 1, 1])
    np.testing.assert_array_equal(axis.containers[1].lines[0].get_ydata(), [0, 0, 1, 1])


def test_the_floor_and_the_densities_stand_at_their_thresholds(foms):
    figure = drawing.spurious(CaseFoms(foms, "transients"), "TR-D2", "TR-D2.kaiser", ("oracle", "pipeline"))
    (axis,) = figure.axes
    x, y = axis.containers[1].lines[0].get_data()
    assert np.round(x, 1).tolist() == [4.0, 4.5] and y[0] == pytest.approx(2 * y[1])
    floor = next(line for line in axis.get_lines() if line.get_linestyle() == "-" and len(line.get_xdata()) == 5)
    assert floor.get_xdata().tolist() == [4, 4.5, 5, 5.5, 6] and np.all(np.diff(floor.get_ydata()) < 0)


def test_the_detection_curve_goes_through_its_shares(foms):
    figure = drawing.detection_curve(CaseFoms(foms, "transients"), "CO-D1", ("oracle",), "x", "y")
    x, y = figure.axes[0].containers[0].lines[0].get_data()
    assert x == pytest.approx([0.01, 0.02, 0.05, 0.1, 0.2, 0.5]) and np.all(y == 1)


def test_places_stand_in_their_order(foms):
    figure = drawing.by_place(
        CaseFoms(foms, "transients"),
        [{"fom": "TR-M1.forced_pull", "title": ""}],
        ("hosted", "nuclear", "hostless"),
        ("oracle",),
    )
    (axis,) = figure.axes
    assert [t.get_text().split("\n")[0] for t in axis.get_xticklabels()] == ["hosted", "nuclear", "hostless"]
    assert len(axis.containers[0].lines[0].get_ydata()) == 3


def test_the_published_values_of_the_row_find_theirs(foms):
    checks = [c for c in load_external_checks() if (c.get("measure") or {}).get("row", {}).get("case") == "transients"]
    found = measured_values(foms, checks)
    assert {
        "transient_snr50",
        "transient_efficiency",
        "hosted_pull",
        "hosted_pull_width",
        "kaiser_isolated",
        "kaiser_oracle",
    } <= set(found)
    table = external_checks(found, checks)
    assert isinstance(table, Table) and 7.5 < found["transient_snr50"]["value"] < 20
    none = found["kaiser_isolated"]  # without a candidate: an upper end
    assert none["value"] == none["ci_low"] == 0 < none["ci_high"]
    assert table[table["id"] == "transient_snr50"]["agrees"][0] == "no"
