# Every command a person needs. `make` prints the list; the first one that needs it makes .venv.

RUN = exec .venv/bin/python -m
STACK ?= local
PACKAGES = $(wildcard services/*/pyproject.toml deploy/*/pyproject.toml deploy/tools/*/pyproject.toml)
# What is checked from outside the checkout's own environment must not leak into it.
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV

.DEFAULT_GOAL := help
.PHONY: help demo up clean test lint model bench races tamper mutants lock contracts requirements dlq why law registers

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

demo: .venv/.ready ## everything on this machine, and the main story through it (ONCE=1: then stop; JSON=1: result as JSON)
	@$(RUN) local_stack demo $(if $(ONCE),--once) $(if $(JSON),--json)

up: .venv/.ready ## the same without the story
	@$(RUN) local_stack up

clean: .venv/.ready ## forget everything that demo and up have made
	@$(RUN) local_stack clean

test: .venv/.ready ## all tests (STACK=containers: on PostgreSQL and Kafka from Docker; TESTS=tests/consent: some of them)
	@SAMLOGG_TEST_STACK='$(STACK)' $(RUN) pytest $(TESTS)

lint: .venv/.ready ## ruff and mypy
	@.venv/bin/python -m ruff check .
	@.venv/bin/python -m ruff format --check .
	@$(RUN) mypy services deploy tests

model: .venv/.ready ## every interleaving of small worlds, and each rule taken out (ten minutes, or SECONDS=60 for the worlds; JSON=1; STORY=words: tell it)
	@$(RUN) tests.protocol $(if $(SECONDS),--seconds $(SECONDS)) $(if $(JSON),--json) $(if $(STORY),--story '$(STORY)')

bench: .venv/.ready ## the numbers, one JSON line each
	@$(RUN) tests.bench $(BENCH)

races: .venv/.ready ## real processes under faults, judged (SECONDS=600 SEED=n KILLS=200 BREAK=second-check JSON=1 LOGS=folder)
	@$(RUN) tests.races $(if $(SECONDS),--seconds $(SECONDS)) $(if $(SEED),--seed $(SEED)) $(if $(KILLS),--kills $(KILLS)) \
		$(if $(BREAK),--break $(BREAK)) $(if $(LOGS),--logs '$(LOGS)') $(if $(JSON),--json)

tamper: .venv/.ready ## 10,000 ledgers tampered with at random: each must be found and named (COUNT=500 POSTGRES=1 SEED=7)
	@$(RUN) tests.verify.tampering --count $(or $(COUNT),10000) $(if $(SEED),--seed $(SEED)) $(if $(POSTGRES),--postgres)

mutants: .venv/.ready ## every small mistake in the rules that decide must be noticed by their tests (MODULE=lease WORKERS=4 JSON=1)
	@$(RUN) tests.mutants $(MODULE) $(if $(WORKERS),--workers $(WORKERS)) $(if $(JSON),--json)

contracts: .venv/.ready ## write the contracts of the services and the provisioner from the code
	@.venv/bin/python -m chassis.contract consent directory logbook notify gateway
	@$(RUN) chassis.contract provisioner --into deploy

requirements: .venv/.ready ## which requirements the last test run has shown
	@$(RUN) tests.requirement_report

dlq: .venv/.ready ## dead letters of what runs: list, show, replay (ARGS="show …")
	@$(RUN) samlogg dlq $(ARGS)

why: .venv/.ready ## who leads, who may answer, who is behind, what is unconfirmed
	@$(RUN) samlogg why $(ARGS)

law: .venv/.ready ## who decides and who sees, by age (BORN=2011-03-04 or DUE=2027-02-01, ON=2026-11-23 FACTS="responsibility=mor,capacity=able" JSON=1; PAGE=1: all of it; NEW=file: whom it would touch)
	@$(RUN) samlogg law $(if $(BORN),--born '$(BORN)') $(if $(DUE),--due '$(DUE)') $(if $(ON),--on '$(ON)') $(if $(FACTS),--facts '$(FACTS)') \
		$(if $(NEW),--new '$(NEW)') $(if $(TABLE),--table '$(TABLE)') $(if $(PLACE),--municipality '$(PLACE)') $(if $(JSON),--json)

registers: .venv/.ready ## play a person register's events from a file into what runs (FILE=events.jsonl; AGAIN=1: what was put aside too)
	@$(RUN) samlogg registers $(if $(FILE),'$(FILE)') $(if $(AGAIN),--again)

lock: .venv/.ready ## pin every version and hash anew in requirements.txt
	@.venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
		$(foreach name,$(shell sed -n 's/^name = "\(samlogg-.*\)"/\1/p' $(PACKAGES)),--no-emit-package $(name)) \
		--output-file requirements.txt pyproject.toml $(PACKAGES)

.venv/.ready: requirements.txt deploy/local/environment.sh $(PACKAGES)
	@sh deploy/local/environment.sh
