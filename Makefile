# Two commands are enough: `make test` sets everything up and runs every test; `make bench` measures.

GO ?= go
LINT := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

.PHONY: build test generate lint vulncheck fuzz bench api-fuzz check

build: ## The program, as bin/devicegate
	$(GO) build -trimpath -o bin/devicegate ./cmd/devicegate

test: ## Install the proxies that the tests run (into a cache folder) and run every test
	scripts/test

generate: ## Make what is made from api/openapi.yaml
	$(GO) generate ./...

lint: ## The rules of .golangci.yml
	$(GO) run $(LINT) run ./...

vulncheck: ## Known holes in what is used, where the database can be reached
	scripts/vulncheck

fuzz: ## Every fuzz target, FUZZTIME each (30s)
	scripts/fuzz

bench: ## What a check costs beside a server that does nothing, and beside sign-ins
	$(GO) run ./bench

api-fuzz: ## A long property-based test of the API against openapi.yaml, outside the daily tests
	scripts/schemathesis

check: build lint vulncheck test ## What CI runs
