"""The configuration: what is accepted, what is refused and in which words, and what follows from it."""

import copy
import re
import subprocess
import sys

import pytest
import yaml
from blendimpact.cases.base import case_names
from blendimpact.config import study
from blendimpact.config.case import Case, Keys, Scenario
from blendimpact.config.files import CONFIG_DIR, load_yaml, merge
from blendimpact.deblend import DEBLENDERS
from blendimpact.detect import DETECTORS
from blendimpact.errors import StudyError
from blendimpact.populations import POPULATIONS
from blendimpact.search import FINDERS
from blendimpact.subtract import SUBTRACTORS
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

PRESETS = sorted(p for p in (CONFIG_DIR / "presets").glob("*.yaml"))
BASE = CONFIG_DIR / "config.yaml"
NAMES = {
    "families": {family.config_key: family for family in (DETECTORS, DEBLENDERS, FINDERS, SUBTRACTORS, POPULATIONS)},
    "cases": case_names(),
}


@pytest.fixture
def overlay(tmp_path):
    """Return a function that writes an overlay and validates the study with it."""

    def check(text, **names):
        path = tmp_path / "mine.yaml"
        path.write_text(text)
        return study.validate(study.load_config([path]), [BASE, path], **(names or NAMES))

    return check


def refused(check, text):
    """Return the problems and the message that a wrong overlay gives."""
    with pytest.raises(StudyError) as error:
        check(text)
    return getattr(error.value, "problems", []), str(error.value)


# --- what is accepted ------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PRESETS, ids=lambda p: p.stem)
def test_presets_are_valid_and_say_what_they_are(path):
    config = study.validate(study.load_config([path]), [BASE, path], **NAMES)
    assert config["study"] == {"reference": "reference_run"}.get(path.stem, path.stem)  # published: results/reference
    assert study.jobs(config) <= 2000
    # a preset only changes what it must: laid over a second time it changes nothing
    assert study.validate(merge(study.load_config([path]), load_yaml(path).data), [], **NAMES) == config


def test_presets_are_of_the_sizes_they_are_for():
    sizes = {}
    for path in PRESETS:
        config = study.validate(study.load_config([path]))
        cases = [study.case_settings(config, c, s) for c, v in config["cases"].items() for s in v["scenarios"]]
        sizes[path.stem] = [len(study.patches(s)) for s in cases]
        text = " ".join(study.warnings(config))
        assert ("verdict" in text) == (path.stem == "smoke")
    assert max(sizes["smoke"]) <= 6
    assert min(sizes["laptop"]) >= 30
    assert max(sizes["survey"]) >= 10000


def test_the_base_file_names_every_key():
    assert set(load_yaml(BASE).data) == set(study.Study.model_fields)


def test_every_key_of_the_base_file_has_a_comment():
    lines = [line for line in BASE.read_text().splitlines() if re.match(r"^\S+:", line)]
    assert all("#" in line for line in lines if not line.startswith(("cases", "measure")) and line[-1] != ":")


def test_a_scenario_can_override_every_setting_of_a_case():
    assert set(Scenario.model_fields) == set(Keys.model_fields)
    assert set(Case.model_fields) == {*Keys.model_fields, "enabled", "scenarios"}


def test_merging_is_that_of_snakemake():
    snakemake = pytest.importorskip("snakemake.utils")
    base = study.load_config()
    for overlay in (
        {"cases": {"two_point": {"patch": {"count": 3}, "bands": ["r"]}}},
        {"cases": {"galaxies": None}},
        {"measure": {"sky": {"filter": 5}}},
        {"cases": {"two_point": {"inject": {"mag": [20, 21]}}}},
    ):
        theirs = copy.deepcopy(base)
        snakemake.update_config(theirs, copy.deepcopy(overlay))
        assert merge(base, overlay) == theirs


_trees = st.recursive(st.none() | st.integers(), lambda t: st.dictionaries(st.sampled_from("abc"), t, max_size=3))
_mappings = st.dictionaries(st.sampled_from("abc"), _trees, max_size=3)


@hypothesis_settings(max_examples=60, deadline=None)
@given(_mappings, _mappings, _mappings)
def test_merging_is_associative_and_leaves_its_arguments_alone(a, b, c):
    before = copy.deepcopy((a, b))
    assert merge(merge(a, b), b) == merge(a, b)
    if all(isinstance(v, dict) or k not in b for k, v in a.items()):
        assert merge(a, {}) == a and merge({}, b) == b
    merge(merge(a, b), c)
    assert (a, b) == before


