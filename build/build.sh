#!/usr/bin/env bash
# Builds the programs and the C library as the packages have them, into FOLDER (default out): bin/ledge, bin/ledge-bench,
# lib/libledge.so, include/ledge.h. They have every backend: those of a plain build, and OpenGL ES and CUDA, which need cgo.
# Needed besides Go: a C compiler and pkg-config; no driver, no development package, no CUDA toolkit. They need only the
# system's C library to start. For Android CUDA is left out.
#   build/build.sh [FOLDER]
#
# For an arm64 board name the compiler, whose choice it is which glibc the result needs (docs/packages.md); FOLDER is then
# out/linux-arm64:
#   GOARCH=arm64 CC=aarch64-linux-gnu-gcc build/build.sh
#
# For Android give an NDK's compiler, whose name has the architecture and the API level (30: Android 11):
#   CC=$NDK/toolchains/llvm/prebuilt/linux-x86_64/bin/aarch64-linux-android30-clang build/build.sh
# This makes the same in out/android-arm64: adb push out/android-arm64/bin/ledge /data/local/tmp
#
# What it makes depends on the source, the Go toolchain and the compiler, and on no folder's name.
set -euo pipefail
to=${1:+$(realpath -m "$1")}
cd "$(dirname "$0")/.."
export GOTOOLCHAIN=local GOFLAGS=-mod=readonly
source build/cgo.sh

case "$(basename "${CC:-cc}")" in
  aarch64-linux-android*) export GOOS=android GOARCH=arm64; default=out/android-arm64 ;;
  *-linux-android*) echo "build/build.sh: only arm64 Android is supported, not ${CC}" >&2; exit 1 ;;
  *) target=$(go env GOOS)-$(go env GOARCH); default=out; if [ "$target" != "$(go env GOHOSTOS)-$(go env GOHOSTARCH)" ]; then default=out/$target; fi ;;
esac
to=${to:-$PWD/$default}

command -v "${PKG_CONFIG:-pkg-config}" >/dev/null || { echo "build/build.sh: pkg-config is needed (Debian: apt install pkg-config)" >&2; exit 1; }
command -v "$(go env CC | cut -d' ' -f1)" >/dev/null || { echo "build/build.sh: a C compiler is needed (Debian: apt install gcc libc6-dev)" >&2; exit 1; }

# What is fetched comes by HTTP/1.1 as well; the command line's library brings a converter of manuals unless it is told not to.
tags=$tags,nethttpomithttp2,urfave_cli_no_docs
source build/flags.sh
source build/lean.sh
mkdir -p "$to/bin"
programs=(ledge ledge-bench)
for program in "${programs[@]}"; do
  go build -modfile "$lean/go.mod" -tags "$tags" "${build[@]}" "${cold[@]}" -ldflags "$link '-extldflags=$extlink'" -o "$to/bin/$program" "./cmd/$program"
done
env -u GOOS -u GOARCH -u CC CGO_ENABLED=0 go run ./build/needs "${programs[@]/#/$to/bin/}" # nothing but the C library
build/libledge.sh "$to" -tags "$tags"
echo "built $(printf "$to/bin/%s, " "${programs[@]}")$to/lib/libledge.so with -tags $tags"
