# The targets set up what they need; see CONTRIBUTING.md.

PORT ?= 8080
ARGS ?=

BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest
# Run a second time under `python -m gevent.monkey`, gevent's own way to patch early.
SMOKE := tests/test_clock.py tests/tcp/test_stream.py tests/http/test_server.py

.PHONY: help demo test test-patched test-long check format bench parity clean
.NOTPARALLEL:

help:
	@echo "make demo [PORT=8080]   one page that shows galeph at work"
	@echo "make test [ARGS=...]    the tests"
	@echo "make test-patched       the tests in a monkey-patched process"
	@echo "make test-long          the long forms of the long tests"
	@echo "make check              format, lint, types, architecture, wheel"
	@echo "make format             put the source into its form"
	@echo "make bench [ARGS=...]   galeph beside its peers"
	@echo "make parity             what the last test run has shown"

demo: .venv/ready-demo
	$(BIN)/python -m examples.demo --port $(PORT)

test: .venv/ready-test
	tools/setup.sh system
	$(PYTEST) $(ARGS)

test-patched: .venv/ready-test
	tools/setup.sh system
	$(BIN)/python -m gevent.monkey --module pytest --no-record -q $(SMOKE)
	$(PYTEST) -p galeph.testing.patch_all --no-record -m "not browser and not unpatched_only" $(ARGS)

test-long: .venv/ready-test
	tools/setup.sh system
	$(PYTEST) --long --no-record -m long -o timeout=3600 $(ARGS)

check: .venv/ready-check
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(PYTEST) --no-record -q tests/test_architecture.py tests/test_public_names.py
	tools/check_wheel.sh

format: .venv/ready-check
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: .venv/ready-bench
	tools/setup.sh system
	tools/setup.sh compiler
	$(BIN)/python -m benchmarks $(ARGS)

parity: .venv/ready-test
	@$(BIN)/python -m tests.parity.report

clean:
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

# Stamps: the groups of pyproject.toml that each kind of target needs.
.venv/ready-demo: GROUPS =
.venv/ready-test: GROUPS = test
.venv/ready-check: GROUPS = test check
.venv/ready-bench: GROUPS = test bench

.venv/ready-%: pyproject.toml tools/setup.sh
	tools/setup.sh venv $(GROUPS)
	@touch $@
