# `make demo` and `make test` need Python >= 3.11 and nothing else; each makes .venv if it is not there.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
# Each job is a process, which would compile all that it imports anew.
unexport PYTHONDONTWRITEBYTECODE

CONFIG ?= config.yaml
SEED ?= 0
TRIAL ?= 512
OUT ?= my.yaml
upper = $(shell echo $(1) | tr a-z A-Z)
BUDGET ?= ratio-$(or $(RATIO),$(error RATIO is empty: say which share of the pool, as in RATIO=0.2))
CARD = $(or $(METHOD),$(error METHOD is empty: say whose subset, as in METHOD=icons))/$(BUDGET)_seed-$(SEED).md
# The value of a variable as one word of the shell, whatever is in it.
quoted = '$(subst ','\'',$(value $(1)))'
PIP := pip install --quiet --disable-pip-version-check
PYTEST := HF_HUB_OFFLINE=1 $(BIN)/python -m pytest
# A CONFIG that is given with -C is the caller's, as are the paths in it: it is run in the caller's folder. So is `init`.
CALL := $(shell tr '\0' ' ' < /proc/$$PPID/cmdline 2>/dev/null || ps -o args= -p $$PPID)
WITH_C := $(shell echo '$(subst ','\'',$(CALL))' | grep -Eo -- ' (-[bBdeikmnpqrRsStvw]*C|--di)')
ELSEWHERE := $(and $(WITH_C),$(or $(filter-out file,$(origin CONFIG)),$(filter init,$(MAKECMDGOALS))))
FOLDER := $(if $(ELSEWHERE),$(PWD),$(CURDIR))
HERE := cd "$(FOLDER)" &&
FILE = $(if $(shell $(HERE) test -e "$(CONFIG)" && echo there),$(CONFIG),$(error No CONFIG=$(CONFIG) in $(FOLDER)))
SNAKEMAKE := $(HERE) "$(abspath $(BIN))/snakemake" --snakefile "$(CURDIR)/Snakefile"
# The folder of the config's run. Only recipes use it, when .venv is there.
RESULTS = results/$(shell $(HERE) "$(abspath $(BIN))/python" -c 'import sys, yaml; sys.tracebacklimit = 0; \
	print(yaml.safe_load(open(sys.argv[1]))["run"])' "$(FILE)")
TRIED = $(RESULTS)-trial-$(TRIAL)
# Where a TRIAL is asked for by name.
OF_TRIAL = $(if $(filter file,$(origin TRIAL)),,--config trial=$(TRIAL))
OF_A_CONFIG := trial plan advise status report card figures subsets
$(if $(and $(filter file,$(origin CONFIG)),$(filter $(OF_A_CONFIG),$(MAKECMDGOALS))),$(info No CONFIG=… is given: this is about the demo, config.yaml))

LOADERS := trl llama-factory ms-swift
# Alone: its requirements include torchaudio, which needs CUDA's libraries and no test uses.
BARE_llama-factory := llamafactory==0.9.5

.PHONY: help demo test test-quick check docs init trial subsets plan advise status report card figures test-gpu test-cpus test-faults test-loaders \
	test-conda test-slurm size performance clean

help: ## list what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-14s%s\n", $$1, $$2}' $(MAKEFILE_LIST)

# One core is enough for its pool, which is made beside a pretraining then.
demo: $(VENV)/.installed ## run the whole pipeline on its embedded data, to the answer, the report and the explorer
	$(SNAKEMAKE) all make_answer make_explorer --cores all --set-threads prepare_pool=1
	$(SNAKEMAKE) --report results/digits/report.html
	@echo "Open $(FOLDER)/results/digits/answer.html (which subset to take, and why);"
	@echo "beside it are explorer.html (samples) and report.html (figures)."

test: $(VENV)/.installed-dev ## run all tests
	$(PYTEST) -n 3 --dist loadscope --no-loadscope-reorder

# What finetunes, and what takes long by itself.
SLOW := checkpoints digits models/test_families.py core/test_warm_python.py subsets/test_constraints.py \
	gradients/test_held_activations.py
test-quick: $(VENV)/.installed-dev ## run the unit tests that train nothing, for the loop of a developer
	$(PYTEST) -n 2 --dist loadscope tests/unit $(SLOW:%=--ignore=tests/unit/%)

check: $(VENV)/.installed-dev docs ## check style, rules and the links of the docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile rules
	PYTHONPATH=scripts $(BIN)/lint-imports --no-cache
	$(SNAKEMAKE) --lint

docs: $(VENV)/.installed-dev ## write the documentation as a site to site/index.html
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

