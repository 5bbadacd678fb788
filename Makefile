# Everything a fresh clone needs; each line stands in README.md too.
PYTHON ?= python3

.PHONY: demo test lint docs lock

demo: .venv/demo
	.venv/bin/emotion_musicvae_generate --emotion=평화로움 --output_dir=out \
	  --output_formats=mid,wav,png,musicxml,html --accompaniment=chords

test: .venv/test
	.venv/bin/python -m pytest -q

lint: .venv/test
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

docs: .venv/test
	NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --strict --quiet

.venv/demo: requirements.lock setup.py
	$(PYTHON) -m venv .venv
	.venv/bin/pip install --quiet --no-deps -r requirements.lock
	.venv/bin/pip install --quiet --no-deps -e .
	touch $@

.venv/test: .venv/demo requirements-test.lock
	.venv/bin/pip install --quiet --no-deps -r requirements-test.lock
	touch $@

# Writes the pinned files anew, without a download address in them. The one of
# the tests comes first: its versions suit every extra.
lock:
	uv pip compile --universal --fork-strategy=fewest --python-version=3.11 --no-header --no-annotate \
	  --no-emit-index-url setup.py --extra=test -o requirements-test.lock
	uv pip compile --universal --fork-strategy=fewest --python-version=3.11 --no-header --no-annotate \
	  --no-emit-index-url setup.py requirements.in --constraint=requirements-test.lock -o requirements.lock
