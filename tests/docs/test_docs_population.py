"""The worked example of docs/add-a-population.md: one file and a block of configuration, run through the workflow."""

import re
import shlex

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import synthetic
import yaml
from blendimpact.data import catalogues
from harness import ROOT, copy_tree, run_snakemake
from pages import commands, lay_out

pytestmark = pytest.mark.slow

PAGE = ROOT / "docs" / "add-a-population.md"
FILE = "scripts/blendimpact/populations/red_stars.py"
PRODUCT = "results/tiny/galaxies/fiducial"
DRAWN = "results/tiny/two_point/fiducial/simulate/000.truth.parquet"


def files(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def trilegal(path):
    """Write stars of g - i from 0 to 3."""
    colour = np.linspace(0, 3, 60)
    columns = {"id": np.arange(60), **{f"{band}mag": 22.0 + (3 - k) * colour / 2 for k, band in enumerate("ugrizy")}}
    pq.write_table(pa.table(columns), path)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Where the example was run on two small patches of a made image, and the copy of the project that ran it."""
    base = tmp_path_factory.mktemp("population")
    tree, directory = base / "tree", base / "run"
    copy_tree(tree)
    before = files(tree)
    lay_out(PAGE, tree)
    after = files(tree)
    assert set(after) - set(before) == {FILE, "red_stars.yaml"}
    assert all(after[name] == text for name, text in before.items())
    given = yaml.safe_load((tree / "red_stars.yaml").read_text(encoding="utf-8"))
    changes = given["cases"]["galaxies"]["inject"]
    more = given["cases"]["two_point"]["population"]
    synthetic.make_study(directory)
    trilegal(directory / "results" / "inputs" / "skycatalogs" / "trilegal_1.parquet")
    tiny = yaml.safe_load((directory / "study.yaml").read_text(encoding="utf-8"))
    tiny["cases"]["galaxies"]["inject"] |= changes
    tiny["cases"]["two_point"].setdefault("population", {}).update(more)
    (directory / "study.yaml").write_text(yaml.safe_dump({**tiny, "keep_images": True}))
    done = run_snakemake(
        directory, "--cores", 1, f"{PRODUCT}/score/000.parquet", DRAWN, "--configfile", "study.yaml", root=tree
    )
    assert done.returncode == 0, done.stdout[-6000:]
    return directory, tree, changes


def test_its_table_is_built_and_its_sources_are_measured(study):
    directory, _, changes = study
    built = catalogues.read(directory / "results/inputs/population/red_stars.parquet")
    assert len(built) == 60 and built["colour"].max() == pytest.approx(3)
    truth = catalogues.read(directory / PRODUCT / "inject/000.truth.parquet")
    mine = np.asarray(truth["injection_id"]) >= 0
    assert mine.sum() == 8 and set(truth["kind"][mine]) == {"star"}
    assert (truth["colour"][mine] > changes["redder"]).all() and np.isnan(truth["colour"][~mine]).all()
    assert str(truth["colour"].unit) == "mag" and truth["colour"].info.description
    assert len(catalogues.read(directory / PRODUCT / "score/000.parquet"))


def test_it_is_drawn_on_simulated_sky_beside_galaxies_and_stars(study):
    directory, _, _ = study
    truth = catalogues.read(directory / DRAWN)
    mine = np.isfinite(np.asarray(truth["colour"], float))
    ids = np.asarray(truth["source_id"])
    assert mine.any() and (ids[mine] > 11_000_000).all() and (ids[~mine] < 11_000_000).all()
    assert set(truth["kind"][mine]) == {"star"} and set(truth["role"][mine]) == {"scene"}
    assert (truth["colour"][mine] > 2.5).all() and truth["colour"].info.description
    assert "galaxy" in set(truth["kind"][~mine])


@pytest.mark.parametrize("option, says", [("redder: -1", "at least 0"), ("reder: 1", "no option 'reder'")])
def test_a_wrong_option_is_refused_before_any_job(study, option, says):
    directory, tree, _ = study
    (directory / "wrong.yaml").write_text(f"cases: {{galaxies: {{inject: {{{option}}}}}}}\n")
    done = run_snakemake(directory, "-n", "--configfile", "study.yaml", "wrong.yaml", root=tree)
    assert done.returncode != 0 and says in done.stdout and "cases.galaxies.inject" in done.stdout


def test_the_commands_of_the_page_plan_a_run(study):
    _, tree, _ = study
    assert shlex.join(commands(PAGE)[0]) == "snakemake -n --configfile red_stars.yaml"
    built = {}
    for words in ([], ["--configfile", "red_stars.yaml"]):
        done = run_snakemake(tree, "-n", *words, root=tree)
        assert done.returncode == 0, done.stdout[-3000:]
        built[len(words)] = int(re.search(r"^population +(\d+)$", done.stdout, flags=re.M)[1])
    assert built[2] == built[0] + 1  # one table more: that of the red stars
