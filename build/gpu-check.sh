#!/usr/bin/env bash
# Proves and measures the CUDA backend on a machine with an NVIDIA GPU that has nothing but the driver.
#   build/gpu-check.sh pack            here: builds out/gpu-check.tar.gz (40 MiB at most): programs, tests, golden models
#   build/gpu-check.sh run [FLAGS]     there, beside the archive: unpacks it to out/gpu, runs gpucheck, writes out/gpu-check.md
# Copy real models to out/gpu/models and llama.cpp's programs for CUDA (build/llama-cuda.sh) to out/gpu/peer first, if the
# report is to have them; pack takes other builds of ledge, to be measured beside this one and called as their files, from
# LEDGE_BEFORE (FILE:FILE...), and with LEDGE_TRACE=1 makes one whose kernels have timers (a minute; needs clang-19): the
# report then says what a token consists of.
# FLAGS are gpucheck's: -only STEPS, -budget TIME (default 9m), -out FILE, -device NAME.
set -euo pipefail
cd "$(dirname "$0")/.."
dir=out/gpu archive=out/gpu-check.tar.gz

pack() {
  export GOTOOLCHAIN=local GOFLAGS=-mod=readonly
  rm -rf "$dir" && mkdir -p "$dir/models" "$dir/src/runtime/model"
  ( # without cgo: these need no library there
    export CGO_ENABLED=0
    go build -trimpath -buildvcs=auto -ldflags '-s -w' -o "$dir/" ./build/gpucheck ./build/synth # the report names the commit
  )
  source build/cgo.sh
  go build -tags "$tags" -trimpath -ldflags '-s -w' -o "$dir/ledge" ./cmd/ledge
  for backend in cuda vulkan all; do
    go test -c -tags "$tags" -trimpath -ldflags '-s -w' -o "$dir/$backend.test" "./backend/$backend"
    mkdir -p "$dir/src/backend/$backend"
    if [ -d "backend/$backend/testdata" ]; then cp -r "backend/$backend/testdata" "$dir/src/backend/$backend/"; fi
  done
  cp -r runtime/model/testdata "$dir/src/runtime/model/"
  IFS=: read -ra others <<<"${LEDGE_BEFORE:-}"
  mkdir -p "$dir/before"
  for other in "${others[@]}"; do
    if [ -e "$dir/before/${other##*/}" ]; then echo "build/gpu-check.sh: two files of LEDGE_BEFORE are called ${other##*/}" >&2; exit 1; fi
    strip -o "$dir/before/${other##*/}" "$other"
  done
  if [ -n "${LEDGE_TRACE:-}" ]; then # in a copy of the tree, whose kernels are replaced
    to=$PWD/$dir/trace/ledge
    (
      copy=$(mktemp -d)
      trap 'rm -rf "$copy"' EXIT
      git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$copy"
      cd "$copy"
      CGO_ENABLED=0 go run ./kernels/cuda/gen -trace
      source build/cgo.sh
      go build -tags "$tags" -trimpath -buildvcs=false -ldflags '-s -w' -o "$to" ./cmd/ledge
    )
  fi
  cp LICENSE "$dir/" # a text for the perplexity where the GPL is not at hand
  if [ -f /usr/share/common-licenses/GPL-3 ]; then cp /usr/share/common-licenses/GPL-3 "$dir/"; else cp LICENSE "$dir/GPL-3"; fi
  tar czf "$archive" -C out gpu
  cksum <"$archive" >"$dir/unpacked"
  size=$(stat -c %s "$archive")
  echo "$archive: $((size >> 20)) MiB"
  if [ "$size" -gt $((40 << 20)) ]; then echo "build/gpu-check.sh: $archive is larger than 40 MiB" >&2; exit 1; fi
}

run() {
  # Another archive than the one unpacked replaces everything but what people copy there.
  if [ -f "$archive" ] && [ "$(cksum <"$archive")" != "$(cat "$dir/unpacked" 2>/dev/null)" ]; then
    mkdir -p "$dir"
    find "$dir" -mindepth 1 -maxdepth 1 ! -name models ! -name peer -exec rm -rf {} +
    tar xzf "$archive" --keep-directory-symlink -C out
    cksum <"$archive" >"$dir/unpacked"
  fi
  "$dir/gpucheck" -dir "$dir" -out out/gpu-check.md "$@"
}

case "${1:-}" in
  pack) pack ;;
  run) shift; run "$@" ;;
  *) sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
