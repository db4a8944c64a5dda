# rt-predictor: everything a person does, by name. `make` alone lists it.
#
# With a Docker engine the services run in Compose; LOCAL=1 (or no engine) runs them as local processes in .venv.
# DATA=PATH trains on that log (Eagle parquet or csv, SWF, sacct); without it, on a synthetic one.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

LOCAL ?=
DATA ?=
PROFILE ?= standard
UPDATE ?=
ROWS ?= 100000
# more than cores: many tests wait
WORKERS ?= 3

# evaluated only by the targets that use it: asking the engine takes a moment
WHERE = $(if $(filter-out 0 no,$(LOCAL)),scripts/local.sh,$(shell scripts/compose.sh available >/dev/null 2>&1 && echo scripts/compose.sh || echo scripts/local.sh))

TIMEZONE ?= UTC

# threads that wait for each other must not keep the cores busy: several test processes share them
OMP_WAIT_POLICY ?= passive

export DATA PROFILE UPDATE ROWS TIMEZONE OMP_WAIT_POLICY

BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest

.PHONY: help setup build train start stop restart logs status clean clean-all fresh-start \
  train-m2max start-m2max fresh-start-m2max data test test-compose test-browser test-slurm test-offline bundle screenshots bench-pages interop prometheus kubernetes kubernetes-rules fuzz lint bench lock proto settings environment

help: ## list the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z0-9-]+:.*## / {printf "  %-18s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

environment:
	@scripts/setup.sh

setup: ## get ready: the images (or with LOCAL=1 the environment .venv)
	@$(WHERE) setup

build: ## build the images (or bring .venv up to date)
	@$(WHERE) build

train: ## train a model on DATA with PROFILE and publish it; UPDATE=1 goes on from the current one
	@$(WHERE) train

start: ## start API, UI and metrics, and wait until they answer
	@$(WHERE) start

stop: ## let running calls end, then stop the services; models and history stay
	@$(WHERE) stop

restart: ## stop and start
	@$(WHERE) restart

logs: ## follow what the services write
	@$(WHERE) logs

status: ## what runs, on which ports, with which model
	@$(WHERE) status

clean: ## stop, and remove what can be made again: containers, processes' files, caches
	@$(WHERE) clean

clean-all: ## as clean, and remove models, history, synthetic data and images: what was learned is lost
	@$(WHERE) clean-all

fresh-start: ## clean-all, then setup, build, train and start
	@for step in clean-all setup build train start; do $(WHERE) $$step; done

train-m2max: ## train with the M2 Max profile: 10 cores, 48 GB
	@PROFILE=m2max $(WHERE) train

start-m2max: ## start with the memory of the M2 Max profile
	@PROFILE=m2max $(WHERE) start

fresh-start-m2max: ## clean-all, then everything with the M2 Max profile
	@for step in clean-all setup build train start; do PROFILE=m2max $(WHERE) $$step; done

data: environment ## download NREL's Eagle data to data/ (253 MB); go on with DATA=data/eagle_data.parquet
	@$(BIN)/python scripts/get_eagle.py $(ARGS)

test: environment ## the environment and all tests that need no container engine, browser or Slurm
	@$(PYTEST) -n $(WORKERS) -m "not compose and not browser and not slurm and not offline" $(ARGS)

interop: ## build grpcurl and grpc-health-probe, which make test asks the service with where they are
	@scripts/interop.sh

test-compose: environment ## end to end in containers: build, train, predict, restart, clean
	@scripts/compose.sh available || { echo "error: docker: no engine answers; start one, or use make test" >&2; exit 1; }
	@$(PYTEST) -m compose tests/compose $(ARGS)

test-browser: environment ## the pages in a real Chromium
	@scripts/suite.sh browser $(ARGS)

test-offline: environment ## a bundle installs, serves and predicts without a network; as root also on a machine that systemd boots
	@$(PYTEST) -n0 -m offline tests/offline $(ARGS)

bundle: environment ## one archive that installs everything without a network, in dist/ (ARGS="--models models")
	@scripts/bundle.sh $(ARGS)

screenshots: environment ## write docs/screenshots from the running system, in a real Chromium
	@$(PYTEST) -n0 tests/browser/screenshots.py $(ARGS)

test-slurm: environment ## the integration with a real Slurm
	@scripts/suite.sh slurm $(ARGS)

prometheus: ## take Prometheus out of its image: make test tests rules and dashboards with it where it is
	@scripts/prometheus.sh

kubernetes: environment ## fetch kustomize and schemas: make test judges k8s/ with them where they are
	@scripts/kubernetes.sh

kubernetes-rules: environment ## write k8s/components/monitoring/prometheus-rule.yaml from monitoring/rules
	@$(BIN)/python scripts/prometheus_rule.py

fuzz: environment ## a million wrong inputs to all that the API reads (ARGS="--target arrow --seed 2")
	@nice -n 10 $(BIN)/python tests/fuzz/fuzz.py $(ARGS)

bench-pages: environment ## what the pages take in a real Chromium: seconds to an answer, memory for a million rows
	@$(PYTEST) -n0 -q -s tests/browser/measurements.py $(ARGS)

lint: environment ## ruff, mypy, buf, import borders: what must hold before a commit
	@scripts/lint.sh

bench: environment ## the benchmarks, small; in full by name (ARGS=growth, peer, options, backtest, serving)
	@$(BIN)/python benchmarks/run.py $(ARGS)

lock: environment ## resolve requirements/*.in anew; UPGRADE=1 takes the newest versions that fit
	@scripts/lock.sh $(if $(UPGRADE),--upgrade)

proto: environment ## generate the stubs from proto/ again
	@$(BIN)/python proto/generate.py

settings: environment ## write docs/reference/settings.md and .env.example from the API's settings
	@$(BIN)/python scripts/settings_reference.py
