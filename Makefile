# Everything runs in .venv, which the first target that needs it makes.
#   make demo        train real models, watch them on the dashboard (SERVE=0: end with a summary)
#   make test        all tests of the short run
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
MADE := $(VENV)/.made
TORCH := torch==2.13.0
TORCH_OPTIONS ?=
DOWNLOAD_MB := 450
# Test files that run at a time.
JOBS ?= 2

.PHONY: demo test test-long lint types docs bench clean

demo: $(MADE)
	$(BIN)/python examples/demo.py

test: $(MADE)
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile

test-long: $(MADE)
	$(BIN)/python -m pytest -m "long or not long" --timeout 3600

lint: $(MADE)
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(MADE)
	$(BIN)/mypy

docs: $(MADE)
	$(BIN)/python docs/make_tables.py

bench: $(MADE)
	$(BIN)/python benchmarks/log_cost.py
	$(BIN)/python benchmarks/step_cost.py
	$(BIN)/python benchmarks/sampling.py
	$(BIN)/python benchmarks/store_size.py
	$(BIN)/python benchmarks/ingest.py
	$(BIN)/python benchmarks/charts.py
	$(BIN)/python benchmarks/run_search.py
	$(BIN)/python benchmarks/sync_load.py
	$(BIN)/python benchmarks/sync_drain.py
	$(BIN)/python benchmarks/sync_outage.py
	$(BIN)/python benchmarks/artifact_cost.py

clean:
	rm -rf $(VENV)

# torch comes first and pinned, so that nothing that follows brings another build of it. Where pip finds only its CUDA
# build (about 3 GB more), name an index of CPU wheels: make test TORCH_OPTIONS="--index-url ..."
$(MADE): pyproject.toml constraints.txt Makefile
	@echo "Making $(VENV): downloads about $(DOWNLOAD_MB) MB (torch 190 MB of it), takes 2 GB of disk and a few minutes."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --progress-bar off -q $(TORCH_OPTIONS) $(TORCH)
	@echo "torch is there; installing the rest."
	$(BIN)/python -m pip install --disable-pip-version-check --progress-bar off -q -c constraints.txt -e ".[dev]"
	@touch $(MADE)
