# `make demo`, `make test`, `make test-long` with what takes long, and `make test-all` with all that can be tried. Each
# sets up .venv first if needed.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Where pip has been told of local builds (of torch, say), uv is told of them too.
FOUND := $(or $(PIP_FIND_LINKS),$(shell $(PYTHON) -m pip config get global.find-links 2>/dev/null))
ifneq ($(FOUND),)
export UV_FIND_LINKS ?= $(FOUND)
endif

# Threads that wait for one another give way to whoever else wants the cores, instead of spinning.
export OMP_WAIT_POLICY ?= passive

.PHONY: demo test test-long test-all test-faults witness lava-dl lint docs clean

demo: $(VENV)/installed
	$(BIN)/qkformer demo

# One process for each core. A process that has no work left takes some of another's.
PYTEST := $(BIN)/python -m pytest -n auto --maxprocesses 8 --dist worksteal --durations 15

test: $(VENV)/installed
	$(PYTEST) -m "not long and not exhaustive and not faults"

test-long: $(VENV)/installed
	$(PYTEST) -m "not exhaustive and not faults"

test-all: $(VENV)/installed
	$(PYTEST) -m "not faults" --hypothesis-profile long

# One at a time, as each is held against a clock.
test-faults: $(VENV)/installed
	$(BIN)/python -m pytest -m faults --durations 15

# Every spike of the shipped checkpoints in other people's tools; SpikingJelly, one of them, needs Python 3.11.
witness: $(VENV)/installed
	$(BIN)/python benchmarks/witness.py

# Intel's lava-dl, which needs Python 3.10 and a torch of its own: an environment beside ours, of about 6 GB.
LAVA_DL := .venv-lava-dl
PYTHON310 ?= python3.10
lava-dl: $(LAVA_DL)/installed
	PYTHONPATH=. $(LAVA_DL)/bin/python benchmarks/lava_dl.py

$(LAVA_DL)/installed: $(VENV)/installed
	@$(PYTHON310) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 10))' 2>/dev/null || \
	  { echo "error: $(PYTHON310) is no Python 3.10, which lava-dl needs: make lava-dl PYTHON310=/path/of/python3.10"; exit 1; }
	$(PYTHON310) -m venv $(LAVA_DL)
	$(BIN)/uv pip install --quiet --python $(LAVA_DL)/bin/python lava-dl==0.6.0 nir==1.0.8
	touch $@

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

# The site, in site/: a broken link or a name that does not exist is an error.
docs: export NO_MKDOCS_2_WARNING = 1
docs: $(VENV)/installed-docs
	$(BIN)/mkdocs build --quiet --strict

$(VENV)/installed-docs: $(VENV)/installed
	$(BIN)/uv pip install --quiet --python $(BIN)/python --editable ".[docs]"
	touch $@

# sinabs, which the tests let write networks, asks for older versions of nir and nirtorch than it works with.
$(VENV)/installed: pyproject.toml
	@$(PYTHON) -c 'import sys; (3, 10) <= sys.version_info < (3, 14) or sys.exit("error: $(PYTHON) is Python %d.%d; 3.10 to 3.13 is needed: make PYTHON=python3.11" % sys.version_info[:2])'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --editable ".[lava,onnx,events,train,witness,dev]"
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps sinabs==3.1.3 pbr==7.1.3
	touch $@

clean:
	rm -rf $(VENV) $(LAVA_DL) runs site
