#!/usr/bin/env bash
# A C compiler for CC: zig's, for Linux with glibc 2.31 (Debian 11, Ubuntu 20.04, JetPack 5) and what is newer.
#   GOARCH=arm64 CC="$PWD/build/zig-cc.sh arm64" build/build.sh     # amd64 as well
# build/zig.sh fetches zig; LEDGE_ZIG names another one.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
zig=${LEDGE_ZIG:-$root/out/zig/ziglang/zig}
case "${1:-}" in
  amd64) target=x86_64-linux-gnu.2.31 ;;
  arm64) target=aarch64-linux-gnu.2.31 ;;
  *) echo "build/zig-cc.sh: the first argument is amd64 or arm64, not \"${1:-}\"" >&2; exit 2 ;;
esac
shift
[ -x "$zig" ] || { echo "build/zig-cc.sh: no zig at $zig: build/zig.sh fetches it" >&2; exit 1; }

# gorgonia.org/cu names folders where toolkits and this machine's own headers may be, which are another system's.
args=()
for a in "$@"; do
  case "$a" in -I/usr/include | -L/usr/lib/x86_64-linux-gnu/ | -[IL]/usr/local/cuda* | -[IL]/opt/cuda*) ;; *) args+=("$a") ;; esac
done
export ZIG_GLOBAL_CACHE_DIR=${ZIG_GLOBAL_CACHE_DIR:-$root/out/zig-cache} ZIG_LOCAL_CACHE_DIR=${ZIG_LOCAL_CACHE_DIR:-$root/out/zig-cache}
exec "$zig" cc -target "$target" "${args[@]}"
