# `make` lists the targets. Only Python 3.11+ and make are needed; the rest is installed into .venv.
PYTHON ?= python3
BIN := .venv/bin
comma := ,
# Without mlflow: wherever its plugin is installed, each node's process pays 1.5 s for importing it.
EXTRAS := airflow,openlineage,kedro,kfp,runtime,emulator,example,dev
# The address of the pages of `make up`.
HOST := 127.0.0.1
# Kedro's usage data stays off in every process that a target starts.
export DO_NOT_TRACK := 1
export KEDRO_DISABLE_TELEMETRY := 1

.DEFAULT_GOAL := help
.PHONY: help demo up test test-airflow2 test-matrix test-versions compatibility coverage lint format docs bench prices pictures constraints clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: .venv/.ready ## Backfill three days of the flights pipeline on a local Airflow and Vertex AI
	@$(BIN)/python -m tools.demo

up: .venv/.ready ## The same, then stay up and print the pages to open
	@$(BIN)/python -m tools.demo --stay --host $(HOST)

# The tests of the last folders start servers that they share, so each of two runs takes some folders. (Groups of
# pytest-xdist would say the same in one run; 3.8.0 knows none with pytest 9.2.) A failure in the first folders does not
# hide those in the last.
define tests_of
failed=0; set -x; \
$(1)/bin/python -m pytest -n 2 tests/unit tests/contract || failed=1; \
$(MAKE) --no-print-directory --jobs=2 --keep-going --output-sync=target $(2) || failed=1; \
exit $$failed
endef

test: .venv/.ready .venv-mlflow/.ready ## Run every test on Airflow 3
	@$(call tests_of,.venv,.venv/tests/airflow .venv/tests/e2e+mlflow)

test-airflow2: .venv-airflow2/.ready ## Run the same tests on Airflow 2.11, but for those of MLflow, which know no Airflow
	@$(call tests_of,.venv-airflow2,.venv-airflow2/tests/airflow .venv-airflow2/tests/e2e)

test-matrix: .venv/.ready ## Run what depends on versions on each pair of them in constraints/matrix
	$(BIN)/python -m tools.matrix

# The Airflows that `make test` and `make test-airflow2` leave out and that the same Python runs, without what takes long.
test-versions: .venv/.ready ## The short form of it, some five minutes: public names and examples on other Airflows
	$(BIN)/python -m tools.matrix --without 'Unit tests' --without 'A DAG run' \
	  airflow-2.10.5-python-3.11 airflow-2.11.1-python-3.11 airflow-3.1.7-python-3.11

compatibility: .venv/.ready ## What test-matrix does, and write the results into docs/compatibility.md
	$(BIN)/python -m tools.matrix --write

.venv/tests/% .venv-airflow2/tests/%:
	$(firstword $(subst /, ,$@))/bin/python -m pytest $(addprefix tests/,$(subst +, ,$*))

# Beside `make test`, not in it: following each branch takes a tenth longer. What containers and emulators in processes
# of their own execute is not seen, so that much of the runtime shows as 0 %.
coverage: .venv/.ready ## Measure which branches tests/unit and tests/contract take
	$(BIN)/python -m pytest -n 2 --cov --cov-report=term tests/unit tests/contract

.PHONY: test-containers
test-containers: .venv/.ready ## Run the tests of real containers: as root, with Debian's podman, runc and debootstrap
	$(BIN)/python tests/containers/base_image.py
	$(BIN)/python -m pytest tests/containers

.PHONY: test-distributed
test-distributed: .venv/.ready .venv-distributed/.ready ## Train on three machines with PyTorch (some gigabytes) and LightGBM
	$(BIN)/python -m pytest tests/distributed

lint: .venv/.ready ## Check style, types and the import rules
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/.ready ## Format the code and mend what ruff can mend
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: .venv/.ready .venv-image/.ready .venv-kedro-vertexai/.ready ## Measure it, beside Kedro, Google and kedro-vertexai
	@for file in tests/benchmarks/bench_*.py; do $(BIN)/python $$file || exit 1; done

docs: .venv/.ready .venv-docs/.ready ## Write the reference of the settings and the emulator's API, and build the pages into build/site
	$(BIN)/python -m tools.configuration_page
	$(BIN)/python -m tools.emulator_api_page
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/python -m mkdocs build --strict

prices: .venv/.ready ## Write the estimated prices of machines from tools/machine_prices.csv
	$(BIN)/python -m tools.machine_prices

pictures: .venv/.ready ## Take the pictures in docs/images again (needs Chromium)
	PICTURES=docs/images $(BIN)/python -m pytest tests/e2e tests/airflow/test_assets.py tests/airflow/test_node_runs.py -m browser

