# Each target does all its own set-up on a fresh machine: Python 3.11 or later and make are enough.
PYTHON ?= python3
VENV := .venv
DEMO := .venv-demo
PIP_FLAGS := --quiet --disable-pip-version-check

.PHONY: demo test lint format docs bench fuzz clean

demo: $(DEMO)/ready ## the astronaut says hello: out/demo.mp4 (no PyTorch)
	$(DEMO)/bin/python examples/demo.py out

test: lint ## style, types, import rules, then the tests
	$(VENV)/bin/pytest -n 2 --dist loadfile

lint: $(VENV)/ready
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/lint-imports
	$(VENV)/bin/pyright --pythonpath $(VENV)/bin/python

format: $(VENV)/ready
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

docs: $(VENV)/ready ## the pages as a site: site/index.html; a warning or a broken link is an error
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --strict

bench: $(VENV)/ready ## milliseconds a frame, side by side in one run; seconds to judge a clip
	$(VENV)/bin/python benchmarks/speed.py
	$(VENV)/bin/python benchmarks/film.py
	$(VENV)/bin/python benchmarks/judging.py

fuzz: $(VENV)/ready ## a minute of damaged files for everything that opens files
	$(VENV)/bin/pip install $(PIP_FLAGS) "atheris>=3"
	mkdir -p out/fuzz
	for opener in image sound video inspect manifest list; do \
		mkdir -p out/fuzz/$$opener && (cd out/fuzz && ../../$(VENV)/bin/python ../../tests/fuzz.py $$opener \
			-max_total_time=60 -rss_limit_mb=3000 -timeout=20 -max_len=60000 $$opener) || exit 1; \
	done

$(VENV)/ready: pyproject.toml constraints.txt
	# the page's tests want a browser; without one they are skipped
	command -v chromium >/dev/null || { command -v apt-get >/dev/null && apt-get update -qq && apt-get install -qqy chromium >/dev/null 2>&1; } || true
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install $(PIP_FLAGS) -c constraints.txt torch
	$(VENV)/bin/pip install $(PIP_FLAGS) -c constraints.txt -e ".[dev]"
	touch $@

$(DEMO)/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(DEMO)
	$(DEMO)/bin/pip install $(PIP_FLAGS) -c constraints.txt -e ".[demo]"
	touch $@

clean:
	rm -rf $(VENV) $(DEMO) out site
