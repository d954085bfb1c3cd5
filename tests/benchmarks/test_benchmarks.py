"""The benchmarks run on a small study and print what they say; what they compute from their measurements is right."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import synthetic
import yaml
from blendimpact.data import catalogues
from blendimpact.stats.figures_of_merit import Scores

ROOT = Path(__file__).resolve().parents[2]
BENCHMARKS = ROOT / "benchmarks"
SCRIPTS = ("aggregation", "common", "crowded", "dryrun", "overhead", "simulation", "stages", "subtraction")
TINY = {**synthetic.CONFIG["cases"]["two_point"], "patch": {"size": 90, "border": 24, "count": 2}}


@pytest.fixture(scope="module", autouse=True)
def on_path():
    """Make the benchmarks importable, as they are to one another."""
    sys.path.insert(0, str(BENCHMARKS))
    environment = dict(os.environ)
    yield
    sys.path.remove(str(BENCHMARKS))
    os.environ.clear()
    os.environ.update(environment)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Return the folder of synthetic inputs and a preset of one small case."""
    folder = tmp_path_factory.mktemp("inputs") / "study"
    synthetic.make_study(folder)
    preset = folder / "preset.yaml"
    preset.write_text(yaml.safe_dump({
        "chunk_size": 2, "bootstrap": 100,
        "cases": {"two_point": TINY, "galaxies": {"enabled": False}}}))
    return folder / "results" / "inputs", preset


def run(name, *arguments):
    """Run a benchmark as `make bench` does and return what it printed."""
    env = {**os.environ, "PYTHONPATH": str(ROOT / "scripts")}
    done = subprocess.run([sys.executable, str(BENCHMARKS / f"{name}.py"), *map(str, arguments)], text=True, env=env,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300)
    assert done.returncode == 0, done.stdout
    return done.stdout


def rows(text, title):
    """Return the cells of the table under a title, {first cell: the others}; cells have no two blanks in a row."""
    lines = iter(text.splitlines())
    next(line for line in lines if line.startswith(title))
    header, _ = next(lines), next(lines)
    out = {}
    for line in lines:
        cells = [c.strip() for c in line.strip().split("  ") if c.strip()]
        if len(cells) < 2:
            break
        out[cells[0]] = cells[1:]
    assert out, header
    return out


def number(cell):
    return float(cell.split()[0])


# --- the scripts -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SCRIPTS)
def test_help_says_what_it_does_and_what_quick_is(name):
    text = run(name, "--help")
    assert "--quick" in text and "--inputs" in text
    assert len(text.splitlines()) > 5


def test_conditions():
    text = run("common", "--quick")
    for words in ("conditions:", "cores", "load", "Python", "galsim"):
        assert words in text


def test_simulation(study):
    inputs, preset = study
    text = run("simulation", "--quick", "--inputs", inputs, "--preset", preset, "--patches", 1)
    table = rows(text, "CPU per source and band")
    drawing, plain = table["drawing alone"], table["plain GalSim, drawImage"]
    patch, stage = table["simulate_patch"], table["the stage, with reading and writing"]
    assert stage[-1] == "3 ms" and number(plain[-2]) == 1
    assert 0 < number(drawing[0]) < number(patch[0]) < number(stage[0])
    assert "138 x 138 pixels, bands i" in text
    apart = text.partition("per cent of the peak: ")[2]
    assert number(apart) < 1  # both drew the same thing


def test_subtraction():
    text = run("subtraction", "--sizes", 128, 256, "--visits", 1, 2, "--engines", "none", "zogy")
    cost, quality = rows(text, "CPU seconds per megapixel"), rows(text, "Residuals at 256 px")
    visits, = rows(text, "CPU seconds per visit").values()
    assert 0.3 < number(visits[2]) < 3 and number(visits[3]) > 50
    assert set(cost) == set(quality) == {"none", "zogy"}
    assert 0 < number(cost["none"][0]) < number(cost["zogy"][0])
    assert number(quality["none"][0]) > 10 > 2 > number(quality["zogy"][0])


def test_dry_run():
    text = run("dryrun", "--jobs", 30, "--repetitions", 1)
    (graph, cells), = rows(text, "Dry run of the preset survey").items()
    jobs = int(graph.split()[0])
    assert 20 < jobs < 200  # a chunk of each scenario, sky and deblender is the least
    assert number(cells[1]) > 0.3 and number(cells[2]) > 0.3 and number(cells[3]) > 30


