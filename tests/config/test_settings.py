"""What follows from a configuration: settings, patches, chunks, and what each stage sees of them."""

import copy
import json
import re

import pytest
from blendimpact.config import study
from blendimpact.config.files import CONFIG_DIR
from blendimpact.config.measure import Measure, SkyEstimate
from blendimpact.config.settings import REALISATIONS
from blendimpact.config.sky import Galaxies, Patch, Positions
from blendimpact.errors import StudyError
from blendimpact.populations import POPULATIONS, drawn_tables, tables_of

BASE = CONFIG_DIR / "config.yaml"
TILING = {"size": 300, "border": 36, "margin": 12.0, "visits": 1}
"""Of the image of the study's galaxies, and defaults."""


@pytest.fixture
def overlay(tmp_path):
    """Return a function that lays an overlay over the study and checks it."""

    def check(text):
        path = tmp_path / "mine.yaml"
        path.write_text(text)
        return study.validate(study.load_config([path]), [BASE, path], {"populations": POPULATIONS})

    return check


@pytest.fixture(scope="module")
def laptop():
    """Return the checked default study."""
    return study.validate(study.load_config())


def test_settings_are_the_case_with_the_scenario_over_it(laptop):
    settings = study.case_settings(laptop, "two_point", "sky_clustered")
    assert settings["population"]["galaxies"] == {**Galaxies().plain(), "mag_max": 28.0}
    assert settings["population"]["positions"]["kind"] == "clustered"
    own = laptop["cases"]["two_point"]["scenarios"]["sky_clustered"]["patch"]
    assert own and settings["patch"] == {**Patch().plain(), **laptop["cases"]["two_point"]["patch"], **own}
    assert settings["case"] == "two_point" and settings["scenario"] == "sky_clustered"
    assert settings["pixel_scale"] == 0.2 and settings["zero_point"] == 31.4
    assert settings["measure"] == {**Measure().plain(), **laptop["measure"]}
    assert "scenarios" not in settings and "enabled" not in settings
    assert study.case_settings(laptop, "two_point")["population"]["positions"]["kind"] == "random"
    with pytest.raises(StudyError, match="sky_clustered"):
        study.case_settings(laptop, "two_point", "sky_clusterd")


def test_settings_of_a_real_image_take_its_tiling(laptop):
    settings = study.case_settings(laptop, "galaxies")
    assert settings["patch"] == {**TILING, "count": 50}
    assert settings["pixel_scale"] == 0.263 and settings["zero_point"] == 30.0


def test_measurement_options_of_a_case_lie_over_those_of_the_study(overlay):
    config = overlay(
        "measure: {sky: {filter: 5, grow: 1.0}}\n"
        "cases:\n  two_point:\n    measure: {sky: {grow: 2.0}}\n"
        "    scenarios: {known: {measure: {sky: {known: true}}}}"
    )
    sky = {**SkyEstimate().plain(), "filter": 5}
    assert study.case_settings(config, "two_point")["measure"]["sky"] == {**sky, "grow": 2.0}
    assert study.case_settings(config, "two_point", "known")["measure"]["sky"] == {**sky, "grow": 2.0, "known": True}
    assert study.case_settings(config, "galaxies")["measure"]["sky"] == {**sky, "grow": 1.0}


def test_an_injection_that_only_a_scenario_has_is_filled_in(overlay):
    config = overlay("cases: {two_point: {scenarios: {with: {inject: {population: hst_cosmos, per_patch: 4}}}}}")
    assert study.case_settings(config, "two_point")["inject"] is None
    inject = study.case_settings(config, "two_point", "with")["inject"]
    assert inject["per_patch"] == 4 and inject["mag"] == [20, 25.5] and inject["realisations"] == 1


@pytest.mark.parametrize("size", [1, 7, 60, 1000])
def test_chunks_hold_every_patch_once_whatever_their_size(laptop, size):
    for case, scenario in (("two_point", "fiducial"), ("galaxies", "fiducial")):
        settings = study.case_settings(laptop, case, scenario)
        lists = study.chunks({**laptop, "chunk_size": size}, settings)
        assert [p for chunk in lists for p in chunk] == study.patches(settings)
        assert all(1 <= len(chunk) <= size for chunk in lists)