# --- what is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, key, words",
    [
        ("chunk_sise: 5", "chunk_sise", ["unknown key", "did you mean 'chunk_size'"]),
        ("cases: {two_point: {patch: {bordr: 40}}}", "cases.two_point.patch.bordr", ["did you mean 'border'"]),
        (
            "cases: {two_point: {scenarios: {deep: {pach: {count: 3}}}}}",
            "cases.two_point.scenarios.deep.pach",
            ["did you mean 'patch'"],
        ),
        ("seed: twelve", "seed", ["the text 'twelve'", "a whole number"]),
        ("cases: {crowded_fields: {measure: {psf: true}}}", "cases.crowded_fields.measure.psf", ["unknown key"]),
        (
            "cases: {crowded_fields: {noise_pairs: true}}",
            "cases.crowded_fields.noise_pairs",
            ["twins of a star field would count twice"],
        ),
        ("cases: {two_point: {ring: true}}", "cases.two_point.ring", ["cannot be had with a shear", "set shear: 0"]),
        (
            "cases: {two_point: {shear: 0, ring: true, population: {galaxies: {knots: 0.5}}}}",
            "cases.two_point.population.galaxies.knots",
            ["not turned by `ring`"],
        ),
        ("cases: {two_point: {shear: 0, swapped: [merged]}}", "cases.two_point.swapped", ["needs sheared twins"]),
        ("cases: {galaxies: {ring: true}}", "cases.galaxies.ring", ["is for simulated sky"]),
        ("bootstrap: 10", "bootstrap", ["at least 100"]),
        ("cases: {two_point: {match_radius: 1e-1}}", "cases.two_point.match_radius", ["1.0e-3"]),
        ("cases: {two_point: {match_radius: 0}}", "cases.two_point.match_radius", ["more than 0"]),
        (
            "cases: {two_point: {population: {positions: {slope: 0.7}}}}",
            "cases.two_point.population.positions.slope",
            ["is for kind: clustered"],
        ),
        ("cases: {two_point: {shear: 0.5}}", "cases.two_point.shear", ["at most 0.1"]),
        ("cases: {two_point: {bands: [g, on]}}", "cases.two_point.bands.1", ["truth value true", "quote it"]),
        ("cases: {two_point: {bands: []}}", "cases.two_point.bands", ["at least 1"]),
        ("cases: {two_point: {bands: [i, i]}}", "cases.two_point.bands", ["twice"]),
        (
            "cases: {two_point: {bands: [g, r, q]}, galaxies: {enabled: false}}",
            "cases.two_point.bands",
            ["no band 'q'", "shape_band"],
        ),
        ("cases: {galaxies: {bands: [r], shape_band: r}}", "cases.galaxies.bands", ["no band 'r'", "known: g"]),
        ("cases: {two_point: {shape_band: z}}", "cases.two_point.shape_band", ["not one of the bands", "g, r, i"]),
        ("cases: {two_point: {patch: {border: 10}}}", "cases.two_point.patch.border", ["half a stamp", "at least 30"]),
        ("cases: {two_point: {stamp: 20}}", "cases.two_point.patch.border", ["half a stamp", "at least 50"]),
        ("cases: {two_point: {patch: {count: 0}}}", "cases.two_point.patch.count", ["at least 1"]),
        ("cases: {two_point: {survey: lsst_y10_idael}}", "cases.two_point.survey", ["did you mean 'lsst_y10_ideal'"]),
        ("cases: {galaxies: {image: des_dr2}}", "cases.galaxies.image", ["did you mean 'des_dr2_g'"]),
        ("cases: {galaxies: {patch: {count: 500}}}", "cases.galaxies.patch.count", ["169 blocks"]),
        ("cases: {galaxies: {inject: null}}", "cases.galaxies.inject", ["no source of known truth"]),
        ("cases: {galaxies: {inject: {mag: [25, 20]}}}", "cases.galaxies.inject.mag", ["brightest magnitude first"]),
        ("cases: {galaxies: {inject: {per_patch: 900}}}", "cases.galaxies.inject.per_patch", ["do not fit"]),
        ("cases: {galaxies: {inject: {catalogue: none.csv}}}", "cases.galaxies.inject", ["needs one of"]),
        (
            "cases: {two_point: {inject: {population: hst_cosmos, realisations: 4}}}",
            "cases.two_point.inject.realisations",
            ["patch.count"],
        ),
        (
            "cases: {two_point: {patch: {visits: 2}}}",
            "cases.two_point.patch.visits",
            ["is for stars", "inject.population: stars"],
        ),
        (
            "cases: {two_point: {population: {stars: {targets: true}}}}",
            "cases.two_point.shear",
            ["twins of a star field"],
        ),
        (
            "cases: {crowded_fields: {scenarios: {real: {patch: {visits: 3}}}}}",
            "cases.crowded_fields.scenarios.real.patch.visits",
            ["for simulated sky", "inject.realisations"],
        ),
        (
            "cases: {crowded_fields: {patch: {visits: 2}, epochs: {}}}",
            "cases.crowded_fields.patch.visits",
            ["epochs", "epochs: null"],
        ),
        ("cases: {crowded_fields: {patch: {visits: 0}}}", "cases.crowded_fields.patch.visits", ["at least 1"]),
        ("cases: {two_point: {detector: seb}}", "cases.two_point.detector", ["did you mean 'sep'"]),
        ("cases: {galaxies: {deblender: scarlet9}}", "cases.galaxies.deblender", ["did you mean", "scarlet2_free"]),
        ("detectors: {seb: {}}", "detectors.seb", ["no detector", "did you mean 'sep'"]),
        ("detectors: {sep: {treshold: 3}}", "detectors.sep.treshold", ["no option", "did you mean 'threshold'"]),
        ("detectors: {sep: {threshold: high}}", "detectors.sep.threshold", ["the text 'high'", "a number"]),
        ("subtractors: {zogi: {}}", "subtractors.zogi", ["did you mean 'zogy'"]),
        (
            "cases: {two_points: {bands: [i], shape_band: i, survey: hsc}}",
            "cases.two_points",
            ["did you mean 'two_point'"],
        ),
        ("cases: {two_point: {scenarios: {fiducial: null}}}", "cases.two_point.scenarios", ["fiducial"]),
        ("cases: {two_point: {sky: real}}", "cases.two_point.sky", ["simulate, adopt"]),
        ("cases: {two_point: {sky: adopt}}", "cases.two_point", ["needs the key 'image'"]),
        ("cases: {two_point: {scenarios: {5: {}}}}", "cases.two_point.scenarios.5", ["the number 5", "quote it"]),
        ("cases: {two_point: {scenarios: {on: {}}}}", "cases.two_point.scenarios.True", ["the truth value true"]),
        ("cases: {two_point: {stamp: .inf}}", "cases.two_point.stamp", ["the number inf", "finite"]),
        ("cases: {two_point: {inject: {mag: [20, .nan]}}}", "cases.two_point.inject.mag.1", ["finite"]),
        ("detectors: {sep: {threshold: .nan}}", "detectors.sep.threshold", ["the number nan", "finite"]),
        ("study: ../escape", "study", ["made of letters, digits, _ and -"]),
        ("measure: {sky: {filter: 1.5}}", "measure.sky.filter", ["a whole number"]),
    ],
)
def test_a_wrong_key_is_named_with_file_and_remedy(overlay, text, key, words):
    problems, message = refused(overlay, text)
    assert key in [".".join(map(str, p.key)) for p in problems], message
    for word in words:
        assert word in message
    assert ("Remedy" in message) == any(p.remedy for p in problems)


