PYTHON ?= python3
PORT ?= 8000
AWS_PORT ?= 4566
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
MINISTACK := .venv-ministack/.installed
DOCS := .venv-docs/.installed
TEST := ENV_FILE=tests/test.env
# Without compiled files each process of a test would compile the project anew.
unexport PYTHONDONTWRITEBYTECODE
PICTURES := shop order mailbox mail admin dead-letter dead-letters redrive redrive-done redrive-halted identities \
	overview-dark overview-phone-dark causes-dark causes-phone-dark redrive-runs-dark redrive-runs-phone-dark \
	shop-phone-dark

.PHONY: help run incident incident-over consumer-down consumer-up check test mutants pictures figures soak rate stops recovery outages bench bench-peers bench-profile bench-costs bench-relay bench-events bench-growth bench-console bench-api bench-scale bench-snapshot lambda lambda-start editor docs docs-reference catalogs lint audit format lock clean

help:
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

# uv installs in seconds what pip installs in a minute; pip is needed once, to get it.
$(STAMP): requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Notifier needs Python 3.11 or newer; try: make PYTHON=python3.11 ...")'
	@$(PYTHON) -m venv $(VENV) || { echo "python3 cannot make virtual environments here; on Debian: apt-get install python3-venv"; exit 1; }
	@echo "Installing into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements-dev.txt
	@touch $@

# Beside the project, not in it: it pins another botocore.
$(MINISTACK): requirements-ministack.txt | $(STAMP)
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(@D)
	@$(BIN)/uv pip sync --quiet --python $(@D)/bin/python --require-hashes requirements-ministack.txt
	@touch $@

# Beside the project too: what builds the pages is no concern of what runs.
$(DOCS): requirements-docs.txt | $(STAMP)
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(@D)
	@$(BIN)/uv pip sync --quiet --python $(@D)/bin/python --require-hashes requirements-docs.txt
	@touch $@

.env:
	@cp .env.example $@

# honcho keeps the name PORT for itself, and is kept from .env: settings read that themselves.
run: export WEB_PORT := $(PORT)
run: export BASE_URL := http://127.0.0.1:$(PORT)
run: export AWS_ENDPOINT_URL := http://127.0.0.1:$(AWS_PORT)
run: export DNS_RESOLVER := 127.0.0.1:$(AWS_PORT)
run: $(STAMP) .env ## start everything on this machine: shop, admin, consumer, local AWS
	@rm -f var/consumer-down
	@$(BIN)/python -m sandbox.ready --check $(PORT) $(AWS_PORT)
	@$(BIN)/python manage.py migrate --verbosity 0
	@$(BIN)/python manage.py load_demo
	@exec $(BIN)/honcho start --env /dev/null

# Beside `make run`, in another terminal, with the same ports.
incident incident-over: export BASE_URL := http://127.0.0.1:$(PORT)
incident incident-over: export AWS_ENDPOINT_URL := http://127.0.0.1:$(AWS_PORT)
incident: COUNT ?= 400
incident: $(STAMP) .env ## beside `make run`: a 3 a.m. incident of 400 dead letters, and what to try (COUNT=)
	@$(BIN)/python manage.py stage_incident --count=$(COUNT)

incident-over: $(STAMP) .env ## discard what is left of the incident
	@$(BIN)/python manage.py stage_incident --over

consumer-down: ## stop the consumer of `make run` and keep it down, to see what the console says of it
	@mkdir -p var && touch var/consumer-down

consumer-up: ## start the consumer of `make run` again
	@rm -f var/consumer-down

check: WORKERS ?= 3
check: $(STAMP) ## for every change, in under two minutes: format, lint, types, migrations, the fast tests
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(TEST) $(BIN)/python manage.py check
	@$(TEST) $(BIN)/python manage.py makemigrations --check --dry-run
	@$(BIN)/mypy .
	@$(BIN)/pytest -q -n $(WORKERS) --dist worksteal -m "not slow"

