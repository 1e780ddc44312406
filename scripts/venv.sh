#!/usr/bin/env bash
# Makes .venv with the given python3, or with a newer one on the PATH if that is too old. Debian ships half of `venv` apart:
# where that half is missing, pip comes from the index instead.
set -euo pipefail
wanted=${1:-python3}
cd "$(dirname "$0")/.."

is_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

[ -x .venv/bin/pip ] && is_new_enough .venv/bin/python && exit 0
python=
for candidate in "$wanted" python3.13 python3.12 python3.11; do
    if is_new_enough "$candidate"; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    found=$("$wanted" -V 2>&1) || found="not there"
    echo "error: aldgate needs Python 3.11 or newer; \`$wanted\` is ${found##*$'\n'}, and no python3.11, 3.12 or 3.13 is on the PATH" >&2
    echo "hint: install one (Debian 12, Ubuntu 24.04 and newer: apt-get install python3; anywhere: https://www.python.org)," >&2
    echo "      then name it, if it is not \`python3\`: make run PYTHON=/path/to/python3.12" >&2
    exit 1
fi
[ "$python" = "$wanted" ] || echo "\`$wanted\` is older than 3.11; using $python" >&2
if ! "$python" -c 'from pathlib import Path; Path.home()' 2>/dev/null; then
    echo "error: HOME is not set and user $(id -u) has no home directory; pip wants one" >&2
    echo "hint: export HOME=/tmp, or any directory that this user may write to, and run make again" >&2
    exit 1
fi
rm -rf .venv
"$python" -m venv .venv >/dev/null 2>&1 && exit 0
rm -rf .venv
if "$python" -m venv --without-pip .venv && "$python" scripts/pip.py .venv; then
    exit 0
fi
rm -rf .venv
echo "error: \`$python\` cannot make a virtual environment by itself" >&2
echo "hint: install what it lacks (Debian: apt-get install python3-venv) and run make again" >&2
exit 1
