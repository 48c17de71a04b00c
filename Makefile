# What `make` without a target prints is made from the "##" comments here.

GO       ?= go
PKGS     := ./...
FUZZTIME ?= 30s
# The tests run with the race detector where a C compiler exists.
CC_FOUND := $(shell command -v $${CC:-cc} 2>/dev/null || command -v gcc 2>/dev/null)
RACE     := $(if $(CC_FOUND),-race,)

.DEFAULT_GOAL := help
.PHONY: help build install demo test fmt vet staticcheck unit fuzz golden api bench e2e e2e-vm clean

help: ## list the targets
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build ./bin/mpd-virt for this machine
	@$(GO) build -trimpath -o bin/mpd-virt ./cmd/mpd-virt

install: build ## the same; copy bin/mpd-virt to where your PATH finds it

demo: ## the main job from start to end, without a Mac, a VM or root
	@$(GO) run ./cmd/mpd-virt/internal/demo

test: fmt vet staticcheck unit ## everything that needs neither root nor a network

fmt:
	@out=$$(gofmt -l $$(git ls-files -co --exclude-standard '*.go')); [ -z "$$out" ] || { echo "gofmt is needed for:"; echo "$$out"; exit 1; }

vet:
	$(GO) vet $(PKGS)
	$(GO) vet -tags e2e,e2evm ./internal/e2e/
	GOOS=darwin GOARCH=arm64 $(GO) vet $(PKGS)
	GOOS=darwin GOARCH=amd64 $(GO) vet $(PKGS)

# staticcheck is a tool of a module of its own, so that the library's users
# never see what it depends on.
staticcheck:
	$(GO) build -C tools -o ../bin/staticcheck honnef.co/go/tools/cmd/staticcheck
	bin/staticcheck $(PKGS)
	GOOS=darwin GOARCH=arm64 bin/staticcheck $(PKGS)

unit:
	@[ -n "$(RACE)" ] || echo "no C compiler found: the tests run without the race detector"
	$(GO) test $(RACE) -timeout 15m $(PKGS)

# A search finds something else each time, so it is no part of test: that says the
# same of the same commit, and runs each target on its seeds and on what was found.
fuzz: ## fuzz every target for 30 s each (FUZZTIME=…)
	@GO="$(GO)" ./internal/fuzzall.sh $(FUZZTIME)

golden: ## write the golden files again; read the difference line by line
	$(GO) test -run '^TestGolden' ./cmd/mpd-virt/internal/cli -update

api: ## list the exported API in docs/api again; read the difference
	$(GO) test -run '^TestAPI$$' ./internal/apilist -update

bench: ## the benchmarks of docs/benchmarks.md
	$(GO) test -run '^$$' -bench . -benchmem $(PKGS)

e2e: build ## a real Debian guest in network namespaces (root, Linux)
	$(GO) test -tags e2e -count=1 -timeout 25m -v ./internal/e2e/

e2e-vm: ## a VM from our disk and our seed, computed by QEMU (root, Linux)
	$(GO) test -tags e2e,e2evm -count=1 -timeout 25m -v -run '^TestSeedBoot$$' ./internal/e2e/

clean: ## remove what make made
	rm -rf bin
