# To be sourced by scripts in this folder: what cgo needs for the backends under tags. The headers and pkg-config files
# of third_party/ stand in for the drivers' development packages; the only tools are a C compiler and pkg-config.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export CGO_ENABLED=1
export PKG_CONFIG_PATH=$root/third_party/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH} # go-gl asks for gl: before the system's
export CGO_CFLAGS="${CGO_CFLAGS:--O2 -g} -I$root/third_party/gl/include -I$root/third_party/cuda/include" # ours before the system's
# gorgonia.org/cu asks the linker for libcuda: an archive with nothing in it, for backend/cuda/internal/driver has the
# functions. It comes before a driver's own, which the binary would need to start.
mkdir -p "$root/out/cuda/lib"
printf '!<arch>\n' >"$root/out/cuda/lib/libcuda.a"
export CGO_LDFLAGS="-L$root/out/cuda/lib ${CGO_LDFLAGS:--O2 -g}"
# It also has this machine's own libraries looked at, and a GNU compiler for another system says of each that it is none of its.
case "$(basename "${CC:-cc}")" in *-gcc | *-gcc-[0-9]*) CGO_LDFLAGS+=" -Wl,--no-warn-search-mismatch" ;; esac
tags=cuda,gles