def test_aggregation(study, tmp_path):
    """Blocks are repeated as often as asked for."""
    inputs, preset = study
    scores = Scores("two_point", "fiducial")
    for block in (0, 1, 2):
        for rung, good in (("deblended", 5), ("pipeline", 3)):
            scores.add("WL-D1", rung, block, [good + block, 12])
    folder = tmp_path / "run" / "two_point" / "fiducial" / "score"
    folder.mkdir(parents=True)
    (tmp_path / "run" / "benchmarks").mkdir()
    (tmp_path / "run" / "matrix.json").write_text("[]")
    catalogues.write(scores.table(), folder / "000.parquet")
    text = run("aggregation", "--quick", "--run", tmp_path / "run", "--inputs", inputs, "--preset", preset,
               "--blocks", 7)
    table = rows(text, "CPU seconds of foms and matrix: two_point, one scenario, 100 resamples")
    reading, aggregating, rest, per_block, peak = map(number, table["7"])
    assert min(reading, aggregating) >= 0 and rest > 0.1 and peak > 50
    assert per_block == pytest.approx(1000 * aggregating / 7, abs=1)
    assert "1 score tables of the study run" in text


@pytest.mark.slow
def test_stages(study):
    inputs, preset = study
    text = run("stages", "--sizes", 1, 2, "--repetitions", 1, "--cases", "two_point", "--inputs", inputs, "--preset",
               preset)
    stages = ["simulate", "detect", "deblend", "measure", "score"]
    cpu = rows(text, "CPU seconds by stage: two_point (i;")
    assert list(cpu) == [*stages, "all"]
    assert all(number(cpu[stage][2]) > 0.1 for stage in stages)
    memory = rows(text, "Peak memory of a job in MB: two_point")
    assert list(memory) == stages
    for one, two, growth, _ in memory.values():
        assert number(growth) == pytest.approx(number(two) - number(one), abs=1.1)
    disk = rows(text, "Disk in MB: two_point")
    assert {"simulate/fits", "simulate/truth.parquet", "deblend/h5", "measure/parquet", "score/parquet"} <= set(disk)
    assert disk["simulate/fits"][-1] == "deleted when used" and disk["measure/parquet"][-1] == "kept"


@pytest.mark.slow
def test_overhead(study):
    inputs, preset = study
    text = run("overhead", "--quick", "--cases", "two_point", "--inputs", inputs, "--preset", preset, "--scripts",
               "measure")
    starts = rows(text, "CPU seconds of the start-up of a script")
    assert number(starts["python"][0]) < number(starts["snakemake"][0]) < number(starts["measure"][0])
    chunk = rows(text, "CPU seconds of one chunk: two_point, 2 patches")
    assert {"simulate", "detect", "deblend", "measure", "score", "matrix", "figures", "panel", "Snakemake",
            "all"} <= set(chunk)
    assert "the probe no longer finds" not in text
    whole = rows(text, "CPU of the whole study")
    shares = [number(whole[part][1]) for part in ("start-up and imports", "reading and writing",
                                                  "graph and bookkeeping", "own work")]
    assert sum(shares) == pytest.approx(100, abs=0.3)
    assert number(whole["not own work"][1]) == pytest.approx(100 - shares[-1], abs=0.2)


# --- the probe ---------------------------------------------------------------------------------------


def test_probe_divides_the_cpu_of_a_real_job(study, tmp_path):
    """One job, with the true inputs and outputs of its rule."""
    from common import PARTS, copy_inputs, one_chunk, run_study

    inputs, preset = study
    copy_inputs(inputs, tmp_path)
    target = "results/benchmark/two_point/fiducial/simulate/000.truth.parquet"
    done = run_study(tmp_path, one_chunk("two_point", 1, preset), target, preset=preset)
    (job,) = done.scripts
    assert job["script"] == "simulate" and (tmp_path / target).is_file()
    assert set(job["cpu"]) == set(PARTS) and all(seconds > 0 for seconds in job["cpu"].values())
    assert job["not_found"] == []
    assert job["cpu"]["imports"] > job["cpu"]["start"] and 80 < job["private"] < job["peak"]
    assert done.snakemake > 0.3 and done.wall > 1
    assert not (inputs.parent / "benchmark").exists()  # a copy of the inputs was used


