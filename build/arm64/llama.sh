#!/usr/bin/env bash
# Compiles llama.cpp's CPU kernels for the three feature levels of arm64, and a program that calls them, for count.py.
# Needs gcc-aarch64-linux-gnu and g++-aarch64-linux-gnu.
#   llama.sh SOURCE OUT     SOURCE is llama.cpp's tree; OUT gets a folder for each level
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
ggml=$1/ggml out=$2
flags=(-O3 -DNDEBUG -D_GNU_SOURCE -DGGML_USE_CPU_REPACK -I"$ggml/include" -I"$ggml/src" -I"$ggml/src/ggml-cpu")
while read -r level march; do
  mkdir -p "$out/$level"
  aarch64-linux-gnu-gcc -std=gnu11 "${flags[@]}" -march="$march" -c "$ggml/src/ggml-cpu/arch/arm/quants.c" -o "$out/$level/quants.o"
  aarch64-linux-gnu-g++ -std=gnu++17 "${flags[@]}" -march="$march" -c "$ggml/src/ggml-cpu/arch/arm/repack.cpp" -o "$out/$level/repack.o"
  aarch64-linux-gnu-gcc -static -O1 -Wl,--unresolved-symbols=ignore-all -o "$out/$level/run" \
    "$here/llama.c" "$out/$level/quants.o" "$out/$level/repack.o"
done <<'LEVELS'
neon armv8-a
dotprod armv8.2-a+dotprod
i8mm armv8.2-a+dotprod+i8mm
LEVELS
