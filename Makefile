# Commands for developers. What a target does is a script of scripts/ that can be run alone.
.DEFAULT_GOAL := help
.PHONY: help setup demo up test check bench faults trials simulate shots licenses audit clean
SHELL := /bin/bash
MIRROR := .venv/bin/mirror
ARGS ?=
W ?=

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## .venv with the locked dependencies (needs Python 3.11+ and the package index)
	@scripts/setup

demo: setup ## a guided run on sample registries that leaves nothing behind (ARGS=--keep keeps it up)
	@$(MIRROR) demo $(ARGS)

up: setup ## embedded Postgres, Prefect server and UI, schedules and site, from mirrors.yaml
	@$(MIRROR) up $(ARGS)

check: setup ## lint, format, types, import rules, wording, lock file
	@scripts/check

test: setup ## everything that CI runs: system packages, checks, tests
	@scripts/test $(ARGS)

bench: setup ## measure speed, requests and memory (W=A for one workload)
	@.venv/bin/python -m bench $(W) $(ARGS)

faults: setup ## random faults against whole syncs, with figures (N=200 SEED=7; ARGS=--up: against mirror up)
	@.venv/bin/python -m faults $(if $(N),--faults $(N)) $(if $(SEED),--seed $(SEED)) $(ARGS)

simulate: setup ## a month of pushes, a week of faults or a year of retention (W=month ARGS='--seed 1')
	@.venv/bin/python -m simulation $(or $(W),month) $(ARGS)

trials: setup ## a hostile registry against whole syncs: outcome, seconds, peak MB (HOSTILE=500 SEED=7: spoilt answers)
	@.venv/bin/python -m hostile $(if $(HOSTILE),--variations $(HOSTILE)) $(if $(SEED),--seed $(SEED)) $(ARGS)

shots: setup ## screenshots of every page of the site at both widths
	@.venv/bin/python -m tests.website.shots $(ARGS)

licenses: setup ## rewrite the table of docs/licenses.md
	@scripts/licenses

audit: setup ## known vulnerabilities, licences and the bill of materials of what is pinned
	@scripts/audit

clean: ## remove what setup and the checks made
	rm -rf .venv .tools .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
