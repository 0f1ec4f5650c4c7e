# Every target works on a fresh machine: what it needs, it makes first. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VERSION := 0.1.0
VENV := .venv
PYTHON := $(VENV)/bin/python
DEVCLUSTER := devcluster/devcluster
PYTEST := $(PYTHON) -m pytest
# For tests that wait more than they work; one file's share a server.
SIDE_BY_SIDE := -n 3 --dist loadfile
KILLS := 100
DEMO := $(PYTHON) examples/demo/demo.py
IMAGES := operator session-pod api emulator
DOCKERFILE_emulator := tests/emulator/Dockerfile

.PHONY: help
help: ## say what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 20

.PHONY: demo
demo: venv images ## a cluster, the chart, an emulated WhatsApp, and the README's walk through it
	$(DEMO) run

.PHONY: up
up: venv images ## the same against the real WhatsApp: ready for a phone
	$(DEMO) up

.PHONY: down
down: ## end what `make demo` or `make up` started
	$(DEVCLUSTER) down

.PHONY: test
test: venv images ## every test: unit, integration, end to end
	$(PYTEST) -m unit tests
	@! command -v go >/dev/null || (cd devcluster && go test ./...)
	$(PYTEST) -m integration $(SIDE_BY_SIDE) tests
	$(PYTEST) -m e2e $(SIDE_BY_SIDE) tests/devcluster
	$(PYTEST) -m e2e tests/e2e

.PHONY: test-unit
test-unit: venv ## no process, no network
	$(PYTEST) -m unit tests

.PHONY: test-integration
test-integration: venv ## a real API server without nodes, real neonize against the emulator
	$(PYTEST) -m integration $(SIDE_BY_SIDE) tests

.PHONY: test-e2e
test-e2e: venv images ## the whole system on a cluster
	$(PYTEST) -m e2e $(SIDE_BY_SIDE) tests/devcluster
	$(PYTEST) -m e2e tests/e2e

.PHONY: faults
faults: venv ## everything that is tested by breaking it, with fresh seeds, and one table of it all
	rm -f .bench/faults-*.json
	-$(MAKE) --keep-going faults-pod faults-walks faults-operator
	$(PYTHON) tests/faults/summary.py

.PHONY: faults-pod
faults-pod: venv ## kill a pod 100 times at random moments and check what WhatsApp and the backend saw; SEED=n replays one life
	PYTHONPATH=tests/faults:tests/integration/pod:tests/emulator/src $(PYTHON) -m podhistory $(if $(SEED),--seed $(SEED),--kills $(KILLS))

.PHONY: faults-walks
faults-walks: venv ## walk sessions over the schema of their spec and check each step (4 minutes); SEED=n WALK=name replays one walk
	PYTHONPATH=tests/faults:tests/integration/operator $(PYTHON) -m walks $(if $(SEED),--seed $(SEED)) $(if $(WALK),--walk '$(WALK)')

.PHONY: faults-operator
faults-operator: venv ## break the operator's world at every point of its life (15 minutes; FLAGS=--all: in every way); POINT=name tries that one
	PYTHONPATH=tests/faults:tests/integration/operator $(PYTHON) -m operatorpoints $(FLAGS) $(if $(POINT),'$(POINT)')

.PHONY: bench-pod
bench-pod: venv ## what a session pod costs, beside a bare neonize script (20 minutes; FLAGS=--quick: 3)
	$(PYTHON) tests/bench/pod_footprint.py $(FLAGS)

.PHONY: bench-start
bench-start: venv images ## how long a new session takes to its QR code, part by part, beside a bare pod (6 minutes; FLAGS=--quick: 2)
	$(PYTHON) tests/bench/warm_start.py $(FLAGS)

.PHONY: bench-operator
bench-operator: venv ## the operator with 1,000 and 10,000 sessions, beside the StatefulSet controller (20 minutes; FLAGS=--quick: 6)
	$(PYTHON) tests/bench/operator_scale.py $(FLAGS)

.PHONY: lint
lint: venv ## ruff, mypy, import-linter, generated files
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(PYTHON) charts/generate.py --check
	$(PYTHON) crds/reference.py --check
	$(PYTHON) session-pod/reference.py --check
	$(PYTHON) operator/reference.py --check
	@! command -v gofmt >/dev/null || test -z "$$(gofmt -l devcluster | tee /dev/stderr)"
	test ! -e operator/__init__.py  # it would shadow the standard library

.PHONY: format
format: venv ## let ruff write what it can
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

.PHONY: generate
generate: venv ## files that are made from other files
	$(PYTHON) charts/generate.py
	$(PYTHON) crds/reference.py
	$(PYTHON) session-pod/reference.py
	$(PYTHON) operator/reference.py

.PHONY: images
images: ## the four images, by Docker where there is one, else by devcluster
	@for image in $(IMAGES); do \
	  file=$$image/Dockerfile; [ $$image != emulator ] || file=$(DOCKERFILE_emulator); \
	  $(DEVCLUSTER) build-image -f $$file -t localhost/wasession/$$image:$(VERSION) .; \
	done

.PHONY: venv
venv: $(VENV)/.ready ## the Python environment, from the lock file

$(VENV)/.ready: requirements.lock pyproject.toml
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or later is needed, this is $$(python3 --version)"; exit 1; }
	test -x $(PYTHON) || python3 -m venv $(VENV)
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	devcluster/ensure-libmagic
	touch $@

.PHONY: lock
lock: ## write the lock files anew, with hashes and without an index
	$(PYTHON) devcluster/lock.py

.PHONY: clean
clean: down ## remove everything that these targets made here
	rm -rf $(VENV) .devcluster .pytest-kind .bench .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
