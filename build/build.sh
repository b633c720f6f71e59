#!/usr/bin/env bash
# Builds the program, out/bin/ledge, and the C library, out/lib/libledge.so with out/include/ledge.h. Both have every
# backend: those of a plain build, and OpenGL ES and CUDA, which need cgo. Needed besides Go: a C compiler and pkg-config;
# no driver, no development package, no CUDA toolkit. Both need only the system's C library to start. For Android CUDA is
# left out.
#
# For an arm64 board name the compiler; this makes out/linux-arm64/ledge (which glibc it needs is the compiler's choice:
# docs/jetson.md):
#   GOARCH=arm64 CC=aarch64-linux-gnu-gcc build/build.sh
#
# For Android give an NDK's compiler, whose name has the architecture and the API level (30: Android 11):
#   CC=$NDK/toolchains/llvm/prebuilt/linux-x86_64/bin/aarch64-linux-android30-clang build/build.sh
# This makes the same in out/android-arm64: adb push out/android-arm64/ledge /data/local/tmp
set -euo pipefail
cd "$(dirname "$0")/.."
export GOTOOLCHAIN=local GOFLAGS=-mod=readonly
source build/cgo.sh

out=out/bin lib=out
case "$(basename "${CC:-cc}")" in
  aarch64-linux-android*) export GOOS=android GOARCH=arm64; out=out/android-arm64 lib=$out ;;
  *-linux-android*) echo "build/build.sh: only arm64 Android is supported, not ${CC}" >&2; exit 1 ;;
  *) target=$(go env GOOS)-$(go env GOARCH); if [ "$target" != "$(go env GOHOSTOS)-$(go env GOHOSTARCH)" ]; then out=out/$target lib=$out; fi ;;
esac

command -v "${PKG_CONFIG:-pkg-config}" >/dev/null || { echo "build/build.sh: pkg-config is needed (Debian: apt install pkg-config)" >&2; exit 1; }
command -v "$(go env CC | cut -d' ' -f1)" >/dev/null || { echo "build/build.sh: a C compiler is needed (Debian: apt install gcc libc6-dev)" >&2; exit 1; }

mkdir -p "$out"
go build -tags "$tags" -trimpath -o "$out/ledge" ./cmd/ledge
env -u GOOS -u GOARCH -u CC CGO_ENABLED=0 go run ./build/needs "$out/ledge" # nothing but the C library
build/libledge.sh "$lib" -tags "$tags"
echo "built $out/ledge and $lib/lib/libledge.so with -tags $tags"
