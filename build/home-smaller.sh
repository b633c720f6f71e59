#!/usr/bin/env bash
# A smaller default model from the one that build/home-model.sh made: two layers are pruned away, what is left is distilled
# from the whole model and quantised, and each state is measured on the generated test and the hand-written set. The tables
# go into docs/default-model.md, between the marks.
# usage: build/home-smaller.sh [FOLDER]    the folder that build/home-model.sh made
set -euo pipefail
out=${1:+$(realpath "$1")}
cd "$(dirname "$0")/.."
out=${out:-$PWD/out/home}
page=docs/default-model.md
begin='<!-- written by build/home-smaller.sh -->' end='<!-- end of build/home-smaller.sh -->'
go build -o "$out/bin/" ./cmd/ledge
ledge() { "$out/bin/ledge" "$@"; }
command -v jq > /dev/null || { echo "home-smaller: jq is not installed" >&2; exit 1; }
small=$out/smaller
mkdir -p "$small"
# What layers are chosen by: training sentences with their lines, as text.
head -n 4000 "$out/train.jsonl" | jq -r '.prompt + .completion' > "$small/text.txt"
head -n 30000 "$out/train.jsonl" > "$small/lessons.jsonl"
rm -rf "$small/run" # of another model, perhaps
ledge prune -q --force --no-speed --layers 2 --layers-by perplexity -f "$small/text.txt" "$out/run/model.gguf" "$small/pruned.gguf" > "$small/prune.txt"
ledge distill runtime/train/recipes/home-smaller.yaml -q --no-speed --out "$small/run" \
  --set from="$small/pruned.gguf" --set distill.teacher="$out/run/model.gguf" --set data.train="$small/lessons.jsonl" --set data.valid="$out/test.jsonl" > "$small/distill.txt"
ledge quantize -q --force --no-speed "$small/run/model.gguf" "$small/smaller.gguf" Q4_0 > /dev/null
cd "$small"
ln -sf ../run/model.gguf whole.gguf
ln -sf ../home.gguf whole-q4_0.gguf
ln -sf run/model.gguf distilled.gguf
{
  printf '%s\n' "$begin"
  for set in test handwritten; do
    printf '\n%s:\n\n' "$([ $set = test ] && echo "On the generated test" || echo "On the hand-written set")"
    ledge eval -m whole.gguf -m pruned.gguf -m distilled.gguf -m whole-q4_0.gguf -m smaller.gguf --raw -n 120 --parallel 8 -q \
      -f "$out/$set.jsonl" --json-schema "$OLDPWD/runtime/home/schema.json" | grep -v '^energy n/a' | awk '!NF {skip = 1} !skip'
  done
  printf '\n| file | bytes |\n| --- | ---: |\n'
  for f in whole pruned distilled whole-q4_0 smaller; do printf '| %s.gguf | %s |\n' $f "$(stat -Lc %s $f.gguf)"; done
  printf '\n%s\n' "$end"
} > tables.md
cd "$OLDPWD"
awk -v begin="$begin" -v end="$end" -v tables="$small/tables.md" '
  $0 == begin {while ((getline line < tables) > 0) print line; skip = 1}
  !skip {print}
  $0 == end {skip = 0}' $page > "$small/page.md"
cat "$small/page.md" > $page
