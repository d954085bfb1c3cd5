"""The walk of the architecture page: its rules and drivers are those of the workflow, its picture is there."""

import re
import xml.etree.ElementTree as ElementTree

from harness import ROOT, build_dag
from pages import blocks

PAGE = "docs/architecture.md"
TEXT = (ROOT / PAGE).read_text(encoding="utf-8")


def test_the_walk_names_every_rule_of_a_patch_and_its_driver_in_the_order_of_the_graph(tmp_path):
    dag = build_dag(tmp_path, ROOT / "config" / "presets" / "smoke.yaml")
    drivers = {job.rule.name: job.params.stage.partition(".")[0] for job in dag.jobs if job.output}
    walk = [
        re.findall(r"`(?:stages/)?(\w+)(?:\.py)?`", line)[:2] if "," not in line.split("|")[1] else None
        for line in TEXT.splitlines()
        if line.startswith("| `")
    ]
    order = [rule for row in walk if row for rule in row[:1]]
    made = ["fetch", "population", "simulate", "detect", "deblend", "measure", "score", "foms", "matrix", "page"]
    assert order == made
    assert all(drivers[rule] == driver for rule, driver in filter(None, walk))
    for rule in ("subtract", "adopt", "inject", "figures", "panel"):
        assert rule in drivers and f"`{rule}`" in TEXT


def test_the_example_of_the_page_gives_what_it_says():
    (example,) = blocks(PAGE, "python")
    code, _, said = example.text.rpartition("  # ")
    lines, found = code.rstrip().splitlines(), {}
    exec("\n".join(lines[:-1]), found)
    assert repr(eval(lines[-1], found)) == said.strip()


def test_the_picture_is_there_and_names_the_rules_and_the_layers():
    tree = ElementTree.parse(ROOT / "docs" / "architecture.svg")
    words = " ".join("".join(text.itertext()) for text in tree.iter("{http://www.w3.org/2000/svg}text"))
    layers = [path.name for path in (ROOT / "scripts" / "blendimpact").iterdir() if (path / "__init__.py").is_file()]
    for name in ("simulate", "adopt", "inject", "subtract", "detect", "deblend", "measure", "score", "foms", *layers):
        assert name in words, name
