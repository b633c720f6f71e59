#!/usr/bin/env bash
# build/libledge.sh FOLDER [flags of go build]: builds the C library, stripped, into FOLDER:
#   include/ledge.h  lib/libledge.so.1  lib/libledge.so (a link to it)  lib/cmake/ledge  lib/pkgconfig
# For another architecture: GOARCH=arm64 CC=aarch64-linux-gnu-gcc build/libledge.sh FOLDER
# Needed besides Go: a C compiler. build/build.sh calls this with every backend in it.
set -euo pipefail
to=$(realpath -m "${1:?usage: build/libledge.sh FOLDER [flags of go build]}")
shift
cd "$(dirname "$0")/.."
export GOTOOLCHAIN=local CGO_ENABLED=1 GOFLAGS="${GOFLAGS:--mod=readonly}"

source build/flags.sh

mkdir -p "$to/include" "$to/lib/cmake/ledge" "$to/lib/pkgconfig"
# Only ledge_* is seen from outside; the name has the version of the interface.
go build -buildmode=c-shared "${build[@]}" "$@" -o "$to/lib/libledge.so.1" \
  -ldflags "$link '-extldflags=$extlink -Wl,--version-script=$PWD/cmd/libledge/ledge.map -Wl,-soname,libledge.so.1'" ./cmd/libledge
rm -f "$to/lib/libledge.so.h" "$to/lib/libledge.so.1.h" "$to/lib/libledge.so" "$to"/lib/libledge.h # what cgo writes is not the interface
ln -s libledge.so.1 "$to/lib/libledge.so"
install -m 644 cmd/libledge/ledge.h "$to/include/"
install -m 644 cmd/libledge/package/*.cmake "$to/lib/cmake/ledge/"
install -m 644 cmd/libledge/package/ledge.pc "$to/lib/pkgconfig/"
env -u GOOS -u GOARCH -u CC CGO_ENABLED=0 go run ./build/needs "$to/lib/libledge.so.1" # nothing but the C library
