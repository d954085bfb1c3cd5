# make env · make study · make smoke · make test · make test-fast · make lint · make bench
# The first of these that is Python 3.11, 3.12 or 3.13; make PYTHON=/path/to/python takes another.
FITS := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do $$p -c '$(FITS)' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SLURM_VENV := .venv-slurm
SLURM_STAMP := $(SLURM_VENV)/.installed
# Options for Snakemake and pytest: make study FLAGS="--cores 1"
FLAGS ?=

.PHONY: help env env-slurm study smoke report test test-fast lint bench clean
.DELETE_ON_ERROR:

help:
	@echo "make env        the Python environment ($(VENV)) from requirements.lock"
	@echo "make study      the study at laptop size: fetch, run, matrix"
	@echo "make smoke      the same in a few minutes, without the statistics"
	@echo "make report     report.zip: the results with the code that made them"
	@echo "make test       all tests that this machine can run"
	@echo "make test-fast  the first tier, in some minutes"
	@echo "make lint       ruff, snakefmt, snakemake --lint"
	@echo "make bench      speed, memory, scaling: printed, not asserted"
	@echo "make env-slurm  $(SLURM_VENV): the environment and the SLURM executor"
	@echo "make clean      remove results and environments; fetched inputs stay"

env: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	@$(or $(PYTHON),false) -c '$(FITS)' || { echo "Python 3.11, 3.12 or 3.13 is needed: make PYTHON=/path/to/python"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

env-slurm: $(SLURM_STAMP)

$(SLURM_STAMP): requirements-slurm.lock
	test -x $(SLURM_VENV)/bin/python || $(PYTHON) -m venv $(SLURM_VENV)
	$(SLURM_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-slurm.lock
	touch $@

study: env
	$(BIN)/snakemake $(FLAGS)

smoke: env
	$(BIN)/snakemake --configfile config/presets/smoke.yaml $(FLAGS)

report: env
	$(BIN)/snakemake --report report.zip $(FLAGS)

# Files stay together, for what their tests share; the longest come first (tests/conftest.py).
PYTEST := $(BIN)/python -m pytest -n logical --maxprocesses 8 --dist loadfile --no-loadscope-reorder

test: env
	$(PYTEST) $(FLAGS)

test-fast: env
	$(PYTEST) -m "not slow" $(FLAGS)

lint: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/snakemake --lint

bench: env
	set -e; for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python $$script $(FLAGS); done

clean:
	find results -mindepth 1 -maxdepth 1 ! -name inputs ! -name reference -exec rm -rf {} + 2>/dev/null || true
	rm -rf .snakemake scripts/*.egg-info $(VENV) $(SLURM_VENV) .pytest_cache .ruff_cache .hypothesis report.zip
