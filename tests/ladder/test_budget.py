"""The budget closes, in either order, and says when its split means nothing."""

import numpy as np
import pytest
from blendimpact.ladder.budget import DESCRIPTIONS, RUNGS, TERMS, budget, sample_of, split_meaningful, split_verdict
from hypothesis import given
from hypothesis import strategies as st

NUMBERS = st.floats(-1e6, 1e6)
VALUES = st.fixed_dictionaries({rung: NUMBERS for rung in (*RUNGS, "truth")})


@given(VALUES, VALUES)
def test_the_budget_closes_to_machine_precision_in_every_order(values, kept):
    terms = budget(values, kept)
    rounding = 40 * np.finfo(float).eps * max(map(abs, (*values.values(), *kept.values())), default=0)
    start = terms["intrinsic"] + terms["photons"] + terms["sky"]
    assert abs(terms["photons"] + terms["sky"] - terms["measurement"]) <= rounding
    total = start + terms["deblending"] + terms["survival"] + terms["detection"]
    assert abs(total - terms["total"]) <= rounding
    assert terms["total"] == kept["pipeline"] - values["truth"]
    # Either order, and their mean, sum up to the same on the kept sample.
    for deblending, detection in [
        ("detection_swapped", "deblending_swapped"),
        ("shapley_detection", "shapley_deblending"),
    ]:
        assert abs(terms[deblending] + terms[detection] - (kept["pipeline"] - kept["oracle"])) <= rounding
    # The interaction is what the order changes.
    assert abs(terms["detection"] - terms["detection_swapped"] - terms["interaction"]) <= rounding
    other = kept["deblended"] - kept["oracle"]
    assert abs(terms["deblending_swapped"] - other - terms["interaction"]) <= rounding


@given(VALUES)
def test_one_sample_has_the_same_budget_without_survival(values):
    one, two = budget(values), budget(values, values)
    assert two.pop("survival") == 0
    assert one == two


def test_perfect_components_have_no_impact():
    perfect = {rung: 3.5 for rung in RUNGS}
    terms = budget(perfect, perfect, truth=3.5)
    assert set(terms) == set(TERMS) == set(DESCRIPTIONS)
    assert not any(terms.values())


def test_each_term_says_its_sample():
    assert [sample_of(term) for term in ("sky", "deblending", "survival", "detection", "total")] == [
        "centres",
        "centres",
        "both",
        "kept",
        "both",
    ]


def test_independent_effects_do_not_interact_and_are_recovered():
    deblender, detector = -0.02, -0.05
    terms = budget(
        {
            "isolated": 1,
            "exact": 1,
            "oracle": 1,
            "undeblended": 0.8,
            "deblended": 1 + deblender,
            "merged": 1 + detector,
            "pipeline": 1 + deblender + detector,
        },
        truth=1,
    )
    for detection, deblending in [
        ("detection", "deblending"),
        ("shapley_detection", "shapley_deblending"),
        ("detection_swapped", "deblending_swapped"),
    ]:
        assert [terms[detection], terms[deblending]] == pytest.approx([detector, deblender])
    assert terms["interaction"] == pytest.approx(0, abs=1e-15)
    assert terms["no_deblending"] == pytest.approx(-0.2)


def test_terms_without_their_rungs_are_absent_and_unknown_rungs_refused():
    assert set(budget({"oracle": 1, "deblended": 2})) == {"deblending"}
    with pytest.raises(ValueError, match="pipline"):
        budget({"pipline": 1})


def test_the_split_is_meaningless_above_thirty_per_cent():
    base = {"oracle": 0.0, "deblended": 1.0, "pipeline": 10.0}
    assert split_meaningful({**base, "merged": 6.1})  # interaction 2.9 of 10
    assert not split_meaningful({**base, "merged": 5.9})  # 3.1 of 10
    assert not split_meaningful({**base, "merged": float("nan")})


def test_the_verdict_on_the_split_needs_the_resamples_to_agree():
    rng = np.random.default_rng(0)
    base = {"oracle": 0.0, "deblended": 1.0, "pipeline": 10.0}
    for merged, spread, expected in [(9.0, 0.1, "yes"), (3.0, 0.1, "no"), (6.1, 3.0, "undetermined")]:
        values = {**base, "merged": merged}
        samples = {rung: np.full(500, value) for rung, value in values.items()}
        samples["merged"] = samples["merged"] + spread * rng.normal(size=500)
        assert split_verdict(values, samples) == expected