init: $(VENV)/.installed ## look at your data, write a first config: RECORDS=… IMAGES=… MODEL=… [REVISION=…] [TASKS="name=val,test,metric …"] [RATIO=0.2] [METHODS="random coincide"] [OUT=my.yaml]
	@$(HERE) "$(abspath $(BIN))/python" "$(CURDIR)/scripts/start_config.py" --out $(if $(OUT),$(call quoted,OUT),$(error OUT is empty: say which file to write, as in OUT=my.yaml)) \
		$(foreach name,records images model revision,$(if $(value $(call upper,$(name))),--$(name) $(call quoted,$(call upper,$(name))))) \
		$(foreach task,$(TASKS),--task "$(task)") \
		$(if $(value RATIO),--ratio $(call quoted,RATIO)) $(if $(METHODS),--methods $(METHODS))
	@if said=$$($(SNAKEMAKE) -n --configfile $(call quoted,OUT) 2>&1); then echo "A dry run accepts it. Next: make trial CONFIG="$(call quoted,OUT); \
	else echo "$$said"; $(HERE) rm $(call quoted,OUT) && echo "It is removed again."; exit 1; fi

trial: $(VENV)/.installed ## run everything on few samples, as results/<run>-trial-<n>/: CONFIG=my.yaml [TRIAL=512]
	$(SNAKEMAKE) all make_explorer --cores all --configfile "$(FILE)" --config trial=$(or $(TRIAL),$(error TRIAL is empty: say how many samples))
	@$(HERE) if test -d $(TRIED)/figures; then $(SNAKEMAKE) make_answer --cores all --configfile "$(FILE)" --config trial=$(TRIAL) && \
		echo "Open $(FOLDER)/$(TRIED)/answer.html; explorer.html is beside it."; \
	else echo "Open $(FOLDER)/$(TRIED)/explorer.html"; fi
	@echo "Its subsets are in $(TRIED)/subsets/; of the whole pool: make subsets CONFIG=$(CONFIG)"

subsets: $(VENV)/.installed ## choose from the whole pool, and write the exports: CONFIG=my.yaml
	$(SNAKEMAKE) subsets exports --cores all --configfile "$(FILE)"
	@echo "They are in $(FOLDER)/$(RESULTS)/subsets/, and for other trainers in exports/ beside it. Samples to look at: make report CONFIG=$(CONFIG)"

plan: $(VENV)/.installed ## say what a run will take, by two trials, or on a device, estimated: CONFIG=my.yaml [TRIAL=512] [DEVICE=h100-80g] [CARDS=1] [SAMPLES=665298]
	@$(HERE) "$(abspath $(BIN))/python" "$(CURDIR)/scripts/plan_run.py" --configfile "$(FILE)" --trial $(TRIAL) \
		$(if $(DEVICE),--device $(DEVICE) --cards $(or $(CARDS),1)) $(if $(SAMPLES),--samples $(SAMPLES)) -- --cores all

advise: $(VENV)/.installed ## say which method fits the pool of a run or of its trial, and why: CONFIG=my.yaml
	@$(HERE) "$(abspath $(BIN))/python" "$(CURDIR)/scripts/advise.py" --configfile "$(FILE)"

status: $(VENV)/.installed ## say how far a run is, also while it runs: CONFIG=my.yaml; or its trial: TRIAL=512
	@$(SNAKEMAKE) --summary --quiet --configfile "$(FILE)" $(OF_TRIAL) | \
		"$(abspath $(BIN))/python" "$(CURDIR)/scripts/show_status.py" $(if $(OF_TRIAL),$(TRIED),$(RESULTS))

report: $(VENV)/.installed ## write answer.html (which subset, and why), explorer.html (samples), report.html (figures): CONFIG=my.yaml
	$(SNAKEMAKE) make_explorer --cores all --configfile "$(FILE)"
	@$(HERE) if test -d $(RESULTS)/figures; then \
		$(SNAKEMAKE) make_answer --cores all --configfile "$(FILE)" && \
		$(SNAKEMAKE) --configfile "$(FILE)" --report $(RESULTS)/report.html && \
		echo "Open $(FOLDER)/$(RESULTS)/answer.html; explorer.html and report.html are beside it."; \
	else echo "Open $(FOLDER)/$(RESULTS)/explorer.html; answer.html and report.html show what \`snakemake all\` makes"; fi

card: $(VENV)/.installed ## write a dataset card beside a subset: METHOD=icons RATIO=0.2 [SEED=0] CONFIG=my.yaml
	$(SNAKEMAKE) --cores all --configfile "$(FILE)" -- $(RESULTS)/subsets/$(CARD)
	@echo "It is $(FOLDER)/$(RESULTS)/subsets/$(CARD)."

