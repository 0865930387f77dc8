# Two commands on a fresh machine: make demo, make test. The rest is for people who change the code.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO_DIR ?= .demo
# Compiled files halve the start of every process; an environment that forbids them would make the demo slow.
export PYTHONDONTWRITEBYTECODE :=

# Judges, formats, grammars, house rules: what breaks first, in half a minute. make test runs everything.
FAST := tests/test_house.py tests/formats tests/crypto/test_seal.py tests/bridge/test_matching.py tests/bridge/test_claims.py \
	tests/mail/test_policy.py tests/record/test_access.py tests/record/test_entries.py tests/directory/test_trust.py \
	tests/imap/test_grammar.py tests/imap/test_names.py tests/imap/test_responses.py tests/imap/test_sets.py \
	tests/smtp/test_blocks.py tests/smtp/test_commands.py tests/smtp/test_replies.py

.PHONY: demo test check prove bench pages lock format clean

demo: $(VENV)/.core
	@exec $(BIN)/mss demo --dir $(DEMO_DIR)

test: $(VENV)/.dev
	@bash tests/kit/system-packages.sh
	$(BIN)/pytest -n 2 --dist loadgroup

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/pytest -q -n 2 -m "not slow and not postgres" $(FAST)

prove: $(VENV)/.dev
	$(BIN)/pytest -m campaign --campaign-size full --kills 500 -s

bench: $(VENV)/.dev
	$(BIN)/python -m tests.bench

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

pages: $(VENV)/.dev
	$(BIN)/python -m tests.kit.settings_page

lock: $(VENV)/.dev
	$(BIN)/uv pip compile --generate-hashes --no-emit-index-url --no-header -q pyproject.toml --extra postgres --extra ldap -o requirements/core.lock
	$(BIN)/uv pip compile --generate-hashes --no-emit-index-url --no-header -q pyproject.toml --extra postgres --extra ldap --group dev -c requirements/core.lock -o requirements/dev.lock

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed; set PYTHON=… to name it")'
	@$(PYTHON) -m venv $(VENV) || { echo "Python's venv module is missing: on Debian, apt-get install python3-venv"; exit 1; }

$(VENV)/.core: requirements/core.lock pyproject.toml | $(VENV)/bin/python
	@echo "Installing the locked dependencies (once) …"
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/core.lock
	@$(BIN)/python tests/kit/link.py
	@touch $@

$(VENV)/.dev: requirements/dev.lock pyproject.toml | $(VENV)/bin/python
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/dev.lock
	@$(BIN)/python tests/kit/link.py
	@touch $@ $(VENV)/.core

clean:
	rm -rf $(DEMO_DIR) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
