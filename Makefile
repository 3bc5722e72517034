# `make` lists what can be asked for. The work itself is in lib/: `python -m lib --help` offers the same without make.

.PHONY: help report check-report submission verify train results data test lint format lab tensorboard bench bench-explain setup lock clean
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV ?= .venv
export VENV

BRIEF ?=
PROFILE ?=
DATA ?=
EXPERIMENT ?=
SEED ?=
PORT ?=
GPU ?=
STUDENT ?=
STUDENT_ID ?=
export STUDENT STUDENT_ID
FORCE =
AT_ONCE =
RUNS =
ZIP =
RERUN =

# A misspelt variable would be ignored without a word, and the default be run instead.
KNOWN := BRIEF PROFILE DATA EXPERIMENT SEED STUDENT STUDENT_ID FORCE AT_ONCE PORT GPU RUNS ZIP RERUN PYTHON VENV SHELL MAKEFLAGS
GIVEN := $(foreach v,$(.VARIABLES),$(if $(findstring command line,$(origin $(v))),$(v)))
WRONG := $(filter-out $(KNOWN),$(GIVEN))
ifneq ($(strip $(WRONG)),)
$(error Unknown variable $(WRONG). Variables: BRIEF PROFILE DATA EXPERIMENT SEED STUDENT STUDENT_ID FORCE AT_ONCE PORT GPU RUNS ZIP RERUN PYTHON VENV)
endif

LIB = $(PYTHON) -m lib
brief = $(if $(BRIEF),--brief "$(BRIEF)")
profile = $(if $(PROFILE),--profile "$(PROFILE)")
data = $(if $(DATA),--data "$(DATA)")

help:
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo '  Options: BRIEF=demo PROFILE=smoke|quick|full DATA=folder/of/images VENV=none PYTHON=python3.12'
	@echo '           STUDENT="Your Name" STUDENT_ID=your-number (on the title of written reports)'
	@echo '  Examples: make report BRIEF=caltech101 PROFILE=quick'
	@echo '            make report BRIEF=folder DATA=path/to/images'

report: ## Make a whole report, reports/<brief>/index.html [BRIEF= PROFILE= DATA= FORCE=1 AT_ONCE=]
	@$(LIB) report $(brief) $(profile) $(data) $(if $(FORCE),--force) $(if $(AT_ONCE),--at-once "$(AT_ONCE)")

check-report: ## Check that every number of the written reports comes from a run [BRIEF=]
	@$(LIB) check-report $(brief)

submission: ## Pack a report with its code, to hand in: reports/<student>_<brief>.zip [STUDENT= BRIEF=]
	@$(LIB) submission $(brief)

verify: ## Check a zip that was handed in; RERUN=1 makes it again and compares [ZIP= RERUN= DATA=]
	@$(LIB) verify $(data) $(if $(RERUN),--rerun) -- "$(ZIP)"

test: ## Check everything: style, tests, every notebook
	@$(LIB) test

lint: ## Check style and format
	@$(LIB) lint

format: ## Mend style and format
	@$(LIB) lint --fix

lab: ## Open the notebooks in JupyterLab
	@$(LIB) lab

tensorboard: ## Show a brief's runs in TensorBoard [BRIEF= PORT=]
	@$(LIB) tensorboard $(brief) $(if $(PORT),--port "$(PORT)")

results: ## Keep a report's results table in reports/results, to commit [BRIEF=]
	@$(LIB) results $(brief)

data: ## Get and check a brief's images [BRIEF= DATA=]
	@$(LIB) data $(brief) $(data)

train: ## Train one experiment, or continue it [BRIEF= EXPERIMENT= PROFILE= SEED= DATA=]
	@$(LIB) train $(brief) $(profile) $(data) $(if $(EXPERIMENT),--experiment "$(EXPERIMENT)") $(if $(SEED),--seed "$(SEED)")

bench: ## Measure the input pipeline beside Keras' own
	@$(LIB) bench

bench-explain: ## Measure the attribution methods beside xplique and tf-keras-vis, where installed
	@$(LIB) bench-explain

setup: ## Make the environment now; GPU=1 adds the CUDA libraries, GPU=0 drops them
	@$(LIB) setup $(if $(GPU),$(if $(filter 0 no,$(GPU)),--no-gpu,--gpu))

LOCKED = uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--custom-compile-command "make lock"
lock: ## Lock the versions of requirements.in anew, with hashes (needs uv)
	@command -v uv > /dev/null || { echo 'error: make lock needs uv on PATH' >&2; exit 2; }
	$(LOCKED) --output-file requirements.txt requirements.in
	$(LOCKED) --constraint requirements.txt --output-file requirements-gpu.txt requirements-gpu.in

clean: ## Delete caches and report pages, never data/raw; RUNS=1 deletes trained runs too
	@$(LIB) clean $(if $(RUNS),--runs)