def test_the_file_and_line_are_those_of_the_key(overlay):
    _, message = refused(overlay, "study: x\n\ncases:\n  two_point:\n    patch:\n      border: 3\n")
    assert re.search(r"mine\.yaml:6: cases\.two_point\.patch\.border", message)
    # what the overlay leaves alone is looked for in the base file
    _, message = refused(overlay, "cases: {two_point: {stamp: 40.0}}")
    line = next(n for n, text in enumerate(BASE.read_text().splitlines(), 1) if "border: 30" in text)
    assert f"config.yaml:{line}: cases.two_point.patch.border" in message


def test_a_problem_of_a_scenario_is_placed_there(overlay):
    problems, message = refused(
        overlay, "cases: {two_point: {scenarios: {deep: {survey: hsc, stamp: 16.0, bands: [u, g], shape_band: g}}}}"
    )
    keys = [p.key for p in problems]
    assert ("cases", "two_point", "scenarios", "deep", "bands") in keys
    assert "no band 'u'" in message
    # the case is in order by itself: the border is too small for the scenario's stamp and pixels only
    assert any(k[-2:] == ("patch", "border") for k in keys)


def test_all_problems_come_at_once_and_each_once(overlay):
    problems, message = refused(overlay, "seeed: 1\nchunk_size: none\ncases: {two_point: {detecter: sep}}\n")
    assert len(problems) == 3 and "3 things are wrong" in message
    problems, message = refused(overlay, "cases: {two_point: {patch: {border: 3}, detector: sepp}}")
    assert len(problems) == 2, message  # not once per scenario


