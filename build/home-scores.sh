#!/usr/bin/env bash
# How good the default model is, and what each type of weights costs it: ledge eval on the generated test, the hand-written
# and the routing set, into docs/default-model.md (below its mark).
# usage: build/home-scores.sh [FOLDER]    the folder that build/home-model.sh made
set -euo pipefail
out=${1:+$(realpath "$1")}
cd "$(dirname "$0")/.."
out=${out:-$PWD/out/home}
page=docs/default-model.md
mark='<!-- written by build/home-scores.sh -->'
go build -o "$out/bin/" ./cmd/ledge ./build/homedata
ledge() { "$out/bin/ledge" "$@"; }
mkdir -p "$out/types"
ln -sf ../run/model.gguf "$out/types/F32.gguf"
for type in Q8_0 Q5_1 Q5_0 IQ4_NL Q4_1 Q4_0; do
  ledge quantize -q --force "$out/run/model.gguf" "$out/types/$type.gguf" $type >/dev/null # a model of before may have left one
done
cp -f "$out/home.gguf" "$out/types/home.gguf"
cmp "$out/home.gguf" runtime/home/model/home.gguf # what is measured is what is built in: copy it there first
"$out/bin/homedata" -sets "$out" > "$out/sets.txt"
cd "$out/types"
schema=$OLDPWD/runtime/home/schema.json
score() { # TITLE MODELS FLAGS: the tables of ledge eval; of several models the first one
  local title=$1 names=$2 models=() m
  for m in $names; do models+=(-m "$m.gguf"); done
  shift 2
  printf '\n%s\n\n' "$title"
  ledge eval "${models[@]}" --raw -n 120 --parallel 8 -q "$@" | grep -v '^energy n/a' | awk -v one="${names// /}" -v all="$names" '!NF && one != all {skip = 1} !skip'
}
{
  printf '%s\n\n`runtime/home/model/home.gguf`: %s bytes, SHA-256 %s.\n' "$mark" "$(stat -c %s home.gguf)" "$(sha256sum < home.gguf | cut -d' ' -f1)"
  printf '\nSentences that are asked, and those that are too near a training line to be (trigram Jaccard 0.8 with numbers in digits):\n\n'
  sed 's/^/- /; s/: too near a training line$//' "$out/sets.txt"
  score "The model that is built in, bound to the schema, on the generated test:" home -f "$out/test.jsonl" --json-schema "$schema"
  score "On the hand-written set:" home -f "$out/handwritten.jsonl" --json-schema "$schema"
  score "On the development set, which the grammar was improved with:" home -f "$out/dev.jsonl" --json-schema "$schema"
  score "On the second development set, with which it was improved again:" home -f "$out/dev2.jsonl" --json-schema "$schema"
  score "On the third, which nobody has read but who wrote it:" home -f "$out/dev3.jsonl" --json-schema "$schema"
  score "Without the schema, on the generated test:" home -f "$out/test.jsonl"
  score "Without the schema, on the hand-written set:" home -f "$out/handwritten.jsonl"
  score "In the task or not (the share that is told rightly):" home -f "$out/routing.jsonl" --json-schema "$schema" --regex '"intent":"([a-z]+)"'
  score "What types of weights cost, on the generated test:" "F32 Q8_0 Q5_1 Q5_0 IQ4_NL Q4_1 Q4_0" -f "$out/test.jsonl" --json-schema "$schema"
  score "On the hand-written set:" "F32 Q8_0 Q5_1 Q5_0 IQ4_NL Q4_1 Q4_0" -f "$out/handwritten.jsonl" --json-schema "$schema"
} > "$out/scores.md"
cd "$OLDPWD"
{ awk -v mark="$mark" '$0 == mark {exit} 1' $page; cat "$out/scores.md"; } > "$out/page.md"
cat "$out/page.md" > $page
