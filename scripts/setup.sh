#!/bin/sh
# Finds Python 3.12 or newer (on PATH, among pyenv's versions, else through uv) and gives the work
# to setup.py.
set -eu
cd "$(dirname "$0")/.."

suits() { # is $1 a working Python >= 3.12 that can make environments?
  "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 12))' >/dev/null 2>&1
}

for candidate in ${PYTHON:-} python3.12 python3.13 python3.14 python3 python \
  "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.1[2-9]*/bin/python; do
  if suits "$candidate"; then
    exec "$candidate" scripts/setup.py "$@"
  fi
done
if command -v uv >/dev/null 2>&1; then
  exec uv run --quiet --no-project --python 3.12 scripts/setup.py "$@"
fi
cat >&2 <<'TXT'
isletmeta needs Python 3.12 or newer, and found none on PATH nor among pyenv's versions.
Install one (for example: `pyenv install 3.12`, `conda env create -f environment.yml`,
or your system's python3.12 and python3.12-venv packages), or install uv, then try again.
TXT
exit 1
