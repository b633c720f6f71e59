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
mkdir -p "$to"
rm -f "$to"/{ledge,libledge}*.deb "$to"/ledge-*.tar.gz "$to/SHA256SUMS" # of an earlier version
for arch in "${archs[@]}"; do
  cmake -B "out/package/$arch" -G Ninja -DCMAKE_TOOLCHAIN_FILE="$PWD/build/cmake/linux-$arch.cmake" >/dev/null
  cmake --build "out/package/$arch"
  (cd "out/package/$arch" && cpack -B "$PWD/packages" >/dev/null) # which needs no other settings
  mv "out/package/$arch/packages"/*.deb "out/package/$arch/packages"/*.tar.gz "$to/"
  rm -rf "out/package/$arch/packages"
done
(cd "$to" && sha256sum -- *.deb *.tar.gz >SHA256SUMS && cat SHA256SUMS)
