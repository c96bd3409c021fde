# make demo   set up, then the whole way on data the project draws itself
# make check  set up, then lint and the fast tests: a minute, before every commit
# make test   set up, then all tests
# make lint   set up, then ruff, mypy and the import walls
# make install sets up alone: a virtual environment in .venv
# make dist   builds the wheel and the sdist into dist/, and checks them installed in a new environment
# make docs   builds the documentation as a site in build/site, with every link checked; make reference renews the
#             pages that are written from the code
# make wheels looks up whether 64-bit Arm devices find a wheel of everything they install (asks the package index)
# make aarch64 then runs an INT8 bundle under emulation as such a device would, and compares with this machine:
#             downloads some 500 MB into build/aarch64 the first time, and takes minutes (docs/measured/aarch64.md)
#
# PYTHON chooses the interpreter: 3.10 to 3.12, as MediaPipe has no later wheels; a device needs none, and may
# have 3.13 or 3.14. On a machine without an NVIDIA GPU a smaller PyTorch can be had
# with: make install PIP_ARGS="--extra-index-url https://download.pytorch.org/whl/cpu"

PYTHON ?= python3
PIP_ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo check test lint format install dist docs reference wheels aarch64 clean

demo: $(STAMP)
	$(BIN)/s2d-edge demo

# A file's tests stay in one process, for their fixtures; files start in the order that tests/conftest.py gives.
# xdist would wait for ever once a worker crashed: its replacement may be given no tests, and no end.
PYTEST := $(BIN)/pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder --max-worker-restart 0

check: lint
	$(PYTEST) -m "not slow"

test: $(STAMP)
	$(PYTEST)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

install: $(STAMP)

dist: $(STAMP)
	$(BIN)/python -m tools.dist

docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

reference: $(STAMP)
	$(BIN)/python -m tools.docs.reference
	$(BIN)/python -m s2d_edge.lint.document > docs/targets.md

$(VENV)/.docs: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_ARGS) -c constraints.txt -e '.[docs]'
	@touch $@

wheels: $(STAMP)
	$(BIN)/python -m tools.aarch64.wheels

# SIZE=demo is the smallest model, CLIPS=2 are fewer than 7; DEBIAN_MIRROR says where Debian's packages come from.
SIZE ?= small
CLIPS ?= 7
aarch64: wheels
	$(BIN)/python -m tools.aarch64.check --size $(SIZE) --clips $(CLIPS)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] < (3, 13))' \
	  || { echo "error: $(PYTHON) is not Python 3.10, 3.11 or 3.12, for which MediaPipe has wheels; say which one: make PYTHON=python3.11 …" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null \
	  || { echo "error: $(PYTHON) cannot make virtual environments; on Debian or Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_ARGS) -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_ARGS) -c constraints.txt -e '.[train,ort,av,dev]'
	$(BIN)/python -m tools.one_opencv
	$(BIN)/python -m tools.stubs
	$(BIN)/s2d-edge doctor
	@touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