def test_a_whole_number_may_be_written_with_a_point(overlay):
    config = overlay("chunk_size: 5.0\ncases: {two_point: {patch: {count: 40.0}}}\n")
    assert [config["chunk_size"], config["cases"]["two_point"]["patch"]["count"]] == [5, 40]
    assert isinstance(config["chunk_size"], int)
    assert study.patches(study.case_settings(config, "two_point")) == list(range(40))


def test_bands_that_look_like_truth_values_stay_bands(overlay):
    text = "cases: {crowded_fields: {bands: [z, y], shape_band: y}}"
    assert yaml.safe_load("[y, n]") == ["y", "n"]  # PyYAML keeps these; yes, no, on and off it does not
    assert overlay(text)["cases"]["crowded_fields"]["bands"] == ["z", "y"]


@pytest.mark.parametrize(
    "text, says",
    [
        ("study: a\nstudy: b\n", r"mine\.yaml:2.*'study' is given twice"),
        ("study: [a\n", r"mine\.yaml.*not valid YAML"),
        ("\tstudy: a\n", r"mine\.yaml:1.*not valid YAML"),
        ("- a\n- b\n", "a list at top level"),
    ],
)
def test_files_that_are_not_yaml(overlay, text, says):
    with pytest.raises(StudyError, match=says):
        overlay(text)


def test_a_missing_file_is_named():
    with pytest.raises(StudyError, match=r"smoke\.yaml"):
        study.load_config([CONFIG_DIR / "presets" / "smok.yaml"])


@pytest.mark.parametrize("text", ["", "# nothing\n"])
def test_an_empty_overlay_is_refused_as_snakemake_does(overlay, text):
    with pytest.raises(StudyError, match=r"mine\.yaml: holds nothing at top level"):
        overlay(text)


# --- an already merged configuration, as Snakemake hands it over ----------------------------------


def test_a_merged_configuration_is_checked_without_knowing_its_files():
    config = study.load_config()
    config["cases"]["two_point"]["patch"]["border"] = 5
    with pytest.raises(StudyError, match=r"the merged configuration: cases\.two_point\.patch\.border|patch"):
        study.validate(config)
    config = study.load_config()
    config["zed"] = 1
    with pytest.raises(StudyError, match="the merged configuration: zed"):
        study.validate(config)


def test_validation_does_not_touch_what_it_is_given():
    config = study.load_config([CONFIG_DIR / "presets/smoke.yaml"])
    before = copy.deepcopy(config)
    checked = study.validate(config)
    assert config == before
    assert study.validate(checked) == checked  # and is idempotent


def test_snakemake_reads_the_base_file_as_we_do(tmp_path):
    load = pytest.importorskip("snakemake.common.configfile").load_configfile
    for path in (BASE, *PRESETS):
        assert load(str(path)) == load_yaml(path).data


def test_disabled_cases_are_not_checked_beyond_the_schema(overlay):
    config = overlay("cases: {galaxies: {enabled: false, image: gone}}")
    assert not config["cases"]["galaxies"]["enabled"]


# --- injection catalogues --------------------------------------------------------------------------


def test_injection_catalogue(overlay, tmp_path):
    path = tmp_path / "targets.csv"
    _, message = refused(overlay, f"cases: {{galaxies: {{inject: {{catalogue: {path}}}}}}}")
    assert "needs one of `catalogue` and `population`" in message
    inject = {"catalogue": str(path), "population": None}
    base = study.load_config(overrides={"cases": {"galaxies": {"inject": inject}}})
    with pytest.raises(StudyError, match="there is no file"):  # null takes away what the base file gives
        study.validate(base)
    path.write_text("ra,dec,source_type,mag\n58,-48,Star,20\n")
    study.validate(base)


