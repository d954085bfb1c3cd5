"""A job of the workflow: what its driver gets, its log, and what happens without an input or with an error."""

import errno
import json
import os
import sys
import types

import pytest
from blendimpact.data import missing_inputs
from blendimpact.data.whole import opened
from blendimpact.errors import StudyError
from blendimpact.stages import job as jobs


class Named(list):
    """Files, or values, with names, as Snakemake gives them to a script."""

    def __init__(self, **values):
        super().__init__(x for value in values.values() for x in (value if isinstance(value, list) else [value]))
        self._values = values

    def items(self):
        return self._values.items()

    def __getitem__(self, key):
        return self._values[key] if isinstance(key, str) else super().__getitem__(key)

    def __getattr__(self, name):
        return self._values[name]


@pytest.fixture
def job(tmp_path, monkeypatch):
    """Return a function that makes a job whose driver is the function it is given."""
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)

    def make(driver, aggregated=None, inputs=None, **params):
        module = types.ModuleType("blendimpact.stages.toy")
        module.run = driver
        if aggregated is not None:
            module.AGGREGATED_FROM = aggregated
        monkeypatch.setitem(sys.modules, module.__name__, module)
        return types.SimpleNamespace(
            input=Named(**(inputs or {"images": "a", "more": ["b"], "optional": []})),
            output=Named(table="out"),
            params=Named(stage="toy", library="0", seed=3, **params),
            wildcards=Named(case="galaxies", chunk="000"),
            log=["log"],
            rule="toy",
        )

    return make


def inputs_of(meta):
    """Return the names of the inputs that a provenance tells."""
    return [entry["name"] for entry in json.loads(meta["provenance"])["inputs"]]


def test_a_driver_gets_what_it_names_by_the_names_of_the_rule(job):
    got = {}

    def run(case, images, more, seed, settings, table_out, optional=None, untold=7):
        got.update(locals())

    jobs.run(job(run, settings={"x": 1}))
    assert {k: v for k, v in got.items() if k != "got"} == {
        "case": "galaxies",
        "images": "a",
        "more": ["b"],
        "seed": 3,
        "settings": {"x": 1},
        "table_out": "out",
        "optional": None,
        "untold": 7,
    }


def test_products_come_from_all_inputs_and_of_an_aggregate_from_those_that_it_says(job):
    got = []

    def run(table_out, meta, cards):
        got.append((meta, cards))

    jobs.run(job(run, settings={"x": 1}))
    jobs.run(job(run, aggregated=("more",), settings={"x": 1}))
    jobs.run(job(run, aggregated=(), settings={"x": 2}))
    assert [inputs_of(meta) for meta, _ in got] == [["a", "b"], ["b"], []]
    configs = [cards["CONFDIG"] for _, cards in got]
    assert configs[0] == configs[1] != configs[2] and got[0][1]["SEED"][0] == 3


def test_a_driver_can_ask_for_the_provenance_with_other_parameters(job):
    got = []

    def run(options, provenance):
        got.extend([provenance(options=options["one"]), provenance(options=options["other"])])

    jobs.run(job(run, options={"one": {"x": 1}, "other": {"x": 2}}))
    first, second = (json.loads(meta["provenance"]) for meta in got)
    assert first["config"] != second["config"] and first["inputs"] == second["inputs"]


def test_all_that_is_printed_is_in_the_log_which_ends_with_what_the_job_took(job, tmp_path, capsys):
    def run():
        print("hello")
        print("oh", file=sys.stderr)

    jobs.run(job(run))
    first, second, last = (tmp_path / "log").read_text().splitlines()
    assert (first, second) == ("hello", "oh") and last.startswith("job: ") and "s of CPU" in last
    assert capsys.readouterr() == ("", "")


def test_without_an_input_the_outputs_say_why_and_nothing_is_run(job, tmp_path):
    missing_inputs.mark(["a"], "no such archive")
    jobs.run(job(lambda table_out: pytest.fail("was called")))
    assert missing_inputs.reason(["out"]) == "no such archive"
    assert (tmp_path / "log").read_text().startswith("not made: no such archive\n")


