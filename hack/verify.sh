#!/usr/bin/env bash
# Fails when something generated, formatted or tidied would change the tree, or when lint complains.
set -euo pipefail
cd "$(dirname "$0")/.."
before=$(git status --porcelain)
unformatted=$(gofmt -l $(git ls-files '*.go'))
if [ -n "$unformatted" ]; then
  echo "not formatted (make fmt):" "$unformatted" >&2
  exit 1
fi
make --no-print-directory generate tidy golden
after=$(git status --porcelain)
if [ "$before" != "$after" ]; then
  echo "make generate tidy golden changed these files; commit them:" >&2
  diff <(echo "$before") <(echo "$after") >&2 || true
  git --no-pager diff --stat >&2
  exit 1
fi
make --no-print-directory lint
