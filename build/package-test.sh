#!/usr/bin/env bash
# Installs the packages in FOLDER (default out/packages) where nothing of Ledge has been, and runs them: arm64's under qemu, which
# must say what amd64's say. LEDGE_TEST_MODELS names a folder with a real model (build/models.sh); else a tiny one is run.
#   build/package-test.sh [FOLDER]            unpacked beside a C library: seconds
#   build/package-test.sh --roots [FOLDER]    in fresh roots of Debian 11 (glibc 2.31) and 12: minutes, root, debootstrap, proot
set -euo pipefail
roots=
if [ "${1:-}" = --roots ]; then roots=1; shift; fi
packages=$(realpath "${1:-$(dirname "$0")/../out/packages}")
cd "$(dirname "$0")/.."
source build/internal/roots.sh
[ -e "$packages/SHA256SUMS" ] || { echo "build/package-test.sh: no packages in $packages: build/package.sh makes them" >&2; exit 1; }
work=$(mktemp -d "$PWD/out/package-test.XXXXXX") # hard links to the model work here
trap 'rm -rf "$work"' EXIT
fail() { echo "build/package-test.sh: $*" >&2; exit 1; }

# A text that every processor continues alike, for the next token is far likelier than any other.
prompt="1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18"
gzip -dc runtime/model/testdata/llama-gqa.gguf.gz >"$work/tiny.gguf" # random weights: any text, but always the same
model=${LEDGE_TEST_MODELS:-/none}/smollm2-135m-instruct-q4_1.gguf
if [ ! -s "$model" ]; then
  echo "LEDGE_TEST_MODELS names no folder with smollm2-135m-instruct-q4_1.gguf: only a tiny model is run"
  model=$work/tiny.gguf
fi
host=$(dpkg --print-architecture 2>/dev/null || echo amd64)

# run ROOT ARCH MODEL TOKENS: what the program in a root writes.
run() { inside "$1" "$2" /usr/bin/ledge run -m "$3" --raw --temp 0 -n "$4" --device cpu -q "$prompt"; }

# same TEXT WANT WHO
same() { [ "$1" = "$2" ] || fail "$3 wrote $(printf %q "$1"), not $(printf %q "$2")"; }

# generate ROOT ARCH: the C example as /generate, compiled as pkg-config says for what the root has.
generate() {
  local root=$1 arch=$2 config flags
  config=$(compgen -G "$root/usr/lib/*/pkgconfig/ledge.pc")
  flags=$(PKG_CONFIG_SYSROOT_DIR=$root PKG_CONFIG_LIBDIR=$(dirname "$config") pkg-config --cflags --libs ledge)
  # shellcheck disable=SC2086 # flags are words
  build/zig-cc.sh "$arch" -O1 -o "$root/generate" "$root/usr/share/doc/libledge-dev/examples/c/generate.c" $flags
}

text=
(cd "$packages" && sha256sum -c --quiet SHA256SUMS)
for arch in amd64 arm64; do
  compgen -G "$packages/ledge_*_$arch.deb" >/dev/null || continue
  debs=("$packages"/*_"$arch.deb")
  for root in $(if [ -n "$roots" ]; then echo bullseye bookworm; else echo unpacked; fi); do
    dir=$work/$root-$arch
    if [ "$root" = unpacked ]; then
      library "$dir" "$arch" || { echo "skipped: $arch unpacked: $missing"; continue; }
      for deb in "${debs[@]}"; do dpkg-deb -x "$deb" "$dir"; done
      for deb in "${debs[@]}"; do dpkg-deb --ctrl-tarfile "$deb" | tar -xO ./md5sums | (cd "$dir" && md5sum -c --quiet); done
    else
      debian "$dir" "$root" "$arch" || { echo "skipped: $arch on $root: $missing"; continue; }
      mkdir -p "$dir/packages" && cp "${debs[@]}" "$dir/packages/"
      inside "$dir" "$arch" /bin/sh -ec 'DEBIAN_FRONTEND=noninteractive dpkg -i /packages/*.deb >/dev/null'
    fi
    ln "$model" "$dir/model.gguf" 2>/dev/null || cp "$model" "$dir/model.gguf"
    cp "$work/tiny.gguf" "$dir/tiny.gguf"
    inside "$dir" "$arch" /usr/bin/ledge version
    inside "$dir" "$arch" /usr/bin/ledge-bench version
    inside "$dir" "$arch" /usr/bin/ledge devices | grep '^[* ] cpu '
    got=$(run "$dir" "$arch" /model.gguf 16)
    if [ -z "$text" ] || [ "$model" = "$work/tiny.gguf" ]; then text=$got; fi # random weights decide by a hair
    same "$got" "$text" "$dir/usr/bin/ledge for $arch"
    generate "$dir" "$arch"
    same "$(inside "$dir" "$arch" /generate /tiny.gguf "$prompt")" "$(run "$dir" "$arch" /tiny.gguf 32)" "the C example for $arch"
    if [ "$root" != unpacked ]; then
      inside "$dir" "$arch" /bin/sh -ec 'dpkg --verify ledge ledge-bench libledge1 libledge-dev; dpkg -P ledge ledge-bench libledge1 libledge-dev >/dev/null'
      left=$(find "$dir/usr" "$dir/etc" "$dir/var/lib/dpkg/info" -name '*ledge*')
      [ -z "$left" ] || fail "$arch on $root: removed, the packages leave $left"
    fi
    rm -rf "$dir"
    echo "$arch, $root: as the others"
  done

  # The archive, from a folder of another name: what it has is what the packages have.
  mkdir "$work/moved" "$work/deb"
  tar -xzf "$packages"/ledge-*-linux-"$arch".tar.gz -C "$work/moved" --strip-components 1
  for deb in "${debs[@]}"; do dpkg-deb -x "$deb" "$work/deb"; done
  for program in ledge ledge-bench; do cmp "$work/moved/bin/$program" "$work/deb/usr/bin/$program"; done
  cmp "$work/moved/lib/libledge.so.1" "$work"/deb/usr/lib/*/libledge.so.1
  if [ "$arch" = "$host" ]; then "$work/moved/bin/ledge" version >/dev/null; fi
  rm -rf "$work/moved" "$work/deb"
done
[ -n "$text" ] || fail "nothing was run"
if [ "$model" != "$work/tiny.gguf" ]; then printf 'all wrote: %s%s\n' "$prompt" "$text"; fi

if [ -z "$roots" ]; then
  exit
elif command -v lintian >/dev/null; then
  # shellcheck disable=SC2046 # lintian warns of root
  lintian $([ "$(id -u)" != 0 ] || echo --allow-root) --fail-on error,warning "$packages"/*.deb && echo "lintian: nothing"
else
  echo "skipped: no lintian (Debian package lintian)"
fi
