# `make` alone says what there is.
SHELL := /bin/sh
.DELETE_ON_ERROR:
.NOTPARALLEL:

PYTHON ?= python3
PORT ?= 8080
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
TSC := client/node_modules/.bin/tsc

.PHONY: help
help:
	@echo 'make run     the shop on http://127.0.0.1:$(PORT), with a demo stream (PORT=... changes the port)'
	@echo 'make test    everything: check, then all tests; installs what they need'
	@echo 'make faults  20 rounds of random kills under load (ROUNDS=..., SEED=... for the same ones again)'
	@echo 'make outage  MariaDB away for ten seconds in the middle of a rush, in three ways'
	@echo 'make deploys another version comes in under load, and goes again (FROM=a commit, VIEWERS=...)'
	@echo 'make hostile eight times the made-up requests and frames (TIMES=..., SEED=...)'
	@echo 'make looks   every state of every page in every size, scheme and language: axe, and nothing cut'
	@echo 'make check   format, lint, types of both sides, and who may import whom'
	@echo 'make screenshots  pictures of every state of every page (STATES=..., VARIANTS=..., SIZES=...)'
	@echo 'make lighthouse   what Lighthouse says of the pages on a phone; fails below 95 (PAGES=...)'
	@echo 'make venv    .venv with the locked dependencies and .venv/bin/dropcast'
	@echo 'make image   the container image dropcast:latest, by docker, podman or buildah (IMAGE=... names it)'
	@echo 'make image-test  builds it, as root and without an engine, and sells something with it; takes minutes'
	@echo 'make env     .env with new passwords, for compose.yaml'
	@echo 'make lock    the lock files again, from pyproject.toml and client/package.json'
	@echo 'make clean   removes what the others made'

# exec: Ctrl-C and SIGTERM reach the server itself.
.PHONY: run
run: venv packages
	@exec env DROPCAST_BIND='127.0.0.1:$(PORT)' $(BIN)/dropcast demo

# The parts run side by side: each alone leaves much of two cores idle. Those that start no replica, and those in which
# counts decide and nobody has to be quick, give way to the rest.
QUIET := tests/golden tests/laws tests/shape tests/unit
CONTRACTS := tests/contract
PATIENT := tests/integration tests/chart
LOADS := tests/integration/test_scenarios.py
PAGES := tests/browser
ROADS := tests/journeys
AGAIN := $(MAKE)
PYTEST := $(BIN)/pytest -q -p no:cacheprovider

