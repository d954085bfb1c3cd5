"""External checks: ranges, reasons, and the list of published values."""

import math

import numpy as np
import pytest
import yaml
from astropy.table import Table
from blendimpact.cases.external_checks import load_external_checks, read_checks
from blendimpact.errors import StudyError
from blendimpact.report.external import CHECK_COLUMNS, external_checks, measured_values


def check(**more):
    return {
        "id": "fraction",
        "target": 4,
        "title": "a fraction",
        "published": {"value": 0.18, "text": "18 %", "tag": "V", "source": "a note"},
        "unit": "1",
        "agree": {"low": 0.17, "high": 0.19, "why": "within 1 point"},
        "conditions": {
            "positions": {"published": "clustered", "ours": None},
            "radius": {"published": "1 arcsec", "ours": "1 arcsec"},
            "truth": {"published": "HST", "ours": "simulated"},
        },
        "below": "random positions have fewer pairs",
        "above": "the truth is deeper",
        **more,
    }


def found(value, half=0.004, **more):
    return {
        "fraction": {
            "check": "fraction",
            "value": value,
            "ci_low": value - half,
            "ci_high": value + half,
            "n": 900,
            "n_blocks": 40,
            "conditions": {"positions": "random"},
            **more,
        }
    }


def one(measured, entry=None):
    table = external_checks(measured, [entry or check()])
    assert table.colnames == list(CHECK_COLUMNS) and all(table[c].info.description for c in table.colnames)
    assert len(table) == 1 and all(str(table[0][c]).strip() for c in table.colnames)
    return table[0]


@pytest.mark.parametrize(
    "value, half, expected",
    [
        (0.18, 0.004, "yes"),
        (0.13, 0.004, "no"),
        (0.25, 0.004, "no"),
        (0.18, 0.02, "undetermined"),
        (0.171, 0.004, "undetermined"),
        (0.18, math.nan, "undetermined"),
    ],
)
def test_agreement_is_about_the_whole_interval(value, half, expected):
    assert one(found(value, half))["agrees"] == expected


def test_a_disagreement_is_explained_for_its_side_and_names_what_differs():
    low, high = one(found(0.13))["reason"], one(found(0.25))["reason"]
    assert "below the accepted range" in low and "random positions have fewer pairs" in low and "deeper" not in low
    assert "above the accepted range" in high and "the truth is deeper" in high and "fewer pairs" not in high
    for reason in (low, high):
        assert "positions (clustered; here: random)" in reason and "truth (HST; here: simulated)" in reason
        assert "radius" not in reason


@pytest.mark.parametrize("value, half", [(0.18, 0.004), (0.171, 0.004), (0.168, 0.004), (0.15, math.nan)])
def test_only_a_disagreement_is_explained(value, half):
    """A value one sigma outside of the range is no reason to look for an error."""
    reason = one(found(value, half))["reason"]
    assert "fewer pairs" not in reason and "deeper" not in reason and "conditions that differ" not in reason


def test_a_disagreement_says_by_how_many_standard_errors():
    assert (
        "below the accepted range, by 9.8 standard errors" in one(found(0.13, 0.008))["reason"]
    )  # 0.04 / (0.008 / 1.96)
    exact = {"ci_low": 0.13, "ci_high": 0.13}
    assert "below the accepted range: random" in one(found(0.13, **exact))["reason"]  # nothing varies


def test_the_expectation_under_our_conditions_does_not_make_it_agree():
    expecting = check(expect={"low": 0.12, "high": 0.15, "why": "unclustered"})
    row = one(found(0.13), expecting)
    assert (row["agrees"], row["as_expected"]) == ("no", "yes")
    assert "should find under its own conditions" in row["reason"]
    assert "fewer pairs" not in row["reason"]  # it is as expected
    assert one(found(0.16), expecting)["as_expected"] == "no"
    assert one(found(0.13))["as_expected"] == "no other expectation"


def test_what_is_not_measured_says_why():
    row = one({}, check(not_measured="Not built."))
    assert (row["agrees"], row["reason"], row["n"]) == ("not measured", "Not built.", 0)
    assert np.isnan([row["value"], row["ci_low"], row["ci_high"]]).all()


def test_a_reference_of_the_run_takes_the_place_of_the_published_value():
    entry = check(
        published={"value": None, "text": "closed form", "tag": "D", "source": "Poisson"},
        agree={"within": 0.01, "low": None, "high": None, "why": "1 point"},
    )
    row = one(found(0.11, reference=0.113), entry)
    assert row["agrees"] == "yes" and row["published_value"] == 0.113
    assert row["accept"].startswith("0.103 to 0.123")
    assert one(found(0.11, reference=0.14), entry)["agrees"] == "no"


