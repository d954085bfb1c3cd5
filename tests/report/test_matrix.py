"""The matrix: verdicts, the cells' promises, files with equal bytes, figure and page."""

import csv
import json
import math
import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest
from astropy.table import Table
from blendimpact.data.catalogues import read
from blendimpact.errors import StudyError
from blendimpact.ladder.aggregate import SPLIT_NOTES
from blendimpact.ladder.budget import budget, sample_of
from blendimpact.report.board_figure import board_figure
from blendimpact.report.board_slide import board_slide
from blendimpact.report.cells import CELL_COLUMNS, matrix_cells, write_cells
from blendimpact.report.page import budgets, write_page
from blendimpact.report.pen import SYMBOLS, wrap
from blendimpact.report.pictures import write_board
from blendimpact.report.verdicts import VERDICTS, forecast, requirement_source, verdict, verdict_tag
from blendimpact.report.words import decimals, quote
from hypothesis import given
from hypothesis import strategies as st

KEYS = [
    "case",
    "subrow",
    "stage",
    "fom",
    "value",
    "ci_low",
    "ci_high",
    "n",
    "unit",
    "requirement",
    "requirement_source",
    "verdict",
    "tag",
    "split",
    "identified",
    "quantified",
    "data",
    "reason",
    "also",
]


def row(
    fom,
    term,
    value,
    half,
    case="two_point",
    kind="impact",
    unit="1",
    population="common",
    n=5000,
    n_blocks=40,
    stratum="all",
    scenario="fiducial",
    note="",
):
    return {
        "case": case,
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
        "n_blocks": n_blocks,
        "unit": unit,
        "method": "bootstrap",
        "note": note,
    }


def ladder(fom, half, unit="1", case="two_point", **values):
    terms = budget(values)
    return [
        *(row(fom, r, v, half, case, "value", unit) for r, v in values.items()),
        *(row(fom, t, float(v), half, case, "impact", unit) for t, v in terms.items()),
    ]


def cell_spec(fom, term, **more):
    return {
        "fom": fom,
        "name": f"name of {fom}",
        "headline_term": term,
        "identified": "yes",
        "published": "few per cent",
        "published_tag": "V",
        **more,
    }


def subrow(name="main", /, **cells):
    return {"name": name, "title": f"title of {name}", "cells": cells}


BOARD = [
    {
        "case": "two_point",
        "title": "2-pt correlations",
        "science": "shapes",
        "data_used": {"fiducial": "simulated patches"},
        "subrows": [
            subrow(
                "shapes",
                detection=cell_spec("WL-D2", "detection", percent=True),
                deblending=cell_spec("WL-B3", "deblending"),
                measurement=cell_spec("WL-M1", "measurement"),
            ),
            {
                **subrow(
                    "positions",
                    detection={
                        "not_quantified": "not built",
                        "foms": ["CL-D1"],
                        "identified": "yes",
                        "published": "3 sigma",
                    },
                ),
                "not_quantified": "nobody has one",
            },
        ],
    },
    {
        "case": "transients",
        "title": "transients",
        "not_built": "no difference imaging",
        "subrows": [subrow(detection={"fom": "TR-D1", "identified": "yes", "published": "50 % at S/N 5.07"})],
    },
    {
        "case": "galaxies",
        "title": "galaxies & AGN",
        "subrows": [
            subrow(
                detection=cell_spec("GA-D1", "pipeline", kind="value"),
                deblending=cell_spec("GA-B1", "deblending"),
                measurement=cell_spec("GA-M9", "measurement"),
            )
        ],
    },
]
REQUIREMENTS = {
    "WL-D2": {"value": 0.003, "unit": "1", "source": "DESC SRD v1, Y10", "tag": "M", "about": "calibration"},
    "WL-B3": {"value": 0.003, "unit": "1", "source": "adopted", "tag": "A"},
    "WL-M1": {"value": 0.003, "unit": "1", "source": "DESC SRD v1, Y10", "tag": "M", "application": "M"},
    "GA-D1": {"value": 0.9, "unit": "1", "source": "adopted", "tag": "A", "sense": "at least"},
    "GA-B1": {"value": None, "unit": "mag", "source": "none published", "tag": "none"},
}
FOMS = Table(
    rows=[
        *ladder(
            "WL-D2",
            0.008,
            truth=0.0,
            isolated=0.0,
            oracle=0.001,
            undeblended=-0.1,
            deblended=-0.02,
            merged=-0.05,
            pipeline=-0.08,
        ),
        *ladder("WL-B3", 0.004, isolated=0.0, oracle=0.0, deblended=-0.002, merged=-0.05, pipeline=-0.01),
        *ladder("WL-M1", 0.001, isolated=0.0, oracle=0.0004, deblended=-0.02, merged=-0.03, pipeline=-0.05),
        row("GA-D1", "pipeline", 0.86, 0.02, "galaxies", "value"),
        row("GA-B1", "deblending", -0.06, 0.01, "galaxies", unit="mag"),
        row("WL-D2", "selection", -0.01, 0.004),
    ]
)


