"""Snakemake's linter, snakefmt, and what neither looks at."""

import re
import subprocess
import sys


def rule_files(root):
    return [root / "Snakefile", *sorted((root / "rules").glob("*.smk"))]


def test_lint_finds_nothing(root, tmp_path):
    done = subprocess.run([sys.executable, "-m", "snakemake", "--lint"], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_snakefmt_would_change_nothing(root):
    done = subprocess.run(
        [sys.executable, "-m", "snakefmt", "--check", *map(str, rule_files(root))],
        cwd=root,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_directives_that_are_avoided(root):
    for path in rule_files(root):
        for word in ("run:", "checkpoint ", "group:", "wrapper:", "shell:", "retries:"):
            assert not re.search(rf"^\s*{word}", path.read_text(), flags=re.M), f"{path.name}: {word}"
