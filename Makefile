# make env · make study · make smoke · make test · make lint · make bench
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SLURM_VENV := .venv-slurm
SLURM_STAMP := $(SLURM_VENV)/.installed
# Options for Snakemake and pytest: make study FLAGS="--cores 1"
FLAGS ?=

.PHONY: help env env-slurm study smoke report test lint bench clean
.DELETE_ON_ERROR:

help:
	@echo "make env        the Python environment ($(VENV)) from requirements.lock"
	@echo "make study      the study at laptop size: fetch, run, matrix"
	@echo "make smoke      the same in a few minutes, without the statistics"
	@echo "make report     report.zip: the results with the code that made them"
	@echo "make test       all tests that this machine can run"
	@echo "make lint       ruff, snakefmt, snakemake --lint"
	@echo "make bench      speed, memory, scaling: printed, not asserted"
	@echo "make env-slurm  $(SLURM_VENV): the environment and the SLURM executor"
	@echo "make clean      remove results and environments; fetched inputs stay"

env: $(STAMP)

$(STAMP): requirements.lock
	$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(f"Python 3.11 is needed, {sys.executable} is {v[0]}.{v[1]}: make PYTHON=/path/to/python3.11" if v != (3, 11) else 0)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	touch $@

env-slurm: $(SLURM_STAMP)

$(SLURM_STAMP): requirements-slurm.lock
	test -x $(SLURM_VENV)/bin/python || $(PYTHON) -m venv $(SLURM_VENV)
	$(SLURM_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-slurm.lock
	touch $@

# An input that could not be fetched the last time is tried again.
study: env
	@PYTHONPATH=scripts $(BIN)/python -c 'from blendimpact.data.packages import forget_missing as f; f("results/inputs")'
	$(BIN)/snakemake $(FLAGS)

smoke: env
	$(BIN)/snakemake --configfile config/presets/smoke.yaml $(FLAGS)

report: env
	$(BIN)/snakemake --report report.zip $(FLAGS)

test: env
	$(BIN)/python -m pytest $(FLAGS)

lint: env
	$(BIN)/ruff check .
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/snakemake --lint

bench: env
	set -e; for script in benchmarks/*.py; do echo "== $$script"; PYTHONPATH=scripts $(BIN)/python $$script $(FLAGS); done

clean:
	find results -mindepth 1 -maxdepth 1 ! -name inputs ! -name reference -exec rm -rf {} + 2>/dev/null || true
	rm -rf .snakemake $(VENV) $(SLURM_VENV) .pytest_cache .ruff_cache .hypothesis report.zip