def test_further_values_are_told_and_decide_nothing():
    """A real image's value and another figure of merit's stand beside the verdict; so does that one is missing."""
    further = [
        {"scenario": "real", "fom": "GA-B9", "data": "a real frame"},
        {"fom": "GA-D1", "kind": "value", "headline_term": "pipeline", "percent": True, "data": "found"},
    ]
    spec = cell_spec("GA-B1", "deblending", population="common", also=further)
    board = [{**BOARD[2], "subrows": [subrow(deblending=spec)]}]
    plain = matrix_cells(FOMS, BOARD, REQUIREMENTS)[10]
    cell = matrix_cells(FOMS, board, REQUIREMENTS)[1]
    assert {**cell, "also": "nothing else"} == plain
    missing, found = cell["also"].splitlines()
    assert missing == "a real frame, GA-B9: not in this run"
    assert found.startswith("found, GA-D1: 86") and "%" in found
    foms = Table(
        rows=[
            *(dict(zip(FOMS.colnames, r)) for r in FOMS),
            row("GA-B9", "deblending", 0.2, 0.05, "galaxies", unit="mag", scenario="real", n=1234),
        ]
    )
    cell = matrix_cells(foms, board, REQUIREMENTS)[1]
    assert cell["value"] == plain["value"]
    assert cell["also"].splitlines()[0] == "a real frame, GA-B9: 0.20 mag (0.15 to 0.25, N = 1,234)"


@pytest.fixture(scope="module")
def cells():
    return matrix_cells(FOMS, BOARD, REQUIREMENTS)


@pytest.mark.parametrize(
    "low, high, limit, sense, expected",
    [
        (-0.002, 0.0029, 0.003, "within", "meets"),
        (-0.06, -0.04, 0.003, "within", "exceeds"),
        (0.004, 0.006, 0.003, "within", "exceeds"),
        (0.002, 0.004, 0.003, "within", "undetermined"),
        (-0.01, 0.01, 0.003, "within", "undetermined"),
        (0.91, 0.95, 0.9, "at least", "meets"),
        (0.8, 0.89, 0.9, "at least", "exceeds"),
        (-5, 0.4, 0.5, "at most", "meets"),
        (0.6, 0.7, 0.5, "at most", "exceeds"),
        (0.12, 0.13, 0.01, "known to", "meets"),
        (0.10, 0.16, 0.01, "known to", "undetermined"),
        (0.1, 0.2, None, "within", "no requirement"),
        (math.nan, math.nan, 0.003, "within", "undetermined"),
    ],
)
def test_verdicts(low, high, limit, sense, expected):
    value = 0.0 if math.isnan(low) else (low + high) / 2
    assert verdict(value, low, high, limit, sense) == expected


def test_without_a_value_there_is_no_verdict():
    assert verdict(None, None, None, 0.003) == verdict(math.nan, 0, 1, 0.003) == "not quantified"


@pytest.mark.parametrize(
    "low, high, expected",
    [
        (-0.002, 0.0029, "negligible"),
        (-0.06, -0.04, "needs calibration"),
        (0.002, 0.004, "undetermined"),
        (math.nan, math.nan, "undetermined"),
    ],
)
def test_a_limit_on_what_calibration_leaves_condemns_no_raw_impact(low, high, expected):
    assert verdict(0.0, low, high, 0.003, about="calibration") == expected