# Twice the cores of CI: many tests wait, for a process or for a time.
test: WORKERS ?= 4
test: $(STAMP) $(MINISTACK) ## the whole test suite; what locks also on PostgreSQL, what shows also in Chromium
	@$(BIN)/pytest -n $(WORKERS) --dist worksteal --durations=15
	@TEST_DATABASE=postgresql $(BIN)/pytest -n $(WORKERS) --dist worksteal --durations=15 -m locking

mutants: N ?= 100
mutants: SEED ?= 1
mutants: WORKERS ?= 2
mutants: $(STAMP) ## break single lines of the rules on purpose and look whether a test fails (N= SEED= WORKERS= ONLY=claims)
	@$(BIN)/python -m benchmarks.mutants --count=$(N) --seed=$(SEED) --workers=$(WORKERS) --only=$(ONLY)

pictures: $(STAMP) ## take the pictures and the recording in docs/images anew, by the browser tests
	@PICTURES=on $(BIN)/pytest -m browser
	@mkdir -p docs/images
	@cp $(PICTURES:%=test-artifacts/%.png) test-artifacts/incident.webp docs/images/

figures: ## measure the main path in a fresh clone
	@$(PYTHON) -m benchmarks.profile.main_path

soak: N ?= 2000
soak: DB ?= sqlite
soak: RATE ?= 30
soak: SEED ?= 1
soak: EVENTS ?= on
soak: CLIENT ?= lean
soak: MINUTES ?= 15
soak: TRANSACTIONS ?= 0.25
soak: ACCOUNTS ?= 20
soak: CONSUMERS ?= 3
soak: RELAYS ?= 0
soak: PRODUCERS ?= 1
soak: $(STAMP) ## kill real processes while orders are placed, and judge what SES got (N= DB= RATE= EVENTS= CLIENT= FAULTS=random ...)
	@$(BIN)/python -m benchmarks.crash.soak --count=$(N) --database=$(DB) --rate=$(RATE) --seed=$(SEED) \
		--events=$(EVENTS) --client=$(CLIENT) \
		--minutes=$(MINUTES) --transactions=$(TRANSACTIONS) --accounts=$(ACCOUNTS) --consumers=$(CONSUMERS) \
		--relays=$(RELAYS) --producers=$(PRODUCERS) $(if $(FOLDER),--folder=$(FOLDER)) $(if $(filter random,$(FAULTS)),--random)

rate: LIMIT ?= 50
rate: PROCESSES ?= 8
rate: CONSUMERS ?= 1
rate: CLIENT ?= lean
rate: SES ?= 60
rate: SECONDS ?= 60
rate: DB ?= sqlite
rate: $(STAMP) ## send a backlog under the limit that SES enforces (LIMIT=14,50,200 PROCESSES=1,4,8 CONSUMERS= CLIENT= SES= SECONDS= DB=)
	@$(BIN)/python -m benchmarks.crash.rate --limit=$(LIMIT) --processes=$(PROCESSES) --consumers=$(CONSUMERS) \
		--client=$(CLIENT) --latency-ses=$(SES) --seconds=$(SECONDS) --database=$(DB) $(if $(FOLDER),--folder=$(FOLDER))

stops: N ?= 100
stops: DB ?= sqlite
stops: $(STAMP) ## stop busy consumers with SIGTERM and look what is left (N= DB=)
	@$(BIN)/python -m benchmarks.crash.stops --stops=$(N) --database=$(DB)

recovery: N ?= 3
recovery: DB ?= sqlite
recovery: $(STAMP) ## kill everything at once under load, start it again, time what follows (N= DB=)
	@$(BIN)/python -m benchmarks.crash.recovery --rounds=$(N) --database=$(DB)

