# make help lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

CARGO_TARGET_DIR ?= $(CURDIR)/target
export CARGO_TARGET_DIR
HOST := $(shell rustc -vV | sed -n 's/^host: //p')
# The operator as its image has it: one static binary, which runs in an empty folder.
export OPERATOR_BINARY := $(CARGO_TARGET_DIR)/$(HOST)/release/image-usage-operator
LOCAL_CLUSTER := $(CARGO_TARGET_DIR)/debug/local-cluster
DEMO := $(CARGO_TARGET_DIR)/debug/demo
WEBHOOK := http://{webhook-address}/v1/events/image-usage-system/registry-example-com/notifications

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

.PHONY: check
check: ## format, lint, unit tests, generated files: quick, needs no server
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo test --locked --package image-usage-operator --lib --bins --test generated --test kubeconfig_corpus -- \
		--skip store::postgres::tests
	@echo "left out: the tests that need a server, among them those of the store on PostgreSQL (make test)"

.PHONY: generate
generate: ## write crds/, the chart's copy of it, and the schema of the format Generic
	cargo run --locked --quiet -- crds --out crds
	rm -rf charts/image-usage-operator/files/crds
	cp -r crds charts/image-usage-operator/files/crds
	REGENERATE=1 cargo test --locked --quiet --package image-usage-operator --lib the_schema_file_is_that_of_the_code

.PHONY: setup
setup: $(LOCAL_CLUSTER) ## build and install the programs that local clusters are made of
	$(LOCAL_CLUSTER) setup

$(LOCAL_CLUSTER): FORCE
	cargo build --locked --package local-cluster --bin local-cluster

.PHONY: operator
operator: ## build the operator's static binary
	RUSTFLAGS="-C target-feature=+crt-static" cargo build --locked --release --target $(HOST) --package image-usage-operator

.PHONY: test
test: setup operator ## every test, on real servers
	cargo test --locked --workspace --no-fail-fast

.PHONY: test-long
test-long: export LONG_TESTS := 1
test-long: export STORE_CRASH_ROUNDS := 1000
test-long: export POWER_CUT_ROUNDS := 1000
test-long: test ## the same with the full counts of the long loops

.PHONY: demo
demo: down setup operator ## the main job on two real clusters, left running
	cargo build --locked --package story --bin demo
	$(LOCAL_CLUSTER) up --name demo --nodes real --image-host registry.example.com --detach \
		--notify '$(WEBHOOK)' --notify-header 'Authorization: Bearer a-token-of-the-demonstration-only'
	$(LOCAL_CLUSTER) up --name demo-second --nodes simulated=1 --registry none --detach
	$(DEMO)

.PHONY: down
down: $(LOCAL_CLUSTER) ## end everything the demo started
	$(LOCAL_CLUSTER) down --name demo --name demo-second

# How much is measured.
PODS ?= 20000
ROUNDS ?= 9
CHANGES ?= 120000
MINUTES ?= 10
CLUSTERS ?= 100
EVENTS ?= 1000000
EVENTS_ALL ?= 100000000
RATE ?= 1000
LOAD_SECONDS ?= 60
FORMAT_SECONDS ?= 15
BENCH_CLUSTER := cargo bench --locked --package image-usage-operator --bench cluster --
BENCH_STORE := cargo bench --locked --package image-usage-operator --bench store --

.PHONY: bench bench-store bench-store-huge bench-webhook bench-formats bench-first-sync bench-churn bench-idle bench-many
# Two minutes' worth of changes, so that all of it takes half an hour.
bench: CHANGES := 24000
bench: bench-store bench-webhook bench-formats bench-first-sync bench-churn bench-many ## measure against the limits; results are in docs/benchmarks.md

bench-store: setup ## durable appends beside raw ones and beside purges; questions to a repository of EVENTS events
	$(BENCH_STORE) appends
	$(BENCH_STORE) postgres
	$(BENCH_STORE) reads --events $(EVENTS)
	$(BENCH_STORE) reads --postgres --events $(EVENTS)

bench-store-huge: EVENTS := 10000000
bench-store-huge: setup ## questions to PostgreSQL with EVENTS_ALL events, 10 million of them in one repository
	$(BENCH_STORE) reads --postgres --events $(EVENTS) --all $(EVENTS_ALL)

bench-webhook: setup operator ## RATE deliveries a second for LOAD_SECONDS to the whole operator; DATABASE_URL chooses its store
	cargo bench --locked --package image-usage-operator --bench webhook -- --rate $(RATE) --seconds $(LOAD_SECONDS)

bench-formats: setup operator ## the same RATE in the words of each format, FORMAT_SECONDS each
	cargo bench --locked --package image-usage-operator --bench webhook -- --formats --rate $(RATE) --seconds $(FORMAT_SECONDS)

bench-first-sync: setup operator ## the first sync of PODS pods beside plainer readers, ROUNDS times
	$(BENCH_CLUSTER) first-sync --pods $(PODS) --rounds $(ROUNDS)

bench-churn: setup operator ## latency and memory during CHANGES changes of PODS pods, 200 a second
	$(BENCH_CLUSTER) churn --pods $(PODS) --changes $(CHANGES)

bench-idle: setup operator ## what is written in MINUTES minutes in which nothing changes
	$(BENCH_CLUSTER) idle --minutes $(MINUTES)

bench-many: setup operator ## CLUSTERS authorised clusters, one of which hangs
	$(BENCH_CLUSTER) many --clusters $(CLUSTERS)

# Seconds for each target.
FUZZ_SECONDS ?= 60
# What cargo-fuzz would add, without the unstable toolchain that it asks for.
FUZZ_FLAGS := -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
	-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
	-Cllvm-args=-sanitizer-coverage-trace-compares

FUZZ := $(CARGO_TARGET_DIR)/fuzz
# Each format, and the folder of its fixtures, which the search begins with.
FORMATS := Distribution:distribution GitLab:gitlab Harbor:harbor AlibabaACR:alibaba-acr AmazonECR:amazon-ecr \
	GoogleArtifactRegistry:google-artifact-registry AzureACR:azure-acr Quay:quay Zot:zot DockerHub:docker-hub \
	GitHub:github Artifactory:artifactory Gitea:gitea Nexus:nexus Generic:generic

.PHONY: fuzz
fuzz: ## look for inputs that break the readers; needs a C++ compiler
	cd tests/fuzz && RUSTFLAGS="$(FUZZ_FLAGS)" CARGO_TARGET_DIR=$(FUZZ) cargo build --locked --release --target $(HOST)
	fuzz() { \
		mkdir -p $(FUZZ)/corpus/$$1; \
		$(FUZZ)/$(HOST)/release/$$2 -max_total_time=$(FUZZ_SECONDS) -max_len=65536 -print_final_stats=1 \
			-artifact_prefix=$(FUZZ)/ $(FUZZ)/corpus/$$1 $${3:-}; \
	}; \
	for target in kubeconfig protobuf json; do fuzz $$target $$target; done; \
	for format in $(FORMATS); do \
		FORMAT=$${format%:*} fuzz $${format%:*} dialect tests/fixtures/events/$${format#*:}; \
	done

.PHONY: FORCE
FORCE:
