# `make demo` and `make test` need Python >= 3.11 and nothing else; each makes .venv if it is not there.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

LOADERS := trl llama-factory ms-swift
# Alone: its requirements include torchaudio, which needs CUDA's libraries and no test uses.
BARE_llama-factory := llamafactory==0.9.5
run_of = $(shell sed -n "s/^run: *[\"']*\([^ \"'\#]*\).*/\1/p" "$(or $(1),config.yaml)")

.PHONY: demo test test-loaders test-conda test-slurm check trial plan status card report figures size performance clean

demo: $(VENV)/.installed
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/snakemake --cores all

test: $(VENV)/.installed-dev
	PATH="$(CURDIR)/$(BIN):$$PATH" HF_HUB_OFFLINE=1 $(BIN)/python -m pytest -n 2 --dist loadscope --no-loadscope-reorder

# Exports as other programs load them: an environment for each, since their requirements exclude each other.
test-loaders: $(LOADERS:%=.venv-loaders/%/.installed)
	for name in $(LOADERS); do HF_HUB_OFFLINE=1 .venv-loaders/$$name/bin/python -m pytest --noconftest \
		tests/workflow/test_export_loaders.py || exit 1; done

check: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile rules
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/snakemake --lint

# The whole run on few samples, as results/<run>-trial-<n>/: make trial CONFIG=my.yaml [TRIAL=512]
TRIAL ?= 512
trial: $(VENV)/.installed
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/snakemake --cores all --configfile "$(or $(CONFIG),config.yaml)" --config trial=$(TRIAL)

# What a run will take, extrapolated from two trials of it: make plan CONFIG=my.yaml [TRIAL=512]
plan: $(VENV)/.installed
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python scripts/plan_run.py --configfile "$(or $(CONFIG),config.yaml)" \
		--trial $(TRIAL) -- --cores all

# Two pages: explorer.html on the subsets and, once `snakemake all` has finished, report.html on the figures.
report: $(VENV)/.installed
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/snakemake make_explorer --cores all --configfile "$(or $(CONFIG),config.yaml)"
	@if test -d results/$(call run_of,$(CONFIG))/figures; then \
		PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/snakemake --configfile "$(or $(CONFIG),config.yaml)" \
		--report results/$(call run_of,$(CONFIG))/report.html; \
	else echo "explorer.html is there; report.html shows figures, which \`snakemake all\` makes"; fi

# --sdm conda with a stand-in for conda and a channel in a folder; minutes.
test-conda: $(VENV)/.installed-dev
	$(BIN)/pip install --quiet --disable-pip-version-check -r envs/requirements-conda.txt
	HF_HUB_OFFLINE=1 $(BIN)/python -m pytest tests/workflow/test_conda.py

# profiles/slurm on a real Slurm, started on this machine (Debian, root).
test-slurm: $(VENV)/.installed-dev
	tests/slurm/start_slurm.sh .slurm
	HF_HUB_OFFLINE=1 SLURM_STATE=$(CURDIR)/.slurm $(BIN)/python -m pytest tests/slurm; \
		status=$$?; tests/slurm/stop_slurm.sh .slurm; exit $$status

# A dataset card beside a subset: make card METHOD=icons RATIO=0.2 [SEED=0] [CONFIG=my.yaml]
SEED ?= 0
BUDGET ?= ratio-$(RATIO)
card: $(VENV)/.installed
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/snakemake --cores all --configfile "$(or $(CONFIG),config.yaml)" -- \
		results/$(call run_of,$(CONFIG))/subsets/$(METHOD)/$(BUDGET)_seed-$(SEED).md

# How far a run is, also while it runs: make status CONFIG=my.yaml
status: $(VENV)/.installed
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/snakemake --summary --quiet --configfile "$(or $(CONFIG),config.yaml)" \
		| $(BIN)/python scripts/show_status.py results/$(call run_of,$(CONFIG))

figures: $(VENV)/.installed
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/snakemake figures --cores all --configfile "$(or $(CONFIG),config.yaml)"

size: $(VENV)/.installed-dev
	$(BIN)/python tests/performance/size.py --n 665000 --work .size

# Against other programs': gradients (dattri's row needs `pip install dattri`; an hour on one core), then
# selection mathematics.
performance: $(VENV)/.installed-dev
	PYTHONPATH=scripts HF_HUB_OFFLINE=1 $(BIN)/python tests/performance/gradients.py
	PYTHONPATH=scripts $(BIN)/python tests/performance/selection_mathematics.py
	test ! -d results/digits/costs || PYTHONPATH=scripts:tests HF_HUB_OFFLINE=1 \
		$(BIN)/python tests/performance/overhead.py --results results/digits

clean:
	rm -rf $(VENV) .venv-loaders .snakemake

$(VENV)/.installed: envs/requirements.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -r envs/requirements.txt
	touch $@

$(VENV)/.installed-dev: envs/requirements-dev.txt envs/requirements-slurm.txt envs/requirements.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -r envs/requirements-dev.txt
	touch $@ $(VENV)/.installed

.venv-loaders/%/.installed: envs/requirements-loaders-%.txt
	test -x $(@D)/bin/python || $(PYTHON) -m venv $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check -r $<
	test -z "$(BARE_$*)" || $(@D)/bin/pip install --quiet --disable-pip-version-check --no-deps $(BARE_$*)
	touch $@
