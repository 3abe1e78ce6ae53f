# isletmeta: every verb sets the environment up by itself.
.DEFAULT_GOAL := help
BIN := .venv/bin
# One BLAS thread a process: the models are small and two processes share the machine.
export OMP_NUM_THREADS := 1
export OPENBLAS_NUM_THREADS := 1
# Compiled code is kept, whatever the machine's settings: many processes are started.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help setup report test test-all check reproduce bench lint lock clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: ## make .venv from the lock file (skipped when nothing changed)
	@scripts/setup.sh

report: ## validate, fit, write data/processed and render report.html
	@scripts/setup.sh report

test: ## the fast tests
	@scripts/setup.sh test

test-all: setup ## all tests, the simulation studies too
	@$(BIN)/python -m pytest -m "" -n auto --dist worksteal

check: setup ## validate data/raw only
	@$(BIN)/isletmeta check

reproduce: setup ## rerun everything elsewhere and compare every figure with the tracked one
	@$(BIN)/isletmeta reproduce

bench: setup ## time the parts
	@$(BIN)/python -m pytest benchmarks -m "" --benchmark-only

lint: setup ## style and faults
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports
	@$(BIN)/mypy

lock: ## pin every dependency anew (needs uv)
	@uv pip compile pyproject.toml --extra run --extra dev --universal --python-version 3.12 \
	  --generate-hashes --no-annotate \
	  --custom-compile-command "make lock" --quiet -o requirements.lock

clean: ## remove what can be made again (not the tracked results)
	@rm -rf .venv .cache .pytest_cache .ruff_cache .hypothesis .benchmarks *.egg-info \
	  data/processed/posteriors report.html report.pdf report.docx report_files
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
