#!/usr/bin/env bash
# How good models of household commands are: ledge eval on the generated test, the hand-written set and the routing set,
# with the output bound to the schema and without.
# usage: build/home-scores.sh DATA MODEL...      DATA is the folder that build/home-model.sh made
set -euo pipefail
cd "$(dirname "$0")/.."
data=$1; shift
models=()
for m in "$@"; do models+=(-m "$m"); done
go build -o "$data/bin/ledge" ./cmd/ledge
score() { echo "== $1"; shift; "$data/bin/ledge" eval "${models[@]}" --raw -n 120 --parallel 8 -q "$@"; }
schema=runtime/home/schema.json
score "generated test, bound to the schema" -f "$data/test.jsonl" --json-schema $schema
score "hand-written, bound to the schema" -f "$data/handwritten.jsonl" --json-schema $schema
score "generated test, free" -f "$data/test.jsonl"
score "hand-written, free" -f "$data/handwritten.jsonl"
score "routing: in the task or not" -f "$data/routing.jsonl" --json-schema $schema --regex '"intent":"([a-z]+)"'