@pytest.mark.parametrize(
    "tag, application, expected, says",
    [
        ("V", "V", "V", ""),
        ("V", "M", "M", "from memory [M]"),
        ("V", "A", "A", "applied here to another quantity [A]"),
        ("M", "V", "M", ""),
        ("A", "V", "A", ""),
    ],
)
def test_the_tag_of_a_verdict_is_the_weaker_of_number_and_application(tag, application, expected, says):
    required = {"value": 5, "tag": tag, "application": application, "source": "PA1"}
    assert verdict_tag(required) == expected
    assert requirement_source(required).endswith(says or "]") and (";" in requirement_source(required)) == bool(says)
    assert verdict_tag({"value": 5, "tag": "V"}) == "A"  # unless it says that it is written for it, it is not
    assert verdict_tag({"value": None, "tag": "none"}) == verdict_tag({}) == "none"


@given(
    value=st.floats(-0.02, 0.02),
    half=st.floats(1e-4, 0.01),
    sense=st.sampled_from(["within", "at most", "at least", "known to"]),
)
def test_a_forecast_knows_the_interval_and_not_the_value(value, half, sense):
    """Half a width of the requirement, and of half of it: four times the sky. No value changes it but by rounding."""
    limit = 0.9 if sense == "at least" else 0.003
    (first, blocks, n), (second, more, _) = forecast(value - half, value + half, 500, 40, limit, sense)
    assert first == 2 * second == pytest.approx(0.1 if sense == "at least" else 0.003)
    assert blocks >= 40 * (half / first) ** 2 * (1 - 1e-9) and more == pytest.approx(4 * blocks, rel=0.35, abs=4)
    assert n == pytest.approx(500 * (half / first) ** 2, rel=0.25, abs=20)
    other = forecast(-half, half, 500, 40, limit, sense)
    assert [b for _, b, _ in other] == pytest.approx([blocks, more], rel=0.1, abs=1)


def test_cells_have_the_promised_keys_and_are_never_blank(cells):
    assert [(c["case"], c["subrow"], c["stage"]) for c in cells] == [
        (b["case"], line["name"], s)
        for b in BOARD
        for line in b["subrows"]
        for s in ("detection", "deblending", "measurement")
    ]
    for cell in cells:
        assert list(cell) == KEYS == list(CELL_COLUMNS)
        assert cell["verdict"] in VERDICTS
        assert all(
            isinstance(cell[k], str) and cell[k].strip()
            for k in KEYS
            if k not in ("value", "ci_low", "ci_high", "n", "requirement")
        )
        has_value = cell["value"] is not None
        assert has_value == (cell["quantified"] == "yes") == (cell["verdict"] != "not quantified")


def test_the_cells_hold_the_headline_of_the_board(cells):
    by_place = {(c["case"], c["stage"]): c for c in cells if c["subrow"] in ("shapes", "main")}
    detection = by_place["two_point", "detection"]
    assert [detection[k] for k in ("value", "ci_low", "ci_high")] == pytest.approx([-0.06, -0.068, -0.052])
    assert [detection[k] for k in ("verdict", "tag", "n")] == ["needs calibration", "A", 5000]
    assert [by_place["two_point", "measurement"][k] for k in ("verdict", "tag")] == ["meets", "M"]
    completeness = by_place["galaxies", "detection"]
    assert (completeness["value"], completeness["verdict"]) == (0.86, "exceeds")
    assert completeness["requirement_source"].startswith("at least: adopted")
    assert by_place["galaxies", "deblending"]["verdict"] == "no requirement"
    assert by_place["galaxies", "deblending"]["unit"] == "mag"


def test_an_undetermined_cell_says_how_much_sky_would_settle_it(cells):
    cell = next(c for c in cells if c["verdict"] == "undetermined")
    assert (cell["fom"], cell["value"]) == ("WL-B3", -0.002)
    # 40 blocks x (0.004 / 0.003)^2 and (0.004 / 0.0015)^2, rounded up to two digits, whatever the value
    assert "±0.003: about 72 blocks of sky, 9,000 objects" in cell["reason"]
    assert "±0.0015: about 290 blocks of sky, 36,000 objects; this run: 40, 5,000" in cell["reason"]
    near = matrix_cells(Table(rows=[row("WL-B3", "deblending", 0.003, 0.001)]), BOARD[:1], REQUIREMENTS)[1]
    assert near["verdict"] == "undetermined" and "the value is near the line; this run" in near["reason"]


