#!/usr/bin/env bash
# Makes all packages, .deb and .tar.gz for amd64 and arm64, in FOLDER (default out/packages), and SHA256SUMS of them.
# Needed besides Go: cmake, ninja, pkg-config, dpkg-deb; zig is fetched (build/zig.sh). docs/packages.md has more.
#   build/package.sh [FOLDER [ARCH...]]
set -euo pipefail
to=$(realpath -m "${1:-$(dirname "$0")/../out/packages}")
if [ $# -gt 0 ]; then shift; fi
cd "$(dirname "$0")/.."
archs=("$@")
if [ ${#archs[@]} = 0 ]; then archs=(amd64 arm64); fi
if [ -z "${LEDGE_ZIG:-}" ]; then build/zig.sh; fi
rm -rf "$to"
mkdir -p "$to"
for arch in "${archs[@]}"; do
  cmake -B "out/package/$arch" -G Ninja -DCMAKE_TOOLCHAIN_FILE="$PWD/build/cmake/linux-$arch.cmake" >/dev/null
  cmake --build "out/package/$arch"
  (cd "out/package/$arch" && cpack -B "$to/build" >/dev/null) # which needs no other settings
  mv "$to"/build/*.deb "$to"/build/*.tar.gz "$to/"
  rm -rf "$to/build"
done
(cd "$to" && sha256sum -- *.deb *.tar.gz >SHA256SUMS && cat SHA256SUMS)
