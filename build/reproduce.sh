#!/usr/bin/env bash
# Builds the packages in FOLDER (default out/packages) once more, from a copy of the source in a folder of another name, with
# other settings of the shell, and compares every byte.
#   build/reproduce.sh [--cold] [FOLDER [ARCH...]]
# --cold: with nothing in Go's and zig's caches, so that everything is compiled again.
set -euo pipefail
cold=
if [ "${1:-}" = --cold ]; then cold=1; shift; fi
packages=$(realpath "${1:-$(dirname "$0")/../out/packages}")
if [ $# -gt 0 ]; then shift; fi
cd "$(dirname "$0")/.."
export LEDGE_ZIG=${LEDGE_ZIG:-$PWD/out/zig/ziglang/zig}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# build COPY TO ARCH...: the packages of a copy of the source, local changes included.
build() {
  local copy=$1 to=$2
  shift 2
  mkdir -p "$(dirname "$copy")"
  git clone -q --shared . "$copy"
  git diff --binary HEAD >"$work/changes"
  if [ -s "$work/changes" ]; then git -C "$copy" apply --whitespace=nowarn "$work/changes"; fi
  git ls-files -z --others --exclude-standard | xargs -0r cp --parents -t "$copy"
  "$copy/build/package.sh" "$to" "$@" >"$work/log" 2>&1 || { tail -n 50 "$work/log" >&2; exit 1; }
}

# Go writes the revision into programs, and does not see it in a linked work tree.
if [ ! -d .git ]; then
  packages=$work/first
  build "$work/ledge" "$packages" "$@"
fi
copy=$work/elsewhere/ledge-$$
(
  if [ -n "$cold" ]; then export GOCACHE=$work/go ZIG_GLOBAL_CACHE_DIR=$work/zig ZIG_LOCAL_CACHE_DIR=$work/zig; fi
  umask 077
  export TZ=Asia/Kathmandu LC_ALL=C.UTF-8
  build "$copy" "$work/again" "$@"
)
n=0
for again in "$work"/again/*.deb "$work"/again/*.tar.gz; do
  cmp "$again" "$packages/$(basename "$again")" || { echo "build/reproduce.sh: $(basename "$again") differs when it is built in another folder" >&2; exit 1; }
  n=$((n + 1))
done
echo "$n packages, built again in $copy${cold:+ from nothing}: every byte is the same"
