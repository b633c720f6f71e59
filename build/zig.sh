#!/usr/bin/env bash
# Fetches zig, whose C compiler builds the packages (build/zig-cc.sh), into DIR (default out/zig), from the Python package
# that carries it, and checks its SHA-256. What is there already is kept.
# usage: build/zig.sh [DIR]
set -euo pipefail
cd "$(dirname "$0")/.."
dir=${1:-out/zig}
version=0.17.1
if [ -x "$dir/ziglang/zig" ] && [ "$("$dir/ziglang/zig" version)" = "$version" ]; then exit 0; fi
# The wheels for Linux on x86-64 and on arm64. Another compiler may give other bytes, so this one is pinned.
python3 -m pip install -q --disable-pip-version-check --no-deps --only-binary=:all: --upgrade --target "$dir" -r <(cat <<EOF
ziglang==$version --hash=sha256:ea6cc5d87b033cf0aedfbc8f9549a908cae6c50ac31f1698188fa48a74524b54 --hash=sha256:b7c5f02fccd40f89b999ee16a1f5ddced56e6182370f8affe494bcf8a28cf07e
EOF
)
"$dir/ziglang/zig" version >/dev/null