def test_an_aggregate_and_a_driver_that_asks_are_called_without_an_input_too(job):
    missing_inputs.mark(["a"], "no such archive")
    got = []
    jobs.run(job(lambda images: got.append(images), aggregated=()))
    jobs.run(job(lambda missing: got.append(missing)))
    assert got == ["a", "no such archive"]


def test_an_error_for_the_user_is_told_without_a_traceback(job, tmp_path, capsys):
    def run():
        raise StudyError("the image is empty", "a.fits", "take another one")

    with pytest.raises(SystemExit) as end:
        jobs.run(job(run))
    log, terminal = (tmp_path / "log").read_text(), capsys.readouterr().err
    assert end.value.code == 1 and terminal.startswith("toy / galaxies / 000: a.fits: the image is empty")
    assert "take another one" in log and "Traceback" not in log + terminal


def test_another_error_passes_on_with_its_traceback_in_the_log(job, tmp_path):
    def run():
        raise ZeroDivisionError("by nothing")

    with pytest.raises(ZeroDivisionError):
        jobs.run(job(run))
    assert "Traceback" in (tmp_path / "log").read_text() and "by nothing" in (tmp_path / "log").read_text()


def test_a_job_that_was_left_behind_names_no_product_once_another_has_its_log(job, tmp_path, capsys):
    """Its main process is gone, and another run has begun the same job with another configuration."""

    def left_behind(table_out):
        (tmp_path / "log").unlink()  # as Snakemake does before it starts a job
        jobs.run(job(lambda table_out: opened_text(table_out, "new")))
        opened_text(table_out, "old configuration")

    with pytest.raises(SystemExit):
        jobs.run(job(left_behind))
    assert (tmp_path / "out").read_text() == "new"
    assert "another run makes this product" in capsys.readouterr().err
    assert not list(tmp_path.glob("*.part"))


def opened_text(path, text):
    with opened(path) as file:
        file.write(text)


def test_an_input_that_was_damaged_since_another_job_made_it_is_refused(job, tmp_path, capsys):
    jobs.run(job(lambda table_out: opened_text(table_out, "made"), inputs={"images": "a"}))
    reads = job(lambda images: pytest.fail("was called"), inputs={"images": "out"})
    reads.output, reads.rule = Named(table="other"), "reader"
    (tmp_path / "out").write_text("MADE")
    with pytest.raises(SystemExit):
        jobs.run(reads)
    said = capsys.readouterr().err
    assert said.startswith("reader / galaxies / 000: out: it is not what the rule toy made") and "run again" in said
    (tmp_path / "out").write_text("made")
    read = []
    reads = job(lambda images, meta: read.append(meta), inputs={"images": "out"})
    reads.output = Named(table="other")
    jobs.run(reads)
    assert inputs_of(read[0]) == ["out"]


def test_files_beside_a_receipt_are_checked_by_the_jobs_that_read_them(job, tmp_path, capsys):
    (tmp_path / "data").write_text("x")
    (tmp_path / "receipt.json").write_text(json.dumps({"status": "ok", "files": {"data": "0" * 64}}))
    with pytest.raises(SystemExit):
        jobs.run(job(lambda images: pytest.fail("was called"), inputs={"images": "receipt.json"}))
    assert "data: it has changed since it was fetched" in capsys.readouterr().err


def test_a_full_disk_ends_a_job_with_a_sentence_even_if_its_log_cannot_be_written(job, monkeypatch, capsys):
    def run(table_out):
        with opened(table_out) as file:
            file.write("x")
            raise OSError(errno.ENOSPC, "No space left on device")

    asked = job(run)
    asked.log = ["/dev/full"] if os.path.exists("/dev/full") else ["log"]
    with pytest.raises(SystemExit):
        jobs.run(asked)
    assert "out: the disk is full" in capsys.readouterr().err and not os.path.exists("out")