figures: $(VENV)/.installed ## draw the figures from the tables: CONFIG=my.yaml
	$(SNAKEMAKE) figures --cores all --configfile "$(FILE)"

test-gpu: $(VENV)/.installed-dev ## run every pass on this machine's GPU against the CPU, and print speed and memory
	@$(BIN)/python -c 'import sys, torch; torch.cuda.is_available() or sys.exit("no GPU that this torch can use (docs/environments.md); `make test` runs the passes on a pretended one")'
	$(PYTEST) tests/gpu

test-cpus: $(VENV)/.installed-dev ## run the unit tests under every set of instructions that this CPU has
	HF_HUB_OFFLINE=1 $(BIN)/python tests/support/run_on_cpus.py -- -n 2 tests/unit

# An hour and a half, most of it for whole runs that are killed, in every rule and KILLS times at random moments;
# these need Linux. Full disks are tried where a tmpfs may be mounted, by the superuser, and quotas where btrfs-progs is there.
KILLS ?= 60
RUNS := $(shell test "$$(uname)" = Linux && echo --passes 9 --kills $(KILLS) --inputs 400 --variations 5 --pairs 3)
FULL_DISKS := $(shell test "$$(id -u)" = 0 && test "$$(uname)" = Linux && echo --disks 450 && \
	command -v mkfs.btrfs >/dev/null && echo --quotas 450)
test-faults: $(VENV)/.installed-dev ## try hostile files by the thousand, full disks, kills of runs, inputs that change: [SEED=0] [KILLS=60]
	HF_HUB_OFFLINE=1 $(BIN)/python tests/faults/campaign.py --seed $(SEED) \
		--records 10000 --images 2000 --tars 1000 $(FULL_DISKS) $(RUNS)

# An environment for each program, since their requirements exclude each other.
test-loaders: $(LOADERS:%=.venv-loaders/%/.installed) ## load exports by the programs that they are for
	for name in $(LOADERS); do HF_HUB_OFFLINE=1 .venv-loaders/$$name/bin/python -m pytest --noconftest \
		tests/workflow/test_export_loaders.py || exit 1; done

test-conda: $(VENV)/.installed-dev ## run --sdm conda with a stand-in for conda and a channel in a folder
	$(BIN)/$(PIP) -r envs/requirements-conda.txt
	$(PYTEST) tests/workflow/test_conda.py

test-slurm: $(VENV)/.installed-dev ## run profiles/slurm on a real Slurm, started on this machine (Debian, root)
	tests/slurm/start_slurm.sh .slurm
	SLURM_STATE=$(CURDIR)/.slurm $(PYTEST) tests/slurm; \
		status=$$?; tests/slurm/stop_slurm.sh .slurm; exit $$status

size: $(VENV)/.installed-dev ## measure time and memory of the stages at 665,000 samples
	$(BIN)/python performance/size.py --n 665000 --work .size

# Gradients (rows of dattri and bergson need those installed; an hour on one core), then selection mathematics.
performance: $(VENV)/.installed-dev ## measure against other programs
	PYTHONPATH=scripts HF_HUB_OFFLINE=1 $(BIN)/python performance/gradients.py
	PYTHONPATH=scripts $(BIN)/python performance/selection_mathematics.py
	test ! -d results/digits/costs || PYTHONPATH=scripts:tests/support HF_HUB_OFFLINE=1 \
		$(BIN)/python performance/overhead.py --results results/digits

clean: ## remove the environments and what Snakemake remembers
	rm -rf $(VENV) .venv-loaders .snakemake site

.PHONY: check-python
check-python: # at every call, and no reason to install again
	@sh envs/check_python.sh "$(PYTHON)" $(VENV)

$(VENV)/.installed: envs/requirements.txt | check-python
	@echo "Installing into $(VENV), once: two to three minutes"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/$(PIP) -r envs/requirements.txt
	touch $@

$(VENV)/.installed-dev: envs/requirements-dev.txt envs/requirements-slurm.txt envs/requirements.txt | check-python
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/$(PIP) -r envs/requirements-dev.txt
	touch $@ $(VENV)/.installed

.venv-loaders/%/.installed: envs/requirements-loaders-%.txt
	sh envs/check_python.sh "$(PYTHON)" $(@D)
	test -x $(@D)/bin/python || $(PYTHON) -m venv $(@D)
	$(@D)/bin/$(PIP) -r $<
	test -z "$(BARE_$*)" || $(@D)/bin/$(PIP) --no-deps $(BARE_$*)
	touch $@
