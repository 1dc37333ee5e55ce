#!/usr/bin/env bash
# Runs every fuzz target of the repository, one after the other, for the time given as its argument (30s). An input that
# fails is kept below the package's testdata/fuzz, from where go test plays it again.
set -euo pipefail
cd "$(dirname "$0")/.."
fuzztime=${1:-30s}
root=$PWD
git ls-files '*_test.go' | xargs grep -l '^func Fuzz' | while read -r file; do
  dir=$(dirname "$file")
  for target in $(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$file"); do
    echo "== $dir $target"
    (cd "$root/$dir" && go test -run '^$' -fuzz "^$target\$" -fuzztime "$fuzztime" .)
  done
done
