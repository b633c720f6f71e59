#!/usr/bin/env bash
# The default model from nothing: data, vocabulary, training, quantisation. What was made is kept: run it again after
# an interruption and it goes on. docs/default-model.md tells each step.
# usage: build/home-model.sh [FOLDER]        the folder is out/home by default; THREADS=2 trains with two threads
#        FOLDER/home.gguf is the model that runtime/home/model carries: copy it there, then run build/home-scores.sh.
#        After a change of the data take another folder: what is there is gone on with, if it is of the data as they are.
set -euo pipefail
out=${1:+$(realpath -m "$1")}
cd "$(dirname "$0")/.."
out=${out:-$PWD/out/home}
mkdir -p "$out"
go build -o "$out/bin/" ./cmd/ledge ./build/homedata
ledge() { "$out/bin/ledge" "$@"; }

if [ ! -e "$out/data.made" ]; then
  "$out/bin/homedata" -n 1000000 -seed 1 -split train -o "$out"
  "$out/bin/homedata" -n 5000 -seed 1 -split test -o "$out"
  "$out/bin/homedata" -sets "$out"
  touch "$out/data.made"
fi
"$out/bin/homedata" -n 5000 -seed 1 -split test -o "$out/now"
cmp "$out/now/test.jsonl" "$out/test.jsonl" || { echo "home-model: the data in $out are not those that are made now: take another folder" >&2; exit 1; }
# The keys of the line are a token each.
[ -e "$out/tokens" ] || ledge tokenizer train -o "$out/tokens" --size 2304 --pre qwen2 --min-frequency 5 \
  --whole '{"intent":"' --whole '","device":"' --whole '","room":"' --whole '","value":"' --whole '","reply":"' --whole '"}' \
  "$out/vocabulary.txt"
common=(--set data.valid="$out/test.jsonl" --threads "${THREADS:-0}")
ledge train runtime/train/recipes/home.yaml --out "$out/warm" --set data.train="$out/train.jsonl" --set tokenizer="$out/tokens/tokenizer.gguf" "${common[@]}"
ledge train runtime/train/recipes/home-cool.yaml --out "$out/run" --set data.train="$out/train.jsonl" --set from="$out/warm/model.gguf" "${common[@]}"
rm -f "$out/home.gguf"
ledge quantize "$out/run/model.gguf" "$out/home.gguf" Q4_0
sha256sum "$out/home.gguf"
