"""``snakemake --sdm conda`` against a channel that the test makes.

The channel's packages are stubs with the versions that are installed here: so the environment files are
parsed, solved, linked and activated for real, and every job runs with the ``python`` of its environment.
What this cannot prove is that conda-forge holds these packages.
"""

import shlex

import pytest
import synthetic
from channel import install_conda, make_channel
from harness import run_snakemake
from test_environments import environments, installed_version, specs

pytestmark = [pytest.mark.conda, pytest.mark.slow]


@pytest.fixture(scope="module")
def conda(root, tmp_path_factory):
    """Environment variables with a conda on PATH whose only channel is ours."""
    import os

    base = tmp_path_factory.mktemp("conda")
    names = {spec.name.normalized for path in environments(root) for spec in specs(path)}
    make_channel(base / "channel", {name: installed_version(name) for name in sorted(names)})
    bin_ = install_conda(base / "prefix")
    return {"STUB_CHANNEL": str(base / "channel"), "PATH": f"{bin_}:{os.environ['PATH']}", "BASE": str(base)}


def calls(conda):
    """Return the calls of conda so far."""
    with open(f"{conda['BASE']}/prefix/calls.log") as log:
        return [shlex.split(line) for line in log]


def test_all_environments_can_be_solved_and_made(root, tmp_path, conda):
    scarlet = tmp_path / "scarlet.yaml"
    scarlet.write_text("cases: {two_point: {deblender: scarlet2_sersic}}")
    done = run_snakemake(
        tmp_path,
        "--sdm",
        "conda",
        "--conda-create-envs-only",
        "--cores",
        1,
        "--configfile",
        root / "config" / "presets" / "smoke.yaml",
        scarlet,
        env=conda,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    made = [call for call in calls(conda) if call[:2] == ["env", "create"]]
    assert len(made) >= len(environments(root))


def test_a_case_runs_in_its_environments(tmp_path, conda):
    config = synthetic.make_study(tmp_path / "w", chunk_size=3)
    done = run_snakemake(tmp_path / "w", "two_point", "--sdm", "conda", "--cores", 2, "--configfile", config, env=conda)
    assert done.returncode == 0, done.stdout[-4000:]
    assert "Activating conda environment" in done.stdout
    assert list((tmp_path / "w" / "results" / "tiny").glob("two_point/*/score/*.parquet"))
    made = list((tmp_path / "w" / ".snakemake" / "conda").glob("*/bin/python"))
    assert len(made) >= 2  # imaging and analysis


def test_what_cannot_be_solved_ends_with_the_solver_s_message(tree, tmp_path, conda):
    path = tree / "envs" / "imaging.yaml"
    path.write_text(path.read_text().replace("numpy >=2.1,<3", "numpy >=99,<100"))
    config = synthetic.make_study(tmp_path / "w")
    done = run_snakemake(
        tmp_path / "w",
        "two_point",
        "--sdm",
        "conda",
        "--conda-create-envs-only",
        "--cores",
        1,
        "--configfile",
        config,
        root=tree,
        env=conda,
    )
    assert done.returncode == 1
    assert "numpy >=99" in done.stdout
