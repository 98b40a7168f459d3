# Everything sets itself up: Python >= 3.11, make and a package index are all it needs.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
  $$p -c 'import sys; sys.exit(not ((3, 11) <= sys.version_info[:2] < (3, 14)))' 2>/dev/null && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help run test check fix bench walk schedules bill demo-bill demo-digest crash api lock clean
help: ## list what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 11

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "Parley needs Python 3.11, 3.12 or 3.13; none was found. Install one, or: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "Making $(VENV) failed. On Debian and Ubuntu: apt install python3-venv"; rm -rf $(VENV); exit 1; }

$(VENV)/.runtime: requirements.lock pyproject.toml | $(VENV)/bin/python
	@echo "Installing the locked packages into $(VENV) (a minute or two the first time) ..."
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.runtime
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

run: $(VENV)/.runtime ## start the gateway (the demo agent answers when no key is set)
	@$(BIN)/parley run

test: $(VENV)/.dev ## the whole test suite
	@$(BIN)/python -m pytest -n 2 --dist loadfile

check: $(VENV)/.dev ## format, lint, types, import rules
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

fix: $(VENV)/.dev ## format and repair what can be repaired
	@$(BIN)/ruff check --fix-only . ; $(BIN)/ruff format .

crash: $(VENV)/.dev ## kill -9 at 200 random points, on each platform and in each delivery mode; around 100 planned times
	@$(BIN)/python -m tests.crash --kills 200 --messages 500
	@$(BIN)/python -m tests.crash --kills 200 --messages 500 --platform discord
	@$(BIN)/python -m tests.crash.jobs --kills 100

demo-digest: $(VENV)/.dev ## a digest over a stop at eight, on the days on which the clocks change, with kill -9
	@$(BIN)/python -m tests.demo_digest

walk: $(VENV)/.dev ## many random walks over the path of a message and over sessions, with crashes
	@WALKS=400 $(BIN)/python -m pytest -q tests/test_stateful.py
	@WALKS=400 $(BIN)/python -m pytest -q tests/test_operations_walk.py

schedules: $(VENV)/.dev ## planned times around every move of a clock until 2031, against a scan of every minute
	@$(BIN)/python -m tests.schedules

api: $(VENV)/.dev ## the HTTP API against its own description, by schemathesis, for five minutes
	@$(BIN)/python -m tests.api --seconds 300 --examples 200

bill: $(VENV)/.dev ## many random loads, also with kill -9, each reckoned against what the provider counted; caps under 200 turns
	@LOADS=200 $(BIN)/python -m pytest -q tests/test_bill.py
	@$(BIN)/python -m tests.bill

demo-bill: $(VENV)/.dev ## a random week, reconciled with the providers' books; 200 turns that stop at a cap
	@$(BIN)/python -m tests.bill.demo

bench: $(VENV)/.dev ## side by side with a bare bot, both platforms at once, bad files, rendering, dollars, jobs, a million messages; see bench/RESULTS.md
	@$(BIN)/python -m bench
	@$(BIN)/python -m bench.mixed
	@$(BIN)/python -m bench.files
	@$(BIN)/python -m bench.render
	@$(BIN)/python -m bench.prompts
	@$(BIN)/python -m bench.bill
	@$(BIN)/python -m bench.jobs
	@$(BIN)/python -m bench.sessions

lock: ## renew the locked versions (needs uv)
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header -o requirements.lock pyproject.toml requirements-build.in
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --group dev -c requirements.lock -o requirements-dev.lock pyproject.toml requirements-build.in
clean: ## remove what was made, never your data
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache dist build
