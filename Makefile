PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help run test lint format lock clean

help:
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

# uv installs in seconds what pip installs in a minute; pip is needed once, to get it.
$(STAMP): requirements-dev.txt
	@$(PYTHON) -m venv $(VENV) || { echo "python3 cannot make virtual environments; on Debian: apt-get install python3-venv"; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements-dev.txt
	@touch $@

.env:
	@cp .env.example $@

lint: $(STAMP) ## what CI checks before the tests
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy .
	@ENV_FILE=tests/test.env $(BIN)/python manage.py check
	@ENV_FILE=tests/test.env $(BIN)/python manage.py makemigrations --check --dry-run

format: $(STAMP) ## put the code into shape
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format --quiet .

lock: $(STAMP) ## pin what requirements*.in ask for, with hashes
	@$(BIN)/uv pip compile -q --upgrade --generate-hashes --no-header --python-version 3.11 requirements.in -o requirements.txt
	@$(BIN)/uv pip compile -q --upgrade --generate-hashes --no-header --python-version 3.11 -c requirements.txt requirements-dev.in -o requirements-dev.txt
