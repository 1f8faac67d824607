# What a change has to pass, and the few commands worth a name.
PYTHON ?= python

.PHONY: check format lint types bands lock manifests manifests-check test slow browser bench study docs-figures claims

check: lint types bands manifests-check test

format:
	$(PYTHON) -m ruff format .
	$(PYTHON) -m ruff check --fix .

lint:
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m ruff check .

types:
	$(PYTHON) -m mypy

bands:
	$(PYTHON) -c "from importlinter.cli import lint_imports_command; lint_imports_command()"

lock:
	uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --python-version 3.11 \
		--extra dev --custom-compile-command "make lock" pyproject.toml -o requirements.lock

manifests:
	$(PYTHON) -m mahals manifests

manifests-check:
	$(PYTHON) -m mahals manifests --check

test:
	$(PYTHON) -m pytest

slow:
	$(PYTHON) -m pytest --durations=15 -m "slow and not gpu and not network and not browser"

browser:
	$(PYTHON) -m pytest -m browser

bench:
	$(PYTHON) -m benchmarks.speed $(BENCH)

study:
	$(PYTHON) -m mahals study

docs-figures:
	$(PYTHON) -m docs.draw_method

claims:
	$(PYTHON) -m docs.claims
