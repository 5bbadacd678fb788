# Everything a fresh clone needs; each line stands in docs/installing.md too.
PYTHON ?= python3

.PHONY: demo test test-slow lint docs lock

demo: .venv/demo
	.venv/bin/emotion_musicvae_generate --emotion=평화로움 --output_dir=out \
	  --output_formats=mid,wav,png,musicxml,html --accompaniment=full

# In two processes, each with all that a file of tests shares.
test: .venv/test
	.venv/bin/python -m pytest -q -n 2 --dist loadfile -m "not slow"

# What takes longest, and what XLA compiles; .ci/run adds it to the tests.
test-slow: .venv/test
	TESTS_COMPILED=1 .venv/bin/python -m pytest -q -m "slow or compiled"

lint: .venv/test
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

docs: .venv/test
	NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --strict --quiet

.venv/demo: requirements.lock setup.py
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit( \
	  "Python 3.11 or newer is needed and $(PYTHON) is " \
	  + sys.version.split()[0] + "; type: make PYTHON=python3.11 $(or $(MAKECMDGOALS),demo)")'
	$(PYTHON) -m venv .venv
	.venv/bin/pip install --quiet --no-deps -r requirements.lock
	.venv/bin/pip install --quiet --no-deps -e .
	touch $@

.venv/test: .venv/demo requirements-test.lock
	.venv/bin/pip install --quiet --no-deps -r requirements-test.lock
	touch $@

# Writes the pinned files anew, without a download address in them; what is
# pinned stays so where it can. The one of the tests comes first: its versions
# suit every extra.
COMPILE = uv pip compile --universal --fork-strategy=fewest --python-version=3.11 \
  --no-header --no-annotate --no-emit-index-url --quiet setup.py

lock:
	$(COMPILE) --extra=test --extra=docs -o requirements-test.lock >/dev/null
	$(COMPILE) requirements.in --extra=audio --extra=notation --extra=studio \
	  --constraint=requirements-test.lock -o requirements.lock >/dev/null
	$(COMPILE) requirements.in --extra=audio --extra=notation --extra=dask \
	  --extra=spark --constraint=requirements-test.lock \
	  -o requirements-batch.lock >/dev/null
