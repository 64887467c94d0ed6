# make demo   a small lake, a trained detector, its scores and pictures
# make test   the test suite, but for the slow ones
# make test-slow   those, e.g. whole trainings in several processes
# make check  ruff and mypy
# make docs   the docs site, in build/docs
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
comma := ,
# Tests wait as long as they compute, so that two for each core take little longer than one.
# Of the tests that need a process to themselves, each file has one of its own, which collects no other.
PARALLEL := --dist loadfile
GIVES_UP := $(shell grep -rl --include='test_*.py' 'mark\.gives_up' tests)
PROCESSES := $(shell expr 2 '*' $$(nproc))
OPENCV := $(shell sed -n 's/^opencv-python-headless==//p' constraints.txt)

# imaug, which mmdet requires, drags in both OpenCV wheels. They share their files, and the one that needs
# libGL and X libraries wins: it is removed, and the headless one put back in full.
define install
	$(BIN)/pip install -q -c constraints.txt -e '$(1)'
	$(BIN)/pip uninstall -q -y opencv-python
	$(BIN)/pip install -q --force-reinstall --no-deps opencv-python-headless==$(OPENCV)
	@touch $@
endef

.PHONY: demo test test-slow check docs clean

demo: $(VENV)/.installed
	$(BIN)/deeplake-mmdet demo

test: $(VENV)/.installed-test
	$(BIN)/python -m pytest $(PARALLEL) -n $(PROCESSES) -m "not slow and not gives_up"
	$(BIN)/python -m pytest $(PARALLEL) -n $(words $(GIVES_UP)) -m "not slow and gives_up" $(GIVES_UP)

test-slow: $(VENV)/.installed-test
	$(BIN)/python -m pytest $(PARALLEL) -n auto -m "slow and not gives_up"
	$(BIN)/python -m pytest $(PARALLEL) -n 4 -m "slow and gives_up" $(GIVES_UP)

check: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Without network: whatever a page would load from elsewhere is a warning, and a warning is an error.
docs: $(VENV)/.installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

clean:
	rm -rf $(VENV)

$(BIN)/pip:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(BIN)/pip pyproject.toml constraints.txt
	$(call install,.)

$(VENV)/.installed-test: $(BIN)/pip pyproject.toml constraints.txt
	$(call install,.[test])
	@touch $(VENV)/.installed

$(VENV)/.installed-dev: $(BIN)/pip pyproject.toml constraints.txt
	$(call install,.[test$(comma)dev])
	@touch $(VENV)/.installed $(VENV)/.installed-test

$(VENV)/.installed-docs: $(BIN)/pip pyproject.toml constraints.txt
	$(call install,.[test$(comma)dev$(comma)docs])
	@touch $(VENV)/.installed $(VENV)/.installed-test $(VENV)/.installed-dev
