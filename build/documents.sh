#!/usr/bin/env bash
# Makes what packages hold besides binaries, beside the binaries that build/build.sh has left in FOLDER (default out):
# share/man, completions for bash, zsh and fish, share/doc/ledge/ledge.cdx.json (the Go modules: CycloneDX), THIRD_PARTY_NOTICES.
# It says how large the binaries are, and fails if they are larger than they may be.
#   build/documents.sh [FOLDER]
set -euo pipefail
to=$(realpath -m "${1:-$(dirname "$0")/../out}")
cd "$(dirname "$0")/.."
export GOTOOLCHAIN=local GOFLAGS=-mod=readonly CGO_ENABLED=0
unset GOOS GOARCH CC
version=$(build/version.sh)
SOURCE_DATE_EPOCH=$(build/version.sh date)
export SOURCE_DATE_EPOCH

# Programs of this machine are asked what they offer; for another they are built from source for that.
ask=()
if "$to/bin/ledge" version >/dev/null 2>&1; then ask=(-bin "$to/bin"); fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
go build -o "$work/release" ./build/release
binaries=("$to"/bin/ledge* "$to/lib/libledge.so.1")
doc=$to/share/doc/ledge
rm -rf "$to"/share/{man,bash-completion,zsh,fish}
"$work/release" man "${ask[@]}" -release "$version" "$to/share/man"
"$work/release" completions "${ask[@]}" "$to/share"
"$work/release" sbom -release "$version" "$doc/ledge.cdx.json" "${binaries[@]}"
"$work/release" notices "$doc/THIRD_PARTY_NOTICES"
"$work/release" sizes "${binaries[@]}"
