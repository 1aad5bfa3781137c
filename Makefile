# Two commands do everything on a fresh clone: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
# Small models are up to 170 times slower on two threads.
export OMP_NUM_THREADS ?= 1

.PHONY: demo test check audit chaos chaos-replicas chaos-kills chaos-network chaos-outages fuzz soak newer-prometheus golden \
	bench docs screenshots site clean

demo: .venv/installed  ## the main job on this machine; ARGS=--once ends by itself
	$(BIN)/anomalyd demo $(ARGS)

# The whole suite runs in a process for each core, and asks for the share of the code that tests reach.
WHOLE = $(if $(ARGS),,--cov --cov-report=term --numprocesses logical --maxprocesses 4 $(SHARED_OUT))
SHARED_OUT = --dist loadgroup --no-loadscope-reorder

test: check  ## everything that must hold
	bash tests/programs.sh
	$(BIN)/pytest $(WHOLE) $(ARGS)

check: .venv/installed  ## style, types, and that imports point one way
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/bandit -q -r daemon detectors interpret assistant reports dashboard -ll -ii -c pyproject.toml

audit: .venv/installed  ## known vulnerabilities of what is installed; asks the network
	$(BIN)/pip install --quiet pip-audit
	$(BIN)/pip-audit --local --skip-editable

chaos: .venv/installed  ## the faults of docs/guarantees.md at their size (half an hour); writes build/chaos.json
	rm -f build/chaos.json
	$(MAKE) --jobs 4 --keep-going --output-sync=target chaos-replicas chaos-kills chaos-network chaos-outages

# Much of it is waiting, so four run side by side.
chaos-replicas: CHAOS_TESTS = test_replicas ../kafka/test_source
chaos-kills: CHAOS_TESTS = test_kill
chaos-network: CHAOS_TESTS = test_bad_network test_bad_input
chaos-outages: CHAOS_TESTS = test_broker_outage test_store_outage test_command
chaos-replicas chaos-kills chaos-network chaos-outages: .venv/installed
	CHAOS=$(CURDIR)/build/chaos.json $(BIN)/pytest --timeout 3600 \
		$(CHAOS_TESTS:%=tests/daemon/e2e/%.py) $(ARGS)

fuzz: .venv/installed  ## a million damaged messages of all formats through the decoders (five minutes)
	$(BIN)/python benchmarks/fuzz_decoders.py $(ARGS)

soak: .venv/installed  ## a daemon at ten times the normal rate for an hour; ARGS="--minutes 10"
	$(BIN)/python benchmarks/soak.py --keep build/soak.json $(ARGS)

newer-prometheus: .venv/installed  ## fetches Prometheus 3 and VictoriaMetrics of Debian's unstable release; runs their tests
	bash tests/newer_prometheus.sh build/newer
	$(BIN)/pytest tests/daemon/e2e/test_newer_prometheus.py $(ARGS)

golden: .venv/installed  ## write anew what comes out of the recorded inputs; review the difference
	GOLDEN_UPDATE=1 $(BIN)/pytest tests/golden -k as_recorded

bench: .venv/installed  ## the cost of detectors beside PCA and of explanations, then messages a second beside a bare loop
	$(BIN)/python benchmarks/detectors.py
	$(BIN)/python benchmarks/explanations.py
	$(BIN)/python benchmarks/live.py
	$(BIN)/python benchmarks/storm.py
	$(BIN)/python benchmarks/throughput.py $(ARGS)

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --editable '.[test]'
	touch $@

screenshots: .venv/installed  ## the dashboard's pages as pictures, in build/screenshots; docs/images holds two of them
	mkdir -p build/screenshots
	SCREENSHOTS=build/screenshots $(BIN)/pytest tests/dashboard/test_browser.py -k dark_light

docs: .venv/installed  ## pages that are made from the code
	$(BIN)/python -m anomalyd.daemon.telemetry.reference > docs/metrics.md
	$(BIN)/python -m anomalyd.daemon.config.reference > docs/settings.md
	$(BIN)/python -m typer anomalyd.daemon.cli.app utils docs --name anomalyd --title 'Commands' --output docs/cli.md
	KAFKA_PASSWORD=x $(BIN)/anomalyd deploy prometheus -c anomalyd.yaml > deploy/prometheus/anomalyd.rules.yml
	KAFKA_USERNAME=x KAFKA_PASSWORD=x POD_NAME=x DATABASE_URL=postgresql://a/b $(BIN)/anomalyd deploy prometheus \
		--kubernetes -c deploy/kubernetes/anomalyd.yaml > deploy/kubernetes/prometheus-rule.yaml
	$(BIN)/anomalyd deploy alertmanager > deploy/prometheus/alertmanager.yml
	$(BIN)/anomalyd deploy grafana > deploy/grafana/anomalyd.json

site: .venv/installed  ## the documentation as a site, in build/site
	$(BIN)/mkdocs build --strict

clean:
	rm -rf .venv build dist demo-run src/*.egg-info