def test_a_split_that_means_nothing_is_told_on_the_board():
    found = row("WL-D2", "detection", 0.1, 0.01, note=SPLIT_NOTES["no"])
    cell = matrix_cells(Table(rows=[found]), BOARD[:1], REQUIREMENTS)[0]
    assert cell["split"] == "split not meaningful"
    texts = [
        t.get_text() for t in board_figure([cell, *matrix_cells(FOMS, BOARD, REQUIREMENTS)[1:]], BOARD).axes[0].texts
    ]
    assert "split not meaningful" in texts


def test_unverified_requirements_say_so(cells):
    for cell in cells:
        if cell["fom"] in ("WL-D2", "WL-M1"):
            assert cell["requirement_source"].startswith("DESC SRD v1, Y10 [M: from memory, not verified]")
        if cell["fom"] in ("WL-B3", "GA-D1"):
            assert cell["requirement_source"].endswith("[A: adopted by this study]")


def test_what_is_not_quantified_says_why(cells):
    reasons = {(c["subrow"], c["case"], c["stage"]): c["reason"] for c in cells if c["verdict"] == "not quantified"}
    assert reasons["main", "transients", "detection"] == "no difference imaging. Published: 50 % at S/N 5.07"
    assert reasons["main", "transients", "measurement"] == "no difference imaging"
    assert "no 'measurement' of GA-M9" in reasons["main", "galaxies", "measurement"]
    assert reasons["positions", "two_point", "detection"] == "not built. Published: 3 sigma"
    assert reasons["positions", "two_point", "measurement"] == "nobody has one"
    assert [c["fom"] for c in cells if c["subrow"] == "positions"] == ["CL-D1", "none chosen", "none chosen"]
    nan = matrix_cells(Table(rows=[row("WL-D2", "detection", math.nan, 0)]), BOARD[:1], REQUIREMENTS)
    assert nan[0]["value"] is None and "gave no number" in nan[0]["reason"]


def test_a_scenario_that_is_missing_says_so_and_the_others_of_its_case_stay():
    board = [{**BOARD[2], "missing": "no image today"}]
    found, _, absent = matrix_cells(FOMS, board, REQUIREMENTS)
    assert found["quantified"] == "yes" and absent["reason"].startswith("no image today")


def test_an_ambiguous_headline_and_a_wrong_unit_are_refused():
    two = Table(rows=[row("WL-D2", "detection", 0.1, 0.01, population=p) for p in ("common", "own")])
    with pytest.raises(StudyError, match=r"2 rows.*population common.*population own[\s\S]*name the pop"):
        matrix_cells(two, BOARD[:1], REQUIREMENTS)
    own = [{**BOARD[0], "subrows": [subrow(detection=cell_spec("WL-D2", "detection", population="own"))]}]
    assert matrix_cells(two, own, REQUIREMENTS)[0]["value"] == 0.1
    with pytest.raises(StudyError, match="GA-B1"):
        matrix_cells(FOMS, BOARD, {"GA-B1": {"value": 0.02, "unit": "1", "source": "x", "tag": "A"}})


@pytest.mark.parametrize(
    "arguments, expected",
    [
        ((-0.052, -0.0615, -0.0425, "1", True), ("−5.2 %", "−6.2 to −4.2")),
        ((0.0161, 0.0082, 0.0244, "mag"), ("0.016 mag", "0.008 to 0.024")),
        ((27.14, 26.5, 27.7, "arcmin-2"), ("27.1 arcmin-2", "26.5 to 27.7")),
        ((-0.0001, -0.2, 0.2, "1"), ("0.00", "−0.20 to 0.20")),
        ((0.86, None, None, "1"), ("0.86", "no interval")),
        ((None, None, None, "1"), ("–", "no interval")),
        ((math.nan, math.nan, math.nan, "1"), ("–", "no interval")),
    ],
)
def test_quoted_numbers(arguments, expected):
    assert quote(*arguments) == expected


