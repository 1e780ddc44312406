# One door for people; CI calls the same recipes. `make help` lists them.
SHELL := /bin/bash
PYTHON ?= python3
HOST ?= 127.0.0.1
PORT ?= 8000
DATA ?=
ARGS ?=
DATABASE ?= $(or $(ALDGATE_TEST_DATABASE),sqlite)
WORKERS ?= auto
BIN := .venv/bin
WORKED = $(if $(filter-out 1,$(WORKERS)),--numprocesses=$(WORKERS) --maxprocesses=8 --dist=loadfile --no-loadscope-reorder)
SERVE = $(BIN)/aldgate serve --host $(HOST) --port $(PORT) $(if $(DATA),--data '$(DATA)')

.DEFAULT_GOAL := help
.PHONY: help setup develop run dev test check lint types shape format bench docs lock clean

help: ## list the doors
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "%-12s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: .venv/.run ## make .venv from the hashed lockfile; leaves .venv/bin/aldgate (PYTHON=)
develop: .venv/.develop ## the same with what tests, checks and bench need

.venv/.run: requirements/run.lock pyproject.toml
	@echo "installing into .venv" >&2
	@scripts/venv.sh $(PYTHON)
	@$(BIN)/pip install --quiet --require-hashes -r requirements/run.lock
	@$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

.venv/.develop: .venv/.run requirements/dev.lock
	@echo "installing what tests need into .venv" >&2
	@$(BIN)/pip install --quiet --require-hashes -r requirements/dev.lock
	@touch $@

run: setup ## start the gate on 127.0.0.1:8000 (HOST=, PORT=, DATA=)
	@exec $(SERVE)

dev: develop ## the same, restarting on change
	@exec $(BIN)/watchfiles --filter python "$(SERVE)" src

test: develop ## the whole suite in a process per core (WORKERS=), or what ARGS= says; DATABASE=postgresql keeps data there
	@scripts/services.sh
	@ALDGATE_TEST_DATABASE=$(DATABASE) $(BIN)/pytest $(WORKED) $(ARGS)

check: lint types shape ## ruff, format, pyright strict, architecture, import budget

lint: develop
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: develop
	@$(BIN)/pyright

shape: develop
	@$(BIN)/pytest -q tests/test_architecture.py tests/test_imports.py

format: develop ## put the code in its one format
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: develop ## figures against nginx and the naive proxy, to bench/results.json (ARGS=--quick)
	@scripts/services.sh
	@$(BIN)/python -m bench $(ARGS)

docs: develop ## write the generated pages: configuration, command line, errors, .env.example, changelog
	@$(BIN)/python scripts/docs.py

lock: ## resolve requirements/*.lock anew, with hashes and without index addresses
	@scripts/lock.sh

clean: ## remove .venv and what tools keep; your data stays
	@rm -rf .venv .pytest_cache .ruff_cache .hypothesis .schemathesis
