#!/usr/bin/env bash
# Writes the table of sizes in docs/packages.md from the packages in FOLDER (default out/packages).
#   build/package-table.sh [FOLDER]
set -euo pipefail
packages=$(realpath "${1:-$(dirname "$0")/../out/packages}")
cd "$(dirname "$0")/.."
export GOTOOLCHAIN=local GOFLAGS=-mod=readonly
[ -e "$packages/SHA256SUMS" ] || { echo "build/package-table.sh: no packages in $packages: build/package.sh makes them" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for arch in amd64 arm64; do
  mkdir "$work/$arch"
  tar -xzf "$packages"/ledge-*-linux-"$arch".tar.gz -C "$work/$arch" --strip-components 1
done

row() { printf '| %s | %s | %s | %s |\n' "$@"; }
megabytes() { stat -c %s "$1" | awk '{printf "%.2f MB", $1 / 1e6}'; }
both() { # both NAME LIMIT COMMAND FILE-PATTERN, which has ARCH in it
  row "$1" "$($3 "$(compgen -G "${4//ARCH/amd64}")")" "$($3 "$(compgen -G "${4//ARCH/arm64}")")" "$2"
}
glibc() { go run ./build/needs -max "$1"; }
{
  version=$(compgen -G "$packages/ledge-*-linux-amd64.tar.gz")
  version=${version##*/ledge-}
  row "${version%-linux-amd64.tar.gz}" amd64 arm64 "at most"
  row --- ---: ---: ---:
  both '`ledge`, every backend' "20 MB" megabytes "$work/ARCH/bin/ledge"
  both '`ledge-bench`, every backend' "" megabytes "$work/ARCH/bin/ledge-bench"
  both '`libledge.so.1`, every backend' "18 MB" megabytes "$work/ARCH/lib/libledge.so.1"
  both 'glibc that `ledge` needs' "2.31" glibc "$work/ARCH/bin/ledge"
  both 'glibc that `libledge.so.1` needs' "2.31" glibc "$work/ARCH/lib/libledge.so.1"
  for name in ledge ledge-bench libledge1 libledge-dev; do both "\`$name\`, .deb" "" megabytes "$packages/${name}_*_ARCH.deb"; done
  both "everything, .tar.gz" "" megabytes "$packages/ledge-*-linux-ARCH.tar.gz"
} >"$work/table"
awk -v table="$work/table" '
  /^<!-- build\/package-table.sh -->$/ {print; print ""; while ((getline line < table) > 0) print line; print ""; inside = 1; next}
  /^<!-- end -->$/ {inside = 0}
  !inside' docs/packages.md >"$work/page"
grep -q '^<!-- end -->$' "$work/page" || { echo "build/package-table.sh: docs/packages.md has no place for the table" >&2; exit 1; }
cat "$work/page" >docs/packages.md
cat "$work/table"
