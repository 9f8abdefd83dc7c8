# One command each; `make` alone lists them. A failed step stops with its own error.
SHELL := /bin/bash
.SHELLFLAGS := -eo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
.PHONY: help book pdf test notebooks bench lint pins clean distclean

PYTHON  ?= python3
VENV    ?= .venv
BIN     := $(VENV)/bin
READY   := $(VENV)/.ready
BUILT   := _build/html/.built
CHAPTER ?= *
JOBS    ?= 2
# Somebody who waits at a terminal sees what comes; a log would only grow.
QUIET   := $(shell test -t 2 || echo --quiet)
# Not compiled: that takes pip two minutes for all, and an import compiles what it needs, once.
PIP     := $(BIN)/python -m pip --disable-pip-version-check install $(QUIET) --no-compile --constraint constraints.txt

export PYTHONHASHSEED = 0
export PYTHONUNBUFFERED = 1
export OMP_NUM_THREADS = 1
export PYDEVD_DISABLE_FILE_VALIDATION = 1
# Empty is unset: what one process compiles, others need not.
export PYTHONDONTWRITEBYTECODE =

# Made by tools/derived_pages.py and not tracked: a clean clone has none.
DERIVED := book/api.md book/api/tools.md $(patsubst semcom_utils/%/__init__.py,book/api/%.md,$(wildcard semcom_utils/*/__init__.py)) \
	book/errata.md book/scoreboard.md book/studies_list.md book/which_scheme.md book/_static/verdicts.svg
PAGES := $(filter-out $(DERIVED),$(wildcard book/*.md *.md))
PROSE := $(PAGES) _config.yml _toc.yml references.bib
# A name with a space ("Copy of 10_isgc.ipynb") is nobody's chapter, and make would take it for several.
FILES := $(shell find book/_static notebooks semcom_utils data tools -type f ! -name '*.pyc' ! -path '*/.*' ! -path '* *' 2>/dev/null)

help: ## list the commands
	@grep -E '^[a-z]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "make %-10s %s\n", $$1, $$2}'

# An environment knows its folder by name: in a checkout that was moved or copied it runs the old folder's code.
ifneq ($(wildcard $(READY)),)
ifneq ($(file < $(READY)),$(CURDIR))
$(shell rm -f $(READY))
MOVED := --clear
endif
endif

$(READY): constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else f"Python 3.11 or newer is needed, {sys.executable} is {v[0]}.{v[1]}: make PYTHON=python3.11 ...")'
	@echo "== Creating $(VENV)"
	test -z "$(MOVED)" || echo "== $(VENV) is of another folder, from which this one was moved or copied: it is made anew"
	test -z "$(MOVED)" -a -x $(BIN)/pip || $(PYTHON) -m venv $(MOVED) $(VENV)
	@echo "== Installing PyTorch, then everything else (a few minutes the first time)"
	$(PIP) torch
	$(PIP) --editable '.[book,test,sweeps,ray,dask,subjects]'
	@printf '%s' "$(CURDIR)" > $@

$(DERIVED): # one that is missing is as good as a changed source

$(BUILT): $(READY) $(PROSE) $(FILES) $(DERIVED)
	@# An edit of a chapter's prose needs no run. An edit of its code does, and the tests say so.
	$(BIN)/python tools/run_notebooks.py --prose notebooks/*.md
	$(BIN)/python tools/derived_pages.py
	@echo "== Building the book from the stored outputs; a warning is an error"
	@# Quoted numbers go stale in pages that Sphinx does not see change: only an edit of a page is built on top. The
	@# stamp goes first, so that what failed is built in full, and fails again.
	$(if $(filter-out $(PAGES),$?),rm -rf _build/html,rm -f $@)
	@# The lab's models are exported meanwhile: each of the two takes one core.
	$(BIN)/python tools/export_lab.py --keep & lab=$$!; built=0; \
	$(BIN)/jupyter-book build . --quiet $(if $(filter-out $(PAGES),$?),--all) -n -W --keep-going || built=$$?; \
	wait $$lab && exit $$built
	$(BIN)/python tools/export_lab.py
	touch $@

book: $(BUILT) ## the rendered book, in _build/html
	@echo "== The book is ready, open it at  file://$(CURDIR)/_build/html/index.html"

pdf: $(BUILT) ## the whole book as one PDF, printed by headless Chromium
	@echo "== Printing the book: a few minutes"
	$(BIN)/python tools/book_pdf.py

test: $(BUILT) ## all tests: code, every chapter re-executed, the book in a browser
	@echo "== Testing: the code, every chapter in a fresh kernel, the book in a browser"
	$(BIN)/python -m pytest --quiet -n $(JOBS) --dist loadfile --nbval --nbval-current-env --durations 10 notebooks tests

notebooks: $(READY) ## run the chapters' texts and store their outputs; one alone: make notebooks CHAPTER=10_isgc
	@echo "== Running notebooks/$(CHAPTER).md"
	$(BIN)/python tools/run_notebooks.py -j $(JOBS) notebooks/$(CHAPTER).md

bench: $(READY) ## timings that depend on the machine, and so are no tests
	@echo "== Benchmarks"
	@# All of them run; each says which of its figures is noise. A limit that is missed beyond noise fails the end.
	@missed=""; for script in benchmarks/bench_*.py; do echo "-- $$script"; $(BIN)/python $$script || missed="$$missed $$script"; done; \
	test -z "$$missed" || { echo "missed a limit, or broke:$$missed" >&2; exit 1; }

lint: $(READY) ## style and types of the code
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

pins: $(READY) ## write what is installed in .venv to constraints.txt
	$(BIN)/pip freeze --exclude-editable | sed 's/+cpu$$//' > constraints.txt

clean: ## remove what was built
	rm -rf _build

distclean: clean ## ... and the installation
	rm -rf $(VENV)