# --- cost ------------------------------------------------------------------------------------------


def test_reading_the_configuration_imports_no_image_library():
    """The workflow reads it at every start."""
    code = (
        "import sys; from blendimpact.config import study as config; config.validate(config.load_config()); "
        "print(*sorted({'astropy.io.fits', 'scipy', 'h5py', 'pandas', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=CONFIG_DIR.parent / "scripts"
    )
    assert done.stdout.strip() == ""


@pytest.mark.parametrize(
    "text, words",
    [
        ("subtractor: zogi", ["transients.subtractor", "zogi", "did you mean 'zogy'"]),
        ("subtractor: null", ["transients.finder", "has no subtractor"]),
        ("finder: matched", ["transients.finder", "no finder", "did you mean 'matched_filter'"]),
        ("epochs: null", ["transients.subtractor", "needs a template", "one epoch", "none, truth"]),
        ("bands: [g, r]", ["transients.bands", "one band", "bands: [r]"]),
        ("shear: 0.05", ["transients.shear", "the template is not sheared"]),
        ("noise_pairs: true", ["transients.noise_pairs", "set noise_pairs: false"]),
        ("inject: null", ["transients.inject", "nothing would change", "or a catalogue"]),
        ("inject: {population: hst_cosmos}", ["transients.inject.population", "'hst_cosmos' do not come"]),
        (
            "{sky: adopt, image: des_dr2_g, bands: [g], shape_band: g, epochs: null, patch: {}}",
            ["transients.subtractor", "des_dr2_g has none", "template"],
        ),
    ],
)
def test_a_subtractor_needs_what_it_works_on(overlay, text, words):
    found, message = refused(overlay, f"cases:\n  transients: {text if text[0] == '{' else '{' + text + '}'}\n")
    assert found and all(word in message for word in words), message


def test_bounds_need_no_template_and_a_case_with_a_subtractor_has_no_deblenders_to_compare(overlay):
    for name in ("none", "truth"):
        config = overlay(f"cases: {{transients: {{subtractor: {name}, epochs: null}}}}\nsubtraction_comparison: null\n")
        assert study.separator(study.case_settings(config, "transients")) == name
    assert study.separator(study.case_settings(config, "two_point")) == "joint_fit"
    _, message = refused(overlay, "comparison: {deblenders: [sep], skies: {changes: {case: transients}}}")
    assert "there is no deblender to compare" in message


def test_a_catalogue_can_be_what_changes(tmp_path):
    (tmp_path / "mine.csv").write_text("ra,dec,source_type,mag\n1,2,Star,20\n")
    config = study.load_config()
    block = {
        **config["cases"]["transients"],
        "inject": {"catalogue": str(tmp_path / "mine.csv")},
        "scenarios": {"fiducial": {}},
    }
    config["cases"] = {**config["cases"], "transients": block}
    alone = study.validate(config, **NAMES)
    assert "population" not in alone["cases"]["transients"]["inject"]
    with pytest.raises(StudyError, match="inject.population: transients, of whose kinds"):
        compared = {"case": "transients", "engines": ["none", "zogy"], "patches": 10}
        study.validate({**config, "subtraction_comparison": compared}, **NAMES)


def test_a_deblender_beside_a_subtractor_is_said_to_idle(overlay):
    assert not [s for s in study.warnings(overlay("{}")) if "deblender" in s]
    for where in ("deblender: scarlet2_free", "scenarios: {moving: {deblender: sep}}"):
        notes = study.warnings(overlay(f"cases: {{transients: {{{where}}}}}"))
        assert any("cases.transients, scenario moving: the deblender s" in s and "not used" in s for s in notes)


def test_engines_are_told_the_registration_error_that_is_simulated():
    """As docs/numbers.md says, of the study and of the worked example that changes it."""
    page = (CONFIG_DIR.parent / "docs/inject-your-own.md").read_text(encoding="utf-8")
    text = next(b for b in re.findall(r"```yaml\n(.*?)```", page, flags=re.S) if "study: transients" in b)
    for overlay in ({}, yaml.safe_load(text)):
        config = study.validate(study.load_config(overrides=overlay), **NAMES)
        settings = study.case_settings(config, "transients")
        told = config["subtractors"]["zogy"]["registration"] * settings["pixel_scale"]
        assert told == pytest.approx(settings["epochs"]["registration"])
