"""Figures show what is known: no interval is no exact point, every bin says its N, one sample for each rung."""

import numpy as np
from astropy.table import Table
from blendimpact.report.figures import bin_labels, legend, one_sample, points
from matplotlib.figure import Figure

ROWS = Table(
    rows=[(1.0, 0.5, 2.0, 7, "m:1-2"), (3.0, np.nan, np.nan, 2, "m:2-1e+09"), (2.0, 1.0, 3.0, 9, "m:1-2")],
    names=("value", "ci_low", "ci_high", "n", "stratum"),
)


def test_a_value_without_an_interval_is_open_faint_and_on_no_line():
    axis = Figure().subplots()
    points(axis, np.arange(3.0), ROWS, 0, "rung", "-")
    line, known, bare = (axis.get_lines()[k] for k in (0, 1, -1))
    assert list(known.get_ydata()) == list(line.get_ydata()) == [1, 2]
    assert list(bare.get_ydata()) == [3] and bare.get_mfc() == "white" and bare.get_alpha() == 0.5
    assert bare not in axis.containers[0].lines  # it has no bar either


def test_values_that_are_turned_round_keep_their_intervals():
    axis = Figure().subplots()
    points(axis, np.arange(1.0), ROWS[:1], 0, "rung", sign=-1)
    (bars,) = axis.containers[0].lines[2]
    assert bars.get_segments()[0][:, 1].tolist() == [-2.0, -0.5] and axis.get_lines()[0].get_ydata() == [-1]


def test_every_bin_says_how_many_objects_it_holds():
    assert bin_labels(["m:1-2", "m:2-1e+09"], ROWS) == ["1–2\n7–9", "2–∞\n2"]


def test_a_bin_that_no_rung_of_the_study_has_holds_none():
    assert bin_labels(["mag:20-21"], Table({"stratum": ["mag:21-22"], "n": [5]})) == ["20–21\n0"]


def test_a_legend_is_outside_of_the_axes_and_names_each_series_once():
    figure = Figure(layout="constrained")
    axes = figure.subplots(1, 2)
    for axis in axes:
        points(axis, np.arange(3.0), ROWS, 0, "rung")
    legend(figure, axes)
    figure.draw_without_rendering()
    (found,) = figure.legends
    assert [t.get_text() for t in found.get_texts()] == ["rung"]
    assert found.get_window_extent().y1 <= min(axis.get_tightbbox().y0 for axis in axes)


def test_of_two_samples_each_rung_shows_the_one_that_is_its_own():
    rows = Table(
        rows=[("oracle", "centres"), ("oracle", "kept"), ("pipeline", "kept"), ("merged", "kept")],
        names=("term", "population"),
    )
    assert [tuple(row) for row in one_sample(rows)] == [("oracle", "centres"), ("pipeline", "kept"), ("merged", "kept")]
    assert len(one_sample(rows[1:])) == 3  # the only one