@given(half=st.floats(1e-5, 1e3))
def test_quoted_decimals_keep_the_interval_to_a_sixth(half):
    assert 0.5 * 10.0 ** -decimals(-half, half) <= max(half / 5.99, 0.5)


def test_files_hold_the_cells_and_have_equal_bytes(cells, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_cells(cells, tmp_path / name / "matrix", {"seed": 5})
    files = sorted(p.name for p in (tmp_path / "one").iterdir())
    assert files == ["matrix.csv", "matrix.json", "matrix.parquet"]
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert json.loads((tmp_path / "one" / "matrix.json").read_text()) == cells
    with open(tmp_path / "one" / "matrix.csv", newline="") as stream:
        lines = list(csv.DictReader(stream))
    assert list(lines[0]) == KEYS and all(text for line in lines for text in line.values())
    table = read(tmp_path / "one" / "matrix.parquet", KEYS)
    assert table.meta["seed"] == 5
    for cell, line, found in zip(cells, lines, table, strict=True):
        for key in ("value", "ci_low", "ci_high", "requirement"):
            expected = math.nan if cell[key] is None else cell[key]
            assert [float(line[key]), float(found[key])] == pytest.approx([expected] * 2, nan_ok=True, abs=0)
        assert line["reason"] == found["reason"] == cell["reason"]


def long_board():
    """A board whose texts are too long for their places."""
    long = "an uncommonly long explanation " * 12
    further = {"also": [{"fom": "WL-M1", "headline_term": "measurement", "data": long}] * 3}
    spec = {"name": long, "published": long, "identified": "partly", **further}
    return [
        {
            **b,
            "title": long,
            "science": long,
            "data_used": {"fiducial": long},
            **({"not_built": long} if b.get("not_built") else {}),
            "subrows": [
                {
                    **line,
                    "title": long,
                    "cells": {
                        s: {**c, **spec, **({"not_quantified": long} if "not_quantified" in c else {})}
                        for s, c in line["cells"].items()
                    },
                }
                for line in b["subrows"]
            ],
        }
        for b in BOARD
    ]


@pytest.mark.parametrize("board", [BOARD, long_board()], ids=["usual", "long texts"])
@pytest.mark.parametrize("slide", [False, True])
def test_no_text_of_the_figure_leaves_its_place(board, slide):
    requirements = {
        k: {**v, "source": v["source"] + (" and more" * 40 if board is not BOARD else "")}
        for k, v in REQUIREMENTS.items()
    }
    subtitle = "Study “test”" if board is BOARD else "Study “test”. " + "case: 30 patches of 0.69 arcmin², sep; " * 12
    cells = matrix_cells(FOMS, board, requirements)
    figure = board_slide(cells, board, "A title") if slide else board_figure(cells, board, subtitle=subtitle)
    figure.canvas.draw()
    renderer, box = figure.canvas.get_renderer(), figure.bbox
    places = [t.get_window_extent(renderer) for t in figure.axes[0].texts if t.get_text().strip()]
    for place in places:
        assert box.x0 <= place.x0 and place.x1 <= box.x1 and box.y0 <= place.y0 and place.y1 <= box.y1
    for i, one in enumerate(places):
        for other in places[i + 1 :]:
            # Lines of a paragraph may touch; texts must not lie on each other.
            width = min(one.x1, other.x1) - max(one.x0, other.x0)
            height = min(one.y1, other.y1) - max(one.y0, other.y0)
            assert width <= 1 or height <= 0.45 * min(one.height, other.height)


def test_the_figure_says_verdicts_in_words_and_symbols_and_marks_unverified(cells):
    texts = [t.get_text() for t in board_figure(cells, BOARD).axes[0].texts]
    for word in ("exceeds", "meets", "needs calibration", "undetermined", "no requirement", "not quantified"):
        shown = [t for t in texts if t.startswith(f"{SYMBOLS[word]} {word}")]
        assert len(shown) == 1 + sum(c["verdict"] == word for c in cells)
    everything = " ".join(texts)
    assert (
        "±0.3 % [M], DESC SRD v1, Y10" in everything
        and "✓ meets [M]" in texts
        and "[M] from memory, not verified" in everything
    )
    assert "no difference imaging" in everything and "N = 5,000" in everything


def test_the_slide_has_a_number_a_bar_and_a_verdict_per_cell_in_letters_that_can_be_read(cells):
    figure = board_slide(cells, BOARD, "A title")
    assert (figure.get_size_inches() * figure.dpi).tolist() == [1920, 1080]
    texts = figure.axes[0].texts
    assert min(t.get_fontsize() for t in texts) * figure.dpi / 72 >= 16  # pixels
    quantified = [c for c in cells if c["quantified"] == "yes"]
    assert len([line for line in figure.axes[0].lines if line.get_marker() == "o"]) == len(quantified)
    chips = [t.get_text() for t in texts if any(t.get_text().startswith(f"{s} {v}") for v, s in SYMBOLS.items())]
    assert len([t for t in chips if ":" not in t]) == len(cells)


def test_a_value_without_an_interval_is_open_on_the_board():
    foms = Table(rows=[row("WL-D2", "detection", 0.1, math.nan), row("WL-B3", "deblending", 0.1, 0.01)])
    figure = board_figure(matrix_cells(foms, BOARD[:1], REQUIREMENTS), BOARD[:1])
    faces = [line.get_mfc() for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert faces[0] == "white" and faces[1] != "white"


def test_the_figure_has_equal_bytes(cells, tmp_path):
    for name in ("one", "two"):
        write_board(cells, BOARD, tmp_path / name, tmp_path / f"{name}_slide.png")
    for suffix in (".png", "_slide.png", ".pdf"):
        one, two = ((tmp_path / f"{n}{suffix}").read_bytes() for n in ("one", "two"))
        assert one == two
    assert b"CreationDate" not in one


def test_wrap_keeps_short_texts_and_shortens_long_ones():
    assert wrap("two words", 8, 3, 2) == ["two words"]
    lines = wrap("word " * 50, 8, 1.0, 2)
    assert len(lines) == 2 and lines[-1].endswith("…")


def test_budgets_gather_rungs_terms_and_the_note_on_the_split():
    found = {b["fom"]: b for b in budgets(FOMS)}
    assert set(found) == {"WL-D2", "WL-B3", "WL-M1"}
    rungs = [r["term"] for r in found["WL-B3"]["rungs"]]
    assert rungs == ["isolated", "oracle", "deblended", "merged", "pipeline"]
    assert "selection" in [t["term"] for t in found["WL-D2"]["terms"]]
    assert "is meaningful" in found["WL-D2"]["split"]  # interaction -0.008 of 0.081
    assert "is not meaningful" in found["WL-B3"]["split"]  # 0.042 of 0.01
    noted = FOMS.copy()
    noted.replace_column("note", ["the split is undetermined"] * len(noted))
    assert {b["split"] for b in budgets(noted)} == {"the split is undetermined"}


def test_a_budget_of_two_samples_is_one_and_a_measurement_says_its_parts():
    rungs = {"truth": 0, "isolated": 1, "exact": 2, "oracle": 4, "undeblended": 9, "deblended": 8}
    late = {"isolated": 2, "oracle": 4, "deblended": 7, "merged": 5, "pipeline": 9}
    rows = [
        *(row("WL-M1", r, v, 0.1, kind="value", population="centres") for r, v in rungs.items()),
        *(row("WL-M1", r, v, 0.1, kind="value", population="kept") for r, v in late.items()),
        *(row("WL-M1", t, float(v), 0.1, population=sample_of(t)) for t, v in budget(rungs, late).items()),
    ]
    (found,) = budgets(Table(rows=rows))
    assert found["population"] == "centres and kept" and "is meaningful" in found["split"]  # 1 of 5 on kept
    assert [r["population"] for r in found["rungs"] if r["term"] == "oracle"] == ["centres", "kept"]
    assert {"photons", "sky", "survival"} <= {t["term"] for t in found["terms"]}
    board = [{**BOARD[0], "subrows": [subrow(measurement=cell_spec("WL-M1", "measurement", population="centres"))]}]
    cell = matrix_cells(Table(rows=rows), board, REQUIREMENTS)[2]
    assert [line.split(" (")[0] for line in cell["also"].splitlines()] == [
        "of which photons: 1.00",
        "of which sky: 2.00",
    ]
    assert cell["value"] == 3
    board[0]["subrows"][0]["cells"]["measurement"]["parts"] = {"sky": "template"}
    named = matrix_cells(Table(rows=rows), board, REQUIREMENTS)[2]
    assert named["also"] == cell["also"].replace("of which sky", "of which template")


class Reader(HTMLParser):
    """Collect tags, ids, sources and text of a page."""

    def __init__(self):
        super().__init__()
        self.tags, self.ids, self.links, self.text = [], [], [], []

    def handle_starttag(self, tag, attrs):
        """Keep a tag with its attributes."""
        attrs = dict(attrs)
        self.tags.append((tag, attrs))
        self.ids += [attrs["id"]] if "id" in attrs else []
        self.links += [attrs[k] for k in ("src", "href") if k in attrs]

    def handle_data(self, data):
        """Keep a text."""
        self.text.append(data)


@pytest.fixture
def page(cells, tmp_path):
    write_board(cells, BOARD, tmp_path / "matrix", tmp_path / "slide.png")
    (tmp_path / "figures").mkdir()
    shutil.copy(tmp_path / "matrix.png", tmp_path / "figures" / "ladder.png")
    ladder_figure = {"path": tmp_path / "figures" / "ladder.png", "title": "A ladder", "caption": "Rungs."}
    other = tmp_path / "engines.html"
    other.write_text('<p id="top">Engines & "bounds" <a href="#top">up</a></p>')
    write_page(
        tmp_path / "matrix.html",
        cells,
        BOARD,
        FOMS,
        Table(),
        {"name": "test", "title": "Impact <of> blending", "subtitle": "40 patches"},
        image=tmp_path / "matrix.png",
        figures=[ladder_figure],
        pages=[{"path": other, "name": "engines", "title": "Engines side by side"}],
        provenance={"code": {"version": "0.1.0"}, "inputs": ["a", "b"]},
        downloads=[(tmp_path / "matrix.pdf", "matrix as PDF")],
    )
    return tmp_path / "matrix.html"


def test_the_page_is_one_file_without_dead_links(page, cells):
    reader = Reader()
    reader.feed(page.read_text(encoding="utf-8"))
    text = " ".join(" ".join(reader.text).split())
    assert "Impact <of> blending" in text  # escaped in the source
    assert len(reader.ids) == len(set(reader.ids))
    for link in reader.links:
        if link.startswith("#"):
            assert link[1:] in reader.ids
        else:
            assert re.match(r"data:(image/webp|application/pdf);base64,", link), link
    (frame,) = (attrs for tag, attrs in reader.tags if tag == "iframe")
    assert 'Engines & "bounds"' in frame["srcdoc"] and "engines" in reader.ids
    assert not re.search(r"https?://", re.sub(r"data:[^\"']*", "", page.read_text()))
    for cell in cells:
        assert " ".join(cell["reason"].split()) in text
    assert "−6.0 %" in text and "[M]" in text and "code.version 0.1.0" in text and "inputs a, b" in text
    assert all(attrs.get("alt") for tag, attrs in reader.tags if tag == "img")
    assert all(attrs.get("scope") for tag, attrs in reader.tags if tag == "th")


@pytest.mark.browser
def test_the_table_of_the_page_sorts_and_filters(page):
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if not browser:
        pytest.skip("needs chromium")
    script = """<script>
      document.querySelectorAll("#all th button")[8].click();
      const rows = [...document.querySelectorAll("#all tbody tr")];
      const box = document.getElementById("filter");
      box.value = "GA-D1 pipeline"; box.dispatchEvent(new Event("input"));
      document.body.dataset.result = JSON.stringify([rows.map(r => +r.cells[8].dataset.v),
                                                     rows.filter(r => !r.hidden).length]);
    </script></body>"""
    page.write_text(page.read_text(encoding="utf-8").replace("</body>", script), encoding="utf-8")
    done = subprocess.run(
        [
            browser,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            f"--user-data-dir={page.parent / 'profile'}",
            "--dump-dom",
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    values, shown = json.loads(re.search(r'data-result="([^"]*)"', done.stdout)[1])
    assert values == sorted(values) and len(values) == len(FOMS) and shown == 1
    assert np.isclose(values[0], np.min(FOMS["value"]))
