# What people do with this project, a word each. `make help` lists them.

CARGO ?= cargo
# nextest runs every test in a process of its own and shows a failure where it happened; plain `cargo test` does too.
NEXTEST := $(shell $(CARGO) nextest --version >/dev/null 2>&1 && echo yes)

.DEFAULT_GOAL := help
.PHONY: help demo build install check test soak compatibility conformance bench setup fmt clean negative

help: ## show this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-16s %s\n", $$1, $$2 }'

# The dev profile: on a small machine a release build takes minutes longer, and the demo spends its time in
# processes, files and sockets, not in our code. `make install` builds the optimised binary.
demo: ## build, then show Provost at work with real MCP servers
	@scripts/setup --demo
	$(CARGO) build --locked -p provost
	@./target/debug/provost demo

build: ## the optimised binary, target/release/provost
	$(CARGO) build --locked --release -p provost

install: ## the optimised binary into Cargo's bin directory
	$(CARGO) install --locked --path crates/cli

setup: ## what the tests need: tmux, git, MCP servers and clients (into .tools/)
	@scripts/setup

check: ## format, lints, docs, licences, dependency arrows, file sizes
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps --quiet
	$(CARGO) run --locked --quiet -p provost-testkit --bin tidy

# The fixture and the product's own binary come first: tests of other crates start them as processes.
test: setup ## install what the tests need, then run all of them
	$(CARGO) build --locked --workspace --bins
	$(CARGO) test --locked --workspace --doc --quiet
# Alone, because the suite gives servers half a second for some answers.
	./target/debug/conformance >/dev/null
ifeq ($(NEXTEST),yes)
	$(CARGO) nextest run --locked --workspace
else
	$(CARGO) test --locked --workspace --lib --bins --tests
endif

compatibility: setup ## run real clients and servers, and write docs/compatibility.md anew
	$(CARGO) build --locked --workspace --bins
	PROVOST_WRITE_TABLES=1 $(CARGO) test --locked -p provost --test it end_to_end

# Needs nextest, which says how each test ended.
negative: ## the numbered tests of bad input, and the table of them in docs/negative-tests.md
	$(CARGO) build --locked --workspace --bins
	$(CARGO) nextest run --locked -p provost-policy -p provost-authoring -p provost-gateway -p provost-store -p provost-admin -p provost --profile negative || true
	$(CARGO) run --locked --quiet -p provost-testkit --bin negative target/nextest/negative/junit.xml

conformance: setup ## the protocol's conformance suite, directly and through Provost; writes docs/conformance.md
	$(CARGO) build --locked --workspace --bins
	@./target/debug/conformance --write docs/conformance.md

# Ten minutes by default. Arguments: make soak ARGS="--seconds 60 --seed 7"
soak: ## random mutations of recorded traffic against the real binary
	$(CARGO) build --locked -p provost -p provost-testkit --bins
	@./target/debug/soak $(ARGS)

# Release profile, and that is the point. Arguments: make bench ARGS="--seconds 5 --connections 1,8,32"
bench: ## requests per second and latency: direct, through nginx, through Provost
	$(CARGO) build --locked --release -p provost -p provost-testkit --bins
	@./target/release/bench $(ARGS)

fmt: ## format the code
	$(CARGO) fmt --all

clean: ## remove everything that was built or fetched
	rm -rf target .tools
