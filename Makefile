# Small data, honest models. `make help` lists what there is to make. Written for GNU Make 3.81 and newer.
#
#   PYTHON=python3.12     the interpreter to build .venv with (default: the first 3.11 or newer that is found)
#   TORCH_INDEX=URL       package index to take torch from, for instance PyTorch's CPU builds
#   JOBS=2                test processes at a time
#   ARGS="..."            passed on to the command behind a target, for instance make lab ARGS=--no-browser

.DEFAULT_GOAL := help
SHELL := /bin/sh

# An interpreter counts when it is 3.11 or newer and can make an environment. The one in .venv comes first, so that an
# environment is kept once it is there.
USABLE := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))
ifndef PYTHON
PYTHON := $(shell for p in .venv/bin/python python3.11 python3.12 python3.13 python3 python; do \
	if $$p -c '$(USABLE)' >/dev/null 2>&1; then echo $$p; break; fi; done)
endif

# Set-up is remembered by a file whose name is a hash of the pins, the interpreter's version and this folder: a changed
# pin, another Python or a moved checkout sets up again, and nothing else does. File times say nothing after a checkout.
VENV := .venv
RUN := $(VENV)/bin/python
STAMP := $(VENV)/.ready-$(shell $(if $(PYTHON),$(PYTHON),:) tools/environment.py hash 2>/dev/null)
PIP := $(RUN) -m pip --disable-pip-version-check
# What only the site needs comes on top; setting up again forgets it.
SITE_STAMP := $(STAMP)-site-$(shell cksum <requirements-site.txt 2>/dev/null | cut -d ' ' -f 1)

# One thread a process: parallelism is over molecules, splits and notebooks. Idle threads sleep instead of spinning.
export OMP_WAIT_POLICY := passive
OMP_NUM_THREADS ?= 1
OPENBLAS_NUM_THREADS ?= 1
MKL_NUM_THREADS ?= 1
export OMP_NUM_THREADS OPENBLAS_NUM_THREADS MKL_NUM_THREADS

JOBS ?= 2
PYTEST := $(RUN) -m pytest -n $(JOBS)

.PHONY: help lab setup test lint test-unit test-nb test-slow test-browser notebooks course reproduce bench student readme site upgrade

lab: $(STAMP)  ## open JupyterLab at notebook 00 (ARGS=--no-browser prints the address and token instead)
	$(RUN) -m jupyterlab --LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb $(ARGS)

setup: $(STAMP)  ## make .venv with the pinned packages; done once, and again only when the pins change

test: $(STAMP)  ## lint, unit tests, and every notebook executed once against its stored outputs
	$(RUN) -m ruff check .
	$(PYTEST) --nbval-lax tests notebooks $(ARGS)

lint: $(STAMP)  ## lint only
	$(RUN) -m ruff check .

test-unit: $(STAMP)  ## unit tests only
	$(PYTEST) tests $(ARGS)

test-nb: $(STAMP)  ## notebooks only
	$(PYTEST) --nbval-lax notebooks $(ARGS)

test-slow: $(STAMP)  ## full rebuild of the notebooks and tests in clean environments (some 10 minutes)
	$(RUN) -m pytest -m slow tests $(ARGS)

test-browser: $(SITE_STAMP)  ## lessons in JupyterLab, and the site, in headless Chromium (apt install chromium, or CHROMIUM=path)
	$(PIP) install --quiet playwright==1.65.2
	$(RUN) tools/build_site.py
	$(RUN) -m pytest -m browser tests $(ARGS)

notebooks: $(STAMP)  ## build and execute the notebooks from notebooks/src, and the README's tables
	$(RUN) tools/build_notebooks.py $(ARGS)
	$(RUN) tools/readme.py

course: $(STAMP)  ## execute every lesson without a browser, print the claims and where the HTML is
	$(RUN) tools/course.py $(ARGS)

reproduce: $(STAMP)  ## the full runs behind results/ (hours; goes on where it stopped)
	$(RUN) tools/reproduce_tg.py $(ARGS)
	$(RUN) tools/reproduce_dionysus.py $(ARGS)
	$(RUN) tools/reproduce_bo.py $(ARGS)
	$(RUN) tools/reproduce_panel.py $(ARGS)
	$(RUN) tools/reproduce_molgroup.py $(ARGS)

bench: $(STAMP)  ## lesson times, set-up, and what a user would pick instead, as one table (on an idle machine)
	$(RUN) benchmarks/start.py $(ARGS)
	$(RUN) benchmarks/augmentation.py $(ARGS)
	$(RUN) benchmarks/models.py $(ARGS)
	$(RUN) benchmarks/campaign.py $(ARGS)
	$(RUN) benchmarks/planted_groups.py $(ARGS)
	$(RUN) benchmarks/scale.py $(ARGS)
	$(RUN) benchmarks/classroom.py $(ARGS)
	$(RUN) benchmarks/table.py

student: $(STAMP)  ## copies of the notebooks without solutions, in student/
	$(RUN) tools/student.py $(ARGS)

readme: $(STAMP)  ## picture, course map and table of claims of README.md, from the notebooks and results/
	$(RUN) tools/overview.py
	$(RUN) tools/readme.py $(ARGS)

site: $(SITE_STAMP)  ## the course as a web site in build/site, from the stored outputs; checks its links and pictures
	$(RUN) tools/build_site.py $(ARGS)

upgrade: $(STAMP)  ## renew the pins within their ranges (ARGS=--check only says what would change)
	$(RUN) tools/upgrade.py $(ARGS)

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-13s %s\n", $$1, $$2}' Makefile

$(STAMP):
	@$(if $(PYTHON),$(PYTHON),false) -c '$(USABLE)' 2>/dev/null || { \
	echo "This needs Python 3.11 or newer with its venv module, and found: $(if $(PYTHON),$(PYTHON),none)." >&2; \
	echo "Name one: make setup PYTHON=/path/to/python3.12 (on Debian and Ubuntu: apt install python3-venv)." >&2; \
	exit 1; }
	@$(PYTHON) tools/environment.py same $(RUN) || $(PYTHON) -m venv --clear $(VENV)
	@rm -f $(VENV)/.ready-*
	$(if $(TORCH_INDEX),$(PIP) install --no-deps --index-url $(TORCH_INDEX) `sed -n 's/^\(torch==[^ ]*\).*/\1/p' requirements.txt`)
	$(PIP) install -r requirements.txt
	$(PIP) install --quiet --no-deps --no-build-isolation -e .
	@$(PIP) check
	@$(RUN) tools/environment.py jupyter
	@touch $@

$(SITE_STAMP): $(STAMP)
	@rm -f $(STAMP)-site-*
	$(PIP) install -c requirements.txt -r requirements-site.txt
	@$(PIP) check
	@touch $@