def test_probe_knows_the_functions_that_read_and_write():
    import functools
    import importlib
    import runpy

    for module, paths in runpy.run_path(str(BENCHMARKS / "probe" / "sitecustomize.py"))["PRODUCTS"].items():
        for path in paths:
            assert callable(functools.reduce(getattr, path.split("."), importlib.import_module(module)))


def test_clock_books_the_inner_part_only():
    import runpy

    probe = runpy.run_path(str(BENCHMARKS / "probe" / "sitecustomize.py"))
    now = [10.0]
    probe["Clock"].__init__.__globals__["cpu"] = lambda: now[0]
    clock = probe["Clock"]()

    def spend(seconds):
        now[0] += seconds

    def load():
        spend(1)
        clock.wrap("imports", spend)(5)
        clock.wrap("io", spend)(2)

    spend(3)
    clock.wrap("io", load)()
    spend(4)
    clock.settle()
    assert clock.spent == {"start": 10, "imports": 5, "io": 3, "own": 7}


# --- what is computed --------------------------------------------------------------------------------


def made_study(folder, jobs, snakemake=3.0):
    from common import Study

    cpu = {name: dict(zip(("start", "imports", "io", "own"), parts)) for name, parts in jobs.items()}
    return Study(folder, [{"script": n, "cpu": c, "wall": 1.0, "peak": 100.0 + 2 * c["own"], "private": 50.0,
                           "not_found": []}
                          for n, c in cpu.items()], snakemake)


def test_cost_of_a_patch_is_a_slope(tmp_path):
    """1 s at the start, 2 s before the first patch, 0.5 s to read and 3 s to work per patch."""
    import stages

    studies = {n: [made_study(tmp_path, {"detect": (0.25, 0.75, 0.5 * n, 2 + 3 * n)})] for n in (1, 4, 12)}
    (name, per_patch, io, start, first), last = stages.cpu_rows(studies)
    assert (name, number(per_patch), number(io), number(start), number(first)) == ("detect", 3.5, 0.5, 1.0, 2.0)
    assert last[:3] == ["all", "3.50", "0.50"]
    assert stages.memory_rows(studies, "peak") == [["detect", "110", "128", "176", "6.0", "0"]]
    assert stages.memory_rows(studies, "private") == [["detect", "50", "50", "50", "0.0", "0"]]


def test_sampling_of_snakemake_is_made_up_for(tmp_path):
    import overhead

    for seconds, last in ((0.3, 0.3), (0.7, 0.5), (14.9, 14.5), (15.2, 15), (44, 15), (46, 45), (80, 75)):
        assert overhead.last_sample(seconds) == last
    from snakemake.benchmark import BENCHMARK_INTERVAL, BENCHMARK_INTERVAL_SHORT

    assert (overhead.INTERVAL_LONG, overhead.INTERVAL) == (BENCHMARK_INTERVAL, BENCHMARK_INTERVAL_SHORT)
    assert overhead.SHORT_SAMPLES == BENCHMARK_INTERVAL
    (tmp_path / "measure").mkdir()
    header = "s\th:m:s\tmax_rss\tcpu_time\n"
    (tmp_path / "measure" / "two_point.fiducial.000.tsv").write_text(f"{header}30.00\t0:00:30\t10\t12.00\n")
    (tmp_path / "matrix.tsv").write_text(f"{header}0.20\t0:00:00\tNA\tNA\n")
    assert overhead.read_benchmarks(tmp_path) == {"matrix": [(0.2, 0.0, 0.0)], "measure": [(30.0, 12.0, 24.0)]}


def test_progress_in_the_logs(tmp_path):
    import overhead

    (tmp_path / "detect").mkdir()
    for name, text in (("a", "detect: 1/2 in 1.0 s, about 1 s left\ndetect: 2/2 in 2.5 s, about 0 s left\n"),
                       ("b", "detect: 12/12 in 4.0 s, about 0 s left\n"), ("c", "nothing\n")):
        (tmp_path / "detect" / f"{name}.log").write_text(text)
    assert overhead.worked(tmp_path) == {"detect": 6.5}


