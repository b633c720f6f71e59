#!/usr/bin/env bash
# Runs every fuzz target of the module for a while.
# usage: build/fuzz.sh TIME   (as -fuzztime takes it: 4s, 60s)
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:?usage: build/fuzz.sh TIME}
for pkg in $(go list ./...); do
  dir=$(go list -f '{{.Dir}}' "$pkg")
  for f in $(cat "$dir"/*_test.go 2>/dev/null | sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(f \*testing\.F).*/\1/p'); do
    echo "$pkg $f"
    go test -run '^$' -fuzz "^$f\$" -fuzztime "$time" "$pkg" | tail -n 1
  done
done
