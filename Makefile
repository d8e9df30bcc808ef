# Every command of the project; `make` alone lists them. Each installs what it needs.

PYTHON ?= python3
BIN := .venv/bin
TESTS ?= tests
DRILLS ?= tests/drills $(if $(BROKER),,tests/e2e/test_benchmarks.py)
PROCESSES ?= 3

.DEFAULT_GOAL := help
.PHONY: help run test drill bench soak growth keep recipes lint format lock sbom translations contract clean install-run install-bench install-dev

help: ## list the commands
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' Makefile | expand -t 16

run: install-run ## start everything here in the foreground; Ctrl-C stops it
	@$(BIN)/python -m local

test: install-dev lint ## lint, then run all but the long tests on real servers; TESTS=tests/unit runs a part, PROCESSES=1 one by one, POOLER=pgbouncer goes through PgBouncer
	@TEST_POOLER=$(POOLER) $(BIN)/python -m pytest --numprocesses=$(PROCESSES) --dist=loadfile --no-loadscope-reorder $(TESTS)

drill: install-dev ## the long tests: break the whole stack under load, and prove that nothing was lost; SIZE=short, BROKER=rabbitmq, POOLER=pgbouncer
	@DRILL=$(or $(SIZE),full) TEST_BROKER=$(BROKER) TEST_POOLER=$(POOLER) $(BIN)/python -m pytest $(DRILLS) --capture=no --timeout=900

bench: install-bench ## measure each path beside its limits, into var/; ONLY=append, SIZE=quick, CHECK=1
	@$(BIN)/python -m benchmarks $(if $(ONLY),--only $(ONLY)) $(if $(SIZE),--size $(SIZE)) $(if $(CHECK),--check)

soak: install-bench ## everything under half of its load for a quarter of an hour: is it flat?; MINUTES=60
	@$(BIN)/python -m benchmarks.soak $(if $(MINUTES),--minutes $(MINUTES))

growth: install-bench ## how each cost grows with orders, events and workers, into var/; MOST=100000 is short
	@$(BIN)/python -m benchmarks.growth $(if $(MOST),--most $(MOST))

keep: install-bench ## put what bench, soak and growth found in var/ into docs/
	@$(BIN)/python -m benchmarks.keep

recipes: install-dev ## do what docs/extending.md says, to a copy, and test the result; 10 minutes
	@$(BIN)/python -m tests.recipes

lint: install-dev ## check style, types, the borders between the packages, and known flaws of what is locked
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/python -m local.audit

format: install-dev ## put the code into shape
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

lock: install-dev ## lock the newest packages that pyproject.toml allows
	@UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv $(COMPILE) --output-file requirements/run.txt
	@UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv $(COMPILE) --group bench --constraint requirements/run.txt --output-file requirements/bench.txt
	@UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv $(COMPILE) --group dev --constraint requirements/bench.txt --output-file requirements/dev.txt

COMPILE := pip compile pyproject.toml --quiet --upgrade --extra local --universal --generate-hashes --no-emit-index-url

sbom: install-dev ## write dist/orderlog.cdx.json: all that a run consists of, in CycloneDX
	@$(BIN)/python -m local.sbom

translations: install-dev ## bring the console's messages up to its pages, and compile them
	@$(BIN)/python -m webapp.console

contract: install-dev ## write docs/openapi.json; its diff is reviewed for what breaks clients
	@$(BIN)/python -m webapp.contract

clean: ## remove what was installed, and caches; the data in var/ stays
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

install-run:
	@$(PYTHON) local/install.py run

install-bench:
	@$(PYTHON) local/install.py bench

install-dev:
	@$(PYTHON) local/install.py dev
