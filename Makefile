# `make` lists what can be asked for. Commands and their options stand in lib/__main__.py, and only there: a goal and the
# variables given with it are passed on, `make report BRIEF=demo` as `python -m lib report BRIEF=demo`.

PYTHON ?= python3
VENV ?= .venv
export VENV

# Given on the command line, or by these names in the environment; misspelt ones are refused there with a list.
GIVEN := $(foreach v,$(.VARIABLES),$(if $(findstring command line,$(origin $(v))),$(v)))
GIVEN += $(foreach v,BRIEF PROFILE DATA EXPERIMENT SEED PORT GPU,$(if $(findstring environment,$(origin $(v))),$(v)))
WORDS = $(foreach v,$(filter-out SHELL MAKEFLAGS PYTHON,$(GIVEN)),$(v)='$(subst ','\'',$($(v)))')
GOALS := $(or $(MAKECMDGOALS),help)

.PHONY: $(GOALS)
$(GOALS):
	@exec $(PYTHON) -m lib $@ $(WORDS)
