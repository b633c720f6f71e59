# To be sourced by scripts in this folder: what cgo needs for the backends under tags. The headers and pkg-config files
# of third_party/ stand in for the drivers' development packages; the only tools are a C compiler and pkg-config.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export CGO_ENABLED=1
export PKG_CONFIG_PATH=$root/third_party/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH} # go-gl asks for gl: before the system's
export CGO_CFLAGS="${CGO_CFLAGS:--O2 -g} -I$root/third_party/gl/include"                # ours before the system's
tags=gles