outages: DATABASE_AWAY ?= 20
outages: SQS_AWAY ?= 20
outages: SES_AWAY ?= 20
outages: EVENTS_AWAY ?= 20
outages: $(STAMP) ## take database, SQS, SES, its events away in turn (DATABASE_AWAY= SQS_AWAY= SES_AWAY= EVENTS_AWAY= seconds)
	@$(BIN)/python -m benchmarks.crash.outages --database=$(DATABASE_AWAY) --sqs=$(SQS_AWAY) --ses=$(SES_AWAY) --events=$(EVENTS_AWAY)

bench: N ?= 3000
bench: ROUNDS ?= 3
bench: TABLES ?= 60-10,0-0,60-10-tls
bench: PEERS ?= all
bench: RATE ?= 0
bench: $(STAMP) ## our consumer beside its peers on the same work (N= ROUNDS= TABLES=60-10,0-0,60-10-tls RATE= PEERS= WRITE=on)
	@$(BIN)/python -m benchmarks.compare.bench --n=$(N) --rounds=$(ROUNDS) --tables=$(TABLES) \
		--rate=$(RATE) --peers=$(PEERS) $(if $(WRITE),--write)

bench-peers: GO_PACKAGES := golang golang-github-aws-aws-sdk-go-v2-dev
bench-peers: $(STAMP) ## install what `make bench` compares with, beside the project, into .venv-peers
	@$(PYTHON) -m venv .venv-peers
	@$(BIN)/uv pip install --quiet --python .venv-peers/bin/python -r benchmarks/peers/requirements.txt
	@if command -v npm >/dev/null; then cd benchmarks/peers/node && npm install --silent --no-audit --no-fund; else echo "no npm: make bench will skip the peer on Node"; fi
	@command -v go >/dev/null || [ "$$(id -u)" != 0 ] || apt-get install -qq -y --no-install-recommends $(GO_PACKAGES) >/dev/null || true
	@if command -v go >/dev/null && [ -d /usr/share/gocode/src/github.com/aws/aws-sdk-go-v2 ]; then \
		cd benchmarks/peers/go && GO111MODULE=off GOPATH=/usr/share/gocode go build -o consumer consumer.go; \
	else echo "no Go with AWS's SDK: make bench will skip the peer in Go; on Debian: apt-get install $(GO_PACKAGES)"; fi

bench-profile: N ?= 1000
bench-profile: $(STAMP) ## where the CPU time of one email goes (N= WRITE=on)
	@$(BIN)/python -m benchmarks.profile.consumer --n=$(N) $(if $(WRITE),--write)

bench-costs: N ?= 400
bench-costs: DB ?= sqlite
bench-costs: $(STAMP) ## calls and dollars of AWS per email; an idle consumer: calls, latency, memory (N= DB= WRITE=on)
	@$(BIN)/python -m benchmarks.profile.costs --n=$(N) --database=$(DB) $(if $(WRITE),--write)

bench-relay: $(STAMP) ## what an event costs the relay as the outbox grows (WRITE=on)
	@$(BIN)/python -m benchmarks.grow.relay $(if $(WRITE),--write)

bench-events: N ?= 100000
bench-events: THREADS ?= 8,32
bench-events: $(STAMP) ## how fast a consumer reads what SES tells (N= THREADS= WRITE=on)
	@$(BIN)/python -m benchmarks.grow.ses_events --n=$(N) --threads=$(THREADS) $(if $(WRITE),--write)

bench-growth: DB ?= postgresql
bench-growth: $(STAMP) ## what an email costs as the tables grow (DB= WRITE=on)
	@$(BIN)/python -m benchmarks.grow.emails --database=$(DB) $(if $(WRITE),--write)

bench-console: DB ?= postgresql
bench-console: N ?= 1000000
bench-console: $(STAMP) ## how long the admin's pages take as the tables grow (N= DB= WRITE=on)
	@$(BIN)/python -m benchmarks.grow.admin_pages --rows=$(N) --database=$(DB) $(if $(WRITE),--write)

