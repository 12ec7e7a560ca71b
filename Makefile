# Needs python3 (3.11 or later) with venv, and make; all else goes into .venv and the user's cache.

PYTHON ?= python3
WORKERS ?= 4  # more than cores: half of the time tests wait for Kafka, ClickHouse and browsers
BIN := .venv/bin
SOURCES := schemas producers consumers deploy tests .ci

.PHONY: help demo test test-fast test-pythons check format bench clean

help:
	@echo "make demo    run the whole pipeline on this machine once, with sample data"
	@echo "make test    run every test, on a real Kafka and a real ClickHouse; ARGS='tests/schemas -k times' for some"
	@echo "make test-fast   run what needs no services, no browser and no other program, in less than a minute"
	@echo "make test-pythons  run the tests that need no services on each supported Python (VERSIONS=3.14 for one)"
	@echo "make check   lint, formatting, types, and sentences of the documentation"
	@echo "make format  rewrite the sources in the project's format"
	@echo "make bench   measure throughput of worker, patches and gateway, latency of SDK, receipts, questions and pages"
	@echo "make clean   remove .venv and caches of this folder"

demo: .venv/.installed
	@$(BIN)/afterword demo

test: .venv/.installed-dev
	@$(BIN)/pytest -n $(WORKERS) --dist worksteal $(ARGS)

test-fast: .venv/.installed-dev
	@$(BIN)/pytest -n 2 --dist worksteal -m "not (services or engine or browser or npm or docker or slow)" $(ARGS)

test-pythons: .venv/.installed-dev
	@$(BIN)/python .ci/pythons.py $(VERSIONS)

check: .venv/.installed-dev
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/python .ci/prose.py

format: .venv/.installed-dev
	$(BIN)/ruff check --fix-only $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

bench: .venv/.installed-dev
	$(BIN)/python deploy/benchmarks/worker_throughput.py
	$(BIN)/python deploy/benchmarks/patches.py
	$(BIN)/python deploy/benchmarks/sdk_latency.py
	$(BIN)/python deploy/benchmarks/gateway_throughput.py
	$(BIN)/python deploy/benchmarks/receipts.py
	$(BIN)/python deploy/benchmarks/questions.py
	$(BIN)/python deploy/benchmarks/pages.py

clean:
	rm -rf .venv .venv-3.* .pytest_cache .mypy_cache .ruff_cache .hypothesis

# uv installs exactly what uv.lock names; pip fetches uv once.
.venv/.uv:
	@echo "making .venv and fetching about 375 MB of packages, once; see README" >&2
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check 'uv>=0.13'
	@touch $@

.venv/.installed: .venv/.uv pyproject.toml uv.lock
	@VIRTUAL_ENV= $(BIN)/uv sync --quiet --locked --inexact --no-dev --extra server --extra local
	@touch $@

.venv/.installed-dev: .venv/.installed
	@VIRTUAL_ENV= $(BIN)/uv sync --quiet --locked --inexact --extra server --extra local
	@touch $@
