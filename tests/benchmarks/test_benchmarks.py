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
SCRIPTS = ("aggregation", "common", "crowded", "dryrun", "overhead", "precision", "simulation", "stages", "subtraction")
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
    preset.write_text(
        yaml.safe_dump(
            {"chunk_size": 2, "bootstrap": 100, "cases": {"two_point": TINY, "galaxies": {"enabled": False}}}
        )
    )
    return folder / "results" / "inputs", preset


def run(name, *arguments):
    """Run a benchmark as `make bench` does and return what it printed."""
    env = {**os.environ, "PYTHONPATH": str(ROOT / "scripts")}
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / f"{name}.py"), *map(str, arguments)],
        text=True,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=300,
    )
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


def test_precision_is_of_the_jobs_of_the_scenario_of_a_headline(tmp_path):
    cell = {"case": "two_point", "subrow": "shapes", "stage": "detection", "fom": "WL-D2", "unit": "1", "n": 9}
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "matrix.json").write_text(json.dumps([{**cell, "ci_low": -0.02, "ci_high": 0.0}]))
    for rule, scenario, seconds in (("detect", "shear", 900), ("measure", "shear", 2700), ("measure", "ring", 50)):
        log = tmp_path / "logs" / rule / f"two_point.{scenario}.000.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(f"job: 1 s of CPU, 9 MB at most\njob: {seconds} s of CPU, 10 MB at most\n")
    found = rows(run("precision", "--run", tmp_path, "--out", tmp_path / "p.csv"), "Precision of the headlines")
    n, half, seconds, product = found["two_point, shapes, detection: WL-D2"][:4]
    assert (n, half, seconds, product) == ("9", "0.01", "3600", "0.01")
    assert (tmp_path / "p.csv").read_text().count("\n") == 2


@pytest.mark.slow
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


@pytest.mark.slow
def test_subtraction():
    text = run("subtraction", "--sizes", 128, 256, "--visits", 1, 2, "--engines", "none", "zogy")
    cost, quality = rows(text, "CPU seconds per megapixel"), rows(text, "Residuals at 256 px")
    (visits,) = rows(text, "CPU seconds per visit").values()
    assert 0.3 < number(visits[2]) < 3 and number(visits[3]) > 50
    assert set(cost) == set(quality) == {"none", "zogy"}
    assert 0 < number(cost["none"][0]) < number(cost["zogy"][0])
    assert number(quality["none"][0]) > 10 > 2 > number(quality["zogy"][0])


@pytest.mark.slow
def test_dry_run():
    text = run("dryrun", "--jobs", 30, "--repetitions", 1)
    ((graph, cells),) = rows(text, "Dry run of the preset survey").items()
    jobs = int(graph.split()[0])
    assert 20 < jobs < 200  # a chunk of each scenario, sky and deblender is the least
    assert number(cells[1]) > 0.3 and number(cells[2]) > 0.3 and number(cells[3]) > 30


@pytest.mark.slow
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
    text = run(
        "aggregation", "--quick", "--run", tmp_path / "run", "--inputs", inputs, "--preset", preset, "--blocks", 7
    )
    table = rows(text, "CPU seconds of foms and matrix: two_point, one scenario, 100 resamples")
    reading, aggregating, rest, per_block, peak = map(number, table["7"])
    assert min(reading, aggregating) >= 0 and rest > 0.1 and peak > 50
    assert per_block == pytest.approx(1000 * aggregating / 7, abs=1)
    assert "1 score tables of the study run" in text


@pytest.mark.slow
def test_stages(study):
    inputs, preset = study
    text = run(
        "stages", "--sizes", 1, 2, "--repetitions", 1, "--cases", "two_point", "--inputs", inputs, "--preset", preset
    )
    stages = ["simulate", "detect", "deblend", "measure", "score"]
    cpu = rows(text, "CPU seconds by stage: two_point (i;")
    assert list(cpu) == [*stages, "all"]
    assert all(number(cpu[stage][1]) > 0.3 for stage in stages)  # start and imports
    memory = rows(text, "Peak memory of a job in MB: two_point")
    assert list(memory) == stages
    for one, two, growth, _ in memory.values():
        assert number(one) > 80 and number(growth) == pytest.approx(number(two) - number(one), abs=1.1)
    disk = rows(text, "Disk in MB: two_point")
    assert {"simulate/fits", "simulate/truth.parquet", "deblend/h5", "measure/parquet", "score/parquet"} <= set(disk)
    assert disk["simulate/fits"][-1] == "deleted when used" and disk["measure/parquet"][-1] == "kept"
    assert not (inputs.parent / "benchmark").exists()  # a copy of the inputs was used


