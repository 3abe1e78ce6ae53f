#!/usr/bin/env bash
# Makes .venv from requirements.lock, once: skipped while the lock, pyproject.toml and the
# interpreter are the same. Finds Python 3.12 or newer on PATH, then among pyenv's versions,
# then asks uv to bring one.
set -euo pipefail
cd "$(dirname "$0")/.."

suits() { # is $1 a working Python >= 3.12 that can make environments?
  "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 12))' >/dev/null 2>&1
}

find_python() {
  local candidate
  for candidate in ${PYTHON:-} python3.12 python3.13 python3.14 python3 python \
    "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.1[2-9]*/bin/python; do
    if suits "$candidate"; then
      command -v "$candidate"
      return
    fi
  done
}

digest() { cat requirements.lock pyproject.toml | cksum; }

stamp=.venv/.ready
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$(digest)" ] && suits .venv/bin/python; then
  exit 0
fi

python=$(find_python || true)
echo "Setting up .venv (once; a few minutes on a first machine) ..."
if [ -n "$python" ]; then
  "$python" -m venv --clear .venv
elif command -v uv >/dev/null 2>&1; then
  uv venv --clear --seed --python 3.12 .venv
else
  cat >&2 <<'TXT'
isletmeta needs Python 3.12 or newer, and found none on PATH nor among pyenv's versions.
Install one (for example: `pyenv install 3.12`, `conda env create -f environment.yml`,
or your system's python3.12 and python3.12-venv packages), or install uv, then try again.
TXT
  exit 1
fi

total=$(grep -c '==' requirements.lock)
.venv/bin/python -m pip install --require-hashes --no-input -r requirements.lock 2>.venv/setup.err |
  awk -v total="$total" '
    /^Collecting/ { n++; printf "\r  %d packages of at most %d", n, total; fflush() }
    /^Installing/ { printf "\r  installing them all ...          "; fflush() }
    END { print "" }' || { cat .venv/setup.err >&2; exit 1; }
.venv/bin/python -m pip install --quiet --no-deps --no-build-isolation --no-input \
  -e . 2>.venv/setup.err || { cat .venv/setup.err >&2; exit 1; }
digest >"$stamp"
echo "Ready: $(.venv/bin/python --version), $(.venv/bin/isletmeta --version)"