.PHONY: test
test: .venv/.stamp-dev client/node_modules/.stamp-dev programs
	@.ci/install-helm
	@mkdir -p test-artifacts; parts= failed=; \
	part() { name=$$1; shift; "$$@" >test-artifacts/$$name.log 2>&1 & parts="$$parts $$name=$$!"; }; \
	trap 'for part in $$parts; do kill $${part#*=}; done' INT TERM; \
	part check $(AGAIN) --no-print-directory check browser-unit; \
	part quiet nice -n 10 $(PYTEST) $(QUIET); \
	part contracts nice -n 10 $(PYTEST) $(CONTRACTS); \
	part patient nice -n 5 $(PYTEST) $(PATIENT) --ignore=$(LOADS); \
	part loads nice -n 2 $(PYTEST) $(LOADS); \
	part pages nice -n 2 $(PYTEST) $(PAGES); \
	part roads $(PYTEST) $(ROADS); \
	$(BIN)/pytest -q $(addprefix --ignore=,$(QUIET) $(CONTRACTS) $(PATIENT) $(PAGES) $(ROADS)) || failed=' others'; \
	for part in $$parts; do wait $${part#*=} || failed="$$failed $${part%=*}"; \
	echo "== $${part%=*}"; cat test-artifacts/$${part%=*}.log; done; \
	[ -z "$$failed" ] || { echo "failed:$$failed" >&2; exit 1; }

.PHONY: browser-unit
browser-unit:
	@set -- $$(find tests/browser_unit -name '*.test.js' -o -name '*.test.mjs' | sort) && \
	if [ $$# -eq 0 ]; then echo 'error: no *.test.js in tests/browser_unit' >&2; exit 1; fi; \
	echo "node --test ($$# files)"; node --test "$$@"

# `make test` plays one of these rounds. The seed of each is printed; with SEED= its kills and wishes come again.
ROUNDS ?= 20

.PHONY: faults
faults: .venv/.stamp-dev programs
	$(BIN)/pytest -q -s tests/faults --fault-rounds $(ROUNDS) $(if $(SEED),--fault-seed $(SEED))

# `make test` goes from this version to a next one, before 100 viewers. FROM: the last one with an older database, or a commit.
VIEWERS ?= 2000
FROM ?= before

.PHONY: deploys
deploys: .venv/.stamp-dev programs
	$(BIN)/pytest -q -s tests/deploys --deploy-viewers $(VIEWERS) --deploy-from $(FROM)

# `make test` makes one time the requests and frames, of seed 1. The seed is printed; with it they come again.
TIMES ?= 8

.PHONY: hostile
hostile: .venv/.stamp-dev programs
	$(BIN)/pytest -q -s tests/hostile --hostile-times $(TIMES) $(if $(SEED),--hostile-seed $(SEED))

.PHONY: outage
outage: .venv/.stamp-dev programs
	OUTAGE_S=10 $(BIN)/pytest -q tests/journeys/test_the_database_is_lost.py

# `make test` looks at some states of every page, each once; here at all, in every size, scheme and language.
.PHONY: looks
looks: .venv/.stamp-dev client/node_modules/.stamp-dev programs
	$(BIN)/pytest -q --all-looks tests/browser/test_accessible.py tests/browser/test_overlay_fits.py

.PHONY: check
check: .venv/.stamp-dev client/node_modules/.stamp-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(TSC) --project client/tsconfig.json
	$(TSC) --project client/tsconfig.tests.json

# Names or patterns, by commas: STATES='stream-*', VARIANTS='light,zh', SIZES=phone.
.PHONY: screenshots
screenshots: .venv/.stamp-dev programs
	@.ci/install-fonts
	$(BIN)/python -m tests.browser.screenshots --states '$(or $(STATES),*)' --variants '$(or $(VARIANTS),*)' \
	--sizes '$(or $(SIZES),*)'

.PHONY: lighthouse
lighthouse: .venv/.stamp-dev client/node_modules/.stamp-dev programs
	$(BIN)/python -m tests.browser.lighthouse $(if $(PAGES),--pages '$(PAGES)')

.PHONY: programs
programs:
	@.ci/install-programs

# Whoever has packages from a mirror says so: IMAGE_OPTIONS='--secret id=pip.conf,src=... --secret id=npmrc,src=...'.
IMAGE ?= dropcast:latest
REVISION = $(shell git rev-parse --short HEAD 2>/dev/null || echo unknown)

.PHONY: image
image:
	@if docker info >/dev/null 2>&1; then build='docker build'; \
	elif command -v podman >/dev/null; then build='podman build --format docker'; \
	elif command -v buildah >/dev/null; then build='buildah build --format docker'; \
	else echo 'error: no docker that runs, no podman and no buildah: install one of them' >&2; exit 1; fi; \
	set -x; $$build --build-arg REVISION='$(REVISION)' $(IMAGE_OPTIONS) --tag '$(IMAGE)' .

.PHONY: image-test
image-test: .venv/.stamp-dev programs
	@command -v buildah >/dev/null && command -v debootstrap >/dev/null || .ci/apt-install buildah debootstrap
	$(BIN)/pytest -q tests/image

# Never over passwords that a database was already made with.
.PHONY: env
env:
	@if [ -e .env ]; then echo 'error: .env is there already, and the database knows its passwords' >&2; exit 1; fi
	@umask 077; for name in MYSQL_ROOT_PASSWORD MYSQL_PASSWORD DROPCAST_SECRET_KEYS; do \
	echo "$$name=$$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')"; done >.env; echo 'made .env; keep a copy of it'

# The stamps make the second time quick; a lock file that changed makes them old.

.PHONY: venv
venv: .venv/.stamp

.venv/.stamp: requirements.lock pyproject.toml .ci/create-venv
	@PYTHON='$(PYTHON)' .ci/create-venv
	$(PIP) install --require-hashes -r requirements.lock
	$(PIP) install --no-deps -e .
	@touch $@

.venv/.stamp-dev: .venv/.stamp requirements-dev.lock
	$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@

# What is served to browsers. Where it cannot be had the shop runs without, having said what that means.
.PHONY: packages
packages:
	@[ client/node_modules/.stamp -nt client/package-lock.json ] || \
	if .ci/install-packages --run; then touch client/node_modules/.stamp; fi

client/node_modules/.stamp-dev: client/package-lock.json
	@.ci/install-packages
	@touch client/node_modules/.stamp $@

# uv resolves for every platform and Python at once; the files must not say where packages come from.
UV_COMPILE := $(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-emit-find-links --no-header

.PHONY: lock
lock:
	@PYTHON='$(PYTHON)' .ci/create-venv
	$(PIP) install --upgrade uv
	$(UV_COMPILE) -o requirements.lock
	$(UV_COMPILE) --group dev -o requirements-dev.lock
	.ci/lock-packages

.PHONY: clean
clean:
	rm -rf .venv client/node_modules test-artifacts *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
