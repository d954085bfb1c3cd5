"""Figures and external values of crowded fields, on tables of figures of merit with known content."""

import numpy as np
import pytest
from astropy.table import Table
from blendimpact.cases.crowded_fields import CASE
from blendimpact.cases.crowded_fields.derived import bright_scatter, derived, roll_off
from blendimpact.cases.crowded_fields.drawing import crowding_stages, false_discoveries, repeat_visits
from blendimpact.cases.crowded_fields.figures import FIGURES
from blendimpact.data.chunk import PatchData
from blendimpact.deblend import DEBLENDERS
from blendimpact.ladder.image_panel import star_field
from blendimpact.measure.objects import made as measurements
from blendimpact.report import figures_density, panel
from blendimpact.report.figures import CaseFoms, save
from blendimpact.stages.figures import draw
from measured import asked
from patch_maker import make_patch, scene
from test_crowded_scores import made, values

DENSITY = {"sparse": 1e4, "fiducial": 2e5, "dense": 1e6}


def row(fom, term, value, half=0.1, scenario="fiducial", kind="value", stratum="all", population="all", n=200):
    return {
        "case": "crowded_fields",
        "scenario": scenario,
        "fom": fom,
        "stage": "detection",
        "title": f"title of {fom}",
        "kind": kind,
        "term": term,
        "population": population,
        "stratum": stratum,
        "value": value,
        "ci_low": value - half,
        "ci_high": value + half,
        "n": n,
        "n_blocks": 40,
        "unit": "1",
        "method": "",
        "note": "",
    }


def table(m50=(24.0, 22.0, 19.5)):
    """Return three scenarios with all that the figures against density show."""
    rows = []
    for k, (scenario, density) in enumerate(DENSITY.items()):
        rows += [
            row("CF-Q1", "truth", density, 10, scenario, population="truth"),
            row("CF-D1.limit", "truth", 23.0 - k, 0.1, scenario, population="truth"),
        ]
        for term in ("alone", "deblended", "pipeline"):
            rows.append(row("CF-D1.m50", term, m50[k], 0.1 * (1 + k), scenario))
            rows += [
                row("CF-D1.all", term, 1 - 0.2 * k - 0.1 * b, 0.05, scenario, stratum=f"magnitude:{20 + b}-{21 + b}")
                for b in range(3)
            ]
        for term in ("measurement", "deblending", "detection"):
            sample = "kept" if term == "detection" else "centres"
            rows.append(row("CF-D1", term, 0.1 * k, 0.02, scenario, "impact"))
            rows.append(row("CF-B1", term, 0.03 * k, 0.01, scenario, "impact", population=sample))
            rows.append(row("CF-M1", term, -0.02 * k, 0.01, scenario, "impact", population=sample))
        for term in ("undeblended", "analytic"):
            rows.append(row("CF-B1.rms", term, 0.1 * (k + 1), 0.01, scenario, population="raw"))
    return Table(rows=rows)


def test_the_roll_off_is_interpolated_in_the_logarithm_of_the_density():
    """From 2e5, a scenario, to 5e5, log(2.5) / log(5) of the way to 1e6."""
    found = roll_off(table())
    part = np.log10(2.5) / np.log10(5)
    assert found["value"] == pytest.approx(2.5 * part)
    half = part * np.hypot(0.2, 0.3)  # the weights of both are part
    assert found["ci_high"] - found["value"] == pytest.approx(half)
    assert found["value"] - found["ci_low"] == pytest.approx(half)
    assert found["n"] == 400 and "2e+05" in found["conditions"]["density"]


def test_no_roll_off_without_fields_on_both_sides():
    rows = table()
    assert roll_off(rows[rows["scenario"] != "dense"]) is None
    assert roll_off(table((24.0, 22.0, np.nan))) is None
    assert roll_off(rows[:0]) is None


def test_the_external_checks_get_the_run_s_conditions_and_their_own():
    known = {"band": "i", "density": "of galaxies"}
    found = derived(table(), {}, known)
    assert set(found) == {"crowding_roll_off"}  # no row of the scatter
    assert found["crowding_roll_off"]["conditions"]["band"] == "i"
    assert "scenarios of" in found["crowding_roll_off"]["conditions"]["density"]


def test_the_scatter_is_that_of_the_brightest_stars_of_the_sparsest_field():
    rows = [row("CF-Q1", "truth", d, 10, s, population="truth") for s, d in DENSITY.items()]
    for k, scenario in enumerate(DENSITY):
        rows += [
            row("CF-M1.nmad", "pipeline", 0.001 * (k + 1), 1e-4, scenario, stratum="magnitude:14-16", n=10),
            row("CF-M1.nmad", "pipeline", 0.002 * (k + 1), 1e-4, scenario, stratum="magnitude:16-18"),
        ]
    found = bright_scatter(Table(rows=rows))
    assert found["value"] == 0.002 and "magnitude 16-18, in a field of 1e+04 per deg2" in found["conditions"]["stars"]
    assert "one visit" in found["conditions"]["visits"]
    assert bright_scatter(Table(rows=rows[:3])) is None


