# Every target sets up what it needs; nothing outside this folder is written but uv's cache.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help python setup setup-demo demo test e2e bench fuzz lint fmt

PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && \
	echo "$$python" && break; done)
UV := .tools/uv/uv
RUN := PATH="$$PWD/.tools/helm-4:$$PATH" $(UV) run --no-sync

# The environment belongs to this folder, is compiled once, and has the Python that was found.
unexport VIRTUAL_ENV PYTHONHOME PYTHONPATH PYTHONDONTWRITEBYTECODE UV_PROJECT_ENVIRONMENT
export UV_PYTHON = $(PYTHON)
export UV_PYTHON_DOWNLOADS := never

help:  ## Show these targets
	@sed -nE 's/^([a-z0-9]+):.*  ## /  make \1\t/p' Makefile | expand -t 16

python:
	@test -n '$(PYTHON)' || { echo 'Python 3.11 or newer is needed; there is none on PATH.' >&2; exit 1; }

setup: python  ## Install tools and dependencies into .tools and .venv
	@'$(PYTHON)' tools/setup_tools.py
	@$(UV) sync --quiet --frozen --all-extras

setup-demo: python
	@'$(PYTHON)' tools/setup_tools.py uv
	@command -v helm >/dev/null || '$(PYTHON)' tools/setup_tools.py helm-4
	@$(UV) sync --quiet --frozen --inexact --no-dev --extra sandbox

demo: setup-demo  ## Release, fail and roll back in the sandbox
	@PATH="$$PATH:$$PWD/.tools/helm-4" $(UV) run --no-sync plate-release demo

test: lint  ## Run everything that CI runs
	@# Much of the suite waits for a server: more processes than cores.
	@$(RUN) pytest --numprocesses 4 --dist worksteal

e2e: setup  ## Run the end-to-end tests alone, on the sandbox or on PLATE_E2E_*
	@$(RUN) pytest --numprocesses 4 --dist worksteal tests/e2e

lint: setup  ## Check style, types, import rules, the action and the workflows
	@# The lock names its index: a mirror that this machine prefers would count as a change.
	@env -u UV_INDEX_URL -u UV_DEFAULT_INDEX -u UV_INDEX $(UV) lock --quiet --check --offline --no-config
	@$(RUN) ruff check
	@$(RUN) ruff format --check
	@$(RUN) mypy
	@$(RUN) lint-imports
	@$(RUN) check-jsonschema --builtin-schema vendor.github-actions action.yml
	@$(RUN) check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	@$(RUN) zizmor --offline --persona=auditor --quiet action.yml .github/workflows

fmt: setup  ## Format, and mend what can be mended
	@$(RUN) ruff check --fix
	@$(RUN) ruff format

bench: setup  ## Run every benchmark
	@status=0; for file in benchmarks/bench_*.py; do \
		echo "== $$file"; $(RUN) python "$$file" || status=1; done; exit $$status

fuzz: setup  ## Run the fuzzers for long
	@$(RUN) python tests/fuzz/fuzz_values.py --cases 100000 --seed "$${SEED:-$$RANDOM}" \
		--helm .tools/helm-3/helm --helm .tools/helm-4/helm
