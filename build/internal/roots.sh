# To be sourced: roots of another system, or of another machine, and what runs in them. Functions that cannot do what they should
# for lack of a tool fail, and name it in $missing.
missing=
own=$(dpkg --print-architecture 2>/dev/null || true)

have() {
  local tool
  for tool in "$@"; do
    command -v "$tool" >/dev/null || { missing="no $tool"; return 1; }
  done
}

machine() { case $1 in amd64) echo x86_64 ;; arm64) echo aarch64 ;; esac; }

# inside ROOT ARCH COMMAND...: runs a command in a root; another machine's under qemu. Without root's rights, and for another
# machine without proot, the loader of the root runs the program alone.
inside() {
  local root=$1 arch=$2 m
  shift 2
  m=$(machine "$arch")
  if [ "$arch" = "$own" ] && [ "$(id -u)" = 0 ]; then
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root chroot "$root" "$@"
  elif [ "$arch" != "$own" ] && command -v proot >/dev/null; then
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root proot -0 -w / -q "qemu-$m-static" -r "$root" -b /dev -b /proc -b /sys "$@"
  else
    local args=() a
    for a in "${@:2}"; do case $a in /*) args+=("$root$a") ;; *) args+=("$a") ;; esac; done
    local by=()
    if [ "$arch" = "$own" ]; then
      by=("$root"/lib*/ld-linux-*.so.* --library-path "$root/lib:$root/usr/lib/$m-linux-gnu")
    else
      by=("qemu-$m-static" -L "$root" -E "LD_LIBRARY_PATH=$root/lib:$root/usr/lib/$m-linux-gnu")
    fi
    "${by[@]}" "$root$1" "${args[@]}"
  fi
}

# library ROOT ARCH: a root with a C library and nothing else: this machine's, or Debian's for compiling for another.
library() {
  local root=$1 arch=$2 m from loader name
  m=$(machine "$arch")
  if [ "$arch" = "$own" ]; then
    from=/lib/$m-linux-gnu
  else
    have "qemu-$m-static" || return 1
    from=/usr/$m-linux-gnu/lib
    [ -e "$from/libc.so.6" ] || { missing="no libc6-$arch-cross"; return 1; }
  fi
  mkdir -p "$root/lib" "$root/tmp" "$root/root" "$root/usr/lib"
  for name in libc.so.6 libm.so.6 libdl.so.2 libpthread.so.0 libresolv.so.2; do cp -L "$from/$name" "$root/lib/"; done
  loader=$(compgen -G "$from/ld-linux-*.so.*")
  cp -L "$loader" "$root/lib/"
  ln -s lib "$root/lib64"
}

# debian ROOT SUITE ARCH: a fresh Debian.
debian() {
  local root=$1 suite=$2 arch=$3 log=$1.log
  have debootstrap || return 1
  [ "$(id -u)" = 0 ] || { missing="not root"; return 1; }
  if [ "$arch" = "$own" ]; then
    debootstrap --variant=minbase "$suite" "$root" >"$log" || { tail "$log" >&2; return 1; }
    return
  fi
  have proot "qemu-$(machine "$arch")-static" || return 1
  debootstrap --arch="$arch" --foreign --variant=minbase "$suite" "$root" >"$log" || { tail "$log" >&2; return 1; }
  if [ -L "$root/proc" ]; then rm "$root/proc" && mkdir "$root/proc"; fi # to itself, where it is bound
  inside "$root" "$arch" /usr/bin/env DEBOOTSTRAP_DIR=/debootstrap /debootstrap/debootstrap --second-stage >>"$log" || { tail "$log" >&2; return 1; }
}
