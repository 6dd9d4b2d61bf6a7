# Everything that a person or a machine does with this repository. "make help" lists it.

# Recipes stop at the first error and leave no half-made target.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --warn-undefined-variables --no-builtin-rules

GO ?= go
# Tools are pinned in modules of their own, each with the versions that it needs.
GOLANGCI = $(GO) tool -modfile=$(CURDIR)/tools/lint/go.mod golangci-lint
BUF = $(GO) tool -modfile=$(CURDIR)/tools/buf/go.mod buf
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
IMAGE ?= ghcr.io/backlog-scaler/backlog-scaler:$(VERSION)
# Further arguments of "make run", "make test" and "make bench", such as TESTFLAGS='-run TestParse' and
# BENCHFLAGS='-run rpc', and those of "make soak", such as SOAKFLAGS='-seed 7 -for 2m -only kafka'.
RUNFLAGS ?=
TESTFLAGS ?=
# The engines whose packages alone "make test" tests, such as ENGINES='kafka rabbitmq'; all packages without it.
ENGINES ?=
BENCHFLAGS ?=
SOAKFLAGS ?=
# Such as FAULTSFLAGS='-only kafka,redis'.
FAULTSFLAGS ?=
# Such as COMPARISONFLAGS='-trace 7' for bursts of other sizes.
COMPARISONFLAGS ?=

# How long "make fuzz" runs each target.
FUZZTIME ?= 30s

# The packages without I/O, each with the percentage of its statements that its tests cover at least.
COVERAGE := internal/backlog:90 internal/config:97 internal/hpa:98 internal/spelling:99 internal/trigger:98
COVERAGE += internal/decision:97 internal/formula:97 internal/policy:97 internal/schedule:97

# The modules with code, and those with tools.
MODULES := . bench browser deploy e2e
TOOL_MODULES := $(patsubst %/go.mod,%,$(wildcard tools/*/go.mod))

GOTESTSUM := $(GO) tool -modfile=$(CURDIR)/tools/gotestsum/go.mod gotestsum

LDFLAGS := -s -w -buildid=
LDFLAGS += -X main.version=$(VERSION)

.PHONY: help
help: ## List the targets
	@awk 'BEGIN { FS = ":.*## " } /^[a-z0-9-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: run
run: ## Show the scaler at work on this machine: queue, replicas and why (Ctrl-C ends it)
	@hack/install-servers.sh demo
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/scaler-demo ./cmd/scaler-demo
	@bin/scaler-demo $(RUNFLAGS)

TESTED = $(or $(patsubst %,./internal/backlog/%/...,$(ENGINES)),./...)

# How many packages are tested at a time: one more than there are processors, because tests wait for servers.
SIDE_BY_SIDE = $(shell echo $$(($$(getconf _NPROCESSORS_ONLN) + 1)))

.PHONY: test test-scaler test-deploy
test: servers frameworks ## Test the scaler (with the race detector), the Helm chart and the image
	@$(MAKE) --no-print-directory --keep-going --jobs 2 test-scaler $(if $(ENGINES),,test-deploy)

# All parts run, so that one failure does not hide another.
test-scaler:
	@mkdir -p .tools
	@failed=; run() { echo "$$*"; "$$@" || failed=1; }; \
	run $(GOTESTSUM) --format standard-quiet --jsonfile .tools/tests.json -- -race -p $(SIDE_BY_SIDE) -timeout 30m $(TESTFLAGS) $(TESTED); \
	if [ -n '$(ENGINES)' ]; then exit $$failed; fi; \
	$(if $(TESTFLAGS),,run $(GO) test -count=1 ./internal/backlog/redis -run '^TestFrameworksTable$$' -proven-by $(CURDIR)/.tools/tests.json;) \
	cd bench; run $(GO) test -race -timeout 30m $(TESTFLAGS) $(patsubst bench/%/,./%/...,$(wildcard bench/*/)); cd ..; \
	cd browser; run $(GO) test -timeout 30m $(TESTFLAGS) ./...; exit $$failed

test-deploy:
	cd deploy && $(GO) test -timeout 30m $(TESTFLAGS) ./...

.PHONY: test-short
# Several packages at a time, because many tests wait.
test-short: ## Test what needs neither servers nor job frameworks, with the race detector, in under a minute
	$(GO) test -short -race -p 6 -timeout 5m $(TESTFLAGS) ./...

.PHONY: cover
cover: ## Print how much of the packages without I/O is tested; fails below COVERAGE
	@hack/cover $(COVERAGE)

.PHONY: fuzz
fuzz: ## Run each fuzz target for FUZZTIME (30s)
	@FUZZTIME=$(FUZZTIME) hack/fuzz

.PHONY: soak
soak: servers ## Let servers fail at random for ten minutes, and hold all answers against what the queues hold
	$(GO) test -race -count=1 -timeout 0 -v -run '^TestSoak$$' ./internal/soak -args -for 10m $(SOAKFLAGS)

.PHONY: faults
faults: servers ## Cause every fault of a server on every engine, and compare docs/faults.md with what KEDA is answered
	$(GO) test -count=1 -timeout 30m -v -run '^TestFaults$$' ./internal/faults -all $(FAULTSFLAGS)

