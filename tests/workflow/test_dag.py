"""The graph of jobs, for every preset and for what a user may change, without running any."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest
import synthetic
import yaml
from blendimpact.stages import job as stage_job
from harness import build_dag, copy_tree, run_snakemake, stated

PRESETS = ("smoke", "laptop", "survey")
PER_CHUNK = ("detect", "deblend", "measure", "score")
COMPARED = ("compare_imaging", "compare_scarlet")  # deblenders of one environment share a job
COMPARISON = ("reference", *COMPARED, "comparison", "comparison_page")
ENGINES = ("compare_engines", "engine_comparison", "engine_page")
STAGES = (
    *ENGINES,
    *COMPARISON,
    "fetch",
    "population",
    "simulate",
    "adopt",
    "inject",
    "subtract",
    "detect",
    "deblend",
    "measure",
    "score",
    "foms",
    "matrix",
    "figures",
    "panel",
    "page",
)
PER_CASE = ("foms", "figures", "panel")


def preset(root, name):
    return root / "config" / "presets" / f"{name}.yaml"


def expected_chunks(root, *paths):
    """Return the number of chunks by (case, scenario), of the study and of its comparison; deblenders; all settings."""
    from blendimpact.config import study as c

    study = c.validate(c.load_config(paths))

    def number(case, scenario):
        return len(c.chunks(study, c.case_settings(study, case, scenario)))

    chunks = {
        (case, scenario): number(case, scenario)
        for case, block in study["cases"].items()
        if block["enabled"]
        for scenario in block["scenarios"]
    }
    skies = {
        (case, c.compared_scenario(sky)): number(case, c.compared_scenario(sky)) for sky, case in c.skies(study).items()
    }
    settings = {key: c.case_settings(study, *key) for key in (*chunks, *skies)}
    return chunks, skies, (study["comparison"] or {}).get("deblenders", []), settings


@pytest.fixture(scope="module")
def smoke(root, tmp_path_factory):
    return build_dag(tmp_path_factory.mktemp("smoke"), preset(root, "smoke"))


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_has_every_stage_and_one_job_per_chunk(root, tmp_path, name):
    dag = build_dag(tmp_path, preset(root, name))
    counts, (chunks, skies, deblenders, settings) = dag.counts(), expected_chunks(root, preset(root, name))
    compares = {*COMPARISON, *ENGINES}
    assert set(STAGES) - compares <= set(counts) and bool(skies) == (name != "laptop")
    assert set(STAGES) & compares - {"compare_scarlet"} <= set(counts) or not skies
    assert ("compare_scarlet" in counts) == any(deblender.startswith("scarlet") for deblender in deblenders)
    differ = sum(n for (case, _), n in chunks.items() if case == "transients")  # there a template is subtracted
    more = {"detect": sum(skies.values()), "deblend": -differ, "subtract": differ - sum(chunks.values())}
    for rule in (*PER_CHUNK, "subtract"):
        assert counts[rule] == sum(chunks.values()) + more.get(rule, 0)
    both = [*chunks.items(), *skies.items()]
    real = {key for key, _ in both if settings[key]["sky"] == "adopt"}
    built = {job.wildcards_dict["population"] for job in dag.of("population")}
    tile = ("transients", "real") in real  # the DES tile in other blocks
    assert counts["simulate"] == sum(n for key, n in both if key not in real)
    assert counts["inject"] == sum(n for key, n in both if settings[key]["inject"])
    assert counts.get("reference", 0) == sum(skies.values())
    compared = [rule for rule in COMPARED if rule in counts]
    assert [counts[rule] for rule in compared] == [sum(skies.values())] * len(compared)
    made = {path for rule in compared for job in dag.of(rule) for path in job.output if "/cost/" in path}
    assert len(made) == sum(skies.values()) * len(deblenders)
    assert counts.get("comparison", 0) == counts.get("comparison_page", 0) == bool(skies)
    assert (counts["fetch"], counts["adopt"]) == (9, 2 + tile)
    assert tile == (name == "survey")
    cases = sorted({case for case, _ in chunks})
    for rule in PER_CASE:
        assert sorted(job.wildcards_dict["case"] for job in dag.of(rule)) == cases and len(cases) == 4
    assert built == {"coma_9p", "hst_cosmos", "trilegal", "isochrone", "visits", "supernova"}
    assert (counts["population"], counts["matrix"]) == (len(built), 1)
    assert sum(counts.values()) < 12_000


def outputs(dag):
    """Return the paths that the jobs of a graph make."""
    return {str(path) for job in dag.jobs for path in job.output}


def test_the_default_study_is_the_laptop_preset(root, tmp_path):
    default, laptop = build_dag(tmp_path), build_dag(tmp_path, preset(root, "laptop"))
    assert outputs(default) == outputs(laptop)


def test_a_case_that_is_disabled_has_no_job(root, tmp_path):
    config = tmp_path / "c.yaml"
    config.write_text(
        "cases: {galaxies: {enabled: false}, crowded_fields: {enabled: false}, transients: {enabled: false}}"
    )
    counts = build_dag(tmp_path, config).counts()
    assert "adopt" not in counts and "inject" not in counts and counts["fetch"] == 3
    assert [counts[rule] for rule in PER_CASE] == [1] * len(PER_CASE)


def upstream(dag, job):
    """Return all jobs that a job waits for."""
    makers, found, todo = {str(path): maker for maker in dag.jobs for path in maker.output}, set(), [job]
    while todo:
        new = {makers[str(path)] for path in todo.pop().input if str(path) in makers} - found
        found |= new
        todo += new
    return found


def test_a_case_is_aggregated_and_drawn_when_its_own_scores_are_there(smoke):
    """Neither waits for another case or for the matrix, which waits for all cases and aggregates nothing itself."""
    per_chunk = {(job.wildcards_dict["case"], str(job.output.scores)) for job in smoke.of("score")}
    for rule in ("foms", "figures"):
        for job in smoke.of(rule):
            case, before = job.wildcards_dict["case"], upstream(smoke, job)
            assert {
                (other.wildcards_dict["case"], str(other.output.scores))
                for other in before
                if other.rule.name == "score"
            } == {key for key in per_chunk if key[0] == case}
            assert {other.wildcards_dict.get("case", case) for other in before} == {case}
            assert "matrix" not in {other.rule.name for other in before}
    (matrix,) = smoke.of("matrix")
    tables = {f"results/smoke/{case}/foms.parquet" for case, _ in per_chunk}
    assert set(matrix.input.foms) == tables and len(tables) == 4
    for rule in ("matrix", "figures"):  # both draw what is required
        assert all(any(path.endswith("/requirements.yaml") for path in job.input) for job in smoke.of(rule))
    assert not [path for path in matrix.input if "/score/" in path]
    (everything,) = smoke.of("all")
    assert {f"results/smoke/figures/{case}" for case, _ in per_chunk} <= set(everything.input)


def test_a_case_is_made_of_its_own_sources(smoke):
    """Its provenance names the survey or the image of the case; that of the matrix those of all cases."""
    sources = {job.wildcards_dict["case"]: set(job.input.sources) for job in smoke.of("foms")}
    assert all(sources.values())
    assert not [path for path in sources["two_point"] if "des_dr2" in path]
    assert [path for path in sources["galaxies"] if "des_dr2" in path]
    (matrix,) = smoke.of("matrix")
    assert set(matrix.input.sources) == set().union(*sources.values())


def test_without_comparison_there_is_no_job_of_it(root, tmp_path):
    config = tmp_path / "c.yaml"
    config.write_text("comparison: null")
    dag = build_dag(tmp_path, preset(root, "smoke"), config)
    assert not set(COMPARISON) & set(dag.counts())
    assert not [path for path in outputs(dag) if "compare" in path or "comparison" in path]


def test_engines_are_compared_on_the_first_patches_of_their_case_or_not_at_all(root, tmp_path):
    config = tmp_path / "c.yaml"
    config.write_text(
        "chunk_size: 2\ncases: {transients: {patch: {count: 7}}}\n"
        "subtraction_comparison: {case: transients, engines: [none, zogy], patches: 3}"
    )
    jobs = build_dag(tmp_path, preset(root, "smoke"), config).of("compare_engines")
    assert sorted((j.wildcards_dict["engine"], j.wildcards_dict["chunk"]) for j in jobs) == [
        ("none", "000"),
        ("none", "001"),
        ("zogy", "000"),
        ("zogy", "001"),
    ]
    for text in ("subtraction_comparison: null", "cases: {transients: {enabled: false}}"):
        config.write_text(text)
        assert not set(ENGINES) & set(build_dag(tmp_path, preset(root, "smoke"), config).counts())


def test_a_sky_whose_case_is_disabled_is_left_out(root, tmp_path):
    config = tmp_path / "c.yaml"
    config.write_text("cases: {galaxies: {enabled: false}}")
    dag = build_dag(tmp_path, preset(root, "smoke"), config)
    assert {job.wildcards_dict["scenario"] for job in dag.of("compare_imaging")} == {"compare_smooth"}


def test_the_comparison_scores_nothing_of_the_matrix_and_shares_the_adopted_image(root, tmp_path):
    dag = build_dag(tmp_path, preset(root, "smoke"))
    assert not [path for job in dag.of("matrix") for path in job.input if "compare_" in path]
    real = [job for job in dag.of("inject") if job.wildcards_dict["scenario"] == "compare_real"]
    assert {job.input.images for job in real} == {"results/smoke/galaxies/fiducial/adopt/image.fits"}
    config = tmp_path / "c.yaml"
    config.write_text("comparison: {skies: {real: {max_masked: 0.05}}}")
    other = build_dag(tmp_path, preset(root, "smoke"), config)
    assert other.count("adopt") == 3


def test_injection_into_simulated_patches_follows_simulation(tmp_path):
    case, inject = (synthetic.CONFIG["cases"][name] for name in ("two_point", "galaxies"))
    cases = {"two_point": {**case, "inject": {**inject["inject"], "population": "hst_cosmos"}}}
    config = synthetic.make_study(tmp_path / "w", cases={**cases, "galaxies": {"enabled": False}})
    dag = build_dag(tmp_path / "w", config, targets=["two_point"])
    assert dag.count("inject") == dag.count("simulate") == dag.count("detect") == 2
    for job in dag.of("inject"):
        assert all("/simulate/" in path for path in (job.input.images, job.input.truth))
    for rule in PER_CHUNK:
        assert all("/inject/" in job.input.truth for job in dag.of(rule))


@pytest.mark.parametrize(
    "target, without",
    [
        ("matrix", {"panel", "figures", "all"}),
        ("two_point", {"adopt", "inject", "foms", "matrix"}),
        ("galaxies", {"subtract", "foms", "matrix"}),
        ("results/smoke/figures/two_point", {"adopt", "inject", "matrix"}),
    ],
)
def test_targets(root, tmp_path, target, without):
    counts = build_dag(tmp_path, preset(root, "smoke"), targets=[target]).counts()
    assert counts["score"] > 0
    assert not without & set(counts)


def test_one_file_is_a_target(root, tmp_path):
    path = "results/smoke/two_point/fiducial/detect/000.detections.parquet"
    assert build_dag(tmp_path, preset(root, "smoke"), targets=[path]).counts() == {
        "fetch": 3,
        "population": 2,
        "simulate": 1,
        "detect": 1,
    }


def test_a_chunk_that_the_study_has_not_is_no_target(root, tmp_path):
    done = run_snakemake(
        tmp_path, "-n", "results/smoke/two_point/fiducial/score/777.parquet", "--configfile", preset(root, "smoke")
    )
    assert done.returncode == 1
    assert "777" in done.stdout


def test_images_and_children_are_temporary_unless_they_are_kept(root, tmp_path):
    from snakemake.io import is_flagged

    for keep, config in ((False, {}), (True, {"keep_images": True})):
        dag = build_dag(tmp_path, preset(root, "smoke"), config=config)
        for job in dag.jobs:
            for path in job.output:
                assert is_flagged(path, "temp") == (
                    not keep and path.endswith((".fits", ".h5")) and "inputs" not in path
                ), path


def test_every_product_of_data_is_checked_to_be_non_empty(smoke):
    for rule in ("population", "simulate", "adopt", "inject", *PER_CHUNK, "foms"):
        for job in smoke.of(rule):
            assert all("directory" in path.flags or path.flags["ensure"]["non_empty"] for path in job.output), rule


def test_every_rule_that_works_has_a_script_a_log_a_benchmark_an_environment_and_the_digest_of_its_code(smoke):
    working = [rule for rule in smoke.rules.values() if rule.output]
    assert len(working) >= 20
    for rule in working:
        assert rule.script and rule.log and rule.benchmark and rule.conda_env, rule.name
        assert rule.params.library and rule.params.stage, rule.name


# Inputs that jobs wait for and that no driver opens by its name: it is told of them, or the provenance names them.
WAITED_FOR = {
    "adopt": {"files"},
    "figures": {"requirements"},
    "foms": {"sources"},
    "matrix": {"requirements", "sources"},
}


def test_what_a_rule_gives_is_what_its_driver_takes(root, tmp_path):
    """Every input and output of it, and every argument that has no default."""
    untaken = {}
    for job in (job for job in build_dag(tmp_path, preset(root, "survey")).jobs if job.output):
        function, _ = stage_job.driver(job.params.stage)
        taken, offered = inspect.signature(function).parameters, stage_job.given(job)
        needed = {name for name, argument in taken.items() if argument.default is argument.empty}
        assert needed <= {*offered, "provenance"}, job.rule.name
        files = {name for name, path in job.input.items() if path} | {f"{name}_out" for name, _ in job.output.items()}
        untaken.setdefault(job.rule.name, set()).update(files - set(taken))
    assert {rule: names for rule, names in untaken.items() if names} == WAITED_FOR


def test_resources_grow_with_the_attempt_and_every_job_has_one_core(smoke):
    for job in (j for j in smoke.jobs if j.output):
        assert job.threads == 1
        for name in ("mem_mb", "runtime"):
            first, second, third = (stated(job, attempt)[name] for attempt in (1, 2, 3))
            assert first > 0 and second == 2 * first and third == 3 * first, (job.rule.name, name)


def test_a_deblender_with_needs_of_its_own_has_its_environment_and_memory(root, tmp_path):
    config = tmp_path / "c.yaml"
    config.write_text("cases: {two_point: {deblender: scarlet2_free}}")
    jobs = build_dag(tmp_path, preset(root, "smoke"), config).of("deblend")
    found = {
        (
            job.wildcards.case,
            Path(job.rule.expand_conda_env(job.wildcards_dict).file.get_path_or_uri(secret_free=True)).resolve(),
            stated(job)["mem_mb"],
        )
        for job in jobs
    }
    assert found == {
        ("two_point", root / "envs" / "scarlet.yaml", 1500),
        ("galaxies", root / "envs" / "imaging.yaml", 1000),
        ("crowded_fields", root / "envs" / "imaging.yaml", 1000),
    }


def test_a_case_with_a_subtractor_has_its_options_where_it_is_used(root, tmp_path, smoke):
    changed_options = {"zogy": {"registration": 0.3}}
    other = build_dag(tmp_path, preset(root, "smoke"), config={"subtractors": changed_options})
    assert changed(smoke, other) == {
        "subtract",
        "compare_engines",
        "matrix",
        "page",
        "comparison",
        "comparison_page",
        "engine_comparison",
        "engine_page",
    }
    assert {job.wildcards_dict["case"] for job in other.of("subtract")} == {"transients"}
    assert all(job.params.options["registration"] == 0.3 for job in other.of("subtract"))


def test_detection_and_measurement_read_the_difference_that_was_made_once(smoke):
    made = {str(job.output.differences) for job in smoke.of("subtract")}
    assert "transients" not in {job.wildcards_dict["case"] for job in smoke.of("deblend")}
    for rule in ("detect", "measure"):
        read = {str(job.input.separated) for job in smoke.of(rule) if job.wildcards_dict["case"] == "transients"}
        assert read == made
    assert not any(job.input.separated for job in smoke.of("detect") if job.wildcards_dict["case"] != "transients")
    assert all(
        "/deblend/" in str(job.input.separated)
        for job in smoke.of("measure")
        if job.wildcards_dict["case"] != "transients"
    )


def test_logs_and_benchmarks_are_of_one_job_only(smoke):
    for kind in ("log", "benchmark"):
        paths = [str(p) for job in smoke.jobs for p in ([job.benchmark] if kind == "benchmark" else job.log) if p]
        assert len(set(paths)) == len(paths) > 20


def test_parameters_hold_no_path_of_this_machine_and_repeat_exactly(root, tmp_path, smoke):
    (tmp_path / "a").mkdir()
    again = build_dag(tmp_path / "a", preset(root, "smoke"))
    first = {str(job.output): repr(sorted(job.params.items(), key=str)) for job in smoke.jobs}
    for job in again.jobs:
        text = repr(sorted(job.params.items(), key=str))
        assert text == first[str(job.output)]
        assert str(root) not in text and str(tmp_path) not in text


def changed(before, after):
    """Return the rules of which any job has other parameters."""

    def params(dag):
        return {str(job.output): (job.rule.name, repr(job.params)) for job in dag.jobs}

    a, b = params(before), params(after)
    assert a.keys() == b.keys()
    return {rule for key, (rule, text) in a.items() if b[key][1] != text}


TABLES = {"matrix", "page", "comparison", "comparison_page", "engine_comparison", "engine_page"}


@pytest.mark.parametrize(
    "key, value, rules",
    [
        ("deblenders", {"joint_fit": {"sweeps": 7}}, {"deblend", "compare_imaging", *TABLES}),
        ("subtractors", {"zogy": {"stamp_snr": 33.0}}, {"subtract", "compare_engines", *TABLES}),
        ("bootstrap", 300, {"foms", *TABLES}),
        ("keep_images", True, set()),
    ],
)
def test_a_setting_changes_the_parameters_of_the_rules_that_read_it(root, tmp_path, smoke, key, value, rules):
    other = build_dag(tmp_path, preset(root, "smoke"), config={key: value})
    assert changed(smoke, other) == rules


def test_more_patches_leave_the_chunks_that_were_there_as_they_are(root, tmp_path):
    def chunks(count):
        config = tmp_path / "c.yaml"
        config.write_text(f"study: s\nchunk_size: 2\ncases: {{two_point: {{patch: {{count: {count}}}}}}}")
        dag = build_dag(tmp_path, config, targets=["two_point"])
        return {str(job.output): repr(job.params) for job in dag.jobs if "fiducial" in str(job.output)}

    few, many = chunks(4), chunks(8)
    assert few.items() <= many.items()
    assert len(many) == 2 * len(few)


@pytest.mark.slow
@pytest.mark.parametrize(
    "module, rules, untouched",
    [
        ("deblend/segmentation.py", {"deblend"}, {"fetch", "population", "simulate", "adopt", "inject"}),
        ("sky/adopt/psf.py", {"adopt"}, {"fetch", "population", "simulate", "score", "matrix"}),
        ("stats/streams.py", {"simulate", "inject"}, {"fetch"}),
        (
            "report/board_figure.py",
            {"matrix"},
            {"fetch", "population", "simulate", "adopt", "inject", "foms", *PER_CHUNK},
        ),
        ("ladder/aggregate.py", {"foms"}, {"fetch", "population", "simulate", "adopt", "inject", *PER_CHUNK}),
    ],
)
def test_an_edit_of_the_library_reruns_what_imports_it_and_only_that(tree, root, tmp_path, module, rules, untouched):
    """In a process of its own: modules that are loaded here would hide the edit."""

    def digests():
        code = (
            "import sys, json; sys.path[:0] = [sys.argv[1] + '/scripts', sys.argv[2]]\n"
            "from harness import build_dag\n"
            "dag = build_dag(sys.argv[3], sys.argv[1] + '/config/presets/smoke.yaml',"
            " snakefile=sys.argv[1] + '/Snakefile')\n"
            "print('DIGESTS', json.dumps({j.rule.name: j.params.get('library') for j in dag.jobs}))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, str(tree), str(root / "tests" / "makers"), str(tmp_path)],
            capture_output=True,
            text=True,
        )
        found = re.search(r"^DIGESTS (.*)$", done.stdout, flags=re.M)
        assert found, done.stdout + done.stderr
        return yaml.safe_load(found[1])

    before = digests()
    path = tree / "scripts" / "blendimpact" / module
    path.write_text(path.read_text() + "\n# edited\n")
    after = digests()
    rerun = {rule for rule in before if before[rule] != after[rule]}
    assert rules <= rerun
    assert not untouched & rerun


def test_an_unknown_key_ends_with_code_1_and_a_message_that_names_file_key_and_remedy(root, tmp_path):
    config = tmp_path / "mine.yaml"
    config.write_text("study: mine\nseeed: 4\n")
    done = run_snakemake(tmp_path, "-n", "--configfile", config)
    assert done.returncode == 1
    for words in ("mine.yaml:2", "seeed", "unknown key", "did you mean 'seed'"):
        assert words in done.stdout, done.stdout
    assert "Traceback" not in done.stdout


@pytest.mark.parametrize(
    "text, words",
    [
        ("cases: {two_point: {detector: sepp}}", ["sepp", "sep"]),
        ("cases: {two_point: {survey: lsst_y99}}", ["lsst_y99", "survey"]),
        ("cases: {two_point: {shape_band: z}}", ["shape_band"]),
        ("cases: {unicorns: {bands: [i], shape_band: i}}", ["unicorns"]),
        ("chunk_size: many", ["chunk_size", "many"]),
        (
            "comparison: {deblenders: [sep, symetric], skies: {smooth: {case: two_point}}}",
            ["comparison.deblenders.1", "symetric", "symmetric"],
        ),
        (
            "comparison: {deblenders: [sep], skies: {smooth: {case: two_pt}}}",
            ["comparison.skies.smooth.case", "two_pt", "two_point"],
        ),
        ("comparison: {deblenders: [sep], skies: {Smooth: {case: two_point}}}", ["comparison.skies", "Smooth"]),
        (
            "comparison: {deblenders: [sep], skies: {smooth: {case: two_point, deblender: sep}}}",
            ["deblender", "unknown key"],
        ),
        (
            "comparison: {deblenders: [sep], skies: {smooth: {case: two_point, patch: {border: 3}}}}",
            ["comparison.skies.smooth.patch.border", "stamp"],
        ),
        ("cases: {two_point: {scenarios: {compare_me: {}}}}", ["compare_me"]),
    ],
)
def test_malformed_configurations_are_refused(tmp_path, text, words):
    from snakemake.exceptions import WorkflowError

    config = tmp_path / "c.yaml"
    config.write_text(text)
    with pytest.raises(WorkflowError) as error:
        build_dag(tmp_path, config)
    for word in words:
        assert word in str(error.value)


def test_the_slurm_profile_is_complete_in_itself(root):
    slurm = yaml.safe_load((root / "profiles" / "slurm" / "config.yaml").read_text())
    assert slurm["executor"] == "slurm"
    assert slurm["retries"] >= 1
    assert {"mem_mb", "runtime"} <= set(slurm["default-resources"])
    default = yaml.safe_load((root / "profiles" / "default" / "config.yaml").read_text())
    assert not {"default-resources", "set-resources", "retries"} & set(default)
    assert default["scheduler"] == slurm["scheduler"] == "greedy"


def test_tree_of_a_test_is_the_workflow(tmp_path, root):
    """What other tests edit is the same study as the project's."""
    copy_tree(tmp_path / "tree")
    assert (
        build_dag(tmp_path, preset(root, "smoke"), snakefile=tmp_path / "tree" / "Snakefile").counts()
        == build_dag(tmp_path, preset(root, "smoke")).counts()
    )
