# `make help` lists the targets.
# Recipes use only what the lock file installs; the first target that needs it makes the environment in .venv.
PYTHON ?= python3
BIN := .venv/bin
ARGS ?=
SECONDS ?= 1800
N ?= 100000
PAIRS ?= 10000
GROUPS ?= 500
SEED ?=
FEATURES ?=
FAULTS ?=
CODE := lws_placement webhook certs tests manifests

# Another version of Kubernetes that we have module files for: make test KUBERNETES=1.35.4
KUBERNETES ?=
ifneq ($(KUBERNETES),)
export LWS_PLACEMENT_KUBERNETES_VERSION := $(KUBERNETES)
endif

# The tests start hundreds of processes of ours: compiled once, not each time.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help venv demo test lint unit e2e peers control-plane node sbom audit image soak fuzz differ bench bench-day manifests api-types chart dashboard lock clean

help: ## List the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

venv: $(BIN)/.complete ## Make the environment in .venv from requirements.lock

$(BIN)/.complete: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or later is needed; say which one with: make PYTHON=/path/to/python3.11 ..."; exit 1; }
	@echo "installing the packages of requirements.lock into .venv (once, about a minute)"
	@rm -rf .venv
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: venv ## See whole groups land on a real control plane; ARGS=--keep leaves it running
	@$(BIN)/lws-placement demo $(ARGS)

# Two workers, each with a control plane of its own; a file's tests stay together, as they share one. In order of their
# names: long files of one test would otherwise come last, one after the other.
WORKERS := -n 2 --dist loadfile --no-loadscope-reorder

test: lint control-plane ## Everything: lint, unit and end-to-end tests (builds the control plane once)
	$(BIN)/pytest --e2e $(WORKERS) $(ARGS)

lint: venv ## ruff, mypy --strict, import-linter, generated files up to date
	$(BIN)/ruff format --check --quiet $(CODE)
	$(BIN)/ruff check --quiet $(CODE)
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

unit: venv ## Unit tests alone: a few minutes, no control plane
	$(BIN)/pytest $(ARGS)

e2e: control-plane ## End-to-end tests alone
	$(BIN)/pytest --e2e tests/e2e $(WORKERS) $(ARGS)

peers: control-plane ## End-to-end tests beside the real LeaderWorkerSet, JobSet, Kueue and Karpenter (built once, 12 minutes)
	@$(BIN)/python tests/peers/programs.py
	$(BIN)/pytest --e2e --peers -m peers tests/e2e $(WORKERS) $(ARGS)

control-plane: venv ## Build etcd, kube-apiserver and the rest into the cache, once; 10 minutes; KUBERNETES=1.35.4
	@$(BIN)/python -m lws_placement.localcluster.binaries

node: venv ## Tests on a real kubeadm node with kubelet and containerd (root, Debian); ARGS=--keep leaves it running
	$(BIN)/pytest --node tests/node $(ARGS)

fuzz: venv ## Random bodies for webhook and extender, on random clusters; N=100000, SEED=1 makes a round again
	LWS_PLACEMENT_FUZZ_BODIES=$(N) LWS_PLACEMENT_FUZZ_SEED=$(or $(SEED),random) \
	  $(BIN)/pytest tests/test_fuzz.py -s -p no:logging -k test_every_body $(ARGS)

soak: control-plane ## Tenants and faults beside each other on the real control plane; SECONDS=1800 SEED=1 FAULTS=kills,stops
	LWS_PLACEMENT_SOAK_SECONDS=$(SECONDS) LWS_PLACEMENT_SOAK_SEED=$(or $(SEED),random) LWS_PLACEMENT_SOAK_FAULTS=$(FAULTS) \
	  $(BIN)/pytest --e2e tests/e2e/test_soak.py -s $(ARGS)

differ: control-plane ## Ours against the real kube-scheduler; PAIRS=10000 GROUPS=500 SEED=1 FEATURES=nodes,spread
	LWS_PLACEMENT_DIFFER_PAIRS=$(PAIRS) LWS_PLACEMENT_DIFFER_GROUPS=$(GROUPS) LWS_PLACEMENT_DIFFER_SEED=$(or $(SEED),random) \
	  LWS_PLACEMENT_DIFFER_FEATURES=$(FEATURES) \
	  $(BIN)/pytest --e2e tests/e2e/test_differ.py tests/e2e/test_differ_groups.py -s $(ARGS)

bench: venv ## What placement costs; ARGS="engine extender" chooses parts, ARGS=--help lists them
	$(BIN)/python -m tests.bench $(ARGS)

bench-day: venv ## A simulated day of groups: ours, first fit and random
	$(BIN)/python -m tests.bench_day $(ARGS)

manifests: venv ## Generate manifests/crd/crd.yaml anew from a real API server's schema
	$(BIN)/python manifests/crd/make_crd.py

api-types: venv ## Write the types of a real API server's kinds anew, for the tests (tests/support/api_types.json)
	PYTHONPATH=tests $(BIN)/python -m support.api_types

chart: venv ## Generate the Helm chart's templates anew from the kustomize manifests and the settings
	$(BIN)/python manifests/helm/make_chart.py

dashboard: venv ## Generate manifests/monitoring/dashboard.json anew
	$(BIN)/python manifests/monitoring/make_dashboard.py

sbom: build/sbom.json ## Write the image's bill of materials (CycloneDX), build/sbom.json, from its lock file

build/sbom.json: manifests/image/requirements.lock pyproject.toml build/sbom/.complete
	build/sbom/bin/cyclonedx-py requirements manifests/image/requirements.lock --pyproject pyproject.toml \
	  --mc-type application --output-reproducible --output-file $@

build/sbom/.complete: manifests/image/sbom.lock
	$(PYTHON) -m venv --clear build/sbom
	build/sbom/bin/pip install --quiet --disable-pip-version-check --require-hashes -r manifests/image/sbom.lock
	@touch $@

audit: build/audit/.complete ## Known vulnerabilities of the pinned packages; needs PyPI's own index, not a mirror
	@build/audit/bin/python manifests/image/audit.py build/audit/bin/pip-audit \
	  requirements.lock manifests/image/requirements.lock

build/audit/.complete: manifests/image/audit.lock
	$(PYTHON) -m venv --clear build/audit
	build/audit/bin/pip install --quiet --disable-pip-version-check --require-hashes -r manifests/image/audit.lock
	@touch $@

ENGINE ?= docker
BASE ?=
IMAGE ?= registry.example.com/lws-placement:0.1.0

image: ## Build a release's image: IMAGE=NAME:TAG BASE=python:3.11-slim@sha256:...; ENGINE=docker
	$(ENGINE) build --build-arg RELEASE=yes --build-arg BASE=$(BASE) --tag $(IMAGE) --file manifests/image/Dockerfile .

COMPILE := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
  --no-emit-index-url --no-emit-find-links

lock: venv ## Resolve the newest versions into requirements.lock, and the image's part of it (needs uv on PATH)
	$(COMPILE) --all-extras --upgrade --output-file requirements.lock pyproject.toml
	$(COMPILE) --extra build --constraint requirements.lock --output-file manifests/image/requirements.lock pyproject.toml
	echo pip-audit | $(COMPILE) --upgrade --output-file manifests/image/audit.lock -
	echo cyclonedx-bom | $(COMPILE) --upgrade --output-file manifests/image/sbom.lock -

clean: ## Remove the environment and caches of the tools, not the built control plane
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info