def test_the_scatter_is_the_repeatability_where_the_sparsest_field_has_repeat_visits():
    """In mag; of the brightest bin with enough stars, whatever other fields have."""
    rows = [row("CF-Q1", "truth", d, 10, s, population="truth") for s, d in DENSITY.items()]
    for scenario in DENSITY:
        rows.append(row("CF-M1.nmad", "pipeline", 0.002, 1e-4, scenario, stratum="magnitude:16-18"))
    dense = row("CF-M1.repeat", "pipeline", 9.0, 1.0, "dense", stratum="magnitude:16-18")
    assert bright_scatter(Table(rows=[*rows, dense]))["value"] == 0.002
    few = row("CF-M1.repeat", "pipeline", 1.0, 0.1, "sparse", stratum="magnitude:14-16", n=20)
    sparse = row("CF-M1.repeat", "pipeline", 3.0, 0.5, "sparse", stratum="magnitude:16-18", n=60)
    found = bright_scatter(Table(rows=[*rows, dense, few, sparse]))
    assert [found[k] for k in ("value", "ci_low", "ci_high", "n")] == pytest.approx([0.003, 0.0025, 0.0035, 60])
    assert found["conditions"]["visits"].startswith("repeat visits")


@pytest.mark.parametrize(
    "spec", [s for s in FIGURES if s.draw in (crowding_stages, figures_density.by_scenario)], ids=lambda s: s.name
)
def test_figures_against_density_are_drawn(spec, tmp_path):
    figure = draw(spec, CaseFoms(table(), "crowded_fields"))
    lines = [line for axis in figure.axes for line in axis.get_lines()]
    assert len(lines) > 3
    save(figure, tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 10000
    again = draw(spec, CaseFoms(table(), "crowded_fields"))
    save(again, tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_stages_show_what_is_lost_and_the_error_of_each_stage():
    figure = crowding_stages(CaseFoms(table(), "crowded_fields"), "CF-Q1", ("measurement", "detection"), "x")
    loss, error, bias, depth, *_ = figure.axes
    np.testing.assert_allclose(loss.containers[0].lines[0].get_ydata(), [0.0, 0.1, 0.2], atol=1e-12)
    np.testing.assert_allclose(loss.containers[0].lines[0].get_xdata(), list(DENSITY.values()))
    np.testing.assert_allclose(error.containers[1].lines[0].get_ydata(), [0.0, 0.03, 0.06])
    np.testing.assert_allclose(bias.containers[0].lines[0].get_ydata(), [0.0, -0.02, -0.04])
    assert depth.yaxis_inverted() and len(depth.containers) == 4
    one = table()[table()["scenario"] == "fiducial"]
    assert crowding_stages(CaseFoms(one, "crowded_fields"), "CF-Q1", ("detection",), "x") is None


def test_false_discoveries_of_simulated_and_real_fields_are_drawn_apart():
    spec = next(s for s in FIGURES if s.draw is false_discoveries)
    bins = [f"magnitude:{16 + 2 * k}-{18 + 2 * k}" for k in range(2)]
    rates = [row("CF-D1.false", "pipeline", 0.1 * k, 0.01, "dense", stratum=b) for k, b in enumerate(bins)]
    real = [row("CF-D1.false", "pipeline", 0.3, 0.1, "real", stratum=bins[0], population="brought")]
    one = draw(spec, CaseFoms(Table(rows=[*table(), *rates]), "crowded_fields"))
    assert len(one.axes) == 1 and one.axes[0].containers[0].lines[0].get_ydata().tolist() == [0.0, 0.1]
    both = draw(spec, CaseFoms(Table(rows=[*table(), *rates, *real]), "crowded_fields"))
    assert len(both.axes) == 2 and both.axes[1].containers[0].lines[0].get_ydata().tolist() == [0.3]


def test_densities_are_those_of_the_case_s_figure_of_merit():
    foms = CaseFoms(table(), "crowded_fields")
    assert foms.density("CF-Q1") == DENSITY
    assert foms.density("CF-Q1", ("dense",)) == {"dense": 1e6}
    assert foms.density("WL-Q2") == {}


def test_every_figure_of_the_row_draws_or_says_that_there_is_nothing(tmp_path):
    """From scores of one scenario: ladders, strata and the diagram are there, those against density are not."""
    rows = values(made(field=[(250.0, 250.0, 20.2), (150.0, 250.0, 21.0)], lost=(0,)))
    one = next(iter(rows.values()))
    foms = Table(rows=[dict(zip(one.colnames, r)) for r in rows.values()])
    for spec in CASE.figures:
        figure = draw(spec, CaseFoms(foms, "crowded_fields"))
        save(figure, tmp_path / f"{spec.name}.png")
        assert bool(figure.axes) == (spec.name not in ("stages_density", "repeats_magnitude")), spec.name


def repeats(scenario, scale):
    """Return repeatability and scatter about the truth in two bins, the latter ``scale`` times as large."""
    return [
        row(
            fom,
            rung,
            factor * (k + 1),
            0.1,
            scenario,
            stratum=f"magnitude:{16 + 2 * k}-{18 + 2 * k}",
            population="common",
        )
        for name, factor in (("CF-M1.repeat", 2.0), ("CF-M1.repeat_xy", 1.0))
        for fom, factor in ((name, factor), (f"{name}_true", factor * scale))
        for rung in ("isolated", "deblended", "pipeline")
        for k in range(2)
    ]


def test_repeatability_is_drawn_beside_the_scatter_of_the_densest_field_that_has_it(tmp_path):
    spec = next(s for s in FIGURES if s.draw is repeat_visits)
    rows = Table(rows=[*table(), *repeats("sparse", 1.0), *repeats("dense", 3.0)])
    figure = draw(spec, CaseFoms(rows, "crowded_fields"))
    flux, place = figure.axes
    assert "dense (1e+06 stars" in figure.get_suptitle() and flux.get_yscale() == "log"
    drawn = {c.get_label(): c.lines[0].get_ydata().tolist() for c in flux.containers}
    assert drawn["pipeline, repeatability"] == [2.0, 4.0] and drawn["pipeline, about the truth"] == [6.0, 12.0]
    lines = [line.get_ydata()[0] for axis in (flux, place) for line in axis.get_lines() if line.get_ls() == ":"]
    assert lines == [5, 10]
    assert len(place.containers) == 6
    assert [t.get_text() for t in place.get_xticklabels()] == ["16–18", "18–20"]
    save(figure, tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 10000
    assert not draw(spec, CaseFoms(table(), "crowded_fields")).axes  # says that there is nothing


def test_the_diagram_shows_every_star_once():
    rows = [
        row("CF-D1.cmd", term, 3, 1, stratum=f"cmd:{c:g} {m:g}", population="own", n=3)
        for term, cells in (("truth", [(0.25, 18.0), (1.0, 20.5)]), ("pipeline", [(1.0, 20.5)]))
        for c, m in cells
    ]
    figure = figures_density.colour_magnitude(CaseFoms(Table(rows=rows), "crowded_fields"), "CF-D1.cmd", "x", "y")
    true, found, ratio = (axis.collections[0].get_array() for axis in figure.axes[:3])
    assert true.sum() == 6 and found.sum() == 3
    assert ratio.compressed().tolist() == [0.0, 1.0]


def test_the_residual_of_stars_that_are_fitted_is_noise():
    """Stars far apart, the whole chain of the panel: detections measured, their PSFs taken away, noise left."""
    rng = np.random.default_rng(4)
    stars = [(40.3, 50.7, 4000.0), (80.6, 42.2, 2000.0), (60.1, 90.4, 9000.0)]
    image = scene((130, 130), stars) + rng.normal(0, 1, (130, 130))
    patch = make_patch(image, border=20)
    table = Table({"det_id": [1, 2, 3], "x": [40.0, 81.0, 60.0], "y": [51.0, 42.0, 90.0], "inside": [True] * 3})
    sky = {"i": np.zeros((130, 130))}
    children = DEBLENDERS.create("none").deblend(patch, sky, table["det_id", "x", "y"], 31)
    known = Table({"x": [s[0] for s in stars], "y": [s[1] for s in stars], "role": ["target", "scene", "scene"]})
    field = star_field(
        PatchData(patch, detections=table, sky=sky),
        known,
        children,
        measurements({"psf": {}}),
        {"case": "crowded_fields", "shape_band": "i", "measure": asked()},
    )
    assert field["image"].shape == (90, 90) and field["noise"] == pytest.approx(1)
    assert len(field["true_xy"]) == len(field["found_xy"]) == 3 and len(field["targets_xy"]) == 1
    assert field["residual"].std() == pytest.approx(1, rel=0.04) and field["image"].max() > 100
    assert abs(field["residual"]).max() < 6


def test_the_panel_has_a_row_for_the_field(tmp_path):
    stamp = np.random.default_rng(0).normal(0, 1, (1, 31, 31))
    field = {
        "image": np.ones((50, 50)),
        "residual": np.zeros((50, 50)),
        "noise": 1.0,
        "true_xy": np.ones((3, 2)),
        "targets_xy": np.ones((1, 2)),
        "found_xy": np.empty((0, 2)),
        "title": "field",
    }
    plain, whole = (panel.draw_blend({"oracle": stamp}, {}, [1.0], "text", field=f) for f in (None, field))
    assert len(whole.get_axes()) == len(plain.get_axes()) + 5
    save(whole, tmp_path / "panel.png")
    assert (tmp_path / "panel.png").stat().st_size > 10000