@pytest.mark.slow
def test_overhead(tmp_path):
    logs = {
        "measure/a": "measure: 2/2\njob: 12.00 s of CPU, 300 MB at most\n",
        "measure/b": "failed\n",
        "measure/c": "job: 8.00 s of CPU, 310 MB at most\n",
        "matrix": "job: 5.00 s of CPU, 1 MB at most\n",
    }
    for name, text in logs.items():
        path = tmp_path / "run" / "logs" / f"{name}.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "run" / "benchmarks").mkdir()
    (tmp_path / "run" / "matrix.json").write_text("[]")
    text = run("overhead", "--quick", "--stages", "measure", "--run", tmp_path / "run")
    starts = rows(text, "CPU seconds of the start-up of a stage")
    assert number(starts["python"][0]) < number(starts["snakemake"][0]) < number(starts["measure"][0])
    whole = rows(text, "CPU seconds of a finished run: run")
    assert whole["measure"][:2] == ["2", "20.0"] and whole["matrix"][:3] == ["1", "5.0", "0.0"]
    start, graph = number(whole["measure"][2]), number(whole["graph"][0])
    assert start == pytest.approx(2 * number(starts["measure"][0]), abs=0.1) and graph > 0.5
    assert number(whole["all"][1]) == pytest.approx(25 + graph, abs=0.1)
    assert number(whole["all"][3]) == pytest.approx(100 * (start + graph) / (25 + graph), abs=0.5)


# --- what is computed --------------------------------------------------------------------------------


def made_study(folder, jobs):
    from common import Study

    return Study(folder, {name: [(cpu, memory)] for name, (cpu, memory) in jobs.items()})


def test_cost_of_a_patch_is_a_slope(tmp_path):
    """3 s before the first patch and 3.5 s per patch."""
    import stages

    studies = {n: [made_study(tmp_path, {"detect": (3 + 3.5 * n, 104 + 6 * n)})] for n in (1, 4, 12)}
    assert stages.cpu_rows(studies) == [["detect", "3.50", "3.00"], ["all", "3.50", ""]]
    assert stages.memory_rows(studies) == [["detect", "110", "128", "176", "6.0", "0"]]


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
    assert calls == list("ababba")
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

    row = {
        "kind": "galaxy",
        "flux_i": 50.0,
        "bulge_fraction_i": 0.3,
        "n_bulge": 4.0,
        "hlr_bulge": 0.2,
        "g1_bulge": 0.1,
        "g2_bulge": 0.0,
        "n_disk": 1.0,
        "hlr_disk": 0.5,
        "g1_disk": 0.2,
        "g2_disk": -0.1,
    }
    psf = galsim.Moffat(beta=3.5, fwhm=0.7)
    light = simulation.galsim_object(row, "i", 0.05, psf)
    bulge = galsim.DeVaucouleurs(half_light_radius=0.2).shear(g1=0.1)
    disk = galsim.Exponential(half_light_radius=0.5).shear(g1=0.2, g2=-0.1)
    expected = galsim.Convolve((15 * bulge + 35 * disk).shear(g1=0.05), psf)
    for k in (0.0, 1.0, 4.0):
        assert light.kValue(k, 0.5 * k) == pytest.approx(expected.kValue(k, 0.5 * k), rel=1e-6)
    star = simulation.galsim_object({"kind": "star", "flux_i": 7.0}, "i", 0.05, psf)
    assert star.kValue(0, 0) == pytest.approx(7) and star.kValue(1, 2) == pytest.approx(7 * psf.kValue(1, 2))
