#!/usr/bin/env bash
# A smaller default model from the one that build/home-model.sh made: two layers are pruned away, what is left is distilled
# from the whole model and quantised, and each state is measured on the generated test and the hand-written set. The tables
# go into docs/default-model.md, between the marks.
# usage: build/home-smaller.sh [FOLDER]    the folder that build/home-model.sh made
set -euo pipefail
source "$(dirname "$0")/internal/home.sh"
go build -o "$out/bin/" ./cmd/ledge
command -v jq > /dev/null || { echo "home-smaller: jq is not installed" >&2; exit 1; }
small=$out/smaller
mkdir -p "$small"
# What layers are chosen by: training sentences with their lines, as text.
head -n 4000 "$out/train.jsonl" | jq -r '.prompt + .completion' > "$small/text.txt"
head -n 100000 "$out/train.jsonl" > "$small/lessons.jsonl"
rm -rf "$small/run" # of another model, perhaps
ledge prune -q --force --no-speed --layers 2 --layers-by perplexity -f "$small/text.txt" "$out/run/model.gguf" "$small/pruned.gguf" > "$small/prune.txt"
ledge distill runtime/train/recipes/home-smaller.yaml -q --no-speed --out "$small/run" \
  --set from="$small/pruned.gguf" --set distill.teacher="$out/run/model.gguf" --set data.train="$small/lessons.jsonl" --set data.valid="$out/test.jsonl" > "$small/distill.txt"
ledge quantize -q --force --no-speed "$small/run/model.gguf" "$small/smaller.gguf" Q4_0 > /dev/null
cd "$small"
ln -sf ../run/model.gguf whole.gguf
ln -sf ../home.gguf whole-q4_0.gguf
ln -sf run/model.gguf distilled.gguf
models="whole pruned distilled whole-q4_0 smaller"
{
  ask "On the generated test:" "$models" -f "$out/test.jsonl" --json-schema "$schema"
  ask "On the hand-written set:" "$models" -f "$out/handwritten.jsonl" --json-schema "$schema"
  printf '\n| file | bytes |\n| --- | ---: |\n'
  for f in $models; do printf '| %s.gguf | %s |\n' $f "$(stat -Lc %s $f.gguf)"; done
  printf '\n'
} > tables.md
publish build/home-smaller.sh "$small/tables.md"
