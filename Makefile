# Everything here is Python underneath; the README shows the same without make.
#   make lab          the course in JupyterLab            make lab ARGS="--no-browser --port=9000"
#   make test         all quick tests                     make test ARGS="-k softmax"
#   make test-slow    the tests that take minutes
#   make bench        the speed of training and writing, also against PyTorch where it is installed; under 5 minutes
#   make build        the made files, from their sources  make build ARGS=--check
#   make clean        removes the virtual environment and caches; keeps my_code/

PYTHON ?= python3
python := .venv/bin/python

.PHONY: lab test test-slow bench build clean

lab: .venv/course.stamp
	$(python) -m scratchformer_lib.course lab $(ARGS)

test: .venv/test.stamp
	$(python) -m pytest -n auto $(ARGS)

test-slow: .venv/test.stamp
	$(python) -m pytest -m slow $(ARGS)

bench: .venv/test.stamp
	$(python) tests/benchmarks $(ARGS)

build: .venv/test.stamp
	$(python) -m scratchformer_lib.course build $(ARGS)

clean:
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp says that an installation went through to its end.
.venv/course.stamp .venv/test.stamp: .venv/%.stamp: pyproject.toml $(python)
	@echo "Installing what the $* needs into .venv; this takes about half a minute ..."
	@$(python) -m pip install --quiet --disable-pip-version-check -e ".[$*]"
	@touch $@

$(python):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo \
	  "ScratchFormer needs Python 3.11 or newer; $(PYTHON) is not. If you have another, name it: make lab PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv --clear .venv || { rm -rf .venv; exit 1; }
