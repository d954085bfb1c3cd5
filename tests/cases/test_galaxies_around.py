"""Trails and comets that are lost, by the galaxies around them; what a difference that is not seen says."""

import numpy as np
import pandas as pd
import pytest
from blendimpact.cases.transients.places import galaxy_density, transients
from blendimpact.stats.intervals import newcombe, wilson
from blendimpact.stats.statistic import undetermined
from difference_tables import LADDER, SETTINGS, facts_for, made
from test_transient_scores import ALL, COMET, FAR_TRAIL, LONE, TRAIL, scored, values


def test_losses_are_told_apart_by_the_galaxies_around():
    """Two galaxies beside a trail that the pipeline loses; none of the others is bright and near enough to count."""
    size = 0.01 * (np.pi * 50**2 + 2 * 50 * 20) / 900  # arcmin2 within 10 arcsec of a line of 4, 0.2 arcsec per pixel
    beside = [dict(source_id=k, x=x, y=120.0, hlr=0.5, g1=0.0, g2=0.0) for k, x in ((7, 155.0), (8, 250.0))]
    faint, far = ({**beside[0], "source_id": k, "x": x} for k, x in ((9, 205.0), (10, 136.0)))
    tables = made(
        ALL,
        galaxies=[*beside, faint, far],
        variable=[(200, 100)],
        found=lambda rung, s: not (s is TRAIL and rung == "pipeline"),
    )
    tables["truth"]["mag_r"][tables["truth"]["source_id"] == 9] = 24.1
    around = transients(tables["truth"].to_pandas(), SETTINGS, facts_for())
    density = dict(zip(around["x"][around["patch"] == 0], around["galaxies"][around["patch"] == 0]))
    assert density[TRAIL["x"]] == pytest.approx(2 / size, rel=0.01)
    assert density[FAR_TRAIL["x"]] == density[COMET["x"]] == 0 and np.isnan(density[LONE["x"]])
    rows = scored(tables, "MO-D1 MO-D2 CO-D1.lost CO-D1.dense")
    assert values(rows, "MO-D1", "galaxies:15-30")["pipeline"] == 1 == values(rows, "MO-D1.dense")["pipeline"]
    assert values(rows, "MO-D1", "galaxies:0-5") == dict.fromkeys(LADDER, 0.0)
    assert values(rows, "MO-D1.dense", kind="impact")["detection"] == 1
    assert rows["MO-D1", "pipeline", "all", "galaxies:15-30"]["n"] == 12
    assert rows["MO-D1.dense", "pipeline", "all", "all"]["n"] == 24
    assert values(rows, "CO-D1.lost", "galaxies:0-5") == dict.fromkeys(LADDER, 0.0)
    real = scored(tables, "MO-D1 MO-D2 CO-D1.lost CO-D1.dense", sky="adopt")
    assert not [key for key in real if "galaxies" in key[3] or key[0].endswith("dense")]
    assert values(real, "MO-D1") == values(rows, "MO-D1")


def test_galaxies_are_counted_on_the_image_alone():
    """At a corner of the image a quarter of the circle is seen."""
    static = pd.DataFrame(
        [
            dict(patch=p, twin="zero", x=x, y=y, kind="galaxy", mag_r=22.0)
            for p, x, y in ((0, 10.0, 10.0), (0, -20.0, 10.0), (1, 170.0, 170.0))
        ]
    )
    rows = pd.DataFrame([dict(patch=p, twin="zero", x=x, y=x, half=0.0, angle=0.0) for p, x in ((0, -0.5), (1, 170.0))])
    circle = np.pi * 10**2 / 3600
    assert galaxy_density(rows, static, SETTINGS, facts_for()) == pytest.approx([4 / circle, 1 / circle], rel=0.01)


def test_a_difference_that_is_not_seen_says_how_many_would_show_it():
    """Newcombe (1998), table II: 56/70 - 48/80 is 0.052 to 0.334, 0/10 - 0/20 is -0.161 to 0.278."""
    assert newcombe(wilson(56, 70), wilson(48, 80)) == pytest.approx((0.0524, 0.3339), abs=1e-4)
    assert newcombe(wilson(0, 10), wilson(0, 20)) == pytest.approx((-0.1611, 0.2775), abs=1e-4)
    assert "the interval holds 0" in undetermined(-0.15, 0.25)
    assert undetermined(0.01, 0.09) == undetermined(np.nan, np.nan) == ""
    trails = [dict(TRAIL, y=y) for y in (60, 120, 180, 240)]
    galaxies = [dict(source_id=k, x=200.0, y=y, hlr=0.5, g1=0.0, g2=0.0) for k, y in ((7, 40.0), (8, 60.0))]
    rows = scored(made(trails, galaxies=galaxies), "MO-D1.dense")
    row = rows["MO-D1.dense", "pipeline", "all", "all"]
    assert row["value"] == 0 and (row["ci_low"], row["ci_high"]) == pytest.approx(
        newcombe(wilson(0, 12), wilson(0, 36))
    )
    assert row["note"] == "undetermined: the interval holds 0, and says how large a difference may be"
    impact = rows["MO-D1.dense", "detection", "all", "all"]
    both = np.hypot(wilson(0, 12).high, wilson(0, 36).high)
    assert (impact["ci_low"], impact["ci_high"]) == pytest.approx((-both, both))