def selector(scenario="fiducial", fom="WL-M2"):
    return {
        "case": "two_point",
        "scenario": scenario,
        "fom": fom,
        "kind": "value",
        "term": "pipeline",
        "stratum": "all",
    }


def rows(values):
    return Table(
        rows=[
            {
                **selector(s, f),
                "population": "own",
                "value": v,
                "ci_low": v - half,
                "ci_high": v + half,
                "n": n,
                "n_blocks": 40,
                "unit": "1",
            }
            for (s, f), (v, half, n) in values.items()
        ]
    )


def test_values_come_from_the_table_of_figures_of_merit():
    table = rows({("fiducial", "WL-M2"): (30.0, 1.0, 500), ("half", "WL-M2"): (20.0, 1.5, 300)})
    both = {"row": selector(), "to": selector("half")}
    entries = [
        check(id="alone", measure={"row": selector()}),
        check(id="change", measure={**both, "combine": "difference"}),
        check(id="ratio", measure={**both, "combine": "ratio"}),
        check(id="absent", measure={"row": selector("double")}),
        check(id="depth", measure={"key": "depth_*"}),
    ]
    extra = {"depth_i": {"value": 26.9, "ci_low": 26.8, "ci_high": 27.0, "n": 9, "reference": 26.89}}
    found = measured_values(table, entries, extra, {"two_point": {"positions": "random"}})
    assert set(found) == {"alone", "change", "ratio", "depth_i"}
    assert found["alone"]["value"] == 30 and found["alone"]["conditions"] == {"positions": "random"}
    half = np.hypot(1.0, 1.5)
    change = [found["change"][k] for k in ("value", "ci_low", "ci_high")]
    assert change == pytest.approx([10, 10 - half, 10 + half])
    assert found["change"]["n"] == 300
    assert found["ratio"]["value"] == pytest.approx(1.5)
    # Small relative errors add in quadrature.
    spread = (found["ratio"]["ci_high"] - found["ratio"]["ci_low"]) / 2 / 1.5
    assert spread == pytest.approx(np.hypot(1 / 30, 1.5 / 20), rel=0.02)
    table = external_checks(found, entries)
    assert list(table["id"]) == ["alone", "change", "ratio", "absent", "depth_i"]


def test_the_interval_of_a_difference_covers_as_often_as_it_says():
    rng = np.random.default_rng(0)
    entry = check(measure={"row": selector(), "to": selector("half"), "combine": "difference"})
    hits = 0
    for a, b in rng.normal(size=(400, 2)) * [1.0, 2.0] + [5.0, 3.0]:
        table = rows({("fiducial", "WL-M2"): (a, 1.96, 5), ("half", "WL-M2"): (b, 3.92, 5)})
        value = measured_values(table, [entry])["fraction"]
        hits += value["ci_low"] <= 2.0 <= value["ci_high"]
    assert hits / 400 == pytest.approx(0.95, abs=0.035)


def test_the_published_values_of_the_study_are_complete():
    checks = load_external_checks()
    assert {*range(1, 11), "N4", "depth", "CF-M1", "TR-B2", "WL-B3", "PZ-D1", "PZ-M1"} == {c["target"] for c in checks}
    table = external_checks({}, checks)
    assert set(table["agrees"]) == {"not measured"} and len(table) == len(checks)
    assert all(len(reason) > 20 for reason in table["reason"])


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda c: c.pop("below"), "'below' is missing"),
        (lambda c: c.update(belo="x"), "did you mean 'below'"),
        (lambda c: c["published"].update(tag="X"), "known: V, D, M, A"),
        (lambda c: c["agree"].update(low=None, high=None), "the range has no end"),
        (lambda c: c.update(measure={"row": selector(), "to": selector()}), "to and combine go together"),
        (lambda c: c.update(measure={"key": "a", "row": selector()}), "either key or row"),
        (lambda c: c.pop("not_measured"), "neither measure nor not_measured"),
    ],
)
def test_a_wrong_list_names_file_key_and_remedy(tmp_path, change, message):
    entry = check(not_measured="Not built.")
    path = tmp_path / "external_checks.yaml"
    path.write_text(yaml.safe_dump({"order": 1, "checks": [entry]}))
    assert read_checks(path)[0]["id"] == "fraction"
    change(entry)
    path.write_text(yaml.safe_dump({"order": 1, "checks": [entry]}))
    with pytest.raises(StudyError) as error:
        read_checks(path)
    for part in ("external_checks.yaml", "checks.0", message):
        assert part in str(error.value)
