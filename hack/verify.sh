#!/usr/bin/env bash
# Fails when something generated, tidied or formatted would change the tree, or when lint complains. What is not committed
# yet is fine; what counts is whether the tools change a file's content. All checks run, so that one run names all there is
# to do.
set -euo pipefail
cd "$(dirname "$0")/.."

# contents prints the hash and the name of every file that is, or could be, committed.
contents() {
  local files
  files=$(git ls-files --cached --others --exclude-standard | sort -u | while IFS= read -r f; do [ ! -f "$f" ] || echo "$f"; done)
  paste <(git hash-object --no-filters --stdin-paths <<<"$files") - <<<"$files"
}

failed=
before=$(contents)
make --no-print-directory generate tidy golden fmt
drifted=$({ diff <(echo "$before") <(contents) || true; } | awk -F'\t' '/^[<>]/ {print "  " $2}' | sort -u)
if [ -n "$drifted" ]; then
  echo "make generate tidy golden fmt changed these files; commit what they became:" >&2
  echo "$drifted" >&2
  git --no-pager diff --stat >&2
  failed=1
fi
make --no-print-directory lint || failed=1
[ -z "$failed" ]
