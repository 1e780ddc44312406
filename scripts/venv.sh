#!/usr/bin/env bash
# Makes .venv with the given python3. Debian ships `venv` apart: it is installed when we may, and named when we may not.
set -euo pipefail
python=${1:-python3}
cd "$(dirname "$0")/.."
"$python" - <<'PY' || exit 1
import sys
if sys.version_info < (3, 11):
    sys.exit(f"aldgate needs Python 3.11 or newer, this is {sys.version.split()[0]}\nhint: make PYTHON=python3.12 ...")
PY
[ -x .venv/bin/pip ] && exit 0
rm -rf .venv
if ! "$python" -m venv .venv 2>/dev/null; then
    rm -rf .venv
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv >/dev/null
        "$python" -m venv .venv
    else
        echo "this python3 has no venv module" >&2
        echo "hint: install it (Debian: apt-get install python3-venv) and run make again" >&2
        exit 1
    fi
fi