bench-api: RATES ?= 50,100
bench-api: SECONDS ?= 30
bench-api: DB ?= postgresql
bench-api: CONSUMERS ?= 1
bench-api: $(STAMP) ## how long the API takes for an order while emails go out (RATES= SECONDS= DB= CONSUMERS= WRITE=on)
	@$(BIN)/python -m benchmarks.grow.api --rates=$(RATES) --seconds=$(SECONDS) --database=$(DB) \
		--consumers=$(CONSUMERS) $(if $(WRITE),--write)

bench-scale: N ?= 10000
bench-scale: CONSUMERS ?= 1,2,4
bench-scale: STATEMENTS ?= 0
bench-scale: $(STAMP) ## what an email costs PostgreSQL, and what 100, 1,000 and 10,000 a second need (N= CONSUMERS= STATEMENTS= WRITE=on)
	@$(BIN)/python -m benchmarks.grow.scale --n=$(N) --consumers=$(CONSUMERS) --statements=$(STATEMENTS) \
		$(if $(WRITE),--write)

bench-snapshot: MINUTES ?= 10
bench-snapshot: $(STAMP) ## what an old snapshot costs claims and relay on PostgreSQL (MINUTES= WRITE=on)
	@$(BIN)/python -m benchmarks.grow.old_snapshot --minutes=$(MINUTES) $(if $(WRITE),--write)

lambda: $(STAMP) ## the zip that AWS Lambda runs, in dist/; docs/how-to/lambda.md
	@$(BIN)/python -m infra.lambda_package

lambda-start: N ?= 10
lambda-start: $(STAMP) ## how long the zip takes to start, and for an email (N=)
	@$(BIN)/python -m benchmarks.profile.lambda_start --starts=$(N)

editor: ## make the editor of email templates in emails/static anew, from infra/editor (needs Node.js)
	@cd infra/editor && npm ci --silent --no-fund --no-audit && node build.js

docs: $(DOCS) docs-reference ## build the documentation as a searchable site, in site/
	@NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --quiet --strict

docs-reference: $(STAMP) ## write the pages of commands and settings from the code
	@$(TEST) $(BIN)/python -m infra.reference_pages

catalogs: $(STAMP) ## bring the translations of the shop's pages up to date (orders/locale/)
	@$(TEST) $(BIN)/python -m infra.catalogs

lint: $(STAMP) ## what CI checks before the tests
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy .
	@$(BIN)/cfn-lint infra/template.yaml
	@$(TEST) $(BIN)/python manage.py check
	@$(TEST) $(BIN)/python manage.py makemigrations --check --dry-run
	@$(TEST) $(BIN)/python manage.py export_schemas --check
	@$(TEST) $(BIN)/python -m infra.reference_pages --check
	@$(TEST) $(BIN)/python -m infra.catalogs --check

audit: $(STAMP) ## look the pinned packages up in the list of known vulnerabilities (OPTIONS="--ignore-vuln ID")
	@$(BIN)/python -m infra.audit $(OPTIONS)

format: $(STAMP) ## put the code into shape
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format --quiet .

lock: $(STAMP) ## pin what requirements*.in ask for, with hashes
	@$(BIN)/uv pip compile -q --upgrade --generate-hashes --no-header --python-version 3.11 requirements.in -o requirements.txt
	@$(BIN)/uv pip compile -q --upgrade --generate-hashes --no-header --python-version 3.11 -c requirements.txt requirements-dev.in -o requirements-dev.txt
	@$(BIN)/uv pip compile -q --upgrade --generate-hashes --no-header --python-version 3.11 requirements-ministack.in -o requirements-ministack.txt
	@$(BIN)/uv pip compile -q --upgrade --generate-hashes --no-header --python-version 3.11 requirements-docs.in -o requirements-docs.txt

clean: ## forget the environment and the data of this machine
	@rm -rf $(VENV) $(dir $(MINISTACK)) $(dir $(DOCS)) .env db.sqlite3* staticfiles test-artifacts site
