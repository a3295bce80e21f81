# What there is to do here: `make help`.

STATIC_TARGET := x86_64-unknown-linux-gnu
DENY_VERSION := 0.20.2
FUZZ_VERSION := 0.13.2

# make bench-purchases CASES="strict touched" EVENTS=1000000 RUNS=3
CASES ?=
EVENTS ?= 5000000
RUNS ?= 5
# make simulate N=10000 FROM=200
N ?= 10000
FROM ?= 0
SEED ?=
# make fuzz T=json SECONDS=600
T ?=
SECONDS ?= 60
# make durability N=200
N ?= 200
# make sessions SESSIONS=250000
SESSIONS ?= 1000000

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## the release binary: target/release/headwater
	cargo build --release --locked

.PHONY: demo
demo: build ## live results from simulated machines; needs no server
	@printf '\nThree simulated machines, a result each every two seconds. Ctrl-C stops it.\n\n'
	@./target/release/headwater run pipelines/quickstart.yaml

.PHONY: setup
setup: ## what the tests need from the system (installs it when root)
	@tests/setup.sh

.PHONY: test
test: setup ## all tests, and those inside the example pipelines (PROPTEST_RNG_SEED=… for other random cases)
	PROPTEST_RNG_SEED=$${PROPTEST_RNG_SEED:-1} cargo test --locked
	cargo test --locked --features simulation --test simulation
	cargo run --locked --quiet -- test pipelines/

.PHONY: simulate
simulate: ## runs N seeds of the simulator, from FROM on; SEED=… replays one, step by step
	SIMULATE_SEEDS='$(N)' SIMULATE_FROM='$(FROM)' SIMULATE_SEED='$(SEED)' \
		cargo test --locked --profile simulation --features simulation --test simulation -- --nocapture whatever

.PHONY: durability
durability: setup ## kills running pipelines N times a case, and lets one idle for a minute; what comes out must be exact
	DURABILITY_KILLS=$(N) DURABILITY_IDLE=60 cargo test --locked --test durability -- --test-threads 2
	DURABILITY_KILLS=$(N) cargo test --locked --test postgres killed
	DURABILITY_KILLS=$(N) cargo test --locked --test http_source kills

.PHONY: sessions
sessions: ## what a million live sessions take in memory, checkpoints included (minutes; SESSIONS=…)
	SESSIONS=$(SESSIONS) cargo test --locked --test session_memory -- --nocapture

.PHONY: lint
lint: ## formatting, clippy, documentation; warnings are errors
	cargo fmt --check
	cargo fmt --manifest-path benches/limit/Cargo.toml --check
	cargo fmt --manifest-path fuzz/Cargo.toml --check
	cargo clippy --locked --all-targets -- -D warnings
	cargo clippy --locked --manifest-path benches/limit/Cargo.toml -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps --document-private-items

.PHONY: deny
deny: ## licences, bans and sources of the dependencies (installs cargo-deny if it is not there)
	@cargo deny --version >/dev/null 2>&1 || \
		cargo install --locked --debug --no-default-features cargo-deny@$(DENY_VERSION)
	cargo fetch --locked
	cargo deny --offline --locked check bans licenses sources

.PHONY: static
static: ## one static binary, checked to be one and run in an empty root
	@cross/static.sh $(STATIC_TARGET)

.PHONY: bench
bench: ## time of each part: decode, expressions, windows, encode, end to end
	cargo bench --locked

.PHONY: floor
floor: build
	cargo build --release --locked --manifest-path benches/limit/Cargo.toml

.PHONY: bench-purchases
bench-purchases: floor ## the main job beside a hand-written floor (CASES=… EVENTS=… RUNS=…)
	python3 benches/compare.py --events $(EVENTS) --runs $(RUNS) $(CASES)

.PHONY: fuzz
fuzz: ## fuzzes one target (T=…) for some seconds (SECONDS=…)
	@test -n '$(T)' || { echo "usage: make fuzz T=TARGET SECONDS=600; targets:"; ls fuzz/fuzz_targets | sed 's/\.rs$$//'; exit 2; }
	@cargo fuzz --version >/dev/null 2>&1 || cargo install --locked --debug cargo-fuzz@$(FUZZ_VERSION)
	RUSTC_BOOTSTRAP=1 cargo fuzz run $(T) -- -max_total_time=$(SECONDS) -timeout=10 -rss_limit_mb=2048

.PHONY: clean
clean: ## removes everything built
	cargo clean
	cargo clean --manifest-path benches/limit/Cargo.toml
	cargo clean --manifest-path fuzz/Cargo.toml
