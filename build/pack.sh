#!/usr/bin/env bash
# Makes the packages of an installed tree (cmake --install, or what cpack has staged):
#   build/pack.sh TREE ARCH FOLDER
#     FOLDER/ledge_VERSION_ARCH.deb, and so ledge-bench, libledge1, libledge-dev
#     FOLDER/ledge-VERSION-linux-ARCH.tar.gz
# The same tree of the same revision gives the same bytes, whoever makes them, wherever and whenever. Needed: dpkg-deb, GNU tar.
set -euo pipefail
[ $# = 3 ] || { echo "usage: build/pack.sh TREE amd64|arm64 FOLDER" >&2; exit 2; }
tree=$(realpath "$1") arch=$2 to=$(realpath -m "$3")
cd "$(dirname "$0")/.."
case $arch in amd64) triplet=x86_64-linux-gnu ;; arm64) triplet=aarch64-linux-gnu ;; *) echo "build/pack.sh: no packages for $arch" >&2; exit 2 ;; esac
for tool in dpkg-deb tar gzip xz; do
  command -v $tool >/dev/null || { echo "build/pack.sh: $tool is needed" >&2; exit 1; }
done
version=$(build/version.sh)
SOURCE_DATE_EPOCH=$(build/version.sh date)
export SOURCE_DATE_EPOCH LC_ALL=C TZ=UTC
maintainer=${LEDGE_MAINTAINER:-Ledge <ledge-run@users.noreply.github.com>}
umask 022
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$to"

# The C library that is needed: what the binaries ask for, and no less than what is tested.
host() { env -u GOOS -u GOARCH -u CC CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS=-mod=readonly "$@"; }
glibc=$(host go run ./build/needs -max "$tree"/bin/* "$tree/lib/libledge.so.1")
glibc=$(printf '%s\n2.31\n' "$glibc" | sort -V | tail -n 1)

# put FOLDER FILE...: copies files and folders into FOLDER of the package that is being made.
put() {
  local folder=$root/$1
  shift
  mkdir -p "$folder"
  cp -r --no-preserve=all "$@" "$folder/"
}

# settle FOLDER: rights and times that do not depend on who made it.
settle() {
  find "$1" -type d -exec chmod 755 {} +
  find "$1" -type f -exec chmod 644 {} +
  find "$1" -path '*/bin/*' -type f -exec chmod 755 {} +
  find "$1" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
}

# deb NAME: packs $root as a Debian package.
deb() {
  local name=$1 doc=$root/usr/share/doc/$1 size
  put "usr/share/doc/$name" build/debian/copyright
  printf 'ledge (%s) unstable; urgency=medium\n\n  * Built from the source of that version: docs/packages.md.\n\n -- %s  %s\n' \
    "$version" "$maintainer" "$(date -R -d "@$SOURCE_DATE_EPOCH")" >"$doc/changelog"
  if [ -d "$root/usr/share/man" ]; then find "$root/usr/share/man" -type f -exec gzip -9n {} +; fi
  gzip -9n "$doc/changelog"
  settle "$root"
  mkdir "$root/DEBIAN"
  (cd "$root" && find usr -type f -print0 | sort -z | xargs -0 md5sum >DEBIAN/md5sums)
  size=$(cd "$root" && find usr -printf '%y %s\n' | awk '{k += $1 == "f" ? int(($2 + 1023) / 1024) : 1} END {print k}') # as Debian counts
  sed -e "s|@VERSION@|$version|; s|@ARCH@|$arch|; s|@GLIBC@|$glibc|; s|@SIZE@|$size|; s|@MAINTAINER@|$maintainer|" \
    "build/debian/$name.control" >"$root/DEBIAN/control"
  if [ "$name" = libledge1 ]; then
    echo "libledge 1 libledge1 (>= $version)" >"$root/DEBIAN/shlibs"
    echo "activate-noawait ldconfig" >"$root/DEBIAN/triggers"
  fi
  settle "$root/DEBIAN"
  # One thread, for the way of cutting data for several is in the result.
  DPKG_DEB_THREADS_MAX=1 dpkg-deb --root-owner-group -Zxz --build "$root" "$to/${name}_${version}_$arch.deb" >/dev/null
}

# program NAME PAGE...: the package of a program.
program() {
  local name=$1 file
  shift
  root=$work/$name
  put usr/bin "$tree/bin/$name"
  put usr/share/man/man1 "$@"
  for file in bash-completion/completions/"$name" zsh/vendor-completions/_"$name" fish/vendor_completions.d/"$name".fish; do
    if [ -e "$tree/share/$file" ]; then put "usr/share/$(dirname "$file")" "$tree/share/$file"; fi
  done
  put "usr/share/doc/$name" "$tree"/share/doc/ledge/{THIRD_PARTY_NOTICES,ledge.cdx.json}
  gzip -9n "$root/usr/share/doc/$name"/{THIRD_PARTY_NOTICES,ledge.cdx.json}
  mkdir -p "$root/usr/share/lintian/overrides"
  sed "s|@NAME@|$name|g" build/debian/program.lintian-overrides >"$root/usr/share/lintian/overrides/$name"
  deb "$name"
}

# Compressing takes longest: all at once.
made=()
pages=() bench=()
for page in "$tree"/share/man/man1/*; do
  case "$(basename "$page")" in
    ledge-bench-command.1) pages+=("$page") ;; # that of `ledge bench`
    ledge-bench.1 | ledge-bench-*) bench+=("$page") ;;
    *) pages+=("$page") ;;
  esac
done
program ledge "${pages[@]}" & made+=($!)
program ledge-bench "${bench[@]}" & made+=($!)

root=$work/libledge1
put usr/lib/$triplet "$tree/lib/libledge.so.1"
put usr/share/doc/libledge1 "$tree/share/doc/ledge/THIRD_PARTY_NOTICES"
gzip -9n "$root/usr/share/doc/libledge1/THIRD_PARTY_NOTICES"
deb libledge1 & made+=($!)

root=$work/libledge-dev
put usr/include "$tree/include/ledge.h"
put usr/lib/$triplet "$tree/lib/cmake"
mkdir -p "$root/usr/lib/$triplet/pkgconfig" # which leaves the system's own folders out, if they are named as such
sed "s|^prefix=.*|prefix=/usr\nlibdir=\${prefix}/lib/$triplet|; s|-L\${prefix}/lib|-L\${libdir}|" \
  "$tree/lib/pkgconfig/ledge.pc" >"$root/usr/lib/$triplet/pkgconfig/ledge.pc"
ln -s libledge.so.1 "$root/usr/lib/$triplet/libledge.so"
put usr/share/man/man3 "$tree"/share/man/man3/*
put usr/share/doc/libledge-dev "$tree/share/doc/ledge/examples"
deb libledge-dev & made+=($!)

# One folder, which may lie anywhere.
name=ledge-$version-linux-$arch
cp -a "$tree" "$work/$name"
settle "$work/$name"
tar -C "$work" --sort=name --owner=0 --group=0 --numeric-owner --format=gnu -cf - "$name" | gzip -9n >"$to/$name.tar.gz"
for pid in "${made[@]}"; do wait "$pid"; done
