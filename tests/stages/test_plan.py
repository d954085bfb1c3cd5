"""The plan of a study: chunks, paths, and what the jobs of each rule are told, without Snakemake."""

import subprocess
import sys
from types import SimpleNamespace

import pytest
from blendimpact.config.study import load_config
from blendimpact.errors import StudyError
from blendimpact.stages.plan import Job, read_study
from harness import ROOT

SMALL = {
    "study": "s",
    "chunk_size": 4,
    "cases": {
        "two_point": {
            "patch": {"count": 10},
            "scenarios": dict.fromkeys(("shear", "shear_peaks", "sky", "sky_clustered", "photo_z", "photo_z_training")),
        },
        "galaxies": {"patch": {"count": 2}, "scenarios": {"simulated": None}},
        "crowded_fields": {"enabled": False},
        "transients": {"patch": {"count": 9}},
    },
    "comparison": {
        "deblenders": ["sep", "joint_fit"],
        "skies": {
            "smooth": {"case": "two_point", "patch": {"count": 5}},
            "real": {"case": "galaxies", "patch": {"count": 2}},
        },
    },
    "subtraction_comparison": {"case": "transients", "engines": ["none", "zogy"], "patches": 5},
}


def plan_of(**changes):
    return read_study(load_config(overrides={**SMALL, **changes}), None)


@pytest.fixture(scope="module")
def plan():
    return plan_of()


def test_patches_are_cut_into_consecutive_chunks(plan):
    assert plan.chunks["two_point", "fiducial"] == {"000": [0, 1, 2, 3], "001": [4, 5, 6, 7], "002": [8, 9]}
    assert plan.patches(Job("two_point", chunk="002")) == [8, 9]
    with pytest.raises(StudyError, match="case two_point, scenario fiducial: there is no chunk 003"):
        plan.patches(Job("two_point", chunk="003"))


def test_cases_and_scenarios_are_those_that_are_enabled(plan):
    assert plan.cases == ["two_point", "galaxies", "transients"]
    assert {key for key in plan.settings if key[0] == "two_point"} == {
        ("two_point", scenario) for scenario in ("fiducial", "ring", "compare_smooth")
    }
    assert "compare_smooth" in plan.scenarios and not [key for key in plan.chunks if key[0] == "crowded_fields"]


def test_products_are_in_the_folder_of_the_study(plan):
    assert plan.product("score", "{chunk}.parquet") == "results/s/{case}/{scenario}/score/{chunk}.parquet"
    assert plan.log("score/{case}") == "results/s/logs/score/{case}.log"
    assert plan.benchmark("fetch/{name}", "results/inputs") == "results/inputs/benchmarks/fetch/{name}.tsv"


def test_scores_of_a_case_are_of_all_its_chunks_and_not_of_the_comparison(plan):
    assert plan.scores("galaxies")[0] == "results/s/galaxies/fiducial/score/000.parquet"
    two_point = plan.scores("two_point")
    assert len(two_point) == 3 + len(plan.chunks["two_point", "ring"]) and "compare" not in "".join(two_point)
    assert plan.scores("galaxies", "two_point") == [*two_point, *plan.scores("galaxies")]


def test_comparison_of_deblenders_is_on_its_own_skies(plan):
    assert plan.skies == {"smooth": ("two_point", "compare_smooth"), "real": ("galaxies", "compare_real")}
    made = plan.compared("{scenario}/{deblender}.{chunk}")
    assert [path for path in made if "smooth" in path] == [
        f"compare_smooth/{name}.{chunk}" for name in ("sep", "joint_fit") for chunk in ("000", "001")
    ]
    assert plan.compared_deblenders() == {"imaging": (["joint_fit", "sep"], 1000)}


def test_deblenders_of_the_comparison_are_grouped_by_environment():
    comparison = {**SMALL["comparison"], "deblenders": ["scarlet2_free", "sep", "scarlet2_sersic"]}
    assert plan_of(comparison=comparison).compared_deblenders() == {
        "imaging": (["sep"], 1000),
        "scarlet": (["scarlet2_free", "scarlet2_sersic"], 1500),
    }


def test_comparison_of_engines_takes_the_chunks_that_hold_its_first_patches(plan):
    assert plan.engines == ["none", "zogy"]
    assert plan.compared_differences("{case}/{scenario}/{engine}.{chunk}") == [
        f"transients/fiducial/{engine}.{chunk}" for engine in ("none", "zogy") for chunk in ("000", "001")
    ]


def test_nothing_is_compared_where_the_case_is_disabled():
    cases = {**SMALL["cases"], "transients": {"enabled": False}, "galaxies": {"enabled": False}}
    plan = plan_of(cases=cases)
    assert plan.engines == [] and list(plan.skies) == ["smooth"]