@pytest.mark.parametrize("patch, count", [("{most: 40}", 40), ("{most: 500}", 169), ("{most: 40, count: 50}", 50)])
def test_at_most_so_many_blocks_are_used_unless_a_number_is_given(overlay, patch, count):
    settings = study.case_settings(overlay(f"cases: {{galaxies: {{patch: {patch}}}}}"), "galaxies")
    assert settings["patch"] == {**TILING, "count": count}


def test_patches_keep_their_numbers_when_there_are_more(overlay):
    few = study.case_settings(overlay("cases: {galaxies: {patch: {count: 10}, inject: {realisations: 2}}}"), "galaxies")
    many = study.case_settings(
        overlay("cases: {galaxies: {patch: {count: 40}, inject: {realisations: 3}}}"), "galaxies"
    )
    assert set(study.patches(few)) < set(study.patches(many))
    assert len(study.patches(few)) == 20
    found = [study.block_of(few, p) for p in study.patches(few)]
    assert found == [(b, r) for b in range(10) for r in range(2)]
    simulated = study.case_settings(overlay("{}"), "two_point")
    assert study.block_of(simulated, 17) == (17, 0)
    assert REALISATIONS > 999


def test_a_stage_sees_only_what_it_can_depend_on(laptop):
    settings = study.case_settings(laptop, "two_point")
    seen = {
        s: study.stage_settings(settings, s) for s in ("simulate", "inject", "detect", "deblend", "measure", "score")
    }
    assert all("count" not in v["patch"] for v in seen.values())
    assert "measure" not in seen["simulate"] and "detector" not in seen["simulate"]
    assert "deblender" not in seen["detect"] and "detector" in seen["detect"]
    assert seen["measure"]["measure"] == settings["measure"]
    # a change of a late key changes only late stages
    later = copy.deepcopy(laptop)
    later["measure"]["aperture_diameter"] = 2.0
    later["cases"]["two_point"]["patch"]["count"] = 500
    changed = study.case_settings(later, "two_point")
    same = {s for s in seen if study.stage_settings(changed, s) == seen[s]}
    assert same == {"simulate", "inject", "detect", "deblend"}
    json.dumps(seen)  # parameters of rules are plain data


STAGES = ("simulate", "adopt", "inject", "detect", "deblend", "measure", "score")


@pytest.mark.parametrize("stage", STAGES)
def test_no_stage_reads_a_setting_that_is_kept_from_it(laptop, stage):
    """What `stage_settings` leaves out is read nowhere in the stage's own source."""
    kept = study.stage_settings(study.case_settings(laptop, "galaxies"), stage)
    gone = {"enabled", "scenarios"} | (set(study.case_settings(laptop, "galaxies")) - set(kept))
    package = CONFIG_DIR.parent / "scripts/blendimpact"
    paths = [*(package / stage).glob("*.py"), package / "stages" / f"{stage}.py"]
    read = set()
    for path in paths:
        if path.is_file():
            read |= set(re.findall(r"settings(?:\.get\(|\[)[\"'](\w+)", path.read_text()))
    assert not read & gone


def test_the_models_know_the_options_of_the_stages():
    sky = pytest.importorskip("blendimpact.measure.sky")
    assert set(SkyEstimate.model_fields) == set(sky.SKY_OPTIONS)
    positions = pytest.importorskip("blendimpact.sky.positions")
    assert set(Positions.model_fields) == {"kind", *positions.CLUSTERED}
    assert Galaxies.model_json_schema()["properties"]["density"]["maximum"] == positions.DENSITY_MAX


def test_too_few_patches_and_too_many_jobs_are_warned_of(overlay):
    quiet = overlay("{}")
    assert study.warnings(quiet) == []
    loud = overlay("chunk_size: 1\ncases: {two_point: {patch: {count: 5000}, scenarios: {ring: {patch: {count: 4}}}}}")
    text = "\n".join(study.warnings(loud))
    assert "ring: 4 patches" in text and "chunk_size" in text
    better = int(re.search(r"chunk_size to (\d+)", text)[1])
    assert study.jobs({**loud, "chunk_size": better}) <= 2100


CROWDED = """
cases:
  two_point:
    survey: lsst_visit
    shear: 0
    noise_pairs: false
    population:
      galaxies: {density: 0}
      stars: {kind: isochrone, surface_density: 3.0e+5, limit: 24.5, mag_max: 26.5}
    inject: {population: stars, per_patch: 6, mag: [16, 25], separation: 4}
    measure: {measurements: {psf: {}}}
    scenarios:
      shear: null
      shear_peaks: null
      ring: null
      sky: null
      sky_clustered: null
      photo_z: null
      photo_z_training: null
      sparse: {population: {stars: {surface_density: 1.0e+4}}}
      real: {sky: adopt, image: des_dr2_g, bands: [g], shape_band: g, inject: {realisations: 3}}
"""


def test_a_scenario_may_have_the_other_kind_of_sky(overlay):
    config = overlay(CROWDED)
    simulated, real = (study.case_settings(config, "two_point", s) for s in ("sparse", "real"))
    assert simulated["sky"] == "simulate" and real["sky"] == "adopt"
    assert real["patch"] == {**TILING, "count": 169}  # not the pixels of the simulated sky
    assert real["pixel_scale"] == 0.263 and simulated["pixel_scale"] == 0.2
    assert real["inject"]["population"] == "stars" and len(study.patches(real)) == 3 * 169
    assert study.patches(simulated) == list(range(simulated["patch"]["count"]))


def test_tables_that_stars_and_targets_are_drawn_from(overlay, laptop):
    config = overlay(CROWDED)
    simulated, real = (study.case_settings(config, "two_point", s) for s in ("sparse", "real"))
    assert tables_of(simulated) == ["isochrone"]
    assert tables_of(real) == []  # one band: no colours
    assert tables_of(study.case_settings(laptop, "galaxies")) == ["hst_cosmos"]
    assert tables_of(study.case_settings(laptop, "two_point")) == []
    assert tables_of(study.case_settings(laptop, "transients")) == ["supernova", "hst_cosmos"]
    kinds = {"supernova": 0, "trail": 1, "coma_9p": 1}
    none = {**simulated["population"], "stars": {**simulated["population"]["stars"], "density": 0}}
    assert tables_of({**simulated, "population": none}) == ["isochrone"]  # targets have its colours all the same
    assert drawn_tables({**simulated, "population": none}) == []  # there are no galaxies either
    moving = {**simulated, "inject": {"population": "transients", "kinds": kinds}}
    assert tables_of(moving) == ["coma_9p"]


@pytest.mark.parametrize(
    "old, new, key, says",
    [
        ("surface_density: 3.0e+5, ", "", "population.stars", "'surface_density' is missing"),
        ("limit: 24.5, ", "", "population.stars", "'limit' is missing"),
        ("kind: isochrone", "kind: trilegal", "population.stars.limit", "no option 'limit'"),
        ("kind: isochrone", "kind: isocrone", "population.stars.kind", "there is no population 'isocrone'"),
        ("galaxies: {density: 0}", "galaxies: {kind: visits}", "population.galaxies.kind", "cannot be drawn"),
        ("galaxies: {density: 0}", "galaxies: {mag_max: 29}", "population.galaxies.mag_max", "end at 28.5"),
        ("galaxies: {density: 0}", "galaxies: {mag_min: 28.2}", "population.galaxies", "no magnitude between"),
        (
            "galaxies: {density: 0}",
            "others: {dwarfs: {kind: cosmodc2, knot: 1}}",
            "population.others.dwarfs.knot",
            "no option 'knot'",
        ),
        (
            "{kind: isochrone, surface_density: 3.0e+5, limit: 24.5, mag_max: 26.5}",
            "{}",
            "inject.population",
            "need an isochrone",
        ),
        ("realisations: 3", "realisations: 3, red_clump: 0.1", "scenarios.real.inject.red_clump", "simulated sky"),
        ("sky: adopt, image: des_dr2_g", "sky: adopt", "scenarios.real", "needs the key 'image'"),
        ("sky: adopt", "sky: reel", "scenarios.real.sky", "adopt"),
        ("mag: [16, 25]", "mag: [25, 16]", "inject.mag", "brightest"),
    ],
)
def test_what_is_wrong_with_a_star_field_is_said(overlay, old, new, key, says):
    assert CROWDED.count(old) == 1
    with pytest.raises(StudyError, match=re.escape(says)) as error:
        overlay(CROWDED.replace(old, new))
    assert f"two_point.{key}" in [".".join(map(str, p.key[1:])) for p in error.value.problems]
