# `make demo` and `make test` need only Python 3.11 or newer and the network; everything lands in .venv.
SHELL := /bin/bash
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
NPM := $(shell command -v npm)
BIN := .venv/bin
INSTALLED := .venv/.installed
COMPILED := .venv/.compiled
DOCS_INSTALLED := .venv/.docs-installed
DEMO := demo
AUDIO ?=
SYSTEMS ?= opus@6,opus@12,mp3@64,encodec_24khz@3
METRICS ?= si_snr,visqol,pesq,stoi

.PHONY: demo test lint format biome docs bench clean help links

help:
	@echo 'make demo [AUDIO=folder]   compare codecs on your recordings (or a synthetic set), build a listening test'
	@echo 'make test                  run the tests'
	@echo 'make lint | format         check with ruff, mypy and Biome | format with ruff and Biome'
	@echo 'make docs                  build the documentation into site/'
	@echo 'make bench                 measure speed as ratios'

demo: $(COMPILED)
	@set -e; audio='$(AUDIO)'; \
	demo='$(DEMO)'; if [ -z "$$audio" ]; then audio="$$demo/audio"; [ -d "$$audio" ] || $(BIN)/earmark data demo "$$audio"; fi; \
	status=0; $(BIN)/earmark compare "$$audio" --keep-going --systems $(SYSTEMS) --metrics $(METRICS) --out "$$demo/run" || status=$$?; \
	[ $$status -le 1 ] || exit $$status; \
	if [ -e "$$demo/study/ratings.sqlite" ]; then \
		echo "$$demo/study has ratings and stays as it is"; \
	else \
		$(BIN)/earmark study build "$$demo/run" --out "$$demo/study" --per-category 3; \
	fi; \
	echo "report:          $$demo/run/report.html"; \
	echo "listening test:  $(BIN)/earmark study serve $$demo/study"; \
	exit $$status

# A test process that dies ends the run: pytest-xdist would hang after it had started another in its place.
test: $(COMPILED)
	$(BIN)/python -m pytest -n 2 --dist loadfile --max-worker-restart 0

lint: $(COMPILED) links
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	@$(MAKE) --no-print-directory biome

# mypy and mkdocstrings do not read the mapping of packages to folders in setup.py: links show them the installed layout.
links:
	@rm -rf build/mypy && mkdir -p build/mypy/earmark && \
	ln -s $(CURDIR)/earmark/* $(addprefix $(CURDIR)/,codec baselines eval mushra_app) build/mypy/earmark/

docs: $(DOCS_INSTALLED) links
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo 'documentation:   site/index.html'

format: $(COMPILED)
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .
	@$(MAKE) --no-print-directory biome WRITE=--write

# Biome checks and formats scripts and style sheets. It comes from npm and is skipped where npm is missing.
ifdef NPM
biome: node_modules/.package-lock.json
	node_modules/.bin/biome check --error-on-warnings $(WRITE)
else
biome:
	@echo 'skipped: Biome, which checks scripts and style sheets, needs npm'
endif

node_modules/.package-lock.json: package.json package-lock.json
	npm ci --silent --no-audit --no-fund
	@touch $@

bench: $(COMPILED)
	@for program in benchmarks/*.py; do echo "== $$program"; $(BIN)/python $$program || exit; done

# The demo stays: it may hold recordings and ratings that nothing can make again.
clean:
	rm -rf .venv node_modules build site *.egg-info
	@if [ -e '$(DEMO)' ]; then echo 'kept: $(DEMO); delete it by hand if you need nothing of it'; fi

$(INSTALLED): pyproject.toml setup.py constraints.txt
	@if [ -z '$(PYTHON)' ]; then echo 'earmark: no Python 3.11 or newer found; install one or run make PYTHON=/path/to/python3' >&2; exit 1; fi
	@$(PYTHON) -m venv .venv || { rm -rf .venv; echo 'earmark: $(PYTHON) cannot make a virtual environment;' \
		'on Debian and Ubuntu its package python3-venv is missing' >&2; exit 1; }
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[demo,dev]'
	@# ViSQOL itself needs no compiler, libsvm below it does.
	$(BIN)/pip install --quiet --constraint constraints.txt --no-deps visqol-python
	$(BIN)/pip install --quiet --constraint constraints.txt numba ai-edge-litert pyfftw
	@# The public EnCodec, which the tests compare ours with; of torchaudio, which it asks for, they need nothing.
	$(BIN)/pip install --quiet --constraint constraints.txt --no-deps encodec einops
	@# transformers, which the tests compare layouts with.
	$(BIN)/pip install --quiet --constraint constraints.txt transformers
	@touch $@

$(DOCS_INSTALLED): $(INSTALLED)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[docs]'
	@touch $@

# What is compiled here, and tried again by every make until there is a compiler; the rest works without it.
$(COMPILED): $(INSTALLED)
	@built=yes; for package in pesq libsvm-official; do \
		$(BIN)/pip install --quiet --constraint constraints.txt $$package >.venv/$$package.log 2>&1 || { built=no; \
		echo "note: $$package did not build: no C compiler or Python headers? (.venv/$$package.log)"; }; \
	done; if [ $$built = yes ]; then touch $@; fi