def test_a_scene_is_injected_into_or_simulated_and_the_sky_below_is_simulated_or_real(plan):
    assert plan.scene("fits")(Job("two_point")) == "results/s/two_point/fiducial/simulate/000.fits"
    assert plan.scene("fits")(Job("galaxies")) == "results/s/galaxies/fiducial/inject/000.fits"
    assert plan.sky("fits")(Job("galaxies")) == "results/s/galaxies/fiducial/adopt/image.fits"
    assert plan.sky("truth.parquet")(Job("transients", chunk="001")) == (
        "results/s/transients/fiducial/simulate/001.truth.parquet"
    )


def test_an_adopted_image_is_shared_by_scenarios_that_would_adopt_the_same():
    brighter = {"inject": {"mag": [18, 22]}}
    other = {"max_masked": 0.05}
    galaxies = {**SMALL["cases"]["galaxies"], "scenarios": {"brighter": brighter, "other": other}}
    plan = plan_of(cases={**SMALL["cases"], "galaxies": galaxies})
    assert plan.adopted_by(Job("galaxies", "brighter")) == plan.adopted_by(Job("galaxies")) == "fiducial"
    assert plan.adopted_by(Job("galaxies", "other")) == "other"
    assert "galaxies/other/adopt/" in plan.sky("fits")(Job("galaxies", "other"))
    assert plan.adopted_by(Job("galaxies", "compare_real")) == "fiducial"


def test_light_is_separated_by_the_deblender_or_before_the_detection_by_the_subtraction(plan):
    assert plan.separated(Job("two_point")) == "results/s/two_point/fiducial/deblend/000.h5"
    assert plan.separated_before(Job("two_point")) == []
    differences = plan.separated(Job("transients"))
    assert plan.separated_before(Job("transients")) == differences == "results/s/transients/fiducial/subtract/000.h5"


def test_the_first_chunk_is_of_the_fiducial_scenario(plan):
    wildcards = SimpleNamespace(case="two_point")
    pattern = plan.product("detect", "{chunk}.sky.h5")
    assert plan.first_chunk(pattern)(wildcards) == "results/s/two_point/fiducial/detect/000.sky.h5"
    assert plan.first_chunk(plan.separated)(wildcards) == plan.separated(Job("two_point"))


def test_options_and_needs_are_those_of_the_plug_in_of_the_job():
    plan = plan_of(
        cases={**SMALL["cases"], "two_point": {**SMALL["cases"]["two_point"], "deblender": "scarlet2_free"}},
        subtractors={"zogy": {"registration": 0.3}},
    )
    assert plan.environment_for("separate")(Job("two_point")) == "../envs/scarlet.yaml"
    assert plan.memory_for("separate")(Job("two_point")) == 1500
    assert plan.environment_for("separate")(Job("galaxies")) == plan.environment_for("find")(Job("two_point"))
    assert plan.options_for("separate")(Job("two_point")) == {}
    compared = SimpleNamespace(case="transients", scenario="fiducial", chunk="000", engine="zogy")
    assert plan.options_for("separate")(compared)["registration"] == 0.3
    assert plan.options_for("separate")(SimpleNamespace(**{**vars(compared), "engine": "none"})) == {}


def test_sources_of_a_case_are_its_survey_or_image_and_its_populations(plan):
    two_point, galaxies = plan.sources("two_point"), plan.sources("galaxies")
    assert [path for path in two_point if path.endswith("config/surveys/lsst_y10_ideal.yaml")]
    assert [path for path in galaxies if path.endswith("config/images/des_dr2_g.yaml")]
    assert "results/inputs/des_dr2_g/receipt.json" in set(galaxies) - set(two_point)
    assert "results/inputs/population/hst_cosmos.parquet" in galaxies
    assert set(plan.sources("two_point", "galaxies")) == {*two_point, *galaxies}


def test_results_depend_on_all_of_the_study_but_how_the_work_is_cut(plan):
    assert set(plan.study) - set(plan.config) == {"chunk_size", "keep_images"}


def test_an_input_is_pinned_by_what_is_fetched_of_it(plan):
    assert set(plan.package(SimpleNamespace(name="des_dr2_g"))) == {"package", "version", "sha256", "members"}


def test_the_plan_reads_what_it_is_told_with_its_mistakes_named():
    with pytest.raises(StudyError, match="seeed"):
        plan_of(seeed=3)


def test_a_job_s_plan_imports_no_library_of_images():
    """Snakemake makes one at each start, in the process of each job too."""
    code = (
        "import sys\nfrom blendimpact.config.study import load_config\n"
        "from blendimpact.stages.plan import read_study\nread_study(load_config(), None, plugins=False)\n"
        "print(*{'astropy', 'galsim', 'h5py', 'pandas', 'scipy', 'sep', 'snakemake'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(ROOT / "scripts")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == []
