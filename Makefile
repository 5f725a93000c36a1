# `make demo` and `make test` set up everything they need. On Windows see README.md.

PYTHON ?= python3
ARGS ?=

BIN := .venv/bin
READY := .venv/ready
# Many tests wait for processes of their own, and while they do, other files are tested:
# four at once keep two cores busy. In the order of the folders, so that no long file is
# left for the end. Unit tests hardly wait.
FILES_AT_ONCE := --dist loadfile --no-loadscope-reorder
# An inverter lowers its priority to 10. Beside tests that compute at 0 it would hardly
# start, and its test would wait.
NEXT_TO_INVERTERS := nice -n 9
PEERS := .venv-bench/ready
# What PySide6's wheels expect of the system, by the names of Debian and Ubuntu.
QT_PACKAGES := libegl1 libgl1 libxkbcommon0 libfontconfig1 libdbus-1-3 fonts-dejavu-core

# Tests start some hundred processes, which need not compile all modules again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-unit test-slow lint docs \
	bench-loop bench-imaging bench-inversion bench-bridge bench-screen bench-speed bench-gpu bench-dish \
	bench-senses bench-afternoon \
	benchmarks-page gallery clean

demo: $(READY)
	$(BIN)/rtrecon demo $(ARGS)

test: $(READY)
	QT_QPA_PLATFORM=offscreen $(NEXT_TO_INVERTERS) $(BIN)/pytest -n 4 $(FILES_AT_ONCE) --cov=rtrecon $(ARGS)

test-unit: $(READY)
	QT_QPA_PLATFORM=offscreen $(BIN)/pytest tests/unit -n 3 $(FILES_AT_ONCE) $(ARGS)

test-slow: $(READY)
	QT_QPA_PLATFORM=offscreen $(NEXT_TO_INVERTERS) $(BIN)/pytest tests/slow -n 4 $(FILES_AT_ONCE) $(ARGS)

lint: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/mypy benchmarks
	$(BIN)/lint-imports

# The tutorials run while the documentation is built. RTRECON_DOCS_TUTORIALS=0 skips them.
docs: $(READY)
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html

# The figures of docs/benchmarks.md, written from benchmarks/results/*.json.
benchmarks-page: $(READY)
	$(BIN)/python benchmarks/page.py

bench-loop: $(READY)
	$(BIN)/python benchmarks/loop.py $(ARGS)

bench-imaging: $(PEERS)
	.venv-bench/bin/python benchmarks/imaging.py $(ARGS)

bench-inversion: $(READY)
	$(BIN)/python benchmarks/inversion.py $(if $(QUICK),--mice quick) $(ARGS)
	$(BIN)/python benchmarks/subjects.py $(if $(QUICK),--quick)
	$(BIN)/python benchmarks/quality_table.py $(if $(QUICK),--quick --minutes 2 --neurons 100)

bench-bridge: $(PEERS)
	.venv-bench/bin/python benchmarks/bridge.py $(ARGS)

bench-screen: $(READY)
	$(BIN)/python benchmarks/screen.py $(ARGS)

# What people wait for: commands, from start to end.
bench-speed: $(READY)
	$(BIN)/python benchmarks/speed.py $(if $(QUICK),--quick) $(ARGS)

bench-gpu: $(READY)
	$(BIN)/python benchmarks/gpu.py $(if $(QUICK),--quick) $(ARGS)

# Neurons in a dish: simulated films, a real one, Frangi's filter and a tracking score.
bench-dish: $(PEERS)
	.venv-bench/bin/python benchmarks/dish.py $(if $(QUICK),--quick) $(ARGS)

# Sound and touch beside ridge regression.
bench-senses: $(READY)
	$(BIN)/python benchmarks/senses.py $(if $(QUICK),--quick) $(ARGS)

# How soon a calibration notices a wrong clock.
bench-afternoon: $(READY)
	$(BIN)/python benchmarks/afternoon.py $(if $(QUICK),--quick) $(ARGS)

# The pictures of the documentation: a real daemon, a simulated mouse.
gallery: $(READY)
	$(BIN)/python benchmarks/gallery.py $(ARGS)

clean:
	rm -rf .venv .venv-bench .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	rm -rf build dist demo-out docs/_build docs/auto_tutorials htmlcov .coverage
	find . -name __pycache__ -prune -exec rm -rf {} +

# Made anew only when what it depends on changed. torch comes first: it is the largest,
# and its version decides those of others.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "rtrecon needs Python 3.11 or newer; try make PYTHON=python3.11"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -c constraints.txt torch
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[dev]"
	@$(BIN)/python -c 'import PySide6.QtGui' 2>/dev/null || $(MAKE) --no-print-directory qt-libraries
	touch $@

# What benchmarks compare with, in an environment of its own that also sees the other.
$(PEERS): benchmarks/peers.txt $(READY)
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip install --quiet --no-deps -r benchmarks/peers.txt
	@ours=$$($(BIN)/python -c 'import site; print(site.getsitepackages()[0])'); \
	theirs=$$(.venv-bench/bin/python -c 'import site; print(site.getsitepackages()[0])'); \
	echo "import site; site.addsitedir(r'$$ours')" > "$$theirs/rtrecon.pth"
	touch $@

.PHONY: qt-libraries
qt-libraries:
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
			apt-get install -qq -y --no-install-recommends $(QT_PACKAGES); \
	else \
		echo "Qt misses system libraries; on Debian or Ubuntu install them with:"; \
		echo "  sudo apt-get install $(QT_PACKAGES)"; \
	fi
