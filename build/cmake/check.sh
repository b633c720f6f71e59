#!/usr/bin/env bash
# The tests that ctest runs. Each is quick; a tool that is missing gives 77, which skips it.
#   BUILT=FOLDER ARCH=amd64 [EMULATOR="qemu-aarch64-static -L DIR"] [GLIBC=2.31] build/cmake/check.sh CASE
set -euo pipefail
cd "$(dirname "$0")/../.."
prefix=$BUILT/Testing/prefix
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export GOTOOLCHAIN=local GOFLAGS=-mod=readonly LEDGE_PACK_CACHE=0

fail() { echo "$*" >&2; exit 1; }
need() { command -v "$1" >/dev/null || { echo "skipped: $1 is not installed"; exit 77; }; }

# start PROGRAM ARGUMENTS: with the library of the prefix.
start() {
  if [ -n "${EMULATOR:-}" ]; then
    need "${EMULATOR%% *}"
    $EMULATOR -E "LD_LIBRARY_PATH=$prefix/lib" "$@"
  else
    LD_LIBRARY_PATH=$prefix/lib "$@"
  fi
}

# The compilers of who uses the library, which are the system's own.
cross=
if [ -n "${EMULATOR:-}" ]; then case $ARCH in amd64) cross=x86_64-linux-gnu- ;; arm64) cross=aarch64-linux-gnu- ;; esac; fi

# A model with random weights, and what the program makes of it: all others must say the same.
model=$work/tiny.gguf prompt="The capital of France is"
gzip -dc runtime/model/testdata/llama-gqa.gguf.gz >"$model"
says() { start "$1" run -m "$model" --raw --temp 0 -n 32 --device cpu -q "$prompt"; }
same() { [ "$2" = "$1" ] || fail "it wrote $(printf %q "$2"), the program $(printf %q "$1")"; [ ${#1} -gt 20 ] || fail "the text says little"; }

case "$1" in
  version)
    got=$(start "$BUILT/bin/ledge" version) # a number, as the packages have it
    [[ "$got" =~ ^"ledge "[0-9]+[.][0-9]+[.][0-9] ]] || fail "it says $got"
    ;;
  devices)
    got=$(start "$BUILT/bin/ledge" devices)
    grep '^[* ] cpu .* threads' <<<"$got" || fail "it says $got"
    ;;
  run) [ "$(says "$BUILT/bin/ledge" | wc -c)" -gt 20 ] ;;
  bench) [[ "$(start "$BUILT/bin/ledge-bench" version)" =~ ^"ledge-bench "[0-9a-f.] ]] ;;
  needs) go run ./build/needs ${GLIBC:+-glibc "$GLIBC"} "$BUILT"/bin/ledge* "$BUILT/lib/libledge.so.1" ;;
  sizes) go run ./build/release sizes "$BUILT"/bin/ledge* "$BUILT/lib/libledge.so.1" ;;
  install) # to one folder, and from there to another
    rm -rf "$prefix" "$prefix.first"
    cmake --install "$BUILT" --prefix "$prefix.first" >/dev/null
    mv "$prefix.first" "$prefix"
    ! grep -rlF "$prefix.first" "$prefix" || fail "these files name the folder"
    for file in bin/ledge bin/ledge-bench lib/libledge.so include/ledge.h share/man/man1/ledge.1 share/doc/ledge/ledge.cdx.json \
      share/bash-completion/completions/ledge share/doc/ledge/THIRD_PARTY_NOTICES share/doc/ledge/LICENSE; do
      [ -s "$prefix/$file" ] || fail "no $file in $prefix"
    done
    ;;
  c-pkg-config)
    need "${cross}gcc"; need pkg-config
    flags=$(PKG_CONFIG_PATH=$prefix/lib/pkgconfig pkg-config --cflags --libs ledge)
    "${cross}gcc" -Wall -Wextra -Werror -o "$work/generate" "$prefix/share/doc/ledge/examples/c/generate.c" $flags
    same "$(says "$prefix/bin/ledge")" "$(start "$work/generate" "$model" "$prompt")"
    ;;
  cpp-find-package)
    need "${cross}g++"
    cmake -S "$prefix/share/doc/ledge/examples/cpp" -B "$work/cpp" -G Ninja -DCMAKE_PREFIX_PATH="$prefix" \
      -DCMAKE_CXX_COMPILER="${cross}g++" ${cross:+-DCMAKE_SYSTEM_NAME=Linux} >/dev/null
    cmake --build "$work/cpp" >/dev/null
    want=$(start "$prefix/bin/ledge" run -m "$model" --temp 0 -n 32 --device cpu -q "$prompt")
    same "$want" "$(start "$work/cpp/chat" "$model" "$prompt")"
    ;;
  python)
    [ -z "$cross" ] || { echo "skipped: there is no Python of another machine"; exit 77; }
    need python3
    export PYTHONDONTWRITEBYTECODE=1
    same "$(says "$prefix/bin/ledge")" "$(python3 "$prefix/share/doc/ledge/examples/python/generate.py" "$model" "$prompt" "$prefix/lib/libledge.so.1")"
    ;;
  manual)
    need mandoc
    (cd "$prefix/share/man" && mandoc -T lint -W error man?/*)
    ;;
  *) fail "build/cmake/check.sh: no case $1" ;;
esac
