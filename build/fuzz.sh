#!/usr/bin/env bash
# Runs every fuzz target of the module for a while: as many at once as there are processors, each on one of them, for
# building a target takes longer than a short run of it.
# usage: build/fuzz.sh TIME   (as -fuzztime takes it: 4s, 60s)
set -euo pipefail
cd "$(dirname "$0")/.."
export time=${1:?usage: build/fuzz.sh TIME}

targets() { # package and function, a line each
  go list -f '{{.ImportPath}} {{.Dir}}' ./... | while read -r pkg dir; do
    cat "$dir"/*_test.go 2>/dev/null | sed -n "s#^func \(Fuzz[A-Za-z0-9_]*\)(f \*testing\.F).*#$pkg \1#p"
  done
}

one() {
  local out said
  if out=$(go test -run '^$' -fuzz "^$2\$" -fuzztime "$time" -parallel 1 "$1" 2>&1); then
    said=$(tail -n 1 <<<"$out")
  elif grep -q 'context deadline exceeded' <<<"$out" && ! grep -qE 'Failing input written|panic' <<<"$out"; then
    # Before Go 1.27 a worker that is inside an input when the time is up is reported as a failure (golang/go issue 75804);
    # a finding always writes its input.
    said="the time was up in the middle of an input"
  else
    printf '%s %s\n%s\n' "$1" "$2" "$out"
    exit 255 # xargs begins no other
  fi
  printf '%s %s\n%s\n' "$1" "$2" "$said" # at once: others print, too
}
export -f one

all=$(targets)
[ -n "$all" ] || { echo "build/fuzz.sh: no fuzz target was found" >&2; exit 1; }
xargs -P "$(nproc)" -L 1 bash -c 'set -euo pipefail; one "$@"' one <<<"$all"
