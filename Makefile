# stirwatch: `make demo` shows it, `make test` proves it. Both install what they need.
SHELL       := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
TOOLS       := $(CURDIR)/.tools/bin
INFLUXD     := $(TOOLS)/influxd
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
BENCHSTAT   := golang.org/x/perf/cmd/benchstat@latest
VERSION     := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
MODE        ?=
FOR         ?=
BENCH       ?= .
COUNT       ?= 1
FUZZTIME    ?= 60s

export INFLUXD

.DEFAULT_GOAL := help
DIST        ?= dist

.PHONY: dist dist-test help build page demo test lint bench fuzz pictures generate tools clean

help: ## what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

build: page ## bin/stirwatch, with the page where npm is there
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o bin/stirwatch ./cmd/stirwatch

UI          := agent/dashboard/ui

page: ## the front end, into $(UI)/dist, which is embedded; without npm the page says how it is built
	@if [ ! -f $(UI)/package.json ]; then :; \
	elif ! command -v npm >/dev/null; then echo "npm is not there: the page is left out; install Node.js and make again"; \
	elif [ -z "$$(find $(UI) -path '*/node_modules' -prune -o -path '*/dist' -prune -o -type f -newer $(UI)/dist/index.html -print -quit 2>&1)" ]; then :; \
	else (cd $(UI) && npm ci --no-audit --no-fund --silent && npm run --silent build) || echo "the page could not be built: it says so itself"; fi

dist: page ## DIST (dist/): static binaries, tarballs and .deb for amd64 and arm64, checksums, what was linked in
	deploy/package/dist.sh "$(VERSION)" "$(abspath $(DIST))"

dist-test: dist ## the packages: unpacked, and the programs of both run (arm64 under qemu-user); not part of make test
	deploy/package/test.sh "$(abspath $(DIST))"

demo: build ## a simulated machine, the agent and a live view; FOR=30s ends by itself; MODE=auto closes the loop
	bin/stirwatch demo $(if $(MODE),--mode $(MODE)) $(if $(FOR),--for $(FOR))

# Most tests wait, for real programs, for disks and in real time, so more packages and tests run side by
# side than there are cores; cmd/stirwatch takes the longest and has a run of its own. The race detector makes code
# ten times slower and finds in a few random stories, and in the short tests of learning, what it finds in
# thousands: the packages of LONG run whole without it and, with it, short. Those of ALONE start no
# goroutine and need none: of dynamics only learn starts any. What runs without the detector has the cores that are left.
SLOW        := stirwatch/cmd/stirwatch
LONG        := $(addprefix stirwatch/,dynamics/learn dynamics/score firmware-bridge firmware-bridge/dialect agent/alarm agent/trial)
ALONE       := $(addprefix stirwatch/,cmd/demo control control/qp config agent/detect agent/journal/export) \
               $(addprefix stirwatch/dynamics/,expr filter gcode model num phase program report runs signature system watch)
PLAIN       := $(LONG) $(ALONE)
# SQLite is C turned into Go, which guards its pages with its own locks: the detector would watch every access to
# them. The MQTT client marks a message as sent again, at a reconnection, while another goroutine of its own writes it out
# (client.go, resume, of 1.5.1). All else is watched; in the program that is tried from end to end all but the arithmetic of
# dynamics, which the tests of agent, dashboard and trial have watched. What is not watched must not hold a sync.Map, as
# SQLite's driver does: the linker keeps one copy of its code for all, and from one that is not watched the detector learns
# no order, so that it sees races in whatever else keeps such a map. A package whose tests hang ends after TIMEOUT.
unwatched    = $(foreach p,$(1),-gcflags=$(p)/...=-race=false)
OTHERS      := modernc.org/libc modernc.org/sqlite/lib modernc.org/memory github.com/eclipse
RACE        := -race $(call unwatched,$(OTHERS))
TIMEOUT     := 40m
# A test's binary is linked in two thirds of the time without what only a debugger reads; stacks keep their lines.
LINK        := -ldflags=-w

test: tools page ## everything, race detector included
	@if [ -d $(UI)/node_modules ]; then npm --prefix $(UI) test --silent; fi
	@plain=$$(mktemp); slow=$$(mktemp); trap 'rm -f "$$plain" "$$slow"' EXIT; failed=0; \
	go test -race $(call unwatched,$(OTHERS) stirwatch/dynamics) $(LINK) -timeout $(TIMEOUT) -parallel 4 $(SLOW) >"$$slow" 2>&1 & slowly=$$!; \
	nice go test $(LINK) -timeout $(TIMEOUT) $(PLAIN) >"$$plain" 2>&1 & plainly=$$!; \
	go test $(RACE) $(LINK) -p 3 -timeout $(TIMEOUT) -parallel 4 $(filter-out $(SLOW) $(PLAIN),$(shell go list ./...)) || failed=1; \
	go test $(RACE) $(LINK) -p 3 -timeout $(TIMEOUT) -short $(LONG) || failed=1; \
	wait $$slowly || failed=1; wait $$plainly || failed=1; \
	cat "$$slow" "$$plain"; exit $$failed

lint: ## gofmt, go vet, staticcheck
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$unformatted" ]; then echo "gofmt would change:"; echo "$$unformatted"; exit 1; fi
	@if [ -d $(UI)/node_modules ]; then npm --prefix $(UI) run --silent check; fi
	go vet ./...
	go run $(STATICCHECK) ./...

bench: ## benchmarks; BENCH=regexp COUNT=n, for benchstat
	go test -run '^$$' -bench '$(BENCH)' -benchmem -count $(COUNT) ./...

fuzz: ## every fuzz target for FUZZTIME each
	@for pkg in $$(go list ./...); do \
	  dir=$$(go list -f '{{.Dir}}' $$pkg); \
	  for f in $$(grep -hoE '^func Fuzz[A-Za-z0-9_]+' $$dir/*_test.go 2>/dev/null | sed 's/func //'); do \
	    echo "== $$pkg $$f"; go test $$pkg -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x; \
	  done; \
	done

pictures: page ## those of docs/page.md, of the simulated machine, in a real browser
	STIRWATCH_PICTURES=$(CURDIR)/docs go test -count 1 -run TestPictures ./cmd/stirwatch

generate: ## schema, configuration reference and example, from the configuration's types
	go generate ./...

PACKAGES    := mosquitto python3-aiosmtpd gcc libc6-dev libsimavr-dev arduino-core-avr chromium groff-base

tools: $(INFLUXD) ## what the tests need: influxd 1.8.10, and the Debian packages mosquitto, python3-aiosmtpd, gcc, simavr, arduino-core-avr, chromium, groff-base
	@missing=; for p in $(PACKAGES); do dpkg -s $$p >/dev/null 2>&1 || missing="$$missing $$p"; done; \
	[ -n "$$missing" ] || exit 0; \
	as=; [ "$$(id -u)" = 0 ] || as=sudo; \
	if command -v apt-get >/dev/null && { [ -z "$$as" ] || command -v sudo >/dev/null; }; then \
	  echo "installing$$missing"; \
	  $$as apt-get update -qq && $$as env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null || \
	    echo "could not be installed:$$missing; tests that need them are skipped"; \
	else echo "missing and not to be installed here:$$missing; tests that need them are skipped"; fi

$(INFLUXD):
	@echo "building influxd 1.8.10 into .tools (about a minute, once)"
	GOBIN=$(TOOLS) go install github.com/influxdata/influxdb/cmd/influxd@v1.8.10

clean: ## remove what was built
	rm -rf bin dist .tools $(UI)/node_modules
	find $(UI)/dist -mindepth 1 ! -name .gitignore -delete
