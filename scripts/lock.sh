#!/usr/bin/env bash
# Resolves both lockfiles for every platform. They carry hashes and no index address, so that any PyPI mirror serves them.
set -euo pipefail
cd "$(dirname "$0")/.."
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
python3 -m venv "$tools/venv"
"$tools/venv/bin/pip" install --quiet 'uv>=0.13,<0.14'
compile() {
    "$tools/venv/bin/uv" pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes \
        --no-header --no-annotate --no-emit-index-url "$@"
}
compile --group build --extra media --output-file requirements/run.lock
compile --group build --group dev --group bench --all-extras --constraint requirements/run.lock \
    --output-file requirements/dev.lock