.PHONY: faults-table
faults-table: override FAULTSFLAGS += -update-docs
faults-table: faults ## The same, and write the table of docs/faults.md

.PHONY: e2e
e2e: servers ## Test it all together: control plane, KEDA, Redis and the scaler; prints the figures
	cd e2e && $(GO) test -count=1 -p 1 -parallel 16 -vet=off -timeout 60m -v $(TESTFLAGS) ./...

.PHONY: comparison
comparison: servers ## Compare the triggers on one trace, with KEDA, and write docs/comparison.* (six minutes)
	cd e2e && $(GO) test -count=1 -vet=off -timeout 60m -v -run TestDecisions/together/comparison . -comparison $(COMPARISONFLAGS)

.PHONY: cluster
cluster: servers ## Start that control plane to try things by hand, a policy among them: stays until Ctrl-C
	cd e2e && $(GO) run ./cmd/cluster

.PHONY: bench
bench: servers build ## Measure the scaler next to the least that its work can cost; fails if it misses a bound
	cd bench && $(GO) build -o ../bin/bench . && $(GO) build -o ../bin/bench-peer ./peer
	@bin/bench $(BENCHFLAGS)

.PHONY: performance
performance: override BENCHFLAGS += -write
performance: bench ## The same, and write the tables and plots of docs/performance.md

.PHONY: lint
lint: ## Check the messages, and the code of all modules with every linter of .golangci.yml
	@echo 'buf lint'; $(BUF) lint && $(BUF) format --diff --exit-code && hack/breaking $(BUF)
	@status=0; for module in $(MODULES); do \
		echo "golangci-lint run ($$module)"; \
		(cd $$module && $(GOLANGCI) run --config $(CURDIR)/.golangci.yml ./...) || status=1; \
	done; exit $$status

.PHONY: format
format: ## Format the messages and the code of all modules
	@$(BUF) format --write
	@set -e; for module in $(MODULES); do \
		(cd $$module && $(GOLANGCI) fmt --config $(CURDIR)/.golangci.yml); \
	done

.PHONY: generate
generate: servers ## Generate all that is generated: documentation, examples, code
	$(BUF) generate
	$(GO) generate ./...
	cd deploy && $(GO) generate ./...

.PHONY: docs
docs: ## Build the documentation as a site, with a search, and check its links
	@hack/docs

.PHONY: verify
verify: ## Check that generated files and go.mod files are current
	@hack/verify

.PHONY: build
build: ## Build bin/scaler and bin/kubectl-backlog, static and reproducible
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/scaler ./cmd/kubectl-backlog

.PHONY: image
image: ## Build the container image with docker, podman or buildah, whichever is there
	@hack/image $(IMAGE) $(VERSION)

.PHONY: tools
tools: ## Build the pinned tools once, so that no later target has to
	@set -e; for module in $(TOOL_MODULES); do \
		echo "go build tool ($$module)"; \
		$(GO) build -modfile=$$module/go.mod -o /dev/null tool; \
	done

.PHONY: servers
servers: # Install the servers that tests and the demo run against; quick when they are there
	@hack/install-servers.sh

.PHONY: frameworks
frameworks: # Install the job frameworks that tests drive; quick when they are there
	@hack/install-frameworks.sh

.PHONY: frameworks-table
frameworks-table: servers frameworks # Write the table of docs/frameworks.md again, as the tests of frameworks prove it
	$(GO) test -json -count=1 -timeout 30m ./internal/backlog/redis/layout/... > .tools/tests.json
	$(GO) test -count=1 ./internal/backlog/redis -run '^TestFrameworksTable$$' -proven-by $(CURDIR)/.tools/tests.json -update-docs

.PHONY: clean
clean: ## Remove what was built here
	rm -rf bin .tools e2e/.bin e2e/.out

# What "make lint" checks besides code: a rule adds to the prerequisites of another one.
lint: prose workflows

.PHONY: prose
prose: # Check the words and the width of documents; tools/prose/rules.txt has the rules and the folders
	@echo 'prose'; $(GO) run ./tools/prose

.PHONY: workflows
workflows: # Check the workflows of .github
	@echo 'actionlint'; $(GO) tool -modfile=$(CURDIR)/tools/actionlint/go.mod actionlint

.PHONY: vulncheck
vulncheck: ## Look for known vulnerabilities in the code that is called
	@hack/vulncheck $(MODULES)

.PHONY: release-check
release-check: workflows ## Check what builds a release, and build its archives for all systems
	$(GO) tool -modfile=$(CURDIR)/tools/goreleaser/go.mod goreleaser check
	$(GO) tool -modfile=$(CURDIR)/tools/goreleaser/go.mod goreleaser release --snapshot --clean --skip=publish,sign,sbom
	$(MAKE) --no-print-directory krew VERSION=v$$(sed -n 's/.*"version": *"\([^"]*\)".*/\1/p' dist/metadata.json)

.PHONY: krew
krew: ## Write dist/backlog.yaml, by which Krew installs the plugin, for the archives of VERSION in dist/
	$(GO) run ./tools/krewmanifest -version $(VERSION) dist > dist/backlog.yaml
	$(GO) tool -modfile=$(CURDIR)/tools/krew/go.mod validate-krew-manifest -skip-install -manifest dist/backlog.yaml
