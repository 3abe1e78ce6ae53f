#!/usr/bin/env bash
# Installs what the tests in a real browser need, on Debian and as root: Chromium, poppler's tools,
# Playwright (in .venv) and axe-core (in .cache/browser). Without them those tests are skipped.
set -euo pipefail
cd "$(dirname "$0")/.."
if ! command -v chromium >/dev/null || ! command -v pdftotext >/dev/null; then
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends chromium poppler-utils >/dev/null
fi
.venv/bin/python -m pip install --quiet --disable-pip-version-check "playwright>=1.50"
[ -f .cache/browser/node_modules/axe-core/axe.min.js ] ||
  npm install --silent --no-audit --no-fund --prefix .cache/browser axe-core@4
