# `make demo` and `make test` need Python >= 3.11 and nothing else; each makes .venv if it is not there.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

LOADERS := trl llama-factory ms-swift
# Alone: its requirements include torchaudio, which needs CUDA's libraries and no test uses.
BARE_llama-factory := llamafactory==0.9.5

.PHONY: demo test test-loaders check plan figures size clean

demo: $(VENV)/.installed
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/snakemake --cores all

test: $(VENV)/.installed-dev
	PATH="$(CURDIR)/$(BIN):$$PATH" HF_HUB_OFFLINE=1 $(BIN)/python -m pytest

# Exports as other programs load them: an environment for each, since their requirements exclude each other.
test-loaders: $(LOADERS:%=.venv-loaders/%/.installed)
	for name in $(LOADERS); do HF_HUB_OFFLINE=1 .venv-loaders/$$name/bin/python -m pytest --noconftest \
		tests/workflow/test_export_loaders.py || exit 1; done

check: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile rules
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/snakemake --lint

# What a run will take, before anything of it is run: make plan CONFIG=my.yaml
plan: $(VENV)/.installed
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/snakemake plan --cores 1 --quiet rules reason progress host --forcerun plan --configfile $(or $(CONFIG),config.yaml)

figures: $(VENV)/.installed
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/snakemake --cores all figures

size: $(VENV)/.installed-dev
	$(BIN)/python tests/performance/size.py --n 665000 --work .size

clean:
	rm -rf $(VENV) .venv-loaders .snakemake

$(VENV)/.installed: envs/requirements.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -r envs/requirements.txt
	touch $@

$(VENV)/.installed-dev: envs/requirements-dev.txt envs/requirements.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -r envs/requirements-dev.txt
	touch $@ $(VENV)/.installed

.venv-loaders/%/.installed: envs/requirements-loaders-%.txt
	test -x $(@D)/bin/python || $(PYTHON) -m venv $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check -r $<
	test -z "$(BARE_$*)" || $(@D)/bin/pip install --quiet --disable-pip-version-check --no-deps $(BARE_$*)
	touch $@
