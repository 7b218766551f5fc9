# Attune. `make` alone lists the names.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
BIN := .venv/bin
LOCK := requirements/dev.lock
# the environment is made again when what is locked, or the project's own description, changes
STAMP := .venv/made-from-$(shell cat $(LOCK) pyproject.toml 2>/dev/null | cksum | cut -d' ' -f1)

# what checks deploy/ lives apart: its pins would bind the project's
DEPLOY_LOCK := requirements/deploy.lock
DEPLOY_STAMP := .venv/deploy/made-from-$(shell cat $(DEPLOY_LOCK) 2>/dev/null | cksum | cut -d' ' -f1)

# what benchmarks measure beside ours, likewise
BENCH_LOCK := requirements/bench.lock
BENCH_STAMP := .venv/bench/made-from-$(shell cat $(BENCH_LOCK) 2>/dev/null | cksum | cut -d' ' -f1)

RESOLVE := $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header

CHECKS := "ruff check ." "ruff format --check ." "mypy" "lint-imports --no-cache" "python -m schemas check" "deploy/check"

.PHONY: help setup demo up test check bench chaos lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-7s %s\n", $$1, $$2}' Makefile

setup: $(STAMP) ## virtual environment, locked dependencies, Kafka's jars, a Java if there is none
	@$(BIN)/python -m services.local

demo: setup ## the whole system here, and a year of a small clinic played through it
	@$(BIN)/attune demo

up: setup ## the whole system here, until Ctrl-C
	@$(BIN)/attune up

test: setup ## every test, against a real Kafka and PostgreSQL of its own
	@$(BIN)/python -m services.local.browser
	@$(BIN)/pytest

check: $(STAMP) $(DEPLOY_STAMP) ## lint, format, types, the dependency rule, the published schemas, the manifests
	@printf '%s\n' $(CHECKS) | xargs -P 4 -I{} bash -c \
	  'told=$$(PATH=$(CURDIR)/$(BIN):$$PATH {} 2>&1) && echo "ok      {}" || { echo "failed  {}"; echo "$$told"; exit 1; }'

chaos: setup ## every fault there is, for an hour; ARGS="--help" tells more
	@ATTUNE_LONG_FORM=1 $(BIN)/pytest -q tests/chaos/test_upgrade.py tests/integration/test_relay.py
	@$(BIN)/python -m tests.chaos $(ARGS)

bench: setup $(BENCH_STAMP) ## measure what has a number to keep, into docs/benchmarks.md
	@$(BIN)/python -m tests.benchmarks --write $(ARGS)

lock: $(STAMP) ## resolve pyproject.toml anew into requirements/*.lock, with hashes
	@$(RESOLVE) --upgrade --extra dev pyproject.toml -o $(LOCK)
	@$(RESOLVE) -c $(LOCK) pyproject.toml -o requirements/run.lock
	@$(RESOLVE) --upgrade requirements/deploy.in -o $(DEPLOY_LOCK)
	@$(RESOLVE) --upgrade requirements/bench.in -o $(BENCH_LOCK)

clean: ## remove the environment and caches; data and downloads in .attune stay
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .benchmarks
	@find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +

$(STAMP):
	@PYTHON=$(PYTHON) services/local/make_venv $(LOCK)
	@rm -f .venv/made-from-*
	@touch $@

$(DEPLOY_STAMP): $(STAMP)
	@echo 'installing what checks deploy/ ...' >&2
	@$(BIN)/uv venv -q --clear --python $(BIN)/python .venv/deploy
	@UV_LINK_MODE=copy $(BIN)/uv pip install -q --python .venv/deploy/bin/python --require-hashes -r $(DEPLOY_LOCK)
	@touch $@

$(BENCH_STAMP): $(STAMP)
	@echo 'installing what benchmarks are measured beside ...' >&2
	@$(BIN)/uv venv -q --clear --python $(BIN)/python .venv/bench
	@UV_LINK_MODE=copy $(BIN)/uv pip install -q --python .venv/bench/bin/python --require-hashes -r $(BENCH_LOCK)
	@touch $@
