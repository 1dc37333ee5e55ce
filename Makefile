# mc-wan: `make help` lists what there is to do.
SHELL := /bin/bash -o pipefail
export CGO_ENABLED := 0
BIN := $(CURDIR)/bin
BUILD := $(CURDIR)/build
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -X main.version=$(VERSION)
MODULES := . sandbox sandbox/apps sandbox/containerd sandbox/node tests/failover/report tests/xds

# Tools are pinned here and kept out of the product's module graph, see RATIONALE.md.
CONTROLLER_GEN := go run sigs.k8s.io/controller-tools/cmd/controller-gen@v0.23.0
GOLANGCI_LINT_VERSION := v2.15.0
GOLANGCI_LINT := $(BIN)/golangci-lint-$(GOLANGCI_LINT_VERSION)

.PHONY: help
help: ## Show the targets
	@awk 'BEGIN {FS = ":.*##"} /^[a-zA-Z0-9_-]+:.*##/ {printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ Build
.PHONY: build
build: ## Build bin/mcwan-controller and bin/mcwanctl
	go build -ldflags '$(LDFLAGS)' -o $(BIN)/ ./cmd/...

.PHONY: deps
deps: ## Install the Debian packages that the sandbox and the tests need (root)
	@hack/deps.sh

.PHONY: sandbox-cli
sandbox-cli: ## Build bin/mcwan-sandbox
	cd sandbox && go build -o $(BIN)/mcwan-sandbox ./cmd/mcwan-sandbox

.PHONY: sandbox-build
sandbox-build: deps build sandbox-cli ## Build every binary and image that the sandbox runs
	$(BIN)/mcwan-sandbox build

##@ Try
.PHONY: demo
demo: sandbox-build ## Bring two clusters up and play the story
	$(BIN)/mcwan-sandbox up
	go run ./tests/demo -sandbox $(BIN)/mcwan-sandbox

.PHONY: down
down: ## Remove what `make demo` and `make e2e` brought up
	$(BIN)/mcwan-sandbox down --all

##@ Test
.PHONY: test
test: test-unit test-integration test-xds ## Unit, integration and xds tests

.PHONY: test-unit
test-unit: $(BIN)/helm ## Pure functions, CLI, sandbox: seconds
	go test ./api/... ./pkg/... ./cmd/... ./manifests/... ./samples/... ./tests/story/... ./tests/failover/... ./tests/conformance/...
	cd tests/failover/report && go test ./...
	cd sandbox && go test ./...
	cd sandbox/apps && go test ./...
	cd sandbox/node && go test ./internal/...

.PHONY: test-integration
test-integration: $(BIN)/kube-apiserver ## Real API servers, real controllers
	KUBEBUILDER_ASSETS=$(BIN) go test -timeout 50m ./tests/integration/...

.PHONY: test-xds
test-xds: ## Generated objects through Istio's own validation, analyzers and xDS generation
	cd tests/xds && go test ./...

# One package after the other: those of ./e2e look for what is left on the machine.
.PHONY: test-sandbox
test-sandbox: sandbox-build ## The sandbox's own guarantees, on clusters and network namespaces (root)
	cd sandbox && go test -count=1 -p 1 -timeout 60m -tags sandbox,netns ./cgroup ./wan ./e2e

# What tests run of the sandbox's programs, by the sandbox's own recipe: they are those that clusters run.
$(BIN)/helm:
	$(MAKE) sandbox-cli
	$(BIN)/mcwan-sandbox build helm

$(BIN)/kube-apiserver:
	$(MAKE) sandbox-cli
	$(BIN)/mcwan-sandbox build kubernetes

# What `make e2e` plays; E2E=. plays all. Most of the failure matrix is left to it: it asks for a machine that has nothing
# else to do.
E2E ?= ^Test(Story|DNS|Headless|Protocols|LegPorts|L7|Exporters|ByHand|LongLivedConnections|ExportFailover|Failures)$$

