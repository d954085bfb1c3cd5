"""What a figure says where there is nothing to draw."""

import pytest
from astropy.table import Table
from blendimpact.cases.base import FigureSpec
from blendimpact.report.figures import CaseFoms
from blendimpact.stages.figures import draw


@pytest.mark.parametrize(
    "scenarios, says",
    [
        (["ring", "sky"], "it shows the scenario 'shear', and this run has WL-D2 of ring, sky alone"),
        ([], "no rows of WL-D2"),
    ],
)
def test_a_figure_of_a_scenario_that_the_run_has_not_says_which_it_has(scenarios, says):
    names = ["case", "scenario", "fom"]
    rows = Table(rows=[("two_point", name, "WL-D2") for name in scenarios], names=names, dtype=[str] * 3)
    spec = FigureSpec("trend", lambda foms, fom: None, {"fom": "WL-D2"}, "c", scenario="shear")
    figure = draw(spec, CaseFoms(rows, "two_point"))
    assert says in " ".join(text.get_text() for text in figure.texts)
