# Two commands on a fresh clone: `make demo` and `make test`. Each builds .venv by itself.
#
# torch is its CPU build where PyTorch's index answers; TORCH chooses another, for example
#   make demo TORCH="torch==2.13.0 --index-url https://download.pytorch.org/whl/cu130"

PYTHON ?= python3
TORCH ?= torch==2.13.0
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
WORKERS ?= 2

# Many tests start interpreters, each of which would compile all that it imports.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test test-all test-lowest pytest browser lint bench docs notebooks traces samples golden clean

demo: $(READY)
	$(BIN)/trainsoc demo -o demo

# Lint and tests side by side: types are checked on one core, which leaves the other one idle.
# A worker takes neighbouring tests (worksteal), since those of a file share what they make.
test: PICK := -m "not slow"
test-all: PICK := --hypothesis-profile thorough
test test-all: $(READY)
	$(MAKE) -j2 lint pytest PICK='$(PICK)'

pytest: $(READY)
	$(BIN)/pytest -n $(WORKERS) --dist worksteal --benchmark-skip $(PICK)

# The lowest versions that pyproject allows, in an environment of their own, without torch and SALib.
LOWEST := .venv-lowest
test-lowest:
	$(PYTHON) -m venv $(LOWEST)
	$(LOWEST)/bin/pip install -q --disable-pip-version-check uv
	$(LOWEST)/bin/uv pip install -q --python $(LOWEST)/bin/python --resolution lowest-direct '.[search]'
	$(LOWEST)/bin/pip install -q --disable-pip-version-check hypothesis jsonschema pytest pytest-benchmark pytest-xdist
	$(LOWEST)/bin/python -m pytest -n $(WORKERS) --benchmark-skip -m "not slow and not torch" --ignore tests/unit/test_uncertainty.py tests/unit tests/golden tests/machine tests/scenario

# The report page in a browser: needs a chromium, such as Debian's package, and npm for axe-core.
browser: $(READY)
	$(BIN)/pip install -q --disable-pip-version-check -c .ci/constraints.txt -e '.[browser]'
	npm install --silent --no-save --no-package-lock axe-core@4
	$(BIN)/pytest tests/browser

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The pages of docs/ as a site in `site`, read at 127.0.0.1:8000 while `mkdocs serve` runs.
docs: $(READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

notebooks: $(READY)
	$(BIN)/jupyter execute --inplace notebooks/*.ipynb

bench: $(READY)
	$(BIN)/pytest tests/benchmarks --benchmark-only --benchmark-columns=min,median,ops

traces: $(READY)
	$(BIN)/python -m workloads.recipes --regenerate

samples: $(READY)
	$(BIN)/python -m tests.dram_samples

golden: $(READY)
	$(BIN)/pytest tests/golden --regenerate

clean:
	rm -rf $(VENV) $(LOWEST) demo site .pytest_cache .mypy_cache .ruff_cache

# pip knows where this machine has its packages, and compiles them all; uv takes a tenth of its time,
# and leaves it to the first import to compile. Where uv finds no packages, pip installs all.
PIP := $(BIN)/pip install -q --disable-pip-version-check
PACKAGES := -c .ci/constraints.txt -e '.[capture,cluster,search,docs,dev]'
$(READY): pyproject.toml .ci/constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) uv
	$(PIP) --no-compile --no-deps $(TORCH) $$($(PYTHON) .ci/cpu_index.py $(TORCH))
	$(BIN)/uv pip install -q --python $(BIN)/python $(PACKAGES) || $(PIP) $(PACKAGES)
	touch $(READY)
