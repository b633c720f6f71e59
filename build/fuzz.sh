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
    if out=$(go test -run '^$' -fuzz "^$f\$" -fuzztime "$time" "$pkg" 2>&1); then
      tail -n 1 <<<"$out"
    elif grep -q 'context deadline exceeded' <<<"$out" && ! grep -qE 'Failing input written|panic' <<<"$out"; then
      # Before Go 1.27 a worker that is inside an input when the time is up is reported as a failure (golang/go issue 75804);
      # a finding always writes its input.
      echo "the time was up in the middle of an input"
    else
      printf '%s\n' "$out"
      exit 1
    fi
  done
done