def test_a_study_is_projected_from_a_chunk(tmp_path, monkeypatch):
    """Chunks of 2 of 5 patches: 3 start-ups, 2.5 times the rest; once what a study has once."""
    import overhead

    study = made_study(tmp_path, {"simulate": (0, 1, 2, 4), "matrix": (0, 1, 1, 10), "population": (0, 9, 9, 9)})
    config = {"chunk_size": 2, "cases": {"two_point": None}}
    monkeypatch.setattr(overhead, "count_patches", lambda *_: {"fiducial": 5})
    parts = overhead.project({"two_point": (study, 2, 1.5)}, config, dry=7.0, jobs=20)
    assert parts == {"start-up and imports": 3 * 1 + 1, "reading and writing": 2.5 * 2 + 1,
                     "own work": 2.5 * 4 + 10, "graph and bookkeeping": 7 + 20 * 1.5 / 3}


def test_start_up_imports_what_the_script_imports():
    import overhead

    code = overhead.imports_of(ROOT / "scripts" / "measure.py")
    assert "from job import" in code and "from blendimpact.stages import measure" in code
    compile(code, "measure", "exec")


def test_chunk_size_for_a_number_of_jobs():
    import dryrun
    from blendimpact.config.study import jobs
    from common import read_config

    config = read_config("survey")

    def off(size, wanted):
        return abs(jobs({**config, "chunk_size": size}) - wanted)

    for wanted in (300, 1000, 10000):
        size = dryrun.chunk_size_for(config, wanted)
        assert off(size, wanted) <= min(off(size - 1, wanted), off(size + 1, wanted), 0.05 * wanted)


def test_one_chunk_is_one_scenario_of_one_case(study):
    from common import one_chunk, read_config

    _, preset = study
    config = one_chunk("two_point", 7, preset)
    assert config["chunk_size"] == 7 and config["cases"]["galaxies"] == {"enabled": False}
    assert config["cases"]["two_point"]["patch"] == {"count": 7}
    path = preset.parent / "overlay.json"
    path.write_text(json.dumps(config))
    from blendimpact.config.study import load_config, validate

    merged = validate(load_config([preset, path]), sources=[preset, path])
    assert list(merged["cases"]["two_point"]["scenarios"]) == ["fiducial"]
    assert merged["cases"]["two_point"]["patch"]["size"] == 90
    with pytest.raises(SystemExit, match="no case 'unicorns'"):
        one_chunk("unicorns", 1)
    assert read_config("smoke")["study"] == "smoke"


def test_turns_alternate_and_the_range_is_printed():
    from common import interleaved, spread

    calls = []
    seconds = interleaved({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, 2)
    assert calls == list("ab" "ab" "ba")
    assert all(len(values) == 2 and min(values) >= 0 for values in seconds.values())
    assert spread([3.0, 1.0, 2.0], 1) == "2.0 (1.0-3.0)" and spread([1.234]) == "1.23"


def test_missing_inputs_say_what_to_run(tmp_path):
    from common import copy_inputs, finished_run, population

    for function in (lambda: copy_inputs(tmp_path / "none", tmp_path), lambda: population(tmp_path / "none", tmp_path)):
        with pytest.raises(SystemExit, match="snakemake results/inputs/population"):
            function()
    with pytest.raises(SystemExit, match="not a finished run"):
        finished_run(tmp_path)


def test_plain_galsim_makes_the_source_of_a_row():
    import galsim
    import simulation

    row = {"kind": "galaxy", "flux_i": 50.0, "bulge_fraction_i": 0.3, "n_bulge": 4.0, "hlr_bulge": 0.2,
           "g1_bulge": 0.1, "g2_bulge": 0.0, "n_disk": 1.0, "hlr_disk": 0.5, "g1_disk": 0.2, "g2_disk": -0.1}
    psf = galsim.Moffat(beta=3.5, fwhm=0.7)
    light = simulation.galsim_object(row, "i", 0.05, psf)
    bulge = galsim.DeVaucouleurs(half_light_radius=0.2).shear(g1=0.1)
    disk = galsim.Exponential(half_light_radius=0.5).shear(g1=0.2, g2=-0.1)
    expected = galsim.Convolve((15 * bulge + 35 * disk).shear(g1=0.05), psf)
    for k in (0.0, 1.0, 4.0):
        assert light.kValue(k, 0.5 * k) == pytest.approx(expected.kValue(k, 0.5 * k), rel=1e-6)
    star = simulation.galsim_object({"kind": "star", "flux_i": 7.0}, "i", 0.05, psf)
    assert star.kValue(0, 0) == pytest.approx(7) and star.kValue(1, 2) == pytest.approx(7 * psf.kValue(1, 2))
