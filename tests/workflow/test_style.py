"""Snakemake's linter, snakefmt, and what neither looks at."""

import re
import subprocess
import sys

import pytest


def rule_files(root):
    return [root / "Snakefile", *sorted((root / "rules").glob("*.smk"))]


def rules(root):
    for path in rule_files(root):
        yield from re.findall(r"^rule (\w+):\n(.*?)(?=^\S|\Z)", path.read_text(), flags=re.M | re.S)


def test_lint_finds_nothing(root, tmp_path):
    done = subprocess.run([sys.executable, "-m", "snakemake", "--lint"], cwd=root, capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stderr


def test_snakefmt_would_change_nothing(root):
    done = subprocess.run([sys.executable, "-m", "snakefmt", "--check", *map(str, rule_files(root))],
                          cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_directives_that_are_avoided(root):
    for path in rule_files(root):
        for word in ("run:", "checkpoint ", "group:", "wrapper:", "shell:", "retries:"):
            assert not re.search(rf"^\s*{word}", path.read_text(), flags=re.M), f"{path.name}: {word}"


@pytest.mark.parametrize("directive", ["log:", "benchmark:", "threads: 1", "mem_mb=", "runtime=", "conda:",
                                       "library=", "script:"])
def test_every_rule_that_works_has(root, directive):
    working = [(name, body) for name, body in rules(root) if "output:" in body]
    assert len(working) >= 11
    for name, body in working:
        assert directive in body, f"rule {name}"