constraints: .venv/.ready ## Pin today's newest releases that agree with constraints/*.in and constraints/matrix/*.in
	$(foreach airflow,airflow-2 airflow-3,$(BIN)/uv pip compile pyproject.toml --quiet --upgrade --universal \
	  --python-version 3.11 $(foreach extra,$(subst $(comma), ,$(EXTRAS)) mlflow,--extra $(extra)) \
	  --constraint constraints/$(airflow).in --output-file constraints/$(airflow).txt \
	  --no-header --no-annotate --no-emit-index-url &&) true
	$(BIN)/uv pip compile constraints/docs.in --quiet --upgrade --universal --python-version 3.11 \
	  --output-file constraints/docs.txt --no-header --no-annotate --no-emit-index-url
	$(BIN)/uv pip compile pyproject.toml constraints/distributed.in --quiet --upgrade --universal --python-version 3.11 \
	  --extra runtime --constraint constraints/airflow-3.txt \
	  --output-file constraints/distributed.txt --no-header --no-annotate --no-emit-index-url
	$(BIN)/uv pip compile constraints/kedro-vertexai.in --quiet --upgrade --universal --python-version 3.11 \
	  --output-file constraints/kedro-vertexai.txt --no-header --no-annotate --no-emit-index-url
	$(foreach pair,$(basename $(wildcard constraints/matrix/*.in)),$(BIN)/uv pip compile pyproject.toml --quiet --upgrade \
	  --python-version $(lastword $(subst -, ,$(pair))) $(if $(findstring -floors-,$(pair)),--resolution lowest-direct) \
	  $(foreach extra,$(if $(findstring /kedro-,$(pair)),kfp,airflow) kedro runtime emulator example test,--extra $(extra)) \
	  --constraint $(pair).in --output-file $(pair).txt --no-header --no-annotate --no-emit-index-url &&) true

clean: ## Remove the environments and everything that the other targets made
	rm -rf .venv .venv-* .coverage .demo .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# An environment is built when its constraints or the extras changed. Bytecode is compiled once here: Airflow starts
# a process for each task, and each would compile what it imports if bytecode may not be written later.
.venv/.ready: constraints/airflow-3.txt pyproject.toml
.venv-airflow2/.ready: constraints/airflow-2.txt pyproject.toml
.venv/.ready .venv-airflow2/.ready:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "make needs Python 3.11 or newer: make PYTHON=python3.12")'
	@echo "Building $(@D) from $<. The first time takes some minutes."
	@$(PYTHON) -m venv $(@D)
	@$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --constraint $< uv
	@$(@D)/bin/uv pip install --quiet --python $(@D)/bin/python --compile-bytecode --constraint $< --editable '.[$(EXTRAS)]'
	@touch $@

# A node's image of a project that uses kedro-mlflow, for the tests: no Airflow, as in a real one.
.venv-mlflow/.ready: constraints/airflow-3.txt pyproject.toml .venv/.ready
	@echo "Building $(@D) from $<."
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(@D)
	@$(BIN)/uv pip install --quiet --python $(@D)/bin/python --compile-bytecode --constraint $< \
	  --editable '.[runtime,mlflow]' 'kedro-datasets[json-jsondataset]'
	@touch $@

# What the benchmarks compare: the packages of the example's image, and kedro-vertexai in an image of the same project.
.venv-image/.ready: constraints/airflow-3.txt dags_examples/flights/requirements.txt pyproject.toml .venv/.ready
	@echo "Building $(@D) from $<."
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(@D)
	@$(BIN)/uv pip install --quiet --python $(@D)/bin/python --compile-bytecode --constraint $< \
	  --requirement dags_examples/flights/requirements.txt --editable '.[runtime]'
	@touch $@

# A node's image of a project that trains on several machines.
.venv-distributed/.ready: constraints/distributed.txt pyproject.toml .venv/.ready
	@echo "Building $(@D) from $<: some gigabytes."
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(@D)
	@$(BIN)/uv pip install --quiet --python $(@D)/bin/python --compile-bytecode --requirement $< --editable '.[runtime]' \
	  'kedro-datasets[json-jsondataset]'
	@touch $@

.venv-docs/.ready: constraints/docs.txt .venv/.ready
	@echo "Building $(@D) from $<."
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(@D)
	@$(BIN)/uv pip install --quiet --python $(@D)/bin/python --requirement $<
	@touch $@

# Its kfp needs a Python older than 3.13; uv fetches one where there is none.
.venv-kedro-vertexai/.ready: constraints/kedro-vertexai.txt .venv/.ready
	@echo "Building $(@D) from $<."
	@$(BIN)/uv venv --quiet --clear --python 3.11 $(@D)
	@$(BIN)/uv pip install --quiet --python $(@D)/bin/python --compile-bytecode --requirement $<
	@touch $@