.PHONY: e2e
e2e: sandbox-build ## The story and its failures, on a sandbox of three clusters (KEEP=1 leaves it running)
	$(BIN)/mcwan-sandbox up --name e2e --clusters 3
	@trap '[ -n "$(KEEP)" ] || $(BIN)/mcwan-sandbox down --name e2e' EXIT; \
	MCWAN_SANDBOX="$(BIN)/mcwan-sandbox --name e2e" go test -tags e2e -count=1 -timeout 80m -v -run '$(E2E)' ./tests/e2e/...

FAILOVER_SANDBOX := $(BIN)/mcwan-sandbox --name failover
FAILOVER_FLAGS ?=

.PHONY: failover-report
failover-report: sandbox-build ## Play the failure matrix on a sandbox of its own and write docs/failover-report.md
	$(FAILOVER_SANDBOX) up --clusters 3 --replicas 2 --gogc 400
	@failed=0; \
	go run ./tests/failover/cmd -sandbox '$(FAILOVER_SANDBOX)' -out $(BUILD)/failover/results.json $(FAILOVER_FLAGS) || failed=1; \
	(cd tests/failover/report && go run . -in $(BUILD)/failover/results.json -docs $(CURDIR)/docs) && $(FAILOVER_SANDBOX) down && exit $$failed

CONFORMANCE_SANDBOX := $(BIN)/mcwan-sandbox --name conformance
CONFORMANCE_FLAGS ?=

.PHONY: conformance
conformance: sandbox-build ## Run the conformance suite of mcs-api on a sandbox of its own and write docs/conformance-report.yaml
	$(CONFORMANCE_SANDBOX) up --conformance
	@trap '[ -n "$(KEEP)" ] || $(CONFORMANCE_SANDBOX) down' EXIT; \
	go run ./tests/conformance -sandbox '$(CONFORMANCE_SANDBOX)' -dir $(BUILD)/mcs-api $(CONFORMANCE_FLAGS)

.PHONY: figures
figures: ## Measure what docs/figures.md states, on the demo's sandbox
	go run ./tests/figures -sandbox $(BIN)/mcwan-sandbox

FUZZTIME ?= 30s

.PHONY: fuzz
fuzz: ## Run every fuzz target for FUZZTIME
	hack/fuzz.sh $(FUZZTIME)

.PHONY: bench
bench: ## Benchmarks with their numbers
	go test -run '^$$' -bench . -benchmem ./pkg/...

##@ Keep in shape
.PHONY: generate
generate: ## Generate deepcopy code and CRDs
	$(CONTROLLER_GEN) object:headerFile=hack/boilerplate.go.txt crd:allowDangerousTypes=true paths=./api/... output:crd:artifacts:config=manifests/charts/mc-wan/crds
	hack/mcs-crds.sh

.PHONY: golden
golden: $(BIN)/helm ## Rewrite the golden files
	go test ./pkg/translate/... ./pkg/cli/... ./manifests/... -update
	cd sandbox && go test ./mesh ./cluster/config -update

.PHONY: fmt
fmt: $(GOLANGCI_LINT) ## Format the Go code
	$(GOLANGCI_LINT) fmt $$(git ls-files '*.go')

# Most memory is for sandbox/node, whose imports are all of Kubernetes and Istio: 7.4 GB and less than 3 minutes on 2 cores.
.PHONY: lint
lint: $(GOLANGCI_LINT) ## Lint all modules
	@failed=; for m in $(MODULES); do echo "lint $$m"; (cd $$m && $(GOLANGCI_LINT) run --config $(CURDIR)/.golangci.yml ./...) || failed=1; done; [ -z "$$failed" ]

$(GOLANGCI_LINT):
	GOBIN=$(BUILD)/tools go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION)
	@mkdir -p $(BIN) && cp $(BUILD)/tools/golangci-lint $@

.PHONY: tidy
tidy: ## Tidy every module
	@set -e; for m in $(MODULES); do (cd $$m && go mod tidy); done

.PHONY: verify
verify: ## Fail on any drift: format, lint, generated code, goldens, tidy
	hack/verify.sh

.PHONY: clean
clean: ## Remove what was built
	rm -rf $(BIN) $(BUILD)
