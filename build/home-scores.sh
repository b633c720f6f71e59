#!/usr/bin/env bash
# How good the default model is, and what each type of weights costs it: ledge eval on the generated test, the hand-written
# and the routing set, into docs/default-model.md (between its marks).
# usage: build/home-scores.sh [FOLDER]    the folder that build/home-model.sh made
set -euo pipefail
source "$(dirname "$0")/internal/home.sh"
go build -o "$out/bin/" ./cmd/ledge ./build/homedata
cmp "$out/home.gguf" runtime/home/model/home.gguf # what is measured is what is built in: copy it there first
"$out/bin/homedata" -sets "$out" > /dev/null
"$out/bin/homedata" -n 5000 -seed 1 -split test -o "$out/now"
cmp "$out/now/test.jsonl" "$out/test.jsonl" # the data that it learnt from are those of now
mkdir -p "$out/types"
cd "$out/types"
ln -sf ../run/model.gguf F32.gguf
ln -sf ../home.gguf home.gguf
for type in Q8_0 Q5_1 Q5_0 IQ4_NL Q4_1 Q4_0; do
  ledge quantize -q --force "$out/run/model.gguf" $type.gguf $type > /dev/null # a model of before may have left one
done
{
  printf '\n`runtime/home/model/home.gguf`: %s bytes, SHA-256 %s.\n' "$(stat -Lc %s home.gguf)" "$(sha256sum < home.gguf | cut -d' ' -f1)"
  ask "The model that is built in, bound to the schema, on the generated test:" home -f "$out/test.jsonl" --json-schema "$schema"
  ask "On the hand-written set:" home -f "$out/handwritten.jsonl" --json-schema "$schema"
  ask "On the development set, which the grammar was improved with:" home -f "$out/dev.jsonl" --json-schema "$schema"
  ask "On the second development set, with which it was improved again:" home -f "$out/dev2.jsonl" --json-schema "$schema"
  ask "On the third, which nobody has read but who wrote it:" home -f "$out/dev3.jsonl" --json-schema "$schema"
  ask "Without the schema, on the generated test:" home -f "$out/test.jsonl"
  ask "Without the schema, on the hand-written set:" home -f "$out/handwritten.jsonl"
  ask "In the task or not (the share that is told rightly):" home -f "$out/routing.jsonl" --json-schema "$schema" --regex '"intent":"([a-z]+)"'
  types="F32 Q8_0 Q5_1 Q5_0 IQ4_NL Q4_1 Q4_0"
  ask "What types of weights cost, on the generated test:" "$types" -f "$out/test.jsonl" --json-schema "$schema"
  ask "On the hand-written set:" "$types" -f "$out/handwritten.jsonl" --json-schema "$schema"
  printf '\n'
} > "$out/scores.md"
publish build/home-scores.sh "$out/scores.md"
